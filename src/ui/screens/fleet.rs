//! Screen 1: what is wrong, and every tenant in one table.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::fresh::Fresh;
use super::limits;
use crate::app::columns::{STUCK, TenantColumn, dead_share, problem};
use crate::app::{FleetFocus, Pane, Viewport};
use crate::domain::snapshot::LimitScope;
use crate::domain::{Tenant, Tier, quantity};
use crate::ui::pen::{Pen, below};
use crate::ui::theme::glyph;
use crate::ui::widgets::table::{self, Heading, Look};
use crate::ui::widgets::{chart, gauge, text};
use crate::ui::wrong;

use TenantColumn as Of;

const LOOKS: [Look<Of>; 15] = [
    Look::new(Of::Severity, "", 1, false, 0),
    Look::new(Of::Tenant, "tenant", 16, false, 0),
    Look::new(Of::Tier, "tier", 4, false, 10),
    Look::new(Of::Instance, "instance", 10, false, 4),
    Look::new(Of::Connections, "conn/limit", 13, false, 1),
    Look::new(Of::Active, "act", 4, true, 1),
    Look::new(Of::Waiting, "wait", 11, false, 1),
    Look::new(Of::IdleInTransaction, "idle-tx", 7, true, 2),
    Look::new(Of::Oldest, "oldest", 7, true, 2),
    Look::new(Of::Noise, "noise", 9, true, 3),
    Look::new(Of::RowsPerDay, "rows/day", 8, true, 5),
    Look::new(Of::Dead, "dead", 5, true, 7),
    Look::new(Of::Size, "size", 8, true, 6),
    Look::new(Of::Trend, "running 15m", 12, false, 8),
    Look::new(Of::Problem, "problem", 30, false, 9),
];

pub(in crate::ui) fn draw(pen: &mut Pen<'_>, area: Rect) -> Viewport {
    // The table keeps at least five rows; the answer has the first call on the rest.
    let budget = (area.height * 9 / 20).max(4).min(area.height.saturating_sub(8).max(2));
    let (used, findings) = wrong::draw(pen, area, budget);
    let rest = below(area, used);
    let tenants = tenants(pen, rest);
    let list = match pen.model.fleet.focus {
        FleetFocus::Findings => findings,
        FleetFocus::Tenants => tenants,
    };
    Viewport { list: Some(list), ..Viewport::default() }
}

fn tenants(pen: &mut Pen<'_>, area: Rect) -> crate::app::Span {
    let (model, look) = (pen.model, pen.look);
    let fleet = &model.fleet;
    let focused = fleet.focus == FleetFocus::Tenants;
    let table = &fleet.tenants;
    let shown = table.list.rows.len();
    pen.pane = Some(Pane::Tenants);
    let lost = model.shown.unattributed;
    // None at all, and a server that is not reached: how many there are is not known.
    let uncounted = table.total == 0 && !pen.dark().is_empty();
    let mut remarks: Vec<Line<'static>> = pen.as_known(None).filter(|_| !uncounted).into_iter().collect();
    if lost.connections > 0 && pen.dark().is_empty() {
        let sessions = quantity::plural(lost.connections as usize, "session");
        let words = format!(" {sessions} without a tenant, {} active ", lost.active);
        remarks.push(Line::from(Span::styled(words, look.dim)));
    }
    let heading = Heading { name: "TENANTS", uncounted, asleep: !focused, remarks, ..Heading::default() };
    let inside = table::heading(pen, area, table, heading);
    let mixed = model.shown.instances.iter().any(|one| one.tier != model.shown.instances[0].tier);
    let looks: Vec<Look<Of>> = LOOKS
        .into_iter()
        .filter(|look| look.column != Of::Instance || model.shown.instances.len() > 1)
        .map(|look| match look.column {
            Of::Tenant if area.width >= 154 => Look { width: 28, ..look },
            // Where there are both tiers, which one is worth more than other figures.
            Of::Tier if mixed => Look { rank: 3, ..look },
            Of::Instance if mixed && area.width >= 120 => Look { width: 16, ..look },
            _ => look,
        })
        .collect();
    let looks = table::arranged(&looks, &table.columns);
    // On a wide terminal the words about the problem take what is left, else the name does.
    let roomy = inside.width >= 150 && looks.iter().any(|look| look.column == Of::Problem);
    let columns = if roomy {
        table::place(&looks, inside.width, Of::Problem, u16::MAX, Some(table.sort))
    } else {
        table::place(&looks, inside.width, Of::Tenant, 40, Some(table.sort))
    };
    table::titles(pen, inside, &columns, Some((table.sort, table.descending)));
    let rows = below(inside, 1);
    if shown == 0 {
        let dark = pen.dark();
        let unknown = format!("tenants unknown: {dark} is not reached");
        let words = if model.shown.instances.is_empty() {
            ""
        } else if table.total == 0 && !dark.is_empty() {
            &unknown
        } else if table.total == 0 {
            "no tenant is known yet"
        } else {
            "no tenant matches the filter: Esc clears it"
        };
        pen.put(rows.x, rows.y, rows.width, &Line::from(Span::styled(words, look.dim)));
    }
    table::rows(pen, rows, &columns, &table.list, &model.shown.tenants, focused, cell)
}

fn cell(pen: &Pen<'_>, column: Of, tenant: &Tenant, width: usize) -> Line<'static> {
    let look = pen.look;
    let fresh = Fresh::of(pen, tenant);
    let activity = if fresh.activity { look.text } else { look.faint };
    let churn = if fresh.churn { look.text } else { look.faint };
    let count = |value: Option<u32>, style: Style| match value {
        Some(0) => Span::styled("0", look.faint),
        Some(value) => Span::styled(quantity::count(f64::from(value)), style),
        None => Span::styled("—", look.faint),
    };
    let known = |value: Option<String>, style: Style| {
        value.map_or(Span::styled("—", look.faint), |value| Span::styled(value, style))
    };
    match column {
        Of::Severity => mark(pen, tenant, fresh.activity),
        Of::Tenant => {
            let style = match tenant.severity {
                _ if !fresh.activity => look.dim,
                Some(_) => look.strong,
                None => look.text,
            };
            Line::from(Span::styled(text::cut(tenant.id.as_str(), width), style))
        }
        Of::Limit => Line::default(),
        Of::Tier => Line::from(Span::styled(
            match tenant.tier {
                Tier::Shared => "S",
                Tier::Dedicated => "D",
            },
            look.dim,
        )),
        Of::Instance => Line::from(Span::styled(text::end(tenant.instance.as_str(), width), look.dim)),
        Of::Connections => connections(pen, tenant, activity, fresh.activity),
        Of::Active => Line::from(count(tenant.active, activity)),
        Of::Waiting => waiting(pen, tenant, width, fresh.activity),
        Of::IdleInTransaction => {
            // Every transaction pauses between two statements: only one that has been open for a while warns.
            let long = tenant.oldest_transaction_seconds.is_some_and(|age| age >= STUCK);
            Line::from(count(tenant.idle_in_transaction, if fresh.activity && long { look.warning } else { activity }))
        }
        Of::Oldest => Line::from(known(
            tenant.oldest_transaction_seconds.map(quantity::duration).map(|age| text::cut(&age, width)),
            activity,
        )),
        Of::Noise => {
            let style =
                tenant.noise_score.filter(|_| fresh.activity).map_or(look.faint, |score| look.share(score / 100.0));
            // What is written as 0 has no bar either.
            let score = tenant.noise_score.filter(|score| *score >= 0.5);
            let mut line = Line::from(gauge::bar(score.map(|score| score / 100.0), 5, style, look.track));
            line.push_span(Span::styled(
                text::right(&tenant.noise_score.map_or("—".to_owned(), |score| format!("{score:.0}")), 4),
                if tenant.noise_score.is_some_and(|score| score >= 0.5) { activity } else { look.faint },
            ));
            line
        }
        Of::RowsPerDay => {
            let mark = if tenant.rows_written_estimated { "~" } else { "" };
            Line::from(known(tenant.rows_written_per_day.map(|rows| format!("{mark}{}", quantity::count(rows))), churn))
        }
        Of::Dead => {
            let share = dead_share(tenant);
            let style = if share.is_some_and(|share| share >= 0.2) && fresh.churn { look.warning } else { churn };
            Line::from(known(share.map(|share| format!("~{}", quantity::percent(share))), style))
        }
        Of::Size => {
            let mark = if tenant.size_estimated { "~" } else { "" };
            let style = if fresh.sizes { look.text } else { look.faint };
            Line::from(known(tenant.size_bytes.map(|bytes| format!("{mark}{}", size(bytes))), style))
        }
        Of::Trend => {
            let points = tenant.series.iter().map(|(at, point)| (at, Some(f64::from(point.active))));
            let time = chart::Time::recent(pen.model.moment(), tenant.series.width());
            let style = if fresh.activity { look.second } else { look.faint };
            // One scale for all tenants of an instance: a tall bar is a tenant that fills its CPUs.
            let vcpus = pen.model.shown.instance(&tenant.instance).map(|instance| instance.vcpus);
            Line::from(Span::styled(chart::spark(points, time, width, vcpus), style))
        }
        Of::Problem => {
            let style = tenant
                .severity
                .filter(|_| fresh.activity)
                .map_or(look.dim, |severity| look.severity(severity).remove_modifier(Modifier::BOLD));
            let style = if fresh.activity { style } else { look.faint };
            Line::from(Span::styled(text::cut(&problem(tenant).unwrap_or_default(), width), style))
        }
    }
}

/// Bytes in few cells: `118G`, `9.4M`.
fn size(bytes: u64) -> String {
    quantity::bytes(bytes).replace("iB", "").replace(' ', "")
}

/// What a tenant causes, or that it suffers.
fn mark(pen: &Pen<'_>, tenant: &Tenant, fresh: bool) -> Line<'static> {
    let look = pen.look;
    let aged = |style: Style| if fresh { style } else { look.faint };
    Line::from(match tenant.severity {
        Some(severity) => Span::styled(glyph(severity), aged(look.severity(severity))),
        None if !tenant.suffers.is_empty() => Span::styled("◆", aged(look.second)),
        None => Span::raw(" "),
    })
}

fn connections(pen: &Pen<'_>, tenant: &Tenant, style: Style, fresh: bool) -> Line<'static> {
    let look = pen.look;
    let limit = tenant.limits.effective.connection_limit;
    // Beside a limit stand the sessions that it counts.
    let held =
        if tenant.limit_scope == LimitScope::Tenant && limit.is_some() { tenant.bound } else { tenant.connections };
    let used = held.map_or("—".to_owned(), |used| quantity::count(f64::from(used)));
    let mut line = Line::from(Span::styled(format!("{used:>4}"), if held == Some(0) { look.faint } else { style }));
    match (tenant.limit_scope, limit) {
        // The limit of the shared account binds all of its tenants together: no gauge of this one.
        (LimitScope::ServiceAccount, _) => line.push_span(Span::styled(" shared", look.faint)),
        (LimitScope::Tenant, None) => {
            let limit = if limits::binding_known(pen, tenant) { "/∞" } else { "/—" };
            line.push_span(Span::styled(limit, look.dim));
        }
        (LimitScope::Tenant, Some(limit)) => {
            line.push_span(Span::styled(format!("/{:<4}", quantity::count(f64::from(limit))), look.dim));
            let share = held.map(|used| f64::from(used) / f64::from(limit.max(1)));
            let style = share.filter(|_| fresh).map_or(look.faint, |share| look.share(share));
            line.spans.extend(gauge::bar(share, 4, style, look.track));
        }
    }
    line
}

fn waiting(pen: &Pen<'_>, tenant: &Tenant, width: usize, fresh: bool) -> Line<'static> {
    let look = pen.look;
    let style = if fresh { look.warning.remove_modifier(Modifier::BOLD) } else { look.faint };
    match tenant.waiting {
        None => Line::from(Span::styled("  —", look.faint)),
        Some(0) => Line::from(Span::styled("  0", look.faint)),
        Some(waiting) => {
            let kind = tenant.waits_for.as_deref().unwrap_or_default();
            let words =
                format!("{:>3} {}", quantity::count(f64::from(waiting)), crate::domain::foreign::sanitise(kind));
            Line::from(Span::styled(text::cut(&words, width), style))
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn titles_are_names() {
        super::table::titles_are_names(&super::LOOKS);
    }
}
