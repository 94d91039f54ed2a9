//! Who used what over the last minute, from samples of sessions and from counters.
//!
//! A session that is seen busy is taken to have been busy since the sample before it: with a sample a second that is
//! Active Session History, the way RDS computes `DBLoad`. Sums are whole microseconds, so that a minute of adding and
//! taking away leaves nothing behind. Only strong evidence counts for a tenant; everything counts for the instance.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::facts::{Churn, SchemaChurn};
use crate::domain::{Session, TenantId};

/// How far back shares look.
pub(super) const SPAN: Duration = Duration::from_secs(60);

/// What is just now: long enough that who pauses for three seconds is still at it.
const LATELY: Duration = Duration::from_secs(10);

/// Session time, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub busy: u64,
    pub connected: u64,
    pub blocked_others: u64,
    pub starved_cpu: u64,
    pub starved_io: u64,
}

/// Session time of the whole instance, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub elapsed: u64,
    pub busy: u64,
    pub runnable: u64,
    pub reading: u64,
    pub writing: u64,
    pub connected: u64,
}

#[derive(Debug, Clone, Default)]
struct Sample {
    at: Timestamp,
    load: Load,
    tenants: Vec<(TenantId, Usage)>,
}

/// What a tenant used over the minute, and in its newest seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Used {
    pub minute: Usage,
    pub lately: Usage,
}

/// The samples of the last minute and their sums.
#[derive(Debug, Clone, Default)]
pub(super) struct SessionWindow {
    samples: VecDeque<Sample>,
    load: Load,
    /// Of the newest seconds, and how many samples those are.
    newest_load: Load,
    newest: usize,
    tenants: HashMap<TenantId, Used>,
    last: Option<Timestamp>,
}

impl SessionWindow {
    /// Takes one poll's sessions. The first sample stands for one period; a gap counts as three periods at most.
    pub fn sample(&mut self, at: Timestamp, every: Duration, vcpus: f64, sessions: &[Session]) {
        // A server's clock that stepped back says nothing about the time that passed: the minute begins anew.
        if self.last.is_some_and(|last| at < last) {
            self.clear();
        }
        let period = every.as_micros() as u64;
        let since = |last| u64::try_from(at.duration_since(last).as_micros()).unwrap_or(period);
        let elapsed = self.last.map_or(period, since).min(3 * period);
        self.last = Some(at);
        let mut sample = Sample { at, load: Load { elapsed, ..Load::default() }, tenants: Vec::new() };
        let mut tenants: HashMap<&TenantId, Usage> = HashMap::new();
        let runnable: u32 =
            sessions.iter().filter(|session| session.is_runnable()).map(|session| 1 + session.workers).sum();
        let crowded = f64::from(runnable) > vcpus;
        for session in sessions {
            let count = |condition: bool| if condition { elapsed } else { 0 };
            let busy = elapsed * u64::from(session.workers + 1) * u64::from(session.is_busy());
            sample.load.connected += elapsed;
            sample.load.busy += busy;
            sample.load.runnable += elapsed * u64::from(session.workers + 1) * u64::from(session.is_runnable());
            let waits = session.wait.as_ref().filter(|_| session.state.is_active());
            sample.load.reading += count(waits.is_some_and(|wait| is_read(&wait.kind, &wait.event)));
            sample.load.writing += count(waits.is_some_and(|wait| is_write(&wait.kind, &wait.event)));
            if let Some(tenant) = session.attribution.strong() {
                let usage = tenants.entry(tenant).or_default();
                usage.connected += elapsed;
                usage.busy += busy;
                usage.starved_cpu += count(session.starves_for_cpu(crowded));
                usage.starved_io += count(session.starves_for_io());
            }
        }
        for (tenant, waiters) in blocked_others(sessions) {
            tenants.entry(tenant).or_default().blocked_others += elapsed * waiters;
        }
        sample.tenants = tenants.into_iter().map(|(tenant, usage)| (tenant.clone(), usage)).collect();
        self.add(sample);
        let old = |sample: &Sample, span: Duration| at.duration_since(sample.at).as_secs_f64() >= span.as_secs_f64();
        while let Some(oldest) = self.samples.get(self.samples.len() - self.newest).filter(|it| old(it, LATELY)) {
            self.newest -= 1;
            self.newest_load = combine(self.newest_load, oldest.load, u64::wrapping_sub);
            for (tenant, usage) in &oldest.tenants {
                if let Some(used) = self.tenants.get_mut(tenant) {
                    used.lately = combine_usage(used.lately, *usage, u64::wrapping_sub);
                }
            }
        }
        while self.samples.front().is_some_and(|oldest| old(oldest, SPAN)) {
            self.drop_oldest();
        }
    }

    /// Forgets everything: the server was restarted, or its clock stepped back.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The sums of the instance.
    pub fn load(&self) -> Load {
        self.load
    }

    /// The same of the newest seconds.
    pub fn newest_load(&self) -> Load {
        self.newest_load
    }

    /// The sums of each tenant that did anything.
    pub fn usages(&self) -> impl Iterator<Item = (&TenantId, Used)> {
        self.tenants.iter().map(|(tenant, used)| (tenant, *used))
    }

    fn add(&mut self, sample: Sample) {
        self.load = combine(self.load, sample.load, u64::wrapping_add);
        self.newest_load = combine(self.newest_load, sample.load, u64::wrapping_add);
        self.newest += 1;
        for (tenant, usage) in &sample.tenants {
            let used = self.tenants.entry(tenant.clone()).or_default();
            used.minute = combine_usage(used.minute, *usage, u64::wrapping_add);
            used.lately = combine_usage(used.lately, *usage, u64::wrapping_add);
        }
        self.samples.push_back(sample);
    }

    fn drop_oldest(&mut self) {
        let Some(sample) = self.samples.pop_front() else { return };
        self.load = combine(self.load, sample.load, u64::wrapping_sub);
        for (tenant, usage) in &sample.tenants {
            if let Some(used) = self.tenants.get_mut(tenant) {
                used.minute = combine_usage(used.minute, *usage, u64::wrapping_sub);
                if used.minute == Usage::default() {
                    self.tenants.remove(tenant);
                }
            }
        }
    }
}

fn combine(left: Load, right: Load, by: impl Fn(u64, u64) -> u64) -> Load {
    Load {
        elapsed: by(left.elapsed, right.elapsed),
        busy: by(left.busy, right.busy),
        runnable: by(left.runnable, right.runnable),
        reading: by(left.reading, right.reading),
        writing: by(left.writing, right.writing),
        connected: by(left.connected, right.connected),
    }
}

fn combine_usage(left: Usage, right: Usage, by: impl Fn(u64, u64) -> u64) -> Usage {
    Usage {
        busy: by(left.busy, right.busy),
        connected: by(left.connected, right.connected),
        blocked_others: by(left.blocked_others, right.blocked_others),
        starved_cpu: by(left.starved_cpu, right.starved_cpu),
        starved_io: by(left.starved_io, right.starved_io),
    }
}

fn is_read(kind: &str, event: &str) -> bool {
    kind == "IO" && event.contains("Read")
}

fn is_write(kind: &str, event: &str) -> bool {
    match kind {
        "IO" => {
            event.contains("Write") || event.contains("Sync") || event.contains("Extend") || event.starts_with("WAL")
        }
        "LWLock" => event.starts_with("WAL"),
        _ => false,
    }
}

/// How many sessions of other tenants wait behind each tenant's sessions: the root of a chain is blamed, not who waits
/// in the middle of it.
fn blocked_others(sessions: &[Session]) -> HashMap<&TenantId, u64> {
    let waiters: HashMap<i32, &Session> = sessions
        .iter()
        // Who is only guessed to wait for somebody blames nobody.
        .filter(|session| session.blocking.as_ref().is_some_and(|blocking| !blocking.inferred))
        .map(|session| (session.key.pid, session))
        .collect();
    let mut blamed = HashMap::new();
    if waiters.is_empty() {
        return blamed;
    }
    let by_pid: HashMap<i32, &Session> = sessions.iter().map(|session| (session.key.pid, session)).collect();
    let mut root_of: HashMap<i32, i32> = HashMap::new();
    for waiter in waiters.values() {
        let mut path = vec![waiter.key.pid];
        let mut at = waiter.key.pid;
        let root = loop {
            if let Some(known) = root_of.get(&at) {
                break *known;
            }
            // Of several blockers the one that waits for nobody explains the most.
            let next = waiters.get(&at).and_then(|session| {
                let by = &session.blocking.as_ref()?.by;
                by.iter().find(|pid| !waiters.contains_key(pid)).or_else(|| by.first()).copied()
            });
            match next {
                Some(next) if !path.contains(&next) => {
                    path.push(next);
                    at = next;
                }
                _ => break at,
            }
        };
        for pid in path {
            root_of.insert(pid, root);
        }
        let culprit = by_pid.get(&root).and_then(|session| session.attribution.strong());
        if let Some(culprit) = culprit
            && root != waiter.key.pid
            && waiter.attribution.tenant() != Some(culprit)
        {
            *blamed.entry(culprit).or_default() += 1;
        }
    }
    blamed
}

/// What one tenant's tables went through between two polls of the counters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Written {
    pub rows: u64,
    pub blocks_read: Option<u64>,
}

const NOTHING: Written = Written { rows: 0, blocks_read: Some(0) };

impl Written {
    fn plus(self, other: Self) -> Self {
        let blocks_read = self.blocks_read.zip(other.blocks_read).map(|(own, other)| own + other);
        Self { rows: self.rows + other.rows, blocks_read }
    }
}

/// Between two polls. Beside each of the newest homes; `None`: it is new or its counters were reset meanwhile, and nothing
/// can be said of it.
#[derive(Debug, Clone)]
struct Delta {
    at: Timestamp,
    seconds: f64,
    total: Written,
    homes: Vec<Option<Written>>,
}

impl Delta {
    /// What happened between two polls.
    fn between(then: &Churn, now: &Churn) -> Self {
        let mut total = NOTHING;
        let homes = beside(&now.homes, &then.homes, |home, before| {
            let before = before.filter(|before| before.since == home.since)?;
            let rows = home.rows_written.checked_sub(before.rows_written)?;
            let blocks_read = home.blocks_read.zip(before.blocks_read).and_then(|(now, then)| now.checked_sub(then));
            let written = Written { rows, blocks_read };
            total = total.plus(written);
            Some(written)
        });
        // A table that was made, filled and dropped in between is in no home: without it the rest would seem to be all.
        if let Some(all) = whole(then, now) {
            total.rows = total.rows.max(all.rows);
            total.blocks_read = total.blocks_read.max(all.blocks_read);
        }
        let seconds = now.server_now.duration_since(then.server_now).as_secs_f64();
        Self { at: now.server_now, seconds, total, homes }
    }

    /// What one home did; `None` for a gap. Without a place it has no tables, and did nothing.
    fn of(&self, place: Option<usize>) -> Option<Written> {
        place.map_or(Some(NOTHING), |place| self.homes.get(place).copied().flatten())
    }
}

/// What the database as a whole went through.
fn whole(then: &Churn, now: &Churn) -> Option<Written> {
    let (before, after) = then.whole.zip(now.whole).filter(|(before, after)| before.since == after.since)?;
    let rows = after.rows_written.checked_sub(before.rows_written)?;
    Some(Written { rows, blocks_read: after.blocks_read.checked_sub(before.blocks_read) })
}

/// Each home now with the same one then; both are sorted by name.
fn beside<T>(
    now: &[SchemaChurn],
    then: &[SchemaChurn],
    mut each: impl FnMut(&SchemaChurn, Option<&SchemaChurn>) -> T,
) -> Vec<T> {
    let mut rest = then.iter().peekable();
    let same = |home: &SchemaChurn, other: &&SchemaChurn| other.home == home.home;
    now.iter()
        .map(|home| {
            while rest.next_if(|other| other.home < home.home).is_some() {}
            each(home, rest.peek().copied().filter(|other| same(home, other)))
        })
        .collect()
}

fn names(churn: &Churn) -> impl Iterator<Item = &Arc<str>> {
    churn.homes.iter().map(|home| &home.home)
}

/// Differences of counters over the last minute, and the newest of them at least. Homes are found by their place among the
/// newest: with ten thousand of them, looking each up by its name for each of six differences is what a snapshot would
/// spend most of its time on.
#[derive(Debug, Clone, Default)]
pub(super) struct ChurnWindow {
    /// Sorted by name.
    last: Option<Churn>,
    deltas: VecDeque<Delta>,
    /// What each home and all did over the window, as far back as there is no gap.
    sums: Vec<Option<(Written, Written)>>,
}

impl ChurnWindow {
    /// Takes one poll's counters; says whether homes came or went. A counter that fell was reset: a gap, never a spike.
    pub fn take(&mut self, mut churn: Churn) -> bool {
        let now = churn.server_now;
        if !churn.homes.is_sorted_by(|a, b| a.home <= b.home) {
            churn.homes.sort_unstable_by(|a, b| a.home.cmp(&b.home));
        }
        let moved = self.last.as_ref().is_none_or(|last| !names(last).eq(names(&churn)));
        match &self.last {
            Some(last) if now > last.server_now => {
                if moved {
                    let place =
                        |home: &SchemaChurn| last.homes.binary_search_by(|other| other.home.cmp(&home.home)).ok();
                    let places: Vec<Option<usize>> = churn.homes.iter().map(place).collect();
                    for delta in &mut self.deltas {
                        delta.homes = places.iter().map(|place| place.and_then(|place| delta.homes[place])).collect();
                    }
                }
                self.deltas.push_back(Delta::between(last, &churn));
            }
            // The clock stepped back: what lies behind it is no minute any more.
            Some(_) => self.deltas.clear(),
            None => {}
        }
        let old = |delta: &Delta| now.duration_since(delta.at).as_secs_f64() >= SPAN.as_secs_f64();
        while self.deltas.len() > 1 && self.deltas.front().is_some_and(old) {
            self.deltas.pop_front();
        }
        self.sums = (0..churn.homes.len()).map(|place| self.sum(Some(place))).collect();
        self.last = Some(churn);
        moved
    }

    /// The newest counters.
    pub fn newest(&self) -> Option<&Churn> {
        self.last.as_ref()
    }

    /// Where a home stands among the newest.
    pub fn place(&self, home: &str) -> Option<usize> {
        self.last.as_ref()?.homes.binary_search_by(|other| (*other.home).cmp(home)).ok()
    }

    /// What one home wrote and read over the window, and what all did, as far back as there is no gap; `None` before
    /// there are two polls.
    pub fn shares(&self, place: Option<usize>) -> Option<(Written, Written)> {
        match place {
            Some(place) => self.sums.get(place).copied().flatten(),
            None => self.sum(None),
        }
    }

    /// The same between the newest two polls.
    pub fn newest_shares(&self, place: Option<usize>) -> Option<(Written, Written)> {
        let delta = self.deltas.back()?;
        Some((delta.of(place)?, delta.total))
    }

    fn sum(&self, place: Option<usize>) -> Option<(Written, Written)> {
        let mut sums = None;
        for delta in self.deltas.iter().rev() {
            let Some(own) = delta.of(place) else { break };
            let (mine, all) = sums.unwrap_or((NOTHING, NOTHING));
            sums = Some((own.plus(mine), delta.total.plus(all)));
        }
        sums
    }

    /// Rows written and blocks read a second between the newest two polls.
    pub fn rates(&self, place: Option<usize>) -> Option<(f64, Option<f64>)> {
        let delta = self.deltas.back()?;
        let own = delta.of(place)?;
        Some((own.rows as f64 / delta.seconds, own.blocks_read.map(|blocks| blocks as f64 / delta.seconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::facts::Whole;

    fn churn(second: i64, homes: &[(&str, u64)], all: u64) -> Churn {
        let home = |(home, rows): &(&str, u64)| SchemaChurn {
            home: Arc::from(*home),
            since: None,
            tables: 1,
            rows_written: *rows,
            blocks_read: Some(0),
            dead_tuples: None,
            live_tuples: None,
        };
        Churn {
            server_now: Timestamp::from_second(1_000 + second).unwrap(),
            homes: homes.iter().map(home).collect(),
            whole: Some(Whole { since: None, rows_written: all, blocks_read: 0 }),
        }
    }

    #[test]
    fn rows_of_tables_that_are_gone_were_written_too() {
        let mut window = ChurnWindow::default();
        window.take(churn(0, &[("tenant_etl", 5_000), ("tenant_small", 100)], 10_000));
        // The one dropped a table and filled another; beside that the small one is nobody.
        window.take(churn(10, &[("tenant_etl", 4_000), ("tenant_small", 190)], 1_010_000));
        let share = |window: &ChurnWindow, home| window.shares(window.place(home));
        let (own, all) = share(&window, "tenant_small").unwrap();
        assert_eq!((own.rows, all.rows), (90, 1_000_000));
        assert_eq!(share(&window, "tenant_etl"), None, "a counter that fell is a gap");
        // Counters that began anew say nothing of the whole.
        window.take(churn(20, &[("tenant_etl", 4_010), ("tenant_small", 200)], 20));
        assert_eq!(window.deltas.back().unwrap().total.rows, 20);
    }
}
