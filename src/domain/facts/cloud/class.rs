//! What an instance class has, by its name: AWS's own tables follow a rule, with few exceptions.
//!
//! Sources: "DB instance classes" of the Amazon RDS User Guide (vCPUs and memory), and "Burstable performance instances" of the
//! Amazon EC2 User Guide (credits: one is one vCPU at 100% for a minute; what is earned in 24 hours is all that can be kept).

use crate::domain::quantity::GIB;

/// What a class has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Class {
    /// vCPUs.
    pub vcpus: f64,
    /// Memory, in bytes.
    pub memory: f64,
    /// Where its CPU lives on credits.
    pub credits: Option<Credits>,
}

/// CPU credits of a burstable class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Credits {
    /// Earned in an hour.
    pub an_hour: f64,
    /// The most that can be kept.
    pub most: f64,
    /// Without credits it goes on, for money: RDS runs T3 and T4g in unlimited mode. T2 falls to its baseline.
    pub unlimited: bool,
}

/// Sizes from small to large, as far as every family of the fifth generation and later has them.
const SIZES: [&str; 9] = ["micro", "small", "medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge"];

impl Class {
    /// The class of that name (`db.r6g.xlarge`); `None` where nothing is known of it.
    pub fn named(name: &str) -> Option<Self> {
        let (family, size) = parts(name)?;
        if matches!(family, "t2" | "t3" | "t4g") {
            return burstable(family, size);
        }
        let vcpus = match size {
            "medium" => 1.0,
            "large" => 2.0,
            "xlarge" => 4.0,
            _ => 4.0 * size.strip_suffix("xlarge")?.parse::<f64>().ok().filter(|times| *times >= 1.0)?,
        };
        Some(Self { vcpus, memory: vcpus * gib_a_vcpu(family)? * GIB, credits: None })
    }

    /// The next larger class of the same family; `None` where there may be none.
    pub fn larger(name: &str) -> Option<String> {
        let (family, size) = parts(name)?;
        let at = SIZES.iter().position(|known| *known == size)?;
        let burstable = family.starts_with('t');
        // Older generations have sizes of their own.
        let generation = family.chars().find_map(|char| char.to_digit(10))?;
        let last = if burstable { "2xlarge" } else { "16xlarge" };
        if size == last || (!burstable && generation < 5) {
            return None;
        }
        SIZES.get(at + 1).map(|next| format!("db.{family}.{next}"))
    }
}

fn parts(name: &str) -> Option<(&str, &str)> {
    let (family, size) = name.strip_prefix("db.")?.split_once('.')?;
    (!size.contains('.')).then_some((family, size))
}

fn gib_a_vcpu(family: &str) -> Option<f64> {
    Some(match family {
        "r3" | "r4" => 7.625,
        "x1" => 15.25,
        "x1e" => 30.5,
        "x2g" | "x2idn" => 16.0,
        "x2iedn" | "x2iezn" => 32.0,
        _ if family.starts_with('m') => 4.0,
        _ if family.starts_with('r') || family.starts_with('z') => 8.0,
        _ if family.starts_with('c') => 2.0,
        _ => return None,
    })
}

fn burstable(family: &str, size: &str) -> Option<Class> {
    let old = family == "t2";
    let (vcpus, gib, an_hour) = match (size, old) {
        ("micro", true) => (1.0, 1.0, 6.0),
        ("small", true) => (1.0, 2.0, 12.0),
        ("xlarge", true) => (4.0, 16.0, 54.0),
        ("2xlarge", true) => (8.0, 32.0, 81.6),
        ("micro", false) => (2.0, 1.0, 12.0),
        ("small", false) => (2.0, 2.0, 24.0),
        ("medium", _) => (2.0, 4.0, 24.0),
        ("large", _) => (2.0, 8.0, 36.0),
        ("xlarge", false) => (4.0, 16.0, 96.0),
        ("2xlarge", false) => (8.0, 32.0, 192.0),
        _ => return None,
    };
    let credits = Credits { an_hour, most: an_hour * 24.0, unlimited: !old };
    Some(Class { vcpus, memory: gib * GIB, credits: Some(credits) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_class_has() {
        let of = |name: &str| Class::named(name).map(|class| (class.vcpus, class.memory / GIB));
        assert_eq!(of("db.m6g.large"), Some((2.0, 8.0)));
        assert_eq!(of("db.r6g.4xlarge"), Some((16.0, 128.0)));
        assert_eq!(of("db.r7g.medium"), Some((1.0, 8.0)));
        assert_eq!(of("db.x2iedn.xlarge"), Some((4.0, 128.0)));
        assert_eq!(of("db.t4g.micro"), Some((2.0, 1.0)));
        assert_eq!(of("db.t2.micro"), Some((1.0, 1.0)));
        for odd in ["db.serverless", "db.r6g.metal", "m6g.large", "db.q9.large", "db.r5.large.tpc1.mem2x", ""] {
            assert_eq!(of(odd), None, "{odd}");
        }
    }

    #[test]
    fn credits_are_what_a_day_earns() {
        let credits = |name: &str| Class::named(name).and_then(|class| class.credits);
        assert_eq!(credits("db.t3.medium"), Some(Credits { an_hour: 24.0, most: 576.0, unlimited: true }));
        assert_eq!(credits("db.t2.medium"), Some(Credits { an_hour: 24.0, most: 576.0, unlimited: false }));
        assert_eq!(credits("db.m6g.large"), None);
    }

    #[test]
    fn the_next_class_is_named_where_there_is_one() {
        let larger = |name| Class::larger(name);
        assert_eq!(larger("db.t3.medium").as_deref(), Some("db.t3.large"));
        assert_eq!(larger("db.r6g.4xlarge").as_deref(), Some("db.r6g.8xlarge"));
        assert_eq!((larger("db.t3.2xlarge"), larger("db.r4.large"), larger("db.r6g.16xlarge")), (None, None, None));
    }
}
