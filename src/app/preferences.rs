//! What the operator chose and finds again next time: order and columns of tables, theme, mouse, refresh interval.
//!
//! A value: whoever runs the console reads and writes the file. What is as usual is not kept, so that a better default
//! reaches those who never changed it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::Model;
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

/// The bounds of a refresh interval that is taken from a file.
const REFRESH: std::ops::RangeInclusive<u64> = 100..=3_600_000;

impl Model {
    /// What would have to be kept now.
    pub fn preferences(&self) -> Preferences {
        let owned = |words: Vec<&'static str>| words.into_iter().map(str::to_owned).collect();
        let mut table = BTreeMap::new();
        for (name, pane) in Self::KEPT {
            let Some(arranged) = self.table(pane) else { continue };
            let (sort, descending) = arranged.sorting().unzip();
            let (columns, hidden) = arranged.arrangement().unwrap_or_default();
            let kept = TablePreferences {
                sort: sort.map(str::to_owned),
                descending,
                columns: owned(columns),
                hidden: owned(hidden),
            };
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

    /// Puts what was kept in force, as far as it still means something.
    pub fn prefer(&mut self, kept: &Preferences) {
        for (name, pane) in Self::KEPT {
            let Some(of) = kept.table.get(name) else { continue };
            let sorting = of.sort.as_deref().zip(of.descending);
            if let Some(table) = self.table_mut(pane) {
                table.arrange(&of.columns, &of.hidden, sorting);
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
