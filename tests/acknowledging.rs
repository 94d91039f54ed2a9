//! Acknowledging as a person does it: real keys in the real console on a real server. The word is written, the finding is
//! marked, another console and a command see it, and who watches other instances does not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::console::{Console, PATIENCE};
use support::server::Server;
use support::watcher::{HBA, Watcher, world};

/// Where what is remembered lies.
fn shares(watcher: &Watcher, state: &std::path::Path) {
    let path = watcher.home().join("tierdeck.toml");
    let text = fs::read_to_string(&path).unwrap();
    let policy = "[policy.shared]\nconnection_limit = 20\nstatement_timeout = \"30s\"\n";
    fs::write(&path, format!("state = \"{}\"\n{text}\n{policy}", state.display())).unwrap();
}

fn opened(watcher: &Watcher) -> Console {
    let mut console = watcher.console().size(140, 40).open();
    console.shows("statement_timeout");
    console
}

/// What a command says of each finding that somebody knows of: its subject and the word.
fn known(watcher: &Watcher) -> Vec<(String, Value)> {
    let said = watcher.run(&["findings", "--json"]);
    let document: Value = serde_json::from_str(&said.out).unwrap();
    let findings = document["findings"].as_array().unwrap();
    assert!(findings.len() >= 3, "{}", said.out);
    let known = findings.iter().filter(|finding| !finding["acknowledged"].is_null());
    known.map(|one| (one["subject"]["id"].as_str().unwrap().to_owned(), one["acknowledged"].clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_is_written_by_keys_and_read_by_everybody() {
    let server = Server::start("shared_preload_libraries = 'pg_stat_statements'", HBA, |_| {});
    world(server.port).await;
    let state = tempfile::tempdir().unwrap();
    let watcher = Watcher::of(&[("shared", server.port)]);
    let elsewhere = Watcher::of(&[("other", server.port)]);
    shares(&watcher, state.path());
    shares(&elsewhere, state.path());

    let mut console = opened(&watcher);
    console.keys("\t");
    console.keys("x");
    console.shows("ACKNOWLEDGE OR MUTE");
    console.keys("\t\tgrown on purpose\r");
    console.shows("acknowledged until");
    console.shows("1 acknowledged");
    console.shows("acknowledged  ");

    let said = known(&watcher);
    assert_eq!(said.len(), 1, "{said:?}");
    let (subject, word) = &said[0];
    assert_eq!((&word["why"], &word["attention"]), (&"grown on purpose".into(), &"acknowledged".into()), "{word}");
    let files: Vec<String> = fs::read_dir(state.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    assert!(files.iter().any(|text| text.contains("grown on purpose") && text.contains(subject.as_str())), "{files:?}");
    assert!(watcher.run(&["ack", "list"]).out.contains("grown on purpose"));

    // Somebody else's console on the same instances, and one on others.
    let mut second = opened(&watcher);
    second.shows("1 acknowledged");
    assert_eq!(known(&elsewhere), [], "who watches other instances");

    // What one takes back is back on the other's screen.
    second.keys("\t");
    second.keys("G");
    second.keys("X");
    console.hides("1 acknowledged");
    let deadline = Instant::now() + PATIENCE;
    while !known(&watcher).is_empty() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(known(&watcher), []);
    for mut console in [console, second] {
        console.keys("q");
        console.ends_with(0);
    }
}
