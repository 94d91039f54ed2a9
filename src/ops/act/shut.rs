//! Quarantine a tenant that works as the account of everybody: its login binds nobody, so the fence shuts its schema instead.
//! Writes are refused, reads go on. Released, everybody may do again what they might.

use super::quarantine::Quarantining;
use super::{Intent, held};
use crate::clients::postgres::QueryError;
use crate::domain::TenantId;
use crate::ops::estate::Estate;
use crate::ops::fence::{self, Around, Ground, Patience};
use crate::ops::hands::Eyes;
use crate::ops::id::OperationId;
use crate::ops::plan::{Plan, Refusals, SCHEMA, Subject, Target};
use crate::ops::step::StepError;

/// What is fenced for a tenant, and which logins are its own: a name alone does not make one so.
pub(in crate::ops) async fn around(estate: &Estate, tenant: &TenantId, eyes: &mut Eyes) -> Result<Around, StepError> {
    let naming = &estate.naming;
    let (schema, role) = (naming.tenant_schema.name(tenant), naming.tenant_role.name(tenant));
    let mut logins = vec![role.clone(), naming.tenant_login.name(tenant)];
    let mut never: Vec<&str> = vec![&naming.service_account];
    never.extend(estate.places.iter().map(|place| place.monitor.as_str()));
    never.extend(estate.places.iter().filter_map(|place| Some(place.admin.as_ref().ok()?.target.user.as_str())));
    let strangers = include_str!("../../../assets/sql/ops/fence_strangers.sql");
    for row in eyes.desk(0).await?.rows(strangers, &[&schema, &logins, &role, &never]).await? {
        let stranger: String = row.try_get(0).map_err(QueryError::from)?;
        logins.retain(|login| *login != stranger);
    }
    let (service, budget) = (naming.service_account.clone(), estate.fence_budget);
    Ok(Around { target: 0, schema, logins, service, budget, patience: Patience::of(estate) })
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
    let mut affects = vec![
        format!("{tenant}: every write in {schema} is refused (SQLSTATE 42501) until it is released; reads go on"),
        format!(
            "{tenant}: transactions that write are waited for; new ones wait meanwhile, and are refused when the fence stands"
        ),
    ];
    let barred = ground.barred();
    if !barred.is_empty() {
        affects.push(format!("{}: may not log in until then, and its sessions end", barred.join(", ")));
    }
    affects.push("everybody else: nothing".to_owned());
    Ok(Plan {
        schema: SCHEMA,
        id,
        kind: "quarantine".to_owned(),
        summary: format!("quarantine {tenant} on {instance}: writes in {schema} are refused, reads go on"),
        subjects: held(Some(tenant), Subject::Tenant { id: tenant.clone() }),
        targets: vec![target],
        affects,
        facts: fencing.facts,
        warnings,
        steps: fencing.steps,
        confirm: tenant.to_string(),
        intent: Intent::Quarantine(intent.clone()),
    })
}
