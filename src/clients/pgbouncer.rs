//! PgBouncer's admin console: it speaks PostgreSQL's protocol, but only its simple part, and answers everything as text.

use std::collections::HashMap;

use secrecy::SecretString;
use tokio_postgres::SimpleQueryMessage;

use super::postgres::{ConnectError, Connection, QueryError, Target, Timeouts, connect_console};

/// The one database that the console is.
pub const DATABASE: &str = "pgbouncer";

/// A session at the console.
#[derive(Debug)]
pub struct Console(Connection);

/// One line of an answer, by column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Line(HashMap<String, String>);

impl Console {
    /// Logs in, as `admin_users` or `stats_users` may. Without a password: `PGPASSWORD`, then the password file.
    pub async fn open(
        target: &Target,
        password: Option<SecretString>,
        timeouts: &Timeouts,
    ) -> Result<Self, ConnectError> {
        connect_console(&target.with_database(DATABASE), password, timeouts).await.map(Self)
    }

    /// The answer to `SHOW …`.
    pub async fn show(&self, what: &str) -> Result<Vec<Line>, QueryError> {
        let messages = self.0.run(self.0.client().simple_query(&format!("SHOW {what}"))).await?;
        let lines = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let line = |row: tokio_postgres::SimpleQueryRow| {
            let columns = row.columns().iter().enumerate();
            Line(columns.filter_map(|(at, column)| Some((column.name().to_owned(), row.get(at)?.to_owned()))).collect())
        };
        Ok(lines.map(line).collect())
    }

    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl Line {
    /// A column, where this version of PgBouncer has it.
    pub fn text(&self, column: &str) -> Option<&str> {
        self.0.get(column).map(String::as_str)
    }

    /// A column as a number.
    pub fn number<T: std::str::FromStr>(&self, column: &str) -> Option<T> {
        self.text(column)?.parse().ok()
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Line {
    fn from(columns: [(&str, &str); N]) -> Self {
        Self(columns.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}
