//! A source that takes half a minute, and a server process that hangs for as long: that source alone is told to be old.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tierdeck::domain::Snapshot;
use tierdeck::domain::facts::Source;
use tierdeck::domain::snapshot::SourceState;

use super::support::console::PATIENCE;
use super::support::observer::Observer;
use super::support::server::Server;
use super::support::watcher::{HBA, Watcher, session, world};
use super::{keys_work, line_of};

/// How long the trouble lasts.
const LONG: Duration = Duration::from_secs(30);

/// Counting statements takes as many seconds as a table says.
const SLOW: &str = "
    CREATE TABLE public.slow (seconds float8); INSERT INTO public.slow VALUES (0); GRANT SELECT ON public.slow TO PUBLIC;
    ALTER EXTENSION pg_stat_statements DROP FUNCTION pg_stat_statements(boolean);
    ALTER FUNCTION pg_stat_statements(boolean) RENAME TO counted;
    CREATE FUNCTION public.pg_stat_statements(texts boolean) RETURNS SETOF pg_stat_statements LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep(seconds) FROM public.slow; RETURN QUERY SELECT * FROM public.counted(texts); END'";

/// Sources whose newest value says nothing about now any more.
fn old(snapshot: &Snapshot) -> BTreeSet<&'static str> {
    let is_old = |state: &&SourceState| {
        let limit = state.every.as_secs_f64() * 3.0 + 2.0;
        state.at.is_none_or(|at| snapshot.taken_at.duration_since(at).as_secs_f64() > limit)
    };
    snapshot.instances[0].sources.iter().filter(is_old).map(|state| state.source.name()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_takes_half_a_minute_greys_itself_and_keeps_nobody_waiting() {
    let server = Server::start("max_connections = 60\nshared_preload_libraries = 'pg_stat_statements'", HBA, |_| {});
    world(server.port).await;
    let boss = session(server.port, "postgres", "postgres").await;
    boss.batch_execute(SLOW).await.unwrap();
    let works = session(server.port, "role_acme", "postgres").await;
    let watcher = Watcher::of(&[("shared", server.port)]).configure("[poll]\nstatements = \"2s\"\n");
    let mut observer = Observer::of(&watcher);
    let mut console = watcher.console().open();
    let all = |snapshot: &Snapshot| snapshot.instances[0].sources.iter().all(|state| state.at.is_some());
    observer.until("every source", all).await;
    for _ in 0..20 {
        works
            .batch_execute("INSERT INTO tenant_acme.orders SELECT coalesce(max(id), 0) + 1 FROM tenant_acme.orders")
            .await
            .unwrap();
    }
    observer.rounds(&[Source::Statements], 2).await;
    console.until("the tenants", PATIENCE, |screen| screen.contains("TENANTS 3") && screen.contains("● shared"));
    boss.batch_execute("UPDATE public.slow SET seconds = 30").await.unwrap();
    let began = Instant::now();

    let mut greyed = None;
    let mut told = false;
    while began.elapsed() < LONG {
        if !observer.step(began + LONG).await {
            break;
        }
        let old = old(&observer.newest);
        let instance = observer.instance();
        assert!(old.iter().all(|source| *source == "statements"), "{old:?}:\n{}", observer.picture());
        assert!(greyed.is_none() || old.contains("statements"), "old, and young again:\n{}", observer.picture());
        if old.contains("statements") {
            greyed.get_or_insert(began.elapsed());
            let sees = instance.statements.missing(observer.newest.taken_at);
            assert!(sees.is_some(), "{:?}", instance.statements.at);
            told |= sees.is_some_and(|why| why.contains("statement_timeout"));
        }
        // Nobody else complains.
        let complaints = instance.sources.iter().filter(|state| state.error.is_some());
        assert!(complaints.map(|state| state.source).all(|it| it == Source::Statements), "{}", observer.picture());
    }
    let greyed = greyed.unwrap_or_else(|| panic!("it is never called old:\n{}", observer.picture()));
    println!("statements are called old after {greyed:?}");
    assert!(told && greyed < LONG, "{}", observer.picture());
    // The same on the screen: its page says why, the line of the instance is as young as ever, keys are answered.
    assert!(line_of(&console.screen(), "shared").starts_with('●'), "{}", console.screen());
    keys_work(&mut console);
    console.keys("/acme\r2");
    console.shows("role_acme");
    console.keys("\t\t\t");
    console.shows("statement_timeout");

    boss.batch_execute("UPDATE public.slow SET seconds = 0").await.unwrap();
    let mended = Instant::now();
    let well = |snapshot: &Snapshot| snapshot.instances[0].sources.iter().all(|it| it.error.is_none());
    while !well(&observer.newest) {
        assert!(observer.step(mended + 5 * PATIENCE).await, "it is never asked again:\n{}", observer.picture());
    }
    println!("it answers again after {:?}", mended.elapsed());
    console.keys("q");
    console.ends_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_process_that_hangs_is_left_behind() {
    let server = Server::start("max_connections = 60\nshared_preload_libraries = 'pg_stat_statements'", HBA, |_| {});
    world(server.port).await;
    let boss = session(server.port, "postgres", "postgres").await;
    let watcher = Watcher::of(&[("shared", server.port)]).configure("[poll]\nchurn = \"1s\"\ndebt = \"1s\"\n");
    let mut observer = Observer::of(&watcher);
    let all = |snapshot: &Snapshot| snapshot.instances[0].sources.iter().all(|state| state.at.is_some());
    observer.until("every source", all).await;
    // Whoever counts what is written to tables, whatever it does just now.
    let counts = "SELECT pid FROM pg_stat_activity
                  WHERE application_name = 'tierdeck' AND query LIKE '-- Rows written%'";
    let begun = Instant::now();
    let hangs: i32 = loop {
        if let Some(row) = boss.query_opt(counts, &[]).await.unwrap() {
            break row.get(0);
        }
        assert!(begun.elapsed() < PATIENCE, "nobody counts");
    };
    Server::signal(hangs, Signal::SIGSTOP);
    let stopped = Instant::now();
    let lane = ["churn", "sizes", "debt", "freeze", "statements"];
    let (mut missed, mut back) = (None, None);
    while stopped.elapsed() < LONG {
        if !observer.step(stopped + LONG).await {
            break;
        }
        let old = old(&observer.newest);
        assert!(old.iter().all(|source| lane.contains(source)), "{old:?}:\n{}", observer.picture());
        let churn = observer.instance().sources.iter().find(|state| state.source == Source::Churn).unwrap();
        if churn.error.is_some() {
            missed.get_or_insert(stopped.elapsed());
        } else if missed.is_some() && old.is_empty() {
            back.get_or_insert(stopped.elapsed());
        }
    }
    println!("a process that hangs is noticed after {missed:?}, and done without after {back:?}");
    assert!(missed.is_some() && back.is_some(), "{missed:?}, {back:?}:\n{}", observer.picture());
    assert!(old(&observer.newest).is_empty(), "{}", observer.picture());
    Server::signal(hangs, Signal::SIGCONT);
}
