//! The incidents of a scenario: when each begins and ends; what it does is in the files beside this one.

mod bloat;
mod cloud;
mod connections;
mod load;
mod locks;
mod secrets;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Stage;
use super::session::Session;
use crate::lab::roster::Member;
use crate::lab::scenario::{Incident, Kind};

/// Somebody who was cancelled or terminated by an operator stays away for so long, so that the act shows.
const CHASTENED: Duration = Duration::from_secs(10);

/// Plays one incident of the scenario for as long as the estate lives.
pub(super) async fn play(stage: Arc<Stage>, incident: Incident, number: usize) {
    let (start, duration, every) = incident.times();
    let culprit = stage.roster.cast(incident.culprit.style, incident.culprit.rank);
    let mut begin = Instant::now() + start;
    loop {
        sleep_until(begin).await;
        let act = act(&stage, &incident, culprit, number);
        match duration {
            // What is dropped here closes its connections and cancels its statements.
            Some(duration) => drop(timeout(duration, act).await),
            None => act.await,
        }
        match incident.kind {
            Kind::Bloat => bloat::tidy(&stage, stage.member(culprit)).await,
            Kind::WrongSecret => secrets::put_right(&stage, culprit).await,
            Kind::PublicSnapshot => cloud::withdraw(&stage, incident.culprit.rank),
            _ => {}
        }
        match every {
            Some(every) => begin += every,
            None => return,
        }
    }
}

/// Goes on until it is dropped.
async fn act(stage: &Arc<Stage>, incident: &Incident, culprit: usize, number: usize) {
    let intensity = incident.intensity;
    match incident.kind {
        Kind::Noisy => load::noisy(stage, culprit, intensity).await,
        Kind::RunawayQuery => load::runaway(stage, culprit, intensity).await,
        Kind::ConnectionStorm => connections::storm(stage, culprit, intensity, stage.rng(1_000 + number as u64)).await,
        Kind::IdleInTransaction => connections::idle(stage, culprit, intensity).await,
        Kind::LockPileup => locks::pile_up(stage, culprit, intensity).await,
        Kind::Deadlocks => locks::deadlocks(stage, culprit, intensity).await,
        Kind::Bloat => bloat::churn(stage, stage.member(culprit), intensity).await,
        Kind::WrongSecret => secrets::misdirect(stage, culprit).await,
        Kind::PublicSnapshot => cloud::publish(stage, incident.culprit.rank).await,
    }
}

/// Logs in, however long it takes.
async fn enter(stage: &Arc<Stage>, member: &Member) -> Session {
    loop {
        match Session::open(stage, member).await {
            Ok(session) => return session,
            Err(_) => sleep(Duration::from_secs(1)).await,
        }
    }
}

/// Sits there until somebody ends the session.
async fn linger(session: &Session) {
    while !session.is_closed() {
        sleep(Duration::from_millis(250)).await;
    }
}
