//! Screen 7: what each instance, and each tenant on it, could be restored from, beside what the policy wants.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::list::Keyed;
use super::table::{Column, Value};
use crate::domain::facts::cloud::{Backups, Claim, Cloud, CopyOfPoint, JobKind, Part, claim};
use crate::domain::policy::{BackupPolicy, Thresholds};
use crate::domain::quantity::plural;
use crate::domain::{Instance, InstanceName, Snapshot, TenantId, Tier};

/// Who besides us may restore what was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exposure {
    /// Not known: of some we were refused to know.
    Unknown,
    /// Nobody.
    Nobody,
    /// These accounts.
    Accounts(Vec<String>),
    /// Anybody in the world.
    Public,
}

/// The newest backup job of AWS Backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastJob {
    /// `COMPLETED`, `FAILED`, …: safe to print.
    pub state: String,
    /// When it was begun.
    pub at: Timestamp,
    /// What went wrong: safe to print.
    pub message: Option<String>,
}

impl LastJob {
    /// Whether it brought nothing.
    pub fn failed(&self) -> bool {
        matches!(self.state.as_str(), "FAILED" | "ABORTED" | "EXPIRED" | "PARTIAL")
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
    /// Days that AWS Backup keeps points, the longest of its plans; `None`: no plan, or not known.
    pub plan_days: Option<u32>,
    /// Days that the policy wants.
    pub wanted_days: Option<u32>,
    /// Regions that copies are in.
    pub copies: BTreeSet<String>,
    /// Whether all of it is encrypted.
    pub encrypted: Option<bool>,
    /// Who else may restore it.
    pub exposure: Exposure,
    /// The newest job.
    pub job: Option<LastJob>,
    /// How much may be lost when a snapshot is restored.
    pub rpo: Duration,
    /// How much may be lost when a moment is restored.
    pub rpo_moment: Duration,
    /// From how many times those on it is told: the configured thresholds.
    pub late: (f64, f64),
    /// How long a restore may take.
    pub rto: Duration,
    /// How many seconds AWS Backup's last restore took; or why that is not known.
    pub took: Result<f64, String>,
    /// Sources that were refused, or fail: which, and why.
    pub troubles: Vec<(&'static str, String)>,
}

impl Restorable {
    fn of(cloud: &Cloud, tier: Tier, policy: &BackupPolicy, thresholds: &Thresholds, environment: &str) -> Self {
        let (moment, newest) = cloud.restorable();
        let rds = cloud.rds.value.as_deref();
        let (snapshots, backups) = (cloud.snapshots.value.as_deref(), cloud.backups.value.as_deref());
        let done = backups.iter().flat_map(|all| &all.copies).filter(|copy| copy.state.raw() == "COMPLETED");
        let home = &*cloud.region;
        let copies = done.filter_map(CopyOfPoint::region).filter(|region| *region != home);
        let points = backups.iter().flat_map(|all| &all.points).map(|point| Some(point.encrypted));
        let all = snapshots.iter().flat_map(|all| &all.snapshots).map(|it| it.encrypted).chain(points);
        // One that is not settles it, whatever is not told of others.
        let encrypted = all.chain(rds.map(|rds| rds.encrypted)).reduce(|all, one| match (all, one) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (all, one) => all.and(one),
        });
        let encrypted = encrypted.flatten();
        let jobs = backups.iter().flat_map(|all| &all.jobs);
        let job = jobs.filter(|job| job.kind == JobKind::Backup).max_by_key(|job| job.at);
        let plans = backups.and_then(|all| all.protections.as_ref());
        let unknown = || {
            let sources = [("snapshots", &cloud.snapshots.error, snapshots.is_some())];
            let refused = sources.into_iter().find(|(_, _, known)| !known);
            refused.map(|(name, error, _)| {
                error.as_ref().map_or_else(|| format!("{name} not told yet"), |trouble| trouble.message.clone())
            })
        };
        Self {
            newest,
            newest_unknown: if newest.is_none() { unknown() } else { None },
            moment,
            earliest: rds.and_then(|rds| rds.earliest_restorable),
            days: rds.and_then(|rds| rds.retention_days),
            plan_days: plans.and_then(|plans| plans.iter().map(|plan| plan.days.unwrap_or(u32::MAX)).max()),
            wanted_days: policy.retention(environment),
            copies: copies.map(|region| crate::domain::foreign::sanitise(region).into_owned()).collect(),
            encrypted,
            exposure: exposure(cloud, policy),
            job: job.map(|job| LastJob {
                state: job.state.to_string(),
                at: job.at,
                message: job.message.as_ref().map(ToString::to_string),
            }),
            rpo: match tier {
                Tier::Shared => policy.rpo.shared,
                Tier::Dedicated => policy.rpo.dedicated,
            },
            rpo_moment: policy.rpo.pitr,
            late: (thresholds.backup_rpo.warning, thresholds.backup_pitr.warning),
            took: took(backups),
            rto: match tier {
                Tier::Shared => policy.rto.shared,
                Tier::Dedicated => policy.rto.dedicated,
            },
            troubles: cloud.refusals(),
        }
    }

    /// Seconds since the newest whole backup.
    pub fn age(&self, moment: Timestamp) -> Option<f64> {
        self.newest.map(|at| moment.duration_since(at).as_secs_f64().max(0.0))
    }

    /// Seconds since the newest moment that can be restored to.
    pub fn lag(&self, moment: Timestamp) -> Option<f64> {
        self.moment.map(|at| moment.duration_since(at).as_secs_f64().max(0.0))
    }

    /// Whether the newest whole backup is older than is wanted.
    pub fn is_late(&self, moment: Timestamp) -> bool {
        self.age(moment).is_some_and(|age| age > self.late.0 * self.rpo.as_secs_f64())
    }

    /// Whether the newest moment that can be restored to is longer ago than is wanted.
    pub fn is_behind(&self, moment: Timestamp) -> bool {
        self.lag(moment).is_some_and(|lag| lag > self.late.1 * self.rpo_moment.as_secs_f64())
    }

    /// What would be lost now at the least: by whichever way loses less.
    pub fn loss(&self, moment: Timestamp) -> Option<f64> {
        self.age(moment).into_iter().chain(self.lag(moment)).reduce(f64::min)
    }

    /// Days that backups are kept by whoever keeps them longest.
    pub fn kept(&self) -> Option<u32> {
        self.days.into_iter().chain(self.plan_days).max()
    }

    /// How bad it is: 3 nothing to restore from, or anybody may; 2 something is not as wanted; 1 not known; 0 as wanted.
    pub fn need(&self, moment: Timestamp) -> u8 {
        let known = self.newest_unknown.is_none();
        if self.exposure == Exposure::Public || known && self.newest.is_none() && self.moment.is_none() {
            return 3;
        }
        let late = self.is_late(moment) && self.moment.is_none() || self.is_behind(moment);
        let short = self.kept().zip(self.wanted_days).is_some_and(|(kept, wanted)| kept < wanted);
        let open = matches!(&self.exposure, Exposure::Accounts(accounts) if !accounts.is_empty());
        if late || short || open || self.encrypted == Some(false) || self.job.as_ref().is_some_and(LastJob::failed) {
            return 2;
        }
        u8::from(!known || self.days.is_none())
    }
}

/// What a restore takes is known when one was made.
fn took(backups: Option<&Backups>) -> Result<f64, String> {
    let backups = backups.ok_or("AWS Backup has told nothing yet")?;
    if let Some((part, why)) = backups.refused.iter().find(|(part, _)| *part == Part::RestoreJobs) {
        return Err(format!("{part}: {}", crate::domain::foreign::sanitise(why)));
    }
    let done = backups.jobs.iter().filter(|job| job.kind == JobKind::Restore && job.state.raw() == "COMPLETED");
    let last = done.max_by_key(|job| job.at).and_then(|job| Some(job.ended?.duration_since(job.at).as_secs_f64()));
    last.ok_or_else(|| "AWS Backup knows of no restore".to_owned())
}

/// Accounts that the policy allows are as wanted.
fn exposure(cloud: &Cloud, policy: &BackupPolicy) -> Exposure {
    let Some(snapshots) = cloud.snapshots.value.as_deref() else { return Exposure::Unknown };
    let mut accounts = BTreeSet::new();
    let mut unknown = snapshots.unknown.is_some();
    for snapshot in &snapshots.snapshots {
        match snapshot.is_public() {
            Some(true) => return Exposure::Public,
            Some(false) => {
                let with = snapshot.shared_with.iter().flatten();
                let with = with.filter(|account| !policy.share_with.iter().any(|allowed| *allowed == account.raw()));
                accounts.extend(with.map(ToString::to_string));
            }
            // Automated ones cannot be shared.
            None => unknown |= !snapshot.is_automated(),
        }
    }
    match (accounts.is_empty(), unknown) {
        (false, _) => Exposure::Accounts(accounts.into_iter().collect()),
        (true, true) => Exposure::Unknown,
        (true, false) => Exposure::Nobody,
    }
}

/// One instance, or one tenant on a shared instance: restored with everybody else's data, so it has what the instance has.
#[derive(Debug, Clone)]
pub struct BackupRow {
    /// The instance.
    pub instance: InstanceName,
    /// Whose: of a shared instance's own row nobody's.
    pub tenant: Option<TenantId>,
    /// How many tenants are on it; `None`: its catalogue was not read.
    pub tenants: Option<usize>,
    /// Its tier.
    pub tier: Tier,
    /// Whether it stands for the instance.
    pub whole: bool,
    /// What there is; `None`: AWS is not asked about it.
    pub known: Option<Arc<Restorable>>,
}

impl Keyed for BackupRow {
    type Key = (InstanceName, Option<TenantId>, bool);
    fn key(&self) -> Self::Key {
        (self.instance.clone(), self.tenant.clone(), self.whole)
    }
    fn is(&self, key: &Self::Key) -> bool {
        self.instance == key.0 && self.tenant == key.1 && self.whole == key.2
    }
}

/// What could be restored of one instance.
pub fn restorable(
    instance: &Instance,
    policy: &BackupPolicy,
    thresholds: &Thresholds,
    environment: &str,
) -> Option<Restorable> {
    let cloud = instance.cloud.as_ref()?;
    Some(Restorable::of(cloud, instance.tier, policy, thresholds, environment))
}

/// All instances, each followed by the tenants that share it.
pub fn gather(snapshot: &Snapshot, policy: &BackupPolicy, thresholds: &Thresholds) -> Vec<BackupRow> {
    let mut rows = Vec::new();
    for instance in &snapshot.instances {
        let known = restorable(instance, policy, thresholds, &snapshot.environment).map(Arc::new);
        let here: Vec<&TenantId> =
            snapshot.tenants.iter().filter(|it| it.instance == instance.name).map(|tenant| &tenant.id).collect();
        // Whose a dedicated one is its tag says too, also where nobody is let in.
        let rds = instance.cloud.as_ref().and_then(|cloud| cloud.rds.value.as_ref());
        let tagged = rds.and_then(|rds| match claim(&rds.tags) {
            Claim::Dedicated(tenant) => tenant,
            Claim::Nothing => None,
        });
        let own = here.first().map(|id| (*id).clone()).or(tagged).filter(|_| instance.tier == Tier::Dedicated);
        let row = |tenant, whole| BackupRow {
            instance: instance.name.clone(),
            tenant,
            tenants: (!here.is_empty() || instance.catalog.value.is_some()).then_some(here.len()),
            tier: instance.tier,
            whole,
            known: known.clone(),
        };
        rows.push(row(own, true));
        if instance.tier == Tier::Shared {
            rows.extend(here.iter().map(|id| row(Some((*id).clone()), false)));
        }
    }
    rows
}

/// The columns of the backups' table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the keys say it")]
pub enum BackupColumn {
    /// Instances before tenants, the worst first.
    Need,
    Instance,
    Tenant,
    Tier,
    /// Seconds since the newest whole backup.
    Newest,
    /// Seconds that a restore of that may lose.
    Target,
    /// Seconds since the newest moment that can be restored to.
    Moment,
    MomentTarget,
    /// Seconds that it can be gone back.
    Window,
    Days,
    WantedDays,
    Encrypted,
    Shared,
    Copies,
    Job,
    /// Seconds that a restore may take.
    Rto,
    /// Seconds that the last one took.
    Took,
    /// Seconds since the last drill.
    Drill,
}

impl Column for BackupColumn {
    type Row = BackupRow;
    type Context = Timestamp;
    const ALL: &'static [Self] = &[
        Self::Need,
        Self::Instance,
        Self::Tenant,
        Self::Tier,
        Self::Newest,
        Self::Target,
        Self::Moment,
        Self::MomentTarget,
        Self::Window,
        Self::Days,
        Self::WantedDays,
        Self::Encrypted,
        Self::Shared,
        Self::Copies,
        Self::Job,
        Self::Rto,
        Self::Took,
        Self::Drill,
    ];
    const SHOWN: &'static [Self] = &[
        Self::Need,
        Self::Instance,
        Self::Tenant,
        Self::Newest,
        Self::Moment,
        Self::Window,
        Self::Days,
        Self::Encrypted,
        Self::Shared,
        Self::Copies,
        Self::Job,
        Self::Rto,
        Self::Drill,
    ];

    fn key(self) -> &'static str {
        match self {
            Self::Need => "need",
            Self::Instance => "instance",
            Self::Tenant => "tenant",
            Self::Tier => "tier",
            Self::Newest => "backup",
            Self::Target => "rpo-target",
            Self::Moment => "pitr",
            Self::MomentTarget => "pitr-target",
            Self::Window => "window",
            Self::Days => "kept",
            Self::WantedDays => "kept-target",
            Self::Encrypted => "encrypted",
            Self::Shared => "shared",
            Self::Copies => "copies",
            Self::Job => "job",
            Self::Rto => "rto",
            Self::Took => "rto-now",
            Self::Drill => "drill",
        }
    }

    fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Newest => &["rpo", "rpo-now", "snapshot"],
            Self::Days => &["retention"],
            Self::Encrypted => &["enc"],
            Self::Shared => &["shared-with"],
            Self::Job => &["last-job"],
            _ => &[],
        }
    }

    fn is_fixed(self) -> bool {
        matches!(self, Self::Need | Self::Instance)
    }

    fn is_number(self) -> bool {
        !matches!(
            self,
            Self::Instance | Self::Tenant | Self::Tier | Self::Encrypted | Self::Shared | Self::Copies | Self::Job
        )
    }

    fn exported<'a>(self, row: &'a BackupRow, moment: &Timestamp) -> Value<'a> {
        match (self, &row.known) {
            (Self::Need, None) => Value::Missing,
            (Self::Need, Some(known)) => Value::Text(Cow::Borrowed(match known.need(*moment) {
                3 => "bad",
                2 => "not as wanted",
                1 => "not known",
                _ => "as wanted",
            })),
            _ => self.value(row, moment),
        }
    }

    fn value<'a>(self, row: &'a BackupRow, moment: &Timestamp) -> Value<'a> {
        let text = |text: &'a str| Value::Text(Cow::Borrowed(text));
        match self {
            Self::Instance => return text(row.instance.as_str()),
            Self::Tenant => {
                return match &row.tenant {
                    Some(tenant) => text(tenant.as_str()),
                    None => {
                        row.tenants.map_or(Value::Missing, |count| Value::Text(Cow::Owned(plural(count, "tenant"))))
                    }
                };
            }
            Self::Tier => return text(if row.tier == Tier::Shared { "shared" } else { "dedicated" }),
            Self::Need => {
                let need = row.known.as_ref().map_or(1.0, |known| f64::from(known.need(*moment)));
                return Value::Number(need + if row.whole { 10.0 } else { 0.0 });
            }
            _ => {}
        }
        let Some(known) = row.known.as_deref() else { return Value::Missing };
        match self {
            Self::Newest => Value::number(known.age(*moment)),
            Self::Target => Value::Number(known.rpo.as_secs_f64()),
            Self::Moment => Value::number(known.lag(*moment)),
            Self::MomentTarget => Value::Number(known.rpo_moment.as_secs_f64()),
            Self::Window => Value::number(known.earliest.map(|at| moment.duration_since(at).as_secs_f64().max(0.0))),
            Self::Days => Value::number(known.kept()),
            Self::WantedDays => Value::number(known.wanted_days),
            Self::Encrypted => known.encrypted.map_or(Value::Missing, |all| text(if all { "yes" } else { "no" })),
            Self::Shared => match &known.exposure {
                Exposure::Unknown => Value::Missing,
                Exposure::Nobody => text("nobody"),
                Exposure::Public => text("public"),
                Exposure::Accounts(accounts) => Value::Text(Cow::Owned(accounts.join(" "))),
            },
            Self::Copies if known.copies.is_empty() => Value::Missing,
            Self::Copies => Value::Text(Cow::Owned(known.copies.iter().cloned().collect::<Vec<_>>().join(" "))),
            Self::Job => known.job.as_ref().map_or(Value::Missing, |job| text(&job.state)),
            Self::Rto => Value::Number(known.rto.as_secs_f64()),
            Self::Took => known.took.as_ref().map_or(Value::Missing, |took| Value::Number(*took)),
            // No drill was held.
            _ => Value::Missing,
        }
    }
}
