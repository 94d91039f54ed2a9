//! Source `replication`: slots, standbys, and how far behind the server itself is where it is one.

use super::desk::{Desk, hidden};
use super::text::Text;
use crate::clients::postgres::QueryError;
use crate::domain::Foreign;
use crate::domain::facts::{Recovery, Replication, Slot, Standby};

pub(super) async fn ask(desk: &Desk) -> Result<Replication, QueryError> {
    let rows = desk.rows(include_str!("../../../assets/sql/replication.sql"), &[]).await?;
    let row = rows.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
    let recovery = if row.try_get("in_recovery")? {
        Some(Recovery {
            replay_age_seconds: row.try_get("replay_age")?,
            behind_bytes: row.try_get::<_, Option<i64>>("behind")?.map(bytes),
            receiving: row.try_get("receiving")?,
        })
    } else {
        None
    };
    let slot_limit_bytes = u64::try_from(row.try_get::<_, i64>("slot_limit")?).ok();
    Ok(Replication { slots: slots(desk).await?, standbys: standbys(desk).await?, recovery, slot_limit_bytes })
}

async fn slots(desk: &Desk) -> Result<Vec<Slot>, QueryError> {
    let mut slots = Vec::new();
    for row in desk.rows(include_str!("../../../assets/sql/replication_slots.sql"), &[]).await? {
        let text = |name| row.try_get::<_, Option<Text>>(name);
        slots.push(Slot {
            name: row.try_get::<_, Text>("name")?.into(),
            database: text("database")?.map(Foreign::from),
            plugin: text("plugin")?.map(Foreign::from),
            active: row.try_get("active")?,
            temporary: row.try_get("temporary")?,
            wal_status: text("wal_status")?.map(Into::into),
            retained_bytes: row.try_get::<_, Option<i64>>("retained")?.map(bytes),
            safe_bytes: row.try_get("safe")?,
            xmin_age: row.try_get::<_, Option<i32>>("xmin_age")?.map(age),
            catalog_xmin_age: row.try_get::<_, Option<i32>>("catalog_xmin_age")?.map(age),
            inactive_since: row.try_get("inactive_since")?,
            invalidated: text("invalidated")?.map(Into::into),
        });
    }
    Ok(slots)
}

async fn standbys(desk: &Desk) -> Result<Vec<Standby>, QueryError> {
    let mut standbys = Vec::new();
    for row in desk.rows(include_str!("../../../assets/sql/replication_standbys.sql"), &[]).await? {
        let text = |name| row.try_get::<_, Option<Text>>(name);
        let (Some(state), Some(sync_state)) = (text("state")?, text("sync_state")?) else {
            return Err(hidden("somebody replicates from here, and how it does is shown to pg_read_all_stats only"));
        };
        standbys.push(Standby {
            pid: row.try_get("pid")?,
            application: text("application")?.unwrap_or_default().into(),
            role: text("role")?.unwrap_or_default().into(),
            client: text("client")?.map(Into::into),
            state: state.into(),
            sync_state: sync_state.into(),
            lag_bytes: row.try_get::<_, Option<i64>>("lag_bytes")?.map(bytes),
            lag_seconds: row.try_get("lag_seconds")?,
            xmin_age: row.try_get::<_, Option<i32>>("xmin_age")?.map(age),
        });
    }
    Ok(standbys)
}

/// Positions are not read in one moment: a reader may be a little ahead of what we took for the newest.
fn bytes(difference: i64) -> u64 {
    u64::try_from(difference).unwrap_or_default()
}

/// An age below zero is of a transaction id that was given out since we looked.
fn age(age: i32) -> u32 {
    u32::try_from(age).unwrap_or_default()
}
