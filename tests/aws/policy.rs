//! The policies that are shipped allow what is asked, and no more.

use std::collections::BTreeSet;
use std::path::Path;

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

/// The code that asks, without the list itself and without `doctor`, which tries everything.
fn code() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = std::fs::read_dir(root.join("sources/aws")).unwrap().map(|file| file.unwrap().path());
    let asking = files.filter(|path| !path.ends_with("probe.rs"));
    let files = asking.chain([root.join("clients/aws/mod.rs")]);
    files.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn watching_is_allowed_what_it_asks_and_nothing_else() {
    let needed: BTreeSet<String> =
        Action::ALL.iter().filter(|it| it.needs_leave()).map(|it| it.name().to_owned()).collect();
    assert_eq!(actions(&policy("watch.json")), needed);
    let code = code();
    for action in Action::ALL {
        assert!(code.contains(&format!("Action::{action:?}")), "{action:?} is asked nowhere");
    }
    // Nothing is sent but through the one door, which names its action.
    let sent = code.matches(".send()").count();
    let named = code.matches("Action::").count();
    assert!(sent > 10 && named >= sent, "{sent} questions, {named} actions");
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
    // What removes or changes does so to what bears our mark.
    let operate = policy("operate.json");
    for statement in operate["Statement"].as_array().unwrap() {
        let removes =
            |it: &Value| ["Delete", "Modify", "Reboot"].iter().any(|verb| it.as_str().unwrap().contains(verb));
        if statement["Action"].as_array().unwrap().iter().any(removes) {
            assert_eq!(statement["Condition"]["Null"]["aws:ResourceTag/tierdeck:operation"], "false");
        }
    }
}
