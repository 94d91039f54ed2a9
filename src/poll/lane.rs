//! One connection of one instance and the sources that are asked over it, each on its own clock, one at a time.
//!
//! Sources that may be slow share no lane with those that must not wait. A lane connects again by itself, with back-off,
//! and a source that turns out dear is asked more rarely.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use secrecy::SecretString;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::board::{News, Origin};
use crate::clients::aws::Account;
use crate::clients::postgres::{Target, Timeouts, connect};
use crate::config::{InstanceConfig, Secret};
use crate::domain::facts::{Bloat, Catalog, Fragment, Server, Source};
use crate::domain::observed::Trouble;
use crate::domain::{Foreign, InstanceName, Layout};
use crate::sources::postgres::statements::Book;
use crate::sources::postgres::tour::{LEGS, Tables, Tour, Way};
use crate::sources::postgres::{Desk, ask, databases, server};

/// The first and the longest pause before connecting again.
pub(super) const BACK_OFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// When a source that has more to say is asked again.
const SOON: Duration = Duration::from_secs(1);

/// How long what the network takes is believed.
const MEASURED: Duration = Duration::from_secs(30);

/// `lock_not_available`: somebody changes what we wanted to look at, which takes no five minutes. Then we come back.
const LOCKED: &str = "55P03";
const LATER: Duration = Duration::from_secs(10);

/// What is quick and needs not be quicker.
const ROUND: [Source; 6] =
    [Source::Databases, Source::Roles, Source::Vacuums, Source::Replication, Source::Horizon, Source::Operations];

/// The lanes of an instance: a connection each. Sessions have one of their own; what reads every table has one too, and so
/// has what may take seconds on a large catalogue. Where tenants have databases, the tours take a connection beside their
/// lane's: both kinds share a lane, so that there are never more than four.
pub(super) fn lanes(layout: Layout) -> &'static [&'static [Source]] {
    match layout {
        Layout::Schema => &[
            &[Source::Activity],
            &ROUND,
            &[Source::Churn, Source::Sizes, Source::Debt, Source::Freeze, Source::Statements],
            &[Source::Catalog, Source::Bloat],
        ],
        Layout::Database => &[
            &[Source::Activity],
            &ROUND,
            &[
                Source::Churn,
                Source::Sizes,
                Source::Debt,
                Source::Freeze,
                Source::Statements,
                Source::Catalog,
                Source::Bloat,
            ],
        ],
    }
}

/// The lanes of an instance that is one tenant's alone: there is less to wait for, and there may be hundreds of them. With
/// few of them sessions have a connection of their own.
pub(super) fn lanes_of_dedicated(few: bool) -> &'static [&'static [Source]] {
    const REST: [Source; 13] = [
        Source::Databases,
        Source::Roles,
        Source::Vacuums,
        Source::Replication,
        Source::Horizon,
        Source::Operations,
        Source::Churn,
        Source::Sizes,
        Source::Debt,
        Source::Freeze,
        Source::Statements,
        Source::Catalog,
        Source::Bloat,
    ];
    const ALL: [Source; 14] = {
        let mut all = [Source::Activity; 14];
        let mut at = 0;
        while at < REST.len() {
            all[at + 1] = REST[at];
            at += 1;
        }
        all
    };
    if few { &[&[Source::Activity], &REST] } else { &[&ALL] }
}

/// Every source that lanes ask for.
pub(super) fn asked(layout: Layout) -> impl Iterator<Item = Source> {
    lanes(layout).iter().flat_map(|sources| sources.iter().copied())
}

/// How often sources are asked; the operator may change it while running.
#[derive(Debug, Clone)]
pub(super) struct Clocks {
    pub every: Arc<std::collections::BTreeMap<Source, Duration>>,
    /// Sessions, as set with `[` and `]`.
    pub activity: watch::Receiver<Duration>,
    /// Those that were found, where one of them is asked: the more there are, the more rarely each is.
    pub crowd: Option<watch::Receiver<Arc<Vec<InstanceConfig>>>>,
}

/// So many found instances are each asked as often as is configured; more share that.
const CROWD: usize = 100;

impl Clocks {
    fn configured(&self, source: Source) -> Duration {
        let every = match source {
            Source::Activity => *self.activity.borrow(),
            other => self.every.get(&other).copied().unwrap_or(Duration::from_secs(60)),
        };
        every.mul_f64(self.crowd.as_ref().map_or(1.0, |crowd| crowding(crowd.borrow().len())))
    }

    /// How often a source is asked whose answers take so much of the server's time: so rarely that it stays within its share.
    fn slowed(configured: Duration, source: Source, price: Duration) -> Duration {
        let most = if source == Source::Activity { BLIND } else { RARELY };
        configured.max(price.mul_f64(1e3 / share(source)).min(most))
    }

    /// When a source that brought nothing so often in a row is asked again. Not as rarely as its price wants: a server in
    /// trouble stops everybody's questions, and half an hour later it is long well. Each time twice as late, until it is.
    fn again(configured: Duration, every: Duration, took: Duration, failed: u32) -> Duration {
        every.min(configured.max(took.saturating_mul(5 << failed.min(16))))
    }
}

/// How much more rarely each of so many is asked.
fn crowding(found: usize) -> f64 {
    (found as f64 / CROWD as f64).max(1.0)
}

/// The longest that we do not look at sessions, and at anything else, however dear it is.
const BLIND: Duration = Duration::from_secs(10);
const RARELY: Duration = Duration::from_secs(6 * 3_600);

/// Of each second, the milliseconds that a source may cost the server: 25 all together. With few tenants none comes near it.
fn share(source: Source) -> f64 {
    match source {
        Source::Activity => 9.0,
        Source::Churn => 4.0,
        Source::Statements => 2.5,
        Source::Debt | Source::Catalog => 2.0,
        // From the pooler on none asks the server: the pooler is asked, Vault, or AWS, and their clocks are their own.
        Source::Databases
        | Source::Roles
        | Source::Horizon
        | Source::Pooler
        | Source::Secrets
        | Source::Metrics
        | Source::Rds
        | Source::Alarms
        | Source::Events
        | Source::Parameters
        | Source::Snapshots
        | Source::Backups => 1.0,
        Source::Vacuums => 0.75,
        Source::Replication | Source::Sizes => 0.5,
        Source::Freeze | Source::Bloat | Source::Operations => 0.25,
    }
}

/// See the module.
pub(super) struct Lane {
    pub place: usize,
    pub instance: InstanceName,
    pub layout: Layout,
    pub target: Target,
    pub password: Option<Secret>,
    pub sources: &'static [Source],
    pub clocks: Clocks,
    pub news: mpsc::Sender<(Origin, News)>,
    dues: Vec<Due>,
    server: Option<Server>,
    tours: Tours,
    statements: Book,
    databases: Vec<Foreign>,
}

/// Where tenants have databases: what is looked at inside of them.
#[derive(Default)]
struct Tours {
    tables: Tour<Tables>,
    catalog: Tour<Catalog>,
    bloat: Tour<Bloat>,
}

/// Why a server's zeros are no facts.
fn uncounted(server: &Server, source: Source) -> Option<&'static str> {
    match source {
        Source::Churn | Source::Debt if server.in_recovery => {
            Some("a standby does not count what happens to tables; watch the primary as well")
        }
        Source::Churn | Source::Debt if !server.counts => Some("track_counts is off: the server counts nothing"),
        _ => None,
    }
}

/// When a source is asked next. Kept across connections: a connection that dies again and again must not make a dear
/// source be asked again and again.
struct Due {
    source: Source,
    at: Instant,
    /// How long the newest answers took, the newest last.
    took: VecDeque<Duration>,
    /// How often in a row it brought nothing.
    failed: u32,
}

impl Due {
    fn first(source: Source) -> Self {
        Self { source, at: Instant::now(), took: VecDeque::new(), failed: 0 }
    }

    /// Remembers what an answer took; says what one costs: the quickest of the newest few, while nobody was in the way,
    /// because a server in trouble answers late, and is looked at all the more. Sessions are asked so often that five answers
    /// are no time; of the rest two.
    fn learn(&mut self, took: Duration) -> Duration {
        self.took.push_back(took);
        let kept = if self.source == Source::Activity { 5 } else { 2 };
        if self.took.len() > kept {
            self.took.pop_front();
        }
        self.took.iter().min().copied().unwrap_or(took)
    }

    /// Whether there is one answer only: it may be an accident, caches are cold when a connection is new.
    fn is_guess(&self) -> bool {
        self.took.len() < 2
    }
}

impl Lane {
    pub fn new(
        place: usize,
        instance: &InstanceConfig,
        target: Target,
        sources: &'static [Source],
        clocks: Clocks,
        news: mpsc::Sender<(Origin, News)>,
    ) -> Self {
        Self {
            place,
            instance: instance.name.clone(),
            layout: instance.layout,
            target,
            password: instance.password.clone(),
            sources,
            clocks,
            news,
            dues: sources.iter().map(|source| Due::first(*source)).collect(),
            server: None,
            tours: Tours::default(),
            statements: Book::default(),
            databases: Vec::new(),
        }
    }

    /// Polls until nobody listens any more.
    pub async fn run(mut self) {
        let mut pause = BACK_OFF.0;
        while !self.news.is_closed() {
            let trouble = match self.connect().await {
                Ok(desk) => {
                    let (trouble, answered) = self.serve(&desk).await;
                    if answered {
                        pause = BACK_OFF.0;
                    }
                    trouble
                }
                Err(trouble) => trouble,
            };
            self.lost(trouble).await;
            let jitter = rand::rng().random_range(0.8..1.2);
            tokio::time::sleep(pause.mul_f64(jitter)).await;
            pause = (pause * 2).min(BACK_OFF.1);
        }
    }

    async fn connect(&mut self) -> Result<Desk, Trouble> {
        let connection = connect(&self.target, self.password().await?, &Timeouts::default())
            .await
            .map_err(|error| self.by_the_clock(error.trouble()))?;
        let desk = Desk::new(connection);
        let server = server(&desk).await.map_err(|error| error.trouble())?;
        self.server = Some(server.clone());
        self.tell(News::Connected(server)).await;
        Ok(desk)
    }

    /// What RDS calls a wrong password may be a token that was signed by a clock that is wrong: nobody else says so.
    fn by_the_clock(&self, mut trouble: Trouble) -> Trouble {
        if let Some(Secret::Iam(login)) = &self.password
            && trouble.code.as_deref().is_some_and(|code| code.starts_with("28"))
            && let Some(skew) = login.account.as_ref().and_then(Account::skew)
        {
            trouble.message = format!("{}; {skew}", trouble.message);
        }
        trouble
    }

    /// Read anew at each login: it may have been rotated.
    async fn password(&self) -> Result<Option<SecretString>, Trouble> {
        let Some(secret) = &self.password else { return Ok(None) };
        secret.fetch().await.map(Some).map_err(|error| Trouble::new(error.to_string()))
    }

    /// Asks whatever is due next, until the connection is lost; says why it was, and whether anything was answered.
    async fn serve(&mut self, desk: &Desk) -> (Trouble, bool) {
        let mut pace = self.clocks.activity.clone();
        let mut answered = false;
        let mut measured: Option<Instant> = None;
        loop {
            let next = (0..self.dues.len()).min_by_key(|at| self.dues[*at].at).unwrap_or_default();
            let (source, at) = (self.dues[next].source, self.dues[next].at);
            tokio::select! {
                () = tokio::time::sleep_until(at) => {}
                () = self.news.closed() => return (Trouble::new("stopped"), answered),
                Ok(()) = pace.changed(), if source == Source::Activity => {
                    self.dues[next].at = Instant::now();
                    continue;
                }
            }
            if measured.is_none_or(|at| at.elapsed() >= MEASURED) {
                desk.measure().await;
                measured = Some(Instant::now());
            }
            let began = Instant::now();
            let _ = desk.worked();
            let mut elsewhere = Duration::ZERO;
            let answer = self.ask(desk, source, &mut elsewhere).await;
            self.dues[next].failed = if answer.is_ok() { 0 } else { self.dues[next].failed + 1 };
            let (price, every) = self.schedule(next, began, desk.worked() + elsewhere);
            match answer {
                Ok(fragment) => {
                    answered = true;
                    self.tell(News::Delivered { fragment, took: price, every }).await;
                }
                Err(trouble) if desk.is_closed() => return (trouble, answered),
                Err(trouble) => {
                    if trouble.code.as_deref() == Some(LOCKED) {
                        self.dues[next].at = self.dues[next].at.min(Instant::now() + LATER);
                    }
                    self.tell(News::Failed { source, trouble, every }).await;
                }
            }
        }
    }

    /// Decides when a source that was just asked is asked again; says what it costs and how often that is.
    fn schedule(&mut self, at: usize, began: Instant, took: Duration) -> (Duration, Duration) {
        let source = self.dues[at].source;
        let price = self.dues[at].learn(took);
        let every = Clocks::slowed(self.configured(source), source, price);
        let first = self.dues[at].is_guess();
        let soon = self.wants_more(source, first) || first && every > self.configured(source);
        let pause = match self.dues[at].failed {
            _ if soon => every.min(SOON.max(took * 20)),
            0 => every,
            failed => Clocks::again(self.configured(source), every, took, failed),
        };
        self.dues[at].at = (began + pause).max(Instant::now());
        (price, every)
    }

    /// What the operator wants; where databases are toured a tenth of them is looked at each time, and all in the time
    /// that is configured.
    fn configured(&self, source: Source) -> Duration {
        let every = self.clocks.configured(source);
        match source {
            Source::Catalog | Source::Bloat if self.layout == Layout::Database => every / LEGS as u32,
            _ => every,
        }
    }

    /// Whether a source has yet to say what it is asked for: rates need two answers, and not every database was seen.
    fn wants_more(&self, source: Source, first: bool) -> bool {
        match (source, self.layout) {
            (Source::Databases | Source::Churn | Source::Statements, _) => first,
            (Source::Debt, Layout::Database) => !self.tours.tables.is_round(),
            (Source::Catalog, Layout::Database) => !self.tours.catalog.is_round(),
            (Source::Bloat, Layout::Database) => !self.tours.bloat.is_round(),
            _ => false,
        }
    }

    /// Asks; adds what the server worked for us over other connections than this one.
    async fn ask(&mut self, desk: &Desk, source: Source, elsewhere: &mut Duration) -> Result<Fragment, Trouble> {
        if let Some(reason) = self.server.as_ref().and_then(|server| uncounted(server, source)) {
            return Err(Trouble::new(reason));
        }
        if self.layout == Layout::Database && source == Source::Debt {
            let way = self.way().await?;
            self.tours.tables.next(&way, &self.databases, elsewhere).await?;
            return Ok(Fragment::Debt(self.tours.tables.debt()));
        }
        if self.layout == Layout::Database && source == Source::Bloat {
            self.databases = databases(desk).await.map_err(|error| error.trouble())?;
            let way = self.way().await?;
            self.tours.bloat.next(&way, &self.databases, elsewhere).await?;
            return Ok(Fragment::Bloat(self.tours.bloat.bloat()));
        }
        if source == Source::Statements {
            let statements = self.statements.ask(desk).await.map_err(|error| error.trouble())?;
            return Ok(Fragment::Statements(statements));
        }
        let mut fragment = ask(desk, source, &self.instance, self.layout).await.map_err(|error| error.trouble())?;
        match &mut fragment {
            Fragment::Churn(churn) if self.layout == Layout::Database => {
                self.databases = churn.homes.iter().map(|home| Foreign::from(&*home.home)).collect();
                for home in &mut churn.homes {
                    (home.dead_tuples, home.live_tuples) = self.tours.tables.rows(&home.home).unzip();
                }
            }
            Fragment::Catalog(catalog) if self.layout == Layout::Database => {
                self.databases = databases(desk).await.map_err(|error| error.trouble())?;
                let way = self.way().await?;
                self.tours.catalog.next(&way, &self.databases, elsewhere).await?;
                *catalog = self.tours.catalog.catalog(std::mem::take(catalog));
            }
            _ => {}
        }
        Ok(fragment)
    }

    /// How to get into other databases of the same server.
    async fn way(&self) -> Result<Way, Trouble> {
        Ok(Way { target: self.target.clone(), password: self.password().await?, timeouts: Timeouts::default() })
    }

    /// The connection was lost: where sessions are asked that means the instance is down, elsewhere the sources say so.
    async fn lost(&self, trouble: Trouble) {
        if self.sources.contains(&Source::Activity) {
            self.tell(News::Down(trouble.clone())).await;
        }
        for source in self.sources {
            let every = self.configured(*source);
            self.tell(News::Failed { source: *source, trouble: trouble.clone(), every }).await;
        }
    }

    async fn tell(&self, news: News) {
        // Nobody listens any more: the loop above ends.
        let _ = self.news.send((Origin::Instance(self.place), news)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn all_sources_together_stay_within_what_watching_may_cost() {
        let asked: f64 = Source::ALL.into_iter().filter(|it| it.asks_the_server()).map(share).sum();
        assert!(asked <= 25.0, "{asked} ms/s");
        // However dear each is on its own: as dear as a statement may be at all.
        for source in Source::ALL {
            let price = if source == Source::Activity { ms(90) } else { ms(5_000) };
            let cost = price.as_secs_f64() * 1e3 / Clocks::slowed(ms(1_000), source, price).as_secs_f64();
            assert!(cost <= share(source) + 1e-6, "{source:?}: {cost} ms/s");
        }
    }

    #[test]
    fn sessions_are_looked_at_every_ten_seconds_however_dear_and_cheap_sources_keep_their_clock() {
        assert_eq!(Clocks::slowed(ms(1_000), Source::Activity, ms(5_000)), BLIND);
        assert_eq!(Clocks::slowed(ms(1_000), Source::Activity, ms(4)), ms(1_000));
        assert_eq!(Clocks::slowed(ms(300_000), Source::Catalog, ms(200)), ms(300_000));
    }

    #[test]
    fn a_source_that_fails_is_asked_again_soon_and_ever_later() {
        let (configured, every) = (ms(10_000), ms(2_000_000));
        let again = |failed| Clocks::again(configured, every, ms(5_000), failed).as_secs();
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 40].map(again), [50, 100, 200, 400, 800, 1_600, 2_000, 2_000]);
        // What is refused at once is asked as often as ever.
        assert_eq!(Clocks::again(configured, configured, ms(2), 9), configured);
    }

    #[test]
    fn a_crowd_shares_what_a_hundred_may_ask() {
        assert_eq!([0, 3, 100, 500].map(|found| crowding(found) as u32), [1, 1, 1, 5]);
    }

    #[test]
    fn one_slow_answer_is_no_price() {
        let mut due = Due::first(Source::Churn);
        assert_eq!((due.learn(ms(900)), due.is_guess()), (ms(900), true));
        assert_eq!((due.learn(ms(20)), due.is_guess()), (ms(20), false));
        assert_eq!(due.learn(ms(3_000)), ms(20));
        assert_eq!(due.learn(ms(2_000)), ms(2_000));
    }
}
