//! Charts over time: one-line sparklines and braille areas. What is not known is a gap.

use jiff::Timestamp;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::text;
use crate::domain::history::{BUCKET, SPAN};
use crate::ui::pen::Pen;

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The mean of each of so many equal steps of the last quarter of an hour, the newest at the end. Steps start at
/// whole multiples of their width, so that a chart moves step by step instead of shimmering.
fn steps(points: impl Iterator<Item = (Timestamp, Option<f64>)>, now: Timestamp, count: usize) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0u32); count];
    if count == 0 {
        return Vec::new();
    }
    let wide = (SPAN.as_secs_f64() / count as f64).max(0.001);
    let step = |second: f64| (second / wide).floor() as i64;
    let seconds = |at: Timestamp| at.as_millisecond() as f64 / 1_000.0;
    let points: Vec<(Timestamp, Option<f64>)> = points.collect();
    // A point is due every few seconds: until the next one comes, the chart ends at the newest instead of in a gap.
    let last = points.last().map(|(at, _)| seconds(*at));
    let now = seconds(now);
    let newest = step(last.filter(|last| (0.0..2.0 * BUCKET.as_secs_f64()).contains(&(now - last))).unwrap_or(now));
    for (at, value) in points {
        let Some(value) = value.filter(|value| value.is_finite()) else { continue };
        let second = seconds(at);
        for covered in step(second - BUCKET.as_secs_f64() + 0.001)..=step(second) {
            let back = newest - covered;
            if let Ok(back) = usize::try_from(back)
                && back < count
            {
                let (sum, number) = &mut sums[count - 1 - back];
                *sum += value;
                *number += 1;
            }
        }
    }
    sums.into_iter().map(|(sum, number)| (number > 0).then(|| sum / f64::from(number))).collect()
}

/// One line of block elements; scaled to the greatest value, or to `top` where that is greater.
pub(crate) fn spark(
    points: impl Iterator<Item = (Timestamp, Option<f64>)>,
    now: Timestamp,
    cells: usize,
    top: Option<f64>,
) -> String {
    let steps = steps(points, now, cells);
    let most = steps.iter().flatten().fold(top.unwrap_or(1.0).max(f64::MIN_POSITIVE), |most, value| most.max(*value));
    steps
        .into_iter()
        .map(|step| step.map_or(' ', |value| LEVELS[((value / most * 8.0).ceil() as usize).clamp(1, 8) - 1]))
        .collect()
}

/// What an area chart shows.
pub(crate) struct Area<'a, I> {
    pub(crate) title: &'a str,
    pub(crate) points: I,
    pub(crate) style: Style,
    /// How a value is written.
    pub(crate) write: fn(f64) -> String,
    /// A line to compare with.
    pub(crate) limit: Option<f64>,
}

/// Draws a title with the newest and the greatest value, and the area below it in braille dots.
pub(crate) fn area<I>(pen: &mut Pen<'_>, rect: Rect, chart: Area<'_, I>)
where
    I: Iterator<Item = (Timestamp, Option<f64>)>,
{
    if rect.height < 2 || rect.width < 12 {
        return;
    }
    let look = pen.look;
    let (cells, rows) = (usize::from(rect.width), usize::from(rect.height - 1));
    let mut newest = None;
    let points = chart.points.inspect(|point| newest = Some(point.1));
    let steps = steps(points, pen.model.moment(), cells * 2);
    let peak = steps.iter().flatten().copied().reduce(f64::max);
    let most = peak.unwrap_or(1.0).max(chart.limit.unwrap_or(0.0)).max(1.0);
    let now = newest.flatten().map_or("—".to_owned(), chart.write);
    let right = peak.map_or("no data yet".to_owned(), |peak| format!("15 min, peak {}", (chart.write)(peak)));
    let head = Line::from(vec![
        Span::styled(text::cut(chart.title, cells), look.dim),
        Span::raw(" "),
        Span::styled(now, look.strong),
    ]);
    pen.put(rect.x, rect.y, rect.width, &head);
    let wide = text::width(&right);
    if head.width() + wide + 2 <= cells {
        let x = rect.right() - u16::try_from(wide).unwrap_or(0);
        pen.put(x, rect.y, rect.width, &Line::from(Span::styled(right, look.faint)));
    }
    let dots = |step: Option<f64>| step.map_or(0, |value| (value / most * (rows * 4) as f64).round().max(1.0) as usize);
    for row in 0..rows {
        let floor = (rows - 1 - row) * 4;
        let line: String = (0..cells)
            .map(|cell| {
                let column = |at: usize| dots(steps[cell * 2 + at]).saturating_sub(floor).min(4);
                braille(column(0), column(1))
            })
            .collect();
        let y = rect.y + 1 + u16::try_from(row).unwrap_or(0);
        pen.put(rect.x, y, rect.width, &Line::from(Span::styled(line, chart.style)));
    }
}

/// A cell with so many dots filled from below in its left and its right column; an empty one shows its base line.
fn braille(left: usize, right: usize) -> char {
    const LEFT: [u32; 5] = [0, 0x40, 0x44, 0x46, 0x47];
    const RIGHT: [u32; 5] = [0, 0x80, 0xa0, 0xb0, 0xb8];
    char::from_u32(0x2800 + LEFT[left.min(4)] + RIGHT[right.min(4)]).unwrap_or(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_stay_gaps_and_time_runs_to_the_right() {
        let now = Timestamp::from_second(9_000).unwrap();
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let points = [(at(8_105), Some(1.0)), (at(8_600), None), (at(8_995), Some(8.0))];
        assert_eq!(spark(points.into_iter(), now, 10, None), "▁        █");
        // Ten seconds without a point: what comes now is not known.
        let later = Timestamp::from_second(9_090).unwrap();
        assert_eq!(spark(points.into_iter(), later, 10, None), "       █  ");
    }

    #[test]
    fn dots_fill_from_below() {
        assert_eq!((braille(0, 0), braille(4, 4), braille(1, 0)), ('⠀', '⣿', '⡀'));
    }
}
