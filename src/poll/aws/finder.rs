//! Source `rds`, and with it who there is: configured instances that RDS describes, and dedicated ones that are found by their
//! tags, which get a place on the board and lanes to their PostgreSQL, and leave when they are gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::aside::Asides;
use super::{Hall, Seat, Seats, Voice, again};
use crate::clients::Environment;
use crate::clients::aws::{Account, AwsError};
use crate::clients::postgres::Target;
use crate::config::{Dedicated, Found, InstanceConfig, RdsPlace};
use crate::domain::facts::Source;
use crate::domain::facts::cloud::{AccountNews, Claim, CloudFragment, Discovered, Oddity, Rds, claim, oddities};
use crate::domain::observed::Trouble;
use crate::domain::{InstanceName, TenantId};
use crate::poll::board::News;
use crate::poll::lane::{Clocks, Lane, lanes_of_dedicated};
use crate::sources::aws::{ByInstance, rds};
use crate::sources::vault::Door;

/// One that is not told of any more is gone when it was not told of twice: an answer may be a moment old.
const MISSED: u32 = 2;

/// Up to so many have a connection of their own for sessions; beyond, one for everything: sockets are not endless.
const FEW: usize = 64;

/// What RDS calls an instance whose PostgreSQL is not there, and is not meant to be: that is no outage.
const AWAY: [&str; 6] = ["creating", "deleting", "delete-precheck", "starting", "stopping", "stopped"];

/// Whoever is being made is looked for so often: it is waited for.
const SOON: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Finder {
    voice: Voice,
    hall: Arc<Hall>,
    clocks: Clocks,
    discover: bool,
    configured: Vec<Known>,
    found: HashMap<Arc<str>, Guest>,
    /// How many are dedicated by their tags.
    crowd: usize,
    seats: watch::Sender<Seats>,
    /// The newest description of everybody.
    described: ByInstance<Arc<Rds>>,
    asides: Asides,
}

/// An instance of the configuration.
pub(super) struct Known {
    pub seat: Seat,
    pub name: InstanceName,
    pub tenant: Option<TenantId>,
}

/// A dedicated instance that was found.
struct Guest {
    place: usize,
    name: InstanceName,
    tenant: Option<TenantId>,
    /// How we log in to it, or why nobody does; none: not decided yet.
    way: Option<Result<InstanceConfig, Arc<str>>>,
    /// It has no address, and will have one soon.
    is_being_made: bool,
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
        configured: Vec<Known>,
        seats: watch::Sender<Seats>,
    ) -> Self {
        let (found, described) = (HashMap::new(), ByInstance::new());
        let asides = Asides::start(&voice);
        Self { voice, hall, clocks, discover, configured, found, crowd: 0, seats, described, asides }
    }

    /// Describes and finds until nobody listens any more.
    pub async fn run(mut self) {
        let mut failures = 0;
        loop {
            let (began, every) = (Instant::now(), self.voice.every(Source::Rds));
            match rds::instances(&self.voice.account).await {
                Ok(described) => {
                    failures = 0;
                    self.take(described, every).await;
                }
                Err(error) => {
                    failures += 1;
                    self.failed(&error, every).await;
                }
            }
            let is_awaited = self.found.values().any(|guest| guest.is_being_made);
            let next = began + again(if is_awaited { every.min(SOON) } else { every }, failures);
            loop {
                tokio::select! {
                    alive = self.voice.until(next) => {
                        if !alive {
                            return;
                        }
                        break;
                    }
                    // Told at once with what else is known: the next round may be far.
                    () = self.asides.changed() => {
                        if failures == 0 {
                            self.tell(every).await;
                        }
                    }
                }
            }
        }
    }

    async fn failed(&mut self, error: &AwsError, every: Duration) {
        let places = self.configured.iter().map(|known| known.seat.place);
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
        for known in &self.configured {
            // Applications may know it by RDS's name, whatever we call it.
            let described = described.get(&known.seat.identifier);
            if let Some((host, port)) = described.and_then(|rds| rds.endpoint.as_ref()) {
                self.hall.door(Door { instance: known.name.clone(), host: host.raw().to_owned(), port: *port });
            }
        }
        self.sit(&described);
        self.described = described;
        self.hall.spoken(&self.voice.account.place().name);
        self.tell(every).await;
        let described = &self.described;
        let mut odd = oddities(described.iter().map(|(identifier, rds)| (identifier, &**rds)));
        odd.extend(self.configured.iter().filter_map(|Known { seat, tenant, .. }| {
            let rds = described.get(&seat.identifier)?;
            let tag = rds.tags.get(crate::domain::facts::cloud::TENANT)?;
            let differs = tenant.as_ref().map(TenantId::as_str) != Some(tag.raw());
            let odd = Oddity::ConfiguredOtherwise { tag: tag.clone(), configured: tenant.clone() };
            differs.then(|| (Arc::clone(&seat.identifier), odd))
        }));
        let instances = u32::try_from(described.len()).unwrap_or(u32::MAX);
        let mut identifiers: Vec<Arc<str>> = described.keys().cloned().collect();
        identifiers.sort();
        self.voice.of_account(AccountNews::Described { instances, odd, identifiers }).await;
    }

    /// Tells everybody's place how RDS describes it.
    async fn tell(&self, every: Duration) {
        let seats = self.seats.borrow().clone().unwrap_or_default();
        for seat in seats.iter() {
            if let Some(rds) = &seat.rds {
                let rds = self.asides.complete(Rds::clone(rds));
                self.voice.delivered(seat.place, CloudFragment::Rds(rds), every).await;
                continue;
            }
            let place = self.voice.account.place();
            let trouble = Trouble::new(format!(
                "RDS knows no PostgreSQL instance {} in {} (AWS {}): renamed, deleted, or in another account or region; \
                 check rds = …",
                seat.identifier, place.region, place.name
            ));
            self.voice.failed(seat.place, Source::Rds, trouble, every).await;
        }
    }

    /// Seats everybody anew: the others learn of it at their next question.
    fn sit(&self, described: &ByInstance<Arc<Rds>>) {
        let configured = self.configured.iter().map(|known| (known.seat.place, &known.seat.identifier));
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
        self.crowd = described.values().filter(|rds| matches!(claim(&rds.tags), Claim::Dedicated(_))).count();
        let mut identifiers: Vec<&Arc<str>> = described.keys().collect();
        identifiers.sort();
        for identifier in identifiers {
            let Some(rds) = described.get(identifier) else { continue };
            let Claim::Dedicated(tenant) = claim(&rds.tags) else { continue };
            if !self.is_configured(identifier, rds) {
                let fellows = described.values().filter(|it| it.cluster.is_some() && it.cluster == rds.cluster).count();
                self.meet(identifier, tenant, rds, fellows).await;
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
        let named = self.configured.iter().any(|known| known.seat.identifier == *identifier);
        let there = rds.endpoint.as_ref().map(|(host, port)| (host.raw().to_owned(), *port));
        named || there.is_some_and(|there| self.hall.addresses.contains(&there))
    }

    /// `fellows`: how many members its cluster has, if it is of one.
    async fn meet(&mut self, identifier: &Arc<str>, tenant: Option<TenantId>, rds: &Arc<Rds>, fellows: usize) {
        // A replica carries its source's tags: the tenant's home is there, and is not told of twice. Nor is it known which of a
        // cluster's members writes.
        let tenant = tenant.filter(|_| rds.replica_of.is_none() && fellows <= 1);
        // Another's now: who it was is gone.
        if self.found.get(identifier).is_some_and(|guest| guest.tenant != tenant) {
            self.see_off(identifier).await;
        }
        if !self.found.contains_key(identifier) {
            let account = self.voice.account.place();
            let (place, name) = (self.hall.place(), self.hall.name(&account.name, identifier));
            let found = Discovered {
                name: name.clone(),
                tenant: tenant.clone(),
                account: Arc::clone(&account.name),
                region: Arc::clone(&account.region),
                identifier: Arc::clone(identifier),
            };
            self.voice.tell(place, News::Found(found)).await;
            let lanes = JoinSet::new();
            let guest = Guest { place, name, tenant, way: None, is_being_made: false, lanes, missed: 0 };
            self.found.insert(Arc::clone(identifier), guest);
        }
        let Some(guest) = self.found.get_mut(identifier) else { return };
        guest.is_being_made = rds.endpoint.is_none() && rds.status.raw() == "creating";
        self.hall.lead(&guest.name, rds.endpoint.as_ref().map(|(host, port)| (host.raw(), *port)));
        let found = (guest.name.clone(), guest.tenant.clone());
        let way = if fellows > 1 {
            Err(format!("it is one of {fellows} members of {}; AWS is asked about it", cluster(rds)).into())
        } else {
            way(&self.hall.dedicated, &self.voice.account, found, identifier, rds)
        };
        if guest.way.as_ref() != Some(&way) {
            self.stand(identifier, way).await;
        }
    }

    /// Starts the lanes to its PostgreSQL in the place of those that went elsewhere, or ends them.
    async fn stand(&mut self, identifier: &Arc<str>, way: Result<InstanceConfig, Arc<str>>) {
        let few = self.crowd <= FEW;
        let Some(guest) = self.found.get_mut(identifier) else { return };
        // What they have to say is said before anything else is: an outage after a leave would be one for ever.
        guest.lanes.shutdown().await;
        match &way {
            Ok(instance) => {
                self.voice.tell(guest.place, News::Apart(None)).await;
                self.hall.enter(instance.clone());
                let Ok(target) = Target::parse(&instance.url, &Environment::of_process()) else { return };
                for sources in lanes_of_dedicated(few) {
                    let crowd = Some(self.hall.found.subscribe());
                    let (clocks, news) = (Clocks { crowd, ..self.clocks.clone() }, self.voice.news.clone());
                    guest.lanes.spawn(Lane::new(guest.place, instance, target.clone(), sources, clocks, news).run());
                }
            }
            Err(reason) => {
                self.hall.close(&guest.name);
                self.voice.tell(guest.place, News::Apart(Some(Arc::clone(reason)))).await;
            }
        }
        guest.way = Some(way);
    }

    async fn see_off(&mut self, identifier: &Arc<str>) {
        let Some(mut guest) = self.found.remove(identifier) else { return };
        self.hall.leave(&guest.name);
        // Its lanes end here, before its place does: who is gone has no news.
        guest.lanes.shutdown().await;
        self.voice.tell(guest.place, News::Gone).await;
    }
}

fn cluster(rds: &Rds) -> String {
    rds.cluster.as_ref().map_or_else(|| "a cluster".to_owned(), |cluster| format!("cluster {}", cluster.shown()))
}

/// How we log in to the PostgreSQL of one that was found, or why nobody does.
pub(super) fn way(
    dedicated: &Dedicated,
    account: &Account,
    (name, tenant): (InstanceName, Option<TenantId>),
    identifier: &Arc<str>,
    rds: &Rds,
) -> Result<InstanceConfig, Arc<str>> {
    if let Some(source) = &rds.replica_of {
        return Err(format!("it is a read replica of {}; AWS is asked about it", source.shown()).into());
    }
    if AWAY.contains(&rds.status.raw()) {
        return Err(format!("RDS says that it is {}", rds.status.raw()).into());
    }
    let Some((host, port)) = &rds.endpoint else {
        return Err(format!("it has no address yet; RDS says that it is {}", rds.status.shown()).into());
    };
    let found = Found {
        name,
        tenant,
        host: host.raw().to_owned(),
        port: *port,
        database: rds.database.as_ref().map(|database| database.raw().to_owned()),
        rds: RdsPlace { account: Arc::clone(&account.place().name), identifier: Arc::clone(identifier) },
    };
    let way = dedicated.instance(&found, account)?;
    Target::parse(&way.url, &Environment::of_process()).map_err(|error| error.to_string())?;
    Ok(way)
}
