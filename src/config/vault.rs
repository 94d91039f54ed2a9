//! `[vault]`: where Vault is and how we show who we are there; what is left out comes from the variables that Vault's own
//! client reads.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::Secret;
use crate::clients::Environment;
use crate::clients::vault::{Auth, Place, Vault};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The mount that Vault's own development server has.
pub(super) const MOUNT: &str = "secret";

/// Where Kubernetes puts the token of a pod's service account.
pub(super) const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// `[vault]`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VaultConfig {
    /// `address`; `None`: `VAULT_ADDR`.
    pub address: Option<String>,
    /// `namespace`; `None`: `VAULT_NAMESPACE`, else none.
    pub namespace: Option<String>,
    /// `mount`; `None`: `secret`.
    pub mount: Option<String>,
    /// `auth`; `None`: `VAULT_TOKEN`, then `~/.vault-token`.
    pub auth: Option<VaultAuth>,
    /// `ca_cert`; `None`: `VAULT_CACERT`, else the system's authorities.
    pub ca_cert: Option<PathBuf>,
}

/// How we show who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultAuth {
    /// `{ token = { env = "NAME" } }`
    Token(Secret),
    /// `{ approle = { role_id = "…", secret_id = { file = "…" } } }`
    AppRole {
        /// Where it is mounted.
        mount: String,
        /// The role's id.
        role_id: String,
        /// Its secret id.
        secret_id: Secret,
    },
    /// `{ kubernetes = { role = "…" } }`
    Kubernetes {
        /// Where it is mounted.
        mount: String,
        /// The role in Vault.
        role: String,
        /// The service account's token.
        token_file: PathBuf,
    },
}

impl VaultConfig {
    /// A client. Nothing is asked yet.
    pub fn client(&self, environment: &Environment) -> Result<Vault, String> {
        let given = |own: &Option<String>, name: &str| own.clone().or_else(|| environment.var(name).map(str::to_owned));
        let address = given(&self.address, "VAULT_ADDR")
            .ok_or("[vault] has no address, and VAULT_ADDR is not set: set one of them")?;
        let place = Place {
            address: address.trim_end_matches('/').to_owned(),
            namespace: given(&self.namespace, "VAULT_NAMESPACE"),
            mount: self.mount.clone().unwrap_or_else(|| MOUNT.to_owned()),
            ca_cert: self.ca_cert.clone().or_else(|| environment.var("VAULT_CACERT").map(PathBuf::from)),
            timeout: TIMEOUT,
        };
        Ok(Vault::new(place, self.auth(environment)?))
    }

    fn auth(&self, environment: &Environment) -> Result<Auth, String> {
        let read = |secret: &Secret| secret.read_in(environment).map_err(|error| error.to_string());
        Ok(match &self.auth {
            Some(VaultAuth::Token(secret)) => Auth::Token(read(secret)?),
            Some(VaultAuth::AppRole { mount, role_id, secret_id }) => {
                Auth::AppRole { mount: mount.clone(), role_id: role_id.clone(), secret_id: read(secret_id)? }
            }
            Some(VaultAuth::Kubernetes { mount, role, token_file }) => {
                Auth::Kubernetes { mount: mount.clone(), role: role.clone(), token_file: token_file.clone() }
            }
            None => match environment.var("VAULT_TOKEN") {
                Some(token) => Auth::Token(SecretString::from(token)),
                // Where `vault login` leaves it.
                None => Auth::Token(read(&Secret::File("~/.vault-token".into())).map_err(|error| {
                    format!(
                        "[vault] has no auth, VAULT_TOKEN is not set, and {error}: vault login leaves a token there"
                    )
                })?),
            },
        })
    }
}
