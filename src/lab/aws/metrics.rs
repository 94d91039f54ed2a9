//! What was measured, in the terms of CloudWatch's namespace `AWS/RDS`: names, units, and only what an instance of that
//! class and storage has.

use super::classes::{Class, class};
use super::core::Core;
use super::machine::Machine;
use super::series::{Point, Raw, Series};
use super::state::{Instance, InstanceShape};

/// The namespace.
pub const NAMESPACE: &str = "AWS/RDS";
/// The dimension that names an instance.
pub const DIMENSION: &str = "DBInstanceIdentifier";

const GIB: f64 = 1_073_741_824.0;

/// All metrics, with their units.
pub const METRICS: [(&str, &str); 22] = [
    ("DatabaseConnections", "Count"),
    ("CPUUtilization", "Percent"),
    ("FreeableMemory", "Bytes"),
    ("FreeStorageSpace", "Bytes"),
    ("ReadLatency", "Seconds"),
    ("WriteLatency", "Seconds"),
    ("ReadIOPS", "Count/Second"),
    ("WriteIOPS", "Count/Second"),
    ("ReadThroughput", "Bytes/Second"),
    ("WriteThroughput", "Bytes/Second"),
    ("DiskQueueDepth", "Count"),
    ("SwapUsage", "Bytes"),
    ("BurstBalance", "Percent"),
    ("EBSIOBalance%", "Percent"),
    ("EBSByteBalance%", "Percent"),
    ("CPUCreditBalance", "Count"),
    ("MaximumUsedTransactionIDs", "Count"),
    ("OldestReplicationSlotLag", "Bytes"),
    ("TransactionLogsDiskUsage", "Bytes"),
    ("DBLoad", "None"),
    ("DBLoadCPU", "None"),
    ("DBLoadNonCPU", "None"),
];

/// The unit of a metric.
pub fn unit(name: &str) -> Option<&'static str> {
    METRICS.iter().find(|(known, _)| *known == name).map(|(_, unit)| *unit)
}

/// Whether an instance can have this metric at all.
fn can_have(name: &str, shape: &InstanceShape, class: &Class) -> bool {
    match name {
        "CPUCreditBalance" => class.credits.is_some(),
        "BurstBalance" => shape.storage_type == "gp2" && shape.storage < 1_000,
        "EBSIOBalance%" | "EBSByteBalance%" => class.ebs_burst,
        "DBLoad" | "DBLoadCPU" | "DBLoadNonCPU" => shape.insights,
        _ => unit(name).is_some(),
    }
}

/// The metrics that an instance has by now.
pub fn of(instance: &Instance) -> Vec<&'static str> {
    let (Some(machine), Some(class)) = (&instance.machine, class(&instance.shape.class)) else { return Vec::new() };
    let kept = machine.kept();
    let all = METRICS.iter().map(|(name, _)| *name).filter(|name| can_have(name, &instance.shape, class));
    all.filter(|name| kept.series.first(base(name)).is_some()).collect()
}

/// The measure without which there is no such metric.
fn base(name: &str) -> Raw {
    match name {
        "CPUUtilization" | "CPUCreditBalance" => Raw::Cores,
        "FreeableMemory" => Raw::MemoryUsed,
        "FreeStorageSpace" => Raw::StorageUsed,
        "ReadLatency" => Raw::ReadSeconds,
        "WriteLatency" => Raw::WriteSeconds,
        "ReadIOPS" | "ReadThroughput" => Raw::Reads,
        "WriteIOPS" | "WriteThroughput" | "DiskQueueDepth" | "BurstBalance" | "EBSIOBalance%" | "EBSByteBalance%" => {
            Raw::Writes
        }
        "SwapUsage" => Raw::Swap,
        "MaximumUsedTransactionIDs" => Raw::XidAge,
        "OldestReplicationSlotLag" => Raw::SlotLag,
        "TransactionLogsDiskUsage" => Raw::Wal,
        "DBLoad" | "DBLoadNonCPU" => Raw::Load,
        "DBLoadCPU" => Raw::LoadCpu,
        _ => Raw::Connections,
    }
}

/// An instance's metric by the minute.
#[derive(Debug)]
pub struct Metric<'a> {
    name: &'a str,
    shape: &'a InstanceShape,
    class: &'a Class,
    series: &'a Series,
    past: Option<u64>,
    /// What is left of a bucket at the end of each minute since it was first looked at.
    bucket: Option<(i64, Vec<f64>)>,
}

/// Asks something of a metric of an instance that has it.
pub fn with<T>(core: &Core, instance: &Instance, name: &str, ask: impl FnOnce(&Metric) -> T) -> Option<T> {
    let class = class(&instance.shape.class)?;
    let machine: &Machine = instance.machine.as_ref()?;
    if !can_have(name, &instance.shape, class) {
        return None;
    }
    let kept = machine.kept();
    kept.series.first(base(name))?;
    let seed = instance.resource.bytes().fold(7_u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let past = core.past.then_some(seed);
    let mut metric = Metric { name, shape: &instance.shape, class, series: &kept.series, past, bucket: None };
    metric.bucket = metric.bucket();
    Some(ask(&metric))
}

/// What holds so much, gets so much a minute, and is drawn from.
struct Bucket {
    size: f64,
    refill: f64,
    percent: bool,
}

impl Metric<'_> {
    /// A minute of it.
    pub fn at(&self, minute: i64) -> Option<Point> {
        let raw = |raw| self.series.at(raw, minute, self.past);
        let same = |raw_of| raw(raw_of).map(|point| point.told(1.0, 0.0));
        match self.name {
            "DatabaseConnections" => same(Raw::Connections),
            "CPUUtilization" => raw(Raw::Cores).map(|cores| {
                let told = cores.told(100.0 / f64::from(self.class.vcpus), 0.0);
                Point {
                    sum: told.sum.min(told.count * 100.0),
                    least: told.least.min(100.0),
                    most: told.most.min(100.0),
                    ..told
                }
            }),
            "FreeableMemory" => raw(Raw::MemoryUsed).map(|used| {
                // A machine of this class has other things in memory too.
                used.told(-1.0, f64::from(self.class.memory) * GIB * 0.9)
            }),
            "FreeStorageSpace" => {
                raw(Raw::StorageUsed).map(|used| used.told(-1.0, f64::from(self.shape.storage) * GIB))
            }
            "ReadLatency" => same(Raw::ReadSeconds),
            "WriteLatency" => same(Raw::WriteSeconds),
            "ReadIOPS" => same(Raw::Reads),
            "WriteIOPS" => same(Raw::Writes),
            "ReadThroughput" => raw(Raw::Reads).map(|reads| reads.told(8192.0, 0.0)),
            "WriteThroughput" => raw(Raw::Writes).map(|writes| writes.told(8192.0, 0.0)),
            "DiskQueueDepth" => self.queue(minute),
            "SwapUsage" => same(Raw::Swap),
            "MaximumUsedTransactionIDs" => same(Raw::XidAge),
            "OldestReplicationSlotLag" => same(Raw::SlotLag),
            "TransactionLogsDiskUsage" => same(Raw::Wal),
            "DBLoad" => same(Raw::Load),
            "DBLoadCPU" => same(Raw::LoadCpu),
            "DBLoadNonCPU" => {
                let (all, running) = (raw(Raw::Load)?, raw(Raw::LoadCpu)?);
                let waiting = (all.mean() - running.mean()).max(0.0);
                Some(Point {
                    sum: waiting * all.count,
                    count: all.count,
                    least: waiting.min(all.least),
                    most: waiting.max(all.most - running.least),
                })
            }
            _ => self.level(minute),
        }
    }

    /// By Little's law: what arrives times how long it stays.
    fn queue(&self, minute: i64) -> Option<Point> {
        let mean = |raw| self.series.at(raw, minute, self.past).map(Point::mean);
        let reads = mean(Raw::Reads)? * mean(Raw::ReadSeconds)?;
        let depth = reads + mean(Raw::Writes)? * mean(Raw::WriteSeconds)?;
        Some(Point { sum: depth, count: 1.0, least: depth, most: depth })
    }

    fn sizes(&self) -> Option<Bucket> {
        let vcpus = f64::from(self.class.vcpus);
        match self.name {
            "CPUCreditBalance" => {
                let credits = f64::from(self.class.credits?);
                Some(Bucket { size: credits * 24.0, refill: credits / 60.0, percent: false })
            }
            "BurstBalance" => {
                let baseline = (f64::from(self.shape.storage) * 3.0).max(100.0);
                Some(Bucket { size: 5_400_000.0, refill: baseline * 60.0, percent: true })
            }
            // What a small machine may burst for half an hour.
            "EBSIOBalance%" => Some(Bucket { size: 12_000.0 * 1_800.0, refill: vcpus * 1_000.0 * 60.0, percent: true }),
            "EBSByteBalance%" => {
                Some(Bucket { size: 12_000.0 * 1_800.0, refill: vcpus * 1_000.0 * 60.0, percent: true })
            }
            _ => None,
        }
    }

    /// What is left of it, minute by minute, from the first that was measured.
    fn bucket(&self) -> Option<(i64, Vec<f64>)> {
        let sizes = self.sizes()?;
        let first = self.series.first(base(self.name))?;
        let mut left = sizes.size;
        let mut levels = Vec::new();
        for minute in first.. {
            let mean = |raw| self.series.at(raw, minute, None).map(Point::mean);
            let drawn = match self.name {
                "CPUCreditBalance" => mean(Raw::Cores),
                _ => mean(Raw::Writes).map(|writes| (writes + mean(Raw::Reads).unwrap_or(0.0)) * 60.0),
            };
            // A gap of some minutes is a restart; longer than this there is nothing more.
            if drawn.is_none()
                && (minute..minute + 30).all(|minute| self.series.at(base(self.name), minute, None).is_none())
            {
                break;
            }
            left = (left + sizes.refill - drawn.unwrap_or(0.0)).clamp(0.0, sizes.size);
            levels.push(if sizes.percent { left / sizes.size * 100.0 } else { left });
        }
        Some((first, levels))
    }

    fn level(&self, minute: i64) -> Option<Point> {
        let (first, levels) = self.bucket.as_ref()?;
        let sizes = self.sizes()?;
        let full = if sizes.percent { 100.0 } else { sizes.size };
        let level = match usize::try_from(minute - first) {
            Ok(place) => *levels.get(place)?,
            // Before the estate was, nobody drew from it.
            Err(_) => self.past.map(|_| full)?,
        };
        Some(Point { sum: level, count: 1.0, least: level, most: level })
    }
}
