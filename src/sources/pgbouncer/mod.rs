//! What PgBouncer knows: source `pgbouncer`, four `SHOW` commands at its admin console.
//!
//! Cost: none to the server behind it, under a millisecond to the pooler. Privilege: a user of `stats_users` (or
//! `admin_users`).

use std::sync::Arc;

use crate::clients::pgbouncer::{Console, DATABASE, Line};
use crate::clients::postgres::QueryError;
use crate::domain::Foreign;
use crate::domain::facts::{Pool, Pooler};

/// The most pools that are told: those with waiting clients first. Each login in each database is one.
const MOST: usize = 500;

/// Asks the console.
pub async fn ask(console: &Console) -> Result<Pooler, QueryError> {
    let version = console.show("VERSION").await?;
    let pools = console.show("POOLS").await?;
    let databases = console.show("DATABASES").await?;
    let config = console.show("CONFIG").await?;
    Ok(read(&version, &pools, &databases, &config))
}

/// Puts the answers together.
fn read(version: &[Line], pools: &[Line], databases: &[Line], config: &[Line]) -> Pooler {
    let setting = |key: &str| {
        let line = config.iter().find(|line| line.text("key") == Some(key))?;
        Some(line.text("value").unwrap_or_default())
    };
    let mode = setting("pool_mode").map(Arc::<str>::from);
    let mut pools: Vec<Pool> = pools
        .iter()
        .filter(|line| line.text("database") != Some(DATABASE))
        .filter_map(|line| {
            let name = line.text("database")?;
            let database = databases.iter().find(|database| database.text("name") == Some(name));
            Some(pool(line, name, database, mode.as_ref()))
        })
        .collect();
    pools.sort_by(|a, b| {
        (b.clients_waiting, b.clients_active)
            .cmp(&(a.clients_waiting, a.clients_active))
            .then(a.database.cmp(&b.database))
    });
    pools.truncate(MOST);
    let version = version.first().and_then(|line| line.text("version")).unwrap_or_default();
    let tracked = setting("track_extra_parameters").unwrap_or_default();
    Pooler {
        // `PgBouncer 1.18.0`
        version: Foreign::from(version.trim_start_matches("PgBouncer ")),
        pools,
        mode,
        reset_query: setting("server_reset_query").map(Foreign::from),
        resets_always: setting("server_reset_query_always").map(|value| value != "0"),
        tracked: tracked.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect(),
        most_clients: setting("max_client_conn").and_then(|value| value.parse().ok()),
        pool_size: setting("default_pool_size").and_then(|value| value.parse().ok()),
    }
}

fn pool(line: &Line, name: &str, database: Option<&Line>, mode: Option<&Arc<str>>) -> Pool {
    let count = |column| line.number(column).unwrap_or_default();
    let seconds = line.number::<f64>("maxwait").unwrap_or_default();
    let microseconds = line.number::<f64>("maxwait_us").unwrap_or_default();
    Pool {
        database: Foreign::from(name),
        role: Foreign::from(line.text("user").unwrap_or_default()),
        mode: line.text("pool_mode").map(Arc::from).or_else(|| mode.cloned()).unwrap_or_else(|| Arc::from("")),
        clients_active: count("cl_active"),
        clients_waiting: count("cl_waiting"),
        servers_active: count("sv_active"),
        servers_idle: count("sv_idle"),
        size: database.and_then(|database| database.number("pool_size")),
        paused: database.and_then(|database| database.text("paused")).is_some_and(|paused| paused == "1"),
        longest_wait_seconds: seconds + microseconds / 1e6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_several_versions_are_read() {
        let pools = [
            Line::from([
                ("database", "pgbouncer"),
                ("user", "pgbouncer"),
                ("cl_active", "1"),
                ("pool_mode", "statement"),
            ]),
            // Before 1.16 nobody counted cancel requests; nothing depends on it.
            Line::from([("database", "a"), ("user", "u"), ("cl_active", "7"), ("sv_active", "2"), ("maxwait", "0")]),
            Line::from([
                ("database", "b\u{1b}[2J"),
                ("user", "u"),
                ("cl_waiting", "12"),
                ("maxwait", "3"),
                ("maxwait_us", "500000"),
                ("pool_mode", "session"),
            ]),
        ];
        let databases = [Line::from([("name", "a"), ("pool_size", "20"), ("paused", "1")])];
        let config = [
            Line::from([("key", "pool_mode"), ("value", "transaction")]),
            Line::from([("key", "server_reset_query"), ("value", "DISCARD ALL")]),
            Line::from([("key", "server_reset_query_always"), ("value", "0")]),
            Line::from([("key", "track_extra_parameters"), ("value", "IntervalStyle, search_path")]),
            Line::from([("key", "max_client_conn"), ("value", "100")]),
        ];
        let read = read(&[Line::from([("version", "PgBouncer 1.18.0")])], &pools, &databases, &config);
        assert_eq!((read.version.raw(), read.pools.len(), read.most_clients), ("1.18.0", 2, Some(100)));
        let [waiting, other] = &*read.pools else { unreachable!() };
        assert_eq!((waiting.clients_waiting, waiting.longest_wait_seconds, &*waiting.mode), (12, 3.5, "session"));
        assert!(!waiting.database.to_string().contains('\u{1b}') && waiting.size.is_none() && !waiting.paused);
        assert_eq!((&*other.mode, other.clients_active, other.size, other.paused), ("transaction", 7, Some(20), true));
        assert_eq!(read.tracked, ["IntervalStyle", "search_path"]);
        assert_eq!((read.leaks_settings(other), read.leaks_settings(waiting)), (Some(true), Some(false)));
    }

    #[test]
    fn what_is_hidden_stays_unknown() {
        let read = read(&[], &[], &[], &[]);
        assert_eq!(read, Pooler::default());
        assert_eq!((read.reset_query, read.resets_always, read.pool_size), (None, None, None));
    }
}
