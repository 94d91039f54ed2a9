//! That limits and isolation hold, proven by trying: a temporary login in the same settings as the one that binds a tenant does
//! what must be refused, and what the server answers is the evidence.
//!
//! One operation a tenant, also where all are asked for: each has its evidence of its own, one that cannot be proven keeps
//! nobody else's from coming, and at no time there is more than one temporary login. Each control is a step, so that whoever goes on
//! after a crash keeps what was proven. Nothing is left: the login is the last thing to go, forward as backward.

mod control;
mod evidence;
mod login;
mod plan;
mod trial;

use serde::{Deserialize, Serialize};

pub use control::{Control, Judged, Verdict};
pub use evidence::{Evidence, Setting};
pub use login::{MakeLogin, RemoveLogin};
pub use trial::Try;

pub(super) use plan::plan;

use super::estate::{Estate, Place};
use super::guardrails::Wanted;
use super::hands::Eyes;
use super::id::OperationId;
use super::step::{Step, StepError};
use crate::clients::postgres::QueryError;
use crate::domain::{InstanceName, Layout, TenantId};

/// How many connections the trial takes, and how many it leaves to everybody else at the least.
const ROOM: i64 = 8;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proving {
    /// Whose.
    pub tenant: TenantId,
    /// Where.
    pub instance: InstanceName,
    /// What the policy wants of its own login.
    pub policy: Wanted,
    /// Timeouts that are longer are shortened to so many milliseconds at the temporary login; `None`: they are waited for.
    pub shortened_ms: Option<u64>,
    /// Whether it is one of all tenants of the instance: then that is what is typed.
    pub all: bool,
}

/// A step, as a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum ProveStep {
    /// Makes the temporary login.
    Login(MakeLogin),
    /// Tries something.
    Try(Try),
    /// Removes the login.
    Remove(RemoveLogin),
}

impl ProveStep {
    /// What it does.
    pub fn step(&self) -> &dyn Step {
        match self {
            Self::Login(step) => step,
            Self::Try(step) => step,
            Self::Remove(step) => step,
        }
    }
}

/// How the temporary login of an operation is called: nobody's convention for tenants makes such a name.
pub fn login_of(id: &OperationId) -> String {
    format!("tierdeck_prove_{}", id.as_str().replace('-', "_"))
}

/// What is true now.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// The login that binds.
    login: Option<Login>,
    /// Whether that is the one that everybody shares.
    shared: bool,
    /// Connections that are free.
    room: i64,
    /// Where somebody else lives.
    neighbour: Option<Neighbour>,
    /// How tenants' schemas are called: before and after the id. `None`: they have databases.
    schemas: Option<(String, String)>,
    /// Its own schema.
    own: String,
}

/// What is known of the login that binds.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "the names are those of prove_login.sql, which says what they are")]
struct Login {
    name: String,
    may_enter: bool,
    superuser: bool,
    connections: i32,
    attributes: Vec<String>,
    settings: Vec<Stored>,
    may_create_roles: bool,
    may_signal: bool,
    may_grant: bool,
    version: i32,
    /// Temporary logins that are there already.
    others: Vec<String>,
}

/// A setting that reaches its sessions.
#[derive(Debug, Clone, Deserialize)]
struct Stored {
    name: String,
    value: String,
    /// Stored with the login; else with the database or for everybody, which reaches the temporary login as well.
    own: bool,
    /// Whether the temporary login may be given it.
    plain: bool,
}

impl Login {
    fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|stored| stored.name == name).map(|stored| stored.value.as_str())
    }
}

/// Where somebody else lives.
#[derive(Debug, Clone)]
enum Neighbour {
    /// In a schema of the same database, with a table and a column of it.
    Schema { schema: String, table: String, column: String },
    /// In a database.
    Database(String),
}

/// Looks.
pub(super) async fn look(intent: &Proving, place: &Place, eyes: &mut Eyes) -> Result<Facts, StepError> {
    let estate = std::sync::Arc::clone(eyes.estate());
    let naming = &estate.naming;
    let own = match place.layout {
        Layout::Schema => naming.tenant_role.name(&intent.tenant),
        Layout::Database => naming.tenant_login.name(&intent.tenant),
    };
    let mut login = look_at(&own, eyes).await?;
    let mut shared = false;
    if login.as_ref().is_some_and(|login| !login.may_enter) {
        // Limits bind where sessions log in.
        login = look_at(&naming.service_account, eyes).await?;
        shared = true;
    }
    let schemas = (place.layout == Layout::Schema).then(|| {
        let template = naming.tenant_schema.to_string();
        template.split_once("{id}").map(|(before, after)| (before.to_owned(), after.to_owned()))
    });
    Ok(Facts {
        login,
        shared,
        room: room(0, eyes).await?,
        neighbour: neighbour(intent, &estate, place, eyes).await?,
        schemas: schemas.flatten(),
        own: naming.tenant_schema.name(&intent.tenant),
    })
}

async fn look_at(name: &str, eyes: &mut Eyes) -> Result<Option<Login>, StepError> {
    let desk = eyes.desk(0).await?;
    let rows = desk.rows(include_str!("../../../assets/sql/ops/prove_login.sql"), &[&name]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let read = || -> Result<Login, QueryError> {
        let settings: String = row.try_get("settings")?;
        let settings = serde_json::from_str(&settings)
            .map_err(|error| QueryError::Answer { reason: format!("settings of a login: {error}") })?;
        Ok(Login {
            name: name.to_owned(),
            may_enter: row.try_get("can_login")?,
            superuser: row.try_get("superuser")?,
            connections: row.try_get("connection_limit")?,
            attributes: row.try_get("attributes")?,
            settings,
            may_create_roles: row.try_get("may_create_roles")?,
            may_signal: row.try_get("may_signal")?,
            may_grant: row.try_get("may_grant")?,
            version: row.try_get("version")?,
            others: row.try_get("others")?,
        })
    };
    Ok(Some(read()?))
}

/// How many connections are free.
async fn room(target: usize, eyes: &mut Eyes) -> Result<i64, StepError> {
    let desk = eyes.desk(target).await?;
    let rows = desk.rows(include_str!("../../../assets/sql/ops/prove_room.sql"), &[]).await?;
    let row = rows.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
    Ok(row.try_get("free").map_err(QueryError::from)?)
}

/// Somebody else: always the same one, as long as everybody stays.
async fn neighbour(
    intent: &Proving,
    estate: &Estate,
    place: &Place,
    eyes: &mut Eyes,
) -> Result<Option<Neighbour>, StepError> {
    if place.only.is_some() {
        return Ok(None);
    }
    let other = |id: Option<TenantId>| id.is_some_and(|id| id != intent.tenant);
    let desk = eyes.desk(0).await?;
    let text = |row: &tokio_postgres::Row, name: &str| row.try_get::<_, String>(name).map_err(QueryError::from);
    if place.layout == Layout::Database {
        for row in desk.rows(include_str!("../../../assets/sql/ops/prove_databases.sql"), &[]).await? {
            let name = text(&row, "name")?;
            if other(estate.naming.tenant_database.id(&name)) {
                return Ok(Some(Neighbour::Database(name)));
            }
        }
        return Ok(None);
    }
    for row in desk.rows(include_str!("../../../assets/sql/ops/prove_neighbours.sql"), &[]).await? {
        let schema = text(&row, "schema")?;
        if other(estate.naming.tenant_schema.id(&schema)) {
            let (table, column) = (text(&row, "table_name")?, text(&row, "column_name")?);
            return Ok(Some(Neighbour::Schema { schema, table, column }));
        }
    }
    Ok(None)
}

/// The tenants of an instance whose limits can be proven.
pub async fn tenants(estate: &std::sync::Arc<Estate>, instance: &InstanceName) -> Result<Vec<TenantId>, StepError> {
    let place = estate.place(instance)?;
    if let Some(only) = &place.only {
        return Ok(vec![only.clone()]);
    }
    let mut eyes = Eyes::on(std::sync::Arc::clone(estate), instance.clone(), None);
    let desk = eyes.desk(0).await?;
    let naming = &estate.naming;
    let (sql, template) = match place.layout {
        Layout::Schema => (include_str!("../../../assets/sql/ops/prove_schemas.sql"), &naming.tenant_schema),
        Layout::Database => (include_str!("../../../assets/sql/ops/prove_databases.sql"), &naming.tenant_database),
    };
    let names = desk.rows(sql, &[]).await?.into_iter().map(|row| row.try_get::<_, String>("name"));
    let names: Vec<String> = names.collect::<Result<_, _>>().map_err(QueryError::from)?;
    Ok(names.iter().filter_map(|name| template.id(name)).collect())
}
