//! What is wrong: one file a signal, one registry that evaluator, help, README and tests iterate.
//!
//! Pure. A [`Check`] looks at one [`Scene`] and says what it sees right now; the [`Evaluator`] remembers, so that a
//! finding must hold for a while before it is shown and must be gone for a while before it goes.

mod autovacuum_debt;
mod connection_saturation;
mod deadlocks;
mod evaluator;
mod idle_in_transaction;
mod limit_drift;
mod limit_missing;
mod lock_chain;
mod login_limits;
mod long_running_query;
mod noisy_neighbour;
mod place;
mod role_limit_saturation;
mod unreachable;
mod words;
mod wraparound;

use jiff::Timestamp;

use crate::domain::facts::Source;
use crate::domain::{
    Evidence, Instance, Naming, Observed, Policy, Session, Severity, Signal, Subject, Tenant, TenantId, Thresholds,
    Unknown,
};

pub use evaluator::Evaluator;
use place::Place;

/// What a check may look at.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// When.
    pub now: Timestamp,
    /// Instances.
    pub instances: &'a [Instance],
    /// Tenants, sorted by id.
    pub tenants: &'a [Tenant],
    /// Sessions of all instances.
    pub sessions: &'a [Session],
    /// How tenants are named.
    pub naming: &'a Naming,
    /// What logins should have.
    pub policy: &'a Policy,
    /// What to compare with.
    pub thresholds: &'a Thresholds,
}

/// Something that is wrong right now.
#[derive(Debug, Clone, PartialEq)]
pub struct Raised {
    /// How bad.
    pub severity: Severity,
    /// About what: the culprit, where there is one. One check raises each subject once.
    pub subject: Subject,
    /// One sentence: who hurts whom, how much.
    pub summary: String,
    /// The numbers.
    pub evidence: Vec<Evidence>,
    /// One sentence: the next step.
    pub advice: String,
    /// The same as SQL that can be pasted into psql as it stands.
    pub statement: Option<String>,
    /// Since when, where the server itself says so.
    pub since: Option<Timestamp>,
    /// Who causes it.
    pub culprits: Vec<TenantId>,
    /// Who suffers.
    pub victims: Vec<TenantId>,
    /// What it was concluded from: when one of these goes missing, it cannot be said to be over.
    pub rests_on: Vec<Source>,
}

/// Something that cannot be judged, and the input that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// What the operator is told.
    pub unknown: Unknown,
    /// The input; `None`: the instance as a whole is not seen.
    pub source: Option<Source>,
}

/// What a check says.
#[derive(Debug, Default)]
pub struct Verdicts {
    /// What is wrong.
    pub raised: Vec<Raised>,
    /// What cannot be judged.
    pub doubts: Vec<Doubt>,
}

impl Verdicts {
    /// The value of a source, if the instance answers and the value is fresh; else says why nothing can be judged.
    fn seen<'o, T>(
        &mut self,
        signal: Signal,
        place: &Place<'_>,
        source: Source,
        observed: &'o Observed<T>,
        now: Timestamp,
    ) -> Option<&'o T> {
        if let Some(reason) = place.unseen() {
            self.doubts.push(Doubt { unknown: Unknown { signal, subject: place.subject(), reason }, source: None });
            return None;
        }
        // A login without pg_read_all_stats sees who is connected, not what anybody does.
        let counts_only = matches!(signal, Signal::ConnectionSaturation | Signal::RoleLimitSaturation);
        if source == Source::Activity && !counts_only && place.instance.server.as_ref().is_some_and(|it| !it.sees_all) {
            self.doubt(signal, place, source, "our login may not see other people's sessions: GRANT pg_monitor to it");
            return None;
        }
        if let Some(reason) = observed.missing(now) {
            self.doubt(signal, place, source, &format!("{}: {reason}", source.name()));
        }
        observed.fresh(now)
    }

    /// Says that a signal cannot be judged on an instance.
    fn doubt(&mut self, signal: Signal, place: &Place<'_>, source: Source, reason: &str) {
        let unknown = Unknown { signal, subject: place.subject(), reason: reason.to_owned() };
        self.doubts.push(Doubt { unknown, source: Some(source) });
    }
}

/// One signal.
pub trait Check: Sync {
    /// Which.
    fn signal(&self) -> Signal;
    /// One line for help and README: what it means and when it fires.
    fn about(&self) -> &'static str;
    /// What is wrong right now.
    fn check(&self, scene: &Scene<'_>, verdicts: &mut Verdicts);
    /// Whether it must be true for `hold_seconds` before it is shown: no, where what it measures is a time already.
    fn holds(&self) -> bool {
        true
    }
    /// Whether it stays for `clear_after_seconds`: no, where one look proves that it is over.
    fn lingers(&self) -> bool {
        true
    }
    /// Whether it is about how things are set up: of equals, what happens right now is listed first.
    fn is_upkeep(&self) -> bool {
        false
    }
}

/// Every signal, in the order in which help and README list them: what to look at first comes first.
pub static REGISTRY: &[&dyn Check] = &[
    &unreachable::Unreachable,
    &connection_saturation::ConnectionSaturation,
    &lock_chain::LockChain,
    &noisy_neighbour::NoisyNeighbour,
    &role_limit_saturation::RoleLimitSaturation,
    &wraparound::Wraparound,
    &idle_in_transaction::IdleInTransaction,
    &long_running_query::LongRunningQuery,
    &deadlocks::Deadlocks,
    &autovacuum_debt::AutovacuumDebt,
    &limit_missing::LimitMissing,
    &limit_drift::LimitDrift,
];
