//! `long-running-query`: statements that run for too long. One finding a tenant, about its oldest statement. Time spent
//! waiting for a lock does not count: `lock-chain` says that, about somebody else.

use crate::domain::facts::Source;
use crate::domain::quantity::{duration, plural};
use crate::domain::session::Wait;
use crate::domain::{Evidence, Session, Signal, Subject, Unit};

use super::words::{remedy, signal, whose};
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

    fn holds(&self) -> bool {
        false
    }

    fn check(&self, scene: &Scene<'_>, verdicts: &mut Verdicts) {
        for place in scene.places() {
            let activity = &place.instance.activity;
            if verdicts.seen(self.signal(), &place, Source::Activity, activity, scene.now).is_none() {
                continue;
            }
            let least = scene.thresholds.query_seconds.warning;
            for (subject, statements) in place.offenders(ran, least) {
                verdicts.raised.extend(raise(scene, &place, subject, &statements));
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

fn raise(scene: &Scene<'_>, place: &Place<'_>, subject: Subject, statements: &[(f64, &Session)]) -> Option<Raised> {
    let (age, worst) = statements.first().copied()?;
    let (severity, threshold) = scene.thresholds.query_seconds.rung(age)?;
    let pid = worst.key.pid;
    let more = match statements.len() - 1 {
        0 => String::new(),
        count => {
            format!("; {} over {}", plural(count, "more statement"), duration(scene.thresholds.query_seconds.warning))
        }
    };
    let tenant = worst.attribution.strong().cloned();
    let then = tenant.as_ref().map_or_else(String::new, |tenant| {
        let cap = remedy(place, tenant, &[worst], |login| {
            format!("statement_timeout on {login} caps the like in new sessions")
        });
        format!("; {cap}")
    });
    Some(Raised {
        severity,
        subject,
        summary: format!(
            "{} has run one statement for {} on {} (pid {pid}){more}",
            whose(worst),
            duration(age),
            place.name()
        ),
        evidence: vec![
            Evidence::against("age of the oldest statement", age, threshold, Unit::Seconds),
            Evidence::fact("statements that run for too long", statements.len() as f64, Unit::Count),
        ],
        advice: format!("Look at pid {pid}; if nobody waits for its result, cancel it{then}."),
        statement: Some(signal("pg_cancel_backend", worst)),
        since: worst.query_started,
        culprits: tenant.into_iter().collect(),
        victims: Vec::new(),
        rests_on: vec![Source::Activity],
    })
}
