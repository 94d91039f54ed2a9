//! The rows of the tenant table: everything that is known of each tenant of an instance.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::instance::InstanceState;
use super::limits::{self, Bound};
use super::residents::{self, Resident};
use super::window::{Load, SPAN, Usage};
use crate::domain::facts::Source;
use crate::domain::snapshot::{Lately, LimitScope, Noise, Pressure, Starved, TenantLimits};
use crate::domain::{Layout, Policy, Session, Tenant, TenantId};

/// Sessions of one tenant, counted.
#[derive(Debug, Default)]
struct Tally {
    strong: u32,
    claimed: u32,
    active: u32,
    waiting: u32,
    idle_in_transaction: u32,
    oldest_transaction: Option<f64>,
    waits: HashMap<Arc<str>, u32>,
}

/// All tenants of an instance, sorted by id.
pub(super) fn of(state: &InstanceState, policy: &Policy, now: Timestamp) -> Vec<Tenant> {
    let fresh = state.fresh_sessions(now);
    let counted = state.is_fresh(Source::Churn, now);
    let tallies = tally(&state.residents, fresh.map_or(&[], |activity| &activity.sessions));
    let usages = usages(state);
    let (load, just_now) = state.window.lately();
    let churn = state.written.newest();
    let pressure = state.pressure(now);
    let spoken = state.is_fresh(Source::Statements, now);
    let account = account(state);
    state
        .residents
        .iter()
        .zip(tallies)
        .zip(usages)
        .map(|((resident, tally), usage)| {
            let Resident { id, home, .. } = resident;
            let churned = churn.zip(resident.churned).and_then(|(churn, place)| churn.homes.get(place));
            let known = |count: u32| fresh.is_some().then_some(count);
            let seen = |count: u32| (fresh.is_some() && state.sees_all()).then_some(count);
            let exists = churned.is_some() || resident.size.is_some();
            let noise = noise(state, resident, usage, spoken, now);
            let since = churn.and_then(|churn| Some(churn.server_now.duration_since(churned?.since?).as_secs_f64()));
            // The stored history first, where it is longer than an hour.
            let record = state.records.get(id);
            let remembered =
                record.filter(|record| record.watched_seconds > 3_600.0).and_then(|record| record.rows_written_per_day);
            let (limit_scope, limits) = limits_of(state, policy, resident, &account);
            Tenant {
                id: id.clone(),
                tier: state.plan.tier,
                instance: state.plan.name.clone(),
                schema: (exists && state.plan.layout == Layout::Schema).then(|| home.clone()),
                database: (state.plan.layout == Layout::Database).then(|| home.clone()),
                role: resident.role_name.clone(),
                connections: known(tally.strong + tally.claimed),
                strong: tally.strong,
                claimed: tally.claimed,
                active: seen(tally.active),
                waiting: seen(tally.waiting),
                waits_for: tally
                    .waits
                    .iter()
                    .max_by_key(|(kind, count)| (**count, (*kind).clone()))
                    .map(|(kind, _)| kind.clone()),
                idle_in_transaction: seen(tally.idle_in_transaction),
                oldest_transaction_seconds: tally.oldest_transaction,
                limit_scope,
                limits,
                noise_score: score(noise, pressure),
                noise,
                statements: state.spoken.of(id).filter(|_| spoken),
                starved: starved(state.window.load().elapsed, usage),
                lately: lately(state, resident, load, just_now.get(id).copied().unwrap_or_default(), noise),
                rows_written_per_day: remembered.or_else(|| {
                    let (home, since) = churned.zip(since).filter(|(_, since)| *since > 0.0)?;
                    Some(home.rows_written as f64 * 86_400.0 / since)
                }),
                rows_written_estimated: remembered.is_none() && since.is_some_and(|since| since < 3_600.0),
                rows_written_per_second: state
                    .written
                    .rates(resident.churned)
                    .filter(|_| counted)
                    .map(|(rows, _)| rows),
                dead_tuples: churned.and_then(|home| home.dead_tuples),
                live_tuples: churned.and_then(|home| home.live_tuples),
                size_bytes: resident.size,
                size_estimated: state.sizes.as_ref().is_some_and(|sizes| sizes.estimated),
                findings: Vec::new(),
                suffers: Vec::new(),
                severity: None,
                recommended_tier: None,
                record: record.cloned(),
                notes: policy.tenants.get(id).map(|notes| Arc::new(notes.clone())),
                series: state.charts.of(id),
            }
        })
        .collect()
}

/// Beside each tenant what its sessions do.
fn tally(residents: &[Resident], sessions: &[Session]) -> Vec<Tally> {
    let mut tallies: Vec<Tally> = residents.iter().map(|_| Tally::default()).collect();
    for session in sessions {
        let place = session.attribution.tenant().and_then(|tenant| residents::place(residents, tenant));
        let Some(tally) = place.and_then(|place| tallies.get_mut(place)) else { continue };
        if session.attribution.strong().is_some() {
            tally.strong += 1;
        } else {
            tally.claimed += 1;
        }
        tally.active += u32::from(session.state.is_active());
        tally.idle_in_transaction += u32::from(session.state.is_idle_in_transaction());
        if session.is_waiting() {
            tally.waiting += 1;
            if let Some(wait) = &session.wait {
                *tally.waits.entry(wait.kind.clone()).or_default() += 1;
            }
        }
        if let Some(age) = session.transaction_age() {
            tally.oldest_transaction = Some(tally.oldest_transaction.map_or(age, |oldest| oldest.max(age)));
        }
    }
    tallies
}

/// Beside each tenant what it used.
fn usages(state: &InstanceState) -> Vec<Usage> {
    let mut usages = vec![Usage::default(); state.residents.len()];
    for (tenant, usage) in state.window.usages() {
        if let Some(of_it) = residents::place(&state.residents, tenant).and_then(|place| usages.get_mut(place)) {
            *of_it = usage;
        }
    }
    usages
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64).min(1.0) }
}

/// What share of the instance a tenant took, from strong evidence only; `spoken`: what is known of statements is fresh.
fn noise(state: &InstanceState, resident: &Resident, usage: Usage, spoken: bool, now: Timestamp) -> Noise {
    let id = &resident.id;
    let load = state.window.load();
    let sampled = load.elapsed > 0 && state.fresh_sessions(now).is_some();
    let seen = sampled && state.sees_all();
    let written = state.written.shares(resident.churned).filter(|_| state.is_fresh(Source::Churn, now));
    Noise {
        active_time: seen.then(|| share(usage.busy, load.busy)),
        connections: sampled.then(|| share(usage.connected, load.connected)),
        rows_written: written.map(|(own, all)| share(own.rows, all.rows)),
        wal: wal_share(state, id, spoken, sampled),
        // What tables counted is exact; what statements counted stands in for it.
        blocks_read: written
            .and_then(|(own, all)| Some(share(own.blocks_read?, all.blocks_read?)))
            .or_else(|| state.spoken.blocks_share(id).filter(|_| spoken)),
        blocked_others_seconds: sampled.then_some(usage.blocked_others as f64 / 1e6),
    }
}

/// What part of the WAL it wrote: at least what its statements wrote, and at least what its backends did. Either may
/// have missed something, neither counts what is not its own.
fn wal_share(state: &InstanceState, id: &TenantId, spoken: bool, sampled: bool) -> Option<f64> {
    let spoken = spoken.then(|| state.spoken.wal_share(id, state.keeps_to_itself(id))).flatten();
    let counted = sampled.then(|| state.backends.wal_share(id)).flatten();
    spoken.into_iter().chain(counted).reduce(f64::max)
}

/// How long it had to wait for what all share: seconds in a minute, also where we have looked for less than one.
fn starved(elapsed: u64, usage: Usage) -> Starved {
    let elapsed = elapsed.clamp(1, SPAN.as_micros() as u64);
    let a_minute = |waited: u64| waited as f64 / elapsed as f64 * SPAN.as_secs_f64();
    Starved { cpu: a_minute(usage.starved_cpu), io: a_minute(usage.starved_io) }
}

/// What of a tenant's noise of the last minute is still so: only of what is known over the minute.
fn lately(state: &InstanceState, resident: &Resident, load: Load, usage: Usage, minute: Noise) -> Lately {
    let written = state.written.newest_shares(resident.churned);
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
    Lately { noise, starved: starved(load.elapsed, usage) }
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

/// What binds sessions of the shared account: the same for all tenants of a database, and told apart where each has its own.
fn account(state: &InstanceState) -> impl Fn(&str) -> Option<Bound> {
    let roles = state.roles.as_ref();
    let account =
        roles.and_then(|roles| Some((roles, limits::role(roles, &state.directory.naming().service_account)?)));
    let database = state.server.as_ref().filter(|_| state.plan.layout == Layout::Schema);
    let shared = account.zip(database).map(|((roles, role), server)| limits::bound(roles, role, server.database.raw()));
    move |home| match (&shared, account) {
        (Some(shared), _) => Some(shared.clone()),
        (None, Some((roles, role))) => Some(limits::bound(roles, role, home)),
        (None, None) => None,
    }
}

/// What binds a tenant's sessions: its own login's limits where it uses that, else the service account's.
fn limits_of(
    state: &InstanceState,
    policy: &Policy,
    resident: &Resident,
    account: &impl Fn(&str) -> Option<Bound>,
) -> (LimitScope, TenantLimits) {
    let wanted = policy.wanted(&resident.id, state.plan.tier);
    let own = resident.bound.as_ref().filter(|_| !state.lives_on_account(&resident.id));
    let (scope, binding) = match own {
        Some(own) => (LimitScope::Tenant, Some(own.clone())),
        None => (LimitScope::ServiceAccount, account(&resident.home)),
    };
    let Some(Bound { login, limits, unknown }) = binding else {
        return (scope, TenantLimits { wanted, ..TenantLimits::default() });
    };
    (scope, TenantLimits { effective: limits, login: Some(login), wanted, unknown })
}
