//! The evidence: what an auditor reads, from the journal alone. As a value for programs, and as Markdown.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ProveStep;
use super::control::{Judged, Verdict};
use super::login::MakeLogin;
use super::trial::Try;
use crate::domain::foreign::sanitise;
use crate::ops::act::{Action, Intent};
use crate::ops::guardrails::milliseconds;
use crate::ops::journal::{Event, Story};
use crate::ops::status::StepState;

/// A limit: as the policy wants it, as the login that binds has it, as the temporary login had it. `null`: none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// What the policy wants; `null`: it says nothing.
    pub policy: Option<String>,
    /// What is stored for the login that binds.
    pub login: Option<String>,
    /// What the temporary login had.
    pub temporary: Option<String>,
}

impl Setting {
    /// Whether the login has what the policy wants; `None`: the policy says nothing.
    pub fn is_as_wanted(&self) -> Option<bool> {
        let wanted = self.policy.as_ref()?;
        let has = self.login.as_ref();
        Some(has == Some(wanted) || has.and_then(|has| milliseconds(has)) == milliseconds(wanted) && has.is_some())
    }
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Evidence {
    /// Version of this shape.
    pub schema: u32,
    /// The operation whose journal says all of this.
    pub operation: String,
    /// What follows from all controls together.
    pub verdict: Verdict,
    /// Whose limits and whose isolation.
    pub tenant: String,
    /// The instance, as the configuration names it.
    pub instance: String,
    /// `pg_control_system().system_identifier`: the cluster itself, whatever its address.
    pub system_identifier: String,
    /// `server_version`.
    pub server_version: String,
    /// The database.
    pub database: String,
    /// The login that binds the tenant.
    pub login: String,
    /// Whether that is the account that all tenants share.
    pub login_is_shared: bool,
    /// The login that tried.
    pub temporary_login: String,
    /// Whether that is gone again.
    pub temporary_login_removed: bool,
    /// The login that made it.
    pub admin_login: String,
    /// Who carried it out, from where, with which version.
    pub operators: Vec<String>,
    /// The hash of the plan that was approved.
    pub plan_sha256: String,
    /// When it began.
    pub began: String,
    /// When the last thing happened.
    pub ended: String,
    /// Limits compared.
    pub settings: Vec<Setting>,
    /// The controls.
    pub controls: Vec<Judged>,
    /// What this does not prove.
    pub not_proven: Vec<String>,
}

impl Evidence {
    /// Of a story; `None`: it proves nothing.
    pub fn of(story: &Story) -> Option<Self> {
        let plan = &story.header.plan;
        let Intent::Prove(intent) = &plan.intent else { return None };
        let make = plan.steps.iter().find_map(|planned| match &planned.action {
            Action::Prove(ProveStep::Login(make)) => Some(make),
            _ => None,
        })?;
        let target = plan.targets.first()?;
        let mut controls: Vec<Judged> = as_the_policy_wants(make).into_iter().collect();
        let mut removed = false;
        for (planned, status) in plan.steps.iter().zip(&story.status.steps) {
            match &planned.action {
                Action::Prove(ProveStep::Try(step)) => {
                    let found = status.output.as_ref().map(Try::found).unwrap_or_default();
                    let found = if found.is_empty() {
                        step.controls.iter().map(|control| control.judge(&step.role, &[])).collect()
                    } else {
                        found
                    };
                    controls.extend(found);
                }
                Action::Prove(ProveStep::Remove(_)) => removed |= status.state.is_over(),
                Action::Prove(ProveStep::Login(_)) => removed |= status.state == StepState::Undone,
                _ => {}
            }
        }
        let mut operators = Vec::new();
        for entry in &story.entries {
            if let Event::Taken { operator } = &entry.event {
                let name = format!("{}@{} (tierdeck {})", operator.user, operator.host, operator.version);
                if !operators.contains(&name) {
                    operators.push(name);
                }
            }
        }
        Some(Self {
            schema: 1,
            operation: plan.id.to_string(),
            verdict: controls.iter().map(|control| control.verdict).max().unwrap_or(Verdict::NotProven),
            tenant: intent.tenant.to_string(),
            instance: intent.instance.to_string(),
            system_identifier: target.system_identifier.clone(),
            server_version: target.server_version.clone(),
            database: target.database.clone(),
            login: make.like.clone(),
            login_is_shared: make.shared,
            temporary_login: make.role.clone(),
            temporary_login_removed: removed,
            admin_login: target.login.clone(),
            operators,
            plan_sha256: story.header.sha256.clone(),
            began: story.header.at.to_string(),
            ended: story.entries.last().map_or(story.header.at, |last| last.at).to_string(),
            settings: make.compared.clone(),
            controls,
            not_proven: make.caveats.clone(),
        })
    }

    /// For people.
    pub fn markdown(&self) -> String {
        let mut text = format!("# Limits and isolation of {}: {}\n\n", cell(&self.tenant), self.verdict.words());
        let shared = if self.login_is_shared { ", the account that all tenants share" } else { "" };
        let gone = if self.temporary_login_removed { "removed again" } else { "NOT removed yet" };
        for (name, value) in [
            (
                "instance",
                format!("{} (PostgreSQL {}, system {})", self.instance, self.server_version, self.system_identifier),
            ),
            ("database", self.database.clone()),
            ("login that binds", format!("{}{shared}", self.login)),
            (
                "tried as",
                format!("{}, a temporary login in the same settings and rights, {gone}", self.temporary_login),
            ),
            ("made by", self.admin_login.clone()),
            ("carried out by", self.operators.join(", ")),
            ("from", format!("{} to {}", self.began, self.ended)),
            ("operation", format!("{}; plan approved: sha256 {}", self.operation, self.plan_sha256)),
        ] {
            let _ = writeln!(text, "- {name}: {}", cell(&value));
        }
        let _ = writeln!(text, "\n## Verdicts\n\n| control | verdict | the server's answer |\n| --- | --- | --- |");
        for control in &self.controls {
            let verdict = match control.verdict {
                Verdict::Held => control.verdict.words().to_owned(),
                other => format!("**{}**", other.words()),
            };
            let _ = writeln!(text, "| {} | {verdict} | {} |", cell(&control.control), cell(&control.why));
        }
        let _ = writeln!(
            text,
            "\n## Limits compared\n\n| limit | policy | {} | temporary login |\n| --- | --- | --- | --- |",
            cell(&self.login)
        );
        for setting in &self.settings {
            let or = |value: &Option<String>| cell(value.as_deref().unwrap_or("—"));
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                cell(&setting.name),
                or(&setting.policy),
                or(&setting.login),
                or(&setting.temporary)
            );
        }
        let _ = writeln!(text, "\n## What was run, and what was answered");
        for control in &self.controls {
            let _ = writeln!(text, "\n### {}: {}\n", cell(&control.control), control.verdict.words());
            let _ = writeln!(text, "- has to happen: {}", cell(&control.expects));
            if let Some(note) = &control.note {
                let _ = writeln!(text, "- to know: {}", cell(note));
            }
            for answer in &control.answers {
                let code = answer.code.as_deref().unwrap_or("no error");
                let said = cell(&answer.message);
                let _ = writeln!(text, "- {}, after {:.2} s: {code}: {said}", answer.at, answer.seconds);
            }
            let _ = writeln!(text, "- so: {}", cell(&control.why));
            if !control.ran.is_empty() {
                let ran: Vec<String> = control.ran.iter().map(|line| sanitise(line).replace("```", "'''")).collect();
                let _ = writeln!(text, "\n```sql\n{}\n```", ran.join("\n"));
            }
        }
        let _ = writeln!(text, "\n## What this does not prove\n");
        for caveat in &self.not_proven {
            let _ = writeln!(text, "- {}", cell(caveat));
        }
        text
    }
}

/// Foreign words as Markdown that means nothing but itself.
fn cell(text: &str) -> String {
    let safe = sanitise(text);
    let chars: Vec<char> = safe.chars().collect();
    let mut out = String::new();
    for (at, char) in chars.iter().enumerate() {
        // Within a word an underscore is one.
        let beside = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(|char| char.is_alphanumeric());
        let within = *char == '_' && beside(at.checked_sub(1)) && beside(Some(at + 1));
        if "\\`*_[]<>#|~".contains(*char) && !within {
            out.push('\\');
        }
        out.push(*char);
    }
    out
}

/// Whether the login that binds has what the policy wants; nothing where that says nothing.
fn as_the_policy_wants(make: &MakeLogin) -> Option<Judged> {
    let judged: Vec<(&Setting, bool)> =
        make.compared.iter().filter_map(|setting| Some((setting, setting.is_as_wanted()?))).collect();
    if judged.is_empty() {
        return None;
    }
    let none = "none".to_owned();
    let wrong: Vec<String> = judged
        .iter()
        .filter(|(_, same)| !same)
        .map(|(setting, _)| {
            let has = setting.login.as_ref().unwrap_or(&none);
            format!("{} is {has}, the policy wants {}", setting.name, setting.policy.as_ref().unwrap_or(&none))
        })
        .collect();
    Some(Judged {
        control: "limits as the policy wants them".to_owned(),
        expects: format!("{} has the limits that the policy wants", make.like),
        ran: Vec::new(),
        answers: Vec::new(),
        verdict: if wrong.is_empty() { Verdict::Held } else { Verdict::NotHeld },
        why: if wrong.is_empty() {
            format!("all {} that it names are stored with {}", judged.len(), make.like)
        } else {
            wrong.join("; ")
        },
        note: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_as_wanted_however_it_is_written_and_foreign_words_stay_words() {
        let setting = |policy: Option<&str>, login: Option<&str>| Setting {
            name: "lock_timeout".to_owned(),
            policy: policy.map(str::to_owned),
            login: login.map(str::to_owned),
            temporary: None,
        };
        for (policy, login, expected) in [
            (None, Some("5s"), None),
            (Some("5s"), Some("5000"), Some(true)),
            (Some("40"), Some("40"), Some(true)),
            (Some("5s"), Some("6s"), Some(false)),
            (Some("5s"), Some("0"), Some(false)),
            (Some("5s"), None, Some(false)),
        ] {
            assert_eq!(setting(policy, login).is_as_wanted(), expected, "{policy:?} {login:?}");
        }
        assert_eq!(cell("role_acme | *b* _c_ <d>"), "role_acme \\| \\*b\\* \\_c\\_ \\<d\\>");
    }
}
