//! Instances that are found by their tags, through the shipped poller, beside a real server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tierdeck::domain::facts::Source;
use tierdeck::domain::facts::cloud::Oddity;
use tierdeck::domain::snapshot::{Instance, Reach, Snapshot};
use tierdeck::domain::{Signal, TenantId, Tier};

use super::stand::{Stand, instance, refusal, result};
use super::support::observer::Observer;
use super::support::server::Silent;
use super::support::watcher::{Watcher, shared};

pub const QUICK: &str = "[poll]\nrds = \"300ms\"\nevents = \"300ms\"\nsnapshots = \"300ms\"\nalarms = \"300ms\"\nparameters = \"300ms\"\nbackups = \"300ms\"\ncloudwatch = \"300ms\"\n";

fn named<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a Instance> {
    snapshot.instances.iter().find(|instance| instance.name.as_str() == name)
}

fn dedicated(tenant: &str) -> Vec<(&str, &str)> {
    vec![("StorageTier", "dedicated"), ("TenantId", tenant)]
}

fn error(instance: &Instance, source: Source) -> Option<&str> {
    let state = instance.sources.iter().find(|state| state.source == source)?;
    state.error.as_ref().map(|trouble| trouble.message.as_str())
}

/// Why nobody polls it.
fn apart<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a str> {
    match &named(snapshot, name)?.reach {
        Reach::Apart(reason) => Some(reason),
        _ => None,
    }
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
    assert_eq!(acme.tier, Tier::Dedicated);
    observer
        .until("said to have no address", |it| apart(it, "acme-db").is_some_and(|it| it.contains("no address yet")))
        .await;

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
    assert!(apart(&observer.newest, "odd-db").is_some());
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
        // Of the good one, too, a source hangs, and what is asked beside the instances.
        "DescribeEvents" | "DescribePendingMaintenanceActions" | "DescribeDBInstanceAutomatedBackups" => None,
        action => Some(result(action, "")),
    })
    .await;
    let server = shared().await;
    let hanging = good.table("hangs").replace(&good.url, &format!("http://127.0.0.1:{}", silent.port));
    let watcher = Watcher::of(&[("shared", server.port)]).configure(&format!("{}{hanging}{QUICK}", good.table("good")));
    let mut observer = Observer::of(&watcher);
    let took = observer
        .until("found in the one that answers", |it| {
            named(it, "good/globex-db").and_then(|it| it.cloud.as_ref()).is_some_and(|it| it.snapshots.value.is_some())
        })
        .await;
    assert!(took < Duration::from_secs(14), "{took:?}: before anything of the silent one could time out");
    assert!(matches!(observer.newest.instances[0].reach, Reach::Up | Reach::Connecting));
    let state = |name: &str| observer.newest.accounts.iter().find(|it| &*it.name == name).unwrap();
    assert_eq!((state("good").instances, state("hangs").instances), (Some(1), None));
}

/// Who is found and has no way in, or is on its way out, is no outage: nobody is woken for a plan.
#[tokio::test(flavor = "multi_thread")]
async fn whom_nobody_tries_to_reach_is_no_outage() {
    let server = shared().await;
    let port = server.port;
    let round = Arc::new(AtomicUsize::new(0));
    let stage = Arc::clone(&round);
    let stand = Stand::start(move |action| {
        if action != "DescribeDBInstances" {
            return Some(result(action, ""));
        }
        let status = ["available", "deleting", "available"][stage.load(Ordering::SeqCst)];
        let mut all = instance("acme-db", Some(port), &dedicated("acme")).replace("available", status);
        // It carries its source's tags, and is no second home.
        let source =
            "<ReadReplicaSourceDBInstanceIdentifier>acme-db</ReadReplicaSourceDBInstanceIdentifier></DBInstance>";
        all += &instance("acme-replica", Some(port), &dedicated("acme")).replace("</DBInstance>", source);
        Some(result(action, &format!("<DBInstances>{all}</DBInstances>")))
    })
    .await;
    // Without a url there is no way in, and that is as it was configured.
    let watcher = Watcher::of(&[("shared", port)]).configure(&format!("{}{QUICK}", stand.table("main")));
    let mut observer = Observer::of(&watcher);
    observer.until("left alone", |it| apart(it, "acme-db").is_some_and(|it| it.contains("[dedicated]"))).await;
    observer
        .until("described", |it| named(it, "acme-db").unwrap().cloud.as_ref().is_some_and(|it| it.rds.value.is_some()))
        .await;
    assert!(observer.findings(Signal::Unreachable).is_empty(), "{}", observer.picture());
    drop(observer);

    let dedicated = "[dedicated]\nurl = \"postgresql://tierdeck@{host}:{port}/{database}?sslmode=disable\"\n";
    let secret = "password = { file = \"shared.password\" }\n";
    let watcher =
        Watcher::of(&[("shared", port)]).configure(&format!("{}{dedicated}{secret}{QUICK}", stand.table("main")));
    let mut observer = Observer::of(&watcher);
    observer.until("logged in to", |it| named(it, "acme-db").is_some_and(|it| it.reach == Reach::Up)).await;
    assert!(apart(&observer.newest, "acme-replica").is_some_and(|it| it.contains("read replica of acme-db")));
    let acme = TenantId::parse("acme").unwrap();
    let homes =
        |it: &Snapshot| it.tenants.iter().filter(|it| it.id == acme && it.instance.as_str() != "shared").count();
    observer.until("one home", move |it| homes(it) == 1).await;

    round.store(1, Ordering::SeqCst);
    observer.until("let go", |it| apart(it, "acme-db").is_some_and(|it| it.contains("deleting"))).await;
    observer.rounds(&[Source::Activity], 3).await;
    assert!(observer.findings(Signal::Unreachable).is_empty(), "{}", observer.picture());
    assert!(observer.poller.found.borrow().is_empty(), "nobody logs in to what leaves");

    round.store(2, Ordering::SeqCst);
    observer.until("back", |it| named(it, "acme-db").is_some_and(|it| it.reach == Reach::Up)).await;
}

/// What is asked beside the instances greys itself, with the action that is missing, and keeps what it said before.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_beside_the_instances_is_said() {
    let server = shared().await;
    let stand = Stand::start(|action| {
        Some(match action {
            "DescribeDBInstances" => {
                result(action, &format!("<DBInstances>{}</DBInstances>", instance("acme-db", None, &dedicated("acme"))))
            }
            "DescribePendingMaintenanceActions" => refusal(403, "AccessDenied", "no"),
            // One of the same name in another region, whose backups are replicated to this one.
            "DescribeDBInstanceAutomatedBackups" => {
                let backup = |arn: &str, year: i32, status: &str| {
                    format!(
                        "<DBInstanceAutomatedBackup><DBInstanceIdentifier>acme-db</DBInstanceIdentifier>\
                         <DBInstanceArn>{arn}</DBInstanceArn><Status>{status}</Status><RestoreWindow>\
                         <EarliestTime>{year}-01-01T00:00:00Z</EarliestTime></RestoreWindow></DBInstanceAutomatedBackup>"
                    )
                };
                let all = backup("arn:aws:rds:eu-west-1:1:db:acme-db", 2026, "active")
                    + &backup("arn:aws:rds:us-east-1:1:db:acme-db", 2020, "replicating");
                result(action, &format!("<DBInstanceAutomatedBackups>{all}</DBInstanceAutomatedBackups>"))
            }
            action => result(action, ""),
        })
    })
    .await;
    let watcher = Watcher::of(&[("shared", server.port)]).configure(&format!("{}{QUICK}", stand.table("main")));
    let mut observer = Observer::of(&watcher);
    observer
        .until("completed", |it| {
            let cloud = named(it, "acme-db").and_then(|it| it.cloud.as_ref());
            cloud.and_then(|it| it.rds.value.as_ref()).is_some_and(|it| {
                let refused = it.refused.iter().any(|(_, why)| why.contains("rds:DescribePendingMaintenanceActions"));
                refused && it.maintenance.is_none() && it.earliest_restorable.is_some()
            })
        })
        .await;
    let cloud = named(&observer.newest, "acme-db").unwrap().cloud.as_ref().unwrap();
    let earliest = cloud.rds.value.as_ref().unwrap().earliest_restorable.unwrap();
    assert!(earliest.to_string().starts_with("2026-"), "{earliest}");
}

/// One snapshot that cannot be told of hides no other, and one of an instance that is gone is the account's.
#[tokio::test(flavor = "multi_thread")]
async fn who_snapshots_are_shared_with_is_told_of_each_that_can_be() {
    let server = shared().await;
    let stand = Stand::hearing(|action, form| {
        Some(match action {
            "DescribeDBInstances" => {
                result(action, &format!("<DBInstances>{}</DBInstances>", instance("acme-db", None, &dedicated("acme"))))
            }
            "DescribeDBSnapshots" => {
                let snapshot = |identifier: &str, of: &str, engine: &str| {
                    format!(
                        "<DBSnapshot><DBSnapshotIdentifier>{identifier}</DBSnapshotIdentifier><DBInstanceIdentifier>{of}\
                         </DBInstanceIdentifier><Engine>{engine}</Engine><SnapshotType>manual</SnapshotType></DBSnapshot>"
                    )
                };
                let all = snapshot("broken", "acme-db", "postgres")
                    + &snapshot("fine", "acme-db", "postgres")
                    + &snapshot("final", "gone-db", "postgres")
                    + &snapshot("stranger", "shop", "mysql");
                result(action, &format!("<DBSnapshots>{all}</DBSnapshots>"))
            }
            "DescribeDBSnapshotAttributes" if form.contains("=broken") => {
                refusal(400, "InvalidDBSnapshotState", "not now")
            }
            "DescribeDBSnapshotAttributes" => {
                let values = if form.contains("=final") { "<AttributeValue>all</AttributeValue>" } else { "" };
                let attribute = format!(
                    "<DBSnapshotAttribute><AttributeName>restore</AttributeName><AttributeValues>{values}</AttributeValues>\
                     </DBSnapshotAttribute>"
                );
                let inside = format!("<DBSnapshotAttributes>{attribute}</DBSnapshotAttributes>");
                result(action, &format!("<DBSnapshotAttributesResult>{inside}</DBSnapshotAttributesResult>"))
            }
            action => result(action, ""),
        })
    })
    .await;
    let watcher = Watcher::of(&[("shared", server.port)]).configure(&format!("{}{QUICK}", stand.table("main")));
    let mut observer = Observer::of(&watcher);
    observer
        .until("snapshots", |it| {
            named(it, "acme-db").and_then(|it| it.cloud.as_ref()).is_some_and(|it| it.snapshots.value.is_some())
        })
        .await;
    let cloud = named(&observer.newest, "acme-db").unwrap().cloud.as_ref().unwrap();
    let snapshots = cloud.snapshots.value.as_ref().unwrap();
    let shared = |name: &str| snapshots.snapshots.iter().find(|it| it.identifier.raw() == name).unwrap().is_public();
    assert_eq!((shared("broken"), shared("fine")), (None, Some(false)));
    assert!(snapshots.unknown.as_ref().is_some_and(|it| it.contains("InvalidDBSnapshotState")), "{snapshots:?}");
    observer.until("told of the account", |it| it.accounts[0].strays.is_some()).await;
    let [(of, stray)] = &**observer.newest.accounts[0].strays.as_ref().unwrap() else { panic!("not one") };
    assert_eq!((&**of, stray.identifier.raw(), stray.is_public()), ("gone-db", "final", Some(true)));
    assert!(stand.asked("DescribeDBSnapshotAttributes") <= 3, "another engine's are nobody's business here");
}

/// Members of a cluster carry the same tags, and which of them writes is not told: none of them is the tenant's home, until it is the
/// only one.
#[tokio::test(flavor = "multi_thread")]
async fn readers_of_a_cluster_claim_no_tenant() {
    let server = shared().await;
    let port = server.port;
    let round = Arc::new(AtomicUsize::new(0));
    let stage = Arc::clone(&round);
    let stand = Stand::start(move |action| {
        if action != "DescribeDBInstances" {
            return Some(result(action, ""));
        }
        let of = "<DBClusterIdentifier>acme-cluster</DBClusterIdentifier></DBInstance>";
        let member =
            |identifier: &str| instance(identifier, Some(port), &dedicated("stark")).replace("</DBInstance>", of);
        let mut all = member("acme-1");
        if stage.load(Ordering::SeqCst) == 0 {
            all += &member("acme-2");
            all += &member("acme-3");
        }
        Some(result(action, &format!("<DBInstances>{all}</DBInstances>")))
    })
    .await;
    let secret = "password = { file = \"shared.password\" }\n";
    let way = "[dedicated]\nurl = \"postgresql://tierdeck@{host}:{port}/{database}?sslmode=disable\"\n";
    let watcher = Watcher::of(&[("shared", port)]).configure(&format!("{}{way}{secret}{QUICK}", stand.table("main")));
    let mut observer = Observer::of(&watcher);
    let told = |it: &Snapshot, name: &str| {
        apart(it, name).is_some_and(|it| it.contains("one of 3 members of cluster acme-cluster"))
    };
    observer.until("left alone", move |it| ["acme-1", "acme-2", "acme-3"].iter().all(|name| told(it, name))).await;
    observer.rounds(&[Source::Activity], 3).await;
    let stark = TenantId::parse("stark").unwrap();
    let homes = |it: &Snapshot| it.tenants.iter().filter(|it| it.id == stark).count();
    assert_eq!(homes(&observer.newest), 0, "{}", observer.picture());
    assert!(observer.findings(Signal::Orphan).is_empty(), "{}", observer.picture());
    assert!(observer.poller.found.borrow().is_empty(), "nobody logs in to any of them");

    // The only one that is left is the one that writes.
    round.store(1, Ordering::SeqCst);
    observer
        .until("at home", move |it| homes(it) == 1 && named(it, "acme-1").is_some_and(|it| it.reach == Reach::Up))
        .await;
}
