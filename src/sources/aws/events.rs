//! Source `events`: `DescribeEvents` of all instances of the account, of the last day.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_rds::types::SourceType;

use super::rds::PAGE;
use super::{ByInstance, foreign, moment_of};
use crate::clients::aws::{Account, Action, AwsError};
use crate::domain::Foreign;
use crate::domain::facts::cloud::{Event, Events};

/// How far back, in minutes: RDS keeps two weeks.
const BACK: i32 = 24 * 60;

/// The most of one instance that are kept: one that is restarted in a loop has thousands.
const MOST: usize = 200;

/// Asks; the newest first.
pub async fn ask(account: &Account) -> Result<ByInstance<Events>, AwsError> {
    let clients = account.clients().await;
    let question = clients.rds.describe_events().source_type(SourceType::DbInstance).duration(BACK);
    let mut pages = question.max_records(PAGE).into_paginator().send();
    let mut found: ByInstance<Events> = HashMap::new();
    while let Some(page) = account.page(Action::DescribeEvents, pages.next()).await? {
        for event in page.events() {
            let (Some(of), Some(at)) = (event.source_identifier(), moment_of(event.date())) else { continue };
            let categories = event.event_categories().iter().map(|it| Foreign::from(it.as_str())).collect();
            let event = Event { at, message: foreign(event.message()), categories };
            found.entry(Arc::from(of)).or_default().events.push(event);
        }
    }
    for events in found.values_mut() {
        events.events.sort_by_key(|event| std::cmp::Reverse(event.at));
        events.events.truncate(MOST);
    }
    Ok(found)
}
