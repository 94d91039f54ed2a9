//! Source `roles`: connection limits and settings of every role, as they bind in the tenants' database.

use std::collections::{BTreeMap, HashMap};

use super::desk::Desk;
use super::text::Text;
use crate::clients::postgres::QueryError;
use crate::domain::facts::{Role, Roles};
use crate::domain::{Foreign, Layout};

/// What is set for a role (`None`: for everybody) in a database.
type InDatabase = HashMap<(String, Option<String>), BTreeMap<String, String>>;

pub(super) async fn ask(desk: &Desk, layout: Layout) -> Result<Roles, QueryError> {
    let mut in_database = InDatabase::new();
    for row in desk.rows(include_str!("../../../assets/sql/role_settings.sql"), &[]).await? {
        let database = row.try_get::<_, Text>("database")?.0;
        let role = row.try_get::<_, Option<Text>>("role")?.map(|role| role.0);
        in_database.insert((database, role), settings(row.try_get("settings")?));
    }
    let here = desk.database();
    let mut roles = Roles { roles: Vec::new(), defaults: desk.defaults().clone() };
    if layout == Layout::Schema {
        overlay(&mut roles.defaults, in_database.get(&(here.to_owned(), None)));
    }
    for row in desk.rows(include_str!("../../../assets/sql/roles.sql"), &[]).await? {
        let name = row.try_get::<_, Text>("name")?.0;
        let mut own = settings(row.try_get("settings")?);
        for ((database, role), values) in &in_database {
            // Where tenants have databases, a login is used in one of them only: what is set there binds.
            if role.as_ref() == Some(&name) && (layout == Layout::Database || database == here) {
                overlay(&mut own, Some(values));
            }
        }
        // What is set on our own login hides the server's value from us.
        if name == desk.user() {
            roles.defaults.retain(|setting, _| !own.contains_key(setting));
        }
        let limit: i32 = row.try_get("connection_limit")?;
        roles.roles.push(Role {
            name: Foreign::new(&name),
            can_login: row.try_get("can_login")?,
            connection_limit: u32::try_from(limit).ok(),
            superuser: row.try_get("superuser")?,
            settings: own,
        });
    }
    Ok(roles)
}

/// `{"name=value", …}` as PostgreSQL keeps it; no settings are NULL.
fn settings(list: Option<Vec<Text>>) -> BTreeMap<String, String> {
    let pairs = list.unwrap_or_default().into_iter();
    pairs
        .filter_map(|pair| pair.0.split_once('=').map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())))
        .collect()
}

fn overlay(settings: &mut BTreeMap<String, String>, over: Option<&BTreeMap<String, String>>) {
    for (name, value) in over.into_iter().flatten() {
        settings.insert(name.clone(), value.clone());
    }
}
