//! The way back on the command line: shown, asked for, gone. One path for `ops rollback`, `act unthrottle` and `act release`.

use color_eyre::eyre::Result;
use serde::Serialize;

use super::operations::{approval, finish, interruptible, refused};
use super::{Exit, output};
use crate::domain::foreign::sanitise;
use crate::ops::journal::Story;
use crate::ops::status::{Outcome, Phase};
use crate::ops::{Operations, TakeOver, Way};

/// What was said with the command.
pub(super) struct Said {
    /// Show what would be run, and change nothing.
    pub plan: bool,
    /// One JSON document.
    pub json: bool,
    /// What approves it.
    pub confirm: Option<String>,
    /// Whether it may be taken from somebody who fell silent.
    pub take_over: TakeOver,
    /// How the process ends when nobody can be asked.
    pub unasked: Exit,
}

/// What an undo would run: `--plan --json`.
#[derive(Debug, Serialize)]
struct WayBack {
    operation: String,
    text: String,
    /// Why it cannot be gone as things are; `null`: it can.
    in_the_way: Option<String>,
}

/// Shows the way back of an operation, or goes it once that is approved.
pub(super) async fn go(operations: &Operations, story: &Story, said: Said) -> Result<Exit> {
    let plan = &story.header.plan;
    // Nothing is undone of what is over: it is only said, or its last words are copied.
    let over = matches!(story.status.phase, Phase::Closed(outcome) if outcome != Outcome::Succeeded);
    if !over || said.plan {
        let text = plan.way_back(story.status.steps.iter().map(|step| step.before.as_ref()));
        let possible = operations.may_go_back(story).await;
        if said.plan {
            let in_the_way = possible.as_ref().err().map(|error| sanitise(&error.to_string()).into_owned());
            let shown = match &said {
                Said { json: true, .. } => {
                    output::document(&WayBack { operation: plan.id.to_string(), text, in_the_way })?
                }
                _ => output::text(&text)?,
            };
            return Ok(match &possible {
                Ok(()) => shown,
                Err(error) => refused(error),
            });
        }
        if let Err(error) = &possible {
            return Ok(refused(error));
        }
        let Some(typed) = approval(&text, &plan.confirm, said.confirm) else { return Ok(said.unasked) };
        if typed != plan.confirm {
            output::say(&format!("not approved: {} has to be typed; nothing was done", sanitise(&plan.confirm)));
            return Ok(Exit::Refused);
        }
    }
    let ended = interruptible(operations, operations.go_on(&plan.id, Way::Back, said.take_over)).await;
    finish(operations, &plan.id, ended, said.json).await
}
