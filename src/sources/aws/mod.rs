//! What AWS knows: one question a source, for all instances of an account at once; answers come by RDS identifier (or ARN) and
//! are dealt out by whoever asked.
//!
//! Privilege: each question names its own ([`crate::clients::aws::Action`]); `assets/iam/watch.json` has all of them.

pub mod alarms;
pub mod backup;
pub mod cloudwatch;
pub mod events;
pub mod history;
pub mod logs;
pub mod parameters;
pub mod probe;
pub mod rds;
pub mod snapshots;

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_rds::primitives::DateTime;
use jiff::Timestamp;

use crate::domain::Foreign;

/// Facts by the RDS identifier of the instance that they are of.
pub type ByInstance<T> = HashMap<Arc<str>, T>;

/// The dimension by which CloudWatch tells instances apart.
const DIMENSION: &str = "DBInstanceIdentifier";

/// CloudWatch's name for everything of RDS.
const NAMESPACE: &str = "AWS/RDS";

/// A moment, as AWS tells it.
fn moment(at: &DateTime) -> Option<Timestamp> {
    Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok()
}

fn moment_of(at: Option<&DateTime>) -> Option<Timestamp> {
    at.and_then(moment)
}

/// A moment, as AWS wants it.
fn asked(at: Timestamp) -> DateTime {
    DateTime::from_secs(at.as_second())
}

fn foreign(text: Option<&str>) -> Foreign {
    Foreign::from(text.unwrap_or_default())
}

/// A text that is there and says something.
fn some(text: Option<&str>) -> Option<Foreign> {
    text.filter(|text| !text.is_empty()).map(Foreign::from)
}

fn count(number: Option<i32>) -> Option<u32> {
    number.and_then(|number| u32::try_from(number).ok())
}
