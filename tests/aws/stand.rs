//! A server that answers as it is told, counts what it is asked, and an account that is there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tempfile::TempDir;
use tierdeck::clients::aws::{Account, Place};

/// What is answered to an action and the form that it came with: status and body; none: nothing, ever.
pub type Answers = dyn Fn(&str, &str) -> Option<(u16, String)> + Send + Sync;

pub struct Stand {
    pub url: String,
    inner: Arc<Inner>,
    pub home: TempDir,
}

struct Inner {
    answers: Mutex<Arc<Answers>>,
    asked: Mutex<BTreeMap<String, usize>>,
}

impl Stand {
    /// On a free loopback port; must be made inside of a runtime.
    pub async fn start(answers: impl Fn(&str) -> Option<(u16, String)> + Send + Sync + 'static) -> Self {
        Self::hearing(move |action, _| answers(action)).await
    }

    /// The same, which hears what is asked about.
    pub async fn hearing(answers: impl Fn(&str, &str) -> Option<(u16, String)> + Send + Sync + 'static) -> Self {
        let inner = Arc::new(Inner { answers: Mutex::new(Arc::new(answers)), asked: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("aws"), PROFILES).unwrap();
        Self { url, inner, home }
    }

    /// Answers otherwise from now on.
    pub fn answer(&self, answers: impl Fn(&str) -> Option<(u16, String)> + Send + Sync + 'static) {
        *self.inner.answers.lock().unwrap() = Arc::new(move |action: &str, _: &str| answers(action));
    }

    /// How often an action was asked.
    pub fn asked(&self, action: &str) -> usize {
        self.inner.asked.lock().unwrap().get(action).copied().unwrap_or_default()
    }

    pub fn account(&self) -> Account {
        Account::new(place(&self.url, self.home.path().join("aws"), "test"))
    }

    /// The account in a configuration.
    pub fn table(&self, name: &str) -> String {
        let file = self.home.path().join("aws");
        format!(
            "[aws.{name}]\nregion = \"eu-west-1\"\nprofile = \"test\"\nconfig_file = \"{}\"\nendpoint_url = \"{}\"\n",
            file.display(),
            self.url
        )
    }
}

/// Profiles that a person may have.
pub const PROFILES: &str = "[profile test]
aws_access_key_id = AKIATEST
aws_secret_access_key = a-secret-that-nobody-reads
region = eu-west-1

[profile tired]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = Watcher
region = eu-west-1

[profile process]
credential_process = /nowhere/a-secret-helper --with hunter2

[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://corp.awsapps.com/start
";

pub fn place(url: &str, config_file: PathBuf, profile: &str) -> Place {
    Place {
        name: "main".into(),
        region: "eu-west-1".into(),
        profile: Some(profile.to_owned()),
        config_file: Some(config_file),
        assume_role: None,
        endpoint_url: Some(url.to_owned()),
    }
}

/// The action by whichever of AWS's protocols it came: in the form, in the path, in a header.
fn action(uri: &Uri, headers: &HeaderMap, body: &[u8]) -> String {
    if let Some(target) = headers.get("x-amz-target").and_then(|target| target.to_str().ok()) {
        return target.rsplit('.').next().unwrap_or_default().to_owned();
    }
    if let Some((_, operation)) = uri.path().split_once("/operation/") {
        return operation.to_owned();
    }
    let form = String::from_utf8_lossy(body);
    match form.split('&').find_map(|pair| pair.strip_prefix("Action=")) {
        Some(action) => action.to_owned(),
        None => uri.path().to_owned(),
    }
}

async fn answer(State(inner): State<Arc<Inner>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let action = action(&uri, &headers, &body);
    *inner.asked.lock().unwrap().entry(action.clone()).or_default() += 1;
    let answers = Arc::clone(&inner.answers.lock().unwrap());
    let Some((status, body)) = answers(&action, &String::from_utf8_lossy(&body)) else {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        return StatusCode::GONE.into_response();
    };
    let kind = if body.starts_with('<') { "text/xml" } else { "application/json" };
    (StatusCode::from_u16(status).unwrap(), [("content-type", kind)], body).into_response()
}

/// An error as RDS words it.
pub fn refusal(status: u16, code: &str, message: &str) -> (u16, String) {
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
    let space = "xmlns=\"http://rds.amazonaws.com/doc/2014-10-31/\"";
    (status, format!("<ErrorResponse {space}>{error}<RequestId>r</RequestId></ErrorResponse>"))
}

/// An answer as RDS words it.
pub fn result(action: &str, inside: &str) -> (u16, String) {
    let space = "xmlns=\"http://rds.amazonaws.com/doc/2014-10-31/\"";
    (200, format!("<{action}Response {space}><{action}Result>{inside}</{action}Result></{action}Response>"))
}

/// An instance in `DescribeDBInstances`.
pub fn instance(identifier: &str, port: Option<u16>, tags: &[(&str, &str)]) -> String {
    let tag = |(key, value): &(&str, &str)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>");
    let tags: String = tags.iter().map(tag).collect();
    let at = port.map(|port| format!("<Endpoint><Address>localhost</Address><Port>{port}</Port></Endpoint>"));
    format!(
        "<DBInstance><DBInstanceIdentifier>{identifier}</DBInstanceIdentifier><Engine>postgres</Engine>\
         <DBInstanceStatus>available</DBInstanceStatus><DBInstanceClass>db.t4g.medium</DBInstanceClass>\
         <DBName>postgres</DBName><DBInstanceArn>arn:aws:rds:eu-west-1:1:db:{identifier}</DBInstanceArn>\
         {}<TagList>{tags}</TagList></DBInstance>",
        at.unwrap_or_default()
    )
}
