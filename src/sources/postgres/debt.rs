//! Source `debt`: the worst tables beside their own autovacuum thresholds.

use super::desk::Desk;
use super::text::Text;
use crate::clients::postgres::QueryError;
use crate::domain::Foreign;
use crate::domain::facts::{Debt, TableDebt};

/// On demand: the tables of one schema, or of the database that this leads to, however few dead rows they have.
pub async fn tables(desk: &Desk, schema: Option<&Foreign>) -> Result<Vec<TableDebt>, QueryError> {
    Ok(told(desk, 0, schema.map(Foreign::raw)).await?.tables)
}

pub(super) async fn ask(desk: &Desk, min_dead: i64) -> Result<Debt, QueryError> {
    told(desk, min_dead, None).await
}

async fn told(desk: &Desk, min_dead: i64, schema: Option<&str>) -> Result<Debt, QueryError> {
    let rows = desk.rows(include_str!("../../../assets/sql/debt.sql"), &[&min_dead, &schema]).await?;
    let mut debt = Debt { tables: Vec::with_capacity(rows.len()), ..Debt::default() };
    for row in &rows {
        let count = |name| row.try_get::<_, i64>(name).map(|count| u64::try_from(count).unwrap_or_default());
        debt.tables.push(TableDebt {
            database: row.try_get::<_, Text>("database")?.into(),
            schema: row.try_get::<_, Text>("schema")?.into(),
            table: row.try_get::<_, Text>("table")?.into(),
            dead_tuples: count("dead")?,
            live_tuples: count("live")?,
            threshold: row.try_get("threshold")?,
            autovacuum: row.try_get("autovacuum")?,
            off_by_itself: row.try_get("off_by_itself")?,
            last_vacuum: row.try_get("last_vacuum")?,
            bytes: count("bytes")?,
            measured: row.try_get("measured")?,
        });
    }
    Ok(debt)
}
