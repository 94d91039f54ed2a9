//! Screen 6: what instances can be sorted and filtered by.

use std::borrow::Cow;

use jiff::Timestamp;

use super::list::Keyed;
use super::table::{Column, Value};
use crate::domain::facts::HolderKind;
use crate::domain::facts::cloud::{Filling, Metric, Rds, Standing};
use crate::domain::prices;
use crate::domain::snapshot::Reach;
use crate::domain::{Instance, InstanceName, Tier};

impl Keyed for Instance {
    type Key = InstanceName;
    fn key(&self) -> InstanceName {
        self.name.clone()
    }
    fn is(&self, key: &InstanceName) -> bool {
        self.name == *key
    }
}

/// The columns of the instances' table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the keys say it")]
pub enum InstanceColumn {
    /// Those that are not reached first, then the most pressed.
    Trouble,
    Instance,
    Tier,
    Version,
    Connections,
    /// Connections that ordinary logins may have.
    Limit,
    Active,
    /// The greatest of its pressures.
    Pressure,
    Blocked,
    Transactions,
    Deadlocks,
    Cache,
    /// Age of the oldest transaction id that is held.
    Horizon,
    /// Clients that wait at the pooler.
    Queue,
    /// What RDS says that it is doing.
    Status,
    Class,
    /// Used share of the CPU, as CloudWatch says.
    Cpu,
    /// Used share of its storage, or of what that may grow to by itself.
    Storage,
    /// Bytes left of it.
    Free,
    /// Seconds until it is full.
    Full,
    Zones,
    Encrypted,
    /// US dollars a month, estimated.
    Cost,
}

/// How near an instance is to its limit of whatever it is nearest to.
pub fn pressed(instance: &Instance) -> Option<f64> {
    let pressure = instance.pressure;
    [pressure.cpu, pressure.reads, pressure.writes, pressure.connections].into_iter().flatten().reduce(f64::max)
}

fn rds(instance: &Instance) -> Option<&Rds> {
    instance.cloud.as_ref()?.rds.value.as_deref()
}

fn standing(instance: &Instance) -> Option<Standing> {
    instance.cloud.as_ref()?.standing()
}

fn figure(instance: &Instance, metric: Metric, moment: Timestamp) -> Option<f64> {
    instance.cloud.as_ref()?.figure(metric, moment)?.now()
}

fn filling(instance: &Instance, moment: Timestamp) -> Option<Filling> {
    instance.cloud.as_ref()?.filling(moment)
}

/// What an instance costs a month, estimated from its class and storage.
pub fn monthly(instance: &Instance) -> Option<f64> {
    prices::monthly(rds(instance)?)
}

/// What RDS says that an instance is doing, in words; `None`: it does not say.
pub fn doing(instance: &Instance) -> Option<Cow<'_, str>> {
    let rds = instance.cloud.as_ref()?.rds.value.as_ref()?;
    Some(rds.doing().map_or_else(|| rds.status.shown(), |status| Cow::Borrowed(status.words)))
}

/// What it is like to reach it, in a word.
pub fn state(instance: &Instance) -> &'static str {
    match instance.reach {
        _ if instance.blind().is_some() => "blind",
        Reach::Down { .. } => "down",
        Reach::Connecting => "connecting",
        Reach::Apart(_) => "apart",
        Reach::Up => "up",
    }
}

impl Column for InstanceColumn {
    type Row = Instance;
    type Context = Timestamp;
    const ALL: &'static [Self] = &[
        Self::Trouble,
        Self::Instance,
        Self::Tier,
        Self::Version,
        Self::Connections,
        Self::Limit,
        Self::Active,
        Self::Pressure,
        Self::Blocked,
        Self::Transactions,
        Self::Deadlocks,
        Self::Cache,
        Self::Horizon,
        Self::Queue,
        Self::Status,
        Self::Class,
        Self::Cpu,
        Self::Storage,
        Self::Free,
        Self::Full,
        Self::Zones,
        Self::Encrypted,
        Self::Cost,
    ];
    const SHOWN: &'static [Self] = &[
        Self::Trouble,
        Self::Instance,
        Self::Tier,
        Self::Status,
        Self::Class,
        Self::Version,
        Self::Connections,
        Self::Limit,
        Self::Active,
        Self::Cpu,
        Self::Storage,
        Self::Full,
        Self::Pressure,
        Self::Blocked,
        Self::Transactions,
        Self::Deadlocks,
        Self::Cache,
        Self::Horizon,
        Self::Queue,
        Self::Zones,
        Self::Encrypted,
        Self::Cost,
    ];

    fn key(self) -> &'static str {
        match self {
            Self::Trouble => "state",
            Self::Instance => "instance",
            Self::Tier => "tier",
            Self::Version => "version",
            Self::Connections => "conn",
            Self::Limit => "limit",
            Self::Active => "active",
            Self::Pressure => "pressure",
            Self::Blocked => "blocked",
            Self::Transactions => "tps",
            Self::Deadlocks => "deadlocks",
            Self::Cache => "cache",
            Self::Horizon => "horizon",
            Self::Queue => "queue",
            Self::Status => "status",
            Self::Class => "class",
            Self::Cpu => "cpu",
            Self::Storage => "storage",
            Self::Free => "free",
            Self::Full => "full-in",
            Self::Zones => "zones",
            Self::Encrypted => "encrypted",
            Self::Cost => "cost",
        }
    }

    fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Active => &["running"],
            Self::Deadlocks => &["dead/min"],
            Self::Connections => &["connections"],
            Self::Full => &["full"],
            Self::Encrypted => &["enc"],
            Self::Cost => &["$/month"],
            Self::Zones => &["az"],
            _ => &[],
        }
    }

    fn is_fixed(self) -> bool {
        matches!(self, Self::Trouble | Self::Instance)
    }

    fn is_number(self) -> bool {
        !matches!(
            self,
            Self::Instance | Self::Tier | Self::Version | Self::Status | Self::Class | Self::Zones | Self::Encrypted
        )
    }

    fn also(self, row: &Instance) -> Option<Cow<'_, str>> {
        match self {
            // AWS's own word: `storage-full`.
            Self::Status => rds(row).map(|rds| rds.status.shown()),
            _ => None,
        }
    }

    fn is_estimated(self, row: &Instance) -> bool {
        match self {
            Self::Cost => monthly(row).is_some(),
            Self::Full => row.cloud.is_some(),
            _ => false,
        }
    }

    fn exact(self, number: f64) -> String {
        match self {
            Self::Pressure | Self::Cache => format!("{number:.3}"),
            Self::Cpu | Self::Storage => format!("{number:.1}%"),
            _ => format!("{number:.0}"),
        }
    }

    fn exported<'a>(self, row: &'a Instance, moment: &Timestamp) -> Value<'a> {
        match self {
            Self::Trouble => Value::Text(Cow::Borrowed(state(row))),
            _ => self.value(row, moment),
        }
    }

    fn value<'a>(self, row: &'a Instance, moment: &Timestamp) -> Value<'a> {
        match self {
            // Coarse steps, so that rows do not change places at every poll.
            Self::Trouble if standing(row) == Some(Standing::Hurt) => Value::Number(2_000.0),
            Self::Trouble => Value::Number(match state(row) {
                "up" => (pressed(row).unwrap_or(0.0) * 5.0).floor(),
                "connecting" => 500.0,
                "apart" => 0.0,
                _ => 1_000.0,
            }),
            Self::Instance => Value::Text(Cow::Borrowed(row.name.as_str())),
            Self::Tier => Value::Text(Cow::Borrowed(match row.tier {
                Tier::Shared => "shared",
                Tier::Dedicated => "dedicated",
            })),
            Self::Version => row
                .server
                .as_ref()
                .map(|server| Value::Text(crate::domain::foreign::sanitise(&server.version)))
                .or_else(|| Some(Value::Text(rds(row)?.version.shown())))
                .unwrap_or(Value::Missing),
            Self::Connections => Value::number(row.connections),
            Self::Limit => Value::number(row.usable_connections()),
            Self::Active => Value::number(row.active),
            Self::Pressure => Value::number(pressed(row)),
            Self::Blocked => Value::number(row.blocked),
            Self::Transactions => Value::number(row.rates.transactions),
            Self::Deadlocks => Value::number(row.rates.deadlocks_per_minute),
            Self::Cache => Value::number(row.rates.cache_hit),
            Self::Horizon => Value::number(row.horizon.fresh(*moment).map(|horizon| {
                let mut tables = horizon.holders.iter().filter(|holder| holder.kind != HolderKind::Catalog);
                tables.next().map_or(0, |oldest| oldest.xid_age)
            })),
            Self::Status => doing(row).map_or(Value::Missing, Value::Text),
            Self::Class => rds(row).map_or(Value::Missing, |rds| Value::Text(rds.class.shown())),
            Self::Cpu => Value::number(figure(row, Metric::CpuUtilization, *moment)),
            Self::Free => Value::number(figure(row, Metric::FreeStorageSpace, *moment)),
            Self::Storage => {
                let filling = filling(row, *moment).filter(|filling| filling.free.fresh);
                Value::number(filling.map(|filling| filling.share() * 100.0))
            }
            Self::Full => Value::number(filling(row, *moment).and_then(|filling| filling.full_in)),
            Self::Zones => rds(row)
                .and_then(|rds| rds.multi_az)
                .map_or(Value::Missing, |more| Value::Text(Cow::Borrowed(if more { "Multi-AZ" } else { "Single-AZ" }))),
            Self::Encrypted => rds(row)
                .and_then(|rds| rds.encrypted)
                .map_or(Value::Missing, |all| Value::Text(Cow::Borrowed(if all { "yes" } else { "no" }))),
            Self::Cost => Value::number(monthly(row)),
            Self::Queue => {
                let pooler = row.pooler.as_ref().and_then(|pooler| pooler.fresh(*moment));
                Value::number(pooler.map(|pooler| pooler.waiting()))
            }
        }
    }
}
