//! `latency`: an instance's reads or writes take long, as CloudWatch has it.
//!
//! AWS recommends alarms at 20 ms ("Recommended alarms", Amazon CloudWatch User Guide); general purpose storage answers within
//! single-digit milliseconds. Few of them say nothing: a checkpoint's or a cold file's are always slow.

use crate::domain::facts::Source;
use crate::domain::facts::cloud::Metric;
use crate::domain::quantity::{count, duration};
use crate::domain::{Evidence, Severity, Signal, SubjectKind, Unit};

use super::blame::{ACTIVE, Blame, Part, READS, WRITES, named};
use super::cloud_pressure::is_of_now;
use super::told::{Figures, Told};
use super::{Check, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct Latency;

/// One way of the two.
struct Way {
    name: &'static str,
    time: Metric,
    rate: Metric,
    part: Part,
}

static WAYS: [Way; 2] = [
    Way { name: "write", time: Metric::WriteLatency, rate: Metric::WriteIops, part: WRITES },
    Way { name: "read", time: Metric::ReadLatency, rate: Metric::ReadIops, part: READS },
];

impl Check for Latency {
    fn signal(&self) -> Signal {
        Signal::Latency
    }

    fn about(&self) -> &'static str {
        "A read or write took 20 ms on average for 3 minutes, by CloudWatch; critical at 100 ms"
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
            let (mut slow, mut known) = (Vec::new(), Vec::new());
            for way in &WAYS {
                match judged(scene, figures, way) {
                    Ok(Some(seen)) if seen.severity.is_some() => slow.push(seen),
                    Ok(Some(seen)) => known.push(seen),
                    Ok(None) => {}
                    Err(reason) => verdicts.untold(self.signal(), place, Source::Metrics, reason, None),
                }
            }
            if !slow.is_empty() {
                verdicts.raised.push(raise(scene, told, figures, &slow, &known));
            }
        }
    }
}

/// How long one way takes.
struct Seen {
    way: &'static Way,
    seconds: f64,
    rate: Option<f64>,
    severity: Option<Severity>,
}

/// `None` where too few are made to say.
fn judged(scene: &Scene<'_>, figures: Figures<'_>, way: &'static Way) -> Result<Option<Seen>, String> {
    let thresholds = scene.thresholds;
    let seconds = figures.mean(way.time, thresholds.metric_seconds)?;
    let rate = figures.mean(way.rate, thresholds.metric_seconds).ok();
    if rate.is_some_and(|rate| rate < thresholds.latency_least_iops) {
        return Ok(None);
    }
    let severity = thresholds.latency_seconds.rung(seconds).map(|(severity, _)| severity);
    Ok(Some(Seen { way, seconds, rate, severity }))
}

fn raise(scene: &Scene<'_>, told: Told<'_>, figures: Figures<'_>, slow: &[Seen], known: &[Seen]) -> Raised {
    let (place, thresholds) = (told.place, scene.thresholds);
    let parts: Vec<Part> = slow.iter().map(|seen| seen.way.part).collect();
    let now = slow.iter().all(|seen| is_of_now(figures, seen.way.time, scene.now));
    let mut blame = if now { Blame::of(scene, place, &parts) } else { Blame::hint(place, &parts) };
    if blame.first.is_none() {
        // Who is busy need not be who reads or writes.
        blame = Blame::hint(place, &[ACTIVE]);
    }
    let mut evidence = Vec::new();
    for seen in slow.iter().chain(known) {
        let ladder = thresholds.latency_seconds;
        let (name, milliseconds) = (format!("time of a {}", seen.way.name), seen.seconds * 1_000.0);
        evidence.push(if seen.severity.is_some() {
            let in_ms = crate::domain::policy::Ladder::new(ladder.warning * 1_000.0, ladder.critical * 1_000.0);
            Evidence::on(name, milliseconds, in_ms, Unit::Milliseconds)
        } else {
            Evidence::fact(name, milliseconds, Unit::Milliseconds)
        });
        evidence.extend(seen.rate.map(|rate| Evidence::fact(format!("{}s", seen.way.name), rate, Unit::PerSecond)));
    }
    let queue = figures.mean(Metric::DiskQueueDepth, thresholds.metric_seconds).ok();
    evidence.extend(queue.map(|queue| Evidence::fact("reads and writes that wait", queue, Unit::Count)));
    let words: Vec<String> = slow
        .iter()
        .map(|seen| {
            let rate = seen.rate.map(|rate| format!(" (at {}/s)", count(rate))).unwrap_or_default();
            format!("a {} takes {:.0} ms{rate}", seen.way.name, seen.seconds * 1_000.0)
        })
        .collect();
    let queue = queue.filter(|queue| *queue >= 1.0).map(|queue| format!("; {} wait", count(queue))).unwrap_or_default();
    Raised {
        severity: slow.iter().filter_map(|seen| seen.severity).max().unwrap_or(Severity::Warning),
        subject: place.subject(),
        summary: format!(
            "on {} {}, for {}{queue}{}{}",
            named(place),
            words.join(" and "),
            duration(thresholds.metric_seconds),
            blame.words,
            told.alarm(&[Metric::ReadLatency, Metric::WriteLatency, Metric::DiskQueueDepth])
        ),
        evidence,
        advice: format!(
            "{}; see whether its reads and writes reach what is provisioned (iops) or its credits are gone (burst-credits): then \
             more is ordered, else it is AWS's storage.",
            blame.look()
        ),
        statement: None,
        since: None,
        culprits: blame.culprits,
        victims: Vec::new(),
        rests_on: vec![Source::Metrics],
    }
}
