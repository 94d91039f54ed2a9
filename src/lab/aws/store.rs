//! A copy of a running cluster's files, as a base backup is made: what snapshots and automated backups are.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::task::spawn_blocking;

use super::machine::Machine;
use crate::lab::LabError;
use crate::lab::cluster::{SUPERUSER, data_folder};
use crate::lab::runner::Runner;

/// Folders whose contents belong to the running server alone.
const EMPTIED: [&str; 8] =
    ["pg_wal", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans"];
/// Files that are the running server's.
const LEFT_OUT: [&str; 5] = ["postmaster.pid", "postmaster.opts", "backup_label", "recovery.signal", "standby.signal"];

/// The files of a cluster at some moment; the folder goes with the last who holds it.
#[derive(Debug)]
pub struct Store {
    home: PathBuf,
    /// The superuser's password in it.
    pub boss: SecretString,
    /// The first WAL file that recovery from it needs.
    pub first_wal: String,
    /// The one in which it was complete: what it does not hold itself is in those after that.
    pub last_wal: String,
    /// When it was complete: recovery from it can end no earlier.
    pub finished: Timestamp,
    /// Bytes.
    pub size: u64,
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.home);
    }
}

impl Store {
    /// Copies the files of a running server into a new folder, and the WAL that makes them whole.
    pub async fn take(machine: &Machine, runner: &Runner, home: PathBuf) -> Result<Self, LabError> {
        let failed = LabError::database;
        let link = machine.open(SUPERUSER, "postgres").await.map_err(failed("log in for a backup"))?;
        let (start, stop) = match machine.major {
            ..15 => ("pg_start_backup('estate', true, false)", "pg_stop_backup(false, false)"),
            _ => ("pg_backup_start('estate', true)", "pg_backup_stop(false)"),
        };
        link.client.batch_execute(&format!("SELECT {start}")).await.map_err(failed("start a backup"))?;
        // From here on nothing may be left behind.
        let mut store = Self {
            home: home.clone(),
            boss: machine.boss.clone(),
            first_wal: String::new(),
            last_wal: String::new(),
            finished: Timestamp::UNIX_EPOCH,
            size: 0,
        };
        let (from, to, servant) = (machine.data.clone(), data_folder(&home), runner.clone());
        store.size = spawn_blocking(move || {
            folder(&home, &servant)?;
            copy(&from, &to, &servant)
        })
        .await??;
        let row = link
            .client
            .query_one(&format!("SELECT labelfile, pg_walfile_name(lsn), clock_timestamp() FROM {stop}"), &[])
            .await
            .map_err(failed("end a backup"))?;
        let (label, last): (String, String) = (row.get(0), row.get(1));
        store.finished = row.get(2);
        store.first_wal = first_wal(&label).unwrap_or_else(|| last.clone());
        store.last_wal = last;
        store.complete(machine, runner, label).await?;
        Ok(store)
    }

    /// The label, and the WAL from the backup's beginning to its end.
    async fn complete(&self, machine: &Machine, runner: &Runner, label: String) -> Result<(), LabError> {
        let (data, servant) = (data_folder(&self.home), runner.clone());
        let (first, last) = (self.first_wal.clone(), self.last_wal.clone());
        let places = [machine.data.join("pg_wal"), machine.archive.clone()];
        spawn_blocking(move || {
            let path = data.join("backup_label");
            fs::write(&path, label).map_err(LabError::io("write", &path))?;
            servant.give(&path)?;
            for place in &places {
                for entry in fs::read_dir(place).into_iter().flatten().flatten() {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    let into = data.join("pg_wal").join(&name);
                    if is_wal(&name) && name >= first && name <= last && !into.exists() {
                        fs::copy(entry.path(), &into).map_err(LabError::io("copy", &entry.path()))?;
                        servant.give(&into)?;
                    }
                }
            }
            Ok(())
        })
        .await?
    }

    /// Puts the files where a new server will run.
    pub fn unpack(&self, home: &Path, runner: &Runner) -> Result<(), LabError> {
        tree(&data_folder(&self.home), &data_folder(home), runner, &|_| true).map(drop)
    }

    /// One without files, for whoever only reckons with it.
    #[cfg(test)]
    pub fn of_wal(first: &str, last: &str, finished: Timestamp) -> Self {
        let (first_wal, last_wal) = (first.to_owned(), last.to_owned());
        Self { home: PathBuf::new(), boss: SecretString::default(), first_wal, last_wal, finished, size: 0 }
    }
}

/// Whether a file holds WAL: 24 hexadecimal digits.
pub fn is_wal(name: &str) -> bool {
    name.len() == 24 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `START WAL LOCATION: 0/2000028 (file 000000010000000000000002)`
fn first_wal(label: &str) -> Option<String> {
    let name = label.lines().next()?.split("(file ").nth(1)?.trim_end_matches(')');
    is_wal(name).then(|| name.to_owned())
}

/// Makes a folder that who runs the server owns.
pub fn folder(path: &Path, runner: &Runner) -> Result<(), LabError> {
    if let Err(error) = fs::create_dir_all(path) {
        return Err(LabError::io("create", path)(error));
    }
    fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(LabError::io("close", path))?;
    runner.give(path)
}

/// Copies what a backup has of a data folder; the bytes that came together.
fn copy(from: &Path, to: &Path, runner: &Runner) -> Result<u64, LabError> {
    tree(from, to, runner, &|relative| {
        let mut parts = relative.components().map(|part| part.as_os_str().to_string_lossy());
        let first = parts.next().unwrap_or_default().into_owned();
        let name = relative.file_name().unwrap_or_default().to_string_lossy();
        let inside = parts.next().is_some();
        let left_out = (inside && EMPTIED.contains(&first.as_str()))
            || LEFT_OUT.contains(&first.as_str())
            || name.starts_with("pgsql_tmp");
        !left_out
    })
}

fn tree(from: &Path, to: &Path, runner: &Runner, wanted: &dyn Fn(&Path) -> bool) -> Result<u64, LabError> {
    let mut size = 0;
    let mut open = vec![PathBuf::new()];
    while let Some(relative) = open.pop() {
        let (source, target) = (from.join(&relative), to.join(&relative));
        fs::create_dir(&target).map_err(LabError::io("create", &target))?;
        fs::set_permissions(&target, Permissions::from_mode(0o700)).map_err(LabError::io("close", &target))?;
        runner.give(&target)?;
        let entries = match fs::read_dir(&source) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(LabError::io("look into", &source)(error)),
        };
        for entry in entries.flatten() {
            let relative = relative.join(entry.file_name());
            if !wanted(&relative) {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(relative),
                Ok(kind) if kind.is_file() => {
                    let target = to.join(&relative);
                    match fs::copy(entry.path(), &target) {
                        Ok(bytes) => size += bytes,
                        // A running server drops files as it likes; recovery knows of that.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                        Err(error) => return Err(LabError::io("copy", &entry.path())(error)),
                    }
                    runner.give(&target)?;
                }
                _ => {}
            }
        }
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_tells_where_recovery_begins() {
        let label = "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nCHECKPOINT LOCATION: 0/2000060\n";
        assert_eq!(first_wal(label).as_deref(), Some("000000010000000000000002"));
        assert_eq!(first_wal("something else"), None);
        assert!(!is_wal("00000002.history"));
    }
}
