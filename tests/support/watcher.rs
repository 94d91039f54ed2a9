//! A small world of tenants on a test's server, and the configuration and the folder of somebody who watches it.

#![allow(dead_code, missing_docs, reason = "every test program uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};

use super::server::{PASSWORD, Server};

/// The password of everybody who is not the superuser.
pub const SECRET: &str = "a secret that no screen shows";

/// Everybody may try.
pub const HBA: &str = "local all all scram-sha-256\nhost all all all scram-sha-256\n";

/// The tenants of [`world`].
pub const TENANTS: [&str; 3] = ["acme", "globex", "initech"];

/// A server with [`world`] on it, shared by the tests of a program that run at the same time.
pub async fn shared() -> Arc<Server> {
    static RUNNING: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    static MAKING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _making = MAKING.lock().await;
    let running = || RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = running().upgrade() {
        return server;
    }
    let server =
        Arc::new(Server::start("max_connections = 60\nshared_preload_libraries = 'pg_stat_statements'", HBA, |_| {}));
    world(server.port).await;
    *running() = Arc::downgrade(&server);
    server
}

/// A session of somebody.
pub async fn session(port: u16, user: &str, database: &str) -> Client {
    let password = if user == "postgres" { PASSWORD } else { SECRET };
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user(user).password(password).dbname(database);
    let (client, connection) =
        config.connect(NoTls).await.unwrap_or_else(|error| panic!("{user}@{database}: {error:?}"));
    tokio::spawn(connection);
    client
}

/// The monitoring login and a few tenants with a table each.
pub async fn world(port: u16) {
    let boss = session(port, "postgres", "postgres").await;
    let mut sql = format!(
        "CREATE ROLE tierdeck LOGIN PASSWORD '{SECRET}'; GRANT pg_monitor TO tierdeck;
         CREATE EXTENSION pg_stat_statements;"
    );
    for tenant in TENANTS {
        write!(
            sql,
            "CREATE ROLE role_{tenant} LOGIN PASSWORD '{SECRET}' CONNECTION LIMIT 20;
             CREATE SCHEMA tenant_{tenant} AUTHORIZATION role_{tenant};
             SET ROLE role_{tenant};
             CREATE TABLE tenant_{tenant}.orders (id int PRIMARY KEY, total numeric);
             INSERT INTO tenant_{tenant}.orders SELECT i, i FROM generate_series(1, 100) i;
             RESET ROLE;"
        )
        .unwrap();
    }
    boss.batch_execute(&sql).await.unwrap();
}

/// Where somebody who watches has a home and a configuration.
pub struct Watcher {
    pub home: TempDir,
}

impl Watcher {
    /// Watches these instances, as `(name, url)`.
    pub fn of_urls(instances: &[(&str, String)]) -> Self {
        let home = tempfile::Builder::new().prefix("tierdeck-watcher-").tempdir().unwrap();
        // A test's server is always new: only a restart that is seen is news.
        let mut text = "environment = \"test\"\n\n[thresholds]\nrestart_info_seconds = \"0s\"\n".to_owned();
        for (name, url) in instances {
            let secret = home.path().join(format!("{name}.password"));
            fs::write(&secret, SECRET).unwrap();
            fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
            write!(
                text,
                "\n[[instance]]\nname = \"{name}\"\ntier = \"shared\"\nurl = \"{url}\"\npassword = {{ file = \"{}\" }}\n",
                secret.display()
            )
            .unwrap();
        }
        let watcher = Self { home };
        fs::write(watcher.path(), text).unwrap();
        watcher
    }

    /// Watches the database `postgres` behind these ports.
    pub fn of(instances: &[(&str, u16)]) -> Self {
        let url = |port: u16| format!("postgresql://tierdeck@127.0.0.1:{port}/postgres?sslmode=disable");
        let urls: Vec<_> = instances.iter().map(|(name, port)| (*name, url(*port))).collect();
        Self::of_urls(&urls)
    }

    /// Adds to the configuration, before anybody reads it.
    pub fn configure(self, toml: &str) -> Self {
        let text = fs::read_to_string(self.path()).unwrap();
        fs::write(self.path(), format!("{text}\n{toml}")).unwrap();
        self
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.home.path().join("tierdeck.toml")
    }

    /// Changes the password that instance is asked with.
    pub fn set_password(&self, instance: &str, password: &str) {
        fs::write(self.home.path().join(format!("{instance}.password")), password).unwrap();
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The console, about to be opened.
    pub fn console(&self) -> super::console::Start {
        super::console::tierdeck(&["--config", &self.path().to_string_lossy()])
            .environment("HOME", self.home())
            .environment("TIERDECK_STATE", self.home().join("state"))
            .environment("XDG_CONFIG_HOME", self.home().join("config"))
    }

    /// What a command without a terminal says.
    pub fn run(&self, arguments: &[&str]) -> super::console::Said {
        let path = self.path();
        let path = path.to_string_lossy();
        super::console::run(&[&["--config", &path], arguments].concat(), self.home())
    }
}
