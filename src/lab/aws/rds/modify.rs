//! Changing instances, and ending them.

use std::sync::Arc;

use super::{combination, describe, invalid, make, no_instance, only, required};
use crate::lab::aws::core::Core;
use crate::lab::aws::lifecycle::{NO_NETWORK, Place, REFUSED};
use crate::lab::aws::names::identifier;
use crate::lab::aws::state::{Instance, InstanceShape, Region, Snapshot};
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

/// Where RDS has given up on an instance.
const BROKEN: [&str; 4] = ["failed", "incompatible-restore", REFUSED, NO_NETWORK];
/// Where somebody has it rest.
const STOPPED: &str = "stopped";

/// An instance that may be worked on, in whatever state it may `also` be. Whoever asked holds the state until it says so.
fn ready<'a>(region: &'a mut Region, id: &str, doing: &str, also: &[&str]) -> Result<&'a mut Instance, Refusal> {
    let instance = region.instances.get_mut(&id.to_ascii_lowercase()).ok_or_else(|| no_instance(id))?;
    let status = instance.status.as_str();
    if ["available", "storage-full", "storage-optimization"].contains(&status) || also.contains(&status) {
        return Ok(instance);
    }
    let message = format!("Instance {id} cannot be {doing}: it is not in the available state, but {status}.");
    Err(Refusal::new("InvalidDBInstanceState", message))
}

pub fn modify(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    only(input, &KNOWN)?;
    let id = required(input, "DBInstanceIdentifier")?;
    let password = input.has("MasterUserPassword").then(|| make::master_password(input)).transpose()?;
    let name = input.filled("NewDBInstanceIdentifier");
    let name = name.map(|name| identifier("NewDBInstanceIdentifier", Some(name), 63)).transpose()?;
    let now = input.flag("ApplyImmediately").unwrap_or(false);
    let mut state = core.state();
    let known = state.region(region);
    if name.as_ref().is_some_and(|name| known.instances.contains_key(name)) {
        return Err(Refusal::new("DBInstanceAlreadyExists", "DB instance already exists"));
    }
    let instance = ready(known, id, "modified", &[])?;
    let id = instance.id.clone();
    let mut planned = instance.planned.clone();
    if input.has("AllocatedStorage") {
        // It never shrinks, but what is only planned may be taken back.
        planned.storage = instance.shape.storage;
    }
    make::heed(known, input, &mut planned)?;
    export(input, &mut planned)?;
    let Some(instance) = known.instances.get_mut(&id) else { return Err(no_instance(&id)) };
    instance.wants_reboot |= instance.shape.parameters != planned.parameters;
    instance.shape = at_once(&instance.shape, &planned);
    instance.planned = planned;
    instance.planned_name = name.or(instance.planned_name.take());
    let after = if now { instance.planned.clone() } else { instance.shape.clone() };
    let name = instance.planned_name.clone().filter(|_| now);
    // It comes into force beside the call, whatever was said of the rest; until then it is told as pending.
    instance.new_password |= password.is_some();
    let work = after != instance.shape || password.is_some() || name.is_some();
    let place = Place { region: region.to_owned(), resource: instance.resource.clone() };
    // As it is while nothing of it is begun.
    let before = instance.clone();
    if work {
        let status = if name.is_some() { "renaming" } else { "modifying" };
        status.clone_into(&mut instance.status);
        core.spawn(Arc::clone(core).modify(place, after, password, name));
    }
    Ok(Fields::new().with("DBInstance", describe::instance(known, &before)))
}

/// Which logs go to CloudWatch from now on.
fn export(input: &Input, shape: &mut InstanceShape) -> Result<(), Refusal> {
    let change = input.inner("CloudwatchLogsExportConfiguration");
    shape.exports.retain(|kind| !change.texts("DisableLogTypes").contains(kind));
    for kind in make::exports(&change.texts("EnableLogTypes"))? {
        if !shape.exports.contains(&kind) {
            shape.exports.push(kind);
        }
    }
    Ok(())
}

/// What becomes of a plan at once: all but what waits for the maintenance window, unless it is wanted immediately. That is
/// what takes work as well.
fn at_once(is: &InstanceShape, planned: &InstanceShape) -> InstanceShape {
    // Backups that there are may be kept for longer or shorter at any time.
    let backups = (is.retention == 0) == (planned.retention == 0);
    InstanceShape {
        class: is.class.clone(),
        storage: is.storage,
        storage_type: is.storage_type.clone(),
        iops: is.iops,
        throughput: is.throughput,
        multi_az: is.multi_az,
        retention: if backups { planned.retention } else { is.retention },
        ..planned.clone()
    }
}

pub fn reboot(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    only(input, &["DBInstanceIdentifier", "ForceFailover"])?;
    let id = required(input, "DBInstanceIdentifier")?;
    let mut state = core.state();
    let known = state.region(region);
    // With its group's values put right, this is the way out.
    let instance = ready(known, id, "rebooted", &[REFUSED])?;
    ours(instance, "reboot")?;
    if input.flag("ForceFailover") == Some(true) && !instance.shape.multi_az {
        return Err(combination("Reboot with failover cannot be requested for a single-AZ instance."));
    }
    "rebooting".clone_into(&mut instance.status);
    let place = Place { region: region.to_owned(), resource: instance.resource.clone() };
    let shown = instance.clone();
    core.spawn(Arc::clone(core).reboot(place));
    Ok(Fields::new().with("DBInstance", describe::instance(known, &shown)))
}

/// Refuses an instance whose cluster is not ours to start and to stop.
fn ours(instance: &Instance, doing: &str) -> Result<(), Refusal> {
    if instance.machine.as_ref().is_some_and(|machine| machine.is_own()) {
        return Ok(());
    }
    let message = format!("The estate does not {doing} {}: others work on its cluster.", instance.id);
    Err(Refusal::new("InvalidDBInstanceState", message))
}

fn taken(name: &str) -> Refusal {
    let message = format!("Cannot create the snapshot because a snapshot with the identifier {name} already exists.");
    Refusal::new("DBSnapshotAlreadyExists", message)
}

/// A snapshot that is made before an instance stops or goes.
fn last_snapshot(instance: &Instance, name: &str) -> Snapshot {
    let port = instance.machine.as_ref().map_or(0, |machine| machine.port());
    let mut snapshot = Snapshot::of(instance, name, port);
    if !instance.shape.copy_tags {
        snapshot.tags.clear();
    }
    snapshot
}

/// Its endpoint, its groups and its archive stay. RDS starts it again after seven days; no estate lives so long.
pub fn stop(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    only(input, &["DBInstanceIdentifier", "DBSnapshotIdentifier"])?;
    let id = required(input, "DBInstanceIdentifier")?;
    let first = input.filled("DBSnapshotIdentifier");
    let first = first.map(|name| identifier("DBSnapshotIdentifier", Some(name), 255)).transpose()?;
    let mut state = core.state();
    let known = state.region(region);
    if let Some(name) = first.as_ref().filter(|name| known.snapshots.contains_key(*name)) {
        return Err(taken(name));
    }
    let instance = known.instances.get_mut(&id.to_ascii_lowercase()).ok_or_else(|| no_instance(id))?;
    if instance.status != "available" {
        return Err(Refusal::new("InvalidDBInstanceState", format!("Instance {id} is not in available state.")));
    }
    ours(instance, "stop")?;
    "stopping".clone_into(&mut instance.status);
    let place = Place { region: region.to_owned(), resource: instance.resource.clone() };
    let shown = instance.clone();
    if let Some(name) = &first {
        known.snapshots.insert(name.clone(), last_snapshot(&shown, name));
    }
    core.spawn(Arc::clone(core).rest(place, first));
    Ok(Fields::new().with("DBInstance", describe::instance(known, &shown)))
}

pub fn start(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    only(input, &["DBInstanceIdentifier"])?;
    let id = required(input, "DBInstanceIdentifier")?;
    let mut state = core.state();
    let known = state.region(region);
    let instance = known.instances.get_mut(&id.to_ascii_lowercase()).ok_or_else(|| no_instance(id))?;
    if ![STOPPED, NO_NETWORK].contains(&instance.status.as_str()) {
        let message = format!(
            "Instance {id} is not stopped, inaccessible-encryption-credentials-recoverable, or incompatible-network."
        );
        return Err(Refusal::new("InvalidDBInstanceState", message));
    }
    "starting".clone_into(&mut instance.status);
    let place = Place { region: region.to_owned(), resource: instance.resource.clone() };
    let shown = instance.clone();
    core.spawn(Arc::clone(core).wake(place));
    Ok(Fields::new().with("DBInstance", describe::instance(known, &shown)))
}

pub fn delete(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    only(input, &["DBInstanceIdentifier", "SkipFinalSnapshot", "FinalDBSnapshotIdentifier", "DeleteAutomatedBackups"])?;
    let id = required(input, "DBInstanceIdentifier")?;
    if input.flag("DeleteAutomatedBackups") == Some(false) {
        return Err(combination("The estate's AWS does not retain automated backups of deleted instances"));
    }
    let (skip, last) = (input.flag("SkipFinalSnapshot").unwrap_or(false), input.filled("FinalDBSnapshotIdentifier"));
    let mut state = core.state();
    let known = state.region(region);
    let also: Vec<&str> = BROKEN.into_iter().chain([STOPPED]).collect();
    let mut instance = ready(known, id, "deleted", &also)?.clone();
    if instance.shape.protected {
        return Err(combination(
            "Cannot delete protected DB Instance, please disable deletion protection and try again.",
        ));
    }
    match (skip, last) {
        (true, Some(_)) => {
            return Err(combination(
                "FinalDBSnapshotIdentifier can not be specified when deleting an instance with SkipFinalSnapshot=true",
            ));
        }
        (false, None) => {
            return Err(combination("FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."));
        }
        (false, Some(_)) if BROKEN.contains(&instance.status.as_str()) => {
            let message = format!("Cannot create a snapshot because the instance is in state {}.", instance.status);
            return Err(Refusal::new("InvalidDBInstanceState", message));
        }
        _ => {}
    }
    if instance.machine.as_ref().is_some_and(|machine| !machine.is_own()) {
        return Err(invalid("The estate does not delete an instance whose cluster others work on."));
    }
    let last = last.map(|name| identifier("FinalDBSnapshotIdentifier", Some(name), 255)).transpose()?;
    if let Some(name) = &last {
        if known.snapshots.contains_key(name) {
            return Err(taken(name));
        }
        known.snapshots.insert(name.clone(), last_snapshot(&instance, name));
    }
    "deleting".clone_into(&mut instance.status);
    let shown = describe::instance(known, &instance);
    let place = Place { region: region.to_owned(), resource: instance.resource.clone() };
    known.instances.insert(instance.id.clone(), instance);
    core.spawn(Arc::clone(core).delete(place, last));
    Ok(Fields::new().with("DBInstance", shown))
}
