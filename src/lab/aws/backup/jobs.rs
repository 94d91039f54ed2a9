//! Jobs: a backup makes a snapshot, a restore an instance, a copy takes a snapshot elsewhere, on the clusters behind RDS.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::points::{author, name};
use super::{invalid, missing, paged, plans, required, vault_arn, vaults};
use crate::lab::aws::core::Core;
use crate::lab::aws::lifecycle::Place;
use crate::lab::aws::names::{ACCOUNT, identifier, rds_arn, uuid};
use crate::lab::aws::rds;
use crate::lab::aws::state::{Author, Job, JobKind, RecoveryPoint, Snapshot};
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
            .maybe("StartBy", job.start_by)
            .maybe("CreatedBy", job.by.as_ref().map(author))
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
            .maybe("CreatedBy", job.by.as_ref().map(author))
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
    let now = core.now();
    let mut known = core.state();
    if let Some(job) = known.region(region).backup.jobs.iter_mut().find(|job| job.id == id) {
        (job.state, job.message, job.completed) = (state, message, Some(now));
        note(job);
    }
}

/// A backup that somebody or a plan wants.
#[derive(Debug)]
pub struct Wish {
    /// Where to: a vault's name.
    pub vault: String,
    /// Of which instance: an ARN.
    pub resource: String,
    /// As whom.
    pub role: String,
    /// How long it is kept.
    pub lifecycle: Option<Value>,
    /// Tags beside those of the instance.
    pub tags: Vec<(String, String)>,
    /// How long it may wait for the instance.
    pub window: Option<SignedDuration>,
    /// Where copies of it go: `CopyAction`s.
    pub copies: Vec<Value>,
    /// The plan.
    pub by: Option<Author>,
}

pub fn backup(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let role = required(input, "IamRoleArn")?.to_owned();
    let (vault, resource) = (required(input, "BackupVaultName")?, required(input, "ResourceArn")?);
    let wish = Wish {
        vault: vault.to_owned(),
        resource: resource.to_owned(),
        role,
        lifecycle: input.0.get("Lifecycle").filter(|it| it.is_object()).cloned(),
        tags: input.pairs("RecoveryPointTags"),
        window: plans::start_window(input)?,
        copies: Vec::new(),
        by: None,
    };
    begin(core, region, wish)
}

/// Puts a job and its recovery point into the state and has them made.
pub fn begin(core: &Arc<Core>, region: &str, wish: Wish) -> Answer {
    let mut state = core.state();
    let known = state.region(region);
    known.backup.vaults.get(&wish.vault).ok_or_else(|| vaults::none(&wish.vault))?;
    let instance = known.by_arn(&wish.resource).cloned();
    let instance = instance.ok_or_else(|| missing(format!("Resource not found: {}", wish.resource)))?;
    let (id, created) = (uuid(), core.now());
    let start_by = wish.window.and_then(|window| created.checked_add(window).ok());
    let snapshot = format!("awsbackup:job-{id}");
    let arn = rds_arn(region, "snapshot", &snapshot);
    let place = Place { region: region.to_owned(), resource: instance.resource.clone() };
    let port = instance.machine.as_ref().map_or(0, |machine| machine.port());
    known
        .snapshots
        .insert(snapshot.clone(), Snapshot { kind: "awsbackup", ..Snapshot::of(&instance, &snapshot, port) });
    let point = RecoveryPoint {
        arn: arn.clone(),
        vault: wish.vault.clone(),
        resource: wish.resource.clone(),
        snapshot: snapshot.clone(),
        status: "CREATING".to_owned(),
        created,
        completed: None,
        size: 0,
        role: wish.role.clone(),
        copied_from: None,
        lifecycle: wish.lifecycle,
        by: wish.by.clone(),
        tags: instance.tags.iter().map(|(key, value)| (key.clone(), value.clone())).chain(wish.tags).collect(),
    };
    known.backup.points.insert(arn.clone(), point);
    known.backup.jobs.push(Job {
        id: id.clone(),
        kind: JobKind::Backup,
        vault: wish.vault,
        point: arn.clone(),
        resource: wish.resource,
        state: "CREATED",
        message: None,
        created,
        completed: None,
        start_by,
        by: wish.by,
        size: 0,
        role: wish.role,
    });
    drop(state);
    let work = Work { place, id: id.clone(), snapshot, point: arn.clone(), start_by, copies: wish.copies };
    core.spawn(work.carry_out(Arc::clone(core)));
    Ok(Fields::new()
        .with("BackupJobId", id)
        .with("RecoveryPointArn", arn)
        .with("CreationDate", created)
        .with("IsParent", false))
}

/// A backup under way.
struct Work {
    place: Place,
    id: String,
    snapshot: String,
    point: String,
    start_by: Option<Timestamp>,
    copies: Vec<Value>,
}

impl Work {
    async fn carry_out(self, core: Arc<Core>) {
        let region = &self.place.region;
        let free = self.free(&core).await;
        if free {
            if let Some(job) = core.state().region(region).backup.jobs.iter_mut().find(|job| job.id == self.id) {
                job.state = "RUNNING";
            }
            Arc::clone(&core).manual_snapshot(self.place.clone(), self.snapshot.clone()).await;
        }
        let size = self.arrived(&core);
        match size {
            Some(size) => over(&core, region, &self.id, "COMPLETED", None, |job| job.size = size),
            None if free => over(&core, region, &self.id, "FAILED", Some("The snapshot failed.".to_owned()), |_| {}),
            None => {
                let why = "The instance was not in the available state in time.".to_owned();
                let state = if self.start_by.is_some() { "EXPIRED" } else { "FAILED" };
                over(&core, region, &self.id, state, Some(why), |_| {});
            }
        }
        if size.is_some() {
            for copy in &self.copies {
                self.copy(&core, copy);
            }
        }
    }

    /// Waits for the instance as long as it may, and takes hold of it. Without a window AWS Backup waits for hours; nobody
    /// here does.
    async fn free(&self, core: &Core) -> bool {
        let begun = tokio::time::Instant::now();
        loop {
            let taken = core.with(&self.place, |instance| {
                let free = instance.can_be_copied();
                if free {
                    "backing-up".clone_into(&mut instance.status);
                }
                free
            });
            let wait = self.start_by.map_or(begun.elapsed() < PATIENCE, |last| core.now() < last);
            match taken {
                Some(false) if wait => tokio::time::sleep(Duration::from_millis(200)).await,
                taken => return taken == Some(true),
            }
        }
    }

    /// Completes the recovery point, or removes it where there is nothing to it; its bytes.
    fn arrived(&self, core: &Core) -> Option<u64> {
        let mut state = core.state();
        let known = state.region(&self.place.region);
        let store = known.snapshots.get(&self.snapshot).and_then(|it| it.store.clone());
        if let (Some(store), Some(point)) = (&store, known.backup.points.get_mut(&self.point)) {
            "COMPLETED".clone_into(&mut point.status);
            (point.completed, point.size) = (Some(core.now()), store.size);
        } else {
            known.backup.points.remove(&self.point);
            known.snapshots.remove(&self.snapshot);
        }
        store.map(|store| store.size)
    }

    /// One of its copies, which is a job of its own.
    fn copy(&self, core: &Core, action: &Value) {
        let to = action["DestinationBackupVaultArn"].as_str().unwrap_or_default();
        let found = core.state().region(&self.place.region).backup.points.get(&self.point).cloned();
        if let (Some((there, vault)), Some(point)) = (parse_vault(to), found) {
            let lifecycle = action.get("Lifecycle").filter(|it| it.is_object()).cloned();
            let voyage = Voyage { role: point.role.clone(), by: point.by.clone(), point, to, there, vault, lifecycle };
            voyage.carry_out(core, &self.place.region);
        }
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
    let (id, created) = (uuid(), core.now());
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
        start_by: None,
        by: None,
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
    let point = core.state().region(region).backup.points.get(arn).filter(|it| it.vault == from).cloned();
    let point = point.ok_or_else(|| missing(format!("Recovery point not found: {arn}")))?;
    let lifecycle = input.0.get("Lifecycle").filter(|it| it.is_object()).cloned();
    let voyage = Voyage { point, to, there, vault, role: role.to_owned(), lifecycle, by: None };
    let (id, created) = voyage.carry_out(core, region);
    Ok(Fields::new().with("CopyJobId", id).with("CreationDate", created).with("IsParent", false))
}

/// A copy to be made of a recovery point.
struct Voyage<'a> {
    point: RecoveryPoint,
    /// The vault as an ARN, and what is in that.
    to: &'a str,
    there: &'a str,
    vault: &'a str,
    role: String,
    lifecycle: Option<Value>,
    by: Option<Author>,
}

impl Voyage<'_> {
    /// Makes it, or a job that failed; the job's id, and when it was.
    fn carry_out(self, core: &Core, region: &str) -> (String, Timestamp) {
        let (id, created, from) = (uuid(), core.now(), vault_arn(region, &self.point.vault));
        let mut state = core.state();
        let snapshot = state.region(region).snapshots.get(&self.point.snapshot).cloned();
        let vaults = &state.region(self.there).backup.vaults;
        let why = match (&snapshot, self.point.status.as_str()) {
            _ if !vaults.contains_key(self.vault) => Some(format!("Backup vault not found: {}", self.vault)),
            (Some(_), "COMPLETED") => None,
            _ => Some("The recovery point is not complete.".to_owned()),
        };
        let mut job = Job {
            id: id.clone(),
            kind: JobKind::Copy { from: from.clone(), to: self.to.to_owned(), made: None },
            vault: self.vault.to_owned(),
            point: self.point.arn.clone(),
            resource: self.point.resource.clone(),
            state: if why.is_none() { "COMPLETED" } else { "FAILED" },
            message: why.clone(),
            created,
            completed: Some(created),
            start_by: None,
            by: self.by.clone(),
            size: self.point.size,
            role: self.role,
        };
        if let (None, Some(mut copy)) = (why, snapshot) {
            copy.id = format!("awsbackup:copyjob-{id}");
            copy.source = Some(self.point.arn.clone());
            let made = rds_arn(self.there, "snapshot", &copy.id);
            job.kind = JobKind::Copy { from: from.clone(), to: self.to.to_owned(), made: Some(made.clone()) };
            let point = RecoveryPoint {
                arn: made.clone(),
                vault: self.vault.to_owned(),
                snapshot: copy.id.clone(),
                created,
                completed: Some(created),
                copied_from: Some(from),
                lifecycle: self.lifecycle.or(Some(json!({}))),
                by: self.by,
                ..self.point
            };
            let other = state.region(self.there);
            other.snapshots.insert(copy.id.clone(), copy);
            other.backup.points.insert(made, point);
        }
        state.region(region).backup.jobs.push(job);
        (id, created)
    }
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
