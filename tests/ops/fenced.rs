//! A tenant that works as the account of everybody, with every kind of ACL in its schema: what the fence is tried on.

use tierdeck::ops::act::{Intent, Quarantining};
use tokio_postgres::SimpleQueryMessage;

use super::world::{ADMIN, World, shared, tenant};
use crate::support::watcher::{SECRET, session};

/// Quarantine it.
pub fn quarantine() -> Intent {
    Intent::Quarantine(Quarantining { tenant: tenant("initech"), instance: shared() })
}

/// Grants with and without the right to hand them on, and those that were; on columns, to PUBLIC, in an order that has to be
/// kept; ACLs that are none; a login of the tenant's own that acts as the owner.
pub async fn furnish(world: &World) {
    let admin = session(world.server.port, ADMIN, "portarium").await;
    let newer = world.number("SELECT current_setting('server_version_num')::int8").await >= 160_000;
    let with = if newer { "WITH SET TRUE, INHERIT TRUE" } else { "" };
    let sql = format!(
        "CREATE ROLE initech_app LOGIN PASSWORD '{SECRET}'; GRANT role_initech TO initech_app;
         ALTER ROLE initech_app SET role = 'role_initech';
         CREATE ROLE clerk; CREATE ROLE scribe; CREATE ROLE auditor;
         GRANT clerk TO {ADMIN} {with}; GRANT portarium_shared TO {ADMIN} {with};
         ALTER ROLE portarium_shared CONNECTION LIMIT -1;
         SET ROLE role_initech;
         CREATE SEQUENCE tenant_initech.numbers;
         CREATE TABLE tenant_initech.items (id serial PRIMARY KEY, said text, at timestamptz DEFAULT now());
         CREATE TABLE tenant_initech.scratch (id int);
         CREATE TABLE tenant_initech.private (id int);
         REVOKE ALL ON tenant_initech.private FROM portarium_shared;
         CREATE VIEW tenant_initech.seen AS SELECT id FROM tenant_initech.orders;
         CREATE MATERIALIZED VIEW tenant_initech.counted AS SELECT count(*) FROM tenant_initech.orders;
         GRANT USAGE, CREATE ON SCHEMA tenant_initech TO portarium_shared;
         GRANT USAGE ON SCHEMA tenant_initech TO clerk, scribe, auditor;
         GRANT USAGE ON tenant_initech.items_id_seq TO portarium_shared;
         GRANT INSERT ON tenant_initech.orders TO scribe;
         GRANT SELECT ON tenant_initech.orders TO auditor;
         GRANT UPDATE (total), SELECT (total) ON tenant_initech.orders TO auditor;
         GRANT INSERT (id) ON tenant_initech.private TO clerk WITH GRANT OPTION;
         GRANT SELECT (id) ON tenant_initech.private TO auditor;
         GRANT INSERT, SELECT ON tenant_initech.items TO clerk WITH GRANT OPTION;
         GRANT SELECT ON tenant_initech.items TO PUBLIC;
         SET ROLE clerk; GRANT INSERT, SELECT ON tenant_initech.items TO scribe;
         SET ROLE role_initech; GRANT DELETE ON tenant_initech.items TO auditor;
         RESET ROLE;"
    );
    admin.batch_execute(&sql).await.unwrap();
    // What no admin login could do: to bring back ACLs as they are stored.
    let sql = "CREATE SCHEMA boss;
               CREATE TABLE boss.relations AS SELECT oid, relacl FROM pg_class WHERE relnamespace = 'tenant_initech'::regnamespace;
               CREATE TABLE boss.columns AS SELECT attrelid, attnum, attacl FROM pg_attribute WHERE attrelid IN (SELECT oid FROM boss.relations);
               CREATE TABLE boss.home AS SELECT oid, nspacl FROM pg_namespace WHERE nspname = 'tenant_initech'";
    world.boss.batch_execute(sql).await.unwrap();
}

/// As [`furnish`] left it, whatever happened.
pub async fn bring_back(world: &World) {
    let sql = "UPDATE pg_class c SET relacl = r.relacl FROM boss.relations r WHERE r.oid = c.oid AND c.relacl::text IS DISTINCT FROM r.relacl::text;
               UPDATE pg_attribute a SET attacl = r.attacl FROM boss.columns r
               WHERE r.attrelid = a.attrelid AND r.attnum = a.attnum AND a.attacl::text IS DISTINCT FROM r.attacl::text;
               UPDATE pg_namespace n SET nspacl = h.nspacl FROM boss.home h WHERE h.oid = n.oid AND n.nspacl::text IS DISTINCT FROM h.nspacl::text;
               ALTER ROLE initech_app LOGIN";
    world.boss.batch_execute(sql).await.unwrap();
}

/// Every ACL in the schema, as it is stored: none at all is another than an empty one.
pub async fn acls(world: &World) -> String {
    let sql = "SELECT format('%s %s', relname, coalesce(relacl::text, 'none')) FROM pg_class WHERE relnamespace = 'tenant_initech'::regnamespace AND relname !~ '^made_'
               UNION ALL SELECT format('%s.%s %s', attrelid::regclass, attname, coalesce(attacl::text, 'none')) FROM pg_attribute
                 WHERE attnum > 0 AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'tenant_initech'::regnamespace AND relname !~ '^made_')
               UNION ALL SELECT format('schema %s', coalesce(nspacl::text, 'none')) FROM pg_namespace WHERE nspname = 'tenant_initech'
               UNION ALL SELECT format('default %s', defaclacl) FROM pg_default_acl WHERE defaclnamespace = 'tenant_initech'::regnamespace
               UNION ALL SELECT format('%s %s', rolname, rolcanlogin) FROM pg_roles WHERE rolname ~ 'initech' ORDER BY 1";
    let rows = world.boss.simple_query(sql).await.unwrap();
    let lines = rows.iter().filter_map(|row| match row {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}
