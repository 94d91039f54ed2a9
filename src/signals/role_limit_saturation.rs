//! `role-limit-saturation`: a login comes near its own `CONNECTION LIMIT`. Logins without a limit are not judged.

use std::collections::HashMap;

use crate::domain::facts::Source;
use crate::domain::policy::Ladder;
use crate::domain::quantity::{percent, plural};
use crate::domain::snapshot::LimitScope;
use crate::domain::{Evidence, Session, SessionState, Severity, Signal, SubjectKind, TenantId, Unit};

use super::words::{end_idle, quoted};
use super::{Check, Place, Raised, Scene, Verdicts};

/// A limit of at most this part of what the policy wants is no mistake.
const THROTTLED: f64 = 0.5;

/// The check.
#[derive(Debug)]
pub(super) struct RoleLimitSaturation;

impl Check for RoleLimitSaturation {
    fn signal(&self) -> Signal {
        Signal::RoleLimitSaturation
    }

    fn about(&self) -> &'static str {
        "A login comes near its CONNECTION LIMIT: 80% of it; critical when none is left, info when throttled"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Role]
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let instance = place.instance;
            let signal = self.signal();
            if verdicts.seen(signal, place, Source::Activity, &instance.activity, scene.now).is_none() {
                continue;
            }
            let Some(roles) = verdicts.seen(signal, place, Source::Roles, &instance.roles, scene.now) else {
                continue;
            };
            let sessions: HashMap<_, _> = place.by_role().into_iter().collect();
            for role in &roles.roles {
                // A limit of 0 shuts a login out on purpose: nothing runs full.
                let Some(limit) = role.connection_limit.filter(|&limit| limit > 0 && role.can_login && !role.superuser)
                else {
                    continue;
                };
                let held = sessions.get(role.name.raw()).map_or(&[][..], Vec::as_slice);
                let share = held.len() as f64 / f64::from(limit);
                let ladder = scene.thresholds.role_limit;
                let Some((severity, _)) = ladder.rung(share) else { continue };
                if let Some(of) = throttled(place, role.name.raw(), limit) {
                    verdicts.raised.push(held_down(scene, place, of, (role.name.raw(), limit), held.len()));
                } else {
                    verdicts.raised.push(raise(place, role.name.raw(), limit, held, severity, ladder));
                }
            }
        }
    }
}

/// Whose login it is and what the policy wants for it, where the limit is so far below that somebody set it to hold that
/// tenant down: that it is used up is what it is for.
fn throttled<'a>(place: &Place<'a>, role: &str, limit: u32) -> Option<(&'a TenantId, u32)> {
    let tenant = place.login_owner(role)?;
    let wanted = tenant.limits.wanted.connection_limit?;
    (f64::from(limit) <= f64::from(wanted) * THROTTLED).then_some((&tenant.id, wanted))
}

fn held_down(
    scene: &Scene<'_>,
    place: &Place<'_>,
    (tenant, wanted): (&TenantId, u32),
    (role, limit): (&str, u32),
    used: usize,
) -> Raised {
    let login = quoted(role);
    let lift = format!("ALTER ROLE {login} CONNECTION LIMIT {wanted}");
    let (advice, statement) = match scene.throttle(tenant) {
        // Set by hand, the way back would be lost: the operation remembers what was there.
        Some(by) => (
            format!("{} did it on purpose; when its cause is gone: tierdeck ops rollback {}.", by.operator, by.id),
            None,
        ),
        None => (
            format!("That looks deliberate; when its cause is gone, lift it: {lift} (new sessions only)."),
            Some(format!("{lift};")),
        ),
    };
    Raised {
        severity: Severity::Info,
        subject: place.about(SubjectKind::Role, role),
        summary: format!(
            "{tenant} is throttled on {}: {login} may have {limit} of the {wanted} connections of its policy, and uses {used}",
            place.name()
        ),
        evidence: vec![
            Evidence::against("CONNECTION LIMIT", f64::from(limit), f64::from(wanted), Unit::Count),
            Evidence::fact("sessions", used as f64, Unit::Count),
        ],
        advice,
        statement,
        since: None,
        culprits: vec![tenant.clone()],
        victims: Vec::new(),
        rests_on: vec![Source::Activity, Source::Roles],
    }
}

fn raise(place: &Place<'_>, role: &str, limit: u32, held: &[&Session], severity: Severity, ladder: Ladder) -> Raised {
    let instance = place.name();
    let used = held.len();
    let share = used as f64 / f64::from(limit);
    let login = quoted(role);
    let next = if used as f64 >= f64::from(limit) { "are refused" } else { "are refused next" };
    let owner = place.login_owner(role).map(|tenant| tenant.id.clone());
    let mut evidence = vec![
        Evidence::on("connections used of the limit", share, ladder, Unit::Ratio),
        Evidence::fact("sessions", used as f64, Unit::Count),
        Evidence::fact("CONNECTION LIMIT", f64::from(limit), Unit::Count),
    ];
    let mut victims: Vec<TenantId> = Vec::new();
    let summary = if let Some(tenant) = &owner {
        format!(
            "{tenant} uses {used} of {login}'s {limit} connections ({}) on {instance}: its new sessions {next}",
            percent(share)
        )
    } else if place.is_service_account(role) {
        let behind = place.tenants.iter().filter(|tenant| tenant.limit_scope == LimitScope::ServiceAccount);
        victims.extend(behind.map(|tenant| tenant.id.clone()));
        let mut clauses = vec![format!(
            "shared account {login} uses {used} of {limit} connections ({}) on {instance}: {} behind it {next}",
            percent(share),
            plural(victims.len(), "tenant"),
        )];
        let mut counts = std::collections::BTreeMap::new();
        for tenant in held.iter().filter_map(|session| session.attribution.strong()) {
            *counts.entry(tenant).or_insert(0_usize) += 1;
        }
        if let Some((tenant, count)) = counts.into_iter().max_by_key(|(_, count)| *count) {
            let part = count as f64 / used.max(1) as f64;
            clauses.push(format!("{tenant} holds most ({count})"));
            evidence.push(Evidence::fact(format!("share held by {tenant}"), part, Unit::Ratio));
        }
        clauses.join("; ")
    } else {
        format!(
            "login {login} uses {used} of its {limit} connections ({}) on {instance}: its new sessions {next}",
            percent(share)
        )
    };
    let idle = held.iter().any(|session| session.state == SessionState::Idle);
    let first = if idle {
        "End what has been idle for long"
    } else {
        "No session is idle: look at what they run and why they pile up"
    };
    Raised {
        severity,
        subject: place.about(SubjectKind::Role, role),
        summary,
        evidence,
        advice: format!("{first}; raise the limit only if the instance has room (it reaches new sessions only)."),
        statement: idle.then(|| end_idle(role)),
        since: None,
        culprits: owner.into_iter().collect(),
        victims,
        rests_on: vec![Source::Activity, Source::Roles],
    }
}
