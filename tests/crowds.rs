//! Crowds, on real servers and through the real binary: a lock storm of 500 waiters, thousands of sessions, a thousand
//! findings at once. The console names what is wrong, answers keys, and costs the server little.
//!
//! A thousand sessions are opened; `TIERDECK_TEST_SESSIONS=5000` opens as many as the promise is about, which takes the
//! server some 9 GiB of memory and a minute to let them in.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test's way to fail, and its figures")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use support::console::{Console, PATIENCE};
use support::observer::{Observer, answered};
use support::server::Server;
use support::watcher::{SECRET, Watcher};
use tierdeck::domain::facts::Source;
use tierdeck::domain::lock_graph::{Root, chains, is_inferred};
use tierdeck::domain::{Session, Severity, Signal, Snapshot};
use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, NoTls};

/// One crowd at a time.
static TURN: Mutex<()> = Mutex::const_new(());

/// Who comes by thousands brings no password; who watches does.
const TRUST: &str = "local all all trust\nhost all tierdeck all scram-sha-256\nhost all all all trust\n";

/// What watching may cost the server of each second, in milliseconds; and what a measurement may be off by where several
/// programs want the same two cores, because the server counts what passes on the wall's clock.
const BUDGET: f64 = 25.0;
const DOUBT: f64 = 3.0;

async fn server(connections: usize) -> Server {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let settings = format!(
        "max_connections = {connections}\nshared_preload_libraries = 'pg_stat_statements'\n\
         pg_stat_statements.track_planning = on\nautovacuum = off"
    );
    let server = Server::start(&settings, TRUST, |_| {});
    let boss = guest(&server, "postgres").await;
    let made = format!(
        "CREATE EXTENSION pg_stat_statements; CREATE ROLE tierdeck LOGIN PASSWORD '{SECRET}'; GRANT pg_monitor TO tierdeck"
    );
    boss.batch_execute(&made).await.unwrap();
    server
}

/// A session of somebody, over the server's socket.
async fn guest(server: &Server, user: &str) -> Client {
    let mut config = Config::new();
    config.host_path(server.socket_folder()).port(server.port).user(user).dbname("postgres");
    let (client, connection) = config.connect(NoTls).await.unwrap_or_else(|error| panic!("{user}: {error:?}"));
    tokio::spawn(connection);
    client
}

fn tenant(nth: usize) -> String {
    format!("t{:02}", nth % TENANTS)
}

const TENANTS: usize = 20;

/// Tenants with a schema, a table and a login each, and a table that all of them use.
async fn tenants(boss: &Client) {
    let mut sql = "CREATE SCHEMA platform; CREATE TABLE platform.events (id int PRIMARY KEY, what text);
                   CREATE TABLE platform.jobs (id int PRIMARY KEY, done int);
                   INSERT INTO platform.jobs VALUES (1, 0); GRANT USAGE ON SCHEMA platform TO PUBLIC;
                   GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA platform TO PUBLIC;"
        .to_owned();
    for nth in 0..TENANTS {
        let id = tenant(nth);
        write!(
            sql,
            "CREATE ROLE role_{id} LOGIN CONNECTION LIMIT 2000; CREATE SCHEMA tenant_{id} AUTHORIZATION role_{id};
             CREATE TABLE tenant_{id}.orders (id int PRIMARY KEY); ALTER TABLE tenant_{id}.orders OWNER TO role_{id};"
        )
        .unwrap();
    }
    boss.batch_execute(&sql).await.unwrap();
}

async fn number(boss: &Client, sql: &str) -> i64 {
    boss.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
}

/// Waits until the server itself counts so many.
async fn reaches(boss: &Client, what: &str, sql: &str, wanted: i64) {
    let begun = Instant::now();
    loop {
        let found = number(boss, sql).await;
        if found == wanted {
            return;
        }
        assert!(begun.elapsed() < PATIENCE * 2, "{what}: {found} of {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What our login costs the server, in milliseconds of a second, as the server itself counts it.
async fn cost(boss: &Client, time: Duration) -> f64 {
    boss.query("SELECT pg_stat_statements_reset()", &[]).await.unwrap();
    let begun = Instant::now();
    tokio::time::sleep(time).await;
    let sql = "SELECT coalesce(sum(total_exec_time + total_plan_time), 0)::float8 FROM pg_stat_statements
               WHERE userid = 'tierdeck'::regrole";
    let spent: f64 = boss.query_one(sql, &[]).await.unwrap().get(0);
    spent / begun.elapsed().as_secs_f64()
}

/// Types for a while, and waits for each key's screen; says how long they took, the quickest first.
fn answers(console: &mut Console) -> Vec<Duration> {
    let begun = Instant::now();
    let mut took = Vec::new();
    while begun.elapsed() < Duration::from_secs(6) || took.len() < 20 {
        for (key, words) in [("3", "─ SESSIONS "), ("4", "─ LOCKS "), ("1", "─ TENANTS ")] {
            console.keys(key);
            took.push(console.shows(words));
        }
    }
    took.sort();
    let (middle, last) = (took[took.len() / 2], took[took.len() - 1]);
    println!("{} keys: half of them within {middle:?}, all within {last:?}", took.len());
    // A debug build, beside a server in trouble and whatever else this machine does.
    assert!(middle < Duration::from_millis(300) && last < Duration::from_secs(3), "{took:?}");
    took
}

/// The resident memory of a process, in MiB.
fn memory(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// Two storms: 200 sessions want the row that one holds; 299 read a table that a change of it waits for, which waits for
/// somebody who has only read it. What was asked of the server says so for all of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_storm_of_500_names_its_roots_and_costs_the_server_little() {
    let _turn = TURN.lock().await;
    let server = server(600).await;
    let boss = guest(&server, "postgres").await;
    tenants(&boss).await;
    let watcher = Watcher::of(&[("shared", server.port)]);
    let quick: Vec<String> = Source::ALL
        .iter()
        .filter(|source| **source != Source::Activity && source.asks_the_server())
        .map(|source| format!("{} = \"2s\"", source.name()))
        .collect();
    let eager = Watcher::of(&[("shared", server.port)]).configure(&format!("[poll]\n{}\n", quick.join("\n")));
    let mut console = watcher.console().open();
    console.until("the tenants", PATIENCE, |screen| screen.contains("TENANTS 20") && screen.contains("● shared"));

    let writer = guest(&server, "role_t00").await;
    writer.batch_execute("BEGIN; UPDATE platform.jobs SET done = done + 1 WHERE id = 1").await.unwrap();
    let reader = guest(&server, "role_t01").await;
    reader.batch_execute("BEGIN; SELECT count(*) FROM platform.events").await.unwrap();
    let pid = "SELECT pg_backend_pid()::int8";
    let (writer_pid, reader_pid) = (number(&writer, pid).await as i32, number(&reader, pid).await as i32);
    let waiting = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted";
    let change = guest(&server, "postgres").await;
    let change = tokio::spawn(async move { change.batch_execute("ALTER TABLE platform.events ADD later int").await });
    reaches(&boss, "the change waits", waiting, 1).await;
    let clients = futures::stream::iter(0..499).map(|nth| {
        let (server, user) = (&server, format!("role_{}", tenant(2 + nth % (TENANTS - 2))));
        async move { guest(server, &user).await }
    });
    let clients: Vec<Client> = clients.buffer_unordered(32).collect().await;
    let wants = |nth| {
        if nth < 200 { "UPDATE platform.jobs SET done = done + 1 WHERE id = 1" } else { "TABLE platform.events" }
    };
    let crowd: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(nth, client)| tokio::spawn(async move { client.batch_execute(wants(nth)).await }))
        .collect();
    reaches(&boss, "all wait", waiting, 500).await;

    // What the board makes of it, whatever was asked of the server: who stands behind whom is known by construction.
    let mut observer = Observer::of(&eager);
    let both = |snapshot: &Snapshot| {
        let of = |id: &str| snapshot.findings.iter().any(|it| it.signal == Signal::LockChain && it.subject.id == id);
        snapshot.instances[0].blocked == Some(500) && of("t00") && of("t01")
    };
    println!("both roots are named after {:?}", observer.until("a finding for each root", both).await);
    assert_eq!(behind_roots(&observer.newest), BTreeMap::from([(writer_pid, 200), (reader_pid, 300)]));
    let asked = observer.newest.sessions.iter().filter(|it| it.blocking.is_some() && !is_inferred(it)).count();
    assert!((2..=64).contains(&asked), "{asked} sessions' blockers were asked for");
    for (id, waiters) in [("t00", 200.0), ("t01", 300.0)] {
        let chain = observer.findings(Signal::LockChain).into_iter().find(|it| it.subject.id == id).unwrap();
        let of = |name: &str| chain.evidence.iter().find(|it| it.name == name).unwrap().value;
        assert_eq!((chain.severity, of("sessions waiting")), (Severity::Critical, waiters), "{chain:#?}");
        assert_eq!(chain.culprits.iter().map(tierdeck::domain::TenantId::as_str).collect::<Vec<_>>(), [id]);
        assert!(chain.victims.len() >= 17 && chain.statement.is_some(), "{chain:#?}");
    }
    // Everything else goes on: each source has answered since, and those that look often go on doing so.
    let begun = Instant::now();
    observer.until("every source", |snapshot| snapshot.instances[0].sources.iter().all(|it| it.at.is_some())).await;
    observer.rounds(&[Source::Activity, Source::Databases, Source::Vacuums, Source::Horizon, Source::Churn], 3).await;
    println!("three rounds of the quick sources in {:?}", begun.elapsed());
    assert!(observer.instance().sources.iter().all(|state| state.error.is_none()), "{}", observer.picture());
    let seen = observer.newest.taken_at.duration_since(answered(&observer.newest, Source::Activity).unwrap());
    println!("sessions are {seen:?} old, asked every {:?}", observer.instance().activity.every);
    drop(observer);

    console.until("both roots", PATIENCE, |screen| {
        screen.contains("t00 blocks 200 sessions") && screen.contains("t01 blocks 300 sessions")
    });
    let spent = tokio::join!(cost(&boss, Duration::from_secs(12)), async {
        tokio::task::block_in_place(|| answers(&mut console))
    })
    .0;
    println!("one console costs the server {spent:.1} ms/s in the storm");
    assert!(spent < BUDGET * DOUBT, "{spent:.1} ms/s");
    console.keys("4");
    console.until("the trees", PATIENCE, |screen| {
        let line = |words: String| screen.lines().find(|line| line.contains(&words)).unwrap_or_default();
        screen.contains("LOCKS 500 sessions wait")
            && screen.contains("behind 2 roots")
            && line(format!("t00 pid {writer_pid} idle in transaction")).contains("blocks 200 sessions of 18 tenants")
            && line(format!("t01 pid {reader_pid} idle in transaction")).contains("blocks 300 sessions of 18 tenants")
    });

    // It is over as soon as the roots let go, and is said to be.
    for root in [writer, reader] {
        root.batch_execute("ROLLBACK").await.unwrap();
    }
    for waiter in crowd {
        waiter.await.unwrap().unwrap();
    }
    change.await.unwrap().unwrap();
    println!("its end is seen after {:?}", console.hides("500 sessions wait"));
    console.keys("1");
    console.until("nobody blamed", PATIENCE, |screen| screen.contains("TENANTS 20") && !screen.contains(" blocks "));
    console.keys("q");
    console.ends_with(0);
}

/// How many stand behind each root, by its pid.
fn behind_roots(snapshot: &Snapshot) -> BTreeMap<i32, usize> {
    let sessions: Vec<&Session> = snapshot.sessions.iter().collect();
    let pid = |root: &Root<'_>| match root {
        Root::Session(root) => root.key.pid,
        Root::Prepared | Root::Other(_) | Root::Unseen | Root::Cycle(_) => -1,
    };
    chains(&sessions, pid).into_iter().map(|(pid, chain)| (pid, chain.waiters.len())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_sessions_are_counted_and_keys_answered() {
    let _turn = TURN.lock().await;
    let count: usize = std::env::var("TIERDECK_TEST_SESSIONS").map_or(1_000, |count| count.parse().unwrap());
    let server = server(count + 100).await;
    let boss = guest(&server, "postgres").await;
    tenants(&boss).await;
    let begun = Instant::now();
    let crowd = futures::stream::iter(0..count).map(|nth| {
        let (server, user) = (&server, format!("role_{}", tenant(nth)));
        async move { guest(server, &user).await }
    });
    let crowd: Vec<Client> = crowd.buffer_unordered(32).collect().await;
    println!("{count} sessions after {:?}", begun.elapsed());
    // Some of them work, so that there is something new each second.
    let busy: Vec<_> = crowd
        .into_iter()
        .enumerate()
        .map(|(nth, client)| {
            tokio::spawn(async move {
                while nth % 50 == 0 && client.batch_execute("SELECT pg_sleep(0.3)").await.is_ok() {}
                std::future::pending::<()>().await;
                drop(client);
            })
        })
        .collect();
    let watcher = Watcher::of(&[("shared", server.port)]);
    let mut console = watcher.console().open();
    let all = number(&boss, "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'role%'").await;
    assert_eq!(usize::try_from(all).unwrap(), count);
    console.until("the tenants", PATIENCE, |screen| screen.contains("TENANTS 20"));
    console.keys("3");
    // The one that counts for this test is a session too.
    let (thousands, rest) = ((count + 1) / 1_000, (count + 1) % 1_000);
    let title = format!("─ SESSIONS {thousands},{rest:03} ");
    console.shows(&title);
    println!("all on the screen after {:?}", console.begun.elapsed());
    let spent = tokio::join!(cost(&boss, Duration::from_secs(12)), async {
        tokio::task::block_in_place(|| answers(&mut console))
    })
    .0;
    println!("one console costs the server {spent:.1} ms/s, and takes {} MiB itself", memory(console.pid()));
    assert!(spent < BUDGET * DOUBT, "{spent:.1} ms/s");
    assert!(memory(console.pid()) < 150, "{} MiB", memory(console.pid()));
    // Moving about among all of them.
    console.keys("3");
    console.shows("─ SESSIONS ");
    for key in ["G", "g", "/t07\r", "\x1b"] {
        console.keys(key);
    }
    console.shows(&title);
    let said = watcher.run(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert!(status["instances"][0]["connections"].as_u64().unwrap() > count as u64, "{}", status["instances"][0]);
    let tenants = status["tenants"].as_array().unwrap();
    let counted: u64 = tenants.iter().map(|tenant| tenant["connections"].as_u64().unwrap()).sum();
    assert_eq!(counted, count as u64, "each is somebody's");
    console.keys("1");
    console.keys("q");
    console.ends_with(0);
    busy.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_findings_at_once() {
    let _turn = TURN.lock().await;
    let server = server(60).await;
    let boss = guest(&server, "postgres").await;
    let made = "DO $$ BEGIN FOR i IN 1..1000 LOOP EXECUTE format('CREATE ROLE role_half%s LOGIN', i); END LOOP; END $$";
    boss.batch_execute(made).await.unwrap();
    let watcher = Watcher::of(&[("shared", server.port)]).configure("[poll]\nroles = \"2s\"\n");
    let mut console = watcher.console().open();
    console.until("the tenants", PATIENCE, |screen| screen.contains("TENANTS 1,000"));
    console.until("a thousand findings", PATIENCE, |screen| screen.contains("● 1001 "));
    answers(&mut console);
    // From the first to the last, and its page.
    console.keys("\tG\r");
    console.until("the last one's page", PATIENCE, |screen| {
        screen.contains("pgaudit") && !screen.contains("TENANTS 1,000")
    });
    console.keys("\x1b");
    console.shows("TENANTS 1,000");
    // Half of them are mended: half are left.
    let mended = "DO $$ BEGIN FOR i IN 1..500 LOOP EXECUTE format('DROP ROLE role_half%s', i); END LOOP; END $$";
    boss.batch_execute(mended).await.unwrap();
    console.until("500 fewer", PATIENCE * 2, |screen| screen.contains("TENANTS 500") && screen.contains("● 501 "));
    console.keys("q");
    console.ends_with(0);
}
