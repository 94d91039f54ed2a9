//! Source `bloat`: the tables and indexes that waste most space, estimated from the planner's statistics.

use std::sync::LazyLock;

use super::desk::Desk;
use super::text::Text;
use crate::clients::postgres::QueryError;
use crate::domain::Foreign;
use crate::domain::facts::{Bloat, BloatEstimate};

/// What has fewer pages than this wastes too little to matter: 8 MB of the usual 8 kB.
pub const MIN_PAGES: i32 = 1_024;

/// The most that are kept.
pub(super) const WORST: u32 = 100;

/// The most tables and indexes that are judged, the largest first.
const JUDGED: i64 = 5_000;

/// Where the widths of columns come from.
const VIEW: &str = "pg_stats
    WHERE schemaname = ANY ((SELECT array_agg(DISTINCT nspname) FROM named)::name[])
      AND tablename = ANY ((SELECT array_agg(DISTINCT relname) FROM named)::name[])
      AND NOT inherited";

/// The same through what `tierdeck doctor` offers to those who will not let us read everything.
const FUNCTION: &str = "tierdeck_statistics.column_widths(
        (SELECT array_agg(DISTINCT nspname) FROM named)::name[],
        (SELECT array_agg(DISTINCT relname) FROM named)::name[])";

/// The SQL that makes that function, for a login in a database, both as SQL takes them.
pub fn narrow_grant(login: &str, database: &str) -> String {
    include_str!("../../../assets/sql/column_widths.sql").replace("{login}", login).replace("{database}", database)
}

/// The question by each of them: one text for all connections, which keep it beside what they prepared.
static BY_VIEW: LazyLock<String> = LazyLock::new(|| question(VIEW));
static BY_FUNCTION: LazyLock<String> = LazyLock::new(|| question(FUNCTION));

fn question(statistics: &str) -> String {
    include_str!("../../../assets/sql/bloat.sql").replace("{statistics}", statistics)
}

/// Asks about what has at least so many pages.
pub async fn ask(desk: &Desk, min_pages: i32) -> Result<Bloat, QueryError> {
    let place = desk.rows(include_str!("../../../assets/sql/bloat_place.sql"), &[]).await?;
    let by_function = place.first().is_some_and(|row| row.get("by_function"));
    let sql: &'static str = if by_function { &BY_FUNCTION } else { &BY_VIEW };
    let mut bloat = Bloat::default();
    for row in desk.rows(sql, &[&min_pages, &i64::from(WORST), &JUDGED]).await? {
        let count = |name| row.try_get::<_, i32>(name).map(|count| u32::try_from(count).unwrap_or_default());
        (bloat.judged, bloat.hidden) = (count("judged")?, count("hidden")?);
        // The one row of a database in which nothing is wasted.
        let Some(table) = row.try_get::<_, Option<Text>>("table")? else { continue };
        let bytes = |name| row.try_get::<_, i64>(name).map(|bytes| u64::try_from(bytes).unwrap_or_default());
        bloat.worst.push(BloatEstimate {
            database: row.try_get::<_, Text>("database")?.into(),
            schema: row.try_get::<_, Text>("schema")?.into(),
            table: table.into(),
            index: row.try_get::<_, Option<Text>>("index")?.map(Foreign::from),
            bytes: bytes("bytes")?,
            wasted: bytes("wasted")?,
        });
    }
    Ok(bloat)
}
