//! RDS: a file for each family of actions. An action checks what it is asked as RDS does, changes the state, and leaves
//! what takes its time to a worker.

mod catalogue;
mod describe;
mod events;
mod groups;
mod instances;
mod logs;
mod make;
mod modify;
mod restore;
mod snapshots;
mod tags;

use std::sync::Arc;

use super::core::Core;
use super::http::{Call, unknown};
use super::wire::{Answer, Fields, Input, Refusal, page};

pub use self::make::adopt;
pub use self::restore::from_snapshot;

/// Answers a call.
pub fn answer(core: &Arc<Core>, call: &Call) -> Answer {
    let (region, input) = (call.region.as_str(), &call.input);
    match call.action.as_str() {
        "CreateDBInstance" => make::create(core, region, input),
        "DescribeDBInstances" => instances::list(core, region, input),
        "DescribeDBInstanceAutomatedBackups" => instances::automated_backups(core, region, input),
        "ModifyDBInstance" => modify::modify(core, region, input),
        "RebootDBInstance" => modify::reboot(core, region, input),
        "StopDBInstance" => modify::stop(core, region, input),
        "StartDBInstance" => modify::start(core, region, input),
        "DeleteDBInstance" => modify::delete(core, region, input),
        "CreateDBSnapshot" => snapshots::create(core, region, input),
        "DescribeDBSnapshots" => snapshots::list(core, region, input),
        "CopyDBSnapshot" => snapshots::copy(core, region, input),
        "DeleteDBSnapshot" => snapshots::delete(core, region, input),
        "DescribeDBSnapshotAttributes" => snapshots::attributes(core, region, input),
        "ModifyDBSnapshotAttribute" => snapshots::share(core, region, input),
        "RestoreDBInstanceFromDBSnapshot" => restore::snapshot(core, region, input),
        "RestoreDBInstanceToPointInTime" => restore::point_in_time(core, region, input),
        "AddTagsToResource" => tags::add(core, region, input),
        "ListTagsForResource" => tags::list(core, region, input),
        "RemoveTagsFromResource" => tags::remove(core, region, input),
        "DescribeEvents" => events::list(core, region, input),
        "DescribePendingMaintenanceActions" => events::maintenance(core, region, input),
        "CreateDBParameterGroup" => groups::create_parameters(core, region, input),
        "DescribeDBParameterGroups" => groups::list_parameters(core, region, input),
        "ModifyDBParameterGroup" => groups::set_parameters(core, region, input),
        "ResetDBParameterGroup" => groups::reset_parameters(core, region, input),
        "DeleteDBParameterGroup" => groups::delete_parameters(core, region, input),
        "DescribeDBParameters" => groups::describe_parameters(core, region, input),
        "CreateDBSubnetGroup" => groups::create_subnets(core, region, input),
        "DescribeDBSubnetGroups" => groups::list_subnets(core, region, input),
        "DeleteDBSubnetGroup" => groups::delete_subnets(core, region, input),
        "DescribeDBLogFiles" => logs::list(core, region, input),
        "DownloadDBLogFilePortion" => logs::download(core, region, input),
        "DescribeDBEngineVersions" => catalogue::versions(core, input),
        "DescribeOrderableDBInstanceOptions" => catalogue::options(core, region, input),
        _ => Err(unknown(call)),
    }
}

/// A parameter that must be there.
fn required<'a>(input: &'a Input, name: &str) -> Result<&'a str, Refusal> {
    let missing = || Refusal::new("MissingParameter", format!("The request must contain the parameter {name}."));
    input.filled(name).ok_or_else(missing)
}

/// Refuses parameters that the estate would only pretend to heed.
fn only(input: &Input, known: &[&str]) -> Result<(), Refusal> {
    let odd = input.beyond(|name| ["Action", "Version"].contains(&name) || known.contains(&name));
    odd.map_or(Ok(()), |name| {
        let message = format!("The estate's AWS does not implement the parameter {name}");
        Err(Refusal::new("InvalidParameterCombination", message))
    })
}

/// The same of a list, with what all lists have.
fn listed(input: &Input, known: &[&str]) -> Result<(), Refusal> {
    only(input, &[&["Filters", "Marker", "MaxRecords"][..], known].concat())
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("InvalidParameterValue", message)
}

fn combination(message: impl Into<String>) -> Refusal {
    Refusal::new("InvalidParameterCombination", message)
}

fn no_instance(id: &str) -> Refusal {
    Refusal::missing("DBInstanceNotFound", format!("DBInstance {id} not found."))
}

fn no_snapshot(id: &str) -> Refusal {
    Refusal::missing("DBSnapshotNotFound", format!("DBSnapshot {id} not found."))
}

/// A page of a list, with RDS's names for it.
fn paged<T: Into<super::wire::Shape>>(input: &Input, name: &str, entry: &'static str, all: Vec<T>) -> Answer {
    let most = input.int("MaxRecords").unwrap_or(100);
    if !(20..=100).contains(&most) {
        return Err(invalid(format!("Invalid value {most} for MaxRecords. Must be between 20 and 100")));
    }
    let (shown, more) =
        page(all, input.filled("Marker"), most as usize).ok_or_else(|| invalid("Invalid or expired marker"))?;
    Ok(Fields::new().list(name, entry, shown).maybe("Marker", more))
}

/// The values of the filter of this name; `None`: no such filter.
fn filter(input: &Input, name: &str) -> Option<Vec<String>> {
    input.entries("Filters").iter().find(|it| it.text("Name") == Some(name)).map(|it| it.texts("Values"))
}

/// Refuses filters that are none.
fn filters(input: &Input, known: &[&str]) -> Result<(), Refusal> {
    let named: Vec<String> =
        input.entries("Filters").iter().filter_map(|it| it.text("Name").map(str::to_owned)).collect();
    let odd = named.iter().find(|name| !known.contains(&name.as_str()));
    odd.map_or(Ok(()), |name| Err(invalid(format!("Unrecognized filter name: {name}"))))
}
