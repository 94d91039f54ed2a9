//! AWS as the console meets it: what goes wrong is said as what it is; instances are found and leave; one account that hangs
//! delays no other. Against a small server that answers as it is told, and against servers that we did not write.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

#[path = "aws/discovery.rs"]
mod discovery;
#[path = "aws/groups.rs"]
mod groups;
#[path = "aws/others.rs"]
mod others;
#[path = "aws/policy.rs"]
mod policy;
#[path = "aws/stall.rs"]
mod stall;
#[path = "aws/stand.rs"]
mod stand;
#[path = "aws/tape.rs"]
mod tape;
#[path = "aws/words.rs"]
mod words;
