//! The line on top: where we are, what we may do, what time it is, how old the data is, what watching costs.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::pen::{Edge, Pen};
use crate::domain::foreign::sanitise;
use crate::domain::playback::Playback;
use crate::domain::quantity;
use crate::domain::snapshot::Reach;

pub(super) fn draw(pen: &mut Pen<'_>, area: Rect) {
    let (model, look) = (pen.model, pen.look);
    let production = model.settings.is_production();
    let environment = sanitise(&model.settings.environment).into_owned();
    let mut left = Line::from(vec![
        Span::raw(" "),
        Span::styled("tierdeck", look.badge),
        Span::raw(" "),
        Span::styled(format!(" {environment} "), if production { look.production } else { look.strong }),
        Span::raw(" "),
    ]);
    // Who has little room sees the region on the screens of instances.
    if let Some((words, style)) = region(pen).filter(|_| area.width >= 100) {
        left.push_span(Span::styled(words, style));
        left.push_span(Span::raw(" "));
    }
    let mut right = Vec::new();
    if let Some(playback) = &model.playback {
        right.push(replay(pen, playback));
    }
    if let Some(taping) = &model.taping {
        let lasted = model.now.duration_since(taping.began).as_secs_f64().max(0.0);
        let words = format!(" ● REC {} {} ", quantity::duration(lasted.floor()), quantity::bytes(taping.bytes));
        right.push(Line::from(Span::styled(words, look.critical)));
    }
    if let Some(since) = model.paused {
        let frozen = model.now.duration_since(since).as_secs_f64().max(0.0);
        let words = format!(" ‖ PAUSED {} ", quantity::duration(frozen.floor()));
        right.push(Line::from(Span::styled(words, look.warning)));
    }
    // A recording cannot be changed: what may be done there needs no words.
    right.push(if model.playback.is_some() {
        Line::from(Span::styled(" REPLAY ", look.warning))
    } else if model.settings.read_only {
        Line::from(Span::styled(" READ-ONLY ", look.dim))
    } else {
        Line::from(Span::styled(" ACTIONS ", look.warning))
    });
    let clock = model.now.strftime("%H:%M:%SZ").to_string();
    right.push(Line::from(Span::styled(format!(" {clock} "), look.text)));
    right.push(age(pen));
    if let Some(cost) = model.live.cost.database_ms_per_second {
        // What watching cost when it could still watch says nothing of now.
        let watching = model.live.instances.iter().any(|instance| {
            !matches!(instance.reach, Reach::Down { .. }) && instance.activity.fresh(model.now).is_some()
        });
        let words = if watching {
            format!("{:>5}ms/s ", format!("~{}", quantity::milliseconds(cost)))
        } else {
            "— ".to_owned()
        };
        right.push(Line::from(vec![
            Span::styled(" db cost ", look.dim),
            Span::styled(words, if watching { look.text } else { look.faint }),
        ]));
    }
    if let Some(dollars) = model.live.cost.cloudwatch_usd_per_hour {
        right.push(Line::from(Span::styled(format!(" ${dollars:.2}/h "), look.text)));
    }
    let edge = if production { look.critical } else { look.rule };
    pen.rule(Rect { height: 1, ..area }, Edge::Top, edge, &left, &right);
}

/// Where in AWS we look, and whether that goes well: `eu-west-1 (main)`, `3 AWS accounts`.
fn region(pen: &Pen<'_>) -> Option<(String, ratatui::style::Style)> {
    let accounts = &pen.model.live.accounts;
    let failed = accounts.iter().filter(|account| account.error.is_some()).count();
    let style = if failed > 0 { pen.look.warning } else { pen.look.dim };
    let words = match accounts.as_slice() {
        [] => return None,
        [one] => format!(" {} ({}) ", sanitise(&one.region), sanitise(&one.name)),
        several => format!(" {} AWS accounts ", several.len()),
    };
    let words = match (failed, accounts.len()) {
        (0, _) => words,
        (_, 1) => format!("{words}✖ "),
        (failed, _) => format!("{words}✖ {failed} "),
    };
    Some((words, style))
}

/// Where a recording stands: whether it runs, how fast, the day, and how much of it is behind us.
fn replay(pen: &Pen<'_>, playback: &Playback) -> Line<'static> {
    const BAR: usize = 16;
    let look = pen.look;
    let gone = playback.now.duration_since(playback.began).as_secs_f64().max(0.0);
    let all = playback.end.map(|end| end.duration_since(playback.began).as_secs_f64().max(1.0));
    let sign = match (playback.over, playback.playing) {
        (Some(true), _) => "✂",
        (Some(false), _) => "■",
        (None, true) => "▶",
        (None, false) => "‖",
    };
    let done = all.map_or(0, |all| ((gone / all).clamp(0.0, 1.0) * BAR as f64).round() as usize);
    let length = all.map_or("…".to_owned(), |all| quantity::duration(all.floor()));
    let day = playback.now.strftime("%Y-%m-%d").to_string();
    Line::from(vec![
        Span::styled(format!(" {sign} ×{} ", playback.speed), look.accent),
        Span::styled("━".repeat(done), look.accent),
        Span::styled("●", look.accent),
        Span::styled("─".repeat(BAR - done), look.faint),
        Span::styled(format!(" {}/{length} · {day} ", quantity::duration(gone.floor())), look.text),
    ])
}

/// How old the newest poll of sessions is, of the instance that is worst off.
fn age(pen: &Pen<'_>) -> Line<'static> {
    let (model, look) = (pen.model, pen.look);
    let oldest = model.live.instances.iter().filter_map(|instance| instance.activity.age(model.now)).max();
    let stale = model.live.instances.iter().any(|instance| instance.activity.fresh(model.now).is_none());
    let words = oldest.map_or("—".to_owned(), |age| quantity::duration(age.as_secs_f64()));
    let down = model.live.instances.iter().any(|instance| matches!(instance.reach, Reach::Down { .. }));
    Line::from(vec![
        Span::styled(" poll ", look.dim),
        Span::styled(format!("{words:>5} "), if stale || down { look.warning } else { look.text }),
    ])
}
