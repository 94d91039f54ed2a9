//! What `ModifyDBInstance` says it does, it does: at once, in the maintenance window, or together with what was pending.

use std::path::Path;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tierdeck::lab::AwsStand;

use super::gate::{Gate, data_folder};
use super::moments::{available, call, describe, element, login, make, rds, refused};
use super::stand;

const ID: (&str, &str) = ("DBInstanceIdentifier", "changes");
const NOW: (&str, &str) = ("ApplyImmediately", "true");

/// What is pending, as XML.
fn pending(described: &str) -> &str {
    let (_, rest) = described.split_once("<PendingModifiedValues").unwrap();
    let (pending, _) = rest.split_once("</PendingModifiedValues>").unwrap_or(("", rest));
    pending.trim_start_matches('>')
}

/// Some of what an instance is now.
fn is(described: &str, names: &[&str]) -> Vec<String> {
    let (before, rest) = described.split_once("<PendingModifiedValues").unwrap();
    let after = rest.split_once("</PendingModifiedValues>").map_or(rest, |(_, after)| after);
    names.iter().map(|name| element(before, name).or_else(|| element(after, name)).unwrap()).collect()
}

async fn until(stand: &AwsStand, wanted: &str) {
    let begun = Instant::now();
    loop {
        let status = element(&describe(stand, "changes").await, "DBInstanceStatus").unwrap();
        if status == wanted {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "never {wanted}: {status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_so_at_once_or_pending_and_never_forgotten() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stand = stand().await;
    let storage = [("AllocatedStorage", "400"), ("StorageType", "gp3"), ("BackupRetentionPeriod", "1")];
    let data = data_folder(&login(&make(&stand, "changes", &storage).await).await).await;
    waits_and_comes(&stand).await;
    one_at_a_time(&stand, &data).await;
    snapshots(&stand).await;
    does_not_start(&stand).await;
    is_renamed(&stand).await;
    stand.stop().await;
}

async fn waits_and_comes(stand: &AwsStand) {
    let names = ["Iops", "StorageThroughput", "AllocatedStorage", "BackupRetentionPeriod", "DBInstanceClass"];
    let later = [ID, ("Iops", "13000"), ("StorageThroughput", "600"), ("AllocatedStorage", "500")];
    let told = rds(stand, "ModifyDBInstance", &later).await;
    let waits = "<AllocatedStorage>500</AllocatedStorage><Iops>13000</Iops><StorageThroughput>600</StorageThroughput>";
    assert_eq!(pending(&told), waits);
    assert_eq!(is(&told, &names), ["12000", "500", "400", "1", "db.t3.medium"]);
    // What is only planned may be taken back; what is not named again stays planned.
    let told = rds(stand, "ModifyDBInstance", &[ID, ("AllocatedStorage", "450")]).await;
    assert_eq!(pending(&told), waits.replace("500", "450"));
    assert_eq!(
        refused(stand, "ModifyDBInstance", &[ID, ("AllocatedStorage", "399")]).await,
        "InvalidParameterCombination"
    );
    // Backups that there are are kept for longer at once; to have none waits.
    let told = rds(stand, "ModifyDBInstance", &[ID, ("BackupRetentionPeriod", "7")]).await;
    assert_eq!((pending(&told), is(&told, &names)[3].as_str()), (&*waits.replace("500", "450"), "7"));
    assert_eq!(element(&described(stand).await, "DBInstanceStatus").as_deref(), Some("available"));
    let none = rds(stand, "ModifyDBInstance", &[ID, ("BackupRetentionPeriod", "0")]).await;
    assert!(pending(&none).ends_with("<BackupRetentionPeriod>0</BackupRetentionPeriod>"), "{}", pending(&none));
    assert_eq!(is(&none, &names)[3], "7");
    rds(stand, "ModifyDBInstance", &[ID, ("BackupRetentionPeriod", "14")]).await;
    // Whoever wants one thing now gets all of it.
    rds(stand, "ModifyDBInstance", &[ID, ("DBInstanceClass", "db.t3.large"), NOW]).await;
    until(stand, "storage-optimization").await;
    let told = available(stand, "changes").await;
    assert_eq!(pending(&told), "");
    assert_eq!(is(&told, &names), ["13000", "600", "450", "14", "db.t3.large"]);
}

async fn described(stand: &AwsStand) -> String {
    describe(stand, "changes").await
}

/// Of many who want something at the same moment, one gets it.
async fn one_at_a_time(stand: &AwsStand, data: &Path) {
    // Whoever it is restarts it, and that takes until all have asked.
    let gate = Gate::at_start(data);
    let wishes = (0..12).map(|number| async move {
        let class = ("DBInstanceClass", ["db.t3.small", "db.t3.medium"][number % 2]);
        match number % 3 {
            0 => call(stand, "RebootDBInstance", &[ID]).await,
            _ => call(stand, "ModifyDBInstance", &[ID, class, NOW]).await,
        }
    });
    let told = join_all(wishes).await;
    assert_eq!(told.iter().filter(|(fine, _)| *fine).count(), 1, "{told:#?}");
    let codes = told.iter().filter(|(fine, _)| !fine).map(|(_, text)| element(text, "Code").unwrap());
    assert!(codes.into_iter().all(|code| code == "InvalidDBInstanceState"), "{told:#?}");
    gate.holds().await.open(Vec::new()).await;
    available(stand, "changes").await;
}

async fn snapshots(stand: &AwsStand) {
    stand.pretend("changes", "storage-full");
    let snapshot = [ID, ("DBSnapshotIdentifier", "optimised")];
    assert_eq!(refused(stand, "CreateDBSnapshot", &snapshot).await, "InvalidDBInstanceState");
    stand.pretend("changes", "storage-optimization");
    rds(stand, "CreateDBSnapshot", &snapshot).await;
    available(stand, "changes").await;
}

/// With values that its server does not start with an instance is down, says why, and comes back when they are put right.
async fn does_not_start(stand: &AwsStand) {
    let groups = rds(stand, "DescribeDBParameterGroups", &[]).await;
    let family = element(&groups, "DBParameterGroupFamily").unwrap();
    let group = ("DBParameterGroupName", "too-few");
    let made = [group, ("DBParameterGroupFamily", family.as_str()), ("Description", "of a test")];
    rds(stand, "CreateDBParameterGroup", &made).await;
    let few = [
        group,
        ("Parameters.Parameter.1.ParameterName", "max_connections"),
        ("Parameters.Parameter.1.ParameterValue", "2"),
        ("Parameters.Parameter.1.ApplyMethod", "pending-reboot"),
    ];
    rds(stand, "ModifyDBParameterGroup", &few).await;
    // A new class restarts it.
    rds(stand, "ModifyDBInstance", &[ID, group, ("DBInstanceClass", "db.m6g.large"), NOW]).await;
    until(stand, "incompatible-parameters").await;
    let events = rds(stand, "DescribeEvents", &[("SourceType", "db-instance"), ("SourceIdentifier", "changes")]).await;
    assert!(events.contains("superuser_reserved_connections"), "{events}");
    for (action, more) in
        [("ModifyDBInstance", ("BackupRetentionPeriod", "1")), ("CreateDBSnapshot", ("DBSnapshotIdentifier", "broken"))]
    {
        assert_eq!(refused(stand, action, &[ID, more]).await, "InvalidDBInstanceState", "{action}");
    }
    rds(stand, "RebootDBInstance", &[ID]).await;
    until(stand, "incompatible-parameters").await;
    rds(stand, "ResetDBParameterGroup", &[group, ("ResetAllParameters", "true")]).await;
    rds(stand, "RebootDBInstance", &[ID]).await;
    login(&available(stand, "changes").await).await.batch_execute("SELECT 1").await.unwrap();
}

async fn is_renamed(stand: &AwsStand) {
    let told = rds(stand, "ModifyDBInstance", &[ID, ("NewDBInstanceIdentifier", "changed")]).await;
    assert_eq!(pending(&told), "<DBInstanceIdentifier>changed</DBInstanceIdentifier>");
    rds(stand, "ModifyDBInstance", &[ID, ("MultiAZ", "true"), NOW]).await;
    let begun = Instant::now();
    while call(stand, "DescribeDBInstances", &[ID]).await.0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "it keeps its name");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let told = available(stand, "changed").await;
    assert_eq!((pending(&told), element(&told, "MultiAZ").as_deref()), ("", Some("true")));
}
