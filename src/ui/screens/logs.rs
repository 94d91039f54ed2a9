//! Screen 9: an instance's log, the newest at the end; and the entry under the cursor in full.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::figures::unconfigured;
use crate::app::logs::{LogColumn, LogRow, NoLog, log_of};
use crate::app::{Span as Window, Viewport};
use crate::domain::Instance;
use crate::domain::foreign::sanitise;
use crate::domain::quantity::{count, duration};
use crate::ui::pen::{Edge, Pen, below, inner};
use crate::ui::widgets::table::{self, Heading, Look};
use crate::ui::widgets::text;

use LogColumn as Of;

const LOOKS: [Look<Of>; 7] = [
    Look::new(Of::Time, "time", OF_DAY, true, 0),
    Look::new(Of::Severity, "severity", 9, false, 1),
    Look::new(Of::Tenant, "tenant", 14, false, 2),
    Look::new(Of::Role, "role", 16, false, 4),
    Look::new(Of::Database, "db", 12, false, 6),
    Look::new(Of::Pid, "pid", 7, true, 5),
    Look::new(Of::Message, "message", 30, false, 0),
];

/// Cells of a time of day, with a sign for one that is not the entry's own; and of one with its day.
const OF_DAY: u16 = 10;
const WITH_DAY: u16 = 16;

/// Looks that long ago are told: it is looked into every few seconds.
const LATE: f64 = 15.0;

pub(in crate::ui) fn draw(pen: &mut Pen<'_>, area: Rect) -> Viewport {
    let lower = if area.height >= 16 { (area.height / 4).clamp(4, 10) } else { 0 };
    let upper = Rect { height: area.height - lower, ..area };
    let window = list(pen, upper);
    if lower > 0 {
        whole(pen, Rect { y: upper.bottom(), height: lower, ..area });
    }
    Viewport { list: Some(window), ..Viewport::default() }
}

fn list(pen: &mut Pen<'_>, area: Rect) -> Window {
    let (model, look) = (pen.model, pen.look);
    let logs = &model.logs;
    let table = &logs.held.table;
    let instance = model.logged();
    let of = logs.of.as_ref().map_or("—".to_owned(), |name| text::cut(name.as_str(), 44));
    let name = format!("LOG OF {of}");
    let remarks = vec![follows(pen), source(pen, instance)];
    let heading = Heading { name: &name, remarks, ..Heading::default() };
    let inside = table::heading(pen, area, table, heading);
    let mut looks = LOOKS;
    if let Some(first) = looks.first_mut().filter(|_| has_other_days(pen)) {
        first.width = WITH_DAY;
    }
    let looks = table::arranged(&looks, &table.columns);
    let columns = table::place(&looks, inside.width, Of::Message, u16::MAX, Some(table.sort));
    table::titles(pen, inside, &columns, Some((table.sort, table.descending)));
    let mut rows = below(inside, 1);
    let note = note(pen, instance);
    if let Some((words, style)) = note {
        let lines: Vec<Line<'_>> = text::wrap_in(&words, usize::from(rows.width), 4)
            .into_iter()
            .map(|words| Line::from(Span::styled(words, style)))
            .collect();
        let used = pen.block(rows, &lines);
        rows = below(rows, used);
    } else if table.list.rows.is_empty() {
        let words =
            if table.total > 0 { "no entry matches the filter: Esc clears it" } else { "nothing was written yet" };
        pen.put(rows.x, rows.y, rows.width, &Line::from(Span::styled(words, look.dim)));
    }
    table::rows(pen, rows, &columns, &table.list, &logs.held.rows, true, cell)
}

/// Whether some of it was not written today.
fn has_other_days(pen: &Pen<'_>) -> bool {
    let today = day(pen.model.moment());
    pen.model.logs.held.rows.first().is_some_and(|row| day(row.at) != today)
}

fn day(at: jiff::Timestamp) -> jiff::civil::Date {
    at.to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// When it was written: with its day where that is another one, and `~` where the entry does not say: then it is no earlier than the one
/// before it.
fn when(pen: &Pen<'_>, row: &LogRow) -> String {
    let format = if day(row.at) == day(pen.model.moment()) { "%H:%M:%SZ" } else { "%m-%d %H:%M:%SZ" };
    let mark = if row.entry.at.is_none() { "~" } else { "" };
    format!("{mark}{}", row.at.strftime(format))
}

/// Whether the newest is followed.
fn follows(pen: &Pen<'_>) -> Line<'static> {
    let (model, look) = (pen.model, pen.look);
    let logs = &model.logs;
    let by_time = logs.held.table.sort == Of::Time && logs.held.table.descending;
    let (words, style) = if model.paused.is_some() {
        (" ‖ paused ", look.warning)
    } else if logs.at.is_none() {
        (" ", look.dim)
    } else if logs.follows && by_time {
        (" ▶ following ", look.good)
    } else {
        (" ‖ stays here · G follows ", look.warning)
    };
    Line::from(Span::styled(words, style))
}

/// Where it comes from, how old the newest look is, and what was dropped.
fn source(pen: &Pen<'_>, instance: Option<&Instance>) -> Line<'static> {
    let (model, look) = (pen.model, pen.look);
    let from = match instance.map(log_of) {
        Some(Ok(true)) => "CloudWatch Logs",
        Some(Ok(false)) => "RDS log files",
        _ => return Line::default(),
    };
    let mut words = format!(" {from} ");
    let age = model.logs.at.map(|at| model.now.duration_since(at).as_secs_f64());
    let late = age.filter(|age| *age > LATE);
    if let Some(age) = late {
        words = format!(" {from}, {} ago ", duration(age));
    }
    if model.logs.dropped > 0 {
        words = format!("{words}· {} older dropped ", count(model.logs.dropped as f64));
    }
    Line::from(Span::styled(words, if late.is_some() { look.warning } else { look.dim }))
}

/// Why there is no log, or why it stands still.
fn note(pen: &Pen<'_>, instance: Option<&Instance>) -> Option<(String, Style)> {
    let look = pen.look;
    let Some(instance) = instance else {
        return Some(("no instance is known yet".to_owned(), look.dim));
    };
    match log_of(instance) {
        Err(NoLog::NotInAws) => {
            let words = format!("its log is read by way of AWS alone. {}", unconfigured(instance));
            return Some((words, look.dim));
        }
        Err(NoLog::NotDescribed(None)) => return Some(("RDS has not described it yet …".to_owned(), look.dim)),
        Err(NoLog::NotDescribed(Some(why))) => {
            return Some((format!("RDS does not describe it: {}", sanitise(&why)), look.warning));
        }
        Ok(_) => {}
    }
    match (&pen.model.logs.trouble, pen.model.logs.at) {
        (Some(trouble), _) => Some((format!("not read: {}", sanitise(trouble)), look.warning)),
        (None, None) => Some(("asking for the last ten minutes …".to_owned(), look.dim)),
        (None, Some(_)) => None,
    }
}

/// How bad an entry is.
fn style(pen: &Pen<'_>, row: &LogRow) -> Style {
    let look = pen.look;
    match row.severity() {
        Some("ERROR" | "FATAL" | "PANIC") => look.critical.remove_modifier(Modifier::BOLD),
        Some("WARNING") => look.warning.remove_modifier(Modifier::BOLD),
        Some("AUDIT") => look.second,
        Some("DETAIL" | "HINT" | "STATEMENT" | "CONTEXT") => look.dim,
        _ => look.text,
    }
}

fn cell(pen: &Pen<'_>, column: Of, row: &LogRow, width: usize) -> Line<'static> {
    let look = pen.look;
    let one = |words: &str, style| Line::from(Span::styled(text::cut(words, width), style));
    let missing = || Line::from(Span::styled("—", look.faint));
    match column {
        Of::Time => one(&when(pen, row), look.dim),
        Of::Severity => row.severity().map_or_else(missing, |words| one(words, style(pen, row))),
        Of::Tenant => row.tenant.as_ref().map_or_else(missing, |tenant| one(tenant.as_str(), look.strong)),
        Of::Role => row.entry.role.as_ref().map_or_else(missing, |role| one(&role.shown(), look.dim)),
        Of::Database => row.entry.database.as_ref().map_or_else(missing, |name| one(&name.shown(), look.dim)),
        Of::Pid => row.entry.pid.map_or_else(missing, |pid| one(&pid.to_string(), look.dim)),
        Of::Message => {
            let style = match row.severity() {
                Some("AUDIT") | None => look.text,
                _ => style(pen, row),
            };
            one(&row.message(), style)
        }
    }
}

/// The entry under the cursor in full, its own lines apart.
fn whole(pen: &mut Pen<'_>, area: Rect) {
    let look = pen.look;
    let row = pen.model.log_under_cursor();
    let title = row.map_or("ENTRY".to_owned(), |row| {
        let mark = if row.entry.at.is_none() { "~" } else { "" };
        let at = format!("{mark}{}", row.at.strftime("%Y-%m-%d %H:%M:%SZ"));
        let who = row.entry.role.as_ref().map(|role| format!(" · {role}")).unwrap_or_default();
        let pid = row.entry.pid.map(|pid| format!(" · pid {pid}")).unwrap_or_default();
        format!("{} {at}{who}{pid}", row.severity().unwrap_or("ENTRY"))
    });
    pen.rule(Rect { height: 1, ..area }, Edge::Middle, look.rule, &pen.title(&text::cut(&title, 76)), &[]);
    let inside = inner(below(area, 1));
    let Some(row) = row else { return };
    let room = usize::from(inside.width);
    let raw = match &row.entry.audit {
        Some(audit) => audit.statement.raw(),
        None => row.entry.message.raw(),
    };
    let lines: Vec<Line<'_>> = raw
        .lines()
        .take(usize::from(inside.height))
        .flat_map(|line| text::wrap(&sanitise(line), room))
        .map(|words| Line::from(Span::styled(words, look.text)))
        .collect();
    pen.block(inside, &lines);
}

#[cfg(test)]
mod tests {
    #[test]
    fn titles_are_names() {
        super::table::titles_are_names(&super::LOOKS);
    }
}
