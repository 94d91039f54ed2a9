//! The vocabulary of the signals' scenarios: a few words of TOML become instances, tenants and sessions, and everything
//! that is not said is calm and fresh.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::cloud::AccountSpec;
use super::facts::{RecordSpec, size};
use super::instance::InstanceSpec;
use super::secrets::SecretsSpec;
use tierdeck::domain::TenantStatements;
use tierdeck::domain::history::{Series, TenantPoint};
use tierdeck::domain::session::{Reason, Wait};
use tierdeck::domain::snapshot::{LimitScope, Noise, Starved};
use tierdeck::domain::{
    Attribution, Foreign, Instance, InstanceName, Limits, Policy, Session, SessionKey, SessionState, Tenant, TenantId,
    Thresholds, Tier,
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
    /// One look after the other, as `status --watch`.
    #[serde(default)]
    pub looks: bool,
    #[serde(default)]
    pub thresholds: BTreeMap<String, f64>,
    #[serde(default)]
    pub policy: LimitsSpec,
    /// Left out: `prod`.
    pub environment: Option<String>,
    /// `policy.backup.share_with`
    #[serde(default)]
    pub share_with: Vec<String>,
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
    /// The account of AWS; left out: there is none.
    pub account: Option<AccountSpec>,
    /// The tenants' secrets; left out: there is no Vault.
    pub secrets: Option<SecretsSpec>,
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
#[expect(clippy::struct_excessive_bools, reason = "each is a word of its own in a case")]
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
    /// Its schema was found.
    #[serde(default)]
    schema: bool,
    /// Its database.
    database: Option<String>,
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
        tenant.schema = full.schema.then(|| Arc::from(format!("tenant_{}", full.id.replace('-', "_"))));
        tenant.database = full.database.as_deref().map(Arc::from);
        tenant.limits.login = full.login.as_deref().map(Foreign::from);
        tenant.limits.effective = full.effective.limits();
        tenant.limits.wanted = full.wanted.limits();
        let settings = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"];
        tenant.limits.unknown = settings.into_iter().filter(|name| full.hidden.iter().any(|it| it == name)).collect();
        tenant
    }
}

/// Sessions from `OWNER PID STATE[:AGE] [word=value…] [xCOUNT]`.
///
/// OWNER: `acme` by locks under the shared account, `acme<login` by locks under another, `acme@login` by its login, `?acme` by a claim, `-` nobody's (also
/// `-@login`). AGE: of the state, the statement and, unless `tx=` says more, the transaction. `by=1,2` and `waits=6s`:
/// blocked, `guessed=1,2` instead of `by`: by inference, `on=` a relation, `rows-of=` its rows; `db=`: its database;
/// `wait=IO` or `wait=IO/EVENT`: any other wait. `x20`: as many, each with the next pid.
pub fn sessions(text: &str, now: Timestamp) -> Vec<Session> {
    let mut words = text.split(' ');
    let (owner, role, by_locks) = {
        let owner = words.next().unwrap();
        let (owner, role) =
            owner.split_once(['@', '<']).map_or((owner, None), |(name, role)| (name, Some((owner, role))));
        role.map_or((owner, "portarium_shared", true), |(whole, role)| (owner, role, whole.contains('<')))
    };
    let attribution = match owner.strip_prefix('?') {
        Some(claimed) => Attribution::Tenant { tenant: tenant_id(claimed), reason: Reason::ApplicationName },
        None if owner == "-" => Attribution::None,
        None => {
            let reason = if by_locks { Reason::Locks } else { Reason::LoginRole };
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

pub fn policy(case: &Case) -> Policy {
    let mut policy = Policy { shared: case.policy.limits(), ..Policy::default() };
    policy.backup.share_with.clone_from(&case.share_with);
    policy
}

/// What the poller makes of sessions that look like this for ten seconds.
pub fn starve(instances: &[Instance], tenants: &mut [Tenant], sessions: &[Session]) {
    for instance in instances {
        let here = || sessions.iter().filter(|session| session.instance == instance.name);
        let runnable: u32 = here().filter(|session| session.is_runnable()).map(|session| 1 + session.workers).sum();
        let crowded = f64::from(runnable) > instance.vcpus;
        for tenant in tenants.iter_mut().filter(|tenant| tenant.instance == instance.name) {
            let id = tenant.id.clone();
            let own = || here().filter(|session| session.attribution.strong() == Some(&id));
            if tenant.starved != Starved::default() {
                continue;
            }
            tenant.starved.cpu = 10.0 * own().filter(|session| session.starves_for_cpu(crowded)).count() as f64;
            tenant.starved.io = 10.0 * own().filter(|session| session.starves_for_io()).count() as f64;
            tenant.lately.starved = tenant.starved;
        }
    }
}
