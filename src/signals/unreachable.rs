//! `unreachable`: an instance that cannot be polled, or that lets us in and shows nothing.

use crate::domain::facts::Source;
use crate::domain::facts::cloud::Standing;
use crate::domain::observed::Trouble;
use crate::domain::snapshot::Reach;
use crate::domain::{Evidence, Onset, Severity, Signal, SubjectKind, Unit, Unknown, foreign, quantity};

use super::blame::{named, sole};
use super::told::command;
use super::{Check, Doubt, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct Unreachable;

impl Check for Unreachable {
    fn signal(&self) -> Signal {
        Signal::Unreachable
    }

    fn about(&self) -> &'static str {
        "An instance is not reached, its sessions cannot be read, or RDS says it is down. Critical at once."
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
            let name = place.name();
            if let Some(trouble) = place.instance.blind() {
                verdicts.raised.push(blind(place, trouble));
                continue;
            }
            match &place.instance.reach {
                Reach::Up => {}
                // Nobody tries, and that is as it should be: what was an outage before is none any more. What all other
                // signals cannot judge they say themselves, with the reason.
                Reach::Apart(_) => {
                    let raised = by_rds(scene, place, verdicts);
                    verdicts.raised.extend(raised);
                }
                Reach::Connecting => {
                    let reason = "the first connection is still being made".to_owned();
                    let (signal, subject) = (self.signal(), place.subject());
                    verdicts.doubts.push(Doubt::of(Unknown { signal, subject, reason, known_at: None }, None));
                }
                // A server that is full answers: connection-saturation says so, in better words.
                Reach::Down { trouble, .. } if trouble.is_server_full() => {}
                Reach::Down { since, trouble } => {
                    let seconds = scene.now.duration_since(*since).as_secs_f64().max(0.0);
                    verdicts.raised.push(Raised {
                        severity: Severity::Critical,
                        subject: place.subject(),
                        summary: match place.tenants.len() {
                            0 => format!("{name} cannot be polled: {}", brief(&trouble.message)),
                            count => format!(
                                "{name} cannot be polled: {}; nothing is known of its {}",
                                brief(&trouble.message),
                                quantity::plural(count, "tenant"),
                            ),
                        },
                        evidence: vec![Evidence::fact("not reached for", seconds, Unit::Seconds)],
                        advice: format!(
                            "Check whether {name} runs and accepts the monitoring login (tierdeck doctor says what fails); \
                             polling goes on by itself."
                        ),
                        statement: None,
                        since: Some(Onset::seen(*since)),
                        culprits: Vec::new(),
                        victims: Vec::new(),
                        rests_on: vec![Source::Activity],
                    });
                }
            }
        }
    }
}

/// Nobody polls its PostgreSQL: then RDS's word that it does not serve is all there is. That its storage is full `storage` says.
fn by_rds(scene: &Scene<'_>, place: &Place<'_>, verdicts: &mut Verdicts) -> Option<Raised> {
    let cloud = place.instance.cloud.as_deref()?;
    let rds = verdicts.told(Signal::Unreachable, place, Source::Rds, &cloud.rds, scene.now)?;
    let doing = rds.doing().filter(|it| it.standing == Standing::Hurt && rds.status.raw() != "storage-full")?;
    let of = [("--source-identifier", &*cloud.identifier), ("--source-type", "db-instance"), ("--duration", "1440")];
    Some(Raised {
        severity: Severity::Critical,
        subject: place.subject(),
        summary: format!("RDS says that {} is {}: {}", named(place), sanitised(rds.status.raw()), doing.means),
        evidence: vec![Evidence::against("does not serve, by RDS", 1.0, 1.0, Unit::Count)],
        advice: format!("See what happened to it: {}.", command(cloud, "rds describe-events", &of)),
        statement: None,
        since: None,
        culprits: Vec::new(),
        victims: sole(place).into_iter().collect(),
        rests_on: vec![Source::Rds],
    })
}

fn sanitised(status: &str) -> String {
    foreign::sanitise(status).chars().take(50).collect()
}

/// Connected, and nothing is to be seen: for the tenants' sake as bad as no connection.
fn blind(place: &Place<'_>, trouble: &Trouble) -> Raised {
    let name = place.name();
    Raised {
        severity: Severity::Critical,
        subject: place.subject(),
        summary: format!("connected to {name}, but its sessions cannot be read: {}", brief(&trouble.message)),
        evidence: vec![Evidence::fact("times that its sessions were read", 0.0, Unit::Count)],
        advice: format!(
            "Find out why {name} does not answer the monitoring login (tierdeck doctor says what fails); polling goes on by \
             itself."
        ),
        statement: None,
        since: None,
        culprits: Vec::new(),
        victims: Vec::new(),
        rests_on: vec![Source::Activity],
    }
}

/// As much of a message as a sentence bears: the header and `doctor` show all of it.
fn brief(message: &str) -> String {
    const LONGEST: usize = 100;
    let safe = foreign::sanitise(message.trim_end_matches('.'));
    if safe.chars().count() <= LONGEST {
        return safe.into_owned();
    }
    safe.chars().take(LONGEST - 1).chain(['…']).collect()
}
