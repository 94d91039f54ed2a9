//! A page of an instance: what CloudWatch says, as charts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use crate::app::{Span as Window, Target, Viewport};
use crate::domain::facts::cloud::{Class, Cloud, Figure, Metric, MetricUnit, Metrics};
use crate::domain::foreign::sanitise;
use crate::domain::inspection::Answer;
use crate::domain::policy::Ladder;
use crate::domain::quantity::{GIB, MIB, bytes, count, duration, latency};
use crate::domain::watching::Lookback;
use crate::domain::{Instance, Severity};
use crate::ui::pen::{Edge, Pen, below, inner};
use crate::ui::widgets::plot::{self, Curve, Limit, Plot, Round};
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
    /// What it counts, where figures do not say it.
    unit: &'static str,
    /// What the sum of all its lines is called, where it is that which counts.
    sum: Option<&'static str>,
    /// Whether some instances have no such thing: then there is no chart either.
    some: bool,
}

const fn chart(
    title: &'static str,
    lines: &'static [(Metric, &'static str)],
    write: fn(f64) -> String,
    top: Option<f64>,
    least: f64,
) -> Chart {
    Chart { title, lines, write, top, least, unit: "", sum: None, some: false }
}

use Metric as Of;

/// All charts, what an incident is looked at by first.
static CHARTS: [Chart; 13] = [
    chart("CPU", &[(Of::CpuUtilization, "")], percent, Some(100.0), 100.0),
    Chart {
        unit: "(sessions)",
        ..chart(
            "DB load",
            &[(Of::DbLoad, "all"), (Of::DbLoadCpu, "CPU"), (Of::DbLoadNonCpu, "non-CPU")],
            count,
            None,
            1.0,
        )
    },
    chart("memory", &[(Of::FreeableMemory, "free"), (Of::SwapUsage, "swap")], size, None, MIB),
    chart("storage", &[(Of::FreeStorageSpace, "free"), (Of::TransactionLogsDiskUsage, "WAL")], size, None, MIB),
    chart("latency", &[(Of::ReadLatency, "read"), (Of::WriteLatency, "write")], latency, None, 0.001),
    // What storage gives is for both together.
    Chart { sum: Some("all"), ..chart("IOPS", &[(Of::ReadIops, "read"), (Of::WriteIops, "write")], rate, None, 10.0) },
    Chart { unit: "(reads, writes)", ..chart("disk queue", &[(Of::DiskQueueDepth, "")], count, None, 1.0) },
    chart("connections", &[(Of::DatabaseConnections, "")], count, None, 10.0),
    Chart {
        some: true,
        ..chart(
            "balance",
            &[(Of::BurstBalance, "Burst"), (Of::EbsIoBalance, "EBSIO"), (Of::EbsByteBalance, "EBSByte")],
            percent,
            Some(100.0),
            100.0,
        )
    },
    Chart { some: true, ..chart("CPU credits", &[(Of::CpuCreditBalance, "")], count, None, 10.0) },
    Chart { some: true, ..chart("replica lag", &[(Of::ReplicaLag, "")], duration, None, 1.0) },
    chart("MaximumUsedTransactionIDs", &[(Of::MaximumUsedTransactionIds, "")], count, None, 1e6),
    Chart { some: true, ..chart("OldestReplicationSlotLag", &[(Of::OldestReplicationSlotLag, "")], size, None, MIB) },
];

/// At this age of a transaction id PostgreSQL stops: 2³¹ less the three million that it keeps back.
const LAST_XID: f64 = 2_144_483_648.0;

fn percent(value: f64) -> String {
    format!("{value:.0}%")
}

fn size(value: f64) -> String {
    bytes(value.max(0.0) as u64)
}

fn rate(value: f64) -> String {
    format!("{}/s", count(value))
}

/// The charts of an instance, as many as it has, below a rule.
pub(super) fn draw(pen: &mut Pen<'_>, area: Rect, instance: &Instance) -> Viewport {
    let look = pen.look;
    let back = pen.model.figures.back;
    let title = pen.title(&format!("THE LAST {}, BY CLOUDWATCH", back.title().to_uppercase()));
    let answer = pen.model.figures.of(instance);
    let remarks = remarks(pen, instance, area.width);
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
            None if cloud.metrics.value.is_none() => {
                say(pen, inside, "no figures yet: what CloudWatch has of it is known with its first ones")
            }
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
fn remarks(pen: &Pen<'_>, instance: &Instance, width: u16) -> Vec<Line<'static>> {
    let cloud = instance.cloud.as_ref();
    let old = cloud.and_then(|cloud| cloud.metrics.missing(pen.model.moment()));
    let asked = pen
        .model
        .figures
        .trouble(instance, pen.model.now)
        .map(|(why, again)| format!("not asked again yet (r asks now, else in {}): {why}", duration(again.ceil())));
    let room = usize::from(width).saturating_sub(36);
    let told = asked.or(old).into_iter();
    told.map(|why| Line::from(Span::styled(format!(" {} ", text::cut(&sanitise(&why), room)), pen.look.warning)))
        .collect()
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
        let has = |chart: &Chart, metric: &Metric| {
            let points = self.metrics.series.get(metric);
            points.is_some_and(|points| !chart.some || !points.is_empty())
        };
        CHARTS.iter().filter(|chart| chart.lines.iter().any(|(metric, _)| has(chart, metric))).collect()
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

/// A line of a chart before it is drawn.
struct Traced {
    name: &'static str,
    points: Vec<(Timestamp, f64)>,
    /// The newest that is known, however far back the chart looks.
    figure: Option<Figure>,
}

impl Traced {
    fn of(drawn: &Drawn<'_>, metric: Metric, name: &'static str, moment: Timestamp) -> Option<Self> {
        let points = drawn.metrics.series.get(&metric)?.iter().map(|point| (point.at, point.value)).collect();
        Some(Self { name, points, figure: drawn.cloud.figure(metric, moment) })
    }

    /// What several come to together, at the moments that all of them have.
    fn sum(name: &'static str, all: &[Self]) -> Option<Self> {
        let (first, others) = all.split_first()?;
        let mut sums: BTreeMap<Timestamp, f64> = first.points.iter().copied().collect();
        let mut figure = first.figure;
        for other in others {
            let more: BTreeMap<Timestamp, f64> = other.points.iter().copied().collect();
            sums.retain(|at, sum| more.get(at).map(|value| *sum += value).is_some());
            figure = figure.zip(other.figure).map(|(one, other)| Figure {
                value: one.value + other.value,
                age: one.age.max(other.age),
                ahead: one.ahead || other.ahead,
                fresh: one.fresh && other.fresh,
            });
        }
        Some(Self { name, points: sums.into_iter().collect(), figure })
    }

    fn is_fresh(&self) -> bool {
        self.figure.is_some_and(|figure| figure.fresh)
    }
}

/// What a chart says of how old it is: nothing where it is of now.
fn note(traced: &[Traced]) -> Option<String> {
    let old = traced.iter().filter(|line| !line.is_fresh());
    let oldest = old.filter_map(|line| Some((line.name, line.figure?))).max_by(|a, b| a.1.age.total_cmp(&b.1.age));
    match oldest {
        _ if traced.iter().all(|line| line.points.is_empty() && line.figure.is_none()) => {
            Some("no datapoints".to_owned())
        }
        Some((_, figure)) if figure.ahead => Some("of the future: clocks differ".to_owned()),
        Some((name, figure)) => {
            let some = if traced.iter().any(Traced::is_fresh) { format!("{name} ") } else { String::new() };
            Some(format!("{some}{} ago", duration(figure.age)))
        }
        None => None,
    }
}

fn one(pen: &mut Pen<'_>, area: Rect, chart: &Chart, drawn: &Drawn<'_>) {
    let (look, moment) = (pen.look, pen.model.moment());
    let styles = [look.accent, look.second, look.warning.remove_modifier(Modifier::BOLD)];
    let lines = chart.lines.iter();
    let mut traced: Vec<Traced> = lines.filter_map(|(metric, name)| Traced::of(drawn, *metric, name, moment)).collect();
    if let Some(sum) = chart.sum.filter(|_| traced.len() > 1).and_then(|name| Traced::sum(name, &traced)) {
        traced.insert(0, sum);
    }
    let curves: Vec<Curve<'_>> = traced
        .iter()
        .zip(styles)
        .map(|(line, style)| Curve {
            name: line.name,
            points: &line.points,
            style,
            now: line.figure.map(|figure| figure.value),
            fresh: line.is_fresh(),
        })
        .collect();
    let limits = limits(pen, chart, drawn);
    let Chart { title, unit, write, top, least, .. } = *chart;
    let round = match chart.lines.first().map(|(metric, _)| metric.unit()) {
        Some(MetricUnit::Bytes) => Round::Binary,
        _ if chart.lines.iter().any(|(metric, _)| *metric == Of::ReplicaLag) => Round::Time,
        _ => Round::Decimal,
    };
    let plot = Plot {
        title,
        unit,
        curves: &curves,
        limits: &limits,
        until: moment,
        span: drawn.back.span(),
        period: drawn.back.period(),
        write,
        top,
        least,
        round,
        note: note(&traced),
        fresh: traced.iter().any(Traced::is_fresh),
    };
    plot::draw(pen, area, &plot);
}

/// What a chart is held against: the configured thresholds as figures of it, and what is provisioned. The worst first.
fn limits(pen: &Pen<'_>, chart: &Chart, drawn: &Drawn<'_>) -> Vec<Limit> {
    let Drawn { instance, cloud, .. } = *drawn;
    let look = pen.look;
    let thresholds = &pen.model.settings.thresholds;
    let rds = cloud.rds.value.as_deref();
    let class = rds.and_then(|rds| Class::named(rds.class.raw()));
    let (warn, alarm) =
        [Severity::Warning, Severity::Critical].map(|of| look.graded(Some(of)).unwrap_or(look.dim)).into();
    // Values of a ladder, written as those of the chart; what cannot be reached is no limit.
    let rungs = |ladder: Ladder, figure: &dyn Fn(f64) -> f64| {
        let both = [(ladder.critical, "critical", alarm), (ladder.warning, "warning", warn)];
        both.into_iter().map(|(rung, name, style)| Limit { at: figure(rung), name, style }).collect::<Vec<_>>()
    };
    let hard = |at: Option<f64>, name| at.map(|at| Limit { at, name, style: look.dim });
    let of_most = |most: Option<f64>, ladder, name| {
        let rungs = most.map(|most| rungs(ladder, &|share| most * share)).unwrap_or_default();
        rungs.into_iter().chain(hard(most, name)).collect()
    };
    let left_of = |most: Option<f64>, ladder, name| {
        let rungs = most.map(|most| rungs(ladder, &|share| most * (1.0 - share))).unwrap_or_default();
        rungs.into_iter().chain(hard(most, name)).collect()
    };
    let as_is = |value: f64| value;
    let found: Vec<Limit> = match chart.lines.first().map(|(metric, _)| *metric) {
        Some(Of::CpuUtilization) => rungs(thresholds.cpu, &|share| share * 100.0),
        Some(Of::DbLoad) => {
            let vcpus = class.map(|class| class.vcpus).or((!instance.vcpus_estimated).then_some(instance.vcpus));
            hard(vcpus, "vCPUs").into_iter().collect()
        }
        Some(Of::FreeableMemory) => left_of(class.map(|class| class.memory), thresholds.memory, "class"),
        Some(Of::FreeStorageSpace) => {
            // How much is left when so much of what it may grow to is in use: with room to grow, less than nothing.
            let filling = cloud.filling(pen.model.moment());
            let rungs = filling.map(|it| rungs(thresholds.storage, &|share| it.all - share * it.ceiling));
            let gib = rds.and_then(|rds| rds.storage.allocated_gib);
            let all = hard(gib.map(|gib| f64::from(gib) * GIB), "allocated");
            rungs.into_iter().flatten().chain(all).collect()
        }
        Some(Of::ReadLatency) => rungs(thresholds.latency_seconds, &as_is),
        Some(Of::ReadIops) => {
            let gives = rds.and_then(|rds| rds.storage.gives());
            let credits = cloud.figure(Of::BurstBalance, pen.model.moment()).and_then(Figure::now);
            let now = gives.map(|gives| gives.now(credits).unwrap_or(gives.steady));
            let burst = hard(gives.and_then(|gives| gives.burst), "burst");
            let steady = hard(gives.map(|gives| gives.steady), "given");
            let rungs = now.map(|most| rungs(thresholds.iops, &|share| most * share));
            rungs.into_iter().flatten().chain(steady).chain(burst).collect()
        }
        Some(Of::DatabaseConnections) => {
            of_most(instance.usable_connections().map(f64::from), thresholds.connections, "usable")
        }
        Some(Of::BurstBalance | Of::EbsIoBalance | Of::EbsByteBalance) => {
            rungs(thresholds.credits_used, &|share| (1.0 - share) * 100.0)
        }
        Some(Of::CpuCreditBalance) => {
            let most = class.and_then(|class| class.credits).map(|credits| credits.most);
            left_of(most, thresholds.credits_used, "at most")
        }
        Some(Of::ReplicaLag) => rungs(thresholds.replication_lag_seconds, &as_is),
        Some(Of::MaximumUsedTransactionIds) => {
            let rungs = rungs(thresholds.xid_age, &as_is).into_iter();
            let info = Limit { at: thresholds.xid_age_info, name: "worth knowing", style: look.dim };
            let end = Limit { at: LAST_XID, name: "the end", style: look.critical };
            [end].into_iter().chain(rungs).chain([info]).collect()
        }
        Some(Of::OldestReplicationSlotLag) => rungs(thresholds.replication_lag_bytes, &as_is),
        _ => Vec::new(),
    };
    found.into_iter().filter(|limit| limit.at > 0.0).collect()
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
        "CPU {} · memory free {} · read {} · write {} · {} reads, {} writes · queue {} · DB load {}",
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
