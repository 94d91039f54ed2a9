//! The control database: who holds what, and the copies by which somebody else can go on. A schema `tierdeck` of the admin
//! login's own, by default in the shared instance's database; it bears our mark, and one without it is left alone. Of all that,
//! the monitoring login is shown who works on what since when, and nothing else: that is how every console knows.

use jiff::Timestamp;
use postgres_protocol::escape::escape_identifier;
use tokio_postgres::Row;

use super::audit::Head;
use super::gate::Permit;
use super::id::OperationId;
use super::journal::{Operator, Story};
use super::plan::{Plan, Subject};
use crate::clients::postgres::{Connection, QueryError};
use crate::sources::postgres::operations::{ControlPlace, MARK, PLACE, grants, told};

/// Made by two consoles at the same time, the schema would be an error for one of them.
const MAKING: i64 = 0x7469_6572_6465_636b;

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
    /// It shuts out who wants to write; for so many seconds it may.
    refuses: Option<f64>,
    /// It is done, and can still be undone.
    in_force: bool,
}

impl Standing {
    /// As a story has it.
    pub fn of(story: &Story) -> Self {
        Self { refuses: story.refuses_writes().map(|budget| budget.as_secs_f64()), in_force: story.in_force() }
    }
}

/// Why the control database does not do.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum ControlError {
    #[error(
        "there is a schema \"tierdeck\" in the control database that does not bear our mark; it is left alone: name another database in [control]"
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
        Ok(control)
    }

    /// Takes a session that only reads; `None` when nothing was ever made here.
    pub async fn look(connection: Connection) -> Result<Option<Self>, ControlError> {
        let mut control = Self { connection, renewed: true };
        let Some(place) = control.place("").await? else { return Ok(None) };
        control.renewed = place.renewed;
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

    /// Notes that an operation begins, with what it holds; refused when somebody holds any of it.
    pub async fn begin(&self, plan: &Plan, operator: &Operator, header: &str) -> Result<i64, ControlError> {
        self.atomically(async {
            let sql =
                "INSERT INTO tierdeck.operation (id, kind, summary, state, operator, host, version, fence, heartbeat, subjects)
                       VALUES ($1, $2, $3, 'running', $4, $5, $6, 1, clock_timestamp(), $7)";
            let id = plan.id.as_str();
            let Operator { user, host, version } = operator;
            let subjects: Vec<String> = plan.subjects.iter().map(Subject::key).collect();
            self.connection.query(sql, &[&id, &plan.kind, &plan.summary, user, host, version, &subjects]).await?;
            self.hold(&plan.id, &plan.subjects).await?;
            let sql = "INSERT INTO tierdeck.journal (operation, seq, line) VALUES ($1, 0, $2)";
            self.connection.query(sql, &[&id, &header]).await?;
            Ok(1)
        })
        .await
    }

    /// Goes on with an operation: the counter is raised, so that whoever held it before does nothing more.
    pub async fn take(&self, plan: &Plan, fence: i64, operator: &Operator) -> Result<i64, ControlError> {
        self.atomically(async {
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

    async fn hold(&self, id: &OperationId, subjects: &[Subject]) -> Result<(), ControlError> {
        let keys: Vec<String> = subjects.iter().map(Subject::key).collect();
        let sql = "INSERT INTO tierdeck.hold (subject, operation) SELECT unnest($1::text[]), $2 ON CONFLICT DO NOTHING";
        self.connection.query(sql, &[&keys, &id.as_str()]).await?;
        let sql = "SELECT h.subject, o.id, o.kind, o.summary, o.state, o.operator, o.host, o.fence, o.began, o.subjects, o.in_force,
                          extract(epoch FROM clock_timestamp() - o.heartbeat)::float8 AS silent
                   FROM tierdeck.hold h JOIN tierdeck.operation o ON o.id = h.operation
                   WHERE h.subject = ANY ($1::text[]) AND h.operation <> $2 LIMIT 1";
        match self.connection.query(sql, &[&keys, &id.as_str()]).await?.first() {
            None => Ok(()),
            Some(row) => Err(ControlError::Held { subject: row.get("subject"), by: Box::new(read(row)) }),
        }
    }

    /// What is known of an operation.
    pub async fn find(&self, id: &OperationId) -> Result<Option<Known>, ControlError> {
        Ok(self.rows("WHERE id = $1", &[&id.as_str()]).await?.into_iter().next())
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
                                 SET refused_since = CASE WHEN $5::float8 IS NOT NULL
                                                          THEN coalesce(refused_since, clock_timestamp()) END,
                                     refused_budget = $5, in_force = $6
                                 WHERE id = $1 AND fence = $2 RETURNING id)
                   INSERT INTO tierdeck.journal (operation, seq, line) SELECT id, $3, $4 FROM ours
                   ON CONFLICT DO NOTHING RETURNING seq";
        let number = i64::try_from(seq).unwrap_or(i64::MAX);
        let Standing { refuses, in_force } = standing;
        let copied = self.connection.query(sql, &[&id.as_str(), &fence, &number, &line, &refuses, &in_force]).await?;
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

    /// Notes where an audit chain stands; never backwards.
    pub async fn note_head(&self, head: &Head) -> Result<(), ControlError> {
        let sql = "INSERT INTO tierdeck.audit_head AS known (chain, seq, hash) VALUES ($1, $2, $3)
                   ON CONFLICT (chain) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, at = clock_timestamp()
                   WHERE known.seq < excluded.seq";
        let seq = i64::try_from(head.seq).unwrap_or(i64::MAX);
        self.connection.query(sql, &[&head.chain, &seq, &head.hash]).await?;
        Ok(())
    }

    /// Where a chain stood when it was last noted.
    pub async fn head(&self, chain: &str) -> Result<Option<Head>, ControlError> {
        let rows =
            self.connection.query("SELECT seq, hash FROM tierdeck.audit_head WHERE chain = $1", &[&chain]).await?;
        Ok(rows.first().map(|row| Head {
            chain: chain.to_owned(),
            seq: u64::try_from(row.get::<_, i64>(0)).unwrap_or_default(),
            hash: row.get(1),
        }))
    }
}

/// What an effect's transaction begins with: no row, and the operation is not ours any more. Locked until the
/// transaction's end, so that nobody takes it over in between.
pub(super) fn guard(id: &OperationId, fence: i64) -> String {
    format!("SELECT 1 FROM tierdeck.operation WHERE id = '{id}' AND fence = {fence} FOR SHARE")
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
