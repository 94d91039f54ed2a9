//! A real PostgreSQL server for a test: made with initdb in a temporary folder, on a free loopback port, as an
//! unprivileged user also when we are root; stopped and removed when dropped, also when the test panics.

#![allow(dead_code, missing_docs, reason = "every test program uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot have its server fails at once")]

use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The password of the superuser `postgres`.
pub const PASSWORD: &str = "correct horse";

/// A running server.
pub struct Server {
    pub port: u16,
    folder: TempDir,
    child: Child,
    programs: PathBuf,
}

/// The folder with initdb and postgres, the newest version first.
fn binaries() -> PathBuf {
    if let Some(folder) = std::env::var_os("TIERDECK_PG_BIN") {
        return folder.into();
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions.map(|entry| entry.path().join("bin")).collect();
    found.sort();
    found.pop().expect("PostgreSQL's server programs are not installed")
}

/// What is installed, each major once: `(version, folder)`: of `TIERDECK_PG_BINS`, the system, and what `make install-test` fetched.
pub fn installed() -> std::collections::BTreeMap<u32, (String, PathBuf)> {
    let given = std::env::var_os("TIERDECK_PG_BINS").unwrap_or_default();
    let given = std::env::split_paths(&given).filter(|path| !path.as_os_str().is_empty());
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home).unwrap_or_default();
    // As .ci/install has it.
    let root = nix::unistd::geteuid().is_root();
    let cache = if root { "/var/cache/tierdeck".into() } else { cache.join("tierdeck") }.join("postgres");
    let within = |folder: PathBuf| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path().join("bin")).collect::<Vec<_>>()
    };
    let version = |folder: &Path| {
        let said = std::process::Command::new(folder.join("postgres")).arg("--version").output().ok()?;
        String::from_utf8_lossy(&said.stdout).split_whitespace().nth(2).map(str::to_owned)
    };
    let mut found = std::collections::BTreeMap::new();
    for folder in given.chain(within("/usr/lib/postgresql".into())).chain(within(cache)) {
        let Some(version) = version(&folder) else { continue };
        let major = version.split(|char: char| !char.is_ascii_digit()).next().unwrap().parse().unwrap();
        found.entry(major).or_insert((version, folder));
    }
    assert!(!found.is_empty(), "no PostgreSQL found: apt-get install postgresql, or name folders in TIERDECK_PG_BINS");
    found
}

/// Runs as `postgres` when we are root: PostgreSQL refuses root.
pub fn unprivileged(command: &mut Command) -> &mut Command {
    if nix::unistd::geteuid().is_root() {
        let user = nix::unistd::User::from_name("postgres").unwrap().expect("there is no user postgres");
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command.current_dir("/")
}

/// Gives a file to the server's user.
pub fn hand_over(path: &Path) {
    if nix::unistd::geteuid().is_root() {
        let user = nix::unistd::User::from_name("postgres").unwrap().expect("there is no user postgres");
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts the postmaster of a prepared folder.
fn postmaster(programs: &Path, folder: &Path) -> Child {
    unprivileged(&mut Command::new(programs.join("postgres")))
        .arg("-D")
        .arg(folder.join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.join("log")).unwrap())
        .spawn()
        .unwrap()
}

impl Server {
    /// Starts a server with these lines added to its configuration and this `pg_hba.conf`; `prepare` may put files
    /// (certificates) into its data folder first.
    pub fn start(settings: &str, hba: &str, prepare: impl FnOnce(&Path)) -> Self {
        Self::start_of(&binaries(), settings, hba, prepare)
    }

    /// The same of the version whose programs are in this folder.
    pub fn start_of(programs: &Path, settings: &str, hba: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::Builder::new().prefix("tierdeck-test-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        hand_over(folder.path());
        let data = folder.path().join("data");
        let secret = folder.path().join("password");
        fs::write(&secret, PASSWORD).unwrap();
        hand_over(&secret);
        let made = unprivileged(&mut Command::new(programs.join("initdb")))
            .args(["--no-sync", "--locale=C", "--encoding=UTF8", "-U", "postgres", "-A", "scram-sha-256"])
            .arg("--pwfile")
            .arg(&secret)
            .arg("-D")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        fs::write(data.join("pg_hba.conf"), hba).unwrap();
        prepare(&data);
        let port = free_port();
        let own = format!(
            "listen_addresses = '127.0.0.1,::1'\nport = {port}\nunix_socket_directories = '{}'\nfsync = off\n{settings}\n",
            folder.path().display()
        );
        let mut configuration = fs::read_to_string(data.join("postgresql.conf")).unwrap();
        configuration.push_str(&own);
        fs::write(data.join("postgresql.conf"), configuration).unwrap();
        let child = postmaster(programs, folder.path());
        let mut server = Self { port, folder, child, programs: programs.to_owned() };
        server.wait();
        server
    }

    /// A standby of this server, which must let `postgres` replicate.
    pub fn standby(&self, settings: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("tierdeck-test-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        hand_over(folder.path());
        let copied = unprivileged(&mut Command::new(self.programs.join("pg_basebackup")))
            .args([
                "--no-sync",
                "--checkpoint=fast",
                "--write-recovery-conf",
                "-h",
                "127.0.0.1",
                "-U",
                "postgres",
                "-p",
            ])
            .arg(self.port.to_string())
            .env("PGPASSWORD", PASSWORD)
            .arg("-D")
            .arg(folder.path().join("data"))
            .output()
            .unwrap();
        assert!(copied.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&copied.stderr));
        let port = free_port();
        let file = folder.path().join("data/postgresql.conf");
        let mut configuration = fs::read_to_string(&file).unwrap();
        let own = format!("port = {port}\nunix_socket_directories = '{}'\n{settings}\n", folder.path().display());
        configuration.push_str(&own);
        fs::write(file, configuration).unwrap();
        let child = postmaster(&self.programs, folder.path());
        let mut server = Self { port, folder, child, programs: self.programs.clone() };
        server.wait();
        server
    }

    /// Crashes it: no goodbye to anybody.
    pub fn crash(&mut self) {
        Self::signal(self.pid().as_raw(), nix::sys::signal::Signal::SIGQUIT);
        self.child.wait().unwrap();
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        self.child = postmaster(&self.programs, self.folder.path());
        self.wait();
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !["ready to accept connections", "ready to accept read-only connections"]
            .iter()
            .any(|it| self.log().contains(it))
        {
            let over = self.child.try_wait().unwrap().is_some() || Instant::now() > deadline;
            assert!(!over, "the server did not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where its socket is.
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the server wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A URL of the superuser, with parameters.
    pub fn url(&self, parameters: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres?{parameters}", self.port)
    }

    /// What psql says when the superuser, who is in this database, pastes this.
    pub fn psql(&self, database: &str, pasted: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"))
            .args(["-X", "-At", "-h", "127.0.0.1", "-U", "postgres", "-d", database, "-p"])
            .arg(self.port.to_string())
            .env("PGPASSWORD", PASSWORD)
            .env("PGCLIENTENCODING", "UTF8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut psql.stdin.take().unwrap(), format!("{pasted}\n").as_bytes()).unwrap();
        let said = psql.wait_with_output().unwrap();
        [said.stdout, said.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat()
    }

    /// The postmaster.
    pub fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Sends a signal to one of the server's processes.
    pub fn signal(pid: i32, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        use nix::sys::signal::{Signal, kill};
        // Children that a test has stopped must run to be able to go.
        if let Ok(children) = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.child.id())) {
            for pid in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
                let _ = kill(nix::unistd::Pid::from_raw(pid), Signal::SIGCONT);
            }
        }
        let _ = kill(self.pid(), Signal::SIGCONT);
        let _ = kill(self.pid(), Signal::SIGQUIT);
        let _ = self.child.wait();
    }
}

/// A listener that accepts and never says a word, until it is dropped.
pub struct Silent {
    pub port: u16,
    over: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Silent {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let end = std::sync::Arc::clone(&over);
        std::thread::spawn(move || {
            let mut kept: Vec<TcpStream> = Vec::new();
            while let Ok((stream, _)) = listener.accept() {
                if end.load(std::sync::atomic::Ordering::SeqCst) {
                    break;
                }
                kept.push(stream);
            }
        });
        Self { port, over }
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.over.store(true, std::sync::atomic::Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port)).map(|mut stream| stream.read(&mut [0]));
    }
}
