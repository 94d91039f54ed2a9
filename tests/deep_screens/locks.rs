//! Screen 4: the tree of who waits for whom.

use std::sync::Arc;
use std::time::Instant;

use tierdeck::app::Message;
use tierdeck::app::locks::LockLine;
use tierdeck::domain::facts::{Horizon, Prepared, Vacuum, Vacuums};
use tierdeck::domain::session::{Blocking, Reason, Wait};
use tierdeck::domain::{Attribution, Foreign, Session, SessionState, Snapshot, TenantId};

use crate::support::estate::{self, ago, now};
use crate::support::stage::{frame, model, screen, through_the_loop, type_keys};

/// A session that waits for these, for so long.
pub fn waiter(pid: i32, tenant: &str, by: &[i32], seconds: i64) -> Session {
    let mut waiter = estate::session(pid, None, SessionState::Active, "update orders set state = 'paid' where id = $1");
    waiter.attribution = Attribution::Tenant { tenant: TenantId::parse(tenant).unwrap(), reason: Reason::LoginRole };
    waiter.wait = Some(Wait { kind: "Lock".into(), event: "relation".into() });
    waiter.query_started = Some(ago(seconds));
    waiter.blocking = Some(Blocking {
        by: by.to_vec(),
        inferred: false,
        since: Some(ago(seconds)),
        mode: Some("RowExclusiveLock".into()),
        rows: false,
        relation: Some(Foreign::from("platform.job_queue")),
    });
    waiter
}

fn holder(pid: i32, tenant: Option<&str>, reason: Reason) -> Session {
    let mut holder = estate::session(pid, None, SessionState::IdleInTransaction, "lock table platform.job_queue");
    holder.state_changed = Some(ago(134));
    if let Some(tenant) = tenant {
        holder.attribution = Attribution::Tenant { tenant: TenantId::parse(tenant).unwrap(), reason };
    }
    holder
}

fn scene(sessions: Vec<Session>) -> Snapshot {
    let mut snapshot = estate::fine();
    snapshot.sessions = sessions;
    snapshot
}

/// One root, and so many waiters of twenty tenants and of nobody.
pub fn storm(count: i32) -> Snapshot {
    let mut sessions = vec![holder(100, Some("globex"), Reason::Locks)];
    sessions.extend((0..count).map(|nth| {
        let mut waiter = waiter(1_000 + nth, &format!("tenant-{:02}", nth % 20), &[100], 500 - i64::from(nth) / 2);
        if nth % 20 == 7 {
            waiter.attribution = Attribution::None;
        }
        waiter
    }));
    scene(sessions)
}

/// A claimed root, a chain, a prepared transaction, a vacuum, two who wait for each other, somebody unseen.
pub fn odd() -> Snapshot {
    let mut snapshot = scene(vec![
        holder(100, Some("globex"), Reason::ApplicationName),
        waiter(101, "acme", &[100], 90),
        waiter(102, "hooli", &[101, 100], 80),
        waiter(103, "hooli", &[101], 70),
        waiter(201, "tyrell", &[0], 60),
        waiter(301, "wonka", &[777], 50),
        waiter(401, "acme", &[402], 40),
        waiter(402, "oscorp", &[401], 39),
        waiter(501, "soylent", &[], 30),
        waiter(601, "soylent", &[888], 20),
    ]);
    let instance = &mut snapshot.instances[0];
    instance.horizon.value = Some(Arc::new(Horizon {
        server_now: now(),
        holders: Vec::new(),
        prepared: vec![Prepared {
            gid: Foreign::from("order-\u{1b}[31m-17"),
            owner: Foreign::from("role_tyrell"),
            database: Foreign::from("portarium"),
            prepared: ago(7_200),
            xid_age: 12,
            schemas: vec![Foreign::from("tenant_tyrell")],
        }],
    }));
    instance.vacuums.value = Some(Arc::new(Vacuums {
        workers: 3,
        running: vec![Vacuum {
            pid: 777,
            database: Foreign::from("portarium"),
            schema: Some(Foreign::from("tenant_wonka")),
            table: Some(Foreign::from("events")),
            automatic: true,
            against_wraparound: true,
            phase: "scanning heap".into(),
            blocks: 1_000,
            scanned: 250,
            vacuumed: 0,
            index_rounds: 0,
            since: Some(ago(300)),
            wait: None,
        }],
    }));
    snapshot
}

/// The line on which these words stand.
fn line(shown: &str, words: &str) -> String {
    let found = shown.lines().find(|line| line.contains(words));
    found.unwrap_or_else(|| panic!("{words}\n{shown}")).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn the_root_is_blamed_in_words_and_those_behind_it_are_told() {
    let (shown, _) = through_the_loop(estate::firing(), "4", (160, 40), |_| None).await;
    assert!(shown.contains("LOCKS 4 sessions wait · 1 tenant · oldest 41s"), "{shown}");
    let root = line(&shown, "▾ ✖");
    for words in
        ["umbrella pid 4103 idle in transaction 3.0s", "known by its login role", "blocks 4 sessions of 1 tenant"]
    {
        assert!(root.contains(words), "{words}\n{shown}");
    }
    // The oldest first; a lock of which only a claim says whose it is bears its mark.
    let rows: Vec<String> =
        shown.lines().filter(|line| line.contains("hooli") && line.contains(" 600")).map(str::to_owned).collect();
    let waits: Vec<bool> = ["41s", "38s", "35s", "32s"].iter().zip(&rows).map(|(age, row)| row.contains(age)).collect();
    assert_eq!(waits, [true; 4], "{shown}");
    assert!(rows[0].contains("Share ") && rows[0].contains("tenant_hooli.orders"), "{shown}");
    assert!(shown.contains("next step") && shown.contains("$ SELECT pg_terminate_backend(4103);"), "{shown}");
    let narrow = through_the_loop(estate::firing(), "4", (80, 24), |_| None).await.0;
    assert!(narrow.contains("umbrella pid 4103 idle in transaction 3.0s, blocks 4 (1 tenant)"), "{narrow}");
}

#[test]
fn every_kind_of_root_is_shown_as_what_it_is() {
    let mut console = model(odd());
    type_keys(&mut console, "4", (160, 48));
    let shown = screen(&mut console, (160, 48));
    println!("{shown}");
    assert!(shown.contains("9 sessions wait · 6 tenants"), "{shown}");
    assert!(line(&shown, "globex?").contains("only claimed by its app name"), "{shown}");
    let order: Vec<usize> = [
        "globex? pid 100",
        "a prepared transaction",
        "autovacuum of tenant_wonka.events, pid 777",
        "they wait for each other: 401 → 402 → 401",
        "somebody whom the server did not name",
        "pid 888 (no client session)",
    ]
    .iter()
    .map(|words| shown.find(words).unwrap_or_else(|| panic!("{words}\n{shown}")))
    .collect();
    assert!(order.is_sorted(), "the oldest wait first: {order:?}\n{shown}");
    assert!(shown.contains("prevents wraparound and does not give way"), "{shown}");
    // The chain: who waits for a waiter stands behind it; who also waits for the root stands nearer.
    assert!(shown.contains("├ acme") && shown.contains("│ └ hooli") && shown.contains("└ hooli"), "{shown}");
    type_keys(&mut console, "jjjj", (160, 48));
    let shown = screen(&mut console, (160, 48));
    assert!(
        shown.contains("order-␛[31m-17 of role_tyrell in portarium, prepared 2h 00m ago, locks in tenant_tyrell"),
        "{shown}"
    );
    let mut unknown = odd();
    unknown.instances[0].horizon = tierdeck::domain::Observed::nothing(std::time::Duration::from_secs(10));
    console.update(Message::Snapshot(Arc::new(unknown)));
    let shown = screen(&mut console, (160, 48));
    assert!(shown.contains("which one is not known (not seen yet)"), "{shown}");
}

#[test]
fn a_storm_is_told_by_tenant_and_opens_and_folds() {
    let mut console = model(storm(500));
    type_keys(&mut console, "4", (120, 40));
    let shown = screen(&mut console, (120, 40));
    assert!(shown.contains("500 sessions wait · 19 tenants · oldest 8m 20s"), "{shown}");
    assert_eq!(console.locks.rows.len(), 21, "a root and twenty groups");
    assert!(
        shown.contains("├ ▸ tenant-00") && shown.contains("25×") && shown.contains("▸ without a tenant"),
        "{shown}"
    );
    type_keys(&mut console, "j", (120, 40));
    let shown = screen(&mut console, (120, 40));
    assert!(shown.contains("25 sessions wait, the oldest for 8m 20s"), "{shown}");
    type_keys(&mut console, "→", (120, 40));
    assert_eq!(console.locks.rows.len(), 46);
    assert!(screen(&mut console, (120, 40)).contains("│ ├ tenant-00"));
    // On a waiter, ← goes to its tenant, ← folds it; on a folded one it goes to the root, and folds that.
    type_keys(&mut console, "jjj←", (120, 40));
    assert!(matches!(console.locks.selected().unwrap().line, LockLine::Tenant { open: true, .. }));
    type_keys(&mut console, "←", (120, 40));
    assert_eq!(console.locks.rows.len(), 21);
    type_keys(&mut console, "⏎", (120, 40));
    assert_eq!(console.locks.rows.len(), 46, "Enter opens a group");
    // Another picture: the fold and the cursor stay.
    console.update(Message::Snapshot(Arc::new(storm(480))));
    assert!(matches!(console.locks.selected().unwrap().line, LockLine::Tenant { open: true, .. }));
    type_keys(&mut console, "←←←", (120, 40));
    assert_eq!(console.locks.rows.len(), 1);
    type_keys(&mut console, "l", (120, 40));
    assert_eq!(console.locks.rows.len(), 21);
}

#[test]
fn a_tenants_page_shows_its_part_of_the_trees() {
    let mut console = model(odd());
    type_keys(&mut console, ":hooli⏎⇥⇥⇥⇥", (160, 48));
    let shown = screen(&mut console, (160, 48));
    assert!(shown.contains("ITS LOCKS"), "{shown}");
    assert!(shown.contains("globex? pid 100") && shown.contains("├ acme") && shown.contains("hooli"), "{shown}");
    assert!(!shown.contains("prepared") && !shown.contains("wonka"), "{shown}");
    // Two of hooli's, and acme's because one of them stands behind it.
    assert_eq!(console.page.locks.rows.len(), 4, "{shown}");
    type_keys(&mut console, "⏎", (160, 48));
    assert!(matches!(&console.view, tierdeck::app::View::Session(key) if key.1.pid == 100));
    type_keys(&mut console, "⎋", (160, 48));
    assert_eq!(console.page.locks.rows.len(), 4, "and back to the same page");
}

/// 500 waiters of whom 64 were asked, each behind all before it; 5,000 sessions; and a chain of all of them.
#[test]
fn a_storm_among_five_thousand_sessions_is_drawn_within_a_frame() {
    let mut queue = storm(500);
    for (nth, waiter) in (0..500).zip(&mut queue.sessions[1..]) {
        let before: Vec<i32> = std::iter::once(100).chain((0..nth.min(64)).map(|at| 1_000 + at)).collect();
        if let Some(blocking) = &mut waiter.blocking {
            blocking.by = before;
        }
    }
    queue
        .sessions
        .extend((0..4_500).map(|nth| estate::session(20_000 + nth, Some("acme"), SessionState::Idle, "select 1")));
    let chain = scene(
        std::iter::once(holder(1, Some("globex"), Reason::Locks))
            .chain((2..5_000).map(|pid| waiter(pid, "acme", &[pid - 1], i64::from(5_000 - pid))))
            .collect(),
    );
    for (name, snapshot) in [("queue", queue), ("chain", chain)] {
        let snapshot = Arc::new(snapshot);
        let mut console = model(storm(3));
        type_keys(&mut console, "4", (120, 40));
        let start = Instant::now();
        console.update(Message::Snapshot(Arc::clone(&snapshot)));
        let merged = start.elapsed();
        let mut terminal = ratatui::Terminal::new(ratatui::backend::TestBackend::new(120, 40)).unwrap();
        let mut took = Vec::new();
        for key in ['j', 'l', 'j', 'G', 'k', 'g', 'j', 'h'] {
            let start = Instant::now();
            let code = crossterm::event::KeyCode::Char(key);
            console.update(Message::Key(crossterm::event::KeyEvent::new(code, crossterm::event::KeyModifiers::NONE)));
            frame(&mut console, &mut terminal);
            took.push(start.elapsed());
        }
        took.sort();
        println!("{name}: a picture taken in {merged:?}, keys {took:?}");
        // A debug build on a busy machine; released it is a tenth of that.
        assert!(took[took.len() / 2].as_millis() < 200, "{name}: {took:?}");
    }
}
