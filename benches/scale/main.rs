//! How the console does on an instance as large as they come: `cargo bench --profile demo --bench scale`.
//!
//! - merging: a second's facts taken in, a snapshot put together and judged;
//! - keys: from a key press to its bytes at the terminal, through the loop that ships, while data keeps coming in;
//! - memory: the whole process, after fifteen minutes of that.
//!
//! Prints figures and judges none: machines differ, and a test that measures time fails on a busy one.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and stops where it cannot go on")]

mod estate;
mod keys;

use std::time::{Duration, Instant};

use jiff::Timestamp;

use estate::{Estate, Scale};

fn main() {
    // `cargo test` runs this too: small and short, to prove that it still works.
    let whole = std::env::args().any(|argument| argument == "--bench");
    let (scale, seconds, pressing) = if whole {
        (Scale { tenants: 10_000, sessions: 1_000 }, 900, Duration::from_secs(30))
    } else {
        (Scale { tenants: 100, sessions: 50 }, 20, Duration::from_millis(500))
    };
    println!("{} tenants, {} tables, {} sessions", scale.tenants, scale.tenants * 4, scale.sessions);
    let mut estate = Estate::new(scale, Timestamp::now() - Duration::from_secs(seconds));
    let mut merges = Vec::new();
    for _ in 0..seconds {
        // What sources spend on reading facts is not the board's time: only what it does with them is measured.
        let facts = estate.pass_a_second();
        let began = Instant::now();
        let snapshot = estate.merge(facts);
        merges.push(began.elapsed());
        drop(snapshot);
    }
    say("facts taken in, merged, judged", &mut merges);
    let mut presses = keys::press(estate, pressing);
    say("key press to the screen", &mut presses);
    if let Some(bytes) = resident() {
        println!("{:<32} {:>7.1} MB", "resident memory", bytes as f64 / 1e6);
    }
}

fn say(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{what:<32} median {:>7.2} ms   p99 {:>7.2} ms   worst {:>7.2} ms   ({} times)",
        at(0.5),
        at(0.99),
        at(1.0),
        times.len()
    );
}

/// What the process holds in memory, where the system says.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
