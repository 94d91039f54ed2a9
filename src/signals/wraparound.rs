//! `wraparound`: a database whose oldest transaction id nears the end of the ids; at the end the server refuses writes.
//! Where PostgreSQL does not say how old its oldest is, CloudWatch may.

use crate::domain::facts::cloud::Metric;
use crate::domain::facts::{Database, OldestTable, Source};
use crate::domain::quantity::{count, percent};
use crate::domain::{Evidence, Severity, Signal, SubjectKind, Unit, foreign};

use super::told::{Figures, Told};
use super::words::qualified;
use super::{Check, Place, Raised, Scene, Verdicts};

/// Transaction ids before PostgreSQL stops assigning new ones (2³¹ less the three million that it keeps back).
const END: f64 = 2_144_483_648.0;

/// The check.
#[derive(Debug)]
pub(super) struct Wraparound;

impl Check for Wraparound {
    fn signal(&self) -> Signal {
        Signal::Wraparound
    }

    fn about(&self) -> &'static str {
        "A database runs out of transaction ids: info at an age of 0.5 G, warning at 1 G, critical at 1.5 G"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Database, SubjectKind::Instance]
    }

    fn holds(&self) -> bool {
        false
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let instance = place.instance;
            let Some(databases) =
                verdicts.seen(self.signal(), place, Source::Databases, &instance.databases, scene.now)
            else {
                if Told::of(self.signal(), scene, place, verdicts).is_some() {
                    verdicts.raised.extend(by_cloudwatch(scene, place));
                }
                continue;
            };
            for database in databases.iter() {
                // Only names the table: an old answer is better than none, and its age does not matter here.
                let tables = instance.freeze.value.as_ref().map_or(&[][..], |freeze| freeze.tables.as_slice());
                let worst = COUNTERS.iter().max_by_key(|counter| (counter.age)(database));
                if let Some(counter) = worst {
                    verdicts.raised.extend(raise(scene, place, database, tables, counter));
                }
            }
        }
    }
}

/// Something that a server counts with 32 bits.
struct Counter {
    name: &'static str,
    age: fn(&Database) -> u32,
    of_table: fn(&OldestTable) -> u32,
}

/// Both are judged by one ladder: both end at 2³¹, and at an age of 1.6 G vacuum throws all else overboard for either.
/// `autovacuum_multixact_freeze_max_age` says when autovacuum begins, which is its daily work and no trouble. That the space
/// for the members of multixacts may run out before their ids do cannot be seen from SQL.
static COUNTERS: [Counter; 2] = [
    Counter { name: "multixact id", age: |database| database.multixact_age, of_table: |table| table.multixact_age },
    Counter { name: "transaction id", age: |database| database.xid_age, of_table: |table| table.xid_age },
];

fn raise(
    scene: &Scene<'_>,
    place: &Place<'_>,
    database: &Database,
    tables: &[OldestTable],
    counter: &Counter,
) -> Option<Raised> {
    let thresholds = scene.thresholds;
    let age = f64::from((counter.age)(database));
    let info = (age >= thresholds.xid_age_info).then_some((Severity::Info, thresholds.xid_age_info));
    let (severity, threshold) = thresholds.xid_age.rung(age).or(info)?;
    let here = tables.iter().filter(|table| table.database == database.name && !table.table.is_empty());
    let oldest = here.max_by_key(|table| (counter.of_table)(table));
    let name = counter.name;
    let mut evidence = vec![
        Evidence {
            critical: Some(thresholds.xid_age.critical),
            ..Evidence::against(format!("age of the oldest {name}"), age, threshold, Unit::Transactions)
        },
        Evidence::fact(format!("used of all {name}s"), age / END, Unit::Ratio),
    ];
    let mut clauses = vec![format!(
        "database {} on {} has used {} of its {name}s ({}); at 100% it refuses writes",
        database.name,
        place.name(),
        percent(age / END),
        count(age)
    )];
    let vacuum = oldest.and_then(|table| {
        let named = format!("{}.{}", table.schema, table.table);
        clauses.push(format!("oldest table {named}"));
        let age = f64::from((counter.of_table)(table));
        evidence.push(Evidence::fact(format!("age of {named}"), age, Unit::Transactions));
        let vacuum = format!("VACUUM (FREEZE) {};", qualified(&table.schema, &table.table));
        place.instance.pasted(&database.name, vacuum)
    });
    Some(Raised {
        severity,
        subject: place.about(SubjectKind::Database, &foreign::sanitise(database.name.raw())),
        summary: clauses.join("; "),
        evidence,
        advice: format!(
            "End what holds vacuum back (old transactions, prepared transactions, replication slots), then freeze its oldest tables, in {}.",
            database.name
        ),
        statement: vacuum,
        since: None,
        culprits: oldest.and_then(|table| place.owner(&table.database, &table.schema)).into_iter().collect(),
        victims: Vec::new(),
        rests_on: vec![Source::Databases],
    })
}

/// As CloudWatch has it: of the worst database, without its name. One that was the worst when PostgreSQL spoke last still is, or
/// the same would be told twice.
fn by_cloudwatch(scene: &Scene<'_>, place: &Place<'_>) -> Option<Raised> {
    let thresholds = scene.thresholds;
    let age = Figures::beside(place, scene.now)?.newest(Metric::MaximumUsedTransactionIds).ok()?.value;
    let info = (age >= thresholds.xid_age_info).then_some((Severity::Info, thresholds.xid_age_info));
    let (severity, threshold) = thresholds.xid_age.rung(age).or(info)?;
    let databases = place.instance.databases.value.as_ref().map_or(&[][..], |databases| databases.as_slice());
    let worst = databases.iter().max_by_key(|database| database.xid_age);
    let (subject, what) = match worst {
        Some(worst) => {
            let subject = place.about(SubjectKind::Database, &foreign::sanitise(worst.name.raw()));
            (subject, format!("database {} on {}", worst.name, place.name()))
        }
        None => (place.subject(), format!("a database on {}", place.name())),
    };
    let (used, old) = (percent(age / END), count(age));
    Some(Raised {
        severity,
        subject,
        summary: format!("{what} has used {used} of its transaction ids ({old}, by CloudWatch); at 100% it refuses writes"),
        evidence: vec![
            Evidence {
                critical: Some(thresholds.xid_age.critical),
                ..Evidence::against("age of the oldest transaction id", age, threshold, Unit::Transactions)
            },
            Evidence::fact("used of all transaction ids", age / END, Unit::Ratio),
        ],
        advice: "Get PostgreSQL to answer again (tierdeck doctor): it says which table is the oldest and who holds vacuum back."
            .to_owned(),
        statement: None,
        since: None,
        culprits: Vec::new(),
        victims: Vec::new(),
        rests_on: vec![Source::Metrics],
    })
}
