//! The configuration: a TOML file becomes a validated [`Config`], or a list of everything that is wrong with it.
//!
//! Secrets are only ever references here ([`Secret`]); they are read when a client logs in. Every key is named once, in
//! `schema`; reading, `config show` and the example file follow from there.

mod aws;
mod check;
mod duration;
mod field;
mod find;
mod keeping;
mod problem;
mod read;
mod schema;
mod secret;
mod thresholds;
mod vault;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use aws::{AwsConfig, Dedicated, Found, RdsPlace};
pub use check::{Checked, check, check_file};
pub use duration::parse as duration;
pub use find::{FindError, SHORTEST, VARIABLE, find};
pub use problem::{ConfigErrors, Problem};
pub use secret::{IamLogin, Secret, SecretError};
pub use vault::{VaultAuth, VaultConfig};
pub use write::{example, show};

use crate::domain::facts::Source;
use crate::domain::{InstanceName, Layout, Naming, Policy, TenantId, Thresholds, Tier};

/// Everything that the operator configured, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `environment`: drives how loud the header is.
    pub environment: String,
    /// `namespace`: prefix of dedicated RDS identifiers.
    pub namespace: String,
    /// `allow_actions`.
    pub allow_actions: bool,
    /// `state`: the folder of what is remembered; see [`Config::state_folder`].
    pub state: Option<PathBuf>,
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
    /// `[history]`.
    pub history: HistoryConfig,
    /// `[control]`: where leases and mirrored journals live; `None`: the first shared instance.
    pub control: Option<InstanceName>,
    /// `[vault]`; `None`: no Vault at all.
    pub vault: Option<Arc<VaultConfig>>,
    /// `[aws.NAME]`: accounts and regions.
    pub aws: Vec<AwsConfig>,
    /// `[dedicated]`: how to log in to instances that were found.
    pub dedicated: Dedicated,
    /// `[operations]`.
    pub operations: OperationsConfig,
}

/// `[operations]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationsConfig {
    /// `work`: where exports are kept; `None`: in the state folder.
    pub work: Option<PathBuf>,
    /// `statement_timeout`: of the sessions that change something.
    pub statement_timeout: Duration,
    /// `lock_timeout`: of the same.
    pub lock_timeout: Duration,
    /// `stale_after`.
    pub stale_after: Duration,
    /// `fence_budget`.
    pub fence_budget: Duration,
}

impl Default for OperationsConfig {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            work: None,
            statement_timeout: seconds(60),
            lock_timeout: seconds(2),
            stale_after: seconds(30),
            fence_budget: seconds(300),
        }
    }
}

/// A login that may change something: `admin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// `user`.
    pub user: String,
    /// `password`; `None`: `PGPASSWORD`, then `.pgpass`, as libpq does.
    pub password: Option<Secret>,
}

/// `[history]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryConfig {
    /// `enabled`.
    pub enabled: bool,
    /// `keep`.
    pub keep: Duration,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self { enabled: true, keep: Duration::from_secs(14 * 86_400) }
    }
}

/// One `[[instance]]`.
#[derive(Debug, Clone, PartialEq)]
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
    /// `pgbouncer`: the pooler before it.
    pub pgbouncer: Option<PoolerConfig>,
    /// `admin`: the login of wizards and actions.
    pub admin: Option<Login>,
    /// `address`: where applications reach it; `None`: as we do.
    pub address: Option<(String, u16)>,
    /// `rds`: where AWS knows it.
    pub rds: Option<RdsPlace>,
}

/// `pgbouncer` and `pgbouncer_password`: how to get into a pooler's admin console.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolerConfig {
    /// `pgbouncer`: a user of its `stats_users`, checked when the file is read; holds no password.
    pub url: String,
    /// `pgbouncer_password`; `None`: `PGPASSWORD`, then `.pgpass`, as libpq does.
    pub password: Option<Secret>,
}

/// How often each source is asked when the file does not say.
pub fn default_poll() -> BTreeMap<Source, Duration> {
    let every = |source| match source {
        Source::Activity => 1,
        Source::Databases | Source::Vacuums | Source::Operations | Source::Pooler => 5,
        Source::Churn | Source::Replication | Source::Horizon | Source::Statements => 10,
        Source::Roles | Source::Debt => 30,
        Source::Secrets | Source::Metrics | Source::Rds | Source::Alarms | Source::Events => 60,
        Source::Sizes | Source::Freeze | Source::Catalog | Source::Snapshots | Source::Backups => 300,
        Source::Parameters => 900,
        Source::Bloat => 6 * 3_600,
    };
    Source::ALL.into_iter().map(|source| (source, Duration::from_secs(every(source)))).collect()
}

/// Reads and checks a file.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    check_file(path).map(|checked| checked.config)
}

/// Reads and checks a text; messages name the path, and relative paths in it start at the path's folder.
pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigErrors> {
    check(text, path).map(|checked| checked.config)
}
