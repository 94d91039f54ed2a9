//! How RDS describes an instance: what it is, what it is set to, what happened to it and what will.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::foreign::Foreign;

/// Storage, as provisioned.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Storage {
    /// `AllocatedStorage`, in GiB.
    pub allocated_gib: Option<u32>,
    /// `MaxAllocatedStorage`, in GiB: how far it may grow by itself; `None`: it does not.
    pub max_allocated_gib: Option<u32>,
    /// `StorageType`: `gp2`, `gp3`, `io1`, …
    pub kind: Arc<str>,
    /// `Iops`, provisioned.
    pub iops: Option<u32>,
    /// `StorageThroughput`, in MiB a second.
    pub throughput_mibps: Option<u32>,
}

/// Source `rds`: `DescribeDBInstances`, and what maintenance is pending.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Rds {
    /// `DBInstanceArn`.
    pub arn: Foreign,
    /// `DbiResourceId`.
    pub resource_id: Option<Foreign>,
    /// `DBInstanceStatus`: `available`, `storage-full`, …
    pub status: Foreign,
    /// `DBInstanceClass`: `db.t4g.medium`.
    pub class: Foreign,
    /// `EngineVersion`.
    pub version: Foreign,
    /// Storage.
    pub storage: Storage,
    /// Whether a standby is ready in another zone; `None`, here and below: not told.
    pub multi_az: Option<bool>,
    /// `AvailabilityZone`.
    pub zone: Option<Foreign>,
    /// Whether its storage is encrypted.
    pub encrypted: Option<bool>,
    /// `KmsKeyId`.
    pub kms_key: Option<Foreign>,
    /// `PubliclyAccessible`.
    pub public: Option<bool>,
    /// `DeletionProtection`.
    pub deletion_protection: Option<bool>,
    /// `CACertificateIdentifier`.
    pub ca: Option<Foreign>,
    /// Until when its certificate is good.
    pub certificate_until: Option<Timestamp>,
    /// `PreferredBackupWindow`, in UTC: `03:00-03:30`.
    pub backup_window: Option<Foreign>,
    /// `PreferredMaintenanceWindow`.
    pub maintenance_window: Option<Foreign>,
    /// `BackupRetentionPeriod`; 0: no automated backups.
    pub retention_days: Option<u32>,
    /// The earliest moment that can be restored to (`DescribeDBInstanceAutomatedBackups`).
    pub earliest_restorable: Option<Timestamp>,
    /// `LatestRestorableTime`.
    pub latest_restorable: Option<Timestamp>,
    /// Endpoint: host and port.
    pub endpoint: Option<(Foreign, u16)>,
    /// `MasterUsername`.
    pub master: Option<Foreign>,
    /// `DBName`.
    pub database: Option<Foreign>,
    /// `IAMDatabaseAuthenticationEnabled`.
    pub iam_login: Option<bool>,
    /// `PerformanceInsightsEnabled`; `None`: not told.
    #[serde(default)]
    pub insights: Option<bool>,
    /// `InstanceCreateTime`.
    pub created: Option<Timestamp>,
    /// `DBParameterGroups`: name and apply status.
    pub parameter_groups: Vec<(Foreign, Foreign)>,
    /// `EnabledCloudwatchLogsExports`.
    pub exports_logs: bool,
    /// `DBClusterIdentifier`, or an engine that only clusters have: backups, snapshots and storage are the cluster's, and who writes
    /// is not told here.
    #[serde(default)]
    pub cluster: Option<Foreign>,
    /// What it is a replica of.
    pub replica_of: Option<Foreign>,
    /// Its replicas.
    pub replicas: Vec<Foreign>,
    /// `TagList`.
    pub tags: BTreeMap<String, Foreign>,
    /// `PendingModifiedValues`: what, and to what.
    pub pending: Vec<(Arc<str>, Foreign)>,
    /// `DescribePendingMaintenanceActions`; `None`: not known.
    pub maintenance: Option<Vec<Maintenance>>,
    /// Parts that were not told at the newest attempt: which, and why. What they said before stands.
    #[serde(default)]
    pub refused: Vec<(Arc<str>, Arc<str>)>,
}

impl Rds {
    /// Whether it is being made, anew or from a backup: what belongs to it is not there yet.
    pub fn is_being_made(&self) -> bool {
        matches!(self.status.raw(), "creating" | "restoring")
    }

    /// Whether it is a class whose CPU lives on credits.
    pub fn is_burstable(&self) -> bool {
        self.class.raw().starts_with("db.t")
    }
}

/// One action that RDS wants done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Maintenance {
    /// `system-update`, `db-upgrade`, `ca-certificate-rotation`, …
    pub action: Foreign,
    /// What it is, in RDS's words.
    pub description: Foreign,
    /// In the first window after this.
    pub after: Option<Timestamp>,
    /// By force from then on.
    pub forced: Option<Timestamp>,
    /// Whether somebody chose when (`OptInStatus`).
    pub chosen: Option<Foreign>,
}

/// One event of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What happened, in RDS's words.
    pub message: Foreign,
    /// `EventCategories`.
    pub categories: Vec<Foreign>,
}

/// Source `events`: the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Events {
    /// Of the last day, or more where they were seen.
    pub events: Vec<Event>,
}

/// Source `parameters`: those that matter, with their values as set; what is not set has the engine's default and is missing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Parameters {
    /// `rds.force_ssl`, `rds.logical_replication`, `shared_preload_libraries`, `max_connections`,
    /// `log_min_duration_statement`, `pgaudit.log`.
    pub values: BTreeMap<String, Foreign>,
}

impl Parameters {
    /// The names that are asked for.
    pub const WANTED: [&'static str; 6] = [
        "rds.force_ssl",
        "rds.logical_replication",
        "shared_preload_libraries",
        "max_connections",
        "log_min_duration_statement",
        "pgaudit.log",
    ];
}
