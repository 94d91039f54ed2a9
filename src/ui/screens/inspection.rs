//! What was asked about the session on its page: its statement in full, its plan, its locks.

use std::fmt::Write as _;

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::domain::foreign::sanitise;
use crate::domain::inspection::{Answer, Lock, Plan, SessionLocks};
use crate::domain::quantity::duration;
use crate::domain::{Foreign, Session};
use crate::ui::pen::Pen;
use crate::ui::widgets::text;

/// Words of a statement that are told from names. Not all that are reserved: those by which a reader finds the way.
const KEYWORDS: [&str; 48] = [
    "SELECT",
    "FROM",
    "WHERE",
    "JOIN",
    "LEFT",
    "RIGHT",
    "INNER",
    "OUTER",
    "FULL",
    "CROSS",
    "LATERAL",
    "ON",
    "USING",
    "AND",
    "OR",
    "NOT",
    "IN",
    "EXISTS",
    "GROUP",
    "ORDER",
    "BY",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "UNION",
    "ALL",
    "DISTINCT",
    "WITH",
    "AS",
    "INSERT",
    "INTO",
    "VALUES",
    "UPDATE",
    "SET",
    "DELETE",
    "RETURNING",
    "MERGE",
    "LOCK",
    "TABLE",
    "BEGIN",
    "COMMIT",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "FOR",
    "IS",
];

/// The statement in full, line by line as it was written.
pub(super) fn statement(pen: &Pen<'_>, session: &Session, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let title = if session.state.is_active() { "RUNS" } else { "LAST RAN" };
    let mut lines = vec![Line::from(Span::styled(title, look.strong))];
    let Some(query) = &session.query else {
        let words = "not shown to our login: it lacks pg_read_all_stats";
        lines.push(Line::from(Span::styled(words, look.dim)));
        return lines;
    };
    let mut quoted = None;
    for written in query.raw().lines() {
        let indent = written.chars().take_while(|char| char.is_whitespace()).count().min(width / 4);
        for words in text::wrap(&sanitise(written.trim_start()), width.saturating_sub(indent + 2)) {
            let mut line = Line::from(Span::raw(" ".repeat(indent + 2)));
            line.spans.extend(coloured(pen, &words, &mut quoted));
            lines.push(line);
        }
    }
    lines
}

/// Keywords told from names, constants from both; `quoted`: the quote that is open from the line before.
fn coloured(pen: &Pen<'_>, words: &str, quoted: &mut Option<char>) -> Vec<Span<'static>> {
    let look = pen.look;
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut part = String::new();
    let style = |part: &str, quoted: Option<char>| -> Style {
        match quoted {
            Some('\'') => look.good,
            None if KEYWORDS.contains(&part.to_ascii_uppercase().as_str()) => look.accent,
            _ => look.text,
        }
    };
    let mut flush = |part: &mut String, quoted: Option<char>| {
        if !part.is_empty() {
            let style = style(part, quoted);
            spans.push(Span::styled(std::mem::take(part), style));
        }
    };
    for char in words.chars() {
        if *quoted == Some(char) {
            part.push(char);
            flush(&mut part, *quoted);
            *quoted = None;
        } else if quoted.is_none() && matches!(char, '\'' | '"') {
            flush(&mut part, None);
            part.push(char);
            *quoted = Some(char);
        } else if quoted.is_some() || char.is_alphanumeric() || char == '_' {
            part.push(char);
        } else {
            flush(&mut part, None);
            part.push(char);
            flush(&mut part, None);
        }
    }
    flush(&mut part, *quoted);
    spans
}

/// How the server would carry out the statement; nothing before it was asked.
pub(super) fn plan(pen: &Pen<'_>, session: &Session, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let Some(answer) = asked(pen, session).map(|inspected| &inspected.plan) else { return Vec::new() };
    let mut lines = vec![Line::default(), Line::from(Span::styled("PLAN", look.strong))];
    let say = |lines: &mut Vec<Line<'static>>, words: &str, style: Style| {
        let wrapped = text::wrap(words, width.saturating_sub(2)).into_iter();
        lines.extend(wrapped.map(|words| Line::from(Span::styled(format!("  {words}"), style))));
    };
    match answer {
        Answer::Unasked => return Vec::new(),
        Answer::Asked => say(&mut lines, "asking …", look.dim),
        Answer::Failed(why) => say(&mut lines, &format!("— {}", sanitise(why)), look.text),
        Answer::Told(plan) => {
            say(&mut lines, &rests_on(pen, plan), look.dim);
            for line in &plan.lines {
                let indent = usize::from(line.indent).min(width / 2);
                let room = width.saturating_sub(indent + 2);
                for (row, words) in text::wrap(&line.text.shown(), room).into_iter().enumerate() {
                    let lead = " ".repeat(indent + if row == 0 { 2 } else { 4 });
                    lines.push(Line::from(Span::styled(format!("{lead}{words}"), look.text)));
                }
            }
        }
    }
    lines
}

/// What a plan rests on: what may be different for the session itself.
fn rests_on(pen: &Pen<'_>, plan: &Plan) -> String {
    let age = duration(pen.model.now.duration_since(plan.at).as_secs_f64().max(0.0).floor());
    let mut words = format!("EXPLAIN by our own login, {age} ago; nothing was run");
    if plan.generic {
        words.push_str("; for any values: the session's own are not known");
    }
    match &plan.home {
        Some(home) => {
            let sure = if home.claimed { ", which it only claims to be" } else { "" };
            let _ =
                write!(words, "; names looked up in {}, the schema of {}{sure}", sanitise(&home.schema), home.tenant);
        }
        None => words.push_str("; names looked up as our own login would"),
    }
    words
}

/// The locks that it holds and waits for.
pub(super) fn locks(pen: &Pen<'_>, session: &Session, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let Some(answer) = asked(pen, session).map(|inspected| &inspected.locks) else { return Vec::new() };
    let title = |more: String| {
        Line::from(vec![Span::styled("LOCKS HELD AND AWAITED", look.strong), Span::styled(more, look.dim)])
    };
    let one = |words: String, style| {
        let wrapped = text::wrap(&words, width.saturating_sub(2)).into_iter();
        wrapped.map(|words| Line::from(Span::styled(format!("  {words}"), style))).collect::<Vec<_>>()
    };
    let mut lines = vec![Line::default()];
    match answer {
        Answer::Unasked => return Vec::new(),
        Answer::Asked => {
            lines.push(title(String::new()));
            lines.extend(one("asking …".to_owned(), look.dim));
        }
        Answer::Failed(why) => {
            lines.push(title(String::new()));
            lines.extend(one(format!("— {}", sanitise(why)), look.warning));
        }
        Answer::Told(told) => {
            let age = duration(pen.model.now.duration_since(told.at).as_secs_f64().max(0.0).floor());
            lines.push(title(format!("  {} · {age} ago, r asks again", count(told))));
            lines.extend(told.locks.iter().map(|lock| line(pen, lock, told, width)));
        }
    }
    lines
}

fn count(told: &SessionLocks) -> String {
    let shown = told.locks.len();
    if shown < told.of as usize { format!("{shown} of {}", told.of) } else { shown.to_string() }
}

fn line(pen: &Pen<'_>, held: &Lock, told: &SessionLocks, width: usize) -> Line<'static> {
    let look = pen.look;
    let wait = held.since.map(|since| duration(told.at.duration_since(since).as_secs_f64().max(0.0)));
    let (state, style) = if held.granted {
        ("held".to_owned(), look.text)
    } else {
        (format!("awaited{}", wait.map(|wait| format!(" {wait}")).unwrap_or_default()), look.critical)
    };
    let mode = Foreign::from(&*held.mode);
    Line::from(vec![
        Span::styled(format!("  {}", text::fit(&state, 16)), style),
        Span::styled(text::fit(&mode.shown(), 26), if strong(held) { look.warning } else { look.text }),
        Span::styled(text::fit(&sanitise(&held.kind), 14), look.dim),
        Span::styled(text::cut(&held.on.shown(), width.saturating_sub(58)), look.text),
    ])
}

/// Modes that keep others from writing, or from anything.
fn strong(held: &Lock) -> bool {
    // On its own transaction id every session that wrote holds an exclusive lock: that says nothing.
    &*held.kind != "transactionid"
        && matches!(&*held.mode, "AccessExclusiveLock" | "ExclusiveLock" | "ShareRowExclusiveLock" | "ShareLock")
}

/// What was asked about this very session.
fn asked<'a>(pen: &Pen<'a>, session: &Session) -> Option<&'a crate::app::inspect::Inspected> {
    use crate::app::list::Keyed as _;
    pen.model.inspected.as_ref().filter(|inspected| session.is(&inspected.of))
}
