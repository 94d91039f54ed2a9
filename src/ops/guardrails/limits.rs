//! Limits as they are stored with a login, and as the policy wants them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clients::postgres::QueryError;
use crate::domain::Limits;
use crate::ops::hands::Eyes;
use crate::ops::step::StepError;

/// What is stored with a login: what an undo has to bring back exactly. A timeout that is not set is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// `rolconnlimit`; −1: none.
    pub connections: i32,
    /// Timeouts as they were written.
    pub settings: BTreeMap<String, String>,
}

/// What the policy wants; what it does not say stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Wanted {
    /// `CONNECTION LIMIT`.
    pub connections: Option<u32>,
    /// Timeouts as they will be written.
    pub settings: BTreeMap<String, String>,
}

impl From<&Limits> for Wanted {
    fn from(limits: &Limits) -> Self {
        let settings = [
            ("statement_timeout", limits.statement_timeout),
            ("lock_timeout", limits.lock_timeout),
            ("idle_in_transaction_session_timeout", limits.idle_in_transaction_session_timeout),
        ];
        let written = settings.into_iter().filter_map(|(name, time)| Some((name.to_owned(), written(time?))));
        Self { connections: limits.connection_limit, settings: written.collect() }
    }
}

fn written(time: Duration) -> String {
    let all = time.as_millis();
    if all.is_multiple_of(1_000) { format!("{}s", all / 1_000) } else { format!("{all}ms") }
}

/// As PostgreSQL reads a time; `None` for what it would not take.
fn microseconds(text: &str) -> Option<u128> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|char: char| char.is_ascii_digit() || char == '.').len();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "us" => 1.0,
        "" | "ms" => 1e3,
        "s" => 1e6,
        "min" => 6e7,
        "h" => 3.6e9,
        "d" => 8.64e10,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time, of digits alone")]
    number.parse::<f64>().ok().map(|number| (number * factor) as u128)
}

/// The same in milliseconds, where it is a limit at all: 0 is none.
pub(in crate::ops) fn milliseconds(text: &str) -> Option<u64> {
    let time = microseconds(text)?.div_ceil(1_000);
    u64::try_from(time).ok().filter(|time| *time > 0)
}

impl Wanted {
    /// What of it a login does not have.
    pub(super) fn lacking(&self, stored: &Stored) -> Self {
        let same = |name: &str, text: &str| {
            stored.settings.get(name).is_some_and(|now| now == text || microseconds(now) == microseconds(text))
        };
        let connections = self.connections.filter(|limit| i32::try_from(*limit).ok() != Some(stored.connections));
        let settings = self.settings.iter().filter(|(name, text)| !same(name, text));
        Self { connections, settings: settings.map(|(name, text)| (name.clone(), text.clone())).collect() }
    }

    /// Whether it wants nothing.
    pub(super) fn is_nothing(&self) -> bool {
        self.connections.is_none() && self.settings.is_empty()
    }

    /// What a login has afterwards.
    pub(super) fn applied(&self, stored: &Stored) -> Stored {
        let mut now = stored.clone();
        if let Some(limit) = self.connections {
            now.connections = i32::try_from(limit).unwrap_or(i32::MAX);
        }
        now.settings.extend(self.settings.clone());
        now
    }
}

/// What is known of a login.
#[derive(Debug, Clone)]
pub(in crate::ops) struct Login {
    pub name: String,
    pub stored: Stored,
    pub may_enter: bool,
    pub superuser: bool,
    pub may_alter: bool,
    pub in_databases: Option<String>,
}

/// Looks at logins, or at all of them.
pub(in crate::ops) async fn look(
    names: Option<&[String]>,
    target: usize,
    eyes: &mut Eyes,
) -> Result<Vec<Login>, StepError> {
    let desk = eyes.desk(target).await?;
    let rows = desk
        .rows(
            concat!(
                include_str!("../../../assets/sql/ops/may_alter.sql"),
                include_str!("../../../assets/sql/ops/guard_logins.sql")
            ),
            &[&names],
        )
        .await?;
    let read = |row: &tokio_postgres::Row| -> Result<Login, QueryError> {
        let settings: String = row.try_get("settings")?;
        let settings = serde_json::from_str(&settings)
            .map_err(|error| QueryError::Answer { reason: format!("settings of a login: {error}") })?;
        Ok(Login {
            name: row.try_get("name")?,
            stored: Stored { connections: row.try_get("connection_limit")?, settings },
            may_enter: row.try_get("can_login")?,
            superuser: row.try_get("superuser")?,
            may_alter: row.try_get("may_alter")?,
            in_databases: row.try_get("in_databases")?,
        })
    };
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_otherwise_is_the_same_and_unset_is_not_zero() {
        let wanted = Wanted {
            connections: Some(40),
            settings: BTreeMap::from([("statement_timeout".to_owned(), "30s".to_owned())]),
        };
        let stored = |connections, text: Option<&str>| Stored {
            connections,
            settings: text.map(|text| ("statement_timeout".to_owned(), text.to_owned())).into_iter().collect(),
        };
        for same in ["30s", "30000", "30000ms", "0.5min", " 30 s"] {
            assert!(wanted.lacking(&stored(40, Some(same))).is_nothing(), "{same}");
        }
        for other in [None, Some("0"), Some("31s"), Some("30")] {
            assert_eq!(wanted.lacking(&stored(40, other)).settings, wanted.settings, "{other:?}");
        }
        assert_eq!(wanted.lacking(&stored(-1, Some("30s"))).connections, Some(40));
        assert_eq!(written(Duration::from_millis(1_500)), "1500ms");
    }
}
