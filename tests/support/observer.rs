//! Somebody who takes every snapshot that the shipped poller publishes of a test's servers.

#![allow(dead_code, missing_docs, reason = "every test program uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tierdeck::clients::Environment;
use tierdeck::clients::postgres::Target;
use tierdeck::config::{self, Config};
use tierdeck::domain::facts::Source;
use tierdeck::domain::{Finding, Instance, Signal, Snapshot, Tenant};
use tierdeck::poll::Poller;
use tierdeck::signals::Evaluator;

use super::console::PATIENCE;
use super::watcher::Watcher;

/// See the module.
pub struct Observer {
    pub config: Config,
    pub poller: Poller,
    pub newest: Arc<Snapshot>,
}

impl Observer {
    /// Polls as the watcher's configuration says.
    pub fn of(watcher: &Watcher) -> Self {
        let config = config::load(&watcher.path()).unwrap();
        let environment = Environment::of([("HOME", watcher.home().to_string_lossy().as_ref())]);
        let targets = config.instances.iter().map(|it| Target::parse(&it.url, &environment).unwrap()).collect();
        let poller = Poller::start(&config, targets, Evaluator::steady());
        let newest = poller.snapshots.borrow().clone();
        Self { config, poller, newest }
    }

    /// Takes the next snapshot; `false` when none came in time.
    pub async fn step(&mut self, deadline: Instant) -> bool {
        let changed = tokio::time::timeout_at(deadline.into(), self.poller.snapshots.changed()).await;
        if matches!(changed, Ok(Ok(()))) {
            self.newest = self.poller.snapshots.borrow_and_update().clone();
            return true;
        }
        false
    }

    /// Takes snapshots until one is as it should be, and says how long that took.
    #[track_caller]
    pub fn until<'a>(
        &'a mut self,
        what: &'a str,
        told: impl Fn(&Snapshot) -> bool + 'a,
    ) -> impl Future<Output = Duration> + 'a {
        let asked = std::panic::Location::caller();
        async move {
            let begun = Instant::now();
            while !told(&self.newest) {
                // What is dear is asked rarely, and everything is dear on a machine that does much else.
                let came = self.step(begun + 3 * PATIENCE).await;
                assert!(came, "{asked}: never {what}:\n{}", self.picture());
            }
            begun.elapsed()
        }
    }

    /// The only instance.
    pub fn instance(&self) -> &Instance {
        &self.newest.instances[0]
    }

    pub fn tenant(&self, id: &str) -> &Tenant {
        let found = self.newest.tenants.iter().find(|tenant| tenant.id.as_str() == id);
        found.unwrap_or_else(|| panic!("no tenant {id}:\n{}", self.picture()))
    }

    pub fn findings(&self, signal: Signal) -> Vec<&Finding> {
        self.newest.findings.iter().filter(|finding| finding.signal == signal).collect()
    }

    /// Takes snapshots until every source of these has answered anew so often.
    pub async fn rounds(&mut self, sources: &[Source], times: usize) {
        for round in 1..=times {
            let since = Timestamp::now();
            let what = format!("round {round} of {sources:?}");
            self.until(&what, |snapshot| sources.iter().all(|source| answered(snapshot, *source) >= Some(since))).await;
        }
    }

    /// What is known, for whoever reads why a test failed.
    pub fn picture(&self) -> String {
        let snapshot = &self.newest;
        let mut text = String::new();
        for instance in &snapshot.instances {
            writeln!(text, "{} {:?}", instance.name, instance.reach).unwrap();
            for state in &instance.sources {
                let age = state.at.map(|at| snapshot.taken_at.duration_since(at));
                writeln!(text, "  {}: {age:?} every {:?} {:?}", state.source.name(), state.every, state.error).unwrap();
            }
        }
        for finding in &snapshot.findings {
            writeln!(text, "  {:?} {} {}", finding.severity, finding.signal, finding.summary).unwrap();
        }
        let tenants: Vec<_> = snapshot.tenants.iter().take(20).map(|tenant| tenant.id.as_str()).collect();
        writeln!(text, "  {} tenants: {tenants:?}", snapshot.tenants.len()).unwrap();
        text
    }
}

/// When a source of the first instance answered last.
pub fn answered(snapshot: &Snapshot, source: Source) -> Option<Timestamp> {
    snapshot.instances[0].sources.iter().find(|state| state.source == source).and_then(|state| state.at)
}
