//! What only the server, or nobody, would have refused after something was made: refused before anything is touched.

use std::path::Path;
use std::sync::Arc;

use tierdeck::clients::vault::Expected;
use tierdeck::domain::{InstanceName, Layout};
use tierdeck::ops::act::{Intent, Quarantining, Throttling};
use tierdeck::ops::estate::Place;
use tierdeck::ops::provision::Provisioning;
use tierdeck::ops::{Operations, OpsError};

use super::cli::Desk;
use super::tenancy::{Town, by_hand, limits};
use super::world::{ADMIN, World, new_id, shared, tenant};

async fn refusal(operations: &Operations, intent: &Intent) -> String {
    match operations.plan(intent, new_id()).await {
        Err(error @ OpsError::Refused(_)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Beside its own instance there is another.
fn beside(town: &Town, folder: &Path, name: &str, with: impl FnOnce(&mut Place)) -> Operations {
    let mut operations = town.machine(folder, name).quiet();
    let mut estate = (*operations.estate).clone();
    let mut place = estate.places[0].clone();
    place.instance = InstanceName::new(name);
    with(&mut place);
    estate.places.push(place);
    operations.estate = Arc::new(estate);
    operations
}

fn in_database(place: &mut Place, database: &str) {
    let admin = place.admin.as_mut().unwrap();
    admin.target = admin.target.with_database(database);
}

fn bare() -> Provisioning {
    Provisioning {
        tenant: tenant("hooli"),
        instance: shared(),
        own_login: false,
        limits: limits(),
        creators: Vec::new(),
        address: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn input_that_the_server_would_not_take() {
    let town = Town::start().await;
    let home = tempfile::tempdir().unwrap();
    let operations = town.machine(home.path(), "laptop").quiet();
    town.world.boss.batch_execute("CREATE ROLE migrator").await.unwrap();
    let start = town.image(home.path()).await;
    let by = |creators: &[&str]| {
        let creators = creators.iter().map(|name| (*name).to_owned()).collect();
        Intent::Provision(Provisioning { creators, ..bare() })
    };
    let said = refusal(&operations, &by(&[ADMIN, "typo", "migrator"])).await;
    assert!(said.contains("there is no role typo, which is to make tables in tenant_hooli"), "{said}");
    assert!(said.contains("GRANT migrator TO portarium_admin"), "{said}");
    assert!(!said.contains(&format!("no role {ADMIN}")), "{said}");
    operations.plan(&by(&[ADMIN, "role_hooli"]), new_id()).await.expect("its own role is only to be made");
    let mut large = bare();
    large.limits.connection_limit = Some(3_000_000_000);
    assert!(refusal(&operations, &Intent::Provision(large)).await.contains("the policy's connection_limit is larger"));
    let throttling = |connections, statement_timeout_ms| {
        Intent::Throttle(Throttling { tenant: tenant("acme"), instance: shared(), connections, statement_timeout_ms })
    };
    for intent in [throttling(3_000_000_000, None), throttling(5, Some(3_000_000_000))] {
        assert!(refusal(&operations, &intent).await.contains("PostgreSQL takes no limit beyond 2147483647"));
    }
    let desk = Desk::new(&town.world);
    desk.says("--allow-actions act throttle acme --connections 3000000000 --confirm acme", 2);
    assert!(!desk.home.path().join("state/operations").exists());
    assert_eq!(town.image(home.path()).await, start);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_home_is_not_made() {
    let town = Town::start().await;
    let home = tempfile::tempdir().unwrap();
    let boss = &town.world.boss;
    for database in ["other", "db_hooli"] {
        boss.batch_execute(&format!("CREATE DATABASE {database} OWNER {ADMIN}")).await.unwrap();
    }
    let hooli = Intent::Provision(bare());
    // An instance of its own.
    let own = beside(&town, home.path(), "hooli-own", |place| place.only = Some(tenant("hooli")));
    assert!(refusal(&own, &hooli).await.contains("the [[instance]] hooli-own is its own"));
    // Another shared one, of either layout.
    let other = beside(&town, home.path(), "shared-2", |place| in_database(place, "other"));
    other.plan(&hooli, new_id()).await.expect("it is not there yet");
    let there = crate::support::watcher::session(town.world.server.port, "postgres", "other").await;
    there.batch_execute("CREATE SCHEMA tenant_hooli").await.unwrap();
    assert!(refusal(&other, &hooli).await.contains("hooli has a home: the schema tenant_hooli on shared-2"));
    let databases = beside(&town, home.path(), "shared-3", |place| {
        in_database(place, "other");
        place.layout = Layout::Database;
    });
    assert!(refusal(&databases, &hooli).await.contains("hooli has a home: the database db_hooli on shared-3"));
    // One that cannot be asked is not taken for empty; one that can only be watched is named.
    let gone = beside(&town, home.path(), "shared-4", |place| in_database(place, "nowhere"));
    let said = refusal(&gone, &hooli).await;
    assert!(said.contains("a second one is not risked: shared-4: "), "{said}");
    let watched = beside(&town, home.path(), "shared-5", |place| place.admin = Err("only to be watched".to_owned()));
    let text = watched.plan(&hooli, new_id()).await.unwrap().text();
    assert!(text.contains("nobody looked whether hooli has a home on shared-5"), "{text}");
    // Where it is to get no secret, one that is there says that it has a home.
    let operations = town.machine(home.path(), "laptop").quiet();
    operations.plan(&hooli, new_id()).await.unwrap();
    let vault = town.vault(home.path());
    vault.write("tenants/hooli/db", &by_hand("tenant_hooli"), Expected::Nothing).await.unwrap();
    assert!(refusal(&operations, &hooli).await.contains("there is a secret secret/tenants/hooli/db (version 1)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_createrole_may_alter_nobody() {
    let folders = crate::support::server::installed();
    for (_, programs) in folders.values() {
        let world = World::start_of(programs).await;
        let folder = tempfile::tempdir().unwrap();
        let operations = world.machine(&folder, "laptop").quiet();
        let throttling = super::world::throttle("acme");
        let of = |id: &str| Intent::Quarantine(Quarantining { tenant: tenant(id), instance: shared() });
        // A tenant on the shared account with a login beside its role: the fence bars that one.
        let admin = crate::support::watcher::session(world.server.port, ADMIN, "portarium").await;
        admin.batch_execute("CREATE ROLE initech_app LOGIN; GRANT role_initech TO initech_app").await.unwrap();
        drop(admin);
        for intent in [&throttling, &of("acme"), &of("initech")] {
            operations.plan(intent, new_id()).await.unwrap();
        }
        let version = world.number("SELECT current_setting('server_version_num')::int8").await;
        world.boss.batch_execute(&format!("ALTER ROLE {ADMIN} NOCREATEROLE")).await.unwrap();
        for intent in [&throttling, &of("acme"), &of("initech")] {
            let said = refusal(&operations, intent).await;
            assert!(said.contains(&format!("ALTER ROLE {ADMIN} CREATEROLE")), "{version}: {said}");
        }
        println!("may alter: {version}");
    }
    let town = Town::start().await;
    let home = tempfile::tempdir().unwrap();
    town.settle(home.path()).await;
    let operations = town.machine(home.path(), "laptop").quiet();
    town.world.boss.batch_execute(&format!("ALTER ROLE {ADMIN} NOCREATEROLE")).await.unwrap();
    let said = refusal(&operations, &super::tenancy::deprovision("hooli")).await;
    assert!(said.contains("may not act for role_hooli, or drop it: ALTER ROLE portarium_admin CREATEROLE"), "{said}");
}
