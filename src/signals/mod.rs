//! What is wrong: one file a signal, one registry that evaluator, help, README and tests iterate.
//!
//! Pure. A [`Check`] looks at one [`Scene`] and says what it sees right now; the [`Evaluator`] remembers, so that a
//! finding must hold for a while before it is shown and must be gone for a while before it goes.

mod audit_missing;
mod autovacuum_debt;
mod backup_stale;
mod blame;
mod bloat;
mod burst_credits;
mod cloud_pressure;
mod cluster;
mod connection_saturation;
mod cpu;
mod cross_tenant_grant;
mod deadlocks;
mod evaluator;
mod fence_held;
mod grants;
mod idle_in_transaction;
mod inactive_slot;
mod invalid_index;
mod iops;
mod latency;
mod leaking_pool;
mod limit_drift;
mod limit_missing;
mod lock_chain;
mod login_limits;
mod long_running_query;
mod memory;
mod noisy_neighbour;
mod operation_stalled;
mod orphan;
mod orphan_secret;
mod orphan_tags;
mod place;
mod prepared_transactions;
mod prices;
mod replication_lag;
mod restart;
mod restart_ahead;
mod retention;
mod role_limit_saturation;
mod said;
mod search_path;
mod secret_mismatch;
mod sequence_exhaustion;
mod snapshot_exposure;
mod storage;
mod temp_spill;
mod tier_misfit;
mod told;
mod unencrypted;
mod unreachable;
mod words;
mod wraparound;
mod xmin_horizon;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::facts::cloud::AccountState;
use crate::domain::facts::{Catalog, Secrets, Source};
use crate::domain::snapshot::Estate;
use crate::domain::{
    Evidence, Foreign, Instance, InstanceName, Naming, Observed, Onset, Policy, Session, Severity, Signal, Subject,
    SubjectKind, Tenant, TenantId, Thresholds, Unknown,
};

pub use evaluator::Evaluator;
pub use place::Place;
pub use tier_misfit::recommended as recommended_tier;

/// How many databases a doubt names.
const NAMED: usize = 2;

/// What is of no single instance is said of this.
const VAULT: &str = "vault";

/// How many secrets are read in a second, once there are many of them.
const SECRETS_A_SECOND: u64 = 5;

/// In how many turns all databases are visited.
const TENTHS: u32 = 10;

/// What a check may look at.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// When.
    pub now: Timestamp,
    /// What is of no single instance.
    pub estate: &'a Estate,
    /// `environment` of the configuration.
    pub environment: &'a str,
    /// AWS accounts.
    pub accounts: &'a [AccountState],
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
    /// Whether what is seen is remembered, so that what takes a day to know will be known.
    pub remembers: bool,
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
    /// Since when, where that is known better than by looking: mostly because the server itself says so.
    pub since: Option<Onset>,
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
    pub unknown: Arc<Unknown>,
    /// The input; `None`: the instance as a whole is not seen.
    pub source: Option<Source>,
}

impl Doubt {
    /// This, for want of that.
    fn of(unknown: Unknown, source: Option<Source>) -> Self {
        Self { unknown: Arc::new(unknown), source }
    }
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
            let unknown = Unknown { signal, subject: place.subject(), reason, known_at: None };
            self.doubts.push(Doubt::of(unknown, None));
            return None;
        }
        // A login without pg_read_all_stats sees who is connected, not what anybody does.
        let counts_only = matches!(
            signal,
            Signal::ConnectionSaturation | Signal::RoleLimitSaturation | Signal::PreparedTransactions | Signal::Restart
        );
        let of_sessions = matches!(source, Source::Activity | Source::Horizon) && !counts_only;
        if of_sessions && place.instance.server.as_ref().is_some_and(|it| !it.sees_all) {
            self.doubt(signal, place, source, "our login may not see other people's sessions: GRANT pg_monitor to it");
            return None;
        }
        if let Some(reason) = observed.missing(now) {
            let reason = format!("{}: {reason}", source.name());
            // What was not asked yet will be: nothing is broken.
            let first = observed.error.is_none() && observed.at.is_none();
            let known_at = now.checked_add(observed.every).ok().filter(|_| first);
            let unknown = Unknown { signal, subject: place.subject(), reason, known_at };
            self.doubts.push(Doubt::of(unknown, Some(source)));
        }
        observed.fresh(now)
    }

    /// What Vault tells, if that is fresh; else says why nothing can be judged. `None` as well where there is no Vault.
    fn secrets<'s>(&mut self, signal: Signal, scene: &Scene<'s>) -> Option<&'s Secrets> {
        let observed = scene.estate.secrets.as_ref()?;
        if let Some(reason) = observed.missing(scene.now) {
            let first = observed.error.is_none() && observed.at.is_none();
            let known_at = scene.now.checked_add(observed.every).ok().filter(|_| first);
            self.of_the_estate(signal, format!("{}: {reason}", Source::Secrets.name()), known_at, true);
        }
        let secrets = observed.fresh(scene.now)?;
        if !secrets.is_whole() {
            let rest = Duration::from_secs(u64::from(secrets.of - secrets.seen) / SECRETS_A_SECOND);
            let reason = format!("{} of {} secrets read so far", secrets.seen, secrets.of);
            self.of_the_estate(signal, reason, scene.now.checked_add(rest).ok(), true);
        }
        Some(secrets)
    }

    /// Says what cannot be judged of no single instance; `rests`: what was concluded from it before is neither true nor over.
    fn of_the_estate(&mut self, signal: Signal, reason: String, known_at: Option<Timestamp>, rests: bool) {
        let instance = InstanceName::new(VAULT);
        let subject = Subject { kind: SubjectKind::Estate, id: VAULT.to_owned(), instance };
        let unknown = Unknown { signal, subject, reason, known_at };
        let source = if rests { Source::Secrets } else { Source::Databases };
        self.doubts.push(Doubt::of(unknown, Some(source)));
    }

    /// Where tenants have databases those are visited one after the other: what was not seen yet, or never will be.
    fn partly_seen(&mut self, signal: Signal, place: &Place<'_>, source: Source, tour: &Tour<'_>, now: Timestamp) {
        let Tour { seen, of, closed, .. } = *tour;
        if seen < of {
            let reason = format!("{seen} of {of} databases seen so far");
            let known_at = now.checked_add(tour.rest()).ok();
            let unknown = Unknown { signal, subject: place.subject(), reason, known_at };
            self.doubts.push(Doubt::of(unknown, Some(source)));
        }
        if !closed.is_empty() {
            let names = closed.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let more = if closed.len() > NAMED { format!(" (+{})", closed.len() - NAMED) } else { String::new() };
            self.hidden(signal, place, &format!("could not look into: {names}{more}"));
        }
    }

    /// Says that a part is never seen. Nothing rests on that part: what is over elsewhere is over.
    fn hidden(&mut self, signal: Signal, place: &Place<'_>, reason: &str) {
        self.doubt(signal, place, Source::Databases, reason);
    }

    /// Says what cannot be judged before a moment, for want of time alone. Nothing rests on that part.
    fn not_before(&mut self, signal: Signal, place: &Place<'_>, reason: String, known_at: Option<Timestamp>) {
        let unknown = Unknown { signal, subject: place.subject(), reason, known_at };
        self.doubts.push(Doubt::of(unknown, Some(Source::Databases)));
    }

    /// Says that a signal cannot be judged on an instance.
    fn doubt(&mut self, signal: Signal, place: &Place<'_>, source: Source, reason: &str) {
        let unknown = Unknown { signal, subject: place.subject(), reason: reason.to_owned(), known_at: None };
        self.doubts.push(Doubt::of(unknown, Some(source)));
    }
}

/// How far a source has come that visits databases one after the other.
struct Tour<'a> {
    seen: u32,
    of: u32,
    closed: &'a [Foreign],
    /// How often it goes on.
    every: Duration,
}

impl<'a> Tour<'a> {
    fn of(catalog: &'a Catalog, every: Duration) -> Self {
        Self { seen: catalog.seen, of: catalog.of, closed: &catalog.closed, every }
    }

    /// How long it takes to come round: a tenth of the databases are visited at a time.
    fn rest(&self) -> Duration {
        let turns = self.of.saturating_sub(self.seen).div_ceil(self.of.div_ceil(TENTHS).max(1));
        self.every.saturating_mul(turns)
    }
}

/// One signal.
pub trait Check: Sync {
    /// Which.
    fn signal(&self) -> Signal;
    /// One line for help and README: what it means and when it fires.
    fn about(&self) -> &'static str;
    /// What is wrong right now.
    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts);
    /// Whether it must be true for `hold_seconds` before it is shown: no, where what it measures is a time already.
    fn holds(&self) -> bool {
        true
    }
    /// Whether it stays for `clear_after_seconds`: no, where one look proves that it is over.
    fn lingers(&self) -> bool {
        true
    }
    /// Whether it is judged by figures of whole minutes: then it stays until three of them were calm, or a mean that walks about its
    /// threshold would be a new finding every other minute.
    fn is_of_minutes(&self) -> bool {
        false
    }
    /// Of roles, catalogue, secrets and what AWS tells of instance, snapshots and backups, what it is judged by, where that and
    /// who lives where and is bound by what ([`Instance::settled`]) is all: it says the same until one of these says something
    /// else. `None`: it looks at what is another at each look. Such a check looks at each instance by itself.
    fn grounds(&self) -> Option<&'static [Source]> {
        None
    }
    /// What kinds of things its findings are about, the likeliest first.
    fn subjects(&self) -> &'static [SubjectKind];
}

/// Every signal, in the order in which help and README list them: what to look at first comes first.
pub static REGISTRY: &[&dyn Check] = &[
    &unreachable::Unreachable,
    &fence_held::FenceHeld,
    &storage::Storage,
    &connection_saturation::ConnectionSaturation,
    &lock_chain::LockChain,
    &noisy_neighbour::NoisyNeighbour,
    &cpu::Cpu,
    &memory::Memory,
    &latency::Latency,
    &iops::Iops,
    &burst_credits::BurstCredits,
    &role_limit_saturation::RoleLimitSaturation,
    &wraparound::Wraparound,
    &idle_in_transaction::IdleInTransaction,
    &long_running_query::LongRunningQuery,
    &deadlocks::Deadlocks,
    &inactive_slot::InactiveSlot,
    &replication_lag::ReplicationLag,
    &prepared_transactions::PreparedTransactions,
    &xmin_horizon::XminHorizon,
    &operation_stalled::OperationStalled,
    &snapshot_exposure::SnapshotExposure,
    &backup_stale::BackupStale,
    &temp_spill::TempSpill,
    &restart::Restart,
    &autovacuum_debt::AutovacuumDebt,
    &cross_tenant_grant::CrossTenantGrant,
    &search_path::SearchPath,
    &sequence_exhaustion::SequenceExhaustion,
    &bloat::Bloat,
    &invalid_index::InvalidIndex,
    &secret_mismatch::SecretMismatch,
    &orphan::Orphan,
    &limit_missing::LimitMissing,
    &limit_drift::LimitDrift,
    &audit_missing::AuditMissing,
    &retention::Retention,
    &unencrypted::Unencrypted,
    &tier_misfit::TierMisfit,
];
