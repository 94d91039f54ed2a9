//! The name of an operation: what it marks everything with that it makes.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `261122-081033-k7x2`: when it was planned (UTC; of the last four characters, two tell the millisecond and two are at
/// random), so that their order is that of time, to the millisecond. Short and plain enough to be part of a schema's name,
/// an RDS identifier, a tag, an `application_name` and a file's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OperationId(String);

/// Thirty-two that cannot be taken for one another, in the order in which text is sorted.
const LETTERS: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";

impl OperationId {
    /// A new one, for a moment and a number at random.
    pub fn new(now: Timestamp, random: u32) -> Self {
        let tail = now.subsec_millisecond().unsigned_abs() << 10 | random & 0x3ff;
        let letters = (0..4).rev().map(|place| char::from(LETTERS[(tail >> (5 * place) & 31) as usize]));
        Self(format!("{}-{}", now.strftime("%y%m%d-%H%M%S"), letters.collect::<String>()))
    }

    /// Reads one; `None` for what cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (day, time, letters) = (parts.next()?, parts.next()?, parts.next()?);
        let number = |part: &str| part.len() == 6 && part.bytes().all(|byte| byte.is_ascii_digit());
        let random = letters.len() == 4 && letters.bytes().all(|byte| LETTERS.contains(&byte));
        (parts.next().is_none() && number(day) && number(time) && random).then(|| Self(text.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What its sessions that change something call themselves in `pg_stat_activity`.
    pub fn application_name(&self) -> String {
        format!("tierdeck op {}", self.0)
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

impl TryFrom<String> for OperationId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| "not the id of an operation, such as 261122-081033-k7x2".to_owned())
    }
}

impl From<OperationId> for String {
    fn from(id: OperationId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn ids_read_back_and_nothing_else_does() {
        let now: Timestamp = "2026-11-22T08:10:33Z".parse().unwrap();
        let id = OperationId::new(now, u32::MAX);
        assert_eq!(id.as_str(), "261122-081033-22zz");
        assert_eq!(OperationId::parse(id.as_str()), Some(id.clone()));
        assert_ne!(OperationId::new(now, 1), OperationId::new(now, 2));
        let later = |at: u32| OperationId::new(now + SignedDuration::from_millis(i64::from(at) * 7), at * 977);
        assert!((0..1000).map(later).is_sorted(), "their order is that of time");
        for bad in [
            "",
            "261122-081033-K7x2",
            "261122-081033-k7x",
            "261122-081033-k7x2-",
            "../../etc/passwd",
            "261122-08103'-k7x2",
        ] {
            assert_eq!(OperationId::parse(bad), None, "{bad}");
        }
        assert!(serde_json::from_str::<OperationId>("\"x\"").is_err());
    }
}
