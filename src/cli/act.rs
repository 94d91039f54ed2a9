//! `tierdeck act`: incident actions without a console, through the same gate.

use std::path::Path;
use std::time::Duration;

use color_eyre::eyre::Result;
use jiff::Timestamp;
use serde::Serialize;

use super::arguments::{Act, ActAction, ActOptions, Aimed};
use super::operations::{approval, finish, interruptible, new_id, operations, refused};
use super::{Exit, output};
use crate::config::Config;
use crate::domain::{InstanceName, SessionKey, TenantId, Tier};
use crate::ops::act::{Aim, Intent, Quarantining, Signal, Signalling, Throttling, Vacuuming};
use crate::ops::plan::{Plan, Subject};
use crate::ops::report::Report;
use crate::ops::{OperationId, Operations, TakeOver, Way};

/// A plan, its text and its hash: `--plan --json`.
#[derive(Debug, Serialize)]
struct PlanDocument<'a> {
    sha256: String,
    text: String,
    plan: &'a Plan,
}

pub(super) async fn run(config: Option<&Path>, allow: bool, act: Act) -> Result<Exit> {
    let Some((config, operations)) = operations(config, allow)? else { return Ok(Exit::Usage) };
    let options = act.options;
    let intent = match intent(&config, &options, act.action) {
        Ok(Asked::Do(intent)) => intent,
        Ok(Asked::Undo(kind, tenant)) => return undo(&operations, kind, &tenant, options.json).await,
        Err(message) => {
            output::say(&message);
            return Ok(Exit::Usage);
        }
    };
    carry_out(&operations, &intent, options).await
}

/// Prints a plan, or carries it out.
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
        return if options.json {
            output::document(&PlanDocument { sha256: plan.sha256(), text: plan.text(), plan: &plan })
        } else {
            output::text(&plan.text())
        };
    }
    let Some(typed) = approval(&plan, options.confirm) else { return Ok(Exit::Usage) };
    let ended = interruptible(operations, operations.start(&plan, &typed)).await;
    finish(operations, &plan.id, ended, options.json).await
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

fn milliseconds(time: Duration) -> Result<u32, String> {
    let milliseconds = u32::try_from(time.as_millis()).ok().filter(|it| *it > 0 && i32::try_from(*it).is_ok());
    milliseconds.ok_or_else(|| "--statement-timeout: more than nothing, and 24 days at the most".to_owned())
}

/// Where: as was said, else where the tenant is alone, else the first shared instance.
pub(super) fn place(config: &Config, options: &ActOptions, tenant: Option<&TenantId>) -> Result<InstanceName, String> {
    let named = |name: &String| {
        let found = config.instances.iter().find(|instance| instance.name.as_str() == name);
        found.ok_or_else(|| format!("no [[instance]] is called {name:?}"))
    };
    if let Some(name) = &options.instance {
        return named(name).map(|instance| instance.name.clone());
    }
    let own = config.instances.iter().find(|instance| tenant.is_some() && instance.tenant.as_ref() == tenant);
    let shared = || config.instances.iter().find(|instance| instance.tier == Tier::Shared);
    let found = own.or_else(shared).or(config.instances.first());
    found.map(|instance| instance.name.clone()).ok_or_else(|| "there is no instance".to_owned())
}

/// Undoes the newest operation of a kind that is in force for a tenant.
async fn undo(operations: &Operations, kind: &str, tenant: &TenantId, json: bool) -> Result<Exit> {
    if let Err(shut) = operations.gate.is_open() {
        return Ok(refused(&shut.into()));
    }
    let mut ids: Vec<OperationId> = crate::ops::journal::all(&operations.folder);
    match operations.look_at_control().await {
        Ok(Some(control)) => match control.all().await {
            Ok(known) => ids.extend(known.iter().filter_map(|it| OperationId::parse(&it.id))),
            Err(error) => return Ok(refused(&error.into())),
        },
        Ok(None) => {}
        Err(error) => return Ok(refused(&error)),
    }
    ids.sort_by(|one, other| other.cmp(one));
    ids.dedup();
    for id in ids {
        let Ok(story) = operations.story(&id).await else { continue };
        let plan = &story.header.plan;
        let is_it = plan.kind == kind && plan.subjects.contains(&Subject::Tenant { id: tenant.clone() });
        if is_it && Report::of(&story).can_roll_back {
            let ended = interruptible(operations, operations.go_on(&id, Way::Back, TakeOver::No)).await;
            return finish(operations, &id, ended, json).await;
        }
    }
    output::say(&format!("no {kind} of {tenant} by tierdeck is in force: tierdeck ops list"));
    Ok(Exit::Refused)
}
