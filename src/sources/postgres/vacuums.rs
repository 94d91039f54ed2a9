//! Source `vacuums`: the vacuums that run now.

use super::desk::{Desk, hidden};
use super::text::Text;
use crate::clients::postgres::QueryError;
use crate::domain::Foreign;
use crate::domain::facts::{Vacuum, Vacuums};

pub(super) async fn ask(desk: &Desk) -> Result<Vacuums, QueryError> {
    let mut vacuums = Vacuums::default();
    for row in desk.rows(include_str!("../../../assets/sql/vacuums.sql"), &[]).await? {
        vacuums.workers = u32::try_from(row.try_get::<_, i32>("workers")?).unwrap_or_default();
        // The one row of a server on which none runs.
        let Some(pid) = row.try_get::<_, Option<i32>>("pid")? else { continue };
        let Some(phase) = row.try_get::<_, Option<Text>>("phase")? else {
            return Err(hidden("a vacuum runs, and what it does is shown to pg_read_all_stats only"));
        };
        let count = |name| row.try_get::<_, i64>(name).map(|count| u64::try_from(count).unwrap_or_default());
        let said = row.try_get::<_, Option<Text>>("query")?.unwrap_or_default().0;
        let schema = row.try_get::<_, Option<Text>>("schema")?.map(Foreign::from);
        let table = row.try_get::<_, Option<Text>>("table")?.map(Foreign::from);
        let (schema, table) = schema.zip(table).or_else(|| named(&said)).unzip();
        vacuums.running.push(Vacuum {
            pid,
            database: row.try_get::<_, Option<Text>>("database")?.unwrap_or_default().into(),
            schema,
            table,
            automatic: row.try_get::<_, Option<bool>>("automatic")?.unwrap_or_default(),
            against_wraparound: said.ends_with("(to prevent wraparound)"),
            phase: phase.into(),
            blocks: count("blocks")?,
            scanned: count("scanned")?,
            vacuumed: count("vacuumed")?,
            index_rounds: count("index_rounds")?,
            since: row.try_get("since")?,
            wait: row.try_get::<_, Option<Text>>("wait")?.map(Into::into),
        });
    }
    Ok(vacuums)
}

/// In another database the names are not to be looked up, but autovacuum says what it works on:
/// `autovacuum: VACUUM ANALYZE public.orders`, unquoted. A name with a dot in it could be taken apart anywhere.
fn named(said: &str) -> Option<(Foreign, Foreign)> {
    let work = said.strip_prefix("autovacuum: VACUUM ")?.trim_end_matches(" (to prevent wraparound)");
    let (schema, table) = work.strip_prefix("ANALYZE ").unwrap_or(work).split_once('.')?;
    (!table.contains('.')).then(|| (Foreign::from(schema), Foreign::from(table)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn autovacuum_says_what_it_works_on() {
        for (said, expected) in [
            ("autovacuum: VACUUM app.orders", Some(("app", "orders"))),
            ("autovacuum: VACUUM ANALYZE app.orders", Some(("app", "orders"))),
            ("autovacuum: VACUUM app.the orders (to prevent wraparound)", Some(("app", "the orders"))),
            ("autovacuum: VACUUM app.a.b", None),
            ("autovacuum: ANALYZE app.orders", None),
            ("VACUUM app.orders", None),
        ] {
            let expected = expected.map(|(schema, table)| (Foreign::from(schema), Foreign::from(table)));
            assert_eq!(named(said), expected, "{said}");
        }
    }
}
