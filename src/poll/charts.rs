//! The charts of one instance: a point a minute of every tenant, and finer ones of those that are busiest.
//!
//! Ten thousand tenants in fine points would be half a gigabyte; whom anybody looks at is among the few that do something.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::chart::{Chart, Minutes};
use crate::domain::facts::Activity;
use crate::domain::history::{BUCKET, COARSE, FINE, InstancePoint, Series, TenantPoint};
use crate::domain::{Session, TenantId};

/// How many tenants of an instance are kept in fine points.
const BUSIEST: usize = 256;

/// Rows written and blocks read a second of a tenant.
type Rates = Option<(f64, Option<f64>)>;

/// Sessions counted over some samples.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    connections: u64,
    active: u64,
    waiting: u64,
}

impl Counted {
    fn add(&mut self, other: Self) {
        self.connections += other.connections;
        self.active += other.active;
        self.waiting += other.waiting;
    }

    fn point(self, samples: u64, rates: Rates) -> TenantPoint {
        let mean = |sum: u64| sum as f32 / samples.max(1) as f32;
        TenantPoint {
            connections: mean(self.connections),
            active: mean(self.active),
            waiting: mean(self.waiting),
            rows_written: rates.map(|(rows, _)| rows as f32),
            blocks_read: rates.and_then(|(_, blocks)| blocks).map(|blocks| blocks as f32),
        }
    }
}

/// What is being counted of one tenant.
#[derive(Debug, Clone, Default)]
struct Track {
    /// Of the busiest.
    fine: Option<Arc<Series<TenantPoint>>>,
    /// Of the newest sample, and of the minute before it.
    sample: Counted,
    minute: Counted,
}

/// A stretch of samples that is being filled.
#[derive(Debug, Clone, Copy, Default)]
struct Open {
    began: Option<Timestamp>,
    samples: u64,
}

impl Open {
    /// Takes a sample; says whether the stretch is full.
    fn take(&mut self, now: Timestamp, width: Duration) -> bool {
        // A clock that stepped back must not keep a bucket open until it has caught up.
        let began = self.began.filter(|began| *began <= now).unwrap_or(now);
        self.began = Some(began);
        self.samples += 1;
        now.duration_since(began).as_secs_f64() >= width.as_secs_f64() - 0.5
    }
}

/// See the module. Tenants are found by their place among those of the instance.
#[derive(Debug, Clone, Default)]
pub(super) struct Charts {
    tracks: Vec<Track>,
    fine: usize,
    /// A point of everybody for each of the last minutes.
    minutes: Arc<Minutes>,
    minute: Open,
    series: Arc<Series<InstancePoint>>,
    bucket: Open,
    connections: u64,
    active: u64,
    blocked: u64,
}

impl Charts {
    /// Takes one poll's sessions; `place` says where a tenant stands, `rates` what the tables of the tenant at a place do
    /// now, `transactions` what the instance does.
    pub fn sample(
        &mut self,
        now: Timestamp,
        every: Duration,
        activity: &Activity,
        place: impl Fn(&TenantId) -> Option<usize>,
        rates: impl Fn(usize) -> Rates,
        transactions: Option<f64>,
    ) {
        self.connections += activity.sessions.len() as u64 + u64::from(activity.own);
        for session in &activity.sessions {
            self.active += u64::from(session.is_busy());
            self.blocked += u64::from(session.blocking.is_some());
            if let Some(place) = session.attribution.tenant().and_then(&place) {
                self.count(place, session);
            }
        }
        let full = self.minute.take(now, COARSE);
        let width = every.max(FINE);
        for (place, track) in self.tracks.iter_mut().enumerate() {
            let sample = std::mem::take(&mut track.sample);
            track.minute.add(sample);
            if let Some(fine) = &mut track.fine {
                let fine = Arc::make_mut(fine);
                fine.set_width(width);
                fine.push(now, sample.point(1, rates(place)));
            }
        }
        if full {
            self.close_minute(now, rates);
        }
        if self.bucket.take(now, BUCKET) || self.series.is_empty() {
            self.close_bucket(now, transactions);
        }
    }

    /// The charts of the tenant at a place.
    pub fn of(&self, place: usize) -> Chart {
        let fine = self.tracks.get(place).and_then(|track| track.fine.clone());
        fine.map_or_else(|| Chart::Shared(Arc::clone(&self.minutes), place), Chart::Own)
    }

    /// The charts of the instance.
    pub fn instance(&self) -> Arc<Series<InstancePoint>> {
        self.series.clone()
    }

    /// Tenants came or went: `before` are those of until now, `after` those of from now on, both sorted.
    pub fn settle(&mut self, before: &[TenantId], after: &[TenantId]) {
        let mut rest = before.iter().enumerate().peekable();
        let mut stood = |id: &TenantId| {
            while rest.next_if(|(_, other)| *other < id).is_some() {}
            rest.next_if(|(_, other)| *other == id).map(|(place, _)| place)
        };
        let places: Vec<Option<usize>> = after.iter().map(&mut stood).collect();
        let track = |place: &Option<usize>| place.and_then(|place| self.tracks.get_mut(place)).map(std::mem::take);
        self.tracks = places.iter().map(track).map(Option::unwrap_or_default).collect();
        self.minutes = Arc::new(self.minutes.settled(&places));
        self.fine = self.tracks.iter().filter(|track| track.fine.is_some()).count();
    }

    fn count(&mut self, place: usize, session: &Session) {
        let coarse = || Chart::Shared(Arc::clone(&self.minutes), place);
        let Some(track) = self.tracks.get_mut(place) else { return };
        if track.fine.is_none() && self.fine < BUSIEST {
            track.fine = Some(Arc::new(coarse().refined(FINE)));
            self.fine += 1;
        }
        track.sample.add(Counted {
            connections: 1,
            active: u64::from(session.is_busy()),
            waiting: u64::from(session.is_waiting()),
        });
    }

    /// Ends a minute: a point for every tenant, also of those without a session; then the busiest are chosen anew.
    fn close_minute(&mut self, now: Timestamp, rates: impl Fn(usize) -> Rates) {
        let mut heat: Vec<(f32, usize)> = Vec::with_capacity(self.tracks.len());
        let points = self.tracks.iter_mut().enumerate().map(|(place, track)| {
            let point = std::mem::take(&mut track.minute).point(self.minute.samples, rates(place));
            // Who has detail keeps it against an equal: series must not come and go.
            let kept = if track.fine.is_some() { 1.5 } else { 1.0 };
            let written = point.rows_written.unwrap_or(0.0) / 1_000.0;
            heat.push(((point.active + point.waiting + point.connections / 100.0 + written) * kept, place));
            Some(point)
        });
        Arc::make_mut(&mut self.minutes).push(now, points);
        self.minute = Open { began: Some(now), samples: 0 };
        if heat.len() > BUSIEST {
            heat.select_nth_unstable_by(BUSIEST - 1, |a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        }
        for (rank, (_, place)) in heat.into_iter().enumerate() {
            let coarse = || Chart::Shared(Arc::clone(&self.minutes), place);
            let Some(track) = self.tracks.get_mut(place) else { continue };
            match (&track.fine, rank < BUSIEST) {
                (None, true) => track.fine = Some(Arc::new(coarse().refined(FINE))),
                (Some(_), false) => track.fine = None,
                _ => {}
            }
        }
        self.fine = self.tracks.len().min(BUSIEST);
    }

    fn close_bucket(&mut self, now: Timestamp, transactions: Option<f64>) {
        let mean = |sum: u64| sum as f32 / self.bucket.samples.max(1) as f32;
        let point = InstancePoint {
            connections: mean(self.connections),
            active: mean(self.active),
            blocked: mean(self.blocked),
            transactions: transactions.map(|rate| rate as f32),
        };
        Arc::make_mut(&mut self.series).push(now, point);
        (self.connections, self.active, self.blocked) = (0, 0, 0);
        self.bucket = Open { began: Some(now), samples: 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_tenants_have_minutes_and_the_busiest_seconds() {
        let tenants: Vec<TenantId> =
            (0..10_000).map(|at| TenantId::parse(&format!("tenant-{at:05}")).unwrap()).collect();
        let mut charts = Charts::default();
        charts.settle(&[], &tenants);
        let second = |second: i64| Timestamp::from_second(1_000_000 + second).unwrap();
        let activity =
            |at: i64| Activity { server_now: second(at), sessions: Vec::new(), own: 1, sees_all: true, wal: None };
        let loud = |place: usize| Some((if place >= 9_000 { 50_000.0 } else { 0.0 }, Some(1.0)));
        let nowhere = |_: &TenantId| None;
        for at in 0..=1_000 {
            charts.sample(second(at), FINE, &activity(at), nowhere, loud, None);
        }
        let fine = charts.tracks.iter().filter(|track| track.fine.is_some()).count();
        assert_eq!((fine, charts.tracks.len(), charts.fine), (BUSIEST, 10_000, BUSIEST));
        assert_eq!(charts.of(0).width(), COARSE);
        assert_eq!(charts.of(0).iter().count(), 15);
        let detailed: Vec<usize> = (0..tenants.len()).filter(|place| charts.of(*place).width() == FINE).collect();
        assert!(detailed.iter().all(|place| *place >= 9_000), "{detailed:?}");
        assert!(charts.of(detailed[0]).iter().count() > 800);
        // What it takes: 256 in seconds, all in minutes.
        let fine = charts.tracks.iter().filter_map(|track| track.fine.as_ref()).map(|series| series.held());
        let bytes = tenants.len() * 15 * size_of::<Option<TenantPoint>>()
            + fine.sum::<usize>() * size_of::<(Timestamp, TenantPoint)>();
        assert!(bytes < 17_000_000, "{bytes} bytes of points");
    }

    #[test]
    fn charts_stay_with_their_tenants_when_others_come_and_go() {
        let id = |text: &str| TenantId::parse(text).unwrap();
        let (acme, globex, hooli, stark) = (id("acme"), id("globex"), id("hooli"), id("stark"));
        let mut charts = Charts::default();
        let (before, after) = ([acme, globex.clone(), stark.clone()], [globex, hooli, stark]);
        charts.settle(&[], &before);
        let point = |place: u8| Some(TenantPoint { connections: f32::from(place), ..TenantPoint::default() });
        Arc::make_mut(&mut charts.minutes).push(Timestamp::from_second(60).unwrap(), (0..3).map(point));
        charts.settle(&before, &after);
        let seen = |place: usize| charts.of(place).last().map(|(_, point)| point.connections);
        assert_eq!([seen(0), seen(1), seen(2)], [Some(1.0), None, Some(2.0)]);
    }
}
