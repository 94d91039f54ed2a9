//! `operation-stalled`: an operation that nobody goes on with, and that holds its tenant: whoever carried it out fell silent, or it
//! has waited for its operator for long.

use crate::domain::facts::{OperationRow, Source};
use crate::domain::quantity::duration;
use crate::domain::{Evidence, Signal, SubjectKind, Unit};

use super::fence_held::whose;
use super::{Check, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct OperationStalled;

impl Check for OperationStalled {
    fn signal(&self) -> Signal {
        Signal::OperationStalled
    }

    fn about(&self) -> &'static str {
        "An operation's console is silent for 60 s (critical at 10 min), or it waits for 15 min (4 h)"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Operation]
    }

    fn holds(&self) -> bool {
        false
    }

    fn lingers(&self) -> bool {
        false
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let observed = &place.instance.operations;
            let Some(known) = verdicts.seen(self.signal(), place, Source::Operations, observed, scene.now) else {
                continue;
            };
            for row in &known.rows {
                let silent = known.server_now.duration_since(row.heartbeat).as_secs_f64().max(0.0);
                verdicts.raised.extend(raise(scene, place, row, silent));
            }
        }
    }
}

fn raise(scene: &Scene<'_>, place: &Place<'_>, row: &OperationRow, silent: f64) -> Option<Raised> {
    let (ladder, name) = match row.state.raw() {
        "running" => (scene.thresholds.operation_silent_seconds, "silent"),
        "paused" => (scene.thresholds.operation_paused_seconds, "waits for its operator"),
        _ => return None,
    };
    let (severity, _) = ladder.rung(silent)?;
    let OperationRow { id, kind, operator, host, .. } = row;
    let (holds, time) = (whose(row), duration(silent));
    let (summary, advice) = if name == "silent" {
        (
            format!("{kind} {id} holds {holds}, and {operator}@{host}, who carries it out, is silent for {time}"),
            format!("Ask {operator}; then take it over: 8 and ⏎, or tierdeck ops resume {id} --take-over {id}."),
        )
    } else {
        (
            format!("{kind} {id} of {operator}@{host} holds {holds} and waits for its operator for {time}"),
            format!("Go on with it or roll it back: 8 and ⏎, or tierdeck ops resume {id}, tierdeck ops rollback {id}."),
        )
    };
    Some(Raised {
        severity,
        subject: place.about(SubjectKind::Operation, id.raw()),
        summary,
        evidence: vec![Evidence::on(name, silent, ladder, Unit::Seconds)],
        advice,
        statement: None,
        since: Some(row.heartbeat.into()),
        culprits: Vec::new(),
        victims: row.tenants.clone(),
        rests_on: vec![Source::Operations],
    })
}
