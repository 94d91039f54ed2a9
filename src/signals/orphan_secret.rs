//! The third half of a tenant: its secret in Vault. One that points to where no tenant is, and a tenant that has none where all
//! others have one. For `orphan`, which has the other two.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::domain::facts::cloud::{AccountState, Cloud};
use crate::domain::facts::{Content, Leads, Pointing, Secrets};
use crate::domain::{Layout, Severity, Signal, TenantId};

use super::secret_mismatch::has_home;
use super::{Place, Scene, Verdicts};

/// What Vault's clock may differ from ours by.
const SKEW: SignedDuration = SignedDuration::from_secs(5);

/// What is wrong with each tenant, in words. `homes`: those who have a schema (a database) here; `read`: when that was seen.
pub(super) fn wrong(
    scene: &Scene<'_>,
    place: &Place<'_>,
    secrets: &Secrets,
    homes: &HashMap<TenantId, Option<u32>>,
    read: Option<Timestamp>,
    verdicts: &mut Verdicts,
) -> Vec<(TenantId, Severity, String)> {
    let mut wrong = Vec::new();
    if !secrets.is_whole() {
        return wrong;
    }
    let without: Vec<&TenantId> = homes.keys().filter(|tenant| secrets.of(tenant).is_none()).collect();
    let with = homes.len() - without.len();
    // One of very few says nothing of what is usual here; then the whole estate does.
    let usual = if homes.len() > 2 { (with, homes.len()) } else { (secrets.secrets.len(), scene.tenants.len()) };
    if usual.0 > 0 && usual.0 * 10 >= usual.1.saturating_sub(1) * 9 {
        for tenant in without {
            let words = format!("there is no secret {}", secrets.path_of(tenant));
            wrong.push((tenant.clone(), Severity::Warning, words));
        }
    } else if !without.is_empty() {
        let reason = format!(
            "{} of {} tenants have no secret at {}/{}: if they should, check vault.mount and naming.vault_path",
            without.len(),
            homes.len(),
            secrets.mount,
            secrets.path
        );
        verdicts.hidden(Signal::Orphan, place, &reason);
    }
    let word = if place.instance.layout == Layout::Schema { "schema" } else { "database" };
    for secret in &secrets.secrets {
        let Content::Points(pointing) = &secret.content else { continue };
        if !matches!(&pointing.leads, Leads::To(to) if to == place.name()) || homes.contains_key(&secret.tenant) {
            continue;
        }
        // One that was written after we looked belongs to somebody who was just made.
        let written = secret.version.and_then(|version| version.written);
        if written.zip(read).is_none_or(|(written, read)| read.duration_since(written) < SKEW) {
            continue;
        }
        let elsewhere = scene.tenants.partition_point(|it| it.id < secret.tenant);
        let rows = scene.tenants[elsewhere..].iter().take_while(|it| it.id == secret.tenant);
        // Where it is, its secret is held against that.
        if rows.into_iter().any(has_home) {
            continue;
        }
        let words = format!("its secret {} points here, and it has no {word}", secrets.path_of(&secret.tenant));
        wrong.push((secret.tenant.clone(), Severity::Info, words));
    }
    wrong
}

/// Secrets of tenants that live nowhere, and that lead to where no instance is. Said once, of the first instance.
pub(super) fn lost(scene: &Scene<'_>, place: &Place<'_>, secrets: &Secrets) -> Vec<(TenantId, Severity, String)> {
    let is_first = scene.instances.first().is_some_and(|first| first.name == *place.name());
    if !is_first || !secrets.is_whole() {
        return Vec::new();
    }
    let lives = |tenant: &TenantId| scene.tenants.binary_search_by(|it| it.id.cmp(tenant)).is_ok();
    let lost = secrets.secrets.iter().filter(|secret| !lives(&secret.tenant)).filter_map(|secret| {
        let Content::Points(pointing) = &secret.content else { return None };
        let nowhere = pointing.leads == Leads::Beside || gone(scene, pointing).is_some();
        let (host, port) = (pointing.host.as_ref()?, pointing.port?);
        let host: String = host.shown().chars().take(80).collect();
        let path = secrets.path_of(&secret.tenant);
        let words = format!("its secret {path} points to {host}:{port}, where no instance is, and it lives nowhere");
        nowhere.then(|| (secret.tenant.clone(), Severity::Warning, words))
    });
    lost.collect()
}

/// The instance of RDS that a secret's host was, where it is certain that there is none of that name: an endpoint is
/// `NAME.ACCOUNT'S OWN.REGION.rds.amazonaws.com`, and that account was described.
pub(super) fn gone<'p>(scene: &Scene<'_>, pointing: &'p Pointing) -> Option<&'p str> {
    let host = pointing.host.as_ref().filter(|_| pointing.leads == Leads::Elsewhere)?.raw();
    let (name, own, region) = endpoint(host)?;
    let of_account = |account: &AccountState| {
        let mut all = scene.instances.iter().filter_map(|instance| instance.cloud.as_deref());
        let ours = |cloud: &Cloud| {
            let at = cloud.rds.value.as_ref().and_then(|rds| rds.endpoint.as_ref());
            cloud.account == account.name && at.and_then(|(host, _)| endpoint(host.raw())).is_some_and(|it| it.1 == own)
        };
        *account.region == *region && account.error.is_none() && account.instances.is_some() && all.any(ours)
    };
    let account = scene.accounts.iter().find(|account| of_account(account))?;
    let is_there = account.identifiers.iter().any(|known| known.eq_ignore_ascii_case(name));
    (!is_there).then_some(name)
}

fn endpoint(host: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = host.trim().trim_end_matches('.').split_once('.')?;
    let (own, rest) = rest.split_once('.')?;
    Some((name, own, rest.strip_suffix(".rds.amazonaws.com")?))
}
