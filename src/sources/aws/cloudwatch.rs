//! Source `cloudwatch`: figures of all instances of an account, five hundred a call, each asked only for what it can have.
//!
//! Cost: $0.01 for each thousand metrics asked, however many datapoints come back: [`Pace`] keeps to a ceiling.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_cloudwatch::types::{
    Dimension, Metric as CloudWatchMetric, MetricDataQuery, MetricDataResult, MetricStat, ScanBy, StatusCode,
};
use jiff::{SignedDuration, Timestamp};

use super::{ByInstance, DIMENSION, NAMESPACE, asked, moment};
use crate::clients::aws::{Account, Action, AwsError, Fault};
use crate::domain::facts::cloud::{Datapoint, KEPT, Metric, Metrics, RARELY, Rds};
use crate::domain::foreign::sanitise;

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

/// Who was asked within the same of these has about as much to be told; beyond the last is whoever has everything to be told.
const STEPS: [SignedDuration; 4] = [
    SignedDuration::from_mins(20),
    SignedDuration::from_mins(40),
    SignedDuration::from_mins(80),
    SignedDuration::from_mins(150),
];

/// How much more rarely slow ones are asked once fast ones are slowed down as well.
const BOTH: u32 = 5;

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
    /// Figures; what was asked for and has none is there and empty, what was not told is not there.
    pub metrics: ByInstance<Metrics>,
    /// What was not told, each with why: the calls that failed, and single figures that CloudWatch failed at.
    pub failed: Vec<(AwsError, Vec<Wanted>)>,
}

impl Answer {
    /// Whether a call failed, rather than single figures of one: then all are asked more rarely.
    pub fn is_pressed(&self) -> bool {
        self.failed.iter().any(|(error, _)| !matches!(error.fault, Fault::Other { .. }))
    }
}

/// Asks for all of them in as few calls as five hundred each allow. One call that fails takes only its own figures along; an
/// error when all did.
pub async fn ask(account: &Account, wanted: &[Wanted], from: Timestamp, to: Timestamp) -> Result<Answer, AwsError> {
    let mut answer = Answer::default();
    let (mut good, mut newest) = (0, None);
    for some in wanted.chunks(AT_ONCE) {
        match call(account, some, from, to, &mut answer).await {
            Ok(()) => good += 1,
            // Everything else will fail alike.
            Err(error) if error.is_about_credentials() || error.is_denied() => return Err(error),
            Err(error) => {
                answer.failed.push((error.clone(), some.to_vec()));
                newest = Some(error);
            }
        }
    }
    match newest {
        Some(error) if good == 0 => Err(error),
        _ => Ok(answer),
    }
}

async fn call(
    account: &Account,
    wanted: &[Wanted],
    from: Timestamp,
    to: Timestamp,
    answer: &mut Answer,
) -> Result<(), AwsError> {
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
    let mut told = Told::of(wanted);
    while let Some(page) = account.page(Action::GetMetricData, pages.next()).await? {
        for result in page.metric_data_results() {
            told.take(result, refused(account, result));
        }
    }
    told.deal(answer);
    Ok(())
}

/// What a call told of each figure that it asked for, by place.
struct Told<'a>(Vec<(&'a Wanted, Vec<Datapoint>, Option<AwsError>)>);

impl<'a> Told<'a> {
    fn of(wanted: &'a [Wanted]) -> Self {
        Self(wanted.iter().map(|wanted| (wanted, Vec::new(), None)).collect())
    }

    /// One figure may come over several pages.
    fn take(&mut self, result: &MetricDataResult, refused: Option<AwsError>) {
        let place = result.id().and_then(|id| id.strip_prefix('m')?.parse::<usize>().ok());
        let Some((_, points, failed)) = place.and_then(|place| self.0.get_mut(place)) else { return };
        let told = result.timestamps().iter().zip(result.values());
        points.extend(told.filter_map(|(at, value)| Some(Datapoint { at: moment(at)?, value: *value })));
        *failed = refused.or(failed.take());
    }

    fn deal(self, answer: &mut Answer) {
        for ((of, metric), points, failed) in self.0 {
            if let Some(error) = failed {
                // What it has of it may lack what comes next: it is asked again from where we know.
                answer.failed.push((error, vec![(Arc::clone(of), *metric)]));
                continue;
            }
            // Late and double datapoints find their place.
            let more = Metrics::of(BTreeMap::from([(*metric, points)]));
            answer.metrics.entry(Arc::clone(of)).or_default().take(more);
        }
    }
}

/// Why CloudWatch did not tell a figure that it was asked for, beside others that it told: no figure is not the same as none.
fn refused(account: &Account, result: &MetricDataResult) -> Option<AwsError> {
    let code = match result.status_code()? {
        StatusCode::InternalError => "InternalError",
        StatusCode::Forbidden => "Forbidden",
        _ => return None,
    };
    let words: Vec<&str> = result.messages().iter().filter_map(|message| message.value()).collect();
    let message =
        if words.is_empty() { "it is asked again".to_owned() } else { sanitise(&words.join("; ")).into_owned() };
    let fault = Fault::Other { code: code.to_owned(), message };
    Some(AwsError { place: account.place().clone(), action: Action::GetMetricData, fault })
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

/// What is asked from when: those of whom about as much is known together, so that they need as few calls as may be; datapoints that
/// are told twice cost nothing, but travel.
pub fn by_beginning(
    due: Vec<Wanted>,
    now: Timestamp,
    last: impl Fn(&Wanted) -> Option<Timestamp>,
) -> BTreeMap<Timestamp, Vec<Wanted>> {
    let mut steps: BTreeMap<usize, (Option<Timestamp>, Vec<Wanted>)> = BTreeMap::new();
    for wanted in due {
        let last = last(&wanted);
        let age = last.map(|last| now.duration_since(last));
        let step = STEPS.iter().position(|most| age.is_some_and(|age| age <= *most)).unwrap_or(STEPS.len());
        let (earliest, group) = steps.entry(step).or_insert_with(|| (last, Vec::new()));
        *earliest = (*earliest).min(last);
        group.push(wanted);
    }
    let mut groups: BTreeMap<Timestamp, Vec<Wanted>> = BTreeMap::new();
    for (earliest, group) in steps.into_values() {
        groups.entry(since(now, earliest)).or_default().extend(group);
    }
    groups
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
    fn a_figure_that_cloudwatch_failed_at_is_not_one_that_it_has_none_of() {
        let place = crate::clients::aws::Place {
            name: "main".into(),
            region: "eu-west-1".into(),
            profile: None,
            config_file: None,
            assume_role: None,
            endpoint_url: None,
        };
        let account = Account::new(place);
        let wanted: Vec<Wanted> =
            [Metric::CpuUtilization, Metric::ReadIops, Metric::SwapUsage].map(|it| ("a".into(), it)).to_vec();
        let at = aws_sdk_cloudwatch::primitives::DateTime::from_secs(60);
        let result =
            |id: &str, code| MetricDataResult::builder().id(id).status_code(code).timestamps(at).values(1.0).build();
        let mut told = Told::of(&wanted);
        // Over two pages, and the second is not whole.
        for result in [
            result("m0", StatusCode::PartialData),
            result("m0", StatusCode::InternalError),
            MetricDataResult::builder().id("m1").status_code(StatusCode::Complete).build(),
            result("m2", StatusCode::Complete),
            result("m99", StatusCode::Complete),
        ] {
            told.take(&result, refused(&account, &result));
        }
        let mut answer = Answer::default();
        told.deal(&mut answer);
        let series = &answer.metrics["a"].series;
        assert!(!series.contains_key(&Metric::CpuUtilization), "it is asked again from where it was known");
        assert!(series[&Metric::ReadIops].is_empty(), "asked for, and it has none");
        assert_eq!(series[&Metric::SwapUsage].len(), 1);
        let [(error, missing)] = &*answer.failed else { panic!("{:?}", answer.failed) };
        assert!(error.to_string().contains("InternalError") && missing[0].1 == Metric::CpuUtilization);
        assert!(!answer.is_pressed(), "one figure is no reason to ask all others more rarely");
    }

    #[test]
    fn who_was_not_heard_of_for_long_makes_nobody_else_ask_for_as_much() {
        let now = Timestamp::from_second(1_000_000_020).unwrap();
        let ago = |minutes: i64| now.checked_sub(SignedDuration::from_mins(minutes)).unwrap();
        let wanted: Vec<Wanted> = [Metric::CpuUtilization, Metric::ReadIops, Metric::WriteIops, Metric::SwapUsage]
            .map(|it| ("a".into(), it))
            .to_vec();
        let last = |(_, metric): &Wanted| match metric {
            Metric::CpuUtilization => Some(ago(1)),
            Metric::ReadIops => Some(ago(5)),
            Metric::WriteIops => Some(ago(100)),
            _ => None,
        };
        let groups = by_beginning(wanted, now, last);
        let told: Vec<_> =
            groups.iter().map(|(from, group)| (now.duration_since(*from).as_secs() / 60, group.len())).collect();
        assert_eq!(told, [(180, 1), (110, 1), (15, 2)]);
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
