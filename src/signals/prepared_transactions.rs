//! `prepared-transactions`: a transaction that was prepared and that nobody finished. It keeps its locks and holds vacuum
//! back over every restart, until somebody says what becomes of it.

use std::collections::BTreeSet;

use crate::domain::facts::{Prepared, Source};
use crate::domain::quantity::duration;
use crate::domain::{Evidence, Foreign, Signal, SubjectKind, TenantId, Unit};

use super::words::{exact, quoted};
use super::{Check, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct PreparedTransactions;

impl Check for PreparedTransactions {
    fn signal(&self) -> Signal {
        Signal::PreparedTransactions
    }

    fn about(&self) -> &'static str {
        "A prepared transaction is not finished for 5 minutes; critical at 1 hour"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::PreparedTransaction]
    }

    fn holds(&self) -> bool {
        false
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let observed = &place.instance.horizon;
            let Some(horizon) = verdicts.seen(self.signal(), place, Source::Horizon, observed, scene.now) else {
                continue;
            };
            for prepared in &horizon.prepared {
                let age = horizon.server_now.duration_since(prepared.prepared).as_secs_f64().max(0.0);
                verdicts.raised.extend(raise(scene, place, prepared, age));
            }
        }
    }
}

/// Whose it is: of the locks that it holds, else of its database or its owner, none of which a tenant chooses.
pub(super) fn owner(place: &Place<'_>, prepared: &Prepared) -> Option<TenantId> {
    let touched: BTreeSet<TenantId> =
        prepared.schemas.iter().filter_map(|schema| place.owner(&prepared.database, schema)).collect();
    let mut touched = touched.into_iter();
    match (touched.next(), touched.next()) {
        (Some(one), None) => Some(one),
        (Some(_), Some(_)) => None,
        (None, _) => place
            .owner(&prepared.database, &crate::domain::Foreign::default())
            .or_else(|| place.role_owner(prepared.owner.raw())),
    }
}

/// What ends it; it must be run in its database, by its owner.
pub(super) fn rollback(place: &Place<'_>, database: &Foreign, gid: &str) -> Option<String> {
    exact(gid).and_then(|gid| place.instance.pasted(database, format!("ROLLBACK PREPARED {gid};")))
}

fn raise(scene: &Scene<'_>, place: &Place<'_>, prepared: &Prepared, age: f64) -> Option<Raised> {
    let ladder = scene.thresholds.prepared_seconds;
    let (severity, _) = ladder.rung(age)?;
    let Prepared { gid, owner: role, database, .. } = prepared;
    let tenant = owner(place, prepared);
    let whose = tenant.as_ref().map_or_else(|| format!("of {role}"), |tenant| format!("of {tenant} ({role})"));
    let gid_shown: String = gid.shown().chars().take(40).collect();
    Some(Raised {
        severity,
        subject: place.about(SubjectKind::PreparedTransaction, gid.raw()),
        summary: format!(
            "prepared transaction {gid_shown} {whose} in {database} on {} is not finished for {}: it keeps its locks and holds \
             vacuum back",
            place.name(),
            duration(age)
        ),
        evidence: vec![
            Evidence::on("prepared", age, ladder, Unit::Seconds),
            Evidence::fact("age of its transaction id", f64::from(prepared.xid_age), Unit::Transactions),
        ],
        advice: format!(
            "Ask whose transaction manager lost it; then finish it in {database} as {}: COMMIT PREPARED if its other half was \
             committed, else roll it back.",
            quoted(role.raw())
        ),
        statement: rollback(place, database, gid.raw()),
        since: Some(prepared.prepared.into()),
        culprits: tenant.into_iter().collect(),
        victims: Vec::new(),
        rests_on: vec![Source::Horizon],
    })
}
