//! The lanes of an AWS account: each source asks for all of its instances at once, on a clock of its own, and deals the
//! answers out. One that hangs, is throttled or refused delays no other, and no other account.
//!
//! [`finder`] describes the instances and finds dedicated ones; [`source`] asks for all else about those that are seated;
//! [`once`] is for commands without a poller.

mod aside;
mod finder;
mod once;
mod source;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::RngExt;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::board::{News, Origin};
use super::lane::Clocks;
use crate::clients::aws::Account;
use crate::config::{AwsConfig, Config, Dedicated, InstanceConfig};
use crate::domain::InstanceName;
use crate::domain::facts::cloud::{AccountNews, CloudFragment, Rds};
use crate::domain::facts::{Fragment, Source};
use crate::domain::observed::Trouble;
use crate::sources::vault::Door;
use finder::{Finder, Known};
pub use once::{Around, look_around};
use source::SourceLane;

/// A source that fails again and again is asked this many times more rarely at most.
const RARELY: u32 = 8;

/// An instance that is asked about.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    /// Its place on the board.
    pub place: usize,
    /// Its RDS identifier.
    pub identifier: Arc<str>,
    /// How RDS describes it, where it does.
    pub rds: Option<Arc<Rds>>,
}

/// Everybody of an account; `None`: nobody knows yet who else is there.
pub(super) type Seats = Option<Arc<Vec<Seat>>>;

/// What the lanes of all accounts share: places and names for whoever is found.
#[derive(Debug)]
pub(super) struct Hall {
    next: AtomicUsize,
    /// Whether there is more than one account: then a name says which.
    several: bool,
    names: Mutex<HashSet<InstanceName>>,
    /// How to log in to instances that are found.
    pub dedicated: Dedicated,
    /// Where configured instances are: who is found there is one of them.
    pub addresses: HashSet<(String, u16)>,
    /// How one logs in to those that were found, for whoever wants to look closer.
    pub found: watch::Sender<Arc<Vec<InstanceConfig>>>,
    /// Where instances are reached, whoever wants to know whose an address is.
    pub doors: watch::Sender<Doors>,
}

/// Where instances are reached.
#[derive(Debug, Clone, Default)]
pub(super) struct Doors {
    /// As far as it is known.
    pub doors: Vec<Door>,
    /// Accounts that have yet to say who is there: behind an address that nobody knows there may be one of them.
    pub silent: HashSet<Arc<str>>,
}

impl Hall {
    /// With the configured instances in it.
    pub fn new(config: &Config, addresses: HashSet<(String, u16)>, doors: Vec<Door>) -> Self {
        let silent = config.aws.iter().filter(|aws| aws.discover).map(|aws| Arc::clone(&aws.account.place().name));
        Self {
            next: AtomicUsize::new(config.instances.len()),
            several: config.aws.len() > 1,
            names: Mutex::new(config.instances.iter().map(|instance| instance.name.clone()).collect()),
            dedicated: config.dedicated.clone(),
            addresses,
            found: watch::channel(Arc::default()).0,
            doors: watch::channel(Doors { doors, silent: silent.collect() }).0,
        }
    }

    /// A place that nobody had.
    fn place(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A name that nobody has, and the same at every start, whoever answers first: history is kept by it. The identifier, with the
    /// account where there are several, or where the configuration has a name like that.
    fn name(&self, account: &str, identifier: &str) -> InstanceName {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let name = InstanceName::new(identifier);
        let taken = self.several || names.contains(&name);
        let name = if taken { InstanceName::new(&format!("{account}/{identifier}")) } else { name };
        names.insert(name.clone());
        name
    }

    /// One of them is logged in to like this from now on.
    fn enter(&self, instance: InstanceConfig) {
        self.found.send_modify(|found| {
            let found = Arc::make_mut(found);
            found.retain(|known| known.name != instance.name);
            found.push(instance);
        });
    }

    /// One of them is logged in to no more.
    fn close(&self, name: &InstanceName) {
        self.found.send_if_modified(|found| {
            let here = found.iter().any(|instance| instance.name == *name);
            if here {
                Arc::make_mut(found).retain(|instance| instance.name != *name);
            }
            here
        });
    }

    fn leave(&self, name: &InstanceName) {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.close(name);
        self.lead(name, None);
    }

    /// Where one of them is reached, as RDS says, whether we log in there or not.
    fn lead(&self, name: &InstanceName, to: Option<(&str, u16)>) {
        self.doors.send_if_modified(|all| {
            let door = to.map(|(host, port)| Door { instance: name.clone(), host: host.to_owned(), port });
            let known = all.doors.iter().find(|door| door.instance == *name);
            if known == door.as_ref() {
                return false;
            }
            all.doors.retain(|door| door.instance != *name);
            all.doors.extend(door);
            true
        });
    }

    /// A configured instance is reached there as well.
    fn door(&self, door: Door) {
        self.doors.send_if_modified(|all| {
            let new = !all.doors.contains(&door);
            if new {
                all.doors.push(door);
            }
            new
        });
    }

    /// An account said who is there.
    fn spoken(&self, account: &str) {
        self.doors.send_if_modified(|all| all.silent.remove(account));
    }
}

/// How lanes speak.
#[derive(Clone)]
pub(super) struct Voice {
    pub account: Account,
    pub news: mpsc::Sender<(Origin, News)>,
    pub every: Arc<BTreeMap<Source, Duration>>,
}

impl Voice {
    fn every(&self, source: Source) -> Duration {
        self.every.get(&source).copied().unwrap_or(Duration::from_secs(60))
    }

    async fn tell(&self, origin: impl Into<Origin>, news: News) {
        // Nobody listens any more: the loops end.
        let _ = self.news.send((origin.into(), news)).await;
    }

    async fn delivered(&self, place: usize, fragment: CloudFragment, every: Duration) {
        let fragment = Fragment::Cloud(Box::new(fragment));
        // What AWS takes costs the server nothing.
        self.tell(place, News::Delivered { fragment, took: Duration::ZERO, every }).await;
    }

    async fn failed(&self, place: usize, source: Source, trouble: Trouble, every: Duration) {
        self.tell(place, News::Failed { source, trouble, every }).await;
    }

    async fn of_account(&self, news: AccountNews) {
        let name = Arc::clone(&self.account.place().name);
        self.tell(Origin::Estate, News::Account { name, news }).await;
    }

    /// Waits until a moment; false when nobody listens any more.
    async fn until(&self, moment: Instant) -> bool {
        tokio::select! {
            () = tokio::time::sleep_until(moment) => true,
            () = self.news.closed() => false,
        }
    }
}

/// When a source that failed so often in a row is asked again; not all of them at the same moment.
pub(super) fn again(every: Duration, failures: u32) -> Duration {
    let times = 1_u32.checked_shl(failures).unwrap_or(RARELY).min(RARELY);
    every.saturating_mul(times).mul_f64(if failures == 0 { 1.0 } else { rand::rng().random_range(0.8..1.2) })
}

/// Starts the lanes of an account.
pub(super) fn start(
    tasks: &mut JoinSet<()>,
    config: &Config,
    aws: &AwsConfig,
    hall: &Arc<Hall>,
    clocks: &Clocks,
    news: &mpsc::Sender<(Origin, News)>,
) {
    let voice = Voice { account: aws.account.clone(), news: news.clone(), every: Arc::clone(&clocks.every) };
    let configured: Vec<_> = config
        .instances
        .iter()
        .enumerate()
        .filter_map(|(place, instance)| {
            let rds = instance.rds.as_ref().filter(|rds| *rds.account == *aws.name())?;
            let seat = Seat { place, identifier: Arc::clone(&rds.identifier), rds: None };
            Some(Known { seat, name: instance.name.clone(), tenant: instance.tenant.clone() })
        })
        .collect();
    let (seats, seated) = watch::channel(None);
    for source in Source::CLOUD.into_iter().filter(|source| *source != Source::Rds) {
        tasks.spawn(SourceLane::new(source, voice.clone(), seated.clone(), aws.max_usd_per_hour).run());
    }
    tasks.spawn(Finder::new(voice, Arc::clone(hall), clocks.clone(), aws.discover, configured, seats).run());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_asked_ever_more_rarely_and_never_gives_up() {
        let minute = Duration::from_secs(60);
        assert_eq!(again(minute, 0), minute);
        for (failures, times) in [(1, 2.0), (2, 4.0), (3, 8.0), (9, 8.0), (400, 8.0)] {
            let pause = again(minute, failures).as_secs_f64() / 60.0;
            assert!((times * 0.8..=times * 1.2).contains(&pause), "{failures}: {pause}");
        }
    }
}
