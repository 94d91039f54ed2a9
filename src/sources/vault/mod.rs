//! What Vault knows of the tenants' secrets: listed once a round, each one's metadata looked at, and what is in it read only
//! where that is another than before. Works with `list` on the folder and `read` on the paths; what is denied greys that part.

mod pace;
mod pointing;
mod policy;

use std::sync::Arc;

pub use pace::Pace;
pub use pointing::Door;
pub use policy::Policy;

use crate::clients::vault::{Metadata, Secret, Vault, VaultError, VersionState};
use crate::domain::facts::{Content, Pointing, SecretVersion, TenantSecret};
use crate::domain::foreign::sanitise;
use crate::domain::{Foreign, TenantId};

/// More custom metadata than this nobody reads.
const MOST_WORDS: usize = 16;

/// What is known of one secret: when nothing of its metadata has changed, so has nothing else.
#[derive(Debug, Clone)]
pub struct Known {
    metadata: Option<Metadata>,
    /// As it is told.
    pub secret: Arc<TenantSecret>,
}

/// Reads the tenants' secrets of one Vault.
#[derive(Debug)]
pub struct Reader {
    /// Where tenants have theirs: `tenants/{id}/db`.
    path: String,
    /// Where instances are reached, as far as that is known.
    doors: Arc<Vec<Door>>,
    /// So many requests a second.
    pace: Pace,
}

impl Reader {
    /// One that knows where tenants have theirs, and where instances are reached.
    pub fn new(path: String, doors: Arc<Vec<Door>>) -> Self {
        Self { path, doors, pace: Pace::default() }
    }

    /// Where instances are reached from now on: some are found later, and some are gone again.
    pub fn know(&mut self, doors: Arc<Vec<Door>>) {
        self.doors = doors;
    }

    /// Judges anew which instance a secret leads to, which nobody needs to read it for; whether that is another.
    pub fn lead(&self, known: &mut Known) -> bool {
        let Content::Points(pointing) = &known.secret.content else { return false };
        let leads = pointing::leads_of(pointing, &self.doors);
        if leads == pointing.leads {
            return false;
        }
        let pointing = Pointing { leads, ..Pointing::clone(pointing) };
        known.secret = Arc::new(TenantSecret {
            content: Content::Points(Box::new(pointing)),
            ..TenantSecret::clone(&known.secret)
        });
        true
    }

    /// Where tenants have theirs.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Who has one, as the folder's list says, and how many names in it are no tenant's.
    pub async fn list(&self, vault: &Vault) -> Result<(Vec<TenantId>, usize), VaultError> {
        let Shape { folder, before, after, leads_on } = Shape::of(&self.path);
        self.pace.turn().await;
        let names = vault.list(folder).await?;
        let id = |name: &str| {
            let name = match name.strip_suffix('/') {
                Some(name) if leads_on => name,
                None if !leads_on => name,
                _ => return None,
            };
            TenantId::parse(name.strip_prefix(before)?.strip_suffix(after)?).ok()
        };
        let mut tenants: Vec<TenantId> = names.iter().filter_map(|name| id(name)).collect();
        let strangers = names.len() - tenants.len();
        tenants.sort();
        tenants.dedup();
        Ok((tenants, strangers))
    }

    /// One tenant's secret; `None` where there is none. An error is one that the next secret would meet as well.
    pub async fn read(
        &self,
        vault: &Vault,
        tenant: &TenantId,
        known: Option<&Known>,
    ) -> Result<Option<Known>, VaultError> {
        let path = self.path.replace("{id}", tenant.as_str());
        let policy = Policy::of(&vault.place().mount, &self.path);
        self.pace.turn().await;
        let (metadata, mut hidden) = match vault.metadata(&path).await {
            Ok(None) => return Ok(None),
            Ok(Some(metadata)) => (Some(metadata), None),
            // A token that may not look itself up is told of what it may not do as if it had ended: what comes next tells.
            Err(VaultError::Token) => (None, Some(denied("read the metadata of", &path, &policy.metadata))),
            Err(error) => (None, Some(passing(error, &policy.metadata)?)),
        };
        let settled = known.filter(|known| known.metadata.is_some() && known.secret.hidden.is_none());
        if let Some(known) = settled.filter(|known| known.metadata == metadata) {
            return Ok(Some(known.clone()));
        }
        let newest = metadata.as_ref().map(|it| it.versions.get(&it.current).copied());
        let mut read = None;
        let content = match newest {
            Some(None) => Content::Nothing,
            Some(Some(VersionState::Deleted)) => Content::Deleted,
            Some(Some(VersionState::Destroyed)) => Content::Destroyed,
            Some(Some(VersionState::There)) | None => {
                self.pace.turn().await;
                match vault.read(&path).await {
                    Ok(Some(secret)) => {
                        let pointing = pointing::of(&secret.fields, &self.doors);
                        read = Some(secret);
                        Content::Points(Box::new(pointing))
                    }
                    // Deleted, or never there: without its metadata nobody can tell which.
                    Ok(None) if metadata.is_none() => Content::Unread,
                    // Deleted this moment.
                    Ok(None) => Content::Deleted,
                    Err(error) => {
                        let known = error == VaultError::Token && metadata.is_some();
                        let error = if known { VaultError::Denied { doing: "read", path } } else { error };
                        hidden = Some(passing(error, &policy.data)?);
                        Content::Unread
                    }
                }
            }
        };
        let secret = told(tenant.clone(), metadata.as_ref(), read.as_ref(), content, hidden);
        // What says the same stays the same.
        let secret = match known {
            Some(known) if *known.secret == secret => Arc::clone(&known.secret),
            _ => Arc::new(secret),
        };
        Ok(Some(Known { metadata, secret }))
    }
}

fn told(
    tenant: TenantId,
    metadata: Option<&Metadata>,
    read: Option<&Secret>,
    content: Content,
    hidden: Option<String>,
) -> TenantSecret {
    // What was read is newer than what was looked at before it.
    let version = match (read, metadata) {
        (Some(read), metadata) => {
            let ends = metadata.filter(|it| it.current == read.version).and_then(|it| it.ends);
            Some(SecretVersion { number: read.version, written: read.written, ends })
        }
        (None, Some(it)) if it.current > 0 => {
            Some(SecretVersion { number: it.current, written: it.written, ends: it.ends })
        }
        (None, _) => None,
    };
    let custom = read.map(|read| &read.custom).or(metadata.map(|it| &it.custom));
    let custom = custom.into_iter().flatten().take(MOST_WORDS);
    let custom = custom.map(|(name, value)| (Foreign::from(name.as_str()), Foreign::from(value.as_str()))).collect();
    TenantSecret { tenant, version, custom, kept: metadata.map(|it| it.max_versions), content, hidden }
}

/// In words, what is wrong with this one secret; an error where it is wrong with all of them.
fn passing(error: VaultError, line: &str) -> Result<String, VaultError> {
    match error {
        VaultError::Denied { doing, path } => Ok(denied(doing, &path, line)),
        VaultError::Odd { .. } => Ok(sanitise(&error.to_string()).into_owned()),
        VaultError::Server { status, .. } if status < 500 && status != 429 => Ok(error.to_string()),
        error => Err(error),
    }
}

fn denied(doing: &str, path: &str, line: &str) -> String {
    format!("Vault does not let us {doing} {path}: its policy needs {line}")
}

/// Where in a path the tenant's id stands.
struct Shape<'a> {
    /// What is listed.
    folder: &'a str,
    /// What stands before and after the id in its own part.
    before: &'a str,
    after: &'a str,
    /// Whether parts follow.
    leads_on: bool,
}

impl<'a> Shape<'a> {
    fn of(path: &'a str) -> Self {
        let (head, tail) = path.split_once("{id}").unwrap_or((path, ""));
        let (folder, before) = head.rsplit_once('/').unwrap_or(("", head));
        let (after, rest) = tail.split_once('/').map_or((tail, None), |(after, rest)| (after, Some(rest)));
        Self { folder, before, after, leads_on: rest.is_some() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_with_the_id_is_listed_wherever_it_stands() {
        let shape = |path| {
            let Shape { folder, before, after, leads_on } = Shape::of(path);
            (folder, before, after, leads_on)
        };
        assert_eq!(shape("tenants/{id}/db"), ("tenants", "", "", true));
        assert_eq!(shape("{id}/db"), ("", "", "", true));
        assert_eq!(shape("a/b/db-{id}.x"), ("a/b", "db-", ".x", false));
        assert_eq!(shape("{id}"), ("", "", "", false));
    }
}
