//! `tierdeck demo`: the local estate, and the console on it.
//!
//! The estate lives in a process of its own, tied to the console by a pipe: when the console goes, however it goes, the
//! pipe closes, and the estate stops and removes itself.

use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use color_eyre::eyre::{Result, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::arguments::Demo;
use super::{Exit, console, observe, output};
use crate::lab::{Lab, Scenario, Spec, VaultKind};
use crate::ui::terminal;

/// How long an estate may take to stop before we no longer wait for it.
const STOP: Duration = Duration::from_secs(30);

/// How often an estate is asked what did not come about in it.
const LOOK: Duration = Duration::from_secs(1);

/// The line that says that the estate is ready.
#[derive(Debug, Serialize, Deserialize)]
struct Ready {
    config: String,
    instances: Vec<ReadyInstance>,
    pid: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct ReadyInstance {
    name: String,
    url: String,
}

pub(super) async fn run(demo: Demo, allow: bool) -> Result<Exit> {
    let scenario = match Scenario::named(&demo.scenario) {
        Ok(scenario) => scenario,
        Err(error) => {
            output::say(&error.to_string());
            return Ok(Exit::Usage);
        }
    };
    if demo.headless {
        return headless(demo, scenario).await;
    }
    if !console::has_terminal() {
        output::say("the console needs a terminal; without one: tierdeck demo --headless");
        return Ok(Exit::Usage);
    }
    // In a box: what goes on beside it is large.
    Box::pin(beside(&demo, allow)).await
}

/// Serves until a signal comes, or until standard input is closed where we are tied to it.
async fn headless(demo: Demo, scenario: Scenario) -> Result<Exit> {
    let mut spec = Spec::new(scenario);
    spec.tenants = demo.tenants as usize;
    spec.layout = demo.layout.into();
    spec.dedicated = Some(demo.dedicated as usize);
    spec.dir = demo.dir;
    spec.keep = demo.keep;
    spec.vault = VaultKind::OnPath;
    let signal = terminal::signalled()?;
    let stop = async {
        tokio::select! {
            _ = signal => {}
            () = terminal::hung_up(), if demo.tied => {}
        }
    };
    tokio::pin!(stop);
    let lab = match Lab::start_unless(spec, output::say, stop.as_mut()).await {
        Ok(Ok(lab)) => lab,
        Ok(Err(())) => return Ok(Exit::Interrupted),
        Err(error) => {
            output::say(&error.to_string());
            return Ok(if error.is_usage() { Exit::Usage } else { Exit::Found });
        }
    };
    let instances = lab.instances().iter();
    output::line(&Ready {
        config: lab.config_path().display().to_string(),
        instances: instances
            .map(|instance| ReadyInstance { name: instance.name.to_owned(), url: instance.url.clone() })
            .collect(),
        pid: std::process::id(),
    })?;
    loop {
        tokio::select! {
            () = stop.as_mut() => break,
            () = tokio::time::sleep(LOOK) => lab.troubles().iter().for_each(|trouble| output::say(trouble)),
        }
    }
    lab.stop().await;
    Ok(Exit::Fine)
}

/// The estate in a process beside us, the console here.
async fn beside(demo: &Demo, allow: bool) -> Result<Exit> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["demo", "--headless", "--tied", "--scenario", &demo.scenario]);
    command.args(["--dedicated", &demo.dedicated.to_string()]);
    command.args(["--tenants", &demo.tenants.to_string(), "--layout"]);
    command.arg(match demo.layout {
        super::arguments::LayoutArgument::Schema => "schema",
        super::arguments::LayoutArgument::Database => "database",
    });
    if let Some(dir) = &demo.dir {
        command.arg("--dir").arg(dir);
    }
    if demo.keep {
        command.arg("--keep");
    }
    // In a group of its own: Ctrl-C in this terminal is for the console, which then lets the estate go.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    // One watch from here to the end: no signal falls between the estate's start and the console's.
    let mut stop = pin!(terminal::stop()?);
    let mut estate = command.spawn()?;
    let ended = tokio::select! {
        ready = ready(&mut estate) => match ready? {
            Some(ready) => open(&ready, allow, stop).await,
            // It has said why.
            None => Ok(match estate.wait().await?.code() {
                Some(code) if code == i32::from(Exit::Usage.code()) => Exit::Usage,
                _ => Exit::Found,
            }),
        },
        _ = &mut stop => Ok(Exit::Interrupted),
    };
    output::say("stopping the estate …");
    drop(estate.stdin.take());
    if tokio::time::timeout(STOP, estate.wait()).await.is_err() {
        output::say("the estate is still stopping; it goes on by itself");
    }
    ended
}

async fn open(ready: &Ready, allow: bool, stop: impl Future<Output = crate::app::Exit>) -> Result<Exit> {
    match observe::configuration(Some(ready.config.as_ref())) {
        Some(config) => console::open(&config, None, console::Kept::Demo, allow, stop).await,
        None => Ok(Exit::Usage),
    }
}

/// Waits for the line that says that the estate is ready, and passes on what it says until then. `None` when it could not
/// start: it has said why.
async fn ready(estate: &mut Child) -> Result<Option<Ready>> {
    let (Some(stdout), Some(stderr)) = (estate.stdout.take(), estate.stderr.take()) else {
        bail!("the estate's process has no output");
    };
    let (mut lines, mut messages) = (BufReader::new(stdout).lines(), BufReader::new(stderr).lines());
    loop {
        tokio::select! {
            line = lines.next_line() => {
                let Some(line) = line? else {
                    while let Some(message) = messages.next_line().await? {
                        output::say(&message);
                    }
                    return Ok(None);
                };
                // From here on nobody may write over the console: what the estate still says is read and dropped.
                tokio::spawn(async move { while let Ok(Some(_)) = messages.next_line().await {} });
                return Ok(Some(serde_json::from_str(&line)?));
            }
            message = messages.next_line() => {
                if let Some(message) = message? {
                    output::say(&message);
                }
            }
        }
    }
}
