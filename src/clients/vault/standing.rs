//! How we stand with a Vault: whether it serves, and what our token may do for how long.

use std::time::Duration;

use super::error::Attempt;
use super::{Vault, VaultError};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its version, where it says so.
    pub version: Option<String>,
    /// Policies of our token; `None`: it may not look itself up.
    pub policies: Option<Vec<String>>,
    /// How long our token lasts; `None`: it does not end, or nobody knows.
    pub lasts: Option<Duration>,
    /// Whether it can be renewed.
    pub renewable: bool,
}

impl Vault {
    /// Logs in, and asks.
    pub async fn standing(&self) -> Result<Standing, VaultError> {
        let attempt = |doing| Attempt { place: &self.place, doing, path: "", expected: 0 };
        let client = self.client().await?;
        let version = match vaultrs::sys::health(&*client).await {
            Ok(health) => Some(health.version).filter(|version| !version.is_empty()),
            Err(error) => match attempt("ask for its health").failed(&error) {
                // It serves, and says so in words that we do not know.
                VaultError::Odd { .. } => None,
                error => return Err(error),
            },
        };
        let own = match vaultrs::token::lookup_self(&*client).await {
            Ok(own) => Some(own),
            Err(error) => match attempt("look up our token").failed(&error) {
                VaultError::Server { .. } | VaultError::Denied { .. } | VaultError::Odd { .. } => None,
                error => return Err(error),
            },
        };
        let lasts = own.as_ref().map(|own| own.ttl).filter(|seconds| *seconds > 0).map(Duration::from_secs);
        Ok(Standing {
            version,
            lasts,
            renewable: own.as_ref().and_then(|own| own.renewable).unwrap_or(false),
            policies: own.map(|own| own.policies),
        })
    }
}
