//! Taking out what is nobody's business: literals and comments of statements, application names, clients' addresses.
//!
//! What a statement does and to which tables stays readable; so does whatever names tenants beyond doubt (logins, databases,
//! locks). Claims in application names and comments are gone with them.

use std::borrow::Cow;
use std::sync::Arc;

use crate::domain::facts::cloud::{AccountNews, CloudFragment, Oddity, Snapshot, TENANT, TIER};
use crate::domain::facts::{Content, Fragment, Source};
use crate::domain::session::CUT;
use crate::domain::{Foreign, TenantId};
use crate::poll::News;

/// Takes it out of news.
pub(super) fn redact(news: &mut News) {
    let fragment = match news {
        News::Delivered { fragment, .. } => fragment,
        // AWS names accounts, roles and users in what it refuses, and we name where it is.
        News::Failed { source, trouble, .. } if Source::CLOUD.contains(source) => {
            return trouble.message = places(&trouble.message);
        }
        News::Failed { trouble, .. } | News::Down(trouble) => {
            return trouble.message = accounts(&trouble.message).into_owned();
        }
        News::Apart(Some(reason)) => return *reason = Arc::from(places(reason)),
        News::Account { news: AccountNews::Failed(trouble), .. } => return trouble.message = places(&trouble.message),
        News::Account { news: AccountNews::Strays(strays), .. } => {
            for (_, snapshot) in strays {
                snapshot_of(snapshot);
            }
            return;
        }
        News::Account { news: AccountNews::Described { odd, .. }, .. } => {
            return odd.iter_mut().for_each(|(_, oddity)| tag_of(oddity));
        }
        _ => return,
    };
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
        Fragment::Cloud(fragment) => cloud(fragment),
        _ => {}
    }
}

/// Where it is, and whose account.
fn cloud(fragment: &mut CloudFragment) {
    let refused = |words: &mut Arc<str>| *words = Arc::from(places(words));
    match fragment {
        CloudFragment::Rds(rds) => {
            (rds.endpoint, rds.master) = (None, None);
            hide(&mut rds.arn);
            rds.kms_key.iter_mut().for_each(arn);
            rds.replica_of.iter_mut().chain(&mut rds.cluster).chain(&mut rds.replicas).for_each(hide);
            rds.tags.iter_mut().for_each(|(key, value)| tag(key, value));
            rds.pending.iter_mut().for_each(|(_, value)| hide(value));
            rds.refused.iter_mut().for_each(|(_, words)| refused(words));
        }
        CloudFragment::Alarms(alarms) => {
            for alarm in &mut alarms.alarms {
                hide(&mut alarm.name);
                hide(&mut alarm.reason);
            }
        }
        CloudFragment::Events(events) => events.events.iter_mut().for_each(|event| told(&mut event.message)),
        CloudFragment::Parameters(parameters) => parameters.values.values_mut().for_each(hide),
        CloudFragment::Snapshots(snapshots) => {
            snapshots.snapshots.iter_mut().for_each(snapshot_of);
            snapshots.unknown = snapshots.unknown.take().map(|words| Arc::from(places(&words)));
        }
        CloudFragment::Backups(backups) => {
            for protection in backups.protections.iter_mut().flatten() {
                protection.copies_to.iter_mut().for_each(arn);
            }
            backups.points.iter_mut().for_each(|point| arn(&mut point.arn));
            for copy in &mut backups.copies {
                arn(&mut copy.to);
                copy.message.iter_mut().for_each(told);
            }
            backups.jobs.iter_mut().filter_map(|job| job.message.as_mut()).for_each(told);
            backups.refused.iter_mut().for_each(|(_, words)| refused(words));
        }
        CloudFragment::Metrics(_) => {}
    }
}

/// Who a snapshot is shared with stays told apart; `all` is nobody's number.
fn snapshot_of(snapshot: &mut Snapshot) {
    snapshot.identifier = name(&snapshot.identifier);
    snapshot.shared_with.iter_mut().flatten().for_each(hide);
}

/// What a tag says is somebody's own, but for what we know an instance and its tenant by.
fn tag(key: &str, value: &mut Foreign) {
    let ours = match key {
        TIER => ["shared", "dedicated"].contains(&value.raw()),
        TENANT => TenantId::parse(value.raw()).is_ok(),
        _ => false,
    };
    if !ours {
        *value = name(value);
    }
}

/// The same of what is odd about tags.
fn tag_of(oddity: &mut Oddity) {
    match oddity {
        Oddity::NotATenant(value) | Oddity::UnknownTier(value) => *value = name(value),
        Oddity::NoTier(value) | Oddity::SharedWithTenant(value) | Oddity::ConfiguredOtherwise { tag: value, .. } => {
            tag(TENANT, value);
        }
        Oddity::NoTenant | Oddity::Contested { .. } => {}
    }
}

/// An ARN for an ARN: where it is stays, whose it is and what it is called do not.
fn arn(text: &mut Foreign) {
    let parts: Vec<&str> = text.raw().splitn(6, ':').collect();
    *text = match parts[..] {
        ["arn", partition, service, region, account, of] => {
            let [account, of] = [account, of].map(|part| name(&Foreign::from(part)).raw().to_owned());
            Foreign::from(format!("arn:{partition}:{service}:{region}:{account}:{of}"))
        }
        _ => name(text),
    };
}

/// What AWS says after the word `snapshot` that is not the name of one.
const NO_NAME: [&str; 14] = [
    "",
    "and",
    "cannot",
    "completed",
    "copy",
    "created",
    "creation",
    "deleted",
    "failed",
    "for",
    "has",
    "is",
    "of",
    "was",
];

/// Words of AWS without accounts, places, and names of snapshots.
fn told(text: &mut Foreign) {
    let mut follows = false;
    let words = places(text.raw());
    let word = |word: &str| {
        let plain = word.trim_matches(|char: char| !char.is_alphanumeric());
        let is_name = follows && !NO_NAME.contains(&plain) || plain.starts_with("awsbackup:");
        follows = plain.eq_ignore_ascii_case("snapshot");
        if is_name { word.replace(plain, name(&Foreign::from(plain)).raw()) } else { word.to_owned() }
    };
    *text = Foreign::from(words.split(' ').map(word).collect::<Vec<_>>().join(" "));
}

fn hide(text: &mut Foreign) {
    if let Cow::Owned(hidden) = accounts(text.raw()) {
        *text = Foreign::from(hidden);
    }
}

/// How many digits the number of an account has.
const ACCOUNT: usize = 12;

/// A text with numbers of accounts left out: the same for the same, so that one still sees what belongs together.
fn accounts(text: &str) -> Cow<'_, str> {
    let mut hidden = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find(|char: char| char.is_ascii_digit()) {
        let length = rest[begin..].bytes().take_while(u8::is_ascii_digit).count();
        let (before, number) = (&rest[..begin], &rest[begin..begin + length]);
        // Part of a longer word (a hash, a key) it is none.
        let alone = !before.ends_with(|char: char| char.is_alphanumeric())
            && !rest[begin + length..].starts_with(|char: char| char.is_alphanumeric());
        hidden.push_str(before);
        if length == ACCOUNT && alone {
            hidden.push_str(name(&Foreign::from(number)).raw());
        } else {
            hidden.push_str(number);
        }
        rest = &rest[begin + length..];
    }
    if hidden.is_empty() {
        return Cow::Borrowed(text);
    }
    hidden.push_str(rest);
    if hidden == text { Cow::Borrowed(text) } else { Cow::Owned(hidden) }
}

/// AWS's words and our own about it, without accounts, whoever has a name in them, and addresses.
fn places(text: &str) -> String {
    let word = |word: &str| {
        let plain = word.trim_matches(|char: char| "()[]<>\"',;".contains(char));
        let gone = plain.contains("://") || plain.starts_with("arn:") || plain.contains(".amazonaws.com");
        if gone && !plain.contains("assets/") { word.replace(plain, "…") } else { accounts(word).into_owned() }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
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
    fn whose_account_it_is_and_where_is_gone_and_the_rest_of_what_aws_says_stays() {
        use crate::domain::facts::cloud::{Backups, Rds, RecoveryPoint};
        use crate::domain::observed::Trouble;
        let every = std::time::Duration::ZERO;
        let delivered = |fragment| {
            let fragment = Fragment::Cloud(Box::new(fragment));
            News::Delivered { fragment, took: every, every }
        };
        let rds = Rds {
            arn: Foreign::from("arn:aws:rds:eu-west-1:123456789012:db:acme-db"),
            kms_key: Some(Foreign::from("arn:aws:kms:eu-west-1:123456789012:key/0000123456789012aa")),
            endpoint: Some((Foreign::from("acme-db.abc.eu-west-1.rds.amazonaws.com"), 5432)),
            refused: vec![("x".into(), "User: arn:aws:iam::123456789012:user/ann is not authorized".into())],
            ..Rds::default()
        };
        let point = RecoveryPoint {
            arn: Foreign::from("arn:aws:rds:eu-west-1:123456789012:snapshot:awsbackup:job-1"),
            vault: Foreign::from("daily"),
            status: Foreign::from("COMPLETED"),
            at: jiff::Timestamp::UNIX_EPOCH,
            bytes: None,
            encrypted: true,
            deleted_at: None,
        };
        let snapshot = Snapshot {
            identifier: Foreign::from("by-hand"),
            kind: Foreign::from("manual"),
            status: Foreign::from("available"),
            at: None,
            gib: None,
            encrypted: Some(false),
            shared_with: Some(vec![Foreign::from("123456789012"), Foreign::from("all")]),
        };
        let said = "AWS (main) does not let us take on arn:aws:iam::123456789012:role/ann: at https://me.corp/x, \
                    we need sts:AssumeRole (assets/iam/watch.json)";
        let trouble = Trouble::new(said);
        let failed = News::Failed { source: Source::Events, trouble: trouble.clone(), every };
        let of_account = |news| News::Account { name: "main".into(), news };
        for (mut news, kept) in [
            (delivered(CloudFragment::Rds(rds)), "db:acme-db"),
            (
                delivered(CloudFragment::Backups(Backups { points: vec![point], ..Backups::default() })),
                "arn:aws:rds:eu-west-1:app-",
            ),
            (failed, "sts:AssumeRole"),
            (of_account(AccountNews::Failed(trouble)), "assets/iam/watch.json"),
            (of_account(AccountNews::Strays(vec![("gone".into(), snapshot)])), "\"all\""),
        ] {
            redact(&mut news);
            let text = serde_json::to_string(&news).unwrap();
            for gone in ["123456789012\"", ":123456789012:", "ann", "corp", "amazonaws.com"] {
                assert!(!text.contains(gone), "{gone} in {text}");
            }
            assert!(text.contains(kept), "{kept} is not in {text}");
        }
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
