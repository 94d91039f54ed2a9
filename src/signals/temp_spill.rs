//! `temp-spill`: sorts and hashes that do not fit `work_mem` go to temporary files, on the disk that everybody shares.
//! The rate is the instance's; whose it is is told by whose statements wrote them in the last minute, and by what sessions
//! wait for right now.

use std::collections::BTreeMap;

use crate::domain::facts::Source;
use crate::domain::foreign::sanitise;
use crate::domain::quantity::{bytes, percent};
use crate::domain::{Evidence, Session, Signal, SubjectKind, Tenant, TenantId, Unit};

use super::words::{names, remedy, signal};
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

/// Tenants whose statements wrote much of it, the most first.
fn writers<'a>(scene: &Scene<'_>, place: &Place<'a>) -> Vec<(f64, &'a TenantId)> {
    if place.instance.statements.fresh(scene.now).is_none() {
        return Vec::new();
    }
    let share = |tenant: &Tenant| tenant.statements.as_ref()?.temp_share;
    let of = |tenant: &'a Tenant| share(tenant).map(|share| (share, &tenant.id));
    let mut writers: Vec<_> = place.tenants.iter().copied().filter_map(of).collect();
    writers.retain(|(share, _)| *share >= scene.thresholds.noisy_share);
    writers.sort_by(|(one, a), (other, b)| other.total_cmp(one).then(a.cmp(b)));
    writers
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
    let writers = writers(scene, place);
    let at_it: Vec<&TenantId> = counts.keys().copied().filter(|id| writers.iter().all(|(_, one)| one != id)).collect();
    let wrote = match writers.as_slice() {
        [] => String::new(),
        [(share, one)] => format!("; {} of it by statements of {one}", percent(*share)),
        several => format!("; most of it by statements of {}", names(several.iter().map(|(_, id)| *id))),
    };
    let seen_at_it = match (seen.first(), at_it.as_slice()) {
        (Some(oldest), []) if writers.is_empty() => format!("; pid {} is seen at it", oldest.key.pid),
        (_, []) => String::new(),
        (_, [one]) => format!("; {one} is seen at it"),
        (_, several) => format!("; {} are seen at it", names(several.iter().copied())),
    };
    let culprits: Vec<TenantId> = writers.iter().map(|(_, id)| *id).chain(at_it.iter().copied()).cloned().collect();
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
    let look = match writers.first() {
        Some((_, tenant)) => format!("Look at what {tenant} sorts or hashes (its statements, by temp)"),
        None => "Look at what is sorted or hashed".to_owned(),
    };
    let unknown = match place.instance.statements.missing(scene.now) {
        Some(reason) if culprits.is_empty() => format!(" Whose statements spill is not known: {}.", sanitise(&reason)),
        _ => String::new(),
    };
    let mut evidence = vec![
        Evidence::on("temporary bytes", rate, ladder, Unit::BytesPerSecond),
        Evidence::fact("sessions seen at it", seen.len() as f64, Unit::Count),
    ];
    evidence.extend(writers.iter().map(|(share, tenant)| {
        let least = scene.thresholds.noisy_share;
        Evidence::against(format!("part by statements of {tenant}"), *share, least, Unit::Ratio)
    }));
    Some(Raised {
        severity,
        subject: place.subject(),
        summary: format!(
            "{} writes {}/s to temporary files: sorts and hashes that do not fit work_mem{wrote}{seen_at_it}",
            place.name(),
            bytes(rate as u64)
        ),
        evidence,
        advice: format!(
            "{look}: an index or a smaller result does more than work_mem, which every step of every statement may \
             take{then}.{unknown}"
        ),
        statement: seen.first().map(|oldest| signal("pg_cancel_backend", oldest)),
        since: None,
        culprits,
        victims: Vec::new(),
        rests_on: vec![Source::Databases],
    })
}
