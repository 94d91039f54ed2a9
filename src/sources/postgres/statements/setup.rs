//! How `pg_stat_statements` is set up: what `tierdeck doctor` says of it, and what would mend it.

use jiff::Timestamp;

use super::super::desk::Desk;
use super::super::text::Text;
use super::older;
use crate::clients::postgres::QueryError;
use crate::domain::Foreign;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// The database that was looked into.
    pub database: Foreign,
    /// `shared_preload_libraries`, one by one; `None` where our login may not read it.
    pub libraries: Option<Vec<Foreign>>,
    /// Whether it is loaded: then it has a `max`.
    pub most: Option<u32>,
    /// The version in this database; `None`: it was not created there.
    pub version: Option<Foreign>,
    /// The schema that it is in.
    pub schema: Option<Foreign>,
    /// Whether we may look into that schema.
    pub may_look: bool,
    /// `compute_query_id`.
    pub query_ids: String,
    /// How often entries were thrown out since when; `None` where that cannot be read.
    pub evictions: Option<(u64, Option<Timestamp>)>,
}

impl Setup {
    /// Whether the version in the database lacks what is asked of it.
    pub fn is_old(&self) -> bool {
        self.version.as_ref().is_some_and(|version| older(version.raw()))
    }
}

/// Looks.
pub async fn setup(desk: &Desk) -> Result<Setup, QueryError> {
    let rows = desk.rows(include_str!("../../../../assets/sql/statements_setup.sql"), &[]).await?;
    let row = rows.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
    let text = |column: &str| row.try_get::<_, Option<Text>>(column).map(|text| text.map(|text| text.0));
    let name = |column: &str| text(column).map(|text| text.map(Foreign::from));
    let listed = |list: String| {
        let names = list.split(',').map(|name| name.trim().trim_matches('"').to_owned());
        names.filter(|name| !name.is_empty()).map(Foreign::from).collect()
    };
    let mut setup = Setup {
        database: Foreign::from(desk.database()),
        libraries: text("libraries")?.map(listed),
        most: text("most")?.and_then(|most| most.parse().ok()),
        version: name("version")?,
        schema: name("schema")?,
        may_look: row.try_get::<_, Option<bool>>("may_look")?.unwrap_or_default(),
        query_ids: text("query_ids")?.unwrap_or_default(),
        evictions: None,
    };
    if let Some(schema) = setup.schema.as_ref().filter(|_| setup.most.is_some() && setup.may_look && !setup.is_old()) {
        let info = include_str!("../../../../assets/sql/statements_info.sql");
        let info = desk.rows_in(info, schema.raw(), &[]).await?;
        let info = info.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
        let evictions = u64::try_from(info.try_get::<_, i64>("dealloc")?).unwrap_or_default();
        setup.evictions = Some((evictions, info.try_get("since")?));
    }
    Ok(setup)
}
