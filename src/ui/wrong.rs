//! WHAT IS WRONG: the answer in words, with culprit, victims and the next step; and what could not be judged.

use std::collections::BTreeMap;

use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::calm;
use super::pen::{Edge, Pen, inner};
use super::theme::glyph;
use super::widgets::{table, text};
use crate::app::{FleetFocus, Pane, Span as Window, Target, along};
use crate::domain::snapshot::Reach;
use crate::domain::{Attention, Finding, Severity, Signal, Snapshot, TenantId, quantity};

/// Cells before the words of a finding.
const INDENT: usize = 8;
/// Cells for how long it has been true.
const AGE: usize = 9;

/// How the cursor stands to the panel's findings.
struct Shown {
    lines: Vec<Line<'static>>,
    cursor: Option<(usize, usize)>,
    window: Window,
    /// Rows of the list, and the lines that tell of them.
    places: Vec<(usize, usize, usize)>,
}

/// Draws the panel with at most so many rows below its title; says how many rows it took and which findings it shows.
pub(super) fn draw(pen: &mut Pen<'_>, area: Rect, budget: u16) -> (u16, Window) {
    let (model, look) = (pen.model, pen.look);
    let snapshot = &model.shown;
    let focused = model.fleet.focus == FleetFocus::Findings;
    // What somebody knows of is counted apart: the first numbers are what is still to be looked at.
    let open = |finding: &&Finding| finding.acknowledged.is_none();
    let count = |severity| snapshot.findings.iter().filter(open).filter(|finding| finding.severity == severity).count();
    let mut counts: Vec<Line<'_>> = [Severity::Critical, Severity::Warning, Severity::Info]
        .into_iter()
        .filter(|severity| count(*severity) > 0)
        .map(|severity| {
            Line::from(Span::styled(format!(" {} {} ", glyph(severity), count(severity)), look.severity(severity)))
        })
        .collect();
    let muted = model.muted();
    let known = snapshot.findings.iter().filter(|finding| finding.acknowledged.is_some()).count() - muted;
    let said = |count: usize, word: &str| Line::from(Span::styled(format!(" {count} {word} "), look.dim));
    counts.extend((known > 0).then(|| said(known, "acknowledged")));
    let waits = waits(snapshot).len();
    counts.extend((waits > 0).then(|| said(waits, "not known yet")));
    counts.extend((muted > 0).then(|| said(muted, if model.unmuted { "muted, shown" } else { "muted" })));
    let mut title = if focused {
        Line::from(Span::styled(" WHAT IS WRONG ", look.accent.add_modifier(Modifier::BOLD)))
    } else {
        pen.title("WHAT IS WRONG")
    };
    title.spans.extend(pen.marked(Some(Pane::Findings)));
    pen.rule(Rect { height: 1, ..area }, Edge::Middle, look.rule, &title, &counts);
    let inside = inner(Rect { y: area.y + 1, height: budget, ..area });
    let width = usize::from(inside.width);
    let shown = lines(pen, width, usize::from(budget), focused);
    let used = pen.block(inside, &shown.lines);
    for &(index, from, to) in &shown.places {
        let (from, to) = (from.min(usize::from(used)), to.min(usize::from(used)));
        let y = inside.y + u16::try_from(from).unwrap_or(0);
        let place = Rect { y, height: u16::try_from(to - from).unwrap_or(0), ..inside };
        pen.spot(place, Target::Row(Pane::Findings, index));
        let finding = model.fleet.findings.rows.get(index).and_then(|&at| snapshot.findings.get(at));
        if finding.is_some_and(|finding| model.fleet.findings.is_marked(finding)) {
            pen.put(inside.x - 1, y, 1, &Line::from(Span::styled("✓", look.accent)));
        }
    }
    if let Some((from, to)) = shown.cursor {
        let (from, to) = (from.min(usize::from(used)), to.min(usize::from(used)));
        let y = inside.y + u16::try_from(from).unwrap_or(0);
        let height = u16::try_from(to - from).unwrap_or(0);
        pen.wash(Rect { x: inside.x - 1, y, width: inside.width + 2, height }, look.selected);
        for row in y..y + height {
            pen.put(inside.x - 2, row, 1, &Line::from(Span::styled("▌", look.accent)));
        }
    }
    let rows = Rect { height: used, ..inside };
    let all = model.fleet.findings.rows.len();
    if shown.window.page > 0 && shown.window.page < all {
        table::thumb(pen, Rect { height: rows.height, ..rows }, shown.window.top, all.max(usize::from(used) + 1));
    }
    (used + 1, shown.window)
}

fn lines(pen: &Pen<'_>, width: usize, budget: usize, focused: bool) -> Shown {
    let list = &pen.model.fleet.findings;
    let findings: Vec<&Finding> = list.rows.iter().filter_map(|&at| pen.model.shown.findings.get(at)).collect();
    let mut tail: Vec<Line<'static>> = warnings(pen, width);
    tail.truncate(budget.saturating_sub(2).max(1));
    let muted = pen.model.muted();
    if findings.is_empty() && muted > 0 {
        let words = format!("every finding is muted ({muted}): M shows them");
        let line = Line::from(vec![Span::styled("–       ", pen.look.dim), Span::styled(words, pen.look.text)]);
        tail.insert(0, line);
    }
    if findings.is_empty() {
        return Shown { lines: tail, cursor: None, window: Window::default(), places: Vec::new() };
    }
    let calm = calm::line(pen);
    let room = budget.saturating_sub(tail.len() + usize::from(calm.is_some())).max(1);
    let at = pen.model.fleet.findings.at;
    // The first window that shows the finding under the cursor, moving as little as possible.
    let start = if focused {
        (0..=at)
            .find(|&start| start + 60 > at && fill(pen, &findings, width, room, start).1.len() + start > at)
            .unwrap_or(at)
    } else {
        0
    };
    let (mut lines, mut places) = fill(pen, &findings, width, room, start);
    let mut cursor = if focused { places.get(at.saturating_sub(start)).copied() } else { None };
    let page = places.len();
    if let Some(calm) = calm {
        lines.insert(0, calm);
        cursor = cursor.map(|(from, to)| (from + 1, to + 1));
        places = places.into_iter().map(|(from, to)| (from + 1, to + 1)).collect();
    }
    lines.append(&mut tail);
    let places = places.into_iter().enumerate().map(|(at, (from, to))| (start + at, from, to)).collect();
    Shown { lines, cursor, window: Window { top: start, page }, places }
}

/// Findings from one on, in so many lines: in full while that leaves a line for each of the next few, else in one line.
fn fill(
    pen: &Pen<'_>,
    all: &[&Finding],
    width: usize,
    room: usize,
    start: usize,
) -> (Vec<Line<'static>>, Vec<(usize, usize)>) {
    let incident = all.iter().any(|finding| !is_quiet(finding));
    let findings = all.get(start..).unwrap_or_default();
    let mut lines: Vec<Line<'static>> = Vec::new();
    let mut places = Vec::new();
    // Once one had to be cut to a line, what is less bad is not told at more length.
    let mut squeezed = false;
    for (at, finding) in findings.iter().enumerate() {
        // Lines are kept for what else is wrong; upkeep gets what is left over.
        let after = findings.get(at + 1..).unwrap_or_default();
        let rest = after.iter().filter(|finding| !(incident && is_quiet(finding))).count();
        let left = room - lines.len();
        let more = usize::from(!after.is_empty() || start > 0);
        // Upkeep is one line each while anything worse is there to be told.
        let upkeep = finding.acknowledged.is_some() || incident && is_upkeep(finding);
        // The most words that leave a line for each of the next few; the first is told in any case. The statement is
        // shown whole or not at all, and before the advice: it is what the hand needs.
        let wishes =
            [(3, 3, true, 4), (3, 2, true, 4), (2, 1, true, 3), (1, 1, true, 3), (1, 0, true, 2), (1, 1, false, 2)];
        let told = wishes.into_iter().filter(|_| !upkeep).find_map(|(summary, advice, statement, others)| {
            let told = block(pen, finding, width, summary, advice, statement);
            let kept = rest.min(others) + usize::from(after.len() > rest.min(others) || start > 0);
            let fits = told.len() + kept <= left || (at == 0 && summary < 3 && told.len() + more <= left);
            fits.then_some(told)
        });
        // Who knows of it and until when, where there is a line for that.
        let known = Some(finding).filter(|_| rest == 0 && left > 1 + more).and_then(|finding| known(finding));
        let next = match (told, known) {
            (Some(told), _) if !squeezed => told,
            (_, Some(known)) => {
                let mut told = block(pen, finding, width, 1, 0, false);
                let words = text::cut(&known, width.saturating_sub(INDENT));
                told.push(Line::from(vec![Span::raw(" ".repeat(INDENT)), Span::styled(words, pen.look.faint)]));
                told
            }
            _ if more < left => block(pen, finding, width, 1, 0, false),
            _ => break,
        };
        squeezed |= next.len() == 1;
        places.push((lines.len(), lines.len() + next.len()));
        lines.extend(next);
    }
    let hidden = findings.len() - places.len();
    if hidden > 0 && lines.len() < room {
        let words = format!("        +{hidden} more below");
        lines.push(Line::from(Span::styled(words, pen.look.faint)));
    }
    (lines, places)
}

/// What wants doing some day and hurts nobody now.
pub(super) fn is_upkeep(finding: &Finding) -> bool {
    finding.severity == Severity::Info || finding.signal.is_upkeep()
}

/// What takes no more room than a line or two while anything else is there to be told.
fn is_quiet(finding: &Finding) -> bool {
    finding.acknowledged.is_some() || is_upkeep(finding)
}

/// That somebody knows of a finding: who, and until when.
pub(super) fn known(finding: &Finding) -> Option<String> {
    finding.acknowledged.as_deref().map(crate::app::told)
}

/// Whether a finding no longer speaks of now: it is over, or its input went missing. Nothing is offered to act on then.
pub(super) fn is_past(finding: &Finding) -> bool {
    finding.stale || finding.over_for.is_some()
}

/// What has to be said of a finding that no longer speaks of now.
pub(super) fn past(finding: &Finding) -> Option<String> {
    match finding.over_for {
        Some(over) => Some(format!("over {}", quantity::duration(over.round()).replace(".0s", "s"))),
        None => finding.stale.then(|| "as last known".to_owned()),
    }
}

/// What takes the place of how bad a finding is, where that is not the first thing to know of it.
pub(super) fn state(finding: &Finding) -> Option<String> {
    let attention = finding.acknowledged.as_ref().map(|known| match known.attention {
        Attention::Muted => "muted".to_owned(),
        Attention::Acknowledged => "acknowledged".to_owned(),
    });
    past(finding).or(attention)
}

/// A finding's sentence, after its state where it has one: the end of the line may be cut.
pub(super) fn sentence(finding: &Finding) -> String {
    state(finding).map_or_else(|| finding.summary.clone(), |state| format!("{state} · {}", finding.summary))
}

/// A finding in words: what, who suffers, the next step, the statement that takes it.
fn block(
    pen: &Pen<'_>,
    finding: &Finding,
    width: usize,
    summary: usize,
    advice: usize,
    statement: bool,
) -> Vec<Line<'static>> {
    let look = pen.look;
    let gone = is_past(finding);
    let (style, text_style) = if gone || finding.acknowledged.is_some() {
        (look.faint, look.dim)
    } else {
        (look.severity(finding.severity), look.text)
    };
    let severity = match finding.severity {
        Severity::Critical => "CRIT",
        Severity::Warning => "WARN",
        Severity::Info => "INFO",
    };
    // What no longer speaks of now, or somebody knows of, says so where others say how bad they are.
    let name = state(finding).unwrap_or_else(|| severity.to_owned());
    let indent = INDENT.max(text::width(&name) + 4);
    let room = width.saturating_sub(indent + AGE + 1);
    let age = quantity::duration(pen.model.moment().duration_since(finding.since).as_secs_f64().max(0.0).floor());
    let along = along(&pen.model.shown.findings, finding).and_then(|at| pen.model.shown.findings.get(at));
    let also = along.map(|other| format!("; also {}", other.signal)).unwrap_or_default();
    let said = format!("{}{also}", finding.summary);
    let mut lines = Vec::new();
    for (row, words) in text::wrap_in(&said, room, summary).into_iter().enumerate() {
        if row == 0 {
            let mut spans =
                vec![Span::styled(format!("{} {}", glyph(finding.severity), text::fit(&name, indent - 2)), style)];
            spans.extend(emphasised(pen, &text::fit(&words, room), finding, text_style));
            spans.push(Span::styled(text::right(&age, AGE + 1), look.faint));
            lines.push(Line::from(spans));
        } else {
            let mut spans = vec![Span::raw(" ".repeat(indent))];
            spans.extend(emphasised(pen, &words, finding, text_style));
            lines.push(Line::from(spans));
        }
    }
    if gone {
        return lines;
    }
    if advice > 0 {
        if let Some(hurt) = hurt(finding) {
            let words = text::cut(&hurt, room + AGE);
            lines.push(Line::from(vec![Span::raw(" ".repeat(INDENT)), Span::styled(words, look.dim)]));
        }
        lines.extend(hanging("→ ", text::wrap_in(&finding.advice, room + AGE - 2, advice), look.dim, look.text));
    }
    if statement && let Some(sql) = &finding.statement {
        lines.extend(hanging("$ ", text::wrap_statement(sql, room + AGE - 2), look.dim, look.accent));
    }
    lines
}

/// Lines below each other behind a sign.
fn hanging(
    sign: &'static str,
    lines: Vec<String>,
    sign_style: ratatui::style::Style,
    style: ratatui::style::Style,
) -> impl Iterator<Item = Line<'static>> {
    lines.into_iter().filter(|words| !words.is_empty()).enumerate().map(move |(row, words)| {
        let lead = if row == 0 { sign } else { "  " };
        Line::from(vec![Span::raw(" ".repeat(INDENT)), Span::styled(lead, sign_style), Span::styled(words, style)])
    })
}

/// Names of culprits and victims stand out in the sentence.
fn emphasised(pen: &Pen<'_>, words: &str, finding: &Finding, style: ratatui::style::Style) -> Vec<Span<'static>> {
    if is_past(finding) || finding.acknowledged.is_some() {
        return vec![Span::styled(words.to_owned(), style)];
    }
    words
        .split_inclusive(' ')
        .map(|word| {
            let bare = word.trim_matches(|char: char| !char.is_ascii_alphanumeric());
            let named = finding.subject.id == bare
                || finding.culprits.iter().chain(&finding.victims).any(|tenant| tenant.as_str() == bare);
            Span::styled(word.to_owned(), if named { pen.look.strong } else { style })
        })
        .collect()
}

/// Who suffers, unless the sentence says so already.
fn hurt(finding: &Finding) -> Option<String> {
    let named = finding.victims.iter().take(3).all(|tenant| finding.summary.contains(tenant.as_str()));
    if finding.victims.is_empty() || named {
        return None;
    }
    Some(format!("hurts {}", names(&finding.victims, 5)))
}

/// The first names and how many more there are.
pub(super) fn names(tenants: &[TenantId], most: usize) -> String {
    let mut words: Vec<&str> = tenants.iter().take(most).map(TenantId::as_str).collect();
    let more = format!("+{} more", tenants.len().saturating_sub(most));
    if tenants.len() > most {
        words.push(&more);
    }
    words.join(", ")
}

/// What has to be said beside the findings: what cannot be judged, what is not reached, or that all is fine.
fn warnings(pen: &Pen<'_>, width: usize) -> Vec<Line<'static>> {
    let (snapshot, look) = (&pen.model.shown, pen.look);
    let moment = pen.model.moment();
    let said = |sign: &'static str, style, words: &str, most: usize| -> Vec<Line<'static>> {
        let wrapped = text::wrap_in(words, width.saturating_sub(INDENT), most).into_iter().enumerate();
        wrapped
            .map(|(row, words)| {
                let lead = if row == 0 { format!("{sign}       ") } else { " ".repeat(INDENT) };
                Line::from(vec![Span::styled(lead, style), Span::styled(words, look.text)])
            })
            .collect()
    };
    let connecting = |instance: &&crate::domain::Instance| matches!(instance.reach, Reach::Connecting);
    if snapshot.instances.is_empty()
        || (snapshot.instances.iter().all(|i| connecting(&i)) && snapshot.findings.is_empty())
    {
        return said("◌", look.accent, "nothing is known yet: waiting for the first answer", 2);
    }
    // Where nothing is found, that it may be too early to say so.
    let mut lines: Vec<Line<'static>> = Vec::new();
    lines.extend(snapshot.findings.is_empty().then(|| calm::restless(pen)).flatten());
    let reported = |signal| snapshot.findings.iter().any(|finding| finding.signal == signal);
    let blind = blind(snapshot, moment);
    if !blind.is_empty() && !reported(Signal::Unreachable) {
        let words = format!("{}: nothing can be said of now", blind.join(", "));
        lines.extend(said("?", look.warning, &words, if snapshot.findings.is_empty() { 2 } else { 1 }));
    }
    if let Some(words) = unjudged(snapshot) {
        let nothing = snapshot.findings.is_empty() && lines.is_empty();
        let words = if nothing { format!("nothing found · {words}") } else { words };
        lines.extend(said("?", look.warning, &words, if snapshot.findings.is_empty() { 3 } else { 1 }));
    }
    if lines.is_empty() && snapshot.findings.is_empty() {
        let waits = waits(snapshot);
        let judged = pen.model.settings.signals.len().saturating_sub(waits.len());
        let words = if judged > 0 {
            format!(
                "nothing found: {} judged on {}",
                quantity::plural(judged, "signal"),
                quantity::plural(snapshot.tenants.len(), "tenant")
            )
        } else {
            format!("nothing found on {}", quantity::plural(snapshot.tenants.len(), "tenant"))
        };
        lines.extend(said("✔", look.good, &words, 2));
        let known = waits.iter().map(|(signal, at)| format!("{signal} by {}", quantity::minute(*at)));
        let known: Vec<String> = known.collect();
        if !known.is_empty() {
            lines.extend(said("·", look.faint, &format!("not known yet: {}", known.join(", ")), 1));
        }
    }
    lines
}

/// Signals that only want time and hurt nobody meanwhile, and until when: counted in the title, told where there is room.
fn waits(snapshot: &Snapshot) -> BTreeMap<Signal, jiff::Timestamp> {
    let mut waits: BTreeMap<Signal, jiff::Timestamp> = BTreeMap::new();
    for unknown in snapshot.unknown.iter().filter(|unknown| unknown.can_wait()) {
        let known = unknown.known_at.unwrap_or(snapshot.taken_at);
        waits.entry(unknown.signal).and_modify(|at| *at = known.max(*at)).or_insert(known);
    }
    waits
}

/// Instances of which nothing fresh is known, with the age of what is.
pub(super) fn blind(snapshot: &Snapshot, moment: jiff::Timestamp) -> Vec<String> {
    let polled = snapshot.instances.iter().filter(|instance| !matches!(instance.reach, Reach::Apart(_)));
    let dark = polled
        .filter(|instance| instance.activity.fresh(moment).is_none() || matches!(instance.reach, Reach::Down { .. }));
    dark.map(|instance| match instance.activity.age(moment) {
        Some(age) => format!("{} (last seen {} ago)", instance.name, quantity::duration(age.as_secs_f64())),
        None => match instance.activity.missing(moment) {
            Some(reason) => format!("{} ({reason})", instance.name),
            None => instance.name.to_string(),
        },
    })
    .collect()
}

/// Signals that cannot be judged, each with the first reason.
fn unjudged(snapshot: &Snapshot) -> Option<String> {
    let mut reasons: BTreeMap<Signal, (usize, String)> = BTreeMap::new();
    for unknown in snapshot.unknown.iter().filter(|unknown| !unknown.can_wait()) {
        let until = unknown.known_at.map(|at| format!(", by {}", quantity::minute(at))).unwrap_or_default();
        let about = format!("{}: {}{until}", unknown.subject.id, unknown.reason);
        reasons.entry(unknown.signal).or_insert((0, about)).0 += 1;
    }
    if reasons.is_empty() {
        return None;
    }
    let listed: Vec<String> = reasons
        .iter()
        .map(|(signal, (count, reason))| match count {
            1 => format!("{signal} ({reason})"),
            more => format!("{signal} ({reason}; {} more)", more - 1),
        })
        .collect();
    Some(format!("{} cannot be judged: {}", quantity::plural(reasons.len(), "signal"), listed.join(", ")))
}
