//! What `tierdeck doctor` says of Vault.

use std::sync::Arc;

use super::{Check, Component, Finding, Verdict};
use crate::clients::Environment;
use crate::clients::vault::VaultError;
use crate::config::{Config, VaultConfig};
use crate::domain::foreign::sanitise;
use crate::domain::quantity::{duration, plural};

/// Shorter than this a token that cannot be renewed ends in the middle of an operation.
const SHORT: f64 = 3_600.0;

/// Looks at it.
pub(super) async fn examine(config: &Config, vault: &Arc<VaultConfig>) -> Component {
    let mut component = Component {
        name: "vault".to_owned(),
        kind: "vault",
        reachable: false,
        version: None,
        login: None,
        checks: Vec::new(),
    };
    let missing = |detail: String| Check {
        name: "connection",
        verdict: Verdict::Missing,
        detail: format!("{detail}; left out: secrets of tenants, and passwords that are kept there"),
        leaves_out: Vec::new(),
        fix: None,
        narrower: None,
    };
    let client = match vault.client(&Environment::of_process()) {
        Ok(client) => client,
        Err(reason) => {
            component.checks.push(missing(reason));
            return component;
        }
    };
    let standing = match client.standing().await {
        Ok(standing) => standing,
        Err(error) => {
            // Sealed, a standby or a token that ended: it is there.
            component.reachable = !matches!(error, VaultError::Unreachable { .. } | VaultError::Timeout { .. });
            component.checks.push(missing(error.to_string()));
            return component;
        }
    };
    component.reachable = true;
    component.version = standing.version;
    let policies = standing.policies.map(|policies| sanitise(&policies.join(", ")).into_owned());
    component.login.clone_from(&policies);
    let known =
        policies.map_or_else(|| "its policies are not shown to us".to_owned(), |names| format!("policies: {names}"));
    component.checks.push(match standing.lasts.map(|lasts| lasts.as_secs_f64()) {
        Some(lasts) if lasts < SHORT && !standing.renewable => Check::of(
            "token",
            false,
            "",
            Finding {
                verdict: Verdict::Warning,
                detail: format!("our token ends in {} and cannot be renewed ({known})", duration(lasts)),
                leaves_out: &[],
                fix: Some("vault login".to_owned()),
            },
        ),
        Some(lasts) => {
            let renewed = if standing.renewable { "is renewed before" } else { "is not renewable" };
            Check::of("token", true, &format!("it ends in {} and {renewed}; {known}", duration(lasts)), nothing())
        }
        None => Check::of("token", true, &format!("no end of it is known; {known}"), nothing()),
    });
    let mount = &client.place().mount;
    let folder = config.naming.vault_path.split("/{id}").next().unwrap_or_default().to_owned();
    component.checks.push(match client.list(&folder).await {
        Ok(names) => {
            let some = plural(names.len(), "name");
            Check::of("secrets", true, &format!("we may list {mount}/{folder}: {some}"), nothing())
        }
        Err(error) => Check::of("secrets", false, "", Finding {
            verdict: Verdict::Warning,
            detail: format!("{error}"),
            leaves_out: &[],
            fix: Some(format!(
                "path \"{mount}/metadata/{folder}/*\" {{ capabilities = [\"read\", \"list\", \"create\", \"update\", \"delete\"] }} \
                 path \"{mount}/data/{folder}/*\" {{ capabilities = [\"read\", \"create\", \"update\"] }} \
                 path \"{mount}/+/tierdeck/*\" {{ capabilities = [\"read\", \"create\", \"update\", \"delete\"] }}"
            )),
        }),
    });
    component
}

fn nothing() -> Finding {
    Finding { verdict: Verdict::Fine, detail: String::new(), leaves_out: &[], fix: None }
}
