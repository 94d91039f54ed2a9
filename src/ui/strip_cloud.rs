//! What an instance's line says of what AWS knows: CPU, free storage and when it is full, latency of writes. CloudWatch is some
//! minutes late: what is older than that says how old it is.

use ratatui::style::{Modifier, Style};
use ratatui::text::Span;

use super::pen::Pen;
use super::widgets::chart;
use crate::domain::facts::cloud::{Cloud, Figure, Metric, Standing};
use crate::domain::quantity::{bytes, duration};

/// Cells of a small chart.
const SPARK: usize = 6;

/// Storage that is full within this warns.
const SOON: f64 = 4.0 * 86_400.0;

type Segment = Vec<Span<'static>>;

/// What comes right after the connections, the most important first.
pub(super) fn segments(pen: &Pen<'_>, cloud: &Cloud) -> Vec<Segment> {
    let mut segments = Vec::new();
    segments.extend(status(pen, cloud));
    segments.push(cpu(pen, cloud));
    segments.push(free(pen, cloud));
    segments.push(write(pen, cloud));
    segments
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
    let points = cloud.metrics.value.iter().filter_map(|metrics| metrics.series.get(&metric)).flatten();
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
    let style = figure.filter(|figure| figure.fresh).map_or(look.faint, |figure| look.share(figure.value / 100.0));
    let loud = figure.is_some_and(|figure| figure.fresh && figure.value >= 80.0);
    let mut segment = vec![Span::styled("cpu ", unit), Span::styled(words, if loud { style } else { value })];
    segment.push(Span::styled(format!(" {}", spark(pen, cloud, Metric::CpuUtilization, Some(100.0))), style));
    segment.extend(age(pen, figure));
    segment
}

fn free(pen: &Pen<'_>, cloud: &Cloud) -> Segment {
    let look = pen.look;
    let figure = cloud.figure(Metric::FreeStorageSpace, pen.model.moment());
    let (value, unit) = looks(pen, figure);
    let words = figure.map_or("—".to_owned(), |figure| bytes(figure.value.max(0.0) as u64));
    let share = cloud.room(pen.model.moment()).filter(|room| room.free.fresh).map(|room| room.share());
    let loud = share.filter(|share| *share >= 0.8).map_or(value, |share| look.share(share));
    let mut segment = vec![Span::styled("free ", unit), Span::styled(format!("{words:>7}"), loud)];
    if let Some(seconds) = cloud.full_in().filter(|_| figure.is_some_and(|figure| figure.fresh)) {
        let style = if seconds < SOON { look.warning.remove_modifier(Modifier::BOLD) } else { unit };
        segment.push(Span::styled(format!(" {:<14}", format!("(full in ~{})", span(seconds))), style));
    } else if pen.model.shown.instances.iter().any(|it| it.cloud.as_ref().is_some_and(|it| it.full_in().is_some())) {
        // Where one says it, the others keep the room free: columns stay columns.
        segment.push(Span::raw(" ".repeat(15)));
    }
    segment.extend(age(pen, figure));
    segment
}

/// A long time in few cells: `45m`, `6h`, `12d`.
fn span(seconds: f64) -> String {
    match seconds {
        minutes if minutes < 7_200.0 => format!("{:.0}m", minutes / 60.0),
        hours if hours < 172_800.0 => format!("{:.0}h", hours / 3_600.0),
        days => format!("{:.0}d", days / 86_400.0),
    }
}

fn write(pen: &Pen<'_>, cloud: &Cloud) -> Segment {
    let figure = cloud.figure(Metric::WriteLatency, pen.model.moment());
    let (value, unit) = looks(pen, figure);
    let words = figure.map_or("—".to_owned(), |figure| super::screens::latency(figure.value));
    let slow = figure.is_some_and(|figure| figure.fresh && figure.value >= 0.02);
    let style = if slow { pen.look.warning.remove_modifier(Modifier::BOLD) } else { value };
    let mut segment = vec![Span::styled("write ", unit), Span::styled(format!("{words:>6}"), style)];
    let accent = if figure.is_some_and(|figure| figure.fresh) { pen.look.accent } else { pen.look.faint };
    segment.push(Span::styled(format!(" {}", spark(pen, cloud, Metric::WriteLatency, Some(0.005))), accent));
    segment.extend(age(pen, figure));
    segment
}

#[cfg(test)]
mod tests {
    #[test]
    fn long_times_are_short() {
        assert_eq!([300.0, 7_200.0, 518_400.0].map(super::span), ["5m", "2h", "6d"]);
    }
}
