//! Parameter groups and subnet groups.

use std::sync::Arc;

use super::describe::{self, default_parameters, default_subnets, is_default_parameters};
use super::make::tags;
use super::{combination, invalid, listed, only, paged, required};
use crate::lab::aws::core::Core;
use crate::lab::aws::names::identifier;
use crate::lab::aws::parameters::{self, family};
use crate::lab::aws::state::{ParameterGroup, Region, SubnetGroup};
use crate::lab::aws::wire::{Answer, Fields, Input, Refusal};

fn no_group(name: &str) -> Refusal {
    Refusal::missing("DBParameterGroupNotFound", format!("DBParameterGroup not found: {name}"))
}

pub fn create_parameters(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    only(input, &["DBParameterGroupName", "DBParameterGroupFamily", "Description", "Tags"])?;
    let name = identifier("DBParameterGroupName", Some(required(input, "DBParameterGroupName")?), 255)?;
    let wanted = required(input, "DBParameterGroupFamily")?;
    if family(wanted).and_then(|major| core.major(major)).is_none() {
        return Err(invalid(format!("ParameterGroupFamily {wanted} is not a valid parameter group family")));
    }
    let group = ParameterGroup {
        name: name.clone(),
        family: wanted.to_owned(),
        description: required(input, "Description")?.to_owned(),
        values: std::collections::BTreeMap::new(),
        tags: tags(input)?,
    };
    let mut state = core.state();
    let groups = &mut state.region(region).parameters;
    if groups.contains_key(&name) {
        return Err(Refusal::new("DBParameterGroupAlreadyExists", format!("Parameter group {name} already exists")));
    }
    let shown = describe::parameter_group(region, &group);
    groups.insert(name, group);
    Ok(Fields::new().with("DBParameterGroup", shown))
}

/// A group, be it one that is there without anybody's doing.
fn parameters(core: &Core, region: &str, name: &str) -> Result<ParameterGroup, Refusal> {
    let default = is_default_parameters(name).filter(|major| core.major(*major).is_some());
    let kept = core.state().region(region).parameters.get(&name.to_ascii_lowercase()).cloned();
    kept.or_else(|| default.map(default_parameters)).ok_or_else(|| no_group(name))
}

pub fn list_parameters(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    listed(input, &["DBParameterGroupName"])?;
    super::filters(input, &[])?;
    let found: Vec<ParameterGroup> = if let Some(name) = input.filled("DBParameterGroupName") {
        vec![parameters(core, region, name)?]
    } else {
        let defaults = core.binaries.iter().map(|it| default_parameters(it.major));
        defaults.chain(core.state().region(region).parameters.values().cloned()).collect()
    };
    let found = found.iter().map(|it| describe::parameter_group(region, it)).collect();
    paged(input, "DBParameterGroups", "DBParameterGroup", found)
}

pub fn describe_parameters(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    listed(input, &["DBParameterGroupName", "Source"])?;
    super::filters(input, &["parameter-name"])?;
    let group = parameters(core, region, required(input, "DBParameterGroupName")?)?;
    let source = input.filled("Source");
    let names = super::filter(input, "parameter-name");
    let binaries = family(&group.family).and_then(|major| core.major(major)).ok_or_else(|| no_group(&group.name))?;
    let all = core.catalogue.of(core, binaries);
    let found = all
        .values()
        .filter(|it| names.as_ref().is_none_or(|names| names.contains(&it.name)))
        .filter(|it| {
            let is = match (group.values.contains_key(&it.name), it.by_rds) {
                (true, _) => "user",
                (false, true) => "system",
                (false, false) => "engine-default",
            };
            source.is_none_or(|source| source == is)
        })
        .map(|it| it.shape(group.values.get(&it.name).map(String::as_str)))
        .collect();
    paged(input, "Parameters", "Parameter", found)
}

pub fn set_parameters(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    only(input, &["DBParameterGroupName", "Parameters"])?;
    let name = changeable(required(input, "DBParameterGroupName")?)?;
    let group = parameters(core, region, &name)?;
    let binaries = family(&group.family).and_then(|major| core.major(major)).ok_or_else(|| no_group(&name))?;
    let all = core.catalogue.of(core, binaries);
    let (mut values, mut live, mut later) = (Vec::new(), Vec::new(), false);
    for wanted in input.entries("Parameters") {
        let (Some(key), Some(value)) = (wanted.text("ParameterName"), wanted.text("ParameterValue")) else {
            return Err(invalid("A parameter needs ParameterName and ParameterValue"));
        };
        let unknown = || invalid(format!("Could not find parameter with name: {key}"));
        let known = all.get(key).ok_or_else(unknown)?;
        let immediate = wanted.text("ApplyMethod") == Some("immediate");
        if !known.modifiable {
            return Err(invalid(format!("The parameter {key} cannot be modified.")));
        }
        if !known.admits(value) {
            let allowed = known.allowed.as_deref().unwrap_or("(any)");
            return Err(invalid(format!("Invalid parameter value: {value} for: {key} allowed values are: {allowed}")));
        }
        if known.is_static && immediate {
            return Err(combination("cannot use immediate apply method for static parameter"));
        }
        values.push((key.to_owned(), value.to_owned()));
        later |= !immediate;
        if immediate && parameters::reaches_server(key) {
            live.push((key.to_owned(), Some(parameters::as_server_has_it(key, value))));
        }
    }
    let mut state = core.state();
    let known = state.region(region);
    if let Some(group) = known.parameters.get_mut(&name) {
        group.values.extend(values);
    }
    if later {
        await_reboot(known, &name);
    }
    drop(state);
    core.spawn(parameters::apply(Arc::clone(core), region.to_owned(), name.clone(), live));
    Ok(Fields::new().with("DBParameterGroupName", name))
}

/// What is not in force yet is told of the group's instances.
fn await_reboot(region: &mut Region, group: &str) {
    for instance in region.instances.values_mut().filter(|it| it.shape.parameters == group) {
        instance.wants_reboot = true;
    }
}

/// Default groups are as they are.
fn changeable(name: &str) -> Result<String, Refusal> {
    if is_default_parameters(name).is_some() {
        return Err(Refusal::new("InvalidDBParameterGroupState", "Default parameter groups cannot be modified."));
    }
    Ok(name.to_ascii_lowercase())
}

pub fn reset_parameters(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    only(input, &["DBParameterGroupName", "ResetAllParameters", "Parameters"])?;
    let name = changeable(required(input, "DBParameterGroupName")?)?;
    let mut state = core.state();
    let group = state.region(region).parameters.get_mut(&name).ok_or_else(|| no_group(&name))?;
    let given = input.entries("Parameters");
    let named: Vec<String> = given.iter().filter_map(|it| it.text("ParameterName").map(str::to_owned)).collect();
    let all = input.flag("ResetAllParameters").unwrap_or(false);
    let gone: Vec<String> = group.values.keys().filter(|key| all || named.contains(key)).cloned().collect();
    group.values.retain(|key, _| !gone.contains(key));
    if !gone.is_empty() {
        await_reboot(state.region(region), &name);
    }
    drop(state);
    let live = gone.into_iter().filter(|key| parameters::reaches_server(key)).map(|key| (key, None)).collect();
    core.spawn(parameters::apply(Arc::clone(core), region.to_owned(), name.clone(), live));
    Ok(Fields::new().with("DBParameterGroupName", name))
}

pub fn delete_parameters(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    only(input, &["DBParameterGroupName"])?;
    let name = changeable(required(input, "DBParameterGroupName")?)?;
    let mut state = core.state();
    let region = state.region(region);
    if region.instances.values().any(|it| it.shape.parameters == name) {
        let message = format!("One or more database instances are still members of this parameter group {name}");
        return Err(Refusal::new("InvalidDBParameterGroupState", message));
    }
    region.parameters.remove(&name).map(|_| Fields::new()).ok_or_else(|| no_group(&name))
}

pub fn create_subnets(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    only(input, &["DBSubnetGroupName", "DBSubnetGroupDescription", "SubnetIds", "Tags"])?;
    let name = required(input, "DBSubnetGroupName")?.to_ascii_lowercase();
    let group = SubnetGroup {
        name: name.clone(),
        description: required(input, "DBSubnetGroupDescription")?.to_owned(),
        subnets: input.texts("SubnetIds"),
        tags: tags(input)?,
    };
    if let Some(odd) = group.subnets.iter().find(|it| !it.starts_with("subnet-")) {
        return Err(Refusal::new("InvalidSubnet", format!("The subnet ID '{odd}' does not exist")));
    }
    if group.subnets.len() < 2 {
        let message = "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement.";
        return Err(Refusal::new("DBSubnetGroupDoesNotCoverEnoughAZs", message));
    }
    let mut state = core.state();
    let region = state.region(region);
    if name == "default" || region.subnets.contains_key(&name) {
        return Err(Refusal::new(
            "DBSubnetGroupAlreadyExists",
            format!("The DB subnet group '{name}' already exists."),
        ));
    }
    region.subnets.insert(name.clone(), group);
    Ok(Fields::new().with("DBSubnetGroup", describe::subnets(region, &name)))
}

fn no_subnets(name: &str) -> Refusal {
    Refusal::missing("DBSubnetGroupNotFoundFault", format!("DB subnet group '{name}' does not exist."))
}

pub fn list_subnets(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    listed(input, &["DBSubnetGroupName"])?;
    super::filters(input, &[])?;
    let mut state = core.state();
    let region = state.region(region);
    let all: Vec<String> = [default_subnets().name].into_iter().chain(region.subnets.keys().cloned()).collect();
    let found: Vec<String> = match input.filled("DBSubnetGroupName") {
        Some(name) if !all.contains(&name.to_ascii_lowercase()) => return Err(no_subnets(name)),
        Some(name) => vec![name.to_ascii_lowercase()],
        None => all,
    };
    let found = found.iter().map(|name| describe::subnets(region, name)).collect();
    paged(input, "DBSubnetGroups", "DBSubnetGroup", found)
}

pub fn delete_subnets(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let name = required(input, "DBSubnetGroupName")?.to_ascii_lowercase();
    let mut state = core.state();
    let region = state.region(region);
    if name == "default" || region.instances.values().any(|it| it.shape.subnets == name) {
        let message = format!("The DB subnet group '{name}' cannot be deleted because it is in use.");
        return Err(Refusal::new("InvalidDBSubnetGroupStateFault", message));
    }
    region.subnets.remove(&name).map(|_| Fields::new()).ok_or_else(|| no_subnets(&name))
}
