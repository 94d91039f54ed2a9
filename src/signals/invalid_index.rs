//! `invalid-index`: an index that is written to and never used: what a `CREATE INDEX CONCURRENTLY` that failed leaves
//! behind. One that is being built is not this.

use crate::domain::facts::{InvalidIndex as Fact, Source};
use crate::domain::quantity::bytes;
use crate::domain::{Evidence, Severity, Signal, SubjectKind, Unit};

use super::words::qualified;
use super::{Check, Place, Raised, Scene, Tour, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct InvalidIndex;

impl Check for InvalidIndex {
    fn signal(&self) -> Signal {
        Signal::InvalidIndex
    }

    fn about(&self) -> &'static str {
        "An index is not valid and not being built: info; warning where it should keep something unique"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Index]
    }

    fn holds(&self) -> bool {
        false
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let observed = &place.instance.catalog;
            let Some(catalog) = verdicts.seen(self.signal(), place, Source::Catalog, observed, scene.now) else {
                continue;
            };
            verdicts.partly_seen(
                self.signal(),
                place,
                Source::Catalog,
                &Tour::of(catalog, place.instance.catalog.every),
                scene.now,
            );
            for index in catalog.invalid_indexes.iter().filter(|index| !index.building) {
                verdicts.raised.push(raise(place, index));
            }
        }
    }
}

fn raise(place: &Place<'_>, fact: &Fact) -> Raised {
    let Fact { database, schema, table, index, .. } = fact;
    let owner = place.owner(database, schema);
    let subject = place.within(SubjectKind::Index, database, &format!("{}.{}", schema.raw(), index.raw()));
    let whose =
        owner.as_ref().map_or_else(|| format!("index {}", subject.id), |tenant| format!("{tenant}: index {index}"));
    let name = qualified(schema, index);
    // What REINDEX CONCURRENTLY leaves behind has a valid twin, or is one that was replaced already.
    let left_over = ["_ccnew", "_ccold"].iter().any(|mark| index.raw().contains(mark));
    let (advice, statement) = if left_over {
        (
            format!("Drop it in {database}: a REINDEX that failed left it, the index itself is there."),
            format!("DROP INDEX CONCURRENTLY {name};"),
        )
    } else if fact.unique {
        // REINDEX fails on duplicates as the first attempt did, and leaves a second index like this one.
        (
            format!(
                "Look for duplicates in its columns in {database} first: they are why it could not be built. None: REINDEX \
                 INDEX CONCURRENTLY it; else drop it, settle them, and create it anew."
            ),
            format!("DROP INDEX CONCURRENTLY {name};"),
        )
    } else {
        (
            format!("Build it again in {database} while everybody works, or drop it if nobody misses it."),
            format!("REINDEX INDEX CONCURRENTLY {name};"),
        )
    };
    let unique = if fact.unique && !left_over { "; what it should keep unique may not be" } else { "" };
    Raised {
        severity: if fact.unique && !left_over { Severity::Warning } else { Severity::Info },
        subject,
        summary: format!(
            "{whose} of {table} on {} is invalid: written to, never used ({}){unique}",
            place.name(),
            bytes(fact.bytes)
        ),
        evidence: vec![Evidence::fact("size", fact.bytes as f64, Unit::Bytes)],
        advice,
        statement: place.instance.pasted(database, statement),
        since: None,
        culprits: owner.into_iter().collect(),
        victims: Vec::new(),
        rests_on: vec![Source::Catalog],
    }
}
