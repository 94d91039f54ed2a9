//! The history as the operator relies on it: with made-up moments on real files, killed, damaged, locked, without room.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use super::keeper::Keeper;
use super::store::Store;
use super::{Notice, Options};
use crate::domain::history::{Measure, Stretch, Whose};
use crate::domain::snapshot::Reach;
use crate::domain::{
    Finding, Instance, InstanceName, Layout, Past, Severity, Signal, Snapshot, Subject, SubjectKind, Tenant, TenantId,
    Tier,
};

/// A whole hour.
const BEGIN: i64 = 1_700_002_800;

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + second).unwrap()
}

fn name() -> InstanceName {
    InstanceName::new("shared")
}

fn id(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

fn whose(text: &str) -> Whose {
    Whose { instance: name(), tenant: Some(id(text)) }
}

/// A picture with these tenants, which write so many rows a second.
fn picture(at: Timestamp, tenants: &[(&str, f64)]) -> Snapshot {
    let mut snapshot = Snapshot::empty(at, "test");
    let mut instance = Instance::named(name(), Tier::Shared, Layout::Schema);
    instance.reach = Reach::Up;
    instance.activity.set((), at);
    instance.connections = Some(50);
    snapshot.instances.push(instance);
    for (text, rows) in tenants {
        let mut tenant = Tenant::named(id(text), Tier::Shared, name());
        tenant.connections = Some(7);
        tenant.active = Some(3);
        tenant.rows_written_per_second = Some(*rows);
        tenant.size_bytes = Some(1 << 40);
        snapshot.tenants.push(tenant);
    }
    snapshot
}

fn finding(since: Timestamp) -> Finding {
    Finding {
        signal: Signal::NoisyNeighbour,
        severity: Severity::Warning,
        subject: Subject { kind: SubjectKind::Tenant, id: "acme".into(), instance: name() },
        summary: String::new(),
        evidence: Vec::new(),
        advice: String::new(),
        statement: None,
        since,
        onset: None,
        culprits: vec![id("acme")],
        victims: Vec::new(),
        stale: false,
        over_for: None,
        acknowledged: None,
    }
}

struct Bench {
    keeper: Keeper,
    past: watch::Receiver<Arc<Past>>,
    told: Arc<Mutex<Vec<Notice>>>,
}

impl Bench {
    fn open(path: &Path, now: Timestamp) -> Self {
        let (past, heard) = watch::channel(Arc::default());
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        let options = Options { path: path.to_owned(), keep: Duration::from_secs(14 * 86_400) };
        let mut keeper = Keeper::new(options, past, Box::new(move |notice| sink.lock().unwrap().push(notice)));
        keeper.open(now);
        Self { keeper, past: heard, told }
    }

    fn told(&self) -> String {
        self.told.lock().unwrap().iter().map(|notice| notice.text.clone()).collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn days_are_kept_in_minutes_and_weeks_in_quarters_and_gaps_stay_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state").join("history.redb");
    let mut bench = Bench::open(&path, second(0));
    // Thirty hours, one of them without us; acme writes ten times as much in one of them.
    for step in 0..30 * 720 {
        let at = second(step * 5);
        let hour = step / 720;
        if hour == 20 {
            continue;
        }
        let rows = if hour == 10 { 1_000.0 } else { 100.0 };
        bench.keeper.take(&picture(at, &[("acme", rows), ("globex", 0.0)]));
    }
    bench.keeper.end();
    let now = second(30 * 3_600);
    let mut bench = Bench::open(&path, now);
    assert_eq!(bench.told(), "", "an orderly end needs no words");
    let curve = bench.keeper.curve(&whose("acme"), Stretch::Hour, now);
    assert!((60..=62).contains(&curve.readings.len()) && curve.trouble.is_none(), "{}", curve.readings.len());
    let reading = &curve.readings[30];
    let close = |value: Option<f64>, wanted: f64| value.is_some_and(|value| (value - wanted).abs() < wanted / 200.0);
    assert!(close(reading.mean(Measure::RowsWritten), 100.0), "{reading:?}");
    assert!(
        close(reading.mean(Measure::Active), 3.0) && close(reading.mean(Measure::SizeBytes), 1.1e12),
        "{reading:?}"
    );
    assert_eq!(reading.mean(Measure::NoiseScore), None, "what was never known is not 0");
    let day = bench.keeper.curve(&whose("acme"), Stretch::Day, now);
    assert!((23 * 60 - 2..=23 * 60 + 2).contains(&day.readings.len()), "{}", day.readings.len());
    let missing = |reading: &&crate::domain::history::Reading| {
        reading.at > second(20 * 3_600 + 60) && reading.at < second(21 * 3_600)
    };
    assert_eq!(day.readings.iter().filter(missing).count(), 0, "the hour without us is a gap");
    let weeks = bench.keeper.curve(&whose("acme"), Stretch::Fortnight, now);
    assert!((29 * 4 - 2..=29 * 4 + 2).contains(&weeks.readings.len()), "{}", weeks.readings.len());
    let most = weeks.readings.iter().filter_map(|reading| reading.most(Measure::RowsWritten)).reduce(f64::max);
    assert!(close(most, 1_000.0), "{most:?}");
    let ordered = |curve: &crate::domain::history::Curve| curve.readings.is_sorted_by(|a, b| a.at < b.at);
    assert!(ordered(&curve) && ordered(&day) && ordered(&weeks));
    // The instance has a history of its own; somebody unknown has none, and that is no trouble.
    let instance = Whose { instance: name(), tenant: None };
    assert!(close(bench.keeper.curve(&instance, Stretch::Hour, now).readings[3].mean(Measure::Connections), 50.0));
    assert_eq!(bench.keeper.curve(&whose("nobody"), Stretch::Day, now).readings, []);

    let past = bench.past.borrow().clone();
    let record = &past.records[&(name(), id("acme"))];
    assert!(record.watched_seconds > 28.9 * 3_600.0 && record.watched_seconds < 29.1 * 3_600.0, "{record:?}");
    let a_day = (28.0 * 100.0 + 1_000.0) / 29.0 * 86_400.0;
    assert!(close(record.rows_written_per_day, a_day), "{record:?} {a_day}");
    assert!(close(record.spikiness, 1_000.0 * 29.0 / 3_800.0), "{record:?}");
    assert_eq!((record.noisy_times, record.since), (0, second(0)));
    let idle = &past.records[&(name(), id("globex"))];
    assert_eq!((idle.rows_written_per_day, idle.spikiness), (Some(0.0), None));

    // A month later everything is too old, and the rows are free again: once the clock has gone on from there for a while,
    // because one that stepped forward by mistake must not cost what was kept.
    let later = |step: i64| second(31 * 86_400 + step * 5);
    for step in 0..14 {
        bench.keeper.take(&picture(later(step), &[("initech", 1.0)]));
    }
    assert_ne!(bench.keeper.curve(&whose("acme"), Stretch::Fortnight, now).readings, []);
    for step in 14..12 * 12 {
        bench.keeper.take(&picture(later(step), &[("initech", 1.0)]));
    }
    assert_eq!(bench.keeper.curve(&whose("acme"), Stretch::Fortnight, now).readings, []);
    assert_eq!(bench.keeper.curve(&whose("initech"), Stretch::Hour, later(12 * 12)).readings.len(), 11);
}

#[test]
fn what_is_still_true_after_a_restart_has_been_true_all_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.redb");
    let mut bench = Bench::open(&path, second(0));
    let burning = |at: i64, since: i64| {
        let mut snapshot = picture(second(at), &[("acme", 5.0)]);
        snapshot.findings.push(finding(second(since)));
        snapshot
    };
    for at in (0..60).step_by(5) {
        bench.keeper.take(&burning(at, 0));
    }
    for at in (60..120).step_by(5) {
        bench.keeper.take(&picture(second(at), &[("acme", 5.0)]));
    }
    for at in (120..300).step_by(5) {
        bench.keeper.take(&burning(at, 120));
    }
    bench.keeper.end();
    let bench = Bench::open(&path, second(600));
    let past = bench.past.borrow().clone();
    assert_eq!(past.standing.len(), 1);
    assert_eq!(past.standing[0].since, second(120));
    let record = &past.records[&(name(), id("acme"))];
    assert_eq!(record.noisy_times, 2);
    assert!((record.noisy_seconds - 55.0 - 175.0).abs() < 6.0, "{record:?}");
    drop(bench);
    // Hours later it may be another one.
    let bench = Bench::open(&path, second(20_000));
    assert_eq!(bench.past.borrow().standing, []);
    assert_eq!(bench.past.borrow().records[&(name(), id("acme"))].noisy_times, 2);
}

#[test]
fn one_writes_and_another_reads_along_and_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.redb");
    let mut first = Bench::open(&path, second(0));
    let mut second_one = Bench::open(&path, second(0));
    assert!(
        second_one.told().contains("another console writes the history; this one reads along"),
        "{}",
        second_one.told()
    );
    let both = |at: i64| picture(second(at), &[("acme", 5.0)]);
    for at in (0..200).step_by(5) {
        first.keeper.take(&both(at));
        second_one.keeper.take(&both(at));
    }
    let now = second(200);
    assert!(second_one.keeper.curve(&whose("acme"), Stretch::Hour, now).readings.len() >= 2);
    first.keeper.end();
    for at in (200..400).step_by(5) {
        second_one.keeper.take(&both(at));
    }
    assert!(second_one.keeper.curve(&whose("acme"), Stretch::Hour, second(400)).readings.len() >= 5);
    assert!(matches!(&second_one.keeper.store, Some(Store::Writes(_))));
}

#[test]
fn a_damaged_or_foreign_file_is_set_aside_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.redb");
    let fill = |path: &Path| {
        let mut bench = Bench::open(path, second(0));
        for at in (0..600).step_by(5) {
            bench.keeper.take(&picture(second(at), &[("acme", 5.0), ("globex", 3.0)]));
        }
        bench.keeper.end();
    };
    fill(&path);
    let good = std::fs::read(&path).unwrap();
    let mut seed = 7u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    let mut aside = 0;
    for round in 0..24 {
        let mut bad = good.clone();
        match round {
            0 => bad = b"this is my shopping list, do not lose it\n".repeat(200),
            1 => bad.truncate(good.len() / 2),
            2 => bad.truncate(100),
            3 => bad.fill(0),
            _ => {
                for _ in 0..2_000 {
                    let at = random() % bad.len();
                    bad[at] ^= (random() % 255 + 1) as u8;
                }
            }
        }
        std::fs::write(&path, &bad).unwrap();
        let mut bench = Bench::open(&path, second(1_000 + round));
        // Whatever became of it, it goes on writing.
        for at in (1_000..1_200).step_by(5) {
            bench.keeper.take(&picture(second(at), &[("acme", 5.0)]));
        }
        let curve = bench.keeper.curve(&whose("acme"), Stretch::Hour, second(1_200));
        assert!(curve.readings.len() >= 2, "round {round}: {}", bench.told());
        let name = format!(".set-aside-{}", second(1_000 + round).strftime("%Y%m%dT%H%M%SZ"));
        let kept = folder.path().join(format!("history.redb{name}"));
        if kept.exists() {
            aside += 1;
            assert_eq!(std::fs::read(&kept).unwrap(), bad, "round {round}: nothing of it is lost");
            assert!(bench.told().contains("set aside as") && bench.told().contains(&name), "{}", bench.told());
        }
        drop(bench);
        std::fs::remove_file(&path).unwrap();
    }
    assert!(aside >= 20, "only {aside} of 24 were set aside");
}

#[test]
fn where_it_cannot_be_written_it_says_so_once_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.redb");
    std::fs::create_dir(&path).unwrap();
    let mut bench = Bench::open(&path, second(0));
    for at in (0..400).step_by(5) {
        bench.keeper.take(&picture(second(at), &[("acme", 5.0)]));
    }
    assert_eq!(bench.told.lock().unwrap().len(), 1, "{}", bench.told());
    assert!(bench.told().contains("history is not kept"), "{}", bench.told());
    // There is room again.
    std::fs::remove_dir(&path).unwrap();
    for at in (400..700).step_by(5) {
        bench.keeper.take(&picture(second(at), &[("acme", 5.0)]));
    }
    assert!(bench.keeper.curve(&whose("acme"), Stretch::Hour, second(700)).readings.len() >= 2);
}

/// Not tests of their own: what runs in a process of its own and is killed, or finds the disk full.
#[test]
#[ignore = "started by the tests below"]
fn a_writer_until_killed() {
    let path = std::env::var_os("TIERDECK_TEST_HISTORY").unwrap();
    let mut bench = Bench::open(Path::new(&path), second(0));
    let names: Vec<String> = (0..400).map(|at| format!("tenant-{at:04}")).collect();
    let mut seed = 1u64;
    for at in (0..).step_by(5) {
        let tenants: Vec<(&str, f64)> = names
            .iter()
            .map(|name| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (name.as_str(), (seed >> 40) as f64)
            })
            .collect();
        bench.keeper.take(&picture(second(at), &tenants));
        if at % 60 == 0 {
            println!("minute {} {}", at / 60, bench.told());
        }
        if std::env::var_os("TIERDECK_TEST_MINUTES").is_some_and(|most| most.to_string_lossy().parse() == Ok(at / 60)) {
            return;
        }
    }
}

fn writer(path: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "history::tests::a_writer_until_killed", "--ignored", "--nocapture"]);
    command.env("TIERDECK_TEST_HISTORY", path).stdout(std::process::Stdio::piped());
    command
}

#[test]
fn killed_in_the_middle_of_writing_it_loses_a_minute_at_most() {
    use std::io::{BufRead, BufReader};
    let folder = tempfile::tempdir().unwrap();
    for minutes in [3, 64, 130] {
        let path = folder.path().join(format!("{minutes}.redb"));
        let mut child = writer(&path).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let wanted = format!("minute {minutes} ");
        assert!(lines.by_ref().any(|line| line.unwrap().contains(&wanted)));
        std::thread::sleep(Duration::from_millis(minutes));
        child.kill().unwrap();
        child.wait().unwrap();
        let reached = lines.map_while(Result::ok).filter_map(|line| line.split(' ').nth(1)?.parse::<i64>().ok()).last();
        let reached = reached.unwrap_or(minutes.cast_signed());
        let now = second(reached * 60 + 59);
        let bench = Bench::open(&path, now);
        assert_eq!(bench.told(), "", "a killed writer leaves a good file");
        let day = bench.keeper.curve(&whose("tenant-0007"), Stretch::Day, now);
        assert!(day.readings.len() >= usize::try_from(reached).unwrap(), "{} of {reached}", day.readings.len());
    }
}

#[test]
fn a_full_disk_is_told_and_nothing_else_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.redb");
    assert!(writer(&path).env("TIERDECK_TEST_MINUTES", "2").output().unwrap().status.success());
    // A file that may grow by little: to the writer that is a full disk.
    let most = std::fs::metadata(&path).unwrap().len() / 1_024 + 64;
    let mut inner = writer(&path);
    inner.env("TIERDECK_TEST_MINUTES", "100");
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &format!("trap '' XFSZ; ulimit -f {most}; exec \"$0\" \"$@\"")]);
    command.arg(inner.get_program()).args(inner.get_args());
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("history is not kept") && said.contains("minute 99"), "{said}");
    assert_eq!(said.lines().last().map(|line| line.matches("history is not kept").count() < 20), Some(true), "{said}");
    // What was written before is there, and with room again it goes on.
    let bench = Bench::open(&path, second(100 * 60));
    assert!(bench.told().is_empty(), "{}", bench.told());
    assert!(!bench.keeper.curve(&whose("tenant-0001"), Stretch::Day, second(100 * 60)).readings.is_empty());
}

#[test]
#[ignore = "a measurement: cargo test --lib history::tests::what_ten_thousand -- --ignored --nocapture"]
fn what_ten_thousand_tenants_take() {
    for (story, busy) in [("one in ten is busy", 10), ("everybody is busy", 1)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.redb");
        let mut bench = Bench::open(&path, second(0));
        let names: Vec<String> = (0..10_000).map(|at| format!("tenant-{at:05}")).collect();
        let mut seed = 1u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as f64 / f64::from(1u32 << 31)
        };
        let (mut minutes, mut rolls) = (Vec::new(), Vec::new());
        let mut sizes = Vec::new();
        for minute in 0..=(4 * 60) {
            let mut snapshot = picture(second(minute * 60), &[]);
            snapshot.tenants = names
                .iter()
                .enumerate()
                .map(|(at, text)| {
                    let works = at % busy == 0;
                    let mut tenant = Tenant::named(id(text), Tier::Shared, name());
                    let mut some = |most: f64| if works { (random() * most) as u32 } else { 0 };
                    tenant.connections = Some(some(40.0));
                    tenant.active = Some(some(10.0));
                    tenant.waiting = Some(some(10.0));
                    tenant.rows_written_per_second = Some(if works { 1_000.0 * random() } else { 0.0 });
                    tenant.noise_score = Some(if works { 100.0 * random() } else { 0.0 });
                    tenant.size_bytes = Some((1u64 << 30) + at as u64 * 1_000_000 + minute as u64 * 8_192);
                    tenant.dead_tuples = Some(if works { (1e6 * random()) as u64 } else { 100 });
                    tenant
                })
                .collect();
            let began = Instant::now();
            bench.keeper.take(&snapshot);
            if minute % 60 == 0 {
                rolls.push(began.elapsed());
            } else {
                minutes.push(began.elapsed());
            }
            if minute % 60 == 1 {
                sizes.push(std::fs::metadata(&path).unwrap().len());
            }
        }
        minutes.sort();
        let store = bench.keeper.store.as_ref().unwrap();
        let (hours, quarters) = store.measure();
        println!(
            "{story}: a minute {:?} (worst {:?}), with an hour turned round {:?}; an hour by the minute {:.1} MB, by the \
             quarter {:.2} MB; 25 h and 14 d: {:.0} MB; the file so far {sizes:?}",
            minutes[minutes.len() / 2],
            minutes.last().unwrap(),
            rolls,
            hours as f64 / 4e6,
            quarters as f64 / 4e6,
            (hours as f64 * 25.0 + quarters as f64 * 336.0) / 4e6,
        );
        let began = Instant::now();
        let curve = bench.keeper.curve(&whose("tenant-00070"), Stretch::Day, second(4 * 3_600));
        println!("reading {} points: {:?}", curve.readings.len(), began.elapsed());
        let began = Instant::now();
        bench.keeper.publish();
        println!("records of {}: {:?}", bench.past.borrow().records.len(), began.elapsed());
        assert!((hours as f64 * 25.0 + quarters as f64 * 336.0) / 4e6 < 500.0);
    }
}
