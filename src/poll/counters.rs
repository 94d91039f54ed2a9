//! Rates of a whole instance, from `pg_stat_database` counters. A counter that fell, or a new `stats_reset`, is a gap.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::Timestamp;

use crate::domain::Foreign;
use crate::domain::facts::Database;
use crate::domain::snapshot::{Deadlocks, Rates, Spilled};

/// How far back deadlocks and temporary bytes are counted.
pub(super) const SPAN_SECONDS: f64 = 300.0;

#[derive(Debug, Clone, Default)]
struct Step {
    seconds: f64,
    transactions: u64,
    rows_written: u64,
    temp_bytes: u64,
    blocks_read: u64,
    blocks_hit: u64,
    deadlocks: u64,
    /// Where, if there were any.
    deadlocked: Vec<(Foreign, u64)>,
}

/// The newest counters and the steps of the last five minutes.
#[derive(Debug, Clone, Default)]
pub(super) struct DatabaseWindow {
    last: Option<(Timestamp, Vec<Database>)>,
    steps: VecDeque<(Timestamp, Step)>,
}

impl DatabaseWindow {
    /// Takes one poll's counters.
    pub fn take(&mut self, now: Timestamp, databases: &[Database]) {
        if let Some((then, before)) = &self.last
            && now > *then
        {
            let before: HashMap<_, _> = before.iter().map(|database| (&database.name, database)).collect();
            let mut step = Step { seconds: now.duration_since(*then).as_secs_f64(), ..Step::default() };
            for database in databases {
                if let Some(before) = before.get(&database.name)
                    && before.stats_reset == database.stats_reset
                {
                    add(&mut step, before, database);
                }
            }
            self.steps.push_back((now, step));
        }
        while self.steps.len() > 1
            && self.steps.front().is_some_and(|(at, _)| now.duration_since(*at).as_secs_f64() >= SPAN_SECONDS)
        {
            self.steps.pop_front();
        }
        self.last = Some((now, databases.to_vec()));
    }

    /// The rates: of the newest step, and deadlocks and temporary bytes over the whole window (a minute at least: one
    /// deadlock seen in the first second is not sixty a minute).
    pub fn rates(&self) -> Rates {
        let Some((_, newest)) = self.steps.back() else { return Rates::default() };
        let seconds: f64 = self.steps.iter().map(|(_, step)| step.seconds).sum();
        let deadlocks: u64 = self.steps.iter().map(|(_, step)| step.deadlocks).sum();
        let temp = self.steps.iter().map(|(_, step)| step.temp_bytes).sum();
        let blocks = newest.blocks_read + newest.blocks_hit;
        Rates {
            transactions: Some(newest.transactions as f64 / newest.seconds),
            rows_written: Some(newest.rows_written as f64 / newest.seconds),
            deadlocks_per_minute: Some(deadlocks as f64 * 60.0 / seconds.max(60.0)),
            temp: Some(Spilled { bytes: temp, seconds }),
            cache_hit: (blocks > 0).then(|| newest.blocks_hit as f64 / blocks as f64),
        }
    }
}

impl DatabaseWindow {
    /// Where the deadlocks of the window were, and when the last.
    pub fn deadlocks(&self) -> Deadlocks {
        let mut databases: BTreeMap<&Foreign, u64> = BTreeMap::new();
        for (name, count) in self.steps.iter().flat_map(|(_, step)| &step.deadlocked) {
            *databases.entry(name).or_default() += count;
        }
        let mut databases: Vec<(Foreign, u64)> =
            databases.into_iter().map(|(name, count)| (name.clone(), count)).collect();
        databases.sort_by(|(a, few), (b, many)| many.cmp(few).then(a.cmp(b)));
        let last = self.steps.iter().rev().find(|(_, step)| step.deadlocks > 0).map(|(at, _)| *at);
        Deadlocks { databases, seconds: self.steps.iter().map(|(_, step)| step.seconds).sum(), last }
    }
}

fn add(step: &mut Step, before: &Database, now: &Database) {
    let grew = |then: u64, now: u64| now.saturating_sub(then);
    step.transactions += grew(before.transactions, now.transactions);
    step.rows_written += grew(before.rows_written, now.rows_written);
    step.temp_bytes += grew(before.temp_bytes, now.temp_bytes);
    step.blocks_read += grew(before.blocks_read, now.blocks_read);
    step.blocks_hit += grew(before.blocks_hit, now.blocks_hit);
    let deadlocks = grew(before.deadlocks, now.deadlocks);
    step.deadlocks += deadlocks;
    step.deadlocked.extend((deadlocks > 0).then(|| (now.name.clone(), deadlocks)));
}
