//! Figures over time, packed: of five hundred instances with some twenty metrics each, three hours are a million and a half.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Datapoint;

/// The figures of one metric, oldest first, each moment once. Moments are kept to the second: CloudWatch has no others.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Points(Vec<Packed>);

/// Half of a [`Datapoint`].
#[derive(Clone, Copy, PartialEq, Eq)]
struct Packed {
    second: u32,
    /// The value's bits, the upper half first.
    bits: [u32; 2],
}

impl From<Datapoint> for Packed {
    fn from(point: Datapoint) -> Self {
        let bits = point.value.to_bits();
        Self { second: second(point.at), bits: [(bits >> 32) as u32, bits as u32] }
    }
}

impl From<Packed> for Datapoint {
    fn from(packed: Packed) -> Self {
        let [upper, lower] = packed.bits.map(u64::from);
        let at = Timestamp::from_second(i64::from(packed.second)).unwrap_or(Timestamp::UNIX_EPOCH);
        Self { at, value: f64::from_bits(upper << 32 | lower) }
    }
}

/// What is before 1970 or after 2106 is a clock gone wrong.
fn second(at: Timestamp) -> u32 {
    u32::try_from(at.as_second().max(0)).unwrap_or(u32::MAX)
}

impl Points {
    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The oldest.
    pub fn first(&self) -> Option<Datapoint> {
        self.0.first().copied().map(Datapoint::from)
    }

    /// The newest.
    pub fn last(&self) -> Option<Datapoint> {
        self.0.last().copied().map(Datapoint::from)
    }

    /// All of them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Datapoint> + '_ {
        self.0.iter().copied().map(Datapoint::from)
    }

    /// Takes what came later, and forgets what is older than that by so much: a late one goes to its place, one of a moment that is
    /// known replaces it.
    pub fn take(&mut self, newer: &Self, kept: SignedDuration) {
        // Not twice as much as is needed: there are thousands of these.
        self.0.reserve_exact(newer.len());
        for point in &newer.0 {
            match self.0.binary_search_by_key(&point.second, |it| it.second) {
                Ok(place) => self.0[place] = *point,
                Err(place) => self.0.insert(place, *point),
            }
        }
        if let Some(newest) = self.0.last().map(|point| point.second) {
            let kept = u32::try_from(kept.as_secs()).unwrap_or(u32::MAX);
            self.0.retain(|point| newest - point.second <= kept);
        }
    }
}

impl FromIterator<Datapoint> for Points {
    fn from_iter<T: IntoIterator<Item = Datapoint>>(points: T) -> Self {
        Self(points.into_iter().map(Packed::from).collect())
    }
}

impl fmt::Debug for Points {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Points {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Points {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Vec::<Datapoint>::deserialize(from)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_the_same_when_it_is_read() {
        let values = [0.0, -1.5, f64::MIN_POSITIVE, f64::MAX, 1e-300, 64.0 * 1_099_511_627_776.0 + 1.0];
        let at = |minute: i64| Timestamp::from_second(1_700_000_000 + minute * 60).unwrap();
        let points: Vec<_> = (0..).map(at).zip(values).map(|(at, value)| Datapoint { at, value }).collect();
        let packed: Points = points.iter().copied().collect();
        assert_eq!(packed.iter().collect::<Vec<_>>(), points);
        assert_eq!((packed.first(), packed.last()), (points.first().copied(), points.last().copied()));
        let text = serde_json::to_string(&packed).unwrap();
        assert_eq!(text, serde_json::to_string(&points).unwrap(), "as recordings have it");
        assert_eq!(serde_json::from_str::<Points>(&text).unwrap(), packed);
    }

    #[test]
    fn nothing_is_held_that_is_not_needed() {
        let of = |minutes: std::ops::Range<i64>| -> Points {
            let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
            minutes.map(|minute| Datapoint { at: at(minute), value: 1.0 }).collect()
        };
        let mut points = of(0..181);
        for minute in 181..400 {
            points.take(&of(minute - 2..minute + 1), SignedDuration::from_hours(3));
            points = points.clone();
        }
        assert_eq!(points.len(), 181);
        assert!(points.0.capacity() <= 184, "{}", points.0.capacity());
    }
}
