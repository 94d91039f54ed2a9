//! Screen 2: one tenant: charts, limits, what it takes of the instance; its findings, sessions and tables in debt.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::fresh::Fresh;
use super::{finding, limits, sessions};
use crate::app::{Span as Window, Target, TenantTab, Viewport};
use crate::domain::facts::TableDebt;
use crate::domain::history::TenantPoint;
use crate::domain::snapshot::LimitScope;
use crate::domain::{Tenant, Tier, quantity};
use crate::ui::pen::{Edge, Pen, below, inner};
use crate::ui::theme::glyph;
use crate::ui::widgets::chart::{self, Area};
use crate::ui::widgets::table::{self, Look};
use crate::ui::widgets::text;
use crate::ui::wrong::{is_past, known, past};

pub(in crate::ui) fn draw(pen: &mut Pen<'_>, area: Rect) -> Viewport {
    let (model, look) = (pen.model, pen.look);
    let Some(kept) = &model.tenant else { return Viewport::default() };
    let tenant = &kept.value;
    head(pen, area, tenant, kept.gone);
    let area = below(area, 2);
    match model.page.tab {
        TenantTab::Overview => overview(pen, area, tenant),
        TenantTab::Findings => findings(pen, area),
        TenantTab::Sessions => {
            let window = sessions::draw_table(pen, area, &model.page.sessions, "SESSIONS", false);
            Viewport { list: Some(window), ..Viewport::default() }
        }
        TenantTab::Tables => {
            let mut title = pen.title("TABLES IN AUTOVACUUM DEBT");
            title.spans.extend(pen.marked(pen.pane));
            pen.rule(Rect { height: 1, ..area }, Edge::Middle, look.rule, &title, &[]);
            tables(pen, below(area, 1), tenant)
        }
    }
}

/// Its name, its state, the pages; and where it lives.
fn head(pen: &mut Pen<'_>, area: Rect, tenant: &Tenant, gone: bool) {
    let (model, look) = (pen.model, pen.look);
    let mut title = vec![Span::raw(" ")];
    let aged = |style: Style| if Fresh::of(pen, tenant).activity { style } else { look.faint };
    if let Some(severity) = tenant.severity {
        title.push(Span::styled(format!("{} ", glyph(severity)), aged(look.severity(severity))));
    } else if !tenant.suffers.is_empty() {
        title.push(Span::styled("◆ ", aged(look.second)));
    }
    title.push(Span::styled(format!("{} ", text::cut(tenant.id.as_str(), 44)), look.strong));
    let mut pages = Vec::new();
    for tab in TenantTab::ALL {
        let count = match tab {
            TenantTab::Overview => None,
            TenantTab::Findings => Some(model.page.findings.rows.len()),
            TenantTab::Sessions => Some(model.page.sessions.total),
            TenantTab::Tables => Some(model.page.tables.rows.len()),
        };
        let words = count.map_or(tab.title().to_owned(), |count| format!("{} {count}", tab.title()));
        let style = if tab == model.page.tab {
            look.accent.add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
        } else {
            look.dim
        };
        pages.push(Line::from(vec![Span::raw(" "), Span::styled(words, style), Span::raw(" ")]));
    }
    for (at, place) in pen.rule(Rect { height: 1, ..area }, Edge::Middle, look.rule, &Line::from(title), &pages) {
        if let Some(&tab) = TenantTab::ALL.get(at) {
            pen.spot(place, Target::Tab(tab));
        }
    }
    let inside = inner(below(area, 1));
    let width = usize::from(inside.width);
    let mut line = Line::default();
    if gone {
        line.push_span(Span::styled("gone: as it was last seen  ", look.warning));
    }
    let tier = match tenant.tier {
        Tier::Shared => "shared",
        Tier::Dedicated => "dedicated",
    };
    let notes = tenant.notes.as_ref();
    let facts = [
        ("tier", Some(tier.to_owned())),
        ("on", Some(tenant.instance.to_string())),
        ("contact", notes.and_then(|notes| notes.contact.clone())),
        ("schema", tenant.schema.as_deref().map(str::to_owned)),
        ("database", tenant.database.as_deref().map(str::to_owned)),
        ("role", tenant.role.as_deref().map(str::to_owned)),
        ("note", notes.and_then(|notes| notes.notes.clone())),
    ];
    for (name, value) in facts {
        let Some(value) = value else { continue };
        let room = width.saturating_sub(line.width() + name.len() + 3);
        if room >= 8 {
            line.push_span(Span::styled(format!("{name} "), look.faint));
            line.push_span(Span::styled(text::cut(&crate::domain::foreign::sanitise(&value), room), look.text));
            line.push_span(Span::raw("  "));
        }
    }
    pen.put(inside.x, inside.y, inside.width, &line);
}

fn overview(pen: &mut Pen<'_>, area: Rect, tenant: &Tenant) -> Viewport {
    let look = pen.look;
    // Charts need a third of the height; what they leave goes to limits, shares and findings.
    let wide = area.width >= 110;
    let charts = if wide { (area.height * 2 / 5).max(8) } else { (area.height / 3).max(5) };
    pen.rule(Rect { height: 1, ..area }, Edge::Middle, look.rule, &pen.title("THE LAST 15 MINUTES"), &old(pen, tenant));
    let inside = inner(Rect { height: charts.saturating_sub(1), ..below(area, 1) });
    draw_charts(pen, inside, tenant);
    let rest = below(area, charts);
    pen.rule(
        Rect { height: 1, ..rest },
        Edge::Middle,
        look.rule,
        &pen.title(if wide { "LIMITS AND SHARES" } else { "FINDINGS, LIMITS, SHARES" }),
        &[],
    );
    let inside = inner(below(rest, 1));
    let width = usize::from(inside.width);
    let mut lines = Vec::new();
    if wide {
        let half = inside.width / 2;
        let left = limits::limits(pen, tenant, usize::from(half) - 2);
        let right = limits::shares(pen, tenant, usize::from(inside.width - half));
        let rows = left.len().max(right.len());
        pen.block(Rect { width: half - 2, ..inside }, &left);
        pen.block(Rect { x: inside.x + half, width: inside.width - half, ..inside }, &right);
        let rest = below(rest, u16::try_from(rows).unwrap_or(0) + 1);
        if rest.height > 2 {
            pen.rule(Rect { height: 1, ..rest }, Edge::Middle, look.rule, &pen.title("FINDINGS"), &[]);
            lines.extend(why(pen, width));
            return super::session::scrolled(pen, inner(below(rest, 1)), &lines);
        }
        return Viewport::default();
    }
    lines.extend(brief(pen, width));
    lines.extend(limits::limits(pen, tenant, width));
    lines.push(Line::default());
    lines.extend(limits::shares(pen, tenant, width));
    lines.push(Line::default());
    lines.extend(why(pen, width));
    super::session::scrolled(pen, inside, &lines)
}

/// How old what is shown of a tenant is, where it is too old to speak of now.
fn old(pen: &Pen<'_>, tenant: &Tenant) -> Vec<Line<'static>> {
    if Fresh::of(pen, tenant).activity {
        return Vec::new();
    }
    let instance = pen.model.shown.instance(&tenant.instance);
    let age = instance.and_then(|instance| instance.activity.age(pen.model.moment()));
    let words = age.map_or(" not seen yet ".to_owned(), |age| {
        format!(" as last known, {} ago ", quantity::duration(age.as_secs_f64()))
    });
    vec![Line::from(Span::styled(words, pen.look.warning))]
}

/// The tenant's findings in few lines: what, and the next step.
fn brief(pen: &Pen<'_>, width: usize) -> Vec<Line<'static>> {
    let (model, look) = (pen.model, pen.look);
    let mut lines = Vec::new();
    for found in model.page.findings.rows.iter().filter_map(|&at| model.shown.findings.get(at)) {
        let said = past(found).map_or(found.summary.clone(), |state| format!("({state}) {}", found.summary));
        let (sign, style) =
            if is_past(found) { (look.faint, look.faint) } else { (look.severity(found.severity), look.text) };
        for (row, words) in text::wrap_in(&said, width.saturating_sub(2), 2).into_iter().enumerate() {
            let lead = if row == 0 { glyph(found.severity) } else { " " };
            lines.push(Line::from(vec![Span::styled(format!("{lead} "), sign), Span::styled(words, style)]));
        }
        if is_past(found) {
            continue;
        }
        for words in text::wrap_in(&format!("→ {}", found.advice), width.saturating_sub(2), 1) {
            lines.push(Line::from(Span::styled(format!("  {words}"), look.text)));
        }
        for (row, words) in
            text::wrap_statement(found.statement.as_deref().unwrap_or_default(), width.saturating_sub(4))
                .into_iter()
                .filter(|words| !words.is_empty())
                .enumerate()
        {
            lines
                .push(Line::from(Span::styled(format!("  {} {words}", if row == 0 { "$" } else { " " }), look.accent)));
        }
    }
    if !lines.is_empty() {
        lines.push(Line::default());
    }
    lines
}

/// The tenant's findings with their evidence, below each other.
fn why(pen: &Pen<'_>, width: usize) -> Vec<Line<'static>> {
    let (model, look) = (pen.model, pen.look);
    let mut lines = Vec::new();
    for found in model.page.findings.rows.iter().filter_map(|&at| model.shown.findings.get(at)) {
        lines.push(Line::from(Span::styled(
            format!("{} {}", glyph(found.severity), found.signal),
            if is_past(found) { look.faint } else { look.severity(found.severity) },
        )));
        lines.extend(finding::lines(pen, found, width));
        lines.push(Line::default());
    }
    if lines.is_empty() {
        lines.push(Line::from(Span::styled("no finding names this tenant", look.dim)));
    }
    lines
}

/// What a chart takes of a point.
type Measure = fn(&TenantPoint) -> Option<f64>;

/// A chart: its title, value now, colour, what it takes of a point, and a limit to compare with.
type Chart = (&'static str, Option<f64>, Style, Measure, Option<f64>);

fn draw_charts(pen: &mut Pen<'_>, area: Rect, tenant: &Tenant) {
    let look = pen.look;
    let fresh = Fresh::of(pen, tenant);
    let limit = tenant.limits.effective.connection_limit.filter(|_| tenant.limit_scope == LimitScope::Tenant);
    let count = |value: Option<u32>| value.map(f64::from);
    let charts: [Chart; 4] = [
        ("active sessions", count(tenant.active), look.accent, |point| Some(f64::from(point.active)), None),
        ("rows written/s", tenant.rows_written_per_second, look.good, |point| point.rows_written.map(f64::from), None),
        (
            "waiting sessions",
            count(tenant.waiting),
            look.warning.remove_modifier(Modifier::BOLD),
            |point| Some(f64::from(point.waiting)),
            None,
        ),
        (
            "connections",
            count(tenant.connections),
            look.second,
            |point| Some(f64::from(point.connections)),
            limit.map(f64::from),
        ),
    ];
    let (columns, rows) = if area.height >= 10 {
        (2, 2)
    } else if area.width >= 110 {
        (4, 1)
    } else {
        (2, 1)
    };
    let (width, height) = (area.width / columns, area.height / rows);
    for (at, (title, now, style, value, limit)) in (0..columns * rows).zip(charts) {
        let rect = Rect {
            x: area.x + at % columns * width,
            y: area.y + at / columns * height,
            width: width - if at % columns + 1 < columns { 3 } else { 0 },
            height,
        };
        let points = tenant.series.iter().map(|(at, point)| (*at, value(point)));
        let fresh = if title == "rows written/s" { fresh.churn } else { fresh.activity };
        chart::area(pen, rect, Area { title, now, fresh, points, style, write: quantity::count, limit });
    }
}

fn findings(pen: &mut Pen<'_>, area: Rect) -> Viewport {
    let (model, look) = (pen.model, pen.look);
    let mut title = pen.title("FINDINGS THAT NAME IT");
    title.spans.extend(pen.marked(pen.pane));
    pen.rule(Rect { height: 1, ..area }, Edge::Middle, look.rule, &title, &[]);
    let list = &model.page.findings;
    let inside = inner(below(area, 1));
    if list.rows.is_empty() {
        pen.put(inside.x, inside.y, inside.width, &Line::from(Span::styled("no finding names this tenant", look.dim)));
        return Viewport::default();
    }
    // The list above, the one under the cursor in full below.
    let rows = u16::try_from(list.rows.len()).unwrap_or(u16::MAX).min(inside.height / 3).max(1);
    let looks = [
        Look { column: 0, title: "", width: 1, right: false, rank: 0 },
        Look { column: 1, title: "", width: 22, right: false, rank: 0 },
        Look { column: 2, title: "", width: 20, right: false, rank: 0 },
    ];
    let columns = table::place(&looks, inside.width, 2, u16::MAX, None);
    let upper = Rect { height: rows, ..inside };
    let window: Window =
        table::rows(pen, upper, &columns, list, &model.shown.findings, true, |pen, column, found, width| {
            let (sign, style) = match past(found) {
                Some(_) => (pen.look.faint, pen.look.faint),
                None if found.acknowledged.is_some() => (pen.look.faint, pen.look.dim),
                None => (pen.look.severity(found.severity), pen.look.text),
            };
            let state = past(found).or_else(|| known(found)).map(|state| format!("({state}) ")).unwrap_or_default();
            Line::from(match column {
                0 => Span::styled(glyph(found.severity), sign),
                1 => Span::styled(found.signal.name(), sign),
                _ => Span::styled(text::cut(&format!("{state}{}", found.summary), width), style),
            })
        });
    let lower = below(area, rows + 1);
    pen.rule(Rect { height: 1, ..lower }, Edge::Middle, look.rule, &pen.title("WHY"), &[]);
    if let Some(found) = list.selected().and_then(|at| model.shown.findings.get(at)) {
        let inside = inner(below(lower, 1));
        let lines = finding::lines(pen, found, usize::from(inside.width));
        pen.block(inside, &lines);
    }
    Viewport { list: Some(window), ..Viewport::default() }
}

/// What a column of the tables shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Table,
    Debt,
    Dead,
    Threshold,
    Live,
    Vacuumed,
    Size,
    Autovacuum,
}

const fn column(column: Of, title: &'static str, width: u16, right: bool, rank: u8) -> Look<Of> {
    Look { column, title, width, right, rank }
}

const TABLES: [Look<Of>; 8] = [
    column(Of::Table, "table", 20, false, 0),
    column(Of::Debt, "debt", 7, true, 0),
    column(Of::Dead, "dead rows", 10, true, 1),
    column(Of::Threshold, "threshold", 10, true, 2),
    column(Of::Live, "live rows", 10, true, 4),
    column(Of::Vacuumed, "vacuumed", 12, true, 3),
    column(Of::Size, "size", 9, true, 5),
    column(Of::Autovacuum, "autovacuum", 10, false, 1),
];

fn tables(pen: &mut Pen<'_>, area: Rect, tenant: &Tenant) -> Viewport {
    let (model, look) = (pen.model, pen.look);
    let inside = inner(area);
    let list = &model.page.tables;
    if list.rows.is_empty() {
        let debt = model.shown.instance(&tenant.instance).map(|instance| &instance.debt);
        let words = match debt.and_then(|debt| debt.missing(model.moment())) {
            Some(reason) => format!("not known: {reason}"),
            None => "none of its tables is in debt".to_owned(),
        };
        pen.put(
            inside.x,
            inside.y,
            inside.width,
            &Line::from(Span::styled(text::cut(&words, usize::from(inside.width)), look.dim)),
        );
        return Viewport::default();
    }
    let columns = table::place(&TABLES, inside.width, Of::Table, 60, None);
    table::labels(pen, inside, &columns, None);
    let items = model.shown.instance(&tenant.instance).and_then(|instance| instance.debt.value.as_ref());
    let items = items.map_or(&[][..], |debt| debt.tables.as_slice());
    let window = table::rows(pen, below(inside, 1), &columns, list, items, true, cell);
    Viewport { list: Some(window), ..Viewport::default() }
}

fn cell(pen: &Pen<'_>, column: Of, table: &TableDebt, width: usize) -> Line<'static> {
    let fresh = pen.model.tenant.as_ref().is_some_and(|kept| Fresh::of(pen, &kept.value).debt);
    let mut line = table_cell(pen, column, table, width);
    if !fresh {
        line.spans.iter_mut().for_each(|span| span.style = pen.look.faint);
    }
    line
}

fn table_cell(pen: &Pen<'_>, column: Of, table: &TableDebt, width: usize) -> Line<'static> {
    let look = pen.look;
    let ratio = table.ratio();
    Line::from(match column {
        Of::Table => Span::styled(text::cut(&table.table.shown(), width), look.text),
        Of::Debt => {
            let style = if ratio >= 10.0 {
                look.critical
            } else if ratio >= 2.0 {
                look.warning
            } else {
                look.text
            };
            Span::styled(format!("{}×", quantity::count(ratio)), style)
        }
        Of::Dead => Span::styled(format!("~{}", quantity::count(table.dead_tuples as f64)), look.text),
        Of::Threshold => Span::styled(quantity::count(table.threshold), look.dim),
        Of::Live => Span::styled(format!("~{}", quantity::count(table.live_tuples as f64)), look.text),
        Of::Vacuumed => match table.last_vacuum {
            Some(at) => {
                let age = pen.model.moment().duration_since(at).as_secs_f64();
                Span::styled(text::cut(&format!("{} ago", quantity::duration(age.floor())), width), look.text)
            }
            None => Span::styled("never", look.warning),
        },
        Of::Size => Span::styled(format!("~{}", quantity::bytes(table.bytes)), look.text),
        Of::Autovacuum if table.autovacuum => Span::styled("on", look.faint),
        Of::Autovacuum => Span::styled("OFF", look.critical),
    })
}
