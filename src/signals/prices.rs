//! What an instance of its own would cost a tenant: a class that bears its size and load, and a month's price of it from
//! `assets/rds-prices.toml`. An estimate, and called one wherever it is shown.

use crate::domain::prices::{self, ClassPrice, HOURS};

/// The part of its data that a tenant works with, and that should fit into memory.
const WORKING_SET: f64 = 0.1;

/// What data needs beside itself: room to grow, and to rewrite a table in.
const ROOM: f64 = 1.5;

/// The least that RDS gives, in GiB.
const LEAST_STORAGE: f64 = 20.0;

const GIB: f64 = 1_073_741_824.0;

/// What a tenant needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Need {
    /// Sessions busy at the same time.
    pub busy: f64,
    /// Bytes.
    pub size: Option<u64>,
    /// Writes all day: no credits to live on.
    pub steady: bool,
}

/// A class and what it costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Price {
    /// The class.
    pub class: &'static str,
    /// GiB of storage.
    pub storage_gib: f64,
    /// US dollars a month.
    pub usd_a_month: f64,
    /// Of which region.
    pub region: &'static str,
    /// Of when.
    pub as_of: &'static str,
}

/// The cheapest class that bears it, or the largest that we know of.
pub(super) fn price(need: Need) -> Option<Price> {
    let prices = prices::prices();
    let gib = need.size.map_or(0.0, |size| size as f64 / GIB);
    let bears = |class: &&ClassPrice| {
        class.vcpus >= need.busy && class.memory_gib >= gib * WORKING_SET && !(need.steady && class.burstable)
    };
    let class = prices.class.iter().find(bears).or(prices.class.last())?;
    let storage_gib = ((gib * ROOM / 10.0).ceil() * 10.0).max(LEAST_STORAGE);
    Some(Price {
        class: &class.name,
        storage_gib,
        usd_a_month: class.usd_per_hour * HOURS + storage_gib * prices.usd_per_gib_month,
        region: &prices.region,
        as_of: &prices.as_of,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_follows_from_load_size_and_constancy() {
        let need = Need { busy: 1.0, size: Some(1 << 30), steady: false };
        let class = |need| price(need).unwrap().class;
        assert_eq!(class(need), "db.t4g.medium");
        assert_eq!(class(Need { steady: true, ..need }), "db.m6g.large");
        assert_eq!(class(Need { busy: 2.5, ..need }), "db.m6g.xlarge");
        assert_eq!(class(Need { size: Some(118 << 30), steady: true, ..need }), "db.r6g.large");
        assert_eq!(class(Need { busy: 900.0, ..need }), "db.r6g.4xlarge");
        let price = price(need).unwrap();
        assert!(
            (price.storage_gib - 20.0).abs() < 1e-9 && (price.usd_a_month - (47.45 + 2.3)).abs() < 1e-6,
            "{price:?}"
        );
    }
}
