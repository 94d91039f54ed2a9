//! On demand: how the server would carry out a session's statement. A tenant wrote that text, so it is only ever handed
//! over as the one statement of one `EXPLAIN` without ANALYZE:
//!
//! - [`text`] admits one statement that begins with SELECT, INSERT, UPDATE, DELETE, MERGE, VALUES or WITH, and nothing else;
//! - the options of EXPLAIN stand in brackets before it, so that no word at its beginning can be taken for an option;
//! - it is prepared first, and what is prepared is a single statement: the extended protocol refuses several; the
//!   transaction is read-only and rolled back, with short timeouts;
//! - planning runs functions (of constants, for estimates): where a tenant's own could be among them, nothing is planned,
//!   because it would run with the rights of our login.

mod text;

use jiff::Timestamp;
use tokio_postgres::SimpleQueryMessage;

use super::text::Text;
use crate::clients::postgres::{Connection, QueryError};
use crate::domain::Foreign;
use crate::domain::foreign::sanitise;
use crate::domain::inspection::{Plan, PlanInquiry, PlanLine};

pub use text::Refusal;

/// The first major version that plans a statement without knowing its values.
const GENERIC: i32 = 160_000;

/// Above this many bytes the polled text is cut in its middle; see `activity.sql`.
const KEPT: usize = 4_096;

/// What of the polled text is sure to be its beginning, however it was cut.
const BEGINNING: usize = 3_500;

/// The lines of a plan that are kept: with thousands of partitions it has as many.
const LINES: usize = 400;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The text cannot be explained.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The session went on, and what it ran was not kept whole.
    #[error("the session runs something else by now, and its statement was too long to be kept whole")]
    Gone,
    /// `$1` in the text, and an old server.
    #[error(
        "the statement has parameters, whose values the server does not show; planning without them needs PostgreSQL 16"
    )]
    Parameters,
    /// Planning could run code of a tenant as us.
    #[error(
        "planning it could run {code}, a function of a tenant{}, with the rights of our login: not asked; EXPLAIN it as the tenant's own role", behind.as_ref().map(|behind| format!(" (behind {behind})")).unwrap_or_default()
    )]
    Code {
        /// The function.
        code: String,
        /// What uses it, where the statement does not name it.
        behind: Option<String>,
    },
    /// A right is missing, for reading.
    #[error(
        "{message}; GRANT pg_read_all_data TO {user}; lets our login plan whatever reads (it may then read everything)"
    )]
    MayNotRead {
        /// What the server said.
        message: String,
        /// Our login, as it stands in SQL.
        user: String,
    },
    /// A right is missing, for writing.
    #[error(
        "{message}; to plan what writes asks for the right to write, which a login that watches should not have (not even with pg_read_all_data): EXPLAIN it as the tenant's own role"
    )]
    MayNotWrite {
        /// What the server said.
        message: String,
    },
    /// A name is not found where we look.
    #[error("{message}; names were looked up in {searched}")]
    NotFound {
        /// What the server said.
        message: String,
        /// Where.
        searched: String,
    },
    /// Planning takes too long.
    #[error("planning it takes longer than our sessions may; EXPLAIN it by hand")]
    Slow,
    /// The server did not answer, or said no.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// Asks how the server would carry out a statement. The connection is for this alone, and should be dropped afterwards.
pub async fn plan(connection: &Connection, inquiry: &PlanInquiry) -> Result<Plan, PlanError> {
    let sql = include_str!("../../../../assets/sql/session_text.sql");
    let key = inquiry.session.key;
    let row = connection.query_one(sql, &[&key.pid, &key.started]).await?;
    let newest = row.try_get::<_, Option<Text>>("query").map_err(QueryError::from)?.map(|text| text.0);
    let most = row.try_get::<_, i32>("most").map_err(QueryError::from)?;
    let version: i32 = row.try_get("version").map_err(QueryError::from)?;
    let query = whole(inquiry.query.raw(), newest)?;
    let read = text::read(&query, usize::try_from(most).unwrap_or(1_024))?;
    let generic = read.parameters;
    if generic && version < GENERIC {
        return Err(PlanError::Parameters);
    }
    connection.batch("BEGIN TRANSACTION READ ONLY").await?;
    let lines = explain(connection, inquiry, &query, &read).await;
    // Whatever became of it: nothing stays.
    connection.batch("ROLLBACK").await?;
    Ok(Plan { at: Timestamp::now(), lines: lines?, generic, home: inquiry.home.clone() })
}

/// The whole statement that stands on the screen: as the session still has it, or as it was kept.
fn whole(shown: &str, newest: Option<String>) -> Result<String, PlanError> {
    let begins = |text: &str| text.as_bytes().get(..BEGINNING) == shown.as_bytes().get(..BEGINNING);
    match newest {
        Some(newest) if newest == shown || newest.len() > KEPT && begins(&newest) => Ok(newest),
        _ if shown.len() <= KEPT && !shown.ends_with('…') => Ok(shown.to_owned()),
        _ => Err(PlanError::Gone),
    }
}

async fn explain(
    connection: &Connection,
    inquiry: &PlanInquiry,
    query: &str,
    read: &text::Read,
) -> Result<Vec<PlanLine>, PlanError> {
    let sql = include_str!("../../../../assets/sql/planned_code.sql");
    if let Some(row) = connection.query(sql, &[&read.names]).await?.first() {
        let words = |name| row.try_get::<_, Option<Text>>(name).map_err(QueryError::from);
        let safe = |text: Text| sanitise(&text.0).into_owned();
        let code = words("code")?.map(safe).unwrap_or_default();
        return Err(PlanError::Code { code, behind: words("behind")?.map(safe) });
    }
    // Schemas that we may not look into are passed over without a word, and their tables are then said not to exist.
    if let Some(home) = &inquiry.home {
        let sql = "SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = $1";
        let row = connection.query(sql, &[&&*home.schema]).await?.into_iter().next();
        if row.is_some_and(|row| row.try_get(0).is_ok_and(|may: bool| !may)) {
            let message = format!("our login may not look into schema {}", sanitise(&home.schema));
            return Err(may_not_read(message, connection));
        }
    }
    // Only now: a path of theirs would put their functions before the server's in the questions above.
    let path = if let Some(home) = &inquiry.home {
        format!("\"{}\", public", home.schema.replace('"', "\"\""))
    } else {
        let row = connection.query_one(include_str!("../../../../assets/sql/database_path.sql"), &[]).await?;
        row.try_get::<_, Text>(0).map_err(QueryError::from)?.0
    };
    connection.query("SELECT set_config('search_path', $1, true)", &[&path]).await?;
    let generic = if read.parameters { ", GENERIC_PLAN TRUE" } else { "" };
    let asked = format!("EXPLAIN (ANALYZE FALSE, FORMAT TEXT{generic}) {query}");
    let failed = |error| failed(error, connection, read, &path);
    let statement = connection.run(connection.client().prepare(&asked)).await.map_err(failed)?;
    if !statement.params().is_empty() {
        // Values sent along would be planned with, and there are none. Asked the simple way there are no values at all; that
        // way takes several statements, but this very text was just prepared, so that the server itself took it for one.
        let said = connection.run(connection.client().simple_query(&asked)).await.map_err(failed)?;
        let rows = said.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        return Ok(rows.take(LINES).map(line).collect());
    }
    let rows = connection.run(connection.client().query(&statement, &[])).await.map_err(failed)?;
    rows.iter().take(LINES).map(|row| Ok(line(&row.try_get::<_, Text>(0).map_err(QueryError::from)?.0))).collect()
}

/// Its spaces are its shape; everything after them is foreign.
fn line(text: &str) -> PlanLine {
    let rest = text.trim_start_matches(' ');
    PlanLine { indent: u16::try_from(text.len() - rest.len()).unwrap_or(u16::MAX), text: Foreign::new(rest) }
}

fn failed(error: QueryError, connection: &Connection, read: &text::Read, path: &str) -> PlanError {
    match error {
        QueryError::StatementTimeout { .. } => PlanError::Slow,
        QueryError::Denied { message, .. } if read.writes => PlanError::MayNotWrite { message },
        QueryError::Denied { message, .. } => may_not_read(message, connection),
        // No such table, function, schema or column.
        QueryError::Server { message, code } if matches!(code.as_str(), "42P01" | "42883" | "3F000" | "42703") => {
            PlanError::NotFound { message, searched: sanitise(path).into_owned() }
        }
        other => PlanError::Query(other),
    }
}

fn may_not_read(message: String, connection: &Connection) -> PlanError {
    let user = format!("\"{}\"", sanitise(connection.user()).replace('"', "\"\""));
    PlanError::MayNotRead { message, user }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_explained_is_what_stands_on_the_screen() {
        let long = format!("select {}", "x,".repeat(3_000));
        let cut = format!("{} … {}", &long[..3_584], &long[long.len() - 511..]);
        assert_eq!(whole("select 1", Some("select 1".into())).unwrap(), "select 1");
        assert_eq!(whole("select 1", Some("drop table x".into())).unwrap(), "select 1");
        assert_eq!(whole("select 1", None).unwrap(), "select 1");
        assert_eq!(whole(&cut, Some(long.clone())).unwrap(), long);
        assert!(matches!(whole(&cut, Some("select 1".into())), Err(PlanError::Gone)));
        assert!(matches!(whole(&cut, None), Err(PlanError::Gone)));
    }

    #[test]
    fn the_shape_of_a_plan_stays_and_its_text_is_made_safe() {
        let read = line("   ->  Seq Scan on \"a\u{1b}[31m\"  (cost=0)");
        assert_eq!((read.indent, read.text.to_string()), (3, "-> Seq Scan on \"a␛[31m\" (cost=0)".to_owned()));
    }
}
