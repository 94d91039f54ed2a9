//! Each scenario's incident can be seen by the monitoring login alone, soon after the start.

use std::time::{Duration, Instant};

use tierdeck::lab::{Kind, Lab, Scenario, Spec};

use super::{estate, login, monitor, number, reaches, turn};

const SOON: Duration = Duration::from_secs(15);

/// The PostgreSQL name of who causes an incident.
fn culprit(lab: &Lab, kind: Kind) -> String {
    let (_, id) = lab.cast().iter().find(|(cast, _)| *cast == kind).unwrap();
    id.as_str().replace('-', "_")
}

#[tokio::test(flavor = "multi_thread")]
async fn noisy_neighbour() {
    let _turn = turn().await;
    let lab = estate("noisy-neighbour").await;
    let client = monitor(&lab).await;
    let role = format!("role_{}", culprit(&lab, Kind::Noisy));
    let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}' AND state = 'active'");
    reaches(&client, &sessions, 5, SOON).await;
    let victims = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE usename <> '{role}' AND state = 'active' AND pid <> pg_backend_pid()"
    );
    reaches(&client, &victims, 3, SOON).await;
    let blocked = format!(
        "SELECT count(*) FROM pg_stat_activity v JOIN pg_stat_activity r ON r.pid = ANY(pg_blocking_pids(v.pid)) \
         WHERE v.wait_event_type = 'Lock' AND r.usename = '{role}' AND v.usename <> '{role}'"
    );
    reaches(&client, &blocked, 1, SOON).await;
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_storm() {
    let _turn = turn().await;
    let lab = estate("connection-storm").await;
    let client = monitor(&lab).await;
    let share = "SELECT count(*) * 100 / (current_setting('max_connections')::int \
                 - current_setting('superuser_reserved_connections')::int) \
                 FROM pg_stat_activity WHERE backend_type = 'client backend'";
    reaches(&client, share, 91, Duration::from_secs(20)).await;
    let role = culprit(&lab, Kind::ConnectionStorm);
    let theirs = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = 'role_{role}'");
    assert!(number(&client, &theirs).await > 50);
    let begun = Instant::now();
    while lab.refused_logins() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody was refused");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lock_pile_up() {
    let _turn = turn().await;
    let lab = estate("lock-pileup").await;
    let client = monitor(&lab).await;
    let schema = culprit(&lab, Kind::LockPileup);
    let queue = format!(
        "SELECT count(DISTINCT l.pid) FROM pg_locks l JOIN pg_stat_activity r ON r.pid = ANY(pg_blocking_pids(l.pid)) \
         JOIN pg_class q ON q.oid = l.relation AND q.relname = 'job_queue' \
         WHERE NOT l.granted AND r.state = 'idle in transaction' \
         AND EXISTS (SELECT FROM pg_locks o JOIN pg_class c ON c.oid = o.relation \
                     JOIN pg_namespace n ON n.oid = c.relnamespace \
                     WHERE o.pid = r.pid AND n.nspname = 'tenant_{schema}')"
    );
    reaches(&client, &queue, 10, SOON).await;
    // Whoever ends the root sees the queue go, and the root come back only after a while.
    let admin = login(&lab, "portarium_admin", "portarium").await;
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                WHERE state = 'idle in transaction' AND query LIKE 'LOCK TABLE platform.job_queue%'";
    assert_eq!(number(&admin, kill).await, 1);
    let gone = "SELECT (count(*) = 0)::int::int8 FROM pg_locks WHERE NOT granted AND locktype = 'relation'";
    reaches(&client, gone, 1, Duration::from_secs(5)).await;
    reaches(&client, &queue, 10, Duration::from_secs(25)).await;
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runaway_query() {
    let _turn = turn().await;
    let lab = estate("runaway-query").await;
    let client = monitor(&lab).await;
    let role = culprit(&lab, Kind::RunawayQuery);
    let running = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'role_{role}' AND state = 'active' \
         AND query LIKE '%CROSS JOIN%' AND now() - query_start > interval '8 s'"
    );
    reaches(&client, &running, 1, Duration::from_secs(20)).await;
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_in_transaction() {
    let _turn = turn().await;
    let lab = estate("idle-in-transaction").await;
    let client = monitor(&lab).await;
    let idle = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' \
                AND now() - state_change > interval '8 s'";
    reaches(&client, idle, 2, Duration::from_secs(20)).await;
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bloat() {
    let _turn = turn().await;
    let lab = estate("bloat").await;
    let client = monitor(&lab).await;
    let schema = culprit(&lab, Kind::Bloat);
    let dead = format!(
        "SELECT coalesce(max(n_dead_tup), 0) FROM pg_stat_user_tables t JOIN pg_class c ON c.oid = t.relid \
         WHERE schemaname = 'tenant_{schema}' AND t.relname = 'events' AND 'autovacuum_enabled=false' = ANY(c.reloptions)"
    );
    reaches(&client, &dead, 50_000, SOON).await;
    lab.stop().await;
}

/// The story, with its deadlocks and a round of bloat moved to its beginning.
#[tokio::test(flavor = "multi_thread")]
async fn mixed_begins_soon_and_incidents_go_again() {
    let _turn = turn().await;
    let story = include_str!("../../assets/scenarios/mixed.toml");
    let moves = [("280s", "1s"), ("415s", "2s"), ("50s", "12s"), ("52s", "8s")];
    let told = moves.iter().fold(story.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(&format!("\"{from}\""), &format!("\"{to}\""))
    });
    let lab = Lab::start(Spec::new(Scenario::parse(&told).unwrap()), |_| {}).await.unwrap();
    let client = monitor(&lab).await;
    let carefree = "SELECT count(*) FROM pg_class WHERE 'autovacuum_enabled=false' = ANY(reloptions)";
    reaches(&client, carefree, 1, SOON).await;
    let role = format!("role_{}", culprit(&lab, Kind::Noisy));
    let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}' AND state = 'active'");
    reaches(&client, &sessions, 5, Duration::from_secs(25)).await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = 'portarium'";
    reaches(&client, deadlocks, 1, Duration::from_secs(30)).await;
    let tidy = "SELECT (count(*) = 0)::int::int8 FROM pg_class WHERE 'autovacuum_enabled=false' = ANY(reloptions)";
    reaches(&client, tidy, 1, Duration::from_secs(40)).await;
    lab.stop().await;
}
