//! Operations: the only room that changes anything. What one is and why it can be trusted: `ARCHITECTURE.md`, "The flow of an
//! operation".
//!
//! - [`plan`]: a planner is pure; the plan is a value with a text and a hash
//! - [`step`]: check, apply, verify, undo; stateless, all of it works twice
//! - [`script`]: what a step runs, as data: SQL, calls to Vault, a command; secrets only as references
//! - [`journal`], [`status`]: what happened, and what follows from that
//! - [`control`], [`lease`]: one operation a tenant, and the copies by which somebody else goes on
//! - [`gate`], [`audit`]: the one way to an effect, and the chain of what was done
//! - [`hands`]: eyes that only read, hands that run what is in the plan
//! - [`operations`], `engine`: start, go on, roll back; `back`: what stands in the way of that
//! - [`report`]: what happened, for people and programs
//! - [`act`]: incident actions: operations of one step
//! - [`guardrails`]: policy against actual, and the difference applied
//! - [`prove`]: that limits and isolation hold, by trying; [`guest`]: what a temporary login tries, as data
//! - [`fence`]: nobody writes in a tenant's schema any more: steps that quarantine uses, and whatever moves a tenant
//! - [`provision`], [`deprovision`]: a tenant's place on a shared instance, made and removed; [`tenancy`]: what is there of it;
//!   [`secret`]: steps at Vault

pub mod act;
pub mod audit;
mod back;
pub mod control;
pub mod deprovision;
mod engine;
pub mod estate;
pub mod fence;
pub mod gate;
pub mod guardrails;
pub mod guest;
pub mod hands;
mod id;
pub mod journal;
pub mod lease;
pub mod operations;
pub mod plan;
pub mod prove;
pub mod provision;
pub mod report;
mod roles;
pub mod script;
pub mod secret;
pub mod status;
pub mod step;
pub mod tenancy;

pub use id::OperationId;
pub use operations::{Ended, Operations, OpsError, Progress, TakeOver, Way};
