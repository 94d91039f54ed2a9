//! Which service a call is for, in which region, by whom; and how each service wraps answers and refusals.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};

use super::wire::{Fields, Refusal, cbor, json, query};

/// A service of AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// RDS: Query and XML.
    Rds,
    /// CloudWatch: RPC v2 CBOR, or JSON 1.0 as older clients speak it.
    CloudWatch {
        /// JSON.
        json: bool,
    },
    /// AWS Backup: REST and JSON.
    Backup,
    /// CloudWatch Logs: JSON 1.1.
    Logs,
    /// STS: Query and XML.
    Sts,
}

/// Where CloudWatch's RPC calls go.
pub const CLOUDWATCH_PATH: &str = "/service/GraniteServiceVersion20100801/operation/";

impl Service {
    /// As credentials are scoped, or as the call looks where there are none.
    pub fn of(scope: Option<&Scope>, uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let looks = if uri.path().starts_with("/service/GraniteService") {
            Some(Self::CloudWatch { json: false })
        } else if target.starts_with("GraniteServiceVersion") {
            Some(Self::CloudWatch { json: true })
        } else if target.starts_with("Logs_") {
            Some(Self::Logs)
        } else if uri.path() == "/" {
            Some(Self::Rds)
        } else {
            Some(Self::Backup)
        };
        match scope.map(|scope| scope.service.as_str()) {
            Some("rds") => Some(Self::Rds),
            Some("monitoring") => Some(Self::CloudWatch { json: target.starts_with("GraniteServiceVersion") }),
            Some("backup") => Some(Self::Backup),
            Some("logs") => Some(Self::Logs),
            Some("sts") => Some(Self::Sts),
            Some(_) => None,
            None => looks,
        }
    }

    /// As credentials are scoped.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rds => "rds",
            Self::CloudWatch { .. } => "monitoring",
            Self::Backup => "backup",
            Self::Logs => "logs",
            Self::Sts => "sts",
        }
    }

    /// As policies call it.
    pub fn iam_prefix(self) -> &'static str {
        match self {
            Self::CloudWatch { .. } => "cloudwatch",
            other => other.name(),
        }
    }

    /// Whether its errors have Query's names.
    pub fn is_query(self) -> bool {
        matches!(self, Self::Rds | Self::Sts | Self::CloudWatch { .. })
    }

    fn namespace(self) -> &'static str {
        match self {
            Self::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
            _ => "http://rds.amazonaws.com/doc/2014-10-31/",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Rds | Self::Sts => "text/xml",
            Self::CloudWatch { json: false } => "application/cbor",
            Self::CloudWatch { json: true } => "application/x-amz-json-1.0",
            Self::Backup => "application/json",
            Self::Logs => "application/x-amz-json-1.1",
        }
    }

    fn response(self, status: StatusCode, request: &str, body: Vec<u8>) -> Response<Body> {
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type()));
        if let Ok(id) = HeaderValue::from_str(request) {
            headers.insert("x-amzn-requestid", id);
        }
        if self == (Self::CloudWatch { json: false }) {
            headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
        }
        response
    }

    /// What a call comes to.
    pub fn answer(self, action: &str, fields: &Fields, request: &str) -> Response<Body> {
        let body = match self {
            Self::Rds | Self::Sts => query::write(action, self.namespace(), fields, request),
            Self::CloudWatch { json: false } => cbor::write(fields),
            Self::CloudWatch { json: true } | Self::Backup | Self::Logs => json::write(fields),
        };
        self.response(StatusCode::OK, request, body)
    }

    /// Why it comes to nothing.
    pub fn refuse(self, refusal: &Refusal, request: &str) -> Response<Body> {
        let mut response = match self {
            Self::Rds | Self::Sts => {
                self.response(refusal.status, request, query::refusal(self.namespace(), refusal, request))
            }
            Self::CloudWatch { json } => {
                let named = Refusal { code: shape_name(&refusal.code), ..refusal.clone() };
                let body = if json { json::refusal(&named) } else { cbor::refusal(&named) };
                self.response(refusal.status, request, body)
            }
            Self::Logs => self.response(refusal.status, request, json::refusal(refusal)),
            Self::Backup => self.response(refusal.status, request, json::rest_refusal(refusal)),
        };
        let headers = response.headers_mut();
        if let Ok(code) = HeaderValue::from_str(&refusal.code)
            && self == Self::Backup
        {
            headers.insert("x-amzn-errortype", code);
        }
        let kind = if refusal.status.is_server_error() { "Receiver" } else { "Sender" };
        if let Ok(code) = HeaderValue::from_str(&format!("{};{kind}", refusal.code))
            && matches!(self, Self::CloudWatch { .. })
        {
            // Clients that know Query's names for these find them here.
            headers.insert("x-amzn-query-error", code);
        }
        response
    }
}

/// What CloudWatch's model calls the error that Query calls so.
fn shape_name(code: &str) -> String {
    match code {
        "InvalidParameterValue" | "InvalidParameterCombination" | "Throttling" | "AccessDenied" | "ExpiredToken" => {
            format!("{code}Exception")
        }
        "MissingParameter" => "MissingRequiredParameterException".to_owned(),
        "LimitExceeded" | "InvalidFormat" => format!("{code}Fault"),
        other => other.to_owned(),
    }
}

/// What a signed call says of itself; the signature is not looked at.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The access key's id.
    pub key: String,
    /// `eu-west-1`
    pub region: String,
    /// `rds`
    pub service: String,
}

impl Scope {
    /// Of the header `Authorization`: `Err` where there is one that is none.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, ()> {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
        let text = value.to_str().map_err(|_| ())?;
        let rest = text.strip_prefix("AWS4-HMAC-SHA256").ok_or(())?;
        let part = |name: &str| rest.split(',').map(str::trim).find_map(|part| part.strip_prefix(name));
        let parts: Vec<&str> = part("Credential=").ok_or(())?.split('/').collect();
        part("SignedHeaders=").ok_or(())?;
        part("Signature=").filter(|signature| signature.len() == 64).ok_or(())?;
        match parts[..] {
            [key, _, region, service, "aws4_request"] => {
                Ok(Some(Self { key: key.to_owned(), region: region.to_owned(), service: service.to_owned() }))
            }
            _ => Err(()),
        }
    }
}
