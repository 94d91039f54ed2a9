//! A page of the tenant: its dearest statements, as `pg_stat_statements` counted them over the last minute.

use std::borrow::Cow;

use super::list::Keyed;
use super::table::{Column, Value};
use crate::domain::TopStatement;
use crate::domain::session::Rank;

impl Keyed for TopStatement {
    type Key = i64;
    fn key(&self) -> i64 {
        self.query
    }
    fn is(&self, key: &i64) -> bool {
        self.query == *key
    }
}

/// The columns of the statements' table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the keys say it")]
pub enum StatementColumn {
    Time,
    Calls,
    /// Milliseconds a call.
    Mean,
    Rows,
    Blocks,
    Wal,
    Temp,
    How,
    Query,
}

impl Column for StatementColumn {
    type Row = TopStatement;
    type Context = ();
    const ALL: &'static [Self] =
        &[Self::Time, Self::Calls, Self::Mean, Self::Rows, Self::Blocks, Self::Wal, Self::Temp, Self::How, Self::Query];

    fn key(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Calls => "calls",
            Self::Mean => "mean",
            Self::Rows => "rows",
            Self::Blocks => "read",
            Self::Wal => "wal",
            Self::Temp => "temp",
            Self::How => "how",
            Self::Query => "query",
        }
    }

    fn aliases(self) -> &'static [&'static str] {
        if self == Self::Query { &["statement"] } else { &[] }
    }

    fn is_fixed(self) -> bool {
        self == Self::Query
    }

    fn is_number(self) -> bool {
        !matches!(self, Self::How | Self::Query)
    }

    fn exact(self, number: f64) -> String {
        match self {
            Self::Wal | Self::Temp => format!("{number:.0}"),
            _ => format!("{number:.3}"),
        }
    }

    fn value<'a>(self, row: &'a TopStatement, _context: &()) -> Value<'a> {
        match self {
            Self::Time => Value::Number(row.milliseconds),
            Self::Calls => Value::Number(row.calls),
            Self::Mean => Value::Number(row.mean_milliseconds),
            Self::Rows => Value::Number(row.rows),
            Self::Blocks => Value::Number(row.blocks_read),
            Self::Wal => Value::Number(row.wal_bytes),
            Self::Temp => Value::Number(row.temp_bytes),
            Self::How => Value::Text(Cow::Borrowed(match row.rank {
                Rank::Strong => "seen",
                Rank::Claimed => "claimed",
            })),
            Self::Query => row.text.as_ref().map_or(Value::Missing, |text| Value::Text(text.shown())),
        }
    }
}
