//! What a connection learns of the server when it is made.

use super::desk::Desk;
use super::text::Text;
use crate::clients::postgres::QueryError;
use crate::domain::facts::Server;

/// Asks the server what it is.
pub async fn server(desk: &Desk) -> Result<Server, QueryError> {
    let rows = desk.rows(include_str!("../../../assets/sql/server.sql"), &[]).await?;
    let row = rows.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
    let count = |name| row.try_get::<_, i32>(name).map(|count| u32::try_from(count).unwrap_or_default());
    Ok(Server {
        version: row.try_get("version")?,
        version_num: count("version_num")?,
        started_at: row.try_get("started_at")?,
        max_connections: count("max_connections")?,
        reserved_connections: count("reserved_connections")?,
        max_worker_processes: count("max_worker_processes")?,
        database: row.try_get::<_, Text>("database")?.into(),
        login: row.try_get::<_, Text>("login")?.into(),
        in_recovery: row.try_get("in_recovery")?,
        sees_all: row.try_get("sees_all")?,
        counts: row.try_get("counts")?,
    })
}
