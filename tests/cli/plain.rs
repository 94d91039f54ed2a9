//! What needs no server: usage, configuration, completions, the man page.

use std::fs;
use std::process::Command;

use super::schema::assert_valid;
use super::{document, run, stderr, stdout};

const FINE: &str = "[[instance]]\nname = \"shared\"\nurl = \"postgresql://tierdeck@127.0.0.1:1/portarium\"\n";

#[test]
fn wrong_usage_is_two_and_says_so_on_stderr() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["frobnicate"][..],
        &["status", "--jsn"],
        &["findings", "--fail-on", "dire"],
        &["findings", "--for", "soon"],
        &["demo", "--tenants", "1"],
        &["demo", "--scenario", "storm"],
        &["completions", "tcl"],
        &["ack"],
        &["ack", "lock-chain", "acme", "--instance", "shared"],
        &["ack", "lock-chain", "acme", "--for", "2h", "--why", "x"],
        &["ack", "lock-chian", "acme", "--instance", "shared", "--for", "2h", "--why", "x"],
        &["ack", "lock-chain", "acme", "--instance", "shared", "--for", "0s", "--why", "x"],
        &["ack", "lock-chain", "acme", "--instance", "shared", "--for", "2h", "--why", " "],
        &["ack", "lock-chain", "acme", "--instance", "shared", "--for", "2h", "--why", "x", "--kind", "slot"],
        &["ack", "clear"],
        &["config"],
    ] {
        let output = run(arguments, &[], folder.path());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}: {output:?}");
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
            Err(_) => println!("skipped: no {shell} to read its completions"),
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
        _ => println!("skipped: no man to read the page"),
    }
}

#[test]
fn acknowledgements_are_kept_listed_and_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let variables = [("TIERDECK_STATE", state.to_str().unwrap())];
    let ack = |arguments: &[&str]| run(&[&["ack"], arguments].concat(), &variables, folder.path());
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
    assert!(stdout(&ack(&["list"])).contains("lock-chain acme on shared, 2h 00m more"), "{:?}", ack(&["list"]));
    // What is not there cannot be cleared; what is, by what it was said about.
    assert_eq!(ack(&["clear", "lock-chain", "globex", "--instance", "shared"]).status.code(), Some(1));
    assert!(ack(&["clear", "lock-chain", "acme", "--instance", "shared"]).status.success());
    assert_eq!(list().len(), 1);
    // A broken file is set aside, and said so; nothing else fails.
    fs::write(state.join("acknowledged.json"), "{").unwrap();
    let output = ack(&["list"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(stderr(&output).contains("set aside"), "{output:?}");
    assert!(ack(&["clear", "--all"]).status.success() && list().is_empty());
}
