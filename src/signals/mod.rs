//! What is wrong: one file a signal, one registry that evaluator, help, README and tests iterate.
//!
//! Pure. A [`Check`] looks at one [`Scene`] and says what it sees right now; the [`Evaluator`] remembers, so that a
//! finding must hold for a while before it is shown and must be gone for a while before it goes.

use jiff::Timestamp;

use crate::domain::{
    Evidence, Finding, Instance, Naming, Policy, Session, Severity, Signal, Subject, Tenant, TenantId, Thresholds,
    Unknown,
};

/// What a check may look at.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// When.
    pub now: Timestamp,
    /// Instances.
    pub instances: &'a [Instance],
    /// Tenants, sorted by id.
    pub tenants: &'a [Tenant],
    /// Sessions of all instances.
    pub sessions: &'a [Session],
    /// How tenants are named.
    pub naming: &'a Naming,
    /// What logins should have.
    pub policy: &'a Policy,
    /// What to compare with.
    pub thresholds: &'a Thresholds,
}

/// Something that is wrong right now.
#[derive(Debug, Clone, PartialEq)]
pub struct Raised {
    /// How bad.
    pub severity: Severity,
    /// About what: the culprit, where there is one.
    pub subject: Subject,
    /// One sentence: who hurts whom, how much.
    pub summary: String,
    /// The numbers.
    pub evidence: Vec<Evidence>,
    /// One sentence: the next step.
    pub advice: String,
    /// Since when, where the server itself says so.
    pub since: Option<Timestamp>,
    /// Who causes it.
    pub culprits: Vec<TenantId>,
    /// Who suffers.
    pub victims: Vec<TenantId>,
}

/// What a check says.
#[derive(Debug, Default)]
pub struct Verdicts {
    /// What is wrong.
    pub raised: Vec<Raised>,
    /// What cannot be judged.
    pub unknown: Vec<Unknown>,
}

/// One signal.
pub trait Check: Sync {
    /// Which.
    fn signal(&self) -> Signal;
    /// One line for help and README: what it means and when it fires.
    fn about(&self) -> &'static str;
    /// What is wrong right now.
    fn check(&self, scene: &Scene<'_>, verdicts: &mut Verdicts);
}

/// Every signal, in the order in which help and README list them.
pub static REGISTRY: &[&dyn Check] = &[];

/// Remembers what was wrong before, so that findings do not flap.
#[derive(Debug, Default)]
pub struct Evaluator {}

impl Evaluator {
    /// For a console: findings are held and cleared by the thresholds' times.
    pub fn steady() -> Self {
        Self {}
    }

    /// For one look: whatever is wrong now is a finding now.
    pub fn immediate() -> Self {
        Self {}
    }

    /// The findings, the worst first, and what cannot be judged.
    pub fn evaluate(&mut self, _scene: &Scene<'_>) -> (Vec<Finding>, Vec<Unknown>) {
        (Vec::new(), Vec::new())
    }
}
