//! `cross-tenant-grant`: a tenant's role, or everybody, has rights on what is another tenant's. The shared account and the
//! platform's own groups are not tenants: what they may is theirs to have, who is in them is not.

use std::collections::BTreeSet;

use crate::domain::facts::Source;
use crate::domain::quantity::plural;
use crate::domain::{Evidence, Severity, Signal, Subject, SubjectKind, TenantId, Tier, Unit};

use super::grants::{Crossing, crossings, revoke};
use super::words::quoted;
use super::{Check, Place, Raised, Scene, Tour, Verdicts};

/// How many statements are offered at once.
const REVOKED: usize = 6;

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
        &[SubjectKind::Tenant, SubjectKind::Role, SubjectKind::Schema, SubjectKind::Database]
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
            for (subject, crossings) in crossings(place, catalog) {
                verdicts.raised.extend(raise(place, subject, &crossings));
            }
        }
    }
}

fn raise(place: &Place<'_>, subject: Subject, crossings: &[Crossing<'_>]) -> Option<Raised> {
    let worst = crossings.first()?;
    let more = match crossings.len() - 1 {
        0 => String::new(),
        more => format!("; {} like it", plural(more, "more right")),
    };
    let mut statements = Vec::new();
    let mut databases = BTreeSet::new();
    let mut owners = BTreeSet::new();
    for crossing in crossings.iter().take(REVOKED) {
        statements.push(revoke(crossing.grant));
        databases.insert(crossing.grant.database.to_string());
        owners.insert(quoted(crossing.grant.owner.raw()).into_owned());
    }
    let list = |names: BTreeSet<String>| {
        names.into_iter().filter(|it| !it.is_empty() && it != "\"\"").take(3).collect::<Vec<_>>().join(", ")
    };
    let (databases, owners) = (list(databases), list(owners));
    let within = if databases.is_empty() { String::new() } else { format!(" in {databases}") };
    let as_owner = if owners.is_empty() { String::new() } else { format!(" as the owner ({owners})") };
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
            "Take it away{within}{as_owner}, once you know that nobody relies on it; then ask who gave it."
        ),
        statement: Some(statements.join(" ")),
        since: None,
        culprits: Vec::new(),
        victims: tenant.into_iter().collect(),
        rests_on: vec![Source::Catalog],
    })
}
