//! What stands in a server's log, line by line.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::foreign::Foreign;

/// One entry of a PostgreSQL log, its further lines included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// When; `None`: its beginning was not understood.
    pub at: Option<Timestamp>,
    /// Whose session.
    pub role: Option<Foreign>,
    /// In which database.
    pub database: Option<Foreign>,
    /// Its process.
    pub pid: Option<i32>,
    /// `LOG`, `ERROR`, `FATAL`, …
    pub severity: Option<Arc<str>>,
    /// What it says.
    pub message: Foreign,
    /// What pgAudit says, where it is of pgAudit.
    pub audit: Option<AuditEntry>,
}

/// One entry of pgAudit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// `SESSION` or `OBJECT`.
    pub kind: Foreign,
    /// `READ`, `WRITE`, `DDL`, `ROLE`, …
    pub class: Foreign,
    /// `INSERT`, `CREATE TABLE`, …
    pub command: Foreign,
    /// What it is about, where pgAudit says: `tenant_acme.orders`.
    pub object: Option<Foreign>,
    /// The statement.
    pub statement: Foreign,
}

impl AuditEntry {
    /// The schema that it is about, as pgAudit qualifies names.
    pub fn schema(&self) -> Option<&str> {
        self.object.as_ref()?.raw().split_once('.').map(|(schema, _)| schema.trim_matches('"'))
    }
}
