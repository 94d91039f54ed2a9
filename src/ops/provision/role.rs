//! The role of a tenant: it may not log in yet, it has its limits, and we are a member of it, without which no schema could
//! be made for it.

use futures::future::BoxFuture;
use postgres_protocol::escape::escape_identifier;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::RoleLimits;
use crate::domain::TenantId;
use crate::ops::act::literal;
use crate::ops::hands::Eyes;
use crate::ops::id::OperationId;
use crate::ops::script::Script;
use crate::ops::step::{Check, Safety, Step, StepError, Undo};
use crate::ops::tenancy::{self, Names, Tenancy, mark};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakeRole {
    /// Which of the plan's targets.
    pub target: usize,
    /// Whose.
    pub tenant: TenantId,
    /// Which operation makes it.
    pub operation: OperationId,
    /// The names.
    pub names: Names,
    /// The limits.
    pub limits: RoleLimits,
    /// Whether a membership has options (from 16 on), of which none is taken for granted.
    pub options: bool,
}

impl MakeRole {
    fn mark(&self) -> String {
        mark(&self.tenant, &self.operation)
    }

    /// Settings as they are stored.
    fn settings(&self) -> Vec<(&'static str, String)> {
        let RoleLimits { statement_timeout_ms, lock_timeout_ms, idle_in_transaction_ms, .. } = self.limits;
        let mut settings = vec![("search_path", self.names.schema.clone())];
        for (name, value) in [
            ("statement_timeout", statement_timeout_ms),
            ("lock_timeout", lock_timeout_ms),
            ("idle_in_transaction_session_timeout", idle_in_transaction_ms),
        ] {
            settings.extend(value.map(|value| (name, format!("{value}ms"))));
        }
        settings
    }

    async fn now(&self, eyes: &mut Eyes) -> Result<Tenancy, StepError> {
        tenancy::look(&self.names, self.target, eyes).await
    }

    fn foreign(&self) -> String {
        format!("there is a role {} that this operation did not make: it is left alone", self.names.role)
    }
}

impl Step for MakeRole {
    fn title(&self) -> String {
        format!("make the role {}, which may not log in", self.names.role)
    }

    fn safety(&self) -> Safety {
        Safety::Reversible
    }

    fn forward(&self) -> Script {
        let role = escape_identifier(&self.names.role);
        let limit = self.limits.connection_limit.map(|limit| format!(" CONNECTION LIMIT {limit}")).unwrap_or_default();
        let mut statements = vec![
            format!("CREATE ROLE {role} NOLOGIN{limit}"),
            format!("COMMENT ON ROLE {role} IS {}", literal(&self.mark())),
        ];
        for (name, value) in self.settings() {
            let value = if name == "search_path" { escape_identifier(&value) } else { literal(&value) };
            statements.push(format!("ALTER ROLE {role} SET {name} = {value}"));
        }
        let options = if self.options { " WITH SET TRUE, INHERIT TRUE" } else { "" };
        statements.push(format!("GRANT {role} TO CURRENT_USER{options}"));
        Script::sql(self.target, statements)
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        let role = escape_identifier(&self.names.role);
        Ok(Some(Script::sql(self.target, vec![format!("DROP ROLE {role}")])))
    }

    fn check<'a>(&'a self, before: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let now = self.now(eyes).await?;
            Ok(if !now.role_there {
                Check::Ready { before: json!({ "role": "none" }) }
            } else if before.is_some() && now.role_mark == self.mark() {
                // Made in one transaction: there at all, it is whole.
                Check::Already { output: json!({ "role": self.names.role }) }
            } else {
                Check::Foreign(self.foreign())
            })
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            let now = self.now(eyes).await?;
            let wrong = |what: String| Err(StepError::NotVerified(format!("the role {}: {what}", self.names.role)));
            if !now.role_there || now.role_mark != self.mark() {
                return wrong("it is not there with our mark".to_owned());
            }
            if now.can_login || !now.member {
                return wrong(format!("may log in: {}; we are a member: {}", now.can_login, now.member));
            }
            let limit = self.limits.connection_limit.map_or(-1, |limit| i32::try_from(limit).unwrap_or(i32::MAX));
            let missing = |(name, _): &&(&'static str, String)| {
                !now.settings.iter().any(|set| set.split_once('=').is_some_and(|(set, _)| set == *name))
            };
            let settings = self.settings();
            if now.connection_limit != limit || settings.iter().find(missing).is_some() {
                return wrong("its limits are not those that were set".to_owned());
            }
            Ok(json!({ "role": self.names.role, "connection_limit": now.connection_limit, "settings": now.settings }))
        })
    }

    fn undone<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        Box::pin(async move {
            let now = self.now(eyes).await?;
            // Not there, or somebody else's: nothing of ours ever came, or it is gone.
            if !now.role_there || now.role_mark != self.mark() {
                return Ok(Undo::Done);
            }
            if now.elsewhere > 0 {
                return Ok(Undo::Blocked(format!(
                    "somebody gave {} rights or objects outside of its schema meanwhile ({} of them): deprovision --plan names them; \
                     revoke or reassign them first",
                    self.names.role, now.elsewhere
                )));
            }
            Ok(Undo::Needed)
        })
    }
}
