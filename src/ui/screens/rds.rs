//! A page of an instance: how RDS has it, what somebody ordered, what RDS wants, what rings, what happened.

use jiff::Timestamp;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::figures::unconfigured;
use super::session::scrolled;
use crate::app::Viewport;
use crate::domain::facts::cloud::{AlarmState, Cloud, Filling, Parameters, Rds, Standing};
use crate::domain::foreign::sanitise;
use crate::domain::quantity::{bytes, count, duration, minute, percent, plural};
use crate::domain::{Foreign, Instance, prices};
use crate::ui::pen::{Edge, Pen, below, inner};
use crate::ui::widgets::sheet::Sheet;
use crate::ui::widgets::text;

/// Cells before a value: AWS's own terms, so that they are found there.
const LEAD: usize = 21;

/// Events that are shown.
const EVENTS: usize = 40;

pub(super) fn draw(pen: &mut Pen<'_>, area: Rect, instance: &Instance) -> Viewport {
    let title = match &instance.cloud {
        Some(cloud) => format!("{} IN {} (AWS {})", cloud.identifier, cloud.region, cloud.account),
        None => "RDS".to_owned(),
    };
    pen.rule(Rect { height: 1, ..area }, Edge::Middle, pen.look.rule, &pen.title(&title), &[]);
    let inside = inner(below(area, 1));
    let lines = lines(pen, instance, usize::from(inside.width));
    scrolled(pen, inside, &lines)
}

/// Everything that RDS says.
fn lines(pen: &Pen<'_>, instance: &Instance, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let mut sheet = Sheet::new(pen, width, LEAD);
    let Some(cloud) = &instance.cloud else {
        let words = text::wrap(&unconfigured(instance), width).into_iter();
        return words.map(|words| Line::from(Span::styled(words, look.dim))).collect();
    };
    sheet.doubt("rds", &cloud.rds);
    if let Some(rds) = cloud.rds.value.as_deref() {
        settings(&mut sheet, pen, cloud, rds);
        orders(&mut sheet, pen, rds);
    }
    alarms(&mut sheet, pen, cloud);
    parameters(&mut sheet, pen, cloud);
    events(&mut sheet, pen, cloud);
    sheet.lines
}

/// Status, class and version in one sentence: what a list has no room for.
pub(super) fn words(pen: &Pen<'_>, cloud: &Cloud, rds: &Rds) -> String {
    let doing = rds.doing().map_or_else(|| rds.status.to_string(), |status| status.words.to_owned());
    let failed = cloud.events.value.as_ref().and_then(|events| events.failed_over(pen.model.moment()));
    let failed = failed.map(|at| format!(" (failed over {} ago)", ago(pen, at))).unwrap_or_default();
    let zones = rds.multi_az.map_or("Multi-AZ —", |more| if more { "Multi-AZ" } else { "Single-AZ" });
    let encrypted = rds.encrypted.map_or("encryption —", |yes| if yes { "encrypted" } else { "NOT ENCRYPTED" });
    let cost = prices::told(rds);
    format!(
        "{doing}{failed} · {} · PostgreSQL {} · {} · {zones} · {encrypted} · {cost}",
        rds.class,
        rds.version,
        storage(pen, cloud, rds)
    )
}

fn ago(pen: &Pen<'_>, at: Timestamp) -> String {
    duration(pen.model.moment().duration_since(at).as_secs_f64().max(0.0).floor())
}

/// `38 of 100 GiB gp3, 3,000 IOPS, grows to 200 GiB`
fn storage(pen: &Pen<'_>, cloud: &Cloud, rds: &Rds) -> String {
    let storage = &rds.storage;
    let all = storage.allocated_gib.map_or("—".to_owned(), |gib| format!("{gib} GiB"));
    let used = cloud.filling(pen.model.moment());
    let used = used.map_or("—".to_owned(), |filling| bytes(filling.used() as u64));
    let mut words = format!("{used} of {all} {}", sanitise(&storage.kind));
    if let Some(iops) = storage.gives() {
        let burst = iops.burst.map(|burst| format!(", {} in bursts", count(burst))).unwrap_or_default();
        words = format!("{words}, {} IOPS{burst}", count(iops.steady));
    }
    if let Some(throughput) = storage.throughput_mibps {
        words = format!("{words}, {throughput} MiB/s");
    }
    match storage.max_allocated_gib {
        Some(most) => words = format!("{words}, storage autoscaling to {most} GiB"),
        None => words.push_str(", no storage autoscaling"),
    }
    words
}

/// How full it is, of what, and until when.
fn filled(pen: &Pen<'_>, filling: Filling) -> (String, Style) {
    let of = if filling.grows() {
        format!(" of the {} that it may grow to", bytes(filling.ceiling as u64))
    } else {
        String::new()
    };
    let full = filling.full_in.map_or("not filling up as far as can be seen".to_owned(), |seconds| {
        format!("full in ~{} if it goes on like this", duration(seconds))
    });
    let (full, style) = if filling.free.fresh {
        let severity = filling.severity(&pen.model.settings.thresholds);
        (full, pen.look.graded(severity).unwrap_or(pen.look.text))
    } else {
        (format!("{} ago", duration(filling.free.age)), pen.look.faint)
    };
    (format!("{}{of} in use, {full}", percent(filling.share())), style)
}

fn settings(sheet: &mut Sheet<'_>, pen: &Pen<'_>, cloud: &Cloud, rds: &Rds) {
    let look = pen.look;
    let moment = pen.model.moment();
    let yes = |is: bool| if is { "yes" } else { "no" };
    let named = |text: &Option<Foreign>| text.as_ref().map_or("—".to_owned(), ToString::to_string);
    let (words, style) = match rds.doing() {
        Some(status) => {
            let style = match status.standing {
                Standing::Serves => look.good,
                Standing::Busy => look.warning,
                Standing::Hurt => look.critical,
            };
            let raw = if status.words == rds.status.raw() { String::new() } else { format!(" ({})", rds.status) };
            (format!("{}{raw}: {}", status.words, status.means), style)
        }
        None => (rds.status.to_string(), look.warning),
    };
    sheet.field("status", &words, style);
    if let Some(at) = cloud.events.value.as_ref().and_then(|events| events.failed_over(moment)) {
        sheet.field("failover", &format!("{} ago", ago(pen, at)), look.warning);
    }
    let cost = prices::monthly(rds).map_or("— (its class or storage has no price here)".to_owned(), |cost| {
        let table = prices::prices();
        format!(
            "~${cost:.0} on demand (as in {}, prices of {}; class, storage and provisioned IOPS; backups, transfer and CPU credits \
             are not in it)",
            table.region, table.as_of
        )
    });
    sheet.field("class", &format!("{} · PostgreSQL {}", rds.class, rds.version), look.text);
    sheet.field("cost a month", &cost, look.text);
    sheet.field("storage", &storage(pen, cloud, rds), look.text);
    if let Some(filling) = cloud.filling(moment) {
        let (words, style) = filled(pen, filling);
        sheet.field("", &words, style);
    }
    let standby = match rds.multi_az {
        Some(true) => "Multi-AZ: a standby is ready in another Availability Zone",
        Some(false) => "Single-AZ: no standby",
        None => "Multi-AZ or not: —",
    };
    sheet.field("Availability Zone", &format!("{} · {standby}", named(&rds.zone)), look.text);
    match (rds.encrypted, &rds.kms_key) {
        (Some(true), key) => sheet.field("encryption", &format!("yes · {}", named(key)), look.text),
        (None, _) => sheet.field("encryption", "—", look.dim),
        (Some(false), _) => sheet.field(
            "encryption",
            "NOT ENCRYPTED: a copy of a snapshot with a key, restored, would be",
            look.warning,
        ),
    }
    let public = match rds.public {
        Some(true) => "PUBLICLY ACCESSIBLE: it has an address in the internet",
        Some(false) => "not publicly accessible",
        None => "publicly accessible or not: —",
    };
    let at = rds.endpoint.as_ref().map_or("no address yet".to_owned(), |(host, port)| format!("{host}:{port}"));
    sheet.field("endpoint", &at, look.text);
    sheet.field("network", public, if rds.public == Some(true) { look.critical } else { look.text });
    let (words, style) = match rds.deletion_protection {
        Some(true) => ("on", look.text),
        Some(false) => ("OFF: one call deletes it", look.warning),
        None => ("—", look.dim),
    };
    sheet.field("deletion protection", words, style);
    let until = rds.certificate_until.map(|at| (at, at.duration_since(moment).as_secs_f64()));
    let style = if until.is_some_and(|(_, left)| left < pen.model.settings.thresholds.certificate_warning_seconds) {
        look.warning
    } else {
        look.text
    };
    // RDS tells the end of the server's certificate, which a CA that rotates renews by itself; its own end is another.
    let until = until.map_or("—".to_owned(), |(at, left)| {
        let when = if left < 0.0 { format!("{} ago", duration(-left)) } else { format!("in {}", duration(left)) };
        format!("{} ({when})", minute(at))
    });
    sheet.field("certificate", &format!("server certificate until {until} · CA {}", named(&rds.ca)), style);
    sheet.field("IAM authentication", rds.iam_login.map_or("—", yes), look.text);
    sheet.field("Performance Insights", rds.insights.map_or("—", yes), look.text);
    let exports = if rds.exports_logs { "to CloudWatch Logs" } else { "none: the log is read from RDS itself" };
    sheet.field("log exports", exports, look.text);
    let kept = match rds.retention_days {
        None => "—".to_owned(),
        Some(0) => "NO automated backups".to_owned(),
        Some(days) => plural(days as usize, "day"),
    };
    let style = if rds.retention_days == Some(0) { look.critical } else { look.text };
    sheet.field("backup retention", &format!("{kept} · backup window {} UTC", named(&rds.backup_window)), style);
    let back = rds.earliest_restorable.map_or("—".to_owned(), minute);
    let latest = rds.latest_restorable.map_or("—".to_owned(), |at| format!("{} ({} ago)", minute(at), ago(pen, at)));
    sheet.field("latest restorable", &format!("{latest} · earliest {back}"), look.text);
    relations(sheet, pen, rds);
}

/// Whose replica it is, who its own are, and what is written on it.
fn relations(sheet: &mut Sheet<'_>, pen: &Pen<'_>, rds: &Rds) {
    let look = pen.look;
    if let Some(source) = &rds.replica_of {
        sheet.field("read replica of", &source.shown(), look.text);
    }
    if !rds.replicas.is_empty() {
        let replicas: Vec<String> = rds.replicas.iter().take(5).map(ToString::to_string).collect();
        sheet.field("read replicas", &replicas.join(" · "), look.text);
    }
    let tags: Vec<String> = rds.tags.iter().take(12).map(|(key, value)| format!("{}={value}", sanitise(key))).collect();
    sheet.field("tags", &if tags.is_empty() { "none".to_owned() } else { tags.join(" · ") }, look.dim);
}

fn orders(sheet: &mut Sheet<'_>, pen: &Pen<'_>, rds: &Rds) {
    let look = pen.look;
    sheet.head("PENDING MODIFICATIONS AND MAINTENANCE");
    if rds.pending.is_empty() {
        sheet.field("modifications", "none pending", look.dim);
    }
    for (name, value) in &rds.pending {
        sheet.field(&sanitise(name), &format!("→ {value}"), look.warning);
    }
    let restart = rds.parameter_groups.iter().find(|(_, apply)| apply.raw() == "pending-reboot");
    if let Some((group, _)) = restart {
        sheet.field("parameter group", &format!("{group} is pending-reboot: it waits for a restart"), look.warning);
    }
    let window = rds.maintenance_window.as_ref().map_or("—".to_owned(), ToString::to_string);
    match &rds.maintenance {
        None => sheet.field("maintenance", &format!("— not known · maintenance window {window} UTC"), look.dim),
        Some(none) if none.is_empty() => {
            sheet.field("maintenance", &format!("none pending · maintenance window {window} UTC"), look.dim);
        }
        Some(pending) => {
            for action in pending {
                let chosen = action.chosen.as_ref().map(|chosen| format!(" · {chosen}")).unwrap_or_default();
                let after = action.after.map(|at| format!(" · in a window after {}", minute(at))).unwrap_or_default();
                let forced = action.forced.map(|at| format!(" · BY FORCE {}", minute(at))).unwrap_or_default();
                let words = format!("{}: {}{chosen}{after}{forced}", action.action, action.description);
                sheet.field("maintenance", &words, if action.forced.is_some() { look.warning } else { look.text });
            }
            sheet.field("", &format!("maintenance window {window} UTC"), look.dim);
        }
    }
}

fn alarms(sheet: &mut Sheet<'_>, pen: &Pen<'_>, cloud: &Cloud) {
    let look = pen.look;
    sheet.head("ALARMS");
    if !sheet.doubt("alarms", &cloud.alarms) {
        return;
    }
    let mut all: Vec<_> = cloud.alarms.value.iter().flat_map(|alarms| &alarms.alarms).collect();
    all.sort_by(|a, b| b.state.cmp(&a.state).then(a.name.cmp(&b.name)));
    if all.is_empty() {
        sheet.field("", "nobody set one on it", look.dim);
    }
    for alarm in all {
        let (sign, style) = match alarm.state {
            AlarmState::Alarm => ("ALARM", look.critical),
            AlarmState::InsufficientData => ("INSUFFICIENT_DATA", look.dim),
            AlarmState::Ok => ("OK", look.text),
        };
        let since = alarm.since.map(|at| format!(" for {}", ago(pen, at))).unwrap_or_default();
        sheet.field(sign, &format!("{}{since}: {}", alarm.name, alarm.reason), style);
    }
}

fn parameters(sheet: &mut Sheet<'_>, pen: &Pen<'_>, cloud: &Cloud) {
    let look = pen.look;
    sheet.head("PARAMETERS THAT MATTER");
    if !sheet.doubt("parameters", &cloud.parameters) {
        return;
    }
    let set = cloud.parameters.value.as_deref();
    for name in Parameters::WANTED {
        let value = set.and_then(|parameters| parameters.values.get(name));
        let words = value.map_or("the engine's default".to_owned(), ToString::to_string);
        let style = if value.is_some() { look.text } else { look.dim };
        // Longer than other names, so each on a line of its own.
        let line = vec![Span::styled(text::fit(name, 28), look.faint), Span::styled(words, style)];
        sheet.lines.push(Line::from(line));
    }
}

fn events(sheet: &mut Sheet<'_>, pen: &Pen<'_>, cloud: &Cloud) {
    let look = pen.look;
    sheet.head("EVENTS");
    if !sheet.doubt("events", &cloud.events) {
        return;
    }
    let all = cloud.events.value.iter().flat_map(|events| &events.events);
    let before = sheet.lines.len();
    for event in all.take(EVENTS) {
        let grave = event.categories.iter().any(|it| matches!(it.raw(), "failover" | "failure" | "low storage"));
        let style = if grave { look.warning } else { look.text };
        sheet.field(&format!("{} ago", ago(pen, event.at)), &event.message.shown(), style);
    }
    if sheet.lines.len() == before {
        sheet.field("", "none in the last day", look.dim);
    }
}
