//! What AWS tells of an instance, as checks look at it: only what is as new as it should be, and nothing of who comes or goes.

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::facts::Source;
use crate::domain::facts::cloud::{Alarm, AlarmState, Class, Cloud, Datapoint, Metric, Metrics, Points, Rds};
use crate::domain::foreign::sanitise;
use crate::domain::quantity::duration;
use crate::domain::{Observed, Signal, Unknown};

use super::{Doubt, Place, Scene, Verdicts};

/// A figure is of so many seconds.
const PERIOD: f64 = 60.0;

/// An instance that AWS tells of, and that stays.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'a> {
    pub place: &'a Place<'a>,
    pub cloud: &'a Cloud,
    pub now: Timestamp,
}

impl<'a> Told<'a> {
    /// `None` where AWS is not asked about it, and of one that is going. One that is being made is not judged yet.
    pub fn of(signal: Signal, scene: &Scene<'_>, place: &'a Place<'a>, verdicts: &mut Verdicts) -> Option<Self> {
        let told = Self { place, cloud: place.instance.cloud.as_deref()?, now: scene.now };
        match told.status() {
            Some("deleting" | "deleted") => return None,
            Some("creating" | "stopped" | "stopping" | "starting") => {
                let reason = format!("RDS says that it is {}", told.status().unwrap_or_default());
                verdicts.untold(signal, place, Source::Rds, reason, None);
                return None;
            }
            _ => {}
        }
        Some(told)
    }

    /// What RDS says that it is doing, however long ago.
    fn status(self) -> Option<&'a str> {
        self.cloud.rds.value.as_ref().map(|rds| rds.status.raw())
    }

    /// How RDS describes it, if that is fresh; else says that nothing can be judged.
    pub fn rds(self, signal: Signal, verdicts: &mut Verdicts) -> Option<&'a Rds> {
        verdicts.told(signal, self.place, Source::Rds, &self.cloud.rds, self.now).map(|rds| &**rds)
    }

    /// Its figures, if they are fresh; else says that nothing can be judged.
    pub fn figures(self, signal: Signal, verdicts: &mut Verdicts) -> Option<Figures<'a>> {
        let metrics = &self.cloud.metrics;
        let told = verdicts.told(signal, self.place, Source::Metrics, metrics, self.now)?;
        Some(Figures { metrics: told, every: metrics.every, now: self.now })
    }

    /// What its class has: that changes so rarely that it may be old.
    pub fn class(self) -> Option<Class> {
        Class::named(self.cloud.rds.value.as_ref()?.class.raw())
    }

    /// What people set an alarm on, and what that says now: `; alarm cpu-high is in ALARM`.
    pub fn alarm(self, metrics: &[Metric]) -> String {
        let Some(alarms) = self.cloud.alarms.fresh(self.now) else { return String::new() };
        let rings = |alarm: &&Alarm| {
            let of = alarm.metric.as_ref().and_then(|name| Metric::named(name.raw()));
            alarm.state == AlarmState::Alarm && of.is_some_and(|of| metrics.contains(&of))
        };
        alarms.alarms.iter().find(rings).map_or_else(String::new, |alarm| {
            let name: String = alarm.name.shown().chars().take(40).collect();
            format!("; alarm {name} rings")
        })
    }
}

impl Verdicts {
    /// What AWS says, if that is fresh; else says why nothing can be judged. Whether PostgreSQL is reached does not matter here.
    pub(super) fn told<'o, T>(
        &mut self,
        signal: Signal,
        place: &Place<'_>,
        source: Source,
        observed: &'o Observed<T>,
        now: Timestamp,
    ) -> Option<&'o T> {
        if let Some(reason) = observed.missing(now) {
            let first = observed.error.is_none() && observed.at.is_none();
            let known_at = now.checked_add(observed.every).ok().filter(|_| first);
            self.untold(signal, place, source, format!("{}: {}", source.name(), sanitise(&reason)), known_at);
        }
        observed.fresh(now)
    }

    /// Says that AWS has not told what it would be judged by.
    pub(super) fn untold(
        &mut self,
        signal: Signal,
        place: &Place<'_>,
        source: Source,
        reason: String,
        known_at: Option<Timestamp>,
    ) {
        let unknown = Unknown { signal, subject: place.subject(), reason, known_at };
        self.doubts.push(Doubt::of(unknown, Some(source)));
    }
}

/// CloudWatch's figures of an instance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures<'a> {
    metrics: &'a Metrics,
    every: Duration,
    now: Timestamp,
}

impl<'a> Figures<'a> {
    /// Its figures if they are fresh, for whoever is not judged by them alone.
    pub fn beside(place: &'a Place<'_>, now: Timestamp) -> Option<Self> {
        let metrics = &place.instance.cloud.as_deref()?.metrics;
        Some(Self { metrics: metrics.fresh(now)?, every: metrics.every, now })
    }

    /// The newest of a metric, or why there is none that says anything about now.
    pub fn newest(self, metric: Metric) -> Result<Datapoint, String> {
        let name = metric.name();
        let Some(points) = self.metrics.series.get(&metric) else {
            return Err(format!("CloudWatch was not asked for {name}"));
        };
        let Some(newest) = points.last() else { return Err(format!("CloudWatch has no {name} of it")) };
        let read = newest.read(metric, self.every, self.now);
        if read.ahead {
            return Err(format!("CloudWatch's newest {name} is of the future: clocks differ"));
        }
        if !read.fresh {
            return Err(format!("CloudWatch's newest {name} is {} old", duration(read.age)));
        }
        Ok(newest)
    }

    /// The mean of its newest figures.
    pub fn mean(self, metric: Metric, seconds: f64) -> Result<f64, String> {
        let newest = self.newest(metric)?;
        let points = self.metrics.series.get(&metric).into_iter().flat_map(Points::iter);
        let since = |point: &Datapoint| newest.at.duration_since(point.at).as_secs_f64() < seconds.max(1.0);
        let (mut sum, mut count) = (0.0, 0.0);
        for point in points.rev().take_while(since) {
            sum += point.value;
            count += 1.0;
        }
        // One of them may be missing. Of one alone, after a gap or of who is new, nothing is said of three minutes.
        let wanted = ((seconds / PERIOD).ceil() - 1.0).max(1.0);
        if count < wanted {
            let (name, span) = (metric.name(), duration(seconds));
            return Err(format!("CloudWatch has {count} of the {wanted} figures of {name} that {span} want"));
        }
        Ok(sum / count)
    }

    /// Whether it has any figures at all: not every size of a class has every metric.
    pub fn has(self, metric: Metric) -> bool {
        self.metrics.series.get(&metric).is_some_and(|points| !points.is_empty())
    }

    /// Whether its figures are enough to show a trend, if there is one.
    pub fn is_watched(self, metric: Metric) -> bool {
        self.metrics.is_watched(metric)
    }

    /// How it changes in a second; `None` where its figures are too few, or spread too much to show that.
    pub fn trend(self, metric: Metric) -> Option<f64> {
        self.metrics.trend(metric)
    }

    /// In how many seconds it will be at nothing, if it goes on like this.
    pub fn empty_in(self, metric: Metric) -> Option<f64> {
        self.newest(metric).ok().and_then(|_| self.metrics.empty_in(metric))
    }
}

/// A command of AWS's own program, complete, for the account that the instance is in.
pub(super) fn command(cloud: &Cloud, words: &str, of: &[(&str, &str)]) -> String {
    command_in(&cloud.region, words, of)
}

/// The same of a region.
pub(super) fn command_in(region: &str, words: &str, of: &[(&str, &str)]) -> String {
    let mut text = format!("aws {words}");
    for (option, value) in of {
        text.extend([" ", option]);
        if !value.is_empty() {
            text.extend([" ", &shell(value)]);
        }
    }
    format!("{text} --region {}", shell(region))
}

/// A word as a shell takes it: what is in it is somebody else's.
fn shell(word: &str) -> String {
    let safe = sanitise(word);
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_.:/@+=,".contains(char);
    if !safe.is_empty() && safe.chars().all(plain) {
        return safe.into_owned();
    }
    format!("'{}'", safe.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn figures(points: &[(i64, f64)], test: impl FnOnce(Figures<'_>)) {
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let points = points.iter().map(|(minute, value)| Datapoint { at: at(*minute), value: *value });
        let metrics = Metrics::of(BTreeMap::from([(Metric::FreeStorageSpace, points)]));
        test(Figures { metrics: &metrics, every: Duration::from_secs(60), now: at(100) });
    }

    const METRIC: Metric = Metric::FreeStorageSpace;

    #[test]
    fn a_figure_is_of_now_or_there_is_none() {
        figures(&[(92, 7.0)], |it| assert_eq!(it.newest(METRIC).map(|it| it.value), Ok(7.0)));
        figures(&[(91, 7.0)], |it| assert!(it.newest(METRIC).unwrap_err().ends_with("is 9m 00s old")));
        figures(&[(103, 7.0)], |it| assert!(it.newest(METRIC).unwrap_err().contains("of the future")));
        figures(&[], |it| assert!(it.newest(METRIC).unwrap_err().contains("has no FreeStorageSpace")));
        figures(&[], |it| assert!(it.newest(Metric::DbLoad).unwrap_err().contains("not asked for DBLoad")));
    }

    #[test]
    fn the_mean_is_of_the_newest_alone() {
        figures(&[(90, 900.0), (97, 1.0), (98, 2.0), (99, 6.0)], |it| {
            assert_eq!(it.mean(METRIC, 180.0), Ok(3.0));
            assert_eq!(it.mean(METRIC, 60.0), Ok(6.0));
            assert_eq!(it.mean(METRIC, 0.0), Ok(6.0));
        });
        figures(&[(90, 900.0), (99, 6.0)], |it| {
            assert!(it.mean(METRIC, 180.0).unwrap_err().contains("has 1 of the 2 figures"));
        });
    }

    #[test]
    fn a_trend_needs_time_and_figures_that_lie_on_a_line() {
        let line: Vec<(i64, f64)> = (70..100).map(|minute| (minute, (200 - minute) as f64 * 60.0)).collect();
        figures(&line, |it| {
            assert!((it.trend(METRIC).unwrap() + 1.0).abs() < 1e-9);
            assert!((it.empty_in(METRIC).unwrap() - 101.0 * 60.0).abs() < 1e-6);
        });
        figures(&line[20..], |it| assert_eq!(it.trend(METRIC), None, "ten minutes are none"));
        let teeth: Vec<(i64, f64)> = (70..100).map(|minute| (minute, (minute % 6) as f64)).collect();
        figures(&teeth, |it| assert_eq!(it.trend(METRIC), None));
        let rising: Vec<(i64, f64)> = (70..100).map(|minute| (minute, minute as f64)).collect();
        figures(&rising, |it| assert_eq!((it.trend(METRIC).is_some(), it.empty_in(METRIC)), (true, None)));
        let level: Vec<(i64, f64)> = (70..100).map(|minute| (minute, 5.0)).collect();
        figures(&level, |it| assert_eq!(it.trend(METRIC), None));
    }

    #[test]
    fn what_others_named_stays_one_word() {
        assert_eq!(shell("portarium-prod-acme-db"), "portarium-prod-acme-db");
        assert_eq!(shell("a b; rm -rf '~'"), r"'a b; rm -rf '\''~'\'''");
        assert_eq!(shell(""), "''");
    }
}
