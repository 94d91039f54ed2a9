//! The engine: takes one operation as far as it goes. It never rolls back by itself: when something goes wrong it pauses,
//! and an operator picks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;

use super::control::Standing;
use super::gate::Permit;
use super::guest::Answer;
use super::hands::{Eyes, Hands};
use super::journal::{Event, Journal};
use super::lease::Lease;
use super::operations::{Ended, Operations, OpsError, Progress, Way};
use super::plan::{Plan, Target};
use super::status::{Outcome, Phase};
use super::step::{Check, Script, Step, StepError, Undo};
use crate::clients::postgres::Connection;

/// How often a step that takes its time is asked how far it is.
const LOOK: Duration = Duration::from_secs(1);

/// One run of one operation.
pub(super) struct Run<'a> {
    ops: &'a Operations,
    plan: Arc<Plan>,
    permit: Permit,
    journal: Journal,
    lease: Lease,
    eyes: Eyes,
    links: Vec<Option<Connection>>,
    /// How many entries the control database has.
    copied: usize,
}

impl<'a> Run<'a> {
    pub fn new(
        ops: &'a Operations,
        plan: Arc<Plan>,
        permit: Permit,
        journal: Journal,
        lease: Lease,
        eyes: Eyes,
    ) -> Self {
        let links = plan.targets.iter().map(|_| None).collect();
        let copied = journal.story().entries.len();
        Self { ops, plan, permit, journal, lease, eyes, links, copied }
    }

    /// Goes on until it is over, or until it cannot.
    pub async fn work_through(&mut self, way: Way) -> Result<Ended, OpsError> {
        let done = self.work(way).await;
        match done {
            // What somebody else goes on with is not written to any more.
            Err(OpsError::Lost) | Ok(Ended::Succeeded | Ended::RolledBack | Ended::Abandoned) => {}
            Ok(Ended::Paused(ref reason)) => self.pause(reason).await,
            Err(ref error) => self.pause(&error.to_string()).await,
        }
        done
    }

    /// Leaves in order, as far as that can be done: what fails here is found when somebody goes on.
    async fn pause(&mut self, reason: &str) {
        if let Phase::Closed(outcome) = self.journal.story().status.phase {
            // Its last words are copied before it is let go of.
            if self.copy().await.is_ok() {
                let _ = self.lease.leave(outcome.name(), true).await;
            }
            return;
        }
        let _ = self.note(Event::Paused { reason: reason.to_owned() }).await;
        let _ = self.lease.leave("paused", false).await;
    }

    /// Writes what happened: here, durably, then to the control database.
    async fn note(&mut self, event: Event) -> Result<(), OpsError> {
        let entry = self.journal.append(event, self.lease.fence(), Timestamp::now())?;
        (self.ops.listen)(&Progress::Journal(entry));
        self.copy().await
    }

    /// Copies what the control database does not have yet.
    async fn copy(&mut self) -> Result<(), OpsError> {
        while let Some(entry) = self.journal.story().entries.get(self.copied) {
            self.lease.mirror(entry, Standing::of(self.journal.story())).await?;
            self.copied += 1;
            (self.ops.listen)(&Progress::Mirrored { seq: entry.seq });
        }
        Ok(())
    }

    async fn work(&mut self, way: Way) -> Result<Ended, OpsError> {
        let id = self.plan.id.clone();
        let phase = self.journal.story().status.phase;
        match (phase, way) {
            // It was over, and only the last words were missing.
            (Phase::Closed(Outcome::Succeeded), Way::Forward) => return self.close(Outcome::Succeeded, "").await,
            (Phase::Closed(Outcome::RolledBack), Way::Back) => return self.close(Outcome::RolledBack, "").await,
            (Phase::Closed(Outcome::Succeeded), Way::Back | Way::Abandon) | (Phase::Forward | Phase::Back, _) => {}
            (Phase::Closed(outcome), _) => {
                let _ = self.lease.leave(outcome.name(), true).await;
                return Err(OpsError::Over(id, outcome.name().to_owned()));
            }
        }
        // What is done and can be undone is in force; abandoned, it is no longer.
        if way == Way::Back || (way == Way::Abandon && phase == Phase::Closed(Outcome::Succeeded)) {
            Operations::may_roll_back(self.journal.story())?;
        }
        let operator = self.permit.operator().clone();
        self.note(Event::Taken { operator }).await?;
        if way == Way::Abandon {
            return self.close(Outcome::Abandoned, "an operator said that it stays as it is").await;
        }
        if let Err(error) = self.recognise().await {
            if matches!(error, OpsError::OtherTarget(_)) && self.journal.story().status.untouched() {
                self.close(Outcome::Refused, &error.to_string()).await?;
            }
            return Err(error);
        }
        if way == Way::Back || self.journal.story().status.phase == Phase::Back {
            return self.back().await;
        }
        if self.journal.story().status.untouched() {
            self.still_true().await?;
        }
        self.forward().await
    }

    async fn close(&mut self, outcome: Outcome, reason: &str) -> Result<Ended, OpsError> {
        if self.journal.story().status.phase != Phase::Closed(outcome) {
            self.note(Event::Closed { outcome, reason: reason.to_owned() }).await?;
        }
        self.copy().await?;
        self.lease.leave(outcome.name(), true).await?;
        Ok(match outcome {
            Outcome::RolledBack => Ended::RolledBack,
            Outcome::Abandoned | Outcome::Refused => Ended::Abandoned,
            Outcome::Succeeded => Ended::Succeeded,
        })
    }

    /// The databases are those that the plan was made for.
    async fn recognise(&mut self) -> Result<(), OpsError> {
        for (number, planned) in self.plan.targets.iter().enumerate() {
            let now = super::act::identity(&mut self.eyes, number, &planned.instance).await?;
            let major = |target: &Target| target.server_version.split('.').next().map(str::to_owned);
            if now.system_identifier != planned.system_identifier
                || now.database != planned.database
                || now.login != planned.login
                || major(&now) != major(planned)
            {
                let said = |target: &Target| {
                    format!(
                        "system {}, database {}, as {}, PostgreSQL {}",
                        target.system_identifier, target.database, target.login, target.server_version
                    )
                };
                let other = format!(
                    "{} is not the server of the plan: was {}, is {}",
                    planned.instance,
                    said(planned),
                    said(&now)
                );
                return Err(OpsError::OtherTarget(other));
            }
        }
        Ok(())
    }

    /// Made again from what is true now, the plan is the same; else it is over before it began.
    async fn still_true(&mut self) -> Result<(), OpsError> {
        let changed = match self.ops.plan(&self.plan.intent, self.plan.id.clone()).await {
            Ok(now) => self.plan.changed(&now),
            Err(OpsError::Refused(refusals)) => refusals.0,
            Err(error) => return Err(error),
        };
        if changed.is_empty() {
            return Ok(());
        }
        self.close(Outcome::Refused, &changed.join("; ")).await?;
        Err(OpsError::Stale(changed))
    }

    async fn forward(&mut self) -> Result<Ended, OpsError> {
        while let Some(number) = self.journal.story().status.to_do() {
            if self.ops.wants_pause() {
                return Ok(Ended::Paused("an operator asked for a pause".to_owned()));
            }
            match self.step(number).await {
                Ok(()) => {}
                Err(OpsError::Lost) => return Err(OpsError::Lost),
                Err(OpsError::Journal(error)) => return Err(error.into()),
                // Done, and only the copy of that went wrong: what has to be said is that.
                Err(error) if self.journal.story().status.steps[number].state.is_over() => return Err(error),
                Err(error) => {
                    let nothing_came = error.rolled_back() && self.plan.steps[number].action.step().all_or_nothing();
                    let error = error.to_string();
                    self.note(Event::Failed { step: number, error: error.clone(), nothing_came }).await?;
                    return Ok(Ended::Paused(error));
                }
            }
        }
        self.close(Outcome::Succeeded, "").await
    }

    async fn step(&mut self, number: usize) -> Result<(), OpsError> {
        let plan = Arc::clone(&self.plan);
        let step = plan.steps[number].action.step();
        let first = self.journal.story().status.steps[number].before.clone();
        let before = match step.check(first.as_ref(), &mut self.eyes).await? {
            Check::Ready { before } => first.unwrap_or(before),
            Check::Already { output } => {
                return match first {
                    Some(_) => self.note(Event::Succeeded { step: number, output }).await,
                    None => self.note(Event::Found { step: number, output }).await,
                };
            }
            Check::Foreign(what) => {
                return Err(StepError::NotVerified(format!("something that is not ours: {what}")).into());
            }
            Check::Blocked(why) => return Err(StepError::NotVerified(why).into()),
        };
        self.note(Event::Started { step: number, before: before.clone() }).await?;
        let answers = self.apply(number, step).await?;
        let output = step.output(step.verify(&before, &mut self.eyes).await?, &answers)?;
        self.note(Event::Succeeded { step: number, output }).await
    }

    /// Does a step, and tells how far it is; hands back what was answered to whoever tried something.
    async fn apply(&mut self, number: usize, step: &dyn Step) -> Result<Vec<Answer>, OpsError> {
        let listen = &self.ops.listen;
        let lost = self.lease.lost();
        // Apart, because the eyes look while the hands work.
        let (mut hands, eyes) = self.hands(number, step.forward());
        let mut applied = step.apply(&mut hands);
        let mut clock = tokio::time::interval_at(tokio::time::Instant::now() + LOOK, LOOK);
        loop {
            tokio::select! {
                done = &mut applied => {
                    done?;
                    break;
                }
                _ = clock.tick() => {
                    if lost.load(Ordering::SeqCst) {
                        return Err(OpsError::Lost);
                    }
                    // Whatever becomes of this look, the step is what counts.
                    let look = tokio::time::timeout(LOOK, step.progress(eyes)).await;
                    if let Ok(Ok(Some(working))) = look {
                        listen(&Progress::Working { step: number, working });
                    }
                }
            }
        }
        drop(applied);
        Ok(std::mem::take(&mut hands.answers))
    }

    fn hands(&mut self, step: usize, script: Script) -> (Hands<'_>, &mut Eyes) {
        let hands = Hands {
            estate: &self.ops.estate,
            plan: &self.plan,
            permit: &self.permit,
            lease: &self.lease,
            listen: &self.ops.listen,
            links: &mut self.links,
            step,
            script,
            answers: Vec::new(),
        };
        (hands, &mut self.eyes)
    }

    async fn back(&mut self) -> Result<Ended, OpsError> {
        if self.journal.story().status.phase != Phase::Back {
            // Half undone is worse than not at all.
            Operations::nothing_in_the_way(self.journal.story(), &mut self.eyes).await?;
            self.note(Event::RollingBack).await?;
        }
        while let Some(number) = self.journal.story().status.to_undo() {
            self.note(Event::UndoStarted { step: number }).await?;
            match self.unstep(number).await {
                Ok(()) => self.note(Event::UndoFinished { step: number }).await?,
                Err(OpsError::Lost) => return Err(OpsError::Lost),
                Err(error) => {
                    let error = error.to_string();
                    self.note(Event::UndoFailed { step: number, error: error.clone() }).await?;
                    return Ok(Ended::Paused(error));
                }
            }
        }
        self.close(Outcome::RolledBack, "").await
    }

    async fn unstep(&mut self, number: usize) -> Result<(), OpsError> {
        let plan = Arc::clone(&self.plan);
        let step = plan.steps[number].action.step();
        let Some(before) = self.journal.story().status.steps[number].before.clone() else { return Ok(()) };
        match step.undone(&before, &mut self.eyes).await? {
            Undo::Done => return Ok(()),
            Undo::Blocked(why) => return Err(StepError::NotVerified(why).into()),
            Undo::Needed => {}
        }
        if let Some(script) = step.backward(&before)? {
            let (mut hands, _) = self.hands(number, script);
            step.undo(&before, &mut hands).await?;
        }
        match step.undone(&before, &mut self.eyes).await? {
            Undo::Done => Ok(()),
            Undo::Needed => Err(StepError::NotVerified("it was undone, and is there all the same".to_owned()).into()),
            Undo::Blocked(why) => Err(StepError::NotVerified(why).into()),
        }
    }
}
