//! Clocks and merging: each source is asked on its own clock, one collector merges what comes in and publishes the newest
//! snapshot.
//!
//! [`board::Board`] is the pure half (facts in, snapshot out).

pub mod board;
mod counters;
mod instance;
mod limits;
mod tenants;
mod window;

pub use board::{Board, News, Rules};
pub use instance::InstancePlan;
