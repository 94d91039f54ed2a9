//! Facts about the pooler before an instance: PgBouncer's admin console.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::foreign::Foreign;

/// `SHOW POOLS`: one pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// Database, as clients ask for it.
    pub database: Foreign,
    /// Login.
    pub role: Foreign,
    /// `pool_mode`: `session`, `transaction`, `statement`.
    pub mode: Arc<str>,
    /// Clients linked to a server connection.
    pub clients_active: u32,
    /// Clients that wait for one.
    pub clients_waiting: u32,
    /// Server connections in use.
    pub servers_active: u32,
    /// Server connections free.
    pub servers_idle: u32,
    /// How long the oldest waiting client has waited.
    pub longest_wait_seconds: f64,
}

/// Source `pgbouncer`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Pooler {
    /// `SHOW VERSION`.
    pub version: Foreign,
    /// Pools, its own left out.
    pub pools: Vec<Pool>,
    /// `pool_mode`, the default.
    pub mode: Option<Arc<str>>,
    /// `server_reset_query`.
    pub reset_query: Option<Foreign>,
    /// `server_reset_query_always`: without it, the reset query is not run in transaction pooling.
    pub resets_always: Option<bool>,
    /// `max_client_conn`.
    pub most_clients: Option<u32>,
    /// `default_pool_size`.
    pub pool_size: Option<u32>,
}
