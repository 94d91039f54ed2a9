//! Clocks and merging: each source is asked on its own clock, one collector merges what comes in and publishes the newest
//! snapshot.
//!
//! [`board::Board`] is the pure half (facts in, snapshot out); [`lane`] asks; [`Poller`] ties them together.

mod backends;
pub mod board;
mod counters;
mod evidence;
mod instance;
mod lane;
mod limits;
mod pooler;
mod statements;
mod tenants;
mod window;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use board::{Board, News, Rules};
pub use instance::InstancePlan;

use crate::clients::postgres::Target;
use crate::config::Config;
use crate::domain::facts::{Fragment, Source};
use crate::domain::{Acknowledgement, Snapshot};
use crate::signals::Evaluator;
use lane::{Clocks, Lane, lanes};
use pooler::PoolerLane;

/// News waiting for the collector; lanes wait when it is full.
const QUEUE: usize = 256;

/// Facts other than sessions wait this long for company before a snapshot is made of them.
const GATHER: Duration = Duration::from_millis(100);

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
    _tasks: JoinSet<()>,
}

impl Poller {
    /// Starts polling.
    pub fn start(config: &Config, targets: Vec<Target>, evaluator: Evaluator) -> Self {
        let every = config.poll.clone();
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
        });
        let period = |source| every.get(&source).copied().unwrap_or(Duration::from_secs(60));
        let mut board = Board::new(rules, plans.collect(), period, evaluator);
        let period_of_poolers = period(Source::Pooler);
        let (pace, activity) = watch::channel(period(Source::Activity));
        let (publish, snapshots) = watch::channel(Arc::new(board.snapshot(Timestamp::now())));
        let (news, inbox) = mpsc::channel(QUEUE);
        let clocks = Clocks { every: Arc::new(every), activity };
        let mut tasks = JoinSet::new();
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
        let (acknowledgements, words) = watch::channel(Arc::default());
        tasks.spawn(collect(board, inbox, words, publish));
        Self { snapshots, pace, acknowledgements, _tasks: tasks }
    }
}

/// The one writer: merges news as they come and publishes. Sessions and outages at once, the rest in company.
async fn collect(
    mut board: Board,
    mut inbox: mpsc::Receiver<(usize, News)>,
    mut words: watch::Receiver<Arc<Vec<Acknowledgement>>>,
    publish: watch::Sender<Arc<Snapshot>>,
) {
    let mut due = Instant::now() + IDLE;
    loop {
        tokio::select! {
            news = inbox.recv() => {
                let Some((instance, news)) = news else { return };
                let urgent = matches!(&news, News::Down(_) | News::Delivered { fragment: Fragment::Activity(_), .. });
                board.take(Timestamp::now(), instance, news);
                let latest = if urgent { Instant::now() } else { Instant::now() + GATHER };
                due = due.min(latest);
                if due > Instant::now() || !inbox.is_empty() && inbox.len() < QUEUE / 2 {
                    continue;
                }
            }
            // Somebody wants to see what that changes: at once.
            Ok(()) = words.changed() => board.acknowledge(words.borrow_and_update().clone()),
            () = tokio::time::sleep_until(due) => {}
        }
        due = Instant::now() + IDLE;
        if publish.send(Arc::new(board.snapshot(Timestamp::now()))).is_err() {
            return;
        }
    }
}
