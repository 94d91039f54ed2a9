//! Screen 4: who waits for whom: trees with the root blamed in words, and what is under the cursor in full.

use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::fresh::Fresh;
use super::lock_detail::chosen;
use super::sessions::head;
use crate::app::columns::is_claimed;
use crate::app::locks::{LockKey, LockLine, LockRoot, LockRow, LockTrees, RootKey, Waiting};
use crate::app::{Span as Window, Viewport};
use crate::domain::lock_graph::is_inferred;
use crate::domain::quantity::{duration, plural};
use crate::domain::{Finding, Foreign, Instance, Session, Signal};
use crate::ui::pen::{Edge, Pen, below, inner};
use crate::ui::theme::glyph;
use crate::ui::widgets::table::{self, Look, Placed};
use crate::ui::widgets::text;
use crate::ui::wrong::is_past;

/// What a column of waiters shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Who,
    Pid,
    Mode,
    On,
    For,
    Statement,
}

const LOOKS: [Look<Of>; 6] = [
    Look::new(Of::Who, "who waits", 20, false, 0),
    Look::new(Of::Pid, "pid", 7, true, 0),
    Look::new(Of::For, "for", 7, true, 0),
    Look::new(Of::Mode, "wants", 14, false, 2),
    Look::new(Of::On, "on", 20, false, 1),
    Look::new(Of::Statement, "statement", 18, false, 3),
];

pub(in crate::ui) fn draw(pen: &mut Pen<'_>, area: Rect) -> Viewport {
    let trees = &pen.model.locks;
    Viewport { list: Some(draw_trees(pen, area, trees, "LOCKS")), ..Viewport::default() }
}

/// The trees, and below them what is under the cursor.
pub(super) fn draw_trees(pen: &mut Pen<'_>, area: Rect, trees: &LockTrees, name: &str) -> Window {
    let detail = if area.height >= 16 && !trees.rows.is_empty() { (area.height * 2 / 5).clamp(8, 16) } else { 0 };
    let upper = Rect { height: area.height - detail, ..area };
    let window = lines(pen, upper, trees, name);
    if detail > 0 {
        let lower = below(area, upper.height);
        let inside = inner(below(lower, 1));
        let (title, lines) = chosen(pen, trees, usize::from(inside.width), usize::from(inside.height));
        pen.rule(Rect { height: 1, ..lower }, Edge::Middle, pen.look.rule, &pen.title(title), &[]);
        pen.block(inside, &lines);
    }
    window
}

fn lines(pen: &mut Pen<'_>, area: Rect, trees: &LockTrees, name: &str) -> Window {
    let look = pen.look;
    let style = look.accent.add_modifier(Modifier::BOLD);
    let mut title = vec![Span::styled(format!(" {name} "), style)];
    if trees.waiting.sessions > 0 {
        let oldest = trees.waiting.oldest.map(|age| format!(" · oldest {}", duration(age))).unwrap_or_default();
        let words = format!(
            "{} {} · {}{oldest} ",
            plural(trees.waiting.sessions, "session"),
            if trees.waiting.sessions == 1 { "waits" } else { "wait" },
            whose_many(&trees.waiting)
        );
        title.push(Span::styled(words, look.strong));
    }
    let mut right = Vec::new();
    if trees.trees > 0 {
        right.push(Line::from(Span::styled(format!(" behind {} ", plural(trees.trees, "root")), look.dim)));
    }
    if let Some(words) = old(pen).filter(|_| !trees.rows.is_empty()) {
        right.insert(0, Line::from(Span::styled(format!(" {words} "), look.warning)));
    }
    pen.rule(Rect { height: 1, ..area }, Edge::Middle, look.rule, &Line::from(title), &right);
    let inside = inner(below(area, 1));
    if trees.rows.is_empty() {
        let words = text::cut(&nobody(pen), usize::from(inside.width));
        pen.put(inside.x, inside.y, inside.width, &Line::from(Span::styled(words, look.dim)));
        return Window { top: 0, page: usize::from(inside.height) };
    }
    let looks = LOOKS.map(|look| match look.column {
        Of::Who if inside.width >= 110 => Look { width: 28, ..look },
        Of::Mode if inside.width >= 140 => Look { width: 20, ..look },
        Of::On if inside.width >= 110 => Look { width: 26, ..look },
        _ => look,
    });
    let wide = if inside.width >= 100 { Of::Statement } else { Of::On };
    let columns = table::place(&looks, inside.width, wide, u16::MAX, None);
    table::labels(pen, inside, &columns, None);
    rows(pen, below(inside, 1), &columns, trees)
}

fn rows(pen: &mut Pen<'_>, area: Rect, columns: &[Placed<Of>], trees: &LockTrees) -> Window {
    let look = pen.look;
    let height = usize::from(area.height);
    let top = trees.list.top_for(height);
    for (at, y) in (top..trees.rows.len()).zip(area.top()..area.bottom()) {
        let Some(row) = trees.rows.get(at) else { continue };
        let fresh = instance_of(pen, row).is_some_and(|instance| Fresh::on(pen, instance).activity);
        let aged = |mut line: Line<'static>| {
            if !fresh {
                line.spans.iter_mut().for_each(|span| span.style = look.faint);
            }
            line
        };
        match &row.line {
            LockLine::Root { root, waiting, open } => {
                let line = aged(root_line(pen, row, root, waiting, *open, area.width));
                pen.put(area.x, y, area.width, &line);
            }
            line => {
                for column in columns {
                    let line = aged(cell(pen, column.look.column, line, column.width));
                    let wide = u16::try_from(column.width).unwrap_or(0).min(area.width.saturating_sub(column.x()));
                    let gap = if column.look.right { column.width.saturating_sub(line.width()) } else { 0 };
                    let gap = u16::try_from(gap).unwrap_or(0);
                    pen.put(area.x + column.x() + gap, y, wide.saturating_sub(gap), &line);
                }
            }
        }
        if at == trees.list.at {
            pen.wash(Rect { x: area.x.saturating_sub(1), y, width: area.width + 2, height: 1 }, look.selected);
            pen.put(area.x.saturating_sub(2), y, 1, &Line::from(Span::styled("▌", look.accent)));
        }
    }
    table::thumb(pen, area, top, trees.rows.len());
    Window { top, page: height }
}

pub(super) fn instance_of<'a>(pen: &Pen<'a>, row: &LockRow) -> Option<&'a Instance> {
    let (LockKey::Root(name, _) | LockKey::Tenant(name, ..) | LockKey::Waiter(name, _)) = &row.key;
    pen.model.shown.instance(name)
}

/// `10 tenants`, with those that are only claimed told apart.
fn whose_many(waiting: &Waiting) -> String {
    match (waiting.tenants, waiting.claimed) {
        (0, 0) => "tenants not known".to_owned(),
        (known, 0) => plural(known, "tenant"),
        (0, claimed) => format!("{} by claim", plural(claimed, "tenant")),
        (known, claimed) => format!("{} +{claimed} by claim", plural(known, "tenant")),
    }
}

/// Why nothing is drawn.
fn nobody(pen: &Pen<'_>) -> String {
    let instances = &pen.model.shown.instances;
    let dark = pen.dark();
    let moment = pen.model.moment();
    if instances.is_empty() {
        String::new()
    } else if !dark.is_empty() {
        format!("who waits is not known: {dark} is not reached")
    } else if let Some(reason) = instances.iter().find_map(|instance| instance.activity.missing(moment)) {
        format!("who waits is not known: {reason}")
    } else {
        "nobody waits for a lock".to_owned()
    }
}

/// That the trees are not those of now.
fn old(pen: &Pen<'_>) -> Option<String> {
    let moment = pen.model.moment();
    let stale = pen.model.shown.instances.iter().filter(|instance| !Fresh::on(pen, instance).activity);
    let age = stale.filter_map(|instance| instance.activity.age(moment)).max()?;
    Some(format!("as last known, {} ago", duration(age.as_secs_f64())))
}

/// What a session does, for how long: `idle in transaction 2m 14s`.
fn doing(session: &Session) -> String {
    let age = |seconds: Option<f64>| seconds.map(|seconds| format!(" {}", duration(seconds))).unwrap_or_default();
    if session.state.is_idle_in_transaction() {
        format!("idle in transaction{}", age(session.state_age()))
    } else if session.state.is_active() {
        format!("running a statement{}", age(session.query_age()))
    } else {
        format!("{}{}", session.state.label(), age(session.state_age()))
    }
}

/// Whose a session is, and how that is known.
fn whose(session: &Session) -> (String, String) {
    match (session.attribution.tenant(), session.attribution.reason()) {
        (Some(tenant), Some(reason)) if is_claimed(session) => {
            (format!("{tenant}?"), format!("only claimed by its {}", reason.label()))
        }
        (Some(tenant), Some(reason)) => (tenant.to_string(), format!("known by its {}", reason.label())),
        _ => ("nobody's that we know".to_owned(), format!("logged in as {}", session.role)),
    }
}

/// `blocks 12 sessions of 10 tenants, the oldest for 2m 13s`
pub(super) fn blocks(waiting: &Waiting) -> String {
    let oldest = waiting.oldest.map(|age| format!(", the oldest for {}", duration(age))).unwrap_or_default();
    format!("blocks {}{oldest}", blocked(waiting))
}

/// `blocks 12 (10 tenants)`
fn blocks_short(waiting: &Waiting) -> String {
    let tenants = waiting.tenants + waiting.claimed;
    let of = if tenants == 0 { String::new() } else { format!(" ({})", plural(tenants, "tenant")) };
    format!("blocks {}{of}", waiting.sessions)
}

/// `12 sessions of 10 tenants`
fn blocked(waiting: &Waiting) -> String {
    let of =
        if waiting.tenants + waiting.claimed == 0 { String::new() } else { format!(" of {}", whose_many(waiting)) };
    format!("{}{of}", plural(waiting.sessions, "session"))
}

fn root_line(pen: &Pen<'_>, row: &LockRow, root: &LockRoot, waiting: &Waiting, open: bool, wide: u16) -> Line<'static> {
    let look = pen.look;
    let found = finding(pen, row, root);
    let (sign, style) = found.map_or(("·", look.dim), |found| (glyph(found.severity), look.severity(found.severity)));
    let mut spans =
        vec![Span::styled(if open { "▾ " } else { "▸ " }, look.accent), Span::styled(format!("{sign} "), style)];
    let mut say = |words: String, style: Style| spans.push(Span::styled(words, style));
    // With little room, how long the oldest has waited stands at its own line alone.
    let many = if wide < 100 { blocks_short(waiting) } else { blocks(waiting) };
    match root {
        LockRoot::Session(place) => {
            let Some(session) = pen.model.shown.sessions.get(*place) else { return Line::default() };
            let (tenant, known) = whose(session);
            let sure = session.attribution.strong().is_some();
            say(tenant, if sure { look.strong } else { look.warning });
            say(format!(" pid {} ", session.key.pid), look.text);
            let stuck = session.state.is_idle_in_transaction();
            say(doing(session), if stuck { look.warning.remove_modifier(Modifier::BOLD) } else { look.good });
            if wide < 100 {
                say(format!(", {many}"), look.text);
            } else {
                say(format!(", {known}, blocks {}", blocked(waiting)), look.text);
            }
            if let Some(query) = &session.query {
                let said = if session.state.is_active() { "runs" } else { "last ran" };
                say(format!(" · {said} {}", Foreign::new(head(query.raw(), 800)).shown()), look.dim);
            }
        }
        LockRoot::Prepared => {
            say("a prepared transaction".to_owned(), look.strong);
            say(format!(" that nobody finished {many}"), look.text);
        }
        LockRoot::Other(pid) => {
            let (what, more) = stranger(pen, row, *pid);
            say(what, look.strong);
            say(format!(" {many}{more}"), look.text);
        }
        LockRoot::Unseen => {
            say("somebody whom the server did not name".to_owned(), look.warning);
            say(format!(" {many}"), look.text);
        }
        LockRoot::Cycle(pids) => {
            say("they wait for each other".to_owned(), look.strong);
            say(format!(": {} · {}", circle(pids), blocked(waiting)), look.text);
        }
    }
    Line::from(spans)
}

/// `4101 → 4102 → 4101`
pub(super) fn circle(pids: &[i32]) -> String {
    let mut names: Vec<String> = pids.iter().take(6).map(ToString::to_string).collect();
    names.push(if pids.len() > 6 {
        "…".to_owned()
    } else {
        pids.first().map(ToString::to_string).unwrap_or_default()
    });
    names.join(" → ")
}

/// A blocker that is no client session: what it is, and what to know about it.
pub(super) fn stranger(pen: &Pen<'_>, row: &LockRow, pid: i32) -> (String, String) {
    let vacuums = instance_of(pen, row).and_then(|instance| instance.vacuums.value.as_ref());
    let vacuum = vacuums.and_then(|vacuums| vacuums.running.iter().find(|vacuum| vacuum.pid == pid));
    let Some(vacuum) = vacuum else {
        return (format!("pid {pid} (no client session)"), ": a background process, or gone since".to_owned());
    };
    let on = match (&vacuum.schema, &vacuum.table) {
        (Some(schema), Some(table)) => format!(" of {schema}.{table}"),
        _ => format!(" in {}", vacuum.database),
    };
    let kind = if vacuum.automatic { "autovacuum" } else { "a vacuum" };
    let more = match (vacuum.against_wraparound, vacuum.automatic) {
        (true, _) => ": it prevents wraparound and does not give way",
        (false, true) => ": it gives way by itself after deadlock_timeout",
        (false, false) => "",
    };
    (format!("{kind}{on}, pid {pid},"), more.to_owned())
}

/// What was found about a root, if it still holds.
pub(super) fn finding<'a>(pen: &Pen<'a>, row: &LockRow, root: &LockRoot) -> Option<&'a Finding> {
    let LockKey::Root(instance, key) = &row.key else { return None };
    let mut subjects = match key {
        RootKey::Session(key) => vec![key.pid.to_string()],
        RootKey::Prepared => vec!["prepared transaction".to_owned()],
        RootKey::Other(pid) | RootKey::Cycle(pid) => vec![pid.to_string()],
        RootKey::Unseen => Vec::new(),
    };
    if let LockRoot::Session(place) = root {
        let tenant = pen.model.shown.sessions.get(*place).and_then(|session| session.attribution.strong());
        subjects.extend(tenant.map(ToString::to_string));
    }
    let about = |found: &&Finding| {
        found.signal == Signal::LockChain
            && found.subject.instance == *instance
            && subjects.contains(&found.subject.id)
            && !is_past(found)
    };
    pen.model.shown.findings.iter().find(about)
}

fn cell(pen: &Pen<'_>, column: Of, line: &LockLine, width: usize) -> Line<'static> {
    match line {
        LockLine::Waiter { session, guides } => {
            pen.model.shown.sessions.get(*session).map(|session| waiter(pen, column, session, guides, width))
        }
        LockLine::Tenant { tenant, claimed, waiting, oldest, open, guides } => {
            let look = pen.look;
            let oldest = pen.model.shown.sessions.get(*oldest);
            Some(match column {
                Of::Who => {
                    let name = tenant.as_ref().map_or("without a tenant", |tenant| tenant.as_str());
                    let mark = if *claimed { "?" } else { "" };
                    Line::from(vec![
                        Span::styled(guides.clone(), look.faint),
                        Span::styled(if *open { "▾ " } else { "▸ " }, look.accent),
                        Span::styled(
                            text::cut(&format!("{name}{mark}"), width.saturating_sub(text::width(guides) + 2)),
                            if *claimed || tenant.is_none() { look.dim } else { look.strong },
                        ),
                    ])
                }
                Of::Pid => Line::from(Span::styled(format!("{}×", waiting.sessions), look.second)),
                Of::Statement => Line::default(),
                _ => oldest.map(|session| waiter(pen, column, session, "", width)).unwrap_or_default(),
            })
        }
        LockLine::Root { .. } => None,
    }
    .unwrap_or_default()
}

fn waiter(pen: &Pen<'_>, column: Of, session: &Session, guides: &str, width: usize) -> Line<'static> {
    let look = pen.look;
    let blocking = session.blocking.as_ref();
    let missing = Span::styled("—", look.faint);
    match column {
        Of::Who => {
            let room = width.saturating_sub(text::width(guides));
            let name = match session.attribution.tenant() {
                Some(tenant) if is_claimed(session) => {
                    Span::styled(format!("{}?", text::cut(tenant.as_str(), room.saturating_sub(1))), look.dim)
                }
                Some(tenant) => Span::styled(text::cut(tenant.as_str(), room), look.strong),
                None => Span::styled(text::cut(&session.role.shown(), room), look.dim),
            };
            Line::from(vec![Span::styled(guides.to_owned(), look.faint), name])
        }
        Of::Pid => Line::from(Span::styled(session.key.pid.to_string(), look.text)),
        Of::Mode => Line::from(blocking.and_then(|blocking| blocking.mode.as_deref()).map_or(missing, |mode| {
            Span::styled(text::cut(mode.strip_suffix("Lock").unwrap_or(mode), width), look.dim)
        })),
        Of::On => {
            // Whose blockers were guessed from another session's is marked so.
            let mark = if is_inferred(session) { "~" } else { "" };
            let on =
                blocking.and_then(|blocking| blocking.relation.as_ref()).map(|relation| relation.shown().into_owned());
            let on = on.or_else(|| session.wait.as_ref().map(|wait| format!("({})", wait.event)));
            Line::from(on.map_or(missing, |on| Span::styled(text::cut(&format!("{mark}{on}"), width), look.text)))
        }
        Of::For => Line::from(session.lock_wait().map_or(missing, |age| {
            let style = if age >= 30.0 { look.critical } else { look.warning };
            Span::styled(text::cut(&duration(age), width), style.remove_modifier(Modifier::BOLD))
        })),
        Of::Statement => Line::from(match &session.query {
            Some(query) => {
                Span::styled(text::cut(&Foreign::new(head(query.raw(), width * 8)).shown(), width), look.text)
            }
            None => Span::styled(text::cut("not shown to our login", width), look.faint),
        }),
    }
}
