//! Source `cloudwatch`: figures of all instances of an account, five hundred a call, each asked only for what it can have.
//!
//! Cost: $0.01 for each thousand metrics asked, however many datapoints come back: [`Pace`] keeps to a ceiling.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_cloudwatch::types::{Dimension, Metric as CloudWatchMetric, MetricDataQuery, MetricStat, ScanBy};
use jiff::{SignedDuration, Timestamp};

use super::{ByInstance, DIMENSION, NAMESPACE, asked, moment};
use crate::clients::aws::{Account, Action, AwsError};
use crate::domain::facts::cloud::{Datapoint, KEPT, Metric, Metrics, Rds};

/// Questions in one call: CloudWatch allows no more.
pub const AT_ONCE: usize = 500;

/// CloudWatch's finest grain for RDS, in seconds.
const PERIOD: i32 = 60;

/// What a thousand metrics cost, in dollars.
const THOUSAND: f64 = 0.01;

/// What it costs to ask for so many.
pub fn dollars(metrics: usize) -> f64 {
    metrics as f64 / 1_000.0 * THOUSAND
}

/// How far back the next question reaches at least: datapoints come late.
pub const OVERLAP: SignedDuration = SignedDuration::from_mins(10);

/// What an incident is judged by, before all else.
const FAST: [Metric; 9] = [
    Metric::DatabaseConnections,
    Metric::CpuUtilization,
    Metric::FreeableMemory,
    Metric::FreeStorageSpace,
    Metric::ReadLatency,
    Metric::WriteLatency,
    Metric::ReadIops,
    Metric::WriteIops,
    Metric::DbLoad,
];

/// The most rounds that a slow metric is left out of, for the sake of fast ones.
const RARELY: u32 = 15;

/// How much more rarely slow ones are asked once fast ones are slowed down as well.
const BOTH: u32 = 5;

/// Whether it is one of those that are asked first.
pub fn is_fast(metric: Metric) -> bool {
    FAST.contains(&metric)
}

/// The metrics that an instance can have; where RDS does not describe it, those that every instance has.
pub fn which(rds: Option<&Rds>) -> Vec<Metric> {
    Metric::ALL.iter().copied().filter(|metric| has(rds, *metric)).collect()
}

fn has(rds: Option<&Rds>, metric: Metric) -> bool {
    match metric {
        Metric::ReplicaLag => rds.is_some_and(|rds| rds.replica_of.is_some()),
        Metric::BurstBalance => rds.is_some_and(|rds| &*rds.storage.kind == "gp2"),
        Metric::CpuCreditBalance => rds.is_some_and(Rds::is_burstable),
        Metric::EbsIoBalance | Metric::EbsByteBalance => rds.is_some_and(|rds| bursts(rds.class.raw())),
        Metric::DbLoad | Metric::DbLoadCpu | Metric::DbLoadNonCpu => rds.is_none_or(|rds| rds.insights != Some(false)),
        _ => true,
    }
}

/// Whether a class has more I/O for half an hour than for good: the smaller sizes of each family.
fn bursts(class: &str) -> bool {
    let size = class.rsplit('.').next().unwrap_or_default();
    matches!(size, "micro" | "small" | "medium" | "large" | "xlarge" | "2xlarge" | "4xlarge")
}

/// One figure that is wanted: of which instance.
pub type Wanted = (Arc<str>, Metric);

/// What came of one round.
#[derive(Debug, Default)]
pub struct Answer {
    /// Figures; what was asked for and has none is there and empty.
    pub metrics: ByInstance<Metrics>,
    /// Why some are missing: the calls that failed, if not all did.
    pub failed: Option<AwsError>,
}

/// Asks for all of them in as few calls as five hundred each allow. One call that fails takes only its own figures along; an
/// error when all did.
pub async fn ask(account: &Account, wanted: &[Wanted], from: Timestamp, to: Timestamp) -> Result<Answer, AwsError> {
    let mut answer = Answer::default();
    let (mut good, mut failed) = (0, None);
    for some in wanted.chunks(AT_ONCE) {
        match call(account, some, from, to).await {
            Ok(metrics) => {
                good += 1;
                for (of, metrics) in metrics {
                    answer.metrics.entry(of).or_default().series.extend(metrics.series);
                }
            }
            // Everything else will fail alike.
            Err(error) if error.is_about_credentials() || error.is_denied() => return Err(error),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) if good == 0 => Err(error),
        failed => Ok(Answer { failed, ..answer }),
    }
}

async fn call(
    account: &Account,
    wanted: &[Wanted],
    from: Timestamp,
    to: Timestamp,
) -> Result<ByInstance<Metrics>, AwsError> {
    let clients = account.clients().await;
    let queries = wanted.iter().enumerate().map(|(place, wanted)| query(place, wanted, PERIOD)).collect();
    let question = clients
        .cloudwatch
        .get_metric_data()
        .set_metric_data_queries(Some(queries))
        .start_time(asked(from))
        .end_time(asked(to))
        .scan_by(ScanBy::TimestampAscending);
    let mut pages = question.into_paginator().send();
    let mut found: ByInstance<Metrics> = HashMap::new();
    for (of, metric) in wanted {
        found.entry(Arc::clone(of)).or_default().series.entry(*metric).or_default();
    }
    while let Some(page) = account.page(Action::GetMetricData, pages.next()).await? {
        for result in page.metric_data_results() {
            let place = result.id().and_then(|id| id.strip_prefix('m')?.parse::<usize>().ok());
            let Some((of, metric)) = place.and_then(|place| wanted.get(place)) else { continue };
            let points = result.timestamps().iter().zip(result.values());
            let points = points.filter_map(|(at, value)| Some(Datapoint { at: moment(at)?, value: *value }));
            // One figure may come over several pages; late and double datapoints find their place.
            let more = Metrics { series: BTreeMap::from([(*metric, points.collect())]) };
            found.entry(Arc::clone(of)).or_default().take(more);
        }
    }
    Ok(found)
}

/// One figure, a datapoint each so many seconds.
pub(super) fn query(place: usize, (of, metric): &Wanted, period: i32) -> MetricDataQuery {
    let dimension = Dimension::builder().name(DIMENSION).value(&**of).build();
    let metric_of =
        CloudWatchMetric::builder().namespace(NAMESPACE).metric_name(metric.name()).dimensions(dimension).build();
    let stat = MetricStat::builder().metric(metric_of).period(period).stat(metric.statistic()).build();
    MetricDataQuery::builder().id(format!("m{place}")).metric_stat(stat).return_data(true).build()
}

/// How far back to ask: the first time what small charts need, later what may have come since, and late.
pub fn since(now: Timestamp, last: Option<Timestamp>) -> Timestamp {
    let whole = now.checked_sub(KEPT).unwrap_or(now);
    let from = match last {
        Some(last) => last.checked_sub(OVERLAP).unwrap_or(last).max(whole),
        None => whole,
    };
    // Whole minutes: CloudWatch rounds, and counts what begins inside.
    Timestamp::from_second(from.as_second().div_euclid(60) * 60).unwrap_or(from)
}

/// How often metrics are asked so that they stay below a ceiling: in which rounds fast ones are, and in which of those slow ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Fast ones are asked each so many rounds.
    pub fast: u32,
    /// Slow ones each so many of those.
    pub slow: u32,
}

impl Pace {
    /// For so many fast and slow metrics, a round each `period`; `None`: the ceiling allows nothing.
    pub fn within(dollars: f64, period: Duration, fast: usize, slow: usize) -> Option<Self> {
        let (fast, slow) = (fast as f64, slow as f64);
        let allowed = dollars / THOUSAND * 1_000.0 * period.as_secs_f64() / 3_600.0;
        if allowed <= 0.0 {
            return None;
        }
        if fast + slow <= allowed {
            return Some(Self { fast: 1, slow: 1 });
        }
        let rarely = (slow / (allowed - fast)).ceil();
        if allowed > fast && rarely <= f64::from(RARELY) {
            return Some(Self { fast: 1, slow: rarely.max(1.0) as u32 });
        }
        let both = ((fast + slow / f64::from(BOTH)) / allowed).ceil();
        Some(Self { fast: both.max(1.0) as u32, slow: BOTH })
    }

    /// What that costs an hour.
    pub fn dollars_an_hour(self, period: Duration, fast: usize, slow: usize) -> f64 {
        let rounds = 3_600.0 / period.as_secs_f64().max(1.0) / f64::from(self.fast);
        rounds * (fast as f64 + slow as f64 / f64::from(self.slow)) / 1_000.0 * THOUSAND
    }

    /// Whether this round asks for fast ones, and for slow ones as well.
    pub fn due(self, round: u64) -> (bool, bool) {
        let fast = round.is_multiple_of(u64::from(self.fast));
        (fast, fast && (round / u64::from(self.fast)).is_multiple_of(u64::from(self.slow)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Foreign;
    use crate::domain::facts::cloud::Storage;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn an_instance_is_asked_for_what_it_can_have() {
        let rds = |class: &str, kind: &str| Rds {
            class: Foreign::from(class),
            storage: Storage { kind: kind.into(), ..Storage::default() },
            insights: Some(false),
            ..Rds::default()
        };
        let plain = which(Some(&rds("db.r6g.8xlarge", "gp3")));
        assert_eq!(plain.len(), 13, "{plain:?}");
        assert!(plain.contains(&Metric::CpuUtilization) && !plain.contains(&Metric::BurstBalance));
        let small = which(Some(&rds("db.t4g.medium", "gp2")));
        let more = [Metric::BurstBalance, Metric::EbsIoBalance, Metric::EbsByteBalance, Metric::CpuCreditBalance];
        assert!(more.iter().all(|metric| small.contains(metric)) && small.len() == 17);
        let replica = Rds { replica_of: Some(Foreign::from("x")), insights: Some(true), ..rds("db.m5.large", "gp3") };
        assert!(which(Some(&replica)).contains(&Metric::ReplicaLag) && which(Some(&replica)).contains(&Metric::DbLoad));
        // Not described: what needs a certain kind of instance is not guessed at.
        assert!(!which(None).contains(&Metric::CpuCreditBalance) && which(None).contains(&Metric::DbLoad));
    }

    #[test]
    fn the_ceiling_is_kept_and_slow_ones_wait_first() {
        // One instance costs next to nothing.
        assert_eq!(Pace::within(0.5, MINUTE, 9, 12), Some(Pace { fast: 1, slow: 1 }));
        for (fast, slow) in [(9, 12), (900, 1_200), (360, 480), (4_500, 6_000), (90_000, 1), (1, 90_000)] {
            for dollars in [0.01, 0.5, 5.0] {
                let pace = Pace::within(dollars, MINUTE, fast, slow).unwrap();
                let cost = pace.dollars_an_hour(MINUTE, fast, slow);
                assert!(cost <= dollars + 1e-9, "{fast}+{slow} at {dollars}: {pace:?} costs {cost}");
            }
        }
        assert_eq!(Pace::within(0.5, MINUTE, 360, 960), Some(Pace { fast: 1, slow: 3 }));
        assert_eq!(Pace::within(0.0, MINUTE, 9, 12), None);
        // 500 instances with 18 metrics each, each minute: what DOMAIN says it costs.
        let whole = Pace { fast: 1, slow: 1 }.dollars_an_hour(MINUTE, 500 * 9, 500 * 9);
        assert!((whole - 5.4).abs() < 1e-9);
    }

    #[test]
    fn rounds_follow_the_pace() {
        let pace = Pace { fast: 2, slow: 3 };
        let due: Vec<(bool, bool)> = (0..7).map(|round| pace.due(round)).collect();
        let (no, fast, both) = ((false, false), (true, false), (true, true));
        assert_eq!(due, [both, no, fast, no, fast, no, both]);
    }

    #[test]
    fn the_first_question_reaches_back_three_hours_and_later_ones_ten_minutes_before_the_last() {
        let now = Timestamp::from_second(1_000_000_020).unwrap();
        assert_eq!(since(now, None).as_second(), 999_989_220 / 60 * 60);
        let last = Timestamp::from_second(999_999_960).unwrap();
        assert_eq!(since(now, Some(last)).as_second(), 999_999_360);
        // Away for a day: what is kept and no more.
        assert_eq!(since(now, Some(Timestamp::UNIX_EPOCH)), since(now, None));
    }
}
