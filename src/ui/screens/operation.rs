//! One operation: the steps on the left with the point of no return between them; on the right the plan, what a step runs and found,
//! or the report; below how far it is, what its tenant feels, and the word that is being typed.

use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use crate::app::wizard::Deed;
use crate::app::{Confirm, Mode, Opened, Page, READ_ONLY, Span as Window, Target, Viewport};
use crate::domain::foreign::sanitise;
use crate::domain::operation::{Operation, Stage, Step, StepState, Wish};
use crate::domain::quantity::{count, duration};
use crate::ui::pen::{Edge, Pen, below, inner};
use crate::ui::widgets::{gauge, table, text};

/// Cells of the names in a plan's text.
const NAMES: usize = 12;

/// Draws it; says where the terminal's cursor belongs while a word is typed.
pub(in crate::ui) fn draw(pen: &mut Pen<'_>, area: Rect) -> (Viewport, Option<Position>) {
    let model = pen.model;
    let Some(opened) = &model.works.opened else { return (Viewport::default(), None) };
    head(pen, area, opened);
    let foot = 5.min(area.height / 3);
    let middle = Rect { height: area.height.saturating_sub(1 + foot), ..below(area, 1) };
    let left = if area.width >= 110 { 40 } else { 27 };
    steps(pen, Rect { width: left, ..middle }, opened);
    let bar = Line::from(Span::styled("│", pen.look.rule));
    for y in middle.top()..middle.bottom() {
        pen.put(middle.x + left, y, 1, &bar);
    }
    let right = Rect { x: middle.x + left + 2, width: middle.width.saturating_sub(left + 4), ..middle };
    let lines = right_side(pen, opened, usize::from(right.width));
    let page = usize::from(right.height);
    let top = model.scroll.top.min(lines.len().saturating_sub(page));
    pen.block(right, lines.get(top..).unwrap_or_default());
    table::thumb(pen, right, top, lines.len());
    pen.spot(right, Target::Text);
    let cursor = bottom(pen, Rect { y: middle.bottom(), height: foot, ..area }, opened);
    (Viewport { text: Some(Window { top, page }), lines: lines.len(), ..Viewport::default() }, cursor)
}

fn head(pen: &mut Pen<'_>, area: Rect, opened: &Opened) {
    let look = pen.look;
    let mut right = Vec::new();
    for page in Page::ALL {
        let style = if page == opened.page {
            look.accent.add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
        } else {
            look.dim
        };
        right.push(Line::from(vec![Span::raw(" "), Span::styled(page.title(), style), Span::raw(" ")]));
    }
    if let Some((at, of)) = opened.place() {
        right.push(Line::from(Span::styled(format!(" {at} of {of} "), look.strong)));
    }
    let room = usize::from(area.width).saturating_sub(34);
    let title = pen.title(&text::cut(&sanitise(&opened.title()), room));
    pen.rule(Rect { height: 1, ..area }, Edge::Middle, look.rule, &title, &right);
}

fn steps(pen: &mut Pen<'_>, area: Rect, opened: &Opened) {
    let look = pen.look;
    let inside = Rect { x: area.x + 2, width: area.width.saturating_sub(3), ..area };
    let width = usize::from(inside.width);
    let Some(told) = &opened.told else {
        let words = if opened.refused.is_empty() { "—" } else { "✖ refused" };
        pen.put(inside.x, inside.y, inside.width, &Line::from(Span::styled(words, look.warning)));
        return;
    };
    let mut y = inside.y;
    for (at, step) in told.steps.iter().enumerate() {
        if step.no_way_back {
            if y < inside.bottom() {
                let words = " no way back from here ";
                let rest = "─".repeat(width.saturating_sub(text::width(words) + 2));
                pen.put(
                    inside.x,
                    y,
                    inside.width,
                    &Line::from(Span::styled(format!("──{words}{rest}"), look.critical)),
                );
            }
            y += 1;
        }
        let paused = told.stage == Stage::Paused && at == told.at();
        let (sign, style) = sign(pen, step, paused);
        let here = at == opened.at;
        let name = format!("{sign} {} {}", at + 1, step.title);
        let strong = if here { look.strong } else { look.text };
        let mut lines = text::wrap_in(&name, width, 2).into_iter();
        for (row, words) in lines.by_ref().enumerate() {
            if y >= inside.bottom() {
                return;
            }
            let line = match words.split_once(' ').filter(|_| row == 0) {
                Some((sign, rest)) => {
                    Line::from(vec![Span::styled(format!("{sign} "), style), Span::styled(rest.to_owned(), strong)])
                }
                None => Line::from(Span::styled(format!("    {words}"), strong)),
            };
            let place = Rect { x: inside.x.saturating_sub(1), y, width: inside.width + 1, height: 1 };
            pen.put(inside.x, y, inside.width, &line);
            if here && opened.page == Page::Step {
                pen.wash(place, look.selected);
                pen.put(inside.x.saturating_sub(2), y, 1, &Line::from(Span::styled("▌", look.accent)));
            }
            y += 1;
        }
        if y < inside.bottom() {
            let words = format!("    {}", state_of(pen, step, paused));
            pen.put(inside.x, y, inside.width, &Line::from(Span::styled(text::cut(&words, width), look.dim)));
        }
        y += 1;
    }
}

fn sign(pen: &Pen<'_>, step: &Step, paused: bool) -> (&'static str, Style) {
    let look = pen.look;
    match step.state {
        StepState::Failed | StepState::UndoFailed => ("✖", look.critical),
        _ if paused => ("‖", look.warning),
        StepState::ToCome => ("○", look.dim),
        StepState::Running => ("▶", look.accent),
        StepState::Done | StepState::Found => ("✓", look.good),
        StepState::Undoing => ("◀", look.accent),
        StepState::Undone => ("↺", look.dim),
    }
}

/// What a step is like, with the time that it took or takes.
fn state_of(pen: &Pen<'_>, step: &Step, paused: bool) -> String {
    let seconds = step.since.map(|since| {
        let until = step.until.unwrap_or(pen.model.now);
        until.duration_since(since).as_secs_f64().max(0.0)
    });
    let time =
        seconds.filter(|_| step.state != StepState::ToCome).map_or(String::new(), |it| format!(" {}", duration(it)));
    let words = match step.state {
        StepState::ToCome | StepState::Running if paused => "paused",
        state => state.words(),
    };
    format!("{words}{time}")
}

fn right_side(pen: &Pen<'_>, opened: &Opened, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let mut lines = Vec::new();
    if !opened.refused.is_empty() {
        lines.push(Line::from(Span::styled("✖ refused, nothing was done", look.critical)));
        for reason in &opened.refused {
            lines.extend(wrapped(&format!("  {reason}"), width, look.text));
        }
        lines.push(Line::default());
    }
    let Some(told) = &opened.told else {
        if opened.refused.is_empty() {
            let words = opened.pending.unwrap_or("looking at what is there now, to make a plan …");
            lines.push(Line::from(Span::styled(words, look.dim)));
        }
        return lines;
    };
    // What is about to be undone is what has to be read, whatever was looked at before.
    if let Mode::Confirm(Confirm { deed: Deed::Go(Wish::Back, _), .. }) = &pen.model.mode {
        lines.extend(told.way_back.iter().flat_map(|line| planned(pen, line, width)));
        return lines;
    }
    match opened.page {
        Page::Plan => lines.extend(told.plan.iter().flat_map(|line| planned(pen, line, width))),
        Page::Step => {
            lines.extend(opened.step().map(|step| one(pen, told, step, opened.at, width)).unwrap_or_default());
        }
        Page::Report if told.stage == Stage::Planned => {
            lines.push(Line::from(Span::styled("nothing was done yet", look.dim)));
        }
        Page::Report => lines.extend(told.report.iter().flat_map(|line| {
            let style = if line.starts_with('#') { look.strong } else { look.text };
            wrapped(line, width, style)
        })),
    }
    lines
}

/// A line of a plan's text: its name dim, what does not fit below itself.
fn planned(pen: &Pen<'_>, line: &str, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let (name, rest): (String, String) = (line.chars().take(NAMES).collect(), line.chars().skip(NAMES).collect());
    let style = match name.trim() {
        "warning" => look.warning,
        "" => look.accent,
        "to approve" | "does" => look.strong,
        "sha256" => look.faint,
        _ => look.text,
    };
    let indent = rest.chars().take_while(|char| *char == ' ').count();
    let room = width.saturating_sub(NAMES + indent).max(8);
    let parts = text::wrap_statement(rest.trim_start(), room);
    let parts = if parts.is_empty() { vec![String::new()] } else { parts };
    let spaces = " ".repeat(indent);
    parts
        .into_iter()
        .enumerate()
        .map(|(at, words)| {
            let name = if at == 0 { name.clone() } else { String::new() };
            Line::from(vec![
                Span::styled(text::fit(&name, NAMES), look.faint),
                Span::styled(format!("{spaces}{words}"), style),
            ])
        })
        .collect()
}

fn wrapped(words: &str, width: usize, style: Style) -> Vec<Line<'static>> {
    let indent = words.chars().take_while(|char| *char == ' ').count();
    let spaces = " ".repeat(indent);
    let parts = text::wrap_statement(words.trim_start(), width.saturating_sub(indent).max(8));
    let parts = if parts.is_empty() { vec![String::new()] } else { parts };
    parts.into_iter().map(|part| Line::from(Span::styled(format!("{spaces}{part}"), style))).collect()
}

/// What a step runs, what it found, what happened.
fn one(pen: &Pen<'_>, told: &Operation, step: &Step, at: usize, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let mut lines = vec![
        Line::from(Span::styled(format!("step {} of {}", at + 1, told.steps.len()), look.faint)),
        Line::from(Span::styled(text::cut(&step.title, width), look.strong)),
        Line::default(),
    ];
    let head = |words: &str| Line::from(Span::styled(words.to_owned(), look.faint));
    let block = |lines: &mut Vec<Line<'static>>, script: &[String], style: Style| {
        for (row, line) in script.iter().enumerate() {
            lines.extend(wrapped(line, width, if row == 0 { look.dim } else { style }));
        }
    };
    let runs = match step.state {
        StepState::ToCome => "WILL RUN",
        StepState::Running => "RUNS",
        StepState::Found => "WOULD HAVE RUN",
        _ => "RAN",
    };
    lines.push(head(runs));
    block(&mut lines, &step.forward, look.accent);
    lines.push(head(if matches!(step.state, StepState::Undone | StepState::Undoing) { "UNDONE BY" } else { "UNDO" }));
    if step.backward.is_empty() {
        let words = if step.no_way_back { "nothing undoes it" } else { "nothing needs to be undone" };
        lines.push(Line::from(Span::styled(words, if step.no_way_back { look.warning } else { look.dim })));
    } else {
        block(&mut lines, &step.backward, look.text);
    }
    if let Some(error) = &step.error {
        lines.push(head("WENT WRONG"));
        lines.extend(wrapped(error, width, look.critical));
    }
    for (name, value) in [("BEFORE", &step.before), ("VERIFIED", &step.verified)] {
        if let Some(value) = value {
            lines.push(head(name));
            lines.extend(wrapped(value, width, look.text));
        }
    }
    if !step.log.is_empty() {
        lines.push(head("WHAT HAPPENED"));
        for (at, words) in &step.log {
            let words = format!("{}  {words}", at.strftime("%H:%M:%SZ"));
            lines.extend(wrapped(&words, width, look.dim));
        }
    }
    lines
}

/// Where it stands, what the tenant feels, the word that is typed.
fn bottom(pen: &mut Pen<'_>, area: Rect, opened: &Opened) -> Option<Position> {
    let (model, look) = (pen.model, pen.look);
    let (words, style) = standing(pen, opened);
    let title = Line::from(Span::styled(format!(" {words} "), style));
    let id = opened.id().map(|id| Line::from(Span::styled(format!(" {id} "), look.dim)));
    pen.rule(Rect { height: 1, ..area }, Edge::Middle, look.rule, &title, id.as_slice());
    let inside = inner(below(area, 1));
    let width = usize::from(inside.width);
    let mut lines: Vec<Line<'static>> = Vec::new();
    if let Some(told) = &opened.told {
        lines.push(progress(pen, told));
        if let Some((since, budget)) = told.refuses.filter(|_| told.stage != Stage::Over) {
            let seconds = model.now.duration_since(since).as_secs_f64().max(0.0);
            let of = if budget > 0.0 { format!(" of {} at most", duration(budget)) } else { String::new() };
            let words = format!("the tenant feels: writes refused {}{of}, reads fine", duration(seconds));
            lines.push(Line::from(Span::styled(words, look.critical)));
        }
        if let Some(reason) = told.reason.as_ref().filter(|_| told.stage == Stage::Paused) {
            lines.push(Line::from(Span::styled(text::cut(reason, width), look.warning)));
        }
    }
    if let Mode::Confirm(confirm) = &model.mode {
        let row = inside.y + u16::try_from(lines.len()).unwrap_or(0).min(inside.height.saturating_sub(1));
        lines.truncate(usize::from(inside.height.saturating_sub(1)));
        pen.block(inside, &lines);
        return Some(typed(pen, Rect { y: row, height: 1, ..inside }, confirm));
    }
    if let Some(words) = hint(pen, opened) {
        lines.push(Line::from(Span::styled(text::cut(&words, width), look.dim)));
    }
    pen.block(inside, &lines);
    None
}

fn typed(pen: &mut Pen<'_>, row: Rect, confirm: &Confirm) -> Position {
    let look = pen.look;
    let what = match confirm.deed {
        Deed::Start => "to carry it out",
        Deed::Go(Wish::Forward, _) => "to take it over and go on",
        Deed::Go(Wish::Back, true) => "to take it over and roll it back",
        Deed::Go(Wish::Back, false) => "to roll it back",
        Deed::Go(Wish::Abandon, _) => "to leave it as it is for good",
    };
    let lead = format!("{what}, type {} ▸ ", sanitise(&confirm.wanted));
    let shown = sanitise(confirm.input.value()).into_owned();
    let shown = text::tail(&shown, usize::from(row.width).saturating_sub(text::width(&lead) + 1));
    let mut line = Line::from(vec![Span::styled(lead, look.warning), Span::styled(shown, look.strong)]);
    let at = row.x + u16::try_from(line.width()).unwrap_or(0);
    if let Some(error) = &confirm.error {
        let room = usize::from(row.width).saturating_sub(line.width() + 3);
        line.push_span(Span::styled(format!("   {}", text::cut(error, room)), look.critical));
    }
    pen.put(row.x, row.y, row.width, &line);
    Position::new(at.min(row.right().saturating_sub(1)), row.y)
}

/// In a word or two, with a colour.
fn standing(pen: &Pen<'_>, opened: &Opened) -> (String, Style) {
    let look = pen.look;
    let Some(told) = &opened.told else {
        return if opened.refused.is_empty() {
            ("PLANNING".to_owned(), look.accent)
        } else {
            ("REFUSED".to_owned(), look.critical)
        };
    };
    let by = if told.here { "here".to_owned() } else { format!("by {}", told.operator) };
    match told.stage {
        _ if opened.pending.is_some() => (opened.pending.unwrap_or_default().to_uppercase(), look.accent),
        Stage::Planned if !opened.refused.is_empty() => ("REFUSED".to_owned(), look.critical),
        Stage::Planned => ("PLANNED · nothing was done yet".to_owned(), look.strong),
        Stage::Running if told.forsaken => {
            (format!("SILENT for {} · {by}", duration(told.silent.unwrap_or_default())), look.critical)
        }
        Stage::Running if told.back => (format!("ROLLING BACK · {by}"), look.accent),
        Stage::Running => (format!("RUNNING · {by}"), look.accent),
        Stage::Paused => (format!("‖ PAUSED · {by}"), look.warning),
        Stage::Over if told.state == "succeeded" => (format!("✓ SUCCEEDED · {by}"), look.good),
        Stage::Over => (format!("{} · {by}", told.state.to_uppercase()), look.strong),
    }
}

/// How many steps are done, how long it has taken; of the one at work what it says of itself.
fn progress(pen: &Pen<'_>, told: &Operation) -> Line<'static> {
    let look = pen.look;
    let over = |step: &&Step| matches!(step.state, StepState::Done | StepState::Found);
    let done = told.steps.iter().filter(over).count();
    let all = told.steps.len();
    let mut line = Line::from(gauge::bar(Some(done as f64 / all.max(1) as f64), 16, look.accent, look.track));
    line.push_span(Span::styled(format!("  {done} of {all} steps done"), look.text));
    if let Some(began) = told.began {
        let until = if told.stage == Stage::Over { told.last.unwrap_or(began) } else { pen.model.now };
        let seconds = until.duration_since(began).as_secs_f64().max(0.0);
        line.push_span(Span::styled(format!(" · {} since it began", duration(seconds)), look.dim));
    }
    if let Some(working) = told.steps.get(told.at()).and_then(|step| step.working.as_ref()) {
        let of = if working.total > 0 {
            format!(", {} of {}", count(working.done as f64), count(working.total as f64))
        } else {
            String::new()
        };
        line.push_span(Span::styled(format!(" · {}{of}", working.phase), look.text));
        let since = told.steps.get(told.at()).and_then(|step| step.since);
        if let Some(since) = since.filter(|_| working.total > 0 && working.done > 0) {
            // By what it has done so far; never a per cent of what nobody counted.
            let took = pen.model.now.duration_since(since).as_secs_f64().max(0.0);
            let left = took * (working.total - working.done).max(0) as f64 / working.done as f64;
            line.push_span(Span::styled(format!(" · ~{} left", duration(left.round())), look.dim));
        }
    }
    line
}

/// What can be done now, beside the keys.
fn hint(pen: &Pen<'_>, opened: &Opened) -> Option<String> {
    let Some(told) = &opened.told else {
        return (!opened.refused.is_empty()).then(|| "r plans again · q leaves".to_owned());
    };
    let read_only = pen.model.settings.read_only;
    Some(match told.stage {
        _ if read_only && told.stage != Stage::Over => READ_ONLY.to_owned(),
        Stage::Planned if !opened.refused.is_empty() => "r plans again · q leaves".to_owned(),
        Stage::Planned => {
            format!("⏎ and the word {} carry it out · q leaves, and nothing was done", sanitise(&told.confirm))
        }
        Stage::Running if told.here => "q leaves the screen: it goes on · p pauses it after this step".to_owned(),
        Stage::Running if told.forsaken => {
            "⏎ takes it over, u takes it over and rolls it back: its id is typed".to_owned()
        }
        Stage::Running => {
            format!("{} carries it out; last heard of {} ago", told.operator, duration(told.silent.unwrap_or_default()))
        }
        Stage::Paused => match &told.undo {
            Ok(()) => "⏎ goes on · r tries again · u rolls back · A leaves it as it is · q leaves: it stays resumable"
                .to_owned(),
            Err(why) => format!("⏎ goes on · r tries again · A leaves it as it is · no way back: {why}"),
        },
        Stage::Over if told.undo.is_ok() => "u rolls it back: what it did is in force".to_owned(),
        Stage::Over => return None,
    })
}
