//! How short an instance is of something as CloudWatch sees it: of all that runs there, where what sessions do is only seen in samples.
//!
//! AWS holds `DBLoad` against vCPUs ("Database load", Amazon RDS User Guide): more sessions on a CPU than there are wait for one.

use jiff::{SignedDuration, Timestamp};

use crate::domain::facts::cloud::{Class, Metric};
use crate::domain::{Evidence, Unit};

use super::iops::share_of_storage;
use super::told::Figures;
use super::{Place, Scene};

/// What is older says nothing of who is loud now: a period may be told of two minutes after its end.
const NEW: SignedDuration = SignedDuration::from_secs(60 + 180);

/// Who makes less than this part of what a disk does is not short of it, whatever else makes it busy.
const LEAST: f64 = 1.0 / 3.0;

/// Whether a metric's newest period ended just now, so that it can be held against who does what now.
pub(super) fn is_of_now(figures: Figures<'_>, metric: Metric, now: Timestamp) -> bool {
    figures.newest(metric).is_ok_and(|newest| now.duration_since(newest.at) <= NEW)
}

/// Its mean, or what its newest minute is if that is calmer: what was over a minute ago presses nobody any more. Only of now.
fn still(scene: &Scene<'_>, figures: Figures<'_>, metric: Metric) -> Option<f64> {
    let newest = figures.newest(metric).ok().filter(|_| is_of_now(figures, metric, scene.now))?;
    Some(figures.mean(metric, scene.thresholds.metric_seconds).ok()?.min(newest.value))
}

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
        let load_now = still(scene, figures, Metric::DbLoadCpu).zip(vcpus).map(|(load, vcpus)| load / vcpus);
        let used_now = still(scene, figures, Metric::CpuUtilization).map(|percent| percent / 100.0);
        let facts = [("CPU in use (CloudWatch)", used), ("DBLoad of vCPUs", load(Metric::DbLoad))];
        Self {
            pressure: used_now.into_iter().chain(load_now).reduce(f64::max).map(|it| it.clamp(0.0, 1.0)),
            evidence: facts
                .into_iter()
                .filter_map(|(name, value)| Some(Evidence::fact(name, value?, Unit::Ratio)))
                .collect(),
        }
    }

    /// Of the disk, one way of the two: `time` is what a read (a write) takes, `rate` how many there are. A disk that the other
    /// way keeps busy is short for this one only as far as this one is a part of that.
    fn of_disk(scene: &Scene<'_>, place: &Place<'_>, name: &str, time: Metric, rate: Metric) -> Self {
        let Some(figures) = Figures::beside(place, scene.now) else { return Self::default() };
        let seconds = scene.thresholds.metric_seconds;
        let rds = place.instance.cloud.as_ref().and_then(|cloud| cloud.rds.value.as_ref());
        let told = rds.and_then(|rds| share_of_storage(rds, figures, seconds).ok());
        let (share, gives) = (told.map(|(share, _, _)| share), told.map(|(_, _, gives)| gives));
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
        // Both ways share what it gives.
        let both = still(scene, figures, Metric::ReadIops).zip(still(scene, figures, Metric::WriteIops));
        let pressure = both.zip(still(scene, figures, rate)).zip(gives).and_then(|(((reads, writes), own), gives)| {
            let part = own / (reads + writes).max(1.0);
            let weight = if part < LEAST { None } else { Some((2.0 * part).min(1.0)) };
            weight.map(|weight| (weight * (reads + writes) / gives.max(1.0)).clamp(0.0, 1.0))
        });
        Self { pressure, evidence }
    }

    /// Of reads.
    pub fn of_reads(scene: &Scene<'_>, place: &Place<'_>) -> Self {
        Self::of_disk(scene, place, "read", Metric::ReadLatency, Metric::ReadIops)
    }

    /// Of writes.
    pub fn of_writes(scene: &Scene<'_>, place: &Place<'_>) -> Self {
        Self::of_disk(scene, place, "write", Metric::WriteLatency, Metric::WriteIops)
    }
}
