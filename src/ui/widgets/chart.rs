//! Charts over time: one-line sparklines and braille areas. What is not known is a gap.

use std::time::Duration;

use jiff::Timestamp;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::text;
use crate::domain::history::Stretch;
use crate::ui::pen::Pen;

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The time that a chart shows.
#[derive(Clone, Copy)]
pub(crate) struct Time {
    /// Its end.
    pub(crate) now: Timestamp,
    /// How much of it.
    pub(crate) stretch: Stretch,
    /// How much time before it a point stands for.
    pub(crate) width: Duration,
}

impl Time {
    /// The last quarter of an hour, in points of this width.
    pub(crate) fn recent(now: Timestamp, width: Duration) -> Self {
        Self { now, stretch: Stretch::Quarter, width }
    }

    /// Words below the left end of a chart, its middle, and its right end.
    fn axis(self) -> [String; 3] {
        let span = jiff::SignedDuration::try_from(self.stretch.span()).unwrap_or_default();
        let format = match self.stretch {
            Stretch::Quarter => return ["−15m".to_owned(), String::new(), "now".to_owned()],
            Stretch::Hour | Stretch::Day => "%H:%MZ",
            Stretch::Fortnight => "%b %d",
        };
        let at = |back: jiff::SignedDuration| (self.now - back).strftime(format).to_string();
        [at(span), at(span / 2), "now".to_owned()]
    }
}

/// The mean of each of so many equal steps of a time, the newest at the end. Steps start at whole multiples of their
/// width, so that a chart moves step by step instead of shimmering.
fn steps(points: impl Iterator<Item = (Timestamp, Option<f64>)>, time: Time, count: usize) -> Vec<Option<f64>> {
    let Time { now, stretch, width } = time;
    let width = width.as_secs_f64();
    let mut sums = vec![(0.0, 0u32); count];
    if count == 0 {
        return Vec::new();
    }
    let wide = (stretch.span().as_secs_f64() / count as f64).max(0.001);
    let step = |second: f64| (second / wide).floor() as i64;
    let seconds = |at: Timestamp| at.as_millisecond() as f64 / 1_000.0;
    let points: Vec<(Timestamp, Option<f64>)> = points.collect();
    // A point is due every few seconds: until the next one comes, the chart ends at the newest instead of in a gap.
    let last = points.last().map(|(at, _)| seconds(*at));
    let now = seconds(now);
    let newest = step(last.filter(|last| (0.0..2.0 * width).contains(&(now - last))).unwrap_or(now));
    for (at, value) in points {
        let Some(value) = value.filter(|value| value.is_finite()) else { continue };
        let second = seconds(at);
        for covered in step(second - width + 0.001)..=step(second) {
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
    time: Time,
    cells: usize,
    top: Option<f64>,
) -> String {
    let steps = steps(points, time, cells);
    let most = steps.iter().flatten().fold(top.unwrap_or(1.0).max(f64::MIN_POSITIVE), |most, value| most.max(*value));
    steps
        .into_iter()
        .map(|step| step.map_or(' ', |value| LEVELS[((value / most * 8.0).ceil() as usize).clamp(1, 8) - 1]))
        .collect()
}

/// What an area chart shows.
pub(crate) struct Area<'a, I> {
    pub(crate) title: &'a str,
    /// The value now, as everything else on the screen says it; points are means and lag behind.
    pub(crate) now: Option<f64>,
    /// Whether `now` is still true; what is old is drawn without colour.
    pub(crate) fresh: bool,
    pub(crate) points: I,
    /// When.
    pub(crate) time: Time,
    /// The greatest that stands behind the points, where they are means over longer.
    pub(crate) most: Option<f64>,
    pub(crate) style: Style,
    /// How a value is written.
    pub(crate) write: fn(f64) -> String,
    /// A line to compare with.
    pub(crate) limit: Option<f64>,
}

/// Cells left of the dots, for the scale.
const SCALE: u16 = 5;

/// Draws a title with the value now and the greatest, and below it the area in braille dots with its scale and time axis.
pub(crate) fn area<I>(pen: &mut Pen<'_>, rect: Rect, chart: Area<'_, I>)
where
    I: Iterator<Item = (Timestamp, Option<f64>)>,
{
    if rect.height < 2 || rect.width < 12 {
        return;
    }
    let look = pen.look;
    let (strong, dots_style) = if chart.fresh { (look.strong, chart.style) } else { (look.faint, look.faint) };
    let axis = u16::from(rect.height >= 4);
    let left = if rect.width >= 24 { SCALE } else { 0 };
    let plot = Rect { x: rect.x + left, y: rect.y + 1, width: rect.width - left, height: rect.height - 1 - axis };
    let (cells, rows) = (usize::from(plot.width), usize::from(plot.height));
    let mut peak = chart.now.filter(|_| chart.fresh).into_iter().chain(chart.most).reduce(f64::max);
    let points = chart.points.inspect(|(_, value)| peak = peak.into_iter().chain(*value).reduce(f64::max));
    let steps = steps(points, chart.time, cells * 2);
    let most = peak.unwrap_or(1.0).max(chart.limit.unwrap_or(0.0)).max(1.0);
    let now = chart.now.map_or("—".to_owned(), chart.write);
    let right = peak.map_or("no data yet".to_owned(), |peak| {
        format!("{}, peak {}", chart.time.stretch.title(), (chart.write)(peak))
    });
    let head = Line::from(vec![
        Span::styled(text::cut(chart.title, usize::from(rect.width)), if chart.fresh { look.dim } else { look.faint }),
        Span::raw(" "),
        Span::styled(now, strong),
    ]);
    pen.put(rect.x, rect.y, rect.width, &head);
    let wide = text::width(&right);
    if head.width() + wide + 2 <= usize::from(rect.width) {
        let x = rect.right() - u16::try_from(wide).unwrap_or(0);
        pen.put(x, rect.y, rect.width, &Line::from(Span::styled(right, look.faint)));
    }
    let faint = |words: &str| Line::from(Span::styled(words.to_owned(), look.faint));
    if left > 0 {
        let scale = |value: f64| text::right(&(chart.write)(value), usize::from(SCALE - 1));
        pen.put(rect.x, plot.y, left, &faint(&scale(most)));
        if rows > 1 {
            pen.put(rect.x, plot.bottom() - 1, left, &faint(&scale(0.0)));
        }
    }
    if axis > 0 {
        let [left, middle, right] = chart.time.axis();
        pen.put(plot.x, plot.bottom(), plot.width, &faint(&left));
        if plot.width >= 30 {
            pen.put(plot.x + plot.width / 2 - 3, plot.bottom(), 6, &faint(&middle));
        }
        pen.put(plot.right() - 3, plot.bottom(), 3, &faint(&right));
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
        let y = plot.y + u16::try_from(row).unwrap_or(0);
        pen.put(plot.x, y, plot.width, &Line::from(Span::styled(line, dots_style)));
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
        let recent = |now| Time::recent(now, crate::domain::history::BUCKET);
        let points = [(at(8_105), Some(1.0)), (at(8_600), None), (at(8_995), Some(8.0))];
        assert_eq!(spark(points.into_iter(), recent(now), 10, None), "▁        █");
        // Ten seconds without a point: what comes now is not known.
        let later = Timestamp::from_second(9_090).unwrap();
        assert_eq!(spark(points.into_iter(), recent(later), 10, None), "       █  ");
    }

    #[test]
    fn dots_fill_from_below() {
        assert_eq!((braille(0, 0), braille(4, 4), braille(1, 0)), ('⠀', '⣿', '⡀'));
    }
}
