//! The gate: the one way to anything that changes something, for the console and for the command line alike.
//!
//! Only [`Gate`] makes a [`Permit`]; without one there are no [`super::hands::Hands`] and no session that may write.

use std::sync::Arc;

use jiff::Timestamp;

use super::audit::{Audit, AuditError, Head, Record};
use super::journal::Operator;
use super::plan::Plan;

/// Why the gate stays shut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Shut {
    /// Read-only.
    #[error("read-only: start it with --allow-actions, or set allow_actions = true in the configuration")]
    ReadOnly,
    /// What was typed is not what had to be typed.
    #[error("not approved: {wanted:?} has to be typed to approve it; nothing was done")]
    NotConfirmed {
        /// What had to be typed.
        wanted: String,
    },
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Gate {
    allowed: bool,
    operator: Operator,
    audit: Arc<Audit>,
}

/// The right to carry out one plan.
#[derive(Debug, Clone)]
pub struct Permit {
    operation: String,
    sha256: String,
    operator: Operator,
    audit: Arc<Audit>,
}

impl Gate {
    /// A gate that opens, or does not, as configuration and command line say.
    pub fn new(allowed: bool, operator: Operator, audit: Audit) -> Self {
        Self { allowed, operator, audit: Arc::new(audit) }
    }

    /// Who works here.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// What was changed, and by whom.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Whether it opens at all.
    pub fn is_open(&self) -> Result<(), Shut> {
        if self.allowed { Ok(()) } else { Err(Shut::ReadOnly) }
    }

    /// Approves a plan with what was typed.
    pub fn approve(&self, plan: &Plan, typed: &str) -> Result<Permit, Shut> {
        self.is_open()?;
        if typed != plan.confirm {
            return Err(Shut::NotConfirmed { wanted: plan.confirm.clone() });
        }
        Ok(self.permit(plan))
    }

    /// Goes on with a plan that was approved when it was begun: its journal pins which.
    pub fn go_on(&self, plan: &Plan) -> Result<Permit, Shut> {
        self.is_open()?;
        Ok(self.permit(plan))
    }

    fn permit(&self, plan: &Plan) -> Permit {
        Permit {
            operation: plan.id.to_string(),
            sha256: plan.sha256(),
            operator: self.operator.clone(),
            audit: Arc::clone(&self.audit),
        }
    }
}

impl Permit {
    /// Whether it is for this plan.
    pub fn is_for(&self, plan: &Plan) -> bool {
        self.sha256 == plan.sha256()
    }

    /// Who has it.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Writes down what is about to be done, or what came of it.
    pub fn record(
        &self,
        what: &str,
        target: &str,
        statements: &[String],
        result: Option<String>,
    ) -> Result<Head, AuditError> {
        let record = Record {
            operation: self.operation.clone(),
            what: what.to_owned(),
            target: target.to_owned(),
            statements: statements.to_vec(),
            result,
        };
        self.audit.append(&self.operator, record, Timestamp::now())
    }
}
