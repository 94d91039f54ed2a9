//! Source `rds`, and with it who there is: configured instances that RDS describes, and dedicated ones that are found by their
//! tags, which get a place on the board and lanes to their PostgreSQL, and leave when they are gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Hall, Seat, Seats, Voice, again};
use crate::clients::Environment;
use crate::clients::aws::AwsError;
use crate::clients::postgres::Target;
use crate::config::{Found, InstanceConfig, RdsPlace};
use crate::domain::facts::Source;
use crate::domain::facts::cloud::{
    AccountNews, Claim, CloudFragment, Discovered, Maintenance, Oddity, Rds, claim, oddities,
};
use crate::domain::observed::Trouble;
use crate::domain::{InstanceName, Layout, TenantId};
use crate::poll::board::News;
use crate::poll::lane::{Clocks, Lane, asked, lanes_of_dedicated};
use crate::sources::aws::{ByInstance, rds};

/// What changes by the day is asked this much more rarely than the instances themselves.
const RARER: u32 = 5;

/// One that is not told of any more is gone when it was not told of twice: an answer may be a moment old.
const MISSED: u32 = 2;

/// See the module.
pub(super) struct Finder {
    voice: Voice,
    hall: Arc<Hall>,
    clocks: Clocks,
    discover: bool,
    configured: Vec<(Seat, Option<TenantId>)>,
    found: HashMap<Arc<str>, Guest>,
    seats: watch::Sender<Seats>,
    rarer: Rarer,
}

/// What is asked more rarely.
#[derive(Default)]
struct Rarer {
    rounds: u32,
    /// By ARN; none: refused, or not asked yet.
    maintenance: Option<HashMap<String, Vec<Maintenance>>>,
    earliest: ByInstance<Timestamp>,
}

/// A dedicated instance that was found.
struct Guest {
    place: usize,
    name: InstanceName,
    tenant: Option<TenantId>,
    /// How we log in to it, or why we cannot; none: nobody can yet.
    way: Option<Result<InstanceConfig, String>>,
    /// Its lanes; they end with it.
    lanes: JoinSet<()>,
    missed: u32,
}

impl Finder {
    pub fn new(
        voice: Voice,
        hall: Arc<Hall>,
        clocks: Clocks,
        discover: bool,
        configured: Vec<(Seat, Option<TenantId>)>,
        seats: watch::Sender<Seats>,
    ) -> Self {
        let (found, rarer) = (HashMap::new(), Rarer::default());
        Self { voice, hall, clocks, discover, configured, found, seats, rarer }
    }

    /// Describes and finds until nobody listens any more.
    pub async fn run(mut self) {
        let mut failures = 0;
        loop {
            let (began, every) = (Instant::now(), self.voice.every(Source::Rds));
            match rds::instances(&self.voice.account).await {
                Ok(mut described) => {
                    failures = 0;
                    self.complete(&mut described).await;
                    self.take(described, every).await;
                }
                Err(error) => {
                    failures += 1;
                    self.failed(&error, every).await;
                }
            }
            if !self.voice.until(began + again(every, failures)).await {
                return;
            }
        }
    }

    /// Adds what other questions tell of them. Where these are refused, their part is not known.
    async fn complete(&mut self, described: &mut ByInstance<Rds>) {
        if self.rarer.rounds.is_multiple_of(RARER) {
            self.rarer.maintenance = rds::maintenance(&self.voice.account).await.ok();
            self.rarer.earliest = rds::earliest(&self.voice.account).await.unwrap_or_default();
        }
        self.rarer.rounds += 1;
        for (identifier, rds) in described {
            let pending = self.rarer.maintenance.as_ref();
            rds.maintenance = pending.map(|pending| pending.get(rds.arn.raw()).cloned().unwrap_or_default());
            rds.earliest_restorable = self.rarer.earliest.get(identifier).copied();
        }
    }

    async fn failed(&mut self, error: &AwsError, every: Duration) {
        let places = self.configured.iter().map(|(seat, _)| seat.place);
        for place in places.chain(self.found.values().map(|guest| guest.place)) {
            self.voice.failed(place, Source::Rds, error.trouble(), every).await;
        }
        self.voice.of_account(AccountNews::Failed(error.trouble())).await;
        // The others need not wait: figures are told of who is not described, too.
        if self.seats.borrow().is_none() {
            self.sit(&ByInstance::new());
        }
    }

    async fn take(&mut self, described: ByInstance<Rds>, every: Duration) {
        let described: ByInstance<Arc<Rds>> =
            described.into_iter().map(|(identifier, rds)| (identifier, Arc::new(rds))).collect();
        if self.discover {
            self.discover(&described).await;
        }
        self.sit(&described);
        let seats = self.seats.borrow().clone().unwrap_or_default();
        for seat in seats.iter() {
            match &seat.rds {
                Some(rds) => {
                    self.voice.delivered(seat.place, CloudFragment::Rds(Rds::clone(rds)), every).await;
                }
                None => {
                    let place = self.voice.account.place();
                    let trouble = Trouble::new(format!(
                        "RDS knows no PostgreSQL instance {} in {} (AWS {}): renamed, deleted, or in another account or \
                         region; check rds = …",
                        seat.identifier, place.region, place.name
                    ));
                    self.voice.failed(seat.place, Source::Rds, trouble, every).await;
                }
            }
        }
        let mut odd = oddities(described.iter().map(|(identifier, rds)| (identifier, &**rds)));
        odd.extend(self.configured.iter().filter_map(|(seat, tenant)| {
            let rds = described.get(&seat.identifier)?;
            let tag = rds.tags.get(crate::domain::facts::cloud::TENANT)?;
            let differs = tenant.as_ref().map(TenantId::as_str) != Some(tag.raw());
            let odd = Oddity::ConfiguredOtherwise { tag: tag.clone(), configured: tenant.clone() };
            differs.then(|| (Arc::clone(&seat.identifier), odd))
        }));
        let instances = u32::try_from(described.len()).unwrap_or(u32::MAX);
        let mut identifiers: Vec<Arc<str>> = described.into_keys().collect();
        identifiers.sort();
        self.voice.of_account(AccountNews::Described { instances, odd, identifiers }).await;
    }

    /// Seats everybody anew: the others learn of it at their next question.
    fn sit(&self, described: &ByInstance<Arc<Rds>>) {
        let configured = self.configured.iter().map(|(seat, _)| (seat.place, &seat.identifier));
        let found = self.found.iter().map(|(identifier, guest)| (guest.place, identifier));
        let mut seats: Vec<Seat> = configured
            .chain(found)
            .map(|(place, identifier)| Seat {
                place,
                identifier: Arc::clone(identifier),
                rds: described.get(identifier).cloned(),
            })
            .collect();
        seats.sort_by_key(|seat| seat.place);
        self.seats.send_replace(Some(Arc::new(seats)));
    }

    /// Finds, lets in, and sees off.
    async fn discover(&mut self, described: &ByInstance<Arc<Rds>>) {
        let mut identifiers: Vec<&Arc<str>> = described.keys().collect();
        identifiers.sort();
        for identifier in identifiers {
            let Some(rds) = described.get(identifier) else { continue };
            let Claim::Dedicated(tenant) = claim(&rds.tags) else { continue };
            if !self.is_configured(identifier, rds) {
                self.meet(identifier, tenant, rds).await;
            }
        }
        let is_dedicated = |rds: &Arc<Rds>| matches!(claim(&rds.tags), Claim::Dedicated(_));
        // Now that its address is known it turns out to be one of the configured: it is there already.
        let is_known =
            |identifier: &&Arc<str>| described.get(*identifier).is_some_and(|rds| self.is_configured(identifier, rds));
        let mut gone: Vec<Arc<str>> = self.found.keys().filter(is_known).cloned().collect();
        for (identifier, guest) in &mut self.found {
            let here = described.get(identifier).is_some_and(is_dedicated);
            guest.missed = if here { 0 } else { guest.missed + 1 };
            if guest.missed >= MISSED {
                gone.push(Arc::clone(identifier));
            }
        }
        for identifier in gone {
            self.see_off(&identifier).await;
        }
    }

    /// Whether it stands in the configuration, by its identifier or by where it is.
    fn is_configured(&self, identifier: &Arc<str>, rds: &Rds) -> bool {
        let named = self.configured.iter().any(|(seat, _)| seat.identifier == *identifier);
        let there = rds.endpoint.as_ref().map(|(host, port)| (host.raw().to_owned(), *port));
        named || there.is_some_and(|there| self.hall.addresses.contains(&there))
    }

    async fn meet(&mut self, identifier: &Arc<str>, tenant: Option<TenantId>, rds: &Arc<Rds>) {
        // Another's now: who it was is gone.
        if self.found.get(identifier).is_some_and(|guest| guest.tenant != tenant) {
            self.see_off(identifier).await;
        }
        let account = self.voice.account.place().clone();
        if !self.found.contains_key(identifier) {
            let (place, name) = (self.hall.place(), self.hall.name(&account.name, identifier));
            let found = Discovered {
                name: name.clone(),
                tenant: tenant.clone(),
                account: Arc::clone(&account.name),
                region: Arc::clone(&account.region),
                identifier: Arc::clone(identifier),
            };
            self.voice.tell(place, News::Found(found)).await;
            let guest = Guest { place, name, tenant: tenant.clone(), way: None, lanes: JoinSet::new(), missed: 0 };
            self.found.insert(Arc::clone(identifier), guest);
        }
        let Some(guest) = self.found.get(identifier) else { return };
        // While it is being made it has no address.
        let Some((host, port)) = &rds.endpoint else { return };
        let way = self.hall.dedicated.instance(
            &Found {
                name: guest.name.clone(),
                tenant,
                host: host.raw().to_owned(),
                port: *port,
                database: rds.database.as_ref().map(|database| database.raw().to_owned()),
                rds: RdsPlace { account: Arc::clone(&account.name), identifier: Arc::clone(identifier) },
            },
            &self.voice.account,
        );
        if guest.way.as_ref() != Some(&way) {
            self.log_in(identifier, way).await;
        }
    }

    /// Starts the lanes to its PostgreSQL, in the place of those that went elsewhere.
    async fn log_in(&mut self, identifier: &Arc<str>, way: Result<InstanceConfig, String>) {
        let few = self.found.len() <= FEW;
        let Some(guest) = self.found.get_mut(identifier) else { return };
        let (place, name) = (guest.place, guest.name.clone());
        guest.lanes.abort_all();
        let target = way.as_ref().map_err(Clone::clone).and_then(|instance| {
            let target = Target::parse(&instance.url, &Environment::of_process());
            target.map(|target| (instance, target)).map_err(|error| error.to_string())
        });
        let mut refused = None;
        match target {
            Ok((instance, target)) => {
                for sources in lanes_of_dedicated(few) {
                    let (clocks, news) = (self.clocks.clone(), self.voice.news.clone());
                    guest.lanes.spawn(Lane::new(place, instance, target.clone(), sources, clocks, news).run());
                }
                self.hall.found.send_modify(|found| {
                    let found = Arc::make_mut(found);
                    found.retain(|known| known.name != name);
                    found.push(instance.clone());
                });
            }
            Err(reason) => refused = Some(Trouble::new(reason)),
        }
        guest.way = Some(way);
        for source in refused.iter().flat_map(|_| asked(Layout::Schema)) {
            let trouble = refused.clone().unwrap_or_default();
            self.voice.failed(place, source, trouble, self.voice.every(source)).await;
        }
    }

    async fn see_off(&mut self, identifier: &Arc<str>) {
        let Some(guest) = self.found.remove(identifier) else { return };
        self.hall.leave(&guest.name);
        // Its lanes end here, before its place does: who is gone has no news.
        drop(guest.lanes);
        self.voice.tell(guest.place, News::Gone).await;
    }
}

/// Up to so many have a connection of their own for sessions; beyond, one for everything: sockets are not endless.
const FEW: usize = 64;
