//! What a temporary login tries, as data: each attempt in sessions of its own that have nothing but the login's own settings,
//! each transaction rolled back. Its password is made for one step, in memory, and is forgotten with it: the server gets the SCRAM
//! verifier, and whoever goes on after a crash makes another one.

use jiff::Timestamp;
use postgres_protocol::escape::escape_identifier;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::act::literal;
use super::script::Sql;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guest {
    /// Which of the plan's targets.
    pub target: usize,
    /// The login. It was made before, and may log in only while this runs.
    pub role: String,
    /// What it tries, one after the other.
    pub attempts: Vec<Attempt>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// In which database; `None`: the target's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// So many other sessions of the login are open meanwhile.
    #[serde(default, skip_serializing_if = "is_none")]
    pub beside: usize,
    /// What one of those says, before and as long as this is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holding: Option<String>,
    /// How many milliseconds it is meant to take at the most.
    #[serde(default, skip_serializing_if = "takes_none")]
    pub takes_ms: u64,
    /// What is said first; it has to work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first: Vec<String>,
    /// What is tried.
    pub what: What,
}

/// What is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// To log in.
    Enter,
    /// To say something.
    Say(String),
    /// To do nothing for so many milliseconds.
    Idle(u64),
}

/// What the server answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// When it was tried.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// After how many seconds the answer came.
    pub seconds: f64,
    /// SQLSTATE; `null`: the server let it.
    pub code: Option<String>,
    /// The server's own message; where it let it: that it did.
    pub message: String,
    /// What came back: the first column of each row.
    pub rows: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it so")]
fn is_none(number: &usize) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it so")]
fn takes_none(number: &u64) -> bool {
    *number == 0
}

impl Guest {
    /// What stands for the verifier in a statement.
    pub(super) fn verifier() -> &'static str {
        "'<SCRAM verifier of a password made for this step and forgotten with it>'"
    }

    fn sql(&self, statements: Vec<String>) -> Sql {
        Sql { target: self.target, transaction: true, statements, verifiers: Vec::new() }
    }

    /// Lets the login in, and nobody who was in before: a process that died may have left sessions that sleep.
    pub(super) fn opening(&self) -> Sql {
        let role = escape_identifier(&self.role);
        self.sql(vec![self.ending(), format!("ALTER ROLE {role} LOGIN PASSWORD {}", Self::verifier())])
    }

    /// Lets it in no more.
    pub(super) fn closing(&self) -> Sql {
        self.sql(vec![format!("ALTER ROLE {} NOLOGIN PASSWORD NULL", escape_identifier(&self.role))])
    }

    fn ending(&self) -> String {
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = {}", literal(&self.role))
    }

    /// Exactly what is run, line by line.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.opening().statements;
        lines.extend(self.attempts.iter().flat_map(|attempt| attempt.lines(&self.role)));
        lines.extend(self.closing().statements);
        lines
    }
}

impl Attempt {
    /// Of nothing but a statement.
    pub fn say(statement: impl Into<String>) -> Self {
        Self::of(What::Say(statement.into()))
    }

    /// The same in a transaction that is rolled back.
    pub fn within(statement: impl Into<String>) -> Self {
        Self { first: vec!["BEGIN READ WRITE".to_owned()], ..Self::say(statement) }
    }

    /// Of nothing else.
    pub fn of(what: What) -> Self {
        Self { database: None, beside: 0, holding: None, takes_ms: 0, first: Vec::new(), what }
    }

    /// What is said beside it, and what is done, for people.
    pub fn lines(&self, role: &str) -> Vec<String> {
        let place = self.database.as_ref().map(|name| format!(" in the database {name}")).unwrap_or_default();
        let who = format!("-- as {role}{place}");
        let mut lines = Vec::new();
        if let Some(statement) = &self.holding {
            lines.push(format!("{who}, another session, which stays: {statement}"));
        }
        let beside = if self.holding.is_none() && self.beside > 0 {
            format!(", beside {} other sessions of it", self.beside)
        } else {
            String::new()
        };
        let mut said = self.first.clone();
        said.push(match &self.what {
            What::Enter => "log in".to_owned(),
            What::Say(statement) => statement.clone(),
            What::Idle(milliseconds) => format!("nothing, for {} s", seconds(*milliseconds)),
        });
        if self.is_rolled_back() && matches!(self.what, What::Say(_)) {
            said.push("ROLLBACK".to_owned());
        }
        lines.push(format!("{who}{beside}: {}", said.join("; ")));
        lines
    }

    /// Whether it happens in a transaction.
    pub(super) fn is_rolled_back(&self) -> bool {
        self.first.iter().any(|statement| statement.starts_with("BEGIN"))
    }
}

/// Milliseconds as seconds, without needless noughts.
pub(super) fn seconds(milliseconds: u64) -> String {
    let text = format!("{}.{:03}", milliseconds / 1_000, milliseconds % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::script::Script;

    #[test]
    fn what_is_shown_is_all_that_is_said_and_a_journal_reads_it_back() {
        let limit = Attempt { beside: 2, ..Attempt::of(What::Enter) };
        let write =
            Attempt { database: Some("db_globex".to_owned()), ..Attempt::within("DELETE FROM a.b WHERE false") };
        let wait = Attempt { beside: 1, holding: Some("SELECT 1".to_owned()), ..Attempt::say("SELECT 2") };
        let guest = Guest { target: 0, role: "t".to_owned(), attempts: vec![limit, write, wait] };
        let lines = guest.lines();
        assert_eq!(lines[0], "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 't'");
        assert!(lines[1].contains("LOGIN PASSWORD '<SCRAM verifier of"), "{}", lines[1]);
        assert_eq!(
            lines[2..],
            [
                "-- as t, beside 2 other sessions of it: log in",
                "-- as t in the database db_globex: BEGIN READ WRITE; DELETE FROM a.b WHERE false; ROLLBACK",
                "-- as t, another session, which stays: SELECT 1",
                "-- as t: SELECT 2",
                "ALTER ROLE \"t\" NOLOGIN PASSWORD NULL",
            ]
        );
        let script = Script::Guest(guest);
        assert_eq!(serde_json::from_str::<Script>(&serde_json::to_string(&script).unwrap()).unwrap(), script);
        assert_eq!([seconds(31_000), seconds(1_500), seconds(50)], ["31", "1.5", "0.05"]);
    }
}
