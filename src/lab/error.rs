//! What can go wrong with the estate, with what to do next.

use std::io;
use std::path::{Path, PathBuf};

use crate::domain::foreign::sanitise;

/// Why there is no estate.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// No usable PostgreSQL.
    #[error(
        "no PostgreSQL server (14 or newer) was found{looked}; install one: on Debian or Ubuntu `apt-get install postgresql`, \
         on macOS `brew install postgresql@17`, or put the folder of its `initdb` and `postgres` on PATH"
    )]
    NoPostgres {
        /// Where, when one place was given: ` in /some/folder`.
        looked: String,
    },
    /// We are root, and there is nobody to run the server as.
    #[error(
        "PostgreSQL refuses to run as root, and neither user `postgres` nor `nobody` exists; create one, or run as an ordinary user"
    )]
    NoUser,
    /// The user that runs the server could not get into the folder.
    #[error("user `{user}`, who runs the server, cannot enter {}; choose a folder that everybody may enter", .folder.display())]
    Closed {
        /// Who.
        user: String,
        /// The folder on the way that is closed.
        folder: PathBuf,
    },
    /// The folder that was asked for holds something.
    #[error("{} is not empty; the estate wants a folder of its own: give one that is empty or does not exist", .0.display())]
    NotEmpty(PathBuf),
    /// More tenants than the layout bears.
    #[error("{asked} tenants are too many here: at most {most} with this layout")]
    TooMany {
        /// Asked for.
        asked: usize,
        /// The limit.
        most: usize,
    },
    /// Fewer instances of their own than the scenario is about.
    #[error(
        "this scenario is about dedicated instance {least}, and {asked} are made: give --dedicated {least} (or more)"
    )]
    TooFew {
        /// Asked for.
        asked: usize,
        /// What it takes.
        least: usize,
    },
    /// A file or a program.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `initdb` or the server ended.
    #[error("{program} failed; it said: {said}")]
    Server {
        /// Which.
        program: &'static str,
        /// The end of what it said.
        said: String,
    },
    /// The server did not get ready in time.
    #[error("the server was not ready after {seconds} s; the end of its log: {said}")]
    Slow {
        /// How long we waited.
        seconds: u64,
        /// The end of its log.
        said: String,
    },
    /// The server refused something while the estate was built.
    #[error("cannot {doing}: {said}")]
    Database {
        /// What was tried.
        doing: String,
        /// What the server said.
        said: String,
        /// The cause.
        source: tokio_postgres::Error,
    },
    /// The estate's Vault did not do something.
    #[error("the estate's Vault cannot {doing}: {said}")]
    Vault {
        /// What was tried.
        doing: String,
        /// Why not.
        said: String,
    },
    /// There is no such scenario.
    #[error("there is no scenario `{asked}`; there are {known}")]
    NoScenario {
        /// Asked for.
        asked: String,
        /// All names.
        known: String,
    },
    /// A scenario that does not parse.
    #[error("the scenario does not parse: {0}")]
    Scenario(#[from] toml::de::Error),
    /// A piece of our own work died.
    #[error("building the estate stopped: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}

impl LabError {
    /// Whether it is what was asked for that cannot be.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Closed { .. }
                | Self::NotEmpty(_)
                | Self::TooMany { .. }
                | Self::TooFew { .. }
                | Self::NoScenario { .. }
        )
    }

    /// Nothing is begun any more.
    pub(super) fn ending() -> Self {
        Self::Server { program: "postgres", said: "the estate is being stopped".to_owned() }
    }

    /// For `map_err` after something was done to a file.
    pub(super) fn io<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }

    /// For `map_err` after a statement.
    pub(super) fn database(doing: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        let doing = doing.into();
        move |source| {
            let said = source.as_db_error().map_or_else(|| source.to_string(), |said| said.message().to_owned());
            Self::Database { doing, said: sanitise(&said).into_owned(), source }
        }
    }
}
