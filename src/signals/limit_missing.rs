//! `limit-missing`: a login without a limit that the policy wants.

use crate::domain::facts::Source;
use crate::domain::{Signal, SubjectKind};

use super::login_limits::{Difference, logins};
use super::{Check, Place, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct LimitMissing;

impl Check for LimitMissing {
    fn signal(&self) -> Signal {
        Signal::LimitMissing
    }

    fn about(&self) -> &'static str {
        "A login lacks a limit of [policy]: warning for CONNECTION LIMIT (40), info for a timeout"
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
        for login in logins(scene, places, self.signal(), verdicts, Difference::is_missing) {
            let lacks = login.differences.iter().map(|it| format!("{} ({})", it.name, it.wanted_text));
            let lacks = lacks.collect::<Vec<_>>().join(", ");
            let summary = format!("{} on {} lacks {lacks}", login.who, login.subject.instance);
            verdicts.raised.extend(login.raised(summary));
        }
    }
}
