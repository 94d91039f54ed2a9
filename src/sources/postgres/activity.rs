//! Source `activity`: every client session, with waits, blockers and the schemas that it touches.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio_postgres::Row;

use super::desk::Desk;
use super::text::{Text, Texts, Words};
use crate::clients::postgres::{APPLICATION_NAME, QueryError};
use crate::domain::facts::{Activity, Wal};
use crate::domain::session::{BackendUsage, Blocking, Relation, Wait};
use crate::domain::{Attribution, Foreign, InstanceName, Session, SessionKey, SessionState};

pub(super) async fn ask(desk: &Desk, instance: &InstanceName) -> Result<Activity, QueryError> {
    let rows = desk.rows(include_str!("../../../assets/sql/activity.sql"), &[&APPLICATION_NAME]).await?;
    let mut activity = read(&rows, instance, &mut desk.texts())?;
    if desk.major() >= COUNTS_BACKENDS {
        count_backends(desk, &mut activity).await?;
    }
    Ok(activity)
}

fn read(rows: &[Row], instance: &InstanceName, texts: &mut Texts) -> Result<Activity, QueryError> {
    let mut activity = Activity {
        server_now: Timestamp::now(),
        sessions: Vec::with_capacity(rows.len()),
        own: 0,
        sees_all: false,
        wal: None,
    };
    let mut workers: HashMap<i32, u32> = HashMap::new();
    let mut blockers: HashMap<String, Vec<i32>> = HashMap::new();
    let mut targets: HashMap<i32, String> = HashMap::new();
    for row in rows {
        activity.server_now = row.try_get("now")?;
        activity.sees_all = row.try_get("sees_all")?;
        if row.try_get::<_, Option<Words<'_>>>("backend_type")?.is_some_and(|kind| kind.0 == "parallel worker") {
            if let Some(leader) = row.try_get::<_, Option<i32>>("leader_pid")? {
                *workers.entry(leader).or_default() += 1;
            }
        } else if row.try_get::<_, Option<bool>>("own")?.unwrap_or(false) {
            activity.own += 1;
        } else {
            let session = session(row, instance, activity.server_now, texts)?;
            if let (Some(target), Some(blocking)) = (row.try_get::<_, Option<Text>>("target")?, &session.blocking) {
                if !blocking.by.is_empty() {
                    blockers.entry(target.0.clone()).or_insert_with(|| blocking.by.clone());
                }
                targets.insert(session.key.pid, target.0);
            }
            activity.sessions.push(session);
        }
    }
    for session in &mut activity.sessions {
        session.workers = workers.get(&session.key.pid).copied().unwrap_or_default();
        // In a lock storm only the oldest waiters were asked; who waits for the same thing in the same mode most likely has
        // the same blockers. That is a guess, and marked as one: it blames nobody.
        if let Some(blocking) = &mut session.blocking
            && blocking.by.is_empty()
            && let Some(by) = targets.get(&session.key.pid).and_then(|target| blockers.get(target))
        {
            blocking.by = by.iter().copied().filter(|pid| *pid != session.key.pid).collect();
            blocking.inferred = true;
        }
    }
    Ok(activity)
}

/// The first version that counts what each backend does.
const COUNTS_BACKENDS: u32 = 18;

/// The most sessions whose counters are asked for.
const COUNTED: usize = 100;

/// A session publishes what it did when its transaction is over, up to ten seconds later when nothing follows.
const PUBLISHED_WITHIN: f64 = 12.0;

/// Fills in what sessions have written and read: those that work, then those that just did, the latest first.
async fn count_backends(desk: &Desk, activity: &mut Activity) -> Result<(), QueryError> {
    let mut wanted: Vec<(bool, i64, i32)> = activity
        .sessions
        .iter()
        .filter(|session| {
            session.state != SessionState::Idle || session.state_age().is_some_and(|age| age <= PUBLISHED_WITHIN)
        })
        .map(|session| {
            let changed = session.state_changed.map_or(0, Timestamp::as_microsecond);
            (session.state == SessionState::Idle, -changed, session.key.pid)
        })
        .collect();
    wanted.sort_unstable();
    let pids: Vec<i32> = wanted.into_iter().take(COUNTED).map(|(_, _, pid)| pid).collect();
    let mut counted: HashMap<i32, BackendUsage> = HashMap::with_capacity(pids.len());
    for row in desk.rows(include_str!("../../../assets/sql/backends.sql"), &[&pids]).await? {
        let count = |name| row.try_get::<_, i64>(name).map(|count| u64::try_from(count).unwrap_or_default());
        activity.wal = Some(Wal { bytes: count("server_bytes")?, since: row.try_get("stats_reset")? });
        let usage = BackendUsage {
            wal_bytes: count("wal_bytes")?,
            read_bytes: count("read_bytes")?,
            written_bytes: count("written_bytes")?,
        };
        counted.insert(row.try_get("pid")?, usage);
    }
    for session in &mut activity.sessions {
        session.usage = counted.get(&session.key.pid).copied();
    }
    Ok(())
}

/// What PostgreSQL shows in place of a query that our login may not see.
const HIDDEN: &str = "<insufficient privilege>";

fn session(
    row: &Row,
    instance: &InstanceName,
    server_now: Timestamp,
    texts: &mut Texts,
) -> Result<Session, QueryError> {
    let mut text = |name| -> Result<Option<Arc<str>>, QueryError> {
        Ok(row.try_get::<_, Option<Words<'_>>>(name)?.map(|words| texts.keep(&words.0)))
    };
    let mut named = |name| text(name).map(|text| text.map(Foreign::from).unwrap_or_default());
    let (role, database, application) = (named("role")?, named("database")?, named("application_name")?);
    let query = text("query")?.filter(|query| **query != *HIDDEN).map(Foreign::from);
    let (wait_kind, wait_event, client) = (text("wait_event_type")?, text("wait_event")?, text("client")?);
    // Not shown to a login without pg_read_all_stats: the session counts, but nobody can tell it from a later one.
    let started = row.try_get::<_, Option<Timestamp>>("backend_start")?.unwrap_or(Timestamp::UNIX_EPOCH);
    let touched = row.try_get::<_, Option<Vec<Text>>>("schemas")?.unwrap_or_default();
    let began: Option<Timestamp> = row.try_get("xact_start")?;
    let asked: Timestamp = row.try_get("asked")?;
    let relations = row.try_get::<_, Option<Vec<Text>>>("relations")?.filter(|_| began.is_some_and(|it| it < asked));
    Ok(Session {
        instance: instance.clone(),
        key: SessionKey { pid: row.try_get("pid")?, started },
        attribution: Attribution::None,
        role,
        database,
        application,
        client,
        state: SessionState::parse(row.try_get::<_, Option<Words<'_>>>("state")?.as_ref().map(|state| &*state.0)),
        wait: wait_kind.zip(wait_event).map(|(kind, event)| Wait { kind, event }),
        transaction_started: began,
        query_started: row.try_get("query_start")?,
        state_changed: row.try_get("state_change")?,
        query,
        blocking: row.try_get::<_, bool>("waits")?.then(|| blocking(row)).transpose()?,
        workers: 0,
        touched: touched.into_iter().map(Arc::from).collect(),
        relations: relations.iter().flatten().filter_map(|relation| relation_of(&relation.0)).collect(),
        query_id: row.try_get("query_id")?,
        usage: None,
        server_now,
    })
}

/// `schema␁name`: a schema's name is the platform's choice, a table's is a tenant's.
fn relation_of(text: &str) -> Option<Relation> {
    let (schema, name) = text.split_once('\u{1}')?;
    Some(Relation { schema: schema.into(), name: name.into() })
}

fn blocking(row: &Row) -> Result<Blocking, QueryError> {
    let schema = row.try_get::<_, Option<Text>>("target_schema")?;
    let relation = row.try_get::<_, Option<Text>>("target_relation")?;
    let mut by = row.try_get::<_, Option<Vec<i32>>>("blocked_by")?.unwrap_or_default();
    // One blocker is listed once for each of its parallel workers.
    by.sort_unstable();
    by.dedup();
    Ok(Blocking {
        by,
        inferred: false,
        since: row.try_get("waitstart")?,
        mode: row.try_get::<_, Option<Text>>("mode")?.map(Into::into),
        rows: row.try_get::<_, Option<bool>>("target_rows")?.unwrap_or(false),
        relation: schema.zip(relation).map(|(schema, relation)| Foreign::from(format!("{}.{}", schema.0, relation.0))),
    })
}
