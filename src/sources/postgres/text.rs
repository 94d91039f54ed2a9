//! Text from the server, whatever bytes it is made of.
//!
//! `pg_stat_activity` shows queries in the encoding of the database that they run in, which need not be valid in ours:
//! one tenant's odd bytes must not cost us everybody's sessions.

use std::error::Error;
use std::sync::Arc;

use tokio_postgres::types::{FromSql, Type};

use crate::domain::Foreign;

/// Any text; bytes that are no UTF-8 become `�`.
#[derive(Debug, Default)]
pub(super) struct Text(pub String);

impl<'a> FromSql<'a> for Text {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(String::from_utf8_lossy(raw).into_owned()))
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::TEXT | Type::VARCHAR | Type::NAME | Type::BPCHAR | Type::BYTEA)
    }
}

impl From<Text> for Foreign {
    fn from(text: Text) -> Self {
        Self::new(&text.0)
    }
}

impl From<Text> for Arc<str> {
    fn from(text: Text) -> Self {
        Self::from(text.0)
    }
}
