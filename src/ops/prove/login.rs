//! The temporary login: made in the settings of the one that binds, a member of it, unable to log in but while something is tried;
//! and removed again, forward and backward alike.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::BoxFuture;
use postgres_protocol::escape::escape_identifier;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::evidence::Setting;
use crate::clients::postgres::QueryError;
use crate::domain::TenantId;
use crate::ops::act::literal;
use crate::ops::hands::Eyes;
use crate::ops::id::OperationId;
use crate::ops::script::Script;
use crate::ops::step::{Check, Safety, Step, StepError, Undo};
use crate::ops::tenancy::mark;

/// How long sessions may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// Makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakeLogin {
    /// Which of the plan's targets.
    pub target: usize,
    /// Whose limits are proven.
    pub tenant: TenantId,
    /// Which operation makes it.
    pub operation: OperationId,
    /// Its name.
    pub role: String,
    /// The login that binds, whose rights it gets.
    pub like: String,
    /// Whether everybody works as that one.
    pub shared: bool,
    /// `CONNECTION LIMIT`; −1: none, as that one has none.
    pub connections: i32,
    /// Its settings.
    pub settings: BTreeMap<String, String>,
    /// Whether a membership has options (from 16 on), of which none is taken for granted.
    pub options: bool,
    /// What is compared: policy, the login that binds, this one.
    pub compared: Vec<Setting>,
    /// What the evidence has to say of what it does not prove.
    pub caveats: Vec<String>,
}

/// Removes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveLogin {
    /// Which of the plan's targets.
    pub target: usize,
    /// Whose limits are proven.
    pub tenant: TenantId,
    /// Which operation made it.
    pub operation: OperationId,
    /// Its name.
    pub role: String,
}

/// What is there of a temporary login.
pub(super) struct Left {
    there: bool,
    mark: String,
    pub may_enter: bool,
    connections: i32,
    settings: Vec<String>,
    member_of: Vec<String>,
    pub sessions: i64,
    pub busy_for: f64,
}

impl Left {
    pub async fn look(target: usize, role: &str, id: &OperationId, eyes: &mut Eyes) -> Result<Self, StepError> {
        let desk = eyes.desk(target).await?;
        let sql = include_str!("../../../assets/sql/ops/prove_left.sql");
        let rows = desk.rows(sql, &[&role, &id.application_name()]).await?;
        let row = rows.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
        let read = || -> Result<Self, tokio_postgres::Error> {
            Ok(Self {
                there: row.try_get("there")?,
                mark: row.try_get("mark")?,
                may_enter: row.try_get("may_enter")?,
                connections: row.try_get("connection_limit")?,
                settings: row.try_get("settings")?,
                member_of: row.try_get("member_of")?,
                sessions: row.try_get("sessions")?,
                busy_for: row.try_get("busy_for")?,
            })
        };
        Ok(read().map_err(QueryError::from)?)
    }

    pub fn is_ours(&self, id: &OperationId) -> bool {
        self.there && self.mark.ends_with(&format!("made by tierdeck operation {id}"))
    }
}

fn removal(target: usize, role: &str) -> Script {
    let name = escape_identifier(role);
    Script::sql(
        target,
        vec![
            // In this order: nobody enters who would have to be ended.
            format!("ALTER ROLE {name} NOLOGIN"),
            format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = {}", literal(role)),
            format!("DROP ROLE {name}"),
        ],
    )
}

fn foreign(role: &str) -> String {
    format!("there is a role {role} that this operation did not make: it is left alone")
}

impl Step for MakeLogin {
    fn title(&self) -> String {
        format!("make a temporary login like {}", self.like)
    }

    fn safety(&self) -> Safety {
        Safety::Reversible
    }

    fn forward(&self) -> Script {
        let role = escape_identifier(&self.role);
        let mut statements = vec![
            format!("CREATE ROLE {role} NOLOGIN CONNECTION LIMIT {}", self.connections),
            format!("COMMENT ON ROLE {role} IS {}", literal(&mark(&self.tenant, &self.operation))),
        ];
        statements.extend(
            self.settings
                .iter()
                .map(|(name, value)| format!("ALTER ROLE {role} SET {} = {}", escape_identifier(name), literal(value))),
        );
        let options = if self.options { " WITH INHERIT TRUE, SET TRUE" } else { "" };
        statements.push(format!("GRANT {} TO {role}{options}", escape_identifier(&self.like)));
        Script::sql(self.target, statements)
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        Ok(Some(removal(self.target, &self.role)))
    }

    fn check<'a>(&'a self, before: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let now = Left::look(self.target, &self.role, &self.operation, eyes).await?;
            Ok(if !now.there {
                Check::Ready { before: json!({ "login": "none" }) }
            } else if before.is_some() && now.is_ours(&self.operation) {
                // Made in one transaction: there at all, it is whole.
                Check::Already { output: self.told(&now) }
            } else {
                Check::Foreign(foreign(&self.role))
            })
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            let now = Left::look(self.target, &self.role, &self.operation, eyes).await?;
            let wrong = |what: &str| Err(StepError::NotVerified(format!("the temporary login {}: {what}", self.role)));
            if !now.is_ours(&self.operation) {
                return wrong("it is not there with our mark");
            }
            let settings: Vec<String> = self.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let same = settings.iter().all(|setting| now.settings.contains(setting))
                && settings.len() == now.settings.len()
                && now.connections == self.connections;
            if !same || now.member_of != [self.like.clone()] || now.may_enter {
                return wrong("it has other settings, rights or doors than it was given");
            }
            Ok(self.told(&now))
        })
    }

    fn undone<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        Box::pin(async move { gone(self.target, &self.role, &self.operation, eyes).await })
    }
}

impl MakeLogin {
    fn told(&self, now: &Left) -> Value {
        json!({
            "login": self.role,
            "connection_limit": now.connections,
            "settings": now.settings,
            "member_of": now.member_of,
        })
    }
}

/// Whether it is gone, with the last of its sessions.
async fn gone(target: usize, role: &str, id: &OperationId, eyes: &mut Eyes) -> Result<Undo, StepError> {
    let deadline = Instant::now() + GONE_WITHIN;
    loop {
        let now = Left::look(target, role, id, eyes).await?;
        if now.is_ours(id) {
            return Ok(Undo::Needed);
        }
        // One of that name that is not ours has sessions that are none of our business.
        if now.sessions == 0 || now.there {
            return Ok(Undo::Done);
        }
        if Instant::now() > deadline {
            return Ok(Undo::Blocked(format!("{role} is gone, and {} of its sessions do not end", now.sessions)));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Step for RemoveLogin {
    fn title(&self) -> String {
        "remove the temporary login".to_owned()
    }

    fn safety(&self) -> Safety {
        Safety::Reversible
    }

    fn forward(&self) -> Script {
        removal(self.target, &self.role)
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        Ok(None)
    }

    fn leaves_nothing(&self) -> bool {
        true
    }

    fn check<'a>(&'a self, _: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let now = Left::look(self.target, &self.role, &self.operation, eyes).await?;
            Ok(if !now.there {
                Check::Already { output: json!({ "login": "none" }) }
            } else if now.is_ours(&self.operation) {
                Check::Ready { before: json!({ "login": self.role }) }
            } else {
                Check::Foreign(foreign(&self.role))
            })
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            match gone(self.target, &self.role, &self.operation, eyes).await? {
                Undo::Done => Ok(json!({ "login": "none", "sessions_left": 0 })),
                Undo::Blocked(why) => Err(StepError::NotVerified(why)),
                Undo::Needed => Err(StepError::NotVerified(format!("{} is still there", self.role))),
            }
        })
    }

    fn undone<'a>(&'a self, _: &'a Value, _: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        // Nobody needs it any more.
        Box::pin(async { Ok(Undo::Done) })
    }
}
