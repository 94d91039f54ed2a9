//! tierdeck: a terminal operations console for multi-tenant PostgreSQL.
//!
//! The rooms, from the inside out; `ARCHITECTURE.md` draws the arrows between them and a test enforces them:
//!
//! - [`domain`]: pure values: tenants, sessions, findings, the snapshot; the one sanitiser of foreign text
//! - [`attribution`]: evidence about a session → its tenant, with the reason
//! - [`signals`]: one file a signal, one registry, and the evaluator that holds and clears findings
//! - [`history`]: what is remembered: a bounded file in the state folder
//! - [`metrics`]: a snapshot as OpenMetrics
//! - [`config`]: the configuration file → a validated [`config::Config`]; secret references
//! - [`clients`]: how to reach a system (TLS, login, timeouts); knows no tenant
//! - [`sources`]: read-only questions to a system → facts
//! - [`poll`]: clocks, back-off, one request in flight each; merges facts into snapshots and publishes the newest
//! - [`ops`]: operations: the only room that changes anything
//! - [`recording`]: what the board was told, in a file, and played again
//! - [`app`]: the console's state, keys and update function
//! - [`ui`]: drawing only
//! - [`lab`]: the local estate behind `tierdeck demo` and the tests
//! - [`cli`]: one file a subcommand

pub mod app;
pub mod attribution;
pub mod cli;
pub mod clients;
pub mod config;
pub mod domain;
pub mod history;
pub mod lab;
pub mod metrics;
pub mod ops;
pub mod poll;
pub mod recording;
pub mod signals;
pub mod sources;
pub mod ui;
