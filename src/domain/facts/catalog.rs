//! Facts about how things are set up: what the catalogue says and no counter does.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::foreign::Foreign;

/// A sequence, alone or behind an identity or serial column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sequence {
    /// Database.
    pub database: Foreign,
    /// Schema.
    pub schema: Foreign,
    /// Name.
    pub name: Foreign,
    /// `table.column` that it feeds.
    pub column: Option<Foreign>,
    /// The last value that it gave; where our login may not read it, an estimate from below: as many as rows were inserted.
    pub last: i64,
    /// Whether `last` is an estimate.
    pub estimated: bool,
    /// The last that it can give: its own bound or that of its column's type, whichever comes first.
    pub end: i64,
    /// Where it starts: its `MINVALUE` when it counts up.
    pub start: i64,
    /// The type that ends first: `integer`, `smallint`, `bigint`.
    pub bound_by: Arc<str>,
}

impl Sequence {
    /// The part of its values that is used up, 0 to 1.
    pub fn used(&self) -> f64 {
        let (start, last, end) = (self.start as f64, self.last as f64, self.end as f64);
        if (end - start).abs() < 1.0 { 1.0 } else { ((last - start) / (end - start)).clamp(0.0, 1.0) }
    }
}

/// An index that is not used and is still written to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InvalidIndex {
    /// Database.
    pub database: Foreign,
    /// Schema.
    pub schema: Foreign,
    /// Table.
    pub table: Foreign,
    /// Index.
    pub index: Foreign,
    /// Bytes.
    pub bytes: u64,
    /// Whether it is being built right now (`pg_stat_progress_create_index`).
    pub building: bool,
    /// Whether a unique or primary key rests on it.
    pub unique: bool,
}

/// What kind of object a right is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "PostgreSQL's own names")]
pub enum ObjectKind {
    Database,
    Schema,
    Table,
    Column,
    Sequence,
    Function,
    DefaultPrivileges,
    /// Membership in a role: everything that the role may do.
    Membership,
}

/// A right of somebody on something that belongs to somebody else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// Database.
    pub database: Foreign,
    /// On what kind of object.
    pub on: ObjectKind,
    /// Schema of the object (or the schema itself).
    pub schema: Foreign,
    /// One object, for an example, where several alike were counted; a function with its arguments, as SQL has it.
    pub object: Foreign,
    /// How many objects alike: of this schema and owner. Where a grantee has the same rights in more than 20 schemas (or
    /// databases, or roles), 20 are listed, and the first says how many objects there are in all of them.
    pub objects: u32,
    /// Who owns them.
    pub owner: Foreign,
    /// Who has the right; `None`: `PUBLIC`.
    pub grantee: Option<Foreign>,
    /// `SELECT`, `INSERT`, `USAGE`, …; of a membership: `INHERIT`, `SET` (may become that role), `ADMIN`.
    pub privileges: Vec<Arc<str>>,
}

/// A schema, also an empty one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Schema {
    /// Database.
    pub database: Foreign,
    /// Name.
    pub name: Foreign,
    /// Owner.
    pub owner: Foreign,
    /// Tables in it.
    pub tables: u32,
    /// Its comment.
    pub comment: Option<Foreign>,
}

impl Schema {
    /// Whether it bears our own mark: it is one that we put aside or are making, and no tenant's.
    pub fn is_ours(&self) -> bool {
        self.name.raw().starts_with("tierdeck_old_")
            || self.comment.as_ref().is_some_and(|text| text.raw().trim_start().to_lowercase().starts_with("tierdeck"))
    }
}

/// What is written down of who did what (`pgaudit`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Audit {
    /// Whether the library is loaded; `None`: hidden from our login.
    pub loaded: Option<bool>,
    /// `pgaudit.log`; `None` where it is not set or not loaded.
    pub log: Option<Arc<str>>,
}

/// A row of the optional registry `tenant_storage_tiers`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Registered {
    /// `tenant_id`.
    pub tenant: Foreign,
    /// `tier`.
    pub tier: Foreign,
    /// `schema_name`.
    pub schema: Option<Foreign>,
}

/// Source `catalog`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Catalog {
    /// Schemas that are not PostgreSQL's own.
    pub schemas: Vec<Schema>,
    /// Sequences that used up at least a third, the worst first; bounded.
    pub sequences: Vec<Sequence>,
    /// Sequences of which our login may not read the last value, and nothing else tells it.
    pub hidden_sequences: u32,
    /// Indexes that are not valid.
    pub invalid_indexes: Vec<InvalidIndex>,
    /// Rights on objects of schemas (or databases) for others than their owner; `PUBLIC` too; bounded.
    pub grants: Vec<Grant>,
    /// Audit.
    pub audit: Audit,
    /// The registry, where there is one that our login may read.
    pub registry: Option<Vec<Registered>>,
    /// Databases looked into so far, where each tenant has one.
    pub seen: u32,
    /// Of how many; 0 of 0: all there is was looked at.
    pub of: u32,
    /// Databases that do not let us in.
    pub closed: Vec<Foreign>,
}
