//! A cursor in a list whose rows come, go and change places: it stays on the same thing, not on the same line.

use std::collections::BTreeSet;

use crate::domain::{Finding, InstanceName, Session, SessionKey, Signal, Subject, Tenant, TenantId};

/// A thing that can be told from its neighbours over time.
pub trait Keyed {
    /// What tells it from others.
    type Key: Clone + Ord + std::fmt::Debug;
    /// Its identity.
    fn key(&self) -> Self::Key;
    /// Whether it is that one; cheaper than comparing [`Keyed::key`].
    fn is(&self, key: &Self::Key) -> bool;
}

impl Keyed for Tenant {
    type Key = (TenantId, InstanceName);
    fn key(&self) -> Self::Key {
        (self.id.clone(), self.instance.clone())
    }
    fn is(&self, key: &Self::Key) -> bool {
        self.id == key.0 && self.instance == key.1
    }
}

impl Keyed for Session {
    type Key = (InstanceName, SessionKey);
    fn key(&self) -> Self::Key {
        (self.instance.clone(), self.key)
    }
    fn is(&self, key: &Self::Key) -> bool {
        self.key == key.1 && self.instance == key.0
    }
}

impl Keyed for Finding {
    type Key = (Signal, Subject);
    fn key(&self) -> Self::Key {
        (self.signal, self.subject.clone())
    }
    fn is(&self, key: &Self::Key) -> bool {
        self.signal == key.0 && self.subject == key.1
    }
}

/// The rows to show, as places in the snapshot's own slice, and the cursor among them.
#[derive(Debug, Clone)]
pub struct List<T: Keyed> {
    /// Places in the slice, in the order shown.
    pub rows: Vec<usize>,
    /// The cursor's row; 0 when there is none.
    pub at: usize,
    /// First row that was visible.
    pub top: usize,
    /// Rows that were visible.
    pub page: usize,
    /// What the cursor was put on; `None` follows whatever is first.
    on: Option<T::Key>,
    /// What is marked, wherever its row is now.
    marks: BTreeSet<T::Key>,
}

impl<T: Keyed> Default for List<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), at: 0, top: 0, page: 10, on: None, marks: BTreeSet::new() }
    }
}

impl<T: Keyed> List<T> {
    /// Takes new rows; the cursor follows its thing, or keeps its line when the thing is gone.
    pub fn refill(&mut self, rows: Vec<usize>, items: &[T]) {
        self.rows = rows;
        if !self.marks.is_empty() {
            // What has gone for good keeps no mark: nothing is ever done to what nobody can see any more.
            let there = items.iter().map(Keyed::key).filter(|key| self.marks.contains(key));
            self.marks = there.collect();
        }
        let Some(on) = &self.on else {
            self.at = 0;
            return;
        };
        match self.rows.iter().position(|&row| items.get(row).is_some_and(|item| item.is(on))) {
            Some(at) => self.at = at,
            None => self.go(self.at, items),
        }
    }

    /// The place in the slice that the cursor is on.
    pub fn selected(&self) -> Option<usize> {
        self.rows.get(self.at).copied()
    }

    /// Puts the cursor on a row.
    pub fn go(&mut self, to: usize, items: &[T]) {
        self.at = to.min(self.rows.len().saturating_sub(1));
        self.on = self.selected().and_then(|row| items.get(row)).map(Keyed::key);
    }

    /// Puts the cursor on a thing, if it is there.
    pub fn find(&mut self, key: &T::Key, items: &[T]) {
        if let Some(at) = self.rows.iter().position(|&row| items.get(row).is_some_and(|item| item.is(key))) {
            self.go(at, items);
        }
    }

    /// Moves the cursor by so many rows.
    pub fn step(&mut self, by: isize, items: &[T]) {
        self.go(self.at.saturating_add_signed(by), items);
    }

    /// Goes to the first row and follows whatever becomes first.
    pub fn first(&mut self) {
        self.at = 0;
        self.top = 0;
        self.on = None;
    }

    /// Goes to the next row (or the one before) that is wanted, round the end.
    pub fn seek(&mut self, forward: bool, items: &[T], wanted: impl Fn(&T) -> bool) {
        let count = self.rows.len();
        let found = (1..=count)
            .map(|step| if forward { (self.at + step) % count } else { (self.at + count - step) % count })
            .find(|&at| self.rows.get(at).and_then(|&row| items.get(row)).is_some_and(&wanted));
        if let Some(at) = found {
            self.go(at, items);
        }
    }

    /// Marks the thing under the cursor, or takes its mark away.
    pub fn mark(&mut self, items: &[T]) {
        let Some(key) = self.selected().and_then(|row| items.get(row)).map(Keyed::key) else { return };
        if !self.marks.remove(&key) {
            self.marks.insert(key);
        }
    }

    /// Takes all marks away.
    pub fn unmark(&mut self) {
        self.marks.clear();
    }

    /// Whether a thing is marked.
    pub fn is_marked(&self, item: &T) -> bool {
        !self.marks.is_empty() && self.marks.contains(&item.key())
    }

    /// How many things are marked, shown or not.
    pub fn marked(&self) -> usize {
        self.marks.len()
    }

    /// The places of what is marked: rows in their order, then what the filter hides; every row when nothing is.
    pub fn chosen(&self, items: &[T]) -> Vec<usize> {
        if self.marks.is_empty() {
            return self.rows.clone();
        }
        let marked = |row: &usize| items.get(*row).is_some_and(|item| self.is_marked(item));
        let mut chosen: Vec<usize> = self.rows.iter().copied().filter(marked).collect();
        let hidden: Vec<usize> = (0..items.len()).filter(|row| marked(row) && !chosen.contains(row)).collect();
        chosen.extend(hidden);
        chosen
    }

    /// The places of what is marked; of what is under the cursor, when nothing is.
    pub fn meant(&self, items: &[T]) -> Vec<usize> {
        if self.marks.is_empty() { self.selected().into_iter().collect() } else { self.chosen(items) }
    }

    /// Scrolls by so many rows; the cursor stays in the window.
    pub fn scroll(&mut self, by: isize, items: &[T]) {
        let last = self.rows.len().saturating_sub(self.page);
        self.top = self.top.saturating_add_signed(by).min(last);
        let at = self.at.clamp(self.top, self.top + self.page.saturating_sub(1));
        if at != self.at {
            self.go(at, items);
        }
    }

    /// The first visible row of a window of that height which shows the cursor and moves as little as possible.
    pub fn top_for(&self, height: usize) -> usize {
        let top = self.top.min(self.rows.len().saturating_sub(height));
        if self.at < top {
            self.at
        } else if self.at >= top + height {
            self.at + 1 - height.max(1)
        } else {
            top
        }
    }
}
