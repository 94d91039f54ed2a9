//! CloudWatch's figures of an instance, and the alarms on it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Points;
use super::trend::Reckoned;
use crate::domain::foreign::Foreign;

/// How far back figures are kept beside the newest: what trends and small charts need.
pub const KEPT: SignedDuration = SignedDuration::from_hours(3);

/// The most rounds that another metric is left out of, for the sake of fast ones.
pub const RARELY: u32 = 15;

/// What a figure counts, in CloudWatch's own units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum MetricUnit {
    Count,
    Percent,
    Bytes,
    Seconds,
    PerSecond,
}

macro_rules! metrics {
    ($($variant:ident $name:literal $unit:ident $statistic:literal $about:literal,)*) => {
        /// The metrics of namespace `AWS/RDS` that are asked for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Metric {
            $(#[doc = $about] $variant,)*
        }

        impl Metric {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// CloudWatch's name for it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it counts.
            pub fn unit(self) -> MetricUnit {
                match self { $(Self::$variant => MetricUnit::$unit,)* }
            }

            /// Which statistic of a period is asked for: of what runs out the least, of what piles up the most.
            pub fn statistic(self) -> &'static str {
                match self { $(Self::$variant => $statistic,)* }
            }

            /// What it says, in words.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }
        }
    };
}

metrics! {
    DatabaseConnections "DatabaseConnections" Count "Maximum" "client connections",
    CpuUtilization "CPUUtilization" Percent "Average" "CPU in use",
    FreeableMemory "FreeableMemory" Bytes "Minimum" "memory that can be had",
    FreeStorageSpace "FreeStorageSpace" Bytes "Minimum" "storage left",
    ReadLatency "ReadLatency" Seconds "Average" "time of a read",
    WriteLatency "WriteLatency" Seconds "Average" "time of a write",
    ReadIops "ReadIOPS" PerSecond "Average" "reads",
    WriteIops "WriteIOPS" PerSecond "Average" "writes",
    DiskQueueDepth "DiskQueueDepth" Count "Average" "reads and writes that wait",
    SwapUsage "SwapUsage" Bytes "Maximum" "swap in use",
    ReplicaLag "ReplicaLag" Seconds "Maximum" "how far a replica is behind",
    BurstBalance "BurstBalance" Percent "Minimum" "I/O credits left (gp2)",
    EbsIoBalance "EBSIOBalance%" Percent "Minimum" "I/O credits left of the class",
    EbsByteBalance "EBSByteBalance%" Percent "Minimum" "throughput credits left of the class",
    CpuCreditBalance "CPUCreditBalance" Count "Minimum" "CPU credits left (burstable classes)",
    MaximumUsedTransactionIds "MaximumUsedTransactionIDs" Count "Maximum" "oldest unfrozen transaction id",
    OldestReplicationSlotLag "OldestReplicationSlotLag" Bytes "Maximum" "WAL that the slowest slot keeps",
    TransactionLogsDiskUsage "TransactionLogsDiskUsage" Bytes "Maximum" "storage that WAL takes",
    DbLoad "DBLoad" Count "Average" "sessions at work",
    DbLoadCpu "DBLoadCPU" Count "Average" "sessions on a CPU",
    DbLoadNonCpu "DBLoadNonCPU" Count "Average" "sessions that wait",
}

impl Metric {
    /// The metric of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|metric| metric.name() == name)
    }

    /// Whether an incident is judged by it: then it is asked before all others, and never left out for the sake of costs.
    pub fn is_fast(self) -> bool {
        matches!(
            self,
            Self::DatabaseConnections
                | Self::CpuUtilization
                | Self::FreeableMemory
                | Self::FreeStorageSpace
                | Self::ReadLatency
                | Self::WriteLatency
                | Self::ReadIops
                | Self::WriteIops
                | Self::DbLoad
        )
    }
}

/// One figure and the start of the minute that it is of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Datapoint {
    /// The period's start.
    pub at: Timestamp,
    /// The figure, in the metric's unit.
    pub value: f64,
}

/// Source `metrics`: the figures that CloudWatch has, oldest first, each moment once.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Metrics {
    /// By metric. One that has no datapoints is there and empty where it was asked for, and missing where it was not.
    pub series: BTreeMap<Metric, Points>,
    /// How storage is used up, once somebody asked: it is asked for of every instance in every snapshot.
    #[serde(skip)]
    pub(super) reckoned: Reckoned,
}

impl Metrics {
    /// These figures.
    pub fn of<P: IntoIterator<Item = Datapoint>>(series: BTreeMap<Metric, P>) -> Self {
        let series = series.into_iter().map(|(metric, points)| (metric, points.into_iter().collect())).collect();
        Self { series, reckoned: Reckoned::default() }
    }

    /// The newest figure of a metric, however old.
    pub fn newest(&self, metric: Metric) -> Option<Datapoint> {
        self.series.get(&metric)?.last()
    }

    /// Takes what came later: a late datapoint goes to its place, one of a moment that is known replaces it.
    pub fn take(&mut self, newer: Self) {
        self.reckoned = Reckoned::default();
        for (metric, points) in newer.series {
            let told = points.iter().filter(|point| point.value.is_finite()).collect();
            self.series.entry(metric).or_default().take(&told, KEPT);
        }
    }
}

/// What state an alarm is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "CloudWatch's own three")]
pub enum AlarmState {
    Ok,
    InsufficientData,
    Alarm,
}

/// One alarm of CloudWatch on an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Its name.
    pub name: Foreign,
    /// State.
    pub state: AlarmState,
    /// Why, in CloudWatch's words.
    pub reason: Foreign,
    /// The metric it watches, where it watches one.
    pub metric: Option<Foreign>,
    /// Since when it is in that state.
    pub since: Option<Timestamp>,
}

/// Source `alarms`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Alarms {
    /// Alarms whose dimension is this instance, by name.
    pub alarms: Vec<Alarm>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64, value: f64) -> Datapoint {
        Datapoint { at: Timestamp::from_second(minute * 60).unwrap(), value }
    }

    fn some(points: &[Datapoint]) -> Metrics {
        Metrics::of(BTreeMap::from([(Metric::CpuUtilization, points.to_vec())]))
    }

    #[test]
    fn late_and_double_datapoints_find_their_place() {
        let mut metrics = some(&[at(1, 1.0), at(3, 3.0)]);
        metrics.take(some(&[at(2, 2.0), at(3, 3.5), at(4, f64::NAN)]));
        assert_eq!(metrics, some(&[at(1, 1.0), at(2, 2.0), at(3, 3.5)]));
        assert_eq!(metrics.newest(Metric::CpuUtilization), Some(at(3, 3.5)));
        metrics.take(some(&[at(182, 9.0)]));
        assert_eq!(metrics, some(&[at(2, 2.0), at(3, 3.5), at(182, 9.0)]), "three hours are kept");
        metrics.take(Metrics::of(BTreeMap::from([(Metric::ReadIops, None)])));
        assert_eq!(metrics.newest(Metric::ReadIops), None);
        assert!(metrics.series.contains_key(&Metric::ReadIops), "asked for, and it has none");
    }

    #[test]
    fn names_are_cloudwatchs_and_each_is_there_once() {
        for metric in Metric::ALL {
            assert_eq!(Metric::named(metric.name()), Some(*metric));
        }
        assert_eq!(Metric::named("cpuutilization"), None);
    }
}
