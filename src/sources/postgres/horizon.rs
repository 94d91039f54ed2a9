//! Source `horizon`: who keeps vacuum from removing dead rows, and prepared transactions.

use jiff::Timestamp;

use super::desk::{Desk, hidden};
use super::text::Text;
use crate::clients::postgres::QueryError;
use crate::domain::Foreign;
use crate::domain::facts::{Holder, HolderKind, Horizon, Prepared};

pub(super) async fn ask(desk: &Desk) -> Result<Horizon, QueryError> {
    let rows = desk.rows(include_str!("../../../assets/sql/horizon.sql"), &[]).await?;
    let mut horizon = Horizon { server_now: Timestamp::now(), ..Horizon::default() };
    for row in &rows {
        if !row.try_get::<_, bool>("sees_all")? {
            return Err(hidden(
                "which transactions other people's sessions hold open is shown to pg_read_all_stats only",
            ));
        }
        horizon.server_now = row.try_get("now")?;
        let text = |name| row.try_get::<_, Option<Text>>(name);
        let kind = match text("kind")?.map(|kind| kind.0).as_deref() {
            Some("session") => HolderKind::Session,
            Some("standby") => HolderKind::Standby,
            Some("slot") => HolderKind::Slot,
            Some("catalog") => HolderKind::Catalog,
            Some("prepared") => HolderKind::Prepared,
            // The one row of a server on which nobody does.
            _ => continue,
        };
        horizon.holders.push(Holder {
            kind,
            name: text("name")?.unwrap_or_default().into(),
            pid: row.try_get("pid")?,
            session_started: row.try_get("session_started")?,
            role: text("role")?.map(Foreign::from),
            database: text("database")?.map(Foreign::from),
            xid_age: u32::try_from(row.try_get::<_, i32>("xid_age")?).unwrap_or_default(),
            since: row.try_get("since")?,
        });
    }
    horizon.prepared = prepared(desk).await?;
    Ok(horizon)
}

async fn prepared(desk: &Desk) -> Result<Vec<Prepared>, QueryError> {
    let mut prepared = Vec::new();
    for row in desk.rows(include_str!("../../../assets/sql/prepared.sql"), &[]).await? {
        prepared.push(Prepared {
            gid: row.try_get::<_, Text>("gid")?.into(),
            owner: row.try_get::<_, Text>("owner")?.into(),
            database: row.try_get::<_, Text>("database")?.into(),
            prepared: row.try_get("prepared")?,
            xid_age: u32::try_from(row.try_get::<_, i32>("xid_age")?).unwrap_or_default(),
            schemas: row.try_get::<_, Vec<Text>>("schemas")?.into_iter().map(Foreign::from).collect(),
        });
    }
    Ok(prepared)
}
