//! Incident actions: what an on-call engineer does to sessions, logins and tables. Each is an operation of a step or two, with the
//! same plan, gate and journal as everything else. The larger operations have their variants here, too.

mod quarantine;
mod sessions;
mod shut;
mod throttle;
mod vacuum;

use std::sync::Arc;

use postgres_protocol::escape::{escape_identifier, escape_literal};
use serde::{Deserialize, Serialize};

pub(super) use quarantine::look as login;
pub use quarantine::{Bar, Drain, Quarantining};
pub use sessions::{Aim, Signal, SignalSessions, Signalling};
pub(super) use shut::around;
pub use throttle::{Throttle, Throttling};
pub use vacuum::{Vacuum, Vacuuming};

use super::deprovision::{self, DeprovisionStep, Deprovisioning};
use super::estate::{Estate, Place};
use super::fence::{self, Fence, Stands};
use super::guardrails::{self, Guard, Guarding};
use super::hands::Eyes;
use super::id::OperationId;
use super::operations::OpsError;
use super::plan::{Plan, Refusals, Subject, Target};
use super::prove::{self, ProveStep, Proving};
use super::provision::{self, ProvisionStep, Provisioning};
use super::step::{Step, StepError};
use super::tenancy;
use crate::attribution::Directory;
use crate::clients::postgres::QueryError;
use crate::domain::foreign::sanitise;
use crate::domain::ids::LONGEST_IDENTIFIER;
use crate::domain::{InstanceName, Layout, TenantId};

/// What was asked for: enough to make the plan again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "intent", rename_all = "snake_case")]
pub enum Intent {
    /// Cancel statements or terminate sessions.
    Signal(Signalling),
    /// Limit a tenant's own login.
    Throttle(Throttling),
    /// Shut a tenant's own login out.
    Quarantine(Quarantining),
    /// `VACUUM (ANALYZE)` a table.
    Vacuum(Vacuuming),
    /// Give logins the limits that the policy wants.
    Guard(Guarding),
    /// Prove that limits and isolation hold.
    Prove(Proving),
    /// Make a place for a new tenant.
    Provision(Provisioning),
    /// Export a tenant, and remove it.
    Deprovision(Deprovisioning),
}

/// A step of a plan, as a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Cancel statements or terminate sessions.
    Signal(SignalSessions),
    /// Limit a login.
    Throttle(Throttle),
    /// Let a login in no more.
    Bar(Bar),
    /// End the sessions of a login.
    Drain(Drain),
    /// `VACUUM (ANALYZE)` a table.
    Vacuum(Vacuum),
    /// Shut every writer out of a schema.
    Fence(Fence),
    /// See that the fence stands.
    Stands(Stands),
    /// Give logins the limits that the policy wants.
    Guard(Guard),
    /// A step of a proof.
    Prove(ProveStep),
    /// A step of a provision.
    Provision(ProvisionStep),
    /// A step of a deprovision.
    Deprovision(DeprovisionStep),
}

impl Action {
    /// What it does.
    pub fn step(&self) -> &dyn Step {
        match self {
            Self::Signal(step) => step,
            Self::Throttle(step) => step,
            Self::Bar(step) => step,
            Self::Drain(step) => step,
            Self::Vacuum(step) => step,
            Self::Fence(step) => step,
            Self::Stands(step) => step,
            Self::Guard(step) => step,
            Self::Prove(step) => step.step(),
            Self::Provision(step) => step.step(),
            Self::Deprovision(step) => step.step(),
        }
    }
}

impl Intent {
    /// Where it acts.
    pub fn instance(&self) -> &InstanceName {
        match self {
            Self::Signal(intent) => &intent.instance,
            Self::Throttle(intent) => &intent.instance,
            Self::Quarantine(intent) => &intent.instance,
            Self::Vacuum(intent) => &intent.instance,
            Self::Guard(intent) => &intent.instance,
            Self::Prove(intent) => &intent.instance,
            Self::Provision(intent) => &intent.instance,
            Self::Deprovision(intent) => &intent.instance,
        }
    }

    /// Looks at what is true now, and plans. Changes nothing.
    pub async fn prepare(&self, estate: &Arc<Estate>, id: OperationId) -> Result<Plan, OpsError> {
        let place = estate.place(self.instance())?;
        match self {
            Self::Provision(intent) => provision::refuse(intent, estate, place)?,
            Self::Deprovision(_) => tenancy::by_schema(place)?,
            _ => {}
        }
        estate.admin(self.instance())?;
        let database = match self {
            Self::Vacuum(intent) => intent.database.clone(),
            // Where it lives: what is set for its login there counts.
            Self::Prove(intent) if place.layout == Layout::Database => {
                Some(estate.naming.tenant_database.name(&intent.tenant))
            }
            _ => None,
        };
        let mut eyes = Eyes::on(Arc::clone(estate), self.instance().clone(), database);
        let target = match identity(&mut eyes, 0, self.instance()).await {
            // Where nothing can be changed, nothing is planned.
            Err(StepError::NotVerified(reason)) => return Err(Refusals::one(reason).into()),
            identified => identified?,
        };
        let plan = match self {
            Self::Signal(intent) => {
                sessions::plan(intent, &sessions::look(intent, &mut eyes, place).await?, target, id)
            }
            Self::Throttle(intent) => {
                let names = naming(estate, place, &intent.tenant)?;
                let facts = throttle::look(&names.role, &mut eyes).await?;
                throttle::plan(intent, &names, facts.as_ref(), target, id)
            }
            Self::Quarantine(intent) => {
                let names = naming(estate, place, &intent.tenant)?;
                let login = quarantine::look(&names.role, 0, &mut eyes).await?;
                let around = shut::around(estate, &intent.tenant, &mut eyes).await?;
                let ground = match place.layout {
                    Layout::Schema => fence::look(&around, &mut eyes).await?,
                    Layout::Database => None,
                };
                let served = ground.filter(fence::Ground::is_served);
                match (served, login.as_ref()) {
                    (Some(ground), Some(login)) if !login.may_enter => shut::plan(intent, &around, &ground, target, id),
                    (served, login) => quarantine::plan(intent, &names, login, served.is_some(), target, id),
                }
            }
            Self::Guard(intent) => {
                let own = intent.tenants.iter().map(|tenant| Ok(naming(estate, place, tenant)?.role));
                let own = own.collect::<Result<Vec<String>, Refusals>>()?;
                let names = (!own.is_empty()).then_some(own.as_slice());
                let logins = guardrails::look(names, 0, &mut eyes).await?;
                let directory = directory(place, &mut eyes).await?;
                let whose = |name: &str| directory.by_login(name);
                let throttled = throttle::in_force(estate, &intent.instance).await?;
                guardrails::plan(intent, &logins, whose, &throttled, &estate.naming.service_account, target, id)
            }
            Self::Prove(intent) => {
                naming(estate, place, &intent.tenant)?;
                let throttled = throttle::in_force(estate, &intent.instance).await?.remove(&intent.tenant);
                let facts = prove::look(intent, place, &mut eyes).await?;
                prove::plan(intent, &facts, throttled.as_ref(), target, id)
            }
            Self::Vacuum(intent) => {
                let facts = vacuum::look(intent, &mut eyes).await?;
                vacuum::plan(intent, facts.as_ref(), &estate.directory(place), target, id)
            }
            Self::Provision(intent) => provision::plan(intent, &provision::look(intent, &mut eyes).await?, target, id),
            Self::Deprovision(intent) => {
                deprovision::plan(intent, &deprovision::look(intent, &target, &mut eyes, &id).await?, target, id)
            }
        };
        Ok(plan?)
    }
}

/// How a tenant is called on an instance.
pub(super) struct Names {
    /// Its own login, where it has one.
    pub role: String,
    /// What most tenants log in as.
    pub service: String,
}

fn naming(estate: &Estate, place: &Place, tenant: &TenantId) -> Result<Names, Refusals> {
    let template = match place.layout {
        Layout::Schema => &estate.naming.tenant_role,
        Layout::Database => &estate.naming.tenant_login,
    };
    let role = template.name(tenant);
    if role.len() > LONGEST_IDENTIFIER {
        return Err(Refusals::one(format!(
            "the login {role} has {} bytes, and PostgreSQL cuts names off at {LONGEST_IDENTIFIER}: there can be no such login",
            role.len()
        )));
    }
    Ok(Names { role, service: estate.naming.service_account.clone() })
}

/// How the tenants that are on an instance are recognised.
async fn directory(place: &Place, eyes: &mut Eyes) -> Result<Directory, StepError> {
    let estate = Arc::clone(eyes.estate());
    let databases = eyes.desk(0).await?.rows("SELECT datname::text FROM pg_database", &[]).await?;
    let names = databases.iter().filter_map(|row| row.try_get::<_, String>(0).ok());
    let mut directory = estate.directory(place);
    directory.set_known(names.filter_map(|name| estate.naming.tenant_database.id(&name)).collect::<Vec<_>>());
    Ok(directory)
}

/// Which server and database eyes see, and as whom.
pub(super) async fn identity(eyes: &mut Eyes, target: usize, instance: &InstanceName) -> Result<Target, StepError> {
    let desk = eyes.desk(target).await?;
    let rows = desk.rows(include_str!("../../../assets/sql/ops/identity.sql"), &[]).await?;
    let row = rows.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
    let text = |name| row.try_get::<_, String>(name).map_err(QueryError::from);
    if row.try_get::<_, bool>("in_recovery").map_err(QueryError::from)? {
        return Err(StepError::NotVerified(format!("{instance} is a standby: nothing can be changed there")));
    }
    Ok(Target {
        instance: instance.clone(),
        database: text("database")?,
        login: text("login")?,
        system_identifier: text("system_identifier")?,
        server_version: text("server_version")?,
    })
}

/// A name as SQL, unless it is one that a screen cannot show as it is: nobody can approve what cannot be read.
pub(super) fn identifier(name: &str) -> Result<String, Refusals> {
    if sanitise(name) != name || name.contains('\u{fffd}') {
        return Err(Refusals::one(format!(
            "the name {:?} has characters that cannot be shown as they are; use psql for it",
            sanitise(name)
        )));
    }
    Ok(escape_identifier(name))
}

/// A text as SQL.
pub(super) fn literal(text: &str) -> String {
    escape_literal(text).trim_start().to_owned()
}

/// Why our login may not alter a role, and what helps.
pub(super) fn may_not_alter(login: &str, role: &str) -> String {
    format!(
        "{login} may not alter {role}: ALTER ROLE {login} CREATEROLE; from PostgreSQL 16 on also, as whoever created it: \
         GRANT {role} TO {login} WITH ADMIN OPTION"
    )
}

/// What is held for a tenant's sake.
fn held(tenant: Option<&TenantId>, or: Subject) -> Vec<Subject> {
    vec![tenant.map_or(or, |id| Subject::Tenant { id: id.clone() })]
}
