//! That somebody knows of a finding: who, why, until when.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::finding::{Finding, Signal, SubjectKind};

/// What becomes of the finding meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Attention {
    /// Somebody works on it: it is shown, dimmed and after the others. Forgotten when the finding goes, and not true of the
    /// next one.
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
    /// When the picture was taken in which the finding was seen; `None`: it was said without looking at one.
    #[serde(default)]
    pub seen: Option<Timestamp>,
    /// What caused it then ([`super::Onset::cause`]).
    #[serde(default)]
    pub cause: Option<Timestamp>,
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
            && (self.attention == Attention::Muted || self.knows(finding))
    }

    /// Whether it had begun when this was said: somebody who knows of one incident knows nothing of the next. Without the
    /// server's word on its beginning nobody can tell; then the word ends when the finding does.
    fn knows(&self, finding: &Finding) -> bool {
        let Some(onset) = finding.onset else { return true };
        let same = match (onset.cause, self.cause, self.seen) {
            (Some(cause), Some(known), _) => cause == known,
            (Some(_), None, None) => onset.caused().is_some_and(|cause| cause <= self.at),
            _ => false,
        };
        same || finding.since <= self.seen.unwrap_or(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{InstanceName, Onset, Severity, Subject};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn finding(since: i64, onset: Option<Onset>) -> Finding {
        Finding {
            signal: Signal::LockChain,
            severity: Severity::Critical,
            subject: Subject {
                kind: SubjectKind::Tenant,
                id: "globex".to_owned(),
                instance: InstanceName::new("shared"),
            },
            summary: String::new(),
            evidence: Vec::new(),
            advice: String::new(),
            statement: None,
            since: at(since),
            onset,
            culprits: Vec::new(),
            victims: Vec::new(),
            stale: false,
            over_for: None,
            acknowledged: None,
        }
    }

    /// A word as the version before kept it, said at second 100.
    fn word() -> Acknowledgement {
        let text = r#"{"signal": "lock-chain", "kind": "tenant", "id": "globex", "instance": "shared",
            "attention": "acknowledged", "by": "ann@desk", "why": "on it",
            "at": "1970-01-12T13:48:20Z", "until": "1970-01-12T14:46:40Z"}"#;
        serde_json::from_str(text).unwrap()
    }

    fn began(second: i64, cause: i64) -> Onset {
        Onset { cause: Some(at(cause)), ..at(second).into() }
    }

    #[test]
    fn who_knows_of_one_incident_knows_nothing_of_the_next() {
        let word = word();
        assert_eq!(word.at, at(100));
        let covers = |word: &Acknowledgement, finding: &Finding| word.covers(finding, at(200));
        assert!(covers(&word, &finding(90, Some(began(90, 80)))));
        assert!(!covers(&word, &finding(120, Some(began(120, 110)))), "it began after the word");
        assert!(
            covers(&word, &finding(120, Some(began(120, 80)))),
            "others wait anew for a transaction from before it"
        );
        assert!(covers(&word, &finding(120, None)), "the server says nothing of its beginning");
        let muted = Acknowledgement { attention: Attention::Muted, ..word.clone() };
        assert!(covers(&muted, &finding(120, Some(began(120, 110)))), "what is muted is so for its time");
        // Said in a console, looking at a picture of second 70, and typed until second 100.
        let looked = Acknowledgement { seen: Some(at(70)), cause: Some(at(50)), ..word };
        assert!(covers(&looked, &finding(60, Some(began(120, 50)))));
        assert!(
            covers(&looked, &finding(120, Some(began(120, 50)))),
            "the same transaction, seen from another process"
        );
        assert!(!covers(&looked, &finding(80, Some(began(80, 75)))), "it began while the operator typed");
        assert!(
            !covers(&looked, &finding(120, Some(began(120, 60)))),
            "another transaction, however old, that blocks only now"
        );
    }
}
