//! CloudWatch's alarms: kept as they were put, judged by the datapoints when somebody asks.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::cloudwatch::{invalid, points, statistic, subject};
use super::core::Core;
use super::http::Call;
use super::names::ACCOUNT;
use super::series::minute;
use super::state::Region;
use super::wire::{Answer, Fields, Input, Refusal, page};

/// An alarm.
#[derive(Debug, Clone)]
pub struct Alarm {
    /// As it was put.
    pub document: Input,
    /// `OK`, `ALARM`, `INSUFFICIENT_DATA`
    pub state: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// When it was put.
    pub configured: Timestamp,
    /// Until when somebody's word holds.
    pub set_until: Option<Timestamp>,
}

/// Answers a call; `None`: that is no call of this half.
pub fn answer(core: &Arc<Core>, call: &Call) -> Option<Answer> {
    let (region, input) = (call.region.as_str(), &call.input);
    Some(match call.action.as_str() {
        "PutMetricAlarm" => put(core, region, input),
        "DescribeAlarms" => describe(core, region, input),
        "DeleteAlarms" => delete(core, region, input),
        "SetAlarmState" => set(core, region, input),
        _ => return None,
    })
}

const OPERATORS: [&str; 4] =
    ["GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold"];

fn put(core: &Core, region: &str, input: &Input) -> Answer {
    let missing = |name: &str| Refusal::new("MissingParameter", format!("The parameter {name} is required."));
    let name = input.filled("AlarmName").ok_or_else(|| missing("AlarmName"))?;
    for unknown in ["Metrics", "ThresholdMetricId", "ExtendedStatistic", "EvaluationCriteria", "EvaluationWindow"] {
        if input.has(unknown) {
            let message = format!("The estate's AWS does not implement alarms with {unknown}");
            return Err(Refusal::new("InvalidParameterCombination", message));
        }
    }
    // There is no SNS here, nor anything else that an alarm could wake.
    for actions in ["AlarmActions", "InsufficientDataActions", "OKActions"] {
        if !input.texts(actions).is_empty() {
            let message = format!("The estate's AWS does not carry out {actions}");
            return Err(Refusal::new("InvalidParameterCombination", message));
        }
    }
    for needed in ["MetricName", "Namespace", "Statistic", "ComparisonOperator"] {
        input.filled(needed).ok_or_else(|| missing(needed))?;
    }
    if !input.filled("ComparisonOperator").is_some_and(|operator| OPERATORS.contains(&operator)) {
        return Err(invalid("Invalid ComparisonOperator"));
    }
    if !input.int("Period").is_some_and(|period| period > 0 && period % 60 == 0) {
        return Err(invalid(
            "Period must be a multiple of 60 (or 10 or 30, which the estate's AWS does not implement)",
        ));
    }
    if !input.int("EvaluationPeriods").is_some_and(|periods| (1..=1_440).contains(&periods)) {
        return Err(invalid("EvaluationPeriods must be at least 1"));
    }
    input.float("Threshold").ok_or_else(|| missing("Threshold"))?;
    let now = Timestamp::now();
    let mut state = core.state();
    let alarms = &mut state.region(region).alarms;
    let before = alarms.get(name);
    let alarm = Alarm {
        document: input.clone(),
        state: before.map_or_else(|| "INSUFFICIENT_DATA".to_owned(), |alarm| alarm.state.clone()),
        reason: before.map_or_else(|| "Unchecked: Initial alarm creation".to_owned(), |alarm| alarm.reason.clone()),
        since: before.map_or(now, |alarm| alarm.since),
        configured: now,
        set_until: None,
    };
    alarms.insert(name.to_owned(), alarm);
    Ok(Fields::new())
}

/// What the datapoints say by now.
fn judge(core: &Core, region: &Region, alarm: &Alarm, now: Timestamp) -> Option<(String, String)> {
    let document = &alarm.document;
    let period = document.int("Period")?;
    let periods = document.int("EvaluationPeriods")?;
    let enough = document.int("DatapointsToAlarm").unwrap_or(periods);
    let (threshold, statistic_name) = (document.float("Threshold")?, document.text("Statistic")?);
    let instance = subject(document).and_then(|(_, of)| region.instances.get(&of));
    // The minute that is running is not over; what it holds is not judged.
    let end = Timestamp::from_second(minute(now) * 60).ok()?;
    let start = end - SignedDuration::from_secs(period * periods);
    let found =
        instance.map(|it| points(core, it, document.text("MetricName").unwrap_or_default(), (start, end), period));
    let values: Vec<f64> =
        found.unwrap_or_default().iter().filter_map(|(_, point)| statistic(point, statistic_name)).collect();
    let values = &values[values.len().saturating_sub(periods as usize)..];
    let breaches = |value: &&f64| match document.text("ComparisonOperator") {
        Some("GreaterThanOrEqualToThreshold") => **value >= threshold,
        Some("GreaterThanThreshold") => **value > threshold,
        Some("LessThanThreshold") => **value < threshold,
        _ => **value <= threshold,
    };
    let absent = (periods as usize).saturating_sub(values.len());
    let treat = document.text("TreatMissingData").unwrap_or("missing");
    if values.is_empty() && (treat == "missing" || treat == "ignore") {
        let reason = format!("Insufficient Data: {periods} datapoints were unknown.");
        return (treat == "missing").then(|| ("INSUFFICIENT_DATA".to_owned(), reason));
    }
    let breaching = values.iter().filter(breaches).count() + if treat == "breaching" { absent } else { 0 };
    let alarmed = i64::try_from(breaching).is_ok_and(|breaching| breaching >= enough);
    let word = if alarmed { "ALARM" } else { "OK" };
    let last = values.last().copied().unwrap_or(threshold);
    let reason = format!(
        "Threshold Crossed: {breaching} out of the last {periods} datapoints [{last}] {} {} to the threshold ({threshold}).",
        if alarmed { "was" } else { "was not" },
        document.text("ComparisonOperator").unwrap_or_default()
    );
    Some((word.to_owned(), reason))
}

fn describe(core: &Core, region: &str, input: &Input) -> Answer {
    let now = Timestamp::now();
    let names: Vec<String> = core.state().region(region).alarms.keys().cloned().collect();
    for name in names {
        // Judged with the state held, noted after.
        let mut state = core.state();
        let region = state.region(region);
        let Some(alarm) = region.alarms.get(&name).cloned() else { continue };
        if alarm.set_until.is_some_and(|until| now < until) {
            continue;
        }
        let Some((word, reason)) = judge(core, region, &alarm, now) else { continue };
        if let Some(alarm) = region.alarms.get_mut(&name).filter(|alarm| alarm.state != word) {
            (alarm.state, alarm.reason, alarm.since) = (word, reason, now);
        }
    }
    let known = ["AlarmNamePrefix", "AlarmNames", "AlarmTypes", "MaxRecords", "NextToken", "StateValue"];
    if let Some(odd) = input.beyond(|name| known.contains(&name)) {
        return Err(invalid(format!("The estate's AWS does not implement the parameter {odd}")));
    }
    let wanted = input.texts("AlarmNames");
    let kinds = input.texts("AlarmTypes");
    let metric = kinds.is_empty() || kinds.iter().any(|kind| kind == "MetricAlarm");
    let found: Vec<Fields> = {
        let mut state = core.state();
        let alarms = state.region(region).alarms.iter();
        alarms
            .filter(|(name, _)| metric && (wanted.is_empty() || wanted.contains(name)))
            .filter(|(name, _)| input.filled("AlarmNamePrefix").is_none_or(|prefix| name.starts_with(prefix)))
            .filter(|(_, alarm)| input.filled("StateValue").is_none_or(|word| alarm.state == word))
            .map(|(name, alarm)| shape(region, name, alarm))
            .collect()
    };
    let most = input.int("MaxRecords").unwrap_or(50);
    if !(1..=100).contains(&most) {
        return Err(invalid("MaxRecords must be between 1 and 100"));
    }
    let (shown, more) = page(found, input.filled("NextToken"), most as usize)
        .ok_or_else(|| Refusal::new("InvalidNextToken", "The next token specified is invalid."))?;
    Ok(Fields::new()
        .list("MetricAlarms", "member", shown)
        .list::<Fields>("CompositeAlarms", "member", [])
        .maybe("NextToken", more))
}

fn shape(region: &str, name: &str, alarm: &Alarm) -> Fields {
    let document = &alarm.document;
    let mut shape = Fields::new()
        .with("AlarmName", name)
        .with("AlarmArn", format!("arn:aws:cloudwatch:{region}:{ACCOUNT}:alarm:{name}"))
        .with("AlarmConfigurationUpdatedTimestamp", alarm.configured)
        .with("ActionsEnabled", document.flag("ActionsEnabled").unwrap_or(true))
        .with("StateValue", alarm.state.as_str())
        .with("StateReason", alarm.reason.as_str())
        .with("StateUpdatedTimestamp", alarm.since)
        .with("StateTransitionedTimestamp", alarm.since)
        .maybe("Threshold", document.float("Threshold"));
    let kept =
        ["AlarmDescription", "MetricName", "Namespace", "Statistic", "Unit", "ComparisonOperator", "TreatMissingData"];
    for name in kept {
        shape = shape.maybe(name, document.text(name));
    }
    for name in ["Period", "EvaluationPeriods", "DatapointsToAlarm"] {
        shape = shape.maybe(name, document.int(name));
    }
    for name in ["OKActions", "AlarmActions", "InsufficientDataActions"] {
        shape = shape.list(name, "member", document.texts(name));
    }
    let dimensions = document.entries("Dimensions").into_iter().map(|it| {
        Fields::new()
            .with("Name", it.text("Name").unwrap_or_default())
            .with("Value", it.text("Value").unwrap_or_default())
    });
    shape.list("Dimensions", "member", dimensions)
}

fn delete(core: &Core, region: &str, input: &Input) -> Answer {
    let mut state = core.state();
    let alarms = &mut state.region(region).alarms;
    let names = input.texts("AlarmNames");
    if let Some(name) = names.iter().find(|name| !alarms.contains_key(*name)) {
        return Err(Refusal::missing("ResourceNotFound", format!("Alarm {name} does not exist")));
    }
    alarms.retain(|name, _| !names.contains(name));
    Ok(Fields::new())
}

fn set(core: &Core, region: &str, input: &Input) -> Answer {
    let word = input.filled("StateValue").unwrap_or_default();
    if !["OK", "ALARM", "INSUFFICIENT_DATA"].contains(&word) {
        return Err(invalid("StateValue must be OK, ALARM or INSUFFICIENT_DATA"));
    }
    let now = Timestamp::now();
    let mut state = core.state();
    let found = state.region(region).alarms.get_mut(input.filled("AlarmName").unwrap_or_default());
    let alarm = found.ok_or_else(|| Refusal::missing("ResourceNotFound", "Unknown alarm"))?;
    word.clone_into(&mut alarm.state);
    input.text("StateReason").unwrap_or_default().clone_into(&mut alarm.reason);
    alarm.since = now;
    // Until it is judged the next time, as with AWS.
    alarm.set_until = Some(now + SignedDuration::from_secs(60));
    Ok(Fields::new())
}
