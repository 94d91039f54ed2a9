//! Which columns of a table are shown, and in which order: the operator's choice, by the columns' names.

use super::filter::Filter;
use super::table::{Column, Table};

/// The arrangement of a table's columns. What is hidden stays in its place, so that it comes back there; filters may use
/// it all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns<C> {
    order: Vec<C>,
    hidden: Vec<C>,
}

impl<C: Column> Default for Columns<C> {
    fn default() -> Self {
        Self { order: C::SHOWN.to_vec(), hidden: Vec::new() }
    }
}

impl<C: Column> Columns<C> {
    /// All columns in their order, hidden ones too.
    pub fn all(&self) -> &[C] {
        &self.order
    }

    /// The columns that are shown.
    pub fn shown(&self) -> impl Iterator<Item = C> + '_ {
        self.order.iter().copied().filter(|column| !self.hidden.contains(column))
    }

    /// Whether somebody changed anything.
    pub fn is_changed(&self) -> bool {
        *self != Self::default()
    }
}

/// One line of the chooser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The column's name.
    pub key: &'static str,
    /// Whether it is shown.
    pub shown: bool,
    /// Whether it cannot be hidden.
    pub fixed: bool,
    /// Whether rows are sorted by it, and the greatest first.
    pub sorted: Option<bool>,
}

/// A table whose kind does not matter: what the chooser, header clicks and the preferences do to any of them.
pub trait Arranged {
    /// Every column in its place.
    fn choices(&self) -> Vec<Choice>;
    /// Hides the column at that place, or shows it again; false when it has to stay.
    fn toggle(&mut self, at: usize) -> bool;
    /// Moves the column at that place one to the left or right; says where it is then.
    fn shift(&mut self, at: usize, later: bool) -> usize;
    /// All columns as they come along.
    fn reset(&mut self);
    /// Sorts by the column of that name, or the other way round; false when there is none to sort by.
    fn sort_by_key(&mut self, key: &str) -> bool;
    /// Whether rows may be sorted by the column of that name: it is shown, or never stands in the table.
    fn may_sort_by(&self, key: &str) -> bool;
    /// Sorts by the next column, or the other way round.
    fn turn(&mut self, reverse: bool);
    /// The text of its filter.
    fn filter_text(&self) -> &str;
    /// Puts a filter in force, or says why it cannot be.
    fn set_filter(&mut self, text: &str) -> Result<(), String>;
    /// What it is sorted by and whether the greatest come first; `None`: as usual.
    fn sorting(&self) -> Option<(&'static str, bool)>;
    /// The names of all columns in order and of those hidden; `None`: as usual.
    fn arrangement(&self) -> Option<(Vec<&'static str>, Vec<&'static str>)>;
    /// Puts a kept arrangement and order in force; names that are not known are left out.
    fn arrange(&mut self, order: &[String], hidden: &[String], sorting: Option<(&str, bool)>);
}

impl<C: Column> Arranged for Table<C> {
    fn choices(&self) -> Vec<Choice> {
        let choice = |column: &C| Choice {
            key: column.key(),
            shown: !self.columns.hidden.contains(column),
            fixed: column.is_fixed(),
            sorted: (self.sort == *column).then_some(self.descending),
        };
        self.columns.order.iter().map(choice).collect()
    }

    fn toggle(&mut self, at: usize) -> bool {
        let Some(&column) = self.columns.order.get(at).filter(|column| !column.is_fixed()) else { return false };
        let hidden = &mut self.columns.hidden;
        match hidden.iter().position(|other| *other == column) {
            Some(place) => {
                hidden.remove(place);
            }
            None => hidden.push(column),
        }
        true
    }

    fn shift(&mut self, at: usize, later: bool) -> usize {
        let to = if later { at + 1 } else { at.saturating_sub(1) };
        if at < self.columns.order.len() && to < self.columns.order.len() {
            self.columns.order.swap(at, to);
            return to;
        }
        at
    }

    fn reset(&mut self) {
        self.columns = Columns::default();
    }

    fn sort_by_key(&mut self, key: &str) -> bool {
        let column = C::ALL.iter().copied().find(|column| column.key() == key);
        column.inspect(|column| self.sort_by(*column)).is_some()
    }

    fn may_sort_by(&self, key: &str) -> bool {
        let column = C::ALL.iter().find(|column| column.key() == key);
        column.is_some_and(|column| !self.columns.hidden.contains(column))
    }

    fn turn(&mut self, reverse: bool) {
        if reverse {
            self.descending = !self.descending;
        } else {
            self.sort_next();
        }
        self.list.first();
    }

    fn filter_text(&self) -> &str {
        self.filter.text()
    }

    fn set_filter(&mut self, text: &str) -> Result<(), String> {
        self.filter = Filter::parse(text).map_err(|error| error.to_string())?;
        Ok(())
    }

    fn sorting(&self) -> Option<(&'static str, bool)> {
        self.is_resorted().then(|| (self.sort.key(), self.descending))
    }

    fn arrangement(&self) -> Option<(Vec<&'static str>, Vec<&'static str>)> {
        let keys = |columns: &[C]| columns.iter().map(|column| column.key()).collect();
        self.columns.is_changed().then(|| (keys(&self.columns.order), keys(&self.columns.hidden)))
    }

    fn arrange(&mut self, order: &[String], hidden: &[String], sorting: Option<(&str, bool)>) {
        let named = |key: &String| C::SHOWN.iter().copied().find(|column| column.key() == key);
        let mut kept: Vec<C> = Vec::new();
        for column in order.iter().filter_map(named) {
            if !kept.contains(&column) {
                kept.push(column);
            }
        }
        // Columns that came with a newer version stand beside the neighbour that they usually have.
        for (at, &column) in C::SHOWN.iter().enumerate() {
            if !kept.contains(&column) {
                let before = C::SHOWN[..at].iter().rev().find_map(|other| kept.iter().position(|known| known == other));
                kept.insert(before.map_or(0, |before| before + 1), column);
            }
        }
        let mut concealed: Vec<C> = hidden.iter().filter_map(named).filter(|column| !column.is_fixed()).collect();
        concealed.dedup();
        self.columns = Columns { order: kept, hidden: concealed };
        if let Some((key, descending)) = sorting
            && let Some(&column) = C::ALL.iter().find(|column| column.key() == key)
        {
            (self.sort, self.descending) = (column, descending);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::columns::TenantColumn as Of;
    use super::*;

    fn keys(table: &Table<Of>) -> Vec<&'static str> {
        table.columns.shown().map(Column::key).collect()
    }

    #[test]
    fn columns_are_hidden_moved_and_come_back_where_they_were() {
        let mut table = Table::by(Of::Severity);
        let usual = keys(&table);
        let noise = table.columns.all().iter().position(|column| *column == Of::Noise).unwrap();
        assert!(table.toggle(noise) && !keys(&table).contains(&"noise"));
        assert!(table.toggle(noise) && keys(&table) == usual);
        assert!(!table.toggle(0) && !table.toggle(1), "what says which row it is stays");
        let at = table.shift(noise, false);
        assert_eq!((at, keys(&table)[at]), (noise - 1, "noise"));
        assert_eq!(table.shift(0, false), 0);
        assert_eq!(table.shift(usual.len() - 1, true), usual.len() - 1);
        assert!(table.arrangement().is_some());
        table.reset();
        assert!(table.arrangement().is_none() && keys(&table) == usual);
    }

    #[test]
    fn what_was_kept_is_put_in_force_as_far_as_it_is_known() {
        let mut table = Table::by(Of::Severity);
        let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        table.arrange(
            &text(&["size", "severity", "nonsense", "size"]),
            &text(&["tier", "tenant", "what"]),
            Some(("size", false)),
        );
        let shown = keys(&table);
        assert_eq!(shown[..3], ["size", "trend", "problem"]);
        assert!(shown.contains(&"tenant") && !shown.contains(&"tier"), "{shown:?}");
        assert_eq!(shown.len(), Of::SHOWN.len() - 1);
        assert_eq!(table.sorting(), Some(("size", false)));
        table.arrange(&[], &[], Some(("nonsense", true)));
        assert_eq!((table.arrangement(), table.sorting()), (None, Some(("size", false))));
    }
}
