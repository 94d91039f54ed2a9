//! What the operator chose and finds again next time: order and columns of tables, theme, mouse, refresh interval.
//!
//! A value: whoever runs the console reads and writes the file. What is as usual is not kept, so that a better default
//! reaches those who never changed it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::Model;
use super::pane::Pane;
use crate::domain::foreign::sanitise;

/// Everything that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preferences {
    /// The theme's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theme: Option<String>,
    /// Whether the mouse is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mouse: Option<bool>,
    /// How often sessions are asked for, in milliseconds, where that is not what the configuration says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_ms: Option<u64>,
    /// Tables by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub table: BTreeMap<String, TablePreferences>,
}

/// What is kept of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TablePreferences {
    /// Sorted by this column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    /// The greatest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descending: Option<bool>,
    /// All columns in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Those that are hidden.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<String>,
}

/// Columns that tables are sorted by, and whether the greatest come first.
pub(super) type Orders = BTreeMap<String, (String, bool)>;

/// The bounds of a refresh interval that is taken from a file.
const REFRESH: std::ops::RangeInclusive<u64> = 100..=3_600_000;

impl Model {
    /// What would have to be kept now.
    pub fn preferences(&self) -> Preferences {
        let owned = |words: Vec<&'static str>| words.into_iter().map(str::to_owned).collect();
        let mut table = BTreeMap::new();
        for (name, pane) in Self::KEPT {
            let Some(arranged) = self.table(pane) else { continue };
            // An order that could not be put in force here is kept for where it can, until another is chosen.
            let sorting = arranged.sorting().map(|(sort, descending)| (sort.to_owned(), descending));
            let (sort, descending) = sorting.or_else(|| self.unshown_sorts.get(name).cloned()).unzip();
            let (columns, hidden) = arranged.arrangement().unwrap_or_default();
            let kept = TablePreferences { sort, descending, columns: owned(columns), hidden: owned(hidden) };
            if kept != TablePreferences::default() {
                table.insert(name.to_owned(), kept);
            }
        }
        Preferences {
            theme: self.chosen_theme.clone(),
            mouse: (!self.mouse).then_some(false),
            refresh_ms: (self.settings.refresh != self.configured_refresh)
                .then(|| u64::try_from(self.settings.refresh.as_millis()).unwrap_or(u64::MAX)),
            table,
        }
    }

    /// Puts what was kept in force, as far as it still means something. Rows in an order that nobody sees the reason of seem
    /// to have none: a table whose column of that order is not shown here stays in its usual one, and that is said.
    pub fn prefer(&mut self, kept: &Preferences) {
        let one_instance = self.settings.instances.len() < 2;
        for (name, pane) in Self::KEPT {
            let Some(of) = kept.table.get(name) else { continue };
            let Some(table) = self.table_mut(pane) else { continue };
            table.arrange(&of.columns, &of.hidden, None);
            let Some((key, descending)) = of.sort.as_deref().zip(of.descending) else { continue };
            // Where there is one instance only the list of instances names it.
            let needless = key == "instance" && one_instance && pane != Pane::Instances;
            if needless || !table.may_sort_by(key) {
                self.unshown_sorts.insert(name.to_owned(), (key.to_owned(), descending));
                self.say(format!("{name} stand in their usual order: {} is not shown here", sanitise(key)), true);
            } else {
                table.arrange(&of.columns, &of.hidden, Some((key, descending)));
            }
        }
        if let Some(every) = kept.refresh_ms.filter(|every| REFRESH.contains(every)) {
            self.settings.refresh = Duration::from_millis(every);
        }
        self.mouse = kept.mouse.unwrap_or(true);
        self.chosen_theme.clone_from(&kept.theme);
        self.wear_chosen();
        if let Some(name) = kept.theme.as_ref().filter(|name| **name != *self.theme.name) {
            self.say(format!("the theme {} is not there any more", sanitise(name)), true);
        }
        self.refill_lists();
        self.kept = self.preferences();
    }

    /// Puts the chosen theme on, where there is one of that name.
    pub(super) fn wear_chosen(&mut self) {
        let Some(name) = &self.chosen_theme else { return };
        if let Some(theme) = self.themes.iter().find(|theme| *theme.name == **name) {
            self.theme = theme.clone();
        }
    }
}
