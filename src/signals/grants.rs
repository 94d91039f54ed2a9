//! Rights that cross from one tenant to another: what counts, how bad it is, and what takes it away.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::domain::facts::{Catalog, Grant, ObjectKind};
use crate::domain::quantity::count;
use crate::domain::{Foreign, Layout, Severity, Subject, SubjectKind, TenantId};

use super::Place;
use super::words::{qualified, quoted};

/// A right that crosses.
#[derive(Debug)]
pub(super) struct Crossing<'a> {
    pub grant: &'a Grant,
    pub severity: Severity,
    /// `globex's role_globex`, or `PUBLIC`.
    pub who: String,
    /// `may SELECT 12 tables of acme`
    pub may: String,
}

type Holding<'a> = (&'a str, &'a str, Option<&'a str>);

/// Who may get where, of one instance's rights.
struct Doors<'a> {
    /// `USAGE` on a schema: database, schema, who.
    usage: HashSet<Holding<'a>>,
    /// `CONNECT` to a database.
    connect: HashSet<(&'a str, Option<&'a str>)>,
    /// The tenants whose things a group may touch.
    groups: HashMap<&'a str, HashSet<TenantId>>,
}

fn has(grant: &Grant, privileges: &[&str]) -> bool {
    grant.privileges.iter().any(|privilege| privileges.contains(&&**privilege))
}

fn grantee(grant: &Grant) -> Option<&str> {
    grant.grantee.as_ref().map(Foreign::raw)
}

impl<'a> Doors<'a> {
    fn of(place: &Place<'_>, catalog: &'a Catalog) -> Self {
        let mut doors = Self { usage: HashSet::new(), connect: HashSet::new(), groups: HashMap::new() };
        for grant in &catalog.grants {
            let (database, schema, who) = (grant.database.raw(), grant.schema.raw(), grantee(grant));
            match grant.on {
                ObjectKind::Schema if has(grant, &["USAGE"]) => {
                    doors.usage.insert((database, schema, who));
                }
                ObjectKind::Database if has(grant, &["CONNECT"]) => {
                    doors.connect.insert((database, who));
                }
                _ => {}
            }
            if let Some(role) = who.filter(|role| place.role_owner(role).is_none())
                && let Some(owner) = place.owner(&grant.database, &grant.schema)
            {
                doors.groups.entry(role).or_default().insert(owner);
            }
        }
        doors
    }

    /// Whether somebody gets as far as the object at all.
    fn lead_to(&self, layout: Layout, grant: &Grant) -> bool {
        let (database, schema, who) = (grant.database.raw(), grant.schema.raw(), grantee(grant));
        let enters = layout == Layout::Schema
            || self.connect.contains(&(database, who))
            || self.connect.contains(&(database, None));
        enters && (self.usage.contains(&(database, schema, who)) || self.usage.contains(&(database, schema, None)))
    }
}

/// All of them, by what they are about.
pub(super) fn crossings<'a>(place: &Place<'_>, catalog: &'a Catalog) -> BTreeMap<Subject, Vec<Crossing<'a>>> {
    let doors = Doors::of(place, catalog);
    let mut found: BTreeMap<Subject, Vec<Crossing<'a>>> = BTreeMap::new();
    for grant in &catalog.grants {
        let crossing = if grant.on == ObjectKind::Membership {
            membership(place, &doors, grant)
        } else {
            right(place, &doors, grant)
        };
        if let Some((subject, crossing)) = crossing {
            found.entry(subject).or_default().push(crossing);
        }
    }
    for crossings in found.values_mut() {
        crossings.sort_by(|one, other| other.severity.cmp(&one.severity).then(one.grant.cmp(other.grant)));
    }
    found
}

/// A tenant's role in a role that is another tenant's, everybody's, or that may touch another tenant's things.
fn membership<'a>(place: &Place<'_>, doors: &Doors<'_>, grant: &'a Grant) -> Option<(Subject, Crossing<'a>)> {
    let (group, member) = (grant.object.raw(), grantee(grant)?);
    let tenant = place.role_owner(member)?;
    let who = format!("{tenant}'s {}", quoted(member));
    let crossing = |may: String| Crossing { grant, severity: Severity::Critical, who, may };
    match place.role_owner(group) {
        Some(other) if other == tenant => None,
        Some(other) => {
            let subject = place.about(SubjectKind::Tenant, other.as_str());
            Some((subject, crossing(format!("is a member of {}: may do all that {other} may", quoted(group)))))
        }
        None => {
            let account = place.is_service_account(group);
            let others =
                doors.groups.get(group).map_or(0, |tenants| tenants.iter().filter(|it| **it != tenant).count());
            let subject = place.about(SubjectKind::Role, member);
            let may = if account {
                format!("is a member of {}, which all tenants share: may do everything to all of them", quoted(group))
            } else if others > 0 {
                format!(
                    "is a member of {}, which may touch what is other tenants' ({others} at the least)",
                    quoted(group)
                )
            } else {
                return None;
            };
            Some((subject, crossing(may)))
        }
    }
}

/// A right of a tenant's role, or of everybody, on what is another tenant's, or on what is everybody's.
fn right<'a>(place: &Place<'_>, doors: &Doors<'_>, grant: &'a Grant) -> Option<(Subject, Crossing<'a>)> {
    let layout = place.instance.layout;
    let to = grantee(grant);
    let other = to.and_then(|role| place.role_owner(role));
    if to.is_some() && other.is_none() {
        // The shared account, the platform's groups, its people.
        return None;
    }
    let who = match (to, &other) {
        (Some(role), Some(other)) => format!("{other}'s {}", quoted(role)),
        _ => "PUBLIC".to_owned(),
    };
    let reaches = doors.lead_to(layout, grant);
    let Some(owner) = place.owner(&grant.database, &grant.schema) else {
        // What is nobody's: only that everybody may make things there.
        let creates = to.is_none() && has(grant, &["CREATE"]);
        let (kind, name) = match grant.on {
            ObjectKind::Schema if creates => (SubjectKind::Schema, grant.schema.raw()),
            ObjectKind::Database if creates => (SubjectKind::Database, grant.database.raw()),
            _ => return None,
        };
        let may = format!("may CREATE in {}: names that others look up there can be planted", quoted(name));
        return Some((place.about(kind, name), Crossing { grant, severity: Severity::Warning, who, may }));
    };
    if other.as_ref() == Some(&owner) {
        return None;
    }
    let rows = has(grant, &["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"]);
    let severity = match grant.on {
        ObjectKind::Table | ObjectKind::Column if rows && reaches => Severity::Critical,
        ObjectKind::Table | ObjectKind::Column | ObjectKind::Sequence | ObjectKind::DefaultPrivileges => {
            Severity::Warning
        }
        ObjectKind::Schema | ObjectKind::Function if layout == Layout::Database && to.is_none() && !reaches => {
            // Everybody's default inside a database that nobody else gets into.
            return None;
        }
        ObjectKind::Function if !reaches => return None,
        ObjectKind::Schema | ObjectKind::Function => Severity::Warning,
        ObjectKind::Database if has(grant, &["CONNECT", "CREATE"]) => Severity::Warning,
        ObjectKind::Database | ObjectKind::Membership => return None,
    };
    let may = format!("may {}{}", grant.privileges.join(", "), of(grant, &owner));
    Some((place.about(SubjectKind::Tenant, owner.as_str()), Crossing { grant, severity, who, may }))
}

/// ` on 12 tables of acme`
fn of(grant: &Grant, owner: &TenantId) -> String {
    let Grant { schema, object, objects, database, .. } = grant;
    let several = |word: &str| match objects {
        0 | 1 => format!(" on {word} {object} of {owner}"),
        many => format!(" on {} {word}s of {owner}", count(f64::from(*many))),
    };
    match grant.on {
        ObjectKind::Database => format!(" on {owner}'s database {database}"),
        ObjectKind::Schema => format!(" on {owner}'s schema {schema}"),
        ObjectKind::Table => several("table"),
        ObjectKind::Column => several("column"),
        ObjectKind::Sequence => several("sequence"),
        ObjectKind::Function => several("function"),
        ObjectKind::DefaultPrivileges => format!(" on {object} that {owner} makes from now on"),
        ObjectKind::Membership => String::new(),
    }
}

/// What takes it away.
pub(super) fn revoke(grant: &Grant) -> String {
    let Grant { schema, object, objects, database, owner, .. } = grant;
    let from = grant.grantee.as_ref().map_or_else(|| "PUBLIC".into(), |role| quoted(role.raw()));
    let rights = grant.privileges.join(", ");
    let within = quoted(schema.raw());
    let one = *objects <= 1;
    let on = match grant.on {
        ObjectKind::Membership => return format!("REVOKE {} FROM {from};", quoted(object.raw())),
        ObjectKind::DefaultPrivileges => {
            let of = quoted(owner.raw());
            let within = if schema.is_empty() { String::new() } else { format!(" IN SCHEMA {within}") };
            let kind = object.raw().to_uppercase();
            return format!("ALTER DEFAULT PRIVILEGES FOR ROLE {of}{within} REVOKE {rights} ON {kind} FROM {from};");
        }
        ObjectKind::Database => format!("DATABASE {}", quoted(database.raw())),
        ObjectKind::Schema => format!("SCHEMA {within}"),
        ObjectKind::Table if one => format!("TABLE {}", qualified(schema, object)),
        ObjectKind::Table => format!("ALL TABLES IN SCHEMA {within}"),
        // A right on a column goes with the same right on its table, and the object is `table.column`.
        ObjectKind::Column => {
            let table = object.raw().rsplit_once('.').map_or(object.raw(), |(table, _)| table);
            format!("TABLE {}", qualified(schema, &Foreign::from(table)))
        }
        ObjectKind::Sequence if one => format!("SEQUENCE {}", qualified(schema, object)),
        ObjectKind::Sequence => format!("ALL SEQUENCES IN SCHEMA {within}"),
        // A function is named with its arguments, which we do not have.
        ObjectKind::Function => format!("ALL FUNCTIONS IN SCHEMA {within}"),
    };
    format!("REVOKE {rights} ON {on} FROM {from};")
}
