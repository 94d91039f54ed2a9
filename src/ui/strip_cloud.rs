//! What an instance's line says of what AWS knows: CPU, free storage and when it is full, latency of writes. CloudWatch is some
//! minutes late: what is older than that says how old it is.

use ratatui::style::Style;
use ratatui::text::Span;

use super::pen::Pen;
use super::widgets::chart;
use crate::domain::facts::cloud::{Cloud, Figure, Metric, Points, Standing};
use crate::domain::policy::Thresholds;
use crate::domain::quantity::{bytes, duration, latency, short};

/// Cells of a small chart.
const SPARK: usize = 6;

/// Cells of what is said of storage, or of what RDS is doing: kept free where there is nothing to say, so that columns stay columns.
const SAID: usize = 15;

/// With less room than CPU, free storage and that need, there is no such place.
const NARROW: usize = 50;

type Segment = Vec<Span<'static>>;

/// What comes right after the connections in so much room, the most important first.
pub(super) fn segments(pen: &Pen<'_>, cloud: &Cloud, room: usize) -> Vec<Segment> {
    let status = status(pen, cloud);
    if room < NARROW {
        return status.into_iter().chain([cpu(pen, cloud), free(pen, cloud), write(pen, cloud)]).collect();
    }
    let said = status.unwrap_or_else(|| full(pen, cloud));
    let mut free = free(pen, cloud);
    let wide: usize = said.iter().map(Span::width).sum();
    free.push(Span::raw(" "));
    free.extend(said);
    free.push(Span::raw(" ".repeat(SAID.saturating_sub(wide))));
    vec![cpu(pen, cloud), free, write(pen, cloud)]
}

/// What RDS says, where that is not as usual.
pub(super) fn status(pen: &Pen<'_>, cloud: &Cloud) -> Option<Segment> {
    let rds = cloud.rds.value.as_ref()?;
    let doing = rds.doing();
    let style = match doing.map(|status| status.standing) {
        Some(Standing::Serves) => return None,
        Some(Standing::Hurt) => pen.look.critical,
        Some(Standing::Busy) | None => pen.look.warning,
    };
    let words = doing.map_or_else(|| rds.status.to_string(), |status| status.words.to_owned());
    Some(vec![Span::styled(words, style)])
}

/// How old a figure is, where that has to be told.
fn age(pen: &Pen<'_>, figure: Option<Figure>) -> Option<Span<'static>> {
    let figure = figure.filter(|figure| !figure.fresh)?;
    Some(Span::styled(format!(" {} ago", duration(figure.age.floor())), pen.look.warning))
}

fn looks(pen: &Pen<'_>, figure: Option<Figure>) -> (Style, Style) {
    match figure {
        Some(figure) if figure.fresh => (pen.look.text, pen.look.dim),
        _ => (pen.look.faint, pen.look.faint),
    }
}

/// The last quarter of an hour: a cell is some minutes.
fn spark(pen: &Pen<'_>, cloud: &Cloud, metric: Metric, top: Option<f64>) -> String {
    let points = cloud.metrics.value.iter().filter_map(|metrics| metrics.series.get(&metric)).flat_map(Points::iter);
    let minute = std::time::Duration::from_secs(60);
    let newest = cloud.metrics.value.as_ref().and_then(|metrics| metrics.newest(metric)).map(|point| point.at);
    // It ends at the newest figure: that those are late is told where they are old.
    let time = chart::Time::recent(newest.unwrap_or(pen.model.moment()), minute);
    chart::spark(points.map(|point| (point.at, Some(point.value))), time, SPARK, top)
}

fn cpu(pen: &Pen<'_>, cloud: &Cloud) -> Segment {
    let look = pen.look;
    let figure = cloud.figure(Metric::CpuUtilization, pen.model.moment());
    let (value, unit) = looks(pen, figure);
    let words = figure.map_or("  —".to_owned(), |figure| format!("{:>3.0}%", figure.value));
    let style = if figure.is_some_and(|figure| figure.fresh) { look.accent } else { look.faint };
    let loud = figure.and_then(Figure::now).and_then(|percent| look.rung(thresholds(pen).cpu, percent / 100.0));
    let mut segment = vec![Span::styled("cpu ", unit), Span::styled(words, loud.unwrap_or(value))];
    let spark = spark(pen, cloud, Metric::CpuUtilization, Some(100.0));
    segment.push(Span::styled(format!(" {spark}"), loud.unwrap_or(style)));
    segment.extend(age(pen, figure));
    segment
}

fn free(pen: &Pen<'_>, cloud: &Cloud) -> Segment {
    let figure = cloud.figure(Metric::FreeStorageSpace, pen.model.moment());
    let (value, unit) = looks(pen, figure);
    let words = figure.map_or("—".to_owned(), |figure| bytes(figure.value.max(0.0) as u64));
    let filling = cloud.filling(pen.model.moment());
    let loud = pen.look.graded(filling.and_then(|filling| filling.severity(thresholds(pen))));
    let mut segment = vec![Span::styled("free ", unit), Span::styled(format!("{words:>7}"), loud.unwrap_or(value))];
    segment.extend(age(pen, figure));
    segment
}

/// When storage is full; nothing where it does not fill.
fn full(pen: &Pen<'_>, cloud: &Cloud) -> Segment {
    let Some(filling) = cloud.filling(pen.model.moment()) else { return Vec::new() };
    let Some(seconds) = filling.full_in else { return Vec::new() };
    let style = pen.look.graded(filling.severity(thresholds(pen))).unwrap_or(pen.look.dim);
    vec![Span::styled(format!("(full in ~{})", short(seconds)), style)]
}

fn thresholds<'m>(pen: &Pen<'m>) -> &'m Thresholds {
    &pen.model.settings.thresholds
}

fn write(pen: &Pen<'_>, cloud: &Cloud) -> Segment {
    let figure = cloud.figure(Metric::WriteLatency, pen.model.moment());
    let (value, unit) = looks(pen, figure);
    let words = figure.map_or("—".to_owned(), |figure| latency(figure.value));
    // As the signal has it: where hardly anything is written, its time says nothing.
    let rate = cloud.figure(Metric::WriteIops, pen.model.moment()).and_then(Figure::now);
    let enough = rate.is_none_or(|rate| rate >= thresholds(pen).latency_least_iops);
    let loud = figure.and_then(Figure::now).filter(|_| enough);
    let loud = loud.and_then(|seconds| pen.look.rung(thresholds(pen).latency_seconds, seconds));
    let style = loud.unwrap_or(value);
    let mut segment = vec![Span::styled("write ", unit), Span::styled(format!("{words:>6}"), style)];
    let accent = if figure.is_some_and(|figure| figure.fresh) { pen.look.accent } else { pen.look.faint };
    segment.push(Span::styled(format!(" {}", spark(pen, cloud, Metric::WriteLatency, Some(0.005))), accent));
    segment.extend(age(pen, figure));
    segment
}
