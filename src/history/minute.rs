//! The minute that is being filled: means over time of what snapshots say of each tenant and instance.

use std::collections::HashMap;

use jiff::Timestamp;

use super::columns::squeeze;
use crate::domain::history::{Measure, Whose};
use crate::domain::snapshot::{Instance, Reach};
use crate::domain::{InstanceName, Snapshot, Tenant, TenantId};

/// What is kept of a minute: the measures, and for how many seconds rows were counted.
pub(super) const COLUMNS: usize = Measure::ALL.len() + 1;

/// A gap between two snapshots counts for no longer than this.
const LONGEST: f64 = 5.0;

/// Whose history is written: the number of a row is where its values stand.
#[derive(Debug, Clone, Default)]
pub(super) struct Subjects {
    /// By instance, so that looking up makes no copy; the instance itself is `None`.
    rows: HashMap<InstanceName, HashMap<Option<TenantId>, u32>>,
    free: Vec<u32>,
    next: u32,
}

impl Subjects {
    /// Takes what is stored.
    pub fn load(stored: impl IntoIterator<Item = (Whose, u32)>) -> Self {
        let mut subjects = Self::default();
        for (whose, row) in stored {
            subjects.next = subjects.next.max(row + 1);
            subjects.rows.entry(whose.instance).or_default().insert(whose.tenant, row);
        }
        let used: std::collections::HashSet<u32> = subjects.rows.values().flat_map(HashMap::values).copied().collect();
        subjects.free = (0..subjects.next).rev().filter(|row| !used.contains(row)).collect();
        subjects
    }

    /// The row of somebody known.
    pub fn row(&self, whose: &Whose) -> Option<u32> {
        self.rows.get(&whose.instance)?.get(&whose.tenant).copied()
    }

    /// Everybody, with their rows.
    pub fn iter(&self) -> impl Iterator<Item = (Whose, u32)> + '_ {
        self.rows.iter().flat_map(|(instance, tenants)| {
            let whose = |tenant: &Option<TenantId>| Whose { instance: instance.clone(), tenant: tenant.clone() };
            tenants.iter().map(move |(tenant, row)| (whose(tenant), *row))
        })
    }

    fn row_of(&mut self, instance: &InstanceName, tenant: Option<&TenantId>) -> u32 {
        if !self.rows.contains_key(instance) {
            self.rows.insert(instance.clone(), HashMap::new());
        }
        let (free, next) = (&mut self.free, &mut self.next);
        let mut fresh = || {
            free.pop().unwrap_or_else(|| {
                *next += 1;
                *next - 1
            })
        };
        let Some(tenants) = self.rows.get_mut(instance) else { return fresh() };
        // Ids are cheap to clone: the text is shared.
        *tenants.entry(tenant.cloned()).or_insert_with(fresh)
    }

    /// Forgets rows of which nothing is stored any more.
    pub fn forget(&mut self, gone: &[u32]) {
        self.rows.values_mut().for_each(|tenants| tenants.retain(|_, row| !gone.contains(row)));
        self.rows.retain(|_, tenants| !tenants.is_empty());
        self.free.extend(gone);
    }
}

/// Sums over time of one row.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    of: [f32; Measure::ALL.len()],
    seconds: [f32; Measure::ALL.len()],
}

impl Sums {
    fn add(&mut self, values: [Option<f64>; Measure::ALL.len()], seconds: f64) {
        for (at, value) in values.into_iter().enumerate() {
            if let Some(value) = value {
                self.of[at] += (value * seconds) as f32;
                self.seconds[at] += seconds as f32;
            }
        }
    }

    fn mean(&self, at: usize) -> Option<f32> {
        (self.seconds[at] > 0.0).then(|| self.of[at] / self.seconds[at])
    }
}

/// A minute that is over: `COLUMNS` times as many values as there are rows, column after column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Minute {
    /// Minutes since 1970.
    pub at: u32,
    /// Who had a row in it.
    pub seen: Vec<u32>,
    pub values: Vec<u16>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Filling {
    pub subjects: Subjects,
    minute: Option<u32>,
    last: Option<Timestamp>,
    sums: Vec<Sums>,
    seen: Vec<bool>,
}

/// The minute of a moment.
pub(super) fn minute_of(at: Timestamp) -> u32 {
    u32::try_from(at.as_second().max(0) / 60).unwrap_or(u32::MAX)
}

impl Filling {
    /// An empty minute of these.
    pub fn of(subjects: Subjects) -> Self {
        Self { subjects, ..Self::default() }
    }

    /// Takes a snapshot; gives back the minute before when a new one begins.
    pub fn take(&mut self, snapshot: &Snapshot) -> Option<Minute> {
        let now = snapshot.taken_at;
        let minute = minute_of(now);
        let over = if self.minute.is_some_and(|open| open != minute) { self.close() } else { None };
        self.minute = Some(minute);
        let passed = self.last.map_or(1.0, |last| now.duration_since(last).as_secs_f64());
        self.last = Some(now);
        // A clock that stepped back: no time passed that we know of.
        let seconds = passed.clamp(0.0, LONGEST);
        if seconds == 0.0 {
            return over;
        }
        let live: Vec<&Instance> = snapshot.instances.iter().filter(|instance| is_live(instance, now)).collect();
        for instance in &live {
            self.add(&instance.name, None, of_instance(instance), seconds);
        }
        // An instance that is not seen says nothing of its tenants: a gap.
        for tenant in snapshot.tenants.iter().filter(|tenant| live.iter().any(|on| on.name == tenant.instance)) {
            self.add(&tenant.instance, Some(&tenant.id), of_tenant(tenant), seconds);
        }
        over
    }

    /// Ends the minute as far as it got.
    pub fn close(&mut self) -> Option<Minute> {
        let at = self.minute.take()?;
        let rows = self.sums.len();
        let mut values = Vec::with_capacity(rows * COLUMNS);
        for column in 0..Measure::ALL.len() {
            values.extend(self.sums.iter().map(|sums| squeeze(sums.mean(column))));
        }
        let counted = |sums: &Sums| Some(sums.seconds[Measure::RowsWritten as usize].min(60.0));
        values.extend(self.sums.iter().map(|sums| squeeze(counted(sums))));
        let seen = self.seen.iter().enumerate().filter(|(_, seen)| **seen).map(|(row, _)| row as u32).collect();
        self.sums.fill(Sums::default());
        self.seen.fill(false);
        Some(Minute { at, seen, values }).filter(|minute| !minute.seen.is_empty())
    }

    fn add(
        &mut self,
        instance: &InstanceName,
        tenant: Option<&TenantId>,
        values: [Option<f64>; Measure::ALL.len()],
        seconds: f64,
    ) {
        let row = self.subjects.row_of(instance, tenant) as usize;
        if row >= self.sums.len() {
            self.sums.resize(row + 1, Sums::default());
            self.seen.resize(row + 1, false);
        }
        self.sums[row].add(values, seconds);
        self.seen[row] = true;
    }
}

/// Whether what is said of an instance is said of now.
fn is_live(instance: &Instance, now: Timestamp) -> bool {
    matches!(instance.reach, Reach::Up) && instance.activity.fresh(now).is_some()
}

fn of_tenant(tenant: &Tenant) -> [Option<f64>; Measure::ALL.len()] {
    [
        tenant.connections.map(f64::from),
        tenant.active.map(f64::from),
        tenant.waiting.map(f64::from),
        tenant.rows_written_per_second,
        // Blocks are known as a series only: its newest point.
        tenant.series.last().and_then(|(_, point)| point.blocks_read).map(f64::from),
        tenant.noise_score,
        tenant.size_bytes.map(|bytes| bytes as f64),
        tenant.dead_tuples.map(|rows| rows as f64),
    ]
}

fn of_instance(instance: &Instance) -> [Option<f64>; Measure::ALL.len()] {
    [
        instance.connections.map(f64::from),
        instance.active.map(f64::from),
        instance.blocked.map(f64::from),
        instance.rates.rows_written,
        None,
        None,
        None,
        None,
    ]
}
