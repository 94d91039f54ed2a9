//! Where an operation stands: a fold over its journal, with one table of legal moves.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::journal::Event;
use super::step::Safety;

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not begun.
    ToCome,
    /// Begun; whether its effect came is not known until somebody looks.
    Started,
    /// Done and verified.
    Done,
    /// It was so already: nothing was done, and there is nothing to undo.
    Found,
    /// It ended in an error; its effect may have come nevertheless.
    Failed,
    /// Its undo has begun.
    Undoing,
    /// As before.
    Undone,
    /// Its undo ended in an error.
    UndoFailed,
}

/// What of an event moves a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// `Started`
    Start,
    /// `Succeeded`
    Succeed,
    /// `Found`
    Find,
    /// `Failed`
    Fail,
    /// `UndoStarted`
    StartUndo,
    /// `UndoFinished`
    FinishUndo,
    /// `UndoFailed`
    FailUndo,
}

/// Every legal move of a step; what is not here is refused, when it is written as when it is read.
pub const MOVES: &[(StepState, Move, StepState)] = &[
    (StepState::ToCome, Move::Start, StepState::Started),
    (StepState::ToCome, Move::Find, StepState::Found),
    (StepState::ToCome, Move::Fail, StepState::Failed),
    (StepState::Started, Move::Start, StepState::Started),
    (StepState::Started, Move::Succeed, StepState::Done),
    (StepState::Started, Move::Fail, StepState::Failed),
    (StepState::Failed, Move::Start, StepState::Started),
    (StepState::Failed, Move::Succeed, StepState::Done),
    (StepState::Failed, Move::Find, StepState::Found),
    (StepState::Failed, Move::Fail, StepState::Failed),
    (StepState::Started, Move::StartUndo, StepState::Undoing),
    (StepState::Failed, Move::StartUndo, StepState::Undoing),
    (StepState::Done, Move::StartUndo, StepState::Undoing),
    (StepState::Undoing, Move::StartUndo, StepState::Undoing),
    (StepState::Undoing, Move::FinishUndo, StepState::Undone),
    (StepState::Undoing, Move::FailUndo, StepState::UndoFailed),
    (StepState::UndoFailed, Move::StartUndo, StepState::Undoing),
];

/// How an operation ended for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything was done.
    Succeeded,
    /// Everything that had been done was undone.
    RolledBack,
    /// It was refused before anything was done: the world had changed since the plan was made.
    Refused,
    /// Somebody said that it stays as it is.
    Abandoned,
}

impl Outcome {
    /// For the control database and for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::RolledBack => "rolled back",
            Self::Refused => "refused",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Which way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "phase", content = "outcome")]
pub enum Phase {
    /// Steps are being done.
    Forward,
    /// Steps are being undone.
    Back,
    /// It is over.
    Closed(Outcome),
}

/// A step of the fold.
#[derive(Debug, Clone, PartialEq)]
pub struct StepStatus {
    /// Where it stands.
    pub state: StepState,
    /// The first before-image: what came after a first attempt is not what was before.
    pub before: Option<Value>,
    /// What was said of its end.
    pub output: Option<Value>,
    /// What went wrong last.
    pub error: Option<String>,
    safety: Safety,
    /// Attempts of which something may have come.
    attempts: usize,
}

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// The steps.
    pub steps: Vec<StepStatus>,
    /// Which way it goes.
    pub phase: Phase,
    /// Whether the last words were those of somebody who left in order.
    pub paused: Option<String>,
}

/// What may not follow what was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Illegal(pub String);

impl Status {
    /// Before anything was written.
    pub fn new(safeties: impl IntoIterator<Item = Safety>) -> Self {
        let step = |safety| StepStatus {
            state: StepState::ToCome,
            before: None,
            output: None,
            error: None,
            safety,
            attempts: 0,
        };
        Self { steps: safeties.into_iter().map(step).collect(), phase: Phase::Forward, paused: None }
    }

    /// What is true after one more event.
    pub fn after(&self, event: &Event) -> Result<Self, Illegal> {
        let mut next = self.clone();
        next.paused = None;
        match event {
            Event::Taken { .. } => match self.phase {
                Phase::Closed(Outcome::Succeeded) | Phase::Forward | Phase::Back => {
                    next.paused.clone_from(&self.paused);
                }
                Phase::Closed(_) => return Err(self.illegal(event)),
            },
            Event::Paused { reason } => match self.phase {
                Phase::Forward | Phase::Back => next.paused = Some(reason.clone()),
                Phase::Closed(_) => return Err(self.illegal(event)),
            },
            Event::RollingBack => {
                if matches!(self.phase, Phase::Closed(outcome) if outcome != Outcome::Succeeded)
                    || self.no_way_back().is_some()
                {
                    return Err(self.illegal(event));
                }
                next.phase = Phase::Back;
            }
            Event::Closed { outcome, .. } => {
                let legal = match outcome {
                    Outcome::Succeeded => self.phase == Phase::Forward && self.all(StepState::is_over),
                    Outcome::RolledBack => self.phase == Phase::Back && self.to_undo().is_none(),
                    Outcome::Refused => self.phase == Phase::Forward && self.untouched(),
                    Outcome::Abandoned => {
                        !matches!(self.phase, Phase::Closed(outcome) if outcome != Outcome::Succeeded)
                    }
                };
                if !legal {
                    return Err(self.illegal(event));
                }
                next.phase = Phase::Closed(*outcome);
            }
            Event::Started { step, .. }
            | Event::Succeeded { step, .. }
            | Event::Found { step, .. }
            | Event::Failed { step, .. }
            | Event::UndoStarted { step }
            | Event::UndoFinished { step }
            | Event::UndoFailed { step, .. } => next.step(self, *step, event)?,
        }
        Ok(next)
    }

    fn step(&mut self, was: &Self, number: usize, event: &Event) -> Result<(), Illegal> {
        let (made, phase) = match event {
            Event::Started { .. } => (Move::Start, Phase::Forward),
            Event::Succeeded { .. } => (Move::Succeed, Phase::Forward),
            Event::Found { .. } => (Move::Find, Phase::Forward),
            Event::Failed { .. } => (Move::Fail, Phase::Forward),
            Event::UndoStarted { .. } => (Move::StartUndo, Phase::Back),
            Event::UndoFinished { .. } => (Move::FinishUndo, Phase::Back),
            _ => (Move::FailUndo, Phase::Back),
        };
        let in_order = match phase {
            Phase::Forward => was.steps.iter().take(number).all(|step| step.state.is_over()),
            _ => was.steps.iter().skip(number + 1).all(|step| !step.wants_undo()),
        };
        let illegal = || was.illegal(event);
        let step = self.steps.get_mut(number).ok_or_else(illegal)?;
        let legal = MOVES.iter().find(|(from, by, _)| *from == step.state && *by == made);
        let (_, _, to) = legal.filter(|_| in_order && was.phase == phase).ok_or_else(illegal)?;
        // Nothing was begun, so there is nothing to bring back.
        if made == Move::StartUndo && step.before.is_none() {
            return Err(illegal());
        }
        let from = std::mem::replace(&mut step.state, *to);
        step.error = None;
        match event {
            Event::Started { before, .. } => {
                step.before.get_or_insert_with(|| before.clone());
                step.attempts += 1;
            }
            Event::Succeeded { output, .. } | Event::Found { output, .. } => step.output = Some(output.clone()),
            Event::Failed { error, nothing_came, .. } => {
                step.error = Some(error.clone());
                if *nothing_came && from == StepState::Started {
                    step.attempts = step.attempts.saturating_sub(1);
                    // As if it had never been begun: there is nothing to undo, and what is there now is nobody's but others'.
                    if step.attempts == 0 {
                        step.before = None;
                    }
                }
            }
            Event::UndoFailed { error, .. } => step.error = Some(error.clone()),
            _ => {}
        }
        Ok(())
    }

    fn illegal(&self, event: &Event) -> Illegal {
        let states: Vec<String> = self.steps.iter().map(|step| format!("{:?}", step.state)).collect();
        Illegal(format!("{} cannot follow: {:?}, steps {}", event.name(), self.phase, states.join(", ")))
    }

    fn all(&self, of: impl Fn(StepState) -> bool) -> bool {
        self.steps.iter().all(|step| of(step.state))
    }

    /// Whether nothing was ever begun.
    pub fn untouched(&self) -> bool {
        self.steps.iter().all(|step| step.before.is_none() && step.state != StepState::Found)
    }

    /// The next step to do.
    pub fn to_do(&self) -> Option<usize> {
        self.steps.iter().position(|step| !step.state.is_over())
    }

    /// The next step to undo: the last that may have left something.
    pub fn to_undo(&self) -> Option<usize> {
        self.steps.iter().rposition(StepStatus::wants_undo)
    }

    /// The step that forbids rolling back: a point of no return that was begun, whatever came of it.
    pub fn no_way_back(&self) -> Option<usize> {
        self.steps.iter().position(|step| step.safety == Safety::PointOfNoReturn && step.before.is_some())
    }

    /// What went wrong last, and with which step.
    pub fn failure(&self) -> Option<(usize, &str)> {
        self.steps.iter().enumerate().find_map(|(number, step)| Some((number, step.error.as_deref()?)))
    }
}

impl StepState {
    /// Whether nothing remains to be done.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Found)
    }
}

impl StepStatus {
    /// Whether its effect is there, or may be.
    pub fn may_stand(&self) -> bool {
        self.wants_undo()
    }

    fn wants_undo(&self) -> bool {
        self.before.is_some() && self.state != StepState::Undone
    }
}
