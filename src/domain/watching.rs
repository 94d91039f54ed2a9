//! What is asked of AWS about one instance while somebody looks at it: figures of longer than is kept, and its log. Asked on
//! demand, never polled.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::facts::cloud::Metric;
use super::ids::InstanceName;

/// How far back CloudWatch's charts look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Lookback {
    /// Three hours: what is polled and kept, so nothing is asked.
    #[default]
    Hours,
    /// A day.
    Day,
    /// A week.
    Week,
}

impl Lookback {
    /// All of them, the shortest first.
    pub const ALL: [Self; 3] = [Self::Hours, Self::Day, Self::Week];

    /// How much time that is.
    pub fn span(self) -> SignedDuration {
        SignedDuration::from_hours(match self {
            Self::Hours => 3,
            Self::Day => 24,
            Self::Week => 7 * 24,
        })
    }

    /// What one datapoint stands for.
    pub fn period(self) -> SignedDuration {
        SignedDuration::from_mins(match self {
            Self::Hours => 1,
            Self::Day => 5,
            Self::Week => 30,
        })
    }

    /// In few characters.
    pub fn title(self) -> &'static str {
        match self {
            Self::Hours => "3 h",
            Self::Day => "24 h",
            Self::Week => "7 d",
        }
    }
}

/// Where AWS knows an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What we call it.
    pub instance: InstanceName,
    /// `[aws.NAME]`
    pub account: Arc<str>,
    /// RDS identifier.
    pub identifier: Arc<str>,
}

/// Figures to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FigureInquiry {
    /// Of which instance.
    pub of: Known,
    /// Which figures.
    pub metrics: Vec<Metric>,
    /// How far back.
    pub back: Lookback,
    /// From when.
    pub until: Timestamp,
}

/// A log to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogInquiry {
    /// Of which instance.
    pub of: Known,
    /// Whether it is in CloudWatch Logs; else RDS hands out its files.
    pub exported: bool,
    /// From when on.
    pub since: Timestamp,
}
