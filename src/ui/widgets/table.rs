//! Tables with fixed columns: what does not fit is left out by importance, nothing moves from poll to poll.

use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::text;
use crate::app::list::{Keyed, List};
use crate::app::table::{Column, Table};
use crate::app::{Columns, Span as Window, Target};
use crate::domain::foreign::sanitise;
use crate::ui::pen::{Edge, Pen, below, inner};

/// How one column looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look<C> {
    pub(crate) column: C,
    pub(crate) title: &'static str,
    pub(crate) width: u16,
    pub(crate) right: bool,
    /// 0 is always there; the greatest go first.
    pub(crate) rank: u8,
}

impl<C> Look<C> {
    /// A column.
    pub(crate) const fn new(column: C, title: &'static str, width: u16, right: bool, rank: u8) -> Self {
        Self { column, title, width, right, rank }
    }
}

/// What stands on the rule above a table beside what every table tells there.
#[derive(Debug, Default)]
pub(crate) struct Heading<'a> {
    /// What it lists.
    pub(crate) name: &'a str,
    /// That how many there are is not known.
    pub(crate) uncounted: bool,
    /// What it lists, in more words.
    pub(crate) about: &'static str,
    /// The keys go elsewhere.
    pub(crate) asleep: bool,
    /// Remarks on the right, before the order.
    pub(crate) remarks: Vec<Line<'static>>,
}

/// Draws the rule above a table: what it lists, how many, what of them is shown and marked, in which order. Returns the
/// place below it.
pub(crate) fn heading<C: Column>(pen: &mut Pen<'_>, area: Rect, table: &Table<C>, heading: Heading<'_>) -> Rect {
    let look = pen.look;
    let style = if heading.asleep { look.strong } else { look.accent.add_modifier(Modifier::BOLD) };
    let count = if heading.uncounted { "—".to_owned() } else { thousands(table.total) };
    let mut title = vec![Span::styled(format!(" {} {count} ", heading.name), style)];
    title.extend((!heading.about.is_empty()).then(|| Span::styled(format!("{} ", heading.about), look.dim)));
    if !table.filter.is_empty() {
        let words = text::cut(&sanitise(table.filter.text()), 40);
        title.push(Span::styled(format!("· {} match /{words} ", thousands(table.list.rows.len())), look.warning));
    }
    title.extend(pen.unfiltered());
    title.extend(pen.marked(pen.pane));
    let order = if table.descending { "↓" } else { "↑" };
    let mut right = heading.remarks;
    right.push(Line::from(Span::styled(format!(" sort: {} {order} ", table.sort.key()), look.dim)));
    pen.rule(Rect { height: 1, ..area }, Edge::Middle, look.rule, &Line::from(title), &right);
    inner(below(area, 1))
}

fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// A column with its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed<C> {
    pub(crate) look: Look<C>,
    x: u16,
    pub(crate) width: usize,
}

impl<C> Placed<C> {
    /// Where it begins, from the table's left side.
    pub(crate) fn x(&self) -> u16 {
        self.x
    }
}

/// The columns that the operator wants, in their order.
pub(crate) fn arranged<C: Column>(looks: &[Look<C>], columns: &Columns<C>) -> Vec<Look<C>> {
    columns.shown().filter_map(|column| looks.iter().find(|look| look.column == column).copied()).collect()
}

/// Which columns fit and where they stand; `wide` takes what is left, up to `most`.
pub(crate) fn place<C: Copy + Eq>(looks: &[Look<C>], room: u16, wide: C, most: u16, sort: Option<C>) -> Vec<Placed<C>> {
    let rank = |look: &Look<C>| if sort == Some(look.column) { 0 } else { look.rank };
    let mut kept: Vec<Look<C>> = looks.to_vec();
    let taken = |kept: &[Look<C>]| kept.iter().map(|look| look.width + 1).sum::<u16>();
    while taken(&kept) > room + 1 {
        let Some((at, last)) = kept.iter().enumerate().max_by_key(|(_, look)| rank(look)) else { break };
        if rank(last) == 0 {
            break;
        }
        kept.remove(at);
    }
    let spare = (room + 1).saturating_sub(taken(&kept));
    let mut x = 0;
    kept.into_iter()
        .map(|look| {
            let width = if look.column == wide { (look.width + spare).min(most.max(look.width)) } else { look.width };
            let placed = Placed { look, x, width: usize::from(width) };
            x += width + 1;
            placed
        })
        .collect()
}

/// Draws the column titles; a click on one sorts by it.
pub(crate) fn titles<C: Column>(pen: &mut Pen<'_>, area: Rect, columns: &[Placed<C>], sort: Option<(C, bool)>) {
    labels(pen, area, columns, sort);
    let Some(pane) = pen.pane else { return };
    for column in columns {
        let wide = u16::try_from(column.width).unwrap_or(0).min(area.width.saturating_sub(column.x));
        let place = Rect { x: area.x + column.x, y: area.y, width: wide, height: 1 };
        pen.spot(place, Target::Title(pane, column.look.column.key()));
    }
}

/// Draws column titles that nothing can be sorted by.
pub(crate) fn labels<C: Copy + Eq>(pen: &mut Pen<'_>, area: Rect, columns: &[Placed<C>], sort: Option<(C, bool)>) {
    for column in columns {
        let sorted = sort.filter(|(by, _)| *by == column.look.column);
        let arrow = sorted.map_or("", |(_, descending)| if descending { "▼" } else { "▲" });
        let title = column.look.title;
        let words = if column.look.right { text::right(title, column.width) } else { text::fit(title, column.width) };
        let style = if sorted.is_some() { pen.look.accent } else { pen.look.faint };
        let room = area.width.saturating_sub(column.x);
        pen.put(area.x + column.x, area.y, room, &Line::from(Span::styled(words, style)));
        // The arrow stands beside the title, in the gap between columns where that is full: nothing gives way to it.
        let wide = u16::try_from(text::width(title).min(column.width)).unwrap_or(0);
        let at = match u16::try_from(column.width).unwrap_or(0) {
            width if column.look.right => (area.x + column.x + width).saturating_sub(wide + 1),
            _ => area.x + column.x + wide,
        };
        pen.put(at, area.y, u16::from(sorted.is_some()), &Line::from(Span::styled(arrow, style)));
    }
}

/// Draws the rows that fit, the cursor among them, and a thumb on the frame where there are more.
pub(crate) fn rows<T: Keyed, C: Copy + Eq>(
    pen: &mut Pen<'_>,
    area: Rect,
    columns: &[Placed<C>],
    list: &List<T>,
    items: &[T],
    focused: bool,
    cell: impl Fn(&Pen<'_>, C, &T, usize) -> Line<'static>,
) -> Window {
    let height = usize::from(area.height);
    let top = list.top_for(height);
    if let Some(pane) = pen.pane {
        pen.spot(area, Target::List(pane));
    }
    for (at, y) in (top..list.rows.len()).zip(area.top()..area.bottom()) {
        let Some(item) = list.rows.get(at).and_then(|&row| items.get(row)) else { continue };
        for column in columns {
            let line = cell(pen, column.look.column, item, column.width);
            let room = area.width.saturating_sub(column.x);
            let wide = u16::try_from(column.width).unwrap_or(0).min(room);
            let gap = if column.look.right { column.width.saturating_sub(line.width()) } else { 0 };
            let gap = u16::try_from(gap).unwrap_or(0);
            pen.put(area.x + column.x + gap, y, wide.saturating_sub(gap), &line);
        }
        if let Some(pane) = pen.pane {
            pen.spot(Rect { x: area.x.saturating_sub(1), y, width: area.width + 2, height: 1 }, Target::Row(pane, at));
        }
        if list.is_marked(item) {
            pen.put(area.x.saturating_sub(1), y, 1, &Line::from(Span::styled("✓", pen.look.accent)));
        }
        if at == list.at {
            let row = Rect { x: area.x.saturating_sub(1), y, width: area.width + 2, height: 1 };
            if focused {
                pen.wash(row, pen.look.selected);
            }
            let style = if focused { pen.look.accent } else { pen.look.faint };
            pen.put(area.x.saturating_sub(2), y, 1, &Line::from(Span::styled("▌", style)));
        }
    }
    thumb(pen, area, top, list.rows.len());
    Window { top, page: height }
}

/// Draws on the right side of the frame which part of all rows is visible.
pub(crate) fn thumb(pen: &mut Pen<'_>, area: Rect, top: usize, all: usize) {
    let height = usize::from(area.height);
    if all <= height || height == 0 {
        return;
    }
    let size = (height * height / all).max(1);
    let at = top * (height - size) / (all - height).max(1);
    for row in at..(at + size).min(height) {
        let y = area.y + u16::try_from(row).unwrap_or(0);
        pen.put(area.right() + 1, y, 1, &Line::from(Span::styled("┃", pen.look.dim)));
    }
}

/// What stands above a column is a name that a filter understands.
#[cfg(test)]
pub(crate) fn titles_are_names<C: Column>(looks: &[Look<C>]) {
    for look in looks.iter().filter(|look| !look.title.is_empty() && C::ALL.contains(&look.column)) {
        let filter = format!("\"{}\"={}", look.title, if look.column.is_number() { "1" } else { "x" });
        let read = crate::app::filter::Filter::<C>::parse(&filter);
        assert!(read.is_ok(), "{filter}: {read:?}");
    }
}
