//! The families: what each is called, and what of a snapshot goes into it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;

use super::{Chosen, Own};
use crate::domain::foreign::sanitise;
use crate::domain::snapshot::{LimitScope, Reach, SourceState};
use crate::domain::{Instance, Snapshot, Tenant, Tier};

/// Findings that are told one by one; all are counted.
const FINDINGS: usize = 200;

/// Label values are cut at this many characters: what a tenant can name must not fill Prometheus' memory.
const LONGEST: usize = 128;

type Labels = Vec<(&'static str, String)>;

/// One family with its samples.
#[derive(Debug)]
struct Family {
    help: &'static str,
    kind: MetricType,
    samples: Vec<(Labels, f64)>,
}

/// Everything that is told, by name.
#[derive(Debug)]
pub(super) struct Families {
    all: BTreeMap<&'static str, Family>,
}

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        build.encode(encoder.encode_descriptor("build", "The program that tells this", None, MetricType::Info)?)?;
        for (name, family) in &self.all {
            let mut metric = encoder.encode_descriptor(name, family.help, None, family.kind)?;
            for (labels, value) in &family.samples {
                let metric = metric.encode_family(labels)?;
                match family.kind {
                    MetricType::Counter => ConstCounter::new(*value).encode(metric)?,
                    _ => ConstGauge::new(*value).encode(metric)?,
                }
            }
        }
        Ok(())
    }
}

/// Foreign text as a label.
fn label(text: &str) -> String {
    sanitise(text).chars().take(LONGEST).collect()
}

fn tier(tier: Tier) -> String {
    match tier {
        Tier::Shared => "shared",
        Tier::Dedicated => "dedicated",
    }
    .to_owned()
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1e3
}

impl Families {
    pub fn of(snapshot: &Snapshot, chosen: &Chosen, own: Own) -> Self {
        let mut families = Self { all: BTreeMap::new() };
        families.own(snapshot, own);
        for instance in &snapshot.instances {
            families.instance(snapshot, instance);
            families.sources(snapshot, &[("instance_name", label(instance.name.as_str()))], &instance.sources);
            families.databases(instance, chosen.most());
        }
        for tenant in snapshot.tenants.iter().filter(|tenant| chosen.has(tenant)) {
            families.tenant(tenant);
        }
        families.others(snapshot, chosen);
        families.sources(snapshot, &[], &snapshot.estate.sources);
        families.findings(snapshot);
        families
    }

    /// Adds a sample; what is not known is left out.
    fn gauge(&mut self, name: &'static str, help: &'static str, labels: &Labels, value: Option<f64>) {
        self.add(MetricType::Gauge, name, help, labels, value);
    }

    fn counter(&mut self, name: &'static str, help: &'static str, labels: &Labels, value: u64) {
        self.add(MetricType::Counter, name, help, labels, Some(value as f64));
    }

    fn add(&mut self, kind: MetricType, name: &'static str, help: &'static str, labels: &Labels, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            let family = self.all.entry(name).or_insert_with(|| Family { help, kind, samples: Vec::new() });
            family.samples.push((labels.clone(), value));
        }
    }

    fn own(&mut self, snapshot: &Snapshot, own: Own) {
        let none = Labels::new();
        let taken = Some(seconds(snapshot.taken_at));
        self.gauge("snapshot_timestamp_seconds", "When the newest snapshot was made", &none, taken);
        self.counter("scrapes", "Times that this page was asked for", &none, own.scrapes);
        self.gauge("start_time_seconds", "When this program began", &none, Some(seconds(own.started)));
        let resident = own.resident_bytes.map(|bytes| bytes as f64);
        self.gauge("resident_memory_bytes", "Memory of this program", &none, resident);
        let cost = snapshot.cost.database_ms_per_second.map(|cost| cost / 1e3);
        let help = "Time that watching takes the servers, seconds a second, an upper bound";
        self.gauge("watching_database_ratio", help, &none, cost);
        let dollars = snapshot.cost.cloudwatch_usd_per_hour;
        self.gauge("watching_cloudwatch_dollars_per_hour", "What CloudWatch bills for watching", &none, dollars);
    }

    fn instance(&mut self, snapshot: &Snapshot, instance: &Instance) {
        let of_it: Labels = vec![("instance_name", label(instance.name.as_str()))];
        let up = match instance.reach {
            Reach::Up => Some(1.0),
            Reach::Down { .. } => Some(0.0),
            Reach::Connecting | Reach::Apart(_) => None,
        };
        self.gauge("instance_up", "Whether the instance answers", &of_it, up);
        let mut about = of_it.clone();
        about.push(("instance_tier", tier(instance.tier)));
        about.extend(instance.server.as_ref().map(|server| ("server_version", label(&server.version))));
        self.gauge("instance_info", "What the instance is; always 1", &about, Some(1.0));
        let count = |value: Option<u32>| value.map(f64::from);
        self.gauge("instance_connections", "Client connections", &of_it, count(instance.connections));
        let most = count(instance.usable_connections());
        self.gauge("instance_connections_max", "Connections that ordinary logins may have", &of_it, most);
        self.gauge("instance_sessions_busy", "Sessions on CPU or I/O", &of_it, count(instance.active));
        self.gauge("instance_sessions_blocked", "Sessions that wait for a lock", &of_it, count(instance.blocked));
        if !instance.vcpus_estimated {
            self.gauge("instance_vcpus", "vCPUs, as configured", &of_it, Some(instance.vcpus));
        }
        let pressure = &instance.pressure;
        for (resource, value) in [
            ("cpu", pressure.cpu),
            ("reads", pressure.reads),
            ("writes", pressure.writes),
            ("connections", pressure.connections),
        ] {
            let mut labels = of_it.clone();
            labels.push(("resource", resource.to_owned()));
            let help = "How near the instance is to its limit over the last minute, 0 to 1";
            self.gauge("instance_pressure_ratio", help, &labels, value);
        }
        let rates = &instance.rates;
        let help = "Transactions a second";
        self.gauge("instance_transactions_per_second", help, &of_it, rates.transactions);
        self.gauge("instance_cache_hit_ratio", "Blocks found in shared buffers", &of_it, rates.cache_hit);
        let running = instance.vacuums.fresh(snapshot.taken_at).map(|vacuums| vacuums.running.len() as f64);
        self.gauge("instance_vacuums_running", "Vacuums that run", &of_it, running);
        let oldest = instance.freeze.fresh(snapshot.taken_at).and_then(|freeze| freeze.tables.first());
        let age = oldest.map(|table| f64::from(table.xid_age));
        self.gauge("instance_xid_age_max", "Age of the oldest table, in transaction ids", &of_it, age);
        let (mut alone, mut active) = (0u32, 0u32);
        if instance.activity.fresh(snapshot.taken_at).is_some() {
            let sessions = snapshot.sessions.iter().filter(|session| session.instance == instance.name);
            for session in sessions.filter(|session| session.attribution.tenant().is_none()) {
                alone += 1;
                active += u32::from(session.state.is_active());
            }
            let help = "Sessions that nothing points to a tenant";
            self.gauge("instance_sessions_unattributed", help, &of_it, Some(f64::from(alone)));
            let help = "Of those, running a statement";
            self.gauge("instance_sessions_unattributed_active", help, &of_it, Some(f64::from(active)));
        }
    }

    /// How sources do: those of an instance under its name, those of no single one without any.
    fn sources(&mut self, snapshot: &Snapshot, of: &[(&'static str, String)], states: &[SourceState]) {
        for state in states {
            let mut labels: Labels = of.to_vec();
            labels.push(("source", state.source.name().to_owned()));
            let asked = state.error.is_some() || state.at.is_some();
            let up = asked.then_some(f64::from(u8::from(state.error.is_none())));
            self.gauge("source_up", "Whether the newest question was answered", &labels, up);
            let age = state.at.map(|at| snapshot.taken_at.duration_since(at).as_secs_f64().max(0.0));
            self.gauge("source_age_seconds", "How old the newest answer is", &labels, age);
            let took = state.took.map(|took| took.as_secs_f64());
            self.gauge("source_duration_seconds", "How long the newest answer took", &labels, took);
            let every = Some(state.every.as_secs_f64());
            self.gauge("source_interval_seconds", "How often it is asked now", &labels, every);
            if let Some(code) = state.error.as_ref().and_then(|trouble| trouble.code.as_deref()) {
                let mut labels = labels.clone();
                labels.push(("sqlstate", label(code)));
                self.gauge("source_error", "What the server refuses it with; always 1", &labels, Some(1.0));
            }
        }
    }

    /// Counters of each database. Their sum would fall when one is dropped, and a fall reads as a reset; so where there are
    /// too many to tell apart there are none.
    fn databases(&mut self, instance: &Instance, most: usize) {
        let Some(databases) = &instance.databases.value else { return };
        let in_use = || databases.iter().filter(|database| database.in_use);
        if in_use().count() > most {
            return;
        }
        for database in in_use() {
            let labels: Labels =
                vec![("instance_name", label(instance.name.as_str())), ("database", label(database.name.raw()))];
            self.counter("database_transactions", "Transactions", &labels, database.transactions);
            self.counter("database_rows_written", "Rows written", &labels, database.rows_written);
            self.counter("database_blocks_read", "Blocks not found in shared buffers", &labels, database.blocks_read);
            self.counter("database_blocks_hit", "Blocks found in shared buffers", &labels, database.blocks_hit);
            self.counter("database_temporary_bytes", "Written to temporary files", &labels, database.temp_bytes);
            self.counter("database_deadlocks", "Deadlocks", &labels, database.deadlocks);
        }
    }

    fn tenant(&mut self, tenant: &Tenant) {
        let of_it: Labels = vec![
            ("tenant", label(tenant.id.as_str())),
            ("instance_name", label(tenant.instance.as_str())),
            ("tenant_tier", tier(tenant.tier)),
        ];
        let count = |value: Option<u32>| value.map(f64::from);
        let large = |value: Option<u64>| value.map(|value| value as f64);
        self.gauge("tenant_connections", "Sessions", &of_it, count(tenant.connections));
        self.gauge("tenant_sessions_active", "Sessions that run a statement", &of_it, count(tenant.active));
        self.gauge("tenant_sessions_waiting", "Sessions that wait for a lock or I/O", &of_it, count(tenant.waiting));
        let idle = count(tenant.idle_in_transaction);
        self.gauge("tenant_sessions_idle_in_transaction", "Sessions idle in a transaction", &of_it, idle);
        let oldest = tenant.oldest_transaction_seconds;
        self.gauge("tenant_oldest_transaction_seconds", "Age of its oldest transaction", &of_it, oldest);
        let limit = tenant.limits.effective.connection_limit.filter(|_| tenant.limit_scope == LimitScope::Tenant);
        self.gauge("tenant_connections_max", "CONNECTION LIMIT of its own login", &of_it, count(limit));
        let bound = tenant.bound.filter(|_| tenant.limit_scope == LimitScope::Tenant);
        self.gauge("tenant_connections_of_login", "Sessions that this limit counts", &of_it, count(bound));
        self.gauge("tenant_noise_score", "100 × the greatest of share × pressure", &of_it, tenant.noise_score);
        let noise = &tenant.noise;
        for (resource, value) in [
            ("active_time", noise.active_time),
            ("connections", noise.connections),
            ("rows_written", noise.rows_written),
            ("wal", noise.wal),
            ("blocks_read", noise.blocks_read),
        ] {
            let mut labels = of_it.clone();
            labels.push(("resource", resource.to_owned()));
            self.gauge("tenant_share_ratio", "Its share of the instance over the last minute", &labels, value);
        }
        let help = "Seconds of the last minute that its locks kept others waiting";
        self.gauge("tenant_blocked_others_seconds", help, &of_it, noise.blocked_others_seconds);
        let rate = tenant.rows_written_per_second;
        self.gauge("tenant_rows_written_per_second", "Rows written a second", &of_it, rate);
        let a_day = tenant.rows_written_per_day.filter(|_| !tenant.rows_written_estimated);
        self.gauge("tenant_rows_written_per_day", "Rows written a day", &of_it, a_day);
        self.gauge("tenant_dead_rows", "Dead rows, an estimate of the server's", &of_it, large(tenant.dead_tuples));
        self.gauge("tenant_live_rows", "Live rows, an estimate of the server's", &of_it, large(tenant.live_tuples));
        self.gauge("tenant_size_bytes", "Size; in the schema layout from relpages", &of_it, large(tenant.size_bytes));
    }

    /// What the tenants without series of their own come to, and how many they are.
    fn others(&mut self, snapshot: &Snapshot, chosen: &Chosen) {
        for instance in &snapshot.instances {
            let of_it: Labels = vec![("instance_name", label(instance.name.as_str()))];
            let here = || snapshot.tenants.iter().filter(|tenant| tenant.instance == instance.name);
            let others = || here().filter(|tenant| !chosen.has(tenant));
            self.gauge("tenants", "Tenants of the instance", &of_it, Some(here().count() as f64));
            self.gauge("other_tenants", "Of those, without series of their own", &of_it, Some(others().count() as f64));
            if others().next().is_none() {
                continue;
            }
            // A sum of which a part is not known is not known.
            let sum = |of: &dyn Fn(&Tenant) -> Option<f64>| others().map(of).sum::<Option<f64>>();
            let connections = sum(&|tenant| tenant.connections.map(f64::from));
            self.gauge("other_tenants_connections", "Their sessions", &of_it, connections);
            let active = sum(&|tenant| tenant.active.map(f64::from));
            self.gauge("other_tenants_sessions_active", "Their sessions that run a statement", &of_it, active);
            let waiting = sum(&|tenant| tenant.waiting.map(f64::from));
            self.gauge("other_tenants_sessions_waiting", "Their sessions that wait", &of_it, waiting);
            let rows = sum(&|tenant| tenant.rows_written_per_second);
            self.gauge("other_tenants_rows_written_per_second", "Rows they write a second", &of_it, rows);
            let bytes = sum(&|tenant| tenant.size_bytes.map(|bytes| bytes as f64));
            self.gauge("other_tenants_size_bytes", "Their size", &of_it, bytes);
        }
    }

    fn findings(&mut self, snapshot: &Snapshot) {
        let mut counts: BTreeMap<(&str, String, &str), u32> = BTreeMap::new();
        let live = || snapshot.findings.iter().filter(|finding| finding.over_for.is_none());
        for finding in live() {
            let instance = finding.subject.instance.as_str();
            *counts.entry((finding.signal.name(), finding.severity.to_string(), instance)).or_default() += 1;
        }
        for ((signal, severity, instance), count) in counts {
            let labels: Labels =
                vec![("signal", signal.to_owned()), ("severity", severity), ("instance_name", label(instance))];
            self.gauge("findings", "What is wrong", &labels, Some(f64::from(count)));
        }
        for finding in live().take(FINDINGS) {
            let labels: Labels = vec![
                ("signal", finding.signal.name().to_owned()),
                ("severity", finding.severity.to_string()),
                ("subject_kind", format!("{:?}", finding.subject.kind).to_lowercase()),
                ("subject", label(&finding.subject.id)),
                ("instance_name", label(finding.subject.instance.as_str())),
            ];
            let help = "Since when it is wrong";
            self.gauge("finding_since_timestamp_seconds", help, &labels, Some(seconds(finding.since)));
        }
        let mut unknown: BTreeMap<(&str, &str), u32> = BTreeMap::new();
        for one in &snapshot.unknown {
            *unknown.entry((one.signal.name(), one.subject.instance.as_str())).or_default() += 1;
        }
        for ((signal, instance), count) in unknown {
            let labels: Labels = vec![("signal", signal.to_owned()), ("instance_name", label(instance))];
            self.gauge("unknown_signals", "Signals that cannot be judged", &labels, Some(f64::from(count)));
        }
    }
}
