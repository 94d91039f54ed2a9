//! AWS Backup: which of its actions a path means, and who answers it. A recovery point is a snapshot under another name:
//! jobs act on the same clusters as RDS.

mod jobs;
mod plans;
mod points;
mod rounds;
mod schedule;
mod selection;
mod vaults;

use std::sync::Arc;

use axum::http::{Method, Uri};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::core::Core;
use super::http::{Call, unknown};
use super::names::ACCOUNT;
use super::wire::{Answer, Fields, Input, Refusal, Shape, page};

pub use self::rounds::rounds;

/// Method, path with its parameters, action: as the service's model has them.
const ROUTES: [(&str, &str, &str); 34] = [
    ("PUT", "backup/plans", "CreateBackupPlan"),
    ("GET", "backup/plans", "ListBackupPlans"),
    ("GET", "backup/plans/{BackupPlanId}", "GetBackupPlan"),
    ("POST", "backup/plans/{BackupPlanId}", "UpdateBackupPlan"),
    ("DELETE", "backup/plans/{BackupPlanId}", "DeleteBackupPlan"),
    ("PUT", "backup/plans/{BackupPlanId}/selections", "CreateBackupSelection"),
    ("GET", "backup/plans/{BackupPlanId}/selections", "ListBackupSelections"),
    ("GET", "backup/plans/{BackupPlanId}/selections/{SelectionId}", "GetBackupSelection"),
    ("DELETE", "backup/plans/{BackupPlanId}/selections/{SelectionId}", "DeleteBackupSelection"),
    ("GET", "backup-vaults", "ListBackupVaults"),
    ("PUT", "backup-vaults/{BackupVaultName}", "CreateBackupVault"),
    ("GET", "backup-vaults/{BackupVaultName}", "DescribeBackupVault"),
    ("DELETE", "backup-vaults/{BackupVaultName}", "DeleteBackupVault"),
    ("GET", "backup-vaults/{BackupVaultName}/recovery-points", "ListRecoveryPointsByBackupVault"),
    ("GET", "backup-vaults/{BackupVaultName}/recovery-points/{RecoveryPointArn}", "DescribeRecoveryPoint"),
    ("DELETE", "backup-vaults/{BackupVaultName}/recovery-points/{RecoveryPointArn}", "DeleteRecoveryPoint"),
    (
        "GET",
        "backup-vaults/{BackupVaultName}/recovery-points/{RecoveryPointArn}/restore-metadata",
        "GetRecoveryPointRestoreMetadata",
    ),
    ("GET", "resources", "ListProtectedResources"),
    ("GET", "resources/{ResourceArn}", "DescribeProtectedResource"),
    ("GET", "resources/{ResourceArn}/recovery-points", "ListRecoveryPointsByResource"),
    ("PUT", "backup-jobs", "StartBackupJob"),
    ("GET", "backup-jobs", "ListBackupJobs"),
    ("GET", "backup-jobs/{BackupJobId}", "DescribeBackupJob"),
    ("POST", "backup-jobs/{BackupJobId}", "StopBackupJob"),
    ("PUT", "restore-jobs", "StartRestoreJob"),
    ("GET", "restore-jobs", "ListRestoreJobs"),
    ("GET", "restore-jobs/{RestoreJobId}", "DescribeRestoreJob"),
    ("PUT", "copy-jobs", "StartCopyJob"),
    ("GET", "copy-jobs", "ListCopyJobs"),
    ("GET", "copy-jobs/{CopyJobId}", "DescribeCopyJob"),
    ("GET", "tags/{ResourceArn}", "ListTags"),
    ("POST", "tags/{ResourceArn}", "TagResource"),
    ("POST", "untag/{ResourceArn}", "UntagResource"),
    ("GET", "resources/{ResourceArn}/restore-jobs", "ListRestoreJobsByProtectedResource"),
];

/// The action that a request means; parameters of path and query join those of the body.
pub fn route(method: &Method, uri: &Uri, body: Value) -> Result<(String, Value), Refusal> {
    // Cut apart before it is decoded: an ARN may hold what divides.
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let segments: Vec<String> = uri.path().split('/').filter(|it| !it.is_empty()).map(decode).collect();
    let matched = ROUTES.iter().filter(|(wanted, _, _)| *wanted == method.as_str()).find_map(|(_, path, action)| {
        let pattern: Vec<&str> = path.split('/').collect();
        let mut found = Vec::new();
        let fits = pattern.len() == segments.len()
            && pattern.iter().zip(&segments).all(|(part, is)| match part.strip_prefix('{') {
                Some(name) => {
                    found.push((name.trim_end_matches('}').to_owned(), is.clone()));
                    true
                }
                None => part == is,
            });
        fits.then_some((*action, found))
    });
    let Some((action, found)) = matched else {
        let message = format!("Unable to determine service/operation name to be authorized: {method} {}", uri.path());
        return Err(Refusal::missing("UnknownOperationException", message));
    };
    let mut all = match body {
        Value::Object(all) => all,
        _ => Map::new(),
    };
    let query = uri.query().unwrap_or_default();
    all.extend(
        url::form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))),
    );
    all.extend(found.into_iter().map(|(name, value)| (name, Value::String(value))));
    Ok((action.to_owned(), Value::Object(all)))
}

/// What of an action is heeded, beside what its path holds.
fn heeded(action: &str) -> &'static [&'static str] {
    match action {
        "CreateBackupPlan" => &["BackupPlan", "BackupPlanTags", "CreatorRequestId"],
        "UpdateBackupPlan" => &["BackupPlan"],
        "CreateBackupSelection" => &["BackupSelection", "CreatorRequestId"],
        "CreateBackupVault" => &["EncryptionKeyArn", "BackupVaultTags", "CreatorRequestId"],
        "TagResource" => &["Tags"],
        "UntagResource" => &["TagKeyList"],
        "StartBackupJob" => &[
            "BackupVaultName",
            "ResourceArn",
            "IamRoleArn",
            "IdempotencyToken",
            "Lifecycle",
            "RecoveryPointTags",
            "StartWindowMinutes",
        ],
        "StartRestoreJob" => &[
            "RecoveryPointArn",
            "Metadata",
            "IamRoleArn",
            "IdempotencyToken",
            "ResourceType",
            "CopySourceTagsToRestoredResource",
        ],
        "StartCopyJob" => &[
            "RecoveryPointArn",
            "SourceBackupVaultName",
            "DestinationBackupVaultArn",
            "IamRoleArn",
            "IdempotencyToken",
            "Lifecycle",
        ],
        "ListBackupPlans"
        | "ListBackupSelections"
        | "ListBackupVaults"
        | "ListTags"
        | "ListProtectedResources"
        | "ListRecoveryPointsByResource" => &["nextToken", "maxResults"],
        "ListRecoveryPointsByBackupVault" => {
            &["nextToken", "maxResults", "resourceArn", "resourceType", "createdBefore", "createdAfter"]
        }
        "ListBackupJobs" => &[
            "nextToken",
            "maxResults",
            "resourceArn",
            "state",
            "backupVaultName",
            "createdBefore",
            "createdAfter",
            "resourceType",
        ],
        "ListCopyJobs" => {
            &["nextToken", "maxResults", "resourceArn", "state", "createdBefore", "createdAfter", "resourceType"]
        }
        "ListRestoreJobs" => &["nextToken", "maxResults", "status", "createdBefore", "createdAfter", "resourceType"],
        "ListRestoreJobsByProtectedResource" => &["nextToken", "maxResults", "status"],
        _ => &[],
    }
}

/// Refuses what the estate would only pretend to heed.
fn only(call: &Call) -> Result<(), Refusal> {
    let heeded = heeded(&call.action);
    let path = ROUTES.iter().find(|(_, _, action)| *action == call.action).map_or("", |(_, path, _)| path);
    let in_path = |name: &str| path.split('/').any(|part| part.trim_matches(['{', '}']) == name);
    let odd = call.input.beyond(|name| heeded.contains(&name) || in_path(name));
    odd.map_or(Ok(()), |name| Err(invalid(format!("The estate's AWS does not implement the parameter {name}"))))
}

/// Answers a call. What was begun with a token is not begun twice.
pub fn answer(core: &Arc<Core>, call: &Call) -> Answer {
    only(call)?;
    let token = call.input.filled("IdempotencyToken").or(call.input.filled("CreatorRequestId"));
    let Some(token) = token else { return act(core, call) };
    let key = (call.action.clone(), token.to_owned());
    if let Some(told) = core.state().region(&call.region).backup.begun.get(&key) {
        return Ok(told.clone());
    }
    let told = act(core, call)?;
    core.state().region(&call.region).backup.begun.insert(key, told.clone());
    Ok(told)
}

fn act(core: &Arc<Core>, call: &Call) -> Answer {
    let (region, input) = (call.region.as_str(), &call.input);
    match call.action.as_str() {
        "CreateBackupPlan" => plans::create(core, region, input),
        "ListBackupPlans" => plans::list(core, region, input),
        "GetBackupPlan" => plans::get(core, region, input),
        "UpdateBackupPlan" => plans::update(core, region, input),
        "DeleteBackupPlan" => plans::delete(core, region, input),
        "CreateBackupSelection" => plans::select(core, region, input),
        "ListBackupSelections" => plans::selections(core, region, input),
        "GetBackupSelection" => plans::selection(core, region, input),
        "DeleteBackupSelection" => plans::unselect(core, region, input),
        "ListBackupVaults" => vaults::list(core, region, input),
        "CreateBackupVault" => vaults::create(core, region, input),
        "DescribeBackupVault" => vaults::describe(core, region, input),
        "DeleteBackupVault" => vaults::delete(core, region, input),
        "ListTags" => vaults::tags(core, region, input),
        "TagResource" => vaults::tag(core, region, input),
        "UntagResource" => vaults::untag(core, region, input),
        "ListRecoveryPointsByBackupVault" => points::of_vault(core, region, input),
        "DescribeRecoveryPoint" => points::describe(core, region, input),
        "DeleteRecoveryPoint" => points::delete(core, region, input),
        "GetRecoveryPointRestoreMetadata" => points::metadata(core, region, input),
        "ListProtectedResources" => points::resources(core, region, input),
        "DescribeProtectedResource" => points::resource(core, region, input),
        "ListRecoveryPointsByResource" => points::of_resource(core, region, input),
        "StartBackupJob" => jobs::backup(core, region, input),
        "StartRestoreJob" => jobs::restore(core, region, input),
        "StartCopyJob" => jobs::copy(core, region, input),
        "StopBackupJob" => jobs::stop(core, region, input),
        "DescribeBackupJob" => jobs::describe(core, region, input, "BackupJobId"),
        "DescribeRestoreJob" => jobs::describe(core, region, input, "RestoreJobId"),
        "DescribeCopyJob" => jobs::describe(core, region, input, "CopyJobId"),
        "ListBackupJobs" => jobs::list(core, region, input, "BackupJobs"),
        "ListRestoreJobs" | "ListRestoreJobsByProtectedResource" => jobs::list(core, region, input, "RestoreJobs"),
        "ListCopyJobs" => jobs::list(core, region, input, "CopyJobs"),
        _ => Err(unknown(call)),
    }
}

fn vault_arn(region: &str, name: &str) -> String {
    format!("arn:aws:backup:{region}:{ACCOUNT}:backup-vault:{name}")
}

fn required<'a>(input: &'a Input, name: &str) -> Result<&'a str, Refusal> {
    let missing = || Refusal::new("MissingParameterValueException", format!("{name} is missing"));
    input.filled(name).ok_or_else(missing)
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("InvalidParameterValueException", message)
}

fn missing(message: impl Into<String>) -> Refusal {
    Refusal::new("ResourceNotFoundException", message)
}

/// A page of a list, with Backup's names for it.
fn paged<T: Into<Shape>>(input: &Input, name: &str, all: Vec<T>) -> Answer {
    let most = input.int("maxResults").unwrap_or(1_000);
    if !(1..=1_000).contains(&most) {
        return Err(invalid("maxResults must be between 1 and 1000"));
    }
    let (shown, more) =
        page(all, input.filled("nextToken"), most as usize).ok_or_else(|| invalid("Invalid nextToken"))?;
    Ok(Fields::new().list(name, "member", shown).maybe("NextToken", more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_means_an_action_and_an_arn_in_it_stays_whole() {
        let uri: Uri = "/backup-vaults/v/recovery-points/arn%3Aaws%3Ards%3Aeu-west-1%3A1%3Asnapshot%3Aawsbackup%3Ax%2Fy?maxResults=3".parse().unwrap();
        let (action, all) = route(&Method::GET, &uri, Value::Null).unwrap();
        assert_eq!(action, "DescribeRecoveryPoint");
        assert_eq!(all["RecoveryPointArn"], "arn:aws:rds:eu-west-1:1:snapshot:awsbackup:x/y");
        assert_eq!((&all["BackupVaultName"], &all["maxResults"]), (&"v".into(), &"3".into()));
        assert!(route(&Method::GET, &"/nowhere".parse().unwrap(), Value::Null).is_err());
    }
}
