//! A line for each instance: does it answer, and how near is it to its limits.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::pen::{Pen, inner};
use super::strip_cloud;
use super::widgets::{chart, gauge, text};
use crate::domain::facts::cloud::Standing;
use crate::domain::foreign::sanitise;
use crate::domain::snapshot::Reach;
use crate::domain::{Instance, Tier, quantity};

/// Draws as many instances as there is room for, those in trouble first; says how many rows that took.
pub(super) fn draw(pen: &mut Pen<'_>, area: Rect) -> u16 {
    let (model, look) = (pen.model, pen.look);
    let instances = &model.shown.instances;
    let most = usize::from((area.height / 9).max(1));
    let inside = inner(Rect { y: area.y + 1, height: 1, ..area });
    if instances.is_empty() {
        let names = model.settings.instances.join(", ");
        let line = Line::from(vec![
            Span::styled("◌ ", look.accent),
            Span::styled(text::fit(&format!("connecting to {names} …"), usize::from(inside.width)), look.text),
        ]);
        pen.put(inside.x, inside.y, inside.width, &line);
        return 1;
    }
    let mut order: Vec<&Instance> = instances.iter().collect();
    order.sort_by_key(|instance| match instance.reach {
        _ if instance.blind().is_some() => 0,
        _ if instance.cloud.as_ref().and_then(|cloud| cloud.standing()) == Some(Standing::Hurt) => 0,
        Reach::Down { .. } => 0,
        Reach::Connecting => 1,
        Reach::Apart(_) => 3,
        Reach::Up => 2,
    });
    let all = order.len() <= most;
    let shown = if all { order.len() } else { most.saturating_sub(1).max(1) };
    let mut row = 0;
    for instance in order.iter().take(shown) {
        let line = line(pen, instance, usize::from(inside.width));
        pen.put(inside.x, inside.y + row, inside.width, &line);
        row += 1;
    }
    if !all && most > 1 {
        let down =
            order.iter().skip(shown).filter(|instance| !matches!(instance.reach, Reach::Up | Reach::Apart(_))).count();
        let words = format!("  +{} more instances, {down} of them not reached", order.len() - shown);
        pen.put(inside.x, inside.y + row, inside.width, &Line::from(Span::styled(words, look.dim)));
        row += 1;
    }
    // An account that does not answer may hide instances that nobody sees here.
    if let Some((account, trouble)) = model.shown.accounts.iter().find_map(|it| Some((it, it.error.as_ref()?))) {
        let head = format!("AWS {} ({}): ", sanitise(&account.name), sanitise(&account.region));
        let room = usize::from(inside.width).saturating_sub(2 + text::width(&head));
        let line = Line::from(vec![
            Span::styled("▲ ", look.warning),
            Span::styled(head, look.warning),
            Span::styled(text::cut(&sanitise(&trouble.message), room), look.text),
        ]);
        pen.put(inside.x, inside.y + row, inside.width, &line);
        row += 1;
    }
    row
}

/// What RDS says of one that does not answer: why, perhaps.
fn excuse(instance: &Instance) -> String {
    let rds = instance.cloud.as_ref().and_then(|cloud| cloud.rds.value.as_ref());
    let doing = rds.and_then(|rds| rds.doing()).filter(|status| status.standing != Standing::Serves);
    doing.map(|status| format!("RDS: {} · ", status.words)).unwrap_or_default()
}

fn line<'a>(pen: &Pen<'_>, instance: &'a Instance, width: usize) -> Line<'a> {
    let look = pen.look;
    let moment = pen.model.moment();
    let longest = pen.model.shown.instances.iter().map(|instance| text::width(instance.name.as_str())).max();
    let room = longest.unwrap_or(0).min(if width >= 116 { 26 } else { 16 });
    let name = text::fit(&text::end(instance.name.as_str(), room), room);
    let age = instance.activity.age(pen.model.now).map(|age| quantity::duration(age.as_secs_f64()));
    if let Some(trouble) = instance.blind() {
        let head = format!("{name}  connected, sessions cannot be read · ");
        let room = width.saturating_sub(2 + text::width(&head));
        return Line::from(vec![
            Span::styled("✖ ", look.critical),
            Span::styled(head, look.critical),
            Span::styled(text::cut(&trouble.message, room), look.text),
        ]);
    }
    match &instance.reach {
        Reach::Connecting => {
            return Line::from(vec![
                Span::styled("◌ ", look.accent),
                Span::styled(
                    text::fit(
                        &format!("{}connecting to {} …", excuse(instance), instance.name),
                        width.saturating_sub(2),
                    ),
                    look.text,
                ),
            ]);
        }
        Reach::Apart(reason) => {
            let head = format!("{name}  not polled · ");
            let room = width.saturating_sub(2 + text::width(&head));
            return Line::from(vec![
                Span::styled("◌ ", look.dim),
                Span::styled(head, look.dim),
                Span::styled(text::cut(reason, room), look.dim),
            ]);
        }
        Reach::Down { since, trouble } => {
            let down = quantity::duration(pen.model.now.duration_since(*since).as_secs_f64().floor());
            let full = if trouble.is_server_full() { "no connection left: " } else { "" };
            // One story with the header's "poll": the age of the newest sessions, and how long it is gone only without them.
            let head = match age {
                Some(age) => format!("{name}  not reached, last seen {age} ago · {}", excuse(instance)),
                None => format!("{name}  not reached for {down} · {}", excuse(instance)),
            };
            let room = width.saturating_sub(2 + text::width(&head));
            let reason = format!("{full}{}", trouble.message);
            return Line::from(vec![
                Span::styled("✖ ", look.critical),
                Span::styled(head, look.critical),
                Span::styled(text::cut(&reason, room), look.text),
            ]);
        }
        Reach::Up => {}
    }
    let fresh = instance.activity.fresh(moment).is_some();
    let (value, unit) = if fresh { (look.text, look.dim) } else { (look.faint, look.faint) };
    let mut line = Line::from(vec![
        match instance.standing() {
            Some(Standing::Hurt) => Span::styled("✖ ", look.critical),
            _ if !fresh => Span::styled("◌ ", look.warning),
            Some(Standing::Busy) => Span::styled("▲ ", look.warning),
            _ => Span::styled("● ", look.good),
        },
        Span::styled(name, if fresh { look.strong } else { look.dim }),
        Span::raw(" "),
    ]);
    // Where there is one tier only, nobody needs to be told.
    if pen.model.shown.instances.iter().any(|other| other.tier != instance.tier) {
        let tier = match instance.tier {
            Tier::Shared => "S ",
            Tier::Dedicated => "D ",
        };
        line.push_span(Span::styled(tier, look.dim));
    }
    line.push_span(Span::raw(" "));
    for segment in segments(pen, instance, (value, unit), fresh, width.saturating_sub(line.width())) {
        let wide: usize = segment.iter().map(Span::width).sum();
        if line.width() + wide + 2 <= width {
            line.spans.extend(segment);
            line.spans.push(Span::raw("  "));
        }
    }
    line
}

/// What is said of an instance that answers, the most important first.
fn segments(
    pen: &Pen<'_>,
    instance: &Instance,
    (value, unit): (ratatui::style::Style, ratatui::style::Style),
    fresh: bool,
    room: usize,
) -> Vec<Vec<Span<'static>>> {
    let look = pen.look;
    let number = |value: Option<f64>| value.map_or("—".to_owned(), quantity::count);
    let mut segments = Vec::new();
    if !fresh {
        let words = instance.activity.missing(pen.model.moment()).unwrap_or_default();
        let age = instance.activity.age(pen.model.moment()).map(|age| quantity::duration(age.as_secs_f64()));
        let said = age.map_or(words.clone(), |age| format!("{age} ago"));
        segments.push(vec![Span::styled(said, look.warning)]);
    }
    let most = instance.usable_connections();
    let share = match (instance.connections, most) {
        (Some(used), Some(most)) if most > 0 => Some(f64::from(used) / f64::from(most)),
        _ => None,
    };
    let ladder = pen.model.settings.thresholds.connections;
    let style = share.filter(|_| fresh).map_or(unit, |share| look.rung(ladder, share).unwrap_or(look.accent));
    let mut connections = vec![
        Span::styled("conn ", unit),
        Span::styled(
            format!("{:>4}/{:<4}", number(instance.connections.map(f64::from)), number(most.map(f64::from))),
            value,
        ),
    ];
    connections.extend(gauge::bar(share, 8, style, look.track));
    let used: usize = segments.iter().chain([&connections]).flatten().map(Span::width).sum();
    let left = room.saturating_sub(used + 2 * (segments.len() + 1));
    segments.push(connections);
    segments.extend(instance.cloud.iter().flat_map(|cloud| strip_cloud::segments(pen, cloud, left)));
    let busy = instance.active.map(|active| f64::from(active) / instance.vcpus.max(0.1));
    let style = busy.filter(|_| fresh).map_or(unit, |share| look.share(share));
    let guess = if instance.vcpus_estimated { "~" } else { "" };
    let vcpus = format!("{guess}{}", quantity::count(instance.vcpus));
    let mut active = vec![
        Span::styled("running ", unit),
        Span::styled(format!("{:>2}/{vcpus} vCPU ", number(instance.active.map(f64::from))), value),
    ];
    let trend = chart::spark(
        instance.series.iter().map(|(at, point)| (*at, Some(f64::from(point.active)))),
        chart::Time::recent(pen.model.moment(), instance.series.width()),
        8,
        Some(instance.vcpus),
    );
    active.push(Span::styled(trend, style));
    segments.push(active);
    let blocked = instance.blocked.unwrap_or(0) > 0 && fresh;
    segments.push(vec![
        Span::styled("blocked ", unit),
        Span::styled(
            format!("{:>3}", number(instance.blocked.map(f64::from))),
            if blocked { look.critical } else { value },
        ),
    ]);
    if let Some(pooler) = &instance.pooler {
        let waits = pooler.fresh(pen.model.moment()).filter(|pooler| pooler.waiting() > 0);
        if pooler.error.is_some() {
            segments.push(vec![Span::styled("pooler not reached", look.warning)]);
        } else if let Some(pooler) = waits {
            let words = format!("{} ({})", pooler.waiting(), quantity::duration(pooler.longest_wait()));
            segments.push(vec![Span::styled("pool wait ", unit), Span::styled(words, look.warning)]);
        }
    }
    segments.push(vec![
        Span::styled("tps ", unit),
        Span::styled(format!("{:>4}", number(instance.rates.transactions)), value),
    ]);
    let deadlocks = instance.rates.deadlocks_per_minute;
    let style = if fresh && deadlocks.is_some_and(|rate| rate >= 1.0) { look.warning } else { value };
    segments.push(vec![Span::styled("deadlocks ", unit), Span::styled(format!("{:>4}/min", number(deadlocks)), style)]);
    segments.push(vec![
        Span::styled("cache ", unit),
        Span::styled(format!("{:>4}", instance.rates.cache_hit.map_or("—".to_owned(), quantity::percent)), value),
    ]);
    if let Some((source, trouble)) = instance.sources.iter().find_map(|source| Some((source, source.error.as_ref()?))) {
        let words = text::cut(&format!("! {}: {}", source.source.name(), trouble.message), 40);
        segments.push(vec![Span::styled(words, look.warning)]);
    }
    if let Some(server) = &instance.server {
        segments.push(vec![Span::styled(format!("pg {}", text::cut(&server.version, 12)), unit)]);
    }
    segments
}
