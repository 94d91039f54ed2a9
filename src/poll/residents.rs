//! What of a tenant's row rarely changes, and where its figures stand among the facts. Worked out when other homes, roles or
//! sizes come, not for every snapshot: with ten thousand tenants that is most of what a snapshot would cost.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::board::Rules;
use super::instance::InstancePlan;
use super::limits::{self, Bound};
use super::window::ChurnWindow;
use crate::attribution::Directory;
use crate::domain::facts::{Roles, Sizes};
use crate::domain::snapshot::{LimitScope, TenantLimits};
use crate::domain::tenant::Settled;
use crate::domain::{Layout, Record, TenantId, TenantStatements, Thresholds};
use crate::signals::recommended_tier;

/// One tenant of an instance.
#[derive(Debug, Clone)]
pub(super) struct Resident {
    /// As it is shown.
    pub settled: Arc<Settled>,
    /// The schema or database that its counters are kept under.
    home: Arc<str>,
    /// What would bind its sessions on a login of its own; `None` where it has none.
    bound: Option<Bound>,
    /// What binds its sessions of the shared account.
    account: Option<Arc<Bound>>,
    /// The place of its home among the counters.
    pub churned: Option<usize>,
    /// What its statements cost; `None`: nothing is known of them.
    pub statements: Option<Arc<TenantStatements>>,
    /// Whether its sessions were seen on a login of its own, and on the shared account.
    pub own_login: bool,
    pub on_account: bool,
}

/// What it is worked out from.
pub(super) struct Grounds<'a> {
    pub plan: &'a InstancePlan,
    pub rules: &'a Rules,
    pub directory: &'a Directory,
    pub roles: Option<&'a Roles>,
    pub sizes: Option<&'a Sizes>,
    pub written: &'a ChurnWindow,
    pub records: &'a HashMap<TenantId, Arc<Record>>,
    pub own_login: &'a HashSet<TenantId>,
    pub on_account: &'a HashSet<TenantId>,
    /// The database that we are connected to.
    pub database: Option<&'a str>,
}

impl Grounds<'_> {
    /// The tenants of an instance, sorted by id as they came.
    pub fn settle(&self, tenants: &[TenantId]) -> Vec<Resident> {
        let Self { plan, rules, directory, .. } = *self;
        let roles = self.roles.map_or(&[][..], |roles| &roles.roles);
        let logins: HashMap<TenantId, usize> = roles
            .iter()
            .enumerate()
            .filter_map(|(place, role)| Some((directory.by_login(role.name.raw())?, place)))
            .collect();
        let account =
            self.roles.and_then(|facts| Some((facts, limits::role(facts, &directory.naming().service_account)?)));
        // The same for all tenants of a database, and told apart where each has its own.
        let database = if plan.layout == Layout::Schema { self.database } else { None };
        let bound = |home: &str| account.map(|(facts, role)| Arc::new(limits::bound(facts, role, home)));
        let shared = database.and_then(bound);
        let resident = |id: &TenantId| {
            let home: Arc<str> = Arc::from(plan.home(directory, id));
            let role = logins.get(id).and_then(|place| roles.get(*place));
            let login = self.roles.zip(role.filter(|role| role.can_login));
            let churned = self.written.place(&home);
            let size = self.sizes.and_then(|sizes| sizes.homes.get(&home).copied());
            let notes = rules.policy.tenants.get(id);
            let exists = churned.is_some() || size.is_some();
            let mut settled = Settled {
                schema: (exists && plan.layout == Layout::Schema).then(|| home.clone()),
                database: (plan.layout == Layout::Database).then(|| home.clone()),
                role: role.map(|role| Arc::from(role.name.shown())),
                limits: TenantLimits { wanted: rules.policy.wanted_with(notes, plan.tier), ..TenantLimits::default() },
                size_bytes: size,
                size_estimated: self.sizes.is_some_and(|sizes| sizes.estimated),
                notes: notes.map(|notes| Arc::new(notes.clone())),
                record: self.records.get(id).cloned(),
                ..Settled::named(id.clone(), plan.tier, plan.name.clone())
            };
            settled.recommended_tier = recommended_tier(&settled, &rules.thresholds);
            let mut resident = Resident {
                settled: Arc::new(settled),
                bound: login.map(|(facts, role)| limits::bound(facts, role, database.unwrap_or(&home))),
                account: if database.is_some() { shared.clone() } else { bound(&home) },
                churned,
                statements: None,
                own_login: self.own_login.contains(id),
                on_account: self.on_account.contains(id),
                home,
            };
            resident.bind();
            resident
        };
        tenants.iter().map(resident).collect()
    }
}

impl Resident {
    /// What binds its sessions: its own login's limits where it uses that, else the service account's.
    pub fn bind(&mut self) {
        // Who works through the shared account, and never through a login of its own, is not bound by that login's limits,
        // although it may log in.
        let own = self.bound.as_ref().filter(|_| !self.on_account || self.own_login);
        let (scope, binding) = match own {
            Some(own) => (LimitScope::Tenant, Some(own)),
            None => (LimitScope::ServiceAccount, self.account.as_deref()),
        };
        let settled = Arc::make_mut(&mut self.settled);
        settled.limit_scope = scope;
        let limits = &mut settled.limits;
        match binding {
            Some(Bound { login, limits: effective, unknown }) => {
                (limits.effective, limits.login, limits.unknown) = (*effective, Some(login.clone()), unknown.clone());
            }
            None => *limits = TenantLimits { wanted: limits.wanted, ..TenantLimits::default() },
        }
    }

    /// Takes its size from others than those that it was settled with.
    pub fn measure(&mut self, sizes: &Sizes, thresholds: &Thresholds) {
        let size = sizes.homes.get(&self.home).copied();
        if (self.settled.size_bytes, self.settled.size_estimated) != (size, sizes.estimated) {
            let settled = Arc::make_mut(&mut self.settled);
            (settled.size_bytes, settled.size_estimated) = (size, sizes.estimated);
            settled.recommended_tier = recommended_tier(settled, thresholds);
        }
    }

    /// Takes what the stored history says of it.
    pub fn recall(&mut self, record: Option<&Arc<Record>>, thresholds: &Thresholds) {
        let settled = Arc::make_mut(&mut self.settled);
        settled.record = record.cloned();
        settled.recommended_tier = recommended_tier(settled, thresholds);
    }
}
