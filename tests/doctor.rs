//! What the doctor says of `pg_stat_statements`, on a real server: each prescription is carried out, and helps.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use secrecy::SecretString;
use serde_json::Value;
use support::server::Server;
use support::watcher::{HBA, SECRET, Watcher, session, world};
use tierdeck::clients::Environment;
use tierdeck::clients::postgres::{Target, Timeouts, connect};
use tierdeck::sources::postgres::Desk;
use tierdeck::sources::postgres::statements::Book;

/// One check of the instance's.
fn check(watcher: &Watcher, name: &str) -> Value {
    let said = watcher.run(&["doctor", "--json"]);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let checks = report["components"][0]["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).cloned().unwrap_or_default()
}

/// What is wrong, and the statement for it.
fn prescription(watcher: &Watcher, name: &str, says: &str) -> String {
    let check = check(watcher, name);
    let detail = check["detail"].as_str().unwrap_or_default();
    assert!(check["verdict"] == "warning" && detail.contains(says), "{check:#}");
    check["fix"].as_str().unwrap().to_owned()
}

/// `ALTER SYSTEM` stands alone.
async fn take(boss: &tokio_postgres::Client, prescription: &str) {
    for statement in prescription.split("; ").filter(|statement| !statement.starts_with("--")) {
        boss.batch_execute(statement).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_for_statements_is_prescribed_and_helps() {
    let mut server = Server::start("", HBA, |_| {});
    world(server.port).await;
    let watcher = Watcher::of(&[("shared", server.port)]);
    let mut boss = session(server.port, "postgres", "postgres").await;
    boss.batch_execute("DROP EXTENSION pg_stat_statements").await.unwrap();
    let fix = prescription(&watcher, "statements", "not in shared_preload_libraries");
    let (load, create) = fix.split_once(" -- then restart. ").unwrap();
    boss.batch_execute("ALTER SYSTEM SET compute_query_id = off").await.unwrap();
    boss.batch_execute("ALTER SYSTEM SET pg_stat_statements.max = 100").await.unwrap_err();
    take(&boss, load).await;
    drop(boss);
    server.crash();
    server.start_again();

    boss = session(server.port, "postgres", "postgres").await;
    assert_eq!(prescription(&watcher, "statements", "was not created in database postgres"), create);
    take(&boss, create).await;
    assert_eq!(check(&watcher, "statements")["verdict"], "fine");

    let fix = prescription(&watcher, "query ids", "compute_query_id is off");
    assert_eq!(
        silence(server.port).await.unwrap(),
        "compute_query_id is off: pg_stat_statements counts nothing; set it to auto"
    );
    take(&boss, &fix).await;
    let auto = || async { boss.query_one("SHOW compute_query_id", &[]).await.unwrap().get::<_, String>(0) };
    while auto().await != "auto" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(check(&watcher, "query ids")["verdict"], "fine");
    assert_eq!(silence(server.port).await, None);
    assert_eq!(check(&watcher, "room")["verdict"], "fine");
}

/// What the source says where two looks find nothing; somebody works in between.
async fn silence(port: u16) -> Option<String> {
    let url = format!("postgresql://tierdeck@127.0.0.1:{port}/postgres?sslmode=disable");
    let target = Target::parse(&url, &Environment::of([])).unwrap();
    let desk = Desk::new(connect(&target, Some(SecretString::from(SECRET)), &Timeouts::default()).await.unwrap());
    let tenant = session(port, "role_acme", "postgres").await;
    let mut book = Book::default();
    book.ask(&desk).await.unwrap();
    for number in 1..=3 {
        tenant.batch_execute(&format!("SELECT {number} FROM tenant_acme.orders")).await.unwrap();
    }
    book.ask(&desk).await.err().map(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_are_thrown_out_are_told() {
    let settings = "shared_preload_libraries = 'pg_stat_statements'\npg_stat_statements.max = 100";
    let server = Server::start(settings, HBA, |_| {});
    world(server.port).await;
    let watcher = Watcher::of(&[("shared", server.port)]);
    let tenant = session(server.port, "role_acme", "postgres").await;
    for columns in 1..=400 {
        let list = vec!["id"; columns].join(", ");
        tenant.batch_execute(&format!("SELECT {list} FROM tenant_acme.orders LIMIT 1")).await.unwrap();
    }
    let fix = prescription(&watcher, "room", "threw entries out");
    assert_eq!(fix, "ALTER SYSTEM SET pg_stat_statements.max = 20000; -- then restart");
    let words = watcher.run(&["doctor"]).out;
    assert!(words.contains("room") && words.contains("dealloc"), "{words}");
}
