//! Source `roles`: connection limits of every role, and what is set on roles and databases.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::desk::Desk;
use super::text::Text;
use crate::clients::postgres::QueryError;
use crate::domain::Foreign;
use crate::domain::facts::{Role, Roles};

type Settings = BTreeMap<String, String>;

pub(super) async fn ask(desk: &Desk) -> Result<Roles, QueryError> {
    let mut roles = Roles { defaults: desk.defaults().clone(), ..Roles::default() };
    let mut in_databases: BTreeMap<String, BTreeMap<String, Settings>> = BTreeMap::new();
    for row in desk.rows(include_str!("../../../assets/sql/role_settings.sql"), &[]).await? {
        let database = row.try_get::<_, Text>("database")?.0;
        let set = settings(row.try_get("settings")?);
        match row.try_get::<_, Option<Text>>("role")? {
            Some(role) => in_databases.entry(role.0).or_default().insert(database, set),
            None => roles.databases.insert(database, set),
        };
    }
    // Ten thousand tenants' roles are set up in a few ways.
    let mut known: HashSet<Arc<Settings>> = HashSet::new();
    let mut share = |set: Settings| {
        known.get(&set).cloned().unwrap_or_else(|| {
            let set = Arc::new(set);
            known.insert(Arc::clone(&set));
            set
        })
    };
    for row in desk.rows(include_str!("../../../assets/sql/roles.sql"), &[]).await? {
        let name = row.try_get::<_, Text>("name")?.0;
        let limit: i32 = row.try_get("connection_limit")?;
        roles.roles.push(Role {
            can_login: row.try_get("can_login")?,
            connection_limit: u32::try_from(limit).ok(),
            superuser: row.try_get("superuser")?,
            settings: share(settings(row.try_get("settings")?)),
            in_databases: in_databases.remove(&name).unwrap_or_default(),
            name: Foreign::new(&name),
        });
    }
    hide(&mut roles, desk.user(), desk.database());
    Ok(roles)
}

/// What is set on our own login or database stands before the server's own value, which we therefore cannot see.
fn hide(roles: &mut Roles, user: &str, database: &str) {
    let us = roles.roles.iter().find(|role| role.name.raw() == user);
    let levels =
        [us.map(|us| &*us.settings), us.and_then(|us| us.in_databases.get(database)), roles.databases.get(database)];
    let hidden: Vec<String> = levels.into_iter().flatten().flat_map(BTreeMap::keys).cloned().collect();
    roles.defaults.retain(|setting, _| !hidden.contains(setting));
}

/// `{"name=value", …}` as PostgreSQL keeps it; no settings are NULL.
fn settings(list: Option<Vec<Text>>) -> Settings {
    let pairs = list.unwrap_or_default().into_iter();
    pairs
        .filter_map(|pair| pair.0.split_once('=').map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())))
        .collect()
}
