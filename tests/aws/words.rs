//! What goes wrong, as an operator reads it, by the SDK's own errors.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use secrecy::ExposeSecret as _;
use tierdeck::clients::aws::{Account, AwsError};
use tierdeck::domain::facts::cloud::LogEntry;
use tierdeck::sources::aws::logs::Follower;
use tierdeck::sources::aws::{backup, cloudwatch, events};

use super::stand::{Stand, place, refusal, result};

/// What an operator reads when AWS answers events with this.
async fn said(status: u16, code: &'static str, message: &'static str) -> AwsError {
    let stand = Stand::start(move |_| Some(refusal(status, code, message))).await;
    events::ask(&stand.account()).await.unwrap_err()
}

fn has(error: &AwsError, parts: &[&str]) {
    let words = error.to_string();
    for part in parts {
        assert!(words.contains(part), "{part:?} is not in {words:?} ({error:?})");
    }
    assert!(!words.contains("a-secret") && !words.contains("hunter2"), "{words}");
}

#[tokio::test]
async fn what_aws_refuses_is_said_with_what_to_do() {
    let denied = "User: arn:aws:iam::1:user/x is not authorized to perform: rds:DescribeEvents on resource: arn:x";
    has(&said(403, "AccessDenied", denied).await, &["rds:DescribeEvents", "assets/iam/watch.json"]);
    has(&said(403, "AccessDeniedException", "no").await, &["rds:DescribeEvents"]);
    has(&said(403, "ExpiredToken", "The security token is expired").await, &["aws sso login --profile test"]);
    has(&said(403, "InvalidClientTokenId", "invalid").await, &["does not know our access key"]);
    has(&said(403, "SignatureDoesNotMatch", "a-secret-string").await, &["secret access key does not belong"]);
    // As RDS says it, as the others do, and in words that only few use.
    let late = "Signature expired: 20261122T100000Z is now earlier than 20261122T101500Z (20261122T102000Z - 5 min.)";
    let early = "Signature not yet current: 20261122T110000Z is still later than 20261122T101500Z";
    for (code, words) in [
        ("SignatureDoesNotMatch", late),
        ("SignatureDoesNotMatch", early),
        ("InvalidSignatureException", late),
        ("RequestExpired", "Request must not be more than 15 minutes after the date stamp"),
        ("RequestTimeTooSkewed", "skewed"),
    ] {
        has(&said(403, code, words).await, &["our clock", "NTP"]);
    }
    has(&said(400, "Whatever", "say\u{9b}what").await, &["Whatever", "say", "rds:DescribeEvents"]);
}

#[tokio::test]
async fn throttling_and_faults_are_tried_again_before_they_are_told() {
    let stand = Stand::start(|_| Some(refusal(400, "Throttling", "Rate exceeded"))).await;
    let error = events::ask(&stand.account()).await.unwrap_err();
    has(&error, &["RDS (main) throttles rds:DescribeEvents"]);
    assert!(error.is_throttled() && stand.asked("DescribeEvents") == 3, "{}", stand.asked("DescribeEvents"));

    stand.answer(|_| Some((503, "<html>no</html>".to_owned())));
    let error = events::ask(&stand.account()).await.unwrap_err();
    has(&error, &["a fault of its own (HTTP 503)"]);
    assert_eq!(stand.asked("DescribeEvents"), 6);

    // What speaks no AWS at all is no fault of AWS's.
    stand.answer(|_| Some((200, "hello".to_owned())));
    has(&events::ask(&stand.account()).await.unwrap_err(), &["does not speak its language", "endpoint_url"]);
    stand.answer(|action| Some(result(action, "<Events></Events>")));
    assert!(events::ask(&stand.account()).await.unwrap().is_empty());
}

#[tokio::test]
async fn nobody_there_and_nobody_to_ask_as() {
    let stand = Stand::start(|action| Some(result(action, ""))).await;
    let file = stand.home.path().join("aws");
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = Account::new(place(&format!("http://me:hunter2@{closed}"), file.clone(), "test"));
    has(&events::ask(&nobody).await.unwrap_err(), &["is not reached", &closed.to_string(), "endpoint_url"]);

    let tired = Account::new(place(&stand.url, file.clone(), "tired"));
    let error = events::ask(&tired).await.unwrap_err();
    has(&error, &["aws sso login --profile tired"]);
    assert!(error.is_about_credentials());
    let absent = Account::new(place(&stand.url, file.clone(), "absent"));
    let error = events::ask(&absent).await.unwrap_err();
    has(&error, &["credentials (main)", "absent"]);
    assert!(error.is_about_credentials());
    has(
        &events::ask(&Account::new(place(&stand.url, file, "process"))).await.unwrap_err(),
        &["credential_process failed"],
    );
    assert_eq!(stand.asked("DescribeEvents"), 0, "nothing was asked as nobody");
}

/// Who logs in meanwhile is let in without a restart.
#[tokio::test]
async fn credentials_are_read_again_after_they_failed() {
    let stand = Stand::start(|action| Some(result(action, ""))).await;
    let file = stand.home.path().join("other");
    std::fs::write(&file, "[profile else]\nregion = x\n").unwrap();
    let account = Account::new(place(&stand.url, file.clone(), "test"));
    assert!(events::ask(&account).await.unwrap_err().is_about_credentials());
    std::fs::write(&file, super::stand::PROFILES).unwrap();
    assert!(events::ask(&account).await.is_ok());
}

#[tokio::test]
async fn figures_that_are_refused_name_their_action() {
    let stand =
        Stand::start(|_| Some((403, "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}".to_owned()))).await;
    let now = jiff::Timestamp::now();
    let wanted = [("x".into(), tierdeck::domain::facts::cloud::Metric::CpuUtilization)];
    let error = cloudwatch::ask(&stand.account(), &wanted, now, now).await.unwrap_err();
    has(&error, &["cloudwatch:GetMetricData"]);
}

#[tokio::test]
async fn a_token_is_made_here_for_one_login_at_one_address() {
    let stand = Stand::start(|_| None).await;
    let token = stand.account().token("db.example", 5432, "tierdeck").await.unwrap();
    let token = token.expose_secret();
    assert!(token.starts_with("db.example:5432/?Action=connect&DBUser=tierdeck&"), "{token}");
    assert!(token.contains("X-Amz-Expires=900") && token.contains("X-Amz-Signature="), "{token}");
    assert!(!token.contains("a-secret"), "{token}");
}

/// A role's credentials, for an hour.
fn role() -> (u16, String) {
    let ends = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let inside = format!(
        "<Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>a-secret</SecretAccessKey><SessionToken>t\
         </SessionToken><Expiration>{ends:.0}</Expiration></Credentials>"
    );
    let (status, body) = result("AssumeRole", &inside);
    (status, body.replace("http://rds.amazonaws.com/doc/2014-10-31/", "https://sts.amazonaws.com/doc/2011-06-15/"))
}

fn by_role(stand: &Stand) -> Account {
    let mut place = place(&stand.url, stand.home.path().join("aws"), "test");
    place.assume_role = Some("arn:aws:iam::1:role/tierdeck".to_owned());
    Account::new(place)
}

async fn fifty_logins(account: &Account) -> Vec<Result<(), AwsError>> {
    let tokens = (0..50).map(|number| {
        let (account, host) = (account.clone(), format!("db{number}.example"));
        async move { account.token(&host, 5432, "tierdeck").await.map(drop) }
    });
    futures::future::join_all(tokens).await
}

/// Everybody in the account shares STS: who logs in to many asks it once.
#[tokio::test(flavor = "multi_thread")]
async fn many_logins_fetch_credentials_once_and_a_throttled_one_throws_nothing_away() {
    let stand = Stand::start(|action| (action == "AssumeRole").then(role)).await;
    let account = by_role(&stand);
    let made = fifty_logins(&account).await;
    assert!(made.iter().all(Result::is_ok), "{:?}", made[0]);
    assert_eq!(stand.asked("AssumeRole"), 1);

    let stand = Stand::start(|action| Some(refusal(400, "Throttling", &format!("Rate exceeded: {action}")))).await;
    let account = by_role(&stand);
    let clients = account.clients().await;
    let made = fifty_logins(&account).await;
    let error = made.into_iter().next().unwrap().unwrap_err();
    assert!(error.is_throttled() && !error.is_about_credentials(), "{error:?}");
    assert!(stand.asked("AssumeRole") <= 3, "{} times: the attempts of one", stand.asked("AssumeRole"));
    assert!(Arc::ptr_eq(&clients, &account.clients().await), "the others keep their sockets");
}

/// One vault that refuses hides no other.
#[tokio::test]
async fn recovery_points_are_told_of_each_vault_that_lets_us() {
    let stand = Stand::start(|action| {
        Some(match action.trim_end_matches('/') {
            "/backup-vaults" => {
                (200, r#"{"BackupVaultList":[{"BackupVaultName":"shut"},{"BackupVaultName":"open"}]}"#.to_owned())
            }
            "/backup-vaults/open/recovery-points" => {
                let point = r#"{"RecoveryPointArn":"arn:p","ResourceArn":"arn:acme","Status":"COMPLETED","CreationDate":1.7e9}"#;
                (200, format!("{{\"RecoveryPoints\":[{point}]}}"))
            }
            "/backup-vaults/shut/recovery-points" => {
                (403, r#"{"code":"AccessDeniedException","message":"Insufficient privileges"}"#.to_owned())
            }
            _ => (200, "{}".to_owned()),
        })
    })
    .await;
    let mut book = backup::Book::default();
    for round in 1..=2 {
        let answer = book.ask(&stand.account(), jiff::Timestamp::now()).await.unwrap();
        let told = answer.of("arn:acme", &BTreeMap::new());
        assert_eq!(told.points.len(), 1, "round {round}: {told:?}");
        assert!(told.refused.iter().any(|(part, _)| part.to_string().contains("shut")), "{:?}", told.refused);
    }
}

/// What was read is not read again; what comes next is, over a new file and after an error.
#[tokio::test]
async fn a_log_is_followed_by_its_files() {
    let files = Arc::new(Mutex::new(BTreeMap::from([("error/postgresql.log.a".to_owned(), "one\ntwo\n".to_owned())])));
    let (written, fails) = (Arc::clone(&files), Arc::new(AtomicBool::new(false)));
    let failing = Arc::clone(&fails);
    let stand = Stand::hearing(move |action, form| {
        let files = files.lock().unwrap();
        let field = |name: &str| {
            let found = form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            found.map(|text| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned())
        };
        Some(match action {
            "DescribeDBLogFiles" => {
                let told = files.keys().zip(1..).map(|(name, at)| {
                    let own = format!("<LogFileName>{name}</LogFileName><LastWritten>{at}</LastWritten><Size>9</Size>");
                    format!("<DescribeDBLogFilesDetails>{own}</DescribeDBLogFilesDetails>")
                });
                // The same once more, for machines.
                let csv = "<DescribeDBLogFilesDetails><LogFileName>error/postgresql.log.z.csv</LogFileName>\
                           <LastWritten>99</LastWritten></DescribeDBLogFilesDetails>";
                let told = told.collect::<String>() + csv;
                result(action, &format!("<DescribeDBLogFiles>{told}</DescribeDBLogFiles>"))
            }
            "DownloadDBLogFilePortion" if failing.swap(false, Ordering::SeqCst) => refusal(400, "AccessDenied", "no"),
            "DownloadDBLogFilePortion" => {
                let text = &files[&field("LogFileName").unwrap()];
                let from = field("Marker").and_then(|marker| marker.parse().ok()).unwrap_or(0);
                // A line at a time.
                let line = text[from..].split_inclusive('\n').next().unwrap_or_default();
                let (end, more) = (from + line.len(), from + line.len() < text.len());
                let data = format!("<LogFileData>{line}</LogFileData><Marker>{end}</Marker>");
                result(action, &format!("{data}<AdditionalDataPending>{more}</AdditionalDataPending>"))
            }
            action => result(action, ""),
        })
    })
    .await;
    let account = stand.account();
    let mut follower = Follower::new("acme-db".into(), false, jiff::Timestamp::UNIX_EPOCH);
    let told =
        |entries: Vec<LogEntry>| -> Vec<String> { entries.iter().map(|it| it.message.raw().to_owned()).collect() };
    assert_eq!(told(follower.next(&account).await.unwrap()), ["one", "two"]);
    assert_eq!(told(follower.next(&account).await.unwrap()), [""; 0], "nothing was written");
    written.lock().unwrap().get_mut("error/postgresql.log.a").unwrap().push_str("three\n");
    // What comes next is in a new file.
    written.lock().unwrap().insert("error/postgresql.log.b".to_owned(), "four\n".to_owned());
    fails.store(true, Ordering::SeqCst);
    assert!(follower.next(&account).await.is_err());
    assert_eq!(told(follower.next(&account).await.unwrap()), ["three", "four"]);
    assert_eq!(told(follower.next(&account).await.unwrap()), [""; 0]);
    written.lock().unwrap().get_mut("error/postgresql.log.b").unwrap().push_str("five\n");
    assert_eq!(told(follower.next(&account).await.unwrap()), ["five"]);
}
