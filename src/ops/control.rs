//! The control database: who holds what, and the copies by which somebody else can go on. A schema `tierdeck` of the admin
//! login's own, by default in the shared instance's database; it bears our mark, and one without it is left alone. Of all that,
//! the monitoring login is shown who works on what since when, and nothing else: that is how every console knows.

use std::collections::BTreeSet;

use jiff::Timestamp;
use postgres_protocol::escape::escape_identifier;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::audit::{Head, chain_prefix};
use super::gate::Permit;
use super::id::OperationId;
use super::journal::{Operator, Story};
use super::plan::{Plan, Subject};
use crate::clients::postgres::{Connection, QueryError};
use crate::sources::postgres::operations::{ControlPlace, MARK, PLACE, grants, told};

/// Made by two consoles at the same time, the schema would be an error for one of them.
const MAKING: i64 = 0x7469_6572_6465_636b;

/// How often what changes hands is tried for.
const HOLD_TRIES: usize = 20;

/// Which database it is, whatever its address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlDatabase {
    /// `pg_control_system().system_identifier`.
    pub system_identifier: String,
    /// The database.
    pub database: String,
}

/// What an operation's row says.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The operation.
    pub id: String,
    /// What kind.
    pub kind: String,
    /// What it does.
    pub summary: String,
    /// What it holds, or held.
    pub subjects: Vec<String>,
    /// It is done, and can still be undone; `None`: an earlier version did not say.
    pub in_force: Option<bool>,
    /// When it began.
    pub began: Timestamp,
    /// `running`, `paused`, or how it ended.
    pub state: String,
    /// Who goes on with it.
    pub operator: String,
    /// From where.
    pub host: String,
    /// The counter.
    pub fence: i64,
    /// Seconds since it was last heard of, by the server's clock.
    pub silent: f64,
}

/// What an operation's row tells every console of where its journal stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Standing {
    /// It shuts out who wants to write, or may: a fence is tried.
    shuts: bool,
    /// It does, and for so many seconds it may.
    refuses: Option<f64>,
    /// It is done, and can still be undone.
    in_force: bool,
}

impl Standing {
    /// As a story has it.
    pub fn of(story: &Story) -> Self {
        let refusing = story.refuses_writes();
        let stands = refusing.filter(|it| it.since.is_some());
        Self {
            shuts: refusing.is_some(),
            refuses: stands.map(|it| it.budget.as_secs_f64()),
            in_force: story.in_force(),
        }
    }
}

/// Why the control database does not do.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ControlError {
    #[error(
        "there is a schema \"tierdeck\" in the control database that does not bear our mark, or that the admin login does not own; it is left \
         alone: name another database in [control], or the admin login that made it"
    )]
    Foreign,
    #[error(
        "{subject} is held by operation {}: {} ({} on {}, {}, last heard of {:.0} s ago); see tierdeck ops show {}",
        .by.id, .by.summary, .by.operator, .by.host, .by.state, .by.silent, .by.id
    )]
    Held { subject: String, by: Box<Known> },
    #[error("somebody else went on with this operation; this one has stopped and changes nothing more")]
    Lost,
    #[error("the control database: {0}")]
    Query(#[from] QueryError),
    #[error("the journal in the control database is another one: line {seq}")]
    Differs { seq: u64 },
    #[error("what this operation has to hold changes hands all the time; try again")]
    Contended,
    #[error(
        "line {seq} of the audit log is not the one that the control database knows: the log was rewritten or cut off; nothing is changed \
         by a log that cannot be trusted. See tierdeck audit verify; the file can be moved away, and a new chain begins"
    )]
    Rewritten { seq: u64 },
}

/// A session in the control database.
#[derive(Debug)]
pub struct Control {
    connection: Connection,
    /// Whether it is as this version makes it.
    renewed: bool,
}

impl Control {
    /// Takes a session of the admin login, and makes what is missing: the schema, what an earlier version did not have in it,
    /// and what lets the login that watches know of operations.
    pub async fn prepare(connection: Connection, monitor: &str, _permit: &Permit) -> Result<Self, ControlError> {
        let control = Self { connection, renewed: true };
        if control.lacks(monitor).await? {
            control.batch("BEGIN").await?;
            let made = control.make(monitor).await;
            control.batch(if made.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
            made?;
        }
        control.is_own().await?;
        Ok(control)
    }

    /// Takes a session that only reads; `None` when nothing was ever made here.
    pub async fn look(connection: Connection) -> Result<Option<Self>, ControlError> {
        let mut control = Self { connection, renewed: true };
        let Some(place) = control.place("").await? else { return Ok(None) };
        control.renewed = place.renewed;
        control.is_own().await?;
        Ok(Some(control))
    }

    /// Whether something is missing for us, or for the login that watches.
    async fn lacks(&self, monitor: &str) -> Result<bool, ControlError> {
        let place = self.place(monitor).await?;
        Ok(place.is_none_or(|place| !place.renewed || place.known && !place.granted))
    }

    async fn make(&self, monitor: &str) -> Result<(), ControlError> {
        self.connection.query("SELECT pg_advisory_xact_lock($1)", &[&MAKING]).await?;
        let made = self.place(monitor).await?;
        if made.is_none() {
            self.batch(include_str!("../../assets/sql/ops/control.sql")).await?;
        } else if made.is_some_and(|place| !place.renewed) {
            self.batch(include_str!("../../assets/sql/ops/control_renew.sql")).await?;
        }
        let place = self.place(monitor).await?;
        if place.is_some_and(|place| place.known && !place.granted) {
            self.batch(&grants(&escape_identifier(monitor))).await?;
        }
        Ok(())
    }

    /// The schema as a login sees it; `None` when there is none, refused when it is not ours.
    async fn place(&self, login: &str) -> Result<Option<ControlPlace>, ControlError> {
        let rows = self.connection.query(PLACE, &[&login, &told()]).await?;
        let place = rows.first().map(ControlPlace::of).transpose()?;
        if place.as_ref().is_some_and(|place| place.mark != MARK) { Err(ControlError::Foreign) } else { Ok(place) }
    }

    /// The mark alone is what anybody who may create a schema could write: it and what is in it must be this login's own.
    async fn is_own(&self) -> Result<(), ControlError> {
        let sql = "SELECT pg_has_role(n.nspowner, 'USAGE')
                          AND NOT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relowner <> n.nspowner)
                          AND NOT EXISTS (SELECT FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
                                          WHERE c.relnamespace = n.oid AND NOT t.tgisinternal)
                   FROM pg_namespace n WHERE n.nspname = 'tierdeck'";
        let own = self.connection.query(sql, &[]).await?.first().is_some_and(|row| row.get(0));
        if own { Ok(()) } else { Err(ControlError::Foreign) }
    }

    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    async fn batch(&self, sql: &str) -> Result<(), ControlError> {
        Ok(self.connection.batch(sql).await?)
    }

    /// One transaction; what fails leaves nothing.
    async fn atomically<T>(&self, work: impl Future<Output = Result<T, ControlError>>) -> Result<T, ControlError> {
        self.batch("BEGIN").await?;
        match work.await {
            Ok(done) => self.batch("COMMIT").await.map(|()| done),
            Err(error) => {
                // What was wrong is what is told; a connection that cannot even do this is over.
                let _ = self.batch("ROLLBACK").await;
                Err(error)
            }
        }
    }

    /// Which database this is: its cluster and its name.
    pub async fn database(&self) -> Result<ControlDatabase, ControlError> {
        let sql = "SELECT system_identifier::text, current_database()::text FROM pg_control_system()";
        let row = self.connection.query_one(sql, &[]).await?;
        Ok(ControlDatabase { system_identifier: row.get(0), database: row.get(1) })
    }

    /// Notes that an operation begins, with what it holds; refused when somebody holds any of it.
    pub async fn begin(&self, plan: &Plan, operator: &Operator, header: &str, fence: i64) -> Result<i64, ControlError> {
        self.atomically(async {
            let sql =
                "INSERT INTO tierdeck.operation (id, kind, summary, state, operator, host, version, fence, heartbeat, subjects)
                       VALUES ($1, $2, $3, 'running', $4, $5, $6, $7, clock_timestamp(), $8)";
            let id = plan.id.as_str();
            let Operator { user, host, version } = operator;
            let subjects: Vec<String> = plan.subjects.iter().map(Subject::key).collect();
            self.connection.query(sql, &[&id, &plan.kind, &plan.summary, user, host, version, &fence, &subjects]).await?;
            self.hold(&plan.id, &plan.subjects).await?;
            let sql = "INSERT INTO tierdeck.journal (operation, seq, line) VALUES ($1, 0, $2)";
            self.connection.query(sql, &[&id, &header]).await?;
            Ok(fence)
        })
        .await
    }

    /// Goes on with an operation: the counter is raised, so that whoever held it before does nothing more.
    pub async fn take(&self, plan: &Plan, fence: i64, operator: &Operator) -> Result<i64, ControlError> {
        self.atomically(async {
            // Waits for whoever guards an effect with the old number; a heartbeat waits for nobody.
            let sql = "SELECT 1 FROM tierdeck.operation WHERE id = $1 FOR UPDATE";
            self.connection.query(sql, &[&plan.id.as_str()]).await?;
            let sql =
                "UPDATE tierdeck.operation SET fence = fence + 1, heartbeat = clock_timestamp(), state = 'running',
                              operator = $3, host = $4, version = $5
                       WHERE id = $1 AND fence = $2 RETURNING fence";
            let Operator { user, host, version } = operator;
            let rows = self.connection.query(sql, &[&plan.id.as_str(), &fence, user, host, version]).await?;
            let raised = rows.first().ok_or(ControlError::Lost)?.get(0);
            self.hold(&plan.id, &plan.subjects).await?;
            Ok(raised)
        })
        .await
    }

    /// Holds the subjects. That nobody else is seen holding them is not enough: whoever did may have let go between the two
    /// questions, and then they are nobody's.
    async fn hold(&self, id: &OperationId, subjects: &[Subject]) -> Result<(), ControlError> {
        // In one order for everybody, or two could wait for each other.
        let keys: BTreeSet<String> = subjects.iter().map(Subject::key).collect();
        let keys: Vec<String> = keys.into_iter().collect();
        for _ in 0..HOLD_TRIES {
            let sql = "INSERT INTO tierdeck.hold (subject, operation)
                       SELECT subject, $2 FROM unnest($1::text[]) WITH ORDINALITY AS s (subject, nth) ORDER BY nth
                       ON CONFLICT DO NOTHING";
            self.connection.query(sql, &[&keys, &id.as_str()]).await?;
            let sql = "SELECT h.subject, o.id, o.kind, o.summary, o.state, o.operator, o.host, o.fence, o.began, o.subjects, o.in_force,
                              extract(epoch FROM clock_timestamp() - o.heartbeat)::float8 AS silent
                       FROM tierdeck.hold h JOIN tierdeck.operation o ON o.id = h.operation
                       WHERE h.subject = ANY ($1::text[]) AND h.operation <> $2 LIMIT 1";
            if let Some(row) = self.connection.query(sql, &[&keys, &id.as_str()]).await?.first() {
                return Err(ControlError::Held { subject: row.get("subject"), by: Box::new(read(row)) });
            }
            let sql = "SELECT count(*) FROM tierdeck.hold WHERE subject = ANY ($1::text[]) AND operation = $2";
            let ours: i64 = self.connection.query_one(sql, &[&keys, &id.as_str()]).await?.get(0);
            if usize::try_from(ours) == Ok(keys.len()) {
                return Ok(());
            }
        }
        Err(ControlError::Contended)
    }

    /// What is known of an operation.
    pub async fn find(&self, id: &OperationId) -> Result<Option<Known>, ControlError> {
        Ok(self.rows("WHERE id = $1", &[&id.as_str()]).await?.into_iter().next())
    }

    /// All operations of a kind that may have left something, the newest first, by the server's clock.
    pub async fn of_kind(&self, kind: &str) -> Result<Vec<Known>, ControlError> {
        let which = "WHERE kind = $1 AND state IN ('succeeded', 'paused', 'running') ORDER BY began DESC, id DESC";
        self.rows(which, &[&kind]).await
    }

    /// All operations, the newest first.
    pub async fn all(&self) -> Result<Vec<Known>, ControlError> {
        self.rows("ORDER BY id DESC LIMIT 500", &[]).await
    }

    async fn rows(
        &self,
        which: &str,
        parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Vec<Known>, ControlError> {
        // What an earlier version made has it not yet, and is renewed by whoever begins the next operation.
        let more =
            if self.renewed { "subjects, in_force" } else { "'{}'::text[] AS subjects, NULL::boolean AS in_force" };
        let sql = format!(
            "SELECT id, kind, summary, state, operator, host, fence, began, {more},
                    extract(epoch FROM clock_timestamp() - heartbeat)::float8 AS silent
             FROM tierdeck.operation {which}"
        );
        Ok(self.connection.query(&sql, parameters).await?.iter().map(read).collect())
    }

    /// Copies a line of the journal, if the operation is still ours, and notes what every console is told of where it stands.
    pub(super) async fn mirror(
        &self,
        id: &OperationId,
        fence: i64,
        seq: u64,
        line: &str,
        standing: Standing,
    ) -> Result<(), ControlError> {
        let sql = "WITH ours AS (UPDATE tierdeck.operation
                                 SET refused_since = CASE WHEN NOT $7::boolean THEN NULL
                                                          WHEN $5::float8 IS NOT NULL AND refused_budget IS NULL THEN clock_timestamp()
                                                          ELSE coalesce(refused_since, clock_timestamp()) END,
                                     refused_budget = $5, in_force = $6
                                 WHERE id = $1 AND fence = $2 RETURNING id)
                   INSERT INTO tierdeck.journal (operation, seq, line) SELECT id, $3, $4 FROM ours
                   ON CONFLICT DO NOTHING RETURNING seq";
        let number = i64::try_from(seq).unwrap_or(i64::MAX);
        let Standing { shuts, refuses, in_force } = standing;
        let copied =
            self.connection.query(sql, &[&id.as_str(), &fence, &number, &line, &refuses, &in_force, &shuts]).await?;
        if !copied.is_empty() {
            return Ok(());
        }
        // Not ours any more, or written already and only the answer was lost.
        if !self.is_held(id, fence).await? {
            return Err(ControlError::Lost);
        }
        let sql = "SELECT line FROM tierdeck.journal WHERE operation = $1 AND seq = $2";
        let rows = self.connection.query(sql, &[&id.as_str(), &number]).await?;
        let same = rows.first().is_some_and(|row| row.get::<_, String>(0) == line);
        if same { Ok(()) } else { Err(ControlError::Differs { seq }) }
    }

    /// The lines that were copied, the header first.
    pub async fn lines(&self, id: &OperationId) -> Result<Vec<String>, ControlError> {
        let sql = "SELECT line FROM tierdeck.journal WHERE operation = $1 ORDER BY seq";
        Ok(self.connection.query(sql, &[&id.as_str()]).await?.iter().map(|row| row.get(0)).collect())
    }

    /// Says that we are still there; false when it is not ours any more.
    pub async fn beat(&self, id: &OperationId, fence: i64) -> Result<bool, ControlError> {
        let sql =
            "UPDATE tierdeck.operation SET heartbeat = clock_timestamp() WHERE id = $1 AND fence = $2 RETURNING id";
        Ok(!self.connection.query(sql, &[&id.as_str(), &fence]).await?.is_empty())
    }

    /// Whether it is ours.
    pub async fn is_held(&self, id: &OperationId, fence: i64) -> Result<bool, ControlError> {
        let sql = "SELECT 1 FROM tierdeck.operation WHERE id = $1 AND fence = $2";
        Ok(!self.connection.query(sql, &[&id.as_str(), &fence]).await?.is_empty())
    }

    /// Leaves it, in order: paused, or over, and then it holds nothing any more.
    pub async fn leave(&self, id: &OperationId, fence: i64, state: &str, over: bool) -> Result<(), ControlError> {
        self.atomically(async {
            let sql = "UPDATE tierdeck.operation SET state = $3, heartbeat = clock_timestamp() WHERE id = $1 AND fence = $2 RETURNING id";
            let ours = self.connection.query(sql, &[&id.as_str(), &fence, &state]).await?;
            if ours.is_empty() {
                return Err(ControlError::Lost);
            }
            if over {
                self.connection.query("DELETE FROM tierdeck.hold WHERE operation = $1", &[&id.as_str()]).await?;
            }
            Ok(())
        })
        .await
    }

    /// Notes where an audit chain stands, if the operation is still ours: a line of it is noted once, and a log in which it, or
    /// the one before it, is another one was rewritten.
    pub async fn note_head(&self, id: &OperationId, fence: i64, head: &Head) -> Result<(), ControlError> {
        let seq = i64::try_from(head.seq).unwrap_or(i64::MAX);
        let sql = "SELECT hash FROM tierdeck.audit_head WHERE chain = $1 AND seq = $2";
        let before = self.connection.query(sql, &[&head.chain, &(seq - 1)]).await?;
        if before.first().is_some_and(|row| row.get::<_, String>(0) != head.previous) {
            return Err(ControlError::Rewritten { seq: head.seq - 1 });
        }
        let insert = "WITH ours AS (SELECT id FROM tierdeck.operation WHERE id = $4 AND fence = $5 FOR KEY SHARE)
                      INSERT INTO tierdeck.audit_head (chain, seq, hash) SELECT $1, $2, $3 FROM ours
                      ON CONFLICT DO NOTHING RETURNING seq";
        let noted = self.connection.query(insert, &[&head.chain, &seq, &head.hash, &id.as_str(), &fence]).await?;
        if !noted.is_empty() {
            return Ok(());
        }
        if !self.is_held(id, fence).await? {
            return Err(ControlError::Lost);
        }
        let rows = self.connection.query(sql, &[&head.chain, &seq]).await?;
        let same = rows.first().is_some_and(|row| row.get::<_, String>(0) == head.hash);
        if same { Ok(()) } else { Err(ControlError::Rewritten { seq: head.seq }) }
    }

    /// What is known of the chains that somebody began on a machine: chain, line and hash.
    pub async fn heads(&self, operator: &Operator) -> Result<Vec<(String, u64, String)>, ControlError> {
        let sql = "SELECT chain, seq, hash FROM tierdeck.audit_head WHERE starts_with(chain, $1) ORDER BY chain, seq";
        let begins = chain_prefix(operator);
        let rows = self.connection.query(sql, &[&begins]).await?;
        let read = |row: &Row| (row.get(0), u64::try_from(row.get::<_, i64>(1)).unwrap_or_default(), row.get(2));
        Ok(rows.iter().map(read).collect())
    }
}

/// What an effect's transaction begins with: no row, and the operation is not ours any more. Locked until the
/// transaction's end, so that nobody takes it over in between (`take` locks the row for itself first); heartbeats, which
/// change no key, go on meanwhile.
pub(super) fn guard(id: &OperationId, fence: i64) -> String {
    format!("SELECT 1 FROM tierdeck.operation WHERE id = '{id}' AND fence = {fence} FOR KEY SHARE")
}

fn read(row: &Row) -> Known {
    Known {
        id: row.get("id"),
        kind: row.get("kind"),
        subjects: row.get("subjects"),
        in_force: row.get("in_force"),
        began: row.get("began"),
        summary: row.get("summary"),
        state: row.get("state"),
        operator: row.get("operator"),
        host: row.get("host"),
        fence: row.get("fence"),
        silent: row.get("silent"),
    }
}
