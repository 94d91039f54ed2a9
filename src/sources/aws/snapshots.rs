//! Source `snapshots`: all of the account; of manual ones also who each is shared with, a call each, remembered for a while:
//! only manual snapshots can be shared, and there may be many.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::rds::PAGE;
use super::{ByInstance, count, foreign, moment_of};
use crate::clients::aws::{Account, Action, AwsError};
use crate::domain::Foreign;
use crate::domain::facts::cloud::{Snapshot, Snapshots};

/// How long what is known of one is believed: sharing with everybody is to be noticed, and is rare.
const BELIEVED: Duration = Duration::from_secs(900);

/// The most that are asked for in one go: RDS throttles who asks for thousands.
const AT_ONCE: usize = 100;

/// Attribute `restore`: who may.
const RESTORE: &str = "restore";

/// Who snapshots are shared with, as far as it was asked.
#[derive(Debug, Default)]
pub struct Book {
    known: HashMap<String, (Instant, Vec<Foreign>)>,
}

impl Book {
    /// Asks; the newest first. Where the attributes are refused, only they are missing.
    pub async fn ask(&mut self, account: &Account) -> Result<ByInstance<Snapshots>, AwsError> {
        let clients = account.clients().await;
        let mut pages = clients.rds.describe_db_snapshots().max_records(PAGE).into_paginator().send();
        let mut found: Vec<(Arc<str>, Snapshot)> = Vec::new();
        while let Some(page) = account.page(Action::DescribeDbSnapshots, pages.next()).await? {
            for snapshot in page.db_snapshots() {
                let Some(of) = snapshot.db_instance_identifier() else { continue };
                found.push((
                    Arc::from(of),
                    Snapshot {
                        identifier: foreign(snapshot.db_snapshot_identifier()),
                        kind: foreign(snapshot.snapshot_type()),
                        status: foreign(snapshot.status()),
                        at: moment_of(snapshot.snapshot_create_time()),
                        gib: count(snapshot.allocated_storage()),
                        encrypted: snapshot.encrypted().unwrap_or_default(),
                        shared_with: None,
                    },
                ));
            }
        }
        let manual: Vec<&str> =
            found.iter().filter(|(_, it)| can_be_shared(it)).map(|(_, it)| it.identifier.raw()).collect();
        let refused = self.look(account, &manual).await;
        let mut by_instance: ByInstance<Snapshots> = HashMap::new();
        for (of, mut snapshot) in found {
            snapshot.shared_with = if can_be_shared(&snapshot) {
                self.known.get(snapshot.identifier.raw()).map(|(_, accounts)| accounts.clone())
            } else {
                // RDS's own and AWS Backup's cannot be.
                Some(Vec::new())
            };
            let of = by_instance.entry(of).or_default();
            if snapshot.shared_with.is_none() {
                of.unknown = refused.clone().or_else(|| Some(Arc::from("not asked yet: there are many")));
            }
            of.snapshots.push(snapshot);
        }
        for of in by_instance.values_mut() {
            of.snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.at));
        }
        Ok(by_instance)
    }

    /// Asks for the attributes of those that were asked longest ago; says why not.
    async fn look(&mut self, account: &Account, manual: &[&str]) -> Option<Arc<str>> {
        let here: HashSet<&str> = manual.iter().copied().collect();
        self.known.retain(|identifier, _| here.contains(identifier.as_str()));
        let mut due: Vec<&str> = manual
            .iter()
            .copied()
            .filter(|it| self.known.get(*it).is_none_or(|(at, _)| at.elapsed() >= BELIEVED))
            .collect();
        due.sort_by_key(|it| self.known.get(*it).map(|(at, _)| *at));
        let clients = account.clients().await;
        for identifier in due.into_iter().take(AT_ONCE) {
            let question = clients.rds.describe_db_snapshot_attributes().db_snapshot_identifier(identifier).send();
            match account.ask(Action::DescribeDbSnapshotAttributes, question).await {
                Ok(answer) => {
                    let attributes = answer.db_snapshot_attributes_result();
                    let attributes = attributes.map(|it| it.db_snapshot_attributes()).unwrap_or_default().iter();
                    let restore = attributes.filter(|attribute| attribute.attribute_name() == Some(RESTORE));
                    let accounts = restore.flat_map(|attribute| attribute.attribute_values());
                    let accounts = accounts.map(|account| Foreign::from(account.as_str())).collect();
                    self.known.insert(identifier.to_owned(), (Instant::now(), accounts));
                }
                // Deleted meanwhile.
                Err(error) if matches!(error.fault, crate::clients::aws::Fault::Gone(_)) => {}
                Err(error) => {
                    // What is refused now is not known any more: somebody may just be sharing.
                    self.known.remove(identifier);
                    return Some(Arc::from(error.to_string()));
                }
            }
        }
        None
    }
}

fn can_be_shared(snapshot: &Snapshot) -> bool {
    matches!(snapshot.kind.raw(), "manual" | "public" | "shared")
}
