//! `backup-stale`: what could be restored of an instance is older than may be lost, or the last backup or copy of it failed.
//!
//! What could be lost now is what was written since the newest of: the latest restorable time, a snapshot, a recovery point. Sources:
//! Amazon RDS User Guide, "Restoring a DB instance to a specified time" (WAL goes to S3 every five minutes, so the latest restorable
//! time is mostly that far behind), and AWS Backup Developer Guide (states of jobs).

use jiff::Timestamp;

use crate::domain::facts::Source;
use crate::domain::facts::cloud::{Backups, CopyOfPoint, Job, Part, Rds, Snapshot, Snapshots, judged};
use crate::domain::quantity::{duration, plural};
use crate::domain::{Evidence, Foreign, Severity, Signal, SubjectKind, Tier, Unit};

use super::blame::{named, sole};
use super::cluster::is_of_a_cluster;
use super::told::{Told, command};
use super::words::and_more;
use super::{Check, Place, Raised, Scene, Verdicts};

/// Automated backups are made once a day.
const DAY: f64 = 86_400.0;

/// The check.
#[derive(Debug)]
pub(super) struct BackupStale;

impl Check for BackupStale {
    fn signal(&self) -> Signal {
        Signal::BackupStale
    }

    fn about(&self) -> &'static str {
        "The newest backup is older than may be lost (critical: twice), WAL lags, or the last job failed"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Instance]
    }

    fn holds(&self) -> bool {
        false
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let signal = self.signal();
            let Some(told) = Told::of(signal, scene, place, verdicts) else { continue };
            let Some(rds) = told.rds(signal, verdicts) else { continue };
            // A replica's data are its source's.
            if rds.replica_of.is_some() || is_of_a_cluster(self.signal(), place, rds, verdicts) {
                continue;
            }
            let snapshots = verdicts.told(signal, place, Source::Snapshots, &told.cloud.snapshots, scene.now);
            let backups = verdicts.told(signal, place, Source::Backups, &told.cloud.backups, scene.now);
            let points = backups.filter(|backups| !backups.lacks(Part::is_of_points));
            for (part, why) in backups.iter().flat_map(|it| &it.refused).filter(|(part, _)| *part != Part::RestoreJobs)
            {
                let reason = format!("{part}: {}", crate::domain::foreign::sanitise(why));
                verdicts.untold(signal, place, Source::Backups, reason, None);
            }
            let Some(stale) = Stale::of(scene, place, rds, snapshots.map(|it| &**it), points.map(|it| &**it)) else {
                let reason = "nothing to restore from is seen, nor since when it is there".to_owned();
                verdicts.untold(signal, place, Source::Rds, reason, None);
                continue;
            };
            // The newest may be one that we may not see.
            let sees_all = snapshots.is_some() && points.is_some();
            let stale = if sees_all || stale.rung(scene).is_none() { stale } else { Stale { unseen: true, ..stale } };
            verdicts.raised.extend(raise(scene, told, rds, &stale, backups.map(|it| &**it)));
        }
    }
}

/// How old is what could be restored.
struct Stale {
    /// What the newest is, and how many seconds ago; with nothing: since the instance was made.
    newest: Option<&'static str>,
    age: f64,
    /// How many may be lost.
    target: f64,
    /// The latest restorable time, where there is one to be: seconds ago, and how many are wanted.
    pitr: Option<(f64, f64)>,
    /// It is to have automated backups, and had none within a day: seconds since it was made.
    never: Option<f64>,
    /// Not all that there may be was seen.
    unseen: bool,
}

impl Stale {
    fn of(
        scene: &Scene<'_>,
        place: &Place<'_>,
        rds: &Rds,
        snapshots: Option<&Snapshots>,
        backups: Option<&Backups>,
    ) -> Option<Self> {
        let rpo = &scene.policy.backup.rpo;
        let target = if place.instance.tier == Tier::Shared { rpo.shared } else { rpo.dedicated };
        // One that is told although there are no automated backups is of before.
        let restorable = rds.latest_restorable.filter(|_| rds.retention_days.is_some_and(|days| days > 0));
        let snapshot = snapshots.into_iter().flat_map(|it| &it.snapshots).filter(|it| it.is_whole());
        let point = backups.into_iter().flat_map(|it| &it.points).filter(|it| it.is_whole());
        let all = [
            ("latest restorable time", restorable),
            ("snapshot", snapshot.filter_map(|it| it.at).max()),
            ("recovery point", point.map(|it| it.at).max()),
        ];
        let ago = |at: Timestamp| scene.now.duration_since(at).as_secs_f64().max(0.0);
        let automated = snapshots.is_none_or(|it| it.snapshots.iter().any(Snapshot::is_automated));
        let wants_one = rds.latest_restorable.is_none() && rds.retention_days.is_some_and(|days| days > 0);
        let never = rds.created.filter(|_| wants_one && !automated).map(ago);
        let newest = all.into_iter().filter_map(|(name, at)| Some((ago(at?), name)));
        let newest = newest.min_by(|one, other| one.0.total_cmp(&other.0));
        let age = newest.map(|(age, _)| age).or(rds.created.map(ago))?;
        Some(Self {
            newest: newest.map(|(_, name)| name),
            age,
            target: target.as_secs_f64().max(1.0),
            pitr: restorable.map(|at| (ago(at), rpo.pitr.as_secs_f64().max(1.0))),
            never: never.filter(|age| *age >= DAY),
            unseen: false,
        })
    }

    fn rung(&self, scene: &Scene<'_>) -> Option<Severity> {
        let rung = scene.thresholds.backup_rpo.rung(self.age / self.target);
        rung.map(|(severity, _)| severity).filter(|_| !self.unseen)
    }

    fn pitr_rung(&self, scene: &Scene<'_>) -> Option<Severity> {
        let (ago, wanted) = self.pitr?;
        scene.thresholds.backup_pitr.rung(ago / wanted).map(|(severity, _)| severity)
    }
}

fn raise(scene: &Scene<'_>, told: Told<'_>, rds: &Rds, stale: &Stale, backups: Option<&Backups>) -> Option<Raised> {
    let (place, thresholds) = (told.place, scene.thresholds);
    let mut wrong: Vec<(Severity, String)> = Vec::new();
    let target = duration(stale.target);
    if let Some(severity) = stale.rung(scene) {
        let age = duration(stale.age);
        wrong.push((
            severity,
            match stale.newest {
                Some(what) => {
                    format!("what was written in the last {age} would be lost (newest: {what}), and {target} may be")
                }
                None => format!("there is no backup at all, {age} after it was made, and {target} may be lost"),
            },
        ));
    }
    let by_pitr = stale.pitr_rung(scene);
    if let (Some(severity), Some((ago, wanted)), true) = (by_pitr, stale.pitr, wrong.is_empty()) {
        let (ago, wanted) = (duration(ago), duration(wanted));
        wrong.push((
            severity,
            format!("its latest restorable time is {ago} ago, not {wanted}: its WAL is not kept in time"),
        ));
    }
    if let (Some(age), true) = (stale.never, wrong.is_empty()) {
        let words = format!(
            "no automated backup was made yet, {} after it was: no moment of it can be restored",
            duration(age)
        );
        wrong.push((Severity::Warning, words));
    }
    let mut jobs = 0;
    for words in backups.into_iter().flat_map(|backups| failures(scene, rds, stale, backups)) {
        jobs += 1;
        wrong.push((Severity::Warning, words));
    }
    let severity = wrong.iter().map(|(severity, _)| *severity).max()?;
    let mut evidence = vec![Evidence::on(judged::LOSS, stale.age / stale.target, thresholds.backup_rpo, Unit::Ratio)];
    evidence.push(Evidence::fact("could be lost", stale.age, Unit::Seconds));
    if let Some((ago, wanted)) = stale.pitr {
        evidence.push(Evidence::on(judged::BEHIND, ago / wanted, thresholds.backup_pitr, Unit::Ratio));
    }
    if jobs > 0 {
        evidence.push(Evidence::against(judged::FAILED, f64::from(jobs), 1.0, Unit::Count));
    }
    let words: Vec<String> = wrong.into_iter().map(|(_, words)| words).collect();
    Some(Raised {
        severity,
        subject: place.subject(),
        summary: and_more(&format!("{}: ", of_whom(place)), &words),
        evidence,
        advice: advice(scene, told, rds, jobs > 0),
        statement: None,
        since: None,
        culprits: Vec::new(),
        victims: sole(place).into_iter().collect(),
        rests_on: vec![Source::Rds, Source::Snapshots, Source::Backups],
    })
}

/// Of a shared instance it is everybody's.
fn of_whom(place: &Place<'_>) -> String {
    match place.tenants.len() {
        count if count > 1 => format!("{} ({})", place.name(), plural(count, "tenant")),
        _ => named(place),
    }
}

/// What AWS Backup did not do, the newest of each kind alone.
fn failures(scene: &Scene<'_>, rds: &Rds, stale: &Stale, backups: &Backups) -> Vec<String> {
    let ago = |at: Timestamp| duration(scene.now.duration_since(at).as_secs_f64().max(0.0));
    let mut failures = Vec::new();
    if let Some(Job { state, at, message, .. }) = backups.last_job().filter(|job| job.has_failed()) {
        failures.push(format!("its last backup job {} {} ago{}", lower(state), ago(*at), because(message.as_ref())));
    }
    let mut newest: Vec<&CopyOfPoint> = Vec::new();
    for copy in &backups.copies {
        match newest.iter_mut().find(|known| known.to == copy.to) {
            Some(known) if known.at < copy.at => *known = copy,
            Some(_) => {}
            None => newest.push(copy),
        }
    }
    for copy in newest.into_iter().filter(|copy| copy.has_failed()) {
        let to = copy
            .region()
            .map_or_else(|| copy.to.shown().into_owned(), |it| crate::domain::foreign::sanitise(it).into_owned());
        let because = because(copy.message.as_ref());
        failures.push(format!("its last copy to {to} {} {} ago{because}", lower(&copy.state), ago(copy.at)));
    }
    // A plan that does nothing looks like one that works.
    let late = scene.thresholds.backup_rpo.critical * stale.target;
    let idle =
        backups.protections.iter().flatten().filter(|plan| plan.is_daily() && !plan.continuous).find_map(|plan| {
            let made = backups.points.iter().filter(|point| point.vault == plan.vault && point.is_whole());
            // One that was made after the instance has had no more time than since then.
            let since = plan.since.into_iter().chain(rds.created).max();
            let last = made.map(|point| point.at).max().or(since)?;
            (scene.now.duration_since(last).as_secs_f64() >= late).then_some((plan, last))
        });
    if let (Some((plan, last)), true, false) = (idle, failures.is_empty(), backups.lacks(Part::is_of_points)) {
        failures.push(format!("plan {} has made no recovery point for {}", brief(&plan.plan, 30), ago(last)));
    }
    failures
}

fn lower(state: &Foreign) -> &'static str {
    match state.raw() {
        "ABORTED" => "was aborted",
        "EXPIRED" => "never began (EXPIRED)",
        "PARTIAL" => "was partial",
        _ => "failed",
    }
}

fn because(message: Option<&Foreign>) -> String {
    message.filter(|it| !it.is_empty()).map(|it| format!(": {}", brief(it, 60))).unwrap_or_default()
}

fn brief(text: &Foreign, most: usize) -> String {
    let shown = text.shown();
    let shown = shown.trim_end_matches('.');
    if shown.chars().count() <= most { shown.to_owned() } else { shown.chars().take(most - 1).chain(['…']).collect() }
}

fn advice(scene: &Scene<'_>, told: Told<'_>, rds: &Rds, jobs: bool) -> String {
    let identifier = &*told.cloud.identifier;
    let name = format!("{identifier}-{}", scene.now.strftime("%Y-%m-%d"));
    let of = [("--db-instance-identifier", identifier), ("--db-snapshot-identifier", &name)];
    let snapshot = command(told.cloud, "rds create-db-snapshot", &of);
    let why = if jobs {
        let jobs = command(told.cloud, "backup list-backup-jobs", &[("--by-resource-arn", rds.arn.raw())]);
        format!("{jobs} says why")
    } else if rds.retention_days == Some(0) {
        "its automated backups are off (see retention)".to_owned()
    } else {
        "RDS's events say why its backups stand still".to_owned()
    };
    format!("Make one now: {snapshot}; {why}.")
}
