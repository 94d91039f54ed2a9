//! What the tests of several rooms share.

pub mod console;
pub mod estate;
pub mod proxy;
pub mod server;
