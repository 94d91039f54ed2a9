//! Standard output: a reader that goes away (`| head`) ends the command quietly.

use std::io::{ErrorKind, Write};

use color_eyre::eyre::Result;
use serde::Serialize;

use super::Exit;

/// Writes text.
pub(super) fn text(text: &str) -> Result<Exit> {
    bytes(text.as_bytes())
}

/// Writes bytes.
pub(super) fn bytes(bytes: &[u8]) -> Result<Exit> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(Exit::Fine),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Exit::Interrupted),
        Err(error) => Err(error.into()),
    }
}

/// Writes a document for people and programs to read.
pub(super) fn document(document: &impl Serialize) -> Result<Exit> {
    text(&format!("{}\n", serde_json::to_string_pretty(document)?))
}

/// Writes a document on one line.
pub(super) fn line(document: &impl Serialize) -> Result<Exit> {
    text(&format!("{}\n", serde_json::to_string(document)?))
}

/// Tells the operator something, beside the results.
pub(super) fn say(message: &str) {
    // With stderr closed there is nobody to tell.
    let _ = writeln!(std::io::stderr().lock(), "{message}");
}
