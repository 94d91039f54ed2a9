//! The console's own sources against the estate's AWS: what is made there is read here, and what goes wrong there is said here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_cloudwatch::types::{ComparisonOperator, Dimension, StateValue, Statistic};
use aws_sdk_rds::types::{CloudwatchLogsExportConfiguration, Tag};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tierdeck::clients::aws::{Account, Action, Place};
use tierdeck::domain::facts::cloud::{AlarmState, LogEntry, Metric};
use tierdeck::lab::{Aim, AwsStand, Fault};
use tierdeck::sources::aws::logs::Follower;
use tierdeck::sources::aws::probe::{self, Leave};
use tierdeck::sources::aws::snapshots::Book;
use tierdeck::sources::aws::{alarms, backup, cloudwatch, events, parameters, rds};
use tokio_postgres::NoTls;

use super::stand;

const INSTANCE: &str = "acme-db";
const PASSWORD: &str = "hunter2hunter2";
const ROLE: &str = "arn:aws:iam::123456789012:role/backup";

/// An account in the estate's AWS, whose profile lies in a folder of its own.
fn account(stand: &AwsStand, home: &TempDir) -> Account {
    let file = home.path().join("aws");
    let (key, secret) = (&stand.spec().access_key, stand.spec().secret_key.expose_secret());
    let text = format!("[profile estate]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
    std::fs::write(&file, text).unwrap();
    Account::new(Place {
        name: "estate".into(),
        region: stand.spec().region.as_str().into(),
        profile: Some("estate".to_owned()),
        config_file: Some(file),
        assume_role: None,
        endpoint_url: Some(stand.url()),
    })
}

fn aim(service: &str, action: &str, times: Option<u32>) -> Aim {
    Aim { service: Some(service.to_owned()), action: Some(action.to_owned()), times, ..Aim::default() }
}

/// Asks until it is as it should be.
async fn until<T, A: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> A) -> T {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(told) = ask().await {
            return told;
        }
        assert!(Instant::now() < deadline, "never {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn make(account: &Account) {
    let clients = account.clients().await;
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    let question = clients.rds.create_db_instance().db_instance_identifier(INSTANCE).engine("postgres");
    let question = question.db_instance_class("db.t4g.medium").allocated_storage(20).db_name("acme");
    let question = question.master_username("portarium").master_user_password(PASSWORD);
    question.tags(tag("StorageTier", "dedicated")).tags(tag("TenantId", "acme")).send().await.unwrap();
    available(account).await;
}

async fn available(account: &Account) {
    until("available", || async {
        let described = rds::instances(account).await.unwrap();
        described.get(INSTANCE).is_some_and(|it| it.status.raw() == "available").then_some(())
    })
    .await;
}

/// Has the server log a line for each of these.
async fn log(account: &Account, words: &[&str]) {
    let (host, port) = rds::instances(account).await.unwrap()[INSTANCE].endpoint.clone().unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host(host.raw()).port(port).user("portarium").password(PASSWORD).dbname("acme");
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    for word in words {
        client.batch_execute(&format!("DO $$ BEGIN RAISE LOG '{word}'; END $$")).await.unwrap();
    }
}

/// Looks until what was raised is told; all of it, and each once.
async fn hears(account: &Account, follower: &mut Follower, words: &[&str]) -> Vec<LogEntry> {
    let ours = |entry: &LogEntry| entry.message.raw().starts_with("word-");
    let mut told: Vec<LogEntry> = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    while told.len() < words.len() {
        assert!(Instant::now() < deadline, "never told of {words:?}: {told:?}");
        told.extend(follower.next(account).await.unwrap().into_iter().filter(ours));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    told.extend(follower.next(account).await.unwrap().into_iter().filter(ours));
    let said: Vec<&str> = told.iter().map(|entry| entry.message.raw()).collect();
    assert_eq!(said, words);
    told
}

/// Unoptimised, the SDK's futures are larger than what a test's thread has room for.
const STACK: usize = 64 << 20;

#[test]
fn the_console_reads_what_the_estate_has_and_says_what_goes_wrong_there() {
    let run = || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(everything());
    };
    std::thread::Builder::new().stack_size(STACK).spawn(run).unwrap().join().unwrap();
}

async fn everything() {
    let (stand, home) = (stand().await, tempfile::tempdir().unwrap());
    let account = account(&stand, &home);
    make(&account).await;
    logs(&account).await;
    snapshots_and_alarms(&stand, &account).await;
    Box::pin(backups(&account)).await;
    figures(&stand, &account).await;
    faults(&stand, &account).await;
    stand.stop().await;
}

/// The same words by either way, from now on, and each once.
async fn logs(account: &Account) {
    log(account, &["word-before"]).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let mut files = Follower::new(INSTANCE.into(), false, Timestamp::now());
    let first = files.next(account).await.unwrap();
    assert!(!first.iter().any(|it| it.message.raw() == "word-before"), "{first:?}");
    log(account, &["word-1", "word-2"]).await;
    let told = hears(account, &mut files, &["word-1", "word-2"]).await;
    let who = |entry: &LogEntry| (entry.role.clone(), entry.database.clone(), entry.severity.clone());
    let ours = (Some("portarium".into()), Some("acme".into()), Some(Arc::from("LOG")));
    assert!(told.iter().all(|entry| who(entry) == ours && entry.at.is_some()), "{told:?}");
    log(account, &["word-3"]).await;
    hears(account, &mut files, &["word-3"]).await;

    let clients = account.clients().await;
    let export = CloudwatchLogsExportConfiguration::builder().enable_log_types("postgresql").build();
    let modify = clients.rds.modify_db_instance().db_instance_identifier(INSTANCE).apply_immediately(true);
    modify.cloudwatch_logs_export_configuration(export).send().await.unwrap();
    until("exported", || async {
        let described = rds::instances(account).await.unwrap();
        let it = &described[INSTANCE];
        (it.exports_logs && it.status.raw() == "available").then_some(())
    })
    .await;
    let hour = Timestamp::now() - SignedDuration::from_hours(1);
    let mut events = Follower::new(INSTANCE.into(), true, hour);
    hears(account, &mut events, &["word-before", "word-1", "word-2", "word-3"]).await;
    log(account, &["word-4"]).await;
    hears(account, &mut events, &["word-4"]).await;
}

async fn snapshots_and_alarms(stand: &AwsStand, account: &Account) {
    let clients = account.clients().await;
    let snapshot = clients.rds.create_db_snapshot().db_instance_identifier(INSTANCE);
    snapshot.db_snapshot_identifier("by-hand").send().await.unwrap();
    until("a snapshot", || async {
        let all = Book::default().ask(account, |_| true).await.unwrap();
        let ours = all.get(INSTANCE)?.snapshots.iter().find(|it| it.identifier.raw() == "by-hand")?;
        (ours.status.raw() == "available").then_some(())
    })
    .await;
    let share = clients.rds.modify_db_snapshot_attribute().db_snapshot_identifier("by-hand");
    share.attribute_name("restore").values_to_add("all").send().await.unwrap();
    let mut book = Book::default();
    let public = |all: &tierdeck::sources::aws::ByInstance<tierdeck::domain::facts::cloud::Snapshots>| {
        all[INSTANCE].snapshots.iter().find(|it| it.identifier.raw() == "by-hand").unwrap().is_public()
    };
    // Who may not ask does not know, and says why.
    stand.faults().inject(aim("rds", "DescribeDBSnapshotAttributes", None), Fault::Denied);
    let all = book.ask(account, |_| true).await.unwrap();
    assert_eq!(public(&all), None);
    let words = all[INSTANCE].unknown.as_ref().unwrap();
    assert!(words.contains("rds:DescribeDBSnapshotAttributes"), "{words}");
    stand.faults().clear();
    assert_eq!(public(&book.ask(account, |_| true).await.unwrap()), Some(true));

    let alarm = |name: &str| {
        let dimension = Dimension::builder().name("DBInstanceIdentifier").value(INSTANCE).build();
        let alarm = clients.cloudwatch.put_metric_alarm().alarm_name(name).namespace("AWS/RDS");
        let alarm = alarm.metric_name("CPUUtilization").dimensions(dimension).statistic(Statistic::Average).period(60);
        alarm.evaluation_periods(1).threshold(99.0).comparison_operator(ComparisonOperator::GreaterThanThreshold)
    };
    alarm("busy").send().await.unwrap();
    alarm("calm").send().await.unwrap();
    // So many others that all are read in some rounds only: what begins to ring is seen in each, and what stops as well.
    for number in 0..520 {
        let other = clients.cloudwatch.put_metric_alarm().alarm_name(format!("other-{number}")).namespace("Shop");
        let other = other.metric_name("Visitors").statistic(Statistic::Sum).period(60).evaluation_periods(1);
        other.threshold(1.0).comparison_operator(ComparisonOperator::LessThanThreshold).send().await.unwrap();
    }
    let mut book = alarms::Book::default();
    let told = book.ask(account).await.unwrap();
    let of: Vec<&str> = told.found[INSTANCE].alarms.iter().map(|it| it.name.raw()).collect();
    assert_eq!((of, told.cut), (vec!["busy", "calm"], None));
    let calls = || stand.faults().calls()[&("monitoring".to_owned(), "DescribeAlarms".to_owned())];
    let before = calls();
    for state in [StateValue::Alarm, StateValue::Ok] {
        let set = clients.cloudwatch.set_alarm_state().alarm_name("busy").state_value(state.clone());
        set.state_reason("because").send().await.unwrap();
        let told = book.ask(account).await.unwrap();
        let busy = told.found[INSTANCE].alarms.iter().find(|it| it.name.raw() == "busy").unwrap();
        let wanted = if state == StateValue::Alarm { AlarmState::Alarm } else { AlarmState::Ok };
        assert_eq!((busy.state, told.found[INSTANCE].alarms.len()), (wanted, 2));
        if state == StateValue::Alarm {
            assert!(calls() - before <= 2, "not all of them: {}", calls() - before);
        }
    }
}

/// A vault of ours, a job, and the point that it makes; and what `doctor` can say before there is one.
async fn backups(account: &Account) {
    let clients = account.clients().await;
    let leave = |tried: &[(Action, Leave)], of: Action| tried.iter().find(|(it, _)| *it == of).unwrap().1.clone();
    let tried = probe::leave(account, Timestamp::now()).await.unwrap();
    // Of a vault that is not there AWS says that we may not: no policy is blamed for that.
    assert!(matches!(leave(&tried, Action::ListRecoveryPoints), Leave::Unknown(_)), "{tried:?}");
    assert!(tried.iter().all(|(action, it)| *it == Leave::Given || *action == Action::ListRecoveryPoints), "{tried:?}");

    clients.backup.create_backup_vault().backup_vault_name("daily").send().await.unwrap();
    let tried = probe::leave(account, Timestamp::now()).await.unwrap();
    assert_eq!(leave(&tried, Action::ListRecoveryPoints), Leave::Given);
    let arn = rds::instances(account).await.unwrap()[INSTANCE].arn.raw().to_owned();
    let job = clients.backup.start_backup_job().backup_vault_name("daily").resource_arn(&arn).iam_role_arn(ROLE);
    job.send().await.unwrap();
    let book = tokio::sync::Mutex::new(backup::Book::default());
    let told = until("backed up", || async {
        let answer = book.lock().await.ask(account, Timestamp::now()).await.unwrap();
        let told = answer.of(&arn, &BTreeMap::new());
        told.points.iter().any(|it| it.status.raw() == "COMPLETED").then_some(told)
    })
    .await;
    assert_eq!((told.points.len(), told.refused.len()), (1, 0), "{told:?}");
    assert!(told.jobs.iter().any(|job| job.state.raw() == "COMPLETED"), "{told:?}");
    assert_eq!(parameters::group(account, "nowhere").await.unwrap_err().action, Action::DescribeDbParameters);
    available(account).await;
}

/// Two calls' worth of figures: what one call fails at is missing of those that it was about, and of nobody else.
async fn figures(stand: &AwsStand, account: &Account) {
    let names: Vec<Arc<str>> = (0..40).map(|number| Arc::from(format!("alias-{number}-db"))).collect();
    for name in &names {
        assert!(stand.alias(name, INSTANCE, &[("StorageTier", "dedicated")]));
    }
    let described = rds::instances(account).await.unwrap();
    let which = |name: &Arc<str>| -> Vec<cloudwatch::Wanted> {
        let metrics = cloudwatch::which(described.get(name)).into_iter();
        metrics.map(|metric| (Arc::clone(name), metric)).collect()
    };
    let wanted: Vec<cloudwatch::Wanted> = names.iter().flat_map(which).collect();
    assert!((501..=1_000).contains(&wanted.len()), "{} figures", wanted.len());
    let now = Timestamp::now();
    let from = cloudwatch::since(now, None);
    // All attempts at the first call.
    stand.faults().inject(aim("monitoring", "GetMetricData", Some(3)), Fault::Throttled);
    let answer = cloudwatch::ask(account, &wanted, from, now).await.unwrap();
    stand.faults().clear();
    let [(error, missing)] = &*answer.failed else { panic!("{:?}", answer.failed) };
    assert!(error.is_throttled() && answer.is_pressed() && *missing == wanted[..500], "{error}");
    assert_eq!(answer.metrics.values().map(|it| it.series.len()).sum::<usize>(), wanted.len() - 500);
    let calls = || stand.faults().calls()[&("monitoring".to_owned(), "GetMetricData".to_owned())];
    let before = calls();
    let answer = cloudwatch::ask(account, &wanted, from, now).await.unwrap();
    assert!(answer.failed.is_empty(), "{:?}", answer.failed);
    assert_eq!(calls() - before, 2, "as few as 500 queries each allow, for {} figures", wanted.len());
    let told = until("measured", || async {
        let wanted = [(Arc::from(INSTANCE), Metric::CpuUtilization)];
        let now = Timestamp::now();
        let answer = cloudwatch::ask(account, &wanted, cloudwatch::since(now, None), now).await.unwrap();
        answer.metrics[INSTANCE].newest(Metric::CpuUtilization)
    })
    .await;
    assert!((0.0..=100.0).contains(&told.value), "{told:?}");
}

/// Each as what it is, with what to do.
async fn faults(stand: &AwsStand, account: &Account) {
    for (fault, words) in [
        (Fault::Throttled, "throttles rds:DescribeEvents"),
        (Fault::Broken, "a fault of its own"),
        (Fault::Denied, "rds:DescribeEvents"),
        (Fault::Expired, "aws sso login --profile estate"),
    ] {
        stand.faults().inject(aim("rds", "DescribeEvents", None), fault.clone());
        let error = events::ask(account).await.unwrap_err().to_string();
        stand.faults().clear();
        assert!(error.contains(words), "{fault:?}: {error}");
    }
    assert!(events::ask(account).await.unwrap().contains_key(INSTANCE));
    assert!(account.ahead().is_some_and(|ahead| ahead.abs() < 60) && account.skew().is_none());
    let tried = {
        stand.faults().inject(aim("backup", "ListBackupJobs", None), Fault::Denied);
        stand.faults().inject(aim("rds", "DescribeEvents", None), Fault::Broken);
        let tried = probe::leave(account, Timestamp::now()).await.unwrap();
        stand.faults().clear();
        tried
    };
    let of = |action: Action| tried.iter().find(|(it, _)| *it == action).map(|(_, leave)| leave).unwrap();
    assert!(matches!(of(Action::ListBackupJobs), Leave::Missing(_)));
    assert!(matches!(of(Action::DescribeEvents), Leave::Unknown(_)), "broken is not allowed");
    assert!(!tried.iter().any(|(action, _)| *action == Action::Connect), "only a login tries that");
    // A clock that is wrong: the client corrects itself, and we can tell.
    stand.faults().inject(Aim::default(), Fault::Clock(SignedDuration::from_mins(20)));
    let asked = events::ask(account).await;
    stand.faults().clear();
    match asked {
        Ok(_) => {}
        Err(error) => assert!(error.to_string().contains("our clock"), "{error}"),
    }
}
