//! How far back a restore reaches, while the archive is cut; and that nobody who reads it misses a file.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tierdeck::lab::AwsStand;
use tokio_postgres::Client;

use super::gate::{Gate, data_folder};
use super::moments::{available, call, describe, element, login, make, rds};
use super::with_archive;

const MIB: u64 = 1 << 20;
/// What an archive may hold.
const LIMIT: u64 = 16 * MIB;
const PATIENCE: Duration = Duration::from_secs(120);

/// A moment, and where in the WAL the server was by then.
async fn place(client: &Client) -> (Timestamp, u64) {
    let sql = "SELECT clock_timestamp(), pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8";
    let row = client.query_one(sql, &[]).await.unwrap();
    (row.get(0), row.get::<_, f64>(1) as u64)
}

/// Since when everything can be reached.
async fn earliest(stand: &AwsStand) -> Timestamp {
    let text = rds(stand, "DescribeDBInstanceAutomatedBackups", &[("DBInstanceIdentifier", "source")]).await;
    element(&text, "EarliestTime").unwrap().parse().unwrap()
}

/// A row of about a megabyte.
async fn fill(client: &Client) {
    let much = "SELECT string_agg(gen_random_uuid()::text, '') FROM generate_series(1, 27000)";
    client.batch_execute(&format!("INSERT INTO written (what) {much}")).await.unwrap();
}

fn wal_files(archive: &Path) -> Vec<String> {
    let names = std::fs::read_dir(archive).unwrap().flatten().map(|it| it.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.len() == 24).collect();
    names.sort();
    names
}

/// Until everything that is committed by now can be reached.
async fn reachable(stand: &AwsStand, at: Timestamp) -> Timestamp {
    let begun = Instant::now();
    loop {
        let latest = element(&describe(stand, "source").await, "LatestRestorableTime");
        let latest = latest.and_then(|it| it.parse::<Timestamp>().ok());
        if let Some(latest) = latest.filter(|latest| *latest > at) {
            return latest;
        }
        assert!(begun.elapsed() < PATIENCE, "{latest:?} does not reach {at}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn restore(stand: &AwsStand, to: &str, at: Timestamp) {
    let at = at.to_string();
    let from = [("SourceDBInstanceIdentifier", "source"), ("TargetDBInstanceIdentifier", to)];
    let how = [("RestoreTime", at.as_str()), ("BackupRetentionPeriod", "0")];
    rds(stand, "RestoreDBInstanceToPointInTime", &[&from[..], &how].concat()).await;
}

/// A file that is needed for a moment that can be reached now, replaced by a gate; and what is in it.
async fn gate(stand: &AwsStand, source: &Client, archive: &Path) -> (Gate, Vec<u8>, Timestamp) {
    let row = source.query_one("SELECT pg_walfile_name(pg_current_wal_lsn())", &[]).await.unwrap();
    let path: PathBuf = archive.join(row.get::<_, String>(0));
    let (now, _) = place(source).await;
    // Its archive has it, and there is more after it.
    let at = reachable(stand, now.checked_add(jiff::SignedDuration::from_secs(2)).unwrap()).await;
    let text = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    (Gate::put(&path), text, at)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_never_collapses_and_a_restore_keeps_what_it_reads() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stand = with_archive(LIMIT).await;
    let source = login(&make(&stand, "source", &[]).await).await;
    let archive = data_folder(&source).await.with_file_name("archive");
    source.batch_execute("CREATE TABLE written (number serial, what text)").await.unwrap();
    source.batch_execute("INSERT INTO written (what) VALUES ('before')").await.unwrap();

    // A restore that stands still in the middle of the archive.
    let (gate, text, at) = gate(&stand, &source, &archive).await;
    let first = earliest(&stand).await;
    restore(&stand, "restored", at).await;
    let held = gate.holds().await;
    let oldest = wal_files(&archive)[0].clone();

    // A writer, until the window has moved on beyond that.
    let mut places = vec![place(&source).await];
    let (mut moved, mut seen) = (0, first);
    let begun = Instant::now();
    while moved < 2 || seen <= at {
        fill(&source).await;
        places.push(place(&source).await);
        let now = earliest(&stand).await;
        let (_, end) = place(&source).await;
        assert!(now >= seen, "the window begins at {now}, and did at {seen}");
        if now > seen {
            (moved, seen) = (moved + 1, now);
        }
        if now > first {
            let (_, start) = places.iter().rev().find(|(when, _)| *when <= now).unwrap_or(&places[0]);
            assert!(end - start >= LIMIT / 2, "only {} of {LIMIT} bytes since {now}", end - start);
        }
        assert!(begun.elapsed() < PATIENCE, "it moved {moved} times, to {seen}");
    }
    println!(
        "the window moved {moved} times in {:?}, by {} MiB",
        begun.elapsed(),
        (places[places.len() - 1].1 - places[0].1) / MIB
    );
    assert_eq!(wal_files(&archive)[0], oldest, "somebody still reads it");

    // Its source goes, and its WAL stays until it was read.
    rds(&stand, "DeleteDBInstance", &[("DBInstanceIdentifier", "source"), ("SkipFinalSnapshot", "true")]).await;
    let begun = Instant::now();
    while call(&stand, "DescribeDBInstances", &[("DBInstanceIdentifier", "source")]).await.0 {
        assert!(begun.elapsed() < PATIENCE, "the source stays");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    held.open(text).await;
    let restored = login(&available(&stand, "restored").await).await;
    let rows = restored.query("SELECT what FROM written", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>(), ["before"]);
    let begun = Instant::now();
    while archive.exists() {
        assert!(begun.elapsed() < PATIENCE, "{} stays behind", archive.display());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stand.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_archive_holds_is_bounded_and_the_end_waits_for_no_recovery() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stand = with_archive(LIMIT).await;
    let source = login(&make(&stand, "source", &[]).await).await;
    let archive = data_folder(&source).await.with_file_name("archive");
    source.batch_execute("CREATE TABLE written (number serial, what text)").await.unwrap();
    let (now, _) = place(&source).await;
    reachable(&stand, now).await;
    let first = earliest(&stand).await;
    let begun = Instant::now();
    while earliest(&stand).await == first {
        fill(&source).await;
        assert!(begun.elapsed() < PATIENCE, "nothing ever goes");
    }
    // What was written while it was looked at goes with the next looks.
    let (now, _) = place(&source).await;
    reachable(&stand, now).await;
    let begun = Instant::now();
    loop {
        let files = wal_files(&archive).len() as u64;
        if files * MIB <= LIMIT + LIMIT / 2 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{files} files of a MiB, where {LIMIT} bytes may be");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (gate, _, at) = gate(&stand, &source, &archive).await;
    restore(&stand, "restored", at).await;
    let held = gate.holds().await;
    let begun = Instant::now();
    stand.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(40), "the end took {:?}", begun.elapsed());
    println!("ended in {:?} while one recovers", begun.elapsed());
    assert!(!archive.exists());
    drop(held);
}
