//! The headless peers as scripts meet them: the real binary, exit codes, stdout and stderr apart, documents as the
//! contract and the published schemas have them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]

#[path = "cli/estate.rs"]
mod estate;
#[path = "cli/plain.rs"]
mod plain;
#[path = "cli/schema.rs"]
mod schema;
#[path = "support/skipped.rs"]
mod skipped;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The binary, in an environment of nothing but these variables.
fn command(arguments: &[&str], variables: &[(&str, &str)], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tierdeck"));
    command.args(arguments).env_clear().env("HOME", folder).current_dir(folder).stdin(Stdio::null());
    command.envs(variables.iter().copied());
    command
}

fn run(arguments: &[&str], variables: &[(&str, &str)], folder: &Path) -> Output {
    command(arguments, variables, folder).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Standard output as one document; anything before or behind it is an error.
fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Waits for the end of a process; one that does not end is killed.
fn ended(child: &mut Child, within: Duration) -> std::process::ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if began.elapsed() > within {
            child.kill().unwrap();
            panic!("still running after {within:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
