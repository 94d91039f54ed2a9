//! A real PgBouncer for a test, before a real server: on a free loopback port, as an unprivileged user also when we are
//! root; stopped and removed when dropped.

#![allow(dead_code, missing_docs, reason = "every test program uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot have its pooler fails at once")]

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::server::{free_port, hand_over, unprivileged};

/// The password of everybody at the pooler.
pub const PASSWORD: &str = "pooled";

/// A running PgBouncer.
pub struct Pooler {
    pub port: u16,
    folder: TempDir,
    child: Option<Child>,
}

/// Where PgBouncer is; `None`: not installed.
pub fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join("pgbouncer")).find(|program| program.exists())
}

impl Pooler {
    /// Starts it with these lines below `[databases]` and `[pgbouncer]`; `stats` may look, `portarium_shared` may work.
    pub fn start(databases: &str, settings: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("tierdeck-pooler-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        hand_over(folder.path());
        let port = free_port();
        let users = folder.path().join("users");
        let line = |user: &str| format!("\"{user}\" \"{PASSWORD}\"\n");
        fs::write(&users, [line("stats"), line("boss"), line("portarium_shared")].concat()).unwrap();
        let text = format!(
            "[databases]\n{databases}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = scram-sha-256\nauth_file = {}\nadmin_users = boss\nstats_users = stats\n{settings}\n",
            users.display()
        );
        fs::write(folder.path().join("pgbouncer.ini"), text).unwrap();
        let mut pooler = Self { port, folder, child: None };
        pooler.start_again();
        pooler
    }

    /// Starts it where it was.
    pub fn start_again(&mut self) {
        let ini = self.folder.path().join("pgbouncer.ini");
        for file in [&ini, &self.folder.path().join("users")] {
            hand_over(file);
        }
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = Command::new(program().expect("PgBouncer is not installed"));
        unprivileged(&mut command).arg(&ini).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let over = self.child.as_mut().unwrap().try_wait().unwrap().is_some() || Instant::now() > deadline;
            assert!(!over, "PgBouncer did not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops it at once.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.stop();
    }
}
