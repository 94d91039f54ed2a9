//! The lane of the pooler before an instance: a connection and a clock of its own, so that a pooler that is down greys
//! itself and nothing else.

use std::time::Duration;

use rand::RngExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::board::{News, Origin};
use super::lane::BACK_OFF;
use crate::clients::Environment;
use crate::clients::pgbouncer::Console;
use crate::clients::postgres::{Target, Timeouts};
use crate::config::PoolerConfig;
use crate::domain::facts::{Fragment, Source};
use crate::domain::observed::Trouble;
use crate::sources::pgbouncer::ask;

/// What to do where a login is refused.
const LOGIN: &str =
    "; the user must be in PgBouncer's stats_users and auth_file, with the password of pgbouncer_password";

/// Logs in to the admin console. The password is read anew at each login: it may have been rotated.
pub async fn open(pooler: &PoolerConfig) -> Result<Console, Trouble> {
    let say = |reason: String| Trouble::new(format!("PgBouncer: {reason}"));
    let target = Target::parse(&pooler.url, &Environment::of_process()).map_err(|error| say(error.to_string()))?;
    let password = match &pooler.password {
        Some(secret) => Some(secret.fetch().await.map_err(|error| say(error.to_string()))?),
        None => None,
    };
    Console::open(&target, password, &Timeouts::default()).await.map_err(|error| {
        let mut trouble = error.trouble();
        // What a full pooler means is not what a full server means.
        trouble.kind = crate::domain::observed::TroubleKind::Other;
        trouble.message = format!("PgBouncer: {}", trouble.message);
        // One code for everything that it does not like of a login.
        if matches!(trouble.code.as_deref(), Some("08P01" | "28P01")) {
            trouble.message.push_str(LOGIN);
        }
        trouble
    })
}

/// See the module.
pub(super) struct PoolerLane {
    pub place: usize,
    pub pooler: PoolerConfig,
    pub every: Duration,
    pub news: mpsc::Sender<(Origin, News)>,
}

impl PoolerLane {
    /// Polls until nobody listens any more.
    pub async fn run(self) {
        let mut pause = BACK_OFF.0;
        while !self.news.is_closed() {
            let trouble = match open(&self.pooler).await {
                Ok(console) => {
                    let (trouble, answered) = self.serve(&console).await;
                    if answered {
                        pause = BACK_OFF.0;
                    }
                    trouble
                }
                Err(trouble) => trouble,
            };
            self.tell(News::Failed { source: Source::Pooler, trouble, every: self.every }).await;
            let jitter = rand::rng().random_range(0.8..1.2);
            sleep(pause.mul_f64(jitter)).await;
            pause = (pause * 2).min(BACK_OFF.1);
        }
    }

    async fn serve(&self, console: &Console) -> (Trouble, bool) {
        let mut answered = false;
        let mut due = Instant::now();
        loop {
            tokio::select! {
                () = sleep_until(due) => {}
                () = self.news.closed() => return (Trouble::new("stopped"), answered),
            }
            let began = Instant::now();
            match ask(console).await {
                Ok(pooler) => {
                    answered = true;
                    // What the pooler takes costs the server nothing.
                    let (took, every) = (Duration::ZERO, self.every);
                    self.tell(News::Delivered { fragment: Fragment::Pooler(pooler), took, every }).await;
                }
                Err(error) => {
                    let mut trouble = error.trouble();
                    trouble.message = format!("PgBouncer: {}", trouble.message);
                    if console.is_closed() {
                        return (trouble, answered);
                    }
                    self.tell(News::Failed { source: Source::Pooler, trouble, every: self.every }).await;
                }
            }
            due = (began + self.every).max(Instant::now());
        }
    }

    async fn tell(&self, news: News) {
        // Nobody listens any more: the loop above ends.
        let _ = self.news.send((Origin::Instance(self.place), news)).await;
    }
}
