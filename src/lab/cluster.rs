//! One PostgreSQL cluster of our own: made, started, stopped. Blocking; knows nothing of tenants.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secrecy::{ExposeSecret, SecretString};

use super::binaries::Binaries;
use super::error::LabError;
use super::runner::Runner;
use crate::domain::foreign::sanitise;

/// The bootstrap superuser, called as on RDS.
pub(super) const SUPERUSER: &str = "rdsadmin";

/// For `initdb`, of whoever archives: an archive of mostly empty files of 16 MB would fill a laptop.
pub(super) const SMALL_WAL: &str = "--wal-segsize=1";

/// What the estate sets: a file in the data folder that is written anew at each start, so that nothing of an earlier one stays.
const SETTINGS: &str = "estate.conf";

/// What a server says whose port somebody else has.
pub(super) const TAKEN: &str = "could not create any TCP/IP sockets";

const READY_WITHIN: Duration = Duration::from_mins(1);
/// How long each way to end a server is given.
const ENDS_WITHIN: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// The data folder in an estate's folder.
pub(super) fn data_folder(home: &Path) -> PathBuf {
    home.join("data")
}

/// The server's log in an estate's folder.
pub(super) fn log_file(home: &Path) -> PathBuf {
    home.join("server.log")
}

/// A running server; it dies with this value.
#[derive(Debug)]
pub(super) struct Cluster {
    child: Child,
    port: u16,
    /// Raised when nobody needs the server or its files any more: who waits for it hurries.
    over: Arc<AtomicBool>,
}

/// `initdb`, with SCRAM for everything and the given password for the superuser; `also` are arguments over ours.
pub(super) fn create(
    binaries: &Binaries,
    runner: &Runner,
    home: &Path,
    password: &SecretString,
    also: &[&str],
) -> Result<(), LabError> {
    let data = data_folder(home);
    fs::create_dir(&data).map_err(LabError::io("create", &data))?;
    runner.give(&data)?;
    let secret = home.join("superuser.password");
    write_private(&secret, password.expose_secret())?;
    runner.give(&secret)?;
    let mut initdb = runner.command(binaries.initdb.as_os_str());
    initdb.arg("--pgdata").arg(&data).arg("--pwfile").arg(&secret);
    initdb.args(["--username", SUPERUSER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"]);
    initdb.args(["--no-sync", "--no-instructions"]).args(also);
    let done = initdb.output().map_err(LabError::io("run", &binaries.initdb));
    fs::remove_file(&secret).map_err(LabError::io("remove", &secret))?;
    let done = done?;
    if done.status.success() {
        append(&data.join("postgresql.conf"), &format!("\ninclude '{SETTINGS}'\n"))
    } else {
        Err(LabError::Server { program: "initdb", said: tail(&String::from_utf8_lossy(&done.stderr)) })
    }
}

impl Cluster {
    /// Starts the server on a free loopback port and waits until it takes connections, or until it is `over`.
    pub fn start(
        binaries: &Binaries,
        runner: &Runner,
        home: &Path,
        settings: &[(String, String)],
        over: &Arc<AtomicBool>,
    ) -> Result<Self, LabError> {
        let text = written(settings);
        // Between finding a free port and the server's bind, somebody else may take it: then another one.
        let mut attempt = 0;
        loop {
            attempt += 1;
            match Self::start_on(free_port()?, binaries, runner, home, &text, over) {
                Err(LabError::Server { said, .. }) if attempt < 5 && said.contains(TAKEN) => {}
                other => return other,
            }
        }
    }

    /// Starts it on this very port.
    pub fn start_at(
        port: u16,
        binaries: &Binaries,
        runner: &Runner,
        home: &Path,
        settings: &[(String, String)],
        over: &Arc<AtomicBool>,
    ) -> Result<Self, LabError> {
        Self::start_on(port, binaries, runner, home, &written(settings), over)
    }

    fn start_on(
        port: u16,
        binaries: &Binaries,
        runner: &Runner,
        home: &Path,
        settings: &str,
        over: &Arc<AtomicBool>,
    ) -> Result<Self, LabError> {
        let data = data_folder(home);
        let file = data.join(SETTINGS);
        fs::write(&file, format!("{settings}port = {port}\n")).map_err(LabError::io("write", &file))?;
        runner.give(&file)?;
        let path = log_file(home);
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(LabError::io("open", &path))?;
        let errors = log.try_clone().map_err(LabError::io("open", &path))?;
        // An estate under load must leave the operator's console its share of a small machine.
        let mut command = runner.command("nice".as_ref());
        command.args(["-n", "10"]).arg(&binaries.postgres).arg("-D").arg(&data).stdout(log).stderr(errors);
        let child = command.stdin(Stdio::null()).spawn().map_err(LabError::io("run", &binaries.postgres))?;
        // What is given up ends with this value.
        let mut cluster = Self { child, port, over: Arc::clone(over) };
        let begun = Instant::now();
        loop {
            let ended = cluster.child.try_wait().map_err(LabError::io("wait for", &binaries.postgres))?;
            if ended.is_some() {
                return Err(LabError::Server { program: "postgres", said: tail_of(&path) });
            }
            if status(&data).as_deref() == Some("ready") {
                return Ok(cluster);
            }
            if over.load(Ordering::SeqCst) {
                return Err(LabError::ending());
            }
            if begun.elapsed() > READY_WITHIN {
                return Err(LabError::Slow { seconds: READY_WITHIN.as_secs(), said: tail_of(&path) });
            }
            std::thread::sleep(POLL);
        }
    }

    /// The port it listens on, on 127.0.0.1 only.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Process id of the postmaster.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fast shutdown, then an immediate one, then none that can be ignored. The first wants time for its files: where
    /// nobody needs them any more, it is not waited for.
    pub fn stop(&mut self) {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGKILL] {
            // A child that was not waited for keeps its pid, so this cannot hit a stranger.
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            let _ = kill(pid, signal);
            let begun = Instant::now();
            while begun.elapsed() < ENDS_WITHIN && !(signal == Signal::SIGINT && self.over.load(Ordering::SeqCst)) {
                if matches!(self.child.try_wait(), Ok(Some(_))) {
                    return;
                }
                std::thread::sleep(POLL);
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Settings as the configuration file has them.
fn written(settings: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in settings {
        let _ = writeln!(text, "{name} = '{}'", value.replace('\'', "''"));
    }
    text
}

/// The last line of `postmaster.pid`: `starting`, `ready`, `stopping`.
fn status(data: &Path) -> Option<String> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    text.lines().nth(7).map(|line| line.trim().to_owned())
}

fn free_port() -> Result<u16, LabError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(LabError::io("find a free port on", Path::new("127.0.0.1")))
}

fn append(path: &Path, text: &str) -> Result<(), LabError> {
    OpenOptions::new()
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(LabError::io("write", path))
}

/// Writes a file that only its owner reads, from its first moment on.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), LabError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(LabError::io("write", path))
}

fn tail_of(path: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(4096)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().map_or_else(|error| format!("(no log: {error})"), |text| tail(&text))
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    sanitise(&lines[lines.len().saturating_sub(6)..].join(" | ")).into_owned()
}
