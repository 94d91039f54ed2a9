//! What AWS knows, on the screens: charts, RDS's page, the log, and all of it beside what PostgreSQL says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use tierdeck::app::{Effect, InstanceTab, Message, Model, Report, Target, View};
use tierdeck::domain::facts::cloud::{Datapoint, LogEntry, Metric, Metrics};
use tierdeck::domain::observed::Trouble;
use tierdeck::domain::snapshot::Reach;
use tierdeck::domain::watching::{FigureInquiry, Known, LogInquiry, Lookback};

pub use crate::cloud_estate::several;
use crate::cloud_estate::{entries, entry};
use crate::support::estate::{self, ago, now};
use crate::support::stage::{model, screen, type_keys};

/// How to get there: the screens of this file.
pub const PLACES: [&str; 9] = ["6", "6G⏎⇥", "6gj⏎⇥", "6gj⏎⇥⇥", "6gj⏎⇥⇥⇥⇥", "7", "7⏎", "9", "9⇥"];

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
        ("● shared", vec!["available", "db.m6g.large", "/100 GiB", "Multi-AZ", "~255"]),
        ("✖ portarium-prod-globex-db", vec!["STORAGE FULL", "100/100 GiB", "NO", "Single-AZ"]),
        ("◌ portarium-prod-initech-db", vec!["creating", "—"]),
        ("● old-metal", vec!["—"]),
    ] {
        for words in words {
            assert!(row(name).1.contains(words), "{name}: {words}\n{shown}");
        }
    }
    assert!(shown.contains("$ as in us-east-1"), "{shown}");
    // AWS's own words find it as well as ours.
    for (filter, name) in [("/storage-full⏎", "…tarium-prod-globex-db"), ("⎋/creating⏎", "initech-db")] {
        type_keys(&mut console, filter, (120, 40));
        let shown = screen(&mut console, (120, 40));
        assert!(shown.contains("1 match") && shown.contains(name.trim_start_matches('…')), "{filter}\n{shown}");
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
    assert!(!shown.contains("CPU credits") && !shown.contains("SlotLag"), "what it cannot have is not drawn\n{shown}");
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
    let points = |value: f64| (0..300).map(move |step| Datapoint { at: ago(600_000 - step * 1_800), value });
    let answer = Metrics::of(BTreeMap::from([(Metric::CpuUtilization, points(42.0))]));
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
    let shown = screen(&mut console, (160, 48));
    assert!(shown.contains("PARAMETERS THAT MATTER"), "{shown}");
    // That page has no charts: neither does the key act there, nor is it offered.
    assert!(!shown.contains("further back"), "{shown}");
    let back = (console.figures.back, console.looking.stretch);
    type_keys(&mut console, ">>", (160, 48));
    assert_eq!((console.figures.back, console.looking.stretch), back);
}

#[test]
fn rds_says_what_aws_calls_it() {
    let mut console = model(several());
    type_keys(&mut console, "6g⏎⇥⇥", (160, 80));
    let shown = screen(&mut console, (160, 80));
    for words in [
        "STORAGE FULL (storage-full): ",
        "Single-AZ: no standby",
        "storage autoscaling to 200 GiB",
        "deletion protection  OFF",
        "server certificate until 2026-12-11 14:04Z (in 20d 00h) · CA rds-ca-rsa2048-g1",
        "PENDING MODIFICATIONS",
        "latest restorable",
        "Performance Insights",
        "ALARM",
        "as in us-east-1",
    ] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
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
    // What is not the entry's own time says so.
    assert!(shown.contains(" 14:02:52Z LOG") && shown.contains("~14:02:52Z — "), "{shown}");
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
                    let earlier =
                        |point: Datapoint| Datapoint { at: point.at - jiff::SignedDuration::from_hours(2), ..point };
                    *points = points.iter().map(earlier).collect();
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
    assert!(shown.contains("(full in ~44d)"), "{shown}");
}
