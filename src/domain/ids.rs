//! Names: tenant ids, instance names, and the templates that turn an id into PostgreSQL and Vault names and back.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// PostgreSQL cuts identifiers at this many bytes without a word (`NAMEDATALEN - 1`).
pub const LONGEST_IDENTIFIER: usize = 63;

/// A tenant's id: kebab-case, 3 to 63 characters, `^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`. Safe to print as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(Arc<str>);

/// Why something is not a tenant id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Too short or too long.
    #[error("a tenant id has 3 to 63 characters, this one has {0}")]
    Length(usize),
    /// A character that ids do not have, or a hyphen at an end.
    #[error("a tenant id is lower-case letters, digits and inner hyphens; {0:?} cannot stand there")]
    Character(char),
}

impl TenantId {
    /// Checks and takes an id.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let alphanumeric = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
        if let Some(bad) = text.chars().find(|&char| !alphanumeric(char) && char != '-') {
            return Err(IdError::Character(bad));
        }
        if !(3..=63).contains(&text.len()) {
            return Err(IdError::Length(text.len()));
        }
        if text.starts_with('-') || text.ends_with('-') {
            return Err(IdError::Character('-'));
        }
        Ok(Self(Arc::from(text)))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}

impl TryFrom<String> for TenantId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<TenantId> for String {
    fn from(id: TenantId) -> Self {
        id.0.to_string()
    }
}

/// The name that the configuration (or a discovery) gives to an instance.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceName(Arc<str>);

impl InstanceName {
    /// Takes a name; the configuration has checked it.
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

impl fmt::Debug for InstanceName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}

/// A name with `{id}` in it, such as `tenant_{id}`; in PostgreSQL names the id's `-` becomes `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    before: String,
    after: String,
}

impl Template {
    /// Splits a template at its one `{id}`; `None` when there is not exactly one.
    pub fn parse(text: &str) -> Option<Self> {
        let (before, after) = text.split_once("{id}")?;
        (!after.contains("{id}")).then(|| Self { before: before.to_owned(), after: after.to_owned() })
    }

    /// The PostgreSQL name for an id.
    pub fn name(&self, id: &TenantId) -> String {
        format!("{}{}{}", self.before, id.as_str().replace('-', "_"), self.after)
    }

    /// The id that a PostgreSQL name was made from, if it was made by this template.
    pub fn id(&self, name: &str) -> Option<TenantId> {
        let id = name.strip_prefix(self.before.as_str())?.strip_suffix(self.after.as_str())?;
        if id.contains('-') {
            return None;
        }
        TenantId::parse(&id.replace('_', "-")).ok()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{{id}}{}", self.before, self.after)
    }
}

/// How tenants are named in PostgreSQL. The defaults are DOMAIN's conventions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// Schema of a tenant on an instance with a schema for each tenant.
    pub tenant_schema: Template,
    /// Owner role, and login where a tenant has its own, in the schema layout.
    pub tenant_role: Template,
    /// Database of a tenant on an instance with a database for each tenant.
    pub tenant_database: Template,
    /// Login role of a tenant in the database layout.
    pub tenant_login: Template,
    /// The login that most sessions of all tenants share.
    pub service_account: String,
    /// Path of a tenant's secret below the KV mount (here `-` stays `-`).
    pub vault_path: String,
}

impl Default for Naming {
    fn default() -> Self {
        let template = |before: &str, after: &str| Template { before: before.to_owned(), after: after.to_owned() };
        Self {
            tenant_schema: template("tenant_", ""),
            tenant_role: template("role_", ""),
            tenant_database: template("db_", ""),
            tenant_login: template("", "_app"),
            service_account: "portarium_shared".to_owned(),
            vault_path: "tenants/{id}/db".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_what_the_convention_says() {
        for good in ["abc", "a-b", "9lives", &"a".repeat(63)] {
            assert_eq!(TenantId::parse(good).map(|id| id.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "ab", &"a".repeat(64), "-ab", "ab-", "Acme", "a_b", "a b", "аcme", "a'b", "a\u{1b}b"] {
            assert!(TenantId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_go_there_and_back() {
        let naming = Naming::default();
        let id = TenantId::parse("acme-eu-1").unwrap();
        assert_eq!(naming.tenant_schema.name(&id), "tenant_acme_eu_1");
        assert_eq!(naming.tenant_schema.id("tenant_acme_eu_1"), Some(id.clone()));
        assert_eq!(naming.tenant_login.id("acme_eu_1_app"), Some(id));
        for not_ours in ["public", "tenant_", "tenant_a", "tenant_A_b", "tenant_a-b", "tenant__x"] {
            assert_eq!(naming.tenant_schema.id(not_ours), None, "{not_ours}");
        }
        assert_eq!(Template::parse("no placeholder"), None);
        assert_eq!(Template::parse("{id}{id}"), None);
    }
}
