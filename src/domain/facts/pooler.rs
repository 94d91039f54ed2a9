//! Facts about the pooler before an instance: PgBouncer's admin console, and what follows from how it is set up.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::foreign::Foreign;

/// `SHOW POOLS`: one pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// Database, as clients ask for it.
    pub database: Foreign,
    /// Login.
    pub role: Foreign,
    /// `pool_mode`: `session`, `transaction`, `statement`.
    pub mode: Arc<str>,
    /// Clients linked to a server connection.
    pub clients_active: u32,
    /// Clients that wait for one.
    pub clients_waiting: u32,
    /// Server connections in use.
    pub servers_active: u32,
    /// Server connections free.
    pub servers_idle: u32,
    /// How many server connections it may have; `None` where that is not said.
    pub size: Option<u32>,
    /// Whether somebody paused it: then all its clients wait.
    pub paused: bool,
    /// How long the oldest waiting client has waited.
    pub longest_wait_seconds: f64,
}

/// Source `pgbouncer`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Pooler {
    /// `SHOW VERSION`.
    pub version: Foreign,
    /// Pools, its own left out.
    pub pools: Vec<Pool>,
    /// `pool_mode`, the default.
    pub mode: Option<Arc<str>>,
    /// `server_reset_query`.
    pub reset_query: Option<Foreign>,
    /// `server_reset_query_always`: without it, the reset query is not run in transaction pooling.
    pub resets_always: Option<bool>,
    /// `track_extra_parameters` (1.20 and later): settings that it carries from session to session by itself.
    pub tracked: Vec<String>,
    /// `max_client_conn`.
    pub most_clients: Option<u32>,
    /// `default_pool_size`.
    pub pool_size: Option<u32>,
}

impl Pooler {
    /// Clients that wait for a server connection.
    pub fn waiting(&self) -> u32 {
        self.pools.iter().map(|pool| pool.clients_waiting).sum()
    }

    /// How long the one that has waited for the longest has.
    pub fn longest_wait(&self) -> f64 {
        self.pools.iter().map(|pool| pool.longest_wait_seconds).fold(0.0, f64::max)
    }

    /// Whether what one client sets (`SET search_path`, `SET statement_timeout`) is still set for the next one that gets the
    /// same server connection; `None` where the configuration is not known.
    ///
    /// In session pooling the reset query is run when a client leaves. In transaction and statement pooling it is not,
    /// whatever it says, unless `server_reset_query_always` is on.
    pub fn leaks_settings(&self, pool: &Pool) -> Option<bool> {
        let query = self.reset_query.as_ref()?;
        let runs = &*pool.mode == "session" || self.resets_always?;
        Some(!runs || !resets(query.raw()))
    }

    /// The pools that hand settings on, and `search_path` among them: one tenant's statements may run in another's schema.
    pub fn leaking(&self) -> impl Iterator<Item = &Pool> {
        self.pools.iter().filter(|pool| self.leaks_settings(pool) == Some(true))
    }

    /// Whether `search_path` is handed on: a pooler that tracks it (with PostgreSQL 18 and later, which report it) gives
    /// each client its own again.
    pub fn leaks_search_path(&self, pool: &Pool) -> Option<bool> {
        let tracked = self.tracked.iter().any(|setting| setting.eq_ignore_ascii_case("search_path"));
        self.leaks_settings(pool).map(|leaks| leaks && !tracked)
    }

    /// In words, why a pool hands settings on and what to do about it; `None` where it does not, or that is not known.
    pub fn leak(&self, pool: &Pool) -> Option<String> {
        if self.leaks_settings(pool)? {
            let query = self.reset_query.as_ref()?;
            Some(if &*pool.mode != "session" && !self.resets_always? {
                format!(
                    "{} pooling does not run server_reset_query: what one client SETs is set for the next; use SET LOCAL, or \
                     server_reset_query_always = 1",
                    pool.mode
                )
            } else if query.raw().trim().is_empty() {
                "server_reset_query is empty: what one client SETs is set for the next; let it be DISCARD ALL"
                    .to_owned()
            } else {
                format!("server_reset_query ({query}) does not reset settings; let it be DISCARD ALL")
            })
        } else {
            None
        }
    }
}

/// Whether a reset query takes back every setting.
fn resets(query: &str) -> bool {
    query.split(';').any(|statement| {
        let words: Vec<String> = statement.split_whitespace().map(str::to_ascii_lowercase).collect();
        matches!(&*words, [verb, all] if all == "all" && matches!(verb.as_str(), "discard" | "reset"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(mode: &str) -> Pool {
        Pool {
            database: Foreign::from("portarium"),
            role: Foreign::from("portarium_shared"),
            mode: mode.into(),
            clients_active: 1,
            clients_waiting: 2,
            servers_active: 1,
            servers_idle: 0,
            size: Some(1),
            paused: false,
            longest_wait_seconds: 1.5,
        }
    }

    fn pooler(query: &str, always: bool) -> Pooler {
        Pooler { reset_query: Some(query.into()), resets_always: Some(always), ..Pooler::default() }
    }

    #[test]
    fn what_is_set_leaks_where_nothing_resets_it() {
        for (mode, query, always, leaks) in [
            ("session", "DISCARD ALL", false, false),
            ("session", " discard  all ; ", false, false),
            ("session", "RESET ROLE; RESET ALL", false, false),
            ("session", "", false, true),
            ("session", "DEALLOCATE ALL", false, true),
            ("transaction", "DISCARD ALL", false, true),
            ("transaction", "", false, true),
            ("transaction", "DISCARD ALL", true, false),
            ("transaction", "RESET search_path", true, true),
            ("transaction", "", true, true),
            ("statement", "DISCARD ALL", false, true),
            ("statement", "DISCARD ALL", true, false),
        ] {
            let (pooler, pool) = (pooler(query, always), pool(mode));
            assert_eq!(pooler.leaks_settings(&pool), Some(leaks), "{mode}, {query:?}, always {always}");
            assert_eq!(pooler.leak(&pool).is_some(), leaks, "{mode}, {query:?}, always {always}");
        }
        assert!(pooler("DISCARD ALL", false).leak(&pool("transaction")).unwrap().contains("server_reset_query_always"));
    }

    #[test]
    fn what_is_not_known_is_not_judged() {
        let mut unknown = pooler("DISCARD ALL", false);
        unknown.resets_always = None;
        assert_eq!(unknown.leaks_settings(&pool("transaction")), None);
        assert_eq!(unknown.leaks_settings(&pool("session")), Some(false), "that does not depend on it");
        unknown.reset_query = None;
        assert_eq!((unknown.leaks_settings(&pool("session")), unknown.leak(&pool("session"))), (None, None));
    }

    #[test]
    fn a_tracked_search_path_is_each_clients_own() {
        let mut pooler = pooler("DISCARD ALL", false);
        pooler.pools = vec![pool("transaction"), pool("session")];
        assert_eq!(pooler.leaking().count(), 1);
        assert_eq!(pooler.leaks_search_path(&pooler.pools[0]), Some(true));
        pooler.tracked = vec!["IntervalStyle".into(), "search_path".into()];
        assert_eq!(pooler.leaks_search_path(&pooler.pools[0]), Some(false));
        assert_eq!(pooler.leaks_settings(&pooler.pools[0]), Some(true), "statement_timeout still is");
        assert_eq!((pooler.waiting(), pooler.longest_wait()), (4, 1.5));
    }
}
