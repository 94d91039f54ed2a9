//! Clocks and merging: each source is asked on its own clock, one collector merges what comes in and publishes the newest
//! snapshot.
//!
//! [`board::Board`] is the pure half (facts in, snapshot out); [`lane`] asks; [`Poller`] ties them together.

mod aws;
mod backends;
pub mod board;
mod charts;
mod counters;
mod estate;
mod evidence;
mod instance;
mod lane;
mod limits;
mod pooler;
mod residents;
mod statements;
pub mod tail;
mod tenants;
mod vault;
mod window;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use aws::{Around, look_around};
pub use board::{Board, News, Origin, Rules};
pub use instance::{CloudPlan, InstancePlan};

use crate::clients::Environment;
use crate::clients::postgres::{Address, Target};
use crate::config::{AwsConfig, Config, InstanceConfig};
use crate::domain::facts::cloud::AccountState;
use crate::domain::facts::{Fragment, Source};
use crate::domain::{Acknowledgement, Past, Snapshot};
use crate::signals::Evaluator;
use crate::sources::vault::{Door, Reader};
use lane::{Clocks, Lane, lanes};
use pooler::PoolerLane;
pub use pooler::open as open_pooler;
use vault::VaultLane;

/// News waiting for the collector; lanes wait when it is full.
const QUEUE: usize = 256;

/// Facts other than sessions wait this long for company before a snapshot is made of them.
const GATHER: Duration = Duration::from_millis(100);

/// After a snapshot there is none for so many times as long as it took, and two seconds at most: with hundreds of instances
/// there are hundreds of reasons a second for one, and each is asked every few seconds.
const BREATH: (u32, Duration) = (40, Duration::from_secs(2));

/// With no news at all, ages and holds still move on.
const IDLE: Duration = Duration::from_secs(1);

/// Polls everything that the configuration names, until it is dropped.
#[derive(Debug)]
pub struct Poller {
    /// The newest snapshot; older ones are not kept.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// How often sessions are asked for.
    pub pace: watch::Sender<Duration>,
    /// What is acknowledged and muted; whoever keeps that sends all of it whenever it changes.
    pub acknowledgements: watch::Sender<Arc<Vec<Acknowledgement>>>,
    /// What the stored history says.
    pub past: watch::Sender<Arc<Past>>,
    /// Whoever is put here hears everything that the board is told, from the state of now on.
    pub tap: watch::Sender<Option<mpsc::Sender<Heard>>>,
    /// How one logs in to dedicated instances that were found.
    pub found: watch::Receiver<Arc<Vec<InstanceConfig>>>,
    _tasks: JoinSet<()>,
}

impl Poller {
    /// Starts polling.
    pub fn start(config: &Config, targets: Vec<Target>, evaluator: Evaluator) -> Self {
        let every = config.poll.clone();
        let mut board = board(config, evaluator);
        let period = |source| every.get(&source).copied().unwrap_or(Duration::from_secs(60));
        let (period_of_poolers, period_of_secrets) = (period(Source::Pooler), period(Source::Secrets));
        let (pace, activity) = watch::channel(period(Source::Activity));
        let (publish, snapshots) = watch::channel(Arc::new(board.snapshot(Timestamp::now())));
        let (news, inbox) = mpsc::channel(QUEUE);
        let clocks = Clocks { every: Arc::new(every), activity, crowd: None };
        let mut tasks = JoinSet::new();
        let hall = Arc::new(aws::Hall::new(config, addresses(&targets), doors(config, &targets)));
        let found = hall.found.subscribe();
        for account in &config.aws {
            aws::start(&mut tasks, config, account, &hall, &clocks, &news);
        }
        for (place, (instance, target)) in config.instances.iter().zip(targets).enumerate() {
            for sources in lanes(instance.layout) {
                let lane = Lane::new(place, instance, target.clone(), sources, clocks.clone(), news.clone());
                tasks.spawn(lane.run());
            }
        }
        for (place, instance) in config.instances.iter().enumerate() {
            if let Some(pooler) = instance.pgbouncer.clone() {
                let (every, news) = (period_of_poolers, news.clone());
                tasks.spawn(PoolerLane { place, pooler, every, news }.run());
            }
        }
        if let Some(vault) = config.vault.clone() {
            let reader = Reader::new(config.naming.vault_path.clone(), Vec::new());
            let doors = hall.doors.subscribe();
            tasks.spawn(VaultLane::new(vault, reader, doors, period_of_secrets, news.clone()).run());
        }
        let (acknowledgements, words) = watch::channel(Arc::default());
        let (past, pasts) = watch::channel(Arc::default());
        let (tap, taps) = watch::channel(None);
        tasks.spawn(collect(board, Ears { inbox, words, pasts, taps }, publish));
        Self { snapshots, pace, acknowledgements, past, tap, found, _tasks: tasks }
    }
}

/// The board of a configuration, with nothing known yet.
pub fn board(config: &Config, evaluator: Evaluator) -> Board {
    let every = &config.poll;
    let rules = Rules {
        environment: Arc::from(config.environment.as_str()),
        naming: Arc::new(config.naming.clone()),
        policy: config.policy.clone(),
        thresholds: config.thresholds.clone(),
    };
    let plans = config.instances.iter().map(|instance| InstancePlan {
        name: instance.name.clone(),
        tier: instance.tier,
        layout: instance.layout,
        tenant: instance.tenant.clone(),
        vcpus: instance.vcpus,
        pooled: instance.pgbouncer.is_some(),
        cloud: cloud(config, instance),
    });
    let period = |source| every.get(&source).copied().unwrap_or(Duration::from_secs(60));
    let account = |aws: &AwsConfig| {
        let place = aws.account.place();
        AccountState::named(Arc::clone(&place.name), Arc::clone(&place.region))
    };
    let board = Board::new(rules, plans.collect(), period, evaluator).hearing_from(config.aws.iter().map(account));
    if config.vault.is_some() { board.hearing(Source::Secrets, period(Source::Secrets)) } else { board }
}

/// Where AWS knows a configured instance.
fn cloud(config: &Config, instance: &InstanceConfig) -> Option<CloudPlan> {
    let rds = instance.rds.as_ref()?;
    let aws = config.aws.iter().find(|aws| *aws.name() == *rds.account)?;
    let region = Arc::clone(&aws.account.place().region);
    Some(CloudPlan { account: Arc::clone(&rds.account), region, identifier: Arc::clone(&rds.identifier) })
}

/// Where configured instances are.
fn addresses(targets: &[Target]) -> HashSet<(String, u16)> {
    let hosts = targets.iter().flat_map(|target| &target.hosts);
    let named = hosts.filter_map(|host| match &host.address {
        Address::Name(name) => Some((name.clone(), host.port)),
        Address::Socket(_) => None,
    });
    named.collect()
}

/// Where instances are reached, by us, through their poolers, and as the configuration says that applications do.
fn doors(config: &Config, targets: &[Target]) -> Vec<Door> {
    let mut doors = Vec::new();
    for (instance, target) in config.instances.iter().zip(targets) {
        let pooler = instance.pgbouncer.as_ref();
        let pooler = pooler.and_then(|pooler| Target::parse(&pooler.url, &Environment::of_process()).ok());
        let hosts = target.hosts.iter().chain(pooler.iter().flat_map(|pooler| &pooler.hosts));
        let mut door = |host: &str, port| {
            doors.push(Door { instance: instance.name.clone(), host: host.to_owned(), port });
        };
        for host in hosts {
            if let Address::Name(name) = &host.address {
                door(name, host.port);
            }
        }
        if let Some((host, port)) = &instance.address {
            door(host, *port);
        }
    }
    doors
}

/// Something that the board was told, or asked: told and asked the same at the same moments, another board says the same.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "most of what is heard is the large one")]
pub enum Heard {
    /// News of the instance at this place in the configuration.
    News {
        /// When it was taken.
        at: Timestamp,
        /// Of what.
        origin: Origin,
        /// What.
        news: News,
    },
    /// What the stored history says.
    Past {
        /// When it was taken.
        at: Timestamp,
        /// What.
        past: Arc<Past>,
    },
    /// A snapshot was made.
    Snapshot(Timestamp),
}

/// What the collector listens to.
struct Ears {
    inbox: mpsc::Receiver<(Origin, News)>,
    words: watch::Receiver<Arc<Vec<Acknowledgement>>>,
    pasts: watch::Receiver<Arc<Past>>,
    taps: watch::Receiver<Option<mpsc::Sender<Heard>>>,
}

/// Whoever listens in.
struct Tap(Option<mpsc::Sender<Heard>>);

impl Tap {
    /// Passes something on. Who cannot keep up is let go, and learns it from the closed channel: half a story is none.
    fn pass(&mut self, heard: impl FnOnce() -> Heard) {
        if let Some(to) = &self.0
            && to.try_send(heard()).is_err()
        {
            self.0 = None;
        }
    }

    /// Tells a new listener everything that is known.
    fn catch_up(&mut self, board: &Board, now: Timestamp) {
        if self.0.is_none() {
            return;
        }
        let (past, told) = board.retell();
        self.pass(|| Heard::Past { at: now, past: Arc::new(past) });
        for (at, origin, news) in told {
            self.pass(|| Heard::News { at: at.unwrap_or(now), origin, news });
        }
    }
}

/// The one writer: merges news as they come and publishes. Sessions and outages at once, the rest in company.
async fn collect(mut board: Board, ears: Ears, publish: watch::Sender<Arc<Snapshot>>) {
    let Ears { mut inbox, mut words, mut pasts, mut taps } = ears;
    let mut tap = Tap(None);
    let mut due = Instant::now() + IDLE;
    let mut rested = Instant::now();
    loop {
        tokio::select! {
            news = inbox.recv() => {
                let Some((origin, news)) = news else { return };
                let urgent = matches!(&news, News::Down(_) | News::Delivered { fragment: Fragment::Activity(_), .. });
                let at = Timestamp::now();
                tap.pass(|| Heard::News { at, origin, news: news.clone() });
                board.take(at, origin, news);
                let latest = if urgent { Instant::now() } else { Instant::now() + GATHER };
                due = due.min(latest).max(rested);
                if due > Instant::now() || !inbox.is_empty() && inbox.len() < QUEUE / 2 {
                    continue;
                }
            }
            // Somebody wants to see what that changes: at once.
            Ok(()) = words.changed() => board.acknowledge(words.borrow_and_update().clone()),
            Ok(()) = pasts.changed() => {
                let past = Arc::clone(&pasts.borrow_and_update());
                board.recall(&past);
                tap.pass(|| Heard::Past { at: Timestamp::now(), past });
                continue;
            }
            Ok(()) = taps.changed() => {
                tap = Tap(taps.borrow_and_update().clone());
                tap.catch_up(&board, Timestamp::now());
                continue;
            }
            () = tokio::time::sleep_until(due) => {}
        }
        due = Instant::now() + IDLE;
        let (now, began) = (Timestamp::now(), Instant::now());
        tap.pass(|| Heard::Snapshot(now));
        if publish.send(Arc::new(board.snapshot(now))).is_err() {
            return;
        }
        rested = Instant::now() + (began.elapsed() * BREATH.0).min(BREATH.1);
    }
}
