//! The incident report in Markdown: what is wrong with its evidence, what is not known, who and what is involved, what
//! happened when. One pure function; the console and `tierdeck report` write what it returns.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::Timestamp;

use super::timeline::{Timeline, Turn};
use crate::domain::snapshot::Reach;
use crate::domain::{
    Attention, Finding, Instance, Session, Severity, Snapshot, SubjectKind, Tenant, TenantId, quantity,
};

mod markdown;
mod tree;

use markdown::{block, code, table, words};

/// The most sessions and tenants that are listed.
const MOST: usize = 50;

/// What a report is made from.
#[derive(Debug, Clone, Copy)]
pub struct Incident<'a> {
    /// The picture.
    pub snapshot: &'a Snapshot,
    /// What came and went before it.
    pub timeline: &'a Timeline,
    /// The moment of the picture.
    pub moment: Timestamp,
    /// Who writes it.
    pub operator: &'a str,
}

impl Incident<'_> {
    /// The report.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        self.head(&mut text);
        self.findings(&mut text);
        self.unknown(&mut text);
        self.tenants(&mut text);
        self.sessions(&mut text);
        self.locks(&mut text);
        self.timeline(&mut text);
        self.instances(&mut text);
        self.cost(&mut text);
        text
    }

    fn head(&self, text: &mut String) {
        let snapshot = self.snapshot;
        let _ = writeln!(text, "# Incident report: {}\n", words(&snapshot.environment));
        let since = self.timeline.since.map_or("—".to_owned(), |since| format!("{since:.0}"));
        let _ = writeln!(text, "- **taken at** {:.0} (watched since {since})", self.moment);
        let _ = writeln!(text, "- **by** {} with tierdeck {}", words(self.operator), env!("CARGO_PKG_VERSION"));
        let instances = snapshot.instances.iter().map(|instance| words(instance.name.as_str()));
        let _ = writeln!(text, "- **instances** {}", instances.collect::<Vec<_>>().join(", "));
        let count = |severity| snapshot.findings.iter().filter(|finding| finding.severity == severity).count();
        let _ = writeln!(
            text,
            "- **findings** {} critical, {}, {} worth knowing\n",
            count(Severity::Critical),
            quantity::plural(count(Severity::Warning), "warning"),
            count(Severity::Info)
        );
    }

    fn findings(&self, text: &mut String) {
        text.push_str("## What is wrong\n\n");
        if self.snapshot.findings.is_empty() {
            text.push_str("Nothing was found.\n\n");
        }
        for finding in &self.snapshot.findings {
            self.finding(text, finding);
        }
    }

    fn finding(&self, text: &mut String, finding: &Finding) {
        let name = |tenants: &[TenantId]| tenants.iter().map(|id| words(id.as_str())).collect::<Vec<_>>().join(", ");
        let _ = writeln!(
            text,
            "### {} {} {}: {} on {}\n",
            glyph(finding.severity),
            finding.severity,
            finding.signal,
            words(&finding.subject.id),
            words(finding.subject.instance.as_str())
        );
        let state = match finding.over_for {
            Some(over) => format!(" *(over for {})*", quantity::duration(over)),
            None if finding.stale => " *(as last known: its input is missing)*".to_owned(),
            None => String::new(),
        };
        let _ = writeln!(text, "{}{state}\n", words(&finding.summary));
        let age = self.moment.duration_since(finding.since).as_secs_f64().max(0.0);
        let _ = writeln!(text, "- **since** {:.0} ({} ago)", finding.since, quantity::duration(age.floor()));
        if !finding.culprits.is_empty() {
            let _ = writeln!(text, "- **caused by** {}", name(&finding.culprits));
        }
        if !finding.victims.is_empty() {
            let _ = writeln!(text, "- **suffering** {}", name(&finding.victims));
        }
        if let Some(known) = &finding.acknowledged {
            let what = if known.attention == Attention::Muted { "muted" } else { "acknowledged" };
            let why = if known.why.is_empty() { "no reason given".to_owned() } else { words(&known.why) };
            let _ = writeln!(text, "- **{what}** by {} until {:.0}: {why}", words(&known.by), known.until);
        }
        if !finding.advice.is_empty() {
            let _ = writeln!(text, "- **next step** {}", words(&finding.advice));
        }
        text.push('\n');
        if let Some(statement) = &finding.statement {
            text.push_str(&block("sql", statement));
            text.push('\n');
        }
        if !finding.evidence.is_empty() {
            let rows: Vec<Vec<String>> = finding
                .evidence
                .iter()
                .map(|number| {
                    let than = number.threshold.map_or("—".to_owned(), |than| number.written(than));
                    vec![words(&number.name), number.written(number.value), than]
                })
                .collect();
            text.push_str(&table(&["evidence", "measured", "threshold"], 1, &rows));
        }
    }

    fn unknown(&self, text: &mut String) {
        if self.snapshot.unknown.is_empty() {
            return;
        }
        text.push_str("## What could not be judged\n\n");
        let rows: Vec<Vec<String>> = self
            .snapshot
            .unknown
            .iter()
            .map(|unknown| {
                let known_at = unknown.known_at.map_or("—".to_owned(), quantity::minute);
                vec![unknown.signal.to_string(), words(&unknown.subject.id), words(&unknown.reason), known_at]
            })
            .collect();
        text.push_str(&table(&["signal", "about", "why", "known by"], 4, &rows));
    }

    /// The tenants that a finding is about, blames, or names as victims.
    fn involved(&self) -> Vec<&Tenant> {
        let mut ids: BTreeSet<(&str, &str)> = BTreeSet::new();
        for finding in &self.snapshot.findings {
            let on = finding.subject.instance.as_str();
            ids.extend(finding.culprits.iter().chain(&finding.victims).map(|id| (id.as_str(), on)));
            if finding.subject.kind == SubjectKind::Tenant {
                ids.insert((&finding.subject.id, on));
            }
        }
        let named = |tenant: &&Tenant| {
            ids.contains(&(tenant.id.as_str(), tenant.instance.as_str()))
                || !tenant.findings.is_empty()
                || !tenant.suffers.is_empty()
        };
        let mut tenants: Vec<&Tenant> = self.snapshot.tenants.iter().filter(named).collect();
        tenants.sort_by(|one, other| {
            let noise = |tenant: &Tenant| tenant.noise_score.unwrap_or(-1.0);
            other.severity.cmp(&one.severity).then(noise(other).total_cmp(&noise(one)))
        });
        tenants
    }

    fn tenants(&self, text: &mut String) {
        let tenants = self.involved();
        if tenants.is_empty() {
            return;
        }
        text.push_str("## Tenants involved\n\n");
        let count = |value: Option<u32>| value.map_or("—".to_owned(), |value| value.to_string());
        let known = |value: Option<String>| value.unwrap_or_else(|| "—".to_owned());
        let rows: Vec<Vec<String>> = tenants
            .iter()
            .take(MOST)
            .map(|tenant| {
                let does: Vec<&str> = tenant.findings.iter().map(|signal| signal.name()).collect();
                let suffers: Vec<&str> = tenant.suffers.iter().map(|signal| signal.name()).collect();
                let rows = tenant.rows_written_per_day.map(|rows| {
                    let mark = if tenant.rows_written_estimated { "\\~" } else { "" };
                    format!("{mark}{}", quantity::count(rows))
                });
                let size = tenant.size_bytes.map(|bytes| {
                    format!("{}{}", if tenant.size_estimated { "\\~" } else { "" }, quantity::bytes(bytes))
                });
                vec![
                    words(tenant.id.as_str()),
                    words(tenant.instance.as_str()),
                    if does.is_empty() { "—".to_owned() } else { does.join(", ") },
                    if suffers.is_empty() { "—".to_owned() } else { suffers.join(", ") },
                    count(tenant.connections),
                    count(tenant.active),
                    count(tenant.waiting),
                    count(tenant.idle_in_transaction),
                    known(tenant.oldest_transaction_seconds.map(quantity::duration)),
                    known(tenant.noise_score.map(|score| format!("{score:.0}"))),
                    known(rows),
                    known(size),
                ]
            })
            .collect();
        let head = [
            "tenant",
            "instance",
            "causes",
            "suffers",
            "conn",
            "active",
            "waiting",
            "idle-tx",
            "oldest tx",
            "noise",
            "rows/day",
            "size",
        ];
        text.push_str(&table(&head, 4, &rows));
        more(text, tenants.len());
    }

    fn sessions(&self, text: &mut String) {
        let blocked_by: BTreeSet<(&str, i32)> = self
            .snapshot
            .sessions
            .iter()
            .flat_map(|session| {
                let on = session.instance.as_str();
                session.blocking.iter().flat_map(move |blocking| blocking.by.iter().map(move |pid| (on, *pid)))
            })
            .collect();
        let culprits: BTreeSet<(&str, &str)> = self
            .snapshot
            .findings
            .iter()
            .flat_map(|finding| finding.culprits.iter().map(|id| (id.as_str(), finding.subject.instance.as_str())))
            .collect();
        let named: BTreeSet<(&str, &str)> = self
            .snapshot
            .findings
            .iter()
            .filter(|finding| finding.subject.kind == SubjectKind::Session)
            .map(|finding| (finding.subject.id.as_str(), finding.subject.instance.as_str()))
            .collect();
        let rank = |session: &Session| {
            let on = session.instance.as_str();
            let pid = session.key.pid.to_string();
            let culprit = session.attribution.strong().is_some_and(|id| culprits.contains(&(id.as_str(), on)));
            if named.contains(&(pid.as_str(), on)) || blocked_by.contains(&(on, session.key.pid)) {
                Some(0)
            } else if session.blocking.is_some() {
                Some(1)
            } else if culprit && (session.state.is_active() || session.state.is_idle_in_transaction()) {
                Some(2)
            } else {
                None
            }
        };
        let mut sessions: Vec<(u8, &Session)> =
            self.snapshot.sessions.iter().filter_map(|session| Some((rank(session)?, session))).collect();
        if sessions.is_empty() {
            return;
        }
        sessions.sort_by(|one, other| {
            let age = |session: &Session| session.transaction_age().unwrap_or(0.0);
            one.0.cmp(&other.0).then(age(other.1).total_cmp(&age(one.1)))
        });
        text.push_str("## Sessions involved\n\n");
        let age = |age: Option<f64>| age.map_or("—".to_owned(), quantity::duration);
        let rows: Vec<Vec<String>> = sessions
            .iter()
            .take(MOST)
            .map(|(_, session)| {
                let wait = session.wait.as_ref();
                let query = session.query.as_ref().map_or("—".to_owned(), |query| code(&head(&query.shown(), 300)));
                vec![
                    session.key.pid.to_string(),
                    words(session.instance.as_str()),
                    words(&whose(session)),
                    words(&session.role.shown()),
                    session.state.label().to_owned(),
                    wait.map_or("—".to_owned(), |wait| words(&format!("{}:{}", wait.kind, wait.event))),
                    query,
                    age(session.transaction_age()),
                    age(session.query_age()),
                ]
            })
            .collect();
        let head =
            ["pid", "instance", "tenant", "login", "state", "wait", "statement", "transaction", "statement's age"];
        text.push_str(&table(&head, 7, &rows));
        more(text, sessions.len());
    }

    fn locks(&self, text: &mut String) {
        let mut said = false;
        for instance in &self.snapshot.instances {
            let lines = tree::lines(&self.snapshot.sessions, &instance.name);
            if lines.is_empty() {
                continue;
            }
            if !std::mem::replace(&mut said, true) {
                text.push_str("## Who waits for whom\n\n");
            }
            let _ = writeln!(text, "On {}:\n", words(instance.name.as_str()));
            text.push_str(&block("text", &lines.join("\n")));
            text.push('\n');
        }
    }

    fn timeline(&self, text: &mut String) {
        text.push_str("## Timeline\n\n");
        if self.timeline.events.is_empty() {
            text.push_str("Nothing came or went while it was watched.\n\n");
            return;
        }
        if self.timeline.dropped > 0 {
            let dropped = quantity::plural(self.timeline.dropped, "older event");
            let _ = writeln!(text, "{dropped} left out.\n");
        }
        let rows: Vec<Vec<String>> = self
            .timeline
            .events
            .iter()
            .map(|event| {
                let turn = match event.turn {
                    Turn::Before => "had begun".to_owned(),
                    Turn::Began => "began".to_owned(),
                    Turn::Became => format!("became {}", event.severity),
                    Turn::Ended => "was over".to_owned(),
                };
                vec![
                    format!("{:.0}", event.at),
                    turn,
                    format!("{} {}", glyph(event.severity), event.signal),
                    words(&event.subject.id),
                    words(&event.summary),
                ]
            })
            .collect();
        text.push_str(&table(&["when", "what", "signal", "about", "in words"], 5, &rows));
    }

    fn instances(&self, text: &mut String) {
        text.push_str("## Instances\n\n");
        let rows: Vec<Vec<String>> = self.snapshot.instances.iter().map(|instance| self.instance(instance)).collect();
        let head = [
            "instance",
            "state",
            "version",
            "connections",
            "active",
            "blocked",
            "tps",
            "rows written/s",
            "deadlocks/min",
            "cache",
        ];
        text.push_str(&table(&head, 3, &rows));
    }

    fn instance(&self, instance: &Instance) -> Vec<String> {
        let state = match &instance.reach {
            Reach::Up => match instance.activity.age(self.moment) {
                Some(age) => format!("seen {} ago", quantity::duration(age.as_secs_f64())),
                None => "not seen yet".to_owned(),
            },
            Reach::Connecting => "connecting".to_owned(),
            Reach::Apart(reason) => format!("not polled: {}", words(reason)),
            Reach::Down { since, trouble } => {
                format!("not reached since {since:.0}: {}", words(&trouble.message))
            }
        };
        let number = |value: Option<f64>| value.map_or("—".to_owned(), quantity::count);
        let of = |used: Option<f64>, most: Option<f64>| format!("{}/{}", number(used), number(most));
        let guess = if instance.vcpus_estimated { "\\~" } else { "" };
        vec![
            words(instance.name.as_str()),
            state,
            instance.server.as_ref().map_or("—".to_owned(), |server| words(&server.version)),
            of(instance.connections.map(f64::from), instance.usable_connections().map(f64::from)),
            format!("{} on {guess}{} vCPU", number(instance.active.map(f64::from)), quantity::count(instance.vcpus)),
            number(instance.blocked.map(f64::from)),
            number(instance.rates.transactions),
            number(instance.rates.rows_written),
            number(instance.rates.deadlocks_per_minute),
            instance.rates.cache_hit.map_or("—".to_owned(), quantity::percent),
        ]
    }

    fn cost(&self, text: &mut String) {
        let cost = self.snapshot.cost;
        let database = cost.database_ms_per_second.map_or("—".to_owned(), |cost| format!("\\~{cost:.1} ms a second"));
        let _ = writeln!(text, "## What watching cost\n\n- **databases** {database}");
        if let Some(dollars) = cost.cloudwatch_usd_per_hour {
            let _ = writeln!(text, "- **CloudWatch** ${dollars:.2} an hour");
        }
    }
}

/// Whose session it is; what is only claimed is marked.
fn whose(session: &Session) -> String {
    match (session.attribution.strong(), session.attribution.tenant()) {
        (Some(tenant), _) => tenant.to_string(),
        (None, Some(tenant)) => format!("{tenant}?"),
        (None, None) => "—".to_owned(),
    }
}

fn more(text: &mut String, all: usize) {
    if all > MOST {
        let _ = writeln!(text, "… and {} more.\n", all - MOST);
    }
}

/// The first characters of a text.
fn head(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn glyph(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "✖",
        Severity::Warning => "▲",
        Severity::Info => "●",
    }
}
