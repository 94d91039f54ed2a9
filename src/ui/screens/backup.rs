//! What one instance could be restored from, in full: moments, snapshots and who they are shared with, recovery points, plans,
//! jobs, copies. The same is a page of each tenant.

use jiff::Timestamp;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::backups::{is_fresh, short, troubles};
use super::rds::Sheet;
use super::session::scrolled;
use crate::app::Viewport;
use crate::app::backups::{BackupRow, Exposure, Restorable, restorable};
use crate::domain::facts::cloud::{Backups, JobKind, Snapshot};
use crate::domain::quantity::{bytes, duration, minute, plural};
use crate::domain::{Tenant, Tier};
use crate::ui::pen::{Edge, Pen, below, inner};
use crate::ui::widgets::text;

/// Of long lists so many are shown.
const MOST: usize = 60;

/// Whose backups a row is about.
pub(super) fn whose(row: &BackupRow) -> String {
    match &row.tenant {
        Some(tenant) => format!("{tenant} on {}", row.instance),
        None => match row.tenants {
            Some(count) => format!("{} with {}", row.instance, plural(count, "tenant")),
            None => row.instance.to_string(),
        },
    }
}

/// Its page.
pub(in crate::ui) fn draw(pen: &mut Pen<'_>, area: Rect) -> Viewport {
    let Some(kept) = &pen.model.backup else { return Viewport::default() };
    page(pen, area, &kept.value, kept.gone)
}

/// The tenant's page of it.
pub(super) fn of_tenant(pen: &mut Pen<'_>, area: Rect, tenant: &Tenant) -> Viewport {
    let model = pen.model;
    let instance = model.shown.instance(&tenant.instance);
    let settings = &model.settings;
    let known =
        instance.and_then(|it| restorable(it, &settings.backup, &settings.thresholds, &model.shown.environment));
    let row = BackupRow {
        instance: tenant.instance.clone(),
        tenant: Some(tenant.id.clone()),
        tenants: Some(1),
        tier: tenant.tier,
        whole: tenant.tier == Tier::Dedicated,
        known: known.map(std::sync::Arc::new),
    };
    page(pen, area, &row, instance.is_none())
}

fn page(pen: &mut Pen<'_>, area: Rect, row: &BackupRow, gone: bool) -> Viewport {
    let look = pen.look;
    let mut title = pen.title(&format!("BACKUPS OF {}", whose(row)));
    title.spans.extend(gone.then(|| Span::styled("gone: as it was last seen ", look.warning)));
    pen.rule(Rect { height: 1, ..area }, Edge::Middle, look.rule, &title, &[]);
    let inside = inner(below(area, 1));
    let width = usize::from(inside.width);
    let mut lines = summary(pen, row, width);
    lines.extend(all(pen, row, width));
    scrolled(pen, inside, &lines)
}

/// What there is beside what is wanted, in few lines.
pub(super) fn summary(pen: &Pen<'_>, row: &BackupRow, width: usize) -> Vec<Line<'static>> {
    let (look, moment) = (pen.look, pen.model.moment());
    let mut sheet = Sheet::new(pen, width);
    let Some(known) = row.known.as_deref() else {
        let instance = pen.model.shown.instance(&row.instance);
        let words =
            instance.map_or_else(|| "its instance is not known any more".to_owned(), super::figures::unconfigured);
        sheet.field("backups", &format!("— {words}"), look.dim);
        return sheet.lines;
    };
    let fresh = is_fresh(pen, row);
    let plain = if fresh { look.text } else { look.faint };
    let judged = |bad: bool| if bad && fresh { look.warning } else { plain };
    if row.tier == Tier::Shared && row.tenant.is_some() {
        let words =
            "those of the shared instance: they hold every tenant's data, and are restored beside it, never over it";
        sheet.field("how", words, look.dim);
    }
    let ago =
        |seconds: Option<f64>| seconds.map_or("—".to_owned(), |seconds| format!("{} ago", duration(seconds.floor())));
    let age = known.age(moment);
    let newest = match &known.newest_unknown {
        Some(why) => format!("— {why}"),
        None => ago(age),
    };
    let target = known.rpo.as_secs_f64();
    sheet.field(
        "newest backup",
        &format!("{newest} · target {}", short(target)),
        judged(known.is_late(moment) || age.is_none() && known.newest_unknown.is_none()),
    );
    let (lag, target) = (known.lag(moment), known.rpo_moment.as_secs_f64());
    let back =
        known.earliest.map_or("—".to_owned(), |at| format!("{} ago", short(moment.duration_since(at).as_secs_f64())));
    sheet.field(
        "point in time",
        &format!("from {back} to {} · target {}", ago(lag), short(target)),
        judged(lag.is_none() || known.is_behind(moment)),
    );
    let loss = known.loss(moment).map_or("—".to_owned(), duration);
    let target = short(known.rpo.as_secs_f64());
    let is_lost = known.loss(moment).is_some_and(|loss| loss > known.rpo.as_secs_f64());
    sheet.field("RPO now", &format!("{loss} would be lost · target {target}"), judged(is_lost));
    let (target, is_slow) =
        (known.rto.as_secs_f64(), known.took.as_ref().is_ok_and(|took| *took > known.rto.as_secs_f64()));
    let took = known
        .took
        .as_ref()
        .map_or_else(|why| format!("— ({why})"), |took| format!("{} (AWS Backup's last restore)", duration(*took)));
    sheet.field("RTO", &format!("measured {took} · target {}", short(target)), judged(is_slow));
    kept(&mut sheet, known, plain, &judged);
    let copies = if known.copies.is_empty() { "none in another region".to_owned() } else { listed(&known.copies) };
    let encrypted = known.encrypted.map_or("—", |all| if all { "all encrypted" } else { "NOT ALL ENCRYPTED" });
    sheet.field("copies", &format!("{copies} · {encrypted}"), judged(known.encrypted == Some(false)));
    let (words, style) = match &known.exposure {
        Exposure::Unknown => ("— who snapshots are shared with is not known".to_owned(), look.dim),
        Exposure::Nobody => ("with nobody".to_owned(), plain),
        Exposure::Public => ("PUBLIC: anybody in the world may restore one".to_owned(), look.critical),
        Exposure::Accounts(accounts) => (format!("with {}", accounts.join(", ")), judged(true)),
    };
    sheet.field("shared", &words, style);
    if let Some(job) = &known.job {
        let why = job.message.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let age = ago(Some(moment.duration_since(job.at).as_secs_f64()));
        let style = if job.failed() { look.critical } else { plain };
        sheet.field("last job", &format!("{} {age}{why}", job.state.to_lowercase()), style);
    }
    for words in troubles(known) {
        sheet.field("not known", &words, look.warning);
    }
    sheet.lines
}

fn kept(sheet: &mut Sheet<'_>, known: &Restorable, plain: Style, judged: &impl Fn(bool) -> Style) {
    let rds = known.days.map_or("—".to_owned(), |days| format!("{} by RDS", plural(days as usize, "day")));
    let backup = match known.plan_days {
        None => String::new(),
        Some(u32::MAX) => " · for ever by AWS Backup".to_owned(),
        Some(days) => format!(" · {days} days by AWS Backup"),
    };
    let wanted = known.wanted_days.map_or("nobody said".to_owned(), |days| format!("{days} days wanted"));
    let short = known.kept().zip(known.wanted_days).is_some_and(|(kept, wanted)| kept < wanted);
    sheet.field("kept", &format!("{rds}{backup} · {wanted}"), if short { judged(true) } else { plain });
}

fn listed(names: &std::collections::BTreeSet<String>) -> String {
    names.iter().cloned().collect::<Vec<_>>().join(", ")
}

/// Every snapshot, recovery point, plan, job and copy.
fn all(pen: &Pen<'_>, row: &BackupRow, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let mut sheet = Sheet::new(pen, width);
    sheet.lines.push(Line::default());
    let cloud = pen.model.shown.instance(&row.instance).and_then(|instance| instance.cloud.as_ref());
    let Some(cloud) = cloud else { return Vec::new() };
    sheet.head("SNAPSHOTS");
    if sheet.doubt("snapshots", &cloud.snapshots) {
        let all = cloud.snapshots.value.iter().flat_map(|all| &all.snapshots);
        let count = all.clone().count();
        for one in all.take(MOST) {
            sheet.lines.push(snapshot(pen, one, width));
        }
        more(&mut sheet, look.dim, count);
        for why in cloud.snapshots.value.iter().filter_map(|all| all.unknown.as_ref()) {
            sheet.field("shared with", &format!("— {why}"), look.warning);
        }
    }
    sheet.head("RECOVERY POINTS OF AWS BACKUP");
    if sheet.doubt("backups", &cloud.backups)
        && let Some(backups) = cloud.backups.value.as_deref()
    {
        points(&mut sheet, pen, backups, width);
        plans(&mut sheet, pen, backups);
        jobs(&mut sheet, pen, backups);
        for (part, why) in &backups.refused {
            sheet.field(&part.to_string(), &format!("— {}", crate::domain::foreign::sanitise(why)), look.warning);
        }
    }
    sheet.lines
}

fn more(sheet: &mut Sheet<'_>, style: Style, count: usize) {
    match count {
        0 => sheet.field("", "none", style),
        some if some > MOST => sheet.field("", &format!("… and {} more", some - MOST), style),
        _ => {}
    }
}

/// When, how old, and the rest in columns.
fn row(pen: &Pen<'_>, at: Option<Timestamp>, cells: &[(String, usize, Style)], width: usize) -> Line<'static> {
    let look = pen.look;
    let when = at.map_or("being made".to_owned(), minute);
    let age = at.map_or(String::new(), |at| short(pen.model.moment().duration_since(at).as_secs_f64()));
    let mut line =
        Line::from(vec![Span::styled(text::fit(&when, 18), look.text), Span::styled(text::right(&age, 5), look.dim)]);
    for (words, wide, style) in cells {
        let room = width.saturating_sub(line.width() + 2);
        if room >= 4 {
            line.push_span(Span::raw("  "));
            line.push_span(Span::styled(text::fit(words, (*wide).min(room)), *style));
        }
    }
    line
}

fn snapshot(pen: &Pen<'_>, one: &Snapshot, width: usize) -> Line<'static> {
    let look = pen.look;
    let (shared, style) = match &one.shared_with {
        None => ("shared: —".to_owned(), look.dim),
        Some(_) if one.is_public() == Some(true) => ("PUBLIC".to_owned(), look.critical),
        Some(none) if none.is_empty() => ("not shared".to_owned(), look.dim),
        Some(some) => {
            let accounts: Vec<String> = some.iter().map(ToString::to_string).collect();
            (format!("shared with {}", accounts.join(", ")), look.warning)
        }
    };
    let status = if one.status.raw() == "available" { look.dim } else { look.warning };
    let (secrecy, colour) = match one.encrypted {
        Some(true) => ("encrypted", look.dim),
        Some(false) => ("NOT ENCRYPTED", look.warning),
        None => ("encrypted: —", look.dim),
    };
    let size = one.gib.map_or("—".to_owned(), |gib| format!("{gib} GiB"));
    let cells = [
        (one.kind.to_string(), 9, look.text),
        (size, 9, look.text),
        (shared, 40, style),
        (secrecy.to_owned(), 13, colour),
        (one.status.to_string(), 10, status),
        (one.identifier.to_string(), 70, look.dim),
    ];
    row(pen, one.at, &cells, width)
}

fn points(sheet: &mut Sheet<'_>, pen: &Pen<'_>, backups: &Backups, width: usize) {
    let look = pen.look;
    for point in backups.points.iter().take(MOST) {
        let good = point.status.raw() == "COMPLETED";
        let until = point.deleted_at.map_or("kept for ever".to_owned(), |at| format!("until {}", minute(at)));
        let (secrecy, colour) = if point.encrypted { ("encrypted", look.dim) } else { ("NOT ENCRYPTED", look.warning) };
        let cells = [
            (point.status.to_string().to_lowercase(), 9, if good { look.text } else { look.warning }),
            (point.bytes.map_or("—".to_owned(), bytes), 9, look.text),
            (until, 24, look.dim),
            (secrecy.to_owned(), 13, colour),
            (point.vault.to_string(), 40, look.dim),
        ];
        let line = row(pen, Some(point.at), &cells, width);
        sheet.lines.push(line);
    }
    more(sheet, look.dim, backups.points.len());
    if !backups.copies.is_empty() {
        sheet.head("COPIES");
    }
    for copy in backups.copies.iter().take(MOST) {
        let good = copy.state.raw() == "COMPLETED";
        let why = copy.message.as_ref().map(ToString::to_string).unwrap_or_default();
        let cells = [
            (copy.state.to_string().to_lowercase(), 9, if good { look.text } else { look.warning }),
            (format!("to {}", copy.region().map_or("—".into(), crate::domain::foreign::sanitise)), 20, look.text),
            (why, 60, look.warning),
        ];
        let line = row(pen, Some(copy.at), &cells, width);
        sheet.lines.push(line);
    }
}

fn plans(sheet: &mut Sheet<'_>, pen: &Pen<'_>, backups: &Backups) {
    let look = pen.look;
    sheet.head("PLANS THAT PROTECT IT");
    match &backups.protections {
        None => sheet.field("", "— not known", look.dim),
        Some(none) if none.is_empty() => sheet.field("", "no plan of AWS Backup selects it", look.dim),
        Some(plans) => {
            for plan in plans {
                let kept = plan.days.map_or("for ever".to_owned(), |days| format!("{days} days"));
                let when = plan.schedule.as_ref().map_or("—".to_owned(), ToString::to_string);
                let copies: Vec<String> = plan.copies_to.iter().map(ToString::to_string).collect();
                let copies =
                    if copies.is_empty() { String::new() } else { format!(" · copied to {}", copies.join(", ")) };
                let words = format!("{} · {when} · kept {kept} in {}{copies}", plan.rule, plan.vault);
                sheet.field(&plan.plan.shown(), &words, look.text);
            }
        }
    }
}

fn jobs(sheet: &mut Sheet<'_>, pen: &Pen<'_>, backups: &Backups) {
    let look = pen.look;
    sheet.head("JOBS");
    for job in backups.jobs.iter().take(MOST) {
        let kind = match job.kind {
            JobKind::Backup => "backup",
            JobKind::Restore => "restore",
        };
        let took = job.ended.map_or(String::new(), |end| {
            format!(" in {}", duration(end.duration_since(job.at).as_secs_f64().max(0.0)))
        });
        let why = job.message.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let failed = matches!(job.state.raw(), "FAILED" | "ABORTED" | "EXPIRED" | "PARTIAL");
        let age = short(pen.model.moment().duration_since(job.at).as_secs_f64());
        let words = format!("{kind} {}{took}{why}", job.state.to_string().to_lowercase());
        sheet.field(&format!("{age} ago"), &words, if failed { look.critical } else { look.text });
    }
    more(sheet, look.dim, backups.jobs.len());
}
