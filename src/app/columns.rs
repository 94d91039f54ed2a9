//! What tenants and sessions can be sorted and filtered by.

use std::borrow::Cow;
use std::collections::HashMap;

use super::table::{Column, Value};
use crate::domain::session::Rank;
use crate::domain::snapshot::LimitScope;
use crate::domain::{Attribution, InstanceName, Session, Severity, Tenant, Tier};

/// The columns of the tenants' table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the keys say it")]
pub enum TenantColumn {
    Severity,
    Tenant,
    Tier,
    Instance,
    Connections,
    /// What its connections are held against: its own login's limit.
    Limit,
    Active,
    Waiting,
    IdleInTransaction,
    Oldest,
    Noise,
    RowsPerDay,
    Dead,
    Size,
    Problem,
    /// Drawn from history; cannot be sorted by.
    Trend,
}

/// How bad a tenant's state is, as one number: its findings, then what it suffers, then its noise in coarse steps, so that
/// rows do not change places at every poll.
fn weight(tenant: &Tenant) -> f64 {
    let severity = match tenant.severity {
        Some(Severity::Critical) => 3_000.0,
        Some(Severity::Warning) => 2_000.0,
        Some(Severity::Info) => 1_000.0,
        None => 0.0,
    };
    let suffers = if tenant.suffers.is_empty() { 0.0 } else { 500.0 };
    severity + suffers + (tenant.noise_score.unwrap_or(0.0) / 20.0).floor()
}

impl Column for TenantColumn {
    type Row = Tenant;
    type Context = ();
    const ALL: &'static [Self] = &[
        Self::Severity,
        Self::Tenant,
        Self::Tier,
        Self::Instance,
        Self::Connections,
        Self::Limit,
        Self::Active,
        Self::Waiting,
        Self::IdleInTransaction,
        Self::Oldest,
        Self::Noise,
        Self::RowsPerDay,
        Self::Dead,
        Self::Size,
        Self::Problem,
    ];
    const SHOWN: &'static [Self] = &[
        Self::Severity,
        Self::Tenant,
        Self::Tier,
        Self::Instance,
        Self::Connections,
        Self::Active,
        Self::Waiting,
        Self::IdleInTransaction,
        Self::Oldest,
        Self::Noise,
        Self::RowsPerDay,
        Self::Dead,
        Self::Size,
        Self::Trend,
        Self::Problem,
    ];

    fn is_fixed(self) -> bool {
        matches!(self, Self::Severity | Self::Tenant)
    }

    fn exported<'a>(self, tenant: &'a Tenant, context: &()) -> Value<'a> {
        match self {
            Self::Severity => {
                tenant.severity.map_or(Value::Missing, |severity| Value::Text(Cow::Owned(severity.to_string())))
            }
            _ => self.value(tenant, context),
        }
    }

    fn is_estimated(self, tenant: &Tenant) -> bool {
        match self {
            Self::RowsPerDay => tenant.rows_written_estimated && tenant.rows_written_per_day.is_some(),
            Self::Size => tenant.size_estimated && tenant.size_bytes.is_some(),
            Self::Dead => dead_share(tenant).is_some(),
            _ => false,
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Severity => "severity",
            Self::Tenant => "tenant",
            Self::Tier => "tier",
            Self::Instance => "instance",
            Self::Connections => "conn",
            Self::Limit => "limit",
            Self::Active => "act",
            Self::Waiting => "wait",
            Self::IdleInTransaction => "idle-tx",
            Self::Oldest => "oldest",
            Self::Noise => "noise",
            Self::RowsPerDay => "rows",
            Self::Dead => "dead",
            Self::Size => "size",
            Self::Problem => "problem",
            Self::Trend => "trend",
        }
    }

    fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Connections => &["conn/limit", "connections"],
            Self::Active => &["active"],
            Self::Waiting => &["waiting"],
            Self::RowsPerDay => &["rows/day"],
            _ => &[],
        }
    }

    fn exact(self, number: f64) -> String {
        if self == Self::Dead { format!("{number:.1}%") } else { format!("{number:.0}") }
    }

    fn is_number(self) -> bool {
        !matches!(self, Self::Tenant | Self::Tier | Self::Instance | Self::Problem)
    }

    fn value<'a>(self, tenant: &'a Tenant, (): &()) -> Value<'a> {
        match self {
            Self::Severity => Value::Number(weight(tenant)),
            Self::Tenant => Value::Text(Cow::Borrowed(tenant.id.as_str())),
            Self::Tier => Value::Text(Cow::Borrowed(match tenant.tier {
                Tier::Shared => "shared",
                Tier::Dedicated => "dedicated",
            })),
            Self::Instance => Value::Text(Cow::Borrowed(tenant.instance.as_str())),
            Self::Connections => Value::number(tenant.connections),
            Self::Limit => Value::number(
                tenant.limits.effective.connection_limit.filter(|_| tenant.limit_scope == LimitScope::Tenant),
            ),
            Self::Active => Value::number(tenant.active),
            Self::Waiting => Value::number(tenant.waiting),
            Self::IdleInTransaction => Value::number(tenant.idle_in_transaction),
            Self::Oldest => Value::number(tenant.oldest_transaction_seconds),
            Self::Noise => Value::number(tenant.noise_score),
            Self::RowsPerDay => Value::number(tenant.rows_written_per_day),
            Self::Dead => Value::number(dead_share(tenant).map(|share| share * 100.0)),
            Self::Size => Value::number(tenant.size_bytes.map(|bytes| bytes as f64)),
            Self::Problem => problem(tenant).map_or(Value::Missing, |words| Value::Text(Cow::Owned(words))),
            Self::Trend => Value::Missing,
        }
    }
}

/// Dead rows as a share of all its rows.
pub fn dead_share(tenant: &Tenant) -> Option<f64> {
    let (dead, live) = tenant.dead_tuples.zip(tenant.live_tuples)?;
    Some(dead as f64 / (dead + live).max(1) as f64)
}

/// What a tenant causes and suffers, in signal names; `None` when neither.
pub fn problem(tenant: &Tenant) -> Option<String> {
    let mut words: Vec<String> = tenant.findings.iter().map(|signal| signal.name().to_owned()).collect();
    words.extend(
        tenant
            .suffers
            .iter()
            .filter(|signal| !tenant.findings.contains(signal))
            .map(|signal| format!("suffers {signal}")),
    );
    (!words.is_empty()).then(|| words.join(", "))
}

/// Who blocks how many sessions, by instance and pid.
#[derive(Debug, Clone, Default)]
pub struct Blockers(HashMap<(InstanceName, i32), u32>);

impl Blockers {
    /// Counts the sessions that each pid blocks directly.
    pub fn of(sessions: &[Session]) -> Self {
        let mut counts = HashMap::new();
        for session in sessions {
            for &pid in session.blocking.iter().flat_map(|blocking| &blocking.by) {
                *counts.entry((session.instance.clone(), pid)).or_default() += 1;
            }
        }
        Self(counts)
    }

    /// How many sessions this one blocks.
    pub fn blocks(&self, session: &Session) -> u32 {
        if self.0.is_empty() {
            return 0;
        }
        self.0.get(&(session.instance.clone(), session.key.pid)).copied().unwrap_or(0)
    }
}

/// The columns of the sessions' table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the keys say it")]
pub enum SessionColumn {
    Trouble,
    Pid,
    Tenant,
    How,
    Role,
    Database,
    Application,
    Client,
    State,
    /// How long it has been in that state.
    For,
    Wait,
    Transaction,
    Statement,
    BlockedBy,
    Blocks,
    Instance,
    Query,
}

/// What deserves to be looked at first: who blocks others, who is blocked, what runs longest, who holds a transaction.
fn trouble(session: &Session, blockers: &Blockers) -> f64 {
    let blocks = f64::from(blockers.blocks(session));
    let (class, age) = if blocks > 0.0 && session.blocking.is_none() {
        (5.0, blocks * 1e4)
    } else if session.blocking.is_some() {
        (4.0, session.lock_wait().unwrap_or(0.0))
    } else if session.state.is_active() {
        (3.0, session.query_age().unwrap_or(0.0))
    } else if session.state.is_idle_in_transaction() {
        (2.0, session.transaction_age().unwrap_or(0.0))
    } else {
        (1.0, -session.state_age().unwrap_or(0.0))
    };
    class * 1e9 + age
}

impl Column for SessionColumn {
    type Row = Session;
    type Context = Blockers;
    const ALL: &'static [Self] = &[
        Self::Trouble,
        Self::Pid,
        Self::Tenant,
        Self::How,
        Self::Role,
        Self::Database,
        Self::Application,
        Self::Client,
        Self::State,
        Self::For,
        Self::Wait,
        Self::Transaction,
        Self::Statement,
        Self::BlockedBy,
        Self::Blocks,
        Self::Instance,
        Self::Query,
    ];
    const SHOWN: &'static [Self] = &[
        Self::Trouble,
        Self::Pid,
        Self::Instance,
        Self::Tenant,
        Self::How,
        Self::Role,
        Self::Database,
        Self::Application,
        Self::Client,
        Self::State,
        Self::For,
        Self::Wait,
        Self::Transaction,
        Self::Statement,
        Self::BlockedBy,
        Self::Query,
    ];

    fn is_fixed(self) -> bool {
        matches!(self, Self::Trouble | Self::Pid)
    }

    fn exported<'a>(self, session: &'a Session, blockers: &Blockers) -> Value<'a> {
        match self {
            Self::Trouble => Value::Missing,
            Self::Tenant if session.attribution.tenant().is_none() => Value::Missing,
            _ => self.value(session, blockers),
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Trouble => "trouble",
            Self::Pid => "pid",
            Self::Tenant => "tenant",
            Self::How => "how",
            Self::Role => "role",
            Self::Database => "db",
            Self::Application => "app",
            Self::Client => "client",
            Self::State => "state",
            Self::For => "for",
            Self::Wait => "wait",
            Self::Transaction => "tx",
            Self::Statement => "query-age",
            Self::BlockedBy => "blocked-by",
            Self::Blocks => "blocks",
            Self::Instance => "instance",
            Self::Query => "query",
        }
    }

    fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Application => &["application"],
            Self::For => &["state-age", "idle"],
            Self::Transaction => &["transaction"],
            // The header of the statement's age; `query:select` still means its text.
            Self::Statement => &["query"],
            Self::BlockedBy => &["locks"],
            Self::Query => &["statement"],
            _ => &[],
        }
    }

    fn is_number(self) -> bool {
        matches!(
            self,
            Self::Trouble
                | Self::Pid
                | Self::For
                | Self::Transaction
                | Self::Statement
                | Self::BlockedBy
                | Self::Blocks
        )
    }

    fn value<'a>(self, session: &'a Session, blockers: &Blockers) -> Value<'a> {
        let some = |text: Cow<'a, str>| if text.is_empty() { Value::Missing } else { Value::Text(text) };
        match self {
            Self::Trouble => Value::Number(trouble(session, blockers)),
            Self::Pid => Value::Number(f64::from(session.key.pid)),
            Self::Tenant => session.attribution.tenant().map_or(Value::Text(Cow::Borrowed("unattributed")), |tenant| {
                Value::Text(Cow::Borrowed(tenant.as_str()))
            }),
            Self::How => some(Cow::Borrowed(how(session))),
            Self::Role => some(session.role.shown()),
            Self::Database => some(session.database.shown()),
            Self::Application => some(session.application.shown()),
            Self::Client => some(Cow::Borrowed(session.client.as_deref().unwrap_or_default())),
            Self::State => Value::Text(Cow::Borrowed(session.state.label())),
            Self::For => Value::number(session.state_age()),
            Self::Wait => session
                .wait
                .as_ref()
                .map_or(Value::Missing, |wait| Value::Text(Cow::Owned(format!("{}:{}", wait.kind, wait.event)))),
            Self::Transaction => Value::number(session.transaction_age()),
            Self::Statement => Value::number(session.query_age()),
            Self::BlockedBy => {
                Value::number(session.blocking.as_ref().and_then(|blocking| blocking.by.first()).copied())
            }
            Self::Blocks => Value::number(Some(blockers.blocks(session)).filter(|&blocks| blocks > 0)),
            Self::Instance => Value::Text(Cow::Borrowed(session.instance.as_str())),
            Self::Query => session.query.as_ref().map_or(Value::Missing, |query| some(query.shown())),
        }
    }
}

/// Seconds idle in a transaction from which on it is worth a look: every transaction pauses between two statements.
pub const STUCK: f64 = 5.0;

/// Whether a session holds its transaction open for longer than a pause between two statements.
pub fn is_stuck(session: &Session) -> bool {
    session.state.is_idle_in_transaction() && session.state_age().is_some_and(|age| age >= STUCK)
}

/// How a session's tenant was found.
pub fn how(session: &Session) -> &'static str {
    match &session.attribution {
        Attribution::Tenant { reason, .. } => reason.label(),
        Attribution::Conflicting => "conflict",
        Attribution::None => "",
    }
}

/// Whether a session's tenant is only claimed.
pub fn is_claimed(session: &Session) -> bool {
    session.attribution.reason().is_some_and(|reason| reason.rank() == Rank::Claimed)
}
