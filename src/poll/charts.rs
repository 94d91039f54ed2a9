//! The charts of one instance: a point a minute of every tenant, and finer ones of those that are busiest.
//!
//! Ten thousand tenants in fine points would be half a gigabyte; whom anybody looks at is among the few that do something.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

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

/// The charts of one tenant.
#[derive(Debug, Clone)]
struct Track {
    coarse: Arc<Series<TenantPoint>>,
    /// Of the busiest.
    fine: Option<Arc<Series<TenantPoint>>>,
    /// Of the newest sample, and of the minute before it.
    sample: Counted,
    minute: Counted,
}

impl Default for Track {
    fn default() -> Self {
        let coarse = Arc::new(Series::of(COARSE));
        Self { coarse, fine: None, sample: Counted::default(), minute: Counted::default() }
    }
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

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Charts {
    tracks: HashMap<TenantId, Track>,
    fine: usize,
    minute: Open,
    series: Arc<Series<InstancePoint>>,
    bucket: Open,
    connections: u64,
    active: u64,
    blocked: u64,
}

impl Charts {
    /// Takes one poll's sessions; `rates` says what a tenant's tables do now, `transactions` what the instance does.
    pub fn sample(
        &mut self,
        now: Timestamp,
        every: Duration,
        activity: &Activity,
        tenants: &[TenantId],
        rates: impl Fn(&TenantId) -> Rates,
        transactions: Option<f64>,
    ) {
        self.connections += activity.sessions.len() as u64 + u64::from(activity.own);
        for session in &activity.sessions {
            self.active += u64::from(session.is_busy());
            self.blocked += u64::from(session.blocking.is_some());
            self.count(session);
        }
        let full = self.minute.take(now, COARSE);
        let width = every.max(FINE);
        for (id, track) in &mut self.tracks {
            let sample = std::mem::take(&mut track.sample);
            track.minute.add(sample);
            if let Some(fine) = &mut track.fine {
                let fine = Arc::make_mut(fine);
                fine.set_width(width);
                fine.push(now, sample.point(1, rates(id)));
            }
        }
        if full {
            self.close_minute(now, tenants, rates);
        }
        if self.bucket.take(now, BUCKET) || self.series.is_empty() {
            self.close_bucket(now, transactions);
        }
    }

    /// The charts of a tenant.
    pub fn of(&self, tenant: &TenantId) -> Arc<Series<TenantPoint>> {
        let track = self.tracks.get(tenant);
        track.map(|track| track.fine.as_ref().unwrap_or(&track.coarse).clone()).unwrap_or_default()
    }

    /// The charts of the instance.
    pub fn instance(&self) -> Arc<Series<InstancePoint>> {
        self.series.clone()
    }

    /// Forgets tenants that are gone.
    pub fn retain(&mut self, exists: impl Fn(&TenantId) -> bool) {
        self.tracks.retain(|id, _| exists(id));
        self.fine = self.tracks.values().filter(|track| track.fine.is_some()).count();
    }

    fn count(&mut self, session: &Session) {
        let Some(tenant) = session.attribution.tenant() else { return };
        if !self.tracks.contains_key(tenant) {
            self.tracks.insert(tenant.clone(), Track::default());
        }
        let Some(track) = self.tracks.get_mut(tenant) else { return };
        if track.fine.is_none() && self.fine < BUSIEST {
            track.fine = Some(Arc::new(track.coarse.refined(FINE)));
            self.fine += 1;
        }
        track.sample.add(Counted {
            connections: 1,
            active: u64::from(session.is_busy()),
            waiting: u64::from(session.is_waiting()),
        });
    }

    /// Ends a minute: a point for every tenant, also of those without a session; then the busiest are chosen anew.
    fn close_minute(&mut self, now: Timestamp, tenants: &[TenantId], rates: impl Fn(&TenantId) -> Rates) {
        for id in tenants {
            if !self.tracks.contains_key(id) {
                self.tracks.insert(id.clone(), Track::default());
            }
        }
        let mut heat: Vec<(f32, TenantId)> = Vec::with_capacity(self.tracks.len());
        for (id, track) in &mut self.tracks {
            let point = std::mem::take(&mut track.minute).point(self.minute.samples, rates(id));
            Arc::make_mut(&mut track.coarse).push(now, point);
            // Who has detail keeps it against an equal: series must not come and go.
            let kept = if track.fine.is_some() { 1.5 } else { 1.0 };
            let written = point.rows_written.unwrap_or(0.0) / 1_000.0;
            heat.push(((point.active + point.waiting + point.connections / 100.0 + written) * kept, id.clone()));
        }
        self.minute = Open { began: Some(now), samples: 0 };
        if heat.len() > BUSIEST {
            heat.select_nth_unstable_by(BUSIEST - 1, |a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
            heat.truncate(BUSIEST);
        }
        let busiest: HashSet<TenantId> = heat.into_iter().map(|(_, id)| id).collect();
        for (id, track) in &mut self.tracks {
            match (&track.fine, busiest.contains(id)) {
                (None, true) => track.fine = Some(Arc::new(track.coarse.refined(FINE))),
                (Some(_), false) => track.fine = None,
                _ => {}
            }
        }
        self.fine = busiest.len();
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
        let second = |second: i64| Timestamp::from_second(1_000_000 + second).unwrap();
        let activity =
            |at: i64| Activity { server_now: second(at), sessions: Vec::new(), own: 1, sees_all: true, wal: None };
        let loud = |id: &TenantId| Some((if id.as_str() >= "tenant-09000" { 50_000.0 } else { 0.0 }, Some(1.0)));
        for at in 0..=1_000 {
            charts.sample(second(at), FINE, &activity(at), &tenants, loud, None);
        }
        let fine = charts.tracks.values().filter(|track| track.fine.is_some()).count();
        assert_eq!((fine, charts.tracks.len(), charts.fine), (BUSIEST, 10_000, BUSIEST));
        assert_eq!(charts.of(&tenants[0]).width(), COARSE);
        assert_eq!(charts.of(&tenants[0]).len(), 15);
        let detailed: Vec<&TenantId> = tenants.iter().filter(|id| charts.of(id).width() == FINE).collect();
        assert!(detailed.iter().all(|id| id.as_str() >= "tenant-09000"), "{detailed:?}");
        assert!(charts.of(detailed[0]).len() > 800);
        // What it takes: 256 in seconds, all in minutes.
        let point = size_of::<(Timestamp, TenantPoint)>();
        let bytes: usize = charts.tracks.values().map(|track| track.coarse.len() * point).sum::<usize>()
            + detailed.iter().map(|id| charts.of(id).len() * point).sum::<usize>();
        assert!(bytes < 25_000_000, "{bytes} bytes of points");
    }
}
