//! `tierdeck act`: incident actions without a console, through the same gate.

use std::path::Path;
use std::time::Duration;

use color_eyre::eyre::Result;
use jiff::Timestamp;
use serde::Serialize;

use super::arguments::{Act, ActAction, ActOptions, Aimed};
use super::around::Whom;
use super::operations::{approval, finish, interruptible, new_id, operations_on, refused};
use super::way_back::{self, Said};
use super::{Exit, output};
use crate::config::Config;
use crate::domain::foreign::sanitise;
use crate::domain::{InstanceName, SessionKey, TenantId, Tier};
use crate::ops::act::{Aim, Intent, Quarantining, Signal, Signalling, Throttling, Vacuuming};
use crate::ops::plan::Plan;
use crate::ops::{Operations, TakeOver};

/// A plan, its text and its hash: `--plan --json`.
#[derive(Debug, Serialize)]
pub(super) struct PlanDocument<'a> {
    sha256: String,
    text: String,
    plan: &'a Plan,
}

impl<'a> PlanDocument<'a> {
    /// Of a plan.
    pub(super) fn of(plan: &'a Plan) -> Self {
        Self { sha256: plan.sha256(), text: plan.text(), plan }
    }
}

pub(super) async fn run(config: Option<&Path>, allow: bool, act: Act) -> Result<Exit> {
    let options = act.options;
    // What is no tenant's id is said below.
    let whom = whom(&act.action).and_then(|id| tenant(id).ok());
    let wanted = Whom::of(options.instance.as_deref(), whom.as_ref());
    let Some((config, operations)) = operations_on(config, allow, wanted).await else { return Ok(Exit::Usage) };
    let intent = match intent(&config, &options, act.action) {
        Ok(Asked::Do(intent)) => intent,
        Ok(Asked::Undo(kind, tenant)) => {
            let instance = match options.instance.as_ref().map(|_| place(&config, &options, None)).transpose() {
                Ok(instance) => instance,
                Err(message) => {
                    output::say(&message);
                    return Ok(Exit::Usage);
                }
            };
            return undo(&operations, kind, &tenant, instance.as_ref(), options).await;
        }
        Err(message) => {
            output::say(&message);
            return Ok(Exit::Usage);
        }
    };
    carry_out(&operations, &intent, options).await
}

/// Shows what would be done, or does it once it is approved.
pub(super) async fn carry_out(operations: &Operations, intent: &Intent, options: ActOptions) -> Result<Exit> {
    if !options.plan
        && let Err(shut) = operations.gate.is_open()
    {
        return Ok(refused(&shut.into()));
    }
    let plan = match operations.plan(intent, new_id()).await {
        Ok(plan) => plan,
        Err(error) => return Ok(refused(&error)),
    };
    if options.plan {
        return if options.json { output::document(&PlanDocument::of(&plan)) } else { output::text(&plan.text()) };
    }
    let Some(typed) = approval(&plan.text(), &plan.confirm, options.confirm) else { return Ok(Exit::Usage) };
    let ended = interruptible(operations, operations.start(&plan, &typed)).await;
    finish(operations, &plan.id, ended, options.json).await
}

/// Whom a command line names.
fn whom(action: &ActAction) -> Option<&str> {
    match action {
        ActAction::Cancel(aimed) | ActAction::Terminate(aimed) => aimed.tenant.as_deref(),
        ActAction::TerminateIdle { tenant, .. }
        | ActAction::Throttle { tenant, .. }
        | ActAction::Unthrottle { tenant }
        | ActAction::Quarantine { tenant }
        | ActAction::Release { tenant } => Some(tenant),
        ActAction::Vacuum { .. } => None,
    }
}

/// What a command line asks for.
enum Asked {
    Do(Intent),
    /// The newest of this kind that is in force for a tenant.
    Undo(&'static str, TenantId),
}

fn intent(config: &Config, options: &ActOptions, action: ActAction) -> Result<Asked, String> {
    let signal = |signal, aimed: Aimed| -> Result<Asked, String> {
        let tenant = aimed.tenant.as_deref().map(tenant).transpose()?;
        let started: Timestamp =
            aimed.started.parse().map_err(|_| "--started: a moment such as 2026-11-22T08:10:33.123456Z".to_owned())?;
        let keys = vec![SessionKey { pid: aimed.pid, started }];
        Ok(Asked::Do(Intent::Signal(Signalling {
            signal,
            instance: place(config, options, tenant.as_ref())?,
            aim: Aim::Sessions { keys, tenant },
            even_system: aimed.even_system,
        })))
    };
    Ok(match action {
        ActAction::Cancel(aimed) => signal(Signal::Cancel, aimed)?,
        ActAction::Terminate(aimed) => signal(Signal::Terminate, aimed)?,
        ActAction::TerminateIdle { tenant: id, longer_than } => {
            let tenant = tenant(&id)?;
            Asked::Do(Intent::Signal(Signalling {
                signal: Signal::Terminate,
                instance: place(config, options, Some(&tenant))?,
                aim: Aim::Idle { tenant, longer_than: longer_than.as_secs() },
                even_system: false,
            }))
        }
        ActAction::Throttle { tenant: id, connections, statement_timeout } => {
            let tenant = tenant(&id)?;
            Asked::Do(Intent::Throttle(Throttling {
                instance: place(config, options, Some(&tenant))?,
                tenant,
                connections,
                statement_timeout_ms: statement_timeout.map(milliseconds).transpose()?,
            }))
        }
        ActAction::Unthrottle { tenant: id } => Asked::Undo("throttle", tenant(&id)?),
        ActAction::Quarantine { tenant: id } => {
            let tenant = tenant(&id)?;
            let instance = place(config, options, Some(&tenant))?;
            Asked::Do(Intent::Quarantine(Quarantining { tenant, instance }))
        }
        ActAction::Release { tenant: id } => Asked::Undo("quarantine", tenant(&id)?),
        ActAction::Vacuum { table, database } => {
            let (schema, table) = table.split_once('.').ok_or("the table: SCHEMA.TABLE, as the console names it")?;
            Asked::Do(Intent::Vacuum(Vacuuming {
                instance: place(config, options, None)?,
                database,
                schema: schema.to_owned(),
                table: table.to_owned(),
            }))
        }
    })
}

pub(super) fn tenant(id: &str) -> Result<TenantId, String> {
    TenantId::parse(id).map_err(|error| error.to_string())
}

pub(super) fn milliseconds(time: Duration) -> Result<u32, String> {
    let milliseconds = u32::try_from(time.as_millis()).ok().filter(|it| *it > 0 && i32::try_from(*it).is_ok());
    milliseconds.ok_or_else(|| "--statement-timeout: more than nothing, and 24 days at the most".to_owned())
}

/// Where: as was said, else where the tenant is alone, else the shared instance, if there is one: between several nobody guesses.
pub(super) fn place(config: &Config, options: &ActOptions, tenant: Option<&TenantId>) -> Result<InstanceName, String> {
    let named = |name: &String| {
        let found = config.instances.iter().find(|instance| instance.name.as_str() == name);
        found.ok_or_else(|| unknown(config, name))
    };
    if let Some(name) = &options.instance {
        return named(name).map(|instance| instance.name.clone());
    }
    let own: Vec<_> =
        config.instances.iter().filter(|instance| tenant.is_some() && instance.tenant.as_ref() == tenant).collect();
    if let (Some(tenant), [_, _, ..]) = (tenant, own.as_slice()) {
        let several = own.iter().map(|instance| instance.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(format!("several instances are {tenant}'s ({several}): say which, with --instance"));
    }
    let own = own.first().copied();
    let shared: Vec<_> = config.instances.iter().filter(|instance| instance.tier == Tier::Shared).collect();
    if own.is_none() && shared.len() > 1 {
        let several = shared.iter().map(|instance| instance.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(format!("there are several shared instances ({several}): say which, with --instance"));
    }
    let found = own.or(shared.first().copied()).or(config.instances.first());
    found.map(|instance| instance.name.clone()).ok_or_else(|| "there is no instance".to_owned())
}

/// What is said of an instance that nobody knows; where two accounts have one of that name, which are meant.
fn unknown(config: &Config, name: &str) -> String {
    let ends = format!("/{name}");
    let alike = config.instances.iter().map(|instance| instance.name.as_str()).filter(|it| it.ends_with(&ends));
    let alike: Vec<String> = alike.map(|it| format!("{:?}", sanitise(it))).collect();
    if alike.is_empty() {
        format!("no [[instance]] is called {name:?}, and none is found by its tags")
    } else {
        format!("several accounts have a {name:?}: say which, {}", alike.join(" or "))
    }
}

/// Undoes the newest operation of a kind that is in force for a tenant.
async fn undo(
    operations: &Operations,
    kind: &str,
    tenant: &TenantId,
    instance: Option<&InstanceName>,
    options: ActOptions,
) -> Result<Exit> {
    if !options.plan
        && let Err(shut) = operations.gate.is_open()
    {
        return Ok(refused(&shut.into()));
    }
    let story = match operations.undoable(kind, tenant, instance).await {
        Ok(Some(story)) => story,
        Ok(None) => {
            output::say(&format!("no {kind} of {tenant} by tierdeck is in force: tierdeck ops list"));
            return Ok(Exit::Refused);
        }
        Err(error) => return Ok(refused(&error)),
    };
    let ActOptions { plan, json, confirm, .. } = options;
    way_back::go(operations, &story, Said { plan, json, confirm, take_over: TakeOver::No, unasked: Exit::Usage }).await
}
