//! Jobs: a backup makes a snapshot, a restore an instance, a copy takes a snapshot elsewhere, on the clusters behind RDS.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::points::name;
use super::{invalid, missing, paged, required, vault_arn, vaults};
use crate::lab::aws::core::Core;
use crate::lab::aws::lifecycle::Place;
use crate::lab::aws::names::{ACCOUNT, identifier, parse_rds_arn, rds_arn, uuid};
use crate::lab::aws::rds;
use crate::lab::aws::state::{Job, JobKind, RecoveryPoint, Snapshot};
use crate::lab::aws::wire::{Answer, Fields, Input, Refusal};

/// How long a job that waits for something looks for it.
const PATIENCE: Duration = Duration::from_mins(5);

fn id_name(kind: &JobKind) -> &'static str {
    match kind {
        JobKind::Backup => "BackupJobId",
        JobKind::Restore { .. } => "RestoreJobId",
        JobKind::Copy { .. } => "CopyJobId",
    }
}

fn told(region: &str, job: &Job) -> Fields {
    let done = if job.state == "COMPLETED" { "100.0" } else { "0.0" };
    let told = Fields::new()
        .with("AccountId", ACCOUNT)
        .with(id_name(&job.kind), &job.id)
        .with("CreationDate", job.created)
        .maybe("CompletionDate", job.completed)
        .maybe("StatusMessage", job.message.as_ref())
        .with("BackupSizeInBytes", job.size)
        .with("IamRoleArn", &job.role)
        .with("ResourceType", "RDS")
        .with("IsParent", false);
    match &job.kind {
        JobKind::Backup => told
            .with("BackupVaultName", &job.vault)
            .with("BackupVaultArn", vault_arn(region, &job.vault))
            .with("RecoveryPointArn", &job.point)
            .with("ResourceArn", &job.resource)
            .with("State", job.state)
            .with("PercentDone", done)
            .with("ResourceName", name(&job.resource))
            .maybe("MessageCategory", job.message.as_ref().map(|_| "FAILURE")),
        JobKind::Restore { made } => told
            .with("RecoveryPointArn", &job.point)
            .with("SourceResourceArn", &job.resource)
            .with("BackupVaultArn", vault_arn(region, &job.vault))
            .with("Status", job.state)
            .with("PercentDone", done)
            .maybe("CreatedResourceArn", made.as_ref()),
        JobKind::Copy { from, to, made } => told
            .with("SourceBackupVaultArn", from)
            .with("SourceRecoveryPointArn", &job.point)
            .with("DestinationBackupVaultArn", to)
            .maybe("DestinationRecoveryPointArn", made.as_ref())
            .with("ResourceArn", &job.resource)
            .with("State", job.state)
            .with("ResourceName", name(&job.resource)),
    }
}

fn over(
    core: &Core,
    region: &str,
    id: &str,
    state: &'static str,
    message: Option<String>,
    note: impl FnOnce(&mut Job),
) {
    let mut known = core.state();
    if let Some(job) = known.region(region).backup.jobs.iter_mut().find(|job| job.id == id) {
        (job.state, job.message, job.completed) = (state, message, Some(Timestamp::now()));
        note(job);
    }
}

pub fn backup(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let role = required(input, "IamRoleArn")?;
    let (vault, resource) = (required(input, "BackupVaultName")?, required(input, "ResourceArn")?);
    let lifecycle = input.0.get("Lifecycle").filter(|it| it.is_object()).cloned();
    let tags = input.pairs("RecoveryPointTags");
    let mut state = core.state();
    let known = state.region(region);
    known.backup.vaults.get(vault).ok_or_else(|| vaults::none(vault))?;
    let instance = known.by_arn(resource).cloned();
    let instance = instance.ok_or_else(|| missing(format!("Resource not found: {resource}")))?;
    let (id, created) = (uuid(), Timestamp::now());
    let snapshot = format!("awsbackup:job-{id}");
    let arn = rds_arn(region, "snapshot", &snapshot);
    let place = Place { region: region.to_owned(), resource: instance.resource.clone() };
    let port = instance.machine.as_ref().map_or(0, |machine| machine.port());
    known
        .snapshots
        .insert(snapshot.clone(), Snapshot { kind: "awsbackup", ..Snapshot::of(&instance, &snapshot, port) });
    let point = RecoveryPoint {
        arn: arn.clone(),
        vault: vault.to_owned(),
        resource: resource.to_owned(),
        snapshot: snapshot.clone(),
        status: "CREATING".to_owned(),
        created,
        completed: None,
        size: 0,
        role: role.to_owned(),
        copied_from: None,
        lifecycle,
        tags: instance.tags.iter().map(|(key, value)| (key.clone(), value.clone())).chain(tags).collect(),
    };
    known.backup.points.insert(arn.clone(), point);
    known.backup.jobs.push(Job {
        id: id.clone(),
        kind: JobKind::Backup,
        vault: vault.to_owned(),
        point: arn.clone(),
        resource: resource.to_owned(),
        state: "CREATED",
        message: None,
        created,
        completed: None,
        size: 0,
        role: role.to_owned(),
    });
    drop(state);
    core.spawn(back_up(Arc::clone(core), place, id.clone(), snapshot, arn.clone()));
    Ok(Fields::new()
        .with("BackupJobId", id)
        .with("RecoveryPointArn", arn)
        .with("CreationDate", created)
        .with("IsParent", false))
}

async fn back_up(core: Arc<Core>, place: Place, id: String, snapshot: String, arn: String) {
    let region = place.region.clone();
    let begun = tokio::time::Instant::now();
    // A job waits for its instance, and gives up some time.
    let free = loop {
        let taken = core.with(&place, |instance| {
            let free = instance.can_be_copied();
            if free {
                "backing-up".clone_into(&mut instance.status);
            }
            free
        });
        match taken {
            Some(false) if begun.elapsed() < PATIENCE => tokio::time::sleep(Duration::from_millis(200)).await,
            taken => break taken == Some(true),
        }
    };
    if let Some(job) = core.state().region(&region).backup.jobs.iter_mut().find(|job| job.id == id) {
        job.state = "RUNNING";
    }
    if free {
        Arc::clone(&core).manual_snapshot(place, snapshot.clone()).await;
    }
    let size = {
        let mut state = core.state();
        let known = state.region(&region);
        let store = known.snapshots.get(&snapshot).and_then(|it| it.store.clone());
        if let (Some(store), Some(point)) = (&store, known.backup.points.get_mut(&arn)) {
            "COMPLETED".clone_into(&mut point.status);
            (point.completed, point.size) = (Some(Timestamp::now()), store.size);
        } else {
            known.backup.points.remove(&arn);
            known.snapshots.remove(&snapshot);
        }
        store.map(|store| store.size)
    };
    if let Some(size) = size {
        over(&core, &region, &id, "COMPLETED", None, |job| job.size = size);
    } else {
        let why = if free { "The snapshot failed." } else { "The instance is not in the available state." };
        over(&core, &region, &id, "FAILED", Some(why.to_owned()), |_| {});
    }
}

pub fn restore(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let arn = required(input, "RecoveryPointArn")?;
    let role = input.filled("IamRoleArn").unwrap_or_default().to_owned();
    let metadata: Map<String, Value> =
        input.pairs("Metadata").into_iter().map(|(key, value)| (key, Value::String(value))).collect();
    let wanted = Input(Value::Object(metadata));
    let target = identifier("DBInstanceIdentifier", wanted.text("DBInstanceIdentifier"), 63)
        .map_err(|refusal| invalid(refusal.message))?;
    let point = core.state().region(region).backup.points.get(arn).cloned();
    let point = point.ok_or_else(|| missing(format!("Recovery point not found: {arn}")))?;
    if point.status != "COMPLETED" {
        return Err(Refusal::new("InvalidResourceStateException", "The recovery point is not complete."));
    }
    let (id, created) = (uuid(), Timestamp::now());
    let inherit = input.flag("CopySourceTagsToRestoredResource").unwrap_or(false);
    let begun = rds::from_snapshot(core, region, &target, &point.snapshot, &wanted, inherit);
    let made = rds_arn(region, "db", &target);
    let (state, message) = match &begun {
        Ok(_) => ("RUNNING", None),
        // As with AWS, what RDS refuses is the job's failure.
        Err(refusal) => ("FAILED", Some(refusal.message.clone())),
    };
    core.state().region(region).backup.jobs.push(Job {
        id: id.clone(),
        kind: JobKind::Restore { made: begun.is_ok().then(|| made.clone()) },
        vault: point.vault.clone(),
        point: arn.to_owned(),
        resource: point.resource.clone(),
        state,
        message,
        created,
        completed: begun.is_err().then_some(created),
        size: point.size,
        role,
    });
    if begun.is_ok() {
        core.spawn(watch(Arc::clone(core), region.to_owned(), id.clone(), made));
    }
    Ok(Fields::new().with("RestoreJobId", id))
}

/// A restore is over when its instance is available, or never will be.
async fn watch(core: Arc<Core>, region: String, id: String, made: String) {
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let status = core.state().region(&region).by_arn(&made).map(|it| it.status.clone());
        match status.as_deref() {
            Some("available") => return over(&core, &region, &id, "COMPLETED", None, |_| {}),
            Some("creating" | "backing-up") => {}
            other => {
                let why = format!("The instance is {}.", other.unwrap_or("gone"));
                return over(&core, &region, &id, "FAILED", Some(why), |_| {});
            }
        }
    }
}

/// Region and name of a vault's ARN.
fn parse_vault(arn: &str) -> Option<(&str, &str)> {
    let (region, rest) = arn.strip_prefix("arn:aws:backup:")?.split_once(':')?;
    Some((region, rest.split_once(":backup-vault:")?.1))
}

pub fn copy(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let arn = required(input, "RecoveryPointArn")?;
    let (from, role) = (required(input, "SourceBackupVaultName")?, required(input, "IamRoleArn")?);
    let to = required(input, "DestinationBackupVaultArn")?;
    let (there, vault) = parse_vault(to).ok_or_else(|| invalid(format!("Invalid vault ARN: {to}")))?;
    let mut state = core.state();
    let known = state.region(region);
    let point = known.backup.points.get(arn).filter(|it| it.vault == from).cloned();
    let point = point.ok_or_else(|| missing(format!("Recovery point not found: {arn}")))?;
    let snapshot = known.snapshots.get(&point.snapshot).cloned();
    let (id, created) = (uuid(), Timestamp::now());
    let mut job = Job {
        id: id.clone(),
        kind: JobKind::Copy { from: vault_arn(region, from), to: to.to_owned(), made: None },
        vault: vault.to_owned(),
        point: arn.to_owned(),
        resource: point.resource.clone(),
        state: "COMPLETED",
        message: None,
        created,
        completed: Some(created),
        size: point.size,
        role: role.to_owned(),
    };
    let why = match (&snapshot, point.status.as_str()) {
        _ if !state.region(there).backup.vaults.contains_key(vault) => Some(format!("Backup vault not found: {vault}")),
        (Some(_), "COMPLETED") => None,
        _ => Some("The recovery point is not complete.".to_owned()),
    };
    if let (None, Some(mut copy)) = (&why, snapshot) {
        copy.id = format!("awsbackup:copyjob-{id}");
        copy.source = Some(parse_rds_arn(arn).map_or_else(String::new, |_| arn.to_owned()));
        let made = rds_arn(there, "snapshot", &copy.id);
        job.kind = JobKind::Copy { from: vault_arn(region, from), to: to.to_owned(), made: Some(made.clone()) };
        let point = RecoveryPoint {
            arn: made.clone(),
            vault: vault.to_owned(),
            snapshot: copy.id.clone(),
            created,
            completed: Some(created),
            copied_from: Some(vault_arn(region, from)),
            lifecycle: input.0.get("Lifecycle").filter(|it| it.is_object()).cloned().or(Some(json!({}))),
            ..point
        };
        let other = state.region(there);
        other.snapshots.insert(copy.id.clone(), copy);
        other.backup.points.insert(made, point);
    } else {
        (job.state, job.message) = ("FAILED", why);
    }
    state.region(region).backup.jobs.push(job);
    Ok(Fields::new().with("CopyJobId", id).with("CreationDate", created).with("IsParent", false))
}

pub fn stop(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let id = required(input, "BackupJobId")?;
    let mut state = core.state();
    let mut jobs = state.region(region).backup.jobs.iter();
    let known = jobs.any(|job| job.id == id && job.kind == JobKind::Backup);
    known.then_some(()).ok_or_else(|| missing(format!("Cannot find Backup job {id}")))?;
    // Backups of RDS are not to be stopped.
    Err(Refusal::new("InvalidRequestException", "StopBackupJob is not supported for the resource type RDS."))
}

pub fn describe(core: &Arc<Core>, region: &str, input: &Input, named: &str) -> Answer {
    let id = required(input, named)?;
    let mut state = core.state();
    let jobs = &state.region(region).backup.jobs;
    let job = jobs.iter().find(|job| job.id == id && id_name(&job.kind) == named);
    let told = told(region, job.ok_or_else(|| missing(format!("Job with ID {id} not found")))?);
    Ok(if named == "CopyJobId" { Fields::new().with("CopyJob", told) } else { told })
}

pub fn list(core: &Arc<Core>, region: &str, input: &Input, named: &str) -> Answer {
    let mut state = core.state();
    let jobs = state.region(region).backup.jobs.iter().rev();
    let resource = input.filled("resourceArn").or_else(|| input.filled("ResourceArn"));
    let word = input.filled("state").or_else(|| input.filled("status"));
    let (before, after) = (input.time("createdBefore"), input.time("createdAfter"));
    let found = jobs
        .filter(|job| id_name(&job.kind).trim_end_matches("Id") == named.trim_end_matches('s'))
        .filter(|job| resource.is_none_or(|resource| job.resource == resource))
        .filter(|job| word.is_none_or(|word| job.state == word))
        .filter(|job| input.filled("backupVaultName").is_none_or(|vault| job.vault == vault))
        .filter(|_| input.filled("resourceType").is_none_or(|kind| kind == "RDS"))
        .filter(|job| before.is_none_or(|at| job.created < at) && after.is_none_or(|at| job.created > at))
        .map(|job| told(region, job))
        .collect();
    paged(input, named, found)
}
