//! Which limits bind a login, from what is set on the role, on the database, and on the server.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::Limits;
use crate::domain::facts::{Role, Roles};

/// The role of that name.
pub(super) fn role<'a>(roles: &'a Roles, name: &str) -> Option<&'a Role> {
    roles.roles.iter().find(|role| role.name.raw() == name)
}

/// What binds sessions of this login.
pub(super) fn effective(role: &Role, defaults: &BTreeMap<String, String>) -> Limits {
    let setting = |name: &str| {
        role.settings
            .get(name)
            .or_else(|| defaults.get(name))
            .and_then(|value| milliseconds(value))
            .filter(|value| !value.is_zero())
    };
    Limits {
        connection_limit: role.connection_limit,
        statement_timeout: setting("statement_timeout"),
        lock_timeout: setting("lock_timeout"),
        idle_in_transaction_session_timeout: setting("idle_in_transaction_session_timeout"),
    }
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
    use super::*;
    use crate::domain::Foreign;

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
    fn the_roles_own_setting_comes_first_and_zero_is_no_limit() {
        let role = Role {
            name: Foreign::from("role_acme"),
            can_login: true,
            connection_limit: Some(40),
            superuser: false,
            settings: BTreeMap::from([("statement_timeout".into(), "30s".into()), ("lock_timeout".into(), "0".into())]),
        };
        let defaults = BTreeMap::from([
            ("statement_timeout".into(), "60s".into()),
            ("idle_in_transaction_session_timeout".into(), "5min".into()),
        ]);
        assert_eq!(
            effective(&role, &defaults),
            Limits {
                connection_limit: Some(40),
                statement_timeout: Some(Duration::from_secs(30)),
                lock_timeout: None,
                idle_in_transaction_session_timeout: Some(Duration::from_secs(300)),
            }
        );
    }
}
