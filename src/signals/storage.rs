//! `storage`: an instance runs out of disk, or has run out (`storage-full`: it refuses writes, and soon connections). Where
//! storage grows by itself, what counts is how far it may.
//!
//! Sources: Amazon RDS User Guide, "Managing capacity automatically with Amazon RDS storage autoscaling" (it grows once 10% or less
//! is left for five minutes, and then not for six hours), "Viewing DB instance status", and "Recommended alarms" of CloudWatch.

use crate::domain::facts::Source;
use crate::domain::facts::cloud::{Cloud, Filling, Metric, Rds};
use crate::domain::quantity::{bytes, duration, percent};
use crate::domain::{Evidence, Severity, Signal, SubjectKind, Tenant, Tier, Unit};

use super::blame::{Blame, WRITES, named};
use super::cluster::is_of_a_cluster;
use super::told::{Figures, Told, command};
use super::{Check, Place, Raised, Scene, Verdicts};

const GIB: f64 = 1_073_741_824.0;

/// What takes so much of the disk is worth a word.
const MUCH: f64 = 0.2;

/// The check.
#[derive(Debug)]
pub(super) struct Storage;

impl Check for Storage {
    fn signal(&self) -> Signal {
        Signal::Storage
    }

    fn about(&self) -> &'static str {
        "The disk is 85% full or will be full in 4 days; critical at 95%, in 6 hours, or when RDS says full"
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
            let fresh = told.rds(self.signal(), verdicts);
            let figures = told.figures(self.signal(), verdicts);
            // How much it has changes rarely: an old word will do.
            let Some(rds) = fresh.or(told.cloud.rds.value.as_deref()) else { continue };
            if is_of_a_cluster(self.signal(), place, rds, verdicts) {
                continue;
            }
            let full = fresh.is_some_and(|rds| rds.status.raw() == "storage-full");
            let disk = figures.map(|figures| Disk::of(told, figures));
            match disk {
                Some(Ok(disk)) => verdicts.raised.extend(raise(scene, told, rds, Some(&disk), full)),
                Some(Err(reason)) => {
                    verdicts.untold(self.signal(), place, Source::Metrics, reason, None);
                    verdicts.raised.extend(raise(scene, told, rds, None, full));
                }
                None => verdicts.raised.extend(raise(scene, told, rds, None, full)),
            }
        }
    }
}

/// A disk in figures.
struct Disk {
    filling: Filling,
    wal: Option<f64>,
    slot: Option<f64>,
}

impl Disk {
    fn of(told: Told<'_>, figures: Figures<'_>) -> Result<Self, String> {
        figures.newest(Metric::FreeStorageSpace)?;
        let filling = told.cloud.filling(told.now).ok_or("how much storage it has is not known")?;
        let newest = |metric| figures.newest(metric).ok().map(|point| point.value);
        Ok(Self {
            filling,
            wal: newest(Metric::TransactionLogsDiskUsage),
            slot: newest(Metric::OldestReplicationSlotLag),
        })
    }

    fn evidence(&self, scene: &Scene<'_>) -> Vec<Evidence> {
        let of = if self.filling.grows() { "storage used of what it may grow to" } else { "storage used" };
        let mut evidence = vec![
            Evidence::on(of, self.filling.share(), scene.thresholds.storage, Unit::Ratio),
            Evidence::fact("storage left", self.filling.free.value, Unit::Bytes),
            Evidence::fact("storage", self.filling.all, Unit::Bytes),
        ];
        let facts = [
            ("may grow to", Some(self.filling.ceiling).filter(|_| self.filling.grows()), Unit::Bytes),
            ("full in", self.filling.full_in, Unit::Seconds),
            ("WAL", self.wal, Unit::Bytes),
            ("WAL that the slowest slot keeps", self.slot.filter(|slot| *slot > 0.0), Unit::Bytes),
        ];
        evidence.extend(facts.into_iter().filter_map(|(name, value, unit)| Some(Evidence::fact(name, value?, unit))));
        evidence
    }

    /// What takes much of it beside the tenants' data.
    fn cause(&self) -> String {
        let much = |part: Option<f64>| part.filter(|part| *part >= self.filling.used() * MUCH && *part >= GIB);
        match (much(self.slot), much(self.wal)) {
            (Some(slot), _) => format!("; a replication slot keeps {} of WAL", bytes(slot as u64)),
            (None, Some(wal)) => format!("; WAL takes {} of it", bytes(wal as u64)),
            (None, None) => String::new(),
        }
    }
}

fn raise(scene: &Scene<'_>, told: Told<'_>, rds: &Rds, disk: Option<&Disk>, full: bool) -> Option<Raised> {
    let filling = disk.map(|disk| disk.filling);
    let by_figures = filling.and_then(|filling| filling.severity(scene.thresholds));
    let severity = if full { Some(Severity::Critical) } else { by_figures }?;
    let place = told.place;
    let fills = filling.is_some_and(|filling| filling.full_in.is_some());
    let cause = disk.map(Disk::cause).unwrap_or_default();
    // What was written in the last minute is a hint, and none where it is WAL that fills it.
    let mut blame = Blame::hint(place, if fills && cause.is_empty() { &[WRITES] } else { &[] });
    let biggest = place.tenants.iter().filter_map(|tenant: &&Tenant| Some((tenant.size_bytes?, &tenant.id))).max();
    if let Some((size, tenant)) = biggest.filter(|_| blame.first.is_none() && place.instance.tier == Tier::Shared) {
        blame.words = format!("; biggest is {tenant} with {}", bytes(size));
    }
    let name = named(place);
    let mut clauses = vec![if full {
        format!("{name} is full (storage-full): it refuses writes")
    } else if let Some(filling) = filling {
        let left = format!("{} of {} left", bytes(filling.free.value.max(0.0) as u64), bytes(filling.all as u64));
        if filling.grows() {
            format!(
                "{name} has used {} of the {} that it may grow to ({left} now)",
                percent(filling.share()),
                bytes(filling.ceiling as u64)
            )
        } else {
            format!("{name} has used {} of its storage ({left})", percent(filling.share()))
        }
    } else {
        return None;
    }];
    if let Some(seconds) = filling.and_then(|filling| filling.full_in).filter(|_| !full) {
        clauses.push(format!("full in {}", duration(seconds)));
    }
    if filling.is_some_and(|filling| filling.is_stuck()) && !full {
        clauses.push("it should have grown by itself".to_owned());
    }
    let alarm = told.alarm(&[Metric::FreeStorageSpace]);
    let full_words = Evidence::against("storage-full", 1.0, 1.0, Unit::Count);
    let mut evidence: Vec<Evidence> = full.then_some(full_words).into_iter().collect();
    evidence.extend(disk.into_iter().flat_map(|disk| disk.evidence(scene)));
    Some(Raised {
        severity,
        subject: place.subject(),
        summary: format!("{}{cause}{}{alarm}", clauses.join("; "), blame.words),
        evidence,
        advice: advice(told.cloud, rds, filling, &cause),
        statement: None,
        since: None,
        culprits: blame.culprits,
        victims: Vec::new(),
        rests_on: vec![Source::Metrics, Source::Rds],
    })
}

/// More storage, in the smallest step that RDS takes and that lasts: it can never be made less again.
fn advice(cloud: &Cloud, rds: &Rds, filling: Option<Filling>, cause: &str) -> String {
    let first = if cause.contains("slot") { "Find who should read that slot, or drop it; " } else { "" };
    if rds.status.raw() == "storage-optimization" {
        return format!(
            "{first}RDS is still optimising it after the last change, and changes it no further for six hours: free space now."
        );
    }
    let step = |gib: f64| format!("{:.0}", ((gib * 1.25) / 10.0).ceil() * 10.0);
    let identifier = ("--db-instance-identifier", &*cloud.identifier);
    let now = ("--apply-immediately", "");
    let Some(gib) = rds.storage.allocated_gib.map(f64::from) else {
        return format!("{first}order more storage (aws rds modify-db-instance --allocated-storage …), or free some.");
    };
    let grows = filling.is_some_and(|filling| filling.grows());
    let ceiling = rds.storage.max_allocated_gib.map_or(gib, f64::from);
    let (option, size) =
        if grows { ("--max-allocated-storage", step(ceiling)) } else { ("--allocated-storage", step(gib)) };
    let modify = command(cloud, "rds modify-db-instance", &[identifier, (option, &size), now]);
    let does = if grows { "lets it grow further" } else { "gives it more, without an outage and for good" };
    let text = format!("{first}{modify} {does}.");
    // A sentence begins with a capital, a command does not.
    if first.is_empty() { format!("Drop what nobody needs, or: {text}") } else { text }
}
