//! The estate's AWS: on loopback, the protocols that the SDKs speak, for the calls that a console makes and that moving and
//! restoring tenants need; and behind every instance of RDS a real PostgreSQL cluster. Backups are copies of it, its WAL is
//! archived and replayed, its metrics are measured, its logs are its own. What is not implemented is refused in the
//! service's own words.
//!
//! A signature is not checked; that there is one, by the estate's own key and of about now, is.

mod alarms;
mod backup;
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

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, spawn_blocking};

use self::core::Core;
use super::binaries::Binaries;
use super::claim::Claim;
use super::error::LabError;
use super::runner::Runner;

pub use self::core::AwsSpec;
pub use self::faults::{Aim, Fault, Faults};
pub use self::keeper::Pace;

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

    /// Has an instance say that it is in this state, whatever it is really in.
    pub fn pretend(&self, id: &str, status: &str) {
        let mut state = self.core.state();
        if let Some(instance) = state.region(&self.spec.region).instances.get_mut(id) {
            status.clone_into(&mut instance.status);
        }
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
