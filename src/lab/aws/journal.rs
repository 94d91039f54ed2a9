//! The servers' logs on disk: files, and the events in them.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// A log file.
#[derive(Debug, Clone)]
pub struct LogFile {
    /// As RDS calls it: `error/postgresql.log.2026-11-22-15`.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// When it was written last.
    pub written: Timestamp,
    /// Bytes.
    pub size: u64,
}

/// The log files of a folder, the oldest first.
pub fn files(folder: &Path) -> Vec<LogFile> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<LogFile> = entries
        .filter_map(|entry| {
            let own = entry.file_name().to_string_lossy().into_owned();
            if !own.starts_with("postgresql.log") && own != "server.log" {
                return None;
            }
            let seen = entry.metadata().ok()?;
            let written = Timestamp::try_from(seen.modified().ok()?).ok()?;
            Some(LogFile { name: format!("error/{own}"), path: entry.path(), written, size: seen.len() })
        })
        .collect();
    files.sort_by(|one, other| one.name.cmp(&other.name));
    files
}

/// Something that the server said: a line, and the lines that belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// All of it, its prefix included.
    pub text: String,
}

/// What the logs of a folder hold, in their order.
pub fn entries(folder: &Path) -> Vec<Entry> {
    let mut entries = Vec::new();
    for file in files(folder) {
        let Ok(bytes) = fs::read(&file.path) else { continue };
        parse(&String::from_utf8_lossy(&bytes), &mut entries);
    }
    entries
}

fn parse(text: &str, into: &mut Vec<Entry>) {
    for line in text.lines() {
        match (begins(line), into.last_mut()) {
            (Some(at), _) => into.push(Entry { at, text: line.to_owned() }),
            (None, Some(last)) => {
                last.text.push('\n');
                last.text.push_str(line);
            }
            (None, None) => {}
        }
    }
}

/// `2026-11-22 15:04:05 UTC:…`, with or without milliseconds.
fn begins(line: &str) -> Option<Timestamp> {
    let (stamp, _) = line.split_once(" UTC")?;
    let civil: jiff::civil::DateTime = stamp.parse().ok().filter(|_| (19..=23).contains(&stamp.len()))?;
    civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|at| at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_line_goes_on_with_belongs_to_it() {
        let text = "left over\n2026-11-22 15:04:05 UTC:127.0.0.1(1):a@b:[7]:ERROR:  x\n2026-11-22 15:04:05 UTC:…STATEMENT:  SELECT\n\t1\n";
        let mut entries = Vec::new();
        parse(text, &mut entries);
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].at.to_string(), "2026-11-22T15:04:05Z");
        assert!(entries[1].text.ends_with("SELECT\n\t1"), "{:?}", entries[1]);
        let mut entries = Vec::new();
        parse("2026-11-22 15:04:05.123 UTC [7] LOG:  ready\n", &mut entries);
        assert_eq!(entries[0].at.as_millisecond() % 1000, 123);
    }
}
