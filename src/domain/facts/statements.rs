//! Facts about statements: what `pg_stat_statements` counted since it was read before. Which entries grew is only known by
//! comparing all of them; whoever reads them does that, so that ten thousand entries need not travel for the sake of a few.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::foreign::Foreign;

/// What identifies an entry. Statements inside of functions are counted with the statement that called those.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StatementKey {
    /// `userid`.
    pub role: u32,
    /// `dbid`.
    pub database: u32,
    /// `queryid`.
    pub query: i64,
}

/// What was counted.
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

impl StatementCounters {
    /// What came since an earlier look; `None` when anything fell: the entry was made anew.
    pub fn since(&self, before: &Self) -> Option<Self> {
        let milliseconds = self.milliseconds - before.milliseconds;
        Some(Self {
            calls: self.calls.checked_sub(before.calls)?,
            milliseconds: (milliseconds >= 0.0).then_some(milliseconds)?,
            rows: self.rows.checked_sub(before.rows)?,
            blocks_read: self.blocks_read.checked_sub(before.blocks_read)?,
            blocks_dirtied: self.blocks_dirtied.checked_sub(before.blocks_dirtied)?,
            temp_blocks: self.temp_blocks.checked_sub(before.temp_blocks)?,
            wal_bytes: self.wal_bytes.checked_sub(before.wal_bytes)?,
        })
    }

    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.milliseconds += other.milliseconds;
        self.rows += other.rows;
        self.blocks_read += other.blocks_read;
        self.blocks_dirtied += other.blocks_dirtied;
        self.temp_blocks += other.temp_blocks;
        self.wal_bytes += other.wal_bytes;
    }
}

/// One entry that grew.
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
    /// By how much it grew.
    pub grew: StatementCounters,
}

/// What all statements of one login in one database came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// The login.
    pub role: Foreign,
    /// The database.
    pub database: Foreign,
    /// By how much its entries grew together.
    pub grew: StatementCounters,
}

/// Source `statements`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Statements {
    /// The server's clock.
    pub server_now: Timestamp,
    /// When it was read before; `None`: this is the first look, and nothing can be said of growth.
    pub before: Option<Timestamp>,
    /// The entries that grew the most in between, by WAL, time, blocks read and temporary blocks; bounded.
    pub entries: Vec<Statement>,
    /// What grew in all, by login and database.
    pub accounts: Vec<Account>,
    /// WAL of the whole server in between; `None` across a reset.
    pub wal_bytes: Option<u64>,
    /// How many entries there are, our own login's left out.
    pub known: u32,
    /// `dealloc`: how often entries were thrown out to make room. Where it grows, differences lie.
    pub evictions: u64,
    /// When the counters were reset.
    pub since: Option<Timestamp>,
    /// `pg_stat_statements.max`.
    pub most: u32,
    /// Whether sessions tell which statement they run (`compute_query_id`): without that none of the shared account's can
    /// be told apart.
    pub query_ids: bool,
    /// In words, why what grew in between is not to be trusted.
    pub distrusted: Option<Arc<str>>,
}
