//! Two at once, and a laptop that sleeps: it is frozen (SIGSTOP) at every point, somebody else takes its operation over, and
//! when it wakes up it changes nothing more.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Output};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal as Kill, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tierdeck::ops::control::ControlError;
use tierdeck::ops::plan::Plan;
use tierdeck::ops::{Ended, OpsError, TakeOver, Way};

use super::matrix::{Errand, Work, send};
use super::world::{Machine, World, new_id, throttle};

/// A laptop that fell asleep in the middle; killed when dropped.
struct Asleep(Option<Child>);

impl Asleep {
    fn at(machine: &Machine, plan: &Plan, at: usize) -> Self {
        let work = Work::Start(Box::new(plan.clone()));
        let child = send(&Errand { machine: machine.clone(), work, at, freeze: true }).spawn().unwrap();
        let asleep = Self(Some(child));
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match waitpid(asleep.pid(), Some(WaitPidFlag::WUNTRACED | WaitPidFlag::WNOHANG)).unwrap() {
                WaitStatus::Stopped(..) => return asleep,
                WaitStatus::StillAlive => assert!(Instant::now() < deadline, "it never fell asleep at {at}"),
                other => panic!("at {at}: {other:?}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.as_ref().unwrap().id()).unwrap())
    }

    /// Wakes it, and waits for what it says.
    fn wakes(mut self) -> Output {
        kill(self.pid(), Kill::SIGCONT).unwrap();
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sleeps_is_taken_over_deliberately_and_stops_when_it_wakes() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let start = world.settled().await;
    // Every point of an undisturbed run but the first, where nobody else knows of it, and the last: there it is over.
    for at in 2..=12 {
        world.forget().await;
        let mut ann = world.machine(&folder, &format!("ann-{at}"));
        let mut bob = world.machine(&folder, &format!("bob-{at}"));
        (ann.stale_ms, bob.stale_ms) = (400, 400);
        let plan = ann.quiet().plan(&throttle("acme"), new_id()).await.unwrap();
        let asleep = Asleep::at(&ann, &plan, at);
        let id = plan.id.clone();
        // Not at once, and not without being told to.
        match bob.quiet().go_on(&id, Way::Back, TakeOver::Deliberately).await {
            Err(OpsError::Running { host, .. }) => assert_eq!(host, ann.host),
            other => panic!("at {at}: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        match bob.quiet().go_on(&id, Way::Back, TakeOver::No).await {
            Err(OpsError::Silent { host, .. }) => assert_eq!(host, ann.host),
            other => panic!("at {at}: {other:?}"),
        }
        // Somebody else's new operation on the same tenant is refused, whatever it is; on another it is not.
        let other = bob.quiet();
        let second = other.plan(&throttle("acme"), new_id()).await;
        if let Ok(second) = second {
            match other.start(&second, "acme").await {
                Err(OpsError::Control(ControlError::Held { by, .. })) => assert_eq!(by.id, id.as_str()),
                other => panic!("at {at}: {other:?}"),
            }
        }
        let ended = bob.quiet().go_on(&id, Way::Back, TakeOver::Deliberately).await;
        assert_eq!(ended.unwrap(), Ended::RolledBack, "at {at}");
        let after: Vec<String> = world.logged(&id.application_name());
        let output = asleep.wakes();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.signal().is_none() && said.contains("ended Err("), "at {at}: {:?} {said}", output.status);
        assert_eq!(world.settled().await, start, "at {at}: {said}");
        world.nothing_is_held().await;
        // Awake, it had not one more statement carried out under the operation's name.
        let effects = |log: &[String]| log.iter().filter(|sql| sql.starts_with("ALTER")).count();
        assert_eq!(effects(&world.logged(&id.application_name())), effects(&after), "at {at}");
        let story = bob.quiet().story(&id).await.unwrap();
        assert_eq!(tierdeck::ops::report::state(&story), "rolled back");
        // What it has of its own is the same story, or one that it lets go of.
        assert!(matches!(ann.quiet().go_on(&id, Way::Forward, TakeOver::No).await, Err(OpsError::Over(..))), "at {at}");
        assert_eq!(ann.quiet().story(&id).await.unwrap(), bob.quiet().story(&id).await.unwrap(), "at {at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paused_on_one_laptop_is_gone_on_with_on_another() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (ann, bob) = (world.machine(&folder, "ann"), world.machine(&folder, "bob"));
    let operations = ann.quiet();
    let plan = operations.plan(&throttle("acme"), new_id()).await.unwrap();
    operations.pause.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(matches!(operations.start(&plan, "acme").await.unwrap(), Ended::Paused(_)));
    // It holds its tenant although nobody works on it.
    let other = bob.quiet().plan(&throttle("acme"), new_id()).await.unwrap();
    assert!(bob.quiet().start(&other, "acme").await.unwrap_err().is_refusal());
    assert_eq!(bob.quiet().go_on(&plan.id, Way::Forward, TakeOver::No).await.unwrap(), Ended::Succeeded);
    assert!(world.settled().await.contains("role_acme | t | 5 |"));
    let report = tierdeck::ops::report::Report::of(&ann.quiet().story(&plan.id).await.unwrap());
    assert_eq!(report.operators, ["ann@ann (tierdeck test)", "ann@bob (tierdeck test)"]);
    // And undone from the first again, which learns of what the other did.
    assert_eq!(ann.quiet().go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
    assert!(world.settled().await.contains("role_acme | t | 40 |"));
    // On another server than the plan's, nothing is done with it.
    let elsewhere = World::start().await;
    let plan = ann.quiet().plan(&throttle("acme"), new_id()).await.unwrap();
    let lost = Machine { port: elsewhere.server.port, ..ann.clone() };
    let refused = lost.quiet().start(&plan, "acme").await.unwrap_err();
    assert!(refused.is_refusal() && refused.to_string().contains("is not the server of the plan"), "{refused}");
    assert!(elsewhere.settled().await.contains("role_acme | t | 40 |"));
    elsewhere.nothing_is_held().await;
}

/// Under another control database nobody sees who works on what: what was begun is gone on with only where it was begun.
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_belongs_to_its_control_database() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let ann = world.machine(&folder, "ann");
    let operations = ann.quiet();
    let plan = operations.plan(&throttle("acme"), new_id()).await.unwrap();
    operations.pause.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(matches!(operations.start(&plan, "acme").await.unwrap(), Ended::Paused(_)));
    let elsewhere = World::start().await;
    let other = Machine { port: elsewhere.server.port, ..ann.clone() };
    let refused = other.quiet().go_on(&plan.id, Way::Forward, TakeOver::No).await.unwrap_err();
    assert!(refused.is_refusal() && refused.to_string().contains("was begun with leases in"), "{refused}");
    assert_eq!(elsewhere.number("SELECT count(*) FROM tierdeck.operation").await, 0);
    // The control database was set back to before the operation began: said, and gone on with only deliberately.
    world.boss.batch_execute("TRUNCATE tierdeck.operation, tierdeck.hold, tierdeck.journal").await.unwrap();
    let forgotten = ann.quiet().go_on(&plan.id, Way::Forward, TakeOver::No).await.unwrap_err();
    assert!(matches!(forgotten, OpsError::Forgotten(_)) && forgotten.is_refusal(), "{forgotten:?}");
    let ended = ann.quiet().go_on(&plan.id, Way::Forward, TakeOver::Deliberately).await;
    assert_eq!(ended.unwrap(), Ended::Succeeded);
    // Others know all of it again.
    let bob = world.machine(&folder, "bob").quiet();
    assert_eq!(bob.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
    world.nothing_is_held().await;
}

/// An effect that waits keeps the operation's row, and its heartbeats go on; also when the session for them is cut off.
#[tokio::test(flavor = "multi_thread")]
async fn a_heart_beats_on_while_an_effect_waits_and_when_its_session_is_lost() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let ann = Machine { stale_ms: 600, ..world.machine(&folder, "ann") };
    let plan = ann.quiet().plan(&throttle("acme"), new_id()).await.unwrap();
    let blocker = crate::support::watcher::session(world.server.port, "postgres", "portarium").await;
    blocker.batch_execute("BEGIN; ALTER ROLE role_acme CONNECTION LIMIT 40").await.unwrap();
    let run = ann.quiet();
    let running = tokio::spawn(async move { run.start(&plan, "acme").await });
    let waiting = "SELECT (count(*) = 0)::int::int8 FROM pg_stat_activity
                   WHERE application_name LIKE 'tierdeck op %' AND wait_event_type = 'Lock'";
    world.until_zero(waiting).await;
    let behind = "SELECT (extract(epoch FROM clock_timestamp() - heartbeat) * 1000)::int8 FROM tierdeck.operation";
    let mut worst = 0;
    for moment in 0..60 {
        if moment == 10 {
            let cut =
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tierdeck control'";
            world.boss.batch_execute(cut).await.unwrap();
        }
        worst = worst.max(world.number(behind).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(world.number(waiting).await, 0, "it waited all the while");
    assert!(worst < 600, "silent for {worst} ms");
    blocker.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(running.await.unwrap().unwrap(), Ended::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_on_one_tenant_one_is_refused() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (ann, bob) = (world.machine(&folder, "ann"), world.machine(&folder, "bob"));
    let plans = [
        ann.quiet().plan(&throttle("acme"), new_id()).await.unwrap(),
        bob.quiet().plan(&throttle("acme"), new_id()).await.unwrap(),
    ];
    let elsewhere = bob.quiet().plan(&throttle("globex"), new_id()).await.unwrap();
    let asleep = Asleep::at(&ann, &plans[0], 6);
    match bob.quiet().start(&plans[1], "acme").await {
        Err(error @ OpsError::Control(ControlError::Held { .. })) => {
            assert!(error.is_refusal());
            let said = error.to_string();
            assert!(said.contains("tenant acme is held by operation") && said.contains("ann"), "{said}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(bob.quiet().start(&elsewhere, "globex").await.unwrap(), Ended::Succeeded);
    drop(asleep);
    // Ten at the same moment: one gets it, the others are refused.
    let carol = world.machine(&folder, "carol");
    assert_eq!(ann.quiet().go_on(&plans[0].id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
    let attempts = (0..10).map(|number| {
        let machine = Machine { state: carol.state.join(number.to_string()), ..carol.clone() };
        async move {
            let operations = machine.quiet();
            let plan = operations.plan(&throttle("acme"), new_id()).await?;
            operations.start(&plan, "acme").await
        }
    });
    let ended = futures::future::join_all(attempts).await;
    let succeeded = ended.iter().filter(|ended| matches!(ended, Ok(Ended::Succeeded))).count();
    let refused = ended.iter().filter(|ended| ended.as_ref().is_err_and(OpsError::is_refusal)).count();
    assert_eq!((succeeded, refused), (1, 9), "{ended:?}");
    world.nothing_is_held().await;
}
