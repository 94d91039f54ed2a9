//! Recovery points, and what they are of.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{missing, paged, required, vault_arn};
use crate::lab::aws::core::Core;
use crate::lab::aws::names::parse_rds_arn;
use crate::lab::aws::state::{Author, RecoveryPoint, Region};
use crate::lab::aws::wire::{Answer, Fields, Input, Refusal, Shape};

fn told(region: &Region, point: &RecoveryPoint) -> Fields {
    let snapshot = region.snapshots.get(&point.snapshot);
    Fields::new()
        .with("RecoveryPointArn", &point.arn)
        .with("BackupVaultName", &point.vault)
        .with("BackupVaultArn", vault_arn(&region.name, &point.vault))
        .maybe("SourceBackupVaultArn", point.copied_from.as_ref())
        .with("ResourceArn", &point.resource)
        .with("ResourceType", "RDS")
        .with("IamRoleArn", &point.role)
        .with("Status", &point.status)
        .with("CreationDate", point.created)
        .maybe("CompletionDate", point.completed)
        .with("BackupSizeInBytes", point.size)
        .maybe("Lifecycle", point.lifecycle.as_ref().map(Shape::from))
        .maybe("CalculatedLifecycle", point.lifecycle.as_ref().map(|it| calculated(it, point.created)))
        .with("IsEncrypted", snapshot.is_some_and(|it| it.shape.encrypted))
        .maybe("CreatedBy", point.by.as_ref().map(author))
        .with("StorageClass", "WARM")
        .with("IsParent", false)
        .with("ResourceName", name(&point.resource))
}

/// When a point goes, and whereto before that.
fn calculated(lifecycle: &Value, created: Timestamp) -> Fields {
    Fields::new()
        .maybe("MoveToColdStorageAt", after(lifecycle, "MoveToColdStorageAfterDays", created))
        .maybe("DeleteAt", after(lifecycle, "DeleteAfterDays", created))
}

fn after(lifecycle: &Value, name: &str, created: Timestamp) -> Option<Timestamp> {
    // Less than none means never.
    let days = lifecycle[name].as_i64().filter(|days| *days > 0)?;
    created.checked_add(SignedDuration::from_hours(days.checked_mul(24)?)).ok()
}

/// When a point that is whole goes by itself.
pub fn goes(point: &RecoveryPoint) -> Option<Timestamp> {
    after(point.lifecycle.as_ref()?, "DeleteAfterDays", point.created).filter(|_| point.status == "COMPLETED")
}

/// The plan that made something.
pub fn author(by: &Author) -> Fields {
    Fields::new()
        .with("BackupPlanId", &by.plan)
        .with("BackupPlanArn", &by.arn)
        .with("BackupPlanVersion", &by.version)
        .with("BackupRuleId", &by.rule)
}

/// What an ARN names last.
pub fn name(arn: &str) -> &str {
    parse_rds_arn(arn).map_or(arn, |(_, _, name)| name)
}

fn none(arn: &str) -> Refusal {
    missing(format!("Recovery point not found: {arn}"))
}

pub fn of_vault(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let vault = required(input, "BackupVaultName")?;
    let mut state = core.state();
    let known = state.region(region);
    known.backup.vaults.get(vault).ok_or_else(super::vaults::veiled)?;
    let resource = input.filled("resourceArn");
    let (before, after) = (input.time("createdBefore"), input.time("createdAfter"));
    let mut found: Vec<&RecoveryPoint> = known
        .backup
        .points
        .values()
        .filter(|it| it.vault == vault && resource.is_none_or(|resource| it.resource == resource))
        .filter(|it| before.is_none_or(|at| it.created < at) && after.is_none_or(|at| it.created > at))
        .filter(|_| input.filled("resourceType").is_none_or(|kind| kind == "RDS"))
        .collect();
    found.sort_by_key(|it| std::cmp::Reverse(it.created));
    let found = found.into_iter().map(|it| told(known, it)).collect();
    paged(input, "RecoveryPoints", found)
}

pub fn of_resource(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let resource = required(input, "ResourceArn")?;
    let mut state = core.state();
    let mut found: Vec<&RecoveryPoint> =
        state.region(region).backup.points.values().filter(|it| it.resource == resource).collect();
    found.sort_by_key(|it| std::cmp::Reverse(it.created));
    let found = found
        .into_iter()
        .map(|it| {
            Fields::new()
                .with("RecoveryPointArn", &it.arn)
                .with("CreationDate", it.created)
                .with("Status", &it.status)
                .with("BackupSizeBytes", it.size)
                .with("BackupVaultName", &it.vault)
                .with("IsParent", false)
                .with("ResourceName", name(&it.resource))
        })
        .collect();
    paged(input, "RecoveryPoints", found)
}

fn with<T>(
    core: &Core,
    region: &str,
    input: &Input,
    tell: impl FnOnce(&Region, &RecoveryPoint) -> T,
) -> Result<T, Refusal> {
    let (vault, arn) = (required(input, "BackupVaultName")?, required(input, "RecoveryPointArn")?);
    let mut state = core.state();
    let known = state.region(region);
    let point = known.backup.points.get(arn).filter(|point| point.vault == vault).ok_or_else(|| none(arn))?;
    Ok(tell(known, point))
}

pub fn describe(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    with(core, region, input, told)
}

pub fn metadata(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    with(core, region, input, |known, point| {
        let shape = known.snapshots.get(&point.snapshot).map(|it| &it.shape);
        let metadata = shape.map(|shape| {
            Fields::new()
                .with("DBInstanceIdentifier", name(&point.resource))
                .with("DBInstanceClass", &shape.class)
                .with("Engine", "postgres")
                .with("DBSubnetGroupName", &shape.subnets)
                .with("MultiAZ", shape.multi_az.to_string())
                .with("AvailabilityZone", format!("{region}{}", shape.zone))
        });
        Fields::new()
            .with("BackupVaultArn", vault_arn(region, &point.vault))
            .with("RecoveryPointArn", &point.arn)
            .with("RestoreMetadata", metadata.unwrap_or_default())
            .with("ResourceType", "RDS")
    })
}

pub fn delete(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let (arn, snapshot, status) =
        with(core, region, input, |_, point| (point.arn.clone(), point.snapshot.clone(), point.status.clone()))?;
    if status == "CREATING" {
        return Err(Refusal::new("InvalidResourceStateException", "The recovery point is still being created."));
    }
    let mut state = core.state();
    let known = state.region(region);
    known.backup.points.remove(&arn);
    known.snapshots.remove(&snapshot);
    Ok(Fields::new())
}

/// The newest recovery point of each resource.
fn newest(region: &Region) -> BTreeMap<&str, Timestamp> {
    let mut newest = BTreeMap::new();
    for point in region.backup.points.values().filter(|it| it.status == "COMPLETED") {
        let at = newest.entry(point.resource.as_str()).or_insert(point.created);
        *at = (*at).max(point.created);
    }
    newest
}

fn protected(arn: &str, at: Timestamp) -> Fields {
    Fields::new()
        .with("ResourceArn", arn)
        .with("ResourceType", "RDS")
        .with("LastBackupTime", at)
        .with("ResourceName", name(arn))
}

pub fn resources(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let mut state = core.state();
    let known = state.region(region);
    paged(input, "Results", newest(known).into_iter().map(|(arn, at)| protected(arn, at)).collect())
}

pub fn resource(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let arn = required(input, "ResourceArn")?;
    let mut state = core.state();
    let at = newest(state.region(region)).get(arn).copied();
    at.map(|at| protected(arn, at)).ok_or_else(|| missing(format!("Resource not found: {arn}")))
}
