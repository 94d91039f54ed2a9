//! Source `sizes`: bytes of each schema, or of each database where tenants have those.

use super::desk::Desk;
use super::text::Text;
use crate::clients::postgres::QueryError;
use crate::domain::Layout;
use crate::domain::facts::Sizes;

pub(super) async fn ask(desk: &Desk, layout: Layout) -> Result<Sizes, QueryError> {
    let (sql, estimated) = match layout {
        Layout::Schema => (include_str!("../../../assets/sql/sizes.sql"), true),
        Layout::Database => (include_str!("../../../assets/sql/database_sizes.sql"), false),
    };
    let mut sizes = Sizes { estimated, ..Sizes::default() };
    for row in desk.rows(sql, &[]).await? {
        let bytes = u64::try_from(row.try_get::<_, i64>("bytes")?).unwrap_or_default();
        sizes.homes.insert(row.try_get::<_, Text>("home")?.into(), bytes);
    }
    Ok(sizes)
}
