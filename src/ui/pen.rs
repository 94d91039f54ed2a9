//! What every region draws with: the buffer, the look, the model, and the lines of the frame.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::theme::{Depth, Look};
use crate::app::{Mode, Model, Pane, Spot, Target};
use crate::domain::InstanceName;
use crate::domain::snapshot::Reach;

/// Draws on one frame.
pub(super) struct Pen<'a> {
    pub(super) buffer: &'a mut Buffer,
    pub(super) model: &'a Model,
    pub(super) look: &'a Look,
    /// How many colours there are.
    pub(super) depth: Depth,
    /// What was drawn where, for the mouse.
    pub(super) spots: Vec<Spot>,
    /// The list that is being drawn.
    pub(super) pane: Option<Pane>,
}

/// The two ends of a horizontal line of the frame.
#[derive(Clone, Copy)]
pub(super) enum Edge {
    Top,
    Middle,
    Bottom,
}

impl<'a> Pen<'a> {
    pub(super) fn new(buffer: &'a mut Buffer, model: &'a Model, look: &'a Look, depth: Depth) -> Self {
        let area = buffer.area;
        buffer.set_style(area, look.base);
        Self { buffer, model, look, depth, spots: Vec::new(), pane: model.pane() }
    }

    /// Notes what can be pointed at.
    pub(super) fn spot(&mut self, area: Rect, target: Target) {
        self.spots.push(Spot { area, target });
    }

    /// Puts a line of text; what does not fit is cut off, what lies outside the frame is not drawn.
    pub(super) fn put(&mut self, x: u16, y: u16, width: u16, line: &Line<'_>) {
        let area = self.buffer.area;
        if x < area.right() && y < area.bottom() && x >= area.x && y >= area.y {
            self.buffer.set_line(x, y, line, width.min(area.right() - x));
        }
    }

    /// Puts lines below each other, as many as fit; says how many rows were used.
    pub(super) fn block(&mut self, area: Rect, lines: &[Line<'_>]) -> u16 {
        let mut used = 0;
        for line in lines.iter().take(usize::from(area.height)) {
            self.put(area.x, area.y + used, area.width, line);
            used += 1;
        }
        used
    }

    /// Lays a style over an area.
    pub(super) fn wash(&mut self, area: Rect, style: Style) {
        let area = area.intersection(self.buffer.area);
        self.buffer.set_style(area, style);
    }

    /// Empties an area.
    pub(super) fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                self.buffer[(x, y)].reset();
            }
        }
        self.buffer.set_style(area, self.look.base);
    }

    /// The lines at both sides.
    pub(super) fn sides(&mut self, area: Rect) {
        let side = Line::from(Span::styled("│", self.look.rule));
        for y in area.top()..area.bottom() {
            self.put(area.left(), y, 1, &side);
            self.put(area.right().saturating_sub(1), y, 1, &side);
        }
    }

    /// A horizontal line of the frame with words on it: a title at the left, and at the right as many of the others, in
    /// order of importance, as there is room for; they stand in their own order all the same. Says where each of those is.
    pub(super) fn rule(
        &mut self,
        area: Rect,
        edge: Edge,
        style: Style,
        left: &Line<'_>,
        right: &[Line<'_>],
    ) -> Vec<(usize, Rect)> {
        let (start, end) = match edge {
            Edge::Top => ("╭", "╮"),
            Edge::Middle => ("├", "┤"),
            Edge::Bottom => ("╰", "╯"),
        };
        let (x, y, width) = (area.x, area.y, area.width);
        let middle = "─".repeat(usize::from(width.saturating_sub(2)));
        self.put(x, y, width, &Line::from(Span::styled(format!("{start}{middle}{end}"), style)));
        let room = usize::from(width.saturating_sub(4));
        let mut kept = Vec::new();
        let mut used = left.width() + 2;
        for (at, line) in right.iter().enumerate() {
            if used + line.width() < room {
                used += line.width() + 1;
                kept.push((at, line));
            }
        }
        if left.width() > 0 {
            self.put(x + 2, y, width.saturating_sub(4), left);
        }
        let mut at = area.right().saturating_sub(2);
        let mut places = Vec::new();
        for (which, line) in kept.into_iter().rev() {
            let wide = u16::try_from(line.width()).unwrap_or(0);
            at = at.saturating_sub(wide);
            self.put(at, y, wide, line);
            places.push((which, Rect { x: at, y, width: wide, height: 1 }));
            at = at.saturating_sub(1);
        }
        places
    }

    /// Beside a list's title: how many of its rows are marked.
    pub(super) fn marked(&self, pane: Option<Pane>) -> Option<Span<'static>> {
        let count = self.model.marked(pane?);
        (count > 0).then(|| Span::styled(format!("· {count} marked "), self.look.accent))
    }

    /// Beside a table's title: that what is being typed is not understood, so that the rows are those from before.
    pub(super) fn unfiltered(&self) -> Option<Span<'static>> {
        let wrong = matches!(&self.model.mode, Mode::Filter(prompt) if prompt.error.is_some());
        wrong.then(|| Span::styled("· rows as before: the filter is not understood ", self.look.warning))
    }

    /// The instances that are not reached, by name; empty when all are.
    pub(super) fn dark(&self) -> String {
        let instances = self.model.shown.instances.iter();
        let names: Vec<&str> = instances
            .filter(|instance| !matches!(instance.reach, Reach::Up | Reach::Apart(_)) || instance.blind().is_some())
            .map(|instance| instance.name.as_str())
            .collect();
        names.join(", ")
    }

    /// Beside a list's title: that its figures are old, because an instance is not reached; of one alone, or of all.
    pub(super) fn as_known(&self, of: Option<&InstanceName>) -> Option<Line<'static>> {
        let instances = self.model.shown.instances.iter().filter(|one| of.is_none_or(|name| one.name == *name));
        let dark = instances.filter(|one| matches!(one.reach, Reach::Down { .. }) || one.blind().is_some());
        let names: Vec<&str> = dark.map(|instance| instance.name.as_str()).collect();
        let words = format!(" as last known: {} is not reached ", names.join(", "));
        (!names.is_empty()).then(|| Line::from(Span::styled(words, self.look.warning)))
    }

    /// A title as it stands on a rule.
    pub(super) fn title(&self, words: &str) -> Line<'static> {
        Line::from(vec![Span::raw(" "), Span::styled(words.to_owned(), self.look.strong), Span::raw(" ")])
    }
}

/// The part of an area between the sides of the frame.
pub(super) fn inner(area: Rect) -> Rect {
    Rect { x: area.x + 2, width: area.width.saturating_sub(4), ..area }
}

/// The area without its first rows.
pub(super) fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}
