//! `audit-missing`: nobody writes down who did what: `pgaudit` is not loaded, or told to log nothing.

use crate::domain::facts::Source;
use crate::domain::{Evidence, Severity, Signal, SubjectKind, Unit};

use super::words::quoted;
use super::{Check, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct AuditMissing;

impl Check for AuditMissing {
    fn signal(&self) -> Signal {
        Signal::AuditMissing
    }

    fn about(&self) -> &'static str {
        "pgaudit is not loaded, or pgaudit.log is empty: info"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Instance]
    }

    fn holds(&self) -> bool {
        false
    }

    fn grounds(&self) -> Option<&'static [Source]> {
        Some(&[Source::Catalog])
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let observed = &place.instance.catalog;
            let Some(catalog) = verdicts.seen(self.signal(), place, Source::Catalog, observed, scene.now) else {
                continue;
            };
            let logs = catalog.audit.log.as_deref().is_some_and(|log| !matches!(log.trim(), "" | "none"));
            match catalog.audit.loaded {
                None => {
                    let reason = "our login may not see shared_preload_libraries: GRANT pg_monitor to it";
                    verdicts.hidden(self.signal(), place, reason);
                }
                Some(true) if logs => {}
                Some(loaded) => verdicts.raised.push(raise(place, loaded)),
            }
        }
    }
}

fn raise(place: &Place<'_>, loaded: bool) -> Raised {
    let name = place.name();
    let database = place.instance.server.as_ref().map(|server| server.database.clone()).unwrap_or_default();
    let (what, advice, statement) = if loaded {
        (
            "pgaudit.log is empty",
            format!(
                "Say what is to be logged: DDL and rights at the least, here in {database}; on RDS the parameter group sets it for all."
            ),
            Some(format!("ALTER DATABASE {} SET pgaudit.log = 'ddl, role';", quoted(database.raw()))),
        )
    } else {
        (
            "pgaudit is not loaded",
            "Add pgaudit to shared_preload_libraries (on RDS in the parameter group; it takes a restart), then CREATE EXTENSION \
             pgaudit and set pgaudit.log."
                .to_owned(),
            None,
        )
    };
    Raised {
        severity: Severity::Info,
        subject: place.subject(),
        summary: format!("nobody writes down who does what on {name}: {what}"),
        evidence: vec![Evidence::fact("classes of statements that are logged", 0.0, Unit::Count)],
        advice,
        statement,
        since: None,
        culprits: Vec::new(),
        victims: Vec::new(),
        rests_on: vec![Source::Catalog],
    }
}
