//! What the operator wants: limits that logins should have, and every number that a signal compares with.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ids::TenantId;

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

/// What logins should have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// For each tenant's own login on a shared instance.
    pub shared: Limits,
    /// For tenants on dedicated instances.
    pub dedicated: Limits,
    /// For one tenant, before the tier's.
    pub tenants: BTreeMap<TenantId, TenantNotes>,
}

impl Policy {
    /// What a tenant's own login should have.
    pub fn wanted(&self, tenant: &TenantId, tier: super::Tier) -> Limits {
        let tier = match tier {
            super::Tier::Shared => self.shared,
            super::Tier::Dedicated => self.dedicated,
        };
        self.tenants.get(tenant).map_or(tier, |notes| notes.limits.or(tier))
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
    /// noisy-neighbour: the least share of a resource that one tenant must take.
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
    /// wraparound: age in transaction ids.
    pub xid_age: Ladder,
    /// deadlocks: how many a minute.
    pub deadlocks_per_minute: Ladder,
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
            hold_seconds: 3.0,
            clear_after_seconds: 15.0,
        }
    }
}
