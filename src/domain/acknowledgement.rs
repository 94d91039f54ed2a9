//! That somebody knows of a finding: who, why, until when.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::finding::{Finding, Signal, SubjectKind};

/// What becomes of the finding meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Attention {
    /// Somebody works on it: it is shown, dimmed and after the others, and it is forgotten when the finding goes.
    Acknowledged,
    /// Nobody wants to see it until then: it is counted and not shown.
    Muted,
}

/// One such word. Kept in the state folder, so that it survives a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Which signal.
    pub signal: Signal,
    /// About what kind of thing.
    pub kind: SubjectKind,
    /// Its name, as in the finding's subject.
    pub id: String,
    /// On which instance.
    pub instance: String,
    /// What becomes of it.
    pub attention: Attention,
    /// Who said so: the operator's login name and host.
    pub by: String,
    /// Why, in their words. Sanitised where printed.
    pub why: String,
    /// When.
    pub at: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

impl Acknowledgement {
    /// Whether it is about this finding and still holds.
    pub fn covers(&self, finding: &Finding, now: Timestamp) -> bool {
        now < self.until
            && self.signal == finding.signal
            && self.kind == finding.subject.kind
            && self.id == finding.subject.id
            && self.instance == finding.subject.instance.as_str()
    }
}
