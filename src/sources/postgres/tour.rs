//! Where each tenant has a database of its own, what lives inside of it is only seen from inside: the databases are
//! visited in turn, a few at a time over one connection each, so that a hundred tenants cost one connection, not a hundred.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::desk::Desk;
use super::{MIN_DEAD, churn, debt};
use crate::clients::postgres::{ConnectError, QueryError, Target, Timeouts, connect};
use crate::domain::Foreign;
use crate::domain::facts::{Debt, SchemaChurn, TableDebt};
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
    /// What each database looked like, or `None` where it let us not in.
    seen: BTreeMap<Foreign, Option<Visit>>,
    last: Option<Foreign>,
}

/// What went wrong in one database.
#[derive(Debug, thiserror::Error)]
enum VisitError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl VisitError {
    /// Whether this database is closed to us, which is no reason to think ill of the server.
    fn is_closed(&self) -> bool {
        let code = match self {
            Self::Connect(error) => error.code(),
            Self::Query(error) => error.code(),
        };
        matches!(code, Some("42501" | "3D000" | "28000" | "55000"))
    }

    fn trouble(&self, database: &Foreign) -> Trouble {
        let mut trouble = match self {
            Self::Connect(error) => error.trouble(),
            Self::Query(error) => error.trouble(),
        };
        trouble.message = format!("database {database}: {}", trouble.message);
        trouble
    }
}

impl Tour {
    /// Visits the next databases. What was seen earlier stays until its database is gone; one that lets us not in is noted,
    /// and the tour goes on.
    pub async fn next(
        &mut self,
        target: &Target,
        password: Option<SecretString>,
        timeouts: &Timeouts,
        databases: &[Foreign],
    ) -> Result<Debt, Trouble> {
        let mut names: Vec<&Foreign> = databases.iter().collect();
        names.sort_unstable();
        self.seen.retain(|name, _| names.contains(&name));
        let start = self.last.as_ref().map_or(0, |last| names.partition_point(|name| *name <= last));
        let leg = names.len().div_ceil(LEGS).clamp(1, MOST).min(names.len());
        for name in names.iter().cycle().skip(start).take(leg) {
            self.last = Some((*name).clone());
            let visited = match visit(target, password.clone(), timeouts, name).await {
                Ok(visit) => Some(visit),
                Err(error) if error.is_closed() => None,
                Err(error) => return Err(error.trouble(name)),
            };
            self.seen.insert((*name).clone(), visited);
        }
        Ok(self.debt(names.len()))
    }

    fn debt(&self, databases: usize) -> Debt {
        let visits = self.seen.values().flatten();
        let mut tables: Vec<TableDebt> = visits.flat_map(|visit| visit.tables.iter().cloned()).collect();
        tables.sort_by(|a, b| b.ratio().total_cmp(&a.ratio()));
        tables.truncate(200);
        let closed = self.seen.iter().filter(|(_, visit)| visit.is_none()).map(|(name, _)| name.clone()).collect();
        Debt { tables, seen: self.seen.len() as u32, of: databases as u32, closed }
    }

    /// Whether every database was visited once.
    pub fn is_round(&self, databases: &[Foreign]) -> bool {
        databases.iter().all(|database| self.seen.contains_key(database))
    }

    /// Dead and live rows of a database, where it was visited.
    pub fn rows(&self, database: &str) -> Option<(u64, u64)> {
        self.seen.get(&Foreign::from(database))?.as_ref().map(|visit| (visit.dead, visit.live))
    }
}

async fn visit(
    target: &Target,
    password: Option<SecretString>,
    timeouts: &Timeouts,
    database: &Foreign,
) -> Result<Visit, VisitError> {
    let desk = Desk::new(connect(&target.with_database(database.raw()), password, timeouts).await?);
    let churn = churn::ask(&desk).await?;
    let debt = debt::ask(&desk, MIN_DEAD).await?;
    let sum = |rows: fn(&SchemaChurn) -> Option<u64>| churn.homes.iter().filter_map(rows).sum();
    Ok(Visit { tables: debt.tables, dead: sum(|home| home.dead_tuples), live: sum(|home| home.live_tuples) })
}
