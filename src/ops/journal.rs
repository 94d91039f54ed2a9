//! The journal: what an operation did, line by line, durable before anything follows from it.
//!
//! A file of JSON lines in the state folder that only its owner reads. The first line pins the plan and its hash. A torn
//! last line (the machine went down while it was written) is dropped; anything else that makes no sense is refused.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::control::ControlDatabase;
use super::id::OperationId;
use super::plan::{Plan, SCHEMA};
use super::status::{Illegal, Outcome, Phase, Status};

/// Who works, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// The operating system's login.
    pub user: String,
    /// The machine.
    pub host: String,
    /// The version of this program.
    pub version: String,
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Version of this shape.
    pub schema: u32,
    /// When the operation was begun.
    pub at: Timestamp,
    /// By whom.
    pub operator: Operator,
    /// [`Plan::sha256`]: what was approved.
    pub sha256: String,
    /// The control database: who goes on with the operation looks there who else does, and nowhere else.
    /// `None`: written by a version that did not note it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlDatabase>,
    /// The plan.
    pub plan: Plan,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants say what their fields are")]
pub enum Event {
    /// Somebody goes on with it, for the first time or again.
    Taken { operator: Operator },
    /// A step begins; what was there before. From here on its effect may have come.
    Started { step: usize, before: Value },
    /// It is done, and was looked at.
    Succeeded { step: usize, output: Value },
    /// It was so already.
    Found { step: usize, output: Value },
    /// It ended in an error.
    Failed {
        step: usize,
        error: String,
        /// By the server's own word nothing came of this attempt.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        nothing_came: bool,
    },
    /// It waits for an operator, who may go on with it from any machine.
    Paused { reason: String },
    /// From here on steps are undone.
    RollingBack,
    /// The undo of a step begins.
    UndoStarted { step: usize },
    /// It is as before.
    UndoFinished { step: usize },
    /// The undo ended in an error.
    UndoFailed { step: usize, error: String },
    /// It is over.
    Closed { outcome: Outcome, reason: String },
}

impl Event {
    /// Its name in the file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Taken { .. } => "taken",
            Self::Started { .. } => "started",
            Self::Succeeded { .. } => "succeeded",
            Self::Found { .. } => "found",
            Self::Failed { .. } => "failed",
            Self::Paused { .. } => "paused",
            Self::RollingBack => "rolling_back",
            Self::UndoStarted { .. } => "undo_started",
            Self::UndoFinished { .. } => "undo_finished",
            Self::UndoFailed { .. } => "undo_failed",
            Self::Closed { .. } => "closed",
        }
    }
}

/// A line after the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1.
    pub seq: u64,
    /// The lease's counter under which it was written.
    pub fence: i64,
    /// When, by the clock of who wrote it.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// A journal as it was read: the plan, what happened, and what follows from that.
#[derive(Debug, Clone, PartialEq)]
pub struct Story {
    /// The first line.
    pub header: Header,
    /// All others.
    pub entries: Vec<Entry>,
    /// Where the operation stands.
    pub status: Status,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system.
    #[error("cannot {doing} the journal {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It makes no sense.
    #[error("line {line} of the journal makes no sense: {reason}; nothing is done with it")]
    Broken {
        /// Which line, from 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// The event may not follow what was.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// Another process of this machine works on it.
    #[error("operation {0} runs in another process of this machine")]
    Busy(OperationId),
}

/// A fence that was begun and not taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusing {
    /// How long it may stand.
    pub budget: Duration,
    /// Since when it is known to stand; `None`: it is being tried, and whether it came is not known.
    pub since: Option<Timestamp>,
}

impl Story {
    /// A story that begins.
    pub fn new(header: Header) -> Self {
        let status = Status::new(header.plan.steps.iter().map(|step| step.safety));
        Self { header, entries: Vec::new(), status }
    }

    /// Reads whole lines.
    pub fn read<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Self, JournalError> {
        let broken = |line: usize, reason: String| JournalError::Broken { line, reason };
        let mut lines = lines.into_iter().zip(1..);
        let (first, _) = lines.next().ok_or_else(|| broken(1, "it is empty".to_owned()))?;
        let header: Header = serde_json::from_str(first).map_err(|error| broken(1, error.to_string()))?;
        if header.schema != SCHEMA {
            return Err(broken(1, format!("schema {}, and this version knows {SCHEMA}", header.schema)));
        }
        if header.plan.sha256() != header.sha256 {
            return Err(broken(1, "the plan is not the one that was approved: its hash differs".to_owned()));
        }
        let mut story = Self::new(header);
        for (text, line) in lines {
            let entry: Entry = serde_json::from_str(text).map_err(|error| broken(line, error.to_string()))?;
            story.push(entry).map_err(|reason| broken(line, reason))?;
        }
        Ok(story)
    }

    /// Whether writers are shut out, or may be.
    pub fn refuses_writes(&self) -> Option<Refusing> {
        let steps = self.header.plan.steps.iter().zip(&self.status.steps).enumerate();
        steps.filter(|(_, (_, status))| status.may_stand()).find_map(|(number, (planned, status))| {
            let budget = planned.action.step().fences()?;
            let came = |entry: &&Entry| matches!(entry.event, Event::Succeeded { step, .. } if step == number);
            let stands = self.entries.iter().rfind(came).filter(|_| status.output.is_some());
            Some(Refusing { budget, since: stands.map(|entry| entry.at) })
        })
    }

    /// Whether it is done and can still be undone: what is in force stays visible.
    pub fn in_force(&self) -> bool {
        let status = &self.status;
        status.phase == Phase::Closed(Outcome::Succeeded)
            && status.to_undo().is_some()
            && status.no_way_back().is_none()
            && !self.left_nothing()
    }

    /// Whether it is done and left nothing, as what only looks does: there is nothing to undo.
    pub fn left_nothing(&self) -> bool {
        let last = self.header.plan.steps.last();
        self.status.phase == Phase::Closed(Outcome::Succeeded)
            && last.is_some_and(|planned| planned.action.step().leaves_nothing())
    }

    fn push(&mut self, entry: Entry) -> Result<(), String> {
        if entry.seq != self.entries.len() as u64 + 1 {
            return Err(format!("number {} after {}", entry.seq, self.entries.len()));
        }
        if self.entries.last().is_some_and(|last| last.fence > entry.fence) {
            return Err("the lease's counter went back".to_owned());
        }
        self.status = self.status.after(&entry.event).map_err(|illegal| illegal.to_string())?;
        self.entries.push(entry);
        Ok(())
    }

    /// The lines of the file.
    pub fn lines(&self) -> Vec<String> {
        // Plain values have no way not to be written.
        let header = serde_json::to_string(&self.header).unwrap_or_default();
        let entries = self.entries.iter().map(|entry| serde_json::to_string(entry).unwrap_or_default());
        std::iter::once(header).chain(entries).collect()
    }
}

/// A journal that is written to, by this process alone.
#[derive(Debug)]
pub struct Journal {
    story: Story,
    path: PathBuf,
    file: Flock<File>,
    /// How much of the file is whole lines.
    whole: u64,
    /// A line could not be written: nothing more is, because nobody knows what of it is there.
    shut: bool,
}

/// Where journals are, below the state folder.
pub fn folder(state: &Path) -> PathBuf {
    state.join("operations")
}

fn path_of(folder: &Path, id: &OperationId) -> PathBuf {
    folder.join(format!("{id}.jsonl"))
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io { doing, path, source }
}

impl Journal {
    /// Begins one; there must be none yet.
    pub fn create(folder: &Path, header: Header) -> Result<Self, JournalError> {
        Self::write_whole(folder, Story::new(header))
    }

    /// Writes one that came from elsewhere.
    pub fn write_whole(folder: &Path, story: Story) -> Result<Self, JournalError> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io("make the folder of", folder))?;
        let id = &story.header.plan.id;
        let path = path_of(folder, id);
        let opened = OpenOptions::new().create_new(true).append(true).read(true).mode(0o600).open(&path);
        let mut file = lock(opened.map_err(io("make", &path))?, id, &path)?;
        let text = story.lines().join("\n") + "\n";
        if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
            // Half of one would be taken for a whole one that was torn.
            let _ = fs::remove_file(&path);
            return Err(io("write", &path)(error));
        }
        // The file's name must be as durable as what is in it.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("keep", folder))?;
        Ok(Self { story, path, file, whole: text.len() as u64, shut: false })
    }

    /// Opens one to go on with; `None` when there is none here.
    pub fn open(folder: &Path, id: &OperationId) -> Result<Option<Self>, JournalError> {
        let path = path_of(folder, id);
        let file = match OpenOptions::new().append(true).read(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io("open", &path)(error)),
        };
        let mut file = lock(file, id, &path)?;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes)).map_err(io("read", &path))?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole == 0 {
            // Not even the first line: nothing was ever done.
            fs::remove_file(&path).map_err(io("remove", &path))?;
            return Ok(None);
        }
        if whole < bytes.len() {
            file.set_len(whole as u64).and_then(|()| file.sync_all()).map_err(io("mend", &path))?;
        }
        let story = read_bytes(&bytes[..whole])?;
        Ok(Some(Self { story, path, file, whole: whole as u64, shut: false }))
    }

    /// What is in it.
    pub fn story(&self) -> &Story {
        &self.story
    }

    /// Notes beside it, durably, under which counter it is about to be gone on with here.
    pub fn announce(&self, fence: i64) -> Result<(), JournalError> {
        let path = self.path.with_extension("taking");
        let opened = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&path);
        let mut file = opened.map_err(io("make", &path))?;
        file.write_all(format!("{fence}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(io("write", &path))
    }

    /// What was announced last; `None`: nothing, or not to its end.
    pub fn announced(&self) -> Option<i64> {
        fs::read_to_string(self.path.with_extension("taking")).ok()?.strip_suffix('\n')?.parse().ok()
    }

    /// Writes what happened, durably, unless it may not follow what was.
    pub fn append(&mut self, event: Event, fence: i64, at: Timestamp) -> Result<Entry, JournalError> {
        let status = self.story.status.after(&event)?;
        let entry = Entry { seq: self.story.entries.len() as u64 + 1, fence, at, event };
        self.write(&entry)?;
        self.story.status = status;
        self.story.entries.push(entry.clone());
        Ok(entry)
    }

    /// Takes over what was written elsewhere after what is here.
    pub fn follow(&mut self, entries: &[Entry]) -> Result<(), JournalError> {
        for entry in entries {
            let line = self.story.entries.len() + 2;
            self.story.push(entry.clone()).map_err(|reason| JournalError::Broken { line, reason })?;
            self.write(entry)?;
        }
        Ok(())
    }

    fn write(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let line = serde_json::to_string(entry).unwrap_or_default() + "\n";
        let file = &mut *self.file;
        if self.shut {
            let before = std::io::Error::other("an earlier line could not be written");
            return Err(io("write", &self.path)(before));
        }
        if let Err(error) = file.write_all(line.as_bytes()).and_then(|()| file.sync_data()) {
            self.shut = true;
            // As far as that still can be done: what is left of it is torn, and dropped by who opens it next; or it is whole,
            // and then it says what was to be tried, which is not more than is true.
            let _ = file.set_len(self.whole).and_then(|()| file.sync_data());
            return Err(io("write", &self.path)(error));
        }
        self.whole += line.len() as u64;
        Ok(())
    }

    /// Gives it another name: another machine's is the true one.
    pub fn set_aside(self, at: Timestamp) -> Result<(), JournalError> {
        let aside = self.path.with_extension(format!("superseded-{}", at.as_second()));
        fs::rename(&self.path, &aside).map_err(io("set aside", &self.path))
    }

    /// Removes it: nothing was done.
    pub fn remove(self) -> Result<(), JournalError> {
        fs::remove_file(&self.path).map_err(io("remove", &self.path))
    }
}

fn lock(file: File, id: &OperationId, path: &Path) -> Result<Flock<File>, JournalError> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| match error {
        nix::errno::Errno::EWOULDBLOCK => JournalError::Busy(id.clone()),
        error => io("lock", path)(error.into()),
    })
}

fn read_bytes(bytes: &[u8]) -> Result<Story, JournalError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| JournalError::Broken { line: 1, reason: "it is not UTF-8 text".to_owned() })?;
    Story::read(text.lines())
}

/// Reads one without going on with it; `None` when there is none here.
pub fn look(folder: &Path, id: &OperationId) -> Result<Option<Story>, JournalError> {
    let path = path_of(folder, id);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("read", &path)(error)),
    };
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole == 0 { Ok(None) } else { read_bytes(&bytes[..whole]).map(Some) }
}

/// The operations that have a journal here, the newest first.
pub fn all(folder: &Path) -> Vec<OperationId> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let id = |name: std::ffi::OsString| OperationId::parse(name.to_str()?.strip_suffix(".jsonl")?);
    let mut ids: Vec<OperationId> = entries.filter_map(|entry| id(entry.file_name())).collect();
    ids.sort_by(|one, other| other.cmp(one));
    ids
}
