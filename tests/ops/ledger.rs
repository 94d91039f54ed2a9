//! Which points of the matrix are tried, and which held: a sample by the seed, or all of them (`make matrix`). All of them take
//! long, so what held is kept in a file below the target folder, under a key of this very build: whoever was interrupted goes on
//! where it stopped.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use sha2::{Digest as _, Sha256};

/// Whether all of it was asked for.
pub fn whole() -> bool {
    std::env::var_os("TIERDECK_MATRIX").is_some()
}

/// What decides which points a sample has.
pub fn seed() -> usize {
    std::env::var("TIERDECK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// Whether a point is tried: all of them, one that was asked for by its name, or about so many of them by the seed.
pub fn chosen(number: usize, of: usize, few: usize) -> bool {
    whole() || std::env::var_os("TIERDECK_POINT").is_some() || (number + seed()).is_multiple_of(of.div_ceil(few).max(1))
}

/// What held before, and where it is noted.
struct Kept {
    held: BTreeSet<String>,
    file: File,
    path: PathBuf,
}

/// `None`: only a sample is tried.
fn kept() -> Option<&'static Mutex<Kept>> {
    static KEPT: OnceLock<Option<Mutex<Kept>>> = OnceLock::new();
    let open = || {
        let build = Sha256::digest(fs::read(std::env::current_exe().unwrap()).unwrap());
        let build = build.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let build = format!("{build:016x}");
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("matrix");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{build}.held"));
        let held: BTreeSet<String> = fs::read_to_string(&path).unwrap_or_default().lines().map(str::to_owned).collect();
        let file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        println!(
            "matrix: build {build}; what held is kept in {}{}",
            path.display(),
            if held.is_empty() { String::new() } else { format!(": goes on after {} points", held.len()) }
        );
        Mutex::new(Kept { held, file, path })
    };
    KEPT.get_or_init(|| whole().then(open)).as_ref()
}

/// How it went at the points of one operation.
pub struct Tally {
    operation: String,
    tried: usize,
    before: usize,
    failed: Vec<String>,
    parts: Vec<(&'static str, usize)>,
    began: Instant,
    said: Instant,
}

/// How often a long one says how far it is.
const SAY: Duration = Duration::from_secs(60);

impl Tally {
    pub fn of(operation: &str) -> Self {
        let now = Instant::now();
        let (operation, parts) = (operation.to_owned(), Vec::new());
        Self { operation, tried: 0, before: 0, failed: Vec::new(), parts, began: now, said: now }
    }

    /// Tries a point, unless this build held there before. One that does not hold is told at the end, after all others.
    pub async fn point(&mut self, part: &'static str, point: String, attempt: impl Future<Output = ()>) {
        let name = format!("{}: {part}: {point}", self.operation);
        if std::env::var("TIERDECK_POINT").is_ok_and(|only| !name.contains(&only)) {
            return;
        }
        self.tried += 1;
        match self.parts.iter_mut().find(|(known, _)| *known == part) {
            Some((_, number)) => *number += 1,
            None => self.parts.push((part, 1)),
        }
        if kept().is_some_and(|kept| kept.lock().unwrap().held.contains(&name)) {
            self.before += 1;
            return;
        }
        if AssertUnwindSafe(attempt).catch_unwind().await.is_err() {
            println!("matrix: did not hold: {name}");
            return self.failed.push(name);
        }
        if let Some(kept) = kept() {
            let mut kept = kept.lock().unwrap();
            writeln!(kept.file, "{name}").unwrap_or_else(|error| panic!("{}: {error}", kept.path.display()));
            kept.held.insert(name);
        }
        if self.said.elapsed() > SAY {
            self.said = Instant::now();
            println!("matrix: {}", self.words());
        }
    }

    fn words(&self) -> String {
        let parts: Vec<_> = self.parts.iter().map(|(part, number)| format!("{part} {number}")).collect();
        let before = if self.before > 0 { format!(" ({} of them before)", self.before) } else { String::new() };
        format!(
            "{}: {} points tried{before}, {} held: {}; {:.0} s, {}",
            self.operation,
            self.tried,
            self.tried - self.failed.len(),
            parts.join(", "),
            self.began.elapsed().as_secs_f64(),
            if whole() { "all points".to_owned() } else { format!("a sample by seed {}", seed()) }
        )
    }

    /// All must.
    pub fn holds(self) {
        println!("matrix: {}", self.words());
        assert!(self.failed.is_empty(), "did not hold:\n{}", self.failed.join("\n"));
        assert!(self.tried > 0, "{}: nothing was tried", self.operation);
    }
}
