//! New instances from snapshots, and from any moment that the archive reaches.

use std::sync::Arc;

use jiff::Timestamp;

use super::make::{AUTHORITIES, BACKUP_WINDOW, COMMON, MAINTENANCE_WINDOW, Wanted, heed, tags};
use super::snapshots::find;
use super::{combination, invalid, no_instance, no_snapshot, only, required};
use crate::lab::aws::core::Core;
use crate::lab::aws::keeper::Reading;
use crate::lab::aws::lifecycle::Origin;
use crate::lab::aws::machine::Target;
use crate::lab::aws::names::{identifier, parse_rds_arn};
use crate::lab::aws::parameters::default_group;
use crate::lab::aws::settings::major;
use crate::lab::aws::state::{InstanceShape, Tags};
use crate::lab::aws::wire::{Answer, Input, Refusal};

/// What a restore does not take over: who may reach it and how, that it may not be deleted, its hours, and what its snapshots
/// are tagged with. RDS's reference says of the storage's type that it becomes gp3 unless one is named; whether that is so for
/// a source of another type is not known, and it is kept here.
fn anew(shape: &InstanceShape) -> InstanceShape {
    InstanceShape {
        protected: false,
        public: false,
        iam: false,
        insights: false,
        most_storage: None,
        parameters: default_group(major(&shape.version)),
        subnets: "default".to_owned(),
        security: vec!["sg-0estate".to_owned()],
        multi_az: false,
        exports: Vec::new(),
        backup_window: BACKUP_WINDOW.to_owned(),
        maintenance_window: MAINTENANCE_WINDOW.to_owned(),
        authority: AUTHORITIES[0].to_owned(),
        copy_tags: false,
        ..shape.clone()
    }
}

pub fn snapshot(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let id = identifier("DBInstanceIdentifier", Some(required(input, "DBInstanceIdentifier")?), 63)?;
    // With no new tags, RDS looks for those of the snapshot's source.
    let inherit = !input.has("Tags");
    from_snapshot(core, region, &id, required(input, "DBSnapshotIdentifier")?, input, inherit)
}

/// The same for whoever else restores snapshots; whether the source's tags come along.
pub fn from_snapshot(core: &Arc<Core>, region: &str, id: &str, wanted: &str, input: &Input, inherit: bool) -> Answer {
    let known: Vec<&str> = COMMON.iter().copied().chain(["DBInstanceIdentifier", "DBSnapshotIdentifier"]).collect();
    only(input, &known)?;
    let mut kept = Tags::new();
    let (store, mut shape) = {
        let mut state = core.state();
        let (found, of) = find(&mut state, region, wanted)?;
        if of != region {
            // A snapshot is restored where it is.
            return Err(no_snapshot(wanted));
        }
        let store = found.store.clone().filter(|_| found.status == "available").ok_or_else(|| {
            let message = format!("The snapshot {wanted} is not available for restore: {}.", found.status);
            Refusal::new("InvalidDBSnapshotState", message)
        })?;
        let (shape, resource, marked) = (anew(&found.shape), found.resource.clone(), found.tags.clone());
        if inherit {
            // What becomes of them when the source is gone is not known: here those that the snapshot bears.
            let mut instances = state.region(region).instances.values();
            kept = instances.find(|it| it.resource == resource).map_or(marked, |it| it.tags.clone());
        }
        (store, shape)
    };
    heed(core.state().region(region), input, &mut shape)?;
    kept.extend(tags(input)?);
    Wanted { id: id.to_owned(), shape, tags: kept, origin: Origin::Copy(store, None) }.begin(core, region)
}

pub fn point_in_time(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let own = [
        "MaxAllocatedStorage",
        "SourceDBInstanceIdentifier",
        "TargetDBInstanceIdentifier",
        "RestoreTime",
        "UseLatestRestorableTime",
        "SourceDbiResourceId",
        "SourceDBInstanceAutomatedBackupsArn",
    ];
    let known: Vec<&str> = COMMON.iter().chain(&own).copied().collect();
    only(input, &known)?;
    let id = identifier("TargetDBInstanceIdentifier", Some(required(input, "TargetDBInstanceIdentifier")?), 63)?;
    let latest = input.flag("UseLatestRestorableTime").unwrap_or(false);
    if latest == input.has("RestoreTime") {
        return Err(combination("Exactly one of RestoreTime and UseLatestRestorableTime must be given"));
    }
    let source = {
        let backup = input.filled("SourceDBInstanceAutomatedBackupsArn").and_then(parse_rds_arn);
        let resource = input.filled("SourceDbiResourceId").or(backup.map(|(_, _, name)| name));
        let mut state = core.state();
        let mut instances = state.region(region).instances.values();
        let found = match (input.filled("SourceDBInstanceIdentifier"), resource) {
            (Some(name), _) => instances.find(|it| it.id.eq_ignore_ascii_case(name)),
            (None, Some(resource)) => instances.find(|it| it.resource.eq_ignore_ascii_case(resource)),
            (None, None) => return Err(Refusal::new("MissingParameter", "No source was given.")),
        };
        let named = input.filled("SourceDBInstanceIdentifier").or(resource).unwrap_or_default();
        found.cloned().ok_or_else(|| no_instance(named))?
    };
    if source.shape.retention == 0 {
        let message = format!("DB Instance {} does not have automated backups enabled.", source.id);
        return Err(Refusal::new("PointInTimeRestoreNotEnabled", message));
    }
    let out_of_reach = |message: String| Refusal::new("InvalidRestoreFault", message);
    let machine = source.machine.clone();
    let machine = machine.ok_or_else(|| out_of_reach(format!("{} has no backup yet.", source.id)))?;
    let window = machine.kept().window();
    let (earliest, newest) = window.ok_or_else(|| out_of_reach(format!("{} has no backup yet.", source.id)))?;
    let at = if latest { newest } else { moment(input)? };
    if at < earliest || at > newest {
        let message = format!(
            "The specified instance cannot be restored to a time later than the latest restorable time, {newest:.3}, or \
             earlier than the earliest, {earliest:.3}."
        );
        // RDS tells a moment outside of the window as a wrong parameter.
        return Err(invalid(message));
    }
    let begun = Reading::begin(&machine, at);
    let (base, reading) = begun.ok_or_else(|| out_of_reach(format!("There is no backup before {at}.")))?;
    let mut shape = anew(&source.shape);
    heed(core.state().region(region), input, &mut shape)?;
    // Tags come along from snapshots alone, as far as the reference says.
    let kept = tags(input)?;
    let origin = Origin::Copy(base, Some(Target { at, reading: Arc::new(reading) }));
    Wanted { id, shape, tags: kept, origin }.begin(core, region)
}

fn moment(input: &Input) -> Result<Timestamp, Refusal> {
    input.time("RestoreTime").ok_or_else(|| invalid("RestoreTime is not a timestamp in ISO 8601"))
}
