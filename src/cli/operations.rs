//! Operations on the command line: from the configuration to [`Operations`], from what is typed to an approval, from how it
//! ended to an exit code.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use color_eyre::eyre::Result;

use super::around::{self, Whom};
use super::{Exit, observe, output};
use crate::clients::Environment;
use crate::clients::postgres::Target;
use crate::config::{Config, InstanceConfig, Secret, SecretError};
use crate::domain::foreign::sanitise;
use crate::domain::{InstanceName, Tier};
use crate::ops::audit::Audit;
use crate::ops::estate::{Admin, Estate, Password, Place};
use crate::ops::gate::Gate;
use crate::ops::journal::{self, Event, Operator, folder};
use crate::ops::operations::Listen;
use crate::ops::report::Report;
use crate::ops::step::Working;
use crate::ops::{Ended, OperationId, Operations, OpsError, Progress};

/// Everything that an operation needs, from the configuration; `None` when that is wrong, and said.
pub(super) fn operations(config: Option<&Path>, allow: bool) -> Option<(Config, Operations)> {
    let config = observe::configuration(config)?;
    told(config, allow)
}

/// The same, with instances that are found by their tags, where what is wanted may be on one of them.
pub(super) async fn operations_on(
    config: Option<&Path>,
    allow: bool,
    wanted: Whom<'_>,
) -> Option<(Config, Operations)> {
    let mut config = observe::configuration(config)?;
    around::join(&mut config, wanted).await;
    told(config, allow)
}

/// The same for an operation that was begun, wherever that was.
pub(super) async fn operations_of(
    (mut config, operations): (Config, Operations),
    allow: bool,
    id: &OperationId,
) -> Option<(Config, Operations)> {
    // What is not known of it is said by whoever goes on with it.
    let Ok(story) = operations.story(id).await else { return Some((config, operations)) };
    let targets = story.header.plan.targets.iter();
    let unknown = targets.map(|target| &target.instance).find(|name| operations.estate.place(name).is_err());
    let Some(unknown) = unknown else { return Some((config, operations)) };
    around::join(&mut config, Whom::Instance(unknown.as_str())).await;
    told(config, allow)
}

fn told(config: Config, allow: bool) -> Option<(Config, Operations)> {
    match assemble(&config, &Environment::of_process(), allow, Arc::new(tell), Arc::default()) {
        Ok(operations) => Some((config, operations)),
        Err(reason) => {
            output::say(&reason);
            None
        }
    }
}

/// The engine on the instances of a configuration, for somebody who listens and may ask for a pause.
pub(super) fn assemble(
    config: &Config,
    environment: &Environment,
    allow: bool,
    listen: Listen,
    pause: Arc<AtomicBool>,
) -> Result<Operations, String> {
    let state = config
        .state_folder(environment)
        .ok_or("there is no folder for the journal of operations; name one in TIERDECK_STATE or with state = \"…\"")?;
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let operator = Operator {
        user: environment.user.clone().unwrap_or_else(|| "unknown".to_owned()),
        host: host.unwrap_or_else(|| "unknown".to_owned()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    Ok(Operations {
        estate: Arc::new(estate(config, environment, &state).map_err(|error| error.to_string())?),
        folder: folder(&state),
        gate: Gate::new(allow || config.allow_actions, operator, Audit::at(&state)),
        listen,
        pause,
    })
}

/// Where operations act, as the configuration says.
fn estate(config: &Config, environment: &Environment, state: &Path) -> Result<Estate> {
    let places = config.instances.iter().map(|instance| place(instance, environment)).collect::<Result<Vec<_>>>()?;
    let shared = config.instances.iter().find(|instance| instance.tier == Tier::Shared);
    let first = shared.or(config.instances.first()).map_or_else(|| InstanceName::new(""), |it| it.name.clone());
    Ok(Estate {
        places,
        control: config.control.clone().unwrap_or(first),
        naming: Arc::new(config.naming.clone()),
        vault: match &config.vault {
            Some(vault) => vault.client(environment).map(Arc::new),
            None => Err("there is no [vault] in the configuration: say address = \"https://…\" there".to_owned()),
        },
        dedicated: format!("{}-{}-{{id}}-db", config.namespace, config.environment),
        work: config.operations.work.clone().unwrap_or_else(|| state.join("work")),
        statement_timeout: config.operations.statement_timeout,
        lock_timeout: config.operations.lock_timeout,
        stale_after: config.operations.stale_after,
        fence_budget: config.operations.fence_budget,
    })
}

fn place(instance: &InstanceConfig, environment: &Environment) -> Result<Place> {
    let target = Target::parse(&instance.url, environment)?;
    let admin = match &instance.admin {
        None => {
            Err("it can only be watched: its [[instance]] names no admin login, or [dedicated], where it was found by \
                     its tags"
                .to_owned())
        }
        Some(login) => {
            let target = target.with_user(&login.user);
            match login.password.as_ref().map(|secret| password(secret, &target)).transpose() {
                Ok(password) => Ok(Admin { target, password }),
                Err(error) => Err(error.to_string()),
            }
        }
    };
    Ok(Place {
        instance: instance.name.clone(),
        layout: instance.layout,
        only: instance.tenant.clone(),
        admin,
        monitor: target.user,
    })
}

/// What is in Vault is read when it is needed, and a token of IAM is made then.
fn password(secret: &Secret, login: &Target) -> Result<Password, SecretError> {
    match secret {
        Secret::Iam(iam) => match &iam.account {
            Some(account) => Ok(Password::Token { account: account.clone(), login: Box::new(login.clone()) }),
            None => Err(SecretError::Iam("no [aws.NAME] is known for it".to_owned())),
        },
        Secret::Vault { path, field, .. } => Ok(Password::InVault { path: path.clone(), field: field.clone() }),
        secret => secret.read().map(Password::Known),
    }
}

/// What happens, for who watches.
fn tell(progress: &Progress) {
    if let Progress::Working { step, working } = progress {
        let Working { phase, done, total, unit } = working;
        let of = if *total > 0 { format!(", {done} of {total} {unit}") } else { String::new() };
        return output::say(&sanitise(&format!("step {}: {phase}{of}", step + 1)));
    }
    let Progress::Journal(entry) = progress else { return };
    let said = match &entry.event {
        Event::Taken { .. } => "begins".to_owned(),
        Event::Started { step, .. } => format!("step {} …", step + 1),
        Event::Succeeded { step, .. } => format!("step {} done, and verified", step + 1),
        Event::Found { step, .. } => format!("step {}: it was so already", step + 1),
        Event::Failed { step, error, .. } => format!("step {} failed: {error}", step + 1),
        Event::Paused { .. } => return,
        Event::RollingBack => "rolling back".to_owned(),
        Event::UndoStarted { step } => format!("undoing step {} …", step + 1),
        Event::UndoFinished { step } => format!("step {} undone, and verified", step + 1),
        Event::UndoFailed { step, error } => format!("step {} could not be undone: {error}", step + 1),
        Event::Closed { outcome, reason } if reason.is_empty() => outcome.name().to_owned(),
        Event::Closed { outcome, reason } => format!("{}: {reason}", outcome.name()),
    };
    output::say(&sanitise(&said));
}

/// A name for a new operation.
pub(super) fn new_id() -> OperationId {
    OperationId::new(jiff::Timestamp::now(), rand::random())
}

/// What was typed to approve a plan: with `--confirm`, or now, after the plan. `None`: it cannot be asked for, and that was said.
pub(super) fn approval(text: &str, confirm: &str, given: Option<String>) -> Option<String> {
    if given.is_some() {
        return given;
    }
    if !std::io::stdin().is_terminal() {
        output::say(&format!("to carry it out: --confirm {}", sanitise(confirm)));
        return None;
    }
    output::say(text);
    output::say(&format!("type {} to carry it out, anything else to leave everything as it is:", sanitise(confirm)));
    let mut line = String::new();
    // What cannot be read approves nothing.
    let _ = std::io::stdin().lock().read_line(&mut line);
    Some(line.trim().to_owned())
}

/// Runs something that Ctrl-C pauses after the step that is at work; a second one ends it at once, and it is resumable.
pub(super) async fn interruptible(
    operations: &Operations,
    work: impl Future<Output = Result<Ended, OpsError>>,
) -> (Result<Ended, OpsError>, bool) {
    tokio::pin!(work);
    let mut interrupted = false;
    loop {
        tokio::select! {
            ended = &mut work => return (ended, interrupted),
            Ok(()) = tokio::signal::ctrl_c() => {
                if interrupted {
                    return (Ok(Ended::Paused("interrupted".to_owned())), true);
                }
                interrupted = true;
                operations.pause.store(true, Ordering::SeqCst);
                output::say("pausing after the step that is at work; Ctrl-C again ends it at once, and it stays resumable");
            }
        }
    }
}

/// Says how it ended, and how the process ends.
pub(super) async fn finish(
    operations: &Operations,
    id: &OperationId,
    (ended, interrupted): (Result<Ended, OpsError>, bool),
    json: bool,
) -> Result<Exit> {
    let exit = match &ended {
        Err(error) => {
            output::say(&sanitise(&error.to_string()));
            if error.is_refusal() {
                return Ok(Exit::Refused);
            }
            Exit::Paused
        }
        Ok(Ended::Paused(reason)) => {
            output::say(&format!("paused: {}", sanitise(reason)));
            if interrupted { Exit::Interrupted } else { Exit::Paused }
        }
        Ok(_) => Exit::Fine,
    };
    // What was begun left its journal, here or there; what left none was not.
    let begun = operations.story(id).await;
    if exit == Exit::Paused && begun.is_err() && journal::look(&operations.folder, id).is_ok_and(|here| here.is_none())
    {
        output::say("nothing was done");
        return Ok(Exit::Refused);
    }
    if exit != Exit::Fine {
        output::say(&format!("to go on: tierdeck ops resume {id}; what happened: tierdeck ops show {id}"));
    }
    if let Ok(story) = begun {
        let report = Report::of(&story);
        let written = if json {
            output::document(&report)?
        } else {
            let undo = if report.can_roll_back {
                format!("; to undo it: tierdeck ops rollback {id} (--plan shows what that runs)")
            } else {
                String::new()
            };
            output::text(&format!("{id} {}: {}{undo}\n", report.state, sanitise(&report.summary)))?
        };
        // How the operation ended is what the exit code says, whether or not somebody still listens.
        if written != Exit::Fine && exit == Exit::Fine {
            return Ok(written);
        }
    }
    Ok(exit)
}

/// Says why nothing was done.
pub(super) fn refused(error: &OpsError) -> Exit {
    output::say(&sanitise(&error.to_string()));
    match error {
        error if error.is_refusal() => Exit::Refused,
        OpsError::Unknown(_) => Exit::Usage,
        // Nothing was begun, so there is nothing to go on with.
        _ => Exit::Refused,
    }
}
