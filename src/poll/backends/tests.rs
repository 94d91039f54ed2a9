use super::*;
use crate::domain::{Attribution, Foreign, InstanceName, Session, SessionState};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn id(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

fn session(pid: i32, seen: Option<(&str, Reason)>, wal_bytes: u64) -> Session {
    let attribution =
        seen.map_or(Attribution::None, |(tenant, reason)| Attribution::Tenant { tenant: id(tenant), reason });
    Session {
        instance: InstanceName::new("shared"),
        key: SessionKey { pid, started: at(1) },
        attribution,
        role: Foreign::from("portarium_shared"),
        database: Foreign::from("portarium"),
        application: Foreign::from(""),
        client: None,
        state: SessionState::Active,
        wait: None,
        transaction_started: None,
        query_started: None,
        state_changed: None,
        query: None,
        blocking: None,
        workers: 0,
        touched: Vec::new(),
        relations: Vec::new(),
        query_id: None,
        usage: Some(BackendUsage { wal_bytes, ..BackendUsage::default() }),
        server_now: at(1),
    }
}

/// A thousand bytes of WAL a second, and what these sessions counted.
fn sample(window: &mut BackendWindow, second: i64, sessions: Vec<Session>) {
    let wal = Some(Wal { bytes: 1_000 * second.unsigned_abs(), since: None });
    window.sample(&Activity { server_now: at(second), sessions, own: 0, sees_all: true, wal });
}

const OWN: Option<(&str, Reason)> = Some(("acme", Reason::LoginRole));
const LOCKS: Option<(&str, Reason)> = Some(("acme", Reason::Locks));

fn share(window: &BackendWindow, tenant: &str) -> Option<f64> {
    window.wal_shares().find(|(id, _)| id.as_str() == tenant).map(|(_, share)| share)
}

#[test]
fn an_own_login_counts_at_once_and_a_shared_session_when_it_is_loyal() {
    let mut window = BackendWindow::default();
    sample(&mut window, 10, vec![session(1, OWN, 5_000), session(2, LOCKS, 7_000)]);
    assert_eq!(share(&window, "acme"), None, "one sample is no difference");
    sample(&mut window, 11, vec![session(1, OWN, 5_200), session(2, LOCKS, 7_300)]);
    assert_eq!(share(&window, "acme"), Some(0.2));
    sample(&mut window, 12, vec![session(1, OWN, 5_200), session(2, LOCKS, 7_300)]);
    assert_eq!(share(&window, "acme"), Some(0.25), "now what it did before counts as well");
    assert_eq!(share(&window, "globex"), None);
}

#[test]
fn a_session_that_served_two_tenants_counts_for_neither() {
    let mut window = BackendWindow::default();
    for second in 10..15 {
        sample(&mut window, second, vec![session(2, LOCKS, 100 * second.unsigned_abs())]);
    }
    assert!(share(&window, "acme").is_some());
    sample(&mut window, 15, vec![session(2, Some(("globex", Reason::Locks)), 1_500)]);
    assert_eq!((share(&window, "acme"), share(&window, "globex")), (None, None));
}

#[test]
fn what_a_session_did_counts_for_a_minute_also_when_it_is_gone() {
    let mut window = BackendWindow::default();
    sample(&mut window, 10, vec![session(1, OWN, 0)]);
    sample(&mut window, 11, vec![session(1, OWN, 500)]);
    sample(&mut window, 12, Vec::new());
    assert_eq!(share(&window, "acme"), Some(0.25));
    for second in 13..80 {
        sample(&mut window, second, Vec::new());
    }
    assert_eq!(share(&window, "acme"), None);
    assert!(window.sessions.is_empty(), "nobody is remembered for ever");
}

#[test]
fn a_pid_that_was_used_again_and_a_reset_are_gaps() {
    let mut window = BackendWindow::default();
    sample(&mut window, 10, vec![session(1, OWN, 9_000)]);
    let mut other = session(1, OWN, 100);
    other.key.started = at(5);
    sample(&mut window, 11, vec![other]);
    assert_eq!(share(&window, "acme"), None);
    let reset = Activity {
        server_now: at(12),
        sessions: vec![session(1, OWN, 9_900)],
        own: 0,
        sees_all: true,
        wal: Some(Wal { bytes: 3, since: Some(at(12)) }),
    };
    window.sample(&reset);
    assert_eq!(share(&window, "acme"), None, "the whole is not known across a reset");
}
