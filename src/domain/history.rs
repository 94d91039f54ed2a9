//! Bounded series in memory: what the charts draw.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

/// How much time the charts of one session look back on.
pub const SPAN: Duration = Duration::from_secs(15 * 60);

/// The width of one point.
pub const BUCKET: Duration = Duration::from_secs(5);

/// The newest values of one thing, oldest first, never more than [`SPAN`] / [`BUCKET`] of them.
#[derive(Debug, Clone)]
pub struct Series<T> {
    points: VecDeque<(Timestamp, T)>,
}

impl<T> Default for Series<T> {
    fn default() -> Self {
        Self { points: VecDeque::new() }
    }
}

impl<T> Series<T> {
    /// Appends a point. A clock that stepped back drops what lies in its future, so that time stays in order.
    pub fn push(&mut self, at: Timestamp, value: T) {
        while self.points.back().is_some_and(|(last, _)| *last >= at) {
            self.points.pop_back();
        }
        self.points.push_back((at, value));
        let most = (SPAN.as_secs() / BUCKET.as_secs()) as usize;
        while self.points.len() > most {
            self.points.pop_front();
        }
    }

    /// The points, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &(Timestamp, T)> + ExactSizeIterator {
        self.points.iter()
    }

    /// When the newest point was taken.
    pub fn newest(&self) -> Option<Timestamp> {
        self.points.back().map(|(at, _)| *at)
    }

    /// Whether there is no point at all.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }
}

/// One point of a tenant's charts. What is not known is `None`, and drawn as a gap.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TenantPoint {
    /// Sessions.
    pub connections: f32,
    /// Sessions that run a statement and do not wait for a lock (a mean over the bucket).
    pub active: f32,
    /// Sessions that wait for a lock or for I/O (a mean over the bucket).
    pub waiting: f32,
    /// Rows inserted, updated and deleted a second.
    pub rows_written: Option<f32>,
    /// Blocks read from outside shared buffers a second.
    pub blocks_read: Option<f32>,
}

/// One point of an instance's charts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct InstancePoint {
    /// Client connections.
    pub connections: f32,
    /// Sessions busy on CPU or I/O (a mean over the bucket).
    pub active: f32,
    /// Sessions that wait for a lock (a mean over the bucket).
    pub blocked: f32,
    /// Transactions a second.
    pub transactions: Option<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_bounded_and_in_order() {
        let mut series = Series::default();
        for second in 0..10_000 {
            series.push(Timestamp::from_second(second * 5).unwrap(), second);
        }
        assert_eq!(series.iter().len(), 180);
        series.push(Timestamp::from_second(49_980).unwrap(), -1);
        let newest: Vec<i64> = series.iter().rev().take(2).map(|(_, value)| *value).collect();
        assert_eq!(newest, [-1, 9_995]);
    }
}
