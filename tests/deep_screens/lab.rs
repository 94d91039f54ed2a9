//! The real program in a real terminal on the real estate with its lock pile-up: the tree names who the lab knows it is.

use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use tierdeck::domain::{SessionKey, TenantId};
use tierdeck::lab::{Kind, Lab, Scenario, Spec};
use tokio_postgres::{Client, Config, NoTls};

use crate::support::console::{PATIENCE, tierdeck};

async fn login(lab: &Lab, role: &str) -> Client {
    let instance = &lab.instances()[0];
    let mut config = Config::new();
    config.host("127.0.0.1").port(instance.port).user(role).dbname("portarium");
    config.password(instance.password(role).unwrap().expose_secret());
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Whose a session really is, as the worker behind it says.
async fn truth(lab: &Lab, client: &Client, pid: i32) -> Option<TenantId> {
    let sql = "SELECT backend_start, xact_start FROM pg_stat_activity WHERE pid = $1";
    let row = client.query_opt(sql, &[&pid]).await.unwrap()?;
    let key = SessionKey { pid, started: row.get(0) };
    lab.truth().tenant_of(key.pid, key.started, row.get(1)).map(|known| known.tenant)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_names_who_the_lab_knows_it_is() {
    let lab = Lab::start(Spec::new(Scenario::named("lock-pileup").unwrap()), |_| {}).await.unwrap();
    let culprit = lab.cast().iter().find(|(kind, _)| *kind == Kind::LockPileup).unwrap().1.clone();
    let client = login(&lab, "tierdeck").await;
    let config = lab.config_path().to_string_lossy().into_owned();
    let mut console = tierdeck(&["--config", &config]).size(160, 48).open();
    console.keys("4");
    // What stands at the bottom is written last: then all above it is there.
    console.until("the whole queue", Duration::from_secs(60), |screen| {
        screen.contains("blocks 10 sessions of 10 tenants") && screen.contains("last ran    LOCK TABLE")
    });
    let screen = console.screen();
    println!("{screen}");
    // `▾ ✖ globex pid 4103 idle in transaction …, known by its locks, …`
    let root = screen.lines().find(|line| line.contains('▾')).unwrap_or_else(|| panic!("{screen}"));
    let words: Vec<&str> = root.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "pid").unwrap_or_else(|| panic!("{root}"));
    let (name, pid) = (words[at - 1], words[at + 1].parse::<i32>().unwrap());
    let known = truth(&lab, &client, pid).await;
    assert_eq!((name, known.as_ref()), (culprit.as_str(), Some(&culprit)), "{screen}");
    assert!(root.contains("known by its locks") && root.contains("idle in transaction"), "{root}");
    // Every waiter that is not marked as claimed is who the lab knows it is.
    let mut judged = 0;
    for line in screen.lines().filter(|line| line.contains("├") || line.contains("└")) {
        let words: Vec<&str> = line.trim_matches('│').split_whitespace().collect();
        let [_, name, pid, ..] = &words[..] else { continue };
        let Ok(pid) = pid.parse::<i32>() else { continue };
        if let Some(known) = truth(&lab, &client, pid).await.filter(|_| !name.ends_with('?')) {
            assert_eq!(*name, known.as_str(), "{line}");
            judged += 1;
        }
    }
    assert!(judged >= 5, "only {judged} waiters judged\n{screen}");
    // Its page: the lock that they all wait for, asked of the server for this alone.
    console.keys("\r");
    console.until("its locks", PATIENCE, |screen| {
        screen.contains("LOCKS HELD AND AWAITED") && screen.contains("platform.job_queue") && screen.contains("held ")
    });
    console.keys("P");
    console.shows("LOCK cannot be explained");
    // The culprit's own page has the same tree; the root ends, and nobody waits any more.
    console.keys("\r");
    console.shows(culprit.as_str());
    console.keys("\t\t\t\t");
    console.shows("ITS LOCKS");
    console.keys("4");
    let admin = login(&lab, "portarium_admin").await;
    let begun = Instant::now();
    admin.query("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
    console.until("a tree without it", PATIENCE, |screen| !screen.contains(&format!("pid {pid} ")));
    println!("gone from the screen after {:?}", begun.elapsed());
    console.keys("q");
    console.ends_with(0);
    lab.stop().await;
}
