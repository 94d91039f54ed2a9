//! The estate's AWS: on loopback, the protocols that the SDKs speak, for the calls that a console makes and that moving and
//! restoring tenants need; and behind every instance of RDS a real PostgreSQL cluster. Backups are copies of it, its WAL is
//! archived and replayed, its metrics are measured, its logs are its own. What is not implemented is refused in the
//! service's own words.
//!
//! A signature is not checked; that there is one, by the estate's own key and of about now, is.

mod alarms;
mod backup;
mod berth;
mod classes;
mod cloudwatch;
mod core;
mod faults;
mod http;
mod journal;
mod keeper;
mod lifecycle;
mod logs;
mod machine;
mod metrics;
mod names;
mod parameters;
mod rds;
mod sampler;
mod series;
mod service;
mod settings;
mod state;
mod store;
mod sts;
mod wire;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use jiff::SignedDuration;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, spawn_blocking};

use self::core::Core;
use self::state::Maintenance;
use super::binaries::Binaries;
use super::claim::Claim;
use super::error::LabError;
use super::runner::Runner;

pub use self::core::AwsSpec;
pub use self::faults::{Aim, Fault, Faults};
pub use self::keeper::Pace;
pub(super) use self::machine::Theirs;
pub(super) use self::service::Service;

/// What a cluster in an estate's folder is told so that its WAL is archived where [`AwsStand::adopt`] looks for it.
pub(super) fn archiving(home: &Path, runner: &Runner, timeout: Duration) -> Result<Vec<(String, String)>, LabError> {
    let place = home.join(FOLDER).join(ADOPTED);
    for folder in [home.join(FOLDER), place.clone(), place.join("archive")] {
        store::folder(&folder, runner)?;
    }
    Ok(settings::archiving(timeout, &place.join("archive"), true))
}

/// The folder of an adopted cluster's archive.
const ADOPTED: &str = "adopted";
/// The folder in an estate's folder.
pub(super) const FOLDER: &str = "aws";

/// A running stand-in. [`AwsStand::stop`] ends it with all its clusters; dropping it does the same and blocks meanwhile.
#[derive(Debug)]
pub struct AwsStand {
    // In the order in which they must go: who answers, what works, the folder.
    server: JoinHandle<()>,
    core: Arc<Core>,
    spec: AwsSpec,
    address: SocketAddr,
    claim: Option<Claim>,
}

impl AwsStand {
    /// Starts one in a folder of its own that goes with it. Wants a Tokio runtime with time and network.
    pub async fn start(spec: AwsSpec) -> Result<Self, LabError> {
        let given = spec.bin_dir.clone();
        let (claim, binaries, runner) = spawn_blocking(move || {
            super::claim::sweep();
            let runner = Runner::choose()?;
            let claim = Claim::new(None, false, &runner)?;
            Ok::<_, LabError>((claim, Binaries::all(given.as_deref())?, runner))
        })
        .await??;
        let home = claim.home().to_owned();
        let mut stand = match Self::within(&home, spec, binaries, runner).await {
            Ok(stand) => stand,
            Err(error) => {
                claim.release();
                return Err(error);
            }
        };
        stand.claim = Some(claim);
        Ok(stand)
    }

    /// Starts one in an estate's folder, which somebody else removes.
    pub(super) async fn within(
        home: &Path,
        spec: AwsSpec,
        binaries: Vec<Binaries>,
        runner: Runner,
    ) -> Result<Self, LabError> {
        let home = home.join(FOLDER);
        store::folder(&home, &runner)?;
        let nowhere = || LabError::io("listen on", Path::new("127.0.0.1"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(nowhere())?;
        let address = listener.local_addr().map_err(nowhere())?;
        let core = Core::new(&spec, home, binaries, runner);
        let routes = Router::new().fallback(http::answer).with_state(Arc::clone(&core));
        let server = tokio::spawn(async move {
            // It ends with the task.
            let _ = axum::serve(listener, routes).await;
        });
        core.spawn(Arc::clone(&core).janitor());
        core.spawn(backup::rounds(Arc::clone(&core)));
        Ok(Self { server, core, spec, address, claim: None })
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How it was made: region and keys among it.
    pub fn spec(&self) -> &AwsSpec {
        &self.spec
    }

    /// What goes wrong on purpose, and how often what was called.
    pub fn faults(&self) -> &Faults {
        &self.core.faults
    }

    /// Sets the clock by which AWS Backup carries out plans and lifecycles so far ahead of ours.
    pub fn set_ahead(&self, by: SignedDuration) {
        self.core.ahead.store(by.as_secs(), Ordering::SeqCst);
    }

    /// Has an instance say that it is in this state, whatever it is really in.
    pub fn pretend(&self, id: &str, status: &str) {
        let mut state = self.core.state();
        if let Some(instance) = state.region(&self.spec.region).instances.get_mut(id) {
            status.clone_into(&mut instance.status);
        }
    }

    /// Another identity for the cluster behind an instance: how a few clusters look like hundreds. It cannot be deleted.
    /// Whether there is such an instance.
    pub fn alias(&self, id: &str, of: &str, tags: &[(&str, &str)]) -> bool {
        let mut state = self.core.state();
        let region = state.region(&self.spec.region);
        let Some(mut alias) = region.instances.get(of).cloned() else { return false };
        id.clone_into(&mut alias.id);
        alias.resource = names::resource_id();
        (alias.shape.protected, alias.planned.protected) = (true, true);
        alias.tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        region.instances.insert(id.to_owned(), alias);
        true
    }

    /// What a call of a client would come to, with no client: its answer as JSON, or why not.
    pub(super) fn ask(&self, service: Service, action: &str, input: Value) -> Result<Value, String> {
        let (action, region) = (action.to_owned(), self.spec.region.clone());
        let call = http::Call { service, action, region, input: wire::Input(input) };
        let answered = http::dispatch(&self.core, &call).map_err(|refusal| refusal.message)?;
        serde_json::from_slice(&wire::json::write(&answered)).map_err(|error| error.to_string())
    }

    /// Enters a cluster that somebody else runs as an instance; it is described as for `CreateDBInstance`.
    pub(super) fn adopt(
        &self,
        id: &str,
        master: &str,
        database: &str,
        shape: &Value,
        theirs: Theirs,
    ) -> Result<(), LabError> {
        rds::adopt(&self.core, &self.spec.region, id, (master, database), &wire::Input(shape.clone()), theirs)
    }

    /// Maintenance waits for an instance.
    pub(super) fn maintenance(&self, id: &str, action: &str, description: &str) {
        let arn = names::rds_arn(&self.spec.region, "db", id);
        let (action, description) = (action.to_owned(), description.to_owned());
        let waiting = Maintenance { action, description, forced: None };
        self.core.state().region(&self.spec.region).maintenance.entry(arn).or_default().push(waiting);
    }

    /// Whether an instance is there and says so.
    pub(super) fn is_available(&self, id: &str) -> bool {
        let mut state = self.core.state();
        state.region(&self.spec.region).instances.get(id).is_some_and(|it| it.status == "available")
    }

    /// Where an instance listens.
    pub(super) fn port(&self, id: &str) -> Option<u16> {
        let mut state = self.core.state();
        Some(state.region(&self.spec.region).instances.get(id)?.machine.as_ref()?.port())
    }

    /// The major version that instances have where nobody says.
    pub(super) fn major(&self) -> u32 {
        self.core.binaries.first().map_or(0, |binaries| binaries.major)
    }

    /// Stops all clusters; the files are somebody else's to remove. Blocking.
    pub(super) fn end(&self) {
        self.server.abort();
        self.core.end();
    }

    /// Stops all clusters and removes all files.
    pub async fn stop(self) {
        // Whatever becomes of the task, dropping clears up.
        let _ = spawn_blocking(move || drop(self)).await;
    }
}

impl Drop for AwsStand {
    fn drop(&mut self) {
        self.server.abort();
        self.core.end();
        if let Some(claim) = self.claim.take() {
            claim.release();
        }
    }
}
