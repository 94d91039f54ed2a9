//! The rows of the tenant table: everything that is known of each tenant of an instance.
//!
//! Ten thousand of them are made each second. What is the same for all is found out once, what is known of few is put
//! beside the rows by their places, and nothing is looked up by a name.

use std::sync::Arc;

use jiff::Timestamp;

use super::instance::InstanceState;
use super::residents::Resident;
use super::window::{ChurnWindow, Load, SPAN, Usage};
use crate::domain::facts::Source;
use crate::domain::snapshot::{Lately, Noise, Pressure, Starved};
use crate::domain::{Session, Tenant, TenantId, TenantStatements};

/// Rows counted for fewer seconds than an hour make a day's figure an estimate; for fewer than these, none at all: a schema
/// that was just filled does not go on like that.
const COUNTED_WELL: f64 = 3_600.0;
const COUNTED_LEAST: f64 = 300.0;

/// Sessions of one tenant, counted.
#[derive(Debug, Clone, Default)]
struct Tally {
    strong: u32,
    claimed: u32,
    bound: u32,
    active: u32,
    waiting: u32,
    idle_in_transaction: u32,
    oldest_transaction: Option<f64>,
    waits: Vec<(Arc<str>, u32)>,
}

/// What is known of one of few.
#[derive(Debug, Clone, Default)]
struct Doing {
    tally: Tally,
    usage: Usage,
    /// Of the newest seconds.
    just_now: Usage,
    /// What part of the WAL its backends wrote.
    wal: Option<f64>,
}

/// What is the same for all tenants of an instance.
struct Common<'a> {
    state: &'a InstanceState,
    load: Load,
    /// Of the newest seconds.
    newest: Load,
    /// Sessions were seen a moment ago; so were statements.
    sampled: bool,
    spoken: bool,
    /// Rows, if they were counted a moment ago.
    counted: Option<&'a ChurnWindow>,
    /// Our login sees what other people's sessions do.
    sees_all: bool,
}

/// What is known of few, and where those stand among all.
struct Doings {
    /// For each tenant the place of what is known of it; the first is nothing.
    places: Vec<u32>,
    known: Vec<Doing>,
}

impl Doings {
    fn of(&self, place: usize) -> &Doing {
        &self.known[self.places.get(place).map_or(0, |known| *known as usize)]
    }

    fn of_mut(&mut self, place: usize) -> Option<&mut Doing> {
        let known = self.places.get_mut(place)?;
        if *known == 0 {
            *known = self.known.len() as u32;
            self.known.push(Doing::default());
        }
        self.known.get_mut(*known as usize)
    }
}

/// All tenants of an instance, sorted by id.
pub(super) fn of(state: &InstanceState, now: Timestamp) -> Vec<Tenant> {
    let fresh = state.fresh_sessions(now);
    let common = Common {
        state,
        load: state.window.load(),
        newest: state.window.newest_load(),
        sampled: fresh.is_some(),
        counted: Some(&state.written).filter(|_| state.is_fresh(Source::Churn, now)),
        spoken: state.is_fresh(Source::Statements, now),
        sees_all: state.sees_all(),
    };
    let doings = doings(&common, fresh.map_or(&[], |activity| &activity.sessions));
    let churn = state.written.newest();
    let pressure = state.pressure(now);
    let mut rows = Vec::with_capacity(state.residents.len());
    for (place, resident) in state.residents.iter().enumerate() {
        let Doing { tally, usage, just_now, wal } = doings.of(place);
        let statements = resident.statements.as_ref().filter(|_| common.spoken);
        let churned = churn.zip(resident.churned).and_then(|(churn, place)| churn.homes.get(place));
        let known = |count: u32| common.sampled.then_some(count);
        let seen = |count: u32| (common.sampled && common.sees_all).then_some(count);
        let noise = noise(&common, resident, *usage, statements.map(AsRef::as_ref), *wal);
        let since = churn.and_then(|churn| Some(churn.server_now.duration_since(churned?.since?).as_secs_f64()));
        // The stored history first, where it is longer than an hour.
        let record = resident.settled.record.as_ref();
        let remembered = record
            .filter(|record| record.watched_seconds > COUNTED_WELL)
            .and_then(|record| record.rows_written_per_day);
        let rates = common.counted.and_then(|written| written.rates(resident.churned));
        let waits = tally.waits.iter().max_by(|(a, few), (b, many)| (few, a).cmp(&(many, b)));
        rows.push(Tenant {
            settled: Arc::clone(&resident.settled),
            connections: known(tally.strong + tally.claimed),
            bound: known(tally.bound).filter(|_| resident.settled.limits.login.is_some()),
            strong: tally.strong,
            claimed: tally.claimed,
            active: seen(tally.active),
            waiting: seen(tally.waiting),
            waits_for: waits.map(|(kind, _)| Arc::clone(kind)),
            idle_in_transaction: seen(tally.idle_in_transaction),
            oldest_transaction_seconds: tally.oldest_transaction,
            noise_score: score(noise, pressure),
            noise,
            statements: statements.cloned(),
            starved: starved(common.load, *usage),
            lately: lately(&common, resident, *just_now, noise),
            rows_written_per_day: remembered.or_else(|| {
                let (home, since) = churned.zip(since).filter(|(_, since)| *since >= COUNTED_LEAST)?;
                Some(home.rows_written as f64 * 86_400.0 / since)
            }),
            rows_written_estimated: remembered.is_none()
                && since.is_some_and(|since| (COUNTED_LEAST..COUNTED_WELL).contains(&since)),
            rows_written_per_second: rates.map(|(rows, _)| rows),
            dead_tuples: churned.and_then(|home| home.dead_tuples),
            live_tuples: churned.and_then(|home| home.live_tuples),
            findings: Vec::new(),
            suffers: Vec::new(),
            severity: None,
            series: state.charts.of(place),
        });
    }
    rows
}

/// Beside each tenant what it does.
fn doings(common: &Common<'_>, sessions: &[Session]) -> Doings {
    let state = common.state;
    let mut doings = Doings { places: vec![0; state.residents.len()], known: vec![Doing::default()] };
    let place = |tenant: &TenantId| state.place(tenant);
    for session in sessions {
        let Some(place) = session.attribution.tenant().and_then(place) else { continue };
        let login = state.residents.get(place).and_then(|resident| resident.settled.limits.login.as_ref());
        let bound = login == Some(&session.role);
        if let Some(of_it) = doings.of_mut(place) {
            of_it.tally.add(session);
            of_it.tally.bound += u32::from(bound);
        }
    }
    for (tenant, used) in state.window.usages() {
        if let Some(of_it) = place(tenant).and_then(|place| doings.of_mut(place)) {
            (of_it.usage, of_it.just_now) = (used.minute, used.lately);
        }
    }
    for (tenant, share) in state.backends.wal_shares().filter(|_| common.sampled) {
        if let Some(of_it) = place(tenant).and_then(|place| doings.of_mut(place)) {
            of_it.wal = Some(share);
        }
    }
    doings
}

impl Tally {
    fn add(&mut self, session: &Session) {
        if session.attribution.strong().is_some() {
            self.strong += 1;
        } else {
            self.claimed += 1;
        }
        self.active += u32::from(session.state.is_active());
        self.idle_in_transaction += u32::from(session.state.is_idle_in_transaction());
        if session.is_waiting() {
            self.waiting += 1;
            if let Some(wait) = &session.wait {
                match self.waits.iter_mut().find(|(kind, _)| *kind == wait.kind) {
                    Some((_, count)) => *count += 1,
                    None => self.waits.push((wait.kind.clone(), 1)),
                }
            }
        }
        if let Some(age) = session.transaction_age() {
            self.oldest_transaction = Some(self.oldest_transaction.map_or(age, |oldest| oldest.max(age)));
        }
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64).min(1.0) }
}

/// What share of the instance a tenant took, from strong evidence only.
fn noise(
    common: &Common<'_>,
    resident: &Resident,
    usage: Usage,
    statements: Option<&TenantStatements>,
    wal: Option<f64>,
) -> Noise {
    let Common { state, load, spoken, .. } = *common;
    let sampled = load.elapsed > 0 && common.sampled;
    let seen = sampled && common.sees_all;
    let written = common.counted.and_then(|written| written.shares(resident.churned));
    let told = spoken.then(|| state.spoken.wal_share(statements, state.keeps_to_itself(resident))).flatten();
    Noise {
        active_time: seen.then(|| share(usage.busy, load.busy)),
        connections: sampled.then(|| share(usage.connected, load.connected)),
        rows_written: written.map(|(own, all)| share(own.rows, all.rows)),
        // At least what its statements wrote, and at least what its backends did: either may have missed something,
        // neither counts what is not its own.
        wal: told.into_iter().chain(wal.filter(|_| sampled)).reduce(f64::max),
        // What tables counted is exact; what statements counted stands in for it.
        blocks_read: written
            .and_then(|(own, all)| Some(share(own.blocks_read?, all.blocks_read?)))
            .or_else(|| state.spoken.blocks_share(statements).filter(|_| spoken)),
        blocked_others_seconds: sampled.then_some(usage.blocked_others as f64 / 1e6),
    }
}

/// How long it had to wait for what all share: seconds in a minute, also where we have looked for less than one.
fn starved(load: Load, usage: Usage) -> Starved {
    let elapsed = load.elapsed.clamp(1, SPAN.as_micros() as u64);
    let a_minute = |waited: u64| waited as f64 / elapsed as f64 * SPAN.as_secs_f64();
    Starved { cpu: a_minute(usage.starved_cpu), io: a_minute(usage.starved_io) }
}

/// What of a tenant's noise of the last minute is still so: only of what is known over the minute.
fn lately(common: &Common<'_>, resident: &Resident, usage: Usage, minute: Noise) -> Lately {
    let load = common.newest;
    let written = common.counted.and_then(|written| written.newest_shares(resident.churned));
    let rows = written.map(|(own, all)| share(own.rows, all.rows));
    let blocks = written.and_then(|(own, all)| Some(share(own.blocks_read?, all.blocks_read?)));
    let active = share(usage.busy, load.busy);
    // Statements and backends tell of WAL when they are over: who neither ran anything nor wrote anything writes none.
    let idle = usage.busy == 0 && rows.is_some_and(|rows| rows == 0.0);
    let noise = Noise {
        active_time: minute.active_time.map(|_| active),
        rows_written: rows.filter(|_| minute.rows_written.is_some()),
        blocks_read: blocks.filter(|_| minute.blocks_read.is_some()),
        wal: (idle && minute.wal.is_some()).then_some(0.0),
        ..Noise::default()
    };
    Lately { noise, starved: starved(load, usage) }
}

/// 100 × the greatest of share × pressure over the resources of which both are known.
fn score(noise: Noise, pressure: Pressure) -> Option<f64> {
    [
        noise.active_time.zip(pressure.cpu),
        noise.blocks_read.zip(pressure.reads),
        noise.rows_written.zip(pressure.writes),
        noise.wal.zip(pressure.writes),
        noise.connections.zip(pressure.connections),
    ]
    .into_iter()
    .flatten()
    .map(|(share, pressure)| 100.0 * share * pressure)
    .reduce(f64::max)
}
