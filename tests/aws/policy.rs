//! The policies that are shipped allow what is asked, and no more.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tierdeck::clients::aws::Action;

fn policy(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/iam").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn actions(policy: &Value) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().unwrap().iter();
    statements.flat_map(|it| it["Action"].as_array().unwrap()).map(|it| it.as_str().unwrap().to_owned()).collect()
}

/// The code that asks, file by file, without `doctor`, which tries everything, and without comments and tests.
fn code() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.join("sources/aws")];
    let mut files = vec![root.join("clients/aws/mod.rs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() { folders.push(entry) } else { files.push(entry) }
        }
    }
    files.retain(|path| !path.ends_with("probe.rs"));
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap().to_owned();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        (path, lines.join("\n"))
    };
    files.into_iter().map(read).collect()
}

/// `DescribeDBInstances` and `describe_db_instances` alike.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

/// A client's question, as the code has it: `clients.rds.describe_events()`.
fn questions(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for client in ["rds", "cloudwatch", "backup", "logs", "sts"] {
        let flat: String = code.split_whitespace().collect();
        for (at, word) in flat.match_indices(&format!("clients.{client}.")) {
            let rest = &flat[at + word.len()..];
            found.push(rest[..rest.find('(').unwrap()].to_owned());
        }
    }
    found
}

#[test]
fn watching_is_allowed_what_it_asks_and_nothing_else() {
    let needed: BTreeSet<String> =
        Action::ALL.iter().filter(|it| it.needs_leave()).map(|it| it.name().to_owned()).collect();
    assert_eq!(actions(&policy("watch.json")), needed);
    let (mut asked, mut named) = (BTreeSet::new(), BTreeSet::new());
    for (path, code) in code() {
        let here: BTreeSet<String> = questions(&code).iter().map(|question| plain(question)).collect();
        let by_name = Action::ALL.iter().filter(|action| code.contains(&format!("Action::{action:?}")));
        let by_name: Vec<Action> = by_name.copied().filter(|action| *action != Action::Connect).collect();
        // In each file what is asked is what is named: a question under another's name would be refused under that name.
        let theirs: BTreeSet<String> =
            by_name.iter().map(|action| plain(action.name().split_once(':').unwrap().1)).collect();
        assert_eq!(here, theirs, "{}", path.display());
        asked.extend(here);
        named.extend(by_name);
    }
    let missing: Vec<_> = Action::ALL.iter().filter(|it| **it != Action::Connect && !named.contains(it)).collect();
    assert!(missing.is_empty() && asked.len() == named.len(), "asked nowhere: {missing:?}");
}

#[test]
fn nobody_may_do_anything_to_everything() {
    for name in ["watch.json", "operate.json"] {
        for action in actions(&policy(name)) {
            assert!(!action.contains('*'), "{name}: {action}");
        }
    }
    let watching = actions(&policy("watch.json"));
    let changing = ["Create", "Delete", "Modify", "Put", "Start", "Update", "Restore", "Reboot"];
    assert!(!watching.iter().any(|it| changing.iter().any(|verb| it.split_once(':').unwrap().1.starts_with(verb))));
}

/// What IAM decides of a call, as far as the policies that are shipped need it: actions, resources with wildcards, `Null` and
/// `StringEquals`; keys that are not there have no value.
fn allows(policy: &Value, action: &str, resource: &str, keys: &[(&str, &str)]) -> bool {
    let texts = |value: &Value| -> Vec<String> {
        match value {
            Value::Array(all) => all.iter().map(|it| it.as_str().unwrap().to_owned()).collect(),
            one => vec![one.as_str().unwrap().to_owned()],
        }
    };
    let value = |key: &str| keys.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
    let holds = |statement: &Value| {
        assert_eq!(statement["Effect"], "Allow");
        let Some(conditions) = statement.get("Condition").and_then(Value::as_object) else { return true };
        conditions.iter().all(|(operator, wanted)| {
            wanted.as_object().unwrap().iter().all(|(key, wanted)| match operator.as_str() {
                "Null" => value(key).is_none() == (wanted == "true"),
                "StringEquals" => value(key) == wanted.as_str(),
                "StringLike" => value(key).is_some_and(|value| is_like(value, wanted.as_str().unwrap())),
                other => panic!("{other} is not known here"),
            })
        })
    };
    policy["Statement"].as_array().unwrap().iter().any(|statement| {
        texts(&statement["Action"]).iter().any(|it| it == action)
            && texts(&statement["Resource"]).iter().any(|it| is_like(resource, it))
            && holds(statement)
    })
}

fn is_like(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| is_like(&rest[at..], tail))
        }),
    }
}

/// Who holds the policy for operations cannot write the mark that guards what is removed onto what is not theirs.
#[test]
fn the_mark_of_an_operation_cannot_be_put_on_what_another_made() {
    const MARK: &str = "tierdeck:operation";
    let operate = policy("operate.json");
    let db = |name: &str| format!("arn:aws:rds:eu-west-1:1:db:{name}");
    let asked = format!("aws:RequestTag/{MARK}");
    let marked = format!("aws:ResourceTag/{MARK}");
    let snapshot = |name: &str| format!("arn:aws:rds:eu-west-1:1:snapshot:{name}");
    let tagging = |resource: &str, has: &[(&str, &str)]| {
        let keys: Vec<_> = [(asked.as_str(), "x")].into_iter().chain(has.iter().copied()).collect();
        allows(&operate, "rds:AddTagsToResource", resource, &keys)
    };
    // What is made has a name of its own, and no tags yet; what we made has ours.
    assert!(tagging(&db("portarium-prod-acme-tierdeck-7f3a"), &[]));
    assert!(tagging(&snapshot("portarium-prod-acme-tierdeck-7f3a"), &[]));
    assert!(tagging(&db("portarium-prod-acme-db"), &[(&marked, "x"), ("aws:ResourceTag/TenantId", "acme")]));
    // Somebody's home, the shared instance and snapshots, whether they have tags or not: many have none.
    for name in ["portarium-prod-acme-db", "portarium-prod-shared", "portarium-final", "billing", "tierdeck"] {
        for has in [&[][..], &[("aws:ResourceTag/StorageTier", "shared")], &[("aws:ResourceTag/TenantId", "acme")]] {
            assert!(!tagging(&db(name), has) && !tagging(&snapshot(name), has), "{name} {has:?}");
        }
    }
    assert!(!tagging(&snapshot("rds:portarium-prod-shared-2026-11-22-03-10"), &[]));
    // Nor one that somebody named as we name ours, and gave to a tenant.
    assert!(!tagging(&db("portarium-prod-acme-tierdeck-7f3a"), &[("aws:ResourceTag/TenantId", "acme")]));
    // Nor can a home be aimed at another tenant, by which the console finds it.
    let aim = [("aws:RequestTag/TenantId", "globex"), ("aws:ResourceTag/TenantId", "acme")];
    assert!(!allows(&operate, "rds:AddTagsToResource", &db("portarium-prod-acme-db"), &aim));
    for action in ["DeleteDBInstance", "ModifyDBInstance", "RebootDBInstance"] {
        let action = format!("rds:{action}");
        assert!(!allows(&operate, &action, &db("portarium-prod-acme-db"), &[("aws:ResourceTag/TenantId", "acme")]));
        assert!(allows(&operate, &action, &db("portarium-prod-acme-db"), &[(&marked, "x")]));
    }
    for name in ["portarium-final", "portarium-prod-acme-tierdeck-7f3a"] {
        assert!(!allows(&operate, "rds:DeleteDBSnapshot", &snapshot(name), &[]));
        assert!(allows(&operate, "rds:DeleteDBSnapshot", &snapshot(name), &[(&marked, "x")]));
    }
    // A group that an instance is to have is no instance.
    assert!(allows(&operate, "rds:ModifyDBInstance", "arn:aws:rds:eu-west-1:1:pg:own", &[]));
    let passed = |role: &str| {
        let keys = [("iam:PassedToService", "backup.amazonaws.com")];
        allows(&operate, "iam:PassRole", &format!("arn:aws:iam::1:role/{role}"), &keys)
    };
    assert!(passed("service-role/AWSBackupDefaultServiceRole") && !passed("Administrator"));
}
