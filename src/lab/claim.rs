//! Who owns an estate on disk, and the broom for estates whose owner is gone.
//!
//! Each estate has a folder `tierdeck-lab-…` in the temp folder with a file `lock` in it, locked with `flock` for as long
//! as its owner lives: the kernel lets go of it however the owner dies. An estate whose lock is free is nobody's.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde::{Deserialize, Serialize};

use super::cluster::data_folder;
use super::error::LabError;
use super::runner::Runner;

const PREFIX: &str = "tierdeck-lab-";
const LOCK: &str = "lock";
/// Everything that we ever put into an estate's folder; nothing else in it is touched.
const OURS: [&str; 12] = [
    "data",
    super::aws::FOLDER,
    "server.log",
    "superuser.password",
    "tierdeck.toml",
    "tierdeck.password",
    "portarium_admin.password",
    "vault.token",
    super::vault::PID_FILE,
    "portarium.password",
    "aws.credentials",
    // What a console on it remembers.
    "state",
];

/// What stands in the lock file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// Where the estate's files are.
    home: PathBuf,
    /// Whether that folder is ours to remove.
    made: bool,
    /// Whether the files outlive the owner.
    keep: bool,
}

/// An estate's folder, ours while this value lives.
#[derive(Debug)]
pub(super) struct Claim {
    place: PathBuf,
    record: Record,
    /// Held, never read: closing it is what frees the estate.
    _lock: Flock<File>,
}

impl Claim {
    /// Makes the folder (in the temp folder, or the given one) and takes its lock.
    pub fn new(wanted: Option<&Path>, keep: bool, runner: &Runner) -> Result<Self, LabError> {
        let temp = temp_folders();
        let temp = temp.iter().find(|folder| runner.may_enter(folder).is_ok()).or(temp.first()).cloned();
        let temp = temp.unwrap_or_else(std::env::temp_dir);
        let place = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(&temp)
            .map_err(LabError::io("make a folder in", &temp))?
            .keep();
        let (home, made) = match wanted {
            None => (place.clone(), true),
            Some(folder) => match own_folder(folder, runner) {
                Ok(own) => own,
                Err(error) => {
                    let _ = fs::remove_dir_all(&place);
                    return Err(error);
                }
            },
        };
        let record = Record { home, made, keep };
        match write_lock(&place, &record) {
            Ok(lock) => {
                let claim = Self { place, record, _lock: lock };
                match claim.open_up(runner) {
                    Ok(()) => Ok(claim),
                    Err(error) => {
                        claim.release();
                        Err(error)
                    }
                }
            }
            Err(error) => {
                let _ = fs::remove_dir_all(&place);
                Err(error)
            }
        }
    }

    /// Where the estate's files are.
    pub fn home(&self) -> &Path {
        &self.record.home
    }

    /// Lets who runs the server pass, whatever our umask.
    fn open_up(&self, runner: &Runner) -> Result<(), LabError> {
        if self.record.made {
            let mode = Permissions::from_mode(runner.folder_mode());
            fs::set_permissions(self.home(), mode).map_err(LabError::io("open up", self.home()))?;
        }
        runner.may_enter(self.home())
    }

    /// Removes the estate's files, or forgets that they are ours when they are to be kept.
    pub fn release(self) {
        self.record.remove(&self.place);
    }
}

/// The lock appears under its name only when it is held, so that no broom finds it free in between.
fn write_lock(place: &Path, record: &Record) -> Result<Flock<File>, LabError> {
    let early = place.join("lock.new");
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&early)
        .map_err(LabError::io("create", &early))?;
    let mut lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|(_, errno)| LabError::io("lock", &early)(errno.into()))?;
    let text = toml::to_string(record).unwrap_or_default();
    lock.write_all(text.as_bytes()).map_err(LabError::io("write", &early))?;
    let path = place.join(LOCK);
    fs::rename(&early, &path).map_err(LabError::io("rename to", &path))?;
    Ok(lock)
}

/// Refuses a folder in which something is: what we put there could not be told from it.
pub(super) fn vacant(folder: &Path) -> Result<(), LabError> {
    let empty = !folder.exists() || fs::read_dir(folder).map_err(LabError::io("look into", folder))?.next().is_none();
    if empty { Ok(()) } else { Err(LabError::NotEmpty(folder.to_owned())) }
}

/// The folder that was asked for, and whether we made it.
fn own_folder(folder: &Path, runner: &Runner) -> Result<(PathBuf, bool), LabError> {
    let made = !folder.exists();
    if made {
        DirBuilder::new()
            .recursive(true)
            .mode(runner.folder_mode())
            .create(folder)
            .map_err(LabError::io("create", folder))?;
    } else {
        vacant(folder)?;
    }
    let folder = folder.canonicalize().map_err(LabError::io("find", folder))?;
    Ok((folder, made))
}

impl Record {
    /// The lock goes last: whoever dies half-way leaves an estate that the next broom finds.
    fn remove(&self, place: &Path) {
        if !self.keep {
            for name in OURS {
                let path = self.home.join(name);
                let _ = if path.is_dir() { remove_busy(&path) } else { fs::remove_file(&path) };
            }
            if self.made && self.home != place {
                let _ = fs::remove_dir(&self.home);
            }
        }
        let _ = fs::remove_file(place.join(LOCK));
        // A place that holds a kept estate stays, because it is not empty.
        let _ = if self.keep { fs::remove_dir(place) } else { fs::remove_dir_all(place) };
    }
}

/// Removes a folder in which a cluster that is just being made may still be written: without its folder, that ends soon.
fn remove_busy(folder: &Path) -> std::io::Result<()> {
    let begun = Instant::now();
    loop {
        match fs::remove_dir_all(folder) {
            Err(error) if folder.exists() && begun.elapsed() > Duration::from_secs(5) => return Err(error),
            Err(_) if folder.exists() => std::thread::sleep(Duration::from_millis(50)),
            _ => return Ok(()),
        }
    }
}

/// What a sweep found.
#[derive(Debug, Default)]
pub struct Swept {
    /// Estates that were nobody's, whose servers are stopped now and whose files are removed (unless they were to be kept).
    pub removed: Vec<PathBuf>,
}

/// Stops and removes the estates of owners that are gone. Only folders and locks of our own user are looked at: a
/// temp folder is everybody's, and what others put there must not steer us.
pub fn sweep() -> Swept {
    let mut swept = Swept::default();
    for temp in temp_folders() {
        for entry in fs::read_dir(&temp).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(PREFIX)
                && let Some(home) = sweep_one(&entry.path())
            {
                swept.removed.push(home);
            }
        }
    }
    swept
}

fn sweep_one(place: &Path) -> Option<PathBuf> {
    let mine = |seen: &fs::Metadata| seen.uid() == geteuid().as_raw();
    fs::symlink_metadata(place).ok().filter(|seen| seen.is_dir() && mine(seen))?;
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(place.join(LOCK)).ok()?;
    file.metadata().ok().filter(|seen| seen.is_file() && mine(seen))?;
    let mut lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()?;
    let mut text = String::new();
    lock.read_to_string(&mut text).ok()?;
    let record: Record = toml::from_str(&text).ok()?;
    stop_orphan(&data_folder(&record.home));
    super::vault::stop_orphan(&record.home);
    for entry in fs::read_dir(record.home.join(super::aws::FOLDER)).into_iter().flatten().flatten() {
        stop_orphan(&data_folder(&entry.path()));
    }
    record.remove(place);
    Some(record.home)
}

/// Stops the postmaster of a data folder that nobody owns any more.
fn stop_orphan(data: &Path) {
    let first_line = || fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.trim().parse().ok();
    let Some(pid) = first_line() else { return };
    for (signal, patience) in [(Signal::SIGQUIT, 5), (Signal::SIGKILL, 5)] {
        // Asked again before each signal: a pid may be a stranger's by now.
        if !is_postmaster_of(pid, data) || kill(Pid::from_raw(pid), signal).is_err() {
            return;
        }
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(patience) {
            if !is_postmaster_of(pid, data) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Whether this process is a postmaster of this very data folder: its command line says so, here from `/proc`, elsewhere
/// from `ps`.
fn is_postmaster_of(pid: i32, data: &Path) -> bool {
    if pid <= 1 {
        return false;
    }
    let arguments = match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).replace('\0', " "),
        Err(_) if Path::new("/proc/self").exists() => return false,
        Err(_) => std::process::Command::new("ps")
            .args(["-o", "command=", "-p", &pid.to_string()])
            .output()
            .map(|said| String::from_utf8_lossy(&said.stdout).into_owned())
            .unwrap_or_default(),
    };
    arguments.contains("postgres") && arguments.trim_end().ends_with(&format!("-D {}", data.display()))
}

/// Where estates may be: the temp folder of the environment, and those that everybody may enter.
fn temp_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for folder in [std::env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")] {
        if let Ok(folder) = folder.canonicalize()
            && !folders.contains(&folder)
        {
            folders.push(folder);
        }
    }
    folders
}
