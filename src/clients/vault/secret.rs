//! Secrets of a KV version 2 mount: read, written with check-and-set, described.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Map, Value};
use vaultrs::api::kv2::requests::{ReadSecretRequest, SetSecretMetadataRequest, SetSecretRequestOptions};
use vaultrs::error::ClientError;
use vaultrs::{api, kv2};

use super::error::Attempt;
use super::{Vault, VaultError, check_path};

/// What a secret consists of. Its `Debug` names the fields and leaves out their values.
#[derive(Clone, PartialEq, Default)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// A field in clear: hosts, ports, names.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A field that stays secret.
    pub fn secret(&self, name: &str) -> Option<SecretString> {
        self.text(name).map(SecretString::from)
    }

    /// Names of the fields.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The same with this field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.names()).finish()
    }
}

/// One version of a secret.
#[derive(Debug, Clone)]
pub struct Secret {
    /// What it consists of.
    pub fields: Fields,
    /// Which version this is.
    pub version: u64,
    /// Whose it is, as whoever wrote it said.
    pub custom: BTreeMap<String, String>,
    /// When it was written.
    pub written: Option<Timestamp>,
}

/// What a write expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// There has never been a secret there: check-and-set 0.
    Nothing,
    /// This version is the newest.
    Version(u64),
}

/// What is known of a secret beside its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The newest version.
    pub current: u64,
    /// How many versions are kept; 0: as many as the mount says.
    pub max_versions: u64,
    /// After how long a version deletes itself, as Vault writes it: `0s` is never.
    pub delete_version_after: String,
    /// Who wrote it for what.
    pub custom: BTreeMap<String, String>,
    /// The versions that there are.
    pub versions: BTreeMap<u64, VersionState>,
    /// When the newest was written.
    pub written: Option<Timestamp>,
    /// When the newest deletes itself.
    pub ends: Option<Timestamp>,
}

/// What became of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionState {
    /// It can be read.
    There,
    /// It can be brought back.
    Deleted,
    /// It is gone.
    Destroyed,
}

impl Vault {
    /// The newest version; `None` where there is none, or where it was deleted.
    pub async fn read(&self, path: &str) -> Result<Option<Secret>, VaultError> {
        self.read_at(path, None).await
    }

    /// A certain version.
    pub async fn read_version(&self, path: &str, version: u64) -> Result<Option<Secret>, VaultError> {
        self.read_at(path, Some(version)).await
    }

    async fn read_at(&self, path: &str, version: Option<u64>) -> Result<Option<Secret>, VaultError> {
        let mount = self.place.mount.as_str();
        let read = self.call(self.attempt("read", path)?, |client| async move {
            let mut request = ReadSecretRequest::builder();
            let request = request.mount(mount).path(path).version(version).build();
            let request = request.map_err(|_| ClientError::InvalidUpdateParameter)?;
            api::exec_with_result(&*client, request).await
        });
        let Some(read) = there(read.await)? else { return Ok(None) };
        let fields = match read.data {
            Value::Object(fields) => fields,
            Value::Null => return Ok(None),
            _ => {
                let (address, reason) = (self.place.address.clone(), format!("{path} is no object of fields"));
                return Err(VaultError::Odd { address, reason });
            }
        };
        let custom = read.metadata.custom_metadata.unwrap_or_default().into_iter().collect();
        let written = read.metadata.created_time.parse().ok();
        Ok(Some(Secret { fields: Fields(fields), version: read.metadata.version, custom, written }))
    }

    /// Writes a new version if what is there is what we think; returns its number.
    pub async fn write(&self, path: &str, fields: &Fields, expected: Expected) -> Result<u64, VaultError> {
        let mount = self.place.mount.as_str();
        let version = match expected {
            Expected::Nothing => 0,
            Expected::Version(version) => version,
        };
        let attempt = Attempt { expected: version, ..self.attempt("write", path)? };
        let cas = u32::try_from(version).map_err(|_| VaultError::Setup(format!("{path} has no version {version}")))?;
        let written = self.call(attempt, |client| async move {
            let options = SetSecretRequestOptions { cas };
            kv2::set_with_options(&*client, mount, path, &fields.0, options).await
        });
        Ok(written.await?.version)
    }

    /// What is known of a secret; `None` where there never was one, or all of it was removed. Whether the time has come at which a
    /// version deletes itself is told by the clock here; whether it can be read, by [`Vault::read`].
    pub async fn metadata(&self, path: &str) -> Result<Option<Metadata>, VaultError> {
        let mount = self.place.mount.as_str();
        let read = self.call(self.attempt("read the metadata of", path)?, |client| async move {
            kv2::read_metadata(&*client, mount, path).await
        });
        let Some(read) = there(read.await)? else { return Ok(None) };
        // Of a version that deletes itself one day, that day stands there from its first.
        let now = Timestamp::now();
        let ends = |state: &api::kv2::responses::SecretMetadata| {
            state.deletion_time.parse().ok().filter(|at: &Timestamp| *at > now)
        };
        let state = |state: &api::kv2::responses::SecretMetadata| match state {
            state if state.destroyed => VersionState::Destroyed,
            state if !state.deletion_time.is_empty() && ends(state).is_none() => VersionState::Deleted,
            _ => VersionState::There,
        };
        let newest = read.versions.get(&read.current_version.to_string());
        let (written, ends) = (newest.and_then(|newest| newest.created_time.parse().ok()), newest.and_then(ends));
        let versions =
            read.versions.iter().filter_map(|(number, found)| Some((number.parse().ok()?, state(found)))).collect();
        Ok(Some(Metadata {
            current: read.current_version,
            max_versions: read.max_versions,
            delete_version_after: read.delete_version_after,
            custom: read.custom_metadata.unwrap_or_default().into_iter().collect(),
            versions,
            written,
            ends,
        }))
    }

    /// Says of a secret whose it is; what was said before is replaced.
    pub async fn describe(&self, path: &str, custom: &BTreeMap<String, String>) -> Result<(), VaultError> {
        let mount = self.place.mount.as_str();
        let custom: &HashMap<String, String> =
            &custom.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let done = self.call(self.attempt("describe", path)?, |client| async move {
            let mut request = SetSecretMetadataRequest::builder();
            request.custom_metadata(custom.clone());
            kv2::set_metadata(&*client, mount, path, Some(&mut request)).await
        });
        done.await
    }

    /// Deletes a version so that it can be brought back.
    pub async fn delete(&self, path: &str, version: u64) -> Result<(), VaultError> {
        let mount = self.place.mount.as_str();
        let done = self.call(self.attempt("delete", path)?, |client| async move {
            kv2::delete_versions(&*client, mount, path, vec![version]).await
        });
        done.await
    }

    /// Brings a deleted version back.
    pub async fn undelete(&self, path: &str, version: u64) -> Result<(), VaultError> {
        let mount = self.place.mount.as_str();
        let done = self.call(self.attempt("bring back", path)?, |client| async move {
            kv2::undelete_versions(&*client, mount, path, vec![version]).await
        });
        done.await
    }

    /// Removes a secret with all its versions and what is known of it, for good.
    pub async fn remove(&self, path: &str) -> Result<(), VaultError> {
        let mount = self.place.mount.as_str();
        let done = self.call(self.attempt("remove", path)?, |client| async move {
            kv2::delete_metadata(&*client, mount, path).await
        });
        done.await
    }

    /// Names below a path, those that lead further down with a `/` at their end; none where there is nothing. An empty path
    /// is the mount itself.
    pub async fn list(&self, path: &str) -> Result<Vec<String>, VaultError> {
        let mount = self.place.mount.as_str();
        let attempt = if path.is_empty() { self.whole("list") } else { self.attempt("list", path)? };
        let listed = self.call(attempt, |client| async move { kv2::list(&*client, mount, path).await });
        Ok(there(listed.await)?.unwrap_or_default())
    }

    fn attempt<'a>(&'a self, doing: &'static str, path: &'a str) -> Result<Attempt<'a>, VaultError> {
        check_path(path).map_err(VaultError::Setup)?;
        Ok(Attempt { path, ..self.whole(doing) })
    }

    fn whole(&self, doing: &'static str) -> Attempt<'_> {
        Attempt { place: &self.place, doing, path: "", expected: 0 }
    }
}

/// That there is nothing is an answer.
fn there<T>(read: Result<T, VaultError>) -> Result<Option<T>, VaultError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(VaultError::Server { status: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
