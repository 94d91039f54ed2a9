//! Hands at Vault: what is written there is put together at the last moment, and dropped at once.

use std::collections::BTreeMap;

use rand::distr::{Alphanumeric, SampleString as _};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Hands, HandsError};
use crate::clients::vault::{Expected, Fields, Vault};
use crate::ops::script::{Filled, VaultCall, VaultCalls};

/// The fields of each call's secret, in the order of the calls.
pub(super) struct Ready(Vec<Fields>);

impl Hands<'_> {
    /// Looks up what was only referred to, and makes what is to be made.
    pub(super) async fn fill(&self, script: &VaultCalls) -> Result<Ready, HandsError> {
        self.estate.vault(&script.vault)?;
        let mut ready = Vec::new();
        for call in &script.calls {
            ready.push(match call {
                VaultCall::Write { fields, .. } => self.fields(fields).await?,
                _ => Fields::default(),
            });
        }
        Ok(Ready(ready))
    }

    async fn fields(&self, wanted: &BTreeMap<String, Filled>) -> Result<Fields, HandsError> {
        let mut fields = Fields::default();
        for (name, value) in wanted {
            fields = match value {
                Filled::Text(text) => fields.with(name, text.as_str()),
                Filled::Number(number) => fields.with(name, *number),
                Filled::Made(length) => {
                    let made = SecretString::from(Alphanumeric.sample_string(&mut rand::rng(), *length));
                    fields.with(name, made.expose_secret())
                }
                Filled::From(reference) => fields.with(name, self.value(reference).await?.expose_secret()),
            };
        }
        Ok(fields)
    }

    /// Does it.
    pub(super) async fn call(&self, script: &VaultCalls, ready: Ready) -> Result<String, HandsError> {
        let vault = self.estate.vault(&script.vault)?;
        let mut said = Vec::new();
        for (call, fields) in script.calls.iter().zip(ready.0) {
            // It cannot hold the lease while it runs: asked as late as possible.
            self.lease.still_ours().await?;
            said.push(one(vault, call, &fields).await?);
        }
        Ok(said.join(", "))
    }
}

async fn one(vault: &Vault, call: &VaultCall, fields: &Fields) -> Result<String, HandsError> {
    Ok(match call {
        VaultCall::Describe { path, custom } => {
            vault.describe(path, custom).await?;
            "described".to_owned()
        }
        VaultCall::Write { path, cas, .. } => {
            let expected = if *cas == 0 { Expected::Nothing } else { Expected::Version(*cas) };
            format!("version {}", vault.write(path, fields, expected).await?)
        }
        VaultCall::Delete { path, version } => {
            vault.delete(path, *version).await?;
            format!("version {version} deleted")
        }
        VaultCall::Remove { path } => {
            vault.remove(path).await?;
            "removed".to_owned()
        }
    })
}
