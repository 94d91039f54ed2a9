//! Instances that are found by their tags, through the shipped poller, beside a real server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tierdeck::domain::facts::Source;
use tierdeck::domain::facts::cloud::Oddity;
use tierdeck::domain::snapshot::{Instance, Reach, Snapshot};
use tierdeck::domain::{TenantId, Tier};

use super::stand::{Stand, instance, refusal, result};
use super::support::observer::Observer;
use super::support::server::Silent;
use super::support::watcher::{Watcher, shared};

const QUICK: &str = "[poll]\nrds = \"300ms\"\nevents = \"300ms\"\nsnapshots = \"300ms\"\nalarms = \"300ms\"\nparameters = \"300ms\"\nbackups = \"300ms\"\ncloudwatch = \"300ms\"\n";

fn named<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a Instance> {
    snapshot.instances.iter().find(|instance| instance.name.as_str() == name)
}

fn dedicated(tenant: &str) -> Vec<(&str, &str)> {
    vec![("StorageTier", "dedicated"), ("TenantId", tenant)]
}

fn error<'a>(instance: &'a Instance, source: Source) -> Option<&'a str> {
    let state = instance.sources.iter().find(|state| state.source == source)?;
    state.error.as_ref().map(|trouble| trouble.message.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_found_by_their_tags_polled_and_seen_off() {
    let server = shared().await;
    let port = server.port;
    let round = Arc::new(AtomicUsize::new(0));
    let stage = Arc::clone(&round);
    let stand = Stand::start(move |action| {
        Some(match action {
            "DescribeDBInstances" => {
                let acme = dedicated("acme");
                let mut all = instance("shared-db", Some(1), &[("StorageTier", "shared")]);
                all += &instance("odd-db", None, &[("StorageTier", "dedicated"), ("TenantId", "Not A Tenant")]);
                match stage.load(Ordering::SeqCst) {
                    // Being made: there is no address yet.
                    0 => all += &instance("acme-db", None, &acme),
                    1 => all += &instance("acme-db", Some(port), &acme),
                    2 => {
                        all += &instance("acme-db", Some(port), &acme);
                        all += &instance("acme-2", None, &acme);
                    }
                    _ => {}
                }
                result(action, &format!("<DBInstances>{all}</DBInstances>"))
            }
            "DescribeEvents" => refusal(403, "AccessDenied", "is not authorized to perform: rds:DescribeEvents on x"),
            action if action.starts_with("Describe") => result(action, ""),
            _ => (400, "{\"__type\":\"ThrottlingException\"}".to_owned()),
        })
    })
    .await;
    let secret = "password = { file = \"shared.password\" }\n";
    let dedicated = "[dedicated]\nurl = \"postgresql://tierdeck@{host}:{port}/{database}?sslmode=disable\"\n";
    let watcher = Watcher::of(&[("shared", port)])
        .configure(&format!("rds = \"shared-db\"\n{}{dedicated}{secret}{QUICK}", stand.table("main")));
    let mut observer = Observer::of(&watcher);
    observer.until("found", |snapshot| named(snapshot, "acme-db").is_some()).await;
    let acme = named(&observer.newest, "acme-db").unwrap();
    assert_eq!((acme.tier, &acme.reach), (Tier::Dedicated, &Reach::Connecting), "it has no address yet");

    round.store(1, Ordering::SeqCst);
    observer.until("logged in to", |it| named(it, "acme-db").is_some_and(|it| it.reach == Reach::Up)).await;
    let acme = TenantId::parse("acme").unwrap();
    observer
        .until("a row of the tenant", |it| {
            it.tenants.iter().any(|tenant| tenant.id == acme && tenant.instance.as_str() == "acme-db")
        })
        .await;
    observer
        .until("described", |it| {
            let cloud = |name| named(it, name).and_then(|it| it.cloud.as_ref());
            let known = |name| cloud(name).is_some_and(|it| it.rds.value.is_some() && it.snapshots.value.is_some());
            known("acme-db") && known("shared")
        })
        .await;
    // One refused source greys itself on everybody of the account, and nothing else.
    observer
        .until("events refused", |it| {
            named(it, "acme-db")
                .and_then(|it| error(it, Source::Events))
                .is_some_and(|it| it.contains("rds:DescribeEvents"))
        })
        .await;
    assert_eq!(error(named(&observer.newest, "shared").unwrap(), Source::Rds), None);
    let [account] = &*observer.newest.accounts else { panic!("{:?}", observer.newest.accounts) };
    assert_eq!(account.instances, Some(3));
    assert!(account.odd.iter().any(|(of, odd)| &**of == "odd-db" && matches!(odd, Oddity::NotATenant(_))));
    assert!(named(&observer.newest, "odd-db").is_some_and(|it| it.reach == Reach::Connecting));
    assert_eq!(observer.poller.found.borrow().len(), 1, "how one logs in is known of those that have an address");

    // Two claim one tenant: both are there, and that is a fact.
    round.store(2, Ordering::SeqCst);
    observer
        .until("contested", |it| {
            it.accounts[0].odd.iter().any(|(of, odd)| &**of == "acme-2" && matches!(odd, Oddity::Contested { .. }))
        })
        .await;
    assert!(named(&observer.newest, "acme-2").is_some() && named(&observer.newest, "acme-db").is_some());

    round.store(3, Ordering::SeqCst);
    observer.until("gone", |it| named(it, "acme-db").is_none() && named(it, "acme-2").is_none()).await;
    assert!(named(&observer.newest, "odd-db").is_some() && named(&observer.newest, "shared").is_some());
    assert!(!observer.newest.tenants.iter().any(|tenant| tenant.instance.as_str() == "acme-db"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_never_answers_delays_no_other() {
    let silent = Silent::start();
    let good = Stand::start(|action| match action {
        "DescribeDBInstances" => {
            let all = instance("globex-db", None, &dedicated("globex"));
            Some(result(action, &format!("<DBInstances>{all}</DBInstances>")))
        }
        // Of the good one, too, a source hangs.
        "DescribeEvents" => None,
        action => Some(result(action, "")),
    })
    .await;
    let server = shared().await;
    let hanging = good.table("hangs").replace(&good.url, &format!("http://127.0.0.1:{}", silent.port));
    let watcher = Watcher::of(&[("shared", server.port)]).configure(&format!("{}{hanging}{QUICK}", good.table("good")));
    let mut observer = Observer::of(&watcher);
    let took = observer
        .until("found in the one that answers", |it| {
            named(it, "globex-db").and_then(|it| it.cloud.as_ref()).is_some_and(|it| it.snapshots.value.is_some())
        })
        .await;
    assert!(took < Duration::from_secs(14), "{took:?}: before anything of the silent one could time out");
    assert!(matches!(observer.newest.instances[0].reach, Reach::Up | Reach::Connecting));
    let state = |name: &str| observer.newest.accounts.iter().find(|it| &*it.name == name).unwrap();
    assert_eq!((state("good").instances, state("hangs").instances), (Some(1), None));
}
