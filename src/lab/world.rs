//! The RDS-like world in the cluster: roles, databases, schemas, tables, rows. What RDS does itself is done by the
//! superuser; everything else by the master user, who is none, as on RDS.

use std::cell::Cell;
use std::fmt::Write as _;

use futures::future::try_join_all;
use postgres_protocol::escape::escape_identifier;

use super::cluster::SUPERUSER;
use super::door::{Door, Link, verifier};
use super::error::LabError;
use super::roster::{Member, Oddity, Roster, SHARED_DATABASE, Style};
use crate::domain::Layout;

/// The master user.
pub(super) const ADMIN: &str = "portarium_admin";
/// The monitoring login.
pub(super) const MONITOR: &str = "tierdeck";
/// The login that most tenants share.
pub(super) const SERVICE: &str = "portarium_shared";
/// What all applications may do in the platform's schema.
const APPS: &str = "portarium_apps";

/// Tenants made in one transaction: each table takes locks until its end.
const BATCH: usize = 20;
/// Connections that make tenants side by side.
const LANES: usize = 3;
/// Databases are made one by one and cost 7 MB each.
pub(super) const MOST_DATABASES: usize = 300;
/// Beyond this many tenants only the bigger ones are analysed before work begins; autovacuum does the others.
const ANALYSED_AT_ONCE: usize = 200;

/// Builds everything; the cluster is fresh.
pub(super) async fn build(
    door: &Door,
    major: u32,
    layout: Layout,
    roster: &Roster,
    progress: &impl Fn(&str),
) -> Result<(), LabError> {
    progress("creating roles and databases");
    bootstrap(door).await?;
    let admin = open(door, ADMIN, SHARED_DATABASE).await?;
    run(&admin, "create the platform's roles", &platform_roles(door)).await?;
    for members in roster.members.chunks(200) {
        run(&admin, "create the tenants' roles", &tenant_roles(door, major, members)).await?;
    }
    if layout == Layout::Schema {
        run(&admin, "create the platform's schema", &platform(roster)).await?;
    }
    let made = Cell::new(0);
    let lanes = (0..LANES).map(|lane| fill(door, layout, roster, lane, &made, progress));
    try_join_all(lanes).await?;
    progress("gathering statistics");
    settle(door, layout, roster).await
}

/// What RDS itself sets up: the master user, the database of the service, the extension.
async fn bootstrap(door: &Door) -> Result<(), LabError> {
    let boss = open(door, SUPERUSER, "postgres").await?;
    let roles = format!(
        "CREATE ROLE {ADMIN} LOGIN CREATEROLE CREATEDB REPLICATION PASSWORD {};
         GRANT pg_monitor, pg_signal_backend TO {ADMIN} WITH ADMIN OPTION;",
        secret(door, ADMIN)
    );
    run(&boss, "create the master user", &roles).await?;
    for statement in [
        format!("CREATE DATABASE {SUPERUSER}"),
        format!("REVOKE ALL ON DATABASE {SUPERUSER} FROM PUBLIC"),
        format!("CREATE DATABASE {SHARED_DATABASE} OWNER {ADMIN}"),
    ] {
        run(&boss, "create the databases", &statement).await?;
    }
    let boss = open(door, SUPERUSER, SHARED_DATABASE).await?;
    run(&boss, "create extension pg_stat_statements", "CREATE EXTENSION pg_stat_statements").await
}

fn platform_roles(door: &Door) -> String {
    format!(
        "CREATE ROLE {MONITOR} LOGIN PASSWORD {};
         GRANT pg_monitor TO {MONITOR};
         CREATE ROLE {APPS} NOLOGIN;
         CREATE ROLE {SERVICE} LOGIN CONNECTION LIMIT 80 PASSWORD {};
         GRANT {APPS} TO {SERVICE};",
        secret(door, MONITOR),
        secret(door, SERVICE)
    )
}

/// The verifier of a role's password as a literal; its alphabet needs no escaping.
fn secret(door: &Door, role: &str) -> String {
    door.key(role).map_or_else(|| "NULL".to_owned(), |key| format!("'{}'", verifier(key)))
}

fn tenant_roles(door: &Door, major: u32, members: &[Member]) -> String {
    let mut sql = String::from("BEGIN;\n");
    for member in members {
        let role = escape_identifier(&member.role);
        if member.style == Style::OwnLogin {
            let limit = if member.oddity == Oddity::NoConnectionLimit { -1 } else { 40 };
            let timeout = if member.oddity == Oddity::SlackTimeout { "2h" } else { "30s" };
            let _ = write!(
                sql,
                "CREATE ROLE {role} LOGIN CONNECTION LIMIT {limit} PASSWORD {};
                 ALTER ROLE {role} SET statement_timeout = '{timeout}';
                 ALTER ROLE {role} SET lock_timeout = '5s';
                 ALTER ROLE {role} SET idle_in_transaction_session_timeout = '60s';
                 ALTER ROLE {role} SET search_path = {};
                 GRANT {APPS} TO {role};",
                secret(door, &member.role),
                escape_identifier(&member.schema)
            );
        } else {
            let _ = write!(sql, "CREATE ROLE {role} NOLOGIN;");
        }
        // From 16 on, who may create a role is not thereby a member of it.
        let _ = match major {
            ..16 => writeln!(sql, "GRANT {role} TO {ADMIN};"),
            _ => writeln!(sql, "GRANT {role} TO {ADMIN} WITH SET TRUE, INHERIT TRUE;"),
        };
    }
    sql + "COMMIT;"
}

fn platform(roster: &Roster) -> String {
    let tables = include_str!("../../assets/lab/platform.sql");
    let names: Vec<String> = roster.members.iter().map(|member| format!("('{}')", member.id)).collect();
    format!(
        "BEGIN;
         CREATE SCHEMA platform;
         GRANT USAGE ON SCHEMA platform TO {APPS};
         ALTER DEFAULT PRIVILEGES FOR ROLE {ADMIN} IN SCHEMA platform
             GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {APPS};
         SET LOCAL search_path = platform;
         {tables}
         INSERT INTO tenant_registry SELECT tenant, 'shared' FROM (VALUES {}) AS tenants (tenant);
         COMMIT;",
        names.join(", ")
    )
}

/// Every LANES-th batch of tenants, over a connection of its own.
async fn fill(
    door: &Door,
    layout: Layout,
    roster: &Roster,
    lane: usize,
    made: &Cell<usize>,
    progress: &impl Fn(&str),
) -> Result<(), LabError> {
    let size = if layout == Layout::Database { 1 } else { BATCH };
    let admin = open(door, ADMIN, SHARED_DATABASE).await?;
    for (number, members) in roster.members.chunks(size).enumerate().skip(lane).step_by(LANES) {
        let mut sql = String::from("BEGIN;\n");
        for (place, member) in members.iter().enumerate() {
            sql += &tenant(layout, member, number * size + place);
        }
        sql += "COMMIT;";
        match (layout, members) {
            (Layout::Database, [member, ..]) => {
                let create = format!("CREATE DATABASE {}", escape_identifier(&member.database));
                run(&admin, "create a tenant's database", &create).await?;
                run(&open(door, ADMIN, &member.database).await?, "fill a tenant's database", &sql).await?;
            }
            _ => run(&admin, "create tenants", &sql).await?,
        }
        made.set(made.get() + members.len());
        progress(&format!("creating tenants: {} of {}", made.get(), roster.members.len()));
    }
    Ok(())
}

fn tenant(layout: Layout, member: &Member, place: usize) -> String {
    let (schema, role) = (escape_identifier(&member.schema), escape_identifier(&member.role));
    let mut sql = format!("CREATE SCHEMA {schema} AUTHORIZATION {role};\n");
    if layout == Layout::Schema {
        let _ = write!(
            sql,
            "GRANT USAGE ON SCHEMA {schema} TO {SERVICE};
             ALTER DEFAULT PRIVILEGES FOR ROLE {role} IN SCHEMA {schema}
                 GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {SERVICE};
             ALTER DEFAULT PRIVILEGES FOR ROLE {role} IN SCHEMA {schema} GRANT USAGE ON SEQUENCES TO {SERVICE};\n"
        );
    }
    let _ = writeln!(sql, "SET LOCAL ROLE {role}; SET LOCAL search_path = {schema};");
    sql += &include_str!("../../assets/lab/tenant.sql").replace("{orders}", &member.orders.to_string());
    if place.is_multiple_of(2) {
        sql += &include_str!("../../assets/lab/invoices.sql").replace("{orders}", &member.orders.to_string());
    }
    if place.is_multiple_of(3) {
        sql += &include_str!("../../assets/lab/sessions.sql").replace("{orders}", &member.orders.to_string());
    }
    if layout == Layout::Database {
        sql += include_str!("../../assets/lab/platform.sql");
    }
    if member.oddity == Oddity::WideText {
        let _ = write!(sql, "CREATE TABLE {} (\"備考\" text);", escape_identifier(ODD_TABLE));
        let _ = writeln!(sql, "INSERT INTO {} SELECT 'x' FROM generate_series(1, 99);", escape_identifier(ODD_TABLE));
    }
    sql + "RESET ROLE;\n"
}

/// A table's name that a careless console prints as it is: wide characters and a mark that turns the line around.
pub(super) const ODD_TABLE: &str = "注文履歴\u{202e}2026";

/// What this session did is counted now, not a second later, when it would look like work (15 and later have this).
const COUNT_NOW: &str =
    "DO $$ BEGIN PERFORM pg_stat_force_next_flush(); EXCEPTION WHEN undefined_function THEN NULL; END $$";

/// Statistics for the planner and for sizes; counters begin at zero, so that loading does not count as work.
async fn settle(door: &Door, layout: Layout, roster: &Roster) -> Result<(), LabError> {
    let mut databases = vec![SHARED_DATABASE];
    if layout == Layout::Database {
        databases.extend(roster.members.iter().map(|member| member.database.as_str()));
    }
    let some: Vec<String> = roster
        .members
        .iter()
        .take(ANALYSED_AT_ONCE)
        .flat_map(|member| ["customers", "orders", "events"].map(|table| (member, table)))
        .map(|(member, table)| format!("{}.{table}", escape_identifier(&member.schema)))
        .collect();
    let analyse = match layout {
        Layout::Schema if roster.members.len() > ANALYSED_AT_ONCE => format!("ANALYZE {}", some.join(", ")),
        _ => "ANALYZE".to_owned(),
    };
    let (databases, analyse) = (&databases, analyse.as_str());
    let lanes = (0..LANES).map(async |lane| {
        for database in databases.iter().skip(lane).step_by(LANES) {
            let boss = open(door, SUPERUSER, database).await?;
            run(&boss, "analyse", analyse).await?;
            run(&boss, "count", COUNT_NOW).await?;
            run(&boss, "reset the statistics", "SELECT pg_stat_reset()").await?;
        }
        Ok::<(), LabError>(())
    });
    try_join_all(lanes).await?;
    let boss = open(door, SUPERUSER, SHARED_DATABASE).await?;
    run(&boss, "reset the statistics", "SELECT pg_stat_statements_reset()").await
}

async fn open(door: &Door, role: &str, database: &str) -> Result<Link, LabError> {
    door.open(role, database, "tierdeck lab").await.map_err(LabError::database(format!("log in as {role}")))
}

async fn run(link: &Link, doing: &str, sql: &str) -> Result<(), LabError> {
    link.client.batch_execute(sql).await.map_err(LabError::database(doing))
}
