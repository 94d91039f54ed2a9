//! What a tenant's statements cost, ready to be shown: rates over the last minute, the dearest statements first.

use std::sync::Arc;

use super::foreign::Foreign;
use super::session::Rank;

/// The most statements that are kept of one tenant.
pub const TOP: usize = 10;

/// One statement of a tenant; rates over the last minute.
#[derive(Debug, Clone, PartialEq)]
pub struct TopStatement {
    /// `queryid`.
    pub query: i64,
    /// The normalised text; `None` while it was not fetched.
    pub text: Option<Foreign>,
    /// How sure it is that this is the tenant's: what is only claimed (its text names the tenant's schema) counts for
    /// nothing else.
    pub rank: Rank,
    /// Calls a second.
    pub calls: f64,
    /// Milliseconds of planning and executing a second.
    pub milliseconds: f64,
    /// Milliseconds a call.
    pub mean_milliseconds: f64,
    /// Rows a second.
    pub rows: f64,
    /// Blocks read from outside shared buffers a second.
    pub blocks_read: f64,
    /// Bytes of WAL a second.
    pub wal_bytes: f64,
    /// Bytes written to temporary files a second.
    pub temp_bytes: f64,
}

/// What a tenant's statements cost over the last minute, from strong evidence.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TenantStatements {
    /// The dearest by time, WAL, blocks read and temporary files; [`TOP`] at most.
    pub top: Vec<TopStatement>,
    /// Calls a second.
    pub calls: f64,
    /// Milliseconds a second.
    pub milliseconds: f64,
    /// Blocks read from outside shared buffers a second.
    pub blocks_read: f64,
    /// Bytes of WAL a second.
    pub wal_bytes: f64,
    /// The part of all that statements wrote to temporary files; `None` where none did, or that is not known.
    pub temp_share: Option<f64>,
    /// In words, why the figures are not to be trusted; then no share is made of them.
    pub distrusted: Option<Arc<str>>,
}
