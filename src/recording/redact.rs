//! Taking out what is nobody's business: literals and comments of statements, application names, clients' addresses.
//!
//! What a statement does and to which tables stays readable; so does whatever names tenants beyond doubt (logins, databases,
//! locks). Claims in application names and comments are gone with them.

use std::sync::Arc;

use crate::domain::Foreign;
use crate::domain::facts::{CloudFragment, Content, Fragment};
use crate::domain::session::CUT;
use crate::poll::News;

/// Takes it out of news.
pub(super) fn redact(news: &mut News) {
    let News::Delivered { fragment, .. } = news else { return };
    match fragment {
        Fragment::Activity(activity) => {
            for session in &mut activity.sessions {
                session.query = session.query.as_ref().map(|query| Foreign::from(fingerprint(head(query.raw()))));
                session.application = name(&session.application);
                session.client = None;
            }
        }
        Fragment::Statements(statements) => {
            for entry in &mut statements.entries {
                entry.text = entry.text.as_ref().map(|text| Foreign::from(fingerprint(text.raw())));
            }
        }
        Fragment::Replication(replication) => {
            for standby in &mut replication.standbys {
                standby.application = name(&standby.application);
                standby.client = None;
            }
        }
        Fragment::Secrets(secrets) => {
            for secret in secrets.secrets.iter_mut().map(Arc::make_mut) {
                for (_, value) in &mut secret.custom {
                    *value = name(value);
                }
                // Which instance that is was found out before: it stays.
                if let Content::Points(pointing) = &mut secret.content {
                    pointing.host = pointing.host.as_ref().map(name);
                }
            }
        }
        // Where it is, and whose account.
        Fragment::Cloud(fragment) => {
            if let CloudFragment::Rds(rds) = &mut **fragment {
                (rds.endpoint, rds.master) = (None, None);
            }
        }
        _ => {}
    }
}

/// A long statement comes without its middle; where its tail begins, nobody can tell what is a literal.
fn head(text: &str) -> &str {
    text.split_once(CUT).map_or(text, |(head, _)| head)
}

/// A name for a name: the same for the same, so that one still sees what belongs together.
fn name(text: &Foreign) -> Foreign {
    if text.is_empty() {
        return text.clone();
    }
    let hash = text
        .raw()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    Foreign::from(format!("app-{:06x}", hash >> 40))
}

/// A statement without its literals and comments. What is not closed (the server cuts long statements) is dropped to the
/// end.
pub(super) fn fingerprint(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let starts =
        |at: usize, word: &str| word.chars().enumerate().all(|(offset, char)| chars.get(at + offset) == Some(&char));
    while let Some(&char) = chars.get(at) {
        let after_word =
            out.ends_with(|char: char| char.is_alphanumeric() || char == '_' || char == '"' || char == '$');
        if starts(at, "--") {
            at = (at..chars.len()).find(|at| chars[*at] == '\n').unwrap_or(chars.len());
        } else if starts(at, "/*") {
            at = comment_end(&chars, at);
        } else if char == '\'' {
            // What marks the kind of a literal goes with it.
            let mark = out.chars().last().filter(|_| !ends_in_longer_word(&out)).map(|char| char.to_ascii_lowercase());
            let escapes = mark == Some('e');
            if mark.is_some_and(|mark| "ebxn".contains(mark)) {
                out.pop();
            }
            at = quote_end(&chars, at, '\'', escapes);
            out.push('?');
        } else if char == '"' {
            let end = quote_end(&chars, at, '"', false);
            out.extend(&chars[at..end]);
            at = end;
        } else if char == '$' && !after_word && chars.get(at + 1).is_none_or(|next| !next.is_ascii_digit()) {
            let tag = tag_end(&chars, at);
            match tag {
                Some(tag) => {
                    let word: String = chars[at..tag].iter().collect();
                    let close = (tag..chars.len()).find(|at| starts(*at, &word));
                    at = close.map_or(chars.len(), |close| close + word.chars().count());
                    out.push('?');
                }
                None => at += 1,
            }
        } else if char.is_ascii_digit() && !after_word {
            let numeric = |char: &char| char.is_ascii_alphanumeric() || *char == '.' || *char == '_';
            while chars.get(at).is_some_and(numeric) {
                at += 1;
            }
            out.push('?');
        } else {
            out.push(char);
            at += 1;
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the last letter belongs to a word of more than one.
fn ends_in_longer_word(text: &str) -> bool {
    text.chars().rev().nth(1).is_some_and(|char| char.is_alphanumeric() || char == '_')
}

/// Behind a quoted text that begins here; a doubled quote is a quote.
fn quote_end(chars: &[char], begin: usize, quote: char, escapes: bool) -> usize {
    let mut at = begin + 1;
    while let Some(&char) = chars.get(at) {
        if escapes && char == '\\' {
            at += 2;
        } else if char != quote {
            at += 1;
        } else if chars.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    chars.len()
}

/// Behind a comment; comments nest.
fn comment_end(chars: &[char], begin: usize) -> usize {
    let (mut at, mut depth) = (begin, 0u32);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                at += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    chars.len()
}

/// Behind `$tag$`, if one begins here.
fn tag_end(chars: &[char], begin: usize) -> Option<usize> {
    let length = chars[begin + 1..].iter().take_while(|char| char.is_alphanumeric() || **char == '_').count();
    (chars.get(begin + 1 + length) == Some(&'$')).then_some(begin + length + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_comments_are_gone_and_the_rest_is_readable() {
        for (text, expected) in [
            ("SELECT * FROM a.b WHERE id = 42 AND x1 > 1.5e3", "SELECT * FROM a.b WHERE id = ? AND x1 > ?"),
            ("INSERT INTO t VALUES ('it''s a secret', E'a\\'b', x'ff', 7)", "INSERT INTO t VALUES (?, ?, ?, ?)"),
            (
                "select 'a\\' , 'secret' -- secret\n from t /* se /* cr */ et */ where a=$1",
                "select ? , ? from t where a=$1",
            ),
            ("DO $body$ secret 'x' $body$; select $$secret$$, $1", "DO ?; select ?, $1"),
            (
                "select \"Odd 1\".\"x'y\" from t where s = 'cut off in the mid",
                "select \"Odd 1\".\"x'y\" from t where s = ?",
            ),
            ("select /* cut", "select"),
            // The standard strings of LIKE know no backslash.
            (r"select * from t where a LIKE'x\' and b = 'secret'", "select * from t where a LIKE? and b = ?"),
            ("where name='x' and note=U&'d\\0061'", "where name=? and note=U&?"),
            ("", ""),
        ] {
            assert_eq!(fingerprint(text), expected, "{text}");
        }
    }

    #[test]
    fn of_a_secret_its_place_and_its_author_are_gone_and_whose_instance_it_opens_stays() {
        use crate::domain::facts::{Leads, Pointing, Secrets, TenantSecret};
        use crate::domain::{InstanceName, TenantId};
        let pointing = Pointing {
            host: Some(Foreign::from("db.corp.example")),
            port: Some(5432),
            database: None,
            schema: Some(Foreign::from("tenant_acme")),
            username: None,
            has_password: true,
            odd: Vec::new(),
            leads: Leads::To(InstanceName::new("shared")),
        };
        let secret = TenantSecret {
            tenant: TenantId::parse("acme").unwrap(),
            version: None,
            custom: vec![(Foreign::from("owner"), Foreign::from("ann.smith"))],
            kept: None,
            content: Content::Points(Box::new(pointing)),
            hidden: None,
        };
        let secrets = Secrets { secrets: vec![Arc::new(secret)], ..Secrets::default() };
        let (took, every) = (std::time::Duration::ZERO, std::time::Duration::ZERO);
        let mut news = News::Delivered { fragment: Fragment::Secrets(secrets), took, every };
        redact(&mut news);
        let text = serde_json::to_string(&news).unwrap();
        assert!(!text.contains("corp") && !text.contains("ann"), "{text}");
        assert!(text.contains("tenant_acme") && text.contains("shared") && text.contains("owner"), "{text}");
    }

    #[test]
    fn of_a_long_statement_only_the_head_is_told() {
        let cut = format!("insert into t values ('a', 'b{CUT}secret', 'other')");
        assert_eq!(fingerprint(head(&cut)), "insert into t values (?, ?");
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_it(text in "(?s).{0,80}|[-/*'\"$a-e0-9 \\\\]{0,60}") {
            let once = fingerprint(&text);
            proptest::prop_assert!(once.chars().count() <= text.chars().count() + 1);
        }

        #[test]
        fn what_stands_between_quotes_is_gone(secret in "[a-z]{6}SECRET[a-z ]{0,9}") {
            let text = format!("select 1 where a = '{secret}' and b in (${secret}$ x ${secret}$) /* {secret} */");
            let text = text.replace(&format!("${secret}$"), "$q$");
            proptest::prop_assert!(!fingerprint(&text).contains("SECRET"));
        }
    }
}
