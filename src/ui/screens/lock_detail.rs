//! What is under the cursor among the locks, in full: who holds the lock and what to do, who waits, what a tenant waits for.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::locks::{blocks, circle, finding, instance_of, stranger};
use super::session;
use super::sessions::{head, is_fresh};
use crate::app::locks::{LockKey, LockLine, LockRoot, LockRow, LockTrees, Waiting};
use crate::domain::quantity::{duration, plural};
use crate::domain::{Finding, Foreign, InstanceName, Session};
use crate::ui::pen::Pen;
use crate::ui::widgets::text;

/// What is under the cursor, in full: its title and its lines.
pub(super) fn chosen(
    pen: &Pen<'_>,
    trees: &LockTrees,
    width: usize,
    height: usize,
) -> (&'static str, Vec<Line<'static>>) {
    let look = pen.look;
    let Some(row) = trees.selected() else { return ("", Vec::new()) };
    let wrapped = |words: &str, style: Style| -> Vec<Line<'static>> {
        text::wrap(words, width).into_iter().map(|words| Line::from(Span::styled(words, style))).collect()
    };
    let session = |place: usize, most: usize| match pen.model.shown.sessions.get(place) {
        Some(session) => session::lines(pen, session, width, Some(most)),
        None => Vec::new(),
    };
    match &row.line {
        LockLine::Waiter { session: place, .. } => ("WAITS", session(*place, height)),
        LockLine::Tenant { waiting, .. } => {
            let members = members(pen, row, trees);
            ("WAIT", group(pen, waiting, &members, width))
        }
        LockLine::Root { root, waiting, .. } => {
            let mut lines = Vec::new();
            if let Some(found) = finding(pen, row, root) {
                lines.extend(next_step(pen, found, width, height));
            }
            match root {
                LockRoot::Session(place) => {
                    let rest = height.saturating_sub(lines.len());
                    lines.extend(session(*place, rest));
                    if !pen.model.shown.sessions.get(*place).is_some_and(|session| is_fresh(pen, session)) {
                        lines.iter_mut().flat_map(|line| &mut line.spans).for_each(|span| span.style = look.faint);
                    }
                    return ("HOLDS THE LOCK", lines);
                }
                LockRoot::Prepared => lines.extend(prepared(pen, row, width)),
                LockRoot::Other(pid) => {
                    let (what, more) = stranger(pen, row, *pid);
                    lines.extend(wrapped(&format!("{what} {}{more}", blocks(waiting)), look.text));
                }
                LockRoot::Unseen => lines.extend(wrapped(
                    "The server named nobody: mostly the lock was granted while it answered. What still stands here in the \
                     next round waits for a process that our login cannot see.",
                    look.text,
                )),
                LockRoot::Cycle(pids) => lines.extend(wrapped(
                    &format!(
                        "{}: PostgreSQL ends one of them after deadlock_timeout (1s unless it is set). What stays is no \
                         deadlock that it can see; then cancel one of them.",
                        circle(pids)
                    ),
                    look.text,
                )),
            }
            ("HOLDS THE LOCK", lines)
        }
    }
}

/// With little room the words alone: the statement is the finding's, on the first screen.
fn next_step(pen: &Pen<'_>, found: &Finding, width: usize, height: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let mut lines = Vec::new();
    for (row, words) in
        text::wrap_in(&found.advice, width.saturating_sub(12), if height < 12 { 1 } else { 2 }).into_iter().enumerate()
    {
        let lead = if row == 0 { "next step" } else { "" };
        lines.push(Line::from(vec![Span::styled(format!("{lead:<12}"), look.faint), Span::styled(words, look.text)]));
    }
    let statement = found.statement.as_deref().filter(|_| height >= 12).unwrap_or_default();
    for (row, words) in text::wrap_statement(statement, width.saturating_sub(14)).into_iter().enumerate() {
        if !words.is_empty() {
            let lead = if row == 0 { "            $ " } else { "              " };
            lines.push(Line::from(vec![Span::styled(lead, look.faint), Span::styled(words, look.accent)]));
        }
    }
    lines
}

/// The prepared transactions that it may be.
fn prepared(pen: &Pen<'_>, row: &LockRow, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let Some(instance) = instance_of(pen, row) else { return Vec::new() };
    let moment = pen.model.moment();
    let known = instance.horizon.fresh(moment).map_or(&[][..], |horizon| &horizon.prepared);
    if known.is_empty() {
        let why = instance.horizon.missing(moment).unwrap_or_else(|| "none is listed any more".to_owned());
        let words =
            format!("which one is not known ({why}): SELECT gid, prepared, owner, database FROM pg_prepared_xacts;");
        return text::wrap(&words, width).into_iter().map(|words| Line::from(Span::styled(words, look.text))).collect();
    }
    let told = |prepared: &crate::domain::facts::Prepared| {
        let age = duration(moment.duration_since(prepared.prepared).as_secs_f64().max(0.0));
        let schemas: Vec<String> = prepared.schemas.iter().take(3).map(ToString::to_string).collect();
        let locks = if schemas.is_empty() { String::new() } else { format!(", locks in {}", schemas.join(", ")) };
        format!("{} of {} in {}, prepared {age} ago{locks}", prepared.gid, prepared.owner, prepared.database)
    };
    known.iter().map(|prepared| Line::from(Span::styled(text::cut(&told(prepared), width), look.text))).collect()
}

/// The sessions of the tenant under the cursor, by their tree.
fn members<'a>(pen: &Pen<'a>, row: &LockRow, trees: &LockTrees) -> Vec<&'a Session> {
    let (LockKey::Tenant(instance, _, tenant), true) = (&row.key, !trees.rows.is_empty()) else { return Vec::new() };
    let here = |session: &&Session| of(session, instance) && session.attribution.tenant() == tenant.as_ref();
    pen.model.shown.sessions.iter().filter(here).collect()
}

fn of(session: &Session, instance: &InstanceName) -> bool {
    session.instance == *instance && session.blocking.is_some()
}

/// What a tenant's sessions wait for, and what they were about to do, the most frequent first.
fn group(pen: &Pen<'_>, waiting: &Waiting, members: &[&Session], width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let mut wants: Vec<(String, usize)> = Vec::new();
    let mut runs: Vec<(String, usize)> = Vec::new();
    let count = |list: &mut Vec<(String, usize)>, words: String| match list.iter_mut().find(|(said, _)| *said == words)
    {
        Some((_, count)) => *count += 1,
        None => list.push((words, 1)),
    };
    for session in members {
        if let Some(blocking) = &session.blocking {
            let on = blocking.relation.as_ref().map(|relation| format!(" on {relation}")).unwrap_or_default();
            count(&mut wants, format!("{}{on}", blocking.mode.as_deref().unwrap_or("a lock")));
        }
        if let Some(query) = &session.query {
            count(&mut runs, Foreign::new(head(query.raw(), width * 4)).shown().into_owned());
        }
    }
    let oldest = waiting.oldest.map(duration).unwrap_or_default();
    let mut lines = vec![Line::from(Span::styled(
        format!("{} wait, the oldest for {oldest}; ⏎ lists them", plural(waiting.sessions, "session")),
        look.strong,
    ))];
    for (name, mut list, most) in [("wants", wants, 3), ("statement", runs, 5)] {
        list.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(&right.0)));
        for (row, (words, count)) in list.into_iter().take(most).enumerate() {
            let lead = if row == 0 { name } else { "" };
            let words = text::cut(&words, width.saturating_sub(18));
            lines.push(Line::from(vec![
                Span::styled(format!("{lead:<12}"), look.faint),
                Span::styled(format!("{count:>4}× "), look.second),
                Span::styled(words, look.text),
            ]));
        }
    }
    lines
}
