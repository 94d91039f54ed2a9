//! Cancel statements, terminate sessions: never a pid alone, never by what a session claims to be, never our own.

use std::fmt::Write as _;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_postgres::Row;

use super::{Action, Intent, held, literal};
use crate::attribution::Attributor;
use crate::clients::postgres::QueryError;
use crate::domain::facts::{Fragment, Source};
use crate::domain::quantity::{duration, plural};
use crate::domain::session::Reason;
use crate::domain::{Attribution, InstanceName, Session, SessionKey, TenantId};
use crate::ops::estate::Place;
use crate::ops::hands::Eyes;
use crate::ops::id::OperationId;
use crate::ops::plan::{Fact, Plan, PlannedStep, Refusals, SCHEMA, Subject, Target};
use crate::ops::step::{Check, Safety, Script, Step, StepError, Undo};
use crate::sources::postgres::ask;

/// What is done to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// End its statement.
    Cancel,
    /// End it.
    Terminate,
}

/// Which sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "aim", rename_all = "snake_case")]
pub enum Aim {
    /// These, and if a tenant is named, only if they are certainly its.
    Sessions {
        /// Pid and start.
        keys: Vec<SessionKey>,
        /// Whose they have to be.
        tenant: Option<TenantId>,
    },
    /// A tenant's that sit in a transaction and do nothing, for longer than this.
    Idle {
        /// Whose.
        tenant: TenantId,
        /// Seconds since the session did anything.
        longer_than: u64,
    },
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signalling {
    /// What is done.
    pub signal: Signal,
    /// On which instance.
    pub instance: InstanceName,
    /// To whom.
    pub aim: Aim,
    /// Whether replication and maintenance may be hit.
    pub even_system: bool,
}

/// A session as it was seen when the plan was made.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    key: SessionKey,
    kind: String,
    superuser: bool,
    may_signal: bool,
    /// A console's or an operation's of ours.
    ours: bool,
    tenant: Option<TenantId>,
    reason: Option<Reason>,
    /// What it says it is, and nothing confirms.
    claims: Option<TenantId>,
    session: Option<Session>,
    role: String,
    transaction: Option<Timestamp>,
    statement: Option<Timestamp>,
}

/// Looks at the sessions that are aimed at.
pub(super) async fn look(intent: &Signalling, eyes: &mut Eyes, place: &Place) -> Result<Vec<Seen>, StepError> {
    let estate = std::sync::Arc::clone(eyes.estate());
    let directory = super::directory(place, eyes).await?;
    let desk = eyes.desk(0).await?;
    let Fragment::Activity(mut activity) = ask(desk, Source::Activity, &place.instance, place.layout).await? else {
        return Err(QueryError::Answer { reason: "no sessions".to_owned() }.into());
    };
    Attributor::default().attribute(&directory, &mut activity.sessions);
    let wanted = |session: &Session| match &intent.aim {
        Aim::Sessions { keys, .. } => keys.contains(&session.key),
        Aim::Idle { tenant, longer_than } => {
            session.attribution.strong() == Some(tenant)
                && session.state.is_idle_in_transaction()
                && session.state_age().is_some_and(|age| age >= *longer_than as f64)
        }
    };
    activity.sessions.retain(wanted);
    let mut pids: Vec<i32> = activity.sessions.iter().map(|session| session.key.pid).collect();
    if let Aim::Sessions { keys, .. } = &intent.aim {
        pids.extend(keys.iter().map(|key| key.pid));
    }
    let rows = desk.rows(include_str!("../../../assets/sql/ops/backends.sql"), &[&pids]).await?;
    let mut seen = Vec::new();
    for row in &rows {
        let backend = backend(row)?;
        let session = activity.sessions.iter().find(|session| session.key == backend.key).cloned();
        let aimed = match &intent.aim {
            Aim::Sessions { keys, .. } => keys.contains(&backend.key),
            Aim::Idle { .. } => session.is_some(),
        };
        if !aimed {
            continue;
        }
        let ours = session.as_ref().is_some_and(|it| estate.is_ours(it.role.raw(), it.application.raw()))
            || session.is_none() && backend.kind == "client backend" && estate.is_ours(&backend.role, "tierdeck");
        let attribution = session.as_ref().map(|session| &session.attribution);
        let tenant = attribution.and_then(Attribution::strong).cloned();
        let claims = attribution.and_then(Attribution::tenant).filter(|_| tenant.is_none()).cloned();
        let reason = attribution.and_then(Attribution::reason).filter(|_| tenant.is_some());
        seen.push(Seen {
            key: backend.key,
            superuser: row.try_get("superuser").map_err(QueryError::from)?,
            may_signal: row.try_get("may_signal").map_err(QueryError::from)?,
            ours: ours || row.try_get::<_, bool>("self").map_err(QueryError::from)?,
            kind: backend.kind,
            role: backend.role,
            transaction: session.as_ref().map_or(backend.transaction, |it| it.transaction_started),
            statement: session.as_ref().map_or(backend.statement, |it| it.query_started),
            tenant,
            reason,
            claims,
            session,
        });
    }
    seen.sort_by_key(|it| it.key);
    Ok(seen)
}

struct Backend {
    key: SessionKey,
    kind: String,
    role: String,
    transaction: Option<Timestamp>,
    statement: Option<Timestamp>,
    active: bool,
}

fn backend(row: &Row) -> Result<Backend, QueryError> {
    let started = row.try_get::<_, Option<Timestamp>>("backend_start")?.unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(Backend {
        key: SessionKey { pid: row.try_get("pid")?, started },
        kind: row.try_get::<_, Option<String>>("backend_type")?.unwrap_or_default(),
        role: row.try_get("role")?,
        transaction: row.try_get("xact_start")?,
        statement: row.try_get("query_start")?,
        active: row.try_get::<_, Option<String>>("state")?.as_deref() == Some("active"),
    })
}

/// Plans, or says why not. Pure.
pub(super) fn plan(intent: &Signalling, seen: &[Seen], target: Target, id: OperationId) -> Result<Plan, Refusals> {
    let instance = &intent.instance;
    let mut refusals = Vec::new();
    if let Aim::Sessions { keys, .. } = &intent.aim {
        for key in keys.iter().filter(|key| seen.iter().all(|it| it.key != **key)) {
            refusals.push(format!(
                "{instance} has no session {} that began at {}: it is gone, or the pid is another's now",
                key.pid, key.started
            ));
        }
    } else if seen.is_empty() {
        refusals
            .push(format!("no session on {instance} is certainly this tenant's and idle in a transaction for so long"));
    }
    refusals.extend(seen.iter().filter_map(|it| forbidden(intent, it)));
    if !refusals.is_empty() {
        return Err(Refusals(refusals));
    }
    let aims: Vec<AimedAt> = seen.iter().map(|it| aimed_at(intent, it)).collect();
    let step = SignalSessions { target: 0, signal: intent.signal, sessions: aims };
    let mut tenants: Vec<&TenantId> = seen.iter().filter_map(|it| it.tenant.as_ref()).collect();
    tenants.dedup();
    let subjects = seen.iter().fold(Vec::new(), |mut subjects: Vec<Subject>, it| {
        let own = Subject::Session { instance: instance.clone(), pid: it.key.pid };
        subjects.extend(
            held(it.tenant.as_ref(), own).into_iter().filter(|subject| !subjects.contains(subject)).collect::<Vec<_>>(),
        );
        subjects
    });
    let whose = match tenants.as_slice() {
        [] => "nobody's for certain".to_owned(),
        tenants => format!("of {}", tenants.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    };
    let (verb, kind) = match intent.signal {
        Signal::Cancel => ("cancel the statement of", "cancel"),
        Signal::Terminate => ("terminate", "terminate"),
    };
    let confirm = match &intent.aim {
        Aim::Idle { tenant, .. } => tenant.to_string(),
        Aim::Sessions { .. } => seen.iter().map(|it| it.key.pid.to_string()).collect::<Vec<_>>().join(","),
    };
    let warnings = seen.iter().filter_map(|it| {
        let claims = it.claims.as_ref()?;
        Some(format!("session {} claims to be {claims}'s; anybody can claim that, so it is nobody's here", it.key.pid))
    });
    Ok(Plan {
        schema: SCHEMA,
        kind: kind.to_owned(),
        summary: format!("{verb} {} on {instance}, {whose}", plural(seen.len(), "session")),
        intent: Intent::Signal(intent.clone()),
        subjects,
        targets: vec![target],
        affects: seen.iter().map(|it| affected(intent.signal, it)).collect(),
        facts: seen.iter().flat_map(|it| facts(intent.signal, it)).collect(),
        warnings: warnings.collect(),
        steps: vec![PlannedStep::new(Action::Signal(step), &Value::Null)?],
        confirm,
        id,
    })
}

fn forbidden(intent: &Signalling, it: &Seen) -> Option<String> {
    let pid = it.key.pid;
    if it.ours {
        return Some(format!("session {pid} is tierdeck's own: a console, or an operation at work"));
    }
    if it.superuser {
        return Some(format!("session {pid} is a superuser's: only a superuser may signal it"));
    }
    if it.kind != "client backend" && !intent.even_system {
        return Some(format!(
            "process {pid} is a {}, not a client's session; --even-system aims at it nevertheless",
            it.kind
        ));
    }
    if !it.may_signal {
        return Some(if it.role.is_empty() {
            format!("process {pid} is a {} of the server's own: the admin login may not signal it", it.kind)
        } else {
            format!("the admin login may not signal session {pid} of {}: GRANT pg_signal_backend TO it", it.role)
        });
    }
    if let Aim::Sessions { tenant: Some(tenant), .. } = &intent.aim
        && it.tenant.as_ref() != Some(tenant)
    {
        let instead = match (&it.tenant, &it.claims) {
            (Some(other), _) => format!("it is {other}'s"),
            (None, Some(_)) => "it only claims to be somebody's, and anybody can claim that".to_owned(),
            (None, None) => "nothing says whose it is".to_owned(),
        };
        return Some(format!("session {pid} is not certainly {tenant}'s: {instead}"));
    }
    let running = it.session.as_ref().is_none_or(|session| session.state.is_active());
    if intent.signal == Signal::Cancel && !running {
        return Some(format!("session {pid} runs no statement that could be cancelled; terminate it instead"));
    }
    None
}

fn aimed_at(intent: &Signalling, it: &Seen) -> AimedAt {
    // What its locks say is true of this transaction and no longer.
    let passing =
        matches!(it.reason, Some(Reason::Locks | Reason::SameTransaction)) || matches!(intent.aim, Aim::Idle { .. });
    AimedAt {
        key: it.key,
        transaction: it.transaction.filter(|_| passing),
        statement: it.statement.filter(|_| intent.signal == Signal::Cancel && it.session.is_some()),
    }
}

fn facts(signal: Signal, it: &Seen) -> Vec<Fact> {
    let fact = |name: &str, value: String| Fact { name: format!("session {}: {name}", it.key.pid), value };
    let mut facts = vec![fact("began", format!("{}, as {}", it.key.started, it.role))];
    let tenant = it.tenant.as_ref().zip(it.reason);
    facts.push(fact(
        "whose",
        tenant.map_or_else(|| "unknown".to_owned(), |(id, why)| format!("{id} ({})", why.label())),
    ));
    if signal == Signal::Cancel
        && let Some(since) = it.statement
    {
        facts.push(fact("statement since", since.to_string()));
    }
    facts
}

fn affected(signal: Signal, it: &Seen) -> String {
    let Some(session) = &it.session else { return format!("{} {}", it.kind, it.key.pid) };
    let from = session.client.as_deref().unwrap_or("unknown");
    let open = session.transaction_age().map_or_else(
        || "no transaction is open".to_owned(),
        |age| format!("its transaction, open for {}, is rolled back", duration(age)),
    );
    let loses = match signal {
        Signal::Cancel => "its statement ends with an error".to_owned(),
        Signal::Terminate => format!("the client loses its connection; {open}"),
    };
    format!("session {} of {} from {from}, {}: {loses}", it.key.pid, session.role, session.state.label())
}

/// One of the sessions, and what has to be so still when the statement runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AimedAt {
    /// Pid and start.
    pub key: SessionKey,
    /// In this transaction.
    pub transaction: Option<Timestamp>,
    /// In this statement.
    pub statement: Option<Timestamp>,
}

/// The step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalSessions {
    /// Which of the plan's targets.
    pub target: usize,
    /// What is done.
    pub signal: Signal,
    /// To whom.
    pub sessions: Vec<AimedAt>,
}

/// What has become of the sessions that were aimed at.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Become {
    /// As they were aimed at: not signalled, or not gone yet.
    as_aimed_at: Vec<i32>,
    /// They are no more.
    ended: Vec<i32>,
    /// What ran in them does so no more, or the transaction that told whose they are is over: they go on.
    went_on: Vec<i32>,
    /// Nothing tells whether what they did was cancelled.
    not_known: Vec<i32>,
}

/// How long a session may take to go.
const PATIENCE: Duration = Duration::from_secs(10);

impl SignalSessions {
    async fn become_of(&self, eyes: &mut Eyes) -> Result<Become, StepError> {
        let pids: Vec<i32> = self.sessions.iter().map(|aim| aim.key.pid).collect();
        let desk = eyes.desk(self.target).await?;
        let rows = desk.rows(include_str!("../../../assets/sql/ops/backends.sql"), &[&pids]).await?;
        let now = rows.iter().map(backend).collect::<Result<Vec<_>, _>>()?;
        let mut found = Become::default();
        for aim in &self.sessions {
            let list = match now.iter().find(|now| now.key == aim.key) {
                None => &mut found.ended,
                Some(_) if self.signal == Signal::Cancel && aim.statement.is_none() => &mut found.not_known,
                Some(now) => {
                    let same = aim.transaction.is_none_or(|at| now.transaction == Some(at))
                        && aim.statement.is_none_or(|at| now.statement == Some(at) && now.active);
                    if same { &mut found.as_aimed_at } else { &mut found.went_on }
                }
            };
            list.push(aim.key.pid);
        }
        Ok(found)
    }
}

fn output(found: &Become) -> Result<Value, StepError> {
    serde_json::to_value(found).map_err(|error| StepError::Values(error.to_string()))
}

impl Step for SignalSessions {
    fn title(&self) -> String {
        let verb = match self.signal {
            Signal::Cancel => "cancel what runs in",
            Signal::Terminate => "terminate",
        };
        format!("{verb} {}", plural(self.sessions.len(), "session"))
    }

    fn safety(&self) -> Safety {
        Safety::PointOfNoReturn
    }

    /// No transaction takes a signal back.
    fn all_or_nothing(&self) -> bool {
        false
    }

    fn forward(&self) -> Script {
        let function = match self.signal {
            Signal::Cancel => "pg_cancel_backend",
            Signal::Terminate => "pg_terminate_backend",
        };
        let at = |moment: Timestamp| literal(&moment.to_string());
        let statements = self.sessions.iter().map(|aim| {
            let mut sql = format!(
                "SELECT {function}(pid) FROM pg_stat_activity WHERE pid = {} AND backend_start = {}",
                aim.key.pid,
                at(aim.key.started)
            );
            if let Some(transaction) = aim.transaction {
                let _ = write!(sql, " AND xact_start = {}", at(transaction));
            }
            if let Some(statement) = aim.statement {
                let _ = write!(sql, " AND state = 'active' AND query_start = {}", at(statement));
            }
            sql
        });
        Script::sql(self.target, statements.collect())
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        Ok(None)
    }

    fn check<'a>(&'a self, _: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let found = self.become_of(eyes).await?;
            // What nothing tells of is signalled once, and again by who goes on with it.
            Ok(if found.as_aimed_at.is_empty() && found.not_known.is_empty() {
                Check::Already { output: output(&found)? }
            } else {
                Check::Ready { before: json!({ "there": found.as_aimed_at }) }
            })
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            let deadline = tokio::time::Instant::now() + PATIENCE;
            loop {
                let found = self.become_of(eyes).await?;
                let there = &found.as_aimed_at;
                if there.is_empty() {
                    return output(&found);
                }
                if tokio::time::Instant::now() > deadline {
                    let after = duration(PATIENCE.as_secs_f64());
                    return Err(StepError::NotVerified(format!(
                        "still there {after} after it was signalled: {there:?}; go on with the operation to signal again"
                    )));
                }
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        })
    }

    fn undone<'a>(&'a self, _: &'a Value, _: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        Box::pin(async { Ok(Undo::Blocked("what was ended cannot be brought back".to_owned())) })
    }
}
