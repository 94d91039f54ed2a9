//! A recording that is to leave out what is nobody's business: of AWS no account, no ARN, no snapshot's name and nobody's tags.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use tierdeck::domain::facts::Source;
use tierdeck::recording::{Ended, Options, Recorder};

use super::discovery::QUICK;
use super::stand::{Stand, instance, result};
use super::support::observer::Observer;
use super::support::watcher::{Watcher, shared};

/// What is somebody's own; each is in an answer below.
const CANARIES: [&str; 12] = [
    "123456789012",
    "210987654321",
    "canary-key",
    "canary-host",
    "canary-master",
    "canary-owner",
    "canary-tier",
    "canary-snapshot",
    "canary-stray",
    "canary-point",
    "canary-job",
    "canary-role",
];

fn answer(action: &str) -> (u16, String) {
    let arn = "arn:aws:rds:eu-west-1:123456789012:db:acme-db";
    match action {
        "DescribeDBInstances" => {
            let tags = [("StorageTier", "dedicated"), ("TenantId", "acme"), ("owner", "canary-owner")];
            let more = "<KmsKeyId>arn:aws:kms:eu-west-1:123456789012:key/canary-key</KmsKeyId>\
                        <MasterUsername>canary-master</MasterUsername>\
                        <Endpoint><Address>canary-host.abc.eu-west-1.rds.amazonaws.com</Address><Port>5432</Port></Endpoint>\
                        </DBInstance>";
            let acme = instance("acme-db", None, &tags).replace("arn:aws:rds:eu-west-1:1:db:acme-db", arn);
            let odd = instance("odd-db", None, &[("StorageTier", "canary-tier")]);
            result(action, &format!("<DBInstances>{}{odd}</DBInstances>", acme.replace("</DBInstance>", more)))
        }
        "DescribeDBSnapshots" => {
            let snapshot = |identifier: &str, of: &str| {
                format!(
                    "<DBSnapshot><DBSnapshotIdentifier>{identifier}</DBSnapshotIdentifier><DBInstanceIdentifier>{of}\
                     </DBInstanceIdentifier><Engine>postgres</Engine><SnapshotType>manual</SnapshotType></DBSnapshot>"
                )
            };
            let all = snapshot("canary-snapshot", "acme-db") + &snapshot("canary-stray", "gone-db");
            result(action, &format!("<DBSnapshots>{all}</DBSnapshots>"))
        }
        "DescribeDBSnapshotAttributes" => {
            let inside = "<DBSnapshotAttributes><DBSnapshotAttribute><AttributeName>restore</AttributeName><AttributeValues>\
                          <AttributeValue>210987654321</AttributeValue></AttributeValues></DBSnapshotAttribute>\
                          </DBSnapshotAttributes>";
            result(action, &format!("<DBSnapshotAttributesResult>{inside}</DBSnapshotAttributesResult>"))
        }
        "DescribeEvents" => {
            let event = "<Event><SourceIdentifier>acme-db</SourceIdentifier><Date>2026-11-23T00:00:00Z</Date>\
                         <Message>Restored from snapshot canary-snapshot</Message></Event>";
            result(action, &format!("<Events>{event}</Events>"))
        }
        action if action.starts_with("Describe") => result(action, ""),
        "/backup-vaults/" | "/backup-vaults" => {
            (200, r#"{"BackupVaultList":[{"BackupVaultName":"daily"}]}"#.to_owned())
        }
        action if action.contains("/recovery-points") => {
            let point = "arn:aws:rds:eu-west-1:123456789012:snapshot:awsbackup:canary-point";
            let all = format!(
                r#"{{"RecoveryPoints":[{{"RecoveryPointArn":"{point}","ResourceArn":"{arn}","Status":"COMPLETED",
                "CreationDate":1795000000,"IsEncrypted":true}}]}}"#
            );
            (200, all)
        }
        action if action.starts_with("/backup-jobs") => {
            let why = "arn:aws:iam::123456789012:role/canary-role may not read awsbackup:canary-job";
            let all = format!(
                r#"{{"BackupJobs":[{{"ResourceArn":"{arn}","State":"FAILED","CreationDate":1795000000,"StatusMessage":"{why}"}}]}}"#
            );
            (200, all)
        }
        action if action.starts_with('/') => (200, "{}".to_owned()),
        _ => (400, "{\"__type\":\"ThrottlingException\"}".to_owned()),
    }
}

async fn recorded(observer: &mut Observer, path: &Path, redact: bool) -> String {
    let options = Options { path: path.to_owned(), most: 64 << 20, redact };
    let recorder = Recorder::start(&options, &observer.config, &observer.poller, |_| {}).unwrap();
    observer.rounds(&[Source::Activity], 3).await;
    let ended = tokio::task::spawn_blocking(move || recorder.stop()).await.unwrap();
    assert_eq!(ended, Ended::Asked);
    let mut text = String::new();
    MultiGzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_leaves_things_out_leaves_out_whose_they_are() {
    let server = shared().await;
    let stand = Stand::start(|action| Some(answer(action))).await;
    let watcher = Watcher::of(&[("shared", server.port)]).configure(&format!("{}{QUICK}", stand.table("main")));
    let mut observer = Observer::of(&watcher);
    observer
        .until("all told", |it| {
            let cloud = it.instances.iter().find(|it| it.name.as_str() == "acme-db").and_then(|it| it.cloud.as_ref());
            cloud.is_some_and(|it| {
                let points = it.backups.value.as_ref().is_some_and(|it| !it.points.is_empty() && !it.jobs.is_empty());
                points && it.rds.value.is_some() && it.snapshots.value.is_some() && it.events.value.is_some()
            }) && it.accounts.first().is_some_and(|it| it.strays.is_some())
        })
        .await;
    let whole = recorded(&mut observer, &watcher.home().join("whole"), false).await;
    let hidden = recorded(&mut observer, &watcher.home().join("hidden"), true).await;
    for canary in CANARIES {
        assert!(whole.contains(canary), "{canary} is nowhere: the test proves nothing of it");
        let at = hidden.find(canary);
        assert!(at.is_none(), "{canary} is told: …{}", &hidden[at.unwrap().saturating_sub(300)..at.unwrap() + 40]);
    }
    // Whose it is, and that it is there, stays readable.
    for kept in ["acme-db", "Restored from snapshot app-", "\"acme\"", "dedicated", "COMPLETED"] {
        assert!(hidden.contains(kept), "{kept} is gone");
    }
}
