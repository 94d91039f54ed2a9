//! A tenant's role may log in, with a password that lies in Vault: the server gets the SCRAM verifier of it and nothing else.
//! That it works is proven by logging in.

use futures::future::BoxFuture;
use postgres_protocol::escape::escape_identifier;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ops::act::literal;
use crate::ops::hands::{Eyes, HandsError};
use crate::ops::script::{Reference, Script, Sql, VaultAt};
use crate::ops::step::{Check, Safety, Step, StepError, Undo};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmitLogin {
    /// Which of the plan's targets.
    pub target: usize,
    /// The role.
    pub role: String,
    /// Where its password is.
    pub password: Reference,
    /// In which Vault.
    pub vault: VaultAt,
}

impl AdmitLogin {
    async fn may_enter(&self, eyes: &mut Eyes) -> Result<bool, StepError> {
        let login = crate::ops::act::login(&self.role, self.target, eyes).await?;
        Ok(login.is_some_and(|login| login.may_enter))
    }

    /// Logs in as a pod would; a refusal is an answer, anything else is not.
    async fn try_it(&self, eyes: &Eyes) -> Result<(), StepError> {
        let secret = eyes.vault(&self.vault)?.read(&self.password.path).await?;
        let password = secret.and_then(|secret| secret.fields.secret(&self.password.field));
        let password =
            password.ok_or_else(|| HandsError::NoValue(format!("there is no {} in Vault", self.password)))?;
        Ok(eyes.log_in(self.target, &self.role, password).await?)
    }
}

impl Step for AdmitLogin {
    fn title(&self) -> String {
        format!("let {} log in, and prove that it can", self.role)
    }

    fn safety(&self) -> Safety {
        Safety::Reversible
    }

    fn forward(&self) -> Script {
        let role = escape_identifier(&self.role);
        let statement = format!("ALTER ROLE {role} LOGIN PASSWORD {}", self.password.verifier());
        Script::Sql(Sql {
            target: self.target,
            transaction: true,
            statements: vec![statement],
            verifiers: vec![self.password.clone()],
        })
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        let role = escape_identifier(&self.role);
        let statements = vec![
            format!("ALTER ROLE {role} NOLOGIN PASSWORD NULL"),
            format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = {}", literal(&self.role)),
        ];
        Ok(Some(Script::sql(self.target, statements)))
    }

    fn check<'a>(&'a self, before: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let may_enter = self.may_enter(eyes).await?;
            if may_enter && before.is_some() && self.try_it(eyes).await.is_ok() {
                return Ok(Check::Already { output: json!({ "logged_in_as": self.role }) });
            }
            Ok(Check::Ready { before: json!({ "may_log_in": may_enter }) })
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            self.try_it(eyes).await?;
            Ok(json!({ "logged_in_as": self.role }))
        })
    }

    fn undone<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        Box::pin(async move { Ok(if self.may_enter(eyes).await? { Undo::Needed } else { Undo::Done }) })
    }
}
