//! What checks said, for those that are judged by what rarely changes: a catalogue of ten thousand schemas is not read anew
//! each second to say the same.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::facts::cloud::{Backups, Oddity, Rds, Snapshots};
use crate::domain::facts::{Catalog, Roles, Secrets, Server, Source};
use crate::domain::{InstanceName, Observed, Signal, TenantId};

use super::orphan;
use super::orphan_tags;
use super::{Check, Doubt, Place, Raised, Scene, Verdicts};

/// What a check said.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub raised: Vec<Arc<Raised>>,
    pub doubts: Vec<Doubt>,
}

/// What it said it by, of one instance.
#[derive(Debug, Clone)]
struct Grounds {
    settled: u64,
    server: Option<Arc<Server>>,
    roles: Option<Arc<Roles>>,
    catalog: Option<Arc<Catalog>>,
    secrets: Option<Arc<Secrets>>,
    /// Why there are none. Orphans are looked for without them as well: that must not be dear while a Vault is away.
    unseen: Option<String>,
    everywhere: Arc<Everywhere>,
    rds: Option<Arc<Rds>>,
    snapshots: Option<Arc<Snapshots>>,
    backups: Option<Arc<Backups>>,
    /// What is odd about tags that concern it.
    odd: Vec<(String, String, Vec<Oddity>)>,
    /// And when the catalogue was read: what was written after that is not in it.
    read: Option<Timestamp>,
}

/// What it said it by, of all instances: the same for each, and so found once for all of them.
#[derive(Debug)]
struct Everywhere {
    /// Where secrets count, so does who lives elsewhere.
    elsewhere: u64,
    /// And which instances AWS knows of at all.
    described: Vec<Arc<Vec<Arc<str>>>>,
    /// Where RDS counts, so do tenants whose instance is being made.
    awaited: HashSet<TenantId>,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Sayings(HashMap<(Signal, InstanceName), (Grounds, Arc<Said>)>);

impl Sayings {
    /// What a check says now.
    pub fn ask(&mut self, check: &dyn Check, scene: &Scene<'_>, places: &[Place<'_>]) -> Vec<Arc<Said>> {
        let Some(sources) = check.grounds() else { return vec![say(check, scene, places)] };
        let everywhere = Arc::new(Everywhere::of(sources, scene));
        let each = |place: &Place<'_>| {
            let key = (check.signal(), place.instance.name.clone());
            let Some(grounds) = Grounds::of(place, sources, scene, &everywhere) else {
                self.0.remove(&key);
                return say(check, scene, std::slice::from_ref(place));
            };
            if let Some((before, said)) = self.0.get(&key)
                && before.are(&grounds)
            {
                return Arc::clone(said);
            }
            let said = say(check, scene, std::slice::from_ref(place));
            self.0.insert(key, (grounds, Arc::clone(&said)));
            said
        };
        places.iter().map(each).collect()
    }
}

fn say(check: &dyn Check, scene: &Scene<'_>, places: &[Place<'_>]) -> Arc<Said> {
    let mut verdicts = Verdicts::default();
    check.check(scene, places, &mut verdicts);
    Arc::new(Said { raised: verdicts.raised.into_iter().map(Arc::new).collect(), doubts: verdicts.doubts })
}

/// What AWS said, where that is asked for and it is asked at all; `None`: it is, and has not said it lately.
#[expect(clippy::option_option, reason = "nothing to see and nothing seen are two things")]
fn aws<T>(observed: Option<&Observed<Arc<T>>>, now: Timestamp) -> Option<Option<Arc<T>>> {
    let Some(observed) = observed else { return Some(None) };
    observed.fresh(now).map(|value| Some(Arc::clone(value)))
}

impl Everywhere {
    fn of(sources: &[Source], scene: &Scene<'_>) -> Self {
        let (by_secrets, by_rds) = (sources.contains(&Source::Secrets), sources.contains(&Source::Rds));
        let described = scene.accounts.iter().filter(|_| by_secrets);
        Self {
            elsewhere: if by_secrets { scene.instances.iter().map(|it| it.settled).sum() } else { 0 },
            described: described.map(|it| Arc::clone(&it.identifiers)).collect(),
            awaited: if by_rds { orphan::awaited(scene) } else { HashSet::new() },
        }
    }

    /// Whether they are the same. Lists are compared by what they are, not by what is in them.
    fn is(&self, other: &Self) -> bool {
        self.elsewhere == other.elsewhere
            && self.awaited == other.awaited
            && self.described.len() == other.described.len()
            && self.described.iter().zip(&other.described).all(|(one, other)| Arc::ptr_eq(one, other))
    }
}

impl Grounds {
    /// `None` while something is not seen: how old it is says something else each second.
    fn of(place: &Place<'_>, sources: &[Source], scene: &Scene<'_>, everywhere: &Arc<Everywhere>) -> Option<Self> {
        let instance = place.instance;
        let (roles, catalog) = (instance.roles.fresh(scene.now), instance.catalog.fresh(scene.now));
        let needs = |source| sources.contains(&source);
        let by_secrets = needs(Source::Secrets);
        let secrets = scene.estate.secrets.as_ref().filter(|_| by_secrets);
        let told = secrets.and_then(|secrets| secrets.fresh(scene.now));
        // What AWS tells of an instance that it knows of.
        let cloud = instance.cloud.as_deref();
        let rds = aws(cloud.map(|it| &it.rds).filter(|_| needs(Source::Rds)), scene.now)?;
        let snapshots = aws(cloud.map(|it| &it.snapshots).filter(|_| needs(Source::Snapshots)), scene.now)?;
        let backups = aws(cloud.map(|it| &it.backups).filter(|_| needs(Source::Backups)), scene.now)?;
        let seen = place.unseen().is_none()
            && (roles.is_some() || !needs(Source::Roles))
            && (catalog.is_some() || !needs(Source::Catalog));
        seen.then(|| Self {
            settled: instance.settled,
            server: instance.server.clone(),
            roles: roles.filter(|_| needs(Source::Roles)).cloned(),
            catalog: catalog.filter(|_| needs(Source::Catalog)).cloned(),
            secrets: told.cloned(),
            unseen: secrets.and_then(|secrets| secrets.missing(scene.now)),
            read: instance.catalog.at.filter(|_| by_secrets && needs(Source::Catalog)),
            odd: if needs(Source::Rds) {
                orphan_tags::of(scene, place).iter().map(orphan_tags::Odd::key).collect()
            } else {
                Vec::new()
            },
            everywhere: Arc::clone(everywhere),
            rds,
            snapshots,
            backups,
        })
    }

    /// Whether these are the very same: they are held, so nothing else can have come to stand where they stood.
    fn are(&self, other: &Self) -> bool {
        fn same<T>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
            match (one, other) {
                (Some(one), Some(other)) => Arc::ptr_eq(one, other),
                (None, None) => true,
                _ => false,
            }
        }
        self.settled == other.settled
            && self.everywhere.is(&other.everywhere)
            && self.unseen == other.unseen
            && self.read == other.read
            && self.odd == other.odd
            && same(self.rds.as_ref(), other.rds.as_ref())
            && same(self.snapshots.as_ref(), other.snapshots.as_ref())
            && same(self.backups.as_ref(), other.backups.as_ref())
            && same(self.secrets.as_ref(), other.secrets.as_ref())
            && same(self.server.as_ref(), other.server.as_ref())
            && same(self.roles.as_ref(), other.roles.as_ref())
            && same(self.catalog.as_ref(), other.catalog.as_ref())
    }
}
