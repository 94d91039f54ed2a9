//! What `tierdeck doctor` says of Vault.

use std::sync::Arc;

use super::{Check, Component, Finding, Verdict};
use crate::clients::Environment;
use crate::clients::vault::{Vault, VaultError};
use crate::config::{Config, VaultConfig};
use crate::domain::Signal;
use crate::domain::foreign::sanitise;
use crate::domain::quantity::{duration, plural};
use crate::sources::vault::{Policy, Reader};

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
    component.checks.push(secrets(config, &client).await);
    component
}

/// Whether we see who has a secret, and where one of them points.
async fn secrets(config: &Config, client: &Vault) -> Check {
    const LEFT_OUT: &[Signal] = &[Signal::SecretMismatch, Signal::Orphan];
    let (mount, path) = (&client.place().mount, &config.naming.vault_path);
    let reader = Reader::new(path.clone(), Vec::new());
    let policy = Policy::of(mount, path);
    let read = async {
        let (tenants, _) = reader.list(client).await?;
        let one = match tenants.first() {
            Some(first) => reader.read(client, first, None).await?,
            None => None,
        };
        Ok::<_, VaultError>((tenants, one.and_then(|one| one.secret.hidden.clone())))
    };
    let (detail, fine) = match read.await {
        Ok((tenants, None)) => {
            let some = plural(tenants.len(), "tenant");
            (format!("we may list and read the secrets at {mount}/{path}: of {some}"), true)
        }
        Ok((_, Some(hidden))) => (hidden, false),
        Err(VaultError::Denied { .. }) => {
            (format!("Vault does not let us list the tenants' secrets: its policy needs {}", policy.list), false)
        }
        Err(error) => (error.to_string(), false),
    };
    let secret = path.replace("{id}", "+");
    let fix = format!(
        "{} path \"{mount}/metadata/{secret}\" {{ capabilities = [\"read\", \"create\", \"update\", \"delete\"] }} \
         path \"{mount}/data/{secret}\" {{ capabilities = [\"read\", \"create\", \"update\"] }} \
         path \"{mount}/+/tierdeck/*\" {{ capabilities = [\"read\", \"create\", \"update\", \"delete\"] }}",
        policy.list
    );
    let otherwise = Finding { verdict: Verdict::Warning, detail: detail.clone(), leaves_out: LEFT_OUT, fix: Some(fix) };
    let check = Check::of("secrets", fine, &detail, otherwise);
    // To look takes less than to make.
    Check { narrower: (!fine).then(|| policy.whole()), ..check }
}

fn nothing() -> Finding {
    Finding { verdict: Verdict::Fine, detail: String::new(), leaves_out: &[], fix: None }
}
