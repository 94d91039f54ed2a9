//! Operations as the command line and the console know them: plan, start, go on, roll back, abandon, look.
//!
//! Starting and going on are one path: to start is to go on with an empty journal.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;

use super::act::Intent;
use super::control::{Control, ControlDatabase, ControlError, Known, Standing};
use super::engine::Run;
use super::estate::{Estate, Use};
use super::gate::{Gate, Permit, Shut};
use super::hands::{Eyes, HandsError};
use super::id::OperationId;
use super::journal::{self, Entry, Header, Journal, JournalError, Story};
use super::lease::Lease;
use super::plan::{Plan, Refusals, SCHEMA, Subject};
use super::report::Report;
use super::status::{Outcome, Phase};
use super::step::{StepError, Working};
use crate::domain::{InstanceName, TenantId};

/// What an operation tells while it runs: plain values, at the moment after each became durable or took effect.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// The journal is here with its first line, and nothing else yet.
    Created,
    /// The control database knows it as ours: begun, gone on with, or taken over.
    Claimed {
        /// Under this counter.
        fence: i64,
    },
    /// A line is in the journal here.
    Journal(Entry),
    /// And in the control database.
    Mirrored {
        /// Which.
        seq: u64,
    },
    /// A line is in the audit log.
    Audited {
        /// Which.
        seq: u64,
    },
    /// A step that takes its time is so far.
    Working {
        /// Which step.
        step: usize,
        /// How far.
        working: Working,
    },
    /// An effect has come.
    Effect {
        /// Of which step.
        step: usize,
    },
}

/// Who is told; called in passing, so it must not block.
pub type Listen = Arc<dyn Fn(&Progress) + Send + Sync>;

/// Which way to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Do what is left to do.
    Forward,
    /// Undo what was done.
    Back,
    /// Leave everything as it is, for good.
    Abandon,
}

/// Whether an operation may be taken from somebody who fell silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeOver {
    /// No.
    No,
    /// Yes: the operator typed its id.
    Deliberately,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Everything is done and verified.
    Succeeded,
    /// Everything is as before.
    RolledBack,
    /// Left as it is, for good.
    Abandoned,
    /// It waits for an operator.
    Paused(String),
}

/// Why nothing was done, or why it stopped.
#[derive(Debug, thiserror::Error)]
pub enum OpsError {
    /// There is no plan.
    #[error("refused: {0}")]
    Refused(#[from] Refusals),
    /// The gate.
    #[error(transparent)]
    Shut(#[from] Shut),
    /// The world changed between plan and start.
    #[error("the plan is no longer true, nothing was done: {}", .0.join("; "))]
    Stale(Vec<String>),
    /// The plan cannot be carried out by this version.
    #[error("{0}")]
    Drifted(String),
    /// It runs somewhere.
    #[error(
        "operation {id} is being carried out by {operator} on {host} (heard of {silent:.1} s ago); nothing was done"
    )]
    Running {
        /// Which.
        id: OperationId,
        /// By whom.
        operator: String,
        /// Where.
        host: String,
        /// Seconds since its last heartbeat.
        silent: f64,
    },
    /// Somebody fell silent with it.
    #[error(
        "operation {id} was being carried out by {operator} on {host}, silent for {silent:.0} s; to take it over from there, type its id: --take-over {id}"
    )]
    Silent {
        /// Which.
        id: OperationId,
        /// By whom.
        operator: String,
        /// Where.
        host: String,
        /// Seconds since its last heartbeat.
        silent: f64,
    },
    /// The point of no return was passed.
    #[error("step {} of it has no way back and was begun: it can only be gone on with (tierdeck ops resume), or abandoned", step + 1)]
    NoWayBack {
        /// Which, from 0.
        step: usize,
    },
    /// What was made is no longer only ours.
    #[error(
        "it cannot be rolled back as things are, and nothing was touched: {}; mend that and roll back again, or leave everything as it is \
         for good: tierdeck ops abandon {id} --confirm {id}", why.join("; ")
    )]
    InTheWay {
        /// Which.
        id: OperationId,
        /// What stands in the way.
        why: Vec<String>,
    },
    /// It is over.
    #[error("operation {0} is over: {1}")]
    Over(OperationId, String),
    /// Nobody knows it.
    #[error("there is no operation {0}, neither in the state folder nor in the control database")]
    Unknown(OperationId),
    /// The databases are not those of the plan.
    #[error("{0}; nothing is changed there")]
    OtherTarget(String),
    /// It was begun under another control database.
    #[error(
        "operation {id} was begun with leases in database {} of system {}, and the configuration's control database is {} of system {}: \
         nobody would see here who else works on it; nothing was done. See [control]", was.database, was.system_identifier, is.database, is.system_identifier
    )]
    OtherControl {
        /// Which.
        id: OperationId,
        /// The header's.
        was: ControlDatabase,
        /// The configuration's.
        is: ControlDatabase,
    },
    /// The control database lost it.
    #[error(
        "the control database knows nothing of operation {0}, which was begun: was it restored, or did it fail over? Nothing was done. If nobody \
         else works on it, type its id: --take-over {0}"
    )]
    Forgotten(OperationId),
    /// Somebody else goes on with it.
    #[error("somebody else went on with this operation; this one has stopped and changes nothing more")]
    Lost,
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The control database.
    #[error(transparent)]
    Control(ControlError),
    /// The way to the servers.
    #[error(transparent)]
    Hands(HandsError),
    /// A look.
    #[error(transparent)]
    Step(StepError),
}

impl From<ControlError> for OpsError {
    fn from(error: ControlError) -> Self {
        if matches!(error, ControlError::Lost) { Self::Lost } else { Self::Control(error) }
    }
}

impl From<HandsError> for OpsError {
    fn from(error: HandsError) -> Self {
        if error == HandsError::Lost { Self::Lost } else { Self::Hands(error) }
    }
}

impl From<StepError> for OpsError {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Hands(error) => error.into(),
            error => Self::Step(error),
        }
    }
}

impl OpsError {
    /// Whether an effect was tried, and the server said that nothing came of it.
    pub(super) fn rolled_back(&self) -> bool {
        matches!(self, Self::Hands(HandsError::Query(error)) if error.is_final())
    }

    /// Whether it was refused, as against: it went wrong.
    pub fn is_refusal(&self) -> bool {
        let held =
            matches!(self, Self::Control(ControlError::Held { .. } | ControlError::Foreign | ControlError::Contended));
        held || matches!(
            self,
            Self::Refused(_)
                | Self::Shut(_)
                | Self::Stale(_)
                | Self::Drifted(_)
                | Self::Running { .. }
                | Self::Silent { .. }
                | Self::NoWayBack { .. }
                | Self::InTheWay { .. }
                | Self::Over(..)
                | Self::OtherTarget(_)
                | Self::OtherControl { .. }
                | Self::Forgotten(_)
                | Self::Journal(JournalError::Busy(_))
                | Self::Hands(
                    HandsError::NoAdmin(..) | HandsError::NoPlace(_) | HandsError::NoVault(_) | HandsError::Busy(_)
                )
        )
    }
}

/// Where a journal was found.
enum Kept {
    Here(Box<Journal>),
    Elsewhere(Box<Story>),
}

impl Kept {
    fn story(&self) -> &Story {
        match self {
            Self::Here(journal) => journal.story(),
            Self::Elsewhere(story) => story,
        }
    }
}

/// See the module.
pub struct Operations {
    /// Where to act.
    pub estate: Arc<Estate>,
    /// The folder of the journals.
    pub folder: PathBuf,
    /// The gate.
    pub gate: Gate,
    /// Who is told.
    pub listen: Listen,
    /// Set by anybody: pause after the step that runs.
    pub pause: Arc<AtomicBool>,
}

impl Operations {
    /// Makes a plan, and changes nothing.
    pub fn plan<'a>(&'a self, intent: &'a Intent, id: OperationId) -> BoxFuture<'a, Result<Plan, OpsError>> {
        Box::pin(intent.prepare(&self.estate, id))
    }

    /// Carries out a plan that was approved by typing what it asks for.
    pub fn start<'a>(&'a self, plan: &'a Plan, typed: &'a str) -> BoxFuture<'a, Result<Ended, OpsError>> {
        Box::pin(async move {
            let permit = self.gate.approve(plan, typed)?;
            if let Some(drifted) = plan.drifted() {
                return Err(OpsError::Drifted(drifted));
            }
            let control = self.control(&permit).await?;
            let header = Header {
                schema: SCHEMA,
                at: Timestamp::now(),
                operator: self.gate.operator().clone(),
                sha256: plan.sha256(),
                control: Some(control.database().await?),
                plan: plan.clone(),
            };
            let journal = Journal::create(&self.folder, header)?;
            (self.listen)(&Progress::Created);
            self.carry_on(control, Kept::Here(Box::new(journal)), permit, Way::Forward, TakeOver::No).await
        })
    }

    /// Goes on with an operation that was begun, here or elsewhere.
    pub fn go_on<'a>(
        &'a self,
        id: &'a OperationId,
        way: Way,
        take_over: TakeOver,
    ) -> BoxFuture<'a, Result<Ended, OpsError>> {
        Box::pin(async move {
            self.gate.is_open()?;
            let kept = match Journal::open(&self.folder, id)? {
                Some(journal) => Kept::Here(Box::new(journal)),
                None => Kept::Elsewhere(Box::new(self.elsewhere(id).await?)),
            };
            let plan = &kept.story().header.plan;
            if let Some(drifted) = plan.drifted() {
                return Err(OpsError::Drifted(drifted));
            }
            let permit = self.gate.go_on(plan)?;
            let control = self.control(&permit).await?;
            let (was, is) = (kept.story().header.control.clone(), control.database().await?);
            if let Some(was) = was.filter(|was| *was != is) {
                return Err(OpsError::OtherControl { id: id.clone(), was, is });
            }
            self.carry_on(control, kept, permit, way, take_over).await
        })
    }

    /// The control database, to work with.
    async fn control(&self, permit: &Permit) -> Result<Control, OpsError> {
        let connection = self.estate.connect(&self.estate.control, None, Use::Control).await?;
        Ok(Control::prepare(connection, &self.estate.place(&self.estate.control)?.monitor, permit).await?)
    }

    async fn carry_on(
        &self,
        control: Control,
        kept: Kept,
        permit: Permit,
        way: Way,
        take_over: TakeOver,
    ) -> Result<Ended, OpsError> {
        let plan = Arc::new(kept.story().header.plan.clone());
        let (journal, fence) = self.claim(kept, &control, &plan, way, take_over).await?;
        let every = self.estate.stale_after / 6;
        let estate = Arc::clone(&self.estate);
        let lease = Lease::keep(control, estate, plan.id.clone(), fence, every.max(Duration::from_millis(50)));
        let eyes = Eyes::of(Arc::clone(&self.estate), &plan.targets);
        let mut run = Run::new(self, plan, permit, journal, lease, eyes);
        run.work_through(way).await
    }

    /// Makes the operation ours, under a counter that nobody else has, with one journal here and there.
    async fn claim(
        &self,
        kept: Kept,
        control: &Control,
        plan: &Plan,
        way: Way,
        take_over: TakeOver,
    ) -> Result<(Journal, i64), OpsError> {
        let operator = self.gate.operator();
        let Some(known) = control.find(&plan.id).await? else {
            let Kept::Here(journal) = kept else { return Err(OpsError::Unknown(plan.id.clone())) };
            let mut lines = journal.story().lines();
            let header = lines.remove(0);
            let last = journal.story().entries.last().map_or(0, |last| last.fence);
            if last > 0 && take_over == TakeOver::No {
                return Err(OpsError::Forgotten(plan.id.clone()));
            }
            return match control.begin(plan, operator, &header, last + 1).await {
                Ok(fence) => {
                    (self.listen)(&Progress::Claimed { fence });
                    for (line, seq) in lines.iter().zip(1..) {
                        control.mirror(&plan.id, fence, seq, line, Standing::of(journal.story())).await?;
                    }
                    Ok((*journal, fence))
                }
                Err(error) => {
                    // Refused before anything was done: as if it had never been asked for.
                    if matches!(error, ControlError::Held { .. }) && journal.story().entries.is_empty() {
                        journal.remove()?;
                    }
                    Err(error.into())
                }
            };
        };
        let over = !matches!(known.state.as_str(), "running" | "paused");
        if over && (known.state != Outcome::Succeeded.name() || way == Way::Forward) {
            return Err(OpsError::Over(plan.id.clone(), known.state));
        }
        // The one that wrote last wrote here, and it is dead: nobody else has the file's lock.
        let own = match &kept {
            // On this machine: a copy of the state folder elsewhere proves nothing.
            Kept::Here(journal) => {
                let last = journal.story().entries.last().map_or(1, |last| last.fence);
                known.host == operator.host && (last == known.fence || journal.announced() == Some(known.fence))
            }
            Kept::Elsewhere(_) => false,
        };
        let Known { operator: user, host, silent, .. } = known.clone();
        let id = plan.id.clone();
        if known.state == "running" && !own {
            if silent < self.estate.stale_after.as_secs_f64() {
                return Err(OpsError::Running { id, operator: user, host, silent });
            }
            if take_over == TakeOver::No {
                return Err(OpsError::Silent { id, operator: user, host, silent });
            }
        }
        // Killed before the first line under the new counter, this machine still knows that it was its own.
        if let Kept::Here(journal) = &kept {
            journal.announce(known.fence + 1)?;
        }
        // In this order: no session of the one before begins after the counter is raised, and none is left after.
        self.evict(plan).await?;
        let fence = control.take(plan, known.fence, operator).await?;
        (self.listen)(&Progress::Claimed { fence });
        self.evict(plan).await?;
        let journal = match kept {
            Kept::Here(journal) => self.reconcile(*journal, control, plan, fence).await?,
            // Copied only now: a copy that lies here means that somebody went on with it here.
            Kept::Elsewhere(_) => Journal::write_whole(&self.folder, self.told(control, &plan.id).await?)?,
        };
        Ok((journal, fence))
    }

    /// Ends what is left of this operation's sessions, and waits until they are gone: what was in flight has come or has not.
    async fn evict(&self, plan: &Plan) -> Result<(), OpsError> {
        for target in &plan.targets {
            let link = self.estate.connect(&target.instance, Some(&target.database), Use::Control).await?;
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE application_name = $1 AND usename = session_user AND pid <> pg_backend_pid()";
            let name = plan.id.application_name();
            let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
            while !link.query(sql, &[&name]).await.map_err(HandsError::from)?.is_empty() {
                if tokio::time::Instant::now() > deadline {
                    return Err(HandsError::Busy(plan.id.to_string()).into());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    /// Brings the journal here and the one in the control database to one: what is only here and was ours is copied, what is
    /// only there is taken over, and where they differ, the one there is the true one: no effect came without it.
    async fn reconcile(
        &self,
        mut journal: Journal,
        control: &Control,
        plan: &Plan,
        fence: i64,
    ) -> Result<Journal, OpsError> {
        let there = self.told(control, &plan.id).await?;
        let here = journal.story();
        let common = here.entries.iter().zip(&there.entries).take_while(|(one, other)| one == other).count();
        if here.header != there.header || (common < here.entries.len() && common < there.entries.len()) {
            journal.set_aside(Timestamp::now())?;
            return Ok(Journal::write_whole(&self.folder, there)?);
        }
        for entry in &here.entries[common..] {
            let line = serde_json::to_string(entry).unwrap_or_default();
            control.mirror(&plan.id, fence, entry.seq, &line, Standing::of(here)).await?;
        }
        journal.follow(&there.entries[common..])?;
        Ok(journal)
    }

    /// The copy in the control database.
    async fn elsewhere(&self, id: &OperationId) -> Result<Story, OpsError> {
        let control = self.look_at_control().await?.ok_or_else(|| OpsError::Unknown(id.clone()))?;
        self.told(&control, id).await
    }

    async fn told(&self, control: &Control, id: &OperationId) -> Result<Story, OpsError> {
        let lines = control.lines(id).await?;
        if lines.is_empty() {
            return Err(OpsError::Unknown(id.clone()));
        }
        Ok(Story::read(lines.iter().map(String::as_str))?)
    }

    /// The control database, to look; `None` when there never was an operation.
    pub async fn look_at_control(&self) -> Result<Option<Control>, OpsError> {
        let connection = self.estate.connect(&self.estate.control, None, Use::Looking).await?;
        Ok(Control::look(connection).await?)
    }

    /// An operation's story: from here, or from the control database where that knows more.
    pub async fn story(&self, id: &OperationId) -> Result<Story, OpsError> {
        let here = journal::look(&self.folder, id)?;
        match (here, self.elsewhere(id).await) {
            (Some(here), Ok(there)) => {
                let rank = |story: &Story| (story.entries.last().map(|last| last.fence), story.entries.len());
                Ok(if rank(&there) > rank(&here) { there } else { here })
            }
            (Some(here), Err(_)) => Ok(here),
            (None, there) => there,
        }
    }

    /// The newest operation of a kind that left something for a tenant that can be undone, by the server's clock. One that
    /// cannot be read is an error: it might be the one.
    pub async fn undoable(
        &self,
        kind: &str,
        tenant: &TenantId,
        instance: Option<&InstanceName>,
    ) -> Result<Option<Story>, OpsError> {
        let Some(control) = self.look_at_control().await? else { return Ok(None) };
        let subject = Subject::Tenant { id: tenant.clone() };
        let mut found: Option<Story> = None;
        for known in control.of_kind(kind).await? {
            let Some(id) = OperationId::parse(&known.id) else { continue };
            let story = self.story(&id).await?;
            let plan = &story.header.plan;
            let at = |plan: &Plan| plan.targets.first().map(|target| target.instance.clone());
            if !plan.subjects.contains(&subject)
                || instance.is_some_and(|instance| at(plan).as_ref() != Some(instance))
                || !Report::of(&story).can_roll_back
            {
                continue;
            }
            match &found {
                None => found = Some(story),
                Some(first) if at(&first.header.plan) != at(plan) => {
                    let places =
                        [&first.header.plan, plan].map(|plan| at(plan).map(|it| it.to_string()).unwrap_or_default());
                    let which = format!(
                        "{tenant} is subject to a {kind} on {}: say which with --instance",
                        places.join(" and on ")
                    );
                    return Err(Refusals::one(which).into());
                }
                Some(_) => {}
            }
        }
        Ok(found)
    }

    /// Whether a pause was asked for.
    pub(super) fn wants_pause(&self) -> bool {
        self.pause.load(Ordering::SeqCst)
    }

    /// Whether an operation may be rolled back, and what stands in the way.
    pub fn may_roll_back(story: &Story) -> Result<(), OpsError> {
        match (story.status.no_way_back(), story.status.phase) {
            (Some(step), _) => Err(OpsError::NoWayBack { step }),
            (None, Phase::Closed(outcome)) if outcome != Outcome::Succeeded || story.left_nothing() => {
                Err(OpsError::Over(story.header.plan.id.clone(), outcome.name().to_owned()))
            }
            _ => Ok(()),
        }
    }
}
