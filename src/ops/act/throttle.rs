//! Throttle a tenant: limits of its own login. What they were is in the journal, and the undo brings back exactly that.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, Intent, Names, held, identifier, literal, may_not_alter};
use crate::clients::postgres::QueryError;
use crate::domain::quantity::plural;
use crate::domain::{InstanceName, TenantId};
use crate::ops::control::Control;
use crate::ops::estate::{Estate, Use};
use crate::ops::hands::Eyes;
use crate::ops::id::OperationId;
use crate::ops::journal::Story;
use crate::ops::operations::OpsError;
use crate::ops::plan::{Fact, Plan, PlannedStep, Refusals, SCHEMA, Subject, Target};
use crate::ops::roles;
use crate::ops::step::{Check, Safety, Script, Step, StepError, Undo};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttling {
    /// Whom.
    pub tenant: TenantId,
    /// Where.
    pub instance: InstanceName,
    /// `CONNECTION LIMIT`.
    pub connections: u32,
    /// `statement_timeout` in milliseconds; `None` leaves it.
    pub statement_timeout_ms: Option<u32>,
}

/// The limits of a login, as they are stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginLimits {
    /// `rolconnlimit`; −1: none.
    pub connections: i32,
    /// `statement_timeout` as it was written; `None`: not set for this login.
    pub statement_timeout: Option<String>,
}

/// What is known of a login.
#[derive(Debug, Clone)]
pub(super) struct Login {
    limits: LoginLimits,
    may_enter: bool,
    superuser: bool,
    may_alter: bool,
    in_databases: Option<String>,
    sessions: i64,
}

/// Looks at a login; `None`: there is none.
pub(super) async fn look(role: &str, eyes: &mut Eyes) -> Result<Option<Login>, StepError> {
    login(role, 0, eyes).await
}

async fn login(role: &str, target: usize, eyes: &mut Eyes) -> Result<Option<Login>, StepError> {
    let desk = eyes.desk(target).await?;
    let rows = desk
        .rows(
            concat!(
                include_str!("../../../assets/sql/ops/may_alter.sql"),
                include_str!("../../../assets/sql/ops/role_limits.sql")
            ),
            &[&role],
        )
        .await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let read = || -> Result<Login, tokio_postgres::Error> {
        Ok(Login {
            limits: LoginLimits {
                connections: row.try_get("connection_limit")?,
                statement_timeout: row.try_get("statement_timeout")?,
            },
            may_enter: row.try_get("can_login")?,
            superuser: row.try_get("superuser")?,
            may_alter: row.try_get("may_alter")?,
            in_databases: row.try_get("in_databases")?,
            sessions: row.try_get("sessions")?,
        })
    };
    Ok(Some(read().map_err(QueryError::from)?))
}

/// The throttles that are in force on an instance, by whom they throttle: whoever sets limits beside them takes their way back.
pub(super) async fn in_force(
    estate: &Estate,
    instance: &InstanceName,
) -> Result<BTreeMap<TenantId, OperationId>, OpsError> {
    let connection = estate.connect(&estate.control, None, Use::Looking).await?;
    let Some(control) = Control::look(connection).await? else { return Ok(BTreeMap::new()) };
    let mut found = BTreeMap::new();
    for known in control.of_kind("throttle").await?.into_iter().filter(|known| known.in_force == Some(true)) {
        let Some(id) = OperationId::parse(&known.id) else { continue };
        let lines = control.lines(&id).await?;
        if let Ok(story) = Story::read(lines.iter().map(String::as_str))
            && let Intent::Throttle(throttling) = &story.header.plan.intent
            && throttling.instance == *instance
        {
            found.insert(throttling.tenant.clone(), id);
        }
    }
    Ok(found)
}

/// Plans, or says why not. Pure.
pub(super) fn plan(
    intent: &Throttling,
    names: &Names,
    login: Option<&Login>,
    target: Target,
    id: OperationId,
) -> Result<Plan, Refusals> {
    let Throttling { tenant, instance, .. } = intent;
    let role = &names.role;
    let Some(login) = login else {
        return Err(Refusals::one(format!("{instance} has no login {role}: is {tenant} there?")));
    };
    if !login.may_enter {
        return Err(Refusals::one(format!(
            "{tenant} has no login of its own: it works as {}, and a limit of {role} would bind nobody. What can be done instead: cancel \
             or terminate its sessions (tierdeck act cancel, terminate, terminate-idle), give it a login of its own, or promote it",
            names.service
        )));
    }
    let mut refusals = Vec::new();
    if login.superuser {
        refusals.push(format!("{role} is a superuser, and no limit binds those"));
    }
    if !login.may_alter {
        refusals.push(may_not_alter(&target.login, role));
    }
    if intent.connections == 0 {
        refusals.push("0 connections would be a quarantine, not a throttle".to_owned());
    }
    if i32::try_from(intent.connections).is_err()
        || intent.statement_timeout_ms.is_some_and(|it| i32::try_from(it).is_err())
    {
        refusals.push(format!("PostgreSQL takes no limit beyond {}", i32::MAX));
    }
    let over = login.in_databases.as_deref().filter(|_| intent.statement_timeout_ms.is_some());
    if let Some(databases) = over {
        refusals.push(format!(
            "{role} has a statement_timeout of its own in the database {databases}, which goes before one of the login: change that by hand"
        ));
    }
    let step = Throttle {
        target: 0,
        role: role.clone(),
        connections: intent.connections,
        statement_timeout: intent.statement_timeout_ms.map(|limit| format!("{limit}ms")),
        was: Some(login.limits.clone()),
    };
    if step.wanted(&login.limits) == login.limits {
        refusals.push(format!("{role} has these limits already"));
    }
    if let Err(Refusals(more)) = identifier(role) {
        refusals.extend(more);
    }
    if !refusals.is_empty() {
        return Err(Refusals(refusals));
    }
    let foreseen = serde_json::to_value(&login.limits).map_err(|error| Refusals::one(error.to_string()))?;
    let mut affects = vec![format!("new sessions of {role}: refused beyond {} at a time", intent.connections)];
    affects.extend(
        step.statement_timeout.as_ref().map(|limit| format!("new sessions of {role}: statements end after {limit}")),
    );
    let mut warnings = Vec::new();
    if login.sessions > i64::from(intent.connections) {
        warnings.push(format!(
            "limits reach only new sessions, and {} are open: they stay until they end or are terminated",
            plural(usize::try_from(login.sessions).unwrap_or_default(), "session")
        ));
    }
    if step.statement_timeout.is_some() {
        warnings.push("a session may raise its own statement_timeout; a limit of connections binds".to_owned());
    }
    let setting = login.limits.statement_timeout.clone().unwrap_or_else(|| "not set".to_owned());
    Ok(Plan {
        schema: SCHEMA,
        id,
        kind: "throttle".to_owned(),
        summary: format!("throttle {tenant} on {instance}: its login {role}"),
        subjects: held(Some(tenant), Subject::Tenant { id: tenant.clone() }),
        targets: vec![target],
        affects,
        facts: vec![
            Fact { name: format!("{role}: connection limit"), value: login.limits.connections.to_string() },
            Fact { name: format!("{role}: statement_timeout"), value: setting },
        ],
        warnings,
        steps: vec![PlannedStep::new(Action::Throttle(step), &foreseen)?],
        confirm: tenant.to_string(),
        intent: Intent::Throttle(intent.clone()),
    })
}

/// The step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttle {
    /// Which of the plan's targets.
    pub target: usize,
    /// The login.
    pub role: String,
    /// `CONNECTION LIMIT`.
    pub connections: u32,
    /// `statement_timeout`, as it is written; `None` leaves it.
    pub statement_timeout: Option<String>,
    /// What has to be there when it runs; `None`: an earlier version did not ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<LoginLimits>,
}

impl Throttle {
    /// Statements that run only if the limits still are these, as far as they are set here.
    fn guarded(&self, expected: Option<&LoginLimits>, statements: Vec<String>) -> Script {
        let guard = expected.filter(|_| self.was.is_some()).map(|expected| {
            let now = roles::setting("statement_timeout");
            let timeout = match &expected.statement_timeout {
                _ if self.statement_timeout.is_none() => String::new(),
                Some(limit) => format!(" AND {now} = {}", literal(limit)),
                None => format!(" AND {now} IS NULL"),
            };
            let what = format!("r.rolconnlimit = {}{timeout}", expected.connections);
            let otherwise = format!("changed the limits of {}", self.role);
            [roles::hold(&self.role), roles::expect(&self.role, &what, &otherwise)]
        });
        Script::sql(self.target, guard.into_iter().flatten().chain(statements).collect())
    }

    /// What the step leaves of these limits.
    fn wanted(&self, before: &LoginLimits) -> LoginLimits {
        LoginLimits {
            connections: i32::try_from(self.connections).unwrap_or(i32::MAX),
            statement_timeout: self.statement_timeout.clone().or_else(|| before.statement_timeout.clone()),
        }
    }

    /// Whether limits are the same, as far as the step sets them: what it leaves alone, others may change.
    fn same(&self, one: &LoginLimits, other: &LoginLimits) -> bool {
        one.connections == other.connections
            && (self.statement_timeout.is_none() || one.statement_timeout == other.statement_timeout)
    }

    async fn now(&self, eyes: &mut Eyes) -> Result<LoginLimits, StepError> {
        let login = login(&self.role, self.target, eyes).await?;
        let login = login.ok_or_else(|| StepError::NotVerified(format!("the login {} is gone", self.role)))?;
        Ok(login.limits)
    }

    fn quoted(&self) -> String {
        postgres_protocol::escape::escape_identifier(&self.role)
    }

    fn changed(&self, now: &LoginLimits) -> String {
        let timeout = now.statement_timeout.as_deref().unwrap_or("not set");
        format!(
            "somebody changed the limits of {} meanwhile (CONNECTION LIMIT {}, statement_timeout {timeout}); they are left as they are",
            self.role, now.connections
        )
    }
}

fn read(before: &Value) -> Result<LoginLimits, StepError> {
    serde_json::from_value(before.clone()).map_err(|error| StepError::Values(error.to_string()))
}

fn write(limits: &LoginLimits) -> Result<Value, StepError> {
    serde_json::to_value(limits).map_err(|error| StepError::Values(error.to_string()))
}

impl Step for Throttle {
    fn title(&self) -> String {
        format!("limit the login {}", self.role)
    }

    fn safety(&self) -> Safety {
        Safety::Reversible
    }

    fn forward(&self) -> Script {
        let role = self.quoted();
        let mut statements = vec![format!("ALTER ROLE {role} CONNECTION LIMIT {}", self.connections)];
        if let Some(limit) = &self.statement_timeout {
            statements.push(format!("ALTER ROLE {role} SET statement_timeout = {}", literal(limit)));
        }
        self.guarded(self.was.as_ref(), statements)
    }

    fn backward(&self, before: &Value) -> Result<Option<Script>, StepError> {
        let before = read(before)?;
        let role = self.quoted();
        let mut statements = vec![format!("ALTER ROLE {role} CONNECTION LIMIT {}", before.connections)];
        if self.statement_timeout.is_some() {
            statements.push(match &before.statement_timeout {
                Some(limit) => format!("ALTER ROLE {role} SET statement_timeout = {}", literal(limit)),
                None => format!("ALTER ROLE {role} RESET statement_timeout"),
            });
        }
        Ok(Some(self.guarded(Some(&self.wanted(&before)), statements)))
    }

    fn check<'a>(&'a self, before: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let now = self.now(eyes).await?;
            let first = before.map(read).transpose()?;
            if self.same(&now, &self.wanted(first.as_ref().unwrap_or(&now))) {
                return Ok(Check::Already { output: write(&now)? });
            }
            Ok(match first {
                Some(first) if !self.same(&first, &now) => Check::Blocked(self.changed(&now)),
                _ => Check::Ready { before: write(&now)? },
            })
        })
    }

    fn verify<'a>(&'a self, before: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            let now = self.now(eyes).await?;
            if !self.same(&now, &self.wanted(&read(before)?)) {
                return Err(StepError::NotVerified(self.changed(&now)));
            }
            write(&now)
        })
    }

    fn undone<'a>(&'a self, before: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        Box::pin(async move {
            let (now, before) = (self.now(eyes).await?, read(before)?);
            Ok(if self.same(&now, &before) {
                Undo::Done
            } else if self.same(&now, &self.wanted(&before)) {
                Undo::Needed
            } else {
                Undo::Blocked(self.changed(&now))
            })
        })
    }
}
