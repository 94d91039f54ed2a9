//! Quarantine a tenant that works as the account of everybody: its login binds nobody, so the fence shuts its schema instead.
//! Writes are refused, reads go on. Released, everybody may do again what they might.

use super::quarantine::Quarantining;
use super::{Intent, held};
use crate::domain::TenantId;
use crate::ops::estate::{Estate, Place};
use crate::ops::fence::{self, Around, Ground, Patience};
use crate::ops::id::OperationId;
use crate::ops::plan::{Plan, Refusals, SCHEMA, Subject, Target};

/// What is fenced for a tenant.
pub(in crate::ops) fn around(estate: &Estate, tenant: &TenantId) -> Around {
    let naming = &estate.naming;
    Around {
        target: 0,
        schema: naming.tenant_schema.name(tenant),
        logins: vec![naming.tenant_role.name(tenant), naming.tenant_login.name(tenant)],
        service: naming.service_account.clone(),
        budget: estate.fence_budget,
        patience: Patience::of(estate),
    }
}

/// Whether this is how to quarantine a tenant here: most work as the one account, and this one has a schema that it uses.
pub(super) fn is_it(place: &Place, ground: &Ground) -> bool {
    place.layout == crate::domain::Layout::Schema && ground.is_served()
}

/// Plans, or says why not. Pure.
pub(super) fn plan(
    intent: &Quarantining,
    around: &Around,
    ground: &Ground,
    target: Target,
    id: OperationId,
) -> Result<Plan, Refusals> {
    let Quarantining { tenant, instance } = intent;
    let Around { schema, service, .. } = around;
    let fencing = fence::plan(around, ground, &target)?;
    let mut warnings = vec![format!(
        "{tenant} works as {service}, which everybody does: its sessions cannot be told from others' and are not ended; what is shut is its schema"
    )];
    warnings.extend(fencing.warnings);
    Ok(Plan {
        schema: SCHEMA,
        id,
        kind: "quarantine".to_owned(),
        summary: format!("quarantine {tenant} on {instance}: writes in {schema} are refused, reads go on"),
        subjects: held(Some(tenant), Subject::Tenant { id: tenant.clone() }),
        targets: vec![target],
        affects: vec![
            format!("{tenant}: every write in {schema} is refused (SQLSTATE 42501) until it is released; reads go on"),
            format!(
                "{tenant}: transactions that write are waited for; new ones wait meanwhile, and are refused when the fence stands"
            ),
            "everybody else: nothing".to_owned(),
        ],
        facts: fencing.facts,
        warnings,
        steps: fencing.steps,
        confirm: tenant.to_string(),
        intent: Intent::Quarantine(intent.clone()),
    })
}
