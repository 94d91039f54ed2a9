//! An estate in AWS: a shared instance that does well, a dedicated one that is full and whose snapshots went astray, one that is still
//! being made, one of which AWS knows nothing, a snapshot of one that is gone; and words as hostile as people can put into tags. What is
//! wrong with it the signals say: pictures show the judgement that ships.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tierdeck::domain::facts::cloud::{
    AccountState, Alarm, AlarmState, Alarms, AuditEntry, Backups, Cloud, CopyOfPoint, Datapoint, Event, Events, Job,
    JobKind, LogEntry, Maintenance, Metric, Metrics, Parameters, Part, Protection, Rds, RecoveryPoint,
    Snapshot as Kept, Snapshots, Storage,
};
use tierdeck::domain::observed::Trouble;
use tierdeck::domain::{
    Foreign, Instance, InstanceName, Naming, Observed, Policy, Signal, Snapshot, Tenant, TenantId, Tier,
};
use tierdeck::signals::{Evaluator, Scene};

use crate::support::estate::{self, ago, now};

pub const HOSTILE: &str = "evil\u{1b}[31m\u{202e}tag";

fn seen<T>(value: T) -> Observed<Arc<T>> {
    let mut observed = Observed::nothing(Duration::from_secs(60));
    observed.set(Arc::new(value), now());
    observed
}

fn gib(gib: f64) -> f64 {
    gib * 1_073_741_824.0
}

/// Three hours of figures, a datapoint a minute, the newest two minutes old.
fn metrics(free: impl Fn(f64) -> f64, load: f64) -> Metrics {
    let series = |value: &dyn Fn(f64) -> f64| -> Vec<Datapoint> {
        (0..180)
            .filter(|minute| !(60..70).contains(minute))
            .map(|minute| Datapoint { at: ago(i64::from(181 - minute) * 60), value: value(f64::from(minute)) })
            .collect()
    };
    let wave = |minute: f64| (minute / 14.0).sin().abs();
    let mut all = BTreeMap::new();
    all.insert(Metric::CpuUtilization, series(&|minute| 10.0 + load * 80.0 * wave(minute)));
    all.insert(Metric::FreeStorageSpace, series(&free));
    all.insert(Metric::FreeableMemory, series(&|minute| gib(3.0 - wave(minute))));
    all.insert(Metric::SwapUsage, series(&|_| gib(0.1)));
    all.insert(Metric::ReadLatency, series(&|minute| 0.000_6 + 0.000_2 * wave(minute)));
    all.insert(Metric::WriteLatency, series(&|minute| 0.001 + load * 0.02 * wave(minute)));
    all.insert(Metric::ReadIops, series(&|minute| 20.0 + load * 400.0 * wave(minute)));
    all.insert(Metric::WriteIops, series(&|minute| 40.0 + load * 2_400.0 * wave(minute)));
    all.insert(Metric::DiskQueueDepth, series(&|minute| load * 9.0 * wave(minute)));
    all.insert(Metric::DatabaseConnections, series(&|minute| 60.0 + 50.0 * wave(minute)));
    all.insert(Metric::DbLoad, series(&|minute| load * 4.0 * wave(minute)));
    all.insert(Metric::DbLoadCpu, series(&|minute| load * 1.5 * wave(minute)));
    all.insert(Metric::DbLoadNonCpu, series(&|minute| load * 2.5 * wave(minute)));
    all.insert(Metric::MaximumUsedTransactionIds, series(&|minute| 1e8 + 1e5 * minute));
    // Asked for, and there are none.
    all.insert(Metric::OldestReplicationSlotLag, Vec::new());
    Metrics::of(all)
}

fn rds(identifier: &str, status: &str) -> Rds {
    Rds {
        arn: format!("arn:aws:rds:eu-west-1:123456789012:db:{identifier}").into(),
        status: status.into(),
        class: "db.m6g.large".into(),
        version: "16.4".into(),
        storage: Storage {
            allocated_gib: Some(100),
            max_allocated_gib: Some(200),
            kind: "gp3".into(),
            iops: Some(3_000),
            throughput_mibps: Some(125),
        },
        multi_az: Some(true),
        zone: Some("eu-west-1b".into()),
        encrypted: Some(true),
        kms_key: Some("arn:aws:kms:eu-west-1:123456789012:key/0f".into()),
        deletion_protection: Some(true),
        ca: Some("rds-ca-rsa2048-g1".into()),
        certificate_until: Some(ago(-20 * 86_400)),
        backup_window: Some("03:00-03:30".into()),
        maintenance_window: Some("sun:04:00-sun:04:30".into()),
        retention_days: Some(35),
        earliest_restorable: Some(ago(35 * 86_400)),
        latest_restorable: Some(ago(190)),
        endpoint: Some((format!("{identifier}.abc.eu-west-1.rds.amazonaws.com").into(), 5432)),
        master: Some("portarium_admin".into()),
        exports_logs: true,
        insights: Some(true),
        parameter_groups: vec![("portarium-16".into(), "pending-reboot".into())],
        tags: [("Environment".to_owned(), Foreign::from("prod")), ("Owner".to_owned(), Foreign::from(HOSTILE))].into(),
        pending: vec![("class".into(), "db.m6g.xlarge".into())],
        maintenance: Some(vec![Maintenance {
            action: "system-update".into(),
            description: Foreign::from(format!("New Operating System update is available {HOSTILE}")),
            after: Some(ago(-86_400)),
            forced: None,
            chosen: None,
        }]),
        ..Rds::default()
    }
}

fn snapshot(identifier: &str, kind: &str, age: i64, shared: Option<Vec<Foreign>>) -> Kept {
    Kept {
        identifier: identifier.into(),
        kind: kind.into(),
        status: "available".into(),
        at: Some(ago(age)),
        gib: Some(100),
        encrypted: Some(kind == "automated"),
        shared_with: shared,
    }
}

fn cloud(identifier: &str, rds: Rds, metrics: Metrics) -> Box<Cloud> {
    let mut cloud = Cloud::named("main".into(), "eu-west-1".into(), identifier.into());
    cloud.rds = seen(rds);
    cloud.metrics = seen(metrics);
    let alarm = |name: &str, state, reason: &str| Alarm {
        name: name.into(),
        state,
        reason: reason.into(),
        metric: Some("FreeStorageSpace".into()),
        since: Some(ago(600)),
    };
    cloud.alarms = seen(Alarms {
        alarms: vec![
            alarm("cpu-high", AlarmState::Ok, "1 datapoint was below 80"),
            alarm("storage-low", AlarmState::Alarm, &format!("1 datapoint was below 10 GiB {HOSTILE}")),
        ],
    });
    cloud.events = seen(Events {
        events: vec![
            Event {
                at: ago(700),
                message: "Multi-AZ instance failover completed".into(),
                categories: vec!["failover".into()],
            },
            Event { at: ago(4_000), message: HOSTILE.into(), categories: vec!["backup".into()] },
        ],
    });
    cloud.parameters = seen(Parameters {
        values: [
            ("rds.force_ssl".to_owned(), Foreign::from("1")),
            ("pgaudit.log".to_owned(), Foreign::from("ddl,role")),
        ]
        .into(),
    });
    cloud.snapshots = seen(Snapshots {
        snapshots: vec![snapshot("rds:daily-2026-11-21", "automated", 11 * 3_600, Some(Vec::new()))],
        unknown: None,
    });
    cloud.backups = seen(Backups { protections: Some(Vec::new()), ..Backups::default() });
    Box::new(cloud)
}

/// An instance that is no more.
pub const GONE: &str = "portarium-prod-umbrella-db";

/// Several of them, some in trouble.
pub fn several() -> Snapshot {
    judged(described(), &estate::settings().backup)
}

/// Of what is there, what the signals say; tenants are marked as the board marks them.
pub fn judged(mut all: Snapshot, backup: &tierdeck::domain::policy::BackupPolicy) -> Snapshot {
    let (findings, unknown) = Evaluator::immediate().evaluate(&Scene {
        now: now(),
        estate: &all.estate,
        environment: &all.environment,
        accounts: &all.accounts,
        instances: &all.instances,
        tenants: &all.tenants,
        sessions: &all.sessions,
        naming: &Naming::default(),
        policy: &Policy { backup: backup.clone(), ..Policy::default() },
        thresholds: &estate::settings().thresholds,
        remembers: true,
    });
    for tenant in &mut all.tenants {
        let here = |ids: &[TenantId], of: &InstanceName| *of == tenant.instance && ids.contains(&tenant.id);
        let by = findings.iter().filter(|it| here(&it.culprits, &it.subject.instance));
        let on = findings.iter().filter(|it| here(&it.victims, &it.subject.instance));
        let (by, on): (Vec<_>, Vec<_>) = (by.collect(), on.collect());
        tenant.severity = by.iter().map(|it| it.severity).max();
        (tenant.findings, tenant.suffers) = (signals(&by), signals(&on));
    }
    (all.findings, all.unknown) = (findings, unknown);
    all
}

fn signals(findings: &[&tierdeck::domain::Finding]) -> Vec<Signal> {
    let mut signals: Vec<Signal> = findings.iter().map(|it| it.signal).collect();
    signals.dedup();
    signals
}

fn described() -> Snapshot {
    let mut all = estate::firing();
    all.accounts = vec![AccountState {
        instances: Some(4),
        usd_per_hour: Some(0.021),
        strays: Some(vec![
            (GONE.into(), snapshot(&format!("final-{GONE}"), "manual", 90 * 86_400, Some(vec!["all".into()]))),
            (GONE.into(), snapshot("gone-for-audit", "manual", 120 * 86_400, Some(vec!["210987654321".into()]))),
        ]),
        ..AccountState::named("main".into(), "eu-west-1".into())
    }];
    all.cost.cloudwatch_usd_per_hour = Some(0.021);
    let shared = &mut all.instances[0];
    shared.cloud = Some(cloud(
        "portarium-prod-shared",
        rds("portarium-prod-shared", "available"),
        metrics(|minute| gib(62.0 - minute / 400.0), 0.3),
    ));
    let own = |name: &str| {
        let mut own = estate::instance(now());
        (own.name, own.tier) = (InstanceName::new(name), Tier::Dedicated);
        own
    };
    let mut full = own("portarium-prod-globex-db");
    let described = Rds {
        multi_az: Some(false),
        encrypted: Some(false),
        public: Some(true),
        deletion_protection: Some(false),
        retention_days: Some(7),
        earliest_restorable: Some(ago(7 * 86_400)),
        latest_restorable: Some(ago(5_400)),
        exports_logs: false,
        ..rds("portarium-prod-globex-db", "storage-full")
    };
    let mut known =
        cloud("portarium-prod-globex-db", described, metrics(|minute| gib((18.0 - minute / 10.0).max(0.2)), 1.0));
    known.snapshots = seen(Snapshots {
        snapshots: vec![
            snapshot("globex-for-audit", "manual", 3 * 86_400, Some(vec!["210987654321".into(), HOSTILE.into()])),
            snapshot("rds:portarium-prod-globex-db-2026-11-20-08-03", "automated", 30 * 3_600, Some(Vec::new())),
            snapshot("globex-before-the-upgrade", "manual", 40 * 86_400, None),
        ],
        unknown: Some(
            "rds:DescribeDBSnapshotAttributes is not allowed: allow it to arn:aws:iam::1:role/tierdeck".into(),
        ),
    });
    known.backups = seen(Backups {
        protections: Some(vec![Protection {
            plan: "dedicated".into(),
            rule: "daily".into(),
            schedule: Some("cron(0 3 * * ? *)".into()),
            vault: "portarium-prod".into(),
            days: Some(35),
            copies_to: vec!["arn:aws:backup:eu-central-1:1:backup-vault:copies".into()],
            continuous: false,
            since: None,
        }]),
        points: vec![RecoveryPoint {
            arn: "arn:aws:rds:eu-west-1:1:snapshot:awsbackup:job-1".into(),
            vault: "portarium-prod".into(),
            status: "COMPLETED".into(),
            at: ago(31 * 3_600),
            bytes: Some(18 << 30),
            encrypted: true,
            deleted_at: Some(ago(-30 * 86_400)),
        }],
        copies: vec![CopyOfPoint {
            to: "arn:aws:backup:eu-central-1:1:backup-vault:copies".into(),
            state: "COMPLETED".into(),
            at: ago(30 * 3_600),
            message: None,
        }],
        jobs: vec![Job {
            kind: JobKind::Backup,
            state: "FAILED".into(),
            at: ago(7 * 3_600),
            ended: Some(ago(7 * 3_600 - 40)),
            message: Some(format!("Instance is storage-full {HOSTILE}").into()),
        }],
        refused: vec![(Part::RestoreJobs, "backup:ListRestoreJobs is not allowed".into())],
    });
    full.cloud = Some(known);
    let mut made = Instance::named(InstanceName::new("portarium-prod-initech-db"), Tier::Dedicated, full.layout);
    let mut young = Cloud::named("main".into(), "eu-west-1".into(), "portarium-prod-initech-db".into());
    young.rds = seen(Rds { endpoint: None, ..rds("portarium-prod-initech-db", "creating") });
    young.metrics.error = Some(Trouble::new(
        "cloudwatch:GetMetricData is not allowed to arn:aws:iam::1:role/tierdeck: allow it (assets/iam/watch.json)",
    ));
    young.snapshots.error = Some(Trouble::new("rds:DescribeDBSnapshots is not allowed"));
    made.cloud = Some(Box::new(young));
    let alone = own("old-metal");
    all.instances.extend([full, made, alone]);
    for tenant in &mut all.tenants {
        if tenant.id.as_str() == "globex" {
            tenant.tier_to("portarium-prod-globex-db");
        }
    }
    all.tenants.sort_by(|a, b| (&a.id, &a.instance).cmp(&(&b.id, &b.instance)));
    all
}

/// A tenant that moved.
trait Moved {
    fn tier_to(&mut self, instance: &str);
}

impl Moved for Tenant {
    fn tier_to(&mut self, instance: &str) {
        let mut settled = tierdeck::domain::tenant::Settled::clone(&self.settled);
        (settled.tier, settled.instance) = (Tier::Dedicated, InstanceName::new(instance));
        self.settled = Arc::new(settled);
    }
}

pub fn entry(severity: &str, message: &str) -> LogEntry {
    LogEntry {
        at: Some(ago(30)),
        role: Some("portarium_shared".into()),
        database: Some("portarium".into()),
        pid: Some(4_103),
        severity: Some(severity.into()),
        message: message.into(),
        audit: None,
    }
}

/// Some of a log.
pub fn entries() -> Vec<LogEntry> {
    let audit = AuditEntry {
        kind: "SESSION".into(),
        class: "DDL".into(),
        command: "ALTER TABLE".into(),
        object: Some("tenant_acme.orders".into()),
        statement: "ALTER TABLE tenant_acme.orders ADD COLUMN note text".into(),
    };
    vec![
        LogEntry { role: None, database: None, ..entry("LOG", "checkpoint starting: time") },
        entry("ERROR", "duplicate key value violates unique constraint \"orders_pkey\""),
        entry("STATEMENT", &format!("insert into orders\nvalues (1, '{HOSTILE}')")),
        LogEntry {
            audit: Some(audit),
            ..entry("LOG", "AUDIT: SESSION,1,1,DDL,ALTER TABLE,TABLE,tenant_acme.orders,…")
        },
        LogEntry { role: Some("role_acme".into()), ..entry("FATAL", "too many connections for role \"role_acme\"") },
        LogEntry { at: None, severity: None, ..entry("", "a line that nobody understands") },
    ]
}
