//! What the operator wants: limits that logins should have, and every number that a signal compares with.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ids::TenantId;
use super::quantity::{GIB, MIB};

/// The limits that a login has or should have. `None`: not known, or not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// `CONNECTION LIMIT`.
    pub connection_limit: Option<u32>,
    /// `statement_timeout`.
    pub statement_timeout: Option<Duration>,
    /// `lock_timeout`.
    pub lock_timeout: Option<Duration>,
    /// `idle_in_transaction_session_timeout`.
    pub idle_in_transaction_session_timeout: Option<Duration>,
}

impl Limits {
    /// These limits where they say something, else the others.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            connection_limit: self.connection_limit.or(other.connection_limit),
            statement_timeout: self.statement_timeout.or(other.statement_timeout),
            lock_timeout: self.lock_timeout.or(other.lock_timeout),
            idle_in_transaction_session_timeout: self
                .idle_in_transaction_session_timeout
                .or(other.idle_in_transaction_session_timeout),
        }
    }
}

/// What the operator says of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TenantNotes {
    /// Limits that differ from the tier's policy.
    pub limits: Limits,
    /// Whom to call; shown on the tenant's page.
    pub contact: Option<String>,
    /// What to know; shown on the tenant's page.
    pub notes: Option<String>,
}

/// How much may be lost, or how long it may take to be back, by what one is back from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Targets {
    /// A tenant of a shared instance, from a snapshot.
    pub shared: Duration,
    /// A dedicated instance, from a snapshot.
    pub dedicated: Duration,
    /// To a point in time.
    pub pitr: Duration,
}

/// `[policy.backup]`: what backups and drills should be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupPolicy {
    /// Days that backups are kept, by environment; `default` for any other.
    pub retention_days: BTreeMap<String, u32>,
    /// How often a restore is to be practised.
    pub drill_every: Duration,
    /// How much may be lost.
    pub rpo: Targets,
    /// How long it may take.
    pub rto: Targets,
    /// Accounts that snapshots may be shared with.
    pub share_with: Vec<String>,
}

impl BackupPolicy {
    /// Days that backups of this environment are to be kept; `None` where nobody said.
    pub fn retention(&self, environment: &str) -> Option<u32> {
        self.retention_days.get(environment).or_else(|| self.retention_days.get("default")).copied()
    }
}

impl Default for BackupPolicy {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(count * 60);
        let day = minutes(24 * 60);
        let days = [("staging", 14), ("prod", 35), ("default", 7)];
        Self {
            retention_days: days.into_iter().map(|(name, days)| (name.to_owned(), days)).collect(),
            drill_every: day * 90,
            rpo: Targets { shared: day, dedicated: day, pitr: minutes(5) },
            rto: Targets { shared: minutes(30), dedicated: minutes(15), pitr: minutes(5) },
            share_with: Vec::new(),
        }
    }
}

/// What logins should have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// For each tenant's own login on a shared instance.
    pub shared: Limits,
    /// For tenants on dedicated instances.
    pub dedicated: Limits,
    /// For one tenant, before the tier's.
    pub tenants: BTreeMap<TenantId, TenantNotes>,
    /// Of backups.
    pub backup: BackupPolicy,
}

impl Policy {
    /// What a tenant's own login should have.
    pub fn wanted(&self, tenant: &TenantId, tier: super::Tier) -> Limits {
        self.wanted_with(self.tenants.get(tenant), tier)
    }

    /// The same where it is known already what the operator says of the tenant.
    pub fn wanted_with(&self, notes: Option<&TenantNotes>, tier: super::Tier) -> Limits {
        let tier = match tier {
            super::Tier::Shared => self.shared,
            super::Tier::Dedicated => self.dedicated,
        };
        notes.map_or(tier, |notes| notes.limits.or(tier))
    }
}

/// A number that warns and one that alarms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ladder {
    /// At or over this it is a warning.
    pub warning: f64,
    /// At or over this it is critical.
    pub critical: f64,
}

impl Ladder {
    /// A ladder.
    pub const fn new(warning: f64, critical: f64) -> Self {
        Self { warning, critical }
    }

    /// The rung that a value reaches and the threshold it was held against; `None` below the first.
    pub fn rung(self, value: f64) -> Option<(super::Severity, f64)> {
        if value >= self.critical {
            Some((super::Severity::Critical, self.critical))
        } else if value >= self.warning {
            Some((super::Severity::Warning, self.warning))
        } else {
            None
        }
    }
}

/// Every number that a signal compares with. Times in seconds, shares from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    /// noisy-neighbour, temp-spill: the least share of a resource that one tenant must take.
    pub noisy_share: f64,
    /// noisy-neighbour: how many times its fair share (one active tenant's part) it must take as well.
    pub noisy_fair_shares: f64,
    /// noisy-neighbour: how near the instance must be to its limit of that resource.
    pub noisy_pressure: Ladder,
    /// noisy-neighbour: how many other tenants must suffer.
    pub noisy_victims: f64,
    /// noisy-neighbour: a tenant suffers when its sessions had to wait this long within the last minute.
    pub noisy_victim_seconds: f64,
    /// connection-saturation: used share of the connections that clients may have.
    pub connections: Ladder,
    /// role-limit-saturation: used share of a role's `CONNECTION LIMIT`.
    pub role_limit: Ladder,
    /// long-running-query: age of a statement.
    pub query_seconds: Ladder,
    /// idle-in-transaction: time since the last statement of an open transaction.
    pub idle_in_transaction_seconds: Ladder,
    /// lock-chain: how long the oldest victim has waited.
    pub lock_wait_seconds: Ladder,
    /// lock-chain: this many victims are critical whatever they waited.
    pub lock_victims: f64,
    /// autovacuum-debt: dead rows as a multiple of the table's own threshold.
    pub autovacuum_debt: Ladder,
    /// autovacuum-debt: tables with fewer dead rows than this are left alone.
    pub autovacuum_min_dead: f64,
    /// wraparound: the age at which it is worth knowing.
    pub xid_age_info: f64,
    /// wraparound: age in transaction ids, or in multixacts.
    pub xid_age: Ladder,
    /// deadlocks: how many a minute.
    pub deadlocks_per_minute: Ladder,
    /// bloat: the least share of a table or index that is wasted.
    pub bloat_share: f64,
    /// bloat: tables and indexes that waste fewer bytes are left alone.
    pub bloat_min_bytes: f64,
    /// temp-spill: bytes a second that go to temporary files.
    pub temp_bytes_per_second: Ladder,
    /// inactive-slot: WAL kept for a slot as a share of `max_slot_wal_keep_size`.
    pub slot_share: Ladder,
    /// inactive-slot: bytes of WAL kept for a slot where nothing bounds them.
    pub slot_bytes: Ladder,
    /// replication-lag: how far a standby is behind, in time.
    pub replication_lag_seconds: Ladder,
    /// replication-lag: how far a standby is behind, in bytes of WAL.
    pub replication_lag_bytes: Ladder,
    /// xmin-horizon: transaction ids that passed since what is held.
    pub xmin_age: Ladder,
    /// xmin-horizon: how long it has been held.
    pub xmin_seconds: Ladder,
    /// xmin-horizon: where fewer transaction ids passed meanwhile, time does not count.
    pub xmin_least_age: f64,
    /// prepared-transactions: time since PREPARE TRANSACTION.
    pub prepared_seconds: Ladder,
    /// sequence-exhaustion: used share of a sequence's values.
    pub sequence_used: Ladder,
    /// restart: a server that was started anew while we watch is a warning for so long.
    pub restart_warning_seconds: f64,
    /// restart: a server that started is worth knowing for so long.
    pub restart_info_seconds: f64,
    /// operation-stalled: who carries one out has not been heard of for so long.
    pub operation_silent_seconds: Ladder,
    /// operation-stalled: it has waited for an operator for so long, and holds its tenant.
    pub operation_paused_seconds: Ladder,
    /// tier-misfit: a dedicated tenant that writes fewer rows a day would fit a shared instance.
    pub tier_rows_shared: f64,
    /// tier-misfit: a tenant that writes more rows a day wants an instance of its own.
    pub tier_rows_dedicated: f64,
    /// tier-misfit: rows written in the busiest hour as a multiple of the mean hour.
    pub tier_spikiness: f64,
    /// tier-misfit: how often it was a noisy neighbour.
    pub tier_noisy_times: f64,
    /// tier-misfit: bytes that no maintenance window moves.
    pub tier_size_bytes: f64,
    /// tier-misfit: who was watched for less is not judged.
    pub tier_watched_seconds: f64,
    /// cpu: used share of the CPU, by CloudWatch.
    pub cpu: Ladder,
    /// memory: used share of the class's memory, by CloudWatch.
    pub memory: Ladder,
    /// storage: used share of what it has, or of what it may grow to by itself.
    pub storage: Ladder,
    /// storage: full within this, as fast as it grows, is a warning.
    pub storage_warning_seconds: f64,
    /// storage: full within this, as fast as it grows, is critical.
    pub storage_critical_seconds: f64,
    /// latency: time that a read or a write takes.
    pub latency_seconds: Ladder,
    /// latency: with fewer reads (writes) a second their time says nothing.
    pub latency_least_iops: f64,
    /// iops: used share of the reads and writes a second that storage and class give.
    pub iops: Ladder,
    /// burst-credits, iops: used share of credits.
    pub credits_used: Ladder,
    /// burst-credits: empty within this, as fast as they go, is a warning.
    pub credits_empty_seconds: f64,
    /// cpu, memory, latency, iops: what is judged is the mean of so long.
    pub metric_seconds: f64,
    /// backup-stale: age of the newest backup as a multiple of `policy.backup.rpo`.
    pub backup_rpo: Ladder,
    /// backup-stale: age of the newest moment that can be restored, as a multiple of `policy.backup.rpo.pitr`.
    pub backup_pitr: Ladder,
    /// restart: a certificate of RDS that ends within this is a warning.
    pub certificate_warning_seconds: f64,
    /// restart: a certificate of RDS that ends within this is critical.
    pub certificate_critical_seconds: f64,
    /// restart: maintenance of RDS that comes within this is worth knowing.
    pub maintenance_seconds: f64,
    /// How long something must be true before it is a finding (a sample may be an accident).
    pub hold_seconds: f64,
    /// How long it must be untrue before the finding goes.
    pub clear_after_seconds: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            noisy_share: 0.5,
            noisy_fair_shares: 3.0,
            noisy_pressure: Ladder::new(0.7, 0.95),
            noisy_victims: 1.0,
            noisy_victim_seconds: 1.0,
            connections: Ladder::new(0.8, 0.95),
            role_limit: Ladder::new(0.8, 1.0),
            query_seconds: Ladder::new(60.0, 300.0),
            idle_in_transaction_seconds: Ladder::new(60.0, 300.0),
            lock_wait_seconds: Ladder::new(5.0, 30.0),
            lock_victims: 10.0,
            autovacuum_debt: Ladder::new(2.0, 10.0),
            autovacuum_min_dead: 10_000.0,
            xid_age_info: 500_000_000.0,
            xid_age: Ladder::new(1_000_000_000.0, 1_500_000_000.0),
            deadlocks_per_minute: Ladder::new(1.0, 10.0),
            bloat_share: 0.3,
            bloat_min_bytes: GIB,
            temp_bytes_per_second: Ladder::new(20.0 * MIB, 200.0 * MIB),
            slot_share: Ladder::new(0.5, 0.9),
            slot_bytes: Ladder::new(GIB, 10.0 * GIB),
            replication_lag_seconds: Ladder::new(60.0, 600.0),
            replication_lag_bytes: Ladder::new(512.0 * MIB, 5.0 * GIB),
            xmin_age: Ladder::new(10_000_000.0, 100_000_000.0),
            xmin_seconds: Ladder::new(3_600.0, 21_600.0),
            xmin_least_age: 10_000.0,
            prepared_seconds: Ladder::new(300.0, 3_600.0),
            sequence_used: Ladder::new(0.75, 0.9),
            restart_warning_seconds: 300.0,
            restart_info_seconds: 900.0,
            operation_silent_seconds: Ladder::new(60.0, 600.0),
            operation_paused_seconds: Ladder::new(900.0, 14_400.0),
            tier_rows_shared: 10_000.0,
            tier_rows_dedicated: 1_000_000.0,
            tier_spikiness: 10.0,
            tier_noisy_times: 3.0,
            tier_size_bytes: 100.0 * GIB,
            tier_watched_seconds: 86_400.0,
            cpu: Ladder::new(0.8, 0.95),
            memory: Ladder::new(0.9, 0.95),
            storage: Ladder::new(0.85, 0.95),
            storage_warning_seconds: 345_600.0,
            storage_critical_seconds: 21_600.0,
            latency_seconds: Ladder::new(0.02, 0.1),
            latency_least_iops: 10.0,
            iops: Ladder::new(0.8, 0.95),
            credits_used: Ladder::new(0.8, 0.95),
            credits_empty_seconds: 3_600.0,
            metric_seconds: 180.0,
            backup_rpo: Ladder::new(1.0, 2.0),
            backup_pitr: Ladder::new(3.0, 12.0),
            certificate_warning_seconds: 2_592_000.0,
            certificate_critical_seconds: 604_800.0,
            maintenance_seconds: 259_200.0,
            hold_seconds: 3.0,
            clear_after_seconds: 15.0,
        }
    }
}
