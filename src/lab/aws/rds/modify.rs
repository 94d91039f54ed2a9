//! Changing instances, and ending them.

use std::sync::Arc;

use super::{combination, describe, invalid, make, no_instance, only, required};
use crate::lab::aws::core::Core;
use crate::lab::aws::lifecycle::Place;
use crate::lab::aws::names::identifier;
use crate::lab::aws::state::{Instance, InstanceShape, Snapshot};
use crate::lab::aws::wire::{Answer, Fields, Input, Refusal};

const KNOWN: [&str; 25] = [
    "AllocatedStorage",
    "ApplyImmediately",
    "AutoMinorVersionUpgrade",
    "BackupRetentionPeriod",
    "CACertificateIdentifier",
    "CloudwatchLogsExportConfiguration",
    "CopyTagsToSnapshot",
    "DBInstanceClass",
    "DBInstanceIdentifier",
    "DBParameterGroupName",
    "DBSubnetGroupName",
    "DeletionProtection",
    "EnableIAMDatabaseAuthentication",
    "EnablePerformanceInsights",
    "Iops",
    "MasterUserPassword",
    "MaxAllocatedStorage",
    "MultiAZ",
    "NewDBInstanceIdentifier",
    "PreferredBackupWindow",
    "PreferredMaintenanceWindow",
    "PubliclyAccessible",
    "StorageThroughput",
    "StorageType",
    "VpcSecurityGroupIds",
];

/// An instance that may be worked on, and where it is.
fn ready(core: &Core, region: &str, id: &str, doing: &str) -> Result<(Place, Instance), Refusal> {
    let mut state = core.state();
    let instance = state.region(region).instances.get(&id.to_ascii_lowercase()).cloned();
    let instance = instance.ok_or_else(|| no_instance(id))?;
    if !["available", "storage-full", "storage-optimization"].contains(&instance.status.as_str()) {
        let message =
            format!("Instance {id} cannot be {doing}: it is not in the available state, but {}.", instance.status);
        return Err(Refusal::new("InvalidDBInstanceState", message));
    }
    Ok((Place { region: region.to_owned(), resource: instance.resource.clone() }, instance))
}

pub fn modify(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    only(input, &KNOWN)?;
    let id = required(input, "DBInstanceIdentifier")?;
    let (place, instance) = ready(core, region, id, "modified")?;
    let mut after = instance.shape.clone();
    make::heed(core, region, input, &mut after)?;
    let change = input.inner("CloudwatchLogsExportConfiguration");
    after.exports.retain(|kind| !change.texts("DisableLogTypes").contains(kind));
    for kind in make::exports(&change.texts("EnableLogTypes"))? {
        if !after.exports.contains(&kind) {
            after.exports.push(kind);
        }
    }
    let password = input.has("MasterUserPassword").then(|| make::master_password(input)).transpose()?;
    let name = input.filled("NewDBInstanceIdentifier");
    let name = name.map(|name| identifier("NewDBInstanceIdentifier", Some(name), 63)).transpose()?;
    let now = input.flag("ApplyImmediately").unwrap_or(false);
    let pending = if now { Vec::new() } else { wait(&instance.shape, &mut after, name.as_deref()) };
    let mut state = core.state();
    let region = state.region(region);
    if let Some(name) = &name
        && region.instances.contains_key(name)
    {
        return Err(Refusal::new("DBInstanceAlreadyExists", "DB instance already exists"));
    }
    let Some(instance) = region.instances.get_mut(&instance.id) else { return Err(no_instance(id)) };
    instance.pending.retain(|(name, _)| !now && pending.iter().all(|(newer, _)| newer != name));
    instance.pending.extend(pending);
    // What needs no work is so at once.
    let quiet = InstanceShape {
        class: instance.shape.class.clone(),
        storage: instance.shape.storage,
        storage_type: instance.shape.storage_type.clone(),
        retention: instance.shape.retention,
        ..after.clone()
    };
    let work = quiet.class != after.class
        || quiet.storage != after.storage
        || quiet.storage_type != after.storage_type
        || quiet.retention != after.retention
        || password.is_some()
        || (now && name.is_some());
    instance.shape = quiet;
    let shown = describe::instance(region, &region.instances[&instance_id(region, &place)]);
    if work && let Some(instance) = region.instances.values_mut().find(|it| it.resource == place.resource) {
        let status = if now && name.is_some() { "renaming" } else { "modifying" };
        status.clone_into(&mut instance.status);
        core.spawn(Arc::clone(core).modify(place, after, password, name.filter(|_| now)));
    }
    Ok(Fields::new().with("DBInstance", shown))
}

fn instance_id(region: &crate::lab::aws::state::Region, place: &Place) -> String {
    region.instances.values().find(|it| it.resource == place.resource).map(|it| it.id.clone()).unwrap_or_default()
}

/// What waits for the maintenance window stays as it is, and is told as pending.
fn wait(before: &InstanceShape, after: &mut InstanceShape, name: Option<&str>) -> Vec<(String, String)> {
    let mut pending = Vec::new();
    let mut put_off = |name: &str, is: String, was: String| {
        if is != was {
            pending.push((name.to_owned(), is));
        }
    };
    put_off("DBInstanceClass", after.class.clone(), before.class.clone());
    put_off("AllocatedStorage", after.storage.to_string(), before.storage.to_string());
    put_off("StorageType", after.storage_type.clone(), before.storage_type.clone());
    put_off("MultiAZ", after.multi_az.to_string(), before.multi_az.to_string());
    put_off("BackupRetentionPeriod", after.retention.to_string(), before.retention.to_string());
    if let Some(name) = name {
        put_off("DBInstanceIdentifier", name.to_owned(), String::new());
    }
    after.class.clone_from(&before.class);
    after.storage = before.storage;
    after.storage_type.clone_from(&before.storage_type);
    (after.iops, after.throughput) = (before.iops, before.throughput);
    (after.multi_az, after.retention) = (before.multi_az, before.retention);
    pending
}

pub fn reboot(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    only(input, &["DBInstanceIdentifier", "ForceFailover"])?;
    let id = required(input, "DBInstanceIdentifier")?;
    let (place, instance) = ready(core, region, id, "rebooted")?;
    if instance.machine.as_ref().is_none_or(|machine| !machine.is_own()) {
        let message = format!("The estate does not reboot {id}: others work on its cluster.");
        return Err(Refusal::new("InvalidDBInstanceState", message));
    }
    if input.flag("ForceFailover") == Some(true) && !instance.shape.multi_az {
        return Err(combination("Reboot with failover cannot be requested for a single-AZ instance."));
    }
    core.with(&place, |instance| "rebooting".clone_into(&mut instance.status));
    core.spawn(Arc::clone(core).reboot(place));
    shown(core, region, &instance.id)
}

pub fn delete(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    only(input, &["DBInstanceIdentifier", "SkipFinalSnapshot", "FinalDBSnapshotIdentifier", "DeleteAutomatedBackups"])?;
    let id = required(input, "DBInstanceIdentifier")?;
    if input.flag("DeleteAutomatedBackups") == Some(false) {
        return Err(combination("The estate's AWS does not retain automated backups of deleted instances"));
    }
    let (skip, last) = (input.flag("SkipFinalSnapshot").unwrap_or(false), input.filled("FinalDBSnapshotIdentifier"));
    let mut state = core.state();
    let state_of = state.region(region);
    let instance = state_of.instances.get(&id.to_ascii_lowercase()).cloned().ok_or_else(|| no_instance(id))?;
    if instance.status == "deleting" {
        let message = format!("Instance {id} is already being deleted.");
        return Err(Refusal::new("InvalidDBInstanceState", message));
    }
    if instance.shape.protected {
        return Err(combination(
            "Cannot delete protected DB Instance, please disable deletion protection and try again.",
        ));
    }
    let broken = ["failed", "incompatible-restore", "incompatible-parameters"].contains(&instance.status.as_str());
    match (skip, last) {
        (true, Some(_)) => {
            return Err(combination(
                "FinalDBSnapshotIdentifier can not be specified when deleting an instance with SkipFinalSnapshot=true",
            ));
        }
        (false, None) => {
            return Err(combination("FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."));
        }
        (false, Some(_)) if broken => {
            let message = format!("Cannot create a snapshot because the instance is in state {}.", instance.status);
            return Err(Refusal::new("InvalidDBInstanceState", message));
        }
        _ => {}
    }
    if !broken && !["available", "storage-full", "storage-optimization"].contains(&instance.status.as_str()) {
        let message = format!("Instance {id} cannot be deleted while it is {}.", instance.status);
        return Err(Refusal::new("InvalidDBInstanceState", message));
    }
    if instance.machine.as_ref().is_some_and(|machine| !machine.is_own()) {
        return Err(invalid("The estate does not delete an instance whose cluster others work on."));
    }
    let last = last.map(|name| identifier("FinalDBSnapshotIdentifier", Some(name), 255)).transpose()?;
    if let Some(name) = &last {
        if state_of.snapshots.contains_key(name) {
            let message =
                format!("Cannot create the snapshot because a snapshot with the identifier {name} already exists.");
            return Err(Refusal::new("DBSnapshotAlreadyExists", message));
        }
        let port = instance.machine.as_ref().map_or(0, |machine| machine.port());
        let mut snapshot = Snapshot::of(&instance, name, port);
        if !instance.shape.copy_tags {
            snapshot.tags.clear();
        }
        state_of.snapshots.insert(name.clone(), snapshot);
    }
    if let Some(instance) = state_of.instances.get_mut(&instance.id) {
        "deleting".clone_into(&mut instance.status);
    }
    drop(state);
    let place = Place { region: region.to_owned(), resource: instance.resource };
    core.spawn(Arc::clone(core).delete(place, last));
    shown(core, region, &instance.id)
}

fn shown(core: &Core, region: &str, id: &str) -> Answer {
    let mut state = core.state();
    let region = state.region(region);
    let instance = region.instances.get(id).ok_or_else(|| no_instance(id))?;
    Ok(Fields::new().with("DBInstance", describe::instance(region, instance)))
}
