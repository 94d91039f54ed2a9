//! Why: one finding with its numbers beside their thresholds, who causes it, who suffers, and the next step.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::session::scrolled;
use crate::app::Viewport;
use crate::domain::{Finding, Severity, Signal, TenantId, Unit, quantity};
use crate::ui::pen::{Edge, Pen, below, inner};
use crate::ui::theme::glyph;
use crate::ui::widgets::{gauge, text};
use crate::ui::wrong::{is_past, past, sentence};

pub(in crate::ui) fn draw(pen: &mut Pen<'_>, area: Rect) -> Viewport {
    let (model, look) = (pen.model, pen.look);
    let Some(kept) = &model.finding else { return Viewport::default() };
    let finding = &kept.value;
    let style = if is_past(finding) || kept.gone { look.faint } else { look.severity(finding.severity) };
    let title = Line::from(vec![
        Span::styled(format!(" {} {} ", glyph(finding.severity), finding.signal), style),
        Span::styled(format!("{} on {} ", text::cut(&finding.subject.id, 40), finding.subject.instance), look.strong),
    ]);
    let state = if kept.gone {
        Line::from(Span::styled(" no longer so ", look.good))
    } else if let Some(over) = past(finding).filter(|_| finding.over_for.is_some()) {
        Line::from(Span::styled(format!(" {over} "), look.good))
    } else if finding.stale {
        Line::from(Span::styled(" as last known: its input is missing ", look.warning))
    } else {
        Line::from(Span::styled(format!(" {} ", finding.severity), look.severity(finding.severity)))
    };
    pen.rule(Rect { height: 1, ..area }, Edge::Middle, look.rule, &title, &[state]);
    let inside = inner(below(area, 1));
    let mut lines = lines(pen, finding, usize::from(inside.width));
    if kept.gone {
        dim(pen, &mut lines);
    }
    scrolled(pen, inside, &lines)
}

/// Takes the colour out of what no longer speaks of now.
fn dim(pen: &Pen<'_>, lines: &mut [Line<'static>]) {
    for span in lines.iter_mut().flat_map(|line| &mut line.spans) {
        span.style = pen.look.faint;
    }
}

/// A finding in full.
pub(super) fn lines(pen: &Pen<'_>, finding: &Finding, width: usize) -> Vec<Line<'static>> {
    let mut lines = told(pen, finding, width);
    if is_past(finding) {
        dim(pen, &mut lines);
    }
    lines
}

fn told(pen: &Pen<'_>, finding: &Finding, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let gone = is_past(finding);
    let mut lines = Vec::new();
    let mut say = |name: &str, words: &str, style| {
        for (row, words) in text::wrap(words, width.saturating_sub(12)).into_iter().enumerate() {
            let lead = if row == 0 { name } else { "" };
            lines.push(Line::from(vec![Span::styled(format!("{lead:<12}"), look.faint), Span::styled(words, style)]));
        }
    };
    say("what", &sentence(finding), look.strong);
    if let Some(known) = &finding.acknowledged {
        say("known", &crate::app::told(known), look.warning);
    }
    if !finding.culprits.is_empty() {
        say("caused by", &all(&finding.culprits), look.text);
    }
    if !finding.victims.is_empty() {
        say("suffering", &all(&finding.victims), look.text);
    }
    let ago = |at| quantity::duration(pen.model.moment().duration_since(at).as_secs_f64().max(0.0).floor());
    let age = ago(finding.since);
    // What comes again and again is not over when it is gone.
    let times = pen.model.timeline.times(finding);
    let again = times.map(|(times, first)| format!("; {} time in {}", quantity::ordinal(times), ago(first)));
    // How long something has been set up like that is not known: only for how long we have seen it.
    let name = if finding.signal.is_upkeep() { "seen since" } else { "since" };
    say(name, &format!("{:.0} ({age} ago){}", finding.since, again.unwrap_or_default()), look.text);
    if !finding.advice.is_empty() && !gone {
        say("next step", &finding.advice, look.text);
    }
    if let Some(sql) = finding.statement.as_deref().filter(|_| !gone) {
        for (row, words) in text::wrap_statement(sql, width.saturating_sub(14)).into_iter().enumerate() {
            let lead = if row == 0 { "  y copies  $ " } else { "" };
            let lead = Span::styled(format!("{lead:<14}"), look.faint);
            lines.push(Line::from(vec![lead, Span::styled(words, look.accent)]));
        }
    }
    lines.push(Line::default());
    lines.extend(evidence(pen, finding, width));
    if let Some(about) = about(pen, finding.signal) {
        lines.push(Line::default());
        for (row, words) in text::wrap(about, width.saturating_sub(12)).into_iter().enumerate() {
            let lead = if row == 0 { "by default" } else { "" };
            lines
                .push(Line::from(vec![Span::styled(format!("{lead:<12}"), look.faint), Span::styled(words, look.dim)]));
        }
    }
    lines
}

fn about<'a>(pen: &Pen<'a>, signal: Signal) -> Option<&'a str> {
    pen.model.settings.signals.iter().find(|(name, _)| *name == signal.name()).map(|(_, about)| *about)
}

fn all(tenants: &[TenantId]) -> String {
    tenants.iter().map(TenantId::as_str).collect::<Vec<_>>().join(", ")
}

/// What was measured beside what it was held against.
pub(super) fn evidence(pen: &Pen<'_>, finding: &Finding, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    if finding.evidence.is_empty() {
        return Vec::new();
    }
    // A name is shown whole before there is a bar: without it nobody knows what was measured.
    let room = width.saturating_sub(12 + 11 + 14);
    let longest = finding.evidence.iter().map(|number| text::width(&number.name)).max().unwrap_or(0);
    let name = longest.clamp(12, 48).min(room.max(12));
    let bar = Some(room.saturating_sub(name).min(20)).filter(|bar| *bar >= 8).unwrap_or(0);
    let mut lines = vec![Line::from(Span::styled(
        format!(
            "{:<12}{}{}{}",
            "evidence",
            text::fit("measured", name),
            text::right("value", 11),
            text::right("threshold", 14)
        ),
        look.faint,
    ))];
    for number in &finding.evidence {
        let crossed = number.threshold.is_some_and(|threshold| number.value >= threshold);
        let style = if crossed && !is_past(finding) { look.severity(finding.severity) } else { look.text };
        let held = number.threshold.map_or("—".to_owned(), |threshold| format!("≥ {}", number.written(threshold)));
        let mut line = Line::from(vec![
            Span::raw(" ".repeat(12)),
            Span::styled(text::fit(&number.name, name), look.text),
            Span::styled(text::right(&number.written(number.value), 11), style),
            Span::styled(text::right(&held, 14), look.dim),
        ]);
        if bar > 0
            && let Some(threshold) = number.threshold.filter(|threshold| *threshold > 0.0)
        {
            // A share of a whole is full at 100%; what is critical is full; a warning leaves room above it.
            let full = match number.unit {
                Unit::Ratio if threshold <= 1.0 => 1.0,
                _ if crossed && finding.severity == Severity::Critical => number.value,
                // A warning that may become worse shows how far that still is.
                _ if number.critical.is_some() => number.critical.unwrap_or(threshold).max(number.value),
                _ => (threshold * 2.0).max(number.value * 1.1),
            };
            line.push_span(Span::raw("  "));
            line.spans.extend(gauge::ticked(
                number.value / full,
                threshold / full,
                bar - 2,
                style,
                look.track,
                look.strong,
            ));
        }
        lines.push(line);
    }
    lines
}
