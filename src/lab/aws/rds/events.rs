//! What happened, and what maintenance waits.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{filter, invalid, listed, paged};
use crate::lab::aws::core::Core;
use crate::lab::aws::state::Maintenance;
use crate::lab::aws::wire::{Answer, Fields, Input};

/// Events older than this are not told.
const KEPT: SignedDuration = SignedDuration::from_hours(14 * 24);

pub fn list(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let asked = ["Duration", "EndTime", "EventCategories", "SourceIdentifier", "SourceType", "StartTime"];
    listed(input, &asked)?;
    super::filters(input, &[])?;
    let now = Timestamp::now();
    let minutes = input.int("Duration").unwrap_or(60).clamp(1, 20_160);
    let end = input.time("EndTime").unwrap_or(now);
    let start = input.time("StartTime").unwrap_or(now - SignedDuration::from_mins(minutes));
    if start < now - KEPT {
        return Err(invalid("Events are kept for 14 days: StartTime is too early"));
    }
    if end < start {
        return Err(invalid("EndTime must not be before StartTime"));
    }
    let (id, kind) = (input.filled("SourceIdentifier"), input.filled("SourceType"));
    if id.is_some() && kind.is_none() {
        return Err(super::combination("SourceType must be given with SourceIdentifier"));
    }
    let categories = input.texts("EventCategories");
    let mut state = core.state();
    let found: Vec<Fields> = state
        .region(region)
        .events
        .iter()
        .filter(|it| it.at >= start && it.at <= end)
        .filter(|it| id.is_none_or(|id| it.id.eq_ignore_ascii_case(id)) && kind.is_none_or(|kind| it.kind == kind))
        .filter(|it| categories.is_empty() || categories.iter().any(|category| category == it.category))
        .map(|it| {
            Fields::new()
                .with("SourceIdentifier", &it.id)
                .with("SourceType", it.kind)
                .with("Message", &it.message)
                .list("EventCategories", "EventCategory", [it.category])
                .with("Date", it.at)
                .with("SourceArn", &it.arn)
        })
        .collect();
    paged(input, "Events", "Event", found)
}

pub fn maintenance(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    listed(input, &["ResourceIdentifier"])?;
    super::filters(input, &["db-instance-id", "db-cluster-id"])?;
    let one = input.filled("ResourceIdentifier");
    let among = filter(input, "db-instance-id");
    let is_meant = |arn: &str| {
        among.as_ref().is_none_or(|wanted| wanted.iter().any(|it| arn == it || arn.ends_with(&format!(":db:{it}"))))
    };
    let mut state = core.state();
    let found: Vec<Fields> = state
        .region(region)
        .maintenance
        .iter()
        .filter(|(arn, waiting)| !waiting.is_empty() && one.is_none_or(|one| one == arn.as_str()) && is_meant(arn))
        .map(|(arn, waiting)| {
            Fields::new().with("ResourceIdentifier", arn).list(
                "PendingMaintenanceActionDetails",
                "PendingMaintenanceAction",
                waiting.iter().map(action),
            )
        })
        .collect();
    paged(input, "PendingMaintenanceActions", "ResourcePendingMaintenanceActions", found)
}

fn action(it: &Maintenance) -> Fields {
    Fields::new().with("Action", &it.action).maybe("ForcedApplyDate", it.forced).with("Description", &it.description)
}
