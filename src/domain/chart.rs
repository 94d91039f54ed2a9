//! The charts of a tenant. Ten thousand tenants have a point a minute each: those of one minute lie together, so that
//! ending a minute is one value more and not ten thousand, and a tenant's chart is its place in them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::history::{COARSE, SPAN, Series, TenantPoint};

/// The most minutes that are kept.
const MOST: usize = (SPAN.as_secs() / COARSE.as_secs()) as usize;

/// The points of all tenants of an instance for each of the last minutes, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Minutes(VecDeque<Arc<Minute>>);

#[derive(Debug)]
struct Minute {
    at: Timestamp,
    /// `None`: the tenant was not there.
    points: Box<[Option<TenantPoint>]>,
}

impl Minutes {
    /// Ends a minute. A clock that stepped back drops what lies in its future, so that time stays in order.
    pub fn push(&mut self, at: Timestamp, points: impl Iterator<Item = Option<TenantPoint>>) {
        while self.0.back().is_some_and(|newest| newest.at >= at) {
            self.0.pop_back();
        }
        while self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(Arc::new(Minute { at, points: points.collect() }));
    }

    /// Tenants came or went: where each stood before.
    #[must_use]
    pub fn settled(&self, before: &[Option<usize>]) -> Self {
        let point = |minute: &Minute, place: &Option<usize>| minute.points.get((*place)?).copied().flatten();
        let minute = |minute: &Arc<Minute>| {
            let points = before.iter().map(|place| point(minute, place)).collect();
            Arc::new(Minute { at: minute.at, points })
        };
        Self(self.0.iter().map(minute).collect())
    }

    fn of(&self, place: usize) -> impl DoubleEndedIterator<Item = (Timestamp, TenantPoint)> + '_ {
        let span = jiff::SignedDuration::try_from(SPAN).unwrap_or_default();
        let begin = self.0.back().and_then(|newest| newest.at.checked_sub(span).ok());
        let minutes = self.0.iter().filter(move |minute| begin.is_none_or(|begin| minute.at > begin));
        minutes.filter_map(move |minute| Some((minute.at, minute.points.get(place).copied()??)))
    }

    fn newest(&self, place: usize) -> Option<(Timestamp, TenantPoint)> {
        let minute = self.0.back()?;
        Some((minute.at, minute.points.get(place).copied()??))
    }
}

/// The charts of one tenant. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Chart {
    /// A series of its own: it is among the busiest.
    Own(Arc<Series<TenantPoint>>),
    /// A place in everybody's minutes.
    Shared(Arc<Minutes>, usize),
}

impl Default for Chart {
    fn default() -> Self {
        Self::Own(Arc::default())
    }
}

impl From<Series<TenantPoint>> for Chart {
    fn from(series: Series<TenantPoint>) -> Self {
        Self::Own(Arc::new(series))
    }
}

impl Chart {
    /// How much time before it a point stands for.
    pub fn width(&self) -> Duration {
        match self {
            Self::Own(series) => series.width(),
            Self::Shared(..) => COARSE,
        }
    }

    /// The points, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Timestamp, TenantPoint)> + '_ {
        let (own, shared) = match self {
            Self::Own(series) => (Some(series), None),
            Self::Shared(minutes, place) => (None, Some((minutes, *place))),
        };
        let own = own.into_iter().flat_map(|series| series.iter().copied());
        own.chain(shared.into_iter().flat_map(|(minutes, place)| minutes.of(place)))
    }

    /// The newest point.
    pub fn last(&self) -> Option<(Timestamp, TenantPoint)> {
        match self {
            Self::Own(series) => series.last().copied(),
            Self::Shared(minutes, place) => minutes.newest(*place),
        }
    }

    /// The same story told in finer points, so that it can go on in them.
    #[must_use]
    pub fn refined(&self, width: Duration) -> Series<TenantPoint> {
        let mut series = Series::of(self.width());
        for (at, point) in self.iter() {
            series.push(at, point);
        }
        series.refined(width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn points(connections: &[f32]) -> impl Iterator<Item = Option<TenantPoint>> {
        connections.iter().map(|it| Some(TenantPoint { connections: *it, ..TenantPoint::default() }))
    }

    fn seen(minutes: &Minutes, place: usize) -> Vec<(i64, f32)> {
        let chart = Chart::Shared(Arc::new(minutes.clone()), place);
        let seen: Vec<_> = chart.iter().map(|(at, point)| (at.as_second(), point.connections)).collect();
        seen
    }

    #[test]
    fn minutes_are_bounded_and_in_order() {
        let mut minutes = Minutes::default();
        for minute in 1..=100_u8 {
            minutes.push(at(i64::from(minute) * 60), points(&[f32::from(minute), 0.0]));
        }
        let kept = seen(&minutes, 0);
        assert_eq!((kept.len(), kept[0], kept[14]), (15, (86 * 60, 86.0), (6_000, 100.0)));
        // A clock that steps back by three minutes: nothing from the future stays.
        minutes.push(at(97 * 60), points(&[-1.0]));
        assert_eq!(seen(&minutes, 0)[9..], [(95 * 60, 95.0), (96 * 60, 96.0), (97 * 60, -1.0)]);
        // After an hour without a look, nothing of before.
        minutes.push(at(10_000), points(&[7.0]));
        assert_eq!(seen(&minutes, 0), [(10_000, 7.0)]);
    }

    #[test]
    fn a_minute_goes_on_in_finer_points() {
        let mut minutes = Minutes::default();
        minutes.push(at(600), points(&[7.0]));
        minutes.push(at(660), points(&[9.0]));
        let fine = Chart::Shared(Arc::new(minutes), 0).refined(super::super::history::FINE);
        assert_eq!(
            (fine.len(), fine.last().map(|(at, point)| (at.as_second(), point.connections))),
            (120, Some((660, 9.0)))
        );
    }

    #[test]
    fn who_was_not_there_has_no_points_of_that_time() {
        let mut minutes = Minutes::default();
        minutes.push(at(60), points(&[1.0, 2.0]));
        let mut minutes = minutes.settled(&[None, Some(1)]);
        minutes.push(at(120), points(&[3.0, 4.0]));
        assert_eq!((seen(&minutes, 0), seen(&minutes, 1)), (vec![(120, 3.0)], vec![(60, 2.0), (120, 4.0)]));
    }
}
