//! The lane of a Vault: what it knows of the tenants' secrets, on a slow clock of its own. Whatever is wrong with it greys what
//! it tells, and nothing else.
//!
//! A round lists once, and then looks at one secret after the other, so slowly that no Vault minds; what was seen so far is told
//! meanwhile.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use rand::RngExt as _;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::aws::Doors;
use super::board::{News, Origin};
use crate::clients::Environment;
use crate::clients::vault::{Vault, VaultError};
use crate::config::VaultConfig;
use crate::domain::TenantId;
use crate::domain::facts::{Fragment, Secrets, Source};
use crate::domain::observed::Trouble;
use crate::sources::vault::{Known, Policy, Reader};

/// Requests under way at once.
const AT_ONCE: usize = 4;

/// How often it is told what was seen so far.
const TELL: Duration = Duration::from_secs(2);

/// The first and the longest pause before it is tried again.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// See the module.
pub(super) struct VaultLane {
    vault: Arc<VaultConfig>,
    reader: Reader,
    doors: watch::Receiver<Doors>,
    every: Duration,
    news: mpsc::Sender<(Origin, News)>,
    known: BTreeMap<TenantId, Known>,
    /// How long the newest round took: what it told first is that old.
    round: Duration,
    /// Whether all secrets were looked at once.
    whole: bool,
    /// Mount, how many there are and how many names are no tenant's, as the newest whole round had them.
    told: Option<(String, u32, usize)>,
}

impl VaultLane {
    pub fn new(
        vault: Arc<VaultConfig>,
        reader: Reader,
        doors: watch::Receiver<Doors>,
        every: Duration,
        news: mpsc::Sender<(Origin, News)>,
    ) -> Self {
        Self {
            vault,
            reader,
            doors,
            every,
            news,
            known: BTreeMap::new(),
            round: Duration::ZERO,
            whole: false,
            told: None,
        }
    }

    /// Polls until nobody listens any more.
    pub async fn run(mut self) {
        let mut pause = BACK_OFF.0;
        while !self.news.is_closed() {
            // Made anew after each failure: token and certificates are read again, they may have been replaced.
            let trouble = match self.vault.client(&Environment::of_process()) {
                Ok(vault) => {
                    let (trouble, answered) = self.serve(&vault).await;
                    if answered {
                        pause = BACK_OFF.0;
                    }
                    trouble
                }
                Err(reason) => Trouble::new(format!("Vault: {reason}")),
            };
            self.tell(News::Failed { source: Source::Secrets, trouble, every: self.every }).await;
            let jitter = rand::rng().random_range(0.8..1.2);
            self.rest(pause.mul_f64(jitter)).await;
            pause = (pause * 2).min(BACK_OFF.1);
        }
    }

    /// A round after a round, until one fails; says why, and whether one did not.
    async fn serve(&mut self, vault: &Vault) -> (Trouble, bool) {
        let mut answered = false;
        loop {
            let began = Instant::now();
            match self.round(vault).await {
                Ok(()) => answered = true,
                Err(error) => return (self.trouble(vault, &error), answered),
            }
            let next = began + self.every;
            while self.doors_open(next).await {
                self.point_again().await;
            }
            if self.news.is_closed() {
                return (Trouble::new("stopped"), answered);
            }
        }
    }

    fn trouble(&self, vault: &Vault, error: &VaultError) -> Trouble {
        let mut words = error.to_string();
        if let VaultError::Denied { .. } = error {
            let line = Policy::of(&vault.place().mount, self.reader.path()).list;
            words = format!("Vault does not let us list the tenants' secrets: its policy needs {line}");
        }
        Trouble::new(words)
    }

    /// Waits until then, or until instances came or went: whether they did.
    async fn doors_open(&mut self, until: Instant) -> bool {
        tokio::select! {
            () = sleep_until(until) => false,
            () = self.news.closed() => false,
            Ok(()) = self.doors.changed() => true,
        }
    }

    /// Judges where all secrets point by who is there now. None is read for that.
    async fn point_again(&mut self) {
        self.look_around();
        let reader = &self.reader;
        let mut changed = false;
        for known in self.known.values_mut() {
            changed |= reader.point_again(known);
        }
        if changed && let Some((mount, of, strangers)) = self.told.clone() {
            let secrets = gather(mount, self.reader.path().to_owned(), &self.known, of, of, strangers);
            self.tell(delivered(secrets, self.every.max(self.round))).await;
        }
    }

    fn look_around(&mut self) {
        let doors = self.doors.borrow_and_update();
        self.reader.point(doors.doors.clone(), doors.silent.is_empty());
    }

    async fn round(&mut self, vault: &Vault) -> Result<(), VaultError> {
        let began = Instant::now();
        self.look_around();
        for known in self.known.values_mut() {
            self.reader.point_again(known);
        }
        let (tenants, strangers) = self.reader.list(vault).await?;
        let of = u32::try_from(tenants.len()).unwrap_or(u32::MAX);
        let before = std::mem::take(&mut self.known);
        self.known = before.into_iter().filter(|(tenant, _)| tenants.binary_search(tenant).is_ok()).collect();
        let wanted: Vec<_> = tenants.into_iter().map(|tenant| (self.known.get(&tenant).cloned(), tenant)).collect();
        let (reader, news) = (&self.reader, self.news.clone());
        let each = |(known, tenant): (Option<Known>, TenantId)| async move {
            let read = reader.read(vault, &tenant, known.as_ref()).await;
            (tenant, read)
        };
        let mut told = Instant::now();
        let (mut seen, mut changed) = (0, false);
        let mut reads = pin!(stream::iter(wanted).map(each).buffer_unordered(AT_ONCE));
        loop {
            let next = tokio::select! {
                next = reads.next() => next,
                () = news.closed() => return Ok(()),
            };
            let Some((tenant, read)) = next else { break };
            seen += 1;
            changed |= match read? {
                Some(new) => {
                    let told = new.secret.clone();
                    self.known.insert(tenant, new).is_none_or(|old| !Arc::ptr_eq(&old.secret, &told))
                }
                None => self.known.remove(&tenant).is_some(),
            };
            if changed && told.elapsed() >= TELL {
                let seen = if self.whole { of } else { seen };
                let (mount, path) = (vault.place().mount.clone(), reader.path().to_owned());
                let secrets = gather(mount, path, &self.known, seen, of, strangers);
                let every = self.every.max(self.round).max(began.elapsed());
                let _ = news.send((Origin::Estate, delivered(secrets, every))).await;
                (told, changed) = (Instant::now(), false);
            }
        }
        self.round = began.elapsed();
        self.whole = true;
        let (mount, path) = (vault.place().mount.clone(), reader.path().to_owned());
        self.told = Some((mount.clone(), of, strangers));
        let secrets = gather(mount, path, &self.known, of, of, strangers);
        self.tell(delivered(secrets, self.every.max(self.round))).await;
        Ok(())
    }

    async fn rest(&self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            () = self.news.closed() => {}
        }
    }

    async fn tell(&self, news: News) {
        // Nobody listens any more: the loops above end.
        let _ = self.news.send((Origin::Estate, news)).await;
    }
}

fn gather(
    mount: String,
    path: String,
    known: &BTreeMap<TenantId, Known>,
    seen: u32,
    of: u32,
    strangers: usize,
) -> Secrets {
    let secrets = known.values().map(|known| Arc::clone(&known.secret)).collect();
    Secrets { mount, path, secrets, seen, of, strangers: u32::try_from(strangers).unwrap_or(u32::MAX) }
}

fn delivered(secrets: Secrets, every: Duration) -> News {
    // What Vault takes costs no database anything.
    News::Delivered { fragment: Fragment::Secrets(secrets), took: Duration::ZERO, every }
}
