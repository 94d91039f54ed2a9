//! What the fence runs: from an image to what it leaves, and back, as values and as statements.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::acl::{Acl, Change, sorted};
use super::image::{Image, Relation};
use super::spell::{block, creators, fingerprint, identifier, literal, others, qualified, raise, still_may_write};

/// How many relations one statement names: a line that can still be read.
const TOGETHER: usize = 25;

/// Something done to a relation, or to one of its columns.
type Done = (Change, Option<String>);

fn writes(right: &str) -> bool {
    right != "SELECT"
}

/// What takes from these ACLs everything by which somebody writes.
fn revoke(acls: &[&Acl], by: &str) -> Option<Change> {
    let items = || acls.iter().flat_map(|acl| &acl.items);
    let (mut from, mut rights): (Vec<Option<String>>, Vec<&str>) = (Vec::new(), Vec::new());
    for item in items().filter(|item| item.by == by) {
        let taken: Vec<&str> = item.may.keys().map(String::as_str).filter(|right| writes(right)).collect();
        if !taken.is_empty() && !from.contains(&item.to) {
            from.push(item.to.clone());
        }
        rights.extend(taken);
    }
    let cascade = items().any(|item| item.by != by);
    (!from.is_empty()).then(|| Change::Revoke { by: by.to_owned(), rights: sorted(rights), from, cascade })
}

/// What the fence takes of a relation. One without an ACL of its own is left without where that is enough, because the server
/// has no way back to none.
fn taken(relation: &Relation, spare: bool) -> Vec<Done> {
    let by = &relation.owner;
    if spare && !relation.acl.explicit {
        let columns = relation.columns.iter();
        return columns.filter_map(|(name, acl)| Some((revoke(&[acl], by)?, Some(name.clone())))).collect();
    }
    revoke(&relation.acls().collect::<Vec<_>>(), by).map(|change| (change, None)).into_iter().collect()
}

/// What is taken of the schema itself.
fn closed(image: &Image, spare: bool) -> Option<Change> {
    if spare && !image.acl.explicit {
        return None;
    }
    let has = image.acl.items.iter().filter(|item| item.by == image.owner && item.may.contains_key("CREATE"));
    let from: Vec<_> = has.map(|item| item.to.clone()).collect();
    let cascade = image.acl.items.iter().any(|item| item.by != image.owner);
    let by = image.owner.clone();
    (!from.is_empty()).then(|| Change::Revoke { by, rights: vec!["CREATE".to_owned()], from, cascade })
}

/// As the server does it: what is taken of a table is taken of its columns.
fn apply(relation: &mut Relation, (change, column): &Done) {
    let owner = relation.owner.clone();
    if let Some(column) = column {
        relation.columns.entry(column.clone()).or_insert_with(Acl::none).apply(change, &owner);
    } else {
        relation.acl.apply(change, &owner);
        if matches!(change, Change::Revoke { .. }) {
            relation.columns.values_mut().for_each(|acl| acl.apply(change, &owner));
        }
    }
    relation.columns.retain(|_, acl| !acl.items.is_empty());
}

/// What a fence leaves.
pub(super) fn fenced(image: &Image, spare: bool) -> Image {
    let mut now = image.clone();
    for relation in &mut now.relations {
        for done in taken(relation, spare) {
            apply(relation, &done);
        }
    }
    if let Some(change) = closed(image, spare) {
        now.acl.apply(&change, &image.owner);
    }
    now.logins.values_mut().for_each(|may| *may = false);
    now
}

/// What brings a relation back.
fn mend(now: &mut Relation, was: &Relation) -> Vec<Done> {
    let mut all: Vec<Done> = now.acl.clone().mend(&was.acl, &was.owner).into_iter().map(|it| (it, None)).collect();
    for done in &all {
        apply(now, done);
    }
    for (column, acl) in &was.columns {
        let mut here = now.columns.get(column).cloned().unwrap_or_else(Acl::none);
        let some: Vec<Done> =
            here.mend(acl, &was.owner).into_iter().map(|change| (change, Some(column.clone()))).collect();
        for done in &some {
            apply(now, done);
        }
        all.extend(some);
    }
    all
}

/// What taking the fence away leaves: what was there before, as far as the server has a way to it.
pub(super) fn restored(was: &Image, spare: bool) -> Image {
    let mut now = fenced(was, spare);
    now.relations.iter_mut().zip(&was.relations).for_each(|(relation, old)| drop(mend(relation, old)));
    now.acl.mend(&was.acl, &was.owner);
    now.logins.clone_from(&was.logins);
    now
}

/// What is done, and to what.
struct Sentence {
    on: String,
    done: Done,
}

impl Sentence {
    fn sql(&self) -> String {
        let Self { on, done: (change, column) } = self;
        let column = column.as_ref().map(|it| format!(" ({})", identifier(it))).unwrap_or_default();
        let list =
            |rights: &[String]| rights.iter().map(|right| format!("{right}{column}")).collect::<Vec<_>>().join(", ");
        let who = |role: &Option<String>| role.as_deref().map_or_else(|| "PUBLIC".to_owned(), identifier);
        match change {
            Change::Revoke { rights, from, cascade, .. } => {
                let from: Vec<_> = from.iter().map(who).collect();
                let cascade = if *cascade { " CASCADE" } else { "" };
                format!("REVOKE {} ON {on} FROM {}{cascade}", list(rights), from.join(", "))
            }
            Change::Grant { rights, to, hand_on, .. } => {
                let hand_on = if *hand_on { " WITH GRANT OPTION" } else { "" };
                format!("GRANT {} ON {on} TO {}{hand_on}", list(rights), who(to))
            }
        }
    }
}

/// As statements, each by the role that is to be its grantor.
fn said(sentences: impl IntoIterator<Item = Sentence>) -> Vec<String> {
    let mut statements = Vec::new();
    let mut role: Option<String> = None;
    for sentence in sentences {
        let by = sentence.done.0.by();
        if role.as_deref() != Some(by) {
            statements.push(format!("SET LOCAL ROLE {}", identifier(by)));
            role = Some(by.to_owned());
        }
        statements.push(sentence.sql());
    }
    statements.extend(role.map(|_| "RESET ROLE".to_owned()));
    statements
}

/// Relations to which the same is done are named in the same statements.
fn together(schema: &str, all: Vec<(&Relation, Vec<Done>)>) -> Vec<Sentence> {
    let mut alike: BTreeMap<(bool, Vec<Done>), Vec<&str>> = BTreeMap::new();
    for (relation, done) in all.into_iter().filter(|(_, done)| !done.is_empty()) {
        alike.entry((relation.is_sequence(), done)).or_default().push(&relation.name);
    }
    let mut sentences = Vec::new();
    for ((sequence, all), names) in alike {
        for names in names.chunks(TOGETHER) {
            let names: Vec<_> = names.iter().map(|name| qualified(schema, name)).collect();
            let on = format!("{} {}", if sequence { "SEQUENCE" } else { "TABLE" }, names.join(", "));
            sentences.extend(all.iter().map(|done| Sentence { on: on.clone(), done: done.clone() }));
        }
    }
    sentences
}

fn of_schema(schema: &str, changes: impl IntoIterator<Item = Change>) -> Vec<Sentence> {
    let on = format!("SCHEMA {}", identifier(schema));
    changes.into_iter().map(|change| Sentence { on: on.clone(), done: (change, None) }).collect()
}

/// How long locks are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    /// Each of them, at the most: writers wait behind us meanwhile.
    pub lock_ms: u64,
    /// All of them, in one run of the transaction.
    pub turn_ms: u64,
}

/// Takes every table's lock, or none: who waits for one while it holds another is waited for by whoever wrote to that one
/// first. So what was had is given back, and a moment later it is tried again with a little more patience.
fn locks(image: &Image, Patience { lock_ms, turn_ms }: Patience) -> String {
    let tables: Vec<_> = image.relations.iter().filter(|it| it.is_table()).collect();
    let lock = |some: &[&Relation]| {
        let names: Vec<_> = some.iter().map(|it| format!("ONLY {}", qualified(&image.schema, &it.name))).collect();
        format!("LOCK TABLE {} IN EXCLUSIVE MODE; ", names.join(", "))
    };
    let all: String = tables.chunks(TOGETHER).map(lock).collect();
    let given_up = raise(&format!("who writes in {} was not waited out; nothing was done", image.schema), "55P03");
    block(&format!(
        "FOR try IN 1..1000 LOOP BEGIN PERFORM set_config('lock_timeout', least(40 * try, {lock_ms}) || 'ms', true); {all}RETURN; \
         EXCEPTION WHEN lock_not_available OR deadlock_detected THEN PERFORM pg_sleep(least(0.02 * try, 0.5)); END; \
         EXIT WHEN clock_timestamp() > now() + interval '{turn_ms} ms'; END LOOP; {given_up};"
    ))
}

/// What raises the fence, in one transaction.
pub(super) fn forward(
    image: &Image,
    spare: bool,
    fingerprint_was: &str,
    own: &[String],
    patience: Patience,
) -> Vec<String> {
    let Image { schema, relations, logins, .. } = image;
    let mut statements = vec![format!("SET LOCAL lock_timeout = '{}ms'", patience.lock_ms), locks(image, patience)];
    statements.push(block(&format!(
        "IF ({}) IS DISTINCT FROM {} THEN {}; END IF;",
        fingerprint(schema, own),
        literal(fingerprint_was),
        raise(&format!("{schema} is not what the plan was made from; nothing was done"), "55000")
    )));
    let mut sentences = together(schema, relations.iter().map(|it| (it, taken(it, spare))).collect());
    sentences.extend(of_schema(schema, closed(image, spare)));
    statements.extend(said(sentences));
    let barred = logins.iter().filter(|(_, may)| **may);
    statements.extend(barred.map(|(login, _)| format!("ALTER ROLE {} NOLOGIN", identifier(login))));
    statements.push(block(&format!(
        "IF {} THEN {}; END IF; IF {} THEN {}; END IF; IF {} THEN {}; END IF;",
        others(image),
        raise(&format!("something was made in {schema} meanwhile, or is gone; nothing was done"), "55000"),
        still_may_write(schema),
        raise(&format!("somebody may still write in {schema}; nothing was done"), "55000"),
        creators(schema),
        raise(&format!("a transaction that is open makes something in {schema}; nothing was done"), "55P03"),
    )));
    // An owner needs no privilege to drop what it owns: whoever is in must not outlive the commit.
    let barred: Vec<String> = logins.iter().filter(|(_, may)| **may).map(|(login, _)| literal(login)).collect();
    if !barred.is_empty() {
        let names = barred.join(", ");
        statements.push(format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ({names})"));
    }
    statements
}

/// What takes it away: everything as it was, in the order in which it was.
pub(super) fn backward(was: &Image, spare: bool) -> Vec<String> {
    let mut now = fenced(was, spare);
    let relations = now.relations.iter_mut().zip(&was.relations);
    let mut sentences = together(&was.schema, relations.map(|(relation, old)| (old, mend(relation, old))).collect());
    sentences.extend(of_schema(&was.schema, now.acl.mend(&was.acl, &was.owner)));
    let mut statements = said(sentences);
    let barred = was.logins.iter().filter(|(_, may)| **may);
    statements.extend(barred.map(|(login, _)| format!("ALTER ROLE {} LOGIN", identifier(login))));
    statements
}
