//! The crash matrix. Every operation is killed (SIGKILL) when it has its journal, when it has its lease, at every line of the
//! journal, every copy of one, every line of the audit log and after every effect; then gone on with, or rolled back. The
//! rollback is killed at every such point as well, and so are going on, going back from the middle, and taking over from somebody
//! else. Everything that it ran is run once more. And every call to PostgreSQL and Vault suffers what calls suffer (`faults`,
//! `tenancy`). After each the world is compared with what an undisturbed run leaves, or with the start (`trial`).
//!
//! The program under test is this test binary, started again: its ear on the engine's progress is what kills it, so that the
//! program that ships has no hooks.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::{Signal as Kill, raise};
use serde::{Deserialize, Serialize};
use tierdeck::ops::plan::Plan;
use tierdeck::ops::script::Script;
use tierdeck::ops::{Ended, OperationId, Progress, TakeOver, Way};

use super::faults::cut_off_from_postgres;
use super::ledger::{Tally, chosen};
use super::tenancy::{Town, cut_off_from_vault};
use super::trial::{Gone, Kind, Trial, when_silent};
use super::world::{ADMIN, Machine};
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
    /// From somebody who fell silent.
    TakeOver(OperationId, bool),
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
        Work::TakeOver(id, back) => {
            let way = if back { Way::Back } else { Way::Forward };
            when_silent(|| operations.go_on(&id, way, TakeOver::Deliberately)).await
        }
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
    let output = tokio::task::block_in_place(|| send(&errand).output().unwrap());
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

/// About how many points of each part a sample has.
const FEW: usize = 3;

const WAYS: [Way; 2] = [Way::Forward, Way::Back];

fn work(way: Way, id: &OperationId) -> Work {
    if way == Way::Back { Work::RollBack(id.clone()) } else { Work::Resume(id.clone()) }
}

impl Trial {
    /// How many points an undisturbed run has.
    async fn length(&self) -> usize {
        let machine = self.machine("counted");
        let (plan, _victim) = self.staged(&machine).await;
        points(&run(&machine, Work::Start(Box::new(plan)), 0))
    }

    /// Killed everywhere, then gone on with, or rolled back.
    async fn killed(&self, length: usize, tally: &mut Tally) {
        for at in 1..=length {
            for way in WAYS {
                if !chosen(2 * at + way as usize, 2 * length, 2 * FEW) {
                    continue;
                }
                let attempt = async {
                    let machine = self.machine(&format!("killed {at} {way:?}"));
                    let (plan, _victim) = self.staged(&machine).await;
                    if survived(&run(&machine, Work::Start(Box::new(plan.clone())), at)) {
                        // Its last points are not there this time.
                        return self.is(Gone::Forward, &machine).await;
                    }
                    self.ends(&machine, &plan, way).await;
                };
                tally.point("killed", format!("at {at}, then {way:?}"), attempt).await;
            }
        }
    }

    /// Done, and the rollback is killed everywhere.
    async fn rollback_killed(&self, tally: &mut Tally) {
        let done = async |name: &str| {
            let machine = self.machine(name);
            let (plan, victim) = self.staged(&machine).await;
            assert_eq!(machine.quiet().start(&plan, &plan.confirm).await.unwrap(), Ended::Succeeded);
            (machine, plan, victim)
        };
        let (machine, plan, _victim) = done("rolled back").await;
        let length = points(&run(&machine, Work::RollBack(plan.id.clone()), 0));
        self.is(Gone::Back, &machine).await;
        for at in (1..=length).filter(|at| chosen(*at, length, FEW)) {
            let attempt = async {
                let (machine, plan, _victim) = done(&format!("rollback killed {at}")).await;
                run(&machine, Work::RollBack(plan.id.clone()), at);
                self.ends(&machine, &plan, Way::Back).await;
            };
            tally.point("rollback killed", format!("at {at}"), attempt).await;
        }
    }

    /// Killed in the middle; who goes on with it, or takes it over from there, is killed everywhere as well.
    async fn killed_again(&self, length: usize, tally: &mut Tally) {
        let middle = length / 2;
        for (part, elsewhere) in [("killed again", false), ("take-over killed", true)] {
            for way in WAYS {
                let halfway = async |name: String| {
                    let first = self.machine(&format!("{name} one"));
                    let (plan, victim) = self.staged(&first).await;
                    assert!(
                        !survived(&run(&first, Work::Start(Box::new(plan.clone())), middle)),
                        "its middle is its end"
                    );
                    // Where exports are, both get at.
                    let exports = Some(first.work());
                    let second = Machine { exports, ..self.machine(&format!("{name} other")) };
                    let machine = if elsewhere { second } else { first };
                    (machine, plan, victim)
                };
                let errand = |id: &OperationId| {
                    if elsewhere { Work::TakeOver(id.clone(), way == Way::Back) } else { work(way, id) }
                };
                let (machine, plan, victim) = halfway(format!("{part} {way:?}")).await;
                let length = points(&run(&machine, errand(&plan.id), 0));
                drop(victim);
                for at in (1..=length).filter(|at| chosen(*at + way as usize, length, FEW - 1)) {
                    let attempt = async {
                        let (machine, plan, _victim) = halfway(format!("{part} {at} {way:?}")).await;
                        run(&machine, errand(&plan.id), at);
                        self.ends_from(&machine, &plan, way, elsewhere).await;
                    };
                    tally.point(part, format!("{way:?}, at {middle} and at {at}"), attempt).await;
                }
            }
        }
    }

    /// Whatever it ran on a server is run once more, forward and back: nothing more comes of it, or it is refused.
    async fn twice(&self, tally: &mut Tally) {
        let machine = self.machine("twice");
        let (plan, _victim) = self.staged(&machine).await;
        let operations = machine.quiet();
        assert_eq!(operations.start(&plan, &plan.confirm).await.unwrap(), Ended::Succeeded);
        let admin = session(self.town.world.server.port, ADMIN, "portarium").await;
        let again = async |script: Option<Script>| {
            // What needs a password to be filled in, and what asks Vault, is done twice where an answer gets lost (`faults`).
            let Some(Script::Sql(sql)) = script.filter(|it| matches!(it, Script::Sql(sql) if sql.verifiers.is_empty()))
            else {
                return;
            };
            if sql.transaction {
                admin.batch_execute("BEGIN").await.unwrap();
            }
            let mut refused = None;
            for statement in &sql.statements {
                if let Err(error) = admin.simple_query(statement).await {
                    refused = Some(error);
                    break;
                }
            }
            if sql.transaction {
                admin.batch_execute(if refused.is_some() { "ROLLBACK" } else { "COMMIT" }).await.unwrap();
            }
        };
        if !self.kind.leaves() {
            // What its first step makes, its last one takes away: all of it once more, in that order, and there is no way back.
            let attempt = async {
                for step in &plan.steps {
                    again(Some(step.forward.clone())).await;
                }
                self.is(Gone::Forward, &machine).await;
            };
            tally.point("twice", "all steps".to_owned(), attempt).await;
            return;
        }
        for (number, step) in plan.steps.iter().enumerate() {
            let attempt = async {
                again(Some(step.forward.clone())).await;
                self.is(Gone::Forward, &machine).await;
            };
            tally.point("twice", format!("step {}", number + 1), attempt).await;
        }
        if !self.kind.is_reversible() {
            return;
        }
        let before: Vec<_> =
            operations.story(&plan.id).await.unwrap().status.steps.into_iter().map(|it| it.before).collect();
        assert_eq!(operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
        for (number, (step, before)) in plan.steps.iter().zip(before).enumerate().rev() {
            let Some(before) = before else { continue };
            let attempt = async {
                again(step.action.step().backward(&before).unwrap()).await;
                self.is(Gone::Back, &machine).await;
            };
            tally.point("twice", format!("undo of step {}", number + 1), attempt).await;
        }
    }
}

/// Everything, for one operation.
async fn everything(kind: Kind, name: &str, town: Town) {
    let trial = Trial::of(kind, town).await;
    let mut tally = Tally::of(name);
    let length = trial.length().await;
    trial.killed(length, &mut tally).await;
    if kind.is_reversible() && kind.leaves() {
        trial.rollback_killed(&mut tally).await;
    }
    trial.killed_again(length, &mut tally).await;
    trial.twice(&mut tally).await;
    cut_off_from_postgres(&trial, &mut tally).await;
    if kind.asks_vault() {
        cut_off_from_vault(&trial, &mut tally).await;
    }
    tally.holds();
}

macro_rules! matrix {
    (here { $($name:ident: $kind:ident;)* } apart { $($other:ident: $far:ident;)* }) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                everything(Kind::$kind, Kind::$kind.name(), Town::start().await).await;
            }
        )*

        /// With the leases on another server: no effect is in one transaction with them.
        mod apart {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $other() {
                    let name = format!("{}, leases elsewhere", Kind::$far.name());
                    everything(Kind::$far, &name, Town::start_apart().await).await;
                }
            )*
        }
    };
}

matrix! {
    here {
        cancel: Cancel;
        terminate: Terminate;
        terminate_idle: TerminateIdle;
        throttle: Throttle;
        quarantine: Quarantine;
        quarantine_by_fence: Fence;
        vacuum: Vacuum;
        guardrails: Guardrails;
        prove: Prove;
        provision: Provision;
        deprovision: Deprovision;
    }
    apart {
        terminate: Terminate;
        throttle: Throttle;
        quarantine_by_fence: Fence;
    }
}
