//! A step: stateless, a plain value of the plan. What it will run is data; what it adds is how to see whether it was done.

use std::fmt;
use std::time::Duration;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::guest::Answer;
use super::hands::{Eyes, Hands, HandsError};
pub use super::script::Script;
use crate::clients::postgres::QueryError;
use crate::clients::vault::VaultError;

/// Whether there is a way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Safety {
    /// `undo` brings back what was before.
    Reversible,
    /// Once begun, nothing brings it back: begun at all, it forbids rolling back.
    PointOfNoReturn,
}

/// What a look before a step found. Never an effect.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// It can be done; this is what is there now, and what `undo` would bring back.
    Ready {
        /// The before-image.
        before: Value,
    },
    /// It is as the step would leave it: by its own mark, or because somebody else's end is the same.
    Already {
        /// What there is to say of it.
        output: Value,
    },
    /// Something that is not ours stands in the way: it is neither adopted nor removed.
    Foreign(String),
    /// It cannot be done now.
    Blocked(String),
}

/// What a look before an undo found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// The step's work is there.
    Needed,
    /// It is as before.
    Done,
    /// Somebody changed it since: to undo would destroy that.
    Blocked(String),
}

/// How far a step is that takes its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Working {
    /// What it does now.
    pub phase: String,
    /// How much of it is done.
    pub done: i64,
    /// Of how much; 0: not known.
    pub total: i64,
    /// Of what.
    pub unit: &'static str,
}

/// Why a step did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The server said no, or nothing.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Vault said no, or nothing.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The gate, the lease or the way to the server.
    #[error(transparent)]
    Hands(#[from] HandsError),
    /// It ran, and what is there afterwards is not what it should be.
    #[error("{0}")]
    NotVerified(String),
    /// Values of another version of this program.
    #[error("the journal's values of this step make no sense to this version: {0}")]
    Values(String),
}

/// One step. All of it works twice.
pub trait Step: Send + Sync + fmt::Debug {
    /// What it does, for people.
    fn title(&self) -> String;

    /// Whether there is a way back.
    fn safety(&self) -> Safety;

    /// Exactly what it runs: the plan shows this, and the hands run nothing else.
    fn forward(&self) -> Script;

    /// Exactly what undoes it, from the before-image; `None`: there is nothing to undo.
    fn backward(&self, before: &Value) -> Result<Option<Script>, StepError>;

    /// Looks whether it can be done; `before` is the first before-image, where it was begun already.
    fn check<'a>(&'a self, before: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>>;

    /// Whether its work shuts out who wants to write to a tenant, until it is undone, and how long that may last. Every console
    /// is told since when.
    fn fences(&self) -> Option<Duration> {
        None
    }

    /// Whether an error by which the server answers means that nothing at all came of it.
    fn all_or_nothing(&self) -> bool {
        matches!(self.forward(), Script::Sql(sql) if sql.transaction)
    }

    /// Does it.
    fn apply<'a>(&'a self, hands: &'a mut Hands<'_>) -> BoxFuture<'a, Result<(), StepError>> {
        Box::pin(async move { Ok(hands.run(&self.forward()).await?) })
    }

    /// Looks how far it is, while it runs; `None`: nobody knows.
    fn progress<'a>(&'a self, _: &'a mut Eyes) -> BoxFuture<'a, Result<Option<Working>, StepError>> {
        Box::pin(async { Ok(None) })
    }

    /// Looks, over a session that only reads, whether it was done: that `apply` returned is no proof.
    fn verify<'a>(&'a self, before: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>>;

    /// What there is to say of its end: what was verified, and, for a step that tries something, what was answered.
    fn output(&self, verified: Value, _answers: &[Answer]) -> Result<Value, StepError> {
        Ok(verified)
    }

    /// Whether nothing of the whole operation is left once it is done: then there is nothing in force, and nothing to undo.
    fn leaves_nothing(&self) -> bool {
        false
    }

    /// Looks whether there is something to undo. Asked of every step before the first of them is undone: what a later step of the
    /// same operation did is no reason to be [`Undo::Blocked`].
    fn undone<'a>(&'a self, before: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>>;

    /// Undoes it.
    fn undo<'a>(&'a self, before: &'a Value, hands: &'a mut Hands<'_>) -> BoxFuture<'a, Result<(), StepError>> {
        Box::pin(async move {
            match self.backward(before)? {
                Some(script) => Ok(hands.run(&script).await?),
                None => Ok(()),
            }
        })
    }
}
