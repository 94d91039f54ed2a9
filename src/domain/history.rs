//! Bounded series in memory, and curves from the stored history: what the charts draw.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::ids::{InstanceName, TenantId};

/// How much time the charts of one session look back on.
pub const SPAN: Duration = Duration::from_secs(15 * 60);

/// The width of one point of an instance's charts.
pub const BUCKET: Duration = Duration::from_secs(5);

/// The width of one point of every tenant's charts.
pub const COARSE: Duration = Duration::from_secs(60);

/// The least width of one point of the charts of the busiest tenants.
pub const FINE: Duration = Duration::from_secs(1);

/// Points that are shared between snapshots as one.
const CHUNK: usize = 60;

/// The newest values of one thing, oldest first, never more than [`SPAN`] / [`Series::width`] of them. Cheap to clone: all
/// but the newest few points are shared.
#[derive(Debug, Clone)]
pub struct Series<T> {
    width: Duration,
    closed: VecDeque<Arc<[(Timestamp, T)]>>,
    open: Vec<(Timestamp, T)>,
}

impl<T> Default for Series<T> {
    fn default() -> Self {
        Self::of(BUCKET)
    }
}

impl<T> Series<T> {
    /// A series of points of this width.
    pub fn of(width: Duration) -> Self {
        Self { width, closed: VecDeque::new(), open: Vec::new() }
    }

    /// How much time before it a point stands for.
    pub fn width(&self) -> Duration {
        self.width
    }

    /// Points come more rarely, or more often, from now on.
    pub fn set_width(&mut self, width: Duration) {
        self.width = width;
    }

    /// The most points that are kept.
    fn most(&self) -> usize {
        (SPAN.as_millis() / self.width.as_millis().max(1)) as usize
    }

    /// How many points there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// How many points it holds, those included that are too old to be shown.
    pub fn held(&self) -> usize {
        self.closed.iter().map(|chunk| chunk.len()).sum::<usize>() + self.open.len()
    }

    /// The points, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &(Timestamp, T)> {
        // Whole chunks are thrown away at once: what hangs over at the old end is not shown.
        let span = jiff::SignedDuration::try_from(SPAN).unwrap_or_default();
        let begin = self.newest().and_then(|newest| newest.checked_sub(span).ok());
        let points = self.closed.iter().flat_map(|chunk| chunk.iter()).chain(&self.open);
        points.filter(move |(at, _)| begin.is_none_or(|begin| *at > begin))
    }

    /// The newest point.
    pub fn last(&self) -> Option<&(Timestamp, T)> {
        self.open.last().or_else(|| self.closed.back()?.last())
    }

    /// When the newest point was taken.
    pub fn newest(&self) -> Option<Timestamp> {
        self.last().map(|(at, _)| *at)
    }

    /// Whether there is no point at all.
    pub fn is_empty(&self) -> bool {
        self.newest().is_none()
    }
}

impl<T: Clone> Series<T> {
    /// Appends a point. A clock that stepped back drops what lies in its future, so that time stays in order.
    pub fn push(&mut self, at: Timestamp, value: T) {
        while self.newest().is_some_and(|last| last >= at) {
            if self.open.is_empty() {
                self.open = self.closed.pop_back().map(|chunk| chunk.to_vec()).unwrap_or_default();
            }
            self.open.pop();
        }
        let most = self.most();
        if most <= CHUNK && self.closed.is_empty() {
            // So few that sharing them costs more than copying, and each one too many counts: every tenant has these.
            let surplus = (self.open.len() + 1).saturating_sub(most.max(1));
            self.open.drain(..surplus);
            self.open.reserve_exact(1);
        }
        self.open.push((at, value));
        if self.open.len() >= CHUNK {
            self.closed.push_back(std::mem::take(&mut self.open).into());
        }
        while self.closed.front().is_some_and(|oldest| self.held() - oldest.len() >= self.most()) {
            self.closed.pop_front();
        }
    }

    /// The same story told in finer points, so that it can go on in them.
    #[must_use]
    pub fn refined(&self, width: Duration) -> Self {
        let mut fine = Self::of(width);
        let times = (self.width.as_millis() / width.as_millis().max(1)).max(1) as i32;
        for (at, value) in self.iter() {
            for step in (0..times).rev() {
                let back = jiff::SignedDuration::try_from(width * step.unsigned_abs()).unwrap_or_default();
                fine.push(*at - back, value.clone());
            }
        }
        fine
    }
}

/// One point of a tenant's charts. What is not known is `None`, and drawn as a gap.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TenantPoint {
    /// Sessions.
    pub connections: f32,
    /// Sessions that run a statement and do not wait for a lock (a mean over the point's width).
    pub active: f32,
    /// Sessions that wait for a lock or for I/O (a mean over the point's width).
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

/// How far back charts look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Stretch {
    /// From memory, in the finest points there are.
    #[default]
    Quarter,
    Hour,
    Day,
    Fortnight,
}

impl Stretch {
    /// All, the shortest first.
    pub const ALL: [Self; 4] = [Self::Quarter, Self::Hour, Self::Day, Self::Fortnight];

    /// How much time it is.
    pub fn span(self) -> Duration {
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        match self {
            Self::Quarter => SPAN,
            Self::Hour => hours(1),
            Self::Day => hours(24),
            Self::Fortnight => hours(14 * 24),
        }
    }

    /// How much time one stored point stands for.
    pub fn step(self) -> Duration {
        match self {
            Self::Quarter => BUCKET,
            Self::Hour | Self::Day => COARSE,
            Self::Fortnight => Duration::from_secs(15 * 60),
        }
    }

    /// As it stands on the screen.
    pub fn title(self) -> &'static str {
        match self {
            Self::Quarter => "15 min",
            Self::Hour => "1 h",
            Self::Day => "24 h",
            Self::Fortnight => "14 d",
        }
    }
}

/// What is stored of each tenant and instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is a field of a tenant's row by the same name")]
pub enum Measure {
    Connections,
    Active,
    Waiting,
    /// Rows written a second.
    RowsWritten,
    /// Blocks read a second.
    BlocksRead,
    NoiseScore,
    SizeBytes,
    DeadRows,
}

impl Measure {
    /// All, in the order in which they are stored.
    pub const ALL: [Self; 8] = [
        Self::Connections,
        Self::Active,
        Self::Waiting,
        Self::RowsWritten,
        Self::BlocksRead,
        Self::NoiseScore,
        Self::SizeBytes,
        Self::DeadRows,
    ];
}

/// One stored point: means over its step, and the greatest of its minutes. What was not known is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Its end.
    pub at: Timestamp,
    /// Means, by [`Measure`].
    pub mean: [Option<f32>; 8],
    /// The greatest minute, by [`Measure`].
    pub most: [Option<f32>; 8],
}

impl Reading {
    /// The mean of a measure.
    pub fn mean(&self, of: Measure) -> Option<f64> {
        self.mean.get(of as usize).copied().flatten().map(f64::from)
    }

    /// The greatest of a measure.
    pub fn most(&self, of: Measure) -> Option<f64> {
        self.most.get(of as usize).copied().flatten().map(f64::from)
    }
}

/// Whose history is asked for: an instance's own where no tenant is named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Whose {
    /// The instance.
    pub instance: InstanceName,
    /// The tenant.
    pub tenant: Option<TenantId>,
}

/// The stored history of one tenant or instance, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Whose.
    pub whose: Whose,
    /// How far back.
    pub stretch: Stretch,
    /// What there is; a missing step is a gap.
    pub readings: Vec<Reading>,
    /// Why there is nothing, where there is no history to ask.
    pub trouble: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_series_is_bounded_and_in_order() {
        let mut series = Series::default();
        for second in 0..10_000 {
            series.push(at(second * 5), second);
        }
        assert_eq!((series.len(), series.iter().count()), (180, 180));
        assert!(series.held() <= 180 + CHUNK);
        series.push(at(49_980), -1);
        let newest: Vec<i64> = series.iter().rev().take(2).map(|(_, value)| *value).collect();
        assert_eq!(newest, [-1, 9_995]);
        // A clock that steps back by an hour: nothing from the future stays.
        series.push(at(46_000), -2);
        assert!(series.iter().all(|(time, _)| *time <= at(46_000)));
    }

    #[test]
    fn a_coarse_story_goes_on_in_finer_points() {
        let mut coarse = Series::of(COARSE);
        coarse.push(at(600), 7);
        coarse.push(at(660), 9);
        let mut fine = coarse.refined(FINE);
        fine.push(at(661), 1);
        assert_eq!((fine.len(), fine.width()), (121, FINE));
        assert_eq!(fine.iter().map(|(_, value)| *value).max(), Some(9));
        assert_eq!(fine.iter().next().map(|(time, _)| *time), Some(at(541)));
    }
}
