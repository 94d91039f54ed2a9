//! `tierdeck findings`: what is wrong, for people, scripts and cron.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use color_eyre::eyre::Result;

use super::arguments::FindingsOptions;
use super::document::{Findings, moment};
use super::{Exit, observe, output};
use crate::domain::foreign::sanitise;
use crate::domain::quantity::{minute, plural};
use crate::domain::{Finding, Severity, Signal, Snapshot, Subject, Unknown};

/// How long is looked at the least: who suffers from whom shows in more than a moment.
const LEAST: Duration = Duration::from_secs(3);

pub(super) async fn run(config: Option<&Path>, options: FindingsOptions) -> Result<Exit> {
    let Some(config) = observe::configuration(config) else { return Ok(Exit::Usage) };
    let mut poller = observe::look(&config, false)?;
    let began = tokio::time::Instant::now();
    let mut snapshot = Snapshot::clone(&*observe::complete(&mut poller).await);
    let end = began + options.duration.unwrap_or(LEAST);
    let mut found = BTreeMap::new();
    collect(&mut found, &snapshot);
    while let Ok(Ok(())) = tokio::time::timeout_at(end, poller.snapshots.changed()).await {
        snapshot = Snapshot::clone(&poller.snapshots.borrow_and_update());
        collect(&mut found, &snapshot);
    }
    snapshot.findings = found.into_values().collect();
    snapshot.findings.sort_by_key(|it| (it.is_muted(), Reverse(it.severity), it.acknowledged.is_some(), it.since));
    let written =
        if options.json { output::document(&Findings::of(&snapshot)) } else { output::text(&words(&snapshot)) };
    if written? != Exit::Fine {
        return Ok(Exit::Interrupted);
    }
    let open = snapshot.findings.iter().filter(|finding| finding.acknowledged.is_none());
    let worst = open.map(|finding| finding.severity).max();
    Ok(match options.fail_on {
        Some(least) if worst >= Some(Severity::from(least)) => Exit::Found,
        _ => Exit::Fine,
    })
}

/// What came and went while sampling is kept, as it was at its worst.
pub(super) fn collect(found: &mut BTreeMap<(Signal, Subject), Finding>, snapshot: &Snapshot) {
    for finding in &snapshot.findings {
        let key = (finding.signal, finding.subject.clone());
        match found.get(&key) {
            Some(before) if before.severity > finding.severity => {}
            _ => {
                found.insert(key, finding.clone());
            }
        }
    }
}

/// The findings as people read them.
pub(super) fn words(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    let (muted, shown): (Vec<&Finding>, Vec<&Finding>) = snapshot.findings.iter().partition(|it| it.is_muted());
    for finding in &shown {
        let (glyph, severity) = match finding.severity {
            Severity::Critical => ("✖", "CRIT"),
            Severity::Warning => ("▲", "WARN"),
            Severity::Info => ("●", "INFO"),
        };
        let age = snapshot.taken_at.duration_since(finding.since).as_secs_f64();
        let since = crate::domain::quantity::duration(age);
        let stale = if finding.stale { ", last known" } else { "" };
        // How long something has been set up like that is not known: only for how long we have seen it.
        let seen = if finding.signal.is_upkeep() { "seen for " } else { "" };
        let _ = writeln!(text, "{glyph} {severity}  {}  [{}, {seen}{since}{stale}]", finding.summary, finding.signal);
        if let Some(word) = &finding.acknowledged {
            let until = moment(word.until);
            let _ =
                writeln!(text, "        acknowledged by {} until {until}: {}", sanitise(&word.by), sanitise(&word.why));
        }
        let _ = writeln!(text, "        → {}", finding.advice);
        if let Some(statement) = &finding.statement {
            for line in statement.lines() {
                let _ = writeln!(text, "          {line}");
            }
        }
    }
    if shown.is_empty() {
        text.push_str("nothing found\n");
    }
    if !muted.is_empty() {
        let _ = writeln!(text, "-       {} muted (tierdeck ack list)", plural(muted.len(), "finding"));
    }
    // One missing input leaves several signals out: it is told once.
    let mut reasons: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    // What merely wants time comes last, and says until when.
    let (waits, stuck): (Vec<&Unknown>, Vec<&Unknown>) =
        snapshot.unknown.iter().map(|it| &**it).partition(|it| it.known_at.is_some());
    for unknown in stuck {
        let (about, reason, name) = (unknown.subject.id.as_str(), unknown.reason.as_str(), unknown.signal.name());
        match reasons.iter_mut().find(|known| known.0 == about && known.1 == reason) {
            Some(known) => known.2.push(name),
            None => reasons.push((about, reason, vec![name])),
        }
    }
    for (about, reason, names) in reasons {
        let _ = writeln!(text, "?       on {about} cannot be judged: {}: {reason}", names.join(", "));
    }
    for (Unknown { signal, subject, reason, .. }, at) in waits.iter().filter_map(|it| Some((it, it.known_at?))) {
        let _ = writeln!(text, "·       on {} known by {}: {signal}: {reason}", subject.id, minute(at));
    }
    text
}
