//! Policy against actual, for some tenants or for all of an instance.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::limits::{Login, Stored, Wanted};
use super::step::{Guard, Guarded};
use crate::domain::quantity::plural;
use crate::domain::{InstanceName, TenantId};
use crate::ops::act::{Action, Intent, may_not_alter};
use crate::ops::id::OperationId;
use crate::ops::plan::{Fact, Plan, PlannedStep, Refusals, SCHEMA, Subject, Target};

/// How many logins are changed together: each such step is done or not, and can be gone on from.
const TOGETHER: usize = 20;

/// How many names a sentence holds.
const NAMED: usize = 10;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guarding {
    /// Where.
    pub instance: InstanceName,
    /// Whom; nobody: everybody.
    pub tenants: Vec<TenantId>,
    /// What the policy wants of everybody.
    pub policy: Wanted,
    /// Of whom it wants something else.
    pub own: BTreeMap<TenantId, Wanted>,
}

fn some(names: &[String]) -> String {
    match names.len().checked_sub(NAMED) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..NAMED].join(", ")),
    }
}

fn facts(login: &str, stored: &Stored, wanted: &Wanted) -> Vec<Fact> {
    let mut facts = Vec::new();
    if wanted.connections.is_some() {
        facts.push(Fact { name: format!("{login}: connection limit"), value: stored.connections.to_string() });
    }
    for name in wanted.settings.keys() {
        let value = stored.settings.get(name).cloned().unwrap_or_else(|| "not set".to_owned());
        facts.push(Fact { name: format!("{login}: {name}"), value });
    }
    facts
}

/// Why the policy cannot be applied to a login, though something differs.
fn hindrance(login: &Login, lacking: &Wanted, target: &Target, service: &str) -> Option<String> {
    let Login { name, in_databases, .. } = login;
    if !login.may_enter {
        return Some(format!(
            "{name} may not log in: its tenant works as {service}, and a limit of {name} would bind nobody; what can be done instead: \
             limit {service} as a whole, give the tenant a login of its own, or promote it"
        ));
    }
    if login.superuser {
        return Some(format!("{name} is a superuser, and no limit of connections binds those"));
    }
    if !login.may_alter {
        return Some(may_not_alter(&target.login, name));
    }
    let over = in_databases
        .as_deref()
        .filter(|set| lacking.settings.keys().any(|setting| set.contains(&format!("{setting}="))));
    over.map(|set| {
        format!("{name} has settings of its own in a database, which go before ({set}): change those by hand")
    })
}

/// Why a throttle keeps the policy from being applied: it would be lifted without a word, and its undo would find limits that it
/// does not know.
fn throttle_in_force(tenant: &TenantId, login: &Login, lacking: &Wanted, id: &OperationId) -> Option<String> {
    let touched = lacking.connections.is_some() || lacking.settings.contains_key("statement_timeout");
    touched.then(|| {
        format!(
            "{tenant} is throttled by operation {id} ({} has CONNECTION LIMIT {}), and the policy would lift that; first: tierdeck act unthrottle              {tenant}, then the guardrails",
            login.name, login.stored.connections
        )
    })
}

/// Plans, or says why not. Pure.
pub(in crate::ops) fn plan(
    intent: &Guarding,
    logins: &[Login],
    tenant_of: impl Fn(&str) -> Option<TenantId>,
    throttled: &BTreeMap<TenantId, OperationId>,
    service: &str,
    target: Target,
    id: OperationId,
) -> Result<Plan, Refusals> {
    let Guarding { instance, tenants, policy, own } = intent;
    let all = tenants.is_empty();
    let found: Vec<(TenantId, &Login)> = logins
        .iter()
        .filter_map(|login| Some((tenant_of(&login.name)?, login)))
        .filter(|(tenant, _)| all || tenants.contains(tenant))
        .collect();
    let mut refusals: Vec<String> = tenants
        .iter()
        .filter(|tenant| found.iter().all(|(other, _)| other != *tenant))
        .map(|tenant| format!("{instance} has no login of {tenant}: is it there?"))
        .collect();
    let (mut guarded, mut left, mut unbound) = (Vec::new(), Vec::new(), Vec::new());
    for (tenant, login) in &found {
        let lacking = own.get(tenant).unwrap_or(policy).lacking(&login.stored);
        if lacking.is_nothing() {
            continue;
        }
        let by = throttled.get(tenant).map(|id| throttle_in_force(tenant, login, &lacking, id));
        match by.flatten().or_else(|| hindrance(login, &lacking, &target, service)) {
            None => guarded.push((tenant.clone(), login, lacking)),
            Some(_) if all && !login.may_enter => unbound.push(tenant.to_string()),
            Some(why) => left.push(why),
        }
    }
    if !all {
        refusals.append(&mut left);
    }
    if refusals.is_empty() && guarded.is_empty() {
        let of = if all { "every login where limits bind".to_owned() } else { "each of these logins".to_owned() };
        refusals.push(if left.is_empty() {
            format!("{of} on {instance} has what the policy wants")
        } else {
            left.join("; ")
        });
    }
    if !refusals.is_empty() {
        return Err(Refusals(refusals));
    }
    let mut warnings = vec![
        "limits reach only new sessions; those that are open keep what they began with".to_owned(),
        "a session may raise its own timeouts (SET statement_timeout = 0); a limit of connections binds".to_owned(),
    ];
    if !unbound.is_empty() {
        let many = plural(unbound.len(), "tenant");
        warnings.push(format!(
            "left as they are, because they work as {service} and no limit of theirs would bind anybody: {many}: {}",
            some(&unbound)
        ));
    }
    warnings.extend(left.into_iter().map(|why| format!("left as it is: {why}")));
    let names: Vec<String> = guarded.iter().map(|(tenant, ..)| tenant.to_string()).collect();
    let facts = guarded.iter().flat_map(|(_, login, lacking)| facts(&login.name, &login.stored, lacking)).collect();
    let steps = guarded.chunks(TOGETHER).map(|some| {
        let logins = some.iter().map(|(_, login, wanted)| Guarded { role: login.name.clone(), wanted: wanted.clone() });
        let before: BTreeMap<&str, &Stored> =
            some.iter().map(|(_, login, _)| (login.name.as_str(), &login.stored)).collect();
        let before = serde_json::to_value(before).map_err(|error| Refusals::one(error.to_string()))?;
        PlannedStep::new(Action::Guard(Guard { target: 0, logins: logins.collect() }), &before)
    });
    Ok(Plan {
        schema: SCHEMA,
        id,
        kind: "guardrails".to_owned(),
        summary: format!(
            "give {} on {instance} the limits that the policy wants: {}",
            plural(names.len(), "login"),
            some(&names)
        ),
        subjects: guarded.iter().map(|(tenant, ..)| Subject::Tenant { id: tenant.clone() }).collect(),
        affects: vec![format!("new sessions of {}: {}", plural(names.len(), "tenant"), some(&names))],
        facts,
        warnings,
        steps: steps.collect::<Result<_, _>>()?,
        // Whoever changes everybody says of which instance.
        confirm: if all { instance.to_string() } else { names.join(",") },
        targets: vec![target],
        intent: Intent::Guard(intent.clone()),
    })
}
