//! Real facts on real servers: what goes wrong on a shared instance is made, and each source sees it as `tierdeck` with
//! `pg_monitor` alone; a login with nothing gets an answer or a reason.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tierdeck::clients::Environment;
use tierdeck::clients::postgres::{Target, Timeouts, connect};
use tierdeck::domain::facts::{
    Catalog, Debt, Fragment, Grant, HolderKind, Horizon, ObjectKind, Replication, Sequence, Source, Vacuums,
};
use tierdeck::domain::{Foreign, InstanceName, Layout};
use tierdeck::sources::postgres::{Desk, ask, tables};
use tokio::time::Instant;
use tokio_postgres::Client;

use super::of_postgres;
use super::support::server::Server;
use super::support::watcher::{HBA, SECRET, session, world};
use crate::support::server::installed;

/// A connection that asks, as somebody.
pub async fn desk(port: u16, login: &str, database: &str) -> Desk {
    let url = format!("postgresql://{login}@127.0.0.1:{port}/{database}?sslmode=disable");
    let target = Target::parse(&url, &Environment::of([])).unwrap();
    Desk::new(connect(&target, Some(SecretString::from(SECRET)), &Timeouts::default()).await.unwrap())
}

/// What a server keeps, who may do what, how far sequences are.
const SETUP: &str = "
    SELECT pg_create_physical_replication_slot('forgotten', true);
    SELECT pg_create_logical_replication_slot('abandoned', 'pgoutput');

    SET ROLE role_globex;
    CREATE TABLE tenant_globex.tickets (id serial PRIMARY KEY, note text);
    SELECT setval('tenant_globex.tickets_id_seq', 2000000000);
    CREATE SEQUENCE tenant_globex.wide;
    CREATE TABLE tenant_globex.narrow (number int DEFAULT nextval('tenant_globex.wide'));
    SELECT setval('tenant_globex.wide', 1500000000);
    CREATE TABLE tenant_globex.tiny (id smallint GENERATED ALWAYS AS IDENTITY, note text);
    INSERT INTO tenant_globex.tiny (note) SELECT 'x' FROM generate_series(1, 20000);
    CREATE SEQUENCE tenant_globex.down AS smallint INCREMENT -1 MINVALUE -1000;
    SELECT setval('tenant_globex.down', -900);
    CREATE SEQUENCE tenant_globex.around AS smallint CYCLE;
    SELECT setval('tenant_globex.around', 32767);
    CREATE TABLE tenant_globex.fine (id bigserial PRIMARY KEY);
    RESET ROLE;

    GRANT USAGE ON SCHEMA tenant_acme TO role_globex;
    GRANT SELECT, INSERT ON tenant_acme.orders TO role_globex;
    GRANT UPDATE (total) ON tenant_acme.orders TO PUBLIC;
    GRANT USAGE ON SEQUENCE tenant_globex.wide TO role_acme;
    GRANT role_acme TO role_initech;
    ALTER DEFAULT PRIVILEGES FOR ROLE role_acme IN SCHEMA tenant_acme GRANT SELECT ON TABLES TO role_globex;
    CREATE FUNCTION tenant_acme.total() RETURNS numeric LANGUAGE sql SECURITY DEFINER AS 'SELECT sum(total) FROM tenant_acme.orders';
    ALTER FUNCTION tenant_acme.total() OWNER TO role_acme;
    GRANT CREATE ON SCHEMA public TO PUBLIC;
    GRANT CREATE ON DATABASE postgres TO role_acme;
    COMMENT ON SCHEMA tenant_acme IS 'the first of all';
    CREATE SCHEMA tenant_empty AUTHORIZATION role_acme;

    CREATE TABLE public.tenant_storage_tiers (tenant_id text, tier text, schema_name text, noted_at date DEFAULT now());
    INSERT INTO public.tenant_storage_tiers VALUES ('acme', 'shared', 'tenant_acme'), ('hooli', 'dedicated', NULL);
    GRANT SELECT ON public.tenant_storage_tiers TO tierdeck;
    SET ROLE role_acme;
    CREATE TABLE tenant_acme.tenant_storage_tiers AS SELECT 'globex'::text AS tenant_id, 'dedicated'::text AS tier;
    GRANT SELECT ON tenant_acme.tenant_storage_tiers TO PUBLIC;
    GRANT USAGE ON SCHEMA tenant_acme TO tierdeck;
    RESET ROLE;

    CREATE TABLE tenant_initech.left_alone (id int) WITH (autovacuum_enabled = off);
    CREATE TABLE tenant_initech.left_by_all (id int);
    INSERT INTO tenant_initech.left_alone SELECT generate_series(1, 3000);
    INSERT INTO tenant_initech.left_by_all SELECT generate_series(1, 3000);
    DELETE FROM tenant_initech.left_alone WHERE id > 500;
    DELETE FROM tenant_initech.left_by_all;

    CREATE TABLE tenant_initech.doubles (id int, filler text);
    ALTER TABLE tenant_initech.doubles OWNER TO role_initech;
    INSERT INTO tenant_initech.doubles SELECT i % 10, repeat('x', 500) FROM generate_series(1, 20000) i;";

/// The settings of a server on which all of this is possible.
const SETTINGS: &str =
    "wal_level = logical\nmax_prepared_transactions = 5\nautovacuum = off\nmax_slot_wal_keep_size = 1GB";

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_seen_with_pg_monitor_alone() {
    for (version, folder) in installed().into_values() {
        let began = Instant::now();
        let server = Server::start_of(&folder, SETTINGS, HBA, |_| {});
        world(server.port).await;
        let boss = session(server.port, "postgres", "postgres").await;
        // Not in one transaction: that would have written before it decodes.
        for statement in SETUP.split(';').filter(|statement| !statement.trim().is_empty()) {
            boss.batch_execute(statement).await.unwrap_or_else(|error| panic!("{version}: {statement}: {error:?}"));
        }
        let logins = format!(
            "CREATE ROLE nothing LOGIN PASSWORD '{SECRET}'; CREATE ROLE reader LOGIN PASSWORD '{SECRET}';
             GRANT pg_monitor, pg_read_all_data TO reader;"
        );
        boss.batch_execute(&logins).await.unwrap();
        let index = "CREATE UNIQUE INDEX CONCURRENTLY doubles_id ON tenant_initech.doubles (id)";
        assert!(boss.batch_execute(index).await.is_err(), "{version}: {index}");

        let acme = session(server.port, "role_acme", "postgres").await;
        let prepare = "BEGIN; INSERT INTO tenant_acme.orders VALUES (1000, 1); PREPARE TRANSACTION 'left behind'";
        acme.batch_execute(prepare).await.unwrap();
        let globex = session(server.port, "role_globex", "postgres").await;
        let hold = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM tenant_acme.orders";
        globex.batch_execute(hold).await.unwrap();
        shared_locks(server.port).await;
        boss.batch_execute("INSERT INTO tenant_initech.orders SELECT i, i FROM generate_series(200, 900) i")
            .await
            .unwrap();

        let seer = Seer { version: &version, desk: desk(server.port, "tierdeck", "postgres").await };
        let Fragment::Replication(replication) = seer.sees(Source::Replication).await else { unreachable!() };
        slots(&version, &replication);
        let Fragment::Horizon(horizon) = seer.sees(Source::Horizon).await else { unreachable!() };
        holders(&version, &horizon, &globex).await;
        let Fragment::Catalog(catalog) = seer.sees(Source::Catalog).await else { unreachable!() };
        rights(&version, &catalog);
        setup_of(&version, &catalog);
        let Fragment::Freeze(freeze) = seer.sees(Source::Freeze).await else { unreachable!() };
        assert!(freeze.tables.iter().any(|table| table.multixact_age > 0), "{version}: {freeze:?}");
        estimates(&seer, &boss).await;
        switched_off(&seer, &boss).await;
        sizes_are_measured(&seer, &boss).await;
        a_row_is_waited_for(&seer, server.port).await;
        homes(&seer).await;

        let reader = Seer { version: &version, desk: desk(server.port, "reader", "postgres").await };
        let Fragment::Catalog(read) = reader.sees(Source::Catalog).await else { unreachable!() };
        sequences(&version, &read);
        // Somebody changes a sequence: that one is left out, and nobody is kept waiting.
        let owner = session(server.port, "role_globex", "postgres").await;
        owner.batch_execute("BEGIN; ALTER SEQUENCE tenant_globex.tickets_id_seq CACHE 10").await.unwrap();
        let Fragment::Catalog(read) = reader.sees(Source::Catalog).await else { unreachable!() };
        let names: Vec<&str> = read.sequences.iter().map(|sequence| sequence.name.raw()).collect();
        assert_eq!(names, ["down", "wide", "tiny_id_seq"], "{version}");

        let vacuum = session(server.port, "postgres", "postgres").await;
        let vacuum = tokio::spawn(async move {
            let slowly = "SET vacuum_cost_limit = 1; SET vacuum_cost_delay = 50";
            vacuum.batch_execute(slowly).await.unwrap();
            vacuum.batch_execute("VACUUM tenant_initech.doubles").await
        });
        let running = running(&seer).await;
        let one = &running.running[0];
        let names = (one.schema.as_ref().unwrap().raw(), one.table.as_ref().unwrap().raw());
        assert_eq!(names, ("tenant_initech", "doubles"), "{version}: {one:?}");
        assert!(!one.automatic && !one.against_wraparound && one.since.is_some(), "{version}: {one:?}");
        assert!(one.blocks > 100 && one.scanned <= one.blocks && running.workers > 0, "{version}: {one:?}");

        // Somebody who may see nothing is told so, or what everybody may see.
        let nobody = desk(server.port, "nothing", "postgres").await;
        for source in of_postgres() {
            match ask(&nobody, source, &shared(), Layout::Schema).await {
                Ok(fragment) => assert_eq!(fragment.source(), source),
                Err(error) => {
                    assert!(
                        error.is_denied() && error.to_string().contains("tierdeck doctor"),
                        "{version} {source:?}: {error}"
                    );
                    assert!(matches!(source, Source::Vacuums | Source::Horizon), "{version} {source:?}: {error}");
                }
            }
        }
        let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_progress_vacuum";
        boss.batch_execute(cancel).await.unwrap();
        assert!(vacuum.await.unwrap().is_err(), "{version}: the vacuum was to run until it was cancelled");
        println!("PostgreSQL {version}: all facts seen in {:.1} s", began.elapsed().as_secs_f64());
    }
}

fn shared() -> InstanceName {
    InstanceName::new("shared")
}

struct Seer<'a> {
    version: &'a str,
    desk: Desk,
}

impl Seer<'_> {
    async fn sees(&self, source: Source) -> Fragment {
        let answer = ask(&self.desk, source, &shared(), Layout::Schema).await;
        answer.unwrap_or_else(|error| panic!("{} {source:?}: {error}", self.version))
    }
}

async fn running(seer: &Seer<'_>) -> Vacuums {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let Fragment::Vacuums(vacuums) = seer.sees(Source::Vacuums).await else { unreachable!() };
        if vacuums.running.iter().any(|vacuum| vacuum.blocks > 0) {
            return vacuums;
        }
        assert!(Instant::now() < deadline, "{}: no vacuum is seen", seer.version);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The last values are not ours to read: what inserted rows tell is told, the rest is counted. Servers publish what was
/// inserted a moment later, when the session that did it has another turn.
async fn estimates(seer: &Seer<'_>, boss: &Client) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let Fragment::Catalog(catalog) = seer.sees(Source::Catalog).await else { unreachable!() };
        if let [tiny] = &catalog.sequences[..] {
            assert_eq!((tiny.name.raw(), tiny.estimated), ("tiny_id_seq", true), "{}: {tiny:?}", seer.version);
            assert!((0.55..0.65).contains(&tiny.used()), "{}: {tiny:?}", seer.version);
            assert_eq!(catalog.hidden_sequences, 3, "{}: {catalog:?}", seer.version);
            return;
        }
        assert!(Instant::now() < deadline, "{}: {:?}", seer.version, catalog.sequences);
        boss.batch_execute("SELECT 1").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Autovacuum is off on this server, and on one table by itself as well.
async fn switched_off(seer: &Seer<'_>, boss: &Client) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let Fragment::Debt(debt) = seer.sees(Source::Debt).await else { unreachable!() };
        let of = |name: &str| debt.tables.iter().find(|table| table.table.raw() == name);
        if let (Some(alone), Some(all)) = (of("left_alone"), of("left_by_all")) {
            assert_eq!((alone.autovacuum, alone.off_by_itself), (false, true), "{}: {alone:?}", seer.version);
            assert_eq!((all.autovacuum, all.off_by_itself), (false, false), "{}: {all:?}", seer.version);
            return;
        }
        assert!(Instant::now() < deadline, "{}: {:?}", seer.version, debt.tables);
        boss.batch_execute("SELECT 1").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Nobody has vacuumed or analyzed it, so what the catalogue says of its size and rows stands still; behind a lock that must do.
async fn sizes_are_measured(seer: &Seer<'_>, boss: &Client) {
    let of = |debt: Debt| debt.tables.into_iter().find(|table| table.table.raw() == "left_alone").unwrap();
    let Fragment::Debt(debt) = seer.sees(Source::Debt).await else { unreachable!() };
    let table = of(debt);
    let name = format!("{}.left_alone", table.schema.raw());
    let real = format!("SELECT pg_total_relation_size('{name}'), (SELECT count(*) FROM {name})");
    let real = boss.query_one(&real, &[]).await.unwrap();
    let (bytes, live) = (real.get::<_, i64>(0).cast_unsigned(), real.get::<_, i64>(1).cast_unsigned());
    let told = (table.measured, table.bytes, table.live_tuples);
    assert!(bytes > 0 && told == (true, bytes, live), "{}: {bytes} bytes, {live} rows: {table:?}", seer.version);
    boss.batch_execute(&format!("BEGIN; LOCK TABLE {name}")).await.unwrap();
    let Fragment::Debt(debt) = seer.sees(Source::Debt).await else { unreachable!() };
    let table = of(debt);
    assert!(!table.measured, "{}: {table:?}", seer.version);
    boss.batch_execute("ROLLBACK").await.unwrap();
}

/// Who waits for a row waits for a transaction: of which table, the queue's own lock says.
async fn a_row_is_waited_for(seer: &Seer<'_>, port: u16) {
    let update = "UPDATE tenant_initech.orders SET total = total + 1 WHERE id = 50";
    let first = session(port, "role_initech", "postgres").await;
    first.batch_execute(&format!("BEGIN; {update}")).await.unwrap();
    let behind = session(port, "role_initech", "postgres").await;
    let behind = tokio::spawn(async move { behind.batch_execute(update).await });
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let Fragment::Activity(activity) = seer.sees(Source::Activity).await else { unreachable!() };
        if let Some(blocking) = activity.sessions.iter().find_map(|session| session.blocking.clone()) {
            let relation = blocking.relation.as_ref().map(Foreign::raw);
            assert_eq!((relation, blocking.rows), (Some("tenant_initech.orders"), true), "{}", seer.version);
            assert_eq!(blocking.mode.as_deref(), Some("ShareLock"), "{}", seer.version);
            break;
        }
        assert!(Instant::now() < deadline, "{}: nobody waits", seer.version);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    first.batch_execute("ROLLBACK").await.unwrap();
    behind.await.unwrap().unwrap();
}

/// Two sessions share the lock of a row: that takes a multixact, more than once.
async fn shared_locks(port: u16) {
    let both = [session(port, "postgres", "postgres").await, session(port, "postgres", "postgres").await];
    for _ in 0..3 {
        for one in &both {
            one.batch_execute("BEGIN; SELECT * FROM tenant_initech.orders WHERE id = 1 FOR KEY SHARE").await.unwrap();
        }
        for one in &both {
            one.batch_execute("COMMIT").await.unwrap();
        }
    }
}

fn slots(version: &str, seen: &Replication) {
    assert_eq!(seen.slot_limit_bytes, Some(1 << 30), "{version}: {seen:?}");
    assert!(seen.recovery.is_none() && seen.standbys.is_empty(), "{version}: {seen:?}");
    let slot =
        |name: &str| seen.slots.iter().find(|slot| slot.name.raw() == name).unwrap_or_else(|| panic!("{seen:?}"));
    let (forgotten, abandoned) = (slot("forgotten"), slot("abandoned"));
    assert_eq!((forgotten.active, forgotten.plugin.as_ref(), forgotten.temporary), (false, None, false), "{version}");
    assert!(forgotten.retained_bytes.is_some_and(|bytes| bytes > 1_000_000), "{version}: {forgotten:?}");
    assert!(forgotten.safe_bytes.is_some_and(|bytes| bytes > 0), "{version}: {forgotten:?}");
    assert_eq!(forgotten.wal_status.as_deref(), Some("reserved"), "{version}");
    assert_eq!(abandoned.plugin.as_ref().unwrap().raw(), "pgoutput", "{version}");
    assert_eq!(abandoned.database.as_ref().unwrap().raw(), "postgres", "{version}");
    assert!(abandoned.catalog_xmin_age.is_some_and(|age| age > 10), "{version}: {abandoned:?}");
    let says = version.split('.').next().unwrap().parse::<u32>().unwrap() >= 17;
    assert_eq!(abandoned.inactive_since.is_some(), says, "{version}: {abandoned:?}");
    assert_eq!(abandoned.invalidated, None, "{version}");
}

async fn holders(version: &str, seen: &Horizon, globex: &Client) {
    let pid: i32 = globex.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let holder = |kind, name: &str| {
        let found = seen.holders.iter().find(|holder| holder.kind == kind && holder.name.raw() == name);
        found.unwrap_or_else(|| panic!("{version}: {name}: {seen:?}"))
    };
    let session = holder(HolderKind::Session, &pid.to_string());
    assert_eq!((session.pid, session.role.as_ref().unwrap().raw()), (Some(pid), "role_globex"), "{version}");
    assert_eq!(session.database.as_ref().unwrap().raw(), "postgres", "{version}");
    assert!(session.session_started < session.since && session.since < Some(seen.server_now), "{version}: {session:?}");
    let slot = holder(HolderKind::Catalog, "abandoned");
    assert!(slot.xid_age > session.xid_age && session.xid_age > 0, "{version}: {seen:?}");
    assert_eq!(slot.database, None, "{version}");
    let prepared = holder(HolderKind::Prepared, "left behind");
    assert_eq!(prepared.role.as_ref().unwrap().raw(), "role_acme", "{version}");
    let [left] = &seen.prepared[..] else { panic!("{version}: {seen:?}") };
    assert_eq!((left.gid.raw(), left.owner.raw(), Some(left.prepared)), ("left behind", "role_acme", prepared.since));
    let schemas: Vec<&str> = left.schemas.iter().map(Foreign::raw).collect();
    assert_eq!(schemas, ["tenant_acme"], "{version}");
    let ages: Vec<u32> = seen.holders.iter().map(|holder| holder.xid_age).collect();
    assert!(ages.is_sorted_by(|a, b| a >= b), "{version}: the oldest first: {ages:?}");
}

fn rights(version: &str, catalog: &Catalog) {
    let has = |on, schema: &str, owner: &str, grantee: Option<&str>, privileges: &[&str]| {
        let alike = |grant: &&Grant| {
            let whose = (grant.schema.raw(), grant.owner.raw(), grant.grantee.as_ref().map(Foreign::raw));
            grant.on == on
                && whose == (schema, owner, grantee)
                && grant.privileges.iter().map(|it| &**it).eq(privileges.iter().copied())
        };
        let found: Vec<&Grant> = catalog.grants.iter().filter(alike).collect();
        let [grant] = found[..] else {
            panic!("{version}: {on:?} {schema} {grantee:?}: {found:?} of {:#?}", catalog.grants)
        };
        assert_eq!(grant.objects, 1, "{version}: {grant:?}");
        grant.object.raw().to_owned()
    };
    let globex = Some("role_globex");
    has(ObjectKind::Schema, "tenant_acme", "role_acme", globex, &["USAGE"]);
    has(ObjectKind::Table, "tenant_acme", "role_acme", globex, &["INSERT", "SELECT"]);
    assert_eq!(has(ObjectKind::Column, "tenant_acme", "role_acme", None, &["UPDATE"]), "orders.total");
    has(ObjectKind::Sequence, "tenant_globex", "role_globex", Some("role_acme"), &["USAGE"]);
    assert_eq!(has(ObjectKind::DefaultPrivileges, "tenant_acme", "role_acme", globex, &["SELECT"]), "tables");
    assert_eq!(has(ObjectKind::Function, "tenant_acme", "role_acme", None, &["EXECUTE"]), "total()");
    has(ObjectKind::Membership, "", "role_acme", Some("role_initech"), &["INHERIT", "SET"]);
    has(ObjectKind::Database, "", "postgres", Some("role_acme"), &["CREATE"]);
    let public: Vec<&Grant> = catalog.grants.iter().filter(|grant| grant.schema.raw() == "public").collect();
    let create = Arc::<str>::from("CREATE");
    let everybody = |grant: &&Grant| grant.on == ObjectKind::Schema && grant.grantee.is_none();
    assert!(public.iter().copied().any(|grant| everybody(&grant) && grant.privileges.contains(&create)), "{version}");
}

fn setup_of(version: &str, catalog: &Catalog) {
    let schema = |name: &str| catalog.schemas.iter().find(|schema| schema.name.raw() == name).unwrap();
    assert_eq!(schema("tenant_acme").comment.as_ref().unwrap().raw(), "the first of all", "{version}");
    assert_eq!((schema("tenant_acme").tables, schema("tenant_acme").owner.raw()), (2, "role_acme"), "{version}");
    assert_eq!((schema("tenant_empty").tables, schema("public").tables), (0, 1), "{version}");
    assert!(catalog.schemas.iter().all(|schema| !schema.name.raw().starts_with("pg_")), "{version}");
    assert_eq!((catalog.audit.loaded, catalog.audit.log.as_deref()), (Some(false), None), "{version}");
    let [index] = &catalog.invalid_indexes[..] else { panic!("{version}: {:?}", catalog.invalid_indexes) };
    assert_eq!((index.schema.raw(), index.table.raw(), index.index.raw()), ("tenant_initech", "doubles", "doubles_id"));
    assert!(index.unique && !index.building, "{version}: {index:?}");
    // The platform's registry; that a tenant made one of its own changes nothing.
    let registry = catalog.registry.as_ref().unwrap_or_else(|| panic!("{version}: no registry"));
    let rows: Vec<_> = registry.iter().map(|row| (row.tenant.raw(), row.tier.raw(), row.schema.is_some())).collect();
    assert_eq!(rows, [("acme", "shared", true), ("hooli", "dedicated", false)], "{version}");
}

fn sequences(version: &str, catalog: &Catalog) {
    assert_eq!(catalog.hidden_sequences, 0, "{version}");
    let told = |sequence: &Sequence| {
        let column = sequence.column.as_ref().map(|column| column.raw().to_owned());
        (sequence.name.raw().to_owned(), column, sequence.last, sequence.end, sequence.bound_by.to_string())
    };
    let (int4, int2) = (i64::from(i32::MAX), i64::from(i16::MAX));
    let row = |name: &str, column: Option<&str>, last, end, by: &str| {
        (name.to_owned(), column.map(str::to_owned), last, end, by.to_owned())
    };
    let expected = [
        row("tickets_id_seq", Some("tickets.id"), 2_000_000_000, int4, "integer"),
        row("down", None, -900, -1_000, "smallint"),
        row("wide", Some("narrow.number"), 1_500_000_000, int4, "integer"),
        row("tiny_id_seq", Some("tiny.id"), 20_000, int2, "smallint"),
    ];
    let seen: Vec<_> = catalog.sequences.iter().map(told).collect();
    assert_eq!(seen, expected, "{version}");
    assert!(catalog.sequences.iter().all(|sequence| !sequence.estimated), "{version}");
}

/// All tables of one schema, however well they are; and no others.
async fn homes(seer: &Seer<'_>) {
    let told = tables(&seer.desk, Some(&Foreign::from("tenant_globex"))).await.unwrap();
    let mut names: Vec<&str> = told.iter().map(|table| table.table.raw()).collect();
    names.sort_unstable();
    for name in ["fine", "narrow", "tickets", "tiny"] {
        assert!(names.contains(&name), "{}: {names:?}", seer.version);
    }
    assert!(told.iter().all(|table| table.schema.raw() == "tenant_globex"), "{}: {told:?}", seer.version);
    let tiny = told.iter().find(|table| table.table.raw() == "tiny").unwrap();
    assert!(tiny.bytes > 0 && tiny.measured && tiny.dead_tuples == 0, "{}: {tiny:?}", seer.version);
    assert_eq!(tables(&seer.desk, Some(&Foreign::from("tenant_nobody"))).await.unwrap(), []);
}

/// What the server works is told without the network, and never as nothing: short questions are most of what watching costs.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_works_is_not_taken_for_the_networks_time() {
    let server = Server::start("", HBA, |_| {});
    world(server.port).await;
    let desk = desk(server.port, "tierdeck", "postgres").await;
    assert_eq!(desk.round_trip(), Duration::ZERO, "not measured yet: all of the time is called the server's");
    desk.measure().await;
    let trip = desk.round_trip();
    assert!(trip > Duration::ZERO && trip < Duration::from_millis(50), "{trip:?}");
    for _ in 0..20 {
        let _ = desk.worked();
        let asked = Instant::now();
        desk.rows("SELECT pg_sleep(0.003)", &[]).await.unwrap();
        let (took, worked) = (asked.elapsed(), desk.worked());
        let most = took + Duration::from_micros(1);
        assert!(worked + trip >= Duration::from_millis(3) && worked <= most, "{worked:?} of {took:?}, trip {trip:?}");
    }
}
