//! Figures of one instance over longer than is kept of all: asked while somebody looks at its charts.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_cloudwatch::types::ScanBy;

use super::cloudwatch::{dollars, query};
use super::{asked, moment};
use crate::clients::aws::{Account, Action, AwsError};
use crate::domain::facts::cloud::{Datapoint, Metric, Metrics};
use crate::domain::watching::FigureInquiry;

/// The part of the ceiling that charts may take; the rest is for those who watch.
const PART: f64 = 0.5;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// AWS did not say.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// It would cost more than is allowed.
    #[error(
        "CloudWatch is not asked: charts took ${spent:.2} in the last hour, half of aws.{account}.max_usd_per_hour ({ceiling}); \
         raise it, or look again later"
    )]
    TooDear {
        /// `[aws.NAME]`
        account: String,
        /// What charts cost in the last hour.
        spent: f64,
        /// The ceiling, in dollars an hour.
        ceiling: f64,
    },
}

/// Asks for figures, if the ceiling (dollars an hour) allows that.
pub async fn ask(account: &Account, inquiry: &FigureInquiry, ceiling: f64) -> Result<Metrics, HistoryError> {
    let spent = dollars(account.charted());
    if spent + dollars(inquiry.metrics.len()) > ceiling * PART {
        let account = account.place().name.to_string();
        return Err(HistoryError::TooDear { account, spent, ceiling });
    }
    account.chart(inquiry.metrics.len());
    let period = i32::try_from(inquiry.back.period().as_secs()).unwrap_or(60);
    let wanted = |metric: &Metric| (Arc::clone(&inquiry.of.identifier), *metric);
    let queries = inquiry.metrics.iter().map(wanted).enumerate().map(|(place, wanted)| query(place, &wanted, period));
    let clients = account.clients().await;
    let from = inquiry.until.checked_sub(inquiry.back.span()).unwrap_or(inquiry.until);
    // Whole periods: then one chart after the other is about the same ones.
    let from = from.as_second().div_euclid(i64::from(period)) * i64::from(period);
    let question = clients
        .cloudwatch
        .get_metric_data()
        .set_metric_data_queries(Some(queries.collect()))
        .start_time(asked(jiff::Timestamp::from_second(from).unwrap_or(inquiry.until)))
        .end_time(asked(inquiry.until))
        .scan_by(ScanBy::TimestampAscending);
    let mut series: BTreeMap<Metric, Vec<Datapoint>> = inquiry.metrics.iter().map(|it| (*it, Vec::new())).collect();
    let mut pages = question.into_paginator().send();
    while let Some(page) = account.page(Action::GetMetricData, pages.next()).await? {
        for result in page.metric_data_results() {
            let place = result.id().and_then(|id| id.strip_prefix('m')?.parse::<usize>().ok());
            let Some(metric) = place.and_then(|place| inquiry.metrics.get(place)) else { continue };
            let points = result.timestamps().iter().zip(result.values());
            let points = points.filter_map(|(at, value)| Some(Datapoint { at: moment(at)?, value: *value }));
            series.entry(*metric).or_default().extend(points.filter(|point| point.value.is_finite()));
        }
    }
    for points in series.values_mut() {
        points.sort_by_key(|point| point.at);
        points.dedup_by_key(|point| point.at);
    }
    Ok(Metrics::of(series))
}
