//! One tenant: a row of the table that everything is shown from.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::chart::Chart;
use super::finding::{Severity, Signal};
use super::ids::{InstanceName, TenantId};
use super::policy::TenantNotes;
use super::record::Record;
use super::snapshot::{Lately, LimitScope, Noise, Starved, TenantLimits, Tier};
use super::statement::TenantStatements;

/// What is the same of a tenant from one snapshot to the next, until somebody says otherwise: who it is, where it lives,
/// what binds it. There may be ten thousand, and a snapshot a second: this part of a row is shared.
#[derive(Debug, Clone)]
pub struct Settled {
    /// Id.
    pub id: TenantId,
    /// Tier.
    pub tier: Tier,
    /// The instance it lives on.
    pub instance: InstanceName,
    /// Its schema (in the database layout: the schema in its database is not looked at).
    pub schema: Option<Arc<str>>,
    /// Its database, where it has one of its own.
    pub database: Option<Arc<str>>,
    /// Its role.
    pub role: Option<Arc<str>>,
    /// Where limits bind.
    pub limit_scope: LimitScope,
    /// Limits.
    pub limits: TenantLimits,
    /// Bytes.
    pub size_bytes: Option<u64>,
    /// Whether `size_bytes` is an estimate.
    pub size_estimated: bool,
    /// What the operator wrote about it.
    pub notes: Option<Arc<TenantNotes>>,
    /// What the stored history says of it; `None`: none is kept, or nothing yet.
    pub record: Option<Arc<Record>>,
    /// The tier that its history asks for; `None`: it was not watched for long enough to say.
    pub recommended_tier: Option<Tier>,
}

/// One tenant. What rarely changes of it is read as if it stood here.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// What rarely changes.
    pub settled: Arc<Settled>,
    /// Sessions, strong and claimed; `None` when sessions are not fresh.
    pub connections: Option<u32>,
    /// Of those, on the login that its limits are set on: an administrator who works on its tables is bound by his own.
    pub bound: Option<u32>,
    /// Of those, by strong evidence.
    pub strong: u32,
    /// Of those, by claims only.
    pub claimed: u32,
    /// Sessions that run a statement.
    pub active: Option<u32>,
    /// Sessions that wait for a lock or for I/O.
    pub waiting: Option<u32>,
    /// What most of its waiting sessions wait for: `Lock`, `IO`, …
    pub waits_for: Option<Arc<str>>,
    /// Sessions idle in an open transaction.
    pub idle_in_transaction: Option<u32>,
    /// Age of its oldest transaction.
    pub oldest_transaction_seconds: Option<f64>,
    /// Shares of the instance.
    pub noise: Noise,
    /// What its statements cost; `None`: nothing is known of them.
    pub statements: Option<Arc<TenantStatements>>,
    /// What it had to wait for; strong evidence only.
    pub starved: Starved,
    /// Both, just now.
    pub lately: Lately,
    /// 100 × the greatest of share × pressure.
    pub noise_score: Option<f64>,
    /// Rows written a day.
    pub rows_written_per_day: Option<f64>,
    /// Whether that is extrapolated from less than an hour of counting.
    pub rows_written_estimated: bool,
    /// Rows written a second, now.
    pub rows_written_per_second: Option<f64>,
    /// Dead rows.
    pub dead_tuples: Option<u64>,
    /// Live rows.
    pub live_tuples: Option<u64>,
    /// Signals that name it as subject or culprit.
    pub findings: Vec<Signal>,
    /// Signals that name it as victim.
    pub suffers: Vec<Signal>,
    /// The worst of `findings`.
    pub severity: Option<Severity>,
    /// Charts.
    pub series: Chart,
}

impl Deref for Tenant {
    type Target = Settled;

    fn deref(&self) -> &Settled {
        &self.settled
    }
}

impl DerefMut for Tenant {
    /// What is written here is of this row alone.
    fn deref_mut(&mut self) -> &mut Settled {
        Arc::make_mut(&mut self.settled)
    }
}

impl Settled {
    /// A tenant of which nothing is known but where it lives.
    pub fn named(id: TenantId, tier: Tier, instance: InstanceName) -> Self {
        Self {
            id,
            tier,
            instance,
            schema: None,
            database: None,
            role: None,
            limit_scope: LimitScope::ServiceAccount,
            limits: TenantLimits::default(),
            size_bytes: None,
            size_estimated: false,
            notes: None,
            record: None,
            recommended_tier: None,
        }
    }
}

impl Tenant {
    /// A tenant of which nothing is known but where it lives.
    pub fn named(id: TenantId, tier: Tier, instance: InstanceName) -> Self {
        Self {
            settled: Arc::new(Settled::named(id, tier, instance)),
            connections: None,
            bound: None,
            strong: 0,
            claimed: 0,
            active: None,
            waiting: None,
            waits_for: None,
            idle_in_transaction: None,
            oldest_transaction_seconds: None,
            noise: Noise::default(),
            statements: None,
            starved: Starved::default(),
            lately: Lately::default(),
            noise_score: None,
            rows_written_per_day: None,
            rows_written_estimated: false,
            rows_written_per_second: None,
            dead_tuples: None,
            live_tuples: None,
            findings: Vec::new(),
            suffers: Vec::new(),
            severity: None,
            series: Chart::default(),
        }
    }
}
