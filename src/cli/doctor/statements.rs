//! What `tierdeck doctor` says of `pg_stat_statements`: from there comes whose statements cost what.

use super::{Check, Finding, Verdict};
use crate::clients::postgres::QueryError;
use crate::domain::Foreign;
use crate::domain::identifier::quoted;
use crate::domain::quantity::count;
use crate::sources::postgres::Privileges;
use crate::sources::postgres::statements::setup::Setup;

/// What is not known without it.
const LEFT_OUT: &str = "left out: tenants' statements, their shares of the WAL (before PostgreSQL 18) and of what they \
                        read, and whose statements spill";

/// The checks; what it is not there for cannot be wrong as well.
pub(super) fn checks(setup: &Result<Setup, QueryError>, privileges: &Privileges) -> Vec<Check> {
    let setup = match setup {
        Ok(setup) => setup,
        Err(error) => return vec![wrong("statements", format!("{error}; {LEFT_OUT}"), None)],
    };
    let mut checks = vec![extension(setup, privileges)];
    if setup.query_ids == "off" {
        checks.push(wrong(
            "query ids",
            format!(
                "compute_query_id is off: pg_stat_statements counts nothing, and sessions do not tell which statement \
                 they run (unless another module gives ids); {LEFT_OUT}"
            ),
            Some("ALTER SYSTEM SET compute_query_id = auto; SELECT pg_reload_conf();".to_owned()),
        ));
    } else {
        checks.push(good("query ids", &format!("compute_query_id is {}", Foreign::from(setup.query_ids.as_str()))));
    }
    if let (Some((evictions, since)), Some(most)) = (setup.evictions, setup.most) {
        let since = since.map(|since| since.strftime(" since %Y-%m-%d %H:%MZ").to_string()).unwrap_or_default();
        checks.push(if evictions == 0 {
            good("room", &format!("room for all statements: none of {most} entries was thrown out{since}"))
        } else {
            // What was wiped out and begun anew looks as if it had just begun: shares lie while that goes on.
            let more = most.saturating_mul(4).max(20_000);
            wrong(
                "room",
                format!(
                    "pg_stat_statements threw entries out {} times{since} to make room for others (dealloc): while that \
                     grows, nothing is concluded from it",
                    count(evictions as f64)
                ),
                Some(format!("ALTER SYSTEM SET pg_stat_statements.max = {more}; -- then restart")),
            )
        });
    }
    checks
}

/// Whether it is there and readable; the first thing that is missing.
fn extension(setup: &Setup, privileges: &Privileges) -> Check {
    let (database, login) = (&setup.database, quoted(privileges.login.raw()));
    let missing = |detail: String, fix: String| wrong("statements", format!("{detail}; {LEFT_OUT}"), Some(fix));
    if setup.most.is_none() {
        let create = if setup.version.is_none() { " CREATE EXTENSION pg_stat_statements;" } else { "" };
        let fix = match &setup.libraries {
            Some(libraries) => {
                let all = libraries.iter().map(Foreign::raw).chain(["pg_stat_statements"]);
                let all: Vec<String> =
                    all.map(|name| format!("'{}'", Foreign::from(name.replace('\'', "''")))).collect();
                let all = all.join(", ");
                format!("ALTER SYSTEM SET shared_preload_libraries = {all}; -- then restart.{create}")
            }
            None => format!("add pg_stat_statements to shared_preload_libraries, and restart.{create}"),
        };
        return missing("pg_stat_statements is not in shared_preload_libraries".to_owned(), fix);
    }
    let Some(version) = &setup.version else {
        let there = format!("pg_stat_statements is loaded, but was not created in database {database}");
        return missing(there, "CREATE EXTENSION pg_stat_statements;".to_owned());
    };
    if setup.is_old() {
        let old = format!("pg_stat_statements in database {database} is version {version}, and 1.9 is wanted");
        return missing(old, "ALTER EXTENSION pg_stat_statements UPDATE;".to_owned());
    }
    if !privileges.reads_all_stats {
        let own = format!("{login} sees its own statements only");
        return missing(own, format!("GRANT pg_read_all_stats TO {login};"));
    }
    if let Some(schema) = setup.schema.as_ref().filter(|_| !setup.may_look) {
        let closed = format!("pg_stat_statements is in schema {schema}, which is closed to {login}");
        return missing(closed, format!("GRANT USAGE ON SCHEMA {} TO {login};", quoted(schema.raw())));
    }
    good("statements", &format!("pg_stat_statements {version} in database {database}"))
}

fn good(name: &'static str, detail: &str) -> Check {
    Check::of(name, true, detail, Finding { verdict: Verdict::Fine, detail: String::new(), leaves_out: &[], fix: None })
}

fn wrong(name: &'static str, detail: String, fix: Option<String>) -> Check {
    Check::of(name, false, "", Finding { verdict: Verdict::Warning, detail, leaves_out: &[], fix })
}
