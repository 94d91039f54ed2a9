//! Screen 9: the log of one instance, followed while the screen is open. The newest stands last and the cursor stays on it
//! until somebody goes up; bounded, whatever is written.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::figures::known;
use super::list::Keyed;
use super::message::Effect;
use super::model::{Held, Model, View};
use super::table::{Column, Value};
use crate::domain::facts::cloud::LogEntry;
use crate::domain::watching::{Known, LogInquiry};
use crate::domain::{Foreign, Instance, InstanceName, Snapshot, TenantId, Tier};

/// Entries that are kept, and about how many bytes of them.
const MOST: usize = 5_000;
const MOST_BYTES: usize = 8 << 20;

/// How far back a log is read when the screen opens.
const BEFORE: SignedDuration = SignedDuration::from_mins(10);

/// One entry, with whose it is.
#[derive(Debug, Clone)]
pub struct LogRow {
    /// Tells it from others.
    pub number: u64,
    /// When; of one that does not say, when the one before it was written.
    pub at: Timestamp,
    /// What was written.
    pub entry: Arc<LogEntry>,
    /// Whose it is, where the line says so beyond doubt.
    pub tenant: Option<TenantId>,
}

impl LogRow {
    /// `AUDIT`, or how bad the server says it is.
    pub fn severity(&self) -> Option<&str> {
        if self.entry.audit.is_some() { Some("AUDIT") } else { self.entry.severity.as_deref() }
    }

    /// What it says, on one line.
    pub fn message(&self) -> String {
        match &self.entry.audit {
            Some(audit) => {
                let object = audit.object.as_ref().map(|object| format!(" {object}")).unwrap_or_default();
                format!("{} {}{object}: {}", audit.class, audit.command, audit.statement)
            }
            None => self.entry.message.to_string(),
        }
    }

    fn bytes(&self) -> usize {
        // pgAudit's statement stands in it twice.
        self.entry.message.raw().len() * if self.entry.audit.is_some() { 2 } else { 1 } + 200
    }
}

impl Keyed for LogRow {
    type Key = u64;
    fn key(&self) -> u64 {
        self.number
    }
    fn is(&self, key: &u64) -> bool {
        self.number == *key
    }
}

/// The columns of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the keys say it")]
pub enum LogColumn {
    /// Seconds since it was written; shown as the time of day.
    Time,
    Severity,
    Tenant,
    Role,
    Database,
    Pid,
    Message,
}

impl Column for LogColumn {
    type Row = LogRow;
    type Context = Timestamp;
    const ALL: &'static [Self] =
        &[Self::Time, Self::Severity, Self::Tenant, Self::Role, Self::Database, Self::Pid, Self::Message];

    fn key(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Severity => "severity",
            Self::Tenant => "tenant",
            Self::Role => "role",
            Self::Database => "db",
            Self::Pid => "pid",
            Self::Message => "message",
        }
    }

    fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Time => &["age"],
            Self::Severity => &["level"],
            Self::Database => &["database"],
            Self::Message => &["text"],
            _ => &[],
        }
    }

    fn is_fixed(self) -> bool {
        matches!(self, Self::Time | Self::Message)
    }

    fn is_number(self) -> bool {
        matches!(self, Self::Time | Self::Pid)
    }

    fn is_estimated(self, row: &LogRow) -> bool {
        self == Self::Time && row.entry.at.is_none()
    }

    fn exported<'a>(self, row: &'a LogRow, moment: &Timestamp) -> Value<'a> {
        match self {
            Self::Time => Value::Text(Cow::Owned(row.at.to_string())),
            _ => self.value(row, moment),
        }
    }

    fn value<'a>(self, row: &'a LogRow, moment: &Timestamp) -> Value<'a> {
        let words = |text: &'a Option<Foreign>| text.as_ref().map_or(Value::Missing, |text| Value::Text(text.shown()));
        match self {
            Self::Time => Value::Number(moment.duration_since(row.at).as_secs_f64()),
            Self::Severity => row.severity().map_or(Value::Missing, |text| Value::Text(Cow::Borrowed(text))),
            Self::Tenant => {
                row.tenant.as_ref().map_or(Value::Missing, |tenant| Value::Text(Cow::Borrowed(tenant.as_str())))
            }
            Self::Role => words(&row.entry.role),
            Self::Database => words(&row.entry.database),
            Self::Pid => Value::number(row.entry.pid),
            Self::Message => Value::Text(Cow::Owned(row.message())),
        }
    }
}

/// The log on the screen.
#[derive(Debug)]
pub struct Logs {
    /// Of which instance.
    pub of: Option<InstanceName>,
    /// Its entries.
    pub held: Held<LogColumn>,
    /// Whether the cursor stays on the newest.
    pub follows: bool,
    /// When it was looked into last.
    pub at: Option<Timestamp>,
    /// Why it could not be, the last time.
    pub trouble: Option<String>,
    /// How many entries were dropped for newer ones.
    pub dropped: u64,
    /// What came while the screen was frozen.
    waiting: Vec<LogEntry>,
    /// What is followed, and whether it is exported.
    asked: Option<(Known, bool)>,
    numbers: u64,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            of: None,
            held: Held::by(LogColumn::Time),
            follows: true,
            at: None,
            trouble: None,
            dropped: 0,
            waiting: Vec::new(),
            asked: None,
            numbers: 0,
        }
    }
}

/// Why an instance has no log here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoLog {
    /// No AWS knows it.
    NotInAws,
    /// RDS has not described it yet, or does not: why.
    NotDescribed(Option<String>),
}

/// Where the log of an instance is; whether it is exported to CloudWatch Logs.
pub fn log_of(instance: &Instance) -> Result<bool, NoLog> {
    let cloud = instance.cloud.as_ref().ok_or(NoLog::NotInAws)?;
    match &cloud.rds.value {
        Some(rds) => Ok(rds.exports_logs),
        None => Err(NoLog::NotDescribed(cloud.rds.error.as_ref().map(|trouble| trouble.message.clone()))),
    }
}

/// Who lives on an instance, by what a line may name.
#[derive(Default)]
struct Owners<'a> {
    schemas: HashMap<&'a str, &'a TenantId>,
    roles: HashMap<&'a str, &'a TenantId>,
    databases: HashMap<&'a str, &'a TenantId>,
    /// The one whose instance it is.
    only: Option<&'a TenantId>,
    /// Our own login there.
    ours: Option<&'a Foreign>,
}

impl<'a> Owners<'a> {
    fn of(snapshot: &'a Snapshot, instance: &'a Instance) -> Self {
        let mut owners = Self { ours: instance.server.as_ref().map(|server| &server.login), ..Self::default() };
        for tenant in snapshot.tenants.iter().filter(|tenant| tenant.instance == instance.name) {
            owners.schemas.extend(tenant.schema.as_deref().map(|schema| (schema, &tenant.id)));
            owners.roles.extend(tenant.role.as_deref().map(|role| (role, &tenant.id)));
            owners.databases.extend(tenant.database.as_deref().map(|database| (database, &tenant.id)));
            owners.only = Some(&tenant.id).filter(|_| instance.tier == Tier::Dedicated);
        }
        owners
    }

    /// Whose an entry is: by what pgAudit says of its object, by its login, its database, or because nobody else lives there.
    /// What a statement says of itself is no proof.
    fn owner(&self, entry: &LogEntry) -> Option<TenantId> {
        let schema = entry.audit.as_ref().and_then(|audit| audit.schema());
        let role = entry.role.as_ref();
        let found = schema.and_then(|schema| self.schemas.get(schema));
        let found = found.or_else(|| self.roles.get(role?.raw()));
        let found = found.or_else(|| self.databases.get(entry.database.as_ref()?.raw())).copied();
        // The server's own processes, and we, are nobody's.
        let only = || self.only.filter(|_| role.is_some_and(|role| Some(role) != self.ours));
        found.or_else(only).cloned()
    }
}

impl Model {
    /// The instance whose log is on the screen.
    pub fn logged(&self) -> Option<&Instance> {
        self.shown.instance(self.logs.of.as_ref()?)
    }

    /// Opens the log of what is looked at: the instance, or the tenant's; else the one looked at last, or the first that has any.
    pub(super) fn open_log(&mut self) {
        let here = self.instance_under_cursor().map(|instance| instance.name.clone());
        let here = here.or_else(|| match &self.view {
            View::Tenant(key) => Some(key.1.clone()),
            View::Backups => self.backup_under_cursor().map(|row| row.instance.clone()),
            View::Backup(key) => Some(key.0.clone()),
            _ => None,
        });
        // Snapshots may be left of an instance that is gone: its log is not.
        let known = |name: &InstanceName| self.shown.instances.iter().any(|instance| instance.name == *name);
        let here = here.filter(known);
        let last = || self.logs.of.clone().filter(known);
        let instances = &self.shown.instances;
        let first = || instances.iter().find(|it| it.cloud.is_some()).or(instances.first()).map(|it| it.name.clone());
        if let Some(of) = here.or_else(last).or_else(first) {
            self.show_log(of);
        }
        self.open(View::Logs);
    }

    /// The log of the next instance, or of the one before.
    pub(super) fn turn_log(&mut self, forward: bool) {
        let instances = &self.shown.instances;
        let count = instances.len();
        let at = self.logs.of.as_ref().and_then(|of| instances.iter().position(|instance| instance.name == *of));
        let next = at.map_or(0, |at| if forward { at + 1 } else { at + count - 1 });
        if let Some(instance) = instances.get(next % count.max(1)) {
            self.show_log(instance.name.clone());
        }
    }

    fn show_log(&mut self, of: InstanceName) {
        if self.logs.of.as_ref() != Some(&of) {
            self.forget_log();
            self.logs.of = Some(of);
        }
    }

    fn forget_log(&mut self) {
        let logs = &mut self.logs;
        logs.held.rows.clear();
        logs.held.table.list = super::list::List::default();
        (logs.waiting, logs.at, logs.trouble, logs.dropped, logs.follows) = (Vec::new(), None, None, 0, true);
        self.refill_log();
    }

    /// Follows the log while its screen is open, and no other.
    pub(super) fn want_log(&mut self) {
        let here = self.logged().filter(|_| self.view == View::Logs);
        let wanted = here.and_then(|instance| Some((known(instance)?, log_of(instance).ok()?)));
        if wanted == self.logs.asked {
            return;
        }
        if wanted.is_some() {
            // Read anew from some minutes back: what was read before comes again.
            self.forget_log();
        }
        self.logs.asked.clone_from(&wanted);
        let since = self.now.checked_sub(BEFORE).unwrap_or(self.now);
        self.asks.push(Effect::Tail(wanted.map(|(of, exported)| LogInquiry { of, exported, since })));
    }

    /// A look brought something; that of a log that nobody looks at any more is dropped.
    pub(super) fn log_told(&mut self, of: &Known, said: Result<Vec<LogEntry>, String>) {
        if self.logs.asked.as_ref().is_none_or(|(asked, _)| asked != of) {
            return;
        }
        match said {
            Ok(entries) => {
                (self.logs.at, self.logs.trouble) = (Some(self.now), None);
                self.logs.waiting.extend(entries);
                let surplus = self.logs.waiting.len().saturating_sub(MOST);
                self.logs.dropped += surplus as u64;
                self.logs.waiting.drain(..surplus);
                self.catch_up_with_log();
            }
            Err(reason) => self.logs.trouble = Some(reason),
        }
    }

    /// Takes in what came, unless the screen is frozen.
    pub(super) fn catch_up_with_log(&mut self) {
        if self.paused.is_some() || self.logs.waiting.is_empty() {
            return;
        }
        let shown = Arc::clone(&self.shown);
        let instance = self.logs.of.as_ref().and_then(|of| shown.instance(of));
        let owners = instance.map(|instance| Owners::of(&shown, instance)).unwrap_or_default();
        let waiting = std::mem::take(&mut self.logs.waiting);
        let logs = &mut self.logs;
        for entry in waiting {
            logs.numbers += 1;
            let last = logs.held.rows.last().map(|row| row.at);
            let at = entry.at.or(last).unwrap_or(self.now);
            let tenant = owners.owner(&entry);
            logs.held.rows.push(LogRow { number: logs.numbers, at, entry: Arc::new(entry), tenant });
        }
        let mut bytes = 0;
        let kept = logs.held.rows.iter().rev().take(MOST).take_while(|row| {
            bytes += row.bytes();
            bytes <= MOST_BYTES
        });
        let surplus = logs.held.rows.len() - kept.count();
        logs.held.rows.drain(..surplus);
        logs.dropped += surplus as u64;
        self.refill_log();
    }

    /// Filters and sorts the log anew; the cursor stays on the newest while that is followed.
    pub(super) fn refill_log(&mut self) {
        let moment = self.moment();
        let logs = &mut self.logs;
        logs.held.refill(&moment);
        let (rows, table) = (&logs.held.rows, &mut logs.held.table);
        if logs.follows && table.sort == LogColumn::Time && table.descending {
            table.list.go(usize::MAX, rows);
        }
    }

    /// Somebody moved the cursor: on the newest it follows, elsewhere it stays.
    pub(super) fn settle_log(&mut self) {
        if self.view == View::Logs {
            let list = &self.logs.held.table.list;
            self.logs.follows = list.at + 1 >= list.rows.len();
        }
    }

    /// The entry under the cursor.
    pub fn log_under_cursor(&self) -> Option<&LogRow> {
        let held = &self.logs.held;
        held.rows.get(held.table.list.selected()?)
    }
}
