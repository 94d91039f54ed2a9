//! Where each tenant's figures stand among the facts. Worked out when other homes or roles come, not for every snapshot:
//! with ten thousand tenants that is most of what a snapshot would cost.

use std::collections::HashMap;
use std::sync::Arc;

use super::instance::InstancePlan;
use super::limits::{self, Bound};
use super::window::ChurnWindow;
use crate::attribution::Directory;
use crate::domain::facts::{Roles, Sizes};
use crate::domain::{Layout, Record, TenantId};

/// One tenant of an instance.
#[derive(Debug, Clone)]
pub(super) struct Resident {
    pub id: TenantId,
    /// The schema or database that its counters are kept under.
    pub home: Arc<str>,
    /// That role's name, safe to print.
    pub role_name: Option<Arc<str>>,
    /// What would bind its sessions there; `None` where it is no login.
    pub bound: Option<Bound>,
    /// What binds its sessions of the shared account.
    pub account: Option<Arc<Bound>>,
    /// The place of its home among the counters.
    pub churned: Option<usize>,
    /// Bytes.
    pub size: Option<u64>,
    /// What the stored history says of it.
    pub record: Option<Arc<Record>>,
    /// Whether its sessions were seen on a login of its own, and on the shared account.
    pub own_login: bool,
    pub on_account: bool,
}

/// The tenants of an instance, sorted by id as they came; `database`: the one that we are connected to.
pub(super) fn settle(
    tenants: &[TenantId],
    plan: &InstancePlan,
    directory: &Directory,
    roles: Option<&Roles>,
    sizes: Option<&Sizes>,
    written: &ChurnWindow,
    database: Option<&str>,
) -> Vec<Resident> {
    let facts = roles;
    let roles = roles.map_or(&[][..], |roles| &roles.roles);
    let logins: HashMap<TenantId, usize> = roles
        .iter()
        .enumerate()
        .filter_map(|(place, role)| Some((directory.by_login(role.name.raw())?, place)))
        .collect();
    let account = facts.and_then(|facts| Some((facts, limits::role(facts, &directory.naming().service_account)?)));
    // The same for all tenants of a database, and told apart where each has its own.
    let database = if plan.layout == Layout::Schema { database } else { None };
    let bound = |home: &str| account.map(|(facts, role)| Arc::new(limits::bound(facts, role, home)));
    let shared = database.and_then(bound);
    tenants
        .iter()
        .map(|id| {
            let home = plan.home(directory, id);
            let role = logins.get(id).and_then(|place| roles.get(*place));
            let login = facts.zip(role.filter(|role| role.can_login));
            Resident {
                role_name: role.map(|role| Arc::from(role.name.shown())),
                bound: login.map(|(facts, role)| limits::bound(facts, role, database.unwrap_or(&home))),
                account: if database.is_some() { shared.clone() } else { bound(&home) },
                churned: written.place(&home),
                size: sizes.and_then(|sizes| sizes.homes.get(home.as_str()).copied()),
                record: None,
                own_login: false,
                on_account: false,
                home: Arc::from(home),
                id: id.clone(),
            }
        })
        .collect()
}
