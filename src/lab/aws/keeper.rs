//! Who looks after a running cluster, as RDS's own agent does: its heartbeat, how far its archive reaches, its metrics.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
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

    /// The newest copy from which this moment can be reached.
    pub fn base(&self, at: Timestamp) -> Option<Arc<Store>> {
        self.bases.iter().rev().find(|base| base.finished <= at).cloned()
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

/// How often what is done.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between heartbeats, and looks at who is active.
    pub beat: Duration,
    /// Between looks at everything else.
    pub sample: Duration,
    /// An archive may grow by this much before a new base is wanted.
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

/// WAL is archived in its order, so that everything up to the newest file is there.
fn newest_wal(archive: &Path) -> Option<String> {
    fs::read_dir(archive)
        .ok()?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| is_wal(name))
        .max()
}

/// Bytes of WAL in the archive.
pub fn archive_size(machine: &Machine) -> u64 {
    let entries = fs::read_dir(&machine.archive).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|seen| seen.len()).sum()
}

/// Removes what no base needs any more: all WAL before the first that the oldest base needs.
pub fn trim(machine: &Machine) {
    let needed: BTreeSet<String> = machine.kept().bases.iter().map(|base| base.first_wal.clone()).collect();
    let Some(first) = needed.first() else { return };
    for entry in fs::read_dir(&machine.archive).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_wal(&name) && name < *first {
            let _ = fs::remove_file(entry.path());
        }
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
}
