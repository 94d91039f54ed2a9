//! Whose tables is a statement about? A session's tenant alone does not tell: in one transaction it touches its own tables
//! and those of the platform, and what it does to the platform's everybody does with the same words.

use super::Directory;
use super::statement::Statement;
use crate::domain::session::{CUT, Reason};
use crate::domain::{Session, TenantId};

/// The tenant that a shared account's session is strongly known to be, if its present statement is certainly about that
/// tenant's tables: it names one on which the session holds a lock, and no other table of that name is locked.
///
/// Statements that PostgreSQL tells apart by their text alone (`COPY`, `CALL`, …) never are: everybody's look alike.
pub fn subject(directory: &Directory, session: &Session) -> Option<TenantId> {
    let tenant = match session.attribution.reason()? {
        Reason::Locks | Reason::SameTransaction => session.attribution.strong()?,
        _ => return None,
    };
    if session.relations.is_empty() {
        return None;
    }
    let text = session.query.as_ref()?.raw();
    let statement = Statement::read(text.split_once(CUT).map_or(text, |(before, _)| before));
    let verb = statement.verb.as_deref()?;
    if statement.several || !matches!(verb, "select" | "insert" | "update" | "delete" | "merge" | "with") {
        return None;
    }
    let owns = |schema: &str| directory.by_schema(schema).as_ref() == Some(tenant);
    let names_own = |(schema, name): &(Option<String>, String)| {
        let mut locked = session.relations.iter().filter(|relation| *relation.name == **name).peekable();
        match schema {
            Some(schema) => owns(schema) && locked.any(|relation| *relation.schema == **schema),
            // A name alone may be that of a common table expression.
            None => verb != "with" && locked.peek().is_some() && locked.all(|relation| owns(&relation.schema)),
        }
    };
    statement.tables.iter().any(names_own).then(|| tenant.clone())
}

/// The one tenant whose schema a text names: a claim, and nothing more.
pub fn named_in(directory: &Directory, text: &str) -> Option<TenantId> {
    let statement = Statement::read(text);
    let mut named = statement.schemas.iter().filter_map(|schema| super::claims::existing_schema(directory, schema));
    let first = named.next()?;
    named.all(|other| other == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::tests::{SHARED, directory, id, session};
    use crate::domain::session::Relation;
    use crate::domain::{Attribution, Layout};

    fn of(query: &str, relations: &[(&str, &str)]) -> Option<TenantId> {
        let mut session = session(SHARED, query);
        session.attribution = Attribution::Tenant { tenant: id("acme"), reason: Reason::Locks };
        session.relations = relations
            .iter()
            .map(|(schema, name)| Relation { schema: (*schema).into(), name: (*name).into() })
            .collect();
        subject(&directory(Layout::Schema), &session)
    }

    #[test]
    fn a_statement_is_about_the_table_that_it_names_and_its_session_holds() {
        let own = [("tenant_acme", "orders"), ("platform", "usage_counters")];
        assert_eq!(of("insert into orders values (1)", &own), Some(id("acme")));
        assert_eq!(
            of("select * from tenant_acme.orders o join platform.usage_counters u on true", &own),
            Some(id("acme"))
        );
        assert_eq!(of("update platform.usage_counters set value = 1", &own), None);
        assert_eq!(of("update usage_counters set value = 1", &own), None);
        assert_eq!(of("select * from tenant_globex.orders", &own), None, "another tenant's table of that name");
        assert_eq!(of("select now() /* from orders */", &own), None);
        assert_eq!(of("insert into orders values (1)", &[("tenant_acme", "orders"), ("public", "orders")]), None);
        assert_eq!(of("insert into orders values (1)", &[("tenant_acme", "events")]), None, "no lock on it yet");
    }

    #[test]
    fn what_all_tenants_spell_alike_is_nobodys() {
        let own = [("tenant_acme", "orders")];
        for text in [
            "copy orders from stdin",
            "insert into orders values (1); select 1",
            "with orders as (select 1) select * from orders",
            "begin",
            "select * from platform.x where note = ' … from orders",
        ] {
            assert_eq!(of(text, &own), None, "{text}");
        }
        assert_eq!(of("with x as (select 1) insert into tenant_acme.orders select 1", &own), Some(id("acme")));
    }

    #[test]
    fn a_claim_or_a_login_is_no_evidence_of_a_statement() {
        let mut session = session(SHARED, "insert into orders values (1)");
        session.relations = vec![Relation { schema: "tenant_acme".into(), name: "orders".into() }];
        for reason in [Reason::ApplicationName, Reason::LoginRole, Reason::QuerySchema] {
            session.attribution = Attribution::Tenant { tenant: id("acme"), reason };
            assert_eq!(subject(&directory(Layout::Schema), &session), None);
        }
        let directory = directory(Layout::Schema);
        assert_eq!(named_in(&directory, "select * from tenant_acme.x, tenant_acme.y"), Some(id("acme")));
        assert_eq!(named_in(&directory, "select * from tenant_acme.x, tenant_globex.y"), None);
        assert_eq!(named_in(&directory, "select * from tenant_nosuch.x"), None);
    }
}
