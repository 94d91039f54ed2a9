//! CloudWatch Logs: a group for each instance that exports its log, one stream in it, the server's own words.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::core::Core;
use super::http::{Call, unknown};
use super::journal::{self, Entry};
use super::names::ACCOUNT;
use super::wire::{Answer, Fields, Input, Refusal, page};

/// What an answer holds at most.
const EVENTS: usize = 10_000;

struct Group {
    name: String,
    instance: String,
    created: Timestamp,
    folder: PathBuf,
}

/// Answers a call.
pub fn answer(core: &Arc<Core>, call: &Call) -> Answer {
    let (region, input) = (call.region.as_str(), &call.input);
    match call.action.as_str() {
        "DescribeLogGroups" => describe_groups(core, region, input),
        "DescribeLogStreams" => streams(core, region, input),
        "GetLogEvents" => get(core, region, input),
        "FilterLogEvents" => filter(core, region, input),
        _ => Err(unknown(call)),
    }
}

fn groups(core: &Core, region: &str) -> Vec<Group> {
    let mut state = core.state();
    let instances = state.region(region).instances.values();
    let exporting = instances.filter(|it| it.shape.exports.iter().any(|kind| kind == "postgresql"));
    exporting
        .filter_map(|it| {
            Some(Group {
                name: format!("/aws/rds/instance/{}/postgresql", it.id),
                instance: it.id.clone(),
                created: it.created,
                folder: it.machine.as_ref()?.logs.clone(),
            })
        })
        .collect()
}

fn invalid(message: &str) -> Refusal {
    Refusal::new("InvalidParameterException", message)
}

fn arn(region: &str, group: &str) -> String {
    format!("arn:aws:logs:{region}:{ACCOUNT}:log-group:{group}")
}

fn limited(input: &Input, usual: usize, most: usize) -> Result<usize, Refusal> {
    match input.int("limit") {
        None => Ok(usual),
        Some(limit) if usize::try_from(limit).is_ok_and(|limit| (1..=most).contains(&limit)) => Ok(limit as usize),
        Some(_) => Err(invalid(&format!("1 validation error detected: Value at 'limit' must be between 1 and {most}"))),
    }
}

fn describe_groups(core: &Core, region: &str, input: &Input) -> Answer {
    let (prefix, part) = (input.filled("logGroupNamePrefix"), input.filled("logGroupNamePattern"));
    let found: Vec<Fields> = groups(core, region)
        .iter()
        .filter(|it| prefix.is_none_or(|prefix| it.name.starts_with(prefix)))
        .filter(|it| part.is_none_or(|part| it.name.to_lowercase().contains(&part.to_lowercase())))
        .map(|it| {
            let size: u64 = journal::files(&it.folder).iter().map(|file| file.size).sum();
            Fields::new()
                .with("logGroupName", &it.name)
                .with("creationTime", it.created.as_millisecond())
                .with("metricFilterCount", 0_i64)
                .with("arn", format!("{}:*", arn(region, &it.name)))
                .with("storedBytes", size)
                .with("logGroupClass", "STANDARD")
                .with("logGroupArn", arn(region, &it.name))
        })
        .collect();
    let most = limited(input, 50, 50)?;
    let (shown, more) = page(found, input.filled("nextToken"), most).ok_or_else(|| invalid("Invalid nextToken"))?;
    Ok(Fields::new().list("logGroups", "member", shown).maybe("nextToken", more))
}

/// The group that a call is about.
fn group(core: &Core, region: &str, input: &Input) -> Result<Group, Refusal> {
    let wanted = input.filled("logGroupName").or_else(|| input.filled("logGroupIdentifier"));
    let wanted = wanted.ok_or_else(|| invalid("logGroupName or logGroupIdentifier must be given"))?;
    let found = groups(core, region).into_iter().find(|it| it.name == wanted || arn(region, &it.name) == wanted);
    found.ok_or_else(|| Refusal::new("ResourceNotFoundException", "The specified log group does not exist."))
}

fn stream_name(group: &Group) -> String {
    format!("{}.0", group.instance)
}

fn streams(core: &Core, region: &str, input: &Input) -> Answer {
    let group = group(core, region, input)?;
    let name = stream_name(&group);
    let wanted = input.filled("logStreamNamePrefix").is_none_or(|prefix| name.starts_with(prefix));
    let entries = journal::entries(&group.folder);
    let moment = |entry: Option<&Entry>| entry.map(|entry| entry.at.as_millisecond());
    let stream = Fields::new()
        .with("logStreamName", &name)
        .with("creationTime", group.created.as_millisecond())
        .maybe("firstEventTimestamp", moment(entries.first()))
        .maybe("lastEventTimestamp", moment(entries.last()))
        .maybe("lastIngestionTime", moment(entries.last()))
        .with("arn", format!("{}:log-stream:{name}", arn(region, &group.name)))
        .with("storedBytes", 0_i64);
    Ok(Fields::new().list("logStreams", "member", wanted.then_some(stream)))
}

/// The entries of a time.
fn within(group: &Group, input: &Input) -> Vec<Entry> {
    let (start, end) = (input.int("startTime").unwrap_or(i64::MIN), input.int("endTime").unwrap_or(i64::MAX));
    let mut entries = journal::entries(&group.folder);
    entries.retain(|entry| (start..end).contains(&entry.at.as_millisecond()));
    entries
}

fn get(core: &Core, region: &str, input: &Input) -> Answer {
    let group = group(core, region, input)?;
    if input.filled("logStreamName") != Some(stream_name(&group).as_str()) {
        return Err(Refusal::new("ResourceNotFoundException", "The specified log stream does not exist."));
    }
    let entries = within(&group, input);
    let most = limited(input, EVENTS, EVENTS)?;
    let head = input.flag("startFromHead").unwrap_or(false);
    // Tokens are places between entries: forward from there, or backward up to there.
    let place = |token: &str| token.split_once('/').and_then(|(_, place)| place.parse::<usize>().ok());
    let (start, end) = match input.filled("nextToken") {
        None if head => (0, most.min(entries.len())),
        None => (entries.len().saturating_sub(most), entries.len()),
        Some(token) => {
            let place = place(token).ok_or_else(|| invalid("The specified nextToken is invalid."))?.min(entries.len());
            if token.starts_with('b') {
                (place.saturating_sub(most), place)
            } else {
                (place, place.saturating_add(most).min(entries.len()))
            }
        }
    };
    let events = entries[start..end].iter().map(|entry| {
        Fields::new()
            .with("timestamp", entry.at.as_millisecond())
            .with("message", &entry.text)
            .with("ingestionTime", entry.at.as_millisecond())
    });
    Ok(Fields::new()
        .list("events", "member", events)
        .with("nextForwardToken", format!("f/{end:056}"))
        .with("nextBackwardToken", format!("b/{start:056}")))
}

fn filter(core: &Core, region: &str, input: &Input) -> Answer {
    let group = group(core, region, input)?;
    let pattern = Pattern::parse(input.filled("filterPattern").unwrap_or_default())?;
    let name = stream_name(&group);
    let streams = input.texts("logStreamNames");
    let meant = (streams.is_empty() || streams.contains(&name))
        && input.filled("logStreamNamePrefix").is_none_or(|prefix| name.starts_with(prefix));
    let found: Vec<(usize, Entry)> =
        within(&group, input).into_iter().enumerate().filter(|(_, entry)| meant && pattern.fits(&entry.text)).collect();
    let most = limited(input, EVENTS, EVENTS)?;
    let (shown, more) =
        page(found, input.filled("nextToken"), most).ok_or_else(|| invalid("The specified nextToken is invalid."))?;
    let events = shown.into_iter().map(|(place, entry)| {
        Fields::new()
            .with("logStreamName", &name)
            .with("timestamp", entry.at.as_millisecond())
            .with("message", &entry.text)
            .with("ingestionTime", entry.at.as_millisecond())
            .with("eventId", format!("{:020}{place:036}", entry.at.as_millisecond()))
    });
    Ok(Fields::new()
        .list("events", "member", events)
        .list::<Fields>("searchedLogStreams", "member", [])
        .maybe("nextToken", more))
}

/// Words that must all be there, words of which one must be, words that must not.
#[derive(Debug, Default)]
struct Pattern {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let mut pattern = Self::default();
        if text.trim_start().starts_with(['{', '[', '%']) {
            return Err(invalid("Invalid filter pattern (the estate's AWS knows terms only)"));
        }
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let into = match rest.chars().next() {
                Some('?') => &mut pattern.any,
                Some('-') => &mut pattern.none,
                _ => &mut pattern.all,
            };
            rest = rest.strip_prefix(['?', '-']).unwrap_or(rest);
            let (term, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').ok_or_else(|| invalid("Invalid filter pattern"))?,
                None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
            };
            into.push(term.to_owned());
            rest = after.trim_start();
        }
        Ok(pattern)
    }

    fn fits(&self, text: &str) -> bool {
        let there = |term: &String| text.contains(term.as_str());
        self.all.iter().all(there)
            && (self.any.is_empty() || self.any.iter().any(there))
            && !self.none.iter().any(there)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn terms_are_found_as_cloudwatch_finds_them() {
        for (pattern, text, fits) in [
            ("", "anything", true),
            ("ERROR", "an ERROR", true),
            ("ERROR STATEMENT", "an ERROR", false),
            ("?ERROR ?FATAL", "a FATAL", true),
            ("ERROR -deadlock", "ERROR: deadlock", false),
            ("\"duplicate key\"", "a duplicate key", true),
            ("\"duplicate key\"", "a key duplicate", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().fits(text), fits, "{pattern} in {text}");
        }
        assert!(Pattern::parse("{ $.x = 1 }").is_err());
    }
}
