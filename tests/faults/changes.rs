//! What changes under the console's eyes: tenants and databases are dropped, counters begin anew; and names as long as there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tierdeck::domain::facts::Source;
use tierdeck::domain::{Signal, Snapshot};
use tokio_postgres::Client;

use super::hostile::is_in_order;
use super::support::console::{Console, PATIENCE};
use super::support::observer::Observer;
use super::support::server::Server;
use super::support::watcher::{HBA, SECRET, Watcher, session, world};

/// Everything that names a tenant, every second.
const EAGER: &str = "[poll]\nroles = \"1s\"\nchurn = \"1s\"\nsizes = \"1s\"\ndebt = \"1s\"\ncatalog = \"1s\"\ndatabases = \"1s\"\nstatements = \"1s\"\n";

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_is_dropped_between_two_polls_is_gone_and_nothing_else_is() {
    let server = Server::start("max_connections = 60\nshared_preload_libraries = 'pg_stat_statements'", HBA, |_| {});
    world(server.port).await;
    let boss = session(server.port, "postgres", "postgres").await;
    let works = session(server.port, "role_initech", "postgres").await;
    run(&works, "BEGIN; UPDATE tenant_initech.orders SET total = 0").await;
    let watcher = Watcher::of(&[("shared", server.port)]).configure(EAGER);
    let mut observer = Observer::of(&watcher);
    let mut console = watcher.console().open();
    console.until("three tenants", PATIENCE, |screen| screen.contains("TENANTS 3") && screen.contains("● shared"));
    console.keys("/initech\r2");
    console.until("its page", PATIENCE, |screen| screen.contains("role_initech") && screen.contains("LIMITS"));

    // By half: its schema first.
    run(&boss, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'role_initech'").await;
    run(&boss, "DROP SCHEMA tenant_initech CASCADE").await;
    let half = |snapshot: &Snapshot| snapshot.findings.iter().any(|it| it.signal == Signal::Orphan);
    println!("half of it is missed after {:?}", observer.until("an orphan", half).await);
    run(&boss, "DROP ROLE role_initech").await;
    let ids = |snapshot: &Snapshot| snapshot.tenants.iter().map(|it| it.id.to_string()).collect::<Vec<_>>();
    let two = |snapshot: &Snapshot| ids(snapshot) == ["acme", "globex"] && !half(snapshot);
    println!("it is gone after {:?}", observer.until("two tenants", two).await);
    println!("its page says so after {:?}", console.shows("gone: as it was last seen"));
    for _ in 0..6 {
        console.keys("\t");
        console.shows("gone: as it was last seen");
    }
    console.keys("\x1b");
    console.shows("0 match /initech");
    console.keys("\x1b");
    console.until("the others", PATIENCE, |screen| screen.contains("TENANTS 2") && screen.contains("globex"));
    observer.rounds(&[Source::Churn, Source::Roles, Source::Debt], 2).await;
    assert!(observer.instance().sources.iter().all(|state| state.error.is_none()), "{}", observer.picture());

    // Another one of that name is another one.
    let made = format!(
        "CREATE ROLE role_initech LOGIN PASSWORD '{SECRET}'; CREATE SCHEMA tenant_initech AUTHORIZATION role_initech"
    );
    run(&boss, &made).await;
    console.until("all three again", PATIENCE, |screen| screen.contains("TENANTS 3"));
    observer.until("all three again", |snapshot| snapshot.tenants.len() == 3).await;
    let again = observer.tenant("initech");
    assert_eq!((again.connections, again.rows_written_per_second.unwrap_or(0.0)), (Some(0), 0.0), "{again:#?}");
    console.keys("q");
    console.ends_with(0);
}

/// Where tenants have databases, looking into one never keeps it from being dropped, and what is in the others goes on.
#[tokio::test(flavor = "multi_thread")]
async fn databases_are_dropped_while_they_are_looked_into() {
    const COUNT: usize = 8;
    let server = Server::start(
        "max_connections = 60\nshared_preload_libraries = 'pg_stat_statements'\nautovacuum = off",
        HBA,
        |_| {},
    );
    world(server.port).await;
    let boss = session(server.port, "postgres", "postgres").await;
    for nth in 0..COUNT {
        run(&boss, &format!("CREATE ROLE t0{nth}_app LOGIN PASSWORD '{SECRET}'")).await;
        run(&boss, &format!("CREATE DATABASE db_t0{nth} OWNER t0{nth}_app")).await;
    }
    let quick = "[poll]\ndatabases = \"200ms\"\nroles = \"1s\"\nchurn = \"200ms\"\ndebt = \"200ms\"\ncatalog = \"200ms\"\nbloat = \"200ms\"\n";
    let watcher = Watcher::of(&[("shared", server.port)]).configure(&format!("layout = \"database\"\n{quick}"));
    let mut observer = Observer::of(&watcher);
    observer.until("all tenants", |snapshot| snapshot.tenants.len() == COUNT).await;
    observer.rounds(&[Source::Debt, Source::Catalog], 2).await;
    for nth in 0..COUNT - 2 {
        let begun = Instant::now();
        // The server itself waits five seconds for whoever is in it; a visit of ours takes some milliseconds.
        let force = if nth % 2 == 0 { "" } else { " WITH (FORCE)" };
        run(&boss, &format!("DROP DATABASE db_t0{nth}{force}")).await;
        run(&boss, &format!("DROP ROLE t0{nth}_app")).await;
        println!("database {nth} dropped in {:?}", begun.elapsed());
        observer.until("one fewer", |snapshot| snapshot.tenants.len() == COUNT - 1 - nth).await;
    }
    let whole = |snapshot: &Snapshot| {
        let instance = &snapshot.instances[0];
        let debt = instance.debt.value.as_ref().is_some_and(|debt| debt.of == debt.seen && debt.closed.is_empty());
        debt && instance.sources.iter().all(|state| state.error.is_none())
    };
    observer.until("no trouble left", whole).await;
    let left: Vec<_> = observer.newest.tenants.iter().map(|tenant| tenant.id.to_string()).collect();
    assert_eq!(left, ["t06", "t07"]);
    observer.rounds(&[Source::Debt, Source::Churn], 2).await;
    assert!(whole(&observer.newest), "{}", observer.picture());
}

/// What no snapshot may ever say of a tenant that writes some thousand rows a second: its counter stands at a million.
fn no_spike(when: &str, snapshot: &Snapshot) {
    const MOST: f64 = 10_000.0;
    let fine = |what: &str, value: Option<f64>, most: f64| {
        let fine = value.is_none_or(|value| (0.0..=most).contains(&value));
        assert!(fine, "{when}: {what} is said to be {value:?}");
    };
    for tenant in &snapshot.tenants {
        fine("rows a second", tenant.rows_written_per_second, MOST);
        // Extrapolated, where counting just began; never more than it writes.
        if tenant.rows_written_estimated {
            fine("rows a day, estimated", tenant.rows_written_per_day, f64::MAX);
        }
        let noise = &tenant.noise;
        for (what, share) in [
            ("active time", noise.active_time),
            ("rows", noise.rows_written),
            ("WAL", noise.wal),
            ("blocks", noise.blocks_read),
        ] {
            fine(what, share, 1.0);
        }
        fine("noise", tenant.noise_score, 100.0);
    }
    let rates = &snapshot.instances[0].rates;
    fine("all rows a second", rates.rows_written, MOST);
    fine("transactions a second", rates.transactions, 2_000.0);
    fine("deadlocks", rates.deadlocks_per_minute, 0.0);
    fine("cache hits", rates.cache_hit, 1.0);
    let wrong = snapshot.findings.iter().find(|it| [Signal::Deadlocks, Signal::TempSpill].contains(&it.signal));
    assert!(wrong.is_none(), "{when}: {wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_that_begin_anew_are_gaps_and_no_spikes() {
    let mut server = Server::start(
        "max_connections = 60\nshared_preload_libraries = 'pg_stat_statements'\nautovacuum = off",
        HBA,
        |_| {},
    );
    world(server.port).await;
    let boss = session(server.port, "postgres", "postgres").await;
    run(&boss, "INSERT INTO tenant_acme.orders SELECT i, i FROM generate_series(1000, 1000000) i").await;
    run(&boss, "INSERT INTO tenant_globex.orders SELECT i, i FROM generate_series(1000, 300000) i").await;
    // What a session counted is told by it at the end of a statement, or, idle, ten seconds later: in the middle of what follows.
    run(&boss, "SELECT pg_stat_force_next_flush()").await;
    let over = Arc::new(AtomicBool::new(false));
    let (end, port) = (Arc::clone(&over), server.port);
    // It writes all the time, and comes back when the server does.
    let writer = tokio::spawn(async move {
        let mut at = 2_000_000;
        while !end.load(Ordering::SeqCst) {
            let mut config = tokio_postgres::Config::new();
            config.host("127.0.0.1").port(port).user("role_acme").password(SECRET).dbname("postgres");
            if let Ok((client, connection)) = config.connect(tokio_postgres::NoTls).await {
                tokio::spawn(connection);
                let insert = |from: i32| {
                    format!("INSERT INTO tenant_acme.orders SELECT i, 0 FROM generate_series({from}, {from} + 99) i")
                };
                while !end.load(Ordering::SeqCst) && client.batch_execute(&insert(at)).await.is_ok() {
                    at += 100;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            // What a crash took may be written again.
            at += 100;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let watcher = Watcher::of(&[("shared", server.port)]).configure(EAGER);
    let mut observer = Observer::of(&watcher);
    let known = |snapshot: &Snapshot| {
        let acme = snapshot.tenants.iter().find(|tenant| tenant.id.as_str() == "acme");
        acme.is_some_and(|acme| acme.rows_written_per_second.is_some_and(|rate| rate > 50.0))
            && snapshot.instances[0].rates.transactions.is_some()
    };
    for what in [
        "nothing yet",
        "SELECT pg_stat_reset()",
        "SELECT pg_stat_reset_single_table_counters('tenant_acme.orders'::regclass)",
        "SELECT pg_stat_statements_reset()",
        "SELECT pg_stat_reset(), pg_stat_statements_reset(), pg_stat_reset_shared('bgwriter')",
        "a crash, which loses all counters",
    ] {
        if what.starts_with("SELECT") {
            let boss = session(server.port, "postgres", "postgres").await;
            run(&boss, what).await;
        } else if what.starts_with("a crash") {
            server.crash();
            server.start_again();
        }
        // For as long as a wrong difference could hide in what follows; then rates are known again.
        let end = Instant::now() + Duration::from_secs(4);
        while observer.step(end).await {
            no_spike(what, &observer.newest);
        }
        let begun = Instant::now();
        while !known(&observer.newest) {
            assert!(
                observer.step(begun + PATIENCE).await,
                "{what}: rates are never known again:\n{}",
                observer.picture()
            );
            no_spike(what, &observer.newest);
        }
        println!("after {what}: acme writes {:?} rows/s", observer.tenant("acme").rows_written_per_second);
    }
    over.store(true, Ordering::SeqCst);
    writer.await.unwrap();
}

/// Ids as long as names allow, told apart by their last character; tables, columns and applications of 63 bytes.
#[tokio::test(flavor = "multi_thread")]
async fn names_of_63_bytes_are_told_apart_and_whole_where_they_are_used() {
    let server = Server::start("max_connections = 60\nautovacuum = off", HBA, |_| {});
    world(server.port).await;
    let boss = session(server.port, "postgres", "postgres").await;
    let stem = "a-tenant-with-a-very-long-name-".repeat(2)[..55].to_owned();
    let ids = [format!("{stem}1"), format!("{stem}2")];
    let (table, mut odd) = ("t".repeat(63), "a \"quoted\" tablé ".repeat(4));
    while odd.len() > 63 {
        odd.pop();
    }
    let quoted = format!("\"{}\"", odd.replace('"', "\"\""));
    for id in &ids {
        let name = id.replace('-', "_");
        assert_eq!(format!("tenant_{name}").len(), 63);
        let made = format!(
            "CREATE ROLE role_{name} LOGIN PASSWORD '{SECRET}'; CREATE SCHEMA tenant_{name} AUTHORIZATION role_{name};
             GRANT USAGE ON SCHEMA tenant_{name} TO PUBLIC; SET ROLE role_{name};
             CREATE TABLE tenant_{name}.{table} (id int PRIMARY KEY); INSERT INTO tenant_{name}.{table} VALUES (1);
             CREATE TABLE tenant_{name}.{quoted} (id int); ALTER TABLE tenant_{name}.{quoted} SET (autovacuum_enabled = off);
             INSERT INTO tenant_{name}.{quoted} SELECT generate_series(1, 30000); DELETE FROM tenant_{name}.{quoted};
             GRANT ALL ON ALL TABLES IN SCHEMA tenant_{name} TO PUBLIC; RESET ROLE"
        );
        run(&boss, &made).await;
    }
    let (first, second) = (ids[0].replace('-', "_"), ids[1].replace('-', "_"));
    let holder = session(server.port, &format!("role_{first}"), "postgres").await;
    run(&holder, &format!("SET application_name = '{}'; BEGIN; LOCK TABLE tenant_{first}.{table}", "n".repeat(63)))
        .await;
    let waiter = session(server.port, &format!("role_{second}"), "postgres").await;
    let wanted = format!("SELECT count(*) FROM tenant_{first}.{table}");
    let waits = tokio::spawn(async move { waiter.batch_execute(&wanted).await });

    let watcher = Watcher::of(&[("shared", server.port)]).configure(EAGER);
    let mut observer = Observer::of(&watcher);
    let blamed = |snapshot: &Snapshot, id: &str, signal| {
        snapshot.findings.iter().any(|it| it.signal == signal && it.culprits.iter().any(|it| it.as_str() == id))
    };
    let all = |snapshot: &Snapshot| {
        blamed(snapshot, &ids[0], Signal::LockChain)
            && ids.iter().all(|id| blamed(snapshot, id, Signal::AutovacuumDebt))
    };
    observer.until("what is wrong with both", all).await;
    let chain = observer.findings(Signal::LockChain)[0];
    assert_eq!(
        chain.victims.iter().map(tierdeck::domain::TenantId::as_str).collect::<Vec<_>>(),
        [&ids[1]],
        "{chain:#?}"
    );
    for debt in observer.findings(Signal::AutovacuumDebt) {
        let statement = debt.statement.as_deref().unwrap();
        assert!(statement.contains(&quoted), "a name is whole where it is run: {statement}");
    }
    for id in &ids {
        let (tenant, name) = (observer.tenant(id), id.replace('-', "_"));
        assert_eq!(tenant.schema.as_deref(), Some(format!("tenant_{name}").as_str()));
        assert_eq!((tenant.role.as_deref(), tenant.strong), (Some(format!("role_{name}").as_str()), 1));
    }
    drop(observer);

    for (columns, rows) in [(80, 24), (120, 40), (320, 60)] {
        let mut console = watcher.console().size(columns, rows).open();
        console.until("the tenants", PATIENCE, |screen| screen.contains("TENANTS 5") && screen.contains("● shared"));
        console.until("the chain", PATIENCE, |screen| screen.contains("✖ CRIT") && screen.contains("a-tenant-with"));
        tokio::task::block_in_place(|| every_screen(&mut console));
        console.keys("q");
        console.ends_with(0);
    }
    let said = watcher.run(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let told: Vec<&str> = status["tenants"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert!(ids.iter().all(|id| told.contains(&id.as_str())), "{told:?}");
    run(&holder, "ROLLBACK").await;
    waits.await.unwrap().unwrap();
}

/// Goes through the screens; the frame is whole on each.
fn every_screen(console: &mut Console) {
    for (key, words) in [("3", "SESSIONS "), ("4", "LOCKS "), ("5", "TABLES "), ("1", "TENANTS ")] {
        console.keys(key);
        console.shows(words);
        console.settled();
        is_in_order(console);
    }
    console.keys("2");
    console.hides("TENANTS ");
    for _ in 0..6 {
        console.keys("\t");
        console.settled();
        is_in_order(console);
    }
    console.keys("1");
    console.shows("TENANTS ");
}
