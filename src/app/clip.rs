//! What `y` and `Y` put on the clipboard: text that is safe to paste into a terminal as well.

use super::columns::{SessionColumn, TenantColumn};
use super::model::{FleetFocus, Model, TenantTab, View, tables};
use super::table::{Column, Value};
use crate::domain::facts::TableDebt;
use crate::domain::foreign::sanitise;
use crate::domain::{Finding, Foreign, Session, quantity};

impl Model {
    /// What the cursor is on, as text, and what to call it.
    pub(super) fn under_cursor(&self) -> Option<(String, &'static str)> {
        let finding =
            |at: Option<usize>| at.and_then(|at| self.shown.findings.get(at)).map(|found| (told(found), "the finding"));
        match (&self.view, self.fleet.focus, self.page.tab) {
            (View::Fleet, FleetFocus::Findings, _) => finding(self.fleet.findings.selected()),
            (View::Fleet, ..) => {
                let tenant = self.fleet.tenants.list.selected().and_then(|at| self.shown.tenants.get(at))?;
                Some((row::<TenantColumn>(&TenantColumn::ALL[1..], tenant, &()), "the row"))
            }
            (View::Tenant(_), _, TenantTab::Findings) => finding(self.page.findings.selected()),
            (View::Tenant(_), _, TenantTab::Overview) => {
                Some((row::<TenantColumn>(&TenantColumn::ALL[1..], &self.tenant.as_ref()?.value, &()), "the row"))
            }
            (View::Tenant(_), _, TenantTab::Tables) => {
                let table = self.table_under_cursor()?;
                Some((format!("{}.{}", table.schema, table.table), "the table's name"))
            }
            (View::Tenant(_) | View::Sessions | View::Session(_), ..) => {
                let session = self.session_under_cursor()?;
                Some((row::<SessionColumn>(&SessionColumn::ALL[1..], session, &self.blockers), "the row"))
            }
            (View::Finding(_), ..) => self.finding.as_ref().map(|kept| (told(&kept.value), "the finding")),
        }
    }

    /// The statement that belongs to what the cursor is on.
    pub(super) fn query_under_cursor(&self) -> Option<(String, &'static str)> {
        if matches!(self.view, View::Tenant(_)) && self.page.tab == TenantTab::Tables {
            let table = self.table_under_cursor()?;
            let name = format!("{}.{}", quoted(&table.schema), quoted(&table.table));
            return Some((format!("VACUUM (VERBOSE, ANALYZE) {name};"), "the statement"));
        }
        let query = self.session_under_cursor()?.query.as_ref()?;
        let lines: Vec<_> = query.raw().lines().map(|line| sanitise(line).into_owned()).collect();
        Some((lines.join("\n"), "the query"))
    }

    fn session_under_cursor(&self) -> Option<&Session> {
        let list = match &self.view {
            View::Session(_) => return self.session.as_ref().map(|kept| &kept.value),
            View::Sessions => &self.sessions.list,
            View::Tenant(_) if self.page.tab == TenantTab::Sessions => &self.page.sessions.list,
            _ => return None,
        };
        list.selected().and_then(|at| self.shown.sessions.get(at))
    }

    fn table_under_cursor(&self) -> Option<&TableDebt> {
        tables(&self.shown, &self.tenant.as_ref()?.value).get(self.page.tables.selected()?)
    }
}

/// A quoted identifier that is safe on a clipboard; a name with control characters in it comes out visibly wrong instead.
fn quoted(name: &Foreign) -> String {
    format!("\"{}\"", name.shown().replace('"', "\"\""))
}

fn told(finding: &Finding) -> String {
    format!(
        "{} {}: {} → {} (since {:.0})",
        finding.severity, finding.signal, finding.summary, finding.advice, finding.since
    )
}

fn row<C: Column>(columns: &[C], item: &C::Row, context: &C::Context) -> String {
    let cells: Vec<String> = columns
        .iter()
        .map(|column| match column.value(item, context) {
            Value::Text(text) => text.into_owned(),
            Value::Number(number) => quantity::count(number),
            Value::Missing => "—".to_owned(),
        })
        .collect();
    cells.join("\t")
}
