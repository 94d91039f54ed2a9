//! One client session of a server: what it does, what it waits for, whose it is.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::foreign::Foreign;
use super::ids::{InstanceName, TenantId};

/// Where the middle of a long text was left out (`activity.sql`): what follows may be the inside of a string.
pub const CUT: &str = " … ";

/// What identifies a session: a pid alone is reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionKey {
    /// Process id of the backend.
    pub pid: i32,
    /// When the backend was started.
    pub started: Timestamp,
}

/// `pg_stat_activity.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "PostgreSQL's own names")]
pub enum SessionState {
    Active,
    Idle,
    IdleInTransaction,
    IdleInTransactionAborted,
    Fastpath,
    Disabled,
    /// Not shown to our login, or not set yet.
    Unknown,
}

impl SessionState {
    /// Reads PostgreSQL's spelling.
    pub fn parse(text: Option<&str>) -> Self {
        match text {
            Some("active") => Self::Active,
            Some("idle") => Self::Idle,
            Some("idle in transaction") => Self::IdleInTransaction,
            Some("idle in transaction (aborted)") => Self::IdleInTransactionAborted,
            Some("fastpath function call") => Self::Fastpath,
            Some("disabled") => Self::Disabled,
            _ => Self::Unknown,
        }
    }

    /// Whether a statement is running.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Active | Self::Fastpath)
    }

    /// Whether a transaction is open with no statement running.
    pub fn is_idle_in_transaction(self) -> bool {
        matches!(self, Self::IdleInTransaction | Self::IdleInTransactionAborted)
    }

    /// Short enough for a column.
    pub fn label(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Idle => "idle",
            Self::IdleInTransaction => "idle-tx",
            Self::IdleInTransactionAborted => "idle-tx!",
            Self::Fastpath => "fastpath",
            Self::Disabled => "disabled",
            Self::Unknown => "—",
        }
    }
}

/// `pg_stat_activity.wait_event_type` and `wait_event`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// The type: `Lock`, `IO`, `LWLock`, `Client`, …
    pub kind: Arc<str>,
    /// The event within the type.
    pub event: Arc<str>,
}

impl Wait {
    /// Waits for a heavyweight lock: somebody blocks it.
    pub fn is_lock(&self) -> bool {
        &*self.kind == "Lock"
    }

    /// Waits for the server's own resources: I/O, buffers, light-weight locks.
    pub fn is_resource(&self) -> bool {
        matches!(&*self.kind, "IO" | "LWLock" | "BufferPin" | "IPC")
    }
}

/// How sure we are of a session's tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Rank {
    /// Could be set by the tenant itself or left over from the pool's previous client: shown, never blamed.
    Claimed,
    /// Cannot be chosen freely by a tenant: may be blamed and acted upon.
    Strong,
}

/// What a session's tenant was concluded from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Its login role belongs to one tenant.
    LoginRole,
    /// It is connected to the database of one tenant.
    Database,
    /// It holds or awaits locks on relations of one tenant's schema.
    Locks,
    /// It did so earlier in the same transaction.
    SameTransaction,
    /// Its `application_name` names a tenant.
    ApplicationName,
    /// Its query carries a sqlcommenter tag that names a tenant.
    SqlComment,
    /// Its query names a tenant's schema.
    QuerySchema,
    /// Its last statement set `search_path` to a tenant's schema.
    SearchPath,
}

impl Reason {
    /// How sure this reason makes us.
    pub fn rank(self) -> Rank {
        match self {
            Self::LoginRole | Self::Database | Self::Locks | Self::SameTransaction => Rank::Strong,
            Self::ApplicationName | Self::SqlComment | Self::QuerySchema | Self::SearchPath => Rank::Claimed,
        }
    }

    /// Short enough for a column.
    pub fn label(self) -> &'static str {
        match self {
            Self::LoginRole => "login role",
            Self::Database => "database",
            Self::Locks => "locks",
            Self::SameTransaction => "same tx",
            Self::ApplicationName => "app name",
            Self::SqlComment => "sql tag",
            Self::QuerySchema => "query",
            Self::SearchPath => "search_path",
        }
    }
}

/// Whose session it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attribution {
    /// A tenant's, and why we think so.
    Tenant {
        /// Whose.
        tenant: TenantId,
        /// Concluded from what.
        reason: Reason,
    },
    /// Claims or locks point to more than one tenant.
    Conflicting,
    /// Nothing points to a tenant.
    None,
}

impl Attribution {
    /// The tenant, however sure.
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Tenant { tenant, .. } => Some(tenant),
            Self::Conflicting | Self::None => None,
        }
    }

    /// The tenant if the evidence is strong.
    pub fn strong(&self) -> Option<&TenantId> {
        match self {
            Self::Tenant { tenant, reason } if reason.rank() == Rank::Strong => Some(tenant),
            _ => None,
        }
    }

    /// The reason, where there is a tenant.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Tenant { reason, .. } => Some(*reason),
            Self::Conflicting | Self::None => None,
        }
    }
}

/// What a session waits for or is blocked by.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Blocking {
    /// The pids that block it, as `pg_blocking_pids()` says.
    pub by: Vec<i32>,
    /// Whether the server was not asked for this session: its blockers are those of another that waits for the same.
    /// It may be behind a chain, but nobody is blamed by it.
    pub inferred: bool,
    /// Since when it has waited; `None` in the moment before the server notes it.
    pub since: Option<Timestamp>,
    /// The mode it asks for, such as `AccessExclusiveLock`.
    pub mode: Option<Arc<str>>,
    /// The relation it waits on, or whose row, where that is known: `schema.table`.
    pub relation: Option<Foreign>,
    /// It waits for rows of that relation, not for the whole of it.
    #[serde(default)]
    pub rows: bool,
}

/// A relation that a session holds a lock on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Relation {
    /// Schema, raw.
    pub schema: Arc<str>,
    /// Name, raw.
    pub name: Arc<str>,
}

/// What a backend has done since it started, as PostgreSQL 18 and later count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BackendUsage {
    /// Bytes of WAL.
    pub wal_bytes: u64,
    /// Bytes read from outside shared buffers.
    pub read_bytes: u64,
    /// Bytes written or extended.
    pub written_bytes: u64,
}

impl BackendUsage {
    /// What came since an earlier look; `None` when anything fell.
    pub fn grew(self, before: Self) -> Option<Self> {
        Some(Self {
            wal_bytes: self.wal_bytes.checked_sub(before.wal_bytes)?,
            read_bytes: self.read_bytes.checked_sub(before.read_bytes)?,
            written_bytes: self.written_bytes.checked_sub(before.written_bytes)?,
        })
    }
}

/// One client session, with its tenant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Session {
    /// The instance.
    pub instance: InstanceName,
    /// Pid and start.
    pub key: SessionKey,
    /// Whose it is.
    pub attribution: Attribution,
    /// Login role (`usename`).
    pub role: Foreign,
    /// Database.
    pub database: Foreign,
    /// `application_name`.
    pub application: Foreign,
    /// Client's address and port, or `local`.
    pub client: Option<Arc<str>>,
    /// State.
    pub state: SessionState,
    /// What it waits for.
    pub wait: Option<Wait>,
    /// Start of the transaction, by the server's clock.
    pub transaction_started: Option<Timestamp>,
    /// Start of the current or last statement.
    pub query_started: Option<Timestamp>,
    /// Last change of state.
    pub state_changed: Option<Timestamp>,
    /// The current or last statement; `None` where our login may not see it.
    pub query: Option<Foreign>,
    /// Who blocks it; `None` when it waits for no lock.
    pub blocking: Option<Blocking>,
    /// Parallel workers that run for it.
    pub workers: u32,
    /// Schemas of the relations that it holds or awaits locks on, raw: evidence for attribution.
    pub touched: Vec<Arc<str>>,
    /// The tables and views among those: evidence of what a statement is about. Empty also where there are too many, or
    /// where the transaction began after the question: locks and statements are not read in one instant, and these locks
    /// may have been those of the transaction before.
    #[serde(default)]
    pub relations: Vec<Relation>,
    /// `query_id` of the current or last statement; `None` also where `compute_query_id` is off.
    #[serde(default)]
    pub query_id: Option<i64>,
    /// What it has done so far; only on PostgreSQL 18 and later, and only of sessions at work.
    #[serde(default)]
    pub usage: Option<BackendUsage>,
    /// The server's clock when this was read; ages are against this.
    pub server_now: Timestamp,
}

impl Session {
    /// Whether it reads or writes a temporary file right now.
    pub fn is_spilling(&self) -> bool {
        self.wait.as_ref().is_some_and(|wait| &*wait.kind == "IO" && wait.event.starts_with("BufFile"))
    }

    fn since(&self, at: Option<Timestamp>) -> Option<f64> {
        at.map(|at| self.server_now.duration_since(at).as_secs_f64().max(0.0))
    }

    /// Seconds since the transaction began.
    pub fn transaction_age(&self) -> Option<f64> {
        self.since(self.transaction_started)
    }

    /// Seconds since the statement began; `None` when none runs.
    pub fn query_age(&self) -> Option<f64> {
        self.state.is_active().then(|| self.since(self.query_started)).flatten()
    }

    /// Seconds in the present state.
    pub fn state_age(&self) -> Option<f64> {
        self.since(self.state_changed)
    }

    /// Seconds it has waited for a lock; `None` when it waits for none. For a moment the server has a wait without its
    /// start: that wait has just begun, however old the statement is.
    pub fn lock_wait(&self) -> Option<f64> {
        self.blocking.as_ref().map(|blocking| self.since(blocking.since).unwrap_or(0.0))
    }

    /// Runs a statement and waits for neither a lock nor its own client: it uses the server.
    pub fn is_busy(&self) -> bool {
        self.state.is_active()
            && self
                .wait
                .as_ref()
                .is_none_or(|wait| !matches!(&*wait.kind, "Lock" | "Client" | "Timeout" | "Activity" | "Extension"))
    }

    /// Runs a statement with no wait at all: on a CPU or queueing for one.
    pub fn is_runnable(&self) -> bool {
        self.state.is_active() && self.wait.is_none()
    }

    /// Waits for a CPU; `crowded`: more sessions are runnable than there are vCPUs.
    pub fn starves_for_cpu(&self, crowded: bool) -> bool {
        crowded && self.is_runnable() || self.waits_on(&["LWLock"])
    }

    /// Waits for I/O, buffers or WAL.
    pub fn starves_for_io(&self) -> bool {
        self.waits_on(&["IO", "LWLock", "BufferPin"])
    }

    fn waits_on(&self, kinds: &[&str]) -> bool {
        self.state.is_active() && self.wait.as_ref().is_some_and(|wait| kinds.contains(&&*wait.kind))
    }

    /// Waits for a lock or for the server's resources.
    pub fn is_waiting(&self) -> bool {
        self.state.is_active() && self.wait.as_ref().is_some_and(|wait| wait.is_lock() || wait.is_resource())
    }
}
