//! The third half of a tenant: its secret in Vault. One that points to where no tenant is, and a tenant that has none where all
//! others have one. For `orphan`, which has the other two.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::domain::facts::{Content, Leads, Secrets};
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
