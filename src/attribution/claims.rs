//! What a session says of itself. Every claim can be a lie or a left-over; that is why they are only claims.

use percent_encoding::percent_decode_str;

use super::Directory;
use super::statement::Statement;
use crate::domain::session::Reason;
use crate::domain::{Session, TenantId};

/// sqlcommenter keys that name a tenant.
const TAGS: [&str; 4] = ["tenant", "tenant_id", "tenantid", "tenant-id"];

/// All claims of a session, the most deliberate first.
pub(super) fn of(directory: &Directory, session: &Session) -> Vec<(TenantId, Reason)> {
    let mut claims = Vec::new();
    let mut claim = |tenant: Option<TenantId>, reason| claims.extend(tenant.map(|tenant| (tenant, reason)));
    if let Some(query) = &session.query {
        let statement = Statement::read(query.raw());
        for (key, value) in &statement.tags {
            if TAGS.contains(&key.to_ascii_lowercase().as_str()) {
                let value = percent_decode_str(value).decode_utf8_lossy();
                claim(name(directory, &value), Reason::SqlComment);
            }
        }
        claim(statement.search_path.iter().find_map(|schema| existing_schema(directory, schema)), Reason::SearchPath);
        for schema in &statement.schemas {
            claim(existing_schema(directory, schema), Reason::QuerySchema);
        }
    }
    for word in session.application.raw().split([' ', '/', ':', '=', ',', ';', '|', '@', '(', ')', '[', ']']) {
        claim(name(directory, word), Reason::ApplicationName);
    }
    claims
}

/// A tenant by its id or by its schema's name.
fn name(directory: &Directory, text: &str) -> Option<TenantId> {
    directory.existing(text).or_else(|| existing_schema(directory, text))
}

pub(super) fn existing_schema(directory: &Directory, schema: &str) -> Option<TenantId> {
    directory.by_schema(schema).filter(|id| directory.known.contains(id))
}
