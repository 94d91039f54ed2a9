//! Parameter groups: one that may not be read takes no other along, and is not asked for by each of hundreds of instances.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tierdeck::domain::facts::Source;
use tierdeck::domain::snapshot::Snapshot;

use super::discovery::QUICK;
use super::stand::{Stand, instance, refusal, result};
use super::support::observer::Observer;
use super::support::watcher::{Watcher, shared};

/// So many instances, with a group each.
const MANY: usize = 40;

/// An account in which these groups may not be read; counts how often each of them was asked for.
async fn account(is_denied: fn(usize) -> bool) -> (Stand, Arc<Vec<AtomicUsize>>) {
    let asked: Arc<Vec<AtomicUsize>> = Arc::new((0..MANY).map(|_| AtomicUsize::new(0)).collect());
    let counted = Arc::clone(&asked);
    let stand = Stand::hearing(move |action, form| {
        Some(match action {
            "DescribeDBInstances" => {
                let mut all = String::new();
                for number in 0..MANY {
                    let group = format!(
                        "<DBParameterGroups><DBParameterGroup><DBParameterGroupName>group-{number:02}</DBParameterGroupName>\
                         <ParameterApplyStatus>in-sync</ParameterApplyStatus></DBParameterGroup></DBParameterGroups>\
                         </DBInstance>"
                    );
                    let tenant = format!("tenant-{number}");
                    let tags = [("StorageTier", "dedicated"), ("TenantId", tenant.as_str())];
                    write!(all, "{}", instance(&format!("db-{number:02}"), None, &tags).replace("</DBInstance>", &group))
                        .unwrap();
                }
                result(action, &format!("<DBInstances>{all}</DBInstances>"))
            }
            "DescribeDBParameters" => {
                let named = |number: &usize| form.contains(&format!("group-{number:02}"));
                let number = (0..MANY).find(named).unwrap();
                counted[number].fetch_add(1, Ordering::SeqCst);
                if is_denied(number) {
                    return Some(refusal(403, "AccessDenied", "is not authorized to perform: rds:DescribeDBParameters on x"));
                }
                let parameter = "<Parameter><ParameterName>rds.force_ssl</ParameterName><ParameterValue>1</ParameterValue>\
                                 </Parameter>";
                result(action, &format!("<Parameters>{parameter}</Parameters>"))
            }
            action if action.starts_with("Describe") => result(action, ""),
            _ => (400, "{\"__type\":\"ThrottlingException\"}".to_owned()),
        })
    })
    .await;
    (stand, asked)
}

/// How many instances are told their parameters, and of how many they are refused.
fn told(snapshot: &Snapshot) -> (usize, usize) {
    let clouds = || snapshot.instances.iter().filter_map(|it| it.cloud.as_ref());
    let refused = clouds()
        .filter(|it| it.parameters.error.as_ref().is_some_and(|it| it.message.contains("DescribeDBParameters")));
    (clouds().filter(|it| it.parameters.value.is_some()).count(), refused.count())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_may_not_be_read_takes_no_other_along() {
    // More of them than tell that none may be read, and among them the first: then others are, so that is not so.
    let is_denied = |number| number == 0 || number == 7 || number % 10 == 9;
    let server = shared().await;
    let (stand, asked) = account(is_denied).await;
    let watcher = Watcher::of(&[("shared", server.port)]).configure(&format!("{}{QUICK}", stand.table("main")));
    let mut observer = Observer::of(&watcher);
    observer.until("told of all others", |it| told(it) == (MANY - 6, 6)).await;
    let before: Vec<usize> = asked.iter().map(|it| it.load(Ordering::SeqCst)).collect();
    // Others are asked again and again meanwhile.
    observer.until("asked anew", |_| asked[1].load(Ordering::SeqCst) >= before[1] + 5).await;
    for number in (0..MANY).filter(|number| is_denied(*number)) {
        let more = asked[number].load(Ordering::SeqCst) - before[number];
        assert!(more <= 1, "group {number} was asked for {more} times in five rounds");
    }
    assert_eq!(told(&observer.newest), (MANY - 6, 6), "what is not asked again is still refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_none_may_be_read_not_all_are_asked_for() {
    let server = shared().await;
    let (stand, asked) = account(|_| true).await;
    let watcher = Watcher::of(&[("shared", server.port)]).configure(&format!("{}{QUICK}", stand.table("main")));
    let mut observer = Observer::of(&watcher);
    observer.until("refused to all", |it| told(it) == (0, MANY)).await;
    let state =
        |it: &Snapshot| it.instances.iter().filter_map(|it| it.cloud.as_ref()).any(|it| it.parameters.value.is_some());
    assert!(!state(&observer.newest));
    // A few a round, and rounds come ever more rarely.
    let asked: usize = asked.iter().map(|it| it.load(Ordering::SeqCst)).sum();
    assert!((3..MANY).contains(&asked), "{asked} calls for {MANY} groups of which none may be read");
    assert!(
        observer.newest.instances[0].sources.iter().all(|it| it.source != Source::Parameters || it.error.is_none())
    );
}
