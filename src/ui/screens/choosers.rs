//! Short lists over the screen: the columns of a table, the themes.

use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use crate::app::chooser::{ColumnChooser, ThemeChooser};
use crate::app::theme::Theme;
use crate::app::{Spot, Target};
use crate::domain::Severity;
use crate::ui::overlay;
use crate::ui::pen::Pen;
use crate::ui::theme::{Look, glyph};
use crate::ui::widgets::{table, text};

/// Columns: shown or hidden, in their order.
pub(in crate::ui) fn columns(pen: &mut Pen<'_>, body: Rect, chooser: &ColumnChooser) -> Option<Position> {
    let look = pen.look;
    let choices = pen.model.choices(chooser);
    // What was drawn under this box: the others are shown as soon as there is room for them.
    let drawn: Vec<&'static str> = pen
        .spots
        .iter()
        .filter_map(|Spot { target, .. }| match target {
            Target::Title(pane, key) if *pane == chooser.pane => Some(*key),
            _ => None,
        })
        .collect();
    let height = u16::try_from(choices.len()).unwrap_or(u16::MAX).saturating_add(2);
    let count = choices.iter().filter(|choice| choice.shown).count();
    let right = Line::from(Span::styled(format!(" {count} of {} shown ", choices.len()), look.dim));
    let title = pen.title("COLUMNS");
    let (_, inside) = overlay::open(pen, body, (46, height), &title, &[right]);
    let lines: Vec<Line<'static>> = choices
        .iter()
        .enumerate()
        .map(|(at, choice)| {
            let name = if choice.shown { look.text } else { look.faint };
            let sign = match (choice.fixed, choice.shown) {
                (true, _) => " ■ ",
                (_, true) => "[x]",
                (_, false) => "[ ]",
            };
            let order = choice.sorted.map_or("", |descending| if descending { " ▼" } else { " ▲" });
            let note = match choice {
                choice if choice.fixed => "always shown",
                choice if choice.shown && !drawn.contains(&choice.key) => "no room now",
                _ => "",
            };
            let room = usize::from(inside.width).saturating_sub(20);
            let strong = if at == chooser.at { look.strong } else { name };
            Line::from(vec![
                Span::styled(format!("{sign} "), if choice.shown { look.accent } else { look.dim }),
                Span::styled(text::fit(&format!("{}{order}", choice.key), room), strong),
                Span::styled(text::right(note, 15), look.faint),
            ])
        })
        .collect();
    list(pen, inside, &lines, chooser.at, 0);
    None
}

/// Themes, each with its own colours beside its name; the one under the cursor is worn already.
pub(in crate::ui) fn themes(pen: &mut Pen<'_>, body: Rect, chooser: &ThemeChooser) -> Option<Position> {
    let look = pen.look;
    let themes = &pen.model.themes;
    let height = u16::try_from(themes.len()).unwrap_or(u16::MAX).saturating_add(2);
    let title = pen.title("THEMES");
    let right = Line::from(Span::styled(" one's own: themes/NAME.toml beside the configuration ", look.dim));
    let (_, inside) = overlay::open(pen, body, (62, height), &title, &[right]);
    let depth = pen.depth;
    let lines: Vec<Line<'static>> = themes
        .iter()
        .enumerate()
        .map(|(at, theme)| {
            let note = if *theme == chooser.before { "as it was" } else { "" };
            let room = usize::from(inside.width).saturating_sub(24);
            let mut line = Line::from(vec![
                Span::styled(text::fit(&theme.name, room), if at == chooser.at { look.strong } else { look.text }),
                Span::styled(text::right(note, 10), look.faint),
                Span::raw("  "),
            ]);
            line.spans.extend(sample(theme, depth));
            line
        })
        .collect();
    list(pen, inside, &lines, chooser.at, 14);
    None
}

/// A theme in one glance, on its own ground.
fn sample(theme: &Theme, depth: crate::ui::Depth) -> Vec<Span<'static>> {
    let look = Look::new(theme, depth);
    let on = |words: &str, style: Style| Span::styled(words.to_owned(), look.base.patch(style));
    let plain = |style: Style| style.remove_modifier(Modifier::BOLD);
    vec![
        on(" ", look.text),
        on(glyph(Severity::Critical), plain(look.critical)),
        on(" ", look.text),
        on(glyph(Severity::Warning), plain(look.warning)),
        on(" ", look.text),
        on(glyph(Severity::Info), look.info),
        on(" ", look.text),
        on("◆", look.second),
        on(" ▆", look.good),
        on("▆ ", look.accent),
    ]
}

/// Lines with a cursor, those around it where there is no room for all; the cursor spares so many cells at their end.
fn list(pen: &mut Pen<'_>, area: Rect, lines: &[Line<'static>], at: usize, spared: u16) {
    let page = usize::from(area.height);
    let top = (at + 1).saturating_sub(page);
    for ((index, line), y) in lines.iter().enumerate().skip(top).zip(area.top()..area.bottom()) {
        pen.put(area.x, y, area.width, line);
        let row = Rect { x: area.x.saturating_sub(1), y, width: area.width + 2, height: 1 };
        pen.spot(row, Target::Line(index));
        if index == at {
            pen.wash(Rect { width: row.width.saturating_sub(spared), ..row }, pen.look.selected);
            pen.put(area.x.saturating_sub(2), y, 1, &Line::from(Span::styled("▌", pen.look.accent)));
        }
    }
    table::thumb(pen, area, top, lines.len());
}
