//! Guardrails: the limits that the policy wants, on the logins where limits bind; what they were is in the journal, and the undo
//! brings back exactly that.

mod limits;
mod plan;
mod step;

pub use limits::{Stored, Wanted};
pub use plan::Guarding;
pub use step::{Guard, Guarded};

pub(super) use limits::{look, milliseconds};
pub(super) use plan::plan;
