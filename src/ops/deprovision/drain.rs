//! Whoever is in a schema, or works as its role, goes: by the locks that they hold, which no tenant can make up.

use std::time::Duration;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clients::postgres::QueryError;
use crate::domain::quantity::plural;
use crate::ops::act::literal;
use crate::ops::hands::Eyes;
use crate::ops::script::Script;
use crate::ops::step::{Check, Safety, Step, StepError, Undo};
use crate::ops::tenancy::Names;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainSchema {
    /// Which of the plan's targets.
    pub target: usize,
    /// The names.
    pub names: Names,
}

/// Ends whoever holds a lock in a schema, or works as this role.
pub(super) fn end_users(schema: &str, role: Option<&str>) -> String {
    let of_role = role.map(|role| format!("a.usename = {} OR ", literal(role))).unwrap_or_default();
    format!(
        "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a WHERE a.usename IS NOT NULL \
         AND a.pid <> pg_backend_pid() AND NOT (a.usename = session_user AND starts_with(a.application_name, 'tierdeck')) AND ({of_role}a.pid IN \
         (SELECT l.pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND n.nspname = {}))",
        literal(schema)
    )
}

/// How long sessions may take to go.
const PATIENCE: Duration = Duration::from_secs(10);

struct Users {
    sessions: i64,
    prepared: i64,
}

impl DrainSchema {
    async fn users(&self, eyes: &mut Eyes) -> Result<Users, StepError> {
        let sql = include_str!("../../../assets/sql/ops/schema_users.sql");
        let rows = eyes.desk(self.target).await?.rows(sql, &[&self.names.schema, &self.names.role]).await?;
        let row = rows.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
        let count = |name| row.try_get::<_, i64>(name).map_err(QueryError::from);
        Ok(Users { sessions: count("sessions")?, prepared: count("prepared")? })
    }

    fn blocked(prepared: i64) -> String {
        let transactions = plural(usize::try_from(prepared).unwrap_or_default(), "prepared transaction");
        format!("{transactions} hold locks in it: pg_prepared_xacts names them; commit them or roll them back")
    }
}

impl Step for DrainSchema {
    fn title(&self) -> String {
        format!("end whoever works in {} or as {}", self.names.schema, self.names.role)
    }

    /// Lost sessions are made anew by who lost them: this does not stand in the way of going back.
    fn safety(&self) -> Safety {
        Safety::Reversible
    }

    fn forward(&self) -> Script {
        let statement = end_users(&self.names.schema, Some(&self.names.role));
        Script::sql(self.target, vec![statement])
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        Ok(None)
    }

    fn check<'a>(&'a self, _: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let users = self.users(eyes).await?;
            Ok(match users {
                Users { prepared: prepared @ 1.., .. } => Check::Blocked(Self::blocked(prepared)),
                Users { sessions: 0, .. } => Check::Already { output: json!({ "sessions": 0 }) },
                Users { sessions, .. } => Check::Ready { before: json!({ "sessions": sessions }) },
            })
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            let deadline = tokio::time::Instant::now() + PATIENCE;
            loop {
                let users = self.users(eyes).await?;
                if users.prepared > 0 {
                    return Err(StepError::NotVerified(Self::blocked(users.prepared)));
                }
                if users.sessions == 0 {
                    return Ok(json!({ "sessions": 0 }));
                }
                if tokio::time::Instant::now() > deadline {
                    let still = plural(usize::try_from(users.sessions).unwrap_or_default(), "session");
                    return Err(StepError::NotVerified(format!("{still} are in it still: go on to signal them again")));
                }
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        })
    }

    fn undone<'a>(&'a self, _: &'a Value, _: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        Box::pin(async { Ok(Undo::Done) })
    }
}
