//! The control database: who holds what, and the copies by which somebody else can go on. A schema `tierdeck` of the admin
//! login's own, by default in the shared instance's database; it bears our mark, and one without it is left alone.

use tokio_postgres::Row;

use super::audit::Head;
use super::gate::Permit;
use super::id::OperationId;
use super::journal::Operator;
use super::plan::{Plan, Subject};
use crate::clients::postgres::{Connection, QueryError};

const MARK: &str = "tierdeck control 1";

/// Made by two consoles at the same time, the schema would be an error for one of them.
const MAKING: i64 = 0x7469_6572_6465_636b;

/// What an operation's row says.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The operation.
    pub id: String,
    /// What it does.
    pub summary: String,
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
}

impl Control {
    /// Takes a session of the admin login, and makes what is missing.
    pub async fn prepare(connection: Connection, _permit: &Permit) -> Result<Self, ControlError> {
        let control = Self { connection };
        if control.mark().await?.is_none() {
            control.batch("BEGIN").await?;
            let made = control.make().await;
            control.batch(if made.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
            made?;
        }
        control.is_ours().await?;
        Ok(control)
    }

    /// Takes a session that only reads; `None` when nothing was ever made here.
    pub async fn look(connection: Connection) -> Result<Option<Self>, ControlError> {
        let control = Self { connection };
        if control.mark().await?.is_none() {
            return Ok(None);
        }
        control.is_ours().await?;
        Ok(Some(control))
    }

    async fn make(&self) -> Result<(), ControlError> {
        self.connection.query("SELECT pg_advisory_xact_lock($1)", &[&MAKING]).await?;
        if self.mark().await?.is_none() {
            self.batch(include_str!("../../assets/sql/ops/control.sql")).await?;
        }
        Ok(())
    }

    /// The schema's comment; `None` when there is no schema.
    async fn mark(&self) -> Result<Option<String>, ControlError> {
        let sql =
            "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = 'tierdeck'";
        Ok(self.connection.query(sql, &[]).await?.first().map(|row| row.get(0)))
    }

    async fn is_ours(&self) -> Result<(), ControlError> {
        if self.mark().await?.as_deref() == Some(MARK) { Ok(()) } else { Err(ControlError::Foreign) }
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
                "INSERT INTO tierdeck.operation (id, kind, summary, state, operator, host, version, fence, heartbeat)
                       VALUES ($1, $2, $3, 'running', $4, $5, $6, 1, clock_timestamp())";
            let id = plan.id.as_str();
            let Operator { user, host, version } = operator;
            self.connection.query(sql, &[&id, &plan.kind, &plan.summary, user, host, version]).await?;
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
        let sql = "SELECT h.subject, o.id, o.summary, o.state, o.operator, o.host, o.fence,
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
        let sql = format!(
            "SELECT id, summary, state, operator, host, fence,
                    extract(epoch FROM clock_timestamp() - heartbeat)::float8 AS silent
             FROM tierdeck.operation {which}"
        );
        Ok(self.connection.query(&sql, parameters).await?.iter().map(read).collect())
    }

    /// Copies a line of the journal, if the operation is still ours.
    pub async fn mirror(&self, id: &OperationId, fence: i64, seq: u64, line: &str) -> Result<(), ControlError> {
        let sql = "WITH ours AS (SELECT id FROM tierdeck.operation WHERE id = $1 AND fence = $2 FOR SHARE)
                   INSERT INTO tierdeck.journal (operation, seq, line) SELECT id, $3, $4 FROM ours
                   ON CONFLICT DO NOTHING RETURNING seq";
        let number = i64::try_from(seq).unwrap_or(i64::MAX);
        if !self.connection.query(sql, &[&id.as_str(), &fence, &number, &line]).await?.is_empty() {
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
        summary: row.get("summary"),
        state: row.get("state"),
        operator: row.get("operator"),
        host: row.get("host"),
        fence: row.get("fence"),
        silent: row.get("silent"),
    }
}
