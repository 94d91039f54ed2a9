//! The audit log: who changed what, with the exact statement and what came of it. JSON lines, each holding the hash of the
//! one before, appended durably to a file that only its owner reads; never a secret.
//!
//! What was attempted is written before it is attempted. Where the chain stands is also kept in the control database, so
//! that a file that was rewritten or cut off is noticed.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::journal::Operator;
use super::plan::hex;

/// What is said of an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The operation.
    pub operation: String,
    /// `attempt`, `done` or `failed`.
    pub what: String,
    /// The instance and the database.
    pub target: String,
    /// The exact statements.
    pub statements: Vec<String>,
    /// What came of it.
    pub result: Option<String>,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its number, from 1.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who, and from where.
    pub operator: Operator,
    /// What.
    pub record: Record,
    /// SHA-256 of the bytes of a line before that was torn, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_torn: Option<String>,
    /// The hash of the line before; of the first, the name of the chain.
    pub previous: String,
    /// SHA-256 over everything else of this line.
    pub hash: String,
}

impl Line {
    fn digest(&self) -> String {
        let mut bare = self.clone();
        bare.hash = String::new();
        hex(&Sha256::digest(serde_json::to_string(&bare).unwrap_or_default()))
    }
}

/// Where a chain stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The name of the chain: what its first line begins with.
    pub chain: String,
    /// How many lines it has.
    pub seq: u64,
    /// The hash of the last.
    pub hash: String,
    /// The hash of the one before it; of the first, the name of the chain.
    pub previous: String,
}

/// Why the log cannot be written or is not what it was.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file system.
    #[error("cannot {doing} the audit log {}: {source}; without it nothing is changed", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It was changed.
    #[error("line {line} of the audit log {} is not what was written: {reason}", path.display())]
    Tampered {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Audit {
    path: PathBuf,
}

impl Audit {
    /// The log of a state folder.
    pub fn at(state: &Path) -> Self {
        Self { path: state.join("audit.jsonl") }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn io(&self, doing: &'static str) -> impl FnOnce(std::io::Error) -> AuditError {
        let path = self.path.clone();
        move |source| AuditError::Io { doing, path, source }
    }

    /// Writes a line, durably, and says where the chain stands then.
    pub fn append(&self, operator: &Operator, record: Record, at: Timestamp) -> Result<Head, AuditError> {
        if let Some(folder) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(self.io("make the folder of"))?;
        }
        let opened = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(&self.path);
        // Consoles side by side write one chain.
        let locked = Flock::lock(opened.map_err(self.io("open"))?, FlockArg::LockExclusive);
        let mut file = locked.map_err(|(_, error)| self.io("lock")(error.into()))?;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes)).map_err(self.io("read"))?;
        let fresh = bytes.is_empty();
        let chain = Chain::read(&self.path, &bytes)?;
        let mut line = Line {
            seq: chain.head.as_ref().map_or(0, |head| head.seq) + 1,
            at,
            operator: operator.clone(),
            record,
            after_torn: chain.torn.as_deref().map(|torn| hex(&Sha256::digest(torn))),
            previous: chain.head.as_ref().map_or_else(|| name(operator, at), |head| head.hash.clone()),
            hash: String::new(),
        };
        line.hash = line.digest();
        let mut text = if chain.open { "\n".to_owned() } else { String::new() };
        text += &serde_json::to_string(&line).unwrap_or_default();
        text.push('\n');
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(self.io("write"))?;
        if fresh && let Some(folder) = self.path.parent() {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(self.io("keep"))?;
        }
        let chain = chain.head.map_or_else(|| line.previous.clone(), |head| head.chain);
        Ok(Head { chain, seq: line.seq, hash: line.hash, previous: line.previous })
    }

    /// Checks every line; returns them and where the chain stands.
    pub fn verify(&self) -> Result<(Vec<Line>, Option<Head>), AuditError> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(self.io("read")(error)),
        };
        let chain = Chain::read(&self.path, &bytes)?;
        Ok((chain.lines, chain.head))
    }
}

/// Checks lines against what the control database knows of their chain: numbers and hashes.
pub fn matches<'a>(lines: &[Line], known: impl IntoIterator<Item = (u64, &'a str)>) -> Result<(), String> {
    for (seq, hash) in known {
        match lines.iter().find(|line| line.seq == seq) {
            Some(line) if line.hash == hash => {}
            Some(_) => return Err(format!("line {seq} is another one than the control database knows")),
            None => return Err(format!("the control database knows a line {seq}, and here are {}", lines.len())),
        }
    }
    Ok(())
}

/// What the names of somebody's chains begin with.
pub fn chain_prefix(operator: &Operator) -> String {
    format!("{}@{} ", operator.user, operator.host)
}

/// The name of a new chain: nobody else begins one at the same moment on the same machine.
fn name(operator: &Operator, at: Timestamp) -> String {
    format!("{}{at}", chain_prefix(operator))
}

struct Chain {
    lines: Vec<Line>,
    head: Option<Head>,
    /// What was not written to its end, since the last whole line.
    torn: Option<Vec<u8>>,
    /// Whether the file ends within a line.
    open: bool,
}

impl Chain {
    fn read(path: &Path, bytes: &[u8]) -> Result<Self, AuditError> {
        let tampered =
            |line: usize, reason: &str| AuditError::Tampered { path: path.to_owned(), line, reason: reason.to_owned() };
        let mut chain = Self { lines: Vec::new(), head: None, torn: None, open: false };
        let mut pieces = bytes.split(|byte| *byte == b'\n').zip(1..).peekable();
        while let Some((piece, number)) = pieces.next() {
            let last = pieces.peek().is_none();
            if last && piece.is_empty() {
                break;
            }
            chain.open = last;
            // One that lacks nothing but the end of its line is one: the next begins a line of its own.
            let Ok(line) = serde_json::from_slice::<Line>(piece) else {
                // Torn in the middle of being written: the line after it says so, and with which bytes.
                chain.torn.get_or_insert_default().extend_from_slice(piece);
                continue;
            };
            if line.hash != line.digest() {
                return Err(tampered(number, "its hash does not fit what it says"));
            }
            let torn = chain.torn.take().map(|torn| hex(&Sha256::digest(torn)));
            if torn != line.after_torn {
                return Err(tampered(number, "a line before it was changed or removed"));
            }
            let (seq, previous) = match &chain.head {
                None => (1, line.previous.clone()),
                Some(head) => (head.seq + 1, head.hash.clone()),
            };
            if line.seq != seq || line.previous != previous {
                return Err(tampered(number, "it does not follow the line before it"));
            }
            let name = chain.head.take().map_or_else(|| line.previous.clone(), |head| head.chain);
            let previous = line.previous.clone();
            chain.head = Some(Head { chain: name, seq: line.seq, hash: line.hash.clone(), previous });
            chain.lines.push(line);
        }
        Ok(chain)
    }
}
