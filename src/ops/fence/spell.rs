//! Names, texts and conditions as SQL that somebody can read and approve: one line each, nothing that a screen cannot show.

use std::fmt::Write as _;

use postgres_protocol::escape::{escape_identifier, escape_literal};

use super::image::Image;
use crate::domain::foreign::sanitise;

const FINGERPRINT: &str = include_str!("../../../assets/sql/ops/fence_fingerprint.sql");

/// A name as SQL. One that a screen cannot show as it is, is spelled in ASCII: a tenant that calls a table so would else keep
/// anybody from approving what shuts it in.
pub(super) fn identifier(name: &str) -> String {
    if sanitise(name) == name { escape_identifier(name) } else { format!("U&\"{}\"", spelled(name, '"')) }
}

/// A text as SQL, with the same in mind.
pub(super) fn literal(text: &str) -> String {
    if sanitise(text) == text {
        escape_literal(text).trim_start().to_owned()
    } else {
        format!("U&'{}'", spelled(text, '\''))
    }
}

fn spelled(text: &str, quote: char) -> String {
    let mut out = String::new();
    for char in text.chars() {
        match char {
            '\\' => out.push_str("\\\\"),
            char if char == quote => out.extend([quote, quote]),
            ' '..='~' => out.push(char),
            char => {
                let _ = write!(out, "\\+{:06X}", u32::from(char));
            }
        }
    }
    out
}

/// A relation by its full name.
pub(super) fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", identifier(schema), identifier(name))
}

/// One anonymous block, on one line.
pub(super) fn block(body: &str) -> String {
    // A table may be called like the tag.
    let mut tag = "$fence$".to_owned();
    while body.contains(&tag) {
        tag.insert(1, '_');
    }
    format!("DO {tag} BEGIN {body} END {tag}")
}

/// A refusal within a block.
pub(super) fn raise(words: &str, code: &str) -> String {
    format!("RAISE EXCEPTION USING MESSAGE = {}, ERRCODE = '{code}'", literal(words))
}

fn namespace(schema: &str) -> String {
    format!("{}::regnamespace", literal(&escape_identifier(schema)))
}

/// The question for the fingerprint, with everything in it.
pub(super) fn fingerprint(schema: &str, logins: &[String]) -> String {
    let lines = FINGERPRINT.lines().filter(|line| !line.starts_with("--")).map(str::trim);
    let sql = lines.collect::<Vec<_>>().join(" ");
    let logins: Vec<_> = logins.iter().map(|login| literal(login)).collect();
    sql.replace("$1::text::regnamespace", &namespace(schema)).replace("$2", &format!("ARRAY[{}]", logins.join(", ")))
}

/// Whether there are more or fewer relations than in the image: what is there is locked, or worth nothing without.
pub(super) fn others(image: &Image) -> String {
    let space = namespace(&image.schema);
    format!(
        "(SELECT count(*) FROM pg_class WHERE relnamespace = {space} AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')) <> {}",
        image.relations.len()
    )
}

/// Whether an ACL of the schema lets anybody write, or create.
pub(super) fn still_may_write(schema: &str) -> String {
    let space = namespace(schema);
    format!(
        "EXISTS (SELECT FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = {space} AND a.privilege_type <> 'SELECT') OR \
         EXISTS (SELECT FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a \
         WHERE c.relnamespace = {space} AND a.privilege_type <> 'SELECT') OR \
         EXISTS (SELECT FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.oid = {space} AND a.privilege_type = 'CREATE')"
    )
}

/// Whether a fence that stood around a schema is open again: somebody may write, or a login of the tenant's own may log in.
pub(in crate::ops) fn open_again(schema: &str, logins: &[String]) -> String {
    let logins: Vec<_> = logins.iter().map(|login| literal(login)).collect();
    format!(
        "{} OR EXISTS (SELECT FROM pg_roles WHERE rolcanlogin AND rolname = ANY (ARRAY[{}]::text[]))",
        still_may_write(schema),
        logins.join(", ")
    )
}

/// Whether somebody's open transaction makes something in the schema, which nobody else sees yet: whoever does holds a lock on it.
pub(super) fn creators(schema: &str) -> String {
    format!(
        "EXISTS (SELECT FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_namespace'::regclass AND objid = {} \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid IS DISTINCT FROM pg_backend_pid())",
        namespace(schema)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_shown_is_spelled_and_nothing_breaks_out() {
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(identifier("a\u{202e}\\\"b"), "U&\"a\\+00202E\\\\\"\"b\"");
        assert_eq!(literal("it's\n"), "U&'it''s\\+00000A'");
        assert_eq!(block("x $fence$ y"), "DO $_fence$ BEGIN x $fence$ y END $_fence$");
    }
}
