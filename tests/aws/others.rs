//! Servers that we did not write: moto for RDS, ministack for CloudWatch and AWS Backup. `make install-test` fetches them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_backup::types::{BackupPlanInput, BackupRuleInput, BackupSelection, Condition, ConditionType, Lifecycle};
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{ComparisonOperator, Dimension, MetricDatum, StateValue, Statistic};
use aws_sdk_rds::types::Tag;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tierdeck::clients::aws::{Account, Clients};
use tierdeck::domain::Foreign;
use tierdeck::domain::facts::cloud::{AlarmState, Claim, JobKind, Metric, claim};
use tierdeck::sources::aws::snapshots::Book;
use tierdeck::sources::aws::{alarms, backup, cloudwatch, events, parameters, rds};

use super::stand::{PROFILES, place};
use super::support::server::free_port;
use super::support::skipped::skipped;

/// One of them, on a free loopback port; gone when dropped.
struct Other {
    child: Child,
    account: Account,
    home: TempDir,
}

impl Other {
    /// Starts one; a loud word where it is not there.
    async fn start(program: &str, test: &str) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home).unwrap_or_default();
        let mut folders = vec![cache.join("tierdeck/aws/bin")];
        folders.extend(std::env::split_paths(&path));
        let found = folders.into_iter().map(|folder| folder.join(program)).find(|path| path.is_file());
        let Some(found) = found else {
            skipped(&format!("{test}: no {program} (make install-test fetches one)"));
            return None;
        };
        let (port, home) = (free_port(), tempfile::tempdir().unwrap());
        std::fs::write(home.path().join("aws"), PROFILES).unwrap();
        let mut command = Command::new(found);
        if program == "moto_server" {
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        }
        let log = std::fs::File::create(home.path().join("log")).unwrap();
        let child = command
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let account = Account::new(place(&url, home.path().join("aws"), "test"));
        let other = Self { child, account, home };
        let deadline = Instant::now() + Duration::from_secs(120);
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            let log = std::fs::read_to_string(other.home.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "{program} did not start:\n{log}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Some(other)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn moto_describes_instances_snapshots_and_groups_as_we_read_them() {
    let Some(moto) = Other::start("moto_server", "RDS against moto").await else { return };
    // Its first answer takes as long as loading everything: a question that is tried again does no harm, a creation would.
    let deadline = Instant::now() + Duration::from_secs(120);
    while let Err(error) = rds::instances(&moto.account).await {
        assert!(Instant::now() < deadline, "moto does not answer: {error}");
    }
    let clients = moto.account.clients().await;
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    // More than a page.
    for number in 0..103 {
        let question = clients
            .rds
            .create_db_instance()
            .db_instance_identifier(format!("portarium-prod-t{number}-db"))
            .engine("postgres")
            .db_instance_class("db.t3.medium")
            .allocated_storage(20)
            .db_name("t")
            .master_username("portarium")
            .master_user_password("hunter2hunter2")
            .tags(tag("StorageTier", "dedicated"))
            .tags(tag("TenantId", &format!("tenant-{number}")));
        question.send().await.unwrap();
    }
    let instances = rds::instances(&moto.account).await.unwrap();
    assert_eq!(instances.len(), 103);
    let one = &instances["portarium-prod-t7-db"];
    assert_eq!((one.class.raw(), one.storage.allocated_gib), ("db.t3.medium", Some(20)));
    let Claim::Dedicated(Some(tenant)) = claim(&one.tags) else { panic!("{:?}", one.tags) };
    assert!(tenant.as_str() == "tenant-7" && one.endpoint.is_some() && one.arn.raw().starts_with("arn:aws:rds:"));

    let snapshot = clients.rds.create_db_snapshot().db_instance_identifier("portarium-prod-t7-db");
    snapshot.db_snapshot_identifier("by-hand").send().await.unwrap();
    let share = clients.rds.modify_db_snapshot_attribute().db_snapshot_identifier("by-hand");
    share.attribute_name("restore").values_to_add("999999999999").send().await.unwrap();
    let found = Book::default().ask(&moto.account, |_| true).await.unwrap();
    let by_hand = &found["portarium-prod-t7-db"].snapshots;
    let by_hand = by_hand.iter().find(|it| it.identifier.raw() == "by-hand").unwrap();
    let shared = by_hand.shared_with.as_ref().unwrap();
    assert_eq!((shared.len(), shared[0].raw(), by_hand.is_public()), (1, "999999999999", Some(false)));

    let group = clients.rds.create_db_parameter_group().db_parameter_group_name("own");
    group.db_parameter_group_family("postgres16").description("x").send().await.unwrap();
    assert!(parameters::group(&moto.account, "own").await.unwrap().values.is_empty(), "nothing was set in it");
    assert_eq!(events::ask(&moto.account).await.unwrap().len(), 103, "each was created");
    assert!(rds::earliest(&moto.account).await.unwrap().is_empty());
    // What moto does not implement is said, and is no invention.
    let refused = rds::maintenance(&moto.account).await.unwrap_err().to_string();
    assert!(refused.contains("has a fault of its own (HTTP 500)"), "{refused}");
}

#[tokio::test]
async fn ministack_has_figures_alarms_and_backups_as_we_read_them() {
    let Some(ministack) = Other::start("ministack", "CloudWatch and AWS Backup against ministack").await else {
        return;
    };
    let clients = ministack.account.clients().await;
    let now = Timestamp::now();
    let minute = |back: i64| DateTime::from_secs((now.as_second() / 60 - back) * 60);
    let datum = |name: &str, back: i64, value: f64| {
        let dimension = Dimension::builder().name("DBInstanceIdentifier").value("acme-db").build();
        MetricDatum::builder().metric_name(name).dimensions(dimension).timestamp(minute(back)).value(value).build()
    };
    let figures = clients.cloudwatch.put_metric_data().namespace("AWS/RDS");
    let figures = figures.metric_data(datum("CPUUtilization", 5, 41.0)).metric_data(datum("CPUUtilization", 3, 43.5));
    figures.metric_data(datum("EBSIOBalance%", 2, 99.0)).send().await.unwrap();
    let wanted: Vec<cloudwatch::Wanted> =
        [Metric::CpuUtilization, Metric::EbsIoBalance, Metric::ReadIops].map(|it| ("acme-db".into(), it)).to_vec();
    let from = now.checked_sub(SignedDuration::from_mins(30)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let told = loop {
        let answer = cloudwatch::ask(&ministack.account, &wanted, from, now).await.unwrap();
        let told = answer.metrics["acme-db"].clone();
        if told.newest(Metric::CpuUtilization).is_some() || Instant::now() > deadline {
            break told;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let values: Vec<f64> = told.series[&Metric::CpuUtilization].iter().map(|it| it.value).collect();
    assert_eq!(values, [41.0, 43.5]);
    assert_eq!(told.newest(Metric::EbsIoBalance).map(|it| it.value), Some(99.0));
    assert!(told.series[&Metric::ReadIops].is_empty(), "asked for, and it has none");

    let alarm = clients.cloudwatch.put_metric_alarm().alarm_name("acme-cpu").namespace("AWS/RDS");
    let alarm = alarm.metric_name("CPUUtilization").statistic(Statistic::Average).period(60).evaluation_periods(1);
    let of = Dimension::builder().name("DBInstanceIdentifier").value("acme-db").build();
    let alarm = alarm.dimensions(of).threshold(1.0).comparison_operator(ComparisonOperator::GreaterThanThreshold);
    alarm.send().await.unwrap();
    let rings = clients.cloudwatch.set_alarm_state().alarm_name("acme-cpu").state_value(StateValue::Alarm);
    rings.state_reason("by hand").send().await.unwrap();
    let found = alarms::Book::default().ask(&ministack.account).await.unwrap().found;
    let [alarm] = &found["acme-db"].alarms[..] else { panic!("{found:?}") };
    assert_eq!((alarm.name.raw(), alarm.metric.as_ref().map(Foreign::raw)), ("acme-cpu", Some("CPUUtilization")));
    assert_eq!((alarm.state, alarm.reason.raw()), (AlarmState::Alarm, "by hand"));

    protected_and_saved(&clients, &ministack.account, now).await;
}

/// An instance that a plan selects by its tag, and that was saved once.
async fn protected_and_saved(clients: &Clients, account: &Account, now: Timestamp) {
    let arn = "arn:aws:rds:eu-west-1:123456789012:db:acme-db";
    clients.backup.create_backup_vault().backup_vault_name("safe").send().await.unwrap();
    let rule = BackupRuleInput::builder().rule_name("nightly").target_backup_vault_name("safe");
    let rule =
        rule.schedule_expression("cron(0 3 * * ? *)").lifecycle(Lifecycle::builder().delete_after_days(35).build());
    let plan = BackupPlanInput::builder().backup_plan_name("every-night").rules(rule.build().unwrap()).build().unwrap();
    let plan = clients.backup.create_backup_plan().backup_plan(plan).send().await.unwrap();
    let tag = Condition::builder().condition_type(ConditionType::Stringequals).condition_key("StorageTier");
    let selection =
        BackupSelection::builder().selection_name("dedicated").iam_role_arn("arn:aws:iam::123456789012:role/backup");
    let selection = selection.list_of_tags(tag.condition_value("dedicated").build().unwrap()).build().unwrap();
    let select = clients.backup.create_backup_selection().backup_plan_id(plan.backup_plan_id().unwrap());
    select.backup_selection(selection).send().await.unwrap();
    let job = clients.backup.start_backup_job().backup_vault_name("safe").resource_arn(arn);
    job.iam_role_arn("arn:aws:iam::123456789012:role/backup").send().await.unwrap();

    let answer = backup::Book::default().ask(account, now).await.unwrap();
    let tags = BTreeMap::from([("StorageTier".to_owned(), Foreign::from("dedicated"))]);
    let ours = answer.of(arn, &tags);
    let [protection] = &ours.protections.as_ref().unwrap()[..] else { panic!("{ours:?}") };
    assert_eq!((protection.plan.raw(), protection.rule.raw(), protection.days), ("every-night", "nightly", Some(35)));
    let [job] = &ours.jobs[..] else { panic!("{ours:?}") };
    assert_eq!((job.kind, job.state.raw()), (JobKind::Backup, "COMPLETED"));
    // Its vaults never list a point: those are read from the estate's (`told`).
    assert!(ours.points.is_empty() && ours.refused.is_empty(), "{ours:?}");
    let other = answer.of("arn:aws:rds:eu-west-1:123456789012:db:globex-db", &BTreeMap::new());
    assert!(other.protections == Some(Vec::new()) && other.points.is_empty() && other.jobs.is_empty(), "{other:?}");
}
