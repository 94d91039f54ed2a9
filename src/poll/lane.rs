//! One connection of one instance and the sources that are asked over it, each on its own clock, one at a time.
//!
//! Sources that may be slow share no lane with those that must not wait. A lane connects again by itself, with back-off,
//! and a source that turns out dear is asked more rarely.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use secrecy::SecretString;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::board::News;
use crate::clients::postgres::{Target, Timeouts, connect};
use crate::config::{InstanceConfig, Secret};
use crate::domain::facts::{Fragment, Server, Source};
use crate::domain::observed::Trouble;
use crate::domain::{Foreign, InstanceName, Layout};
use crate::sources::postgres::statements::Book;
use crate::sources::postgres::tour::Tour;
use crate::sources::postgres::{Desk, ask, server};

/// The first and the longest pause before connecting again.
pub(super) const BACK_OFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// When a source that has more to say is asked again.
const SOON: Duration = Duration::from_secs(1);

/// The lanes of an instance. Sessions have one of their own; what reads every table has one too.
pub(super) const LANES: [&[Source]; 3] = [
    &[Source::Activity],
    &[Source::Databases, Source::Roles],
    &[Source::Churn, Source::Sizes, Source::Debt, Source::Freeze, Source::Statements],
];

/// Every source that lanes ask for.
pub(super) fn asked() -> impl Iterator<Item = Source> {
    LANES.iter().flat_map(|sources| sources.iter().copied())
}

/// How often sources are asked; the operator may change it while running.
#[derive(Debug, Clone)]
pub(super) struct Clocks {
    pub every: Arc<std::collections::BTreeMap<Source, Duration>>,
    /// Sessions, as set with `[` and `]`.
    pub activity: watch::Receiver<Duration>,
}

impl Clocks {
    fn configured(&self, source: Source) -> Duration {
        match source {
            Source::Activity => *self.activity.borrow(),
            other => self.every.get(&other).copied().unwrap_or(Duration::from_secs(60)),
        }
    }

    /// How often a source is asked that took so long: reading tables may take a hundredth of the server's time, looking at
    /// sessions a twentieth, because a server in trouble answers late and is looked at all the more.
    fn slowed(&self, source: Source, took: Duration) -> Duration {
        let (factor, most) = match source {
            Source::Activity => (20, Duration::from_secs(10)),
            _ => (100, Duration::from_secs(3_600)),
        };
        self.configured(source).max((took * factor).min(most))
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
    pub news: mpsc::Sender<(usize, News)>,
    dues: Vec<Due>,
    server: Option<Server>,
    tour: Tour,
    statements: Book,
    databases: Vec<Foreign>,
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
    /// How long the newest answer took; `None` before the first.
    took: Option<Duration>,
}

impl Due {
    fn first(source: Source) -> Self {
        Self { source, at: Instant::now(), took: None }
    }
}

impl Lane {
    pub fn new(
        place: usize,
        instance: &InstanceConfig,
        target: Target,
        sources: &'static [Source],
        clocks: Clocks,
        news: mpsc::Sender<(usize, News)>,
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
            tour: Tour::default(),
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
        let connection =
            connect(&self.target, self.password()?, &Timeouts::default()).await.map_err(|error| error.trouble())?;
        let desk = Desk::new(connection);
        let server = server(&desk).await.map_err(|error| error.trouble())?;
        self.server = Some(server.clone());
        self.tell(News::Connected(server)).await;
        Ok(desk)
    }

    /// Read anew at each login: it may have been rotated.
    fn password(&self) -> Result<Option<SecretString>, Trouble> {
        let read = self.password.as_ref().map(Secret::read).transpose();
        read.map_err(|error| Trouble::new(error.to_string()))
    }

    /// Asks whatever is due next, until the connection is lost; says why it was, and whether anything was answered.
    async fn serve(&mut self, desk: &Desk) -> (Trouble, bool) {
        let mut pace = self.clocks.activity.clone();
        let mut answered = false;
        loop {
            let next = (0..self.dues.len()).min_by_key(|at| self.dues[*at].at).unwrap_or_default();
            let Due { source, at, .. } = self.dues[next];
            tokio::select! {
                () = tokio::time::sleep_until(at) => {}
                () = self.news.closed() => return (Trouble::new("stopped"), answered),
                Ok(()) = pace.changed(), if source == Source::Activity => {
                    self.dues[next].at = Instant::now();
                    continue;
                }
            }
            let began = Instant::now();
            let answer = self.ask(desk, source).await;
            // What the network took is not the server's time.
            let took = began.elapsed().saturating_sub(desk.round_trip());
            let every = self.schedule(next, began, took);
            match answer {
                Ok(fragment) => {
                    answered = true;
                    self.tell(News::Delivered { fragment, took, every }).await;
                }
                Err(trouble) if desk.is_closed() => return (trouble, answered),
                Err(trouble) => self.tell(News::Failed { source, trouble, every }).await,
            }
        }
    }

    /// Decides when a source that was just asked is asked again; says how often that is.
    fn schedule(&mut self, at: usize, began: Instant, took: Duration) -> Duration {
        let Due { source, took: before, .. } = self.dues[at];
        // One slow answer may be an accident; two are the price.
        let every = self.clocks.slowed(source, before.map_or(took, |before| took.min(before)));
        let soon = self.wants_more(source, before.is_none());
        let pause = if soon { every.min(SOON.max(took * 20)) } else { every };
        self.dues[at] = Due { source, at: (began + pause).max(Instant::now()), took: Some(took) };
        every
    }

    /// Whether a source has yet to say what it is asked for: rates need two answers, and not every database was seen.
    fn wants_more(&self, source: Source, first: bool) -> bool {
        match source {
            Source::Databases | Source::Churn | Source::Statements => first,
            Source::Debt => self.layout == Layout::Database && !self.tour.is_round(&self.databases),
            _ => false,
        }
    }

    async fn ask(&mut self, desk: &Desk, source: Source) -> Result<Fragment, Trouble> {
        if let Some(reason) = self.server.as_ref().and_then(|server| uncounted(server, source)) {
            return Err(Trouble::new(reason));
        }
        if self.layout == Layout::Database && source == Source::Debt {
            return self.visit().await;
        }
        if source == Source::Statements {
            let statements = self.statements.ask(desk).await.map_err(|error| error.trouble())?;
            return Ok(Fragment::Statements(statements));
        }
        let mut fragment = ask(desk, source, &self.instance, self.layout).await.map_err(|error| error.trouble())?;
        if let (Layout::Database, Fragment::Churn(churn)) = (self.layout, &mut fragment) {
            self.databases = churn.homes.iter().map(|home| Foreign::from(&*home.home)).collect();
            for home in &mut churn.homes {
                (home.dead_tuples, home.live_tuples) = self.tour.rows(&home.home).unzip();
            }
        }
        Ok(fragment)
    }

    /// Where tenants have databases, a few of those are visited instead.
    async fn visit(&mut self) -> Result<Fragment, Trouble> {
        let password = self.password()?;
        let debt = self.tour.next(&self.target, password, &Timeouts::default(), &self.databases).await;
        debt.map(Fragment::Debt)
    }

    /// The connection was lost: where sessions are asked that means the instance is down, elsewhere the sources say so.
    async fn lost(&self, trouble: Trouble) {
        if self.sources.contains(&Source::Activity) {
            self.tell(News::Down(trouble.clone())).await;
        }
        for source in self.sources {
            let every = self.clocks.configured(*source);
            self.tell(News::Failed { source: *source, trouble: trouble.clone(), every }).await;
        }
    }

    async fn tell(&self, news: News) {
        // Nobody listens any more: the loop above ends.
        let _ = self.news.send((self.place, news)).await;
    }
}
