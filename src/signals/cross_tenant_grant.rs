//! `cross-tenant-grant`: a tenant's role, or everybody, has rights on what is another tenant's. The shared account and the
//! platform's own groups are not tenants: what they may is theirs to have, who is in them is not.

use std::collections::BTreeSet;

use crate::domain::facts::Source;
use crate::domain::quantity::plural;
use crate::domain::{Evidence, Layout, Severity, Signal, Subject, SubjectKind, TenantId, Tier, Unit};

use super::grants::{CLOSED, Crossing, REVOKED, crossings, revoke, take_open};
use super::words::{names, quoted};
use super::{Check, Place, Raised, Scene, Tour, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct CrossTenantGrant;

impl Check for CrossTenantGrant {
    fn signal(&self) -> Signal {
        Signal::CrossTenantGrant
    }

    fn about(&self) -> &'static str {
        "A tenant's role or PUBLIC has rights on another tenant's things; critical where it reaches rows"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Tenant, SubjectKind::Role, SubjectKind::Schema, SubjectKind::Database, SubjectKind::Instance]
    }

    fn holds(&self) -> bool {
        false
    }

    fn grounds(&self) -> Option<&'static [Source]> {
        Some(&[Source::Catalog])
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        // Where one tenant lives alone there is nobody else's.
        for place in places.iter().filter(|place| place.instance.tier == Tier::Shared) {
            let observed = &place.instance.catalog;
            let Some(catalog) = verdicts.seen(self.signal(), place, Source::Catalog, observed, scene.now) else {
                continue;
            };
            verdicts.partly_seen(
                self.signal(),
                place,
                Source::Catalog,
                &Tour::of(catalog, place.instance.catalog.every),
                scene.now,
            );
            let mut found = crossings(place, catalog);
            if place.instance.layout == Layout::Database {
                verdicts.raised.extend(raise_open(scene, place, &take_open(&mut found)));
            }
            for (subject, crossings) in found {
                verdicts.raised.extend(raise(scene, place, subject, &crossings));
            }
        }
    }
}

fn raise(scene: &Scene<'_>, place: &Place<'_>, subject: Subject, crossings: &[Crossing<'_>]) -> Option<Raised> {
    let worst = crossings.first()?;
    let more = match crossings.len() - 1 {
        0 => String::new(),
        more => format!("; {} like it", plural(more, "more right")),
    };
    let mut databases = BTreeSet::new();
    let mut owners = BTreeSet::new();
    for crossing in crossings.iter().take(REVOKED) {
        databases.insert(crossing.grant.database.to_string());
        owners.insert(quoted(crossing.grant.owner.raw()).into_owned());
    }
    let list = |names: BTreeSet<String>| {
        names.into_iter().filter(|it| !it.is_empty() && it != "\"\"").take(3).collect::<Vec<_>>().join(", ")
    };
    let (databases, owners) = (list(databases), list(owners));
    let within = if databases.is_empty() { String::new() } else { format!(" in {databases}") };
    let as_owner = if owners.is_empty() { String::new() } else { format!(" as the owner ({owners})") };
    let roles = place.instance.roles.fresh(scene.now);
    let revocation = revoke(place, roles.map(AsRef::as_ref), crossings.iter().take(REVOKED));
    let mut rest = String::new();
    if revocation.unkept > 0 {
        rest.push_str(
            " The tenant may have no other right than everybody's, and its login is not known: GRANT it to that first.",
        );
    }
    if revocation.unnamed > 0 {
        rest.push_str(
            " Where several objects are alike, look at each (\\dp, \\df+): ALL … IN SCHEMA takes from others too.",
        );
    }
    if revocation.keeps {
        rest.push_str(" Its GRANTs give nobody anything new: whose it is keeps what went by PUBLIC.");
    }
    let tenant = (subject.kind == SubjectKind::Tenant).then(|| TenantId::parse(&subject.id).ok()).flatten();
    let open = crossings.iter().filter(|it| it.severity == Severity::Critical).count() as f64;
    Some(Raised {
        severity: worst.severity,
        subject,
        summary: format!("on {} {} {}{more}", place.name(), worst.who, worst.may),
        evidence: vec![
            Evidence::against("rights that cross", crossings.len() as f64, 1.0, Unit::Count),
            Evidence::fact("of them on rows that are reached", open, Unit::Count),
        ],
        advice: format!(
            "Take it away{within}{as_owner}, once you know that nobody relies on it; then ask who gave it.{rest}"
        ),
        statement: revocation.statement,
        since: None,
        culprits: Vec::new(),
        victims: tenant.into_iter().collect(),
        rests_on: vec![Source::Catalog],
    })
}

/// Everybody gets into several tenants' databases, and that is all: one finding of all of them.
fn raise_open(scene: &Scene<'_>, place: &Place<'_>, doors: &[Crossing<'_>]) -> Option<Raised> {
    let worst = doors.first()?;
    let owner = |door: &Crossing<'_>| place.owner(&door.grant.database, &door.grant.schema);
    let owners: BTreeSet<TenantId> = doors.iter().filter_map(owner).collect();
    // Of many alike some are listed, and one of them says how many there are.
    let counted = doors.iter().map(|door| door.grant.objects as usize).max().unwrap_or_default();
    let many = counted.max(owners.len());
    let roles = place.instance.roles.fresh(scene.now);
    let revocation = revoke(place, roles.map(AsRef::as_ref), doors.iter().take(CLOSED));
    let unkept = match revocation.unkept {
        0 => String::new(),
        some => format!(
            " Of {} no login is known, which would be shut out as well: GRANT them CONNECT first.",
            plural(some, "tenant")
        ),
    };
    let more =
        if many > CLOSED { format!(" It takes {CLOSED} at a time: look again afterwards.") } else { String::new() };
    let shown = names(&owners);
    let among = if many > owners.len() {
        format!("{}, those of {shown} among them", plural(many, "database"))
    } else {
        format!("the databases of {} ({shown})", plural(many, "tenant"))
    };
    Some(Raised {
        severity: worst.severity,
        subject: place.subject(),
        summary: format!("on {} PUBLIC may CONNECT to {among}", place.name()),
        evidence: vec![Evidence::against("databases that everybody gets into", many as f64, 1.0, Unit::Count)],
        advice: format!(
            "Let each tenant's own logins in and take CONNECT from PUBLIC, once you know that nobody else relies on it.{unkept}{more}"
        ),
        statement: revocation.statement,
        since: None,
        culprits: Vec::new(),
        victims: owners.into_iter().collect(),
        rests_on: vec![Source::Catalog],
    })
}
