//! Attribution against the truth: the estate's workers know whose every transaction is; the console has to find out.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::explicit_write, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use tierdeck::clients::Environment;
use tierdeck::clients::postgres::Target;
use tierdeck::config;
use tierdeck::domain::Layout;
use tierdeck::domain::session::Rank;
use tierdeck::lab::{Lab, Scenario, Spec};
use tierdeck::poll::Poller;
use tierdeck::signals::Evaluator;
use tokio::time::Instant;

/// Sightings of sessions, counted by how they came out.
#[derive(Debug, Default)]
struct Score {
    sightings: u32,
    strong_right: u32,
    strong_wrong: Vec<String>,
    claimed_right: u32,
    claimed_wrong: u32,
    unattributed: u32,
    /// Active, and the worker had touched its own tables before we looked: strong evidence was there to be found.
    findable: u32,
    found: u32,
    missed: Vec<String>,
    truth_unknown: u32,
}

/// Looks for `seconds`, and on until there is `enough` to judge by: who works for a moment is not seen in each of them.
async fn play(scenario: &str, layout: Layout, seconds: u64, enough: impl Fn(&Score) -> bool) -> Score {
    let mut spec = Spec::new(Scenario::named(scenario).unwrap());
    spec.layout = layout;
    let lab = Lab::start(spec, |_| {}).await.unwrap();
    let config = config::load(lab.config_path()).unwrap();
    let target = Target::parse(&config.instances[0].url, &Environment::of([])).unwrap();
    let mut config = config;
    config.poll.insert(tierdeck::domain::facts::Source::Activity, Duration::from_millis(200));
    let mut poller = Poller::start(&config, vec![target], Evaluator::immediate());
    let mut score = Score::default();
    let mut seen_at = None;
    let (begun, least, most) = (Instant::now(), Duration::from_secs(seconds), Duration::from_mins(4));
    while begun.elapsed() < least || (!enough(&score) && begun.elapsed() < most) {
        tokio::time::timeout(Duration::from_secs(20), poller.snapshots.changed())
            .await
            .expect("no snapshot for 20 s")
            .unwrap();
        let snapshot = poller.snapshots.borrow_and_update().clone();
        // Until all tenants are known, claims cannot be checked against them.
        if snapshot.tenants.len() < 40 || snapshot.sessions.first().map(|session| session.server_now) == seen_at {
            continue;
        }
        seen_at = snapshot.sessions.first().map(|session| session.server_now);
        // The workers write down what they did when the server has answered them.
        tokio::time::sleep(Duration::from_millis(50)).await;
        for session in &snapshot.sessions {
            let Some(truth) = lab.truth().tenant_of(session.key.pid, session.key.started, session.transaction_started)
            else {
                score.truth_unknown += 1;
                continue;
            };
            score.sightings += 1;
            let findable =
                session.state.is_active() && truth.strong_since.is_some_and(|since| since < session.server_now);
            score.findable += u32::from(findable);
            let right = session.attribution.tenant() == Some(&truth.tenant);
            let describe = || format!("{:?} is {} ({:?}): {session:?}", session.attribution, truth.tenant, truth.style);
            match session.attribution.reason().map(tierdeck::domain::session::Reason::rank) {
                Some(Rank::Strong) if right => {
                    score.strong_right += 1;
                    score.found += u32::from(findable);
                }
                Some(Rank::Strong) => score.strong_wrong.push(describe()),
                Some(Rank::Claimed) if right => score.claimed_right += 1,
                Some(Rank::Claimed) => score.claimed_wrong += 1,
                None => score.unattributed += 1,
            }
            if findable && session.attribution.strong().is_none() {
                score.missed.push(describe());
            }
        }
    }
    lab.stop().await;
    score
}

/// So many sightings of active sessions are judged by, at the least.
const LEAST: u32 = 50;

fn claimed(score: &Score) -> bool {
    score.claimed_right + score.claimed_wrong > 0
}

fn judge(name: &str, score: &Score) {
    let figures = BTreeMap::from([
        ("sightings with known truth", score.sightings),
        ("strong, right", score.strong_right),
        ("strong, wrong", score.strong_wrong.len() as u32),
        ("active with strong evidence", score.findable),
        ("of those found", score.found),
        ("claimed, right", score.claimed_right),
        ("claimed, wrong", score.claimed_wrong),
        ("unattributed", score.unattributed),
        ("between transactions, or not the estate's", score.truth_unknown),
    ]);
    // Past the test runner's capture: the figures are shown whenever the tests run.
    let lines: Vec<String> = figures.iter().map(|(what, count)| format!("  {count:>6} {what}")).collect();
    writeln!(std::io::stderr(), "attribution, {name}:\n{}", lines.join("\n")).unwrap();
    assert!(
        score.strong_wrong.is_empty(),
        "strong evidence led to the wrong tenant:\n{}",
        score.strong_wrong.join("\n")
    );
    assert!(score.findable >= LEAST, "only {} sightings to judge by", score.findable);
    let rate = f64::from(score.found) / f64::from(score.findable);
    assert!(
        rate >= 0.99,
        "only {:.1} % of the active sessions with strong evidence found:\n{}",
        rate * 100.0,
        score.missed.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_for_each_tenant_with_a_noisy_neighbour() {
    let score = play("noisy-neighbour", Layout::Schema, 25, |score| score.findable >= LEAST && claimed(score)).await;
    judge("schema for each tenant, noisy-neighbour", &score);
    assert!(claimed(&score), "nobody claimed anything: the estate has people who do");
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_for_each_tenant_with_a_lock_pileup() {
    let score = play("lock-pileup", Layout::Schema, 25, |score| score.findable >= LEAST).await;
    judge("schema for each tenant, lock-pileup", &score);
}

#[tokio::test(flavor = "multi_thread")]
async fn database_for_each_tenant() {
    let score = play("noisy-neighbour", Layout::Database, 20, |score| score.findable >= LEAST).await;
    judge("database for each tenant, noisy-neighbour", &score);
}
