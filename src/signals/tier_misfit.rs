//! `tier-misfit`: a tenant that outgrew the shared instance, or that pays for one of its own without need. Judged by what
//! was stored over a day at the least, by the estate's own table (rows written a day) and by when sharing is no fit: load
//! that comes in bursts, neighbours that suffer again and again, data that no maintenance window moves. What compliance,
//! own keys or own backups ask for cannot be seen from here.

use crate::domain::facts::Source;
use crate::domain::quantity::{bytes, count, duration, plural};
use crate::domain::tenant::Settled;
use crate::domain::{Evidence, Record, Severity, Signal, SubjectKind, Tenant, Thresholds, Tier, Unit};

use super::prices::{Need, price};
use super::{Check, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct TierMisfit;

impl Check for TierMisfit {
    fn signal(&self) -> Signal {
        Signal::TierMisfit
    }

    fn about(&self) -> &'static str {
        "A shared tenant writes 1 M rows a day, bursts 10×, was noisy 3 times or has 100 GiB; or the reverse"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Tenant]
    }

    fn holds(&self) -> bool {
        false
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            if let Some(reason) = place.unseen() {
                verdicts.hidden(self.signal(), place, &reason);
                continue;
            }
            let (mut waiting, mut longest) = (0, Some(0.0_f64));
            for tenant in &place.tenants {
                match Fit::of(tenant, scene.thresholds) {
                    Some(fit) if fit.tier != tenant.tier => verdicts.raised.push(raise(scene, place, tenant, &fit)),
                    Some(_) => {}
                    None => {
                        waiting += 1;
                        let left = still_to_watch(tenant, scene.thresholds);
                        longest = longest.zip(left).map(|(longest, left)| longest.max(left));
                    }
                }
            }
            if waiting > 0 {
                let least = duration(scene.thresholds.tier_watched_seconds);
                let (who, signal) = (plural(waiting, "tenant"), self.signal());
                if scene.remembers {
                    let wait = longest.and_then(|seconds| jiff::SignedDuration::try_from_secs_f64(seconds).ok());
                    let known_at = wait.and_then(|wait| scene.now.checked_add(wait).ok());
                    let reason = format!("{who} watched for less than {least}");
                    verdicts.not_before(signal, place, reason, known_at);
                } else {
                    let reason = format!("{who} not watched for {least} by a console that keeps history");
                    verdicts.hidden(signal, place, &reason);
                }
            }
        }
    }
}

/// For how long a tenant has still to be watched; `None`: it was, and time alone does not help.
fn still_to_watch(tenant: &Tenant, thresholds: &Thresholds) -> Option<f64> {
    let watched = tenant.record.as_ref().map_or(0.0, |record| record.watched_seconds);
    Some(thresholds.tier_watched_seconds - watched).filter(|left| *left > 0.0)
}

/// The tier that a tenant's history asks for; `None`: it was not watched for long enough to say.
pub fn recommended(tenant: &Settled, thresholds: &Thresholds) -> Option<Tier> {
    Fit::of(tenant, thresholds).map(|fit| fit.tier)
}

/// Where a tenant belongs, and why.
struct Fit<'a> {
    tier: Tier,
    record: &'a Record,
    rows: f64,
    reasons: Vec<String>,
}

impl<'a> Fit<'a> {
    fn of(tenant: &'a Settled, thresholds: &Thresholds) -> Option<Self> {
        let record = tenant.record.as_deref()?;
        if record.watched_seconds < thresholds.tier_watched_seconds {
            return None;
        }
        let rows = record.rows_written_per_day?;
        let mut reasons = Vec::new();
        if rows >= thresholds.tier_rows_dedicated {
            reasons.push(format!("it writes {} rows a day", count(rows)));
        }
        // Bursts of next to nothing hurt nobody.
        if let Some(spikes) = record.spikiness.filter(|it| *it >= thresholds.tier_spikiness)
            && rows >= thresholds.tier_rows_shared
        {
            reasons.push(format!("its busiest hour is {spikes:.0}× the mean"));
        }
        if f64::from(record.noisy_times) >= thresholds.tier_noisy_times {
            reasons.push(format!("it was a noisy neighbour {}", plural(record.noisy_times as usize, "time")));
        }
        let size = tenant.size_bytes.filter(|size| *size as f64 >= thresholds.tier_size_bytes);
        reasons.extend(size.map(|size| format!("it has {}, more than a maintenance window moves", bytes(size))));
        let tier = if !reasons.is_empty() {
            Tier::Dedicated
        } else if rows < thresholds.tier_rows_shared {
            Tier::Shared
        } else {
            // Between the two both do: it stays where it is.
            tenant.tier
        };
        Some(Self { tier, record, rows, reasons })
    }
}

fn raise(scene: &Scene<'_>, place: &Place<'_>, tenant: &Tenant, fit: &Fit<'_>) -> Raised {
    let thresholds = scene.thresholds;
    let (id, name) = (&tenant.id, place.name());
    let Fit { record, rows, .. } = *fit;
    let up = fit.tier == Tier::Dedicated;
    let rows_limit = if up { thresholds.tier_rows_dedicated } else { thresholds.tier_rows_shared };
    let mut evidence = vec![Evidence::against("rows written a day", rows, rows_limit, Unit::Rows)];
    if up {
        let spikes = record.spikiness.map(|spikes| {
            Evidence::against("busiest hour, of the mean", spikes, thresholds.tier_spikiness, Unit::Ratio)
        });
        evidence.extend(spikes);
        let noisy = f64::from(record.noisy_times);
        evidence.push(Evidence::against("times noisy", noisy, thresholds.tier_noisy_times, Unit::Count));
        evidence.push(Evidence::fact("noisy for", record.noisy_seconds, Unit::Seconds));
        let size = tenant
            .size_bytes
            .map(|size| Evidence::against("size", size as f64, thresholds.tier_size_bytes, Unit::Bytes));
        evidence.extend(size);
    }
    evidence.push(Evidence::fact("watched for", record.watched_seconds, Unit::Seconds));
    let busy = tenant.series.iter().map(|(_, point)| f64::from(point.active)).fold(0.0, f64::max);
    let cost = price(Need { busy, size: tenant.size_bytes, steady: rows >= thresholds.tier_rows_dedicated });
    let cost = cost.map(|price| {
        evidence.push(Evidence::fact("instance of its own, USD a month (~)", price.usd_a_month.round(), Unit::Count));
        format!(
            "~${:.0} a month ({} with {:.0} GiB on demand, one zone, {}, prices of {})",
            price.usd_a_month, price.class, price.storage_gib, price.region, price.as_of
        )
    });
    let watched = duration(record.watched_seconds);
    let (summary, advice) = if up {
        let cost = cost.map(|cost| format!(" An instance of its own would cost {cost}.")).unwrap_or_default();
        (
            format!("{id} outgrew {name}: {} (over {watched})", fit.reasons.join("; ")),
            format!("Plan its promotion to a dedicated instance in a maintenance window.{cost}"),
        )
    } else {
        let cost = cost.map(|cost| format!(", which costs {cost}")).unwrap_or_default();
        (
            format!(
                "{id} would fit a shared instance: it writes {} rows a day on {name} (over {watched})",
                count(rows)
            ),
            format!(
                "Unless compliance, own keys or own backups keep it there, it does not need an instance of its own{cost}."
            ),
        )
    };
    Raised {
        severity: if up { Severity::Warning } else { Severity::Info },
        subject: place.about(SubjectKind::Tenant, id.as_str()),
        summary,
        evidence,
        advice,
        statement: None,
        since: None,
        culprits: vec![id.clone()],
        victims: Vec::new(),
        rests_on: vec![Source::Churn],
    }
}
