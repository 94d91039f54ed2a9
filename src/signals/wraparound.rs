//! `wraparound`: a database whose oldest transaction id nears the end of the ids; at the end the server refuses writes.

use crate::domain::facts::{Database, OldestTable, Source};
use crate::domain::quantity::{count, percent};
use crate::domain::{Evidence, Severity, Signal, SubjectKind, Unit, foreign};

use super::words::quoted;
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

    fn holds(&self) -> bool {
        false
    }

    fn check(&self, scene: &Scene<'_>, verdicts: &mut Verdicts) {
        let thresholds = scene.thresholds;
        for place in scene.places() {
            let instance = place.instance;
            let Some(databases) =
                verdicts.seen(self.signal(), &place, Source::Databases, &instance.databases, scene.now)
            else {
                continue;
            };
            for database in databases.iter() {
                let age = f64::from(database.xid_age);
                let info = (age >= thresholds.xid_age_info).then_some((Severity::Info, thresholds.xid_age_info));
                if let Some((severity, threshold)) = thresholds.xid_age.rung(age).or(info) {
                    // Only names the table: an old answer is better than none, and its age does not matter here.
                    let tables = instance.freeze.value.as_ref().map_or(&[][..], |freeze| freeze.tables.as_slice());
                    let oldest =
                        tables.iter().filter(|table| table.database == database.name && !table.table.is_empty());
                    let oldest = oldest.max_by_key(|table| table.xid_age);
                    verdicts.raised.push(raise(&place, database, oldest, severity, threshold));
                }
            }
        }
    }
}

fn raise(
    place: &Place<'_>,
    database: &Database,
    oldest: Option<&OldestTable>,
    severity: Severity,
    threshold: f64,
) -> Raised {
    let age = f64::from(database.xid_age);
    let mut evidence = vec![
        Evidence::against("age of the oldest transaction id", age, threshold, Unit::Transactions),
        Evidence::fact("used of all transaction ids", age / END, Unit::Ratio),
    ];
    let mut clauses = vec![format!(
        "database {} on {} has used {} of its transaction ids ({}); at 100% it refuses writes",
        database.name,
        place.name(),
        percent(age / END),
        count(age)
    )];
    let vacuum = if let Some(table) = oldest {
        let name = format!("{}.{}", table.schema, table.table);
        clauses.push(format!("oldest table {name}"));
        evidence.push(Evidence::fact(format!("age of {name}"), f64::from(table.xid_age), Unit::Transactions));
        Some(format!("VACUUM (FREEZE) {}.{};", quoted(table.schema.raw()), quoted(table.table.raw())))
    } else {
        None
    };
    Raised {
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
    }
}
