//! Tags of whatever has an ARN.

use std::sync::Arc;

use super::make::tags;
use super::{describe, invalid, no_instance, no_snapshot, only, required};
use crate::lab::aws::core::Core;
use crate::lab::aws::names::{ACCOUNT, parse_rds_arn};
use crate::lab::aws::state::{State, Tags};
use crate::lab::aws::wire::{Answer, Fields, Input, Refusal};

fn of<'a>(state: &'a mut State, region: &str, arn: &str) -> Result<&'a mut Tags, Refusal> {
    let (of, kind, name) = parse_rds_arn(arn).ok_or_else(|| invalid(format!("Invalid resource name: {arn}")))?;
    if of != region || !arn.contains(&format!(":{ACCOUNT}:")) {
        return Err(invalid(format!(
            "The specified resource name does not match an RDS resource in this region: {arn}"
        )));
    }
    let region = state.region(of);
    let missing = |code: &str| Refusal::missing(code, format!("{name} not found."));
    match kind {
        "db" => region.instances.get_mut(name).map(|it| &mut it.tags).ok_or_else(|| no_instance(name)),
        "snapshot" => region.snapshots.get_mut(name).map(|it| &mut it.tags).ok_or_else(|| no_snapshot(name)),
        "pg" => {
            region.parameters.get_mut(name).map(|it| &mut it.tags).ok_or_else(|| missing("DBParameterGroupNotFound"))
        }
        "subgrp" => {
            region.subnets.get_mut(name).map(|it| &mut it.tags).ok_or_else(|| missing("DBSubnetGroupNotFoundFault"))
        }
        _ => Err(invalid(format!("Invalid resource name: {arn}"))),
    }
}

pub fn add(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    only(input, &["ResourceName", "Tags"])?;
    let new = tags(input)?;
    of(&mut core.state(), region, required(input, "ResourceName")?)?.extend(new);
    Ok(Fields::new())
}

pub fn list(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    only(input, &["ResourceName", "Filters"])?;
    let mut state = core.state();
    let tags = of(&mut state, region, required(input, "ResourceName")?)?;
    Ok(Fields::new().list("TagList", "Tag", describe::tags(tags)))
}

pub fn remove(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    only(input, &["ResourceName", "TagKeys"])?;
    let keys = input.texts("TagKeys");
    of(&mut core.state(), region, required(input, "ResourceName")?)?.retain(|key, _| !keys.contains(key));
    Ok(Fields::new())
}
