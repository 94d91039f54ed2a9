//! `retention`: backups are kept for fewer days than the policy of the environment wants. RDS's automated backups are what a moment is
//! restored from; daily recovery points of AWS Backup that are kept for long enough make it less bad, and do not replace them.
//!
//! Source: Amazon RDS User Guide, "Backup retention period" (0 to 35 days; from or to 0 is an outage).

use crate::domain::facts::Source;
use crate::domain::facts::cloud::{Part, Protection};
use crate::domain::quantity::plural;
use crate::domain::{Evidence, Severity, Signal, SubjectKind, Unit};

use super::blame::{named, sole};
use super::cluster::is_of_a_cluster;
use super::told::{Told, command};
use super::{Check, Place, Raised, Scene, Verdicts};

/// What RDS keeps at the most.
const MOST: u32 = 35;

/// The check.
#[derive(Debug)]
pub(super) struct Retention;

impl Check for Retention {
    fn signal(&self) -> Signal {
        Signal::Retention
    }

    fn about(&self) -> &'static str {
        "Backups are kept for fewer days than policy.backup.retention_days says; critical: for none"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Instance]
    }

    fn holds(&self) -> bool {
        false
    }

    fn grounds(&self) -> Option<&'static [Source]> {
        Some(&[Source::Rds, Source::Backups])
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let Some(told) = Told::of(self.signal(), scene, place, verdicts) else { continue };
            let Some(rds) = told.rds(self.signal(), verdicts) else { continue };
            // A replica's data are its source's.
            if rds.replica_of.is_some() || is_of_a_cluster(self.signal(), place, rds, verdicts) {
                continue;
            }
            let Some(wanted) = scene.policy.backup.retention(scene.environment) else { continue };
            // RDS cannot keep more: for that there is AWS Backup.
            let least = wanted.min(MOST);
            let Some(days) = rds.retention_days else {
                let reason = "RDS does not tell for how many days it keeps backups".to_owned();
                verdicts.untold(self.signal(), place, Source::Rds, reason, None);
                continue;
            };
            if days < least {
                verdicts.raised.push(raise(scene, told, days, wanted));
            }
        }
    }
}

/// Whose plan keeps points for long enough.
fn keeps(told: Told<'_>, wanted: u32) -> Option<&Protection> {
    let backups = told.cloud.backups.fresh(told.now)?;
    let all = backups.protections.iter().flatten();
    // No lifecycle: for ever.
    all.into_iter().filter(|plan| plan.is_daily()).find(|plan| plan.days.is_none_or(|days| days >= wanted))
}

fn raise(scene: &Scene<'_>, told: Told<'_>, days: u32, wanted: u32) -> Raised {
    let place = told.place;
    let plan = keeps(told, wanted);
    let unknown = told
        .cloud
        .backups
        .fresh(told.now)
        .is_none_or(|backups| backups.protections.is_none() || backups.lacks(Part::is_of_plans));
    let severity = match (plan, days) {
        (Some(_), 1..) => Severity::Info,
        (Some(_), 0) | (None, 1..) => Severity::Warning,
        (None, 0) => Severity::Critical,
    };
    let kept = match days {
        0 => "has no automated backups (retention 0): no moment of it can be restored".to_owned(),
        days => format!("keeps automated backups for {}", plural(days as usize, "day")),
    };
    let beside = match plan {
        Some(plan) => {
            let name: String = plan.plan.shown().chars().take(40).collect();
            let days = plan.days.map_or_else(|| "for ever".to_owned(), |days| format!("for {days} days"));
            format!("; plan {name} keeps points {days}")
        }
        None if unknown => "; what AWS Backup keeps is not known".to_owned(),
        None => String::new(),
    };
    let least = wanted.min(MOST);
    let number = least.to_string();
    let of = [
        ("--db-instance-identifier", &*told.cloud.identifier),
        ("--backup-retention-period", &*number),
        ("--apply-immediately", ""),
    ];
    let modify = command(told.cloud, "rds modify-db-instance", &of);
    let outage = if days == 0 { ", with a short outage" } else { "" };
    Raised {
        severity,
        subject: place.subject(),
        summary: format!("{} {kept}, and {} wants {wanted}{beside}", named(place), scene.environment),
        evidence: vec![
            Evidence::against("days too few", f64::from(least - days), 1.0, Unit::Count),
            Evidence::fact("days that backups are kept", f64::from(days), Unit::Count),
            Evidence::fact("days wanted", f64::from(wanted), Unit::Count),
        ],
        advice: format!(
            "Keep them: {modify} does so from now on{outage}; set the same in Terraform (backup_retention_days), or it comes back."
        ),
        statement: None,
        since: None,
        culprits: Vec::new(),
        victims: sole(place).into_iter().collect(),
        rests_on: vec![Source::Rds],
    }
}
