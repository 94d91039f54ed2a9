//! The local estate behind `tierdeck demo` and the tests: a real PostgreSQL cluster in a folder of its own, an RDS-like
//! world in it, tenants who work, and incidents as a scenario tells them. Everything goes when the [`Lab`] goes.
//!
//! Nothing but the `demo` command and the tests may use this.

mod aws;
mod binaries;
mod claim;
mod cluster;
mod door;
mod error;
mod fleet;
mod roster;
mod runner;
mod scenario;
mod truth;
mod vault;
mod workload;
mod world;

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use secrecy::{ExposeSecret, SecretString};
use tokio::task::{JoinSet, spawn_blocking};

use self::binaries::Binaries;
use self::claim::Claim;
use self::cluster::{Cluster, SMALL_WAL, SUPERUSER};
use self::door::Door;
use self::fleet::Fleet;
use self::runner::Runner;
use self::workload::Stage;
use crate::domain::{Layout, TenantId};

pub use self::aws::{Aim, AwsSpec, AwsStand, Fault, Faults, Pace};
pub use self::claim::{Swept, sweep};
pub use self::error::LabError;
pub use self::roster::{Member, Oddity, Roster, Style};
pub use self::scenario::{Background, Culprit, Incident, Kind, Scenario};
pub use self::truth::{Known, Truth};
use self::vault::Keeper;
pub use self::vault::{VaultKind, VaultStand};

/// What estate to make.
#[derive(Debug, Clone)]
pub struct Spec {
    /// How many tenants.
    pub tenants: usize,
    /// What happens.
    pub scenario: Scenario,
    /// How tenants live on the instance.
    pub layout: Layout,
    /// The estate's folder (new or empty); left out: one in the temp folder.
    pub dir: Option<PathBuf>,
    /// Leave the files when it stops.
    pub keep: bool,
    /// Decides names, sizes and who does what.
    pub seed: u64,
    /// Which PostgreSQL; left out: whichever is found.
    pub bin_dir: Option<PathBuf>,
    /// Which Vault keeps the tenants' secrets.
    pub vault: VaultKind,
    /// Settings of the server, over the lab's own.
    pub settings: Vec<(String, String)>,
    /// How many tenants have an instance of their own in the estate's AWS; left out: there is no AWS.
    pub dedicated: Option<usize>,
    /// TOML to append to the configuration for the console; it ends in the table `[thresholds]`.
    pub extra_config: String,
}

impl Spec {
    /// The demo's: 40 tenants, a schema each, for the given scenario.
    pub fn new(scenario: Scenario) -> Self {
        Self {
            tenants: 40,
            scenario,
            layout: Layout::Schema,
            dir: None,
            keep: false,
            seed: 1,
            bin_dir: None,
            vault: VaultKind::StandIn,
            settings: Vec::new(),
            dedicated: None,
            extra_config: String::new(),
        }
    }
}

/// How to get into an instance of the estate.
#[derive(Debug)]
pub struct Instance {
    /// Its name in the configuration.
    pub name: &'static str,
    /// The monitoring login's URL, without its password.
    pub url: String,
    /// The port on 127.0.0.1.
    pub port: u16,
    /// Its data folder.
    pub data: PathBuf,
    /// Process id of its postmaster.
    pub pid: u32,
    logins: Vec<(&'static str, SecretString)>,
}

impl Instance {
    /// The password of `rdsadmin`, `portarium_admin`, `portarium_shared` or `tierdeck`.
    pub fn password(&self, login: &str) -> Option<&SecretString> {
        self.logins.iter().find(|(name, _)| *name == login).map(|(_, password)| password)
    }
}

/// A running estate. [`Lab::stop`] ends it; dropping it does the same and blocks meanwhile.
#[derive(Debug)]
pub struct Lab {
    // In the order in which they must go: workers, server, folder.
    crew: JoinSet<()>,
    fleet: Option<Fleet>,
    stage: Arc<Stage>,
    cast: Vec<(Kind, TenantId)>,
    instances: Vec<Instance>,
    config: PathBuf,
    remains: Option<Remains>,
}

/// What is left to stop and to remove: the server first, then the folder.
#[derive(Debug)]
struct Remains {
    cluster: Cluster,
    claim: Option<Claim>,
}

impl Remains {
    /// A folder with a running server in it; a failure half-way leaves nothing.
    fn raise(
        binaries: &Binaries,
        dir: Option<&Path>,
        keep: bool,
        password: &SecretString,
        settings: &[(String, String)],
        archived: bool,
    ) -> Result<Self, LabError> {
        let runner = Runner::choose()?;
        let claim = Claim::new(dir, keep, &runner)?;
        let archiving = if archived { fleet::archiving(claim.home(), &runner) } else { Ok(Vec::new()) };
        let started = archiving.and_then(|archiving| {
            let also: &[&str] = if archived { &[SMALL_WAL] } else { &[] };
            cluster::create(binaries, &runner, claim.home(), password, also)?;
            Cluster::start(binaries, &runner, claim.home(), &[settings, &archiving].concat(), &Arc::default())
        });
        match started {
            Ok(cluster) => Ok(Self { cluster, claim: Some(claim) }),
            Err(error) => {
                claim.release();
                Err(error)
            }
        }
    }
}

impl Remains {
    fn home(&self) -> &Path {
        self.claim.as_ref().map_or(Path::new("/"), Claim::home)
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        self.cluster.stop();
        if let Some(claim) = self.claim.take() {
            claim.release();
        }
    }
}

impl Lab {
    /// Sweeps, then makes and starts an estate; `progress` hears what is being done. Wants a Tokio runtime with time and
    /// network.
    pub async fn start(spec: Spec, progress: impl Fn(&str)) -> Result<Self, LabError> {
        match Self::start_unless(spec, progress, pin!(pending::<Infallible>())).await? {
            Ok(lab) => Ok(lab),
            Err(never) => match never {},
        }
    }

    /// The same, unless `stop` comes first: then what it brings, and what was begun is gone. Dropping this future instead
    /// does not wait for a server that is just being made.
    pub async fn start_unless<S>(
        mut spec: Spec,
        progress: impl Fn(&str),
        mut stop: Pin<&mut impl Future<Output = S>>,
    ) -> Result<Result<Self, S>, LabError> {
        let most = if spec.layout == Layout::Database { world::MOST_DATABASES } else { 20_000 };
        if !(1..=most).contains(&spec.tenants) {
            return Err(LabError::TooMany { asked: spec.tenants, most });
        }
        if let Some(dedicated) = spec.dedicated
            && let Some(needs) = fleet::within(&mut spec.scenario, dedicated)?
        {
            progress(&needs);
        }
        spawn_blocking(sweep).await?;
        // Said before anything is begun.
        spec.dir.as_deref().map_or(Ok(()), claim::vacant)?;
        let roster = Roster::new(spec.tenants, spec.layout, spec.seed);
        let keys = keys(&roster);
        let binaries = Binaries::find(spec.bin_dir.as_deref())?;
        let major = binaries.major;
        progress(&format!("starting PostgreSQL {major}"));
        let settings = settings(&spec);
        let boss = keys.get(SUPERUSER).cloned().unwrap_or_default();
        let (dir, keep, archived) = (spec.dir.clone(), spec.keep, spec.dedicated.is_some());
        let mut raising =
            spawn_blocking(move || Remains::raise(&binaries, dir.as_deref(), keep, &boss, &settings, archived));
        let (remains, stopped) = tokio::select! {
            remains = &mut raising => (remains??, None),
            stopped = &mut stop => (raising.await??, Some(stopped)),
        };
        if let Some(stopped) = stopped {
            spawn_blocking(move || drop(remains)).await?;
            return Ok(Err(stopped));
        }
        // From here on, whatever goes wrong or is dropped takes the server and the folder with it.
        let vault = Keeper::start(spec.vault, remains.home(), &progress).await?;
        let mut lab = Self::around(&spec, roster, keys, remains, vault);
        if spec.dedicated.is_some() {
            let monitor = lab.instances[0].password(world::MONITOR).cloned().unwrap_or_default();
            let fleet = Fleet::start(lab.home(), spec.bin_dir.as_deref(), monitor).await?;
            // It is set once, here.
            let _ = lab.stage.aws.set(fleet.stand());
            lab.fleet = Some(fleet);
        }
        lab.write_config(&spec)?;
        let stopped = tokio::select! {
            built = lab.build(major, &progress) => {
                built?;
                None
            }
            stopped = stop => Some(stopped),
        };
        if let Some(stopped) = stopped {
            lab.stop().await;
            return Ok(Err(stopped));
        }
        lab.crew = workload::start(&lab.stage, &spec.scenario);
        let home = lab.home().to_owned();
        if let (Some(fleet), Some(dedicated)) = (&mut lab.fleet, spec.dedicated) {
            fleet.raise(&lab.instances[0], &home, major, dedicated, &lab.stage)?;
        }
        lab.troubles().iter().for_each(|trouble| progress(trouble));
        progress("ready");
        Ok(Ok(lab))
    }

    /// The world in the server, and meanwhile the secrets in Vault.
    async fn build(&self, major: u32, progress: &impl Fn(&str)) -> Result<(), LabError> {
        let Stage { door, layout, roster, vault, .. } = &*self.stage;
        let world = world::build(door, major, *layout, roster, progress);
        tokio::try_join!(world, vault.fill(*layout, roster, door.port(), door)).map(|_| ())
    }

    fn around(
        spec: &Spec,
        roster: Roster,
        keys: HashMap<String, SecretString>,
        remains: Remains,
        vault: Keeper,
    ) -> Self {
        let port = remains.cluster.port();
        let home = remains.home().to_owned();
        let logins = [SUPERUSER, world::ADMIN, world::SERVICE, world::MONITOR]
            .into_iter()
            .filter_map(|name| Some((name, keys.get(name)?.clone())))
            .collect();
        let instance = Instance {
            name: "shared",
            url: format!(
                "postgresql://{}@127.0.0.1:{port}/{}?sslmode=disable",
                world::MONITOR,
                roster::SHARED_DATABASE
            ),
            port,
            data: cluster::data_folder(&home),
            pid: remains.cluster.pid(),
            logins,
        };
        let cast = |incident: &Incident| {
            let own = (incident.kind == Kind::PublicSnapshot).then(|| fleet::tenant(incident.culprit.rank)).flatten();
            let place = roster.cast(incident.culprit.style, incident.culprit.rank);
            (incident.kind, own.unwrap_or_else(|| roster.members[place].id.clone()))
        };
        let cast = spec.scenario.incidents.iter().map(cast).collect();
        let stage = Stage {
            door: Door::new(port, keys),
            roster,
            layout: spec.layout,
            truth: Truth::default(),
            vault,
            aws: OnceLock::new(),
            seed: spec.seed,
            refused: AtomicU64::new(0),
            troubles: Mutex::default(),
        };
        Self {
            crew: JoinSet::new(),
            fleet: None,
            stage: Arc::new(stage),
            cast,
            instances: vec![instance],
            config: home.join("tierdeck.toml"),
            remains: Some(remains),
        }
    }

    fn home(&self) -> &Path {
        self.config.parent().unwrap_or(Path::new("/"))
    }

    fn write_config(&self, spec: &Spec) -> Result<(), LabError> {
        let instance = &self.instances[0];
        let home = self.home();
        let aws = self.fleet.as_ref().map(|fleet| fleet.config(home)).transpose()?.unwrap_or_default();
        let rds = if aws.is_empty() { "" } else { "rds = \"portarium-demo-shared\"\n" };
        let secret = |login: &str| {
            let path = home.join(format!("{login}.password"));
            let password = instance.password(login).map(ExposeSecret::expose_secret).unwrap_or_default();
            cluster::write_private(&path, password).map(|()| path)
        };
        let admin_secret = secret(world::ADMIN)?;
        let secret = secret(world::MONITOR)?;
        let token = home.join("vault.token");
        cluster::write_private(&token, self.stage.vault.token().expose_secret())?;
        let layout = match spec.layout {
            Layout::Schema => "schema",
            Layout::Database => "database",
        };
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let vcpus = std::thread::available_parallelism().map_or(1, usize::from);
        let rounds = if aws.is_empty() { "" } else { fleet::ROUNDS };
        let text = format!(
            "# The estate of `tierdeck demo`; it goes when the demo ends.
environment = \"demo\"
# What happened in one estate says nothing of the next: what is remembered goes with it.
state = \"state\"

[[instance]]
name = {name}
tier = \"shared\"
layout = \"{layout}\"
url = {url}
password = {{ file = {secret} }}
admin = {{ user = {admin}, password = {{ file = {admin_secret} }} }}
vcpus = {vcpus}
{rds}

[vault]
address = {vault}
auth = {{ token = {{ file = {token} }} }}

# A demo is over sooner than a round in production begins.
[poll]
secrets = \"5s\"
{rounds}
{aws}
[policy.shared]
connection_limit = 40
statement_timeout = \"30s\"
lock_timeout = \"5s\"
idle_in_transaction_session_timeout = \"60s\"

# A story of minutes: nobody wants to watch a demo for as long as production is given.
[thresholds]
query_seconds = {{ warning = \"15s\", critical = \"60s\" }}
idle_in_transaction_seconds = {{ warning = \"15s\", critical = \"60s\" }}
# An estate is always new: only a restart that is seen is news.
restart_info_seconds = \"0s\"
{extra}",
            name = quoted(instance.name),
            url = quoted(&instance.url),
            secret = quoted(&secret.to_string_lossy()),
            admin = quoted(world::ADMIN),
            admin_secret = quoted(&admin_secret.to_string_lossy()),
            vault = quoted(self.stage.vault.url()),
            token = quoted(&token.to_string_lossy()),
            extra = spec.extra_config,
        );
        cluster::write_private(&self.config, &text)
    }

    /// The configuration file that the console opens as it is.
    pub fn config_path(&self) -> &Path {
        &self.config
    }

    /// The instances of the estate.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// Who really is behind a session.
    pub fn truth(&self) -> &Truth {
        &self.stage.truth
    }

    /// Who lives here.
    pub fn roster(&self) -> &Roster {
        &self.stage.roster
    }

    /// Who causes which incident of the scenario, in the scenario's order.
    pub fn cast(&self) -> &[(Kind, TenantId)] {
        &self.cast
    }

    /// What did not come about since somebody last asked: the estate's AWS may refuse what nobody waits for.
    pub fn troubles(&self) -> Vec<String> {
        std::mem::take(&mut self.stage.troubles.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How often a tenant's login was refused because there were too many connections (SQLSTATE 53300).
    pub fn refused_logins(&self) -> u64 {
        self.stage.refused.load(Ordering::Relaxed)
    }

    /// Stops everybody, then the server, and removes the files (unless they are to be kept).
    pub async fn stop(mut self) {
        self.crew.shutdown().await;
        if let Some(fleet) = self.fleet.take() {
            let _ = spawn_blocking(move || fleet.stop()).await;
        }
        if let Some(remains) = self.remains.take() {
            // Whatever becomes of the task, the remains clear themselves up when they are dropped.
            let _ = spawn_blocking(move || drop(remains)).await;
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.crew.abort_all();
    }
}

/// Passwords of everybody who may log in.
fn keys(roster: &Roster) -> HashMap<String, SecretString> {
    let tenants = roster.members.iter().filter(|member| member.style == Style::OwnLogin);
    [SUPERUSER, world::ADMIN, world::SERVICE, world::MONITOR]
        .into_iter()
        .chain(tenants.map(|member| member.role.as_str()))
        .map(|role| (role.to_owned(), door::password()))
        .collect()
}

/// A throw-away server with the settings that RDS sets for everybody and a size for a laptop.
fn settings(spec: &Spec) -> Vec<(String, String)> {
    let settings = [
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("max_connections", "120"),
        ("shared_buffers", "96MB"),
        ("max_wal_size", "512MB"),
        ("wal_level", "logical"),
        ("fsync", "off"),
        ("synchronous_commit", "off"),
        ("full_page_writes", "off"),
        // What burns a processor burns one, so that scenarios are bounded by the number of their sessions.
        ("max_parallel_workers_per_gather", "0"),
        ("jit", "off"),
        ("autovacuum_naptime", "10s"),
        ("track_io_timing", "on"),
        ("shared_preload_libraries", "pg_stat_statements"),
        ("pg_stat_statements.max", "10000"),
        ("pg_stat_statements.track_planning", "on"),
        ("log_lock_waits", "on"),
        ("log_timezone", "UTC"),
        ("timezone", "UTC"),
        ("password_encryption", "scram-sha-256"),
    ];
    let own = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    own.chain(spec.settings.iter().cloned()).collect()
}
