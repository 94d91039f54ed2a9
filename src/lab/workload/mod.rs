//! The tenants at work: tasks of this process with real connections, and the incidents of the scenario.

mod background;
mod incidents;
mod session;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio_postgres::error::SqlState;

use super::aws::AwsStand;
use super::door::Door;
use super::roster::{Member, Roster};
use super::scenario::Scenario;
use super::truth::Truth;
use super::vault::Keeper;
use crate::domain::Layout;
use crate::domain::foreign::sanitise;

/// What all workers share.
#[derive(Debug)]
pub(super) struct Stage {
    pub door: Door,
    pub roster: Roster,
    pub layout: Layout,
    pub truth: Truth,
    /// Who keeps the tenants' secrets.
    pub vault: Keeper,
    /// The estate's AWS, once there is one.
    pub aws: OnceLock<Arc<AwsStand>>,
    pub seed: u64,
    /// How often a login was refused because there were too many connections.
    pub refused: AtomicU64,
    /// What did not come about, and nobody was told yet.
    pub troubles: Mutex<Vec<String>>,
}

impl Stage {
    /// The name of a table that all tenants' sessions touch, as far as the layout has such.
    fn common(&self, table: &str) -> String {
        let schema = if self.layout == Layout::Schema { "platform" } else { "app" };
        format!("{schema}.{table}")
    }

    /// Something did not come about: whoever runs the estate is told.
    pub fn trouble(&self, words: &str) {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).push(sanitise(words).into_owned());
    }

    /// Randomness of a worker's own.
    fn rng(&self, worker: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed ^ worker.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn member(&self, place: usize) -> &Member {
        &self.roster.members[place]
    }

    /// Counts refused logins.
    fn note(&self, error: &tokio_postgres::Error) {
        if error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS) {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Starts everybody; they stop when the set is dropped.
pub(super) fn start(stage: &Arc<Stage>, scenario: &Scenario) -> JoinSet<()> {
    let mut crew = JoinSet::new();
    background::start(stage, scenario.background, &mut crew);
    for (number, incident) in scenario.incidents.iter().enumerate() {
        crew.spawn(incidents::play(Arc::clone(stage), incident.clone(), number));
    }
    crew
}

/// Sleeps as long as the next of independent events takes to come, of which there are so many a second.
async fn until_next(rng: &mut StdRng, per_second: f64) {
    let pause = -rng.random_range(f64::EPSILON..1.0).ln() / per_second.max(0.001);
    tokio::time::sleep(Duration::from_secs_f64(pause.min(60.0))).await;
}
