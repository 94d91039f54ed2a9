//! The fence among a crowd: twenty writers of all kinds and twenty readers who never stop, while it is raised and taken away, again
//! and again. Every write that was acknowledged is there; none is acknowledged that was begun while the fence stood; nothing
//! changes behind it; no reader fails, or waits for a lock; every ACL comes back byte for byte.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::SinkExt as _;
use rand::{RngExt as _, SeedableRng as _};
use tierdeck::ops::{Ended, OperationId, OpsError, TakeOver, Way};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls};

use super::fenced::{acls, furnish, quarantine};
use super::world::{Machine, World, new_id};
use crate::support::skipped::skipped;
use crate::support::watcher::{SECRET, session};

/// What every writer and reader shares.
struct Stage {
    port: u16,
    over: AtomicBool,
    /// 0: open; 1: it is being raised; 2: it stands; 3: it is being taken away.
    phase: AtomicU8,
    next: AtomicI64,
    acknowledged: Mutex<Acknowledged>,
    refused: AtomicUsize,
    read: AtomicUsize,
    /// How often this round's fence was begun anew because something was made meanwhile: who makes things calms down by it, so
    /// that a machine that is slow has its round all the same.
    anew: AtomicU32,
}

#[derive(Default)]
struct Acknowledged {
    orders: BTreeSet<i64>,
    items: BTreeSet<String>,
    made: BTreeSet<String>,
    /// The highest value that was drawn.
    numbers: i64,
    ids: i64,
    /// Acknowledged although it was begun while the fence stood.
    wrong: Vec<String>,
    count: usize,
}

const KINDS: [&str; 10] = [
    "insert",
    "long",
    "prepared",
    "copy",
    "update",
    "nextval",
    "own insert",
    "own truncate",
    "own create",
    "own nextval",
];

async fn log_in(port: u16, user: &str) -> Option<Client> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user(user).password(SECRET).dbname("portarium");
    let (client, connection) = config.connect(NoTls).await.ok()?;
    tokio::spawn(connection);
    Some(client)
}

/// What may be said to a writer: no; and to one of the tenant's own logins, that it ends.
fn is_refusal(error: &Error, own: bool) -> bool {
    match error.code() {
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => true,
        Some(code) => own && *code == SqlState::ADMIN_SHUTDOWN,
        None => own && (error.is_closed() || error.to_string().contains("communicating")),
    }
}

impl Stage {
    /// The phase when a statement was sent by which something became durable.
    fn acknowledge(&self, sent: u8, kind: &str, note: impl FnOnce(&mut Acknowledged)) {
        let mut acknowledged = self.acknowledged.lock().unwrap();
        note(&mut acknowledged);
        acknowledged.count += 1;
        if sent == 2 && self.phase.load(Ordering::SeqCst) == 2 {
            acknowledged.wrong.push(kind.to_owned());
        }
    }

    fn phase(&self) -> u8 {
        self.phase.load(Ordering::SeqCst)
    }

    fn number(&self) -> i64 {
        self.next.fetch_add(1, Ordering::SeqCst)
    }

    async fn write(&self, client: &Client, kind: &str, made: &mut Option<String>) -> Result<(), Error> {
        let (number, sent) = (self.number(), self.phase());
        match kind {
            "insert" | "own insert" => {
                client.batch_execute(&format!("INSERT INTO tenant_initech.orders VALUES ({number}, 1)")).await?;
                self.acknowledge(sent, kind, |it| _ = it.orders.insert(number));
            }
            "prepared" => {
                let sql = "INSERT INTO tenant_initech.orders VALUES ($1::int8, 1)";
                let statement = client.prepare(sql).await?;
                for _ in 0..5 {
                    let (number, sent) = (self.number(), self.phase());
                    client.execute(&statement, &[&number]).await?;
                    self.acknowledge(sent, kind, |it| _ = it.orders.insert(number));
                }
            }
            "long" => {
                let said = format!("said {number}");
                client.batch_execute(&format!("BEGIN; INSERT INTO tenant_initech.orders VALUES ({number}, 1)")).await?;
                tokio::time::sleep(between(5, 120)).await;
                client.batch_execute(&format!("INSERT INTO tenant_initech.items (said) VALUES ('{said}')")).await?;
                tokio::time::sleep(between(5, 60)).await;
                let sent = self.phase();
                client.batch_execute("COMMIT").await?;
                self.acknowledge(sent, kind, |it| {
                    it.orders.insert(number);
                    it.items.insert(said);
                });
            }
            "copy" => {
                let sink = client.copy_in("COPY tenant_initech.orders FROM STDIN").await?;
                let mut sink = std::pin::pin!(sink);
                sink.send(bytes(&format!("{number}\t1\n"))).await?;
                tokio::time::sleep(Duration::from_millis(5)).await;
                let sent = self.phase();
                sink.finish().await?;
                self.acknowledge(sent, kind, |it| _ = it.orders.insert(number));
            }
            "update" => {
                client.batch_execute("UPDATE tenant_initech.orders SET total = total + 1 WHERE id = 1").await?;
                self.acknowledge(sent, kind, |_| {});
            }
            "nextval" | "own nextval" => {
                let name = if kind == "nextval" { "items_id_seq" } else { "numbers" };
                // In a transaction that goes on drawing: what nobody's lock of a table waits for.
                client.batch_execute("BEGIN").await?;
                for _ in 0..5 {
                    let sent = self.phase();
                    let row = client.query_one(&format!("SELECT nextval('tenant_initech.{name}')"), &[]).await?;
                    let value: i64 = row.get(0);
                    self.acknowledge(sent, kind, |it| {
                        let highest = if kind == "nextval" { &mut it.ids } else { &mut it.numbers };
                        *highest = value.max(*highest);
                    });
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
                client.batch_execute("COMMIT").await?;
            }
            "own truncate" => {
                client.batch_execute("INSERT INTO tenant_initech.scratch VALUES (1)").await?;
                self.acknowledge(sent, kind, |_| {});
                let sent = self.phase();
                client.batch_execute("TRUNCATE tenant_initech.scratch").await?;
                self.acknowledge(sent, kind, |_| {});
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            _ => {
                tokio::time::sleep(between(2_000, 7_000) * (1 + self.anew.load(Ordering::SeqCst))).await;
                // An owner may drop what it owns until its session has ended: that is no write, and not what is tried here.
                if self.phase() == 0
                    && let Some(old) = made.take()
                {
                    let sent = self.phase();
                    // Gone from the moment that it may be gone.
                    self.acknowledged.lock().unwrap().made.remove(&old);
                    client.batch_execute(&format!("DROP TABLE IF EXISTS tenant_initech.{old}")).await?;
                    self.acknowledge(sent, kind, |_| {});
                } else if made.is_none() {
                    let (sent, name) = (self.phase(), format!("made_{number}"));
                    client.batch_execute(&format!("CREATE TABLE tenant_initech.{name} (id int)")).await?;
                    self.acknowledge(sent, kind, |it| _ = it.made.insert(name.clone()));
                    *made = Some(name);
                }
            }
        }
        Ok(())
    }

    async fn writer(self: Arc<Self>, kind: &'static str) {
        let own = kind.starts_with("own");
        let user = if own { "initech_app" } else { "portarium_shared" };
        let (mut client, mut made) = (None, None);
        while !self.over.load(Ordering::SeqCst) {
            let Some(session) = &client else {
                client = log_in(self.port, user).await;
                assert!(own || client.is_some(), "the account of everybody is let in, always");
                tokio::time::sleep(Duration::from_millis(60)).await;
                continue;
            };
            if let Err(error) = self.write(session, kind, &mut made).await {
                assert!(is_refusal(&error, own), "{kind}: {error:?}");
                self.refused.fetch_add(1, Ordering::SeqCst);
                if session.batch_execute("ROLLBACK").await.is_err() {
                    client = None;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }

    /// It never fails, and never waits for a lock: for one it would give up at once.
    async fn reader(self: Arc<Self>, number: usize) {
        let client = session(self.port, "portarium_shared", "portarium").await;
        client.batch_execute("SET lock_timeout = '1ms'").await.unwrap();
        // Always as much, however many rounds there were.
        let sql = "SELECT count(*), sum(total), (SELECT max(id) FROM tenant_initech.items) FROM tenant_initech.orders WHERE id < 1000";
        let prepared = client.prepare(sql).await.unwrap();
        while !self.over.load(Ordering::SeqCst) {
            match number % 4 {
                0 => drop(client.query(&prepared, &[]).await.unwrap()),
                1 => client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM tenant_initech.orders WHERE id < 1000; SELECT pg_sleep(0.05); SELECT max(id) FROM tenant_initech.items; COMMIT").await.unwrap(),
                2 => client.batch_execute("SELECT * FROM tenant_initech.seen LIMIT 10; SELECT * FROM tenant_initech.counted").await.unwrap(),
                _ => client.batch_execute(sql).await.unwrap(),
            }
            self.read.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn between(least: u64, most: u64) -> Duration {
    Duration::from_millis(rand::rng().random_range(least..most))
}

fn bytes(text: &str) -> std::io::Cursor<Vec<u8>> {
    std::io::Cursor::new(text.as_bytes().to_vec())
}

/// Everything that is in the schema, but for what the server counts.
async fn content(world: &World) -> String {
    let sql = "SELECT concat_ws(' ',
        (SELECT count(*) || ':' || sum(hashtextextended(t::text, 0)::numeric) FROM tenant_initech.orders t),
        (SELECT count(*) || ':' || sum(hashtextextended(t::text, 0)::numeric) FROM tenant_initech.items t),
        (SELECT count(*) FROM tenant_initech.scratch), (SELECT last_value FROM tenant_initech.numbers),
        (SELECT last_value FROM tenant_initech.items_id_seq),
        (SELECT string_agg(relname || relfilenode, ',' ORDER BY oid) FROM pg_class WHERE relnamespace = 'tenant_initech'::regnamespace))";
    world.boss.query_one(sql, &[]).await.unwrap().get(0)
}

/// Every write that was acknowledged is there.
async fn nothing_is_lost(world: &World, stage: &Stage, acknowledged: &Acknowledged) {
    let texts = async |sql: &str| -> BTreeSet<String> {
        world.boss.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    };
    let ids: Vec<i64> = acknowledged.orders.iter().copied().collect();
    let sql = "SELECT coalesce(array_agg(id), '{}') FROM unnest($1::int8[]) AS a (id) WHERE NOT EXISTS (SELECT FROM tenant_initech.orders o WHERE o.id = a.id)";
    let lost: Vec<i64> = world.boss.query_one(sql, &[&ids]).await.unwrap().get(0);
    assert!(lost.is_empty(), "lost: {lost:?}");
    let said: Vec<&str> = acknowledged.items.iter().map(String::as_str).collect();
    let sql = "SELECT coalesce(array_agg(it), '{}') FROM unnest($1::text[]) AS a (it) WHERE it NOT IN (SELECT said FROM tenant_initech.items WHERE said IS NOT NULL)";
    let lost: Vec<String> = world.boss.query_one(sql, &[&said]).await.unwrap().get(0);
    assert!(lost.is_empty(), "lost: {lost:?}");
    let made = texts("SELECT relname::text FROM pg_class WHERE relnamespace = 'tenant_initech'::regnamespace").await;
    assert!(acknowledged.made.is_subset(&made), "lost: {:?}", acknowledged.made.difference(&made));
    assert!(world.number("SELECT last_value FROM tenant_initech.numbers").await >= acknowledged.numbers);
    assert!(world.number("SELECT last_value FROM tenant_initech.items_id_seq").await >= acknowledged.ids);
    assert!(stage.read.load(Ordering::SeqCst) > 0);
}

/// How often an operator had to do something again, and why.
#[derive(Debug, Default)]
struct Again {
    /// Something was made between plan and fence: released, planned anew.
    anew: usize,
    /// Who writes was not waited out in the time that there was: gone on with.
    retried: usize,
}

/// What passes by itself: whoever reads it goes on with the operation. How long writers take, and how long that may be waited
/// for, is the machine's; that nothing is half done meanwhile is ours.
fn passes(reason: &str) -> bool {
    let words = [
        "was not waited out",
        "lock timeout",
        "statement timeout",
        "did not answer",
        "makes something in tenant_initech",
        "began before the fence is still open",
        "of them are still there",
    ];
    words.iter().any(|words| reason.contains(words))
}

/// How often an operator tries before it is a failure of the fence and not of the moment.
const PATIENCE: usize = 50;

/// Goes on with an operation until what passes by itself has passed.
async fn insist(
    machine: &Machine,
    id: &OperationId,
    way: Way,
    mut ended: Result<Ended, OpsError>,
    again: &mut Again,
) -> Result<Ended, OpsError> {
    for _ in 0..PATIENCE {
        match &ended {
            Ok(Ended::Paused(reason)) if passes(reason) => {
                again.retried += 1;
                ended = machine.quiet().go_on(id, way, TakeOver::No).await;
            }
            _ => return ended,
        }
    }
    panic!("tried {PATIENCE} times: {ended:?}");
}

/// Raises the fence, however often something is made in between; returns its operation.
async fn raise(machine: &Machine, stage: &Stage, again: &mut Again) -> OperationId {
    stage.anew.store(0, Ordering::SeqCst);
    for _ in 0..PATIENCE {
        let operations = machine.quiet();
        let plan = operations.plan(&quarantine(), new_id()).await.unwrap();
        stage.phase.store(1, Ordering::SeqCst);
        let ended = operations.start(&plan, "initech").await;
        match insist(machine, &plan.id, Way::Forward, ended, again).await {
            Ok(Ended::Succeeded) => {
                stage.phase.store(2, Ordering::SeqCst);
                return plan.id;
            }
            Err(OpsError::Stale(_)) => {}
            Ok(Ended::Paused(reason)) => {
                let known = [
                    "is not what the plan was made from",
                    "was made in tenant_initech meanwhile",
                    "came while it was raised",
                ];
                // A table that was dropped between the look and the lock.
                let known = known.iter().any(|words| reason.contains(words)) || reason.contains("42P01");
                assert!(known, "{reason}");
                let ended = operations.go_on(&plan.id, Way::Back, TakeOver::No).await;
                let ended = insist(machine, &plan.id, Way::Back, ended, again).await;
                assert_eq!(ended.unwrap(), Ended::RolledBack, "{reason}");
            }
            other => panic!("{other:?}"),
        }
        stage.phase.store(0, Ordering::SeqCst);
        again.anew += 1;
        stage.anew.fetch_add(1, Ordering::SeqCst);
    }
    panic!("something was made in between, {PATIENCE} times");
}

async fn among(world: &World, rounds: usize, seed: u64) -> String {
    furnish(world).await;
    world.boss.batch_execute("ALTER TABLE tenant_initech.orders ALTER id TYPE bigint").await.unwrap_or_default();
    let folder = tempfile::tempdir().unwrap();
    // As patient as the defaults are, or nearly.
    let machine = Machine { patience_ms: 20_000, budget_ms: 60_000, ..world.machine(&folder, "laptop") };
    let stage = Arc::new(Stage {
        port: world.server.port,
        over: AtomicBool::new(false),
        phase: AtomicU8::new(0),
        next: AtomicI64::new(1_000),
        acknowledged: Mutex::default(),
        refused: AtomicUsize::new(0),
        read: AtomicUsize::new(0),
        anew: AtomicU32::new(0),
    });
    let mut crowd: Vec<_> =
        (0..20).map(|number| tokio::spawn(Arc::clone(&stage).writer(KINDS[number % KINDS.len()]))).collect();
    crowd.extend((0..20).map(|number| tokio::spawn(Arc::clone(&stage).reader(number))));
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let before = acls(world).await;
    let mut all = Acknowledged::default();
    let (mut again, began, mut longest) = (Again::default(), Instant::now(), Duration::ZERO);
    for round in 1..=rounds {
        tokio::time::sleep(Duration::from_millis(random.random_range(20..200))).await;
        let raised = Instant::now();
        let id = raise(&machine, &stage, &mut again).await;
        longest = longest.max(raised.elapsed());
        let content_before = content(world).await;
        {
            let acknowledged = std::mem::take(&mut *stage.acknowledged.lock().unwrap());
            assert!(acknowledged.wrong.is_empty(), "round {round}: {:?}", acknowledged.wrong);
            nothing_is_lost(world, &stage, &acknowledged).await;
            // At the end all of it is looked for once more; what was made may have been dropped by then.
            let mut now = stage.acknowledged.lock().unwrap();
            now.made.extend(acknowledged.made);
            now.count += acknowledged.count;
            all.orders.extend(acknowledged.orders);
            all.items.extend(acknowledged.items);
        }
        let refused = stage.refused.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(random.random_range(20..150))).await;
        // Only against hanging for ever: on a machine that does other things too, seconds say nothing.
        let deadline = Instant::now() + Duration::from_secs(600);
        while stage.refused.load(Ordering::SeqCst) < refused + 10 {
            assert!(Instant::now() < deadline, "round {round}: nobody tries to write");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(content(world).await, content_before, "round {round}: something was written behind the fence");
        assert_eq!(stage.acknowledged.lock().unwrap().wrong, Vec::<String>::new(), "round {round}");
        stage.phase.store(3, Ordering::SeqCst);
        let ended = machine.quiet().go_on(&id, Way::Back, TakeOver::No).await;
        let ended = insist(&machine, &id, Way::Back, ended, &mut again).await;
        assert_eq!(ended.unwrap(), Ended::RolledBack, "round {round}");
        stage.phase.store(0, Ordering::SeqCst);
        assert_eq!(acls(world).await, before, "round {round}");
        assert!(crowd.iter().all(|one| !one.is_finished()), "round {round}: somebody gave up");
        if round % 10 == 0 && rounds > 10 {
            println!("round {round} of {rounds}: {again:?}, {:.0} s", began.elapsed().as_secs_f64());
        }
    }
    stage.over.store(true, Ordering::SeqCst);
    for one in crowd {
        one.await.unwrap();
    }
    let mut acknowledged = std::mem::take(&mut *stage.acknowledged.lock().unwrap());
    acknowledged.orders.extend(all.orders);
    acknowledged.items.extend(all.items);
    nothing_is_lost(world, &stage, &acknowledged).await;
    let version = world.boss.query_one("SHOW server_version", &[]).await.unwrap().get::<_, String>(0);
    world.nothing_is_held().await;
    format!(
        "fence among 20 writers and 20 readers on PostgreSQL {version}: {rounds} times, begun anew {} times, gone on with {} times, \
         {} writes acknowledged, {} refused, {} reads, longest to raise {:.2} s, {:.0} s in all, seed {seed}",
        again.anew,
        again.retried,
        acknowledged.count,
        stage.refused.load(Ordering::SeqCst),
        stage.read.load(Ordering::SeqCst),
        longest.as_secs_f64(),
        began.elapsed().as_secs_f64()
    )
}

/// All of it when it is asked for (make matrix), else a handful, the first of these by the seed.
fn rounds() -> (usize, u64) {
    let seed = std::env::var("TIERDECK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    (if std::env::var_os("TIERDECK_MATRIX").is_some() { 100 } else { 4 }, seed)
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_behind_it_and_nothing_is_lost_before_it() {
    let (rounds, seed) = rounds();
    println!("{}", among(&World::start().await, rounds, seed).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_where_createrole_means_less() {
    let (rounds, seed) = rounds();
    let newer = crate::support::server::installed().remove(&18).map(|(_, folder)| folder);
    match newer {
        Some(programs) => println!("{}", among(&World::start_of(&programs).await, rounds, seed).await),
        None => skipped("the fence among a crowd on PostgreSQL 18: it is not here (make install-test fetches it)"),
    }
}
