//! What can go wrong with AWS, as what it is, and what to do next. Never a secret, and of AWS's own words only those that
//! help.

use std::error::Error;
use std::fmt;

use aws_sdk_rds::config::http::HttpResponse;
use aws_sdk_rds::error::{ProvideErrorMetadata, SdkError};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::{Action, Place};
use crate::domain::foreign::sanitise;
use crate::domain::observed::Trouble;
use crate::domain::quantity::duration;

/// The most of AWS's own words that is repeated.
const MOST: usize = 200;

/// Codes of the same meaning: services differ.
const DENIED: [&str; 5] =
    ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "NotAuthorized"];
const EXPIRED: [&str; 4] = ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"];
const UNKNOWN_KEY: [&str; 4] =
    ["InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "AuthFailure"];
const SKEWED: [&str; 3] = ["RequestTimeTooSkewed", "RequestInTheFuture", "SignatureExpired"];
const THROTTLED: [&str; 8] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "LimitExceededException",
];

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Our policy does not allow it.
    Denied {
        /// The action that is missing, as IAM names it: mostly the one that was asked.
        missing: String,
    },
    /// Credentials that were good once.
    Expired,
    /// There are no credentials.
    NoCredentials,
    /// AWS does not know the key.
    UnknownKey,
    /// The key is known, and what it signed is wrong.
    WrongSecret,
    /// Credentials cannot be had: why.
    Credentials(String),
    /// Our clock and AWS's differ, by so many seconds where that is known.
    Skew(Option<i64>),
    /// Asked too often.
    Throttled,
    /// Its own fault.
    Server(u16),
    /// Nobody answers.
    Unreachable(String),
    /// No answer in time.
    Timeout,
    /// What is asked about is not there, or no longer.
    Gone(String),
    /// Cannot be used as configured.
    Setup(String),
    /// What answers is not AWS.
    Odd(String),
    /// Something else, in AWS's words.
    Other {
        /// AWS's code.
        code: String,
        /// AWS's words.
        message: String,
    },
}

/// Why AWS did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsError {
    /// Which account.
    pub place: Place,
    /// What was asked.
    pub action: Action,
    /// What is wrong.
    pub fault: Fault,
}

impl Error for AwsError {}

impl AwsError {
    /// Whether we may not, while others may.
    pub fn is_denied(&self) -> bool {
        matches!(self.fault, Fault::Denied { .. })
    }

    /// Whether it is about who we are: then everything of this account fails alike.
    pub fn is_about_credentials(&self) -> bool {
        matches!(
            self.fault,
            Fault::Expired | Fault::NoCredentials | Fault::UnknownKey | Fault::WrongSecret | Fault::Credentials(_)
        )
    }

    /// Whether we should ask more rarely.
    pub fn is_throttled(&self) -> bool {
        self.fault == Fault::Throttled
    }

    /// What to show.
    pub fn trouble(&self) -> Trouble {
        let code = match &self.fault {
            Fault::Denied { .. } => "AccessDenied",
            Fault::Expired => "ExpiredToken",
            Fault::Throttled => "Throttling",
            Fault::Skew(_) => "RequestTimeTooSkewed",
            Fault::Other { code, .. } => code,
            _ => return Trouble::new(self.to_string()),
        };
        Trouble::other(self.to_string(), Some(code.to_owned()))
    }

    /// How one logs in again.
    fn login(&self) -> String {
        match &self.place.profile {
            Some(profile) => format!("aws sso login --profile {}", sanitise(profile)),
            None => "aws sso login, or fresh credentials in the environment".to_owned(),
        }
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, service, asked) = (sanitise(&self.place.name), self.action.service(), self.action.name());
        match &self.fault {
            Fault::Denied { missing } if missing == "sts:AssumeRole" => {
                let role = self.place.assume_role.as_deref().unwrap_or("the role");
                write!(
                    out,
                    "AWS ({name}) does not let us take on {}: it must trust who we are, and we need sts:AssumeRole",
                    sanitise(role)
                )
            }
            Fault::Denied { missing } => write!(
                out,
                "AWS ({name}) does not allow {missing}: add that action to our policy (assets/iam/watch.json has all that \
                 watching needs)"
            ),
            Fault::Expired => {
                write!(out, "our AWS credentials ({name}) have expired; log in again: {}", self.login())
            }
            Fault::NoCredentials => write!(
                out,
                "no AWS credentials ({name}) were found in variables, profile, web identity or the machine's role: {}",
                self.login()
            ),
            Fault::UnknownKey => write!(
                out,
                "AWS ({name}) does not know our access key: deleted, of another partition, or mistyped; {}",
                self.login()
            ),
            Fault::WrongSecret => write!(
                out,
                "AWS ({name}) does not accept our signature: the secret access key does not belong to the key id"
            ),
            Fault::Credentials(reason) => {
                write!(out, "our AWS credentials ({name}) cannot be had: {reason}; {}", self.login())
            }
            Fault::Skew(Some(seconds)) => write!(
                out,
                "our clock is {} {} AWS's ({name}), which therefore refuses us: set it right (NTP)",
                duration(seconds.unsigned_abs() as f64),
                if *seconds > 0 { "ahead of" } else { "behind" }
            ),
            Fault::Skew(None) => {
                write!(out, "AWS ({name}) refuses us because our clock and its own differ: set ours right (NTP)")
            }
            Fault::Throttled => write!(
                out,
                "{service} ({name}) throttles {asked}: too many questions, ours and others'; it is asked more rarely for a while"
            ),
            Fault::Server(status) => write!(
                out,
                "{service} ({name}) has a fault of its own (HTTP {status}); it is asked again; see health.aws.amazon.com"
            ),
            Fault::Unreachable(reason) => {
                let at = self
                    .place
                    .endpoint_url
                    .as_deref()
                    .map_or_else(|| format!("in {}", self.place.region), |url| format!("at {}", without_login(url)));
                write!(
                    out,
                    "{service} ({name}) {} is not reached: {reason}; check region, endpoint_url and the network",
                    sanitise(&at)
                )
            }
            Fault::Timeout => write!(out, "{service} ({name}) did not answer {asked} in time; it is asked again"),
            Fault::Gone(what) => write!(out, "{service} ({name}) does not know it: {what}"),
            Fault::Setup(reason) => write!(out, "AWS ({name}) cannot be used as configured: {}", sanitise(reason)),
            Fault::Odd(reason) => write!(
                out,
                "what answers for {service} ({name}) does not speak its language: {reason}; check endpoint_url and proxies"
            ),
            Fault::Other { code, message } => write!(out, "{service} ({name}) refuses {asked}: {code}: {message}"),
        }
    }
}

impl Fault {
    /// What an SDK's error is.
    pub fn of<E>(action: Action, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(context) => {
                let (error, raw) = (context.err(), context.raw());
                said(action, error.code().unwrap_or_default(), error.message().unwrap_or_default(), raw)
            }
            SdkError::TimeoutError(_) => Self::Timeout,
            SdkError::ResponseError(context) => match context.raw().status().as_u16() {
                status @ 500.. => Self::Server(status),
                429 => Self::Throttled,
                status => Self::Odd(format!("HTTP {status}, and {}", last(error))),
            },
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                Self::Unreachable("nobody answers in time".to_owned())
            }
            SdkError::DispatchFailure(failure) if failure.is_io() => Self::Unreachable(last(error)),
            _ => Self::of_credentials(error),
        }
    }

    /// What went wrong before anything was sent: mostly there is nobody to send it as.
    pub fn of_credentials(error: &(dyn Error + 'static)) -> Self {
        let chain = chain(error);
        let all = chain.join(" | ");
        let lower = all.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if says(&["assumerole", "sts:assumerole"]) && says(&["accessdenied", "not authorized"]) {
            return Self::Denied { missing: "sts:AssumeRole".to_owned() };
        }
        if says(&["expired"]) || says(&["sso"]) && says(&["token", "cached", "unauthorized"]) {
            return Self::Expired;
        }
        if says(&["not enabled", "no providers in chain provided credentials", "credentials are required"]) {
            return Self::NoCredentials;
        }
        if says(&["external process", "credential_process"]) {
            return Self::Credentials("credential_process failed".to_owned());
        }
        if says(&["credential", "profile", "web identity", "imds", "session"]) {
            return Self::Credentials(last(error));
        }
        if says(&["connect", "dns", "tls", "certificate", "io error"]) {
            return Self::Unreachable(last(error));
        }
        Self::Setup(last(error))
    }
}

/// What a service answered.
fn said(action: Action, code: &str, message: &str, raw: &HttpResponse) -> Fault {
    // `com.amazonaws.rds#ExpiredToken`, `ExpiredToken:http://…`
    let code = code.rsplit('#').next().unwrap_or(code).split(':').next().unwrap_or(code);
    let status = raw.status().as_u16();
    let is = |codes: &[&str]| codes.contains(&code);
    let lower = message.to_lowercase();
    // `Signature expired: 20261122T… is now earlier than …`: services tell it under the code of a wrong signature.
    let unsigned = code == "SignatureDoesNotMatch" || code.starts_with("InvalidSignature");
    let untimely = ["signature expired", "not yet current"].iter().any(|words| lower.contains(words));
    if is(&SKEWED) || unsigned && untimely {
        return Fault::Skew(skew(raw));
    }
    if is(&DENIED) {
        return Fault::Denied { missing: missing(message).unwrap_or_else(|| action.name().to_owned()) };
    }
    if is(&EXPIRED) {
        return Fault::Expired;
    }
    if is(&UNKNOWN_KEY) || code == "InvalidToken" {
        return Fault::UnknownKey;
    }
    if unsigned {
        return Fault::WrongSecret;
    }
    if is(&THROTTLED) || status == 429 {
        return Fault::Throttled;
    }
    if status >= 500 {
        return Fault::Server(status);
    }
    if code.ends_with("NotFound") || code.ends_with("NotFoundFault") || code == "ResourceNotFoundException" {
        return Fault::Gone(cut(message));
    }
    // Without a code of a service it is no answer of a service.
    if code.is_empty() {
        return match status {
            403 => Fault::Denied { missing: action.name().to_owned() },
            status => Fault::Odd(format!("HTTP {status} without an error code")),
        };
    }
    Fault::Other { code: cut(code), message: cut(message) }
}

/// The action that AWS says is missing: `… is not authorized to perform: rds:DescribeEvents on resource: …`.
fn missing(message: &str) -> Option<String> {
    let action = message.split_once("authorized to perform: ")?.1.split_whitespace().next()?;
    let plain = |char: char| char.is_ascii_alphanumeric() || ":-*".contains(char);
    let action = action.trim_end_matches(['.', ',']);
    (action.contains(':') && action.chars().all(plain)).then(|| action.to_owned())
}

/// How many seconds our clock is ahead of the one that answered.
fn skew(raw: &HttpResponse) -> Option<i64> {
    let theirs = rfc2822::parse(raw.headers().get("date")?).ok()?.timestamp();
    Some(Timestamp::now().as_second() - theirs.as_second())
}

/// What an error says, and what is below it.
fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    std::iter::successors(Some(error), |error| (*error).source()).map(ToString::to_string).collect()
}

/// The last of these, which is the nearest to the cause.
fn last(error: &(dyn Error + 'static)) -> String {
    cut(&chain(error).pop().unwrap_or_default())
}

fn cut(text: &str) -> String {
    let text = sanitise(text.trim());
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into_owned(),
    }
}

/// An address as it may be shown.
fn without_login(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let rest = rest.split(['?', '#']).next().unwrap_or(rest);
            format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, place)| place))
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_action_that_is_missing_is_read_from_the_words() {
        let said = "User: arn:aws:iam::1:user/x is not authorized to perform: rds:DescribeEvents on resource: arn:…";
        assert_eq!(missing(said).as_deref(), Some("rds:DescribeEvents"));
        assert_eq!(missing("you may not"), None);
        assert_eq!(missing("is not authorized to perform: \u{1b}[2J"), None);
    }

    #[test]
    fn what_is_repeated_is_short_plain_and_without_a_login() {
        assert!(cut(&"x".repeat(1_000)).chars().count() <= MOST + 1);
        assert!(!cut("a\u{1b}[2Jb").contains('\u{1b}'));
        assert_eq!(without_login("http://me:secret@host:1/p?token=x"), "http://host:1/p");
    }
}
