//! What a tenant may take and what it takes: limits in use, in effect and wanted; shares of the instance.

use std::time::Duration;

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::domain::snapshot::LimitScope;
use crate::domain::{Session, Tenant, quantity};
use crate::ui::pen::Pen;
use crate::ui::widgets::{gauge, text};

/// Use, what is in effect, what is wanted; where the two differ it says so.
pub(super) fn limits(pen: &Pen<'_>, tenant: &Tenant, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let own: Vec<&Session> =
        pen.model.page.sessions.list.rows.iter().filter_map(|&at| pen.model.shown.sessions.get(at)).collect();
    let oldest = |age: fn(&Session) -> Option<f64>| own.iter().filter_map(|session| age(session)).reduce(f64::max);
    let (effective, wanted) = (tenant.limits.effective, tenant.limits.wanted);
    let seconds = |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64());
    let count = |limit: Option<u32>| limit.map(f64::from);
    let name = width.saturating_sub(9 * 3 + 12).clamp(19, 34);
    let mut lines = vec![Line::from(Span::styled(
        format!(
            "{}{}{}{}",
            text::fit("limit", name),
            text::right("in use", 9),
            text::right("effective", 10),
            text::right("wanted", 9)
        ),
        look.faint,
    ))];
    let whole: fn(f64) -> String = quantity::count;
    let time: fn(f64) -> String = quantity::duration;
    let idle: fn(&Session) -> Option<f64> =
        |session| session.state.is_idle_in_transaction().then(|| session.state_age()).flatten();
    let rows = [
        (
            "connections",
            count(tenant.connections),
            count(effective.connection_limit),
            count(wanted.connection_limit),
            whole,
        ),
        (
            "statement timeout",
            oldest(Session::query_age),
            seconds(effective.statement_timeout),
            seconds(wanted.statement_timeout),
            time,
        ),
        (
            "lock timeout",
            oldest(Session::lock_wait),
            seconds(effective.lock_timeout),
            seconds(wanted.lock_timeout),
            time,
        ),
        (
            "idle-in-tx timeout",
            oldest(idle),
            seconds(effective.idle_in_transaction_session_timeout),
            seconds(wanted.idle_in_transaction_session_timeout),
            time,
        ),
    ];
    for (title, used, limit, want, write) in rows {
        let drifts = want.is_some() && want != limit;
        let near = used.zip(limit).map(|(used, limit)| used / limit.max(0.001));
        let used_style = near.map_or(look.text, |share| if share >= 0.8 { look.share(share) } else { look.text });
        let shown = |value: Option<f64>| value.map_or("—".to_owned(), write);
        lines.push(Line::from(vec![
            Span::styled(text::fit(title, name), look.text),
            Span::styled(text::right(&shown(used), 9), used_style),
            Span::styled(text::right(&shown(limit), 10), if drifts { look.warning } else { look.text }),
            Span::styled(text::right(&shown(want), 9), look.dim),
            Span::styled(if drifts { "  ≠" } else { "" }, look.warning),
        ]));
    }
    let login = tenant.limits.login.as_ref().map_or("its login".to_owned(), ToString::to_string);
    let scope = match tenant.limit_scope {
        LimitScope::Tenant => format!("set on {login}"),
        LimitScope::ServiceAccount => {
            format!("its sessions use {login}: only that account's limits bind, for all tenants together")
        }
    };
    lines.extend(text::wrap_in(&scope, width, 2).into_iter().map(|words| Line::from(Span::styled(words, look.dim))));
    lines
}

/// What it took of the instance in the last minute, beside how near the instance is to its limit.
pub(super) fn shares(pen: &Pen<'_>, tenant: &Tenant, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let noise = tenant.noise;
    let pressure = pen.model.shown.instance(&tenant.instance).map(|instance| instance.pressure).unwrap_or_default();
    let bar = (width.saturating_sub(18 + 6 + 18) / 2).clamp(4, 16);
    let mut lines = vec![Line::from(Span::styled(
        format!(
            "{}{}{}",
            text::fit("share of instance", 18),
            text::fit("", bar + 6),
            text::fit("   pressure there", bar + 9)
        ),
        look.faint,
    ))];
    let rows = [
        ("active time", noise.active_time, pressure.cpu),
        ("connections", noise.connections, pressure.connections),
        ("rows written", noise.rows_written, pressure.writes),
        ("WAL", noise.wal, pressure.writes),
        ("blocks read", noise.blocks_read, pressure.reads),
    ];
    for (title, share, pressure) in rows {
        let mut line = Line::from(Span::styled(text::fit(title, 18), look.text));
        let gauge = |line: &mut Line<'static>, value: Option<f64>, style: Style| {
            line.spans.extend(gauge::bar(value, bar, style, look.track));
            let words = value.map_or("—".to_owned(), quantity::percent);
            let style = if value.is_some() { look.text } else { look.faint };
            line.push_span(Span::styled(text::right(&words, 6), style));
        };
        gauge(&mut line, share, look.second);
        line.push_span(Span::raw("   "));
        gauge(&mut line, pressure, pressure.map_or(look.faint, |pressure| look.share(pressure)));
        lines.push(line);
    }
    let blocked = noise.blocked_others_seconds.map_or("—".to_owned(), quantity::duration);
    let score = tenant.noise_score.map_or("—".to_owned(), |score| format!("{score:.0}"));
    lines.push(Line::from(vec![
        Span::styled(text::fit("noise score", 18), look.text),
        Span::styled(score, look.strong),
        Span::styled("   kept others waiting ", look.dim),
        Span::styled(blocked, look.text),
    ]));
    lines
}
