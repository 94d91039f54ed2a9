//! What our login may see: asked by `tierdeck doctor`, not polled.

use super::desk::Desk;
use super::text::Text;
use crate::clients::postgres::QueryError;
use crate::domain::Foreign;

/// What our login may see, and what the server counts at all.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent answers of the server, each to its own question")]
pub struct Privileges {
    /// Our login.
    pub login: Foreign,
    /// Whether it may do everything: more than watching needs.
    pub superuser: bool,
    /// `pg_read_all_stats`: other people's sessions and queries.
    pub reads_all_stats: bool,
    /// `pg_read_all_settings`: which libraries are loaded.
    pub reads_all_settings: bool,
    /// `pg_read_all_data`: the planner's statistics and the last values of sequences (and every row).
    pub reads_all_data: bool,
    /// `track_activities`: the server notes what sessions do.
    pub track_activities: bool,
    /// `track_counts`: the server counts what happens to tables.
    pub track_counts: bool,
    /// Whether our session can only read.
    pub read_only: bool,
    /// Databases that we may not connect to.
    pub closed_databases: Vec<Foreign>,
}

/// Asks the server.
pub async fn privileges(desk: &Desk) -> Result<Privileges, QueryError> {
    let rows = desk.rows(include_str!("../../../assets/sql/privileges.sql"), &[]).await?;
    let row = rows.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
    Ok(Privileges {
        login: row.try_get::<_, Text>("login")?.into(),
        superuser: row.try_get("superuser")?,
        reads_all_stats: row.try_get("reads_all_stats")?,
        reads_all_settings: row.try_get("reads_all_settings")?,
        reads_all_data: row.try_get("reads_all_data")?,
        track_activities: row.try_get("track_activities")?,
        track_counts: row.try_get("track_counts")?,
        read_only: row.try_get("read_only")?,
        closed_databases: row.try_get::<_, Vec<Text>>("closed_databases")?.into_iter().map(Foreign::from).collect(),
    })
}
