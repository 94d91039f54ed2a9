//! How the console does on an instance as large as they come: `cargo bench --profile measured --bench scale`.
//!
//! - merging: a second's facts taken in, a snapshot put together and judged;
//! - keys: from a key press to its bytes at the terminal, through the loop that ships, while data keeps coming in;
//! - memory: the whole process after an hour and five minutes of that, with the history's file open and written each minute.
//!
//! Prints figures and judges none: machines differ, and a test that measures time fails on a busy one. Beside the time on
//! the clock stands the time on the CPU, which does not count what others do on the same machine.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and stops where it cannot go on")]

mod clock;
mod estate;
mod keys;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tierdeck::domain::facts::Source;
use tierdeck::domain::{Past, Snapshot};
use tierdeck::history::{History, Options};
use tokio::sync::watch;

use clock::Times;
use estate::{Estate, Scale};

fn main() {
    // `cargo test` runs this too: small and short, to prove that it still works.
    let whole = std::env::args().any(|argument| argument == "--bench");
    let (scale, seconds, pressing) = if whole {
        (Scale { tenants: 10_000, sessions: 1_000 }, 3_900, Duration::from_secs(30))
    } else {
        (Scale { tenants: 100, sessions: 50 }, 70, Duration::from_millis(500))
    };
    println!("{} tenants, {} tables, {} sessions", scale.tenants, scale.tenants * 4, scale.sessions);
    let before = resident("VmRSS");
    // As the program itself has it.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().unwrap();
    let _inside = runtime.enter();
    let mut estate = Estate::new(scale, Timestamp::now() - Duration::from_secs(seconds));
    let (publish, snapshots) = watch::channel(Arc::new(estate.snapshot()));
    let folder = tempfile::tempdir().unwrap();
    let options = Options { path: folder.path().join("history.redb"), keep: Duration::from_secs(14 * 86_400) };
    let (past, _told) = watch::channel(Arc::new(Past::default()));
    let history = History::start(options, snapshots, past, |notice| println!("history: {}", notice.text)).unwrap();

    // Where the collector runs: what threads allocate they keep, and the program has no other that makes snapshots.
    let merging = runtime.spawn(async move {
        let merges = merge(&mut estate, &publish, seconds).await;
        (estate, publish, merges)
    });
    let (estate, publish, merges) = runtime.block_on(merging).unwrap();
    merges.say();
    keys::press(&runtime, estate, publish, pressing).say("key press to the screen");
    say_memory(before);
    runtime.block_on(history.close());
}

/// What merging took: all of it, where only sessions were new, and where other sources brought something as well; and what
/// of it each source took to be taken in, and the picture to be made.
#[derive(Default)]
struct Merges {
    all: Times,
    quiet: Times,
    busy: Times,
    sources: BTreeMap<Source, Times>,
    picture: Times,
    /// Not part of the merging: the picture before is dropped by whoever lets go of it last.
    published: Times,
}

impl Merges {
    fn say(self) {
        self.all.say("facts taken in, merged, judged");
        self.quiet.say("  of sessions alone");
        self.busy.say("  of other sources as well");
        for (source, times) in self.sources {
            times.say(&format!("  {} taken in", source.name()));
        }
        self.picture.say("  merged and judged");
        self.published.say("published, the one before dropped");
    }
}

async fn merge(estate: &mut Estate, publish: &watch::Sender<Arc<Snapshot>>, seconds: u64) -> Merges {
    let mut merges = Merges::default();
    for _ in 0..seconds {
        // What sources spend on reading facts is not the board's time: only what it does with them is measured.
        let facts = estate.pass_a_second();
        let many = facts.len() > 1;
        let began = clock::now();
        for fragment in facts {
            let (source, began) = (fragment.source(), clock::now());
            estate.deliver(fragment);
            merges.sources.entry(source).or_default().add(began.passed());
        }
        let merging = clock::now();
        let snapshot = Arc::new(estate.snapshot());
        merges.picture.add(merging.passed());
        let took = began.passed();
        merges.all.add(took);
        if many { &mut merges.busy } else { &mut merges.quiet }.add(took);
        let publishing = clock::now();
        drop(publish.send_replace(snapshot));
        merges.published.add(publishing.passed());
        tokio::task::yield_now().await;
    }
    merges
}

fn say_memory(before: Option<f64>) {
    let (Some(now), Some(most), Some(before)) = (resident("VmRSS"), resident("VmHWM"), before) else { return };
    let what = "resident memory, with history";
    println!("{what:<32} now {now:>10.1} MB   most {most:>6.1} MB   ({before:.1} MB of it before anything was known)");
}

/// What the process holds in memory, where the system says.
fn resident(what: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(what))?;
    let kilobytes = line.trim_start_matches(':').trim().strip_suffix(" kB")?;
    kilobytes.trim().parse::<f64>().ok().map(|kilobytes| kilobytes * 1_024.0 / 1e6)
}
