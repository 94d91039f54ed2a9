//! What goes wrong with the estate's AWS, as an operator of the console reads it, on the source that it concerns; and that it
//! implements whatever the policies allow.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tierdeck::clients::aws::{Account, AwsError, Place};
use tierdeck::domain::facts::cloud::Metric;
use tierdeck::lab::{Aim, AwsStand, Fault};
use tierdeck::sources::aws::{alarms, backup, cloudwatch, events, rds};

use super::stand;

/// The account as the console reaches it, with a profile of its own.
fn account(stand: &AwsStand, home: &TempDir) -> Account {
    let file = home.path().join("aws");
    let spec = stand.spec();
    let (key, secret) = (&spec.access_key, spec.secret_key.expose_secret());
    std::fs::write(&file, format!("[profile x]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"))
        .unwrap();
    Account::new(Place {
        name: "main".into(),
        region: spec.region.as_str().into(),
        profile: Some("x".to_owned()),
        config_file: Some(file),
        assume_role: None,
        endpoint_url: Some(stand.url()),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_told_as_what_it_is_where_it_is() {
    let stand = stand().await;
    let home = tempfile::tempdir().unwrap();
    let account = account(&stand, &home);
    let now = Timestamp::now();
    let aim = |service: &str, action: &str| Aim {
        service: Some(service.to_owned()),
        action: Some(action.to_owned()),
        ..Aim::default()
    };
    for (fault, words) in [
        (Fault::Throttled, "throttles"),
        (Fault::Broken, "has a fault of its own (HTTP 500)"),
        (Fault::Denied, "does not allow"),
        (Fault::Expired, "have expired; log in again: aws sso login --profile x"),
    ] {
        stand.faults().inject(aim("rds", "DescribeEvents"), fault.clone());
        stand.faults().inject(aim("monitoring", "DescribeAlarms"), fault.clone());
        stand.faults().inject(aim("monitoring", "GetMetricData"), fault.clone());
        stand.faults().inject(aim("backup", "ListBackupVaults"), fault.clone());
        let wanted = [("nobody".into(), Metric::CpuUtilization)];
        let told: [(&str, Option<AwsError>); 3] = [
            ("rds:DescribeEvents", events::ask(&account).await.err()),
            ("cloudwatch:DescribeAlarms", alarms::Book::default().ask(&account).await.err()),
            ("cloudwatch:GetMetricData", cloudwatch::ask(&account, &wanted, now, now).await.err()),
        ];
        for (action, error) in told {
            let said = error.unwrap_or_else(|| panic!("{fault:?} on {action}: nothing was said")).to_string();
            assert!(said.contains(words), "{fault:?} on {action}: {said}");
            if matches!(fault, Fault::Denied | Fault::Throttled) {
                assert!(said.contains(action), "{fault:?}: {said}");
            }
        }
        // Of what AWS Backup has only the part that is refused is missing.
        let backups = match backup::Book::default().ask(&account, now).await {
            Ok(answer) => format!("{:?}", answer.of("arn:aws:rds:x:1:db:x", &BTreeMap::new()).refused),
            Err(error) => error.to_string(),
        };
        assert!(backups.contains(words), "{fault:?}: {backups}");
        // And nothing else is.
        assert!(rds::instances(&account).await.unwrap().is_empty());
        stand.faults().clear();
        assert!(events::ask(&account).await.is_ok(), "after {fault:?}");
    }
    // A clock that is wrong is reckoned with by AWS's own client, once it was told.
    stand.faults().inject(aim("rds", "DescribeEvents"), Fault::Clock(SignedDuration::from_mins(20)));
    assert!(events::ask(&account).await.is_ok());
    stand.stop().await;
}

/// What the policy for operations allows can be tried here: nothing of it is unknown to the estate's RDS.
#[tokio::test(flavor = "multi_thread")]
async fn the_estate_knows_what_the_policies_allow() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stand = stand().await;
    let client = reqwest::Client::builder().build().unwrap();
    for name in ["watch", "operate"] {
        let path = format!("{}/assets/iam/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let policy: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let statements = policy["Statement"].as_array().unwrap().iter();
        let actions = statements.flat_map(|it| it["Action"].as_array().unwrap()).map(|it| it.as_str().unwrap());
        let mut known = 0;
        for action in actions.filter_map(|action| action.strip_prefix("rds:")) {
            let scope = format!("{}/20261122/{}/rds/aws4_request", stand.spec().access_key, stand.spec().region);
            let signature = "0".repeat(64);
            let authorization =
                format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={signature}");
            let request = client.post(stand.url()).header("authorization", authorization);
            let answer = request.body(format!("Action={action}&Version=2014-10-31")).send().await.unwrap();
            let text = answer.text().await.unwrap();
            assert!(!text.contains("<Code>InvalidAction</Code>"), "{name}.json: {action}: {text}");
            known += 1;
        }
        assert!(known > 8, "{name}: {known}");
    }
    stand.stop().await;
}
