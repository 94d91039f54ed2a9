//! What is of no single instance in `status --json`: the tenants' secrets in Vault, and how that source does. Never a value that
//! is secret.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::document::{Source, moment};
use crate::domain::TenantId;
use crate::domain::facts::{Content, Leads, Secrets as Facts};
use crate::domain::snapshot::Estate as DomainEstate;

/// What is of no single instance.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Estate {
    /// The tenants' secrets; `null` where no Vault is configured, or nothing is known of it yet.
    pub secrets: Option<Secrets>,
    /// How each source does.
    pub sources: Vec<Source>,
}

/// The tenants' secrets, all together.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Secrets {
    /// The mount.
    pub mount: String,
    /// Where tenants have theirs below it.
    pub path: String,
    /// How many there are.
    pub listed: u32,
    /// How many of them were read so far.
    pub read: u32,
    /// Names beside them that are no tenant's id.
    pub strangers: u32,
}

/// A tenant's secret.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Secret {
    /// Where it is, the mount before it.
    pub path: String,
    /// The newest version.
    pub version: Option<u64>,
    /// When that was written, UTC.
    pub written_at: Option<String>,
    /// When it deletes itself, UTC.
    pub deletes_itself_at: Option<String>,
    /// How many versions are kept; 0: as many as the mount says.
    pub max_versions: Option<u64>,
    /// What whoever wrote it said of it.
    pub custom_metadata: BTreeMap<String, String>,
    /// Where it points; `null` where there is no version, or it is not shown to us.
    pub points_to: Option<PointsTo>,
    /// Whether its newest version was deleted or destroyed; `null`: not known.
    pub deleted: Option<bool>,
    /// What of it is not shown to us, and why.
    pub error: Option<String>,
}

/// Where a secret points.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PointsTo {
    /// `host`
    pub host: Option<String>,
    /// `port`
    pub port: Option<u16>,
    /// `database`
    pub database: Option<String>,
    /// `schema`
    pub schema: Option<String>,
    /// `username`
    pub username: Option<String>,
    /// Whether there is a password.
    pub has_password: bool,
    /// The configured instance that this is; `null`: none that we know.
    pub instance: Option<String>,
}

impl Estate {
    pub(super) fn of(estate: &DomainEstate, now: Timestamp) -> Self {
        let known = estate.secrets.as_ref().and_then(|observed| observed.value.as_deref());
        Self {
            secrets: known.map(|facts| Secrets {
                mount: facts.mount.clone(),
                path: facts.path.clone(),
                listed: facts.of,
                read: facts.seen,
                strangers: facts.strangers,
            }),
            sources: estate.sources.iter().map(|source| Source::of(source, now)).collect(),
        }
    }
}

impl Secret {
    pub(super) fn of(facts: &Facts, tenant: &TenantId) -> Option<Self> {
        let secret = facts.of(tenant)?;
        let version = secret.version;
        let points = match &secret.content {
            Content::Points(pointing) => Some(pointing),
            _ => None,
        };
        let text = |text: &Option<crate::domain::Foreign>| text.as_ref().map(ToString::to_string);
        Some(Self {
            path: facts.path_of(tenant),
            version: version.map(|version| version.number),
            written_at: version.and_then(|version| version.written).map(moment),
            deletes_itself_at: version.and_then(|version| version.ends).map(moment),
            max_versions: secret.kept,
            custom_metadata: secret.custom.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            points_to: points.map(|it| PointsTo {
                host: text(&it.host),
                port: it.port,
                database: text(&it.database),
                schema: text(&it.schema),
                username: text(&it.username),
                has_password: it.has_password,
                instance: match &it.leads {
                    Leads::To(instance) => Some(instance.to_string()),
                    Leads::Beside | Leads::Elsewhere | Leads::Nowhere => None,
                },
            }),
            deleted: match &secret.content {
                Content::Unread => None,
                content => Some(matches!(content, Content::Deleted | Content::Destroyed)),
            },
            error: secret.hidden.clone(),
        })
    }
}
