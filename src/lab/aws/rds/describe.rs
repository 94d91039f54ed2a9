//! Instances, snapshots and groups as RDS's answers have them.

use jiff::Timestamp;

use crate::lab::aws::names::rds_arn;
use crate::lab::aws::parameters::{default_group, family};
use crate::lab::aws::settings::major;
use crate::lab::aws::state::{Instance, ParameterGroup, Region, Snapshot, SubnetGroup, Tags};
use crate::lab::aws::wire::Fields;

/// Certificates of RDS's authorities end here.
const AUTHORITY_ENDS: &str = "2061-05-22T22:13:37Z";
/// An instance's own certificate is made anew every year.
const CERTIFICATE: jiff::SignedDuration = jiff::SignedDuration::from_hours(24 * 365);

pub fn tags(tags: &Tags) -> impl Iterator<Item = Fields> + '_ {
    tags.iter().map(|(key, value)| Fields::new().with("Key", key).with("Value", value))
}

pub fn instance(region: &Region, it: &Instance) -> Fields {
    let shape = &it.shape;
    let machine = it.machine.as_ref();
    let endpoint = machine.filter(|machine| machine.port() != 0).map(|machine| {
        let port = machine.port();
        Fields::new().with("Address", "127.0.0.1").with("Port", port).with("HostedZoneId", "Z29XKXDKYMONMX")
    });
    let latest = machine.filter(|_| shape.retention > 0).and_then(|machine| machine.kept().latest);
    let member = |name: &str, value: &str, status: &'static str| Fields::new().with(name, value).with("Status", status);
    let ends = it.created.checked_add(CERTIFICATE).unwrap_or(it.created);
    let ends = AUTHORITY_ENDS.parse::<Timestamp>().map_or(ends, |last| ends.min(last));
    Fields::new()
        .with("DBInstanceIdentifier", &it.id)
        .with("DBInstanceClass", &shape.class)
        .with("Engine", "postgres")
        .with("DBInstanceStatus", &it.status)
        .with("MasterUsername", &shape.master)
        .maybe("DBName", shape.database.as_ref())
        .maybe("Endpoint", endpoint)
        .with("AllocatedStorage", shape.storage)
        .with("InstanceCreateTime", it.created)
        .with("PreferredBackupWindow", &shape.backup_window)
        .with("BackupRetentionPeriod", shape.retention)
        .list::<Fields>("DBSecurityGroups", "DBSecurityGroup", [])
        .list(
            "VpcSecurityGroups",
            "VpcSecurityGroupMembership",
            shape.security.iter().map(|group| member("VpcSecurityGroupId", group, "active")),
        )
        .list(
            "DBParameterGroups",
            "DBParameterGroup",
            [Fields::new()
                .with("DBParameterGroupName", &shape.parameters)
                .with("ParameterApplyStatus", if it.wants_reboot { "pending-reboot" } else { "in-sync" })],
        )
        .with("AvailabilityZone", zone(&region.name, &shape.zone))
        .with("DBSubnetGroup", subnets(region, &shape.subnets))
        .with("PreferredMaintenanceWindow", &shape.maintenance_window)
        .with("PendingModifiedValues", pending(it))
        .maybe("LatestRestorableTime", latest)
        .with("MultiAZ", shape.multi_az)
        .maybe("SecondaryAvailabilityZone", shape.multi_az.then(|| zone(&region.name, "c")))
        .with("EngineVersion", &shape.version)
        .with("AutoMinorVersionUpgrade", shape.auto_minor)
        .list::<Fields>("ReadReplicaDBInstanceIdentifiers", "ReadReplicaDBInstanceIdentifier", [])
        .with("LicenseModel", "postgresql-license")
        .maybe("Iops", shape.iops)
        .maybe("StorageThroughput", shape.throughput)
        .list(
            "OptionGroupMemberships",
            "OptionGroupMembership",
            [member("OptionGroupName", &format!("default:postgres-{}", major(&shape.version)), "in-sync")],
        )
        .with("PubliclyAccessible", shape.public)
        .with("StorageType", &shape.storage_type)
        .with("DbInstancePort", 0_i64)
        .with("StorageEncrypted", shape.encrypted)
        .maybe("KmsKeyId", shape.key.as_ref())
        .with("DbiResourceId", &it.resource)
        .with("CACertificateIdentifier", &shape.authority)
        .list::<Fields>("DomainMemberships", "DomainMembership", [])
        .with("CopyTagsToSnapshot", shape.copy_tags)
        .with("MonitoringInterval", 0_i64)
        .with("DBInstanceArn", rds_arn(&region.name, "db", &it.id))
        .with("IAMDatabaseAuthenticationEnabled", shape.iam)
        .with("PerformanceInsightsEnabled", shape.insights)
        .maybe("PerformanceInsightsRetentionPeriod", shape.insights.then_some(7_i64))
        .list("EnabledCloudwatchLogsExports", "member", shape.exports.iter())
        .with("DeletionProtection", shape.protected)
        .list::<Fields>("AssociatedRoles", "DBInstanceRole", [])
        .maybe("MaxAllocatedStorage", shape.most_storage)
        .list("TagList", "Tag", tags(&it.tags))
        .with("CustomerOwnedIpEnabled", false)
        .with("NetworkType", "IPV4")
        .with("ActivityStreamStatus", "stopped")
        .with("BackupTarget", "region")
        .with("CertificateDetails", Fields::new().with("CAIdentifier", &shape.authority).with("ValidTill", ends))
        .with("DedicatedLogVolume", false)
}

/// What is to come.
fn pending(it: &Instance) -> Fields {
    fn change<'a, T: PartialEq>(is: &T, planned: &'a T) -> Option<&'a T> {
        (is != planned).then_some(planned)
    }
    let (is, planned) = (&it.shape, &it.planned);
    Fields::new()
        .maybe("DBInstanceClass", change(&is.class, &planned.class))
        .maybe("AllocatedStorage", change(&is.storage, &planned.storage).copied())
        .maybe("StorageType", change(&is.storage_type, &planned.storage_type))
        .maybe("Iops", change(&is.iops, &planned.iops).copied().flatten())
        .maybe("StorageThroughput", change(&is.throughput, &planned.throughput).copied().flatten())
        .maybe("MasterUserPassword", it.new_password.then_some("****"))
        .maybe("MultiAZ", change(&is.multi_az, &planned.multi_az).copied())
        .maybe("BackupRetentionPeriod", change(&is.retention, &planned.retention).copied())
        .maybe("DBInstanceIdentifier", it.planned_name.as_ref())
}

fn zone(region: &str, letter: &str) -> String {
    format!("{region}{letter}")
}

pub fn subnets(region: &Region, name: &str) -> Fields {
    let kept = region.subnets.get(name);
    let default = ["subnet-0a", "subnet-0b", "subnet-0c"].map(str::to_owned);
    let ids = kept.map_or(&default[..], |group| &group.subnets);
    let subnet = |(place, id): (usize, &String)| {
        let letter = char::from(b'a' + (place % 3) as u8);
        Fields::new()
            .with("SubnetIdentifier", id)
            .with("SubnetAvailabilityZone", Fields::new().with("Name", format!("{}{letter}", region.name)))
            .with("SubnetStatus", "Active")
    };
    Fields::new()
        .with("DBSubnetGroupName", name)
        .with("DBSubnetGroupDescription", kept.map_or("default", |group| &group.description))
        .with("VpcId", "vpc-0estate")
        .with("SubnetGroupStatus", "Complete")
        .list("Subnets", "Subnet", ids.iter().enumerate().map(subnet))
        .with("DBSubnetGroupArn", rds_arn(&region.name, "subgrp", name))
}

/// The group that is there without anybody's doing.
pub fn default_subnets() -> SubnetGroup {
    SubnetGroup {
        name: "default".to_owned(),
        description: "default".to_owned(),
        subnets: Vec::new(),
        tags: Tags::new(),
    }
}

pub fn snapshot(region: &str, it: &Snapshot) -> Fields {
    let done = if it.status == "available" { 100_i64 } else { 0 };
    let shape = &it.shape;
    Fields::new()
        .with("DBSnapshotIdentifier", &it.id)
        .with("DBInstanceIdentifier", &it.instance)
        .maybe("SnapshotCreateTime", (it.status != "creating").then_some(it.created))
        .maybe("OriginalSnapshotCreateTime", it.store.as_ref().map(|store| store.finished))
        .maybe("SnapshotDatabaseTime", it.store.as_ref().map(|store| store.finished))
        .with("Engine", "postgres")
        .with("AllocatedStorage", shape.storage)
        .with("Status", &it.status)
        .with("Port", it.port)
        .with("AvailabilityZone", zone(region, &shape.zone))
        .with("VpcId", "vpc-0estate")
        .with("InstanceCreateTime", it.instance_created)
        .with("MasterUsername", &shape.master)
        .with("EngineVersion", &shape.version)
        .with("LicenseModel", "postgresql-license")
        .with("SnapshotType", it.kind)
        .maybe("Iops", shape.iops)
        .maybe("StorageThroughput", shape.throughput)
        .with("OptionGroupName", format!("default:postgres-{}", major(&shape.version)))
        .with("PercentProgress", done)
        .maybe("SourceRegion", it.source.as_deref().and_then(|arn| arn.split(':').nth(3)))
        .maybe("SourceDBSnapshotIdentifier", it.source.as_ref())
        .with("StorageType", &shape.storage_type)
        .with("Encrypted", shape.encrypted)
        .maybe("KmsKeyId", shape.key.as_ref())
        .with("DBSnapshotArn", rds_arn(region, "snapshot", &it.id))
        .with("IAMDatabaseAuthenticationEnabled", shape.iam)
        .with("DbiResourceId", &it.resource)
        .list("TagList", "Tag", tags(&it.tags))
        .with("SnapshotTarget", "region")
        .maybe("FullSnapshotSizeInBytes", it.store.as_ref().map(|store| store.size))
}

pub fn parameter_group(region: &str, group: &ParameterGroup) -> Fields {
    Fields::new()
        .with("DBParameterGroupName", &group.name)
        .with("DBParameterGroupFamily", &group.family)
        .with("Description", &group.description)
        .with("DBParameterGroupArn", rds_arn(region, "pg", &group.name))
}

/// The group of a version that is there without anybody's doing.
pub fn default_parameters(version: u32) -> ParameterGroup {
    ParameterGroup {
        name: default_group(version),
        family: format!("postgres{version}"),
        description: format!("Default parameter group for postgres{version}"),
        values: std::collections::BTreeMap::new(),
        tags: Tags::new(),
    }
}

/// The version of a default group's name.
pub fn is_default_parameters(name: &str) -> Option<u32> {
    family(name.strip_prefix("default.")?)
}
