//! How many reads and writes a second storage gives, by its type and size.
//!
//! Source: "Amazon RDS DB instance storage" of the Amazon RDS User Guide, its tables for RDS for PostgreSQL.

use super::Storage;

/// Reads and writes a second that storage gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Iops {
    /// For good.
    pub steady: f64,
    /// While I/O credits last (gp2); `None`: there is no such thing.
    pub burst: Option<f64>,
}

/// From this size on RDS stripes PostgreSQL's storage over four volumes, in GiB.
pub const STRIPED: u32 = 400;

/// Below this gp2 has no credits left to burst with, in per cent.
const SPENT: f64 = 1.0;

impl Iops {
    /// What it gives now, with so many per cent of its I/O credits left; `None`: those are not known, and matter.
    pub fn now(self, credits: Option<f64>) -> Option<f64> {
        match (self.burst, credits) {
            (None, _) => Some(self.steady),
            (Some(_), Some(left)) if left <= SPENT => Some(self.steady),
            (Some(burst), Some(_)) => Some(burst),
            (Some(_), None) => None,
        }
    }
}

impl Storage {
    /// What it gives; `None` where that is not known.
    pub fn gives(&self) -> Option<Iops> {
        let steady = |steady| Iops { steady, burst: None };
        match &*self.kind {
            // RDS tells what was provisioned; without that, or smaller, it is what every such volume has.
            "gp3" => {
                let usual = || self.allocated_gib.map(|gib| if gib < STRIPED { 3_000.0 } else { 12_000.0 });
                self.iops.map(f64::from).filter(|iops| *iops > 0.0).or_else(usual).map(steady)
            }
            "io1" | "io2" => self.iops.map(f64::from).filter(|iops| *iops > 0.0).map(steady),
            // 3 IOPS a GiB, 100 at the least; 16,000 a volume at the most, and four volumes behind one that is striped.
            "gp2" => self.allocated_gib.map(|gib| {
                let most = if gib < STRIPED { 16_000.0 } else { 64_000.0 };
                let burst = if gib < STRIPED { 3_000.0 } else { 12_000.0 };
                let steady = (f64::from(gib) * 3.0).clamp(100.0, most);
                Iops { steady, burst: Some(burst).filter(|burst| *burst > steady) }
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_credits_bursts() {
        let gp2 = Iops { steady: 300.0, burst: Some(3_000.0) };
        assert_eq!([Some(60.0), Some(1.0), None].map(|left| gp2.now(left)), [Some(3_000.0), Some(300.0), None]);
        assert_eq!(Iops { burst: None, ..gp2 }.now(None), Some(300.0));
    }

    #[test]
    fn every_type_gives_what_its_table_says() {
        let gives = |kind: &str, gib: u32, iops: Option<u32>| {
            let storage = Storage { kind: kind.into(), allocated_gib: Some(gib), iops, ..Storage::default() };
            storage.gives().map(|it| (it.steady, it.burst))
        };
        assert_eq!(gives("gp3", 100, None), Some((3_000.0, None)));
        assert_eq!(gives("gp3", 400, None), Some((12_000.0, None)));
        assert_eq!(gives("gp3", 400, Some(20_000)), Some((20_000.0, None)));
        assert_eq!(gives("io2", 100, Some(40_000)), Some((40_000.0, None)));
        assert_eq!(gives("io1", 100, None), None);
        assert_eq!(gives("gp2", 20, None), Some((100.0, Some(3_000.0))));
        assert_eq!(gives("gp2", 399, None), Some((1_197.0, Some(3_000.0))));
        assert_eq!(gives("gp2", 400, None), Some((1_200.0, Some(12_000.0))));
        assert_eq!(gives("gp2", 4_000, None), Some((12_000.0, None)));
        assert_eq!(gives("gp2", 65_536, None), Some((64_000.0, None)));
        assert_eq!(gives("standard", 100, None), None);
    }
}
