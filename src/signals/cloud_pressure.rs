//! How short an instance is of something as CloudWatch sees it: of all that runs there, where what sessions do is only seen in samples.
//!
//! AWS holds `DBLoad` against vCPUs ("Database load", Amazon RDS User Guide): more sessions on a CPU than there are wait for one.

use crate::domain::facts::cloud::{Class, Metric};
use crate::domain::{Evidence, Unit};

use super::iops::share_of_storage;
use super::told::Figures;
use super::{Place, Scene};

/// What CloudWatch says of a resource.
#[derive(Debug, Default)]
pub(super) struct View {
    /// 0 to 1; `None`: it says nothing.
    pub pressure: Option<f64>,
    /// The figures behind it, and beside it.
    pub evidence: Vec<Evidence>,
}

impl View {
    /// Of the processors.
    pub fn of_cpu(scene: &Scene<'_>, place: &Place<'_>) -> Self {
        let Some(figures) = Figures::beside(place, scene.now) else { return Self::default() };
        let seconds = scene.thresholds.metric_seconds;
        let rds = place.instance.cloud.as_ref().and_then(|cloud| cloud.rds.value.as_ref());
        let vcpus = rds.and_then(|rds| Class::named(rds.class.raw())).map(|class| class.vcpus);
        let used = figures.mean(Metric::CpuUtilization, seconds).ok().map(|percent| percent / 100.0);
        let load = |metric| figures.mean(metric, seconds).ok().zip(vcpus).map(|(load, vcpus)| load / vcpus);
        let facts = [("CPU in use (CloudWatch)", used), ("DBLoad of vCPUs", load(Metric::DbLoad))];
        Self {
            pressure: used.into_iter().chain(load(Metric::DbLoadCpu)).reduce(f64::max).map(|it| it.clamp(0.0, 1.0)),
            evidence: facts
                .into_iter()
                .filter_map(|(name, value)| Some(Evidence::fact(name, value?, Unit::Ratio)))
                .collect(),
        }
    }

    /// Of the disk, one way: `time` is what a read (a write) takes.
    fn of_disk(scene: &Scene<'_>, place: &Place<'_>, name: &str, time: Metric) -> Self {
        let Some(figures) = Figures::beside(place, scene.now) else { return Self::default() };
        let seconds = scene.thresholds.metric_seconds;
        let rds = place.instance.cloud.as_ref().and_then(|cloud| cloud.rds.value.as_ref());
        let share = rds.and_then(|rds| share_of_storage(rds, figures, seconds).ok()).map(|(share, _, _)| share);
        let mut evidence = Vec::new();
        let mut add = |name: String, value: Option<f64>, unit| {
            evidence.extend(value.map(|value| Evidence::fact(name, value, unit)));
        };
        add("of the IOPS given (CloudWatch)".to_owned(), share, Unit::Ratio);
        add(
            format!("time of a {name} (CloudWatch)"),
            figures.mean(time, seconds).ok().map(|it| it * 1_000.0),
            Unit::Milliseconds,
        );
        add("disk queue".to_owned(), figures.mean(Metric::DiskQueueDepth, seconds).ok(), Unit::Count);
        Self { pressure: share.map(|share| share.clamp(0.0, 1.0)), evidence }
    }

    /// Of reads.
    pub fn of_reads(scene: &Scene<'_>, place: &Place<'_>) -> Self {
        Self::of_disk(scene, place, "read", Metric::ReadLatency)
    }

    /// Of writes.
    pub fn of_writes(scene: &Scene<'_>, place: &Place<'_>) -> Self {
        Self::of_disk(scene, place, "write", Metric::WriteLatency)
    }
}
