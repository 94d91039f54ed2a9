//! The present view as a file: CSV for spreadsheets, JSON for programs. Numbers stay numbers, what is not known stays
//! empty, and nothing that a tenant wrote becomes a formula.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::backups::BackupColumn;
use super::columns::{SessionColumn, TenantColumn, how};
use super::instances::InstanceColumn;
use super::list::List;
use super::locks::{LockLine, LockRow, LockTrees};
use super::logs::LogColumn;
use super::model::{Model, Worst};
use super::operations::OperationColumn;
use super::pane::Pane;
use super::statements::StatementColumn;
use super::table::{Column, Table, Value};
use super::tables::TableColumn;
use crate::domain::foreign::sanitise;
use crate::domain::{Attention, Finding, Session};

/// A form to export in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    Json,
}

/// Rows with their columns by name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sheet {
    /// What it shows, as part of a file's name.
    pub name: &'static str,
    /// The filter in force.
    pub filter: String,
    /// Names of all columns, and whether they stand in the table.
    columns: Vec<(&'static str, bool)>,
    rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    cells: Vec<Json>,
    /// Names of the columns whose value is a guess.
    estimated: Vec<&'static str>,
}

impl Sheet {
    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The file's text.
    pub fn written(&self, format: Format, environment: &str, taken_at: Timestamp) -> String {
        match format {
            Format::Csv => self.csv(),
            Format::Json => self.json(environment, taken_at),
        }
    }

    /// RFC 4180, the columns that are shown; the last one names those of the row that are estimates.
    fn csv(&self) -> String {
        let mut text = String::new();
        let shown = || self.columns.iter().enumerate().filter(|(_, (_, shown))| *shown);
        let mut head: Vec<String> = shown().map(|(_, (key, _))| field(&Json::from(*key))).collect();
        let guesses = self.rows.iter().any(|row| !row.estimated.is_empty());
        head.extend(guesses.then(|| "estimated".to_owned()));
        let _ = write!(text, "{}\r\n", head.join(","));
        for row in &self.rows {
            let mut cells: Vec<String> =
                shown().map(|(at, _)| field(row.cells.get(at).unwrap_or(&Json::Null))).collect();
            cells.extend(guesses.then(|| field(&Json::from(row.estimated.join(" ")))));
            let _ = write!(text, "{}\r\n", cells.join(","));
        }
        text
    }

    /// Every column, also what is hidden.
    fn json(&self, environment: &str, taken_at: Timestamp) -> String {
        let rows: Vec<Json> = self
            .rows
            .iter()
            .map(|row| {
                let cells = self.columns.iter().zip(&row.cells);
                let mut object: Map<String, Json> =
                    cells.map(|((key, _), cell)| ((*key).to_owned(), cell.clone())).collect();
                if !row.estimated.is_empty() {
                    object.insert("estimated".to_owned(), json!(row.estimated));
                }
                Json::Object(object)
            })
            .collect();
        let document = json!({
            "schema": 1, "taken_at": taken_at, "environment": environment, "view": self.name,
            "filter": (!self.filter.is_empty()).then_some(&self.filter), "rows": rows,
        });
        // Values that came from values can always be written.
        let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// One field: quoted where it must be, and never a formula.
fn field(cell: &Json) -> String {
    let text = match cell {
        Json::Null => return String::new(),
        Json::Number(number) => return number.to_string(),
        Json::Bool(truth) => return truth.to_string(),
        Json::String(text) => text.clone(),
        Json::Array(items) => {
            let words = items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
            words.collect::<Vec<_>>().join("; ")
        }
        Json::Object(_) => cell.to_string(),
    };
    // A spreadsheet runs what begins like this, whoever wrote it; the quote mark makes it words again.
    let formula = text.trim_start().starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']);
    let text = if formula { format!("'{text}") } else { text };
    if text.contains([',', '"', '\n', '\r', ';', '\'']) || text.starts_with(' ') || text.ends_with(' ') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// A number that JSON can hold, whole where it is whole.
fn number(number: f64) -> Json {
    if number.fract() == 0.0 && number.abs() < 9e15 { Json::from(number as i64) } else { Json::from(number) }
}

fn sheet<C: Column>(name: &'static str, table: &Table<C>, items: &[C::Row], context: &C::Context) -> Sheet {
    let shown: Vec<C> = table.columns.shown().collect();
    // As on the screen, then what is hidden or has no column of its own; charts and bare signs have nothing to say.
    let rest = C::ALL.iter().copied().filter(|column| !shown.contains(column));
    let mut columns: Vec<C> = shown.iter().copied().filter(|column| C::ALL.contains(column)).chain(rest).collect();
    let rows = table.list.chosen(items);
    let value = |row: usize, column: C| match items.get(row).map(|item| column.exported(item, context)) {
        Some(Value::Text(text)) => Json::from(text.into_owned()),
        Some(Value::Number(value)) if value.is_finite() => number(value),
        _ => Json::Null,
    };
    columns.retain(|column| !(column.is_fixed() && rows.iter().all(|row| value(*row, *column).is_null())));
    let cells = |row: &usize| Row {
        cells: columns.iter().map(|column| value(*row, *column)).collect(),
        estimated: items.get(*row).map_or(Vec::new(), |item| {
            columns.iter().filter(|column| column.is_estimated(item)).map(|column| column.key()).collect()
        }),
    };
    Sheet {
        name,
        filter: sanitise(table.filter.text()).into_owned(),
        rows: rows.iter().map(cells).collect(),
        columns: columns.iter().map(|column| (column.key(), shown.contains(column))).collect(),
    }
}

fn findings(list: &List<Finding>, items: &[Finding]) -> Sheet {
    let columns = [
        "severity",
        "signal",
        "kind",
        "subject",
        "instance",
        "summary",
        "since",
        "state",
        "culprits",
        "victims",
        "advice",
        "statement",
        "evidence",
        "acknowledged",
    ];
    let row = |finding: &Finding| {
        let state = match finding.over_for {
            Some(_) => "over",
            None if finding.stale => "as last known",
            None => "now",
        };
        let known = finding.acknowledged.as_ref().map(|known| {
            let what = if known.attention == Attention::Muted { "muted" } else { "acknowledged" };
            json!({ "what": what, "by": sanitise(&known.by), "why": sanitise(&known.why), "until": known.until })
        });
        Row {
            cells: vec![
                json!(finding.severity),
                json!(finding.signal),
                json!(finding.subject.kind),
                json!(finding.subject.id),
                json!(finding.subject.instance),
                json!(sanitise(&finding.summary)),
                json!(finding.since),
                json!(state),
                json!(finding.culprits),
                json!(finding.victims),
                json!(sanitise(&finding.advice)),
                json!(finding.statement.as_deref().map(super::clip::lines)),
                json!(finding.evidence),
                json!(known),
            ],
            estimated: Vec::new(),
        }
    };
    let rows = list.chosen(items).into_iter().filter_map(|at| items.get(at)).map(row).collect();
    Sheet { name: "findings", filter: String::new(), columns: columns.map(|key| (key, true)).to_vec(), rows }
}

/// The sessions of the trees, each with the depth at which it stands; the lines that only count are left out.
fn locks(trees: &LockTrees, sessions: &[Session]) -> Sheet {
    let columns =
        ["instance", "depth", "pid", "tenant", "how", "waits_seconds", "mode", "relation", "blocked_by", "query"];
    let row = |row: &LockRow| {
        let depth = match &row.line {
            LockLine::Waiter { guides, .. } => guides.chars().count().div_ceil(2).max(1),
            _ => 0,
        };
        let session = sessions.get(row.session()?)?;
        let blocking = session.blocking.as_ref();
        let cells = vec![
            json!(session.instance),
            json!(depth),
            json!(session.key.pid),
            json!(session.attribution.tenant()),
            json!(how(session)),
            json!(session.lock_wait()),
            json!(blocking.and_then(|blocking| blocking.mode.as_deref())),
            json!(blocking.and_then(|blocking| blocking.relation.as_ref())),
            json!(blocking.map(|blocking| blocking.by.clone())),
            json!(session.query),
        ];
        Some(Row { cells, estimated: Vec::new() })
    };
    let chosen = trees.list.chosen(&trees.rows);
    let rows = chosen.into_iter().filter_map(|at| trees.rows.get(at)).filter_map(row).collect();
    Sheet { name: "locks", filter: String::new(), columns: columns.map(|key| (key, true)).to_vec(), rows }
}

impl Model {
    fn worst(&self, worst: &Worst) -> Sheet {
        sheet::<TableColumn>("tables", &worst.table, &worst.rows, &self.moment())
    }

    /// The rows of the list that has the cursor, or those marked in it; `None` where there is no list.
    pub(super) fn sheet(&self) -> Option<Sheet> {
        let shown = &self.shown;
        Some(match self.pane()? {
            Pane::Findings => findings(&self.fleet.findings, &shown.findings),
            Pane::TenantFindings => findings(&self.page.findings, &shown.findings),
            Pane::Tenants => sheet::<TenantColumn>("tenants", &self.fleet.tenants, &shown.tenants, &()),
            Pane::Sessions => sheet::<SessionColumn>("sessions", &self.sessions, &shown.sessions, &self.blockers),
            Pane::TenantSessions => {
                sheet::<SessionColumn>("sessions", &self.page.sessions, &shown.sessions, &self.blockers)
            }
            Pane::Locks => locks(&self.locks, &shown.sessions),
            Pane::TenantLocks => locks(&self.page.locks, &shown.sessions),
            Pane::TenantStatements => {
                let held = &self.page.statements;
                sheet::<StatementColumn>("statements", &held.table, &held.rows, &())
            }
            Pane::Instances => sheet::<InstanceColumn>("instances", &self.instances, &shown.instances, &self.moment()),
            Pane::Backups => sheet::<BackupColumn>("backups", &self.backups.table, &self.backups.rows, &self.moment()),
            Pane::Logs => sheet::<LogColumn>("log", &self.logs.held.table, &self.logs.held.rows, &self.moment()),
            Pane::Operations => {
                let held = &self.works.list;
                sheet::<OperationColumn>("operations", &held.table, &held.rows, &self.moment())
            }
            Pane::TenantOperations => {
                let mut table = Table::by(OperationColumn::Need);
                table.list = self.page.operations.clone();
                sheet::<OperationColumn>("operations", &table, &self.works.list.rows, &self.moment())
            }
            Pane::Tables => self.worst(&self.tables),
            Pane::TenantTables => self.worst(&self.page.tables),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_formulas_are_words() {
        let written = |text: &str| field(&Json::from(text));
        assert_eq!(written("plain text"), "plain text");
        assert_eq!(written("a,b"), "\"a,b\"");
        assert_eq!(written("say \"no\""), "\"say \"\"no\"\"\"");
        assert_eq!(written("two\nlines"), "\"two\nlines\"");
        for evil in ["=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "  =1", "＝1"] {
            assert!(written(evil).starts_with("\"'"), "{evil}: {}", written(evil));
        }
        assert_eq!([field(&json!(-3)), field(&json!(0.5)), field(&Json::Null)], ["-3", "0.5", ""]);
        assert_eq!([number(336_000.0), number(12.5), number(f64::NAN)], [json!(336_000), json!(12.5), Json::Null]);
        assert_eq!(field(&json!(["a", "b"])), "\"a; b\"");
    }

    /// psql would take the statement's words for a user and a host.
    #[test]
    fn the_line_that_leads_to_a_database_stays_a_line() {
        let instance = crate::domain::InstanceName::new("shared");
        let finding = Finding {
            signal: crate::domain::Signal::AutovacuumDebt,
            severity: crate::domain::Severity::Warning,
            subject: crate::domain::Subject { kind: crate::domain::SubjectKind::Tenant, id: "acme".into(), instance },
            summary: String::new(),
            evidence: Vec::new(),
            advice: String::new(),
            statement: Some("\\connect \"db_acme\"\nVACUUM app.orders;".into()),
            since: Timestamp::UNIX_EPOCH,
            onset: None,
            culprits: Vec::new(),
            victims: Vec::new(),
            stale: false,
            over_for: None,
            acknowledged: None,
        };
        let mut list = List::default();
        list.refill(vec![0], std::slice::from_ref(&finding));
        let json = findings(&list, std::slice::from_ref(&finding)).written(Format::Json, "test", Timestamp::UNIX_EPOCH);
        let document: Json = serde_json::from_str(&json).unwrap();
        assert!(document.to_string().contains(r#""\\connect \"db_acme\"\nVACUUM app.orders;""#), "{json}");
    }
}
