//! What is acknowledged and muted, kept: a JSON file in the state folder for each configuration's instances, shared by every
//! console and command of a user.
//!
//! Whoever changes it holds a lock, reads it anew, and puts a whole new file in its place; whoever reads it gets one or the
//! other, never half of one. A file that cannot be read is set aside, and nothing is lost but these words.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use super::whole;
use crate::clients::Environment;
use crate::config::Config;
use crate::domain::{Acknowledgement, Attention, Snapshot};

/// The version of its shape.
const SCHEMA: u32 = 1;

/// How often the file is looked at: somebody else may have changed it.
const LOOK: Duration = Duration::from_secs(1);

/// More than anybody keeps in mind; the oldest go first.
const MOST: usize = 1_000;

/// What is in the file.
#[derive(Serialize, Deserialize)]
struct Content {
    schema: u32,
    acknowledged: Vec<Acknowledgement>,
}

/// Why it could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no place for it.
    #[error("there is no folder to keep acknowledgements in; set TIERDECK_STATE to one, or state in the configuration")]
    Nowhere,
    /// The operating system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// Where they are kept.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
}

/// What was read, and what had to be said about it.
#[derive(Debug, Default, PartialEq)]
pub struct Read {
    /// What holds still.
    pub words: Vec<Acknowledgement>,
    /// A file that could not be understood was set aside: where.
    pub set_aside: Option<PathBuf>,
}

impl Store {
    /// In this file.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Of these instances: what is known of staging's silences nothing in production.
    pub fn of(config: &Config, environment: &Environment) -> Result<Self, StoreError> {
        let folder = config.state_folder(environment).ok_or(StoreError::Nowhere)?;
        Ok(Self::at(folder.join(format!("acknowledged-{}.json", config.identity()))))
    }

    /// What holds still at this moment.
    pub fn read(&self, now: Timestamp) -> Result<Read, StoreError> {
        let path = self.path.clone();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Read::default()),
            Err(source) => return Err(StoreError::Io { doing: "read", path, source }),
        };
        if let Ok(Content { schema: SCHEMA, acknowledged: mut words }) = serde_json::from_slice(&text) {
            words.retain(|word| word.until > now);
            return Ok(Read { words, set_aside: None });
        }
        // Not ours, broken, or of a later version: kept for whoever can make sense of it.
        let aside = whole::set_aside(&path, now);
        let aside = aside.map_err(|source| StoreError::Io { doing: "set aside", path, source })?;
        Ok(Read { words: Vec::new(), set_aside: Some(aside) })
    }

    /// Changes what is kept, alone, and returns what is kept then.
    pub fn change(&self, now: Timestamp, change: impl FnOnce(&mut Vec<Acknowledgement>)) -> Result<Read, StoreError> {
        let io = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { doing, path, source }
        };
        if let Some(folder) = self.path.parent() {
            whole::folder(folder).map_err(io("make", folder))?;
        }
        let guard = self.path.with_extension("lock");
        let file = File::options().create(true).append(true).open(&guard).map_err(io("open", &guard))?;
        let _alone = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| StoreError::Io {
            doing: "lock",
            path: guard,
            source: error.into(),
        })?;
        let mut read = self.read(now)?;
        change(&mut read.words);
        read.words.sort_by_key(|word| word.at);
        let surplus = read.words.len().saturating_sub(MOST);
        read.words.drain(..surplus);
        let content = Content { schema: SCHEMA, acknowledged: read.words.clone() };
        let text = serde_json::to_vec_pretty(&content).map_err(std::io::Error::other);
        text.and_then(|text| whole::replace(&self.path, &text)).map_err(io("write", &self.path))?;
        Ok(read)
    }

    /// Keeps a word, instead of what was said about the same before.
    pub fn add(&self, now: Timestamp, word: Acknowledgement) -> Result<Read, StoreError> {
        self.change(now, |words| {
            words.retain(|other| !same(other, &word));
            words.push(word);
        })
    }

    /// Takes back what was said about the same.
    pub fn remove(&self, now: Timestamp, word: &Acknowledgement) -> Result<Read, StoreError> {
        self.change(now, |words| words.retain(|other| !same(other, word)))
    }

    /// What would be different if somebody had changed it.
    fn stamp(&self) -> Option<(SystemTime, u64, u64)> {
        use std::os::unix::fs::MetadataExt as _;
        let file = fs::metadata(&self.path).ok()?;
        Some((file.modified().ok()?, file.len(), file.ino()))
    }
}

/// Whether both are about the same finding.
pub fn same(one: &Acknowledgement, other: &Acknowledgement) -> bool {
    (one.signal, one.kind, &one.id, &one.instance) == (other.signal, other.kind, &other.id, &other.instance)
}

/// Which acknowledgements have had their finding, so that they end with it.
#[derive(Debug, Default)]
pub struct Fulfilled {
    seen: BTreeSet<(crate::domain::Signal, crate::domain::SubjectKind, String, String)>,
}

impl Fulfilled {
    /// Those whose finding was there, and is gone now: they are to be forgotten. What is muted stays for its time.
    pub fn over<'a>(&mut self, words: &'a [Acknowledgement], snapshot: &Snapshot) -> Vec<&'a Acknowledgement> {
        let mut over = Vec::new();
        for word in words.iter().filter(|word| word.attention == Attention::Acknowledged) {
            let key = (word.signal, word.kind, word.id.clone(), word.instance.clone());
            let there = snapshot.findings.iter().any(|finding| word.covers(finding, snapshot.taken_at));
            if there {
                self.seen.insert(key);
            } else if self.seen.remove(&key) {
                over.push(word);
            }
        }
        over
    }
}

/// Keeps a poller told of what is in the store, and the store free of what is over, until the poller ends. What has to be
/// said of it goes to `tell`.
pub async fn follow(
    store: Store,
    words: watch::Sender<Arc<Vec<Acknowledgement>>>,
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    tell: mpsc::Sender<String>,
) {
    let mut fulfilled = Fulfilled::default();
    let mut stamp = None;
    let mut clock = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = clock.tick() => {
                let now = store.stamp();
                if now != stamp {
                    stamp = now;
                    let store = store.clone();
                    renew(&words, &tell, move || store.read(Timestamp::now())).await;
                }
            }
            changed = snapshots.changed() => {
                if changed.is_err() {
                    return;
                }
                let kept = words.borrow().clone();
                let over: Vec<Acknowledgement> = {
                    let snapshot = snapshots.borrow_and_update();
                    fulfilled.over(&kept, &snapshot).into_iter().cloned().collect()
                };
                if !over.is_empty() {
                    let store = store.clone();
                    let forget = move || {
                        store.change(Timestamp::now(), |words| words.retain(|word| !over.contains(word)))
                    };
                    renew(&words, &tell, forget).await;
                }
            }
        }
    }
}

/// Does something with the store where that may wait, and tells the poller what came of it.
pub async fn renew(
    words: &watch::Sender<Arc<Vec<Acknowledgement>>>,
    tell: &mpsc::Sender<String>,
    work: impl FnOnce() -> Result<Read, StoreError> + Send + 'static,
) -> bool {
    // A panic in there is a bug that must not take the console with it: nothing is changed then.
    let Ok(done) = tokio::task::spawn_blocking(work).await else { return false };
    match done {
        Ok(read) => {
            words.send_if_modified(|kept| {
                let changed = **kept != read.words;
                if changed {
                    *kept = Arc::new(read.words);
                }
                changed
            });
            if let Some(aside) = read.set_aside {
                let said = format!("acknowledgements could not be read and were set aside: {}", aside.display());
                let _ = tell.try_send(said);
            }
            true
        }
        Err(error) => {
            let _ = tell.try_send(error.to_string());
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Evidence, Finding, InstanceName, Severity, Signal, Subject, SubjectKind, Unit};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn word(id: &str, attention: Attention) -> Acknowledgement {
        Acknowledgement {
            signal: Signal::LockChain,
            kind: SubjectKind::Tenant,
            id: id.to_owned(),
            instance: "shared".to_owned(),
            attention,
            by: "ann@desk".to_owned(),
            why: "on it".to_owned(),
            at: at(0),
            seen: None,
            cause: None,
            until: at(100),
        }
    }

    fn snapshot(second: i64, ids: &[&str]) -> Snapshot {
        let mut snapshot = Snapshot::empty(at(second), "test");
        snapshot.findings = ids
            .iter()
            .map(|id| Finding {
                signal: Signal::LockChain,
                severity: Severity::Warning,
                subject: Subject {
                    kind: SubjectKind::Tenant,
                    id: (*id).to_owned(),
                    instance: InstanceName::new("shared"),
                },
                summary: String::new(),
                evidence: vec![Evidence::fact("x", 1.0, Unit::Count)],
                advice: String::new(),
                statement: None,
                since: at(0),
                onset: None,
                culprits: Vec::new(),
                victims: Vec::new(),
                stale: false,
                over_for: None,
                acknowledged: None,
            })
            .collect();
        snapshot
    }

    #[test]
    fn words_are_kept_replaced_taken_back_and_end_by_themselves() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path().join("deep/down/words.json"));
        assert_eq!(store.read(at(0)).unwrap(), Read::default());
        store.add(at(0), word("acme", Attention::Acknowledged)).unwrap();
        store.add(at(1), word("globex", Attention::Muted)).unwrap();
        store.add(at(2), word("acme", Attention::Muted)).unwrap();
        let kept = store.read(at(3)).unwrap().words;
        let ids: Vec<_> = kept.iter().map(|word| (word.id.as_str(), word.attention)).collect();
        assert_eq!(ids, [("globex", Attention::Muted), ("acme", Attention::Muted)]);
        assert_eq!(store.remove(at(3), &word("acme", Attention::Acknowledged)).unwrap().words.len(), 1);
        assert_eq!(store.read(at(99)).unwrap().words.len(), 1);
        assert_eq!(store.read(at(100)).unwrap().words, []);
    }

    #[test]
    fn a_file_that_makes_no_sense_is_set_aside_and_kept() {
        for text in ["", "{\"schema\": 1, \"acknow", "[]", "{\"schema\": 2, \"acknowledged\": []}", "\u{0}"] {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::at(folder.path().join("words.json"));
            fs::write(&store.path, text).unwrap();
            let read = store.read(at(0)).unwrap();
            let aside = read.set_aside.unwrap();
            assert_eq!((read.words, fs::read_to_string(aside).unwrap()), (Vec::new(), text.to_owned()));
            assert_eq!(store.add(at(1), word("acme", Attention::Muted)).unwrap().words.len(), 1, "it goes on");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Store::at(file.join("below/words.json"))
            .add(at(0), word("acme", Attention::Muted))
            .unwrap_err()
            .to_string();
        assert!(error.contains("cannot make") && error.contains("file/below"), "{error}");
    }

    #[test]
    fn many_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path().join("words.json"));
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..10 {
                        store.add(at(0), word(&format!("t-{worker}-{number}"), Attention::Muted)).unwrap();
                    }
                });
            }
        });
        assert_eq!(store.read(at(0)).unwrap().words.len(), 40);
    }

    #[test]
    fn an_acknowledgement_ends_with_its_finding_and_a_mute_does_not() {
        let words = [word("acme", Attention::Acknowledged), word("globex", Attention::Muted)];
        let mut fulfilled = Fulfilled::default();
        let mut over = |second, ids: &[&str]| -> Vec<String> {
            fulfilled.over(&words, &snapshot(second, ids)).iter().map(|word| word.id.clone()).collect()
        };
        let none: [&str; 0] = [];
        assert_eq!(over(0, &[]), none, "said before the finding was seen: it waits for it");
        assert_eq!(over(1, &["acme", "globex"]), none);
        assert_eq!(over(2, &[]), ["acme"]);
        assert_eq!(over(3, &[]), none);
    }

    #[tokio::test]
    async fn a_poller_hears_what_another_process_wrote_and_forgets_what_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path().join("words.json"));
        let (words, mut heard) = watch::channel(Arc::default());
        let (publish, snapshots) = watch::channel(Arc::new(Snapshot::empty(Timestamp::now(), "test")));
        let (tell, _said) = mpsc::channel(4);
        let following = tokio::spawn(follow(store.clone(), words, snapshots, tell));
        let mut word = word("acme", Attention::Acknowledged);
        word.until = Timestamp::now() + jiff::SignedDuration::from_secs(600);
        let kept = word.clone();
        store.add(Timestamp::now(), word).unwrap();
        let wait = Duration::from_secs(20);
        tokio::time::timeout(wait, heard.wait_for(|words| words.len() == 1)).await.unwrap().unwrap();
        let mut there = snapshot(0, &["acme"]);
        there.taken_at = Timestamp::now();
        publish.send_replace(Arc::new(there));
        // Until it has seen the finding, an empty picture means nothing: both are sent until it has forgotten.
        let forgotten = async {
            loop {
                let mut there = snapshot(0, &["acme"]);
                there.taken_at = Timestamp::now();
                publish.send_replace(Arc::new(there));
                tokio::task::yield_now().await;
                publish.send_replace(Arc::new(Snapshot::empty(Timestamp::now(), "test")));
                if tokio::time::timeout(Duration::from_millis(50), heard.wait_for(|words| words.is_empty()))
                    .await
                    .is_ok()
                {
                    return;
                }
            }
        };
        tokio::time::timeout(wait, forgotten).await.unwrap();
        assert!(!store.read(Timestamp::now()).unwrap().words.contains(&kept));
        drop(publish);
        tokio::time::timeout(wait, following).await.unwrap().unwrap();
    }
}
