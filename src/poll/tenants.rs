//! The rows of the tenant table: everything that is known of each tenant of an instance.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::instance::InstanceState;
use super::limits;
use super::window::SPAN;
use crate::domain::facts::{Role, SchemaChurn, Source};
use crate::domain::snapshot::{LimitScope, Noise, Pressure, Starved, TenantLimits};
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
    let tallies = tally(fresh.map_or(&[], |activity| &activity.sessions));
    let churn: HashMap<&str, &SchemaChurn> =
        state.written.newest().iter().flat_map(|churn| churn.homes.iter().map(|home| (&*home.home, home))).collect();
    let logins: HashMap<TenantId, &Role> = state
        .roles
        .iter()
        .flat_map(|roles| &roles.roles)
        .filter_map(|role| Some((state.directory.by_login(role.name.raw())?, role)))
        .collect();
    let pressure = state.pressure(now);
    let spoken = state.is_fresh(Source::Statements, now);
    let account = state.roles.as_ref().and_then(|roles| limits::role(roles, &state.directory.naming().service_account));
    state
        .tenants
        .iter()
        .map(|id| {
            let home = state.plan.home(&state.directory, id);
            let churned = churn.get(home.as_str()).copied();
            let empty = Tally::default();
            let tally = tallies.get(id).unwrap_or(&empty);
            let known = |count: u32| fresh.is_some().then_some(count);
            let seen = |count: u32| (fresh.is_some() && state.sees_all()).then_some(count);
            let exists =
                churned.is_some() || state.sizes.as_ref().is_some_and(|sizes| sizes.homes.contains_key(home.as_str()));
            let noise = noise(state, id, &home, spoken, now);
            let since = state
                .written
                .newest()
                .and_then(|churn| Some(churn.server_now.duration_since(churned?.since?).as_secs_f64()));
            let size = state.sizes.as_ref().and_then(|sizes| sizes.homes.get(home.as_str()).copied());
            let (limit_scope, limits) = limits_of(state, policy, id, &home, logins.get(id).copied(), account);
            Tenant {
                id: id.clone(),
                tier: state.plan.tier,
                instance: state.plan.name.clone(),
                schema: (exists && state.plan.layout == Layout::Schema).then(|| Arc::from(home.as_str())),
                database: (state.plan.layout == Layout::Database).then(|| Arc::from(home.as_str())),
                role: logins.get(id).map(|role| Arc::from(role.name.shown())),
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
                starved: starved(state, id),
                rows_written_per_day: churned
                    .zip(since)
                    .filter(|(_, since)| *since > 0.0)
                    .map(|(home, since)| home.rows_written as f64 * 86_400.0 / since),
                rows_written_estimated: since.is_some_and(|since| since < 3_600.0),
                rows_written_per_second: state.written.rates(&home).filter(|_| counted).map(|(rows, _)| rows),
                dead_tuples: churned.and_then(|home| home.dead_tuples),
                live_tuples: churned.and_then(|home| home.live_tuples),
                size_bytes: size,
                size_estimated: state.sizes.as_ref().is_some_and(|sizes| sizes.estimated),
                findings: Vec::new(),
                suffers: Vec::new(),
                severity: None,
                record: None,
                notes: policy.tenants.get(id).map(|notes| Arc::new(notes.clone())),
                series: state.tracks.get(id).map(|track| track.series.clone()).unwrap_or_default(),
            }
        })
        .collect()
}

fn tally(sessions: &[Session]) -> HashMap<&TenantId, Tally> {
    let mut tallies: HashMap<&TenantId, Tally> = HashMap::new();
    for session in sessions {
        let Some(tenant) = session.attribution.tenant() else { continue };
        let tally = tallies.entry(tenant).or_default();
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

/// What share of the instance a tenant took, from strong evidence only; `spoken`: what is known of statements is fresh.
fn noise(state: &InstanceState, id: &TenantId, home: &str, spoken: bool, now: Timestamp) -> Noise {
    let load = state.window.load();
    let usage = state.window.usage(id);
    let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { (part as f64 / whole as f64).min(1.0) };
    let sampled = load.elapsed > 0 && state.fresh_sessions(now).is_some();
    let seen = sampled && state.sees_all();
    let written = state.written.shares(home).filter(|_| state.is_fresh(Source::Churn, now));
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
fn starved(state: &InstanceState, id: &TenantId) -> Starved {
    let usage = state.window.usage(id);
    let elapsed = state.window.load().elapsed.clamp(1, SPAN.as_micros() as u64);
    let a_minute = |waited: u64| waited as f64 / elapsed as f64 * SPAN.as_secs_f64();
    Starved { cpu: a_minute(usage.starved_cpu), io: a_minute(usage.starved_io) }
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

/// What binds a tenant's sessions: its own login's limits where it uses that, else the service account's.
fn limits_of(
    state: &InstanceState,
    policy: &Policy,
    id: &TenantId,
    home: &str,
    login: Option<&Role>,
    account: Option<&Role>,
) -> (LimitScope, TenantLimits) {
    let wanted = policy.wanted(id, state.plan.tier);
    let own = login.filter(|role| role.can_login && !state.lives_on_account(id));
    let (scope, binding) = match own {
        Some(role) => (LimitScope::Tenant, Some(role)),
        None => (LimitScope::ServiceAccount, account),
    };
    let Some((roles, binding)) = state.roles.as_ref().zip(binding) else {
        return (scope, TenantLimits { wanted, ..TenantLimits::default() });
    };
    let database = match (state.plan.layout, &state.server) {
        (Layout::Schema, Some(server)) => server.database.raw(),
        _ => home,
    };
    let (effective, unknown) = limits::effective(roles, binding, database);
    (scope, TenantLimits { effective, login: Some(binding.name.clone()), wanted, unknown })
}
