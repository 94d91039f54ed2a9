//! Where each tenant has a database of its own, what lives inside of it is only seen from inside: the databases are
//! visited in turn, a few at a time over one connection each, so that a hundred tenants cost one connection, not a hundred.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;

use super::desk::Desk;
use super::{MIN_DEAD, bloat, catalog, churn, debt};
use crate::clients::postgres::{ConnectError, QueryError, Target, Timeouts, connect};
use crate::domain::Foreign;
use crate::domain::facts::{Bloat, Catalog, Debt, SchemaChurn, TableDebt};
use crate::domain::observed::Trouble;

/// A whole tour takes this many polls, so that no database is looked at less often than that.
pub const LEGS: usize = 10;

/// The most databases that one poll visits.
const MOST: usize = 20;

/// What the server does for a login, beyond what it is asked: it starts a process and reads its catalogue.
const LOGIN: Duration = Duration::from_millis(3);

/// What a database is visited for.
pub trait Visit: Sized + Send {
    /// Looks around in the database that this connection leads to.
    fn look(desk: &Desk) -> impl Future<Output = Result<Self, QueryError>> + Send;
}

/// What one database's tables looked like from inside.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    worst: Vec<TableDebt>,
    dead: u64,
    live: u64,
}

impl Visit for Tables {
    async fn look(desk: &Desk) -> Result<Self, QueryError> {
        let churn = churn::ask(desk).await?;
        let debt = debt::ask(desk, MIN_DEAD).await?;
        let sum = |rows: fn(&SchemaChurn) -> Option<u64>| churn.homes.iter().filter_map(rows).sum();
        Ok(Self { worst: debt.tables, dead: sum(|home| home.dead_tuples), live: sum(|home| home.live_tuples) })
    }
}

impl Visit for Catalog {
    async fn look(desk: &Desk) -> Result<Self, QueryError> {
        catalog::visit(desk).await
    }
}

impl Visit for Bloat {
    async fn look(desk: &Desk) -> Result<Self, QueryError> {
        bloat::ask(desk, bloat::MIN_PAGES).await
    }
}

/// Remembers what was seen where, and where to go next.
#[derive(Debug)]
pub struct Tour<V> {
    /// What each database looked like, or `None` where it could not be looked into.
    seen: BTreeMap<Foreign, Option<V>>,
    last: Option<Foreign>,
    of: u32,
}

impl<V> Default for Tour<V> {
    fn default() -> Self {
        Self { seen: BTreeMap::new(), last: None, of: 0 }
    }
}

/// How to get into the databases of a server.
#[derive(Debug)]
pub struct Way {
    /// The server, and some database of it.
    pub target: Target,
    /// The login's password.
    pub password: Option<SecretString>,
    /// What a session may take.
    pub timeouts: Timeouts,
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
    /// Whether it is about this database alone, which is no reason to think ill of the server, nor to come again at once:
    /// closed to us, full, too large for the time that we have. A server that goes down says so too.
    fn is_of_the_database(&self) -> bool {
        let code = match self {
            Self::Connect(error) => error.code(),
            Self::Query(error) => error.code(),
        };
        code.is_some_and(|code| !code.starts_with("57P"))
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

impl<V: Visit> Tour<V> {
    /// Visits the next databases and adds how long the server worked for that. What was seen earlier stays until its database
    /// is gone; one that cannot be looked into is noted, and the tour goes on.
    pub async fn next(&mut self, way: &Way, databases: &[Foreign], worked: &mut Duration) -> Result<(), Trouble> {
        let mut names: Vec<&Foreign> = databases.iter().collect();
        names.sort_unstable();
        self.of = names.len() as u32;
        self.seen.retain(|name, _| names.contains(&name));
        let start = self.last.as_ref().map_or(0, |last| names.partition_point(|name| *name <= last));
        let leg = names.len().div_ceil(LEGS).clamp(1, MOST).min(names.len());
        for name in names.iter().cycle().skip(start).take(leg) {
            self.last = Some((*name).clone());
            let visited = match way.visit(name, worked).await {
                Ok(visit) => Some(visit),
                Err(error) if error.is_of_the_database() => None,
                Err(error) => return Err(error.trouble(name)),
            };
            self.seen.insert((*name).clone(), visited);
        }
        Ok(())
    }
}

impl Way {
    async fn visit<V: Visit>(&self, database: &Foreign, worked: &mut Duration) -> Result<V, VisitError> {
        *worked += LOGIN;
        let connection =
            connect(&self.target.with_database(database.raw()), self.password.clone(), &self.timeouts).await?;
        let desk = Desk::new(connection);
        desk.measure().await;
        let seen = V::look(&desk).await;
        *worked += desk.worked();
        Ok(seen?)
    }
}

impl<V> Tour<V> {
    fn visits(&self) -> impl Iterator<Item = &V> {
        self.seen.values().flatten()
    }

    fn closed(&self) -> Vec<Foreign> {
        self.seen.iter().filter(|(_, visit)| visit.is_none()).map(|(name, _)| name.clone()).collect()
    }

    /// Whether every database was visited once.
    pub fn is_round(&self) -> bool {
        self.of > 0 && self.seen.len() as u32 >= self.of
    }
}

impl Tour<Tables> {
    /// The worst tables of all databases that were seen.
    pub fn debt(&self) -> Debt {
        let mut tables: Vec<TableDebt> = self.visits().flat_map(|visit| visit.worst.iter().cloned()).collect();
        tables.sort_by(|a, b| b.ratio().total_cmp(&a.ratio()));
        tables.truncate(200);
        Debt { tables, seen: self.seen.len() as u32, of: self.of, closed: self.closed() }
    }

    /// Dead and live rows of a database, where it was visited.
    pub fn rows(&self, database: &str) -> Option<(u64, u64)> {
        self.seen.get(&Foreign::from(database))?.as_ref().map(|visit| (visit.dead, visit.live))
    }
}

impl Tour<Catalog> {
    /// What is the server's, with what is in the databases that were seen.
    pub fn catalog(&self, mut server: Catalog) -> Catalog {
        self.visits().for_each(|visit| server.add(visit.clone()));
        Catalog { seen: self.seen.len() as u32, of: self.of, closed: self.closed(), ..server }
    }
}

impl Tour<Bloat> {
    /// The worst of all databases that were seen.
    pub fn bloat(&self) -> Bloat {
        let mut worst: Vec<_> = self.visits().flat_map(|visit| visit.worst.iter().cloned()).collect();
        worst.sort_by_key(|estimate| std::cmp::Reverse(estimate.wasted));
        worst.truncate(bloat::WORST as usize);
        let (hidden, judged) = (self.visits().map(|visit| visit.hidden), self.visits().map(|visit| visit.judged));
        let (hidden, judged) = (hidden.sum(), judged.sum());
        Bloat { worst, hidden, judged, seen: self.seen.len() as u32, of: self.of, closed: self.closed() }
    }
}
