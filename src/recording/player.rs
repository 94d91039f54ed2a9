//! Playing: the same board under a clock that can be stopped, hurried and set.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::film::{Film, Lines};
use super::line::Line;
use crate::domain::playback::{Order, Playback, SPEEDS};
use crate::domain::{Past, Signal, Snapshot, Subject};
use crate::poll::{self, Board};
use crate::signals::Evaluator;

/// Places to go back to that are kept at most; when there are more, every second one goes.
const MARKS: usize = 24;

/// How often the picture moves.
const TICK: Duration = Duration::from_millis(50);

/// Where a film stands, and the board at that moment.
#[derive(Clone)]
struct Mark {
    at: Timestamp,
    line: usize,
    board: Board,
    newest: Arc<Snapshot>,
}

/// A finding that begins at the moment that is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// Which signal.
    pub signal: Signal,
    /// About what.
    pub subject: Subject,
    /// Which of those that begin at this moment, from 1 on.
    pub nth: usize,
    /// How many those are.
    pub of: usize,
}

impl fmt::Display for Beginning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.of > 1 {
            write!(out, "{} of {} that begin here: ", self.nth, self.of)?;
        }
        write!(out, "{} ({})", self.signal, self.subject.id)
    }
}

/// A film that can be moved to any moment. Blocks while it reads.
pub struct Reel {
    film: Film,
    lines: Lines,
    /// A line that was read and is not due yet.
    next: Option<Line>,
    board: Board,
    newest: Arc<Snapshot>,
    now: Timestamp,
    marks: Vec<Mark>,
    every: SignedDuration,
    /// When findings began, as far as was played, and which.
    begins: BTreeMap<Timestamp, Vec<(Signal, Subject)>>,
    /// The beginning that was told last: when, and which of those that began then.
    told: Option<(Timestamp, usize)>,
    shown: BTreeSet<(Signal, Subject)>,
    over: bool,
}

impl Reel {
    /// Stands at the beginning.
    pub fn new(film: Film) -> io::Result<Self> {
        let lines = film.lines()?;
        let board = poll::board(&film.config, Evaluator::steady());
        let now = film.began;
        let newest = Arc::new(Snapshot::empty(now, &film.config.environment));
        let first = Mark { at: now, line: 0, board: board.clone(), newest: Arc::clone(&newest) };
        Ok(Self {
            film,
            lines,
            next: None,
            board,
            newest,
            now,
            marks: vec![first],
            every: SignedDuration::from_secs(30),
            begins: BTreeMap::new(),
            told: None,
            shown: BTreeSet::new(),
            over: false,
        })
    }

    /// What is played.
    pub fn film(&self) -> &Film {
        &self.film
    }

    /// The moment.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The newest snapshot up to that moment.
    pub fn newest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.newest)
    }

    /// Whether nothing more comes; and then, whether that is because the file was cut.
    pub fn is_over(&self) -> Option<bool> {
        self.over.then_some(!self.lines.ended)
    }

    /// When the recording ends. Reads all of it.
    pub fn end(film: &Film) -> Option<Timestamp> {
        film.lines().ok()?.last()
    }

    /// The next snapshot, whenever it was made; `None` when there is none.
    pub fn step(&mut self) -> Option<Arc<Snapshot>> {
        self.until(None)
    }

    /// Plays up to a moment; goes back first where that lies in the past.
    pub fn go_to(&mut self, moment: Timestamp) -> io::Result<()> {
        if moment < self.now {
            self.rewind(moment)?;
        }
        while self.until(Some(moment)).is_some() {}
        self.now = if self.over { self.now } else { moment };
        Ok(())
    }

    /// Plays on until a finding begins, and says which; of several that begin at one moment, one after the other. Stays
    /// where it is where none does.
    pub fn next_finding(&mut self) -> io::Result<Option<Beginning>> {
        if let Some((at, nth)) = self.told_here()
            && self.begins.get(&at).is_some_and(|begun| nth + 1 < begun.len())
        {
            self.told = Some((at, nth + 1));
            return Ok(self.beginning());
        }
        let here = self.now;
        while self.step().is_some() {
            if self.begins.contains_key(&self.now) {
                self.told = Some((self.now, 0));
                return Ok(self.beginning());
            }
        }
        self.go_to(here)?;
        Ok(None)
    }

    /// Goes back to where the finding before began, and says which; `None` where there is none.
    pub fn previous_finding(&mut self) -> io::Result<Option<Beginning>> {
        let told = self.told_here();
        if let Some((at, nth)) = told.filter(|(_, nth)| *nth > 0) {
            self.told = Some((at, nth - 1));
            return Ok(self.beginning());
        }
        let back = self.now.checked_sub(SignedDuration::from_secs(2)).unwrap_or(Timestamp::MIN);
        let before = told.map_or(back, |(at, _)| at);
        let Some((&begin, all)) = self.begins.range(..before).next_back() else { return Ok(None) };
        let last = all.len().saturating_sub(1);
        self.go_to(begin)?;
        self.told = Some((begin, last));
        Ok(self.beginning())
    }

    /// How many findings began, as far as was played.
    pub fn begun(&self) -> usize {
        self.begins.values().map(Vec::len).sum()
    }

    /// What was told last, if we still stand there.
    fn told_here(&self) -> Option<(Timestamp, usize)> {
        self.told.filter(|(at, _)| *at == self.now)
    }

    fn beginning(&self) -> Option<Beginning> {
        let (at, nth) = self.told?;
        let begun = self.begins.get(&at)?;
        let (signal, subject) = begun.get(nth)?.clone();
        Some(Beginning { signal, subject, nth: nth + 1, of: begun.len() })
    }

    /// Takes lines up to the next snapshot that is due; `None` when there is none.
    fn until(&mut self, moment: Option<Timestamp>) -> Option<Arc<Snapshot>> {
        loop {
            let Some(line) = self.next.take().or_else(|| self.lines.next()) else {
                self.over = true;
                return None;
            };
            let at = line.at();
            if moment.is_some_and(|moment| at > moment) {
                self.next = Some(line);
                return None;
            }
            match line {
                Line::News { at, origin, news } => self.board.take(at, origin, news),
                Line::Past { past, .. } => self.board.recall(&Past::from(past)),
                Line::Snapshot { at } => return Some(self.picture(at)),
                Line::Header(_) | Line::End { .. } => {}
            }
        }
    }

    fn picture(&mut self, at: Timestamp) -> Arc<Snapshot> {
        self.newest = Arc::new(self.board.snapshot(at));
        self.now = self.now.max(at);
        let findings = || self.newest.findings.iter().map(|finding| (finding.signal, finding.subject.clone()));
        let new: Vec<_> = findings().filter(|finding| !self.shown.contains(finding)).collect();
        self.shown = findings().collect();
        if !new.is_empty() {
            self.begins.insert(at, new);
        }
        if self.marks.last().is_none_or(|mark| at.duration_since(mark.at) >= self.every) {
            let (board, newest) = (self.board.clone(), Arc::clone(&self.newest));
            self.marks.push(Mark { at, line: self.lines.read, board, newest });
            if self.marks.len() > MARKS {
                let mut place = 0;
                self.marks.retain(|_| {
                    place += 1;
                    place % 2 == 1
                });
                self.every *= 2;
            }
        }
        Arc::clone(&self.newest)
    }

    fn rewind(&mut self, moment: Timestamp) -> io::Result<()> {
        let mark = self.marks.iter().rev().find(|mark| mark.at <= moment).or(self.marks.first()).cloned();
        let Some(mark) = mark else { return Ok(()) };
        self.lines = self.film.lines()?;
        self.lines.skip_to(mark.line);
        (self.next, self.over) = (None, false);
        (self.now, self.board, self.newest) = (mark.at, mark.board, mark.newest);
        let findings = self.newest.findings.iter();
        self.shown = findings.map(|finding| (finding.signal, finding.subject.clone())).collect();
        Ok(())
    }
}

/// What the thread listens to.
type Orders = std::sync::mpsc::Receiver<Order>;

/// A film that plays by itself, on a thread of its own; ends when it is dropped.
#[derive(Debug)]
pub struct Player {
    /// The snapshot of the moment.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Where it stands.
    pub state: watch::Receiver<Playback>,
    /// What to do; nobody is left to do it when the thread is gone.
    pub orders: std::sync::mpsc::SyncSender<Order>,
    /// The moment, in milliseconds since 1970: the console's clock.
    pub clock: Arc<AtomicI64>,
}

impl Player {
    /// Begins to play.
    pub fn start(film: Film) -> io::Result<Self> {
        let reel = Reel::new(film.clone())?;
        let (publish, snapshots) = watch::channel(reel.newest());
        let (tell, state) = watch::channel(Playback {
            began: film.began,
            end: None,
            now: film.began,
            speed: 1,
            playing: true,
            over: None,
            redacted: film.redacted,
            note: None,
            notes: 0,
        });
        let (orders, inbox) = std::sync::mpsc::sync_channel(32);
        let clock = Arc::new(AtomicI64::new(film.began.as_millisecond()));
        let end = tell.clone();
        std::thread::Builder::new().name("film's end".to_owned()).spawn(move || {
            let last = Reel::end(&film);
            end.send_modify(|state| state.end = last);
        })?;
        let show = Show { reel, publish, tell, clock: Arc::clone(&clock) };
        std::thread::Builder::new().name("player".to_owned()).spawn(move || show.run(&inbox))?;
        Ok(Self { snapshots, state, orders, clock })
    }
}

/// The thread's own.
struct Show {
    reel: Reel,
    publish: watch::Sender<Arc<Snapshot>>,
    tell: watch::Sender<Playback>,
    clock: Arc<AtomicI64>,
}

impl Show {
    fn run(mut self, orders: &Orders) {
        let mut last = Instant::now();
        loop {
            let order = match orders.recv_timeout(TICK) {
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let passed = last.elapsed();
            last = Instant::now();
            let moved = match order {
                Some(order) => self.obey(order),
                None => self.go_on(passed),
            };
            if let Err(error) = moved {
                self.tell.send_modify(|state| {
                    (state.playing, state.note) =
                        (false, Some(format!("the recording cannot be read any more: {error}")));
                });
            }
            if order.is_some() {
                // What looking took is no time of the film.
                last = Instant::now();
            }
            self.show();
            if self.publish.is_closed() {
                return;
            }
        }
    }

    fn go_on(&mut self, passed: Duration) -> io::Result<()> {
        let (playing, speed) = {
            let state = self.tell.borrow();
            (state.playing, state.speed)
        };
        if playing {
            let step = SignedDuration::try_from(passed * speed).unwrap_or_default();
            let there = self.reel.now().checked_add(step).unwrap_or(Timestamp::MAX);
            self.reel.go_to(there)?;
        }
        Ok(())
    }

    fn obey(&mut self, order: Order) -> io::Result<()> {
        let mut note = None;
        match order {
            Order::Toggle => self.tell.send_modify(|state| state.playing = !state.playing),
            Order::Faster | Order::Slower => self.tell.send_modify(|state| {
                let at = SPEEDS.iter().position(|speed| *speed == state.speed).unwrap_or(0);
                let next = if order == Order::Faster { at + 1 } else { at.saturating_sub(1) };
                state.speed = SPEEDS.get(next).copied().unwrap_or(state.speed);
            }),
            Order::Seek(seconds) => {
                let began = self.reel.film().began;
                let step = SignedDuration::from_secs(seconds);
                let there = self.reel.now().checked_add(step).unwrap_or(Timestamp::MAX);
                self.reel.go_to(there.max(began))?;
            }
            Order::NextFinding => {
                note = Some(match self.reel.next_finding()? {
                    Some(begins) => self.stop_at(&begins),
                    None => format!("no further finding; {} in all", self.reel.begun()),
                });
            }
            Order::PreviousFinding => {
                note = Some(match self.reel.previous_finding()? {
                    Some(begins) => self.stop_at(&begins),
                    None => "no finding began before".to_owned(),
                });
            }
        }
        self.tell.send_modify(|state| {
            state.notes += u64::from(note.is_some());
            state.note = note;
        });
        Ok(())
    }

    /// Stops where a finding begins; says which it is.
    fn stop_at(&self, begins: &Beginning) -> String {
        self.tell.send_modify(|state| state.playing = false);
        begins.to_string()
    }

    /// Shows where we are, if anything changed.
    fn show(&mut self) {
        let now = self.reel.now();
        self.clock.store(now.as_millisecond(), Ordering::Relaxed);
        let newest = self.reel.newest();
        let changed = !Arc::ptr_eq(&self.publish.borrow(), &newest);
        if changed {
            self.publish.send_replace(newest);
        }
        let over = self.reel.is_over();
        self.tell.send_if_modified(|state| {
            let before = state.clone();
            (state.now, state.over) = (now, over);
            if over.is_some() {
                state.playing = false;
            }
            *state != before
        });
    }
}
