//! The main job on the real thing: for each scenario the estate, the poller with the steady evaluator and the console's
//! own screen. Whoever reads only WHAT IS WRONG on the first screen must be able to name culprit, victim and next step;
//! and nobody innocent may ever be named.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test's way to fail and to show what it saw"
)]

#[path = "triage/watch.rs"]
mod watch;

use std::collections::BTreeSet;
use std::time::Duration;

use tierdeck::domain::{Severity, Signal};
use tierdeck::lab::{Kind, Lab, Style};
use watch::{LARGE, SMALL, Watch, kept, panel, turn};

/// What the panel must say, and until when.
struct Story<'a> {
    scenario: &'a str,
    kind: Kind,
    signal: Signal,
    /// Words that name a victim, of which one must be there; none: nobody else suffers.
    victims: fn(&Lab) -> Vec<String>,
    /// What is to be done, in the words of whoever does it.
    step: &'a str,
    within: Duration,
}

async fn play(story: Story<'_>) {
    let _turn = turn().await;
    let mut watch = Watch::start(story.scenario).await;
    let culprit = watch.culprit(story.kind);
    let victims = (story.victims)(watch.lab());
    let told = |panel: &str| {
        let suffers = victims.is_empty() || victims.iter().any(|victim| panel.contains(victim));
        panel.contains(culprit.as_str()) && suffers && panel.contains(story.step)
    };
    for size in [LARGE, SMALL] {
        watch.until_panel(size, story.within, told, &format!("{culprit}, one of {victims:?}, {:?}", story.step)).await;
    }
    // The panel may have been right for the wrong reason: the finding itself names them too.
    let found = watch.newest();
    let of = |signal| found.findings.iter().find(move |finding| finding.signal == signal);
    let finding = of(story.signal).unwrap_or_else(|| panic!("no {}: {:#?}", story.signal, found.findings));
    assert_eq!(finding.culprits, [culprit], "{finding:#?}");
    // It stays as long as the incident does, and nobody else is blamed meanwhile.
    watch.go_on(Duration::from_secs(12)).await;
    let times = watch.appearances(story.signal);
    assert_eq!(times, 1, "{} came {times} times in {}: {}", story.signal, story.scenario, watch.diary());
    watch.stop().await;
}

/// Anybody else who lives here.
fn anybody(lab: &Lab) -> Vec<String> {
    let culprits: BTreeSet<_> = lab.cast().iter().map(|(_, id)| id).collect();
    let others = lab.roster().members.iter().map(|member| &member.id).filter(|id| !culprits.contains(id));
    others.map(ToString::to_string).collect()
}

fn nobody(_: &Lab) -> Vec<String> {
    Vec::new()
}

/// Those that the scenario sends into the queue: tenants of the shared account, the biggest ten.
fn queue(lab: &Lab) -> Vec<String> {
    let culprits: BTreeSet<_> = lab.cast().iter().map(|(_, id)| id).collect();
    let members = lab.roster().members.iter().filter(|member| member.style != Style::OwnLogin);
    members.map(|member| &member.id).filter(|id| !culprits.contains(id)).take(10).map(ToString::to_string).collect()
}

/// All of them together in words, or any of them by name: a small screen has no room for both.
fn everybody(lab: &Lab) -> Vec<String> {
    let mut words: Vec<String> = anybody(lab).into_iter().map(|victim| format!("hurts {victim}")).collect();
    words.push(format!("all {} tenants", lab.roster().members.len()));
    words
}

#[tokio::test(flavor = "multi_thread")]
async fn noisy_neighbour() {
    play(Story {
        scenario: "noisy-neighbour",
        kind: Kind::Noisy,
        signal: Signal::NoisyNeighbour,
        victims: anybody,
        step: "pg_cancel_backend(",
        within: Duration::from_secs(60),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_storm() {
    play(Story {
        scenario: "connection-storm",
        kind: Kind::ConnectionStorm,
        signal: Signal::ConnectionSaturation,
        victims: everybody,
        step: "CONNECTION LIMIT",
        within: Duration::from_secs(45),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lock_pileup() {
    play(Story {
        scenario: "lock-pileup",
        kind: Kind::LockPileup,
        signal: Signal::LockChain,
        victims: queue,
        step: "pg_terminate_backend(",
        within: Duration::from_secs(30),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runaway_query() {
    play(Story {
        scenario: "runaway-query",
        kind: Kind::RunawayQuery,
        signal: Signal::LongRunningQuery,
        victims: nobody,
        step: "pg_cancel_backend(",
        within: Duration::from_secs(60),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_in_transaction() {
    play(Story {
        scenario: "idle-in-transaction",
        kind: Kind::IdleInTransaction,
        signal: Signal::IdleInTransaction,
        victims: nobody,
        step: "pg_terminate_backend(",
        within: Duration::from_secs(60),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bloat() {
    play(Story {
        scenario: "bloat",
        kind: Kind::Bloat,
        signal: Signal::AutovacuumDebt,
        victims: nobody,
        step: "VACUUM (ANALYZE)",
        within: Duration::from_secs(60),
    })
    .await;
}

/// Nothing but the two logins that are set up carelessly, and never anything critical.
#[tokio::test(flavor = "multi_thread")]
async fn calm() {
    let _turn = turn().await;
    let mut watch = Watch::start("calm").await;
    let careless = |panel: &str| panel.contains("CONNECTION LIMIT");
    watch.until_panel(LARGE, Duration::from_secs(20), careless, "the login without a limit").await;
    watch.go_on(Duration::from_secs(20)).await;
    for finding in watch.ever() {
        assert!(finding.signal.is_upkeep() && finding.severity < Severity::Critical, "{finding:#?}");
    }
    watch.stop().await;
}

/// The demo's story: two incidents come and the first goes again, while somebody still looks.
#[tokio::test(flavor = "multi_thread")]
async fn mixed() {
    let _turn = turn().await;
    let mut watch = Watch::start("mixed").await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(90);
    loop {
        let (came, went) = watch.incidents();
        if came.len() == 1 && went.is_empty() {
            watch.keep_now();
        }
        let (came, went) = watch.incidents();
        if came.len() >= 2 && !went.is_empty() {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{came:?} came, {went:?} went: {}", watch.diary());
        watch.step(deadline).await;
    }
    println!("mixed: {}", watch.diary());
    watch.stop().await;
}

/// The first screen of each scenario as it was: whoever sees only that names culprit, victim and next step.
#[test]
fn the_kept_screens_say_who_hurts_whom_and_what_to_do() {
    let stories: [(&str, &[&str]); 8] = [
        ("calm", &["lacks CONNECTION LIMIT", "\u{2192} Set it as the policy has it"]),
        (
            "noisy-neighbour",
            &[
                "acme is a noisy neighbour",
                "wait on CPU (",
                "\u{2192} Cancel what it runs",
                "$ SELECT pg_cancel_backend",
            ],
        ),
        ("connection-storm", &["umbrella-health", "all 40 tenants", "CONNECTION LIMIT", "\u{2192} "]),
        (
            "lock-pileup",
            &["globex blocks 10 sessions of 10 tenants (", "\u{2192} End pid", "$ SELECT pg_terminate_backend"],
        ),
        ("runaway-query", &["has run one statement for", "\u{2192} ", "$ SELECT pg_cancel_backend"]),
        (
            "idle-in-transaction",
            &["left a transaction open and idle", "\u{2192} End these", "$ SELECT pg_terminate_backend"],
        ),
        ("bloat", &["the dead rows that autovacuum allows", "\u{2192} "]),
        ("mixed", &["\u{2192} "]),
    ];
    for (scenario, words) in stories {
        let screen = std::fs::read_to_string(kept(scenario)).unwrap();
        assert!(screen.lines().count() == 40 && screen.lines().all(|line| line.chars().count() <= 120), "{scenario}");
        let told = panel(&screen);
        for word in words {
            assert!(told.contains(word), "{scenario}: no {word:?} in\n{told}");
        }
    }
}
