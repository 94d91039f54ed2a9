//! What a fence changes, as it is: a schema with everything in it that has an ACL, and the logins that are the tenant's own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::acl::{Acl, Item};
use crate::clients::postgres::QueryError;
use crate::ops::hands::Eyes;
use crate::ops::step::StepError;

/// See the module. In the order of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The schema.
    pub schema: String,
    /// Its owner.
    pub owner: String,
    /// Its ACL.
    pub acl: Acl,
    /// Tables, views, sequences.
    pub relations: Vec<Relation>,
    /// Default privileges: saved, and not touched.
    pub defaults: Vec<Default>,
    /// Logins, and whether they may log in.
    pub logins: BTreeMap<String, bool>,
}

/// One of what lives in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Name.
    pub name: String,
    /// `relkind`.
    pub kind: String,
    /// Owner.
    pub owner: String,
    /// Its ACL.
    pub acl: Acl,
    /// Those of its columns that have one.
    pub columns: BTreeMap<String, Acl>,
}

/// Default privileges in the schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Default {
    /// Of what this role creates.
    pub role: String,
    /// Tables, sequences, functions: `defaclobjtype`.
    pub kind: String,
    /// What they get.
    pub acl: Acl,
}

impl Relation {
    /// Whether it is a sequence.
    pub fn is_sequence(&self) -> bool {
        self.kind == "S"
    }

    /// Whether `LOCK TABLE` takes it.
    pub fn is_table(&self) -> bool {
        matches!(self.kind.as_str(), "r" | "p")
    }

    /// For people.
    pub fn what(&self) -> &'static str {
        match self.kind.as_str() {
            "v" => "view",
            "m" => "materialized view",
            "f" => "foreign table",
            "S" => "sequence",
            _ => "table",
        }
    }

    /// All its ACLs.
    pub fn acls(&self) -> impl Iterator<Item = &Acl> {
        std::iter::once(&self.acl).chain(self.columns.values())
    }
}

/// Looks; `None`: there is no such schema.
pub(super) async fn image(
    schema: &str,
    logins: &[String],
    target: usize,
    eyes: &mut Eyes,
) -> Result<Option<Image>, StepError> {
    let desk = eyes.desk(target).await?;
    let rows = desk.rows(include_str!("../../../assets/sql/ops/fence_image.sql"), &[&schema, &logins]).await?;
    let mut home = None;
    let (mut relations, mut defaults, mut own) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
    let mut columns: Vec<(String, String, Acl)> = Vec::new();
    for row in &rows {
        let text = |name| row.try_get::<_, String>(name).map_err(QueryError::from);
        let items: Vec<Item> = serde_json::from_str(&text("items")?)
            .map_err(|error| QueryError::Answer { reason: format!("an ACL: {error}") })?;
        let explicit = row.try_get("explicit").map_err(QueryError::from)?;
        let (name, acl) = (text("name")?, Acl { explicit, items });
        match text("what")?.as_str() {
            "schema" => home = Some((text("owner")?, acl)),
            "relation" => {
                let (kind, owner) = (text("kind")?, text("owner")?);
                relations.insert(name.clone(), Relation { name, kind, owner, acl, columns: BTreeMap::new() });
            }
            "column" => columns.push((name, text("part")?, acl)),
            "default" => defaults.push(Default { role: name, kind: text("part")?, acl }),
            _ => {
                own.insert(name, explicit);
            }
        }
    }
    for (name, column, acl) in columns {
        if let Some(relation) = relations.get_mut(&name) {
            relation.columns.insert(column, acl);
        }
    }
    let Some((owner, acl)) = home else { return Ok(None) };
    let relations = relations.into_values().collect();
    Ok(Some(Image { schema: schema.to_owned(), owner, acl, relations, defaults, logins: own }))
}

impl Image {
    /// Everything that the plan is made from, as `(name, value)`.
    pub fn facts(&self) -> Vec<(String, String)> {
        let Self { schema, owner, acl, relations, defaults, logins } = self;
        let mut facts = vec![(format!("schema {schema}"), format!("of {owner}, ACL {acl}"))];
        for relation in relations {
            let Relation { name, owner, acl, columns, .. } = relation;
            facts.push((format!("{schema}.{name}"), format!("{} of {owner}, ACL {acl}", relation.what())));
            facts.extend(
                columns.iter().map(|(column, acl)| (format!("{schema}.{name}.{column}"), format!("ACL {acl}"))),
            );
        }
        for Default { role, kind, acl } in defaults {
            facts.push((format!("default privileges of {role} in {schema}, {kind}"), acl.to_string()));
        }
        for (login, may) in logins {
            facts.push((format!("{login}: may log in"), if *may { "yes" } else { "no" }.to_owned()));
        }
        facts
    }

    /// What is different now. Relations that are new in the schema count only where that is asked for.
    pub fn differences(&self, now: &Self, new_too: bool) -> Vec<String> {
        let known = |it: &&Relation| new_too || self.relations.iter().any(|old| old.name == it.name);
        let now = Self { relations: now.relations.iter().filter(known).cloned().collect(), ..now.clone() };
        let (was, is): (BTreeMap<_, _>, BTreeMap<_, _>) =
            (self.facts().into_iter().collect(), now.facts().into_iter().collect());
        let mut different = Vec::new();
        for (name, value) in &was {
            match is.get(name) {
                Some(other) if other == value => {}
                Some(other) => different.push(format!("{name}: was {value}, is {other}")),
                None => different.push(format!("{name}: was {value}, is gone")),
            }
        }
        let new = is.iter().filter(|(name, _)| !was.contains_key(*name));
        different.extend(new.map(|(name, value)| format!("{name}: is new: {value}")));
        different
    }
}
