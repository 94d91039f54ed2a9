//! `tierdeck ops`: operations and their journal: list, show, go on, roll back, abandon, report.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use color_eyre::eyre::Result;
use schemars::JsonSchema;
use serde::Serialize;

use super::arguments::OpsAction;
use super::operations::{finish, interruptible, operations, operations_of, refused};
use super::way_back::{self, Said};
use super::{Exit, output};
use crate::domain::foreign::sanitise;
use crate::domain::quantity::duration;
use crate::ops::plan::SCHEMA;
use crate::ops::report::{Report, state};
use crate::ops::{OperationId, Operations, OpsError, TakeOver, Way, journal};

/// `tierdeck ops list --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OpsList {
    /// Version of this shape.
    pub schema: u32,
    /// The newest first.
    pub operations: Vec<OpsEntry>,
}

/// One of them.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OpsEntry {
    /// Its name.
    pub id: String,
    /// What it does.
    pub summary: String,
    /// `running`, `paused`, or how it ended.
    pub state: String,
    /// Who works on it, or did last.
    pub operator: String,
    /// Seconds since it was last heard of; `null`: it is known only from here.
    pub silent_seconds: Option<f64>,
    /// Whether it can be undone.
    pub can_roll_back: Option<bool>,
}

pub(super) async fn run(config: Option<&Path>, allow: bool, action: OpsAction) -> Result<Exit> {
    let Some(mut known_here) = operations(config, allow) else { return Ok(Exit::Usage) };
    if let OpsAction::Resume { id, .. } | OpsAction::Rollback { id, .. } | OpsAction::Abandon { id, .. } = &action
        && let Some(id) = OperationId::parse(id)
    {
        let Some(known) = operations_of(known_here, allow, &id).await else { return Ok(Exit::Usage) };
        known_here = known;
    }
    let (_, operations) = known_here;
    match action {
        OpsAction::List { json } => list(&operations, json).await,
        OpsAction::Show { id, json } => match known(&id) {
            Ok(id) => show(&operations, &id, json).await,
            Err(exit) => Ok(exit),
        },
        OpsAction::Report { id, json } => match known(&id) {
            Ok(id) => report(&operations, &id, json).await,
            Err(exit) => Ok(exit),
        },
        OpsAction::Resume { id, take_over, json } => go_on(&operations, &id, Way::Forward, take_over, json).await,
        OpsAction::Rollback { id, plan, confirm, take_over, json } => {
            match known(&id).and_then(|id| Ok((deliberately(&id, take_over)?, id))) {
                Ok((take_over, id)) => {
                    let said = Said { plan, json, confirm, take_over, unasked: Exit::Refused };
                    roll_back(&operations, &id, said).await
                }
                Err(exit) => Ok(exit),
            }
        }
        OpsAction::Abandon { id, confirm, take_over, json } => {
            if confirm != id {
                output::say(&format!("not approved: --confirm {id} has to be typed; nothing was done"));
                return Ok(Exit::Refused);
            }
            go_on(&operations, &id, Way::Abandon, take_over, json).await
        }
    }
}

fn known(id: &str) -> Result<OperationId, Exit> {
    OperationId::parse(id).ok_or_else(|| {
        output::say("not the id of an operation, such as 261122-081033-k7x2: tierdeck ops list");
        Exit::Usage
    })
}

/// Whether it may be taken from somebody who fell silent: only when the id was typed for that.
fn deliberately(id: &OperationId, take_over: Option<String>) -> Result<TakeOver, Exit> {
    match take_over {
        None => Ok(TakeOver::No),
        Some(typed) if typed == id.as_str() => Ok(TakeOver::Deliberately),
        Some(_) => {
            output::say(&format!("not approved: --take-over {id} has to be typed; nothing was done"));
            Err(Exit::Refused)
        }
    }
}

async fn roll_back(operations: &Operations, id: &OperationId, said: Said) -> Result<Exit> {
    if !said.plan
        && let Err(shut) = operations.gate.is_open()
    {
        return Ok(refused(&shut.into()));
    }
    match operations.story(id).await {
        Ok(story) => way_back::go(operations, &story, said).await,
        Err(error) => Ok(refused(&error)),
    }
}

async fn go_on(operations: &Operations, id: &str, way: Way, take_over: Option<String>, json: bool) -> Result<Exit> {
    let (take_over, id) = match known(id).and_then(|id| Ok((deliberately(&id, take_over)?, id))) {
        Ok(both) => both,
        Err(exit) => return Ok(exit),
    };
    let ended = interruptible(operations, operations.go_on(&id, way, take_over)).await;
    if let (Err(error @ OpsError::Unknown(_)), _) = &ended {
        return Ok(refused(error));
    }
    finish(operations, &id, ended, json).await
}

async fn list(operations: &Operations, json: bool) -> Result<Exit> {
    let mut entries: BTreeMap<String, OpsEntry> = BTreeMap::new();
    for id in journal::all(&operations.folder) {
        match journal::look(&operations.folder, &id) {
            Ok(Some(story)) => {
                let report = Report::of(&story);
                let entry = OpsEntry {
                    id: report.id,
                    summary: report.summary,
                    state: state(&story).to_owned(),
                    operator: report.operators.last().cloned().unwrap_or_default(),
                    silent_seconds: None,
                    can_roll_back: Some(report.can_roll_back),
                };
                entries.insert(id.to_string(), entry);
            }
            Ok(None) => {}
            Err(error) => output::say(&format!("{id}: {error}")),
        }
    }
    let elsewhere = async {
        match operations.look_at_control().await? {
            Some(control) => Ok(control.all().await?),
            None => Ok(Vec::new()),
        }
    };
    match elsewhere.await {
        Ok(rows) => {
            for row in rows {
                let can_roll_back = entries.get(&row.id).and_then(|entry| entry.can_roll_back);
                let entry = OpsEntry {
                    id: row.id.clone(),
                    summary: row.summary,
                    state: row.state,
                    operator: format!("{}@{}", row.operator, row.host),
                    silent_seconds: Some(row.silent),
                    can_roll_back,
                };
                entries.insert(row.id, entry);
            }
        }
        Err::<_, OpsError>(error) => {
            output::say(&format!("only those of this machine: {}", sanitise(&error.to_string())));
        }
    }
    let list = OpsList { schema: SCHEMA, operations: entries.into_values().rev().collect() };
    if json {
        return output::document(&list);
    }
    let mut text = String::new();
    for it in &list.operations {
        let silent = it.silent_seconds.filter(|_| it.state == "running");
        let silent = silent.map(|seconds| format!(", heard of {} ago", duration(seconds))).unwrap_or_default();
        let _ = writeln!(
            text,
            "{}  {:<11} {}  [{}{silent}]",
            it.id,
            it.state,
            sanitise(&it.summary),
            sanitise(&it.operator)
        );
    }
    output::text(if text.is_empty() { "there are no operations\n" } else { &text })
}

async fn show(operations: &Operations, id: &OperationId, json: bool) -> Result<Exit> {
    let story = match operations.story(id).await {
        Ok(story) => story,
        Err(error) => return Ok(refused(&error)),
    };
    let report = Report::of(&story);
    if json {
        return output::document(&report);
    }
    let mut text = story.header.plan.text();
    let _ = writeln!(text, "\n{}", report.state);
    for event in &report.events {
        let _ = writeln!(text, "{}  {:<13} {}", event.at, event.event.replace('_', " "), sanitise(&event.detail));
    }
    output::text(&text)
}

async fn report(operations: &Operations, id: &OperationId, json: bool) -> Result<Exit> {
    match operations.story(id).await {
        Ok(story) if json => output::document(&Report::of(&story)),
        Ok(story) => output::text(&Report::of(&story).markdown()),
        Err(error) => Ok(refused(&error)),
    }
}
