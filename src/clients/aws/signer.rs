//! Who signs IAM tokens. A token is made here, but its credentials may have to be fetched, from STS, SSO or the machine, and there is a
//! token to every login: so they are fetched by one at a time, kept until shortly before they end, and a failure is believed for a moment.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_rds::config::Credentials;
use aws_sdk_sts::config::ProvideCredentials as _;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Clients, Fault};

/// So long before they end credentials are fetched anew.
const EARLY: Duration = Duration::from_mins(5);

/// How long those are kept that do not say when they end.
const KEPT: Duration = Duration::from_mins(15);

/// How long any are kept, however soon they end.
const LEAST: Duration = Duration::from_secs(10);

/// How long a failure is everybody's.
const FAILED: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Default)]
pub(super) struct Signer(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// Credentials, by whose clients they were fetched, and when.
    credentials: Option<(Credentials, Arc<Clients>, Instant)>,
    failed: Option<(Fault, Instant)>,
}

impl Signer {
    /// Credentials that are good for a while; clients that were made anew have others.
    pub async fn credentials(&self, clients: &Arc<Clients>) -> Result<Credentials, Fault> {
        let mut kept = self.0.lock().await;
        if let Some((credentials, by, at)) = &kept.credentials
            && Arc::ptr_eq(by, clients)
            && at.elapsed() < good_for(credentials, *at)
        {
            return Ok(credentials.clone());
        }
        if let Some((fault, at)) = &kept.failed
            && at.elapsed() < FAILED
        {
            return Err(fault.clone());
        }
        let provider = clients.sdk.credentials_provider().ok_or(Fault::NoCredentials);
        let fetched = match provider {
            Ok(provider) => provider.provide_credentials().await.map_err(|error| Fault::of_credentials(&error)),
            Err(fault) => Err(fault),
        };
        match fetched {
            Ok(credentials) => {
                kept.failed = None;
                kept.credentials = Some((credentials.clone(), Arc::clone(clients), Instant::now()));
                Ok(credentials)
            }
            Err(fault) => {
                kept.failed = Some((fault.clone(), Instant::now()));
                Err(fault)
            }
        }
    }
}

/// For how long since they were fetched.
fn good_for(credentials: &Credentials, at: Instant) -> Duration {
    let Some(ends) = credentials.expiry() else { return KEPT };
    let left = ends.duration_since(SystemTime::now()).unwrap_or_default() + at.elapsed();
    left.saturating_sub(EARLY).max(LEAST)
}
