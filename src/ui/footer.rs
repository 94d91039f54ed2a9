//! The line at the bottom: the filter being typed, what became of the last effect, or the keys that mean something here.

use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::pen::{Edge, Pen};
use super::widgets::text;
use crate::app::keys;
use crate::app::{Command, Mode, Prompt, Target, bindings};
use crate::domain::foreign::sanitise;

/// Draws it; says where the terminal's cursor belongs while something is typed.
pub(super) fn draw(pen: &mut Pen<'_>, area: Rect) -> Option<Position> {
    let row = Rect { y: area.bottom() - 1, height: 1, ..area };
    let (model, look) = (pen.model, pen.look);
    match (&model.mode, &model.notice) {
        (Mode::Filter(prompt), _) => return Some(filter(pen, row, prompt)),
        (_, Some(notice)) => {
            let style = if notice.bad { look.warning } else { look.good };
            let words = text::cut(&sanitise(&notice.text), usize::from(area.width.saturating_sub(8)));
            let line = Line::from(Span::styled(format!(" {words} "), style));
            pen.rule(row, Edge::Bottom, look.rule, &line, &[]);
        }
        _ => {
            // The way to the help and the way out are always there.
            let last = hints(pen, usize::MAX, |command| matches!(command, Command::Help | Command::Quit));
            let room = usize::from(area.width.saturating_sub(8)).saturating_sub(last.line.width());
            let hints = hints(pen, room, |command| !matches!(command, Command::Help | Command::Quit));
            let right = if last.line.width() > 1 { std::slice::from_ref(&last.line) } else { &[] };
            let places = pen.rule(row, Edge::Bottom, look.rule, &hints.line, right);
            hints.spots(pen, row.x + 2, row.y);
            for (_, place) in places {
                last.spots(pen, place.x, place.y);
            }
        }
    }
    None
}

fn filter(pen: &mut Pen<'_>, row: Rect, prompt: &Prompt) -> Position {
    let look = pen.look;
    let typed = sanitise(prompt.input.value()).into_owned();
    let room = usize::from(row.width.saturating_sub(10));
    let typed = text::tail(&typed, room);
    let mut line =
        Line::from(vec![Span::styled(" / ", look.accent), Span::styled(typed, look.strong), Span::raw("  ")]);
    let left = room.saturating_sub(line.width());
    match &prompt.error {
        Some(error) => {
            let words = format!("{} ", text::cut(error, left.saturating_sub(1)));
            line.spans.push(Span::styled(words, look.warning));
        }
        None if prompt.input.value().is_empty() => {
            let words = "words  !word  tier:shared  noise>50  oldest>=5m  size>2GiB   ⏎ keep  Esc as it was";
            line.spans.push(Span::styled(text::cut(words, left), look.faint));
        }
        None => line.spans.push(Span::styled(text::cut("⏎ keep  Esc as it was ", left), look.faint)),
    }
    pen.rule(row, Edge::Bottom, look.rule, &line, &[]);
    let at = u16::try_from(prompt.input.visual_cursor().min(room)).unwrap_or(0);
    Position::new((row.x + 5 + at).min(row.right() - 1), row.y)
}

/// Hints beside each other, and which cells of them belong to which key.
struct Hints {
    line: Line<'static>,
    cells: Vec<(usize, usize, Command)>,
}

impl Hints {
    /// Notes where they were drawn: a click on one is its key.
    fn spots(&self, pen: &mut Pen<'_>, x: u16, y: u16) {
        for &(from, wide, command) in &self.cells {
            let (from, width) = (u16::try_from(from).unwrap_or(0), u16::try_from(wide).unwrap_or(0));
            pen.spot(Rect { x: x + from, y, width, height: 1 }, Target::Command(command));
        }
    }
}

/// Key hints, in the table's order, as many as fit.
fn hints(pen: &Pen<'_>, room: usize, wanted: impl Fn(Command) -> bool) -> Hints {
    let mut line = Line::raw(" ");
    let mut cells = Vec::new();
    // Of the screens' numbers none is left out between two others.
    let mut counted = true;
    for context in pen.model.playing().iter().chain(pen.model.contexts()) {
        for binding in bindings().iter().filter(|binding| {
            binding.context == *context && wanted(binding.command) && pen.model.means(binding.command)
        }) {
            // A nearer context may mean something else by the same key.
            if !keys::leads_to(pen.model.contexts(), binding) {
                continue;
            }
            let Some(hint) = binding.hint else { continue };
            let hint = if pen.model.paused.is_some() && hint == "pause" { "go on" } else { hint };
            let wide = text::width(binding.label) + text::width(hint) + 3;
            let number = binding.label.starts_with(|char: char| char.is_ascii_digit());
            counted &= !number || line.width() + wide <= room;
            if line.width() + wide <= room && (counted || !number) {
                cells.push((line.width(), wide - 2, binding.command));
                line.spans.push(Span::styled(binding.label, pen.look.key));
                line.spans.push(Span::styled(format!(" {hint}  "), pen.look.dim));
            }
        }
    }
    if let Some(last) = line.spans.last_mut() {
        *last = Span::styled(format!("{} ", last.content.trim_end()), last.style);
    }
    Hints { line, cells }
}
