//! Line charts in braille dots: several lines, a scale with units, a time axis with times of day, and limits as dashed lines.
//! What is not known is a gap.

mod head;
mod limits;
mod scale;

use jiff::{SignedDuration, Timestamp};
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::text;
use crate::ui::pen::Pen;
use head::Entry;
pub(crate) use scale::Round;

/// A limit that lies so far above what is drawn would flatten that: it is told with an arrow.
const NEAR: f64 = 0.15;

/// The least time between two labels of the axis, in cells.
const APART: usize = 9;

/// One line.
pub(crate) struct Curve<'a> {
    /// What it is, where there are several.
    pub(crate) name: &'static str,
    /// Oldest first.
    pub(crate) points: &'a [(Timestamp, f64)],
    pub(crate) style: Style,
    /// Its newest value, which may be newer than what is drawn.
    pub(crate) now: Option<f64>,
    /// Whether that says anything of now.
    pub(crate) fresh: bool,
}

/// Something to compare with.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    pub(crate) at: f64,
    /// What it is: `vCPUs`, `warning`.
    pub(crate) name: &'static str,
    pub(crate) style: Style,
}

/// A chart.
pub(crate) struct Plot<'a> {
    pub(crate) title: &'static str,
    /// What it counts, where figures do not say it.
    pub(crate) unit: &'static str,
    pub(crate) curves: &'a [Curve<'a>],
    /// The worst first: where two are in one row, its line is the first one's.
    pub(crate) limits: &'a [Limit],
    /// The moment at its right end, and how much time it shows.
    pub(crate) until: Timestamp,
    pub(crate) span: SignedDuration,
    /// How much time a point stands for.
    pub(crate) period: SignedDuration,
    /// How a value is written, its unit included.
    pub(crate) write: fn(f64) -> String,
    /// What the scale goes to, where that is given.
    pub(crate) top: Option<f64>,
    /// What it goes to at the least: what is little looks little.
    pub(crate) least: f64,
    /// What numbers are round.
    pub(crate) round: Round,
    /// What is told beside the title: the age of what is old.
    pub(crate) note: Option<String>,
    /// Whether it still says anything of now.
    pub(crate) fresh: bool,
}

/// Draws it: what it shows with the values now and its limits, the lines with their scale, the times.
pub(crate) fn draw(pen: &mut Pen<'_>, area: Rect, plot: &Plot<'_>) {
    if area.height < 4 || area.width < 20 {
        return;
    }
    let look = pen.look;
    let named = head(pen, area, plot);
    // A line that nobody could name is none.
    let shown = plot.curves.get(..named).unwrap_or_default();
    let top = top(plot);
    let scale = [top, top / 2.0, 0.0].map(plot.write);
    let wide = scale.iter().map(|words| text::width(words)).max().unwrap_or(0);
    let left = u16::try_from(wide + 1).unwrap_or(0);
    let Some(width) = area.width.checked_sub(left) else { return };
    let field = Rect { x: area.x + left, y: area.y + 1, width, height: area.height - 2 };
    let rows = usize::from(field.height);
    let half = place(0.5, 1.0, rows * 4).map(|dots| rows - 1 - dots / 4).filter(|_| rows >= 5);
    for (words, row) in scale.iter().zip([Some(0), half, Some(rows - 1)]) {
        let (Some(row), words) = (row, text::right(words, wide)) else { continue };
        let y = field.y + u16::try_from(row).unwrap_or(0);
        pen.put(area.x, y, left, &Line::from(Span::styled(words, look.faint)));
    }
    limits::lines(pen, field, plot, top);
    let until = end(plot, usize::from(field.width) * 2);
    let busy = curves(pen, field, plot, shown, until, top);
    limits::names(pen, field, plot, top, &busy);
    axis(pen, Rect { y: field.bottom(), height: 1, ..field }, until, plot.span);
}

/// What the scale goes to: over all that is drawn, and over limits that are near that.
fn top(plot: &Plot<'_>) -> f64 {
    if let Some(top) = plot.top {
        return top;
    }
    let most = plot.curves.iter().flat_map(|curve| curve.points).map(|(_, value)| *value).fold(0.0, f64::max);
    let near = plot.limits.iter().map(|limit| limit.at).filter(|at| most >= at * NEAR);
    plot.round.up(near.fold(most.max(plot.least), f64::max))
}

/// The right end, so that the chart moves by whole columns instead of shimmering.
fn end(plot: &Plot<'_>, columns: usize) -> Timestamp {
    let step = (plot.span.as_secs() / i64::try_from(columns.max(1)).unwrap_or(1)).max(1);
    let second = plot.until.as_second();
    Timestamp::from_second(second.div_euclid(step) * step + step).unwrap_or(plot.until)
}

/// Title and values now; says how many of the lines it names.
fn head(pen: &mut Pen<'_>, area: Rect, plot: &Plot<'_>) -> usize {
    let look = pen.look;
    let entries: Vec<Entry<'_>> = plot
        .curves
        .iter()
        .map(|curve| Entry {
            name: curve.name,
            value: curve.now.map_or("—".to_owned(), plot.write),
            styles: if curve.fresh { (curve.style, look.text) } else { (look.faint, look.faint) },
        })
        .collect();
    let old = if plot.curves.iter().all(|curve| curve.points.is_empty()) { look.dim } else { look.warning };
    let title = (plot.title, plot.unit, if plot.fresh { look.strong } else { look.dim });
    let note = plot.note.as_deref().map(|note| (note, old));
    let (line, named) = head::line(title, &entries, note, look.dim, usize::from(area.width));
    pen.put(area.x, area.y, area.width, &line);
    named
}

/// The lines, each connected wherever no point is missing; says which cells they have.
fn curves(
    pen: &mut Pen<'_>,
    field: Rect,
    plot: &Plot<'_>,
    shown: &[Curve<'_>],
    until: Timestamp,
    top: f64,
) -> Vec<bool> {
    let (columns, height) = (usize::from(field.width) * 2, usize::from(field.height) * 4);
    let mut cells = vec![(0_u8, Style::new(), 0_u32); usize::from(field.width) * usize::from(field.height)];
    for curve in shown {
        let style = if curve.fresh { curve.style } else { pen.look.faint };
        let values = sampled(curve.points, until, plot.span, plot.period, columns);
        let mut own = vec![0_u8; cells.len()];
        let mut before: Option<usize> = None;
        for (column, value) in values.into_iter().enumerate() {
            let dot = value.and_then(|value| place(value, top, height));
            if let Some(dot) = dot {
                let (low, high) = match before {
                    Some(before) if before < dot => (before + 1, dot),
                    Some(before) if before > dot => (dot, before - 1),
                    _ => (dot, dot),
                };
                for dot in low..=high {
                    let row = usize::from(field.height) - 1 - dot / 4;
                    if let Some(cell) = own.get_mut(row * usize::from(field.width) + column / 2) {
                        *cell |= bit(column % 2, dot % 4);
                    }
                }
            }
            before = dot;
        }
        for ((bits, shown, dots), own) in cells.iter_mut().zip(own).filter(|(_, own)| *own != 0) {
            *bits |= own;
            // A cell has one colour: that of the line that has most of it.
            if own.count_ones() >= *dots {
                (*shown, *dots) = (style, own.count_ones());
            }
        }
    }
    let busy = cells.iter().map(|(bits, ..)| *bits != 0).collect();
    for (at, (bits, style, _)) in cells.into_iter().enumerate().filter(|(_, (bits, ..))| *bits != 0) {
        let (x, y) = (at % usize::from(field.width), at / usize::from(field.width));
        let (x, y) = (u16::try_from(x).unwrap_or(0), u16::try_from(y).unwrap_or(0));
        let char = char::from_u32(0x2800 + u32::from(bits)).unwrap_or(' ');
        pen.put(field.x + x, field.y + y, 1, &Line::from(Span::styled(char.to_string(), style)));
    }
    busy
}

/// The dot of a braille cell, counted from below.
fn bit(column: usize, from_below: usize) -> u8 {
    const DOTS: [[u8; 4]; 2] = [[0x40, 0x04, 0x02, 0x01], [0x80, 0x20, 0x10, 0x08]];
    DOTS[column.min(1)][from_below.min(3)]
}

/// How high a value is, in dots; `None`: it lies above.
fn place(value: f64, top: f64, dots: usize) -> Option<usize> {
    let share = value.max(0.0) / top.max(f64::MIN_POSITIVE);
    (share <= 1.0 + 1e-9).then(|| (share.min(1.0) * dots.saturating_sub(1) as f64).round() as usize)
}

/// One value for each column of dots: the mean of what lies in it, or on the way between two points that follow each other.
fn sampled(
    points: &[(Timestamp, f64)],
    until: Timestamp,
    span: SignedDuration,
    period: SignedDuration,
    columns: usize,
) -> Vec<Option<f64>> {
    let seconds = |at: Timestamp| at.as_millisecond() as f64 / 1_000.0;
    let wide = span.as_secs_f64() / columns.max(1) as f64;
    let from = seconds(until) - span.as_secs_f64();
    let mut values = vec![None; columns];
    let mut sums = vec![(0.0, 0.0); columns];
    for (at, value) in points {
        let column = ((seconds(*at) - from) / wide).floor();
        if column >= 0.0
            && let Some((sum, count)) = sums.get_mut(column as usize)
        {
            *sum += value;
            *count += 1.0;
        }
    }
    for (value, (sum, count)) in values.iter_mut().zip(&sums) {
        *value = (*count > 0.0).then(|| sum / count);
    }
    // One late or missing datapoint is no gap; two are.
    let gap = (period.as_secs_f64() * 2.5 / wide).floor().max(1.0) as usize;
    let mut last: Option<(usize, f64)> = None;
    for column in 0..columns {
        let Some(value) = values[column] else { continue };
        if let Some((before, from)) = last
            && column - before > 1
            && column - before <= gap
        {
            let step = (value - from) / (column - before) as f64;
            for (nth, between) in values.iter_mut().skip(before + 1).take(column - before - 1).enumerate() {
                *between = Some(from + step * (nth + 1) as f64);
            }
        }
        last = Some((column, value));
    }
    // A point stands for the time after it, until the next one is due.
    if let Some((column, value)) = last {
        for later in values.iter_mut().skip(column + 1).take(gap) {
            *later = Some(value);
        }
    }
    values
}

/// Times below the chart: whole hours or days, as many as there is room for.
fn axis(pen: &mut Pen<'_>, area: Rect, until: Timestamp, span: SignedDuration) {
    const STEPS: [i64; 9] = [600, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800];
    let cells = usize::from(area.width);
    let most = i64::try_from((cells / APART).max(1)).unwrap_or(1);
    let Some(step) = STEPS.into_iter().find(|step| span.as_secs() / step <= most) else { return };
    let format = if step >= 86_400 { "%b %d" } else { "%H:%MZ" };
    let from = until.as_second() - span.as_secs();
    let mut at = from.div_euclid(step) * step + step;
    let mut free = 0;
    let last = cells.saturating_sub(4);
    while at < until.as_second() {
        let words = Timestamp::from_second(at).map(|at| at.strftime(format).to_string()).unwrap_or_default();
        let wide = text::width(&words);
        let cell = ((at - from) as f64 / span.as_secs_f64() * cells as f64) as usize;
        let begin = cell.saturating_sub(wide / 2).max(free);
        if begin + wide < last && cell >= wide / 2 {
            let x = area.x + u16::try_from(begin).unwrap_or(0);
            pen.put(x, area.y, area.width, &Line::from(Span::styled(words, pen.look.faint)));
            free = begin + wide + 2;
        }
        at += step;
    }
    pen.put(area.right().saturating_sub(3), area.y, 3, &Line::from(Span::styled("now", pen.look.faint)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn one_missing_point_is_bridged_and_more_are_a_gap() {
        let span = SignedDuration::from_secs(600);
        let period = SignedDuration::from_secs(60);
        let sample = |points: &[(i64, f64)]| {
            let points: Vec<_> = points.iter().map(|(second, value)| (at(*second), *value)).collect();
            sampled(&points, at(600), span, period, 10)
        };
        assert_eq!(sample(&[(0, 1.0), (120, 3.0)])[..4], [Some(1.0), Some(2.0), Some(3.0), Some(3.0)]);
        let gap = sample(&[(0, 1.0), (300, 3.0), (540, 5.0)]);
        assert_eq!(gap, [Some(1.0), None, None, None, None, Some(3.0), None, None, None, Some(5.0)]);
        assert_eq!(sample(&[(540, 1.0), (545, 3.0)])[9], Some(2.0), "the mean of what lies in one column");
        assert_eq!(sample(&[(-60, 1.0), (700, 3.0)]), [None; 10], "what lies outside is not drawn");
    }

    #[test]
    fn dots_lie_where_they_should() {
        assert_eq!((place(0.0, 10.0, 8), place(10.0, 10.0, 8), place(11.0, 10.0, 8)), (Some(0), Some(7), None));
        assert_eq!((bit(0, 0), bit(1, 3)), (0x40, 0x08));
    }
}
