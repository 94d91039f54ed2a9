//! Screen 5: the vacuums that run, and the worst tables of all tenants; the same table is a page of each tenant.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::fresh::Fresh;
use crate::app::tables::{TableColumn, TableRow, share, vacuumed};
use crate::app::{Span as Window, Viewport, Worst};
use crate::domain::facts::Vacuum;
use crate::domain::foreign::sanitise;
use crate::domain::inspection::Answer;
use crate::domain::quantity::{bytes, count, duration, percent, plural};
use crate::domain::snapshot::Reach;
use crate::domain::{Instance, TenantId};
use crate::ui::pen::{Edge, Pen, below, inner};
use crate::ui::widgets::table::{self, Heading, Look};
use crate::ui::widgets::{gauge, text};

use TableColumn as Of;

const LOOKS: [Look<Of>; 14] = [
    Look::new(Of::Tenant, "tenant", 13, false, 0),
    Look::new(Of::Instance, "instance", 10, false, 11),
    Look::new(Of::Table, "table", 22, false, 0),
    Look::new(Of::Debt, "debt", 11, true, 0),
    Look::new(Of::Dead, "dead", 6, true, 1),
    Look::new(Of::Threshold, "threshold", 9, true, 5),
    Look::new(Of::Live, "live", 6, true, 12),
    Look::new(Of::Vacuumed, "vacuumed", 9, true, 2),
    Look::new(Of::Autovacuum, "auto", 4, false, 2),
    Look::new(Of::Bloat, "bloat", 5, true, 3),
    Look::new(Of::Wasted, "wasted", 8, true, 6),
    Look::new(Of::Size, "size", 8, true, 4),
    Look::new(Of::Xid, "xid age", 7, true, 7),
    Look::new(Of::Multixact, "mxid age", 8, true, 8),
];

pub(in crate::ui) fn draw(pen: &mut Pen<'_>, area: Rect) -> Viewport {
    let used = vacuums(pen, area);
    let worst = &pen.model.tables;
    Viewport { list: Some(draw_table(pen, below(area, used), worst, "TABLES", true)), ..Viewport::default() }
}

/// The vacuums that run, in as few lines as they take; says how many lines that were.
fn vacuums(pen: &mut Pen<'_>, area: Rect) -> u16 {
    let look = pen.look;
    let moment = pen.model.moment();
    let instances = &pen.model.shown.instances;
    let mut running: Vec<(&Instance, &Vacuum)> = Vec::new();
    for instance in instances.iter().filter(|instance| Fresh::on(pen, instance).vacuums) {
        let vacuums = instance.vacuums.value.as_ref();
        running.extend(vacuums.iter().flat_map(|vacuums| &vacuums.running).map(|vacuum| (instance, vacuum)));
    }
    running.sort_by_key(|(_, vacuum)| (vacuum.since.is_none(), vacuum.since));
    let most = usize::from((area.height / 4).clamp(1, 6));
    let lines = running.len().min(most);
    let mut title = vec![Span::styled(" VACUUMS ", look.strong)];
    let dark = instances.iter().find(|instance| matches!(instance.reach, Reach::Down { .. }));
    let unknown = dark.map(|instance| format!("{} is not reached", instance.name));
    let unknown = unknown.or_else(|| instances.iter().find_map(|instance| instance.vacuums.missing(moment)));
    match (running.len(), unknown) {
        (0, Some(reason)) => {
            let words = text::cut(&reason, usize::from(area.width / 2));
            title.push(Span::styled(format!("— not known: {words} "), look.dim));
        }
        (0, None) if instances.is_empty() => {}
        (0, None) => title.push(Span::styled("none runs ", look.dim)),
        (all, _) => {
            let workers: u32 =
                instances.iter().filter_map(|one| one.vacuums.value.as_ref()).map(|all| all.workers).sum();
            let automatic = running.iter().filter(|(_, vacuum)| vacuum.automatic).count();
            let more = if all > lines { format!("{lines} of ") } else { String::new() };
            title.push(Span::styled(format!("{more}{all} running "), look.text));
            if workers > 0 {
                let words = format!("· {automatic} of {} ", plural(workers as usize, "autovacuum worker"));
                title.push(Span::styled(words, if automatic >= workers as usize { look.warning } else { look.dim }));
            }
        }
    }
    pen.rule(Rect { height: 1, ..area }, Edge::Middle, look.rule, &Line::from(title), &[]);
    let inside = inner(below(area, 1));
    for ((instance, vacuum), y) in running.into_iter().take(lines).zip(inside.top()..inside.bottom()) {
        let owner = pen.model.tables.rows.iter().find(|row| {
            row.instance == instance.name && row.vacuum.as_ref().is_some_and(|found| found.pid == vacuum.pid)
        });
        let line = vacuum_line(pen, vacuum, owner.and_then(|row| row.tenant.as_ref()), usize::from(inside.width));
        pen.put(inside.x, y, inside.width, &line);
    }
    u16::try_from(lines).unwrap_or(0) + 1
}

/// How far a vacuum is in what it does now; `None`: the server does not say of how much.
fn progress(vacuum: &Vacuum) -> Option<(u64, u64)> {
    let done = match &*vacuum.phase {
        "scanning heap" => vacuum.scanned,
        "vacuuming heap" => vacuum.vacuumed,
        _ => return None,
    };
    (vacuum.blocks > 0).then_some((done, vacuum.blocks))
}

/// One running vacuum: whose, which table, what it does, how far it is, for how long.
pub(super) fn vacuum_line(pen: &Pen<'_>, vacuum: &Vacuum, tenant: Option<&TenantId>, width: usize) -> Line<'static> {
    let look = pen.look;
    let on = match (&vacuum.schema, &vacuum.table) {
        (Some(schema), Some(table)) => format!("{schema}.{table}"),
        _ => format!("a table of {}", vacuum.database),
    };
    let (whose, name, phase) = if width >= 110 { (13, 34, 20) } else { (11, 18, 17) };
    let kind = match (vacuum.against_wraparound, vacuum.automatic) {
        (true, _) => ("wraparound", look.warning),
        (false, true) => ("auto", look.dim),
        (false, false) => ("manual", look.text),
    };
    let age = vacuum.since.map(|at| pen.model.moment().duration_since(at).as_secs_f64().max(0.0));
    let mut line = Line::from(vec![
        Span::styled(text::fit(tenant.map_or("—", |tenant| tenant.as_str()), whose), look.strong),
        Span::raw(" "),
        Span::styled(text::fit(&text::end(&on, name), name), look.text),
        Span::raw(" "),
        Span::styled(text::fit(&sanitise(&vacuum.phase), phase), look.accent),
        Span::styled(text::right(&age.map_or("—".to_owned(), duration), 8), look.text),
        Span::raw("  "),
    ]);
    let mut rest: Vec<Vec<Span<'static>>> = Vec::new();
    // A share is only drawn of what is known to be the whole.
    if let Some((done, of)) = progress(vacuum) {
        let share = done as f64 / of as f64;
        let mut bar = gauge::bar(Some(share), 10, look.accent, look.track);
        bar.push(Span::styled(text::right(&percent(share.min(1.0)), 5), look.text));
        rest.push(bar);
        rest.push(vec![Span::styled(format!("{}/{} blocks", count(done as f64), count(of as f64)), look.dim)]);
    }
    rest.push(vec![Span::styled(kind.0, kind.1)]);
    if vacuum.index_rounds > 0 {
        let style = if vacuum.index_rounds > 1 { look.warning } else { look.dim };
        rest.push(vec![Span::styled(format!("indexes gone through {}×", vacuum.index_rounds), style)]);
    }
    if let Some(wait) = &vacuum.wait {
        rest.push(vec![Span::styled(format!("waits: {}", sanitise(wait)), look.dim)]);
    }
    for part in rest {
        let wide: usize = part.iter().map(Span::width).sum();
        if line.width() + wide <= width {
            line.spans.extend(part);
            line.spans.push(Span::raw("  "));
        }
    }
    line
}

/// The table with its rule; `everywhere`: of all tenants.
pub(super) fn draw_table(pen: &mut Pen<'_>, area: Rect, worst: &Worst, name: &str, everywhere: bool) -> Window {
    let (model, look) = (pen.model, pen.look);
    let table = &worst.table;
    // None at all, and a server that is not reached: how many there are is not known.
    let uncounted = table.total == 0 && !pen.dark().is_empty();
    let unknown = bloat_unknown(pen, usize::from(area.width / 3));
    let unknown = unknown.map(|words| Line::from(Span::styled(format!(" {words} "), look.dim)));
    let old = pen.as_known(None).filter(|_| !uncounted);
    let remarks = old.into_iter().chain(unknown).collect();
    let heading = Heading { name, about: "worst", uncounted, remarks, ..Heading::default() };
    let inside = table::heading(pen, area, table, heading);
    let looks: Vec<Look<Of>> = LOOKS
        .into_iter()
        .filter(|look| match look.column {
            Of::Instance => everywhere && model.shown.instances.len() > 1,
            Of::Tenant => everywhere,
            _ => true,
        })
        .map(|look| match look.column {
            Of::Tenant if inside.width >= 140 => Look { width: 20, ..look },
            _ => look,
        })
        .collect();
    let looks = table::arranged(&looks, &worst.table.columns);
    let columns = table::place(&looks, inside.width, Of::Table, 60, Some(worst.table.sort));
    table::titles(pen, inside, &columns, Some((table.sort, table.descending)));
    let rows = below(inside, 1);
    if table.list.rows.is_empty() {
        let words = text::cut(&none(pen, worst, everywhere), usize::from(rows.width));
        pen.put(rows.x, rows.y, rows.width, &Line::from(Span::styled(words, look.dim)));
    }
    table::rows(pen, rows, &columns, &table.list, &worst.rows, true, cell)
}

fn none(pen: &Pen<'_>, worst: &Worst, everywhere: bool) -> String {
    let instances = &pen.model.shown.instances;
    let dark = pen.dark();
    if instances.is_empty() {
        String::new()
    } else if worst.table.total > 0 {
        "no table matches the filter: Esc clears it".to_owned()
    } else if !dark.is_empty() {
        format!("tables unknown: {dark} is not reached")
    } else if let (false, Answer::Asked) = (everywhere, &pen.model.homes.answer) {
        "asking for its tables …".to_owned()
    } else if let (false, Answer::Failed(reason)) = (everywhere, &pen.model.homes.answer) {
        format!("its tables are not known: {}", sanitise(reason))
    } else if let (false, Answer::Told(_)) = (everywhere, &pen.model.homes.answer) {
        "it has no tables".to_owned()
    } else if let Some(reason) = instances.iter().find_map(|one| one.debt.missing(pen.model.moment())) {
        format!("not known: {reason}")
    } else {
        let known = instances.iter().all(|instance| instance.bloat.fresh(pen.model.moment()).is_some());
        if known { "no table is in debt, bloated or old" } else { "no table is in debt; bloat is not known" }.to_owned()
    }
}

/// Why bloat is not shown, where it is not.
fn bloat_unknown(pen: &Pen<'_>, room: usize) -> Option<String> {
    let moment = pen.model.moment();
    let instances = &pen.model.shown.instances;
    if let Some(reason) = instances.iter().find_map(|instance| instance.bloat.missing(moment)) {
        return Some(text::cut(&format!("bloat not known: {reason}"), room));
    }
    let hidden: u32 = instances.iter().filter_map(|one| one.bloat.value.as_ref()).map(|bloat| bloat.hidden).sum();
    (hidden > 0).then(|| text::cut(&format!("bloat of {} not known", plural(hidden as usize, "table")), room))
}

fn cell(pen: &Pen<'_>, column: Of, row: &TableRow, width: usize) -> Line<'static> {
    let fresh = pen.model.shown.instance(&row.instance).map_or_else(Fresh::default, |one| Fresh::on(pen, one));
    let mut line = told(pen, column, row, width);
    let known = match column {
        Of::Bloat | Of::Wasted => fresh.bloat,
        Of::Xid | Of::Multixact => fresh.freeze,
        Of::Size => fresh.debt || row.debt.is_none() && fresh.bloat,
        _ => fresh.debt || row.debt.is_none(),
    };
    if !known {
        line.spans.iter_mut().for_each(|span| span.style = pen.look.faint);
    }
    line
}

fn told(pen: &Pen<'_>, column: Of, row: &TableRow, width: usize) -> Line<'static> {
    let look = pen.look;
    let missing = || Line::from(Span::styled("—", look.faint));
    let one = |words: String, style| Line::from(Span::styled(text::cut(&words, width), style));
    let debt = row.debt.as_ref();
    match column {
        Of::Tenant => row.tenant.as_ref().map_or_else(missing, |tenant| one(tenant.to_string(), look.strong)),
        Of::Instance => one(text::end(row.instance.as_str(), width), look.dim),
        Of::Database => one(row.database().to_string(), look.dim),
        Of::Table => one(name(row, width), look.text),
        Of::Debt => row.ratio().map_or_else(missing, |ratio| {
            let style = pressing(pen, ratio);
            let mut line = Line::from(gauge::bar(Some(ratio / 10.0), 4, style, look.track));
            line.push_span(Span::styled(text::right(&format!("{}×", count(ratio)), 7), style));
            line
        }),
        Of::Dead => debt.map_or_else(missing, |debt| one(format!("~{}", count(debt.dead_tuples as f64)), look.text)),
        Of::Threshold => debt.map_or_else(missing, |debt| one(count(debt.threshold), look.dim)),
        Of::Live => debt.map_or_else(missing, |debt| one(format!("~{}", count(debt.live_tuples as f64)), look.dim)),
        Of::Vacuumed if row.vacuum.is_some() => one("now".to_owned(), look.accent),
        Of::Vacuumed => match (debt, vacuumed(row, pen.model.moment())) {
            (None, _) => missing(),
            (Some(_), Some(age)) => one(duration(age.floor()), look.text),
            (Some(_), None) => one("never".to_owned(), look.warning),
        },
        Of::Autovacuum => debt.map_or_else(missing, |debt| {
            if debt.autovacuum { one("on".to_owned(), look.faint) } else { one("OFF".to_owned(), look.critical) }
        }),
        Of::Bloat => share(row).map_or_else(missing, |share| {
            one(format!("~{}", percent(share)), if share >= 0.5 { look.warning } else { look.text })
        }),
        Of::Wasted => row.wasted().map_or_else(missing, |(wasted, _)| one(format!("~{}", bytes(wasted)), look.text)),
        Of::Size => {
            row.bytes().map_or_else(missing, |size| one(format!("{}{}", row.size_mark(), bytes(size)), look.text))
        }
        Of::Xid => age(pen, row.xid_age),
        Of::Multixact => age(pen, row.multixact_age),
    }
}

/// The table's name with its schema, of which the beginning gives way first: tenants' schemas begin alike.
fn name(row: &TableRow, width: usize) -> String {
    let shown = row.shown();
    if text::width(&row.table().shown()) + 3 > width { shown } else { text::end(&shown, width) }
}

/// The style of a multiple of a threshold.
pub(super) fn pressing(pen: &Pen<'_>, ratio: f64) -> ratatui::style::Style {
    if ratio >= 10.0 {
        pen.look.critical
    } else if ratio >= 2.0 {
        pen.look.warning
    } else {
        pen.look.text
    }
}

/// An age in transaction ids; wraparound comes at two billion.
fn age(pen: &Pen<'_>, age: Option<u32>) -> Line<'static> {
    let look = pen.look;
    let Some(age) = age else { return Line::from(Span::styled("—", look.faint)) };
    let style = match age {
        1_500_000_000.. => look.critical,
        500_000_000.. => look.warning,
        _ => look.text,
    };
    Line::from(Span::styled(count(f64::from(age)), style))
}

#[cfg(test)]
mod tests {
    #[test]
    fn titles_are_names() {
        super::table::titles_are_names(&super::LOOKS);
    }
}
