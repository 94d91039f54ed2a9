//! What is asked about one session when somebody looks at it: the locks that it holds, and how the server would carry out
//! its statement. Asked on demand, never polled.

use std::sync::Arc;

use jiff::Timestamp;

use super::foreign::Foreign;
use super::ids::{InstanceName, TenantId};
use super::session::SessionKey;

/// One lock that a session holds or waits for (`pg_locks`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// `locktype`: `relation`, `transactionid`, `tuple`, `advisory`, …
    pub kind: Arc<str>,
    /// What it is on, in words: `schema.table`, a transaction id, the two halves of an advisory key.
    pub on: Foreign,
    /// The mode, such as `RowExclusiveLock`.
    pub mode: Arc<str>,
    /// Held; otherwise waited for.
    pub granted: bool,
    /// Since when it is waited for.
    pub since: Option<Timestamp>,
}

/// The locks of one session at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionLocks {
    /// By the server's clock.
    pub at: Timestamp,
    /// Those waited for first, then the strongest; bounded.
    pub locks: Vec<Lock>,
    /// How many there are.
    pub of: u32,
}

/// Which session to look at, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    /// The instance.
    pub instance: InstanceName,
    /// Pid and start.
    pub key: SessionKey,
    /// The database that it is connected to.
    pub database: Foreign,
}

/// Which statement to explain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanInquiry {
    /// Of which session.
    pub session: Inquiry,
    /// The statement as it stands on the screen.
    pub query: Foreign,
    /// Where its tables are looked up; `None`: wherever our own login would look.
    pub home: Option<Home>,
}

/// Whose tables to look at, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeInquiry {
    /// The instance.
    pub instance: InstanceName,
    /// Whose.
    pub tenant: TenantId,
    /// Its database; empty: the one that all share.
    pub database: Foreign,
    /// Its schema; `None`: all of the database.
    pub schema: Option<Foreign>,
}

/// The schema that a session most likely works in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// Whose.
    pub tenant: TenantId,
    /// The schema.
    pub schema: Arc<str>,
    /// Whether the tenant is only claimed.
    pub claimed: bool,
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanLine {
    /// Spaces before it: the shape of the plan.
    pub indent: u16,
    /// The rest.
    pub text: Foreign,
}

/// How the server would carry out a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// When it was asked.
    pub at: Timestamp,
    /// As `EXPLAIN` says it.
    pub lines: Vec<PlanLine>,
    /// Whether the values are not known to us: the plan is the one for any value.
    pub generic: bool,
    /// Where its tables were looked up.
    pub home: Option<Home>,
}

/// What came of an inquiry; `Failed` says why, safe to print, with what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Answer<T> {
    #[default]
    Unasked,
    Asked,
    Told(T),
    Failed(String),
}
