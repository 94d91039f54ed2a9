//! The line above a chart: what it shows, each line's name and its value now. A figure is there whole or not at all: one that is cut
//! is another figure.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::ui::widgets::text::{cut, width};

/// Stands for a figure that there is no room for.
const CUT: &str = "…";

/// What is told of one line of the chart.
pub(super) struct Entry<'a> {
    /// Empty: the chart's title names it.
    pub(super) name: &'a str,
    pub(super) value: String,
    /// Of its sign, and of its value.
    pub(super) styles: (Style, Style),
}

/// How much of it there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fit {
    /// Whether the title tells its unit: limits and scale tell it, too, where they can.
    unit: bool,
    /// Cells between parts.
    gap: usize,
    /// How many lines are named; the others are counted, and not drawn.
    named: usize,
    /// How many of those have their value; the others have a mark that there is one.
    valued: usize,
    noted: bool,
}

impl Fit {
    fn width(self, (title, unit): (&str, &str), entries: &[Entry<'_>], note: Option<&str>) -> usize {
        let Self { gap, named, valued, noted, .. } = self;
        let word = |words: &str| if words.is_empty() { 0 } else { 1 + width(words) };
        let parts = entries.iter().take(named).enumerate();
        let parts = parts
            .map(|(at, entry)| gap + 1 + word(entry.name) + if at < valued { word(&entry.value) } else { width(CUT) });
        let left = entries.len() - named;
        let rest = if left > 0 { gap + width(&format!("+{left}")) } else { 0 };
        let note = note.filter(|_| noted).map_or(0, |note| gap + width(note));
        let unit = if self.unit { word(unit) } else { 0 };
        width(title) + unit + parts.sum::<usize>() + rest + note
    }

    /// The most that there is room for: first room between words is given up, then the unit, then values, the last ones first, then names; how
    /// old it all is at the very last.
    fn within(title: (&str, &str), entries: &[Entry<'_>], note: Option<&str>, room: usize) -> Self {
        let all = entries.len();
        let wide = Self { unit: true, gap: 2, named: all, valued: all, noted: true };
        let tight = (0..=all).rev().flat_map(|named| {
            (0..=named).rev().map(move |valued| Self { unit: false, gap: 1, named, valued, noted: true })
        });
        let bare = (0..=all).rev().map(|named| Self { unit: false, gap: 1, named, valued: 0, noted: false });
        let mut fits = [wide, Self { gap: 1, ..wide }].into_iter().chain(tight).chain(bare);
        let bare_title = Self { unit: false, gap: 1, named: 0, valued: 0, noted: false };
        fits.find(|fit| fit.width(title, entries, note) <= room).unwrap_or(bare_title)
    }
}

/// The line, and how many of the chart's lines it names.
pub(super) fn line(
    (title, unit, style): (&str, &str, Style),
    entries: &[Entry<'_>],
    note: Option<(&str, Style)>,
    dim: Style,
    room: usize,
) -> (Line<'static>, usize) {
    let fit = Fit::within((title, unit), entries, note.map(|(words, _)| words), room);
    let gap = " ".repeat(fit.gap);
    let mut spans = vec![Span::styled(cut(title, room), style)];
    if fit.unit && !unit.is_empty() {
        spans.push(Span::styled(format!(" {unit}"), dim));
    }
    for (at, entry) in entries.iter().take(fit.named).enumerate() {
        spans.push(Span::styled(format!("{gap}━"), entry.styles.0));
        if !entry.name.is_empty() {
            spans.push(Span::styled(format!(" {}", entry.name), dim));
        }
        if at < fit.valued {
            spans.push(Span::styled(format!(" {}", entry.value), entry.styles.1));
        } else {
            spans.push(Span::styled(CUT, dim));
        }
    }
    let left = entries.len() - fit.named;
    if left > 0 && spans.iter().map(Span::width).sum::<usize>() + fit.gap + 1 + left.to_string().len() <= room {
        spans.push(Span::styled(format!("{gap}+{left}"), dim));
    }
    if let Some((words, style)) = note.filter(|_| fit.noted) {
        spans.push(Span::styled(format!("{gap}{words}"), style));
    }
    (Line::from(spans), fit.named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries<'a>(some: &[(&'a str, &str)]) -> Vec<Entry<'a>> {
        let styles = (Style::new(), Style::new());
        some.iter().map(|(name, value)| Entry { name, value: (*value).to_owned(), styles }).collect()
    }

    fn shown(title: &str, some: &[(&str, &str)], note: Option<&str>, room: usize) -> (String, usize) {
        let plain = Style::new();
        let (line, named) = line((title, "", plain), &entries(some), note.map(|note| (note, plain)), plain, room);
        (line.spans.iter().map(|span| span.content.as_ref()).collect(), named)
    }

    const LATENCY: [(&str, &str); 2] = [("read", "0.6 ms"), ("write", "5.4 ms")];

    #[test]
    fn what_has_no_room_is_left_out_from_the_end() {
        let of = |room| shown("latency", &LATENCY, None, room).0;
        assert_eq!(of(40), "latency  ━ read 0.6 ms  ━ write 5.4 ms");
        assert_eq!(of(37), "latency ━ read 0.6 ms ━ write 5.4 ms");
        assert_eq!(of(35), "latency ━ read 0.6 ms ━ write…");
        assert_eq!(of(28), "latency ━ read… ━ write…");
        assert_eq!(of(24), "latency ━ read… ━ write…");
        assert_eq!(of(21), "latency ━ read… +1");
        assert_eq!(shown("latency", &LATENCY, Some("9m 00s ago"), 35).0, "latency ━ read… ━ write… 9m 00s ago");
        assert_eq!(shown("CPU", &[("", "27%")], None, 8).0, "CPU ━…");
        let load = |room| {
            let (plain, entries) = (Style::new(), entries(&[("all", "2.3")]));
            line(("load", "(sessions)", plain), &entries, None, plain, room).0.to_string()
        };
        assert_eq!([25, 24, 16].map(load), ["load (sessions) ━ all 2.3", "load ━ all 2.3", "load ━ all 2.3"]);
    }

    /// Of whatever there is and however little room: each figure whole or not at all, each line that is drawn named.
    #[test]
    fn figures_are_whole_or_not_there() {
        type Case = (&'static str, &'static [(&'static str, &'static str)], Option<&'static str>);
        let cases: [Case; 6] = [
            ("latency", &LATENCY, None),
            ("memory", &[("free", "1.2 GiB"), ("swap", "102 MiB")], Some("2h 02m ago")),
            ("IOPS", &[("all", "1.2k/s"), ("read", "300/s"), ("write", "900/s")], None),
            ("CPU", &[("", "27%")], Some("no datapoints")),
            ("load", &[("all", "2.3"), ("CPU", "0.9"), ("non-CPU", "1.4")], Some("swap 9m 00s ago")),
            ("storage", &[("free", "—"), ("WAL", "—")], Some("no datapoints")),
        ];
        for (title, some, note) in cases {
            for room in 0..90 {
                let (line, named) = shown(title, some, note, room);
                assert!(width(&line) <= room, "{line} in {room}");
                let mut rest = line.strip_prefix(title).unwrap_or("").to_owned();
                if rest.is_empty() {
                    assert!(named == 0 && width(&line) <= room);
                    continue;
                }
                if let Some(note) = note {
                    rest = rest.strip_suffix(note).unwrap_or(&rest).to_owned();
                }
                let left = format!("+{}", some.len() - named);
                let rest = rest.trim_end().strip_suffix(&left).unwrap_or(&rest).to_owned();
                let told: Vec<&str> = rest.split('━').skip(1).map(str::trim).collect();
                assert_eq!(told.len(), named, "{line} in {room}");
                for (told, (name, value)) in told.iter().zip(some) {
                    assert!(
                        *told == format!("{name} {value}").trim() || *told == format!("{name}…"),
                        "{told} of {line} in {room}"
                    );
                }
            }
        }
    }
}
