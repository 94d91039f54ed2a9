//! One instance with its tenants and sessions: what most checks look at, one after the other.

use std::collections::BTreeMap;

use crate::domain::facts::OperationRow;
use crate::domain::session::Reason;
use crate::domain::snapshot::{LimitScope, Reach};
use crate::domain::{
    Foreign, Instance, InstanceName, Layout, Naming, Session, Subject, SubjectKind, Tenant, TenantId, Tier, foreign,
};

use super::Scene;

/// One instance, with what lives on it.
#[derive(Debug)]
pub struct Place<'a> {
    pub(super) instance: &'a Instance,
    /// Sorted by id.
    pub(super) tenants: Vec<&'a Tenant>,
    pub(super) sessions: Vec<&'a Session>,
    naming: &'a Naming,
}

impl<'a> Scene<'a> {
    /// The throttle that is in force on a tenant: what it set is no accident, and goes by its own way back.
    pub(super) fn throttle(&self, tenant: &TenantId) -> Option<&'a OperationRow> {
        let known = self.instances.iter().filter_map(|instance| instance.operations.value.as_deref());
        let mut rows = known.flat_map(|operations| &operations.rows);
        rows.find(|row| row.in_force && row.kind.raw() == "throttle" && row.tenants.contains(tenant))
    }

    /// The instances, each with its own tenants and sessions.
    pub(super) fn places(&self) -> Vec<Place<'a>> {
        let mut places: Vec<Place<'a>> = self
            .instances
            .iter()
            .map(|instance| Place { instance, tenants: Vec::new(), sessions: Vec::new(), naming: self.naming })
            .collect();
        // Those of one instance mostly stand together, and there may be ten thousand of them.
        let mut at = 0;
        let mut here = |places: &[Place<'_>], name: &InstanceName| {
            if places.get(at).is_none_or(|place| place.instance.name != *name) {
                at = places.iter().position(|place| place.instance.name == *name)?;
            }
            Some(at)
        };
        for tenant in self.tenants {
            if let Some(at) = here(&places, &tenant.instance) {
                places[at].tenants.push(tenant);
            }
        }
        for session in self.sessions {
            if let Some(at) = here(&places, &session.instance) {
                places[at].sessions.push(session);
            }
        }
        places
    }
}

impl<'a> Place<'a> {
    /// Why nothing can be judged here; `None` when the instance answers.
    pub(super) fn unseen(&self) -> Option<String> {
        match &self.instance.reach {
            Reach::Up => None,
            // Connected: each source says for itself what is wrong with it.
            Reach::Connecting if self.instance.blind().is_some() => None,
            Reach::Connecting => Some("not connected yet".to_owned()),
            Reach::Apart(reason) => Some(foreign::sanitise(reason).into_owned()),
            Reach::Down { trouble, .. } => Some(foreign::sanitise(&trouble.message).into_owned()),
        }
    }

    pub(super) fn name(&self) -> &'a InstanceName {
        &self.instance.name
    }

    /// The instance as a subject.
    pub(super) fn subject(&self) -> Subject {
        self.about(SubjectKind::Instance, self.instance.name.as_str())
    }

    /// Something on this instance as a subject; its name is made safe to print.
    pub(super) fn about(&self, kind: SubjectKind, id: &str) -> Subject {
        Subject { kind, id: foreign::sanitise(id).into_owned(), instance: self.instance.name.clone() }
    }

    /// Something inside of a database as a subject: where tenants have databases, each of them has one of that name.
    pub(super) fn within(&self, kind: SubjectKind, database: &Foreign, name: &str) -> Subject {
        match self.instance.layout {
            Layout::Schema => self.about(kind, name),
            Layout::Database => self.about(kind, &format!("{}.{name}", database.raw())),
        }
    }

    /// The tenant of that id, if it lives here.
    pub(super) fn tenant(&self, id: &TenantId) -> Option<&'a Tenant> {
        self.tenants.binary_search_by(|tenant| tenant.id.cmp(id)).ok().and_then(|at| self.tenants.get(at)).copied()
    }

    /// Whose a table is, by the name of its schema or database.
    pub(super) fn owner(&self, database: &Foreign, schema: &Foreign) -> Option<TenantId> {
        let by_name = match self.instance.layout {
            Layout::Schema => self.naming.tenant_schema.id(schema.raw()),
            Layout::Database => self.naming.tenant_database.id(database.raw()),
        };
        by_name.or_else(|| match (self.instance.tier, self.tenants.as_slice()) {
            (Tier::Dedicated, [only]) => Some(only.id.clone()),
            _ => None,
        })
    }

    /// Whose a role is by its name, whether it may log in or not; `None` for the shared account and for everybody else's.
    pub(super) fn role_owner(&self, role: &str) -> Option<TenantId> {
        if self.is_service_account(role) {
            return None;
        }
        match self.instance.layout {
            Layout::Schema => self.naming.tenant_role.id(role),
            // `<id>_app` is a common name: there the tenant must exist.
            Layout::Database => self.naming.tenant_login.id(role).filter(|id| self.tenant(id).is_some()),
        }
    }

    /// How tenants are named.
    pub(super) fn naming(&self) -> &'a Naming {
        self.naming
    }

    /// Whose login a role is; `None` for the shared account and for everybody else's.
    pub(super) fn login_owner(&self, role: &str) -> Option<&'a Tenant> {
        self.tenants.iter().copied().find(|tenant| is_login_of(tenant, role))
    }

    /// Whether a role is this tenant's own login.
    pub(super) fn owns_login(&self, tenant: &TenantId, role: &str) -> bool {
        self.tenant(tenant).is_some_and(|tenant| is_login_of(tenant, role))
    }

    /// The login that all tenants share.
    pub(super) fn is_service_account(&self, role: &str) -> bool {
        role == self.naming.service_account
    }

    pub(super) fn service_account(&self) -> &'a str {
        &self.naming.service_account
    }

    /// Whose doing a session is: its tenant's, by strong evidence, unless somebody else is logged in who merely works on what
    /// is that tenant's.
    pub(super) fn doer<'s>(&self, session: &'s Session) -> Option<&'s TenantId> {
        session.attribution.strong().filter(|_| self.visited(session).is_none())
    }

    /// On whose things a session works that is neither that tenant's nor the shared account's: an administrator's, a report's.
    /// Where a login says nothing, the database does: only of a superuser is it known that it is nobody's.
    pub(super) fn visited<'s>(&self, session: &'s Session) -> Option<&'s TenantId> {
        let tenant = session.attribution.strong()?;
        let role = session.role.raw();
        let own = || self.owns_login(tenant, role) || self.role_owner(role).as_ref() == Some(tenant);
        let stranger = match session.attribution.reason()? {
            Reason::Locks | Reason::SameTransaction => !self.is_service_account(role) && !own(),
            Reason::Database => self.is_superuser(role),
            _ => false,
        };
        stranger.then_some(tenant)
    }

    fn is_superuser(&self, role: &str) -> bool {
        let roles = self.instance.roles.value.as_ref();
        roles.is_some_and(|roles| roles.roles.iter().any(|it| it.superuser && it.name.raw() == role))
    }

    /// The sessions of each tenant that strong evidence points to.
    pub(super) fn by_tenant(&self) -> BTreeMap<&'a TenantId, Vec<&'a Session>> {
        let mut sessions: BTreeMap<&TenantId, Vec<&Session>> = BTreeMap::new();
        for session in &self.sessions {
            if let Some(tenant) = self.doer(session) {
                sessions.entry(tenant).or_default().push(session);
            }
        }
        sessions
    }

    /// The sessions of each login.
    pub(super) fn by_role(&self) -> BTreeMap<&'a str, Vec<&'a Session>> {
        let mut sessions: BTreeMap<&str, Vec<&Session>> = BTreeMap::new();
        for session in &self.sessions {
            sessions.entry(session.role.raw()).or_default().push(session);
        }
        sessions
    }

    /// Whom a session is blamed on: its tenant by strong evidence, else its login.
    fn blamed(&self, session: &Session) -> Subject {
        match self.doer(session) {
            Some(tenant) => self.about(SubjectKind::Tenant, tenant.as_str()),
            None => self.about(SubjectKind::Role, session.role.raw()),
        }
    }

    /// The sessions whose measure reaches `least`, by whom they are blamed on, the worst first.
    pub(super) fn offenders(
        &self,
        measure: impl Fn(&Session) -> Option<f64>,
        least: f64,
    ) -> BTreeMap<Subject, Vec<(f64, &'a Session)>> {
        let mut offenders: BTreeMap<Subject, Vec<(f64, &Session)>> = BTreeMap::new();
        for &session in &self.sessions {
            if let Some(value) = measure(session).filter(|&value| value >= least) {
                offenders.entry(self.blamed(session)).or_default().push((value, session));
            }
        }
        for sessions in offenders.values_mut() {
            sessions.sort_by(|(a, one), (b, other)| b.total_cmp(a).then(one.key.cmp(&other.key)));
        }
        offenders
    }
}

/// Whether a role is a tenant's own login, the one that its limits are set on.
fn is_login_of(tenant: &Tenant, role: &str) -> bool {
    tenant.limit_scope == LimitScope::Tenant
        && tenant.limits.login.as_ref().map_or(tenant.role.as_deref(), |login| Some(login.raw())) == Some(role)
}
