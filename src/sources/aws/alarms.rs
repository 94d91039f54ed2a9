//! Source `alarms`: CloudWatch's alarms whose dimension is an instance. An account may have ten thousand that are of something else.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_sdk_cloudwatch::operation::describe_alarms::builders::DescribeAlarmsFluentBuilder;
use aws_sdk_cloudwatch::types::{AlarmType, Metric as CloudWatchMetric, MetricAlarm, StateValue};

use super::{ByInstance, DIMENSION, foreign, moment_of, some};
use crate::clients::aws::{Account, Action, AwsError};
use crate::domain::facts::cloud::{Alarm, AlarmState, Alarms};

/// What an answer holds.
const PAGE: i32 = 100;

/// The most answers of one look.
const PAGES: usize = 50;

/// Accounts with more alarms than these answers hold have all of them read more rarely: CloudWatch allows nine such calls a second to
/// everybody in the account together.
const FEW: usize = 3;

/// Each alarm by its name, and of which instances it is.
type ByName = BTreeMap<String, (Vec<Arc<str>>, Alarm)>;

/// What is remembered of one round to the next.
#[derive(Debug, Default)]
pub struct Book {
    known: ByName,
    /// Rounds in which only those that are in alarm are read.
    spare: usize,
    cut: Option<String>,
}

/// What came of a round.
#[derive(Debug, Default)]
pub struct Answer {
    /// Alarms, by name.
    pub found: ByInstance<Alarms>,
    /// That there are more than are read.
    pub cut: Option<String>,
}

impl Book {
    /// Asks. Where there are very many, only those in alarm, and those that were, are asked for in most rounds.
    pub async fn ask(&mut self, account: &Account) -> Result<Answer, AwsError> {
        if self.spare == 0 {
            let (all, pages, more) = read(account, |question| question).await?;
            self.cut = more.then(|| {
                let most = PAGES * PAGE as usize;
                format!("CloudWatch has more than {most} alarms in this account: no others are read, unless they are in alarm")
            });
            (self.known, self.spare) = (all, pages / FEW);
        } else {
            let (ringing, _, _) = read(account, |question| question.state_value(StateValue::Alarm)).await?;
            let rang = self.known.iter().filter(|(_, (_, alarm))| alarm.state == AlarmState::Alarm);
            let rang: Vec<String> =
                rang.map(|(name, _)| name.clone()).filter(|name| !ringing.contains_key(name)).collect();
            let mut calm = ByName::new();
            for names in rang.chunks(PAGE as usize) {
                calm.extend(read(account, |it| it.set_alarm_names(Some(names.to_vec()))).await?.0);
            }
            for name in rang {
                self.known.remove(&name);
            }
            self.known.extend(calm);
            self.known.extend(ringing);
            self.spare -= 1;
        }
        let mut found: ByInstance<Alarms> = HashMap::new();
        for (instances, alarm) in self.known.values() {
            for of in instances {
                found.entry(Arc::clone(of)).or_default().alarms.push(alarm.clone());
            }
        }
        Ok(Answer { found, cut: self.cut.clone() })
    }
}

/// Some of the account's alarms; how many answers that took, and whether there are more.
async fn read(
    account: &Account,
    which: impl Fn(DescribeAlarmsFluentBuilder) -> DescribeAlarmsFluentBuilder,
) -> Result<(ByName, usize, bool), AwsError> {
    let clients = account.clients().await;
    let question = clients.cloudwatch.describe_alarms().alarm_types(AlarmType::MetricAlarm).max_records(PAGE);
    let mut pages = which(question).into_paginator().send();
    let (mut found, mut read) = (ByName::new(), 0);
    while let Some(page) = account.page(Action::DescribeAlarms, pages.next()).await? {
        for alarm in page.metric_alarms() {
            let of: Vec<Arc<str>> = instances(alarm).into_iter().map(Arc::from).collect();
            if !of.is_empty() {
                found.insert(alarm.alarm_name().unwrap_or_default().to_owned(), (of, told(alarm)));
            }
        }
        read += 1;
        if read >= PAGES && page.next_token().is_some() {
            return Ok((found, read, true));
        }
    }
    Ok((found, read, false))
}

/// The instances that an alarm watches: by its dimensions, or by those of the metrics that it computes with.
fn instances(alarm: &MetricAlarm) -> Vec<&str> {
    let own = alarm.dimensions().iter();
    let computed = alarm.metrics().iter().filter_map(|query| query.metric_stat()?.metric());
    let dimensions = own.chain(computed.flat_map(CloudWatchMetric::dimensions));
    let mut instances: Vec<&str> =
        dimensions.filter(|it| it.name() == Some(DIMENSION)).filter_map(|it| it.value()).collect();
    instances.sort_unstable();
    instances.dedup();
    instances
}

fn told(alarm: &MetricAlarm) -> Alarm {
    Alarm {
        name: foreign(alarm.alarm_name()),
        state: match alarm.state_value() {
            Some(StateValue::Alarm) => AlarmState::Alarm,
            Some(StateValue::Ok) => AlarmState::Ok,
            _ => AlarmState::InsufficientData,
        },
        reason: foreign(alarm.state_reason()),
        metric: some(alarm.metric_name()),
        since: moment_of(alarm.state_transitioned_timestamp()).or_else(|| moment_of(alarm.state_updated_timestamp())),
    }
}
