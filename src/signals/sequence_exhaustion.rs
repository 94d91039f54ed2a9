//! `sequence-exhaustion`: a sequence, or the identity column that it feeds, nears its last value; then every INSERT fails.
//! Mostly an `integer` key that nobody thought would see two billion rows.

use crate::domain::facts::{Sequence, Source};
use crate::domain::quantity::{count, percent, plural};
use crate::domain::{Evidence, Severity, Signal, SubjectKind, Unit};

use super::words::qualified;
use super::{Check, Place, Raised, Scene, Tour, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct SequenceExhaustion;

impl Check for SequenceExhaustion {
    fn signal(&self) -> Signal {
        Signal::SequenceExhaustion
    }

    fn about(&self) -> &'static str {
        "A sequence or identity column has used 75% of its values; critical at 90%"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Sequence]
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
            if catalog.hidden_sequences > 0 {
                let many = plural(catalog.hidden_sequences as usize, "sequence");
                let reason = format!("{many} whose last value our login may not read: GRANT pg_read_all_data to it");
                verdicts.hidden(self.signal(), place, &reason);
            }
            for sequence in &catalog.sequences {
                if let Some((severity, _)) = scene.thresholds.sequence_used.rung(sequence.used()) {
                    verdicts.raised.push(raise(scene, place, sequence, severity));
                }
            }
        }
    }
}

fn raise(scene: &Scene<'_>, place: &Place<'_>, sequence: &Sequence, severity: Severity) -> Raised {
    let Sequence { database, schema, name, column, bound_by, .. } = sequence;
    let owner = place.owner(database, schema);
    let used = sequence.used();
    let about = if sequence.estimated { "~" } else { "" };
    let left = (sequence.end as f64 - sequence.last as f64).abs();
    let subject = place.within(SubjectKind::Sequence, database, &format!("{}.{}", schema.raw(), name.raw()));
    let whose = owner.as_ref().map_or_else(|| subject.id.clone(), |tenant| format!("{tenant}: {name}"));
    let feeds = column.as_ref().map(|column| format!(", which feeds {column},")).unwrap_or_default();
    let (advice, statement) = match column {
        Some(column) => (
            format!(
                "Make {column} a bigint in {database}: ALTER COLUMN TYPE rewrites the table under an exclusive lock, so on a \
                 large one add a bigint column, fill it in batches and swap; columns that refer to it as well."
            ),
            None,
        ),
        None => (
            format!("Make it a bigint sequence in {database}, and whatever keeps its values as well."),
            Some(format!("ALTER SEQUENCE {} AS bigint;", qualified(schema, name))).filter(|_| &**bound_by != "bigint"),
        ),
    };
    Raised {
        severity,
        subject,
        summary: format!(
            "{whose} ({bound_by}){feeds} on {} has used {about}{} of its values, {about}{} left; then every INSERT fails",
            place.name(),
            percent(used),
            count(left)
        ),
        evidence: vec![
            Evidence::on(
                format!("used of all values{}", if sequence.estimated { " (~)" } else { "" }),
                used,
                scene.thresholds.sequence_used,
                Unit::Ratio,
            ),
            Evidence::fact("last value", sequence.last as f64, Unit::Number),
            Evidence::fact("last that it can give", sequence.end as f64, Unit::Number),
        ],
        advice,
        statement: statement.and_then(|statement| place.instance.pasted(database, statement)),
        since: None,
        culprits: owner.into_iter().collect(),
        victims: Vec::new(),
        rests_on: vec![Source::Catalog],
    }
}
