//! `noisy-neighbour`: a tenant takes far more than its share of something, the instance is short of just that, and
//! others suffer from it. All three, and still, or nobody is blamed. The shares are of the last minute; who takes less than
//! half of what is too much in its newest seconds has stopped, and who did not wait in them waits no longer. Half, because
//! a pause of a few seconds is no end.
//!
//! How short it is, is what its sessions show, or what CloudWatch says where that is more.
//!
//! Connections are not among the resources here: `connection-saturation` says who holds them.

use std::collections::BTreeSet;

use crate::domain::facts::Source;
use crate::domain::policy::Ladder;
use crate::domain::quantity::percent;
use crate::domain::snapshot::{Noise, Pressure, Starved};
use crate::domain::{Evidence, Session, Severity, Signal, SubjectKind, Tenant, TenantId, Tier, Unit};

use super::cloud_pressure::View;
use super::words::{cancel, cancel_all, quoted, remedy, tenants};
use super::{Check, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct NoisyNeighbour;

/// Who takes less than this part of what is too much has stopped.
const STOPPED: f64 = 0.5;

/// A part that a tenant takes.
struct Share {
    of: &'static str,
    value: fn(&Noise) -> Option<f64>,
}

/// Something that an instance can be short of.
struct Resource {
    name: &'static str,
    pressure: fn(&Pressure) -> Option<f64>,
    /// The same as CloudWatch sees it.
    view: fn(&Scene<'_>, &Place<'_>) -> View,
    shares: &'static [Share],
    /// What the shares are counted from.
    source: Source,
    /// How long a tenant had to wait for it.
    waited: fn(&Starved) -> f64,
}

static RESOURCES: [Resource; 3] = [
    Resource {
        name: "CPU",
        pressure: |pressure| pressure.cpu,
        view: View::of_cpu,
        shares: &[Share { of: "active time", value: |noise| noise.active_time }],
        source: Source::Activity,
        waited: |starved| starved.cpu,
    },
    Resource {
        name: "reads",
        pressure: |pressure| pressure.reads,
        view: View::of_reads,
        shares: &[Share { of: "blocks read", value: |noise| noise.blocks_read }],
        source: Source::Churn,
        waited: |starved| starved.io,
    },
    Resource {
        name: "writes",
        pressure: |pressure| pressure.writes,
        view: View::of_writes,
        shares: &[
            Share { of: "rows written", value: |noise| noise.rows_written },
            Share { of: "WAL", value: |noise| noise.wal },
        ],
        source: Source::Churn,
        waited: |starved| starved.io,
    },
];

impl Check for NoisyNeighbour {
    fn signal(&self) -> Signal {
        Signal::NoisyNeighbour
    }

    fn about(&self) -> &'static str {
        "A tenant takes 50% and 3 fair shares of what the instance is short of (70%, 95%), and others wait"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Tenant]
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let instance = place.instance;
            if verdicts.seen(self.signal(), place, Source::Activity, &instance.activity, scene.now).is_none() {
                continue;
            }
            // Without its figures what they showed is neither true nor over.
            if let Some(cloud) = instance.cloud.as_deref() {
                verdicts.told(self.signal(), place, Source::Metrics, &cloud.metrics, scene.now);
            }
            let mut scarce = Vec::new();
            for resource in &RESOURCES {
                let view = (resource.view)(scene, place);
                let by_sessions = (resource.pressure)(&instance.pressure);
                let Some(pressure) = by_sessions.into_iter().chain(view.pressure).reduce(f64::max) else {
                    let reason = format!("how short {} is of {} is not known yet", place.name(), resource.name);
                    verdicts.doubt(self.signal(), place, Source::Activity, &reason);
                    continue;
                };
                // Where there is enough for everybody it does not matter who takes how much, nor whether that is known.
                let Some((severity, _)) = scene.thresholds.noisy_pressure.rung(pressure) else { continue };
                if let Some(reason) = unknown_shares(scene, place, resource) {
                    verdicts.doubt(self.signal(), place, resource.source, &reason);
                    continue;
                }
                let by_cloud = ByCloud { decides: by_sessions.is_none_or(|it| it < pressure), evidence: view.evidence };
                scarce.push(Scarcity::new(scene, place, resource, (pressure, severity), by_cloud));
            }
            for tenant in &place.tenants {
                let taken: Vec<_> = scarce.iter().filter_map(|scarcity| scarcity.taken_by(scene, tenant)).collect();
                verdicts.raised.extend(raise(place, tenant, &taken));
            }
        }
    }
}

/// Why nobody's share of a resource is known.
fn unknown_shares(scene: &Scene<'_>, place: &Place<'_>, resource: &Resource) -> Option<String> {
    let known =
        place.tenants.iter().any(|tenant| resource.shares.iter().any(|share| (share.value)(&tenant.noise).is_some()));
    let stale = if resource.source == Source::Churn { place.instance.churn.missing(scene.now) } else { None };
    let why = match stale {
        Some(reason) => format!("churn: {reason}"),
        None if known || place.tenants.is_empty() => return None,
        None => "no shares yet: it takes two samples".to_owned(),
    };
    Some(format!("{} is short of {}, but not who takes it: {why}", place.name(), resource.name))
}

/// A resource that an instance is short of.
struct Scarcity<'a> {
    resource: &'static Resource,
    pressure: f64,
    severity: Severity,
    ladder: Ladder,
    by_cloud: ByCloud,
    /// For each of the resource's shares, how much is too much.
    limits: Vec<f64>,
    sufferers: BTreeSet<&'a TenantId>,
}

/// What CloudWatch says of it.
struct ByCloud {
    /// That is more than its sessions show.
    decides: bool,
    evidence: Vec<Evidence>,
}

/// What a tenant takes too much of, and who suffers from that.
struct Taken<'s, 'a> {
    scarcity: &'s Scarcity<'a>,
    shares: Vec<(&'static str, f64, f64)>,
    victims: Vec<TenantId>,
    least_victims: f64,
}

impl<'a> Scarcity<'a> {
    fn new(
        scene: &Scene<'_>,
        place: &Place<'a>,
        resource: &'static Resource,
        (pressure, severity): (f64, Severity),
        by_cloud: ByCloud,
    ) -> Self {
        let least = scene.thresholds.noisy_victim_seconds;
        let mut active = vec![0_usize; resource.shares.len()];
        let mut sufferers = BTreeSet::new();
        // Once through all of them: with ten thousand it is the walk that takes its time.
        for tenant in &place.tenants {
            for (active, share) in active.iter_mut().zip(resource.shares) {
                *active += usize::from((share.value)(&tenant.noise).is_some_and(|it| it > 0.0));
            }
            let waited = (resource.waited)(&tenant.starved);
            if waited > 0.0 && waited >= least && (resource.waited)(&tenant.lately.starved) > 0.0 {
                sufferers.insert(&tenant.id);
            }
        }
        let limit = |active: usize| {
            let fair = scene.thresholds.noisy_fair_shares / active.max(1) as f64;
            scene.thresholds.noisy_share.max(fair.min(0.9))
        };
        Self {
            resource,
            pressure,
            severity,
            ladder: scene.thresholds.noisy_pressure,
            by_cloud,
            limits: active.into_iter().map(limit).collect(),
            sufferers,
        }
    }

    /// `None` unless the tenant takes far too much of it and enough others suffer.
    fn taken_by(&self, scene: &Scene<'_>, tenant: &Tenant) -> Option<Taken<'_, 'a>> {
        let shares: Vec<_> = self
            .resource
            .shares
            .iter()
            .zip(&self.limits)
            .filter(|(share, limit)| (share.value)(&tenant.lately.noise).is_none_or(|now| now >= *limit * STOPPED))
            .filter_map(|(share, &limit)| Some((share.of, (share.value)(&tenant.noise)?, limit)))
            .filter(|(_, value, limit)| value >= limit)
            .collect();
        // Whoever takes no more than its part hurts nobody, and everybody's sufferers are many.
        if shares.is_empty() {
            return None;
        }
        let victims: Vec<TenantId> =
            self.sufferers.iter().filter(|&&it| *it != tenant.id).map(|&it| it.clone()).collect();
        let least_victims = scene.thresholds.noisy_victims;
        let enough = !victims.is_empty() && victims.len() as f64 >= least_victims;
        enough.then_some(Taken { scarcity: self, shares, victims, least_victims })
    }
}

fn raise(place: &Place<'_>, tenant: &Tenant, taken: &[Taken<'_, '_>]) -> Option<Raised> {
    let severity = taken.iter().map(|it| it.scarcity.severity).max()?;
    let victims: BTreeSet<&TenantId> = taken.iter().flat_map(|it| &it.victims).collect();
    let victims: Vec<TenantId> = victims.into_iter().cloned().collect();
    let mut evidence = Vec::new();
    let mut shares = Vec::new();
    let mut rests_on = vec![Source::Activity];
    for it in taken {
        let Scarcity { resource, pressure, ladder, by_cloud, .. } = it.scarcity;
        for &(of, value, limit) in &it.shares {
            shares.push((value, format!("{} of {of}", percent(value))));
            evidence.push(Evidence::against(format!("share of {of}"), value, limit, Unit::Ratio));
        }
        evidence.push(Evidence::on(format!("pressure on {}", resource.name), *pressure, *ladder, Unit::Ratio));
        let suffering = it.victims.len() as f64;
        evidence.push(Evidence::against(
            format!("tenants that wait on {}", resource.name),
            suffering,
            it.least_victims,
            Unit::Count,
        ));
        evidence.extend(
            by_cloud
                .evidence
                .iter()
                .filter(|more| !evidence.iter().any(|known| known.name == more.name))
                .cloned()
                .collect::<Vec<_>>(),
        );
        for source in [Some(resource.source), by_cloud.decides.then_some(Source::Metrics)].into_iter().flatten() {
            if !rests_on.contains(&source) {
                rests_on.push(source);
            }
        }
    }
    let shares = shares.into_iter().map(|(_, words)| words).collect::<Vec<_>>().join(", ");
    let resources = taken.iter().map(|it| it.scarcity.resource.name).collect::<Vec<_>>().join(" and ");
    let verb = if victims.len() == 1 { "waits" } else { "wait" };
    let summary = match victims.as_slice() {
        [one] => format!("{one} waits on {resources}"),
        all => {
            let who = tenants(all);
            // `6 tenants (…)` with the verb before the names, as one would say it.
            who.split_once(" (").map_or_else(
                || format!("{who} {verb} on {resources}"),
                |(count, names)| format!("{count} {verb} on {resources} ({names}"),
            )
        }
    };
    let (advice, statement) = advice(place, tenant);
    Some(Raised {
        severity,
        subject: place.about(SubjectKind::Tenant, tenant.id.as_str()),
        summary: format!("{} is a noisy neighbour on {}: {shares}; {summary}", tenant.id, place.name()),
        evidence,
        advice,
        statement,
        since: None,
        culprits: vec![tenant.id.clone()],
        victims,
        rests_on,
    })
}

/// What to do in words, and as SQL: what uses the server is cancelled, and not what waits for a lock. The words do not change
/// from poll to poll while what its sessions do does.
fn advice(place: &Place<'_>, tenant: &Tenant) -> (String, Option<String>) {
    let own: Vec<&Session> =
        place.sessions.iter().copied().filter(|it| it.attribution.strong() == Some(&tenant.id)).collect();
    let mut busy: Vec<&Session> = own.iter().copied().filter(|session| session.is_busy()).collect();
    busy.sort_by(|a, b| {
        let age = |session: &Session| session.query_age().unwrap_or_default();
        age(b).total_cmp(&age(a)).then(a.key.cmp(&b.key))
    });
    let blamed = if busy.is_empty() { &own } else { &busy };
    if let Some(role) = blamed.first().map(|session| session.role.raw())
        && blamed.iter().all(|session| place.owns_login(&tenant.id, session.role.raw()))
    {
        // A pool counts its idle sessions too: half of what it has halves what it can run, and leaves it working.
        let held = own.iter().filter(|session| session.role.raw() == role).count() as u32;
        let limit = (held / 2).max(1).min(tenant.limits.wanted.connection_limit.unwrap_or(u32::MAX));
        let promotion = if place.instance.tier == Tier::Shared { ", or promote it to dedicated" } else { "" };
        let words = format!(
            "Cancel what it runs; if it comes back, cap its login: ALTER ROLE {} CONNECTION LIMIT {limit} (half of its {held} \
             sessions; new sessions only), then end them{promotion}.",
            quoted(role)
        );
        return (words, Some(cancel_all(role)));
    }
    let why = remedy(place, &tenant.id, blamed, |_| String::new());
    (format!("Look at its sessions and cancel what can wait; {why}."), busy.first().copied().and_then(cancel))
}
