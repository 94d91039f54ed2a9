//! The console as an operator meets it: real keys in a real terminal, on a real server, as an admin login that is no superuser.

use std::time::Duration;

use serde_json::Value;
use tierdeck::ops::{TakeOver, Way};

use super::cli::Desk;
use super::world::{World, key_of, new_id, throttle};
use crate::support::console::{Console, PATIENCE, tierdeck};
use crate::support::watcher::session;

/// A console on this world, with its first data on the screen.
fn opened(desk: &Desk, more: &[&str]) -> Console {
    let config = desk.config();
    let mut arguments = vec!["--config", config.as_str()];
    arguments.extend(more);
    let mut console = tierdeck(&arguments).environment("TIERDECK_STATE", desk.home.path().join("state")).open();
    console.until("first data", PATIENCE, |screen| screen.contains("TENANTS 3") && screen.contains("● shared"));
    console
}

/// Opens the box of actions on acme's page and chooses one.
fn choose(console: &mut Console, title: &str) {
    console.keys("a");
    console.shows("ACTIONS on ");
    console.until("what is in force", PATIENCE, |screen| !screen.contains("is not known yet"));
    // A row at a time, from wherever the cursor is: what applies may come to stand elsewhere meanwhile.
    for _ in 0..20 {
        let (at, rows) = boxed(&console.screen());
        let wanted = rows.iter().position(|row| row.starts_with(&format!("{title} ")));
        let wanted = wanted.unwrap_or_else(|| panic!("no {title} is offered:\n{}", console.screen()));
        if at == Some(wanted) {
            console.keys("\r");
            return;
        }
        console.keys(if at < Some(wanted) { "j" } else { "k" });
        console.until("the cursor to move", PATIENCE, |screen| boxed(screen).0 != at);
    }
    panic!("the cursor never came to {title}:\n{}", console.screen());
}

/// The rows of the box of actions, and which of them has the cursor.
fn boxed(screen: &str) -> (Option<usize>, Vec<String>) {
    let mut lines = screen.lines().skip_while(|line| !line.contains("╭─ ACTIONS on "));
    let Some((before, _)) = lines.next().and_then(|line| line.split_once("╭─ ACTIONS on ")) else {
        return (None, Vec::new());
    };
    let left = before.chars().count();
    let (mut at, mut rows) = (None, Vec::new());
    for line in lines {
        let mut rest = line.chars().skip(left);
        match rest.next() {
            Some('▌') => at = Some(rows.len()),
            Some('│') => {}
            _ => break,
        }
        rows.push(rest.collect::<String>().trim_start().to_owned());
    }
    (at, rows)
}

fn wrote(console: &Console, sequence: &str) -> bool {
    console.bytes().windows(sequence.len()).any(|window| window == sequence.as_bytes())
}

const LIMIT: &str = "SELECT rolconnlimit::int8 FROM pg_roles WHERE rolname = 'role_acme'";

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_throttled_by_keys_and_gets_back_exactly_what_it_had() {
    let world = World::start().await;
    let desk = Desk::new(&world);
    let start = world.settled().await;
    let mut console = opened(&desk, &["--allow-actions"]);
    console.shows(" ACTIONS ");
    console.keys("/acme\r2");
    console.shows("LIMITS AND SHARES");
    choose(&mut console, "throttle");
    console.shows("CONNECTION LIMIT of its login");
    // What is no number is not taken.
    console.keys("\x15many\r");
    console.shows("is no whole number");
    console.keys("\x157\r");
    console.shows("PLANNED · nothing was done yet");
    // The very text that a script gets, but for its name and hash.
    let (text, _) = desk.says("act throttle acme --connections 7 --plan", 0);
    // Lines that are too long for it are wrapped.
    let screen = console.screen();
    let bare = |text: &str| text.split_whitespace().collect::<String>();
    let pane: String = screen
        .lines()
        .filter_map(|row| row.splitn(3, '│').nth(2))
        .map(|row| bare(row.trim_end_matches(['│', '┃'])))
        .collect();
    for line in text.lines().filter(|line| !line.starts_with("operation") && !line.starts_with("sha256")) {
        assert!(pane.contains(&bare(line)), "{line:?}\n{screen}");
    }
    assert_eq!(world.number(LIMIT).await, 40, "planned is not done");
    console.keys("\r");
    console.shows("to carry it out, type acme");
    console.keys("globex\r");
    console.shows("not \"globex\": nothing was done");
    assert!(!desk.home.path().join("state/operations").exists(), "nothing was begun");
    console.keys("acme\r");
    console.shows("✓ SUCCEEDED · ");
    console.shows("## What happened");
    assert_eq!(world.number(LIMIT).await, 7);
    // It stays visible, with the way back.
    console.keys("q");
    console.shows("▪ throttled since ");
    console.keys("8");
    console.until("it in the list", PATIENCE, |screen| {
        screen.contains("OPERATIONS 1") && screen.contains("in force") && screen.contains("⏎ opens it, u rolls it back")
    });
    console.keys("-");
    console.shows("LIMITS AND SHARES");
    choose(&mut console, "unthrottle");
    console.shows("u rolls it back: what it did is in force");
    console.keys("u");
    console.until("what would undo it", PATIENCE, |screen| {
        screen.contains("to roll it back, type acme") && screen.contains("CONNECTION LIMIT 40;")
    });
    console.keys("acm\r");
    console.shows("not \"acm\": nothing was done");
    assert_eq!(world.number(LIMIT).await, 7);
    console.keys("acme\r");
    console.shows("ROLLED BACK · ");
    assert_eq!(world.number(LIMIT).await, 40);
    console.keys("q");
    console.hides("throttled since");
    console.keys("\t\t\t\t\t\t");
    console.until("its history", PATIENCE, |screen| {
        screen.contains("WHAT WAS DONE ABOUT IT")
            && screen.contains("rolled back")
            && screen.contains("nothing of ours is in force")
    });
    console.keys("q");
    console.ends_with(0);
    assert_eq!(world.settled().await, start);
    world.nothing_is_held().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_force_is_let_go_of_by_keys() {
    let world = World::start().await;
    let desk = Desk::new(&world);
    desk.says("--allow-actions act throttle acme --connections 7 --confirm acme", 0);
    let list: serde_json::Value = serde_json::from_str(&desk.says("ops list --json", 0).0).unwrap();
    let id = list["operations"][0]["id"].as_str().unwrap();
    let mut console = opened(&desk, &["--allow-actions"]);
    console.keys("8");
    console.shows("in force");
    console.keys("\r");
    console.shows("SUCCEEDED");
    console.keys("A");
    console.shows(&format!("to leave it as it is for good, type {id}"));
    console.keys("acme\r");
    console.shows("not \"acme\": nothing was done");
    console.keys(&format!("{id}\r"));
    console.shows("ABANDONED");
    // It stays, and nothing offers to undo it any more.
    assert_eq!(world.number(LIMIT).await, 7);
    console.keys("u");
    console.shows("is over: abandoned");
    console.keys("q");
    console.keys("q");
    console.ends_with(0);
    assert!(desk.says(&format!("--allow-actions ops rollback {id} --confirm acme"), 3).1.contains("is over"));
    world.nothing_is_held().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_cancelled_by_keys_and_read_only_does_nothing() {
    let world = World::start().await;
    let desk = Desk::new(&world);
    let victim = session(world.server.port, "role_acme", "portarium").await;
    let pid = key_of(&victim).await.pid;
    let running = tokio::spawn(async move { victim.batch_execute("SELECT pg_sleep(600)").await.unwrap_err() });
    let sleeps = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND strpos(query, 'leep(600') > 0 AND state = 'active'"
    );
    let mut console = opened(&desk, &[]);
    console.shows("READ-ONLY");
    console.keys("3/pg_sleep\r");
    console.shows("1 match /pg_sleep");
    console.keys("a");
    console.until("the box", PATIENCE, |screen| {
        screen.contains(&format!("ACTIONS on session {pid} on shared"))
            && screen.contains("start it with --allow-actions")
    });
    console.keys("\r");
    console.until("why not", PATIENCE, |screen| {
        screen.contains("─ read-only: start it with --allow-actions, or set allow_actions = true")
    });
    console.keys("q");
    console.ends_with(0);
    assert_eq!(world.number(&sleeps).await, 1, "it sleeps on");

    let mut console = opened(&desk, &["--allow-actions"]);
    console.keys("3/pg_sleep\r");
    console.shows("1 match /pg_sleep");
    choose(&mut console, "cancel");
    console.shows("PLANNED");
    console.shows("pg_cancel_backend");
    console.keys(&format!("\r{pid}\r"));
    console.shows("✓ SUCCEEDED");
    let error = running.await.unwrap();
    assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("57014"), "{error}");
    console.keys("q");
    console.keys("q");
    console.ends_with(0);
    world.nothing_is_held().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pauses_rings_waits_and_is_gone_on_with_by_another_console() {
    let world = World::start().await;
    let desk = Desk::new(&world);
    let start = world.settled().await;
    // Somebody holds the role: whoever wants to alter it waits.
    let mut boss = session(world.server.port, "postgres", "portarium").await;
    let hold = boss.transaction().await.unwrap();
    hold.batch_execute("ALTER ROLE role_acme CONNECTION LIMIT 39").await.unwrap();
    let mut console = opened(&desk, &["--allow-actions"]);
    console.keys("/acme\r2");
    console.shows("LIMITS AND SHARES");
    choose(&mut console, "throttle");
    console.shows("CONNECTION LIMIT of its login");
    console.keys("\x157\r");
    console.shows("PLANNED");
    console.keys("\racme\r");
    console.shows("RUNNING · here");
    // Left, it goes on; the console is not left while it does without a word.
    console.keys("q");
    console.shows("it goes on: 8 leads back to it");
    console.keys("q");
    console.shows("LEAVE WHILE AN OPERATION RUNS?");
    console.keys("\x1b");
    console.hides("LEAVE WHILE");
    assert!(!wrote(&console, "\x1b]2;"), "nobody is needed yet");
    console.keys("8");
    console.until("it paused", PATIENCE, |screen| screen.contains("OPERATIONS 1") && screen.contains("‖ paused"));
    assert!(wrote(&console, "\x1b[22;2t\x1b]2;‼ paused: throttle acme"), "the title says so");
    assert!(wrote(&console, "\x07\x1b") || console.bytes().contains(&7), "it rang");
    console.keys("\r");
    console.until("why", PATIENCE, |screen| screen.contains("‖ PAUSED") && screen.contains("WENT WRONG"));
    console.keys("q");
    console.shows("it stays paused and holds its tenant");
    console.keys("q");
    console.ends_with(0);
    assert!(wrote(&console, "\x1b[23;2t"), "the title is as it was");
    hold.rollback().await.unwrap();
    assert_eq!(world.settled().await, start, "nothing came of it so far");

    // Another machine: nothing of it lies there.
    let elsewhere = Desk::new(&world);
    let mut console = opened(&elsewhere, &["--allow-actions"]);
    console.keys("8");
    console.shows("‖ paused");
    console.keys("\r");
    console.shows("‖ PAUSED");
    console.keys("\r");
    console.shows("✓ SUCCEEDED");
    assert_eq!(world.number(LIMIT).await, 7);
    console.keys("u");
    console.shows("to roll it back, type acme");
    console.keys("acme\r");
    console.shows("ROLLED BACK");
    console.keys("qq");
    console.ends_with(0);
    assert_eq!(world.settled().await, start);
    world.nothing_is_held().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_laptop_is_told_on_every_console_and_taken_over_with_its_id() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let machine = world.machine(&folder, "laptop");
    // Begun there and paused before its first step; then the laptop goes to sleep while it goes on.
    let operations = machine.quiet();
    operations.pause.store(true, std::sync::atomic::Ordering::SeqCst);
    let intent = throttle("acme");
    let plan = operations.plan(&intent, new_id()).await.unwrap();
    operations.start(&plan, "acme").await.unwrap();
    let id = plan.id.to_string();
    let asleep = "UPDATE tierdeck.operation SET state = 'running', heartbeat = clock_timestamp() - interval '20 min'";
    world.boss.batch_execute(asleep).await.unwrap();

    // A console that may only watch is told all the same, by its monitoring login.
    let desk = Desk::new(&world);
    let findings = desk.run("findings --json");
    let findings: Value = serde_json::from_slice(&findings.stdout).unwrap();
    let told = findings["findings"].as_array().unwrap().iter().find(|it| it["signal"] == "operation-stalled");
    let told = told.unwrap_or_else(|| panic!("{findings}"));
    assert_eq!((&told["severity"], &told["subject"]["id"]), (&"critical".into(), &id.as_str().into()), "{told}");
    assert!(told["summary"].as_str().unwrap().contains("ann@laptop, who carries it out, is silent for 20m"), "{told}");

    let mut console = opened(&desk, &["--allow-actions"]);
    console.shows("ann@laptop, who carries it out, is silent");
    console.keys("8");
    console.shows("OPERATIONS 1");
    console.keys("\r");
    console.shows("SILENT for 20m");
    console.keys("\r");
    console.shows(&format!("to take it over and go on, type {id}"));
    console.keys("acme\r");
    console.shows("not \"acme\": nothing was done");
    assert_eq!(world.number(LIMIT).await, 40);
    console.keys(&format!("{id}\r"));
    console.shows("✓ SUCCEEDED");
    assert_eq!(world.number(LIMIT).await, 5);
    // The first laptop wakes up: it is over there.
    let woken = machine.quiet();
    woken.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap();
    assert_eq!(world.number(LIMIT).await, 40);
    console.keys("qq");
    console.ends_with(0);
    world.nothing_is_held().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_monitoring_login_is_told_who_works_and_no_more_and_doctor_knows() {
    let world = World::start().await;
    let desk = Desk::new(&world);
    let doctor = |healthy: bool| {
        let output = desk.run("doctor --json");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let checks = report["components"][0]["checks"].as_array().unwrap().clone();
        let check = checks.into_iter().find(|check| check["name"] == "operations");
        assert!(check.as_ref().is_none_or(|check| (check["verdict"] == "fine") == healthy), "{check:?}");
        check
    };
    assert_eq!(doctor(true), None, "there is nothing to be told of yet");
    desk.says("--allow-actions act throttle acme --connections 7 --confirm acme", 0);
    assert!(doctor(true).is_some());
    let watcher = session(world.server.port, "tierdeck", "portarium").await;
    let told = "SELECT id, summary, state, subjects, in_force FROM tierdeck.operation";
    assert_eq!(watcher.query(told, &[]).await.unwrap().len(), 1);
    for secret in
        ["SELECT line FROM tierdeck.journal", "SELECT hash FROM tierdeck.audit_head", "SELECT * FROM tierdeck.hold"]
    {
        let error = watcher.query(secret, &[]).await.unwrap_err();
        assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("42501"), "{secret}");
    }
    // Taken away, doctor names what gives it back; run as it stands, it does.
    world
        .boss
        .batch_execute("REVOKE ALL ON SCHEMA tierdeck FROM tierdeck; REVOKE ALL ON tierdeck.operation FROM tierdeck")
        .await
        .unwrap();
    let check = doctor(false).unwrap();
    assert_eq!(check["leaves_out"], serde_json::json!(["fence-held", "operation-stalled"]));
    let said = desk.run("findings --json");
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    let unknown = said["unknown"].as_array().unwrap().iter().find(|it| it["signal"] == "fence-held");
    assert!(unknown.unwrap()["reason"].as_str().unwrap().contains("tierdeck doctor names the GRANT"), "{said}");
    world.boss.batch_execute(check["fix"].as_str().unwrap()).await.unwrap();
    assert!(doctor(true).is_some());

    // As the version before made it: it is read as it is, and renewed by the next operation.
    let old = "ALTER TABLE tierdeck.operation DROP COLUMN subjects, DROP COLUMN refused_since, DROP COLUMN refused_budget, DROP COLUMN in_force";
    world.boss.batch_execute(old).await.unwrap();
    assert!(desk.says("ops list", 0).0.contains("succeeded"));
    assert!(doctor(false).unwrap()["detail"].as_str().unwrap().contains("earlier version"));
    desk.says("--allow-actions act unthrottle acme --confirm acme", 0);
    assert!(doctor(true).is_some());
    assert_eq!(watcher.query(told, &[]).await.unwrap().len(), 1);
    world.nothing_is_held().await;
    tokio::time::timeout(Duration::from_secs(20), world.settled()).await.unwrap();
}
