//! `search-path`: where a login's unqualified names end up. In another tenant's schema, in a `public` that anybody may
//! write to, or, set on the account that all tenants share, in one tenant's schema for everybody.

use std::collections::BTreeSet;

use crate::domain::facts::{Catalog, ObjectKind, Role, Roles, Source};
use crate::domain::quantity::plural;
use crate::domain::{Evidence, Layout, Severity, Signal, SubjectKind, TenantId, Tier, Unit, foreign};

use super::words::{names, quoted};
use super::{Check, Place, Raised, Scene, Tour, Verdicts};

/// The setting.
const SETTING: &str = "search_path";

/// The check.
#[derive(Debug)]
pub(super) struct SearchPath;

impl Check for SearchPath {
    fn signal(&self) -> Signal {
        Signal::SearchPath
    }

    fn about(&self) -> &'static str {
        "A login's search_path leads to another tenant, to a public anybody may write to, or past its schema"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Role]
    }

    fn holds(&self) -> bool {
        false
    }

    fn grounds(&self) -> Option<&'static [Source]> {
        Some(&[Source::Roles, Source::Catalog])
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let instance = place.instance;
            let Some(roles) = verdicts.seen(self.signal(), place, Source::Roles, &instance.roles, scene.now) else {
                continue;
            };
            // Elsewhere a tenant's schemas are in a database where nobody else's are.
            let Some(server) = &instance.server else { continue };
            if instance.tier == Tier::Dedicated || instance.layout == Layout::Database {
                continue;
            }
            let database = server.database.raw();
            let open = instance.catalog.fresh(scene.now).map(|catalog| is_public_open(catalog, database));
            let (mut unset, mut undecided) = (0, 0);
            for role in roles.roles.iter().filter(|role| role.can_login) {
                let owner = match place.role_owner(role.name.raw()) {
                    Some(owner) => Some(owner),
                    None if place.is_service_account(role.name.raw()) => None,
                    None => continue,
                };
                let Some(path) = Path::of(roles, role, database) else {
                    unset += usize::from(owner.is_some());
                    continue;
                };
                undecided += usize::from(open.is_none() && owner.is_some() && path.public_first(place, owner.as_ref()));
                verdicts.raised.extend(raise(place, role, owner, &path, open.unwrap_or(false)));
            }
            if unset > 0 {
                let reason = format!(
                    "{} without a search_path of their own use the server's, which is not asked for",
                    plural(unset, "login")
                );
                verdicts.hidden(self.signal(), place, &reason);
            }
            if undecided > 0 {
                let missing = instance.catalog.missing(scene.now).unwrap_or_default();
                let reason = format!("whether anybody may write to public: catalog: {missing}");
                verdicts.doubt(self.signal(), place, Source::Catalog, &reason);
            }
            if let Some(catalog) = &instance.catalog.value
                && open.is_some()
            {
                verdicts.partly_seen(
                    self.signal(),
                    place,
                    Source::Catalog,
                    &Tour::of(catalog, instance.catalog.every),
                    scene.now,
                );
            }
        }
    }
}

/// Whether `PUBLIC` may create things in the schema `public`.
fn is_public_open(catalog: &Catalog, database: &str) -> bool {
    catalog.grants.iter().any(|grant| {
        grant.on == ObjectKind::Schema
            && grant.grantee.is_none()
            && grant.schema.raw() == "public"
            && grant.database.raw() == database
            && grant.privileges.iter().any(|privilege| &**privilege == "CREATE")
    })
}

/// A search path as it is set, and where.
struct Path<'a> {
    text: &'a str,
    schemas: Vec<String>,
    /// Set on the role for this database only.
    in_database: Option<&'a str>,
    /// Set on the role at all, not on the database or the server.
    on_role: bool,
}

impl<'a> Path<'a> {
    /// What holds for sessions of this login: the order is PostgreSQL's. `None`: nothing that we know of is set.
    fn of(roles: &'a Roles, role: &'a Role, database: &'a str) -> Option<Self> {
        let get =
            |level: Option<&'a std::collections::BTreeMap<String, String>>| level.and_then(|level| level.get(SETTING));
        let narrow = get(role.in_databases.get(database));
        let own = narrow.or_else(|| role.settings.get(SETTING));
        let text = own.or_else(|| get(roles.databases.get(database))).or_else(|| roles.defaults.get(SETTING))?;
        let schemas = split(text)
            .into_iter()
            .map(|schema| if schema == "$user" { role.name.raw().to_owned() } else { schema })
            .collect();
        Some(Self { text, schemas, in_database: narrow.map(|_| database), on_role: own.is_some() })
    }

    /// Whether `public` stands before the tenant's own schema, or that is not in it at all.
    fn public_first(&self, place: &Place<'_>, owner: Option<&TenantId>) -> bool {
        let at = |name: &str| self.schemas.iter().position(|schema| schema == name);
        let own = owner.and_then(|owner| at(&place.naming().tenant_schema.name(owner)));
        at("public").is_some_and(|public| own.is_none_or(|own| public < own))
    }
}

/// The names of a path: `a, "B c", $user`.
fn split(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut name = String::new();
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    while let Some(char) = chars.next() {
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                name.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => names.push(std::mem::take(&mut name)),
            char if quoted => name.push(char),
            char if char.is_whitespace() => {}
            char => name.extend(char.to_lowercase()),
        }
    }
    names.push(name);
    names.retain(|name| !name.is_empty());
    names
}

fn raise(place: &Place<'_>, role: &Role, owner: Option<TenantId>, path: &Path<'_>, open: bool) -> Option<Raised> {
    let naming = place.naming();
    let login = quoted(role.name.raw());
    let tenants: BTreeSet<TenantId> =
        path.schemas.iter().filter_map(|schema| naming.tenant_schema.id(schema)).collect();
    let others: Vec<&TenantId> = tenants.iter().filter(|tenant| Some(*tenant) != owner.as_ref()).collect();
    let own = owner.as_ref().map(|owner| naming.tenant_schema.name(owner));
    let lacks = own.as_ref().is_some_and(|own| !path.schemas.contains(own));
    let (severity, what) = match &owner {
        None if others.is_empty() => return None,
        None => (
            Severity::Critical,
            format!("names of every tenant behind it end up with {}", names(others.iter().copied())),
        ),
        Some(_) if !others.is_empty() => (Severity::Warning, format!("it leads to {}", names(others.iter().copied()))),
        Some(owner) if open && path.public_first(place, Some(owner)) => {
            (Severity::Warning, "anybody may create things in public, which it looks through first".to_owned())
        }
        Some(_) if lacks => (Severity::Info, "it lacks the tenant's own schema".to_owned()),
        Some(_) => return None,
    };
    let whose =
        owner.as_ref().map_or_else(|| format!("shared account {login}"), |owner| format!("{owner}'s login {login}"));
    let within = path.in_database.map(|database| format!(" IN DATABASE {}", quoted(database))).unwrap_or_default();
    let statement = match &own {
        Some(own) => Some(format!("ALTER ROLE {login}{within} SET search_path = {};", quoted(own))),
        None if path.on_role => Some(format!("ALTER ROLE {login}{within} RESET search_path;")),
        None => None,
    };
    let shown: String = foreign::sanitise(path.text).chars().take(60).collect();
    Some(Raised {
        severity,
        subject: place.about(SubjectKind::Role, role.name.raw()),
        summary: format!("search_path of {whose} on {} is {shown}: {what}", place.name()),
        evidence: vec![
            Evidence::fact("schemas in the path", path.schemas.len() as f64, Unit::Count),
            Evidence::fact("of them other tenants'", others.len() as f64, Unit::Count),
        ],
        advice: match &owner {
            Some(_) => "Set it to the tenant's own schema; that reaches new sessions only.".to_owned(),
            None => "Take it off: each transaction says its schema itself (SET LOCAL search_path); that reaches new sessions only."
                .to_owned(),
        },
        statement,
        since: None,
        culprits: owner.into_iter().collect(),
        victims: Vec::new(),
        rests_on: vec![Source::Roles, Source::Catalog],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_postgresql_reads_them() {
        assert_eq!(split("\"$user\", Public ,tenant_acme"), ["$user", "public", "tenant_acme"]);
        assert_eq!(split("\"A, \"\"b\"\"\",, c"), ["A, \"b\"", "c"]);
        assert_eq!(split(""), [""; 0]);
    }
}
