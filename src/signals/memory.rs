//! `memory`: hardly any memory can be had on an instance, as CloudWatch has it (`FreeableMemory` against what the class has).
//! What caches hold counts as freeable, so this is what sessions and shared buffers took; after it comes swap, then the kernel
//! that ends a backend, and with it the server.
//!
//! AWS recommends an alarm on `FreeableMemory`, and to keep the working set in memory ("Best practices for Amazon RDS").

use crate::domain::facts::Source;
use crate::domain::facts::cloud::Metric;
use crate::domain::quantity::{bytes, duration, percent};
use crate::domain::{Evidence, Signal, SubjectKind, Unit};

use super::blame::{ACTIVE, Blame, named};
use super::cpu::larger;
use super::told::Told;
use super::{Check, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct Memory;

impl Check for Memory {
    fn signal(&self) -> Signal {
        Signal::Memory
    }

    fn about(&self) -> &'static str {
        "90% of a class's memory was not freeable for 3 minutes, by CloudWatch; critical at 95%"
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
            let seconds = scene.thresholds.metric_seconds;
            let free = match figures.mean(Metric::FreeableMemory, seconds) {
                Ok(free) => free,
                Err(reason) => {
                    verdicts.untold(self.signal(), place, Source::Metrics, reason, None);
                    continue;
                }
            };
            let Some(class) = told.class() else {
                let reason = "how much memory its class has is not known".to_owned();
                verdicts.untold(self.signal(), place, Source::Rds, reason, None);
                continue;
            };
            let used = 1.0 - free / class.memory;
            let Some((severity, _)) = scene.thresholds.memory.rung(used) else { continue };
            let swap = figures.newest(Metric::SwapUsage).ok().map(|swap| swap.value);
            let swaps = match swap.filter(|swap| *swap >= 1_048_576.0) {
                Some(swap) => format!(", and {} swapped out", bytes(swap as u64)),
                None => String::new(),
            };
            // Nobody tells whose memory it is.
            let blame = Blame::hint(place, &[ACTIVE]);
            let mut evidence = vec![
                Evidence::on("memory in use", used, scene.thresholds.memory, Unit::Ratio),
                Evidence::fact("memory that can be had", free, Unit::Bytes),
                Evidence::fact("memory of the class", class.memory, Unit::Bytes),
            ];
            evidence.extend(swap.map(|swap| Evidence::fact("swap in use", swap, Unit::Bytes)));
            verdicts.raised.push(Raised {
                severity,
                subject: place.subject(),
                summary: format!(
                    "{} used {} of its {} of memory for {}{swaps}: the kernel may end a backend, and all sessions with it{}{}",
                    named(place),
                    percent(used),
                    bytes(class.memory as u64),
                    duration(seconds),
                    blame.words,
                    told.alarm(&[Metric::FreeableMemory, Metric::SwapUsage])
                ),
                evidence,
                advice: format!(
                    "{}: fewer sessions (a pool), less work_mem and shorter sorts help at once{}.",
                    blame.look(),
                    larger(told, "memory")
                ),
                statement: None,
                since: None,
                culprits: blame.culprits,
                victims: Vec::new(),
                rests_on: vec![Source::Metrics],
            });
        }
    }
}
