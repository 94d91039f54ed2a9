//! As whom the server runs: PostgreSQL refuses root, so root hands it to somebody without privileges.

use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{User, geteuid};

use super::error::LabError;

/// Who runs the server.
#[derive(Debug, Clone)]
pub(super) struct Runner {
    /// `None`: we ourselves, who are not root.
    other: Option<User>,
}

impl Runner {
    /// Ourselves, or for root user `postgres`, or else `nobody`.
    pub fn choose() -> Result<Self, LabError> {
        if !geteuid().is_root() {
            return Ok(Self { other: None });
        }
        let known = |name| User::from_name(name).ok().flatten().filter(|user| !user.uid.is_root());
        let other = known("postgres").or_else(|| known("nobody")).ok_or(LabError::NoUser)?;
        Ok(Self { other: Some(other) })
    }

    /// The mode of a folder that the server's files lie in: closed, but for root's servant to pass through.
    pub fn folder_mode(&self) -> u32 {
        if self.other.is_some() { 0o711 } else { 0o700 }
    }

    /// Gives a file or folder to who runs the server.
    pub fn give(&self, path: &Path) -> Result<(), LabError> {
        match &self.other {
            None => Ok(()),
            Some(user) => {
                chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).map_err(LabError::io("hand over", path))
            }
        }
    }

    /// Whether who runs the server can get into this folder.
    pub fn may_enter(&self, folder: &Path) -> Result<(), LabError> {
        let Some(user) = &self.other else { return Ok(()) };
        for folder in folder.ancestors() {
            let seen = folder.metadata().map_err(LabError::io("look at", folder))?;
            if seen.permissions().mode() & 0o001 == 0 && seen.uid() != user.uid.as_raw() {
                return Err(LabError::Closed { user: user.name.clone(), folder: folder.to_owned() });
            }
        }
        Ok(())
    }

    /// A command run as that user (std drops the supplementary groups with it), in a process group of its own so that
    /// Ctrl-C in the terminal does not reach it, and with nothing of the caller's PostgreSQL environment.
    pub fn command(&self, program: &OsStr) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").stdin(Stdio::null()).process_group(0);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(&name);
            }
        }
        if let Some(user) = &self.other {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }
}
