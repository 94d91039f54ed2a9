//! The vocabulary of the slower facts: replication, horizon, catalogue, bloat. A line of words each; what is not said is calm.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use tierdeck::domain::Foreign;
use tierdeck::domain::facts::{
    Audit, Bloat, BloatEstimate, Catalog, Grant, Holder, HolderKind, Horizon, InvalidIndex, ObjectKind, OperationRow,
    Operations, Prepared, Recovery, Registered, Replication, Schema, Sequence, Slot, Standby,
};

use super::scene::{span, time};

/// `12B`, `3KiB`, `1.5GiB`
pub fn size(text: &str) -> u64 {
    let at = text.find(|char: char| char.is_ascii_alphabetic()).unwrap();
    let (number, unit) = text.split_at(at);
    let scale = match unit {
        "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        _ => panic!("no such unit: {text}"),
    };
    (number.parse::<f64>().unwrap() * scale) as u64
}

fn seconds(text: &str) -> f64 {
    span(text).as_secs_f64()
}

/// The words of a line: those without `=`, and those with.
pub struct Words<'a> {
    pub plain: Vec<&'a str>,
    named: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    pub fn of(line: &'a str) -> Self {
        let mut words = Self { plain: Vec::new(), named: Vec::new() };
        for word in line.split_whitespace() {
            match word.split_once('=') {
                Some((key, value)) if !key.is_empty() => words.named.push((key, value)),
                _ => words.plain.push(word),
            }
        }
        words
    }

    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.named.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }

    fn text(&self, key: &str) -> Option<Foreign> {
        self.get(key).map(Foreign::from)
    }

    pub fn has(&self, word: &str) -> bool {
        self.plain.iter().skip(1).any(|it| *it == word)
    }

    fn database(&self) -> Foreign {
        self.text("db").unwrap_or_else(|| Foreign::from("portarium"))
    }
}

/// `schema.table` with an optional `/index`.
fn parts(text: &str) -> (Foreign, Foreign, Option<Foreign>) {
    let (schema, rest) = text.split_once('.').unwrap();
    let (table, index) = rest.split_once('/').map_or((rest, None), |(table, index)| (table, Some(index)));
    (Foreign::from(schema), Foreign::from(table), index.map(Foreign::from))
}

#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
pub struct BloatSpec {
    /// `schema.table[/index] SIZE WASTED [db=]`
    #[serde(default)]
    worst: Vec<String>,
    #[serde(default)]
    hidden: u32,
}

impl BloatSpec {
    pub fn build(&self) -> Bloat {
        let estimate = |line: &String| {
            let words = Words::of(line);
            let (schema, table, index) = parts(words.plain[0]);
            let (bytes, wasted) = (size(words.plain[1]), size(words.plain[2]));
            BloatEstimate { database: words.database(), schema, table, index, bytes, wasted }
        };
        Bloat { worst: self.worst.iter().map(estimate).collect(), hidden: self.hidden, judged: 9, ..Bloat::default() }
    }
}

#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
pub struct ReplicationSpec {
    /// `NAME [SIZE kept] [active] [temporary] [status=] [db=] [since=] [safe=] [invalidated=]`; with `db=` it is logical.
    #[serde(default)]
    slots: Vec<String>,
    /// `max_slot_wal_keep_size`
    slot_limit: Option<String>,
    /// `NAME [state=streaming] [lag=12s] [behind=SIZE] [sync=async] [at=ADDRESS]`
    #[serde(default)]
    standbys: Vec<String>,
    /// `recovery [age=90s] [behind=SIZE] [receiving=yes|no]`
    recovery: Option<String>,
}

impl ReplicationSpec {
    pub fn build(&self, now: Timestamp) -> Replication {
        let slot = |line: &String| {
            let words = Words::of(line);
            let logical = words.get("db").is_some();
            let kept = words.plain.iter().skip(1).find(|word| word.ends_with('B'));
            Slot {
                name: Foreign::from(words.plain[0]),
                database: words.text("db"),
                plugin: logical.then(|| Foreign::from("pgoutput")),
                active: words.has("active"),
                temporary: words.has("temporary"),
                wal_status: words.get("status").map(Arc::from),
                retained_bytes: kept.map(|kept| size(kept)),
                safe_bytes: words.get("safe").map(|safe| size(safe).cast_signed()),
                xmin_age: None,
                catalog_xmin_age: None,
                inactive_since: words.get("since").map(|since| now - span(since)),
                invalidated: words.get("invalidated").map(Arc::from),
            }
        };
        let standby = |line: &String| {
            let words = Words::of(line);
            Standby {
                pid: 900,
                application: Foreign::from(words.plain[0]),
                role: Foreign::from("replicator"),
                client: words.get("at").map(Arc::from),
                state: Arc::from(words.get("state").unwrap_or("streaming")),
                sync_state: Arc::from(words.get("sync").unwrap_or("async")),
                lag_bytes: words.get("behind").map(size),
                lag_seconds: words.get("lag").map(seconds),
                xmin_age: None,
            }
        };
        let recovery = |line: &String| {
            let words = Words::of(line);
            Recovery {
                replay_age_seconds: words.get("age").map(seconds),
                behind_bytes: words.get("behind").map(size),
                receiving: words.get("receiving").map(|receiving| receiving == "yes"),
            }
        };
        Replication {
            slots: self.slots.iter().map(slot).collect(),
            standbys: self.standbys.iter().map(standby).collect(),
            recovery: self.recovery.as_ref().map(recovery),
            slot_limit_bytes: self.slot_limit.as_deref().map(size),
        }
    }
}

#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
pub struct HorizonSpec {
    /// `session|prepared|slot|standby NAME XIDS [for=1h] [role=] [db=]`; the name of a session is its pid.
    #[serde(default)]
    holders: Vec<String>,
    /// `GID OWNER AGE [touches=schema,schema] [db=]`
    #[serde(default)]
    prepared: Vec<String>,
}

impl HorizonSpec {
    pub fn build(&self, now: Timestamp) -> Horizon {
        let holder = |line: &String| {
            let words = Words::of(line);
            let kind = match words.plain[0] {
                "session" => HolderKind::Session,
                "prepared" => HolderKind::Prepared,
                "slot" => HolderKind::Slot,
                "catalog" => HolderKind::Catalog,
                "standby" => HolderKind::Standby,
                other => panic!("nobody of that kind holds anything: {other}"),
            };
            let pid = (kind == HolderKind::Session).then(|| words.plain[1].parse().unwrap());
            Holder {
                kind,
                name: Foreign::from(words.plain[1]),
                pid,
                session_started: pid.map(|_: i32| time(-3_600)),
                role: words.text("role"),
                database: words.text("db"),
                xid_age: words.plain[2].parse().unwrap(),
                since: words.get("for").map(|age| now - span(age)),
            }
        };
        let prepared = |line: &String| {
            let words = Words::of(line);
            Prepared {
                gid: Foreign::from(words.plain[0]),
                owner: Foreign::from(words.plain[1]),
                database: words.database(),
                prepared: now - span(words.plain[2]),
                xid_age: 7,
                schemas: words.get("touches").into_iter().flat_map(|it| it.split(',')).map(Foreign::from).collect(),
            }
        };
        Horizon {
            server_now: now,
            holders: self.holders.iter().map(holder).collect(),
            prepared: self.prepared.iter().map(prepared).collect(),
        }
    }
}

/// `ID KIND STATE TENANT|- [silent=60s] [began=2h] [refused=12s] [budget=300] [in-force]`
pub fn operations(lines: &[String], now: Timestamp) -> Operations {
    let ago = |words: &Words<'_>, key: &str| words.get(key).map(|age| now - span(age));
    let row = |line: &String| {
        let words = Words::of(line);
        OperationRow {
            id: Foreign::from(words.plain[0]),
            kind: Foreign::from(words.plain[1]),
            summary: Foreign::from("what it does"),
            state: Foreign::from(&*words.plain[2].replace('_', " ")),
            operator: Foreign::from("ann"),
            host: Foreign::from("desk"),
            began: ago(&words, "began").unwrap_or(now - span("1h")),
            heartbeat: ago(&words, "silent").unwrap_or(now),
            tenants: OperationRow::tenant(&format!("tenant {}", words.plain[3])).into_iter().collect(),
            refused_since: ago(&words, "refused"),
            refused_budget: words.get("budget").map(|budget| budget.parse().unwrap()),
            in_force: words.has("in-force"),
        }
    };
    Operations { server_now: now, rows: lines.iter().map(row).collect() }
}

#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
pub struct CatalogSpec {
    /// `NAME [tables=3] [comment=…]`
    #[serde(default)]
    schemas: Vec<String>,
    /// `schema.name LAST END [type=integer] [column=table.column] [estimated]`
    #[serde(default)]
    sequences: Vec<String>,
    #[serde(default)]
    hidden_sequences: u32,
    /// `schema.table/index SIZE [unique] [building]`
    #[serde(default)]
    invalid: Vec<String>,
    /// `KIND schema object GRANTEE PRIVILEGE,… [objects=12] [owner=] [db=]`
    #[serde(default)]
    grants: Vec<String>,
    /// `pgaudit.log`; `hidden` or `off`: whether it is loaded at all.
    audit: Option<String>,
    /// `ID TIER [SCHEMA]`
    registry: Option<Vec<String>>,
    #[serde(default)]
    toured: (u32, u32),
}

impl CatalogSpec {
    pub fn build(&self) -> Catalog {
        let audit = match self.audit.as_deref() {
            Some("hidden") => Audit { loaded: None, log: None },
            Some("off") => Audit { loaded: Some(false), log: None },
            log => Audit { loaded: Some(true), log: Some(Arc::from(log.unwrap_or("ddl, role"))) },
        };
        Catalog {
            schemas: self.schemas.iter().map(|line| schema(line)).collect(),
            sequences: self.sequences.iter().map(|line| sequence(line)).collect(),
            hidden_sequences: self.hidden_sequences,
            invalid_indexes: self.invalid.iter().map(|line| invalid(line)).collect(),
            grants: self.grants.iter().map(|line| grant(line)).collect(),
            audit,
            registry: self.registry.as_ref().map(|rows| rows.iter().map(|line| registered(line)).collect()),
            seen: self.toured.0,
            of: self.toured.1,
            closed: Vec::new(),
        }
    }
}

fn schema(line: &str) -> Schema {
    let words = Words::of(line);
    Schema {
        database: words.database(),
        name: Foreign::from(words.plain[0]),
        owner: Foreign::from("postgres"),
        tables: words.get("tables").map_or(3, |tables| tables.parse().unwrap()),
        comment: words.text("comment"),
    }
}

fn sequence(line: &str) -> Sequence {
    let words = Words::of(line);
    let (schema, name, _) = parts(words.plain[0]);
    Sequence {
        database: words.database(),
        schema,
        name,
        column: words.text("column"),
        last: words.plain[1].parse().unwrap(),
        estimated: words.has("estimated"),
        end: words.plain[2].parse().unwrap(),
        start: 0,
        bound_by: Arc::from(words.get("type").unwrap_or("integer")),
    }
}

fn invalid(line: &str) -> InvalidIndex {
    let words = Words::of(line);
    let (schema, table, index) = parts(words.plain[0]);
    InvalidIndex {
        database: words.database(),
        schema,
        table,
        index: index.unwrap(),
        bytes: size(words.plain[1]),
        building: words.has("building"),
        unique: words.has("unique"),
    }
}

fn grant(line: &str) -> Grant {
    let words = Words::of(line);
    let on = match words.plain[0] {
        "database" => ObjectKind::Database,
        "schema" => ObjectKind::Schema,
        "table" => ObjectKind::Table,
        "column" => ObjectKind::Column,
        "sequence" => ObjectKind::Sequence,
        "function" => ObjectKind::Function,
        "defaults" => ObjectKind::DefaultPrivileges,
        "membership" => ObjectKind::Membership,
        other => panic!("no right on that: {other}"),
    };
    let text = |at: usize| Foreign::from(words.plain[at].trim_matches('-'));
    Grant {
        database: words.database(),
        on,
        schema: text(1),
        object: text(2),
        objects: words.get("objects").map_or(1, |objects| objects.parse().unwrap()),
        owner: words.text("owner").unwrap_or_else(|| Foreign::from("role_acme")),
        grantee: (words.plain[3] != "PUBLIC").then(|| text(3)),
        privileges: words.plain[4].split(',').map(Arc::from).collect(),
    }
}

fn registered(line: &str) -> Registered {
    let words = Words::of(line);
    Registered {
        tenant: Foreign::from(words.plain[0]),
        tier: Foreign::from(words.plain[1]),
        schema: words.plain.get(2).map(|schema| Foreign::from(*schema)),
    }
}

/// What the stored history says of a tenant.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub struct RecordSpec {
    /// `2d`: for how long it was watched.
    watched: String,
    rows: Option<f64>,
    spikes: Option<f64>,
    #[serde(default)]
    noisy: u32,
}

impl RecordSpec {
    pub fn build(&self) -> tierdeck::domain::Record {
        let watched: SignedDuration = span(&self.watched);
        tierdeck::domain::Record {
            since: time(0) - watched,
            watched_seconds: watched.as_secs_f64(),
            rows_written_per_day: self.rows,
            spikiness: self.spikes,
            noisy_seconds: 60.0 * f64::from(self.noisy),
            noisy_times: self.noisy,
        }
    }
}
