//! A real OpenBao for a test: its development server on a free loopback port, in memory; gone when dropped.

#![allow(dead_code, missing_docs, reason = "every test program uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot have its Vault fails at once")]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::server::free_port;

/// The token of the development server.
pub const ROOT: &str = "root-of-the-test";

pub struct Bao {
    pub port: u16,
    home: TempDir,
    child: Child,
}

/// Where OpenBao is: on PATH, or where `.ci/install test` puts it; `None`: nowhere.
pub fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home).unwrap_or_default();
    std::env::split_paths(&path)
        .chain([cache.join("tierdeck/bao")])
        .map(|folder| folder.join("bao"))
        .find(|program| program.is_file())
}

impl Bao {
    pub fn start() -> Option<Self> {
        let program = program()?;
        let home = tempfile::tempdir().unwrap();
        let port = free_port();
        let child = Command::new(program)
            .args(["server", "-dev", "-dev-no-store-token", &format!("-dev-listen-address=127.0.0.1:{port}")])
            .env("BAO_DEV_ROOT_TOKEN_ID", ROOT)
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(home.path().join("log")).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let bao = Self { port, home, child };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !bao.cli(&["status"]).0 {
            let log = std::fs::read_to_string(bao.home.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "OpenBao did not start:\n{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(bao)
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its own client, as root: whether it went well, and what it said.
    fn cli(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(program().unwrap())
            .args(arguments)
            .env("BAO_ADDR", self.url())
            .env("BAO_TOKEN", ROOT)
            .env("HOME", self.home.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).trim().to_owned())
    }

    /// The same, which must go well.
    pub fn does(&self, arguments: &[&str]) -> String {
        let (fine, said) = self.cli(arguments);
        assert!(fine, "bao {arguments:?}: {said}");
        said
    }

    /// A policy of this name.
    pub fn policy(&self, name: &str, rules: &str) {
        let path = self.home.path().join("policy.hcl");
        std::fs::write(&path, rules).unwrap();
        self.does(&["policy", "write", name, path.to_str().unwrap()]);
    }

    /// Stopped, as a process that was killed.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Bao {
    fn drop(&mut self) {
        self.kill();
    }
}
