//! What is dropped is what was exported: nothing that came since, and nothing of somebody who only says that he is one of us.

use std::sync::Once;

use tierdeck::ops::{Ended, TakeOver, Way};

use super::tenancy::{Town, deprovision};
use super::world::new_id;
use crate::support::watcher::session;

/// Runs SQL as whoever owns the server, from wherever it is called.
fn meanwhile(port: u16, sql: &'static str) {
    let other = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { session(port, "postgres", "portarium").await.batch_execute(sql).await.unwrap() });
    });
    other.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_was_opened_or_made_anew_since_is_not_dropped() {
    let town = Town::start().await;
    let home = tempfile::tempdir().unwrap();
    let port = town.world.server.port;
    for (number, sql) in [
        "GRANT INSERT ON tenant_hooli.orders TO role_hooli",
        "ALTER ROLE role_hooli LOGIN",
        "DROP SCHEMA tenant_hooli CASCADE; CREATE SCHEMA tenant_hooli AUTHORIZATION role_hooli; CREATE TABLE tenant_hooli.orders ()",
    ]
    .into_iter()
    .enumerate()
    {
        town.settle(home.path()).await;
        let machine = town.machine(home.path(), &format!("laptop{number}"));
        let plan = machine.quiet().plan(&deprovision("hooli"), new_id()).await.unwrap();
        let (manifest, once) = (machine.work().join(plan.id.as_str()).join("manifest.json"), Once::new());
        let operations = machine.operations(true, move |_| {
            if manifest.exists() {
                once.call_once(|| meanwhile(port, sql));
            }
        });
        let ended = operations.start(&plan, "hooli").await.unwrap();
        assert!(matches!(&ended, Ended::Paused(why) if why.contains("is not as it was exported")), "{sql}: {ended:?}");
        let there = "SELECT count(*) FROM pg_class WHERE oid = to_regclass('tenant_hooli.orders')";
        assert_eq!(town.world.number(there).await, 1, "{sql}");
        // Nor later.
        let ended = machine.quiet().go_on(&plan.id, Way::Forward, TakeOver::No).await.unwrap();
        assert!(matches!(&ended, Ended::Paused(why) if why.contains("is not as it was exported")), "{sql}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_called_like_ours_is_ended_as_everybodys_is() {
    let town = Town::start().await;
    let home = tempfile::tempdir().unwrap();
    town.settle(home.path()).await;
    let writer = session(town.world.server.port, "portarium_shared", "portarium").await;
    let sql = "SET application_name = 'tierdeck-sync'; BEGIN; LOCK TABLE tenant_hooli.orders IN ROW EXCLUSIVE MODE";
    writer.batch_execute(sql).await.unwrap();
    let operations = town.machine(home.path(), "laptop").quiet();
    let plan = operations.plan(&deprovision("hooli"), new_id()).await.unwrap();
    assert_eq!(operations.start(&plan, "hooli").await.unwrap(), Ended::Succeeded);
    assert!(writer.batch_execute("COMMIT").await.is_err(), "it was told that this is kept, and it is not");
}
