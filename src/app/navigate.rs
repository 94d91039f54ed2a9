//! Going somewhere: views, the way back, the cursor.

use std::sync::Arc;

use super::figures::InstanceTab;
use super::keys::Command;
use super::list::{Keyed, List};
use super::locks::LockTrees;
use super::model::{FleetFocus, Held, Kept, Mode, Model, TenantTab, View, Worst};
use super::table::Column;
use super::tables::TableRow;
use crate::domain::facts::cloud::Standing;
use crate::domain::snapshot::Reach;
use crate::domain::{Instance, InstanceName, Session, Severity, SubjectKind, Tenant, TenantId};

/// The deepest way back that is remembered.
const DEPTH: usize = 50;

impl Model {
    fn scrolls_text(&self) -> bool {
        matches!(self.mode, Mode::Help)
            || match self.view {
                View::Finding(_)
                | View::Session(_)
                | View::Table(_)
                | View::Instance(_)
                | View::Backup(_)
                | View::Operation => true,
                View::Tenant(_) => matches!(self.page.tab, TenantTab::Overview | TenantTab::Backups),
                View::Fleet
                | View::Sessions
                | View::Locks
                | View::Tables
                | View::Instances
                | View::Backups
                | View::Logs
                | View::Operations => false,
            }
    }

    /// Moves the cursor, or the text.
    pub(super) fn step(&mut self, by: isize) {
        if let Mode::Palette(palette) = &mut self.mode {
            palette.step(by);
            return;
        }
        if let Mode::Form(form) = &mut self.mode {
            form.step(by);
            return;
        }
        if let Mode::Offers(offers) = &mut self.mode {
            offers.at = offers.at.saturating_add_signed(by).min(offers.choices.len().saturating_sub(1));
            return;
        }
        if matches!(self.mode, Mode::Columns(_) | Mode::Themes(_)) {
            self.choose(|at| at.saturating_add_signed(by));
            return;
        }
        if self.step_through(by) {
            return;
        }
        if self.scrolls_text() {
            let most = self.scroll.lines.saturating_sub(self.scroll.page);
            self.scroll.top = self.scroll.top.saturating_add_signed(by).min(most);
            return;
        }
        if let Some(pane) = self.pane() {
            self.on_rows(pane, |rows| rows.step(by));
        }
    }

    pub(super) fn page_step(&self) -> isize {
        let page = match self.pane().filter(|_| !self.scrolls_text()) {
            Some(pane) => self.page_of(pane),
            None => self.scroll.page,
        };
        isize::try_from(page.saturating_sub(1).max(1)).unwrap_or(1)
    }

    pub(super) fn first(&mut self) {
        if matches!(self.mode, Mode::Columns(_) | Mode::Themes(_)) {
            self.choose(|_| 0);
            return;
        }
        if self.scrolls_text() {
            self.scroll.top = 0;
            return;
        }
        if let Some(pane) = self.pane() {
            self.on_rows(pane, |rows| rows.first());
        }
    }

    /// Goes to the next row worth a look: any that the filter let through, else one with a problem.
    pub(super) fn seek(&mut self, forward: bool) {
        let shown = Arc::clone(&self.shown);
        let sick = |tenant: &Tenant| tenant.severity.is_some() || !tenant.suffers.is_empty();
        match self.view {
            View::Fleet => {
                self.fleet.focus = FleetFocus::Tenants;
                let all = !self.fleet.tenants.filter.is_empty();
                self.fleet.tenants.list.seek(forward, &shown.tenants, |tenant| all || sick(tenant));
            }
            View::Tables => seek(&mut self.tables, forward, is_sick),
            View::Tenant(_) if self.page.tab == TenantTab::Tables => seek(&mut self.page.tables, forward, is_sick),
            View::Tenant(_) if self.page.tab == TenantTab::Statements => {
                seek(&mut self.page.statements, forward, |_| true);
            }
            View::Sessions | View::Tenant(_) => {
                let table = if self.view == View::Sessions { &mut self.sessions } else { &mut self.page.sessions };
                let all = !table.filter.is_empty();
                let blockers = &self.blockers;
                table.list.seek(forward, &shown.sessions, |session| all || troubled(session, blockers));
            }
            View::Instances => {
                let all = !self.instances.filter.is_empty();
                let serves = |one: &Instance| {
                    matches!(one.reach, Reach::Up | Reach::Apart(_)) && one.standing() != Some(Standing::Hurt)
                };
                self.instances.list.seek(forward, &shown.instances, |one| all || !serves(one));
            }
            View::Operations => seek(&mut self.works.list, forward, |line| line.unfinished || line.in_force),
            View::Backups => {
                let bad = |row: &super::backups::BackupRow| {
                    row.judged().is_some_and(|judged| judged.worst() >= Some(Severity::Warning))
                };
                seek(&mut self.backups, forward, bad);
            }
            View::Logs => seek(&mut self.logs.held, forward, is_grave),
            View::Finding(_)
            | View::Session(_)
            | View::Locks
            | View::Table(_)
            | View::Instance(_)
            | View::Backup(_)
            | View::Operation => {}
        }
    }

    /// Goes to a view; Esc leads back from there.
    pub(super) fn open(&mut self, view: View) {
        if self.view == view {
            return;
        }
        let left = std::mem::replace(&mut self.view, view);
        if self.view == View::Fleet {
            self.back.clear();
        } else {
            self.back.push((left.clone(), self.page.tab));
            if self.back.len() > DEPTH {
                self.back.remove(0);
            }
        }
        self.previous = Some(left);
        self.arrive();
    }

    /// Takes up what the view is about.
    fn arrive(&mut self) {
        let shown = Arc::clone(&self.shown);
        self.scroll.top = 0;
        match &self.view {
            View::Tenant(key) => {
                if self.tenant.as_ref().is_none_or(|kept| !kept.value.is(key)) {
                    self.page.tab = TenantTab::Overview;
                    self.page.sessions.list = List::default();
                    self.page.findings = List::default();
                    self.page.statements.table.list = List::default();
                    self.page.tables.table.list = List::default();
                    self.page.locks.list = List::default();
                    self.page.operations = List::default();
                    self.tenant = find(&shown.tenants, key);
                }
                self.ask_operations(true);
            }
            View::Finding(key) => {
                if let Some(kept) = find(&shown.findings, key) {
                    self.finding = Some(kept);
                }
            }
            View::Session(key) => {
                if let Some(kept) = find(&shown.sessions, key) {
                    self.session = Some(kept);
                }
                self.inspect();
            }
            View::Table(key) => {
                let of = self.tables.rows.iter().chain(&self.page.tables.rows).find(|row| row.is(key));
                if let Some(row) = of {
                    self.table = Some(Kept { value: row.clone(), gone: false });
                }
            }
            View::Instance(key) => {
                if self.instance.as_ref().is_none_or(|kept| !kept.value.is(key)) {
                    self.instance_page = InstanceTab::default();
                }
                if let Some(kept) = find(&shown.instances, key) {
                    self.instance = Some(kept);
                }
            }
            View::Backup(key) => {
                if let Some(row) = self.backups.rows.iter().find(|row| row.is(key)) {
                    self.backup = Some(Kept { value: row.clone(), gone: false });
                }
            }
            View::Operations => self.ask_operations(true),
            View::Fleet
            | View::Sessions
            | View::Locks
            | View::Tables
            | View::Instances
            | View::Backups
            | View::Logs
            | View::Operation => {}
        }
        self.refill_lists();
    }

    pub(super) fn go_back(&mut self) {
        if matches!(self.mode, Mode::Help) {
            self.mode = Mode::Normal;
            self.scroll.top = 0;
        } else if self.unmark() {
        } else if !self.filter_text().is_empty() {
            // An empty filter is always understood.
            let _ = self.set_filter("");
        } else if let Some((view, tab)) = self.step_back() {
            self.previous = Some(std::mem::replace(&mut self.view, view));
            self.arrive();
            self.page.tab = tab;
            self.refill_trees_and_tables();
        } else if self.view == View::Fleet {
            self.fleet.focus = FleetFocus::Tenants;
        }
    }

    /// The newest step of the way that still leads somewhere: what has gone meanwhile, and is not the one kept, is left out.
    fn step_back(&mut self) -> Option<(View, TenantTab)> {
        let shown = Arc::clone(&self.shown);
        while let Some(step) = self.back.pop() {
            let there = match &step.0 {
                View::Fleet
                | View::Sessions
                | View::Locks
                | View::Tables
                | View::Instances
                | View::Backups
                | View::Logs
                | View::Operations => true,
                View::Backup(key) => holds(self.backup.as_ref(), &self.backups.rows, key),
                View::Operation => self.works.opened.is_some(),
                View::Instance(key) => holds(self.instance.as_ref(), &shown.instances, key),
                View::Tenant(key) => holds(self.tenant.as_ref(), &shown.tenants, key),
                View::Finding(key) => holds(self.finding.as_ref(), &shown.findings, key),
                View::Session(key) => holds(self.session.as_ref(), &shown.sessions, key),
                View::Table(key) => holds(self.table.as_ref(), &self.tables.rows, key),
            };
            if there && step.0 != self.view {
                return Some(step);
            }
        }
        None
    }

    pub(super) fn go_previous(&mut self) {
        match self.previous.take() {
            // What was only planned is forgotten when it is left.
            Some(View::Operation) if self.works.opened.is_none() => self.say("no view before this one", true),
            Some(view) => self.open(view),
            None => self.say("no view before this one", true),
        }
    }

    /// The tenant under the cursor, the one looked at last, or the first.
    pub(super) fn open_some_tenant(&mut self) {
        let under = match &self.view {
            View::Fleet => self.fleet.tenants.list.selected().and_then(|at| self.shown.tenants.get(at)).map(Keyed::key),
            View::Sessions => self
                .sessions
                .list
                .selected()
                .and_then(|at| self.shown.sessions.get(at))
                .and_then(|session| self.tenant_of(session)),
            View::Session(_) => self.session.as_ref().and_then(|kept| self.tenant_of(&kept.value)),
            View::Locks => self
                .locks
                .session()
                .and_then(|at| self.shown.sessions.get(at))
                .and_then(|session| self.tenant_of(session)),
            View::Tables => {
                self.tables.table.list.selected().and_then(|at| self.tables.rows.get(at)).and_then(owner_of)
            }
            View::Table(_) => self.table.as_ref().and_then(|kept| owner_of(&kept.value)),
            View::Tenant(_) => {
                self.say("this is the tenant's screen: 1 leads to all of them, : finds one by name", false);
                return;
            }
            View::Finding(_) => self.finding.as_ref().and_then(|kept| self.blamed(&kept.value)),
            View::Operations => {
                let line = self.works.list.table.list.selected().and_then(|at| self.works.list.rows.get(at));
                line.and_then(|line| self.home_of(line.tenants.first()?))
            }
            View::Operation => {
                let told = self.works.opened.as_ref().and_then(|opened| opened.told.as_ref());
                told.and_then(|told| self.home_of(told.tenants.first()?))
            }
            View::Backups => {
                self.backup_under_cursor().and_then(|row| self.tenant_on(row.tenant.as_ref()?, &row.instance))
            }
            View::Backup(key) => key.1.as_ref().and_then(|id| self.tenant_on(id, &key.0)),
            View::Logs => self.logged_tenant(),
            View::Instance(key) => self.only_tenant(key),
            View::Instances => self.instance_under_cursor().and_then(|instance| self.only_tenant(&instance.name)),
        };
        let last = || self.tenant.as_ref().map(|kept| kept.value.key());
        // A filter that lets nobody through chose nobody: no tenant is opened that is not on the screen.
        let none = self.view == View::Fleet && !self.shown.tenants.is_empty();
        match under.or_else(last).or_else(|| self.shown.tenants.first().map(Keyed::key)) {
            _ if none && self.fleet.tenants.list.rows.is_empty() => self.say("nothing selected", true),
            Some(key) => self.open(View::Tenant(key)),
            None => self.say(self.why_no("tenant"), true),
        }
    }

    fn home_of(&self, id: &crate::domain::TenantId) -> Option<<Tenant as Keyed>::Key> {
        self.shown.tenants.iter().find(|tenant| tenant.id == *id).map(Keyed::key)
    }

    fn tenant_on(&self, id: &TenantId, instance: &InstanceName) -> Option<<Tenant as Keyed>::Key> {
        self.shown.tenants.iter().find(|tenant| tenant.id == *id && tenant.instance == *instance).map(Keyed::key)
    }

    /// The tenant of an instance that has no other.
    fn only_tenant(&self, instance: &InstanceName) -> Option<<Tenant as Keyed>::Key> {
        let mut here = self.shown.tenants.iter().filter(|tenant| tenant.instance == *instance);
        here.next().filter(|_| here.next().is_none()).map(Keyed::key)
    }

    /// Whose the entry under the cursor is.
    fn logged_tenant(&self) -> Option<<Tenant as Keyed>::Key> {
        self.tenant_on(self.log_under_cursor()?.tenant.as_ref()?, self.logs.of.as_ref()?)
    }

    /// Opens a page of the instance's screen.
    pub(super) fn open_instance_page(&mut self, tab: InstanceTab) {
        self.instance_page = tab;
        self.scroll.top = 0;
    }

    /// What the cursor is on among the backups.
    pub fn backup_under_cursor(&self) -> Option<&super::backups::BackupRow> {
        self.backups.rows.get(self.backups.table.list.selected()?)
    }

    /// Why there is none of something.
    fn why_no(&self, what: &str) -> String {
        let down = self.shown.instances.iter().find(|instance| !matches!(instance.reach, Reach::Up | Reach::Apart(_)));
        match down {
            Some(instance) => format!("no {what} is known: {} is not reached", instance.name),
            None => format!("no {what} is known yet"),
        }
    }

    fn tenant_of(&self, session: &Session) -> Option<<Tenant as Keyed>::Key> {
        let id = session.attribution.tenant()?;
        self.shown.tenants.iter().find(|tenant| tenant.id == *id && tenant.instance == session.instance).map(Keyed::key)
    }

    /// The tenant that a finding is about.
    pub(super) fn blamed(&self, finding: &crate::domain::Finding) -> Option<<Tenant as Keyed>::Key> {
        let on_it = |tenant: &&Tenant| tenant.instance == finding.subject.instance;
        let by_subject = self.shown.tenants.iter().filter(on_it).find(|tenant| {
            finding.subject.kind == SubjectKind::Tenant && tenant.id.as_str() == finding.subject.id
                || finding.subject.kind == SubjectKind::Role
                    && tenant.role.as_deref() == Some(finding.subject.id.as_str())
        });
        by_subject
            .or_else(|| {
                let id = finding.culprits.first()?;
                self.shown.tenants.iter().filter(on_it).find(|tenant| tenant.id == *id)
            })
            .or_else(|| {
                (finding.subject.kind == SubjectKind::Table)
                    .then(|| {
                        self.shown.tenants.iter().filter(on_it).find(|tenant| super::model::concerns(finding, tenant))
                    })
                    .flatten()
            })
            .map(Keyed::key)
    }

    /// Whether a key's command would do anything here and now; what would not is not offered.
    pub fn means(&self, command: Command) -> bool {
        let (findings, tenants) = (!self.fleet.findings.rows.is_empty(), !self.shown.tenants.is_empty());
        match (command, &self.view) {
            (Command::NextPane, View::Fleet) => findings,
            (Command::NextPane | Command::PreviousPane, View::Logs) => self.shown.instances.len() > 1,
            (Command::Open, View::Backups) => !self.backups.table.list.rows.is_empty(),
            (Command::Open, View::Logs) => self.logged_tenant().is_some(),
            (Command::Open, View::Fleet) if self.fleet.focus == FleetFocus::Findings => findings,
            (Command::Open, View::Fleet) => !self.fleet.tenants.list.rows.is_empty(),
            (Command::Open, View::Sessions) => !self.sessions.list.rows.is_empty(),
            (Command::Open, View::Tenant(_)) => match self.page.tab {
                TenantTab::Overview | TenantTab::Findings => !self.page.findings.rows.is_empty(),
                // A statement is all there already.
                TenantTab::Statements | TenantTab::Backups => false,
                TenantTab::Sessions | TenantTab::Locks | TenantTab::Tables | TenantTab::Operations => {
                    self.pane().is_some_and(|pane| !self.is_empty(pane))
                }
            },
            (Command::Open | Command::Expand | Command::Collapse, View::Locks) => !self.locks.rows.is_empty(),
            (Command::Open | Command::CopyQuery, View::Tables) => !self.tables.table.list.rows.is_empty(),
            (Command::Open, View::Operations) => !self.works.list.table.list.rows.is_empty(),
            (Command::GoOn | Command::PauseStep | Command::Retry | Command::RollBack | Command::Abandon, _) => {
                self.would(command)
            }
            // The keys say why they do nothing; to be offered they would have to do something.
            (Command::Actions | Command::Wizards, _) if self.settings.read_only => false,
            (
                Command::Actions,
                View::Operations
                | View::Operation
                | View::Instances
                | View::Instance(_)
                | View::Backups
                | View::Backup(_)
                | View::Logs,
            )
            | (Command::Open, View::Instance(_) | View::Backup(_))
            | (Command::NextPane | Command::PreviousPane, View::Instances) => false,
            // RDS's page has no charts.
            (Command::FurtherBack | Command::LessFarBack, View::Instance(_)) => self.instance_page != InstanceTab::Rds,
            (Command::Open, View::Instances) => !self.instances.list.rows.is_empty(),
            (Command::AskPlan | Command::AskLocks, View::Session(_)) => self.can_ask(command),
            (Command::Acknowledge | Command::Unacknowledge, _) => self.finding_under_cursor().is_some(),
            (Command::Tenant, _) => tenants || self.tenant.is_some(),
            _ => true,
        }
    }

    pub(super) fn open_selected(&mut self) {
        if self.view == View::Operations || self.shows_operations() {
            self.open_operation();
            return;
        }
        if let View::Finding(_) = self.view
            && let Some(found) = self.finding.as_ref().map(|kept| &kept.value.subject)
            && found.kind == SubjectKind::Operation
        {
            let id = found.id.clone();
            self.follow(id);
            return;
        }
        let shown = Arc::clone(&self.shown);
        let finding = |list: &List<crate::domain::Finding>| {
            list.selected().and_then(|at| shown.findings.get(at)).map(|finding| View::Finding(finding.key()))
        };
        let session = |list: &List<Session>| {
            list.selected().and_then(|at| shown.sessions.get(at)).map(|session| View::Session(session.key()))
        };
        let locked = |locks: &LockTrees| {
            locks.session().and_then(|at| shown.sessions.get(at)).map(|session| View::Session(session.key()))
        };
        let table = |worst: &Worst| {
            worst.table.list.selected().and_then(|at| worst.rows.get(at)).map(|row| View::Table(row.key()))
        };
        let target = match (&self.view, self.fleet.focus, self.page.tab) {
            (View::Fleet, FleetFocus::Findings, _) => finding(&self.fleet.findings),
            (View::Fleet, FleetFocus::Tenants, _) => self
                .fleet
                .tenants
                .list
                .selected()
                .and_then(|at| shown.tenants.get(at))
                .map(|tenant| View::Tenant(tenant.key())),
            (View::Sessions, ..) => session(&self.sessions.list),
            (View::Tenant(_), _, TenantTab::Sessions) => session(&self.page.sessions.list),
            (View::Tenant(_), _, TenantTab::Overview | TenantTab::Findings) => finding(&self.page.findings),
            (View::Tenant(_), _, TenantTab::Locks) => locked(&self.page.locks),
            (View::Locks, ..) => locked(&self.locks),
            (View::Tenant(_), _, TenantTab::Statements | TenantTab::Operations | TenantTab::Backups)
            | (View::Instance(_) | View::Backup(_) | View::Operations | View::Operation, ..) => None,
            (View::Backups, ..) => self.backup_under_cursor().map(|row| View::Backup(row.key())),
            (View::Logs, ..) => self.logged_tenant().map(View::Tenant),
            (View::Tenant(_), _, TenantTab::Tables) => table(&self.page.tables),
            (View::Tables, ..) => table(&self.tables),
            (View::Instances, ..) => self.instance_under_cursor().map(|instance| View::Instance(instance.key())),
            (View::Table(_), ..) => self.table.as_ref().and_then(|kept| owner_of(&kept.value)).map(View::Tenant),
            (View::Session(_), ..) => {
                self.session.as_ref().and_then(|kept| self.tenant_of(&kept.value)).map(View::Tenant)
            }
            (View::Finding(_), ..) => Some(
                self.finding.as_ref().and_then(|kept| self.blamed(&kept.value)).map_or(View::Sessions, View::Tenant),
            ),
        };
        match target {
            Some(view) => self.open(view),
            None if self.on_fold() => self.fold(None),
            None if self.view == View::Logs => self.say("whose this entry is is not known", true),
            None if matches!(self.view, View::Session(_)) => self.say("no tenant is known for this session", true),
            None if matches!(self.view, View::Table(_)) => self.say("no tenant is known for this table", true),
            None => self.say("nothing selected", true),
        }
    }
}

impl Model {
    /// The trees of locks that have the cursor.
    fn trees(&mut self) -> Option<&mut LockTrees> {
        match (&self.view, self.page.tab) {
            (View::Locks, _) => Some(&mut self.locks),
            (View::Tenant(_), TenantTab::Locks) => Some(&mut self.page.locks),
            _ => None,
        }
    }

    fn on_fold(&mut self) -> bool {
        self.trees().is_some_and(|trees| trees.selected().is_some())
    }

    /// Opens or folds what is under the cursor.
    pub(super) fn fold(&mut self, open: Option<bool>) {
        if let Some(trees) = self.trees() {
            trees.fold(open);
        }
        self.refill_trees_and_tables();
    }
}

fn owner_of(row: &TableRow) -> Option<<Tenant as Keyed>::Key> {
    row.tenant.as_ref().map(|tenant| (tenant.clone(), row.instance.clone()))
}

/// Whether a table is worth a look: autovacuum should have come, or has.
fn is_sick(row: &TableRow) -> bool {
    row.ratio().is_some_and(|ratio| ratio >= 1.0) || row.vacuum.is_some()
}

/// Whether an entry of a log tells of something that went wrong.
fn is_grave(row: &super::logs::LogRow) -> bool {
    matches!(row.severity(), Some("WARNING" | "ERROR" | "FATAL" | "PANIC"))
}

/// The next row that the filter found; without a filter, the next that is wanted.
fn seek<C: Column>(held: &mut Held<C>, forward: bool, wanted: impl Fn(&C::Row) -> bool) {
    let all = !held.table.filter.is_empty();
    held.table.list.seek(forward, &held.rows, |row| all || wanted(row));
}

fn troubled(session: &Session, blockers: &super::columns::Blockers) -> bool {
    session.blocking.is_some() || super::columns::is_stuck(session) || blockers.blocks(session) > 0
}

/// Whether a thing can still be shown: it is in the picture, or it is the one kept as last seen.
fn holds<T: Keyed>(kept: Option<&Kept<T>>, items: &[T], key: &T::Key) -> bool {
    kept.is_some_and(|kept| kept.value.is(key)) || items.iter().any(|item| item.is(key))
}

fn find<T: Keyed + Clone>(items: &[T], key: &T::Key) -> Option<Kept<T>> {
    items.iter().find(|item| item.is(key)).map(|item| Kept { value: item.clone(), gone: false })
}
