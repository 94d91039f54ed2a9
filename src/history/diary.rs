//! When findings began and ended: so that `since` survives a restart, and noisy times are counted.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::{Finding, InstanceName, Severity, Signal, Snapshot, Standing, Subject, SubjectKind, TenantId};

/// A finding that was seen this long ago, when it is seen again after a restart, has been true all the time.
pub(super) const RECENT: SignedDuration = SignedDuration::from_mins(15);

/// One finding from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Episode {
    pub signal: Signal,
    pub kind: SubjectKind,
    pub id: String,
    pub instance: InstanceName,
    pub severity: Severity,
    pub culprits: Vec<TenantId>,
    pub since: Timestamp,
    /// When it was last seen.
    pub last: Timestamp,
}

impl Episode {
    fn of(finding: &Finding, now: Timestamp) -> Self {
        Self {
            signal: finding.signal,
            kind: finding.subject.kind,
            id: finding.subject.id.clone(),
            instance: finding.subject.instance.clone(),
            severity: finding.severity,
            culprits: finding.culprits.clone(),
            since: finding.since,
            last: now,
        }
    }

    fn key(&self) -> (Signal, Subject) {
        (self.signal, Subject { kind: self.kind, id: self.id.clone(), instance: self.instance.clone() })
    }

    /// As the evaluator takes it.
    pub fn standing(&self) -> Standing {
        let (signal, subject) = self.key();
        Standing { signal, subject, since: self.since, seen: Some(self.last) }
    }

    /// How long it lasted, in seconds.
    pub fn seconds(&self) -> f64 {
        self.last.duration_since(self.since).as_secs_f64().max(0.0)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Diary {
    open: BTreeMap<(Signal, Subject), Episode>,
    /// When we began to look: what was last seen before that is left from an earlier run.
    began: Option<Timestamp>,
    /// Ended and not written yet.
    pub ended: Vec<Episode>,
}

impl Diary {
    /// Goes on where it was left: what was seen recently may still be true.
    pub fn resume(left: Vec<Episode>, now: Timestamp) -> Self {
        let mut diary = Self { began: Some(now), ..Self::default() };
        for episode in left {
            if now.duration_since(episode.last) <= RECENT {
                diary.open.insert(episode.key(), episode);
            } else {
                diary.ended.push(episode);
            }
        }
        diary
    }

    /// Takes what is true now.
    pub fn take(&mut self, snapshot: &Snapshot) {
        let now = snapshot.taken_at;
        for finding in snapshot.findings.iter().filter(|finding| finding.over_for.is_none()) {
            let seen = Episode::of(finding, now);
            match self.open.get_mut(&seen.key()) {
                // It began later than it was last seen: it ended, and this is another one.
                Some(known) if finding.began_after(known.last) => {
                    let ended = std::mem::replace(known, seen);
                    self.ended.push(ended);
                }
                Some(known) => {
                    known.since = known.since.min(seen.since);
                    known.severity = known.severity.max(seen.severity);
                    known.last = now;
                    for culprit in seen.culprits {
                        if !known.culprits.contains(&culprit) {
                            known.culprits.push(culprit);
                        }
                    }
                }
                None => {
                    self.open.insert(seen.key(), seen);
                }
            }
        }
        // What is not true any more has ended; what is left from before a restart has a while to be seen again, and what is
        // over and still shown may come back.
        let shown = |key: &(Signal, Subject)| {
            snapshot.findings.iter().any(|finding| finding.signal == key.0 && finding.subject == key.1)
        };
        let ended: Vec<(Signal, Subject)> = self
            .open
            .iter()
            .filter(|(_, episode)| episode.last < now)
            .map(|(key, _)| key)
            .filter(|key| !shown(key))
            .cloned()
            .collect();
        for key in ended {
            let left = self.open.get(&key).is_some_and(|episode| self.is_left(episode, now));
            if !left {
                self.ended.extend(self.open.remove(&key));
            }
        }
    }

    fn is_left(&self, episode: &Episode, now: Timestamp) -> bool {
        self.began.is_some_and(|began| episode.last < began) && now.duration_since(episode.last) <= RECENT
    }

    /// What is true now, or may be.
    pub fn open(&self) -> impl Iterator<Item = &Episode> {
        self.open.values()
    }
}
