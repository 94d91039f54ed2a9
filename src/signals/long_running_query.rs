//! `long-running-query`: statements that run for too long. One finding a tenant, about its oldest statement. Time spent
//! waiting for a lock does not count: `lock-chain` says that, about somebody else.

use std::collections::{BTreeSet, HashSet};

use crate::domain::facts::Source;
use crate::domain::lock_graph::is_inferred;
use crate::domain::quantity::{duration, percent, plural};
use crate::domain::session::Wait;
use crate::domain::{Evidence, Session, Signal, Subject, SubjectKind, TenantId, Unit};

use super::words::{cancel_each, pids, remedy, sessions_of, whose};
use super::{Check, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct LongRunningQuery;

impl Check for LongRunningQuery {
    fn signal(&self) -> Signal {
        Signal::LongRunningQuery
    }

    fn about(&self) -> &'static str {
        "A statement runs for 1 minute, lock waits not counted; critical at 5 minutes"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Tenant, SubjectKind::Role]
    }

    fn holds(&self) -> bool {
        false
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let activity = &place.instance.activity;
            if verdicts.seen(self.signal(), place, Source::Activity, activity, scene.now).is_none() {
                continue;
            }
            let least = scene.thresholds.query_seconds.warning;
            // Found once: there may be as many offenders as tenants.
            let blocked: Vec<&Session> = place
                .sessions
                .iter()
                .copied()
                .filter(|session| session.blocking.is_some() && !is_inferred(session))
                .collect();
            for (subject, statements) in place.offenders(ran, least) {
                verdicts.raised.extend(raise(scene, place, subject, &statements, &blocked));
            }
        }
    }
}

/// How long a statement has worked.
fn ran(session: &Session) -> Option<f64> {
    let age = session.query_age()?;
    let waits = session.wait.as_ref().is_some_and(Wait::is_lock);
    match session.lock_wait() {
        Some(wait) => Some(age - wait),
        // It waits, and how long is not known: nothing can be said against it.
        None if waits => None,
        None => Some(age),
    }
}

/// Whether anybody suffers from it.
struct Suffering {
    words: String,
    blocked: usize,
    victims: Vec<TenantId>,
}

/// Who waits behind these statements, else what they use that the instance is short of. Nobody's suffering is invented:
/// what a single statement takes of a CPU is not known, only that it works while there are too few.
fn suffering(scene: &Scene<'_>, place: &Place<'_>, statements: &[(f64, &Session)], blocked: &[&Session]) -> Suffering {
    let pids: HashSet<i32> = statements.iter().map(|(_, session)| session.key.pid).collect();
    let own: HashSet<&TenantId> = statements.iter().filter_map(|(_, session)| place.doer(session)).collect();
    let behind = |session: &&Session| {
        session.blocking.as_ref().is_some_and(|blocking| blocking.by.iter().any(|pid| pids.contains(pid)))
    };
    let blocked: Vec<&Session> = blocked.iter().copied().filter(behind).collect();
    let victims: BTreeSet<&TenantId> =
        blocked.iter().filter_map(|session| place.doer(session)).filter(|it| !own.contains(it)).collect();
    let victims: Vec<TenantId> = victims.into_iter().cloned().collect();
    let pressure = place.instance.pressure;
    let short = [("CPU", pressure.cpu), ("reads", pressure.reads), ("writes", pressure.writes)]
        .into_iter()
        .filter_map(|(name, pressure)| pressure.map(|pressure| (name, pressure)))
        .filter(|(_, pressure)| scene.thresholds.noisy_pressure.rung(*pressure).is_some())
        .max_by(|one, other| one.1.total_cmp(&other.1));
    let words = match (blocked.len(), short) {
        (0, Some((name, pressure))) => {
            format!("blocks nobody, but {} is short of {name} ({})", place.name(), percent(pressure))
        }
        (0, None) if pressure.cpu.is_none() => "blocks nobody".to_owned(),
        (0, None) => "nobody suffers from it".to_owned(),
        (_, _) => format!("blocks {}", sessions_of(place, &blocked, &own)),
    };
    Suffering { words, blocked: blocked.len(), victims }
}

fn raise(
    scene: &Scene<'_>,
    place: &Place<'_>,
    subject: Subject,
    statements: &[(f64, &Session)],
    blocked: &[&Session],
) -> Option<Raised> {
    let (age, worst) = statements.first().copied()?;
    let (severity, _) = scene.thresholds.query_seconds.rung(age)?;
    let pid = worst.key.pid;
    let sessions: Vec<&Session> = statements.iter().map(|(_, session)| *session).collect();
    let more = match statements.len() - 1 {
        0 => String::new(),
        count => {
            let over = duration(scene.thresholds.query_seconds.warning);
            format!("; {} over {over} ({})", plural(count, "more statement"), pids(sessions.iter().copied().skip(1)))
        }
    };
    let tenant = place.doer(worst).cloned();
    let then = tenant.as_ref().map_or_else(String::new, |tenant| {
        let cap = remedy(place, tenant, &[worst], |login| {
            format!("statement_timeout on {login} caps the like in new sessions")
        });
        format!("; {cap}")
    });
    let suffering = suffering(scene, place, statements, blocked);
    Some(Raised {
        severity,
        subject,
        summary: format!(
            "{} has run one statement for {} on {} (pid {pid}){more}; {}",
            whose(place, worst),
            duration(age),
            place.name(),
            suffering.words
        ),
        evidence: vec![
            Evidence::on("age of the oldest statement", age, scene.thresholds.query_seconds, Unit::Seconds),
            Evidence::fact("statements that run for too long", statements.len() as f64, Unit::Count),
            Evidence::fact("sessions that they block", suffering.blocked as f64, Unit::Count),
        ],
        advice: match sessions.len() {
            1 => format!("Look at pid {pid}; if nobody waits for its result, cancel it{then}."),
            _ => format!(
                "Look at {}; if nobody waits for their results, cancel them{then}.",
                pids(sessions.iter().copied())
            ),
        },
        statement: cancel_each(&sessions),
        since: worst.query_started.map(Into::into),
        culprits: tenant.into_iter().collect(),
        victims: suffering.victims,
        rests_on: vec![Source::Activity],
    })
}
