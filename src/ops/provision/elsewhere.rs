//! A tenant has one home. Before a second one is made, every other instance is looked at where it could have a first.

use std::sync::Arc;

use futures::future::{BoxFuture, join_all};

use crate::clients::postgres::QueryError;
use crate::domain::{InstanceName, Layout, TenantId};
use crate::ops::estate::{Estate, Place};
use crate::ops::hands::{Eyes, HandsError};
use crate::ops::step::StepError;

/// What is known of a tenant on the other instances.
#[derive(Debug, Clone, Default)]
pub(super) struct Elsewhere {
    /// Homes that it has.
    pub homes: Vec<String>,
    /// Instances that could not be looked at although they can be acted on: a home there would be overlooked.
    pub unseen: Vec<String>,
    /// Instances that can only be watched, so that nobody looks there.
    pub watched: Vec<String>,
}

/// An instance that the configuration gives to this tenant alone.
pub(super) fn own(tenant: &TenantId, estate: &Estate) -> Vec<String> {
    let own = estate.places.iter().filter(|place| place.only.as_ref() == Some(tenant));
    own.map(|place| format!("{tenant} has a home: the [[instance]] {} is its own", place.instance)).collect()
}

/// Looks at every other shared instance.
pub(super) async fn look(tenant: &TenantId, here: &InstanceName, estate: &Arc<Estate>) -> Elsewhere {
    let mut elsewhere = Elsewhere::default();
    let mut looks: Vec<BoxFuture<'_, _>> = Vec::new();
    for place in estate.places.iter().filter(|place| place.only.is_none() && place.instance != *here) {
        looks.push(Box::pin(async move { (place, home(tenant, place, estate).await) }));
    }
    for (place, found) in join_all(looks).await {
        match found {
            Ok(home) => elsewhere.homes.extend(home),
            Err(StepError::Hands(HandsError::NoAdmin(..))) => elsewhere.watched.push(place.instance.to_string()),
            Err(error) => elsewhere.unseen.push(format!("{}: {error}", place.instance)),
        }
    }
    elsewhere
}

async fn home(tenant: &TenantId, place: &Place, estate: &Arc<Estate>) -> Result<Option<String>, StepError> {
    let naming = &estate.naming;
    let (schema, database) = (naming.tenant_schema.name(tenant), naming.tenant_database.name(tenant));
    let mut eyes = Eyes::on(Arc::clone(estate), place.instance.clone(), None);
    let sql = include_str!("../../../assets/sql/ops/homes.sql");
    let rows = eyes.desk(0).await?.rows(sql, &[&schema, &database]).await?;
    let row = rows.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
    let there = |column| row.try_get::<_, bool>(column).map_err(QueryError::from);
    let (found, what) = match place.layout {
        Layout::Schema => (there("schema_there")?, format!("the schema {schema}")),
        Layout::Database => (there("database_there")?, format!("the database {database}")),
    };
    Ok(found.then(|| format!("{tenant} has a home: {what} on {}", place.instance)))
}
