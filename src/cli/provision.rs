//! `tierdeck provision` and `deprovision`: a tenant's place on a shared instance, made and removed without a console.

use std::path::Path;

use color_eyre::eyre::Result;

use super::act::{carry_out, place, tenant};
use super::arguments::{Deprovision, LoginArgument, Provision, TierArgument};
use super::around::Whom;
use super::operations::{operations, operations_on};
use super::{Exit, output};
use crate::clients::Environment;
use crate::clients::postgres::{Address, Target};
use crate::config::Config;
use crate::domain::Tier;
use crate::ops::act::Intent;
use crate::ops::deprovision::Deprovisioning;
use crate::ops::provision::{Provisioning, Reached, RoleLimits};

pub(super) async fn provision(config: Option<&Path>, allow: bool, asked: Provision) -> Result<Exit> {
    let Some((config, operations)) = operations(config, allow) else { return Ok(Exit::Usage) };
    if asked.tier == TierArgument::Dedicated {
        output::say("this version provisions on the shared tier: --tier shared");
        return Ok(Exit::Usage);
    }
    match provisioning(&config, &asked) {
        Ok(intent) => carry_out(&operations, &Intent::Provision(intent), asked.options).await,
        Err(message) => {
            output::say(&message);
            Ok(Exit::Usage)
        }
    }
}

pub(super) async fn deprovision(config: Option<&Path>, allow: bool, asked: Deprovision) -> Result<Exit> {
    let whom = tenant(&asked.tenant).ok();
    let wanted = Whom::of(asked.options.instance.as_deref(), whom.as_ref());
    let Some((config, operations)) = operations_on(config, allow, wanted).await else { return Ok(Exit::Usage) };
    let intent = tenant(&asked.tenant).and_then(|tenant| {
        let instance = place(&config, &asked.options, Some(&tenant))?;
        Ok(Deprovisioning { tenant, instance, keep_secret: asked.keep_secret })
    });
    match intent {
        Ok(intent) => carry_out(&operations, &Intent::Deprovision(intent), asked.options).await,
        Err(message) => {
            output::say(&message);
            Ok(Exit::Usage)
        }
    }
}

/// What is asked for, with what the configuration says of it: the policy's limits, the address, who makes tables.
pub(super) fn provisioning(config: &Config, asked: &Provision) -> Result<Provisioning, String> {
    let tenant = tenant(&asked.tenant)?;
    let instance = place(config, &asked.options, None)?;
    let configured = config.instances.iter().find(|it| it.name == instance).ok_or("there is no such instance")?;
    let mut creators = asked.creators.clone();
    // Whoever migrates by hand most likely does so as this login.
    creators
        .extend(configured.admin.iter().map(|login| login.user.clone()).filter(|user| !asked.creators.contains(user)));
    let address = if asked.no_secret { None } else { Some(reached(&configured.url, asked)?) };
    Ok(Provisioning {
        limits: RoleLimits::from(&config.policy.wanted(&tenant, Tier::Shared)),
        tenant,
        instance,
        own_login: asked.login == LoginArgument::Own,
        creators,
        address,
    })
}

/// Where pods reach it: as was said, else as we do.
fn reached(url: &str, asked: &Provision) -> Result<Reached, String> {
    let target = Target::parse(url, &Environment::of_process()).map_err(|error| error.to_string())?;
    let first = target.hosts.first();
    let host = match (&asked.host, first.map(|host| &host.address)) {
        (Some(host), _) => host.clone(),
        (None, Some(Address::Name(name))) => name.clone(),
        (None, _) => return Err("we reach it by a socket, which pods do not: --host names where they do".to_owned()),
    };
    let port = asked.port.or(first.map(|host| host.port)).unwrap_or(5432);
    Ok(Reached { host, port })
}
