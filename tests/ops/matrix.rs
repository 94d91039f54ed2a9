//! The crash matrix: an operation is killed (SIGKILL) at every journal write, every copy of one, every line of the audit log
//! and after every effect; then gone on with; or rolled back; and the rollback is killed at every such point as well. After
//! each the world is compared with what an undisturbed run leaves, or with the start.
//!
//! The program under test is this test binary, started again: its ear on the engine's progress is what kills it, so that the
//! program that ships has no hooks.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::{Signal as Kill, raise};
use serde::{Deserialize, Serialize};
use tierdeck::ops::act::{Intent, Quarantining, Signal};
use tierdeck::ops::plan::Plan;
use tierdeck::ops::{Ended, OperationId, OpsError, Progress, TakeOver, Way};
use tokio_postgres::Client;

use super::world::{Machine, World, key_of, new_id, shared, signal, tenant, throttle};
use crate::support::watcher::session;

/// What the child is to do.
#[derive(Debug, Serialize, Deserialize)]
pub struct Errand {
    pub machine: Machine,
    pub work: Work,
    /// At which point it strikes, from 1; 0: never.
    pub at: usize,
    /// Whether it is frozen there instead of killed.
    pub freeze: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Work {
    Start(Box<Plan>),
    Resume(OperationId),
    RollBack(OperationId),
}

const VARIABLE: &str = "TIERDECK_TEST_ERRAND";

/// The child: does nothing unless it is sent.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Ok(errand) = std::env::var(VARIABLE) else { return };
    let Errand { machine, work, at, freeze } = serde_json::from_str(&errand).unwrap();
    let points = std::sync::Arc::new(AtomicUsize::new(0));
    let passed = std::sync::Arc::clone(&points);
    let operations = machine.operations(true, move |it| {
        // Comes by the clock, not by what was done.
        let point = !matches!(it, Progress::Working { .. });
        if point && passed.fetch_add(1, Ordering::SeqCst) + 1 == at {
            raise(if freeze { Kill::SIGSTOP } else { Kill::SIGKILL }).unwrap();
        }
    });
    let ended = match work {
        Work::Start(plan) => operations.start(&plan, &plan.confirm).await,
        Work::Resume(id) => operations.go_on(&id, Way::Forward, TakeOver::No).await,
        Work::RollBack(id) => operations.go_on(&id, Way::Back, TakeOver::No).await,
    };
    println!("\nended {ended:?}");
    println!("points {}", points.load(Ordering::SeqCst));
}

/// Sends the child.
pub fn send(errand: &Errand) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "matrix::child", "--nocapture"]).env(VARIABLE, serde_json::to_string(errand).unwrap());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn run(machine: &Machine, work: Work, at: usize) -> Output {
    let errand = Errand { machine: machine.clone(), work, at, freeze: false };
    let output = send(&errand).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let here = format!("at {at}: {:?}\n{said}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    if survived(&output) {
        // A run that finds a session gone already has a few points fewer than one that ends it.
        assert!(at == 0 || (1..=FEWER).contains(&(at.saturating_sub(points(&output)))), "{here}");
    } else {
        assert!(at > 0 && output.status.signal() == Some(9), "{here}");
    }
    output
}

/// How many points fewer a run may have than the one that was counted.
const FEWER: usize = 6;

/// Whether it came to its end before the point at which it was to be killed.
pub fn survived(output: &Output) -> bool {
    output.status.success()
}

pub fn points(output: &Output) -> usize {
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().find_map(|line| line.strip_prefix("points "));
    line.unwrap_or_else(|| panic!("{said}")).parse().unwrap()
}

/// One kind of operation, and how the world is made ready for it.
struct Case {
    name: &'static str,
    reversible: bool,
    /// Every how manieth point, by the seed; all of them when they are asked for (make matrix).
    every: usize,
}

/// Sessions that were ended are not brought back by a rollback; everything else is.
fn but_for_sessions(image: &str) -> String {
    image.lines().filter(|line| !line.starts_with("sessions")).collect::<Vec<_>>().join("\n")
}

impl Case {
    fn is_tried(&self, at: usize) -> bool {
        let seed: usize = std::env::var("TIERDECK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
        std::env::var_os("TIERDECK_MATRIX").is_some() || (at + seed).is_multiple_of(self.every)
    }

    /// Before each attempt: whoever the operation is aimed at.
    async fn stage(&self, world: &World) -> (Intent, Option<Client>) {
        world.forget().await;
        world.until_zero("SELECT count(*) FROM pg_stat_activity WHERE usename = 'role_acme'").await;
        if self.name == "throttle" {
            return (throttle("acme"), None);
        }
        if self.name == "fence" {
            super::fenced::bring_back(world).await;
            let own = session(world.server.port, "initech_app", "portarium").await;
            return (super::fenced::quarantine(), Some(own));
        }
        if self.name == "guardrails" {
            super::guardrails::unguard(world).await;
            return (super::guardrails::guard(&[]), None);
        }
        let victim = session(world.server.port, "role_acme", "portarium").await;
        victim.batch_execute("BEGIN; UPDATE tenant_acme.orders SET total = 0 WHERE id = 1").await.unwrap();
        if self.name == "quarantine" {
            let intent = Quarantining { tenant: tenant("acme"), instance: shared() };
            return (Intent::Quarantine(intent), Some(victim));
        }
        let key = key_of(&victim).await;
        (signal(Signal::Terminate, vec![key], None), Some(victim))
    }

    async fn examine(&self, world: &World, folder: &Path) -> Tally {
        let mut tally = Tally::default();
        let machine = |place: String| Machine::at(world.server.port, folder.join(place), "laptop");
        let (intent, victim) = self.stage(world).await;
        let start = world.settled().await;
        let first = machine(format!("{}-undisturbed", self.name));
        let plan = first.quiet().plan(&intent, new_id()).await.unwrap();
        let forward = points(&run(&first, Work::Start(Box::new(plan.clone())), 0));
        let done = world.settled().await;
        assert_ne!(start, done, "{}: it does nothing", self.name);
        world.nothing_is_held().await;
        drop(victim);
        for at in (1..=forward).filter(|at| self.is_tried(*at)) {
            for way in [Way::Forward, Way::Back] {
                let (intent, _victim) = self.stage(world).await;
                let machine = machine(format!("{}-{at}-{way:?}", self.name));
                let plan = machine.quiet().plan(&intent, new_id()).await.unwrap();
                if survived(&run(&machine, Work::Start(Box::new(plan.clone())), at)) {
                    assert_eq!(world.settled().await, done, "{}: its last points are not there this time", self.name);
                    continue;
                }
                let ended = machine.quiet().go_on(&plan.id, way, TakeOver::No).await;
                let here = format!("{}, killed at {at} of {forward}, then {way:?}: {ended:?}", self.name);
                match (way, ended) {
                    (Way::Forward, Ok(Ended::Succeeded)) => assert_eq!(world.settled().await, done, "{here}"),
                    (Way::Back, Ok(Ended::RolledBack)) => {
                        assert_eq!(but_for_sessions(&world.settled().await), but_for_sessions(&start), "{here}");
                    }
                    // Begun, it has no way back: what is left is to go on.
                    (Way::Back, Err(OpsError::NoWayBack { .. })) if !self.reversible => {
                        let ended = machine.quiet().go_on(&plan.id, Way::Forward, TakeOver::No).await;
                        let over = matches!(&ended, Err(OpsError::Over(_, how)) if how == "succeeded");
                        assert!(over || matches!(ended, Ok(Ended::Succeeded)), "{here}: {ended:?}");
                        assert_eq!(world.settled().await, done, "{here}");
                    }
                    _ => panic!("{here}"),
                }
                world.nothing_is_held().await;
                tally.points += 1;
                tally.held += 1;
            }
        }
        assert!(tally.points > 0, "{}: it was killed nowhere", self.name);
        if self.reversible {
            self.examine_back(world, &machine, (&start, &done), &mut tally).await;
        }
        tally
    }

    async fn examine_back(
        &self,
        world: &World,
        machine: &impl Fn(String) -> Machine,
        (start, done): (&str, &str),
        tally: &mut Tally,
    ) {
        let mut back = 1;
        let mut at = 0;
        while at <= back {
            if at > 0 && !self.is_tried(at) {
                at += 1;
                continue;
            }
            let (intent, _victim) = self.stage(world).await;
            let machine = machine(format!("{}-back-{at}", self.name));
            let plan = machine.quiet().plan(&intent, new_id()).await.unwrap();
            assert_eq!(machine.quiet().start(&plan, &plan.confirm).await.unwrap(), Ended::Succeeded);
            assert_eq!(world.settled().await, done);
            let output = run(&machine, Work::RollBack(plan.id.clone()), at);
            if at == 0 {
                back = points(&output);
            } else if !survived(&output) {
                let ended = machine.quiet().go_on(&plan.id, Way::Back, TakeOver::No).await;
                assert_eq!(ended.unwrap(), Ended::RolledBack, "{}, rollback killed at {at} of {back}", self.name);
                tally.points += 1;
                tally.held += 1;
            }
            let now = but_for_sessions(&world.settled().await);
            assert_eq!(now, but_for_sessions(start), "{}, rollback killed at {at} of {back}", self.name);
            world.nothing_is_held().await;
            at += 1;
        }
    }
}

#[derive(Default)]
struct Tally {
    points: usize,
    held: usize,
    said: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_point_it_is_gone_on_with_and_rolled_back() {
    let case = |name, reversible| Case { name, reversible, every: 1 };
    let tally =
        matrix(&World::start().await, &[case("throttle", true), case("quarantine", true), case("terminate", false)])
            .await;
    println!("{}", tally.said.join("\n"));
    assert!(tally.points > 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn so_are_the_fence_and_the_guardrails() {
    let world = World::start().await;
    super::fenced::furnish(&world).await;
    let case = |name| Case { name, reversible: true, every: 4 };
    println!("{}", matrix(&world, &[case("fence"), case("guardrails")]).await.said.join("\n"));
}

async fn matrix(world: &World, cases: &[Case]) -> Tally {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Tally::default();
    for case in cases {
        let tally = case.examine(world, folder.path()).await;
        all.said.push(format!("{}: {} points tried, {} held", case.name, tally.points, tally.held));
        all.points += tally.points;
        all.held += tally.held;
    }
    all.said.push(format!("crash matrix: {} points tried, {} held", all.points, all.held));
    assert!(all.points > 0 && all.points == all.held);
    all
}
