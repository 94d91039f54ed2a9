//! Servers that are not there, do not answer, die, stall, refuse; and a login that may see little.

use std::time::{Duration, Instant};

use super::support::console::PATIENCE;
use super::support::proxy::{Proxy, Way};
use super::support::server::{PASSWORD, Server, free_port};
use super::support::watcher::{self, HBA, SECRET, Watcher, session, world};
use super::{keys_work, line_of, strip, well};

const URL: &str = "?sslmode=disable";

fn url(user: &str, host: &str, port: u16) -> String {
    format!("postgresql://{user}@{host}:{port}/postgres{URL}")
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_cannot_be_reached_say_why_and_leave_the_others_alone() {
    let server = watcher::shared().await;
    let (refused, silent) = (Proxy::to(server.port), Proxy::to(server.port));
    refused.set(Way::Closed);
    silent.set(Way::Stalled);
    let watcher = Watcher::of_urls(&[
        ("fine", url("tierdeck", "127.0.0.1", server.port)),
        ("refused", url("tierdeck", "127.0.0.1", refused.port)),
        ("nowhere", url("tierdeck", "no-such-host.invalid", 5432)),
        ("silent", url("tierdeck", "127.0.0.1", silent.port)),
    ]);
    let mut console = watcher.console().open();
    well(&mut console, "fine");
    println!("the fine one: {:?} after the start", console.begun.elapsed());
    console.shows("TENANTS 3");
    strip(&mut console, "refused", "refused");
    strip(&mut console, "nowhere", "no-such-host.invalid");
    strip(&mut console, "silent", "connecting to silent");
    console.shows("refused cannot be polled");
    console.shows("nowhere cannot be polled");
    keys_work(&mut console);
    println!("silence is called by name after {:?}", strip(&mut console, "silent", "says nothing"));

    // For a while everybody else fails again and again: the fine one does not even blink.
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        let line = line_of(&console.screen(), "fine");
        assert!(line.starts_with('●'), "{}", console.screen());
        std::thread::sleep(Duration::from_millis(20));
    }
    let said = watcher.run(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let reachable = |name: &str| {
        let instances = status["instances"].as_array().unwrap();
        instances.iter().find(|instance| instance["name"] == name).unwrap()["reachable"].as_bool().unwrap()
    };
    assert_eq!(
        (said.code, reachable("fine"), reachable("refused"), reachable("nowhere")),
        (Some(0), true, false, false)
    );
    let said = watcher.run(&["findings", "--fail-on", "critical"]);
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(said.out.contains("refused cannot be polled"), "{}", said.out);

    refused.set(Way::Open);
    silent.set(Way::Open);
    println!("refused is back after {:?}", well(&mut console, "refused"));
    println!("silent is back after {:?}", well(&mut console, "silent"));
    console.keys("q");
    console.ends_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_and_comes_back() {
    let mut server = Server::start("", HBA, |_| {});
    world(server.port).await;
    let watcher = Watcher::of(&[("shared", server.port)]);
    let mut console = watcher.console().open();
    well(&mut console, "shared");
    console.shows("TENANTS 3");
    server.crash();
    println!("its death is on the screen after {:?}", strip(&mut console, "shared", "not reached"));
    console.shows("shared cannot be polled");
    // What it said last stays, and its age goes on.
    strip(&mut console, "shared", "last seen 3");
    assert!(console.screen().contains("initech"), "{}", console.screen());
    keys_work(&mut console);
    server.start_again();
    println!("it is back after {:?}", well(&mut console, "shared"));
    console.hides("cannot be polled");
    console.keys("q");
    console.ends_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_stalls_and_goes_on() {
    let server = watcher::shared().await;
    let proxy = Proxy::to(server.port);
    let watcher = Watcher::of(&[("shared", proxy.port)]);
    let mut console = watcher.console().open();
    well(&mut console, "shared");
    console.shows("TENANTS 3");
    proxy.set(Way::Stalled);
    println!("its data is called old after {:?}", strip(&mut console, "shared", " ago"));
    keys_work(&mut console);
    println!("it is given up after {:?}", strip(&mut console, "shared", "not reached"));
    console.shows("shared cannot be polled");
    assert!(console.screen().contains("initech"), "{}", console.screen());
    keys_work(&mut console);
    proxy.set(Way::Open);
    println!("it is back after {:?}", well(&mut console, "shared"));
    console.hides("cannot be polled");

    // A stall that is shorter than anybody's patience is over without a word.
    proxy.set(Way::Stalled);
    std::thread::sleep(Duration::from_secs(1));
    proxy.set(Way::Open);
    well(&mut console, "shared");
    // Cut off for a moment only: the next connection is made at once.
    proxy.set(Way::Closed);
    strip(&mut console, "shared", "not reached");
    proxy.set(Way::Open);
    well(&mut console, "shared");
    console.keys("q");
    console.ends_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_called_one_and_the_right_one_is_noticed() {
    let server = watcher::shared().await;
    let watcher = Watcher::of(&[("shared", server.port)]);
    watcher.set_password("shared", "not the password");
    let mut console = watcher.console().open();
    strip(&mut console, "shared", "password");
    console.shows("shared cannot be polled");
    keys_work(&mut console);
    let said = watcher.run(&["doctor"]);
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(said.out.contains("password"), "{}", said.out);
    for text in [&said.out, &said.err, &console.screen()] {
        assert!(!text.contains("not the password") && !text.contains(PASSWORD), "{text}");
    }
    watcher.set_password("shared", SECRET);
    println!("the right password is noticed after {:?}", well(&mut console, "shared"));
    console.hides("cannot be polled");
    console.keys("q");
    console.ends_with(0);
    let bytes = String::from_utf8_lossy(&console.bytes()).into_owned();
    assert!(!bytes.contains(SECRET) && !bytes.contains("not the password"), "a password on the screen");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_full_is_called_full() {
    let server = Server::start("max_connections = 20\nsuperuser_reserved_connections = 3", HBA, |_| {});
    world(server.port).await;
    let boss = session(server.port, "postgres", "postgres").await;
    let watcher = Watcher::of(&[("shared", server.port)]);
    let mut console = watcher.console().open();
    well(&mut console, "shared");
    console.shows("TENANTS 3");
    let mut taken = Vec::new();
    // With the superuser's one and the console's own four.
    for _ in 0..11 {
        taken.push(session(server.port, "role_acme", "postgres").await);
    }
    strip(&mut console, "shared", "conn   16/17");
    // The console is thrown out and its places are taken.
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(server.port).user("role_acme").password(SECRET).dbname("postgres");
    let deadline = Instant::now() + PATIENCE;
    while !line_of(&console.screen(), "shared").contains("no connection left") {
        assert!(Instant::now() < deadline, "{}", console.screen());
        if let Ok((client, connection)) = config.connect(tokio_postgres::NoTls).await {
            tokio::spawn(connection);
            taken.push(client);
        } else {
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'tierdeck'";
            boss.query(sql, &[]).await.unwrap();
        }
    }
    console.shows("53300");
    console.until("who holds them", PATIENCE, |screen| screen.contains("acme held"));
    keys_work(&mut console);
    let said = watcher.run(&["findings", "--fail-on", "critical"]);
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(said.out.contains("53300"), "{}", said.out);
    drop(taken);
    println!("it is let in again after {:?}", well(&mut console, "shared"));
    console.keys("q");
    console.ends_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_may_see_little_says_so_and_what_to_grant() {
    let server = watcher::shared().await;
    let boss = session(server.port, "postgres", "postgres").await;
    let made = format!("CREATE ROLE blind LOGIN PASSWORD '{SECRET}'");
    boss.batch_execute(&made).await.unwrap();
    let client = session(server.port, "role_globex", "postgres").await;
    client.batch_execute("BEGIN; SELECT count(*) FROM tenant_globex.orders").await.unwrap();
    let watcher = Watcher::of_urls(&[("shared", url("blind", "127.0.0.1", server.port))]);
    let mut console = watcher.console().open();
    well(&mut console, "shared");
    console.shows("GRANT pg_monitor");
    let said = watcher.run(&["doctor"]);
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(said.out.contains("GRANT pg_monitor TO blind;"), "{}", said.out);
    let said = watcher.run(&["findings"]);
    assert!(said.out.contains("lock-chain") && said.out.contains("GRANT pg_monitor"), "{}", said.out);
    // Granted and taken away under a console that runs.
    for _ in 0..2 {
        boss.batch_execute("GRANT pg_monitor TO blind").await.unwrap();
        println!("granted: seen after {:?}", console.hides("GRANT pg_monitor"));
        console.shows("nothing found");
        boss.batch_execute("REVOKE pg_monitor FROM blind").await.unwrap();
        println!("revoked: said after {:?}", console.shows("GRANT pg_monitor"));
    }
    console.keys("3");
    console.shows("not shown to our login");
    console.keys("q");
    console.ends_with(0);
}

#[test]
fn nobody_listens_at_all() {
    let watcher = Watcher::of(&[("shared", free_port())]);
    let mut console = watcher.console().open();
    strip(&mut console, "shared", "refused");
    console.shows("shared cannot be polled");
    for arguments in [&["status"][..], &["status", "--json"], &["findings"]] {
        let said = watcher.run(arguments);
        assert_eq!(said.code, Some(0), "{arguments:?}: {}{}", said.out, said.err);
        assert!(said.out.contains("refused"), "{arguments:?}: {}", said.out);
    }
    assert_eq!(watcher.run(&["doctor"]).code, Some(1));
    keys_work(&mut console);
    console.keys("q");
    console.ends_with(0);
}
