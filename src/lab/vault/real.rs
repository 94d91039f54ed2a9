//! A real Vault for the estate, where one is installed: the development server of `bao` or `vault`, in memory, on a free port of
//! loopback, run as whoever runs the estate's PostgreSQL. Blocking; stopped by its process id.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secrecy::{ExposeSecret as _, SecretString};

use super::super::cluster::write_private;
use super::super::error::LabError;
use super::super::runner::Runner;

/// What says which process it is, in an estate's folder: its id, and where it listens.
pub(in crate::lab) const PID_FILE: &str = "vault.pid";

/// The programs, and the variable that each reads the first token from: an argument could be seen by anybody.
const PROGRAMS: [(&str, &str); 2] = [("bao", "BAO_DEV_ROOT_TOKEN_ID"), ("vault", "VAULT_DEV_ROOT_TOKEN_ID")];

const READY_WITHIN: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// A running server; it dies with this value.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    address: SocketAddr,
    /// `bao` or `vault`.
    pub name: &'static str,
}

/// Which of the programs is on PATH.
pub(super) fn installed() -> Option<(PathBuf, &'static str, &'static str)> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    PROGRAMS.into_iter().find_map(|(name, variable)| {
        let program = folders.iter().map(|folder| folder.join(name)).find(|program| program.is_file())?;
        Some((program, name, variable))
    })
}

impl Server {
    /// Starts the one that is on PATH; `None`: there is none.
    pub fn start(home: &Path, token: &SecretString) -> Result<Option<Self>, LabError> {
        let Some((program, name, variable)) = installed() else { return Ok(None) };
        let runner = Runner::choose()?;
        let address = free()?;
        let mut command = runner.command(program.as_os_str());
        command.args(["server", "-dev", "-dev-no-store-token", &format!("-dev-listen-address={address}")]);
        // It greets with its token: nobody keeps what it says.
        command.env(variable, token.expose_secret()).env("HOME", home).stdout(Stdio::null()).stderr(Stdio::null());
        for (other, _) in std::env::vars_os() {
            let other_name = other.to_string_lossy();
            if (other_name.starts_with("VAULT_") || other_name.starts_with("BAO_")) && other_name != variable {
                command.env_remove(&other);
            }
        }
        let child = command.stdin(Stdio::null()).spawn().map_err(LabError::io("run", &program))?;
        let mut server = Self { child, address, name };
        write_private(&home.join(PID_FILE), &format!("{}\n{address}\n", server.child.id()))?;
        let begun = Instant::now();
        loop {
            let ended = server.child.try_wait().map_err(LabError::io("wait for", &program))?;
            if ended.is_some() || begun.elapsed() > READY_WITHIN {
                let said = if ended.is_some() { "it ended at once" } else { "it does not listen" };
                return Err(LabError::Server { program: name, said: said.to_owned() });
            }
            if TcpStream::connect(address).is_ok() {
                return Ok(Some(server));
            }
            std::thread::sleep(POLL);
        }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A child that was not waited for keeps its pid, so this cannot hit a stranger. It holds nothing that is worth a farewell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free() -> Result<SocketAddr, LabError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(LabError::io("find a free port on", Path::new("127.0.0.1")))
}

/// Stops the Vault of an estate that nobody owns any more.
pub(in crate::lab) fn stop_orphan(home: &Path) {
    let Ok(text) = fs::read_to_string(home.join(PID_FILE)) else { return };
    let mut lines = text.lines();
    let (Some(pid), Some(address)) = (lines.next().and_then(|pid| pid.parse().ok()), lines.next()) else { return };
    // A pid may be a stranger's by now: its own arguments say what it is.
    let ours = pid > 1
        && fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|bytes| {
            let arguments = String::from_utf8_lossy(&bytes).replace('\0', " ");
            arguments.contains(" server -dev ") && arguments.contains(&format!("-dev-listen-address={address} "))
        });
    if ours {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}
