//! One session in full: whose, since when, what it waits for, who blocks it, whom it blocks, its query.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::inspection;
use super::sessions::{is_fresh, state_style};
use crate::app::columns::is_claimed;
use crate::app::{Span as Window, Target, Viewport};
use crate::domain::{Attribution, Session, quantity};
use crate::ui::pen::{Edge, Pen, below, inner};
use crate::ui::widgets::{table, text};

pub(in crate::ui) fn draw(pen: &mut Pen<'_>, area: Rect) -> Viewport {
    let (model, look) = (pen.model, pen.look);
    let Some(kept) = &model.session else { return Viewport::default() };
    let title = pen.title(&format!("SESSION {} on {}", kept.value.key.pid, kept.value.instance));
    let gone = Line::from(Span::styled(" gone: as it was last seen ", look.warning));
    pen.rule(
        Rect { height: 1, ..area },
        Edge::Middle,
        look.rule,
        &title,
        if kept.gone { std::slice::from_ref(&gone) } else { &[] },
    );
    let inside = inner(below(area, 1));
    let width = usize::from(inside.width);
    let mut lines = lines(pen, &kept.value, width, None);
    lines.extend(inspection::plan(pen, &kept.value, width));
    lines.extend(inspection::locks(pen, &kept.value, width));
    scrolled(pen, inside, &lines)
}

/// Draws the part of a text that is scrolled to.
pub(super) fn scrolled(pen: &mut Pen<'_>, area: Rect, lines: &[Line<'_>]) -> Viewport {
    let page = usize::from(area.height);
    let top = pen.model.scroll.top.min(lines.len().saturating_sub(page));
    pen.block(area, lines.get(top..).unwrap_or_default());
    table::thumb(pen, area, top, lines.len());
    pen.spot(area, Target::Text);
    Viewport { text: Some(Window { top, page }), lines: lines.len(), ..Viewport::default() }
}

/// Everything about a session; with `most`, in so many lines, the query cut.
pub(super) fn lines(pen: &Pen<'_>, session: &Session, width: usize, most: Option<usize>) -> Vec<Line<'static>> {
    let mut lines = told(pen, session, width, most);
    if !is_fresh(pen, session) {
        for span in lines.iter_mut().flat_map(|line| &mut line.spans) {
            span.style = pen.look.faint;
        }
    }
    lines
}

fn told(pen: &Pen<'_>, session: &Session, width: usize, most: Option<usize>) -> Vec<Line<'static>> {
    let look = pen.look;
    let field = |name: &str, value: String, style: Style| {
        vec![Span::styled(format!("{name:<12}"), look.faint), Span::styled(value, style)]
    };
    let ago = |age: Option<f64>| age.map_or("—".to_owned(), quantity::duration);
    let mut lines = Vec::new();
    let whose = match &session.attribution {
        Attribution::Tenant { tenant, reason } if is_claimed(session) => {
            (format!("{tenant}? claimed by its {}, which anybody can set", reason.label()), look.warning)
        }
        Attribution::Tenant { tenant, reason } => (format!("{tenant}, known by its {}", reason.label()), look.strong),
        Attribution::Conflicting => ("conflicting evidence: nobody is blamed".to_owned(), look.warning),
        Attribution::None => ("no evidence".to_owned(), look.dim),
    };
    let wait = session.wait.as_ref().map_or("—".to_owned(), |wait| format!("{}:{}", wait.kind, wait.event));
    let state = format!("{} for {}", session.state.label(), ago(session.state_age()));
    let known = |text: String| if text.is_empty() { "—".to_owned() } else { text };
    let mut first = vec![
        field("tenant", whose.0, whose.1),
        field("state", state, state_style(pen, session)),
        field("transaction", ago(session.transaction_age()), look.text),
        field("statement", ago(session.query_age()), look.text),
    ];
    let mut rest = vec![
        field("login", format!("{} on {}", session.role, session.database), look.text),
        field("application", known(session.application.to_string()), look.text),
        field("client", session.client.as_deref().unwrap_or("—").to_owned(), look.text),
        field("wait", wait, look.text),
        field("pid", session.key.pid.to_string(), look.text),
        field("started", format!("{:.0}", session.key.started), look.text),
    ];
    if session.workers > 0 {
        rest.push(field("workers", session.workers.to_string(), look.text));
    }
    // In little room the locks and the query come before where it came from.
    let scarce = most.is_some_and(|most| most < 12) && width < 90;
    if scarce {
        first.truncate(2);
    } else {
        first.append(&mut rest);
    }
    pairs(&mut lines, &first, width);
    lines.extend(locks(pen, session, width));
    if most.is_none() {
        lines.push(Line::default());
        lines.extend(inspection::statement(pen, session, width));
        return lines;
    }
    let words = session
        .query
        .as_ref()
        .map_or("not shown to our login: it lacks pg_read_all_stats".to_owned(), ToString::to_string);
    let title = if session.state.is_active() { "running" } else { "last ran" };
    let room = most.map_or(usize::MAX, |most| most.saturating_sub(lines.len()).max(1));
    let room = if scarce { room.min(2) } else { room };
    for (row, words) in text::wrap_in(&words, width.saturating_sub(12), room).into_iter().enumerate() {
        let lead = if row == 0 { title } else { "" };
        lines.push(Line::from(vec![Span::styled(format!("{lead:<12}"), look.faint), Span::styled(words, look.text)]));
    }
    pairs(&mut lines, &rest, width);
    lines
}

/// Names and values, two beside each other where there is room.
fn pairs(lines: &mut Vec<Line<'static>>, fields: &[Vec<Span<'static>>], width: usize) {
    let column = if width >= 90 { width / 2 } else { width };
    for pair in fields.chunks(if width >= 90 { 2 } else { 1 }) {
        let mut line = Line::default();
        for (at, spans) in pair.iter().enumerate() {
            let room = column.saturating_sub(14);
            let [name, value] = &spans[..] else { continue };
            line.push_span(name.clone());
            let shown =
                if at + 1 < pair.len() { text::fit(&value.content, room) } else { text::cut(&value.content, room) };
            line.push_span(Span::styled(shown, value.style));
            line.push_span(Span::raw("  "));
        }
        lines.push(line);
    }
}

/// Who blocks it, whom it blocks, what it touches.
fn locks(pen: &Pen<'_>, session: &Session, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let sessions = &pen.model.shown.sessions;
    let named = |pid: i32| {
        let other = sessions.iter().find(|other| other.key.pid == pid && other.instance == session.instance);
        match other.map(|other| (other, other.attribution.tenant())) {
            Some((other, Some(tenant))) => {
                let mark = if is_claimed(other) { "?" } else { "" };
                format!("{pid} ({tenant}{mark}, {})", other.state.label())
            }
            Some((other, None)) => format!("{pid} ({}, {})", other.role, other.state.label()),
            None => pid.to_string(),
        }
    };
    let listed = |pids: &[i32]| {
        let mut words: Vec<String> = pids.iter().take(6).map(|pid| named(*pid)).collect();
        if pids.len() > 6 {
            words.push(format!("+{} more", pids.len() - 6));
        }
        words.join(", ")
    };
    let mut said: Vec<(&str, String, Style)> = Vec::new();
    if let Some(blocking) = &session.blocking {
        let mode = blocking.mode.as_deref().map(|mode| format!(" for {mode}")).unwrap_or_default();
        let on = blocking.relation.as_ref().map(|relation| format!(" on {relation}")).unwrap_or_default();
        let since = session.lock_wait().map(|age| format!(", for {}", quantity::duration(age))).unwrap_or_default();
        let by = if blocking.by.is_empty() { "somebody we cannot see".to_owned() } else { listed(&blocking.by) };
        said.push(("blocked by", format!("{by}{mode}{on}{since}"), look.critical));
    }
    if pen.model.blockers.blocks(session) > 0 {
        let blocked: Vec<i32> = sessions
            .iter()
            .filter(|other| other.instance == session.instance)
            .filter(|other| other.blocking.as_ref().is_some_and(|blocking| blocking.by.contains(&session.key.pid)))
            .map(|other| other.key.pid)
            .collect();
        said.push(("blocks", listed(&blocked), look.critical));
    }
    if !session.touched.is_empty() {
        let schemas: Vec<String> = session
            .touched
            .iter()
            .take(6)
            .map(|schema| crate::domain::foreign::sanitise(schema).into_owned())
            .collect();
        said.push(("locks in", schemas.join(", "), look.dim));
    }
    let mut lines = Vec::new();
    for (name, words, style) in said {
        for (row, words) in text::wrap_in(&words, width.saturating_sub(12), 2).into_iter().enumerate() {
            let lead = if row == 0 { name } else { "" };
            lines.push(Line::from(vec![Span::styled(format!("{lead:<12}"), look.faint), Span::styled(words, style)]));
        }
    }
    lines
}
