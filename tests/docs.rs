//! The README's tables are the code's: keys from the one key table, signals from the one registry, commands from clap.
//! `UPDATE=1 cargo test --test docs` writes the tables anew.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;

use clap::CommandFactory;
use tierdeck::app::{Binding, bindings};
use tierdeck::cli::Arguments;
use tierdeck::signals::REGISTRY;

/// Two tests may write the same file.
static README: Mutex<()> = Mutex::new(());

fn path() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"))
}

/// What stands between `<!-- name -->` and `<!-- /name -->` must be this.
fn assert_between(name: &str, table: &str) {
    let _alone = README.lock().unwrap();
    let text = std::fs::read_to_string(path()).unwrap();
    let (open, close) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let (before, rest) = text.split_once(&open).unwrap_or_else(|| panic!("README.md has no {open}"));
    let (kept, after) = rest.split_once(&close).unwrap_or_else(|| panic!("README.md has no {close}"));
    let now = format!("\n{table}");
    if kept == now {
        return;
    }
    assert!(
        std::env::var_os("UPDATE").is_some(),
        "README.md's {name} are not the code's; write them anew: UPDATE=1 cargo test --test docs\n{kept}\nshould be\n{now}"
    );
    std::fs::write(path(), format!("{before}{open}{now}{close}{after}")).unwrap();
}

/// A cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[test]
fn the_key_table_is_the_codes() {
    let mut table = String::from("| where | key | does |\n| --- | --- | --- |\n");
    // In the order in which the table first speaks of each place.
    let mut places: Vec<_> = Vec::new();
    for binding in bindings() {
        if !places.contains(&binding.context) {
            places.push(binding.context);
        }
    }
    for place in places {
        let of = |binding: &&Binding| binding.context == place;
        for binding in bindings().iter().filter(of) {
            let keys: Vec<String> = binding.label.split(' ').map(|key| format!("`{key}`")).collect();
            let _ = writeln!(table, "| {} | {} | {} |", place.title(), cell(&keys.join(" ")), cell(binding.help));
        }
    }
    assert_between("keys", &table);
}

#[test]
fn the_signal_table_is_the_registrys() {
    let mut table = String::from("| signal | fires when |\n| --- | --- |\n");
    for check in REGISTRY {
        let _ = writeln!(table, "| `{}` | {} |", check.signal().name(), cell(check.about()));
    }
    assert_between("signals", &table);
}

/// Every `tierdeck …` that the README shows is parsed by the program itself.
#[test]
fn the_commands_named_exist() {
    let text = std::fs::read_to_string(path()).unwrap();
    let mut seen = 0;
    for words in commands(&text) {
        let complete = words.iter().map(|word| placeholder(word));
        let parsed = Arguments::command().try_get_matches_from(complete);
        let fine = match &parsed {
            Ok(_) => true,
            Err(error) => !error.use_stderr(),
        };
        assert!(fine, "README.md shows {words:?}: {}", parsed.unwrap_err());
        seen += 1;
    }
    assert!(seen > 0, "README.md shows no command");
}

/// Command lines in code, inline or in blocks: from `tierdeck` to whatever ends a command in a shell.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
            continue;
        }
        let pieces: Vec<&str> = if in_block {
            vec![line.trim_start_matches(['$', ' '])]
        } else {
            line.split('`').skip(1).step_by(2).collect()
        };
        for piece in pieces {
            let end = piece.find([';', '&', '>', '<', '#', '(', '…']).unwrap_or(piece.len());
            let piece = piece[..end].split(" | ").next().unwrap_or_default();
            // `\|` between the choices of a table's cell: the first of them will do.
            let words: Vec<String> = piece.split_whitespace().map(|word| word.replace("\\|", "|")).collect();
            let at = words.iter().position(|word| word == "tierdeck");
            // Behind variables only: `FOO=1 tierdeck status`; a word among others is the name, not the command.
            if let Some(at) = at.filter(|&at| words[..at].iter().all(|word| word.contains('='))) {
                found.push(words[at..].to_vec());
            }
        }
    }
    found
}

/// `[--json]` → `--json`, `check|show` → `check`, `FILE` and `N` → something that is taken for it.
fn placeholder(word: &str) -> String {
    let word = word.trim_matches(['[', ']']);
    let word = word.split('|').next().unwrap_or_default();
    match word {
        "N" => "40".to_owned(),
        "NAME" => "calm".to_owned(),
        "SHELL" => "bash".to_owned(),
        "TIME" => "60s".to_owned(),
        "SEVERITY" => "critical".to_owned(),
        other => other.to_owned(),
    }
}

#[test]
fn commands_are_found_and_wrong_ones_refused() {
    let text = "`tierdeck status [--json]` and `tierdeck`\n```sh\n$ tierdeck frob # no\nX=1 tierdeck man | less\npsql tierdeck\n```\n";
    let found: Vec<String> = commands(text).iter().map(|words| words.join(" ")).collect();
    assert_eq!(found, ["tierdeck status [--json]", "tierdeck", "tierdeck frob", "tierdeck man"]);
    assert!(Arguments::command().try_get_matches_from(["tierdeck", "frob"]).is_err());
}
