//! All other questions to AWS: each source a task of its own.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Seat, Seats, Voice, again};
use crate::clients::aws::{Account, AwsError};
use crate::domain::facts::Source;
use crate::domain::facts::cloud::{AccountNews, CloudFragment, Parameters};
use crate::domain::observed::Trouble;
use crate::sources::aws::cloudwatch::{self, Pace, Wanted};
use crate::sources::aws::snapshots::Book;
use crate::sources::aws::{ByInstance, alarms, backup, events, parameters};

/// See the module.
pub(super) struct SourceLane {
    source: Source,
    voice: Voice,
    seats: watch::Receiver<Seats>,
    dollars: f64,
    snapshots: Book,
    figures: Figures,
}

/// What is remembered of figures.
#[derive(Default)]
struct Figures {
    round: u64,
    /// Until when each instance's fast and slow ones were asked.
    until: HashMap<(Arc<str>, bool), Timestamp>,
    /// What it costs an hour, as it was told.
    told: Option<f64>,
}

/// What a source has to say to the instance of each place.
type Dealt = Vec<(usize, Result<CloudFragment, Trouble>)>;

impl SourceLane {
    pub fn new(source: Source, voice: Voice, seats: watch::Receiver<Seats>, dollars: f64) -> Self {
        let (snapshots, figures) = (Book::default(), Figures::default());
        Self { source, voice, seats, dollars, snapshots, figures }
    }

    /// Asks until nobody listens any more.
    pub async fn run(mut self) {
        let mut failures = 0;
        loop {
            // Nobody there yet, or nobody any more: then nothing is asked.
            let waited = self.seats.wait_for(|seats| seats.as_ref().is_some_and(|seats| !seats.is_empty())).await;
            let Ok(seats) = waited.map(|seats| seats.clone().unwrap_or_default()) else { return };
            let (began, period) = (Instant::now(), self.voice.every(self.source));
            let mut every = period;
            let answer = match self.source {
                Source::Metrics => self.metrics(&seats, &mut every).await,
                _ => self.ask(&seats).await,
            };
            match answer {
                Ok(dealt) => {
                    failures = 0;
                    for (place, answer) in dealt {
                        match answer {
                            Ok(fragment) => self.voice.delivered(place, fragment, every).await,
                            Err(trouble) => self.voice.failed(place, self.source, trouble, every).await,
                        }
                    }
                }
                Err(trouble) => {
                    failures += 1;
                    for seat in seats.iter() {
                        self.voice.failed(seat.place, self.source, trouble.clone(), every).await;
                    }
                }
            }
            if !self.voice.until(began + again(period, failures)).await {
                return;
            }
        }
    }

    async fn ask(&mut self, seats: &[Seat]) -> Result<Dealt, Trouble> {
        let account = &self.voice.account;
        let said = |error: AwsError| error.trouble();
        Ok(match self.source {
            Source::Alarms => deal(seats, alarms::ask(account).await.map_err(said)?, CloudFragment::Alarms),
            Source::Events => deal(seats, events::ask(account).await.map_err(said)?, CloudFragment::Events),
            Source::Snapshots => {
                deal(seats, self.snapshots.ask(account).await.map_err(said)?, CloudFragment::Snapshots)
            }
            Source::Backups => {
                let answer = backup::ask(account, Timestamp::now()).await.map_err(said)?;
                let of = |seat: &Seat| {
                    let rds = seat.rds.as_ref().ok_or_else(undescribed)?;
                    Ok(CloudFragment::Backups(answer.of(rds.arn.raw(), &rds.tags)))
                };
                seats.iter().map(|seat| (seat.place, of(seat))).collect()
            }
            Source::Parameters => by_group(account, seats).await,
            other => return Err(Trouble::new(format!("{} is not asked here", other.name()))),
        })
    }

    /// A round of figures. Of the rounds as the clock has them some are left out, so that they stay below their ceiling.
    async fn metrics(&mut self, seats: &[Seat], every: &mut Duration) -> Result<Dealt, Trouble> {
        let period = *every;
        let wanted: Vec<Wanted> = seats
            .iter()
            .flat_map(|seat| {
                let identifier = Arc::clone(&seat.identifier);
                let metrics = cloudwatch::which(seat.rds.as_deref());
                metrics.into_iter().map(move |metric| (Arc::clone(&identifier), metric))
            })
            .collect();
        let fast = wanted.iter().filter(|(_, metric)| cloudwatch::is_fast(*metric)).count();
        let slow = wanted.len() - fast;
        // What charts took of the ceiling in the last hour is not there for rounds.
        let charts = cloudwatch::dollars(self.voice.account.charted());
        let Some(pace) = Pace::within(self.dollars - charts, period, fast, slow) else {
            return Err(Trouble::new(format!(
                "CloudWatch is not asked: aws.{}.max_usd_per_hour allows nothing",
                self.voice.account.place().name
            )));
        };
        *every = period.saturating_mul(pace.fast);
        let dollars = pace.dollars_an_hour(period, fast, slow) + charts;
        if self.figures.told.replace(dollars) != Some(dollars) {
            self.voice.of_account(AccountNews::Costs(dollars)).await;
        }
        let (fast, slow) = pace.due(self.figures.round);
        self.figures.round += 1;
        let known = |of: &Arc<str>, fast| self.figures.until.contains_key(&(Arc::clone(of), fast));
        // Who came meanwhile is asked at once.
        let due = |(of, metric): &Wanted| {
            let is_fast = cloudwatch::is_fast(*metric);
            (if is_fast { fast } else { slow }) || !known(of, is_fast)
        };
        let due: Vec<Wanted> = wanted.into_iter().filter(due).collect();
        let now = Timestamp::now();
        let mut dealt: ByInstance<Result<CloudFragment, Trouble>> = HashMap::new();
        let mut failed = None;
        let mut any = due.is_empty();
        for (from, some) in self.by_beginning(due, now) {
            match cloudwatch::ask(&self.voice.account, &some, from, now).await {
                Ok(answer) => {
                    any = true;
                    failed = answer.failed.map(|error| error.trouble()).or(failed);
                    for (of, metrics) in answer.metrics {
                        for metric in metrics.series.keys() {
                            self.figures.until.insert((Arc::clone(&of), cloudwatch::is_fast(*metric)), now);
                        }
                        dealt.insert(of, Ok(CloudFragment::Metrics(metrics)));
                    }
                }
                Err(error) => {
                    let trouble = error.trouble();
                    for (of, _) in some {
                        dealt.entry(of).or_insert_with(|| Err(trouble.clone()));
                    }
                    failed = Some(trouble);
                }
            }
        }
        self.figures.until.retain(|(of, _), _| seats.iter().any(|seat| seat.identifier == *of));
        match failed {
            Some(trouble) if !any => Err(trouble),
            _ => Ok(seats.iter().filter_map(|seat| Some((seat.place, dealt.remove(&seat.identifier)?))).collect()),
        }
    }

    /// What is asked from when: those of whom something is known together, so that they need as few calls as may be;
    /// datapoints that are told twice cost nothing.
    fn by_beginning(&self, due: Vec<Wanted>, now: Timestamp) -> BTreeMap<Timestamp, Vec<Wanted>> {
        let last =
            |(of, metric): &Wanted| self.figures.until.get(&(Arc::clone(of), cloudwatch::is_fast(*metric))).copied();
        let earliest = cloudwatch::since(now, due.iter().filter_map(last).min());
        let mut groups: BTreeMap<Timestamp, Vec<Wanted>> = BTreeMap::new();
        for wanted in due {
            let from = if last(&wanted).is_some() { earliest } else { cloudwatch::since(now, None) };
            groups.entry(from).or_default().push(wanted);
        }
        groups
    }
}

/// Of whom nothing was said there is nothing.
fn deal<T: Default>(seats: &[Seat], mut facts: ByInstance<T>, wrap: fn(T) -> CloudFragment) -> Dealt {
    let mut of = |seat: &Seat| wrap(facts.remove(&seat.identifier).unwrap_or_default());
    seats.iter().map(|seat| (seat.place, Ok(of(seat)))).collect()
}

/// Each parameter group once. One that is refused is missing where it is used, and nowhere else.
async fn by_group(account: &Account, seats: &[Seat]) -> Dealt {
    let mut groups: HashMap<&str, Result<Parameters, Trouble>> = HashMap::new();
    for seat in seats {
        for (name, _) in seat.rds.iter().flat_map(|rds| &rds.parameter_groups) {
            if !groups.contains_key(name.raw()) {
                let answer = parameters::group(account, name.raw()).await;
                groups.insert(name.raw(), answer.map_err(|error| error.trouble()));
            }
        }
    }
    let of = |seat: &Seat| {
        let rds = seat.rds.as_ref().ok_or_else(undescribed)?;
        let mut all = Parameters::default();
        for (name, _) in &rds.parameter_groups {
            match groups.get(name.raw()) {
                Some(Ok(parameters)) => all.values.extend(parameters.values.clone()),
                Some(Err(trouble)) => return Err(trouble.clone()),
                None => {}
            }
        }
        Ok(CloudFragment::Parameters(all))
    };
    seats.iter().map(|seat| (seat.place, of(seat))).collect()
}

fn undescribed() -> Trouble {
    Trouble::new("RDS does not describe this instance: what else it has is not known")
}
