//! One table in full: dead rows, bloat, ages, the vacuum that runs, who holds vacuum back, and what can be done.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::fresh::Fresh;
use super::session::scrolled;
use super::tables::{pressing, vacuum_line};
use crate::app::Viewport;
use crate::app::tables::{TableRow, holders, share, vacuumed};
use crate::domain::Instance;
use crate::domain::facts::{BloatEstimate, Holder, HolderKind};
use crate::domain::quantity::{bytes, count, duration, percent, plural};
use crate::ui::pen::{Edge, Pen, below, inner};
use crate::ui::widgets::{gauge, text};

/// Transaction ids after which the server stops taking any: what an age is held against.
const END: f64 = 2_147_483_648.0;

/// Cells before a value: the longest name and a space.
const LEAD: usize = 21;

pub(in crate::ui) fn draw(pen: &mut Pen<'_>, area: Rect) -> Viewport {
    let (model, look) = (pen.model, pen.look);
    let Some(kept) = &model.table else { return Viewport::default() };
    let row = &kept.value;
    let whose = row.tenant.as_ref().map(|tenant| format!(" of {tenant}")).unwrap_or_default();
    let title = pen.title(&format!("TABLE {}{whose} on {}", text::cut(&row.shown(), 60), row.instance));
    let gone = Line::from(Span::styled(" no longer among the worst: as it was last seen ", look.warning));
    let notes = if kept.gone { std::slice::from_ref(&gone) } else { &[] };
    pen.rule(Rect { height: 1, ..area }, Edge::Middle, look.rule, &title, notes);
    let inside = inner(below(area, 1));
    let lines = Page { pen, row, width: usize::from(inside.width) }.lines();
    scrolled(pen, inside, &lines)
}

struct Page<'p, 'a> {
    pen: &'p Pen<'a>,
    row: &'p TableRow,
    width: usize,
}

impl Page<'_, '_> {
    fn lines(&self) -> Vec<Line<'static>> {
        let (pen, row) = (self.pen, self.row);
        let instance = pen.model.shown.instance(&row.instance);
        let fresh = instance.map_or_else(Fresh::default, |instance| Fresh::on(pen, instance));
        let mut lines = faded(pen, self.rows(instance), fresh.debt);
        lines.extend(faded(pen, self.ages(instance), fresh.freeze));
        lines.push(Line::default());
        lines.push(self.head("BLOAT, ESTIMATED FROM THE PLANNER'S STATISTICS"));
        lines.extend(faded(pen, self.bloat(instance), fresh.bloat));
        lines.push(Line::default());
        lines.push(self.head("VACUUM"));
        lines.extend(self.vacuum(instance));
        lines.push(Line::default());
        lines.push(self.head("WHO HOLDS VACUUM BACK"));
        lines.extend(self.horizon(instance));
        lines.push(Line::default());
        lines.push(self.head("WHAT CAN BE DONE"));
        lines.extend(self.remedies());
        lines
    }

    fn head(&self, words: &str) -> Line<'static> {
        Line::from(Span::styled(words.to_owned(), self.pen.look.strong))
    }

    fn field(&self, name: &str, words: &str, style: Style) -> Vec<Line<'static>> {
        let wrapped = text::wrap(words, self.width.saturating_sub(LEAD)).into_iter().enumerate();
        wrapped
            .map(|(row, words)| {
                let lead = if row == 0 { name } else { "" };
                Line::from(vec![
                    Span::styled(format!("{lead:<LEAD$}"), self.pen.look.faint),
                    Span::styled(words, style),
                ])
            })
            .collect()
    }

    fn note(&self, words: &str, style: Style) -> Vec<Line<'static>> {
        let wrapped = text::wrap(words, self.width.saturating_sub(2)).into_iter();
        wrapped.map(|words| Line::from(Span::styled(format!("  {words}"), style))).collect()
    }

    /// Dead rows beside the table's own threshold, and when they were last removed.
    fn rows(&self, instance: Option<&Instance>) -> Vec<Line<'static>> {
        let (look, row) = (self.pen.look, self.row);
        let mut lines = self.field("database", &row.database().shown(), look.text);
        let Some(debt) = &row.debt else {
            let why = instance.and_then(|instance| instance.debt.missing(self.pen.model.moment()));
            let why = why.unwrap_or_else(|| "not among the most indebted tables".to_owned());
            lines.extend(self.field("dead rows", &format!("— {why}"), look.dim));
            return lines;
        };
        let ratio = debt.ratio();
        let style = pressing(self.pen, ratio);
        let mut line = Line::from(Span::styled(format!("{:<LEAD$}", "dead rows"), look.faint));
        line.spans.extend(gauge::bar(Some(ratio / 10.0), 10, style, look.track));
        line.push_span(Span::styled(format!("  ~{}", count(debt.dead_tuples as f64)), look.text));
        line.push_span(Span::styled(format!(", {}× its threshold of {}", count(ratio), count(debt.threshold)), style));
        lines.push(line);
        lines.extend(self.field("live rows", &format!("~{}", count(debt.live_tuples as f64)), look.text));
        lines.extend(self.field(
            "size",
            &format!("{}{} with indexes and TOAST", row.size_mark(), bytes(debt.bytes)),
            look.text,
        ));
        let (words, style) = match vacuumed(row, self.pen.model.moment()) {
            Some(age) => (format!("{} ago", duration(age.floor())), look.text),
            None => ("never since the counters began".to_owned(), look.warning),
        };
        lines.extend(self.field("last vacuum", &words, style));
        let (words, style) = if debt.autovacuum {
            ("on", look.text)
        } else {
            ("OFF: only a vacuum against wraparound will come by itself", look.critical)
        };
        lines.extend(self.field("autovacuum", words, style));
        lines
    }

    fn ages(&self, instance: Option<&Instance>) -> Vec<Line<'static>> {
        let (look, row) = (self.pen.look, self.row);
        let mut lines = Vec::new();
        for (name, age) in [("xid age", row.xid_age), ("multixact age", row.multixact_age)] {
            let Some(age) = age else {
                let why = instance.and_then(|instance| instance.freeze.missing(self.pen.model.moment()));
                let why = why.unwrap_or_else(|| "not among the oldest tables".to_owned());
                lines.extend(self.field(name, &format!("— {why}"), look.dim));
                continue;
            };
            let share = f64::from(age) / END;
            let style = if share >= 0.7 {
                look.critical
            } else if share >= 0.23 {
                look.warning
            } else {
                look.text
            };
            let mut line = Line::from(Span::styled(format!("{name:<LEAD$}"), look.faint));
            line.spans.extend(gauge::bar(Some(share), 10, style, look.track));
            let way = if share < 0.01 { "below 1%".to_owned() } else { percent(share) };
            let words = format!("  {}, {way} of the way to wraparound", count(f64::from(age)));
            line.push_span(Span::styled(words, style));
            lines.push(line);
        }
        lines
    }

    fn bloat(&self, instance: Option<&Instance>) -> Vec<Line<'static>> {
        let (look, row) = (self.pen.look, self.row);
        let Some((wasted, of)) = row.wasted() else {
            return self.note(&format!("— {}", unknown_bloat(self.pen, instance, row)), look.dim);
        };
        let all = format!("~{} of {} ({})", bytes(wasted), bytes(of), percent(share(row).unwrap_or(0.0)));
        let mut lines = self.field("all", &all, look.text);
        let part = |part: &BloatEstimate| {
            let share = part.wasted as f64 / part.bytes.max(1) as f64;
            let name = part.index.as_ref().map_or("the table".to_owned(), ToString::to_string);
            let mut line = Line::from(Span::styled(text::fit(&format!("  {name}"), 40.min(self.width / 2)), look.text));
            line.spans.extend(gauge::bar(Some(share), 10, look.accent, look.track));
            let words = format!("  ~{} of {} ({})", bytes(part.wasted), bytes(part.bytes), percent(share));
            line.push_span(Span::styled(words, look.text));
            line
        };
        lines.extend(row.bloat.iter().chain(&row.indexes).map(part));
        lines
    }

    fn vacuum(&self, instance: Option<&Instance>) -> Vec<Line<'static>> {
        let (pen, row) = (self.pen, self.row);
        let missing = instance.and_then(|instance| instance.vacuums.missing(pen.model.moment()));
        match (&row.vacuum, missing) {
            (Some(vacuum), None) => vec![vacuum_line(pen, vacuum, row.tenant.as_ref(), self.width)],
            (_, Some(reason)) => self.note(&format!("— not known: {reason}"), pen.look.dim),
            (None, None) => self.note("none runs on it now", pen.look.dim),
        }
    }

    /// Rows that somebody may still see are kept, however often vacuum comes by.
    fn horizon(&self, instance: Option<&Instance>) -> Vec<Line<'static>> {
        let (pen, look) = (self.pen, self.pen.look);
        let moment = pen.model.moment();
        let Some(instance) = instance else { return self.note("— not known", look.dim) };
        if let Some(reason) = instance.horizon.missing(moment) {
            return self.note(&format!("— not known: {reason}"), look.dim);
        }
        let found = holders(instance, self.row.database());
        if found.is_empty() {
            return self.note("nobody that is known", look.dim);
        }
        let told = |holder: &&Holder| {
            let kind = match holder.kind {
                HolderKind::Session => "session",
                HolderKind::Prepared => "prepared transaction",
                HolderKind::Slot => "replication slot",
                HolderKind::Catalog => "logical slot",
                HolderKind::Standby => "standby",
            };
            let role = holder.role.as_ref().map(|role| format!(" of {role}")).unwrap_or_default();
            let since = holder.since.map(|at| duration(moment.duration_since(at).as_secs_f64().max(0.0)));
            let since = since.map(|since| format!(", for {since}")).unwrap_or_default();
            let held = count(f64::from(holder.xid_age));
            let words = format!("{}{role}: everything newer than {held} transactions ago{since}", holder.name);
            self.field(kind, &words, look.text)
        };
        found.iter().take(6).flat_map(told).collect()
    }

    fn remedies(&self) -> Vec<Line<'static>> {
        let (look, row) = (self.pen.look, self.row);
        let mut lines = Vec::new();
        let who = format!("in database {}, as the table's owner or a member of it", row.database());
        lines.extend(text::wrap(&who, self.width).into_iter().map(|words| Line::from(Span::styled(words, look.dim))));
        for remedy in row.remedies() {
            lines.push(Line::from(Span::styled(format!("→ {}", remedy.words), look.text)));
            let style = if remedy.sure { look.accent } else { look.dim };
            let wrapped = text::wrap_statement(&remedy.statement, self.width.saturating_sub(4)).into_iter();
            for (row, words) in wrapped.enumerate() {
                let lead = if row == 0 { "  $ " } else { "    " };
                lines.push(Line::from(vec![Span::styled(lead, look.faint), Span::styled(words, style)]));
            }
        }
        lines
    }
}

/// Why nothing is known of a table's bloat, and as of when: what was looked at hours ago says little of a table now.
fn unknown_bloat(pen: &Pen<'_>, instance: Option<&Instance>, row: &TableRow) -> String {
    let (name, moment) = (row.shown(), pen.model.moment());
    let Some(instance) = instance else { return format!("unknown for {name}: its instance is not seen") };
    if let Some(reason) = instance.bloat.missing(moment) {
        return format!("unknown for {name}: {reason}");
    }
    let Some(bloat) = &instance.bloat.value else { return format!("unknown for {name}") };
    let age = instance.bloat.age(moment).map(|age| duration(age.as_secs_f64().floor()));
    let at = age.map(|age| format!(" (measured {age} ago)")).unwrap_or_default();
    let listed = bloat.worst.len();
    let why = if bloat.closed.contains(row.database()) {
        format!("our login is not let into database {}", row.database())
    } else if bloat.seen < bloat.of {
        format!("{} of {} databases looked into so far", bloat.seen, bloat.of)
    } else if bloat.hidden > 0 {
        format!(
            "the statistics of {} are hidden from our login or missing (tierdeck doctor names the GRANT); of the others \
             the {listed} that waste most are told",
            plural(bloat.hidden as usize, "table")
        )
    } else {
        format!("small then, or not among the {listed} that waste most")
    };
    format!("unknown for {name}{at}: {why}")
}

/// Takes the colour out of what no longer speaks of now.
fn faded(pen: &Pen<'_>, mut lines: Vec<Line<'static>>, fresh: bool) -> Vec<Line<'static>> {
    if !fresh {
        lines.iter_mut().flat_map(|line| &mut line.spans).for_each(|span| span.style = pen.look.faint);
    }
    lines
}
