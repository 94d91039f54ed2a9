//! The estimate of bloat beside what `pgstattuple` counts, on every version found.

use tierdeck::sources::postgres::bloat;

use super::facts::desk;
use super::support::server::Server;
use super::support::watcher::{HBA, SECRET, session, world};
use super::{aloud, installed};

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
    }
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
