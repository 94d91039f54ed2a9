//! Recordings: everything that the board was told, with its moments, so that another board says the same again.
//!
//! A file is lines of JSON in gzip members, one for every second or two: `zcat` reads it, and one that was cut in the middle
//! plays up to the cut. The first line holds the rules (the configuration without any way in: no URL, no secret); then comes
//! what was heard. Foreign text is sanitised when it is written, as everywhere.

mod film;
mod line;
mod player;
mod recorder;
mod redact;

pub use film::{Film, FilmError};
pub use player::{Beginning, Player, Reel};
pub use recorder::{Ended, Options, RecordError, Recorder};
