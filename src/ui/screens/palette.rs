//! The command palette, over the upper part of the screen.

use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use crate::app::Target;
use crate::app::palette::Palette;
use crate::domain::foreign::sanitise;
use crate::ui::overlay;
use crate::ui::pen::Pen;
use crate::ui::widgets::{table, text};

/// Draws it; says where the terminal's cursor belongs.
pub(in crate::ui) fn draw(pen: &mut Pen<'_>, area: Rect, palette: &Palette) -> Position {
    let look = pen.look;
    let width = area.width.saturating_sub(8).min(72);
    let typed = text::tail(&sanitise(palette.input.value()), usize::from(width.saturating_sub(24)));
    let title = Line::from(vec![Span::styled(" : ", look.accent), Span::styled(format!("{typed} "), look.strong)]);
    let count = Line::from(Span::styled(format!(" {} ", palette.matches.len()), look.dim));
    let (area, inside) = overlay::open(pen, area, (width, 16), &title, &[count]);
    let page = usize::from(inside.height);
    let top = palette.at.saturating_sub(page.saturating_sub(1));
    let shown = palette.matches.iter().enumerate().skip(top).zip(inside.top()..inside.bottom());
    for ((at, entry), y) in shown {
        let Some(entry) = palette.entries.get(*entry) else { continue };
        let detail = text::cut(&entry.detail, 26);
        let room = usize::from(inside.width).saturating_sub(text::width(&detail) + 1);
        let line = Line::from(vec![
            Span::styled(text::fit(&entry.label, room), if at == palette.at { look.strong } else { look.text }),
            Span::raw(" "),
            Span::styled(detail, look.faint),
        ]);
        pen.put(inside.x, y, inside.width, &line);
        pen.spot(Rect { y, height: 1, ..inside }, Target::Line(at));
        if at == palette.at {
            pen.wash(Rect { x: inside.x - 1, y, width: inside.width + 2, height: 1 }, look.selected);
        }
    }
    if palette.matches.is_empty() {
        let words = Line::from(Span::styled("nothing matches", look.dim));
        pen.put(inside.x, inside.y, inside.width, &words);
    }
    table::thumb(pen, inside, top, palette.matches.len());
    let at = u16::try_from(text::width(&typed)).unwrap_or(0);
    Position::new((area.x + 5 + at).min(area.right().saturating_sub(2)), area.y)
}
