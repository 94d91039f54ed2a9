//! Snapshots: made, told, copied, shared, removed.

use std::sync::Arc;

use jiff::Timestamp;

use super::describe;
use super::make::tags;
use super::{filter, filters, invalid, listed, no_instance, no_snapshot, only, paged, required};
use crate::lab::aws::core::Core;
use crate::lab::aws::lifecycle::Place;
use crate::lab::aws::names::{default_key, identifier, key, parse_rds_arn, rds_arn};
use crate::lab::aws::state::{Snapshot, State};
use crate::lab::aws::wire::{Answer, Fields, Input, Refusal};

fn taken(id: &str) -> Refusal {
    let message = format!("Cannot create the snapshot because a snapshot with the identifier {id} already exists.");
    Refusal::new("DBSnapshotAlreadyExists", message)
}

pub fn create(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    only(input, &["DBSnapshotIdentifier", "DBInstanceIdentifier", "Tags"])?;
    let id = identifier("DBSnapshotIdentifier", Some(required(input, "DBSnapshotIdentifier")?), 255)?;
    let of = required(input, "DBInstanceIdentifier")?;
    let wanted = tags(input)?;
    begin(core, region, of, &id, "manual", wanted)
}

/// A snapshot of an instance that is available; somebody works on it from here on.
pub fn begin(
    core: &Arc<Core>,
    region: &str,
    of: &str,
    id: &str,
    kind: &'static str,
    tags: crate::lab::aws::state::Tags,
) -> Answer {
    let mut state = core.state();
    let known = state.region(region);
    let instance = known.instances.get_mut(&of.to_ascii_lowercase()).ok_or_else(|| no_instance(of))?;
    if !instance.can_be_copied() {
        let message = format!(
            "Cannot create a snapshot because the instance {of} is neither available nor in storage-optimization: {}.",
            instance.status
        );
        return Err(Refusal::new("InvalidDBInstanceState", message));
    }
    if known.snapshots.contains_key(id) {
        return Err(taken(id));
    }
    let port = instance.machine.as_ref().map_or(0, |machine| machine.port());
    let mut snapshot = Snapshot { kind, ..Snapshot::of(instance, id, port) };
    if !instance.shape.copy_tags {
        snapshot.tags.clear();
    }
    snapshot.tags.extend(tags);
    let shown = describe::snapshot(region, &snapshot);
    "backing-up".clone_into(&mut instance.status);
    let place = Place { region: region.to_owned(), resource: instance.resource.clone() };
    known.snapshots.insert(id.to_owned(), snapshot);
    drop(state);
    core.spawn(Arc::clone(core).manual_snapshot(place, id.to_owned()));
    Ok(Fields::new().with("DBSnapshot", shown))
}

pub fn list(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    // What others share, or have made public, is none: there is one account.
    let asked = ["DBInstanceIdentifier", "DBSnapshotIdentifier", "DbiResourceId", "SnapshotType"];
    listed(input, &[&asked[..], &["IncludePublic", "IncludeShared"]].concat())?;
    filters(input, &["db-instance-id", "db-snapshot-id", "dbi-resource-id", "engine", "snapshot-type"])?;
    let mut state = core.state();
    let known = state.region(region);
    // Identifiers are made in lower case, and found in any.
    let one = input.filled("DBSnapshotIdentifier");
    let kind = input.filled("SnapshotType");
    if let Some(odd) = kind.filter(|kind| !["automated", "awsbackup", "manual", "public", "shared"].contains(kind)) {
        return Err(invalid(format!("Unknown snapshot type: {odd}")));
    }
    let meant = |it: &Snapshot, wanted: &str| {
        it.id.eq_ignore_ascii_case(wanted) || rds_arn(region, "snapshot", &it.id) == wanted
    };
    let of = |it: &Snapshot, wanted: &str| {
        it.instance.eq_ignore_ascii_case(wanted) || rds_arn(region, "db", &it.instance) == wanted
    };
    let among = |name: &str, fits: &dyn Fn(&str) -> bool| {
        filter(input, name).is_none_or(|values| values.iter().any(|value| fits(value)))
    };
    let mut found: Vec<&Snapshot> = known
        .snapshots
        .values()
        .filter(|it| one.is_none_or(|wanted| meant(it, wanted)))
        .filter(|it| input.filled("DBInstanceIdentifier").is_none_or(|wanted| of(it, wanted)))
        .filter(|it| input.filled("DbiResourceId").is_none_or(|wanted| it.resource == wanted))
        .filter(|it| among("db-instance-id", &|value| of(it, value)))
        .filter(|it| among("db-snapshot-id", &|value| meant(it, value)))
        .filter(|it| among("dbi-resource-id", &|value| it.resource == value))
        .filter(|it| among("snapshot-type", &|value| it.kind == value))
        .filter(|_| among("engine", &|value| value == "postgres"))
        .filter(|it| match kind {
            // Without a word, RDS leaves out what AWS Backup made and what others share.
            None => it.kind != "awsbackup" || one.is_some(),
            Some("public") => it.shared_with.iter().any(|account| account == "all"),
            Some(kind) => it.kind == kind,
        })
        .collect();
    found.sort_by_key(|it| it.created);
    let found: Vec<Fields> = found.into_iter().map(|it| describe::snapshot(region, it)).collect();
    match one {
        Some(id) if found.is_empty() => Err(no_snapshot(id)),
        _ => paged(input, "DBSnapshots", "DBSnapshot", found),
    }
}

/// The snapshot that an identifier or an ARN, maybe of another region, means.
pub fn find<'a>(state: &'a mut State, region: &str, wanted: &str) -> Result<(&'a Snapshot, String), Refusal> {
    let (region, id) = match parse_rds_arn(wanted) {
        Some((region, "snapshot", id)) => (region.to_owned(), id.to_owned()),
        Some(_) => return Err(invalid(format!("Invalid snapshot ARN: {wanted}"))),
        None => (region.to_owned(), wanted.to_ascii_lowercase()),
    };
    let found = state.region(&region).snapshots.get(&id).ok_or_else(|| no_snapshot(wanted))?;
    Ok((found, region))
}

pub fn copy(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    only(
        input,
        &[
            "SourceDBSnapshotIdentifier",
            "TargetDBSnapshotIdentifier",
            "KmsKeyId",
            "Tags",
            "CopyTags",
            "PreSignedUrl",
            "SourceRegion",
        ],
    )?;
    let source = required(input, "SourceDBSnapshotIdentifier")?;
    let id = identifier("TargetDBSnapshotIdentifier", Some(required(input, "TargetDBSnapshotIdentifier")?), 255)?;
    let mut state = core.state();
    let (from, from_region) = find(&mut state, region, source)?;
    if from.status != "available" {
        let message = format!("Cannot copy the snapshot {source} because it is not in the available state.");
        return Err(Refusal::new("InvalidDBSnapshotState", message));
    }
    if from.shape.encrypted && from_region != region && !input.has("KmsKeyId") {
        return Err(invalid("Must specify new KMS key for cross region encrypted snapshot copy."));
    }
    let mut copy = from.clone();
    copy.source = Some(rds_arn(&from_region, "snapshot", &from.id));
    copy.id.clone_from(&id);
    copy.kind = "manual";
    copy.created = Timestamp::now();
    copy.shared_with.clear();
    if input.flag("CopyTags") != Some(true) {
        copy.tags.clear();
    }
    copy.tags.extend(tags(input)?);
    if let Some(named) = input.filled("KmsKeyId") {
        copy.shape.key = Some(key(region, named)?);
        copy.shape.encrypted = true;
    }
    let known = state.region(region);
    if known.snapshots.contains_key(&id) {
        return Err(taken(&id));
    }
    "creating".clone_into(&mut copy.status);
    let store = copy.store.take();
    let shown = describe::snapshot(region, &copy);
    known.snapshots.insert(id.clone(), copy);
    drop(state);
    core.spawn(Arc::clone(core).copied(region.to_owned(), id, store));
    Ok(Fields::new().with("DBSnapshot", shown))
}

pub fn delete(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    only(input, &["DBSnapshotIdentifier"])?;
    let wanted = &required(input, "DBSnapshotIdentifier")?.to_ascii_lowercase();
    let mut state = core.state();
    let known = state.region(region);
    let found = known.snapshots.get(wanted).ok_or_else(|| no_snapshot(wanted))?;
    let why = match (found.kind, found.status.as_str()) {
        ("automated", _) => Some("Only manual snapshots may be deleted."),
        ("awsbackup", _) => Some("Cannot delete a snapshot that AWS Backup manages."),
        (_, "creating") => Some("The snapshot is still being created."),
        _ => None,
    };
    if let Some(why) = why {
        return Err(Refusal::new("InvalidDBSnapshotState", why));
    }
    let mut shown = found.clone();
    known.snapshots.remove(wanted);
    known.note("db-snapshot", wanted, "deletion", "Deleted manual snapshot");
    "deleted".clone_into(&mut shown.status);
    Ok(Fields::new().with("DBSnapshot", describe::snapshot(region, &shown)))
}

fn attributes_of(it: &Snapshot) -> Fields {
    let restore =
        Fields::new().with("AttributeName", "restore").list("AttributeValues", "AttributeValue", it.shared_with.iter());
    let result = Fields::new().with("DBSnapshotIdentifier", &it.id).list(
        "DBSnapshotAttributes",
        "DBSnapshotAttribute",
        [restore],
    );
    Fields::new().with("DBSnapshotAttributesResult", result)
}

pub fn attributes(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let wanted = required(input, "DBSnapshotIdentifier")?;
    let mut state = core.state();
    find(&mut state, region, wanted).map(|(found, _)| attributes_of(found))
}

pub fn share(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    only(input, &["DBSnapshotIdentifier", "AttributeName", "ValuesToAdd", "ValuesToRemove"])?;
    let wanted = &required(input, "DBSnapshotIdentifier")?.to_ascii_lowercase();
    if required(input, "AttributeName")? != "restore" {
        return Err(invalid("Invalid AttributeName: must be restore"));
    }
    let (add, remove) = (input.texts("ValuesToAdd"), input.texts("ValuesToRemove"));
    let is_account = |value: &String| value.len() == 12 && value.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(odd) = add.iter().find(|value| *value != "all" && !is_account(value)) {
        return Err(invalid(format!("Invalid account: {odd}")));
    }
    let mut state = core.state();
    let known = state.region(region);
    let found = known.snapshots.get_mut(wanted).ok_or_else(|| no_snapshot(wanted))?;
    if found.kind == "awsbackup" {
        return Err(invalid(format!("The parameter DBSnapshotIdentifier is not a valid identifier: {wanted}")));
    }
    if found.kind != "manual" || found.status != "available" {
        let message = format!("The snapshot {wanted} cannot be shared: only manual snapshots that are available can.");
        return Err(Refusal::new("InvalidDBSnapshotState", message));
    }
    // That these two cannot be shared is said in RDS's reference and user's guide; by which codes it refuses them is told in
    // neither, nor anywhere else that could be found: no test may rest on them.
    if found.shape.encrypted && add.iter().any(|value| value == "all") {
        return Err(Refusal::new("InvalidParameterCombination", "An encrypted snapshot cannot be made public."));
    }
    if !add.is_empty() && found.shape.key.as_deref() == Some(default_key(region).as_str()) {
        return Err(invalid(
            "A snapshot that is encrypted by the account's default key cannot be shared: copy it with another.",
        ));
    }
    found.shared_with.retain(|account| !remove.contains(account));
    for account in add {
        if !found.shared_with.contains(&account) {
            found.shared_with.push(account);
        }
    }
    Ok(attributes_of(found))
}
