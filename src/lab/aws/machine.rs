//! What is behind an instance: one real cluster with its archive of WAL. It is made, started, stopped and asked here;
//! what RDS says of it is elsewhere.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use postgres_protocol::escape::{escape_identifier, escape_literal};
use secrecy::SecretString;

use super::keeper::Kept;
use super::store::{Store, folder};
use crate::lab::LabError;
use crate::lab::binaries::Binaries;
use crate::lab::cluster::{self, Cluster, SUPERUSER, data_folder};
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
    server: Mutex<Server>,
}

#[derive(Debug, Default)]
struct Server {
    cluster: Option<Cluster>,
    port: u16,
    pid: u32,
    /// Nothing is started here any more.
    over: bool,
}

/// Until when a copy is rolled forward, and with whose WAL.
#[derive(Debug, Clone)]
pub struct Target {
    /// The moment.
    pub at: Timestamp,
    /// Whose archive: held, so that it stays until recovery has read it.
    pub source: Arc<Machine>,
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
            server: Mutex::new(Server { port: theirs.port, pid: theirs.pid, ..Server::default() }),
        }))
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of its backups and its work.
    pub fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.server().port
    }

    /// The postmaster; `None` while there is none.
    pub fn pid(&self) -> Option<u32> {
        Some(self.server().pid).filter(|pid| *pid != 0)
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
        // Small WAL files: an archive of mostly empty ones would fill a laptop.
        cluster::create(binaries, &self.runner, &self.home, &self.boss, &["--wal-segsize=1"])
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
        // What a copy's configuration still says of its own past is overruled.
        set("restore_command", target.map(|target| restore_command(&target.source.archive)).unwrap_or_default());
        set("recovery_target_time", target.map(|target| moment(target.at)).unwrap_or_default());
        set("recovery_target_action", "promote".to_owned());
        set("hot_standby", "off".to_owned());
        set("log_directory", self.logs.display().to_string());
        if target.is_some() {
            let signal = self.data.join("recovery.signal");
            fs::write(&signal, "").map_err(LabError::io("write", &signal))?;
            self.runner.give(&signal)?;
        }
        let mut server = self.server();
        if server.over {
            return Err(LabError::Server { program: "postgres", said: "the estate is being stopped".to_owned() });
        }
        server.cluster = None;
        let cluster = Cluster::start(binaries, &self.runner, &self.home, &all).map_err(|error| self.explain(error))?;
        (server.port, server.pid) = (cluster.port(), cluster.pid());
        server.cluster = Some(cluster);
        Ok(())
    }

    /// What a server that collects its logs said last is in them.
    fn explain(&self, error: LabError) -> LabError {
        let LabError::Server { program, said } = error else { return error };
        let mut files: Vec<PathBuf> =
            fs::read_dir(&self.logs).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.sort();
        let fatal = files.last().and_then(|path| fs::read_to_string(path).ok()).and_then(|text| {
            let line = text.lines().rev().find(|line| line.contains("FATAL:"))?;
            Some(crate::domain::foreign::sanitise(line).into_owned())
        });
        LabError::Server { program, said: fatal.unwrap_or(said) }
    }

    /// Stops it; it may be started again. Blocking.
    pub fn pause(&self) {
        self.server().cluster = None;
    }

    /// Stops it for good. Blocking; nothing is left running, whatever was about to be started.
    pub fn halt(&self) {
        let mut server = self.server();
        server.over = true;
        if let Some(mut cluster) = server.cluster.take() {
            cluster.drop_dead();
        }
    }

    /// Stops it for good and removes its files. Blocking.
    pub fn remove(&self) {
        self.halt();
        self.kept().bases.clear();
        if self.is_own() {
            let _ = fs::remove_dir_all(&self.home);
        }
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
