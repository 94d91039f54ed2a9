//! The lists of the console by name, so that marks, the mouse, exports and columns work alike in every one of them.
//!
//! A new screen with a list adds a [`Pane`] and its arms in the functions of this file.

use std::sync::Arc;

use super::arrange::Arranged;
use super::list::{Keyed, List};
use super::locks::LockTrees;
use super::model::{FleetFocus, Held, Model, TenantTab, View};
use super::table::Column;

/// A list on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    /// WHAT IS WRONG.
    Findings,
    /// TENANTS.
    Tenants,
    /// Screen 3.
    Sessions,
    /// The tenant's findings.
    TenantFindings,
    /// The tenant's sessions.
    TenantSessions,
    /// Screen 4.
    Locks,
    /// Screen 5.
    Tables,
    /// The tenant's statements.
    TenantStatements,
    /// The tenant's part of the trees of locks.
    TenantLocks,
    /// The tenant's worst tables.
    TenantTables,
    /// Screen 6.
    Instances,
    /// Screen 7.
    Backups,
    /// Screen 9.
    Logs,
    /// Screen 8.
    Operations,
    /// What was done about the tenant.
    TenantOperations,
}

/// What any list says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glance {
    pub marked: usize,
    pub page: usize,
    pub rows: usize,
}

impl<T: Keyed> List<T> {
    fn glance(&self) -> Glance {
        Glance { marked: self.marked(), page: self.page, rows: self.rows.len() }
    }
}

/// A list together with what its rows are about.
pub(super) trait Rows {
    fn go(&mut self, to: usize);
    fn scroll(&mut self, by: isize);
    fn mark(&mut self);
    fn unmark(&mut self);
    fn step(&mut self, by: isize);
    fn first(&mut self);
    fn seen(&mut self, top: usize, page: usize);
    /// What tells the row under the cursor from all others.
    fn name(&self) -> Option<String>;
}

struct With<'a, T: Keyed>(&'a mut List<T>, &'a [T]);

impl<T: Keyed> Rows for With<'_, T> {
    fn go(&mut self, to: usize) {
        self.0.go(to, self.1);
    }
    fn scroll(&mut self, by: isize) {
        self.0.scroll(by, self.1);
    }
    fn mark(&mut self) {
        self.0.mark(self.1);
    }
    fn unmark(&mut self) {
        self.0.unmark();
    }
    fn step(&mut self, by: isize) {
        self.0.step(by, self.1);
    }
    fn first(&mut self) {
        self.0.first();
    }
    fn seen(&mut self, top: usize, page: usize) {
        self.0.top = top;
        self.0.page = page;
    }
    fn name(&self) -> Option<String> {
        let item = self.0.selected().and_then(|row| self.1.get(row))?;
        Some(format!("{:?}", item.key()))
    }
}

fn trees<R>(trees: &mut LockTrees, act: impl FnOnce(&mut dyn Rows) -> R) -> R {
    act(&mut With(&mut trees.list, &trees.rows))
}

fn held<C: Column, R>(held: &mut Held<C>, act: impl FnOnce(&mut dyn Rows) -> R) -> R {
    act(&mut With(&mut held.table.list, &held.rows))
}

impl Model {
    /// The list that has the cursor; `None` where text scrolls instead.
    pub fn pane(&self) -> Option<Pane> {
        Some(match (&self.view, self.fleet.focus, self.page.tab) {
            (View::Fleet, FleetFocus::Findings, _) => Pane::Findings,
            (View::Fleet, FleetFocus::Tenants, _) => Pane::Tenants,
            (View::Sessions, ..) => Pane::Sessions,
            (View::Tenant(_), _, TenantTab::Findings) => Pane::TenantFindings,
            (View::Tenant(_), _, TenantTab::Sessions) => Pane::TenantSessions,
            (View::Locks, ..) => Pane::Locks,
            (View::Tables, ..) => Pane::Tables,
            (View::Instances, ..) => Pane::Instances,
            (View::Backups, ..) => Pane::Backups,
            (View::Logs, ..) => Pane::Logs,
            (View::Operations, ..) => Pane::Operations,
            (View::Tenant(_), _, TenantTab::Operations) => Pane::TenantOperations,
            (View::Tenant(_), _, TenantTab::Statements) => Pane::TenantStatements,
            (View::Tenant(_), _, TenantTab::Locks) => Pane::TenantLocks,
            (View::Tenant(_), _, TenantTab::Tables) => Pane::TenantTables,
            (View::Tenant(_), _, TenantTab::Overview | TenantTab::Backups)
            | (
                View::Finding(_)
                | View::Session(_)
                | View::Table(_)
                | View::Instance(_)
                | View::Backup(_)
                | View::Operation,
                ..,
            ) => {
                return None;
            }
        })
    }

    /// Does something to the rows of a list.
    pub(super) fn on_rows<R>(&mut self, pane: Pane, act: impl FnOnce(&mut dyn Rows) -> R) -> R {
        let shown = Arc::clone(&self.shown);
        match pane {
            Pane::Findings => act(&mut With(&mut self.fleet.findings, &shown.findings)),
            Pane::Tenants => act(&mut With(&mut self.fleet.tenants.list, &shown.tenants)),
            Pane::Sessions => act(&mut With(&mut self.sessions.list, &shown.sessions)),
            Pane::TenantFindings => act(&mut With(&mut self.page.findings, &shown.findings)),
            Pane::TenantSessions => act(&mut With(&mut self.page.sessions.list, &shown.sessions)),
            Pane::Locks => trees(&mut self.locks, act),
            Pane::TenantLocks => trees(&mut self.page.locks, act),
            Pane::Tables => held(&mut self.tables, act),
            Pane::TenantTables => held(&mut self.page.tables, act),
            Pane::TenantStatements => held(&mut self.page.statements, act),
            Pane::Instances => act(&mut With(&mut self.instances.list, &shown.instances)),
            Pane::Backups => held(&mut self.backups, act),
            Pane::Logs => held(&mut self.logs.held, act),
            Pane::Operations => held(&mut self.works.list, act),
            Pane::TenantOperations => act(&mut With(&mut self.page.operations, &self.works.list.rows)),
        }
    }

    /// What a list says of itself, whatever its rows are.
    fn glance(&self, pane: Pane) -> Glance {
        match pane {
            Pane::Findings => self.fleet.findings.glance(),
            Pane::Tenants => self.fleet.tenants.list.glance(),
            Pane::Sessions => self.sessions.list.glance(),
            Pane::TenantFindings => self.page.findings.glance(),
            Pane::TenantSessions => self.page.sessions.list.glance(),
            Pane::TenantStatements => self.page.statements.table.list.glance(),
            Pane::Locks => self.locks.list.glance(),
            Pane::TenantLocks => self.page.locks.list.glance(),
            Pane::Tables => self.tables.table.list.glance(),
            Pane::TenantTables => self.page.tables.table.list.glance(),
            Pane::Instances => self.instances.list.glance(),
            Pane::Backups => self.backups.table.list.glance(),
            Pane::Logs => self.logs.held.table.list.glance(),
            Pane::Operations => self.works.list.table.list.glance(),
            Pane::TenantOperations => self.page.operations.glance(),
        }
    }

    /// How many rows of a list are marked.
    pub fn marked(&self, pane: Pane) -> usize {
        self.glance(pane).marked
    }

    /// How many rows of a list fit on the screen.
    pub(super) fn page_of(&self, pane: Pane) -> usize {
        self.glance(pane).page
    }

    /// Whether a list has no row.
    pub(super) fn is_empty(&self, pane: Pane) -> bool {
        self.glance(pane).rows == 0
    }

    /// The table behind a list, where its columns can be chosen.
    pub fn table(&self, pane: Pane) -> Option<&dyn Arranged> {
        match pane {
            Pane::Tenants => Some(&self.fleet.tenants),
            Pane::Sessions => Some(&self.sessions),
            Pane::TenantSessions => Some(&self.page.sessions),
            Pane::TenantStatements => Some(&self.page.statements.table),
            Pane::Tables => Some(&self.tables.table),
            Pane::TenantTables => Some(&self.page.tables.table),
            Pane::Instances => Some(&self.instances),
            Pane::Backups => Some(&self.backups.table),
            Pane::Logs => Some(&self.logs.held.table),
            Pane::Operations => Some(&self.works.list.table),
            Pane::Findings | Pane::TenantFindings | Pane::Locks | Pane::TenantLocks | Pane::TenantOperations => None,
        }
    }

    pub(super) fn table_mut(&mut self, pane: Pane) -> Option<&mut dyn Arranged> {
        match pane {
            Pane::Tenants => Some(&mut self.fleet.tenants),
            Pane::Sessions => Some(&mut self.sessions),
            Pane::TenantSessions => Some(&mut self.page.sessions),
            Pane::TenantStatements => Some(&mut self.page.statements.table),
            Pane::Tables => Some(&mut self.tables.table),
            Pane::TenantTables => Some(&mut self.page.tables.table),
            Pane::Instances => Some(&mut self.instances),
            Pane::Backups => Some(&mut self.backups.table),
            Pane::Logs => Some(&mut self.logs.held.table),
            Pane::Operations => Some(&mut self.works.list.table),
            Pane::Findings | Pane::TenantFindings | Pane::Locks | Pane::TenantLocks | Pane::TenantOperations => None,
        }
    }

    /// Every table that keeps its order and columns, by the name that they are kept under.
    pub(super) const KEPT: [(&'static str, Pane); 10] = [
        ("tenants", Pane::Tenants),
        ("sessions", Pane::Sessions),
        ("tables", Pane::Tables),
        ("tenant-sessions", Pane::TenantSessions),
        ("tenant-statements", Pane::TenantStatements),
        ("tenant-tables", Pane::TenantTables),
        ("instances", Pane::Instances),
        ("backups", Pane::Backups),
        ("logs", Pane::Logs),
        ("operations", Pane::Operations),
    ];

    /// Marks the row under the cursor, or takes its mark away, and goes on to the next.
    pub(super) fn mark(&mut self) {
        let Some(pane) = self.pane() else { return };
        self.on_rows(pane, |rows| {
            rows.mark();
            rows.step(1);
        });
    }

    /// Takes all marks of the list away; says whether there were any.
    pub(super) fn unmark(&mut self) -> bool {
        let Some(pane) = self.pane().filter(|pane| self.marked(*pane) > 0) else { return false };
        self.on_rows(pane, |rows| rows.unmark());
        true
    }
}
