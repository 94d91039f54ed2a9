//! An instance as large as they come, as facts: 10,000 tenants with 40,000 tables and 1,000 sessions that change every second.
//! Every source brings as much as it would, as often as it is asked by default. Facts are made up when they are due and
//! given away, so that none stay here.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tierdeck::domain::facts::{
    Account, Activity, Audit, Bloat, Catalog, Churn, Database, Debt, Fragment, Freeze, Grant, Horizon, ObjectKind,
    OldestTable, Operations, Replication, Role, Roles, Schema, SchemaChurn, Server, Sizes, Source, Statement,
    StatementCounters, StatementKey, Statements, TableDebt, Vacuums,
};
use tierdeck::domain::session::{Blocking, Relation, Wait};
use tierdeck::domain::{
    Attribution, Foreign, InstanceName, Layout, Limits, Naming, Past, Policy, Record, Session, SessionKey,
    SessionState, Snapshot, TenantId, Thresholds, Tier,
};
use tierdeck::poll::{Board, InstancePlan, News, Rules};
use tierdeck::signals::Evaluator;

/// How large.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Tenants, four tables each.
    pub tenants: usize,
    /// Sessions.
    pub sessions: usize,
}

/// The instance, and the board that watches it.
pub struct Estate {
    scale: Scale,
    random: SmallRng,
    pub board: Board,
    pub now: Timestamp,
    second: u64,
    written: Vec<u64>,
    every: BTreeMap<Source, Duration>,
}

fn pid(nth: usize) -> i32 {
    1_000 + i32::try_from(nth).unwrap_or_default()
}

fn schema(tenant: usize) -> String {
    format!("tenant_customer_{tenant:05}")
}

impl Estate {
    pub fn new(scale: Scale, now: Timestamp) -> Self {
        let wanted = Limits { connection_limit: Some(40), ..Limits::default() };
        let rules = Rules {
            environment: "prod".into(),
            naming: Arc::new(Naming::default()),
            policy: Policy { shared: wanted, ..Policy::default() },
            thresholds: Thresholds::default(),
        };
        let plan = InstancePlan {
            name: InstanceName::new("shared"),
            tier: Tier::Shared,
            layout: Layout::Schema,
            tenant: None,
            vcpus: Some(16.0),
            pooled: false,
            cloud: None,
        };
        let every = tierdeck::config::default_poll();
        let board = Board::new(rules, vec![plan], |source| every[&source], Evaluator::steady());
        let random = SmallRng::seed_from_u64(1);
        let mut estate = Self { scale, random, board, now, second: 0, written: vec![0; scale.tenants], every };
        estate.board.take(now, 0, News::Connected(server(now)));
        let past = estate.past();
        estate.board.recall(&past);
        for source in Source::ALL {
            estate.deliver_now(source);
        }
        estate
    }

    fn deliver_now(&mut self, source: Source) {
        if let Some(fragment) = self.fragment(source) {
            self.deliver(fragment);
        }
    }

    /// Takes facts in, as the collector does.
    pub fn deliver(&mut self, fragment: Fragment) {
        let every = self.every[&fragment.source()];
        let took = Duration::from_millis(2);
        self.board.take(self.now, 0, News::Delivered { fragment, took, every });
    }

    /// Lets a second pass: what the sources bring in it.
    pub fn pass_a_second(&mut self) -> Vec<Fragment> {
        self.now += SignedDuration::from_secs(1);
        self.second += 1;
        let second = self.second;
        let due = Source::ALL.into_iter().filter(|source| second.is_multiple_of(self.every[source].as_secs()));
        let due: Vec<Source> = due.collect();
        due.into_iter().filter_map(|source| self.fragment(source)).collect()
    }

    /// What a source says now.
    fn fragment(&mut self, source: Source) -> Option<Fragment> {
        Some(match source {
            Source::Activity => self.activity(),
            Source::Databases => self.databases(),
            Source::Roles => self.roles(),
            Source::Churn => self.churn(),
            Source::Debt => self.debt(),
            Source::Sizes => self.sizes(),
            Source::Freeze => self.freeze(),
            Source::Vacuums => Fragment::Vacuums(Vacuums::default()),
            Source::Replication => Fragment::Replication(Replication::default()),
            Source::Horizon => Fragment::Horizon(Horizon { server_now: self.now, ..Horizon::default() }),
            Source::Statements => self.statements(),
            Source::Catalog => self.catalog(),
            Source::Bloat => Fragment::Bloat(Bloat::default()),
            Source::Operations => Fragment::Operations(Operations { server_now: self.now, rows: Vec::new() }),
            // What is not asked of the server.
            Source::Pooler
            | Source::Secrets
            | Source::Metrics
            | Source::Rds
            | Source::Alarms
            | Source::Events
            | Source::Parameters
            | Source::Snapshots
            | Source::Backups => return None,
        })
    }

    /// The picture of this second.
    pub fn snapshot(&mut self) -> Snapshot {
        self.board.snapshot(self.now)
    }

    /// What two weeks of history say of everybody.
    fn past(&self) -> Past {
        let record = |tenant: usize| Record {
            since: self.now - SignedDuration::from_hours(14 * 24),
            watched_seconds: 14.0 * 86_400.0,
            rows_written_per_day: Some((tenant % 977) as f64 * 900.0),
            spikiness: Some(1.0 + (tenant % 8) as f64),
            noisy_seconds: 0.0,
            noisy_times: 0,
        };
        let name = InstanceName::new("shared");
        let records = (0..self.scale.tenants).map(|tenant| ((name.clone(), id(tenant)), Arc::new(record(tenant))));
        Past { records: records.collect::<HashMap<_, _>>(), standing: Vec::new() }
    }

    /// One in ten waits for a lock, one in five works, the others idle; most log in as the shared account.
    fn activity(&mut self) -> Fragment {
        let sessions = (0..self.scale.sessions).map(|nth| self.session(nth)).collect();
        Fragment::Activity(Activity { server_now: self.now, sessions, own: 3, sees_all: true, wal: None })
    }

    fn session(&mut self, nth: usize) -> Session {
        let ago = |seconds: i64| self.now - SignedDuration::from_secs(seconds);
        let tenant = nth * 7 % self.scale.tenants;
        let (own, blocked, active) = (nth.is_multiple_of(3), nth % 10 == 1, nth % 5 < 2);
        let age = self.random.random_range(0..4);
        let wait = match (blocked, active, age) {
            (true, ..) => Some(("Lock", "transactionid")),
            (_, true, 0) => Some(("IO", "DataFileRead")),
            (_, true, _) => None,
            _ => Some(("Client", "ClientRead")),
        };
        Session {
            instance: InstanceName::new("shared"),
            key: SessionKey { pid: pid(nth), started: ago(600 + i64::from(pid(nth))) },
            attribution: Attribution::None,
            role: Foreign::from(
                if own { format!("role_customer_{tenant:05}") } else { "portarium_shared".to_owned() }.as_str(),
            ),
            database: Foreign::from("portarium"),
            application: Foreign::from("orders-api"),
            client: Some(Arc::from("10.0.7.12:51234")),
            state: if active || blocked { SessionState::Active } else { SessionState::Idle },
            wait: wait.map(|(kind, event)| Wait { kind: kind.into(), event: event.into() }),
            transaction_started: (active || blocked).then(|| ago(age)),
            query_started: Some(ago(age)),
            state_changed: Some(ago(age)),
            query: Some(Foreign::from(
                "SELECT o.id, o.total FROM orders o JOIN customers c USING (customer) WHERE c.id = $1",
            )),
            blocking: blocked.then(|| Blocking {
                by: vec![pid(nth / 100 * 100)],
                inferred: false,
                since: Some(ago(age)),
                mode: Some("ShareLock".into()),
                rows: true,
                relation: Some(Foreign::from(format!("{}.orders", schema(tenant)).as_str())),
            }),
            workers: 0,
            query_id: Some(i64::from(pid(nth)) % 500),
            relations: if active {
                ["orders", "customers"]
                    .map(|table| Relation { schema: schema(tenant).as_str().into(), name: table.into() })
                    .into()
            } else {
                Vec::new()
            },
            usage: None,
            touched: if active || blocked { vec![Arc::from(schema(tenant).as_str())] } else { Vec::new() },
            server_now: self.now,
        }
    }

    fn churn(&mut self) -> Fragment {
        for (tenant, written) in self.written.iter_mut().enumerate() {
            *written += self.random.random_range(0..100) / (1 + tenant as u64 % 40);
        }
        let since = Some(self.now - SignedDuration::from_secs(86_400));
        let home = |(tenant, written): (usize, &u64)| SchemaChurn {
            home: Arc::from(schema(tenant).as_str()),
            since,
            tables: 4,
            rows_written: *written,
            blocks_read: Some(written / 3),
            dead_tuples: Some(written / 10),
            live_tuples: Some(100_000),
        };
        Fragment::Churn(Churn {
            server_now: self.now,
            homes: self.written.iter().enumerate().map(home).collect(),
            whole: None,
        })
    }

    fn databases(&self) -> Fragment {
        Fragment::Databases(vec![Database {
            name: Foreign::from("portarium"),
            backends: self.scale.sessions as u32,
            transactions: self.second * 4_000,
            blocks_read: self.second * 100,
            blocks_hit: self.second * 90_000,
            rows_written: self.second * 2_000,
            temp_bytes: 0,
            deadlocks: 0,
            in_use: true,
            stats_reset: None,
            xid_age: 50_000_000,
            multixact_age: 1_000,
        }])
    }

    fn roles(&self) -> Fragment {
        let settings = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"];
        let settings = Arc::new(settings.map(|name| (name.to_owned(), "30s".to_owned())).into());
        let role = |name: String, can_login: bool| Role {
            name: Foreign::from(name.as_str()),
            can_login,
            connection_limit: (name != "portarium_shared").then_some(40),
            superuser: false,
            settings: Arc::clone(&settings),
            in_databases: BTreeMap::new(),
        };
        let mut roles: Vec<Role> = (0..self.scale.tenants)
            .map(|tenant| role(format!("role_customer_{tenant:05}"), tenant.is_multiple_of(3)))
            .collect();
        roles.push(role("portarium_shared".to_owned(), true));
        Fragment::Roles(Roles { roles, ..Roles::default() })
    }

    fn sizes(&self) -> Fragment {
        let homes = (0..self.scale.tenants).map(|tenant| (Arc::from(schema(tenant)), 1 << (16 + tenant % 20)));
        Fragment::Sizes(Sizes { homes: homes.collect(), estimated: true })
    }

    /// Every schema with its owner; rights that everybody has on hundreds of things.
    fn catalog(&self) -> Fragment {
        let owner = |tenant: usize| Foreign::from(format!("role_customer_{tenant:05}").as_str());
        let schemas = (0..self.scale.tenants).map(|tenant| Schema {
            database: Foreign::from("portarium"),
            name: Foreign::from(schema(tenant).as_str()),
            owner: owner(tenant),
            tables: 4,
            comment: None,
        });
        let grants = (0..500.min(self.scale.tenants)).map(|tenant| Grant {
            database: Foreign::from("portarium"),
            on: if tenant.is_multiple_of(2) { ObjectKind::Schema } else { ObjectKind::Table },
            schema: Foreign::from(schema(tenant).as_str()),
            object: Foreign::from("orders"),
            objects: 4,
            owner: owner(tenant),
            grantee: Some(Foreign::from("portarium_shared")),
            privileges: vec!["SELECT".into(), "INSERT".into()],
        });
        let audit = Audit { loaded: Some(true), log: Some("ddl, role".into()) };
        let (schemas, grants) = (schemas.collect(), grants.collect());
        Fragment::Catalog(Catalog { schemas, grants, audit, ..Catalog::default() })
    }

    /// The dearest of ten thousand statements: most of the shared account.
    fn statements(&mut self) -> Fragment {
        let entries: Vec<Statement> = (0..1_000)
            .map(|nth: u32| {
                let tenant = self.random.random_range(0..self.scale.tenants);
                let grew = StatementCounters {
                    calls: u64::from(nth % 50) + 1,
                    milliseconds: f64::from(nth % 70),
                    rows: 100,
                    blocks_read: u64::from(nth),
                    wal_bytes: u64::from(nth) * 1_000,
                    ..StatementCounters::default()
                };
                let own = nth.is_multiple_of(3);
                let name = if own { format!("role_customer_{tenant:05}") } else { "portarium_shared".to_owned() };
                Statement {
                    key: StatementKey { role: 10 + u32::from(own), database: 5, query: i64::from(nth) },
                    role: Foreign::from(name.as_str()),
                    database: Foreign::from("portarium"),
                    text: Some(Foreign::from(format!("INSERT INTO {}.orders VALUES ($1, $2)", schema(tenant)))),
                    grew,
                }
            })
            .collect();
        let account = |statement: &Statement| Account {
            role: statement.role.clone(),
            database: statement.database.clone(),
            grew: statement.grew,
        };
        Fragment::Statements(Statements {
            server_now: self.now,
            before: Some(self.now - SignedDuration::from_secs(10)),
            accounts: entries.iter().step_by(3).map(account).collect(),
            entries,
            wal_bytes: Some(1_000_000_000),
            known: 10_000,
            most: 20_000,
            query_ids: true,
            ..Statements::default()
        })
    }

    fn debt(&self) -> Fragment {
        let table = |nth: usize| TableDebt {
            database: Foreign::from("portarium"),
            schema: Foreign::from(schema(nth * 31 % self.scale.tenants).as_str()),
            table: Foreign::from("events"),
            dead_tuples: 400_000 - nth as u64 * 1_000,
            live_tuples: 1_000_000,
            threshold: 200_050.0,
            autovacuum: true,
            off_by_itself: false,
            last_vacuum: Some(self.now - SignedDuration::from_secs(3_600)),
            bytes: 1 << 30,
            measured: true,
        };
        Fragment::Debt(Debt { tables: (0..200).map(table).collect(), ..Debt::default() })
    }

    fn freeze(&self) -> Fragment {
        let table = |nth: usize| OldestTable {
            database: Foreign::from("portarium"),
            schema: Foreign::from(schema(nth % self.scale.tenants).as_str()),
            table: Foreign::from("orders"),
            xid_age: 50_000_000,
            multixact_age: 1_000,
        };
        Fragment::Freeze(Freeze { tables: (0..50).map(table).collect() })
    }
}

fn id(tenant: usize) -> TenantId {
    TenantId::parse(&format!("customer-{tenant:05}")).unwrap()
}

fn server(now: Timestamp) -> Server {
    Server {
        version: "15.18".into(),
        version_num: 150_018,
        started_at: now - SignedDuration::from_secs(864_000),
        max_connections: 2_000,
        reserved_connections: 3,
        max_worker_processes: 32,
        database: Foreign::from("portarium"),
        login: Foreign::from("tierdeck"),
        in_recovery: false,
        sees_all: true,
        counts: true,
    }
}
