//! Recordings, on a real incident: what was found live is found again; a file that is cut plays up to the cut; no secret and,
//! where that was asked, no literal is in it.

#![expect(clippy::unwrap_used, reason = "a test's way to fail")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use support::console::{PATIENCE, run, tierdeck};
use tierdeck::clients::Environment;
use tierdeck::clients::postgres::Target;
use tierdeck::domain::{Signal, Snapshot, Subject};
use tierdeck::lab::{Lab, Scenario, Spec};
use tierdeck::poll::Poller;
use tierdeck::recording::{Ended, Film, FilmError, Options, Recorder, Reel};
use tierdeck::signals::Evaluator;

type Found = BTreeMap<(Signal, Subject), (Timestamp, String)>;

fn note(found: &mut Found, snapshot: &Snapshot) {
    for finding in &snapshot.findings {
        let key = (finding.signal, finding.subject.clone());
        found.insert(key, (finding.since, finding.statement.clone().unwrap_or_default()));
    }
}

fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    // Up to where it was cut.
    let _ = MultiGzDecoder::new(fs::File::open(path).unwrap()).read_to_string(&mut text);
    text
}

fn poller(config: &tierdeck::config::Config) -> Poller {
    let environment = Environment::of_process();
    let targets = config.instances.iter().map(|it| Target::parse(&it.url, &environment).unwrap()).collect();
    Poller::start(config, targets, Evaluator::steady())
}

fn options(path: &Path, most: u64, redact: bool) -> Options {
    Options { path: path.to_owned(), most, redact }
}

/// Everything that replaying finds, at the end and ever.
fn replayed(path: &Path) -> (Found, Found, Option<bool>, usize) {
    let mut reel = Reel::new(Film::open(path).unwrap()).unwrap();
    let (mut ever, mut last, mut count) = (Found::new(), Found::new(), 0);
    while let Some(snapshot) = reel.step() {
        note(&mut ever, &snapshot);
        last.clear();
        note(&mut last, &snapshot);
        count += 1;
    }
    (ever, last, reel.is_over(), count)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_live_is_found_again() {
    let lab = Lab::start(Spec::new(Scenario::named("lock-pileup").unwrap()), |_| {}).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("incident.jsonl.gz");
    let config = tierdeck::config::load(lab.config_path()).unwrap();
    let mut live = poller(&config);
    let recorder = Recorder::start(&options(&path, 64 << 20, false), &config, &live, |_| {}).unwrap();
    let (mut ever, mut newest) = (Found::new(), live.snapshots.borrow().clone());
    let began = Instant::now();
    let chain = |found: &Found| found.keys().any(|(signal, _)| *signal == Signal::LockChain);
    let mut seen_at = None;
    // The incident, and a while behind it.
    while seen_at.is_none_or(|at: Instant| at.elapsed() < Duration::from_secs(8)) {
        assert!(began.elapsed() < Duration::from_secs(60), "no lock chain: {ever:#?}");
        live.snapshots.changed().await.unwrap();
        newest = live.snapshots.borrow_and_update().clone();
        note(&mut ever, &newest);
        if chain(&ever) {
            seen_at.get_or_insert_with(Instant::now);
        }
    }
    // A second recording begins in the middle: the incident stands in it from its first seconds on.
    let middle = folder.path().join("middle.jsonl.gz");
    let ended = tokio::task::spawn_blocking(move || recorder.stop()).await.unwrap();
    assert_eq!(ended, Ended::Asked);
    let second = Recorder::start(&options(&middle, 64 << 20, true), &config, &live, |_| {}).unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    tokio::task::spawn_blocking(move || second.stop()).await.unwrap();

    let size = fs::metadata(&path).unwrap();
    assert_eq!(size.permissions().mode() & 0o777, 0o600);
    let began = Instant::now();
    let (again, last, over, count) = replayed(&path);
    println!("{count} snapshots, {} bytes, played in {:?}", size.len(), began.elapsed());
    assert_eq!(over, Some(false), "it ended in order");
    for (key, said) in &ever {
        // What was shown live is shown again, since the same moment; more may be seen than by who looked now and then.
        let (since, _) = again.get(key).unwrap_or_else(|| panic!("{key:?} was not found again: {again:#?}"));
        assert_eq!(since, &said.0, "{key:?}");
    }
    let live_now: BTreeSet<_> = newest.findings.iter().map(|it| (it.signal, it.subject.clone())).collect();
    assert!(live_now.iter().filter(|(signal, _)| *signal == Signal::LockChain).all(|key| last.contains_key(key)));
    assert!(replayed(&path).0 == again, "twice the same");

    no_secret_is_in_it(&lab, &path);
    moving_about(&path);
    cut_and_foreign(&path, folder.path());
    let (ever, ..) = replayed(&middle);
    assert!(chain(&ever), "what stood when the recording began stands in it: {ever:#?}");
    nothing_is_told_that_was_to_be_left_out(&path, &middle);
    without_a_console(&path, folder.path());
    tokio::task::block_in_place(|| in_the_console(&path, folder.path()));
    drop(live);
    a_full_one_ends(&config, folder.path()).await;
    lab.stop().await;
}

fn no_secret_is_in_it(lab: &Lab, path: &Path) {
    let text = unpacked(path);
    let lines = text.lines().count();
    assert!(lines > 20 && text.contains("\"header\"") && text.contains("\"end\""), "{lines} lines");
    let instance = &lab.instances()[0];
    for login in ["rdsadmin", "portarium_admin", "portarium_shared", "tierdeck"] {
        let secret = instance.password(login).unwrap().expose_secret();
        assert!(!text.contains(secret), "{login}'s password is in the recording");
    }
    let port = instance.port.to_string();
    let header = text.lines().next().unwrap();
    assert!(
        !header.contains(&port) && !header.contains("password") && !header.contains("/tierdeck-lab-"),
        "no way in is in the header: {header}"
    );
}

fn moving_about(path: &Path) {
    let film = Film::open(path).unwrap();
    let end = Reel::end(&film).unwrap();
    let mut reel = Reel::new(film).unwrap();
    let begins = reel.next_finding().unwrap().unwrap();
    let first = (reel.now(), reel.newest().findings.clone());
    assert_eq!((begins.nth, begins.of), (1, first.1.len()));
    assert!(first.1.iter().any(|finding| (finding.signal, &finding.subject) == (begins.signal, &begins.subject)));
    reel.go_to(end + SignedDuration::from_secs(60)).unwrap();
    assert_eq!(reel.is_over(), Some(false));
    let at_end = reel.newest().findings.clone();
    // There and back: the same moment shows the same, however one came to it.
    reel.go_to(first.0).unwrap();
    assert_eq!((reel.now(), &reel.newest().findings), (first.0, &first.1));
    reel.go_to(end).unwrap();
    assert_eq!(reel.newest().findings, at_end);
    assert!(reel.previous_finding().unwrap().is_some());
    assert!(reel.now() < end);
    // Each that begins is come by once, and past the last one stays where one was.
    reel.go_to(first.0 - SignedDuration::from_secs(5)).unwrap();
    let mut came = Vec::new();
    while let Some(begins) = reel.next_finding().unwrap() {
        came.push((reel.now(), begins));
    }
    let (last, begins) = came.last().cloned().unwrap();
    assert_eq!((came.len(), reel.begun(), reel.now(), begins.nth), (reel.begun(), came.len(), last, begins.of));
    assert!(came.iter().filter(|(at, _)| *at == last).map(|(_, it)| it.nth).eq(1..=begins.of), "{came:?}");
    assert!(came.windows(2).all(|two| two[0].0 <= two[1].0), "{came:?}");
    let mut back: Vec<_> = std::iter::from_fn(|| reel.previous_finding().unwrap().map(|it| (reel.now(), it))).collect();
    back.reverse();
    assert_eq!(back, came[..came.len() - 1], "the way back");
    assert_eq!(reel.is_over(), None);
}

fn cut_and_foreign(path: &Path, folder: &Path) {
    let whole = fs::read(path).unwrap();
    let (all, ..) = replayed(path);
    let cut = folder.join("cut.jsonl.gz");
    for part in [whole.len() / 3, whole.len() / 2, whole.len() - 40] {
        fs::write(&cut, &whole[..part]).unwrap();
        let (found, _, over, count) = replayed(&cut);
        assert_eq!(over, Some(true), "cut at {part}");
        assert!(count > 0 && found.keys().all(|key| all.contains_key(key)), "cut at {part}: {count}");
    }
    let mut rubbish = whole.clone();
    rubbish.truncate(whole.len() / 2);
    rubbish.extend(b"not gzip at all".repeat(100));
    fs::write(&cut, &rubbish).unwrap();
    assert_eq!(replayed(&cut).2, Some(true));
    let foreign = folder.join("foreign");
    for bytes in [&b""[..], b"shopping list", &whole[..20], &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0]] {
        fs::write(&foreign, bytes).unwrap();
        let error = Film::open(&foreign).unwrap_err();
        assert!(matches!(error, FilmError::Foreign(_)) && error.to_string().contains("tierdeck record"), "{error}");
    }
    let newer = unpacked(path).replacen("\"version\":1", "\"version\":7", 1);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, newer.as_bytes()).unwrap();
    fs::write(&foreign, packed.finish().unwrap()).unwrap();
    let error = Film::open(&foreign).unwrap_err().to_string();
    assert!(error.contains("version 7"), "{error}");
    assert!(Film::open(folder).is_err() && Film::open(&folder.join("gone")).is_err());
}

fn nothing_is_told_that_was_to_be_left_out(open: &Path, hidden: &Path) {
    // The values of a key in news of sessions.
    let values = |path: &Path, key: &str| -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for line in unpacked(path).lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let sessions = &line["news"]["news"]["Delivered"]["fragment"]["Activity"]["sessions"];
            for session in sessions.as_array().into_iter().flatten() {
                found.extend(session[key].as_str().map(str::to_owned));
            }
        }
        found
    };
    let (told, left) = (values(open, "query"), values(hidden, "query"));
    assert!(
        told.iter().any(|query| query.contains('\'') || query.chars().any(|char| char.is_ascii_digit())),
        "{told:?}"
    );
    assert!(!left.is_empty() && left.iter().all(|query| !query.contains('\'')), "{left:?}");
    assert!(values(open, "client").len() > 1 && values(hidden, "client").is_empty());
    assert!(values(hidden, "application").iter().all(|name| name.is_empty() || name.starts_with("app-")));
}

fn without_a_console(path: &Path, home: &Path) {
    let said = run(&["replay", "--json", path.to_str().unwrap()], home);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let document: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let signals: Vec<&str> =
        document["findings"].as_array().unwrap().iter().map(|it| it["signal"].as_str().unwrap()).collect();
    assert!(signals.contains(&"lock-chain"), "{signals:?}");
    let said = run(&["replay", "/dev/null", "--json"], home);
    assert!(said.code == Some(2) && said.out.is_empty() && said.err.contains("not a recording"), "{}", said.err);
    let said = run(&["record", path.to_str().unwrap(), "--max-size", "64"], home);
    assert!(said.code == Some(2) && said.err.contains("64MB"), "{}", said.err);
}

fn in_the_console(path: &Path, home: &Path) {
    let path = path.to_str().unwrap();
    let mut console = tierdeck(&["replay", path]).environment("HOME", home).open();
    console.shows("REPLAY");
    console.shows("×1");
    console.keys(".");
    console.until("the first finding", PATIENCE, |screen| {
        screen.contains("‖ ×1") && screen.contains("▲ WARN") || screen.contains("✖ CRIT")
    });
    // Past the last finding one stays where one is.
    let began = Instant::now();
    while !console.screen().contains("no further finding; ") {
        assert!(began.elapsed() < PATIENCE, "{}", console.screen());
        console.keys(".");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(console.screen().contains("‖ ×1"), "{}", console.screen());
    console.keys("]]]]");
    console.shows("×60");
    console.keys(" ");
    console.until("the end", PATIENCE, |screen| screen.contains("■ ×60"));
    console.until("the incident", PATIENCE, |screen| screen.contains("pg_terminate_backend("));
    console.keys("{{{{{");
    console.until("the beginning", PATIENCE, |screen| screen.contains(" 0s/") || screen.contains(" 0.0s/"));
    console.keys("R");
    console.shows("this is a recording already");
    console.keys("q");
    console.ends_with(0);
}

async fn a_full_one_ends(config: &tierdeck::config::Config, folder: &Path) {
    let live = poller(config);
    let path = folder.join("full.jsonl.gz");
    let (tell, told) = std::sync::mpsc::channel();
    let most = 80_000;
    let recorder =
        Recorder::start(&options(&path, most, false), config, &live, move |end| tell.send(end.clone()).unwrap())
            .unwrap();
    let end = tokio::task::spawn_blocking(move || told.recv_timeout(Duration::from_secs(60))).await.unwrap().unwrap();
    assert_eq!(end, Ended::Full);
    assert!(!recorder.is_running() && fs::metadata(&path).unwrap().len() <= most);
    assert_eq!(replayed(&path).2, Some(false), "a full one is whole");
    // Nobody's file is written over.
    let error = Recorder::start(&options(&path, most, false), config, &live, |_| {}).unwrap_err().to_string();
    assert!(error.contains("name a file that does not exist"), "{error}");
}
