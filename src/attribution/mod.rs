//! Whose session is it? Evidence about a session → its tenant, with the reason.
//!
//! Most sessions log in as one shared account, so the login says nothing. *Strong* evidence cannot be chosen by a tenant:
//! a login role or database of its own, or relations of its schema that the session holds locks on. *Claimed* evidence
//! can be set by anybody, or be left over from the pool's previous client. Strong beats claimed; what disagrees is
//! nobody's. Pure: the only memory is which tenant a session was known to be in its present transaction.

mod claims;
mod statement;
mod subject;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

pub use subject::{named_in, subject};

use crate::domain::session::Reason;
use crate::domain::{Attribution, Layout, Naming, Session, SessionKey, TenantId};

/// What is known of an instance's tenants: how they are named, and which exist.
#[derive(Debug, Clone)]
pub struct Directory {
    naming: Arc<Naming>,
    layout: Layout,
    /// The one tenant of a dedicated instance.
    only: Option<TenantId>,
    known: HashSet<TenantId>,
}

impl Directory {
    /// A directory with no tenant known yet.
    pub fn new(naming: Arc<Naming>, layout: Layout, only: Option<TenantId>) -> Self {
        Self { naming, layout, only, known: HashSet::new() }
    }

    /// Replaces the tenants that are known to exist.
    pub fn set_known(&mut self, tenants: impl IntoIterator<Item = TenantId>) {
        self.known = tenants.into_iter().collect();
    }

    /// How tenants are named.
    pub fn naming(&self) -> &Naming {
        &self.naming
    }

    /// The tenant whose schema this is, on an instance where tenants have schemas.
    pub fn by_schema(&self, schema: &str) -> Option<TenantId> {
        (self.layout == Layout::Schema).then(|| self.naming.tenant_schema.id(schema)).flatten()
    }

    /// The tenant whose database this is, on an instance where tenants have databases.
    pub fn by_database(&self, database: &str) -> Option<TenantId> {
        (self.layout == Layout::Database).then(|| self.naming.tenant_database.id(database)).flatten()
    }

    /// The tenant that this login belongs to. `<id>_app` is a common name, so there the tenant must exist.
    pub fn by_login(&self, role: &str) -> Option<TenantId> {
        if role == self.naming.service_account {
            return None;
        }
        match self.layout {
            Layout::Schema => self.naming.tenant_role.id(role),
            Layout::Database => self.naming.tenant_login.id(role).filter(|id| self.known.contains(id)),
        }
    }

    /// The tenant to whom everything belongs that this login does in this database, whoever's tables it may touch.
    pub fn by_account(&self, role: &str, database: &str) -> Option<TenantId> {
        self.only.clone().or_else(|| self.by_login(role)).or_else(|| self.by_database(database))
    }

    /// The tenant of this id, if there is one: claims may only name tenants that exist.
    fn existing(&self, text: &str) -> Option<TenantId> {
        TenantId::parse(text).ok().filter(|id| self.known.contains(id))
    }
}

/// Attributes the sessions of one instance, poll after poll.
#[derive(Debug, Clone, Default)]
pub struct Attributor {
    /// What a session was strongly known to be, and in which transaction.
    in_transaction: HashMap<SessionKey, (Timestamp, TenantId)>,
}

impl Attributor {
    /// Fills in [`Session::attribution`] of one poll's sessions.
    pub fn attribute(&mut self, directory: &Directory, sessions: &mut [Session]) {
        let mut seen = HashMap::with_capacity(self.in_transaction.len());
        for session in sessions {
            session.attribution = self.one(directory, session);
            if let (Some(tenant), Some(transaction)) = (session.attribution.strong(), session.transaction_started) {
                seen.insert(session.key, (transaction, tenant.clone()));
            }
        }
        self.in_transaction = seen;
    }

    fn one(&self, directory: &Directory, session: &Session) -> Attribution {
        let tenant = |tenant, reason| Attribution::Tenant { tenant, reason };
        if let Some(only) = &directory.only {
            return tenant(only.clone(), Reason::Database);
        }
        if let Some(id) = directory.by_login(session.role.raw()) {
            return tenant(id, Reason::LoginRole);
        }
        if let Some(id) = directory.by_database(session.database.raw()) {
            return tenant(id, Reason::Database);
        }
        match one_of(session.touched.iter().filter_map(|schema| directory.by_schema(schema))) {
            Agreed::One(id) => return tenant(id, Reason::Locks),
            Agreed::Several => return Attribution::Conflicting,
            Agreed::None => {}
        }
        if let (Some(now), Some((then, id))) = (session.transaction_started, self.in_transaction.get(&session.key))
            && now == *then
        {
            return tenant(id.clone(), Reason::SameTransaction);
        }
        let claims = claims::of(directory, session);
        match one_of(claims.iter().map(|(id, _)| id.clone())) {
            Agreed::One(id) => tenant(id, claims[0].1),
            Agreed::Several => Attribution::Conflicting,
            Agreed::None => Attribution::None,
        }
    }
}

enum Agreed {
    None,
    One(TenantId),
    Several,
}

fn one_of(ids: impl Iterator<Item = TenantId>) -> Agreed {
    ids.fold(Agreed::None, |agreed, id| match agreed {
        Agreed::None => Agreed::One(id),
        Agreed::One(first) if first == id => Agreed::One(first),
        _ => Agreed::Several,
    })
}

#[cfg(test)]
mod tests;
