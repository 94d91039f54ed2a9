//! What steps see with and act with. [`Eyes`] read over sessions that the server itself keeps read-only; [`Hands`] are the
//! only way to an effect, and run nothing that is not in the plan.

use std::sync::Arc;

use futures::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use tokio_postgres::SimpleQueryMessage;

use super::audit::AuditError;
use super::control::{ControlError, guard};
use super::estate::{Estate, Use};
use super::gate::Permit;
use super::lease::Lease;
use super::operations::{Listen, Progress};
use super::plan::{Plan, Target};
use super::step::{Script, StepError};
use crate::clients::postgres::{ConnectError, Connection, QueryError};
use crate::domain::InstanceName;
use crate::domain::foreign::sanitise;
use crate::sources::postgres::Desk;

/// Why an effect was not tried, or what came of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandsError {
    /// The configuration has no such instance any more.
    #[error("{0} is not in the configuration")]
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
}

impl Hands<'_> {
    /// Carries out a script of the plan: held against the plan, asked of the lease, written down, done, written down.
    pub fn run<'s>(&'s mut self, script: &'s Script) -> BoxFuture<'s, Result<(), HandsError>> {
        Box::pin(self.carry_out(script))
    }

    async fn carry_out(&mut self, script: &Script) -> Result<(), HandsError> {
        let target = self.plan.targets.get(script.target);
        let Some(target) = target.filter(|_| *script == self.script && self.permit.is_for(self.plan)) else {
            return Err(HandsError::NotInPlan(script.statements.join("; ")));
        };
        let place = format!("{}/{}", target.instance, target.database);
        let link = self.link(target, script).await?;
        // In this order: whoever takes over from now on sees this session, and ends it.
        self.lease.still_ours().await?;
        self.record("attempt", &place, script, None).await?;
        let done = self.act(&link, target, script).await;
        if done.is_ok() {
            (self.listen)(&Progress::Effect { step: self.step });
        }
        let (what, result) = match &done {
            Ok(said) => ("done", said.clone()),
            Err(error) => ("failed", error.to_string()),
        };
        // A connection on which something went wrong is not used again.
        if done.is_ok()
            && script.transaction
            && let Some(slot) = self.links.get_mut(script.target)
        {
            *slot = Some(link);
        }
        let recorded = self.record(what, &place, script, Some(result)).await;
        done?;
        recorded
    }

    async fn record(&self, what: &str, place: &str, script: &Script, result: Option<String>) -> Result<(), HandsError> {
        let head = self.permit.record(what, place, &script.statements, result)?;
        (self.listen)(&Progress::Audited { seq: head.seq });
        Ok(self.lease.note_head(&head).await?)
    }

    /// A session for effects on a target, which holds the advisory locks of what the operation holds.
    async fn link(&mut self, target: &Target, script: &Script) -> Result<Connection, HandsError> {
        if let Some(link) = self.links.get_mut(script.target).and_then(Option::take)
            && script.transaction
            && !link.is_closed()
        {
            return Ok(link);
        }
        let name = self.plan.id.application_name();
        let purpose = if script.transaction { Use::Effects(&name) } else { Use::Long(&name) };
        let link = self.estate.connect(&target.instance, Some(&target.database), purpose).await?;
        for subject in &self.plan.subjects {
            let key = subject.key();
            let got = link.query_one("SELECT pg_try_advisory_lock($1)", &[&advisory(&key)]).await?;
            if !got.try_get::<_, bool>(0).map_err(QueryError::from)? && held_by_us(&link, &key, &name).await? {
                return Err(HandsError::Busy(key));
            }
        }
        Ok(link)
    }

    async fn act(&self, link: &Connection, target: &Target, script: &Script) -> Result<String, HandsError> {
        if !script.transaction {
            // It cannot hold the lease while it runs: asked as late as possible.
            self.lease.still_ours().await?;
            return statements(link, script).await;
        }
        link.batch("BEGIN").await?;
        if self.estate.is_control(&target.instance, &target.database)
            && link.query(&guard(&self.plan.id, self.lease.fence()), &[]).await?.is_empty()
        {
            link.batch("ROLLBACK").await?;
            return Err(HandsError::Lost);
        }
        let said = statements(link, script).await?;
        link.batch("COMMIT").await?;
        Ok(said)
    }
}

async fn statements(link: &Connection, script: &Script) -> Result<String, HandsError> {
    let mut said = Vec::new();
    for statement in &script.statements {
        for message in link.run(link.client().simple_query(statement)).await? {
            match message {
                SimpleQueryMessage::Row(row) => said.push(row.get(0).unwrap_or("null").to_owned()),
                SimpleQueryMessage::CommandComplete(rows) => said.push(format!("({rows})")),
                _ => {}
            }
        }
    }
    said.truncate(64);
    Ok(sanitise(&said.join(" ")).into_owned())
}

/// The key of a subject's advisory lock. Anybody may take it, so it only ever adds to what the lease says.
fn advisory(key: &str) -> i64 {
    let hash = Sha256::digest(format!("tierdeck {key}"));
    hash.iter().take(8).fold(0, |number, byte| number << 8 | i64::from(*byte))
}

/// Whether a lock that we did not get is held by a session of our own kind: a tenant's that took the same key is nobody.
/// An earlier one of this very operation that has not quite gone yet is nobody either: the lease is what tells them apart.
async fn held_by_us(link: &Connection, key: &str, name: &str) -> Result<bool, HandsError> {
    let sql = "SELECT 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid)
               WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
                 AND (l.classid::int8 << 32 | l.objid::int8) = $1
                 AND a.usename = session_user AND a.application_name LIKE 'tierdeck op %'
                 AND a.application_name <> $2";
    Ok(!link.query(sql, &[&advisory(key), &name]).await?.is_empty())
}
