//! `tierdeck guardrails`: the limits that the policy wants, on the logins where they bind; and that they hold, proven.

use std::path::Path;

use color_eyre::eyre::Result;

use super::act::{carry_out, place, tenant};
use super::arguments::{Guardrails, GuardrailsAction};
use super::around::Whom;
use super::operations::operations_on;
use super::{Exit, output};
use crate::config::Config;
use crate::domain::{InstanceName, Limits, TenantId, Tier};
use crate::ops::act::Intent;
use crate::ops::guardrails::{Guarding, Wanted};

pub(super) async fn run(config: Option<&Path>, allow: bool, asked: Guardrails) -> Result<Exit> {
    let (options, first) = match &asked.action {
        Some(GuardrailsAction::Prove(proof)) => (&proof.options, proof.tenant.as_ref()),
        None => (&asked.options, asked.tenants.first()),
    };
    let whom = first.and_then(|id| tenant(id).ok());
    let wanted = Whom::of(options.instance.as_deref(), whom.as_ref());
    let Some((config, operations)) = operations_on(config, allow, wanted).await else { return Ok(Exit::Usage) };
    if let Some(GuardrailsAction::Prove(asked)) = asked.action {
        return super::prove::run(&config, &operations, asked).await;
    }
    match intent(&config, &asked) {
        Ok(intent) => carry_out(&operations, &intent, asked.options).await,
        Err(message) => {
            output::say(&message);
            Ok(Exit::Usage)
        }
    }
}

fn intent(config: &Config, asked: &Guardrails) -> Result<Intent, String> {
    if asked.tenants.is_empty() && !asked.all {
        return Err("whom? name tenants, or say --all for every tenant of an instance".to_owned());
    }
    let tenants = asked.tenants.iter().map(|id| tenant(id)).collect::<Result<Vec<_>, _>>()?;
    let instance = place(config, &asked.options, tenants.first())?;
    guarding(config, instance, tenants).map(Intent::Guard)
}

/// What the policy wants of these tenants, or of all of an instance.
pub(super) fn guarding(config: &Config, instance: InstanceName, tenants: Vec<TenantId>) -> Result<Guarding, String> {
    let tier = tier(config, &instance);
    let policy = &config.policy;
    let general = match tier {
        Tier::Shared => policy.shared,
        Tier::Dedicated => policy.dedicated,
    };
    let own = policy.tenants.iter().filter(|(_, notes)| notes.limits != Limits::default());
    let intent = Guarding {
        instance,
        tenants,
        policy: Wanted::from(&general),
        own: own.map(|(id, notes)| (id.clone(), Wanted::from(&policy.wanted_with(Some(notes), tier)))).collect(),
    };
    if intent.policy == Wanted::default() && intent.own.is_empty() {
        return Err(
            "the policy wants nothing: [policy.shared] and [policy.dedicated] are where limits stand".to_owned()
        );
    }
    Ok(intent)
}

/// Of which tier an instance is.
pub(super) fn tier(config: &Config, instance: &InstanceName) -> Tier {
    config.instances.iter().find(|it| it.name == *instance).map_or(Tier::Shared, |it| it.tier)
}
