//! What an instance could be restored from: RDS's snapshots, and the recovery points of AWS Backup. Words of AWS are read here alone,
//! so that signals and screens say the same of a job, a point or a snapshot.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::foreign::Foreign;

/// Everybody, as RDS spells it.
pub const EVERYBODY: &str = "all";

/// Whether a job came to nothing: one that did not begin within its window expired.
fn came_to_nothing(state: &Foreign) -> bool {
    matches!(state.raw(), "FAILED" | "ABORTED" | "EXPIRED" | "PARTIAL")
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// `DBSnapshotIdentifier`.
    pub identifier: Foreign,
    /// `SnapshotType`: `automated`, `manual`, `awsbackup`.
    pub kind: Foreign,
    /// `Status`: `available`, `creating`, …
    pub status: Foreign,
    /// `SnapshotCreateTime`; none while it is being made.
    pub at: Option<Timestamp>,
    /// `AllocatedStorage`, in GiB.
    pub gib: Option<u32>,
    /// Whether it is encrypted; `None`: not told.
    pub encrypted: Option<bool>,
    /// Accounts that may restore it; `all`: everybody. `None`: not known (the call was refused, or not made yet).
    pub shared_with: Option<Vec<Foreign>>,
}

impl Snapshot {
    /// Whether anybody in the world may restore it; `None`: not known.
    pub fn is_public(&self) -> Option<bool> {
        self.shared_with.as_ref().map(|accounts| accounts.iter().any(|account| account.raw() == EVERYBODY))
    }

    /// Whether it is one of RDS's own, made each day. Such a one cannot be shared.
    pub fn is_automated(&self) -> bool {
        self.kind.raw() == "automated"
    }

    /// Whether it can be restored.
    pub fn is_whole(&self) -> bool {
        self.status.raw() == "available"
    }

    /// Accounts that may restore it though nobody allowed it; `None`: not known. Everybody is none of them: see [`Snapshot::is_public`].
    pub fn strangers(&self, allowed: &[String]) -> Option<Vec<&str>> {
        let with = self.shared_with.as_ref()?.iter().map(Foreign::raw);
        Some(with.filter(|account| *account != EVERYBODY && !allowed.iter().any(|it| it == account)).collect())
    }
}

/// Source `snapshots`: the newest first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Snapshots {
    /// All of them, of every kind.
    pub snapshots: Vec<Snapshot>,
    /// Why it is not known who some are shared with.
    pub unknown: Option<Arc<str>>,
}

/// One recovery point of AWS Backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecoveryPoint {
    /// `RecoveryPointArn`.
    pub arn: Foreign,
    /// The vault it is in.
    pub vault: Foreign,
    /// `Status`: `COMPLETED`, `PARTIAL`, `EXPIRED`, …
    pub status: Foreign,
    /// When it was made.
    pub at: Timestamp,
    /// Bytes.
    pub bytes: Option<u64>,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// When it will be deleted.
    pub deleted_at: Option<Timestamp>,
}

impl RecoveryPoint {
    /// Whether it can be restored; a continuous one is `AVAILABLE`.
    pub fn is_whole(&self) -> bool {
        matches!(self.status.raw(), "COMPLETED" | "AVAILABLE")
    }
}

/// A copy of a recovery point, as the job that makes it tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CopyOfPoint {
    /// The vault it goes to, with its region in the ARN.
    pub to: Foreign,
    /// `State`: `COMPLETED`, `FAILED`, …
    pub state: Foreign,
    /// When it was begun.
    pub at: Timestamp,
    /// What went wrong.
    pub message: Option<Foreign>,
}

impl CopyOfPoint {
    /// The region it goes to.
    pub fn region(&self) -> Option<&str> {
        self.to.raw().split(':').nth(3).filter(|region| !region.is_empty())
    }

    /// Whether it came to nothing.
    pub fn has_failed(&self) -> bool {
        came_to_nothing(&self.state)
    }
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "AWS Backup's own words")]
pub enum JobKind {
    Backup,
    Restore,
}

/// One job of AWS Backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// What it does.
    pub kind: JobKind,
    /// `State`: `COMPLETED`, `FAILED`, `RUNNING`, …
    pub state: Foreign,
    /// When it was begun.
    pub at: Timestamp,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// What went wrong, in AWS's words.
    pub message: Option<Foreign>,
}

impl Job {
    /// Whether it came to nothing.
    pub fn has_failed(&self) -> bool {
        came_to_nothing(&self.state)
    }
}

/// A plan that protects the instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Protection {
    /// The plan's name.
    pub plan: Foreign,
    /// The rule's name.
    pub rule: Foreign,
    /// `ScheduleExpression`: `cron(0 3 * * ? *)`.
    pub schedule: Option<Foreign>,
    /// The vault that its points go to.
    pub vault: Foreign,
    /// For how many days they are kept; `None`: for ever.
    pub days: Option<u32>,
    /// Where copies go.
    pub copies_to: Vec<Foreign>,
    /// `EnableContinuousBackup`: one point that is carried on, instead of one each time.
    #[serde(default)]
    pub continuous: bool,
    /// When the plan was made.
    #[serde(default)]
    pub since: Option<Timestamp>,
}

impl Protection {
    /// Whether it makes a point at least every day, as far as its schedule can be read: AWS Backup's own, where there is none, is.
    pub fn is_daily(&self) -> bool {
        let Some(schedule) = &self.schedule else { return true };
        let inside = |kind: &str| schedule.raw().strip_prefix(kind)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(rate) = inside("rate") {
            return rate == "1 day" || rate.ends_with(" hour") || rate.ends_with(" hours");
        }
        // Minute, hour, day of the month, month, day of the week, year.
        inside("cron").is_some_and(|cron| {
            let fields: Vec<&str> = cron.split_whitespace().collect();
            fields.len() == 6 && fields[2..].iter().all(|field| ["*", "?"].contains(field))
        })
    }
}

/// A part of what AWS Backup tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words below say it")]
pub enum Part {
    RecoveryPoints,
    RecoveryPointsIn(Foreign),
    Plans,
    Plan(Foreign),
    Copies,
    BackupJobs,
    RestoreJobs,
}

impl Part {
    /// Whether it is of the recovery points, all or those of a vault.
    pub fn is_of_points(&self) -> bool {
        matches!(self, Self::RecoveryPoints | Self::RecoveryPointsIn(_))
    }

    /// Whether it is of the plans, all or one.
    pub fn is_of_plans(&self) -> bool {
        matches!(self, Self::Plans | Self::Plan(_))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RecoveryPoints => out.write_str("recovery points"),
            Self::RecoveryPointsIn(vault) => write!(out, "recovery points in {vault}"),
            Self::Plans => out.write_str("plans"),
            Self::Plan(id) => write!(out, "plan {id}"),
            Self::Copies => out.write_str("copies"),
            Self::BackupJobs => out.write_str("backup jobs"),
            Self::RestoreJobs => out.write_str("restore jobs"),
        }
    }
}

/// Source `backups`: what AWS Backup has of the instance, the newest first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Backups {
    /// Plans that select it; `None`: not known.
    pub protections: Option<Vec<Protection>>,
    /// Recovery points.
    pub points: Vec<RecoveryPoint>,
    /// Copies.
    pub copies: Vec<CopyOfPoint>,
    /// Jobs of the last days.
    pub jobs: Vec<Job>,
    /// Parts that were refused: which, and why.
    pub refused: Vec<(Part, Arc<str>)>,
}

impl Backups {
    /// Whether such a part is missing.
    pub fn lacks(&self, is_meant: impl Fn(&Part) -> bool) -> bool {
        self.refused.iter().any(|(part, _)| is_meant(part))
    }

    /// The newest job of AWS Backup that was to make a backup.
    pub fn last_job(&self) -> Option<&Job> {
        self.jobs.iter().filter(|job| job.kind == JobKind::Backup).max_by_key(|job| job.at)
    }
}
