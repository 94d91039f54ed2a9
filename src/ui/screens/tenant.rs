//! Screen 2: one tenant: charts, limits, what it takes of the instance; its findings, sessions, locks and tables.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::charts::{self, Chart};
use super::fresh::Fresh;
use super::{backup, figures, finding, limits, locks, operations, secret, sessions, statements, tables};
use crate::app::{Span as Window, Target, TenantTab, Viewport};
use crate::domain::history::{Measure, TenantPoint, Whose};
use crate::domain::snapshot::LimitScope;
use crate::domain::{Instance, Tenant, Tier, prices, quantity};
use crate::ui::pen::{Edge, Pen, below, inner};
use crate::ui::theme::glyph;
use crate::ui::widgets::table::{self, Look};
use crate::ui::widgets::text;
use crate::ui::wrong::{is_past, sentence, state};

pub(in crate::ui) fn draw(pen: &mut Pen<'_>, area: Rect) -> Viewport {
    let model = pen.model;
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
        TenantTab::Statements => {
            let window = statements::draw(pen, area, tenant);
            Viewport { list: Some(window), ..Viewport::default() }
        }
        TenantTab::Locks => {
            let window = locks::draw_trees(pen, area, &model.page.locks, "ITS LOCKS");
            Viewport { list: Some(window), ..Viewport::default() }
        }
        TenantTab::Operations => {
            let window = operations::of_tenant(pen, area);
            Viewport { list: Some(window), ..Viewport::default() }
        }
        TenantTab::Backups => backup::of_tenant(pen, area, tenant),
        TenantTab::Tables => {
            let window = tables::draw_table(pen, area, &model.page.tables, "TABLES", false);
            Viewport { list: Some(window), ..Viewport::default() }
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
            TenantTab::Overview | TenantTab::Statements | TenantTab::Locks | TenantTab::Backups => None,
            TenantTab::Operations => Some(model.page.operations.rows.len()).filter(|count| *count > 0),
            TenantTab::Findings => Some(model.page.findings.rows.len()),
            TenantTab::Sessions => Some(model.page.sessions.total),
            TenantTab::Tables => Some(model.page.tables.table.total),
        };
        // On a narrow screen every page's name is worth more than a number.
        let count = count.filter(|_| area.width >= 100);
        let title = if area.width >= 100 { tab.title() } else { tab.short() };
        let words = count.map_or(title.to_owned(), |count| format!("{title} {count}"));
        let style = if tab == model.page.tab {
            look.accent.add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
        } else {
            look.dim
        };
        let lead = if area.width >= 100 { " " } else { "" };
        pages.push(Line::from(vec![Span::raw(lead), Span::styled(words, style), Span::raw(" ")]));
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
    // What was done to it and is in force comes before all that is as always.
    for words in model.standing(tenant) {
        line.push_span(Span::styled(format!("▪ {}  ", text::cut(&words, width / 2)), look.warning));
    }
    let tier = match tenant.tier {
        Tier::Shared => "shared",
        Tier::Dedicated => "dedicated",
    };
    let notes = tenant.notes.as_ref();
    let facts = [
        ("tier", Some(tier.to_owned())),
        ("on", Some(tenant.instance.to_string())),
        ("class", home(pen, tenant)),
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

/// The class of the instance it lives on, and what that costs a month; of a shared one it costs all who share it.
fn home(pen: &Pen<'_>, tenant: &Tenant) -> Option<String> {
    let rds = pen.model.shown.instance(&tenant.instance)?.cloud.as_ref()?.rds.value.as_ref()?;
    let cost = prices::told(rds);
    let with = match tenant.tier {
        Tier::Shared => {
            let here = pen.model.shown.tenants.iter().filter(|other| other.instance == tenant.instance).count();
            format!(" for all {here}")
        }
        Tier::Dedicated => String::new(),
    };
    Some(format!("{} {cost}{with}", rds.class))
}

/// Whether CloudWatch has figures of an instance that is the tenant's alone.
fn has_figures(pen: &Pen<'_>, tenant: &Tenant) -> bool {
    let instance = pen.model.shown.instance(&tenant.instance).filter(|_| tenant.tier == Tier::Dedicated);
    instance.and_then(|instance| instance.cloud.as_ref()).is_some_and(|cloud| cloud.metrics.value.is_some())
}

/// The room of its own charts, and that of its instance's where it has one for itself.
fn own_instance<'m>(pen: &Pen<'m>, area: Rect, tenant: &Tenant) -> (Rect, Option<(&'m Instance, Rect)>) {
    let Some(instance) = pen.model.shown.instance(&tenant.instance).filter(|_| has_figures(pen, tenant)) else {
        return (area, None);
    };
    if stands_below(area) {
        let upper = area.height / 2;
        let place = below(area, upper);
        return (Rect { height: upper, ..area }, Some((instance, place)));
    }
    let half = area.width / 2;
    let place = Rect { x: area.x + half + 1, width: area.width - half - 1, ..area };
    (Rect { width: half.saturating_sub(2), ..area }, Some((instance, place)))
}

/// Whether there is room for the instance's charts below the tenant's own; else they stand beside them.
fn stands_below(inside: Rect) -> bool {
    inside.width >= 106
}

/// What charts of the instance are called: they are of another time than the tenant's own, whatever that is.
fn by_cloudwatch(pen: &Pen<'_>) -> Line<'static> {
    pen.title("INSTANCE, LAST 3 H, BY CLOUDWATCH")
}

fn overview(pen: &mut Pen<'_>, area: Rect, tenant: &Tenant) -> Viewport {
    let look = pen.look;
    // Charts need a third of the height; what they leave goes to limits, shares and findings.
    let wide = area.width >= 110;
    let charts = if wide { (area.height * 2 / 5).max(8) } else { (area.height / 3).max(5) };
    let charts = if wide && has_figures(pen, tenant) { charts.max(area.height / 2) } else { charts };
    let inside = inner(Rect { height: charts.saturating_sub(1), ..below(area, 1) });
    let (own, left) = own_instance(pen, inside, tenant);
    let mut words = old(pen, tenant);
    words.extend(left.filter(|_| !stands_below(inside)).map(|_| by_cloudwatch(pen)));
    pen.rule(Rect { height: 1, ..area }, Edge::Middle, look.rule, &pen.title(&charts::title(pen)), &words);
    draw_charts(pen, own, tenant);
    if let Some((instance, mut place)) = left {
        if stands_below(inside) {
            let rule = Rect { height: 1, y: place.y, ..area };
            pen.rule(rule, Edge::Middle, look.rule, &by_cloudwatch(pen), &[]);
            place = below(place, 1);
        }
        let titles: &[&str] = if wide { &["CPU", "storage", "latency", "IOPS"] } else { &["CPU"] };
        figures::brief(pen, place, instance, titles);
    }
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
        let kept = secret::lines(pen, tenant, width);
        pen.block(below(inside, u16::try_from(rows).unwrap_or(0)), &kept);
        let rest = below(rest, u16::try_from(rows + kept.len()).unwrap_or(0) + 1);
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
    let kept = secret::lines(pen, tenant, width);
    if !kept.is_empty() {
        lines.extend(kept);
        lines.push(Line::default());
    }
    lines.extend(why(pen, width));
    super::session::scrolled(pen, inside, &lines)
}

/// How old what is shown of a tenant is, where it is too old to speak of now; of a longer past, why there is none.
fn old(pen: &Pen<'_>, tenant: &Tenant) -> Vec<Line<'static>> {
    if charts::is_stored(pen) {
        return charts::unstored(pen, &whose(tenant)).into_iter().collect();
    }
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
        let (sign, style) = match state(found) {
            Some(_) => (look.faint, look.dim),
            None => (look.severity(found.severity), look.text),
        };
        for (row, words) in text::wrap_in(&sentence(found), width.saturating_sub(2), 2).into_iter().enumerate() {
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
        lines.push(Line::from(Span::styled(nothing(pen), look.dim)));
    }
    lines
}

/// That no finding names the tenant, and how old what rights and set-up are judged by is: a grant of a minute ago is not in it.
fn nothing(pen: &Pen<'_>) -> String {
    let words = "no finding names this tenant";
    let tenant = pen.model.tenant.as_ref().map(|kept| &kept.value);
    let Some(instance) = tenant.and_then(|tenant| pen.model.shown.instance(&tenant.instance)) else {
        return words.to_owned();
    };
    match instance.catalog.age(pen.model.moment()) {
        Some(age) => format!("{words} · catalogue read {} ago", quantity::duration(age.as_secs_f64().floor())),
        None => format!("{words} · catalogue not read yet"),
    }
}

/// Whose history it is.
fn whose(tenant: &Tenant) -> Whose {
    Whose { instance: tenant.instance.clone(), tenant: Some(tenant.id.clone()) }
}

/// How many of its sessions use the server now, as the chart's points count them: one that waits for a lock does not,
/// though its state is active.
fn running(pen: &Pen<'_>, tenant: &Tenant) -> Option<u32> {
    tenant.active?;
    let sessions = pen.model.shown.sessions.iter();
    let own = sessions.filter(|session| {
        session.instance == tenant.instance && session.attribution.tenant() == Some(&tenant.id) && session.is_busy()
    });
    u32::try_from(own.count()).ok()
}

fn draw_charts(pen: &mut Pen<'_>, area: Rect, tenant: &Tenant) {
    let look = pen.look;
    let fresh = Fresh::of(pen, tenant);
    let limit = tenant.limits.effective.connection_limit.filter(|_| tenant.limit_scope == LimitScope::Tenant);
    let count = |value: Option<u32>| value.map(f64::from);
    let whose = whose(tenant);
    let points = |take: fn(&TenantPoint) -> Option<f64>, measure| {
        let recent = tenant.series.iter().map(move |(at, point)| (at, take(&point)));
        charts::points(pen, &whose, recent, tenant.series.width(), measure)
    };
    let drawn = [
        Chart {
            title: "running sessions",
            now: count(running(pen, tenant)),
            fresh: fresh.activity,
            style: look.accent,
            limit: None,
            points: points(|point| Some(f64::from(point.active)), Measure::Active),
        },
        Chart {
            title: "rows written/s",
            now: tenant.rows_written_per_second,
            fresh: fresh.churn,
            style: look.good,
            limit: None,
            points: points(|point| point.rows_written.map(f64::from), Measure::RowsWritten),
        },
        Chart {
            title: "waiting sessions",
            now: count(tenant.waiting),
            fresh: fresh.activity,
            style: look.warning.remove_modifier(Modifier::BOLD),
            limit: None,
            points: points(|point| Some(f64::from(point.waiting)), Measure::Waiting),
        },
        Chart {
            title: "connections",
            now: count(tenant.connections),
            fresh: fresh.activity,
            style: look.second,
            limit: limit.map(f64::from),
            points: points(|point| Some(f64::from(point.connections)), Measure::Connections),
        },
    ];
    charts::draw(pen, area, drawn);
}

fn findings(pen: &mut Pen<'_>, area: Rect) -> Viewport {
    let (model, look) = (pen.model, pen.look);
    let mut title = pen.title("FINDINGS THAT NAME IT");
    title.spans.extend(pen.marked(pen.pane));
    pen.rule(Rect { height: 1, ..area }, Edge::Middle, look.rule, &title, &[]);
    let list = &model.page.findings;
    let inside = inner(below(area, 1));
    if list.rows.is_empty() {
        pen.put(inside.x, inside.y, inside.width, &Line::from(Span::styled(nothing(pen), look.dim)));
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
            let (sign, style) = match state(found) {
                Some(_) => (pen.look.faint, pen.look.dim),
                None => (pen.look.severity(found.severity), pen.look.text),
            };
            Line::from(match column {
                0 => Span::styled(glyph(found.severity), sign),
                1 => Span::styled(found.signal.name(), sign),
                _ => Span::styled(text::cut(&sentence(found), width), style),
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
