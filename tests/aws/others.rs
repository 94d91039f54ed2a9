//! Servers that we did not write: moto for RDS, ministack for CloudWatch and AWS Backup. `make install-test` fetches them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum};
use aws_sdk_rds::types::Tag;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tierdeck::clients::aws::Account;
use tierdeck::domain::facts::cloud::{Claim, Metric, claim};
use tierdeck::sources::aws::snapshots::Book;
use tierdeck::sources::aws::{alarms, backup, cloudwatch, events, parameters, rds};

use super::stand::{PROFILES, place};
use super::support::server::free_port;

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
            println!("skipped: {test}: no {program} (make install-test fetches one)");
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
    // What moto does not implement is said, and is no invention.
    for result in [
        events::ask(&moto.account).await.map(|it| it.len()),
        parameters::group(&moto.account, "own").await.map(|it| it.values.len()),
        rds::maintenance(&moto.account).await.map(|it| it.len()),
        rds::earliest(&moto.account).await.map(|it| it.len()),
    ] {
        match result {
            Ok(count) => println!("moto: {count}"),
            Err(error) => println!("moto: {error}"),
        }
    }
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

    assert!(alarms::Book::default().ask(&ministack.account).await.unwrap().found.is_empty());
    match backup::Book::default().ask(&ministack.account, now).await {
        Ok(answer) => {
            let of = answer.of("arn:aws:rds:eu-west-1:1:db:acme-db", &BTreeMap::new());
            assert!(of.points.is_empty() && of.jobs.is_empty());
            println!("ministack's backups: refused {:?}", of.refused);
        }
        Err(error) => panic!("{error}"),
    }
}
