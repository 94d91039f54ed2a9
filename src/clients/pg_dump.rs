//! PostgreSQL's own programs for dumps: where they are, and of which version. Who runs one, and with what, is decided elsewhere.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::postgres::{Address, Target};

/// `pg_dump` with its companions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgDump {
    /// The folder that they are in.
    pub folder: PathBuf,
    /// Its version.
    pub version: String,
}

impl PgDump {
    /// The one of a server's own major version, else the next newer: an older one refuses. Looked for in these folders.
    pub fn find(major: u32, folders: &[PathBuf]) -> Result<Self, String> {
        let found = folders.iter().filter_map(|folder| Self::of(folder));
        let fit = found.filter(|(of, _)| *of >= major).min_by_key(|(of, _)| *of);
        fit.map(|(_, found)| found).ok_or_else(|| {
            format!("there is no pg_dump of version {major} or newer, neither on PATH nor below /usr/lib/postgresql; install one")
        })
    }

    /// Where to look: `PATH`, then where distributions put them.
    pub fn folders(path: Option<&str>) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = path.map(|path| std::env::split_paths(path).collect()).unwrap_or_default();
        let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        folders.extend(installed.map(|entry| entry.path().join("bin")));
        folders
    }

    fn of(folder: &Path) -> Option<(u32, Self)> {
        let program = folder.join("pg_dump");
        // What distributions put on PATH is a wrapper that would choose a version by itself.
        let program = program.canonicalize().ok().filter(|real| real.file_name() == program.file_name())?;
        let said = Command::new(&program).arg("--version").env_clear().stdin(Stdio::null()).output().ok()?;
        let said = String::from_utf8(said.stdout).ok()?;
        let version = said.split_whitespace().nth(2)?.to_owned();
        let major = version.split(|char: char| !char.is_ascii_digit()).next()?.parse().ok()?;
        Some((major, Self { folder: program.parent()?.to_owned(), version }))
    }

    /// One of the programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// A target as libpq's variables, without a password.
pub fn variables(target: &Target) -> Vec<(&'static str, String)> {
    let address = |address: &Address| match address {
        Address::Name(name) => name.clone(),
        Address::Socket(folder) => folder.display().to_string(),
    };
    let listed =
        |each: &dyn Fn(&super::postgres::Host) -> String| target.hosts.iter().map(each).collect::<Vec<_>>().join(",");
    let mut variables = vec![
        ("PGHOST", listed(&|host| address(&host.address))),
        ("PGPORT", listed(&|host| host.port.to_string())),
        ("PGUSER", target.user.clone()),
        ("PGDATABASE", target.database.clone()),
        ("PGSSLMODE", target.tls.mode.name().to_owned()),
        // Of several hosts, the one that is written to: a standby may be behind.
        ("PGTARGETSESSIONATTRS", "read-write".to_owned()),
        ("PGCONNECT_TIMEOUT", target.connect_timeout.map_or(10, |limit| limit.as_secs().max(2)).to_string()),
    ];
    let files = [
        ("PGSSLROOTCERT", &target.tls.root, &target.tls.default_root),
        ("PGSSLCERT", &target.tls.certificate, &target.tls.default_certificate),
        ("PGSSLKEY", &target.tls.key, &target.tls.default_key),
    ];
    for (name, given, default) in files {
        let file = given.clone().or_else(|| default.clone().filter(|file| file.exists()));
        variables.extend(file.map(|file| (name, file.display().to_string())));
    }
    variables
}
