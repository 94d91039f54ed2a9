//! Every question that is asked of AWS, by the name that IAM has for it: what a policy must allow, what an error names, what
//! `doctor` lists.

macro_rules! actions {
    ($($variant:ident $name:literal $about:literal,)*) => {
        /// One action of IAM.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $(#[doc = $about] $variant,)*
        }

        impl Action {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// IAM's name for it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What we want it for.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }
        }
    };
}

actions! {
    DescribeDbInstances "rds:DescribeDBInstances" "instances, and which are found by their tags",
    DescribePendingMaintenanceActions "rds:DescribePendingMaintenanceActions" "pending maintenance",
    DescribeDbInstanceAutomatedBackups "rds:DescribeDBInstanceAutomatedBackups" "the earliest moment to restore to",
    DescribeEvents "rds:DescribeEvents" "what happened to instances",
    DescribeDbSnapshots "rds:DescribeDBSnapshots" "snapshots",
    DescribeDbSnapshotAttributes "rds:DescribeDBSnapshotAttributes" "who snapshots are shared with",
    DescribeDbParameters "rds:DescribeDBParameters" "parameters that matter",
    DescribeDbLogFiles "rds:DescribeDBLogFiles" "which logs there are",
    DownloadDbLogFilePortion "rds:DownloadDBLogFilePortion" "logs that are not exported",
    Connect "rds-db:connect" "logging in to PostgreSQL by IAM",
    GetMetricData "cloudwatch:GetMetricData" "figures",
    DescribeAlarms "cloudwatch:DescribeAlarms" "alarms",
    ListBackupPlans "backup:ListBackupPlans" "backup plans",
    GetBackupPlan "backup:GetBackupPlan" "their rules",
    ListBackupSelections "backup:ListBackupSelections" "what they protect",
    GetBackupSelection "backup:GetBackupSelection" "what exactly",
    ListBackupVaults "backup:ListBackupVaults" "backup vaults",
    ListRecoveryPoints "backup:ListRecoveryPointsByBackupVault" "recovery points",
    ListBackupJobs "backup:ListBackupJobs" "backups, and why they failed",
    ListCopyJobs "backup:ListCopyJobs" "copies to other regions",
    ListRestoreJobs "backup:ListRestoreJobs" "restores",
    FilterLogEvents "logs:FilterLogEvents" "logs that are exported to CloudWatch",
    GetCallerIdentity "sts:GetCallerIdentity" "who we are; always allowed",
}

impl Action {
    /// The service that is asked, as people call it.
    pub fn service(self) -> &'static str {
        match self.name().split(':').next() {
            Some("rds" | "rds-db") => "RDS",
            Some("cloudwatch") => "CloudWatch",
            Some("backup") => "AWS Backup",
            Some("logs") => "CloudWatch Logs",
            _ => "AWS",
        }
    }

    /// Whether a policy has to allow it: nobody can be kept from asking who they are.
    pub fn needs_leave(self) -> bool {
        self != Self::GetCallerIdentity
    }
}
