//! Plans and what they are for: kept, told, and checked. Rounds carry them out.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::schedule::Schedule;
use super::{invalid, missing, paged, required};
use crate::lab::aws::core::Core;
use crate::lab::aws::names::{ACCOUNT, uuid};
use crate::lab::aws::state::{Plan, Region, Selection};
use crate::lab::aws::wire::{Answer, Fields, Input, Refusal, Shape};

/// A plan's ARN.
pub fn arn(region: &str, id: &str) -> String {
    format!("arn:aws:backup:{region}:{ACCOUNT}:backup-plan:{id}")
}

fn name(plan: &Plan) -> &str {
    plan.document["BackupPlanName"].as_str().unwrap_or_default()
}

fn told(region: &str, plan: &Plan) -> Fields {
    Fields::new()
        .with("BackupPlanId", &plan.id)
        .with("BackupPlanArn", arn(region, &plan.id))
        .with("CreationDate", plan.created)
        .with("VersionId", &plan.version)
        .maybe("LastExecutionDate", plan.carried_out)
}

/// What of a rule is carried out. A backup takes seconds here, so that none is ever beyond its completion window.
const RULE: [&str; 10] = [
    "CompletionWindowMinutes",
    "CopyActions",
    "Lifecycle",
    "RecoveryPointTags",
    "RuleId",
    "RuleName",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "StartWindowMinutes",
    "TargetBackupVaultName",
];

/// Refuses what of a document would only be kept. What says no, or nothing, is no wish.
fn only(document: &Input, known: &[&str]) -> Result<(), Refusal> {
    let wished = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        _ => true,
    };
    let odd = document.beyond(|name| known.contains(&name) || !wished(&document.0[name]));
    odd.map_or(Ok(()), |name| Err(invalid(format!("The estate's AWS does not carry out {name} of a backup plan"))))
}

fn timely(rule: &Input) -> Result<(), Refusal> {
    let schedule = rule.filled("ScheduleExpression");
    if Schedule::read(schedule).is_none() {
        return Err(invalid(format!("Invalid cron expression: {}", schedule.unwrap_or_default())));
    }
    if let Some(zone) = rule.filled("ScheduleExpressionTimezone").filter(|zone| !["UTC", "Etc/UTC"].contains(zone)) {
        return Err(invalid(format!("The estate's AWS carries plans out by UTC, not by {zone}")));
    }
    start_window(rule).map(drop)
}

/// How long a job may wait for its beginning.
pub fn start_window(input: &Input) -> Result<Option<SignedDuration>, Refusal> {
    if !input.has("StartWindowMinutes") {
        return Ok(None);
    }
    let minutes = input.int("StartWindowMinutes").filter(|minutes| (60..=52_560_000).contains(minutes));
    let wrong = || invalid("StartWindowMinutes must be at least 60 minutes, and at most 100 years");
    minutes.map(|minutes| Some(SignedDuration::from_mins(minutes))).ok_or_else(wrong)
}

/// A plan that can be: with a name, and rules for vaults that there are.
fn checked(region: &Region, input: &Input) -> Result<Value, Refusal> {
    let plan = input.inner("BackupPlan");
    only(&plan, &["BackupPlanName", "Rules"])?;
    required(&plan, "BackupPlanName")?;
    let rules = plan.entries("Rules");
    if rules.is_empty() {
        return Err(Refusal::new("MissingParameterValueException", "Rules is missing"));
    }
    for rule in &rules {
        required(rule, "RuleName")?;
        let vault = required(rule, "TargetBackupVaultName")?;
        if !region.backup.vaults.contains_key(vault) {
            return Err(missing(format!("Backup vault not found: {vault}")));
        }
        only(rule, &RULE)?;
        timely(rule)?;
        for copy in rule.entries("CopyActions") {
            only(&copy, &["DestinationBackupVaultArn", "Lifecycle"])?;
            required(&copy, "DestinationBackupVaultArn")?;
        }
    }
    let mut document = plan.0;
    for rule in document["Rules"].as_array_mut().into_iter().flatten() {
        rule["RuleId"] = uuid().into();
    }
    Ok(document)
}

pub fn create(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let mut state = core.state();
    let known = state.region(region);
    let document = checked(known, input)?;
    let taken = known.backup.plans.values().find(|plan| name(plan) == document["BackupPlanName"]);
    if let Some(plan) = taken {
        let message = format!("Backup plan with the same plan document already exists: {}", plan.id);
        return Err(Refusal::new("AlreadyExistsException", message));
    }
    let created = core.now();
    let plan = Plan {
        id: uuid(),
        version: uuid(),
        document,
        created,
        looked: created,
        carried_out: None,
        selections: BTreeMap::new(),
        tags: input.pairs("BackupPlanTags").into_iter().collect(),
    };
    let told = told(region, &plan);
    known.backup.plans.insert(plan.id.clone(), plan);
    Ok(told)
}

fn with<T>(
    core: &Core,
    region: &str,
    input: &Input,
    act: impl FnOnce(&mut Plan) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let id = required(input, "BackupPlanId")?;
    let mut state = core.state();
    let plan = state.region(region).backup.plans.get_mut(id);
    act(plan.ok_or_else(|| missing(format!("Cannot find Backup plan with ID {id}")))?)
}

pub fn list(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let mut state = core.state();
    let plans = state.region(region).backup.plans.values();
    let found = plans.map(|plan| told(region, plan).with("BackupPlanName", name(plan))).collect();
    paged(input, "BackupPlansList", found)
}

pub fn get(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    with(core, region, input, |plan| Ok(told(region, plan).with("BackupPlan", Shape::from(&plan.document))))
}

pub fn update(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let document = checked(core.state().region(region), input)?;
    with(core, region, input, |plan| {
        plan.document = document;
        plan.version = uuid();
        Ok(told(region, plan))
    })
}

pub fn delete(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let told = with(core, region, input, |plan| {
        if !plan.selections.is_empty() {
            let message = "Related backup plan selections must be deleted prior to backup plan deletion";
            return Err(Refusal::new("InvalidRequestException", message));
        }
        Ok(told(region, plan).with("DeletionDate", Timestamp::now()))
    })?;
    core.state().region(region).backup.plans.remove(input.text("BackupPlanId").unwrap_or_default());
    Ok(told)
}

pub fn select(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let wanted = input.inner("BackupSelection");
    let called = required(&wanted, "SelectionName")?.to_owned();
    required(&wanted, "IamRoleArn")?;
    with(core, region, input, |plan| {
        if plan.selections.values().any(|it| it.document["SelectionName"] == called.as_str()) {
            return Err(Refusal::new("AlreadyExistsException", format!("Selection {called} already exists")));
        }
        let (id, created) = (uuid(), Timestamp::now());
        plan.selections.insert(id.clone(), Selection { document: wanted.0, created });
        Ok(Fields::new().with("SelectionId", id).with("BackupPlanId", &plan.id).with("CreationDate", created))
    })
}

pub fn selections(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let found = with(core, region, input, |plan| {
        let tell = |(id, it): (&String, &Selection)| {
            Fields::new()
                .with("SelectionId", id)
                .with("SelectionName", it.document["SelectionName"].as_str().unwrap_or_default())
                .with("BackupPlanId", &plan.id)
                .with("CreationDate", it.created)
                .with("IamRoleArn", it.document["IamRoleArn"].as_str().unwrap_or_default())
        };
        Ok(plan.selections.iter().map(tell).collect())
    })?;
    paged(input, "BackupSelectionsList", found)
}

fn no_selection(id: &str) -> Refusal {
    missing(format!("Cannot find Backup selection with ID {id}"))
}

pub fn selection(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let id = required(input, "SelectionId")?;
    with(core, region, input, |plan| {
        let found = plan.selections.get(id).ok_or_else(|| no_selection(id))?;
        Ok(Fields::new()
            .with("BackupSelection", Shape::from(&found.document))
            .with("SelectionId", id)
            .with("BackupPlanId", &plan.id)
            .with("CreationDate", found.created))
    })
}

pub fn unselect(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let id = required(input, "SelectionId")?;
    with(core, region, input, |plan| plan.selections.remove(id).map(|_| Fields::new()).ok_or_else(|| no_selection(id)))
}
