//! The fence: nobody writes in a tenant's schema any more, everybody reads on, and afterwards every ACL is again what it was.
//!
//! To revoke is not to fence: what wrote before a REVOKE commits after it. So one transaction locks every table in EXCLUSIVE mode
//! (it waits out the writers in flight; readers neither fail nor wait), compares what is there with the plan, revokes what writes,
//! bars the tenant's own logins, and looks once more. Who queued behind it finds the door shut. Then what is left of those logins
//! ends, and [`Stands`] waits for what no lock waits for, and tries to write.
//!
//! - [`acl`]: ACLs as values, and what GRANT and REVOKE make of them
//! - [`image`]: what is there; `script`, `spell`: what is run, forward and back
//! - `ground`: who gets past it, what stops working, what forbids it
//! - `raise`, `stands`: the steps

pub mod acl;
mod ground;
pub mod image;
mod raise;
mod script;
mod spell;
mod stands;

use std::time::Duration;

pub(super) use spell::open_again;

pub use raise::Fence;
pub use script::Patience;
pub use stands::{Stands, Trial, fingerprint};

pub(super) use ground::{Ground, look};

use super::act::{Action, Drain};
use super::estate::Estate;
use super::plan::{Fact, PlannedStep, Refusals, Target};

/// What a fence is to be raised around.
#[derive(Debug, Clone)]
pub(super) struct Around {
    /// Which of the plan's targets.
    pub target: usize,
    /// The schema.
    pub schema: String,
    /// What logins of the tenant's own would be called.
    pub logins: Vec<String>,
    /// What most tenants log in as.
    pub service: String,
    /// How long it may stand unfinished, and be tried for.
    pub budget: Duration,
    /// How long locks are waited for.
    pub patience: Patience,
}

impl Patience {
    /// As patient as the sessions that change something may be.
    pub(super) fn of(estate: &Estate) -> Self {
        let lock = estate.lock_timeout.min(Duration::from_millis(500));
        let turn = (estate.statement_timeout / 2).min(Duration::from_secs(10));
        Self { lock_ms: milliseconds(lock), turn_ms: milliseconds(turn) }
    }
}

/// A fence's part of a plan.
pub(super) struct Fencing {
    pub steps: Vec<PlannedStep>,
    pub facts: Vec<Fact>,
    pub warnings: Vec<String>,
}

impl Fence {
    /// The one that would be raised.
    fn around(around: &Around, ground: &Ground, acting: &[String]) -> Self {
        Self {
            target: around.target,
            image: ground.image.clone(),
            own: around.logins.clone(),
            spare: acting.is_empty(),
            fingerprint: ground.fingerprint.clone(),
            budget_ms: milliseconds(around.budget),
            patience: around.patience,
            guarded: true,
        }
    }
}

/// Plans that nobody writes, where it may be that nobody does, because a fence stands already: then that is looked at, and left
/// as it is. Pure.
pub(super) fn plan_unless_shut(around: &Around, ground: &Ground, target: &Target) -> Result<Fencing, Refusals> {
    let fence = Fence::around(around, ground, &ground.others_act_as_owner());
    if fence.fenced() != fence.image {
        return plan(around, ground, target);
    }
    let stands = Stands::behind(around, &fence, |role| ground.may_try(role));
    let facts = fence.image.facts().into_iter().map(|(name, value)| Fact { name, value }).collect();
    let steps = vec![PlannedStep::new(Action::Stands(stands), &serde_json::Value::Null)?];
    Ok(Fencing { steps, facts, warnings: ground.warnings() })
}

/// Plans a fence, or says why not. Pure.
pub(super) fn plan(around: &Around, ground: &Ground, target: &Target) -> Result<Fencing, Refusals> {
    let schema = &around.schema;
    let mut refusals = ground.refusals(target);
    let acting = ground.others_act_as_owner();
    let fence = Fence::around(around, ground, &acting);
    if fence.fenced() == fence.image {
        refusals
            .push(format!("nobody may write in {schema} as it is: it is fenced already, or there is nothing in it"));
    }
    if !refusals.is_empty() {
        return Err(Refusals(refusals));
    }
    let mut warnings = ground.warnings();
    warnings
        .push(format!("SELECT … FOR UPDATE and FOR SHARE in {schema} are refused as writes are; plain reads go on"));
    let spared: Vec<_> = fence.spared().map(|it| format!("{schema}.{}", it.name)).collect();
    if !spared.is_empty() {
        warnings.push(format!(
            "without an ACL, which the server cannot give back, only their owner may write these; they are left so, and shut by barring its login; {}, which acts as their owner, could write them still: nobody may work as it until this is over: {}",
            target.login,
            spared.join(", ")
        ));
    }
    let inexact = fence.image.differences(&fence.restored(), false);
    if !inexact.is_empty() {
        let because = if acting.is_empty() { String::new() } else { format!(" (because {})", acting.join(", ")) };
        warnings.push(format!(
            "afterwards these ACLs mean the same and are written differently{because}: {}",
            inexact.join("; ")
        ));
    }
    let before = serde_json::to_value(&fence.image).map_err(|error| Refusals::one(error.to_string()))?;
    let facts = fence.image.facts().into_iter().map(|(name, value)| Fact { name, value }).collect();
    let barred: Vec<String> = ground.barred().into_iter().map(str::to_owned).collect();
    let stands = Stands::behind(around, &fence, |role| ground.may_try(role));
    let untried = stands.untried();
    if !untried.is_empty() {
        warnings.push(format!(
            "that these are refused is read from the privileges and not tried, because {} may not act as them: {}",
            target.login,
            untried.join(", ")
        ));
    }
    let mut steps = vec![PlannedStep::new(Action::Fence(fence), &before)?];
    for role in barred {
        steps.push(PlannedStep::new(Action::Drain(Drain { target: around.target, role }), &serde_json::Value::Null)?);
    }
    steps.push(PlannedStep::new(Action::Stands(stands), &serde_json::Value::Null)?);
    Ok(Fencing { steps, facts, warnings })
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
