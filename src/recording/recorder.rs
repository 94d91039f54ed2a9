//! Writing a recording: a thread of its own, fed by a bounded tap of the collector, so that nobody waits for a disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::line::{Header, Line};
use super::redact::redact;
use crate::config::Config;
use crate::poll::{Heard, Poller};

/// What waits to be written: some seconds of a large estate.
const QUEUE: usize = 2_048;

/// A member is closed when it is this old, or its lines are this long together.
const MEMBER_SECONDS: f64 = 1.5;
const MEMBER_BYTES: usize = 1 << 20;

/// What the last member may need beside what is full.
const RESERVE: u64 = 4_096;

/// How to record.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file; it must not exist.
    pub path: PathBuf,
    /// The most bytes that it may have.
    pub most: u64,
    /// Whether literals, application names and addresses are left out.
    pub redact: bool,
}

/// Why there is no recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file cannot be made.
    #[error("{}: cannot be recorded to: {cause}{}", path.display(), advice(cause))]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

fn advice(cause: &io::Error) -> &'static str {
    if cause.kind() == io::ErrorKind::AlreadyExists { "; name a file that does not exist" } else { "" }
}

/// How a recording ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// As asked.
    Asked,
    /// It reached its greatest size.
    Full,
    /// The disk did not keep up.
    Late,
    /// The disk refused.
    Failed(String),
}

impl Ended {
    /// In words.
    pub fn words(&self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Asked => format!("recorded to {path}"),
            Self::Full => format!("the recording {path} is full and was ended; --max-size allows more"),
            Self::Late => format!("the recording {path} was ended: the disk did not keep up"),
            Self::Failed(error) => format!("the recording {path} was ended: {error}"),
        }
    }
}

/// A recording that is being written.
#[derive(Debug)]
pub struct Recorder {
    /// When it began.
    pub began: Timestamp,
    path: PathBuf,
    written: Arc<AtomicU64>,
    asked: Arc<AtomicBool>,
    tap: watch::Sender<Option<mpsc::Sender<Heard>>>,
    thread: Option<JoinHandle<Ended>>,
}

impl Recorder {
    /// Begins. `ended` hears of an end that nobody asked for.
    pub fn start(
        options: &Options,
        config: &Config,
        poller: &Poller,
        ended: impl FnOnce(&Ended) + Send + 'static,
    ) -> Result<Self, RecordError> {
        let began = Timestamp::now();
        let failed = |cause| RecordError::Open { path: options.path.clone(), cause };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&options.path).map_err(failed)?;
        let (written, asked) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut tape =
            Tape { file, buffer: Vec::new(), since: began, written: Arc::clone(&written), most: options.most };
        tape.line(&Line::Header(Header::of(config, began, options.redact)))
            .and_then(|()| tape.close_member())
            .map_err(failed)?;
        let (to, inbox) = mpsc::channel(QUEUE);
        let (path, hide) = (options.path.clone(), options.redact);
        let wanted = Arc::clone(&asked);
        let run = move || {
            let end = write(tape, inbox, hide, &wanted);
            let unasked = end != Ended::Asked && !wanted.swap(true, Ordering::SeqCst);
            if unasked {
                ended(&end);
            }
            end
        };
        let thread = std::thread::Builder::new().name("recorder".to_owned()).spawn(run).map_err(failed)?;
        poller.tap.send_replace(Some(to));
        Ok(Self { began, path, written, asked, tap: poller.tap.clone(), thread: Some(thread) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes in the file so far.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// How large it is, for whoever asks again and again; `None` once it has ended.
    pub fn size(&self) -> impl Fn() -> Option<u64> + Send + 'static {
        let (written, running) = (Arc::clone(&self.written), Arc::downgrade(&self.asked));
        move || {
            let running = running.upgrade().is_some_and(|asked| !asked.load(Ordering::SeqCst));
            running.then(|| written.load(Ordering::Relaxed))
        }
    }

    /// Whether it still writes, and nobody asked it to end.
    pub fn is_running(&self) -> bool {
        !self.asked.load(Ordering::SeqCst)
    }

    /// Ends, and waits until everything is written. Blocks.
    pub fn stop(mut self) -> Ended {
        self.let_go();
        let thread = self.thread.take();
        thread.and_then(|thread| thread.join().ok()).unwrap_or(Ended::Late)
    }

    fn let_go(&self) {
        self.asked.store(true, Ordering::SeqCst);
        self.tap.send_replace(None);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.let_go();
        }
    }
}

/// Writes what is heard until nothing more comes.
fn write(mut tape: Tape, mut inbox: mpsc::Receiver<Heard>, hide: bool, asked: &AtomicBool) -> Ended {
    let mut last = Timestamp::UNIX_EPOCH;
    while let Some(heard) = inbox.blocking_recv() {
        let mut line = Line::of(heard);
        if let (true, Line::News { news, .. }) = (hide, &mut line) {
            redact(news);
        }
        last = last.max(line.at());
        match tape.take(&line) {
            Ok(true) => {}
            Ok(false) => return tape.end(last, Ended::Full),
            Err(error) => return Ended::Failed(error.to_string()),
        }
    }
    tape.end(last, if asked.load(Ordering::SeqCst) { Ended::Asked } else { Ended::Late })
}

/// The file and the member that is being gathered.
struct Tape {
    file: File,
    buffer: Vec<u8>,
    since: Timestamp,
    written: Arc<AtomicU64>,
    most: u64,
}

impl Tape {
    /// Takes a line; says whether there is room for more.
    fn take(&mut self, line: &Line) -> io::Result<bool> {
        self.line(line)?;
        let age = line.at().duration_since(self.since).as_secs_f64();
        if self.buffer.len() >= MEMBER_BYTES || matches!(line, Line::Snapshot { .. }) && age >= MEMBER_SECONDS {
            self.since = line.at();
            return self.close_member_if_it_fits();
        }
        Ok(true)
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        serde_json::to_writer(&mut self.buffer, line)?;
        self.buffer.push(b'\n');
        Ok(())
    }

    fn packed(&self) -> io::Result<Vec<u8>> {
        let mut member = GzEncoder::new(Vec::new(), Compression::fast());
        member.write_all(&self.buffer)?;
        member.finish()
    }

    fn close_member_if_it_fits(&mut self) -> io::Result<bool> {
        let member = self.packed()?;
        if self.written.load(Ordering::Relaxed) + member.len() as u64 + RESERVE > self.most {
            return Ok(false);
        }
        self.put(&member).map(|()| true)
    }

    fn close_member(&mut self) -> io::Result<()> {
        let member = self.packed()?;
        self.put(&member)
    }

    fn put(&mut self, member: &[u8]) -> io::Result<()> {
        self.file.write_all(member)?;
        self.file.flush()?;
        self.written.fetch_add(member.len() as u64, Ordering::Relaxed);
        self.buffer.clear();
        Ok(())
    }

    /// The last line. What did not fit any more is left out.
    fn end(mut self, at: Timestamp, ended: Ended) -> Ended {
        if ended == Ended::Full {
            self.buffer.clear();
        }
        let why = match &ended {
            Ended::Full => "full",
            Ended::Late => "late",
            Ended::Asked | Ended::Failed(_) => "asked",
        };
        let closed = self
            .line(&Line::End { at, why: why.to_owned() })
            .and_then(|()| self.close_member())
            .and_then(|()| self.file.sync_all());
        match closed {
            Ok(()) => ended,
            Err(error) => Ended::Failed(error.to_string()),
        }
    }
}
