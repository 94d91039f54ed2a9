//! What PostgreSQL knows: one file a source, its query in `assets/sql`, as a login with `pg_monitor` and nothing else.

mod activity;
mod churn;
mod databases;
mod debt;
mod desk;
pub mod explain;
mod freeze;
mod locks;
mod privileges;
mod roles;
mod server;
mod sizes;
mod text;
pub mod tour;

use crate::clients::postgres::QueryError;
use crate::domain::facts::{Fragment, Source};
use crate::domain::{InstanceName, Layout};

pub use desk::Desk;
pub use locks::locks;
pub use privileges::{Privileges, privileges};
pub use server::server;

/// Tables with fewer dead rows than this are not looked at: autovacuum's own threshold is of that order.
const MIN_DEAD: i64 = 1_000;

/// Asks one source of the instance that this connection leads to.
///
/// Where tenants have databases of their own, what lives inside of them comes from a [`tour::Tour`] instead.
pub async fn ask(desk: &Desk, source: Source, instance: &InstanceName, layout: Layout) -> Result<Fragment, QueryError> {
    Ok(match (source, layout) {
        (Source::Activity, _) => Fragment::Activity(activity::ask(desk, instance).await?),
        (Source::Databases, _) => Fragment::Databases(databases::ask(desk).await?.databases),
        (Source::Roles, _) => Fragment::Roles(roles::ask(desk).await?),
        (Source::Churn, Layout::Schema) => Fragment::Churn(churn::ask(desk).await?),
        (Source::Churn, Layout::Database) => Fragment::Churn(databases::ask(desk).await?.churn()),
        (Source::Debt, _) => Fragment::Debt(debt::ask(desk, MIN_DEAD).await?),
        (Source::Sizes, layout) => Fragment::Sizes(sizes::ask(desk, layout).await?),
        (Source::Freeze, _) => Fragment::Freeze(freeze::ask(desk).await?),
        (
            Source::Vacuums
            | Source::Replication
            | Source::Horizon
            | Source::Statements
            | Source::Catalog
            | Source::Bloat
            | Source::Pooler,
            _,
        ) => return Err(QueryError::Answer { reason: format!("{} is not asked here", source.name()) }),
    })
}
