//! The fence: what it refuses, that nothing is half done, that every ACL comes back as it was.

use std::sync::Arc;

use tierdeck::ops::act::{Intent, Quarantining};
use tierdeck::ops::journal::Event;
use tierdeck::ops::{Ended, OpsError, Progress, TakeOver, Way};

use super::actions::{promised, refusal, told};
use super::fenced::{acls, furnish, quarantine};
use super::world::{Machine, World, new_id, shared, tenant};
use crate::support::watcher::session;

/// How a statement of somebody ends: `ok`, or its SQLSTATE.
async fn ends(client: &tokio_postgres::Client, sql: &str) -> String {
    match client.batch_execute(sql).await {
        Ok(()) => "ok".to_owned(),
        Err(error) => error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned()),
    }
}

/// Writes of whoever works as the account of everybody, and what reads.
const WRITES: [&str; 10] = [
    "INSERT INTO tenant_initech.orders VALUES (100001, 1)",
    "UPDATE tenant_initech.orders SET total = 0 WHERE id = 1",
    "DELETE FROM tenant_initech.orders WHERE id = 1",
    "TRUNCATE tenant_initech.scratch",
    "SELECT nextval('tenant_initech.items_id_seq')",
    "CREATE TABLE tenant_initech.made_up ()",
    "SELECT * FROM tenant_initech.orders FOR UPDATE",
    "SELECT * FROM tenant_initech.orders FOR SHARE",
    "INSERT INTO tenant_initech.seen VALUES (100002)",
    "COPY tenant_initech.scratch FROM PROGRAM 'true'",
];

async fn on(world: &World) {
    let folder = tempfile::tempdir().unwrap();
    furnish(world).await;
    let operations = world.machine(&folder, "laptop").quiet();
    let (start, before) = (world.settled().await, acls(world).await);
    let port = world.server.port;
    let app = session(port, "portarium_shared", "portarium").await;
    let own = session(port, "initech_app", "portarium").await;
    let plan = operations.plan(&quarantine(), new_id()).await.unwrap();
    let text = plan.text();
    for words in [
        "writes in tenant_initech are refused, reads go on",
        "LOCK TABLE ONLY \"tenant_initech\".\"items\", ONLY \"tenant_initech\".\"orders\"",
        "tenant_initech.numbers = sequence of role_initech, ACL none",
        "ALTER ROLE \"initech_app\" NOLOGIN",
        "who gets past every fence, and has to be asked: postgres (a superuser)",
        "SELECT … FOR UPDATE",
        "end the sessions of initech_app",
        "type initech",
    ] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    assert!(!text.contains("mean the same"), "every ACL of these comes back as it is\n{text}");
    assert_eq!(operations.start(&plan, "initech").await.unwrap(), Ended::Succeeded);
    // Its sessions end with the transaction already; whether any is left for the step that ends them is the moment's.
    let drains =
        |sql: &String| !sql.starts_with("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ");
    let (mut said, mut planned) = (told(world, &plan), promised(&plan));
    said.retain(drains);
    planned.retain(drains);
    assert_eq!(said, planned, "the server was told what the plan says");
    for sql in &WRITES[..9] {
        assert_eq!(ends(&app, sql).await, "42501", "{sql}");
    }
    assert_eq!(ends(&app, "SELECT count(*) FROM tenant_initech.orders; SELECT * FROM tenant_initech.seen").await, "ok");
    assert!(own.batch_execute("SELECT 1").await.is_err(), "its session was ended");
    assert_eq!(world.number("SELECT count(*) FROM pg_roles WHERE rolname = 'initech_app' AND rolcanlogin").await, 0);
    // Others are not touched.
    assert_eq!(ends(&app, "INSERT INTO tenant_acme.orders VALUES (100001, 1)").await, "ok");
    let said = refusal(&operations, &quarantine()).await;
    assert!(said.contains("nobody may write in tenant_initech as it is"), "{said}");
    assert_eq!(operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
    assert_eq!(acls(world).await, before);
    assert_eq!(world.settled().await, start);
    assert_eq!(ends(&app, WRITES[0]).await, "ok");
    session(port, "initech_app", "portarium").await.batch_execute("TRUNCATE tenant_initech.scratch").await.unwrap();
    world.nothing_is_held().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_refused_reads_go_on_and_every_acl_comes_back() {
    on(&World::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_on_every_version_found() {
    for (_, programs) in crate::support::server::installed().into_values() {
        on(&World::start_of(&programs).await).await;
        println!("fence on {}", programs.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_between_plan_and_fence_is_noticed_and_nothing_is_half_done() {
    let world = World::start().await;
    furnish(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let machine = world.machine(&folder, "laptop");
    let plan = machine.quiet().plan(&quarantine(), new_id()).await.unwrap();
    let make = "SET ROLE role_initech; CREATE TABLE tenant_initech.late (id int); RESET ROLE";
    world.boss.batch_execute(make).await.unwrap();
    match machine.quiet().start(&plan, "initech").await {
        Err(OpsError::Stale(changed)) => {
            assert!(changed.len() == 1 && changed[0].starts_with("tenant_initech.late: is new"), "{changed:?}");
        }
        other => panic!("{other:?}"),
    }
    // After everything was looked at, when the transaction is about to begin.
    let cases = [
        ("CREATE TABLE tenant_initech.later (id int)", "DROP TABLE tenant_initech.later"),
        ("GRANT UPDATE ON tenant_initech.private TO auditor", "REVOKE UPDATE ON tenant_initech.private FROM auditor"),
        (
            "GRANT UPDATE (id) ON tenant_initech.scratch TO auditor",
            "REVOKE UPDATE (id) ON tenant_initech.scratch FROM auditor",
        ),
        ("GRANT CREATE ON SCHEMA tenant_initech TO auditor", "REVOKE CREATE ON SCHEMA tenant_initech FROM auditor"),
    ];
    for (change, back) in cases {
        let port = world.server.port;
        let operations = machine.operations(true, move |it| {
            if matches!(it, Progress::Journal(entry) if matches!(entry.event, Event::Started { step: 0, .. })) {
                let done = std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(async {
                        let boss = session(port, "postgres", "portarium").await;
                        boss.batch_execute(&format!("SET ROLE role_initech; {change}")).await.unwrap();
                    });
                });
                done.join().unwrap();
            }
        });
        let plan = operations.plan(&quarantine(), new_id()).await.unwrap();
        match operations.start(&plan, "initech").await {
            Ok(Ended::Paused(reason)) => assert!(reason.contains("is not what the plan was made from"), "{reason}"),
            other => panic!("{change}: {other:?}"),
        }
        let now = acls(&world).await;
        // Gone on with, it says what differs, and does nothing.
        match machine.quiet().go_on(&plan.id, Way::Forward, TakeOver::No).await {
            Err(OpsError::Stale(changed)) => assert!(!changed.is_empty(), "{change}"),
            other => panic!("{change}: {other:?}"),
        }
        assert_eq!(acls(&world).await, now, "{change}");
        // Nothing had come of it, so it is over with that.
        let over = machine.quiet().go_on(&plan.id, Way::Back, TakeOver::No).await;
        assert!(matches!(&over, Err(OpsError::Over(_, how)) if how == "refused"), "{change}: {over:?}");
        assert_eq!(acls(&world).await, now, "{change}");
        world.boss.batch_execute(&format!("SET ROLE role_initech; {back}; RESET ROLE")).await.unwrap();
    }
    world.nothing_is_held().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changed_an_acl_behind_the_fence_is_not_overruled() {
    let world = World::start().await;
    furnish(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let operations = world.machine(&folder, "laptop").quiet();
    let before = acls(&world).await;
    let plan = operations.plan(&quarantine(), new_id()).await.unwrap();
    assert_eq!(operations.start(&plan, "initech").await.unwrap(), Ended::Succeeded);
    let change = "SET ROLE role_initech; GRANT INSERT ON tenant_initech.orders TO auditor; RESET ROLE";
    world.boss.batch_execute(change).await.unwrap();
    match operations.go_on(&plan.id, Way::Back, TakeOver::No).await {
        Err(error @ OpsError::InTheWay { .. }) => {
            let reason = error.to_string();
            assert!(reason.contains("somebody changed") && reason.contains("tenant_initech.orders: was"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    // What was made behind it is nobody's business.
    let back = "SET ROLE role_initech; REVOKE INSERT ON tenant_initech.orders FROM auditor; RESET ROLE;
                CREATE TABLE tenant_initech.made_behind (id int)";
    world.boss.batch_execute(back).await.unwrap();
    assert_eq!(operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
    assert_eq!(acls(&world).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_fence_stands_on_is_said_before() {
    let world = World::start().await;
    furnish(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let operations = world.machine(&folder, "laptop").quiet();
    let boss = &world.boss;
    boss.batch_execute(
        "CREATE ROLE etl LOGIN; GRANT pg_write_all_data TO etl; CREATE ROLE dba LOGIN; GRANT role_initech TO dba;
         CREATE TABLE public.outer (id int REFERENCES tenant_initech.orders);
         CREATE TABLE public.above (id int PRIMARY KEY); GRANT REFERENCES ON public.above TO role_initech;
         SET ROLE role_initech; CREATE TABLE tenant_initech.below (id int REFERENCES public.above ON DELETE CASCADE);
         CREATE FUNCTION tenant_initech.write() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM tenant_initech.scratch';
         RESET ROLE;
         CREATE FUNCTION public.past() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM tenant_initech.scratch';
         CREATE FUNCTION public.heard() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
         CREATE EVENT TRIGGER hears ON ddl_command_end EXECUTE FUNCTION public.heard()",
    )
    .await
    .unwrap();
    let plan = operations.plan(&quarantine(), new_id()).await.unwrap();
    let text = plan.text();
    for words in [
        "etl (pg_write_all_data)",
        "dba (role_initech)",
        "can no longer be written: outer_id_fkey (public.\"outer\" refers to orders)",
        "changes outside that would change rows here fail: below_id_fkey",
        "somebody who gets past it: public.past() (postgres)",
        "hears (ddl_command_end)",
        "mean the same and are written differently (because dba may act as role_initech",
        "tenant_initech.numbers: was sequence of role_initech, ACL none",
    ] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    // With others who act as the owner, also what has no ACL is shut.
    assert_eq!(operations.start(&plan, "initech").await.unwrap(), Ended::Succeeded);
    let app = session(world.server.port, "portarium_shared", "portarium").await;
    assert_eq!(ends(&app, "SELECT tenant_initech.write()").await, "42501");
    assert_eq!(ends(&app, "SELECT public.past()").await, "ok", "as was said");
    boss.batch_execute("SET SESSION AUTHORIZATION dba").await.unwrap();
    assert_eq!(ends(boss, "SELECT nextval('tenant_initech.numbers')").await, "42501");
    boss.batch_execute("RESET SESSION AUTHORIZATION").await.unwrap();
    assert_eq!(operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
    assert_eq!(ends(&app, "SELECT tenant_initech.write()").await, "ok");
    // And what forbids it.
    boss.batch_execute(
        "CREATE TABLE tenant_initech.bosses (id int); SET ROLE role_initech;
         GRANT INSERT ON tenant_initech.scratch TO etl WITH GRANT OPTION; SET ROLE etl; GRANT INSERT ON tenant_initech.scratch TO dba; RESET ROLE",
    )
    .await
    .unwrap();
    let said = refusal(&operations, &quarantine()).await;
    for words in ["may not act as postgres", "GRANT postgres TO portarium_admin", "etl has handed privileges on"] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    boss.batch_execute("DROP TABLE tenant_initech.bosses; CREATE TABLE public.parent (id int); ALTER TABLE tenant_initech.scratch INHERIT public.parent")
        .await
        .unwrap();
    assert!(refusal(&operations, &quarantine()).await.contains("scratch is a part of public.parent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_name_nobody_can_read_keeps_nobody_out_of_quarantine() {
    let world = World::start().await;
    furnish(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let operations = world.machine(&folder, "laptop").quiet();
    let nasty = "SET ROLE role_initech; CREATE TABLE tenant_initech.\"a\u{202e}\u{1b}[2J\n$fence$ 'x' \\ \"\"b\" (id int); RESET ROLE";
    world.boss.batch_execute(nasty).await.unwrap();
    let before = acls(&world).await;
    let plan = operations.plan(&quarantine(), new_id()).await.unwrap();
    assert!(plan.text().contains("U&\"a\\+00202E\\+00001B[2J\\+00000A$fence$ 'x' \\\\ \"\"b\""), "{}", plan.text());
    assert_eq!(operations.start(&plan, "initech").await.unwrap(), Ended::Succeeded);
    assert!(acls(&world).await != before);
    assert_eq!(operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
    assert_eq!(acls(&world).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_in_flight_is_waited_out_and_named_and_a_prepared_one_forbids_it() {
    let world = World::start().await;
    furnish(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let said: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let ear = Arc::clone(&said);
    let operations = world.machine(&folder, "laptop").operations(true, move |it| {
        if let Progress::Working { working, .. } = it {
            ear.lock().unwrap().push(working.phase.clone());
        }
    });
    let app = session(world.server.port, "portarium_shared", "portarium").await;
    let plan = operations.plan(&quarantine(), new_id()).await.unwrap();
    app.batch_execute("BEGIN; INSERT INTO tenant_initech.orders VALUES (100001, 1)").await.unwrap();
    let ear = Arc::clone(&said);
    let writer = async {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
        while ear.lock().unwrap().len() < 3 {
            assert!(tokio::time::Instant::now() < deadline, "nobody was named");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        // It is not shut out of its own transaction while it is waited for.
        app.batch_execute("INSERT INTO tenant_initech.orders VALUES (100002, 1); COMMIT").await.unwrap();
    };
    let (ended, ()) = tokio::join!(operations.start(&plan, "initech"), writer);
    assert_eq!(ended.unwrap(), Ended::Succeeded);
    assert_eq!(world.number("SELECT count(*) FROM tenant_initech.orders WHERE id > 100000").await, 2);
    let said = said.lock().unwrap().join("\n");
    assert!(said.contains("waiting for 1 writer to end: session ") && said.contains("of portarium_shared"), "{said}");
    // Every try is in the audit log.
    let audit = tierdeck::ops::audit::Audit::at(&folder.path().join("laptop")).verify().unwrap().0;
    let failed = audit.iter().filter(|line| line.record.what == "failed").count();
    let tried = audit.iter().filter(|line| line.record.what == "attempt").count();
    assert!(failed > 0 && tried > failed, "{tried} {failed}");
    assert_eq!(operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_has_a_name_like_a_tenants_login_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start().await;
    furnish(&world).await;
    world.boss.batch_execute("REVOKE role_initech FROM initech_app").await.unwrap();
    let operations = world.machine(&folder, "laptop").quiet();
    let platforms = session(world.server.port, "initech_app", "portarium").await;
    let plan = operations.plan(&quarantine(), new_id()).await.unwrap();
    assert!(!plan.text().contains("initech_app"), "{}", plan.text());
    assert_eq!(operations.start(&plan, "initech").await.unwrap(), Ended::Succeeded);
    assert_eq!(ends(&platforms, "SELECT 1").await, "ok");
    assert_eq!(world.number("SELECT count(*) FROM pg_roles WHERE rolname = 'initech_app' AND rolcanlogin").await, 1);
    assert_eq!(operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_account_of_everybody_goes_in_as_well_that_is_said_and_can_be_shut_too() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start().await;
    let operations = world.machine(&folder, "laptop").quiet();
    let app = session(world.server.port, "portarium_shared", "portarium").await;
    let acme = Intent::Quarantine(Quarantining { tenant: tenant("acme"), instance: shared() });
    let insert = "INSERT INTO tenant_acme.orders VALUES (100001, 1)";
    let start = world.settled().await;
    let login = operations.plan(&acme, new_id()).await.unwrap();
    let text = login.text();
    assert!(text.contains("portarium_shared, which everybody works as, may use its schema as well"), "{text}");
    assert_eq!(operations.start(&login, "acme").await.unwrap(), Ended::Succeeded);
    assert_eq!(ends(&app, insert).await, "ok");
    let fence = operations.plan(&acme, new_id()).await.unwrap();
    assert_eq!(operations.start(&fence, "acme").await.unwrap(), Ended::Succeeded);
    assert_eq!(ends(&app, insert).await, "42501");
    for id in [&fence.id, &login.id] {
        assert_eq!(operations.go_on(id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
    }
    world.boss.batch_execute("DELETE FROM tenant_acme.orders WHERE id = 100001").await.unwrap();
    assert_eq!(world.settled().await, start);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_prepared_forbids_it_and_what_is_prepared_meanwhile_is_waited_for_and_named() {
    let world = World::start().await;
    furnish(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine { patience_ms: 1_000, budget_ms: 1_500, ..world.machine(&folder, "laptop") };
    let app = session(world.server.port, "portarium_shared", "portarium").await;
    let prepared = async |sql: &str, name: &str| {
        app.batch_execute(&format!("BEGIN; {sql}; PREPARE TRANSACTION '{name}'")).await.unwrap();
    };
    let before = acls(&world).await;
    for sql in ["INSERT INTO tenant_initech.orders VALUES (100001, 1)", "SELECT nextval('tenant_initech.items_id_seq')"]
    {
        prepared(sql, "left").await;
        let said = refusal(&machine.quiet(), &quarantine()).await;
        assert!(
            said.contains("the prepared transaction \"left\" has written here and waits: COMMIT PREPARED"),
            "{said}"
        );
        app.batch_execute("ROLLBACK PREPARED 'left'").await.unwrap();
    }
    prepared("INSERT INTO tenant_acme.orders VALUES (100001, 1)", "others").await;
    let plan = machine.quiet().plan(&quarantine(), new_id()).await.unwrap();
    assert!(plan.text().contains("prepared transactions that hold nothing here: others"), "{}", plan.text());
    // Prepared when everything had been looked at: its lock is waited for, in vain, and nothing is half done.
    prepared("INSERT INTO tenant_initech.orders VALUES (100002, 1)", "meanwhile").await;
    let said: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let ear = Arc::clone(&said);
    let operations = machine.operations(true, move |it| {
        if let Progress::Working { working, .. } = it {
            ear.lock().unwrap().push(working.phase.clone());
        }
    });
    // The look before finds it too, so it is begun past that: what is tried here is the lock.
    match operations.start(&plan, "initech").await {
        Err(OpsError::Stale(why)) => {
            assert!(why.join(" ").contains("the prepared transaction \"meanwhile\""), "{why:?}");
        }
        other => panic!("{other:?}"),
    }
    app.batch_execute("COMMIT PREPARED 'meanwhile'").await.unwrap();
    let late = |sql: &'static str| {
        let (port, done, ear) = (world.server.port, std::sync::Once::new(), Arc::clone(&said));
        machine.operations(true, move |it| match it {
            Progress::Working { working, .. } => ear.lock().unwrap().push(working.phase.clone()),
            Progress::Audited { .. } => done.call_once(|| {
                let other = std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(async {
                        let app = session(port, "portarium_shared", "portarium").await;
                        app.batch_execute(&format!("BEGIN; {sql}; PREPARE TRANSACTION 'late'")).await.unwrap();
                    });
                });
                other.join().unwrap();
            }),
            _ => {}
        })
    };
    for (sql, words) in [
        ("INSERT INTO tenant_initech.orders VALUES (100003, 1)", "was not waited out; nothing was done"),
        // No table's lock waits for this one.
        (
            "SELECT nextval('tenant_initech.items_id_seq')",
            "is still open, and may have drawn from a sequence or make something: a prepared transaction",
        ),
    ] {
        let operations = late(sql);
        let plan = operations.plan(&quarantine(), new_id()).await.unwrap();
        match operations.start(&plan, "initech").await {
            Ok(Ended::Paused(reason)) => assert!(reason.contains(words), "{reason}"),
            other => panic!("{sql}: {other:?}"),
        }
        app.batch_execute("COMMIT PREPARED 'late'").await.unwrap();
        assert_eq!(
            machine.quiet().go_on(&plan.id, Way::Forward, TakeOver::No).await.unwrap(),
            Ended::Succeeded,
            "{sql}"
        );
        assert_eq!(machine.quiet().go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
        assert_eq!(acls(&world).await, before, "{sql}");
    }
    assert_eq!(world.number("SELECT count(*) FROM tenant_initech.orders WHERE id > 100000").await, 2);
    let said = said.lock().unwrap().join("\n");
    assert!(said.contains("session of a prepared transaction"), "{said}");
    app.batch_execute("ROLLBACK PREPARED 'others'").await.unwrap();
    world.nothing_is_held().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_objects_are_in_no_schema_and_the_plan_says_so() {
    let world = World::start().await;
    furnish(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let operations = world.machine(&folder, "laptop").quiet();
    let make = "SET ROLE role_initech; CREATE TABLE tenant_initech.scans (doc oid); SELECT lo_create(0), lo_create(0); RESET ROLE";
    world.boss.batch_execute(make).await.unwrap();
    let text = operations.plan(&quarantine(), new_id()).await.unwrap().text();
    for words in [
        "these are not shut, for whoever owns them: role_initech (2)",
        "may name large objects, which are not shut: scans.doc",
    ] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
}

/// What every console is told, by the login that watches: nothing while writers are only waited for; since when it stands, not
/// since when it was tried; that it is meant, once it is done.
#[tokio::test(flavor = "multi_thread")]
async fn every_console_is_told_of_a_fence_from_when_it_stands() {
    let world = World::start().await;
    furnish(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let machine = world.machine(&folder, "laptop");
    let desk = super::cli::Desk::new(&world);
    let told = || {
        let said = tokio::task::block_in_place(|| desk.run("findings --json"));
        let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
        assert!(said["unknown"].as_array().unwrap().iter().all(|it| it["signal"] != "fence-held"), "{said}");
        said["findings"].as_array().unwrap().iter().find(|it| it["signal"] == "fence-held").cloned()
    };
    let app = session(world.server.port, "portarium_shared", "portarium").await;
    app.batch_execute("BEGIN; INSERT INTO tenant_initech.orders VALUES (100001, 1)").await.unwrap();
    let (waits, pause) = (Arc::new(std::sync::atomic::AtomicBool::new(false)), machine.quiet().pause);
    let (seen, stop) = (Arc::clone(&waits), Arc::clone(&pause));
    let mut operations = machine.operations(true, move |it| match it {
        Progress::Working { .. } => seen.store(true, std::sync::atomic::Ordering::SeqCst),
        Progress::Effect { step: 0 } => stop.store(true, std::sync::atomic::Ordering::SeqCst),
        _ => {}
    });
    operations.pause = pause;
    let plan = operations.plan(&quarantine(), new_id()).await.unwrap();
    let raised = plan.clone();
    let raising = tokio::spawn(async move { operations.start(&raised, "initech").await });
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while !waits.load(std::sync::atomic::Ordering::SeqCst) {
        assert!(tokio::time::Instant::now() < deadline && !raising.is_finished(), "it waits for the writer");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(told(), None, "who writes is waited for, and not refused");
    let tried = "SELECT count(*) FROM tierdeck.operation WHERE refused_since IS NOT NULL AND refused_budget IS NULL";
    assert_eq!(world.number(tried).await, 1);
    let ended: jiff::Timestamp = world.boss.query_one("SELECT clock_timestamp()", &[]).await.unwrap().get(0);
    app.batch_execute("COMMIT").await.unwrap();
    assert!(matches!(raising.await.unwrap().unwrap(), Ended::Paused(_)));
    let since = "SELECT refused_since FROM tierdeck.operation WHERE refused_budget = 20";
    let stands: jiff::Timestamp = world.boss.query_one(since, &[]).await.unwrap().get(0);
    assert!(stands > ended, "it counts from when it stands: {stands}, {ended}");
    let held = told().unwrap();
    assert_eq!((&held["severity"], &held["subject"]["id"]), (&"critical".into(), &plan.id.as_str().into()), "{held}");
    assert!(held["summary"].as_str().unwrap().contains("writes to initech are refused for"), "{held}");
    assert_eq!(machine.quiet().go_on(&plan.id, Way::Forward, TakeOver::No).await.unwrap(), Ended::Succeeded);
    let meant = told().unwrap();
    assert_eq!(meant["severity"], "info", "{meant}");
    assert!(meant["summary"].as_str().unwrap().contains("writes are refused, and that is meant"), "{meant}");
    assert_eq!(machine.quiet().go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
    assert_eq!(told(), None);
}
