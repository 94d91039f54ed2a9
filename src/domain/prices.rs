//! What RDS costs a month, from `assets/rds-prices.toml`: an estimate, and called one wherever it is shown.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::facts::cloud::Rds;

/// Hours of a month.
pub const HOURS: f64 = 730.0;

/// The table of prices.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Of which region.
    pub region: String,
    /// Of when.
    pub as_of: String,
    /// Storage.
    pub usd_per_gib_month: f64,
    /// Classes, from cheap to dear.
    pub class: Vec<ClassPrice>,
    /// Prices an hour of other classes.
    pub other: BTreeMap<String, f64>,
}

/// What a class costs and has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassPrice {
    /// `db.m6g.large`
    pub name: String,
    /// vCPUs.
    pub vcpus: f64,
    /// Memory.
    pub memory_gib: f64,
    /// On demand, one zone.
    pub usd_per_hour: f64,
    /// Its CPU lives on credits.
    #[serde(default)]
    pub burstable: bool,
}

/// A test sees to it that the table can be read; without it nothing costs anything, and nothing is said.
static PRICES: LazyLock<Prices> =
    LazyLock::new(|| toml::from_str(include_str!("../../assets/rds-prices.toml")).unwrap_or_default());

/// The table of prices.
pub fn prices() -> &'static Prices {
    &PRICES
}

/// What an instance costs a month on demand, in US dollars: class and storage, twice with a standby; `None`: its class is not
/// in the table.
pub fn monthly(rds: &Rds) -> Option<f64> {
    let name = rds.class.raw();
    let known = PRICES.class.iter().find(|class| class.name == name).map(|class| class.usd_per_hour);
    let hourly = known.or_else(|| PRICES.other.get(name).copied())?;
    let storage = f64::from(rds.storage.allocated_gib?) * PRICES.usd_per_gib_month;
    let zones = if rds.multi_az? { 2.0 } else { 1.0 };
    Some((hourly * HOURS + storage) * zones)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Foreign;
    use crate::domain::facts::cloud::Storage;

    #[test]
    fn the_table_is_read_and_goes_from_cheap_to_dear() {
        assert!(PRICES.class.len() >= 8 && PRICES.usd_per_gib_month > 0.0, "{:?}", *PRICES);
        assert!(PRICES.class.is_sorted_by(|one, other| one.usd_per_hour < other.usd_per_hour));
    }

    #[test]
    fn a_standby_doubles_it_and_an_unknown_class_has_no_price() {
        let rds = |class: &str, multi_az| Rds {
            class: Foreign::from(class),
            multi_az: Some(multi_az),
            storage: Storage { allocated_gib: Some(100), ..Storage::default() },
            ..Rds::default()
        };
        let one = monthly(&rds("db.m6g.large", false)).unwrap();
        assert!((one - (0.159 * 730.0 + 11.5)).abs() < 1e-9, "{one}");
        assert_eq!(monthly(&rds("db.m6g.large", true)), Some(one * 2.0));
        assert!(monthly(&rds("db.t3.medium", false)).is_some());
        assert_eq!(monthly(&rds("db.x9.huge", false)), None);
    }
}
