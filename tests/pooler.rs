//! PgBouncer before a real server: its pools reach document and screen, its troubles stay its own, and what is said of
//! settings that leak from client to client is what happens.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde_json::Value;
use support::console::PATIENCE;
use support::pooler::{PASSWORD, Pooler, program};
use support::proxy::{Proxy, Way};
use support::server::Server;
use support::watcher::{HBA, Watcher, world};
use tierdeck::clients::Environment;
use tierdeck::clients::pgbouncer::Console;
use tierdeck::clients::postgres::{Target, Timeouts};
use tierdeck::domain::facts::{Pooler as Facts, Source};
use tierdeck::sources::pgbouncer::ask;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// A server with tenants and the login that comes through the pooler.
async fn server() -> Server {
    let server = Server::start("max_connections = 60\nshared_preload_libraries = 'pg_stat_statements'", HBA, |_| {});
    world(server.port).await;
    let boss = support::watcher::session(server.port, "postgres", "postgres").await;
    let login = format!("CREATE ROLE portarium_shared LOGIN PASSWORD '{PASSWORD}'");
    boss.batch_execute(&login).await.unwrap();
    server
}

fn databases(server: &Server) -> String {
    let place = format!("host=127.0.0.1 port={} dbname=postgres", server.port);
    format!("portarium = {place}\nsessions = {place} pool_mode=session")
}

/// A client of the pooler.
async fn client(pooler: &Pooler, database: &str) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(pooler.port).user("portarium_shared").password(PASSWORD).dbname(database);
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn facts(pooler: &Pooler, parameters: &str) -> Result<Facts, String> {
    let url = format!("postgresql://stats@127.0.0.1:{}/pgbouncer?{parameters}", pooler.port);
    let target = Target::parse(&url, &Environment::of([])).unwrap();
    let password = Some(SecretString::from(PASSWORD));
    let console = Console::open(&target, password, &Timeouts::default()).await.map_err(|error| error.to_string())?;
    ask(&console).await.map_err(|error| error.to_string())
}

async fn said(client: &Client, sql: &str) -> String {
    let answer = client.simple_query(sql).await.unwrap();
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    row.unwrap()
}

/// What one client of a pool of one connection finds set after another has SET it and gone idle (or left).
async fn left_over(pooler: &Pooler, database: &str) -> String {
    let first = client(pooler, database).await;
    first.simple_query("SET search_path = tenant_acme").await.unwrap();
    if database == "sessions" {
        drop(first);
        return said(&client(pooler, database).await, "SHOW search_path").await;
    }
    said(&client(pooler, database).await, "SHOW search_path").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_leaking_settings_is_what_happens() {
    assert!(program().is_some(), "PgBouncer is not installed: .ci/install test");
    let server = server().await;
    for (settings, transaction_leaks, session_leaks) in [
        ("server_reset_query = DISCARD ALL", true, false),
        ("server_reset_query = DISCARD ALL\nserver_reset_query_always = 1", false, false),
        ("server_reset_query =", true, true),
        ("server_reset_query = DEALLOCATE ALL\nserver_reset_query_always = 1", true, true),
    ] {
        let common = "pool_mode = transaction\ndefault_pool_size = 1";
        let pooler = Pooler::start(&databases(&server), &format!("{common}\n{settings}"));
        let transaction = left_over(&pooler, "portarium").await;
        let session = left_over(&pooler, "sessions").await;
        let facts = facts(&pooler, "sslmode=disable").await.unwrap();
        let pool = |name: &str| facts.pools.iter().find(|pool| pool.database.raw() == name).unwrap();
        println!("{settings:?}: transaction pooling leaves {transaction}, session pooling {session}");
        for (name, found, leaks) in
            [("portarium", &transaction, transaction_leaks), ("sessions", &session, session_leaks)]
        {
            assert_eq!(found == "tenant_acme", leaks, "{settings:?}, {name}: {found}");
            assert_eq!(facts.leaks_settings(pool(name)), Some(leaks), "{settings:?}, {name}");
        }
        assert_eq!((&*pool("portarium").mode, &*pool("sessions").mode), ("transaction", "session"));
        assert_eq!((pool("portarium").size, facts.pool_size), (Some(1), Some(1)));
    }
}

/// Adds the pooler to the watcher's only instance.
fn watch(watcher: &Watcher, port: u16, password: &str) {
    let secret = watcher.home().join("pooler.password");
    fs::write(&secret, password).unwrap();
    let path = watcher.home().join("tierdeck.toml");
    let mut text = fs::read_to_string(&path).unwrap();
    let url = format!("postgresql://stats@127.0.0.1:{port}/pgbouncer?sslmode=disable");
    let secret = secret.display();
    writeln!(text, "pgbouncer = \"{url}\"\npgbouncer_password = {{ file = \"{secret}\" }}\n[poll]\npgbouncer = \"1s\"")
        .unwrap();
    fs::write(&path, text).unwrap();
}

fn status(watcher: &Watcher) -> Value {
    let said = watcher.run(&["status", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let document: Value = serde_json::from_str(&said.out).unwrap();
    assert!(!said.out.contains(PASSWORD) && !said.err.contains(PASSWORD));
    document["instances"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_clients_are_seen_and_a_pooler_that_is_down_greys_itself_alone() {
    assert!(program().is_some(), "PgBouncer is not installed: .ci/install test");
    let server = server().await;
    let mut pooler = Pooler::start(&databases(&server), "pool_mode = transaction\ndefault_pool_size = 1");
    let watcher = Watcher::of(&[("shared", server.port)]);
    assert_eq!(status(&watcher)["pooler"], Value::Null, "none is configured");
    let way = Proxy::to(pooler.port);
    watch(&watcher, way.port, PASSWORD);

    let holder = client(&pooler, "portarium").await;
    holder.batch_execute("BEGIN").await.unwrap();
    let mut waiters = Vec::new();
    for _ in 0..2 {
        let waiter = client(&pooler, "portarium").await;
        waiters.push(tokio::spawn(async move { waiter.simple_query("SELECT 1").await.map(drop) }));
    }
    let mut console = watcher.console().size(160, 40).open();
    console.shows("pool wait 2 (");
    let instance = status(&watcher);
    let seen = &instance["pooler"];
    assert_eq!(
        (&seen["reachable"], &seen["error"], &seen["pool_mode"]),
        (&true.into(), &Value::Null, &"transaction".into())
    );
    assert_eq!(seen["clients_waiting"], 2);
    assert!(seen["longest_wait_seconds"].as_f64().unwrap() > 0.0 && !seen["version"].as_str().unwrap().is_empty());
    let pool = &seen["pools"][0];
    assert_eq!(
        (&pool["database"], &pool["size"], &pool["leaks_settings"]),
        (&"portarium".into(), &1.into(), &true.into())
    );
    assert!(pool["leak"].as_str().unwrap().contains("server_reset_query_always"), "{pool}");
    holder.batch_execute("COMMIT").await.unwrap();
    for waiter in waiters {
        waiter.await.unwrap().unwrap();
    }
    console.hides("pool wait");
    console.shows("hands search_path on from client to client");
    let report = watcher.run(&["report"]);
    assert!(report.out.contains("server_reset_query_always"), "{}", report.out);

    pooler.stop();
    way.set(Way::Closed);
    console.shows("pooler not reached");
    let instance = status(&watcher);
    assert_eq!((&instance["reachable"], &instance["pooler"]["reachable"]), (&true.into(), &false.into()), "{instance}");
    assert!(instance["pooler"]["error"].as_str().unwrap().contains("refused"), "{instance}");
    assert_eq!(instance["pooler"]["pools"], Value::Null, "what is not known is null");
    for source in instance["sources"].as_array().unwrap() {
        let own = source["name"] == Source::Pooler.name();
        assert!(own || source["error"].is_null(), "{source}");
    }
    pooler.start_again();
    way.set(Way::Open);
    console.hides("pooler not reached");
    assert_eq!(status(&watcher)["pooler"]["reachable"], true);

    // It takes connections and says nothing any more: the sessions do not wait for it.
    way.set(Way::Stalled);
    console.shows("pooler not reached");
    assert!(console.screen().lines().any(|line| line.contains("● shared")), "{}", console.screen());
    way.set(Way::Open);
    console.hides("pooler not reached");

    fs::write(watcher.home().join("pooler.password"), "wrong, and not to be shown").unwrap();
    let refused = status(&watcher);
    let error = refused["pooler"]["error"].as_str().unwrap();
    assert!(error.starts_with("PgBouncer: ") && error.contains("stats_users"), "{error}");
    assert!(!refused.to_string().contains("not to be shown"), "{error}");
    println!("a wrong password: {error}");
    console.keys("q");
    console.ends_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_is_reached_over_tls_and_only_where_it_is_who_it_should_be() {
    assert!(program().is_some(), "PgBouncer is not installed: .ci/install test");
    let server = server().await;
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    support::server::hand_over(&folder.path().join("server.key"));
    let tls = format!(
        "client_tls_sslmode = require\nclient_tls_key_file = {}\nclient_tls_cert_file = {}",
        path("server.key"),
        path("server.crt")
    );
    let pooler = Pooler::start(&databases(&server), &tls);
    let trusted = format!("sslmode=verify-full&sslrootcert={}", path("ca.crt"));
    let deadline = Instant::now() + PATIENCE;
    while facts(&pooler, &trusted).await.is_err() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(facts(&pooler, &trusted).await.is_ok(), "{:?}", facts(&pooler, &trusted).await);
    let stranger = facts(&pooler, &format!("sslmode=verify-full&sslrootcert={}", path("other.crt"))).await;
    assert!(stranger.unwrap_err().contains("not signed by an authority"), "an authority that did not sign it");
    assert!(facts(&pooler, "sslmode=disable").await.is_err(), "it asks for TLS");
}

/// An authority, a certificate of its for this host, and an authority that has nothing to do with it.
fn certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        let made = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
        assert!(made.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&made.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for name in ["ca", "other"] {
        openssl(&format!("req -x509 {key} -keyout {name}.key -out {name}.crt -days 30 -subj /CN={name}"));
    }
    fs::write(folder.join("extensions"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    openssl(&format!("req {key} -keyout server.key -out server.csr -subj /CN=server"));
    openssl(
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 30 -extfile extensions",
    );
}

/// What the doctor says of the pooler.
fn examined(watcher: &Watcher) -> (Option<i32>, Value) {
    let said = watcher.run(&["doctor", "--json"]);
    assert!(!said.out.contains(PASSWORD) && !said.err.contains(PASSWORD));
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let components = report["components"].as_array().unwrap();
    (said.code, components.iter().find(|component| component["kind"] == "pgbouncer").cloned().unwrap_or_default())
}

fn verdict(component: &Value, name: &str) -> (String, String) {
    let check = component["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap();
    let text = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
    (text("verdict"), text("detail"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_knows_the_pooler() {
    assert!(program().is_some(), "PgBouncer is not installed: .ci/install test");
    let server = server().await;
    let mut pooler = Pooler::start(&databases(&server), "pool_mode = transaction\nserver_reset_query = DISCARD ALL");
    let watcher = Watcher::of(&[("shared", server.port)]);
    assert_eq!(examined(&watcher).1, Value::Null, "none is configured");
    watch(&watcher, pooler.port, PASSWORD);
    client(&pooler, "portarium").await.simple_query("SELECT 1").await.unwrap();

    let (code, found) = examined(&watcher);
    assert_eq!((code, &found["reachable"], &found["login"]), (Some(0), &true.into(), &"stats".into()), "{found:#}");
    assert!(found["version"].as_str().unwrap().starts_with("1."), "{found:#}");
    assert_eq!(verdict(&found, "console").0, "fine");
    assert_eq!(verdict(&found, "privileges").0, "fine");
    let (fine, pools) = verdict(&found, "pools");
    assert!(fine == "fine" && pools.contains("pool_mode transaction; 1 pool in transaction mode"), "{pools}");
    let (leaks, why) = verdict(&found, "settings");
    assert!(leaks == "warning" && why.contains("server_reset_query_always"), "{why}");
    println!("{}", watcher.run(&["doctor"]).out);

    // As one of its administrators it could do more than look.
    let path = watcher.home().join("tierdeck.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("//stats@", "//boss@")).unwrap();
    assert_eq!(verdict(&examined(&watcher).1, "privileges").0, "warning");

    pooler.stop();
    let (code, gone) = examined(&watcher);
    assert_eq!((code, &gone["reachable"]), (Some(1), &false.into()), "{gone:#}");
    assert_eq!(verdict(&gone, "connection").0, "missing");
}
