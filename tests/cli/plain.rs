//! What needs no server: usage, configuration, completions, the man page.

use std::fs;
use std::process::Command;

use super::schema::assert_valid;
use super::skipped::skipped;
use super::{document, run, stderr, stdout};

const FINE: &str = "[[instance]]\nname = \"shared\"\nurl = \"postgresql://tierdeck@127.0.0.1:1/portarium\"\n";

#[test]
fn wrong_usage_is_two_and_says_so_on_stderr() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tierdeck.toml"), FINE).unwrap();
    let acme = ["ack", "lock-chain", "acme", "--instance", "shared"];
    let said = ["--for", "2h", "--why", "x"];
    let ack = |words: &[&'static str]| [&acme[..], words].concat();
    for (arguments, words) in [
        (vec!["frobnicate"], "'frobnicate'"),
        (vec!["status", "--jsn"], "--jsn"),
        (vec!["findings", "--fail-on", "dire"], "dire"),
        (vec!["findings", "--for", "soon"], "soon"),
        (vec!["demo", "--tenants", "0"], "not in 1..=5000"),
        (vec!["demo", "--scenario", "storm"], "storm"),
        (vec!["completions", "tcl"], "tcl"),
        (vec!["ack"], "Usage"),
        (ack(&[]), "say for how long and why"),
        ([&acme[..3], &said[..]].concat(), "say which finding"),
        ([&["ack", "lock-chian"], &acme[2..], &said[..]].concat(), "did you mean lock-chain?"),
        (ack(&["--for", "0s", "--why", "x"]), "--for: more than nothing"),
        (ack(&["--for", "2h", "--why", " "]), "--why: a word"),
        (ack(&[&said[..], &["--kind", "slot"]].concat()), "never about a \"slot\""),
        (vec!["ack", "clear"], "say which finding"),
        (vec!["config"], "Usage"),
    ] {
        let output = run(&arguments, &[], folder.path());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty() && stderr(&output).contains(words), "{arguments:?}: {output:?}");
    }
    let said = stderr(&run(&["statsu"], &[], folder.path()));
    assert!(said.contains("'status'"), "{said}");
}

#[test]
fn without_a_configuration_it_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["status"][..], &["findings", "--json"], &["doctor"], &["config", "check"], &["config", "show"]]
    {
        let output = run(arguments, &[], folder.path());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let said = stderr(&output);
        for part in ["no configuration found", "--config", "[[instance]]", "tierdeck demo"] {
            assert!(said.contains(part), "{arguments:?}: {said}");
        }
    }
    let output = run(&["--config", "gone.toml", "status"], &[], folder.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("gone.toml"), "{output:?}");
    // Neither is the console opened where there is no terminal.
    let output = run(&[], &[], folder.path());
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{output:?}");
    assert!(stderr(&output).contains("terminal"), "{output:?}");
}

#[test]
fn a_configuration_is_checked_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tierdeck.toml"), FINE).unwrap();
    let output = run(&["config", "check"], &[], folder.path());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(stdout(&output).contains("fine, 1 instance"), "{output:?}");
    let shown = run(&["config", "show"], &[], folder.path());
    assert_eq!(shown.status.code(), Some(0), "{shown:?}");
    // What is shown is a configuration itself, and means the same.
    fs::write(folder.path().join("shown.toml"), &shown.stdout).unwrap();
    let again = run(&["--config", "shown.toml", "config", "show"], &[], folder.path());
    assert_eq!((again.status.code(), stdout(&again)), (Some(0), stdout(&shown)), "{again:?}");

    fs::write(folder.path().join("wrong.toml"), format!("enviroment = \"x\"\n{FINE}tier = \"dedicatd\"\nvcpus = 0\n"))
        .unwrap();
    for action in ["check", "show"] {
        let output = run(&["config", action], &[("TIERDECK_CONFIG", "wrong.toml")], folder.path());
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{output:?}");
        let said = stderr(&output);
        for part in ["wrong.toml:1:1: enviroment", "did you mean", "wrong.toml:5:", "wrong.toml:6:"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}

/// Every completion script and the man page, in the eyes of what reads them where that is here.
#[test]
fn completions_and_the_man_page_are_readable() {
    let folder = tempfile::tempdir().unwrap();
    for (shell, sign) in [("bash", "complete -F"), ("zsh", "#compdef tierdeck"), ("fish", "complete -c tierdeck")] {
        let output = run(&["completions", shell], &[], folder.path());
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let script = stdout(&output);
        assert!(script.contains(sign) && script.contains("doctor") && script.contains("fail-on"), "{script}");
        let path = folder.path().join(shell);
        fs::write(&path, script).unwrap();
        match Command::new(shell).arg("-n").arg(&path).output() {
            Ok(read) => assert!(read.status.success() && read.stderr.is_empty(), "{shell}: {read:?}"),
            Err(_) => skipped(&format!("the completions of {shell}, read by it: there is no {shell}")),
        }
    }
    let output = run(&["man"], &[], folder.path());
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let page = stdout(&output);
    assert!(page.contains(".TH tierdeck 1") && page.contains("findings"), "{page}");
    let path = folder.path().join("tierdeck.1");
    fs::write(&path, page).unwrap();
    match Command::new("man").args(["--warnings", "-l"]).arg(&path).env("MANPAGER", "cat").output() {
        Ok(read) if read.status.success() => {
            assert!(stderr(&read).trim().is_empty(), "{read:?}");
        }
        _ => skipped("the man page, read by man: there is none"),
    }
}

#[test]
fn acknowledgements_are_kept_listed_and_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let variables = [("TIERDECK_STATE", state.to_str().unwrap())];
    for environment in ["prod", "staging"] {
        let instance =
            "[[instance]]\nname = \"shared\"\ntier = \"shared\"\nurl = \"postgresql://tierdeck@db/portarium\"\n";
        fs::write(folder.path().join(environment), format!("environment = \"{environment}\"\n{instance}")).unwrap();
    }
    let ack_in = |environment: &str, arguments: &[&str]| {
        run(&[&["--config", environment, "ack"], arguments].concat(), &variables, folder.path())
    };
    let ack = |arguments: &[&str]| ack_in("prod", arguments);
    let list = || {
        let output = ack(&["list", "--json"]);
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()), "{output:?}");
        let list = document(&output);
        assert_valid("ack-list", &list);
        list["acknowledged"].as_array().unwrap().clone()
    };
    assert!(list().is_empty() && stdout(&ack(&["list"])).contains("nothing"));
    let said = ["--instance", "shared", "--for", "2h", "--why", "on \u{1b}[31mit"];
    let output = ack(&[&["lock-chain", "acme"], &said[..]].concat());
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{output:?}");
    assert!(stderr(&output).contains("acknowledged: lock-chain of tenant acme on shared, until 20"), "{output:?}");
    assert!(ack(&[&["deadlocks", "shared", "--mute"], &said[..]].concat()).status.success());
    let kept = list();
    let words: Vec<_> = kept.iter().map(|it| (&it["signal"], &it["acknowledged"]["attention"])).collect();
    assert_eq!(words, [(&"lock-chain".into(), &"acknowledged".into()), (&"deadlocks".into(), &"muted".into())]);
    let first = &kept[0];
    assert_eq!((&first["subject"]["kind"], &first["acknowledged"]["why"]), (&"tenant".into(), &"on ␛[31mit".into()));
    assert!(first["acknowledged"]["by"].as_str().unwrap().contains('@'), "{first}");
    // Of two hours; how much of that is over by now is the machine's business.
    let told = stdout(&ack(&["list"]));
    let left = told.split_once("lock-chain acme on shared, ").and_then(|(_, rest)| rest.split_once(" more"));
    assert!(left.is_some_and(|(left, _)| left == "2h 00m" || left.starts_with("1h 5")), "{told}");
    // What is known of one environment is nobody's business in another, whose instances bear the same names.
    assert!(stdout(&ack_in("staging", &["list"])).contains("nothing"));
    let output = ack(&["lock-chain", "acme", "--instance", "sharde", "--for", "2h", "--why", "x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("no instance is called \"sharde\"; did you mean shared?"), "{output:?}");
    // What is not there cannot be cleared; what is, by what it was said about.
    assert_eq!(ack(&["clear", "lock-chain", "globex", "--instance", "shared"]).status.code(), Some(1));
    assert!(ack(&["clear", "lock-chain", "acme", "--instance", "shared"]).status.success());
    assert_eq!(list().len(), 1);
    // A broken file is set aside, and said so; nothing else fails.
    let kept: Vec<_> = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path()).collect();
    let file = kept.iter().find(|path| path.extension().is_some_and(|kind| kind == "json")).unwrap();
    fs::write(file, "{").unwrap();
    let output = ack(&["list"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(stderr(&output).contains("set aside"), "{output:?}");
    assert!(ack(&["clear", "--all"]).status.success() && list().is_empty());
}
