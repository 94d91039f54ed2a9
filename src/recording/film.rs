//! Reading a recording: line by line, up to its end or to where it was cut.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use jiff::Timestamp;

use super::line::{FORMAT, Header, Line, VERSION};
use crate::config::{self, Config};

/// The longest line: a source of a very large estate.
const LONGEST: u64 = 256 << 20;

/// The longest first line: it holds a configuration, and is read before anything says that the file is ours.
const LONGEST_HEADER: u64 = 1 << 20;

/// Why a file cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum FilmError {
    /// It cannot be read.
    #[error("{}: cannot be read: {cause}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// It is something else.
    #[error("{}: is not a recording of tierdeck's; those are made by tierdeck record FILE, or R in the console", .0.display())]
    Foreign(PathBuf),
    /// It is from another version.
    #[error("{}: is a recording of version {version}, this program plays version {VERSION}; it was made by tierdeck {by}", path.display())]
    Version {
        /// Which.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// Who wrote it.
        by: String,
    },
    /// Its rules are not understood.
    #[error("{}: the rules that it was judged by are not understood: {cause}", path.display())]
    Rules {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: String,
    },
}

/// A recording.
#[derive(Debug, Clone)]
pub struct Film {
    path: PathBuf,
    /// When it begins.
    pub began: Timestamp,
    /// Whether literals, application names and addresses were left out.
    pub redacted: bool,
    /// What was judged by; leads nowhere.
    pub config: Config,
}

impl Film {
    /// Opens a file and reads its first line.
    pub fn open(path: &Path) -> Result<Self, FilmError> {
        let path = path.to_owned();
        let file = File::open(&path).map_err(|cause| FilmError::Read { path: path.clone(), cause })?;
        if file.metadata().is_ok_and(|about| about.is_dir()) {
            let cause = io::Error::from(io::ErrorKind::IsADirectory);
            return Err(FilmError::Read { path, cause });
        }
        let mut first = Vec::new();
        let header = Tape::of(file).read_up_to(LONGEST_HEADER, &mut first).ok().and_then(|()| read_header(&first));
        let Some(header) = header else { return Err(FilmError::Foreign(path)) };
        if header.version != VERSION {
            let by = crate::domain::foreign::sanitise(&header.tierdeck).chars().take(40).collect();
            return Err(FilmError::Version { path, version: header.version, by });
        }
        let config = config::parse(&header.configuration, &path)
            .map_err(|errors| FilmError::Rules { path: path.clone(), cause: errors.to_string() })?;
        Ok(Self { path, began: header.began, redacted: header.redacted, config })
    }

    /// Its lines behind the first.
    pub(super) fn lines(&self) -> io::Result<Lines> {
        let mut tape = Tape::of(File::open(&self.path)?);
        let mut header = Vec::new();
        tape.read_up_to(LONGEST_HEADER, &mut header)?;
        Ok(Lines { tape, read: 0, ended: false })
    }
}

/// The version is asked first: another one may look different otherwise.
fn read_header(line: &[u8]) -> Option<Header> {
    let value: serde_json::Value = serde_json::from_slice(line).ok()?;
    let header = value.get("header").filter(|header| header["format"] == FORMAT)?;
    let version = u32::try_from(header["version"].as_u64()?).ok()?;
    if version == VERSION {
        return serde_json::from_value(header.clone()).ok();
    }
    Some(Header {
        format: FORMAT.to_owned(),
        version,
        tierdeck: header["tierdeck"].as_str().unwrap_or("?").to_owned(),
        began: Timestamp::UNIX_EPOCH,
        redacted: false,
        configuration: String::new(),
    })
}

/// The bytes of a file, unpacked.
struct Tape(BufReader<MultiGzDecoder<BufReader<File>>>);

impl Tape {
    fn of(file: File) -> Self {
        Self(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file))))
    }

    /// The next line, without its end; one that has no end was cut.
    fn read(&mut self, line: &mut Vec<u8>) -> io::Result<()> {
        self.read_up_to(LONGEST, line)
    }

    fn read_up_to(&mut self, longest: u64, line: &mut Vec<u8>) -> io::Result<()> {
        line.clear();
        self.0.by_ref().take(longest).read_until(b'\n', line)?;
        if line.pop() == Some(b'\n') { Ok(()) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof)) }
    }
}

/// What a recording says, one after the other.
pub(super) struct Lines {
    tape: Tape,
    /// How many were read.
    pub read: usize,
    /// Whether the end was an end: what just stops was cut.
    pub ended: bool,
}

impl Lines {
    /// The next line; `None` at the end, or where it was cut. What this version does not understand is passed over.
    pub fn next(&mut self) -> Option<Line> {
        let mut bytes = Vec::new();
        loop {
            self.tape.read(&mut bytes).ok()?;
            self.read += 1;
            match serde_json::from_slice(&bytes) {
                Ok(Line::End { .. }) => {
                    self.ended = true;
                    return None;
                }
                Ok(line) => return Some(line),
                Err(_) => {}
            }
        }
    }

    /// Passes over lines up to this one without reading them.
    pub fn skip_to(&mut self, line: usize) {
        let mut bytes = Vec::new();
        while self.read < line && self.tape.read(&mut bytes).is_ok() {
            self.read += 1;
        }
    }

    /// When the last line was heard, without reading those before it.
    pub fn last(mut self) -> Option<Timestamp> {
        let (mut bytes, mut newest) = (Vec::new(), Vec::new());
        while self.tape.read(&mut bytes).is_ok() {
            std::mem::swap(&mut bytes, &mut newest);
        }
        serde_json::from_slice::<Line>(&newest).ok().map(|line| line.at())
    }
}
