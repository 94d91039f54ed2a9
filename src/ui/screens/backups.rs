//! Screen 7: what each instance and tenant could be restored from, beside what the policy wants.

use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use crate::app::backups::{BackupColumn, BackupRow, Exposure, Restorable};
use crate::app::{Span as Window, Viewport};
use crate::domain::Observed;
use crate::domain::foreign::sanitise;
use crate::domain::quantity::plural;
use crate::ui::pen::{Edge, Pen, below, inner};
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
    Look::new(Of::Days, "kept", 8, true, 1),
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
    let heading = Heading { name: "BACKUPS", about: "age / target", ..Heading::default() };
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

/// A time in the two digits that matter: `45s`, `4m`, `3h`, `12d`.
pub(super) fn short(seconds: f64) -> String {
    match seconds.max(0.0).floor() as u64 {
        seconds @ 0..=99 => format!("{seconds}s"),
        seconds @ 100..=5_999 => format!("{}m", seconds / 60),
        seconds @ 6_000..=172_799 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// Whether it is known, and old.
fn aged<T>(observed: &Observed<T>, moment: jiff::Timestamp) -> bool {
    observed.value.is_some() && observed.fresh(moment).is_none()
}

/// Whether what its sources say is of now.
pub(super) fn is_fresh(pen: &Pen<'_>, row: &BackupRow) -> bool {
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
        Of::Instance if row.whole => {
            let style = if fresh { look.strong } else { look.dim };
            return one(text::end(row.instance.as_str(), width), style);
        }
        Of::Instance => {
            return one(format!("  {}", text::end(row.instance.as_str(), width.saturating_sub(2))), look.faint);
        }
        Of::Tenant => {
            return match &row.tenant {
                Some(tenant) => one(tenant.to_string(), plain),
                None => one(row.tenants.map_or("—".to_owned(), |count| plural(count, "tenant")), look.dim),
            };
        }
        _ => {}
    }
    let missing = || Line::from(Span::styled("—", look.faint));
    let Some(known) = row.known.as_deref() else { return missing() };
    let line = told(pen, column, row, known, width).unwrap_or_else(missing);
    if fresh {
        return line;
    }
    let words: String = line.spans.iter().map(|span| span.content.as_ref()).collect();
    Line::from(Span::styled(words, dim))
}

fn told(pen: &Pen<'_>, column: Of, row: &BackupRow, known: &Restorable, width: usize) -> Option<Line<'static>> {
    let (look, moment) = (pen.look, pen.model.moment());
    let warn = look.warning.remove_modifier(Modifier::BOLD);
    let one = |words: String, style| Some(Line::from(Span::styled(text::cut(&words, width), style)));
    match column {
        Of::Need => {
            let (sign, style) = match known.need(moment) {
                3 => ("✖", look.critical),
                2 => ("▲", look.warning),
                1 => ("?", look.dim),
                _ => ("●", look.good),
            };
            // What a tenant has is its instance's: said once, repeated quietly.
            one(sign.to_owned(), if row.whole { style } else { look.faint })
        }
        Of::Newest => {
            let age = known.age(moment);
            let late = age.is_none() || known.is_late(moment);
            let style = match (late, known.moment, age) {
                (true, None, None) if known.newest_unknown.is_none() => look.critical,
                (true, _, Some(_)) => warn,
                (true, ..) => look.faint,
                (false, ..) => look.text,
            };
            one(against(age, known.rpo.as_secs_f64()), style)
        }
        Of::Moment => {
            let lag = known.lag(moment);
            let target = known.rpo_moment.as_secs_f64();
            let style = match lag {
                Some(_) if known.is_behind(moment) => warn,
                Some(_) => look.text,
                None => look.faint,
            };
            one(against(lag, target), style)
        }
        Of::Window => {
            let back = known.earliest.map(|at| moment.duration_since(at).as_secs_f64());
            back.and_then(|back| one(short(back), look.text))
        }
        Of::Days => {
            let kept = known.kept();
            let short = kept.zip(known.wanted_days).is_some_and(|(kept, wanted)| kept < wanted);
            let days = kept.map_or("—".to_owned(), |days| match days {
                u32::MAX => "∞".to_owned(),
                days => days.to_string(),
            });
            let wanted = known.wanted_days.map_or("—".to_owned(), |days| days.to_string());
            one(format!("{days}/{wanted} d"), if short { warn } else { look.text })
        }
        Of::Encrypted => known
            .encrypted
            .and_then(|all| if all { one("yes".to_owned(), look.text) } else { one("NO".to_owned(), look.warning) }),
        Of::Shared => match &known.exposure {
            Exposure::Unknown => None,
            Exposure::Nobody => one("nobody".to_owned(), look.text),
            Exposure::Public => one("PUBLIC".to_owned(), look.critical),
            Exposure::Accounts(accounts) => {
                let words = if width >= 14 { accounts.join(" ") } else { plural(accounts.len(), "acct") };
                one(words, look.warning)
            }
        },
        Of::Copies if known.copies.is_empty() => None,
        Of::Copies => one(known.copies.iter().cloned().collect::<Vec<_>>().join(" "), look.text),
        Of::Job => known.job.as_ref().and_then(|job| {
            let age = short(moment.duration_since(job.at).as_secs_f64());
            let style = if job.failed() { look.critical } else { look.text };
            one(format!("{} {age} ago", job.state.to_lowercase()), style)
        }),
        // How long a restore takes is known when one was made.
        Of::Rto => {
            let took = known.took.as_ref().map_or_else(|_| "—".to_owned(), |took| short(*took));
            one(format!("{took}/{}", short(known.rto.as_secs_f64())), look.text)
        }
        _ => None,
    }
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
    fn ages_are_short() {
        use super::{against, short};
        assert_eq!(
            [4.0, 99.0, 240.0, 7_200.0, 86_400.0, 1_209_600.0].map(short),
            ["4s", "99s", "4m", "2h", "24h", "14d"]
        );
        assert_eq!((against(None, 86_400.0), against(Some(300.0), 300.0)), ("—/24h".to_owned(), "5m/5m".to_owned()));
    }
}
