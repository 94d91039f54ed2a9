use super::*;
use crate::domain::{Foreign, InstanceName, SessionState};

pub(super) fn id(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

pub(super) fn directory(layout: Layout) -> Directory {
    let mut directory = Directory::new(Arc::new(Naming::default()), layout, None);
    directory.set_known([id("acme"), id("globex"), id("acme-eu")]);
    directory
}

pub(super) fn session(role: &str, query: &str) -> Session {
    let now = Timestamp::from_second(1_000).unwrap();
    Session {
        instance: InstanceName::new("shared"),
        key: SessionKey { pid: 7, started: Timestamp::from_second(1).unwrap() },
        attribution: Attribution::None,
        role: Foreign::from(role),
        database: Foreign::from("portarium"),
        application: Foreign::from(""),
        client: None,
        state: SessionState::Active,
        wait: None,
        transaction_started: Some(now),
        query_started: Some(now),
        state_changed: Some(now),
        query: Some(Foreign::from(query)),
        blocking: None,
        workers: 0,
        touched: Vec::new(),
        relations: Vec::new(),
        query_id: None,
        usage: None,
        server_now: now,
    }
}

fn attribute(layout: Layout, session: Session) -> Attribution {
    let mut sessions = [session];
    Attributor::default().attribute(&directory(layout), &mut sessions);
    sessions[0].attribution.clone()
}

fn is(tenant: &str, reason: Reason) -> Attribution {
    Attribution::Tenant { tenant: id(tenant), reason }
}

pub(super) const SHARED: &str = "portarium_shared";

#[test]
fn a_login_of_its_own_beats_everything() {
    let mut session = session("role_acme_eu", "select 1 from tenant_globex.x /*tenant='globex'*/");
    session.application = Foreign::from("globex");
    session.touched = vec![Arc::from("tenant_globex")];
    assert_eq!(attribute(Layout::Schema, session), is("acme-eu", Reason::LoginRole));
}

#[test]
fn locks_beat_claims_and_locks_of_two_tenants_are_nobodys() {
    let mut liar = session(SHARED, "select 1 /*tenant='globex'*/");
    liar.application = Foreign::from("globex");
    liar.touched = vec![Arc::from("platform"), Arc::from("tenant_acme")];
    assert_eq!(attribute(Layout::Schema, liar.clone()), is("acme", Reason::Locks));
    liar.touched.push(Arc::from("tenant_globex"));
    assert_eq!(attribute(Layout::Schema, liar), Attribution::Conflicting);
}

#[test]
fn what_was_known_lasts_for_the_transaction_and_no_longer() {
    let directory = directory(Layout::Schema);
    let mut attributor = Attributor::default();
    let mut round = [session(SHARED, "update orders set x = 1")];
    round[0].touched = vec![Arc::from("tenant_acme")];
    attributor.attribute(&directory, &mut round);
    assert_eq!(round[0].attribution, is("acme", Reason::Locks));

    round[0].touched.clear();
    round[0].state = SessionState::IdleInTransaction;
    for _ in 0..3 {
        attributor.attribute(&directory, &mut round);
        assert_eq!(round[0].attribution, is("acme", Reason::SameTransaction));
    }

    let mut reused = round.clone();
    reused[0].key.started = Timestamp::from_second(2).unwrap();
    attributor.attribute(&directory, &mut reused);
    assert_eq!(reused[0].attribution, Attribution::None);

    attributor.attribute(&directory, &mut round);
    round[0].transaction_started = Some(Timestamp::from_second(1_001).unwrap());
    attributor.attribute(&directory, &mut round);
    assert_eq!(round[0].attribution, Attribution::None);
}

#[test]
fn claims_are_ranked_as_such_and_must_agree() {
    for (query, application, expected) in [
        ("select 1 /*tenant='acme'*/", "", is("acme", Reason::SqlComment)),
        ("select 1 /*tenant_id='tenant_acme_eu'*/", "", is("acme-eu", Reason::SqlComment)),
        ("BEGIN; SET LOCAL search_path TO tenant_acme, public", "", is("acme", Reason::SearchPath)),
        ("select * from tenant_acme.orders", "", is("acme", Reason::QuerySchema)),
        ("select 1", "api:acme", is("acme", Reason::ApplicationName)),
        ("select 1", "worker tenant=acme-eu", is("acme-eu", Reason::ApplicationName)),
        ("select 1 /*tenant='acme'*/", "globex", Attribution::Conflicting),
        ("select * from tenant_acme.x, tenant_globex.y", "", Attribution::Conflicting),
        ("select 1 /*tenant='nosuch'*/", "nobody", Attribution::None),
        ("select 1", "acmeco", Attribution::None),
    ] {
        let mut session = session(SHARED, query);
        session.application = Foreign::from(application);
        let attribution = attribute(Layout::Schema, session);
        assert_eq!(attribution, expected, "{query} {application}");
        assert_eq!(attribution.strong(), None, "{query} {application}");
    }
}

#[test]
fn a_database_of_its_own_is_strong_where_tenants_have_databases() {
    let mut session = session("somebody", "select 1");
    session.database = Foreign::from("db_globex");
    assert_eq!(attribute(Layout::Database, session.clone()), is("globex", Reason::Database));
    assert_eq!(attribute(Layout::Schema, session.clone()), Attribution::None);
    session.role = Foreign::from("acme_app");
    assert_eq!(attribute(Layout::Database, session.clone()), is("acme", Reason::LoginRole));
    session.role = Foreign::from("reporting_app");
    assert_eq!(attribute(Layout::Database, session), is("globex", Reason::Database));
}

#[test]
fn a_dedicated_instance_has_one_tenant() {
    let directory = Directory::new(Arc::new(Naming::default()), Layout::Schema, Some(id("acme")));
    let mut round = [session("anybody", "select 1 /*tenant='globex'*/")];
    Attributor::default().attribute(&directory, &mut round);
    assert_eq!(round[0].attribution, is("acme", Reason::Database));
}
