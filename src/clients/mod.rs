//! How to reach a system: addresses, TLS, login, timeouts, what an error means. Knows no tenant.

pub mod aws;
pub mod environment;
pub mod pg_dump;
pub mod pgbouncer;
pub mod postgres;
pub mod vault;

pub use environment::Environment;
