//! Guardrails: policy against actual, for some and for all; what is unset stays another thing than what is set.

use std::collections::BTreeMap;

use tierdeck::ops::act::Intent;
use tierdeck::ops::guardrails::{Guarding, Wanted};
use tierdeck::ops::{Ended, OpsError, TakeOver, Way};

use super::actions::{promised, refusal, told};
use super::world::{World, new_id, shared, tenant};

fn wanted(connections: u32) -> Wanted {
    let settings =
        [("statement_timeout", "30s"), ("lock_timeout", "5s"), ("idle_in_transaction_session_timeout", "60s")];
    let settings = settings.map(|(name, text)| (name.to_owned(), text.to_owned()));
    Wanted { connections: Some(connections), settings: BTreeMap::from(settings) }
}

/// For these, or for all: 25 connections, globex 80.
pub fn guard(ids: &[&str]) -> Intent {
    Intent::Guard(Guarding {
        instance: shared(),
        tenants: ids.iter().map(|id| tenant(id)).collect(),
        policy: wanted(25),
        own: BTreeMap::from([(tenant("globex"), wanted(80))]),
    })
}

/// As the world began.
pub async fn unguard(world: &World) {
    for id in ["acme", "globex"] {
        let sql = format!(
            "ALTER ROLE role_{id} RESET ALL; ALTER ROLE role_{id} SET statement_timeout = '30s'; ALTER ROLE role_{id} CONNECTION LIMIT 40"
        );
        world.boss.batch_execute(&sql).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_wants_is_applied_where_it_binds_and_undone_exactly() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let operations = world.machine(&folder, "laptop").quiet();
    world.boss.batch_execute("ALTER ROLE role_globex SET lock_timeout = '5000'").await.unwrap();
    let start = world.settled().await;
    let said = refusal(&operations, &guard(&["initech"])).await;
    assert!(said.contains("works as portarium_shared") && said.contains("would bind nobody"), "{said}");
    assert!(refusal(&operations, &guard(&["nobody"])).await.contains("has no login of nobody"));
    let one = operations.plan(&guard(&["acme"]), new_id()).await.unwrap();
    assert_eq!(one.confirm, "acme");
    let plan = operations.plan(&guard(&[]), new_id()).await.unwrap();
    assert_eq!(plan.confirm, "shared", "who changes everybody says of which instance");
    assert_eq!(
        promised(&plan),
        [
            "ALTER ROLE \"role_acme\" CONNECTION LIMIT 25",
            "ALTER ROLE \"role_acme\" SET idle_in_transaction_session_timeout = '60s'",
            "ALTER ROLE \"role_acme\" SET lock_timeout = '5s'",
            "ALTER ROLE \"role_globex\" CONNECTION LIMIT 80",
            "ALTER ROLE \"role_globex\" SET idle_in_transaction_session_timeout = '60s'",
        ],
        "what is there is left as it was written"
    );
    let text = plan.text();
    for words in [
        "role_acme: lock_timeout = not set",
        "ALTER ROLE \"role_acme\" RESET lock_timeout;",
        "no limit of theirs would bind anybody: 1 tenant: initech",
        "may raise its own timeouts",
    ] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    assert!(matches!(operations.start(&plan, "acme,globex").await, Err(OpsError::Shut(_))));
    assert_eq!(operations.start(&plan, "shared").await.unwrap(), Ended::Succeeded);
    assert_eq!(told(&world, &plan), promised(&plan));
    let image = world.settled().await;
    assert!(
        image.contains(
            "role_acme | t | 25 | {statement_timeout=30s,idle_in_transaction_session_timeout=60s,lock_timeout=5s}"
        ),
        "{image}"
    );
    assert!(refusal(&operations, &guard(&[])).await.contains("has what the policy wants"));
    assert_eq!(operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
    assert_eq!(world.settled().await, start);
    // Changed since, it is not overruled; stale, it is refused.
    let plan = operations.plan(&guard(&["acme"]), new_id()).await.unwrap();
    world.boss.batch_execute("ALTER ROLE role_acme SET lock_timeout = '1s'").await.unwrap();
    match operations.start(&plan, "acme").await {
        Err(OpsError::Stale(changed)) => assert_eq!(changed, ["role_acme: lock_timeout: was not set, is 1s"]),
        other => panic!("{other:?}"),
    }
    let plan = operations.plan(&guard(&["acme"]), new_id()).await.unwrap();
    assert_eq!(operations.start(&plan, "acme").await.unwrap(), Ended::Succeeded);
    world.boss.batch_execute("ALTER ROLE role_acme CONNECTION LIMIT 33").await.unwrap();
    match operations.go_on(&plan.id, Way::Back, TakeOver::No).await {
        Err(error @ OpsError::InTheWay { .. }) => {
            assert!(error.to_string().contains("role_acme has CONNECTION LIMIT 33"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_logins_are_changed_some_at_a_time() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let machine = world.machine(&folder, "laptop");
    let sql = "DO $$ BEGIN FOR i IN 100..299 LOOP EXECUTE format('CREATE ROLE role_many_%s LOGIN', i);
               EXECUTE format('GRANT role_many_%s TO portarium_admin WITH ADMIN OPTION', i); END LOOP; END $$";
    world.boss.batch_execute(sql).await.unwrap();
    let operations = machine.quiet();
    let start = world.settled().await;
    let plan = operations.plan(&guard(&[]), new_id()).await.unwrap();
    assert_eq!(plan.steps.len(), 11);
    operations.pause.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(matches!(operations.start(&plan, "shared").await.unwrap(), Ended::Paused(_)));
    assert_eq!(machine.quiet().go_on(&plan.id, Way::Forward, TakeOver::No).await.unwrap(), Ended::Succeeded);
    assert_eq!(world.number("SELECT count(*) FROM pg_roles WHERE rolconnlimit = 25").await, 201);
    assert_eq!(machine.quiet().go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
    assert_eq!(world.settled().await, start);
}
