//! What happened, for people (Markdown) and for programs: from the journal alone.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use super::journal::{Event, Story};
use super::plan::SCHEMA;
use super::prove::Evidence;
use super::status::{Outcome, Phase, StepState};
use crate::domain::foreign::sanitise;
use crate::domain::quantity::duration;

/// `tierdeck ops report ID --json`, and `show`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Report {
    /// Version of this shape.
    pub schema: u32,
    /// The operation.
    pub id: String,
    /// What kind.
    pub kind: String,
    /// What it does.
    pub summary: String,
    /// `running`, `paused`, or how it ended.
    pub state: String,
    /// Whether what it did is still in force and can be undone.
    pub can_roll_back: bool,
    /// The hash of the plan that was approved.
    pub plan_sha256: String,
    /// When it began.
    pub began: String,
    /// When the last thing happened.
    pub last: String,
    /// Seconds from the one to the other.
    pub seconds: f64,
    /// Everybody who worked on it.
    pub operators: Vec<String>,
    /// Where it acted.
    pub targets: Vec<String>,
    /// The steps.
    pub steps: Vec<ReportStep>,
    /// What happened, line by line.
    pub events: Vec<ReportEvent>,
    /// What it proved, where it was there to prove something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// A step.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ReportStep {
    /// What it does.
    pub title: String,
    /// `to_come`, `started`, `done`, `found`, `failed`, `undoing`, `undone`, `undo_failed`.
    pub state: String,
    /// The exact statements.
    pub ran: Vec<String>,
    /// What was there before.
    pub before: serde_json::Value,
    /// What was found afterwards, by looking.
    pub verified: serde_json::Value,
    /// What went wrong last.
    pub error: Option<String>,
}

/// A line of the journal.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ReportEvent {
    /// When.
    pub at: String,
    /// What.
    pub event: String,
    /// More of it.
    pub detail: String,
}

/// Where an operation stands, in a word. What its journal cannot know, a heartbeat tells: whether it runs.
pub fn state(story: &Story) -> &'static str {
    match story.status.phase {
        Phase::Closed(outcome) => outcome.name(),
        _ if story.status.paused.is_some() => "paused",
        _ => "running",
    }
}

impl Report {
    /// Of a story.
    pub fn of(story: &Story) -> Self {
        let plan = &story.header.plan;
        let mut operators = Vec::new();
        for entry in &story.entries {
            if let Event::Taken { operator } = &entry.event {
                let name = format!("{}@{} (tierdeck {})", operator.user, operator.host, operator.version);
                if !operators.contains(&name) {
                    operators.push(name);
                }
            }
        }
        let began = story.header.at;
        let last = story.entries.last().map_or(began, |entry| entry.at);
        let step = |(planned, status): (&super::plan::PlannedStep, &super::status::StepStatus)| ReportStep {
            title: planned.title.clone(),
            state: word(status.state),
            ran: if status.before.is_some() { planned.forward.lines() } else { Vec::new() },
            before: status.before.clone().unwrap_or_default(),
            verified: status.output.clone().unwrap_or_default(),
            error: status.error.clone(),
        };
        let touched = story.status.to_undo().is_some() && plan.steps.iter().any(|step| step.backward.is_some());
        let ended = matches!(story.status.phase, Phase::Closed(outcome) if outcome != Outcome::Succeeded);
        Self {
            schema: SCHEMA,
            id: plan.id.to_string(),
            kind: plan.kind.clone(),
            summary: plan.summary.clone(),
            state: state(story).to_owned(),
            can_roll_back: touched && !ended && story.status.no_way_back().is_none() && !story.left_nothing(),
            plan_sha256: story.header.sha256.clone(),
            began: began.to_string(),
            last: last.to_string(),
            seconds: last.duration_since(began).as_secs_f64(),
            operators,
            targets: plan
                .targets
                .iter()
                .map(|it| format!("{}/{} as {} (system {})", it.instance, it.database, it.login, it.system_identifier))
                .collect(),
            steps: plan.steps.iter().zip(&story.status.steps).map(step).collect(),
            events: story.entries.iter().map(|entry| event(entry.at.to_string(), &entry.event)).collect(),
            evidence: Evidence::of(story),
        }
    }

    /// For people.
    pub fn markdown(&self) -> String {
        let safe = |text: &str| sanitise(text).replace('|', "\\|").replace('`', "'");
        let mut text = format!("# Operation {}: {}\n\n", self.id, safe(&self.summary));
        let _ = writeln!(text, "- state: **{}**", self.state);
        let _ = writeln!(text, "- began {}, took {}", self.began, duration(self.seconds));
        for operator in &self.operators {
            let _ = writeln!(text, "- by {}", safe(operator));
        }
        for target in &self.targets {
            let _ = writeln!(text, "- on {}", safe(target));
        }
        let _ = writeln!(text, "- plan approved: sha256 {}", self.plan_sha256);
        if self.can_roll_back {
            let _ = writeln!(text, "- to undo it: `tierdeck ops rollback {}`", self.id);
        }
        if let Some(evidence) = &self.evidence {
            // Beneath this heading: the one of a document of its own is one higher.
            let own = evidence.markdown().replace("\n#", "\n##");
            let _ = writeln!(text, "\n#{}", own.trim_end());
        }
        for (step, number) in self.steps.iter().zip(1..) {
            let _ = writeln!(text, "\n## Step {number}: {} — {}\n", safe(&step.title), step.state);
            if !step.ran.is_empty() {
                let statements: Vec<_> =
                    step.ran.iter().map(|it| format!("{};", sanitise(it).replace("```", "'''"))).collect();
                let _ = writeln!(text, "```sql\n{}\n```\n", statements.join("\n"));
            }
            for (name, value) in [("before", &step.before), ("verified", &step.verified)] {
                // What was proven is told above.
                if !value.is_null() && self.evidence.is_none() {
                    let _ = writeln!(text, "- {name}: `{}`", safe(&value.to_string()));
                }
            }
            if let Some(error) = &step.error {
                let _ = writeln!(text, "- error: {}", safe(error));
            }
        }
        let _ = writeln!(text, "\n## What happened\n\n| when | what | |\n| --- | --- | --- |");
        for event in &self.events {
            let proven = self.evidence.is_some() && event.event == "succeeded";
            let detail = if proven { event.detail.split(':').next().unwrap_or_default() } else { &event.detail };
            let _ = writeln!(text, "| {} | {} | {} |", event.at, event.event.replace('_', " "), safe(detail));
        }
        text
    }
}

fn word(state: StepState) -> String {
    serde_json::to_value(state).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn event(at: String, event: &Event) -> ReportEvent {
    let step = |step: &usize| format!("step {}", step + 1);
    let detail = match event {
        Event::Taken { operator } => format!("{}@{}", operator.user, operator.host),
        Event::Started { step: number, .. }
        | Event::UndoStarted { step: number }
        | Event::UndoFinished { step: number } => step(number),
        Event::Succeeded { step: number, output } | Event::Found { step: number, output } => {
            format!("{}: {output}", step(number))
        }
        Event::Failed { step: number, error, .. } | Event::UndoFailed { step: number, error } => {
            format!("{}: {error}", step(number))
        }
        Event::Paused { reason } => reason.clone(),
        Event::RollingBack => String::new(),
        Event::Closed { outcome, reason } => {
            format!("{}{}{reason}", outcome.name(), if reason.is_empty() { "" } else { ": " })
        }
    };
    ReportEvent { at, event: event.name().to_owned(), detail }
}
