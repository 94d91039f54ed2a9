//! The program, watched from outside.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

/// Ended when dropped.
pub struct Watched {
    pid: u32,
    child: Running,
}

enum Running {
    Plain(Child),
    InTerminal { child: Box<dyn portable_pty::Child + Send + Sync>, _master: Box<dyn portable_pty::MasterPty + Send> },
}

impl Watched {
    /// The console in a terminal that somebody reads, or `serve`.
    pub fn start(config: &Path, home: &Path, screen: bool) -> Self {
        let program = env!("CARGO_BIN_EXE_tierdeck");
        let (state, config) = (home.join("watcher"), config.to_str().unwrap());
        if !screen {
            let mut command = Command::new(program);
            command.args(["--config", config, "serve", "--listen", "127.0.0.1:0"]).env("TIERDECK_STATE", state);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let child = command.spawn().unwrap();
            return Self { pid: child.id(), child: Running::Plain(child) };
        }
        let size = PtySize { rows: 60, cols: 200, ..PtySize::default() };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(["--config", config]);
        command.env("TIERDECK_STATE", state);
        command.env("TERM", "xterm-256color");
        command.cwd(home);
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while reader.read(&mut buffer).is_ok_and(|read| read > 0) {}
        });
        let pid = child.process_id().unwrap();
        Self { pid, child: Running::InTerminal { child, _master: pair.master } }
    }

    pub fn is_running(&mut self) -> bool {
        match &mut self.child {
            Running::Plain(child) => child.try_wait().unwrap().is_none(),
            Running::InTerminal { child, .. } => child.try_wait().unwrap().is_none(),
        }
    }

    pub fn sockets(&self) -> usize {
        let open = fs::read_dir(format!("/proc/{}/fd", self.pid)).into_iter().flatten().flatten();
        open.filter_map(|entry| fs::read_link(entry.path()).ok())
            .filter(|to| to.to_string_lossy().starts_with("socket:"))
            .count()
    }

    /// Seconds of processor so far.
    pub fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        [11, 12].iter().map(|place| fields[*place].parse::<f64>().unwrap() / 100.0).sum()
    }

    /// Megabytes.
    pub fn memory(&self, what: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<f64>().unwrap() * 1_024.0 / 1e6
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        match &mut self.child {
            Running::Plain(child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            Running::InTerminal { child, .. } => {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}
