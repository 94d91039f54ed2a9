//! Some logins get the limits that the policy wants, all of them or none.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use postgres_protocol::escape::{escape_identifier, escape_literal};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::limits::{Stored, Wanted, look};
use crate::domain::quantity::plural;
use crate::ops::hands::Eyes;
use crate::ops::step::{Check, Safety, Script, Step, StepError, Undo};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guarded {
    /// The login.
    pub role: String,
    /// What it lacks, and nothing else.
    pub wanted: Wanted,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// Which of the plan's targets.
    pub target: usize,
    /// The logins.
    pub logins: Vec<Guarded>,
}

type Image = BTreeMap<String, Stored>;

fn read(before: &Value) -> Result<Image, StepError> {
    serde_json::from_value(before.clone()).map_err(|error| StepError::Values(error.to_string()))
}

fn write(image: &Image) -> Result<Value, StepError> {
    serde_json::to_value(image).map_err(|error| StepError::Values(error.to_string()))
}

fn said(stored: &Stored) -> String {
    let settings = stored.settings.iter().map(|(name, text)| format!(", {name} {text}"));
    format!("CONNECTION LIMIT {}{}", stored.connections, settings.collect::<String>())
}

impl Guard {
    async fn now(&self, eyes: &mut Eyes) -> Result<Image, StepError> {
        let names: Vec<String> = self.logins.iter().map(|login| login.role.clone()).collect();
        let seen = look(Some(&names), self.target, eyes).await?;
        let now: Image = seen.into_iter().map(|login| (login.name, login.stored)).collect();
        match names.iter().find(|name| !now.contains_key(*name)) {
            Some(gone) => Err(StepError::NotVerified(format!("the login {gone} is gone"))),
            None => Ok(now),
        }
    }

    /// What it leaves of these.
    fn applied(&self, before: &Image) -> Image {
        let wanted = |role: &String| self.logins.iter().find(|login| login.role == *role);
        let apply = |(role, stored): (&String, &Stored)| {
            (role.clone(), wanted(role).map_or_else(|| stored.clone(), |login| login.wanted.applied(stored)))
        };
        before.iter().map(apply).collect()
    }

    fn changed(now: &Image, expected: &Image) -> String {
        let other = now.iter().filter(|(role, stored)| expected.get(*role) != Some(stored));
        let other: Vec<_> = other.map(|(role, stored)| format!("{role} has {}", said(stored))).collect();
        format!("somebody changed limits meanwhile, and they are left as they are: {}", other.join("; "))
    }
}

impl Step for Guard {
    fn title(&self) -> String {
        match self.logins.as_slice() {
            [one] => format!("limit the login {}", one.role),
            [first, .., last] => {
                format!("limit {}, {} to {}", plural(self.logins.len(), "login"), first.role, last.role)
            }
            [] => "limit no login".to_owned(),
        }
    }

    fn safety(&self) -> Safety {
        Safety::Reversible
    }

    fn forward(&self) -> Script {
        let mut statements = Vec::new();
        for Guarded { role, wanted } in &self.logins {
            let role = escape_identifier(role);
            statements.extend(wanted.connections.map(|limit| format!("ALTER ROLE {role} CONNECTION LIMIT {limit}")));
            let settings = wanted.settings.iter();
            statements.extend(
                settings.map(|(name, text)| {
                    format!("ALTER ROLE {role} SET {name} = {}", escape_literal(text).trim_start())
                }),
            );
        }
        Script::sql(self.target, statements)
    }

    fn backward(&self, before: &Value) -> Result<Option<Script>, StepError> {
        let before = read(before)?;
        let mut statements = Vec::new();
        for Guarded { role, wanted } in &self.logins {
            let was = before.get(role).ok_or_else(|| StepError::Values(format!("nothing of {role}")))?;
            let role = escape_identifier(role);
            if wanted.connections.is_some() {
                statements.push(format!("ALTER ROLE {role} CONNECTION LIMIT {}", was.connections));
            }
            statements.extend(wanted.settings.keys().map(|name| match was.settings.get(name) {
                Some(text) => format!("ALTER ROLE {role} SET {name} = {}", escape_literal(text).trim_start()),
                None => format!("ALTER ROLE {role} RESET {name}"),
            }));
        }
        Ok(Some(Script::sql(self.target, statements)))
    }

    fn check<'a>(&'a self, before: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let now = self.now(eyes).await?;
            let first = before.map(read).transpose()?;
            if now == self.applied(first.as_ref().unwrap_or(&now)) {
                return Ok(Check::Already { output: write(&now)? });
            }
            Ok(match first {
                Some(first) if first != now => Check::Blocked(Self::changed(&now, &first)),
                _ => Check::Ready { before: write(&now)? },
            })
        })
    }

    fn verify<'a>(&'a self, before: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            let (now, expected) = (self.now(eyes).await?, self.applied(&read(before)?));
            if now != expected {
                return Err(StepError::NotVerified(Self::changed(&now, &expected)));
            }
            write(&now)
        })
    }

    fn undone<'a>(&'a self, before: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        Box::pin(async move {
            let (now, before) = (self.now(eyes).await?, read(before)?);
            let applied = self.applied(&before);
            Ok(if now == before {
                Undo::Done
            } else if now == applied {
                Undo::Needed
            } else {
                Undo::Blocked(Self::changed(&now, &applied))
            })
        })
    }
}
