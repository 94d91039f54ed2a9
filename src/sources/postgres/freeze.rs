//! Source `freeze`: the tables with the oldest unfrozen transaction ids, and those with the oldest multixacts.

use super::desk::Desk;
use super::text::Text;
use crate::clients::postgres::QueryError;
use crate::domain::facts::{Freeze, OldestTable};

pub(super) async fn ask(desk: &Desk) -> Result<Freeze, QueryError> {
    let mut freeze = Freeze::default();
    for row in desk.rows(include_str!("../../../assets/sql/freeze.sql"), &[]).await? {
        freeze.tables.push(OldestTable {
            database: row.try_get::<_, Text>("database")?.into(),
            schema: row.try_get::<_, Text>("schema")?.into(),
            table: row.try_get::<_, Text>("table")?.into(),
            xid_age: u32::try_from(row.try_get::<_, i32>("xid_age")?).unwrap_or_default(),
            multixact_age: u32::try_from(row.try_get::<_, i32>("multixact_age")?).unwrap_or_default(),
        });
    }
    Ok(freeze)
}
