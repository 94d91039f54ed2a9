//! What the tests of several rooms share.

#![allow(unused_imports, dead_code, reason = "every test program uses its own part of this")]

pub mod bao;
pub mod console;
pub mod estate;
pub mod fake_vault;
pub mod observer;
pub mod pooler;
pub mod proxy;
pub mod secrets;
pub mod server;
pub mod skipped;
pub mod stage;
pub mod watcher;
