//! The estimate of bloat beside what `pgstattuple` counts, on every version found.

use tierdeck::domain::facts::Bloat;
use tierdeck::sources::postgres::bloat;

use super::aloud;
use super::facts::desk;
use super::support::server::Server;
use super::support::watcher::{HBA, SECRET, session, world};
use crate::support::server::installed;

/// How far the estimate may be from the truth, in points.
const TOLERANCE: f64 = 15.0;

/// Rows of several shapes, and what happens to them: nothing, nine of ten deleted, every other deleted and vacuumed.
const TABLES: &str = "
    CREATE TABLE tenant_acme.fresh (id bigint PRIMARY KEY, a text, b int, c timestamptz);
    INSERT INTO tenant_acme.fresh
        SELECT i, md5(i::text), CASE WHEN i % 3 = 0 THEN NULL ELSE i END, now() FROM generate_series(1, 40000) i;
    CREATE TABLE tenant_acme.bloated (LIKE tenant_acme.fresh INCLUDING ALL);
    INSERT INTO tenant_acme.bloated SELECT * FROM tenant_acme.fresh;
    DELETE FROM tenant_acme.bloated WHERE id % 10 <> 0;
    CREATE TABLE tenant_acme.half (LIKE tenant_acme.fresh INCLUDING ALL);
    INSERT INTO tenant_acme.half SELECT * FROM tenant_acme.fresh;
    DELETE FROM tenant_acme.half WHERE id % 2 = 0;
    CREATE TABLE tenant_acme.narrow (id int, f bool);
    INSERT INTO tenant_acme.narrow SELECT i, i % 2 = 0 FROM generate_series(1, 100000) i;
    CREATE INDEX by_next ON tenant_acme.narrow ((id + 1));";

#[tokio::test(flavor = "multi_thread")]
async fn the_estimate_is_near_the_truth() {
    for (version, folder) in installed().into_values() {
        let server = Server::start_of(&folder, "autovacuum = off", HBA, |_| {});
        world(server.port).await;
        let boss = session(server.port, "postgres", "postgres").await;
        boss.batch_execute(TABLES).await.unwrap();
        boss.batch_execute("VACUUM ANALYZE").await.unwrap();
        let reader =
            format!("CREATE ROLE reader LOGIN PASSWORD '{SECRET}'; GRANT pg_monitor, pg_read_all_data TO reader");
        boss.batch_execute(&reader).await.unwrap();
        if let Err(error) = boss.batch_execute("CREATE EXTENSION pgstattuple").await {
            aloud(&format!("bloat: SKIPPED PostgreSQL {version}: {error}"));
            continue;
        }

        // Somebody holds the tables as nobody else may: the estimate does not wait.
        let holder = session(server.port, "postgres", "postgres").await;
        let desk = desk_of(server.port, "reader").await;
        let truth = truth(&boss).await;
        holder.batch_execute("BEGIN; LOCK TABLE tenant_acme.fresh, tenant_acme.bloated").await.unwrap();
        let seen = bloat::ask(&desk, 64).await.unwrap_or_else(|error| panic!("{version}: {error}"));
        assert_eq!((seen.judged, seen.hidden), (4, 0), "{version}: {seen:?}");
        assert_eq!(truth.len(), 8, "{version}: {truth:?}");
        for (name, is_index, real) in truth {
            let found = seen.worst.iter().find(|it| it.index.as_ref().unwrap_or(&it.table).raw() == name);
            assert!(found.is_none_or(|it| it.index.is_some() == is_index), "{version} {name}: {found:?}");
            let estimate = found.map_or(0.0, |it| 100.0 * it.wasted as f64 / it.bytes as f64);
            println!("{version} {name}: estimated {estimate:.1} %, really {real:.1} %");
            assert!((estimate - real).abs() <= TOLERANCE, "{version} {name}: {estimate:.1} %, really {real:.1} %");
        }
        assert_eq!(seen.worst[0].table.raw(), "bloated", "{version}: the worst first");

        // pg_monitor is not shown the statistics: nothing is made up.
        let blind = bloat::ask(&desk_of(server.port, "tierdeck").await, 64).await.unwrap();
        assert_eq!((blind.worst.len(), blind.judged, blind.hidden), (0, 0, 4), "{version}: {blind:?}");
        holder.batch_execute("ROLLBACK").await.unwrap();
        the_function_shows_what_the_view_hides(&version, server.port, &boss, &seen).await;
    }
}

/// What `tierdeck doctor` offers beside `pg_read_all_data`, run by a master user who is no superuser.
async fn the_function_shows_what_the_view_hides(version: &str, port: u16, boss: &tokio_postgres::Client, seen: &Bloat) {
    let master = format!(
        "CREATE ROLE master LOGIN CREATEROLE CREATEDB PASSWORD '{SECRET}'; GRANT CREATE ON DATABASE postgres TO master;
         GRANT pg_read_all_data, pg_monitor TO master WITH ADMIN OPTION"
    );
    boss.batch_execute(&master).await.unwrap();
    let master = session(port, "master", "postgres").await;
    let grant = bloat::narrow_grant("tierdeck", "postgres");
    master.batch_execute(&grant).await.unwrap_or_else(|error| panic!("{version}: {error:?}"));
    let shown = bloat::ask(&desk_of(port, "tierdeck").await, 64).await.unwrap();
    assert_eq!(&shown, seen, "{version}: as good as reading everything");
    // Not a row more than that, and nobody else.
    let monitor = session(port, "tierdeck", "postgres").await;
    for sql in ["SELECT * FROM tenant_acme.fresh LIMIT 1", "SET ROLE tierdeck_statistics"] {
        assert!(monitor.batch_execute(sql).await.is_err(), "{version}: {sql}");
    }
    let tenant = session(port, "role_acme", "postgres").await;
    for sql in [
        "SELECT * FROM tierdeck_statistics.column_widths('{tenant_globex}', '{orders}')",
        "SET ROLE tierdeck_statistics",
    ] {
        assert!(tenant.batch_execute(sql).await.is_err(), "{version}: {sql}");
    }
    let left: i64 = boss
        .query_one("SELECT count(*) FROM pg_auth_members WHERE roleid = 'tierdeck_statistics'::regrole AND (member <> 'master'::regrole OR member = 'master'::regrole AND NOT admin_option)", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(left, 0, "{version}: nobody stays a member");
    // One that somebody else could have made is not called: it would run what he likes, with our rights.
    boss.batch_execute("ALTER FUNCTION tierdeck_statistics.column_widths(name[], name[]) SECURITY INVOKER")
        .await
        .unwrap();
    let blind = bloat::ask(&desk_of(port, "tierdeck").await, 64).await.unwrap();
    assert_eq!((blind.judged, blind.hidden), (0, 4), "{version}: an invoker's function");
    boss.batch_execute(
        "ALTER FUNCTION tierdeck_statistics.column_widths(name[], name[]) SECURITY DEFINER;
         REVOKE pg_read_all_data FROM tierdeck_statistics;
         ALTER SCHEMA tierdeck_statistics OWNER TO role_acme;
         ALTER FUNCTION tierdeck_statistics.column_widths(name[], name[]) OWNER TO role_acme",
    )
    .await
    .unwrap();
    let blind = bloat::ask(&desk_of(port, "tierdeck").await, 64).await.unwrap();
    assert_eq!((blind.judged, blind.hidden), (0, 4), "{version}: a tenant's function");
}

async fn desk_of(port: u16, login: &str) -> tierdeck::sources::postgres::Desk {
    desk(port, login, "postgres").await
}

/// `(name, is index, percent that is free or dead)`; a fresh B-tree leaves a tenth of each page free on purpose.
async fn truth(boss: &tokio_postgres::Client) -> Vec<(String, bool, f64)> {
    let sql = "
        SELECT c.relname::text, c.relkind = 'i',
               CASE c.relkind
                   WHEN 'i' THEN greatest(0, 100 - (SELECT avg_leaf_density FROM pgstatindex(c.oid::regclass)) / 0.9)
                   ELSE (SELECT free_percent + dead_tuple_percent FROM pgstattuple(c.oid))
               END::float8
        FROM pg_class c
        WHERE c.relnamespace = 'tenant_acme'::regnamespace AND c.relkind IN ('r', 'i') AND c.relpages >= 64";
    let rows = boss.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}
