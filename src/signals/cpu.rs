//! `cpu`: an instance's processors are busy, as CloudWatch has it: that of all processes, vacuums and background work included.
//!
//! AWS recommends an alarm at 90% for five minutes ("Recommended alarms", Amazon CloudWatch User Guide), and takes more sessions
//! at work (`DBLoad`) than vCPUs for a sign that they wait for one.

use crate::domain::facts::Source;
use crate::domain::facts::cloud::{Class, Metric};
use crate::domain::quantity::{duration, percent};
use crate::domain::{Evidence, Severity, Signal, SubjectKind, Unit};

use super::blame::{ACTIVE, Blame, named};
use super::cloud_pressure::is_of_now;
use super::told::{Figures, Told, command};
use super::{Check, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct Cpu;

impl Check for Cpu {
    fn signal(&self) -> Signal {
        Signal::Cpu
    }

    fn about(&self) -> &'static str {
        "An instance used 80% of its CPU for 3 minutes, by CloudWatch; critical at 95%"
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
            match figures.mean(Metric::CpuUtilization, scene.thresholds.metric_seconds) {
                Ok(percent) => {
                    let used = percent / 100.0;
                    if let Some((severity, _)) = scene.thresholds.cpu.rung(used) {
                        verdicts.raised.push(raise(scene, told, figures, severity, used));
                    }
                }
                Err(reason) => verdicts.untold(self.signal(), place, Source::Metrics, reason, None),
            }
        }
    }
}

fn raise(scene: &Scene<'_>, told: Told<'_>, figures: Figures<'_>, severity: Severity, used: f64) -> Raised {
    let (place, seconds) = (told.place, scene.thresholds.metric_seconds);
    let now = is_of_now(figures, Metric::CpuUtilization, scene.now);
    let blame = if now { Blame::of(scene, place, &[ACTIVE]) } else { Blame::hint(place, &[ACTIVE]) };
    let mut evidence = vec![Evidence::on("CPU in use", used, scene.thresholds.cpu, Unit::Ratio)];
    let vcpus = told.class().map(|class| class.vcpus);
    let load = figures.mean(Metric::DbLoad, seconds).ok();
    evidence.extend(load.map(|load| Evidence::fact("sessions at work (DBLoad)", load, Unit::Count)));
    evidence.extend(vcpus.map(|vcpus| Evidence::fact("vCPUs", vcpus, Unit::Count)));
    let crowd = match (load, vcpus) {
        (Some(load), Some(vcpus)) if load > vcpus => format!("; {load:.1} sessions at work on {vcpus:.0} vCPUs"),
        _ => String::new(),
    };
    Raised {
        severity,
        subject: place.subject(),
        summary: format!(
            "{} used {} of its CPU for {}{crowd}{}{}",
            named(place),
            percent(used),
            duration(seconds),
            blame.words,
            told.alarm(&[Metric::CpuUtilization])
        ),
        evidence,
        advice: format!("{} and cancel what can wait{}.", blame.look(), larger(told, "CPU")),
        statement: None,
        since: None,
        culprits: blame.culprits,
        victims: Vec::new(),
        rests_on: vec![Source::Metrics],
    }
}

/// The next larger class, as the command that orders it: it restarts the server, so it waits for the maintenance window.
pub(super) fn larger(told: Told<'_>, of: &str) -> String {
    let class = told.cloud.rds.value.as_ref().and_then(|rds| Class::larger(rds.class.raw()));
    let Some(class) = class else { return String::new() };
    let identifier = &*told.cloud.identifier;
    let modify = command(
        told.cloud,
        "rds modify-db-instance",
        &[("--db-instance-identifier", identifier), ("--db-instance-class", &class)],
    );
    format!("; if it is so every day: {modify} gives it more {of} in its maintenance window, with a restart")
}
