//! Questions in a box over the screen: what they are about above, the answers below each other, what is wrong beneath.

use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use crate::app::Target;
use crate::app::form::{Answer, Form, Purpose};
use crate::domain::foreign::sanitise;
use crate::ui::overlay;
use crate::ui::pen::Pen;
use crate::ui::widgets::text;

/// Cells for the names of questions, at least.
const LABEL: usize = 8;

/// Draws it; says where the terminal's cursor belongs.
pub(in crate::ui) fn draw(pen: &mut Pen<'_>, body: Rect, form: &Form) -> Option<Position> {
    let look = pen.look;
    let longest = form.fields.iter().map(|field| text::width(field.label) + 1).max().unwrap_or(0);
    let named = longest.max(LABEL);
    let width = body.width.saturating_sub(8).min(92);
    let room = usize::from(width.saturating_sub(4));
    let about: Vec<String> = form.about.iter().flat_map(|words| text::wrap_in(words, room, 3)).collect();
    let mut rows = about.len() + 1;
    rows += form.fields.iter().map(|field| 1 + usize::from(!field.hint.is_empty())).sum::<usize>();
    rows += usize::from(form.error.is_some()) + usize::from(form.fields.is_empty());
    let height = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(2);
    let title = pen.title(&form.title);
    let (_, inside) = overlay::open(pen, body, (width, height), &title, &[]);
    let mut y = inside.y;
    let mut put = |pen: &mut Pen<'_>, line: &Line<'_>| {
        let at = y;
        if at < inside.bottom() {
            pen.put(inside.x, at, inside.width, line);
        }
        y += 1;
        Rect { y: at, height: u16::from(at < inside.bottom()), ..inside }
    };
    for words in about {
        put(pen, &Line::from(Span::styled(words, look.text)));
    }
    put(pen, &Line::default());
    let mut cursor = None;
    for (index, field) in form.fields.iter().enumerate() {
        let here = index == form.at;
        let label = Span::styled(text::fit(field.label, named), if here { look.accent } else { look.dim });
        let mut line = Line::from(label);
        let room = room.saturating_sub(named + 2);
        let row = match &field.answer {
            Answer::Text(input) => {
                let shown = text::tail(&sanitise(input.value()), room);
                let empty = if shown.is_empty() && !here { "—".to_owned() } else { shown.clone() };
                line.push_span(Span::styled(empty, if here { look.strong } else { look.text }));
                let row = put(pen, &line);
                if here && row.height > 0 {
                    let after = input.value().chars().count().saturating_sub(input.cursor());
                    let before = text::width(&shown).saturating_sub(after);
                    let at = u16::try_from(named + before).unwrap_or(0);
                    cursor = Some(Position::new((row.x + at).min(row.right().saturating_sub(1)), row.y));
                }
                row
            }
            Answer::Choice { options, at } => {
                for (option, words) in options.iter().enumerate() {
                    let chosen = option == *at;
                    let style = match (chosen, here) {
                        (true, true) => look.strong.patch(look.selected),
                        (true, false) => look.strong,
                        (false, _) => look.dim,
                    };
                    // Of long answers only the chosen one is told in full.
                    let short = words.split(':').next().unwrap_or_default();
                    let words = if chosen { *words } else { short };
                    line.push_span(Span::styled(format!("{}{words} ", if chosen { "● " } else { "○ " }), style));
                    line.push_span(Span::raw(" "));
                }
                put(pen, &line)
            }
        };
        pen.spot(row, Target::Line(index));
        if !field.hint.is_empty() {
            let words = text::cut(field.hint, room);
            put(pen, &Line::from(vec![Span::raw(" ".repeat(named)), Span::styled(words, look.faint)]));
        }
    }
    if let Some(error) = &form.error {
        put(pen, &Line::from(Span::styled(text::cut(error, room), look.warning)));
    }
    if matches!(form.purpose, Purpose::Replace(_)) {
        put(pen, &Line::from(Span::styled("⏎ replaces it · Esc leaves it as it is", look.dim)));
    }
    cursor
}
