//! What psql is given before a statement that means something in one database only: the line that leads there.

use super::foreign::{Foreign, sanitise};
use super::snapshot::{Instance, Layout};

/// `\connect` to a database as psql reads it; `None` where its name could not be printed as it is.
///
/// psql takes what holds a `=` or looks like a URL for a connection string, quoted or not, so such a name goes into one,
/// as `pg_dump` writes it.
pub fn connect(database: &Foreign) -> Option<String> {
    let name = database.raw();
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.');
    if name.is_empty() || sanitise(name) != name {
        None
    } else if name.chars().all(plain) && !name.starts_with('-') {
        Some(format!("\\connect \"{name}\""))
    } else {
        let name = name.replace('\\', "\\\\").replace('\'', "\\'").replace('"', "\"\"");
        Some(format!("\\connect -reuse-previous=on \"dbname='{name}'\""))
    }
}

impl Instance {
    /// A statement that means something in this database only, as it is to be pasted. Where tenants have databases, the same
    /// names exist in each of them and a statement pasted in the wrong one succeeds: there it always says where it belongs.
    pub fn pasted(&self, database: &Foreign, statement: String) -> Option<String> {
        let here = self.server.as_ref().is_some_and(|server| server.database == *database);
        if self.layout == Layout::Schema && here {
            return Some(statement);
        }
        Some(format!("{}\n{statement}", connect(database)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_named_as_psql_reads_it() {
        for (name, line) in [
            ("db_acme", Some(r#"\connect "db_acme""#)),
            ("Acme-eu.1", Some(r#"\connect "Acme-eu.1""#)),
            ("-", Some(r#"\connect -reuse-previous=on "dbname='-'""#)),
            ("host=evil", Some(r#"\connect -reuse-previous=on "dbname='host=evil'""#)),
            (r#"a"b'c\d `x`"#, Some(r#"\connect -reuse-previous=on "dbname='a""b\'c\\d `x`'""#)),
            ("a\nb", None),
            ("", None),
        ] {
            assert_eq!(connect(&Foreign::from(name)).as_deref(), line, "{name:?}");
        }
    }
}
