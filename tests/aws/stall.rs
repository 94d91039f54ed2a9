//! One instance, account or region that is dead, hangs or is throttled delays no other: in front of each is something that
//! stalls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tierdeck::domain::facts::Source;
use tierdeck::domain::snapshot::{Instance, Reach, Snapshot};
use tierdeck::domain::{Severity, Signal};

use super::stand::{Stand, instance, refusal, result};
use super::support::observer::Observer;
use super::support::proxy::{Proxy, Way};
use super::support::server::free_port;
use super::support::watcher::{Watcher, shared};

const POLL: &str = "[poll]\nrds = \"300ms\"\nevents = \"300ms\"\nsnapshots = \"300ms\"\nalarms = \"300ms\"\nparameters = \"300ms\"\nbackups = \"300ms\"\ncloudwatch = \"300ms\"\n";
const DEDICATED: &str = "[dedicated]\nurl = \"postgresql://tierdeck@{host}:{port}/{database}?sslmode=disable\"\npassword = { file = \"shared.password\" }\n";

fn named<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a Instance> {
    snapshot.instances.iter().find(|instance| instance.name.as_str() == name)
}

/// Whether it is there, and said so once: being let in is no answer yet.
fn is_up(snapshot: &Snapshot, name: &str) -> bool {
    let said = |it: &Instance| it.sources.iter().any(|it| it.source == Source::Activity && it.at.is_some());
    named(snapshot, name).is_some_and(|it| it.reach == Reach::Up && said(it))
}

/// How old the sessions of an instance are, in seconds.
fn age(snapshot: &Snapshot, name: &str) -> f64 {
    let state = named(snapshot, name).and_then(|it| it.sources.iter().find(|it| it.source == Source::Activity));
    let at = state.and_then(|state| state.at).unwrap();
    snapshot.taken_at.duration_since(at).as_secs_f64()
}

/// What is wrong with a source of an instance.
fn trouble(snapshot: &Snapshot, name: &str, source: Source) -> Option<String> {
    let state = named(snapshot, name)?.sources.iter().find(|state| state.source == source)?;
    state.error.as_ref().map(|trouble| trouble.message.clone())
}

fn with_tags(identifier: &str, port: u16, tenant: &str) -> String {
    instance(identifier, Some(port), &[("StorageTier", "dedicated"), ("TenantId", tenant)])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_hangs_or_is_dead_delays_no_other() {
    let server = shared().await;
    let way = Proxy::to(server.port);
    let (hangs, dead) = (way.port, free_port());
    let stand = Stand::start(move |action| {
        let all = [with_tags("globex-db", hangs, "globex"), with_tags("initech-db", dead, "initech")];
        Some(match action {
            "DescribeDBInstances" => result(action, &format!("<DBInstances>{}</DBInstances>", all.concat())),
            action if action.starts_with("Describe") => result(action, ""),
            _ => (200, "{}".to_owned()),
        })
    })
    .await;
    let watcher =
        Watcher::of(&[("shared", server.port)]).configure(&format!("{}{DEDICATED}{POLL}", stand.table("main")));
    let mut observer = Observer::of(&watcher);
    observer.until("those that can be are up", |it| is_up(it, "globex-db") && is_up(it, "shared")).await;
    observer
        .until("the dead one is down", |it| {
            named(it, "initech-db").is_some_and(|it| matches!(it.reach, Reach::Down { .. }))
        })
        .await;
    // Its connections stay, and not a byte passes: for as long as that is so, the others stay as fresh as ever.
    way.set(Way::Stalled);
    let begun = tokio::time::Instant::now();
    let (mut oldest, mut seen) = (0.0_f64, 0);
    while begun.elapsed() < Duration::from_secs(8) {
        if observer.step(std::time::Instant::now() + Duration::from_secs(5)).await {
            oldest = oldest.max(age(&observer.newest, "shared"));
            seen += 1;
        }
    }
    assert!(seen > 8 && oldest < 3.5, "{seen} snapshots, sessions at most {oldest} s old");
    observer
        .until("the one that hangs is told as such", |it| {
            named(it, "globex-db").is_some_and(|it| matches!(it.reach, Reach::Down { .. }))
                || age(it, "globex-db") > 5.0
        })
        .await;
    assert!(is_up(&observer.newest, "shared"));
    way.set(Way::Open);
    observer.until("it is back by itself", |it| is_up(it, "globex-db") && age(it, "globex-db") < 3.0).await;
    let findings = observer.newest.findings.iter();
    let unreachable: Vec<_> = findings.filter(|it| it.signal == Signal::Unreachable).collect();
    assert!(unreachable.iter().any(|it| it.subject.instance.as_str() == "initech-db"));
    assert!(unreachable.iter().all(|it| it.severity == Severity::Critical));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_throttled_greys_what_it_concerns_and_delays_no_other_region() {
    let calm = Arc::new(AtomicBool::new(false));
    let is_calm = Arc::clone(&calm);
    let answers = |tenant: &'static str| {
        move |action: &str| match action {
            "DescribeDBInstances" => {
                let all =
                    instance(&format!("{tenant}-db"), None, &[("StorageTier", "dedicated"), ("TenantId", tenant)]);
                result(action, &format!("<DBInstances>{all}</DBInstances>"))
            }
            action if action.starts_with("Describe") => result(action, ""),
            _ => (200, "{}".to_owned()),
        }
    };
    let (good_answers, other_answers) = (answers("globex"), answers("acme"));
    let good = Stand::start(move |action| Some(good_answers(action))).await;
    let throttled = Stand::start(move |action| {
        let refused = ["DescribeEvents", "DescribeDBSnapshots"].contains(&action) && !is_calm.load(Ordering::SeqCst);
        Some(if refused { refusal(400, "Throttling", "Rate exceeded") } else { other_answers(action) })
    })
    .await;
    let server = shared().await;
    let other = throttled.table("frankfurt").replace("eu-west-1", "eu-central-1");
    let watcher = Watcher::of(&[("shared", server.port)]).configure(&format!("{}{other}{POLL}", good.table("dublin")));
    let mut observer = Observer::of(&watcher);
    let snapshots = |it: &Snapshot, name: &str| {
        named(it, name).and_then(|it| it.cloud.as_ref()).is_some_and(|it| it.snapshots.value.is_some())
    };
    observer.until("the other region is described", |it| snapshots(it, "dublin/globex-db")).await;
    observer
        .until("throttled", |it| {
            trouble(it, "frankfurt/acme-db", Source::Events)
                .is_some_and(|it| it.contains("throttles rds:DescribeEvents"))
        })
        .await;
    assert_eq!(trouble(&observer.newest, "frankfurt/acme-db", Source::Rds), None, "what is let through is known");
    assert_eq!(trouble(&observer.newest, "dublin/globex-db", Source::Events), None);
    // Asked ever more rarely: three attempts at most in each of ever longer pauses.
    let before = throttled.asked("DescribeEvents");
    tokio::time::sleep(Duration::from_secs(4)).await;
    let (more, others) = (throttled.asked("DescribeEvents") - before, good.asked("DescribeEvents"));
    assert!(more <= 9 && others > 8, "{more} questions while throttled, {others} of the other region");
    calm.store(true, Ordering::SeqCst);
    observer
        .until("it comes back by itself", |it| {
            trouble(it, "frankfurt/acme-db", Source::Events).is_none() && snapshots(it, "frankfurt/acme-db")
        })
        .await;
}
