//! `inactive-slot`: a replication slot that nobody reads keeps WAL, without end where `max_slot_wal_keep_size` does not
//! bound it, until it fills the disk that every tenant writes to; where it does, the slot is lost instead.

use crate::domain::facts::{Replication, Slot, Source};
use crate::domain::quantity::{bytes, percent};
use crate::domain::{Evidence, Severity, Signal, SubjectKind, TenantId, Unit};

use super::words::exact;
use super::{Check, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct InactiveSlot;

impl Check for InactiveSlot {
    fn signal(&self) -> Signal {
        Signal::InactiveSlot
    }

    fn about(&self) -> &'static str {
        "A slot without reader keeps 50% of max_slot_wal_keep_size (else 1 GiB); critical at 90% (10 GiB)"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Slot]
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let observed = &place.instance.replication;
            let Some(replication) = verdicts.seen(self.signal(), place, Source::Replication, observed, scene.now)
            else {
                continue;
            };
            for slot in replication.slots.iter().filter(|slot| !slot.temporary && !slot.active) {
                verdicts.raised.push(raise(scene, place, replication, slot));
            }
        }
    }
}

fn raise(scene: &Scene<'_>, place: &Place<'_>, replication: &Replication, slot: &Slot) -> Raised {
    let thresholds = scene.thresholds;
    let kept = slot.retained_bytes.map(|kept| kept as f64);
    let limit = replication.slot_limit_bytes.map(|limit| limit as f64).filter(|limit| *limit > 0.0);
    let mut evidence = Vec::new();
    let mut severity = Severity::Info;
    if let Some(kept) = kept {
        if let Some(limit) = limit {
            let share = kept / limit;
            severity = thresholds.slot_share.rung(share).map_or(severity, |(severity, _)| severity);
            evidence.push(Evidence::on("kept of max_slot_wal_keep_size", share, thresholds.slot_share, Unit::Ratio));
            evidence.push(Evidence::fact("WAL kept", kept, Unit::Bytes));
        } else {
            severity = thresholds.slot_bytes.rung(kept).map_or(severity, |(severity, _)| severity);
            evidence.push(Evidence::on("WAL kept", kept, thresholds.slot_bytes, Unit::Bytes));
        }
    }
    let status = slot.wal_status.as_deref();
    let lost = status == Some("lost") || slot.invalidated.is_some();
    let name = &slot.name;
    let keeps = match (kept, limit) {
        (Some(kept), Some(limit)) => {
            format!("keeps {} of WAL, {} of what it may", bytes(kept as u64), percent(kept / limit))
        }
        (Some(kept), None) => format!("keeps {} of WAL, and nothing bounds it but the disk", bytes(kept as u64)),
        (None, _) => "keeps an unknown amount of WAL".to_owned(),
    };
    let state = if lost {
        // What is lost keeps nothing any more: no disk is filled by it.
        severity = Severity::Warning;
        let why = slot.invalidated.as_deref().unwrap_or("wal_removed");
        format!("is lost ({}): its reader must be set up anew", crate::domain::foreign::sanitise(why))
    } else if status == Some("unreserved") {
        severity = Severity::Critical;
        format!("is about to be lost: {keeps}")
    } else {
        keeps
    };
    if let Some(safe) = slot.safe_bytes.filter(|_| !lost) {
        evidence.push(Evidence::fact("may still be written before it is lost", safe as f64, Unit::Bytes));
    }
    if evidence.is_empty() {
        evidence.push(Evidence::fact("readers", 0.0, Unit::Count));
    }
    let kind = if slot.plugin.is_some() { "logical" } else { "physical" };
    let of = slot.database.as_ref().map(|database| format!(" of database {database}")).unwrap_or_default();
    Raised {
        severity,
        subject: place.about(SubjectKind::Slot, name.raw()),
        summary: format!("nobody reads the {kind} slot {name}{of} on {}: it {state}", place.name()),
        evidence,
        advice: if lost {
            "Drop it, and set its reader up anew from a fresh copy.".to_owned()
        } else if severity == Severity::Info {
            "Start its reader again; drop it only if there will be none: what it had still to read is lost, and a reader that \
             lost its connection a moment ago wants it back."
                .to_owned()
        } else {
            "Start its reader again, or drop it if there will be none; max_slot_wal_keep_size bounds what the next one keeps."
                .to_owned()
        },
        statement: exact(name.raw()).and_then(|name| {
            let drop = format!(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = {name} AND NOT active;"
            );
            // A logical slot is dropped in its own database.
            match &slot.database {
                Some(database) => place.instance.pasted(database, drop),
                None => Some(drop),
            }
        }),
        since: slot.inactive_since.map(Into::into),
        culprits: owner(place, slot).into_iter().collect(),
        victims: Vec::new(),
        rests_on: vec![Source::Replication],
    }
}

/// A logical slot belongs to a database: where each tenant has one, to its tenant.
pub(super) fn owner(place: &Place<'_>, slot: &Slot) -> Option<TenantId> {
    slot.database.as_ref().and_then(|database| place.owner(database, &crate::domain::Foreign::default()))
}
