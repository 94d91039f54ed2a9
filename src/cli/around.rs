//! Instances that were found by their tags, for commands that act on one of them. AWS is asked only where the configuration
//! alone does not say where: who acts on a configured instance in an incident waits for nobody else.

use super::{observe, output};
use crate::config::Config;
use crate::domain::TenantId;
use crate::domain::foreign::sanitise;
use crate::poll::look_around;

/// Whom a command is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whom<'a> {
    /// Nobody who could be found.
    Nobody,
    /// The instance of this name.
    Instance(&'a str),
    /// A tenant, wherever it lives.
    Tenant(&'a TenantId),
}

impl<'a> Whom<'a> {
    /// As a command line has it: the instance where one is named, else the tenant.
    pub fn of(instance: Option<&'a str>, tenant: Option<&'a TenantId>) -> Self {
        instance.map(Self::Instance).or(tenant.map(Self::Tenant)).unwrap_or(Self::Nobody)
    }

    /// Whether the configuration may lack it.
    fn is_missing(self, config: &Config) -> bool {
        let mut instances = config.instances.iter();
        match self {
            Self::Nobody => false,
            Self::Instance(name) => !instances.any(|instance| instance.name.as_str() == name),
            Self::Tenant(id) => !instances.any(|instance| instance.tenant.as_ref() == Some(id)),
        }
    }
}

/// Adds those that are found to the configuration, where whom we want may be one of them. What stands in the way is said.
pub(super) async fn join(config: &mut Config, wanted: Whom<'_>) {
    if !wanted.is_missing(config) || !config.aws.iter().any(|aws| aws.discover) {
        return;
    }
    // What is wrong with an address is said by whoever needs it.
    let Ok(targets) = observe::targets(config) else { return };
    let around = look_around(config, &targets).await;
    for trouble in &around.troubles {
        output::say(&format!("who has an instance of its own is not known: {}", sanitise(trouble)));
    }
    if let Whom::Instance(wanted) = wanted {
        for (name, reason) in around.shut.iter().filter(|(name, _)| name.as_str() == wanted) {
            output::say(&format!("{}: {}", sanitise(name.as_str()), sanitise(reason)));
        }
    }
    config.instances.extend(around.instances);
}
