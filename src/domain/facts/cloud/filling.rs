//! How an instance's storage fills: the one place that says how full it is, of what, until when, and how bad that is. Signals and
//! screens ask here, so that they cannot say different things.

use jiff::{SignedDuration, Timestamp};

use super::{Cloud, Event, Figure, Metric};
use crate::domain::Severity;
use crate::domain::policy::Thresholds;
use crate::domain::quantity::GIB;

/// A year, in seconds: three hours of figures do not tell so far.
const FAR: f64 = 365.0 * 86_400.0;

/// How fast it grows is no trouble yet while it is less than half full: what is seen is three hours of it.
const HALF: f64 = 0.5;

/// RDS makes storage that grows by itself larger when this part of it or less was left for five minutes, by a tenth of it or 10 GiB at
/// least, and then not for six hours, or until it is optimised (Amazon RDS User Guide, "Managing capacity automatically with Amazon RDS
/// storage autoscaling").
const GROWS_AT: f64 = 0.1;
const GROWS_BY: f64 = 10.0 * GIB;
const RESTS: SignedDuration = SignedDuration::from_hours(6);

/// Five minutes, and some for RDS to set about it, and for CloudWatch to tell.
const SHOULD_HAVE_GROWN: SignedDuration = SignedDuration::from_mins(15);

/// What is left is more at once by such a part of the whole only where storage was added: the least that RDS adds is a tenth.
const ADDED: f64 = 0.05;

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
    /// It should have grown by itself, and did not.
    stuck: bool,
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
        self.stuck
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
        let shrinks = self.metrics.value.as_ref()?.shrinks(Metric::FreeStorageSpace, all * ADDED);
        let fills = shrinks.filter(|_| free.fresh);
        let full_in = fills.map(|slope| (free.value + ceiling - all).max(0.0) / slope).filter(|it| *it < FAR);
        let may_grow = ceiling >= all + GROWS_BY.max(all * GROWS_AT);
        let stuck = free.fresh && may_grow && self.is_low(all * GROWS_AT) && self.rests_not(moment);
        Some(Filling { free, all, ceiling, full_in, stuck })
    }

    /// Whether so little was left for as long as RDS may take to add some.
    fn is_low(&self, least: f64) -> bool {
        let points = self.metrics.value.as_ref().and_then(|metrics| metrics.series.get(&Metric::FreeStorageSpace));
        let Some((points, newest)) = points.and_then(|points| Some((points, points.last()?))) else { return false };
        let low = points.iter().rev().take_while(|point| point.value <= least).last();
        low.is_some_and(|since| newest.at.duration_since(since.at) >= SHOULD_HAVE_GROWN)
    }

    /// Whether nothing keeps RDS from adding storage, as far as its own words tell: where events are not told, nobody knows.
    fn rests_not(&self, moment: Timestamp) -> bool {
        let serves = self.rds.fresh(moment).is_some_and(|rds| rds.status.raw() == "available");
        // "Finished applying autoscaling-initiated modification to allocated storage"
        let is_of_storage = |event: &Event| event.message.raw().to_ascii_lowercase().contains("allocated storage");
        let is_late = |event: &Event| moment.duration_since(event.at) < RESTS;
        let events = self.events.fresh(moment);
        serves && events.is_some_and(|it| !it.events.iter().any(|event| is_of_storage(event) && is_late(event)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::super::{Datapoint, Events, Metrics, Rds, Storage};
    use super::*;
    use crate::domain::Foreign;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    /// Thirty minutes of what is left, in GiB, of 100.
    fn filling(most: Option<u32>, left: impl Fn(f64) -> f64, now: i64) -> Filling {
        cloud(most, left, now).filling(at(now)).unwrap()
    }

    fn cloud(most: Option<u32>, left: impl Fn(f64) -> f64, now: i64) -> Cloud {
        let mut cloud = Cloud::named("main".into(), "eu-west-1".into(), "one".into());
        let storage = Storage { allocated_gib: Some(100), max_allocated_gib: most, ..Storage::default() };
        cloud.rds.set(Arc::new(Rds { storage, status: Foreign::from("available"), ..Rds::default() }), at(now));
        let points = (0..30).map(|minute| Datapoint { at: at(minute), value: left(minute as f64) * GIB });
        let metrics = Metrics::of(BTreeMap::from([(Metric::FreeStorageSpace, points)]));
        cloud.metrics.set(Arc::new(metrics), at(now));
        cloud.events.set(Arc::new(Events::default()), at(now));
        cloud
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
    }

    #[test]
    fn what_should_have_grown_did_not_for_as_long_as_rds_may_take() {
        let thresholds = Thresholds::default();
        let stuck = filling(Some(1_000), |_| 2.0, 30);
        assert_eq!((stuck.is_stuck(), stuck.severity(&thresholds)), (true, Some(Severity::Warning)));
        let is_stuck = |most, left: &dyn Fn(f64) -> f64| filling(most, left, 30).is_stuck();
        assert!(is_stuck(Some(1_000), &|_| 10.0) && !is_stuck(Some(1_000), &|_| 10.1));
        assert!(is_stuck(Some(1_000), &|minute| if minute < 14.0 { 20.0 } else { 9.0 }), "for fifteen minutes");
        assert!(!is_stuck(Some(1_000), &|minute| if minute < 15.0 { 20.0 } else { 9.0 }), "for fourteen");
        assert!(!is_stuck(None, &|_| 2.0), "it never grows");
        assert!(!is_stuck(Some(109), &|_| 2.0), "not by the least that is added");
        let after = |message: &str, hours: i64| {
            let mut cloud = cloud(Some(1_000), |_| 2.0, 30);
            let event = Event { at: at(30 - hours * 60), message: Foreign::from(message), categories: Vec::new() };
            cloud.events.set(Arc::new(Events { events: vec![event] }), at(30));
            cloud.filling(at(30)).unwrap().is_stuck()
        };
        let grown = "Finished applying autoscaling-initiated modification to allocated storage";
        assert_eq!((after(grown, 5), after(grown, 6), after("Backing up DB instance", 1)), (false, true, true));
        let mut optimised = cloud(Some(1_000), |_| 2.0, 30);
        Arc::make_mut(optimised.rds.value.as_mut().unwrap()).status = Foreign::from("storage-optimization");
        assert!(!optimised.filling(at(30)).unwrap().is_stuck());
        let mut silent = cloud(Some(1_000), |_| 2.0, 30);
        silent.events = crate::domain::Observed::nothing(std::time::Duration::from_secs(60));
        assert!(!silent.filling(at(30)).unwrap().is_stuck(), "what happened to it is not known");
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
