//! An instance's endpoint is its own for life: whoever knows it finds the instance there again, or nobody.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use tierdeck::lab::AwsStand;

use super::moments::{available, call, describe, element, login, make, rds, refused};
use super::stand;

const ID: (&str, &str) = ("DBInstanceIdentifier", "stays");
const PATIENCE: Duration = Duration::from_secs(60);

async fn until(stand: &AwsStand, wanted: &str) -> String {
    let begun = Instant::now();
    loop {
        let told = describe(stand, "stays").await;
        let status = element(&told, "DBInstanceStatus").unwrap();
        if status == wanted {
            return told;
        }
        assert!(begun.elapsed() < PATIENCE, "never {wanted}: {status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn port(described: &str) -> u16 {
    element(described, "Port").unwrap().parse().unwrap()
}

/// What was written is still there, behind the same port.
async fn answers(described: &str, wanted: u16) {
    assert_eq!(port(described), wanted);
    let row = login(described).await.query_one("SELECT count(*) FROM written", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_stays_whatever_becomes_of_the_instance() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stand = stand().await;
    let made = make(&stand, "stays", &[]).await;
    let (endpoint, first) = (port(&made), login(&made).await);
    first.batch_execute("CREATE TABLE written AS SELECT 1 AS number").await.unwrap();

    rds(&stand, "RebootDBInstance", &[ID]).await;
    answers(&available(&stand, "stays").await, endpoint).await;
    assert!(first.batch_execute("SELECT 1").await.is_err(), "a reboot ends who is connected");

    // Stopped, it keeps its endpoint, and nobody answers there.
    rds(&stand, "StopDBInstance", &[ID, ("DBSnapshotIdentifier", "before-rest")]).await;
    assert_eq!(refused(&stand, "StopDBInstance", &[ID]).await, "InvalidDBInstanceState");
    let told = until(&stand, "stopped").await;
    assert_eq!(port(&told), endpoint);
    assert!(tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, endpoint)).await.is_err());
    let kept = rds(&stand, "DescribeDBSnapshots", &[("DBSnapshotIdentifier", "before-rest")]).await;
    assert_eq!(element(&kept, "Status").as_deref(), Some("available"));
    for (action, more) in [
        ("RebootDBInstance", ("ForceFailover", "false")),
        ("ModifyDBInstance", ("BackupRetentionPeriod", "1")),
        ("CreateDBSnapshot", ("DBSnapshotIdentifier", "asleep")),
    ] {
        assert_eq!(refused(&stand, action, &[ID, more]).await, "InvalidDBInstanceState", "{action}");
    }
    // Ports by chance are others.
    let others: Vec<TcpListener> = (0..64).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
    assert!(others.iter().all(|other| other.local_addr().unwrap().port() != endpoint));
    rds(&stand, "StartDBInstance", &[ID]).await;
    answers(&available(&stand, "stays").await, endpoint).await;
    assert_eq!(refused(&stand, "StartDBInstance", &[ID]).await, "InvalidDBInstanceState");

    taken(&stand, endpoint).await;

    // A new class restarts it, and a new name is only a name.
    let changes =
        [ID, ("DBInstanceClass", "db.t3.large"), ("NewDBInstanceIdentifier", "stayed"), ("ApplyImmediately", "true")];
    rds(&stand, "ModifyDBInstance", &changes).await;
    let begun = Instant::now();
    while call(&stand, "DescribeDBInstances", &[ID]).await.0 {
        assert!(begun.elapsed() < PATIENCE, "it keeps its name");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    answers(&available(&stand, "stayed").await, endpoint).await;

    // One that is stopped can go with a last snapshot.
    let stayed = ("DBInstanceIdentifier", "stayed");
    rds(&stand, "StopDBInstance", &[stayed]).await;
    let begun = Instant::now();
    while element(&describe(&stand, "stayed").await, "DBInstanceStatus").unwrap() != "stopped" {
        assert!(begun.elapsed() < PATIENCE, "it never stops");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    rds(&stand, "DeleteDBInstance", &[stayed, ("FinalDBSnapshotIdentifier", "last")]).await;
    let begun = Instant::now();
    while call(&stand, "DescribeDBInstances", &[stayed]).await.0 {
        assert!(begun.elapsed() < PATIENCE, "it stays");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let kept = rds(&stand, "DescribeDBSnapshots", &[("DBSnapshotIdentifier", "last")]).await;
    assert_eq!(element(&kept, "Status").as_deref(), Some("available"));
    stand.stop().await;
}

/// Somebody else has the port: it is said, the instance moves nowhere, and comes back when the port is free.
async fn taken(stand: &AwsStand, endpoint: u16) {
    rds(stand, "StopDBInstance", &[ID]).await;
    until(stand, "stopped").await;
    let thief = TcpListener::bind((Ipv4Addr::LOCALHOST, endpoint)).unwrap();
    rds(stand, "StartDBInstance", &[ID]).await;
    let told = until(stand, "incompatible-network").await;
    assert_eq!(port(&told), endpoint);
    let events = rds(stand, "DescribeEvents", &[("SourceType", "db-instance"), ("SourceIdentifier", "stays")]).await;
    let words = format!("another process listens on its endpoint 127.0.0.1:{endpoint}");
    assert!(events.contains(&words), "{events}");
    let last = [ID, ("FinalDBSnapshotIdentifier", "never")];
    assert_eq!(refused(stand, "DeleteDBInstance", &last).await, "InvalidDBInstanceState");
    assert_eq!(refused(stand, "RebootDBInstance", &[ID]).await, "InvalidDBInstanceState");
    drop(thief);
    rds(stand, "StartDBInstance", &[ID]).await;
    answers(&available(stand, "stays").await, endpoint).await;
}
