//! Where each tenant has a database of its own, what lives inside of it is only seen from inside: the databases are
//! visited in turn, a few at a time over one connection each, so that a hundred tenants cost one connection, not a hundred.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::desk::Desk;
use super::{MIN_DEAD, churn, debt};
use crate::clients::postgres::{ConnectError, QueryError, Target, Timeouts, connect};
use crate::domain::Foreign;
use crate::domain::facts::{Debt, TableDebt};
use crate::domain::observed::Trouble;

/// A whole tour takes this many polls, so that no database is looked at less often than that.
const LEGS: usize = 10;

/// The most databases that one poll visits.
const MOST: usize = 20;

/// What one database looked like from inside.
#[derive(Debug, Clone, Default)]
struct Visit {
    tables: Vec<TableDebt>,
    dead: u64,
    live: u64,
}

/// Remembers what was seen where, and where to go next.
#[derive(Debug, Default)]
pub struct Tour {
    seen: BTreeMap<Foreign, Visit>,
    last: Option<Foreign>,
}

/// What went wrong on the way: of one database, named in the message.
#[derive(Debug, thiserror::Error)]
pub enum TourError {
    /// The database let us not in.
    #[error("database {database}: {error}")]
    Connect {
        /// Which.
        database: Foreign,
        /// Why.
        #[source]
        error: ConnectError,
    },
    /// A question was not answered.
    #[error("database {database}: {error}")]
    Query {
        /// Which.
        database: Foreign,
        /// Why.
        #[source]
        error: QueryError,
    },
}

impl TourError {
    /// What is shown of it.
    pub fn trouble(&self) -> Trouble {
        let code = match self {
            Self::Connect { error, .. } => error.trouble().code,
            Self::Query { error, .. } => error.trouble().code,
        };
        Trouble::other(self.to_string(), code)
    }
}

impl Tour {
    /// Visits the next databases. What was seen earlier stays until its database is gone.
    pub async fn next(
        &mut self,
        target: &Target,
        password: Option<SecretString>,
        timeouts: &Timeouts,
        databases: &[Foreign],
    ) -> Result<Debt, TourError> {
        let mut names: Vec<&Foreign> = databases.iter().collect();
        names.sort_unstable();
        self.seen.retain(|name, _| names.contains(&name));
        let start = self.last.as_ref().map_or(0, |last| names.partition_point(|name| *name <= last));
        let leg = names.len().div_ceil(LEGS).clamp(1, MOST).min(names.len());
        for name in names.iter().cycle().skip(start).take(leg) {
            self.last = Some((*name).clone());
            let visit = visit(target, password.clone(), timeouts, name).await?;
            self.seen.insert((*name).clone(), visit);
        }
        let mut tables: Vec<TableDebt> = self.seen.values().flat_map(|visit| visit.tables.iter().cloned()).collect();
        tables.sort_by(|a, b| b.ratio().total_cmp(&a.ratio()));
        tables.truncate(200);
        Ok(Debt { tables, ..Debt::default() })
    }

    /// Whether every database was visited once.
    pub fn is_round(&self, databases: &[Foreign]) -> bool {
        databases.iter().all(|database| self.seen.contains_key(database))
    }

    /// Dead and live rows of a database, where it was visited.
    pub fn rows(&self, database: &str) -> Option<(u64, u64)> {
        self.seen.get(&Foreign::from(database)).map(|visit| (visit.dead, visit.live))
    }
}

async fn visit(
    target: &Target,
    password: Option<SecretString>,
    timeouts: &Timeouts,
    database: &Foreign,
) -> Result<Visit, TourError> {
    let connection = connect(&target.with_database(database.raw()), password, timeouts)
        .await
        .map_err(|error| TourError::Connect { database: database.clone(), error })?;
    let desk = Desk::new(connection);
    let failed = |error| TourError::Query { database: database.clone(), error };
    let churn = churn::ask(&desk).await.map_err(failed)?;
    let debt = debt::ask(&desk, MIN_DEAD).await.map_err(failed)?;
    let sum = |rows: fn(&crate::domain::facts::SchemaChurn) -> Option<u64>| churn.homes.iter().filter_map(rows).sum();
    Ok(Visit { tables: debt.tables, dead: sum(|home| home.dead_tuples), live: sum(|home| home.live_tuples) })
}
