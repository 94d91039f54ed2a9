//! All other questions to AWS: each source a task of its own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Seat, Seats, Voice, again};
use crate::clients::aws::{Account, AwsError};
use crate::domain::facts::Source;
use crate::domain::facts::cloud::{AccountNews, CloudFragment, Metrics, Parameters, Snapshot, Snapshots};
use crate::domain::observed::Trouble;
use crate::sources::aws::cloudwatch::{self, Pace, Wanted};
use crate::sources::aws::{ByInstance, alarms, backup, events, parameters, snapshots};

/// The most snapshots of nobody that are told of.
const STRAYS: usize = 200;

/// See the module.
pub(super) struct SourceLane {
    source: Source,
    voice: Voice,
    seats: watch::Receiver<Seats>,
    dollars: f64,
    snapshots: snapshots::Book,
    backups: backup::Book,
    alarms: alarms::Book,
    parameters: parameters::Book,
    figures: Figures,
}

/// What is remembered of figures.
#[derive(Default)]
struct Figures {
    round: u64,
    /// Until when each was asked and told; `None`: asked, and not told yet.
    until: HashMap<Wanted, Option<Timestamp>>,
    /// What it costs an hour, as it was told.
    told: Option<f64>,
}

/// What a source has to say to the instance of each place: facts, and what went wrong beside them.
type Dealt = Vec<(usize, Result<CloudFragment, Trouble>)>;

/// What came of a round.
#[derive(Default)]
struct Round {
    dealt: Dealt,
    /// Whether something failed that is no better if it is asked soon.
    pressed: bool,
}

impl From<Dealt> for Round {
    fn from(dealt: Dealt) -> Self {
        Self { dealt, pressed: false }
    }
}

impl SourceLane {
    pub fn new(source: Source, voice: Voice, seats: watch::Receiver<Seats>, dollars: f64) -> Self {
        let (snapshots, backups) = (snapshots::Book::default(), backup::Book::default());
        let (alarms, parameters, figures) = (alarms::Book::default(), parameters::Book::default(), Figures::default());
        Self { source, voice, seats, dollars, snapshots, backups, alarms, parameters, figures }
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
                Ok(Round { dealt, pressed }) => {
                    failures = if pressed { failures + 1 } else { 0 };
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

    async fn ask(&mut self, seats: &[Seat]) -> Result<Round, Trouble> {
        let account = &self.voice.account;
        let said = |error: AwsError| error.trouble();
        let dealt: Dealt = match self.source {
            Source::Alarms => {
                let answer = self.alarms.ask(account).await.map_err(said)?;
                let mut dealt = deal(seats, answer.found, CloudFragment::Alarms);
                if let Some(cut) = answer.cut {
                    // What is missing is said beside what there is.
                    dealt.extend(seats.iter().map(|seat| (seat.place, Err(Trouble::new(cut.clone())))));
                }
                dealt
            }
            Source::Events => deal(seats, events::ask(account).await.map_err(said)?, CloudFragment::Events),
            Source::Snapshots => {
                let here: HashSet<&str> = seats.iter().map(|seat| &*seat.identifier).collect();
                let mut found = self.snapshots.ask(account, |of| here.contains(of)).await.map_err(said)?;
                let strays = strays(found.extract_if(|of, _| !here.contains(&**of)));
                self.voice.of_account(AccountNews::Strays(strays)).await;
                deal(seats, found, CloudFragment::Snapshots)
            }
            Source::Backups => {
                let answer = Box::pin(self.backups.ask(account, Timestamp::now())).await.map_err(said)?;
                let of = |seat: &Seat| {
                    let rds = seat.rds.as_ref().ok_or_else(undescribed)?;
                    Ok(CloudFragment::Backups(answer.of(rds.arn.raw(), &rds.tags)))
                };
                seats.iter().map(|seat| (seat.place, of(seat))).collect()
            }
            Source::Parameters => return Ok(by_group(&mut self.parameters, account, seats).await),
            other => return Err(Trouble::new(format!("{} is not asked here", other.name()))),
        };
        Ok(dealt.into())
    }

    /// A round of figures. Of the rounds as the clock has them some are left out, so that they stay below their ceiling.
    async fn metrics(&mut self, seats: &[Seat], every: &mut Duration) -> Result<Round, Trouble> {
        let period = *every;
        let wanted: Vec<Wanted> = seats
            .iter()
            .flat_map(|seat| {
                let identifier = Arc::clone(&seat.identifier);
                let metrics = cloudwatch::which(seat.rds.as_deref());
                metrics.into_iter().map(move |metric| (Arc::clone(&identifier), metric))
            })
            .collect();
        let fast = wanted.iter().filter(|(_, metric)| metric.is_fast()).count();
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
        // Who came meanwhile is asked at once, and once: who is not told then waits for their turn, or the ceiling would be none.
        let due = |wanted: &Wanted| {
            let turn = if wanted.1.is_fast() { fast } else { slow };
            turn || !self.figures.until.contains_key(wanted)
        };
        let due: Vec<Wanted> = wanted.into_iter().filter(due).collect();
        let here: HashSet<&Arc<str>> = seats.iter().map(|seat| &seat.identifier).collect();
        self.figures.until.retain(|(of, _), _| here.contains(of));
        self.figures(seats, due, Timestamp::now()).await
    }

    /// Asks for these figures; each one that is not told leaves its instance a word of why, beside those that are.
    async fn figures(&mut self, seats: &[Seat], due: Vec<Wanted>, now: Timestamp) -> Result<Round, Trouble> {
        let until = &mut self.figures.until;
        let mut told: ByInstance<Metrics> = HashMap::new();
        let mut failed: ByInstance<Trouble> = HashMap::new();
        let (mut any, mut pressed, mut newest) = (due.is_empty(), false, None);
        for (from, some) in cloudwatch::by_beginning(due, now, |wanted| until.get(wanted).copied().flatten()) {
            for wanted in &some {
                until.entry(wanted.clone()).or_insert(None);
            }
            match cloudwatch::ask(&self.voice.account, &some, from, now).await {
                Ok(answer) => {
                    any = true;
                    pressed |= answer.is_pressed();
                    for (error, missing) in answer.failed {
                        let trouble = error.trouble();
                        failed.extend(missing.into_iter().map(|(of, _)| (of, trouble.clone())));
                    }
                    for (of, metrics) in answer.metrics {
                        let asked = metrics.series.keys().map(|metric| ((Arc::clone(&of), *metric), Some(now)));
                        until.extend(asked);
                        // Of one instance some may be asked from another moment on than others.
                        told.entry(of).or_default().take(metrics);
                    }
                }
                Err(error) => {
                    let trouble = error.trouble();
                    failed.extend(some.into_iter().map(|(of, _)| (of, trouble.clone())));
                    (pressed, newest) = (true, Some(trouble));
                }
            }
        }
        if let Some(trouble) = newest.filter(|_| !any) {
            return Err(trouble);
        }
        let mut dealt = Dealt::new();
        for seat in seats {
            // What went wrong after what went well: it is the newest word.
            let good = told.remove(&seat.identifier).map(|metrics| Ok(CloudFragment::Metrics(metrics)));
            let bad = failed.remove(&seat.identifier).map(Err);
            dealt.extend(good.into_iter().chain(bad).map(|said| (seat.place, said)));
        }
        Ok(Round { dealt, pressed })
    }
}

/// Snapshots of instances that nobody watches, or that are gone, as far as others may restore them: nobody else would tell of them.
fn strays(of_others: impl Iterator<Item = (Arc<str>, Snapshots)>) -> Vec<(Arc<str>, Snapshot)> {
    let all = of_others.flat_map(|(of, it)| it.snapshots.into_iter().map(move |snapshot| (Arc::clone(&of), snapshot)));
    let is_shared = |snapshot: &Snapshot| snapshot.shared_with.as_ref().is_some_and(|with| !with.is_empty());
    let mut strays: Vec<_> = all.filter(|(_, snapshot)| is_shared(snapshot)).collect();
    // Public ones before all others, if there are too many.
    strays.sort_by(|(one, a), (other, b)| {
        let key = |it: &Snapshot| (it.is_public() != Some(true), it.identifier.raw().to_owned());
        (key(a), one).cmp(&(key(b), other))
    });
    strays.truncate(STRAYS);
    strays
}

/// Of whom nothing was said there is nothing.
fn deal<T: Default>(seats: &[Seat], mut facts: ByInstance<T>, wrap: fn(T) -> CloudFragment) -> Dealt {
    let mut of = |seat: &Seat| wrap(facts.remove(&seat.identifier).unwrap_or_default());
    seats.iter().map(|seat| (seat.place, Ok(of(seat)))).collect()
}

/// Each parameter group once, and to each instance what its groups have.
async fn by_group(book: &mut parameters::Book, account: &Account, seats: &[Seat]) -> Round {
    let names = seats.iter().flat_map(|seat| &seat.rds).flat_map(|rds| &rds.parameter_groups);
    let parameters::Answer { groups, pressed } = book.ask(account, names.map(|(name, _)| name.raw()).collect()).await;
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
    let dealt = seats.iter().map(|seat| (seat.place, of(seat))).collect();
    Round { dealt, pressed }
}

fn undescribed() -> Trouble {
    Trouble::new("RDS does not describe this instance: what else it has is not known")
}
