//! Source `snapshots`: all of the account; of manual ones also who each is shared with, a call each, remembered for a while:
//! only manual snapshots can be shared, and there may be many.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_rds::types::{DbSnapshotAttribute, DbSnapshotAttributesResult};

use super::rds::PAGE;
use super::{ByInstance, count, foreign, moment_of};
use crate::clients::aws::{Account, Action, AwsError, Fault};
use crate::domain::Foreign;
use crate::domain::facts::cloud::{Snapshot, Snapshots};

/// How long what is known of one is believed: sharing with everybody is to be noticed, and is rare.
const BELIEVED: Duration = Duration::from_secs(900);

/// What is older is not told any more: then it is not known.
const OLD: Duration = Duration::from_secs(2 * 900);

/// The most that are asked for in one go: RDS throttles who asks for thousands.
const AT_ONCE: usize = 300;

/// So many of these are for instances that are watched, whoever else waits.
const OURS: usize = 225;

/// Nobody answers so often in a row: then not the next one either.
const SILENT: u32 = 3;

/// Attribute `restore`: who may.
const RESTORE: &str = "restore";

/// Who snapshots are shared with, as far as it was asked.
#[derive(Debug, Default)]
pub struct Book {
    known: HashMap<String, Asked>,
}

/// What is known of one.
#[derive(Debug, Default)]
struct Asked {
    /// When it was tried last.
    tried: Option<Instant>,
    told: Option<(Instant, Vec<Foreign>)>,
    /// Why the newest try came to nothing.
    error: Option<Arc<str>>,
}

impl Asked {
    fn is_due(&self) -> bool {
        self.tried.is_none_or(|at| at.elapsed() >= BELIEVED)
    }

    fn believed(&self) -> Option<Vec<Foreign>> {
        self.told.as_ref().filter(|(at, _)| at.elapsed() < OLD).map(|(_, accounts)| accounts.clone())
    }
}

impl Book {
    /// Asks for all of PostgreSQL; the newest first. Where attributes are refused, only they are missing. Those that are watched come
    /// before others.
    pub async fn ask(
        &mut self,
        account: &Account,
        is_watched: impl Fn(&str) -> bool,
    ) -> Result<ByInstance<Snapshots>, AwsError> {
        let found = snapshots(account).await?;
        let manual = found.iter().filter(|(_, it)| can_be_shared(it));
        let manual: Vec<(bool, &str)> = manual.map(|(of, it)| (is_watched(of), it.identifier.raw())).collect();
        let refused = self.look(account, &manual).await;
        let mut by_instance: ByInstance<Snapshots> = HashMap::new();
        for (of, mut snapshot) in found {
            let asked = self.known.get(snapshot.identifier.raw());
            snapshot.shared_with = if can_be_shared(&snapshot) {
                asked.and_then(Asked::believed)
            } else {
                // RDS's own and AWS Backup's cannot be.
                Some(Vec::new())
            };
            let of = by_instance.entry(of).or_default();
            if snapshot.shared_with.is_none() {
                let error = asked.and_then(|asked| asked.error.clone()).or_else(|| refused.clone());
                of.unknown = Some(error.unwrap_or_else(|| Arc::from("not asked yet: there are many")));
            }
            of.snapshots.push(snapshot);
        }
        for of in by_instance.values_mut() {
            of.snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.at));
        }
        Ok(by_instance)
    }

    /// Asks for the attributes of those that were asked longest ago. One that cannot be told is left, and the next one asked; what the
    /// next one would meet as well ends it, and is said.
    async fn look(&mut self, account: &Account, manual: &[(bool, &str)]) -> Option<Arc<str>> {
        let here: HashSet<&str> = manual.iter().map(|(_, identifier)| *identifier).collect();
        self.known.retain(|identifier, _| here.contains(identifier.as_str()));
        let mut silent = 0;
        for identifier in self.due(manual) {
            let clients = account.clients().await;
            let question = clients.rds.describe_db_snapshot_attributes().db_snapshot_identifier(identifier).send();
            let answer = account.ask(Action::DescribeDbSnapshotAttributes, question).await;
            let asked = self.known.entry(identifier.to_owned()).or_default();
            match answer {
                Ok(answer) => {
                    let attributes = answer.db_snapshot_attributes_result();
                    let attributes =
                        attributes.map(DbSnapshotAttributesResult::db_snapshot_attributes).unwrap_or_default().iter();
                    let restore = attributes.filter(|attribute| attribute.attribute_name() == Some(RESTORE));
                    let accounts = restore.flat_map(DbSnapshotAttribute::attribute_values);
                    let accounts = accounts.map(|account| Foreign::from(account.as_str())).collect();
                    let now = Instant::now();
                    *asked = Asked { tried: Some(now), told: Some((now, accounts)), error: None };
                    silent = 0;
                }
                // The next one would be told the same. Not tried: it is the first of the next round.
                Err(error) if error.is_throttled() || error.is_denied() || error.is_about_credentials() => {
                    return Some(Arc::from(error.to_string()));
                }
                Err(error) => {
                    asked.tried = Some(Instant::now());
                    let words: Arc<str> = Arc::from(error.to_string());
                    asked.error = Some(Arc::clone(&words));
                    let answers = matches!(error.fault, Fault::Gone(_) | Fault::Other { .. });
                    silent = if answers { 0 } else { silent + 1 };
                    if silent >= SILENT {
                        return Some(words);
                    }
                }
            }
        }
        None
    }

    /// Who is asked now, who was tried longest ago first: most of them watched ones, but others, too.
    fn due<'a>(&self, manual: &[(bool, &'a str)]) -> Vec<&'a str> {
        let tried = |identifier: &str| self.known.get(identifier).and_then(|asked| asked.tried);
        let due = manual.iter().filter(|(_, identifier)| self.known.get(*identifier).is_none_or(Asked::is_due));
        let (mut ours, mut others): (Vec<_>, Vec<_>) = due.partition(|(watched, _)| *watched);
        ours.sort_by_key(|(_, identifier)| tried(identifier));
        others.sort_by_key(|(_, identifier)| tried(identifier));
        let late = ours.split_off(ours.len().min(OURS));
        let order = ours.into_iter().chain(others).chain(late);
        order.take(AT_ONCE).map(|(_, identifier)| identifier).collect()
    }
}

/// All snapshots of PostgreSQL, each with whose it is.
async fn snapshots(account: &Account) -> Result<Vec<(Arc<str>, Snapshot)>, AwsError> {
    let clients = account.clients().await;
    let mut pages = clients.rds.describe_db_snapshots().max_records(PAGE).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = account.page(Action::DescribeDbSnapshots, pages.next()).await? {
        for snapshot in page.db_snapshots() {
            let ours = snapshot.engine().is_none_or(|engine| engine.contains("postgres"));
            let Some(of) = snapshot.db_instance_identifier().filter(|_| ours) else { continue };
            found.push((
                Arc::from(of),
                Snapshot {
                    identifier: foreign(snapshot.db_snapshot_identifier()),
                    kind: foreign(snapshot.snapshot_type()),
                    status: foreign(snapshot.status()),
                    at: moment_of(snapshot.snapshot_create_time()),
                    gib: count(snapshot.allocated_storage()),
                    encrypted: snapshot.encrypted(),
                    shared_with: None,
                },
            ));
        }
    }
    Ok(found)
}

fn can_be_shared(snapshot: &Snapshot) -> bool {
    matches!(snapshot.kind.raw(), "manual" | "public" | "shared")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watched_ones_come_first_and_others_are_not_forgotten() {
        let names: Vec<String> = (0..600).map(|number| format!("s{number}")).collect();
        let mut manual: Vec<(bool, &str)> = names.iter().map(|name| (name.len() < 4, name.as_str())).collect();
        let book = Book::default();
        let due = book.due(&manual);
        assert_eq!(due.len(), AT_ONCE);
        assert!(due[..100].iter().all(|name| name.len() < 4), "a hundred are watched");
        for (watched, _) in &mut manual {
            *watched = true;
        }
        manual.push((false, "stranger"));
        assert!(book.due(&manual).contains(&"stranger"));
    }
}
