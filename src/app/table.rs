//! A sortable, filterable list: columns as data, rows kept in order once per snapshot.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::arrange::Columns;
use super::filter::Filter;
use super::list::{Keyed, List};

/// What a column says of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// Words, safe to print.
    Text(Cow<'a, str>),
    /// A number.
    Number(f64),
    /// Not known: sorts last in either direction and matches nothing.
    Missing,
}

impl Value<'_> {
    /// A number that may not be known.
    pub fn number(value: Option<impl Into<f64>>) -> Self {
        value.map_or(Self::Missing, |value| Self::Number(value.into()))
    }
}

/// What a table can be sorted and filtered by.
pub trait Column: Copy + Eq + std::fmt::Debug + 'static {
    /// What a row is made from.
    type Row: Keyed;
    /// What else a value depends on.
    type Context;
    /// All of them, in the order in which sorting goes through them.
    const ALL: &'static [Self];
    /// Those that stand in the table, in their usual order.
    const SHOWN: &'static [Self] = Self::ALL;
    /// Its name in the filter language and beside `sort:`.
    fn key(self) -> &'static str;
    /// Other names it goes by in the filter language: what stands above it on the screen.
    fn aliases(self) -> &'static [&'static str] {
        &[]
    }
    /// Whether it stays wherever it is: without it nobody knows what a row is about.
    fn is_fixed(self) -> bool {
        false
    }
    /// Its value in an export, where that differs; what only orders rows says nothing there.
    fn exported<'a>(self, row: &'a Self::Row, context: &Self::Context) -> Value<'a> {
        self.value(row, context)
    }
    /// Another spelling of what it says, by which filters find it, too.
    fn also(self, _row: &Self::Row) -> Option<Cow<'_, str>> {
        None
    }
    /// Whether its value in this row is an estimate.
    fn is_estimated(self, _row: &Self::Row) -> bool {
        false
    }
    /// A number of it in full, for the clipboard.
    fn exact(self, number: f64) -> String {
        format!("{number:.0}")
    }
    /// Whether it holds numbers.
    fn is_number(self) -> bool;
    /// Its value.
    fn value<'a>(self, row: &'a Self::Row, context: &Self::Context) -> Value<'a>;
}

/// Rows in order, with what they are ordered and filtered by.
#[derive(Debug, Clone)]
pub struct Table<C: Column> {
    /// Rows and cursor.
    pub list: List<C::Row>,
    /// Sorted by.
    pub sort: C,
    /// The greatest first.
    pub descending: bool,
    /// What is shown of all.
    pub filter: Filter<C>,
    /// How many rows there were before the filter.
    pub total: usize,
    /// Which columns are shown, in which order.
    pub columns: Columns<C>,
    /// How it is sorted until somebody says otherwise.
    usual: C,
}

impl<C: Column> Table<C> {
    /// An empty table sorted by a column.
    pub fn by(sort: C) -> Self {
        Self {
            list: List::default(),
            sort,
            descending: sort.is_number(),
            filter: Filter::default(),
            total: 0,
            columns: Columns::default(),
            usual: sort,
        }
    }

    /// Filters and sorts; the cursor stays on its thing.
    pub fn refill(&mut self, items: &[C::Row], context: &C::Context, within: impl Fn(&C::Row) -> bool) {
        self.total = 0;
        let mut rows: Vec<(Value<'_>, usize)> = Vec::new();
        for (row, item) in items.iter().enumerate().filter(|(_, item)| within(item)) {
            self.total += 1;
            if self.filter.admits(item, context) {
                rows.push((self.sort.value(item, context), row));
            }
        }
        rows.sort_by(|left, right| order(&left.0, &right.0, self.descending).then(left.1.cmp(&right.1)));
        self.list.refill(rows.into_iter().map(|(_, row)| row).collect(), items);
    }

    /// Sorts by the next column, in its natural direction.
    pub fn sort_next(&mut self) {
        let at = C::ALL.iter().position(|column| *column == self.sort).map_or(0, |at| (at + 1) % C::ALL.len());
        if let Some(&column) = C::ALL.get(at) {
            self.sort = column;
            self.descending = column.is_number();
        }
    }

    /// Sorts by a column in its natural direction; by the one it is sorted by already, the other way round.
    pub fn sort_by(&mut self, column: C) {
        self.descending = if self.sort == column { !self.descending } else { column.is_number() };
        self.sort = column;
        self.list.first();
    }

    /// Whether somebody changed how it is sorted.
    pub fn is_resorted(&self) -> bool {
        self.sort != self.usual || self.descending != self.usual.is_number()
    }
}

fn order(left: &Value<'_>, right: &Value<'_>, descending: bool) -> Ordering {
    let known = match (left, right) {
        (Value::Missing, Value::Missing) => return Ordering::Equal,
        (Value::Missing, _) => return Ordering::Greater,
        (_, Value::Missing) => return Ordering::Less,
        (Value::Number(left), Value::Number(right)) => left.total_cmp(right),
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Number(_), Value::Text(_)) => Ordering::Less,
        (Value::Text(_), Value::Number(_)) => Ordering::Greater,
    };
    if descending { known.reverse() } else { known }
}
