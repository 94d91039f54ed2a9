//! The estate on real PostgreSQL: it comes up as the conventions say, its incidents can be seen by the monitoring login
//! alone, and nothing of it is left whichever way it ends.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]

#[path = "lab/incidents.rs"]
mod incidents;
#[path = "lab/leftovers.rs"]
mod leftovers;
#[path = "lab/world.rs"]
mod world;

use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use tierdeck::lab::{Lab, Scenario, Spec};
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::{Client, Config, NoTls};

/// Estates are for laptops, several at a time are not: one after the other.
static TURN: Mutex<()> = Mutex::const_new(());

async fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().await
}

fn spec(scenario: &str) -> Spec {
    Spec::new(Scenario::named(scenario).unwrap())
}

async fn estate(scenario: &str) -> Lab {
    Lab::start(spec(scenario), |_| {}).await.unwrap()
}

async fn login(lab: &Lab, role: &str, database: &str) -> Client {
    let instance = &lab.instances()[0];
    let mut config = Config::new();
    config.host("127.0.0.1").port(instance.port).user(role).dbname(database);
    config.password(instance.password(role).unwrap().expose_secret());
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// As the console looks: the monitoring login.
async fn monitor(lab: &Lab) -> Client {
    login(lab, "tierdeck", "portarium").await
}

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
}

/// Waits until a count is big enough.
async fn reaches(client: &Client, sql: &str, least: i64, within: Duration) {
    let begun = Instant::now();
    let mut seen = i64::MIN;
    while begun.elapsed() < within {
        seen = seen.max(number(client, sql).await);
        if seen >= least {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("at most {seen}, not {least}, within {within:?}: {sql}");
}
