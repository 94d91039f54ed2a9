//! `iops`: an instance makes as many reads and writes a second as its storage gives, or has spent what its class may burst.
//!
//! Sources: Amazon RDS User Guide, "Amazon RDS DB instance storage" (what each type gives), and "Amazon CloudWatch metrics for Amazon
//! RDS" (`EBSIOBalance%`, `EBSByteBalance%`: what is left of the class's burst; AWS recommends an alarm at 10%).

use crate::domain::facts::Source;
use crate::domain::facts::cloud::{Cloud, Metric, Rds, STRIPED};
use crate::domain::quantity::{duration, exact, percent};
use crate::domain::{Evidence, Severity, Signal, SubjectKind, Unit};

use super::blame::{Blame, READS, WRITES, named};
use super::cloud_pressure::is_of_now;
use super::cpu::larger;
use super::told::{Figures, Told, command};
use super::{Check, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct Iops;

impl Check for Iops {
    fn signal(&self) -> Signal {
        Signal::Iops
    }

    fn about(&self) -> &'static str {
        "80% of the IOPS that the storage gives for 3 minutes, or of the class's I/O burst; critical at 95%"
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
            let Some(figures) = told.figures(self.signal(), verdicts) else { continue };
            // What is provisioned changes rarely: an old word will do.
            let Some(rds) = told.cloud.rds.value.as_deref() else {
                told.rds(self.signal(), verdicts);
                continue;
            };
            let mut found = Vec::new();
            for seen in [of_storage(scene, rds, figures)].into_iter().chain(of_class(scene, figures)) {
                match seen {
                    Ok(seen) => found.extend(seen),
                    Err(reason) => verdicts.untold(self.signal(), place, Source::Metrics, reason, None),
                }
            }
            if !found.is_empty() {
                verdicts.raised.push(raise(scene, told, rds, figures, &found));
            }
        }
    }
}

/// Something that it has used up.
struct Used {
    severity: Severity,
    words: String,
    evidence: Vec<Evidence>,
    of_storage: bool,
}

/// How much of what an instance's storage gives it uses: also for whoever asks how near it is to that.
pub(super) fn share_of_storage(rds: &Rds, figures: Figures<'_>, seconds: f64) -> Result<(f64, f64, f64), String> {
    let made = figures.mean(Metric::ReadIops, seconds)? + figures.mean(Metric::WriteIops, seconds)?;
    let gives =
        rds.storage.gives().ok_or_else(|| format!("what its storage ({}) gives is not known", rds.storage.kind))?;
    let credits = figures.newest(Metric::BurstBalance);
    let limit = match (gives.now(credits.as_ref().ok().map(|left| left.value)), gives.burst, credits) {
        (Some(limit), ..) => limit,
        // Whether it may burst is not known, and does not matter.
        (None, Some(burst), _) if made < gives.steady => burst,
        (None, _, Err(reason)) => return Err(reason),
        (None, ..) => gives.steady,
    };
    Ok((made / limit.max(1.0), made, limit))
}

fn of_storage(scene: &Scene<'_>, rds: &Rds, figures: Figures<'_>) -> Result<Option<Used>, String> {
    let thresholds = scene.thresholds;
    let (share, made, limit) = share_of_storage(rds, figures, thresholds.metric_seconds)?;
    let Some((severity, _)) = thresholds.iops.rung(share) else { return Ok(None) };
    Ok(Some(Used {
        severity,
        words: format!(
            "made {} reads and writes a second for {}, {} of the {} that its {} gives",
            exact(made),
            duration(thresholds.metric_seconds),
            percent(share),
            exact(limit),
            rds.storage.kind
        ),
        evidence: vec![
            Evidence::on("of the IOPS that its storage gives", share, thresholds.iops, Unit::Ratio),
            Evidence::fact("reads and writes", made, Unit::PerSecond),
            Evidence::fact("given", limit, Unit::PerSecond),
        ],
        of_storage: true,
    }))
}

fn of_class<'f>(scene: &'f Scene<'_>, figures: Figures<'f>) -> impl Iterator<Item = Result<Option<Used>, String>> + 'f {
    let both = [(Metric::EbsIoBalance, "I/O"), (Metric::EbsByteBalance, "throughput")];
    both.into_iter().filter(move |(metric, _)| figures.has(*metric)).map(move |(metric, what)| {
        let left = figures.newest(metric)?.value / 100.0;
        let ladder = scene.thresholds.credits_used;
        let Some((severity, _)) = ladder.rung(1.0 - left) else { return Ok(None) };
        if figures.trend(metric).is_some_and(|slope| slope > 0.0) {
            return Ok(None);
        }
        if !figures.is_watched(metric) {
            return Err(format!("its class's {what} burst is low, and whether it refills cannot be told yet"));
        }
        let words = format!("has {} of its class's {what} burst left", percent(left));
        let evidence = vec![Evidence::on(format!("used of the class's {what} burst"), 1.0 - left, ladder, Unit::Ratio)];
        Ok(Some(Used { severity, words, evidence, of_storage: false }))
    })
}

/// Who makes most of those that there are more of: reads or writes. What a class may burst was spent before the last minute.
fn blame(scene: &Scene<'_>, place: &Place<'_>, figures: Figures<'_>, by_rate: bool) -> Blame {
    let rate = |metric| figures.mean(metric, scene.thresholds.metric_seconds).unwrap_or_default();
    let parts = if rate(Metric::ReadIops) >= rate(Metric::WriteIops) { [READS, WRITES] } else { [WRITES, READS] };
    if by_rate && is_of_now(figures, Metric::ReadIops, scene.now) {
        Blame::of(scene, place, &parts[..1])
    } else {
        Blame::hint(place, &parts)
    }
}

fn raise(scene: &Scene<'_>, told: Told<'_>, rds: &Rds, figures: Figures<'_>, found: &[Used]) -> Raised {
    let place = told.place;
    let blame = blame(scene, place, figures, found.iter().any(|used| used.of_storage));
    let words: Vec<&str> = found.iter().map(|used| used.words.as_str()).collect();
    let alarm = told.alarm(&[Metric::ReadIops, Metric::WriteIops, Metric::EbsIoBalance, Metric::EbsByteBalance]);
    let rate = |metric| figures.mean(metric, scene.thresholds.metric_seconds).unwrap_or_default();
    let made = rate(Metric::ReadIops) + rate(Metric::WriteIops);
    let more = if found.iter().any(|used| used.of_storage) {
        format!("; {}", more_of(told.cloud, rds, made))
    } else {
        larger(told, "throughput")
    };
    Raised {
        severity: found.iter().map(|used| used.severity).max().unwrap_or(Severity::Warning),
        subject: place.subject(),
        summary: format!("{} {}{}{alarm}", named(place), words.join(" and "), blame.words),
        evidence: found.iter().flat_map(|used| used.evidence.iter().cloned()).collect(),
        advice: format!("{}: what reads whole tables wants an index{more}.", blame.look()),
        statement: None,
        since: None,
        culprits: blame.culprits,
        victims: Vec::new(),
        rests_on: vec![Source::Metrics],
    }
}

/// How there is more. PostgreSQL's gp3 has 3,000 below 400 GiB and at least 12,000 from there on, where more can be ordered; what is
/// ordered may be fifty times the GiB (`CreateDBInstance`, `Iops`), and is named whenever storage of that kind is enlarged. Nothing
/// is advised that gives less than what it makes, or has, now: storage is not changed twice in six hours.
fn more_of(cloud: &Cloud, rds: &Rds, made: f64) -> String {
    const A_GIB: f64 = 50.0;
    let gib = f64::from(rds.storage.allocated_gib.unwrap_or_default());
    let has = rds.storage.gives().map_or(0.0, |gives| gives.steady);
    let wanted = ((made * 1.5).max(has * 1.1) / 1_000.0).ceil() * 1_000.0;
    let small = gib < f64::from(STRIPED);
    let most = if &*rds.storage.kind == "io2" { 256_000.0 } else { 64_000.0 };
    let mut what: Vec<(&str, String)> = Vec::new();
    let gives = match &*rds.storage.kind {
        "gp2" if wanted <= if small { 3_000.0 } else { 12_000.0 } => {
            what.push(("--storage-type", "gp3".to_owned()));
            if small { 3_000.0 } else { 12_000.0 }
        }
        // As much as it has already at its best: only larger volumes give more.
        "gp2" | "gp3" if small => {
            if &*rds.storage.kind == "gp2" {
                what.push(("--storage-type", "gp3".to_owned()));
            }
            what.extend([("--allocated-storage", STRIPED.to_string()), ("--iops", "12000".to_owned())]);
            12_000.0
        }
        "gp2" | "gp3" | "io1" | "io2" if wanted <= most => {
            if &*rds.storage.kind == "gp2" {
                what.push(("--storage-type", "gp3".to_owned()));
            }
            if wanted > gib * A_GIB {
                what.push(("--allocated-storage", format!("{:.0}", (wanted / A_GIB).max(gib * 1.1).ceil())));
            }
            what.push(("--iops", format!("{wanted:.0}")));
            wanted
        }
        kind => return format!("{kind} gives no more than that: spread what it does, or order io2"),
    };
    let mut of = vec![("--db-instance-identifier", &*cloud.identifier)];
    of.extend(what.iter().map(|(option, value)| (*option, value.as_str())));
    of.push(("--apply-immediately", ""));
    format!("{} gives it {}, for good", command(cloud, "rds modify-db-instance", &of), exact(gives))
}
