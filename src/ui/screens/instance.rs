//! What is known of one instance, in words: the server, its sessions, what it is short of, who copies it, who holds vacuum
//! back, the pooler before it, how its sources do, and what is not known.

use std::collections::BTreeMap;

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::fresh::Fresh;
use super::{figures, rds};
use crate::domain::facts::{HolderKind, Pooler};
use crate::domain::foreign::sanitise;
use crate::domain::quantity::{bytes, count, duration, milliseconds, minute, percent, plural};
use crate::domain::snapshot::{Reach, SourceState};
use crate::domain::{Instance, Observed};
use crate::ui::pen::Pen;
use crate::ui::widgets::text;

/// Cells for what a line is about.
const NAME: usize = 13;

/// How many standbys, slots, pools are named.
const NAMED: usize = 5;

/// Puts lines below each other, each with what it is about at its first.
struct Page<'p> {
    pen: &'p Pen<'p>,
    width: usize,
    /// What an instance said that is not reached speaks of the past, however fresh it is.
    reached: bool,
    lines: Vec<Line<'static>>,
}

impl Page<'_> {
    fn say(&mut self, name: &str, words: &str, style: Style) {
        let wrapped = text::wrap_in(words, self.width.saturating_sub(NAME), 4);
        for (row, words) in wrapped.into_iter().enumerate() {
            let lead = text::fit(if row == 0 { name } else { "" }, NAME);
            self.lines.push(Line::from(vec![Span::styled(lead, self.pen.look.faint), Span::styled(words, style)]));
        }
    }

    /// What an observed value says: faint with its age where it is old, and why there is none.
    fn tell<T>(&mut self, name: &str, observed: &Observed<T>, words: impl FnOnce(&T) -> String) {
        let moment = self.pen.model.moment();
        match (observed.fresh(moment).filter(|_| self.reached), &observed.value) {
            (Some(value), _) => self.say(name, &words(value), self.pen.look.text),
            (None, Some(value)) => {
                let age = observed.age(moment).map_or("—".to_owned(), |age| duration(age.as_secs_f64()));
                let words = format!("{} ({age} ago)", words(value));
                self.say(name, &words, self.pen.look.faint);
            }
            (None, None) => {
                let why = observed.missing(moment).unwrap_or_default();
                self.say(name, &format!("— {}", sanitise(&why)), self.pen.look.dim);
            }
        }
    }
}

/// All of it.
pub(super) fn facts(pen: &Pen<'_>, instance: &Instance, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let plain = if Fresh::on(pen, instance).activity { look.text } else { look.faint };
    let reached = !matches!(instance.reach, Reach::Down { .. });
    let mut page = Page { pen, width, reached, lines: Vec::new() };
    let (words, style) = reach(pen, instance);
    page.say("server", &words, style.unwrap_or(plain));
    if let Some(cloud) = &instance.cloud {
        page.reached = true;
        page.tell("RDS", &cloud.rds, |rds| rds::words(pen, cloud, rds));
        page.tell("CloudWatch", &cloud.metrics, |_| figures::words(pen, cloud));
        page.reached = reached;
    }
    page.say("sessions", &sessions(pen, instance), plain);
    page.say("pressure", &pressure(instance), plain);
    page.say("work", &work(pen, instance), plain);
    page.tell("replication", &instance.replication, replication);
    page.tell("horizon", &instance.horizon, |horizon| horizon_words(pen, horizon));
    page.tell("vacuums", &instance.vacuums, |vacuums| {
        let automatic = vacuums.running.iter().filter(|vacuum| vacuum.automatic).count();
        format!(
            "{} running · {automatic} of {}",
            vacuums.running.len(),
            plural(vacuums.workers as usize, "autovacuum worker")
        )
    });
    page.tell("databases", &instance.databases, |databases| {
        let oldest = |age: fn(&crate::domain::facts::Database) -> u32| {
            databases.iter().map(age).max().map_or("—".to_owned(), |age| count(f64::from(age)))
        };
        let used = databases.iter().filter(|database| database.in_use).count();
        format!(
            "{used} in use · oldest transaction id {} · multixact {}",
            oldest(|database| database.xid_age),
            oldest(|database| database.multixact_age)
        )
    });
    if let Some(pooler) = &instance.pooler {
        page.tell("PgBouncer", pooler, |pooler| pooler_words(pooler));
        for leak in pooler.value.iter().flat_map(|pooler| pooler.leaking().filter_map(|pool| pooler.leak(pool))).take(1)
        {
            page.say("", &format!("! {leak}"), look.warning);
        }
    }
    // One missing input leaves several signals out: it is told once.
    let mut reasons: Vec<(&str, Option<String>, Vec<&str>)> = Vec::new();
    for unknown in pen.model.shown.unknown.iter().filter(|it| it.subject.instance == instance.name) {
        let (reason, by, name) = (unknown.reason.as_str(), unknown.known_at.map(minute), unknown.signal.name());
        match reasons.iter_mut().find(|known| known.0 == reason && known.1 == by) {
            Some(known) if known.2.contains(&name) => {}
            Some(known) => known.2.push(name),
            None => reasons.push((reason, by, vec![name])),
        }
    }
    for (reason, by, names) in reasons {
        let by = by.map(|by| format!(" · known by {by}")).unwrap_or_default();
        page.say("not known", &format!("{}: {reason}{by}", names.join(", ")), look.dim);
    }
    page.lines.push(Line::default());
    page.lines.extend(sources(pen, instance, width));
    page.lines
}

fn reach(pen: &Pen<'_>, instance: &Instance) -> (String, Option<Style>) {
    let look = pen.look;
    let moment = pen.model.moment();
    if let Some(trouble) = instance.blind() {
        return (format!("connected, sessions cannot be read: {}", sanitise(&trouble.message)), Some(look.critical));
    }
    match &instance.reach {
        Reach::Connecting => return ("connecting …".to_owned(), Some(look.dim)),
        Reach::Apart(reason) => return (format!("not polled: {}", sanitise(reason)), Some(look.dim)),
        Reach::Down { since, trouble } => {
            let down = duration(moment.duration_since(*since).as_secs_f64().max(0.0).floor());
            return (format!("not reached for {down}: {}", sanitise(&trouble.message)), Some(look.critical));
        }
        Reach::Up => {}
    }
    let Some(server) = &instance.server else { return ("—".to_owned(), None) };
    let up = duration(moment.duration_since(server.started_at).as_secs_f64().max(0.0).floor());
    let role = if server.in_recovery { "standby" } else { "primary" };
    let guess = if instance.vcpus_estimated { "~" } else { "" };
    let words = format!(
        "PostgreSQL {} · {role} · up {up} · {guess}{} vCPU · {} connections, {} of them reserved · we are in {}",
        sanitise(&server.version),
        count(instance.vcpus),
        server.max_connections,
        server.reserved_connections,
        server.database
    );
    (words, None)
}

/// Sessions by state, and what they wait for.
fn sessions(pen: &Pen<'_>, instance: &Instance) -> String {
    if !Fresh::on(pen, instance).activity {
        return "— not known now".to_owned();
    }
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    let mut waits: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut all, mut nobody) = (0, 0);
    for session in pen.model.shown.sessions.iter().filter(|session| session.instance == instance.name) {
        all += 1;
        nobody += usize::from(session.attribution.tenant().is_none());
        *states.entry(session.state.label()).or_default() += 1;
        if let Some(wait) = session.wait.as_ref().filter(|_| session.state.is_active()) {
            *waits.entry(&wait.kind).or_default() += 1;
        }
    }
    let listed = |counts: BTreeMap<&str, usize>| {
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by(|(a, one), (b, other)| other.cmp(one).then(a.cmp(b)));
        counts.into_iter().map(|(name, count)| format!("{count} {}", sanitise(name))).collect::<Vec<_>>()
    };
    let mut words = vec![plural(all, "session")];
    words.extend(listed(states));
    words.push(format!("{nobody} without a tenant"));
    let waits = listed(waits);
    let waits = if waits.is_empty() { String::new() } else { format!("; active ones wait for {}", waits.join(", ")) };
    format!("{}{waits}", words.join(" · "))
}

fn pressure(instance: &Instance) -> String {
    let pressure = instance.pressure;
    let parts = [
        ("CPU", pressure.cpu),
        ("reads", pressure.reads),
        ("writes", pressure.writes),
        ("connections", pressure.connections),
    ];
    let parts = parts.map(|(name, share)| format!("{name} {}", share.map_or("—".to_owned(), percent)));
    format!("{} of what there is, over the last minute", parts.join(" · "))
}

fn work(pen: &Pen<'_>, instance: &Instance) -> String {
    let rates = instance.rates;
    let number = |value: Option<f64>| value.map_or("—".to_owned(), count);
    let size = |value: Option<f64>| value.map_or("—".to_owned(), |value| bytes(value.max(0.0) as u64));
    let reached = !matches!(instance.reach, Reach::Down { .. });
    let wal = instance.statements.fresh(pen.model.moment()).filter(|_| reached).and_then(|statements| {
        let seconds = statements.server_now.duration_since(statements.before?).as_secs_f64();
        Some(statements.wal_bytes? as f64 / seconds.max(0.001))
    });
    format!(
        "{} transactions/s · {} rows written/s · WAL {}/s · temporary files {}/s · {} deadlocks/min · {} from cache",
        number(rates.transactions),
        number(rates.rows_written),
        size(wal),
        size(rates.temp.map(|temp| temp.rate())),
        number(rates.deadlocks_per_minute),
        rates.cache_hit.map_or("—".to_owned(), percent)
    )
}

fn replication(replication: &std::sync::Arc<crate::domain::facts::Replication>) -> String {
    let mut words = Vec::new();
    if let Some(recovery) = replication.recovery {
        let age = recovery.replay_age_seconds.map_or("—".to_owned(), duration);
        let behind = recovery.behind_bytes.map_or("—".to_owned(), bytes);
        words.push(format!("a standby: replayed {age} ago, {behind} behind"));
    }
    words.push(match replication.standbys.len() {
        0 => "no standby".to_owned(),
        1 => "1 standby".to_owned(),
        several => format!("{several} standbys"),
    });
    words.extend(replication.standbys.iter().take(NAMED).map(|standby| {
        let lag = standby.lag_bytes.map_or("—".to_owned(), bytes);
        format!("{} {} {}, {lag} behind", standby.application, sanitise(&standby.state), sanitise(&standby.sync_state))
    }));
    words.push(if replication.slots.is_empty() {
        "no slot".to_owned()
    } else {
        plural(replication.slots.len(), "slot")
    });
    words.extend(replication.slots.iter().take(NAMED).map(|slot| {
        let state = if slot.active { "read" } else { "not read" };
        let kept = slot.retained_bytes.map_or("—".to_owned(), bytes);
        format!("{} {state}, keeps {kept}", slot.name)
    }));
    words.join(" · ")
}

fn horizon_words(pen: &Pen<'_>, horizon: &crate::domain::facts::Horizon) -> String {
    let prepared = match horizon.prepared.len() {
        0 => String::new(),
        some => format!(" · {}", plural(some, "prepared transaction")),
    };
    // What keeps rows of tenants comes before what keeps those of catalogues.
    let tables = horizon.holders.iter().find(|holder| holder.kind != HolderKind::Catalog);
    let Some(oldest) = tables.or(horizon.holders.first()) else { return format!("nobody holds vacuum back{prepared}") };
    let kind = match oldest.kind {
        HolderKind::Session => "session",
        HolderKind::Prepared => "prepared transaction",
        HolderKind::Slot => "slot",
        HolderKind::Catalog => "slot (of catalogues alone)",
        HolderKind::Standby => "standby",
    };
    let moment = pen.model.moment();
    let since = oldest.since.map(|since| duration(moment.duration_since(since).as_secs_f64().max(0.0).floor()));
    let since = since.map(|since| format!(" for {since}")).unwrap_or_default();
    format!(
        "{kind} {} holds vacuum back by {}{since} · {} in all{prepared}",
        oldest.name,
        plural(oldest.xid_age as usize, "transaction"),
        horizon.holders.len()
    )
}

fn pooler_words(pooler: &Pooler) -> String {
    let mode = pooler.mode.as_deref().map_or("—".into(), sanitise);
    let mut words = vec![
        format!("{} · pool_mode {mode}", pooler.version),
        format!("{} wait", plural(pooler.waiting() as usize, "client")),
    ];
    words.extend(pooler.pools.iter().take(NAMED).map(|pool| {
        let size = pool.size.map_or("—".to_owned(), |size| size.to_string());
        let paused = if pool.paused { ", paused" } else { "" };
        format!(
            "{}/{}: {} active, {} waiting, {} of {size} servers{paused}",
            pool.database,
            pool.role,
            pool.clients_active,
            pool.clients_waiting,
            pool.servers_active + pool.servers_idle
        )
    }));
    if pooler.pools.len() > NAMED {
        words.push(format!("+{} pools", pooler.pools.len() - NAMED));
    }
    words.join(" · ")
}

/// How its sources do: age, how often they are asked, what that costs, what is wrong.
fn sources(pen: &Pen<'_>, instance: &Instance, width: usize) -> Vec<Line<'static>> {
    let look = pen.look;
    let head = format!(
        "{}{}{}{}  ",
        text::fit("source", NAME),
        text::right("age", 9),
        text::right("every", 9),
        text::right("takes", 9)
    );
    let mut lines = vec![Line::from(Span::styled(head, look.faint))];
    lines.extend(instance.sources.iter().map(|source| {
        let SourceState { source, at, error, every, took } = source;
        let age = at.map(|at| pen.model.moment().duration_since(at).as_secs_f64().max(0.0));
        let age = age.map_or("—".to_owned(), duration);
        let took = took.map_or("—".to_owned(), |took| format!("{} ms", milliseconds(took.as_secs_f64() * 1_000.0)));
        let style = if error.is_some() { look.warning } else { look.text };
        let mut line = Line::from(vec![
            Span::styled(text::fit(source.name(), NAME), look.text),
            Span::styled(text::right(&age, 9), style),
            Span::styled(text::right(&duration(every.as_secs_f64()), 9), look.dim),
            Span::styled(text::right(&took, 9), look.dim),
        ]);
        if let Some(trouble) = error {
            let room = width.saturating_sub(line.width() + 2);
            line.push_span(Span::styled(format!("  {}", text::cut(&sanitise(&trouble.message), room)), look.warning));
        }
        line
    }));
    lines
}
