//! Source `catalog`: how things are set up. What belongs to one database is asked from inside of it; what belongs to the
//! server (memberships, who may connect where, the audit's setting) once.

use std::collections::BTreeSet;

use postgres_protocol::escape::escape_identifier;

use super::desk::Desk;
use super::text::Text;
use crate::clients::postgres::QueryError;
use crate::domain::Foreign;
use crate::domain::facts::{Audit, Catalog, Grant, InvalidIndex, ObjectKind, Registered, Schema, Sequence};

/// The most rights that are kept of one instance, and of one of many databases.
const GRANTS: (u32, u32) = (2_000, 200);

/// The most sequences and the most indexes.
const WORST: usize = 200;

/// The most rows of the registry.
const REGISTERED: usize = 20_000;

/// Everything, where all tenants are in the database that we are connected to.
pub(super) async fn ask(desk: &Desk) -> Result<Catalog, QueryError> {
    let mut catalog = around(desk).await?;
    catalog.add(within(desk, GRANTS.0).await?);
    Ok(catalog)
}

/// One of many databases.
pub(super) async fn visit(desk: &Desk) -> Result<Catalog, QueryError> {
    within(desk, GRANTS.1).await
}

/// What is the server's and no database's, and the registry in ours.
pub(super) async fn around(desk: &Desk) -> Result<Catalog, QueryError> {
    let grants = grants(desk, include_str!("../../../assets/sql/catalog_server.sql"), GRANTS.0).await?;
    let rows = desk.rows(include_str!("../../../assets/sql/audit.sql"), &[]).await?;
    let row = rows.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
    let text = |name| row.try_get::<_, Option<Text>>(name);
    let loaded = row.try_get("loaded")?;
    // Anybody may set a parameter of that name where the library is not loaded.
    let log = text("log")?.filter(|_| loaded == Some(true)).map(Into::into);
    let registry = match (text("schema")?, text("table")?) {
        (Some(schema), Some(table)) => registry(desk, &schema.0, &table.0).await?,
        _ => None,
    };
    Ok(Catalog { grants, audit: Audit { loaded, log }, registry, ..Catalog::default() })
}

/// What is in the database that we are connected to.
async fn within(desk: &Desk, most_grants: u32) -> Result<Catalog, QueryError> {
    let mut catalog = sequences(desk).await?;
    catalog.schemas = schemas(desk).await?;
    catalog.invalid_indexes = invalid_indexes(desk).await?;
    catalog.grants = grants(desk, include_str!("../../../assets/sql/catalog_grants.sql"), most_grants).await?;
    Ok(catalog)
}

impl Catalog {
    /// Takes in what another database has; what is bounded stays so, the worst first.
    pub(super) fn add(&mut self, other: Self) {
        self.schemas.extend(other.schemas);
        self.sequences.extend(other.sequences);
        self.sequences.sort_by(|a, b| b.used().total_cmp(&a.used()));
        self.sequences.truncate(WORST);
        self.hidden_sequences += other.hidden_sequences;
        self.invalid_indexes.extend(other.invalid_indexes);
        self.invalid_indexes.sort_by_key(|index| std::cmp::Reverse(index.bytes));
        self.invalid_indexes.truncate(WORST);
        self.grants.extend(other.grants);
        self.grants.truncate(GRANTS.0 as usize);
    }
}

async fn schemas(desk: &Desk) -> Result<Vec<Schema>, QueryError> {
    let mut schemas = Vec::new();
    for row in desk.rows(include_str!("../../../assets/sql/catalog_schemas.sql"), &[]).await? {
        schemas.push(Schema {
            database: row.try_get::<_, Text>("database")?.into(),
            name: row.try_get::<_, Text>("name")?.into(),
            owner: row.try_get::<_, Text>("owner")?.into(),
            tables: u32::try_from(row.try_get::<_, i32>("tables")?).unwrap_or_default(),
            comment: row.try_get::<_, Option<Text>>("comment")?.map(Foreign::from),
        });
    }
    Ok(schemas)
}

async fn sequences(desk: &Desk) -> Result<Catalog, QueryError> {
    let mut catalog = Catalog::default();
    for row in desk.rows(include_str!("../../../assets/sql/catalog_sequences.sql"), &[]).await? {
        catalog.hidden_sequences = u32::try_from(row.try_get::<_, i32>("hidden")?).unwrap_or_default();
        // The one row of a database in which none is far.
        let Some(name) = row.try_get::<_, Option<Text>>("name")? else { continue };
        catalog.sequences.push(Sequence {
            database: row.try_get::<_, Text>("database")?.into(),
            schema: row.try_get::<_, Text>("schema")?.into(),
            name: name.into(),
            column: row.try_get::<_, Option<Text>>("column")?.map(Foreign::from),
            last: row.try_get("last")?,
            estimated: row.try_get("estimated")?,
            end: row.try_get("end")?,
            start: row.try_get("start")?,
            bound_by: row.try_get::<_, Text>("bound_by")?.into(),
        });
    }
    Ok(catalog)
}

async fn invalid_indexes(desk: &Desk) -> Result<Vec<InvalidIndex>, QueryError> {
    let mut indexes = Vec::new();
    for row in desk.rows(include_str!("../../../assets/sql/catalog_indexes.sql"), &[]).await? {
        indexes.push(InvalidIndex {
            database: row.try_get::<_, Text>("database")?.into(),
            schema: row.try_get::<_, Text>("schema")?.into(),
            table: row.try_get::<_, Text>("table")?.into(),
            index: row.try_get::<_, Text>("index")?.into(),
            bytes: u64::try_from(row.try_get::<_, i64>("bytes")?).unwrap_or_default(),
            building: row.try_get("building")?,
            unique: row.try_get("unique")?,
        });
    }
    Ok(indexes)
}

async fn grants(desk: &Desk, sql: &'static str, most: u32) -> Result<Vec<Grant>, QueryError> {
    let mut grants = Vec::new();
    for row in desk.rows(sql, &[&i64::from(most)]).await? {
        let text = |name| row.try_get::<_, Text>(name);
        let on = match &*text("kind")?.0 {
            "database" => ObjectKind::Database,
            "schema" => ObjectKind::Schema,
            "table" => ObjectKind::Table,
            "column" => ObjectKind::Column,
            "sequence" => ObjectKind::Sequence,
            "function" => ObjectKind::Function,
            "defaults" => ObjectKind::DefaultPrivileges,
            "membership" => ObjectKind::Membership,
            other => return Err(QueryError::Answer { reason: format!("rights on {other}?") }),
        };
        grants.push(Grant {
            database: text("database")?.into(),
            on,
            schema: text("schema")?.into(),
            object: text("object")?.into(),
            objects: u32::try_from(row.try_get::<_, i32>("objects")?).unwrap_or_default(),
            owner: text("owner")?.into(),
            grantee: row.try_get::<_, Option<Text>>("grantee")?.map(Foreign::from),
            privileges: row.try_get::<_, Vec<Text>>("privileges")?.into_iter().map(Into::into).collect(),
        });
    }
    Ok(grants)
}

/// The registry; `None` where it turns out that we may not read it after all. Its columns are whatever an installation made
/// of them, so a row is taken as a document.
async fn registry(desk: &Desk, schema: &str, table: &str) -> Result<Option<Vec<Registered>>, QueryError> {
    let fields = ["tenant_id", "tier", "schema_name"].map(|field| format!("to_jsonb(r) ->> '{field}' AS {field}"));
    let table = format!("{}.{}", escape_identifier(schema), escape_identifier(table));
    let sql = format!("SELECT {} FROM {table} r LIMIT {REGISTERED}", fields.join(", "));
    let rows = match desk.rows_once(&sql).await {
        Err(error) if error.is_denied() => return Ok(None),
        rows => rows?,
    };
    let mut registered = BTreeSet::new();
    for row in &rows {
        let text = |name| row.try_get::<_, Option<Text>>(name);
        if let (Some(tenant), Some(tier)) = (text("tenant_id")?, text("tier")?) {
            let schema = text("schema_name")?.map(Foreign::from);
            registered.insert(Registered { tenant: tenant.into(), tier: tier.into(), schema });
        }
    }
    Ok(Some(registered.into_iter().collect()))
}
