//! An instance as large as they come, as facts: 10,000 tenants with 40,000 tables and 1,000 sessions that change every second.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tierdeck::domain::facts::{
    Activity, Catalog, Churn, Database, Debt, Fragment, Freeze, Horizon, OldestTable, Replication, Role, Roles, Schema,
    SchemaChurn, Server, Sizes, Source, TableDebt, Vacuums,
};
use tierdeck::domain::session::{Blocking, Wait};
use tierdeck::domain::{
    Attribution, Foreign, InstanceName, Layout, Limits, Naming, Policy, Session, SessionKey, SessionState, Snapshot,
    Thresholds, Tier,
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
}

fn every(source: Source) -> std::time::Duration {
    std::time::Duration::from_secs(if source == Source::Activity { 1 } else { 10 })
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
        };
        let board = Board::new(rules, vec![plan], every, Evaluator::steady());
        let random = SmallRng::seed_from_u64(1);
        let mut estate = Self { scale, random, board, now, second: 0, written: vec![0; scale.tenants] };
        estate.board.take(now, 0, News::Connected(server(now)));
        for fragment in [estate.roles(), estate.sizes(), estate.catalog(), estate.freeze()] {
            estate.deliver(fragment);
        }
        for fragment in [
            Fragment::Vacuums(Vacuums::default()),
            Fragment::Replication(Replication::default()),
            Fragment::Horizon(Horizon::default()),
        ] {
            estate.deliver(fragment);
        }
        estate
    }

    fn deliver(&mut self, fragment: Fragment) {
        let every = every(fragment.source());
        let took = std::time::Duration::from_millis(2);
        self.board.take(self.now, 0, News::Delivered { fragment, took, every });
    }

    /// Lets a second pass: what the sources bring in it.
    pub fn pass_a_second(&mut self) -> Vec<Fragment> {
        self.now += SignedDuration::from_secs(1);
        self.second += 1;
        let mut facts = vec![self.activity()];
        if self.second % 5 == 1 {
            facts.push(self.databases());
        }
        if self.second % 10 == 1 {
            facts.push(self.churn());
        }
        if self.second % 30 == 1 {
            facts.extend([self.debt(), self.roles()]);
        }
        facts
    }

    /// What the collector does with facts: takes them in, makes a snapshot.
    pub fn merge(&mut self, facts: Vec<Fragment>) -> Snapshot {
        for fragment in facts {
            self.deliver(fragment);
        }
        self.board.snapshot(self.now)
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
            relations: Vec::new(),
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
        Fragment::Churn(Churn { server_now: self.now, homes: self.written.iter().enumerate().map(home).collect() })
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
        let role = |name: String, can_login: bool| Role {
            name: Foreign::from(name.as_str()),
            can_login,
            connection_limit: Some(40),
            superuser: false,
            settings: BTreeMap::from([("statement_timeout".to_owned(), "30s".to_owned())]),
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

    fn catalog(&self) -> Fragment {
        let schema = |tenant| Schema {
            database: Foreign::from("portarium"),
            name: Foreign::from(schema(tenant).as_str()),
            owner: Foreign::from(format!("role_customer_{tenant:05}").as_str()),
            tables: 4,
            comment: None,
        };
        Fragment::Catalog(Catalog { schemas: (0..self.scale.tenants).map(schema).collect(), ..Catalog::default() })
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
