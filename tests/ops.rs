//! Operations on real servers, as an admin login that is no superuser: the engine, the gate, the incident actions; and what
//! is left when any of it is killed, frozen, taken over, or cut off at any moment.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test's way to fail, and to say how far it is"
)]

mod support;

#[path = "ops/actions.rs"]
mod actions;
#[path = "ops/cli.rs"]
mod cli;
#[path = "ops/console.rs"]
mod console;
#[path = "ops/crowd.rs"]
mod crowd;
#[path = "ops/exported.rs"]
mod exported;
#[path = "ops/faults.rs"]
mod faults;
#[path = "ops/fence.rs"]
mod fence;
#[path = "ops/fenced.rs"]
mod fenced;
#[path = "ops/guarding.rs"]
mod guarding;
#[path = "ops/guardrails.rs"]
mod guardrails;
#[path = "ops/journal.rs"]
mod journal;
#[path = "ops/ledger.rs"]
mod ledger;
#[path = "ops/matrix.rs"]
mod matrix;
#[path = "ops/preflight.rs"]
mod preflight;
#[path = "ops/prove.rs"]
mod prove;
#[path = "ops/provision.rs"]
mod provision;
#[path = "ops/secrets.rs"]
mod secrets;
#[path = "ops/takeover.rs"]
mod takeover;
#[path = "ops/tenancy.rs"]
mod tenancy;
#[path = "ops/trial.rs"]
mod trial;
#[path = "ops/way_back.rs"]
mod way_back;
#[path = "ops/world.rs"]
mod world;
