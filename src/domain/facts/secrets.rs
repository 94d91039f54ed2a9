//! What Vault tells of the tenants' secrets: that there is one, which version, by whom, and where it points. Never a value that
//! is secret. These facts are of the whole estate: which instance a secret points to is one of them.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::foreign::Foreign;
use crate::domain::ids::{InstanceName, TenantId};

/// Source `secrets`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Secrets {
    /// The mount.
    pub mount: String,
    /// Where tenants have theirs, below the mount: `tenants/{id}/db`.
    pub path: String,
    /// What was read, sorted by tenant.
    pub secrets: Vec<Arc<TenantSecret>>,
    /// How many of those that were listed were looked at so far.
    pub seen: u32,
    /// How many were listed.
    pub of: u32,
    /// Names among them that are no tenant's id.
    pub strangers: u32,
}

impl Secrets {
    /// A tenant's.
    pub fn of(&self, tenant: &TenantId) -> Option<&TenantSecret> {
        let place = self.secrets.binary_search_by(|secret| secret.tenant.cmp(tenant)).ok()?;
        self.secrets.get(place).map(AsRef::as_ref)
    }

    /// Whether all that there are were looked at.
    pub fn is_whole(&self) -> bool {
        self.seen >= self.of
    }

    /// A tenant's path, with the mount before it.
    pub fn path_of(&self, tenant: &TenantId) -> String {
        format!("{}/{}", self.mount, self.below_mount(tenant))
    }

    /// A tenant's path below the mount.
    pub fn below_mount(&self, tenant: &TenantId) -> String {
        self.path.replace("{id}", tenant.as_str())
    }
}

/// A tenant's secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantSecret {
    /// Whose.
    pub tenant: TenantId,
    /// The newest version; `None`: not shown to us, or there is none.
    pub version: Option<SecretVersion>,
    /// What whoever wrote it said of it.
    pub custom: Vec<(Foreign, Foreign)>,
    /// How many versions are kept, 0 as many as the mount says; `None`: not shown to us.
    pub kept: Option<u64>,
    /// What is in it.
    pub content: Content,
    /// What of it is not shown to us, and why; safe to print.
    pub hidden: Option<String>,
}

/// One version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretVersion {
    /// Which.
    pub number: u64,
    /// When it was written.
    pub written: Option<Timestamp>,
    /// When it deletes itself (`delete_version_after`).
    pub ends: Option<Timestamp>,
}

/// What is in a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// It could not be read.
    Unread,
    /// There is no version of it.
    Nothing,
    /// The newest version is deleted, and can be brought back.
    Deleted,
    /// The newest version is gone for good.
    Destroyed,
    /// It points somewhere.
    Points(Box<Pointing>),
}

/// Where a secret points: what stands in it in clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointing {
    /// `host`
    pub host: Option<Foreign>,
    /// `port`
    pub port: Option<u16>,
    /// `database`
    pub database: Option<Foreign>,
    /// `schema`
    pub schema: Option<Foreign>,
    /// `username`
    pub username: Option<Foreign>,
    /// Whether there is a `password`.
    pub has_password: bool,
    /// Which of these are there and make no sense.
    pub odd: Vec<String>,
    /// Which instance that is.
    pub leads: Leads,
}

/// Which of the configured instances an address is. Said once, where both are known: a recording has no addresses in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Leads {
    /// This one.
    To(InstanceName),
    /// A host that we know, at a port that we do not.
    Beside,
    /// A host that is in no configuration: whose it is, nobody can say from here.
    Elsewhere,
    /// Host or port are missing.
    Nowhere,
}
