//! Steps at Vault: a secret written where there was none, told whose it is, one that was ours removed, one deleted at the end of
//! a tenant.
//!
//! The version comes first, by check-and-set, and what is said of the secret then: custom metadata know no check-and-set, so
//! described first they would be written over whatever somebody said of a secret of theirs that came meanwhile, and make it ours.
//! Until it is described a secret is ours if it consists of what this operation would have written.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::hands::Eyes;
use super::id::OperationId;
use super::script::{Filled, Reference, Script, VaultAt, VaultCall, VaultCalls};
use super::step::{Check, Safety, Step, StepError, Undo};
use super::tenancy::{Kept, SECRET_MARK};
use crate::clients::vault::VersionState;

/// Writes a secret where there was none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteSecret {
    /// Which Vault.
    pub vault: VaultAt,
    /// Where below the mount.
    pub path: String,
    /// What it consists of.
    pub fields: BTreeMap<String, Filled>,
    /// Whose it is.
    pub operation: OperationId,
}

/// Whose a secret is that lies where ours would.
enum Whose {
    /// There is none.
    Nobodys,
    /// What this operation wrote.
    Ours,
    /// Somebody else's, and why.
    Theirs(String),
    /// It bears our mark, and something came since.
    Changed(String),
}

impl WriteSecret {
    fn whole(&self) -> String {
        format!("{}/{}", self.vault.mount, self.path)
    }

    fn foreign(&self, now: &Kept, why: &str) -> String {
        format!(
            "there is a secret {} ({}) that this operation did not write: {why}; it is left alone",
            self.whole(),
            now.words()
        )
    }

    fn calls(&self, call: VaultCall) -> Script {
        Script::Vault(VaultCalls { vault: self.vault.clone(), calls: vec![call] })
    }

    async fn whose(&self, now: &Kept, eyes: &Eyes) -> Result<Whose, StepError> {
        let marked = now.is_of(&self.operation);
        let whose = match (now.metadata.is_none(), now.current(), &now.newest) {
            (true, _, _) => Whose::Nobodys,
            (_, 0, _) => Whose::Theirs("it is only described".to_owned()),
            // Deleted since; what it was nobody can see.
            (_, 1, None) if marked => Whose::Ours,
            (_, 1, None) => Whose::Theirs("what it was is deleted".to_owned()),
            (_, 1, Some(_)) => match self.other(now, marked, eyes).await? {
                None => Whose::Ours,
                Some(field) if marked => Whose::Changed(format!("it bears our mark, and has another {field}")),
                Some(field) => Whose::Theirs(format!("it has another {field}")),
            },
            _ if marked => Whose::Changed("somebody wrote it meanwhile".to_owned()),
            _ => Whose::Theirs("it has more than the one version".to_owned()),
        };
        Ok(whose)
    }

    /// The first field that is not what this operation writes; `None`: it consists of what we would write, of exactly that.
    async fn other(&self, now: &Kept, marked: bool, eyes: &Eyes) -> Result<Option<String>, StepError> {
        let Some(newest) = &now.newest else { return Ok(Some("version".to_owned())) };
        if let Some(more) = newest.fields.names().find(|name| !self.fields.contains_key(*name)) {
            return Ok(Some(more.to_owned()));
        }
        for (name, wanted) in &self.fields {
            let found = newest.fields.secret(name);
            let found = found.as_ref().map(ExposeSecret::expose_secret);
            let same = match wanted {
                Filled::Text(text) => found == Some(text.as_str()),
                Filled::Number(number) => found == Some(number.to_string().as_str()),
                Filled::Made(length) => found.is_some_and(|found| found.len() == *length),
                Filled::From(source) => match (self.source(source, eyes).await?, found) {
                    (Some(source), found) => found == Some(source.expose_secret()),
                    // It served its purpose and is gone; the mark came only when both had been compared.
                    (None, found) => marked && found.is_some_and(|found| !found.is_empty()),
                },
            };
            if !same {
                return Ok(Some(name.clone()));
            }
        }
        Ok(None)
    }

    async fn source(&self, at: &Reference, eyes: &Eyes) -> Result<Option<SecretString>, StepError> {
        let source = eyes.vault(&self.vault)?.read(&at.path).await?;
        Ok(source.and_then(|source| source.fields.secret(&at.field)))
    }
}

impl Step for WriteSecret {
    fn title(&self) -> String {
        format!("write the secret {}, where there is none", self.whole())
    }

    fn safety(&self) -> Safety {
        Safety::Reversible
    }

    fn forward(&self) -> Script {
        self.calls(VaultCall::Write { path: self.path.clone(), fields: self.fields.clone(), cas: 0 })
    }

    /// All of it: what was written is in no other place of any use, and the next who provisions the tenant finds nothing in the way.
    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        Ok(Some(self.calls(VaultCall::Remove { path: self.path.clone() })))
    }

    fn check<'a>(&'a self, before: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let now = Kept::look(&self.vault, &self.path, eyes).await?;
            Ok(match self.whose(&now, eyes).await? {
                Whose::Nobodys => Check::Ready { before: json!({ "secret": "none" }) },
                Whose::Ours if before.is_some() && now.newest.is_some() => {
                    Check::Already { output: json!({ "version": 1 }) }
                }
                Whose::Ours if before.is_some() => Check::Foreign(self.foreign(&now, "somebody deleted what it wrote")),
                Whose::Ours => Check::Foreign(self.foreign(&now, "it had not begun to")),
                Whose::Theirs(why) | Whose::Changed(why) => Check::Foreign(self.foreign(&now, &why)),
            })
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            let now = Kept::look(&self.vault, &self.path, eyes).await?;
            match (self.whose(&now, eyes).await?, &now.newest) {
                (Whose::Ours, Some(newest)) => {
                    let names: Vec<&str> = newest.fields.names().collect();
                    Ok(json!({ "version": 1, "fields": names }))
                }
                (Whose::Theirs(why) | Whose::Changed(why), _) => Err(StepError::NotVerified(self.foreign(&now, &why))),
                _ => Err(StepError::NotVerified(format!("there is no secret {}, which was written", self.whole()))),
            }
        })
    }

    fn undone<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        Box::pin(async move {
            let now = Kept::look(&self.vault, &self.path, eyes).await?;
            Ok(match self.whose(&now, eyes).await? {
                // Not there, or somebody else's: nothing of ours ever got there, or it is gone.
                Whose::Nobodys | Whose::Theirs(_) => Undo::Done,
                Whose::Ours => Undo::Needed,
                Whose::Changed(why) => Undo::Blocked(format!("{} ({}): {why}", self.whole(), now.words())),
            })
        })
    }
}

/// Says of a secret that was written whose it is and who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribeSecret {
    /// The secret.
    pub secret: WriteSecret,
    /// What is said of it, beside the operation.
    pub custom: BTreeMap<String, String>,
}

impl DescribeSecret {
    fn said(&self) -> BTreeMap<String, String> {
        let mut said = self.custom.clone();
        said.insert(SECRET_MARK.to_owned(), self.secret.operation.to_string());
        said
    }
}

impl Step for DescribeSecret {
    fn title(&self) -> String {
        format!("say of the secret {} whose it is", self.secret.whole())
    }

    fn safety(&self) -> Safety {
        Safety::Reversible
    }

    fn forward(&self) -> Script {
        self.secret.calls(VaultCall::Describe { path: self.secret.path.clone(), custom: self.said() })
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        Ok(None)
    }

    fn check<'a>(&'a self, _: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let now = Kept::look(&self.secret.vault, &self.secret.path, eyes).await?;
            let custom = now.metadata.as_ref().map(|known| &known.custom);
            Ok(match self.secret.whose(&now, eyes).await? {
                Whose::Ours if custom == Some(&self.said()) => {
                    Check::Already { output: json!({ "said": self.said() }) }
                }
                Whose::Ours if custom.is_some_and(BTreeMap::is_empty) => {
                    Check::Ready { before: json!({ "said": "nothing" }) }
                }
                Whose::Ours => Check::Foreign(self.secret.foreign(&now, "somebody described it meanwhile")),
                Whose::Theirs(why) | Whose::Changed(why) => Check::Foreign(self.secret.foreign(&now, &why)),
                Whose::Nobodys => Check::Blocked(format!("somebody removed {}", self.secret.whole())),
            })
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            let now = Kept::look(&self.secret.vault, &self.secret.path, eyes).await?;
            let custom = now.metadata.as_ref().map(|known| &known.custom);
            if custom != Some(&self.said()) {
                return Err(StepError::NotVerified(format!("{} says something else of itself", self.secret.whole())));
            }
            match self.secret.whose(&now, eyes).await? {
                Whose::Ours => Ok(json!({ "said": self.said() })),
                _ => Err(StepError::NotVerified(self.secret.foreign(&now, "it came meanwhile"))),
            }
        })
    }

    fn undone<'a>(&'a self, _: &'a Value, _: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        // What is said of a secret goes with it.
        Box::pin(async { Ok(Undo::Done) })
    }
}

/// Removes a secret that only served this operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovePassing {
    /// Which Vault.
    pub vault: VaultAt,
    /// Where below the mount.
    pub path: String,
}

impl Step for RemovePassing {
    fn title(&self) -> String {
        format!("remove the passing secret {}/{}", self.vault.mount, self.path)
    }

    fn safety(&self) -> Safety {
        Safety::Reversible
    }

    fn forward(&self) -> Script {
        let calls = vec![VaultCall::Remove { path: self.path.clone() }];
        Script::Vault(VaultCalls { vault: self.vault.clone(), calls })
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        Ok(None)
    }

    fn check<'a>(&'a self, before: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let now = Kept::look(&self.vault, &self.path, eyes).await?;
            Ok(match now.metadata {
                None if before.is_some() => Check::Already { output: json!({ "secret": "none" }) },
                _ => Check::Ready { before: json!({ "secret": now.words() }) },
            })
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            let now = Kept::look(&self.vault, &self.path, eyes).await?;
            if now.metadata.is_some() {
                return Err(StepError::NotVerified(format!("{} is still there", self.path)));
            }
            Ok(json!({ "secret": "none" }))
        })
    }

    fn undone<'a>(&'a self, _: &'a Value, _: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        // Nobody needs it any more.
        Box::pin(async { Ok(Undo::Done) })
    }
}

/// Deletes the newest version of a secret, and says of the secret which operation did so. It is the end of a tenant whose schema is
/// dropped: no operation brings it back, a person may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteSecret {
    /// Which Vault.
    pub vault: VaultAt,
    /// Where below the mount.
    pub path: String,
    /// Its newest version.
    pub version: u64,
    /// What was said of it before.
    pub custom: BTreeMap<String, String>,
    /// Which operation does it.
    pub operation: OperationId,
}

/// Which operation deleted it.
const DELETED_BY: &str = "tierdeck-deleted-by";

impl DeleteSecret {
    fn changed(&self, now: &Kept) -> String {
        format!("{}/{} was version {}, is {}", self.vault.mount, self.path, self.version, now.words())
    }

    fn said(&self, now: &Kept) -> bool {
        let custom = now.metadata.as_ref().map(|known| &known.custom);
        custom.and_then(|custom| custom.get(DELETED_BY)).is_some_and(|by| by == self.operation.as_str())
    }

    /// What became of our version, as long as it is the newest.
    fn state(&self, now: &Kept) -> Option<VersionState> {
        let known = now.metadata.as_ref().filter(|known| known.current == self.version)?;
        known.versions.get(&self.version).copied()
    }
}

impl Step for DeleteSecret {
    fn title(&self) -> String {
        format!(
            "delete the secret {}/{}, version {}, so that a person can bring it back",
            self.vault.mount, self.path, self.version
        )
    }

    fn safety(&self) -> Safety {
        Safety::PointOfNoReturn
    }

    fn forward(&self) -> Script {
        let mut custom = self.custom.clone();
        custom.insert(DELETED_BY.to_owned(), self.operation.to_string());
        let calls = vec![
            VaultCall::Describe { path: self.path.clone(), custom },
            VaultCall::Delete { path: self.path.clone(), version: self.version },
        ];
        Script::Vault(VaultCalls { vault: self.vault.clone(), calls })
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        Ok(None)
    }

    fn check<'a>(&'a self, _: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let now = Kept::look(&self.vault, &self.path, eyes).await?;
            Ok(match self.state(&now) {
                Some(VersionState::There) => Check::Ready { before: json!({ "version": self.version }) },
                Some(VersionState::Deleted) if self.said(&now) => {
                    Check::Already { output: json!({ "deleted": self.version }) }
                }
                _ => Check::Blocked(self.changed(&now)),
            })
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            let now = Kept::look(&self.vault, &self.path, eyes).await?;
            if self.state(&now) != Some(VersionState::Deleted) || !self.said(&now) {
                return Err(StepError::NotVerified(self.changed(&now)));
            }
            let back =
                format!("vault kv undelete -mount={} -versions={} {}", self.vault.mount, self.version, self.path);
            Ok(json!({ "deleted": self.version, "brought_back_by": back }))
        })
    }

    fn undone<'a>(&'a self, _: &'a Value, _: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        Box::pin(async { Ok(Undo::Blocked("what it pointed to was dropped".to_owned())) })
    }
}
