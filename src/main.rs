//! The `tierdeck` binary.

fn main() {}
