//! What goes wrong on purpose: tests have calls throttled, refused, left hanging, or judged by a clock that is wrong.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use jiff::SignedDuration;

use super::service::Service;
use super::wire::Refusal;

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Too many calls.
    Throttled,
    /// The service is broken.
    Broken,
    /// The caller's policies do not allow it.
    Denied,
    /// The caller's session is over.
    Expired,
    /// No answer for this long, then one.
    Hang(Duration),
    /// The service's clock is ahead of ours by this much.
    Clock(SignedDuration),
}

/// Which calls a fault befalls: all that nothing here leaves out.
#[derive(Debug, Clone, Default)]
pub struct Aim {
    /// As credentials are scoped: `rds`, `monitoring`, `backup`, `logs`, `sts`.
    pub service: Option<String>,
    /// `DescribeDBInstances`
    pub action: Option<String>,
    /// `eu-west-1`
    pub region: Option<String>,
    /// How many calls, and then no more.
    pub times: Option<u32>,
}

/// Faults in force, and a count of all calls.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Mutex<Vec<(Aim, Fault)>>,
    calls: Mutex<BTreeMap<(String, String), u64>>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Faults {
    /// From now on.
    pub fn inject(&self, aim: Aim, fault: Fault) {
        lock(&self.rules).push((aim, fault));
    }

    /// No more.
    pub fn clear(&self) {
        lock(&self.rules).clear();
    }

    /// How often each action of each service was called.
    pub fn calls(&self) -> BTreeMap<(String, String), u64> {
        lock(&self.calls).clone()
    }

    /// What befalls this call.
    pub(super) fn befall(&self, service: &str, action: &str, region: &str) -> Vec<Fault> {
        *lock(&self.calls).entry((service.to_owned(), action.to_owned())).or_default() += 1;
        let mut fallen = Vec::new();
        lock(&self.rules).retain_mut(|(aim, fault)| {
            let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
            if fits(&aim.service, service) && fits(&aim.action, action) && fits(&aim.region, region) {
                fallen.push(fault.clone());
                aim.times = aim.times.map(|times| times.saturating_sub(1));
            }
            aim.times != Some(0)
        });
        fallen
    }
}

/// What the service says then; nothing where it only takes its time.
pub(super) fn said(fault: &Fault, service: Service, action: &str, caller: &str) -> Option<Refusal> {
    let query = service.is_query();
    let code = |of_query: &str, of_json: &str| if query { of_query.to_owned() } else { of_json.to_owned() };
    let refusal = |status, code: String, message: String| Some(Refusal { status, code, message });
    match fault {
        Fault::Throttled => {
            refusal(StatusCode::BAD_REQUEST, code("Throttling", "ThrottlingException"), "Rate exceeded".to_owned())
        }
        Fault::Broken => refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            code("InternalFailure", "InternalFailure"),
            "An internal error has occurred. Please retry your request.".to_owned(),
        ),
        Fault::Denied => {
            let (prefix, status) = (service.iam_prefix(), if query { 403 } else { 400 });
            let message = format!(
                "User: {caller} is not authorized to perform: {prefix}:{action} on resource: * because no identity-based \
                 policy allows the {prefix}:{action} action"
            );
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
            refusal(status, code("AccessDenied", "AccessDeniedException"), message)
        }
        Fault::Expired => refusal(
            StatusCode::FORBIDDEN,
            code("ExpiredToken", "ExpiredTokenException"),
            "The security token included in the request is expired".to_owned(),
        ),
        Fault::Hang(_) | Fault::Clock(_) => None,
    }
}
