//! `bloat`: tables and indexes that take far more space than their rows need. Big and much: a small table is never worth a
//! rewrite, and a tenth may be padding. One finding a tenant, about its worst; the figures are estimates.

use std::collections::BTreeMap;

use crate::domain::facts::{BloatEstimate, Source};
use crate::domain::quantity::{bytes, percent, plural};
use crate::domain::{Evidence, Severity, Signal, Subject, SubjectKind, TenantId, Unit};

use super::words::{is_plain, more_like_it, qualified};
use super::{Check, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct Bloat;

impl Check for Bloat {
    fn signal(&self) -> Signal {
        Signal::Bloat
    }

    fn about(&self) -> &'static str {
        "A table or an index wastes an estimated 30% of its space, and 1 GiB at least"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Tenant, SubjectKind::Table, SubjectKind::Index]
    }

    fn holds(&self) -> bool {
        false
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let Some(bloat) = verdicts.seen(self.signal(), place, Source::Bloat, &place.instance.bloat, scene.now)
            else {
                continue;
            };
            if bloat.hidden > 0 {
                let tables = plural(bloat.hidden as usize, "large table");
                verdicts.hidden(
                    self.signal(),
                    place,
                    &format!(
                        "{tables} without statistics that our login may see: GRANT pg_read_all_data to it, or ANALYZE"
                    ),
                );
            }
            let mut wasteful: BTreeMap<Subject, (Option<TenantId>, Vec<&BloatEstimate>)> = BTreeMap::new();
            for estimate in &bloat.worst {
                let much = estimate.wasted as f64 >= scene.thresholds.bloat_min_bytes;
                if !much || share(estimate) < scene.thresholds.bloat_share {
                    continue;
                }
                let owner = place.owner(&estimate.database, &estimate.schema);
                let subject = owner.as_ref().map_or_else(
                    || {
                        let kind = if estimate.index.is_some() { SubjectKind::Index } else { SubjectKind::Table };
                        let name = format!("{}.{}", estimate.schema.raw(), name(estimate).raw());
                        place.within(kind, &estimate.database, &name)
                    },
                    |tenant| place.about(SubjectKind::Tenant, tenant.as_str()),
                );
                wasteful.entry(subject).or_insert_with(|| (owner, Vec::new())).1.push(estimate);
            }
            for (subject, (owner, estimates)) in wasteful {
                verdicts.raised.extend(raise(scene, place, subject, owner, &estimates));
            }
        }
    }
}

fn share(estimate: &BloatEstimate) -> f64 {
    estimate.wasted as f64 / estimate.bytes.max(1) as f64
}

/// The index, or the table.
fn name(estimate: &BloatEstimate) -> &crate::domain::Foreign {
    estimate.index.as_ref().unwrap_or(&estimate.table)
}

fn raise(
    scene: &Scene<'_>,
    place: &Place<'_>,
    subject: Subject,
    owner: Option<TenantId>,
    estimates: &[&BloatEstimate],
) -> Option<Raised> {
    let worst = estimates.iter().copied().max_by_key(|it| (it.wasted, std::cmp::Reverse(name(it))))?;
    let BloatEstimate { database, schema, table, index, .. } = worst;
    let kind = if index.is_some() { "index " } else { "" };
    let named = owner
        .as_ref()
        .map_or_else(|| format!("{kind}{}", subject.id), |tenant| format!("{tenant}: {kind}{}", name(worst)));
    let (advice, statement) = if let Some(index) = index {
        (
            format!("Rebuild it in {database} while everybody works; that takes its size in free disk meanwhile."),
            Some(format!("REINDEX INDEX CONCURRENTLY {};", qualified(schema, index))),
        )
    } else {
        // A tenant chose these names, and a shell reads more into them than PostgreSQL does.
        let how = if [database, schema, table].iter().all(|name| is_plain(name.raw())) {
            format!("pg_repack -k -d {database} -t {schema}.{table}")
        } else {
            format!("pg_repack that table of {database}")
        };
        let words = format!(
            "Rewrite it while everybody works: {how} (its size in free disk meanwhile); VACUUM FULL locks it for all that \
             time, and a plain VACUUM gives nothing back."
        );
        (words, None)
    };
    Some(Raised {
        severity: Severity::Warning,
        subject,
        summary: format!(
            "{named} on {} wastes ~{} of its {} (~{}){}",
            place.name(),
            percent(share(worst)),
            bytes(worst.bytes),
            bytes(worst.wasted),
            more_like_it(estimates.len() - 1, "more")
        ),
        evidence: vec![
            Evidence::against("wasted share (~)", share(worst), scene.thresholds.bloat_share, Unit::Ratio),
            Evidence::against("wasted (~)", worst.wasted as f64, scene.thresholds.bloat_min_bytes, Unit::Bytes),
            Evidence::fact("size", worst.bytes as f64, Unit::Bytes),
        ],
        advice,
        statement: statement.and_then(|statement| place.instance.pasted(database, statement)),
        since: None,
        culprits: owner.into_iter().collect(),
        victims: Vec::new(),
        rests_on: vec![Source::Bloat],
    })
}
