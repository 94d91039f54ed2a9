//! `orphan`: one half of a tenant is there and the other is not: a schema whose role is gone, a role whose schema is, a
//! secret without either, a registry that says something else; an instance of RDS whose tags nobody can hold. A schema that bears our own mark is no tenant's.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::domain::facts::cloud::TENANT;
use crate::domain::facts::{Catalog, Registered, Roles, Source};
use crate::domain::{Evidence, Layout, Severity, Signal, SubjectKind, TenantId, Tier, Unit};

use super::orphan_secret;
use super::orphan_tags;
use super::secret_mismatch::has_home;
use super::words::and_more;
use super::{Check, Place, Raised, Scene, Tour, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct Orphan;

impl Check for Orphan {
    fn signal(&self) -> Signal {
        Signal::Orphan
    }

    fn about(&self) -> &'static str {
        "A schema, role or secret without the others; a registry, or tags of RDS, that disagree"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Tenant, SubjectKind::Database, SubjectKind::Instance]
    }

    fn holds(&self) -> bool {
        false
    }

    fn grounds(&self) -> Option<&'static [Source]> {
        Some(&[Source::Roles, Source::Catalog, Source::Secrets, Source::Rds])
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        let secrets = verdicts.secrets(self.signal(), scene);
        let awaited = awaited(scene);
        for place in places {
            let instance = place.instance;
            let odd = orphan_tags::of(scene, place);
            verdicts.raised.extend(odd.iter().filter_map(|odd| orphan_tags::raise(place, odd)));
            if let Some(cloud) = &instance.cloud {
                verdicts.told(self.signal(), place, Source::Rds, &cloud.rds, scene.now);
            }
            let Some(roles) = verdicts.seen(self.signal(), place, Source::Roles, &instance.roles, scene.now) else {
                continue;
            };
            let Some(catalog) = verdicts.seen(self.signal(), place, Source::Catalog, &instance.catalog, scene.now)
            else {
                continue;
            };
            verdicts.partly_seen(
                self.signal(),
                place,
                Source::Catalog,
                &Tour::of(catalog, instance.catalog.every),
                scene.now,
            );
            // A dedicated instance's one tenant is named by the configuration, whatever its schema is called.
            let dedicated = instance.tier == Tier::Dedicated;
            let halves = if dedicated { Halves::dedicated(place) } else { Halves::of(place, roles, catalog) };
            let mut by_secrets = BTreeSet::new();
            let mut wrong = if dedicated { BTreeMap::new() } else { halves.wrong(place, catalog) };
            if let Some(secrets) = secrets {
                let mut more =
                    orphan_secret::wrong(scene, place, secrets, &halves.homes, instance.catalog.at, verdicts);
                more.extend(orphan_secret::lost(scene, place, secrets));
                for (tenant, severity, words) in more {
                    by_secrets.insert(tenant.clone());
                    wrong.entry(tenant).or_insert_with(Vec::new).push((severity, words));
                }
            }
            for (tenant, wrong) in wrong.into_iter().filter(|(tenant, _)| !awaited.contains(tenant)) {
                let more = by_secrets.contains(&tenant).then_some(Source::Secrets);
                let rests_on = [Source::Roles, Source::Catalog].into_iter().chain(more).collect();
                verdicts.raised.push(raise(place, tenant, wrong, rests_on));
            }
            if dedicated {
                continue;
            }
            let strangers = catalog.registry.iter().flatten().filter(|row| TenantId::parse(row.tenant.raw()).is_err());
            let strangers: Vec<&Registered> = strangers.collect();
            if let Some(first) = strangers.first() {
                verdicts.raised.push(unreadable(place, first, strangers.len()));
            }
        }
    }
}

/// Tenants whose own instance is being made, as its tag says: one half of them is there before the other, and that is as it should be.
pub(super) fn awaited(scene: &Scene<'_>) -> HashSet<TenantId> {
    let described = scene.instances.iter().filter_map(|it| it.cloud.as_deref()?.rds.fresh(scene.now));
    let tags = described.filter(|rds| rds.is_being_made()).filter_map(|rds| rds.tags.get(TENANT));
    tags.filter_map(|tag| TenantId::parse(tag.raw()).ok()).collect()
}

/// What there is of each tenant.
struct Halves {
    /// Tenants with a schema (a database), and how many tables are in it where that is known.
    homes: HashMap<TenantId, Option<u32>>,
    roles: HashSet<TenantId>,
    /// Those whose schema is ours now.
    put_aside: HashSet<TenantId>,
}

impl Halves {
    /// Of a dedicated instance only that its tenant lives there.
    fn dedicated(place: &Place<'_>) -> Self {
        let homes = place.tenants.iter().filter(|tenant| has_home(tenant));
        let homes = homes.map(|tenant| (tenant.id.clone(), None)).collect();
        Self { homes, roles: HashSet::new(), put_aside: HashSet::new() }
    }

    fn of(place: &Place<'_>, roles: &Roles, catalog: &Catalog) -> Self {
        let naming = place.naming();
        let mut halves = Self {
            homes: HashMap::new(),
            roles: roles.roles.iter().filter_map(|role| place.role_owner(role.name.raw())).collect(),
            put_aside: HashSet::new(),
        };
        match place.instance.layout {
            Layout::Schema => {
                for schema in &catalog.schemas {
                    let Some(tenant) = naming.tenant_schema.id(schema.name.raw()) else { continue };
                    if schema.is_ours() {
                        halves.put_aside.insert(tenant);
                    } else {
                        halves.homes.insert(tenant, Some(schema.tables));
                    }
                }
            }
            Layout::Database => {
                let databases = place.instance.databases.value.iter().flat_map(|databases| databases.iter());
                let found = databases.filter_map(|database| naming.tenant_database.id(database.name.raw()));
                halves.homes.extend(found.map(|tenant| (tenant, None)));
            }
        }
        halves
    }

    /// What is wrong with each tenant, in words.
    fn wrong(&self, place: &Place<'_>, catalog: &Catalog) -> BTreeMap<TenantId, Vec<(Severity, String)>> {
        let naming = place.naming();
        let (home_template, role_template, home_word) = match place.instance.layout {
            Layout::Schema => (&naming.tenant_schema, &naming.tenant_role, "schema"),
            Layout::Database => (&naming.tenant_database, &naming.tenant_login, "database"),
        };
        let mut wrong: BTreeMap<TenantId, Vec<(Severity, String)>> = BTreeMap::new();
        let mut say = |tenant: &TenantId, severity, words: String| {
            wrong.entry(tenant.clone()).or_default().push((severity, words));
        };
        for (tenant, tables) in &self.homes {
            if !self.roles.contains(tenant) {
                let (home, role) = (home_template.name(tenant), role_template.name(tenant));
                let tables = tables.map(|tables| format!(" ({tables} tables)")).unwrap_or_default();
                say(tenant, Severity::Warning, format!("{home_word} {home}{tables} has no role {role}"));
            }
        }
        for tenant in &self.roles {
            let home = home_template.name(tenant);
            if self.put_aside.contains(tenant) {
                continue;
            }
            // One that was made after the catalogue was read is among the counters already.
            let just_made = place.tenant(tenant).is_some_and(|row| row.schema.is_some());
            if !self.homes.contains_key(tenant) && !just_made {
                say(tenant, Severity::Info, format!("role {} has no {home_word} {home}", role_template.name(tenant)));
            }
        }
        let Some(registry) = &catalog.registry else { return wrong };
        let mut registered = BTreeSet::new();
        for row in registry {
            let Ok(tenant) = TenantId::parse(row.tenant.raw()) else { continue };
            let home = home_template.name(&tenant);
            let here = self.homes.contains_key(&tenant);
            if let Some(schema) = row.schema.as_ref().filter(|schema| schema.raw() != home && here) {
                say(&tenant, Severity::Warning, format!("the registry says {schema}, and its {home_word} is {home}"));
            }
            match row.tier.raw() {
                "shared" if !here && !self.put_aside.contains(&tenant) => {
                    say(
                        &tenant,
                        Severity::Warning,
                        format!("the registry says shared, and there is no {home_word} {home}"),
                    );
                }
                "dedicated" if here => {
                    say(
                        &tenant,
                        Severity::Info,
                        format!("the registry says dedicated, and {home_word} {home} is still here"),
                    );
                }
                _ => {}
            }
            registered.insert(tenant);
        }
        for tenant in self.homes.keys().filter(|tenant| !registered.contains(*tenant)) {
            say(tenant, Severity::Info, "it is not in the registry".to_owned());
        }
        wrong
    }
}

fn raise(place: &Place<'_>, tenant: TenantId, mut wrong: Vec<(Severity, String)>, rests_on: Vec<Source>) -> Raised {
    wrong.sort_by_key(|(severity, _)| std::cmp::Reverse(*severity));
    let severity = wrong.first().map_or(Severity::Info, |(severity, _)| *severity);
    let count = wrong.len() as f64;
    let words: Vec<String> = wrong.into_iter().map(|(_, words)| words).collect();
    Raised {
        severity,
        subject: place.about(SubjectKind::Tenant, tenant.as_str()),
        summary: and_more(&format!("{tenant} on {}: ", place.name()), &words),
        evidence: vec![Evidence::against("things that do not fit", count, 1.0, Unit::Count)],
        advice: "Find out whether it was made or removed by half: make what is missing, or remove what is left once nobody needs its \
                 data."
            .to_owned(),
        statement: None,
        since: None,
        culprits: vec![tenant],
        victims: Vec::new(),
        rests_on,
    }
}

/// Rows of the registry that name no tenant.
fn unreadable(place: &Place<'_>, first: &Registered, count: usize) -> Raised {
    let database = place.instance.server.as_ref().map(|server| server.database.clone()).unwrap_or_default();
    let name: String = first.tenant.shown().chars().take(40).collect();
    Raised {
        severity: Severity::Info,
        subject: place.about(SubjectKind::Database, database.raw()),
        summary: format!(
            "the registry on {} has {count} whose tenant_id is no tenant's id, such as {name:?}",
            place.name()
        ),
        evidence: vec![Evidence::against("things that do not fit", count as f64, 1.0, Unit::Count)],
        advice: "Correct tenant_storage_tiers: ids are lower-case letters, digits and inner hyphens.".to_owned(),
        statement: None,
        since: None,
        culprits: Vec::new(),
        victims: Vec::new(),
        rests_on: vec![Source::Roles, Source::Catalog],
    }
}
