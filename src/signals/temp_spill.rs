//! `temp-spill`: sorts and hashes that do not fit `work_mem` go to temporary files, on the disk that everybody shares.
//! The server counts a file when it is closed and tells when the statement ends, so how much is known of the past only, for
//! the whole instance; whose it is is told by whose statements wrote files in the last minute, and who spills right now by what
//! sessions wait for.

use std::collections::BTreeSet;

use crate::domain::facts::Source;
use crate::domain::foreign::sanitise;
use crate::domain::quantity::{bytes, duration, percent};
use crate::domain::snapshot::Spilled;
use crate::domain::{Evidence, Session, Severity, Signal, SubjectKind, Tenant, TenantId, Unit};

use super::words::{cancel, more_like_it, names, remedy, whose};
use super::{Check, Place, Raised, Scene, Verdicts};

/// A statement that is seen at a temporary file is worth a word once it has run for so many seconds.
const RUNS: f64 = 10.0;

/// The check.
#[derive(Debug)]
pub(super) struct TempSpill;

impl Check for TempSpill {
    fn signal(&self) -> Signal {
        Signal::TempSpill
    }

    fn about(&self) -> &'static str {
        "20 MiB/s went to temporary files in 5 minutes, critical at 200 MiB/s; or a statement spills for long"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Instance]
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let instance = place.instance;
            let at_it = at_it(scene, place);
            let counted = verdicts.seen(self.signal(), place, Source::Databases, &instance.databases, scene.now);
            let spilled = counted.and(instance.rates.temp);
            if counted.is_some() && spilled.is_none() {
                verdicts.doubt(self.signal(), place, Source::Databases, "no rate yet: it takes two samples");
            }
            let raised = spilled.and_then(|spilled| wrote(scene, place, spilled, &at_it));
            verdicts.raised.extend(raised.or_else(|| spills(scene, place, &at_it)));
        }
    }
}

/// The sessions that read or write a temporary file right now, the oldest statement first.
fn at_it<'a>(scene: &Scene<'_>, place: &Place<'a>) -> Vec<&'a Session> {
    if place.unseen().is_some() || place.instance.activity.fresh(scene.now).is_none() {
        return Vec::new();
    }
    let mut seen: Vec<&Session> = place.sessions.iter().copied().filter(|session| session.is_spilling()).collect();
    seen.sort_by(|one, other| {
        let age = |session: &Session| session.query_age().unwrap_or_default();
        age(other).total_cmp(&age(one)).then(one.key.cmp(&other.key))
    });
    seen
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

/// The tenants among them.
fn culprits(place: &Place<'_>, seen: &[&Session]) -> Vec<TenantId> {
    let tenants: BTreeSet<&TenantId> = seen.iter().filter_map(|session| place.doer(session)).collect();
    tenants.into_iter().cloned().collect()
}

/// What would have bounded it, where one tenant is at it.
fn bound(place: &Place<'_>, seen: &[&Session], culprits: &[TenantId]) -> String {
    let [tenant] = culprits else { return String::new() };
    let own: Vec<&Session> = seen.iter().copied().filter(|it| place.doer(it) == Some(tenant)).collect();
    let cap = remedy(place, tenant, &own, |login| {
        format!("temp_file_limit on {login} bounds it (only a superuser sets it; on RDS the parameter group)")
    });
    format!("; {cap}")
}

/// Much was written, whoever did.
fn wrote(scene: &Scene<'_>, place: &Place<'_>, spilled: Spilled, seen: &[&Session]) -> Option<Raised> {
    let ladder = scene.thresholds.temp_bytes_per_second;
    let (severity, _) = ladder.rung(spilled.rate())?;
    let writers = writers(scene, place);
    let seen_tenants = culprits(place, seen);
    let at_it: Vec<&TenantId> = seen_tenants.iter().filter(|id| writers.iter().all(|(_, one)| one != id)).collect();
    let wrote = match writers.as_slice() {
        [] => String::new(),
        [(share, one)] => format!("; {} of the last minute's by statements of {one}", percent(*share)),
        several => format!("; most of the last minute's by statements of {}", names(several.iter().map(|(_, id)| *id))),
    };
    let seen_at_it = match (seen.first(), at_it.as_slice()) {
        (Some(oldest), []) if writers.is_empty() => format!("; pid {} is seen at it", oldest.key.pid),
        (_, []) => String::new(),
        (_, [one]) => format!("; {one} is seen at it"),
        (_, several) => format!("; {} are seen at it", names(several.iter().copied())),
    };
    let mut culprits: Vec<TenantId> = writers.iter().map(|(_, id)| *id).chain(at_it.iter().copied()).cloned().collect();
    // Who has stopped meanwhile wrote it all the same.
    let mut before: Vec<_> = place.instance.spillers.iter().filter(|(id, _)| !culprits.contains(id)).collect();
    before.sort_by(|(a, one), (b, other)| other.cmp(one).then(a.cmp(b)));
    let had = match before.first() {
        None => String::new(),
        Some((_, last)) => {
            let ago = duration(scene.now.duration_since(*last).as_secs_f64().max(0.0).round());
            format!("; {} did, {ago} ago at the last", names(before.iter().map(|(id, _)| id)))
        }
    };
    let look_at = writers.first().map(|(_, id)| *id).or(before.first().filter(|_| at_it.is_empty()).map(|(id, _)| id));
    culprits.extend(before.iter().map(|(id, _)| id.clone()));
    let look = match look_at {
        Some(tenant) => format!("Look at what {tenant} sorts or hashes (its statements, by temp)"),
        None => "Look at what is sorted or hashed".to_owned(),
    };
    let unknown = match place.instance.statements.missing(scene.now) {
        Some(reason) if culprits.is_empty() => format!(" Whose statements spill is not known: {}.", sanitise(&reason)),
        _ => String::new(),
    };
    let mut evidence = vec![
        Evidence::on("temporary bytes", spilled.rate(), ladder, Unit::BytesPerSecond),
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
            "{} wrote {} to temporary files in {}: sorts and hashes that do not fit work_mem{wrote}{seen_at_it}{had}",
            place.name(),
            bytes(spilled.bytes),
            duration(spilled.seconds.round())
        ),
        evidence,
        advice: format!(
            "{look}: an index or a smaller result does more than work_mem, which every step of every statement may \
             take{}.{unknown}",
            bound(place, seen, &culprits)
        ),
        statement: seen.first().copied().and_then(cancel),
        since: None,
        culprits,
        victims: Vec::new(),
        rests_on: vec![Source::Databases],
    })
}

/// Somebody is at it, and how much it is nobody knows yet.
fn spills(scene: &Scene<'_>, place: &Place<'_>, seen: &[&Session]) -> Option<Raised> {
    let ladder = scene.thresholds.query_seconds;
    let long: Vec<&Session> =
        seen.iter().copied().filter(|session| session.query_age().is_some_and(|age| age >= RUNS)).collect();
    let oldest = *long.first()?;
    let age = oldest.query_age()?;
    let culprits = culprits(place, &long);
    Some(Raised {
        severity: if age >= ladder.warning { Severity::Warning } else { Severity::Info },
        subject: place.subject(),
        summary: format!(
            "{} spills to temporary files on {} (pid {}, running for {}){}: how much is counted when it ends",
            whose(place, oldest),
            place.name(),
            oldest.key.pid,
            duration(age),
            more_like_it(long.len() - 1, "more")
        ),
        evidence: vec![
            Evidence::on("age of the oldest statement seen at it", age, ladder, Unit::Seconds),
            Evidence::fact("sessions seen at it", long.len() as f64, Unit::Count),
        ],
        advice: format!(
            "Look at the disk, and at what it sorts or hashes; if nobody waits for its result, cancel it{}.",
            bound(place, &long, &culprits)
        ),
        statement: cancel(oldest),
        since: oldest.query_started.map(Into::into),
        culprits,
        victims: Vec::new(),
        rests_on: vec![Source::Activity],
    })
}
