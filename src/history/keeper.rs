//! The thread that writes: takes snapshots, writes a minute a minute, turns hours round, throws away what is old.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::diary::Diary;
use super::minute::{Filling, Minute, Subjects, minute_of};
use super::place::{prepare, set_aside};
use super::records::records;
use super::store::{Store, StoreError};
use super::{Ask, Notice, Options};
use crate::domain::history::{Curve, Stretch, Whose};
use crate::domain::{Past, Snapshot};

/// Ended findings that wait for a disk that does not take them.
const ENDED_MOST: usize = 10_000;

/// A file larger than this keeps a third of what it would: it grows by doubling, and must stay below half a gigabyte.
const CROWDED: u64 = 200 << 20;

/// Minutes that must follow one another before anything is thrown away for its age: a clock that stepped forward, and is put
/// right again, must not cost what was kept.
const STEADY: u32 = 10;

/// How often records are made anew, in minutes.
const RECORDS_EVERY: u32 = 10;

pub(super) struct Keeper {
    options: Options,
    past: watch::Sender<Arc<Past>>,
    tell: Box<dyn Fn(Notice) + Send>,
    pub(super) store: Option<Store>,
    filling: Filling,
    diary: Diary,
    /// What was told last: the same trouble is told once.
    told: Option<String>,
    /// The hour in which old things were thrown away last.
    expired: u32,
    /// The last minute, and how many have followed one another up to it.
    steady: (u32, u32),
}

impl Keeper {
    pub fn new(options: Options, past: watch::Sender<Arc<Past>>, tell: Box<dyn Fn(Notice) + Send>) -> Self {
        let (filling, diary) = (Filling::default(), Diary::default());
        Self { options, past, tell, store: None, filling, diary, told: None, expired: 0, steady: (0, 0) }
    }

    /// Goes on until nobody asks or publishes any more.
    pub async fn run(mut self, mut snapshots: watch::Receiver<Arc<Snapshot>>, mut asks: mpsc::Receiver<Ask>) {
        self.open(snapshots.borrow().taken_at);
        loop {
            tokio::select! {
                biased;
                ask = asks.recv() => match ask {
                    Some(Ask::Curve { whose, stretch, now, answer }) => {
                        // Who asked may have gone on to somebody else.
                        let _ = answer.send(self.curve(&whose, stretch, now));
                    }
                    Some(Ask::Close(done)) => {
                        self.end();
                        let _ = done.send(());
                        return;
                    }
                    None => break,
                },
                changed = snapshots.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let snapshot = Arc::clone(&snapshots.borrow_and_update());
                    self.take(&snapshot);
                }
            }
        }
        self.end();
    }

    pub(super) fn take(&mut self, snapshot: &Snapshot) {
        let minute = self.filling.take(snapshot);
        self.diary.take(snapshot);
        if let Some(minute) = minute {
            self.minute(&minute, snapshot.taken_at);
        }
    }

    /// Whatever was gathered is written; the file is closed in order.
    pub(super) fn end(&mut self) {
        let minute = self.filling.close();
        self.write(minute.as_ref());
        self.store = None;
    }

    fn say(&mut self, text: String, bad: bool) {
        if self.told.as_ref() != Some(&text) {
            (self.tell)(Notice { text: text.clone(), bad });
            self.told = Some(text);
        }
    }

    /// Opens the file: to write, else to read along, else not at all.
    pub(super) fn open(&mut self, now: Timestamp) {
        let opened = match self.open_to_write() {
            Err(StoreError::Foreign(why)) => {
                self.store = None;
                match set_aside(&self.options.path, now) {
                    Ok(aside) => {
                        let name = aside.display();
                        self.say(format!("the history was damaged or not ours ({why}); set aside as {name}"), true);
                        self.open_to_write()
                    }
                    Err(error) => Err(StoreError::Disk(format!("it is damaged and cannot be set aside: {error}"))),
                }
            }
            opened => opened,
        };
        match opened {
            Ok(store) => {
                self.store = Some(store);
                self.resume(now);
            }
            Err(StoreError::Taken) if self.store.is_none() => match Store::read(&self.options.path) {
                Ok(store) => {
                    self.store = Some(store);
                    self.resume(now);
                    self.say("another console writes the history; this one reads along".to_owned(), false);
                }
                Err(error) => self.say(format!("another console has the history: {error}"), false),
            },
            Err(StoreError::Taken) => {}
            Err(error) => self.failed(&error),
        }
    }

    fn open_to_write(&self) -> Result<Store, StoreError> {
        prepare(&self.options.path).map_err(|error| StoreError::Disk(error.to_string()))?;
        Store::write(&self.options.path)
    }

    /// Goes on where the file ends, and tells what it knows.
    fn resume(&mut self, now: Timestamp) {
        let Some(store) = &self.store else { return };
        match (store.subjects(), store.standing()) {
            (Ok(subjects), Ok(left)) => {
                self.filling = Filling::of(Subjects::load(subjects));
                self.diary = Diary::resume(left, now);
                self.publish();
            }
            (Err(error), _) | (_, Err(error)) => self.failed(&error),
        }
    }

    /// A minute is over.
    fn minute(&mut self, minute: &Minute, now: Timestamp) {
        if self.store.as_ref().is_none_or(|store| !store.writes()) {
            // Whoever wrote may have left; a full disk may have room again.
            self.open(now);
            if self.store.as_ref().is_some_and(|store| !store.writes()) && minute.at.is_multiple_of(RECORDS_EVERY) {
                self.publish();
            }
            return;
        }
        if self.write(Some(minute)) {
            self.tidy(minute_of(now));
            if minute.at.is_multiple_of(RECORDS_EVERY) {
                self.publish();
            }
        }
    }

    fn write(&mut self, minute: Option<&Minute>) -> bool {
        let Some(store) = self.store.as_ref().filter(|store| store.writes()) else {
            self.diary.ended.truncate(ENDED_MOST);
            return false;
        };
        let seen: std::collections::HashSet<u32> =
            minute.iter().flat_map(|minute| minute.seen.iter().copied()).collect();
        let names: Vec<(Whose, u32)> = self.filling.subjects.iter().filter(|(_, row)| seen.contains(row)).collect();
        let open: Vec<_> = self.diary.open().collect();
        match store.minute(minute, &names, &open, &self.diary.ended) {
            Ok(()) => {
                self.diary.ended.clear();
                self.told = None;
                true
            }
            Err(error) => {
                self.failed(&error);
                false
            }
        }
    }

    /// Hours that are over are turned round, what is old goes.
    fn tidy(&mut self, now: u32) {
        let follows = now.checked_sub(self.steady.0).is_some_and(|passed| passed <= 2);
        self.steady = (now, if follows { self.steady.1 + 1 } else { 0 });
        let Some(store) = &self.store else { return };
        let crowded = std::fs::metadata(&self.options.path).is_ok_and(|file| file.len() > CROWDED);
        let rolled = store.unrolled(now).and_then(|hours| hours.into_iter().try_for_each(|hour| store.roll(hour)));
        let gone = match rolled {
            Ok(()) if now / 60 != self.expired && self.steady.1 >= STEADY => {
                store.expire(now, self.options.keep, crowded)
            }
            Ok(()) => return,
            Err(error) => Err(error),
        };
        match gone {
            Ok(gone) => {
                self.expired = now / 60;
                self.filling.subjects.forget(&gone);
            }
            Err(error) => self.failed(&error),
        }
    }

    /// The file cannot be used now: it is let go, and tried again a minute later. What was true stays in memory.
    fn failed(&mut self, error: &StoreError) {
        self.store = None;
        let path = self.options.path.display();
        self.say(format!("history is not kept: {path}: {error}"), true);
    }

    pub(super) fn publish(&mut self) {
        let Some(store) = &self.store else { return };
        match records(store, &self.filling.subjects, &self.diary) {
            Ok(records) => {
                let standing = self.diary.open().map(super::diary::Episode::standing).collect();
                self.past.send_replace(Arc::new(Past { records, standing }));
            }
            Err(error) => self.failed(&error),
        }
    }

    pub(super) fn curve(&self, whose: &Whose, stretch: Stretch, now: Timestamp) -> Curve {
        let curve = |readings, trouble| Curve { whose: whose.clone(), stretch, readings, trouble };
        let Some(store) = &self.store else {
            return curve(Vec::new(), Some("there is no history to read".to_owned()));
        };
        // Somebody else's rows are read anew: new tenants get new ones.
        let row = if store.writes() {
            self.filling.subjects.row(whose)
        } else {
            store.subjects().ok().and_then(|subjects| Subjects::load(subjects).row(whose))
        };
        match row.map_or(Ok(Vec::new()), |row| store.readings(row, stretch, now)) {
            Ok(readings) => curve(readings, None),
            Err(error) => curve(Vec::new(), Some(error.to_string())),
        }
    }
}
