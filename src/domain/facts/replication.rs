//! Facts about what is copied elsewhere, and about who holds vacuum back.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::foreign::Foreign;

/// `pg_replication_slots`: one slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// Name.
    pub name: Foreign,
    /// The database of a logical slot.
    pub database: Option<Foreign>,
    /// The output plugin of a logical slot.
    pub plugin: Option<Foreign>,
    /// Whether somebody reads it.
    pub active: bool,
    /// Whether it goes with its session.
    pub temporary: bool,
    /// `wal_status`: `reserved`, `extended`, `unreserved`, `lost`.
    pub wal_status: Option<Arc<str>>,
    /// WAL that the server keeps for it.
    pub retained_bytes: Option<u64>,
    /// `safe_wal_size`: what may still be written before it is lost; `None` where nothing bounds it.
    pub safe_bytes: Option<i64>,
    /// Age of its `xmin`, in transaction ids.
    pub xmin_age: Option<u32>,
    /// Age of its `catalog_xmin`.
    pub catalog_xmin_age: Option<u32>,
    /// `inactive_since`, from 17 on.
    pub inactive_since: Option<Timestamp>,
    /// `invalidation_reason`, from 17 on; before that, whether a logical slot conflicts with recovery.
    pub invalidated: Option<Arc<str>>,
}

/// `pg_stat_replication`: one standby or subscriber.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standby {
    /// Process id of its WAL sender.
    pub pid: i32,
    /// `application_name`.
    pub application: Foreign,
    /// Login.
    pub role: Foreign,
    /// Address.
    pub client: Option<Arc<str>>,
    /// `startup`, `catchup`, `streaming`, `backup`, `stopping`.
    pub state: Arc<str>,
    /// `async`, `potential`, `sync`, `quorum`.
    pub sync_state: Arc<str>,
    /// WAL that was written here and not replayed there.
    pub lag_bytes: Option<u64>,
    /// `replay_lag`; `None` where it is idle and caught up, or does not say.
    pub lag_seconds: Option<f64>,
    /// Age of the `backend_xmin` that it feeds back.
    pub xmin_age: Option<u32>,
}

/// What a standby says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// Seconds since the newest transaction that was replayed here was committed there; grows also when there is nothing to
    /// replay.
    pub replay_age_seconds: Option<f64>,
    /// WAL received and not replayed.
    pub behind_bytes: Option<u64>,
    /// Whether WAL is being received (`pg_stat_wal_receiver`).
    pub receiving: Option<bool>,
}

/// Source `replication`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Replication {
    /// Slots.
    pub slots: Vec<Slot>,
    /// Standbys and subscribers.
    pub standbys: Vec<Standby>,
    /// Where the server itself is a standby.
    pub recovery: Option<Recovery>,
    /// `max_slot_wal_keep_size` in bytes; `None`: unlimited.
    pub slot_limit_bytes: Option<u64>,
}

/// What keeps dead rows from being removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HolderKind {
    /// A session's transaction or snapshot.
    Session,
    /// A prepared transaction.
    Prepared,
    /// A replication slot.
    Slot,
    /// A logical slot, for rows of catalogues alone: of tenants' tables it keeps nothing.
    Catalog,
    /// A standby with `hot_standby_feedback`.
    Standby,
}

/// Somebody because of whom vacuum must keep rows that were deleted since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Holder {
    /// What it is.
    pub kind: HolderKind,
    /// Its pid, global identifier, slot name or `application_name`.
    pub name: Foreign,
    /// Process id, of a session or a standby's WAL sender.
    pub pid: Option<i32>,
    /// When that session was started.
    pub session_started: Option<Timestamp>,
    /// Login or owner.
    pub role: Option<Foreign>,
    /// Database; `None` where it holds back all of them.
    pub database: Option<Foreign>,
    /// Age of what it holds, in transaction ids.
    pub xid_age: u32,
    /// Since when it holds it, where the server says.
    pub since: Option<Timestamp>,
}

/// `pg_prepared_xacts`: one prepared transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// Global identifier.
    pub gid: Foreign,
    /// Owner.
    pub owner: Foreign,
    /// Database.
    pub database: Foreign,
    /// When it was prepared.
    pub prepared: Timestamp,
    /// Age of its transaction id.
    pub xid_age: u32,
    /// Schemas of the relations that it holds locks on, in the database that we are connected to.
    pub schemas: Vec<Foreign>,
}

/// Source `horizon`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Horizon {
    /// The server's clock.
    pub server_now: Timestamp,
    /// Who holds vacuum back, the oldest first; bounded.
    pub holders: Vec<Holder>,
    /// Prepared transactions.
    pub prepared: Vec<Prepared>,
}
