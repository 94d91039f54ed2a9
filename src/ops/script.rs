//! What a step runs in one go, as data: statements on a database, calls to Vault, an external command, or what a login of ours
//! tries for a while. What is secret in it is a reference; the hands alone fill it in, when they run it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clients::vault::{Place, Vault};

pub use super::guest::Guest;

/// See the module. The shapes have no field in common that would let one be read as another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Script {
    /// Statements on one of the plan's targets.
    Sql(Sql),
    /// Calls to Vault.
    Vault(VaultCalls),
    /// A command on this machine.
    Command(CommandLine),
    /// What a temporary login tries.
    Guest(Guest),
}

/// Statements on one of the plan's targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sql {
    /// Which of the plan's targets, from 0.
    pub target: usize,
    /// Whether all of it is one transaction that begins by holding the lease; what cannot be (`VACUUM`) asks before.
    pub transaction: bool,
    /// The exact statements, but for what [`Sql::verifiers`] stand for.
    pub statements: Vec<String>,
    /// Passwords whose SCRAM verifiers are filled in where the statements have [`Reference::verifier`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verifiers: Vec<Reference>,
}

/// A field of a secret: what may be told of it anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The mount.
    pub mount: String,
    /// The secret below it.
    pub path: String,
    /// Its field.
    pub field: String,
}

/// Calls to Vault, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultCalls {
    /// Which Vault: the hands refuse to do this at another one.
    pub vault: VaultAt,
    /// What is asked of it.
    pub calls: Vec<VaultCall>,
}

/// Which Vault, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultAt {
    /// Its address.
    pub address: String,
    /// The namespace, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The mount of the KV version 2 engine.
    pub mount: String,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case", deny_unknown_fields)]
pub enum VaultCall {
    /// Says whose a secret is: all that is said of it.
    Describe {
        /// The secret.
        path: String,
        /// What is said.
        custom: BTreeMap<String, String>,
    },
    /// Writes a version, if the newest is still the one that was seen.
    Write {
        /// The secret.
        path: String,
        /// What it consists of.
        fields: BTreeMap<String, Filled>,
        /// The newest version that there may be; 0: none at all.
        cas: u64,
    },
    /// Deletes a version so that it can be brought back.
    Delete {
        /// The secret.
        path: String,
        /// Which.
        version: u64,
    },
    /// Removes a secret with all its versions, for good.
    Remove {
        /// The secret.
        path: String,
    },
}

/// A field of a secret that is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filled {
    /// A text that is no secret.
    Text(String),
    /// A number that is none.
    Number(u64),
    /// A password of so many characters, made when it is written and known to nobody before.
    Made(usize),
    /// What is in a field of another secret.
    From(Reference),
}

/// An external command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandLine {
    /// The program's file.
    pub program: String,
    /// Its exact arguments.
    pub arguments: Vec<String>,
    /// Its whole environment; nothing of ours is handed on.
    pub environment: BTreeMap<String, String>,
    /// Which of the plan's targets it logs in to: the admin login's password comes as `PGPASSFILE`, a file without a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<usize>,
    /// A file that grows while it works: when it has not for long, the command is taken for dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grows: Option<String>,
}

impl Script {
    /// Statements in one transaction.
    pub fn sql(target: usize, statements: Vec<String>) -> Self {
        Self::Sql(Sql { target, transaction: true, statements, verifiers: Vec::new() })
    }

    /// A statement that cannot be in a transaction.
    pub fn alone(target: usize, statement: String) -> Self {
        Self::Sql(Sql { target, transaction: false, statements: vec![statement], verifiers: Vec::new() })
    }

    /// Exactly what is run, line by line, secrets as references: for the audit log and the report.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Sql(sql) => sql.statements.clone(),
            Self::Vault(vault) => vault.calls.iter().map(|call| call.line(&vault.vault.mount)).collect(),
            Self::Command(command) => vec![command.line()],
            Self::Guest(guest) => guest.lines(),
        }
    }

    /// The same as a plan shows it.
    pub fn shown(&self) -> Vec<String> {
        let end = if matches!(self, Self::Sql(_)) { ";" } else { "" };
        self.lines().into_iter().map(|line| line + end).collect()
    }
}

impl Reference {
    /// What stands for its SCRAM verifier in a statement.
    pub fn verifier(&self) -> String {
        format!("'<SCRAM verifier of {self}>'")
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}#{}", self.mount, self.path, self.field)
    }
}

impl fmt::Display for VaultAt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Vault {}, mount {}", self.address, self.mount)?;
        self.namespace.iter().try_for_each(|namespace| write!(out, ", namespace {namespace}"))
    }
}

impl VaultAt {
    /// That of a client.
    pub fn of(vault: &Vault) -> Self {
        let Place { address, namespace, mount, .. } = vault.place().clone();
        Self { address, namespace, mount }
    }
}

impl VaultCall {
    /// The secret.
    pub fn path(&self) -> &str {
        let (Self::Describe { path, .. }
        | Self::Write { path, .. }
        | Self::Delete { path, .. }
        | Self::Remove { path }) = self;
        path
    }

    /// As Vault's own client would be told.
    fn line(&self, mount: &str) -> String {
        let path = self.path();
        match self {
            Self::Describe { custom, .. } => {
                let said = custom
                    .iter()
                    .map(|(name, value)| format!(" -custom-metadata={}", word(&format!("{name}={value}"))));
                format!("vault kv metadata put -mount={mount}{} {path}", said.collect::<String>())
            }
            Self::Write { fields, cas, .. } => {
                let fields = fields.iter().map(|(name, value)| format!(" {name}={value}"));
                format!("vault kv put -mount={mount} -cas={cas} {path}{}", fields.collect::<String>())
            }
            Self::Delete { version, .. } => format!("vault kv delete -mount={mount} -versions={version} {path}"),
            Self::Remove { .. } => format!("vault kv metadata delete -mount={mount} {path}"),
        }
    }
}

impl fmt::Display for Filled {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => out.write_str(&word(text)),
            Self::Number(number) => write!(out, "{number}"),
            Self::Made(length) => write!(out, "<{length} characters at random, made when it is written>"),
            Self::From(reference) => write!(out, "<{reference}>"),
        }
    }
}

impl CommandLine {
    fn line(&self) -> String {
        let mut words: Vec<String> =
            self.environment.iter().map(|(name, value)| format!("{name}={}", word(value))).collect();
        words.extend(self.login.map(|_| "PGPASSFILE=<the admin login's password>".to_owned()));
        words.push(word(&self.program).into_owned());
        words.extend(self.arguments.iter().map(|argument| word(argument).into_owned()));
        words.join(" ")
    }
}

/// As a shell takes it for one word.
fn word(text: &str) -> Cow<'_, str> {
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_./:=,@%+".contains(char);
    if !text.is_empty() && text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', "'\\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference() -> Reference {
        Reference { mount: "secret".to_owned(), path: "tenants/acme/db".to_owned(), field: "password".to_owned() }
    }

    #[test]
    fn the_three_shapes_read_back_as_what_they_are_and_the_first_as_it_always_was() {
        let former = r#"{"target":0,"transaction":true,"statements":["SELECT 1"]}"#;
        let read: Script = serde_json::from_str(former).unwrap();
        assert_eq!(read, Script::sql(0, vec!["SELECT 1".to_owned()]));
        assert_eq!(serde_json::to_string(&read).unwrap(), former, "journals of the former shape keep their hash");
        let at = VaultAt { address: "http://vault:8200".to_owned(), namespace: None, mount: "secret".to_owned() };
        let fields = BTreeMap::from([
            ("host".to_owned(), Filled::Text("a b".to_owned())),
            ("password".to_owned(), Filled::From(reference())),
            ("port".to_owned(), Filled::Number(5432)),
        ]);
        let calls = vec![VaultCall::Write { path: "tenants/acme/db".to_owned(), fields, cas: 0 }];
        let vault = Script::Vault(VaultCalls { vault: at, calls });
        let command = Script::Command(CommandLine {
            program: "/usr/bin/pg_dump".to_owned(),
            arguments: vec!["--schema=\"it's\"".to_owned()],
            environment: BTreeMap::from([("PGHOST".to_owned(), "db".to_owned())]),
            login: Some(0),
            grows: None,
        });
        for script in [&vault, &command] {
            assert_eq!(&serde_json::from_str::<Script>(&serde_json::to_string(script).unwrap()).unwrap(), script);
        }
        assert_eq!(
            vault.lines(),
            [
                "vault kv put -mount=secret -cas=0 tenants/acme/db host='a b' password=<secret/tenants/acme/db#password> port=5432"
            ]
        );
        assert_eq!(
            command.lines(),
            [r#"PGHOST=db PGPASSFILE=<the admin login's password> /usr/bin/pg_dump '--schema="it'\''s"'"#]
        );
        assert!(serde_json::from_str::<Script>(r#"{"target":0,"transaction":true,"statements":[],"also":1}"#).is_err());
    }
}
