//! Being logged in: by a token, `AppRole` or a Kubernetes service account; renewed in time, and again where that is possible.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;
use vaultrs::api::AuthInfo;
use vaultrs::client::{Client as _, VaultClient, VaultClientSettingsBuilder};

use super::error::Attempt;
use super::{Place, VaultError};

/// How we show who we are.
#[derive(Debug, Clone)]
pub enum Auth {
    /// A token that somebody else got.
    Token(SecretString),
    /// `AppRole`.
    AppRole {
        /// Where it is mounted: `approle`.
        mount: String,
        /// The role's id.
        role_id: String,
        /// Its secret id.
        secret_id: SecretString,
    },
    /// The service account of the pod that we run in.
    Kubernetes {
        /// Where it is mounted: `kubernetes`.
        mount: String,
        /// The role in Vault.
        role: String,
        /// Its JSON web token.
        token_file: PathBuf,
    },
}

/// A Vault, logged in to when it is first asked something.
pub struct Vault {
    pub(super) place: Place,
    auth: Auth,
    session: Mutex<Option<Session>>,
}

/// Who we are there now.
struct Session {
    client: Arc<VaultClient>,
    /// When a third of its life is left; `None`: it does not end, or nobody can say.
    renew: Option<Instant>,
    renewable: bool,
}

impl fmt::Debug for Vault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Vault").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Vault {
    /// A Vault there. Nothing is asked yet.
    pub fn new(place: Place, auth: Auth) -> Self {
        Self { place, auth, session: Mutex::new(None) }
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Does something while logged in; once more with a new login where Vault no longer knows the one we had.
    pub(super) async fn call<T, F>(
        &self,
        attempt: Attempt<'_>,
        call: impl Fn(Arc<VaultClient>) -> F,
    ) -> Result<T, VaultError>
    where
        F: Future<Output = Result<T, vaultrs::error::ClientError>>,
    {
        let client = self.client().await?;
        let first = match call(Arc::clone(&client)).await {
            Ok(done) => return Ok(done),
            Err(error) => attempt.failed(&error),
        };
        // "Permission denied" is also what is said of a token that has ended.
        if !matches!(first, VaultError::Denied { .. } | VaultError::Token) || self.knows(&client).await? {
            return Err(first);
        }
        self.forget(&client).await;
        if matches!(self.auth, Auth::Token(_)) {
            return Err(VaultError::Token);
        }
        let client = self.client().await?;
        call(client).await.map_err(|error| attempt.failed(&error))
    }

    /// Whether Vault knows the token at all.
    async fn knows(&self, client: &VaultClient) -> Result<bool, VaultError> {
        match vaultrs::token::lookup_self(client).await {
            Ok(_) => Ok(true),
            Err(error) => match self.login("look up our token").failed(&error) {
                VaultError::Denied { .. } | VaultError::Token => Ok(false),
                // What was said first stands.
                VaultError::Server { .. } | VaultError::Odd { .. } => Ok(true),
                other => Err(other),
            },
        }
    }

    async fn forget(&self, client: &Arc<VaultClient>) {
        let mut session = self.session.lock().await;
        if session.as_ref().is_some_and(|session| Arc::ptr_eq(&session.client, client)) {
            *session = None;
        }
    }

    /// The client of a session that lasts.
    pub(super) async fn client(&self) -> Result<Arc<VaultClient>, VaultError> {
        let mut session = self.session.lock().await;
        if let Some(open) = session.as_mut() {
            if open.renew.is_none_or(|renew| Instant::now() < renew) {
                return Ok(Arc::clone(&open.client));
            }
            if open.renewable
                && let Ok(info) = vaultrs::token::renew_self(&*open.client, None).await
            {
                (open.renew, open.renewable) = life(&info);
                return Ok(Arc::clone(&open.client));
            }
            // A token of somebody else's is used for as long as Vault takes it.
            if matches!(self.auth, Auth::Token(_)) {
                open.renew = None;
                return Ok(Arc::clone(&open.client));
            }
        }
        let open = session.insert(self.log_in().await?);
        Ok(Arc::clone(&open.client))
    }

    async fn log_in(&self) -> Result<Session, VaultError> {
        let (client, info) = match &self.auth {
            Auth::Token(token) => return self.with_token(token).await,
            Auth::AppRole { mount, role_id, secret_id } => {
                let client = self.connect("")?;
                let info = vaultrs::auth::approle::login(&client, mount, role_id, secret_id.expose_secret()).await;
                (client, info.map_err(|error| self.refused("AppRole", &error))?)
            }
            Auth::Kubernetes { mount, role, token_file } => {
                // Read each time: the kubelet replaces it within the hour.
                let jwt = tokio::fs::read_to_string(token_file).await.map_err(|error| VaultError::Login {
                    method: "Kubernetes",
                    reason: format!("the service account's token {} cannot be read: {error}", token_file.display()),
                })?;
                let jwt = SecretString::from(jwt);
                let client = self.connect("")?;
                let info = vaultrs::auth::kubernetes::login(&client, mount, role, jwt.expose_secret().trim()).await;
                (client, info.map_err(|error| self.refused("Kubernetes", &error))?)
            }
        };
        let mut client = client;
        client.set_token(&info.client_token);
        let (renew, renewable) = life(&info);
        Ok(Session { client: Arc::new(client), renew, renewable })
    }

    async fn with_token(&self, token: &SecretString) -> Result<Session, VaultError> {
        let client = self.connect(token.expose_secret())?;
        let (renew, renewable) = match vaultrs::token::lookup_self(&client).await {
            Ok(found) => (renewal(found.ttl), found.renewable.unwrap_or(false)),
            Err(error) => match self.login("look up our token").failed(&error) {
                VaultError::Token => return Err(VaultError::Token),
                // It may be one that may not look itself up: what is asked next tells.
                VaultError::Denied { .. } | VaultError::Server { .. } | VaultError::Odd { .. } => (None, false),
                other => return Err(other),
            },
        };
        Ok(Session { client: Arc::new(client), renew, renewable })
    }

    fn login(&self, doing: &'static str) -> Attempt<'_> {
        Attempt { place: &self.place, doing, path: "", expected: 0 }
    }

    fn refused(&self, method: &'static str, error: &vaultrs::error::ClientError) -> VaultError {
        match self.login("log in").failed(error) {
            VaultError::Server { status, reason, .. } => {
                VaultError::Login { method, reason: format!("{reason} (HTTP {status})") }
            }
            VaultError::Denied { .. } | VaultError::Token => {
                VaultError::Login { method, reason: "permission denied".to_owned() }
            }
            other => other,
        }
    }

    fn connect(&self, token: &str) -> Result<VaultClient, VaultError> {
        let setup = |why: &str| VaultError::Setup(why.to_owned());
        // Both would become headers.
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !plain(token) {
            return Err(setup("the token is not one word of ASCII"));
        }
        if !self.place.namespace.as_deref().is_none_or(plain) {
            return Err(setup("vault.namespace is not one word of ASCII"));
        }
        super::check_path(&self.place.mount).map_err(|why| VaultError::Setup(format!("vault.mount: {why}")))?;
        if !url::Url::parse(&self.place.address).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            return Err(setup("vault.address is not an http:// or https:// URL"));
        }
        // Only the first call has an effect; the other crates that speak TLS here name theirs themselves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings = VaultClientSettingsBuilder::default()
            .address(&self.place.address)
            // Its own HTTP client is never used: it has no setting for redirects. Ours reads the authorities.
            .ca_certs(Vec::new())
            .identity(None)
            .timeout(Some(self.place.timeout))
            .token(token)
            .verify(true)
            .namespace(self.place.namespace.clone())
            .build()
            .map_err(|error| VaultError::Setup(error.to_string()))?;
        let mut client = VaultClient::new(settings).map_err(|error| self.login("connect").failed(&error))?;
        client.http.http = self.straight()?;
        Ok(client)
    }

    /// An HTTP client that follows no redirect: the token, and what is written, would go wherever one points, in clear too.
    fn straight(&self) -> Result<reqwest::Client, VaultError> {
        let setup = |why: String| VaultError::Setup(why);
        let mut builder = reqwest::Client::builder()
            .tls_backend_rustls()
            .timeout(self.place.timeout)
            .redirect(reqwest::redirect::Policy::none());
        if self.place.address.starts_with("http://") {
            // No TLS, so no certificates either: to read the system's takes a moment.
            builder = builder.tls_certs_only(Vec::new());
        } else if let Some(path) = &self.place.ca_cert {
            let bad = || setup(format!("{} holds no certificates in PEM that can be read", path.display()));
            let pem = std::fs::read(path).map_err(|_| bad())?;
            builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| bad())?);
        }
        builder.build().map_err(|_| setup("no HTTPS client can be made".to_owned()))
    }
}

fn life(info: &AuthInfo) -> (Option<Instant>, bool) {
    (renewal(info.lease_duration), info.renewable)
}

/// When to renew what lasts this many seconds; 0 lasts for ever.
fn renewal(seconds: u64) -> Option<Instant> {
    (seconds > 0).then(|| Instant::now() + Duration::from_secs(seconds).mul_f64(2.0 / 3.0))
}
