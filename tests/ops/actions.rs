//! The incident actions: what they do, what they refuse, that the server was told what the plan says and nothing else.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tierdeck::domain::SessionKey;
use tierdeck::ops::act::{Aim, Intent, Quarantining, Signal, Signalling, Throttling, Vacuuming};
use tierdeck::ops::audit::Audit;
use tierdeck::ops::gate::Shut;
use tierdeck::ops::journal::{Event, Operator};
use tierdeck::ops::plan::Plan;
use tierdeck::ops::report::Report;
use tierdeck::ops::step::Script;
use tierdeck::ops::{Ended, Operations, OpsError, Progress, TakeOver, Way};

use super::world::{World, key_of, new_id, shared, signal, tenant, throttle};
use crate::support::watcher::session;

/// Everything that the plan says it will run.
pub fn promised(plan: &Plan) -> Vec<String> {
    plan.steps.iter().flat_map(|step| step.forward.lines()).collect()
}

/// What the server was told under the operation's name, but for how the engine holds and lets go.
pub fn told(world: &World, plan: &Plan) -> Vec<String> {
    let mut told = world.logged(&plan.id.application_name());
    told.retain(|sql| {
        let engine = [
            "BEGIN",
            "COMMIT",
            "ROLLBACK",
            "SELECT current_setting(",
            "SELECT pg_try_advisory_lock",
            "SELECT 1 FROM tierdeck.operation",
        ];
        !engine.iter().any(|begin| sql.starts_with(begin))
    });
    told
}

pub async fn refusal(operations: &Operations, intent: &Intent) -> String {
    match operations.plan(intent, new_id()).await {
        Err(error @ OpsError::Refused(_)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttle_does_what_its_plan_says_and_its_undo_brings_back_what_was() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let machine = world.machine(&folder, "laptop");
    let start = world.settled().await;
    let noted: Arc<Mutex<Vec<Progress>>> = Arc::default();
    let ear = Arc::clone(&noted);
    let operations = machine.operations(true, move |it| ear.lock().unwrap().push(it.clone()));
    let plan = operations.plan(&throttle("acme"), new_id()).await.unwrap();
    let promises = promised(&plan);
    assert!(promises[0].starts_with("ALTER ROLE \"role_acme\" /* changes nothing"), "{promises:?}");
    assert!(promises[1].contains("r.rolconnlimit = 40") && promises[1].contains(" = '30s'"), "{promises:?}");
    assert_eq!(
        promises[2..],
        ["ALTER ROLE \"role_acme\" CONNECTION LIMIT 5", "ALTER ROLE \"role_acme\" SET statement_timeout = '5000ms'"]
    );
    let text = plan.text();
    for words in [
        "throttle acme on shared",
        "holds       tenant acme",
        "role_acme: connection limit = 40",
        "ALTER ROLE \"role_acme\" CONNECTION LIMIT 40;",
        "SET statement_timeout = '30s';",
        "type acme",
        &plan.sha256(),
    ] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    // Read-only, or typed wrong: nothing happens, not even a journal.
    let shut = machine.operations(false, |_| {}).start(&plan, "acme").await;
    assert!(matches!(shut, Err(OpsError::Shut(Shut::ReadOnly))), "{shut:?}");
    let wrong = operations.start(&plan, "globex").await;
    assert!(matches!(wrong, Err(OpsError::Shut(Shut::NotConfirmed { .. }))), "{wrong:?}");
    assert!(!operations.folder.exists() && world.settled().await == start);
    assert_eq!(world.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'tierdeck'").await, 0);

    assert_eq!(operations.start(&plan, "acme").await.unwrap(), Ended::Succeeded);
    assert_eq!(told(&world, &plan), promised(&plan), "the server was told what the plan says");
    assert!(noted.lock().unwrap().iter().any(|it| matches!(it, Progress::Effect { step: 0 })));
    let image = world.settled().await;
    assert!(image.contains("role_acme | t | 5 | {statement_timeout=5000ms}"), "{image}");
    world.nothing_is_held().await;
    let story = operations.story(&plan.id).await.unwrap();
    let report = Report::of(&story);
    assert!(report.can_roll_back && report.state == "succeeded" && report.markdown().contains("CONNECTION LIMIT 5;"));
    // Nobody but the admin sees any of it.
    let tenant = session(world.server.port, "role_acme", "portarium").await;
    assert!(tenant.query("SELECT * FROM tierdeck.operation", &[]).await.is_err());
    drop(tenant);

    assert_eq!(operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
    assert_eq!(world.settled().await, start);
    // Once more is refused: it is over. And what was said of it is the same there and here.
    let again = operations.go_on(&plan.id, Way::Back, TakeOver::No).await;
    assert!(matches!(again, Err(OpsError::Over(..))), "{again:?}");
    let (lines, head) = Audit::at(&machine.state).verify().unwrap();
    let said: Vec<&str> = lines.iter().map(|line| line.record.what.as_str()).collect();
    assert_eq!(said, ["attempt", "done", "attempt", "done"]);
    assert_eq!(lines[0].record.statements, promised(&plan));
    let control = operations.look_at_control().await.unwrap().unwrap();
    let head = head.unwrap();
    let operator = Operator { user: "ann".to_owned(), host: machine.host.clone(), version: String::new() };
    let known = control.heads(&operator).await.unwrap();
    assert_eq!(known.len(), 4);
    assert_eq!(known[3], (head.chain, head.seq, head.hash));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_no_longer_true_is_refused_with_what_changed() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let operations = world.machine(&folder, "laptop").quiet();
    let plan = operations.plan(&throttle("acme"), new_id()).await.unwrap();
    world.boss.batch_execute("ALTER ROLE role_acme CONNECTION LIMIT 17").await.unwrap();
    let start = world.settled().await;
    match operations.start(&plan, "acme").await {
        Err(OpsError::Stale(changed)) => assert_eq!(changed, ["role_acme: connection limit: was 40, is 17"]),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.settled().await, start);
    world.nothing_is_held().await;
    assert!(told(&world, &plan).is_empty());
    // What somebody changed after us is not overwritten by an undo.
    let plan = operations.plan(&throttle("acme"), new_id()).await.unwrap();
    assert_eq!(operations.start(&plan, "acme").await.unwrap(), Ended::Succeeded);
    world.boss.batch_execute("ALTER ROLE role_acme CONNECTION LIMIT 33").await.unwrap();
    match operations.go_on(&plan.id, Way::Back, TakeOver::No).await {
        Err(error @ OpsError::InTheWay { .. }) => {
            assert!(error.to_string().contains("somebody changed the limits"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert!(world.settled().await.contains("role_acme | t | 33 |"));
    world.nothing_is_held().await;
    assert_eq!(operations.go_on(&plan.id, Way::Abandon, TakeOver::No).await.unwrap(), Ended::Abandoned);
    world.nothing_is_held().await;
    // A plan that was changed after it was approved is another plan.
    let mut forged = operations.plan(&throttle("globex"), new_id()).await.unwrap();
    forged.steps[0].forward = Script::sql(0, vec!["ALTER ROLE role_globex SUPERUSER".to_owned()]);
    let refused = operations.start(&forged, "globex").await;
    assert!(matches!(refused, Err(OpsError::Drifted(_))), "{refused:?}");
}

/// Somebody else's statement at the very last moment: everything was looked at, and the effect is about to be tried.
fn meanwhile(world: &World, sql: &'static str) -> impl Fn(&Progress) + Send + Sync + 'static {
    let (port, done) = (world.server.port, std::sync::Once::new());
    move |it| {
        if matches!(it, Progress::Audited { .. }) {
            done.call_once(|| {
                let other = std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(async {
                        session(port, "postgres", "portarium").await.batch_execute(sql).await.unwrap();
                    });
                });
                other.join().unwrap();
            });
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_colleague_did_between_the_look_and_the_effect_is_neither_overwritten_nor_undone() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let machine = world.machine(&folder, "laptop");
    let barred = Intent::Quarantine(Quarantining { tenant: tenant("acme"), instance: shared() });
    for (intent, sql, kept) in [
        (throttle("acme"), "ALTER ROLE role_acme CONNECTION LIMIT 17", "role_acme | t | 17 | {statement_timeout=30s}"),
        // The very same as we would have.
        (throttle("acme"), "ALTER ROLE role_acme CONNECTION LIMIT 5", "role_acme | t | 5 | {statement_timeout=30s}"),
        (
            throttle("acme"),
            "ALTER ROLE role_acme SET statement_timeout = '7s'",
            "role_acme | t | 40 | {statement_timeout=7s}",
        ),
        (throttle("acme"), "ALTER ROLE role_acme RESET statement_timeout", "role_acme | t | 40 | ∅"),
        (barred, "ALTER ROLE role_acme NOLOGIN", "role_acme | f | 40 | {statement_timeout=30s}"),
    ] {
        world.forget().await;
        let operations = machine.operations(true, meanwhile(&world, sql));
        let plan = operations.plan(&intent, new_id()).await.unwrap();
        match operations.start(&plan, "acme").await {
            Ok(Ended::Paused(reason)) => assert!(reason.contains("meanwhile; nothing was done"), "{sql}: {reason}"),
            other => panic!("{sql}: {other:?}"),
        }
        assert!(world.settled().await.contains(kept), "{sql}");
        // The server said that nothing came of it: there is nothing to undo, and their work is not taken for ours.
        assert_eq!(operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack, "{sql}");
        assert!(world.settled().await.contains(kept), "{sql}");
        world.nothing_is_held().await;
        // And gone on with, the plan is held against what is there now.
        world.forget().await;
        let operations = machine.operations(true, meanwhile(&world, sql));
        let plan = operations.plan(&intent, new_id()).await.unwrap();
        assert!(matches!(operations.start(&plan, "acme").await, Ok(Ended::Paused(_))), "{sql}");
        let stale = operations.go_on(&plan.id, Way::Forward, TakeOver::No).await;
        assert!(matches!(stale, Err(OpsError::Stale(_))), "{sql}: {stale:?}");
        assert!(world.settled().await.contains(kept), "{sql}");
        world.nothing_is_held().await;
    }
    // A colleague who has not come to an end is waited for, and then it fails as a whole.
    world.forget().await;
    let other = session(world.server.port, "postgres", "portarium").await;
    let operations = machine.quiet();
    let plan = operations.plan(&throttle("acme"), new_id()).await.unwrap();
    other.batch_execute("BEGIN; ALTER ROLE role_acme CONNECTION LIMIT 21").await.unwrap();
    let waits = "SELECT (count(*) = 0)::int::int8 FROM pg_stat_activity WHERE application_name LIKE 'tierdeck op %' AND wait_event_type = 'Lock'";
    let (ended, ()) = tokio::join!(operations.start(&plan, "acme"), async {
        world.until_zero(waits).await;
        other.batch_execute("COMMIT").await.unwrap();
    });
    assert!(matches!(ended, Ok(Ended::Paused(_))), "{ended:?}");
    assert!(world.settled().await.contains("role_acme | t | 21 | {statement_timeout=30s}"));
    assert_eq!(operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_bind_nobody_or_is_somebody_elses_is_refused_with_what_to_do_instead() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let operations = world.machine(&folder, "laptop").quiet();
    let said = refusal(&operations, &throttle("initech")).await;
    assert!(said.contains("works as portarium_shared") && said.contains("terminate-idle"), "{said}");
    let said = refusal(&operations, &throttle("nobody")).await;
    assert!(said.contains("has no login role_nobody"), "{said}");
    world
        .boss
        .batch_execute("ALTER ROLE role_globex IN DATABASE portarium SET statement_timeout = '9s'")
        .await
        .unwrap();
    assert!(refusal(&operations, &throttle("globex")).await.contains("in the database portarium"));
    // A schema of that name that is not ours is left alone.
    world.boss.batch_execute("CREATE SCHEMA tierdeck").await.unwrap();
    let plan = operations.plan(&throttle("acme"), new_id()).await.unwrap();
    let refused = operations.start(&plan, "acme").await.unwrap_err();
    assert!(refused.is_refusal() && refused.to_string().contains("does not bear our mark"), "{refused}");
    assert_eq!(world.number("SELECT count(*) FROM pg_class WHERE relnamespace = 'tierdeck'::regnamespace").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_ended_by_pid_and_start_and_only_those() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let operations = world.machine(&folder, "laptop").quiet();
    let port = world.server.port;
    let victim = session(port, "role_acme", "portarium").await;
    let bystander = session(port, "role_acme", "portarium").await;
    let key = key_of(&victim).await;
    // The same pid, begun at another time, is somebody else.
    let other = SessionKey { started: key.started + jiff::SignedDuration::from_micros(1), ..key };
    assert!(
        refusal(&operations, &signal(Signal::Terminate, vec![other], None))
            .await
            .contains("it is gone, or the pid is another's")
    );
    assert!(refusal(&operations, &signal(Signal::Cancel, vec![key], None)).await.contains("runs no statement"));
    let said = refusal(&operations, &signal(Signal::Terminate, vec![key], Some(tenant("globex")))).await;
    assert!(said.contains("not certainly globex's: it is acme's"), "{said}");
    // Cancelled: the statement ends, the session stays.
    let running = tokio::spawn(async move {
        let cancelled = victim.batch_execute("SELECT pg_sleep(600)").await.unwrap_err();
        assert_eq!(cancelled.code().unwrap().code(), "57014");
        victim
    });
    until_active(&world, key.pid).await;
    let plan = operations.plan(&signal(Signal::Cancel, vec![key], Some(tenant("acme"))), new_id()).await.unwrap();
    assert_eq!(plan.confirm, key.pid.to_string());
    assert_eq!(operations.start(&plan, &plan.confirm).await.unwrap(), Ended::Succeeded);
    assert_eq!(told(&world, &plan), promised(&plan));
    let victim = running.await.unwrap();
    assert_eq!(key_of(&victim).await, key, "the session is still there");
    // Another statement than the one that was seen is not hit.
    let running = tokio::spawn(async move { (victim.batch_execute("SELECT pg_sleep(600)").await, victim) });
    until_active(&world, key.pid).await;
    assert!(matches!(operations.start(&cancel_again(&plan), &plan.confirm).await, Err(OpsError::Stale(_))));
    // Terminated: gone, and nobody else is.
    let plan = operations.plan(&signal(Signal::Terminate, vec![key], None), new_id()).await.unwrap();
    assert!(
        plan.text().contains("no way back") && plan.text().contains("whose = acme (login role)"),
        "{}",
        plan.text()
    );
    assert_eq!(operations.start(&plan, &plan.confirm).await.unwrap(), Ended::Succeeded);
    assert!(running.await.unwrap().0.is_err());
    assert_eq!(world.number("SELECT count(*) FROM pg_stat_activity WHERE usename = 'role_acme'").await, 1);
    key_of(&bystander).await;
    let back = operations.go_on(&plan.id, Way::Back, TakeOver::No).await;
    assert!(matches!(back, Err(OpsError::NoWayBack { step: 0 })), "{back:?}");
}

/// The same plan under another name, as somebody would have who was slow to approve it.
fn cancel_again(plan: &Plan) -> Plan {
    Plan { id: new_id(), ..plan.clone() }
}

async fn until_active(world: &World, pid: i32) {
    world.until_zero(&format!("SELECT 1 - count(*) FROM pg_stat_activity WHERE pid = {pid} AND state = 'active' AND query LIKE '%pg_sleep%'")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_aimed_at_ourselves_at_superusers_or_at_maintenance() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let operations = world.machine(&folder, "laptop").quiet();
    let port = world.server.port;
    let aim = |key| signal(Signal::Terminate, vec![key], None);
    assert!(refusal(&operations, &aim(key_of(&world.boss).await)).await.contains("a superuser's"));
    // Another console's polling session; and a tenant that only calls itself so.
    let console = session(port, "tierdeck", "portarium").await;
    console.batch_execute("SET application_name = 'tierdeck'").await.unwrap();
    assert!(refusal(&operations, &aim(key_of(&console).await)).await.contains("tierdeck's own"));
    let liar = session(port, "role_acme", "portarium").await;
    liar.batch_execute("SET application_name = 'tierdeck'").await.unwrap();
    let plan = operations.plan(&aim(key_of(&liar).await), new_id()).await.unwrap();
    assert_eq!(operations.start(&plan, &plan.confirm).await.unwrap(), Ended::Succeeded);
    let sql = "SELECT pid, backend_start FROM pg_stat_activity WHERE backend_type = 'checkpointer'";
    let row = world.boss.query_one(sql, &[]).await.unwrap();
    let checkpointer = SessionKey { pid: row.get(0), started: row.get(1) };
    assert!(refusal(&operations, &aim(checkpointer)).await.contains("is a checkpointer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_transactions_of_a_tenant_are_those_that_certainly_are_its() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let operations = world.machine(&folder, "laptop").quiet();
    let port = world.server.port;
    let open = async |user: &str, application: &str, sql: &str| {
        let client = session(port, user, "portarium").await;
        client.batch_execute(&format!("SET application_name = '{application}'; BEGIN; {sql}")).await.unwrap();
        client
    };
    let touch = |id: &str| format!("UPDATE tenant_{id}.orders SET total = 1 WHERE id = 1");
    // By its locks, by its login; one that only says so, one of another tenant, one that does not idle.
    let by_locks = open("portarium_shared", "", &touch("acme")).await;
    let by_login = open("role_acme", "", "SELECT 1").await;
    let claims = open("portarium_shared", "acme", "SELECT 1").await;
    let others = open("portarium_shared", "acme", &touch("globex")).await;
    let calm = session(port, "role_acme", "portarium").await;
    let idle = |longer_than| {
        Intent::Signal(Signalling {
            signal: Signal::Terminate,
            instance: shared(),
            aim: Aim::Idle { tenant: tenant("acme"), longer_than },
            even_system: false,
        })
    };
    assert!(refusal(&operations, &idle(3_600)).await.contains("idle in a transaction for so long"));
    let plan = operations.plan(&idle(0), new_id()).await.unwrap();
    assert_eq!(plan.confirm, "acme");
    let mut aimed = promised(&plan);
    assert!(aimed.iter().all(|sql| sql.contains("xact_start = ")), "{aimed:?}");
    for client in [&claims, &others, &calm] {
        key_of(client).await;
    }
    assert_eq!(aimed.len(), 2, "{aimed:?}");
    assert_eq!(operations.start(&plan, "acme").await.unwrap(), Ended::Succeeded);
    for client in [&claims, &others, &calm] {
        key_of(client).await;
    }
    for client in [&by_locks, &by_login] {
        assert!(client.batch_execute("SELECT 1").await.is_err());
    }
    let mut said = told(&world, &plan);
    aimed.sort();
    said.sort();
    assert_eq!(said, aimed);
}

/// A session that goes on to another transaction just before it would be hit is not hit, and nobody says that it is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_went_on_is_not_said_to_be_gone() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let victim = Arc::new(session(world.server.port, "role_acme", "portarium").await);
    victim.batch_execute("BEGIN; SELECT 1").await.unwrap();
    let key = key_of(&victim).await;
    let moving = Arc::clone(&victim);
    let operations = world.machine(&folder, "laptop").operations(true, move |it| {
        if matches!(it, Progress::Journal(entry) if matches!(entry.event, Event::Started { .. })) {
            let moved = async { moving.batch_execute("COMMIT; BEGIN; SELECT 2").await.unwrap() };
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(moved));
        }
    });
    let aim = Aim::Idle { tenant: tenant("acme"), longer_than: 0 };
    let intent = Intent::Signal(Signalling { signal: Signal::Terminate, instance: shared(), aim, even_system: false });
    let plan = operations.plan(&intent, new_id()).await.unwrap();
    assert_eq!(operations.start(&plan, "acme").await.unwrap(), Ended::Succeeded);
    assert_eq!(key_of(&victim).await, key, "it is still there");
    let output = operations.story(&plan.id).await.unwrap().status.steps[0].output.clone().unwrap();
    assert_eq!((&output["went_on"], &output["ended"]), (&json!([key.pid]), &json!([])), "{output}");
}

/// What an operation did not set, others may set: it is undone all the same, and theirs stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_throttle_leaves_alone_what_it_did_not_set() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let operations = world.machine(&folder, "laptop").quiet();
    let intent = Intent::Throttle(Throttling {
        tenant: tenant("acme"),
        instance: shared(),
        connections: 5,
        statement_timeout_ms: None,
    });
    let plan = operations.plan(&intent, new_id()).await.unwrap();
    assert_eq!(operations.start(&plan, "acme").await.unwrap(), Ended::Succeeded);
    world.boss.batch_execute("ALTER ROLE role_acme SET statement_timeout = '7s'").await.unwrap();
    assert_eq!(operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
    assert!(world.settled().await.contains("role_acme | t | 40 | {statement_timeout=7s}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vacuum_is_done_and_looked_at() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let operations = world.machine(&folder, "laptop").quiet();
    let of = |schema: &str, table: &str| {
        let (schema, table) = (schema.to_owned(), table.to_owned());
        Intent::Vacuum(Vacuuming { instance: shared(), database: None, schema, table })
    };
    assert!(refusal(&operations, &of("tenant_acme", "nosuch")).await.contains("there is no table"));
    world
        .boss
        .batch_execute(
            "ALTER DATABASE portarium OWNER TO postgres; CREATE TABLE public.bosses (id int); CREATE TABLE public.\"a\u{202e}b\" (id int)",
        )
        .await
        .unwrap();
    assert!(refusal(&operations, &of("public", "bosses")).await.contains("may not vacuum it"));
    // Who owns the database may, whosever the table is.
    let mine =
        "ALTER DATABASE portarium OWNER TO portarium_admin; ALTER TABLE public.\"a\u{202e}b\" OWNER TO portarium_admin";
    world.boss.batch_execute(mine).await.unwrap();
    assert_eq!(operations.plan(&of("public", "bosses"), new_id()).await.unwrap().kind, "vacuum");
    assert!(refusal(&operations, &of("public", "a\u{202e}b")).await.contains("cannot be shown"));
    let plan = operations.plan(&of("tenant_acme", "orders"), new_id()).await.unwrap();
    assert_eq!(plan.subjects[0].key(), "tenant acme");
    assert_eq!(operations.start(&plan, "tenant_acme.orders").await.unwrap(), Ended::Succeeded);
    assert_eq!(told(&world, &plan), ["VACUUM (ANALYZE) \"tenant_acme\".\"orders\""]);
    let vacuums = "SELECT vacuum_count FROM pg_stat_all_tables WHERE relid = 'tenant_acme.orders'::regclass";
    assert_eq!(world.number(vacuums).await, 1);
    let story = operations.story(&plan.id).await.unwrap();
    assert_eq!(story.status.steps[0].output.as_ref().unwrap()["dead_rows_after"], 0);
    // One that takes its time says how far it is.
    let big = "CREATE TABLE tenant_acme.big AS SELECT i, repeat('x', 500) AS t FROM generate_series(1, 60000) i;
               ALTER TABLE tenant_acme.big OWNER TO role_acme;
               ALTER ROLE portarium_admin SET vacuum_cost_delay = '10ms'; ALTER ROLE portarium_admin SET vacuum_cost_limit = 200";
    world.boss.batch_execute(big).await.unwrap();
    let said: Arc<Mutex<Vec<i64>>> = Arc::default();
    let ear = Arc::clone(&said);
    let listening = world.machine(&folder, "laptop").operations(true, move |it| {
        if let Progress::Working { working, .. } = it {
            ear.lock().unwrap().push(working.total);
        }
    });
    let plan = listening.plan(&of("tenant_acme", "big"), new_id()).await.unwrap();
    assert_eq!(listening.start(&plan, "tenant_acme.big").await.unwrap(), Ended::Succeeded);
    let said = said.lock().unwrap();
    assert!(said.iter().any(|total| *total > 1_000), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_found_as_an_admin_that_is_no_superuser() {
    let folders = crate::support::server::installed();
    assert!(!folders.is_empty());
    for (_, programs) in folders.values() {
        let world = World::start_of(programs).await;
        let folder = tempfile::tempdir().unwrap();
        let operations = world.machine(&folder, "laptop").quiet();
        let start = world.settled().await;
        let plan = operations.plan(&throttle("acme"), new_id()).await.unwrap();
        assert_eq!(operations.start(&plan, "acme").await.unwrap(), Ended::Succeeded, "{programs:?}");
        assert_eq!(operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
        assert_eq!(world.settled().await, start, "{programs:?}");
        let victim = session(world.server.port, "role_acme", "portarium").await;
        let key = key_of(&victim).await;
        let plan =
            operations.plan(&signal(Signal::Terminate, vec![key], Some(tenant("acme"))), new_id()).await.unwrap();
        assert_eq!(operations.start(&plan, &plan.confirm).await.unwrap(), Ended::Succeeded, "{programs:?}");
        let vacuum = Intent::Vacuum(Vacuuming {
            instance: shared(),
            database: None,
            schema: "tenant_acme".to_owned(),
            table: "orders".to_owned(),
        });
        let plan = operations.plan(&vacuum, new_id()).await.unwrap();
        assert_eq!(operations.start(&plan, &plan.confirm).await.unwrap(), Ended::Succeeded, "{programs:?}");
        // From 16 on, CREATEROLE does not reach a login that somebody else made.
        world.boss.batch_execute("CREATE ROLE role_hooli LOGIN").await.unwrap();
        let hooli = Intent::Throttle(Throttling {
            tenant: tenant("hooli"),
            instance: shared(),
            connections: 5,
            statement_timeout_ms: None,
        });
        if world.number("SELECT current_setting('server_version_num')::int8").await >= 160_000 {
            assert!(
                refusal(&operations, &hooli).await.contains("GRANT role_hooli TO portarium_admin WITH ADMIN OPTION")
            );
        } else {
            operations.plan(&hooli, new_id()).await.unwrap();
        }
        println!("actions on {}", programs.display());
    }
    println!("actions: {} versions", folders.len());
}
