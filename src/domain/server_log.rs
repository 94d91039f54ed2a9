//! The lines of a PostgreSQL log as RDS has it written (`log_line_prefix` = `%t:%r:%u@%d:[%p]:`): which of them are one entry,
//! when that was written, and where what the server says may begin.
//!
//! Role and database are what a client *says* that they are, before anybody has checked a password: they may hold whatever looks like
//! the end of a prefix, and newlines. So there may be more than one [`Mark`], and which of them the server wrote nobody can tell.

use jiff::Timestamp;

/// What a mark's severity is, of the server's own words.
pub const SEVERITIES: [&str; 20] = [
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
    "QUERY",
    "LOCATION",
    "BACKTRACE",
];

/// The longest that a prefix can be: a moment, an address with its port, two names of 63 bytes.
pub const PREFIX: usize = 256;

/// The most of one entry, in bytes.
const LONGEST: usize = 64 << 10;

/// Lines as entries. An entry begins with a moment, and what has no beginning of its own goes on with what is before it; so does
/// whatever follows a prefix that does not end: a name with a newline in it is no line of its own. Where nothing ever begins,
/// each line is an entry.
pub fn entries<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        match entries.last_mut() {
            Some(before) if goes_on(line, before) => {
                if before.len() + line.len() < LONGEST {
                    before.push('\n');
                    before.push_str(line);
                }
            }
            _ => entries.push(line.to_owned()),
        }
    }
    entries
}

fn goes_on(line: &str, before: &str) -> bool {
    let begun = stamp(before);
    let is_torn =
        before.len() < PREFIX && begun.is_some_and(|(_, rest)| rest.starts_with(':')) && marks(before).next().is_none();
    is_torn || (stamp(line).is_none() && (begun.is_some() || line.starts_with([' ', '\t'])))
}

/// When an entry was written. RDS logs in UTC unless somebody set `log_timezone`: then it is not known.
pub fn moment(entry: &str) -> Option<Timestamp> {
    stamp(entry)?.0
}

/// `2026-11-22 16:40:01 UTC`, also with milliseconds or in another zone: what each entry begins with, and what comes after it.
pub fn stamp(line: &str) -> Option<(Option<Timestamp>, &str)> {
    let (day, rest) = line.split_once(' ')?;
    let (clock, rest) = rest.split_once(' ')?;
    let (zone, rest) = rest.split_at(rest.find([':', ' '])?);
    let at = format!("{day}T{clock}Z").parse().ok()?;
    let is_zone =
        (1..=8).contains(&zone.len()) && zone.bytes().all(|it| it.is_ascii_alphanumeric() || b"+-".contains(&it));
    is_zone.then_some(((zone == "UTC").then_some(at), rest))
}

/// What may be the end of a prefix: `:[1234]:ERROR:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark<'a> {
    /// Where it begins.
    pub at: usize,
    /// Whose process it names.
    pub pid: i32,
    /// How bad.
    pub severity: &'a str,
    /// What comes after it.
    pub message: &'a str,
}

/// All marks of an entry that may be its prefix's.
pub fn marks(entry: &str) -> impl Iterator<Item = Mark<'_>> {
    entry.match_indices(":[").take_while(|(at, _)| *at < PREFIX).filter_map(|(at, _)| {
        let (pid, rest) = entry[at + 2..].split_once("]:")?;
        let (severity, message) = rest.split_once(':')?;
        let severity = severity.trim();
        let known = SEVERITIES.contains(&severity);
        Some(Mark { at, pid: pid.parse().ok()?, severity, message }).filter(|_| known)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "2026-11-22 16:40:01 UTC:10.0.1.5(43210):portarium_shared@portarium:[1234]:";

    #[test]
    fn what_a_line_goes_on_with_belongs_to_it() {
        let text = format!("left over\n\t1\n{AT}ERROR:  x\n{AT}STATEMENT:  SELECT\n\t1\nodd\n\n{AT}LOG:  y\n");
        let entries = entries(text.lines());
        let wanted = [
            "left over\n\t1".to_owned(),
            format!("{AT}ERROR:  x"),
            format!("{AT}STATEMENT:  SELECT\n\t1\nodd"),
            format!("{AT}LOG:  y"),
        ];
        assert_eq!(entries, wanted);
        assert_eq!(moment(&entries[1]), "2026-11-22T16:40:01Z".parse().ok());
        assert_eq!(moment(&entries[0]), None);
        assert_eq!(super::entries("one\ntwo".lines()), ["one", "two"], "nothing begins there");
    }

    #[test]
    fn a_moment_is_one_in_every_way_that_servers_write_it() {
        let at = |text: &str| stamp(text).map(|(at, rest)| (at.map(|at| at.as_millisecond() % 1_000), rest.to_owned()));
        assert_eq!(at("2026-11-22 15:04:05.123 UTC [7] LOG:  x"), Some((Some(123), " [7] LOG:  x".to_owned())));
        assert_eq!(at("2026-11-22 15:04:05 CET:x"), Some((None, ":x".to_owned())));
        assert_eq!(at("2026-11-22 15:04:05 +0330:x"), Some((None, ":x".to_owned())));
        for text in ["", "2026-11-22", "2026-11-22 15:04:05", "2026-11-22 25:04:05 UTC:x", "DETAIL: a b c", "a b c d"] {
            assert_eq!(stamp(text), None, "{text}");
        }
    }

    #[test]
    fn a_name_with_a_newline_is_no_line_of_its_own_in_any_zone() {
        for zone in ["UTC", "CET"] {
            let text = format!(
                "2026-11-22 16:40:01 {zone}:6.6.6.6(1):x\n{AT}LOG:  said@postgres:[77]:FATAL:  no\n{AT}LOG:  y"
            );
            let entries = entries(text.lines());
            assert_eq!(entries.len(), 2, "{entries:?}");
            assert_eq!(marks(&entries[0]).map(|mark| mark.pid).collect::<Vec<_>>(), [1234, 77]);
        }
    }
}
