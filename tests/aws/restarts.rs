//! A restart stops its own instance and nothing else, and the end waits for none.

use std::time::{Duration, Instant};

use tierdeck::lab::AwsStand;

use super::gate::{Gate, data_folder};
use super::moments::{authorization, available, describe, element, login, make, rds, refused};
use super::stand;

/// Long enough for any answer on a machine that does much else, and much less than what a server is given to come up.
const PROMPT: Duration = Duration::from_secs(40);

/// The names of an instance's metrics.
async fn metrics(stand: &AwsStand) -> String {
    let client = reqwest::Client::builder().build().unwrap();
    let request = client.post(stand.url()).header("authorization", authorization(stand, "monitoring"));
    let request = request.header("x-amz-target", "GraniteServiceVersion20100801.ListMetrics");
    let answer = request.body(r#"{"Namespace": "AWS/RDS"}"#).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    answer.text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_seen_and_stops_nobody_else() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stand = stand().await;
    let data = data_folder(&login(&make(&stand, "restarts", &[]).await).await).await;
    let id = ("DBInstanceIdentifier", "restarts");
    let gate = Gate::at_start(&data);
    let answer = rds(&stand, "RebootDBInstance", &[id]).await;
    assert_eq!(element(&answer, "DBInstanceStatus").as_deref(), Some("rebooting"));
    let held = gate.holds().await;
    let begun = Instant::now();
    let seen = async {
        assert_eq!(element(&describe(&stand, "restarts").await, "DBInstanceStatus").as_deref(), Some("rebooting"));
        assert!(metrics(&stand).await.contains("DatabaseConnections"));
        for action in ["DescribeDBInstanceAutomatedBackups", "DescribeDBSnapshots", "DescribeEvents"] {
            rds(&stand, action, &[]).await;
        }
        for (action, more) in [
            ("ModifyDBInstance", ("BackupRetentionPeriod", "1")),
            ("RebootDBInstance", ("ForceFailover", "false")),
            ("CreateDBSnapshot", ("DBSnapshotIdentifier", "too-early")),
            ("DeleteDBInstance", ("SkipFinalSnapshot", "true")),
        ] {
            assert_eq!(refused(&stand, action, &[id, more]).await, "InvalidDBInstanceState", "{action}");
        }
    };
    tokio::time::timeout(PROMPT, seen).await.unwrap_or_else(|_| panic!("who asks waits for a restart"));
    println!("8 calls in {:?} while one restarts", begun.elapsed());
    held.open(Vec::new()).await;
    login(&available(&stand, "restarts").await).await.batch_execute("SELECT 1").await.unwrap();

    // The end does not wait until it is up.
    std::fs::remove_file(data.join("gate.conf")).unwrap();
    let gate = Gate::put(&data.join("gate.conf"));
    rds(&stand, "RebootDBInstance", &[id]).await;
    let held = gate.holds().await;
    let begun = Instant::now();
    stand.stop().await;
    assert!(begun.elapsed() < PROMPT, "the end took {:?}", begun.elapsed());
    println!("ended in {:?} while one restarts", begun.elapsed());
    assert!(!data.exists());
    drop(held);
}
