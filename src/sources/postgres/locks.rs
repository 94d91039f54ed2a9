//! On demand: the locks that one session holds and waits for.

use std::sync::Arc;

use jiff::Timestamp;

use super::text::Text;
use crate::clients::postgres::{Connection, QueryError};
use crate::domain::inspection::{Lock, SessionLocks};
use crate::domain::{Foreign, SessionKey};

/// The locks of a session; `None`: it is gone.
pub async fn locks(connection: &Connection, key: SessionKey) -> Result<Option<SessionLocks>, QueryError> {
    let sql = include_str!("../../../assets/sql/session_locks.sql");
    let mut told: Option<SessionLocks> = None;
    for row in connection.query(sql, &[&key.pid, &key.started]).await? {
        if !row.try_get::<_, bool>("here")? {
            return Ok(None);
        }
        let at: Timestamp = row.try_get("now")?;
        let told = told.get_or_insert_with(|| SessionLocks { at, locks: Vec::new(), of: 0 });
        let Some(mode) = row.try_get::<_, Option<Text>>("mode")? else { continue };
        told.of = u32::try_from(row.try_get::<_, i32>("of")?).unwrap_or_default();
        told.locks.push(Lock {
            kind: row.try_get::<_, Option<Text>>("locktype")?.unwrap_or_default().into(),
            on: row.try_get::<_, Option<Text>>("what")?.map_or_else(Foreign::default, Foreign::from),
            mode: Arc::from(mode),
            granted: row.try_get("granted")?,
            since: row.try_get("waitstart")?,
        });
    }
    Ok(told)
}
