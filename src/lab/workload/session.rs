//! One connection as a tenant's application holds it, and transactions that leave the traces of the tenant's style.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use postgres_protocol::escape::escape_literal;
use tokio_postgres::{Error, NoTls, Statement};

use super::Stage;
use crate::lab::door::Link;
use crate::lab::roster::{Member, Oddity, SHARED_DATABASE, Style};
use crate::lab::world::SERVICE;

/// A logged-in session. Dropped in the middle of a statement, it has the server cancel that.
#[derive(Debug)]
pub(super) struct Session {
    stage: Arc<Stage>,
    link: Link,
    pid: i32,
    started: Timestamp,
    now: Statement,
    busy: AtomicBool,
}

impl Session {
    /// Logs in as this tenant does.
    pub async fn open(stage: &Arc<Stage>, member: &Member) -> Result<Self, Error> {
        let own = member.style == Style::OwnLogin;
        let (role, database) =
            if own { (member.role.as_str(), member.database.as_str()) } else { (SERVICE, SHARED_DATABASE) };
        let link = stage.door.open(role, database, "").await.inspect_err(|error| stage.note(error))?;
        let row = link
            .client
            .query_one("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()", &[])
            .await?;
        let (pid, started) = (row.try_get(0)?, row.try_get(1)?);
        if own {
            stage.truth.logged_in(pid, started, member);
        }
        let now = link.client.prepare("SELECT now()").await?;
        Ok(Self { stage: Arc::clone(stage), link, pid, started, now, busy: AtomicBool::new(false) })
    }

    /// Whether the server, an operator or the network ended it.
    pub fn is_closed(&self) -> bool {
        self.link.client.is_closed()
    }

    /// Runs statements outside of a transaction of ours.
    pub async fn run(&self, sql: &str) -> Result<(), Error> {
        self.busy.store(true, Ordering::Relaxed);
        let done = self.link.client.batch_execute(sql).await;
        self.busy.store(false, Ordering::Relaxed);
        done
    }

    /// One number that the server says.
    pub async fn number(&self, sql: &str) -> Result<i64, Error> {
        self.link.client.query_one(sql, &[]).await?.try_get(0)
    }

    /// Begins a transaction for a tenant, with the clues that its style gives.
    pub async fn begin<'a>(&'a self, member: &'a Member) -> Result<Work<'a>, Error> {
        let claimed = match member.style {
            Style::ApplicationName => Some(&member.id),
            Style::Liar => member.pretends.as_ref(),
            _ => None,
        };
        if let Some(name) = claimed {
            self.run(&format!("SET application_name = {}", escape_literal(name.as_str()))).await?;
        }
        self.run("BEGIN").await?;
        let start: Timestamp = self.link.client.query_one(&self.now, &[]).await?.try_get(0)?;
        if member.style != Style::OwnLogin {
            self.stage.truth.began(self.pid, start, member);
        }
        match member.style {
            Style::SearchPath => self.run(&format!("SET LOCAL search_path TO {}", member.schema)).await?,
            Style::NoClue | Style::Liar => {
                self.link.client.execute("SELECT set_config('search_path', $1, true)", &[&member.schema]).await?;
            }
            Style::OwnLogin | Style::ApplicationName | Style::Sqlcommenter => {}
        }
        Ok(Work { session: self, member, start })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stage.truth.logged_out(self.pid, self.started);
        // Closing the connection alone would leave a long statement running until it ends.
        if *self.busy.get_mut()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let cancel = self.link.client.cancel_token();
            runtime.spawn(async move { drop(cancel.cancel_query(NoTls).await) });
        }
    }
}

/// An open transaction of a tenant.
#[derive(Debug)]
pub(super) struct Work<'a> {
    session: &'a Session,
    member: &'a Member,
    start: Timestamp,
}

impl Work<'_> {
    /// The name by which this tenant's application calls one of its own tables.
    pub fn own(&self, table: &str) -> String {
        match self.member.style {
            Style::ApplicationName | Style::Sqlcommenter => format!("{}.{table}", self.member.schema),
            _ => table.to_owned(),
        }
    }

    /// Runs a statement on the tenant's own tables: afterwards its locks tell whose the session is.
    pub async fn touch(&self, route: &str, sql: &str) -> Result<(), Error> {
        self.run(route, sql).await?;
        self.session.stage.truth.touched(self.session.pid, self.start, Timestamp::now());
        Ok(())
    }

    /// Runs any statement.
    pub async fn run(&self, route: &str, sql: &str) -> Result<(), Error> {
        self.session.run(&self.spoken(route, sql)).await
    }

    /// Ends it well.
    pub async fn commit(self) -> Result<(), Error> {
        self.session.run("COMMIT").await
    }

    fn spoken(&self, route: &str, sql: &str) -> String {
        let tagged = match (self.member.style, &self.member.pretends) {
            (Style::Sqlcommenter, _) => Some(&self.member.id),
            (Style::Liar, Some(other)) => Some(other),
            _ => None,
        };
        let oddity = match self.member.oddity {
            Oddity::Escapes => "/* \u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[31m */ ",
            Oddity::WideText => "/* 注文を処理する \u{202e}gnp.exe\u{200f} */ ",
            _ => "",
        };
        match tagged {
            Some(id) => format!("{oddity}{sql} /*route='%2F{route}',tenant='{id}'*/"),
            None => format!("{oddity}{sql}"),
        }
    }
}

/// Runs what `work` does in one transaction and leaves the session clean; a closed session is an error.
pub(super) async fn in_transaction(
    session: &Session,
    member: &Member,
    work: impl AsyncFnOnce(&Work<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let begun = session.begin(member).await;
    let done = match begun {
        Ok(open) => match work(&open).await {
            Ok(()) => open.commit().await,
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    match done {
        // Timeouts, cancels and deadlocks are part of life; the transaction is over and the session goes on.
        Err(_) if !session.is_closed() => session.run("ROLLBACK").await,
        other => other,
    }
}
