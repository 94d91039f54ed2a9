//! Who causes what a whole instance suffers from: the tenant of a dedicated one; of a shared one whoever takes most of just what
//! is short, in the same minutes, and only who takes far too much of that is blamed. Who takes most of something else, or of the
//! last minute where the trouble took hours, is a hint and no culprit.

use crate::domain::facts::cloud::{Claim, claim};
use crate::domain::quantity::percent;
use crate::domain::snapshot::Noise;
use crate::domain::{TenantId, Tier};

use super::{Place, Scene};

/// Who takes less is not worth a word.
const LEAST: f64 = 0.1;

/// A part that a tenant takes of something.
pub(super) type Part = (&'static str, fn(&Noise) -> Option<f64>);

/// Of the time that sessions were busy.
pub(super) const ACTIVE: Part = ("active time", |noise| noise.active_time);
/// Of what is read from the disk.
pub(super) const READS: Part = ("blocks read", |noise| noise.blocks_read);
/// Of what is written to it.
pub(super) const WRITES: Part = ("rows written", |noise| noise.rows_written);

/// Who it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Blame {
    /// `; acme takes 71% of active time`; empty where nobody stands out.
    pub words: String,
    /// Who is to look at first.
    pub first: Option<TenantId>,
    /// Who causes it, by strong evidence.
    pub culprits: Vec<TenantId>,
}

impl Blame {
    /// Of what is short right now: by the first of these parts of it that anybody takes much of.
    pub fn of(scene: &Scene<'_>, place: &Place<'_>, parts: &[Part]) -> Self {
        if let Some(own) = Self::of_its_own(place) {
            return own;
        }
        let Some((share, of, tenant)) = most(place, parts) else { return Self::default() };
        Self {
            words: format!("; {tenant} takes {} of {of}", percent(share)),
            first: Some(tenant.clone()),
            culprits: if share >= scene.thresholds.noisy_share { vec![tenant.clone()] } else { Vec::new() },
        }
    }

    /// Whom to look at first where nobody's part of what is short is known, or not of the time in which it became so.
    pub fn hint(place: &Place<'_>, parts: &[Part]) -> Self {
        if let Some(own) = Self::of_its_own(place) {
            return own;
        }
        let Some((share, of, tenant)) = most(place, parts) else { return Self::default() };
        Self {
            words: format!("; in the last minute {tenant} took {} of {of}", percent(share)),
            first: Some(tenant.clone()),
            culprits: Vec::new(),
        }
    }

    /// On an instance of its own a tenant causes whatever it is.
    fn of_its_own(place: &Place<'_>) -> Option<Self> {
        let tenant = sole(place)?;
        Some(Self { words: String::new(), first: Some(tenant.clone()), culprits: vec![tenant] })
    }

    /// `Look at what acme runs` or, where nobody stands out, at what runs.
    pub fn look(&self) -> String {
        match &self.first {
            Some(tenant) => format!("Look at what {tenant} runs (its statements)"),
            None => "Look at what runs (sessions, statements)".to_owned(),
        }
    }
}

/// Who takes most of the first of these that anybody takes much of.
fn most<'a>(place: &Place<'a>, parts: &[Part]) -> Option<(f64, &'static str, &'a TenantId)> {
    parts.iter().find_map(|(of, part)| {
        let taken = place.tenants.iter().filter_map(|tenant| Some((part(&tenant.noise)?, &tenant.id)));
        let (share, tenant) = taken.max_by(|one, other| one.0.total_cmp(&other.0).then(other.1.cmp(one.1)))?;
        (share >= LEAST).then_some((share, *of, tenant))
    })
}

/// Whose an instance is, where it is one tenant's: by who lives there, or by its tags.
pub(super) fn sole(place: &Place<'_>) -> Option<TenantId> {
    if place.instance.tier != Tier::Dedicated {
        return None;
    }
    match place.tenants.as_slice() {
        [only] => Some(only.id.clone()),
        _ => match claim(&place.instance.cloud.as_ref()?.rds.value.as_ref()?.tags) {
            Claim::Dedicated(tenant) => tenant,
            Claim::Nothing => None,
        },
    }
}

/// `shared`, or `portarium-prod-acme-db of acme`.
pub(super) fn named(place: &Place<'_>) -> String {
    match sole(place) {
        Some(tenant) => format!("{} of {tenant}", place.name()),
        None => place.name().to_string(),
    }
}
