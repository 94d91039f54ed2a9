//! Our clock steps, back and forth, while a real server goes on: what was heard of it is told again to a board, and drawn,
//! under clocks that are bent. Nothing breaks, no figure is made up, and soon after the last step everything is known again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tierdeck::app::{Message, Model};
use tierdeck::config::Config;
use tierdeck::domain::{Signal, Snapshot, Subject};
use tierdeck::poll::{Heard, board};
use tierdeck::signals::Evaluator;
use tokio::sync::mpsc;

use super::support::observer::Observer;
use super::support::stage;
use super::support::watcher::{self, Watcher, session};

/// How our clock goes wrong: by how much, so many seconds after the beginning.
type Bend = fn(f64) -> i64;

const BENDS: [(&str, Bend); 7] = [
    ("right", |_| 0),
    ("an hour back", |at| if at > 6.0 { -3_600 } else { 0 }),
    ("an hour forth", |at| if at > 6.0 { 3_600 } else { 0 }),
    ("a month forth and back", |at| if (4.0..8.0).contains(&at) { 30 * 86_400 } else { 0 }),
    ("a day back and forth", |at| if (4.0..8.0).contains(&at) { -86_400 } else { 0 }),
    ("to and fro each second", |at| if at < 8.0 && at as i64 % 2 == 1 { 90 } else { 0 }),
    ("half a minute back, again and again", |at| -30 * (at.min(8.0) / 2.0) as i64),
];

/// All bends end here, and the story so much later.
const LAST: f64 = 8.0;
const LENGTH: Duration = Duration::from_secs(24);

fn found(snapshot: &Snapshot) -> BTreeSet<(Signal, Subject)> {
    snapshot.findings.iter().filter(|it| !it.stale).map(|it| (it.signal, it.subject.clone())).collect()
}

/// What no clock excuses.
fn sane(when: &str, snapshot: &Snapshot, screen: &str) {
    let rate = |value: Option<f64>, most: f64| value.is_none_or(|value| (0.0..=most).contains(&value));
    for tenant in &snapshot.tenants {
        let noise = &tenant.noise;
        let shares = [noise.active_time, noise.connections, noise.rows_written, noise.wal, noise.blocks_read];
        assert!(shares.into_iter().all(|share| rate(share, 1.0)), "{when}: {noise:?}");
        assert!(rate(tenant.rows_written_per_second, 1e5) && rate(tenant.noise_score, 100.0), "{when}: {tenant:#?}");
        assert!(rate(tenant.oldest_transaction_seconds, 300.0), "{when}: {:?}", tenant.oldest_transaction_seconds);
    }
    for instance in &snapshot.instances {
        let rates = &instance.rates;
        assert!(rate(rates.transactions, 1e4) && rate(rates.deadlocks_per_minute, 0.0), "{when}: {rates:?}");
    }
    // An age before its time: `-3.0s`, `−12s`.
    let words = screen.split_whitespace();
    let negative = |word: &&str| {
        let rest = word.strip_prefix(['-', '−']);
        rest.is_some_and(|rest| rest.starts_with(|char: char| char.is_ascii_digit()) && rest.ends_with('s'))
    };
    let negative: Vec<&str> = words.filter(negative).collect();
    assert!(negative.is_empty(), "{when}: {negative:?}\n{screen}");
}

/// Tells the story under a clock, as the collector and the console's loop do; returns the last picture.
fn tell(name: &str, config: &Config, story: &[Heard], bend: Bend) -> Snapshot {
    let moment = |heard: &Heard| match heard {
        Heard::News { at, .. } | Heard::Past { at, .. } | Heard::Snapshot(at) => *at,
    };
    let began = moment(&story[0]);
    let mut board = board(config, Evaluator::steady());
    let mut model = Model::new(super::support::estate::settings(), began);
    let mut last = None;
    let keys = ["1", "3", "4", "5", "12", "⇥", "1"];
    for (nth, heard) in story.iter().enumerate() {
        let at = moment(heard);
        let passed = at.duration_since(began).as_secs_f64();
        let now: Timestamp = at + SignedDuration::from_secs(bend(passed));
        match heard {
            Heard::News { origin, news, .. } => board.take(now, *origin, news.clone()),
            Heard::Past { past, .. } => board.recall(past),
            Heard::Snapshot(_) => {
                let snapshot = board.snapshot(now);
                model.update(Message::Tick(now));
                model.update(Message::Snapshot(std::sync::Arc::new(snapshot.clone())));
                let when = format!("{name}, after {passed:.1} s");
                stage::type_keys(&mut model, keys[nth % keys.len()], (120, 40));
                let screen = stage::screen(&mut model, (120, 40));
                sane(&when, &snapshot, &screen);
                last = Some(snapshot);
            }
        }
    }
    last.unwrap_or_else(|| panic!("{name}: no picture"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_steps_makes_nothing_up() {
    let server = watcher::shared().await;
    let holder = session(server.port, "role_acme", "postgres").await;
    holder.batch_execute("BEGIN; LOCK TABLE tenant_acme.orders").await.unwrap();
    let waiter = session(server.port, "role_acme", "postgres").await;
    let waits = tokio::spawn(async move { waiter.batch_execute("SELECT 1 FROM tenant_acme.orders").await });
    let watcher = Watcher::of(&[("shared", server.port)])
        .configure("[poll]\nchurn = \"1s\"\nroles = \"1s\"\ndatabases = \"1s\"\nstatements = \"1s\"\n");
    let observer = Observer::of(&watcher);
    let (tap, mut heard) = mpsc::channel(4_096);
    observer.poller.tap.send_replace(Some(tap));
    let end = Instant::now() + LENGTH;
    let mut story = Vec::new();
    while let Ok(Some(next)) = tokio::time::timeout_at(end.into(), heard.recv()).await {
        story.push(next);
    }
    assert!(story.len() > 40, "only {} things were heard", story.len());
    assert!(LENGTH.as_secs_f64() > LAST * 2.0);
    tokio::task::block_in_place(|| {
        let right = tell(BENDS[0].0, &observer.config, &story, BENDS[0].1);
        assert!(found(&right).iter().any(|(signal, _)| *signal == Signal::LockChain), "{:#?}", right.findings);
        for (name, bend) in BENDS {
            let bent = tell(name, &observer.config, &story, bend);
            let (bent_found, right_found) = (found(&bent), found(&right));
            assert!(bent_found.is_subset(&right_found), "{name}: {:#?}", bent.findings);
            // What is asked too rarely to have been seen since is not known, and is said to be so.
            for (signal, subject) in right_found.difference(&bent_found) {
                let unknown = bent.unknown.iter().any(|it| it.signal == *signal);
                let told = bent.findings.iter().any(|it| it.signal == *signal && it.subject == *subject && it.stale);
                assert!(unknown || told, "{name}: {signal}: {:#?}", bent.unknown);
            }
            assert!(bent_found.iter().any(|(signal, _)| *signal == Signal::LockChain), "{name}: {:#?}", bent.findings);
            let rows = |snapshot: &Snapshot| {
                let row = |it: &tierdeck::domain::Tenant| {
                    (it.id.clone(), it.connections, it.active, it.waiting, it.role.clone())
                };
                snapshot.tenants.iter().map(row).collect::<Vec<_>>()
            };
            assert_eq!(rows(&bent), rows(&right), "{name}");
            assert!(bent.instances[0].connections.is_some() && bent.sessions.len() == right.sessions.len(), "{name}");
            let known = bent.tenants.iter().filter(|it| it.rows_written_per_second.is_some()).count();
            assert_eq!(known, right.tenants.iter().filter(|it| it.rows_written_per_second.is_some()).count(), "{name}");
        }
    });
    holder.batch_execute("ROLLBACK").await.unwrap();
    waits.await.unwrap().unwrap();
}
