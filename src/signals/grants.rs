//! Rights that cross from one tenant to another: what counts, how bad it is, and what takes it away.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::domain::facts::{Catalog, Grant, ObjectKind, Roles};
use crate::domain::foreign::sanitise;
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

/// Takes out those of tenants of whom nothing else is wrong than that everybody gets into their databases, and so as far as
/// everybody gets inside of those: that is how PostgreSQL makes databases, and a wall of findings says no more than one.
pub(super) fn take_open<'a>(found: &mut BTreeMap<Subject, Vec<Crossing<'a>>>) -> Vec<Crossing<'a>> {
    let is_door = |crossing: &Crossing<'_>| crossing.grant.on == ObjectKind::Database;
    let open = |crossings: &[Crossing<'_>]| {
        let ordinary = |it: &Crossing<'_>| match it.grant.on {
            _ if it.grant.grantee.is_some() => false,
            ObjectKind::Database => !has(it.grant, &["CREATE"]),
            on => on == ObjectKind::Schema,
        };
        crossings.iter().any(is_door) && crossings.iter().all(ordinary)
    };
    let alike: Vec<Subject> = found
        .iter()
        .filter(|(subject, crossings)| subject.kind == SubjectKind::Tenant && open(crossings))
        .map(|(subject, _)| subject.clone())
        .collect();
    if alike.len() < 2 {
        return Vec::new();
    }
    alike.iter().filter_map(|subject| found.remove(subject)).flatten().filter(is_door).collect()
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
    let Grant { schema, objects, database, .. } = grant;
    // A function's arguments may be many.
    let object: String = grant.object.shown().chars().take(SHOWN).collect();
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

/// How much of a name is shown.
const SHOWN: usize = 63;

/// How many rights are taken away at once; and from how many databases everybody, whose doors are all alike.
pub(super) const REVOKED: usize = 6;
pub(super) const CLOSED: usize = 20;

/// What takes rights away, and what of it cannot be written down for somebody else.
#[derive(Debug, Default)]
pub(super) struct Revocation {
    /// It grants first: to those who had by PUBLIC what is theirs, so that they keep it.
    pub keeps: bool,
    pub statement: Option<String>,
    /// Rights on several objects alike, of which one only is known by name: `ALL … IN SCHEMA` would take away more.
    pub unnamed: usize,
    /// Rights of everybody's on what is a tenant's whose login is not known: it may have no other.
    pub unkept: usize,
}

/// What takes these away. What everybody loses the tenant's own logins (and ours, to get in) are given before: mostly they
/// had it through `PUBLIC` alone.
pub(super) fn revoke<'a>(
    place: &Place<'_>,
    roles: Option<&Roles>,
    crossings: impl IntoIterator<Item = &'a Crossing<'a>>,
) -> Revocation {
    let mut revocation = Revocation::default();
    let mut within: Option<&Foreign> = None;
    let (mut given, mut taken) = (Vec::new(), Vec::new());
    for Crossing { grant, .. } in crossings {
        let owner = place.owner(&grant.database, &grant.schema);
        let inside = !matches!(grant.on, ObjectKind::Database | ObjectKind::Membership);
        let Some(right) = Right::of(grant, owner.is_some())
            .filter(|_| !inside || within.is_none_or(|database| *database == grant.database))
        else {
            revocation.unnamed += 1;
            continue;
        };
        if let (None, Some(owner)) = (&grant.grantee, &owner) {
            let Some(keepers) = roles.and_then(|roles| keepers(place, roles, grant, owner)) else {
                revocation.unkept += 1;
                continue;
            };
            given.extend(right.give(&keepers));
        }
        if inside {
            within = Some(&grant.database);
        }
        let from = grant.grantee.as_ref().map_or_else(|| "PUBLIC".into(), |role| quoted(role.raw()));
        taken.push(right.written("REVOKE", &right.rights, &format!("FROM {from}")));
    }
    if taken.is_empty() {
        return revocation;
    }
    let statement = if given.is_empty() {
        taken.join(" ")
    } else {
        // Together or not at all: a REVOKE after a GRANT that failed would shut the tenant out.
        revocation.keeps = true;
        format!("BEGIN; {} {} COMMIT;", given.join(" "), taken.join(" "))
    };
    revocation.statement = match within {
        Some(database) => place.instance.pasted(database, statement),
        None => Some(statement),
    };
    revocation
}

/// A right as `GRANT` and `REVOKE` have it.
struct Right {
    /// `ALTER DEFAULT PRIVILEGES … `, or nothing.
    lead: String,
    rights: Vec<String>,
    /// ` ON TABLE x`; of a membership nothing.
    on: String,
}

impl Right {
    /// `None`: the object is not known by its name, or is one of several. What is nobody's is everybody's to use: there only
    /// `CREATE` is taken away; `TEMPORARY` nowhere, because it reaches nobody else's things.
    fn of(grant: &Grant, owned: bool) -> Option<Self> {
        let Grant { schema, object, objects, database, owner, privileges, .. } = grant;
        let within = quoted(schema.raw());
        let one = *objects == 1;
        let crosses = |right: &str| (owned || right == "CREATE") && right != "TEMPORARY";
        let mut rights: Vec<String> =
            privileges.iter().filter(|right| crosses(right)).map(ToString::to_string).collect();
        let mut lead = String::new();
        let on = match grant.on {
            ObjectKind::Membership => {
                rights = vec![quoted(object.raw()).into_owned()];
                String::new()
            }
            ObjectKind::DefaultPrivileges => {
                let in_schema = if schema.is_empty() { String::new() } else { format!(" IN SCHEMA {within}") };
                lead = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {}{in_schema} ", quoted(owner.raw()));
                object.raw().to_uppercase()
            }
            ObjectKind::Database => format!("DATABASE {}", quoted(database.raw())),
            ObjectKind::Schema => format!("SCHEMA {within}"),
            ObjectKind::Table if one => format!("TABLE {}", qualified(schema, object)),
            ObjectKind::Sequence if one => format!("SEQUENCE {}", qualified(schema, object)),
            // `table.column`: with more points it is not known where the one ends.
            ObjectKind::Column => {
                let (table, column) = object.raw().split_once('.').filter(|(_, column)| !column.contains('.'))?;
                rights = rights.into_iter().map(|right| format!("{right} ({})", quoted(column))).collect();
                format!("TABLE {}", qualified(schema, &Foreign::from(table)))
            }
            // The catalogue names it with its arguments, quoted where it must be.
            ObjectKind::Function if one && object.raw().ends_with(')') && sanitise(object.raw()) == object.raw() => {
                format!("ROUTINE {within}.{}", object.raw())
            }
            ObjectKind::Table | ObjectKind::Sequence | ObjectKind::Function => return None,
        };
        let on = if on.is_empty() { on } else { format!(" ON {on}") };
        (!rights.is_empty()).then_some(Self { lead, rights, on })
    }

    fn written(&self, verb: &str, rights: &[String], whom: &str) -> String {
        format!("{}{verb} {}{} {whom};", self.lead, rights.join(", "), self.on)
    }

    /// The same for others; making things is nobody's daily work.
    fn give(&self, keepers: &[String]) -> Option<String> {
        let rights: Vec<String> = self.rights.iter().filter(|right| *right != "CREATE").cloned().collect();
        let needed = !rights.is_empty() && !keepers.is_empty();
        needed.then(|| self.written("GRANT", &rights, &format!("TO {}", keepers.join(", "))))
    }
}

/// Whom a right of everybody's on a tenant's things must not be taken from: the tenant's logins, as named or seen there, the
/// shared account, and ours where it is about getting in. `None`: not one of the tenant's is known to exist.
fn keepers(place: &Place<'_>, roles: &Roles, grant: &Grant, owner: &TenantId) -> Option<Vec<String>> {
    let naming = place.naming();
    let mut logins: BTreeSet<String> = BTreeSet::new();
    match place.instance.layout {
        Layout::Schema => {
            logins.extend([naming.tenant_role.name(owner), place.service_account().to_owned()]);
        }
        Layout::Database => {
            logins.insert(naming.tenant_login.name(owner));
        }
    }
    let set = place.tenant(owner).and_then(|tenant| tenant.limits.login.as_ref());
    logins.extend(set.map(|login| login.raw().to_owned()));
    let seen = place
        .sessions
        .iter()
        .filter(|session| place.doer(session) == Some(owner) && session.database == grant.database);
    logins.extend(seen.map(|session| session.role.raw().to_owned()));
    // One that does not exist would make the whole statement fail.
    logins.retain(|login| {
        roles.roles.iter().any(|role| role.name.raw() == login)
            && place.role_owner(login).is_none_or(|whose| whose == *owner)
    });
    if logins.is_empty() {
        return None;
    }
    if matches!(grant.on, ObjectKind::Database | ObjectKind::Schema) {
        let ours = place.instance.server.as_ref().map(|server| server.login.raw()).filter(|login| !login.is_empty());
        logins.extend(ours.map(str::to_owned));
    }
    // Its owner's rights are its own.
    logins.remove(grant.owner.raw());
    Some(logins.iter().map(|login| quoted(login).into_owned()).collect())
}
