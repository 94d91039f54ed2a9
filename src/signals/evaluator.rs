//! From what checks see at one moment to findings that stay put: what is new must hold, what is over must stay over,
//! and what cannot be seen any more is neither.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::domain::snapshot::Reach;
use crate::domain::{
    Finding, InstanceName, Onset, Severity, Signal, Standing, Subject, SubjectKind, Thresholds, Unknown,
};

use super::said::{Said, Sayings};
use super::{Check, Doubt, Place, REGISTRY, Raised, Scene};

/// For how many seconds after a restart a finding from before it is taken for the same one: some sources are asked rarely.
const EXPECTED: f64 = 900.0;

/// Three of CloudWatch's periods.
const CALM: f64 = 180.0;

/// A server's clock that differs by more than an answer may take is wrong, or ours is.
const SKEWED: SignedDuration = SignedDuration::from_secs(5);

/// Remembers what was wrong before, so that findings do not flap.
#[derive(Debug, Clone, Default)]
pub struct Evaluator {
    /// `None`: whatever is wrong now is a finding now.
    memory: Option<Memory>,
    /// Then: since when each of what was wrong has been seen, and when last.
    looks: BTreeMap<(Signal, Subject), (Timestamp, Timestamp)>,
    sayings: Sayings,
}

impl Evaluator {
    /// For a console: findings are held and cleared by the thresholds' times.
    pub fn steady() -> Self {
        Self { memory: Some(Memory::default()), ..Self::default() }
    }

    /// For one look, or one after the other: whatever is wrong now is a finding now.
    pub fn immediate() -> Self {
        Self::default()
    }

    /// Takes what was true a moment before we began to look: seen again, it need not be held anew, and began when it did.
    pub fn expect(&mut self, standing: &[Standing]) {
        let Some(memory) = &mut self.memory else { return };
        for standing in standing {
            let key = (standing.signal, standing.subject.clone());
            if let Some(known) = memory.known.get_mut(&key) {
                if continues(known.onset, standing) {
                    known.since = known.since.min(standing.since);
                }
                known.shown = true;
            } else {
                memory.expected.insert(key, (standing.clone(), memory.elapsed + EXPECTED));
            }
        }
    }

    /// What is shown now, as [`Evaluator::expect`] takes it.
    pub fn standing(&self) -> Vec<Standing> {
        let known = self.memory.iter().flat_map(|memory| &memory.known).filter(|(_, known)| known.shown);
        known
            .map(|((signal, subject), known)| Standing {
                signal: *signal,
                subject: subject.clone(),
                since: known.since,
                seen: Some(known.seen),
            })
            .collect()
    }

    /// The findings, the worst first, and what cannot be judged.
    pub fn evaluate(&mut self, scene: &Scene<'_>) -> (Vec<Finding>, Vec<Arc<Unknown>>) {
        let mut passing = Memory::default();
        let immediate = self.memory.is_none();
        let memory = self.memory.as_mut().unwrap_or(&mut passing);
        let mut unknown = Vec::new();
        let places = scene.places();
        let moment = memory.moment(scene, &places);
        for &check in REGISTRY {
            let said = self.sayings.ask(check, scene, &places);
            memory.take(check, &moment, &said, immediate);
            unknown.extend(said.iter().flat_map(|said| &said.doubts).map(|doubt| Arc::clone(&doubt.unknown)));
        }
        let instances: BTreeSet<&InstanceName> = scene.instances.iter().map(|instance| &instance.name).collect();
        // What is about an instance that nobody polls is there for as long as it is said.
        let elapsed = memory.elapsed;
        memory.known.retain(|(_, of), known| instances.contains(&of.instance) || known.last_true >= elapsed);
        unknown.sort();
        unknown.dedup();
        let mut findings = memory.findings();
        if immediate {
            self.begin(&mut findings, scene);
        }
        (findings, unknown)
    }

    /// What look after look sees began when the first of them saw it, unless it was gone for as long as a finding stays,
    /// or the server says that it is another.
    fn begin(&mut self, findings: &mut [Finding], scene: &Scene<'_>) {
        let now = scene.now;
        let away = |last: Timestamp| now.duration_since(last).as_secs_f64();
        let clear_after = scene.thresholds.clear_after_seconds;
        let slow: Vec<Signal> = REGISTRY.iter().filter(|it| it.is_of_minutes()).map(|check| check.signal()).collect();
        let patience = |signal: &Signal| if slow.contains(signal) { clear_after.max(CALM) } else { clear_after };
        self.looks.retain(|(signal, _), (_, last)| away(*last) <= patience(signal));
        for finding in findings {
            let (first, last) =
                self.looks.entry((finding.signal, finding.subject.clone())).or_insert((finding.since, now));
            if finding.began_after(*last) {
                *first = finding.since;
            }
            // A clock that stepped back must not leave findings that begin in the future.
            *first = finding.since.min(*first);
            (finding.since, *last) = (*first, now);
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Memory {
    /// The clock at the last evaluation.
    last: Option<Timestamp>,
    /// Seconds that have passed, as far as the clock went forward.
    elapsed: f64,
    known: BTreeMap<(Signal, Subject), Known>,
    /// What was true before we began, and until when that is believed.
    expected: BTreeMap<(Signal, Subject), (Standing, f64)>,
}

/// One evaluation's time.
struct Moment<'a> {
    now: Timestamp,
    /// Of each instance that answers: when its sessions were looked at, and how far its clock is ahead of ours.
    looked: BTreeMap<&'a InstanceName, (Timestamp, SignedDuration)>,
    /// Seconds on a clock that never goes back.
    elapsed: f64,
    hold: f64,
    clear_after: f64,
}

/// Something that is or was wrong.
#[derive(Debug, Clone)]
struct Known {
    /// As it was when last seen.
    raised: Arc<Raised>,
    /// When that began, by our own clock.
    onset: Option<Onset>,
    /// Since when: first seen by the wall clock, or earlier where the server says so. When the worst of several ends
    /// and a younger one takes its place, it has still been wrong since the first.
    since: Timestamp,
    /// First seen, in seconds of [`Moment::elapsed`].
    began: f64,
    /// Last true, or last out of sight.
    last_true: f64,
    /// When the picture was taken in which it was last true.
    seen: Timestamp,
    /// It was not true, or out of sight, at some moment since then.
    paused: bool,
    shown: bool,
    stale: bool,
    severity: Falling<Severity>,
    victims: Falling<usize>,
}

/// A value that rises at once and falls only after it has been lower for a while.
#[derive(Debug, Clone)]
struct Falling<T> {
    value: T,
    /// The greatest value since it has been lower, and since when.
    lower: Option<(T, f64)>,
}

impl<T: Copy + Ord> Falling<T> {
    fn take(&mut self, new: T, moment: &Moment<'_>, clear_after: f64) {
        if new >= self.value {
            *self = Self { value: new, lower: None };
            return;
        }
        let (most, since) = self.lower.map_or((new, moment.elapsed), |(most, since)| (most.max(new), since));
        self.lower = Some((most, since));
        if moment.elapsed - since >= clear_after {
            *self = Self { value: most, lower: None };
        }
    }
}

impl Memory {
    fn moment<'a>(&mut self, scene: &Scene<'a>, places: &[Place<'a>]) -> Moment<'a> {
        let passed = self.last.map_or(0.0, |last| scene.now.duration_since(last).as_secs_f64().max(0.0));
        self.last = Some(scene.now);
        self.elapsed += passed;
        let Thresholds { hold_seconds: hold, clear_after_seconds: clear_after, .. } = *scene.thresholds;
        Moment {
            now: scene.now,
            looked: places.iter().filter_map(looked).collect(),
            elapsed: self.elapsed,
            hold,
            clear_after,
        }
    }

    /// What one check says now.
    fn take(&mut self, check: &dyn Check, moment: &Moment<'_>, said: &[Arc<Said>], immediate: bool) {
        let signal = check.signal();
        let clear_after = if check.is_of_minutes() { moment.clear_after.max(CALM) } else { moment.clear_after };
        for (key, known) in self.known.iter_mut().filter(|(key, _)| key.0 == signal) {
            // A clock that stepped back must not leave findings that begin in the future.
            known.since = known.since.min(moment.now);
            known.seen = known.seen.min(moment.now);
            known.stale =
                known.shown && said.iter().flat_map(|said| &said.doubts).any(|it| it.touches(&key.1, &known.raised));
        }
        let raised = || said.iter().flat_map(|said| &said.raised);
        let now_true: BTreeSet<&Subject> = raised().map(|raised| &raised.subject).collect();
        self.expected.retain(|_, (_, until)| *until >= moment.elapsed);
        for raised in raised() {
            let key = (signal, raised.subject.clone());
            let onset = raised.since.map(|onset| moment.ours(&raised.subject.instance, onset));
            let before = self.expected.remove(&key).map(|(standing, _)| standing);
            let known = self.known.entry(key).or_insert_with(|| {
                let since =
                    before.as_ref().filter(|standing| continues(onset, standing)).map(|standing| standing.since);
                Known::begins(raised, since.unwrap_or(moment.now), before.is_some(), moment)
            });
            if known.paused && known.is_another(onset) {
                *known = Known::begins(raised, moment.now, known.shown, moment);
            }
            known.severity.take(raised.severity, moment, clear_after);
            known.victims.take(raised.victims.len(), moment, clear_after);
            known.since = onset.map_or(known.since, |onset| onset.at.min(known.since));
            known.onset = onset;
            known.seen = moment.looked.get(&raised.subject.instance).map_or(moment.now, |(at, _)| *at).min(moment.now);
            known.raised = Arc::clone(raised);
            known.stale = false;
            known.paused = false;
            known.last_true = moment.elapsed;
            known.shown |= immediate || !check.holds() || moment.elapsed - known.began >= moment.hold;
        }
        self.known.retain(|(of, subject), known| {
            if *of != signal || now_true.contains(subject) {
                return true;
            }
            known.paused = true;
            if known.stale {
                known.last_true = moment.elapsed;
                return true;
            }
            let quiet = moment.elapsed - known.last_true;
            // What is not shown yet may pause for less than it has to hold: a sample may miss it.
            if known.shown { check.lingers() && quiet < clear_after } else { quiet < moment.hold }
        });
    }

    /// What is shown: the worst first, then whoever hurts most others, then the oldest; equals stay where they are.
    fn findings(&self) -> Vec<Finding> {
        let mut shown: Vec<(&(Signal, Subject), &Known)> = self.known.iter().filter(|(_, known)| known.shown).collect();
        shown.sort_by_cached_key(|((signal, subject), known)| {
            let place = REGISTRY.iter().position(|check| check.signal() == *signal);
            // What is true now stands before what was.
            let past = known.stale || known.over_for(self.elapsed).is_some();
            let worst = (Reverse(known.severity.value), past, Reverse(known.victims.value), signal.is_upkeep());
            (worst, known.since, place, subject.clone())
        });
        shown.into_iter().map(|((signal, _), known)| known.finding(*signal, self.elapsed)).collect()
    }
}

impl Known {
    fn begins(raised: &Arc<Raised>, since: Timestamp, shown: bool, moment: &Moment<'_>) -> Self {
        Self {
            severity: Falling { value: raised.severity, lower: None },
            victims: Falling { value: raised.victims.len(), lower: None },
            raised: Arc::clone(raised),
            onset: None,
            since: since.min(moment.now),
            began: moment.elapsed,
            last_true: moment.elapsed,
            seen: moment.now,
            paused: false,
            shown,
            stale: false,
        }
    }

    /// Whether what began then did so after this was last seen, and for a reason of its own: then it is not the same incident.
    fn is_another(&self, onset: Option<Onset>) -> bool {
        let Some(Onset { at, cause, by_server: true, .. }) = onset else { return false };
        let same = cause.is_some() && cause == self.onset.and_then(|onset| onset.cause);
        at > self.seen && !same
    }

    /// Seconds since it was last true, if it is not true now and we can see that.
    fn over_for(&self, elapsed: f64) -> Option<f64> {
        let quiet = elapsed - self.last_true;
        (quiet > 0.0 && !self.stale).then_some(quiet)
    }

    fn finding(&self, signal: Signal, elapsed: f64) -> Finding {
        let Raised { subject, summary, evidence, advice, statement, culprits, victims, .. } =
            Raised::clone(&self.raised);
        let (severity, since, stale) = (self.severity.value, self.since, self.stale);
        let over_for = self.over_for(elapsed);
        // What is over, or out of sight, must not be acted upon: its pids may be somebody else's by now.
        let statement = statement.filter(|_| over_for.is_none() && !stale);
        Finding {
            signal,
            severity,
            subject,
            summary,
            evidence,
            advice,
            statement,
            since,
            onset: self.onset.filter(|onset| onset.by_server),
            culprits,
            victims,
            stale,
            over_for,
            acknowledged: None,
        }
    }
}

/// Whether what began then is what was seen before we began.
fn continues(onset: Option<Onset>, standing: &Standing) -> bool {
    let after = |at: Timestamp| standing.seen.is_some_and(|seen| at > seen);
    !onset.is_some_and(|onset| onset.by_server && after(onset.at) && onset.caused().is_none_or(after))
}

impl Moment<'_> {
    /// A server's time by our own clock, where the two differ.
    fn ours(&self, instance: &InstanceName, onset: Onset) -> Onset {
        let looked = self.looked.get(instance).filter(|_| onset.by_server);
        looked.map_or(onset, |(_, ahead)| onset.ours(*ahead))
    }
}

/// When an instance's sessions were looked at, and how far its clock is ahead of ours.
fn looked<'a>(place: &Place<'a>) -> Option<(&'a InstanceName, (Timestamp, SignedDuration))> {
    let at = place.instance.activity.at.filter(|_| matches!(place.instance.reach, Reach::Up))?;
    let ahead = place.sessions.first().map_or(SignedDuration::ZERO, |session| session.server_now.duration_since(at));
    Some((&place.instance.name, (at, if ahead.abs() > SKEWED { ahead } else { SignedDuration::ZERO })))
}

impl Doubt {
    /// Whether this is why nothing can be said about something that was raised before.
    fn touches(&self, subject: &Subject, raised: &Raised) -> bool {
        let about = &self.unknown.subject;
        let here = about.kind == SubjectKind::Estate
            || about.instance == subject.instance && (about.kind == SubjectKind::Instance || about == subject);
        here && self.source.is_none_or(|source| raised.rests_on.contains(&source))
    }
}
