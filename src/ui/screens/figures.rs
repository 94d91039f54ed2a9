//! A page of an instance: what CloudWatch says, as charts.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use crate::app::{Span as Window, Target, Viewport};
use crate::domain::Instance;
use crate::domain::facts::cloud::{Class, Cloud, Metric, MetricUnit, Metrics};
use crate::domain::foreign::sanitise;
use crate::domain::inspection::Answer;
use crate::domain::quantity::{bytes, count, duration};
use crate::domain::watching::Lookback;
use crate::ui::pen::{Edge, Pen, below, inner};
use crate::ui::widgets::plot::{self, Curve, Limit, Plot};
use crate::ui::widgets::{table, text};

/// One chart: its title, what it shows, and how that is written.
struct Chart {
    title: &'static str,
    lines: &'static [(Metric, &'static str)],
    write: fn(f64) -> String,
    /// What the scale goes to.
    top: Option<f64>,
    /// What it goes to at the least.
    least: f64,
}

const fn chart(
    title: &'static str,
    lines: &'static [(Metric, &'static str)],
    write: fn(f64) -> String,
    top: Option<f64>,
    least: f64,
) -> Chart {
    Chart { title, lines, write, top, least }
}

use Metric as Of;

/// All charts, what an incident is looked at by first.
static CHARTS: [Chart; 13] = [
    chart("CPU", &[(Of::CpuUtilization, "")], percent, Some(100.0), 100.0),
    chart("load", &[(Of::DbLoad, ""), (Of::DbLoadCpu, "CPU"), (Of::DbLoadNonCpu, "wait")], count, None, 1.0),
    chart("memory", &[(Of::FreeableMemory, "free"), (Of::SwapUsage, "swap")], size, None, MIB),
    chart("storage", &[(Of::FreeStorageSpace, "free"), (Of::TransactionLogsDiskUsage, "WAL")], size, None, MIB),
    chart("latency", &[(Of::ReadLatency, "read"), (Of::WriteLatency, "write")], latency, None, 0.001),
    chart("IOPS", &[(Of::ReadIops, "read"), (Of::WriteIops, "write")], rate, None, 10.0),
    chart("queue depth", &[(Of::DiskQueueDepth, "")], count, None, 1.0),
    chart("connections", &[(Of::DatabaseConnections, "")], count, None, 10.0),
    chart(
        "I/O credits",
        &[(Of::BurstBalance, "gp2"), (Of::EbsIoBalance, "IOPS"), (Of::EbsByteBalance, "bytes")],
        percent,
        Some(100.0),
        100.0,
    ),
    chart("CPU credits", &[(Of::CpuCreditBalance, "")], count, None, 10.0),
    chart("replica lag", &[(Of::ReplicaLag, "")], duration, None, 1.0),
    chart("oldest xid", &[(Of::MaximumUsedTransactionIds, "")], count, None, OLD_XID),
    chart("slot lag", &[(Of::OldestReplicationSlotLag, "")], size, None, MIB),
];

const MIB: f64 = 1_048_576.0;

/// Shares of 100 that charts warn and alarm at; what is found is judged by the configured thresholds.
const WARN: f64 = 80.0;

/// Reads and writes that take longer are slow for any storage.
const SLOW: f64 = 0.02;

/// From this age of a transaction id on RDS sends mail, and the server's own limit.
const OLD_XID: f64 = 5e8;
const LAST_XID: f64 = 2_147_483_648.0;

fn percent(value: f64) -> String {
    format!("{value:.0}%")
}

fn size(value: f64) -> String {
    bytes(value.max(0.0) as u64)
}

fn rate(value: f64) -> String {
    format!("{}/s", count(value))
}

/// Seconds as they are for storage.
pub(in crate::ui) fn latency(seconds: f64) -> String {
    match seconds * 1_000.0 {
        none if none <= 0.0 => "0 ms".to_owned(),
        little if little < 0.1 => format!("{:.0} µs", (little * 1_000.0).max(1.0)),
        short if short < 10.0 => format!("{short:.1} ms"),
        long => format!("{long:.0} ms"),
    }
}

/// The charts of an instance, as many as it has, below a rule.
pub(super) fn draw(pen: &mut Pen<'_>, area: Rect, instance: &Instance) -> Viewport {
    let look = pen.look;
    let back = pen.model.figures.back;
    let title = pen.title(&format!("THE LAST {}, BY CLOUDWATCH", back.title().to_uppercase()));
    let answer = pen.model.figures.of(instance);
    let remarks: Vec<Line<'static>> = instance.cloud.iter().filter_map(|cloud| remark(pen, cloud)).collect();
    pen.rule(Rect { height: 1, ..area }, Edge::Middle, look.rule, &title, &remarks);
    let inside = inner(below(area, 1));
    let Some(cloud) = &instance.cloud else {
        return say(pen, inside, &unconfigured(instance));
    };
    match answer {
        Answer::Told(metrics) => grid(pen, inside, &Drawn { instance, cloud, metrics, back }),
        Answer::Failed(reason) => say(pen, inside, &format!("not known: {}", sanitise(&reason))),
        Answer::Asked | Answer::Unasked => match &cloud.metrics.error {
            Some(trouble) => say(pen, inside, &format!("not known: {}", sanitise(&trouble.message))),
            None => say(pen, inside, "asking CloudWatch …"),
        },
    }
}

/// What to configure so that AWS is asked about an instance.
pub(super) fn unconfigured(instance: &Instance) -> String {
    format!(
        "AWS is not asked about {}: write rds = \"its identifier\" under its [[instance]], and an [aws.NAME] with its region; \
         tierdeck doctor says what our login may do there",
        instance.name
    )
}

fn say(pen: &mut Pen<'_>, area: Rect, words: &str) -> Viewport {
    let style = pen.look.dim;
    let lines: Vec<Line<'_>> = text::wrap(words, usize::from(area.width))
        .into_iter()
        .map(|words| Line::from(Span::styled(words, style)))
        .collect();
    pen.block(area, &lines);
    Viewport { text: Some(Window::default()), ..Viewport::default() }
}

/// Why what is shown is not of now.
fn remark(pen: &Pen<'_>, cloud: &Cloud) -> Option<Line<'static>> {
    let why = cloud.metrics.missing(pen.model.moment())?;
    Some(Line::from(Span::styled(format!(" {} ", text::cut(&sanitise(&why), 70)), pen.look.warning)))
}

/// What charts are made of.
struct Drawn<'a> {
    instance: &'a Instance,
    cloud: &'a Cloud,
    metrics: &'a Metrics,
    back: Lookback,
}

impl Drawn<'_> {
    /// The charts that an instance has.
    fn charts(&self) -> Vec<&'static Chart> {
        let asked = |chart: &&Chart| chart.lines.iter().any(|(metric, _)| self.metrics.series.contains_key(metric));
        CHARTS.iter().filter(asked).collect()
    }
}

/// What an incident is looked at by first, of the last three hours, beside each other; says whether there is anything to draw.
pub(super) fn brief(pen: &mut Pen<'_>, area: Rect, instance: &Instance, titles: &[&str]) -> bool {
    let Some(cloud) = &instance.cloud else { return false };
    let Some(metrics) = cloud.metrics.value.as_deref() else { return false };
    let drawn = Drawn { instance, cloud, metrics, back: Lookback::Hours };
    let charts: Vec<&Chart> = drawn.charts().into_iter().filter(|chart| titles.contains(&chart.title)).collect();
    let wide = area.width / u16::try_from(charts.len().max(1)).unwrap_or(1);
    for (chart, at) in charts.iter().zip(0..) {
        let gap = if usize::from(at) + 1 < charts.len() { 3 } else { 0 };
        one(pen, Rect { x: area.x + at * wide, width: wide.saturating_sub(gap), ..area }, chart, &drawn);
    }
    !charts.is_empty()
}

fn grid(pen: &mut Pen<'_>, area: Rect, drawn: &Drawn<'_>) -> Viewport {
    let charts = drawn.charts();
    let columns = usize::from(area.width / 50).max(usize::from(area.width >= 70) + 1);
    let rows = charts.len().div_ceil(columns.max(1));
    let height = (usize::from(area.height) / rows.max(1)).clamp(8, 16).min(usize::from(area.height).max(1));
    let page = (usize::from(area.height) / height).max(1);
    let top = pen.model.scroll.top.min(rows.saturating_sub(page));
    let wide = area.width / u16::try_from(columns).unwrap_or(1);
    let tall = u16::try_from(height).unwrap_or(8);
    for (at, chart) in charts.iter().skip(top * columns).take(page * columns).enumerate() {
        let (column, row) = (u16::try_from(at % columns).unwrap_or(0), u16::try_from(at / columns).unwrap_or(0));
        let gap = if usize::from(column) + 1 < columns { 3 } else { 0 };
        let place = Rect { x: area.x + column * wide, y: area.y + row * tall, width: wide - gap, height: tall };
        one(pen, Rect { height: place.height.saturating_sub(u16::from(tall > 8)), ..place }, chart, drawn);
    }
    table::thumb(pen, area, top, if rows > page { rows * height } else { 0 });
    pen.spot(area, Target::Text);
    Viewport { text: Some(Window { top, page }), lines: rows, ..Viewport::default() }
}

fn one(pen: &mut Pen<'_>, area: Rect, chart: &Chart, drawn: &Drawn<'_>) {
    let Drawn { instance, cloud, metrics, back } = *drawn;
    let (look, moment) = (pen.look, pen.model.moment());
    let styles = [look.accent, look.second, look.warning.remove_modifier(Modifier::BOLD)];
    let series: Vec<(&'static str, Vec<(jiff::Timestamp, f64)>)> = chart
        .lines
        .iter()
        .filter_map(|(metric, name)| {
            let points = metrics.series.get(metric)?;
            Some((*name, points.iter().map(|point| (point.at, point.value)).collect()))
        })
        .collect();
    let curves: Vec<Curve<'_>> =
        series.iter().zip(styles).map(|((name, points), style)| Curve { name, points, style }).collect();
    let newest = series.iter().filter_map(|(_, points)| points.last()).map(|(at, _)| *at).max();
    let age = newest.map(|at| moment.duration_since(at).as_secs_f64().max(0.0));
    let patience = back.period().as_secs_f64() * 3.0 + 300.0 + cloud.metrics.every.as_secs_f64() * 16.0;
    let fresh = age.is_some_and(|age| age <= patience);
    let note = match age {
        None => Some("no datapoints".to_owned()),
        Some(age) if !fresh => Some(format!("{} ago", duration(age))),
        Some(_) => None,
    };
    let limits = limits(pen, chart, instance, cloud);
    let (span, period) = (back.span(), back.period());
    let Chart { title, write, top, least, .. } = *chart;
    let binary = chart.lines.first().is_some_and(|(metric, _)| metric.unit() == MetricUnit::Bytes);
    let plot = Plot {
        title,
        curves: &curves,
        limits: &limits,
        until: moment,
        span,
        period,
        write,
        top,
        least,
        binary,
        note,
        fresh,
    };
    plot::draw(pen, area, &plot);
}

/// What a chart is held against.
fn limits(pen: &Pen<'_>, chart: &Chart, instance: &Instance, cloud: &Cloud) -> Vec<Limit> {
    let look = pen.look;
    let (warn, hard): (Style, Style) = (look.warning.remove_modifier(Modifier::BOLD), look.dim);
    let rds = cloud.rds.value.as_deref();
    let class = rds.and_then(|rds| Class::named(rds.class.raw()));
    let limit = |at: Option<f64>, name, style| at.map(|at| Limit { at, name, style });
    let found = match chart.lines.first().map(|(metric, _)| *metric) {
        Some(Of::CpuUtilization) => vec![limit(Some(WARN), "warning", warn)],
        Some(Of::DbLoad) => {
            let vcpus = class.map(|class| class.vcpus).or((!instance.vcpus_estimated).then_some(instance.vcpus));
            vec![limit(vcpus, "vCPUs", hard)]
        }
        Some(Of::FreeableMemory) => vec![limit(class.map(|class| class.memory), "of", hard)],
        Some(Of::FreeStorageSpace) => {
            let gib = rds.and_then(|rds| rds.storage.allocated_gib);
            vec![limit(gib.map(|gib| f64::from(gib) * 1_073_741_824.0), "of", hard)]
        }
        Some(Of::ReadLatency) => vec![limit(Some(SLOW), "slow", warn)],
        Some(Of::ReadIops) => {
            let gives = rds.and_then(|rds| rds.storage.gives());
            let burst = gives.and_then(|iops| iops.burst);
            vec![limit(gives.map(|iops| iops.steady), "of", hard), limit(burst, "burst", hard)]
        }
        Some(Of::DatabaseConnections) => {
            vec![limit(instance.usable_connections().map(f64::from), "of", hard)]
        }
        Some(Of::BurstBalance | Of::EbsIoBalance) => vec![limit(Some(100.0 - WARN), "warning", warn)],
        Some(Of::CpuCreditBalance) => {
            let most = class.and_then(|class| class.credits).map(|credits| credits.most);
            vec![limit(most, "at most", hard)]
        }
        Some(Of::MaximumUsedTransactionIds) => {
            vec![limit(Some(OLD_XID), "old", warn), limit(Some(LAST_XID), "the end", look.critical)]
        }
        _ => Vec::new(),
    };
    found.into_iter().flatten().collect()
}

/// What CloudWatch says now, in one line.
pub(super) fn words(pen: &Pen<'_>, cloud: &Cloud) -> String {
    let moment = pen.model.moment();
    let told = |metric, write: fn(f64) -> String| {
        let figure = cloud.figure(metric, moment);
        figure.map_or("—".to_owned(), |figure| {
            let old = if figure.fresh { String::new() } else { format!(" ({} ago)", duration(figure.age)) };
            format!("{}{old}", write(figure.value))
        })
    };
    format!(
        "CPU {} · memory free {} · read {} · write {} · {} reads, {} writes · queue {} · load {}",
        told(Of::CpuUtilization, percent),
        told(Of::FreeableMemory, size),
        told(Of::ReadLatency, latency),
        told(Of::WriteLatency, latency),
        told(Of::ReadIops, rate),
        told(Of::WriteIops, rate),
        told(Of::DiskQueueDepth, count),
        told(Of::DbLoad, count),
    )
}
