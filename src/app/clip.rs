//! What `y` and `Y` put on the clipboard: text that is safe to paste into a terminal as well.

use super::backups::BackupColumn;
use super::columns::{SessionColumn, TenantColumn};
use super::instances::InstanceColumn;
use super::list::List;
use super::locks::LockTrees;
use super::logs::{LogColumn, LogRow};
use super::model::{FleetFocus, Model, TenantTab, View, Worst};
use super::operations::OperationColumn;
use super::pane::Pane;
use super::statements::StatementColumn;
use super::table::{Column, Value};
use super::tables::{TableColumn, TableRow};
use super::wizard::Page;
use crate::domain::foreign::sanitise;
use crate::domain::operation::OperationLine;
use crate::domain::{Finding, Instance, Session, TopStatement};

impl Model {
    /// What the cursor is on, as text, and what to call it.
    pub(super) fn under_cursor(&self) -> Option<(String, &'static str)> {
        if let Some(found) = self.finding_under_cursor() {
            return Some(step(found));
        }
        match (&self.view, self.fleet.focus, self.page.tab) {
            (View::Fleet, FleetFocus::Tenants, _) => {
                let tenant = self.fleet.tenants.list.selected().and_then(|at| self.shown.tenants.get(at))?;
                Some((row::<TenantColumn>(&TenantColumn::ALL[1..], tenant, &()), "the row"))
            }
            (View::Tenant(_), _, TenantTab::Overview) => {
                Some((row::<TenantColumn>(&TenantColumn::ALL[1..], &self.tenant.as_ref()?.value, &()), "the row"))
            }
            (View::Tenant(_), _, TenantTab::Statements) => {
                Some((row::<StatementColumn>(StatementColumn::ALL, self.statement_under_cursor()?, &()), "the row"))
            }
            (View::Tables, ..) => Some((
                row::<TableColumn>(&TableColumn::ALL[1..], self.table_under_cursor()?, &self.moment()),
                "the row",
            )),
            (View::Instances | View::Instance(_), ..) => {
                Some((self.instance_row(self.instance_under_cursor()?), "the row"))
            }
            (View::Tenant(_), _, TenantTab::Tables) | (View::Table(_), ..) => {
                Some((self.table_under_cursor()?.shown(), "the table's name"))
            }
            (View::Tenant(_), _, TenantTab::Sessions | TenantTab::Locks)
            | (View::Sessions | View::Session(_) | View::Locks, ..) => {
                let session = self.session_under_cursor()?;
                Some((row::<SessionColumn>(&SessionColumn::ALL[1..], session, &self.blockers), "the row"))
            }
            (View::Backups | View::Backup(_), ..) => {
                let kept = self.backup.as_ref().map(|kept| &kept.value);
                let of = if self.view == View::Backups { self.backup_under_cursor() } else { kept };
                Some((row::<BackupColumn>(&BackupColumn::ALL[1..], of?, &self.moment()), "the row"))
            }
            (View::Logs, ..) => Some((logged(self.log_under_cursor()?), "the entry")),
            (View::Operations, ..) | (View::Tenant(_), _, TenantTab::Operations) => {
                let line = self.operation_under_cursor()?;
                Some((row::<OperationColumn>(&OperationColumn::ALL[1..], line, &self.moment()), "the row"))
            }
            (View::Operation, ..) => {
                let told = self.works.opened.as_ref()?.told.as_ref()?;
                Some((told.id.clone(), "the operation's id"))
            }
            (View::Fleet, FleetFocus::Findings, _)
            | (View::Tenant(_), _, TenantTab::Findings | TenantTab::Backups)
            | (View::Finding(_), ..) => None,
        }
    }

    /// The same of everything that is marked in the list; `None` when nothing is. `whole`: the longer text of each.
    pub(super) fn marked_text(&self, whole: bool) -> Option<(String, String)> {
        let pane = self.pane().filter(|pane| self.marked(*pane) > 0)?;
        let shown = &self.shown;
        let findings = |list: &List<Finding>| {
            let each = list.chosen(&shown.findings).into_iter().filter_map(|at| shown.findings.get(at));
            let each = each.map(|finding| if whole { told(finding) } else { step(finding).0 });
            (each.collect::<Vec<_>>(), if whole { "\n\n" } else { "\n" })
        };
        let sessions = |list: &List<Session>| {
            let each = list.chosen(&shown.sessions).into_iter().filter_map(|at| shown.sessions.get(at));
            let each = each.filter_map(|session| match &session.query {
                query if whole => query.as_ref().map(|query| lines(query.raw())),
                _ => Some(row::<SessionColumn>(&SessionColumn::ALL[1..], session, &self.blockers)),
            });
            (each.collect(), if whole { "\n\n" } else { "\n" })
        };
        let waiters = |trees: &LockTrees| {
            let each = trees.list.chosen(&trees.rows).into_iter().filter_map(|at| trees.rows.get(at)?.session());
            let each = each.filter_map(|at| shown.sessions.get(at));
            (
                each.map(|session| row::<SessionColumn>(&SessionColumn::ALL[1..], session, &self.blockers)).collect(),
                "\n",
            )
        };
        let tables = |worst: &Worst| {
            let each = worst.table.list.chosen(&worst.rows).into_iter().filter_map(|at| worst.rows.get(at));
            (each.map(|table| if whole { table.vacuum_statement() } else { table.shown() }).collect(), "\n")
        };
        let (each, between) = match pane {
            Pane::Findings => findings(&self.fleet.findings),
            Pane::TenantFindings => findings(&self.page.findings),
            Pane::Sessions => sessions(&self.sessions.list),
            Pane::TenantSessions => sessions(&self.page.sessions.list),
            Pane::Tenants => {
                let each = self.fleet.tenants.list.chosen(&shown.tenants);
                let each = each.into_iter().filter_map(|at| shown.tenants.get(at));
                (each.map(|tenant| row::<TenantColumn>(&TenantColumn::ALL[1..], tenant, &())).collect(), "\n")
            }
            Pane::TenantStatements => {
                let held = &self.page.statements;
                let each = held.table.list.chosen(&held.rows).into_iter().filter_map(|at| held.rows.get(at));
                let each = each.map(|statement| match &statement.text {
                    Some(text) if whole => lines(text.raw()),
                    _ => row::<StatementColumn>(StatementColumn::ALL, statement, &()),
                });
                (each.collect(), if whole { "\n\n" } else { "\n" })
            }
            Pane::Instances => {
                let each = self.instances.list.chosen(&shown.instances);
                let each = each.into_iter().filter_map(|at| shown.instances.get(at));
                (each.map(|instance| self.instance_row(instance)).collect(), "\n")
            }
            Pane::Backups => {
                let held = &self.backups;
                let each = held.table.list.chosen(&held.rows).into_iter().filter_map(|at| held.rows.get(at));
                let moment = self.moment();
                (each.map(|one| row::<BackupColumn>(&BackupColumn::ALL[1..], one, &moment)).collect(), "\n")
            }
            Pane::Logs => {
                let held = &self.logs.held;
                let each = held.table.list.chosen(&held.rows).into_iter().filter_map(|at| held.rows.get(at));
                let each = each.map(|entry| if whole { lines(entry.entry.message.raw()) } else { logged(entry) });
                (each.collect(), "\n")
            }
            Pane::Operations | Pane::TenantOperations => {
                let lines = &self.works.list;
                let list = if pane == Pane::Operations { &lines.table.list } else { &self.page.operations };
                let each = list.chosen(&lines.rows).into_iter().filter_map(|at| lines.rows.get(at));
                let moment = self.moment();
                (each.map(|line| row::<OperationColumn>(&OperationColumn::ALL[1..], line, &moment)).collect(), "\n")
            }
            Pane::Locks => waiters(&self.locks),
            Pane::TenantLocks => waiters(&self.page.locks),
            Pane::Tables => tables(&self.tables),
            Pane::TenantTables => tables(&self.page.tables),
        };
        let what = format!("{} marked", each.len());
        (!each.is_empty()).then(|| (each.join(between), what))
    }

    pub(super) fn finding_under_cursor(&self) -> Option<&Finding> {
        let list = match (&self.view, self.fleet.focus, self.page.tab) {
            (View::Fleet, FleetFocus::Findings, _) => &self.fleet.findings,
            (View::Tenant(_), _, TenantTab::Findings) => &self.page.findings,
            (View::Finding(_), ..) => return self.finding.as_ref().map(|kept| &kept.value),
            _ => return None,
        };
        list.selected().and_then(|at| self.shown.findings.get(at))
    }

    /// The longer text that belongs to what the cursor is on: a session's query, a table's VACUUM, a finding in full.
    pub(super) fn query_under_cursor(&self) -> Option<(String, &'static str)> {
        if let Some(found) = self.finding_under_cursor() {
            return Some((told(found), "the whole finding"));
        }
        if self.view == View::Operation {
            let opened = self.works.opened.as_ref()?;
            let told = opened.told.as_ref()?;
            return Some(match opened.page {
                Page::Plan => (told.plan.join("\n"), "the plan"),
                Page::Step => (opened.step()?.forward.join("\n"), "the step's statements"),
                Page::Report => (told.report.join("\n"), "the report"),
            });
        }
        if self.view == View::Logs {
            return Some((lines(self.log_under_cursor()?.entry.message.raw()), "the whole entry"));
        }
        if let Some(table) = self.table_under_cursor() {
            let statements: Vec<String> = match &self.view {
                View::Table(_) => {
                    table.remedies().into_iter().filter(|one| one.sure).map(|one| one.statement).collect()
                }
                _ => vec![table.vacuum_statement()],
            };
            let what = if statements.len() == 1 { "the statement" } else { "the statements" };
            return Some((statements.join("\n"), what));
        }
        let query = match self.statement_under_cursor() {
            Some(statement) => statement.text.as_ref()?,
            None => self.session_under_cursor()?.query.as_ref()?,
        };
        Some((lines(query.raw()), "the query"))
    }

    /// The instance under the cursor, or the one whose page is open.
    pub(super) fn instance_under_cursor(&self) -> Option<&Instance> {
        match &self.view {
            View::Instance(_) => self.instance.as_ref().map(|kept| &kept.value),
            View::Instances => self.instances.list.selected().and_then(|at| self.shown.instances.get(at)),
            _ => None,
        }
    }

    fn instance_row(&self, instance: &Instance) -> String {
        row::<InstanceColumn>(&InstanceColumn::ALL[1..], instance, &self.moment())
    }

    fn statement_under_cursor(&self) -> Option<&TopStatement> {
        let held = &self.page.statements;
        let here = matches!(self.view, View::Tenant(_)) && self.page.tab == TenantTab::Statements;
        held.rows.get(held.table.list.selected().filter(|_| here)?)
    }

    fn operation_under_cursor(&self) -> Option<&OperationLine> {
        let list = if self.view == View::Operations { &self.works.list.table.list } else { &self.page.operations };
        list.selected().and_then(|at| self.works.list.rows.get(at))
    }

    fn session_under_cursor(&self) -> Option<&Session> {
        let list = match &self.view {
            View::Session(_) => return self.session.as_ref().map(|kept| &kept.value),
            View::Sessions => &self.sessions.list,
            View::Tenant(_) if self.page.tab == TenantTab::Sessions => &self.page.sessions.list,
            View::Locks => return self.locks.session().and_then(|at| self.shown.sessions.get(at)),
            View::Tenant(_) if self.page.tab == TenantTab::Locks => {
                return self.page.locks.session().and_then(|at| self.shown.sessions.get(at));
            }
            _ => return None,
        };
        list.selected().and_then(|at| self.shown.sessions.get(at))
    }

    fn table_under_cursor(&self) -> Option<&TableRow> {
        let worst = match &self.view {
            View::Tables => &self.tables,
            View::Tenant(_) if self.page.tab == TenantTab::Tables => &self.page.tables,
            View::Table(_) => return self.table.as_ref().map(|kept| &kept.value),
            _ => return None,
        };
        worst.rows.get(worst.table.list.selected()?)
    }
}

/// An entry of a log on one line, with the moment instead of its age.
fn logged(row: &LogRow) -> String {
    let words = |column: LogColumn| match column.exported(row, &row.at) {
        Value::Text(text) => text.into_owned(),
        Value::Number(number) => column.exact(number),
        Value::Missing => "—".to_owned(),
    };
    LogColumn::ALL.iter().copied().map(words).collect::<Vec<_>>().join("\t")
}

/// Each line made safe by itself, so that what was several lines stays so.
pub(super) fn lines(text: &str) -> String {
    text.lines().map(|line| sanitise(line).into_owned()).collect::<Vec<_>>().join("\n")
}

/// The statement alone if there is one to offer, else the advice; what is over or stale offers neither.
fn step(finding: &Finding) -> (String, &'static str) {
    match &finding.statement {
        _ if finding.stale || finding.over_for.is_some() => (told(finding), "the finding: it is no longer certain"),
        Some(statement) => (lines(statement), "the statement"),
        None if finding.advice.is_empty() => (told(finding), "the finding"),
        None => (lines(&finding.advice), "the advice"),
    }
}

/// A finding as a person would pass it on.
fn told(finding: &Finding) -> String {
    let state = match finding.over_for {
        Some(over) => format!(" (over for {over:.0}s)"),
        None if finding.stale => " (as last known)".to_owned(),
        None => String::new(),
    };
    let mut told = vec![
        format!("{} {}: {}{state}", finding.severity, finding.signal, finding.summary),
        format!("since {:.0}", finding.since),
    ];
    told.extend(finding.evidence.iter().map(|number| {
        let held = number.threshold.map(|than| format!(" (threshold {})", number.written(than))).unwrap_or_default();
        format!("{}: {}{held}", number.name, number.written(number.value))
    }));
    if state.is_empty() {
        told.extend(Some(format!("next step: {}", finding.advice)).filter(|_| !finding.advice.is_empty()));
        told.extend(finding.statement.clone());
    }
    lines(&told.join("\n"))
}

fn row<C: Column>(columns: &[C], item: &C::Row, context: &C::Context) -> String {
    let cells: Vec<String> = columns
        .iter()
        .map(|column| match column.value(item, context) {
            Value::Text(text) => text.into_owned(),
            Value::Number(number) => column.exact(number),
            Value::Missing => "—".to_owned(),
        })
        .collect();
    cells.join("\t")
}
