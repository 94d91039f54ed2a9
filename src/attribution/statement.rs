//! Just enough of PostgreSQL's lexer to find names in a statement: which schemas it names, what it sets `search_path`
//! to, which sqlcommenter tags it carries. Works on text that was cut off anywhere.

/// What a statement's text gives away.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Statement {
    /// Names that stand before a dot.
    pub schemas: Vec<String>,
    /// The schemas of the last `SET search_path`.
    pub search_path: Vec<String>,
    /// `key='value'` pairs of comments, values still percent-encoded.
    pub tags: Vec<(String, String)>,
    /// The first word, in lower case.
    pub verb: Option<String>,
    /// Whether there is more than one statement.
    pub several: bool,
    /// What stands where a table's name stands: behind FROM, JOIN, INTO, UPDATE, USING; with its schema where that is named.
    pub tables: Vec<(Option<String>, String)>,
}

#[derive(Debug, PartialEq)]
enum Token {
    /// An identifier or keyword, folded to lower case unless it was quoted.
    Name(String),
    /// A string constant.
    Text(String),
    /// `.`, `,`, `;`, `=`; anything else is `?`.
    Mark(char),
}

impl Statement {
    /// Reads a statement.
    pub fn read(text: &str) -> Self {
        let mut found = Self::default();
        let tokens = tokens(text, &mut found.tags);
        for (at, token) in tokens.iter().enumerate() {
            let Token::Name(name) = token else { continue };
            let dotted_before = at > 0 && tokens[at - 1] == Token::Mark('.');
            if tokens.get(at + 1) == Some(&Token::Mark('.')) && !dotted_before && !found.schemas.contains(name) {
                found.schemas.push(name.clone());
            }
            if name == "search_path" && at > 0 && is_set(&tokens[at - 1]) {
                found.search_path = path(&tokens[at + 1..]);
            }
            if !dotted_before && matches!(name.as_str(), "from" | "join" | "into" | "update" | "using") {
                found.tables.extend(table(&tokens[at + 1..]));
            }
        }
        found.verb = match tokens.first() {
            Some(Token::Name(word)) => Some(word.clone()),
            _ => None,
        };
        let mut end = tokens.iter().skip_while(|token| **token != Token::Mark(';'));
        found.several = end.any(|token| *token != Token::Mark(';'));
        found
    }
}

/// The name at the beginning, and its schema.
fn table(tokens: &[Token]) -> Option<(Option<String>, String)> {
    let tokens = match tokens {
        [Token::Name(only), rest @ ..] if only == "only" => rest,
        all => all,
    };
    match tokens {
        [Token::Name(schema), Token::Mark('.'), Token::Name(name), ..] => Some((Some(schema.clone()), name.clone())),
        [Token::Name(name), ..] => Some((None, name.clone())),
        _ => None,
    }
}

fn is_set(token: &Token) -> bool {
    matches!(token, Token::Name(word) if matches!(word.as_str(), "set" | "local" | "session"))
}

/// The list after `search_path`: `TO a, "b", 'c'` up to the end of the statement.
fn path(tokens: &[Token]) -> Vec<String> {
    let mut schemas = Vec::new();
    let mut tokens = tokens.iter();
    match tokens.next() {
        Some(Token::Mark('=')) => {}
        Some(Token::Name(word)) if word == "to" => {}
        _ => return schemas,
    }
    for token in tokens {
        match token {
            // 'a, b' in one string is one odd schema name to PostgreSQL, so it is to us.
            Token::Name(name) | Token::Text(name) => schemas.push(name.clone()),
            Token::Mark(',') => {}
            Token::Mark(_) => break,
        }
    }
    schemas
}

fn tokens(text: &str, tags: &mut Vec<(String, String)>) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            rest = &rest[first.len_utf8()..];
        } else if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            let (inside, after) = comment.split_once("*/").unwrap_or((comment, ""));
            read_tags(inside, tags);
            rest = after;
        } else if first == '\'' || first == '"' {
            let (inside, after) = quoted(&rest[1..], first);
            tokens.push(if first == '"' { Token::Name(inside) } else { Token::Text(inside) });
            rest = after;
        } else if first == '$' {
            rest = dollar_quoted(rest);
            tokens.push(Token::Mark('?'));
        } else if first.is_alphabetic() || first == '_' {
            let end =
                rest.find(|char: char| !(char.is_alphanumeric() || char == '_' || char == '$')).unwrap_or(rest.len());
            tokens.push(Token::Name(rest[..end].to_ascii_lowercase()));
            rest = &rest[end..];
        } else if first.is_ascii_digit() {
            // A number: its dot separates nothing.
            let end = rest.find(|char: char| !(char.is_alphanumeric() || char == '.')).unwrap_or(rest.len());
            tokens.push(Token::Mark('?'));
            rest = &rest[end..];
        } else {
            tokens.push(Token::Mark(if matches!(first, '.' | ',' | ';' | '=') { first } else { '?' }));
            rest = &rest[first.len_utf8()..];
        }
    }
    tokens
}

/// The content up to the closing quote (doubled quotes stand for one), and what follows.
fn quoted(text: &str, quote: char) -> (String, &str) {
    let mut inside = String::new();
    let mut rest = text;
    loop {
        let Some((before, after)) = rest.split_once(quote) else {
            inside.push_str(rest);
            return (inside, "");
        };
        inside.push_str(before);
        match after.strip_prefix(quote) {
            Some(more) => {
                inside.push(quote);
                rest = more;
            }
            None => return (inside, after),
        }
    }
}

/// What follows a `$tag$ … $tag$` constant or a `$1` parameter.
fn dollar_quoted(text: &str) -> &str {
    let body = &text[1..];
    let Some(end) = body.find('$') else { return body };
    let tag = &body[..end];
    if tag.starts_with(|char: char| char.is_ascii_digit())
        || !tag.chars().all(|char| char.is_alphanumeric() || char == '_')
    {
        return body;
    }
    let opening = &text[..end + 2];
    let inside = &text[opening.len()..];
    inside.split_once(opening).map_or("", |(_, after)| after)
}

/// sqlcommenter: `key='value',key='value'`.
fn read_tags(comment: &str, tags: &mut Vec<(String, String)>) {
    let mut rest = comment;
    while let Some((key, after)) = rest.split_once("='") {
        let Some((value, after)) = after.split_once('\'') else { return };
        let key = key.trim_start_matches([',', ' ', '\n', '\t']).trim();
        if !key.is_empty() && key.len() <= 64 {
            tags.push((key.to_owned(), value.to_owned()));
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_stand_before_a_dot_outside_of_text() {
        let read = |text| Statement::read(text).schemas;
        assert_eq!(
            read("SELECT o.id FROM Tenant_A.orders o JOIN \"tenant_b\".x ON 1.5=o.y"),
            ["o", "tenant_a", "tenant_b"]
        );
        assert_eq!(
            read("select 'tenant_a.x', $$tenant_b.y$$, $q$ tenant_c.z $q$ -- tenant_d.x\n, /* tenant_e.x */ $1"),
            [""; 0]
        );
        assert_eq!(read("select a.b.c"), ["a"]);
        assert_eq!(read("select 'it''s' from \"we\"\"ird\".x"), ["we\"ird"]);
    }

    #[test]
    fn search_path_in_every_spelling() {
        let read = |text| Statement::read(text).search_path;
        assert_eq!(read("BEGIN; SET LOCAL search_path TO tenant_a, public; SELECT now()"), ["tenant_a", "public"]);
        assert_eq!(read("set search_path = 'tenant_b'"), ["tenant_b"]);
        assert_eq!(read("SET SESSION search_path TO \"tenant_c\""), ["tenant_c"]);
        assert_eq!(read("show search_path"), [""; 0]);
        assert_eq!(read("select set_config('search_path', $1, true)"), [""; 0]);
    }

    #[test]
    fn tags_and_what_was_cut_off() {
        let read = |text| Statement::read(text).tags;
        assert_eq!(
            read("select 1 /*route='%2Fx',tenant='acme'*/"),
            [("route".into(), "%2Fx".into()), ("tenant".into(), "acme".into())]
        );
        assert_eq!(read("select '/*tenant=''acme''*/'"), []);
        assert_eq!(read("select 1 /*tenant='ac"), []);
        let open = Statement { verb: Some("select".into()), ..Statement::default() };
        assert_eq!(Statement::read("select 'open tenant_a.x"), open);
    }

    #[test]
    fn tables_stand_behind_certain_words() {
        let read = |text| Statement::read(text).tables;
        let table = |schema: &str, name: &str| ((!schema.is_empty()).then(|| schema.to_owned()), name.to_owned());
        assert_eq!(
            read("DELETE FROM ONLY tenant_a.orders o USING Customers c WHERE c.id = o.id AND note = 'from x'"),
            [table("tenant_a", "orders"), table("", "customers")]
        );
        assert_eq!(read("insert into orders select * from (select 1) q"), [table("", "orders")]);
        assert_eq!(read("update \"Odd\".t set from_date = $1"), [table("Odd", "t")]);
        assert!(Statement::read("select 1; select 2").several && !Statement::read("select 1;").several);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in "(?s)[a-z.'\"$/*;=,é \\n-]{0,80}") {
            let _ = Statement::read(&text);
        }
    }
}
