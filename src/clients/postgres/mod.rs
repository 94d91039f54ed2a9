//! PostgreSQL: a URL with libpq's meaning becomes a connection, or an error that says what to do.

mod connection;
mod error;
mod passfile;
mod socket;
mod target;
mod tls;

use std::time::Duration;

pub use connection::{Connection, connect};
pub use error::{ConnectError, QueryError, Stage};
pub use passfile::{Lookup, lookup};
pub use target::{Address, Host, Target, UrlError, has_password};
pub use tls::{SslMode, Tls};

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
    /// The settings as the start of a session takes them, in force before its first statement.
    fn options(&self) -> String {
        format!(
            "-c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout={} \
             -c default_transaction_read_only={} -c jit=off",
            self.statement.as_millis(),
            self.lock.as_millis(),
            self.idle_in_transaction.as_millis(),
            if self.read_only { "on" } else { "off" },
        )
    }
}
