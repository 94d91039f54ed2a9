//! What can go wrong with Vault, as what it is, and what to do next.

use std::time::Duration;

use rustify::errors::ClientError as Transport;
use vaultrs::error::ClientError;

use crate::domain::foreign::sanitise;

/// Why Vault did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The configuration cannot be used.
    #[error("Vault cannot be used as configured: {0}")]
    Setup(String),
    /// Nobody answers there.
    #[error("Vault at {address} is not reached: {reason}; check the address and the network")]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        reason: String,
    },
    /// No answer in time.
    #[error("Vault at {address} did not answer within {after:?}")]
    Timeout {
        /// Where.
        address: String,
        /// How long it had.
        after: Duration,
    },
    /// It is sealed.
    #[error("Vault at {0} is sealed: whoever holds its keys unseals it; this call changed nothing")]
    Sealed(String),
    /// A standby that does not pass requests on.
    #[error("Vault at {0} is a standby that does not pass requests on: point vault.address at the active node")]
    Standby(String),
    /// The token is not, or no longer, known.
    #[error(
        "Vault does not take the token: expired, revoked or wrong, or it may neither do this nor look itself up; log in again, then go on"
    )]
    Token,
    /// The login was refused.
    #[error("Vault refuses the login by {method}: {reason}")]
    Login {
        /// `AppRole`, `Kubernetes`.
        method: &'static str,
        /// What it said.
        reason: String,
    },
    /// The policy does not allow it.
    #[error(
        "Vault does not allow us to {doing} {path}: its policy needs the capability, and so does the path with /data/ in it"
    )]
    Denied {
        /// `read`, `write` …
        doing: &'static str,
        /// The secret.
        path: String,
    },
    /// Somebody else wrote meanwhile, or there is one already.
    #[error(
        "the secret {path} is not at version {expected} any more: somebody else wrote it; this call changed nothing"
    )]
    Changed {
        /// The secret.
        path: String,
        /// The version that it was expected to have; 0: none at all.
        expected: u64,
    },
    /// The mount is of another kind, or is not there.
    #[error("there is no KV version 2 engine at {mount:?} of this Vault; check vault.mount")]
    Mount {
        /// The mount.
        mount: String,
    },
    /// Something else.
    #[error("Vault could not {doing} {path} (HTTP {status}): {reason}")]
    Server {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: String,
        /// Its status.
        status: u16,
        /// What it said.
        reason: String,
    },
    /// It answered something that is not Vault's.
    #[error("what answers at {address} does not speak Vault's API: {reason}")]
    Odd {
        /// Where.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What was tried on what, for the words of an error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub place: &'a super::Place,
    pub doing: &'static str,
    pub path: &'a str,
    pub expected: u64,
}

impl Attempt<'_> {
    /// The error as what it is. Nothing that an answer carried gets into it but Vault's own words.
    pub fn failed(self, error: &ClientError) -> VaultError {
        let address = self.place.address.clone();
        match error {
            ClientError::APIError { code, errors } => self.refused(*code, errors),
            ClientError::RestClientError { source: Transport::ServerResponseError { code, .. } } => {
                self.refused(*code, &[])
            }
            ClientError::RestClientError { source: Transport::RequestError { source, .. } } => {
                let words = chain(source.as_ref());
                if words.iter().any(|word| word.contains("timed out")) {
                    return VaultError::Timeout { address, after: self.place.timeout };
                }
                let reason = words.last().cloned().unwrap_or_default();
                VaultError::Unreachable { address, reason: sanitise(&reason).into_owned() }
            }
            ClientError::RestClientError { source: Transport::ResponseError { .. } } => {
                VaultError::Unreachable { address, reason: "the answer broke off".to_owned() }
            }
            ClientError::ParseCertificateError { path, .. } | ClientError::FileReadError { path, .. } => {
                VaultError::Setup(format!("{path} holds no certificates in PEM that can be read"))
            }
            ClientError::RestClientBuildError { .. } => VaultError::Setup("no HTTPS client can be made".to_owned()),
            other => VaultError::Odd { address, reason: other.to_string() },
        }
    }

    fn refused(self, status: u16, errors: &[String]) -> VaultError {
        let (doing, path) = (self.doing, self.path.to_owned());
        let address = self.place.address.clone();
        let reason = sanitise(&errors.join("; ")).into_owned();
        let says = |words: &str| reason.contains(words);
        match status {
            // Only by its own words: a balancer before it says 503 too, and 429 is a quota.
            _ if says("is sealed") => VaultError::Sealed(address),
            // It points at the active node; followed it is not.
            301 | 302 | 307 | 308 => VaultError::Standby(address),
            _ if says("local node not active") || says("standby") => VaultError::Standby(address),
            400 if says("check-and-set parameter did not match") => {
                VaultError::Changed { path, expected: self.expected }
            }
            403 if says("invalid token") || says("bad token") => VaultError::Token,
            403 => VaultError::Denied { doing, path },
            404 if says("no handler for route") => VaultError::Mount { mount: self.place.mount.clone() },
            _ => VaultError::Server { doing, path, status, reason },
        }
    }
}

/// What an error says, and what is below it.
fn chain(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect()
}
