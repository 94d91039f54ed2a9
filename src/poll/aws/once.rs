//! Which dedicated instances there are, asked once: for commands that act on one and have no poller.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::finder::way;
use crate::clients::postgres::Target;
use crate::config::{Config, InstanceConfig};
use crate::domain::InstanceName;
use crate::domain::facts::cloud::{Claim, Rds, claim};
use crate::sources::aws::{ByInstance, rds};

/// Nobody who acts in an incident waits longer for AWS.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who was found.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// With how one logs in.
    pub instances: Vec<InstanceConfig>,
    /// Those of whom that is not known, and why.
    pub shut: Vec<(InstanceName, String)>,
    /// Accounts that did not answer.
    pub troubles: Vec<String>,
}

/// Asks every account that is to be looked through, all at the same time.
pub async fn look_around(config: &Config, targets: &[Target]) -> Around {
    let addresses = crate::poll::addresses(targets);
    let mut around = Around::default();
    let asked = config.aws.iter().filter(|aws| aws.discover).map(|aws| async move {
        match tokio::time::timeout(PATIENCE, rds::instances(&aws.account)).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("AWS ({}) did not say in time which instances there are", aws.name())),
        }
        .map(|described| (aws, described))
    });
    let mut found = Vec::new();
    for answer in futures::future::join_all(asked).await {
        match answer {
            Ok((aws, described)) => found.push((aws, described)),
            Err(trouble) => around.troubles.push(trouble),
        }
    }
    let several = config.aws.len() > 1;
    for (aws, described) in &found {
        for (identifier, rds) in dedicated(described) {
            let Claim::Dedicated(tenant) = claim(&rds.tags) else { continue };
            if is_configured(config, aws.name(), &identifier, rds, &addresses) {
                continue;
            }
            // As the console calls it.
            let taken = several || config.instances.iter().any(|it| it.name.as_str() == &*identifier);
            let name = if taken { format!("{}/{identifier}", aws.name()) } else { identifier.to_string() };
            let name = InstanceName::new(&name);
            match way(&config.dedicated, &aws.account, (name.clone(), tenant), &identifier, rds) {
                Ok(instance) => around.instances.push(instance),
                Err(reason) => around.shut.push((name, reason.to_string())),
            }
        }
    }
    around
}

/// Those that are dedicated by their tags, in order.
fn dedicated(described: &ByInstance<Rds>) -> Vec<(Arc<str>, &Rds)> {
    let is_dedicated = |(_, rds): &(&Arc<str>, &Rds)| matches!(claim(&rds.tags), Claim::Dedicated(_));
    let found = described.iter().filter(is_dedicated);
    let mut found: Vec<_> = found.map(|(identifier, rds)| (Arc::clone(identifier), rds)).collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// Whether it stands in the configuration, by its identifier or by where it is.
fn is_configured(
    config: &Config,
    account: &str,
    identifier: &Arc<str>,
    rds: &Rds,
    addresses: &HashSet<(String, u16)>,
) -> bool {
    let places = config.instances.iter().filter_map(|instance| instance.rds.as_ref());
    let named = places.into_iter().any(|rds| *rds.account == *account && rds.identifier == *identifier);
    let there = rds.endpoint.as_ref().map(|(host, port)| (host.raw().to_owned(), *port));
    named || there.is_some_and(|there| addresses.contains(&there))
}
