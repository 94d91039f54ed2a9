//! What the collector knows of one instance: the newest facts, the last minute's usage, its charts.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::backends::BackendWindow;
use super::board::{News, Rules};
use super::charts::Charts;
use super::counters::{DatabaseWindow, SPAN_SECONDS};
use super::residents::{Grounds, Resident};
use super::statements::StatementWindow;
use super::window::{ChurnWindow, SessionWindow};
use crate::attribution::{Attributor, Directory};
use crate::domain::facts::cloud::{Discovered, Newest};
use crate::domain::facts::{
    Activity, Bloat, Catalog, Cloud, Database, Debt, Fragment, Freeze, Horizon, Operations, Pooler, Replication, Roles,
    Server, Sizes, Source, Statements, Vacuums,
};
use crate::domain::observed::Trouble;
use crate::domain::session::Reason;
use crate::domain::snapshot::{Deadlocks, Instance, Pressure, Rates, Reach, SourceState};
use crate::domain::{InstanceName, Layout, Observed, Record, Session, TenantId, TenantStatements, Tier};

/// What the configuration says of an instance, as far as merging needs it.
#[derive(Debug, Clone)]
pub struct InstancePlan {
    /// Name.
    pub name: InstanceName,
    /// Tier.
    pub tier: Tier,
    /// Layout.
    pub layout: Layout,
    /// The one tenant of a dedicated instance.
    pub tenant: Option<TenantId>,
    /// vCPUs, where the operator said.
    pub vcpus: Option<f64>,
    /// Whether there is a pooler before it that is asked.
    pub pooled: bool,
    /// Where AWS knows it; `None`: it is not asked.
    pub cloud: Option<CloudPlan>,
}

/// Where AWS knows an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudPlan {
    /// `[aws.NAME]`
    pub account: Arc<str>,
    /// Region.
    pub region: Arc<str>,
    /// RDS identifier.
    pub identifier: Arc<str>,
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct InstanceState {
    pub plan: InstancePlan,
    rules: Arc<Rules>,
    pub directory: Directory,
    attributor: Attributor,
    pub reach: Reach,
    pub server: Option<Arc<Server>>,
    restarted: bool,
    sources: BTreeMap<Source, SourceState>,
    activity: Option<Activity>,
    databases: Option<Arc<Vec<Database>>>,
    pub roles: Option<Arc<Roles>>,
    debt: Option<Arc<Debt>>,
    pub sizes: Option<Arc<Sizes>>,
    freeze: Option<Arc<Freeze>>,
    vacuums: Option<Arc<Vacuums>>,
    replication: Option<Arc<Replication>>,
    horizon: Option<Arc<Horizon>>,
    operations: Option<Arc<Operations>>,
    statements: Option<Arc<Statements>>,
    catalog: Option<Arc<Catalog>>,
    bloat: Option<Arc<Bloat>>,
    pooler: Option<Arc<Pooler>>,
    cloud: Newest,
    pub window: SessionWindow,
    pub written: ChurnWindow,
    pub spoken: StatementWindow,
    pub backends: BackendWindow,
    counters: DatabaseWindow,
    /// Tenants that exist here, by id.
    pub tenants: Vec<TenantId>,
    /// The same, and where their figures stand.
    pub residents: Vec<Resident>,
    /// Their places.
    places: HashMap<TenantId, usize>,
    /// How often that was worked out anew.
    settled: u64,
    pub charts: Charts,
    /// What the stored history says of its tenants.
    pub records: HashMap<TenantId, Arc<Record>>,
    /// Who was seen writing temporary files, and when last.
    spillers: BTreeMap<TenantId, Timestamp>,
    /// Tenants whose sessions were seen on a login of their own, and on the shared account.
    own_login: HashSet<TenantId>,
    on_account: HashSet<TenantId>,
}

impl InstanceState {
    pub fn new(plan: InstancePlan, rules: Arc<Rules>, every: impl Fn(Source) -> Duration) -> Self {
        let tenants: Vec<TenantId> = plan.tenant.iter().cloned().collect();
        let mut charts = Charts::default();
        charts.settle(&[], &tenants);
        let mut state = Self {
            directory: Directory::new(rules.naming.clone(), plan.layout, plan.tenant.clone()),
            rules,
            residents: Vec::new(),
            places: tenants.iter().cloned().zip(0..).collect(),
            tenants,
            settled: 0,
            written: ChurnWindow::default(),
            attributor: Attributor::default(),
            reach: Reach::Connecting,
            server: None,
            restarted: false,
            sources: super::lane::asked(plan.layout)
                .chain(plan.pooled.then_some(Source::Pooler))
                .chain(plan.cloud.iter().flat_map(|_| Source::CLOUD))
                .map(|source| (source, SourceState { source, at: None, error: None, every: every(source), took: None }))
                .collect(),
            activity: None,
            databases: None,
            roles: None,
            debt: None,
            sizes: None,
            freeze: None,
            vacuums: None,
            replication: None,
            horizon: None,
            operations: None,
            statements: None,
            catalog: None,
            bloat: None,
            pooler: None,
            cloud: Newest::default(),
            window: SessionWindow::default(),
            spoken: StatementWindow::default(),
            backends: BackendWindow::default(),
            counters: DatabaseWindow::default(),
            charts,
            records: HashMap::new(),
            spillers: BTreeMap::new(),
            own_login: HashSet::new(),
            on_account: HashSet::new(),
            plan,
        };
        state.settle();
        state
    }

    /// A connection was made. A server that was restarted starts its counters and sessions anew.
    pub fn connected(&mut self, server: Server) {
        if self.server.as_ref().is_some_and(|before| before.started_at != server.started_at) {
            self.window.clear();
            self.restarted = true;
            self.spoken.clear();
            self.note_statements();
            self.backends.clear();
        }
        if matches!(self.reach, Reach::Connecting | Reach::Apart(_)) {
            self.reach = Reach::Up;
        }
        self.server = Some(Arc::new(server));
    }

    /// Takes what a source brought.
    pub fn took(&mut self, now: Timestamp, fragment: Fragment, took: Duration, every: Duration) {
        let source = fragment.source();
        let state = SourceState { source, at: Some(now), error: None, every, took: Some(took) };
        self.sources.insert(source, state);
        match fragment {
            Fragment::Activity(activity) => self.take_activity(now, every, activity),
            Fragment::Databases(databases) => {
                self.counters.take(now, &databases);
                let known = self.databases.iter().flat_map(|known| known.iter().map(|database| &database.name));
                let moved = !known.eq(databases.iter().map(|database| &database.name));
                self.databases = Some(Arc::new(databases));
                self.relist(moved);
            }
            Fragment::Roles(roles) => {
                // What says the same stays the same: whatever was concluded from it still holds.
                if self.roles.as_deref() != Some(&roles) {
                    self.roles = Some(Arc::new(roles));
                    self.relist(true);
                }
            }
            Fragment::Churn(churn) => {
                let moved = self.written.take(churn);
                if moved {
                    self.forget_schemas();
                }
                self.relist(moved);
            }
            Fragment::Debt(debt) => self.debt = Some(Arc::new(debt)),
            Fragment::Sizes(sizes) => {
                let moved = self.sizes.as_ref().is_none_or(|known| !known.homes.keys().eq(sizes.homes.keys()));
                let sizes = Arc::new(sizes);
                self.sizes = Some(Arc::clone(&sizes));
                if moved {
                    self.relist(true);
                } else {
                    for resident in &mut self.residents {
                        resident.measure(&sizes, &self.rules.thresholds);
                    }
                }
            }
            Fragment::Freeze(freeze) => self.freeze = Some(Arc::new(freeze)),
            Fragment::Vacuums(vacuums) => self.vacuums = Some(Arc::new(vacuums)),
            Fragment::Replication(replication) => self.replication = Some(Arc::new(replication)),
            Fragment::Horizon(horizon) => self.horizon = Some(Arc::new(horizon)),
            Fragment::Operations(operations) => self.operations = Some(Arc::new(operations)),
            Fragment::Statements(statements) => {
                let statements = Arc::new(statements);
                self.spoken.take(&self.directory, Arc::clone(&statements));
                let least = self.rules.thresholds.noisy_share;
                let much = |of: &TenantStatements| of.temp_share.is_some_and(|share| share >= least);
                let spilled = self.spoken.all().filter(|(_, of)| much(of)).map(|(tenant, _)| (tenant.clone(), now));
                self.spillers.extend(spilled);
                self.note_statements();
                self.statements = Some(statements);
            }
            Fragment::Catalog(catalog) => {
                if self.catalog.as_deref() != Some(&catalog) {
                    let moved = self.catalog.as_ref().is_none_or(|known| known.schemas != catalog.schemas);
                    self.catalog = Some(Arc::new(catalog));
                    self.relist(moved);
                }
            }
            Fragment::Bloat(bloat) => self.bloat = Some(Arc::new(bloat)),
            Fragment::Pooler(pooler) => self.pooler = Some(Arc::new(pooler)),
            Fragment::Cloud(fragment) => self.cloud.take(*fragment),
            // The whole estate's; no lane of an instance asks for it.
            Fragment::Secrets(_) => {}
        }
    }

    /// What was dropped since the catalogue was read is no half of a tenant any more.
    fn forget_schemas(&mut self) {
        let Some(catalog) = self.catalog.as_mut().filter(|_| self.plan.layout == Layout::Schema) else { return };
        let written = &self.written;
        if catalog.schemas.iter().any(|schema| written.place(schema.name.raw()).is_none()) {
            Arc::make_mut(catalog).schemas.retain(|schema| written.place(schema.name.raw()).is_some());
        }
    }

    /// A source failed: its old value stays and ages. How soon that is old was said when it came: who is asked more rarely
    /// from now on, because it takes so long to fail, has not become younger by that.
    pub fn failed(&mut self, source: Source, trouble: Trouble, every: Duration) {
        if let Some(state) = self.sources.get_mut(&source) {
            state.error = Some(trouble);
            state.every = if state.at.is_none() { every } else { every.min(state.every) };
        }
    }

    /// The instance cannot be polled.
    pub fn down(&mut self, now: Timestamp, trouble: Trouble) {
        let since = match &self.reach {
            Reach::Down { since, .. } => *since,
            Reach::Connecting | Reach::Apart(_) | Reach::Up => now,
        };
        self.reach = Reach::Down { since, trouble };
    }

    /// Nobody tries to reach it, and why; or somebody does again.
    pub fn apart(&mut self, reason: Option<Arc<str>>) {
        match (reason, &self.reach) {
            (Some(reason), _) => self.reach = Reach::Apart(reason),
            (None, Reach::Apart(_)) => self.reach = Reach::Connecting,
            (None, _) => {}
        }
    }

    /// The newest of everything, as it came.
    pub fn retell(&self) -> Vec<(Option<Timestamp>, News)> {
        let facts = [
            self.databases.as_ref().map(|it| Fragment::Databases(Vec::clone(it))),
            self.roles.as_ref().map(|it| Fragment::Roles(Roles::clone(it))),
            self.written.newest().cloned().map(Fragment::Churn),
            self.debt.as_ref().map(|it| Fragment::Debt(Debt::clone(it))),
            self.sizes.as_ref().map(|it| Fragment::Sizes(Sizes::clone(it))),
            self.freeze.as_ref().map(|it| Fragment::Freeze(Freeze::clone(it))),
            self.vacuums.as_ref().map(|it| Fragment::Vacuums(Vacuums::clone(it))),
            self.replication.as_ref().map(|it| Fragment::Replication(Replication::clone(it))),
            self.horizon.as_ref().map(|it| Fragment::Horizon(Horizon::clone(it))),
            self.operations.as_ref().map(|it| Fragment::Operations(Operations::clone(it))),
            self.statements.as_ref().map(|it| Fragment::Statements(Statements::clone(it))),
            self.catalog.as_ref().map(|it| Fragment::Catalog(Catalog::clone(it))),
            self.bloat.as_ref().map(|it| Fragment::Bloat(Bloat::clone(it))),
            self.pooler.as_ref().map(|it| Fragment::Pooler(Pooler::clone(it))),
            self.activity.clone().map(Fragment::Activity),
        ];
        let mut told: Vec<(Option<Timestamp>, News)> = Vec::new();
        told.extend(self.server.as_ref().map(|server| (None, News::Connected(Server::clone(server)))));
        for fragment in facts.into_iter().flatten().chain(self.cloud.retell()) {
            let Some(state) = self.sources.get(&fragment.source()) else { continue };
            let (at, took, every) = (state.at, state.took.unwrap_or_default(), state.every);
            told.push((at, News::Delivered { fragment, took, every }));
        }
        for state in self.sources.values() {
            let failed = |trouble| News::Failed { source: state.source, trouble, every: state.every };
            told.extend(state.error.clone().map(|trouble| (None, failed(trouble))));
        }
        if let Reach::Down { since, trouble } = &self.reach {
            told.push((Some(*since), News::Down(trouble.clone())));
        }
        if let Reach::Apart(reason) = &self.reach {
            told.push((None, News::Apart(Some(Arc::clone(reason)))));
        }
        told
    }

    fn take_activity(&mut self, now: Timestamp, every: Duration, mut activity: Activity) {
        self.reach = Reach::Up;
        if let Some(server) = self.server.as_mut().filter(|server| server.sees_all != activity.sees_all) {
            Arc::make_mut(server).sees_all = activity.sees_all;
        }
        self.attributor.attribute(&self.directory, &mut activity.sessions);
        let (vcpus, _) = self.vcpus();
        self.window.sample(activity.server_now, every, vcpus, &activity.sessions);
        let version = self.server.as_ref().map_or(0, |server| server.version_num);
        if self.spoken.sessions(&self.directory, version, &activity.sessions) {
            self.note_statements();
        }
        self.backends.sample(&activity);
        self.note_logins(&activity.sessions);
        let old = |at: &Timestamp| now.duration_since(*at).as_secs_f64().abs() >= SPAN_SECONDS;
        self.spillers.retain(|_, at| !old(at));
        let spilling = activity.sessions.iter().filter(|session| session.is_spilling());
        self.spillers.extend(spilling.filter_map(|session| Some((session.attribution.strong()?.clone(), now))));
        self.fill_charts(now, every, &activity);
        self.activity = Some(activity);
    }

    fn note_logins(&mut self, sessions: &[Session]) {
        for session in sessions {
            let Some(tenant) = session.attribution.strong() else { continue };
            let role = session.role.raw();
            let account = role == self.directory.naming().service_account;
            let on = if account {
                &mut self.on_account
            } else if session.attribution.reason() == Some(Reason::LoginRole)
                || self.directory.by_login(role).as_ref() == Some(tenant)
            {
                &mut self.own_login
            } else {
                continue;
            };
            if !on.contains(tenant) {
                on.insert(tenant.clone());
                let place = self.places.get(tenant);
                if let Some(resident) = place.and_then(|place| self.residents.get_mut(*place)) {
                    *(if account { &mut resident.on_account } else { &mut resident.own_login }) = true;
                    resident.bind();
                    self.settled += 1;
                }
            }
        }
    }

    /// Whether all that a tenant does, it does through a login or in a database of its own.
    pub fn keeps_to_itself(&self, resident: &Resident) -> bool {
        let own_login = || resident.own_login && !resident.on_account;
        self.plan.tenant.is_some() || self.plan.layout == Layout::Database || own_login()
    }

    /// The place of a tenant among those of the instance.
    pub fn place(&self, tenant: &TenantId) -> Option<usize> {
        self.places.get(tenant).copied()
    }

    /// Takes what the stored history says of each tenant.
    pub fn recall(&mut self, records: HashMap<TenantId, Arc<Record>>) {
        self.records = records;
        for resident in &mut self.residents {
            resident.recall(self.records.get(&resident.settled.id), &self.rules.thresholds);
        }
    }

    /// Tenants that exist: the union of what schemas, databases and roles say; unless nothing came or went.
    fn relist(&mut self, moved: bool) {
        if !moved {
            return;
        }
        let mut ids: BTreeSet<TenantId> = self.plan.tenant.iter().cloned().collect();
        if self.plan.tenant.is_none() {
            let churn = self.written.newest().into_iter().flat_map(|churn| churn.homes.iter().map(|home| &*home.home));
            // They come so rarely that a home in them may be long gone; the counters know of each.
            let sizes = self.sizes.iter().filter(|_| self.written.newest().is_none());
            let sizes = sizes.flat_map(|sizes| sizes.homes.keys().map(|home| &**home));
            let ours: HashSet<&str> = self
                .catalog
                .iter()
                .flat_map(|catalog| &catalog.schemas)
                .filter(|schema| schema.is_ours())
                .map(|schema| schema.name.raw())
                .collect();
            for home in churn.chain(sizes).filter(|home| !ours.contains(home)) {
                ids.extend(self.directory.by_schema(home).or_else(|| self.directory.by_database(home)));
            }
            for database in self.databases.iter().flat_map(|databases| databases.iter()) {
                ids.extend(self.directory.by_database(database.name.raw()));
            }
            if self.plan.layout == Layout::Schema {
                for role in self.roles.iter().flat_map(|roles| &roles.roles) {
                    ids.extend(self.directory.by_login(role.name.raw()));
                }
            }
        }
        if self.tenants.len() != ids.len() || !self.tenants.iter().eq(ids.iter()) {
            self.own_login.retain(|id| ids.contains(id));
            self.on_account.retain(|id| ids.contains(id));
            self.directory.set_known(ids.iter().cloned());
            let ids = ids.into_iter().collect();
            let before = std::mem::replace(&mut self.tenants, ids);
            self.charts.settle(&before, &self.tenants);
            self.places = self.tenants.iter().cloned().zip(0..).collect();
        }
        self.settle();
    }

    /// Works out anew what rarely changes of everybody.
    fn settle(&mut self) {
        let grounds = Grounds {
            plan: &self.plan,
            rules: &self.rules,
            directory: &self.directory,
            roles: self.roles.as_deref(),
            sizes: self.sizes.as_deref(),
            written: &self.written,
            records: &self.records,
            own_login: &self.own_login,
            on_account: &self.on_account,
            database: self.server.as_ref().map(|server| server.database.raw()),
        };
        self.residents = grounds.settle(&self.tenants);
        self.note_statements();
        self.settled += 1;
    }

    /// Puts what is known of statements beside those whose they are: it was worked out anew.
    fn note_statements(&mut self) {
        for resident in &mut self.residents {
            resident.statements = None;
        }
        for (tenant, statements) in self.spoken.all() {
            let place = self.places.get(tenant);
            if let Some(resident) = place.and_then(|place| self.residents.get_mut(*place)) {
                resident.statements = Some(Arc::clone(statements));
            }
        }
    }

    fn fill_charts(&mut self, now: Timestamp, every: Duration, activity: &Activity) {
        let places = &self.places;
        let place = |id: &TenantId| places.get(id).copied();
        let rates = |place: usize| self.written.rates(self.residents.get(place)?.churned);
        let transactions = self.counters.rates().transactions;
        self.charts.sample(now, every, activity, place, rates, transactions);
    }

    /// vCPUs and whether that is a guess: RDS sets `max_worker_processes` to twice the vCPUs, and to 8 at least.
    pub fn vcpus(&self) -> (f64, bool) {
        match (self.plan.vcpus, &self.server) {
            (Some(vcpus), _) => (vcpus, false),
            (None, Some(server)) => (f64::from(server.max_worker_processes.max(8)) / 2.0, true),
            (None, None) => (4.0, true),
        }
    }

    pub fn usable_connections(&self) -> Option<f64> {
        self.server.as_ref().map(|server| f64::from(server.max_connections.saturating_sub(server.reserved_connections)))
    }

    /// Whether our login sees what other people's sessions do; without that, nothing is known of load and waits.
    pub fn sees_all(&self) -> bool {
        self.server.as_ref().is_none_or(|server| server.sees_all)
    }

    /// How near the instance is to its limits, over the window.
    pub fn pressure(&self, now: Timestamp) -> Pressure {
        let load = self.window.load();
        if load.elapsed == 0 || self.fresh_sessions(now).is_none() {
            return Pressure::default();
        }
        let mean = |time: u64| time as f64 / load.elapsed as f64;
        let (vcpus, _) = self.vcpus();
        let of_cpus = |time: u64| self.sees_all().then(|| (mean(time) / vcpus).min(1.0));
        Pressure {
            cpu: of_cpus(load.runnable),
            reads: of_cpus(load.reading),
            writes: of_cpus(load.writing),
            connections: self.usable_connections().map(|usable| (mean(load.connected) / usable.max(1.0)).min(1.0)),
        }
    }

    /// Sessions as far as they are known, however old.
    pub fn sessions(&self) -> &[Session] {
        self.activity.as_ref().map_or(&[], |activity| &activity.sessions)
    }

    /// Milliseconds a second that the server spends on our queries, from the time that answers took.
    pub fn cost(&self, now: Timestamp) -> Option<f64> {
        let each = |state: &SourceState| Some(state.took?.as_secs_f64() * 1e3 / state.every.as_secs_f64().max(0.1));
        self.fresh_sessions(now)?;
        self.sources.values().filter_map(each).reduce(|sum, cost| sum + cost)
    }

    /// A value with the age and the troubles of the source that it came from.
    fn observed<T>(&self, source: Source, value: Option<T>) -> Observed<T> {
        let state = self.sources.get(&source);
        Observed {
            value,
            at: state.and_then(|state| state.at),
            error: state.and_then(|state| state.error.clone()),
            every: state.map_or(Duration::MAX, |state| state.every),
        }
    }

    /// Whether a source's newest value says something about now.
    pub fn is_fresh(&self, source: Source, now: Timestamp) -> bool {
        self.observed(source, Some(())).fresh(now).is_some()
    }

    /// The newest sessions, if they are new enough to say something about now.
    pub fn fresh_sessions(&self, now: Timestamp) -> Option<&Activity> {
        self.observed(Source::Activity, self.activity.as_ref()).fresh(now).copied()
    }

    /// What AWS says of it.
    fn cloud(&self, plan: &CloudPlan) -> Cloud {
        Cloud {
            account: Arc::clone(&plan.account),
            region: Arc::clone(&plan.region),
            identifier: Arc::clone(&plan.identifier),
            rds: self.observed(Source::Rds, self.cloud.rds.clone()),
            metrics: self.observed(Source::Metrics, self.cloud.metrics.clone()),
            alarms: self.observed(Source::Alarms, self.cloud.alarms.clone()),
            events: self.observed(Source::Events, self.cloud.events.clone()),
            parameters: self.observed(Source::Parameters, self.cloud.parameters.clone()),
            snapshots: self.observed(Source::Snapshots, self.cloud.snapshots.clone()),
            backups: self.observed(Source::Backups, self.cloud.backups.clone()),
        }
    }

    /// The instance as it is shown.
    pub fn view(&self, now: Timestamp) -> Instance {
        let fresh = self.fresh_sessions(now);
        let seen = fresh.filter(|_| self.sees_all());
        let count = |what: fn(&Session) -> bool| {
            seen.map(|activity| activity.sessions.iter().filter(|session| what(session)).count() as u32)
        };
        let (vcpus, vcpus_estimated) = self.vcpus();
        let counted = self.is_fresh(Source::Databases, now);
        Instance {
            name: self.plan.name.clone(),
            tier: self.plan.tier,
            layout: self.plan.layout,
            reach: self.reach.clone(),
            server: self.server.clone(),
            restarted: self.restarted,
            vcpus,
            vcpus_estimated,
            connections: fresh.map(|activity| activity.sessions.len() as u32 + activity.own),
            active: count(Session::is_busy),
            blocked: count(|session| session.blocking.is_some()),
            activity: self.observed(Source::Activity, self.activity.as_ref().map(|_| ())),
            databases: self.observed(Source::Databases, self.databases.clone()),
            roles: self.observed(Source::Roles, self.roles.clone()),
            churn: self.observed(Source::Churn, self.written.newest().map(|_| ())),
            debt: self.observed(Source::Debt, self.debt.clone()),
            sizes: self.observed(Source::Sizes, self.sizes.clone()),
            freeze: self.observed(Source::Freeze, self.freeze.clone()),
            vacuums: self.observed(Source::Vacuums, self.vacuums.clone()),
            replication: self.observed(Source::Replication, self.replication.clone()),
            horizon: self.observed(Source::Horizon, self.horizon.clone()),
            operations: self.observed(Source::Operations, self.operations.clone()),
            statements: self.observed(Source::Statements, self.statements.clone()),
            catalog: self.observed(Source::Catalog, self.catalog.clone()),
            bloat: self.observed(Source::Bloat, self.bloat.clone()),
            pooler: self.plan.pooled.then(|| self.observed(Source::Pooler, self.pooler.clone())),
            cloud: self.plan.cloud.as_ref().map(|plan| Box::new(self.cloud(plan))),
            rates: if counted { self.counters.rates() } else { Rates::default() },
            spillers: self.spillers.iter().map(|(tenant, at)| (tenant.clone(), *at)).collect(),
            deadlocks: if counted { self.counters.deadlocks() } else { Deadlocks::default() },
            pressure: self.pressure(now),
            sources: self.sources.values().cloned().collect(),
            series: self.charts.instance(),
            settled: self.settled,
        }
    }
}

impl InstancePlan {
    /// Of one that was found: how it was.
    pub fn discovered(&self) -> Option<Discovered> {
        let CloudPlan { account, region, identifier } = self.cloud.clone()?;
        Some(Discovered { name: self.name.clone(), tenant: self.tenant.clone(), account, region, identifier })
    }

    /// The schema or database that a tenant's counters are kept under.
    pub fn home(&self, directory: &Directory, id: &TenantId) -> String {
        match self.layout {
            Layout::Schema => directory.naming().tenant_schema.name(id),
            Layout::Database => directory.naming().tenant_database.name(id),
        }
    }
}
