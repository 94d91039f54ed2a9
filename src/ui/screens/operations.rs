//! Screen 8: operations: what runs, what waits for somebody, what is in force, what was done; and the same for one tenant.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::app::operations::{OperationColumn, made};
use crate::app::{READ_ONLY, Span as Window, Viewport};
use crate::domain::operation::OperationLine;
use crate::domain::quantity::duration;
use crate::ui::pen::{Edge, Pen, below, inner};
use crate::ui::widgets::table::{self, Heading, Look};
use crate::ui::widgets::text;

use OperationColumn as Of;

const LOOKS: [Look<Of>; 9] = [
    Look::new(Of::Need, "", 1, false, 0),
    Look::new(Of::State, "state", 11, false, 0),
    Look::new(Of::Kind, "kind", 10, false, 7),
    Look::new(Of::Tenant, "tenant", 12, false, 1),
    Look::new(Of::Summary, "what", 40, false, 0),
    Look::new(Of::Operator, "by", 16, false, 4),
    Look::new(Of::Silent, "heard", 7, true, 5),
    Look::new(Of::Began, "age", 7, true, 0),
    Look::new(Of::Id, "id", 18, false, 6),
];

/// The list, and below it what the one under the cursor wants.
pub(in crate::ui) fn draw(pen: &mut Pen<'_>, area: Rect) -> Viewport {
    let works = &pen.model.works;
    let lower = 4.min(area.height / 4);
    let upper = Rect { height: area.height - lower, ..area };
    let table = &works.list.table;
    let remarks = works
        .trouble
        .iter()
        .map(|words| Line::from(Span::styled(format!(" {} ", text::cut(words, 60)), pen.look.warning)));
    let heading =
        Heading { name: "OPERATIONS", uncounted: works.at.is_none(), remarks: remarks.collect(), ..Heading::default() };
    let inside = table::heading(pen, upper, table, heading);
    let looks = table::arranged(&LOOKS, &table.columns);
    let window = rows(pen, inside, &looks, &table.list, Some((table.sort, table.descending)));
    advice(pen, Rect { y: upper.bottom(), height: lower, ..area });
    Viewport { list: Some(window), ..Viewport::default() }
}

/// What was done about a tenant, and what is in force.
pub(super) fn of_tenant(pen: &mut Pen<'_>, area: Rect) -> Window {
    let (model, look) = (pen.model, pen.look);
    let Some(kept) = &model.tenant else { return Window::default() };
    let standing = model.standing(&kept.value);
    let title = pen.title("WHAT WAS DONE ABOUT IT");
    pen.rule(Rect { height: 1, ..area }, Edge::Middle, look.rule, &title, &[]);
    let mut inside = inner(below(area, 1));
    for words in &standing {
        let undo = if model.settings.read_only { "" } else { " · a undoes it" };
        let line = vec![
            Span::styled("▪ ", look.warning),
            Span::styled(words.clone(), look.strong),
            Span::styled(undo, look.dim),
        ];
        pen.put(inside.x, inside.y, inside.width, &Line::from(line));
        inside = below(inside, 1);
    }
    if standing.is_empty() {
        let words =
            if model.works.at.is_none() { "operations are not known yet" } else { "nothing of ours is in force" };
        pen.put(inside.x, inside.y, inside.width, &Line::from(Span::styled(words, look.dim)));
        inside = below(inside, 1);
    }
    let looks: Vec<Look<Of>> = LOOKS.into_iter().filter(|it| it.column != Of::Tenant).collect();
    rows(pen, below(inside, 1), &looks, &model.page.operations, None)
}

fn rows(
    pen: &mut Pen<'_>,
    inside: Rect,
    looks: &[Look<Of>],
    list: &crate::app::list::List<OperationLine>,
    sort: Option<(Of, bool)>,
) -> Window {
    let model = pen.model;
    let columns = table::place(looks, inside.width, Of::Summary, 90, sort.map(|(by, _)| by));
    table::titles(pen, inside, &columns, sort);
    let rows = below(inside, 1);
    if list.rows.is_empty() {
        let words = match (&model.works.trouble, model.works.at) {
            (_, None) => "asking …".to_owned(),
            (Some(trouble), _) => trouble.clone(),
            (None, _) if sort.is_some() && !model.works.list.rows.is_empty() => {
                "no operation matches the filter: Esc clears it".to_owned()
            }
            _ => "none yet: w lists the wizards, a acts on what is selected".to_owned(),
        };
        pen.put(rows.x, rows.y, rows.width, &Line::from(Span::styled(words, pen.look.dim)));
    }
    table::rows(pen, rows, &columns, list, &model.works.list.rows, true, cell)
}

fn cell(pen: &Pen<'_>, column: Of, line: &OperationLine, width: usize) -> Line<'static> {
    let look = pen.look;
    let moment = pen.model.moment();
    let plain = if line.unfinished || line.in_force { look.text } else { look.dim };
    let said = |words: &str| Line::from(Span::styled(text::cut(words, width), plain));
    match column {
        Of::Need => Line::from(sign(pen, line)),
        Of::State => {
            let words = if line.in_force { "in force" } else { line.state.as_str() };
            let style = match line.state.as_str() {
                "paused" => look.warning,
                "running" => look.accent,
                _ if line.in_force => look.strong,
                _ => look.dim,
            };
            Line::from(Span::styled(text::cut(words, width), style))
        }
        Of::Kind => said(&line.kind),
        Of::Tenant => match line.tenants.as_slice() {
            [] => said("—"),
            [one] => said(one.as_str()),
            [one, rest @ ..] => said(&format!("{one} +{}", rest.len())),
        },
        Of::Summary => said(&line.summary),
        Of::Operator => said(if line.here { "this console" } else { &line.operator }),
        Of::Silent => said(&line.silent.filter(|_| line.unfinished).map_or("—".to_owned(), duration)),
        Of::Began => {
            let age = line.began.map(|began| moment.duration_since(began).as_secs_f64().max(0.0));
            said(&age.map_or("—".to_owned(), |age| duration(age.floor())))
        }
        Of::Id => said(&line.id),
    }
}

fn sign(pen: &Pen<'_>, line: &OperationLine) -> Span<'static> {
    let look = pen.look;
    match line.state.as_str() {
        "running" => Span::styled("▶", look.accent),
        "paused" => Span::styled("‖", look.warning),
        _ if line.in_force => Span::styled("▪", look.warning),
        "succeeded" => Span::styled("✓", look.good),
        "rolled back" => Span::styled("↺", look.dim),
        _ => Span::styled("·", look.dim),
    }
}

/// What can be done with the one under the cursor.
fn advice(pen: &mut Pen<'_>, area: Rect) {
    if area.height < 2 {
        return;
    }
    let (model, look) = (pen.model, pen.look);
    let held = &model.works.list;
    let line = held.table.list.selected().and_then(|at| held.rows.get(at));
    let title = line.map_or_else(|| pen.title("WIZARDS"), |line| pen.title(&line.id));
    pen.rule(Rect { height: 1, ..area }, Edge::Middle, look.rule, &title, &[]);
    let mut said: Vec<(String, ratatui::style::Style)> = Vec::new();
    if let Some(line) = line {
        said.push((line.summary.clone(), look.text));
        let what = match line.state.as_str() {
            "running" if line.here => "it runs here: ⏎ follows it".to_owned(),
            "running" => format!("{} carries it out: ⏎ follows it, and takes it over if nobody does", line.operator),
            "paused" => "it waits for somebody and holds its tenant: ⏎ opens it, to go on or to roll back".to_owned(),
            _ if line.in_force => format!("{}: ⏎ opens it, u rolls it back there", made(line)),
            _ => "⏎ opens its report".to_owned(),
        };
        said.push((what, look.dim));
    } else if model.settings.read_only {
        said.push((READ_ONLY.to_owned(), look.dim));
    } else {
        said.push(("w lists what can be started; a acts on what is selected".to_owned(), look.dim));
    }
    let inside = inner(below(area, 1));
    let width = usize::from(inside.width);
    let lines: Vec<Line<'static>> =
        said.into_iter().map(|(words, style)| Line::from(Span::styled(text::cut(&words, width), style))).collect();
    pen.block(inside, &lines);
}

#[cfg(test)]
mod tests {
    #[test]
    fn titles_are_names() {
        super::table::titles_are_names(&super::LOOKS);
    }
}
