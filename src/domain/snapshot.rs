//! The one picture that everything is shown from: console, documents and signals read the same snapshot.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::facts::cloud::{AccountState, Standing};
use super::facts::{
    Bloat, Catalog, Cloud, Database, Debt, Freeze, Horizon, Operations, Pooler, Replication, Roles, Secrets, Server,
    Sizes, Source, Statements, Vacuums,
};
use super::finding::{Finding, Unknown};
use super::foreign::Foreign;
use super::history::{InstancePoint, Series};
use super::ids::{InstanceName, TenantId};
use super::observed::{Observed, Trouble};
use super::policy::Limits;
use super::session::Session;
use super::tenant::Tenant;

/// Storage tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Tier {
    Shared,
    Dedicated,
}

/// How tenants live on a shared instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// A schema for each tenant in one database.
    Schema,
    /// A database for each tenant.
    Database,
}

/// Whether an instance can be polled.
#[derive(Debug, Clone, PartialEq)]
pub enum Reach {
    /// The first connection is still being made.
    Connecting,
    /// Nobody tries: it is being made or leaves, or the configuration has no way in. No outage; AWS may know more of it.
    Apart(Arc<str>),
    /// It answers.
    Up,
    /// It does not; the old data ages.
    Down {
        /// Since when.
        since: Timestamp,
        /// Why; its kind says whether all connections are taken.
        trouble: Trouble,
    },
}

/// How near the instance is to its limit of each resource, 0 to 1, over the last 60 s. `None`: not known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pressure {
    /// Sessions that are runnable against vCPUs.
    pub cpu: Option<f64>,
    /// Sessions that wait for reads against vCPUs.
    pub reads: Option<f64>,
    /// Sessions that wait for writes and WAL against vCPUs.
    pub writes: Option<f64>,
    /// Connections against `max_connections`.
    pub connections: Option<f64>,
}

/// How one source of an instance does.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceState {
    /// Which.
    pub source: Source,
    /// When its newest value was taken.
    pub at: Option<Timestamp>,
    /// What went wrong at the newest attempt.
    pub error: Option<Trouble>,
    /// How often it is asked now (it slows down when it is dear).
    pub every: Duration,
    /// What an answer takes of the server's time: the quickest of the newest few, so that waiting for others is not counted.
    pub took: Option<Duration>,
}

/// Rates of the whole instance; `None` until two samples, or across a reset.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// Transactions a second.
    pub transactions: Option<f64>,
    /// Rows written a second.
    pub rows_written: Option<f64>,
    /// Deadlocks a minute, over the last five minutes.
    pub deadlocks_per_minute: Option<f64>,
    /// What went to temporary files in the last minutes.
    pub temp: Option<Spilled>,
    /// Share of blocks found in shared buffers.
    pub cache_hit: Option<f64>,
}

/// Bytes that went to temporary files, and in how many seconds they were counted. A file counts when it is closed, and is told
/// of when the statement ends: what looks like a burst may have been written for as long as we did not look.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Spilled {
    /// Bytes.
    pub bytes: u64,
    /// Seconds, five minutes at most.
    pub seconds: f64,
}

impl Spilled {
    /// Bytes a second, over a minute at least.
    pub fn rate(&self) -> f64 {
        self.bytes as f64 / self.seconds.max(60.0)
    }
}

/// Deadlocks of the last minutes, five at most.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Deadlocks {
    /// How many in which database, most first.
    pub databases: Vec<(Foreign, u64)>,
    /// In how many seconds they were counted.
    pub seconds: f64,
    /// When the newest were counted.
    pub last: Option<Timestamp>,
}

impl Deadlocks {
    /// How many in all.
    pub fn count(&self) -> u64 {
        self.databases.iter().map(|(_, count)| count).sum()
    }
}

/// One instance.
#[derive(Debug, Clone)]
pub struct Instance {
    /// The configuration's name for it.
    pub name: InstanceName,
    /// Tier.
    pub tier: Tier,
    /// How tenants live on it.
    pub layout: Layout,
    /// Whether it answers.
    pub reach: Reach,
    /// What the server said of itself when we connected.
    pub server: Option<Arc<Server>>,
    /// Whether that server was started anew while we watched.
    pub restarted: bool,
    /// vCPUs; estimated when the configuration does not say.
    pub vcpus: f64,
    /// Whether `vcpus` is a guess.
    pub vcpus_estimated: bool,
    /// Client connections now, ours included.
    pub connections: Option<u32>,
    /// Sessions busy now.
    pub active: Option<u32>,
    /// Sessions that wait for a lock now.
    pub blocked: Option<u32>,
    /// When the sessions were read last, and what went wrong since.
    pub activity: Observed<()>,
    /// Databases.
    pub databases: Observed<Arc<Vec<Database>>>,
    /// Roles.
    pub roles: Observed<Arc<Roles>>,
    /// When churn was counted last.
    pub churn: Observed<()>,
    /// Tables in debt.
    pub debt: Observed<Arc<Debt>>,
    /// Sizes.
    pub sizes: Observed<Arc<Sizes>>,
    /// Oldest tables.
    pub freeze: Observed<Arc<Freeze>>,
    /// Vacuums that run.
    pub vacuums: Observed<Arc<Vacuums>>,
    /// Slots and standbys.
    pub replication: Observed<Arc<Replication>>,
    /// Who holds vacuum back.
    pub horizon: Observed<Arc<Horizon>>,
    /// Operations, where a control database is here.
    pub operations: Observed<Arc<Operations>>,
    /// Counters of statements.
    pub statements: Observed<Arc<Statements>>,
    /// How things are set up.
    pub catalog: Observed<Arc<Catalog>>,
    /// Wasted space, estimated.
    pub bloat: Observed<Arc<Bloat>>,
    /// The pooler before it; `None` where none is configured.
    pub pooler: Option<Observed<Arc<Pooler>>>,
    /// What AWS says of it; `None` where it is not asked.
    pub cloud: Option<Box<Cloud>>,
    /// Rates.
    pub rates: Rates,
    /// Who was seen writing temporary files while [`Rates::temp`] was counted, and when last.
    pub spillers: Vec<(TenantId, Timestamp)>,
    /// Deadlocks of the last minutes.
    pub deadlocks: Deadlocks,
    /// How near it is to its limits.
    pub pressure: Pressure,
    /// How its sources do.
    pub sources: Vec<SourceState>,
    /// Charts.
    pub series: Arc<Series<InstancePoint>>,
    /// How often it was worked out anew who lives on it and what binds them: while this stays, so do they.
    pub settled: u64,
}

impl Instance {
    /// An instance of which nothing is known yet; every source is due each second until somebody says otherwise.
    pub fn named(name: InstanceName, tier: Tier, layout: Layout) -> Self {
        let every = Duration::from_secs(1);
        Self {
            name,
            tier,
            layout,
            reach: Reach::Connecting,
            server: None,
            restarted: false,
            vcpus: 1.0,
            vcpus_estimated: true,
            connections: None,
            active: None,
            blocked: None,
            activity: Observed::nothing(every),
            databases: Observed::nothing(every),
            roles: Observed::nothing(every),
            churn: Observed::nothing(every),
            debt: Observed::nothing(every),
            sizes: Observed::nothing(every),
            freeze: Observed::nothing(every),
            vacuums: Observed::nothing(every),
            replication: Observed::nothing(every),
            horizon: Observed::nothing(every),
            operations: Observed::nothing(every),
            statements: Observed::nothing(every),
            catalog: Observed::nothing(every),
            bloat: Observed::nothing(every),
            pooler: None,
            cloud: None,
            rates: Rates::default(),
            spillers: Vec::new(),
            deadlocks: Deadlocks::default(),
            pressure: Pressure::default(),
            sources: Vec::new(),
            series: Arc::default(),
            settled: 0,
        }
    }

    /// What its state in RDS means for whoever uses it, as it was told last.
    pub fn standing(&self) -> Option<Standing> {
        Some(self.cloud.as_ref()?.rds.value.as_ref()?.doing()?.standing)
    }

    /// Why its sessions were never seen though we are connected: a failed connection would have made it [`Reach::Down`].
    pub fn blind(&self) -> Option<&Trouble> {
        let connected = matches!(self.reach, Reach::Connecting | Reach::Up);
        self.activity.error.as_ref().filter(|_| connected && self.activity.value.is_none())
    }

    /// Connections that ordinary logins may have at all.
    pub fn usable_connections(&self) -> Option<u32> {
        self.server.as_ref().map(|server| server.max_connections.saturating_sub(server.reserved_connections))
    }
}

/// Where a limit binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitScope {
    /// The tenant has a login of its own, and the limit is on it.
    Tenant,
    /// The tenant's sessions use the shared account: only that account's limit binds.
    ServiceAccount,
}

/// What share of the instance a tenant took over the last 60 s, from strong evidence only. `None`: not known.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, JsonSchema)]
pub struct Noise {
    /// Of the time that sessions were busy.
    pub active_time: Option<f64>,
    /// Of the connections.
    pub connections: Option<f64>,
    /// Of the rows written.
    pub rows_written: Option<f64>,
    /// Of the WAL.
    pub wal: Option<f64>,
    /// Of the blocks read from outside shared buffers.
    pub blocks_read: Option<f64>,
    /// Seconds that its locks kept other tenants waiting.
    pub blocked_others_seconds: Option<f64>,
}

/// How long a tenant's sessions had to wait for what the whole instance shares: seconds in the last minute.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Starved {
    /// For a CPU: runnable while more were than there are vCPUs, or behind a light-weight lock.
    pub cpu: f64,
    /// For I/O, buffers, WAL.
    pub io: f64,
}

/// The newest seconds of the last minute: whether what the minute says of a tenant is still so.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Lately {
    /// Shares, of the same totals; `None`: nothing is known that is as new as that.
    pub noise: Noise,
    /// How long it waited, in seconds a minute.
    pub starved: Starved,
}

/// Limits in effect for a tenant beside those wanted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TenantLimits {
    /// What binds its sessions, from the login that they use.
    pub effective: Limits,
    /// The login that this is set on.
    pub login: Option<Foreign>,
    /// What the policy wants.
    pub wanted: Limits,
    /// Settings of which the effective value is not known: something on our own login hides the server's.
    pub unknown: Vec<&'static str>,
}

/// Sessions that nothing points to a tenant, or several do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct Unattributed {
    /// Sessions.
    pub connections: u32,
    /// Of those, running a statement.
    pub active: u32,
}

/// What watching costs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// Time the servers spend on our queries: milliseconds a second, an upper bound from the time answers took.
    pub database_ms_per_second: Option<f64>,
    /// CloudWatch's bill; `None` where it is not asked.
    pub cloudwatch_usd_per_hour: Option<f64>,
}

/// What is of no single instance.
#[derive(Debug, Clone, Default)]
pub struct Estate {
    /// The tenants' secrets; `None` where no Vault is configured.
    pub secrets: Option<Observed<Arc<Secrets>>>,
    /// How its sources do.
    pub sources: Vec<SourceState>,
}

/// The picture at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When it was made.
    pub taken_at: Timestamp,
    /// `environment` of the configuration.
    pub environment: Arc<str>,
    /// What is of no single instance.
    pub estate: Estate,
    /// AWS accounts, as configured.
    pub accounts: Vec<AccountState>,
    /// Instances, as configured, and behind them those that were found.
    pub instances: Vec<Instance>,
    /// Tenants, by id and instance.
    pub tenants: Vec<Tenant>,
    /// Sessions of all instances.
    pub sessions: Vec<Session>,
    /// Sessions without a tenant.
    pub unattributed: Unattributed,
    /// What is wrong, the worst first; of equals, what somebody knows of comes last, and after all of that what is muted
    /// ([`Finding::is_muted`]): whoever shows these counts those.
    pub findings: Vec<Finding>,
    /// What cannot be judged.
    pub unknown: Vec<Arc<Unknown>>,
    /// What watching costs.
    pub cost: Cost,
}

impl Snapshot {
    /// The picture before anything was seen.
    pub fn empty(taken_at: Timestamp, environment: &str) -> Self {
        Self {
            taken_at,
            environment: Arc::from(environment),
            estate: Estate::default(),
            accounts: Vec::new(),
            instances: Vec::new(),
            tenants: Vec::new(),
            sessions: Vec::new(),
            unattributed: Unattributed::default(),
            findings: Vec::new(),
            unknown: Vec::new(),
            cost: Cost::default(),
        }
    }

    /// The instance of that name.
    pub fn instance(&self, name: &InstanceName) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.name == *name)
    }

    /// The tenant of that id, on whatever instance.
    pub fn tenant(&self, id: &TenantId) -> Option<&Tenant> {
        self.tenants.binary_search_by(|tenant| tenant.id.cmp(id)).ok().and_then(|at| self.tenants.get(at))
    }
}
