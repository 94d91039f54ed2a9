//! What can be done, in a box over the screen: what applies first, what does not with the reason.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::{Offers, READ_ONLY, Target};
use crate::ui::overlay;
use crate::ui::pen::Pen;
use crate::ui::widgets::text;

/// Draws it.
pub(in crate::ui) fn draw(pen: &mut Pen<'_>, body: Rect, offers: &Offers) {
    let look = pen.look;
    let read_only = pen.model.settings.read_only;
    let rows = offers.choices.len() + usize::from(read_only) * 2;
    let height = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(2);
    let title = pen.title(&text::cut(&offers.title, 60));
    let right = Line::from(Span::styled(" the plan comes first: nothing is done yet ", look.dim));
    let (_, inside) = overlay::open(pen, body, (100, height), &title, &[right]);
    let width = usize::from(inside.width);
    let name = offers.choices.iter().map(|choice| text::width(choice.offer.title)).max().unwrap_or(0) + 2;
    for ((at, choice), y) in offers.choices.iter().enumerate().zip(inside.top()..inside.bottom()) {
        let shut = read_only || choice.why_not.is_some();
        let about = match &choice.why_not {
            Some(why) => why.clone(),
            // To another thing than the title says.
            None if !choice.whom.is_empty() && !offers.title.ends_with(choice.whom.as_str()) => {
                format!("{}: {}", choice.whom, choice.offer.about)
            }
            None => choice.offer.about.to_owned(),
        };
        let line = Line::from(vec![
            Span::styled(text::fit(choice.offer.title, name), if shut { look.faint } else { look.strong }),
            Span::styled(text::cut(&about, width.saturating_sub(name)), if shut { look.faint } else { look.text }),
        ]);
        pen.put(inside.x, y, inside.width, &line);
        let row = Rect { x: inside.x.saturating_sub(1), y, width: inside.width + 2, height: 1 };
        pen.spot(row, Target::Line(at));
        if at == offers.at {
            pen.wash(row, look.selected);
            pen.put(inside.x.saturating_sub(2), y, 1, &Line::from(Span::styled("▌", look.accent)));
        }
    }
    if read_only && inside.height > 0 {
        let words = text::cut(READ_ONLY, width);
        pen.put(inside.x, inside.bottom() - 1, inside.width, &Line::from(Span::styled(words, look.warning)));
    }
}
