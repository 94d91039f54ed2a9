//! How the console does with hundreds of dedicated instances: `cargo bench --profile measured --bench fleet`.
//!
//! The estate's AWS with 8 real clusters that stand for 500 instances, found by their tags, in this process; in others the
//! program itself, without a screen (`serve`) and with one. Of each: how long until everybody is there, what it uses of a core,
//! what it holds in memory, how many sockets it has open; and how often CloudWatch is asked.
//!
//! What is promised (`limits.rs`) and is not so, is said, and ends it with a failure. A small run, as `cargo test` makes one, judges
//! calls and sockets alone. Linux only, as it reads /proc. `SECONDS_WATCHED=300` watches longer.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and stops where it cannot go on"
)]

mod fleet;
mod limits;
mod watched;

use std::time::{Duration, Instant};

use fleet::{Fleet, Scale};
use limits::Seen;
use watched::Watched;

fn main() {
    if !std::path::Path::new("/proc/self/stat").exists() {
        println!("skipped: this reads /proc, and there is none");
        return;
    }
    // `cargo test` runs this too: small and short, to prove that it still works.
    let whole = std::env::args().any(|argument| argument == "--bench");
    let (scale, warm, seconds) = if whole {
        (Scale { clusters: 8, instances: 500 }, seconds("SECONDS_WARM", 90), seconds("SECONDS_WATCHED", 120))
    } else {
        (Scale { clusters: 1, instances: 12 }, Duration::ZERO, Duration::from_secs(2))
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fleet = runtime.block_on(Fleet::raise(scale));
    println!("{} instances, found by their tags, over {} clusters", scale.instances, scale.clusters);
    let metrics = runtime.block_on(fleet.metrics());
    println!("{metrics} figures, {} calls a minute", metrics.div_ceil(tierdeck::sources::aws::cloudwatch::AT_ONCE));
    let mut broken = Vec::new();
    for screen in [false, true] {
        let what = if screen { "the console" } else { "without a screen" };
        let mut watched = Watched::start(&fleet.config, fleet.home(), screen);
        let (begun, never) = (Instant::now(), fleet.asked());
        // A connection to each, and some to AWS.
        while watched.sockets() < scale.instances || fleet.asked() == never {
            assert!(watched.is_running(), "it ended");
            assert!(begun.elapsed() < Duration::from_secs(300), "only {} sockets", watched.sockets());
            std::thread::sleep(Duration::from_millis(50));
        }
        println!("{what}: connected to all after {:.1} s", begun.elapsed().as_secs_f64());
        std::thread::sleep(warm);
        // Of a short run all calls are counted, of a long one those of the time that is watched.
        let (asked, since) = if whole { (fleet.asked(), Instant::now()) } else { (never, begun) };
        let (used, from) = (watched.cpu(), Instant::now());
        let mut most = 0;
        while from.elapsed() < seconds {
            most = most.max(watched.sockets());
            std::thread::sleep(Duration::from_millis(500));
        }
        let passed = from.elapsed().as_secs_f64();
        let share = 100.0 * (watched.cpu() - used) / passed;
        println!("  {share:.1} % of a core, over {passed:.0} s");
        let memory = watched.memory("VmHWM:");
        println!("  memory: now {:.1} MB, at most {memory:.1} MB", watched.memory("VmRSS:"));
        println!("  {most} sockets at most");
        let calls = fleet.asked() - asked;
        let passed = since.elapsed();
        println!("  GetMetricData: {calls} calls, which is {:.1} a minute", calls as f64 * 60.0 / passed.as_secs_f64());
        let what = if screen { "the console" } else { "without a screen" };
        let spent = whole.then_some((share, memory));
        broken.extend(Seen { what, instances: scale.instances, metrics, calls, passed, sockets: most, spent }.broken());
    }
    runtime.block_on(fleet.stop());
    for words in &broken {
        println!("NOT AS PROMISED: {words}");
    }
    if !broken.is_empty() {
        std::process::exit(1);
    }
}

/// As the environment says.
fn seconds(name: &str, otherwise: u64) -> Duration {
    Duration::from_secs(std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise))
}
