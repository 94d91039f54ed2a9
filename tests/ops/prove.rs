//! Proven by trying: what holds is held, what was broken on purpose is said to be, and nothing is left of whoever tried.

use std::collections::BTreeMap;

use tierdeck::ops::act::Intent;
use tierdeck::ops::guardrails::Wanted;
use tierdeck::ops::plan::Plan;
use tierdeck::ops::prove::{Evidence, Proving, Verdict};
use tierdeck::ops::{Ended, Operations, OpsError, TakeOver, Way};

use super::actions::{promised, refusal, told};
use super::world::{ADMIN, World, new_id, shared, tenant, throttle};
use crate::support::watcher::session;

/// What the policy of this world wants.
fn policy() -> Wanted {
    let settings =
        [("statement_timeout", "30s"), ("lock_timeout", "5s"), ("idle_in_transaction_session_timeout", "60s")];
    let settings = settings.map(|(name, text)| (name.to_owned(), text.to_owned()));
    Wanted { connections: Some(40), settings: BTreeMap::from(settings) }
}

/// Proves a tenant's limits, those that are longer shortened to so many milliseconds.
pub fn prove(id: &str, shortened_ms: Option<u64>) -> Intent {
    Intent::Prove(Proving { tenant: tenant(id), instance: shared(), policy: policy(), shortened_ms, all: false })
}

/// Gives logins everything that the policy wants.
pub async fn guarded(world: &World) {
    for login in ["role_acme", "portarium_shared"] {
        let sql = format!(
            "ALTER ROLE {login} SET statement_timeout = '30s'; ALTER ROLE {login} SET lock_timeout = '5s';
             ALTER ROLE {login} SET idle_in_transaction_session_timeout = '1min'"
        );
        world.boss.batch_execute(&sql).await.unwrap();
    }
    world.boss.batch_execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC").await.unwrap();
}

async fn proven(operations: &Operations, intent: &Intent) -> (Plan, Evidence) {
    let plan = operations.plan(intent, new_id()).await.unwrap();
    assert_eq!(operations.start(&plan, &plan.confirm).await.unwrap(), Ended::Succeeded);
    let evidence = Evidence::of(&operations.story(&plan.id).await.unwrap()).unwrap();
    (plan, evidence)
}

fn verdicts(evidence: &Evidence) -> BTreeMap<&str, Verdict> {
    evidence.controls.iter().map(|control| (control.control.as_str(), control.verdict)).collect()
}

fn not_held(evidence: &Evidence) -> Vec<&str> {
    let held = |verdict: Verdict| verdict != Verdict::Held;
    evidence.controls.iter().filter(|it| held(it.verdict)).map(|it| it.control.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_is_proven_and_nothing_is_left() {
    let world = World::start().await;
    guarded(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let machine = world.machine(&folder, "laptop");
    let operations = machine.quiet();
    let start = world.settled().await;
    let intent = prove("acme", Some(200));
    let plan = operations.plan(&intent, new_id()).await.unwrap();
    let text = plan.text();
    for words in [
        "prove the limits and the isolation of acme on shared: its login role_acme",
        "CREATE ROLE \"tierdeck_prove_",
        "NOLOGIN CONNECTION LIMIT 2;",
        "'<SCRAM verifier of a password made for this step and forgotten with it>'",
        "beside 2 other sessions of it: log in",
        "SELECT pg_catalog.pg_sleep(1.2)",
        "DELETE FROM \"tenant_globex\".\"orders\" WHERE false; ROLLBACK",
        "type acme",
    ] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    assert_eq!(world.settled().await, start, "a plan changes nothing");
    let (plan, evidence) = proven(&operations, &intent).await;
    assert_eq!(world.settled().await, start);
    world.nothing_is_held().await;
    assert_eq!(not_held(&evidence), [""; 0], "{evidence:#?}");
    assert_eq!(evidence.verdict, Verdict::Held);
    assert_eq!(evidence.controls.len(), 10);
    assert!(evidence.temporary_login_removed && !evidence.login_is_shared && evidence.login == "role_acme");
    // In the server's own words.
    let said = |control: &str| {
        let found = evidence.controls.iter().find(|it| it.control == control).unwrap();
        let last = found.answers.last().unwrap();
        (last.code.clone().unwrap(), last.message.clone(), last.seconds)
    };
    for (control, code, words) in [
        ("connection limit", "53300", "too many connections for role \"tierdeck_prove_"),
        ("statement_timeout", "57014", "canceling statement due to statement timeout"),
        ("lock_timeout", "55P03", "canceling statement due to lock timeout"),
        ("idle_in_transaction_session_timeout", "25P03", "terminating connection due to idle-in-transaction timeout"),
        ("isolation: read", "42501", "permission denied for schema tenant_globex"),
        ("isolation: write", "42501", "permission denied for schema tenant_globex"),
        ("isolation: list", "42501", "permission denied for schema tenant_globex"),
        ("isolation: create in public", "42501", "permission denied for schema public"),
    ] {
        let (was, message, seconds) = said(control);
        assert!(was == code && message.starts_with(words), "{control}: {was} {message}");
        assert!(!control.ends_with("timeout") || (0.14..1.2).contains(&seconds), "{control}: {seconds}");
    }
    let markdown = evidence.markdown();
    for words in [
        "# Limits and isolation of acme: held",
        "shortened",
        &evidence.system_identifier,
        "removed again",
        "a session may raise its own timeouts",
        "ann@laptop",
    ] {
        assert!(markdown.contains(words), "{words:?} is not in\n{markdown}");
    }
    // What the server was told is what the plan says, in its order; of the password it got the verifier alone.
    let mut heard = told(&world, &plan).into_iter().filter(|sql| !sql.is_empty());
    for line in promised(&plan) {
        let said = line.rsplit_once(": ").filter(|_| line.starts_with("-- ")).map_or(line.as_str(), |(_, said)| said);
        if said == "log in" || said.contains("nothing, for") {
            continue;
        }
        for part in said.split("; ").filter(|part| !["BEGIN READ WRITE", "ROLLBACK", "BEGIN"].contains(part)) {
            let next = heard.next().unwrap_or_else(|| panic!("{part}: was not told"));
            match part.split_once("'<SCRAM verifier") {
                Some((before, _)) => assert!(next.starts_with(&format!("{before}'SCRAM-SHA-256$")), "{next}"),
                None => assert_eq!(next, part),
            }
        }
    }
    assert_eq!(heard.collect::<Vec<_>>(), ["SELECT 1"; 0]);
    // There is nothing in force, and nothing to undo.
    let story = operations.story(&plan.id).await.unwrap();
    assert!(!story.in_force() && !tierdeck::ops::report::Report::of(&story).can_roll_back);
    assert!(matches!(operations.go_on(&plan.id, Way::Back, TakeOver::No).await, Err(OpsError::Over(..))));
    assert_eq!(world.settled().await, start);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_really_waited_for_where_nobody_asks_for_less() {
    let world = World::start().await;
    guarded(&world).await;
    let short = "ALTER ROLE role_acme SET statement_timeout = '2s'; ALTER ROLE role_acme SET lock_timeout = '1500ms';
                 ALTER ROLE role_acme SET idle_in_transaction_session_timeout = '2500'";
    world.boss.batch_execute(short).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (_, evidence) = proven(&world.machine(&folder, "laptop").quiet(), &prove("acme", None)).await;
    assert_eq!(not_held(&evidence), ["limits as the policy wants them"], "{evidence:#?}");
    let policy = &evidence.controls[0];
    assert!(policy.why.contains("statement_timeout is 2s, the policy wants 30s"), "{}", policy.why);
    for (control, least) in
        [("statement_timeout", 1.9), ("lock_timeout", 1.4), ("idle_in_transaction_session_timeout", 2.4)]
    {
        let found = evidence.controls.iter().find(|it| it.control == control).unwrap();
        assert!(found.note.is_none() && found.answers[0].seconds >= least, "{found:#?}");
    }
}

/// Each control broken on purpose, and the others with it as they were.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_broken_on_purpose_is_said_to_be() {
    let world = World::start().await;
    guarded(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let operations = world.machine(&folder, "laptop").quiet();
    let every = "isolation: every other tenant";
    let wanted = "limits as the policy wants them";
    for (sql, undo, broken) in [
        (
            "ALTER ROLE role_acme CONNECTION LIMIT -1",
            "ALTER ROLE role_acme CONNECTION LIMIT 40",
            vec![wanted, "connection limit"],
        ),
        (
            "ALTER ROLE role_acme RESET lock_timeout; ALTER ROLE role_acme SET statement_timeout = 0",
            "ALTER ROLE role_acme SET lock_timeout = '5s'; ALTER ROLE role_acme SET statement_timeout = '30s'",
            vec![wanted, "statement_timeout", "lock_timeout"],
        ),
        (
            "ALTER ROLE role_acme RESET idle_in_transaction_session_timeout",
            "ALTER ROLE role_acme SET idle_in_transaction_session_timeout = '60s'",
            vec![wanted, "idle_in_transaction_session_timeout"],
        ),
        // Nothing that is read or written where it is tried, but a right all the same.
        (
            "GRANT USAGE ON SCHEMA tenant_initech TO role_acme; GRANT SELECT (total) ON tenant_initech.orders TO role_acme",
            "REVOKE ALL ON SCHEMA tenant_initech FROM role_acme; REVOKE ALL ON tenant_initech.orders FROM role_acme",
            vec![every],
        ),
        (
            "GRANT USAGE ON SCHEMA tenant_globex TO role_acme; GRANT SELECT ON tenant_globex.orders TO PUBLIC",
            "REVOKE ALL ON SCHEMA tenant_globex FROM role_acme; REVOKE ALL ON tenant_globex.orders FROM PUBLIC",
            vec!["isolation: read", "isolation: list", every],
        ),
        (
            "GRANT USAGE ON SCHEMA tenant_globex TO role_acme; GRANT INSERT ON tenant_globex.orders TO role_acme",
            "REVOKE ALL ON SCHEMA tenant_globex FROM role_acme; REVOKE ALL ON tenant_globex.orders FROM role_acme",
            vec!["isolation: write", "isolation: list", every],
        ),
        (
            "GRANT CREATE ON SCHEMA public TO PUBLIC",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
            vec!["isolation: create in public"],
        ),
    ] {
        world.boss.batch_execute(sql).await.unwrap();
        let before = world.settled().await;
        let rows = world.number("SELECT count(*) FROM tenant_globex.orders").await;
        let (_, evidence) = proven(&operations, &prove("acme", Some(100))).await;
        assert_eq!(not_held(&evidence), broken, "{sql}: {evidence:#?}");
        assert!(verdicts(&evidence).into_values().all(|verdict| verdict != Verdict::NotProven), "{sql}: {evidence:#?}");
        assert_eq!(evidence.verdict, Verdict::NotHeld);
        assert!(evidence.markdown().contains("**NOT HELD**"));
        assert_eq!(world.settled().await, before, "{sql}: it left something");
        assert_eq!(world.number("SELECT count(*) FROM tenant_globex.orders").await, rows);
        world.boss.batch_execute(undo).await.unwrap();
    }
    let (_, evidence) = proven(&operations, &prove("acme", Some(100))).await;
    assert_eq!(evidence.verdict, Verdict::Held, "{evidence:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_works_as_everybody_is_not_kept_from_anybody() {
    let world = World::start().await;
    guarded(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let operations = world.machine(&folder, "laptop").quiet();
    let start = world.settled().await;
    let (plan, evidence) = proven(&operations, &prove("initech", Some(100))).await;
    assert!(evidence.login_is_shared && evidence.login == "portarium_shared");
    assert_eq!(
        not_held(&evidence),
        ["isolation: read", "isolation: write", "isolation: list", "isolation: every other tenant"],
        "{evidence:#?}"
    );
    assert!(
        plan.warnings.iter().any(|it| it.contains("its limits are those of all tenants together")),
        "{:?}",
        plan.warnings
    );
    assert_eq!(world.settled().await, start);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_proven_is_refused_before_anything_is_made() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let operations = world.machine(&folder, "laptop").quiet();
    let start = world.settled().await;
    assert!(refusal(&operations, &prove("nobody", None)).await.contains("has no login that nobody works as"));
    world.boss.batch_execute("ALTER ROLE role_acme SUPERUSER").await.unwrap();
    assert!(refusal(&operations, &prove("acme", None)).await.contains("is a superuser"));
    world.boss.batch_execute("ALTER ROLE role_acme NOSUPERUSER").await.unwrap();
    // Hardly any room left: the trial would take somebody's place.
    let mut crowd = Vec::new();
    while crowd.len() < 48 {
        crowd.push(session(world.server.port, "role_globex", "portarium").await);
        if crowd.len() == 40 {
            world.boss.batch_execute("ALTER ROLE role_globex CONNECTION LIMIT -1").await.unwrap();
        }
    }
    let said = refusal(&operations, &prove("acme", None)).await;
    assert!(said.contains("connections are free on the server"), "{said}");
    drop(crowd);
    world.until_zero("SELECT count(*) FROM pg_stat_activity WHERE usename = 'role_globex'").await;
    world.boss.batch_execute("ALTER ROLE role_globex CONNECTION LIMIT 40").await.unwrap();
    // Somebody's role in the way is left alone; one of an earlier proof is named.
    let id = new_id();
    let name = tierdeck::ops::prove::login_of(&id);
    let admin = session(world.server.port, ADMIN, "portarium").await;
    admin.batch_execute(&format!("CREATE ROLE {name}")).await.unwrap();
    let plan = operations.plan(&prove("acme", Some(100)), id).await.unwrap();
    assert!(plan.warnings.iter().any(|it| it.contains(&name)), "{:?}", plan.warnings);
    match operations.start(&plan, "acme").await {
        Ok(Ended::Paused(reason)) => assert!(reason.contains("did not make: it is left alone"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
    assert_eq!(world.number(&format!("SELECT count(*) FROM pg_roles WHERE rolname = '{name}'")).await, 1);
    admin.batch_execute(&format!("DROP ROLE {name}")).await.unwrap();
    assert_eq!(world.settled().await, start);
    // A throttle's limits are proven as what they are.
    let throttled = operations.plan(&throttle("acme"), new_id()).await.unwrap();
    operations.start(&throttled, "acme").await.unwrap();
    let plan = operations.plan(&prove("acme", None), new_id()).await.unwrap();
    assert!(plan.text().contains(&format!("throttled by operation {}", throttled.id)), "{}", plan.text());
}

/// A process dies while it waits: its session sleeps on, its login stays until somebody goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_sleeps_on_is_ended_by_whoever_goes_on() {
    use super::matrix::{Work, points, run};
    let world = World::start().await;
    guarded(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let start = world.settled().await;
    let machine = world.machine(&folder, "laptop");
    let plan = machine.quiet().plan(&prove("acme", Some(3_000)), new_id()).await.unwrap();
    let _ = points;
    // The line before its second trial's answers: while it sleeps.
    for way in [Way::Forward, Way::Back] {
        let machine = world.machine(&folder, &format!("{way:?}"));
        let plan = machine.quiet().plan(&plan.intent, new_id()).await.unwrap();
        let name = tierdeck::ops::prove::login_of(&plan.id);
        let sleeping = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = '{name}' AND query LIKE '%pg_sleep%' AND state = 'active'"
        );
        let errand = super::matrix::Errand {
            machine: machine.clone(),
            work: Work::Start(Box::new(plan.clone())),
            at: 0,
            freeze: false,
        };
        let mut child = super::matrix::send(&errand).spawn().unwrap();
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
        while world.number(&sleeping).await == 0 {
            assert!(tokio::time::Instant::now() < deadline, "it never slept");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(world.number(&format!("SELECT count(*) FROM pg_roles WHERE rolname = '{name}'")).await, 1);
        // Whoever looks is told of it by name, and which operation it is of.
        let other = machine.quiet().plan(&prove("globex", Some(100)), new_id()).await.unwrap();
        assert!(other.warnings.iter().any(|it| it.contains(&name)), "{:?}", other.warnings);
        let ended = machine.quiet().go_on(&plan.id, way, TakeOver::No).await.unwrap();
        assert_eq!(ended, if way == Way::Forward { Ended::Succeeded } else { Ended::RolledBack });
        assert_eq!(world.settled().await, start, "{way:?}");
        let evidence = Evidence::of(&machine.quiet().story(&plan.id).await.unwrap()).unwrap();
        assert!(evidence.temporary_login_removed);
        assert_eq!(evidence.verdict, if way == Way::Forward { Verdict::Held } else { Verdict::NotProven });
    }
    let _ = run;
}

/// Not a superuser anywhere: CREATEROLE means less from 16 on.
#[tokio::test(flavor = "multi_thread")]
async fn limits_are_proven_on_every_version() {
    for (_, programs) in crate::support::server::installed().into_values() {
        let world = World::start_of(&programs).await;
        guarded(&world).await;
        let folder = tempfile::tempdir().unwrap();
        let operations = world.machine(&folder, "laptop").quiet();
        let start = world.settled().await;
        for id in ["acme", "initech"] {
            let (_, evidence) = proven(&operations, &prove(id, Some(100))).await;
            let limits =
                ["connection limit", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"];
            let found = verdicts(&evidence);
            assert!(limits.iter().all(|name| found[name] == Verdict::Held), "{programs:?}: {evidence:#?}");
            assert_eq!(found["isolation: read"] == Verdict::Held, id == "acme", "{programs:?}: {evidence:#?}");
        }
        assert_eq!(world.settled().await, start, "{programs:?}");
        println!("prove on {}", programs.display());
    }
}
