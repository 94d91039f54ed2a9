//! Hands on an external command: its environment is the plan's and nothing else, and a password reaches it as a file without
//! a name, so that it is in no argument, no variable and on no disk.

use std::fs::{File, Permissions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::Instant;

use super::{Hands, HandsError};
use crate::clients::postgres::Connection;
use crate::domain::foreign::sanitise;
use crate::ops::estate::Use;
use crate::ops::script::CommandLine;

/// How often it is asked whether the operation still is ours, while a command runs.
const LOOK: Duration = Duration::from_secs(2);

/// A command that writes nothing, and for which the server does nothing, for so many times what a statement may take is taken for
/// dead.
const STALLED: u32 = 4;

/// And never sooner: in between it may have to think.
const LEAST: Duration = Duration::from_secs(10);

/// What the server does for it: a dump looks through the whole catalogue before it writes a byte. Who waits for the command to
/// read or to ask does nothing.
const AT_WORK: &str =
    "SELECT coalesce(bool_or(state = 'active' AND wait_event_type IS DISTINCT FROM 'Client'), false), max(state_change)
                       FROM pg_stat_activity WHERE application_name = $1 AND usename = session_user";

/// What is kept of what a command says, its end.
const KEPT: usize = 4_096;

impl Hands<'_> {
    /// Does it.
    pub(super) async fn execute(
        &self,
        script: &CommandLine,
        password: Option<SecretString>,
    ) -> Result<String, HandsError> {
        let program = &script.program;
        let failed = |why: String| HandsError::Command(format!("{program}: {why}"));
        let mut command = Command::new(program);
        command.args(&script.arguments).env_clear().envs(&script.environment).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        if let Some(password) = password {
            let file = passfile(&password).map_err(|error| failed(format!("no file for its password: {error}")))?;
            command.stdin(file).env("PGPASSFILE", "/dev/stdin");
        }
        self.lease.still_ours().await?;
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        let stderr = child.stderr.take();
        let hearing = tokio::spawn(async move {
            match stderr {
                Some(stderr) => end_of(stderr).await,
                None => String::new(),
            }
        });
        let mut clock = tokio::time::interval_at(Instant::now() + LOOK, LOOK);
        // A connection that died without a word would hold it for ever.
        let patience = (self.estate.statement_timeout * STALLED).max(LEAST);
        let (mut size, mut since) = (None, Instant::now());
        let mut server = Server { link: None, changed: None };
        let status = loop {
            tokio::select! {
                ended = child.wait() => break ended.map_err(|error| failed(error.to_string()))?,
                // Dropped, it is killed.
                _ = clock.tick() => {
                    self.lease.still_ours().await?;
                    let now = script.grows.as_ref().map(|file| std::fs::metadata(file).map_or(0, |file| file.len()));
                    if now != size || self.is_served(script, &mut server).await {
                        (size, since) = (now, Instant::now());
                    } else if now.is_some() && since.elapsed() > patience {
                        return Err(failed(format!("nothing came of it for {} s; it was ended", patience.as_secs())));
                    }
                }
            }
        };
        let said = hearing.await.unwrap_or_default();
        if status.success() { Ok(said) } else { Err(failed(format!("{status}: {said}"))) }
    }
}

/// What was last seen of a command's sessions.
struct Server {
    link: Option<Connection>,
    changed: Option<Timestamp>,
}

impl Hands<'_> {
    /// Whether the server works for a command, or did since it was last asked. That nobody can say is no sign of life.
    async fn is_served(&self, script: &CommandLine, server: &mut Server) -> bool {
        let Some(target) = script.login.and_then(|at| self.plan.targets.get(at)) else { return false };
        let link = match server.link.take().filter(|link| !link.is_closed()) {
            Some(link) => Ok(link),
            None => self.estate.connect(&target.instance, Some(&target.database), Use::Looking).await,
        };
        let Ok(link) = link else { return false };
        let Ok(row) = link.query_one(AT_WORK, &[&self.plan.id.application_name()]).await else { return false };
        let (busy, changed): (bool, Option<Timestamp>) = (row.get(0), row.get(1));
        server.link = Some(link);
        busy || std::mem::replace(&mut server.changed, changed) != changed
    }
}

/// A password as libpq reads it from a file; nobody can open that by a name.
fn passfile(password: &SecretString) -> std::io::Result<File> {
    let escaped = password.expose_secret().replace('\\', "\\\\").replace(':', "\\:");
    let line = SecretString::from(format!("*:*:*:*:{escaped}\n"));
    let mut file = tempfile::tempfile()?;
    // libpq takes no file that others could read, if they could find it.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(line.expose_secret().as_bytes())?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// The end of what it says: errors come last.
async fn end_of(mut from: impl AsyncRead + Unpin) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 4_096];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..read]);
        let over = kept.len().saturating_sub(KEPT);
        kept.drain(..over);
    }
    sanitise(String::from_utf8_lossy(&kept).trim()).into_owned()
}
