//! What the tags of RDS instances claim and nobody can hold: a dedicated one that is nobody's, two for one tenant, tags that contradict
//! the configuration. For `orphan`, which has the other halves.

use crate::domain::facts::Source;
use crate::domain::facts::cloud::{AccountState, Cloud, Oddity, TENANT, TIER};
use crate::domain::foreign::sanitise;
use crate::domain::{Evidence, Foreign, InstanceName, Severity, Subject, SubjectKind, TenantId, Unit};

use super::told::command_in;
use super::words::and_more;
use super::{Place, Raised, Scene};

/// An instance in an account, and what is odd about its tags.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Odd<'a> {
    account: &'a AccountState,
    identifier: &'a str,
    oddities: Vec<&'a Oddity>,
}

/// What concerns an instance; the first of all also answers for those that are not among them.
pub(super) fn of<'a>(scene: &Scene<'a>, place: &Place<'a>) -> Vec<Odd<'a>> {
    let is_first = scene.instances.first().is_some_and(|first| first.name == *place.name());
    let here = |account: &AccountState, identifier: &str| {
        let cloud = place.instance.cloud.as_deref();
        cloud.is_some_and(|cloud| is_at(cloud, account, identifier))
    };
    let nowhere = |account: &AccountState, identifier: &str| {
        let mut all = scene.instances.iter().filter_map(|instance| instance.cloud.as_deref());
        !all.any(|cloud| is_at(cloud, account, identifier))
    };
    let mut found: Vec<Odd<'a>> = Vec::new();
    for account in scene.accounts {
        for (identifier, oddity) in &account.odd {
            if !(here(account, identifier) || is_first && nowhere(account, identifier)) {
                continue;
            }
            match found.iter_mut().find(|odd| odd.identifier == &**identifier && odd.account.name == account.name) {
                Some(odd) => odd.oddities.push(oddity),
                None => found.push(Odd { account, identifier, oddities: vec![oddity] }),
            }
        }
    }
    found
}

fn is_at(cloud: &Cloud, account: &AccountState, identifier: &str) -> bool {
    cloud.account == account.name && *cloud.identifier == *identifier
}

impl Odd<'_> {
    /// The same without what it was found in, to be held against what is found later.
    pub fn key(&self) -> (String, String, Vec<Oddity>) {
        let oddities = self.oddities.iter().map(|&oddity| oddity.clone()).collect();
        (self.account.name.to_string(), self.identifier.to_owned(), oddities)
    }
}

/// What is wrong with it; `None` where the other of two that claim one tenant says it.
pub(super) fn raise(place: &Place<'_>, odd: &Odd<'_>) -> Option<Raised> {
    let cloud = place.instance.cloud.as_deref().filter(|cloud| is_at(cloud, odd.account, odd.identifier));
    // A tenant is contested once, not by each who claims it.
    let told_by_another = |oddity: &&&Oddity| match oddity {
        Oddity::Contested { others, .. } => others.iter().any(|other| &**other < odd.identifier),
        _ => false,
    };
    let mine: Vec<&Oddity> = odd.oddities.iter().filter(|it| !told_by_another(it)).copied().collect();
    if mine.is_empty() {
        return None;
    }
    let name = cloud.map_or_else(|| sanitise(odd.identifier).into_owned(), |_| place.name().to_string());
    let words: Vec<String> = mine.iter().map(|oddity| words(oddity)).collect();
    let severity = mine.iter().map(|oddity| severity(oddity)).max().unwrap_or(Severity::Info);
    let victims: Vec<TenantId> = mine.iter().filter_map(|oddity| claimed(oddity)).collect();
    Some(Raised {
        severity,
        subject: if cloud.is_some() {
            place.subject()
        } else {
            let instance = InstanceName::new(odd.identifier);
            Subject { kind: SubjectKind::Instance, id: name.clone(), instance }
        },
        summary: and_more(&format!("RDS instance {name}: "), &words),
        evidence: vec![Evidence::against("things that do not fit", mine.len() as f64, 1.0, Unit::Count)],
        advice: advice(place, odd, &mine),
        statement: None,
        since: None,
        culprits: Vec::new(),
        victims,
        rests_on: vec![Source::Rds],
    })
}

fn severity(oddity: &Oddity) -> Severity {
    match oddity {
        // It is where it is, whatever the tag says.
        Oddity::SharedWithTenant(_) => Severity::Info,
        _ => Severity::Warning,
    }
}

fn claimed(oddity: &Oddity) -> Option<TenantId> {
    match oddity {
        Oddity::Contested { tenant, .. } => Some(tenant.clone()),
        Oddity::NoTier(tag) => TenantId::parse(tag.raw()).ok(),
        Oddity::ConfiguredOtherwise { configured, .. } => configured.clone(),
        _ => None,
    }
}

fn words(oddity: &Oddity) -> String {
    match oddity {
        Oddity::NoTenant => format!("{TIER} is dedicated, and no tag {TENANT} says to whom"),
        Oddity::NotATenant(tag) => format!("{TENANT} is {:?}, which is no tenant's id", brief(tag)),
        Oddity::NoTier(tag) => format!("{TENANT} is {:?}, and without a tag {TIER} it is not watched", brief(tag)),
        Oddity::UnknownTier(tag) => {
            format!("{TIER} is {:?}, neither shared nor dedicated: it is not watched", brief(tag))
        }
        Oddity::SharedWithTenant(tag) => format!("it is shared, and its tag {TENANT} is {:?}", brief(tag)),
        Oddity::Contested { tenant, others } => {
            let others: Vec<String> = others.iter().map(|other| sanitise(other).into_owned()).collect();
            format!("it and {} both claim {tenant}: which of them is its home is not clear", others.join(", "))
        }
        Oddity::ConfiguredOtherwise { tag, configured } => {
            let tag = brief(tag);
            match configured {
                Some(tenant) => format!("its tag {TENANT} is {tag:?}, and the configuration says {tenant}"),
                None => format!("its tag {TENANT} is {tag:?}, and the configuration names no tenant"),
            }
        }
    }
}

fn brief(tag: &Foreign) -> String {
    tag.shown().chars().take(40).collect()
}

fn advice(place: &Place<'_>, odd: &Odd<'_>, mine: &[&Oddity]) -> String {
    if mine.iter().any(|oddity| matches!(oddity, Oddity::Contested { .. })) {
        return "See where its secret points: that is its home; take the tags off the other, or delete it once nobody needs its data."
            .to_owned();
    }
    if mine.iter().any(|oddity| matches!(oddity, Oddity::ConfiguredOtherwise { .. })) {
        return "See which is right: correct tenant = … in the configuration, or the tag where it is made (Terraform)."
            .to_owned();
    }
    let rds = place.instance.cloud.as_deref().filter(|cloud| is_at(cloud, odd.account, odd.identifier));
    let arn = rds.and_then(|cloud| cloud.rds.value.as_ref()).map(|rds| rds.arn.raw().to_owned());
    let resource = arn.unwrap_or_else(|| format!("arn:aws:rds:{}:ACCOUNT:db:{}", odd.account.region, odd.identifier));
    let tags = command_in(
        &odd.account.region,
        "rds add-tags-to-resource",
        &[("--resource-name", &resource), ("--tags", "Key=TenantId,Value=TENANT")],
    );
    format!("Set its tags where it is made (Terraform), or by hand: {tags} (likewise {TIER}).")
}
