//! A figure of CloudWatch as it is read by people: how old it is, and whether that still says anything of now.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Cloud, Datapoint, Metric, RARELY, Standing};
use crate::domain::observed::Observed;

/// CloudWatch has figures of RDS one to some minutes late.
const LATE: SignedDuration = SignedDuration::from_mins(5);

/// Clocks differ by less.
const AHEAD: SignedDuration = SignedDuration::from_mins(2);

/// A figure with its age.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// In CloudWatch's unit.
    pub value: f64,
    /// Seconds since the start of the minute that it is of.
    pub age: f64,
    /// Whether it is of a time that is not yet: clocks differ.
    pub ahead: bool,
    /// Whether it says anything of now.
    pub fresh: bool,
}

impl Figure {
    /// The value, if it says anything of now.
    pub fn now(self) -> Option<f64> {
        self.fresh.then_some(self.value)
    }
}

impl Datapoint {
    /// How it reads at a moment, where figures are asked for so often.
    pub fn read(self, metric: Metric, every: Duration, moment: Timestamp) -> Figure {
        let patience = every.saturating_mul(if metric.is_fast() { 3 } else { RARELY + 1 });
        let patience = SignedDuration::try_from(patience).unwrap_or(LATE).saturating_add(LATE);
        let age = moment.duration_since(self.at);
        let (age, ahead) = (age.as_secs_f64().max(0.0), age < -AHEAD);
        Figure { value: self.value, age, ahead, fresh: !ahead && age <= patience.as_secs_f64() }
    }
}

impl Cloud {
    /// The newest of a figure.
    pub fn figure(&self, metric: Metric, moment: Timestamp) -> Option<Figure> {
        let point = self.metrics.value.as_ref()?.newest(metric)?;
        Some(point.read(metric, self.metrics.every, moment))
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
        let snapshots = snapshots.filter(|it| it.is_whole()).filter_map(|it| it.at);
        let points = self.backups.value.iter().flat_map(|all| &all.points);
        let points = points.filter(|it| it.is_whole()).map(|it| it.at);
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
