//! What stands in a recording, line by line.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::{self, AwsConfig, Config, Dedicated, InstanceConfig, OperationsConfig, PoolerConfig, VaultConfig};
use crate::domain::{InstanceName, Past, Record, Standing, TenantId};
use crate::poll::{Heard, News, Origin};

/// What every recording begins with.
pub(super) const FORMAT: &str = "tierdeck recording";

/// Another number is another layout.
pub(super) const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Header {
    pub format: String,
    pub version: u32,
    /// The program that wrote it.
    pub tierdeck: String,
    pub began: Timestamp,
    pub redacted: bool,
    /// The rules that were judged by, as a configuration without any way in.
    pub configuration: String,
}

impl Header {
    pub fn of(config: &Config, began: Timestamp, redacted: bool) -> Self {
        let mut bare = config.clone();
        bare.instances = config.instances.iter().map(without_a_way_in).collect();
        (bare.allow_actions, bare.state, bare.control) = (false, None, None);
        (bare.operations, bare.dedicated) = (OperationsConfig::default(), Dedicated::default());
        bare.vault = config
            .vault
            .as_ref()
            .map(|vault| Arc::new(VaultConfig { mount: vault.mount.clone(), ..VaultConfig::default() }));
        bare.aws = config.aws.iter().map(AwsConfig::without_a_way_in).collect();
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            tierdeck: env!("CARGO_PKG_VERSION").to_owned(),
            began,
            redacted,
            configuration: config::show(&bare),
        }
    }
}

/// Where it was and how one gets in is nobody's business who looks at it later. What is added to an instance has to be
/// thought of here.
fn without_a_way_in(instance: &InstanceConfig) -> InstanceConfig {
    let InstanceConfig { name, tier, layout, tenant, url: _, password: _, vcpus, pgbouncer, admin: _, address: _, rds } =
        instance.clone();
    let pgbouncer =
        pgbouncer.map(|_| PoolerConfig { url: "postgresql://recorded@localhost/pgbouncer".to_owned(), password: None });
    let url = "postgresql://recorded@localhost/recorded".to_owned();
    InstanceConfig {
        name,
        tier,
        layout,
        tenant,
        url,
        password: None,
        vcpus,
        pgbouncer,
        admin: None,
        address: None,
        rds,
    }
}

/// What the history said, as it can be written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Told {
    records: Vec<(InstanceName, TenantId, Record)>,
    standing: Vec<Standing>,
}

impl From<&Past> for Told {
    fn from(past: &Past) -> Self {
        let records = past.records.iter();
        let mut records: Vec<_> =
            records.map(|((instance, tenant), record)| (instance.clone(), tenant.clone(), **record)).collect();
        records.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        Self { records, standing: past.standing.clone() }
    }
}

impl From<Told> for Past {
    fn from(told: Told) -> Self {
        let records = told.records.into_iter();
        let records = records.map(|(instance, tenant, record)| ((instance, tenant), Arc::new(record))).collect();
        Self { records, standing: told.standing }
    }
}

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Header(Header),
    News {
        at: Timestamp,
        #[serde(rename = "instance")]
        origin: Origin,
        news: News,
    },
    Past {
        at: Timestamp,
        past: Told,
    },
    Snapshot {
        at: Timestamp,
    },
    End {
        at: Timestamp,
        why: String,
    },
}

impl Line {
    pub fn of(heard: Heard) -> Self {
        match heard {
            Heard::News { at, origin, news } => Self::News { at, origin, news },
            Heard::Past { at, past } => Self::Past { at, past: Told::from(&*past) },
            Heard::Snapshot(at) => Self::Snapshot { at },
        }
    }

    /// When it was heard.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Header(header) => header.began,
            Self::News { at, .. } | Self::Past { at, .. } | Self::Snapshot { at } | Self::End { at, .. } => *at,
        }
    }
}
