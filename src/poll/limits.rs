//! Which limits bind a login, from what is set on the role, on the database, and on the server.

use std::time::Duration;

use crate::domain::facts::{Role, Roles};
use crate::domain::{Foreign, Limits};

/// The timeouts that policies know.
const TIMEOUTS: [&str; 3] = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"];

/// The role of that name.
pub(super) fn role<'a>(roles: &'a Roles, name: &str) -> Option<&'a Role> {
    roles.roles.iter().find(|role| role.name.raw() == name)
}

/// The limits in effect for a login, and where they are from.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    /// The login.
    pub login: Foreign,
    pub limits: Limits,
    /// Settings of which it is not known.
    pub unknown: Vec<&'static str>,
}

/// What binds sessions of a login in a database.
pub(super) fn bound(roles: &Roles, role: &Role, database: &str) -> Bound {
    let (limits, unknown) = effective(roles, role, database);
    Bound { login: role.name.clone(), limits, unknown }
}

/// What binds sessions of this login in this database, and the settings of which that is not known. The order is
/// PostgreSQL's: role in database, role, database, server.
fn effective(roles: &Roles, role: &Role, database: &str) -> (Limits, Vec<&'static str>) {
    let levels =
        [role.in_databases.get(database), Some(&*role.settings), roles.databases.get(database), Some(&roles.defaults)];
    let value = |name: &str| levels.iter().flatten().find_map(|level| level.get(name));
    let setting = |name| value(name).and_then(|text| milliseconds(text)).filter(|value| !value.is_zero());
    let [statement_timeout, lock_timeout, idle_in_transaction_session_timeout] = TIMEOUTS.map(setting);
    let limits = Limits {
        connection_limit: role.connection_limit,
        statement_timeout,
        lock_timeout,
        idle_in_transaction_session_timeout,
    };
    (limits, TIMEOUTS.into_iter().filter(|name| value(name).is_none()).collect())
}

/// A time as PostgreSQL writes it: a number of milliseconds, or a number with a unit.
fn milliseconds(text: &str) -> Option<Duration> {
    let text = text.trim().trim_matches('\'');
    let split = text.find(|char: char| !(char.is_ascii_digit() || char == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().ok()?;
    let seconds = match unit.trim() {
        "us" => number / 1e6,
        "" | "ms" => number / 1e3,
        "s" => number,
        "min" => number * 60.0,
        "h" => number * 3_600.0,
        "d" => number * 86_400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn settings_are_read_as_postgresql_writes_them() {
        for (text, expected) in
            [("30s", 30_000), ("30000", 30_000), ("1.5min", 90_000), ("2h", 7_200_000), ("250ms", 250)]
        {
            assert_eq!(milliseconds(text), Some(Duration::from_millis(expected)), "{text}");
        }
        assert_eq!(milliseconds("soon"), None);
    }

    #[test]
    fn the_nearest_setting_binds_zero_is_no_limit_and_hidden_is_not_known() {
        let set = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let role = Role {
            name: Foreign::from("acme_app"),
            can_login: true,
            connection_limit: Some(40),
            superuser: false,
            settings: set(&[("statement_timeout", "30s"), ("lock_timeout", "0")]).into(),
            in_databases: BTreeMap::from([("db_acme".to_owned(), set(&[("statement_timeout", "5s")]))]),
        };
        let roles = Roles {
            databases: BTreeMap::from([(
                "db_acme".to_owned(),
                set(&[("statement_timeout", "1s"), ("lock_timeout", "1s")]),
            )]),
            defaults: set(&[("statement_timeout", "60s")]),
            ..Roles::default()
        };
        let (limits, unknown) = effective(&roles, &role, "db_acme");
        assert_eq!((limits.statement_timeout, limits.lock_timeout), (Some(Duration::from_secs(5)), None));
        assert_eq!(unknown, ["idle_in_transaction_session_timeout"]);
        let (elsewhere, _) = effective(&roles, &role, "db_globex");
        assert_eq!(elsewhere.statement_timeout, Some(Duration::from_secs(30)));
    }
}
