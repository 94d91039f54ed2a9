//! `deadlocks`: transactions that PostgreSQL had to end because they waited for each other.

use crate::domain::facts::Source;
use crate::domain::quantity::{count, duration, plural};
use crate::domain::snapshot::Deadlocks as Known;
use crate::domain::{Evidence, Foreign, Signal, SubjectKind, TenantId, Unit};

use super::{Check, Place, Raised, Scene, Verdicts};

/// How many databases are named, and by how much of their names.
const NAMED: usize = 2;
const NAME: usize = 30;

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
            let known = &instance.deadlocks;
            let ago = known.last.map(|last| scene.now.duration_since(last).as_secs_f64().max(0.0).round());
            let mut evidence =
                vec![Evidence::on("deadlocks", rate, scene.thresholds.deadlocks_per_minute, Unit::PerMinute)];
            evidence.extend(ago.map(|ago| Evidence::fact("since the last", ago, Unit::Seconds)));
            verdicts.raised.push(Raised {
                severity,
                subject: place.subject(),
                summary: format!(
                    "{}: each ends one transaction with an error (40P01)",
                    ago.map_or_else(
                        || format!("{} has {} deadlocks a minute", place.name(), count(rate)),
                        |ago| {
                            let (all, seconds) = (known.count() as usize, duration(known.seconds.round()));
                            let of = whose(place, known);
                            let last = duration(ago);
                            format!(
                                "{} in {seconds} on {}{of}, the last {last} ago",
                                plural(all, "deadlock"),
                                place.name()
                            )
                        }
                    )
                ),
                evidence,
                advice:
                    "Read \"deadlock detected\" in the server's log: it names both statements; their application must \
                         take rows in one order, or retry."
                        .to_owned(),
                statement: None,
                since: None,
                // Where a database is one tenant's, so are the transactions in it.
                culprits: known.databases.iter().filter_map(|(name, _)| owner(place, name)).collect(),
                victims: Vec::new(),
                rests_on: vec![Source::Databases],
            });
        }
    }
}

fn owner(place: &Place<'_>, database: &Foreign) -> Option<TenantId> {
    place.owner(database, &Foreign::default())
}

/// ` in db_acme (acme)`, ` in db_acme (acme, 8), db_globex (globex, 5)`
fn whose(place: &Place<'_>, known: &Known) -> String {
    let one = |(name, count): &(Foreign, u64)| {
        let owner = owner(place, name).map(|tenant| tenant.to_string());
        let count = (known.databases.len() > 1).then(|| count.to_string());
        let more = owner.into_iter().chain(count).collect::<Vec<_>>().join(", ");
        let name: String = name.shown().chars().take(NAME).collect();
        if more.is_empty() { name } else { format!("{name} ({more})") }
    };
    let named = known.databases.iter().take(NAMED).map(one).collect::<Vec<_>>().join(", ");
    let more = known.databases.len().saturating_sub(NAMED);
    if more > 0 { format!(" in {named} and {}", plural(more, "more database")) } else { format!(" in {named}") }
}
