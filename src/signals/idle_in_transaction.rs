//! `idle-in-transaction`: transactions left open with nothing running: they keep locks, and hold vacuum back. One
//! finding a tenant, about its worst.

use std::collections::{BTreeSet, HashSet};

use crate::domain::facts::Source;
use crate::domain::quantity::{duration, plural};
use crate::domain::{Evidence, Onset, Session, Signal, Subject, SubjectKind, TenantId, Unit};

use super::words::{AT_ONCE, pids, quoted, remedy, sessions_of, terminate_each, whose};
use super::{Check, Place, Raised, Scene, Verdicts};
use crate::domain::lock_graph::is_inferred;

/// The check.
#[derive(Debug)]
pub(super) struct IdleInTransaction;

impl Check for IdleInTransaction {
    fn signal(&self) -> Signal {
        Signal::IdleInTransaction
    }

    fn about(&self) -> &'static str {
        "A transaction is left open with nothing running: 1 minute; critical at 5 minutes"
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
            let idle =
                |session: &Session| session.state.is_idle_in_transaction().then(|| session.state_age()).flatten();
            // Found once: there may be as many offenders as tenants.
            let blocked: Vec<&Session> =
                place.sessions.iter().copied().filter(|session| session.blocking.is_some()).collect();
            for (subject, open) in place.offenders(idle, scene.thresholds.idle_in_transaction_seconds.warning) {
                verdicts.raised.extend(raise(scene, place, subject, &open, &blocked));
            }
        }
    }
}

fn raise(
    scene: &Scene<'_>,
    place: &Place<'_>,
    subject: Subject,
    open: &[(f64, &Session)],
    blocked: &[&Session],
) -> Option<Raised> {
    let (age, worst) = open.first().copied()?;
    let (severity, _) = scene.thresholds.idle_in_transaction_seconds.rung(age)?;
    let tenant = place.doer(worst).cloned();
    let sessions: Vec<&Session> = open.iter().map(|(_, session)| *session).collect();
    let holders: HashSet<i32> = open.iter().map(|(_, session)| session.key.pid).collect();
    let blocked: Vec<&Session> = blocked
        .iter()
        .copied()
        .filter(|session| {
            session.blocking.as_ref().is_some_and(|blocking| blocking.by.iter().any(|pid| holders.contains(pid)))
        })
        .collect();
    // What was guessed from other waiters is believed only beside something that the server said.
    let blocked = if blocked.iter().any(|session| !is_inferred(session)) { blocked } else { Vec::new() };
    let victims: BTreeSet<&TenantId> = blocked.iter().filter_map(|session| place.doer(session)).collect();
    let victims: Vec<TenantId> =
        victims.into_iter().filter(|&victim| Some(victim) != tenant.as_ref()).cloned().collect();
    let pid = worst.key.pid;
    let mut clauses = vec![format!(
        "{} left a transaction open and idle for {} on {} (pid {pid})",
        whose(place, worst),
        duration(age),
        place.name()
    )];
    if open.len() > 1 {
        let others = pids(sessions.iter().copied().skip(1));
        clauses.push(format!("{} like it ({others})", plural(open.len() - 1, "more session")));
    }
    if !blocked.is_empty() {
        let own = tenant.iter().collect();
        clauses.push(format!("blocks {}", sessions_of(place, &blocked, &own)));
    }
    let login = quoted(worst.role.raw()).into_owned();
    let then = match &tenant {
        Some(tenant) => remedy(place, tenant, &[worst], |login| {
            format!("idle_in_transaction_session_timeout on {login} ends the like in new sessions")
        }),
        None => format!("idle_in_transaction_session_timeout on {login} ends the like in new sessions"),
    };
    let end = match sessions.len() {
        1 => format!("End pid {pid} (a cancel does nothing to an idle session)"),
        count if count <= AT_ONCE => format!("End these {count} (a cancel does nothing to an idle session)"),
        _ => format!("End the oldest {AT_ONCE} (a cancel does nothing to an idle session), then the next"),
    };
    Some(Raised {
        severity,
        subject,
        summary: clauses.join("; "),
        evidence: vec![
            Evidence::on(
                "idle in an open transaction",
                age,
                scene.thresholds.idle_in_transaction_seconds,
                Unit::Seconds,
            ),
            Evidence::fact("transactions left open", open.len() as f64, Unit::Count),
            Evidence::fact("sessions that they block", blocked.len() as f64, Unit::Count),
        ],
        advice: format!("{end}; {then}."),
        statement: terminate_each(&sessions),
        since: worst.state_changed.map(|at| Onset { cause: worst.transaction_started, ..at.into() }),
        culprits: tenant.into_iter().collect(),
        victims,
        rests_on: vec![Source::Activity],
    })
}
