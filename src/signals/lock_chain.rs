//! `lock-chain`: sessions that wait for a lock, blamed on whoever stands at the beginning: one finding a culprit.
//!
//! The wait itself is the proof over time, so nothing needs to be held; many victims are critical as soon as the oldest
//! has waited as long as a finding would otherwise have to hold.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::domain::facts::Source;
use crate::domain::lock_graph::{Chain, Root, chains, is_inferred, waits_since};
use crate::domain::quantity::{duration, plural};
use crate::domain::{Evidence, Onset, Session, Severity, Signal, Subject, SubjectKind, TenantId, Unit};

use super::words::{cancel, cancel_each, pids, sessions_of, tenants, terminate, terminate_each, whose};
use super::{Check, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct LockChain;

impl Check for LockChain {
    fn signal(&self) -> Signal {
        Signal::LockChain
    }

    fn about(&self) -> &'static str {
        "Sessions wait for a lock; the root is blamed: 5 s; critical at 30 s or 10 waiting sessions"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Tenant, SubjectKind::Session]
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
            for (subject, chain) in chains(&place.sessions, |root| subject(place, root)) {
                let Some(raised) = raise(scene, place, subject, &chain) else { continue };
                if matches!(chain.roots.first(), Some(Root::Unseen)) {
                    // Mostly a lock that was granted while the server answered: no finding, and not fine either.
                    verdicts.doubt(self.signal(), place, Source::Activity, &raised.summary);
                } else {
                    verdicts.raised.push(raised);
                }
            }
        }
    }
}

fn subject(place: &Place<'_>, root: &Root<'_>) -> Subject {
    let session = |id: &str| place.about(SubjectKind::Session, id);
    match root {
        Root::Session(root) => match place.doer(root) {
            Some(tenant) => place.about(SubjectKind::Tenant, tenant.as_str()),
            None => session(&root.key.pid.to_string()),
        },
        Root::Prepared => session("prepared transaction"),
        Root::Other(pid) => session(&pid.to_string()),
        Root::Unseen => session("unknown"),
        Root::Cycle(pids) => session(&pids.first().map(ToString::to_string).unwrap_or_default()),
    }
}

fn raise(scene: &Scene<'_>, place: &Place<'_>, subject: Subject, chain: &Chain<'_>) -> Option<Raised> {
    let thresholds = scene.thresholds;
    let root = chain.roots.first()?;
    // How long a root has kept others waiting is only believed of those whom the server said it blocks.
    let is_certain = |waiter: &&&Session| !is_inferred(waiter) || matches!(root, Root::Unseen);
    let oldest = chain.waiters.iter().find(is_certain)?;
    let wait = oldest.lock_wait()?;
    let waiting = chain.waiters.len() as f64;
    let rung = thresholds.lock_wait_seconds.rung(wait);
    let many = waiting >= thresholds.lock_victims && wait >= thresholds.hold_seconds;
    let severity = match rung {
        _ if many => Severity::Critical,
        Some((severity, _)) => severity,
        None => return None,
    };
    let culprits = culprits(place, chain);
    let behind: BTreeSet<&TenantId> = chain.waiters.iter().filter_map(|waiter| place.doer(waiter)).collect();
    let in_cycle = matches!(root, Root::Cycle(_));
    let victims: Vec<TenantId> =
        behind.into_iter().filter(|tenant| in_cycle || !culprits.contains(tenant)).cloned().collect();
    let mut evidence = vec![
        Evidence::on("oldest wait for a lock", wait, thresholds.lock_wait_seconds, Unit::Seconds),
        Evidence::against("sessions waiting", waiting, thresholds.lock_victims, Unit::Count),
        Evidence::fact("tenants that wait for somebody else", victims.len() as f64, Unit::Count),
    ];
    if let Root::Session(root) = root
        && let Some(age) = root.transaction_age()
    {
        evidence.push(Evidence::fact(format!("age of the transaction of pid {}", root.key.pid), age, Unit::Seconds));
    }
    let (advice, statement) = advice(root, &alike(chain));
    Some(Raised {
        severity,
        subject,
        summary: format!(
            "{}; oldest wait {}{}",
            sentence(place, chain, &culprits, &victims),
            duration(wait),
            on(oldest)
        ),
        evidence,
        advice,
        statement,
        since: waits_since(oldest).map(|at| Onset { cause: cause(chain), ..at.into() }),
        culprits,
        victims,
        rests_on: vec![Source::Activity],
    })
}

/// When the transaction at the beginning began: those behind it may give up and try again, and wait for the same. Of several
/// the oldest, and not the one that stands in front: who that is turns with every waiter that gives up.
fn cause(chain: &Chain<'_>) -> Option<Timestamp> {
    let began = |root: &Root<'_>| match root {
        Root::Session(root) => root.transaction_started,
        Root::Prepared | Root::Other(_) | Root::Unseen | Root::Cycle(_) => None,
    };
    chain.roots.iter().filter_map(began).min()
}

/// The tenants at the beginning, by strong evidence.
fn culprits(place: &Place<'_>, chain: &Chain<'_>) -> Vec<TenantId> {
    let mut culprits = BTreeSet::new();
    for root in &chain.roots {
        match root {
            Root::Session(root) => culprits.extend(place.doer(root).cloned()),
            Root::Cycle(pids) => {
                let members = chain.waiters.iter().filter(|waiter| pids.contains(&waiter.key.pid));
                culprits.extend(members.filter_map(|waiter| place.doer(waiter).cloned()));
            }
            Root::Prepared | Root::Other(_) | Root::Unseen => {}
        }
    }
    culprits.into_iter().collect()
}

/// What the oldest waits for.
fn on(oldest: &Session) -> String {
    let Some(blocking) = &oldest.blocking else { return String::new() };
    let mode = blocking.mode.as_ref().map(|mode| format!(" for {mode}")).unwrap_or_default();
    match &blocking.relation {
        // The mode is that of the wait for a transaction, and says nothing of the row.
        Some(relation) if blocking.rows => format!(" for rows of {relation}"),
        Some(relation) => format!("{mode} on {relation}"),
        None => mode,
    }
}

/// Who blocks whom, and what the blocker does meanwhile.
fn sentence(place: &Place<'_>, chain: &Chain<'_>, culprits: &[TenantId], victims: &[TenantId]) -> String {
    let name = place.name();
    let count = chain.waiters.len();
    let whom = sessions_of(place, &chain.waiters, &culprits.iter().collect());
    let more = match &alike(chain)[..] {
        _ if chain.roots.len() < 2 => String::new(),
        [_, others @ ..] if others.len() + 1 == chain.roots.len() => {
            format!(" and {} more ({})", others.len(), pids(others.iter().copied()))
        }
        _ => format!(" and {} more", chain.roots.len() - 1),
    };
    match chain.roots.first() {
        Some(Root::Session(root)) => {
            let pid = root.key.pid;
            format!("{} blocks {whom} on {name}: pid {pid}{more} {}", whose(place, root), doing(root))
        }
        Some(Root::Prepared) => format!("a prepared transaction that nobody finished blocks {whom} on {name}"),
        Some(Root::Other(pid)) => format!("pid {pid}, no client session (autovacuum?), blocks {whom} on {name}"),
        Some(Root::Cycle(pids)) => {
            let pids = pids.iter().take(4).map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let of = if victims.is_empty() { String::new() } else { format!(" of {}", tenants(victims)) };
            format!(
                "pids {pids}{of} wait for each other on {name}, a deadlock in the making: {} stuck",
                plural(count, "session")
            )
        }
        Some(Root::Unseen) | None => {
            format!("{} on {name} wait for a lock, holder not known", plural(count, "session"))
        }
    }
}

fn doing(root: &Session) -> String {
    let age = |seconds: Option<f64>| seconds.map(|seconds| format!(" for {}", duration(seconds))).unwrap_or_default();
    if root.state.is_idle_in_transaction() {
        format!("idle in transaction{}", age(root.state_age()))
    } else if root.state.is_active() {
        format!("running a statement{}", age(root.query_age()))
    } else {
        format!("{}{}", root.state.label(), age(root.state_age()))
    }
}

/// The sessions at the beginning that are to be treated like the first of them: those that work, or those that do not.
fn alike<'a>(chain: &Chain<'a>) -> Vec<&'a Session> {
    let sessions = chain.roots.iter().filter_map(|root| match root {
        Root::Session(session) => Some(*session),
        Root::Prepared | Root::Other(_) | Root::Unseen | Root::Cycle(_) => None,
    });
    let sessions: Vec<&Session> = sessions.collect();
    let Some(works) = sessions.first().map(|first| first.state.is_active()) else { return sessions };
    sessions.into_iter().filter(|session| session.state.is_active() == works).collect()
}

/// What to do in words, and as SQL.
fn advice(root: &Root<'_>, alike: &[&Session]) -> (String, Option<String>) {
    match root {
        Root::Session(root) if alike.len() > 1 => {
            let all = pids(alike.iter().copied());
            if root.state.is_active() {
                let words = format!("Look at {all}, which hold the locks; if their work can be repeated, cancel them.");
                (words, cancel_each(alike))
            } else {
                let words = format!("End {all}, which hold the locks without working (a cancel does nothing to them).");
                (words, terminate_each(alike))
            }
        }
        Root::Session(root) if root.state.is_active() => {
            let words =
                format!("Look at pid {}, which holds the lock; if its work can be repeated, cancel it.", root.key.pid);
            (words, cancel(root))
        }
        Root::Session(root) => {
            let words = format!(
                "End pid {}, which holds the lock without working (a cancel does nothing to it).",
                root.key.pid
            );
            (words, terminate(root))
        }
        Root::Prepared => {
            let words = "Find it in pg_prepared_xacts, then ROLLBACK PREPARED or COMMIT PREPARED with its gid.";
            (
                words.to_owned(),
                Some("SELECT gid, prepared, owner, database FROM pg_prepared_xacts ORDER BY prepared;".to_owned()),
            )
        }
        Root::Other(pid) => (
            format!(
                "Look at pid {pid} in pg_stat_activity: an autovacuum worker gives way by itself unless it prevents wraparound."
            ),
            Some(format!("SELECT backend_type, state, query FROM pg_stat_activity WHERE pid = {pid};")),
        ),
        Root::Unseen => (String::new(), None),
        Root::Cycle(_) => {
            ("PostgreSQL ends one of them after deadlock_timeout; if it does not, cancel one of them.".to_owned(), None)
        }
    }
}
