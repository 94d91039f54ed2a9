//! What PostgreSQL knows: one file a source, its query in `assets/sql`, as a login with `pg_monitor` and nothing else.

mod activity;
pub mod bloat;
mod catalog;
mod churn;
mod databases;
mod debt;
mod desk;
pub mod explain;
mod freeze;
mod horizon;
mod locks;
pub mod operations;
mod privileges;
mod replication;
mod roles;
mod server;
mod sizes;
pub mod statements;
mod text;
pub mod tour;
mod vacuums;

use crate::clients::postgres::QueryError;
use crate::domain::facts::{Fragment, Source};
use crate::domain::{Foreign, InstanceName, Layout};

pub use debt::tables;
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
        (Source::Vacuums, _) => Fragment::Vacuums(vacuums::ask(desk).await?),
        (Source::Replication, _) => Fragment::Replication(replication::ask(desk).await?),
        (Source::Horizon, _) => Fragment::Horizon(horizon::ask(desk).await?),
        (Source::Operations, _) => Fragment::Operations(operations::ask(desk).await?),
        (Source::Catalog, Layout::Schema) => Fragment::Catalog(catalog::ask(desk).await?),
        (Source::Catalog, Layout::Database) => Fragment::Catalog(catalog::around(desk).await?),
        (Source::Bloat, _) => Fragment::Bloat(bloat::ask(desk, bloat::MIN_PAGES).await?),
        // A first look: who asks again and again keeps a book.
        (Source::Statements, _) => Fragment::Statements(statements::Book::default().ask(desk).await?),
        (
            Source::Pooler
            | Source::Secrets
            | Source::Metrics
            | Source::Rds
            | Source::Alarms
            | Source::Events
            | Source::Parameters
            | Source::Snapshots
            | Source::Backups,
            _,
        ) => {
            return Err(QueryError::Answer { reason: format!("{} is not asked here", source.name()) });
        }
    })
}

/// The databases that a tour goes through.
pub async fn databases(desk: &Desk) -> Result<Vec<Foreign>, QueryError> {
    let polled = databases::ask(desk).await?.databases;
    Ok(polled.into_iter().filter(|database| database.in_use).map(|database| database.name).collect())
}
