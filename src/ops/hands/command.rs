//! Hands on an external command: its environment is the plan's and nothing else, and a password reaches it as a file without
//! a name, so that it is in no argument and no variable; where the system has files in memory, on no disk either.

use std::fs::{File, Permissions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::Instant;

use super::served::{LOOK, Served};
use super::{Hands, HandsError};
use crate::domain::foreign::sanitise;
use crate::ops::script::CommandLine;

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
        // Ctrl-C is for the console, which lets this come to its end.
        command.process_group(0);
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
        let patience = self.patience();
        let (mut size, mut since) = (None, Instant::now());
        let mut server = Served::default();
        let status = loop {
            tokio::select! {
                ended = child.wait() => break ended.map_err(|error| failed(error.to_string()))?,
                // Dropped, it is killed.
                _ = clock.tick() => {
                    self.lease.still_ours().await?;
                    let now = script.grows.as_ref().map(|file| std::fs::metadata(file).map_or(0, |file| file.len()));
                    if now != size || self.serves(script, &mut server).await {
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

impl Hands<'_> {
    async fn serves(&self, script: &CommandLine, seen: &mut Served) -> bool {
        match script.login {
            Some(target) => self.is_served(target, seen).await,
            None => false,
        }
    }
}

/// A password as libpq reads it from a file; nobody can open that by a name.
fn passfile(password: &SecretString) -> std::io::Result<File> {
    let escaped = password.expose_secret().replace('\\', "\\\\").replace(':', "\\:");
    let line = SecretString::from(format!("*:*:*:*:{escaped}\n"));
    let mut file = nameless()?;
    // libpq takes no file that others could read, if they could find it.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(line.expose_secret().as_bytes())?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// A file in memory.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn nameless() -> std::io::Result<File> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    Ok(memfd_create(c"passfile", MFdFlags::MFD_CLOEXEC)?.into())
}

/// A file whose name is gone before anything is in it.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn nameless() -> std::io::Result<File> {
    tempfile::tempfile()
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
