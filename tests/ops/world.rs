//! A server with tenants, an admin login as RDS gives one, and the machines of operators who work on it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tierdeck::clients::Environment;
use tierdeck::clients::postgres::Target;
use tierdeck::clients::vault::{Auth, Place as VaultPlace, Vault};
use tierdeck::domain::{InstanceName, Layout, Naming, SessionKey, TenantId};
use tierdeck::ops::act::{Aim, Intent, Signal, Signalling, Throttling};
use tierdeck::ops::audit::Audit;
use tierdeck::ops::estate::{Admin, Estate, Place};
use tierdeck::ops::gate::Gate;
use tierdeck::ops::journal::{Operator, folder};
use tierdeck::ops::{OperationId, Operations, Progress};
use tokio_postgres::Client;

use crate::support::bao::ROOT;
use crate::support::server::Server;
use crate::support::watcher::{HBA, SECRET, session};

/// The admin login.
pub const ADMIN: &str = "portarium_admin";

/// Everything that a server writes about statements, by the session's name.
const SETTINGS: &str = "max_connections = 60\nmax_prepared_transactions = 10\nlog_statement = all\nlog_line_prefix = '%a|'\nautovacuum = off";

/// See the module.
pub struct World {
    pub server: Server,
    pub boss: Client,
    /// Where leases and journals are, if that is another server.
    apart: Option<Box<World>>,
}

/// Where a machine's operator works: enough to make it again in another process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    pub port: u16,
    pub state: PathBuf,
    pub host: String,
    pub stale_ms: u64,
    /// Where its Vault is, if it has one.
    #[serde(default)]
    pub vault: Option<String>,
    /// Where its control database is, if that is another server.
    #[serde(default)]
    pub control: Option<u16>,
    /// Where its exports are, if not with everything else.
    #[serde(default)]
    pub exports: Option<PathBuf>,
    /// `statement_timeout` and `lock_timeout` of what it does.
    pub patience_ms: u64,
    /// `fence_budget`.
    pub budget_ms: u64,
}

pub fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).unwrap()
}

pub fn shared() -> InstanceName {
    InstanceName::new("shared")
}

/// A name for an operation of its own.
pub fn new_id() -> OperationId {
    OperationId::new(jiff::Timestamp::now(), rand::random())
}

impl World {
    pub async fn start() -> Self {
        Self::around(Server::start(SETTINGS, HBA, |_| {})).await
    }

    /// On the server whose programs are in this folder.
    pub async fn start_of(programs: &Path) -> Self {
        Self::around(Server::start_of(programs, SETTINGS, HBA, |_| {})).await
    }

    /// One whose leases and journals are on another server than its tenants: no effect is in one transaction with the lease.
    pub async fn start_apart() -> Self {
        Self { apart: Some(Box::new(Self::start().await)), ..Self::start().await }
    }

    /// The world that holds leases and journals.
    pub fn control(&self) -> &Self {
        self.apart.as_deref().unwrap_or(self)
    }

    async fn around(server: Server) -> Self {
        let postgres = session(server.port, "postgres", "postgres").await;
        // As RDS gives one: no superuser, and what it needs it may hand on.
        let sql = format!(
            "CREATE ROLE {ADMIN} LOGIN CREATEROLE CREATEDB PASSWORD '{SECRET}';
             GRANT pg_monitor, pg_signal_backend TO {ADMIN} WITH ADMIN OPTION;"
        );
        postgres.batch_execute(&sql).await.unwrap();
        postgres.batch_execute(&format!("CREATE DATABASE portarium OWNER {ADMIN}")).await.unwrap();
        let admin = session(server.port, ADMIN, "portarium").await;
        let version: i32 =
            admin.query_one("SELECT current_setting('server_version_num')::int", &[]).await.unwrap().get(0);
        let mut sql = format!(
            "CREATE ROLE tierdeck LOGIN PASSWORD '{SECRET}'; GRANT pg_monitor TO tierdeck;
             CREATE ROLE portarium_shared LOGIN PASSWORD '{SECRET}' CONNECTION LIMIT 30;"
        );
        for (id, login) in [("acme", "LOGIN"), ("globex", "LOGIN"), ("initech", "NOLOGIN")] {
            let grant = if version >= 160_000 { " WITH SET TRUE, INHERIT TRUE" } else { "" };
            write!(
                sql,
                "CREATE ROLE role_{id} {login} PASSWORD '{SECRET}' CONNECTION LIMIT 40;
                 ALTER ROLE role_{id} SET statement_timeout = '30s';
                 GRANT role_{id} TO {ADMIN}{grant};
                 CREATE SCHEMA tenant_{id} AUTHORIZATION role_{id};
                 GRANT USAGE ON SCHEMA tenant_{id} TO portarium_shared;
                 ALTER DEFAULT PRIVILEGES FOR ROLE role_{id} IN SCHEMA tenant_{id} GRANT ALL ON TABLES TO portarium_shared;
                 SET ROLE role_{id};
                 CREATE TABLE tenant_{id}.orders (id int PRIMARY KEY, total numeric);
                 INSERT INTO tenant_{id}.orders SELECT i, i FROM generate_series(1, 500) i;
                 DELETE FROM tenant_{id}.orders WHERE id > 400;
                 RESET ROLE;"
            )
            .unwrap();
        }
        admin.batch_execute(&sql).await.unwrap();
        let boss = session(server.port, "postgres", "portarium").await;
        Self { server, boss, apart: None }
    }

    /// Somebody's machine with an empty state folder.
    pub fn machine(&self, folder: &TempDir, host: &str) -> Machine {
        self.machine_in(&folder.path().join(host), host)
    }

    /// The same with its state there.
    pub fn machine_in(&self, state: &Path, host: &str) -> Machine {
        let control = self.apart.as_ref().map(|apart| apart.server.port);
        Machine { control, ..Machine::at(self.server.port, state.to_owned(), host) }
    }

    pub async fn number(&self, sql: &str) -> i64 {
        self.boss.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    /// Everything that an operation could have changed or left behind.
    pub async fn image(&self) -> String {
        let mut image = String::new();
        for sql in [
            "SELECT rolname, rolcanlogin, rolconnlimit, rolconfig::text FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1",
            "SELECT nspname, nspowner::regrole, nspacl::text FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'tierdeck' ORDER BY 1",
            "SELECT rolname, shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname LIKE 'role%' ORDER BY 1",
            "SELECT roleid::regrole, member::regrole, admin_option FROM pg_auth_members WHERE roleid::regrole::text LIKE 'role%' ORDER BY 1, 2, 3",
            "SELECT nspname, obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname LIKE 'tenant%' ORDER BY 1",
            "SELECT defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype, defaclacl::text FROM pg_default_acl ORDER BY 1, 2, 3",
            "SELECT oid::regclass, relacl::text FROM pg_class WHERE relnamespace::regnamespace::text LIKE 'tenant%' ORDER BY 1",
            "SELECT attrelid::regclass, attname, attacl::text FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid::regclass::text LIKE 'tenant%' ORDER BY 1, 2",
            "SELECT 'locks', count(*) FROM pg_locks WHERE locktype = 'advisory'",
            "SELECT 'sessions', usename, count(*) FROM pg_stat_activity WHERE usename LIKE 'role%' GROUP BY 2 ORDER BY 2",
            "SELECT 'sessions at work', usename, count(*) FROM pg_stat_activity WHERE usename LIKE 'role%' AND state = 'active' GROUP BY 2 ORDER BY 2",
            "SELECT 'vacuumed', relname, vacuum_count > 0 FROM pg_stat_user_tables WHERE schemaname = 'tenant_acme' AND relname = 'orders'",
            "SELECT 'prepared', gid FROM pg_prepared_xacts",
        ] {
            for row in self.boss.simple_query(sql).await.unwrap() {
                if let tokio_postgres::SimpleQueryMessage::Row(row) = row {
                    let cells: Vec<_> = (0..row.len()).map(|cell| row.get(cell).unwrap_or("∅")).collect();
                    writeln!(image, "{}", cells.join(" | ")).unwrap();
                }
            }
        }
        image
    }

    /// The image, once sessions of operations that are over are gone.
    pub async fn settled(&self) -> String {
        for world in [self, self.control()] {
            let ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'tierdeck%'";
            world.until_zero(ours).await;
        }
        self.image().await
    }

    /// Nothing is held by anybody.
    pub async fn nothing_is_held(&self) {
        assert_eq!(self.control().number("SELECT count(*) FROM tierdeck.hold").await, 0);
    }

    pub async fn until_zero(&self, sql: &str) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while self.number(sql).await > 0 {
            assert!(tokio::time::Instant::now() < deadline, "never zero: {sql}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// As if no operation had ever been.
    pub async fn forget(&self) {
        self.control().boss.batch_execute("DROP SCHEMA IF EXISTS tierdeck CASCADE").await.unwrap();
        let reset =
            "ALTER ROLE role_acme LOGIN CONNECTION LIMIT 40; ALTER ROLE role_acme SET statement_timeout = '30s'";
        self.boss.batch_execute(reset).await.unwrap();
    }

    /// What sessions of this name had the server do, in its own words.
    pub fn logged(&self, application: &str) -> Vec<String> {
        let log = self.server.log();
        let prefix = format!("{application}|LOG:  ");
        let said = log.lines().filter_map(|line| line.strip_prefix(&prefix));
        said.filter_map(|line| {
            let line = line
                .strip_prefix("statement: ")
                .or_else(|| line.strip_prefix("execute ").and_then(|rest| rest.split_once(": ")).map(|(_, sql)| sql))?;
            Some(line.to_owned())
        })
        .collect()
    }
}

impl Machine {
    /// One that keeps its state there.
    pub fn at(port: u16, state: PathBuf, host: &str) -> Self {
        let host = host.to_owned();
        let (patience_ms, budget_ms) = (2_000, 20_000);
        Self { port, state, host, stale_ms: 30_000, vault: None, control: None, exports: None, patience_ms, budget_ms }
    }

    /// What its operator works with; `listen` hears everything.
    pub fn operations(&self, allowed: bool, listen: impl Fn(&Progress) + Send + Sync + 'static) -> Operations {
        let place = |instance: InstanceName, port: u16| {
            let url = format!("postgresql://tierdeck@127.0.0.1:{port}/portarium?sslmode=disable");
            let target = Target::parse(&url, &Environment::of([])).unwrap();
            let admin = Admin { target: target.with_user(ADMIN), password: Some(SecretString::from(SECRET).into()) };
            let monitor = "tierdeck".to_owned();
            Place { instance, layout: Layout::Schema, only: None, admin: Ok(admin), monitor }
        };
        let apart = self.control.map(|port| place(InstanceName::new("apart"), port));
        let control = apart.as_ref().map_or_else(shared, |place| place.instance.clone());
        let estate = Estate {
            places: std::iter::once(place(shared(), self.port)).chain(apart).collect(),
            control,
            naming: Arc::new(Naming::default()),
            vault: self.vault(),
            dedicated: "portarium-prod-{id}-db".to_owned(),
            work: self.work(),
            statement_timeout: Duration::from_millis(self.patience_ms),
            lock_timeout: Duration::from_millis(self.patience_ms),
            stale_after: Duration::from_millis(self.stale_ms),
            fence_budget: Duration::from_millis(self.budget_ms),
        };
        let operator = Operator { user: "ann".to_owned(), host: self.host.clone(), version: "test".to_owned() };
        Operations {
            estate: Arc::new(estate),
            folder: folder(&self.state),
            gate: Gate::new(allowed, operator, Audit::at(&self.state)),
            listen: Arc::new(listen),
            pause: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Where its exports are.
    pub fn work(&self) -> PathBuf {
        self.exports.clone().unwrap_or_else(|| self.state.join("work"))
    }

    /// Its Vault, logged in to with the token of the tests.
    pub fn vault(&self) -> Result<Arc<Vault>, String> {
        let address = self.vault.clone().ok_or("there is no Vault in this world")?;
        let timeout = Duration::from_secs(2);
        let place = VaultPlace { address, namespace: None, mount: "secret".to_owned(), ca_cert: None, timeout };
        Ok(Arc::new(Vault::new(place, Auth::Token(SecretString::from(ROOT)))))
    }

    /// The same in silence.
    pub fn quiet(&self) -> Operations {
        self.operations(true, |_| {})
    }
}

/// Throttles a tenant to 5 connections and statements of 5 s.
pub fn throttle(id: &str) -> Intent {
    Intent::Throttle(Throttling {
        tenant: tenant(id),
        instance: shared(),
        connections: 5,
        statement_timeout_ms: Some(5_000),
    })
}

/// Aims at sessions.
pub fn signal(signal: Signal, keys: Vec<SessionKey>, tenant: Option<TenantId>) -> Intent {
    Intent::Signal(Signalling { signal, instance: shared(), aim: Aim::Sessions { keys, tenant }, even_system: false })
}

/// The pid and start of a session, as somebody who watches sees them.
pub async fn key_of(client: &Client) -> SessionKey {
    let sql = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    let row = client.query_one(sql, &[]).await.unwrap();
    SessionKey { pid: row.get(0), started: row.get(1) }
}
