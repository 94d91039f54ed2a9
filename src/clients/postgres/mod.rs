//! PostgreSQL: a URL with libpq's meaning becomes a connection, or an error that says what to do.

mod connection;
mod error;
mod passfile;
mod socket;
mod target;
mod tls;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use tokio_postgres::{Client, SimpleQueryMessage};

pub(in crate::clients) use connection::connect_console;
pub use connection::{Connection, Said, connect, connect_bare};
pub use error::{ConnectError, QueryError, Stage};
pub use passfile::{Lookup, lookup};
pub use target::{Address, Host, Target, UrlError, has_password};
pub use tls::{SslMode, Tls};

/// What our sessions call themselves in `pg_stat_activity`.
pub const APPLICATION_NAME: &str = "tierdeck";

/// What a session may take, in the order of [`Timeouts`].
const TIMEOUTS: [&str; 3] = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"];

/// How a session behaves: how long anything may take, and whether it may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first packet to a session that takes queries; the URL's `connect_timeout` goes before.
    pub connect: Duration,
    /// `statement_timeout`: what the server allows a statement.
    pub statement: Duration,
    /// `lock_timeout`: how long we stand in a queue that others then stand in behind us.
    pub lock: Duration,
    /// `idle_in_transaction_session_timeout`: what the server does about us if we hang.
    pub idle_in_transaction: Duration,
    /// What we wait for an answer beyond the statement's own time before we take the server for dead.
    pub grace: Duration,
    /// `default_transaction_read_only`.
    pub read_only: bool,
}

impl Default for Timeouts {
    /// What a session that only looks may take.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            statement: Duration::from_secs(5),
            lock: Duration::from_millis(50),
            idle_in_transaction: Duration::from_secs(10),
            grace: Duration::from_secs(1),
            read_only: true,
        }
    }
}

impl Timeouts {
    /// The settings that the start of a session takes, in force before its first statement. They beat what a database or a
    /// role sets: a tenant that owns a schema on our path could otherwise put functions before the server's own ones, and
    /// our questions would run them with our rights.
    fn options(&self) -> String {
        format!(
            "-c default_transaction_read_only={} -c jit=off -c search_path=pg_catalog,pg_temp \
             -c standard_conforming_strings=on",
            if self.read_only { "on" } else { "off" }
        )
    }

    /// Sets the timeouts, and says what they were: set at the start of the session they would hide what the server gives to
    /// everybody else. One round trip.
    async fn settle(&self, client: &Client) -> Result<BTreeMap<String, String>, tokio_postgres::Error> {
        let ours = [self.statement, self.lock, self.idle_in_transaction];
        let columns: Vec<String> = TIMEOUTS.iter().map(|name| format!("current_setting('{name}') AS {name}")).collect();
        let mut sql = format!("SELECT {}", columns.join(", "));
        for (name, value) in TIMEOUTS.iter().zip(ours) {
            let _ = write!(sql, "; SET {name} = {}", value.as_millis());
        }
        // Between two slow questions a session is idle for minutes, on purpose.
        sql.push_str("; SET idle_session_timeout = 0");
        let mut defaults = BTreeMap::new();
        for message in client.simple_query(&sql).await? {
            if let SimpleQueryMessage::Row(row) = message {
                let pairs = TIMEOUTS.iter().filter_map(|name| Some(((*name).to_owned(), row.get(name)?.to_owned())));
                defaults.extend(pairs);
            }
        }
        Ok(defaults)
    }
}
