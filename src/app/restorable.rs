//! What an instance could be restored from, beside what is wanted; and what the signals say of it. Screen 7 judges nothing by itself:
//! what is red there is a finding, in the same words.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::facts::cloud::{Backups, Cloud, CopyOfPoint, Job, JobKind, Part, Snapshot as Kept, judged};
use crate::domain::foreign::sanitise;
use crate::domain::policy::BackupPolicy;
use crate::domain::{Evidence, Finding, Instance, InstanceName, Severity, Signal, Snapshot, SubjectKind, Tier};

/// The signals that judge backups.
const SIGNALS: [Signal; 4] = [Signal::SnapshotExposure, Signal::BackupStale, Signal::Retention, Signal::Unencrypted];

/// Who besides us may restore what was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exposure {
    /// Not known: of some we were refused to know.
    Unknown,
    /// Nobody.
    Nobody,
    /// These accounts, and the policy allows all of them.
    Allowed(Vec<String>),
    /// These accounts, though nobody allowed them.
    Strangers(Vec<String>),
    /// Anybody in the world.
    Public,
}

impl Exposure {
    /// Accounts that the policy allows are as wanted.
    fn of<'a>(snapshots: impl Iterator<Item = &'a Kept>, policy: &BackupPolicy) -> Self {
        let (mut strangers, mut allowed, mut unknown) = (BTreeSet::new(), BTreeSet::new(), false);
        for snapshot in snapshots {
            match (snapshot.is_public(), snapshot.strangers(&policy.share_with)) {
                (Some(true), _) => return Self::Public,
                (Some(false), Some(some)) => {
                    let with = snapshot.shared_with.iter().flatten();
                    allowed.extend(with.filter(|it| !some.contains(&it.raw())).map(ToString::to_string));
                    strangers.extend(some.into_iter().map(|account| sanitise(account).into_owned()));
                }
                _ => unknown |= !snapshot.is_automated(),
            }
        }
        match (strangers.is_empty(), unknown, allowed.is_empty()) {
            (false, ..) => Self::Strangers(strangers.into_iter().collect()),
            (true, true, _) => Self::Unknown,
            (true, false, true) => Self::Nobody,
            (true, false, false) => Self::Allowed(allowed.into_iter().collect()),
        }
    }
}

/// What the signals say of an instance's backups.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Judged {
    /// What is wrong, the worst first: how bad, which signal, its sentence.
    pub wrong: Vec<(Severity, Signal, String)>,
    /// What cannot be judged, and why.
    pub unknown: Vec<(Signal, String)>,
    /// What would be lost now.
    pub loss: Option<Severity>,
    /// How far behind the latest restorable time is.
    pub behind: Option<Severity>,
    /// Jobs, copies and plans that came to nothing.
    pub jobs: Option<Severity>,
    /// For how long backups are kept.
    pub kept: Option<Severity>,
    /// Who may restore them.
    pub shared: Option<Severity>,
    /// Whether they are encrypted.
    pub encrypted: Option<Severity>,
}

impl Judged {
    /// What is said of an instance, or of one that is gone, now: what is over, or what nobody wants to see, is not.
    fn of(snapshot: &Snapshot, name: &InstanceName) -> Self {
        let mut judged = Self::default();
        let about = |kind, of: &InstanceName| kind == SubjectKind::Instance && of == name;
        let here = |it: &&Finding| SIGNALS.contains(&it.signal) && about(it.subject.kind, &it.subject.instance);
        let now = |it: &&Finding| it.over_for.is_none() && !it.is_muted();
        for finding in snapshot.findings.iter().filter(here).filter(now) {
            judged.wrong.push((finding.severity, finding.signal, finding.summary.clone()));
            let severity = Some(finding.severity);
            match finding.signal {
                Signal::SnapshotExposure => judged.shared = severity,
                Signal::Retention => judged.kept = severity,
                Signal::Unencrypted => judged.encrypted = severity,
                _ => judged.stale(finding),
            }
        }
        let unknown = snapshot.unknown.iter();
        let unknown = unknown.filter(|it| SIGNALS.contains(&it.signal) && about(it.subject.kind, &it.subject.instance));
        judged.unknown = unknown.map(|it| (it.signal, it.reason.clone())).collect();
        judged
    }

    /// `backup-stale` has several reasons: its evidence tells them apart.
    fn stale(&mut self, finding: &Finding) {
        let reached = |name| finding.evidence.iter().find(|it| it.name == name).and_then(Evidence::reached);
        (self.loss, self.behind, self.jobs) = (reached(judged::LOSS), reached(judged::BEHIND), reached(judged::FAILED));
        if self.loss.or(self.behind).or(self.jobs).is_none() {
            // What is left: no automated backup was ever made.
            self.behind = Some(finding.severity);
        }
    }

    /// How bad the worst is.
    pub fn worst(&self) -> Option<Severity> {
        self.wrong.iter().map(|(severity, ..)| *severity).max()
    }
}

/// What an instance could be restored from.
#[derive(Debug, Clone, PartialEq)]
pub struct Restorable {
    /// The newest snapshot or recovery point.
    pub newest: Option<Timestamp>,
    /// Why the newest is not known, where it is not.
    pub newest_unknown: Option<String>,
    /// The newest moment that can be restored to.
    pub moment: Option<Timestamp>,
    /// The earliest.
    pub earliest: Option<Timestamp>,
    /// Days that RDS keeps backups; `None`: not known.
    pub days: Option<u32>,
    /// Days that AWS Backup keeps points that are made every day, the longest of its plans; `None`: no such plan.
    pub plan_days: Option<u32>,
    /// Whether it is known which plans there are.
    pub plans_known: bool,
    /// Days that the policy wants.
    pub wanted_days: Option<u32>,
    /// Regions that copies are in.
    pub copies: BTreeSet<String>,
    /// Whether all of it is encrypted.
    pub encrypted: Option<bool>,
    /// Who else may restore it.
    pub exposure: Exposure,
    /// The newest job of AWS Backup.
    pub job: Option<Job>,
    /// How much may be lost when a snapshot is restored.
    pub rpo: Duration,
    /// How much may be lost when a moment is restored.
    pub rpo_moment: Duration,
    /// How long a restore may take.
    pub rto: Duration,
    /// How many seconds AWS Backup's last restore took; or why that is not known.
    pub took: Result<f64, String>,
    /// What it is a replica of, safe to print: its data are that one's.
    pub replica_of: Option<String>,
    /// Sources that were refused, or fail: which, and why.
    pub troubles: Vec<(&'static str, String)>,
    /// What the signals say.
    pub judged: Judged,
}

impl Restorable {
    /// What could be restored of an instance; `None`: AWS is not asked about it.
    pub fn of(instance: &Instance, snapshot: &Snapshot, policy: &BackupPolicy) -> Option<Self> {
        let cloud = instance.cloud.as_deref()?;
        let (moment, newest) = cloud.restorable();
        let rds = cloud.rds.value.as_deref();
        let (snapshots, backups) = (cloud.snapshots.value.as_deref(), cloud.backups.value.as_deref());
        let done = backups.iter().flat_map(|all| &all.copies).filter(|copy| copy.state.raw() == "COMPLETED");
        let copies = done.filter_map(CopyOfPoint::region).filter(|region| *region != &*cloud.region);
        let plans = backups.and_then(|all| all.protections.as_ref()).filter(|_| !lacks_plans(backups));
        let daily = plans.into_iter().flatten().filter(|plan| plan.is_daily());
        let (rpo, rto) = match instance.tier {
            Tier::Shared => (policy.rpo.shared, policy.rto.shared),
            Tier::Dedicated => (policy.rpo.dedicated, policy.rto.dedicated),
        };
        Some(Self {
            newest,
            newest_unknown: newest.is_none().then(|| untold(cloud)).flatten(),
            moment,
            earliest: rds.and_then(|rds| rds.earliest_restorable),
            days: rds.and_then(|rds| rds.retention_days),
            plan_days: daily.map(|plan| plan.days.unwrap_or(u32::MAX)).max(),
            plans_known: plans.is_some(),
            wanted_days: policy.retention(&snapshot.environment),
            copies: copies.map(|region| sanitise(region).into_owned()).collect(),
            encrypted: encrypted(cloud),
            exposure: snapshots.map_or(Exposure::Unknown, |snapshots| Exposure::of(snapshots.snapshots.iter(), policy)),
            job: backups.and_then(Backups::last_job).cloned(),
            rpo,
            rpo_moment: policy.rpo.pitr,
            rto,
            took: took(backups),
            replica_of: rds.and_then(|rds| rds.replica_of.as_ref()).map(ToString::to_string),
            troubles: cloud.refusals(),
            judged: Judged::of(snapshot, &instance.name),
        })
    }

    /// Seconds since the newest whole backup.
    pub fn age(&self, moment: Timestamp) -> Option<f64> {
        self.newest.map(|at| moment.duration_since(at).as_secs_f64().max(0.0))
    }

    /// Seconds since the newest moment that can be restored to.
    pub fn lag(&self, moment: Timestamp) -> Option<f64> {
        self.moment.map(|at| moment.duration_since(at).as_secs_f64().max(0.0))
    }

    /// What would be lost now at the least: by whichever way loses less.
    pub fn loss(&self, moment: Timestamp) -> Option<f64> {
        self.age(moment).into_iter().chain(self.lag(moment)).reduce(f64::min)
    }
}

/// Snapshots of an instance that is gone, or that is not watched here, which others may restore.
#[derive(Debug, Clone, PartialEq)]
pub struct Strays {
    /// `[aws.NAME]`
    pub account: Arc<str>,
    /// Region.
    pub region: Arc<str>,
    /// Whether RDS does not know its instance any more.
    pub gone: bool,
    /// The snapshots, the newest first.
    pub snapshots: Vec<Kept>,
    /// Whether all of them are encrypted; `None`: not told of all.
    pub encrypted: Option<bool>,
    /// Who may restore them.
    pub exposure: Exposure,
    /// What the signals say.
    pub judged: Judged,
}

impl Strays {
    /// All that are known, by the identifiers of their instances.
    pub fn all(snapshot: &Snapshot, policy: &BackupPolicy) -> Vec<(InstanceName, Self)> {
        let mut all: Vec<(InstanceName, Self)> = Vec::new();
        for account in &snapshot.accounts {
            let begin = all.len();
            for (identifier, kept) in account.strays.iter().flatten() {
                let name = InstanceName::new(identifier);
                if let Some((_, strays)) = all.iter_mut().skip(begin).find(|(of, _)| *of == name) {
                    strays.snapshots.push(kept.clone());
                    continue;
                }
                let strays = Self {
                    account: Arc::clone(&account.name),
                    region: Arc::clone(&account.region),
                    gone: !account.identifiers.iter().any(|known| known == identifier),
                    snapshots: vec![kept.clone()],
                    encrypted: None,
                    exposure: Exposure::Unknown,
                    judged: Judged::of(snapshot, &name),
                };
                all.push((name, strays));
            }
        }
        for (_, strays) in &mut all {
            strays.snapshots.sort_by_key(|it| std::cmp::Reverse(it.at));
            strays.encrypted = together(strays.snapshots.iter().map(|it| it.encrypted));
            strays.exposure = Exposure::of(strays.snapshots.iter(), policy);
        }
        all
    }

    /// Seconds since the newest of them.
    pub fn age(&self, moment: Timestamp) -> Option<f64> {
        let newest = self.snapshots.iter().filter_map(|it| it.at).max()?;
        Some(moment.duration_since(newest).as_secs_f64().max(0.0))
    }
}

/// Whether all of several are so. One that is not settles it, whatever is not told of others.
fn together(all: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let whether = all.reduce(|all, one| match (all, one) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (all, one) => all.and(one),
    });
    whether.flatten()
}

fn encrypted(cloud: &Cloud) -> Option<bool> {
    let points = cloud.backups.value.iter().flat_map(|all| &all.points).map(|point| Some(point.encrypted));
    let snapshots = cloud.snapshots.value.iter().flat_map(|all| &all.snapshots).map(|it| it.encrypted);
    together(snapshots.chain(points).chain(cloud.rds.value.as_ref().map(|rds| rds.encrypted)))
}

fn lacks_plans(backups: Option<&Backups>) -> bool {
    backups.is_some_and(|backups| backups.lacks(Part::is_of_plans))
}

/// Why it is not known which snapshots and points there are; `None`: it is known.
fn untold(cloud: &Cloud) -> Option<String> {
    let why = |name: &str, error: &Option<crate::domain::observed::Trouble>| {
        error.as_ref().map_or_else(|| format!("{name} not told yet"), |trouble| trouble.message.clone())
    };
    if cloud.snapshots.value.is_none() {
        return Some(why("snapshots", &cloud.snapshots.error));
    }
    let Some(backups) = &cloud.backups.value else { return Some(why("AWS Backup", &cloud.backups.error)) };
    let refused = backups.refused.iter().find(|(part, _)| part.is_of_points());
    refused.map(|(part, why)| format!("{part}: {why}"))
}

/// What a restore takes is known when one was made.
fn took(backups: Option<&Backups>) -> Result<f64, String> {
    let backups = backups.ok_or("AWS Backup has told nothing yet")?;
    if let Some((part, why)) = backups.refused.iter().find(|(part, _)| *part == Part::RestoreJobs) {
        return Err(format!("{part}: {}", sanitise(why)));
    }
    let done = backups.jobs.iter().filter(|job| job.kind == JobKind::Restore && job.state.raw() == "COMPLETED");
    let last = done.max_by_key(|job| job.at).and_then(|job| Some(job.ended?.duration_since(job.at).as_secs_f64()));
    last.ok_or_else(|| "AWS Backup knows of no restore".to_owned())
}
