//! What went wrong between us and a server, and what the operator can do about it.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::time::Duration;

use tokio_postgres::error::DbError;

use crate::domain::foreign::sanitise;
use crate::domain::observed::{Trouble, TroubleKind};

/// How far a connection had come when the time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Asking for the host's address.
    Resolving,
    /// Nobody answered at the address.
    Connecting,
    /// The connection was accepted and then nothing was said.
    Login,
}

impl fmt::Display for Stage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Resolving => "the name server did not answer; check DNS and the host's name",
            Self::Connecting => {
                "nothing answered; check the address, and firewall, security group and route on the way there"
            }
            Self::Login => {
                "it accepts connections and says nothing; the server hangs, is overloaded, or is not PostgreSQL"
            }
        })
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ConnectError {
    #[error("{host}: the name cannot be resolved ({reason}); check the url and DNS")]
    Resolve { host: String, reason: String },
    #[error("{address}: connection refused; is PostgreSQL running there, and is the port right?")]
    Refused { address: String },
    #[error("{address}: there is no such socket; is PostgreSQL running here, and is this its socket folder?")]
    NoSocket { address: String },
    #[error("{address}: cannot be reached ({reason})")]
    Unreachable { address: String, reason: String },
    #[error("{address}: no connection within {}: {stage}", seconds(*after))]
    Timeout { address: String, stage: Stage, after: Duration },
    #[error("TLS is not set up: {reason}")]
    TlsSetup { reason: String },
    #[error(
        "{address}: the server has no TLS and sslmode={mode} asks for it; switch it on there (ssl = on), or use sslmode=prefer"
    )]
    NoTls { address: String, mode: &'static str },
    #[error(
        "{address}: the server's certificate is not signed by an authority that we trust; name the authority's file with \
         sslrootcert= (for RDS: the certificate bundle that AWS publishes)"
    )]
    UntrustedCertificate { address: String },
    #[error(
        "{address}: the server's certificate is for {presented}, not for this host; use a name that it has, or sslmode=verify-ca"
    )]
    WrongHost { address: String, presented: String },
    #[error("{address}: TLS failed: {reason}")]
    Tls { address: String, reason: String },
    #[error("{address}: wrong password for user {user} (password from {from})")]
    WrongPassword { address: String, user: String, from: String },
    #[error("{address}: the server asks for a password for user {user} and there is none; looked in {looked}")]
    NoPassword { address: String, user: String, looked: String },
    #[error(
        "{address}: the server does not let user {user} in: {message} (pg_hba.conf and the role's LOGIN decide; SQLSTATE {code})"
    )]
    NotAllowed { address: String, user: String, message: String, code: String },
    #[error(
        "{address}: all connections are taken: {message}; free some, or grant the login pg_use_reserved_connections (PostgreSQL 16 and later)"
    )]
    Full { address: String, message: String },
    #[error("{address}: the database {database} does not exist; check the url")]
    NoDatabase { address: String, database: String },
    #[error(
        "{address}: {message}: that is the CONNECTION LIMIT of our login or database, not of the server; raise it, or close other consoles"
    )]
    OwnLimit { address: String, message: String },
    #[error("{address}: {message}; this looks like a pooler, and tierdeck needs PostgreSQL itself")]
    Pooler { address: String, message: String },
    #[error("{address}: the server is not ready: {message}; it is tried again")]
    NotReady { address: String, message: String },
    #[error("{address}: the server refused: {message} (SQLSTATE {code})")]
    Server { address: String, message: String, code: String },
    #[error(
        "{address}: the server broke the connection off while we logged in ({reason}); is it PostgreSQL, and does it run?"
    )]
    Broken { address: String, reason: String },
}

impl ConnectError {
    /// SQLSTATE, where the server said one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::WrongPassword { .. } => Some("28P01"),
            Self::Full { .. } | Self::OwnLimit { .. } => Some("53300"),
            Self::Pooler { .. } => Some("08P01"),
            Self::NoDatabase { .. } => Some("3D000"),
            Self::NotReady { .. } => Some("57P03"),
            Self::NotAllowed { code, .. } | Self::Server { code, .. } => Some(code),
            _ => None,
        }
    }

    /// The server's own words, where it said any.
    pub fn said(&self) -> Option<&str> {
        match self {
            Self::NotAllowed { message, .. }
            | Self::Full { message, .. }
            | Self::OwnLimit { message, .. }
            | Self::Server { message, .. } => Some(message),
            _ => None,
        }
    }

    /// For the snapshot.
    pub fn trouble(&self) -> Trouble {
        let kind = match self {
            Self::Full { .. } => TroubleKind::ServerFull,
            Self::OwnLimit { .. } => TroubleKind::OwnLimit,
            _ => TroubleKind::Other,
        };
        Trouble { message: self.to_string(), code: self.code().map(str::to_owned), kind }
    }

    /// What the driver says, in our words.
    pub(super) fn from_driver(error: &tokio_postgres::Error, login: &Login<'_>) -> Self {
        let address = login.address.clone();
        let user = sanitise(login.user).into_owned();
        if let Some(said) = error.as_db_error() {
            let message = said_by(said);
            let code = said.code().code().to_owned();
            return match code.as_str() {
                "28P01" => Self::WrongPassword { address, user, from: login.password_from.clone() },
                "28000" => Self::NotAllowed { address, user, message, code },
                "53300" if is_own_limit(&message, said.routine()) => Self::OwnLimit { address, message },
                "53300" => Self::Full { address, message },
                "08P01" if message.contains("startup parameter") => Self::Pooler { address, message },
                "3D000" => Self::NoDatabase { address, database: sanitise(login.database).into_owned() },
                "57P03" => Self::NotReady { address, message },
                _ => Self::Server { address, message, code },
            };
        }
        if let Some(tls) = tls_error(error) {
            return Self::from_tls(address, tls);
        }
        let reason = reason(error);
        // The driver's kinds of error are private; these two texts are its own, not the server's.
        match reason.as_str() {
            "server does not support TLS" => Self::NoTls { address, mode: login.mode },
            "password missing" => Self::NoPassword { address, user, looked: login.looked.clone() },
            _ => Self::Broken { address, reason },
        }
    }

    fn from_tls(address: String, error: &rustls::Error) -> Self {
        use rustls::CertificateError as Certificate;
        match error {
            rustls::Error::InvalidCertificate(Certificate::UnknownIssuer) => Self::UntrustedCertificate { address },
            rustls::Error::InvalidCertificate(Certificate::NotValidForName) => {
                Self::WrongHost { address, presented: "another name".to_owned() }
            }
            rustls::Error::InvalidCertificate(Certificate::NotValidForNameContext { presented, .. }) => {
                let names =
                    if presented.is_empty() { "no name (no subjectAltName)".into() } else { presented.join(", ") };
                Self::WrongHost { address, presented: sanitise(&names).into_owned() }
            }
            error => Self::Tls { address, reason: sanitise(&error.to_string()).into_owned() },
        }
    }

    /// Whether libpq would now try again the other way, with or without TLS.
    pub(super) fn may_differ_by_tls(&self) -> bool {
        matches!(
            self,
            Self::NotAllowed { .. }
                | Self::NoTls { .. }
                | Self::UntrustedCertificate { .. }
                | Self::WrongHost { .. }
                | Self::Tls { .. }
        )
    }

    /// Whether another host of the URL is worth a try: this one did not even get to say no.
    pub(super) fn may_differ_by_host(&self) -> bool {
        matches!(
            self,
            Self::Resolve { .. }
                | Self::Refused { .. }
                | Self::NoSocket { .. }
                | Self::Unreachable { .. }
                | Self::Timeout { .. }
                | Self::NotReady { .. }
                | Self::Broken { .. }
        )
    }
}

/// Who wanted to log in, for messages.
pub(super) struct Login<'a> {
    pub address: String,
    pub user: &'a str,
    pub database: &'a str,
    pub mode: &'static str,
    pub password_from: String,
    pub looked: String,
}

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum QueryError {
    #[error("no answer within {}{}", seconds(*after), if *lost { ", not even to a cancel request; the connection was dropped" } else { "; the query was cancelled" })]
    Silent { after: Duration, lost: bool },
    #[error("the server stopped the query at its statement_timeout; it is too slow here: raise its period in [poll]")]
    StatementTimeout { code: String },
    #[error("the query was cancelled: {message}")]
    Cancelled { message: String, code: String },
    #[error("somebody else holds a lock on what the query reads: {message}")]
    Locked { message: String, code: String },
    #[error("{message}; our login needs the privilege for it (tierdeck doctor names the GRANT)")]
    Denied { message: String, code: String },
    #[error("{message} (SQLSTATE {code})")]
    Server { message: String, code: String },
    #[error("the connection is gone: {reason}")]
    Closed { reason: String, code: Option<String> },
    #[error("the server's answer was not understood: {reason}")]
    Answer { reason: String },
    #[error("{reason}")]
    Absent { reason: String },
}

/// A column that is not there or of another type: what is left when a row is read.
impl From<tokio_postgres::Error> for QueryError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Answer { reason: sanitise(&error.to_string()).into_owned() }
    }
}

impl QueryError {
    /// SQLSTATE, where the server said one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::StatementTimeout { code }
            | Self::Cancelled { code, .. }
            | Self::Locked { code, .. }
            | Self::Denied { code, .. }
            | Self::Server { code, .. } => Some(code),
            Self::Closed { code, .. } => code.as_deref(),
            Self::Silent { .. } | Self::Answer { .. } | Self::Absent { .. } => None,
        }
    }

    /// Whether the server itself answered with an error: then a transaction is over, and nothing of it came.
    pub fn is_final(&self) -> bool {
        match self {
            Self::StatementTimeout { .. }
            | Self::Cancelled { .. }
            | Self::Locked { .. }
            | Self::Denied { .. }
            | Self::Server { .. } => true,
            Self::Silent { .. } | Self::Closed { .. } | Self::Answer { .. } | Self::Absent { .. } => false,
        }
    }

    /// For the snapshot.
    pub fn trouble(&self) -> Trouble {
        Trouble::other(self.to_string(), self.code().map(str::to_owned))
    }

    /// Whether a new connection is needed.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Closed { .. } | Self::Silent { lost: true, .. })
    }

    /// Whether a privilege is missing: that greys a field, and does not mean that anything is broken.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. })
    }

    /// What the driver says, in our words; `ending` is what the connection itself ended with.
    pub(super) fn from_driver(error: &tokio_postgres::Error, ending: Option<&Ending>) -> Self {
        if let Some(said) = error.as_db_error() {
            let message = said_by(said);
            let code = said.code().code().to_owned();
            return match code.as_str() {
                "57014" if said.message().contains("statement timeout") => Self::StatementTimeout { code },
                "57014" => Self::Cancelled { message, code },
                "55P03" => Self::Locked { message, code },
                "42501" => Self::Denied { message, code },
                // The server is shutting down, crashed, or somebody terminated us; 08 is a broken connection.
                "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25P03" => {
                    Self::Closed { reason: message, code: Some(code) }
                }
                code_text if code_text.starts_with("08") => Self::Closed { reason: message, code: Some(code) },
                _ => Self::Server { message, code },
            };
        }
        if error.is_closed() || io_error(error).is_some() {
            let ending = ending.cloned().unwrap_or_else(|| Ending { reason: reason(error), code: None });
            return Self::Closed { reason: ending.reason, code: ending.code };
        }
        Self::Answer { reason: reason(error) }
    }
}

/// Whether 53300 is about our login's or our database's limit, not the server's. The texts differ by language and
/// version; the routine that said it does neither: it looks at our role, or at our database.
fn is_own_limit(message: &str, routine: Option<&str>) -> bool {
    message.starts_with("too many connections for")
        || matches!(routine, Some("InitializeSessionUserId" | "CheckMyDatabase"))
}

/// What a connection ended with.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    pub reason: String,
    pub code: Option<String>,
}

impl From<&tokio_postgres::Error> for Ending {
    fn from(error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(said) => Self { reason: said_by(said), code: Some(said.code().code().to_owned()) },
            None => Self { reason: reason(error), code: None },
        }
    }
}

/// The server's own words, safe to print: message, and the hint that often says what to do.
fn said_by(said: &DbError) -> String {
    let mut words = said.message().to_owned();
    for more in [said.detail(), said.hint()].into_iter().flatten() {
        words.push_str("; ");
        words.push_str(more);
    }
    sanitise(&words.chars().take(600).collect::<String>()).into_owned()
}

/// The innermost cause.
fn reason(error: &tokio_postgres::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    sanitise(&cause.to_string()).into_owned()
}

fn io_error(error: &tokio_postgres::Error) -> Option<&io::Error> {
    error.source()?.downcast_ref()
}

/// rustls hides its errors inside of I/O errors.
fn tls_error(error: &tokio_postgres::Error) -> Option<&rustls::Error> {
    let cause = error.source()?;
    match cause.downcast_ref::<io::Error>() {
        Some(io) => io.get_ref()?.downcast_ref(),
        None => cause.downcast_ref(),
    }
}

fn seconds(time: Duration) -> String {
    crate::domain::quantity::duration(time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What PostgreSQL really says with 53300, and where in its source.
    #[test]
    fn a_full_server_is_told_from_our_own_limit_on_every_version() {
        for (message, routine) in [
            ("sorry, too many clients already", "InitProcess"),
            // 15 and before.
            ("remaining connection slots are reserved for non-replication superuser connections", "InitPostgres"),
            // 16 and later: "for roles" must not be taken for "for role".
            ("remaining connection slots are reserved for roles with the SUPERUSER attribute", "InitPostgres"),
            (
                "remaining connection slots are reserved for roles with privileges of the \"pg_use_reserved_connections\" role",
                "InitPostgres",
            ),
        ] {
            assert!(!is_own_limit(message, Some(routine)) && !is_own_limit(message, None), "{message}");
        }
        for (message, routine) in [
            ("too many connections for role \"tierdeck\"", "InitializeSessionUserId"),
            ("too many connections for database \"portarium\"", "CheckMyDatabase"),
            ("zu viele Verbindungen von Rolle »tierdeck«", "InitializeSessionUserId"),
        ] {
            assert!(is_own_limit(message, Some(routine)), "{message}");
        }
        let (address, message) = (String::new(), String::new());
        let full = ConnectError::Full { address: address.clone(), message: message.clone() }.trouble();
        assert_eq!((full.kind, full.code.as_deref()), (TroubleKind::ServerFull, Some("53300")));
        let own = ConnectError::OwnLimit { address, message }.trouble();
        assert_eq!((own.kind, own.code.as_deref()), (TroubleKind::OwnLimit, Some("53300")));
    }
}
