//! What all services share: the state, where things lie on disk, the workers behind slow calls, and how all of it ends.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, spawn_blocking};

use super::faults::Faults;
use super::keeper::{self, Pace};
use super::machine::Machine;
use super::names::{ACCOUNT, REGIONS};
use super::parameters::Catalogue;
use super::state::State;
use crate::lab::LabError;
use crate::lab::binaries::Binaries;
use crate::lab::runner::Runner;

/// How long an end waits for what is being written just then.
const LAST_WORDS: Duration = Duration::from_mins(1);

/// How the estate's AWS is to be.
#[derive(Debug, Clone)]
pub struct AwsSpec {
    /// The region that things are in unless a call names another.
    pub region: String,
    /// The one access key that is known.
    pub access_key: String,
    /// Its secret, which nobody checks.
    pub secret_key: SecretString,
    /// How often clusters are looked at.
    pub pace: Pace,
    /// How long WAL may lie in a cluster before it is archived.
    pub archive_timeout: Duration,
    /// Whether metrics have a past from before the estate was.
    pub past: bool,
    /// Which PostgreSQL; left out: whichever is found.
    pub bin_dir: Option<PathBuf>,
}

impl Default for AwsSpec {
    fn default() -> Self {
        Self {
            region: "eu-west-1".to_owned(),
            access_key: "AKIAESTATE0000000000".to_owned(),
            secret_key: crate::lab::door::password(),
            pace: Pace { beat: Duration::from_secs(5), sample: Duration::from_secs(15), archive_bytes: 512 << 20 },
            archive_timeout: Duration::from_mins(1),
            past: true,
            bin_dir: None,
        }
    }
}

/// Everything that a call may need.
#[derive(Debug)]
pub struct Core {
    /// Where clusters and snapshots lie.
    pub home: PathBuf,
    /// PostgreSQL in the versions that there are, the preferred first.
    pub binaries: Vec<Binaries>,
    /// As whom clusters run.
    pub runner: Runner,
    /// The one access key that is known.
    pub access_key: String,
    /// The region that things are in unless a call names another.
    region: String,
    /// How many seconds the clock of AWS Backup is ahead of ours.
    pub ahead: AtomicI64,
    /// How long WAL may wait.
    pub archive_timeout: Duration,
    /// Whether metrics have a past.
    pub past: bool,
    /// What goes wrong on purpose.
    pub faults: Faults,
    /// What each version's server can be told.
    pub catalogue: Catalogue,
    /// Clusters are made one at a time: a laptop has other things to do.
    pub turnstile: Semaphore,
    /// How often what is looked at.
    pub pace: Pace,
    state: Mutex<State>,
    handle: Handle,
    tasks: Mutex<Vec<AbortHandle>>,
    machines: Mutex<Vec<Weak<Machine>>>,
    busy: Arc<Busy>,
}

/// Work on disk that must not be overtaken by the end.
#[derive(Debug, Default)]
struct Busy {
    over: AtomicBool,
    count: Mutex<usize>,
    idle: Condvar,
}

/// Held while something is written.
#[derive(Debug)]
struct AtWork(Arc<Busy>);

impl Drop for AtWork {
    fn drop(&mut self) {
        *lock(&self.0.count) -= 1;
        self.0.idle.notify_all();
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    /// Nothing is there yet.
    pub fn new(spec: &AwsSpec, home: PathBuf, binaries: Vec<Binaries>, runner: Runner) -> Arc<Self> {
        Arc::new(Self {
            home,
            binaries,
            runner,
            access_key: spec.access_key.clone(),
            region: spec.region.clone(),
            ahead: AtomicI64::default(),
            archive_timeout: spec.archive_timeout,
            past: spec.past,
            faults: Faults::default(),
            catalogue: Catalogue::default(),
            turnstile: Semaphore::new(1),
            pace: spec.pace,
            state: Mutex::default(),
            handle: Handle::current(),
            tasks: Mutex::default(),
            machines: Mutex::default(),
            busy: Arc::default(),
        })
    }

    /// What is known.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Whether the account has this region.
    pub fn offers(&self, region: &str) -> bool {
        region == self.region || REGIONS.contains(&region)
    }

    /// What AWS Backup takes for now.
    pub fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.ahead.load(Ordering::SeqCst))
    }

    /// Who calls, as an ARN.
    pub fn caller() -> String {
        format!("arn:aws:iam::{ACCOUNT}:user/portarium-demo")
    }

    /// Has something done beside the call that asked for it.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        tasks.retain(|task| !task.is_finished());
        if !self.is_over() {
            tasks.push(self.handle.spawn(work).abort_handle());
        }
    }

    /// Runs something that blocks and writes; the end waits for it.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, LabError> + Send + 'static,
    ) -> Result<T, LabError> {
        let Some(at_work) = self.at_work() else {
            return Err(LabError::ending());
        };
        spawn_blocking(move || {
            let _at_work = at_work;
            work()
        })
        .await?
    }

    fn at_work(&self) -> Option<AtWork> {
        let mut count = lock(&self.busy.count);
        // Asked while the count is held: the end sets it before it counts.
        (!self.is_over()).then(|| {
            *count += 1;
            AtWork(Arc::clone(&self.busy))
        })
    }

    fn is_over(&self) -> bool {
        self.busy.over.load(Ordering::SeqCst)
    }

    /// Makes sure that a machine ends with us.
    pub fn watch_over(&self, machine: &Arc<Machine>) {
        let mut machines = lock(&self.machines);
        machines.retain(|machine| machine.strong_count() > 0);
        machines.push(Arc::downgrade(machine));
    }

    /// Has a running machine looked after.
    pub fn keep(&self, machine: &Arc<Machine>) {
        self.spawn(keeper::keep(Arc::downgrade(machine), self.pace));
    }

    /// The PostgreSQL of this major version.
    pub fn major(&self, major: u32) -> Option<&Binaries> {
        self.binaries.iter().find(|binaries| binaries.major == major)
    }

    /// Ends everything: no more work, no more servers. Blocking.
    pub fn end(&self) {
        self.busy.over.store(true, Ordering::SeqCst);
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
        let machines: Vec<Arc<Machine>> = lock(&self.machines).drain(..).filter_map(|it| it.upgrade()).collect();
        std::thread::scope(|scope| {
            for machine in &machines {
                scope.spawn(|| machine.halt());
            }
        });
        let count = lock(&self.busy.count);
        let _ = self.busy.idle.wait_timeout_while(count, LAST_WORDS, |count| *count > 0);
    }
}
