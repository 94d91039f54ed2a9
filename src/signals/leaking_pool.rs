//! Part of `search-path`: a pool of the account that all tenants share hands what one client SETs on to the next one that gets
//! the same server connection. Pools of one tenant's login or database only leak within that tenant.

use crate::domain::facts::{Pool, Pooler, Source};
use crate::domain::foreign::sanitise;
use crate::domain::{Evidence, Layout, Severity, Signal, SubjectKind, Tier, Unit};

use super::{Place, Raised, Scene, Verdicts};

/// Says which pools do.
pub(super) fn judge(signal: Signal, scene: &Scene<'_>, place: &Place<'_>, verdicts: &mut Verdicts) {
    let instance = place.instance;
    let Some(observed) = &instance.pooler else { return };
    if instance.tier == Tier::Dedicated || instance.layout == Layout::Database {
        return;
    }
    let Some(pooler) = verdicts.seen(signal, place, Source::Pooler, observed, scene.now) else { return };
    let shared = || pooler.pools.iter().filter(|pool| place.is_service_account(pool.role.raw()));
    if shared().any(|pool| pooler.leaks_search_path(pool).is_none()) {
        verdicts.doubt(signal, place, Source::Pooler, "how PgBouncer resets its connections is not known");
    }
    for pool in shared().filter(|pool| pooler.leaks_search_path(pool) == Some(true)) {
        verdicts.raised.push(raise(place, pooler, pool));
    }
}

fn raise(place: &Place<'_>, pooler: &Pooler, pool: &Pool) -> Raised {
    let Pool { database, role, .. } = pool;
    let why = pooler.leak(pool).unwrap_or_else(|| "its connections are not reset".to_owned());
    Raised {
        severity: Severity::Info,
        subject: place.about(SubjectKind::Pool, &format!("{}/{}", database.raw(), role.raw())),
        summary: format!(
            "pool {database} of {role} on {} hands search_path on from client to client: one tenant's statements may run in \
             another's schema",
            place.name()
        ),
        evidence: vec![
            Evidence::fact("clients on its connections", f64::from(pool.clients_active), Unit::Count),
            Evidence::fact("server connections", f64::from(pool.servers_active + pool.servers_idle), Unit::Count),
        ],
        advice: format!("In PgBouncer, {}.", sanitise(&why)),
        statement: None,
        since: None,
        culprits: Vec::new(),
        victims: Vec::new(),
        rests_on: vec![Source::Pooler],
    }
}
