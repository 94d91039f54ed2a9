//! Where each tenant's figures stand among the facts. Worked out when other homes or roles come, not for every snapshot:
//! with ten thousand tenants that is most of what a snapshot would cost.

use std::collections::HashMap;
use std::sync::Arc;

use super::instance::InstancePlan;
use super::window::ChurnWindow;
use crate::attribution::Directory;
use crate::domain::TenantId;
use crate::domain::facts::{Roles, Sizes};

/// One tenant of an instance.
#[derive(Debug, Clone)]
pub(super) struct Resident {
    pub id: TenantId,
    /// The schema or database that its counters are kept under.
    pub home: Arc<str>,
    /// The place of its own role among the roles.
    pub role: Option<usize>,
    /// That role's name, safe to print.
    pub role_name: Option<Arc<str>>,
    /// The place of its home among the counters.
    pub churned: Option<usize>,
    /// Bytes.
    pub size: Option<u64>,
}

/// The tenants of an instance, sorted by id as they came.
pub(super) fn settle(
    tenants: &[TenantId],
    plan: &InstancePlan,
    directory: &Directory,
    roles: Option<&Roles>,
    sizes: Option<&Sizes>,
    written: &ChurnWindow,
) -> Vec<Resident> {
    let roles = roles.map_or(&[][..], |roles| &roles.roles);
    let logins: HashMap<TenantId, usize> = roles
        .iter()
        .enumerate()
        .filter_map(|(place, role)| Some((directory.by_login(role.name.raw())?, place)))
        .collect();
    tenants
        .iter()
        .map(|id| {
            let home = plan.home(directory, id);
            let role = logins.get(id).copied();
            Resident {
                role,
                role_name: role.and_then(|place| roles.get(place)).map(|role| Arc::from(role.name.shown())),
                churned: written.place(&home),
                size: sizes.and_then(|sizes| sizes.homes.get(home.as_str()).copied()),
                home: Arc::from(home),
                id: id.clone(),
            }
        })
        .collect()
}

/// The place of a tenant.
pub(super) fn place(residents: &[Resident], id: &TenantId) -> Option<usize> {
    residents.binary_search_by(|resident| resident.id.cmp(id)).ok()
}
