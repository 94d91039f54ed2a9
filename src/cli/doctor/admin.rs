//! What `tierdeck doctor` says of the login that acts: whether it gets in, and what it may do. Nothing is changed with it.

use super::{Check, Component, Finding, Verdict};
use crate::clients::postgres::{QueryError, Target, Timeouts, connect};
use crate::config::{InstanceConfig, Login};
use crate::domain::foreign::sanitise;
use crate::domain::{Layout, Naming};

/// Looks at it.
pub(super) async fn examine(instance: &InstanceConfig, login: &Login, target: &Target, naming: &Naming) -> Component {
    let target = target.with_user(&login.user);
    let mut component = Component {
        name: instance.name.to_string(),
        kind: "admin",
        reachable: false,
        version: None,
        login: Some(login.user.clone()),
        checks: Vec::new(),
    };
    let missing = |detail: String| Check {
        name: "connection",
        verdict: Verdict::Missing,
        detail: format!("{detail}; left out: actions and wizards"),
        leaves_out: Vec::new(),
        fix: None,
        narrower: None,
    };
    let password = match &login.password {
        Some(secret) => match secret.fetch().await {
            Ok(password) => Some(password),
            Err(error) => {
                component.checks.push(missing(error.to_string()));
                return component;
            }
        },
        None => None,
    };
    // As everything that only looks: read-only by the server's own setting.
    let connection = match connect(&target, password, &Timeouts::default()).await {
        Ok(connection) => connection,
        Err(error) => {
            component.checks.push(missing(error.to_string()));
            return component;
        }
    };
    component.reachable = true;
    component.version = Some(connection.server_version().to_owned());
    let sql = include_str!("../../../assets/sql/ops/admin.sql");
    let pattern = match instance.layout {
        Layout::Schema => &naming.tenant_role,
        Layout::Database => &naming.tenant_login,
    };
    let looked = async {
        let rows = connection.query(sql, &[]).await?;
        let row = rows.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
        let read = || -> Result<Rights, tokio_postgres::Error> {
            Ok(Rights {
                superuser: row.try_get("superuser")?,
                creates_roles: row.try_get("creates_roles")?,
                creates_schemas: row.try_get("creates_schemas")?,
                sees: row.try_get("sees")?,
                signals: row.try_get("signals")?,
                database: row.try_get("database")?,
                modern: row.try_get("modern")?,
                not_ours: row.try_get("not_ours")?,
            })
        };
        read().map_err(QueryError::from)
    };
    match looked.await {
        Ok(mut rights) => {
            rights.not_ours.retain(|role| pattern.id(role).is_some());
            component.checks = checks(&login.user, &rights);
        }
        Err(error) => component.checks.push(missing(error.to_string())),
    }
    component
}

#[expect(clippy::struct_excessive_bools, reason = "each is a right of its own")]
struct Rights {
    superuser: bool,
    creates_roles: bool,
    creates_schemas: bool,
    sees: bool,
    signals: bool,
    database: String,
    /// From 16 on a membership has options.
    modern: bool,
    not_ours: Vec<String>,
}

fn checks(login: &str, rights: &Rights) -> Vec<Check> {
    let quoted = postgres_protocol::escape::escape_identifier;
    let login = quoted(login);
    let check = |name, fine, good: &str, detail: &str, fix: String| {
        let verdict = Verdict::Warning;
        Check::of(name, fine, good, Finding { verdict, detail: detail.to_owned(), leaves_out: &[], fix: Some(fix) })
    };
    let mut checks = vec![
        check(
            "no superuser",
            !rights.superuser,
            "no superuser, as RDS gives it",
            "a superuser: actions and wizards do not need one, and what goes wrong with one goes further",
            format!("CREATE ROLE portarium_admin LOGIN CREATEROLE; -- and name that one as admin instead of {login}"),
        ),
        check(
            "roles",
            rights.creates_roles,
            "may create roles",
            "may not create roles: no tenant can be provisioned",
            format!("ALTER ROLE {login} CREATEROLE;"),
        ),
        check(
            "schemas",
            rights.creates_schemas,
            "may create schemas",
            "may not create schemas: no tenant can be provisioned, and there is no room for leases and journals",
            format!("GRANT CREATE ON DATABASE {} TO {login};", quoted(&rights.database)),
        ),
        check(
            "sessions",
            rights.sees,
            "sees everybody's sessions",
            "does not see whose sessions are whose: actions on sessions are refused",
            format!("GRANT pg_monitor TO {login};"),
        ),
        check(
            "signals",
            rights.signals,
            "may end sessions",
            "may not end other logins' sessions",
            format!("GRANT pg_signal_backend TO {login};"),
        ),
    ];
    let some: Vec<String> = rights.not_ours.iter().take(5).map(|role| sanitise(role).into_owned()).collect();
    let more = rights.not_ours.len().saturating_sub(some.len());
    let options = if rights.modern { " WITH ADMIN TRUE, SET TRUE, INHERIT TRUE" } else { "" };
    checks.push(check(
        "tenants",
        rights.not_ours.is_empty(),
        "is a member of every tenant's role",
        &format!(
            "is no member of {} of tenants ({}{}): their tables can be neither vacuumed nor exported by it",
            rights.not_ours.len(),
            some.join(", "),
            if more > 0 { " …" } else { "" }
        ),
        rights
            .not_ours
            .iter()
            .take(5)
            .map(|role| format!("GRANT {} TO {login}{options};", quoted(role)))
            .collect::<Vec<_>>()
            .join(" "),
    ));
    checks
}
