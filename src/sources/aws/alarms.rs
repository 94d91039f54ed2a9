//! Source `alarms`: CloudWatch's alarms whose dimension is an instance.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_cloudwatch::types::{AlarmType, MetricAlarm, StateValue};

use super::{ByInstance, DIMENSION, foreign, moment_of, some};
use crate::clients::aws::{Account, Action, AwsError};
use crate::domain::facts::cloud::{Alarm, AlarmState, Alarms};

/// Asks; by name.
pub async fn ask(account: &Account) -> Result<ByInstance<Alarms>, AwsError> {
    let clients = account.clients().await;
    let question = clients.cloudwatch.describe_alarms().alarm_types(AlarmType::MetricAlarm).max_records(100);
    let mut pages = question.into_paginator().send();
    let mut found: ByInstance<Alarms> = HashMap::new();
    while let Some(page) = account.page(Action::DescribeAlarms, pages.next()).await? {
        for alarm in page.metric_alarms() {
            for of in instances(alarm) {
                found.entry(Arc::from(of)).or_default().alarms.push(read(alarm));
            }
        }
    }
    for alarms in found.values_mut() {
        alarms.alarms.sort_by(|a, b| a.name.raw().cmp(b.name.raw()));
    }
    Ok(found)
}

/// The instances that an alarm watches: by its dimensions, or by those of the metrics that it computes with.
fn instances(alarm: &MetricAlarm) -> Vec<&str> {
    let own = alarm.dimensions().iter();
    let computed = alarm.metrics().iter().filter_map(|query| query.metric_stat()?.metric());
    let dimensions = own.chain(computed.flat_map(|metric| metric.dimensions()));
    let mut instances: Vec<&str> =
        dimensions.filter(|it| it.name() == Some(DIMENSION)).filter_map(|it| it.value()).collect();
    instances.sort_unstable();
    instances.dedup();
    instances
}

fn read(alarm: &MetricAlarm) -> Alarm {
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
