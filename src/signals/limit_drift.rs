//! `limit-drift`: a login's limit is not the one that the policy wants.

use crate::domain::facts::Source;
use crate::domain::{Signal, SubjectKind};

use super::login_limits::logins;
use super::{Check, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct LimitDrift;

impl Check for LimitDrift {
    fn signal(&self) -> Signal {
        Signal::LimitDrift
    }

    fn about(&self) -> &'static str {
        "A login's limit differs from [policy]: warning where it allows more connections, else info"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Tenant, SubjectKind::Role]
    }

    fn holds(&self) -> bool {
        false
    }

    fn grounds(&self) -> Option<&'static [Source]> {
        Some(&[Source::Roles])
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for login in logins(scene, places, self.signal(), verdicts, |it| !it.is_missing()) {
            let drift = login.differences.iter();
            let drift = drift.map(|it| format!("{} is {}, wanted {}", it.name, it.effective_text, it.wanted_text));
            let drift = drift.collect::<Vec<_>>().join(", ");
            let throttle = login.tenant.as_ref().and_then(|tenant| scene.throttle(tenant));
            let aside =
                throttle.map_or(String::new(), |it| format!("; throttled on purpose: {} of {}", it.id, it.operator));
            let summary = format!("{} on {}: {drift}{aside}", login.who, login.subject.instance);
            let raised = login.raised(summary).map(|raised| match throttle {
                // Set by hand, the way back would be lost: the operation remembers what was there.
                Some(throttle) => {
                    let advice = format!("What was there comes back by tierdeck ops rollback {}.", throttle.id);
                    Raised { advice, statement: None, ..raised }
                }
                None => raised,
            });
            verdicts.raised.extend(raised);
        }
    }
}
