//! `burst-credits`: what an instance may do beyond its baseline is nearly spent: the CPU of a burstable class, the I/O of gp2. Credits
//! that grow are no trouble: a new T3 or T4g begins without any.
//!
//! Sources: Amazon EC2 User Guide, "Burstable performance instances" (what is earned and kept; in unlimited mode, in which RDS runs T3
//! and T4g, it borrows, and pays for what a day does not earn, while T2 falls to its baseline), and Amazon RDS User Guide, "gp2 storage" (5.4 million I/O credits).

use crate::domain::facts::Source;
use crate::domain::facts::cloud::{Class, Metric, Rds, STRIPED};
use crate::domain::quantity::{count, duration, percent};
use crate::domain::{Evidence, Severity, Signal, SubjectKind, Unit};

use super::blame::{ACTIVE, Blame, READS, WRITES, named};
use super::told::{Figures, Told, command};
use super::{Check, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct BurstCredits;

impl Check for BurstCredits {
    fn signal(&self) -> Signal {
        Signal::BurstCredits
    }

    fn about(&self) -> &'static str {
        "80% of CPU or I/O credits are spent, or all will be in an hour; critical at 95%, where it slows down"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Instance]
    }

    fn holds(&self) -> bool {
        false
    }

    fn is_of_minutes(&self) -> bool {
        true
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let Some(told) = Told::of(self.signal(), scene, place, verdicts) else { continue };
            // Of what class and storage it is changes rarely: an old word will do.
            let Some(rds) = told.cloud.rds.value.as_deref() else {
                told.rds(self.signal(), verdicts);
                continue;
            };
            let buckets = Bucket::of(rds);
            if buckets.is_empty() {
                continue;
            }
            let Some(figures) = told.figures(self.signal(), verdicts) else { continue };
            let mut low = Vec::new();
            for bucket in buckets {
                match Low::of(scene, figures, bucket) {
                    Ok(found) => low.extend(found),
                    Err(reason) => verdicts.untold(self.signal(), place, Source::Metrics, reason, None),
                }
            }
            if !low.is_empty() {
                verdicts.raised.push(raise(scene, told, rds, &low));
            }
        }
    }
}

/// Borrowed credits cost nothing as long as a day earns as many.
const BORROWS: &str = "it borrows, billed if it stays above its baseline for 24 hours";

/// What credits are kept in.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    metric: Metric,
    name: &'static str,
    /// When it is full.
    most: f64,
    /// What becomes of it without, and what is said once it is.
    then: &'static str,
    now: &'static str,
    /// Without credits it borrows, and nothing slows down: what it uses without spending any, of its CPU in per cent.
    unlimited: Option<f64>,
}

impl Bucket {
    fn of(rds: &Rds) -> Vec<Self> {
        let cpu =
            Class::named(rds.class.raw()).and_then(|class| Some((class, class.credits?))).map(|(class, credits)| {
                Self {
                    metric: Metric::CpuCreditBalance,
                    name: "CPU credits",
                    most: credits.most,
                    then: if credits.unlimited { BORROWS } else { "its CPU falls to the baseline" },
                    now: if credits.unlimited { BORROWS } else { "its CPU falls to the baseline now" },
                    // A credit is a vCPU for a minute.
                    unlimited: credits.unlimited.then(|| credits.an_hour / 60.0 / class.vcpus * 100.0),
                }
            });
        let io = rds.storage.gives().and_then(|gives| gives.burst).map(|_| Self {
            metric: Metric::BurstBalance,
            name: "I/O credits",
            most: 100.0,
            then: "gp2 falls to its baseline",
            now: "gp2 falls to its baseline now",
            unlimited: None,
        });
        cpu.into_iter().chain(io).collect()
    }
}

/// A bucket that is nearly empty, or soon will be.
struct Low {
    bucket: Bucket,
    severity: Severity,
    left: f64,
    empty_in: Option<f64>,
}

impl Low {
    fn of(scene: &Scene<'_>, figures: Figures<'_>, bucket: Bucket) -> Result<Option<Self>, String> {
        let thresholds = scene.thresholds;
        let left = figures.newest(bucket.metric)?.value;
        let empty_in = figures.empty_in(bucket.metric);
        let by_share = thresholds.credits_used.rung(1.0 - left / bucket.most).map(|(severity, _)| severity);
        let by_time =
            empty_in.filter(|seconds| *seconds <= thresholds.credits_empty_seconds).map(|_| Severity::Warning);
        let Some(severity) = by_share.max(by_time) else { return Ok(None) };
        if figures.trend(bucket.metric).is_some_and(|slope| slope > 0.0) {
            return Ok(None);
        }
        if !figures.is_watched(bucket.metric) {
            return Err(format!("{} are low, and whether they grow cannot be told yet", bucket.name));
        }
        // What it borrowed is paid back before credits are kept again: until then there are none, and it costs nothing.
        if let Some(baseline) = bucket.unlimited
            && figures.mean(Metric::CpuUtilization, thresholds.metric_seconds)? <= baseline
        {
            return Ok(None);
        }
        let severity = if bucket.unlimited.is_some() { Severity::Warning } else { severity };
        Ok(Some(Self { bucket, severity, left, empty_in }))
    }
}

fn raise(scene: &Scene<'_>, told: Told<'_>, rds: &Rds, low: &[Low]) -> Raised {
    let place = told.place;
    let is_cpu = low.iter().any(|it| it.bucket.metric == Metric::CpuCreditBalance);
    // They were spent over hours.
    let blame = Blame::hint(place, if is_cpu { &[ACTIVE] } else { &[READS, WRITES] });
    let (mut words, mut evidence) = (Vec::new(), Vec::new());
    for Low { bucket, left, empty_in, .. } in low {
        let share = left / bucket.most;
        let ends = match empty_in {
            _ if *left <= 0.0 => format!(": {}", bucket.now),
            Some(seconds) => format!(", gone in {}: then {}", duration(*seconds), bucket.then),
            None => format!(": without any {}", bucket.then),
        };
        let of =
            if bucket.most > 100.0 { format!(" ({} of {})", count(*left), count(bucket.most)) } else { String::new() };
        words.push(format!("has {} of its {} left{of}{ends}", percent(share), bucket.name));
        let ladder = scene.thresholds.credits_used;
        evidence.push(Evidence::on(format!("{} spent", bucket.name), 1.0 - share, ladder, Unit::Ratio));
        evidence.extend(
            empty_in.map(|seconds| Evidence::fact(format!("{} last for", bucket.name), seconds, Unit::Seconds)),
        );
    }
    let identifier = ("--db-instance-identifier", &*told.cloud.identifier);
    let instead = if is_cpu {
        let class = format!("a class without credits, such as db.m6g.{}", size(rds));
        format!("who works all day wants {class}")
    } else {
        let of = [identifier, ("--storage-type", "gp3"), ("--apply-immediately", "")];
        let gives = if rds.storage.allocated_gib.is_some_and(|gib| gib >= STRIPED) { "12,000" } else { "3,000" };
        let modify = command(told.cloud, "rds modify-db-instance", &of);
        format!("{modify} gives it {gives} IOPS for good, without credits")
    };
    Raised {
        severity: low.iter().map(|it| it.severity).max().unwrap_or(Severity::Warning),
        subject: place.subject(),
        summary: format!(
            "{} {}{}{}",
            named(place),
            words.join(" and "),
            blame.words,
            told.alarm(&[Metric::CpuCreditBalance, Metric::BurstBalance])
        ),
        evidence,
        advice: format!("{}; {instead}.", blame.look()),
        statement: None,
        since: None,
        culprits: blame.culprits,
        victims: Vec::new(),
        rests_on: vec![Source::Metrics],
    }
}

/// The size of a class, as the smallest of those without credits have it.
fn size(rds: &Rds) -> &str {
    let size = rds.class.raw().rsplit('.').next().unwrap_or_default();
    if matches!(size, "xlarge" | "2xlarge") { size } else { "large" }
}
