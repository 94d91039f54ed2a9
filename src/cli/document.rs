//! The documents that people script against: `status --json` and `findings --json`. Shapes are part of the contract, their
//! JSON schemas are published in `assets/schema/`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::pooler::Pooler;
use super::secrets::{Estate, Secret};
use crate::domain::facts::Secrets;
use crate::domain::facts::cloud::Metric;
use crate::domain::snapshot::{Instance as DomainInstance, LimitScope, Noise, Reach, SourceState, Unattributed};
use crate::domain::{
    Acknowledgement, Attention, Evidence as DomainEvidence, Finding as DomainFinding, Severity, Signal, Snapshot,
    SubjectKind, Tier, Unit, foreign,
};
use crate::domain::{Subject as DomainSubject, Tenant as DomainTenant, Unknown as DomainUnknown};

/// The version of these shapes.
pub const SCHEMA: u32 = 1;

/// `tierdeck status --json`. A value that is not known is `null`; one that is estimated is named in `estimated`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    /// Version of this shape.
    pub schema: u32,
    /// When the picture was taken, UTC.
    pub taken_at: String,
    /// `environment` of the configuration.
    pub environment: String,
    /// Instances, in the configuration's order.
    pub instances: Vec<Instance>,
    /// What is of no single instance.
    pub estate: Estate,
    /// Tenants, by id.
    pub tenants: Vec<Tenant>,
    /// Client sessions that no tenant could be found for.
    pub unattributed: UnattributedCounts,
    /// What is wrong, the worst first; what is muted comes last.
    pub findings: Vec<Finding>,
    /// What could not be judged, and why.
    pub unknown: Vec<Unknown>,
    /// What watching costs.
    pub cost: Cost,
}

/// `tierdeck findings --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Findings {
    /// Version of this shape.
    pub schema: u32,
    /// When the picture was taken, UTC.
    pub taken_at: String,
    /// `environment` of the configuration.
    pub environment: String,
    /// What is wrong, the worst first; what is muted comes last.
    pub findings: Vec<Finding>,
    /// What could not be judged, and why.
    pub unknown: Vec<Unknown>,
}

/// One instance.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Instance {
    /// The configuration's name for it.
    pub name: String,
    /// Tier.
    pub tier: Tier,
    /// Whether it answers.
    pub reachable: bool,
    /// Why it does not.
    pub error: Option<String>,
    /// Such as `15.18`.
    pub server_version: Option<String>,
    /// Client connections, the console's own included.
    pub connections: Option<u32>,
    /// `max_connections`.
    pub max_connections: Option<u32>,
    /// CPU as CloudWatch says.
    pub cpu_percent: Option<f64>,
    /// Free storage as CloudWatch says.
    pub free_storage_bytes: Option<u64>,
    /// vCPUs that load is held against.
    pub vcpus: f64,
    /// Sessions busy on CPU or I/O.
    pub active: Option<u32>,
    /// Sessions that wait for a lock.
    pub blocked: Option<u32>,
    /// Transactions a second.
    pub transactions_per_second: Option<f64>,
    /// Deadlocks a minute, over up to five minutes.
    pub deadlocks_per_minute: Option<f64>,
    /// Share of blocks found in shared buffers.
    pub cache_hit_ratio: Option<f64>,
    /// The pooler before it; `null` where none is configured.
    pub pooler: Option<Pooler>,
    /// Fields here that are estimates.
    pub estimated: Vec<&'static str>,
    /// How each source does.
    pub sources: Vec<Source>,
}

/// One source of an instance, or of the estate.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Source {
    /// Name, as in `[poll]`.
    pub name: &'static str,
    /// Age of its newest value.
    pub age_seconds: Option<f64>,
    /// What went wrong at the newest attempt.
    pub error: Option<String>,
}

/// How many of a tenant's sessions were found by which kind of evidence.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AttributionCounts {
    /// By evidence that a tenant cannot choose.
    pub strong: Option<u32>,
    /// By claims.
    pub claimed: Option<u32>,
}

/// Client sessions that no tenant could be found for; `null` while no instance shows its sessions.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UnattributedCounts {
    /// Sessions.
    pub connections: Option<u32>,
    /// Of those, running a statement.
    pub active: Option<u32>,
}

impl UnattributedCounts {
    fn of(snapshot: &Snapshot) -> Self {
        let seen = snapshot.instances.iter().any(|instance| instance.connections.is_some());
        let Unattributed { connections, active } = snapshot.unattributed;
        Self { connections: seen.then_some(connections), active: seen.then_some(active) }
    }
}

/// One tenant.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tenant {
    /// Id.
    pub id: String,
    /// Tier.
    pub tier: Tier,
    /// The instance it lives on.
    pub instance: String,
    /// Its schema.
    pub schema: Option<String>,
    /// Its database, where it has one of its own.
    pub database: Option<String>,
    /// Its role.
    pub role: Option<String>,
    /// Sessions.
    pub connections: Option<u32>,
    /// How they were found.
    pub attribution: AttributionCounts,
    /// `CONNECTION LIMIT` of its own login; `null` where it has none, uses the service account, or that is not known.
    pub connection_limit: Option<u32>,
    /// Of its sessions, those that `connection_limit` counts: of its own login. `null` where it uses the service account.
    pub connections_of_login: Option<u32>,
    /// Whether its own login is known to have no `CONNECTION LIMIT`; `null` where it uses the service account, or that is
    /// not known.
    pub connections_unlimited: Option<bool>,
    /// Where limits bind.
    pub limit_scope: LimitScope,
    /// Sessions that run a statement.
    pub active: Option<u32>,
    /// Sessions idle in an open transaction.
    pub idle_in_transaction: Option<u32>,
    /// Sessions that wait for a lock or for I/O.
    pub waiting: Option<u32>,
    /// Age of its oldest transaction.
    pub oldest_transaction_seconds: Option<f64>,
    /// 100 × the greatest of share × pressure.
    pub noise_score: Option<f64>,
    /// Shares of the instance over the last 60 s.
    pub noise: Noise,
    /// Rows written a day.
    pub rows_written_per_day: Option<f64>,
    /// Dead rows.
    pub dead_tuples: Option<u64>,
    /// Bytes.
    pub size_bytes: Option<u64>,
    /// The tier that its load asks for.
    pub recommended_tier: Option<Tier>,
    /// Its secret in Vault; `null` where there is none, or none is known.
    pub secret: Option<Secret>,
    /// Signals that name it as the cause.
    pub findings: Vec<Signal>,
    /// Signals that name it as a victim.
    pub suffers: Vec<Signal>,
    /// Fields here that are estimates.
    pub estimated: Vec<&'static str>,
}

/// What something is about.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Subject {
    /// The kind of thing.
    pub kind: SubjectKind,
    /// Its name.
    pub id: String,
    /// The instance it lives on.
    pub instance: String,
}

/// One number beside what it was held against.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Evidence {
    /// What was measured.
    pub name: String,
    /// What it measured.
    pub value: f64,
    /// What it was held against: the rung that it reached.
    pub threshold: Option<f64>,
    /// Where it becomes critical, if it may.
    pub critical: Option<f64>,
    /// The unit of all three.
    pub unit: Unit,
}

/// Something that is wrong.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Finding {
    /// Which signal says so.
    pub signal: Signal,
    /// How bad.
    pub severity: Severity,
    /// About what.
    pub subject: Subject,
    /// Who hurts whom.
    pub summary: String,
    /// The numbers.
    pub evidence: Vec<Evidence>,
    /// The next step.
    pub advice: String,
    /// The next step as one complete SQL statement, where there is one.
    pub statement: Option<String>,
    /// Since when, UTC.
    pub since: String,
    /// Tenants that cause it.
    pub culprits: Vec<String>,
    /// Tenants that suffer.
    pub victims: Vec<String>,
    /// Its input went missing: this is the last that was known.
    pub stale: bool,
    /// It has not been true for so many seconds.
    pub over_for_seconds: Option<f64>,
    /// Somebody knows of it, or wants not to see it: `--fail-on` passes over it.
    pub acknowledged: Option<Acknowledged>,
}

/// That somebody knows of a finding.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Acknowledged {
    /// `acknowledged`: shown after the others; `muted`: not shown in the console.
    pub attention: Attention,
    /// Who said so.
    pub by: String,
    /// Why.
    pub why: String,
    /// When, UTC.
    pub at: String,
    /// Until when, UTC.
    pub until: String,
}

/// A signal that could not be judged.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Unknown {
    /// Which.
    pub signal: Signal,
    /// About what.
    pub subject: Subject,
    /// Why.
    pub reason: String,
    /// When it will be known if watching goes on; `null` where somebody has to do something first.
    pub known_at: Option<String>,
}

/// What watching costs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Cost {
    /// The servers' time on our queries, milliseconds a second.
    pub database_ms_per_second: Option<f64>,
    /// CloudWatch's bill.
    pub cloudwatch_usd_per_hour: Option<f64>,
    /// Fields here that are estimates.
    pub estimated: Vec<&'static str>,
}

/// A moment as documents spell it: UTC, whole seconds.
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Status {
    /// The document of a snapshot.
    pub fn of(snapshot: &Snapshot) -> Self {
        let Findings { schema, taken_at, environment, findings, unknown } = Findings::of(snapshot);
        let secrets = snapshot.estate.secrets.as_ref().and_then(|secrets| secrets.value.as_deref());
        Self {
            schema,
            taken_at,
            environment,
            instances: snapshot.instances.iter().map(|instance| Instance::of(instance, snapshot.taken_at)).collect(),
            estate: Estate::of(&snapshot.estate, snapshot.taken_at),
            tenants: snapshot.tenants.iter().map(|tenant| Tenant::of(tenant, secrets)).collect(),
            unattributed: UnattributedCounts::of(snapshot),
            findings,
            unknown,
            cost: Cost {
                database_ms_per_second: snapshot.cost.database_ms_per_second,
                cloudwatch_usd_per_hour: snapshot.cost.cloudwatch_usd_per_hour,
                estimated: vec!["database_ms_per_second"],
            },
        }
    }
}

impl Findings {
    /// The document of a snapshot.
    pub fn of(snapshot: &Snapshot) -> Self {
        Self {
            schema: SCHEMA,
            taken_at: moment(snapshot.taken_at),
            environment: snapshot.environment.to_string(),
            findings: snapshot.findings.iter().map(Finding::of).collect(),
            unknown: snapshot.unknown.iter().map(|unknown| Unknown::of(unknown)).collect(),
        }
    }
}

impl Instance {
    fn of(instance: &DomainInstance, now: Timestamp) -> Self {
        let server = instance.server.as_deref();
        // What is old says nothing of now.
        let figure = |metric| instance.cloud.as_ref()?.figure(metric, now)?.now();
        let error = match &instance.reach {
            Reach::Down { trouble, .. } => Some(trouble.message.clone()),
            Reach::Connecting => Some("no answer yet".to_owned()),
            Reach::Apart(reason) => Some(format!("not polled: {reason}")),
            Reach::Up => None,
        };
        Self {
            name: instance.name.to_string(),
            tier: instance.tier,
            reachable: instance.reach == Reach::Up,
            error,
            server_version: server.map(|server| server.version.clone()),
            connections: instance.connections,
            max_connections: server.map(|server| server.max_connections),
            cpu_percent: figure(Metric::CpuUtilization),
            free_storage_bytes: figure(Metric::FreeStorageSpace).map(|bytes| bytes.max(0.0) as u64),
            vcpus: instance.vcpus,
            active: instance.active,
            blocked: instance.blocked,
            transactions_per_second: instance.rates.transactions,
            deadlocks_per_minute: instance.rates.deadlocks_per_minute,
            cache_hit_ratio: instance.rates.cache_hit,
            pooler: instance.pooler.as_ref().map(|seen| Pooler::of(seen, now)),
            estimated: if instance.vcpus_estimated { vec!["vcpus"] } else { Vec::new() },
            sources: instance.sources.iter().map(|source| Source::of(source, now)).collect(),
        }
    }
}

impl Source {
    /// How it does.
    pub(super) fn of(source: &SourceState, now: Timestamp) -> Self {
        Self {
            name: source.source.name(),
            age_seconds: source.at.map(|at| now.duration_since(at).as_secs_f64().max(0.0)),
            error: source.error.as_ref().map(|trouble| trouble.message.clone()),
        }
    }
}

impl Tenant {
    fn of(tenant: &DomainTenant, secrets: Option<&Secrets>) -> Self {
        let own_limit = tenant.limit_scope == LimitScope::Tenant;
        let estimates = [
            ("dead_tuples", tenant.dead_tuples.is_some()),
            ("size_bytes", tenant.size_bytes.is_some() && tenant.size_estimated),
            ("rows_written_per_day", tenant.rows_written_per_day.is_some() && tenant.rows_written_estimated),
        ];
        Self {
            id: tenant.id.to_string(),
            tier: tenant.tier,
            instance: tenant.instance.to_string(),
            schema: tenant.schema.as_deref().map(str::to_owned),
            database: tenant.database.as_deref().map(str::to_owned),
            role: tenant.role.as_deref().map(str::to_owned),
            connections: tenant.connections,
            attribution: AttributionCounts {
                strong: tenant.connections.map(|_| tenant.strong),
                claimed: tenant.connections.map(|_| tenant.claimed),
            },
            connection_limit: tenant.limits.effective.connection_limit.filter(|_| own_limit),
            connections_of_login: tenant.bound.filter(|_| own_limit),
            connections_unlimited: (own_limit && tenant.limits.login.is_some())
                .then_some(tenant.limits.effective.connection_limit.is_none()),
            limit_scope: tenant.limit_scope,
            active: tenant.active,
            idle_in_transaction: tenant.idle_in_transaction,
            waiting: tenant.waiting,
            oldest_transaction_seconds: tenant.oldest_transaction_seconds,
            noise_score: tenant.noise_score,
            noise: tenant.noise,
            rows_written_per_day: tenant.rows_written_per_day,
            dead_tuples: tenant.dead_tuples,
            size_bytes: tenant.size_bytes,
            recommended_tier: tenant.recommended_tier,
            secret: secrets.and_then(|secrets| Secret::of(secrets, &tenant.id)),
            findings: tenant.findings.clone(),
            suffers: tenant.suffers.clone(),
            estimated: estimates.into_iter().filter_map(|(name, estimated)| estimated.then_some(name)).collect(),
        }
    }
}

impl Subject {
    fn of(subject: &DomainSubject) -> Self {
        Self { kind: subject.kind, id: subject.id.clone(), instance: subject.instance.to_string() }
    }
}

impl Evidence {
    fn of(evidence: &DomainEvidence) -> Self {
        let DomainEvidence { name, value, threshold, critical, unit } = evidence.clone();
        Self { name, value, threshold, critical, unit }
    }
}

impl Finding {
    fn of(finding: &DomainFinding) -> Self {
        Self {
            signal: finding.signal,
            severity: finding.severity,
            subject: Subject::of(&finding.subject),
            summary: finding.summary.clone(),
            evidence: finding.evidence.iter().map(Evidence::of).collect(),
            advice: finding.advice.clone(),
            statement: finding.statement.clone(),
            since: moment(finding.since),
            culprits: finding.culprits.iter().map(ToString::to_string).collect(),
            victims: finding.victims.iter().map(ToString::to_string).collect(),
            stale: finding.stale,
            over_for_seconds: finding.over_for,
            acknowledged: finding.acknowledged.as_deref().map(Acknowledged::of),
        }
    }
}

impl Acknowledged {
    /// The words that were said.
    pub fn of(word: &Acknowledgement) -> Self {
        Self {
            attention: word.attention,
            by: foreign::sanitise(&word.by).into_owned(),
            why: foreign::sanitise(&word.why).into_owned(),
            at: moment(word.at),
            until: moment(word.until),
        }
    }
}

impl Unknown {
    fn of(unknown: &DomainUnknown) -> Self {
        Self {
            signal: unknown.signal,
            subject: Subject::of(&unknown.subject),
            reason: unknown.reason.clone(),
            known_at: unknown.known_at.map(moment),
        }
    }
}
