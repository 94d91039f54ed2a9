//! The tenants' secrets as a source: against a real OpenBao with no more rights than it asks for, against one that is sealed, gone
//! or forgetful, and against whatever might answer in its place.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::bao::{Bao, ROOT};
use support::fake_vault::{FakeVault, Says};
use support::skipped::skipped;
use support::watcher::{Watcher, shared};
use tierdeck::clients::Environment;
use tierdeck::clients::postgres::Target;
use tierdeck::config;
use tierdeck::domain::facts::Source;
use tierdeck::domain::{Snapshot, TenantId};
use tierdeck::metrics::{Chosen, Own, openmetrics};
use tierdeck::poll::Poller;
use tierdeck::signals::Evaluator;
use tierdeck::sources::vault::Policy;

const PATIENCE: Duration = Duration::from_secs(60);

/// OpenBao, or a word that it was not there.
fn bao(test: &str) -> Option<Bao> {
    let bao = Bao::start();
    if bao.is_none() {
        skipped(&format!("{test}: no bao on PATH (make install-test fetches one)"));
    }
    bao
}

/// Watches this server and this Vault, with this token.
fn watcher(port: u16, vault: &str, token: &str, every: &str) -> Watcher {
    let watcher = Watcher::of(&[("shared", port)]);
    let file = watcher.home().join("vault.token");
    fs::write(&file, token).unwrap();
    watcher.configure(&format!(
        "[vault]\naddress = \"{vault}\"\nauth = {{ token = {{ file = \"{}\" }} }}\n[poll]\nsecrets = \"{every}\"\n",
        file.display()
    ))
}

fn poller(watcher: &Watcher) -> Poller {
    let config = config::load(&watcher.path()).unwrap();
    let environment = Environment::of_process();
    let targets = config.instances.iter().map(|it| Target::parse(&it.url, &environment).unwrap()).collect();
    Poller::start(&config, targets, Evaluator::immediate())
}

/// Waits for a picture.
async fn until(poller: &mut Poller, what: &str, is: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let snapshot = poller.snapshots.borrow_and_update().clone();
        if is(&snapshot) {
            return snapshot;
        }
        assert!(Instant::now() < deadline, "{what}: {:#?}\n{:#?}", snapshot.estate, snapshot.unknown);
        let _ = tokio::time::timeout(Duration::from_secs(1), poller.snapshots.changed()).await;
    }
}

fn counts(snapshot: &Snapshot) -> (u32, u32) {
    let secrets = snapshot.estate.secrets.as_ref().and_then(|observed| observed.value.as_deref());
    secrets.map_or((0, 0), |secrets| (secrets.seen, secrets.of))
}

fn trouble(snapshot: &Snapshot) -> String {
    let state = snapshot.estate.sources.iter().find(|state| state.source == Source::Secrets).unwrap();
    let page = openmetrics(snapshot, &Chosen::new(0), Own::default()).unwrap();
    let up = format!("tierdeck_source_up{{source=\"secrets\"}} {}", u8::from(state.error.is_none()));
    assert!(state.at.is_none() && state.error.is_none() || page.contains(&up), "{up}\n{page}");
    state.error.as_ref().map(|trouble| trouble.message.clone()).unwrap_or_default()
}

fn status(watcher: &Watcher) -> Value {
    let said = watcher.run(&["status", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    serde_json::from_str(&said.out).unwrap()
}

fn secret_of<'a>(status: &'a Value, tenant: &str) -> &'a Value {
    let tenants = status["tenants"].as_array().unwrap();
    &tenants.iter().find(|it| it["id"] == tenant).unwrap()["secret"]
}

/// What is said of secrets: severity and subject.
fn found(status: &Value, signal: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = status["findings"].as_array().unwrap().iter().filter(|it| it["signal"] == signal);
    findings.map(|it| (text(&it["severity"]), text(&it["subject"]["id"]))).collect()
}

fn unknown(status: &Value) -> Vec<String> {
    let all = status["unknown"].as_array().unwrap().iter();
    let all = all.filter(|it| it["signal"] == "secret-mismatch");
    all.map(|it| it["reason"].as_str().unwrap().to_owned()).collect()
}

/// The doctor's check of secrets.
fn prescription(watcher: &Watcher) -> Value {
    let report: Value = serde_json::from_str(&watcher.run(&["doctor", "--json"]).out).unwrap();
    let components = report["components"].as_array().unwrap();
    let vault = components.iter().find(|it| it["kind"] == "vault").unwrap();
    let checks = vault["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == "secrets").unwrap_or_else(|| panic!("{vault:#}")).clone()
}

/// Writes a tenant's secret, for the server on this port.
fn put(bao: &Bao, tenant: &str, port: u16, more: &[&str]) {
    let usual = [
        "host=127.0.0.1".to_owned(),
        format!("port={port}"),
        "database=postgres".to_owned(),
        format!("schema=tenant_{tenant}"),
        format!("username=role_{tenant}"),
        "password=hunter2".to_owned(),
    ];
    let key = |pair: &str| pair.split('=').next().unwrap().to_owned();
    // Said twice, a key would get both values.
    let fields = usual.iter().map(String::as_str).filter(|pair| !more.iter().any(|it| key(it) == key(pair)));
    let fields: Vec<&str> = fields.chain(more.iter().copied()).collect();
    bao.does(&[&["kv", "put", "-mount=secret", &format!("tenants/{tenant}/db")], fields.as_slice()].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_rights_are_needed_than_are_asked_for_and_each_that_is_missing_is_named() {
    let Some(bao) = bao("least rights") else { return };
    let server = shared().await;
    for tenant in ["acme", "globex", "initech"] {
        put(&bao, tenant, server.port, &[]);
    }
    bao.does(&["kv", "metadata", "put", "-mount=secret", "-custom-metadata=owner=ann", "tenants/acme/db"]);
    let policy = Policy::of("secret", "tenants/{id}/db");
    let token = |name: &str, rules: &[&str]| {
        bao.policy(name, &rules.join("\n"));
        // One that may not look itself up is told the same of what it may not do as of its own end.
        let alone: &[&str] = if name == "closed" { &[] } else { &["-no-default-policy"] };
        bao.does(&[&["token", "create", &format!("-policy={name}"), "-field=token"], alone].concat())
    };
    let with = |token: &str| watcher(server.port, &bao.url(), token, "60s");

    let whole = with(&token("whole", &[&policy.list, &policy.metadata, &policy.data]));
    let seen = status(&whole);
    assert_eq!(seen["estate"]["sources"][0]["error"], Value::Null);
    assert_eq!((&seen["estate"]["secrets"]["listed"], &seen["estate"]["secrets"]["read"]), (&json!(3), &json!(3)));
    let acme = secret_of(&seen, "acme");
    assert_eq!((&acme["version"], &acme["custom_metadata"]["owner"]), (&json!(1), &json!("ann")));
    assert_eq!((&acme["points_to"]["instance"], &acme["points_to"]["has_password"]), (&json!("shared"), &json!(true)));
    assert!(acme["written_at"].as_str().is_some_and(|at| at.starts_with("20")), "{acme:#}");
    assert!(found(&seen, "secret-mismatch").is_empty() && unknown(&seen).is_empty(), "{:#}", seen["findings"]);
    let check = prescription(&whole);
    assert_eq!(check["verdict"], "fine", "{check:#}");

    // Each right that is missing greys its own part.
    let blind = with(&token("blind", &[&policy.list, &policy.metadata]));
    let seen = status(&blind);
    let acme = secret_of(&seen, "acme");
    assert_eq!((&acme["version"], &acme["points_to"], &acme["deleted"]), (&json!(1), &Value::Null, &Value::Null));
    assert!(acme["error"].as_str().unwrap().contains(&policy.data), "{acme:#}");
    assert!(unknown(&seen).iter().any(|why| why.contains(&policy.data)), "{:?}", unknown(&seen));
    let check = prescription(&blind);
    assert!(check["verdict"] == "warning" && check["detail"].as_str().unwrap().contains(&policy.data), "{check:#}");
    assert!(check["narrower"].as_str().unwrap().contains(&policy.metadata), "{check:#}");

    let undated = with(&token("undated", &[&policy.list, &policy.data]));
    let seen = status(&undated);
    let acme = secret_of(&seen, "acme");
    assert_eq!((&acme["version"], &acme["points_to"]["schema"]), (&json!(1), &json!("tenant_acme")));
    assert!(acme["error"].as_str().unwrap().contains(&policy.metadata), "{acme:#}");

    let closed = with(&token("closed", &[&policy.metadata, &policy.data]));
    let seen = status(&closed);
    let why = seen["estate"]["sources"][0]["error"].as_str().unwrap_or_default().to_owned();
    assert!(why.contains(&policy.list), "{why}");
    assert_eq!((secret_of(&seen, "acme"), &seen["estate"]["secrets"]), (&Value::Null, &Value::Null));
    assert!(unknown(&seen).iter().any(|why| why.contains(&policy.list)), "{:?}", unknown(&seen));
    // It is that source's trouble alone.
    assert!(seen["instances"][0]["sources"].as_array().unwrap().iter().all(|it| it["error"] == Value::Null));
    assert!(prescription(&closed)["detail"].as_str().unwrap().contains(&policy.list));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_opens_another_tenants_schema_is_found_and_gone_when_it_is_right() {
    let Some(bao) = bao("a mismatch") else { return };
    let server = shared().await;
    for tenant in ["acme", "initech"] {
        put(&bao, tenant, server.port, &[]);
    }
    let watcher = watcher(server.port, &bao.url(), ROOT, "1s");
    let seen = status(&watcher);
    // Globex has none where the others have one.
    assert_eq!(found(&seen, "secret-mismatch"), []);
    assert_eq!(found(&seen, "orphan"), [("warning".to_owned(), "globex".to_owned())]);
    put(&bao, "globex", server.port, &[]);
    put(&bao, "acme", server.port, &["schema=tenant_globex"]);
    let mut poller = poller(&watcher);
    let acme = TenantId::parse("acme").unwrap();
    let wrong = |snapshot: &Snapshot| {
        snapshot.findings.iter().any(|it| it.signal.name() == "secret-mismatch" && it.culprits.contains(&acme))
    };
    let seen = until(&mut poller, "no finding", wrong).await;
    let finding = seen.findings.iter().find(|it| it.signal.name() == "secret-mismatch").unwrap();
    assert_eq!(finding.severity.to_string(), "critical");
    assert_eq!(finding.victims.iter().map(TenantId::as_str).collect::<Vec<_>>(), ["globex"]);
    // As it advises.
    assert!(
        finding.advice.contains("vault kv rollback -version=1 -mount=secret tenants/acme/db"),
        "{}",
        finding.advice
    );
    bao.does(&["kv", "rollback", "-version=1", "-mount=secret", "tenants/acme/db"]);
    until(&mut poller, "it stays", |snapshot| !wrong(snapshot) && counts(snapshot) == (3, 3)).await;

    // One that will delete itself is there until then.
    bao.does(&["kv", "metadata", "put", "-mount=secret", "-delete-version-after=2h", "tenants/initech/db"]);
    put(&bao, "initech", server.port, &[]);
    let ending = |snapshot: &Snapshot| {
        snapshot.findings.iter().any(|it| it.summary.starts_with("initech on shared: its secret deletes itself at"))
    };
    until(&mut poller, "it is not said to end", ending).await;
    bao.does(&["kv", "delete", "-mount=secret", "tenants/initech/db"]);
    let deleted = |snapshot: &Snapshot| {
        snapshot.findings.iter().any(|it| it.summary.contains("version 2 of its secret is deleted"))
    };
    until(&mut poller, "it is not said to be deleted", deleted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_is_sealed_or_gone_or_knows_us_no_more_greys_what_it_told_and_nothing_else() {
    let Some(mut bao) = bao("a Vault in trouble") else { return };
    let server = shared().await;
    for tenant in ["acme", "globex", "initech"] {
        put(&bao, tenant, server.port, &[]);
    }
    bao.policy("all", "path \"*\" { capabilities = [\"read\", \"list\"] }");
    let token = bao.does(&["token", "create", "-policy=all", "-field=token"]);
    let watcher = watcher(server.port, &bao.url(), &token, "200ms");
    let mut poller = poller(&watcher);
    until(&mut poller, "nothing is told", |snapshot| counts(snapshot) == (3, 3)).await;
    bao.does(&["token", "revoke", &token]);
    let seen = until(&mut poller, "it still works", |snapshot| !trouble(snapshot).is_empty()).await;
    assert!(trouble(&seen).contains("does not take the token"), "{}", trouble(&seen));
    // What it told is kept, and what it greys is its own.
    assert_eq!(counts(&seen), (3, 3));
    assert!(seen.instances[0].sources.iter().all(|state| state.error.is_none()));

    // A new token in the file is enough.
    fs::write(watcher.home().join("vault.token"), ROOT).unwrap();
    until(&mut poller, "the new token is not read", |snapshot| trouble(snapshot).is_empty()).await;
    bao.does(&["operator", "seal"]);
    let sealed = |snapshot: &Snapshot| trouble(snapshot).contains("is sealed");
    until(&mut poller, "it is not said to be sealed", sealed).await;
    bao.kill();
    let gone = |snapshot: &Snapshot| trouble(snapshot).contains("is not reached");
    let seen = until(&mut poller, "it is not said to be gone", gone).await;
    assert!(seen.instances[0].sources.iter().all(|state| state.error.is_none()));
    assert_eq!(seen.tenants.len(), 3);
    let stale = |snapshot: &Snapshot| snapshot.unknown.iter().any(|it| it.signal.name() == "secret-mismatch");
    until(&mut poller, "it is still judged", stale).await;
}

/// An instance that nobody answers at: what is asked of Vault does not depend on it.
fn alone(vault: &FakeVault, every: &str) -> Watcher {
    watcher(1, &vault.url, "any", every)
}

fn fine(tenant: &str) -> (String, Says) {
    let data = json!({
        "host": "127.0.0.1", "port": 1, "database": "postgres", "schema": format!("tenant_{tenant}"),
        "username": "portarium_shared"
    });
    (tenant.to_owned(), Says::Secret(1, data))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_secrets_are_read_a_few_a_second_and_it_is_said_how_many() {
    let vault = FakeVault::start((0..1_000).map(|number| fine(&format!("tenant-{number}")))).await;
    let begun = Instant::now();
    let watcher = alone(&vault, "60s");
    let mut poller = poller(&watcher);
    let some = |snapshot: &Snapshot| matches!(counts(snapshot), (1.., 1_000));
    let seen = until(&mut poller, "nothing is told", some).await;
    let (read, of) = counts(&seen);
    assert!(read < of, "{read} of {of}");
    let said = format!("{read} of {of} secrets read so far");
    assert!(seen.unknown.iter().any(|it| it.reason == said && it.known_at.is_some()), "{:#?}", seen.unknown);
    until(&mut poller, "it goes on", |snapshot| counts(snapshot).0 > read).await;
    let (requests, seconds) = (vault.requests(), begun.elapsed().as_secs_f64());
    assert!(requests as f64 <= 101.0 + 10.0 * seconds, "{requests} requests in {seconds:.1} s");
    assert_eq!(vault.shared.lists.load(SeqCst), 1);
    assert!(vault.shared.most.load(SeqCst) <= 4, "{} at once", vault.shared.most.load(SeqCst));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_changed_is_read_again() {
    let names: Vec<String> = (0..10).map(|number| format!("tenant-{number}")).collect();
    let vault = FakeVault::start(names.iter().map(|name| fine(name))).await;
    let watcher = alone(&vault, "200ms");
    let mut poller = poller(&watcher);
    until(&mut poller, "not all are told", |snapshot| counts(snapshot) == (10, 10)).await;
    let deadline = Instant::now() + PATIENCE;
    while vault.shared.metadata.load(SeqCst) < 35 {
        assert!(Instant::now() < deadline, "nothing is looked at again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(vault.shared.data.load(SeqCst), 10);
    let Says::Secret(_, data) = fine("tenant-3").1 else { panic!() };
    vault.shared.secrets.lock().unwrap().insert("tenant-3".to_owned(), Says::Secret(2, data));
    let id = TenantId::parse("tenant-3").unwrap();
    let version = |snapshot: &Snapshot| {
        let secrets = snapshot.estate.secrets.as_ref()?.value.as_deref()?;
        Some(secrets.of(&id)?.version?.number)
    };
    until(&mut poller, "the new version is not told", |snapshot| version(snapshot) == Some(2)).await;
    assert_eq!(vault.shared.data.load(SeqCst), 11);
    vault.shared.secrets.lock().unwrap().remove("tenant-3");
    until(&mut poller, "it is still told", |snapshot| counts(snapshot) == (9, 9) && version(snapshot).is_none()).await;
}

/// Two numbers where a secret's fields should be.
const LIST: &str = r#"{"request_id": "", "lease_id": "", "renewable": false, "lease_duration": 0, "wrap_info": null, "warnings": null,
    "auth": null, "data": {"data": [1, 2], "metadata":
    {"created_time": "2026-11-20T08:00:00Z", "deletion_time": "", "destroyed": false, "version": 1, "custom_metadata": null}}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_stands_in_a_secret_is_a_finding_or_a_greyed_cell() {
    let server = shared().await;
    let huge = json!({
        "host": "127.0.0.1", "port": server.port.to_string(), "database": "postgres", "schema": "x".repeat(9 << 20),
        "username": ["role_globex"], "password": 7, "a": {"b": [1, null]}, "\u{1b}[2J": "\u{202e}"
    });
    let vault = FakeVault::start([
        ("acme".to_owned(), Says::Data(LIST)),
        ("globex".to_owned(), Says::Secret(1, huge)),
        ("initech".to_owned(), Says::Metadata("{\"data\":{\"current_version\":\"nine\"}}")),
        ("NOT A TENANT".to_owned(), Says::Data("[]")),
        ("hooli".to_owned(), Says::Data("no JSON at all")),
    ])
    .await;
    let watcher = watcher(server.port, &vault.url, "any", "60s");
    // On a busy machine a look is over before all were read, and says so.
    let deadline = Instant::now() + PATIENCE;
    let whole = move || loop {
        let seen = status(&watcher);
        let secrets = &seen["estate"]["secrets"];
        if secrets["read"] == secrets["listed"] {
            return seen;
        }
        assert!(Instant::now() < deadline, "{secrets:#}");
    };
    let seen = tokio::task::spawn_blocking(whole).await.unwrap();
    assert_eq!(seen["estate"]["sources"][0]["error"], Value::Null, "{seen:#}");
    assert_eq!((&seen["estate"]["secrets"]["listed"], &seen["estate"]["secrets"]["strangers"]), (&json!(4), &json!(1)));
    let acme = secret_of(&seen, "acme");
    assert!(acme["error"].as_str().unwrap().contains("no object"), "{acme:#}");
    let globex = secret_of(&seen, "globex");
    assert_eq!((&globex["points_to"]["schema"], &globex["points_to"]["has_password"]), (&Value::Null, &json!(true)));
    assert!(globex.to_string().len() < 2_000);
    assert!(secret_of(&seen, "initech")["error"].is_string());
    assert_eq!(found(&seen, "secret-mismatch"), [("warning".to_owned(), "globex".to_owned())]);
    let unknown = unknown(&seen);
    assert!(unknown.iter().any(|why| why.contains("secret/tenants/acme/db could not be read")), "{unknown:#?}");
}
