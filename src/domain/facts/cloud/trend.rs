//! Where figures go if they go on like this.

use std::sync::OnceLock;

use jiff::SignedDuration;

use super::{Datapoint, Metric, Metrics, Points};

/// The fewest figures that show a trend, and the least time that they are of, in seconds.
const FEWEST: usize = 10;
const SHORTEST: f64 = 900.0;

/// Figures spread: a slope is one where it is so many times its own standard error.
const SURE: f64 = 3.0;

/// Parts of the same trend differ by at most so many times.
const ALIKE: f64 = 3.0;

/// How many minutes are one step, at the most.
const STEEPEST: usize = 5;

/// What fills in an hour is told though it did not in the hours before.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn is_watched(points: &[Datapoint]) -> bool {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return false };
    points.len() >= FEWEST && last.at.duration_since(first.at).as_secs_f64() >= SHORTEST
}

/// How figures change in a second, by the line that fits them best; `None` where they are too few, or spread too much to say.
fn slope(points: &[Datapoint]) -> Option<f64> {
    let (slope, error) = line(points).filter(|_| is_watched(points))?;
    (slope.abs() > SURE * error).then_some(slope)
}

/// The slope of the line that fits them best, and its standard error.
fn line(points: &[Datapoint]) -> Option<(f64, f64)> {
    let first = points.first().filter(|_| points.len() > 2)?;
    let count = points.len() as f64;
    let at = |point: &Datapoint| point.at.duration_since(first.at).as_secs_f64();
    let mean_at = points.iter().map(at).sum::<f64>() / count;
    let mean = points.iter().map(|point| point.value).sum::<f64>() / count;
    let square: f64 = points.iter().map(|point| (at(point) - mean_at).powi(2)).sum();
    let with: f64 = points.iter().map(|point| (at(point) - mean_at) * (point.value - mean)).sum();
    let slope = with / square;
    let off = |point: &Datapoint| (point.value - mean - slope * (at(point) - mean_at)).powi(2);
    let error = (points.iter().map(off).sum::<f64>() / (count - 2.0) / square).sqrt();
    slope.is_finite().then_some((slope, error))
}

/// What fills goes on filling: the middle third of the time that is looked at, the newest third, the end of that, and all but the
/// steepest minutes change as the whole does. One step (an index that is built, a load, temporary files) is no trend, and looks like
/// one to a line.
fn steady(points: &[Datapoint]) -> Option<f64> {
    let whole = slope(points)?;
    let agrees =
        |points: &[Datapoint]| line(points).is_some_and(|(slope, _)| (1.0 / ALIKE..=ALIKE).contains(&(slope / whole)));
    let third = points.len() / 3;
    let end = points.len() - (third / 3).max(3);
    let parts = [&points[third..third * 2], &points[third * 2..], &points[end..]];
    (parts.into_iter().all(agrees) && agrees(&without_steepest(points, whole))).then_some(whole)
}

/// What is left of them without the minutes in which they change the most that way, as if those had not been: a line stays the same
/// line, a step leaves nothing.
fn without_steepest(points: &[Datapoint], slope: f64) -> Vec<Datapoint> {
    let mut rest = points.to_vec();
    let Some(last) = points.len().checked_sub(STEEPEST + 1) else { return rest };
    let change = |at: usize| points[at + STEEPEST].value - points[at].value;
    let steepest = (0..=last).max_by(|a, b| (change(*a) * slope).total_cmp(&(change(*b) * slope))).unwrap_or_default();
    let cut = rest.drain(steepest..steepest + STEEPEST).next();
    if let (Some(cut), Some(next)) = (cut, rest.get(steepest).copied()) {
        for point in &mut rest[steepest..] {
            point.at -= next.at.duration_since(cut.at);
            point.value -= next.value - cut.value;
        }
    }
    rest
}

/// What comes after the one time that they jumped up; `None` where they did so more often: that comes and goes.
fn since_jump(points: &[Datapoint], jump: f64) -> Option<&[Datapoint]> {
    // A minute may be half of before and half of after.
    let up = |at: &usize| points[*at].value - points[at - 1].value.min(points[at.saturating_sub(2)].value) > jump;
    let mut jumps = (1..points.len()).filter(up);
    let Some(first) = jumps.next() else { return Some(points) };
    let last = jumps.next_back().unwrap_or(first);
    (last <= first + STEEPEST).then_some(&points[last..])
}

/// A trend that was reckoned out before: of which metric and jump, and what came of it. It says nothing that the figures do not.
#[derive(Debug, Clone, Default)]
pub(super) struct Reckoned(OnceLock<(Metric, f64, Option<f64>)>);

impl PartialEq for Reckoned {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Metrics {
    fn points(&self, metric: Metric) -> Vec<Datapoint> {
        self.series.get(&metric).into_iter().flat_map(Points::iter).collect()
    }

    /// Whether its figures are enough to show a trend, if there is one.
    pub fn is_watched(&self, metric: Metric) -> bool {
        is_watched(&self.points(metric))
    }

    /// How a figure changes in a second; `None`: it does not, or nobody can say.
    pub fn trend(&self, metric: Metric) -> Option<f64> {
        slope(&self.points(metric))
    }

    /// How what is left of something is used up in a second, over all that is known, or the newest hour; `jump`: by how much it is more
    /// at once only where more was given. `None`: it is not, or nobody can say.
    pub fn shrinks(&self, metric: Metric, jump: f64) -> Option<f64> {
        let (of, by, slope) = *self.reckoned.0.get_or_init(|| (metric, jump, self.shrink(metric, jump)));
        // The same bits: the jump goes by what is allocated, and that rarely changes.
        if of == metric && by.to_bits() == jump.to_bits() { slope } else { self.shrink(metric, jump) }
    }

    fn shrink(&self, metric: Metric, jump: f64) -> Option<f64> {
        let points = self.points(metric);
        let points = since_jump(&points, jump)?;
        let newest = points.last()?.at;
        let hour = points.partition_point(|point| newest.duration_since(point.at) > HOUR);
        let slope = steady(points).or_else(|| steady(&points[hour..]))?;
        (slope < 0.0).then_some(-slope)
    }

    /// In how many seconds a figure will be at nothing, if it goes on like this; `None`: it does not, or nobody can say.
    pub fn empty_in(&self, metric: Metric) -> Option<f64> {
        let left = self.newest(metric)?.value.max(0.0);
        self.trend(metric).filter(|slope| *slope < 0.0).map(|slope| left / -slope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use std::collections::BTreeMap;

    /// A figure a minute.
    fn shrinks(minutes: i64, figure: impl Fn(f64) -> f64) -> Option<f64> {
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let points = (0..minutes).map(|minute| Datapoint { at: at(minute), value: figure(minute as f64) });
        let metrics = Metrics::of(BTreeMap::from([(Metric::FreeStorageSpace, points)]));
        // What is used up in a minute.
        metrics.shrinks(Metric::FreeStorageSpace, 5.0).map(|slope| (slope * 60.0 * 1e3).round() / 1e3)
    }

    /// Figures that tremble, the same each time.
    fn tremble(minute: f64) -> f64 {
        (minute * 12.9898).sin() * 0.05
    }

    #[test]
    fn what_is_used_up_all_the_time_is_a_trend() {
        for minutes in [17, 30, 90, 180] {
            assert_eq!(shrinks(minutes, |at| 100.0 - at * 0.2), Some(0.2), "{minutes}");
            let trembles = shrinks(minutes, |at| 100.0 - at * 0.2 + tremble(at)).unwrap();
            assert!((0.18..0.22).contains(&trembles), "{minutes}: {trembles}");
        }
        assert_eq!(shrinks(180, |at| 10.0 + at * 0.2), None, "it grows");
        assert_eq!(shrinks(180, tremble), None);
    }

    /// Wherever it is in the time that is known, and however many minutes it takes.
    #[test]
    fn a_step_is_no_trend() {
        for at in 1..180 {
            for minutes in [1, 2, 3, 5] {
                let since = |minute: f64| (minute - f64::from(at)).clamp(0.0, f64::from(minutes)) / f64::from(minutes);
                assert_eq!(shrinks(180, |minute| 90.0 - 20.0 * since(minute)), None, "down in {minutes} at {at}");
                assert_eq!(shrinks(180, |minute| 70.0 + 4.0 * since(minute)), None, "up in {minutes} at {at}");
            }
        }
        // A load of twenty minutes, and whatever comes behind it.
        for behind in [0.0, 5.0, 30.0, 100.0] {
            let load = |minute: f64| (minute - (160.0 - behind)).clamp(0.0, 20.0);
            assert_eq!(shrinks(180, |minute| 90.0 - load(minute)), None, "{behind} minutes behind it");
        }
    }

    #[test]
    fn what_began_in_this_hour_is_told_in_this_hour() {
        let since = |began: f64| shrinks(180, move |minute| 90.0 - (minute - began).max(0.0));
        assert_eq!(since(160.0), None);
        assert!(since(140.0).is_some_and(|it| it > 0.5) && since(120.0).is_some_and(|it| it > 0.9));
    }

    #[test]
    fn what_comes_and_goes_is_no_trend() {
        for period in [8, 20, 45, 70] {
            let tooth = |minute: f64| minute.rem_euclid(f64::from(period)) / f64::from(period);
            assert_eq!(shrinks(180, |minute| 60.0 - 30.0 * tooth(minute)), None, "each {period} minutes, by much");
            if period < 60 {
                assert_eq!(shrinks(180, |minute| 60.0 - 3.0 * tooth(minute)), None, "each {period} minutes, by little");
            }
        }
    }

    #[test]
    fn an_enlargement_hides_no_trend() {
        for at in [1, 30, 60, 120, 150] {
            let more = |minute: f64| if minute < f64::from(at) { 0.0 } else { 50.0 };
            assert_eq!(shrinks(180, |minute| 40.0 - minute * 0.2 + more(minute)), Some(0.2), "at {at}");
            // In two minutes.
            let more = |minute: f64| ((minute - f64::from(at) + 1.0) * 4.0).clamp(0.0, 8.0);
            assert_eq!(shrinks(180, |minute| 40.0 - minute * 0.2 + more(minute)), Some(0.2), "in two, at {at}");
        }
        let just_now = |minute: f64| if minute < 170.0 { 0.0 } else { 50.0 };
        assert_eq!(shrinks(180, |minute| 40.0 - minute * 0.2 + just_now(minute)), None, "ten minutes are too few");
    }

    fn empty_in(points: impl Iterator<Item = (i64, f64)>) -> Option<f64> {
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let points = points.map(|(minute, value)| Datapoint { at: at(minute), value });
        Metrics::of(BTreeMap::from([(Metric::FreeStorageSpace, points)])).empty_in(Metric::FreeStorageSpace)
    }

    #[test]
    fn what_falls_on_a_line_is_empty_when_the_line_is() {
        let seconds = empty_in((0..30).map(|minute| (minute, (100 - minute) as f64 * 60.0))).unwrap();
        assert!((seconds - 71.0 * 60.0).abs() < 1e-6, "{seconds}");
    }

    #[test]
    fn nothing_is_said_of_what_is_short_level_rising_or_jagged() {
        assert_eq!(empty_in((0..9).map(|minute| (minute * 10, -(minute as f64)))), None);
        assert_eq!(empty_in((0..14).map(|minute| (minute, 100.0 - minute as f64))), None);
        assert_eq!(empty_in((0..60).map(|minute| (minute, 5.0))), None);
        assert_eq!(empty_in((0..60).map(|minute| (minute, minute as f64))), None);
        assert_eq!(empty_in((0..60).map(|minute| (minute, (minute * 7 % 11) as f64))), None);
    }
}
