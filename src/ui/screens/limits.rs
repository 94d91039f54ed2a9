//! What a tenant may take and what it takes: limits in use, in effect and wanted; shares of the instance.

use std::time::Duration;

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::fresh::Fresh;
use crate::domain::snapshot::LimitScope;
use crate::domain::{Foreign, Session, Signal, Tenant, Tier, quantity};
use crate::ui::pen::Pen;
use crate::ui::widgets::{gauge, text};

/// Use, what is in effect, what is wanted; where the two differ it says so.
pub(super) fn limits(pen: &Pen<'_>, tenant: &Tenant, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let fresh = Fresh::of(pen, tenant);
    let account = account(tenant);
    let own = bearers(pen, tenant);
    let on_account = fresh.activity.then_some(own.len()).and_then(|own| u32::try_from(own).ok());
    let connections = if account.is_some() { on_account } else { tenant.bound.or(tenant.connections) };
    let known = binding_known(pen, tenant);
    let oldest = |age: fn(&Session) -> Option<f64>| own.iter().filter_map(|session| age(session)).reduce(f64::max);
    let (effective, wanted) = (tenant.limits.effective, tenant.limits.wanted);
    let seconds = |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64());
    let count = |limit: Option<u32>| limit.map(f64::from);
    let name = width.saturating_sub(9 * 3 + 12).clamp(19, 34);
    let mut lines = vec![Line::from(Span::styled(
        format!(
            "{}{}{}{}",
            text::fit(if account.is_some() { "limit of the account" } else { "limit" }, name),
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
            ("connections", "∞", ""),
            count(connections),
            count(effective.connection_limit),
            // What is wanted of a tenant's own login says nothing of the account that many share.
            count(wanted.connection_limit.filter(|_| account.is_none())),
            whole,
        ),
        (
            ("statement timeout", "none", "statement_timeout"),
            oldest(Session::query_age),
            seconds(effective.statement_timeout),
            seconds(wanted.statement_timeout),
            time,
        ),
        (
            ("lock timeout", "none", "lock_timeout"),
            oldest(Session::lock_wait),
            seconds(effective.lock_timeout),
            seconds(wanted.lock_timeout),
            time,
        ),
        (
            ("idle-in-tx timeout", "none", "idle_in_transaction_session_timeout"),
            oldest(idle),
            seconds(effective.idle_in_transaction_session_timeout),
            seconds(wanted.idle_in_transaction_session_timeout),
            time,
        ),
    ];
    for ((title, unset, setting), used, limit, want, write) in rows {
        let known = known && !tenant.limits.unknown.contains(&setting);
        let drifts = want.is_some() && want != limit && (known || limit.is_some());
        let near = used.zip(limit).map(|(used, limit)| used / limit.max(0.001));
        let used = used.filter(|_| fresh.activity);
        let used_style = near.map_or(look.text, |share| if share >= 0.8 { look.share(share) } else { look.text });
        let shown = match used {
            Some(used) => write(used),
            None if fresh.activity => "0s".to_owned(),
            None => "—".to_owned(),
        };
        let bound = limit.map_or((if known { unset } else { "—" }).to_owned(), write);
        let bound_style = if !fresh.roles {
            look.faint
        } else if drifts {
            look.warning
        } else {
            look.text
        };
        lines.push(Line::from(vec![
            Span::styled(text::fit(title, name), look.text),
            Span::styled(text::right(&shown, 9), if used.is_some() { used_style } else { look.faint }),
            Span::styled(text::right(&bound, 10), bound_style),
            Span::styled(text::right(&want.map_or(String::new(), write), 9), look.dim),
            Span::styled(if drifts { "  ≠" } else { "" }, look.warning),
        ]));
    }
    let login = tenant.limits.login.as_ref().map_or("its login".to_owned(), ToString::to_string);
    let scope = match tenant.limit_scope {
        LimitScope::Tenant => match others(pen, tenant) {
            0 => format!("set on {login}"),
            others => format!("set on {login}; {} on other logins", quantity::plural(others, "more session")),
        },
        LimitScope::ServiceAccount => {
            format!(
                "{login}'s: the account that its sessions share; use and limits are those of all its tenants together"
            )
        }
    };
    lines.extend(text::wrap_in(&scope, width, 2).into_iter().map(|words| Line::from(Span::styled(words, look.dim))));
    lines
}

/// The account whose limits bind a tenant, where it has no login of its own.
fn account(tenant: &Tenant) -> Option<&Foreign> {
    (tenant.limit_scope == LimitScope::ServiceAccount).then_some(tenant.limits.login.as_ref()).flatten()
}

/// The tenant's sessions that its own login's limits do not bind: those of an administrator, or of the shared account.
fn others(pen: &Pen<'_>, tenant: &Tenant) -> usize {
    let Some(login) = &tenant.limits.login else { return 0 };
    let sessions = pen.model.shown.sessions.iter().filter(|session| session.instance == tenant.instance);
    sessions.filter(|session| session.attribution.tenant() == Some(&tenant.id) && session.role != *login).count()
}

/// The sessions that are held against the limits: those of the tenant's own login, or all of the account that it shares.
fn bearers<'a>(pen: &Pen<'a>, tenant: &Tenant) -> Vec<&'a Session> {
    let account = account(tenant);
    let login = tenant.limits.login.as_ref();
    let on_it = pen.model.shown.sessions.iter().filter(|session| session.instance == tenant.instance);
    on_it
        .filter(|session| match account {
            Some(login) => session.role == *login,
            None => {
                session.attribution.tenant() == Some(&tenant.id) && login.is_none_or(|login| session.role == *login)
            }
        })
        .collect()
}

/// Whether it is known what binds a tenant: then what is not set is no limit, and not a gap.
pub(super) fn binding_known(pen: &Pen<'_>, tenant: &Tenant) -> bool {
    let roles = pen.model.shown.instance(&tenant.instance).and_then(|instance| instance.roles.value.as_ref());
    let login = tenant.limits.login.as_ref();
    roles.zip(login).is_some_and(|(roles, login)| roles.roles.iter().any(|role| role.name == *login))
}

/// What it took of the instance in the last minute, beside how near the instance is to its limit.
pub(super) fn shares(pen: &Pen<'_>, tenant: &Tenant, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let fresh = Fresh::of(pen, tenant).activity;
    let (plain, dim, strong) =
        if fresh { (look.text, look.dim, look.strong) } else { (look.faint, look.faint, look.faint) };
    let noise = tenant.noise;
    let pressure = pen.model.shown.instance(&tenant.instance).map(|instance| instance.pressure).unwrap_or_default();
    let bar = (width.saturating_sub(18 + 6 + 18) / 2).clamp(4, 16);
    let mut lines = vec![Line::from(Span::styled(
        format!(
            "{}{}{}",
            text::fit("share of instance, last 60 s", 18 + bar + 6),
            "",
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
        let mut line = Line::from(Span::styled(text::fit(title, 18), plain));
        let gauge = |line: &mut Line<'static>, value: Option<f64>, style: Style| {
            line.spans.extend(gauge::bar(value, bar, style, look.track));
            let words = value.map_or("—".to_owned(), quantity::percent);
            let style = if value.is_some() { plain } else { look.faint };
            line.push_span(Span::styled(text::right(&words, 6), style));
        };
        gauge(&mut line, share, if fresh { look.second } else { look.faint });
        line.push_span(Span::raw("   "));
        gauge(&mut line, pressure, pressure.filter(|_| fresh).map_or(look.faint, |pressure| look.share(pressure)));
        lines.push(line);
    }
    let blocked = noise.blocked_others_seconds.map_or("—".to_owned(), |seconds| format!("{seconds:.0}"));
    let score = tenant.noise_score.map_or("—".to_owned(), |score| format!("{score:.0}"));
    lines.push(Line::from(vec![
        Span::styled(text::fit("noise score", 18), plain),
        Span::styled(score, strong),
        Span::styled("   session-seconds others waited ", dim),
        Span::styled(blocked, plain),
    ]));
    lines.extend(fitting(pen, tenant).map(|words| {
        let words = text::cut(&words, width.saturating_sub(18));
        Line::from(vec![Span::styled(text::fit("tier that fits", 18), plain), Span::styled(words, plain)])
    }));
    lines
}

/// The tier that its history asks for, over what it was watched; or when that will be known; `None`: nothing is known.
fn fitting(pen: &Pen<'_>, tenant: &Tenant) -> Option<String> {
    let watched = tenant.record.as_ref().map(|record| quantity::duration(record.watched_seconds.floor()));
    let unknown = || pen.model.shown.unknown.iter().filter(|it| it.subject.instance == tenant.instance);
    let waits = unknown().find_map(|it| it.known_at.filter(|_| it.signal == Signal::TierMisfit));
    Some(match (tenant.recommended_tier, watched, waits) {
        (Some(Tier::Shared), Some(watched), _) => format!("shared, by what {watched} showed"),
        (Some(Tier::Dedicated), Some(watched), _) => format!("dedicated, by what {watched} showed"),
        (_, watched, Some(at)) => {
            let far = watched.map_or(String::new(), |watched| format!(", watched {watched}"));
            format!("— known by {}{far}", quantity::minute(at))
        }
        _ => return None,
    })
}
