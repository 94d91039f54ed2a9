//! Names as they stand in SQL that is shown for pasting.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::foreign::sanitise;

/// An identifier as it stands in SQL, safe to print: in quotes wherever PostgreSQL's own `quote_ident` would put it in some.
pub fn quoted(identifier: &str) -> Cow<'_, str> {
    if is_plain(identifier) && KEYWORDS.binary_search(&identifier).is_err() {
        return Cow::Borrowed(identifier);
    }
    Cow::Owned(in_quotes(identifier))
}

/// The same, in quotes whatever it is. What could not be printed as it is is written as its number: a name that merely
/// looks like it may be that of something else.
pub fn in_quotes(identifier: &str) -> String {
    between(identifier, '"')
}

/// A text constant as it stands in SQL, safe to print, and the very text.
pub fn literal(text: &str) -> String {
    between(text, '\'')
}

fn between(text: &str, quote: char) -> String {
    let twice = format!("{quote}{quote}");
    if sanitise(text) == text {
        return format!("{quote}{}{quote}", text.replace(quote, &twice));
    }
    let mut escaped = String::with_capacity(text.len() * 2);
    for char in text.chars() {
        match char {
            '\\' => escaped.push_str("\\\\"),
            // A second space would be lost wherever text is made printable.
            ' ' if escaped.ends_with(' ') => escaped.push_str("\\0020"),
            char if char == quote => escaped.push_str(&twice),
            ' '..='~' => escaped.push(char),
            char => {
                let number = u32::from(char);
                // Writing to a text never fails.
                let _ = if number > 0xffff {
                    write!(escaped, "\\+{number:06X}")
                } else {
                    write!(escaped, "\\{number:04X}")
                };
            }
        }
    }
    format!("U&{quote}{escaped}{quote}")
}

/// Whether a name stands for itself wherever it is put: in SQL without quotes (but for keywords), and in a shell.
pub fn is_plain(name: &str) -> bool {
    let plain = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
    !name.is_empty() && name.chars().all(plain) && !name.starts_with(|char: char| char.is_ascii_digit())
}

/// Words that mean something else in some place where a name may stand: all of `pg_get_keywords()` that are not unreserved,
/// of every version from 15 to 18. A test asks real servers.
static KEYWORDS: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "json",
    "json_array",
    "json_arrayagg",
    "json_exists",
    "json_object",
    "json_objectagg",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_table",
    "json_value",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "merge_action",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_must_be() {
        assert!(KEYWORDS.is_sorted());
        for (name, in_sql) in [
            ("tenant_acme", "tenant_acme"),
            ("user", "\"user\""),
            ("order", "\"order\""),
            ("table", "\"table\""),
            ("users", "users"),
            ("current_user", "\"current_user\""),
            ("Acme", "\"Acme\""),
            ("9lives", "\"9lives\""),
            ("", "\"\""),
            ("Bad\"\u{1b}", "U&\"Bad\"\"\\001B\""),
            ("a\nb", "U&\"a\\000Ab\""),
            ("a b", "\"a b\""),
            ("a  b\\", "U&\"a \\0020b\\\\\""),
            ("über\u{200b}\u{1f600}", "U&\"\\00FCber\\200B\\+01F600\""),
        ] {
            assert_eq!(quoted(name), in_sql);
            assert_eq!(sanitise(in_sql), in_sql, "as it will be printed");
        }
        assert_eq!(literal("o'neil\n"), "U&'o''neil\\000A'");
        assert_eq!(literal("o'neil"), "'o''neil'");
    }
}
