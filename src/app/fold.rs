//! Two findings about one session: whoever leaves a transaction open and keeps others waiting by it is told of once, on the
//! first screen. Documents, pages and exports tell of both.

use crate::domain::{Finding, Signal};

/// What is told along with a finding, in its row.
pub fn along(findings: &[Finding], lead: &Finding) -> Option<usize> {
    let leads = |other: &Finding| {
        other.signal == Signal::IdleInTransaction
            && other.subject.instance == lead.subject.instance
            && other.severity <= lead.severity
            && other.over_for.is_none()
            && !other.stale
            && attention(other) == attention(lead)
            // The same statement ends the same session: pid and start of the backend stand in it.
            && other.statement.is_some()
            && other.statement == lead.statement
    };
    (lead.signal == Signal::LockChain).then(|| findings.iter().position(leads)).flatten()
}

/// The places of all findings that are told along with another.
pub(super) fn folded(findings: &[Finding]) -> Vec<usize> {
    findings.iter().filter_map(|lead| along(findings, lead)).collect()
}

/// What somebody said of it: what was acknowledged does not hide what was not.
fn attention(finding: &Finding) -> Option<crate::domain::Attention> {
    finding.acknowledged.as_ref().map(|known| known.attention)
}
