//! What was measured of a cluster, a datapoint a minute; and, where it is wanted, a past that nobody measured, so that
//! charts of a new estate have something to draw.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

/// What is measured, before it is told in CloudWatch's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Raw {
    /// Processors in use.
    Cores,
    /// Client connections.
    Connections,
    /// Bytes in memory.
    MemoryUsed,
    /// Bytes swapped out.
    Swap,
    /// Bytes of databases and WAL.
    StorageUsed,
    /// Bytes of WAL.
    Wal,
    /// Blocks read from outside of its own memory, a second.
    Reads,
    /// Writes a second.
    Writes,
    /// Seconds that a read takes.
    ReadSeconds,
    /// Seconds that a write takes.
    WriteSeconds,
    /// The oldest transaction id's age.
    XidAge,
    /// Bytes that the slowest replication slot holds back.
    SlotLag,
    /// Active sessions.
    Load,
    /// Active sessions on a processor.
    LoadCpu,
}

/// A minute of one measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Of all samples.
    pub sum: f64,
    /// How many there were.
    pub count: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Point {
    fn of(value: f64) -> Self {
        Self { sum: value, count: 1.0, least: value, most: value }
    }

    /// Both together.
    pub fn join(self, other: Self) -> Self {
        Self {
            sum: self.sum + other.sum,
            count: self.count + other.count,
            least: self.least.min(other.least),
            most: self.most.max(other.most),
        }
    }

    /// The mean.
    pub fn mean(self) -> f64 {
        self.sum / self.count
    }

    /// The same in other terms: each value times `scale` plus `offset`, not below zero.
    pub fn told(self, scale: f64, offset: f64) -> Self {
        let tell = |value: f64| (value * scale + offset).max(0.0);
        let (one, other) = (tell(self.least), tell(self.most));
        Self { sum: tell(self.mean()) * self.count, count: self.count, least: one.min(other), most: one.max(other) }
    }
}

/// A day, and some more.
const KEPT: usize = 26 * 60;

/// Everything measured of one cluster, by minutes of the epoch.
#[derive(Debug, Default)]
pub struct Series {
    points: HashMap<Raw, BTreeMap<i64, Point>>,
}

/// The minute that a moment is in.
pub fn minute(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

impl Series {
    /// One more sample.
    pub fn add(&mut self, raw: Raw, at: Timestamp, value: f64) {
        let minutes = self.points.entry(raw).or_default();
        let point = Point::of(value);
        minutes.entry(minute(at)).and_modify(|seen| *seen = seen.join(point)).or_insert(point);
        while minutes.len() > KEPT {
            minutes.pop_first();
        }
    }

    /// A minute; of a time before anything was measured, with `past`, something that might have been.
    pub fn at(&self, raw: Raw, minute: i64, past: Option<u64>) -> Option<Point> {
        let minutes = self.points.get(&raw)?;
        if let Some(point) = minutes.get(&minute) {
            return Some(*point);
        }
        let (first, point) = minutes.first_key_value()?;
        let seed = past.filter(|_| minute < *first)?;
        Some(Point::of(might_have_been(raw, point.mean(), minute, first - minute, seed)))
    }

    /// The first minute that was measured.
    pub fn first(&self, raw: Raw) -> Option<i64> {
        Some(*self.points.get(&raw)?.first_key_value()?.0)
    }
}

/// A day has busy hours, a minute has chance; what only grows was less before.
fn might_have_been(raw: Raw, level: f64, minute: i64, ago: i64, seed: u64) -> f64 {
    let ago = ago as f64;
    match raw {
        Raw::XidAge => (level - ago * 40.0).max(level * 0.2),
        Raw::StorageUsed => level * (1.0 - ago / 200_000.0).max(0.7),
        Raw::SlotLag => 0.0,
        _ => {
            let hour = (minute.rem_euclid(1_440)) as f64 / 60.0;
            let daily = 0.65 + 0.35 * ((hour - 9.0) / 24.0 * std::f64::consts::TAU).sin();
            level * daily * (0.85 + 0.3 * chance(seed ^ (raw as u64) << 40 ^ minute.cast_unsigned()))
        }
    }
}

/// 0 to 1, always the same for the same.
fn chance(seed: u64) -> f64 {
    // SplitMix64.
    let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_a_minute_are_one_point_and_the_past_is_only_told_where_it_is_wanted() {
        let mut series = Series::default();
        let at: Timestamp = "2026-11-22T15:00:10Z".parse().unwrap();
        series.add(Raw::Connections, at, 4.0);
        series.add(Raw::Connections, at, 8.0);
        let now = minute(at);
        let point = series.at(Raw::Connections, now, None).unwrap();
        assert_eq!((point.mean(), point.least, point.most, point.count), (6.0, 4.0, 8.0, 2.0));
        assert_eq!(series.at(Raw::Connections, now - 1, None), None);
        assert_eq!(series.at(Raw::Connections, now + 1, Some(1)), None, "nobody knows the future");
        let past = series.at(Raw::Connections, now - 60, Some(1)).unwrap();
        assert!((1.0..9.0).contains(&past.mean()), "{past:?}");
        assert_eq!(series.at(Raw::Connections, now - 60, Some(1)), Some(past), "the past does not change");
        assert_eq!(series.at(Raw::Cores, now, Some(1)), None);
    }

    #[test]
    fn told_the_other_way_round_the_least_becomes_the_most() {
        let point = Point { sum: 6.0, count: 2.0, least: 2.0, most: 4.0 }.told(-1.0, 10.0);
        assert_eq!((point.least, point.most, point.mean()), (6.0, 8.0, 7.0));
    }
}
