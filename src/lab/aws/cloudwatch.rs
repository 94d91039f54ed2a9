//! CloudWatch: which metrics there are, and their datapoints.

use std::sync::Arc;

use jiff::Timestamp;

use super::core::Core;
use super::http::Call;
use super::metrics::{self, DIMENSION, METRICS, NAMESPACE};
use super::series::{Point, minute};
use super::state::Instance;
use super::wire::{Answer, Fields, Input, Refusal, Shape, page};

/// Queries in a call, at most.
const QUERIES: usize = 500;
/// Datapoints in an answer, at most and where nobody says.
const DATAPOINTS: usize = 100_800;
/// Metrics in an answer of `ListMetrics`.
const LISTED: usize = 500;

/// Answers a call; `None`: that is no call of this half.
pub fn answer(core: &Arc<Core>, call: &Call) -> Option<Answer> {
    let (region, input) = (call.region.as_str(), &call.input);
    Some(match call.action.as_str() {
        "ListMetrics" => list(core, region, input),
        "GetMetricData" => data(core, region, input),
        "GetMetricStatistics" => statistics(core, region, input),
        _ => return None,
    })
}

pub fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("InvalidParameterValue", message)
}

fn validation(message: impl Into<String>) -> Refusal {
    Refusal::new("ValidationError", message)
}

fn dimension(name: &str, value: &str) -> Fields {
    Fields::new().with("Name", name).with("Value", value)
}

fn list(core: &Core, region: &str, input: &Input) -> Answer {
    let dimensions = input.entries("Dimensions");
    let mut state = core.state();
    let mut found = Vec::new();
    if input.filled("Namespace").is_none_or(|namespace| namespace == NAMESPACE) {
        for instance in state.region(region).instances.values() {
            let fits = dimensions.iter().all(|it| {
                it.text("Name") == Some(DIMENSION) && it.filled("Value").is_none_or(|value| value == instance.id)
            });
            if !fits {
                continue;
            }
            let wanted = input.filled("MetricName");
            for name in metrics::of(instance).into_iter().filter(|name| wanted.is_none_or(|wanted| wanted == *name)) {
                found.push(Fields::new().with("Namespace", NAMESPACE).with("MetricName", name).list(
                    "Dimensions",
                    "member",
                    [dimension(DIMENSION, &instance.id)],
                ));
            }
        }
    }
    let (shown, more) = page(found, input.filled("NextToken"), LISTED).ok_or_else(|| invalid("Invalid NextToken"))?;
    Ok(Fields::new().list("Metrics", "member", shown).maybe("NextToken", more))
}

/// A metric that is asked for: of which instance.
pub fn subject(metric: &Input) -> Option<(String, String)> {
    let dimensions = metric.entries("Dimensions");
    let [only] = &dimensions[..] else { return None };
    let named = metric.text("Namespace") == Some(NAMESPACE) && only.text("Name") == Some(DIMENSION);
    named.then(|| Some((metric.text("MetricName")?.to_owned(), only.text("Value")?.to_owned())))?
}

fn period(seconds: Option<i64>) -> Result<i64, Refusal> {
    match seconds {
        // Below a minute there is only what somebody sent in such resolution: nothing here.
        Some(seconds) if [1, 5, 10, 20, 30].contains(&seconds) => Ok(60),
        Some(seconds) if seconds > 0 && seconds % 60 == 0 => Ok(seconds),
        _ => Err(validation("Period must be 1, 5, 10, 20, 30, or any multiple of 60")),
    }
}

fn span(input: &Input) -> Result<(Timestamp, Timestamp), Refusal> {
    let missing = |name: &str| Refusal::new("MissingParameter", format!("The parameter {name} is required."));
    let start = input.time("StartTime").ok_or_else(|| missing("StartTime"))?;
    let end = input.time("EndTime").ok_or_else(|| missing("EndTime"))?;
    if start >= end {
        return Err(validation("The parameter EndTime must be greater than StartTime."));
    }
    Ok((start, end))
}

/// Joined minutes from `start` to `end`, by periods of so many seconds.
pub fn points(
    core: &Core,
    instance: &Instance,
    name: &str,
    (start, end): (Timestamp, Timestamp),
    seconds: i64,
) -> Vec<(Timestamp, Point)> {
    // Nothing is older than two weeks, nor newer than now.
    let oldest = minute(Timestamp::now()) - 15 * 1_440;
    let last = (end.as_second().div_euclid(60)).min(minute(Timestamp::now()) + 1);
    let minutes = seconds / 60;
    let first = start.as_second().div_euclid(seconds) * minutes;
    let joined = metrics::with(core, instance, name, |metric| {
        let mut joined = Vec::new();
        let mut at = first.max(oldest.div_euclid(minutes) * minutes);
        while at < last {
            let within = (at..(at + minutes).min(last)).filter_map(|minute| metric.at(minute));
            if let Some(point) = within.reduce(Point::join)
                && let Ok(stamp) = Timestamp::from_second(at * 60)
            {
                joined.push((stamp, point));
            }
            at += minutes;
        }
        joined
    });
    joined.unwrap_or_default()
}

/// A statistic of a datapoint; `None`: there is no such statistic here.
pub fn statistic(point: &Point, name: &str) -> Option<f64> {
    match name {
        "Average" => Some(point.mean()),
        "Minimum" => Some(point.least),
        "Maximum" => Some(point.most),
        "Sum" => Some(point.sum),
        "SampleCount" => Some(point.count),
        _ => None,
    }
}

/// One query's answer, all of it.
struct Series {
    id: String,
    label: String,
    points: Vec<(Timestamp, f64)>,
}

fn data(core: &Core, region: &str, input: &Input) -> Answer {
    let queries = input.entries("MetricDataQueries");
    if queries.is_empty() || queries.len() > QUERIES {
        return Err(validation(format!("The collection MetricDataQueries must have between 1 and {QUERIES} entries.")));
    }
    let span = span(input)?;
    let newest_first = match input.filled("ScanBy") {
        None | Some("TimestampDescending") => true,
        Some("TimestampAscending") => false,
        Some(other) => return Err(validation(format!("Invalid ScanBy: {other}"))),
    };
    let most = input.int("MaxDatapoints").unwrap_or(100_800);
    let most = usize::try_from(most).ok().filter(|most| (1..=DATAPOINTS).contains(most));
    let most = most.ok_or_else(|| validation(format!("MaxDatapoints must be between 1 and {DATAPOINTS}")))?;
    let mut all = Vec::new();
    for query in &queries {
        if let Some(mut series) = one(core, region, query, span)? {
            if newest_first {
                series.points.reverse();
            }
            all.push(series);
        }
    }
    results(input, &all, most)
}

fn one(core: &Core, region: &str, query: &Input, span: (Timestamp, Timestamp)) -> Result<Option<Series>, Refusal> {
    let id = query.text("Id").unwrap_or_default();
    let legal = id.starts_with(|char: char| char.is_ascii_lowercase())
        && id.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
    if !legal {
        return Err(validation(format!(
            "The value {id} for parameter MetricDataQueries.member.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$."
        )));
    }
    if query.has("Expression") {
        return Err(validation(format!("Error in expression '{id}': the estate's AWS does not implement expressions")));
    }
    let wanted = query.inner("MetricStat");
    let seconds = period(wanted.int("Period"))?;
    let stat = wanted.text("Stat").unwrap_or_default();
    let known = statistic(&Point { sum: 0.0, count: 1.0, least: 0.0, most: 0.0 }, stat);
    known.ok_or_else(|| validation(format!("Invalid statistic '{stat}' (the estate's AWS has no percentiles)")))?;
    if query.flag("ReturnData") == Some(false) {
        return Ok(None);
    }
    let metric = wanted.inner("Metric");
    let mut points = Vec::new();
    if let Some((name, of)) = subject(&metric) {
        let unit_fits = wanted.filled("Unit").is_none_or(|unit| metrics::unit(&name) == Some(unit));
        let instance = core.state().region(region).instances.get(&of).cloned();
        if let (Some(instance), true) = (instance, unit_fits) {
            let found = self::points(core, &instance, &name, span, seconds);
            points.extend(found.iter().filter_map(|(at, point)| Some((*at, statistic(point, stat)?))));
        }
    }
    let label = query.filled("Label").or_else(|| metric.text("MetricName")).unwrap_or(id);
    Ok(Some(Series { id: id.to_owned(), label: label.to_owned(), points }))
}

/// As many datapoints as an answer holds; the token says where the next one goes on: query and place.
fn results(input: &Input, all: &[Series], most: usize) -> Answer {
    let (mut query, mut place) = match input.filled("NextToken") {
        None => (0, 0),
        Some(token) => {
            let parsed =
                token.split_once('-').and_then(|(query, place)| Some((query.parse().ok()?, place.parse().ok()?)));
            parsed.ok_or_else(|| Refusal::new("InvalidNextToken", "The next token specified is invalid."))?
        }
    };
    let mut left = most;
    let mut shown = Vec::new();
    while let Some(series) = all.get(query) {
        let rest: &[(Timestamp, f64)] = series.points.get(place..).unwrap_or_default();
        let part = &rest[..rest.len().min(left)];
        left -= part.len();
        let whole = part.len() == rest.len();
        shown.push(
            Fields::new()
                .with("Id", series.id.as_str())
                .with("Label", series.label.as_str())
                .list("Timestamps", "member", part.iter().map(|(at, _)| *at))
                .list("Values", "member", part.iter().map(|(_, value)| Shape::Float(*value)))
                .with("StatusCode", if whole { "Complete" } else { "PartialData" }),
        );
        if !whole {
            place += part.len();
            break;
        }
        (query, place) = (query + 1, 0);
        if left == 0 && query < all.len() {
            break;
        }
    }
    let more = (query < all.len()).then(|| format!("{query}-{place}"));
    Ok(Fields::new()
        .list("MetricDataResults", "member", shown)
        .list::<Fields>("Messages", "member", [])
        .maybe("NextToken", more))
}

fn statistics(core: &Core, region: &str, input: &Input) -> Answer {
    let span = span(input)?;
    let seconds = period(input.int("Period"))?;
    let wanted = input.texts("Statistics");
    if wanted.is_empty() {
        return Err(Refusal::new(
            "MissingParameter",
            "The parameter Statistics is required (there are no percentiles).",
        ));
    }
    let name = input.text("MetricName").unwrap_or_default();
    let instance = subject(input).and_then(|(_, of)| core.state().region(region).instances.get(&of).cloned());
    let found = instance.map(|instance| points(core, &instance, name, span, seconds)).unwrap_or_default();
    if found.len() > 1_440 {
        return Err(Refusal::new("InvalidParameterCombination", "You have requested more than 1,440 datapoints."));
    }
    let told = found.iter().map(|(at, point)| {
        let mut told = Fields::new().with("Timestamp", *at);
        for stat in &wanted {
            told = told.maybe(stat, statistic(point, stat));
        }
        told.maybe("Unit", METRICS.iter().find(|(known, _)| *known == name).map(|(_, unit)| *unit))
    });
    Ok(Fields::new().with("Label", name).list("Datapoints", "member", told))
}
