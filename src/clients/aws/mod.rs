//! How to reach AWS: one [`Account`] for each account and region, credentials as AWS's own tools find them, `ring` for TLS,
//! short timeouts, few retries, and one way to say what went wrong.
//!
//! What is asked for, and what the answers mean, is in [`crate::sources::aws`].

mod action;
mod clock;
mod error;
mod signer;

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_rds::auth_token::{AuthTokenGenerator, Config as TokenConfig};
use aws_sdk_rds::config::http::HttpResponse;
use aws_sdk_rds::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use secrecy::SecretString;
use tokio::sync::{Mutex, Semaphore};

use clock::Clock;
use signer::Signer;

pub use action::Action;
pub use error::{AwsError, Fault};

/// How long a connection may take to be made, an attempt, and a question with its retries.
const CONNECT: Duration = Duration::from_secs(4);
const ATTEMPT: Duration = Duration::from_secs(15);
const QUESTION: Duration = Duration::from_secs(40);

/// Nothing waits longer, whatever the client below thinks of time.
const LONGEST: Duration = Duration::from_secs(45);

/// For how long what charts asked for counts.
const HOUR: Duration = Duration::from_secs(3_600);

/// Attempts at one question; between them the SDK backs off.
const ATTEMPTS: u32 = 3;

/// Questions of one account that are under way at the same time, and so its sockets.
const AT_ONCE: usize = 8;

/// Sockets kept open for the next question, to each service.
const IDLE: usize = 2;

/// AWS takes no signature that is older, or newer.
const SKEWED: i64 = 240;

/// How long a token may be used to log in. RDS allows no longer.
const TOKEN: u64 = 900;

/// Where an account is, and how we get in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The configuration's name for it: `[aws.NAME]`.
    pub name: Arc<str>,
    /// Region.
    pub region: Arc<str>,
    /// Of the SDK's own configuration; `None`: `AWS_PROFILE`, else its default chain.
    pub profile: Option<String>,
    /// The SDK's own configuration, where it is not in its usual place.
    pub config_file: Option<PathBuf>,
    /// A role to take on.
    pub assume_role: Option<String>,
    /// Somewhere else than AWS.
    pub endpoint_url: Option<String>,
}

/// One account in one region. Cheap to clone; nothing is read or asked before somebody asks.
#[derive(Clone)]
pub struct Account(Arc<Inner>);

struct Inner {
    place: Place,
    open: Mutex<Option<Arc<Clients>>>,
    at_once: Semaphore,
    asked: AtomicU64,
    signer: Signer,
    clock: Clock,
    /// How many figures charts asked for, and when.
    charts: std::sync::Mutex<VecDeque<(Instant, usize)>>,
}

/// The services' clients: they share credentials and sockets.
#[expect(missing_docs, reason = "each is the client of the service of that name")]
pub struct Clients {
    pub rds: aws_sdk_rds::Client,
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    pub backup: aws_sdk_backup::Client,
    pub logs: aws_sdk_cloudwatchlogs::Client,
    pub sts: aws_sdk_sts::Client,
    sdk: SdkConfig,
}

impl Account {
    /// One at that place.
    pub fn new(place: Place) -> Self {
        let at_once = Semaphore::new(AT_ONCE);
        let (signer, clock, charts) = (Signer::default(), Clock::default(), std::sync::Mutex::default());
        Self(Arc::new(Inner {
            place,
            open: Mutex::new(None),
            at_once,
            asked: AtomicU64::new(0),
            signer,
            clock,
            charts,
        }))
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// How many questions were asked so far.
    pub fn asked(&self) -> u64 {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// How many seconds our clock is ahead of AWS's, as its newest answer has it.
    pub fn ahead(&self) -> Option<i64> {
        self.0.clock.ahead()
    }

    /// That our clock is too far from AWS's for what is signed by it, and what to do; `None` where it is not, as far as is known.
    pub fn skew(&self) -> Option<String> {
        let ahead = self.ahead().filter(|ahead| ahead.abs() >= SKEWED)?;
        Some(
            AwsError { place: self.place().clone(), action: Action::Connect, fault: Fault::Skew(Some(ahead)) }
                .to_string(),
        )
    }

    /// Notes that somebody who looks at charts asks for so many figures.
    pub fn chart(&self, figures: usize) {
        let mut charts = self.0.charts.lock().unwrap_or_else(PoisonError::into_inner);
        charts.push_back((Instant::now(), figures));
    }

    /// How many figures charts asked for in the last hour: who keeps to a ceiling counts them.
    pub fn charted(&self) -> usize {
        let mut charts = self.0.charts.lock().unwrap_or_else(PoisonError::into_inner);
        while charts.front().is_some_and(|(at, _)| at.elapsed() > HOUR) {
            charts.pop_front();
        }
        charts.iter().map(|(_, figures)| figures).sum()
    }

    /// The clients. Profiles and variables are read the first time, and again after credentials failed: somebody may have
    /// logged in meanwhile.
    pub async fn clients(&self) -> Arc<Clients> {
        let mut open = self.0.open.lock().await;
        if let Some(clients) = &*open {
            return Arc::clone(clients);
        }
        let clients = Arc::new(open_clients(self.place(), &self.0.clock).await);
        *open = Some(Arc::clone(&clients));
        clients
    }

    /// Asks one question, in time, and says what went wrong in words.
    pub async fn ask<T, E>(
        &self,
        action: Action,
        question: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, AwsError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let failed = |fault| AwsError { place: self.place().clone(), action, fault };
        let before = self.0.open.lock().await.clone();
        let asked = async {
            // Never closed.
            let _turn = self.0.at_once.acquire().await;
            self.0.asked.fetch_add(1, Ordering::Relaxed);
            question.await
        };
        let error = match tokio::time::timeout(LONGEST, asked).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => failed(Fault::of(action, &error)),
            Err(_) => failed(Fault::Timeout),
        };
        if let Some(clients) = before {
            self.forget(&error, &clients).await;
        }
        Err(error)
    }

    /// Asks for the next page of an answer; `None` when there is none.
    pub async fn page<T, E>(
        &self,
        action: Action,
        page: impl Future<Output = Option<Result<T, SdkError<E, HttpResponse>>>>,
    ) -> Result<Option<T>, AwsError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.ask(action, async { page.await.transpose() }).await
    }

    /// A token that opens one login at one address for fifteen minutes: RDS takes it for a password. Made here, by a signature;
    /// only credentials may have to be fetched ([`signer`]).
    pub async fn token(&self, host: &str, port: u16, user: &str) -> Result<SecretString, AwsError> {
        let failed = |fault| AwsError { place: self.place().clone(), action: Action::Connect, fault };
        let encoded = percent_encoding::utf8_percent_encode(user, percent_encoding::NON_ALPHANUMERIC).to_string();
        let config = TokenConfig::builder().hostname(host).port(u64::from(port)).username(encoded).expires_in(TOKEN);
        let clients = self.clients().await;
        let made = tokio::time::timeout(LONGEST, async {
            let credentials = self.0.signer.credentials(&clients).await?;
            let config = config.credentials(credentials).build().map_err(|error| Fault::Setup(error.to_string()))?;
            let token = AuthTokenGenerator::new(config).auth_token(&clients.sdk).await;
            token.map_err(|error| Fault::of_credentials(&*error))
        });
        let error = match made.await {
            Ok(Ok(token)) => return Ok(SecretString::from(token.as_str())),
            Ok(Err(fault)) => failed(fault),
            Err(_) => failed(Fault::Timeout),
        };
        self.forget(&error, &clients).await;
        Err(error)
    }

    /// Clients whose credentials failed are made anew, once: what they had may have been replaced.
    async fn forget(&self, error: &AwsError, clients: &Arc<Clients>) {
        if error.is_about_credentials() {
            let mut open = self.0.open.lock().await;
            open.take_if(|open| Arc::ptr_eq(open, clients));
        }
    }

    /// Who we are there: the ARN.
    pub async fn identity(&self) -> Result<String, AwsError> {
        let clients = self.clients().await;
        let identity = self.ask(Action::GetCallerIdentity, clients.sts.get_caller_identity().send()).await?;
        Ok(identity.arn.unwrap_or_default())
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Account").field(&self.0.place).finish()
    }
}

/// The same account is one that is reached in the same way.
impl PartialEq for Account {
    fn eq(&self, other: &Self) -> bool {
        self.0.place == other.0.place
    }
}

impl Eq for Account {}

/// The SDK's own configuration, from this file alone.
#[expect(deprecated, reason = "the new home of these types is a crate that nothing else here needs")]
fn profiles(file: &Path) -> aws_config::profile::profile_file::ProfileFiles {
    use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
    ProfileFiles::builder().with_file(ProfileFileKind::Config, file).build()
}

async fn open_clients(place: &Place, clock: &Clock) -> Clients {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .pool_max_idle_per_host(IDLE)
        .build_https();
    let times = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(QUESTION)
        .build();
    let region = Region::new(place.region.to_string());
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(region.clone())
        .http_client(http.clone())
        .timeout_config(times)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
    let files = place.config_file.as_deref().map(profiles);
    if place.profile.is_some() || files.is_some() {
        // Who names a profile means it, also where the environment has keys of somebody else.
        let base = ProviderConfig::default().with_region(Some(region)).with_http_client(http);
        let mut provider = ProfileFileCredentialsProvider::builder().configure(&base);
        if let Some(profile) = &place.profile {
            (loader, provider) = (loader.profile_name(profile), provider.profile_name(profile));
        }
        if let Some(files) = files {
            (loader, provider) = (loader.profile_files(files.clone()), provider.profile_files(files));
        }
        loader = loader.credentials_provider(provider.build());
    }
    if let Some(url) = &place.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    let mut sdk = loader.load().await;
    if let Some(role) = &place.assume_role {
        let provider = AssumeRoleProvider::builder(role).session_name("tierdeck").configure(&sdk);
        let provider = match sdk.credentials_provider() {
            Some(base) => provider.build_from_provider(base).await,
            None => provider.build().await,
        };
        let shared = aws_sdk_sts::config::SharedCredentialsProvider::new(provider);
        sdk = sdk.into_builder().credentials_provider(shared).build();
    }
    // Two that are asked in any case are enough to know the time by.
    let rds = aws_sdk_rds::config::Builder::from(&sdk).interceptor(clock.clone()).build();
    let sts = aws_sdk_sts::config::Builder::from(&sdk).interceptor(clock.clone()).build();
    Clients {
        rds: aws_sdk_rds::Client::from_conf(rds),
        cloudwatch: aws_sdk_cloudwatch::Client::new(&sdk),
        backup: aws_sdk_backup::Client::new(&sdk),
        logs: aws_sdk_cloudwatchlogs::Client::new(&sdk),
        sts: aws_sdk_sts::Client::from_conf(sts),
        sdk,
    }
}
