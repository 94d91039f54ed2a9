//! The signals against scenarios that are data: rounds in, findings out. `tests/signals/scene.rs` has the vocabulary.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "signals/cloud.rs"]
mod cloud;
#[path = "signals/facts.rs"]
mod facts;
#[path = "signals/instance.rs"]
mod instance;
#[path = "signals/scene.rs"]
mod scene;
#[path = "signals/secrets.rs"]
mod secrets;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use instance::InstanceSpec;
use scene::{Case, Expected, File, Full, Round, START, TenantSpec};
use tierdeck::domain::{Finding, Naming, Severity, Signal, SubjectKind, Unknown, quantity};
use tierdeck::signals::{Evaluator, REGISTRY, Scene};

fn files() -> Vec<(String, File)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signals");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "toml") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            files.push((name.clone(), toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))));
        }
    }
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files
}

/// One round's findings of one signal (or of all), and what is unknown.
fn play(
    case: &Case,
    round: &Round,
    evaluator: &mut Evaluator,
    only: Option<&str>,
) -> (Vec<Finding>, Vec<Arc<Unknown>>) {
    let now = scene::time(round.at);
    let calm = BTreeMap::from([("shared".to_owned(), InstanceSpec::default())]);
    let on = if round.on.is_empty() { &calm } else { &round.on };
    let instances: Vec<_> = on.iter().map(|(name, spec)| spec.build(name, now)).collect();
    let mut tenants: Vec<_> = round.tenants.as_ref().unwrap_or(&case.tenants).iter().map(TenantSpec::build).collect();
    tenants.sort_by(|a, b| a.id.cmp(&b.id));
    let sessions: Vec<_> = round.sessions.iter().flat_map(|text| scene::sessions(text, now)).collect();
    scene::starve(&instances, &mut tenants, &sessions);
    let estate = round.secrets.as_ref().map(|spec| spec.build(now)).unwrap_or_default();
    let accounts: Vec<_> = round.account.iter().map(cloud::AccountSpec::build).collect();
    let (mut findings, mut unknown) = evaluator.evaluate(&Scene {
        now,
        estate: &estate,
        environment: case.environment.as_deref().unwrap_or("prod"),
        accounts: &accounts,
        instances: &instances,
        tenants: &tenants,
        sessions: &sessions,
        naming: &Naming::default(),
        policy: &scene::policy(case),
        thresholds: &scene::thresholds(&case.thresholds),
        remembers: !round.forgets,
    });
    for finding in &findings {
        sound(case, finding);
    }
    let order = |finding: &Finding| std::cmp::Reverse(finding.severity);
    assert!(findings.is_sorted_by_key(order), "{}: not sorted by severity", case.name);
    if let Some(only) = only {
        findings.retain(|finding| finding.signal.name() == only);
        unknown.retain(|unknown| unknown.signal.name() == only);
    }
    (findings, unknown)
}

/// What holds for every finding whatever it is about.
fn sound(case: &Case, finding: &Finding) {
    let name = &case.name;
    let statement = finding.statement.as_deref().unwrap_or(";");
    assert!(statement.ends_with(';') && !statement.contains(" n;"), "{name}: cannot be pasted: {statement}");
    assert!(!(finding.stale || finding.over_for.is_some()) || finding.statement.is_none(), "{name}: acts on the past");
    let (lead, sql) = statement.split_once('\n').unwrap_or(("", statement));
    assert!(lead.is_empty() || lead.starts_with("\\connect "), "{name}: {statement}");
    let words = format!("{} | {} | {lead} {sql}", finding.summary, finding.advice);
    assert!(finding.summary.chars().count() <= 200, "{name}: long: {}", finding.summary);
    assert!(!words.chars().any(char::is_control), "{name}: {words:?}");
    assert!(finding.advice.ends_with('.') && !finding.summary.ends_with('.'), "{name}: {words}");
    assert!(!finding.evidence.is_empty() && finding.evidence.iter().all(|it| it.value.is_finite()), "{name}: {words}");
    assert!(finding.since >= scene::time(-90_000), "{name}: since {}", finding.since);
    // A limit on the shared account hits every tenant: only what is about that account may speak of one.
    let about_a_tenant = finding.subject.kind == SubjectKind::Tenant;
    assert!(!(about_a_tenant && words.contains("ALTER ROLE portarium_shared")), "{name}: {words}");
}

fn headline(finding: &Finding) -> String {
    let kind = serde_json::to_value(finding.subject.kind).unwrap();
    format!("{} {} {} {}", finding.severity, finding.signal, kind.as_str().unwrap(), finding.subject.id)
}

fn ids(tenants: &[tierdeck::domain::TenantId]) -> Vec<String> {
    tenants.iter().map(ToString::to_string).collect()
}

fn evidence(finding: &Finding) -> Vec<String> {
    let one = |it: &tierdeck::domain::Evidence| match it.threshold {
        Some(threshold) => format!("{} {} of {}", it.name, it.written(it.value), it.written(threshold)),
        None => format!("{} {}", it.name, it.written(it.value)),
    };
    finding.evidence.iter().map(one).collect()
}

/// The finding in the scenarios' own vocabulary, with the fields that the expectation has.
fn shown(finding: &Finding, asked: &Full) -> String {
    let mut text = format!("is = {:?}", headline(finding));
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            write!(text, "\n    {name} = {value}").unwrap();
        }
    };
    add("says", asked.says.as_ref().map(|_| format!("{:?}", finding.summary)));
    add("advises", asked.advises.as_ref().map(|_| format!("{:?}", finding.advice)));
    add("pastes", asked.pastes.as_ref().map(|_| format!("{:?}", finding.statement.as_deref().unwrap_or_default())));
    add("culprits", asked.culprits.as_ref().map(|_| format!("{:?}", ids(&finding.culprits))));
    add("victims", asked.victims.as_ref().map(|_| format!("{:?}", ids(&finding.victims))));
    add("since", asked.since.map(|_| (finding.since.as_second() - START).to_string()));
    add("stale", (asked.stale || finding.stale).then(|| finding.stale.to_string()));
    add("evidence", asked.evidence.as_ref().map(|_| format!("{:?}", evidence(finding))));
    text
}

fn wanted(asked: &Full) -> String {
    let mut text = format!("is = {:?}", asked.is);
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            write!(text, "\n    {name} = {value}").unwrap();
        }
    };
    add("says", asked.says.as_ref().map(|it| format!("{it:?}")));
    add("advises", asked.advises.as_ref().map(|it| format!("{it:?}")));
    add("pastes", asked.pastes.as_ref().map(|it| format!("{it:?}")));
    add("culprits", asked.culprits.as_ref().map(|it| format!("{it:?}")));
    add("victims", asked.victims.as_ref().map(|it| format!("{it:?}")));
    add("since", asked.since.map(|it| it.to_string()));
    add("stale", asked.stale.then(|| "true".to_owned()));
    add("evidence", asked.evidence.as_ref().map(|it| format!("{it:?}")));
    text
}

#[test]
fn scenarios_find_what_they_say_and_nothing_else() {
    let mut wrong = String::new();
    let mut rounds = 0;
    for (file, content) in files() {
        for case in &content.case {
            let mut over_time = if case.looks { Evaluator::immediate() } else { Evaluator::steady() };
            for round in &case.round {
                rounds += 1;
                let mut immediate = Evaluator::immediate();
                let evaluator = if case.steady || case.looks { &mut over_time } else { &mut immediate };
                let (findings, unknown) = play(case, round, evaluator, content.signal.as_deref());
                let asked: Vec<Full> = round
                    .expect
                    .iter()
                    .map(|expected| match expected {
                        Expected::Is(is) => Full { is: is.clone(), ..Full::default() },
                        Expected::Full(full) => full.as_ref().clone(),
                    })
                    .collect();
                let nothing = Full::default();
                let asked_of = |at: usize| asked.get(at).unwrap_or(&nothing);
                let found: Vec<String> =
                    findings.iter().enumerate().map(|(at, finding)| shown(finding, asked_of(at))).collect();
                let expected: Vec<String> = asked.iter().map(wanted).collect();
                let known = |at: jiff::Timestamp| at.duration_since(scene::time(round.at)).as_secs_f64();
                let doubt = |it: &Arc<Unknown>| match it.known_at.map(known) {
                    Some(wait) => format!("{}: {}; known in {}", it.subject.id, it.reason, quantity::duration(wait)),
                    None => format!("{}: {}", it.subject.id, it.reason),
                };
                let doubts: Vec<String> = unknown.iter().map(doubt).collect();
                if found != expected || doubts != round.unknown {
                    writeln!(
                        wrong,
                        "{file}: {} (second {})\n  expected\n    {}\n    unknown {:?}\n  found\n    {}\n    unknown {:?}\n",
                        case.name,
                        round.at,
                        expected.join("\n    "),
                        round.unknown,
                        found.join("\n    "),
                        doubts
                    )
                    .unwrap();
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(rounds >= 100, "only {rounds} rounds were played");
}

/// The findings of one signal in the rounds of one edge.
fn at_edge(name: &str, file: &File, edge: &str) -> Vec<(Vec<Finding>, Vec<Arc<Unknown>>)> {
    let mut played = Vec::new();
    for case in &file.case {
        for round in case.round.iter().filter(|round| round.edge.as_deref() == Some(edge)) {
            played.push(play(case, round, &mut Evaluator::immediate(), Some(name)));
        }
    }
    assert!(!played.is_empty(), "{name} has no round that is {edge:?} its threshold or its input");
    played
}

/// How a finding's nearest number stands to its threshold; `None` where no number is held against any.
fn against_threshold(finding: &Finding) -> Option<Vec<std::cmp::Ordering>> {
    let orders = finding.evidence.iter().filter_map(|it| {
        let threshold = it.threshold?;
        let near = (it.value - threshold).abs() <= 1e-9 * threshold.abs().max(1.0);
        Some(if near { std::cmp::Ordering::Equal } else { it.value.total_cmp(&threshold) })
    });
    let orders: Vec<_> = orders.collect();
    (!orders.is_empty()).then_some(orders)
}

#[test]
fn every_signal_is_tested_under_at_and_over_its_threshold_and_without_its_input() {
    use std::cmp::Ordering::{Equal, Greater};
    let files: BTreeMap<String, File> = files().into_iter().collect();
    let edges = ["under", "at", "over", "missing"];
    let named = files.values().flat_map(|file| &file.case).flat_map(|case| &case.round);
    for edge in named.filter_map(|round| round.edge.as_deref()) {
        assert!(edges.contains(&edge), "no such edge: {edge}");
    }
    for check in REGISTRY {
        let name = check.signal().name();
        let file = files.get(name).unwrap_or_else(|| panic!("no scenarios for {name}"));
        let worst = |played: &[(Vec<Finding>, Vec<Arc<Unknown>>)]| {
            played.iter().flat_map(|(findings, _)| findings).map(|finding| finding.severity).max()
        };
        let [under, at, over, missing] = edges.map(|edge| at_edge(name, file, edge));
        let reached = at.iter().map(|(findings, _)| findings.iter().map(|it| it.severity).max()).min().flatten();
        assert!(reached.is_some(), "{name} says nothing at its threshold");
        assert!(worst(&under) < reached, "{name} says as much under its threshold as at it");
        assert!(worst(&over) >= reached, "{name} says less over its threshold than at it");
        for (edge, wanted, played) in [("at", Equal, &at), ("over", Greater, &over)] {
            for (findings, _) in played {
                // A limit that is as it should be is no drift: there is nothing to be at.
                if name == "limit-drift" {
                    continue;
                }
                let orders: Vec<_> = findings.iter().filter_map(against_threshold).flatten().collect();
                assert!(orders.is_empty() || orders.contains(&wanted), "{name} has no number {edge} its threshold");
            }
        }
        for (findings, unknown) in &missing {
            assert!(findings.is_empty(), "{name} says something without its input: {findings:?}");
            assert!(!unknown.is_empty(), "{name} is silent without its input");
        }
    }
}

#[test]
fn every_signal_has_a_check_a_line_of_help_and_findings_about_what_it_says() {
    let checked: Vec<Signal> = REGISTRY.iter().map(|check| check.signal()).collect();
    assert_eq!(checked.iter().collect::<BTreeSet<_>>().len(), checked.len());
    let mut kinds: BTreeMap<&str, BTreeSet<SubjectKind>> = BTreeMap::new();
    for (_, content) in files() {
        for case in &content.case {
            for round in &case.round {
                for finding in play(case, round, &mut Evaluator::immediate(), None).0 {
                    kinds.entry(finding.signal.name()).or_default().insert(finding.subject.kind);
                }
            }
        }
    }
    for check in REGISTRY {
        let (name, about) = (check.signal().name(), check.about());
        assert!((20..=100).contains(&about.chars().count()), "{name}: {about}");
        let said: BTreeSet<SubjectKind> = check.subjects().iter().copied().collect();
        assert_eq!(kinds.get(name), Some(&said), "{name}: what its findings are about");
    }
}

/// Five hundred sessions, each behind all those before it, as `pg_blocking_pids` says of a queue; beside them many holders.
#[test]
fn a_storm_of_locks_is_judged_quickly_and_once() {
    let queue = (0..500).map(|at| {
        let ahead: Vec<String> = (99..100 + at).map(|pid| pid.to_string()).collect();
        let tenant = ["globex", "initech", "umbrella"][at % 3];
        format!("{tenant} {} active waits=40s by={}", 100 + at, ahead.join(","))
    });
    let holders: Vec<String> = (1_000..1_400).map(|pid| pid.to_string()).collect();
    let shared = format!("hooli 2000 active waits=8s by={}", holders.join(","));
    let holders = (1_000..1_400).map(|pid| format!("- {pid} idle-tx:9s"));
    let round = Round {
        at: 0,
        on: BTreeMap::new(),
        tenants: None,
        sessions: std::iter::once("acme 99 idle-tx:50s".to_owned())
            .chain(queue)
            .chain(holders)
            .chain([shared])
            .collect(),
        expect: Vec::new(),
        edge: None,
        unknown: Vec::new(),
        forgets: false,
        account: None,
        secrets: None,
    };
    let case = Case {
        name: "storm".to_owned(),
        steady: false,
        looks: false,
        thresholds: BTreeMap::new(),
        policy: scene::LimitsSpec::default(),
        environment: None,
        share_with: Vec::new(),
        tenants: Vec::new(),
        round: Vec::new(),
    };
    let (findings, _) = play(&case, &round, &mut Evaluator::immediate(), Some("lock-chain"));
    let worst = findings.first().unwrap();
    assert_eq!((worst.severity, worst.subject.id.as_str()), (Severity::Critical, "acme"));
    assert!(
        worst.summary.starts_with("acme blocks 500 sessions of 3 tenants (globex, initech, umbrella)"),
        "{}",
        worst.summary
    );
    assert!(findings.len() <= 32, "{}", findings.len());
}

/// How long it takes is measured in `benches/scale`.
#[test]
fn two_thousand_tenants_in_trouble_at_once_are_all_told_of() {
    let own = |at: usize| {
        let id = format!("tenant-{at}");
        let text = format!(
            "id = '{id}'\nlogin = '{id}_app'\nwanted = {{ connections = 40 }}\nnoise = {{ active_time = 0.0005 }}"
        );
        TenantSpec::Full(Box::new(toml::from_str(&text).unwrap()))
    };
    let mut evaluator = Evaluator::steady();
    let mut case = Case {
        name: "large".to_owned(),
        steady: true,
        looks: false,
        thresholds: BTreeMap::new(),
        policy: scene::LimitsSpec::default(),
        environment: None,
        share_with: Vec::new(),
        tenants: (0..2_000).map(own).collect(),
        round: Vec::new(),
    };
    for at in 0..2 {
        case.round.push(Round {
            at,
            on: BTreeMap::from([("shared".to_owned(), toml::from_str("connections = 100\ncpu = 0.99").unwrap())]),
            tenants: None,
            sessions: (0..2_000).map(|at| format!("tenant-{at} {} active:90s", 1_000 + at)).collect(),
            expect: Vec::new(),
            edge: None,
            unknown: Vec::new(),
            forgets: false,
            account: None,
            secrets: None,
        });
    }
    for round in &case.round {
        let (findings, _) = play(&case, round, &mut evaluator, None);
        assert!(findings.len() >= 4_000, "{}", findings.len());
    }
}
