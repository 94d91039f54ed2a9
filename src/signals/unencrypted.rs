//! `unencrypted`: an instance, a snapshot or a recovery point is not encrypted at rest. That of an instance cannot be changed: it is made
//! anew from an encrypted copy.
//!
//! Sources: Amazon RDS User Guide, "Encrypting Amazon RDS resources" and its limitations; AWS Backup Developer Guide, "Encryption for
//! backups" (points of RDS have the encryption of what they are of: that of their vault changes nothing).

use crate::domain::facts::Source;
use crate::domain::facts::cloud::Part;
use crate::domain::quantity::plural;
use crate::domain::{Evidence, Severity, Signal, SubjectKind, Unit};

use super::blame::{named, sole};
use super::told::{Told, command};
use super::{Check, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct Unencrypted;

impl Check for Unencrypted {
    fn signal(&self) -> Signal {
        Signal::Unencrypted
    }

    fn about(&self) -> &'static str {
        "An instance, a snapshot or a recovery point is not encrypted at rest: warning"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Instance]
    }

    fn holds(&self) -> bool {
        false
    }

    fn grounds(&self) -> Option<&'static [Source]> {
        Some(&[Source::Rds, Source::Snapshots, Source::Backups])
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let signal = self.signal();
            let Some(told) = Told::of(signal, scene, place, verdicts) else { continue };
            let rds = told.rds(signal, verdicts);
            let snapshots = verdicts.told(signal, place, Source::Snapshots, &told.cloud.snapshots, scene.now);
            let backups = verdicts.told(signal, place, Source::Backups, &told.cloud.backups, scene.now);
            let open = Open {
                instance: rds.is_some_and(|rds| rds.encrypted == Some(false)),
                // What is being made says so when it is done.
                snapshots: snapshots
                    .into_iter()
                    .flat_map(|it| &it.snapshots)
                    .filter(|it| it.encrypted == Some(false) && it.status.raw() == "available")
                    .map(|it| it.identifier.raw())
                    .collect(),
                points: backups
                    .into_iter()
                    .flat_map(|it| &it.points)
                    .filter(|it| !it.encrypted && it.status.raw() == "COMPLETED")
                    .count(),
            };
            let untold = snapshots.into_iter().flat_map(|it| &it.snapshots).any(|it| it.encrypted.is_none());
            if untold || rds.is_some_and(|rds| rds.encrypted.is_none()) {
                let reason = "AWS does not tell of all whether they are encrypted".to_owned();
                verdicts.untold(signal, place, Source::Rds, reason, None);
            }
            if backups.is_some_and(|backups| backups.lacks(Part::is_of_points)) {
                let reason = "whether all recovery points are encrypted is not known: not all may be read".to_owned();
                verdicts.untold(signal, place, Source::Backups, reason, None);
            }
            if open.count() > 0 {
                verdicts.raised.push(raise(told, &open));
            }
        }
    }
}

/// What lies open.
struct Open<'a> {
    instance: bool,
    snapshots: Vec<&'a str>,
    points: usize,
}

impl Open<'_> {
    fn count(&self) -> usize {
        usize::from(self.instance) + self.snapshots.len() + self.points
    }

    fn copies(&self) -> Vec<String> {
        let snapshots = (!self.snapshots.is_empty()).then(|| plural(self.snapshots.len(), "snapshot"));
        snapshots.into_iter().chain((self.points > 0).then(|| plural(self.points, "recovery point"))).collect()
    }
}

fn raise(told: Told<'_>, open: &Open<'_>) -> Raised {
    let place = told.place;
    let (name, copies) = (named(place), open.copies().join(" and "));
    let summary = match (open.instance, copies.is_empty()) {
        (true, true) => format!("{name} is not encrypted at rest"),
        (true, false) => format!("{name} is not encrypted at rest, nor {copies} of it"),
        (false, _) => format!("{name} has {copies} not encrypted at rest, though it is itself"),
    };
    Raised {
        severity: Severity::Warning,
        subject: place.subject(),
        summary,
        evidence: vec![Evidence::against("not encrypted", open.count() as f64, 1.0, Unit::Count)],
        advice: advice(told, open),
        statement: None,
        since: None,
        culprits: Vec::new(),
        victims: sole(place).into_iter().collect(),
        rests_on: vec![Source::Rds, Source::Snapshots, Source::Backups],
    }
}

fn advice(told: Told<'_>, open: &Open<'_>) -> String {
    let identifier = &*told.cloud.identifier;
    let key = "alias/aws/rds";
    let copy = |from: &str| {
        let to = format!("{identifier}-encrypted");
        let of = [
            ("--source-db-snapshot-identifier", from),
            ("--target-db-snapshot-identifier", &*to),
            ("--kms-key-id", key),
        ];
        command(told.cloud, "rds copy-db-snapshot", &of)
    };
    if open.instance {
        let from = format!("{identifier}-open");
        let of = [("--db-instance-identifier", identifier), ("--db-snapshot-identifier", &*from)];
        let snapshot = command(told.cloud, "rds create-db-snapshot", &of);
        return format!(
            "It cannot be switched on: in a maintenance window {snapshot}, then {}, restore that beside it (your own key instead of {key}) \
             and move over.",
            copy(&from)
        );
    }
    match open.snapshots.first() {
        Some(first) => format!("Copy what is still needed ({}), and delete the open ones.", copy(first)),
        None => "They are of before it was encrypted: points of RDS have the encryption of what they are of, and no key of their vault \
                 changes that. Those made since are encrypted; delete the open ones that nobody needs, the others go with their lifecycle."
            .to_owned(),
    }
}
