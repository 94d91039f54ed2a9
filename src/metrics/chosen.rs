//! Which tenants have series of their own: the noisiest, without series that come and go.

use std::cmp::Reverse;
use std::collections::HashSet;

use crate::domain::{InstanceName, Snapshot, Tenant, TenantId};

/// See the module.
#[derive(Debug, Clone)]
pub struct Chosen {
    most: usize,
    own: HashSet<(InstanceName, TenantId)>,
}

impl Chosen {
    /// Nobody yet, and never more than so many.
    pub fn new(most: usize) -> Self {
        Self { most, own: HashSet::new() }
    }

    /// The most there may be.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Whether a tenant has series of its own.
    pub fn has(&self, tenant: &Tenant) -> bool {
        self.own.contains(&(tenant.instance.clone(), tenant.id.clone()))
    }

    /// Chooses anew. Whoever is among the first half is in; whoever was in stays while it is not far behind; then whoever
    /// comes next.
    pub fn choose(&mut self, snapshot: &Snapshot) {
        let mut ranked: Vec<&Tenant> = snapshot.tenants.iter().collect();
        if ranked.len() > self.most {
            ranked.sort_by_cached_key(|tenant| {
                let noise = (tenant.noise_score.unwrap_or(0.0) * 100.0) as u64;
                let worst = (tenant.severity, noise, tenant.connections.unwrap_or(0), tenant.size_bytes.unwrap_or(0));
                (Reverse(worst), tenant.id.clone(), tenant.instance.clone())
            });
        }
        let (half, near) = (self.most / 2, self.most + self.most / 2);
        let mut order: Vec<(u8, usize)> = ranked
            .iter()
            .enumerate()
            .map(|(rank, tenant)| match rank {
                rank if rank < half => (0, rank),
                rank if rank < near && self.has(tenant) => (1, rank),
                rank => (2, rank),
            })
            .collect();
        order.sort_unstable();
        let key = |tenant: &Tenant| (tenant.instance.clone(), tenant.id.clone());
        self.own = order.into_iter().take(self.most).map(|(_, rank)| key(ranked[rank])).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Tier;

    #[test]
    fn the_noisiest_are_in_and_nobody_flaps() {
        let at = jiff::Timestamp::from_second(1).unwrap();
        let mut snapshot = Snapshot::empty(at, "test");
        for number in 0..100 {
            let id = TenantId::parse(&format!("tenant-{number:03}")).unwrap();
            let mut tenant = Tenant::named(id, Tier::Shared, InstanceName::new("shared"));
            tenant.noise_score = Some(f64::from(number));
            snapshot.tenants.push(tenant);
        }
        let mut chosen = Chosen::new(10);
        chosen.choose(&snapshot);
        let has = |chosen: &Chosen, snapshot: &Snapshot, at: usize| chosen.has(&snapshot.tenants[at]);
        assert_eq!(
            (0..100).filter(|at| has(&chosen, &snapshot, *at)).collect::<Vec<_>>(),
            (90..100).collect::<Vec<_>>()
        );
        // The last one and the first outside change places, again and again: nothing moves.
        for round in 0..6 {
            snapshot.tenants[89].noise_score = Some(90.0 + f64::from(round % 2));
            chosen.choose(&snapshot);
            assert!(has(&chosen, &snapshot, 90) && !has(&chosen, &snapshot, 89), "round {round}");
        }
        // The loudest of all is in at once.
        snapshot.tenants[3].noise_score = Some(1_000.0);
        chosen.choose(&snapshot);
        assert!(has(&chosen, &snapshot, 3));
        assert_eq!((0..100).filter(|at| has(&chosen, &snapshot, *at)).count(), 10);
    }
}
