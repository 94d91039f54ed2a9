//! What is wrong, in words and with evidence; and what could not be judged.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::{InstanceName, TenantId};
use super::policy::Ladder;

/// How bad it is. Ordered: `Critical` is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Needs attention in working hours.
    Warning,
    /// Needs attention now.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

/// The names of the signals, as the contract spells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each signal's own file says what it means")]
pub enum Signal {
    Unreachable,
    NoisyNeighbour,
    ConnectionSaturation,
    RoleLimitSaturation,
    LongRunningQuery,
    IdleInTransaction,
    LockChain,
    AutovacuumDebt,
    Wraparound,
    Deadlocks,
    LimitMissing,
    LimitDrift,
    Bloat,
    TempSpill,
    InactiveSlot,
    ReplicationLag,
    XminHorizon,
    PreparedTransactions,
    SequenceExhaustion,
    InvalidIndex,
    CrossTenantGrant,
    SearchPath,
    AuditMissing,
    Orphan,
    Restart,
    TierMisfit,
    SecretMismatch,
    FenceHeld,
    OperationStalled,
    Cpu,
    Memory,
    Storage,
    Latency,
    Iops,
    BurstCredits,
    BackupStale,
    Retention,
    SnapshotExposure,
    Unencrypted,
}

impl Signal {
    /// The name that people script against.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::NoisyNeighbour => "noisy-neighbour",
            Self::ConnectionSaturation => "connection-saturation",
            Self::RoleLimitSaturation => "role-limit-saturation",
            Self::LongRunningQuery => "long-running-query",
            Self::IdleInTransaction => "idle-in-transaction",
            Self::LockChain => "lock-chain",
            Self::AutovacuumDebt => "autovacuum-debt",
            Self::Wraparound => "wraparound",
            Self::Deadlocks => "deadlocks",
            Self::LimitMissing => "limit-missing",
            Self::LimitDrift => "limit-drift",
            Self::Bloat => "bloat",
            Self::TempSpill => "temp-spill",
            Self::InactiveSlot => "inactive-slot",
            Self::ReplicationLag => "replication-lag",
            Self::XminHorizon => "xmin-horizon",
            Self::PreparedTransactions => "prepared-transactions",
            Self::SequenceExhaustion => "sequence-exhaustion",
            Self::InvalidIndex => "invalid-index",
            Self::CrossTenantGrant => "cross-tenant-grant",
            Self::SearchPath => "search-path",
            Self::AuditMissing => "audit-missing",
            Self::Orphan => "orphan",
            Self::Restart => "restart",
            Self::TierMisfit => "tier-misfit",
            Self::SecretMismatch => "secret-mismatch",
            Self::FenceHeld => "fence-held",
            Self::OperationStalled => "operation-stalled",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Storage => "storage",
            Self::Latency => "latency",
            Self::Iops => "iops",
            Self::BurstCredits => "burst-credits",
            Self::BackupStale => "backup-stale",
            Self::Retention => "retention",
            Self::SnapshotExposure => "snapshot-exposure",
            Self::Unencrypted => "unencrypted",
        }
    }

    /// Whether it is about how things are set up rather than about what happens: it wants doing some day, hurts nobody
    /// this minute, and of equals what happens right now is told first.
    pub fn is_upkeep(self) -> bool {
        matches!(
            self,
            Self::LimitMissing
                | Self::LimitDrift
                | Self::Bloat
                | Self::SequenceExhaustion
                | Self::InvalidIndex
                | Self::CrossTenantGrant
                | Self::SearchPath
                | Self::AuditMissing
                | Self::Orphan
                | Self::TierMisfit
                | Self::SecretMismatch
                | Self::Retention
                | Self::Unencrypted
        )
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// What kind of thing a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum SubjectKind {
    Instance,
    Tenant,
    Role,
    Session,
    Table,
    Database,
    Slot,
    Standby,
    PreparedTransaction,
    Sequence,
    Index,
    Schema,
    Pool,
    Operation,
    /// What is of no single instance, such as a Vault.
    Estate,
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// The kind of thing.
    pub kind: SubjectKind,
    /// Its name, sanitised: a tenant id, an instance's name, `schema.table`, a pid.
    pub id: String,
    /// The instance it lives on.
    pub instance: InstanceName,
}

/// The unit of an evidence's value and threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Unit {
    Ratio,
    Count,
    /// A number of which every digit counts.
    Number,
    Seconds,
    Bytes,
    BytesPerSecond,
    Rows,
    PerMinute,
    PerSecond,
    Milliseconds,
    Transactions,
}

/// One number behind a finding, beside the number that it was held against.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    /// What was measured.
    pub name: String,
    /// What it measured.
    pub value: f64,
    /// What it was held against: the rung that it reached; `None` where it only explains.
    pub threshold: Option<f64>,
    /// Where it becomes critical, if it may: the ladder's last rung.
    pub critical: Option<f64>,
    /// The unit of both.
    pub unit: Unit,
}

impl Evidence {
    /// A number held against a threshold.
    pub fn against(name: impl Into<String>, value: f64, threshold: f64, unit: Unit) -> Self {
        Self { name: name.into(), value, threshold: Some(threshold), critical: None, unit }
    }

    /// A number that climbs a ladder, beside the rung that it reached and the last one.
    pub fn on(name: impl Into<String>, value: f64, ladder: Ladder, unit: Unit) -> Self {
        let threshold = ladder.rung(value).map_or(ladder.warning, |(_, threshold)| threshold);
        Self { name: name.into(), value, threshold: Some(threshold), critical: Some(ladder.critical), unit }
    }

    /// A number that only explains.
    pub fn fact(name: impl Into<String>, value: f64, unit: Unit) -> Self {
        Self { name: name.into(), value, threshold: None, critical: None, unit }
    }

    /// Which rung it reached; `None`: none, or it only explains.
    pub fn reached(&self) -> Option<Severity> {
        let at_least = |rung: Option<f64>| rung.is_some_and(|rung| self.value >= rung);
        if at_least(self.critical) {
            Some(Severity::Critical)
        } else {
            at_least(self.threshold).then_some(Severity::Warning)
        }
    }

    /// A value of this evidence's unit, as people read it.
    pub fn written(&self, value: f64) -> String {
        use super::quantity::{bytes, count, duration, exact, percent};
        match self.unit {
            Unit::Ratio if value > 1.5 => format!("{value:.1}×"),
            Unit::Ratio => percent(value),
            Unit::Count | Unit::Rows | Unit::Transactions => count(value),
            Unit::Number => exact(value),
            Unit::Seconds => duration(value),
            Unit::Bytes => bytes(value.max(0.0) as u64),
            Unit::BytesPerSecond => format!("{}/s", bytes(value.max(0.0) as u64)),
            Unit::PerMinute => format!("{}/min", count(value)),
            Unit::PerSecond => format!("{}/s", count(value)),
            Unit::Milliseconds => format!("{value:.0} ms"),
        }
    }
}

/// When something began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Onset {
    /// Since when it is as it is.
    pub at: Timestamp,
    /// The beginning of what causes it, such as the transaction that others wait for. While that is the same it is the same
    /// incident, however often those who wait give up and try again.
    pub cause: Option<Timestamp>,
    /// How far the clock that says `cause` is ahead of ours.
    pub ahead: SignedDuration,
    /// The server's own word, by its own clock; else it is when we first saw it, and whoever looks later says something else.
    pub by_server: bool,
}

impl Onset {
    /// Since we saw it, and nobody knows since when before that.
    pub fn seen(at: Timestamp) -> Self {
        Self { at, cause: None, ahead: SignedDuration::ZERO, by_server: false }
    }
}

impl Onset {
    /// When what causes it began, by our own clock.
    pub fn caused(self) -> Option<Timestamp> {
        self.cause.map(|cause| cause.checked_sub(self.ahead).unwrap_or(cause))
    }

    /// The same by our own clock, which that of the server is so far ahead of. The cause is kept as the server says it: that
    /// is how it is known again.
    #[must_use]
    pub fn ours(self, ahead: SignedDuration) -> Self {
        Self { at: self.at.checked_sub(ahead).unwrap_or(self.at), ahead, ..self }
    }
}

impl From<Timestamp> for Onset {
    fn from(at: Timestamp) -> Self {
        Self { at, cause: None, ahead: SignedDuration::ZERO, by_server: true }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Which signal says so.
    pub signal: Signal,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: the culprit, where there is one.
    pub subject: Subject,
    /// One sentence: who hurts whom, how much. Sanitised.
    pub summary: String,
    /// The numbers, with the thresholds they crossed.
    pub evidence: Vec<Evidence>,
    /// One sentence: the next step. Sanitised.
    pub advice: String,
    /// The next step as one complete statement that can be pasted into psql, where there is one. Never offered for what
    /// is stale or over.
    pub statement: Option<String>,
    /// Since when it has been true.
    pub since: Timestamp,
    /// What the server itself says of its beginning; `None`: `since` is when we first saw it.
    pub onset: Option<Onset>,
    /// Who causes it, where that is known from strong evidence.
    pub culprits: Vec<TenantId>,
    /// Who suffers from it.
    pub victims: Vec<TenantId>,
    /// The input it rests on went missing: this is the last that was known.
    pub stale: bool,
    /// It is not true any more, for so many seconds: it stays for a while, so that the eye can follow.
    pub over_for: Option<f64>,
    /// Somebody knows of it.
    pub acknowledged: Option<std::sync::Arc<super::Acknowledgement>>,
}

impl Finding {
    /// Whether it is another one than what was last seen then. Without the server's word on its beginning: no.
    pub fn began_after(&self, seen: Timestamp) -> bool {
        self.onset.is_some_and(|onset| self.since > seen && onset.caused().is_none_or(|cause| cause > seen))
    }

    /// Whether somebody wants not to see it: it is counted, and not shown.
    pub fn is_muted(&self) -> bool {
        self.acknowledged.as_ref().is_some_and(|word| word.attention == super::Attention::Muted)
    }
}

/// A signal that could not be judged, and why. Never the same as "fine".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unknown {
    /// Which signal.
    pub signal: Signal,
    /// About what.
    pub subject: Subject,
    /// Why, in words. Sanitised.
    pub reason: String,
    /// When it will be known though nobody does anything, if watching goes on; `None` where something is broken or
    /// forbidden.
    pub known_at: Option<Timestamp>,
}

impl Unknown {
    /// Whether it may stay out of the way: it only wants time, and what it would say hurts nobody meanwhile.
    pub fn can_wait(&self) -> bool {
        self.known_at.is_some() && self.signal.is_upkeep()
    }
}
