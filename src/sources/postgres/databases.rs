//! Source `databases`: counters of every database; and `churn`, where each tenant has a database.

use std::sync::Arc;

use jiff::Timestamp;

use super::desk::Desk;
use super::text::Text;
use crate::clients::postgres::QueryError;
use crate::domain::facts::{Churn, Database, SchemaChurn};

/// One poll of the counters.
pub(super) struct Counters {
    pub databases: Vec<Database>,
    counting_since: Option<Timestamp>,
    server_now: Timestamp,
}

pub(super) async fn ask(desk: &Desk) -> Result<Counters, QueryError> {
    let rows = desk.rows(include_str!("../../../assets/sql/databases.sql"), &[]).await?;
    let mut polled =
        Counters { databases: Vec::with_capacity(rows.len()), counting_since: None, server_now: Timestamp::UNIX_EPOCH };
    for row in &rows {
        let count = |name| row.try_get::<_, i64>(name).map(|count| u64::try_from(count).unwrap_or_default());
        polled.server_now = row.try_get("now")?;
        polled.counting_since = row.try_get("counting_since")?;
        polled.databases.push(Database {
            name: row.try_get::<_, Text>("name")?.into(),
            backends: u32::try_from(row.try_get::<_, i32>("backends")?).unwrap_or_default(),
            transactions: count("transactions")?,
            blocks_read: count("blocks_read")?,
            blocks_hit: count("blocks_hit")?,
            rows_written: count("rows_written")?,
            temp_bytes: count("temp_bytes")?,
            deadlocks: count("deadlocks")?,
            in_use: row.try_get("in_use")?,
            stats_reset: row.try_get("stats_reset")?,
            xid_age: u32::try_from(row.try_get::<_, i32>("xid_age")?).unwrap_or_default(),
            multixact_age: u32::try_from(row.try_get::<_, i32>("multixact_age")?).unwrap_or_default(),
        });
    }
    Ok(polled)
}

impl Counters {
    /// The counters as churn of databases. Dead rows are not counted there: a tour of the databases brings them.
    pub fn churn(self) -> Churn {
        let home = |database: Database| SchemaChurn {
            home: Arc::from(database.name.raw()),
            since: database.stats_reset.or(self.counting_since),
            tables: 0,
            rows_written: database.rows_written,
            blocks_read: Some(database.blocks_read),
            dead_tuples: None,
            live_tuples: None,
        };
        let in_use = self.databases.into_iter().filter(|database| database.in_use);
        Churn { server_now: self.server_now, homes: in_use.map(home).collect(), whole: None }
    }
}
