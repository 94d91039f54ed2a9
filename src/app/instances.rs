//! Screen 6: what instances can be sorted and filtered by.

use std::borrow::Cow;

use jiff::Timestamp;

use super::list::Keyed;
use super::table::{Column, Value};
use crate::domain::facts::HolderKind;
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
}

/// How near an instance is to its limit of whatever it is nearest to.
pub fn pressed(instance: &Instance) -> Option<f64> {
    let pressure = instance.pressure;
    [pressure.cpu, pressure.reads, pressure.writes, pressure.connections].into_iter().flatten().reduce(f64::max)
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
        }
    }

    fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Active => &["running"],
            Self::Deadlocks => &["dead/min"],
            Self::Connections => &["connections"],
            _ => &[],
        }
    }

    fn is_fixed(self) -> bool {
        matches!(self, Self::Trouble | Self::Instance)
    }

    fn is_number(self) -> bool {
        !matches!(self, Self::Instance | Self::Tier | Self::Version)
    }

    fn exact(self, number: f64) -> String {
        match self {
            Self::Pressure | Self::Cache => format!("{number:.3}"),
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
                .map_or(Value::Missing, |server| Value::Text(crate::domain::foreign::sanitise(&server.version))),
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
            Self::Queue => {
                let pooler = row.pooler.as_ref().and_then(|pooler| pooler.fresh(*moment));
                Value::number(pooler.map(|pooler| pooler.waiting()))
            }
        }
    }
}
