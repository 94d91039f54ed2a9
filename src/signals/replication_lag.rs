//! `replication-lag`: a standby is behind, in time or in WAL. Told by the primary of each of its standbys, and by a standby
//! of itself: there, time alone says nothing, because with nothing to replay it passes too. Where PostgreSQL does not say,
//! CloudWatch may: of a replica, and of the slowest slot of a primary.

use crate::domain::facts::cloud::Metric;
use crate::domain::facts::{Recovery, Source, Standby};
use crate::domain::quantity::{bytes, duration};
use crate::domain::{Evidence, Severity, Signal, SubjectKind, Unit};

use super::told::{Figures, Told};
use super::{Check, Place, Raised, Scene, Verdicts};

/// The check.
#[derive(Debug)]
pub(super) struct ReplicationLag;

impl Check for ReplicationLag {
    fn signal(&self) -> Signal {
        Signal::ReplicationLag
    }

    fn about(&self) -> &'static str {
        "A standby is behind by 1 minute or 512 MiB of WAL; critical at 10 minutes or 5 GiB"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Standby, SubjectKind::Instance]
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let observed = &place.instance.replication;
            let Some(replication) = verdicts.seen(self.signal(), place, Source::Replication, observed, scene.now)
            else {
                if Told::of(self.signal(), scene, place, verdicts).is_some() {
                    verdicts.raised.extend(by_cloudwatch(scene, place));
                }
                continue;
            };
            // A base backup reads once and follows nobody.
            let followers: Vec<&Standby> =
                replication.standbys.iter().filter(|standby| &*standby.state != "backup").collect();
            let hidden = |it: &&&Standby| it.lag_bytes.is_none() && it.lag_seconds.is_none() && it.state.is_empty();
            if followers.iter().any(|standby| hidden(&standby)) {
                verdicts.hidden(
                    self.signal(),
                    place,
                    "our login may not see how far standbys are: GRANT pg_monitor to it",
                );
            }
            for standby in &followers {
                let alike = followers.iter().filter(|other| other.application == standby.application).count();
                verdicts.raised.extend(behind(scene, place, standby, alike > 1));
            }
            if let Some(recovery) = &replication.recovery {
                verdicts.raised.extend(own(scene, place, *recovery));
            }
        }
    }
}

/// How bad, with the numbers; `None` where neither time nor bytes are too many.
fn judged(scene: &Scene<'_>, seconds: Option<f64>, behind: Option<u64>) -> Option<(Severity, Vec<Evidence>)> {
    let thresholds = scene.thresholds;
    let behind = behind.map(|behind| behind as f64);
    let by_time = seconds.and_then(|seconds| thresholds.replication_lag_seconds.rung(seconds));
    let by_bytes = behind.and_then(|behind| thresholds.replication_lag_bytes.rung(behind));
    let severity = by_time.into_iter().chain(by_bytes).map(|(severity, _)| severity).max()?;
    let seconds =
        seconds.map(|it| Evidence::on("behind in time", it, thresholds.replication_lag_seconds, Unit::Seconds));
    let behind = behind.map(|it| Evidence::on("behind in WAL", it, thresholds.replication_lag_bytes, Unit::Bytes));
    Some((severity, seconds.into_iter().chain(behind).collect()))
}

/// `12s and 700 MiB of WAL`
fn lag(seconds: Option<f64>, behind: Option<u64>) -> String {
    let seconds = seconds.map(duration);
    let behind = behind.map(|behind| format!("{} of WAL", bytes(behind)));
    seconds.into_iter().chain(behind).collect::<Vec<_>>().join(" and ")
}

fn behind(scene: &Scene<'_>, place: &Place<'_>, standby: &Standby, by_address: bool) -> Option<Raised> {
    let (severity, evidence) = judged(scene, standby.lag_seconds, standby.lag_bytes)?;
    let name = match (&standby.client, by_address) {
        (Some(client), true) => format!("{}@{client}", standby.application),
        (None, true) => format!("{} (pid {})", standby.application, standby.pid),
        (_, false) => standby.application.to_string(),
    };
    let waits = matches!(&*standby.sync_state, "sync" | "quorum");
    let commits = if waits { "; commits wait for it" } else { "" };
    Some(Raised {
        severity,
        subject: place.about(SubjectKind::Standby, &name),
        summary: format!(
            "standby {} of {} is {} behind ({}){commits}",
            place.about(SubjectKind::Standby, &name).id,
            place.name(),
            lag(standby.lag_seconds, standby.lag_bytes),
            crate::domain::foreign::sanitise(&standby.state)
        ),
        evidence,
        advice: "Look at the standby: a long query there may hold replay back (max_standby_streaming_delay), its disk or the \
                 network may be too slow for what is written here; reads from it are that old."
            .to_owned(),
        statement: None,
        since: None,
        culprits: Vec::new(),
        victims: Vec::new(),
        rests_on: vec![Source::Replication],
    })
}

/// A standby's own view.
fn own(scene: &Scene<'_>, place: &Place<'_>, recovery: Recovery) -> Option<Raised> {
    let waiting = recovery.behind_bytes.unwrap_or_default() > 0;
    let cut_off = recovery.receiving == Some(false);
    let seconds = recovery.replay_age_seconds.filter(|_| waiting || cut_off);
    let (severity, evidence) = judged(scene, seconds, recovery.behind_bytes)?;
    let name = place.name();
    let summary = if cut_off && !waiting {
        let age = duration(seconds.unwrap_or_default());
        format!("standby {name} receives no WAL; the newest that it replayed is {age} old")
    } else {
        let not = if cut_off { ", and receives no WAL" } else { "" };
        format!("standby {name} is {} behind{not}", lag(seconds, recovery.behind_bytes))
    };
    Some(Raised {
        severity,
        subject: place.subject(),
        summary,
        evidence,
        advice: if cut_off {
            "Look at the way to its primary, and whether the primary still has the WAL that it needs.".to_owned()
        } else {
            "Look for a long query on it that holds replay back (max_standby_streaming_delay), then at its disk.".to_owned()
        },
        statement: waiting.then(|| {
            "SELECT pid, usename, now() - query_start AS runs, query FROM pg_stat_activity WHERE state <> 'idle' ORDER BY query_start LIMIT 10;"
                .to_owned()
        }),
        since: None,
        culprits: Vec::new(),
        victims: Vec::new(),
        rests_on: vec![Source::Replication],
    })
}

/// A replica of PostgreSQL is told to be up to so many seconds behind while nothing is written at its source ("Monitoring read
/// replication", Amazon RDS User Guide).
const IDLE: f64 = 300.0;

/// As CloudWatch has it: a replica's own lag, else what the slowest slot keeps. Below nothing: it does not replicate.
fn by_cloudwatch(scene: &Scene<'_>, place: &Place<'_>) -> Option<Raised> {
    let figures = Figures::beside(place, scene.now)?;
    let newest = |metric| figures.newest(metric).ok().map(|point| point.value);
    let name = place.name();
    let lag = newest(Metric::ReplicaLag);
    let (severity, evidence, summary) = match lag {
        Some(seconds) if seconds < 0.0 => {
            let evidence = vec![Evidence::fact("ReplicaLag", seconds, Unit::Number)];
            (Severity::Critical, evidence, format!("replica {name} does not replicate, by CloudWatch (ReplicaLag -1)"))
        }
        Some(seconds) if seconds > IDLE => {
            let (severity, evidence) = judged(scene, Some(seconds), None)?;
            (severity, evidence, format!("replica {name} is {} behind, by CloudWatch", duration(seconds)))
        }
        _ => {
            let kept = newest(Metric::OldestReplicationSlotLag).filter(|kept| *kept > 0.0)? as u64;
            let (severity, evidence) = judged(scene, None, Some(kept))?;
            let summary =
                format!("the slowest replication slot of {name} is {} of WAL behind, by CloudWatch", bytes(kept));
            (severity, evidence, summary)
        }
    };
    Some(Raised {
        severity,
        subject: place.subject(),
        summary,
        evidence,
        advice: "Get PostgreSQL to answer again (tierdeck doctor): it says who is behind, and what holds replay back."
            .to_owned(),
        statement: None,
        since: None,
        culprits: Vec::new(),
        victims: Vec::new(),
        rests_on: vec![Source::Metrics],
    })
}
