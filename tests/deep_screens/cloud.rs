//! What AWS knows, on the screens: a shared instance that does well, a dedicated one that is full and whose snapshots went
//! astray, one that is still being made, one of which AWS knows nothing; and words as hostile as people can put into tags.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use tierdeck::app::{Effect, InstanceTab, Message, Model, Report, Target, View};
use tierdeck::domain::facts::cloud::{
    AccountState, Alarm, AlarmState, Alarms, AuditEntry, Backups, Cloud, CopyOfPoint, Datapoint, Event, Events, Job,
    JobKind, LogEntry, Maintenance, Metric, Metrics, Parameters, Part, Protection, Rds, RecoveryPoint,
    Snapshot as Kept, Snapshots, Storage,
};
use tierdeck::domain::observed::Trouble;
use tierdeck::domain::snapshot::Reach;
use tierdeck::domain::watching::{FigureInquiry, Known, LogInquiry, Lookback};
use tierdeck::domain::{Foreign, Instance, InstanceName, Observed, Snapshot, Tier};

use crate::support::estate::{self, ago, now};
use crate::support::stage::{model, screen, type_keys};

const HOSTILE: &str = "evil\u{1b}[31m\u{202e}tag";

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
    Metrics { series: all }
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
        snapshots: vec![snapshot("rds:daily-2026-11-21", "automated", 11 * 3_600, None)],
        unknown: None,
    });
    cloud.backups = seen(Backups { protections: Some(Vec::new()), ..Backups::default() });
    Box::new(cloud)
}

/// Several of them, some in trouble.
pub fn several() -> Snapshot {
    let mut all = estate::firing();
    all.accounts = vec![AccountState {
        instances: Some(4),
        usd_per_hour: Some(0.021),
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
            snapshot("rds:daily", "automated", 30 * 3_600, None),
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

impl Moved for tierdeck::domain::Tenant {
    fn tier_to(&mut self, instance: &str) {
        let mut settled = tierdeck::domain::tenant::Settled::clone(&self.settled);
        (settled.tier, settled.instance) = (Tier::Dedicated, InstanceName::new(instance));
        self.settled = Arc::new(settled);
    }
}

/// How to get there: the screens of this file.
pub const PLACES: [&str; 9] = ["6", "6G⏎⇥", "6gj⏎⇥", "6gj⏎⇥⇥", "6gj⏎⇥⇥⇥⇥", "7", "7⏎", "9", "9⇥"];

fn entry(severity: &str, message: &str) -> LogEntry {
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

fn told(console: &mut Model, of: &Known, entries: Vec<LogEntry>) {
    console.update(Message::Report(Report::Log(of.clone(), Ok(entries))));
}

fn tail(effects: &[Effect]) -> Option<&Option<LogInquiry>> {
    effects.iter().rev().find_map(|effect| match effect {
        Effect::Tail(inquiry) => Some(inquiry),
        _ => None,
    })
}

fn figures(effects: &[Effect]) -> Option<&FigureInquiry> {
    effects.iter().rev().find_map(|effect| match effect {
        Effect::Figures(inquiry) => Some(inquiry),
        _ => None,
    })
}

/// As they are looked at: `INSTA_UPDATE=always cargo test --test deep_screens of_the_cloud`.
#[test]
fn pictures_of_the_cloud() {
    for (name, keys) in [
        ("cloud-fleet", ""),
        ("cloud-instances", "6"),
        ("cloud-figures", ":shared⏎⇥"),
        ("cloud-rds", "6g⏎⇥⇥"),
        ("cloud-backups", "7"),
        ("cloud-backup", "7⏎"),
        ("cloud-tenant", ":globex⏎"),
        ("cloud-tenant-backups", ":acme⏎⇥⇥⇥⇥⇥⇥⇥"),
        ("cloud-logs", ":shared⏎9"),
    ] {
        for size in [(80, 24), (120, 40), (160, 48), (220, 60)] {
            let mut console = model(several());
            let effects = type_keys(&mut console, keys, size);
            if let Some(Some(inquiry)) = tail(&effects) {
                told(&mut console, &inquiry.of, entries());
            }
            insta::assert_snapshot!(format!("{name}-{}x{}", size.0, size.1), screen(&mut console, size));
        }
    }
}

#[test]
fn what_aws_says_is_shown_though_postgresql_is_not_reached_and_the_other_way_round() {
    let mut console = model(several());
    let shown = screen(&mut console, (160, 48));
    for words in ["eu-west-1 (main)", "$0.02/h", "STORAGE FULL", "cpu ", "free ", "(full in ~"] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
    type_keys(&mut console, "6", (220, 60));
    let shown = screen(&mut console, (220, 60));
    // Below the strip.
    let row = |name: &str| {
        let found = shown.lines().enumerate().filter(|(_, line)| line.contains(name)).last();
        found.unwrap_or_else(|| panic!("{name}\n{shown}"))
    };
    for (name, words) in [
        ("● shared", vec!["available", "db.m6g.large", "/100 GiB", "multi-AZ", "~255"]),
        ("✖ portarium-prod-globex-db", vec!["STORAGE FULL", "100/100 GiB", "NO", "one"]),
        ("◌ portarium-prod-initech-db", vec!["being made", "—"]),
        ("● old-metal", vec!["—"]),
    ] {
        for words in words {
            assert!(row(name).1.contains(words), "{name}: {words}\n{shown}");
        }
    }
    // Of the one that is full everybody hears first.
    assert!(row("✖ portarium-prod-globex-db").0 < row("● shared").0, "{shown}");
}

#[test]
fn charts_look_back_on_demand_and_a_key_never_waits_for_aws() {
    let mut console = model(several());
    let effects = type_keys(&mut console, ":shared⏎⇥", (160, 48));
    assert!(figures(&effects).is_none(), "three hours are there already: {effects:?}");
    let shown = screen(&mut console, (160, 48));
    for words in [
        "THE LAST 3 H, BY CLOUDWATCH",
        "CPU",
        "╌ vCPUs 2",
        "given 3.0k/s",
        "warning 80%",
        "━ all 243/s",
        "now",
        "13:00Z",
    ] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
    assert!(!shown.contains("CPU credits") && !shown.contains("slot lag"), "what it cannot have is not drawn\n{shown}");
    let effects = type_keys(&mut console, ">", (160, 48));
    let inquiry = figures(&effects).unwrap().clone();
    assert_eq!((inquiry.back, inquiry.of.identifier.as_ref()), (Lookback::Day, "portarium-prod-shared"));
    assert!(inquiry.metrics.contains(&Metric::CpuUtilization) && !inquiry.metrics.contains(&Metric::CpuCreditBalance));
    assert!(screen(&mut console, (160, 48)).contains("asking CloudWatch …"));
    let again = type_keys(&mut console, "jk", (160, 48));
    assert!(figures(&again).is_none(), "asked once: {again:?}");
    // An answer to an older question is none to this one.
    let week = figures(&type_keys(&mut console, ">", (160, 48))).unwrap().clone();
    console.update(Message::Report(Report::Figures(inquiry, Err("late".to_owned()))));
    assert!(screen(&mut console, (160, 48)).contains("asking CloudWatch …"));
    let points = |value: f64| (0..300).map(|step| Datapoint { at: ago(600_000 - step * 1_800), value }).collect();
    let answer = Metrics { series: BTreeMap::from([(Metric::CpuUtilization, points(42.0))]) };
    console.update(Message::Report(Report::Figures(week.clone(), Ok(Arc::new(answer)))));
    let shown = screen(&mut console, (160, 48));
    assert!(shown.contains("THE LAST 7 D") && shown.contains("CPU  ━ 15%") && shown.contains("Nov 1"), "{shown}");
    // What was drawn stays when asking again fails; that says why, and is asked again by itself, ever more rarely, or by hand.
    let refuse = |console: &mut Model, inquiry: &FigureInquiry| {
        let refused = "cloudwatch:GetMetricData is not allowed".to_owned();
        console.update(Message::Report(Report::Figures(inquiry.clone(), Err(refused))))
    };
    let after = |console: &mut Model, seconds: i64| figures(&console.update(Message::Tick(ago(-seconds)))).cloned();
    assert!(figures(&refuse(&mut console, &week)).is_none());
    let shown = screen(&mut console, (160, 48));
    assert!(shown.contains("THE LAST 7 D") && shown.contains("Nov 1") && !shown.contains("not known"), "{shown}");
    assert!(shown.contains("r asks now, else in 15s): cloudwatch:GetMetricData is not allowed"), "{shown}");
    assert!(after(&mut console, 14).is_none());
    let again = after(&mut console, 15).unwrap();
    assert!(after(&mut console, 16).is_none(), "asked once");
    refuse(&mut console, &again);
    assert!(after(&mut console, 44).is_none() && after(&mut console, 46).is_some());
    assert!(figures(&type_keys(&mut console, "r", (160, 48))).is_some());
    // Of what was never told it is said that it is not.
    let day = figures(&type_keys(&mut console, "<", (160, 48))).unwrap().clone();
    refuse(&mut console, &day);
    assert!(screen(&mut console, (160, 48)).contains("not known: cloudwatch:GetMetricData is not allowed"));
    // The mouse opens pages, too.
    let spot = console.spot(Target::InstanceTab(InstanceTab::Rds)).unwrap();
    let click = MouseEvent {
        kind: MouseEventKind::Down(MouseButton::Left),
        column: spot.x,
        row: spot.y,
        modifiers: KeyModifiers::NONE,
    };
    console.update(Message::Mouse(click));
    assert!(screen(&mut console, (160, 48)).contains("PARAMETERS THAT MATTER"));
}

#[test]
fn what_is_refused_says_which_right_is_missing_and_what_is_not_configured_says_what_to_write() {
    let mut console = model(several());
    type_keys(&mut console, ":initech-db⏎⇥", (120, 40));
    let shown = screen(&mut console, (120, 40));
    assert!(
        shown.contains("cloudwatch:GetMetricData is not allowed") && shown.contains("assets/iam/watch.json"),
        "{shown}"
    );
    type_keys(&mut console, ":old-metal⏎⇥", (120, 40));
    assert!(screen(&mut console, (120, 40)).contains("write rds = "));
    let effects = type_keys(&mut console, "9", (120, 40));
    let shown = screen(&mut console, (120, 40));
    assert!(shown.contains("LOG OF old-metal") && shown.contains("write rds = "), "{shown}");
    assert!(tail(&effects).is_none(), "nothing is asked: {effects:?}");
}

#[test]
fn backups_stand_beside_their_targets() {
    let mut console = model(several());
    type_keys(&mut console, "7", (220, 60));
    let shown = screen(&mut console, (220, 60));
    let line = |name: &str| {
        let found = shown.lines().rev().find(|line| line.contains(name));
        found.unwrap_or_else(|| panic!("{name}\n{shown}"))
    };
    for words in ["30h/24h", "90m/5m", "35/35 d", "NO", "2 accts", "eu-central-1", "failed 7h ago", "—/15m"] {
        assert!(line("▲ portarium-prod-globex-db").contains(words), "{words}\n{shown}");
    }
    for words in ["11h/24h", "3m/5m", "35/35 d", "yes", "nobody"] {
        assert!(line("● shared").contains(words), "{words}\n{shown}");
    }
    assert!(line("old-metal").contains("—"));
    // A tenant on the shared instance has what that has, and is found by its name.
    type_keys(&mut console, "/acme⏎", (220, 60));
    let shown = screen(&mut console, (220, 60));
    assert!(shown.contains("1 match /acme") && shown.contains("they hold every tenant's data"), "{shown}");
    type_keys(&mut console, "⎋g⏎", (160, 48));
    assert!(matches!(console.view, View::Backup(_)));
    let shown = screen(&mut console, (160, 60));
    for words in [
        "SNAPSHOTS",
        "shared with 210987654321",
        "NOT ENCRYPTED",
        "PLANS THAT PROTECT IT",
        "cron(0 3",
        "ListRestoreJobs",
    ] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
    type_keys(&mut console, "⎋", (160, 48));
    assert_eq!(console.view, View::Backups);
    let copied = console.update(Message::Key(KeyEvent::new(KeyCode::Char('y'), KeyModifiers::NONE)));
    assert!(copied.iter().any(|effect| matches!(effect, Effect::Copy(row) if row.contains("globex"))), "{copied:?}");
}

#[test]
fn a_log_is_followed_while_it_is_looked_at_and_stays_where_somebody_reads() {
    let mut console = model(several());
    let effects = type_keys(&mut console, ":shared⏎9", (120, 40));
    let inquiry = tail(&effects).unwrap().clone().unwrap();
    assert!(inquiry.exported && &*inquiry.of.identifier == "portarium-prod-shared");
    told(&mut console, &inquiry.of, entries());
    let shown = screen(&mut console, (120, 40));
    for words in
        ["▶ following", "CloudWatch Logs", "DDL ALTER TABLE tenant_acme.orders", "too many connections for role"]
    {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
    let whose = |words: &str| {
        let line = shown.lines().find(|line| line.contains(words)).unwrap();
        line.contains(" acme ")
    };
    assert!(whose("DDL ALTER TABLE") && whose("too many connections") && !whose("duplicate key"), "{shown}");
    // Somebody goes up: what comes is there, and the cursor stays.
    type_keys(&mut console, "kkk", (120, 40));
    let before = console.log_under_cursor().unwrap().number;
    told(&mut console, &inquiry.of, vec![entry("ERROR", "the newest of all")]);
    assert_eq!(console.log_under_cursor().unwrap().number, before);
    assert!(screen(&mut console, (120, 40)).contains("G follows"));
    type_keys(&mut console, "G", (120, 40));
    assert_eq!(console.log_under_cursor().unwrap().message(), "the newest of all");
    told(&mut console, &inquiry.of, vec![entry("LOG", "and one more")]);
    assert_eq!(console.log_under_cursor().unwrap().message(), "and one more");
    // Frozen, the screen stands still; afterwards nothing is missing.
    type_keys(&mut console, "p", (120, 40));
    told(&mut console, &inquiry.of, vec![entry("LOG", "while it was frozen")]);
    assert!(!screen(&mut console, (120, 40)).contains("while it was frozen"));
    type_keys(&mut console, "p", (120, 40));
    assert!(screen(&mut console, (120, 40)).contains("while it was frozen"));
    // The filter of all tables.
    type_keys(&mut console, "/severity:error⏎", (120, 40));
    let shown = screen(&mut console, (120, 40));
    assert!(shown.contains("duplicate key") && !shown.contains("checkpoint starting"), "{shown}");
    type_keys(&mut console, "⎋/tenant:acme⏎", (120, 40));
    let shown = screen(&mut console, (120, 40));
    assert!(shown.contains("2 match /tenant:acme") && shown.contains("DDL ALTER TABLE"), "{shown}");
    // ⏎ leads to the tenant, and the lane ends there.
    let left = type_keys(&mut console, "⏎", (120, 40));
    assert!(matches!(&console.view, View::Tenant(key) if key.0.as_str() == "acme"));
    assert_eq!(tail(&left), Some(&None));
    // What comes late is not for whoever looks elsewhere.
    told(&mut console, &inquiry.of, vec![entry("LOG", "too late")]);
    let back = type_keys(&mut console, "9", (120, 40));
    assert!(matches!(tail(&back), Some(Some(again)) if again.of == inquiry.of));
    assert!(!screen(&mut console, (120, 40)).contains("too late"));
}

#[test]
fn a_log_is_bounded_whatever_is_written() {
    let mut console = model(several());
    let effects = type_keys(&mut console, ":shared⏎9", (120, 40));
    let inquiry = tail(&effects).unwrap().clone().unwrap();
    for _ in 0..4 {
        told(&mut console, &inquiry.of, (0..2_000).map(|nth| entry("LOG", &format!("line {nth}"))).collect());
    }
    assert_eq!((console.logs.held.rows.len(), console.logs.dropped), (5_000, 3_000));
    assert!(screen(&mut console, (120, 40)).contains("3.0k older dropped"));
    let long = "x".repeat(8_000);
    told(&mut console, &inquiry.of, (0..2_000).map(|_| entry("ERROR", &long)).collect());
    let bytes: usize = console.logs.held.rows.iter().map(|row| row.entry.message.raw().len()).sum();
    assert!(bytes <= 8 << 20, "{bytes}");
    assert!(console.logs.held.rows.len() > 500);
}

#[test]
fn what_is_old_is_told_as_old() {
    let mut old = several();
    for instance in &mut old.instances {
        if let Some(cloud) = &mut instance.cloud {
            cloud.metrics.every = Duration::from_secs(60);
            if let Some(metrics) = &mut cloud.metrics.value {
                for points in Arc::make_mut(metrics).series.values_mut() {
                    for point in points {
                        point.at -= jiff::SignedDuration::from_hours(2);
                    }
                }
            }
        }
    }
    let mut console = model(old);
    let shown = screen(&mut console, (200, 48));
    assert!(shown.contains("2h 02m ago") && !shown.contains("full in"), "{shown}");
    type_keys(&mut console, ":shared⏎⇥", (160, 48));
    assert!(screen(&mut console, (160, 48)).contains("2h 02m ago"));
    // A dead PostgreSQL does not make RDS old, and the other way round.
    let mut dark = several();
    dark.instances[0].reach = Reach::Down { since: ago(60), trouble: Trouble::new("connection refused") };
    let mut console = model(dark);
    type_keys(&mut console, ":shared⏎⇥⇥", (160, 48));
    assert!(screen(&mut console, (160, 48)).contains("it serves"));
}

/// The heads of charts, names of lines and colours go by what is configured.
#[test]
fn charts_and_strip_go_by_the_configured_thresholds() {
    let mut settings = estate::settings();
    settings.thresholds.cpu = tierdeck::domain::policy::Ladder::new(0.4, 0.7);
    let mut console = Model::new(settings, now());
    console.update(Message::Snapshot(Arc::new(several())));
    type_keys(&mut console, ":shared⏎⇥", (160, 48));
    let shown = screen(&mut console, (160, 48));
    assert!(shown.contains("warning 40%") && shown.contains("critical 70%") && !shown.contains("80%"), "{shown}");
}

/// What may grow has room up to where it may grow to, on every screen.
#[test]
fn storage_is_as_full_as_of_what_it_may_grow_to() {
    let mut console = model(several());
    type_keys(&mut console, ":shared⏎⇥⇥", (160, 48));
    let shown = screen(&mut console, (160, 48));
    assert!(shown.contains("19% of the 200 GiB that it may grow to in use, full in ~44d 21h"), "{shown}");
    assert!(shown.contains("(full in ~45d)"), "{shown}");
}
