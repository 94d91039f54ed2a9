//! What lies over the screen: a box with a title, in the middle above the view that it is about.

use ratatui::layout::Rect;
use ratatui::text::Line;

use super::pen::{Edge, Pen, below, inner};
use crate::app::Target;

/// Opens a box of at most that size; says where it is and where its contents go.
pub(super) fn open(
    pen: &mut Pen<'_>,
    body: Rect,
    (width, height): (u16, u16),
    title: &Line<'_>,
    right: &[Line<'_>],
) -> (Rect, Rect) {
    let width = width.min(body.width.saturating_sub(4));
    let height = height.min(body.height.saturating_sub(1));
    let area = Rect { x: body.x + (body.width - width) / 2, y: body.y + 1, width, height };
    let edge = pen.look.accent;
    pen.clear(area);
    pen.spot(area, Target::Box);
    pen.sides(area);
    pen.rule(Rect { height: 1, ..area }, Edge::Top, edge, title, right);
    pen.rule(Rect { y: area.bottom() - 1, height: 1, ..area }, Edge::Bottom, edge, &Line::default(), &[]);
    (area, inner(below(Rect { height: area.height.saturating_sub(1), ..area }, 1)))
}
