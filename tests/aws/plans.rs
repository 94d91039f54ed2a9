//! Plans of AWS Backup are carried out: at their hours, for whom they select, with copies, and their points go in time. AWS
//! Backup's clock is set ahead; clusters and copies are real.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tierdeck::lab::AwsStand;

use super::moments::{available, element, make, rds};
use super::stand;

const PATIENCE: Duration = Duration::from_secs(90);
const AWAY: &str = "eu-central-1";
const ROLE: &str = "arn:aws:iam::123456789012:role/AWSBackupOfATest";

/// A call of AWS Backup, in a region.
async fn call(stand: &AwsStand, region: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let scope = format!("{}/20261122/{region}/backup/aws4_request", stand.spec().access_key);
    let signature = "0".repeat(64);
    let signed = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={signature}");
    let client = reqwest::Client::builder().build().unwrap();
    let request = client.request(method.parse().unwrap(), format!("{}/{path}", stand.url()));
    let answer = request.header("authorization", signed).body(body.to_string()).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
}

async fn backup(stand: &AwsStand, method: &str, path: &str, body: Value) -> Value {
    let (status, told) = call(stand, &stand.spec().region, method, path, &body).await;
    assert_eq!(status, 200, "{method} {path}: {told}");
    told
}

/// The recovery points in a vault, by their ARNs, the oldest first.
async fn points(stand: &AwsStand, region: &str, vault: &str) -> Vec<Value> {
    let (_, told) = call(stand, region, "GET", &format!("backup-vaults/{vault}/recovery-points"), &Value::Null).await;
    let mut points = told["RecoveryPoints"].as_array().cloned().unwrap_or_default();
    points.reverse();
    points
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "never {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn whole(points: &[Value]) -> bool {
    points.iter().all(|point| point["Status"] == "COMPLETED")
}

/// How far to go on from now until it is noon.
fn to_noon() -> SignedDuration {
    let into = Timestamp::now().as_second().rem_euclid(86_400);
    SignedDuration::from_secs((43_200 - into).rem_euclid(86_400))
}

/// From a noon to somewhat after three o'clock, so many nights on.
fn nights(number: i64) -> SignedDuration {
    SignedDuration::from_hours(15 + 24 * (number - 1)) + SignedDuration::from_mins(2)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_carried_out_and_its_points_go_in_time() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stand = stand().await;
    let home = stand.spec().region.clone();
    let noon = to_noon();
    let until_night = |number| stand.set_ahead(noon + nights(number));
    stand.set_ahead(noon);
    let tier = |value: &'static str| [("Tags.Tag.1.Key", "StorageTier"), ("Tags.Tag.1.Value", value)];
    let none = ("BackupRetentionPeriod", "0");
    make(&stand, "chosen", &[&tier("dedicated")[..], &[none]].concat()).await;
    make(&stand, "passed-over", &[&tier("shared")[..], &[none]].concat()).await;

    backup(&stand, "PUT", "backup-vaults/nightly", json!({})).await;
    let (_, away) = call(&stand, AWAY, "PUT", "backup-vaults/away", &json!({})).await;
    let rule = json!({
        "RuleName": "nightly", "TargetBackupVaultName": "nightly", "ScheduleExpression": "cron(0 3 * * ? *)",
        "StartWindowMinutes": 60, "Lifecycle": {"DeleteAfterDays": 7}, "RecoveryPointTags": {"made-by": "plan"},
        "CopyActions": [{"DestinationBackupVaultArn": away["BackupVaultArn"], "Lifecycle": {"DeleteAfterDays": 90}}]
    });
    for (name, value) in [
        ("ScheduleExpression", json!("cron(0 3 * * * *)")),
        ("ScheduleExpression", json!("rate(1 day)")),
        ("ScheduleExpressionTimezone", json!("Europe/Berlin")),
        ("EnableContinuousBackup", json!(true)),
        ("StartWindowMinutes", json!(5)),
    ] {
        let mut odd = rule.clone();
        odd[name] = value;
        let plan = json!({"BackupPlan": {"BackupPlanName": "odd", "Rules": [odd]}});
        let (status, told) = call(&stand, &home, "PUT", "backup/plans", &plan).await;
        assert_eq!(status, 400, "{name}: {told}");
    }
    let plan = json!({"BackupPlan": {"BackupPlanName": "nights", "Rules": [rule]}});
    let plan = backup(&stand, "PUT", "backup/plans", plan).await["BackupPlanId"].as_str().unwrap().to_owned();
    let condition =
        json!({"ConditionType": "STRINGEQUALS", "ConditionKey": "StorageTier", "ConditionValue": "dedicated"});
    let selection =
        json!({"BackupSelection": {"SelectionName": "by-tag", "IamRoleArn": ROLE, "ListOfTags": [condition]}});
    backup(&stand, "PUT", &format!("backup/plans/{plan}/selections"), selection).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(points(&stand, &home, "nightly").await, Vec::<Value>::new(), "it is not three o'clock");

    // A night: one point, and its copy.
    until_night(1);
    let first = until("a point", async || {
        let points = points(&stand, &home, "nightly").await;
        (points.len() == 1 && whole(&points)).then(|| points[0].clone())
    })
    .await;
    assert!(first["ResourceArn"].as_str().unwrap().ends_with(":db:chosen"), "{first}");
    assert_eq!((&first["CreatedBy"]["BackupPlanId"], &first["IamRoleArn"]), (&json!(plan), &json!(ROLE)));
    let copy = until("a copy", async || points(&stand, AWAY, "away").await.first().cloned()).await;
    assert_eq!(copy["SourceBackupVaultArn"], first["BackupVaultArn"]);
    let jobs = backup(&stand, "GET", "backup-jobs", Value::Null).await;
    let [job] = &jobs["BackupJobs"].as_array().unwrap()[..] else { panic!("{jobs}") };
    assert_eq!((job["State"].as_str(), &job["CreatedBy"]), (Some("COMPLETED"), &first["CreatedBy"]));
    let millis = |name: &str| (job[name].as_f64().unwrap() * 1_000.0).round() as i64;
    assert_eq!(millis("StartBy") - millis("CreationDate"), 3_600_000);
    let told = backup(&stand, "GET", &format!("backup/plans/{plan}"), Value::Null).await;
    assert!(told["LastExecutionDate"].is_number(), "{told}");
    // The snapshot behind it is RDS's, and a restore from it is an instance without the tags of its source.
    let snapshots = rds(&stand, "DescribeDBSnapshots", &[("SnapshotType", "awsbackup")]).await;
    assert!(snapshots.contains("<DBInstanceIdentifier>chosen</DBInstanceIdentifier>"), "{snapshots}");

    // Three nights on, of which two were slept through: one more, and the first is still there.
    until_night(3);
    until("another", async || {
        let points = points(&stand, &home, "nightly").await;
        (points.len() == 2 && whole(&points)).then_some(())
    })
    .await;
    // Who cannot be copied is waited for as long as the window is, and no longer.
    available(&stand, "chosen").await;
    rds(&stand, "StopDBInstance", &[("DBInstanceIdentifier", "chosen")]).await;
    until("stopped", async || {
        let told = super::moments::describe(&stand, "chosen").await;
        (element(&told, "DBInstanceStatus").as_deref() == Some("stopped")).then_some(())
    })
    .await;
    until_night(4);
    let state = async |index: usize| {
        let jobs = backup(&stand, "GET", "backup-jobs", Value::Null).await;
        let mut jobs = jobs["BackupJobs"].as_array().unwrap().clone();
        jobs.reverse();
        jobs.get(index).and_then(|job| job["State"].as_str().map(str::to_owned))
    };
    until("a job that waits", async || (state(2).await.as_deref() == Some("CREATED")).then_some(())).await;
    stand.set_ahead(noon + nights(4) + SignedDuration::from_hours(1));
    until("expired", async || (state(2).await.as_deref() == Some("EXPIRED")).then_some(())).await;
    assert_eq!(points(&stand, &home, "nightly").await.len(), 2, "there is no point of it");

    // A week after the first, it goes, and its snapshot; the newer one and the copy stay.
    stand.set_ahead(noon + nights(8) + SignedDuration::from_hours(2));
    let left = until("one gone", async || {
        let points = points(&stand, &home, "nightly").await;
        let points: Vec<Value> = points.into_iter().filter(|point| point["Status"] == "COMPLETED").collect();
        (points.len() == 1).then(|| points[0].clone())
    })
    .await;
    assert_ne!(left["RecoveryPointArn"], first["RecoveryPointArn"]);
    let snapshots = rds(&stand, "DescribeDBSnapshots", &[("SnapshotType", "awsbackup")]).await;
    let gone = first["RecoveryPointArn"].as_str().unwrap();
    assert!(!snapshots.contains(gone), "{snapshots}");
    assert!(points(&stand, AWAY, "away").await.contains(&copy), "it is kept for 90 days");
    stand.stop().await;
}
