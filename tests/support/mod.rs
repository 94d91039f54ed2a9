//! What several tests need.

pub mod estate;
