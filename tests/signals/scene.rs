//! The vocabulary of the signals' scenarios: a few words of TOML become instances, tenants and sessions, and everything
//! that is not said is calm and fresh.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::facts::{BloatSpec, CatalogSpec, HorizonSpec, RecordSpec, ReplicationSpec, size};
use tierdeck::domain::TenantStatements;
use tierdeck::domain::facts::{
    Database, Debt, Freeze, OldestTable, Pool, Pooler, Role, Roles, Server, Source, TableDebt,
};
use tierdeck::domain::history::{Series, TenantPoint};
use tierdeck::domain::observed::{Trouble, TroubleKind};
use tierdeck::domain::session::{Reason, Wait};
use tierdeck::domain::snapshot::{LimitScope, Noise, Pressure, Reach, Spilled, Starved};
use tierdeck::domain::{
    Attribution, Foreign, Instance, InstanceName, Layout, Limits, Observed, Policy, Session, SessionKey, SessionState,
    Tenant, TenantId, Thresholds, Tier,
};

/// Second 0 of every scenario.
pub const START: i64 = 1_795_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub signal: Option<String>,
    pub case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    /// Held and cleared over the rounds, as in the console; else each round is one look.
    #[serde(default)]
    pub steady: bool,
    #[serde(default)]
    pub thresholds: BTreeMap<String, f64>,
    #[serde(default)]
    pub policy: LimitsSpec,
    #[serde(default)]
    pub tenants: Vec<TenantSpec>,
    pub round: Vec<Round>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Round {
    #[serde(default)]
    pub at: i64,
    /// Instances by name; left out: `shared`, calm.
    #[serde(default)]
    pub on: BTreeMap<String, InstanceSpec>,
    /// Instead of the case's.
    pub tenants: Option<Vec<TenantSpec>>,
    #[serde(default)]
    pub sessions: Vec<String>,
    pub expect: Vec<Expected>,
    /// Which of the four that every signal has it is: `under`, `at` or `over` its threshold, `missing` its input.
    pub edge: Option<String>,
    /// `subject: reason` of each; left out: none.
    #[serde(default)]
    pub unknown: Vec<String>,
    /// Nothing of it is remembered.
    #[serde(default)]
    pub forgets: bool,
}

#[derive(Deserialize, Clone)]
#[serde(untagged)]
pub enum Expected {
    Is(String),
    Full(Box<Full>),
}

/// What is left out is not compared.
#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
pub struct Full {
    /// `critical lock-chain tenant acme`
    pub is: String,
    pub says: Option<String>,
    pub advises: Option<String>,
    /// The statement; empty for none.
    pub pastes: Option<String>,
    pub culprits: Option<Vec<String>>,
    pub victims: Option<Vec<String>>,
    pub since: Option<i64>,
    #[serde(default)]
    pub stale: bool,
    pub evidence: Option<Vec<String>>,
}

#[derive(Deserialize, Clone)]
#[serde(untagged)]
pub enum TenantSpec {
    Id(String),
    Full(Box<TenantFull>),
}

#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
pub struct TenantFull {
    id: String,
    on: Option<String>,
    /// Its own login; left out: it uses the shared account.
    login: Option<String>,
    /// A login of its own that was not found.
    #[serde(default)]
    login_lost: bool,
    #[serde(default)]
    effective: LimitsSpec,
    #[serde(default)]
    wanted: LimitsSpec,
    /// Settings in effect that could not be found out.
    #[serde(default)]
    hidden: Vec<String>,
    #[serde(default)]
    noise: NoiseSpec,
    /// The same of the newest seconds; left out: not known.
    #[serde(default)]
    lately: NoiseSpec,
    /// It waited in the last minute, and not in the newest seconds.
    #[serde(default)]
    waited: bool,
    record: Option<RecordSpec>,
    size: Option<String>,
    #[serde(default)]
    dedicated: bool,
    /// Sessions busy at the same time, at the most.
    busy: Option<f32>,
    /// The part of all temporary bytes that its statements wrote.
    spills: Option<f64>,
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(deny_unknown_fields)]
pub struct LimitsSpec {
    connections: Option<u32>,
    statement: Option<u64>,
    lock: Option<u64>,
    idle: Option<u64>,
}

impl LimitsSpec {
    pub fn limits(self) -> Limits {
        Limits {
            connection_limit: self.connections,
            statement_timeout: self.statement.map(Duration::from_secs),
            lock_timeout: self.lock.map(Duration::from_secs),
            idle_in_transaction_session_timeout: self.idle.map(Duration::from_secs),
        }
    }
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(deny_unknown_fields)]
struct NoiseSpec {
    active_time: Option<f64>,
    rows_written: Option<f64>,
    wal: Option<f64>,
    blocks_read: Option<f64>,
}

#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
pub struct InstanceSpec {
    #[serde(default)]
    dedicated: bool,
    #[serde(default)]
    databases_layout: bool,
    /// Why it does not answer; `connecting`: not yet.
    down: Option<String>,
    /// With `down`: all connections are taken (`full`), or all that our login may have (`own-limit`).
    refused: Option<String>,
    connections: Option<u32>,
    max_connections: Option<u32>,
    vcpus: Option<f64>,
    cpu: Option<f64>,
    reads: Option<f64>,
    writes: Option<f64>,
    deadlocks: Option<f64>,
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
    /// Values that are not known though their source is fresh: `cpu`, `deadlocks`, `connections`.
    #[serde(default)]
    no: Vec<String>,
}

pub fn time(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

/// `40s`, `2m`, `1h`, `0.5s`
pub fn span(text: &str) -> SignedDuration {
    let (number, unit) = text.split_at(text.len() - 1);
    let scale = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => panic!("a time needs a unit: {text}"),
    };
    SignedDuration::from_secs_f64(number.parse::<f64>().unwrap() * scale)
}

fn tenant_id(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

impl TenantSpec {
    pub fn build(&self) -> Tenant {
        let full = match self {
            Self::Id(id) => TenantFull { id: id.clone(), ..TenantFull::default() },
            Self::Full(full) => full.as_ref().clone(),
        };
        let on = full.on.as_deref().unwrap_or("shared");
        let mut tenant = Tenant::named(tenant_id(&full.id), Tier::Shared, InstanceName::new(on));
        let NoiseSpec { active_time, rows_written, wal, blocks_read } = full.noise;
        tenant.noise = Noise { active_time, rows_written, wal, blocks_read, ..Noise::default() };
        let NoiseSpec { active_time, rows_written, wal, blocks_read } = full.lately;
        tenant.lately.noise = Noise { active_time, rows_written, wal, blocks_read, ..Noise::default() };
        if full.waited {
            tenant.starved = Starved { cpu: 20.0, io: 20.0 };
        }
        if full.login.is_some() || full.login_lost {
            tenant.limit_scope = LimitScope::Tenant;
        }
        tenant.tier = if full.dedicated { Tier::Dedicated } else { Tier::Shared };
        tenant.record = full.record.as_ref().map(|record| Arc::new(record.build()));
        tenant.size_bytes = full.size.as_deref().map(size);
        if let Some(active) = full.busy {
            let mut series = Series::default();
            series.push(time(0), TenantPoint { active, ..TenantPoint::default() });
            tenant.series = series.into();
        }
        tenant.statements = full
            .spills
            .map(|share| Arc::new(TenantStatements { temp_share: Some(share), ..TenantStatements::default() }));
        tenant.limits.login = full.login.as_deref().map(Foreign::from);
        tenant.limits.effective = full.effective.limits();
        tenant.limits.wanted = full.wanted.limits();
        let settings = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"];
        tenant.limits.unknown = settings.into_iter().filter(|name| full.hidden.iter().any(|it| it == name)).collect();
        tenant
    }
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
        self.observe(&mut instance.catalog, Source::Catalog, Arc::new(self.catalog.build()), now);
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

/// Sessions from `OWNER PID STATE[:AGE] [word=value…] [xCOUNT]`.
///
/// OWNER: `acme` by locks under the shared account, `acme@login` by its login, `?acme` by a claim, `-` nobody's (also
/// `-@login`). AGE: of the state, the statement and, unless `tx=` says more, the transaction. `by=1,2` and `waits=6s`:
/// blocked, `guessed=1,2` instead of `by`: by inference, `on=` a relation, `rows-of=` its rows; `db=`: its database;
/// `wait=IO` or `wait=IO/EVENT`: any other wait. `x20`: as many, each with the next pid.
pub fn sessions(text: &str, now: Timestamp) -> Vec<Session> {
    let mut words = text.split(' ');
    let (owner, role) = {
        let owner = words.next().unwrap();
        owner.split_once('@').unwrap_or((owner, "portarium_shared"))
    };
    let attribution = match owner.strip_prefix('?') {
        Some(claimed) => Attribution::Tenant { tenant: tenant_id(claimed), reason: Reason::ApplicationName },
        None if owner == "-" => Attribution::None,
        None => {
            let reason = if role == "portarium_shared" { Reason::Locks } else { Reason::LoginRole };
            Attribution::Tenant { tenant: tenant_id(owner), reason }
        }
    };
    let pid: i32 = words.next().unwrap().parse().unwrap();
    let (state, age) = words.next().map(|word| word.split_once(':').unwrap_or((word, "0s"))).unwrap();
    let state = match state {
        "active" => SessionState::Active,
        "idle" => SessionState::Idle,
        "idle-tx" => SessionState::IdleInTransaction,
        "idle-tx!" => SessionState::IdleInTransactionAborted,
        other => panic!("no such state: {other}"),
    };
    let began = now - span(age);
    let mut session = Session {
        instance: InstanceName::new("shared"),
        key: SessionKey { pid, started: time(-3_600) },
        attribution,
        role: Foreign::from(role),
        database: Foreign::from("portarium"),
        application: Foreign::from(""),
        client: None,
        state,
        wait: None,
        transaction_started: (state != SessionState::Idle).then_some(began),
        query_started: Some(began),
        state_changed: Some(began),
        query: None,
        blocking: None,
        workers: 0,
        touched: Vec::new(),
        relations: Vec::new(),
        query_id: None,
        usage: None,
        server_now: now,
    };
    let mut count = 1;
    for word in words {
        if let Some(number) = word.strip_prefix('x') {
            count = number.parse().unwrap();
            continue;
        }
        let (key, value) = word.split_once('=').unwrap();
        let wait = |wait: &str| {
            let (kind, event) = wait.split_once('/').unwrap_or((wait, "event"));
            Some(Wait { kind: Arc::from(kind), event: Arc::from(event) })
        };
        match key {
            "on" => session.blocking.get_or_insert_default().relation = Some(Foreign::from(value)),
            "rows-of" => {
                let blocking = session.blocking.get_or_insert_default();
                (blocking.relation, blocking.rows) = (Some(Foreign::from(value)), true);
            }
            "mode" => session.blocking.get_or_insert_default().mode = Some(Arc::from(value)),
            "waits" => session.blocking.get_or_insert_default().since = Some(now - span(value)),
            "by" => {
                session.blocking.get_or_insert_default().by =
                    value.split(',').map(|pid| pid.parse().unwrap()).collect();
            }
            "guessed" => {
                let blocking = session.blocking.get_or_insert_default();
                blocking.by = value.split(',').map(|pid| pid.parse().unwrap()).collect();
                blocking.inferred = true;
            }
            "wait" => session.wait = wait(value),
            "tx" => session.transaction_started = Some(now - span(value)),
            "db" => session.database = Foreign::from(value),
            "at" => session.instance = InstanceName::new(value),
            other => panic!("no such word: {other}"),
        }
        if session.blocking.is_some() {
            session.wait = wait("Lock");
        }
    }
    (0..count)
        .map(|offset| Session { key: SessionKey { pid: pid + offset, ..session.key }, ..session.clone() })
        .collect()
}

pub fn thresholds(changed: &BTreeMap<String, f64>) -> Thresholds {
    let mut thresholds = Thresholds::default();
    for (name, &value) in changed {
        *(match name.as_str() {
            "noisy_fair_shares" => &mut thresholds.noisy_fair_shares,
            "noisy_victims" => &mut thresholds.noisy_victims,
            "hold_seconds" => &mut thresholds.hold_seconds,
            "clear_after_seconds" => &mut thresholds.clear_after_seconds,
            other => panic!("no such threshold here: {other}"),
        }) = value;
    }
    thresholds
}

pub fn policy(shared: LimitsSpec) -> Policy {
    Policy { shared: shared.limits(), ..Policy::default() }
}

/// What the poller makes of sessions that look like this for ten seconds.
pub fn starve(instances: &[Instance], tenants: &mut [Tenant], sessions: &[Session]) {
    for instance in instances {
        let here = || sessions.iter().filter(|session| session.instance == instance.name);
        let runnable: u32 = here().filter(|session| session.is_runnable()).map(|session| 1 + session.workers).sum();
        let crowded = f64::from(runnable) > instance.vcpus;
        for tenant in tenants.iter_mut().filter(|tenant| tenant.instance == instance.name) {
            let own = || here().filter(|session| session.attribution.strong() == Some(&tenant.id));
            if tenant.starved != Starved::default() {
                continue;
            }
            tenant.starved.cpu = 10.0 * own().filter(|session| session.starves_for_cpu(crowded)).count() as f64;
            tenant.starved.io = 10.0 * own().filter(|session| session.starves_for_io()).count() as f64;
            tenant.lately.starved = tenant.starved;
        }
    }
}
