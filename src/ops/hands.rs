//! What steps see with and act with. [`Eyes`] read over sessions that the server itself keeps read-only; [`Hands`] are the
//! only way to an effect, and run nothing that is not in the plan. What is a reference in the plan becomes a value here, and
//! nowhere else.

mod command;
mod guest;
mod served;
mod sql;
mod vault;

use std::sync::Arc;

use futures::future::BoxFuture;
use secrecy::SecretString;

use super::audit::AuditError;
use super::control::ControlError;
use super::estate::{Estate, Use};
use super::gate::Permit;
use super::guest::Answer;
use super::lease::Lease;
use super::operations::{Listen, Progress};
use super::plan::{Plan, Target};
use super::script::{Reference, Script, VaultAt};
use super::step::StepError;
use crate::clients::postgres::{ConnectError, Connection, QueryError};
use crate::clients::vault::{Vault, VaultError};
use crate::domain::InstanceName;
use crate::sources::postgres::Desk;

/// Why an effect was not tried, or what came of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandsError {
    /// There is no such instance any more.
    #[error("{0} is neither in the configuration nor among the instances that are found by their tags")]
    NoPlace(String),
    /// Nobody may change anything there.
    #[error("{0}: {1}")]
    NoAdmin(String, String),
    /// No session.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server said no, or nothing.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Vault said no, or nothing.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// There is no Vault, or it is another one.
    #[error("{0}")]
    NoVault(String),
    /// What a plan refers to is not there.
    #[error("{0}")]
    NoValue(String),
    /// A command did not do it.
    #[error("{0}")]
    Command(String),
    /// Somebody else goes on with the operation.
    #[error("somebody else went on with this operation; this one has stopped and changes nothing more")]
    Lost,
    /// The control database.
    #[error("{0}")]
    Control(String),
    /// What cannot be written down is not done.
    #[error("{0}")]
    Audit(String),
    /// A mistake of ours, caught.
    #[error("refused: this is not in the plan that was approved: {0}")]
    NotInPlan(String),
    /// A session of ours holds what this one needs.
    #[error("another session of tierdeck works on {0}; it is not disturbed")]
    Busy(String),
}

impl From<ControlError> for HandsError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Lost => Self::Lost,
            error => Self::Control(error.to_string()),
        }
    }
}

impl From<AuditError> for HandsError {
    fn from(error: AuditError) -> Self {
        Self::Audit(error.to_string())
    }
}

/// See the module.
#[derive(Debug)]
pub struct Eyes {
    estate: Arc<Estate>,
    places: Vec<(InstanceName, Option<String>)>,
    desks: Vec<Option<Desk>>,
}

impl Eyes {
    /// Eyes for an instance that no plan names yet: its only target is 0.
    pub fn on(estate: Arc<Estate>, instance: InstanceName, database: Option<String>) -> Self {
        Self { estate, places: vec![(instance, database)], desks: vec![None] }
    }

    /// Eyes for a plan's targets.
    pub fn of(estate: Arc<Estate>, targets: &[Target]) -> Self {
        let places = targets.iter().map(|target| (target.instance.clone(), Some(target.database.clone())));
        Self { estate, desks: targets.iter().map(|_| None).collect(), places: places.collect() }
    }

    /// A desk at a target: a connection is made when it is needed, and again when it was lost.
    pub async fn desk(&mut self, target: usize) -> Result<&Desk, StepError> {
        let no_place = || HandsError::NoPlace(format!("target {target}"));
        let (instance, database) = self.places.get(target).ok_or_else(no_place)?;
        let desk = self.desks.get_mut(target).ok_or_else(no_place)?;
        if desk.as_ref().is_none_or(Desk::is_closed) {
            let connection = self.estate.connect(instance, database.as_deref(), Use::Looking).await?;
            return Ok(desk.insert(Desk::new(connection)));
        }
        desk.as_ref().ok_or_else(|| no_place().into())
    }

    /// The Vault of the plan.
    pub fn vault(&self, at: &VaultAt) -> Result<&Vault, StepError> {
        Ok(self.estate.vault(at)?)
    }

    /// Logs in at a target as somebody else, and leaves again.
    pub async fn log_in(&self, target: usize, role: &str, password: SecretString) -> Result<(), HandsError> {
        let no_place = || HandsError::NoPlace(format!("target {target}"));
        let (instance, database) = self.places.get(target).ok_or_else(no_place)?;
        self.estate.log_in(instance, database.as_deref().ok_or_else(no_place)?, role, password).await
    }

    /// The estate that they look at.
    pub fn estate(&self) -> &Arc<Estate> {
        &self.estate
    }
}

/// See the module.
pub struct Hands<'a> {
    pub(super) estate: &'a Estate,
    pub(super) plan: &'a Plan,
    pub(super) permit: &'a Permit,
    pub(super) lease: &'a Lease,
    pub(super) listen: &'a Listen,
    pub(super) links: &'a mut Vec<Option<Connection>>,
    pub(super) step: usize,
    /// What may be run now, and nothing else.
    pub(super) script: Script,
    /// What a temporary login was answered.
    pub(super) answers: Vec<Answer>,
}

/// A script with everything in place that it needs, and nothing done yet.
enum Ready {
    Sql(Box<Connection>, Vec<String>),
    Vault(vault::Ready),
    Command(Option<SecretString>),
    Guest(Box<guest::Ready>),
}

impl Hands<'_> {
    /// Carries out a script of the plan: held against the plan, asked of the lease, written down, done, written down.
    pub fn run<'s>(&'s mut self, script: &'s Script) -> BoxFuture<'s, Result<(), HandsError>> {
        Box::pin(self.carry_out(script))
    }

    async fn carry_out(&mut self, script: &Script) -> Result<(), HandsError> {
        let not_in_plan = || HandsError::NotInPlan(script.lines().join("; "));
        if *script != self.script || !self.permit.is_for(self.plan) {
            return Err(not_in_plan());
        }
        let place = self.place(script).ok_or_else(not_in_plan)?;
        let ready = self.make_ready(script).await?;
        // In this order: whoever takes over from now on sees the session that was made ready, and ends it.
        self.lease.still_ours().await?;
        self.record("attempt", &place, script, None).await?;
        let done = self.act(script, ready).await;
        if done.is_ok() {
            (self.listen)(&Progress::Effect { step: self.step });
        }
        let (what, result) = match &done {
            Ok(said) => ("done", said.clone()),
            Err(error) => ("failed", error.to_string()),
        };
        let recorded = self.record(what, &place, script, Some(result)).await;
        done?;
        recorded
    }

    /// Where a script acts; `None`: nowhere that the plan knows.
    fn place(&self, script: &Script) -> Option<String> {
        let database = |target: usize| {
            let target = self.plan.targets.get(target)?;
            Some(format!("{}/{}", target.instance, target.database))
        };
        match script {
            Script::Sql(sql) => database(sql.target),
            Script::Vault(vault) => Some(vault.vault.to_string()),
            Script::Guest(guest) => database(guest.target),
            Script::Command(command) => match command.login {
                Some(target) => Some(format!("this machine, {}", database(target)?)),
                None => Some("this machine".to_owned()),
            },
        }
    }

    async fn make_ready(&mut self, script: &Script) -> Result<Ready, HandsError> {
        Ok(match script {
            Script::Sql(sql) => {
                let statements = self.filled(sql).await?;
                Ready::Sql(Box::new(self.link(sql).await?), statements)
            }
            Script::Vault(calls) => Ready::Vault(self.fill(calls).await?),
            Script::Guest(guest) => Ready::Guest(Box::new(self.admit(guest).await?)),
            Script::Command(command) => Ready::Command(match command.login.and_then(|at| self.plan.targets.get(at)) {
                Some(target) => Some(self.estate.password(&target.instance, &target.database).await?),
                None => None,
            }),
        })
    }

    async fn act(&mut self, script: &Script, ready: Ready) -> Result<String, HandsError> {
        match (script, ready) {
            (Script::Sql(sql), Ready::Sql(link, statements)) => {
                let said = self.transact(&link, sql, &statements).await?;
                // A connection on which something went wrong is not used again.
                if sql.transaction
                    && let Some(slot) = self.links.get_mut(sql.target)
                {
                    *slot = Some(*link);
                }
                Ok(said)
            }
            (Script::Vault(calls), Ready::Vault(ready)) => self.call(calls, ready).await,
            (Script::Command(command), Ready::Command(password)) => self.execute(command, password).await,
            (Script::Guest(guest), Ready::Guest(ready)) => self.try_out(guest, *ready).await,
            _ => Err(HandsError::NotInPlan(script.lines().join("; "))),
        }
    }

    /// The value of a reference.
    async fn value(&self, reference: &Reference) -> Result<SecretString, HandsError> {
        let vault = self.estate.vault.as_ref().map_err(|reason| HandsError::NoVault(reason.clone()))?;
        if vault.place().mount != reference.mount {
            return Err(HandsError::NoVault(format!("the configuration's mount is not that of {reference}")));
        }
        let secret = vault.read(&reference.path).await?;
        let value = secret.and_then(|secret| secret.fields.secret(&reference.field));
        value.ok_or_else(|| HandsError::NoValue(format!("there is no {reference} in Vault")))
    }

    async fn record(&self, what: &str, place: &str, script: &Script, result: Option<String>) -> Result<(), HandsError> {
        let head = self.permit.record(what, place, &script.lines(), result)?;
        (self.listen)(&Progress::Audited { seq: head.seq });
        Ok(self.lease.note_head(&head).await?)
    }
}
