//! The plan: everything that an operation will do, decided and written down before any of it is done.
//!
//! A planner is pure: `(intent, facts) → Plan | refusals`. The plan is a plain value; its canonical text is what `--plan`
//! prints, what the console shows and what the operator approves; one SHA-256 covers the text and every value below it.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::act::{Action, Intent};
use super::id::OperationId;
use super::step::{Safety, Script};
use crate::domain::foreign::sanitise;
use crate::domain::{InstanceName, TenantId};

/// Version of the shapes that plans and journals are written in.
pub const SCHEMA: u32 = 1;

/// What an operation holds while it is unfinished: no other may hold it then.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Subject {
    /// A tenant, wherever it lives.
    Tenant {
        /// Which.
        id: TenantId,
    },
    /// A session that is nobody's for certain.
    Session {
        /// On which instance.
        instance: InstanceName,
        /// Its process.
        pid: i32,
    },
    /// A table that is nobody's for certain.
    Table {
        /// On which instance.
        instance: InstanceName,
        /// Database, schema and name.
        name: String,
    },
}

impl Subject {
    /// As one word, for the lease and for people.
    pub fn key(&self) -> String {
        match self {
            Self::Tenant { id } => format!("tenant {id}"),
            Self::Session { instance, pid } => format!("session {instance}/{pid}"),
            Self::Table { instance, name } => format!("table {instance}/{name}"),
        }
    }
}

/// A database that the plan acts on, and how it is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The configuration's name of the instance.
    pub instance: InstanceName,
    /// The database.
    pub database: String,
    /// The login that acts.
    pub login: String,
    /// `pg_control_system().system_identifier`: the cluster itself, whatever its address.
    pub system_identifier: String,
    /// `server_version`.
    pub server_version: String,
}

/// Something that the plan was made from and that must be the same when it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What.
    pub name: String,
    /// How it was.
    pub value: String,
}

/// One step as it will be run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// What it does.
    pub title: String,
    /// Whether there is a way back.
    pub safety: Safety,
    /// Exactly what it runs.
    pub forward: Script,
    /// Exactly what undoes it, as things are now; `None`: nothing does, or nothing needs to.
    pub backward: Option<Script>,
    /// The step itself.
    pub action: Action,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this shape.
    pub schema: u32,
    /// Its name.
    pub id: OperationId,
    /// What kind of operation, as the command line names it.
    pub kind: String,
    /// What is to be done, in a sentence.
    pub summary: String,
    /// What was asked for.
    pub intent: Intent,
    /// What is held meanwhile.
    pub subjects: Vec<Subject>,
    /// Where it acts.
    pub targets: Vec<Target>,
    /// Who will notice, and how.
    pub affects: Vec<String>,
    /// What must still hold.
    pub facts: Vec<Fact>,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// The steps.
    pub steps: Vec<PlannedStep>,
    /// What is typed to approve it.
    pub confirm: String,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct Refusals(pub Vec<String>);

impl Refusals {
    /// A single one.
    pub fn one(reason: impl Into<String>) -> Self {
        Self(vec![reason.into()])
    }
}

impl PlannedStep {
    /// A step whose before-image is foreseen.
    pub fn new(action: Action, foreseen: &Value) -> Result<Self, Refusals> {
        let step = action.step();
        let backward = step.backward(foreseen).map_err(|error| Refusals::one(error.to_string()))?;
        Ok(Self { title: step.title(), safety: step.safety(), forward: step.forward(), backward, action })
    }
}

impl Plan {
    /// The text that is read and approved, with the hash at its end.
    pub fn text(&self) -> String {
        format!("{}sha256      {}\n", self.body(), self.sha256())
    }

    /// Over the text and over every value that the text was made from.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.body());
        // A plain value has no way not to be written.
        hash.update(serde_json::to_string(self).unwrap_or_default());
        hex(&hash.finalize())
    }

    /// What this version of the program would run differently from what was approved.
    pub fn drifted(&self) -> Option<String> {
        if self.schema != SCHEMA {
            return Some(format!("the plan is of schema {}, this version knows {SCHEMA}", self.schema));
        }
        self.steps.iter().zip(1..).find_map(|(planned, number)| {
            let step = planned.action.step();
            let same =
                step.title() == planned.title && step.safety() == planned.safety && step.forward() == planned.forward;
            (!same).then(|| format!("step {number} of the plan is not what this version of tierdeck would run"))
        })
    }

    /// What is different in a plan that was made again; empty when nothing is.
    pub fn changed(&self, now: &Self) -> Vec<String> {
        let mut changed = Vec::new();
        for fact in &self.facts {
            match now.facts.iter().find(|other| other.name == fact.name) {
                Some(other) if other.value == fact.value => {}
                Some(other) => changed.push(format!("{}: was {}, is {}", fact.name, fact.value, other.value)),
                None => changed.push(format!("{}: was {}, is gone", fact.name, fact.value)),
            }
        }
        for fact in now.facts.iter().filter(|fact| self.facts.iter().all(|other| other.name != fact.name)) {
            changed.push(format!("{}: is new: {}", fact.name, fact.value));
        }
        if changed.is_empty()
            && (self.steps != now.steps || self.targets != now.targets || self.subjects != now.subjects)
        {
            changed.push("what would be run now is not what was approved".to_owned());
        }
        changed
    }

    /// What rolling back runs, from the before-images of the steps that were begun: the last step first.
    pub fn way_back<'a>(&self, begun: impl IntoIterator<Item = Option<&'a Value>>) -> String {
        let mut text = format!("operation   {}, rolled back\n", self.id);
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "{name:<12}{}", sanitise(value));
        };
        line("did", &self.summary);
        let steps: Vec<_> = self.steps.iter().zip(begun).zip(1..).collect();
        for ((step, before), number) in steps.into_iter().rev() {
            let Some(before) = before else { continue };
            line(&format!("undo {number}"), &step.title);
            match step.action.step().backward(before) {
                Ok(Some(script)) => self.script(&mut line, "  runs", &script),
                Ok(None) => line("  runs", "nothing: nothing needs to be undone"),
                Err(error) => line("  runs", &format!("unknown: {error}")),
            }
        }
        line("to approve", &format!("type {}", self.confirm));
        text
    }

    fn body(&self) -> String {
        let mut text = format!("operation   {}\n", self.id);
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "{name:<12}{}", sanitise(value));
        };
        line("does", &self.summary);
        for subject in &self.subjects {
            line("holds", &subject.key());
        }
        for target in &self.targets {
            let Target { instance, database, login, system_identifier, server_version } = target;
            let place = format!("{instance}, database {database}, as {login}");
            line("on", &format!("{place} (PostgreSQL {server_version}, system {system_identifier})"));
        }
        for affected in &self.affects {
            line("affects", affected);
        }
        for fact in &self.facts {
            line("as long as", &format!("{} = {}", fact.name, fact.value));
        }
        for warning in &self.warnings {
            line("warning", warning);
        }
        for (step, number) in self.steps.iter().zip(1..) {
            let point = if step.safety == Safety::PointOfNoReturn { "  (no way back)" } else { "" };
            line(&format!("step {number}"), &format!("{}{point}", step.title));
            self.script(&mut line, "  runs", &step.forward);
            match &step.backward {
                Some(script) => self.script(&mut line, "  undone by", script),
                None if step.safety == Safety::PointOfNoReturn => line("  undone by", "nothing"),
                None => line("  undone by", "nothing needs to be undone"),
            }
        }
        line("to approve", &format!("type {}", self.confirm));
        text
    }

    fn script(&self, line: &mut impl FnMut(&str, &str), name: &str, script: &Script) {
        for (at, said) in self.told(script).iter().enumerate() {
            line(if at == 0 { name } else { "" }, said);
        }
    }

    /// A script of this plan as people read it, line by line: where, how, exactly what.
    pub fn told(&self, script: &Script) -> Vec<String> {
        let place = match script {
            Script::Sql(sql) => {
                let target = self.targets.get(sql.target).map(|target| target.instance.to_string());
                let manner = if sql.transaction { "in one transaction" } else { "by itself" };
                format!("on {}, {manner}:", target.unwrap_or_default())
            }
            Script::Vault(vault) => format!("at {}:", vault.vault),
            Script::Command(_) => "on this machine:".to_owned(),
            Script::Guest(guest) => {
                let target = self.targets.get(guest.target).map(|target| target.instance.to_string());
                format!("on {}, one after the other:", target.unwrap_or_default())
            }
        };
        let shown = script.shown();
        let shown = shown.iter().map(|shown| format!("  {shown}"));
        std::iter::once(place).chain(shown).map(|line| sanitise(&line).into_owned()).collect()
    }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
