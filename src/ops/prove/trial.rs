//! The step that tries: it changes nothing, works as often as one likes, and says what was answered.

use std::time::Duration;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::control::{Control, Judged};
use super::login::Left;
use super::{ROOM, room};
use crate::ops::guest::{Answer, Guest, What};
use crate::ops::hands::Eyes;
use crate::ops::id::OperationId;
use crate::ops::script::Script;
use crate::ops::step::{Check, Safety, Step, StepError, Undo, Working};

/// How long sessions may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// Which of the plan's targets.
    pub target: usize,
    /// Whose login it is.
    pub operation: OperationId,
    /// The temporary login.
    pub role: String,
    /// What it does, in a few words.
    pub title: String,
    /// What it proves.
    pub controls: Vec<Control>,
}

impl Try {
    fn names(&self) -> String {
        self.controls.iter().map(|control| control.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// What was found, in what the journal has of this step.
    pub fn found(output: &Value) -> Vec<Judged> {
        output.get("controls").and_then(|it| serde_json::from_value(it.clone()).ok()).unwrap_or_default()
    }
}

impl Step for Try {
    fn title(&self) -> String {
        self.title.clone()
    }

    fn safety(&self) -> Safety {
        Safety::Reversible
    }

    fn forward(&self) -> Script {
        let attempts = self.controls.iter().flat_map(|control| control.attempts.clone()).collect();
        Script::Guest(Guest { target: self.target, role: self.role.clone(), attempts })
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        Ok(None)
    }

    fn check<'a>(&'a self, _: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let left = Left::look(self.target, &self.role, &self.operation, eyes).await?;
            if !left.is_ours(&self.operation) {
                return Ok(Check::Blocked(format!(
                    "the temporary login {} is gone: roll back, and begin anew",
                    self.role
                )));
            }
            let free = room(self.target, eyes).await?;
            if free < ROOM {
                return Ok(Check::Blocked(format!(
                    "only {free} connections are free, and {ROOM} have to be: go on when there are more"
                )));
            }
            Ok(Check::Ready { before: json!({ "free_connections": "enough" }) })
        })
    }

    fn progress<'a>(&'a self, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Option<Working>, StepError>> {
        Box::pin(async move {
            let left = Left::look(self.target, &self.role, &self.operation, eyes).await?;
            let whole = |control: &Control| {
                let idles = control.attempts.iter().any(|attempt| matches!(attempt.what, What::Idle(_)));
                control.limit_ms.filter(|_| control.attempts.len() == 1 || idles)
            };
            let of = self.controls.iter().find_map(whole).map(|limit| format!(" of {}", limit / 1_000));
            let phase = match of {
                Some(of) => format!("{}: {:.0}{of} s", self.names(), left.busy_for),
                None => self.title.clone(),
            };
            Ok(Some(Working { phase, done: 0, total: 0, unit: "" }))
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            let deadline = Instant::now() + GONE_WITHIN;
            loop {
                let left = Left::look(self.target, &self.role, &self.operation, eyes).await?;
                if left.may_enter {
                    return Err(StepError::NotVerified(format!("{} may still log in", self.role)));
                }
                if left.sessions == 0 {
                    return Ok(json!({ "sessions_left": 0 }));
                }
                if Instant::now() > deadline {
                    return Err(StepError::NotVerified(format!("{} still has {} sessions", self.role, left.sessions)));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    }

    fn output(&self, verified: Value, answers: &[Answer]) -> Result<Value, StepError> {
        let mut answers = answers.iter();
        let judged: Vec<Judged> = self
            .controls
            .iter()
            .map(|control| {
                let own: Vec<Answer> = answers.by_ref().take(control.attempts.len()).cloned().collect();
                control.judge(&self.role, &own)
            })
            .collect();
        let controls = serde_json::to_value(judged).map_err(|error| StepError::Values(error.to_string()))?;
        Ok(json!({ "controls": controls, "sessions_left": verified["sessions_left"] }))
    }

    fn undone<'a>(&'a self, _: &'a Value, _: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        // It changed nothing.
        Box::pin(async { Ok(Undo::Done) })
    }
}
