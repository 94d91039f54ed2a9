//! `restart`: the server was started a few minutes ago: why everybody reconnects, why everything is read from disk, why
//! counters begin anew. A warning where it happened while we watched; a console that comes later tells it as news. And that
//! it will be: what RDS announces, and a certificate that ends.

use crate::domain::facts::Source;
use crate::domain::quantity::{duration, plural};
use crate::domain::{Evidence, Severity, Signal, SubjectKind, Unit};

use super::restart_ahead::ahead;
use super::told::Told;
use super::{Check, Place, Raised, Scene, Verdicts};

/// How many of those who are back a sentence names.
const NAMED: usize = 3;

/// The check.
#[derive(Debug)]
pub(super) struct Restart;

impl Check for Restart {
    fn signal(&self) -> Signal {
        Signal::Restart
    }

    fn about(&self) -> &'static str {
        "It restarted less than 15 minutes ago (a warning where we saw it), RDS will, or its certificate ends"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Instance]
    }

    fn holds(&self) -> bool {
        false
    }

    fn lingers(&self) -> bool {
        false
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let announced = Told::of(self.signal(), scene, place, verdicts)
                .and_then(|told| Some((told, told.rds(self.signal(), verdicts)?)))
                .and_then(|(told, rds)| ahead(scene, told, rds));
            let started = started(scene, place, verdicts);
            // One thing is said of an instance: the worse, and of equals what has happened.
            verdicts.raised.extend(announced.into_iter().chain(started).max_by_key(|it| it.severity));
        }
    }
}

/// What the server says of its own start.
fn started(scene: &Scene<'_>, place: &Place<'_>, verdicts: &mut Verdicts) -> Option<Raised> {
    let activity = &place.instance.activity;
    verdicts.seen(Signal::Restart, place, Source::Activity, activity, scene.now)?;
    let Some(server) = &place.instance.server else {
        let reason = "the server has not said yet when it was started";
        verdicts.doubt(Signal::Restart, place, Source::Activity, reason);
        return None;
    };
    // By its own clock, where it said what that shows: ours may be an hour behind, and every server new.
    let now = place.sessions.first().map_or(scene.now, |session| session.server_now);
    let age = now.duration_since(server.started_at).as_secs_f64().max(0.0);
    raise(scene, place, server.started_at, age)
}

fn raise(scene: &Scene<'_>, place: &Place<'_>, started: jiff::Timestamp, age: f64) -> Option<Raised> {
    let thresholds = scene.thresholds;
    let seen = place.instance.restarted;
    let (severity, limit) = if seen && age <= thresholds.restart_warning_seconds {
        (Severity::Warning, thresholds.restart_warning_seconds)
    } else if age <= thresholds.restart_info_seconds {
        (Severity::Info, thresholds.restart_info_seconds)
    } else {
        return None;
    };
    let mut back: Vec<_> = place.by_tenant().into_iter().map(|(tenant, held)| (held.len(), tenant)).collect();
    back.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(other.1)));
    let most: Vec<String> = back.iter().take(NAMED).map(|(held, tenant)| format!("{tenant} {held}")).collect();
    let of = if most.is_empty() { String::new() } else { format!(", most of {}", most.join(", ")) };
    let connections = place.sessions.len();
    Some(Raised {
        severity,
        subject: place.subject(),
        summary: format!(
            "{} was started {} ago: {} back{of}",
            place.name(),
            duration(age),
            plural(connections, "connection").replace("1 connection", "1 connection is").replace("connections", "connections are")
        ),
        evidence: vec![
            Evidence::fact("time since the start", age, Unit::Seconds),
            Evidence::fact("worth knowing for", limit, Unit::Seconds),
            Evidence::fact("connections", connections as f64, Unit::Count),
        ],
        advice: "Find out why (RDS events, the last lines of the log before it); for a while everything is read from disk, and \
                 after a crash counters of dead rows begin anew: ANALYZE what autovacuum must not miss."
            .to_owned(),
        statement: None,
        since: Some(started.into()),
        culprits: Vec::new(),
        victims: Vec::new(),
        rests_on: vec![Source::Activity],
    })
}
