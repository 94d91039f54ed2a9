//! Who looks after a running cluster, as RDS's own agent does: its heartbeat, how far its archive reaches, its metrics.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, DirEntry};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_postgres::Error;

use super::machine::{Machine, OWN_DATABASE};
use super::sampler::Sampler;
use super::series::Series;
use super::store::{Store, is_wal};
use crate::lab::cluster::SUPERUSER;
use crate::lab::door::Link;

/// Beats that were not archived yet; more than this many wait only where nothing is archived.
const BEATS: usize = 4_000;

/// What is known of a cluster's backups and its work.
#[derive(Debug, Default)]
pub struct Kept {
    /// Copies from which a moment can be reached, the oldest first.
    pub bases: Vec<Arc<Store>>,
    /// Every moment up to this one can be reached from the archive.
    pub latest: Option<Timestamp>,
    /// What was measured.
    pub series: Series,
    beats: VecDeque<Beat>,
    /// The first WAL files of those who read on in the archive just now.
    readers: Vec<String>,
}

/// WAL files of an archive, with their bytes.
pub type Archive = BTreeMap<String, u64>;

/// Somebody who rolls a copy forward: as long as this is held, the WAL for it stays.
#[derive(Debug)]
pub struct Reading {
    /// Whose WAL.
    pub source: Arc<Machine>,
    first_wal: String,
}

impl Reading {
    /// The newest copy from which a moment can be reached, and a hold on the way there.
    pub fn begin(source: &Arc<Machine>, at: Timestamp) -> Option<(Arc<Store>, Self)> {
        let mut kept = source.kept();
        let base = kept.bases.iter().rev().find(|base| base.finished <= at).cloned()?;
        let first_wal = base.first_wal.clone();
        kept.readers.push(first_wal.clone());
        Some((base, Self { source: Arc::clone(source), first_wal }))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut kept = self.source.kept();
        if let Some(place) = kept.readers.iter().position(|first| *first == self.first_wal) {
            kept.readers.swap_remove(place);
        }
    }
}

/// A commit of ours, and the WAL file that it is in.
#[derive(Debug)]
struct Beat {
    at: Timestamp,
    wal: String,
}

impl Kept {
    /// The earliest and the latest moment that can be reached.
    pub fn window(&self) -> Option<(Timestamp, Timestamp)> {
        let earliest = self.bases.first()?.finished;
        let latest = self.latest?;
        (latest >= earliest).then_some((earliest, latest))
    }

    /// Lets those bases go without which still so many bytes of WAL can be rolled through: the window never becomes smaller.
    pub fn let_go(&mut self, archive: &Archive, bytes: u64) -> Vec<Arc<Store>> {
        let enough = self.bases.iter().skip(1).take_while(|base| reach(base, archive) >= bytes).count();
        self.bases.drain(..enough).collect()
    }

    /// Whether so many bytes of WAL came after the newest base that another one is due.
    pub fn wants_base(&self, archive: &Archive, bytes: u64) -> bool {
        self.bases.last().is_some_and(|base| reach(base, archive) >= bytes)
    }

    /// The first WAL file that a base or a reader needs.
    fn needed(&self) -> Option<String> {
        self.bases.iter().map(|base| &base.first_wal).chain(&self.readers).min().cloned()
    }

    /// Nothing can be reached any more.
    pub fn forget(&mut self) {
        self.bases.clear();
        self.beats.clear();
        self.latest = None;
    }

    fn beat(&mut self, at: Timestamp, wal: String, archived: Option<&str>) {
        self.beats.push_back(Beat { at, wal });
        if self.beats.len() > BEATS {
            self.beats.pop_front();
        }
        while let Some(beat) = self.beats.front()
            && archived.is_some_and(|archived| beat.wal.as_str() <= archived)
        {
            // Recovery stops at the first commit after its target, so this commit's own moment is out of reach: nothing
            // after it may be in the archive. What is told is told to the millisecond.
            self.latest = beat.at.checked_sub(SignedDuration::from_millis(1)).ok();
            self.beats.pop_front();
        }
    }
}

/// Bytes of WAL that a base can be rolled through.
fn reach(base: &Store, archive: &Archive) -> u64 {
    let after = (Bound::Excluded(base.last_wal.as_str()), Bound::Unbounded);
    archive.range::<str, _>(after).map(|(_, bytes)| bytes).sum()
}

/// How often what is done.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between heartbeats, and looks at who is active.
    pub beat: Duration,
    /// Between looks at everything else, the archives among it.
    pub sample: Duration,
    /// About as much WAL is kept, and never less than half of it: at each half there is a new base.
    pub archive_bytes: u64,
}

/// Looks after a machine until it is gone.
pub async fn keep(machine: Weak<Machine>, pace: Pace) {
    let mut clock = interval(pace.beat);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut link = None;
    let mut sampler = Sampler::default();
    let mut all_seen: Option<Instant> = None;
    loop {
        clock.tick().await;
        let Some(machine) = machine.upgrade() else { return };
        let all = all_seen.is_none_or(|at| at.elapsed() >= pace.sample);
        match turn(&machine, &mut link, &mut sampler, all).await {
            Ok(()) if all => all_seen = Some(Instant::now()),
            Ok(()) => {}
            // Restarted, stopped, or full: the next turn finds out.
            Err(_) => link = None,
        }
    }
}

async fn turn(machine: &Machine, link: &mut Option<Link>, sampler: &mut Sampler, all: bool) -> Result<(), Error> {
    if link.is_none() {
        let made = machine.open(SUPERUSER, OWN_DATABASE).await?;
        let table = "CREATE TABLE IF NOT EXISTS rds_heartbeat2 (id int PRIMARY KEY, value timestamptz NOT NULL)";
        made.client.batch_execute(table).await?;
        *sampler = Sampler::default();
        *link = Some(made);
    }
    let Some(link) = link.as_ref() else { return Ok(()) };
    let beat = "INSERT INTO rds_heartbeat2 VALUES (1, now()) ON CONFLICT (id) DO UPDATE SET value = now()";
    link.client.execute(beat, &[]).await?;
    let row = link
        .client
        .query_one(
            "SELECT pg_xact_commit_timestamp(xmin), pg_walfile_name(pg_current_wal_insert_lsn()) FROM rds_heartbeat2",
            &[],
        )
        .await?;
    let archived = newest_wal(&machine.archive);
    if let Some(at) = row.get(0) {
        machine.kept().beat(at, row.get(1), archived.as_deref());
    }
    sampler.activity(machine, &link.client).await?;
    if all {
        sampler.all(machine, &link.client).await?;
    }
    Ok(())
}

fn wal_files(archive: &Path) -> impl Iterator<Item = (String, DirEntry)> {
    let entries = fs::read_dir(archive).into_iter().flatten().flatten();
    let named = entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry));
    named.filter(|(name, _)| is_wal(name))
}

/// WAL is archived in its order, so that everything up to the newest file is there.
fn newest_wal(archive: &Path) -> Option<String> {
    wal_files(archive).map(|(name, _)| name).max()
}

/// The WAL in an archive.
pub fn archived(archive: &Path) -> Archive {
    wal_files(archive).filter_map(|(name, entry)| Some((name, entry.metadata().ok()?.len()))).collect()
}

/// Removes WAL that neither a base nor a reader needs any more.
pub fn trim(machine: &Machine) {
    let Some(first) = machine.kept().needed() else { return };
    for (_, entry) in wal_files(&machine.archive).filter(|(name, _)| *name < first) {
        let _ = fs::remove_file(entry.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn what_can_be_reached_ends_before_the_last_archived_commit() {
        let mut kept = Kept::default();
        let wal = |number: u32| format!("0000000100000000{number:08X}");
        kept.beat(at(1), wal(1), None);
        kept.beat(at(2), wal(2), None);
        assert_eq!(kept.latest, None);
        kept.beat(at(3), wal(3), Some(&wal(2)));
        assert_eq!(kept.latest, Some(at(2) - SignedDuration::from_millis(1)));
        kept.beat(at(4), wal(3), Some(&wal(2)));
        assert_eq!(kept.latest, Some(at(2) - SignedDuration::from_millis(1)));
        assert_eq!(kept.window(), None, "without a base there is no window");
    }

    #[test]
    fn the_window_holds_half_of_what_the_archive_may_whatever_goes() {
        let (half, most) = (8, 24);
        let wal = |number: i64| format!("0000000100000000{number:08X}");
        let mut kept = Kept::default();
        let mut archive = Archive::new();
        kept.bases.push(Arc::new(Store::of_wal(&wal(1), &wal(2), at(0))));
        let mut gone = 0;
        for number in 1..200 {
            archive.insert(wal(number), 1);
            gone += kept.let_go(&archive, half).len();
            if kept.wants_base(&archive, half) {
                // While it is copied, more is written.
                kept.bases.push(Arc::new(Store::of_wal(&wal(number + 1), &wal(number + 3), at(number))));
            }
            let needed = kept.needed().unwrap();
            archive.retain(|name, _| *name >= needed);
            let held = reach(&kept.bases[0], &archive);
            assert!(held >= half.min((number - 2).max(0).cast_unsigned()), "{held} of {number}");
            assert!(archive.len() <= most, "{} files at {number}", archive.len());
        }
        assert!(gone > 10, "{gone} bases went");
        // Whoever reads on needs what no base needs any more.
        kept.readers.push(wal(3));
        assert_eq!(kept.needed(), Some(wal(3)));
    }
}
