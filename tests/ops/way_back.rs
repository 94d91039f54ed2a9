//! The way back is gone whole or not at all: what stands in its way is asked before anything is touched.

use tierdeck::ops::{Ended, OpsError, TakeOver, Way};

use super::cli::Desk;
use super::tenancy::{Town, deprovision, provision};
use super::world::{World, new_id, throttle};
use crate::support::watcher::SECRET;

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_lives_is_not_half_unmade() {
    let town = Town::start().await;
    let home = tempfile::tempdir().unwrap();
    let operations = town.machine(home.path(), "laptop").quiet();
    let start = town.image(home.path()).await;
    let plan = operations.plan(&provision("hooli", true), new_id()).await.unwrap();
    assert_eq!(operations.start(&plan, "hooli").await.unwrap(), Ended::Succeeded);
    let made = town.image(home.path()).await;
    let boss = &town.world.boss;
    for (make, unmake, words) in [
        (
            "SET ROLE role_hooli; CREATE TABLE tenant_hooli.orders (id int); RESET ROLE",
            "DROP TABLE tenant_hooli.orders",
            "somebody made 1 object in tenant_hooli",
        ),
        // Of kinds that are neither tables nor functions nor types.
        (
            "CREATE TEXT SEARCH CONFIGURATION tenant_hooli.words (COPY = simple)",
            "DROP TEXT SEARCH CONFIGURATION tenant_hooli.words",
            "somebody made 1 object in tenant_hooli",
        ),
        (
            "GRANT SELECT ON tenant_acme.orders TO role_hooli",
            "REVOKE SELECT ON tenant_acme.orders FROM role_hooli",
            "rights or objects outside of its schema",
        ),
    ] {
        boss.batch_execute(make).await.unwrap();
        let refused = operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap_err();
        assert!(matches!(refused, OpsError::InTheWay { .. }) && refused.is_refusal(), "{refused}");
        assert!(refused.to_string().contains(words), "{make}: {refused}");
        boss.batch_execute(unmake).await.unwrap();
        assert_eq!(
            town.image(home.path()).await,
            made,
            "{make}: its login, its secret and its rights are as they were"
        );
        town.world.nothing_is_held().await;
    }
    // It goes on living: its own login works, and what the refusal recommends can be done.
    let secret = town.vault(home.path()).read("tenants/hooli/db").await.unwrap().unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(town.world.server.port).user("role_hooli").dbname("portarium");
    config.password(secret.fields.text("password").unwrap());
    let (hooli, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    hooli.batch_execute("CREATE TABLE orders (id int)").await.unwrap();
    assert!(operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap_err().is_refusal());
    operations.plan(&deprovision("hooli"), new_id()).await.unwrap();
    hooli.batch_execute("DROP TABLE orders").await.unwrap();
    drop(hooli);
    assert_eq!(operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
    assert_eq!(town.image(home.path()).await, start);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changed_stays_and_what_is_in_force_can_be_let_go_of() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let operations = world.machine(&folder, "laptop").quiet();
    let plan = operations.plan(&throttle("acme"), new_id()).await.unwrap();
    assert_eq!(operations.start(&plan, "acme").await.unwrap(), Ended::Succeeded);
    world.boss.batch_execute("ALTER ROLE role_acme CONNECTION LIMIT 33").await.unwrap();
    let refused = operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap_err().to_string();
    assert!(refused.contains(&format!("ops abandon {0} --confirm {0}", plan.id)), "{refused}");
    // As it was said: mended it goes back.
    world.boss.batch_execute("ALTER ROLE role_acme CONNECTION LIMIT 5").await.unwrap();
    assert_eq!(operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
    // Or it is let go of, and then it is in force no longer.
    let plan = operations.plan(&throttle("acme"), new_id()).await.unwrap();
    assert_eq!(operations.start(&plan, "acme").await.unwrap(), Ended::Succeeded);
    world.boss.batch_execute("ALTER ROLE role_acme CONNECTION LIMIT 33").await.unwrap();
    let acme = super::world::tenant("acme");
    assert!(operations.undoable("throttle", &acme, None).await.unwrap().is_some());
    assert_eq!(operations.go_on(&plan.id, Way::Abandon, TakeOver::No).await.unwrap(), Ended::Abandoned);
    assert!(operations.undoable("throttle", &acme, None).await.unwrap().is_none());
    let over = operations.go_on(&plan.id, Way::Back, TakeOver::No).await;
    assert!(matches!(over, Err(OpsError::Over(..))), "{over:?}");
    assert!(world.settled().await.contains("role_acme | t | 33 |"));
    world.nothing_is_held().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_command_line_it_is_shown_and_asked_for() {
    let world = World::start().await;
    let desk = Desk::new(&world);
    let start = world.settled().await;
    desk.says("--allow-actions act throttle acme --connections 7 --confirm acme", 0);
    let throttled = world.settled().await;
    let list: serde_json::Value = serde_json::from_str(&desk.says("ops list --json", 0).0).unwrap();
    let id = list["operations"][0]["id"].as_str().unwrap().to_owned();
    // Shown: also to somebody who may change nothing.
    let (text, _) = desk.says(&format!("ops rollback {id} --plan"), 0);
    assert!(text.contains("ALTER ROLE \"role_acme\" CONNECTION LIMIT 40;") && text.contains("type acme"), "{text}");
    let shown: serde_json::Value =
        serde_json::from_str(&desk.says(&format!("ops rollback {id} --plan --json"), 0).0).unwrap();
    assert!(shown["operation"] == id.as_str() && shown["in_the_way"].is_null(), "{shown:#}");
    // A line that was pasted does nothing, and says what would.
    for (line, words) in [
        (format!("ops rollback {id} --confirm acme"), "--allow-actions"),
        (format!("--allow-actions ops rollback {id}"), "--confirm acme"),
        (format!("--allow-actions ops rollback {id} --confirm globex"), "nothing was done"),
        (format!("--allow-actions ops rollback {id} --confirm acme --take-over acme"), "--take-over"),
    ] {
        let (out, err) = desk.says(&line, 3);
        assert!(err.contains(words) && out.is_empty() && !err.contains(SECRET), "{line}: {out}{err}");
    }
    assert_eq!(world.settled().await, throttled);
    // What stands in its way is said before anybody types.
    world.boss.batch_execute("ALTER ROLE role_acme CONNECTION LIMIT 33").await.unwrap();
    let (text, err) = desk.says(&format!("ops rollback {id} --plan"), 3);
    assert!(text.contains("CONNECTION LIMIT 40") && err.contains("somebody changed the limits"), "{text}{err}");
    assert!(
        desk.says(&format!("--allow-actions ops rollback {id} --confirm acme"), 3).1.contains("nothing was touched")
    );
    world.boss.batch_execute("ALTER ROLE role_acme CONNECTION LIMIT 7").await.unwrap();
    assert!(desk.says(&format!("--allow-actions ops rollback {id} --confirm acme"), 0).0.contains("rolled back"));
    assert_eq!(world.settled().await, start);
    assert!(desk.says(&format!("--allow-actions ops rollback {id}"), 3).1.contains("is over"));
    assert!(desk.says(&format!("ops rollback {id} --plan"), 3).1.contains("is over"));
    desk.says("ops rollback 261122-081033-aaaa --plan", 2);
}
