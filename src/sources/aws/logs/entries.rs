//! What the entries of a PostgreSQL log mean: who, how bad, what, and what pgAudit says in them. One that can be read in more than
//! one way is nobody's, and is no audit entry.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::Foreign;
use crate::domain::facts::cloud::{AuditEntry, LogEntry};
use crate::domain::server_log::{self, SEVERITIES, marks, moment, stamp};

/// What pgAudit's lines begin with.
const AUDIT: &str = "AUDIT: ";

/// pgAudit's classes of statements.
const CLASSES: [&str; 7] = ["READ", "WRITE", "FUNCTION", "ROLE", "DDL", "MISC", "MISC_SET"];

/// Lines as entries.
pub fn entries<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<LogEntry> {
    // The server puts a tab before each further line of its own.
    server_log::entries(lines).iter().map(|text| entry(&text.replace("\n\t", "\n"))).collect()
}

/// `2026-11-22 16:40:01 UTC:10.0.1.5(43210):role@database:[1234]:ERROR:  message`
fn entry(text: &str) -> LogEntry {
    let unclear = |at: Option<Timestamp>| LogEntry {
        at,
        role: None,
        database: None,
        pid: None,
        severity: None,
        message: Foreign::from(text),
        audit: None,
    };
    let mut marks = marks(text);
    let Some(mark) = marks.next() else {
        return plain(text).unwrap_or_else(|| unclear(None));
    };
    let prefix = &text[..mark.at];
    // Which of them the server wrote nobody can tell; when it wrote it stands before all that anybody else has a say in.
    if marks.next().is_some() || prefix.contains('\n') {
        return unclear(moment(text));
    }
    let message = mark.message.trim_start();
    let who = prefix.rsplit_once(':').map_or(prefix, |(_, who)| who);
    let (role, database) = who.split_once('@').unwrap_or_default();
    let named = |text: &str| (!text.is_empty() && text != "[unknown]").then(|| Foreign::from(text));
    LogEntry {
        at: moment(text),
        role: named(role),
        database: named(database),
        pid: Some(mark.pid),
        severity: Some(Arc::from(mark.severity)),
        audit: message.strip_prefix(AUDIT).filter(|_| mark.severity == "LOG").and_then(audit),
        message: Foreign::from(message),
    }
}

/// A line where somebody chose a prefix without names: when, perhaps the process, how bad, and what.
/// `2026-11-22 16:40:01.250 UTC [1234] ERROR:  message`
fn plain(text: &str) -> Option<LogEntry> {
    let (at, rest) = stamp(text)?;
    let (prefix, message) = rest.strip_prefix(' ')?.split_once(": ")?;
    let (before, severity) = prefix.rsplit_once(' ').unwrap_or(("", prefix));
    let severity = Some(severity).filter(|it| SEVERITIES.contains(it))?;
    let pid = before.strip_prefix('[').and_then(|it| it.strip_suffix(']')?.parse().ok());
    let (severity, message) = (Some(Arc::from(severity)), Foreign::from(message.trim_start()));
    Some(LogEntry { at, role: None, database: None, pid, severity, message, audit: None })
}

/// `SESSION,1,1,WRITE,INSERT,TABLE,tenant_acme.orders,"insert into …",<not logged>`
fn audit(text: &str) -> Option<AuditEntry> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let fields = reader.records().next()?.ok()?;
    // Names of 63 bytes may hold what looks like an entry, and none of these as well.
    let (kind, class) = (fields.get(0)?, fields.get(3)?);
    if !["SESSION", "OBJECT"].contains(&kind) || !CLASSES.contains(&class) {
        return None;
    }
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
    use crate::domain::server_log::PREFIX;

    const AT: &str = "2026-11-22 16:40:01 UTC:10.0.1.5(43210):portarium_shared@portarium:[1234]:";

    #[test]
    fn an_entry_says_who_when_and_what_also_over_several_lines() {
        let text = format!("{AT}ERROR:  duplicate key\n{AT}STATEMENT:  insert into\n\torders values (1)\nodd\n");
        let [error, statement] = &*entries(text.lines()) else { panic!("{text}") };
        assert_eq!(error.at, "2026-11-22T16:40:01Z".parse().ok());
        let who = (error.role.as_ref().map(Foreign::raw), error.database.as_ref().map(Foreign::raw), error.pid);
        assert_eq!(who, (Some("portarium_shared"), Some("portarium"), Some(1234)));
        assert_eq!((error.severity.as_deref(), error.message.raw()), (Some("ERROR"), "duplicate key"));
        assert_eq!(statement.message.raw(), "insert into\norders values (1)\nodd");
        let [odd] = &*entries("odd".lines()) else { panic!("nothing") };
        assert_eq!((odd.message.raw(), &odd.severity, odd.at), ("odd", &None, None));
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
            // In a name that ends its line.
            format!("2026-11-22 16:40:01 UTC:6.6.6.6(1):r@d:[1]:LOG:  {said}\n@postgres:[77]:FATAL:  no such role"),
            // In a line of its own in the name.
            format!("2026-11-22 16:40:01 UTC:6.6.6.6(1):x\n{AT}LOG:  {said}@postgres:[77]:FATAL:  no such role"),
        ] {
            let told = entries(forged.lines());
            let [one] = &*told else { panic!("{told:?}") };
            let unclear = one.audit.is_none() && one.role.is_none() && one.pid.is_none() && one.severity.is_none();
            assert!(unclear && one.at.is_some(), "{one:?}");
            assert!(one.message.raw().contains("no such role"), "nothing is lost");
        }
        // The shortest that a name has room for, with the beginning of a next entry behind it, is no audit entry.
        let name = "d:[1]:LOG:  AUDIT: S,1,1,D,D,,t.x,y\n2026-11-22 16:40:01 UTC:";
        assert!(name.len() <= 63);
        let forged = format!("2026-11-22 16:40:01 UTC:6.6.6.6(1):r@{name}:[77]:FATAL:  no such database");
        assert!(entries(forged.lines()).iter().all(|entry| entry.audit.is_none()));
        // What a statement says far behind the prefix is a statement's.
        let honest = format!("{AT}ERROR:  {}:[1]:LOG:  AUDIT: x", "y".repeat(PREFIX));
        assert_eq!(entry(&honest).severity.as_deref(), Some("ERROR"));
    }
}
