//! What the stored history says of a tenant: the ground of advice about its tier.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::finding::{Signal, Subject};
use super::ids::{InstanceName, TenantId};

/// One tenant over the stored history.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Since when it was watched (gaps not counted).
    pub since: Timestamp,
    /// Seconds of that for which there are points.
    pub watched_seconds: f64,
    /// Rows written a day, over the whole of it; `None` where it was never counted.
    pub rows_written_per_day: Option<f64>,
    /// Rows written in its busiest hour as a multiple of the mean hour; `None` with less than a day watched.
    pub spikiness: Option<f64>,
    /// Seconds for which it was named as a noisy neighbour.
    pub noisy_seconds: f64,
    /// How often it became one.
    pub noisy_times: u32,
}

/// Of all tenants that were ever watched and are still there.
pub type Records = HashMap<(InstanceName, TenantId), Arc<Record>>;

/// A finding that was true when somebody looked last: after a restart it is still the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Standing {
    /// Which signal.
    pub signal: Signal,
    /// About what.
    pub subject: Subject,
    /// Since when it was true.
    pub since: Timestamp,
    /// When it was last seen; `None`: not known.
    #[serde(default)]
    pub seen: Option<Timestamp>,
}

/// What the board is told of the time before it was made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    /// The records of all tenants.
    pub records: Records,
    /// Findings that were true a moment before we began to look.
    pub standing: Vec<Standing>,
}
