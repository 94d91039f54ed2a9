//! The configuration: a TOML file becomes a validated [`Config`], or a list of everything that is wrong with it.
//!
//! Secrets are only ever references here ([`Secret`]); they are read when a client logs in.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::facts::Source;
use crate::domain::{InstanceName, Layout, Naming, Policy, TenantId, Thresholds, Tier};

/// Everything that the operator configured, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// `environment`: drives how loud the header is.
    pub environment: String,
    /// `namespace`: prefix of dedicated RDS identifiers.
    pub namespace: String,
    /// `allow_actions`.
    pub allow_actions: bool,
    /// `[naming]`.
    pub naming: Naming,
    /// `[[instance]]`, in the file's order.
    pub instances: Vec<InstanceConfig>,
    /// `[poll]`: how often each source is asked.
    pub poll: BTreeMap<Source, Duration>,
    /// `[policy.*]` and `[tenant.*]`.
    pub policy: Policy,
    /// `[thresholds]`.
    pub thresholds: Thresholds,
}

/// One `[[instance]]`.
#[derive(Debug, Clone)]
pub struct InstanceConfig {
    /// `name`.
    pub name: InstanceName,
    /// `tier`.
    pub tier: Tier,
    /// `layout`.
    pub layout: Layout,
    /// `tenant`, of a dedicated instance.
    pub tenant: Option<TenantId>,
    /// `url`: the monitoring login, checked when the file is read; holds no password.
    pub url: String,
    /// `password`; `None`: `PGPASSWORD`, then `.pgpass`, as libpq does.
    pub password: Option<Secret>,
    /// `vcpus`: what the instance class has; `None` is guessed and marked so.
    pub vcpus: Option<f64>,
}

/// Where a secret is, never the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// `{ env = "NAME" }`
    Env(String),
    /// `{ file = "PATH" }`: the file's content without the newline at its end.
    File(PathBuf),
}
