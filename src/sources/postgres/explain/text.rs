//! Whether a text may stand behind `EXPLAIN`: one whole statement that reads or writes rows. Just enough of PostgreSQL's
//! lexer for that; where it is in doubt it says no. The server has the last word: see the module above.

/// PostgreSQL cuts names at this many bytes.
const LONGEST_NAME: usize = 63;

/// Why a text is not explained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No word in it.
    #[error("there is no statement to explain")]
    Empty,
    /// The server keeps no more of it.
    #[error(
        "the server keeps only the first {0} bytes of a statement (track_activity_query_size), and this one is longer"
    )]
    Truncated(usize),
    /// Something else than rows are its business.
    #[error("{0} cannot be explained: only SELECT, INSERT, UPDATE, DELETE, MERGE, VALUES and WITH have plans")]
    Utility(String),
    /// It could be taken for options.
    #[error("a statement that begins with a bracket is not explained: what follows could be taken for options")]
    Bracket,
    /// More than one.
    #[error("there are several statements in one text; only a single one is explained")]
    Several,
    /// `U&"…"`: what it names cannot be seen.
    #[error("the statement has names or constants with Unicode escapes (U&), which are not followed here")]
    Escaped,
    /// A constant, a name or a comment has no end.
    #[error("the statement is not whole: a constant, a name or a comment has no end")]
    Open,
}

/// What there is to know of a text that may be explained.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// Every name in it, as the server would fold and cut it.
    pub names: Vec<String>,
    /// Whether there are parameters (`$1`).
    pub parameters: bool,
    /// Whether some word in it is one that writes.
    pub writes: bool,
}

/// Reads a statement of which the server keeps at most so many bytes.
pub(super) fn read(text: &str, most: usize) -> Result<Read, Refusal> {
    // The server cuts before a character that does not fit: up to three bytes earlier, and one for its end mark.
    if text.len() + 4 >= most {
        return Err(Refusal::Truncated(most));
    }
    let mut found = Read { names: Vec::new(), parameters: false, writes: false };
    let (mut first, mut over) = (true, false);
    let mut rest = text;
    while let Some((token, after)) = next(rest)? {
        rest = after;
        if over {
            return Err(Refusal::Several);
        }
        match token {
            Token::End if first => return Err(Refusal::Empty),
            Token::End => over = true,
            Token::Word(word) => {
                let word = folded(word);
                let writes = matches!(word.as_str(), "insert" | "update" | "delete" | "merge");
                if first && !writes && !matches!(word.as_str(), "select" | "values" | "with") {
                    return Err(Refusal::Utility(crate::domain::foreign::sanitise(&word).to_ascii_uppercase()));
                }
                found.writes |= writes;
                found.names.push(word);
            }
            Token::Other if first => return Err(Refusal::Bracket),
            Token::Quoted(name) if first => {
                return Err(Refusal::Utility(crate::domain::foreign::sanitise(&name).into()));
            }
            Token::Quoted(name) => found.names.push(cut(&name).to_owned()),
            Token::Parameter => found.parameters = true,
            Token::Other => {}
        }
        first = false;
    }
    if first { Err(Refusal::Empty) } else { Ok(found) }
}

enum Token<'a> {
    Word(&'a str),
    Quoted(String),
    Parameter,
    /// `;`
    End,
    /// A constant, an operator, a bracket.
    Other,
}

/// The first token and what follows; `None`: there is none any more.
fn next(text: &str) -> Result<Option<(Token<'_>, &str)>, Refusal> {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.find(['\n', '\r']).map_or("", |end| &comment[end..]);
        } else if rest.starts_with("/*") {
            rest = after_comment(rest)?;
        } else {
            break;
        }
    }
    let Some(char) = rest.chars().next() else { return Ok(None) };
    let after = &rest[char.len_utf8()..];
    let token = match char {
        ';' => (Token::End, after),
        '\'' => (Token::Other, quoted(after, '\'', false)?.1),
        '"' => {
            let (name, after) = quoted(after, '"', false)?;
            (Token::Quoted(name), after)
        }
        '$' if after.starts_with(|char: char| char.is_ascii_digit()) => {
            (Token::Parameter, after.trim_start_matches(|char: char| char.is_ascii_digit()))
        }
        '$' => (Token::Other, after_dollars(after)?),
        char if begins_word(char) => {
            let end = rest.find(|char| !continues_word(char)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            match (word, after.chars().next()) {
                ("u" | "U", Some('&')) if after[1..].starts_with(['\'', '"']) => return Err(Refusal::Escaped),
                ("e" | "E", Some('\'')) => (Token::Other, quoted(&after[1..], '\'', true)?.1),
                _ => (Token::Word(word), after),
            }
        }
        _ => (Token::Other, after),
    };
    Ok(Some(token))
}

fn begins_word(char: char) -> bool {
    char.is_ascii_alphabetic() || char == '_' || !char.is_ascii()
}

fn continues_word(char: char) -> bool {
    begins_word(char) || char.is_ascii_digit() || char == '$'
}

/// Comments lie within each other.
fn after_comment(text: &str) -> Result<&str, Refusal> {
    let mut depth = 0_usize;
    let mut rest = text;
    loop {
        if let Some(inside) = rest.strip_prefix("/*") {
            depth += 1;
            rest = inside;
        } else if let Some(outside) = rest.strip_prefix("*/") {
            depth -= 1;
            rest = outside;
            if depth == 0 {
                return Ok(rest);
            }
        } else {
            let mut chars = rest.chars();
            chars.next().ok_or(Refusal::Open)?;
            rest = chars.as_str();
        }
    }
}

/// The content up to the closing quote, of which doubled ones are no end, and what follows.
fn quoted(text: &str, quote: char, escapes: bool) -> Result<(String, &str), Refusal> {
    let mut inside = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if escapes && char == '\\' {
            chars.next();
        } else if char == quote {
            match chars.as_str().strip_prefix(quote) {
                Some(_) => {
                    inside.push(quote);
                    chars.next();
                }
                None => return Ok((inside, chars.as_str())),
            }
        } else {
            inside.push(char);
        }
    }
    Err(Refusal::Open)
}

/// What follows a constant in dollars, or a lone dollar; the first dollar is already gone.
fn after_dollars(text: &str) -> Result<&str, Refusal> {
    let end = text.find(|char| !continues_word(char) || char == '$').unwrap_or(text.len());
    let (tag, after) = text.split_at(end);
    let Some(body) = after.strip_prefix('$') else { return Ok(text) };
    let closing = format!("${tag}$");
    let at = body.find(&closing).ok_or(Refusal::Open)?;
    Ok(&body[at + closing.len()..])
}

fn folded(word: &str) -> String {
    cut(&word.to_ascii_lowercase()).to_owned()
}

fn cut(name: &str) -> &str {
    let mut end = name.len().min(LONGEST_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Refusal {
        read(text, 1_024).unwrap_err()
    }

    #[test]
    fn one_statement_of_rows_is_admitted() {
        for text in [
            "select 1",
            " /* a /* b */ c */ -- d\n SELECT $$;$$, $q$;$$;$q$, E'\\';', '''; drop' from \"a;b\" where x = $1 ; -- done",
            "WITH x AS (SELECT 1) DELETE FROM t USING x",
            "values (1)",
            "MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE",
        ] {
            assert!(read(text, 1_024).is_ok(), "{text}: {:?}", read(text, 1_024));
        }
        let found = read("select Evil(1), \"Evil\"(2), $1", 1_024).unwrap();
        assert_eq!((found.names, found.parameters), (vec!["select".into(), "evil".into(), "Evil".into()], true));
        let long = format!("select {}x()", "y".repeat(63));
        assert_eq!(read(&long, 1_024).unwrap().names[1], "y".repeat(63));
    }

    #[test]
    fn nothing_else_is() {
        assert_eq!(refusal("SELECT 1; DROP TABLE x"), Refusal::Several);
        assert_eq!(refusal("select 1 ;; "), Refusal::Several);
        assert_eq!(refusal("(ANALYZE) DELETE FROM t"), Refusal::Bracket);
        assert_eq!(refusal("/**/(select 1)"), Refusal::Bracket);
        for (text, word) in [
            ("ANALYZE DELETE FROM t", "ANALYZE"),
            ("analyze t", "ANALYZE"),
            ("VERBOSE select 1", "VERBOSE"),
            ("EXPLAIN ANALYZE DELETE FROM t", "EXPLAIN"),
            ("EXECUTE p", "EXECUTE"),
            ("DECLARE c CURSOR FOR SELECT 1", "DECLARE"),
            ("CREATE TABLE x AS SELECT 1", "CREATE"),
            ("TABLE x", "TABLE"),
            ("vacuum", "VACUUM"),
            ("do $$ begin end $$", "DO"),
            ("\"select\" 1", "select"),
            ("ſelect 1", "ſELECT"),
        ] {
            assert_eq!(refusal(text), Refusal::Utility(word.to_owned()), "{text}");
        }
        for text in ["", "  -- nothing\n", ";", "/* */;"] {
            assert_eq!(refusal(text), Refusal::Empty, "{text}");
        }
        for text in ["select 'x", "select \"x", "select $$x", "select /* x", "select E'\\'"] {
            assert_eq!(refusal(text), Refusal::Open, "{text}");
        }
        assert_eq!(refusal("select U&\"\\0065vil\"(1)"), Refusal::Escaped);
        assert_eq!(read("select 12345", 16), Err(Refusal::Truncated(16)));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in "(?s)[a-z.'\"$/*;=,()\\\\é \\n-]{0,80}") {
            let _ = read(&text, 1_024);
        }
    }
}
