//! One listener for all services: who calls, what for, what goes wrong on purpose, and the answer in the service's words.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::task::spawn_blocking;

use super::core::Core;
use super::faults::{self, Fault};
use super::names::uuid;
use super::service::{CLOUDWATCH_PATH, Scope, Service};
use super::wire::{Answer, Input, Refusal, cbor, query};
use super::{alarms, backup, cloudwatch, logs, rds, sts};

/// No question is larger.
const LARGEST: usize = 4 << 20;
/// How wrong a caller's clock may be.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// A call, understood.
#[derive(Debug)]
pub struct Call {
    /// The service.
    pub service: Service,
    /// `DescribeDBInstances`
    pub action: String,
    /// In which region.
    pub region: String,
    /// Its parameters.
    pub input: Input,
}

/// Answers a request.
pub async fn answer(State(core): State<Arc<Core>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let id = uuid();
    let scope = Scope::of(&head.headers);
    let known = scope.as_ref().ok().and_then(Option::as_ref);
    let Some(service) = Service::of(known, &head.uri, &head.headers) else {
        let refusal =
            Refusal::missing("UnknownService", "The estate's AWS has RDS, CloudWatch, AWS Backup, Logs and STS.");
        return Service::Rds.refuse(&refusal, &id);
    };
    let mut clock = SignedDuration::ZERO;
    let answered = match to_bytes(body, LARGEST).await {
        Ok(body) => serve(&core, &head, &body, service, scope, &mut clock).await,
        Err(_) => {
            Err(Refusal::with(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", "The request is too large."))
        }
    };
    let mut response = match answered {
        Ok((action, fields)) => service.answer(&action, &fields, &id),
        Err(refusal) => service.refuse(&refusal, &id),
    };
    let date = (Timestamp::now() + clock).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::from_str(&date) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

async fn serve(
    core: &Arc<Core>,
    head: &Parts,
    body: &[u8],
    service: Service,
    scope: Result<Option<Scope>, ()>,
    clock: &mut SignedDuration,
) -> Result<(String, super::wire::Fields), Refusal> {
    let scope = authenticated(core, service, scope)?;
    let call = understand(head, body, service, scope.region)?;
    for fault in core.faults.befall(service.name(), &call.action, &call.region) {
        match &fault {
            Fault::Hang(time) => tokio::time::sleep((*time).min(Duration::from_hours(1))).await,
            Fault::Clock(ahead) => *clock = *ahead,
            _ => {}
        }
        if let Some(refusal) = faults::said(&fault, service, &call.action, &Core::caller()) {
            return Err(refusal);
        }
    }
    in_time(head, *clock, service.is_query())?;
    let (core, action) = (Arc::clone(core), call.action.clone());
    // Answers read files and wait for locks.
    let answered = spawn_blocking(move || dispatch(&core, &call)).await;
    let broken = |_| Refusal::with(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", "The answer was lost.");
    answered.map_err(broken)?.map(|fields| (action, fields))
}

fn authenticated(core: &Core, service: Service, scope: Result<Option<Scope>, ()>) -> Result<Scope, Refusal> {
    let refuse = |status: StatusCode, code: &str, message: &str| {
        let suffix = if service.is_query() { "" } else { "Exception" };
        Err(Refusal::with(status, &format!("{code}{suffix}"), message))
    };
    match scope {
        Err(()) => refuse(
            StatusCode::BAD_REQUEST,
            "IncompleteSignature",
            "The request signature does not conform to AWS standards.",
        ),
        Ok(None) => {
            refuse(StatusCode::FORBIDDEN, "MissingAuthenticationToken", "Request is missing Authentication Token")
        }
        // The account's keys mean nothing where it has not opted in; a region that is none answers nobody, and here alike.
        Ok(Some(scope)) if scope.key != core.access_key || !core.offers(&scope.region) => {
            let (word, status) = if service.is_query() {
                ("InvalidClientTokenId", StatusCode::FORBIDDEN)
            } else {
                ("UnrecognizedClient", StatusCode::BAD_REQUEST)
            };
            refuse(status, word, "The security token included in the request is invalid.")
        }
        Ok(Some(scope)) => Ok(scope),
    }
}

/// Whether the caller's clock and ours agree.
fn in_time(head: &Parts, ahead: SignedDuration, is_query: bool) -> Result<(), Refusal> {
    let Some(text) = head.headers.get("x-amz-date").and_then(|value| value.to_str().ok()) else { return Ok(()) };
    let Ok(said) = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text) else {
        return Err(Refusal::new("IncompleteSignature", "Date must be in ISO-8601 'basic format'."));
    };
    let said = said.to_zoned(jiff::tz::TimeZone::UTC).map_or(Timestamp::UNIX_EPOCH, |at| at.timestamp());
    let now = Timestamp::now() + ahead;
    if now.duration_since(said).abs() <= SKEW {
        return Ok(());
    }
    let basic = |at: Timestamp| at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let message = if said < now {
        format!("Signature expired: {text} is now earlier than {} ({} - 5 min.)", basic(now - SKEW), basic(now))
    } else {
        format!("Signature not yet current: {text} is still later than {} ({} + 5 min.)", basic(now + SKEW), basic(now))
    };
    let code = if is_query { "SignatureDoesNotMatch" } else { "InvalidSignatureException" };
    Err(Refusal::with(StatusCode::FORBIDDEN, code, message))
}

fn understand(head: &Parts, body: &[u8], service: Service, region: String) -> Result<Call, Refusal> {
    let (action, input) = match service {
        Service::Rds | Service::Sts => {
            let input = query::read(body);
            let action = input["Action"].as_str().unwrap_or_default().to_owned();
            if action.is_empty() {
                return Err(Refusal::new("MissingAction", "The request must contain the parameter Action"));
            }
            (action, input)
        }
        Service::CloudWatch { json: false } => {
            let action = head.uri.path().strip_prefix(CLOUDWATCH_PATH).unwrap_or_default().to_owned();
            let input =
                cbor::read(body).ok_or_else(|| Refusal::new("SerializationException", "The body is no CBOR."))?;
            (action, input)
        }
        Service::CloudWatch { json: true } | Service::Logs => {
            let target = head.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
            (target.rsplit('.').next().unwrap_or_default().to_owned(), document(body)?)
        }
        Service::Backup => {
            let document = document(body)?;
            backup::route(&head.method, &head.uri, document)?
        }
    };
    Ok(Call { service, action, region, input: Input(input) })
}

fn document(body: &[u8]) -> Result<Value, Refusal> {
    if body.is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    serde_json::from_slice(body).map_err(|_| Refusal::new("SerializationException", "The body is no JSON."))
}

/// What a call comes to.
pub fn dispatch(core: &Arc<Core>, call: &Call) -> Answer {
    match call.service {
        Service::Rds => rds::answer(core, call),
        Service::CloudWatch { .. } => {
            alarms::answer(core, call).or_else(|| cloudwatch::answer(core, call)).unwrap_or_else(|| Err(unknown(call)))
        }
        Service::Backup => backup::answer(core, call),
        Service::Logs => logs::answer(core, call),
        Service::Sts => sts::answer(call),
    }
}

/// What is said of an action that AWS may have, and the estate has not.
pub fn unknown(call: &Call) -> Refusal {
    let message = format!("Could not find operation {} (the estate's AWS does not implement it)", call.action);
    match call.service {
        Service::Rds | Service::Sts => Refusal::new("InvalidAction", message),
        _ => Refusal::missing("UnknownOperationException", message),
    }
}
