//! The help: the keys that mean something here, all others, the filter's language, signs, signals.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::session::scrolled;
use crate::app::columns::{SessionColumn, TenantColumn};
use crate::app::instances::InstanceColumn;
use crate::app::table::Column;
use crate::app::tables::TableColumn;
use crate::app::{Context, Viewport, bindings};
use crate::ui::pen::{Edge, Pen, below, inner};
use crate::ui::widgets::text;

const ORDER: [Context; 24] = [
    Context::Fleet,
    Context::Tenant,
    Context::Sessions,
    Context::Locks,
    Context::Tables,
    Context::OneTable,
    Context::Instances,
    Context::Backups,
    Context::Logs,
    Context::Finding,
    Context::Session,
    Context::Operations,
    Context::Operation,
    Context::Confirm,
    Context::Replay,
    Context::Table,
    Context::Rows,
    Context::Move,
    Context::Everywhere,
    Context::Palette,
    Context::Columns,
    Context::Chooser,
    Context::Form,
    Context::Choice,
];

pub(in crate::ui) fn draw(pen: &mut Pen<'_>, area: Rect) -> Viewport {
    let title = pen.title("HELP");
    pen.rule(Rect { height: 1, ..area }, Edge::Middle, pen.look.rule, &title, &[]);
    let inside = inner(below(area, 1));
    let lines = lines(pen, usize::from(inside.width));
    scrolled(pen, inside, &lines)
}

fn lines(pen: &Pen<'_>, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let mut lines = Vec::new();
    let here = crate::app::Mode::Normal;
    let contexts = pen.model.contexts_in(&here);
    let mut order: Vec<Context> = contexts.to_vec();
    order.extend(ORDER.iter().filter(|context| !contexts.contains(context)));
    for context in order {
        let mark = if contexts.contains(&context) { "  (here)" } else { "" };
        lines.push(Line::from(vec![Span::styled(context.title(), look.strong), Span::styled(mark, look.faint)]));
        for binding in bindings().iter().filter(|binding| binding.context == context) {
            lines.extend(pair(pen, binding.label, binding.help, width));
        }
        lines.push(Line::default());
    }
    lines.push(Line::from(Span::styled("filter", look.strong)));
    for (example, means) in [
        ("acme eu", "rows that contain both words, in any column"),
        ("!idle", "rows that do not contain the word"),
        ("tier:shared", "rows with the word in that column"),
        ("noise>50", "numbers: > >= < <= =, with 4.1M, 1MB, 2GiB, 5%, 30s, 5m, 2h"),
        ("\"two words\"", "words with a space between them"),
    ] {
        lines.extend(pair(pen, example, means, width));
    }
    lines.extend(pair(pen, "tenants", &names::<TenantColumn>(), width));
    lines.extend(pair(pen, "sessions", &names::<SessionColumn>(), width));
    lines.extend(pair(pen, "tables", &names::<TableColumn>(), width));
    lines.extend(pair(pen, "instances", &names::<InstanceColumn>(), width));
    lines.push(Line::default());
    lines.push(Line::from(Span::styled("signs", look.strong)));
    for (sign, means) in [
        ("✖ ▲ ●", "critical, warning, worth knowing: the tenant (or session) causes it"),
        ("◆", "suffers from somebody else"),
        ("✓", "marked"),
        ("— ~", "not known; an estimate"),
        ("acme?", "a tenant that the session only claims to be: never blamed"),
        ("shared", "the limit is the shared account's: none binds this tenant alone"),
    ] {
        lines.extend(pair(pen, sign, means, width));
    }
    lines.push(Line::default());
    lines.push(Line::from(Span::styled("mouse", look.strong)));
    for (what, means) in [
        (
            "click",
            "select a row; a second click opens it; a column's title sorts, again the other way round; hints and pages",
        ),
        ("wheel", "scrolls what is under the pointer"),
        ("Shift and drag", "selects text in most terminals; m leaves the mouse to the terminal altogether"),
    ] {
        lines.extend(pair(pen, what, means, width));
    }
    if !pen.model.settings.signals.is_empty() {
        lines.push(Line::default());
        lines.push(Line::from(Span::styled(
            "signals, with the default thresholds ([thresholds] changes them)",
            look.strong,
        )));
        for (name, about) in &pen.model.settings.signals {
            lines.extend(pair(pen, name, about, width));
        }
    }
    lines
}

/// Every name of every column; other names of the same in brackets.
fn names<C: Column>() -> String {
    let name = |column: &C| match column.aliases() {
        [] => column.key().to_owned(),
        others => format!("{} ({})", column.key(), others.join(" ")),
    };
    C::ALL.iter().map(name).collect::<Vec<_>>().join(" · ")
}

fn pair(pen: &Pen<'_>, left: &str, right: &str, width: usize) -> Vec<Line<'static>> {
    const LEFT: usize = 24;
    let wrapped = text::wrap(right, width.saturating_sub(LEFT + 2)).into_iter().enumerate();
    wrapped
        .map(|(row, words)| {
            let lead = if row == 0 { left } else { "" };
            Line::from(vec![
                Span::styled(format!("  {}", text::fit(lead, LEFT)), pen.look.key),
                Span::styled(words, pen.look.text),
            ])
        })
        .collect()
}
