//! Somebody who looks at an estate through the console, and writes down what came and went.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tierdeck::app::{Message, Model, Settings};
use tierdeck::clients::Environment;
use tierdeck::clients::postgres::Target;
use tierdeck::config;
use tierdeck::domain::{Finding, Signal, Snapshot, Subject, SubjectKind, TenantId};
use tierdeck::lab::{Kind, Lab, Scenario, Spec};
use tierdeck::poll::Poller;
use tierdeck::signals::{Evaluator, REGISTRY};
use tierdeck::ui::{self, Depth};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// The console as it usually is, and the smallest that shows everything.
pub const LARGE: (u16, u16) = (120, 40);
pub const SMALL: (u16, u16) = (80, 24);

/// A signal and what it is about.
type Incidents<'a> = BTreeSet<(Signal, &'a str)>;

/// Two estates at a time: each is made for a laptop of its own.
static PLACES: Semaphore = Semaphore::const_new(2);

pub async fn turn() -> SemaphorePermit<'static> {
    PLACES.acquire().await.unwrap()
}

/// When a finding was there, in seconds since the watch began.
#[derive(Debug, Default)]
struct Presence {
    came: Vec<f64>,
    went: Vec<f64>,
}

pub struct Watch {
    scenario: String,
    lab: Lab,
    poller: Poller,
    model: Box<Model>,
    began: Instant,
    presence: BTreeMap<(Signal, Subject), Presence>,
    ever: Vec<Finding>,
    guilty: BTreeSet<TenantId>,
}

/// Whether a signal says that something happens, not how something is set up.
fn is_incident(signal: Signal) -> bool {
    !signal.is_upkeep() && signal != Signal::Wraparound
}

impl Watch {
    pub async fn start(scenario: &str) -> Self {
        let lab = Lab::start(Spec::new(Scenario::named(scenario).unwrap()), |_| {}).await.unwrap();
        let config = config::load(lab.config_path()).unwrap();
        let target = Target::parse(&config.instances[0].url, &Environment::of([])).unwrap();
        let settings = Settings {
            environment: config.environment.clone(),
            read_only: true,
            refresh: Duration::from_secs(1),
            instances: config.instances.iter().map(|instance| instance.name.to_string()).collect(),
            signals: REGISTRY.iter().map(|check| (check.signal().name(), check.about())).collect(),
            operator: "somebody".into(),
            look: Duration::from_secs(5),
            lock_wait: Duration::from_secs(5),
            offers: Vec::new(),
            backup: tierdeck::domain::policy::BackupPolicy::default(),
            thresholds: tierdeck::domain::Thresholds::default(),
        };
        let poller = Poller::start(&config, vec![target], Evaluator::steady());
        // As beside a history that has just begun.
        poller.past.send_replace(Arc::default());
        let guilty = lab.cast().iter().map(|(_, id)| id.clone()).collect();
        Self {
            scenario: scenario.to_owned(),
            poller,
            model: Box::new(Model::new(settings, Timestamp::now())),
            lab,
            began: Instant::now(),
            presence: BTreeMap::new(),
            ever: Vec::new(),
            guilty,
        }
    }

    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    pub fn culprit(&self, kind: Kind) -> TenantId {
        self.lab.cast().iter().find(|(cast, _)| *cast == kind).unwrap().1.clone()
    }

    pub fn newest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.model.live)
    }

    /// Takes the next snapshot, if one comes in time; the innocent stay unnamed.
    pub async fn step(&mut self, deadline: Instant) -> bool {
        if !matches!(tokio::time::timeout_at(deadline, self.poller.snapshots.changed()).await, Ok(Ok(()))) {
            return false;
        }
        let snapshot = Arc::clone(&self.poller.snapshots.borrow_and_update());
        self.model.update(Message::Tick(Timestamp::now()));
        self.model.update(Message::Snapshot(Arc::clone(&snapshot)));
        let now = self.began.elapsed().as_secs_f64();
        for finding in &snapshot.findings {
            let presence = self.presence.entry((finding.signal, finding.subject.clone())).or_default();
            if presence.came.len() == presence.went.len() {
                presence.came.push(now);
                self.ever.push(finding.clone());
            }
            if is_incident(finding.signal) {
                self.assert_guilty(finding);
            }
        }
        for ((signal, subject), presence) in &mut self.presence {
            let here = snapshot.findings.iter().any(|it| it.signal == *signal && it.subject == *subject);
            if !here && presence.came.len() > presence.went.len() {
                presence.went.push(now);
            }
        }
        true
    }

    fn assert_guilty(&self, finding: &Finding) {
        let named = finding.culprits.iter().map(TenantId::as_str);
        let subject = (finding.subject.kind == SubjectKind::Tenant).then_some(finding.subject.id.as_str());
        for id in named.chain(subject) {
            let guilty = self.guilty.iter().any(|guilty| guilty.as_str() == id);
            assert!(guilty, "{}: {id} is innocent: {finding:#?}\n{}", self.scenario, self.diary());
        }
    }

    pub async fn go_on(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while self.step(end).await {}
    }

    /// Waits until the words of WHAT IS WRONG are as they should be.
    pub async fn until_panel(&mut self, size: (u16, u16), within: Duration, told: impl Fn(&str) -> bool, wanted: &str) {
        let deadline = Instant::now() + within;
        loop {
            let screen = self.screen(size);
            if told(&panel(&screen)) {
                println!("{} after {:.1} s:\n{screen}", self.scenario, self.began.elapsed().as_secs_f64());
                if size == LARGE {
                    self.keep(&screen);
                }
                return;
            }
            assert!(
                self.step(deadline).await,
                "{}: within {within:?} WHAT IS WRONG does not name {wanted}:\n{screen}\n{:#?}\n{}",
                self.scenario,
                self.model.live.findings,
                self.diary()
            );
        }
    }

    /// Keeps a first screen for people to read: `UPDATE=1 cargo test --test triage`.
    fn keep(&self, screen: &str) {
        if std::env::var_os("UPDATE").is_some() {
            let lines: Vec<&str> = screen.lines().map(|line| line.trim_matches('"')).collect();
            std::fs::write(kept(&self.scenario), lines.join("\n") + "\n").unwrap();
        }
    }

    /// The same of what is on the screen now.
    pub fn keep_now(&mut self) {
        let screen = self.screen(LARGE);
        self.keep(&screen);
    }

    fn screen(&mut self, (width, height): (u16, u16)) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let model = &self.model;
        let mut viewport = None;
        terminal.draw(|frame| viewport = Some(ui::draw(frame, model, Depth::True))).unwrap();
        self.model.update(Message::Drawn(viewport.unwrap()));
        terminal.backend().to_string()
    }

    /// How often a signal's findings appeared, all subjects together.
    pub fn appearances(&self, signal: Signal) -> usize {
        self.presence.iter().filter(|((of, _), _)| *of == signal).map(|(_, presence)| presence.came.len()).sum()
    }

    /// Incidents that came, and those that came and went.
    pub fn incidents(&self) -> (Incidents<'_>, Incidents<'_>) {
        let incidents = || self.presence.iter().filter(|((signal, _), _)| is_incident(*signal));
        let came = incidents().map(|((signal, subject), _)| (*signal, subject.id.as_str())).collect();
        let gone = incidents().filter(|(_, presence)| presence.came.len() == presence.went.len());
        (came, gone.map(|((signal, subject), _)| (*signal, subject.id.as_str())).collect())
    }

    /// Every finding as it first came.
    pub fn ever(&self) -> &[Finding] {
        &self.ever
    }

    /// What came and went when.
    pub fn diary(&self) -> String {
        let mut text = String::new();
        for ((signal, subject), Presence { came, went }) in &self.presence {
            let _ = writeln!(text, "\n  {signal} {} came {came:.1?} went {went:.1?}", subject.id);
        }
        text
    }

    pub async fn stop(self) {
        println!("{}:{}", self.scenario, self.diary());
        drop(self.poller);
        self.lab.stop().await;
    }
}

/// Where the first screen of a scenario is kept.
pub fn kept(scenario: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/triage").join(format!("{scenario}.txt"))
}

/// The words of WHAT IS WRONG, on one line, without the frame.
pub fn panel(screen: &str) -> String {
    let body = screen.split_once("WHAT IS WRONG").map_or("", |(_, below)| below);
    let body = body.split_once(" TENANTS ").map_or(body, |(panel, _)| panel);
    let words = body.split(|char: char| char.is_whitespace() || "│─┌┐├┤└┘\"▌".contains(char));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
