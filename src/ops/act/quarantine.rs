//! Quarantine a tenant that has a login of its own: nobody gets in any more, then whoever is in goes. Released, it may log in
//! again; the sessions that it lost it makes anew.

use std::time::Duration;

use futures::future::BoxFuture;
use postgres_protocol::escape::escape_identifier;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Action, Intent, Names, held, identifier, literal, may_not_alter};
use crate::clients::postgres::QueryError;
use crate::domain::quantity::plural;
use crate::domain::{InstanceName, TenantId};
use crate::ops::hands::Eyes;
use crate::ops::id::OperationId;
use crate::ops::plan::{Fact, Plan, PlannedStep, Refusals, SCHEMA, Subject, Target};
use crate::ops::roles;
use crate::ops::step::{Check, Safety, Script, Step, StepError, Undo};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantining {
    /// Whom.
    pub tenant: TenantId,
    /// Where.
    pub instance: InstanceName,
}

/// What is known of a login.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a right of its own")]
pub struct Login {
    /// Whether it may log in.
    pub may_enter: bool,
    superuser: bool,
    may_alter: bool,
    may_signal: bool,
    sessions: i64,
}

/// Looks at a login; `None`: there is none.
pub async fn look(role: &str, target: usize, eyes: &mut Eyes) -> Result<Option<Login>, StepError> {
    let desk = eyes.desk(target).await?;
    let rows = desk
        .rows(
            concat!(
                include_str!("../../../assets/sql/ops/may_alter.sql"),
                include_str!("../../../assets/sql/ops/login.sql")
            ),
            &[&role],
        )
        .await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let read = || -> Result<Login, tokio_postgres::Error> {
        Ok(Login {
            may_enter: row.try_get("can_login")?,
            superuser: row.try_get("superuser")?,
            may_alter: row.try_get("may_alter")?,
            may_signal: row.try_get("may_signal")?,
            sessions: row.try_get("sessions")?,
        })
    };
    Ok(Some(read().map_err(QueryError::from)?))
}

async fn there(role: &str, target: usize, eyes: &mut Eyes) -> Result<Login, StepError> {
    look(role, target, eyes).await?.ok_or_else(|| StepError::NotVerified(format!("the login {role} is gone")))
}

/// Plans, or says why not; `served`: the account of everybody may use its schema as well. Pure.
pub(super) fn plan(
    intent: &Quarantining,
    names: &Names,
    login: Option<&Login>,
    served: bool,
    target: Target,
    id: OperationId,
) -> Result<Plan, Refusals> {
    let Quarantining { tenant, instance } = intent;
    let role = &names.role;
    let Some(login) = login else {
        return Err(Refusals::one(format!("{instance} has no login {role}: is {tenant} there?")));
    };
    if !login.may_enter {
        return Err(Refusals::one(format!(
            "{role} may not log in as it is: either {tenant} is quarantined already (tierdeck ops list), or it works as {}, which \
             everybody does; what can be done then: terminate its sessions (tierdeck act terminate, terminate-idle), or give it a \
             login of its own",
            names.service
        )));
    }
    let mut refusals = Vec::new();
    if login.superuser {
        refusals.push(format!("{role} is a superuser, and its sessions can only be ended by one"));
    }
    if !login.may_alter {
        refusals.push(may_not_alter(&target.login, role));
    }
    if !login.may_signal {
        let login = &target.login;
        refusals.push(format!("{login} may not end the sessions of {role}: GRANT pg_signal_backend TO {login}"));
    }
    if let Err(Refusals(more)) = identifier(role) {
        refusals.extend(more);
    }
    if !refusals.is_empty() {
        return Err(Refusals(refusals));
    }
    let bar = Action::Bar(Bar { target: 0, role: role.clone(), guarded: true });
    let drain = Action::Drain(Drain { target: 0, role: role.clone() });
    let sessions = usize::try_from(login.sessions).unwrap_or_default();
    let mut warnings = vec!["released, it may log in again; what its sessions had not committed is gone".to_owned()];
    if served {
        warnings.push(format!(
            "{}, which everybody works as, may use its schema as well, and goes on: to shut that too, quarantine {tenant} once more \
             when this is done; then its schema is fenced",
            names.service
        ));
    }
    Ok(Plan {
        schema: SCHEMA,
        id,
        kind: "quarantine".to_owned(),
        summary: format!("quarantine {tenant} on {instance}: its login {role}"),
        subjects: held(Some(tenant), Subject::Tenant { id: tenant.clone() }),
        targets: vec![target],
        affects: vec![
            format!("{tenant}: nobody gets in as {role} any more until it is released"),
            format!("{tenant}: ~{} end, and their open transactions are rolled back", plural(sessions, "session")),
        ],
        facts: vec![Fact { name: format!("{role}: may log in"), value: "yes".to_owned() }],
        warnings,
        steps: vec![PlannedStep::new(bar, &Value::Null)?, PlannedStep::new(drain, &Value::Null)?],
        confirm: tenant.to_string(),
        intent: Intent::Quarantine(intent.clone()),
    })
}

/// Nobody gets in any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    /// Which of the plan's targets.
    pub target: usize,
    /// The login.
    pub role: String,
    /// Only if it still may log in when it runs; an earlier version did not ask.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guarded: bool,
}

impl Step for Bar {
    fn title(&self) -> String {
        format!("bar the login {}", self.role)
    }

    fn safety(&self) -> Safety {
        Safety::Reversible
    }

    fn forward(&self) -> Script {
        let mut statements = Vec::new();
        if self.guarded {
            let otherwise = format!("barred {}", self.role);
            statements.extend([roles::hold(&self.role), roles::expect(&self.role, "r.rolcanlogin", &otherwise)]);
        }
        statements.push(format!("ALTER ROLE {} NOLOGIN", escape_identifier(&self.role)));
        Script::sql(self.target, statements)
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        let statements = vec![format!("ALTER ROLE {} LOGIN", escape_identifier(&self.role))];
        Ok(Some(Script::sql(self.target, statements)))
    }

    fn check<'a>(&'a self, _: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let state = json!({ "may_log_in": there(&self.role, self.target, eyes).await?.may_enter });
            Ok(if state["may_log_in"] == true {
                Check::Ready { before: state }
            } else {
                Check::Already { output: state }
            })
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            if there(&self.role, self.target, eyes).await?.may_enter {
                return Err(StepError::NotVerified(format!("{} may still log in", self.role)));
            }
            Ok(json!({ "may_log_in": false }))
        })
    }

    fn undone<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        Box::pin(async move {
            let may_enter = there(&self.role, self.target, eyes).await?.may_enter;
            Ok(if may_enter { Undo::Done } else { Undo::Needed })
        })
    }
}

/// Whoever is in goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Which of the plan's targets.
    pub target: usize,
    /// The login.
    pub role: String,
}

/// How long sessions may take to go.
const PATIENCE: Duration = Duration::from_secs(10);

impl Step for Drain {
    fn title(&self) -> String {
        format!("end the sessions of {}", self.role)
    }

    /// Lost sessions are made anew by who lost them: this does not stand in the way of going back.
    fn safety(&self) -> Safety {
        Safety::Reversible
    }

    fn forward(&self) -> Script {
        let role = literal(&self.role);
        let statement = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = {role}");
        Script::sql(self.target, vec![statement])
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        Ok(None)
    }

    fn check<'a>(&'a self, _: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let sessions = there(&self.role, self.target, eyes).await?.sessions;
            let state = json!({ "sessions": sessions });
            Ok(if sessions == 0 { Check::Already { output: state } } else { Check::Ready { before: state } })
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            let deadline = tokio::time::Instant::now() + PATIENCE;
            loop {
                let sessions = there(&self.role, self.target, eyes).await?.sessions;
                if sessions == 0 {
                    return Ok(json!({ "sessions": 0 }));
                }
                if tokio::time::Instant::now() > deadline {
                    let still = format!("{sessions} of them are still there; go on with the operation to signal again");
                    return Err(StepError::NotVerified(still));
                }
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        })
    }

    fn undone<'a>(&'a self, _: &'a Value, _: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        Box::pin(async { Ok(Undo::Done) })
    }
}
