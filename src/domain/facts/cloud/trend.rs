//! Where figures go if they go on like this.

use super::{Datapoint, Metric, Metrics};

/// The fewest figures that show a trend, and the least time that they are of, in seconds.
const FEWEST: usize = 10;
const SHORTEST: f64 = 900.0;

/// Figures spread: a slope is one where it is so many times its own standard error.
const SURE: f64 = 3.0;

fn is_watched(points: &[Datapoint]) -> bool {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return false };
    points.len() >= FEWEST && last.at.duration_since(first.at).as_secs_f64() >= SHORTEST
}

/// How figures change in a second, by the line that fits them best; `None` where they are too few, or spread too much to say.
fn slope(points: &[Datapoint]) -> Option<f64> {
    let first = points.first().filter(|_| is_watched(points))?;
    let count = points.len() as f64;
    let at = |point: &Datapoint| point.at.duration_since(first.at).as_secs_f64();
    let mean_at = points.iter().map(at).sum::<f64>() / count;
    let mean = points.iter().map(|point| point.value).sum::<f64>() / count;
    let square: f64 = points.iter().map(|point| (at(point) - mean_at).powi(2)).sum();
    let with: f64 = points.iter().map(|point| (at(point) - mean_at) * (point.value - mean)).sum();
    let slope = with / square;
    let off = |point: &Datapoint| (point.value - mean - slope * (at(point) - mean_at)).powi(2);
    let error = (points.iter().map(off).sum::<f64>() / (count - 2.0) / square).sqrt();
    (slope.is_finite() && slope.abs() > SURE * error).then_some(slope)
}

impl Metrics {
    fn points(&self, metric: Metric) -> &[Datapoint] {
        self.series.get(&metric).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether its figures are enough to show a trend, if there is one.
    pub fn is_watched(&self, metric: Metric) -> bool {
        is_watched(self.points(metric))
    }

    /// How a figure changes in a second; `None`: it does not, or nobody can say.
    pub fn trend(&self, metric: Metric) -> Option<f64> {
        slope(self.points(metric))
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

    fn empty_in(points: impl Iterator<Item = (i64, f64)>) -> Option<f64> {
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let points = points.map(|(minute, value)| Datapoint { at: at(minute), value }).collect();
        Metrics { series: BTreeMap::from([(Metric::FreeStorageSpace, points)]) }.empty_in(Metric::FreeStorageSpace)
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
