//! `fence-held`: an operation shuts out who wants to write to a tenant. While it is under way that is an outage which somebody
//! has to end; once it is done, as a quarantine, it is meant, and is told so that nobody forgets it.

use crate::domain::facts::{OperationRow, Source};
use crate::domain::quantity::duration;
use crate::domain::{Evidence, Severity, Signal, SubjectKind, Unit};

use super::words::names;
use super::{Check, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct FenceHeld;

impl Check for FenceHeld {
    fn signal(&self) -> Signal {
        Signal::FenceHeld
    }

    fn about(&self) -> &'static str {
        "An operation that is not done shuts out a tenant's writers: critical; one that is meant to: info"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Operation]
    }

    fn holds(&self) -> bool {
        false
    }

    fn lingers(&self) -> bool {
        false
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let observed = &place.instance.operations;
            let Some(known) = verdicts.seen(self.signal(), place, Source::Operations, observed, scene.now) else {
                continue;
            };
            for row in &known.rows {
                let age = |since: jiff::Timestamp| known.server_now.duration_since(since).as_secs_f64().max(0.0);
                let silent =
                    scene.thresholds.operation_silent_seconds.rung(age(row.heartbeat)).map(|(severity, _)| severity);
                verdicts.raised.extend(meant(place, row, age).or_else(|| held(place, row, age, silent)));
            }
        }
    }
}

/// What is done and stays in force until somebody releases it.
fn meant(place: &Place<'_>, row: &OperationRow, age: impl Fn(jiff::Timestamp) -> f64) -> Option<Raised> {
    let shuts = row.refused_since.is_some() || row.kind.raw() == "quarantine";
    if !(row.in_force && shuts) {
        return None;
    }
    let since = row.refused_since.unwrap_or(row.began);
    let seconds = age(since);
    let whose = whose(row);
    let what = if row.refused_since.is_some() { "writes are refused" } else { "nobody gets in" };
    Some(Raised {
        severity: Severity::Info,
        subject: place.about(SubjectKind::Operation, row.id.raw()),
        summary: format!(
            "{whose} is in quarantine since {}, by {}@{}: {what}, and that is meant",
            duration(seconds),
            row.operator,
            row.host
        ),
        evidence: vec![Evidence::fact("in force", seconds, Unit::Seconds)],
        advice: format!("When it is over: a on the tenant's page, or tierdeck act release {whose}."),
        statement: None,
        since: Some(since.into()),
        culprits: Vec::new(),
        victims: row.tenants.clone(),
        rests_on: vec![Source::Operations],
    })
}

/// What is under way, or was left as it is, with the door shut.
fn held(
    place: &Place<'_>,
    row: &OperationRow,
    age: impl Fn(jiff::Timestamp) -> f64,
    silent: Option<Severity>,
) -> Option<Raised> {
    let since = row.refused_since?;
    let seconds = age(since);
    let budget = row.refused_budget.map(|budget| budget as f64);
    // While it is tried, who writes is waited for. Nobody at work on it, it may have come, and nobody knows.
    let may = if budget.is_some() { "are" } else { "may be" };
    if budget.is_none() && row.state.raw() == "running" && silent.is_none() {
        return None;
    }
    let against = budget.map_or(String::new(), |budget| format!(" of {} that it may", duration(budget)));
    let evidence = match budget {
        Some(budget) => Evidence::against("writes refused", seconds, budget, Unit::Seconds),
        None => Evidence::fact("writes refused", seconds, Unit::Seconds),
    };
    let id = row.id.to_string();
    let advice = match row.state.raw() {
        "running" => format!("Follow it: 8 and ⏎, or tierdeck ops show {id}; when it does not end, roll it back."),
        "paused" => format!("Go on with it or roll it back, now: 8 and ⏎, or tierdeck ops rollback {id}."),
        _ => format!("It was left like this: see tierdeck ops report {id}, and give the rights back by hand."),
    };
    Some(Raised {
        severity: Severity::Critical,
        subject: place.about(SubjectKind::Operation, &id),
        summary: format!(
            "writes to {} {may} refused for {}{against}: {} {id} of {}@{} is {}",
            whose(row),
            duration(seconds),
            row.kind,
            row.operator,
            row.host,
            row.state
        ),
        evidence: vec![evidence],
        advice,
        statement: None,
        since: Some(since.into()),
        culprits: Vec::new(),
        victims: row.tenants.clone(),
        rests_on: vec![Source::Operations],
    })
}

/// Whom an operation is about.
pub(super) fn whose(row: &OperationRow) -> String {
    if row.tenants.is_empty() { "nobody's for certain".to_owned() } else { names(&row.tenants) }
}
