//! `secret-mismatch`: a tenant's secret in Vault points elsewhere than where the tenant is, or not at all. Whoever reads it
//! works in another tenant's schema, or nowhere.
//!
//! Only what can be compared is: an address is one that the configuration names, or it is unknown whose it is.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::domain::facts::{Content, Leads, Pointing, Roles, Secrets, Source, TenantSecret};
use crate::domain::foreign::sanitise;
use crate::domain::quantity::{minute, plural};
use crate::domain::snapshot::Reach;
use crate::domain::{Evidence, Foreign, Layout, Severity, Signal, SubjectKind, Tenant, TenantId, Tier, Unit, Unknown};

use super::orphan_secret::gone;
use super::words::and_more;
use super::{Check, Doubt, Place, Raised, Scene, Verdicts};

/// Tenants that one doubt names.
const NAMED: usize = 3;

/// So many secrets that cannot be read are doubts of their own tenants; more are one of everybody's.
const FEW: usize = 20;

/// The check.
#[derive(Debug)]
pub(super) struct SecretMismatch;

impl Check for SecretMismatch {
    fn signal(&self) -> Signal {
        Signal::SecretMismatch
    }

    fn about(&self) -> &'static str {
        "A tenant's secret points elsewhere than where it lives: warning; to another tenant's home: critical"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Tenant]
    }

    fn holds(&self) -> bool {
        false
    }

    fn lingers(&self) -> bool {
        false
    }

    fn grounds(&self) -> Option<&'static [Source]> {
        Some(&[Source::Roles, Source::Secrets])
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        let Some(secrets) = verdicts.secrets(self.signal(), scene) else { return };
        for place in places {
            // Once, whichever instances are asked about.
            if scene.instances.first().is_some_and(|first| first.name == *place.name()) {
                doubts(scene, secrets, verdicts);
            }
            let few = secrets.secrets.iter().filter(|it| it.content == Content::Unread).count() <= FEW;
            let roles = match &place.instance.reach {
                // Found by its tags, and nobody logs in to it: whose it is and where is known all the same. Nothing rests on the
                // rest.
                Reach::Apart(reason) if !place.tenants.is_empty() && !leaves(place) => {
                    let reason = format!("only its address is compared: {}", sanitise(reason));
                    verdicts.hidden(self.signal(), place, &reason);
                    None
                }
                _ => {
                    let roles = &place.instance.roles;
                    let seen = verdicts.seen(self.signal(), place, Source::Roles, roles, scene.now);
                    let Some(roles) = seen else { continue };
                    Some(&**roles)
                }
            };
            let around = Around { scene, place, roles, secrets };
            for tenant in &place.tenants {
                let Some(secret) = secrets.of(&tenant.id) else { continue };
                if few && secret.content == Content::Unread {
                    let subject = place.about(SubjectKind::Tenant, tenant.id.as_str());
                    let reason = format!("{} could not be read", secrets.path_of(&tenant.id));
                    let unknown = Unknown { signal: self.signal(), subject, reason, known_at: None };
                    verdicts.doubts.push(Doubt::of(unknown, Some(Source::Secrets)));
                }
                let found = around.judge(tenant, secret);
                if !found.wrong.is_empty() {
                    verdicts.raised.push(around.raise(tenant, secret, found));
                }
            }
        }
    }
}

/// Whether RDS says that it is on its way out: its successor's address is right by then.
fn leaves(place: &Place<'_>) -> bool {
    let rds = place.instance.cloud.as_deref().and_then(|cloud| cloud.rds.value.as_deref());
    rds.is_none_or(|rds| rds.status.raw().starts_with("delet"))
}

/// What cannot be compared, of all tenants together: mostly it is the same for many.
fn doubts(scene: &Scene<'_>, secrets: &Secrets, verdicts: &mut Verdicts) {
    let mut unread: BTreeMap<&str, Vec<&TenantId>> = BTreeMap::new();
    let mut elsewhere: BTreeMap<String, Vec<&TenantId>> = BTreeMap::new();
    for secret in &secrets.secrets {
        match &secret.content {
            Content::Unread => {
                // What is said of each names its own path: all of them want the same.
                let why = secret.hidden.as_deref().unwrap_or("not told");
                let why = why.split_once("its policy needs ").map_or(why, |(_, line)| line);
                unread.entry(why).or_default().push(&secret.tenant);
            }
            // One that is known to be gone is told of its tenant.
            Content::Points(pointing) if pointing.leads == Leads::Elsewhere && gone(scene, pointing).is_none() => {
                let (host, port) = (pointing.host.as_ref().map(cut), pointing.port.unwrap_or_default());
                elsewhere.entry(format!("{}:{port}", host.unwrap_or_default())).or_default().push(&secret.tenant);
            }
            _ => {}
        }
    }
    for (why, tenants) in unread {
        let reason = format!("{} could not be read: it needs {why}", some(&tenants));
        verdicts.of_the_estate(Signal::SecretMismatch, reason, None, tenants.len() > FEW);
    }
    for (address, tenants) in elsewhere {
        let verb = if tenants.len() == 1 { "points" } else { "point" };
        let reason = format!(
            "{} {verb} to {address}, which the configuration does not know: if it is one of its instances, set its address",
            some(&tenants)
        );
        verdicts.of_the_estate(Signal::SecretMismatch, reason, None, false);
    }
}

/// `3 secrets (acme, globex, hooli)`
fn some(tenants: &[&TenantId]) -> String {
    let names = tenants.iter().take(NAMED).map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
    let more = if tenants.len() > NAMED { ", …" } else { "" };
    format!("{} ({names}{more})", plural(tenants.len(), "secret"))
}

/// Foreign names as a sentence bears them.
fn cut(text: &Foreign) -> String {
    let shown = text.shown();
    if shown.chars().count() <= 40 { shown.into_owned() } else { shown.chars().take(39).chain(['…']).collect() }
}

/// What is wrong with one secret.
#[derive(Debug, Default)]
struct Found {
    wrong: Vec<(Severity, String)>,
    /// Whose it opens instead.
    victims: Vec<TenantId>,
}

impl Found {
    fn say(&mut self, severity: Severity, words: impl Into<String>) {
        self.wrong.push((severity, words.into()));
    }
}

/// What a tenant's secret is held against.
struct Around<'a> {
    scene: &'a Scene<'a>,
    place: &'a Place<'a>,
    /// `None`: nobody logs in there, and it is here by its tags.
    roles: Option<&'a Roles>,
    secrets: &'a Secrets,
}

impl Around<'_> {
    fn judge(&self, tenant: &Tenant, secret: &TenantSecret) -> Found {
        let mut found = Found::default();
        let number = secret.version.map_or(0, |version| version.number);
        match &secret.content {
            // Said as a doubt.
            Content::Unread => {}
            Content::Nothing => found.say(Severity::Warning, "its secret has no version"),
            Content::Deleted => {
                found.say(
                    Severity::Warning,
                    format!("version {number} of its secret is deleted, and it has no newer one"),
                );
            }
            Content::Destroyed => {
                found.say(
                    Severity::Warning,
                    format!("version {number} of its secret is destroyed, and it has no newer one"),
                );
            }
            Content::Points(pointing) => {
                if let Some(at) = secret.version.and_then(|version| version.ends) {
                    found.say(Severity::Warning, format!("its secret deletes itself at {}", minute(at)));
                }
                self.others(tenant, pointing, &mut found);
                self.compare(tenant, pointing, &mut found);
                if let [odd, ..] = pointing.odd.as_slice() {
                    let more = if pointing.odd.len() > 1 {
                        format!(" and {} more", pointing.odd.len() - 1)
                    } else {
                        String::new()
                    };
                    found.say(
                        Severity::Warning,
                        format!("{odd}{more} in its secret cannot be read as what it should be"),
                    );
                }
            }
        }
        found
    }

    /// What is another tenant's is wrong wherever the address leads.
    fn others(&self, tenant: &Tenant, pointing: &Pointing, found: &mut Found) {
        let naming = self.place.naming();
        let (home, home_named, login) = match self.place.instance.layout {
            Layout::Schema => (&naming.tenant_schema, &pointing.schema, &naming.tenant_role),
            Layout::Database => (&naming.tenant_database, &pointing.database, &naming.tenant_login),
        };
        let word = self.home_word();
        for (what, named, template) in [(word, home_named, home), ("login", &pointing.username, login)] {
            let Some(named) = named.as_ref().filter(|named| !self.place.is_service_account(named.raw())) else {
                continue;
            };
            let Some(other) = template.id(named.raw()).filter(|other| *other != tenant.id) else { continue };
            // Only of one that there is.
            if self.scene.tenants.binary_search_by(|it| it.id.cmp(&other)).is_ok() {
                let of = if what == "login" { "logs in as" } else { "names" };
                found.say(Severity::Critical, format!("its secret {of} {}, the {what} of {other}", cut(named)));
                if !found.victims.contains(&other) {
                    found.victims.push(other);
                }
            }
        }
        if let Leads::To(to) = &pointing.leads
            && let Some(other) = self.scene.tenants.iter().find(|it| it.instance == *to && it.tier == Tier::Dedicated)
            && other.id != tenant.id
        {
            found.say(Severity::Critical, format!("its secret points to {to}, the instance of {}", other.id));
            if !found.victims.contains(&other.id) {
                found.victims.push(other.id.clone());
            }
        }
    }

    fn home_word(&self) -> &'static str {
        match self.place.instance.layout {
            Layout::Schema => "schema",
            Layout::Database => "database",
        }
    }

    fn compare(&self, tenant: &Tenant, pointing: &Pointing, found: &mut Found) {
        let here = self.place.name();
        match &pointing.leads {
            Leads::Elsewhere => {
                if let Some(name) = gone(self.scene, pointing) {
                    let name: String = Foreign::from(name).shown().chars().take(63).collect();
                    found.say(
                        Severity::Warning,
                        format!("its secret points to RDS instance {name}, which is not there"),
                    );
                }
            }
            Leads::Nowhere => {
                let missing: Vec<&str> = [("host", pointing.host.is_none()), ("port", pointing.port.is_none())]
                    .into_iter()
                    .filter_map(|(name, missing)| {
                        (missing && !pointing.odd.iter().any(|odd| odd == name)).then_some(name)
                    })
                    .collect();
                if !missing.is_empty() {
                    found.say(Severity::Warning, format!("its secret names no {}", missing.join(" and no ")));
                }
            }
            Leads::Beside => {
                let (host, port) = (pointing.host.as_ref().map(cut), pointing.port.unwrap_or_default());
                let host = host.unwrap_or_default();
                found.say(
                    Severity::Warning,
                    format!("its secret points to port {port} of {host}, where no instance is"),
                );
            }
            Leads::To(to) if to == here => {
                if let Some(roles) = self.roles {
                    self.compare_here(tenant, pointing, roles, found);
                }
            }
            Leads::To(to) => {
                let there = self.scene.tenants.iter().filter(|it| it.id == tenant.id && it.instance == *to);
                let (word, is_here) = (self.home_word(), has_home(tenant));
                let at_home_there = there.into_iter().any(has_home);
                if self.roles.is_none() {
                    // On its way there it has a home at its old place until the secret points to the new one.
                    let (severity, too) =
                        if at_home_there { (Severity::Info, ", where it has a home") } else { (Severity::Warning, "") };
                    if found.victims.is_empty() {
                        found.say(severity, format!("its tags put it here, and its secret points to {to}{too}"));
                    }
                } else if at_home_there {
                    if is_here {
                        found.say(
                            Severity::Info,
                            format!("it has a {word} here and one on {to}, where its secret points"),
                        );
                    }
                } else if is_here && found.victims.is_empty() {
                    found.say(Severity::Warning, format!("its {word} is here, and its secret points to {to}"));
                }
            }
        }
    }

    /// It leads here: to this tenant's own place?
    fn compare_here(&self, tenant: &Tenant, pointing: &Pointing, roles: &Roles, found: &mut Found) {
        let place = self.place;
        let schemas = place.instance.layout == Layout::Schema;
        let database = if schemas {
            place.instance.server.as_ref().map(|server| server.database.raw())
        } else {
            tenant.database.as_deref()
        };
        // By its name, because a schema without tables is in no counters.
        let schema = schemas.then(|| place.naming().tenant_schema.name(&tenant.id));
        let owned = |named: &Foreign| {
            // Said already, and louder.
            let naming = place.naming();
            let template = if schemas { &naming.tenant_schema } else { &naming.tenant_database };
            template.id(named.raw()).is_some_and(|other| found_in(&found.victims, &other))
        };
        // A pooler may call a database as it likes.
        let database = database.filter(|_| place.instance.pooler.is_none());
        let mut wrong = Vec::new();
        // On an instance of its own a secret needs no schema: its database's search_path is set to it.
        let optional = place.instance.tier == Tier::Dedicated;
        for (what, named, is, may_miss) in [
            ("database", &pointing.database, database, false),
            ("schema", &pointing.schema, schema.as_deref(), optional),
        ] {
            match (named, is) {
                (Some(named), Some(is)) if named.raw() != is && !owned(named) => {
                    wrong.push(format!("its secret names {what} {}, not {}", cut(named), cut(&Foreign::from(is))));
                }
                (None, Some(_)) if !may_miss && !pointing.odd.iter().any(|odd| odd == what) => {
                    wrong.push(format!("its secret names no {what}"));
                }
                _ => {}
            }
        }
        for words in wrong {
            found.say(Severity::Warning, words);
        }
        match &pointing.username {
            Some(username) => self.compare_login(tenant, username, pointing.has_password, roles, found),
            None if pointing.odd.iter().any(|odd| odd == "username") => {}
            None => found.say(Severity::Warning, "its secret names no username"),
        }
    }

    fn compare_login(&self, tenant: &Tenant, username: &Foreign, has_password: bool, roles: &Roles, found: &mut Found) {
        let name = username.raw();
        let own = self.place.role_owner(name).as_ref() == Some(&tenant.id) || tenant.role.as_deref() == Some(name);
        let shown = cut(username);
        match roles.roles.iter().find(|role| role.name == *username) {
            None => found.say(Severity::Warning, format!("its secret logs in as {shown}, and there is no such role")),
            Some(role) if role.superuser => {
                found.say(Severity::Critical, format!("its secret logs in as {shown}, a superuser"));
            }
            Some(role) if !role.can_login => {
                found.say(Severity::Warning, format!("its secret logs in as {shown}, which may not log in"));
            }
            Some(_) if own && !has_password && !self.place.is_service_account(name) => {
                found.say(Severity::Warning, format!("its secret logs in as {shown}, and holds no password"));
            }
            Some(_) if own || self.place.is_service_account(name) => {}
            // Another tenant's: said already.
            Some(_) if self.place.role_owner(name).is_some_and(|other| found_in(&found.victims, &other)) => {}
            Some(_) => {
                let account = self.place.service_account();
                found.say(
                    Severity::Warning,
                    format!("its secret logs in as {shown}, neither its own login nor {account}"),
                );
            }
        }
    }

    fn raise(&self, tenant: &Tenant, secret: &TenantSecret, found: Found) -> Raised {
        let Found { mut wrong, victims } = found;
        wrong.sort_by_key(|(severity, _)| Reverse(*severity));
        let severity = wrong.first().map_or(Severity::Info, |(severity, _)| *severity);
        let count = wrong.len() as f64;
        let lead = format!("{} on {}: ", tenant.id, self.place.name());
        let words: Vec<String> = wrong.into_iter().map(|(_, words)| words).collect();
        Raised {
            severity,
            subject: self.place.about(SubjectKind::Tenant, tenant.id.as_str()),
            summary: and_more(&lead, &words),
            evidence: vec![Evidence::against("things that do not fit", count, 1.0, Unit::Count)],
            advice: self.advice(tenant, secret, &victims),
            statement: None,
            since: None,
            culprits: vec![tenant.id.clone()],
            victims,
            rests_on: vec![if self.roles.is_some() { Source::Roles } else { Source::Rds }, Source::Secrets],
        }
    }

    fn advice(&self, tenant: &Tenant, secret: &TenantSecret, victims: &[TenantId]) -> String {
        let place = format!("-mount={} {}", self.secrets.mount, self.secrets.below_mount(&tenant.id));
        let number = secret.version.map_or(0, |version| version.number);
        match &secret.content {
            Content::Deleted => {
                return format!("If it should be there: vault kv undelete -versions={number} {place} brings it back.");
            }
            Content::Nothing | Content::Destroyed => {
                return format!("Write it anew: vault kv put {place} host=… port=… database=… schema=… username=….");
            }
            Content::Unread | Content::Points(_) => {}
        }
        if let [other, ..] = victims {
            let back = if number > 1 {
                format!("vault kv rollback -version={} {place} takes the version before, if that is right", number - 1)
            } else {
                format!("correct it with vault kv patch {place} …")
            };
            return format!(
                "Its applications may work on what is {other}'s: {back}; restart them, and look at what was written there."
            );
        }
        format!(
            "See which of the two is right: vault kv metadata get {place} says who wrote it; correct it with vault kv patch, \
             and restart its applications."
        )
    }
}

fn found_in(victims: &[TenantId], id: &TenantId) -> bool {
    victims.contains(id)
}

/// Whether it was found on its instance: a schema with tables, or a database of its own.
pub(super) fn has_home(tenant: &Tenant) -> bool {
    tenant.schema.is_some() || tenant.database.is_some()
}
