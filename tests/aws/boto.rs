//! boto3, from the virtual environment that `.ci/install test` makes.

use std::path::PathBuf;
use std::process::Stdio;

use secrecy::ExposeSecret;
use tierdeck::lab::{Aim, AwsStand, Fault};
use tokio::process::Command;

use super::stand;
use super::support::skipped::skipped;

/// Where that Python is; `None`: nowhere.
fn python() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home)?;
    Some(cache.join("tierdeck/aws/bin/python")).filter(|program| program.exists())
}

/// Runs the script; `false`: there is nothing to run it with.
async fn boto(stand: &AwsStand, arguments: &[&str]) -> bool {
    let Some(python) = python() else {
        skipped(
            "boto3 against the estate's AWS, so that nobody but us judged it: no boto3 (make install-test fetches it)",
        );
        return false;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/aws/boto.py");
    let output = Command::new(python)
        .arg(script)
        .args(arguments)
        .env("ESTATE_URL", stand.url())
        .env("ESTATE_REGION", &stand.spec().region)
        .env("ESTATE_KEY", &stand.spec().access_key)
        .env("ESTATE_SECRET", stand.spec().secret_key.expose_secret())
        // Nothing of the machine's own AWS set-up.
        .env("AWS_CONFIG_FILE", "/nonexistent")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "boto3 saw something else:\n{said}");
    println!("{said}");
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_sees_what_it_expects() {
    let stand = stand().await;
    if boto(&stand, &[]).await {
        let calls = stand.faults().calls();
        assert!(
            calls.keys().any(|(service, action)| service == "monitoring" && action == "GetMetricData"),
            "{calls:?}"
        );
    }
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_takes_faults_for_what_they_are() {
    let stand = stand().await;
    let aim = |service: &str, action: &str| Aim {
        service: Some(service.to_owned()),
        action: Some(action.to_owned()),
        ..Aim::default()
    };
    for (service, action, fault) in [
        ("rds", "DescribeEvents", Fault::Throttled),
        ("rds", "DescribeDBLogFiles", Fault::Denied),
        ("logs", "DescribeLogGroups", Fault::Expired),
        ("backup", "ListBackupVaults", Fault::Broken),
        ("monitoring", "ListMetrics", Fault::Throttled),
    ] {
        // The first call of the script, of a key that nobody knows, comes to no fault.
        stand.faults().inject(aim(service, action), fault);
    }
    boto(&stand, &["faults"]).await;
    stand.stop().await;
}
