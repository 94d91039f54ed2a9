//! `tierdeck guardrails prove`: that limits and isolation hold, as evidence on standard output and in files.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use color_eyre::eyre::Result;
use schemars::JsonSchema;
use serde::Serialize;

use super::act::{PlanDocument, place, tenant};
use super::arguments::{ActOptions, Prove};
use super::guardrails::tier;
use super::operations::{approval, finish, interruptible, new_id, refused};
use super::{Exit, output, save};
use crate::config::Config;
use crate::domain::foreign::sanitise;
use crate::domain::{InstanceName, TenantId};
use crate::ops::act::Intent;
use crate::ops::guardrails::Wanted;
use crate::ops::plan::Plan;
use crate::ops::prove::{self, Evidence, Proving, Verdict};
use crate::ops::{Ended, Operations};

/// What limits are shortened to where nobody wants to wait for them.
const SHORT_MS: u64 = 1_000;

/// `tierdeck guardrails prove --all --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Proofs {
    /// Version of this shape.
    pub schema: u32,
    /// Of each tenant that was come to, in order.
    pub proofs: Vec<Evidence>,
}

/// `tierdeck guardrails prove --all --plan --json`.
#[derive(Debug, Serialize)]
struct Plans<'a> {
    schema: u32,
    plans: Vec<PlanDocument<'a>>,
}

pub(super) async fn run(config: &Config, operations: &Operations, asked: Prove) -> Result<Exit> {
    if !asked.options.plan
        && let Err(shut) = operations.gate.is_open()
    {
        return Ok(refused(&shut.into()));
    }
    let whom = asked.tenant.as_deref().map(tenant).transpose();
    let aimed = whom.and_then(|whom| Ok((place(config, &asked.options, whom.as_ref())?, whom)));
    let (instance, whom) = match aimed {
        Ok(aimed) => aimed,
        Err(message) => {
            output::say(&message);
            return Ok(Exit::Usage);
        }
    };
    // Made before anything is tried: what was proven should not be lost for want of a folder.
    if let Some(folder) = asked.evidence.as_deref().filter(|_| !asked.options.plan)
        && let Err(error) = DirBuilder::new().recursive(true).mode(0o700).create(folder)
    {
        output::say(&format!("--evidence: cannot make the folder {}: {error}", folder.display()));
        return Ok(Exit::Usage);
    }
    let tenants = match whom {
        Some(tenant) => vec![tenant],
        None => match prove::tenants(&operations.estate, &instance).await {
            Ok(tenants) => tenants,
            Err(error) => return Ok(refused(&error.into())),
        },
    };
    let intents = tenants.into_iter().map(|tenant| proving(config, instance.clone(), tenant, asked.quick, asked.all));
    let intents: Vec<Intent> = intents.map(Intent::Prove).collect();
    if asked.options.plan {
        show(operations, &intents, &asked).await
    } else {
        carry_out(operations, &intents, asked).await
    }
}

/// What is proven of a tenant.
pub(super) fn proving(config: &Config, instance: InstanceName, tenant: TenantId, quick: bool, all: bool) -> Proving {
    let policy = Wanted::from(&config.policy.wanted(&tenant, tier(config, &instance)));
    Proving { tenant, instance, policy, shortened_ms: quick.then_some(SHORT_MS), all }
}

async fn show(operations: &Operations, intents: &[Intent], asked: &Prove) -> Result<Exit> {
    let mut plans = Vec::new();
    for intent in intents {
        match operations.plan(intent, new_id()).await {
            Ok(plan) => plans.push(plan),
            // Of all, whoever cannot be proven keeps nobody else from being shown.
            Err(error) if asked.all => output::say(&sanitise(&error.to_string())),
            Err(error) => return Ok(refused(&error)),
        }
    }
    let document = |plan| PlanDocument::of(plan);
    match (plans.as_slice(), asked.all, asked.options.json) {
        ([one], false, true) => output::document(&document(one)),
        (many, _, true) => output::document(&Plans { schema: 1, plans: many.iter().map(document).collect() }),
        (many, ..) => output::text(&many.iter().map(Plan::text).collect::<Vec<_>>().join("\n")),
    }
}

async fn carry_out(operations: &Operations, intents: &[Intent], asked: Prove) -> Result<Exit> {
    let Prove { all, evidence: folder, options, .. } = asked;
    let ActOptions { json, mut confirm, .. } = options;
    let (mut proofs, mut worst) = (Vec::new(), Exit::Fine);
    for intent in intents {
        let plan = match operations.plan(intent, new_id()).await {
            Ok(plan) => plan,
            Err(error) => {
                let exit = refused(&error);
                if !all {
                    return Ok(exit);
                }
                // Who cannot be proven is not held to be proven.
                worst = Exit::Found;
                continue;
            }
        };
        if all {
            output::say(&sanitise(&plan.summary));
        }
        // Asked once: whoever proves everybody says of which instance.
        let Some(typed) = approval(&plan.text(), &plan.confirm, confirm.take()) else { return Ok(Exit::Usage) };
        confirm = Some(typed.clone());
        let ended = interruptible(operations, operations.start(&plan, &typed)).await;
        if !matches!(ended, (Ok(Ended::Succeeded), _)) {
            return finish(operations, &plan.id, ended, json).await;
        }
        let story = match operations.story(&plan.id).await {
            Ok(story) => story,
            Err(error) => return Ok(refused(&error)),
        };
        let Some(evidence) = Evidence::of(&story) else { continue };
        if evidence.verdict != Verdict::Held {
            worst = Exit::Found;
        }
        if let Some(folder) = &folder {
            write(folder, &evidence)?;
        }
        if !json && output::text(&summary(&evidence))? != Exit::Fine {
            return Ok(Exit::Interrupted);
        }
        proofs.push(evidence);
    }
    let written = match (json, all, proofs.first()) {
        (false, ..) => Exit::Fine,
        (true, false, Some(one)) => output::document(one)?,
        (true, ..) => output::document(&Proofs { schema: 1, proofs })?,
    };
    Ok(if written == Exit::Fine { worst } else { written })
}

/// A line for each control.
fn summary(evidence: &Evidence) -> String {
    let Evidence { operation, tenant, login, verdict, controls, .. } = evidence;
    let mut lines = vec![format!("{tenant}, which works as {login}: {}", verdict.words())];
    lines.extend(controls.iter().map(|control| {
        let note = control.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
        format!("  {:<19} {}: {}{note}", control.verdict.words(), control.control, control.why)
    }));
    lines.push(format!("  the evidence: tierdeck ops report {operation}"));
    // What is foreign in a line makes none of its own.
    lines.iter().map(|line| sanitise(line)).collect::<Vec<_>>().join("\n") + "\n"
}

fn write(folder: &Path, evidence: &Evidence) -> Result<()> {
    let name = format!("prove-{}-{}", evidence.tenant, evidence.operation);
    let json = format!("{}\n", serde_json::to_string_pretty(evidence)?);
    for (end, text) in [("json", json), ("md", evidence.markdown())] {
        let path = folder.join(format!("{name}.{end}"));
        save::write(&path, &text, false)?;
        output::say(&format!("wrote {}", path.display()));
    }
    Ok(())
}
