//! What could not be tried here: said aloud, whatever the test runner hides, and put on a list that `make test` counts at its end.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

/// Says that this was not tried, and why.
pub fn skipped(what: &str) {
    aloud(&format!("SKIPPED: {what}"));
    let list = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped");
    fs::create_dir_all(list.parent().unwrap()).unwrap();
    let mut list = OpenOptions::new().create(true).append(true).open(list).unwrap();
    // One write: tests run beside each other.
    list.write_all(format!("{what}\n").as_bytes()).unwrap();
}

/// A line on the terminal also from a test that passes: what is printed the usual way is kept back.
pub fn aloud(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
