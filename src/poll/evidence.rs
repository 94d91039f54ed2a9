//! Which tenant a statement of the shared account belongs to, from sessions that were seen running it.
//!
//! Up to PostgreSQL 17 a `queryid` is made of the tables' object ids: the same words in two schemas are two statements, and
//! one sighting under strong evidence names the tenant for ever. From 18 on it is made of the tables' names: all tenants'
//! are one statement there, and nobody is named.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::attribution::{Directory, subject};
use crate::domain::{Foreign, Session, TenantId};

/// Whether a server's `queryid` tells schemas apart. Of a server that did not say its version nothing is assumed.
pub(super) fn tells_schemas_apart(version: u32) -> bool {
    (1..180_000).contains(&version)
}

/// The most statements that are remembered.
const MOST: usize = 20_000;

/// A database's name and a `queryid`.
type Key = (Foreign, i64);

#[derive(Debug, Clone)]
struct Sighted {
    /// `None`: two tenants were seen with it.
    tenant: Option<TenantId>,
    last: Timestamp,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence(HashMap<Key, Sighted>);

impl Evidence {
    /// Takes one poll's sessions, attributed; says whether anything is known now that was not.
    pub fn take(&mut self, directory: &Directory, version: u32, sessions: &[Session]) -> bool {
        if !tells_schemas_apart(version) {
            self.0.clear();
            return false;
        }
        let mut news = false;
        for session in sessions {
            let (Some(query), Some(tenant)) = (session.query_id, session.attribution.strong()) else { continue };
            let key = (session.database.clone(), query);
            let now = session.server_now;
            match self.0.get_mut(&key) {
                // What is settled is not read again: it is nobody's, or the same tenant runs it.
                Some(sighted) if sighted.tenant.as_ref().is_none_or(|known| known == tenant) => sighted.last = now,
                known => {
                    let Some(tenant) = subject(directory, session) else { continue };
                    news = true;
                    match known {
                        Some(sighted) => *sighted = Sighted { tenant: None, last: now },
                        None => drop(self.0.insert(key, Sighted { tenant: Some(tenant), last: now })),
                    }
                }
            }
        }
        if self.0.len() > MOST {
            self.forget();
        }
        news
    }

    /// The tenant whose statement this is.
    pub fn tenant(&self, database: &Foreign, query: i64) -> Option<&TenantId> {
        self.0.get(&(database.clone(), query))?.tenant.as_ref()
    }

    /// Drops the half that was not seen for the longest.
    fn forget(&mut self) {
        let mut moments: Vec<Timestamp> = self.0.values().map(|sighted| sighted.last).collect();
        moments.sort_unstable();
        let middle = moments[moments.len() / 2];
        self.0.retain(|_, sighted| sighted.last > middle);
    }
}
