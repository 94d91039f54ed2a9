//! A recording whose writer was killed, and what is left of it when it is cut: the console plays what there is, and says
//! that there is no more.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::support::console::{Console, PATIENCE, run, tierdeck};
use super::support::watcher::{self, Watcher, session};

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_was_cut_is_played_up_to_the_cut() {
    let server = watcher::shared().await;
    let _works = session(server.port, "role_acme", "postgres").await;
    let watcher = Watcher::of(&[("shared", server.port)]);
    let path = watcher.home().join("killed.jsonl.gz");
    let mut writer = Command::new(env!("CARGO_BIN_EXE_tierdeck"))
        .arg("--config")
        .arg(watcher.path())
        .arg("record")
        .arg(&path)
        .env("HOME", watcher.home())
        .env("TIERDECK_STATE", watcher.home().join("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let long = || std::fs::metadata(&path).map_or(0, |file| file.len());
    // It is written in members of a second and a half: so many that half of them know every tenant.
    let mut lengths = BTreeSet::new();
    while lengths.len() < 9 {
        lengths.insert(long());
        assert!(begun.elapsed() < PATIENCE, "nothing is written: {}", long());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    writer.kill().unwrap();
    writer.wait().unwrap();
    let whole = std::fs::read(&path).unwrap();
    let torn = watcher.home().join("torn.jsonl.gz");
    std::fs::write(&torn, &whole[..whole.len() - 11]).unwrap();
    let middle = watcher.home().join("middle.jsonl.gz");
    std::fs::write(&middle, &whole[..whole.len() / 2]).unwrap();
    tokio::task::block_in_place(|| {
        for file in [&path, &torn, &middle] {
            let name = file.to_str().unwrap();
            let said = run(&["replay", "--json", name], watcher.home());
            assert_eq!(said.code, Some(0), "{name}: {}", said.err);
            assert!(said.err.contains("the recording was cut"), "{name}: {}", said.err);
            let _: serde_json::Value = serde_json::from_str(&said.out).unwrap();
            let mut console = tierdeck(&["replay", name]).environment("HOME", watcher.home()).open();
            played(&mut console);
        }
    });
}

/// Plays it to its end, where keys still work.
fn played(console: &mut Console) {
    console.shows("REPLAY");
    console.keys("]]]]");
    console.shows("✂");
    console.shows("the file was cut here");
    console.until("what was known", PATIENCE, |screen| screen.contains("TENANTS 3") && screen.contains("initech"));
    for (key, words) in [("3", "SESSIONS "), ("4", "LOCKS "), ("1", "TENANTS 3")] {
        console.keys(key);
        console.shows(words);
    }
    console.keys("q");
    console.ends_with(0);
}
