//! What is asked about one session, on a real server: its locks; its plan, and that nothing but a plan ever comes of a
//! tenant's text, not even with the rights of a superuser.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]

mod support;

use std::sync::Arc;

use jiff::Timestamp;
use support::server::{PASSWORD, Server};
use support::watcher::{HBA, SECRET, session, world};
use tierdeck::clients::Environment;
use tierdeck::clients::postgres::{Connection, Target, Timeouts, connect};
use tierdeck::domain::inspection::{Home, Inquiry, Plan, PlanInquiry};
use tierdeck::domain::{Foreign, InstanceName, SessionKey, TenantId};
use tierdeck::sources::postgres::explain::{PlanError, plan};
use tierdeck::sources::postgres::locks;
use tokio_postgres::Client;

struct Scene {
    server: Server,
    boss: Client,
}

async fn scene() -> Scene {
    let server = Server::start("max_connections = 40", HBA, |_| {});
    world(server.port).await;
    let boss = session(server.port, "postgres", "postgres").await;
    Scene { server, boss }
}

impl Scene {
    /// A short connection, as the console makes one for each question.
    async fn connection(&self, user: &str) -> Connection {
        let url = format!("postgresql://{user}@127.0.0.1:{}/postgres?sslmode=disable", self.server.port);
        let target = Target::parse(&url, &Environment::of([])).unwrap();
        let password = if user == "postgres" { PASSWORD } else { SECRET };
        connect(&target, Some(password.to_owned().into()), &Timeouts::default()).await.unwrap()
    }

    /// Asks for the plan of a text whose session is gone: it is taken as it stands on the screen.
    async fn plan_as(&self, user: &str, text: &str) -> Result<Plan, PlanError> {
        let nobody = SessionKey { pid: 1, started: Timestamp::UNIX_EPOCH };
        plan(&self.connection(user).await, &Self::question(nobody, text)).await
    }

    fn question(key: SessionKey, text: &str) -> PlanInquiry {
        let home = Home { tenant: TenantId::parse("acme").unwrap(), schema: Arc::from("tenant_acme"), claimed: false };
        PlanInquiry {
            session: Inquiry { instance: InstanceName::new("shared"), key, database: Foreign::from("postgres") },
            query: Foreign::from(text),
            home: Some(home),
        }
    }

    async fn number(&self, sql: &str) -> i64 {
        self.boss.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    /// Everything that a text could have changed.
    async fn state(&self) -> Vec<i64> {
        let mut state = Vec::new();
        for sql in [
            "SELECT count(*) FROM tenant_acme.orders",
            "SELECT coalesce(sum(total), 0)::int8 FROM tenant_acme.orders",
            "SELECT count(*) FROM pg_class",
            "SELECT count(*) FROM pg_roles",
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
            "SELECT last_value FROM tenant_acme.numbers",
        ] {
            state.push(self.number(sql).await);
        }
        state
    }
}

fn told(plan: &Plan) -> String {
    plan.lines.iter().map(|line| line.text.to_string()).collect::<Vec<_>>().join("\n")
}

async fn key_of(client: &Client) -> SessionKey {
    let sql = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    let row = client.query_one(sql, &[]).await.unwrap();
    SessionKey { pid: row.get(0), started: row.get(1) }
}

#[tokio::test]
async fn a_plan_is_asked_with_the_rights_that_there_are() {
    let scene = scene().await;
    let refused = scene.plan_as("tierdeck", "select * from orders where id = 7").await.unwrap_err().to_string();
    assert!(refused.contains("GRANT pg_read_all_data TO \"tierdeck\";"), "{refused}");
    scene.boss.batch_execute("GRANT pg_read_all_data TO tierdeck").await.unwrap();
    let found = scene.plan_as("tierdeck", "/* a */ select * from orders where id = 7; -- b").await.unwrap();
    assert!(told(&found).contains("orders") && !found.generic, "{found:?}");
    assert!(found.lines.iter().any(|line| line.indent > 0), "the plan keeps its shape: {found:?}");
    // What writes asks for a right that a login that watches should never get.
    let refused = scene.plan_as("tierdeck", "update orders set total = 0").await.unwrap_err();
    assert!(matches!(&refused, PlanError::MayNotWrite { .. }), "{refused}");
    assert!(refused.to_string().contains("as the tenant's own role"), "{refused}");
    let refused = scene.plan_as("tierdeck", "select * from nowhere").await.unwrap_err().to_string();
    assert!(refused.contains("nowhere") && refused.contains("\"tenant_acme\", public"), "{refused}");
    let version = scene.number("SELECT current_setting('server_version_num')::int8").await;
    let parameters = scene.plan_as("tierdeck", "select * from orders where id = $1 and total > $2").await;
    if version >= 160_000 {
        let found = parameters.unwrap();
        assert!(found.generic && told(&found).contains("$1"), "{found:?}");
    } else {
        assert!(matches!(parameters, Err(PlanError::Parameters)), "{parameters:?}");
    }
    println!("server {version}");
}

#[tokio::test]
async fn the_whole_statement_of_a_running_session_is_explained_and_a_cut_one_refused() {
    let scene = scene().await;
    scene.boss.batch_execute("GRANT pg_read_all_data TO tierdeck").await.unwrap();
    let tenant = session(scene.server.port, "role_acme", "postgres").await;
    let key = key_of(&tenant).await;
    let text = "select o.total from tenant_acme.orders o, pg_sleep(60)";
    let running = tokio::spawn(async move { tenant.batch_execute(text).await });
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    let seen = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {} AND query LIKE '%pg_sleep(60)'", key.pid);
    while scene.number(&seen).await == 0 {
        assert!(tokio::time::Instant::now() < deadline, "it never ran");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let connection = scene.connection("tierdeck").await;
    let found = plan(&connection, &Scene::question(key, text)).await.unwrap();
    assert!(told(&found).contains("pg_sleep"), "{found:?}");
    let long = format!("select '{}' from orders", "x".repeat(1_100));
    let refused = scene.plan_as("tierdeck", &long[..1_023]).await.unwrap_err().to_string();
    assert!(refused.contains("first 1024 bytes") && refused.contains("track_activity_query_size"), "{refused}");
    running.abort();
}

/// With a superuser's rights, so that only what we do ourselves stands between a text and the data.
#[tokio::test]
async fn hostile_texts_change_nothing() {
    let scene = scene().await;
    scene.boss.batch_execute("CREATE SEQUENCE tenant_acme.numbers; CREATE EXTENSION dblink").await.unwrap();
    let before = scene.state().await;
    let texts = [
        "SELECT 1; DROP TABLE tenant_acme.orders",
        "SELECT 1;\nCOMMIT; DROP TABLE tenant_acme.orders",
        "(ANALYZE) DELETE FROM tenant_acme.orders",
        "(ANALYZE, COSTS OFF) UPDATE tenant_acme.orders SET total = 0",
        "ANALYZE DELETE FROM tenant_acme.orders",
        "ANALYZE VERBOSE SELECT nextval('tenant_acme.numbers')",
        "VERBOSE DELETE FROM tenant_acme.orders",
        "/**/ANALYZE/**/ DELETE FROM tenant_acme.orders",
        "--\n(ANALYZE TRUE) SELECT pg_advisory_lock(4711)",
        "EXPLAIN ANALYZE DELETE FROM tenant_acme.orders",
        "SELECT * INTO tenant_acme.copy FROM tenant_acme.orders",
        "CREATE TABLE tenant_acme.copy AS SELECT * FROM tenant_acme.orders",
        "WITH gone AS (DELETE FROM tenant_acme.orders RETURNING *) SELECT * FROM gone",
        "DELETE FROM tenant_acme.orders",
        "DELETE FROM tenant_acme.orders WHERE id > $1",
        "SELECT $1::int; DROP TABLE tenant_acme.orders",
        "SELECT nextval('tenant_acme.numbers'), pg_advisory_lock(4711)",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT dblink_exec('dbname=postgres', 'DROP TABLE tenant_acme.orders')",
        "DO $$ BEGIN DELETE FROM tenant_acme.orders; END $$",
        "COPY (DELETE FROM tenant_acme.orders RETURNING id) TO '/dev/null'",
        "PREPARE p AS DELETE FROM tenant_acme.orders",
        "VALUES (pg_advisory_lock(4711))",
        "\u{a0}ANALYZE DELETE FROM tenant_acme.orders",
        "SELECT 1 \\; DROP TABLE tenant_acme.orders",
        "SELECT 1 ROLLBACK",
        "SELECT E'\\'; DROP TABLE tenant_acme.orders; --'",
        "SELECT '\\'; DROP TABLE tenant_acme.orders; --'",
        "SELECT $a$ $b$; DROP TABLE tenant_acme.orders; $b$ $a$",
        "SELECT U&\"\\0031\"",
    ];
    let (mut planned, mut refused) = (0, 0);
    for text in texts {
        match scene.plan_as("postgres", text).await {
            Ok(_) => planned += 1,
            Err(_) => refused += 1,
        }
        assert_eq!(scene.state().await, before, "{text}");
    }
    println!("{planned} planned, {refused} refused");
    assert!(planned >= 5 && refused >= 15, "{planned} planned, {refused} refused");
    // Were our own reading of a text wrong, the server would still not take it for anything but what is explained: every
    // text that is refused above, handed over as it is, as the one statement of a read-only transaction.
    for text in texts {
        let connection = scene.connection("postgres").await;
        connection.batch("BEGIN TRANSACTION READ ONLY").await.unwrap();
        let sql = format!("EXPLAIN (ANALYZE FALSE, FORMAT TEXT) {text}");
        if let Ok(statement) = connection.run(connection.client().prepare(&sql)).await {
            let _ = connection.run(connection.client().query(&statement, &[])).await;
        }
        drop(connection);
        assert_eq!(scene.state().await, before, "{text}");
    }
    // What all of this guards against is real: with the options after it, the same words do run.
    scene.boss.batch_execute("BEGIN; EXPLAIN (ANALYZE) DELETE FROM tenant_acme.orders").await.unwrap();
    assert_ne!(scene.state().await, before);
    scene.boss.batch_execute("ROLLBACK").await.unwrap();
}

/// The planner computes immutable functions: a tenant's own would run with our login's rights.
#[tokio::test]
async fn a_tenants_code_does_not_run_at_planning() {
    let scene = scene().await;
    scene.boss.batch_execute("GRANT pg_read_all_data TO tierdeck").await.unwrap();
    let tenant = session(scene.server.port, "role_acme", "postgres").await;
    tenant
        .batch_execute(
            "CREATE FUNCTION tenant_acme.evil(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_advisory_lock(4711); RETURN $1; END $$",
        )
        .await
        .unwrap();
    let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711";
    // The danger is real: merely explained, in a read-only transaction, it runs.
    let naive = scene.connection("tierdeck").await;
    naive.batch("BEGIN READ ONLY; EXPLAIN SELECT tenant_acme.evil(1)").await.unwrap();
    assert_eq!(scene.number(held).await, 1);
    drop(naive);
    while scene.number(held).await > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let refused = |text: &'static str| {
        let scene = &scene;
        async move {
            let connection = scene.connection("tierdeck").await;
            let nobody = SessionKey { pid: 1, started: Timestamp::UNIX_EPOCH };
            let refused = plan(&connection, &Scene::question(nobody, text)).await;
            // The connection is still open: had it run, the lock would be held.
            assert_eq!(scene.number(held).await, 0, "{text}");
            match refused {
                Err(PlanError::Code { code, behind }) => (code, behind),
                other => panic!("{text}: {other:?}"),
            }
        }
    };
    for text in ["select tenant_acme.evil(1)", "select EVIL(1) from orders", "select \"evil\"(1)"] {
        let (code, behind) = refused(text).await;
        assert_eq!((code.as_str(), behind), ("tenant_acme.evil(integer)", None), "{text}");
    }
    // Not named by the text, and still planned with it.
    assert!(scene.plan_as("tierdeck", "select * from orders").await.is_ok());
    for (made, gone, behind) in [
        ("CREATE VIEW tenant_acme.v AS SELECT tenant_acme.evil(1)", "DROP VIEW tenant_acme.v", "view"),
        ("CREATE INDEX i ON tenant_acme.orders ((id + tenant_acme.evil(1)))", "DROP INDEX tenant_acme.i", "index"),
        (
            "CREATE DOMAIN tenant_acme.d AS int CHECK (tenant_acme.evil(VALUE) > 0)",
            "DROP DOMAIN tenant_acme.d",
            "constraint",
        ),
        (
            "CREATE OPERATOR tenant_acme.!!! (RIGHTARG = int, FUNCTION = tenant_acme.evil)",
            "DROP OPERATOR tenant_acme.!!! (NONE, int)",
            "operator",
        ),
    ] {
        tenant.batch_execute(made).await.unwrap();
        while scene.number(held).await > 0 {
            tenant.batch_execute("SELECT pg_advisory_unlock_all()").await.unwrap();
        }
        let (code, said) = refused("select * from orders").await;
        let said = said.expect("what is behind it");
        assert!(code.contains("evil") && said.contains(behind), "{made}: {code}, {said}");
        tenant.batch_execute(gone).await.unwrap();
    }
    // A trigger runs when rows are written, which a plan does not do; a volatile function is not computed ahead.
    tenant
        .batch_execute(
            "CREATE FUNCTION tenant_acme.slow() RETURNS int VOLATILE LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_advisory_lock(4711); RETURN 1; END $$",
        )
        .await
        .unwrap();
    assert!(scene.plan_as("tierdeck", "select tenant_acme.slow() from orders").await.is_ok());
    assert_eq!(scene.number(held).await, 0);
}

#[tokio::test]
async fn the_locks_of_a_session_are_told_by_name_and_of_nobody_else() {
    let scene = scene().await;
    let (holder, waiter) = (
        session(scene.server.port, "role_acme", "postgres").await,
        session(scene.server.port, "role_acme", "postgres").await,
    );
    holder.batch_execute("BEGIN; UPDATE tenant_acme.orders SET total = 1 WHERE id = 1").await.unwrap();
    let (held, waits) = (key_of(&holder).await, key_of(&waiter).await);
    let waiting = tokio::spawn(async move { waiter.batch_execute("BEGIN; LOCK TABLE tenant_acme.orders").await });
    let connection = scene.connection("tierdeck").await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    let awaited = loop {
        let told = locks(&connection, waits).await.unwrap().expect("it is there");
        if let Some(lock) = told.locks.into_iter().find(|lock| !lock.granted && lock.since.is_some()) {
            break lock;
        }
        assert!(tokio::time::Instant::now() < deadline, "it never waited");
    };
    assert_eq!((&*awaited.mode, awaited.on.to_string().as_str()), ("AccessExclusiveLock", "tenant_acme.orders"));
    let told = locks(&connection, held).await.unwrap().expect("it is there");
    assert!(told.locks.iter().all(|lock| lock.granted), "{told:?}");
    let row = told.locks.iter().find(|lock| lock.on.to_string() == "tenant_acme.orders").expect("its table");
    assert_eq!(&*row.mode, "RowExclusiveLock");
    assert_eq!(told.of as usize, told.locks.len());
    // The same pid, started at another time, is somebody else.
    let other = SessionKey { started: held.started + jiff::SignedDuration::from_secs(1), ..held };
    assert_eq!(locks(&connection, other).await.unwrap(), None);
    waiting.abort();
}
