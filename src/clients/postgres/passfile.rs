//! `.pgpass`, as libpq reads it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use secrecy::SecretString;

use super::target::{Address, Host};

/// What a password file says about a login.
#[derive(Debug, Default)]
pub struct Lookup {
    /// The password of the first line that fits.
    pub password: Option<SecretString>,
    /// Why the file was not read although it is there.
    pub warning: Option<String>,
}

/// Asks a password file. One that is not there has no answer; one that others may read is not trusted.
pub fn lookup(path: &Path, host: &Host, database: &str, user: &str) -> Lookup {
    let ignored =
        |why: &str| Lookup { password: None, warning: Some(format!("{} was ignored: {why}", path.display())) };
    let Ok(metadata) = std::fs::metadata(path) else { return Lookup::default() };
    if !metadata.is_file() {
        return ignored("it is not a plain file");
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return ignored("group or others may access it; run chmod 600 on it");
    }
    match std::fs::read(path) {
        Err(error) => ignored(&error.to_string()),
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            Lookup { password: text.lines().find_map(|line| fitting(line, host, database, user)), warning: None }
        }
    }
}

/// The password of a line, if the line is about this login.
fn fitting(line: &str, host: &Host, database: &str, user: &str) -> Option<SecretString> {
    if line.starts_with('#') {
        return None;
    }
    let (server, rest) = field(line)?;
    let (port, rest) = field(rest)?;
    let (of_database, rest) = field(rest)?;
    let (of_user, rest) = field(rest)?;
    // The last field ends with the line; what may follow a further colon is not looked at, as in libpq.
    let password = field(rest).map_or_else(|| unescaped(rest), |(password, _)| password.text);
    let same_server = match &host.address {
        Address::Name(name) => server.fits(name),
        // libpq says localhost for its default folder only; the folder of a server of one's own is as local.
        Address::Socket(folder) => server.fits("localhost") || server.fits(&folder.to_string_lossy()),
    };
    let same = same_server && port.fits(&host.port.to_string()) && of_database.fits(database) && of_user.fits(user);
    (same && !password.is_empty()).then(|| SecretString::from(password))
}

struct FieldText {
    text: String,
    any: bool,
}

impl FieldText {
    fn fits(&self, text: &str) -> bool {
        self.any || self.text == text
    }
}

/// Splits at the first colon that no backslash protects.
fn field(line: &str) -> Option<(FieldText, &str)> {
    let mut protected = false;
    for (at, char) in line.char_indices() {
        match char {
            _ if protected => protected = false,
            '\\' => protected = true,
            ':' => {
                let raw = &line[..at];
                return Some((FieldText { text: unescaped(raw), any: raw == "*" }, &line[at + 1..]));
            }
            _ => {}
        }
    }
    None
}

fn unescaped(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(char) = chars.next() {
        // A backslash at the very end stands for itself.
        text.push(if char == '\\' { chars.next().unwrap_or('\\') } else { char });
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret as _;

    use super::*;

    fn host(name: &str) -> Host {
        Host { address: Address::Name(name.to_owned()), port: 5432 }
    }

    fn ask(content: &str, host: &Host, database: &str, user: &str) -> Option<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        let found = lookup(file.path(), host, database, user);
        assert_eq!(found.warning, None);
        found.password.map(|password| password.expose_secret().to_owned())
    }

    #[test]
    fn the_first_line_that_fits_wins() {
        let file =
            "# db:5432:shop:ann:comment\n\nnonsense\ndb:5433:*:*:other port\ndb:5432:shop:ann:first\n*:*:*:*:any\n";
        assert_eq!(ask(file, &host("db"), "shop", "ann").as_deref(), Some("first"));
        assert_eq!(ask(file, &host("elsewhere"), "shop", "ann").as_deref(), Some("any"));
        assert_eq!(ask("db:5432:shop:ann:x\n", &host("db"), "shop", "bob"), None);
    }

    #[test]
    fn colons_backslashes_and_stars() {
        let file = r"\:\:1:*:a\:b:a\\b:p\:w\\x";
        assert_eq!(ask(file, &host("::1"), "a:b", r"a\b").as_deref(), Some(r"p:w\x"));
        assert_eq!(ask(r"\*:*:*:*:x", &host("db"), "d", "u"), None);
        assert_eq!(ask("*:*:*:*: spaces stay \r\n", &host("db"), "d", "u").as_deref(), Some(" spaces stay "));
        assert_eq!(ask("*:*:*:*:\n", &host("db"), "d", "u"), None);
    }

    #[test]
    fn a_socket_is_localhost() {
        let socket = Host { address: Address::Socket("/tmp/pg".into()), port: 5432 };
        assert_eq!(ask("localhost:*:*:*:x", &socket, "d", "u").as_deref(), Some("x"));
        assert_eq!(ask("/tmp/pg:*:*:*:y", &socket, "d", "u").as_deref(), Some("y"));
        assert_eq!(ask("127.0.0.1:*:*:*:y", &socket, "d", "u"), None);
    }

    #[test]
    fn a_file_that_others_may_read_is_ignored_and_said_so() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "*:*:*:*:hunter2").unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).unwrap();
        let found = lookup(file.path(), &host("db"), "d", "u");
        assert!(found.password.is_none());
        assert!(found.warning.unwrap().contains("chmod 600"));
        assert!(lookup(Path::new("/nonexistent"), &host("db"), "d", "u").warning.is_none());
    }
}
