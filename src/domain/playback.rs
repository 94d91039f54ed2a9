//! A recording that is played, and one that is being made: what the console is told of them, and what it may ask.

use jiff::Timestamp;

/// How many times faster than it happened.
pub const SPEEDS: [u32; 5] = [1, 2, 4, 10, 60];

/// Where a recording stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Playback {
    /// When it begins.
    pub began: Timestamp,
    /// When it ends; `None` while that is being looked up.
    pub end: Option<Timestamp>,
    /// The moment that is shown.
    pub now: Timestamp,
    /// How many times faster.
    pub speed: u32,
    /// Whether it runs.
    pub playing: bool,
    /// Whether the last moment is reached; and then, whether the file was cut there.
    pub over: Option<bool>,
    /// Whether literals and names were left out.
    pub redacted: bool,
    /// What to tell of the newest order.
    pub note: Option<String>,
    /// How many orders were answered so: the same answer again is told again.
    pub notes: u64,
}

/// What may be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Stop or go on.
    Toggle,
    /// The next speed.
    Faster,
    /// The speed before.
    Slower,
    /// So many seconds forward, or back.
    Seek(i64),
    /// To where the next finding begins.
    NextFinding,
    /// To where the one before began.
    PreviousFinding,
}

/// A recording that is being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taping {
    /// When it began.
    pub began: Timestamp,
    /// Bytes so far.
    pub bytes: u64,
}
