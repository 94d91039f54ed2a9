//! Source `backups`: what AWS Backup has of the account's instances: plans and what they select, recovery points, copies,
//! jobs. Asked by vault and by type, not by instance, so that 500 of them cost as many calls as one. Parts that are refused are
//! missing, and said to be. Recovery points are remembered, and read as a whole once an hour: there may be tens of thousands.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_backup::types::{
    BackupJobState, BackupRule, BackupSelection, ConditionParameter, CopyJobState, Lifecycle, RecoveryPointStatus,
    RestoreJobStatus,
};
use jiff::{SignedDuration, Timestamp};

use super::{asked, foreign, moment_of, some};
use crate::clients::aws::{Account, Action, AwsError, Fault};
use crate::domain::Foreign;
use crate::domain::facts::cloud::{Backups, CopyOfPoint, Job, JobKind, Part, Protection, RecoveryPoint};

/// AWS Backup's word for RDS instances.
const TYPE: &str = "RDS";

/// How far back jobs and copies are told.
const BACK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How old recovery points are that are read again each time: until then a backup is done or has failed.
const RECENT: SignedDuration = SignedDuration::from_hours(36);

/// How often all of them are read, so that those that are deleted or changed are noticed.
const WHOLE: Duration = Duration::from_secs(3_600);

/// How many are told at once.
const PAGE: i32 = 1_000;

/// The prefix of a condition's key that names a tag.
const TAG: &str = "aws:ResourceTag/";

/// All that AWS Backup has, not yet dealt out.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Rules, with what selects instances for them; `None`: not known.
    rules: Option<Vec<(Protection, Vec<Selection>)>>,
    points: HashMap<String, Vec<RecoveryPoint>>,
    copies: HashMap<String, Vec<CopyOfPoint>>,
    jobs: HashMap<String, Vec<Job>>,
    refused: Refused,
}

/// What a selection takes, as far as it can be told from an ARN and tags.
#[derive(Debug, Clone, Default)]
struct Selection {
    resources: Vec<String>,
    except: Vec<String>,
    any_tag: Vec<(String, String)>,
    conditions: Vec<Condition>,
}

/// What a tag has to be.
#[derive(Debug, Clone)]
struct Condition {
    key: String,
    value: String,
    /// Whether `*` in the value stands for anything.
    like: bool,
    /// Whether the tag is to be of the value, or not.
    wanted: bool,
}

impl Answer {
    /// What of it is of one instance, the newest first.
    pub fn of(&self, arn: &str, tags: &BTreeMap<String, Foreign>) -> Backups {
        let protections = self.rules.as_ref().map(|rules| {
            let ours = rules.iter().filter(|(_, selections)| selections.iter().any(|it| it.takes(arn, tags)));
            ours.map(|(protection, _)| protection.clone()).collect()
        });
        let mut found = Backups {
            protections,
            points: self.points.get(arn).cloned().unwrap_or_default(),
            copies: self.copies.get(arn).cloned().unwrap_or_default(),
            jobs: self.jobs.get(arn).cloned().unwrap_or_default(),
            refused: self.refused.clone(),
        };
        found.points.sort_by_key(|point| std::cmp::Reverse(point.at));
        found.copies.sort_by_key(|copy| std::cmp::Reverse(copy.at));
        found.jobs.sort_by_key(|job| std::cmp::Reverse(job.at));
        found
    }
}

/// What is remembered of one round to the next.
#[derive(Debug, Default)]
pub struct Book {
    vaults: HashMap<String, Vault>,
}

/// The recovery points in a vault, by ARN, each with what it is of.
#[derive(Debug, Default)]
struct Vault {
    points: HashMap<String, (String, RecoveryPoint)>,
    /// When it was read as a whole.
    whole: Option<Instant>,
}

/// Parts that were refused: which, and why.
type Refused = Vec<(Part, Arc<str>)>;

impl Book {
    /// Asks for everything. An error when everything was refused: then nothing is known.
    pub async fn ask(&mut self, account: &Account, now: Timestamp) -> Result<Answer, AwsError> {
        let mut answer = Answer::default();
        let since = now.checked_sub(BACK).unwrap_or(now);
        let mut refused = Refused::new();
        // In boxes: the SDK's futures are large.
        let points = Box::pin(self.points(account, now, &mut refused)).await;
        for vault in self.vaults.values() {
            for (of, point) in vault.points.values() {
                answer.points.entry(of.clone()).or_default().push(point.clone());
            }
        }
        let parts: [(Part, Result<(), AwsError>); 5] = [
            (Part::RecoveryPoints, points),
            (Part::Plans, Box::pin(rules(account, &mut refused)).await.map(|rules| answer.rules = Some(rules))),
            (Part::Copies, copies(account, since).await.map(|copies| answer.copies = copies)),
            (Part::BackupJobs, backups(account, since, &mut answer.jobs).await),
            (Part::RestoreJobs, restores(account, since, &answer.points, &mut answer.jobs).await),
        ];
        let (mut first, mut whole) = (None, 0);
        for (part, result) in parts {
            let Err(error) = result else { continue };
            if error.is_about_credentials() {
                return Err(error);
            }
            refused.push((part, Arc::from(error.to_string())));
            first.get_or_insert(error);
            whole += 1;
        }
        answer.refused = refused;
        match first {
            Some(error) if whole == 5 => Err(error),
            _ => Ok(answer),
        }
    }

    /// By vault: copies from other regions are among them. One that refuses (its own policy, or it was just removed) keeps what is
    /// known of it, and hides no other.
    async fn points(&mut self, account: &Account, now: Timestamp, refused: &mut Refused) -> Result<(), AwsError> {
        let names = vaults(account).await?;
        self.vaults.retain(|name, _| names.contains(name));
        for name in names {
            let vault = self.vaults.entry(name.clone()).or_default();
            let whole = vault.whole.is_none_or(|at| at.elapsed() >= WHOLE);
            let since = (!whole).then(|| now.checked_sub(RECENT).unwrap_or(now));
            match points(account, &name, since).await {
                Ok(points) if whole => *vault = Vault { points, whole: Some(Instant::now()) },
                // What is not told again is older, and is there still, or will be missing from the next whole.
                Ok(points) => vault.points.extend(points),
                Err(error) if error.is_about_credentials() || error.is_throttled() => return Err(error),
                Err(error) => {
                    let part = Part::RecoveryPointsIn(Foreign::from(name.as_str()));
                    refused.push((part, Arc::from(error.to_string())));
                }
            }
        }
        Ok(())
    }
}

/// Plans, rule by rule. One that is removed meanwhile is none; one that is refused is said to be.
async fn rules(account: &Account, refused: &mut Refused) -> Result<Vec<(Protection, Vec<Selection>)>, AwsError> {
    let clients = account.clients().await;
    let mut plans = Vec::new();
    let mut pages = clients.backup.list_backup_plans().into_paginator().send();
    while let Some(page) = account.page(Action::ListBackupPlans, pages.next()).await? {
        plans.extend(page.backup_plans_list().iter().filter_map(|plan| plan.backup_plan_id().map(str::to_owned)));
    }
    let (mut rules, mut good, of) = (Vec::new(), 0, plans.len());
    let mut newest = None;
    for id in plans {
        match plan(account, &id).await {
            Ok(more) => {
                good += 1;
                rules.extend(more);
            }
            Err(AwsError { fault: Fault::Gone(_), .. }) => good += 1,
            Err(error) if error.is_about_credentials() || error.is_throttled() => return Err(error),
            Err(error) => {
                refused.push((Part::Plan(Foreign::from(id.as_str())), Arc::from(error.to_string())));
                newest = Some(error);
            }
        }
    }
    match newest {
        Some(error) if good == 0 && of > 0 => Err(error),
        _ => Ok(rules),
    }
}

async fn plan(account: &Account, id: &str) -> Result<Vec<(Protection, Vec<Selection>)>, AwsError> {
    let clients = account.clients().await;
    let question = clients.backup.get_backup_plan().backup_plan_id(id).send();
    let plan = account.ask(Action::GetBackupPlan, question).await?;
    let since = moment_of(plan.creation_date());
    let Some(plan) = plan.backup_plan() else { return Ok(Vec::new()) };
    let selections = selections(account, id).await?;
    let rules = plan.rules().iter();
    Ok(rules.map(|rule| (protection(plan.backup_plan_name(), since, rule), selections.clone())).collect())
}

async fn selections(account: &Account, plan: &str) -> Result<Vec<Selection>, AwsError> {
    let clients = account.clients().await;
    let mut ids = Vec::new();
    let mut pages = clients.backup.list_backup_selections().backup_plan_id(plan).into_paginator().send();
    while let Some(page) = account.page(Action::ListBackupSelections, pages.next()).await? {
        ids.extend(page.backup_selections_list().iter().filter_map(|it| it.selection_id().map(str::to_owned)));
    }
    let mut selections = Vec::new();
    for id in ids {
        let question = clients.backup.get_backup_selection().backup_plan_id(plan).selection_id(id).send();
        let selection = account.ask(Action::GetBackupSelection, question).await?;
        selections.extend(selection.backup_selection().map(Selection::from));
    }
    Ok(selections)
}

fn protection(plan: &str, since: Option<Timestamp>, rule: &BackupRule) -> Protection {
    let days = rule.lifecycle().and_then(Lifecycle::delete_after_days);
    let copies = rule.copy_actions().iter().map(|copy| Foreign::from(copy.destination_backup_vault_arn()));
    Protection {
        plan: Foreign::from(plan),
        rule: Foreign::from(rule.rule_name()),
        schedule: some(rule.schedule_expression()),
        vault: Foreign::from(rule.target_backup_vault_name()),
        days: days.and_then(|days| u32::try_from(days).ok()).filter(|days| *days > 0),
        copies_to: copies.collect(),
        continuous: rule.enable_continuous_backup().unwrap_or_default(),
        since,
    }
}

/// The vaults of the account.
pub(super) async fn vaults(account: &Account) -> Result<Vec<String>, AwsError> {
    let clients = account.clients().await;
    let mut vaults = Vec::new();
    let mut pages = clients.backup.list_backup_vaults().into_paginator().send();
    while let Some(page) = account.page(Action::ListBackupVaults, pages.next()).await? {
        vaults.extend(page.backup_vault_list().iter().filter_map(|it| it.backup_vault_name().map(str::to_owned)));
    }
    Ok(vaults)
}

/// The recovery points in a vault, those that were made since.
async fn points(
    account: &Account,
    vault: &str,
    since: Option<Timestamp>,
) -> Result<HashMap<String, (String, RecoveryPoint)>, AwsError> {
    let clients = account.clients().await;
    let question = clients.backup.list_recovery_points_by_backup_vault().backup_vault_name(vault);
    let question = question.by_resource_type(TYPE).set_by_created_after(since.map(asked));
    let mut pages = question.max_results(PAGE).into_paginator().send();
    let mut found = HashMap::new();
    while let Some(page) = account.page(Action::ListRecoveryPoints, pages.next()).await? {
        for point in page.recovery_points() {
            let at = moment_of(point.creation_date()).or_else(|| moment_of(point.completion_date()));
            let (Some(arn), Some(of), Some(at)) = (point.recovery_point_arn(), point.resource_arn(), at) else {
                continue;
            };
            let lifecycle = point.calculated_lifecycle();
            let told = RecoveryPoint {
                arn: Foreign::from(arn),
                vault: Foreign::from(vault),
                status: foreign(point.status().map(RecoveryPointStatus::as_str)),
                at,
                bytes: point.backup_size_in_bytes().and_then(|bytes| u64::try_from(bytes).ok()),
                encrypted: point.is_encrypted() || point.encryption_key_arn().is_some(),
                deleted_at: lifecycle.and_then(|life| moment_of(life.delete_at())),
            };
            found.insert(arn.to_owned(), (of.to_owned(), told));
        }
    }
    Ok(found)
}

async fn copies(account: &Account, since: Timestamp) -> Result<HashMap<String, Vec<CopyOfPoint>>, AwsError> {
    let clients = account.clients().await;
    let question = clients.backup.list_copy_jobs().by_resource_type(TYPE).by_created_after(asked(since));
    let mut pages = question.max_results(PAGE).into_paginator().send();
    let mut found: HashMap<String, Vec<CopyOfPoint>> = HashMap::new();
    while let Some(page) = account.page(Action::ListCopyJobs, pages.next()).await? {
        for job in page.copy_jobs() {
            let (Some(of), Some(at)) = (job.resource_arn(), moment_of(job.creation_date())) else { continue };
            found.entry(of.to_owned()).or_default().push(CopyOfPoint {
                to: foreign(job.destination_backup_vault_arn()),
                state: foreign(job.state().map(CopyJobState::as_str)),
                at,
                message: some(job.status_message()),
            });
        }
    }
    Ok(found)
}

async fn backups(account: &Account, since: Timestamp, into: &mut HashMap<String, Vec<Job>>) -> Result<(), AwsError> {
    let clients = account.clients().await;
    let question = clients.backup.list_backup_jobs().by_resource_type(TYPE).by_created_after(asked(since));
    let mut pages = question.max_results(PAGE).into_paginator().send();
    while let Some(page) = account.page(Action::ListBackupJobs, pages.next()).await? {
        for job in page.backup_jobs() {
            let (Some(of), Some(at)) = (job.resource_arn(), moment_of(job.creation_date())) else { continue };
            into.entry(of.to_owned()).or_default().push(Job {
                kind: JobKind::Backup,
                state: foreign(job.state().map(BackupJobState::as_str)),
                at,
                ended: moment_of(job.completion_date()),
                message: some(job.status_message()),
            });
        }
    }
    Ok(())
}

/// A restore is of the instance that its recovery point was made of.
async fn restores(
    account: &Account,
    since: Timestamp,
    points: &HashMap<String, Vec<RecoveryPoint>>,
    into: &mut HashMap<String, Vec<Job>>,
) -> Result<(), AwsError> {
    let clients = account.clients().await;
    let question = clients.backup.list_restore_jobs().by_resource_type(TYPE).by_created_after(asked(since));
    let mut pages = question.max_results(PAGE).into_paginator().send();
    let made_of = |point: &str| {
        let mut all = points.iter();
        all.find(|(_, points)| points.iter().any(|it| it.arn.raw() == point)).map(|(of, _)| of.clone())
    };
    while let Some(page) = account.page(Action::ListRestoreJobs, pages.next()).await? {
        for job in page.restore_jobs() {
            let of = job.source_resource_arn().map(str::to_owned);
            let of = of.or_else(|| job.recovery_point_arn().and_then(made_of));
            let (Some(of), Some(at)) = (of, moment_of(job.creation_date())) else { continue };
            into.entry(of).or_default().push(Job {
                kind: JobKind::Restore,
                state: foreign(job.status().map(RestoreJobStatus::as_str)),
                at,
                ended: moment_of(job.completion_date()),
                message: some(job.status_message()),
            });
        }
    }
    Ok(())
}

impl From<&BackupSelection> for Selection {
    fn from(selection: &BackupSelection) -> Self {
        let mut conditions = Vec::new();
        if let Some(all) = selection.conditions() {
            let mut take = |wanted: bool, like: bool, of: &[ConditionParameter]| {
                for condition in of {
                    if let (Some(key), Some(value)) = (condition.condition_key(), condition.condition_value()) {
                        let key = key.strip_prefix(TAG).unwrap_or(key);
                        conditions.push(Condition { key: key.to_owned(), value: value.to_owned(), like, wanted });
                    }
                }
            };
            take(true, false, all.string_equals());
            take(true, true, all.string_like());
            take(false, false, all.string_not_equals());
            take(false, true, all.string_not_like());
        }
        let tags = selection.list_of_tags().iter();
        Self {
            resources: selection.resources().to_vec(),
            except: selection.not_resources().to_vec(),
            any_tag: tags
                .map(|tag| (tag.condition_key().to_owned(), tag.condition_value().to_owned()))
                .map(|(key, value)| (key.strip_prefix(TAG).map(str::to_owned).unwrap_or(key), value))
                .collect(),
            conditions,
        }
    }
}

impl Selection {
    /// Whether it takes an instance: by its ARN or by any of the tags in its list; and then by all conditions.
    fn takes(&self, arn: &str, tags: &BTreeMap<String, Foreign>) -> bool {
        if self.except.iter().any(|pattern| is_like(arn, pattern)) {
            return false;
        }
        let tag = |key: &str| tags.get(key).map(Foreign::raw);
        let by_arn = self.resources.iter().any(|pattern| is_like(arn, pattern));
        let by_tag = self.any_tag.iter().any(|(key, value)| tag(key) == Some(value));
        let by_itself = self.resources.is_empty() && self.any_tag.is_empty() && !self.conditions.is_empty();
        (by_arn || by_tag || by_itself)
            // A tag that is not there equals nothing.
            && self.conditions.iter().all(|it| tag(&it.key).is_some_and(|value| it.fits(value)) == it.wanted)
    }
}

impl Condition {
    fn fits(&self, value: &str) -> bool {
        if self.like { is_like(value, &self.value) } else { value == self.value }
    }
}

/// Whether a text is of a pattern in which `*` stands for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    let mut rest = rest;
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:rds:eu-west-1:123456789012:db:portarium-prod-acme-db";

    fn tags() -> BTreeMap<String, Foreign> {
        let tags = [("TenantId", "acme"), ("StorageTier", "dedicated")];
        tags.into_iter().map(|(key, value)| (key.to_owned(), Foreign::from(value))).collect()
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn patterns_are_whole() {
        for pattern in [ARN, "*", "arn:aws:rds:*:db:*", "arn:aws:rds:*:*:db:portarium-*-db", "arn*-db"] {
            assert!(is_like(ARN, pattern), "{pattern}");
        }
        for pattern in ["", "arn:aws:rds:*:cluster:*", "rds*", "*-d", "arn:aws:dynamodb:*"] {
            assert!(!is_like(ARN, pattern), "{pattern}");
        }
        // What was taken for one part is not taken for the next.
        assert!(!is_like("ab", "ab*b") && is_like("abb", "ab*b"));
    }

    #[test]
    fn a_selection_takes_by_arn_by_tag_and_by_conditions() {
        let tags = tags();
        let by_arn = Selection { resources: texts(&["arn:aws:rds:*"]), ..Selection::default() };
        assert!(by_arn.takes(ARN, &tags));
        assert!(!Selection { except: texts(&[ARN]), ..by_arn.clone() }.takes(ARN, &tags));
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let by_tag = Selection { any_tag: vec![tag("x", "y"), tag("TenantId", "acme")], ..Selection::default() };
        assert!(by_tag.takes(ARN, &tags) && !by_tag.takes(ARN, &BTreeMap::new()));
        let condition = |wanted, like, value: &str| {
            let condition = Condition { key: "StorageTier".to_owned(), value: value.to_owned(), like, wanted };
            Selection { conditions: vec![condition], ..by_arn.clone() }.takes(ARN, &tags)
        };
        assert!(condition(true, true, "dedi*") && condition(false, true, "shar*") && !condition(false, true, "dedi*"));
        assert!(condition(true, false, "dedicated") && condition(false, false, "shared"));
        assert!(!condition(true, false, "shared") && !condition(false, false, "dedicated"));
        // What equals is no pattern.
        assert!(!condition(true, false, "dedi*") && condition(false, false, "dedi*"));
        assert!(!Selection::default().takes(ARN, &tags), "a selection of nothing takes nothing");
    }
}
