//! Text from the server, whatever bytes it is made of.
//!
//! `pg_stat_activity` shows queries in the encoding of the database that they run in, which need not be valid in ours:
//! one tenant's odd bytes must not cost us everybody's sessions.

use std::borrow::Cow;
use std::collections::HashSet;
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

/// The same, not copied where it need not be.
#[derive(Debug)]
pub(super) struct Words<'a>(pub Cow<'a, str>);

impl<'a> FromSql<'a> for Words<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(String::from_utf8_lossy(raw)))
    }

    fn accepts(kind: &Type) -> bool {
        <Text as FromSql>::accepts(kind)
    }
}

/// Texts of one answer and of the one before: most sessions say the same as a second ago, and as each other.
#[derive(Debug, Default)]
pub(super) struct Texts {
    before: HashSet<Arc<str>>,
    now: HashSet<Arc<str>>,
}

impl Texts {
    /// Another answer begins: what the one before the last said and the last did not is forgotten.
    pub fn turn(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }

    /// The text, kept once.
    pub fn keep(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.now.get(text) {
            return Arc::clone(known);
        }
        let kept = self.before.get(text).cloned().unwrap_or_else(|| Arc::from(text));
        self.now.insert(Arc::clone(&kept));
        kept
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once_for_as_long_as_answers_say_it() {
        let mut texts = Texts::default();
        let first = texts.keep("select 1");
        assert!(Arc::ptr_eq(&first, &texts.keep("select 1")));
        texts.turn();
        assert!(Arc::ptr_eq(&first, &texts.keep("select 1")), "the answer before said it");
        for _ in 0..2 {
            texts.turn();
        }
        assert_eq!(Arc::strong_count(&first), 1, "nobody says it any more");
        assert!(!Arc::ptr_eq(&first, &texts.keep("select 1")));
    }
}
