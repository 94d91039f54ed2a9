//! Choosing from a short list over the screen: columns of a table, themes.

use super::arrange::Choice;
use super::model::{FleetFocus, Mode, Model, View};
use super::pane::Pane;
use super::theme::Theme;

/// The open chooser of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnChooser {
    /// Whose columns.
    pub pane: Pane,
    /// The line with the cursor.
    pub at: usize,
}

/// The open chooser of themes. The one under the cursor is worn already; this is the way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThemeChooser {
    /// The line with the cursor.
    pub at: usize,
    /// What was worn before.
    pub before: Theme,
}

impl Model {
    /// The lines of a chooser of columns.
    pub fn choices(&self, chooser: &ColumnChooser) -> Vec<Choice> {
        self.table(chooser.pane).map(super::arrange::Arranged::choices).unwrap_or_default()
    }

    pub(super) fn choose_columns(&mut self) {
        if self.view == View::Fleet {
            self.fleet.focus = FleetFocus::Tenants;
        }
        match self.pane().filter(|pane| self.table(*pane).is_some()) {
            Some(pane) => self.mode = Mode::Columns(ColumnChooser { pane, at: 0 }),
            None => self.say("no columns to choose here", true),
        }
    }

    pub(super) fn choose_theme(&mut self) {
        let at = self.themes.iter().position(|theme| *theme == self.theme).unwrap_or(0);
        self.mode = Mode::Themes(ThemeChooser { at, before: self.theme.clone() });
    }

    /// Moves the cursor of an open chooser; a theme is tried on.
    pub(super) fn choose(&mut self, to: impl Fn(usize) -> usize) {
        match self.mode {
            Mode::Columns(ref chooser) => {
                let last = self.choices(chooser).len().saturating_sub(1);
                if let Mode::Columns(chooser) = &mut self.mode {
                    chooser.at = to(chooser.at).min(last);
                }
            }
            Mode::Themes(ref mut chooser) => {
                chooser.at = to(chooser.at).min(self.themes.len().saturating_sub(1));
                if let Some(theme) = self.themes.get(chooser.at) {
                    self.theme = theme.clone();
                }
            }
            _ => {}
        }
    }

    /// Changes the column under the chooser's cursor.
    pub(super) fn arrange(&mut self, change: Change) {
        let Mode::Columns(ColumnChooser { pane, at }) = self.mode else { return };
        let Some(table) = self.table_mut(pane) else { return };
        let mut to = at;
        match change {
            Change::Toggle if !table.toggle(at) => self.say("without it nobody knows what a row is about", true),
            Change::Toggle => {}
            Change::Shift(later) => to = table.shift(at, later),
            Change::Reset => table.reset(),
            Change::Sort => {
                let key = table.choices().get(at).map(|choice| choice.key);
                if !key.is_some_and(|key| table.sort_by_key(key)) {
                    self.say("rows cannot be sorted by that", true);
                }
            }
        }
        self.mode = Mode::Columns(ColumnChooser { pane, at: to });
        self.refill_lists();
    }

    /// Keeps the theme that is worn.
    pub(super) fn wear(&mut self, theme: Theme) {
        self.chosen_theme = Some(theme.name.to_string());
        self.say(format!("theme {}", theme.name), false);
        self.theme = theme;
    }

    /// Takes the themes as they are now in the operator's folder: one that is worn changes on the screen.
    pub(super) fn restock(&mut self, themes: Vec<Theme>) {
        self.themes = themes;
        let worn = self.themes.iter().find(|theme| theme.name == self.theme.name);
        self.theme = worn.cloned().unwrap_or_default();
        if !matches!(self.mode, Mode::Themes(_)) {
            self.wear_chosen();
        }
        if let Mode::Themes(chooser) = &mut self.mode {
            chooser.at = self.themes.iter().position(|theme| *theme == self.theme).unwrap_or(0);
        }
    }
}

/// What can be done to a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Toggle,
    Shift(bool),
    Reset,
    Sort,
}
