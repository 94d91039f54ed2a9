//! WAL and I/O per tenant from what each backend counts (PostgreSQL 18 and later).
//!
//! A backend publishes what it did when a transaction is over, so a difference between two samples is of transactions that
//! ended in between. A tenant's own login or database makes all of them its own. A session of the shared account counts
//! only while it is loyal: seen several times as one tenant's, by its locks, and never as another's.

use std::collections::{HashMap, HashSet, VecDeque};

use jiff::Timestamp;

use super::window::SPAN;
use crate::domain::facts::{Activity, Wal};
use crate::domain::session::{BackendUsage, Reason};
use crate::domain::{SessionKey, TenantId};

/// How often a session of the shared account must have been seen as one tenant's.
const SIGHTINGS: u32 = 3;

/// Whom a session was seen working for.
#[derive(Debug, Clone, Default)]
struct Loyalty {
    /// `None`: nobody yet, or more than one.
    tenant: Option<TenantId>,
    fickle: bool,
    times: u32,
    usage: Option<BackendUsage>,
}

#[derive(Debug, Clone)]
struct Delta {
    at: Timestamp,
    wal: Option<u64>,
    sessions: Vec<(SessionKey, BackendUsage)>,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct BackendWindow {
    sessions: HashMap<SessionKey, Loyalty>,
    deltas: VecDeque<Delta>,
    last: Option<Wal>,
    tenants: HashMap<TenantId, BackendUsage>,
    wal: Option<u64>,
}

impl BackendWindow {
    /// Takes one poll's sessions, attributed.
    pub fn sample(&mut self, activity: &Activity) {
        let Some(wal) = activity.wal else { return };
        let now = activity.server_now;
        if self.deltas.back().is_some_and(|last| now < last.at) {
            *self = Self::default();
        }
        let mut delta = Delta { at: now, wal: self.last.and_then(|last| wal.grew(last)), sessions: Vec::new() };
        for session in &activity.sessions {
            let loyalty = self.sessions.entry(session.key).or_default();
            if let (Some(tenant), Some(reason)) = (session.attribution.strong(), session.attribution.reason()) {
                loyalty.see(tenant, reason);
            }
            let Some(usage) = session.usage else { continue };
            if let Some(grew) = loyalty.usage.replace(usage).and_then(|before| usage.grew(before))
                && grew != BackendUsage::default()
            {
                delta.sessions.push((session.key, grew));
            }
        }
        // Sessions that are gone are remembered for as long as what they did counts.
        self.deltas.push_back(delta);
        while self
            .deltas
            .front()
            .is_some_and(|oldest| now.duration_since(oldest.at).as_secs_f64() >= SPAN.as_secs_f64())
        {
            self.deltas.pop_front();
        }
        let here: HashSet<SessionKey> = activity.sessions.iter().map(|session| session.key).collect();
        let counted: HashSet<SessionKey> =
            self.deltas.iter().flat_map(|delta| delta.sessions.iter().map(|(key, _)| *key)).collect();
        self.sessions.retain(|key, _| here.contains(key) || counted.contains(key));
        self.last = Some(wal);
        self.add_up();
    }

    /// Forgets everything: the server was restarted.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The part of the server's WAL that tenants certainly wrote, of those of whom anything is known.
    pub fn wal_shares(&self) -> impl Iterator<Item = (&TenantId, f64)> {
        let all = self.wal.filter(|all| *all > 0).unwrap_or(0) as f64;
        let wrote = self.tenants.iter().filter(move |(_, own)| all > 0.0 && own.wal_bytes > 0);
        wrote.map(move |(tenant, own)| (tenant, (own.wal_bytes as f64 / all).min(1.0)))
    }

    fn add_up(&mut self) {
        // The first sample has no difference; one across a reset has none either, and then the sum is not known.
        let mut known = self.deltas.iter().skip_while(|delta| delta.wal.is_none()).map(|delta| delta.wal).peekable();
        self.wal = if known.peek().is_some() { known.sum() } else { None };
        self.tenants.clear();
        for (key, grew) in self.deltas.iter().filter(|delta| delta.wal.is_some()).flat_map(|delta| &delta.sessions) {
            if let Some(tenant) = self.sessions.get(key).and_then(Loyalty::tenant) {
                let sum = self.tenants.entry(tenant.clone()).or_default();
                sum.wal_bytes += grew.wal_bytes;
                sum.read_bytes += grew.read_bytes;
                sum.written_bytes += grew.written_bytes;
            }
        }
    }
}

impl Loyalty {
    fn see(&mut self, tenant: &TenantId, reason: Reason) {
        match &self.tenant {
            Some(known) if known != tenant => self.fickle = true,
            Some(_) => {}
            None => self.tenant = Some(tenant.clone()),
        }
        let enough = matches!(reason, Reason::LoginRole | Reason::Database);
        self.times = if enough { SIGHTINGS } else { self.times.saturating_add(1) };
    }

    fn tenant(&self) -> Option<&TenantId> {
        self.tenant.as_ref().filter(|_| !self.fickle && self.times >= SIGHTINGS)
    }
}

#[cfg(test)]
mod tests;
