//! What a chart is held against: a dashed line each, named on it.

use std::collections::BTreeMap;

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{Limit, Plot, place};
use crate::ui::pen::Pen;
use crate::ui::widgets::text::width;

/// Limits by the row that each is in; what lies above the scale is told in the first, with an arrow.
struct Rows<'a> {
    drawn: BTreeMap<usize, Vec<&'a Limit>>,
    above: Vec<&'a Limit>,
}

impl<'a> Rows<'a> {
    fn of(limits: &'a [Limit], top: f64, rows: usize) -> Self {
        let mut all = Self { drawn: BTreeMap::new(), above: Vec::new() };
        for limit in limits {
            match place(limit.at, top, rows * 4) {
                Some(dots) => all.drawn.entry(rows - 1 - dots / 4).or_default().push(limit),
                None => all.above.push(limit),
            }
        }
        all
    }
}

/// The lines, to be drawn below the curves; one that cannot be named is none.
pub(super) fn lines(pen: &mut Pen<'_>, field: Rect, plot: &Plot<'_>, top: f64) {
    let wide = usize::from(field.width);
    for (row, limits) in Rows::of(plot.limits, top, usize::from(field.height)).drawn {
        let (Ok(row), Some(first)) = (u16::try_from(row), limits.first()) else { continue };
        if within(&limits.iter().map(|limit| Name::of(limit, plot, "")).collect::<Vec<_>>(), wide).is_empty() {
            continue;
        }
        let style = if plot.fresh { first.style } else { pen.look.faint };
        pen.put(field.x, field.y + row, field.width, &Line::from(Span::styled("╌".repeat(wide), style)));
    }
}

/// Their names, where curves leave room; `busy` are the cells that those have.
pub(super) fn names(pen: &mut Pen<'_>, field: Rect, plot: &Plot<'_>, top: f64, busy: &[bool]) {
    let rows = Rows::of(plot.limits, top, usize::from(field.height));
    let wide = usize::from(field.width);
    let mut told: BTreeMap<usize, Vec<Name>> = BTreeMap::new();
    for (row, limits) in rows.drawn {
        told.entry(row).or_default().extend(limits.iter().map(|limit| Name::of(limit, plot, "")));
    }
    told.entry(0).or_default().extend(rows.above.iter().map(|limit| Name::of(limit, plot, "↑ ")));
    for (row, names) in told {
        let own = busy.get(row * wide..(row + 1) * wide).unwrap_or_default();
        let room = |kept: &[(String, Style)]| kept.iter().map(|(words, _)| width(words)).sum();
        let kept = within(&names, wide);
        // Where a curve takes the whole row, names cover what is the longest ago, and never more than half of it.
        let (kept, at) = match free(own, room(&kept)) {
            Some(at) => (kept, at),
            None => (within(&names, wide / 2), 0),
        };
        let (Ok(at), Ok(row)) = (u16::try_from(at), u16::try_from(row)) else { continue };
        let faint = pen.look.faint;
        let spans = kept.into_iter().map(|(words, style)| Span::styled(words, if plot.fresh { style } else { faint }));
        let line = Line::from(spans.collect::<Vec<_>>());
        pen.put(field.x + at, field.y + row, field.width - at, &line);
    }
}

/// What a limit is called, and where it is.
struct Name {
    words: String,
    value: String,
    style: Style,
}

impl Name {
    fn of(limit: &Limit, plot: &Plot<'_>, lead: &str) -> Self {
        Self { words: format!("{lead}{}", limit.name), value: (plot.write)(limit.at), style: limit.style }
    }

    fn told(&self, valued: bool) -> String {
        if valued { format!(" {} {} ", self.words, self.value) } else { format!(" {} ", self.words) }
    }
}

/// As many as there is room for: first the last ones' values are given up, then the last names; each is whole or not there.
fn within(names: &[Name], room: usize) -> Vec<(String, Style)> {
    let told = |named: usize, valued: usize| {
        let names = names.iter().take(named).enumerate();
        names.map(move |(at, name)| (name.told(at < valued), name.style)).collect::<Vec<_>>()
    };
    let all = (0..=names.len()).rev().flat_map(|named| (0..=named).rev().map(move |valued| (named, valued)));
    let fits = |told: &Vec<(String, Style)>| told.iter().map(|(words, _)| width(words)).sum::<usize>() <= room;
    all.map(|(named, valued)| told(named, valued)).find(fits).unwrap_or_default()
}

/// Where so many cells are free: at the right end, at the left end, anywhere.
fn free(busy: &[bool], room: usize) -> Option<usize> {
    let last = busy.len().saturating_sub(room);
    let free = |at: &usize| busy.get(*at..*at + room).is_some_and(|cells| cells.iter().all(|busy| !busy));
    [last, 0].into_iter().chain((0..last).rev()).find(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_where_no_curve_is() {
        let busy = |cells: &str| cells.chars().map(|char| char == 'x').collect::<Vec<_>>();
        assert_eq!(free(&busy("......"), 3), Some(3));
        assert_eq!(free(&busy(".....x"), 3), Some(0));
        assert_eq!(free(&busy("x....x"), 3), Some(2));
        assert_eq!(free(&busy("x..x.x"), 3), None);
        assert_eq!(free(&busy(".."), 3), None);
    }

    #[test]
    fn a_name_is_whole_or_not_there() {
        let names = |room| {
            let name = |name: &str, value: &str| Name { words: name.into(), value: value.into(), style: Style::new() };
            let all = [name("warning", "80%"), name("critical", "95%")];
            within(&all, room).into_iter().map(|(words, _)| words).collect::<String>()
        };
        let wanted = [
            " warning 80%  critical 95% ",
            " warning 80%  critical ",
            " warning  critical ",
            " warning 80% ",
            " warning ",
            "",
        ];
        assert_eq!([27, 26, 22, 18, 12, 8].map(names), wanted);
        for room in 0..40 {
            let told = names(room);
            assert!(width(&told) <= room && wanted.contains(&told.as_str()), "{told} in {room}");
        }
    }
}
