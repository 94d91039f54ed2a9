//! The real binary, when things go wrong between it and its servers: it says so in words, what it knew ages where one can
//! see it, keys work meanwhile, and it goes on by itself when things are well again.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test's way to fail, and its figures")]

mod support;

#[path = "faults/changes.rs"]
mod changes;
#[path = "faults/clocks.rs"]
mod clocks;
#[path = "faults/held.rs"]
mod held;
#[path = "faults/hostile.rs"]
mod hostile;
#[path = "faults/servers.rs"]
mod servers;
#[path = "faults/slow.rs"]
mod slow;
#[path = "faults/tape.rs"]
mod tape;

use std::time::{Duration, Instant};

use support::console::{Console, PATIENCE};

/// The line of the strip that is about an instance.
fn line_of(screen: &str, instance: &str) -> String {
    let mut lines = screen.lines().take(8).map(|line| line.trim_start_matches(['│', ' ']));
    let about = |line: &&str| {
        let words = line.split_once(' ').map_or("", |(_, rest)| rest.trim_start());
        words.starts_with(instance) || line.contains(&format!("connecting to {instance}"))
    };
    lines.find(about).unwrap_or_default().to_owned()
}

/// Waits for the strip to say something of an instance.
#[track_caller]
fn strip(console: &mut Console, instance: &str, words: &str) -> Duration {
    let what = format!("{words:?} on the line of {instance}");
    console.until(&what, PATIENCE, |screen| line_of(screen, instance).contains(words))
}

/// Waits for an instance to be well.
#[track_caller]
fn well(console: &mut Console, instance: &str) -> Duration {
    let what = format!("{instance} in good order");
    console.until(&what, PATIENCE, |screen| {
        let line = line_of(screen, instance);
        line.starts_with('●') && line.contains("conn")
    })
}

/// That keys do what they always do.
#[track_caller]
fn keys_work(console: &mut Console) {
    let begun = Instant::now();
    console.keys("?");
    console.shows("HELP");
    console.keys("q");
    console.hides("HELP");
    console.keys("3");
    console.shows("SESSIONS ");
    console.keys("1");
    console.shows("TENANTS ");
    println!("four keys and their screens: {:?}", begun.elapsed());
}
