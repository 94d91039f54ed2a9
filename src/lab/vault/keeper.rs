//! Who keeps the estate's secrets: the real Vault that is installed, or the stand-in; and what is written there.

use std::path::Path;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::real::Server;
use super::{MOUNT, VaultStand};
use crate::domain::{Layout, Naming, TenantId};
use crate::lab::error::LabError;
use crate::lab::roster::{Member, Roster, Style};
use crate::lab::{door, world};

/// Secrets written side by side.
const AT_ONCE: usize = 8;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Which Vault an estate has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VaultKind {
    /// The stand-in.
    StandIn,
    /// The development server of `bao` or `vault`, where one is on PATH; else the stand-in.
    OnPath,
}

/// See the module. Dropped, it stops; where it is a process that blocks for a moment.
#[derive(Debug)]
pub(in crate::lab) struct Keeper {
    url: String,
    token: SecretString,
    client: reqwest::Client,
    /// Held, so that it lives as long as this.
    _kept: Kept,
}

#[derive(Debug)]
enum Kept {
    Stand { _stand: VaultStand },
    Real { _server: Server },
}

/// Whose secret points where.
#[derive(Debug, Clone, Copy)]
pub(in crate::lab) struct Opens<'a> {
    /// Whose secret it is.
    pub of: &'a Member,
    /// Whose place it opens: its own, mostly.
    pub place: &'a Member,
}

/// What opens a tenant's own instance on this host.
#[derive(Debug, Clone, Copy)]
pub(in crate::lab) struct Own<'a> {
    pub port: u16,
    pub database: &'a str,
    pub schema: &'a str,
    pub role: &'a str,
    pub key: &'a SecretString,
}

impl Keeper {
    /// Starts one. What is installed and does not start is said, and the stand-in takes its place.
    pub async fn start(kind: VaultKind, home: &Path, progress: &impl Fn(&str)) -> Result<Self, LabError> {
        let token = door::password();
        let real = match kind {
            VaultKind::StandIn => None,
            VaultKind::OnPath => {
                let (home, token) = (home.to_owned(), token.clone());
                match spawn_blocking(move || Server::start(&home, &token)).await? {
                    Ok(real) => real,
                    Err(error) => {
                        progress(&format!("{error}; a stand-in for Vault takes its place"));
                        None
                    }
                }
            }
        };
        let (url, kept) = if let Some(server) = real {
            progress(&format!("{} keeps the secrets", server.name));
            (server.url(), Kept::Real { _server: server })
        } else {
            let listening = LabError::io("listen on", Path::new("127.0.0.1"));
            let stand = VaultStand::start(token.clone()).await.map_err(listening)?;
            (stand.url(), Kept::Stand { _stand: stand })
        };
        // Only the first call has an effect.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Loopback, without TLS: so without certificates, and past any proxy.
        let client = reqwest::Client::builder().tls_backend_rustls().tls_certs_only(Vec::new()).no_proxy();
        let client = client.timeout(TIMEOUT).build().map_err(|error| said("be spoken to", &error))?;
        let keeper = Self { url, token, client, _kept: kept };
        keeper.ready().await?;
        Ok(keeper)
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What opens everything in it.
    pub fn token(&self) -> &SecretString {
        &self.token
    }

    /// Writes everybody's secret.
    pub async fn fill(&self, layout: Layout, roster: &Roster, port: u16, door: &door::Door) -> Result<(), LabError> {
        let each = |member| async move {
            self.write(layout, Opens { of: member, place: member }, port, door).await?;
            let custom =
                json!({"custom_metadata": {"owner": "platform", "tenant": member.id.as_str(), "written-by": "estate"}});
            self.post(&format!("metadata/{}", path(member)), &custom).await
        };
        stream::iter(&roster.members).map(each).buffer_unordered(AT_ONCE).try_collect::<()>().await
    }

    /// Writes the secret of a tenant with an instance of its own.
    pub async fn entrust(&self, id: &TenantId, opens: &Own<'_>) -> Result<(), LabError> {
        let Own { port, database, schema, role, key } = opens;
        let data = json!({
            "host": "127.0.0.1", "port": port, "database": database, "schema": schema, "username": role,
            "password": key.expose_secret()
        });
        let path = path_of(id);
        self.post(&format!("data/{path}"), &json!({ "data": data })).await?;
        let custom = json!({"owner": "platform", "tenant": id.as_str(), "written-by": "estate"});
        self.post(&format!("metadata/{path}"), &json!({ "custom_metadata": custom })).await
    }

    /// Writes a tenant's secret anew.
    pub async fn write(&self, layout: Layout, opens: Opens<'_>, port: u16, door: &door::Door) -> Result<(), LabError> {
        let Opens { of, place } = opens;
        let mut data = json!({"host": "127.0.0.1", "port": port, "database": place.database, "schema": place.schema});
        let own = layout == Layout::Database || of.style == Style::OwnLogin;
        data["username"] = Value::from(if own { of.role.as_str() } else { world::SERVICE });
        if let Some(key) = door.key(&of.role).filter(|_| own) {
            data["password"] = Value::from(key.expose_secret());
        }
        self.post(&format!("data/{}", path(of)), &json!({ "data": data })).await
    }

    /// Listening is not serving: the mount is made a moment later.
    async fn ready(&self) -> Result<(), LabError> {
        let mut last = None;
        for _ in 0..200 {
            let request = self.client.get(format!("{}/v1/{MOUNT}/metadata/?list=true", self.url));
            match request.header("x-vault-token", self.token.expose_secret()).send().await {
                // A mount without secrets has none to list.
                Ok(answer) if answer.status().as_u16() == 404 => {
                    let words = answer.text().await.unwrap_or_default();
                    if !words.contains("no handler for route") {
                        return Ok(());
                    }
                }
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(_) => {}
                Err(error) => last = Some(said("be asked", &error)),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(last.unwrap_or(LabError::Vault { doing: "be asked".to_owned(), said: "it does not serve".to_owned() }))
    }

    async fn post(&self, place: &str, body: &Value) -> Result<(), LabError> {
        let request = self.client.post(format!("{}/v1/{MOUNT}/{place}", self.url));
        let request = request.header("x-vault-token", self.token.expose_secret()).body(body.to_string());
        let answer = request.send().await.map_err(|error| said("take a secret", &error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err(LabError::Vault { doing: "take a secret".to_owned(), said: format!("HTTP {status}") })
    }
}

fn path(member: &Member) -> String {
    path_of(&member.id)
}

fn path_of(id: &TenantId) -> String {
    Naming::default().vault_path.replace("{id}", id.as_str())
}

/// What went wrong, without the address, and so without anything that was written.
fn said(doing: &str, error: &reqwest::Error) -> LabError {
    let words = if error.is_timeout() { "no answer in time" } else { "it is not reached" };
    LabError::Vault { doing: doing.to_owned(), said: words.to_owned() }
}
