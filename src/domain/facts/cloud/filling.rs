//! How an instance's storage fills: the one place that says how full it is, of what, until when, and how bad that is. Signals and
//! screens ask here, so that they cannot say different things.

use jiff::Timestamp;

use super::{Cloud, Figure, Metric};
use crate::domain::Severity;
use crate::domain::policy::Thresholds;
use crate::domain::quantity::GIB;

/// A year, in seconds: three hours of figures do not tell so far.
const FAR: f64 = 365.0 * 86_400.0;

/// How fast it grows is no trouble yet while it is less than half full: what is seen is three hours of it.
const HALF: f64 = 0.5;

/// Storage that grows by itself does so while there is more left than this.
const SHOULD_HAVE_GROWN: f64 = 0.05;

/// An instance's storage, in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Filling {
    /// Left of what is allocated.
    pub free: Figure,
    /// Allocated.
    pub all: f64,
    /// How far it may grow by itself; where it may not, what is allocated.
    pub ceiling: f64,
    /// Seconds until it can hold no more, as fast as it fills; `None`: it does not, nobody can say, or that is years away.
    pub full_in: Option<f64>,
}

impl Filling {
    /// In use: what is not free.
    pub fn used(&self) -> f64 {
        (self.all - self.free.value).max(0.0)
    }

    /// Used share of what it may have.
    pub fn share(&self) -> f64 {
        self.used() / self.ceiling.max(1.0)
    }

    /// Whether it grows by itself.
    pub fn grows(&self) -> bool {
        self.ceiling > self.all
    }

    /// Storage that should have grown by itself, and did not.
    pub fn is_stuck(&self) -> bool {
        self.grows() && self.free.value < self.all * SHOULD_HAVE_GROWN
    }

    /// How bad that is; of what is old nobody can say.
    pub fn severity(&self, thresholds: &Thresholds) -> Option<Severity> {
        self.free.now()?;
        let by_share = thresholds.storage.rung(self.share()).map(|(severity, _)| severity);
        let by_time = self.full_in.and_then(|seconds| match seconds {
            _ if seconds <= thresholds.storage_critical_seconds => Some(Severity::Critical),
            _ if seconds <= thresholds.storage_warning_seconds && self.share() >= HALF => Some(Severity::Warning),
            _ => None,
        });
        by_share.into_iter().chain(by_time).chain(self.is_stuck().then_some(Severity::Warning)).max()
    }
}

impl Cloud {
    /// How its storage fills, as far as RDS and CloudWatch say so.
    pub fn filling(&self, moment: Timestamp) -> Option<Filling> {
        let storage = &self.rds.value.as_ref()?.storage;
        let all = f64::from(storage.allocated_gib?) * GIB;
        let ceiling = storage.max_allocated_gib.map_or(all, |most| (f64::from(most) * GIB).max(all));
        let free = self.figure(Metric::FreeStorageSpace, moment)?;
        let slope = self.metrics.value.as_ref()?.trend(Metric::FreeStorageSpace);
        let fills = slope.filter(|slope| *slope < 0.0 && free.fresh);
        let full_in = fills.map(|slope| (free.value + ceiling - all).max(0.0) / -slope).filter(|it| *it < FAR);
        Some(Filling { free, all, ceiling, full_in })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::super::{Datapoint, Metrics, Rds, Storage};
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    /// Thirty minutes of what is left, in GiB, of 100.
    fn filling(most: Option<u32>, left: impl Fn(f64) -> f64, now: i64) -> Filling {
        let mut cloud = Cloud::named("main".into(), "eu-west-1".into(), "one".into());
        let storage = Storage { allocated_gib: Some(100), max_allocated_gib: most, ..Storage::default() };
        cloud.rds.set(Arc::new(Rds { storage, ..Rds::default() }), at(now));
        let points = (0..30).map(|minute| Datapoint { at: at(minute), value: left(minute as f64) * GIB }).collect();
        let metrics = Metrics { series: BTreeMap::from([(Metric::FreeStorageSpace, points)]) };
        cloud.metrics.set(Arc::new(metrics), at(now));
        cloud.filling(at(now)).unwrap()
    }

    fn minutes(filling: &Filling) -> Option<f64> {
        filling.full_in.map(|seconds| (seconds / 60.0).round())
    }

    #[test]
    fn it_is_full_when_it_can_grow_no_more() {
        let thresholds = Thresholds::default();
        let fixed = filling(None, |minute| 40.0 - minute, 30);
        assert_eq!((fixed.share(), fixed.grows(), minutes(&fixed)), (0.89, false, Some(11.0)));
        assert_eq!(fixed.severity(&thresholds), Some(Severity::Critical));
        let grows = filling(Some(1_000), |minute| 40.0 - minute, 30);
        assert_eq!((grows.share(), grows.grows(), minutes(&grows)), (0.089, true, Some(911.0)));
        assert_eq!(grows.severity(&thresholds), None, "in fifteen hours, and nine tenths of it empty");
        let lower = filling(Some(50), |minute| 40.0 - minute, 30);
        assert_eq!(
            (lower.ceiling, lower.grows()),
            (fixed.all, false),
            "what it may have is never less than what it has"
        );
    }

    #[test]
    fn what_stays_or_is_old_is_never_full_in_some_time() {
        let thresholds = Thresholds::default();
        let level = filling(None, |_| 10.0, 30);
        assert_eq!((level.full_in, level.severity(&thresholds)), (None, Some(Severity::Warning)));
        let slow = filling(None, |minute| 50.0 - minute * 1e-5, 30);
        assert_eq!(slow.full_in, None, "in years");
        let old = filling(None, |minute| 40.0 - minute, 300);
        assert_eq!((old.full_in, old.severity(&thresholds), old.free.fresh), (None, None, false));
        let stuck = filling(Some(1_000), |_| 2.0, 30);
        assert_eq!((stuck.is_stuck(), stuck.severity(&thresholds)), (true, Some(Severity::Warning)));
    }

    #[test]
    fn thresholds_are_the_configured_ones() {
        let mut thresholds = Thresholds::default();
        let half = filling(None, |_| 50.0, 30);
        assert_eq!(half.severity(&thresholds), None);
        thresholds.storage = crate::domain::policy::Ladder::new(0.4, 0.5);
        assert_eq!(half.severity(&thresholds), Some(Severity::Critical));
    }

    /// Whatever is left and however fast it goes: what it may grow by counts, and nothing is ever less than nothing.
    #[test]
    fn more_room_never_makes_it_worse() {
        let thresholds = Thresholds::default();
        for left in [-3.0, 0.0, 0.2, 1.0, 4.9, 12.0, 30.0, 60.0, 99.0, 120.0] {
            for fall in [0.0, 0.001, 0.05, 0.3, 1.0, 5.0] {
                let of = |most| filling(most, |minute| left + (29.0 - minute) * fall, 30);
                let all = [None, Some(100), Some(150), Some(400), Some(10_000)].map(of);
                for pair in all.windows(2) {
                    assert!(pair[0].share() >= pair[1].share() && pair[1].share() >= 0.0);
                    let (first, second) = (pair[0].full_in.unwrap_or(FAR), pair[1].full_in.unwrap_or(FAR));
                    assert!(0.0 <= first && first <= second, "{left} {fall}: {first} {second}");
                    let (first, second) = (pair[0].severity(&thresholds), pair[1].severity(&thresholds));
                    assert!(first >= second || pair[1].is_stuck(), "{left} {fall}: {first:?} {second:?}");
                }
            }
        }
    }
}
