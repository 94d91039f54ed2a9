//! What is wrong in AWS, found by the shipped poller: clusters, load, snapshots and tags are real, in the estate's own AWS.

use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use tempfile::TempDir;
use tierdeck::domain::{Finding, Severity, Signal, Snapshot, TenantId};
use tierdeck::lab::AwsStand;

use super::moments::{PASSWORD, available, element, login, rds};
use super::stand;
use super::support::observer::Observer;
use super::support::watcher::{SECRET, Watcher, shared};

/// What takes a whole minute in CloudWatch takes two at the most, and a machine that does much else may take its time.
const PATIENCE: Duration = Duration::from_secs(240);

const WATCH: &str = "[poll]\nrds = \"500ms\"\nsnapshots = \"500ms\"\nbackups = \"1s\"\ncloudwatch = \"2s\"\n\
                     [policy.backup]\nrpo = { dedicated = \"10s\" }\n\
                     [thresholds.cpu]\nwarning = 0.03\ncritical = 1.0\n";

fn configuration(stand: &AwsStand, home: &TempDir) -> String {
    let spec = stand.spec();
    let profile = home.path().join("profile");
    let keys = format!(
        "[profile estate]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        spec.access_key,
        spec.secret_key.expose_secret()
    );
    std::fs::write(&profile, keys).unwrap();
    format!(
        "[aws.main]\nregion = \"{}\"\nprofile = \"estate\"\nconfig_file = \"{}\"\nendpoint_url = \"{}\"\n\
         max_usd_per_hour = 1000.0\n[dedicated]\n\
         url = \"postgresql://tierdeck@{{host}}:{{port}}/{{database}}?sslmode=disable\"\n\
         password = {{ file = \"shared.password\" }}\n{WATCH}",
        spec.region,
        profile.display(),
        stand.url()
    )
}

/// The newest finding of a signal about an instance.
fn about<'s>(snapshot: &'s Snapshot, signal: Signal, instance: &str) -> Option<&'s Finding> {
    let mut all = snapshot.findings.iter();
    all.find(|it| it.signal == signal && it.subject.instance.as_str() == instance && it.over_for.is_none())
}

async fn found(observer: &mut Observer, signal: Signal, instance: &str) -> Finding {
    let begun = Instant::now();
    loop {
        if let Some(finding) = about(&observer.newest, signal, instance) {
            println!("{signal} after {:?}: {}\n  {}", begun.elapsed(), finding.summary, finding.advice);
            return finding.clone();
        }
        assert!(observer.step(begun + PATIENCE).await, "never {signal} on {instance}:\n{}", observer.picture());
    }
}

async fn gone(observer: &mut Observer, signal: Signal, instance: &str) {
    let begun = Instant::now();
    while about(&observer.newest, signal, instance).is_some() {
        assert!(observer.step(begun + PATIENCE).await, "{signal} on {instance} stays:\n{}", observer.picture());
    }
}

async fn make(stand: &AwsStand, id: &str, tenant: &str, more: &[(&str, &str)]) -> String {
    let mut shape = vec![
        ("DBInstanceIdentifier", id),
        ("DBInstanceClass", "db.m6g.large"),
        ("Engine", "postgres"),
        ("AllocatedStorage", "20"),
        ("MasterUsername", "portarium"),
        ("MasterUserPassword", PASSWORD),
        ("DBName", "acme"),
        ("Tags.Tag.1.Key", "StorageTier"),
        ("Tags.Tag.1.Value", "dedicated"),
        ("Tags.Tag.2.Key", "TenantId"),
        ("Tags.Tag.2.Value", tenant),
    ];
    shape.extend(more);
    rds(stand, "CreateDBInstance", &shape).await;
    available(stand, id).await
}

/// Somebody gives a snapshot to everybody.
async fn publish(stand: &AwsStand, id: &str, snapshot: &str) {
    let of = [("DBInstanceIdentifier", id), ("DBSnapshotIdentifier", snapshot)];
    rds(stand, "CreateDBSnapshot", &of).await;
    let begun = Instant::now();
    loop {
        let text = rds(stand, "DescribeDBSnapshots", &[("DBSnapshotIdentifier", snapshot)]).await;
        if element(&text, "Status").as_deref() == Some("available") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let give =
        [("DBSnapshotIdentifier", snapshot), ("AttributeName", "restore"), ("ValuesToAdd.AttributeValue.1", "all")];
    rds(stand, "ModifyDBSnapshotAttribute", &give).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_aws_is_found_and_goes_when_it_is_put_right() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stand = stand().await;
    let described = make(&stand, "acme-db", "acme", &[("BackupRetentionPeriod", "1")]).await;
    let encrypted = [("BackupRetentionPeriod", "0"), ("StorageEncrypted", "true")];
    make(&stand, "globex-db", "globex", &encrypted).await;
    let master = login(&described).await;
    let watch = format!("CREATE ROLE tierdeck LOGIN PASSWORD '{SECRET}'; GRANT pg_monitor TO tierdeck");
    master.batch_execute(&watch).await.unwrap();
    publish(&stand, "acme-db", "acme-for-audit").await;
    let mut work = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let session = login(&described).await;
        work.spawn(async move {
            while session.batch_execute("SELECT sum(sqrt(i)) FROM generate_series(1, 2000000) i").await.is_ok() {}
        });
    }

    let server = shared().await;
    let home = tempfile::tempdir().unwrap();
    let watcher = Watcher::of(&[("shared", server.port)]).configure(&configuration(&stand, &home));
    let mut observer = Observer::of(&watcher);

    let public = found(&mut observer, Signal::SnapshotExposure, "acme-db").await;
    assert_eq!(public.severity, Severity::Critical);
    assert!(public.summary.starts_with("snapshot acme-for-audit is public"), "{}", public.summary);
    let end = "aws rds modify-db-snapshot-attribute --db-snapshot-identifier acme-for-audit --attribute-name restore \
               --values-to-remove all --region eu-west-1";
    assert!(public.advice.contains(end), "{}", public.advice);
    let short = found(&mut observer, Signal::Retention, "acme-db").await;
    assert!(short.summary.contains("for 1 day, and test wants 7"), "{}", short.summary);
    let open = found(&mut observer, Signal::Unencrypted, "acme-db").await;
    assert!(open.summary.contains("is not encrypted at rest, nor"), "{}", open.summary);
    let none = found(&mut observer, Signal::Retention, "globex-db").await;
    assert_eq!(none.severity, Severity::Critical, "{}", none.summary);
    let never = found(&mut observer, Signal::BackupStale, "globex-db").await;
    assert!(never.summary.contains("there is no backup at all"), "{}", never.summary);
    assert_eq!(about(&observer.newest, Signal::Unencrypted, "globex-db"), None, "it is encrypted");
    assert_eq!(about(&observer.newest, Signal::SnapshotExposure, "globex-db"), None, "it has no snapshot");

    // Real work on a real cluster: minutes of CloudWatch.
    let busy = found(&mut observer, Signal::Cpu, "acme-db").await;
    let culprits: Vec<&str> = busy.culprits.iter().map(TenantId::as_str).collect();
    assert_eq!(culprits, ["acme"], "{}", busy.summary);
    assert_eq!(about(&observer.newest, Signal::Cpu, "globex-db"), None, "nobody works there");
    work.shutdown().await;

    // What is put right goes.
    let longer = [("DBInstanceIdentifier", "acme-db"), ("BackupRetentionPeriod", "7"), ("ApplyImmediately", "true")];
    rds(&stand, "ModifyDBInstance", &longer).await;
    gone(&mut observer, Signal::Retention, "acme-db").await;

    // Two that claim one tenant: said once.
    assert!(stand.alias("acme-2", "acme-db", &[("StorageTier", "dedicated"), ("TenantId", "acme")]));
    let contested = found(&mut observer, Signal::Orphan, "acme-2").await;
    assert!(contested.summary.contains("it and acme-db both claim acme"), "{}", contested.summary);
    assert_eq!(about(&observer.newest, Signal::Orphan, "acme-db"), None);

    // Who goes takes what is wrong with it along.
    rds(&stand, "DeleteDBInstance", &[("DBInstanceIdentifier", "globex-db"), ("SkipFinalSnapshot", "true")]).await;
    gone(&mut observer, Signal::BackupStale, "globex-db").await;
    stand.stop().await;
}
