//! What plans and lifecycles want when its time has come: jobs, and the end of recovery points.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::jobs::{self, Wish};
use super::plans;
use super::points;
use super::schedule::Schedule;
use super::selection::takes;
use crate::lab::aws::core::Core;
use crate::lab::aws::names::rds_arn;
use crate::lab::aws::state::{Author, Instance, Plan, Region, Snapshot};
use crate::lab::aws::wire::Input;

/// Looks again and again.
pub async fn rounds(core: Arc<Core>) {
    let mut clock = interval(core.pace.beat);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let now = core.now();
        let due: Vec<(String, Wish)> = {
            let mut state = core.state();
            let of = |region: &mut Region| -> Vec<(String, Wish)> {
                due(region, now).into_iter().map(|wish| (region.name.clone(), wish)).collect()
            };
            state.regions_mut().flat_map(of).collect()
        };
        for (region, wish) in due {
            // What cannot even begin is no job at AWS either: its vault or its instance went meanwhile.
            let _ = jobs::begin(&core, &region, wish);
        }
        expire(&core, now).await;
    }
}

/// What the rules of a region's plans want by now.
fn due(region: &mut Region, now: Timestamp) -> Vec<Wish> {
    let mut wishes = Vec::new();
    let (name, instances) = (&region.name, &region.instances);
    for plan in region.backup.plans.values_mut() {
        let after = std::mem::replace(&mut plan.looked, now);
        for rule in Input(plan.document.clone()).entries("Rules") {
            let schedule = Schedule::read(rule.filled("ScheduleExpression"));
            if schedule.and_then(|it| it.newest(after, now)).is_none() {
                continue;
            }
            plan.carried_out = Some(now);
            for instance in instances.values() {
                let arn = rds_arn(name, "db", &instance.id);
                // Two selections that take the same make one backup of it.
                let mut selections = plan.selections.values();
                if let Some(selection) = selections.find(|it| takes(&it.document, &arn, &instance.tags)) {
                    let role = selection.document["IamRoleArn"].as_str().unwrap_or_default();
                    wishes.push(wish(name, plan, &rule, instance, role));
                }
            }
        }
    }
    wishes
}

fn wish(region: &str, plan: &Plan, rule: &Input, instance: &Instance, as_whom: &str) -> Wish {
    let text = |name: &str| rule.filled(name).unwrap_or_default().to_owned();
    Wish {
        vault: text("TargetBackupVaultName"),
        resource: rds_arn(region, "db", &instance.id),
        role: as_whom.to_owned(),
        lifecycle: rule.0.get("Lifecycle").filter(|it| it.is_object()).cloned(),
        tags: rule.pairs("RecoveryPointTags"),
        window: rule.int("StartWindowMinutes").map(SignedDuration::from_mins),
        copies: rule.0.get("CopyActions").and_then(Value::as_array).cloned().unwrap_or_default(),
        by: Some(Author {
            arn: plans::arn(region, &plan.id),
            plan: plan.id.clone(),
            version: plan.version.clone(),
            rule: text("RuleId"),
        }),
    }
}

/// Recovery points whose time is over go, with what they are.
async fn expire(core: &Arc<Core>, now: Timestamp) {
    let gone: Vec<Snapshot> = {
        let mut state = core.state();
        let of = |region: &mut Region| -> Vec<Snapshot> {
            let over = region.backup.points.values().filter(|it| points::goes(it).is_some_and(|at| at <= now));
            let over: Vec<(String, String)> = over.map(|it| (it.arn.clone(), it.snapshot.clone())).collect();
            let gone = over.iter().filter_map(|(arn, snapshot)| {
                region.backup.points.remove(arn);
                region.snapshots.remove(snapshot)
            });
            gone.collect()
        };
        state.regions_mut().flat_map(of).collect()
    };
    if !gone.is_empty() {
        // With the last who holds them their files go.
        let work = move || {
            drop(gone);
            Ok(())
        };
        let _ = core.blocking(work).await;
    }
}
