//! What the lines of a PostgreSQL log mean, as RDS writes them (`log_line_prefix` = `%t:%r:%u@%d:[%p]:`).
//!
//! Role and database are what a client *says* that they are, before anybody has checked a password: they may hold whatever looks like
//! the end of a prefix, and newlines. So a line that can be read in more than one way is nobody's, and is no audit entry.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::Foreign;
use crate::domain::facts::cloud::{AuditEntry, LogEntry};

/// What a mark's severity is, of the server's own words.
const SEVERITIES: [&str; 17] = [
    "DEBUG",
    "DEBUG1",
    "DEBUG2",
    "DEBUG3",
    "DEBUG4",
    "DEBUG5",
    "INFO",
    "NOTICE",
    "WARNING",
    "ERROR",
    "LOG",
    "FATAL",
    "PANIC",
    "DETAIL",
    "HINT",
    "STATEMENT",
    "CONTEXT",
];

/// The longest that a prefix can be: a moment, an address with its port, two names of 63 bytes.
const PREFIX: usize = 256;

/// The most of one entry, in bytes.
const LONGEST: usize = 64 << 10;

/// What pgAudit's lines begin with.
const AUDIT: &str = "AUDIT: ";

/// Lines as entries: one that begins with a blank goes on with the entry before it, and so does whatever follows a prefix that does not
/// end: a name with a newline in it is no line of its own.
pub fn entries<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<LogEntry> {
    let mut whole: Vec<String> = Vec::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        match whole.last_mut() {
            Some(before) if line.starts_with([' ', '\t']) || is_torn(before) => {
                if before.len() + line.len() < LONGEST {
                    before.push('\n');
                    before.push_str(line.trim_start());
                }
            }
            _ => whole.push(line.to_owned()),
        }
    }
    whole.iter().map(|text| entry(text)).collect()
}

/// Whether a prefix begins there and does not end.
fn is_torn(text: &str) -> bool {
    text.len() < PREFIX
        && text.split_once(" UTC:").is_some_and(|(clock, _)| stamp(clock).is_some())
        && marks(text).next().is_none()
}

/// A mark: where it begins, whose process it names, its severity, and what comes after it.
type Mark<'a> = (usize, i32, &'a str, &'a str);

/// What may be the end of the prefix: `:[1234]:ERROR:`.
fn marks(text: &str) -> impl Iterator<Item = Mark<'_>> {
    text.match_indices(":[").take_while(|(at, _)| *at < PREFIX).filter_map(|(at, _)| {
        let (pid, rest) = text[at + 2..].split_once("]:")?;
        let (severity, message) = rest.split_once(':')?;
        let severity = severity.trim();
        let known = SEVERITIES.contains(&severity);
        Some((at, pid.parse().ok()?, severity, message)).filter(|_| known)
    })
}

/// `2026-11-22 16:40:01 UTC:10.0.1.5(43210):role@database:[1234]:ERROR:  message`
fn entry(text: &str) -> LogEntry {
    let unclear = |at| LogEntry {
        at,
        role: None,
        database: None,
        pid: None,
        severity: None,
        message: Foreign::from(text),
        audit: None,
    };
    let mut marks = marks(text);
    let Some((end, pid, severity, message)) = marks.next() else {
        return plain(text).unwrap_or_else(|| unclear(None));
    };
    let prefix = &text[..end];
    // Which of them the server wrote nobody can tell; when it wrote it stands before all that anybody else has a say in.
    if marks.next().is_some() || prefix.contains('\n') {
        return unclear(moment(prefix));
    }
    let message = message.trim_start();
    let who = prefix.rsplit_once(':').map_or(prefix, |(_, who)| who);
    let (role, database) = who.split_once('@').unwrap_or_default();
    let named = |text: &str| (!text.is_empty() && text != "[unknown]").then(|| Foreign::from(text));
    LogEntry {
        at: moment(prefix),
        role: named(role),
        database: named(database),
        pid: Some(pid),
        severity: Some(Arc::from(severity)),
        audit: message.strip_prefix(AUDIT).filter(|_| severity == "LOG").and_then(audit),
        message: Foreign::from(message),
    }
}

/// A line where somebody chose a prefix without names: when, perhaps the process, how bad, and what.
/// `2026-11-22 16:40:01.250 UTC [1234] ERROR:  message`
fn plain(text: &str) -> Option<LogEntry> {
    let (clock, rest) = text.split_once(" UTC ")?;
    let at = Some(stamp(clock)?);
    let (prefix, message) = rest.split_once(": ")?;
    let (before, severity) = prefix.rsplit_once(' ').unwrap_or(("", prefix));
    let severity = Some(severity).filter(|it| SEVERITIES.contains(it))?;
    let pid = before.strip_prefix('[').and_then(|it| it.strip_suffix(']')?.parse().ok());
    let (severity, message) = (Some(Arc::from(severity)), Foreign::from(message.trim_start()));
    Some(LogEntry { at, role: None, database: None, pid, severity, message, audit: None })
}

/// `2026-11-22 16:40:01 UTC`, or with milliseconds. RDS logs in UTC unless somebody set `log_timezone`: then it is not known.
fn moment(prefix: &str) -> Option<Timestamp> {
    stamp(prefix.split_once(" UTC")?.0)
}

fn stamp(clock: &str) -> Option<Timestamp> {
    format!("{}Z", clock.trim().replacen(' ', "T", 1)).parse().ok()
}

/// `SESSION,1,1,WRITE,INSERT,TABLE,tenant_acme.orders,"insert into …",<not logged>`
fn audit(text: &str) -> Option<AuditEntry> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let fields = reader.records().next()?.ok()?;
    let field = |at: usize| fields.get(at).map(Foreign::from);
    Some(AuditEntry {
        kind: field(0)?,
        class: field(3)?,
        command: field(4)?,
        object: field(6).filter(|object| !object.is_empty()),
        statement: field(7)?,
    })
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
        // What has no beginning of its own goes on with what is before it, as in the server's own reading.
        // The server's own processes have nobody.
        let own = entry("2026-11-22 16:40:01.250 UTC::@:[7]:LOG:  checkpoint starting: time");
        assert!(own.role.is_none() && own.at.is_some() && own.message.raw() == "checkpoint starting: time");
        assert_eq!(entry("a:[b]:c: d").severity, None, "what is no severity is no prefix");
        // As PostgreSQL itself would write it.
        let usual = entry("2026-11-22 16:40:01.250 UTC [29945] ERROR:  no LOG: here");
        let read = (usual.pid, usual.severity.as_deref(), usual.message.raw());
        assert_eq!(read, (Some(29_945), Some("ERROR"), "no LOG: here"));
    }

    #[test]
    fn pgaudit_says_which_tenant_by_its_schema() {
        let said = "AUDIT: SESSION,1,1,WRITE,INSERT,TABLE,tenant_acme.orders,\"insert into orders values ('a, \"\"b\"\"')\",<none>";
        let entry = entry(&format!("{AT}LOG:  {said}"));
        let audit = entry.audit.unwrap();
        assert_eq!((audit.class.raw(), audit.command.raw(), audit.schema()), ("WRITE", "INSERT", Some("tenant_acme")));
        assert_eq!(audit.statement.raw(), "insert into orders values ('a, \"b\"')");
        assert_eq!(super::audit("SESSION,1"), None);
        // Over several lines, as the server tells a statement with newlines.
        let said = format!(
            "{AT}LOG:  AUDIT: SESSION,1,1,DDL,CREATE TABLE,TABLE,tenant_acme.t,\"create table t (\n\tid int)\",<none>"
        );
        let [entry] = &*entries(said.lines()) else { panic!("{said}") };
        assert_eq!(entry.audit.as_ref().unwrap().statement.raw(), "create table t (\nid int)");
    }

    /// Whoever reaches the port says who they are before anybody asks for a password.
    #[test]
    fn nobody_forges_an_entry_by_the_name_that_they_log_in_with() {
        let said = "AUDIT: SESSION,1,1,DDL,DROP,TABLE,tenant_x.t,,<none>";
        for forged in [
            // In the name.
            format!("2026-11-22 16:40:01 UTC:6.6.6.6(1):r@d:[1]:LOG:  {said}@postgres:[77]:FATAL:  no such role"),
            // In a line of its own in the name.
            format!("2026-11-22 16:40:01 UTC:6.6.6.6(1):x\n{AT}LOG:  {said}@postgres:[77]:FATAL:  no such role"),
        ] {
            let told = entries(forged.lines());
            let [one] = &*told else { panic!("{told:?}") };
            let unclear = one.audit.is_none() && one.role.is_none() && one.pid.is_none() && one.severity.is_none();
            assert!(unclear && one.at.is_some(), "{one:?}");
            assert!(one.message.raw().contains("no such role"), "nothing is lost");
        }
        // What a statement says far behind the prefix is a statement's.
        let honest = format!("{AT}ERROR:  {}:[1]:LOG:  AUDIT: x", "y".repeat(PREFIX));
        assert_eq!(entry(&honest).severity.as_deref(), Some("ERROR"));
    }
}
