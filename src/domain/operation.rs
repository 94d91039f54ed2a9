//! Operations as plain values: what can be asked for, what is asked about it, where one stands. The console shows these and asks
//! for these; whoever carries operations out makes them and takes them. Every text in them is safe to print.

use jiff::Timestamp;

use super::foreign::Foreign;
use super::ids::{InstanceName, TenantId};
use super::session::SessionKey;

/// What something is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One or several sessions.
    Sessions,
    /// A tenant.
    Tenant,
    /// A table.
    Table,
    /// A tenant that somebody names: nothing for an incident, and never what happens to be under the cursor.
    Named,
    /// Nothing that is there already.
    Nothing,
}

/// What may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blank {
    /// Words, not none.
    Words(&'static str),
    /// Words, or none.
    Maybe(&'static str),
    /// What may be the id of a tenant.
    Id,
    /// A whole number.
    Number(&'static str),
    /// A time, such as `5m`; may be left out where nothing is offered.
    Time(&'static str),
    /// One of these.
    Choice(&'static [&'static str]),
}

/// An input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// What it is called, in a word.
    pub label: &'static str,
    /// What may be answered, and what is offered.
    pub blank: Blank,
    /// More of it.
    pub hint: &'static str,
}

/// When it applies, as far as one can see; whoever plans judges anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Always.
    Nothing,
    /// A tenant with a login of its own.
    OwnLogin,
    /// A session that runs a statement.
    Statement,
    /// That no other of its kind is in force.
    NotInForce,
    /// One of that kind that is in force, which it undoes.
    InForce(&'static str),
}

/// Something that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Its name.
    pub kind: &'static str,
    /// What it is called where it is chosen.
    pub title: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// To what.
    pub of: Kind,
    /// When it applies.
    pub needs: Needs,
    /// What has to be answered.
    pub questions: &'static [Question],
}

/// What something is to be done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aim {
    /// Sessions of one instance; if a tenant is named, all are certainly its.
    Sessions {
        /// Where.
        instance: InstanceName,
        /// Which.
        keys: Vec<SessionKey>,
        /// Whose.
        tenant: Option<TenantId>,
    },
    /// A tenant.
    Tenant {
        /// Which.
        tenant: TenantId,
        /// Where.
        instance: InstanceName,
    },
    /// A table.
    Table {
        /// Where.
        instance: InstanceName,
        /// Database, schema, table.
        name: [Foreign; 3],
    },
    /// Nothing that is there already.
    Nothing,
}

impl Aim {
    /// What it is, in words.
    pub fn words(&self) -> String {
        match self {
            Self::Sessions { instance, keys, .. } => {
                let mut pids: Vec<String> = keys.iter().take(6).map(|key| key.pid.to_string()).collect();
                pids.extend((keys.len() > 6).then(|| format!("+{}", keys.len() - 6)));
                let word = if keys.len() == 1 { "session" } else { "sessions" };
                format!("{word} {} on {instance}", pids.join(", "))
            }
            Self::Tenant { tenant, instance } => format!("{tenant} on {instance}"),
            Self::Table { name: [_, schema, table], instance } => format!("{schema}.{table} on {instance}"),
            Self::Nothing => String::new(),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The offer's name.
    pub kind: &'static str,
    /// To what.
    pub aim: Aim,
    /// The answers, by label.
    pub answers: Vec<(&'static str, String)>,
}

impl Request {
    /// An answer; empty when nothing was said.
    pub fn answer(&self, label: &str) -> &str {
        self.answers.iter().find(|(known, _)| *known == label).map_or("", |(_, answer)| answer.trim())
    }
}

/// What an operator wants of an operation that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Do what is left to do.
    Forward,
    /// Undo what was done.
    Back,
    /// Leave everything as it is, for good.
    Abandon,
}

/// Where an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was done: it waits to be approved.
    Planned,
    /// Somebody carries it out, or fell silent with it.
    Running,
    /// It waits for an operator.
    Paused,
    /// It is over.
    Over,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum StepState {
    ToCome,
    Running,
    Done,
    Found,
    Failed,
    Undoing,
    Undone,
    UndoFailed,
}

impl StepState {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::ToCome => "to come",
            Self::Running => "running",
            Self::Done => "done",
            Self::Found => "was so already",
            Self::Failed => "failed",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
            Self::UndoFailed => "undo failed",
        }
    }
}

/// How far a step is that takes its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Working {
    /// What it does now.
    pub phase: String,
    /// How much of it is done.
    pub done: i64,
    /// Of how much; 0: not known.
    pub total: i64,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it does.
    pub title: String,
    /// Where it stands.
    pub state: StepState,
    /// Begun, there is no way back.
    pub no_way_back: bool,
    /// When it began last.
    pub since: Option<Timestamp>,
    /// When it ended.
    pub until: Option<Timestamp>,
    /// Exactly what it runs.
    pub forward: Vec<String>,
    /// Exactly what undoes it.
    pub backward: Vec<String>,
    /// What was there before.
    pub before: Option<String>,
    /// What was found afterwards, by looking.
    pub verified: Option<String>,
    /// What went wrong last.
    pub error: Option<String>,
    /// How far it is.
    pub working: Option<Working>,
    /// What happened to it.
    pub log: Vec<(Timestamp, String)>,
}

/// An operation with everything that is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Its name.
    pub id: String,
    /// What kind.
    pub kind: String,
    /// What it does, in a sentence.
    pub summary: String,
    /// The tenants that it holds.
    pub tenants: Vec<TenantId>,
    /// Where it stands.
    pub stage: Stage,
    /// The same in a word: how it ended, where it is over.
    pub state: String,
    /// Why it waits.
    pub reason: Option<String>,
    /// Whether steps are being undone.
    pub back: bool,
    /// Whether this very console carries it out.
    pub here: bool,
    /// Who goes on with it, or did last.
    pub operator: String,
    /// Seconds since it was last heard of, where somebody else carries it out.
    pub silent: Option<f64>,
    /// Whether that is so long that it may be taken over.
    pub forsaken: bool,
    /// The text that is approved, line by line.
    pub plan: Vec<String>,
    /// What is typed to approve it.
    pub confirm: String,
    /// The steps.
    pub steps: Vec<Step>,
    /// What an undo would run, line by line.
    pub way_back: Vec<String>,
    /// What happened, for people.
    pub report: Vec<String>,
    /// When it began.
    pub began: Option<Timestamp>,
    /// When the last thing happened.
    pub last: Option<Timestamp>,
    /// Whether it can be rolled back, or why not.
    pub undo: Result<(), String>,
    /// Since when it shuts out who wants to write, and for how many seconds it may.
    pub refuses: Option<(Timestamp, f64)>,
}

impl Operation {
    /// The step that is at work, or that would be next.
    pub fn at(&self) -> usize {
        let current = |step: &Step| match step.state {
            StepState::Running | StepState::Failed | StepState::Undoing | StepState::UndoFailed => true,
            StepState::ToCome => !self.back,
            StepState::Done | StepState::Found | StepState::Undone => false,
        };
        self.steps.iter().position(current).unwrap_or(self.steps.len().saturating_sub(1))
    }
}

/// An operation in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationLine {
    /// Its name.
    pub id: String,
    /// What kind.
    pub kind: String,
    /// What it does, in a sentence.
    pub summary: String,
    /// `running`, `paused`, or how it ended.
    pub state: String,
    /// Whether it is not over.
    pub unfinished: bool,
    /// Whether this very console carries it out.
    pub here: bool,
    /// Who works on it, or did last.
    pub operator: String,
    /// Seconds since it was last heard of; `None`: it is known only from here.
    pub silent: Option<f64>,
    /// It is done and can still be undone.
    pub in_force: bool,
    /// The tenants that it holds, or held.
    pub tenants: Vec<TenantId>,
    /// When it began.
    pub began: Option<Timestamp>,
}

/// All that is known of operations.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationList {
    /// The newest first.
    pub lines: Vec<OperationLine>,
    /// Why some may be missing.
    pub trouble: Option<String>,
    /// When it was asked.
    pub at: Timestamp,
}
