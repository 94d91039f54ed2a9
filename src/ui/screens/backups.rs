//! Screen 7: what each instance and tenant could be restored from, beside what the policy wants.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::app::backups::{BackupColumn, BackupRow, Exposure, Judged, Restorable, Strays};
use crate::app::{Span as Window, Viewport};
use crate::domain::foreign::sanitise;
use crate::domain::quantity::{plural, short};
use crate::domain::{Observed, Severity};
use crate::ui::pen::{Edge, Pen, below, inner};
use crate::ui::theme::glyph;
use crate::ui::widgets::table::{self, Heading, Look};
use crate::ui::widgets::text;

use BackupColumn as Of;

const LOOKS: [Look<Of>; 13] = [
    Look::new(Of::Need, "", 1, false, 0),
    Look::new(Of::Instance, "instance", 14, false, 0),
    Look::new(Of::Tenant, "tenant", 14, false, 0),
    Look::new(Of::Newest, "backup", 11, true, 0),
    Look::new(Of::Moment, "pitr", 11, true, 0),
    Look::new(Of::Window, "window", 7, true, 3),
    Look::new(Of::Days, "kept", 10, true, 1),
    Look::new(Of::Encrypted, "enc", 3, false, 2),
    Look::new(Of::Shared, "shared", 8, false, 2),
    Look::new(Of::Copies, "copies", 14, false, 6),
    Look::new(Of::Job, "last job", 20, false, 5),
    Look::new(Of::Rto, "rto", 9, true, 4),
    Look::new(Of::Drill, "drill", 5, true, 7),
];

/// The list, and below it the one under the cursor in words.
pub(in crate::ui) fn draw(pen: &mut Pen<'_>, area: Rect) -> Viewport {
    let lower = if area.height >= 16 { (area.height / 3).min(12) } else { 0 };
    let upper = Rect { height: area.height - lower, ..area };
    let window = list(pen, upper);
    if let Some(row) = pen.model.backup_under_cursor().filter(|_| lower > 0) {
        let rest = Rect { y: upper.bottom(), height: lower, ..area };
        let title = format!("{} · ⏎ shows every one", super::backup::whose(row));
        pen.rule(Rect { height: 1, ..rest }, Edge::Middle, pen.look.rule, &pen.title(&title), &[]);
        let inside = inner(below(rest, 1));
        let lines = super::backup::summary(pen, row, usize::from(inside.width));
        pen.block(inside, &lines);
    }
    Viewport { list: Some(window), ..Viewport::default() }
}

fn list(pen: &mut Pen<'_>, area: Rect) -> Window {
    let (model, look) = (pen.model, pen.look);
    let held = &model.backups;
    let table = &held.table;
    let stray = held.rows.iter().filter(|row| row.strays.is_some()).count();
    let remark =
        (stray > 0).then(|| Line::from(Span::styled(format!(" snapshots of no instance: {stray} "), look.warning)));
    let remarks = remark.into_iter().collect();
    let heading = Heading { name: "BACKUPS", about: "age / target", remarks, ..Heading::default() };
    let inside = table::heading(pen, area, table, heading);
    let looks = table::arranged(&LOOKS, &table.columns);
    let columns = table::place(&looks, inside.width, Of::Instance, 32, Some(table.sort));
    table::titles(pen, inside, &columns, Some((table.sort, table.descending)));
    let rows = below(inside, 1);
    if table.list.rows.is_empty() {
        let words =
            if table.total > 0 { "nothing matches the filter: Esc clears it" } else { "no instance is known yet" };
        pen.put(rows.x, rows.y, rows.width, &Line::from(Span::styled(words, look.dim)));
    }
    table::rows(pen, rows, &columns, &table.list, &held.rows, true, cell)
}

/// An age beside its target: `3h 12m/1d`.
fn against(age: Option<f64>, target: f64) -> String {
    format!("{}/{}", age.map_or("—".to_owned(), short), short(target))
}

/// Whether it is known, and old.
fn aged<T>(observed: &Observed<T>, moment: jiff::Timestamp) -> bool {
    observed.value.is_some() && observed.fresh(moment).is_none()
}

/// Whether what its sources say is of now. Snapshots of no instance are told by the account's own clock.
pub(super) fn is_fresh(pen: &Pen<'_>, row: &BackupRow) -> bool {
    if row.strays.is_some() {
        return true;
    }
    let moment = pen.model.moment();
    let cloud = pen.model.shown.instance(&row.instance).and_then(|instance| instance.cloud.as_ref());
    cloud.is_some_and(|cloud| !aged(&cloud.snapshots, moment) && !aged(&cloud.rds, moment))
}

fn cell(pen: &Pen<'_>, column: Of, row: &BackupRow, width: usize) -> Line<'static> {
    let look = pen.look;
    let fresh = is_fresh(pen, row);
    let (plain, dim) = if fresh { (look.text, look.dim) } else { (look.faint, look.faint) };
    let one = |words: String, style| Line::from(Span::styled(text::cut(&words, width), style));
    match column {
        Of::Instance if row.is_whole() => {
            let style = if fresh { look.strong } else { look.dim };
            return one(text::end(row.instance.as_str(), width), style);
        }
        Of::Instance => {
            return one(format!("  {}", text::end(row.instance.as_str(), width.saturating_sub(2))), look.faint);
        }
        Of::Tenant => {
            return match (&row.tenant, row.strays.as_deref()) {
                (Some(tenant), _) => one(tenant.to_string(), plain),
                (None, Some(strays)) => one(stands(strays).to_owned(), look.dim),
                (None, None) => one(row.tenants.map_or("—".to_owned(), |count| plural(count, "tenant")), look.dim),
            };
        }
        _ => {}
    }
    let missing = || Line::from(Span::styled("—", look.faint));
    let told = match (column, row.judged()) {
        (Of::Need, Some(judged)) => {
            let (sign, style) = sign(pen, judged);
            // What a tenant has is its instance's: said once, repeated quietly.
            Some(Line::from(Span::styled(sign, if row.is_whole() { style } else { look.faint })))
        }
        _ => match (row.known.as_deref(), row.strays.as_deref()) {
            (Some(known), _) => told(pen, column, known, width),
            (None, Some(strays)) => astray(pen, column, strays, width),
            (None, None) => None,
        },
    };
    let line = told.unwrap_or_else(missing);
    if fresh {
        return line;
    }
    let words: String = line.spans.iter().map(|span| span.content.as_ref()).collect();
    Line::from(Span::styled(words, dim))
}

/// The worst that the signals say, as everywhere; what they cannot say is never fine.
fn sign(pen: &Pen<'_>, judged: &Judged) -> (&'static str, Style) {
    let look = pen.look;
    match judged.worst() {
        Some(severity @ (Severity::Critical | Severity::Warning)) => (glyph(severity), look.severity(severity)),
        _ if !judged.unknown.is_empty() => ("?", look.dim),
        Some(severity) => (glyph(severity), look.severity(severity)),
        None => ("●", look.good),
    }
}

/// What an instance is that nobody watches.
pub(super) fn stands(strays: &Strays) -> &'static str {
    if strays.gone { "no instance" } else { "not watched" }
}

fn told(pen: &Pen<'_>, column: Of, known: &Restorable, width: usize) -> Option<Line<'static>> {
    let (look, moment) = (pen.look, pen.model.moment());
    let judged = &known.judged;
    let one = |words: String, style| Some(Line::from(Span::styled(text::cut(&words, width), style)));
    let graded = |severity| look.graded(severity).unwrap_or(look.text);
    match column {
        Of::Newest => {
            let age = known.age(moment);
            let style = if age.is_none() && known.newest_unknown.is_some() { look.faint } else { graded(judged.loss) };
            one(against(age, known.rpo.as_secs_f64()), style)
        }
        Of::Moment => {
            let lag = known.lag(moment);
            let worst = judged.behind.max(judged.loss);
            let style = if lag.is_none() && worst.is_none() { look.faint } else { graded(worst) };
            one(against(lag, known.rpo_moment.as_secs_f64()), style)
        }
        Of::Window => {
            let back = known.earliest.map(|at| moment.duration_since(at).as_secs_f64());
            back.and_then(|back| one(short(back), look.text))
        }
        Of::Days => one(kept(known), graded(judged.kept)),
        Of::Encrypted => encrypted(pen, known.encrypted, judged),
        Of::Shared => shared(pen, &known.exposure, judged, width),
        Of::Copies if known.copies.is_empty() => None,
        Of::Copies => one(known.copies.iter().cloned().collect::<Vec<_>>().join(" "), look.text),
        Of::Job => known.job.as_ref().and_then(|job| {
            let age = short(moment.duration_since(job.at).as_secs_f64());
            let style = graded(judged.jobs.filter(|_| job.has_failed()));
            one(format!("{} {age} ago", job.state.to_string().to_lowercase()), style)
        }),
        // How long a restore takes is known when one was made.
        Of::Rto => {
            let took = known.took.as_ref().map_or_else(|_| "—".to_owned(), |took| short(*took));
            one(format!("{took}/{}", short(known.rto.as_secs_f64())), look.text)
        }
        _ => None,
    }
}

/// What there is to say of snapshots of no instance.
fn astray(pen: &Pen<'_>, column: Of, strays: &Strays, width: usize) -> Option<Line<'static>> {
    match column {
        // Nobody wants them younger.
        Of::Newest => {
            let age = strays.age(pen.model.moment())?;
            Some(Line::from(Span::styled(text::cut(&short(age), width), pen.look.text)))
        }
        Of::Encrypted => encrypted(pen, strays.encrypted, &strays.judged),
        Of::Shared => shared(pen, &strays.exposure, &strays.judged, width),
        _ => None,
    }
}

fn encrypted(pen: &Pen<'_>, all: Option<bool>, judged: &Judged) -> Option<Line<'static>> {
    let style = pen.look.graded(judged.encrypted).unwrap_or(pen.look.text);
    all.map(|all| Line::from(Span::styled(if all { "yes" } else { "NO" }, style)))
}

fn shared(pen: &Pen<'_>, exposure: &Exposure, judged: &Judged, width: usize) -> Option<Line<'static>> {
    let words = match exposure {
        Exposure::Unknown => return None,
        Exposure::Nobody => "nobody".to_owned(),
        Exposure::Allowed(_) => "allowed".to_owned(),
        Exposure::Public => "PUBLIC".to_owned(),
        Exposure::Strangers(accounts) if width >= 14 => accounts.join(" "),
        Exposure::Strangers(accounts) => plural(accounts.len(), "acct"),
    };
    let style = pen.look.graded(judged.shared).unwrap_or(pen.look.text);
    Some(Line::from(Span::styled(text::cut(&words, width), style)))
}

/// `7+35/35 d`: by RDS, by AWS Backup, wanted. A moment can be restored of the first alone.
fn kept(known: &Restorable) -> String {
    let days = |days: Option<u32>| days.map_or("—".to_owned(), |days| days.to_string());
    let plan = match known.plan_days {
        Some(u32::MAX) => "+∞".to_owned(),
        Some(days) => format!("+{days}"),
        None if known.plans_known => String::new(),
        None => "+—".to_owned(),
    };
    format!("{}{plan}/{} d", days(known.days), days(known.wanted_days))
}

/// Why a part of it may be missing.
pub(super) fn troubles(known: &Restorable) -> impl Iterator<Item = String> + '_ {
    let about = |name: &str| matches!(name, "rds" | "snapshots" | "backups");
    known.troubles.iter().filter(move |(name, _)| about(name)).map(|(name, why)| format!("{name}: {}", sanitise(why)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn titles_are_names() {
        super::table::titles_are_names(&super::LOOKS);
    }

    #[test]
    fn ages_stand_beside_their_targets() {
        use super::against;
        assert_eq!((against(None, 86_400.0), against(Some(300.0), 300.0)), ("—/24h".to_owned(), "5m/5m".to_owned()));
    }
}
