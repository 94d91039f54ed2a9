//! Screen 6: several instances, one pressed and before a pooler that leaks, one fine, one that is not reached.

use std::sync::Arc;

use tierdeck::domain::facts::{
    Holder, HolderKind, Horizon, Pool, Pooler, Prepared, Replication, Slot, Source, Standby, Statements,
};
use tierdeck::domain::history::{Curve, Reading, Stretch, Whose};
use tierdeck::domain::observed::Trouble;
use tierdeck::domain::{Foreign, Instance, InstanceName, Observed, Snapshot, Tier};

use crate::support::estate::{self, ago, now};

fn seen<T>(value: T) -> Observed<T> {
    let mut observed = Observed::nothing(std::time::Duration::from_secs(5));
    observed.set(value, now());
    observed
}

fn replication() -> Replication {
    Replication {
        slots: vec![Slot {
            name: Foreign::from("left_behind"),
            database: None,
            plugin: None,
            active: false,
            temporary: false,
            wal_status: Some("extended".into()),
            retained_bytes: Some(6 << 30),
            safe_bytes: None,
            xmin_age: None,
            catalog_xmin_age: None,
            inactive_since: None,
            invalidated: None,
        }],
        standbys: vec![Standby {
            pid: 77,
            application: Foreign::from("standby_a"),
            role: Foreign::from("replicator"),
            client: None,
            state: "streaming".into(),
            sync_state: "async".into(),
            lag_bytes: Some(1 << 20),
            lag_seconds: Some(0.4),
            xmin_age: None,
        }],
        recovery: None,
        slot_limit_bytes: None,
    }
}

fn pooler() -> Pooler {
    let pool = |role: &str, waiting| Pool {
        database: Foreign::from("portarium"),
        role: Foreign::from(role),
        mode: "transaction".into(),
        clients_active: 20,
        clients_waiting: waiting,
        servers_active: 20,
        servers_idle: 0,
        size: Some(20),
        paused: false,
        longest_wait_seconds: f64::from(waiting) / 4.0,
    };
    Pooler {
        version: Foreign::from("1.18.0"),
        pools: vec![pool("portarium_shared", 14), pool("role_acme\u{1b}[31m", 0)],
        mode: Some("transaction".into()),
        reset_query: Some(Foreign::from("DISCARD ALL")),
        resets_always: Some(false),
        tracked: Vec::new(),
        most_clients: Some(500),
        pool_size: Some(20),
    }
}

/// Three of them.
pub fn several() -> Snapshot {
    let mut snapshot = estate::firing();
    let holder = Holder {
        kind: HolderKind::Session,
        name: Foreign::from("4103"),
        pid: Some(4_103),
        session_started: None,
        role: Some(Foreign::from("portarium_shared")),
        database: Some(Foreign::from("portarium")),
        xid_age: 41_200,
        since: Some(ago(700)),
    };
    let prepared = Prepared {
        gid: Foreign::from("left"),
        owner: Foreign::from("role_hooli"),
        database: Foreign::from("portarium"),
        prepared: ago(900),
        xid_age: 12,
        schemas: Vec::new(),
    };
    let shared = &mut snapshot.instances[0];
    shared.horizon = seen(Arc::new(Horizon { server_now: now(), holders: vec![holder], prepared: vec![prepared] }));
    shared.replication = seen(Arc::new(replication()));
    shared.pooler = Some(seen(Arc::new(pooler())));
    shared.statements = seen(Arc::new(Statements {
        server_now: now(),
        before: Some(ago(10)),
        wal_bytes: Some(20 << 20),
        ..Statements::default()
    }));
    let refused =
        Trouble::new("pg_stat_statements is not in database portarium: CREATE EXTENSION pg_stat_statements there");
    if let Some(source) = shared.sources.iter_mut().find(|source| source.source == Source::Statements) {
        source.error = Some(refused);
    }
    snapshot.unknown.push(estate::waiting().into());
    let mut own = estate::instance(now());
    own.name = InstanceName::new("globex-dedicated");
    own.tier = Tier::Dedicated;
    let mut gone: Instance = estate::down().instances.remove(0);
    gone.name = InstanceName::new("initech-dedicated");
    gone.tier = Tier::Dedicated;
    gone.horizon = Observed::nothing(std::time::Duration::from_secs(10));
    snapshot.instances.extend([own, gone]);
    snapshot
}

/// An hour of somebody's, as the history says it.
pub fn hour(whose: Whose) -> Curve {
    let reading = |minute: i64| {
        let value = 40.0 + (minute % 30) as f32;
        let mean = [Some(value); 8];
        Reading { at: ago(minute * 60), mean, most: mean.map(|value| value.map(|value| value + 8.0)) }
    };
    Curve { whose, stretch: Stretch::Hour, readings: (0..60).rev().map(reading).collect(), trouble: None }
}
