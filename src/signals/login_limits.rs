//! Limits of a login beside those wanted, where they bind: what `limit-missing` and `limit-drift` share.

use std::time::Duration;

use crate::domain::facts::Source;
use crate::domain::snapshot::{LimitScope, TenantLimits};
use crate::domain::{Evidence, Limits, Severity, Signal, Subject, SubjectKind, TenantId, Tier, Unit, Unknown, foreign};

use super::words::{quoted, setting};
use super::{Doubt, Place, Raised, Scene, Verdicts};

/// One limit that is not what it should be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Difference {
    /// As the operator reads it.
    pub name: &'static str,
    /// In effect; `None` where there is no limit at all.
    pub effective: Option<f64>,
    /// Wanted, as a number and as PostgreSQL takes it.
    pub wanted: f64,
    pub wanted_text: String,
    /// In effect, as PostgreSQL says it.
    pub effective_text: String,
    /// What sets it, behind `ALTER ROLE x`.
    pub statement: String,
    pub unit: Unit,
}

impl Difference {
    pub fn is_missing(&self) -> bool {
        self.effective.is_none()
    }

    /// A connection limit that allows more than it should endangers the others; the rest is worth knowing.
    pub fn severity(&self) -> Severity {
        let loose = self.effective.is_none_or(|effective| effective > self.wanted);
        if self.unit == Unit::Count && loose { Severity::Warning } else { Severity::Info }
    }
}

/// One login whose limits are not what they should be.
#[derive(Debug)]
pub(super) struct Login {
    pub subject: Subject,
    /// `acme (role_acme)`, or the shared account.
    pub who: String,
    /// As it stands in SQL.
    pub role: String,
    pub differences: Vec<Difference>,
    pub tenant: Option<TenantId>,
}

impl Login {
    /// Without the differences whose effective side is not known: those are doubts, not findings.
    fn known(mut self, signal: Signal, verdicts: &mut Verdicts, unknown: &[&str]) -> Self {
        let (hidden, known): (Vec<_>, Vec<_>) = self.differences.into_iter().partition(|it| unknown.contains(&it.name));
        self.differences = known;
        if !hidden.is_empty() {
            let names = hidden.iter().map(|it| it.name).collect::<Vec<_>>().join(", ");
            let reason = format!("{names} of {} cannot be found out", self.who);
            let unknown = Unknown { signal, subject: self.subject.clone(), reason, known_at: None };
            verdicts.doubts.push(Doubt::of(unknown, Some(Source::Roles)));
        }
        self
    }

    /// The finding about these differences.
    pub fn raised(self, summary: String) -> Option<Raised> {
        let severity = self.differences.iter().map(Difference::severity).max()?;
        let evidence = self.differences.iter().map(|it| match it.effective {
            Some(effective) => Evidence::against(it.name, effective, it.wanted, it.unit),
            // No limit is not a number: only what is wanted can be said.
            None => Evidence::fact(format!("{} wanted", it.name), it.wanted, it.unit),
        });
        let evidence = evidence.collect();
        let sql = self.differences.iter().map(|it| format!("ALTER ROLE {} {}", self.role, it.statement));
        let sql = sql.map(|sql| format!("{sql};")).collect::<Vec<_>>().join(" ");
        Some(Raised {
            severity,
            subject: self.subject,
            summary,
            evidence,
            advice: "Set it as the policy has it; that reaches new sessions only.".to_owned(),
            statement: Some(sql),
            since: None,
            culprits: self.tenant.into_iter().collect(),
            victims: Vec::new(),
            rests_on: vec![Source::Roles],
        })
    }
}

/// The limits that are not, or may not be, as wanted; what is not wanted is not judged. A timeout of 0 is none.
fn differences(limits: &TenantLimits, wanted: &Limits) -> Vec<Difference> {
    let mut found = Vec::new();
    let (effective, unknown) = (&limits.effective, &limits.unknown);
    if let Some(limit) = wanted.connection_limit
        && effective.connection_limit != Some(limit)
    {
        found.push(Difference {
            name: "CONNECTION LIMIT",
            effective: effective.connection_limit.map(f64::from),
            wanted: f64::from(limit),
            wanted_text: limit.to_string(),
            effective_text: effective.connection_limit.map(|it| it.to_string()).unwrap_or_default(),
            statement: format!("CONNECTION LIMIT {limit}"),
            unit: Unit::Count,
        });
    }
    let set = |time: Option<Duration>| time.filter(|time| !time.is_zero());
    for (name, effective, wanted) in [
        ("statement_timeout", effective.statement_timeout, wanted.statement_timeout),
        ("lock_timeout", effective.lock_timeout, wanted.lock_timeout),
        (
            "idle_in_transaction_session_timeout",
            effective.idle_in_transaction_session_timeout,
            wanted.idle_in_transaction_session_timeout,
        ),
    ] {
        if let Some(wanted) = wanted
            && (set(effective) != set(Some(wanted)) || unknown.contains(&name))
        {
            found.push(Difference {
                name,
                effective: set(effective).map(|time| time.as_secs_f64()),
                wanted: wanted.as_secs_f64(),
                wanted_text: setting(wanted),
                effective_text: setting(effective.unwrap_or_default()),
                statement: format!("SET {name} = '{}'", setting(wanted)),
                unit: Unit::Seconds,
            });
        }
    }
    found
}

/// Every login whose limits differ in the way asked for. The shared account is judged once, by its timeouts: how many
/// connections all tenants together may have is no tenant's policy.
pub(super) fn logins(
    scene: &Scene<'_>,
    places: &[Place<'_>],
    signal: Signal,
    verdicts: &mut Verdicts,
    wrong: impl Fn(&Difference) -> bool,
) -> Vec<Login> {
    let mut found = Vec::new();
    for place in places {
        if verdicts.seen(signal, place, Source::Roles, &place.instance.roles, scene.now).is_none() {
            continue;
        }
        found.extend(service_account(scene, place).map(|(login, unknown)| login.known(signal, verdicts, unknown)));
        for tenant in place.tenants.iter().filter(|tenant| tenant.limit_scope == LimitScope::Tenant) {
            let Some(login) = &tenant.limits.login else {
                if tenant.limits.wanted != Limits::default() {
                    let subject = place.about(SubjectKind::Tenant, tenant.id.as_str());
                    let reason = format!("the login of {} was not found among the roles", tenant.id);
                    let unknown = Unknown { signal, subject, reason, known_at: None };
                    verdicts.doubts.push(Doubt::of(unknown, Some(Source::Roles)));
                }
                continue;
            };
            // Mostly there is none, and nothing needs a name.
            let mut differences = differences(&tenant.limits, &tenant.limits.wanted);
            differences.retain(|it| wrong(it) || tenant.limits.unknown.contains(&it.name));
            if differences.is_empty() {
                continue;
            }
            let login = Login {
                subject: place.about(SubjectKind::Tenant, tenant.id.as_str()),
                who: format!("{} ({})", tenant.id, login.shown()),
                role: quoted(login.raw()).into_owned(),
                differences,
                tenant: Some(tenant.id.clone()),
            };
            found.push(login.known(signal, verdicts, &tenant.limits.unknown));
        }
    }
    for login in &mut found {
        login.differences.retain(&wrong);
    }
    found.retain(|login| !login.differences.is_empty());
    found
}

/// The shared account, and the settings whose value for it is not known.
fn service_account<'a>(scene: &Scene<'_>, place: &Place<'a>) -> Option<(Login, &'a [&'static str])> {
    let behind = place.tenants.iter().find(|tenant| tenant.limit_scope == LimitScope::ServiceAccount)?;
    let policy = match place.instance.tier {
        Tier::Shared => scene.policy.shared,
        Tier::Dedicated => scene.policy.dedicated,
    };
    let wanted = Limits { connection_limit: None, ..policy };
    let account = place.service_account();
    let login = Login {
        subject: place.about(SubjectKind::Role, account),
        who: format!("shared account {}", foreign::sanitise(account)),
        role: quoted(account).into_owned(),
        // All tenants behind it have one login, and so the same limits in effect.
        differences: differences(&behind.limits, &wanted),
        tenant: None,
    };
    Some((login, &behind.limits.unknown))
}
