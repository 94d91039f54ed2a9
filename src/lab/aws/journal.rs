//! The servers' logs on disk: files, and the events in them.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::domain::server_log;

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
        let whole = server_log::entries(String::from_utf8_lossy(&bytes).lines());
        entries.extend(whole.into_iter().filter_map(|text| Some(Entry { at: server_log::moment(&text)?, text })));
    }
    entries
}
