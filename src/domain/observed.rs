//! A value with its age: what a source said last, when, and what went wrong since.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// What clocks may differ and polls be late by.
const GRACE: SignedDuration = SignedDuration::from_secs(2);

/// What a trouble means to those who judge it: decided once, where the server's answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum TroubleKind {
    /// Nothing that is judged by itself.
    #[default]
    Other,
    /// All connections of the server are taken: it answers, and refuses everybody.
    ServerFull,
    /// Our own login's or database's `CONNECTION LIMIT` is reached: same SQLSTATE, and the server is not full.
    OwnLimit,
}

/// Why a source did not deliver.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Trouble {
    /// What went wrong, safe to print, with what to do next where that is known.
    pub message: String,
    /// SQLSTATE where the server said one.
    pub code: Option<String>,
    /// What it means.
    pub kind: TroubleKind,
}

impl Trouble {
    /// A trouble of which no server said anything.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// A trouble that means nothing in particular, with the SQLSTATE if there is one.
    pub fn other(message: impl Into<String>, code: Option<String>) -> Self {
        Self { code, ..Self::new(message) }
    }

    /// Whether it says that all connections of the server are taken.
    pub fn is_server_full(&self) -> bool {
        self.kind == TroubleKind::ServerFull
    }
}

/// What is known of one thing. An error keeps the old value, whose age then shows.
#[derive(Debug, Clone)]
pub struct Observed<T> {
    /// The newest value, however old.
    pub value: Option<T>,
    /// When that value was taken.
    pub at: Option<Timestamp>,
    /// What went wrong at the newest attempt; `None` when it went well or none was made.
    pub error: Option<Trouble>,
    /// How often a new value is due; a value much older than this is stale.
    pub every: Duration,
}

impl<T> Observed<T> {
    /// Nothing known yet, a value due every so often.
    pub fn nothing(every: Duration) -> Self {
        Self { value: None, at: None, error: None, every }
    }

    /// Takes a new value.
    pub fn set(&mut self, value: T, at: Timestamp) {
        self.value = Some(value);
        self.at = Some(at);
        self.error = None;
    }

    /// Takes an error; the old value stays.
    pub fn fail(&mut self, trouble: Trouble) {
        self.error = Some(trouble);
    }

    /// How old the value is; `None` also when it is from the future: our clock was set back, and its age is not known.
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        let age = now.duration_since(self.at?);
        if age < -GRACE { None } else { Some(Duration::try_from(age).unwrap_or_default()) }
    }

    /// The value unless it is too old to say anything about now: three periods and a grace of two seconds.
    pub fn fresh(&self, now: Timestamp) -> Option<&T> {
        let limit = self.every.saturating_mul(3).saturating_add(GRACE.unsigned_abs());
        self.value.as_ref().filter(|_| self.age(now).is_some_and(|age| age <= limit))
    }

    /// In words, why there is no fresh value; `None` when there is one.
    pub fn missing(&self, now: Timestamp) -> Option<String> {
        if self.fresh(now).is_some() {
            return None;
        }
        Some(match (&self.error, self.age(now)) {
            (Some(trouble), _) => trouble.message.clone(),
            (None, Some(age)) => format!("last seen {} ago", super::quantity::duration(age.as_secs_f64())),
            (None, None) if self.at.is_some() => "our clock was set back since it was seen".to_owned(),
            (None, None) => "not seen yet".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_the_value_and_age_makes_it_stale() {
        let start = Timestamp::from_second(1_000).unwrap();
        let mut seen = Observed::nothing(Duration::from_secs(1));
        assert_eq!(seen.missing(start), Some("not seen yet".to_owned()));
        seen.set(7, start);
        assert_eq!((seen.fresh(start), seen.missing(start)), (Some(&7), None));
        seen.fail(Trouble::new("refused"));
        let at_limit = Timestamp::from_second(1_005).unwrap();
        assert_eq!(seen.fresh(at_limit), Some(&7));
        let later = Timestamp::from_second(1_006).unwrap();
        assert_eq!((seen.fresh(later), seen.value), (None, Some(7)));
        assert_eq!(seen.missing(later), Some("refused".to_owned()));
    }

    #[test]
    fn a_value_from_the_future_is_stale() {
        let at = Timestamp::from_second(1_000).unwrap();
        let mut seen = Observed::nothing(Duration::from_secs(1));
        seen.set(7, at);
        let stepped = |seconds: i64| Timestamp::from_second(1_000 - seconds).unwrap();
        assert_eq!((seen.fresh(stepped(2)), seen.age(stepped(2))), (Some(&7), Some(Duration::ZERO)));
        assert_eq!((seen.fresh(stepped(3)), seen.age(stepped(3))), (None, None));
        assert_eq!(seen.missing(stepped(3)), Some("our clock was set back since it was seen".to_owned()));
    }
}
