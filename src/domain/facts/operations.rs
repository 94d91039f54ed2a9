//! What the control database tells everybody of operations: who works on what, since when, and what is still in force. No plan,
//! no statement: those are the admin login's.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::foreign::Foreign;
use crate::domain::ids::TenantId;

/// Source `operations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operations {
    /// The server's clock.
    pub server_now: Timestamp,
    /// Whatever is not over, or still in force, and the newest of the rest. Empty where none was ever begun.
    pub rows: Vec<OperationRow>,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationRow {
    /// Its name.
    pub id: Foreign,
    /// What kind: `throttle`, `quarantine`, …
    pub kind: Foreign,
    /// What it does, in a sentence.
    pub summary: Foreign,
    /// `running`, `paused`, or how it ended.
    pub state: Foreign,
    /// Who goes on with it.
    pub operator: Foreign,
    /// From where.
    pub host: Foreign,
    /// When it began.
    pub began: Timestamp,
    /// When it was last heard of; of one that is paused or over: when that was.
    pub heartbeat: Timestamp,
    /// The tenants that it holds, or held.
    pub tenants: Vec<TenantId>,
    /// Since when it shuts out who wants to write, or tries to.
    pub refused_since: Option<Timestamp>,
    /// For how many seconds it may; `None`: it is only tried, and whether it came is not known.
    pub refused_budget: Option<u64>,
    /// It is done, and what it did can still be undone.
    pub in_force: bool,
}

impl OperationRow {
    /// The tenant among what an operation holds, as the control database names it.
    pub fn tenant(subject: &str) -> Option<TenantId> {
        TenantId::parse(subject.strip_prefix("tenant ")?).ok()
    }
}
