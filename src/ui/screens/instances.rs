//! Screen 6: every instance, and of the one under the cursor its charts and what is known of it.

use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::charts::{self, Chart};
use super::fresh::Fresh;
use super::instance::facts;
use super::session::scrolled;
use super::{figures, rds};
use crate::app::instances::{InstanceColumn, pressed, state};
use crate::app::table::{Column, Value};
use crate::app::{InstanceTab, Span as Window, Target, Viewport};
use crate::domain::facts::cloud::{Metric, Standing};
use crate::domain::history::{InstancePoint, Measure, Whose};
use crate::domain::quantity::{GIB, count, percent, short};
use crate::domain::{Instance, Tier, prices};
use crate::ui::pen::{Edge, Pen, below, inner};
use crate::ui::widgets::table::{self, Heading, Look};
use crate::ui::widgets::{gauge, text};

use InstanceColumn as Of;

const LOOKS: [Look<Of>; 22] = [
    Look::new(Of::Trouble, "", 1, false, 0),
    Look::new(Of::Instance, "instance", 14, false, 0),
    Look::new(Of::Tier, "tier", 9, false, 8),
    Look::new(Of::Status, "status", 18, false, 1),
    Look::new(Of::Class, "class", 14, false, 5),
    Look::new(Of::Version, "version", 8, false, 7),
    Look::new(Of::Connections, "conn", 5, true, 0),
    Look::new(Of::Limit, "limit", 5, true, 6),
    Look::new(Of::Active, "running", 7, true, 0),
    Look::new(Of::Cpu, "cpu", 4, true, 1),
    Look::new(Of::Storage, "storage", 13, true, 1),
    Look::new(Of::Full, "full in", 7, true, 4),
    Look::new(Of::Pressure, "pressure", 13, false, 3),
    Look::new(Of::Blocked, "blocked", 7, true, 3),
    Look::new(Of::Transactions, "tps", 6, true, 9),
    Look::new(Of::Deadlocks, "dead/min", 8, true, 12),
    Look::new(Of::Cache, "cache", 5, true, 11),
    Look::new(Of::Horizon, "horizon", 7, true, 10),
    Look::new(Of::Queue, "queue", 5, true, 10),
    Look::new(Of::Zones, "zones", 9, false, 8),
    Look::new(Of::Encrypted, "enc", 3, false, 7),
    Look::new(Of::Cost, "$/month", 7, true, 6),
];

/// The list, and below it the one under the cursor.
pub(in crate::ui) fn draw(pen: &mut Pen<'_>, area: Rect) -> Viewport {
    let count = u16::try_from(pen.model.instances.list.rows.len()).unwrap_or(u16::MAX);
    let upper = count.max(1).min((area.height / 4).max(1)) + 2;
    let window = list(pen, Rect { height: upper, ..area });
    let model = pen.model;
    let selected = model.instances.list.selected().and_then(|at| model.shown.instances.get(at));
    if let Some(instance) = selected {
        let lower = below(area, upper);
        let used = past(pen, lower, instance);
        let rest = below(lower, used);
        if rest.height > 1 {
            let title = format!("{} · ⏎ shows all of it", instance.name);
            pen.rule(Rect { height: 1, ..rest }, Edge::Middle, pen.look.rule, &pen.title(&title), &[]);
            let inside = inner(below(rest, 1));
            let lines = facts(pen, instance, usize::from(inside.width));
            pen.block(inside, &lines);
        }
    }
    Viewport { list: Some(window), ..Viewport::default() }
}

/// One instance in full.
pub(in crate::ui) fn page(pen: &mut Pen<'_>, area: Rect) -> Viewport {
    let Some(kept) = &pen.model.instance else { return Viewport::default() };
    head(pen, area, &kept.value, kept.gone);
    let area = below(area, 1);
    match pen.model.instance_tab() {
        InstanceTab::Overview => {}
        InstanceTab::CloudWatch => return figures::draw(pen, area, &kept.value),
        InstanceTab::Rds => return rds::draw(pen, area, &kept.value),
    }
    let used = past(pen, area, &kept.value);
    let rest = below(area, used);
    let title = pen.title("WHAT IS KNOWN OF IT");
    pen.rule(Rect { height: 1, ..rest }, Edge::Middle, pen.look.rule, &title, &[]);
    let inside = inner(below(rest, 1));
    let lines = facts(pen, &kept.value, usize::from(inside.width));
    scrolled(pen, inside, &lines)
}

fn list(pen: &mut Pen<'_>, area: Rect) -> Window {
    let (model, look) = (pen.model, pen.look);
    let table = &model.instances;
    let looks = table::arranged(&LOOKS, &table.columns);
    let columns = table::place(&looks, inner(below(area, 1)).width, Of::Instance, 40, Some(table.sort));
    // What it costs elsewhere is another price.
    let priced = columns.iter().any(|column| column.look.column == Of::Cost);
    let region = &prices::prices().region;
    let remark = priced.then(|| Line::from(Span::styled(format!(" $ as in {region} "), look.dim)));
    let remarks = remark.into_iter().collect();
    let inside = table::heading(pen, area, table, Heading { name: "INSTANCES", remarks, ..Heading::default() });
    table::titles(pen, inside, &columns, Some((table.sort, table.descending)));
    let rows = below(inside, 1);
    if table.list.rows.is_empty() {
        let words =
            if table.total > 0 { "no instance matches the filter: Esc clears it" } else { "nothing is known yet" };
        pen.put(rows.x, rows.y, rows.width, &Line::from(Span::styled(words, look.dim)));
    }
    table::rows(pen, rows, &columns, &table.list, &model.shown.instances, true, cell)
}

fn cell(pen: &Pen<'_>, column: Of, instance: &Instance, width: usize) -> Line<'static> {
    let look = pen.look;
    let fresh = Fresh::on(pen, instance).activity;
    let plain = if fresh { look.text } else { look.faint };
    let number = |value: Option<f64>| value.map_or("—".to_owned(), count);
    let words = match column {
        Of::Trouble => {
            let standing = instance.standing();
            return Line::from(match state(instance) {
                "up" | "apart" if standing == Some(Standing::Hurt) => Span::styled("✖", look.critical),
                "up" if fresh && standing == Some(Standing::Busy) => Span::styled("▲", look.warning),
                "up" if fresh => Span::styled("●", look.good),
                "apart" => Span::styled("◌", look.faint),
                "down" | "blind" => Span::styled("✖", look.critical),
                _ => Span::styled("◌", look.warning),
            });
        }
        Of::Instance => {
            let style = if fresh { look.strong } else { look.dim };
            return Line::from(Span::styled(text::end(instance.name.as_str(), width), style));
        }
        Of::Pressure => {
            let pressed = pressed(instance);
            let style = pressed.filter(|_| fresh).map_or(look.faint, |share| look.share(share));
            let mut line = Line::from(gauge::bar(pressed, width.saturating_sub(5), style, look.track));
            line.push_span(Span::styled(text::right(&pressed.map_or("—".to_owned(), percent), 5), plain));
            return line;
        }
        Of::Tier => match instance.tier {
            Tier::Shared => "shared".to_owned(),
            Tier::Dedicated => "dedicated".to_owned(),
        },
        Of::Version => match column.value(instance, &pen.model.moment()) {
            Value::Text(words) => text::cut(&words, width),
            _ => "—".to_owned(),
        },
        Of::Status | Of::Class | Of::Cpu | Of::Storage | Of::Free | Of::Full | Of::Zones | Of::Encrypted | Of::Cost => {
            return cloud(pen, column, instance, width);
        }
        Of::Connections => number(instance.connections.map(f64::from)),
        Of::Limit => number(instance.usable_connections().map(f64::from)),
        Of::Active => number(instance.active.map(f64::from)),
        Of::Blocked => number(instance.blocked.map(f64::from)),
        Of::Transactions => number(instance.rates.transactions),
        Of::Deadlocks => number(instance.rates.deadlocks_per_minute),
        Of::Cache => instance.rates.cache_hit.map_or("—".to_owned(), percent),
        Of::Horizon | Of::Queue => match column.value(instance, &pen.model.moment()) {
            Value::Number(value) => count(value),
            _ => "—".to_owned(),
        },
    };
    let hurts = fresh
        && (column == Of::Blocked && instance.blocked > Some(0) || column == Of::Queue && words != "0" && words != "—");
    Line::from(Span::styled(words, if hurts { look.critical } else { plain }))
}

/// What AWS says of it: it may be of now though its PostgreSQL is not reached, and the other way round.
fn cloud(pen: &Pen<'_>, column: Of, instance: &Instance, width: usize) -> Line<'static> {
    let (look, moment) = (pen.look, pen.model.moment());
    let missing = || Line::from(Span::styled("—", look.faint));
    let Some(cloud) = &instance.cloud else { return missing() };
    let thresholds = &pen.model.settings.thresholds;
    let described = cloud.rds.fresh(moment).is_some();
    let plain = if described { look.text } else { look.faint };
    let one = |words: String, style| Line::from(Span::styled(text::cut(&words, width), style));
    match (column, column.value(instance, &moment)) {
        (Of::Status, Value::Text(words)) => {
            let style = match cloud.standing() {
                _ if !described => look.faint,
                Some(Standing::Serves) => look.text,
                Some(Standing::Hurt) => look.critical,
                Some(Standing::Busy) | None => look.warning.remove_modifier(Modifier::BOLD),
            };
            one(words.into_owned(), style)
        }
        (Of::Encrypted, Value::Text(words)) if words == "no" && described => one("NO".to_owned(), look.warning),
        (_, Value::Text(words)) => one(words.into_owned(), plain),
        (Of::Cost, Value::Number(cost)) => one(format!("~{cost:.0}"), plain),
        (Of::Full, Value::Number(seconds)) => {
            let severity = cloud.filling(moment).and_then(|filling| filling.severity(thresholds));
            one(format!("~{}", short(seconds)), look.graded(severity).unwrap_or(look.text))
        }
        (Of::Cpu, _) => cloud.figure(Metric::CpuUtilization, moment).map_or_else(missing, |figure| {
            let style = look.rung(thresholds.cpu, figure.value / 100.0).unwrap_or(look.text);
            one(format!("{:.0}%", figure.value), if figure.fresh { style } else { look.faint })
        }),
        (Of::Storage, _) => cloud.filling(moment).map_or_else(missing, |filling| {
            let style = look.graded(filling.severity(thresholds)).unwrap_or(look.text);
            let style = if filling.free.fresh { style } else { look.faint };
            one(format!("{}/{} GiB", count(filling.used() / GIB), count(filling.all / GIB)), style)
        }),
        _ => missing(),
    }
}

/// Its name and its pages.
fn head(pen: &mut Pen<'_>, area: Rect, instance: &Instance, gone: bool) {
    let (model, look) = (pen.model, pen.look);
    let mut title = Line::from(Span::styled(format!(" {} ", text::cut(instance.name.as_str(), 44)), look.strong));
    title.spans.extend(gone.then(|| Span::styled("gone: as it was last seen ", look.warning)));
    let pages: Vec<Line<'static>> = InstanceTab::ALL
        .into_iter()
        .map(|tab| {
            let open = look.accent.add_modifier(Modifier::BOLD | Modifier::UNDERLINED);
            let style = if tab == model.instance_tab() { open } else { look.dim };
            Line::from(vec![Span::raw(" "), Span::styled(tab.title(), style), Span::raw(" ")])
        })
        .collect();
    for (at, place) in pen.rule(Rect { height: 1, ..area }, Edge::Middle, look.rule, &title, &pages) {
        if let Some(&tab) = InstanceTab::ALL.get(at) {
            pen.spot(place, Target::InstanceTab(tab));
        }
    }
}

/// Its charts below a title; says how many rows that took.
fn past(pen: &mut Pen<'_>, area: Rect, instance: &Instance) -> u16 {
    let whose = Whose { instance: instance.name.clone(), tenant: None };
    let height = if area.width >= 110 { (area.height * 2 / 5).max(7) } else { (area.height / 3).max(5) };
    let title = pen.title(&charts::title(pen));
    let words = if charts::is_stored(pen) { charts::unstored(pen, &whose) } else { aged(pen, instance) };
    let words: Vec<Line<'static>> = words.into_iter().collect();
    pen.rule(Rect { height: 1, ..area }, Edge::Middle, pen.look.rule, &title, &words);
    let inside = inner(Rect { height: height.saturating_sub(1), ..below(area, 1) });
    draw_charts(pen, inside, instance, &whose);
    height
}

/// How old it is, where it is too old to speak of now.
fn aged(pen: &Pen<'_>, instance: &Instance) -> Option<Line<'static>> {
    if Fresh::on(pen, instance).activity {
        return None;
    }
    let age = instance.activity.age(pen.model.moment());
    let words = age.map_or(" not seen yet ".to_owned(), |age| {
        format!(" as last known, {} ago ", crate::domain::quantity::duration(age.as_secs_f64()))
    });
    Some(Line::from(Span::styled(words, pen.look.warning)))
}

fn draw_charts(pen: &mut Pen<'_>, area: Rect, instance: &Instance, whose: &Whose) {
    let look = pen.look;
    let fresh = Fresh::on(pen, instance).activity;
    let points = |take: fn(&InstancePoint) -> Option<f64>, measure| {
        let recent = instance.series.iter().map(move |(at, point)| (*at, take(point)));
        charts::points(pen, whose, recent, instance.series.width(), measure)
    };
    let chart = |title, now, style, limit, points| Chart { title, now, fresh, style, limit, points };
    // Transactions are in memory only, rows only in what is stored.
    let (work, done) = if charts::is_stored(pen) {
        ("rows written/s", instance.rates.rows_written)
    } else {
        ("transactions/s", instance.rates.transactions)
    };
    let drawn = [
        chart(
            "busy sessions",
            instance.active.map(f64::from),
            look.accent,
            Some(instance.vcpus),
            points(|point| Some(f64::from(point.active)), Measure::Active),
        ),
        chart(
            "connections",
            instance.connections.map(f64::from),
            look.second,
            instance.usable_connections().map(f64::from),
            points(|point| Some(f64::from(point.connections)), Measure::Connections),
        ),
        chart(
            "waiting for locks",
            instance.blocked.map(f64::from),
            look.warning.remove_modifier(Modifier::BOLD),
            None,
            points(|point| Some(f64::from(point.blocked)), Measure::Waiting),
        ),
        chart(work, done, look.good, None, points(|point| point.transactions.map(f64::from), Measure::RowsWritten)),
    ];
    charts::draw(pen, area, drawn);
}

#[cfg(test)]
mod tests {
    #[test]
    fn titles_are_names() {
        super::table::titles_are_names(&super::LOOKS);
    }
}
