//! Source `churn`: what happened to the tables of each schema.

use jiff::Timestamp;

use super::desk::Desk;
use super::text::Text;
use crate::clients::postgres::QueryError;
use crate::domain::facts::{Churn, SchemaChurn, Whole};

pub(super) async fn ask(desk: &Desk) -> Result<Churn, QueryError> {
    let rows = desk.rows(include_str!("../../../assets/sql/churn.sql"), &[]).await?;
    let mut churn = Churn { server_now: Timestamp::now(), homes: Vec::with_capacity(rows.len()), whole: None };
    for row in &rows {
        let count = |name| row.try_get::<_, i64>(name).map(|count| u64::try_from(count).unwrap_or_default());
        churn.server_now = row.try_get("now")?;
        churn.whole = Some(Whole {
            since: row.try_get("since")?,
            rows_written: count("all_rows_written")?,
            blocks_read: count("all_blocks_read")?,
        });
        churn.homes.push(SchemaChurn {
            home: row.try_get::<_, Text>("home")?.into(),
            since: row.try_get("since")?,
            tables: u32::try_from(row.try_get::<_, i32>("tables")?).unwrap_or_default(),
            rows_written: count("rows_written")?,
            blocks_read: Some(count("blocks_read")?),
            dead_tuples: Some(count("dead")?),
            live_tuples: Some(count("live")?),
        });
    }
    Ok(churn)
}
