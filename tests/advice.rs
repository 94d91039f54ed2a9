//! What findings tell people to paste, pasted on a real server: it hits what was seen and nothing that came after, it takes
//! from those that it names and from nobody else, and it happens in the database that it is about.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]

mod support;

use std::path::Path;
use std::time::Duration;

use support::server::Server;
use support::watcher::{HBA, SECRET, session, world};
use tierdeck::clients::Environment;
use tierdeck::clients::postgres::Target;
use tierdeck::config;
use tierdeck::domain::{Finding, Foreign, Signal, psql};
use tierdeck::poll::Poller;
use tierdeck::signals::Evaluator;
use tokio::time::Instant;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// Somebody watches as `tierdeck`.
fn watch(server: &Server, layout: &str) -> Poller {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), SECRET).unwrap();
    let text = format!(
        "environment = \"test\"
         [poll]
         catalog = \"1s\"
         [thresholds]
         query_seconds = {{ warning = \"1s\", critical = \"5m\" }}
         idle_in_transaction_seconds = {{ warning = \"1s\", critical = \"5m\" }}
         [[instance]]
         name = \"shared\"
         tier = \"shared\"
         layout = \"{layout}\"
         url = \"postgresql://tierdeck@127.0.0.1:{}/postgres?sslmode=disable\"
         password = {{ file = \"{}\" }}",
        server.port,
        secret.into_temp_path().keep().unwrap().display()
    );
    let config = config::parse(&text, Path::new("tierdeck.toml")).unwrap_or_else(|error| panic!("{error:?}"));
    let target = Target::parse(&config.instances[0].url, &Environment::of([])).unwrap();
    Poller::start(&config, vec![target], Evaluator::immediate())
}

/// The finding about a subject, once it is there and as it should be.
async fn finding(poller: &mut Poller, signal: Signal, about: &str, right: impl Fn(&Finding) -> bool) -> Finding {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let snapshot = poller.snapshots.borrow_and_update().clone();
        let found = snapshot.findings.iter().find(|it| it.signal == signal && it.subject.id == about && right(it));
        if let Some(found) = found {
            return found.clone();
        }
        let came = tokio::time::timeout_at(deadline, poller.snapshots.changed()).await;
        assert!(matches!(came, Ok(Ok(()))), "no {signal} about {about}: {:#?}", snapshot.findings);
    }
}

/// The rows that a statement gives, each its first column.
async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

/// Behind a pooler a server's connection is another tenant's a moment later: the next transaction is not the one that was
/// seen, nor is the next statement.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_hits_what_was_seen_and_nothing_that_came_after() {
    let server = Server::start("max_connections = 60", HBA, |_| {});
    world(server.port).await;
    let boss = session(server.port, "postgres", "postgres").await;
    let mut poller = watch(&server, "schema");

    let acme = session(server.port, "role_acme", "postgres").await;
    let open = "BEGIN; INSERT INTO tenant_acme.orders VALUES ((random() * 1e9)::int + 1000, 1)";
    acme.batch_execute(open).await.unwrap();
    let first = finding(&mut poller, Signal::IdleInTransaction, "acme", |it| it.statement.is_some()).await;
    let first = first.statement.unwrap();
    acme.batch_execute("COMMIT").await.unwrap();
    acme.batch_execute(open).await.unwrap();
    assert!(rows(&boss, &first).await.is_empty(), "the next transaction was hit by {first}");
    acme.batch_execute("SELECT 1").await.unwrap();
    let other = |it: &Finding| it.statement.as_ref().is_some_and(|statement| *statement != first);
    let second = finding(&mut poller, Signal::IdleInTransaction, "acme", other).await.statement.unwrap();
    assert_eq!(rows(&boss, &second).await, ["t"], "{second}");
    assert!(acme.batch_execute("SELECT 1").await.is_err(), "{second} ended nothing");

    let globex = std::sync::Arc::new(session(server.port, "role_globex", "postgres").await);
    let sleep = |client: &std::sync::Arc<Client>| {
        let client = client.clone();
        tokio::spawn(async move { client.batch_execute("SELECT pg_sleep(600)").await })
    };
    let sleeping = sleep(&globex);
    let first = finding(&mut poller, Signal::LongRunningQuery, "globex", |it| it.statement.is_some()).await;
    let first = first.statement.unwrap();
    globex.cancel_token().cancel_query(NoTls).await.unwrap();
    assert!(sleeping.await.unwrap().is_err());
    let sleeping = sleep(&globex);
    let other = |it: &Finding| it.statement.as_ref().is_some_and(|statement| *statement != first);
    let second = finding(&mut poller, Signal::LongRunningQuery, "globex", other).await.statement.unwrap();
    assert!(rows(&boss, &first).await.is_empty(), "the next statement was hit by {first}");
    assert!(!sleeping.is_finished());
    assert_eq!(rows(&boss, &second).await, ["t"], "{second}");
    assert!(sleeping.await.unwrap().is_err(), "{second} cancelled nothing");
}

/// Where tenants have databases everybody gets in by `PUBLIC`, the tenant itself and we too.
#[tokio::test(flavor = "multi_thread")]
async fn what_everybody_may_is_taken_from_others_and_not_from_the_tenant() {
    let server = Server::start("max_connections = 60\nshared_preload_libraries = 'pg_stat_statements'", HBA, |_| {});
    world(server.port).await;
    let boss = session(server.port, "postgres", "postgres").await;
    for tenant in ["acme", "globex"] {
        let login = format!("CREATE ROLE {tenant}_app LOGIN PASSWORD '{SECRET}'");
        boss.batch_execute(&login).await.unwrap();
        boss.batch_execute(&format!("CREATE DATABASE db_{tenant}")).await.unwrap();
    }
    for tenant in ["acme", "globex"] {
        let inside = session(server.port, "postgres", &format!("db_{tenant}")).await;
        let sql = "CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO PUBLIC;
             CREATE TABLE app.orders (id int, \"Total\" int); INSERT INTO app.orders VALUES (1, 2);
             GRANT SELECT (\"Total\"), UPDATE (\"Total\") ON app.orders TO PUBLIC;
             CREATE FUNCTION app.total(lowest integer, VARIADIC more text[]) RETURNS bigint LANGUAGE sql SECURITY DEFINER
             AS 'SELECT sum(\"Total\") FROM app.orders WHERE \"Total\" >= lowest';
             CREATE FUNCTION app.twice(it integer) RETURNS integer LANGUAGE sql AS 'SELECT 2 * it'";
        inside.batch_execute(sql).await.unwrap();
    }
    let mut poller = watch(&server, "database");
    let whole = |it: &Finding| it.evidence.first().is_some_and(|crossing| crossing.value >= 5.0);
    let found = finding(&mut poller, Signal::CrossTenantGrant, "acme", whole).await;
    let statement = found.statement.unwrap_or_else(|| panic!("{}", found.advice));
    assert!(statement.contains("app.total(lowest integer, VARIADIC more text[])"), "{statement}");
    assert!(!statement.contains("ALL "), "{statement}");
    // Pasted where somebody happens to be.
    let said = server.psql("db_globex", &statement);
    assert!(!said.contains("ERROR"), "{statement}\n{said}");

    let acme = session(server.port, "acme_app", "db_acme").await;
    let work =
        "SELECT \"Total\" FROM app.orders; UPDATE app.orders SET \"Total\" = 7; SELECT app.total(1, 'x'), app.twice(2);
                CREATE TEMP TABLE mine (id int)";
    acme.batch_execute(work).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    drop(session(server.port, "tierdeck", "db_acme").await);
    let mut stranger = Config::new();
    stranger.host("127.0.0.1").port(server.port).user("globex_app").password(SECRET).dbname("db_acme");
    let refused = stranger.connect(NoTls).await.err().unwrap();
    assert_eq!(refused.code().map(tokio_postgres::error::SqlState::code), Some("42501"), "{statement}");
    // The same names in the database where it was pasted are as they were.
    let globex = session(server.port, "globex_app", "db_globex").await;
    globex.batch_execute("SELECT \"Total\" FROM app.orders; SELECT app.total(1, 'x')").await.unwrap();
    drop(session(server.port, "acme_app", "db_globex").await);
}

/// psql reads a connection string wherever it can.
#[tokio::test(flavor = "multi_thread")]
async fn psql_goes_to_the_database_that_is_named() {
    let server = Server::start("", HBA, |_| {});
    let boss = session(server.port, "postgres", "postgres").await;
    for name in
        ["db_acme", "Acme-eu.1", "we  ird", "a\"b'c\\d", "host=evil", "-", "postgresql://x", "Größe", "`id`", ":x"]
    {
        let database = Foreign::from(name);
        boss.batch_execute(&format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""))).await.unwrap();
        let Some(line) = psql::connect(&database) else {
            assert_eq!(name, "we  ird", "cannot be printed as it is");
            continue;
        };
        let said = server.psql("postgres", &format!("{line}\nSELECT 'in ' || current_database();\n"));
        assert!(said.contains(&format!("in {name}\n")), "{line}: {said}");
    }
}
