//! A streaming standby: its primary sees it, it sees itself, and every source answers there or says why not.

use std::time::Duration;

use tierdeck::clients::postgres::QueryError;
use tierdeck::domain::facts::{Fragment, HolderKind, Source};
use tierdeck::domain::{InstanceName, Layout};
use tierdeck::sources::postgres::{ask, server};

use super::facts::desk;
use super::support::server::Server;
use super::support::watcher::{HBA, session, world};
use super::{aloud, of_postgres};
use crate::support::server::installed;

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_seen_from_both_sides() {
    let Some((version, folder)) = installed().into_values().find(|(_, folder)| folder.join("pg_basebackup").is_file())
    else {
        aloud("standby: SKIPPED, no pg_basebackup found");
        return;
    };
    let hba = format!("{HBA}host replication all all scram-sha-256\n");
    let primary = Server::start_of(&folder, "wal_level = replica\nmax_slot_wal_keep_size = 64MB", &hba, |_| {});
    world(primary.port).await;
    let boss = session(primary.port, "postgres", "postgres").await;
    let standby = primary.standby("hot_standby_feedback = on\nwal_receiver_status_interval = 1s");

    // On the standby somebody reads for long: the primary keeps what they may want.
    let reader = session(standby.port, "postgres", "postgres").await;
    reader.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class").await.unwrap();
    boss.batch_execute("INSERT INTO tenant_acme.orders SELECT i, i FROM generate_series(1001, 2000) i").await.unwrap();

    let instance = InstanceName::new("shared");
    let here = desk(primary.port, "tierdeck", "postgres").await;
    let there = desk(standby.port, "tierdeck", "postgres").await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let seen = ask(&here, Source::Replication, &instance, Layout::Schema).await.unwrap();
        let held = ask(&here, Source::Horizon, &instance, Layout::Schema).await.unwrap();
        let (Fragment::Replication(seen), Fragment::Horizon(held)) = (seen, held) else { unreachable!() };
        let streams = seen.standbys.iter().any(|it| &*it.state == "streaming" && it.lag_bytes == Some(0));
        let feeds = held.holders.iter().any(|it| it.kind == HolderKind::Standby && it.pid.is_some());
        assert_eq!(seen.slot_limit_bytes, Some(64 << 20), "{version}: {seen:?}");
        assert!(seen.recovery.is_none(), "{version}: {seen:?}");
        if streams && feeds && seen.standbys[0].xmin_age.is_some() {
            assert_eq!((seen.standbys.len(), seen.standbys[0].role.raw()), (1, "postgres"), "{version}: {seen:?}");
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{version}: {seen:?} {held:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    assert!(server(&there).await.unwrap().in_recovery);
    for source in of_postgres() {
        let answer = ask(&there, source, &instance, Layout::Schema).await;
        let fragment = answer.unwrap_or_else(|error| panic!("{version} standby, {source:?}: {error}"));
        if let Fragment::Replication(seen) = &fragment {
            let recovery = seen.recovery.unwrap_or_else(|| panic!("{seen:?}"));
            assert_eq!((recovery.receiving, recovery.behind_bytes), (Some(true), Some(0)), "{version}: {seen:?}");
            assert!(recovery.replay_age_seconds.is_some_and(|age| age > 0.0), "{version}: {seen:?}");
        }
        if let Fragment::Horizon(held) = &fragment {
            let session = held.holders.iter().any(|it| it.kind == HolderKind::Session && it.since.is_some());
            assert!(session, "{version}: {held:?}");
        }
    }

    // A login with nothing is told why, not that there is no standby.
    boss.batch_execute("CREATE ROLE nothing LOGIN PASSWORD 'a secret that no screen shows'").await.unwrap();
    let nobody = desk(primary.port, "nothing", "postgres").await;
    let error = ask(&nobody, Source::Replication, &instance, Layout::Schema).await.unwrap_err();
    assert!(matches!(&error, QueryError::Denied { .. }), "{error}");
}
