//! A connection at which the same questions are asked again and again: each is prepared once.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use postgres_protocol::escape::escape_identifier;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::text::Texts;
use crate::clients::postgres::{Connection, QueryError};

/// How many pings say what the network takes: the quickest of them, because a busy machine makes any one of them late.
const PINGS: usize = 3;

/// See the module.
#[derive(Debug)]
pub struct Desk {
    connection: Connection,
    prepared: Mutex<HashMap<Cow<'static, str>, Statement>>,
    /// What sessions said last.
    texts: std::sync::Mutex<Texts>,
    /// Microseconds that the server worked for us.
    worked: AtomicU64,
    /// Microseconds that the network takes for a question; 0 until that was measured.
    round_trip: AtomicU64,
}

/// What our login may not see, said by us: the server shows nothing instead of refusing.
pub(super) fn hidden(message: &str) -> QueryError {
    QueryError::Denied { message: message.to_owned(), code: "42501".to_owned() }
}

impl Desk {
    /// Takes a connection.
    pub fn new(connection: Connection) -> Self {
        Self {
            connection,
            prepared: Mutex::default(),
            texts: std::sync::Mutex::default(),
            worked: AtomicU64::new(0),
            round_trip: AtomicU64::new(0),
        }
    }

    /// The rows that answer a question.
    pub async fn rows(&self, sql: &'static str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, QueryError> {
        self.prepared_rows(sql.into(), parameters).await
    }

    /// The same for a question about what lives in a schema that only the server knows: `{schema}` stands for it.
    pub async fn rows_in(
        &self,
        sql: &'static str,
        schema: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, QueryError> {
        self.prepared_rows(sql.replace("{schema}", &escape_identifier(schema)).into(), parameters).await
    }

    async fn prepared_rows(
        &self,
        sql: Cow<'static, str>,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, QueryError> {
        let known = self.prepared.lock().await.get(&sql).cloned();
        let statement = if let Some(statement) = known {
            statement
        } else {
            let statement = self.timed(self.connection.run(self.connection.client().prepare(&sql))).await?;
            self.prepared.lock().await.insert(sql, statement.clone());
            statement
        };
        self.timed(self.connection.run(self.connection.client().query(&statement, parameters))).await
    }

    /// As [`Desk::rows`], for a question that is put together from names found before, and not kept.
    pub async fn rows_once(&self, sql: &str) -> Result<Vec<Row>, QueryError> {
        self.timed(self.connection.query(sql, &[])).await
    }

    /// Adds up how long the server works for us: what the network takes is not its time.
    async fn timed<T>(&self, question: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let answer = question.await;
        let took = began.elapsed().saturating_sub(self.round_trip());
        self.worked.fetch_add(microseconds(took), Ordering::Relaxed);
        answer
    }

    /// Measures what the network takes, from now on left out of what the server worked. Without that, all of the time that
    /// answers take is called the server's. That the connection is lost is told by the next question.
    pub async fn measure(&self) {
        let mut quickest: Option<Duration> = None;
        for _ in 0..PINGS {
            let Ok(took) = self.connection.ping().await else { return };
            quickest = Some(quickest.map_or(took, |known| known.min(took)));
        }
        self.round_trip.store(microseconds(quickest.unwrap_or_default()), Ordering::Relaxed);
    }

    /// How long the server worked for us since this was asked last.
    pub fn worked(&self) -> Duration {
        Duration::from_micros(self.worked.swap(0, Ordering::Relaxed))
    }

    /// The server's major version, as it announced it.
    pub fn major(&self) -> u32 {
        let digits = |version: &str| version.split(|char: char| !char.is_ascii_digit()).next()?.parse().ok();
        digits(self.connection.server_version()).unwrap_or_default()
    }

    /// What sessions said last, with another answer begun.
    pub(super) fn texts(&self) -> std::sync::MutexGuard<'_, Texts> {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.turn();
        texts
    }

    /// The database that we are connected to.
    pub fn database(&self) -> &str {
        self.connection.database()
    }

    /// The login that we are.
    pub fn user(&self) -> &str {
        self.connection.user()
    }

    /// The timeouts that a session of ours would have if we set none: the server's own, and the database's.
    pub fn defaults(&self) -> &BTreeMap<String, String> {
        self.connection.defaults()
    }

    /// What the network took for one question.
    pub fn round_trip(&self) -> Duration {
        Duration::from_micros(self.round_trip.load(Ordering::Relaxed))
    }

    /// Whether the connection is over.
    pub fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
