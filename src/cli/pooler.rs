//! The pooler in `status --json`.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::Observed;
use crate::domain::facts;

/// The pooler before an instance, PgBouncer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Pooler {
    /// Whether it answers.
    pub reachable: bool,
    /// Why it does not.
    pub error: Option<String>,
    /// Age of what is said here.
    pub age_seconds: Option<f64>,
    /// Such as `1.18.0`.
    pub version: Option<String>,
    /// `pool_mode`, the default.
    pub pool_mode: Option<String>,
    /// Clients that wait for a server connection.
    pub clients_waiting: Option<u32>,
    /// How long the oldest of those has waited.
    pub longest_wait_seconds: Option<f64>,
    /// `max_client_conn`.
    pub max_client_connections: Option<u32>,
    /// Its pools, those with waiting clients first.
    pub pools: Option<Vec<Pool>>,
}

/// One pool: a login in a database.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Pool {
    /// Database, as clients ask for it.
    pub database: String,
    /// Login.
    pub user: String,
    /// `session`, `transaction` or `statement`.
    pub mode: String,
    /// Clients linked to a server connection.
    pub clients_active: u32,
    /// Clients that wait for one.
    pub clients_waiting: u32,
    /// Server connections in use.
    pub servers_active: u32,
    /// Server connections free.
    pub servers_idle: u32,
    /// How many server connections it may have.
    pub size: Option<u32>,
    /// Whether somebody paused it.
    pub paused: bool,
    /// How long the oldest waiting client has waited.
    pub longest_wait_seconds: f64,
    /// Whether what one client sets is still set for the next one.
    pub leaks_settings: Option<bool>,
    /// Why it does, and what to do about it.
    pub leak: Option<String>,
}

impl Pooler {
    pub(super) fn of(seen: &Observed<Arc<facts::Pooler>>, now: Timestamp) -> Self {
        let fresh = seen.fresh(now);
        Self {
            reachable: fresh.is_some() && seen.error.is_none(),
            error: seen.error.as_ref().map(|trouble| trouble.message.clone()).or_else(|| seen.missing(now)),
            age_seconds: seen.age(now).map(|age| age.as_secs_f64()),
            version: fresh.filter(|pooler| !pooler.version.is_empty()).map(|pooler| pooler.version.to_string()),
            pool_mode: fresh.and_then(|pooler| pooler.mode.as_deref().map(str::to_owned)),
            clients_waiting: fresh.map(|pooler| pooler.waiting()),
            longest_wait_seconds: fresh.map(|pooler| pooler.longest_wait()),
            max_client_connections: fresh.and_then(|pooler| pooler.most_clients),
            pools: fresh.map(|pooler| pooler.pools.iter().map(|pool| Pool::of(pooler, pool)).collect()),
        }
    }
}

impl Pool {
    fn of(pooler: &facts::Pooler, pool: &facts::Pool) -> Self {
        Self {
            database: pool.database.to_string(),
            user: pool.role.to_string(),
            mode: pool.mode.to_string(),
            clients_active: pool.clients_active,
            clients_waiting: pool.clients_waiting,
            servers_active: pool.servers_active,
            servers_idle: pool.servers_idle,
            size: pool.size,
            paused: pool.paused,
            longest_wait_seconds: pool.longest_wait_seconds,
            leaks_settings: pooler.leaks_settings(pool),
            leak: pooler.leak(pool),
        }
    }
}
