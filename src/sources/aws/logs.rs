//! An instance's PostgreSQL log, followed: from CloudWatch Logs where it is exported there, else as RDS hands out its files.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::clients::aws::{Account, Action, AwsError};
use crate::domain::Foreign;
use crate::domain::facts::cloud::{AuditEntry, LogEntry};

/// The most entries of one look; of the older ones nobody hears.
const MOST: usize = 2_000;

/// Events come late, and out of order.
const OVERLAP: SignedDuration = SignedDuration::from_secs(60);

/// What RDS puts before each line (`log_line_prefix`), as a mark: `…:role@database:[pid]:SEVERITY:  `.
const SEVERITIES: [&str; 12] =
    ["DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "LOG", "FATAL", "PANIC", "DETAIL", "HINT", "STATEMENT", "CONTEXT"];

/// What pgAudit's lines begin with.
const AUDIT: &str = "AUDIT: ";

/// Reads on where it stopped.
#[derive(Debug)]
pub struct Follower {
    identifier: Arc<str>,
    exported: bool,
    /// Since when events are asked, and those of that time that are known.
    since: Timestamp,
    known: BTreeSet<String>,
    /// The file that is read, and how far.
    file: Option<(String, Option<String>)>,
}

impl Follower {
    /// Of an instance, from a moment on.
    pub fn new(identifier: Arc<str>, exported: bool, since: Timestamp) -> Self {
        Self { identifier, exported, since, known: BTreeSet::new(), file: None }
    }

    /// What was written since the last look.
    pub async fn next(&mut self, account: &Account) -> Result<Vec<LogEntry>, AwsError> {
        let mut lines = if self.exported { self.events(account).await? } else { self.portion(account).await? };
        if lines.len() > MOST {
            lines.drain(..lines.len() - MOST);
        }
        Ok(entries(lines.iter().flat_map(|text| text.lines())))
    }

    async fn events(&mut self, account: &Account) -> Result<Vec<String>, AwsError> {
        let clients = account.clients().await;
        let group = format!("/aws/rds/instance/{}/postgresql", self.identifier);
        let question = clients.logs.filter_log_events().log_group_name(group).start_time(self.since.as_millisecond());
        let mut pages = question.into_paginator().send();
        let (mut lines, mut newest, mut seen) = (Vec::new(), self.since, Vec::new());
        while let Some(page) = account.page(Action::FilterLogEvents, pages.next()).await? {
            for event in page.events() {
                let at = event.timestamp().and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or(self.since);
                newest = newest.max(at);
                let id = event.event_id().unwrap_or_default().to_owned();
                if !self.known.contains(&id) {
                    lines.push((at, event.message().unwrap_or_default().to_owned()));
                }
                seen.push((at, id));
            }
        }
        self.since = newest.checked_sub(OVERLAP).unwrap_or(newest).max(self.since);
        self.known = seen.into_iter().filter(|(at, _)| *at >= self.since).map(|(_, id)| id).collect();
        lines.sort_by_key(|(at, _)| *at);
        Ok(lines.into_iter().map(|(_, line)| line).collect())
    }

    async fn portion(&mut self, account: &Account) -> Result<Vec<String>, AwsError> {
        let clients = account.clients().await;
        let question = clients.rds.describe_db_log_files().db_instance_identifier(&*self.identifier);
        let question = question.file_last_written(self.since.as_millisecond());
        let mut pages = question.into_paginator().send();
        let mut files: Vec<(i64, String)> = Vec::new();
        while let Some(page) = account.page(Action::DescribeDbLogFiles, pages.next()).await? {
            let named = page.describe_db_log_files().iter();
            files.extend(named.filter_map(|file| Some((file.last_written()?, file.log_file_name()?.to_owned()))));
        }
        files.retain(|(_, name)| name.starts_with("error/postgresql"));
        let Some((_, newest)) = files.into_iter().max() else { return Ok(Vec::new()) };
        // A new file begins; what was still to come of the old one comes first.
        let mut lines = Vec::new();
        if let Some((name, marker)) = self.file.take().filter(|(name, _)| *name != newest) {
            self.rest(account, &name, marker, &mut lines).await?;
            self.file = Some((newest.clone(), Some("0".to_owned())));
        }
        let marker = self.file.take().and_then(|(_, marker)| marker);
        let marker = self.rest(account, &newest, marker, &mut lines).await?;
        self.file = Some((newest, marker));
        Ok(lines)
    }

    /// The rest of a file; how far it was read.
    async fn rest(
        &self,
        account: &Account,
        file: &str,
        mut marker: Option<String>,
        lines: &mut Vec<String>,
    ) -> Result<Option<String>, AwsError> {
        let clients = account.clients().await;
        loop {
            let question = clients.rds.download_db_log_file_portion().db_instance_identifier(&*self.identifier);
            let question = question.log_file_name(file).set_marker(marker.clone());
            let part = account.ask(Action::DownloadDbLogFilePortion, question.send()).await?;
            lines.extend(part.log_file_data().map(str::to_owned));
            let next = part.marker().map(str::to_owned);
            let more = part.additional_data_pending().unwrap_or_default() && next != marker;
            marker = next.or(marker);
            if !more || lines.len() >= MOST {
                return Ok(marker);
            }
        }
    }
}

/// Lines as entries: one that begins with a blank goes on with the entry before it.
pub fn entries<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<LogEntry> {
    let mut whole: Vec<String> = Vec::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        match whole.last_mut() {
            Some(before) if line.starts_with([' ', '\t']) => {
                before.push('\n');
                before.push_str(line.trim_start());
            }
            _ => whole.push(line.to_owned()),
        }
    }
    whole.iter().map(|text| entry(text)).collect()
}

/// `2026-11-22 16:40:01 UTC:10.0.1.5(43210):role@database:[1234]:ERROR:  message`
fn entry(text: &str) -> LogEntry {
    let unknown = || LogEntry {
        at: None,
        role: None,
        database: None,
        pid: None,
        severity: None,
        message: Foreign::from(text),
        audit: None,
    };
    let other = || plain(text).unwrap_or_else(unknown);
    let Some((prefix, rest)) = text.split_once(":[") else { return other() };
    let Some((pid, rest)) = rest.split_once("]:") else { return other() };
    let Some((severity, message)) = rest.split_once(':') else { return other() };
    let severity = severity.trim();
    // A statement may hold anything, a mark as well: what is no severity is no prefix.
    if !SEVERITIES.iter().any(|known| severity.starts_with(known)) {
        return other();
    }
    let message = message.trim_start();
    let who = prefix.rsplit_once(':').map_or(prefix, |(_, who)| who);
    let (role, database) = who.split_once('@').unwrap_or_default();
    let named = |text: &str| (!text.is_empty() && text != "[unknown]").then(|| Foreign::from(text));
    LogEntry {
        at: moment(prefix),
        role: named(role),
        database: named(database),
        pid: pid.parse().ok(),
        severity: Some(Arc::from(severity)),
        audit: message.strip_prefix(AUDIT).and_then(audit),
        message: Foreign::from(message),
    }
}

/// A line where somebody chose another prefix: when, perhaps the process, how bad, and what.
/// `2026-11-22 16:40:01.250 UTC [1234] ERROR:  message`
fn plain(text: &str) -> Option<LogEntry> {
    let at = moment(text)?;
    let places = SEVERITIES.into_iter().filter_map(|word| Some((text.find(&format!(" {word}:"))?, word)));
    let (place, severity) = places.min()?;
    let pid = text.get(..place)?.split_once('[').and_then(|(_, rest)| rest.split_once(']')?.0.parse().ok());
    let message = text.get(place + severity.len() + 2..)?.trim_start();
    Some(LogEntry {
        at: Some(at),
        role: None,
        database: None,
        pid,
        severity: Some(Arc::from(severity)),
        audit: message.strip_prefix(AUDIT).and_then(audit),
        message: Foreign::from(message),
    })
}

/// `2026-11-22 16:40:01 UTC`, or with milliseconds. RDS logs in UTC unless somebody set `log_timezone`: then it is not known.
fn moment(prefix: &str) -> Option<Timestamp> {
    let (clock, _) = prefix.split_once(" UTC")?;
    format!("{}Z", clock.trim().replacen(' ', "T", 1)).parse().ok()
}

/// `SESSION,1,1,WRITE,INSERT,TABLE,tenant_acme.orders,"insert into …",<not logged>`
fn audit(text: &str) -> Option<AuditEntry> {
    let fields = fields(text);
    let field = |at: usize| fields.get(at).map(|field| Foreign::from(field.as_str()));
    Some(AuditEntry {
        kind: field(0)?,
        class: field(3)?,
        command: field(4)?,
        object: field(6).filter(|object| !object.is_empty()),
        statement: field(7)?,
    })
}

/// The fields of a line of comma-separated values.
fn fields(text: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            char => field.push(char),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "2026-11-22 16:40:01 UTC:10.0.1.5(43210):portarium_shared@portarium:[1234]:";

    #[test]
    fn an_entry_says_who_when_and_what_also_over_several_lines() {
        let text = format!("{AT}ERROR:  duplicate key\n{AT}STATEMENT:  insert into\n\torders values (1)\nodd\n");
        let [error, statement, odd] = &*entries(text.lines()) else { panic!("{text}") };
        assert_eq!(error.at, "2026-11-22T16:40:01Z".parse().ok());
        let who = (error.role.as_ref().map(Foreign::raw), error.database.as_ref().map(Foreign::raw), error.pid);
        assert_eq!(who, (Some("portarium_shared"), Some("portarium"), Some(1234)));
        assert_eq!((error.severity.as_deref(), error.message.raw()), (Some("ERROR"), "duplicate key"));
        assert_eq!(statement.message.raw(), "insert into\norders values (1)");
        assert_eq!((odd.message.raw(), &odd.severity, odd.at), ("odd", &None, None));
        // The server's own processes have nobody.
        let own = entry("2026-11-22 16:40:01.250 UTC::@:[7]:LOG:  checkpoint starting: time");
        assert!(own.role.is_none() && own.at.is_some() && own.message.raw() == "checkpoint starting: time");
        assert_eq!(entry("a:[b]:c: d").severity, None, "what is no severity is no prefix");
        // As PostgreSQL itself would write it.
        let usual = entry("2026-11-22 16:40:01.250 UTC [29945] ERROR:  no LOG: here");
        assert_eq!(
            (usual.pid, usual.severity.as_deref(), usual.message.raw()),
            (Some(29_945), Some("ERROR"), "no LOG: here")
        );
    }

    #[test]
    fn pgaudit_says_which_tenant_by_its_schema() {
        let said = "AUDIT: SESSION,1,1,WRITE,INSERT,TABLE,tenant_acme.orders,\"insert into orders values ('a, \"\"b\"\"')\",<none>";
        let entry = entry(&format!("{AT}LOG:  {said}"));
        let audit = entry.audit.unwrap();
        assert_eq!((audit.class.raw(), audit.command.raw(), audit.schema()), ("WRITE", "INSERT", Some("tenant_acme")));
        assert_eq!(audit.statement.raw(), "insert into orders values ('a, \"b\"')");
        assert_eq!(super::audit("SESSION,1"), None);
    }
}
