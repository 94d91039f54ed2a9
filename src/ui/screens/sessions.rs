//! Screen 3: every session with its tenant and how that was found; and the table that the tenant's page shows as well.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::fresh::Fresh;
use super::session;
use crate::app::columns::{SessionColumn, how, is_claimed, is_stuck};
use crate::app::table::Table;
use crate::app::{Span as Window, Viewport};
use crate::domain::{Attribution, Session, SessionState, quantity};
use crate::ui::pen::{Edge, Pen, below, inner};
use crate::ui::widgets::table::{self, Heading, Look};
use crate::ui::widgets::text;

use SessionColumn as Of;

const LOOKS: [Look<Of>; 16] = [
    Look::new(Of::Trouble, "", 1, false, 0),
    Look::new(Of::Pid, "pid", 7, true, 0),
    Look::new(Of::Instance, "instance", 10, false, 12),
    Look::new(Of::Tenant, "tenant", 13, false, 0),
    Look::new(Of::How, "how", 11, false, 7),
    Look::new(Of::Role, "role", 16, false, 8),
    Look::new(Of::Database, "db", 12, false, 14),
    Look::new(Of::Application, "application", 14, false, 10),
    Look::new(Of::Client, "client", 18, false, 15),
    Look::new(Of::State, "state", 8, false, 1),
    Look::new(Of::For, "for", 7, true, 5),
    Look::new(Of::Wait, "wait", 16, false, 4),
    Look::new(Of::Transaction, "tx", 7, true, 1),
    Look::new(Of::Statement, "query", 7, true, 3),
    Look::new(Of::BlockedBy, "locks", 10, false, 1),
    Look::new(Of::Query, "statement", 16, false, 1),
];

pub(in crate::ui) fn draw(pen: &mut Pen<'_>, area: Rect) -> Viewport {
    let model = pen.model;
    let table = &model.sessions;
    let detail = if area.height >= 16 { (area.height * 2 / 5).clamp(8, 16) } else { 0 };
    let upper = Rect { height: area.height - detail, ..area };
    let window = draw_table(pen, upper, table, "SESSIONS", true);
    if detail > 0 {
        let lower = below(area, upper.height);
        let title = pen.title("SESSION");
        pen.rule(Rect { height: 1, ..lower }, Edge::Middle, pen.look.rule, &title, &[]);
        let chosen = table.list.selected().and_then(|at| model.shown.sessions.get(at));
        if let Some(chosen) = chosen {
            let inside = inner(below(lower, 1));
            let lines = session::lines(pen, chosen, usize::from(inside.width), Some(usize::from(inside.height)));
            pen.block(inside, &lines);
        }
    }
    Viewport { list: Some(window), ..Viewport::default() }
}

/// The table with its rule; `everywhere`: of all tenants.
pub(super) fn draw_table(pen: &mut Pen<'_>, area: Rect, table: &Table<Of>, title: &str, everywhere: bool) -> Window {
    let (model, look) = (pen.model, pen.look);
    let dark = pen.dark();
    // None at all, and a server that is not reached: how many there are is not known.
    let unknown = table.total == 0 && !dark.is_empty();
    let remarks = pen.as_known(None).filter(|_| !unknown).into_iter().collect();
    let inside =
        table::heading(pen, area, table, Heading { name: title, uncounted: unknown, remarks, ..Heading::default() });
    let looks: Vec<Look<Of>> = LOOKS
        .into_iter()
        .filter(|look| match look.column {
            Of::Instance => everywhere && model.shown.instances.len() > 1,
            Of::Tenant => everywhere,
            _ => true,
        })
        .map(|look| match look.column {
            Of::Tenant if inside.width >= 112 => Look { width: 16, ..look },
            Of::Wait | Of::Query if inside.width >= 128 => Look { width: look.width + 6, ..look },
            _ => look,
        })
        .collect();
    let looks = table::arranged(&looks, &table.columns);
    let columns = table::place(&looks, inside.width, Of::Query, u16::MAX, Some(table.sort));
    table::titles(pen, inside, &columns, Some((table.sort, table.descending)));
    let rows = below(inside, 1);
    if table.list.rows.is_empty() {
        let unknown_words = format!("sessions unknown: {dark} is not reached");
        let words = match (table.total, &model.shown.instances[..]) {
            (_, []) => "",
            _ if unknown => &unknown_words,
            (0, _) => "no session",
            _ => "no session matches the filter: Esc clears it",
        };
        pen.put(rows.x, rows.y, rows.width, &Line::from(Span::styled(words, look.dim)));
    }
    table::rows(pen, rows, &columns, &table.list, &model.shown.sessions, true, cell)
}

/// The style of a state.
pub(super) fn state_style(pen: &Pen<'_>, session: &Session) -> Style {
    match session.state {
        SessionState::Active | SessionState::Fastpath if session.blocking.is_some() => {
            pen.look.critical.remove_modifier(Modifier::BOLD)
        }
        SessionState::Active | SessionState::Fastpath => pen.look.good,
        SessionState::IdleInTransaction | SessionState::IdleInTransactionAborted if !is_stuck(session) => pen.look.text,
        SessionState::IdleInTransaction | SessionState::IdleInTransactionAborted => {
            pen.look.warning.remove_modifier(Modifier::BOLD)
        }
        SessionState::Idle | SessionState::Disabled | SessionState::Unknown => pen.look.faint,
    }
}

fn cell(pen: &Pen<'_>, column: Of, session: &Session, width: usize) -> Line<'static> {
    let mut line = told(pen, column, session, width);
    if !is_fresh(pen, session) {
        line.spans.iter_mut().for_each(|span| span.style = pen.look.faint);
    }
    line
}

/// Whether what is said of a session is still true.
pub(super) fn is_fresh(pen: &Pen<'_>, session: &Session) -> bool {
    pen.model.shown.instance(&session.instance).is_some_and(|instance| Fresh::on(pen, instance).activity)
}

fn told(pen: &Pen<'_>, column: Of, session: &Session, width: usize) -> Line<'static> {
    let look = pen.look;
    let fresh = is_fresh(pen, session);
    let idle = session.state == SessionState::Idle;
    let style = if !fresh || idle { look.faint } else { look.text };
    let missing = Span::styled("—", look.faint);
    let words = |text: &str, style: Style| {
        if text.is_empty() { Span::styled("—", look.faint) } else { Span::styled(text::cut(text, width), style) }
    };
    let age = |age: Option<f64>| {
        age.map_or(missing.clone(), |age| Span::styled(text::cut(&quantity::duration(age), width), style))
    };
    let blocks = pen.model.blockers.blocks(session);
    Line::from(match column {
        Of::Trouble => {
            if blocks > 0 && session.blocking.is_none() {
                Span::styled("✖", look.critical)
            } else if session.blocking.is_some() {
                Span::styled("◆", look.second)
            } else if is_stuck(session) {
                Span::styled("▲", look.warning)
            } else {
                Span::raw(" ")
            }
        }
        Of::Pid => Span::styled(session.key.pid.to_string(), style),
        Of::Instance => words(&text::end(session.instance.as_str(), width), look.dim),
        Of::Tenant => match &session.attribution {
            Attribution::Tenant { tenant, .. } if is_claimed(session) => {
                Span::styled(format!("{}?", text::cut(tenant.as_str(), width.saturating_sub(1))), look.dim)
            }
            Attribution::Tenant { tenant, .. } => {
                words(tenant.as_str(), if fresh && !idle { look.strong } else { style })
            }
            Attribution::Conflicting => Span::styled("conflict", look.warning),
            Attribution::None => missing,
        },
        Of::How => words(how(session), look.dim),
        Of::Role => words(&session.role.shown(), look.dim),
        Of::Database => words(&session.database.shown(), look.dim),
        Of::Application => words(&session.application.shown(), look.dim),
        Of::Client => words(session.client.as_deref().unwrap_or_default(), look.dim),
        Of::State => Span::styled(session.state.label(), if fresh { state_style(pen, session) } else { look.faint }),
        Of::Wait => match &session.wait {
            Some(wait) if !idle => {
                let waits = wait.is_lock() || wait.is_resource();
                words(
                    &format!("{}:{}", wait.kind, wait.event),
                    if waits && fresh { look.warning.remove_modifier(Modifier::BOLD) } else { look.dim },
                )
            }
            _ => missing,
        },
        Of::For => age(session.state_age()),
        Of::Transaction => age(session.transaction_age()),
        Of::Statement => age(session.query_age()),
        Of::BlockedBy => match session.blocking.as_ref().map(|blocking| &blocking.by[..]) {
            None if blocks > 0 => Span::styled(format!("blocks {blocks}"), look.critical),
            None | Some([]) => Span::raw(""),
            Some([one]) => Span::styled(format!("← {one}"), look.second),
            Some([one, rest @ ..]) => Span::styled(text::cut(&format!("← {one}+{}", rest.len()), width), look.second),
        },
        Of::Blocks => Span::raw(""),
        Of::Query => match &session.query {
            // Only what can be seen is made safe: queries are long and rows are many.
            Some(query) => words(&crate::domain::Foreign::new(head(query.raw(), width * 8)).shown(), style),
            None => Span::styled("not shown to our login", look.faint),
        },
    })
}

/// The first bytes of a text, cut at a character.
pub(super) fn head(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn titles_are_names() {
        super::table::titles_are_names(&super::LOOKS);
    }
}
