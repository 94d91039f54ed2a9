//! Sample pictures for the console's tests: an estate that is fine, one that burns, one that went stale, one that is down;
//! with names and queries as hostile as tenants can make them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tierdeck::app::Settings;
use tierdeck::domain::chart::Chart;
use tierdeck::domain::facts::{Debt, Operations, Role, Roles, Server, Source, TableDebt};
use tierdeck::domain::history::{InstancePoint, Series, TenantPoint};
use tierdeck::domain::observed::Trouble;
use tierdeck::domain::policy::TenantNotes;
use tierdeck::domain::session::{Blocking, Reason, Wait};
use tierdeck::domain::snapshot::{
    Cost, Deadlocks, LimitScope, Noise, Pressure, Rates, Reach, SourceState, Spilled, TenantLimits, Unattributed,
};
use tierdeck::domain::tenant::Settled;
use tierdeck::domain::{
    Attribution, Evidence, Finding, Foreign, Instance, InstanceName, Layout, Limits, Observed, Session, SessionKey,
    SessionState, Severity, Signal, Snapshot, Subject, SubjectKind, Tenant, TenantId, Tier, Unit, Unknown,
};

/// When all of it happens.
pub fn now() -> Timestamp {
    "2026-11-21T14:03:22Z".parse().unwrap()
}

pub fn ago(seconds: i64) -> Timestamp {
    now() - jiff::SignedDuration::from_secs(seconds)
}

pub fn settings() -> Settings {
    Settings {
        environment: "prod".into(),
        read_only: true,
        refresh: Duration::from_secs(1),
        instances: vec!["shared".into()],
        signals: vec![
            ("noisy-neighbour", "a tenant takes far more than its share of something that is short, and others suffer"),
            ("lock-chain", "sessions wait for a lock that one session holds"),
        ],
        operator: "ann@laptop".into(),
        // As if it had been looked at for long.
        look: Duration::ZERO,
        lock_wait: Duration::from_secs(5),
        offers: Vec::new(),
        backup: tierdeck::domain::policy::BackupPolicy::default(),
        thresholds: tierdeck::domain::Thresholds::default(),
    }
}

pub fn instance_name() -> InstanceName {
    InstanceName::new("shared")
}

fn id(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

/// 63 characters, the longest there is.
pub fn longest() -> String {
    format!("{}-tenant", "very-long-name-".repeat(4).chars().take(56).collect::<String>())
}

const NAMES: [&str; 14] = [
    "acme",
    "globex",
    "initech",
    "umbrella",
    "hooli",
    "stark-industries",
    "wayne-corp",
    "tyrell",
    "cyberdyne",
    "soylent",
    "massive-dynamic",
    "aperture",
    "wonka",
    "oscorp",
];

fn observed<T>(value: T, every: u64, at: Timestamp) -> Observed<T> {
    let mut observed = Observed::nothing(Duration::from_secs(every));
    observed.set(value, at);
    observed
}

pub fn instance(at: Timestamp) -> Instance {
    let mut series = Series::default();
    for step in 0..180 {
        let active = 2.0 + (f64::from(step) / 9.0).sin().abs() * 4.0;
        let point = InstancePoint { connections: 60.0, active: active as f32, blocked: 0.0, transactions: Some(900.0) };
        series.push(ago(900 - i64::from(step) * 5), point);
    }
    Instance {
        name: instance_name(),
        tier: Tier::Shared,
        layout: Layout::Schema,
        reach: Reach::Up,
        restarted: false,
        server: Some(Arc::new(Server {
            max_worker_processes: 8,
            version: "15.18".into(),
            version_num: 150_018,
            started_at: ago(86_400),
            max_connections: 500,
            reserved_connections: 3,
            database: Foreign::from("portarium"),
            login: Foreign::from("tierdeck"),
            in_recovery: false,
            sees_all: true,
            counts: true,
        })),
        vcpus: 4.0,
        vcpus_estimated: true,
        connections: Some(112),
        active: Some(2),
        blocked: Some(0),
        activity: observed((), 1, at),
        databases: observed(Arc::new(Vec::new()), 5, at),
        roles: observed(Arc::new(roles()), 30, at),
        churn: observed((), 10, at),
        debt: observed(Arc::new(Debt { tables: tables(), ..Debt::default() }), 30, at),
        sizes: observed(Arc::default(), 60, at),
        freeze: observed(Arc::default(), 60, at),
        vacuums: observed(Arc::default(), 5, at),
        replication: observed(Arc::default(), 10, at),
        horizon: observed(Arc::default(), 10, at),
        operations: observed(Arc::new(Operations { server_now: at, rows: Vec::new() }), 5, at),
        statements: observed(Arc::default(), 30, at),
        catalog: observed(Arc::default(), 300, at),
        bloat: observed(Arc::default(), 21_600, at),
        pooler: None,
        cloud: None,
        rates: Rates {
            transactions: Some(912.0),
            rows_written: Some(4_100.0),
            deadlocks_per_minute: Some(0.0),
            temp: Some(Spilled { bytes: 0, seconds: 300.0 }),
            cache_hit: Some(0.993),
        },
        spillers: Vec::new(),
        deadlocks: Deadlocks::default(),
        pressure: Pressure { cpu: Some(0.4), reads: Some(0.1), writes: Some(0.2), connections: Some(0.22) },
        sources: Source::ALL
            .into_iter()
            .filter(|source| source.asks_the_server() || *source == Source::Pooler)
            .map(|source| SourceState {
                source,
                at: Some(at),
                error: None,
                every: Duration::from_secs(1),
                took: Some(Duration::from_millis(2)),
            })
            .collect(),
        series: Arc::new(series),
        settled: 0,
    }
}

fn roles() -> Roles {
    let role = |name: &str, limit| Role {
        name: Foreign::from(name),
        can_login: true,
        connection_limit: limit,
        superuser: false,
        settings: Arc::default(),
        in_databases: std::collections::BTreeMap::new(),
    };
    Roles { roles: vec![role("role_acme", Some(40)), role("portarium_shared", None)], ..Roles::default() }
}

fn tables() -> Vec<TableDebt> {
    let table = |schema: &str, table: &str, dead: u64, on: bool| TableDebt {
        database: Foreign::from("portarium"),
        schema: Foreign::from(schema),
        table: Foreign::from(table),
        dead_tuples: dead,
        live_tuples: 400_000,
        threshold: 80_050.0,
        autovacuum: on,
        off_by_itself: !on,
        last_vacuum: on.then(|| ago(7_200)),
        bytes: 3_328_599_654,
        measured: false,
    };
    vec![
        table("tenant_globex", "orders", 336_000, false),
        table("tenant_globex", "evil\u{1b}[31m\"table\u{202e}", 180_000, true),
        table("tenant_acme", "顧客", 90_000, true),
    ]
}

pub fn tenant(name: &str, nth: u32) -> Tenant {
    let mut series = Series::default();
    for step in 0..180_u32 {
        let active = if name == "acme" && step > 140 { 21.0 } else { f64::from((step * (nth + 3)) % 7) / 3.0 };
        series.push(
            ago(900 - i64::from(step) * 5),
            TenantPoint {
                connections: (nth + step % 3) as f32,
                active: active as f32,
                waiting: active as f32 / 3.0,
                rows_written: (!(60..70).contains(&step)).then_some(active as f32 * 40.0),
                blocks_read: Some(12.0),
            },
        );
    }
    let own = nth % 3 != 1;
    let limits = Limits {
        connection_limit: Some(40),
        statement_timeout: Some(Duration::from_secs(30)),
        lock_timeout: Some(Duration::from_secs(5)),
        idle_in_transaction_session_timeout: Some(Duration::from_secs(60)),
    };
    let settled = Settled {
        schema: Some(format!("tenant_{}", name.replace('-', "_")).into()),
        role: Some(format!("role_{}", name.replace('-', "_")).into()),
        limit_scope: if own { LimitScope::Tenant } else { LimitScope::ServiceAccount },
        limits: TenantLimits {
            unknown: Vec::new(),
            effective: if own { limits } else { Limits { connection_limit: None, ..limits } },
            login: Some(Foreign::from(if own { "role_acme" } else { "portarium_shared" })),
            wanted: Limits { lock_timeout: Some(Duration::from_secs(2)), ..limits },
        },
        size_bytes: Some(1 << (20 + nth % 17)),
        size_estimated: true,
        notes: (name == "acme").then(|| {
            Arc::new(TenantNotes {
                limits: Limits::default(),
                contact: Some("ops@acme.example".into()),
                notes: Some("payroll on the 25th\u{1b}]0;x\u{7}".into()),
            })
        }),
        ..Settled::named(id(name), Tier::Shared, instance_name())
    };
    Tenant {
        settled: Arc::new(settled),
        connections: Some(2 + nth % 9),
        bound: Some(2 + nth % 9),
        strong: 2,
        claimed: nth % 3,
        active: Some(nth % 2),
        waiting: Some(0),
        idle_in_transaction: Some(0),
        oldest_transaction_seconds: (nth.is_multiple_of(2)).then_some(0.4),
        noise: Noise { active_time: Some(0.05), connections: Some(0.04), rows_written: Some(0.1), ..Noise::default() },
        noise_score: Some(f64::from(nth % 5)),
        rows_written_per_day: Some(f64::from(nth + 1) * 21_345.0),
        rows_written_per_second: Some(12.0),
        dead_tuples: Some(u64::from(nth) * 1_000),
        live_tuples: Some(100_000),
        series: series.into(),
        ..Tenant::named(id(name), Tier::Shared, instance_name())
    }
}

pub fn session(pid: i32, tenant: Option<&str>, state: SessionState, query: &str) -> Session {
    let active = state.is_active();
    Session {
        instance: instance_name(),
        key: SessionKey { pid, started: ago(600 + i64::from(pid % 7)) },
        attribution: tenant.map_or(Attribution::None, |tenant| Attribution::Tenant {
            tenant: id(tenant),
            reason: match (pid + 1) % 3 {
                0 => Reason::LoginRole,
                1 => Reason::Locks,
                _ => Reason::ApplicationName,
            },
        }),
        role: Foreign::from("portarium_shared"),
        database: Foreign::from("portarium"),
        application: Foreign::from("web\u{1b}[2J顧客"),
        client: Some("10.0.3.17:51234".into()),
        state,
        wait: (!active).then(|| Wait { kind: "Client".into(), event: "ClientRead".into() }),
        transaction_started: (state != SessionState::Idle).then(|| ago(12)),
        query_started: Some(ago(3)),
        state_changed: Some(ago(3)),
        query: Some(Foreign::from(query)),
        blocking: None,
        workers: 0,
        touched: vec!["tenant_acme".into()],
        relations: Vec::new(),
        query_id: None,
        usage: None,
        server_now: now(),
    }
}

fn sessions() -> Vec<Session> {
    let mut sessions: Vec<Session> = (0..24_i32)
        .map(|nth| {
            let state = match nth % 4 {
                0 => SessionState::Active,
                3 if nth % 8 == 3 => SessionState::IdleInTransaction,
                _ => SessionState::Idle,
            };
            let tenant = NAMES[(nth % 14) as usize];
            session(
                4_100 + nth,
                Some(tenant),
                state,
                "select id, total from orders where customer_id = $1 order by id desc limit 50",
            )
        })
        .collect();
    sessions.push(session(
        5_001,
        None,
        SessionState::Active,
        "select '\u{1b}]52;c;cm0gLXJm\u{7}\u{1b}[31m', '\u{202e}gnp.exe', '顧客データ' -- a\n/* b */ from t",
    ));
    sessions
}

/// All well.
pub fn fine() -> Snapshot {
    let mut tenants: Vec<Tenant> = NAMES.iter().zip(0..).map(|(name, nth)| tenant(name, nth)).collect();
    tenants.push(tenant(&longest(), 15));
    tenants.sort_by(|left, right| left.id.cmp(&right.id));
    Snapshot {
        accounts: Vec::new(),
        instances: vec![instance(now())],
        tenants,
        sessions: sessions(),
        unattributed: Unattributed { connections: 3, active: 1 },
        cost: Cost { database_ms_per_second: Some(6.1), cloudwatch_usd_per_hour: None },
        ..Snapshot::empty(now(), "prod")
    }
}

fn subject(kind: SubjectKind, id: &str) -> Subject {
    Subject { kind, id: id.to_owned(), instance: instance_name() }
}

fn findings() -> Vec<Finding> {
    vec![
        Finding {
            signal: Signal::NoisyNeighbour,
            severity: Severity::Critical,
            subject: subject(SubjectKind::Tenant, "acme"),
            summary: "acme is a noisy neighbour on shared: 71% of active time while shared runs at 98% of its CPU; 6 tenants wait, the most hurt globex".into(),
            evidence: vec![
                Evidence::against("share of active time", 0.71, 0.5, Unit::Ratio),
                Evidence::against("times its fair share", 9.2, 3.0, Unit::Ratio),
                Evidence::against("CPU pressure", 0.98, 0.7, Unit::Ratio),
                Evidence::against("tenants that suffer", 6.0, 1.0, Unit::Count),
                Evidence::fact("its active sessions", 21.0, Unit::Count),
            ],
            advice: "look at acme's 21 active sessions; cancel the longest (pid 4100) or cap its login at 10 connections".into(),
            since: ago(140),
            onset: None,
            culprits: vec![id("acme")],
            victims: ["globex", "hooli", "initech", "tyrell", "umbrella", "wonka"].map(id).to_vec(),
            stale: false,
            statement: Some("SELECT pg_cancel_backend(4100);".into()),
            over_for: None,
            acknowledged: None,
        },
        Finding {
            signal: Signal::LockChain,
            severity: Severity::Critical,
            subject: subject(SubjectKind::Session, "4103"),
            summary: "umbrella (pid 4103, idle in transaction for 48s) blocks 4 sessions of hooli on tenant_hooli.orders, the oldest for 41s".into(),
            evidence: vec![Evidence::against("oldest wait", 41.0, 30.0, Unit::Seconds)],
            advice: "end pid 4103 of umbrella: it is idle in its transaction and holds the lock".into(),
            since: ago(41),
            onset: None,
            culprits: vec![id("umbrella")],
            victims: vec![id("hooli")],
            stale: false,
            statement: Some("SELECT pg_terminate_backend(4103);".into()),
            over_for: None,
            acknowledged: None,
        },
        Finding {
            signal: Signal::AutovacuumDebt,
            severity: Severity::Warning,
            subject: subject(SubjectKind::Table, "tenant_globex.orders"),
            summary: "globex: orders holds 336k dead rows, 4.2× its autovacuum threshold, and autovacuum is off on it".into(),
            evidence: vec![Evidence::against("dead rows by threshold", 4.2, 2.0, Unit::Ratio)],
            advice: "switch autovacuum on for tenant_globex.orders and vacuum it once".into(),
            since: ago(3_700),
            onset: None,
            culprits: vec![id("globex")],
            victims: Vec::new(),
            stale: false,
            statement: None,
            over_for: None,
            acknowledged: None,
        },
        Finding {
            signal: Signal::LimitMissing,
            severity: Severity::Info,
            subject: subject(SubjectKind::Role, "portarium_shared"),
            summary: "portarium_shared has no CONNECTION LIMIT, and 9 tenants log in with it".into(),
            evidence: Vec::new(),
            advice: "set the limit that the policy wants".into(),
            since: ago(90_000),
            onset: None,
            culprits: Vec::new(),
            victims: Vec::new(),
            stale: false,
            statement: Some("ALTER ROLE portarium_shared CONNECTION LIMIT 300;".into()),
            over_for: None,
            acknowledged: None,
        },
    ]
}

/// Something that will be known by itself.
pub fn waiting() -> Unknown {
    Unknown {
        signal: Signal::TierMisfit,
        subject: subject(SubjectKind::Instance, "shared"),
        reason: "12 tenants watched for less than 1d 00h".into(),
        known_at: Some(ago(-80_000)),
    }
}

/// A noisy neighbour, a lock pile-up, a table in debt.
pub fn firing() -> Snapshot {
    let mut snapshot = fine();
    snapshot.findings = findings();
    snapshot.unknown = vec![Arc::new(Unknown {
        signal: Signal::Wraparound,
        subject: subject(SubjectKind::Instance, "shared"),
        reason: "not seen yet".into(),
        known_at: None,
    })];
    for tenant in &mut snapshot.tenants {
        match tenant.id.as_str() {
            "acme" => {
                tenant.findings = vec![Signal::NoisyNeighbour];
                tenant.severity = Some(Severity::Critical);
                tenant.connections = Some(38);
                tenant.bound = Some(38);
                tenant.active = Some(21);
                tenant.waiting = Some(9);
                tenant.waits_for = Some("IO".into());
                tenant.noise_score = Some(87.0);
                tenant.noise = Noise {
                    active_time: Some(0.71),
                    connections: Some(0.34),
                    rows_written: Some(0.66),
                    wal: None,
                    blocks_read: Some(0.5),
                    blocked_others_seconds: Some(31.0),
                };
                tenant.rows_written_per_day = Some(4_100_000.0);
                tenant.oldest_transaction_seconds = Some(12.5);
            }
            "umbrella" => {
                tenant.findings = vec![Signal::LockChain];
                tenant.severity = Some(Severity::Critical);
                tenant.idle_in_transaction = Some(1);
                tenant.oldest_transaction_seconds = Some(48.0);
            }
            "globex" => {
                tenant.findings = vec![Signal::AutovacuumDebt];
                tenant.severity = Some(Severity::Warning);
                tenant.suffers = vec![Signal::NoisyNeighbour];
                tenant.dead_tuples = Some(45_000);
                tenant.waiting = Some(3);
                tenant.waits_for = Some("LWLock".into());
            }
            "hooli" | "initech" | "tyrell" | "wonka" => tenant.suffers = vec![Signal::NoisyNeighbour],
            _ => {}
        }
    }
    for nth in 0..4 {
        let mut blocked =
            session(6_000 + nth, Some("hooli"), SessionState::Active, "update orders set state = 'paid' where id = $1");
        blocked.wait = Some(Wait { kind: "Lock".into(), event: "transactionid".into() });
        blocked.query_started = Some(ago(41));
        blocked.blocking = Some(Blocking {
            by: vec![4_103],
            inferred: false,
            since: Some(ago(41 - i64::from(nth) * 3)),
            mode: Some("ShareLock".into()),
            rows: true,
            relation: Some(Foreign::from("tenant_hooli.orders")),
        });
        snapshot.sessions.push(blocked);
    }
    let instance = &mut snapshot.instances[0];
    instance.active = Some(29);
    instance.blocked = Some(4);
    instance.connections = Some(412);
    instance.rates.deadlocks_per_minute = Some(2.0);
    instance.pressure = Pressure { cpu: Some(0.98), reads: Some(0.4), writes: Some(0.2), connections: Some(0.83) };
    snapshot
}

/// The newest sessions are forty seconds old, and the sizes were refused.
pub fn stale() -> Snapshot {
    let mut snapshot = firing();
    let at = ago(40);
    let instance = &mut snapshot.instances[0];
    instance.activity = observed((), 1, at);
    instance.churn = observed((), 10, at);
    let refused = Trouble::other("statement timeout after 5s; it is asked again in 4m", Some("57014".into()));
    instance.sizes.fail(refused.clone());
    instance.sources[5].error = Some(refused);
    for finding in &mut snapshot.findings {
        finding.stale = true;
    }
    snapshot
}

/// The server went away; everything is as it was last known.
pub fn down() -> Snapshot {
    let mut snapshot = stale();
    snapshot.instances[0].reach = Reach::Down {
        since: ago(40),
        trouble: Trouble::new(
            "connection refused at 127.0.0.1:5432: is the server running?\u{1b}[31m".replace('\u{1b}', "␛"),
        ),
    };
    for tenant in &mut snapshot.tenants {
        tenant.connections = None;
        tenant.bound = None;
        tenant.active = None;
        tenant.waiting = None;
        tenant.idle_in_transaction = None;
        tenant.noise_score = None;
    }
    snapshot.findings.insert(
        0,
        Finding {
            signal: Signal::Unreachable,
            severity: Severity::Critical,
            subject: subject(SubjectKind::Instance, "shared"),
            summary: "shared cannot be reached for 40s: connection refused".into(),
            evidence: vec![Evidence::fact("not reached for", 40.0, Unit::Seconds)],
            advice: "check that the server runs and that this host may reach it; tierdeck doctor says more".into(),
            since: ago(40),
            onset: None,
            culprits: Vec::new(),
            victims: Vec::new(),
            stale: false,
            statement: None,
            over_for: None,
            acknowledged: None,
        },
    );
    snapshot
}

/// Nothing yet.
pub fn loading() -> Snapshot {
    Snapshot::empty(now(), "prod")
}

/// As many tenants as one likes.
pub fn crowd(count: u32) -> Snapshot {
    let mut snapshot = firing();
    snapshot.tenants.extend((0..count).map(|nth| {
        let mut tenant = tenant(&format!("tenant-{nth:05}"), nth);
        tenant.series = Chart::default();
        tenant
    }));
    snapshot.tenants.sort_by(|left, right| left.id.cmp(&right.id));
    snapshot
}
