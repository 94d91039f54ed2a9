//! What the sources deliver: facts of one instance (or of the whole estate), as the server says them. Counters are counters here; rates are made
//! by whoever compares two of them.

mod catalog;
pub mod cloud;
mod operations;
mod pooler;
mod replication;
mod secrets;
mod statements;
mod tables;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::foreign::Foreign;
use super::session::Session;

pub use catalog::{Audit, Catalog, Grant, InvalidIndex, ObjectKind, Registered, Schema, Sequence};
pub use cloud::{Cloud, CloudFragment};
pub use operations::{OperationRow, Operations};
pub use pooler::{Pool, Pooler};
pub use replication::{Holder, HolderKind, Horizon, Prepared, Recovery, Replication, Slot, Standby};
pub use secrets::{Content, Leads, Pointing, SecretVersion, Secrets, TenantSecret};
pub use statements::{Account, Statement, StatementCounters, StatementKey, Statements};
pub use tables::{Bloat, BloatEstimate, Vacuum, Vacuums};

/// The sources of one PostgreSQL instance, and of the estate; each has its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "what each delivers is said at its facts")]
pub enum Source {
    Activity,
    Databases,
    Roles,
    Churn,
    Debt,
    Sizes,
    Freeze,
    Vacuums,
    Replication,
    Horizon,
    Operations,
    Statements,
    Catalog,
    Bloat,
    Pooler,
    Secrets,
    Metrics,
    Rds,
    Alarms,
    Events,
    Parameters,
    Snapshots,
    Backups,
}

impl Source {
    /// All of them, the fast ones first.
    pub const ALL: [Self; 23] = [
        Self::Activity,
        Self::Databases,
        Self::Roles,
        Self::Churn,
        Self::Debt,
        Self::Sizes,
        Self::Freeze,
        Self::Vacuums,
        Self::Replication,
        Self::Horizon,
        Self::Operations,
        Self::Statements,
        Self::Catalog,
        Self::Bloat,
        Self::Pooler,
        Self::Secrets,
        Self::Metrics,
        Self::Rds,
        Self::Alarms,
        Self::Events,
        Self::Parameters,
        Self::Snapshots,
        Self::Backups,
    ];

    /// Those that AWS answers.
    pub const CLOUD: [Self; 7] =
        [Self::Metrics, Self::Rds, Self::Alarms, Self::Events, Self::Parameters, Self::Snapshots, Self::Backups];

    /// Whether the PostgreSQL server answers it, and not what is around it.
    pub fn asks_the_server(self) -> bool {
        !matches!(self, Self::Pooler | Self::Secrets) && !Self::CLOUD.contains(&self)
    }

    /// The name in `[poll]`, in documents and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Activity => "activity",
            Self::Databases => "databases",
            Self::Roles => "roles",
            Self::Churn => "churn",
            Self::Debt => "debt",
            Self::Sizes => "sizes",
            Self::Freeze => "freeze",
            Self::Vacuums => "vacuums",
            Self::Replication => "replication",
            Self::Horizon => "horizon",
            Self::Operations => "operations",
            Self::Statements => "statements",
            Self::Catalog => "catalog",
            Self::Bloat => "bloat",
            Self::Pooler => "pgbouncer",
            Self::Secrets => "secrets",
            Self::Metrics => "cloudwatch",
            Self::Rds => "rds",
            Self::Alarms => "alarms",
            Self::Events => "events",
            Self::Parameters => "parameters",
            Self::Snapshots => "snapshots",
            Self::Backups => "backups",
        }
    }
}

/// What a connection learns of the server when it is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// `server_version`, without the packager's words: `15.18`.
    pub version: String,
    /// `server_version_num`: `150018`.
    pub version_num: u32,
    /// When the postmaster started.
    pub started_at: Timestamp,
    /// `max_connections`.
    pub max_connections: u32,
    /// Connections that ordinary logins cannot have.
    pub reserved_connections: u32,
    /// `max_worker_processes`: RDS sets it to twice the vCPUs, and to 8 at least.
    pub max_worker_processes: u32,
    /// The database that we are connected to.
    pub database: Foreign,
    /// What we are logged in as; empty where that was not asked (an old recording).
    #[serde(default)]
    pub login: Foreign,
    /// Whether it is a standby.
    pub in_recovery: bool,
    /// Whether our login sees everybody's queries (`pg_read_all_stats`).
    pub sees_all: bool,
    /// `track_counts`: whether it counts what happens to tables.
    pub counts: bool,
}

/// Source `activity`: every client session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Activity {
    /// The server's clock.
    pub server_now: Timestamp,
    /// Client backends, parallel workers folded into their leaders, our own polling sessions left out.
    pub sessions: Vec<Session>,
    /// Our own polling sessions.
    pub own: u32,
    /// Whether our login saw what other people's sessions do (`pg_read_all_stats`): it may lose that while connected.
    pub sees_all: bool,
    /// WAL of the whole server so far, where the sessions' own is known too (PostgreSQL 18 and later).
    #[serde(default)]
    pub wal: Option<Wal>,
}

/// `pg_stat_wal`: what the whole server has written ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Wal {
    /// Bytes.
    pub bytes: u64,
    /// Since when they are counted.
    pub since: Option<Timestamp>,
}

impl Wal {
    /// What came since an earlier look; `None` across a reset.
    pub fn grew(self, before: Self) -> Option<u64> {
        (self.since == before.since).then(|| self.bytes.checked_sub(before.bytes)).flatten()
    }
}

/// Source `databases`: `pg_stat_database`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Database {
    /// Name.
    pub name: Foreign,
    /// Backends connected to it.
    pub backends: u32,
    /// Transactions committed and rolled back.
    pub transactions: u64,
    /// Blocks read from outside shared buffers.
    pub blocks_read: u64,
    /// Blocks found in shared buffers.
    pub blocks_hit: u64,
    /// Rows inserted, updated and deleted.
    pub rows_written: u64,
    /// Bytes written to temporary files.
    pub temp_bytes: u64,
    /// Deadlocks.
    pub deadlocks: u64,
    /// Whether anybody may work in it: no template, not RDS's own.
    pub in_use: bool,
    /// When its counters were set to zero.
    pub stats_reset: Option<Timestamp>,
    /// Age of its oldest unfrozen transaction id.
    pub xid_age: u32,
    /// Age of its oldest multixact.
    pub multixact_age: u32,
}

/// Source `roles`: one role and what is set on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// Name.
    pub name: Foreign,
    /// May log in.
    pub can_login: bool,
    /// `rolconnlimit`; `None` for no limit.
    pub connection_limit: Option<u32>,
    /// Superusers are bound by no limit.
    pub superuser: bool,
    /// `rolconfig`: what is set on it everywhere, by lower-case name. Roles that are set up alike share it.
    pub settings: Arc<BTreeMap<String, String>>,
    /// What is set on it in one database, by the database's name.
    pub in_databases: BTreeMap<String, BTreeMap<String, String>>,
}

/// Source `roles`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Roles {
    /// All roles but PostgreSQL's own.
    pub roles: Vec<Role>,
    /// What is set for everybody in one database, by the database's name.
    pub databases: BTreeMap<String, BTreeMap<String, String>>,
    /// The server's values, for roles on which nothing is set. One that is missing is hidden from us: something is set on
    /// our own login or database.
    pub defaults: BTreeMap<String, String>,
}

/// Source `churn`: counters of the tables of one schema (or of one database, where each tenant has one).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SchemaChurn {
    /// Schema or database.
    pub home: Arc<str>,
    /// Since when its counters count.
    pub since: Option<Timestamp>,
    /// Tables.
    pub tables: u32,
    /// Rows inserted, updated and deleted since the counters were reset.
    pub rows_written: u64,
    /// Blocks read from outside shared buffers, tables and indexes; `None` where not counted.
    pub blocks_read: Option<u64>,
    /// Dead rows, an estimate of the server's; `None` where not counted.
    pub dead_tuples: Option<u64>,
    /// Live rows, an estimate of the server's; `None` where not counted.
    pub live_tuples: Option<u64>,
}

/// Source `churn`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Churn {
    /// The server's clock.
    pub server_now: Timestamp,
    /// One for each schema or database that has tables.
    pub homes: Vec<SchemaChurn>,
    /// What the whole database counted, also of tables that are gone since; `None` where the homes are databases.
    #[serde(default)]
    pub whole: Option<Whole>,
}

/// The counters of a database as a whole: they do not fall when a table is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Whole {
    /// Since when it counts.
    pub since: Option<Timestamp>,
    /// Rows inserted, updated and deleted.
    pub rows_written: u64,
    /// Blocks that were not in shared buffers.
    pub blocks_read: u64,
}

/// Source `debt`: one table beside its own autovacuum threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableDebt {
    /// Database.
    pub database: Foreign,
    /// Schema.
    pub schema: Foreign,
    /// Table.
    pub table: Foreign,
    /// Dead rows (estimate of the server's statistics).
    pub dead_tuples: u64,
    /// Live rows (of the same statistics; the threshold is reckoned from `reltuples`).
    pub live_tuples: u64,
    /// Dead rows at which autovacuum acts: the table's own settings first.
    pub threshold: f64,
    /// Whether autovacuum acts on it at all.
    pub autovacuum: bool,
    /// Whether its own settings keep autovacuum off it; where they do not and it does not act, the whole server's do.
    #[serde(default)]
    pub off_by_itself: bool,
    /// Last time anything vacuumed it.
    pub last_vacuum: Option<Timestamp>,
    /// Bytes of the table with its TOAST and indexes.
    pub bytes: u64,
    /// Whether they were measured; else they come from `relpages`, which stand as the last vacuum left them.
    #[serde(default)]
    pub measured: bool,
}

impl TableDebt {
    /// Dead rows as a multiple of the threshold.
    pub fn ratio(&self) -> f64 {
        self.dead_tuples as f64 / self.threshold.max(1.0)
    }
}

/// Source `debt`: the worst tables, the most indebted first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Debt {
    /// The worst tables.
    pub tables: Vec<TableDebt>,
    /// Databases looked into so far, where each tenant has one.
    pub seen: u32,
    /// Of how many; 0 of 0: all there is was looked at.
    pub of: u32,
    /// Databases that do not let us in.
    pub closed: Vec<Foreign>,
}

/// Source `sizes`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sizes {
    /// Bytes by schema, or by database where each tenant has one.
    pub homes: BTreeMap<Arc<str>, u64>,
    /// From `relpages`, which lags behind: an estimate.
    pub estimated: bool,
}

/// Source `freeze`: the oldest table of one schema (or database).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OldestTable {
    /// Database.
    pub database: Foreign,
    /// Schema.
    pub schema: Foreign,
    /// Table; empty where only the database's age is known.
    pub table: Foreign,
    /// Age of its `relfrozenxid`.
    pub xid_age: u32,
    /// Age of its `relminmxid`.
    pub multixact_age: u32,
}

/// Source `freeze`: the oldest tables, oldest first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Freeze {
    /// The oldest tables.
    pub tables: Vec<OldestTable>,
}

/// What one poll of one source brought.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each carries the facts of the same name")]
pub enum Fragment {
    Activity(Activity),
    Databases(Vec<Database>),
    Roles(Roles),
    Churn(Churn),
    Debt(Debt),
    Sizes(Sizes),
    Freeze(Freeze),
    Vacuums(Vacuums),
    Replication(Replication),
    Horizon(Horizon),
    Operations(Operations),
    Statements(Statements),
    Catalog(Catalog),
    Bloat(Bloat),
    Pooler(Pooler),
    Secrets(Secrets),
    Cloud(Box<CloudFragment>),
}

impl Fragment {
    /// The source that delivers it.
    pub fn source(&self) -> Source {
        match self {
            Self::Activity(_) => Source::Activity,
            Self::Databases(_) => Source::Databases,
            Self::Roles(_) => Source::Roles,
            Self::Churn(_) => Source::Churn,
            Self::Debt(_) => Source::Debt,
            Self::Sizes(_) => Source::Sizes,
            Self::Freeze(_) => Source::Freeze,
            Self::Vacuums(_) => Source::Vacuums,
            Self::Replication(_) => Source::Replication,
            Self::Horizon(_) => Source::Horizon,
            Self::Operations(_) => Source::Operations,
            Self::Statements(_) => Source::Statements,
            Self::Catalog(_) => Source::Catalog,
            Self::Bloat(_) => Source::Bloat,
            Self::Pooler(_) => Source::Pooler,
            Self::Secrets(_) => Source::Secrets,
            Self::Cloud(fragment) => fragment.source(),
        }
    }
}
