//! Instances in the vocabulary of the signals' scenarios: what is not said of one is calm and fresh.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::cloud::CloudSpec;
use super::facts::{BloatSpec, CatalogSpec, HorizonSpec, ReplicationSpec, operations, size};
use super::scene::{span, time};
use tierdeck::domain::facts::{
    Database, Debt, Freeze, OldestTable, Pool, Pooler, Role, Roles, Server, Source, TableDebt,
};
use tierdeck::domain::observed::{Trouble, TroubleKind};
use tierdeck::domain::snapshot::{Deadlocks, Pressure, Reach, Spilled};
use tierdeck::domain::{Foreign, Instance, InstanceName, Layout, Observed, TenantId, Tier};

#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
pub struct InstanceSpec {
    #[serde(default)]
    dedicated: bool,
    #[serde(default)]
    databases_layout: bool,
    /// Why it does not answer; `connecting`: not yet.
    down: Option<String>,
    /// Why nobody polls it.
    apart: Option<String>,
    /// With `down`: all connections are taken (`full`), or all that our login may have (`own-limit`).
    refused: Option<String>,
    connections: Option<u32>,
    max_connections: Option<u32>,
    vcpus: Option<f64>,
    cpu: Option<f64>,
    reads: Option<f64>,
    writes: Option<f64>,
    deadlocks: Option<f64>,
    /// `DATABASE COUNT` of the last five minutes, and how long ago the last was.
    #[serde(default)]
    deadlocked: Vec<String>,
    deadlocked_ago: Option<String>,
    /// `TENANT AGO`: who was seen spilling.
    #[serde(default)]
    spilled: Vec<String>,
    /// What went to temporary files: `20MiB`, and in how long; left out: five minutes.
    temp: Option<String>,
    temp_for: Option<String>,
    /// PgBouncer's pools: `DATABASE ROLE MODE`, and how it is set up: `always`, `tracks`, `hidden`; left out: none is asked.
    pools: Option<Vec<String>>,
    #[serde(default)]
    pooling: String,
    /// How long ago the server was started; left out: a day.
    started: Option<String>,
    /// That was while we watched.
    #[serde(default)]
    restarted: bool,
    #[serde(default)]
    roles: BTreeMap<String, u32>,
    /// Roles that may not log in.
    #[serde(default)]
    groups: Vec<String>,
    /// `search_path` of roles; `ROLE/DATABASE`: in that database; `/DATABASE`: of everybody there.
    #[serde(default)]
    paths: BTreeMap<String, String>,
    #[serde(default)]
    bloat: BloatSpec,
    #[serde(default)]
    replication: ReplicationSpec,
    #[serde(default)]
    horizon: HorizonSpec,
    /// `ID KIND STATE TENANT …`: see `operations` in `facts.rs`.
    #[serde(default)]
    operations: Vec<String>,
    #[serde(default)]
    catalog: CatalogSpec,
    #[serde(default)]
    multixacts: BTreeMap<String, u32>,
    /// `schema.table dead threshold [off]`
    #[serde(default)]
    debt: Vec<String>,
    /// Databases looked into for debt, and of how many.
    #[serde(default)]
    toured: (u32, u32),
    /// Databases that do not let us in.
    #[serde(default)]
    closed: Vec<String>,
    #[serde(default)]
    xids: BTreeMap<String, u32>,
    /// `database schema.table age [multixact age]`
    #[serde(default)]
    oldest: Vec<String>,
    /// Sources that delivered nothing, and why.
    #[serde(default)]
    missing: BTreeMap<String, String>,
    /// Sources whose value is a minute old.
    #[serde(default)]
    stale: Vec<String>,
    /// Sources whose value is ten seconds from the future: our clock was set back.
    #[serde(default)]
    future: Vec<String>,
    /// What AWS tells; left out: it is not asked.
    cloud: Option<CloudSpec>,
    /// Values that are not known though their source is fresh: `cpu`, `deadlocks`, `connections`.
    #[serde(default)]
    no: Vec<String>,
}

impl InstanceSpec {
    pub fn build(&self, name: &str, now: Timestamp) -> Instance {
        let layout = if self.databases_layout { Layout::Database } else { Layout::Schema };
        let tier = if self.dedicated { Tier::Dedicated } else { Tier::Shared };
        let mut instance = Instance::named(InstanceName::new(name), tier, layout);
        instance.reach = match self.down.as_deref() {
            None => Reach::Up,
            Some("connecting") => Reach::Connecting,
            Some(message) => Reach::Down {
                since: time(-30),
                trouble: Trouble {
                    message: message.to_owned(),
                    code: self.refused.is_some().then(|| "53300".to_owned()),
                    kind: match self.refused.as_deref() {
                        None => TroubleKind::Other,
                        Some("full") => TroubleKind::ServerFull,
                        Some("own-limit") => TroubleKind::OwnLimit,
                        Some(other) => panic!("no such refusal: {other}"),
                    },
                },
            },
        };
        if let Some(reason) = &self.apart {
            instance.reach = Reach::Apart(Arc::from(reason.as_str()));
        }
        let known = |what: &str| !self.no.iter().any(|it| it == what);
        instance.server = Some(Arc::new(Server {
            version: "15.18".to_owned(),
            version_num: 150_018,
            started_at: now - span(self.started.as_deref().unwrap_or("1d")),
            max_connections: self.max_connections.unwrap_or(103),
            reserved_connections: 3,
            database: Foreign::from("portarium"),
            login: Foreign::from("tierdeck"),
            in_recovery: false,
            sees_all: known("sees_all"),
            max_worker_processes: 8,
            counts: true,
        }));
        instance.vcpus = self.vcpus.unwrap_or(2.0);
        instance.connections = known("connections").then_some(self.connections.unwrap_or(10));
        instance.pressure = Pressure {
            cpu: known("cpu").then_some(self.cpu.unwrap_or(0.0)),
            reads: known("reads").then_some(self.reads.unwrap_or(0.0)),
            writes: known("writes").then_some(self.writes.unwrap_or(0.0)),
            connections: Some(0.1),
        };
        instance.restarted = self.restarted;
        self.observe(&mut instance.statements, Source::Statements, Arc::default(), now);
        let spilled = self.temp.as_deref().map(size).unwrap_or_default();
        let seconds = self.temp_for.as_deref().map_or(300.0, |time| span(time).as_secs_f64());
        instance.rates.temp = known("temp").then_some(Spilled { bytes: spilled, seconds });
        instance.rates.deadlocks_per_minute = known("deadlocks").then_some(self.deadlocks.unwrap_or(0.0));
        let counted = self.deadlocked.iter().map(|text| text.split_once(' ').unwrap());
        instance.deadlocks = Deadlocks {
            databases: counted.map(|(name, count)| (Foreign::from(name), count.parse().unwrap())).collect(),
            seconds: 300.0,
            last: self.deadlocked_ago.as_deref().map(|ago| now - span(ago)),
        };
        let spilled = self.spilled.iter().map(|text| text.split_once(' ').unwrap());
        instance.spillers = spilled.map(|(id, ago)| (TenantId::parse(id).unwrap(), now - span(ago))).collect();
        instance.pooler = self.pools.as_ref().map(|pools| {
            let mut pooler = Observed::nothing(Duration::from_secs(1));
            self.observe(&mut pooler, Source::Pooler, Arc::new(pooled(pools, &self.pooling)), now);
            pooler
        });
        self.observe(&mut instance.activity, Source::Activity, (), now);
        self.observe(&mut instance.churn, Source::Churn, (), now);
        self.observe(&mut instance.roles, Source::Roles, Arc::new(self.roles()), now);
        self.observe(&mut instance.debt, Source::Debt, Arc::new(self.debt()), now);
        self.observe(&mut instance.freeze, Source::Freeze, Arc::new(self.freeze()), now);
        self.observe(&mut instance.databases, Source::Databases, Arc::new(self.databases()), now);
        self.observe(&mut instance.bloat, Source::Bloat, Arc::new(self.bloat.build()), now);
        self.observe(&mut instance.replication, Source::Replication, Arc::new(self.replication.build(now)), now);
        self.observe(&mut instance.horizon, Source::Horizon, Arc::new(self.horizon.build(now)), now);
        let known = operations(&self.operations, now);
        self.observe(&mut instance.operations, Source::Operations, Arc::new(known), now);
        self.observe(&mut instance.catalog, Source::Catalog, Arc::new(self.catalog.build()), now);
        instance.cloud = self.cloud.as_ref().map(|cloud| Box::new(cloud.build(name, now)));
        instance
    }

    fn observe<T>(&self, observed: &mut Observed<T>, source: Source, value: T, now: Timestamp) {
        let name = source.name();
        if let Some(reason) = self.missing.get(name) {
            observed.fail(Trouble::new(reason.clone()));
        } else if self.stale.iter().any(|it| it == name) {
            observed.set(value, now - SignedDuration::from_secs(60));
        } else if self.future.iter().any(|it| it == name) {
            observed.set(value, now + SignedDuration::from_secs(10));
        } else {
            observed.set(value, now);
        }
    }

    /// Limit 4294967295 stands for none, and `super` for a superuser.
    fn roles(&self) -> Roles {
        let role = |(name, limit): (&String, &u32)| Role {
            name: Foreign::from(name.as_str()),
            can_login: true,
            connection_limit: (*limit != u32::MAX).then_some(*limit),
            superuser: name == "super",
            settings: self.path(name).into(),
            in_databases: self
                .paths
                .iter()
                .filter_map(|(key, path)| Some((key.split_once('/').filter(|(role, _)| role == name)?.1, path)))
                .map(|(database, path)| (database.to_owned(), setting(path)))
                .collect(),
        };
        let group = |name: &String| Role { can_login: false, ..role((name, &u32::MAX)) };
        Roles {
            roles: self.roles.iter().map(role).chain(self.groups.iter().map(group)).collect(),
            databases: self
                .paths
                .iter()
                .filter_map(|(key, path)| Some((key.strip_prefix('/')?.to_owned(), setting(path))))
                .collect(),
            ..Roles::default()
        }
    }

    fn path(&self, role: &str) -> BTreeMap<String, String> {
        self.paths.get(role).map(|path| setting(path)).unwrap_or_default()
    }

    fn debt(&self) -> Debt {
        let table = |text: &String| {
            let words: Vec<&str> = text.split(' ').collect();
            let (schema, table) = words[0].split_once('.').unwrap();
            let (database, schema) = schema.split_once('/').unwrap_or(("portarium", schema));
            TableDebt {
                database: Foreign::from(database),
                schema: Foreign::from(schema),
                table: Foreign::from(table),
                dead_tuples: words[1].parse().unwrap(),
                live_tuples: 1_000_000,
                threshold: words[2].parse().unwrap(),
                autovacuum: !words.get(3).is_some_and(|word| word.starts_with("off")),
                off_by_itself: words.get(3) == Some(&"off"),
                last_vacuum: None,
                bytes: 1 << 30,
                measured: words.get(3) != Some(&"locked"),
            }
        };
        let closed = self.closed.iter().map(|name| Foreign::from(name.as_str())).collect();
        Debt { tables: self.debt.iter().map(table).collect(), seen: self.toured.0, of: self.toured.1, closed }
    }

    fn freeze(&self) -> Freeze {
        let table = |text: &String| {
            let words: Vec<&str> = text.split(' ').collect();
            let (schema, table) = words[1].split_once('.').unwrap();
            OldestTable {
                database: Foreign::from(words[0]),
                schema: Foreign::from(schema),
                table: Foreign::from(table),
                xid_age: words[2].parse().unwrap(),
                multixact_age: words.get(3).map_or(0, |age| age.parse().unwrap()),
            }
        };
        Freeze { tables: self.oldest.iter().map(table).collect() }
    }

    fn databases(&self) -> Vec<Database> {
        let mut ages: BTreeMap<&String, (u32, u32)> = BTreeMap::new();
        for (name, &age) in &self.xids {
            ages.entry(name).or_default().0 = age;
        }
        for (name, &age) in &self.multixacts {
            ages.entry(name).or_default().1 = age;
        }
        let database = |(name, (xid_age, multixact_age)): (&String, (u32, u32))| Database {
            name: Foreign::from(name.as_str()),
            backends: 1,
            transactions: 0,
            blocks_read: 0,
            blocks_hit: 0,
            rows_written: 0,
            temp_bytes: 0,
            deadlocks: 0,
            stats_reset: None,
            in_use: true,
            xid_age,
            multixact_age,
        };
        ages.into_iter().map(database).collect()
    }
}

fn pooled(pools: &[String], pooling: &str) -> Pooler {
    let pool = |text: &String| {
        let words: Vec<&str> = text.split(' ').collect();
        Pool {
            database: Foreign::from(words[0]),
            role: Foreign::from(words[1]),
            mode: Arc::from(words[2]),
            clients_active: 7,
            clients_waiting: 0,
            servers_active: 2,
            servers_idle: 1,
            size: Some(20),
            paused: false,
            longest_wait_seconds: 0.0,
        }
    };
    Pooler {
        pools: pools.iter().map(pool).collect(),
        reset_query: (pooling != "hidden").then(|| Foreign::from("DISCARD ALL")),
        resets_always: Some(pooling == "always"),
        tracked: if pooling == "tracks" { vec!["search_path".to_owned()] } else { Vec::new() },
        ..Pooler::default()
    }
}

fn setting(path: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("search_path".to_owned(), path.to_owned())])
}
