//! Hands on a database: a session that holds the advisory locks, one transaction that holds the lease.

use postgres_protocol::escape::escape_literal;
use postgres_protocol::password::scram_sha_256;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use tokio_postgres::SimpleQueryMessage;

use super::{Hands, HandsError};
use crate::clients::postgres::{Connection, QueryError};
use crate::domain::foreign::sanitise;
use crate::ops::control::guard;
use crate::ops::estate::Use;
use crate::ops::plan::Target;
use crate::ops::script::Sql;

impl Hands<'_> {
    fn target(&self, script: &Sql) -> Result<&Target, HandsError> {
        let target = self.plan.targets.get(script.target);
        target.ok_or_else(|| HandsError::NotInPlan(format!("target {}", script.target)))
    }

    /// The statements with what was only referred to in them.
    pub(super) async fn filled(&self, script: &Sql) -> Result<Vec<String>, HandsError> {
        let mut statements = script.statements.clone();
        for reference in &script.verifiers {
            let place = reference.verifier();
            if !statements.iter().any(|statement| statement.contains(&place)) {
                return Err(HandsError::NotInPlan(format!("a verifier of {reference} that no statement has")));
            }
            let password = self.value(reference).await?;
            let verifier = scram_sha_256(password.expose_secret().as_bytes());
            for statement in &mut statements {
                *statement = statement.replace(&place, escape_literal(&verifier).trim_start());
            }
        }
        Ok(statements)
    }

    /// A session for effects on a target, which holds the advisory locks of what the operation holds.
    pub(super) async fn link(&mut self, script: &Sql) -> Result<Connection, HandsError> {
        let target = self.target(script)?.clone();
        if let Some(link) = self.links.get_mut(script.target).and_then(Option::take)
            && script.transaction
            && !link.is_closed()
        {
            return Ok(link);
        }
        let name = self.plan.id.application_name();
        let purpose = if script.transaction { Use::Effects(&name) } else { Use::Long(&name) };
        let link = self.estate.connect(&target.instance, Some(&target.database), purpose).await?;
        let locking = async {
            for subject in &self.plan.subjects {
                let key = subject.key();
                let got = link.query_one("SELECT pg_try_advisory_lock($1)", &[&advisory(&key)]).await?;
                if !got.try_get::<_, bool>(0).map_err(QueryError::from)? && held_by_us(&link, &key, &name).await? {
                    return Err(HandsError::Busy(key));
                }
            }
            Ok(())
        };
        // What takes as long as it takes is the effect, not the way there.
        let locked = tokio::time::timeout(self.estate.statement_timeout, locking).await;
        locked.map_err(|_| {
            let reason = "no answer; the connection was dropped".to_owned();
            QueryError::Closed { reason, code: None }
        })??;
        Ok(link)
    }

    /// Does it.
    pub(super) async fn transact(
        &self,
        link: &Connection,
        script: &Sql,
        filled: &[String],
    ) -> Result<String, HandsError> {
        let target = self.target(script)?;
        if !script.transaction {
            // It cannot hold the lease while it runs: asked as late as possible.
            self.lease.still_ours().await?;
            return self.as_long_as_served(script.target, statements(link, filled)).await;
        }
        link.batch("BEGIN").await?;
        if self.estate.is_control(&target.instance, &target.database)
            && link.query(&guard(&self.plan.id, self.lease.fence()), &[]).await?.is_empty()
        {
            link.batch("ROLLBACK").await?;
            return Err(HandsError::Lost);
        }
        let said = statements(link, filled).await?;
        link.batch("COMMIT").await?;
        Ok(said)
    }
}

async fn statements(link: &Connection, filled: &[String]) -> Result<String, HandsError> {
    let mut said = Vec::new();
    for statement in filled {
        for message in link.run(link.client().simple_query(statement)).await? {
            match message {
                SimpleQueryMessage::Row(row) => said.push(row.get(0).unwrap_or("null").to_owned()),
                SimpleQueryMessage::CommandComplete(rows) => said.push(format!("({rows})")),
                _ => {}
            }
        }
    }
    said.truncate(64);
    Ok(sanitise(&said.join(" ")).into_owned())
}

/// The key of a subject's advisory lock. Anybody may take it, so it only ever adds to what the lease says.
fn advisory(key: &str) -> i64 {
    let hash = Sha256::digest(format!("tierdeck {key}"));
    hash.iter().take(8).fold(0, |number, byte| number << 8 | i64::from(*byte))
}

/// Whether a lock that we did not get is held by a session of our own kind: a tenant's that took the same key is nobody.
/// An earlier one of this very operation that has not quite gone yet is nobody either: the lease is what tells them apart.
async fn held_by_us(link: &Connection, key: &str, name: &str) -> Result<bool, HandsError> {
    let sql = "SELECT 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid)
               WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
                 AND (l.classid::int8 << 32 | l.objid::int8) = $1
                 AND a.usename = session_user AND a.application_name LIKE 'tierdeck op %'
                 AND a.application_name <> $2";
    Ok(!link.query(sql, &[&advisory(key), &name]).await?.is_empty())
}
