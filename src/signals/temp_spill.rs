//! `temp-spill`: sorts and hashes that do not fit `work_mem` go to temporary files, on the disk that everybody shares.
//! The rate is the instance's; who is seen at it right now is told by what sessions wait for.

use std::collections::BTreeMap;

use crate::domain::facts::Source;
use crate::domain::quantity::bytes;
use crate::domain::{Evidence, Session, Signal, SubjectKind, TenantId, Unit};

use super::words::{cancel, names, remedy};
use super::{Check, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct TempSpill;

impl Check for TempSpill {
    fn signal(&self) -> Signal {
        Signal::TempSpill
    }

    fn about(&self) -> &'static str {
        "Statements spill to temporary files: 20 MiB a second; critical at 200 MiB a second"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Instance]
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let instance = place.instance;
            if verdicts.seen(self.signal(), place, Source::Databases, &instance.databases, scene.now).is_none() {
                continue;
            }
            match instance.rates.temp_bytes {
                Some(rate) => verdicts.raised.extend(raise(scene, place, rate)),
                None => {
                    verdicts.doubt(self.signal(), place, Source::Databases, "no rate yet: it takes two samples");
                }
            }
        }
    }
}

/// Reads or writes a temporary file right now.
fn spills(session: &Session) -> bool {
    session.wait.as_ref().is_some_and(|wait| &*wait.kind == "IO" && wait.event.starts_with("BufFile"))
}

fn raise(scene: &Scene<'_>, place: &Place<'_>, rate: f64) -> Option<Raised> {
    let ladder = scene.thresholds.temp_bytes_per_second;
    let (severity, _) = ladder.rung(rate)?;
    let mut seen: Vec<&Session> = place.sessions.iter().copied().filter(|session| spills(session)).collect();
    seen.sort_by(|one, other| {
        let age = |session: &Session| session.query_age().unwrap_or_default();
        age(other).total_cmp(&age(one)).then(one.key.cmp(&other.key))
    });
    let mut counts: BTreeMap<&TenantId, usize> = BTreeMap::new();
    for tenant in seen.iter().filter_map(|session| session.attribution.strong()) {
        *counts.entry(tenant).or_default() += 1;
    }
    let culprits: Vec<TenantId> = counts.keys().map(|&tenant| tenant.clone()).collect();
    let who = match (seen.first(), culprits.as_slice()) {
        (None, _) => String::new(),
        (Some(oldest), []) => format!("; pid {} is seen at it", oldest.key.pid),
        (Some(_), [one]) => format!("; {one} is seen at it"),
        (Some(_), several) => format!("; {} are seen at it", names(several)),
    };
    let then = match culprits.as_slice() {
        [tenant] => {
            let own: Vec<&Session> =
                seen.iter().copied().filter(|it| it.attribution.strong() == Some(tenant)).collect();
            let cap = remedy(place, tenant, &own, |login| {
                format!("temp_file_limit on {login} bounds it (only a superuser sets it; on RDS the parameter group)")
            });
            format!("; {cap}")
        }
        _ => String::new(),
    };
    Some(Raised {
        severity,
        subject: place.subject(),
        summary: format!(
            "{} writes {}/s to temporary files: sorts and hashes that do not fit work_mem{who}",
            place.name(),
            bytes(rate as u64)
        ),
        evidence: vec![
            Evidence::on("temporary bytes", rate, ladder, Unit::BytesPerSecond),
            Evidence::fact("sessions seen at it", seen.len() as f64, Unit::Count),
        ],
        advice: format!(
            "Look at what is sorted or hashed: an index or a smaller result does more than work_mem, which every step of \
             every statement may take{then}."
        ),
        statement: seen.first().copied().and_then(cancel),
        since: None,
        culprits,
        victims: Vec::new(),
        rests_on: vec![Source::Databases],
    })
}
