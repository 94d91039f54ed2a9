//! Facts about statements: the counters of `pg_stat_statements`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::foreign::Foreign;

/// What identifies an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StatementKey {
    /// `userid`.
    pub role: u32,
    /// `dbid`.
    pub database: u32,
    /// `queryid`.
    pub query: i64,
    /// `toplevel`.
    pub top: bool,
}

/// Counters since the entry was made.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct StatementCounters {
    /// Calls.
    pub calls: u64,
    /// Milliseconds of planning and executing.
    pub milliseconds: f64,
    /// Rows returned or written.
    pub rows: u64,
    /// Blocks read from outside shared buffers.
    pub blocks_read: u64,
    /// Blocks dirtied.
    pub blocks_dirtied: u64,
    /// Temporary blocks written.
    pub temp_blocks: u64,
    /// Bytes of WAL.
    pub wal_bytes: u64,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// Which.
    pub key: StatementKey,
    /// The login that ran it.
    pub role: Foreign,
    /// The database that it ran in.
    pub database: Foreign,
    /// The normalised text, where it was fetched: only of statements that matter.
    pub text: Option<Foreign>,
    /// Counters.
    pub counters: StatementCounters,
}

/// Source `statements`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Statements {
    /// The server's clock.
    pub server_now: Timestamp,
    /// Entries.
    pub entries: Vec<Statement>,
    /// `dealloc`: how often entries were thrown out to make room. Where it grows, differences lie.
    pub evictions: u64,
    /// When the counters were reset.
    pub since: Option<Timestamp>,
    /// `pg_stat_statements.max`.
    pub most: u32,
}
