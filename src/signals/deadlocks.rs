//! `deadlocks`: transactions that PostgreSQL had to end because they waited for each other.

use crate::domain::facts::Source;
use crate::domain::quantity::count;
use crate::domain::{Evidence, Signal, SubjectKind, Unit};

use super::{Check, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct Deadlocks;

impl Check for Deadlocks {
    fn signal(&self) -> Signal {
        Signal::Deadlocks
    }

    fn about(&self) -> &'static str {
        "Transactions deadlock and are ended: 1 a minute over five minutes; critical at 10"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Instance]
    }

    fn holds(&self) -> bool {
        false
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let instance = place.instance;
            if verdicts.seen(self.signal(), place, Source::Databases, &instance.databases, scene.now).is_none() {
                continue;
            }
            let Some(rate) = instance.rates.deadlocks_per_minute else {
                verdicts.doubt(self.signal(), place, Source::Databases, "no rate yet: it takes two samples");
                continue;
            };
            let Some((severity, _)) = scene.thresholds.deadlocks_per_minute.rung(rate) else {
                continue;
            };
            verdicts.raised.push(Raised {
                severity,
                subject: place.subject(),
                summary: format!(
                    "{} has {} deadlocks a minute: each ends one transaction with an error (40P01)",
                    place.name(),
                    count(rate)
                ),
                evidence: vec![Evidence::on("deadlocks", rate, scene.thresholds.deadlocks_per_minute, Unit::PerMinute)],
                advice:
                    "Read \"deadlock detected\" in the server's log: it names both statements; their application must \
                         take rows in one order, or retry."
                        .to_owned(),
                statement: None,
                since: None,
                culprits: Vec::new(),
                victims: Vec::new(),
                rests_on: vec![Source::Databases],
            });
        }
    }
}
