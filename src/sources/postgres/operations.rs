//! Source `operations`: what the control database tells of operations. Every instance is asked, because only the one that has a
//! schema of ours knows; where there is none, no operation was ever begun.

use jiff::Timestamp;
use tokio_postgres::Row;

use super::desk::{Desk, hidden};
use super::text::Text;
use crate::clients::postgres::QueryError;
use crate::domain::Foreign;
use crate::domain::facts::{OperationRow, Operations};

/// The comment by which the schema is known to be ours.
pub const MARK: &str = "tierdeck control 1";

/// The columns that every console is told; nothing in them is a plan or a statement.
const TOLD: [&str; 14] = [
    "id",
    "kind",
    "summary",
    "state",
    "operator",
    "host",
    "version",
    "fence",
    "began",
    "heartbeat",
    "subjects",
    "refused_since",
    "refused_budget",
    "in_force",
];

/// Where leases and journals live.
pub const PLACE: &str = include_str!("../../../assets/sql/operations_place.sql");

/// What a schema of ours is like, to a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlPlace {
    /// Its comment.
    pub mark: String,
    /// Whether it is as this version makes it.
    pub renewed: bool,
    /// Whose it is.
    pub owner: String,
    /// Whether there is a login of that name.
    pub known: bool,
    /// Whether the login may read what every console is told.
    pub granted: bool,
}

impl ControlPlace {
    /// Of a row of [`PLACE`].
    pub fn of(row: &Row) -> Result<Self, QueryError> {
        Ok(Self {
            mark: row.try_get("mark")?,
            renewed: row.try_get("renewed")?,
            owner: row.try_get("owner")?,
            known: row.try_get("known")?,
            granted: row.try_get("granted")?,
        })
    }
}

/// The columns that are told, in order.
pub fn told() -> Vec<&'static str> {
    TOLD.to_vec()
}

/// What lets a login, quoted as SQL wants it, read what every console is told.
pub fn grants(login: &str) -> String {
    format!(
        "GRANT USAGE ON SCHEMA tierdeck TO {login}; GRANT SELECT ({}) ON tierdeck.operation TO {login};",
        told().join(", ")
    )
}

/// Where leases and journals live, as our own login sees that; `None`: not here.
pub async fn place(desk: &Desk) -> Result<Option<ControlPlace>, QueryError> {
    let rows = desk.rows(PLACE, &[&desk.user(), &told()]).await?;
    let place = rows.first().map(ControlPlace::of).transpose()?;
    // Somebody else's schema of that name is nothing to us.
    Ok(place.filter(|place| place.mark == MARK))
}

pub(super) async fn ask(desk: &Desk) -> Result<Operations, QueryError> {
    let mut operations = Operations { server_now: Timestamp::now(), rows: Vec::new() };
    let Some(place) = place(desk).await? else { return Ok(operations) };
    if !place.renewed {
        return Err(hidden("the control schema is an earlier version's; the next operation renews it"));
    }
    if !place.granted {
        return Err(hidden("what operations there are is not shown to our login; tierdeck doctor names the GRANT"));
    }
    for row in desk.rows(include_str!("../../../assets/sql/operations.sql"), &[]).await? {
        operations.server_now = row.try_get("now")?;
        operations.rows.push(read(&row)?);
    }
    Ok(operations)
}

fn read(row: &Row) -> Result<OperationRow, QueryError> {
    let text = |name| row.try_get::<_, Text>(name).map(Foreign::from);
    let subjects: Vec<Text> = row.try_get("subjects")?;
    Ok(OperationRow {
        id: text("id")?,
        kind: text("kind")?,
        summary: text("summary")?,
        state: text("state")?,
        operator: text("operator")?,
        host: text("host")?,
        began: row.try_get("began")?,
        heartbeat: row.try_get("heartbeat")?,
        tenants: subjects.iter().filter_map(|subject| OperationRow::tenant(&subject.0)).collect(),
        refused_since: row.try_get("refused_since")?,
        refused_budget: row.try_get::<_, Option<f64>>("refused_budget")?.map(|seconds| seconds.max(0.0) as u64),
        in_force: row.try_get("in_force")?,
    })
}
