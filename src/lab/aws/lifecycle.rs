//! What takes its time: an instance comes up, is copied, is restored, is changed, goes. Each runs beside the call that
//! asked for it, and says in the instance's status how far it is.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;

use super::core::Core;
use super::keeper;
use super::machine::{Machine, Master, Target};
use super::names::uuid;
use super::parameters;
use super::settings;
use super::state::{Instance, InstanceShape, Snapshot};
use super::store::Store;
use crate::lab::LabError;
use crate::lab::cluster::TAKEN;
use crate::lab::door::password;

/// Long enough to be seen, short enough to wait for: what AWS takes minutes for.
const A_MOMENT: Duration = Duration::from_millis(1_500);

/// What RDS calls an instance whose server does not start with its parameter group's values.
pub const REFUSED: &str = "incompatible-parameters";
/// What RDS calls an instance that does not get its address.
pub const NO_NETWORK: &str = "incompatible-network";
/// What RDS calls an instance whose new storage is not at its best yet.
const OPTIMISING: &str = "storage-optimization";

/// Which instance: what it is called may change meanwhile.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where.
    pub region: String,
    /// `DbiResourceId`.
    pub resource: String,
}

/// What an instance is made of.
#[derive(Debug)]
pub enum Origin {
    /// Nothing.
    New(Master),
    /// A copy, rolled forward if a target is given.
    Copy(Arc<Store>, Option<Target>),
}

impl Core {
    /// Reads or changes an instance, if it is still there.
    pub fn with<T>(&self, place: &Place, act: impl FnOnce(&mut Instance) -> T) -> Option<T> {
        let mut state = self.state();
        let instances = &mut state.region(&place.region).instances;
        instances.values_mut().find(|instance| instance.resource == place.resource).map(act)
    }

    fn set_status(&self, place: &Place, status: &str) {
        self.with(place, |instance| status.clone_into(&mut instance.status));
    }

    /// Makes an instance available, unless somebody else has begun something meanwhile.
    fn release(&self, place: &Place, from: &str) {
        self.with(place, |instance| {
            if instance.status == from {
                "available".clone_into(&mut instance.status);
            }
        });
    }

    fn note(&self, place: &Place, category: &'static str, message: &str) {
        if let Some(id) = self.with(place, |instance| instance.id.clone()) {
            self.state().region(&place.region).note("db-instance", &id, category, message);
        }
    }

    /// Makes the cluster of an instance that is in the state as `creating`.
    pub async fn raise(self: Arc<Self>, place: Place, origin: Origin) {
        let restored = matches!(origin, Origin::Copy(..));
        match self.raised(&place, origin).await {
            Ok(()) => {
                let message = if restored { "Restored from backup" } else { "DB instance created" };
                self.note(&place, if restored { "restoration" } else { "creation" }, message);
                self.first_backup(&place).await;
                self.set_status(&place, "available");
            }
            Err(error) => {
                let status = if restored { "incompatible-restore" } else { "failed" };
                self.set_status(&place, status);
                self.note(&place, "failure", &error.to_string());
            }
        }
    }

    async fn raised(self: &Arc<Self>, place: &Place, origin: Origin) -> Result<(), LabError> {
        let gone = || LabError::Server { program: "postgres", said: "the instance is gone".to_owned() };
        let _turn = self.turnstile.acquire().await.map_err(|_| gone())?;
        let shape = self.with(place, |instance| instance.shape.clone()).ok_or_else(gone)?;
        let major = settings::major(&shape.version);
        let binaries =
            self.major(major).ok_or_else(|| LabError::NoPostgres { looked: format!(" in version {major}") })?;
        let boss = match &origin {
            Origin::New(_) => password(),
            Origin::Copy(store, _) => store.boss.clone(),
        };
        let machine = Machine::new(self.home.join(&place.resource), binaries, &self.runner, boss);
        self.watch_over(&machine);
        let settings = settings::of(self, &place.region, &shape, &machine);
        let (cluster, target, store) = match &origin {
            Origin::New(_) => (Arc::clone(&machine), None, None),
            Origin::Copy(store, target) => (Arc::clone(&machine), target.clone(), Some(Arc::clone(store))),
        };
        let made = self
            .blocking(move || {
                match store {
                    Some(store) => cluster.unpack(&store)?,
                    None => cluster.initialise()?,
                }
                cluster.start(&settings, target.as_ref())
            })
            .await;
        let made = match (made, &origin) {
            (Ok(()), Origin::New(master)) => machine.furnish(master).await,
            (made, _) => made,
        };
        if let Err(error) = made {
            let machine = Arc::clone(&machine);
            let remove = move || {
                machine.remove();
                Ok(())
            };
            let _ = self.blocking(remove).await;
            return Err(error);
        }
        parameters::learn(self, &machine).await;
        self.keep(&machine);
        self.with(place, |instance| instance.machine = Some(machine)).ok_or_else(gone)
    }

    /// The first backup of an instance that was there before.
    pub async fn begin_backups(self: Arc<Self>, place: Place) {
        if let Some(machine) = self.with(&place, |instance| instance.machine.clone()).flatten() {
            parameters::learn(&self, &machine).await;
        }
        self.first_backup(&place).await;
        self.set_status(&place, "available");
    }

    /// Automated backups begin with one.
    async fn first_backup(self: &Arc<Self>, place: &Place) {
        let wanted = self.with(place, |instance| instance.shape.retention > 0).unwrap_or(false);
        if wanted {
            self.set_status(place, "backing-up");
            self.automated(place).await;
        }
    }

    /// An automated backup, which is what moments are restored from.
    pub async fn automated(self: &Arc<Self>, place: &Place) {
        let Some(machine) = self.with(place, |instance| instance.machine.clone()).flatten() else { return };
        self.note(place, "backup", "Backing up DB instance");
        match self.copy(&machine).await {
            Ok(store) => {
                let store = Arc::new(store);
                machine.kept().bases.push(Arc::clone(&store));
                self.list_automated(place, &machine, store);
                self.note(place, "backup", "Finished DB Instance backup");
            }
            Err(error) => self.note(place, "backup", &format!("Backup failed: {error}")),
        }
    }

    /// Copies a running machine.
    async fn copy(&self, machine: &Arc<Machine>) -> Result<Store, LabError> {
        Store::take(machine, &self.runner, self.home.join(format!("copy-{}", uuid()))).await
    }

    /// RDS lists automated backups as snapshots of its own.
    fn list_automated(&self, place: &Place, machine: &Machine, store: Arc<Store>) {
        let Some(instance) = self.with(place, |instance| instance.clone()) else { return };
        let id = format!("rds:{}-{}", instance.id, store.finished.strftime("%Y-%m-%d-%H-%M"));
        let snapshot = Snapshot {
            id: id.clone(),
            kind: "automated",
            status: "available".to_owned(),
            store: Some(store),
            ..Snapshot::of(&instance, "", machine.port())
        };
        self.state().region(&place.region).snapshots.insert(id, snapshot);
    }

    /// Copies an instance into a snapshot that is in the state as `creating`; whether it came to be.
    pub async fn snapshot(self: Arc<Self>, place: Place, id: String) -> bool {
        let machine = self.with(&place, |instance| instance.machine.clone()).flatten();
        let copied = match &machine {
            Some(machine) => self.copy(machine).await,
            None => Err(LabError::Server { program: "postgres", said: "there is no server".to_owned() }),
        };
        let (status, store, message) = match copied {
            Ok(store) => ("available", Some(Arc::new(store)), "Manual snapshot created".to_owned()),
            Err(error) => ("failed", None, format!("Snapshot failed: {error}")),
        };
        let came = store.is_some();
        let mut state = self.state();
        let region = state.region(&place.region);
        if let Some(snapshot) = region.snapshots.get_mut(&id) {
            status.clone_into(&mut snapshot.status);
            snapshot.store = store;
            region.note("db-snapshot", &id, if came { "creation" } else { "failure" }, message);
        }
        came
    }

    /// Completes a copy of a snapshot that is in the state as `creating`. Nothing is ever written to files that are kept: the
    /// two share them.
    pub async fn copied(self: Arc<Self>, region: String, id: String, store: Option<Arc<Store>>) {
        tokio::time::sleep(A_MOMENT).await;
        let mut state = self.state();
        let region = state.region(&region);
        if let Some(snapshot) = region.snapshots.get_mut(&id) {
            "available".clone_into(&mut snapshot.status);
            snapshot.store = store;
            region.note("db-snapshot", &id, "creation", "Manual snapshot copied");
        }
    }

    /// A snapshot that somebody asked for: the instance says so meanwhile.
    pub async fn manual_snapshot(self: Arc<Self>, place: Place, id: String) {
        Arc::clone(&self).snapshot(place.clone(), id).await;
        self.release(&place, "backing-up");
    }

    /// Ends an instance that is in the state as `deleting`, with a last snapshot if one is wanted.
    pub async fn delete(self: Arc<Self>, place: Place, last: Option<String>) {
        if let Some(id) = last {
            // One that is stopped has nobody who could copy it.
            let asleep = self.with(&place, |it| it.machine.as_ref().is_some_and(|it| it.pid().is_none()));
            if asleep == Some(true)
                && let Err(status) = self.restart(&place, "notification", "DB instance started").await
            {
                return self.give_up(&place, &id, status);
            }
            if !Arc::clone(&self).snapshot(place.clone(), id).await {
                return self.set_status(&place, "available");
            }
        }
        let machine = self.with(&place, |instance| instance.machine.take()).flatten();
        if let Some(machine) = machine {
            let _ = self
                .blocking(move || {
                    machine.remove();
                    Ok(())
                })
                .await;
        }
        let mut state = self.state();
        let region = state.region(&place.region);
        let id = region.instances.values().find(|it| it.resource == place.resource).map(|it| it.id.clone());
        if let Some(id) = id {
            region.instances.remove(&id);
            region.snapshots.retain(|_, snapshot| snapshot.kind != "automated" || snapshot.resource != place.resource);
            region.note("db-instance", &id, "deletion", "DB instance deleted");
        }
    }

    /// Carries out what an instance is to become; it is in the state as `modifying`.
    pub async fn modify(
        self: Arc<Self>,
        place: Place,
        after: InstanceShape,
        password: Option<SecretString>,
        name: Option<String>,
    ) {
        let Some((before, machine)) = self.with(&place, |instance| (instance.shape.clone(), instance.machine.clone()))
        else {
            return;
        };
        tokio::time::sleep(A_MOMENT).await;
        if let (Some(machine), Some(password)) = (&machine, &password) {
            if let Err(error) = machine.set_password(&before.master, password).await {
                self.note(&place, "failure", &error.to_string());
            } else {
                self.note(&place, "configuration change", "Reset master credentials");
            }
            self.with(&place, |instance| instance.new_password = false);
        }
        if let Some(name) = name {
            self.rename(&place, &name);
        }
        self.with(&place, |instance| instance.shape = after.clone());
        let restart = before.class != after.class || (before.retention == 0) != (after.retention == 0);
        if before.class != after.class {
            self.note(&place, "configuration change", "Applying modification to database instance class");
        }
        if restart && let Err(status) = self.restart(&place, "availability", "DB instance restarted").await {
            return self.set_status(&place, status);
        }
        if before.retention == 0 && after.retention > 0 {
            self.first_backup(&place).await;
        }
        if after.retention == 0
            && let Some(machine) = &machine
        {
            machine.kept().forget();
            self.state()
                .region(&place.region)
                .snapshots
                .retain(|_, snapshot| snapshot.kind != "automated" || snapshot.resource != place.resource);
        }
        let storage = |shape: &InstanceShape| (shape.storage, shape.storage_type.clone(), shape.iops, shape.throughput);
        if storage(&before) == storage(&after) {
            return self.set_status(&place, "available");
        }
        self.note(&place, "configuration change", "Finished applying modification to storage");
        // It can be worked on meanwhile.
        self.set_status(&place, OPTIMISING);
        tokio::time::sleep(A_MOMENT).await;
        self.release(&place, OPTIMISING);
    }

    fn rename(&self, place: &Place, name: &str) {
        let mut state = self.state();
        let region = state.region(&place.region);
        let id = region.instances.values().find(|it| it.resource == place.resource).map(|it| it.id.clone());
        let Some(mut instance) = id.and_then(|id| region.instances.remove(&id)) else { return };
        instance.planned_name = None;
        let (category, message) = if region.instances.contains_key(name) {
            // It was free when it was asked for.
            ("failure", format!("Renaming failed: {name} already exists"))
        } else {
            let message = format!("Renamed instance from {} to {name}", instance.id);
            name.clone_into(&mut instance.id);
            ("configuration change", message)
        };
        region.note("db-instance", &instance.id, category, message);
        region.instances.insert(instance.id.clone(), instance);
    }

    /// Restarts a cluster of ours with what is set now, where it was before; or what RDS calls an instance for which that is
    /// not to be had.
    async fn restart(&self, place: &Place, category: &'static str, message: &str) -> Result<(), &'static str> {
        let found = self.with(place, |instance| (instance.shape.clone(), instance.machine.clone()));
        let Some((shape, Some(machine))) = found else { return Err("failed") };
        let settings = settings::of(self, &place.region, &shape, &machine);
        let port = machine.port();
        let restarted = self
            .blocking(move || {
                machine.pause();
                machine.start(&settings, None)
            })
            .await;
        match restarted {
            Ok(()) => {
                self.with(place, |instance| instance.wants_reboot = false);
                self.note(place, category, message);
                Ok(())
            }
            // Nobody who knows the endpoint would find it anywhere else.
            Err(LabError::Server { said, .. }) if said.contains(TAKEN) => {
                let message = format!(
                    "The DB instance is in an incompatible network: another process listens on its endpoint \
                     127.0.0.1:{port}. End that process, then start the instance."
                );
                self.note(place, "failure", &message);
                Err(NO_NETWORK)
            }
            Err(error) => {
                self.note(place, "failure", &error.to_string());
                Err(REFUSED)
            }
        }
    }

    /// Restarts an instance that is in the state as `rebooting`.
    pub async fn reboot(self: Arc<Self>, place: Place) {
        let came = self.restart(&place, "availability", "DB instance restarted").await;
        self.set_status(&place, came.err().unwrap_or("available"));
    }

    /// Starts an instance that is in the state as `starting`.
    pub async fn wake(self: Arc<Self>, place: Place) {
        let came = self.restart(&place, "notification", "DB instance started").await;
        self.set_status(&place, came.err().unwrap_or("available"));
    }

    /// Stops an instance that is in the state as `stopping`, after a snapshot if one is wanted. Its archive stays.
    pub async fn rest(self: Arc<Self>, place: Place, first: Option<String>) {
        if let Some(id) = first
            && !Arc::clone(&self).snapshot(place.clone(), id).await
        {
            return self.set_status(&place, "available");
        }
        if let Some(machine) = self.with(&place, |instance| instance.machine.clone()).flatten() {
            let _ = self
                .blocking(move || {
                    machine.pause();
                    Ok(())
                })
                .await;
        }
        self.note(&place, "notification", "DB instance stopped");
        self.set_status(&place, "stopped");
    }

    /// A snapshot that was promised cannot be made.
    fn give_up(&self, place: &Place, snapshot: &str, status: &str) {
        if let Some(snapshot) = self.state().region(&place.region).snapshots.get_mut(snapshot) {
            "failed".clone_into(&mut snapshot.status);
        }
        self.set_status(place, status);
    }

    /// Sees to it that archives do not grow for ever: what only the older copies needed goes when newer ones reach far enough.
    pub async fn janitor(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.pace.sample).await;
            let places: Vec<Place> = {
                let state = self.state();
                let of = |name: &str, instance: &Instance| {
                    let idle = instance.status == "available" && instance.shape.retention > 0;
                    let place = Place { region: name.to_owned(), resource: instance.resource.clone() };
                    (idle && instance.machine.is_some()).then_some(place)
                };
                let regions = state.regions();
                regions.flat_map(|it| it.instances.values().filter_map(move |one| of(&it.name, one))).collect()
            };
            for place in places {
                self.tidy(&place).await;
            }
        }
    }

    async fn tidy(self: &Arc<Self>, place: &Place) {
        let Some(machine) = self.with(place, |instance| instance.machine.clone()).flatten() else { return };
        let archive = keeper::archived(&machine.archive);
        let half = self.pace.archive_bytes / 2;
        let (gone, due) = {
            let mut kept = machine.kept();
            (kept.let_go(&archive, half), kept.wants_base(&archive, half))
        };
        if due {
            self.automated(place).await;
        }
        let is_gone = |it: &Snapshot| it.store.as_ref().is_some_and(|it| gone.iter().any(|base| Arc::ptr_eq(base, it)));
        let automated = |it: &Snapshot| it.kind == "automated" && is_gone(it);
        self.state().region(&place.region).snapshots.retain(|_, it| !automated(it));
        let work = move || {
            drop(gone);
            keeper::trim(&machine);
            Ok(())
        };
        let _ = self.blocking(work).await;
    }
}

impl Snapshot {
    /// One that is about to be made.
    pub fn of(instance: &Instance, id: &str, port: u16) -> Self {
        Self {
            id: id.to_owned(),
            instance: instance.id.clone(),
            resource: instance.resource.clone(),
            kind: "manual",
            status: "creating".to_owned(),
            store: None,
            shape: instance.shape.clone(),
            instance_created: instance.created,
            created: Timestamp::now(),
            shared_with: Vec::new(),
            source: None,
            port,
            tags: instance.tags.clone(),
        }
    }
}
