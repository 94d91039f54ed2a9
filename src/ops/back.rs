//! What stands in the way of rolling back, asked before any of it is undone: half undone is worse than not at all, because what
//! was undone first (a login, a secret) is what its tenant lives by.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::hands::Eyes;
use super::journal::Story;
use super::operations::{Operations, OpsError};
use super::step::Undo;

impl Operations {
    /// Whether an operation could be rolled back now: looks, and changes nothing.
    pub fn may_go_back<'a>(&'a self, story: &'a Story) -> BoxFuture<'a, Result<(), OpsError>> {
        Box::pin(async move {
            Self::may_roll_back(story)?;
            let mut eyes = Eyes::of(Arc::clone(&self.estate), &story.header.plan.targets);
            Self::nothing_in_the_way(story, &mut eyes).await
        })
    }

    /// Asks every step that would be undone, the last first: all that stands in the way is named at once.
    pub(super) async fn nothing_in_the_way(story: &Story, eyes: &mut Eyes) -> Result<(), OpsError> {
        let mut why = Vec::new();
        for (number, (planned, status)) in story.header.plan.steps.iter().zip(&story.status.steps).enumerate().rev() {
            let Some(before) = status.before.as_ref().filter(|_| status.may_stand()) else { continue };
            if let Undo::Blocked(reason) = planned.action.step().undone(before, eyes).await? {
                why.push(format!("step {}: {reason}", number + 1));
            }
        }
        if why.is_empty() { Ok(()) } else { Err(OpsError::InTheWay { id: story.header.plan.id.clone(), why }) }
    }
}
