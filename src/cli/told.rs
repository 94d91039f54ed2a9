//! What the console is told of an operation: plain values, made from plans and journals.

use jiff::Timestamp;

use crate::domain::TenantId;
use crate::domain::facts::OperationRow;
use crate::domain::foreign::sanitise;
use crate::domain::operation::{Operation, OperationLine, Stage, Step, StepState, Working};
use crate::ops::control::Known;
use crate::ops::journal::{Event, Story};
use crate::ops::plan::{Plan, PlannedStep, Subject};
use crate::ops::report::{Report, state};
use crate::ops::status::{self, Phase, StepStatus};
use crate::ops::step::Safety;
use crate::ops::{Operations, step};

/// What the journal cannot know.
#[derive(Debug, Clone, Default)]
pub(super) struct Besides {
    /// Whether this console carries it out.
    pub here: bool,
    /// Seconds since it was heard of, where somebody else may be carrying it out.
    pub silent: Option<f64>,
    /// Whether that is so long that it may be taken over.
    pub forsaken: bool,
    /// How far the step at work says that it is.
    pub working: Option<(usize, step::Working)>,
}

/// A plan that nobody has approved yet.
pub(super) fn planned(plan: &Plan) -> Operation {
    let step = |planned: &PlannedStep| Step {
        title: safe(&planned.title),
        state: StepState::ToCome,
        no_way_back: planned.safety == Safety::PointOfNoReturn,
        since: None,
        until: None,
        forward: plan.told(&planned.forward),
        backward: planned.backward.as_ref().map(|script| plan.told(script)).unwrap_or_default(),
        before: None,
        verified: None,
        error: None,
        working: None,
        log: Vec::new(),
    };
    Operation {
        id: plan.id.to_string(),
        kind: safe(&plan.kind),
        summary: safe(&plan.summary),
        tenants: tenants(&plan.subjects),
        stage: Stage::Planned,
        state: "planned".to_owned(),
        reason: None,
        back: false,
        here: false,
        operator: String::new(),
        silent: None,
        forsaken: false,
        plan: plan.text().lines().map(str::to_owned).collect(),
        confirm: plan.confirm.clone(),
        steps: plan.steps.iter().map(step).collect(),
        way_back: Vec::new(),
        report: Vec::new(),
        began: None,
        last: None,
        undo: Err("nothing was done".to_owned()),
        refuses: None,
    }
}

/// One that was begun.
pub(super) fn begun(story: &Story, besides: &Besides) -> Operation {
    let plan = &story.header.plan;
    let report = Report::of(story);
    let phase = story.status.phase;
    let stage = match phase {
        Phase::Closed(_) => Stage::Over,
        // Whoever goes on says so in the control database before the journal hears of it.
        _ if besides.here || besides.silent.is_some() => Stage::Running,
        // Paused in order, or a journal that ends in the middle and that nobody carries on.
        _ => Stage::Paused,
    };
    let mut told = planned(plan);
    for (number, (step, planned)) in told.steps.iter_mut().zip(&plan.steps).enumerate() {
        if let Some(status) = story.status.steps.get(number) {
            fill(step, plan, planned, status);
        }
        step.working = besides.working.as_ref().filter(|(at, _)| *at == number).map(|(_, working)| Working {
            phase: safe(&working.phase),
            done: working.done,
            total: working.total,
        });
        times(step, story, number);
    }
    // While it is tried, who writes is waited for and not refused. Nobody at work on it, it may have come.
    let tried = || {
        let begun = plan.steps.iter().zip(&told.steps).find(|(planned, _)| planned.action.step().fences().is_some());
        begun.and_then(|(_, step)| step.since).filter(|_| stage != Stage::Running)
    };
    let refusing = story.refuses_writes();
    let shuts = refusing.and_then(|it| Some((it.since.or_else(tried)?, it.budget.as_secs_f64())));
    let undo = Operations::may_roll_back(story).map_err(|error| safe(&error.to_string()));
    Operation {
        stage,
        state: match stage {
            Stage::Running => "running".to_owned(),
            Stage::Paused => "paused".to_owned(),
            Stage::Planned | Stage::Over => state(story).to_owned(),
        },
        reason: story.status.paused.as_deref().filter(|_| stage == Stage::Paused).map(safe).or_else(|| {
            (stage == Stage::Paused).then(|| "whoever carried it out is gone; ⏎ goes on where that ended".to_owned())
        }),
        back: phase == Phase::Back,
        here: besides.here,
        operator: report.operators.last().map(|name| safe(name)).unwrap_or_default(),
        silent: besides.silent,
        forsaken: besides.forsaken,
        began: Some(story.header.at),
        last: story.entries.last().map(|entry| entry.at),
        undo: if story.status.to_undo().is_some() { undo } else { Err("there is nothing to undo".to_owned()) },
        refuses: shuts,
        way_back: plan
            .way_back(story.status.steps.iter().map(|step| step.before.as_ref()))
            .lines()
            .map(str::to_owned)
            .collect(),
        report: report.markdown().lines().map(str::to_owned).collect(),
        ..told
    }
}

fn fill(step: &mut Step, plan: &Plan, planned: &PlannedStep, status: &StepStatus) {
    step.state = match status.state {
        status::StepState::ToCome => StepState::ToCome,
        status::StepState::Started => StepState::Running,
        status::StepState::Done => StepState::Done,
        status::StepState::Found => StepState::Found,
        status::StepState::Failed => StepState::Failed,
        status::StepState::Undoing => StepState::Undoing,
        status::StepState::Undone => StepState::Undone,
        status::StepState::UndoFailed => StepState::UndoFailed,
    };
    step.error = status.error.as_deref().map(safe);
    step.verified = status.output.as_ref().map(|value| safe(&value.to_string()));
    if let Some(before) = &status.before {
        step.before = Some(safe(&before.to_string()));
        // What undoes it is known exactly now.
        match planned.action.step().backward(before) {
            Ok(script) => step.backward = script.map(|script| plan.told(&script)).unwrap_or_default(),
            Err(error) => step.backward = vec![safe(&error.to_string())],
        }
    }
}

fn times(step: &mut Step, story: &Story, number: usize) {
    for entry in &story.entries {
        let (at, words) = match &entry.event {
            Event::Started { step, .. } if *step == number => (Some(true), "begun".to_owned()),
            Event::Succeeded { step, .. } if *step == number => (Some(false), "done, and verified".to_owned()),
            Event::Found { step, .. } if *step == number => (Some(false), "it was so already".to_owned()),
            Event::Failed { step, error, .. } if *step == number => (Some(false), format!("failed: {error}")),
            Event::UndoStarted { step } if *step == number => (Some(true), "undoing".to_owned()),
            Event::UndoFinished { step } if *step == number => (Some(false), "undone, and verified".to_owned()),
            Event::UndoFailed { step, error } if *step == number => (Some(false), format!("not undone: {error}")),
            _ => continue,
        };
        step.log.push((entry.at, safe(&words)));
        match at {
            Some(true) => (step.since, step.until) = (Some(entry.at), None),
            _ => step.until = Some(entry.at),
        }
    }
}

/// A line of the list, from a journal that lies here.
pub(super) fn line(story: &Story, here: bool) -> OperationLine {
    let plan = &story.header.plan;
    let report = Report::of(story);
    OperationLine {
        id: report.id,
        kind: safe(&report.kind),
        summary: safe(&report.summary),
        state: state(story).to_owned(),
        unfinished: !matches!(story.status.phase, Phase::Closed(_)),
        here,
        operator: report.operators.last().map(|name| safe(name)).unwrap_or_default(),
        silent: None,
        in_force: story.in_force(),
        tenants: tenants(&plan.subjects),
        began: Some(story.header.at),
    }
}

/// The same from the control database; what the journal here knows better is taken from there.
pub(super) fn known(row: &Known, local: Option<&OperationLine>, here: bool) -> OperationLine {
    let tenants: Vec<TenantId> = row.subjects.iter().filter_map(|subject| OperationRow::tenant(subject)).collect();
    OperationLine {
        id: safe(&row.id),
        kind: safe(&row.kind),
        summary: safe(&row.summary),
        state: safe(&row.state),
        unfinished: is_unfinished(row),
        here,
        operator: safe(&format!("{}@{}", row.operator, row.host)),
        silent: Some(row.silent),
        in_force: row.in_force.or(local.map(|local| local.in_force)).unwrap_or(false),
        tenants: if tenants.is_empty() {
            local.map(|local| local.tenants.clone()).unwrap_or_default()
        } else {
            tenants
        },
        began: Some(local.and_then(|local| local.began).unwrap_or(row.began)),
    }
}

/// Whether an operation holds what it holds.
pub(super) fn is_unfinished(row: &Known) -> bool {
    matches!(row.state.as_str(), "running" | "paused")
}

fn tenants(subjects: &[Subject]) -> Vec<TenantId> {
    let tenant = |subject: &Subject| match subject {
        Subject::Tenant { id } => Some(id.clone()),
        Subject::Session { .. } | Subject::Table { .. } => None,
    };
    subjects.iter().filter_map(tenant).collect()
}

/// When something was asked.
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

fn safe(text: &str) -> String {
    sanitise(text).into_owned()
}
