//! What goes wrong, as an operator reads it, by the SDK's own errors.

use secrecy::ExposeSecret as _;
use tierdeck::clients::aws::{Account, AwsError};
use tierdeck::sources::aws::{cloudwatch, events};

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
    has(&said(400, "RequestTimeTooSkewed", "skewed").await, &["our clock", "NTP"]);
    // As most services tell it: under the code of a wrong signature.
    let late = "Signature expired: 20261122T080000Z is now earlier than 20261122T081000Z (20261122T081500Z - 5 min.)";
    has(&said(403, "SignatureDoesNotMatch", late).await, &["our clock", "NTP"]);
    let early = "Signature not yet current: 20261122T083000Z is still later than 20261122T082000Z";
    has(&said(403, "InvalidSignatureException", early).await, &["our clock", "NTP"]);
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
