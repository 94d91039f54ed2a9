//! What one instance could be restored from, in full: moments, snapshots and who they are shared with, recovery points, plans,
//! jobs, copies. The same is a page of each tenant.

use jiff::Timestamp;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::backups::{is_fresh, stands, troubles};
use super::session::scrolled;
use crate::app::Viewport;
use crate::app::backups::{BackupRow, Exposure, Judged, Restorable, Stands, Strays};
use crate::domain::facts::cloud::{Backups, JobKind, Snapshot};
use crate::domain::foreign::sanitise;
use crate::domain::quantity::{bytes, duration, minute, plural, short};
use crate::domain::{Tenant, Tier};
use crate::ui::pen::{Edge, Pen, below, inner};
use crate::ui::theme::glyph;
use crate::ui::widgets::sheet::Sheet;
use crate::ui::widgets::text;

/// Cells before a value.
const LEAD: usize = 16;

/// With less room a name has a line of its own.
const WIDE: usize = 150;

/// Of long lists so many are shown.
const MOST: usize = 60;

/// Whose backups a row is about.
pub(super) fn whose(row: &BackupRow) -> String {
    match (&row.tenant, &row.strays) {
        (Some(tenant), _) => format!("{tenant} on {}", row.instance),
        (None, Some(strays)) => format!("{}, {}", sanitise(row.instance.as_str()), stands(strays)),
        (None, None) => match row.tenants {
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
    let known = instance.and_then(|it| Restorable::of(it, &model.shown, &model.settings.backup));
    let row = BackupRow {
        instance: tenant.instance.clone(),
        tenant: Some(tenant.id.clone()),
        tenants: Some(1),
        tier: Some(tenant.tier),
        stands: if tenant.tier == Tier::Dedicated { Stands::Instance } else { Stands::Tenant },
        known: known.map(std::sync::Arc::new),
        strays: None,
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
    lines.push(Line::default());
    lines.extend(all(pen, row, width));
    scrolled(pen, inside, &lines)
}

/// What there is beside what is wanted, in few lines; what the signals say of it first.
pub(super) fn summary(pen: &Pen<'_>, row: &BackupRow, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let mut sheet = Sheet::new(pen, width, LEAD);
    let fresh = is_fresh(pen, row);
    if let Some(judged) = row.judged() {
        verdict(&mut sheet, pen, judged, fresh);
    }
    match (row.known.as_deref(), row.strays.as_deref()) {
        (Some(known), _) => figures(&mut sheet, pen, row, known),
        (None, Some(strays)) => astray(&mut sheet, pen, strays),
        (None, None) => {
            let instance = pen.model.shown.instance(&row.instance);
            let words =
                instance.map_or_else(|| "its instance is not known any more".to_owned(), super::figures::unconfigured);
            sheet.field("backups", &format!("— {words}"), look.dim);
        }
    }
    sheet.lines
}

/// The sentences of the findings, as the first screen has them; and what cannot be judged.
fn verdict(sheet: &mut Sheet<'_>, pen: &Pen<'_>, judged: &Judged, fresh: bool) {
    let look = pen.look;
    for (severity, _, words) in &judged.wrong {
        let style = look.severity(*severity);
        let (sign, style) = if fresh { (style, look.text) } else { (look.faint, look.faint) };
        sheet.signed((&format!("{} {severity}", glyph(*severity)), sign), words, style);
    }
    for (signal, why) in &judged.unknown {
        sheet.signed(("? not judged", look.dim), &format!("{signal}: {why}"), look.dim);
    }
}

fn ago(seconds: Option<f64>) -> String {
    seconds.map_or("—".to_owned(), |seconds| format!("{} ago", duration(seconds.floor())))
}

fn figures(sheet: &mut Sheet<'_>, pen: &Pen<'_>, row: &BackupRow, known: &Restorable) {
    let (look, moment, judged) = (pen.look, pen.model.moment(), &known.judged);
    let fresh = is_fresh(pen, row);
    let graded = |severity| match look.graded(severity) {
        _ if !fresh => look.faint,
        Some(style) => style,
        None => look.text,
    };
    if row.tier == Some(Tier::Shared) && row.tenant.is_some() {
        let words =
            "those of the shared instance: they hold every tenant's data, and are restored beside it, never over it";
        sheet.field("how", words, look.dim);
    }
    if let Some(source) = &known.replica_of {
        sheet.field("how", &format!("a replica: its data are those of {source}, and are backed up there"), look.dim);
    }
    let (rpo, rpo_moment) = (short(known.rpo.as_secs_f64()), short(known.rpo_moment.as_secs_f64()));
    let newest =
        known.newest_unknown.as_ref().map_or_else(|| ago(known.age(moment)), |why| format!("— {}", sanitise(why)));
    sheet.field("newest backup", &format!("{newest} · target {rpo}"), graded(judged.loss));
    let back =
        known.earliest.map_or("—".to_owned(), |at| format!("{} ago", short(moment.duration_since(at).as_secs_f64())));
    let words = format!("from {back} to {} · target {rpo_moment}", ago(known.lag(moment)));
    sheet.field("point in time", &words, graded(judged.behind.max(judged.loss)));
    let loss = known.loss(moment).map_or("—".to_owned(), duration);
    sheet.field("RPO now", &format!("{loss} would be lost · target {rpo}"), graded(judged.loss));
    let target = known.rto.as_secs_f64();
    let took = known.took.as_ref().map_or_else(
        |why| format!("— ({why})"),
        |took| {
            let over = if *took > target { "longer than wanted, " } else { "" };
            format!("{} ({over}AWS Backup's last restore)", duration(*took))
        },
    );
    sheet.field("RTO", &format!("measured {took} · target {}", short(target)), graded(None));
    sheet.field("kept", &kept(known), graded(judged.kept));
    let copies = if known.copies.is_empty() { "none in another region".to_owned() } else { listed(&known.copies) };
    sheet.field("copies", &copies, graded(None));
    sheet.field("encrypted", encrypted(known.encrypted), graded(judged.encrypted));
    sheet.field("shared", &shared(&known.exposure), graded(judged.shared));
    if let Some(job) = &known.job {
        let why = job.message.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let age = ago(Some(moment.duration_since(job.at).as_secs_f64()));
        let style = graded(judged.jobs.filter(|_| job.has_failed()));
        sheet.field("last job", &format!("{} {age}{why}", job.state.to_string().to_lowercase()), style);
    }
    for words in troubles(known) {
        sheet.field("not known", &words, look.warning);
    }
}

/// Of snapshots whose instance is gone, or not watched here.
fn astray(sheet: &mut Sheet<'_>, pen: &Pen<'_>, strays: &Strays) {
    let (look, judged) = (pen.look, &strays.judged);
    let graded = |severity| look.graded(severity).unwrap_or(look.text);
    let why = if strays.gone {
        "RDS knows no such instance any more: these are what is left of it"
    } else {
        "its instance is there, and nobody watches it here: rds = in the configuration, or its tags, would"
    };
    sheet.field("how", why, look.dim);
    sheet.field("where", &format!("{} ({})", strays.region, strays.account), look.text);
    let count = plural(strays.snapshots.len(), "snapshot");
    sheet.field("snapshots", &format!("{count}, the newest {}", ago(strays.age(pen.model.moment()))), look.text);
    sheet.field("encrypted", encrypted(strays.encrypted), graded(judged.encrypted));
    sheet.field("shared", &shared(&strays.exposure), graded(judged.shared));
}

fn encrypted(all: Option<bool>) -> &'static str {
    match all {
        Some(true) => "all",
        Some(false) => "NOT ALL",
        None => "— not told of all",
    }
}

fn shared(exposure: &Exposure) -> String {
    match exposure {
        Exposure::Unknown => "— who snapshots are shared with is not known".to_owned(),
        Exposure::Nobody => "with nobody".to_owned(),
        Exposure::Allowed(accounts) => format!("with {}, as policy.backup.share_with allows", accounts.join(", ")),
        Exposure::Public => "PUBLIC: anybody in the world may restore one".to_owned(),
        Exposure::Strangers(accounts) => format!("with {}", accounts.join(", ")),
    }
}

fn kept(known: &Restorable) -> String {
    let rds = known.days.map_or("—".to_owned(), |days| format!("{} by RDS", plural(days as usize, "day")));
    let backup = match known.plan_days {
        None if known.plans_known => " · no daily plan of AWS Backup".to_owned(),
        None => " · — by AWS Backup".to_owned(),
        Some(u32::MAX) => " · for ever by AWS Backup".to_owned(),
        Some(days) => format!(" · {} by AWS Backup", plural(days as usize, "day")),
    };
    let wanted = known.wanted_days.map_or("nobody said how many are wanted".to_owned(), |days| {
        format!("{} wanted", plural(days as usize, "day"))
    });
    format!("{rds}{backup} · {wanted}")
}

fn listed(names: &std::collections::BTreeSet<String>) -> String {
    names.iter().cloned().collect::<Vec<_>>().join(", ")
}

/// Every snapshot, recovery point, plan, job and copy.
fn all(pen: &Pen<'_>, row: &BackupRow, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let mut sheet = Sheet::new(pen, width, LEAD);
    if let Some(strays) = &row.strays {
        sheet.head("SNAPSHOTS");
        snapshots(&mut sheet, pen, &strays.snapshots, width);
        return sheet.lines;
    }
    let cloud = pen.model.shown.instance(&row.instance).and_then(|instance| instance.cloud.as_ref());
    let Some(cloud) = cloud else { return Vec::new() };
    sheet.head("SNAPSHOTS");
    if sheet.doubt("snapshots", &cloud.snapshots)
        && let Some(known) = cloud.snapshots.value.as_deref()
    {
        snapshots(&mut sheet, pen, &known.snapshots, width);
        if let Some(why) = &known.unknown {
            sheet.field("shared with", &format!("— {}", sanitise(why)), look.warning);
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
            sheet.field(&part.to_string(), &format!("— {}", sanitise(why)), look.warning);
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

/// A cell of a row: its words, in how many cells at the most, and how they look.
struct Cell {
    words: String,
    wide: usize,
    style: Style,
    /// Figures stand at the right of theirs.
    figure: bool,
}

impl Cell {
    fn words(words: impl Into<String>, wide: usize, style: Style) -> Self {
        Self { words: words.into(), wide, style, figure: false }
    }

    fn figure(words: impl Into<String>, wide: usize, style: Style) -> Self {
        Self { figure: true, ..Self::words(words, wide, style) }
    }
}

/// When, how old, and the rest in columns: the last ones are left out where there is no room for them.
fn row(pen: &Pen<'_>, at: Option<Timestamp>, cells: Vec<Cell>, width: usize) -> Line<'static> {
    let look = pen.look;
    let when = at.map_or("creating".to_owned(), minute);
    let age = at.map_or(String::new(), |at| short(pen.model.moment().duration_since(at).as_secs_f64()));
    let mut line =
        Line::from(vec![Span::styled(text::fit(&when, 17), look.text), Span::styled(text::right(&age, 5), look.dim)]);
    for Cell { words, wide, style, figure } in cells {
        let room = width.saturating_sub(line.width() + 2);
        if room < wide.min(text::width(&words)) {
            break;
        }
        let words = if figure { text::right(&words, wide) } else { text::fit(&words, wide.min(room)) };
        line.push_span(Span::raw("  "));
        line.push_span(Span::styled(words, style));
    }
    line
}

fn snapshots(sheet: &mut Sheet<'_>, pen: &Pen<'_>, all: &[Snapshot], width: usize) {
    for one in all.iter().take(MOST) {
        sheet.lines.extend(snapshot(pen, one, width));
    }
    more(sheet, pen.look.dim, all.len());
}

/// What it is called is what somebody needs who restores it: where there is no room beside the rest, it stands below.
fn snapshot(pen: &Pen<'_>, one: &Snapshot, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let allowed = &pen.model.settings.backup.share_with;
    let strangers = one.strangers(allowed);
    let wide = if width >= WIDE + 40 { 36 } else { 24 };
    let (shared, style) = match (&one.shared_with, &strangers) {
        (Some(_), _) if one.is_public() == Some(true) => ("PUBLIC".to_owned(), look.critical),
        // Who they are is said above, in full.
        (_, Some(some)) if !some.is_empty() => {
            let names = some.iter().map(|account| sanitise(account)).collect::<Vec<_>>().join(", ");
            let names = format!("shared with {names}");
            let fits = text::width(&names) <= wide;
            (if fits { names } else { format!("shared with {}", plural(some.len(), "acct")) }, look.warning)
        }
        _ if one.is_automated() => ("cannot be shared".to_owned(), look.dim),
        (None, _) => ("shared: —".to_owned(), look.dim),
        (Some(none), _) if none.is_empty() => ("not shared".to_owned(), look.dim),
        (Some(_), _) => ("shared as allowed".to_owned(), look.dim),
    };
    let status = if one.is_whole() { look.dim } else { look.warning };
    let (secrecy, colour) = match one.encrypted {
        Some(true) => ("encrypted", look.dim),
        Some(false) => ("NOT ENCRYPTED", look.warning),
        None => ("encrypted: —", look.dim),
    };
    let size = one.gib.map_or("—".to_owned(), |gib| format!("{gib} GiB"));
    let name = one.identifier.to_string();
    let mut cells = vec![
        Cell::figure(size, 9, look.text),
        Cell::words(shared, wide, style),
        Cell::words(secrecy, 13, colour),
        Cell::words(one.kind.to_string(), 9, look.text),
        Cell::words(one.status.to_string(), 10, status),
    ];
    if width >= WIDE {
        let most = if width >= WIDE + 40 { 56 } else { 46 };
        cells.insert(0, Cell::words(text::end(&name, most), most, look.text));
        return vec![row(pen, one.at, cells, width)];
    }
    let below = Line::from(Span::styled(format!("  {}", text::end(&name, width.saturating_sub(2))), look.strong));
    vec![row(pen, one.at, cells, width), below]
}

fn points(sheet: &mut Sheet<'_>, pen: &Pen<'_>, backups: &Backups, width: usize) {
    let look = pen.look;
    for point in backups.points.iter().take(MOST) {
        let style = if point.is_whole() { look.text } else { look.warning };
        let until = point.deleted_at.map_or("kept for ever".to_owned(), |at| format!("until {}", minute(at)));
        let (secrecy, colour) = if point.encrypted { ("encrypted", look.dim) } else { ("NOT ENCRYPTED", look.warning) };
        let cells = vec![
            Cell::figure(point.bytes.map_or("—".to_owned(), bytes), 9, look.text),
            Cell::words(point.status.to_string().to_lowercase(), 9, style),
            Cell::words(secrecy, 13, colour),
            Cell::words(point.vault.to_string(), 24, look.dim),
            Cell::words(until, 24, look.dim),
        ];
        let line = row(pen, Some(point.at), cells, width);
        sheet.lines.push(line);
    }
    more(sheet, look.dim, backups.points.len());
    if !backups.copies.is_empty() {
        sheet.head("COPIES");
    }
    for copy in backups.copies.iter().take(MOST) {
        let style = if copy.has_failed() { look.warning } else { look.text };
        let why = copy.message.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let to = copy.region().map_or("—".into(), sanitise);
        let words = format!("{} to {to}{why}", copy.state.to_string().to_lowercase());
        let room = width.saturating_sub(24);
        let line = row(pen, Some(copy.at), vec![Cell::words(text::cut(&words, room), room, style)], width);
        sheet.lines.push(line);
    }
    if !backups.copies.is_empty() {
        more(sheet, look.dim, backups.copies.len());
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
        let age = short(pen.model.moment().duration_since(job.at).as_secs_f64());
        let words = format!("{kind} {}{took}{why}", job.state.to_string().to_lowercase());
        sheet.field(&format!("{age} ago"), &words, if job.has_failed() { look.warning } else { look.text });
    }
    more(sheet, look.dim, backups.jobs.len());
}
