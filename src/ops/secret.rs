//! Steps at Vault: a secret written where there was none, one that was ours removed, one deleted so that it can be brought
//! back. Whose a secret is it says itself: its custom metadata come first, its first version then.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::hands::Eyes;
use super::id::OperationId;
use super::script::{Filled, Script, VaultAt, VaultCall, VaultCalls};
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
    /// What is said of it.
    pub custom: BTreeMap<String, String>,
    /// Whose it is.
    pub operation: OperationId,
}

impl WriteSecret {
    fn whole(&self) -> String {
        format!("{}/{}", self.vault.mount, self.path)
    }

    fn foreign(&self, now: &Kept) -> String {
        format!(
            "there is a secret {} ({}) that this operation did not write: it is left alone",
            self.whole(),
            now.words()
        )
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
        let mut custom = self.custom.clone();
        custom.insert(SECRET_MARK.to_owned(), self.operation.to_string());
        let path = self.path.clone();
        let calls = vec![
            VaultCall::Describe { path: path.clone(), custom },
            VaultCall::Write { path, fields: self.fields.clone(), cas: 0 },
        ];
        Script::Vault(VaultCalls { vault: self.vault.clone(), calls })
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        let calls = vec![VaultCall::Remove { path: self.path.clone() }];
        Ok(Some(Script::Vault(VaultCalls { vault: self.vault.clone(), calls })))
    }

    fn check<'a>(&'a self, before: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let now = Kept::look(&self.vault, &self.path, eyes).await?;
            Ok(match (now.metadata.is_none(), now.is_of(&self.operation), now.current()) {
                (true, _, _) | (_, true, 0) => Check::Ready { before: json!({ "secret": "none" }) },
                (_, true, 1) if before.is_some() && now.newest.is_some() => {
                    Check::Already { output: json!({ "version": 1 }) }
                }
                _ => Check::Foreign(self.foreign(&now)),
            })
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            let now = Kept::look(&self.vault, &self.path, eyes).await?;
            let Some(newest) = now.newest.as_ref().filter(|it| it.version == 1 && now.is_of(&self.operation)) else {
                return Err(StepError::NotVerified(self.foreign(&now)));
            };
            for (name, wanted) in &self.fields {
                let found = newest.fields.text(name);
                let same = match wanted {
                    Filled::Text(text) => found.as_ref() == Some(text),
                    Filled::Number(number) => found == Some(number.to_string()),
                    Filled::Made(length) => found.is_some_and(|found| found.len() == *length),
                    Filled::From(_) => found.is_some_and(|found| !found.is_empty()),
                };
                if !same {
                    return Err(StepError::NotVerified(format!(
                        "{} has another {name} than was written",
                        self.whole()
                    )));
                }
            }
            let names: Vec<&str> = newest.fields.names().collect();
            Ok(json!({ "version": 1, "fields": names }))
        })
    }

    fn undone<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        Box::pin(async move {
            let now = Kept::look(&self.vault, &self.path, eyes).await?;
            Ok(match (now.metadata.is_none(), now.is_of(&self.operation), now.current()) {
                // Not there, or somebody else's: nothing of ours ever got there.
                (true, _, _) | (_, false, _) => Undo::Done,
                (_, true, 0 | 1) => Undo::Needed,
                _ => Undo::Blocked(format!("somebody wrote {} meanwhile ({})", self.whole(), now.words())),
            })
        })
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

/// Deletes the newest version of a secret so that it can be brought back, and says of the secret which operation did so.
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
    fn script(&self, custom: BTreeMap<String, String>, then: VaultCall) -> Script {
        let calls = vec![VaultCall::Describe { path: self.path.clone(), custom }, then];
        Script::Vault(VaultCalls { vault: self.vault.clone(), calls })
    }

    fn changed(&self, now: &Kept) -> String {
        format!("{}/{} was version {}, is {}", self.vault.mount, self.path, self.version, now.words())
    }

    fn said(&self, now: &Kept) -> bool {
        let custom = now.metadata.as_ref().map(|known| &known.custom);
        custom.and_then(|custom| custom.get(DELETED_BY)).is_some_and(|by| by == self.operation.as_str())
    }

    /// Whether our version is still the newest, and what became of it.
    fn state(&self, now: &Kept) -> Option<VersionState> {
        let known = now.metadata.as_ref().filter(|known| known.current == self.version)?;
        known.versions.get(&self.version).copied()
    }
}

impl Step for DeleteSecret {
    fn title(&self) -> String {
        format!(
            "delete the secret {}/{}, version {}, so that it can be brought back",
            self.vault.mount, self.path, self.version
        )
    }

    fn safety(&self) -> Safety {
        Safety::Reversible
    }

    fn forward(&self) -> Script {
        let mut custom = self.custom.clone();
        custom.insert(DELETED_BY.to_owned(), self.operation.to_string());
        self.script(custom, VaultCall::Delete { path: self.path.clone(), version: self.version })
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        let then = VaultCall::Undelete { path: self.path.clone(), version: self.version };
        Ok(Some(self.script(self.custom.clone(), then)))
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

    fn undone<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        Box::pin(async move {
            let now = Kept::look(&self.vault, &self.path, eyes).await?;
            Ok(match self.state(&now) {
                Some(VersionState::There) if !self.said(&now) => Undo::Done,
                Some(VersionState::There | VersionState::Deleted) => Undo::Needed,
                _ => Undo::Blocked(self.changed(&now)),
            })
        })
    }
}
