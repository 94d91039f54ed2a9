//! Hands of a temporary login: its password is made here and lives as long as one script; what it tries is tried over sessions
//! that have nothing of ours, and what it is answered is kept word for word.

use std::time::Duration;

use jiff::Timestamp;
use postgres_protocol::escape::escape_literal;
use postgres_protocol::password::scram_sha_256;
use rand::distr::{Alphanumeric, SampleString as _};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use super::{Hands, HandsError};
use crate::clients::postgres::{ConnectError, Connection, QueryError, Said};
use crate::ops::guest::{Answer, Attempt, Guest, What};
use crate::ops::plan::Target;

/// How long the password is.
const PASSWORD: usize = 32;

/// How long a session that ended may still count.
const LEAVING: Duration = Duration::from_secs(10);

/// A password, and the admin's session that sets it.
pub(super) struct Ready {
    link: Connection,
    opening: Vec<String>,
    password: SecretString,
}

impl Hands<'_> {
    /// Makes a password, of which the server will get the verifier.
    pub(super) async fn admit(&mut self, guest: &Guest) -> Result<Ready, HandsError> {
        let password = SecretString::from(Alphanumeric.sample_string(&mut rand::rng(), PASSWORD));
        let verifier = scram_sha_256(password.expose_secret().as_bytes());
        let verifier = escape_literal(&verifier);
        let opening = guest.opening();
        let filled = opening.statements.iter().map(|it| it.replace(Guest::verifier(), verifier.trim_start())).collect();
        Ok(Ready { link: self.link(&opening).await?, opening: filled, password })
    }

    /// Tries everything, one after the other.
    pub(super) async fn try_out(&mut self, guest: &Guest, ready: Ready) -> Result<String, HandsError> {
        let Ready { link, opening, password } = ready;
        self.transact(&link, &guest.opening(), &opening).await?;
        for attempt in &guest.attempts {
            // It cannot hold the lease while it tries: asked as late as possible.
            self.lease.still_ours().await?;
            let answer = self.attempt(guest, attempt, &password).await?;
            self.answers.push(answer);
        }
        let closing = guest.closing();
        self.transact(&link, &closing, &closing.statements).await?;
        if let Some(slot) = self.links.get_mut(guest.target) {
            *slot = Some(link);
        }
        let said = |answer: &Answer| format!("{}: {}", answer.code.as_deref().unwrap_or("let"), answer.message);
        Ok(self.answers.iter().map(said).collect::<Vec<_>>().join("; "))
    }

    async fn attempt(&self, guest: &Guest, attempt: &Attempt, password: &SecretString) -> Result<Answer, HandsError> {
        let target = self.plan.targets.get(guest.target);
        let target = target.ok_or_else(|| HandsError::NotInPlan(format!("target {}", guest.target)))?;
        let door = Door { hands: self, target, guest, attempt, password };
        let mut beside = Vec::new();
        while beside.len() < attempt.beside {
            beside.push(door.seat().await??);
        }
        if let (Some(session), Some(statement)) = (beside.first(), &attempt.holding)
            && let Said::No { code, message } = session.say(statement).await?
        {
            return Err(QueryError::Server { code, message }.into());
        }
        let (at, clock) = (Timestamp::now(), Instant::now());
        let session = match attempt.what {
            What::Enter => door.enter().await?,
            _ => door.seat().await?,
        };
        let refused = |error: ConnectError| match (error.code(), error.said()) {
            // What is full or broken is no answer to what was tried.
            (Some(code), Some(message)) if !matches!(error, ConnectError::Full { .. }) => {
                Ok((Some(code.to_owned()), message.to_owned(), Vec::new()))
            }
            _ => Err(HandsError::Connect(error)),
        };
        let (told, seconds) = match session {
            Err(error) => (refused(error)?, clock.elapsed().as_secs_f64()),
            Ok(session) => tried(&session, attempt, clock).await?,
        };
        let (code, message, rows) = told;
        Ok(Answer { at, seconds, code, message, rows })
    }
}

/// Where the login enters.
struct Door<'a, 'h> {
    hands: &'a Hands<'h>,
    target: &'a Target,
    guest: &'a Guest,
    attempt: &'a Attempt,
    password: &'a SecretString,
}

impl Door<'_, '_> {
    async fn enter(&self) -> Result<Result<Connection, ConnectError>, HandsError> {
        let database = self.attempt.database.as_deref().unwrap_or(&self.target.database);
        let name = self.hands.plan.id.application_name();
        let patience = Duration::from_millis(self.attempt.takes_ms) + self.hands.estate.statement_timeout;
        let place = (&self.target.instance, database);
        self.hands.estate.enter(place, &self.guest.role, self.password, (&name, patience)).await
    }

    /// Enters where there is room for it: an earlier session that just ended counts a moment longer.
    async fn seat(&self) -> Result<Result<Connection, ConnectError>, HandsError> {
        let deadline = Instant::now() + LEAVING;
        loop {
            match self.enter().await? {
                Err(ConnectError::OwnLimit { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                entered => return Ok(entered),
            }
        }
    }
}

type Told = (Option<String>, String, Vec<String>);

/// What was answered, and after how many seconds: to log in counts only where that is what is tried.
async fn tried(session: &Connection, attempt: &Attempt, entered: Instant) -> Result<(Told, f64), HandsError> {
    for statement in &attempt.first {
        if let Some(no) = refusal(session.say(statement).await?)? {
            return Ok((no, entered.elapsed().as_secs_f64()));
        }
    }
    let clock = if attempt.what == What::Enter { entered } else { Instant::now() };
    let told = match &attempt.what {
        What::Enter => (None, "the session was let in".to_owned(), Vec::new()),
        What::Say(statement) => match session.say(statement).await? {
            Said::Rows(rows) => (None, "the server did it".to_owned(), rows),
            no @ Said::No { .. } => refusal(no)?.unwrap_or_default(),
        },
        What::Idle(milliseconds) => idle(session, *milliseconds).await?,
    };
    let seconds = clock.elapsed().as_secs_f64();
    if attempt.is_rolled_back() && !session.is_closed() {
        session.say("ROLLBACK").await?;
    }
    Ok((told, seconds))
}

/// An error as an answer; one that only says that the session is over for another reason is none.
fn refusal(said: Said) -> Result<Option<Told>, HandsError> {
    match said {
        Said::Rows(_) => Ok(None),
        Said::No { code, message } if code.starts_with("57P") || code.starts_with("08") => {
            Err(QueryError::Closed { reason: message, code: Some(code) }.into())
        }
        Said::No { code, message } => Ok(Some((Some(code), message, Vec::new()))),
    }
}

/// Does nothing until the server has had enough, or until the time is up.
async fn idle(session: &Connection, milliseconds: u64) -> Result<Told, HandsError> {
    let deadline = Instant::now() + Duration::from_millis(milliseconds);
    while Instant::now() < deadline && !session.is_closed() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    if !session.is_closed() {
        return Ok((None, "the session is still there".to_owned(), Vec::new()));
    }
    match session.say("SELECT 1").await {
        Err(QueryError::Closed { reason, code: Some(code) })
            if !code.starts_with("57P0") && !code.starts_with("08") =>
        {
            Ok((Some(code), reason, Vec::new()))
        }
        // 57P05 is idle_session_timeout: an answer too, though another one.
        Err(QueryError::Closed { reason, code: Some(code) }) if code == "57P05" => Ok((Some(code), reason, Vec::new())),
        Err(error) => Err(error.into()),
        Ok(_) => Ok((None, "the session answers again".to_owned(), Vec::new())),
    }
}
