//! A figure of CloudWatch as it is read by people: how old it is, and whether that still says anything of now.

use jiff::{SignedDuration, Timestamp};

use super::{Cloud, Metric, Standing};
use crate::domain::observed::Observed;

/// CloudWatch has figures of RDS one to some minutes late.
const LATE: SignedDuration = SignedDuration::from_mins(5);

/// Figures that change slowly are asked so much more rarely, where their price wants that.
const RARELY: u32 = 16;

const GIB: f64 = 1_073_741_824.0;

/// A year, in seconds.
const FAR: f64 = 365.0 * 86_400.0;

/// A figure with its age.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// In CloudWatch's unit.
    pub value: f64,
    /// Seconds since the start of the minute that it is of.
    pub age: f64,
    /// Whether it says anything of now.
    pub fresh: bool,
}

impl Figure {
    /// The value, if it says anything of now.
    pub fn now(self) -> Option<f64> {
        self.fresh.then_some(self.value)
    }
}

/// What an instance has of storage, in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Room {
    /// In use: what is not free.
    pub used: f64,
    /// Left.
    pub free: Figure,
    /// Allocated.
    pub all: f64,
    /// How far it may grow by itself.
    pub most: Option<f64>,
}

impl Room {
    /// Used share.
    pub fn share(&self) -> f64 {
        self.used / self.all.max(1.0)
    }
}

impl Metric {
    /// Whether it is left out first where the ceiling of costs is low.
    fn is_patient(self) -> bool {
        !matches!(
            self,
            Self::DatabaseConnections
                | Self::CpuUtilization
                | Self::FreeableMemory
                | Self::FreeStorageSpace
                | Self::ReadLatency
                | Self::WriteLatency
                | Self::ReadIops
                | Self::WriteIops
                | Self::DbLoad
        )
    }
}

impl Cloud {
    /// The newest of a figure.
    pub fn figure(&self, metric: Metric, moment: Timestamp) -> Option<Figure> {
        let point = self.metrics.value.as_ref()?.newest(metric)?;
        let patience = self.metrics.every.saturating_mul(if metric.is_patient() { RARELY } else { 3 });
        let patience = SignedDuration::try_from(patience).unwrap_or(LATE).saturating_add(LATE);
        let age = moment.duration_since(point.at);
        let fresh = age <= patience && age >= -LATE;
        Some(Figure { value: point.value, age: age.as_secs_f64().max(0.0), fresh })
    }

    /// What it has of storage, as far as RDS and CloudWatch say so.
    pub fn room(&self, moment: Timestamp) -> Option<Room> {
        let storage = &self.rds.value.as_ref()?.storage;
        let all = f64::from(storage.allocated_gib?) * GIB;
        let free = self.figure(Metric::FreeStorageSpace, moment)?;
        let most = storage.max_allocated_gib.map(|gib| f64::from(gib) * GIB).filter(|most| *most > all);
        Some(Room { used: (all - free.value).max(0.0), free, all, most })
    }

    /// In how many seconds its storage is full, if that goes on like it did; `None` also where that is years away: three hours do
    /// not tell so far.
    pub fn full_in(&self) -> Option<f64> {
        self.metrics.value.as_ref()?.empty_in(Metric::FreeStorageSpace).filter(|seconds| *seconds < FAR)
    }

    /// How it stands, as RDS says; `None`: that is not known, or a word that we do not know.
    pub fn standing(&self) -> Option<Standing> {
        Some(self.rds.value.as_ref()?.doing()?.standing)
    }

    /// The newest moment that it could be restored to by backups of its own, and the newest whole backup: snapshot or recovery
    /// point.
    pub fn restorable(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let rds = self.rds.value.as_ref();
        let moment =
            rds.filter(|rds| rds.retention_days.is_some_and(|days| days > 0)).and_then(|rds| rds.latest_restorable);
        let snapshots = self.snapshots.value.iter().flat_map(|all| &all.snapshots);
        let snapshots = snapshots.filter(|it| it.status.raw() == "available").filter_map(|it| it.at);
        let points = self.backups.value.iter().flat_map(|all| &all.points);
        let points = points.filter(|it| it.status.raw() == "COMPLETED").map(|it| it.at);
        (moment, snapshots.chain(points).max())
    }

    /// Why one of its sources says nothing.
    pub fn refusals(&self) -> Vec<(&'static str, String)> {
        fn why<T>(name: &'static str, observed: &Observed<T>) -> Option<(&'static str, String)> {
            Some((name, observed.error.as_ref()?.message.clone()))
        }
        let all = [
            why("rds", &self.rds),
            why("cloudwatch", &self.metrics),
            why("alarms", &self.alarms),
            why("events", &self.events),
            why("parameters", &self.parameters),
            why("snapshots", &self.snapshots),
            why("backups", &self.backups),
        ];
        all.into_iter().flatten().collect()
    }
}
