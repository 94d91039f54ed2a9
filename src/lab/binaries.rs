//! Finding PostgreSQL's server programs on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::LabError;

/// The oldest major that tierdeck supports.
const OLDEST: u32 = 14;

/// A PostgreSQL installation.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    pub initdb: PathBuf,
    pub postgres: PathBuf,
    pub major: u32,
    /// `15.18`
    pub version: String,
}

/// Folders that hold one folder for each version, and where the programs are below it.
const VERSIONED: [(&str, &str, &str); 6] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

impl Binaries {
    /// The given folder's, or else: PATH, what `pg_config` says, then the newest in the places where packages put them.
    pub fn find(given: Option<&Path>) -> Result<Self, LabError> {
        let found = match given {
            Some(folder) => Self::in_folder(folder),
            None => on_path().into_iter().chain(from_pg_config()).find_map(|folder| Self::in_folder(&folder)).or_else(
                || versioned().iter().filter_map(|folder| Self::in_folder(folder)).max_by_key(|found| found.major),
            ),
        };
        let looked = || given.map(|folder| format!(" in {}", folder.display())).unwrap_or_default();
        found.ok_or_else(|| LabError::NoPostgres { looked: looked() })
    }

    fn in_folder(folder: &Path) -> Option<Self> {
        let (initdb, postgres) = (folder.join("initdb"), folder.join("postgres"));
        if !initdb.is_file() || !postgres.is_file() {
            return None;
        }
        let said = Command::new(&postgres).arg("--version").stdin(Stdio::null()).output().ok()?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let (major, version) = (major(&said)?, version(&said)?.to_owned());
        (major >= OLDEST).then_some(Self { initdb, postgres, major, version })
    }

    /// One of each major version that is here: the one that [`Binaries::find`] finds, then the others, the newest first.
    pub fn all(given: Option<&Path>) -> Result<Vec<Self>, LabError> {
        let mut all = vec![Self::find(given)?];
        let mut others: Vec<Self> = versioned().iter().filter_map(|folder| Self::in_folder(folder)).collect();
        others.sort_by_key(|found| std::cmp::Reverse(found.major));
        for other in others {
            if all.iter().all(|known| known.major != other.major) {
                all.push(other);
            }
        }
        Ok(all)
    }
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-1)` → 15; a beta says `18beta1`.
fn major(said: &str) -> Option<u32> {
    version(said)?.split(|char: char| !char.is_ascii_digit()).next()?.parse().ok()
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-1)` → `15.18`
fn version(said: &str) -> Option<&str> {
    said.split("(PostgreSQL) ").nth(1)?.split_whitespace().next()
}

fn on_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

fn from_pg_config() -> Option<PathBuf> {
    let said = Command::new("pg_config").arg("--bindir").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let folder = String::from_utf8(said.stdout).ok()?;
    Some(PathBuf::from(folder.trim_end()))
}

fn versioned() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for (parent, prefix, below) in VERSIONED {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                folders.push(entry.path().join(below));
            }
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_packagers_write_them() {
        for (said, expected) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some(15)),
            ("postgres (PostgreSQL) 18beta1\n", Some(18)),
            ("postgres (PostgreSQL) 9.6.24\n", Some(9)),
            ("something else", None),
        ] {
            assert_eq!(major(said), expected, "{said}");
        }
    }

    #[test]
    fn a_folder_without_postgresql_is_named() {
        let empty = tempfile::tempdir().unwrap();
        let error = Binaries::find(Some(empty.path())).unwrap_err().to_string();
        assert!(
            error.contains(&empty.path().display().to_string()) && error.contains("apt-get install postgresql"),
            "{error}"
        );
    }
}
