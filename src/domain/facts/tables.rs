//! Facts about single tables: vacuums that run, and space that is wasted.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::foreign::Foreign;

/// `pg_stat_progress_vacuum`: one running vacuum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vacuum {
    /// Process id.
    pub pid: i32,
    /// Database.
    pub database: Foreign,
    /// Schema; `None` where the table is in another database than ours.
    pub schema: Option<Foreign>,
    /// Table.
    pub table: Option<Foreign>,
    /// Whether autovacuum runs it.
    pub automatic: bool,
    /// Whether it is to prevent wraparound: such a one does not give way.
    pub against_wraparound: bool,
    /// `phase`.
    pub phase: Arc<str>,
    /// Blocks of the heap.
    pub blocks: u64,
    /// Of those, scanned.
    pub scanned: u64,
    /// Of those, vacuumed.
    pub vacuumed: u64,
    /// How often its indexes were gone through: more than once means too little `maintenance_work_mem`.
    pub index_rounds: u64,
    /// When it began.
    pub since: Option<Timestamp>,
    /// What it waits for.
    pub wait: Option<Arc<str>>,
}

/// Source `vacuums`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Vacuums {
    /// Running now.
    pub running: Vec<Vacuum>,
    /// `autovacuum_max_workers`.
    pub workers: u32,
}

/// Space that a table or an index takes without need: an estimate from the planner's statistics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BloatEstimate {
    /// Database.
    pub database: Foreign,
    /// Schema.
    pub schema: Foreign,
    /// Table.
    pub table: Foreign,
    /// The index; `None`: the table itself.
    pub index: Option<Foreign>,
    /// Bytes it has.
    pub bytes: u64,
    /// Of those, without need.
    pub wasted: u64,
}

/// Source `bloat`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Bloat {
    /// The worst, most wasted bytes first.
    pub worst: Vec<BloatEstimate>,
    /// Tables large enough to matter of which the statistics are hidden from our login, or missing.
    pub hidden: u32,
    /// Tables that were judged.
    pub judged: u32,
    /// Databases looked into so far, where each tenant has one.
    pub seen: u32,
    /// Of how many; 0 of 0: all there is was looked at.
    pub of: u32,
    /// Databases that do not let us in.
    pub closed: Vec<Foreign>,
}
