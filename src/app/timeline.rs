//! What was found when, and when it was over: a bounded log of this console's own watch.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use crate::domain::{Finding, Severity, Signal, Snapshot, Subject};

/// The most events that are kept; the oldest go first.
const MOST: usize = 500;

/// What became of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It was there when the watch began.
    Before,
    /// It appeared.
    Began,
    /// It got another severity.
    Became,
    /// It is over.
    Ended,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When it was seen.
    pub at: Timestamp,
    /// What happened.
    pub turn: Turn,
    /// To which finding.
    pub signal: Signal,
    /// About what.
    pub subject: Subject,
    /// How bad it is, or was.
    pub severity: Severity,
    /// What it said then.
    pub summary: String,
}

#[derive(Debug, Clone)]
struct Known {
    severity: Severity,
    summary: String,
    /// When it was seen last.
    last: Timestamp,
    /// The picture that it was seen in last, counted from the first.
    picture: u64,
}

/// The log.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    /// Since when this console watches; `None` before the first picture.
    pub since: Option<Timestamp>,
    /// The events, oldest first.
    pub events: VecDeque<Event>,
    /// Events that were dropped for want of room.
    pub dropped: usize,
    known: BTreeMap<(Signal, Subject), Known>,
    pictures: u64,
}

impl Timeline {
    /// Takes in a picture.
    pub fn take(&mut self, snapshot: &Snapshot) {
        // A picture without instances is the one before anything was seen.
        if snapshot.instances.is_empty() {
            return;
        }
        let first = self.since.is_none();
        let since = *self.since.get_or_insert(snapshot.taken_at);
        self.pictures += 1;
        let picture = self.pictures;
        for finding in &snapshot.findings {
            let key = (finding.signal, finding.subject.clone());
            if finding.over_for.is_some() {
                continue;
            }
            // It began later than it was last seen: that one ended, whether we saw a picture without it or not.
            let another = self.known.get(&key).is_some_and(|known| finding.since > known.last);
            if let Some(known) = another.then(|| self.known.remove(&key)).flatten() {
                self.ended(known.last, key.clone(), known);
            }
            match self.known.get_mut(&key) {
                Some(known) if known.severity == finding.severity => {
                    known.picture = picture;
                    known.last = snapshot.taken_at;
                    if known.summary != finding.summary {
                        known.summary.clone_from(&finding.summary);
                    }
                }
                Some(known) => {
                    known.picture = picture;
                    known.last = snapshot.taken_at;
                    known.severity = finding.severity;
                    self.note(snapshot.taken_at, Turn::Became, finding);
                }
                None => {
                    let known = Known {
                        severity: finding.severity,
                        summary: finding.summary.clone(),
                        last: snapshot.taken_at,
                        picture,
                    };
                    self.known.insert(key, known);
                    // What had begun before the watch did is told with its own beginning.
                    let before = first || finding.since < since;
                    let turn = if before { Turn::Before } else { Turn::Began };
                    self.note(if before { finding.since } else { snapshot.taken_at }, turn, finding);
                }
            }
        }
        let (kept, gone) = std::mem::take(&mut self.known).into_iter().partition(|(_, known)| known.picture == picture);
        self.known = kept;
        for (key, known) in BTreeMap::<(Signal, Subject), Known>::into_iter(gone) {
            let over = snapshot.findings.iter().find(|finding| finding.signal == key.0 && finding.subject == key.1);
            let ago = over
                .and_then(|finding| finding.over_for)
                .and_then(|over| jiff::SignedDuration::try_from_secs_f64(over).ok());
            let at = ago.and_then(|ago| snapshot.taken_at.checked_sub(ago).ok()).unwrap_or(snapshot.taken_at);
            self.ended(at, key, known);
        }
    }

    /// How often a finding came, as far as the log goes back, and when it came first; `None`: once at the most.
    pub fn times(&self, finding: &Finding) -> Option<(usize, Timestamp)> {
        let came = |event: &&Event| {
            matches!(event.turn, Turn::Before | Turn::Began)
                && event.signal == finding.signal
                && event.subject == finding.subject
        };
        let mut all = self.events.iter().filter(came);
        let first = all.next()?;
        Some((1 + all.count(), first.at)).filter(|(times, _)| *times > 1)
    }

    fn ended(&mut self, at: Timestamp, (signal, subject): (Signal, Subject), known: Known) {
        let Known { severity, summary, .. } = known;
        self.push(Event { at, turn: Turn::Ended, signal, subject, severity, summary });
    }

    fn note(&mut self, at: Timestamp, turn: Turn, finding: &Finding) {
        self.push(Event {
            at,
            turn,
            signal: finding.signal,
            subject: finding.subject.clone(),
            severity: finding.severity,
            summary: finding.summary.clone(),
        });
    }

    fn push(&mut self, event: Event) {
        // In order of time: what had begun earlier is told earlier.
        let at = self.events.partition_point(|other| other.at <= event.at);
        self.events.insert(at, event);
        if self.events.len() > MOST {
            self.events.pop_front();
            self.dropped += 1;
        }
    }
}
