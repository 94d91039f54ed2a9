//! What is behind an instance: one real cluster with its archive of WAL. It is made, started, stopped and asked here;
//! what RDS says of it is elsewhere.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jiff::Timestamp;
use postgres_protocol::escape::{escape_identifier, escape_literal};
use secrecy::SecretString;

use super::berth::Berth;
use super::journal::{self, LogFile};
use super::keeper::{Kept, Reading};
use super::store::{Store, folder};
use crate::domain::foreign::sanitise;
use crate::lab::LabError;
use crate::lab::binaries::Binaries;
use crate::lab::cluster::{self, Cluster, SMALL_WAL, SUPERUSER, data_folder};
use crate::lab::door::{Door, Link, verifier};
use crate::lab::runner::Runner;

/// The database that RDS keeps for itself; its heartbeat is in it.
pub const OWN_DATABASE: &str = "rdsadmin";

/// A cluster.
#[derive(Debug)]
pub struct Machine {
    /// Its folder.
    pub home: PathBuf,
    /// The data folder.
    pub data: PathBuf,
    /// Where its WAL is archived.
    pub archive: PathBuf,
    /// The folder of its logs.
    pub logs: PathBuf,
    /// The superuser's password.
    pub boss: SecretString,
    /// Which PostgreSQL.
    pub major: u32,
    /// What is known of its backups and its work.
    pub kept: Mutex<Kept>,
    binaries: Option<Binaries>,
    runner: Runner,
    /// Its port, from its first start on.
    berth: OnceLock<Berth>,
    // Asked for at any time, also while the server restarts: so they are not behind its lock.
    port: AtomicU16,
    pid: AtomicU32,
    /// Nothing is started here any more.
    over: Arc<AtomicBool>,
    /// Its files go with this value.
    removed: AtomicBool,
    /// Locked as long as it starts or stops.
    server: Mutex<Option<Cluster>>,
}

/// Until when a copy is rolled forward, and with whose WAL.
#[derive(Debug, Clone)]
pub struct Target {
    /// The moment.
    pub at: Timestamp,
    /// Whose archive.
    pub reading: Arc<Reading>,
}

impl Machine {
    /// A place for a cluster of this version; nothing is in it yet.
    pub fn new(home: PathBuf, binaries: &Binaries, runner: &Runner, boss: SecretString) -> Arc<Self> {
        Arc::new(Self {
            data: data_folder(&home),
            archive: home.join("archive"),
            logs: home.join("log"),
            home,
            boss,
            major: binaries.major,
            kept: Mutex::default(),
            binaries: Some(binaries.clone()),
            runner: runner.clone(),
            berth: OnceLock::new(),
            port: AtomicU16::default(),
            pid: AtomicU32::default(),
            over: Arc::default(),
            removed: AtomicBool::default(),
            server: Mutex::default(),
        })
    }

    /// A cluster that somebody else runs. `home` is for its archive.
    pub fn of_others(home: PathBuf, runner: &Runner, theirs: Theirs) -> Result<Arc<Self>, LabError> {
        let archive = home.join("archive");
        folder(&home, runner)?;
        folder(&archive, runner)?;
        Ok(Arc::new(Self {
            data: theirs.data,
            archive,
            logs: theirs.logs,
            home,
            boss: theirs.boss,
            major: theirs.major,
            kept: Mutex::default(),
            binaries: None,
            runner: runner.clone(),
            berth: OnceLock::new(),
            port: AtomicU16::new(theirs.port),
            pid: AtomicU32::new(theirs.pid),
            over: Arc::default(),
            removed: AtomicBool::default(),
            server: Mutex::default(),
        }))
    }

    fn server(&self) -> MutexGuard<'_, Option<Cluster>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of its backups and its work.
    pub fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.load(Ordering::SeqCst)
    }

    /// The postmaster; `None` while there is none.
    pub fn pid(&self) -> Option<u32> {
        Some(self.pid.load(Ordering::SeqCst)).filter(|pid| *pid != 0)
    }

    /// Whether it is ours to stop and to remove.
    pub fn is_own(&self) -> bool {
        self.binaries.is_some()
    }

    /// Logs in.
    pub async fn open(&self, role: &str, database: &str) -> Result<Link, tokio_postgres::Error> {
        let keys = HashMap::from([(SUPERUSER.to_owned(), self.boss.clone())]);
        Door::new(self.port(), keys).open(role, database, "rds").await
    }

    /// A new, empty cluster. Blocking.
    pub fn initialise(&self) -> Result<(), LabError> {
        let Some(binaries) = &self.binaries else { return Ok(()) };
        self.prepare()?;
        cluster::create(binaries, &self.runner, &self.home, &self.boss, &[SMALL_WAL])
    }

    /// The files of a copy. Blocking.
    pub fn unpack(&self, store: &Store) -> Result<(), LabError> {
        self.prepare()?;
        store.unpack(&self.home, &self.runner)
    }

    fn prepare(&self) -> Result<(), LabError> {
        for path in [&self.home, &self.archive, &self.logs] {
            folder(path, &self.runner)?;
        }
        Ok(())
    }

    /// Starts it, rolled forward to a moment if one is given. Blocking.
    pub fn start(&self, settings: &[(String, String)], target: Option<&Target>) -> Result<(), LabError> {
        let Some(binaries) = &self.binaries else { return Ok(()) };
        let mut all = settings.to_vec();
        let mut set = |name: &str, value: String| all.push((name.to_owned(), value));
        set(
            "restore_command",
            target.map(|target| restore_command(&target.reading.source.archive)).unwrap_or_default(),
        );
        set("recovery_target_time", target.map(|target| moment(target.at)).unwrap_or_default());
        set("recovery_target_action", "promote".to_owned());
        set("hot_standby", "off".to_owned());
        set("log_directory", self.logs.display().to_string());
        if target.is_some() {
            let signal = self.data.join("recovery.signal");
            fs::write(&signal, "").map_err(LabError::io("write", &signal))?;
            self.runner.give(&signal)?;
        }
        // What a running server was told before, or a copy's source, is the parameter group's business now.
        let told = self.data.join("postgresql.auto.conf");
        fs::write(&told, "").map_err(LabError::io("write", &told))?;
        let mut server = self.server();
        *server = None;
        let logged = self.newest_log();
        let berth = self.berth()?;
        berth.make_way();
        let started = Cluster::start_at(berth.port(), binaries, &self.runner, &self.home, &all, &self.over);
        let cluster = started.map_err(|error| {
            berth.hold();
            self.explain(error, logged)
        })?;
        self.port.store(cluster.port(), Ordering::SeqCst);
        self.pid.store(cluster.pid(), Ordering::SeqCst);
        *server = Some(cluster);
        Ok(())
    }

    fn berth(&self) -> Result<&Berth, LabError> {
        if let Some(berth) = self.berth.get() {
            return Ok(berth);
        }
        let taken = Berth::take()?;
        Ok(self.berth.get_or_init(|| taken))
    }

    fn newest_log(&self) -> Option<LogFile> {
        journal::files(&self.logs).pop()
    }

    /// What a server that collects its logs said last is in them, behind what was `logged` before it started.
    fn explain(&self, error: LabError, logged: Option<LogFile>) -> LabError {
        let LabError::Server { program, said } = error else { return error };
        let fatal = self.newest_log().and_then(|newest| {
            let text = fs::read_to_string(&newest.path).ok()?;
            let old = logged.filter(|it| it.path == newest.path).map_or(0, |it| it.size as usize);
            let line = text.get(old..)?.lines().rev().find(|line| line.contains("FATAL:"))?;
            Some(sanitise(line).into_owned())
        });
        LabError::Server { program, said: fatal.unwrap_or(said) }
    }

    /// Stops it; it may be started again. Blocking.
    pub fn pause(&self) {
        self.pid.store(0, Ordering::SeqCst);
        *self.server() = None;
        if let Some(berth) = self.berth.get() {
            berth.hold();
        }
    }

    /// Stops it for good. Blocking, but not for long: who starts or stops it just then gives up. Nothing is left running.
    pub fn halt(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.pause();
    }

    /// Stops it for good. Its files go with the last who holds it: a restore may still read its archive. Blocking.
    pub fn remove(&self) {
        self.halt();
        self.kept().forget();
        self.removed.store(self.is_own(), Ordering::SeqCst);
    }

    /// What RDS sets up in a new cluster: the master user, who is no superuser, the database that was asked for, its own.
    pub async fn furnish(&self, master: &Master) -> Result<(), LabError> {
        let user = escape_identifier(&master.user);
        let mut statements = vec![
            format!(
                "CREATE ROLE {user} LOGIN CREATEROLE CREATEDB REPLICATION PASSWORD {};
                 GRANT pg_monitor, pg_signal_backend TO {user} WITH ADMIN OPTION",
                escape_literal(&verifier(&master.password))
            ),
            format!("CREATE DATABASE {OWN_DATABASE}"),
            format!("REVOKE ALL ON DATABASE {OWN_DATABASE} FROM PUBLIC"),
        ];
        if let Some(name) = &master.database {
            statements.push(format!("CREATE DATABASE {} OWNER {user}", escape_identifier(name)));
        }
        self.run("postgres", "set an instance up", statements).await?;
        if let Some(name) = &master.database {
            self.run(name, "set a database up", vec!["CREATE EXTENSION pg_stat_statements".to_owned()]).await?;
        }
        Ok(())
    }

    /// Gives a user another password.
    pub async fn set_password(&self, user: &str, password: &SecretString) -> Result<(), LabError> {
        let user = escape_identifier(user);
        let statement = format!("ALTER ROLE {user} PASSWORD {}", escape_literal(&verifier(password)));
        self.run("postgres", "change a password", vec![statement]).await
    }

    /// Runs statements, each by itself, as the superuser.
    pub async fn run(&self, database: &str, doing: &str, statements: Vec<String>) -> Result<(), LabError> {
        let link = self.open(SUPERUSER, database).await.map_err(LabError::database(doing))?;
        for statement in statements {
            link.client.batch_execute(&statement).await.map_err(LabError::database(doing))?;
        }
        Ok(())
    }

    /// Where a server of ours archives to, as a setting.
    pub fn archive_command(archive: &Path) -> String {
        let path = archive.display();
        // Under another name first: what has the name of a WAL file is whole.
        format!("cp \"%p\" \"{path}/%f.part\" && mv \"{path}/%f.part\" \"{path}/%f\"")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if *self.removed.get_mut() {
            let _ = fs::remove_dir_all(&self.home);
        }
    }
}

/// As the server reads it before it knows any time zone's name.
fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S%.6f+00").to_string()
}

fn restore_command(archive: &Path) -> String {
    format!("cp \"{}/%f\" \"%p\"", archive.display())
}

/// A cluster that somebody else runs.
#[derive(Debug)]
pub struct Theirs {
    /// Its data folder.
    pub data: PathBuf,
    /// The folder of its log.
    pub logs: PathBuf,
    /// Its port.
    pub port: u16,
    /// Its postmaster.
    pub pid: u32,
    /// The superuser's password.
    pub boss: SecretString,
    /// Which PostgreSQL.
    pub major: u32,
}

/// Who may log in to a new instance, and to what.
#[derive(Debug, Clone)]
pub struct Master {
    /// The master user.
    pub user: String,
    /// Its password.
    pub password: SecretString,
    /// The database to make.
    pub database: Option<String>,
}
