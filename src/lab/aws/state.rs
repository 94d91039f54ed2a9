//! What the estate's AWS knows: a region each, and in it what its services keep.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::alarms::Alarm;
use super::machine::Machine;
use super::names::{rds_arn, resource_id};
use super::store::Store;
use super::wire::Fields;

/// Events that are remembered; AWS keeps two weeks.
const EVENTS: usize = 2_000;

/// Everything.
#[derive(Debug, Default)]
pub struct State {
    regions: BTreeMap<String, Region>,
}

impl State {
    /// A region; each is there from the beginning.
    pub fn region(&mut self, name: &str) -> &mut Region {
        self.regions.entry(name.to_owned()).or_insert_with(|| Region::new(name))
    }

    /// All regions, to be changed.
    pub fn regions_mut(&mut self) -> impl Iterator<Item = &mut Region> {
        self.regions.values_mut()
    }

    /// All regions.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        self.regions.values()
    }
}

/// A region.
#[derive(Debug)]
pub struct Region {
    /// Its name.
    pub name: String,
    /// RDS's instances, by identifier.
    pub instances: BTreeMap<String, Instance>,
    /// RDS's snapshots, by identifier.
    pub snapshots: BTreeMap<String, Snapshot>,
    /// Parameter groups; the defaults are not among them.
    pub parameters: BTreeMap<String, ParameterGroup>,
    /// Subnet groups; the default is not among them.
    pub subnets: BTreeMap<String, SubnetGroup>,
    /// What happened, the newest last.
    pub events: VecDeque<Happened>,
    /// Maintenance that waits, by ARN.
    pub maintenance: BTreeMap<String, Vec<Maintenance>>,
    /// CloudWatch's alarms.
    pub alarms: BTreeMap<String, Alarm>,
    /// AWS Backup.
    pub backup: Backup,
}

impl Region {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            instances: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            parameters: BTreeMap::new(),
            subnets: BTreeMap::new(),
            events: VecDeque::new(),
            maintenance: BTreeMap::new(),
            alarms: BTreeMap::new(),
            backup: Backup::default(),
        }
    }

    /// Notes that something happened.
    pub fn note(&mut self, kind: &'static str, id: &str, category: &'static str, message: impl Into<String>) {
        let arn = rds_arn(&self.name, if kind == "db-snapshot" { "snapshot" } else { "db" }, id);
        let (at, message, id) = (Timestamp::now(), message.into(), id.to_owned());
        self.events.push_back(Happened { at, kind, id, arn, category, message });
        if self.events.len() > EVENTS {
            self.events.pop_front();
        }
    }

    /// The instance that an ARN of RDS names.
    pub fn by_arn(&self, arn: &str) -> Option<&Instance> {
        self.instances.values().find(|instance| rds_arn(&self.name, "db", &instance.id) == arn)
    }
}

/// A tag's key and value.
pub type Tags = BTreeMap<String, String>;

/// An instance of RDS. Where it is born, it has no machine yet.
#[derive(Debug, Clone)]
pub struct Instance {
    /// `DBInstanceIdentifier`.
    pub id: String,
    /// `DbiResourceId`.
    pub resource: String,
    /// `creating`, `available` …
    pub status: String,
    /// The cluster behind it.
    pub machine: Option<Arc<Machine>>,
    /// What it is.
    pub shape: InstanceShape,
    /// What it will be after the next maintenance window: in what this differs, changes are pending.
    pub planned: InstanceShape,
    /// What it will be called then.
    pub planned_name: Option<String>,
    /// Whether the master user's password is about to be another.
    pub new_password: bool,
    /// Whether its parameter group says what is not in force before a restart.
    pub wants_reboot: bool,
    /// When it was made.
    pub created: Timestamp,
    /// Its tags.
    pub tags: Tags,
}

impl Instance {
    /// One that is just born.
    pub fn new(id: String, shape: InstanceShape, tags: Tags) -> Self {
        Self {
            id,
            resource: resource_id(),
            status: "creating".to_owned(),
            machine: None,
            planned: shape.clone(),
            shape,
            planned_name: None,
            new_password: false,
            wants_reboot: false,
            created: Timestamp::now(),
            tags,
        }
    }

    /// Whether RDS makes a snapshot of it now.
    pub fn can_be_copied(&self) -> bool {
        ["available", "storage-optimization"].contains(&self.status.as_str())
    }
}

/// What of an instance its maker decides, and a restore takes over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "as many yes-or-no questions as RDS asks")]
pub struct InstanceShape {
    /// `DBInstanceClass`.
    pub class: String,
    /// `15.18`.
    pub version: String,
    /// `DBName`.
    pub database: Option<String>,
    /// The master user.
    pub master: String,
    /// GiB.
    pub storage: u32,
    /// Up to how many GiB it grows by itself.
    pub most_storage: Option<u32>,
    /// `gp3`, `gp2`, `io1`, `io2`.
    pub storage_type: String,
    /// Provisioned IOPS.
    pub iops: Option<u32>,
    /// Provisioned MiB/s.
    pub throughput: Option<u32>,
    /// Two zones.
    pub multi_az: bool,
    /// At rest.
    pub encrypted: bool,
    /// With which key.
    pub key: Option<String>,
    /// Whether it has a public address.
    pub public: bool,
    /// Whether it cannot be deleted.
    pub protected: bool,
    /// Days of automated backups.
    pub retention: u32,
    /// `03:00-03:30`.
    pub backup_window: String,
    /// `sun:04:00-sun:04:30`.
    pub maintenance_window: String,
    /// `a`, `b`, `c`.
    pub zone: String,
    /// The subnet group.
    pub subnets: String,
    /// The parameter group.
    pub parameters: String,
    /// Security groups.
    pub security: Vec<String>,
    /// Logs that go to CloudWatch.
    pub exports: Vec<String>,
    /// Its certificate authority.
    pub authority: String,
    /// Login by IAM.
    pub iam: bool,
    /// Performance Insights.
    pub insights: bool,
    /// Minor upgrades by themselves.
    pub auto_minor: bool,
    /// Whether its tags go to its snapshots.
    pub copy_tags: bool,
}

/// A snapshot of RDS.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// `DBSnapshotIdentifier`.
    pub id: String,
    /// Whose.
    pub instance: String,
    /// `DbiResourceId` of that.
    pub resource: String,
    /// `manual`, `automated`, `awsbackup`.
    pub kind: &'static str,
    /// `creating`, `available`, `failed`.
    pub status: String,
    /// Its files, once they are there.
    pub store: Option<Arc<Store>>,
    /// The instance as it was.
    pub shape: InstanceShape,
    /// When the instance was made.
    pub instance_created: Timestamp,
    /// When it was asked for.
    pub created: Timestamp,
    /// Accounts that may restore it, or `all`.
    pub shared_with: Vec<String>,
    /// Where it was copied from: an ARN.
    pub source: Option<String>,
    /// The port that the instance had.
    pub port: u16,
    /// Its tags.
    pub tags: Tags,
}

/// A parameter group: what in it differs from the engine's defaults.
#[derive(Debug, Clone)]
pub struct ParameterGroup {
    /// Its name.
    pub name: String,
    /// `postgres16`.
    pub family: String,
    /// For people.
    pub description: String,
    /// By name.
    pub values: BTreeMap<String, String>,
    /// Its tags.
    pub tags: Tags,
}

/// A subnet group.
#[derive(Debug, Clone)]
pub struct SubnetGroup {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// `subnet-…`.
    pub subnets: Vec<String>,
    /// Its tags.
    pub tags: Tags,
}

/// An event.
#[derive(Debug, Clone)]
pub struct Happened {
    /// When.
    pub at: Timestamp,
    /// `db-instance`, `db-snapshot`.
    pub kind: &'static str,
    /// To what.
    pub id: String,
    /// The same as an ARN.
    pub arn: String,
    /// `creation`, `backup` …
    pub category: &'static str,
    /// For people.
    pub message: String,
}

/// Maintenance that waits.
#[derive(Debug, Clone)]
pub struct Maintenance {
    /// `system-update`.
    pub action: String,
    /// For people.
    pub description: String,
    /// When it is done without asking.
    pub forced: Option<Timestamp>,
}

/// What AWS Backup keeps.
#[derive(Debug, Default)]
pub struct Backup {
    /// By id.
    pub plans: BTreeMap<String, Plan>,
    /// By name.
    pub vaults: BTreeMap<String, Vault>,
    /// By ARN.
    pub points: BTreeMap<String, RecoveryPoint>,
    /// The newest last.
    pub jobs: Vec<Job>,
    /// What was begun with a token, by action and token, and what was said of it.
    pub begun: BTreeMap<(String, String), Fields>,
}

/// A backup plan as it was given.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its id.
    pub id: String,
    /// Of its newest words.
    pub version: String,
    /// The document.
    pub document: Value,
    /// When it was made.
    pub created: Timestamp,
    /// Up to when its rules were carried out.
    pub looked: Timestamp,
    /// When one of them last was.
    pub carried_out: Option<Timestamp>,
    /// By id.
    pub selections: BTreeMap<String, Selection>,
    /// Its tags.
    pub tags: Tags,
}

/// Which resources a plan is for, as it was given.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The document.
    pub document: Value,
    /// When it was made.
    pub created: Timestamp,
}

/// A vault.
#[derive(Debug, Clone)]
pub struct Vault {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Its key.
    pub key: Option<String>,
    /// Its tags.
    pub tags: Tags,
}

/// What a backup job made: a snapshot under another name.
#[derive(Debug, Clone)]
pub struct RecoveryPoint {
    /// Its ARN.
    pub arn: String,
    /// In which vault.
    pub vault: String,
    /// Of which instance: an ARN.
    pub resource: String,
    /// The snapshot.
    pub snapshot: String,
    /// `CREATING`, `COMPLETED`, `PARTIAL`.
    pub status: String,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it was there.
    pub completed: Option<Timestamp>,
    /// Bytes.
    pub size: u64,
    /// Who asked.
    pub role: String,
    /// The vault that it was copied from: an ARN.
    pub copied_from: Option<String>,
    /// How long it is kept.
    pub lifecycle: Option<Value>,
    /// The plan that wanted it.
    pub by: Option<Author>,
    /// Its tags.
    pub tags: Tags,
}

/// The rule of a plan that made something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The plan: an ARN.
    pub arn: String,
    /// Its id.
    pub plan: String,
    /// Which of its versions.
    pub version: String,
    /// The rule's id.
    pub rule: String,
}

/// What a job does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobKind {
    /// Makes a recovery point.
    Backup,
    /// Makes an instance of one.
    Restore {
        /// The instance: an ARN.
        made: Option<String>,
    },
    /// Takes one to another vault.
    Copy {
        /// From: an ARN of a vault.
        from: String,
        /// To: an ARN of a vault.
        to: String,
        /// The new one.
        made: Option<String>,
    },
}

/// A job of AWS Backup.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// What it does.
    pub kind: JobKind,
    /// The vault, of backup and restore.
    pub vault: String,
    /// The recovery point.
    pub point: String,
    /// Of which instance: an ARN.
    pub resource: String,
    /// `CREATED`, `RUNNING`, `COMPLETED`, `FAILED` …
    pub state: &'static str,
    /// Why it failed.
    pub message: Option<String>,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it was over.
    pub completed: Option<Timestamp>,
    /// Until when it must have begun.
    pub start_by: Option<Timestamp>,
    /// The plan that wanted it.
    pub by: Option<Author>,
    /// Bytes.
    pub size: u64,
    /// Who asked.
    pub role: String,
}
