//! What there is of a tenant on an instance with a schema for each tenant: names, facts, and the mark of what we made.

use serde::{Deserialize, Serialize};

use super::estate::{Estate, Place};
use super::hands::Eyes;
use super::id::OperationId;
use super::plan::Refusals;
use super::script::VaultAt;
use super::step::StepError;
use crate::clients::postgres::QueryError;
use crate::clients::vault::{Metadata, Secret, VersionState};
use crate::domain::ids::LONGEST_IDENTIFIER;
use crate::domain::{Layout, TenantId};

/// How a tenant's things are called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// Its role: owner of the schema, and its login where it has one of its own.
    pub role: String,
    /// Its schema.
    pub schema: String,
    /// What most tenants log in as.
    pub service: String,
    /// Its secret, below the mount.
    pub secret: String,
}

impl Names {
    /// By the configuration's conventions.
    pub fn of(estate: &Estate, tenant: &TenantId) -> Self {
        let naming = &estate.naming;
        Self {
            role: naming.tenant_role.name(tenant),
            schema: naming.tenant_schema.name(tenant),
            service: naming.service_account.clone(),
            secret: naming.vault_path.replace("{id}", tenant.as_str()),
        }
    }
}

/// What cannot be the id of a tenant here, and why: names that PostgreSQL would cut, and names that RDS would refuse on the
/// day of a promotion.
pub fn wrong_with(tenant: &TenantId, names: &Names, dedicated: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (what, name) in [("schema", &names.schema), ("role", &names.role)] {
        if name.len() > LONGEST_IDENTIFIER {
            wrong.push(format!(
                "the id is too long: the {what} {name} would have {} bytes, and PostgreSQL cuts names at {LONGEST_IDENTIFIER} without \
                 a word, so that two tenants could share one",
                name.len()
            ));
        }
    }
    let identifier = dedicated.replace("{id}", tenant.as_str());
    if identifier.len() > 63 {
        wrong.push(format!(
            "the id is too long: it could never be promoted, because its instance {identifier} would have {} characters, and \
             RDS takes 63",
            identifier.len()
        ));
    }
    if identifier.contains("--") {
        wrong.push(format!("the id has two hyphens in a row: RDS does not take the instance {identifier}"));
    }
    if tenant.as_str().starts_with(|char: char| char.is_ascii_digit()) {
        wrong.push("the id begins with a digit: RDS does not take a database of that name".to_owned());
    }
    wrong
}

/// Only an instance with a schema for each tenant has what this is about.
pub fn by_schema(place: &Place) -> Result<(), Refusals> {
    if place.layout == Layout::Schema && place.only.is_none() {
        return Ok(());
    }
    Err(Refusals::one(format!("{} is not a shared instance with a schema for each tenant", place.instance)))
}

/// What is written on everything that an operation makes.
pub fn mark(tenant: &TenantId, id: &OperationId) -> String {
    format!("tenant {tenant}, made by tierdeck operation {id}")
}

/// Whose a secret is.
pub const SECRET_MARK: &str = "tierdeck-operation";

/// What is there of a tenant, and what our login may do about it.
#[derive(Debug, Clone)]
#[expect(
    missing_docs,
    clippy::struct_excessive_bools,
    reason = "the names are those of tenant.sql, which says what they are"
)]
pub struct Tenancy {
    pub role_there: bool,
    pub role_mark: String,
    pub can_login: bool,
    pub superuser: bool,
    pub connection_limit: i32,
    pub settings: Vec<String>,
    pub member: bool,
    pub may_alter: bool,
    pub sessions: i64,
    pub schema_there: bool,
    pub schema_mark: String,
    pub owner: String,
    pub objects: i64,
    pub elsewhere: i64,
    pub service_there: bool,
    pub service_usage: bool,
    pub creators: Vec<String>,
    pub may_create_roles: bool,
    pub we_are_superuser: bool,
    pub may_create_schemas: bool,
    pub version: i32,
}

/// Looks at a tenant.
pub async fn look(names: &Names, target: usize, eyes: &mut Eyes) -> Result<Tenancy, StepError> {
    let desk = eyes.desk(target).await?;
    let sql =
        concat!(include_str!("../../assets/sql/ops/may_alter.sql"), include_str!("../../assets/sql/ops/tenant.sql"));
    let rows = desk.rows(sql, &[&names.role, &names.schema, &names.service]).await?;
    let row = rows.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
    let read = || -> Result<Tenancy, tokio_postgres::Error> {
        Ok(Tenancy {
            role_there: row.try_get("role_there")?,
            role_mark: row.try_get("role_mark")?,
            can_login: row.try_get("can_login")?,
            superuser: row.try_get("superuser")?,
            connection_limit: row.try_get("connection_limit")?,
            settings: row.try_get("settings")?,
            member: row.try_get("member")?,
            may_alter: row.try_get("may_alter")?,
            sessions: row.try_get("sessions")?,
            schema_there: row.try_get("schema_there")?,
            schema_mark: row.try_get("schema_mark")?,
            owner: row.try_get("owner")?,
            objects: row.try_get("objects")?,
            elsewhere: row.try_get("elsewhere")?,
            service_there: row.try_get("service_there")?,
            service_usage: row.try_get("service_usage")?,
            creators: row.try_get("creators")?,
            may_create_roles: row.try_get("may_create_roles")?,
            we_are_superuser: row.try_get("we_are_superuser")?,
            may_create_schemas: row.try_get("may_create_schemas")?,
            version: row.try_get("version")?,
        })
    };
    Ok(read().map_err(QueryError::from)?)
}

/// What is known of a secret.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Beside its values; `None`: there never was one.
    pub metadata: Option<Metadata>,
    /// Its newest version; `None`: there is none, or it was deleted.
    pub newest: Option<Secret>,
}

impl Kept {
    /// Looks at a secret.
    pub async fn look(at: &VaultAt, path: &str, eyes: &Eyes) -> Result<Self, StepError> {
        let vault = eyes.vault(at)?;
        let mut metadata = vault.metadata(path).await?;
        let Some(known) = metadata.as_mut().filter(|known| known.current > 0) else {
            return Ok(Self { metadata, newest: None });
        };
        let newest = vault.read(path).await?;
        // Vault's own clock is the one that counts, where a version deletes itself or has just been deleted.
        if let Some(state) = known.versions.get_mut(&known.current).filter(|state| **state != VersionState::Destroyed) {
            *state = if newest.is_some() { VersionState::There } else { VersionState::Deleted };
        }
        Ok(Self { metadata, newest })
    }

    /// In words, without any value.
    pub fn words(&self) -> String {
        let Some(known) = &self.metadata else { return "none".to_owned() };
        let state = match known.versions.get(&known.current) {
            Some(VersionState::There) => "",
            Some(VersionState::Deleted) => ", deleted",
            Some(VersionState::Destroyed) => ", destroyed",
            None => return "described, without a version".to_owned(),
        };
        format!("version {}{state}", known.current)
    }

    /// Whether an operation said that it is its own.
    pub fn is_of(&self, id: &OperationId) -> bool {
        let custom = self.metadata.as_ref().map(|known| &known.custom);
        custom.and_then(|custom| custom.get(SECRET_MARK)).is_some_and(|said| said == id.as_str())
    }

    /// The number of the newest version; 0: there never was one.
    pub fn current(&self) -> u64 {
        self.metadata.as_ref().map_or(0, |known| known.current)
    }
}
