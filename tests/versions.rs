//! Every query of `assets/sql` on every PostgreSQL that is found: those of `TIERDECK_PG_BINS` (folders with `initdb` and
//! `postgres`, separated by colons), the system's, and those that `make install-test` fetched. Says which they were, and
//! which were skipped.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]

mod support;

#[path = "versions/bloat.rs"]
mod bloat;
#[path = "versions/facts.rs"]
mod facts;
#[path = "versions/standby.rs"]
mod standby;

use std::path::Path;
use std::time::Duration;

use support::skipped::{aloud, skipped};
use tierdeck::clients::Environment;
use tierdeck::clients::postgres::{Target, Timeouts, connect};
use tierdeck::config::{self, Config};
use tierdeck::domain::facts::{Fragment, Source};
use tierdeck::domain::identifier::quoted;
use tierdeck::domain::{Layout, Signal, Snapshot};
use tierdeck::lab::{Kind, Lab, Scenario, Spec};
use tierdeck::poll::Poller;
use tierdeck::signals::Evaluator;
use tierdeck::sources::postgres::{Desk, ask, privileges, server};
use tokio::time::Instant;

/// What is supported.
const MAJORS: std::ops::RangeInclusive<u32> = 14..=18;

#[tokio::test(flavor = "multi_thread")]
async fn every_query_on_every_version_found() {
    let versions = support::server::installed();
    for (version, folder) in versions.values() {
        for layout in [Layout::Schema, Layout::Database] {
            let began = Instant::now();
            let (asked, culprit) = examine(version, folder, layout).await;
            let seconds = began.elapsed().as_secs_f64();
            println!("PostgreSQL {version}, {layout:?}: {asked} sources answered, {culprit} blamed, {seconds:.1} s");
        }
    }
    let ran: Vec<&str> = versions.values().map(|(version, _)| version.as_str()).collect();
    aloud(&format!("versions: ran on PostgreSQL {}", ran.join(", ")));
    for major in MAJORS.filter(|major| !versions.contains_key(major)) {
        skipped(&format!(
            "PostgreSQL {major}: not on this machine (make install-test fetches it where npm is on PATH, on Linux x86_64; \
             or name folders in TIERDECK_PG_BINS)"
        ));
    }
}

/// An estate with a lock pile-up on this version: every source answers with something, and the root is blamed.
async fn examine(version: &str, folder: &Path, layout: Layout) -> (usize, String) {
    let mut spec = Spec::new(Scenario::named("lock-pileup").unwrap());
    (spec.tenants, spec.layout, spec.bin_dir) = (12, layout, Some(folder.to_owned()));
    let lab = Lab::start(spec, |_| {}).await.unwrap_or_else(|error| panic!("{version}: {error}"));
    let config = config::load(lab.config_path()).unwrap();
    let target = Target::parse(&config.instances[0].url, &Environment::of([])).unwrap();
    let asked = ask_all(version, &config, &target, layout).await;
    let culprit = lab.cast().iter().find(|(kind, _)| *kind == Kind::LockPileup).unwrap().1.clone();
    let mut poller = Poller::start(&config, vec![target], Evaluator::steady());
    let deadline = Instant::now() + Duration::from_secs(90);
    let told = |snapshot: &Snapshot| {
        let chain = snapshot.findings.iter().find(|finding| finding.signal == Signal::LockChain);
        chain.is_some_and(|finding| finding.culprits == [culprit.clone()])
    };
    loop {
        let snapshot = poller.snapshots.borrow_and_update().clone();
        for state in &snapshot.instances[0].sources {
            assert!(state.error.is_none(), "{version}, {layout:?}: {state:?}");
        }
        let all = snapshot.instances[0].sources.iter().all(|state| state.at.is_some());
        if all && snapshot.tenants.len() == 12 && told(&snapshot) && toured(&snapshot, layout) {
            break;
        }
        let came = tokio::time::timeout_at(deadline, poller.snapshots.changed()).await;
        assert!(matches!(came, Ok(Ok(()))), "{version}, {layout:?}: {:#?}", snapshot.findings);
    }
    lab.stop().await;
    (asked, culprit.to_string())
}

/// Whether what lives inside of databases was seen in all of them, where tenants have those.
fn toured(snapshot: &Snapshot, layout: Layout) -> bool {
    let instance = &snapshot.instances[0];
    let (Some(catalog), Some(bloat)) = (&instance.catalog.value, &instance.bloat.value) else { return false };
    let apps = catalog.schemas.iter().filter(|schema| schema.name.raw() == "app").count();
    match layout {
        Layout::Schema => (catalog.seen, catalog.of, bloat.seen, bloat.of) == (0, 0, 0, 0),
        Layout::Database => {
            // The tenants', the service's own, and the one that comes with every server.
            let all = (catalog.seen, catalog.of) == (14, 14) && (bloat.seen, bloat.of) == (14, 14);
            assert!(!all || apps == 12 && catalog.closed.is_empty(), "{apps}: {:?}", catalog.closed);
            all
        }
    }
}

/// What is asked over an instance's own connections.
fn of_postgres() -> impl Iterator<Item = Source> {
    Source::ALL.into_iter().filter(|source| *source != Source::Statements && source.asks_the_server())
}

/// Each source by itself, as the monitoring login: an answer, and one that says something.
async fn ask_all(version: &str, config: &Config, target: &Target, layout: Layout) -> usize {
    let instance = &config.instances[0];
    let password = instance.password.as_ref().map(|secret| secret.read().unwrap());
    let desk = Desk::new(connect(target, password, &Timeouts::default()).await.unwrap());
    let seen = server(&desk).await.unwrap_or_else(|error| panic!("{version} server: {error}"));
    assert!(version.starts_with(&seen.version) && seen.sees_all && seen.max_connections == 120, "{seen:?}");
    let rights = privileges(&desk).await.unwrap_or_else(|error| panic!("{version} privileges: {error}"));
    assert!(rights.reads_all_stats && !rights.superuser && rights.read_only, "{rights:?}");
    // Whatever this version reads as something else than a name is offered for pasting in quotes.
    let words = desk.rows("SELECT word::text FROM pg_get_keywords() WHERE catcode <> 'U'", &[]).await.unwrap();
    assert!(words.len() > 100, "{version}: {} words", words.len());
    for word in words.iter().map(|row| row.get::<_, String>(0)) {
        assert_eq!(quoted(&word), format!("\"{word}\""), "{version}");
    }
    let mut asked = 2;
    for source in of_postgres() {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = ask(&desk, source, &instance.name, layout).await;
            let fragment = answer.unwrap_or_else(|error| panic!("{version} {source:?}, {layout:?}: {error}"));
            assert_eq!(fragment.source(), source);
            if says_something(&fragment) {
                break;
            }
            // Servers publish their counters a moment after the fact.
            assert!(Instant::now() < deadline, "{version} {source:?}, {layout:?} says nothing: {fragment:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        asked += 1;
    }
    asked
}

fn says_something(fragment: &Fragment) -> bool {
    match fragment {
        Fragment::Activity(activity) => !activity.sessions.is_empty(),
        Fragment::Databases(databases) => databases.iter().any(|it| it.transactions > 0),
        Fragment::Roles(roles) => roles.roles.iter().any(|role| role.connection_limit.is_some()),
        Fragment::Churn(churn) => churn.homes.iter().any(|home| home.rows_written > 0),
        Fragment::Sizes(sizes) => sizes.homes.values().any(|bytes| *bytes > 0),
        Fragment::Freeze(freeze) => !freeze.tables.is_empty(),
        // Nothing has so many dead rows yet: an answer is all there can be.
        Fragment::Debt(_) | Fragment::Bloat(_) => true,
        // Nor was any operation ever begun there.
        Fragment::Operations(operations) => operations.rows.is_empty(),
        Fragment::Vacuums(vacuums) => vacuums.workers > 0,
        Fragment::Replication(replication) => replication.recovery.is_none(),
        // The pile-up's root sits in its transaction.
        Fragment::Horizon(horizon) => horizon.holders.iter().any(|holder| holder.since.is_some()),
        Fragment::Catalog(catalog) => !catalog.grants.is_empty() && catalog.audit.loaded.is_some(),
        other => panic!("{:?} has no proof yet", other.source()),
    }
}
