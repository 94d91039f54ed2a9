//! Facts of AWS about one instance: what RDS, CloudWatch and AWS Backup know of it. One source for each call that is asked on a
//! clock of its own, so that a right that is missing greys what it concerns and nothing else.

mod account;
mod backups;
mod claims;
mod class;
mod figure;
mod filling;
pub mod judged;
mod log;
mod metrics;
mod points;
mod rds;
mod status;
mod trend;
mod volume;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Fragment, Source};
use crate::domain::observed::Observed;
use std::sync::Arc;

pub use account::{AccountNews, AccountState, Discovered};
pub use backups::{
    Backups, CopyOfPoint, EVERYBODY, Job, JobKind, Part, Protection, RecoveryPoint, Snapshot, Snapshots,
};
pub use claims::{Claim, Oddity, TENANT, TIER, claim, oddities};
pub use class::{Class, Credits};
pub use figure::Figure;
pub use filling::Filling;
pub use log::{AuditEntry, LogEntry};
pub use metrics::{Alarm, AlarmState, Alarms, Datapoint, KEPT, Metric, MetricUnit, Metrics, RARELY};
pub use points::Points;
pub use rds::{Event, Events, Maintenance, Parameters, Rds, Storage};
pub use status::{Standing, Status};
pub use volume::{Iops, STRIPED};

/// What is known of an instance by way of AWS; `Instance` has none where no account is known for it.
#[derive(Debug, Clone)]
pub struct Cloud {
    /// The account's name in the configuration: `[aws.NAME]`.
    pub account: Arc<str>,
    /// Region.
    pub region: Arc<str>,
    /// Its RDS identifier.
    pub identifier: Arc<str>,
    /// How RDS describes it.
    pub rds: Observed<Arc<Rds>>,
    /// Its newest figures.
    pub metrics: Observed<Arc<Metrics>>,
    /// Alarms on it.
    pub alarms: Observed<Arc<Alarms>>,
    /// What happened to it.
    pub events: Observed<Arc<Events>>,
    /// Parameters that matter.
    pub parameters: Observed<Arc<Parameters>>,
    /// Snapshots, and who each is shared with.
    pub snapshots: Observed<Arc<Snapshots>>,
    /// What AWS Backup has of it.
    pub backups: Observed<Arc<Backups>>,
}

impl Cloud {
    /// One of which nothing is known yet.
    pub fn named(account: Arc<str>, region: Arc<str>, identifier: Arc<str>) -> Self {
        let every = Duration::from_secs(60);
        Self {
            account,
            region,
            identifier,
            rds: Observed::nothing(every),
            metrics: Observed::nothing(every),
            alarms: Observed::nothing(every),
            events: Observed::nothing(every),
            parameters: Observed::nothing(every),
            snapshots: Observed::nothing(every),
            backups: Observed::nothing(every),
        }
    }
}

/// The newest of what AWS says of an instance.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the source of the same name")]
pub struct Newest {
    pub rds: Option<Arc<Rds>>,
    pub metrics: Option<Arc<Metrics>>,
    pub alarms: Option<Arc<Alarms>>,
    pub events: Option<Arc<Events>>,
    pub parameters: Option<Arc<Parameters>>,
    pub snapshots: Option<Arc<Snapshots>>,
    pub backups: Option<Arc<Backups>>,
}

/// What one question to AWS brought.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each carries the facts of the same name")]
#[expect(clippy::large_enum_variant, reason = "it travels in a box")]
pub enum CloudFragment {
    Rds(Rds),
    Metrics(Metrics),
    Alarms(Alarms),
    Events(Events),
    Parameters(Parameters),
    Snapshots(Snapshots),
    Backups(Backups),
}

impl CloudFragment {
    /// The source that delivers it.
    pub fn source(&self) -> Source {
        match self {
            Self::Rds(_) => Source::Rds,
            Self::Metrics(_) => Source::Metrics,
            Self::Alarms(_) => Source::Alarms,
            Self::Events(_) => Source::Events,
            Self::Parameters(_) => Source::Parameters,
            Self::Snapshots(_) => Source::Snapshots,
            Self::Backups(_) => Source::Backups,
        }
    }
}

impl Newest {
    /// Takes what a question brought.
    pub fn take(&mut self, fragment: CloudFragment) {
        match fragment {
            CloudFragment::Rds(rds) => self.rds = Some(Arc::new(rds)),
            CloudFragment::Metrics(newer) => match &mut self.metrics {
                Some(metrics) => Arc::make_mut(metrics).take(newer),
                none => *none = Some(Arc::new(newer)),
            },
            CloudFragment::Alarms(alarms) => self.alarms = Some(Arc::new(alarms)),
            CloudFragment::Events(events) => self.events = Some(Arc::new(events)),
            CloudFragment::Parameters(parameters) => self.parameters = Some(Arc::new(parameters)),
            CloudFragment::Snapshots(snapshots) => self.snapshots = Some(Arc::new(snapshots)),
            CloudFragment::Backups(backups) => self.backups = Some(Arc::new(backups)),
        }
    }

    /// All of it again, as it came.
    pub fn retell(&self) -> impl Iterator<Item = Fragment> {
        let all = [
            self.rds.as_ref().map(|it| CloudFragment::Rds(Rds::clone(it))),
            self.metrics.as_ref().map(|it| CloudFragment::Metrics(Metrics::clone(it))),
            self.alarms.as_ref().map(|it| CloudFragment::Alarms(Alarms::clone(it))),
            self.events.as_ref().map(|it| CloudFragment::Events(Events::clone(it))),
            self.parameters.as_ref().map(|it| CloudFragment::Parameters(Parameters::clone(it))),
            self.snapshots.as_ref().map(|it| CloudFragment::Snapshots(Snapshots::clone(it))),
            self.backups.as_ref().map(|it| CloudFragment::Backups(Backups::clone(it))),
        ];
        all.into_iter().flatten().map(|fragment| Fragment::Cloud(Box::new(fragment)))
    }
}
