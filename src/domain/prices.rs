//! What RDS costs a month, from `assets/rds-prices.toml`: an estimate, and called one wherever it is shown; of one region, which is said
//! there, too.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::facts::cloud::{Class, Rds, STRIPED, Storage};

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
    /// Storage of the types gp2 and gp3.
    pub usd_per_gib_month: f64,
    /// What gp3 costs beyond its baseline.
    pub gp3: Beyond,
    /// Storage of the types io1 and io2.
    pub provisioned: Provisioned,
    /// Classes that are proposed, from cheap to dear.
    pub class: Vec<ClassPrice>,
    /// What a vCPU of a family costs an hour: within one, prices go by size.
    pub family: BTreeMap<String, f64>,
    /// Prices an hour of other classes.
    pub other: BTreeMap<String, f64>,
}

/// What gp3 costs beyond what every such volume has.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beyond {
    /// A read or write a second.
    pub usd_per_iops_month: f64,
    /// A MiB a second.
    pub usd_per_mibps_month: f64,
}

/// What io1 and io2 cost.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provisioned {
    /// A GiB.
    pub usd_per_gib_month: f64,
    /// A read or write a second, each that is provisioned.
    pub usd_per_iops_month: f64,
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

impl Prices {
    /// An hour of a class.
    fn hourly(&self, name: &str) -> Option<f64> {
        let listed = self.class.iter().find(|class| class.name == name).map(|class| class.usd_per_hour);
        let by_size = || {
            let family = name.strip_prefix("db.")?.split('.').next()?;
            // The smallest size of these families has two.
            let vcpus = Class::named(name)?.vcpus;
            self.family.get(family).filter(|_| vcpus >= 2.0).map(|price| price * vcpus)
        };
        listed.or_else(|| self.other.get(name).copied()).or_else(by_size)
    }

    /// A month of storage in one zone, with what is provisioned of it.
    fn storage(&self, storage: &Storage) -> Option<f64> {
        let gib = storage.allocated_gib?;
        let size = f64::from(gib);
        match &*storage.kind {
            "gp2" => Some(size * self.usd_per_gib_month),
            "gp3" => {
                let (iops, mibps) = if gib < STRIPED { (3_000, 125) } else { (12_000, 500) };
                let beyond = |given: Option<u32>, baseline| f64::from(given.unwrap_or(0).saturating_sub(baseline));
                Some(
                    size * self.usd_per_gib_month
                        + beyond(storage.iops, iops) * self.gp3.usd_per_iops_month
                        + beyond(storage.throughput_mibps, mibps) * self.gp3.usd_per_mibps_month,
                )
            }
            "io1" | "io2" => {
                let Provisioned { usd_per_gib_month, usd_per_iops_month } = self.provisioned;
                Some(size * usd_per_gib_month + f64::from(storage.iops?) * usd_per_iops_month)
            }
            _ => None,
        }
    }
}

/// What an instance costs a month on demand, in US dollars: class, storage and what is provisioned of it, all of it twice with a standby;
/// `None`: its class or its storage is not in the table.
pub fn monthly(rds: &Rds) -> Option<f64> {
    let zones = if rds.multi_az? { 2.0 } else { 1.0 };
    Some((PRICES.hourly(rds.class.raw())? * HOURS + PRICES.storage(&rds.storage)?) * zones)
}

/// The same in words: `~$255/month (us-east-1 prices)`.
pub fn told(rds: &Rds) -> String {
    monthly(rds).map_or("$—/month".to_owned(), |cost| format!("~${cost:.0}/month ({} prices)", PRICES.region))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Foreign;

    fn gp3(gib: u32) -> Storage {
        Storage { allocated_gib: Some(gib), kind: "gp3".into(), ..Storage::default() }
    }

    fn rds(class: &str, multi_az: bool, storage: Storage) -> Rds {
        Rds { class: Foreign::from(class), multi_az: Some(multi_az), storage, ..Rds::default() }
    }

    #[test]
    fn the_table_is_read_and_goes_from_cheap_to_dear() {
        assert!(PRICES.class.len() >= 8 && PRICES.usd_per_gib_month > 0.0, "{:?}", *PRICES);
        assert!(PRICES.class.is_sorted_by(|one, other| one.usd_per_hour < other.usd_per_hour));
    }

    #[test]
    fn a_standby_doubles_it_and_an_unknown_class_has_no_price() {
        let one = monthly(&rds("db.m6g.large", false, gp3(100))).unwrap();
        assert!((one - (0.159 * 730.0 + 11.5)).abs() < 1e-9, "{one}");
        assert_eq!(monthly(&rds("db.m6g.large", true, gp3(100))), Some(one * 2.0));
        assert!(told(&rds("db.m6g.large", false, gp3(100))).contains("~$128/month (us-east-1 prices)"));
        for unknown in ["db.x9.huge", "db.m6g.medium", "db.r5.large.tpc1.mem2x", "db.m7i.large", ""] {
            assert_eq!(monthly(&rds(unknown, false, gp3(100))), None, "{unknown}");
        }
    }

    /// Prices that the price list has for these sizes, against what a vCPU of the family makes of them.
    #[test]
    fn prices_go_by_size_within_a_family() {
        for (class, listed) in [
            ("db.m5.12xlarge", 4.272),
            ("db.r5.24xlarge", 12.0),
            ("db.m7g.2xlarge", 0.674),
            ("db.r7g.xlarge", 0.478),
            ("db.r7g.2xlarge", 0.956),
            ("db.t3.medium", 0.072),
        ] {
            let hourly = PRICES.hourly(class).unwrap();
            assert!((hourly - listed).abs() < 0.001 * listed.max(1.0), "{class}: {hourly}");
        }
        // What is proposed is listed by itself, and says the same.
        for class in PRICES.class.iter().filter(|class| !class.burstable) {
            let family = class.name.split('.').nth(1).unwrap();
            let by_size = PRICES.family[family] * class.vcpus;
            assert!((by_size - class.usd_per_hour).abs() < 0.001, "{}: {by_size}", class.name);
        }
    }

    #[test]
    fn storage_costs_what_its_type_and_what_is_provisioned_cost() {
        let cost = |storage: &Storage| PRICES.storage(storage);
        let near = |one: Option<f64>, other: f64| one.is_some_and(|one| (one - other).abs() < 1e-6);
        let with = |storage: Storage, iops, mibps| Storage { iops: Some(iops), throughput_mibps: mibps, ..storage };
        assert!(near(cost(&gp3(100)), 11.5) && near(cost(&with(gp3(100), 3_000, Some(125))), 11.5));
        assert!(near(cost(&with(gp3(200), 6_000, Some(250))), 23.0 + 60.0 + 10.0));
        assert!(near(cost(&with(gp3(1_000), 12_000, Some(500))), 115.0), "the baseline of striped storage");
        let io = |kind: &str, iops| Storage { kind: kind.into(), iops, ..gp3(100) };
        assert!(near(cost(&io("io1", Some(10_000))), 1_012.5) && near(cost(&io("io2", Some(1_000))), 112.5));
        assert_eq!(cost(&io("io1", None)), None, "what it has is not told");
        assert_eq!((cost(&io("standard", None)), cost(&Storage::default())), (None, None));
    }
}
