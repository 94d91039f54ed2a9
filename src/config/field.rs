//! The keys of the file as values: each names itself, says what it means, and lends the place that it fills.
//!
//! One list of fields a table ([`Table::fields`]) drives reading, `config show`, the example file and its tests, so they
//! cannot disagree.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{Login, Secret, VaultAuth};
use crate::domain::ids::Template;
use crate::domain::policy::{Ladder, Targets};
use crate::domain::{Layout, Tier};

/// One key of a table.
pub(super) struct Field<'a> {
    /// The key.
    pub name: &'static str,
    /// What it means: the comment in the example file.
    pub about: &'static str,
    /// A value to show in the example file where the key has no default.
    pub sample: &'static str,
    /// What it fills.
    pub slot: Slot<'a>,
}

impl<'a> Field<'a> {
    /// A key that always has a value.
    pub fn new(name: &'static str, about: &'static str, slot: Slot<'a>) -> Self {
        Self { name, about, sample: "", slot }
    }

    /// A key that may be left out, and what it may look like.
    pub fn optional(name: &'static str, about: &'static str, sample: &'static str, slot: Slot<'a>) -> Self {
        Self { name, about, sample, slot }
    }
}

/// What numbers of a key mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// From 0 to 1.
    Share,
    /// From 0 up.
    Amount,
    /// A time, kept in seconds, written as a duration.
    Seconds,
}

/// The place that a key fills, and with it the type and the bounds of its value.
pub(super) enum Slot<'a> {
    Text(&'a mut String),
    OptionalText(&'a mut Option<String>),
    Url(&'a mut Option<String>),
    /// One with `{host}`, `{port}`, `{database}` and `{id}` in it.
    UrlTemplate(&'a mut Option<String>),
    /// `{ prod = 35, default = 7 }`
    Days(&'a mut BTreeMap<String, u32>),
    /// `["123456789012"]`
    Accounts(&'a mut Vec<String>),
    /// `{ shared = …, dedicated = …, pitr = … }`
    Targets(&'a mut Targets),
    Flag(&'a mut bool),
    Limit(&'a mut Option<u32>),
    Vcpus(&'a mut Option<f64>),
    Number(&'a mut f64, Scale),
    Ladder(&'a mut Ladder, Scale),
    Duration(&'a mut Duration, Duration),
    OptionalDuration(&'a mut Option<Duration>),
    Template(&'a mut Template),
    Path(&'a mut String),
    Folder(&'a mut Option<PathBuf>),
    Tier(&'a mut Tier),
    Layout(&'a mut Layout),
    Secret(&'a mut Option<Secret>),
    /// `{ user = …, password = … }`
    Login(&'a mut Option<Login>),
    /// `{ token = … }`, `{ approle = … }`, `{ kubernetes = … }`
    Auth(&'a mut Option<VaultAuth>),
    /// `[name]`
    Table(&'a mut dyn Table),
    /// `[[name]]`
    Tables(&'a mut dyn Tables),
    /// `[name.KEY]`
    Named(&'a mut dyn Named),
}

/// A table of the file.
pub(super) trait Table {
    /// Its keys, in the order in which they are written.
    fn fields(&mut self) -> Vec<Field<'_>>;
}

/// An array of tables.
pub(super) trait Tables {
    /// Room for one more.
    fn add(&mut self) -> &mut dyn Table;
    /// All that there are.
    fn all(&mut self) -> Vec<&mut dyn Table>;
}

/// Tables below free names.
pub(super) trait Named {
    /// Room for one of that name, or what is wrong with the name.
    fn add(&mut self, name: &str) -> Result<&mut dyn Table, String>;
    /// All that there are.
    fn all(&mut self) -> Vec<(String, &mut dyn Table)>;
    /// One for the example file.
    fn sample(&self) -> (&'static str, Box<dyn Table>);
}
