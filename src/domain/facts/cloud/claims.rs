//! What the tags of an RDS instance say of whose it is, and what is odd about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Rds;
use crate::domain::foreign::Foreign;
use crate::domain::ids::TenantId;

/// `StorageTier`: by which dedicated instances are found.
pub const TIER: &str = "StorageTier";

/// `TenantId`: whose it is.
pub const TENANT: &str = "TenantId";

/// What tags claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: it is none of ours, or one that is shared.
    Nothing,
    /// It is dedicated, to this tenant where that can be told.
    Dedicated(Option<TenantId>),
}

/// What is odd about the tags of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Oddity {
    /// Dedicated, and nobody says to whom.
    NoTenant,
    /// Dedicated to what is no tenant's id.
    NotATenant(Foreign),
    /// It names a tenant and no tier.
    NoTier(Foreign),
    /// The tier is neither `dedicated` nor `shared`.
    UnknownTier(Foreign),
    /// It is shared, and names a tenant.
    SharedWithTenant(Foreign),
    /// Others claim the same tenant.
    Contested {
        /// Which.
        tenant: TenantId,
        /// Who else: RDS identifiers.
        others: Vec<Arc<str>>,
    },
    /// The configuration says that it is another's.
    ConfiguredOtherwise {
        /// What the tag says.
        tag: Foreign,
        /// What the configuration says.
        configured: Option<TenantId>,
    },
}

/// Reads what the tags of an instance claim.
pub fn claim(tags: &BTreeMap<String, Foreign>) -> Claim {
    match tags.get(TIER).map(Foreign::raw) {
        Some("dedicated") => Claim::Dedicated(tenant(tags)),
        _ => Claim::Nothing,
    }
}

fn tenant(tags: &BTreeMap<String, Foreign>) -> Option<TenantId> {
    tags.get(TENANT).and_then(|id| TenantId::parse(id.raw()).ok())
}

/// What is odd about one instance's tags by themselves.
fn oddity(tags: &BTreeMap<String, Foreign>) -> Option<Oddity> {
    let id = tags.get(TENANT).filter(|id| !id.is_empty());
    match (tags.get(TIER).map(Foreign::raw).filter(|tier| !tier.is_empty()), id) {
        (Some("dedicated"), None) => Some(Oddity::NoTenant),
        (Some("dedicated"), Some(id)) => tenant(tags).is_none().then(|| Oddity::NotATenant(id.clone())),
        (Some("shared"), Some(id)) => Some(Oddity::SharedWithTenant(id.clone())),
        (Some("shared") | None, None) => None,
        (Some(tier), _) => Some(Oddity::UnknownTier(Foreign::from(tier))),
        (None, Some(id)) => Some(Oddity::NoTier(id.clone())),
    }
}

/// What is odd about the tags of these instances, by identifier.
pub fn oddities<'a>(instances: impl IntoIterator<Item = (&'a Arc<str>, &'a Rds)>) -> Vec<(Arc<str>, Oddity)> {
    let mut odd = Vec::new();
    let mut claimed: BTreeMap<TenantId, Vec<Arc<str>>> = BTreeMap::new();
    for (identifier, rds) in instances {
        odd.extend(oddity(&rds.tags).map(|oddity| (Arc::clone(identifier), oddity)));
        // Members of a cluster carry the same tags, and which of them writes is not told. Its replicas carry the same tags; one that is
        // being deleted has a successor by right, and one that is being made is nobody's home yet.
        let stays = rds.status.raw() != "deleting" && !rds.is_being_made();
        let stands_for_itself = rds.replica_of.is_none() && rds.cluster.is_none() && stays;
        if let (Claim::Dedicated(Some(tenant)), true) = (claim(&rds.tags), stands_for_itself) {
            claimed.entry(tenant).or_default().push(Arc::clone(identifier));
        }
    }
    for (tenant, identifiers) in claimed.into_iter().filter(|(_, identifiers)| identifiers.len() > 1) {
        for own in &identifiers {
            let others = identifiers.iter().filter(|it| *it != own).cloned().collect();
            odd.push((Arc::clone(own), Oddity::Contested { tenant: tenant.clone(), others }));
        }
    }
    odd.sort_by(|a, b| a.0.cmp(&b.0));
    odd
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rds(tags: &[(&str, &str)]) -> Rds {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), Foreign::from(*value))).collect();
        Rds { tags, ..Rds::default() }
    }

    #[test]
    fn tags_that_say_it_all_are_not_odd_and_others_say_what_they_lack() {
        let told = |tags: &[(&str, &str)]| oddity(&rds(tags).tags);
        assert_eq!(told(&[]), None);
        assert_eq!(told(&[(TIER, "dedicated"), (TENANT, "acme")]), None);
        assert_eq!(told(&[(TIER, "shared")]), None);
        assert_eq!(told(&[(TIER, "dedicated")]), Some(Oddity::NoTenant));
        assert_eq!(told(&[(TIER, "dedicated"), (TENANT, "No!")]), Some(Oddity::NotATenant(Foreign::from("No!"))));
        assert_eq!(told(&[(TENANT, "acme")]), Some(Oddity::NoTier(Foreign::from("acme"))));
        assert_eq!(told(&[(TIER, "Dedicated")]), Some(Oddity::UnknownTier(Foreign::from("Dedicated"))));
        assert_eq!(claim(&rds(&[(TIER, "dedicated"), (TENANT, "No!")]).tags), Claim::Dedicated(None));
        assert_eq!(claim(&rds(&[(TENANT, "acme")]).tags), Claim::Nothing);
    }

    #[test]
    fn two_that_claim_one_tenant_contest_it_and_replicas_do_not() {
        let own = rds(&[(TIER, "dedicated"), (TENANT, "acme")]);
        let replica = Rds { replica_of: Some(Foreign::from("a")), ..own.clone() };
        let leaving = Rds { status: Foreign::from("deleting"), ..own.clone() };
        let [a, b, c, d] = ["a", "b", "c", "d"].map(Arc::<str>::from);
        let odd = oddities([(&a, &own), (&b, &own), (&c, &replica), (&d, &leaving)]);
        let of = |other: &Arc<str>| Oddity::Contested {
            tenant: TenantId::parse("acme").unwrap(),
            others: vec![Arc::clone(other)],
        };
        assert_eq!(odd, [(Arc::clone(&a), of(&b)), (b, of(&a))]);
        assert_eq!(oddities([(&a, &own), (&c, &replica)]), []);
        let [made, restored] = ["creating", "restoring"].map(|it| Rds { status: Foreign::from(it), ..own.clone() });
        assert_eq!(oddities([(&a, &own), (&c, &made), (&d, &restored)]), []);
        let member = Rds { cluster: Some(Foreign::from("cluster")), ..own.clone() };
        assert_eq!(oddities([(&c, &member), (&d, &member)]), []);
    }
}
