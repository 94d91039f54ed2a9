//! An error, a dropped connection (before the server did it, and after) and a hang at every call to PostgreSQL: whatever is
//! said then, going on brings the world to what an undisturbed run leaves, and rolling back to the start.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tierdeck::ops::act::Intent;
use tierdeck::ops::{Ended, OpsError, TakeOver, Way};

use super::world::{Machine, World, new_id, throttle};

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server does not hear of it, and an error is answered.
    Error,
    /// The connection breaks before the server hears of it.
    Before,
    /// The server does it, and the connection breaks before anybody hears of that.
    After,
    /// Nothing happens any more.
    Hang,
    /// It is let through once the test says so.
    Wait,
}

/// A way to the server that knows the protocol well enough to count calls.
pub struct Meddler {
    pub port: u16,
    state: Arc<State>,
}

struct State {
    upstream: u16,
    calls: AtomicUsize,
    at: AtomicUsize,
    fault: std::sync::Mutex<Fault>,
    /// A call waits.
    waits: AtomicBool,
    over: AtomicBool,
}

impl Meddler {
    pub fn to(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            upstream,
            calls: AtomicUsize::new(0),
            at: AtomicUsize::new(0),
            fault: std::sync::Mutex::new(Fault::Error),
            waits: AtomicBool::new(false),
            over: AtomicBool::new(false),
        });
        let serving = Arc::clone(&state);
        std::thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                if serving.over.load(Ordering::SeqCst) {
                    return;
                }
                let state = Arc::clone(&serving);
                std::thread::spawn(move || join(&state, &near));
            }
        });
        Self { port, state }
    }

    /// From here on the call of this number suffers; 0: none does. Returns how many there were.
    pub fn meddle(&self, at: usize, fault: Fault) -> usize {
        *self.state.fault.lock().unwrap() = fault;
        self.state.at.store(at, Ordering::SeqCst);
        self.state.calls.swap(0, Ordering::SeqCst)
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// A message with its type; the first of a connection has none.
fn message(from: &mut impl std::io::Read, typed: bool) -> Option<Vec<u8>> {
    let mut head = vec![0; if typed { 5 } else { 4 }];
    from.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes(head[head.len() - 4..].try_into().unwrap()) as usize;
    let mut rest = vec![0; length - 4];
    from.read_exact(&mut rest).ok()?;
    head.extend(rest);
    Some(head)
}

fn join(state: &State, near: &TcpStream) {
    let Ok(far) = TcpStream::connect(("127.0.0.1", state.upstream)) else { return };
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    let deaf = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut from = &far;
            let mut buffer = [0; 16_384];
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                if !deaf.load(Ordering::SeqCst) && (&*near).write_all(&buffer[..read]).is_err() {
                    break;
                }
                // The server has answered what nobody was to hear of.
                if deaf.load(Ordering::SeqCst) && buffer[..read].contains(&b'Z') {
                    break;
                }
            }
            let _ = near.shutdown(Shutdown::Both);
        });
        calls(state, near, &far, &deaf);
        // In `After` the server is heard out first.
        if !deaf.load(Ordering::SeqCst) {
            let _ = far.shutdown(Shutdown::Both);
        }
    });
}

fn calls(state: &State, mut near: &TcpStream, mut far: &TcpStream, deaf: &AtomicBool) {
    let Some(startup) = message(&mut near, false) else { return };
    // A request to cancel comes alone, and is no call.
    if far.write_all(&startup).is_err() {
        return;
    }
    let mut held = Vec::new();
    while let Some(message) = message(&mut near, true) {
        let kind = message[0];
        held.extend(message);
        match kind {
            b'Q' | b'S' => {
                let number = state.calls.fetch_add(1, Ordering::SeqCst) + 1;
                if number == state.at.load(Ordering::SeqCst) {
                    let fault = *state.fault.lock().unwrap();
                    match fault {
                        Fault::Error => {
                            held.clear();
                            let fields = b"SERROR\0VERROR\0CXX000\0Mmeddled with\0\0";
                            let mut answer = vec![b'E'];
                            answer.extend(u32::try_from(fields.len() + 4).unwrap().to_be_bytes());
                            answer.extend(fields);
                            answer.extend([b'Z', 0, 0, 0, 5, b'I']);
                            if near.write_all(&answer).is_err() {
                                return;
                            }
                            continue;
                        }
                        Fault::Before => {
                            let _ = near.shutdown(Shutdown::Both);
                            return;
                        }
                        Fault::After => deaf.store(true, Ordering::SeqCst),
                        Fault::Hang => {
                            let _ = near.read(&mut [0]);
                            return;
                        }
                        Fault::Wait => {
                            state.waits.store(true, Ordering::SeqCst);
                            while state.waits.load(Ordering::SeqCst) {
                                std::thread::sleep(Duration::from_millis(1));
                            }
                        }
                    }
                }
            }
            // What ends a session or belongs to the login goes at once; the rest waits for its Sync.
            b'X' | b'p' | b'H' => {}
            _ => continue,
        }
        if far.write_all(&held).is_err() {
            return;
        }
        held.clear();
        if deaf.load(Ordering::SeqCst) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_to_a_call_going_on_and_going_back_come_to_their_ends() {
    println!("{}", suffer(&World::start().await, throttle("acme"), "acme", 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn and_so_they_do_around_a_fence() {
    let world = World::start().await;
    super::fenced::furnish(&world).await;
    println!("{}", suffer(&world, super::fenced::quarantine(), "initech", 5).await);
}

/// What only looks leaves nothing, whatever happens to it.
#[tokio::test(flavor = "multi_thread")]
async fn and_so_does_a_proof() {
    let world = World::start().await;
    super::prove::guarded(&world).await;
    println!("{}", suffer(&world, super::prove::prove("acme", Some(50)), "acme", 19).await);
}

/// Every call of an operation suffers everything; unless all of it is asked for (make matrix), fewer of them do.
async fn suffer(world: &World, intent: Intent, typed: &str, fewer: usize) -> String {
    let folder = tempfile::tempdir().unwrap();
    let meddler = Meddler::to(world.server.port);
    let machine = |name: String| Machine { port: meddler.port, ..world.machine(&folder, &name) };
    let start = world.settled().await;
    // How many calls an undisturbed run has, and what it leaves.
    let direct = world.machine(&folder, "direct").quiet();
    let plan = direct.plan(&intent, new_id()).await.unwrap();
    meddler.meddle(0, Fault::Error);
    assert_eq!(machine("undisturbed".to_owned()).quiet().start(&plan, typed).await.unwrap(), Ended::Succeeded);
    let calls = meddler.meddle(0, Fault::Error);
    let done = world.settled().await;
    let leaves = !matches!(intent, Intent::Prove(_));
    assert!(calls > 30 && (done != start) == leaves, "{calls}");
    let everything = std::env::var_os("TIERDECK_MATRIX").is_some();
    let seed: usize = std::env::var("TIERDECK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let (mut tried, mut held) = (0, 0);
    for at in 1..=calls {
        for fault in [Fault::Error, Fault::Before, Fault::After, Fault::Hang] {
            // A sample by the seed, and fewer of what takes its time, unless all of it is asked for (make matrix).
            let place = at * 4 + fault as usize + seed;
            if !everything && !place.is_multiple_of(fewer * if fault == Fault::Hang { 23 } else { 3 }) {
                continue;
            }
            let way = if (at + fault as usize).is_multiple_of(2) { Way::Forward } else { Way::Back };
            tried += 1;
            world.forget().await;
            if typed == "initech" {
                super::fenced::bring_back(world).await;
            }
            let machine = machine(format!("{at}-{fault:?}"));
            let operations = machine.quiet();
            let plan = direct.plan(&intent, new_id()).await.unwrap();
            meddler.meddle(at, fault);
            let first = operations.start(&plan, typed).await;
            let reached = meddler.meddle(0, fault) >= at;
            let here = format!("{fault:?} at call {at} of {calls}: {first:?}, then {way:?}");
            assert!(reached || first.is_ok(), "{here}");
            let ended = match (way, operations.go_on(&plan.id, way, TakeOver::No).await) {
                // It was cut off before anything was begun: nothing is there, and it is begun anew.
                (way, Err(OpsError::Unknown(_))) => {
                    assert_eq!(world.settled().await, start, "{here}");
                    let begun = operations.start(&plan, typed).await;
                    if way == Way::Back { operations.go_on(&plan.id, way, TakeOver::No).await } else { begun }
                }
                // It had come to its end all the same.
                (Way::Forward, Err(OpsError::Over(_, how))) if how == "succeeded" => Ok(Ended::Succeeded),
                (_, ended) => ended,
            };
            // What leaves nothing has nothing to go back from once it is over.
            let ended = match ended {
                Err(OpsError::Over(_, how)) if how == "succeeded" && way == Way::Back && !leaves => {
                    Ok(Ended::RolledBack)
                }
                ended => ended,
            };
            match (way, ended) {
                (Way::Forward, Ok(Ended::Succeeded)) => assert_eq!(world.settled().await, done, "{here}"),
                (Way::Back, Ok(Ended::RolledBack)) => assert_eq!(world.settled().await, start, "{here}"),
                (_, ended) => panic!("{here}: {ended:?}"),
            }
            world.nothing_is_held().await;
            held += 1;
        }
    }
    assert_eq!(tried, held);
    format!("faults, {typed}: {calls} calls, 4 faults each, seed {seed}: {tried} points tried, {held} held")
}

/// Whoever held a tenant lets go of it between any two of our questions: what runs holds it, or is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_is_let_go_of_meanwhile_is_ours_or_nobodys() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let meddler = Meddler::to(world.server.port);
    let direct = world.machine(&folder, "direct").quiet();
    let first = direct.plan(&throttle("acme"), new_id()).await.unwrap();
    direct.start(&first, "acme").await.unwrap();
    direct.go_on(&first.id, Way::Back, TakeOver::No).await.unwrap();
    let unheld = "SELECT count(*) FROM tierdeck.operation o WHERE state IN ('running', 'paused')
                  AND NOT EXISTS (SELECT FROM tierdeck.hold h WHERE h.operation = o.id)";
    let (mut refused, mut held) = (0, 0);
    for at in 1.. {
        world
            .boss
            .execute("INSERT INTO tierdeck.hold VALUES ('tenant acme', $1)", &[&first.id.as_str()])
            .await
            .unwrap();
        let machine = Machine { port: meddler.port, ..world.machine(&folder, &format!("bob-{at}")) };
        let plan = direct.plan(&throttle("acme"), new_id()).await.unwrap();
        meddler.meddle(at, Fault::Wait);
        let id = plan.id.clone();
        let (run, stop) = (machine.quiet(), machine.quiet());
        run.pause.store(true, Ordering::SeqCst);
        let started = tokio::spawn(async move { run.start(&plan, "acme").await });
        while !meddler.state.waits.load(Ordering::SeqCst) && !started.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        world.boss.execute("DELETE FROM tierdeck.hold WHERE operation = $1", &[&first.id.as_str()]).await.unwrap();
        let waited = meddler.state.waits.swap(false, Ordering::SeqCst);
        let ended = started.await.unwrap();
        meddler.meddle(0, Fault::Wait);
        assert_eq!(world.number(unheld).await, 0, "at call {at}: {ended:?}");
        match ended {
            Ok(Ended::Paused(_)) => {
                held += 1;
                assert_eq!(stop.go_on(&id, Way::Abandon, TakeOver::No).await.unwrap(), Ended::Abandoned);
            }
            Err(error) if error.is_refusal() => refused += 1,
            other => panic!("at call {at}: {other:?}"),
        }
        world.nothing_is_held().await;
        if !waited {
            break;
        }
    }
    println!("holds: let go of at each of {} calls: {held} held, {refused} refused", held + refused);
    assert!(held > 5 && refused > 0, "{held} {refused}");
}

#[tokio::test]
async fn a_server_that_is_not_there_changes_nothing() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let plan = world.machine(&folder, "here").quiet().plan(&throttle("acme"), new_id()).await.unwrap();
    let nowhere = Machine { port: crate::support::server::free_port(), ..world.machine(&folder, "there") };
    let error = nowhere.quiet().start(&plan, "acme").await.unwrap_err();
    assert!(!error.is_refusal() && error.to_string().contains("connection refused"), "{error}");
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(world.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'tierdeck'").await, 0);
}
