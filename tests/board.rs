//! The board: facts in, snapshot out. Stories played with made-up moments.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tierdeck::domain::facts::cloud::{CloudFragment, Discovered, Rds};
use tierdeck::domain::facts::{
    Activity, Catalog, Churn, Content, Database, Fragment, Leads, Pointing, Role, Roles, Schema, SchemaChurn,
    SecretVersion, Secrets, Server, Sizes, Source, TenantSecret,
};
use tierdeck::domain::observed::Trouble;
use tierdeck::domain::session::Wait;
use tierdeck::domain::snapshot::{LimitScope, Reach};
use tierdeck::domain::{
    Acknowledgement, Attention, Attribution, Foreign, InstanceName, Layout, Limits, Naming, Policy, Session,
    SessionKey, SessionState, Signal, Snapshot, Tenant, TenantId, Thresholds, Tier,
};
use tierdeck::poll::{Board, InstancePlan, News, Origin, Rules};
use tierdeck::signals::Evaluator;

struct Story {
    board: Board,
    sees_all: bool,
    now: Timestamp,
}

fn server() -> Server {
    Server {
        version: "15.18".into(),
        version_num: 150_018,
        started_at: Timestamp::from_second(1).unwrap(),
        max_connections: 103,
        reserved_connections: 3,
        max_worker_processes: 8,
        database: Foreign::from("portarium"),
        login: Foreign::from("tierdeck"),
        in_recovery: false,
        sees_all: true,
        counts: true,
    }
}

impl Story {
    fn begin() -> Self {
        let rules = Rules {
            environment: "test".into(),
            naming: Arc::new(Naming::default()),
            policy: Policy { shared: Limits { connection_limit: Some(40), ..Limits::default() }, ..Policy::default() },
            thresholds: Thresholds::default(),
        };
        let plan = InstancePlan {
            name: InstanceName::new("shared"),
            tier: Tier::Shared,
            layout: Layout::Schema,
            tenant: None,
            vcpus: Some(2.0),
            pooled: false,
            cloud: None,
        };
        let every = |source| Duration::from_secs(if source == Source::Activity { 1 } else { 10 });
        let mut story = Self {
            sees_all: true,
            board: Board::new(rules, vec![plan], every, Evaluator::immediate()),
            now: Timestamp::from_second(1_000_000).unwrap(),
        };
        story.news(News::Connected(server()));
        story
    }

    /// The same, judged as the console does.
    fn steady() -> Self {
        let mut story = Self::begin();
        let rules = Rules {
            environment: "test".into(),
            naming: Arc::new(Naming::default()),
            policy: Policy::default(),
            thresholds: Thresholds::default(),
        };
        let plan = InstancePlan {
            name: InstanceName::new("shared"),
            tier: Tier::Shared,
            layout: Layout::Schema,
            tenant: None,
            vcpus: Some(2.0),
            pooled: false,
            cloud: None,
        };
        story.board = Board::new(rules, vec![plan], |_| Duration::from_secs(10), Evaluator::steady());
        story.news(News::Connected(server()));
        story
    }

    fn news(&mut self, news: News) {
        self.board.take(self.now, 0, news);
    }

    fn deliver(&mut self, fragment: Fragment) {
        let every = Duration::from_secs(if fragment.source() == Source::Activity { 1 } else { 10 });
        self.news(News::Delivered { fragment, took: Duration::from_millis(2), every });
    }

    fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    fn sessions(&mut self, sessions: Vec<Session>) {
        let sessions = sessions.into_iter().map(|session| Session { server_now: self.now, ..session }).collect();
        self.deliver(Fragment::Activity(Activity {
            server_now: self.now,
            sessions,
            own: 3,
            sees_all: self.sees_all,
            wal: None,
        }));
    }

    fn churn(&mut self, since: i64, rows: &[(&str, u64)]) {
        let since = Timestamp::from_second(since).ok();
        let home = |(home, rows): &(&str, u64)| SchemaChurn {
            home: Arc::from(*home),
            since,
            tables: 1,
            rows_written: *rows,
            blocks_read: Some(0),
            dead_tuples: Some(1),
            live_tuples: Some(9),
        };
        self.deliver(Fragment::Churn(Churn {
            server_now: self.now,
            homes: rows.iter().map(home).collect(),
            whole: None,
        }));
    }

    fn snapshot(&mut self) -> Snapshot {
        self.board.snapshot(self.now)
    }

    fn tenant(&mut self, id: &str) -> Tenant {
        self.snapshot()
            .tenants
            .into_iter()
            .find(|tenant| tenant.id.as_str() == id)
            .unwrap_or_else(|| panic!("no tenant {id}"))
    }
}

/// A session that runs on a CPU.
fn session(pid: i32, role: &str) -> Session {
    let at = Timestamp::from_second(999_000).unwrap();
    Session {
        instance: InstanceName::new("shared"),
        key: SessionKey { pid, started: at },
        attribution: Attribution::None,
        role: Foreign::from(role),
        database: Foreign::from("portarium"),
        application: Foreign::from(""),
        client: None,
        state: SessionState::Active,
        wait: None,
        transaction_started: Some(at),
        query_started: Some(at),
        state_changed: Some(at),
        query: Some(Foreign::from("select 1")),
        blocking: None,
        workers: 0,
        touched: Vec::new(),
        relations: Vec::new(),
        query_id: None,
        usage: None,
        server_now: at,
    }
}

fn plain_database() -> Database {
    Database {
        name: Foreign::from("portarium"),
        backends: 1,
        transactions: 0,
        blocks_read: 0,
        blocks_hit: 0,
        rows_written: 0,
        temp_bytes: 0,
        deadlocks: 0,
        in_use: true,
        stats_reset: None,
        xid_age: 1,
        multixact_age: 1,
    }
}

fn close(value: Option<f64>, expected: f64) -> bool {
    value.is_some_and(|value| (value - expected).abs() < 1e-9)
}

#[test]
fn nothing_is_known_before_it_is_seen() {
    let mut story = Story::begin();
    let snapshot = story.snapshot();
    assert!(snapshot.tenants.is_empty() && snapshot.findings.is_empty());
    assert_eq!(snapshot.instances[0].connections, None);
    assert!(!snapshot.unknown.is_empty(), "what was not seen is unknown, not fine");
    story.churn(0, &[("tenant_acme", 5), ("platform", 7)]);
    let acme = story.tenant("acme");
    assert_eq!(
        (acme.connections, acme.active, acme.noise.active_time, acme.noise.rows_written),
        (None, None, None, None)
    );
    assert_eq!((acme.dead_tuples, acme.size_bytes), (Some(1), None));
}

#[test]
fn shares_are_of_the_last_minute_and_from_strong_evidence_only() {
    let mut story = Story::begin();
    story.churn(0, &[("tenant_acme", 0), ("tenant_globex", 0)]);
    for _ in 0..30 {
        let mut liar = session(4, "portarium_shared");
        liar.application = Foreign::from("globex");
        story.sessions(vec![session(1, "role_acme"), session(2, "role_acme"), session(3, "role_globex"), liar]);
        story.pass(1);
    }
    let acme = story.tenant("acme");
    assert!(close(acme.noise.active_time, 0.5), "{:?}", acme.noise);
    assert!(close(story.tenant("globex").noise.active_time, 0.25), "a claim must not count");
    let globex = story.tenant("globex");
    assert_eq!((globex.strong, globex.claimed, globex.connections), (1, 1, Some(2)));
    // Four runnable on two vCPUs: as short of CPU as can be. acme takes half of it.
    assert!(close(acme.noise_score, 50.0), "{:?}", acme.noise_score);
    assert!(globex.starved.cpu > 20.0, "{:?}", globex.starved);

    for _ in 0..61 {
        story.sessions(vec![session(3, "role_globex")]);
        story.pass(1);
    }
    assert!(close(story.tenant("acme").noise.active_time, 0.0), "what is older than a minute is forgotten");
    assert!(close(story.tenant("globex").noise.active_time, 1.0));
    assert!(close(story.tenant("globex").noise_score, 50.0), "one runnable session on two vCPUs");
}

#[test]
fn a_clock_that_steps_back_begins_the_minute_anew() {
    let mut story = Story::begin();
    story.churn(0, &[("tenant_acme", 0), ("tenant_globex", 0)]);
    for _ in 0..10 {
        story.sessions(vec![session(1, "role_acme")]);
        story.pass(1);
    }
    story.pass(-3_600);
    for _ in 0..2 {
        story.sessions(vec![session(2, "role_globex")]);
        story.pass(1);
    }
    assert!(close(story.tenant("acme").noise.active_time, 0.0), "an hour of the old minute would be left");
    assert!(close(story.tenant("globex").noise.active_time, 1.0));
}

#[test]
fn sleeping_and_lock_waiting_sessions_use_nothing() {
    let mut story = Story::begin();
    story.churn(0, &[("tenant_acme", 0), ("tenant_globex", 0)]);
    let waiting = |pid, role, kind: &str| {
        let wait = Some(Wait { kind: Arc::from(kind), event: Arc::from("x") });
        Session { wait, ..session(pid, role) }
    };
    story.sessions(vec![
        waiting(1, "role_acme", "Lock"),
        waiting(2, "role_acme", "Timeout"),
        waiting(3, "role_acme", "Client"),
        session(4, "role_globex"),
    ]);
    assert!(close(story.tenant("acme").noise.active_time, 0.0));
    assert!(close(story.tenant("globex").noise.active_time, 1.0));
    assert_eq!(story.tenant("acme").waiting, Some(1));
}

#[test]
fn a_reset_of_counters_is_a_gap_and_never_a_spike() {
    let mut story = Story::begin();
    story.churn(900_000, &[("tenant_acme", 1_000), ("tenant_globex", 1_000)]);
    story.pass(10);
    story.churn(900_000, &[("tenant_acme", 1_900), ("tenant_globex", 1_100)]);
    let acme = story.tenant("acme");
    assert!(close(acme.noise.rows_written, 0.9) && close(acme.rows_written_per_second, 90.0), "{acme:?}");
    assert!(close(acme.rows_written_per_day, 1_900.0 * 86_400.0 / 100_010.0), "{:?}", acme.rows_written_per_day);

    story.pass(10);
    story.churn(1_000_015, &[("tenant_acme", 3), ("tenant_globex", 1)]);
    let acme = story.tenant("acme");
    assert_eq!((acme.noise.rows_written, acme.rows_written_per_second), (None, None));
    assert_eq!((acme.rows_written_per_day, acme.rows_written_estimated), (None, false), "five seconds are no day");
    story.pass(10);
    story.churn(1_000_015, &[("tenant_acme", 4), ("tenant_globex", 4)]);
    assert!(close(story.tenant("acme").noise.rows_written, 0.25));

    // One counter falls without a reset being told, another goes on: only the one is left out.
    story.pass(61);
    story.churn(1_000_015, &[("tenant_acme", 0), ("tenant_globex", 14)]);
    assert!(close(story.tenant("globex").noise.rows_written, 1.0));

    // What was counted for less than five minutes says nothing of a day, for less than an hour not much.
    let mut a_day = |counted: i64| {
        story.now = Timestamp::from_second(1_000_015 + counted).unwrap();
        story.churn(1_000_015, &[("tenant_acme", 0), ("tenant_globex", 600)]);
        let globex = story.tenant("globex");
        (globex.rows_written_per_day.map(f64::round), globex.rows_written_estimated)
    };
    assert_eq!(a_day(299), (None, false));
    assert_eq!(a_day(300), (Some(172_800.0), true));
    assert!(a_day(3_599).1);
    assert_eq!(a_day(3_600), (Some(14_400.0), false));
}

#[test]
fn tenants_come_and_go_between_polls() {
    let mut story = Story::begin();
    story.churn(0, &[("tenant_acme", 0), ("tenant_globex", 0), ("public", 0), ("tenant_Bad-Name", 0)]);
    let ids =
        |story: &mut Story| story.snapshot().tenants.iter().map(|tenant| tenant.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&mut story), ["acme", "globex"]);
    story.pass(10);
    story.churn(0, &[("tenant_globex", 0), ("tenant_initech", 0)]);
    assert_eq!(ids(&mut story), ["globex", "initech"]);
    story.sessions(vec![session(1, "role_acme")]);
    assert_eq!(ids(&mut story), ["globex", "initech"], "a session of a tenant that is gone makes no row");
}

#[test]
fn limits_are_shown_where_they_bind() {
    let mut story = Story::begin();
    let role = |name: &str, can_login, limit| Role {
        name: Foreign::from(name),
        can_login,
        connection_limit: limit,
        superuser: false,
        settings: Arc::new([("statement_timeout".to_owned(), "30s".to_owned())].into()),
        in_databases: std::collections::BTreeMap::new(),
    };
    let roles = vec![
        role("role_acme", true, Some(7)),
        role("role_globex", false, Some(9)),
        role("portarium_shared", true, Some(80)),
    ];
    story.deliver(Fragment::Roles(Roles {
        roles,
        defaults: [("lock_timeout".to_owned(), "5s".to_owned())].into(),
        ..Roles::default()
    }));
    let acme = story.tenant("acme");
    assert_eq!((acme.limit_scope, acme.limits.effective.connection_limit), (LimitScope::Tenant, Some(7)));
    assert_eq!(acme.limits.effective.lock_timeout, Some(Duration::from_secs(5)), "the server's own default");
    let globex = story.tenant("globex");
    assert_eq!(
        globex.limit_scope,
        LimitScope::ServiceAccount,
        "what is set on a role that nobody logs in as binds nobody"
    );
    assert_eq!(globex.limits.login.as_ref().map(Foreign::raw), Some("portarium_shared"));
}

#[test]
fn a_login_that_a_tenant_has_and_does_not_use_binds_nobody() {
    let mut story = Story::begin();
    let role = |name: &str, limit| Role {
        name: Foreign::from(name),
        can_login: true,
        connection_limit: limit,
        superuser: false,
        settings: Arc::default(),
        in_databases: std::collections::BTreeMap::new(),
    };
    let roles = vec![role("role_acme", Some(3)), role("portarium_shared", Some(80))];
    story.deliver(Fragment::Roles(Roles { roles, ..Roles::default() }));
    assert_eq!(story.tenant("acme").limit_scope, LimitScope::Tenant, "nothing else is known yet");
    assert!(!story.tenant("acme").limits.unknown.is_empty(), "the server's own timeouts are hidden here");
    let mut on_account = session(1, "portarium_shared");
    on_account.touched = vec![Arc::from("tenant_acme")];
    story.sessions(vec![on_account]);
    let acme = story.tenant("acme");
    assert_eq!((acme.limit_scope, acme.limits.effective.connection_limit), (LimitScope::ServiceAccount, Some(80)));
    story.pass(1);
    story.sessions(vec![session(2, "role_acme")]);
    assert_eq!(story.tenant("acme").limit_scope, LimitScope::Tenant);
}

#[test]
fn after_an_outage_no_old_figure_is_told_as_if_it_were_now() {
    let mut story = Story::begin();
    for _ in 0..3 {
        story.churn(0, &[("tenant_acme", story.now.as_second().cast_unsigned())]);
        story.sessions(vec![session(1, "role_acme")]);
        story.pass(1);
    }
    let before = story.tenant("acme");
    assert!(before.noise_score.is_some() && before.noise.rows_written.is_some(), "{before:?}");
    assert!(story.snapshot().cost.database_ms_per_second.is_some());
    story.news(News::Down(Trouble::new("refused")));
    story.pass(120);
    let after = story.tenant("acme");
    assert_eq!((after.noise_score, after.noise), (None, tierdeck::domain::snapshot::Noise::default()));
    let snapshot = story.snapshot();
    assert_eq!((snapshot.cost.database_ms_per_second, snapshot.instances[0].pressure.cpu), (None, None));
}

#[test]
fn an_outage_keeps_the_old_picture_and_lets_it_age() {
    let mut story = Story::begin();
    story.churn(0, &[("tenant_acme", 0)]);
    story.deliver(Fragment::Sizes(Sizes { homes: [(Arc::from("tenant_acme"), 8_192)].into(), estimated: true }));
    story.sessions(vec![session(1, "role_acme")]);
    assert_eq!(story.tenant("acme").connections, Some(1));
    story.pass(30);
    let trouble = Trouble::new("refused");
    story.news(News::Down(trouble.clone()));
    story.pass(30);
    story.news(News::Down(trouble));
    let snapshot = story.snapshot();
    let Reach::Down { since, .. } = &snapshot.instances[0].reach else { panic!("{:?}", snapshot.instances[0].reach) };
    assert_eq!(story.now.duration_since(*since).as_secs(), 30, "down since the first failure, not the newest");
    assert_eq!(snapshot.sessions.len(), 1, "the last that was seen stays");
    assert_eq!(snapshot.instances[0].connections, None, "but is not told as if it were now");
    assert_eq!((snapshot.tenants[0].connections, snapshot.tenants[0].size_bytes), (None, Some(8_192)));
    assert!(snapshot.findings.iter().any(|finding| finding.signal.name() == "unreachable"));
    story.sessions(vec![session(1, "role_acme")]);
    assert_eq!(story.snapshot().instances[0].reach, Reach::Up);
    assert!(!story.snapshot().findings.iter().any(|finding| finding.signal.name() == "unreachable"));
}

#[test]
fn a_login_that_sees_nothing_is_told_so() {
    let mut story = Story::begin();
    story.news(News::Connected(Server { sees_all: false, ..server() }));
    story.sees_all = false;
    story.churn(0, &[("tenant_acme", 0)]);
    let hidden = Session { state: SessionState::Unknown, query: None, ..session(1, "role_acme") };
    let activity = Activity { server_now: story.now, sessions: vec![hidden], own: 3, sees_all: false, wal: None };
    story.deliver(Fragment::Activity(activity));
    let acme = story.tenant("acme");
    assert_eq!((acme.connections, acme.active, acme.idle_in_transaction), (Some(1), None, None));
    assert_eq!((acme.noise.active_time, story.snapshot().instances[0].active), (None, None));
    let unknown = story.snapshot().unknown;
    assert!(
        unknown
            .iter()
            .any(|unknown| unknown.signal.name() == "noisy-neighbour" && unknown.reason.contains("pg_monitor")),
        "{unknown:?}"
    );
}

/// The server tells of a temporary file when the statement ends: ten minutes' work comes in one second.
#[test]
fn temporary_bytes_are_spread_over_minutes() {
    let mut story = Story::begin();
    let database = |temp_bytes| Database {
        name: Foreign::from("portarium"),
        backends: 1,
        transactions: 0,
        blocks_read: 0,
        blocks_hit: 0,
        rows_written: 0,
        temp_bytes,
        deadlocks: 0,
        in_use: true,
        stats_reset: None,
        xid_age: 1,
        multixact_age: 1,
    };
    let mut told = |seconds, temp_bytes| {
        story.pass(seconds);
        story.deliver(Fragment::Databases(vec![database(temp_bytes)]));
        story.snapshot().instances[0].rates.temp.map(|temp| (temp.bytes, temp.seconds, temp.rate()))
    };
    assert_eq!(told(0, 1_000), None);
    assert_eq!(told(5, 61_000), Some((60_000, 5.0, 1_000.0)), "over a minute at least");
    assert_eq!(told(115, 61_000), Some((60_000, 120.0, 500.0)), "and still known two minutes later");
    assert_eq!(told(300, 61_000).map(|(bytes, ..)| bytes), Some(0), "but not for ever");
}

#[test]
fn deadlocks_are_counted_over_minutes_and_not_across_a_reset() {
    let mut story = Story::begin();
    let database = |deadlocks, reset: i64| Database {
        name: Foreign::from("portarium"),
        backends: 1,
        transactions: 0,
        blocks_read: 0,
        blocks_hit: 0,
        rows_written: 0,
        temp_bytes: 0,
        deadlocks,
        in_use: true,
        stats_reset: Timestamp::from_second(reset).ok(),
        xid_age: 1,
        multixact_age: 1,
    };
    story.deliver(Fragment::Databases(vec![database(10, 1)]));
    assert_eq!(story.snapshot().instances[0].rates.deadlocks_per_minute, None);
    story.pass(5);
    story.deliver(Fragment::Databases(vec![database(12, 1)]));
    assert!(
        close(story.snapshot().instances[0].rates.deadlocks_per_minute, 2.0),
        "two in five seconds are not 24 a minute"
    );
    story.pass(55);
    story.deliver(Fragment::Databases(vec![database(1, 2)]));
    assert!(close(story.snapshot().instances[0].rates.deadlocks_per_minute, 2.0), "a reset adds nothing");
    let known = story.snapshot().instances[0].deadlocks.clone();
    assert_eq!(known.databases, [(Foreign::from("portarium"), 2)]);
    assert_eq!((known.seconds, known.last), (60.0, Some(story.now - SignedDuration::from_secs(55))));
    for _ in 0..6 {
        story.pass(60);
        story.deliver(Fragment::Databases(vec![database(1, 2)]));
    }
    assert!(close(story.snapshot().instances[0].rates.deadlocks_per_minute, 0.0));
    assert_eq!(story.snapshot().instances[0].deadlocks.last, None);
}

#[test]
fn who_was_seen_spilling_is_known_for_as_long_as_what_was_spilled() {
    let mut story = Story::begin();
    story.churn(900_000, &[("tenant_acme", 1_000)]);
    let mut spilling = session(1, "role_acme");
    spilling.wait = Some(Wait { kind: "IO".into(), event: "BufFileWrite".into() });
    story.sessions(vec![spilling, session(2, "role_globex")]);
    let began = story.now;
    for (seconds, expected) in [(0, 1), (60, 1), (239, 1), (1, 0)] {
        story.pass(seconds);
        story.sessions(vec![session(1, "role_acme")]);
        let spillers = story.snapshot().instances[0].spillers.clone();
        let known: Vec<_> = spillers.iter().map(|(tenant, at)| (tenant.as_str(), *at)).collect();
        assert_eq!(known, vec![("acme", began); expected], "after {seconds} s more");
    }
}

#[test]
fn a_limit_counts_the_sessions_of_its_login_and_no_administrators() {
    let mut story = Story::begin();
    let role = Role {
        name: Foreign::from("role_acme"),
        can_login: true,
        connection_limit: Some(40),
        superuser: false,
        settings: Arc::default(),
        in_databases: std::collections::BTreeMap::new(),
    };
    story.deliver(Fragment::Roles(Roles { roles: vec![role], ..Roles::default() }));
    let at_work = |pid, role| Session { touched: vec![Arc::from("tenant_acme")], ..session(pid, role) };
    story.sessions(vec![at_work(1, "role_acme"), at_work(2, "portarium_admin"), at_work(3, "portarium_admin")]);
    let acme = story.tenant("acme");
    assert_eq!((acme.connections, acme.bound), (Some(3), Some(1)));
    assert_eq!((acme.limit_scope, acme.limits.effective.connection_limit), (LimitScope::Tenant, Some(40)));
}

#[test]
fn what_was_before_is_known_and_a_finding_is_as_old_as_it_is() {
    let mut story = Story::begin();
    story.churn(900_000, &[("tenant_acme", 1_000)]);
    let record = |seconds| tierdeck::domain::Record {
        since: Timestamp::from_second(900_000).unwrap(),
        watched_seconds: seconds,
        rows_written_per_day: Some(777.0),
        spikiness: None,
        noisy_seconds: 60.0,
        noisy_times: 2,
    };
    let key = (InstanceName::new("shared"), tierdeck::domain::TenantId::parse("acme").unwrap());
    let past = |seconds| tierdeck::domain::Past {
        records: [(key.clone(), Arc::new(record(seconds)))].into(),
        ..tierdeck::domain::Past::default()
    };
    story.board.recall(&past(1_800.0));
    assert_ne!(story.tenant("acme").rows_written_per_day, Some(777.0), "less than an hour says less than the server");
    story.board.recall(&past(7_200.0));
    let acme = story.tenant("acme");
    assert_eq!((acme.rows_written_per_day, acme.rows_written_estimated), (Some(777.0), false));
    assert_eq!(acme.record.as_ref().map(|record| record.noisy_times), Some(2));

    // A steady evaluator, just started, on an instance that was down already when the last console looked.
    let mut story = Story::steady();
    let since = story.now - SignedDuration::from_secs(600);
    let standing = |name: &str| tierdeck::domain::Standing {
        signal: tierdeck::domain::Signal::Wraparound,
        subject: tierdeck::domain::Subject {
            kind: tierdeck::domain::SubjectKind::Database,
            id: name.into(),
            instance: InstanceName::new("shared"),
        },
        since,
        seen: None,
    };
    let old = |name: &str| Database { name: Foreign::from(name), xid_age: 1_600_000_000, ..plain_database() };
    story.deliver(Fragment::Databases(vec![old("portarium")]));
    let found = story.snapshot().findings;
    let subject = found.first().map(|finding| finding.subject.clone());
    let Some(subject) = subject else { panic!("{found:?}") };
    let mut story = Story::steady();
    let left = tierdeck::domain::Standing { subject, ..standing("portarium") };
    story.board.recall(&tierdeck::domain::Past { standing: vec![left], ..tierdeck::domain::Past::default() });
    story.deliver(Fragment::Databases(vec![old("portarium")]));
    assert_eq!(story.snapshot().findings[0].since, since);
}

#[test]
fn a_schema_that_bears_our_own_mark_is_no_tenants() {
    let mut story = Story::begin();
    story.churn(0, &[("tenant_acme", 5), ("tenant_globex", 5)]);
    assert_eq!(story.snapshot().tenants.len(), 2);
    let schema = |name: &str, comment: Option<&str>| Schema {
        database: Foreign::from("portarium"),
        name: Foreign::from(name),
        owner: Foreign::from("postgres"),
        tables: 1,
        comment: comment.map(Foreign::from),
    };
    let schemas = vec![schema("tenant_acme", Some("ours")), schema("tenant_globex", Some("tierdeck op-7: restoring"))];
    story.deliver(Fragment::Catalog(Catalog { schemas, ..Catalog::default() }));
    let ids: Vec<String> = story.snapshot().tenants.iter().map(|tenant| tenant.id.to_string()).collect();
    assert_eq!(ids, ["acme"]);
}

#[test]
fn what_is_acknowledged_is_marked_at_once_and_what_is_muted_leaves_the_tenants_row() {
    let mut story = Story::begin();
    let role = Role {
        name: Foreign::from("role_acme"),
        can_login: true,
        connection_limit: None,
        superuser: false,
        settings: Arc::default(),
        in_databases: std::collections::BTreeMap::new(),
    };
    story.churn(0, &[("tenant_acme", 5)]);
    let roles = Roles { roles: vec![role], ..Roles::default() };
    story.deliver(Fragment::Roles(roles.clone()));
    let missing = |snapshot: &Snapshot| {
        let found = snapshot.findings.iter().find(|it| it.signal.name() == "limit-missing" && it.subject.id == "acme");
        found.cloned()
    };
    let finding = missing(&story.snapshot()).unwrap();
    let word = |attention| {
        Arc::new(vec![Acknowledgement {
            signal: finding.signal,
            kind: finding.subject.kind,
            id: finding.subject.id.clone(),
            instance: finding.subject.instance.to_string(),
            attention,
            by: "ann@desk".to_owned(),
            why: "planned".to_owned(),
            at: finding.since,
            seen: None,
            cause: None,
            until: finding.since + SignedDuration::from_secs(60),
        }])
    };
    story.board.acknowledge(word(Attention::Acknowledged));
    assert_eq!(missing(&story.snapshot()).unwrap().acknowledged.unwrap().why, "planned");
    assert!(story.tenant("acme").findings.contains(&finding.signal));
    story.board.acknowledge(word(Attention::Muted));
    assert!(missing(&story.snapshot()).unwrap().is_muted());
    assert!(!story.tenant("acme").findings.contains(&finding.signal));
    story.pass(61);
    story.deliver(Fragment::Roles(roles));
    assert!(missing(&story.snapshot()).unwrap().acknowledged.is_none(), "its time is over");
}

/// A chain behind one session: since when it waits, and since when the transaction in front is open.
fn chain(story: &mut Story, root: i32, open: f64, waits: f64, ahead: SignedDuration) {
    let now = story.now + ahead;
    let ago = |seconds: f64| Some(now - SignedDuration::from_secs_f64(seconds));
    let idle = Session {
        state: SessionState::IdleInTransaction,
        transaction_started: ago(open),
        state_changed: ago(open),
        touched: vec![Arc::from("tenant_globex")],
        ..session(root, "portarium_shared")
    };
    let blocking = tierdeck::domain::session::Blocking {
        by: vec![root],
        since: ago(waits),
        ..tierdeck::domain::session::Blocking::default()
    };
    let waiter = Session {
        blocking: Some(blocking),
        wait: Some(Wait { kind: Arc::from("Lock"), event: Arc::from("relation") }),
        transaction_started: ago(waits),
        query_started: ago(waits),
        touched: vec![Arc::from("tenant_acme")],
        ..session(1_000, "portarium_shared")
    };
    let sessions = [idle, waiter].map(|session| Session { server_now: now, ..session }).to_vec();
    story.deliver(Fragment::Activity(Activity { server_now: now, sessions, own: 3, sees_all: true, wal: None }));
}

#[test]
fn an_acknowledgement_of_one_incident_does_not_silence_the_next_whatever_the_servers_clock_says() {
    for ahead in [0, 90, -90].map(SignedDuration::from_secs) {
        let mut story = Story::steady();
        story.churn(0, &[("tenant_acme", 5), ("tenant_globex", 5)]);
        let chains = |snapshot: &Snapshot| {
            let mut found = snapshot.findings.iter().filter(|finding| finding.signal.name() == "lock-chain");
            let found = found.next().cloned();
            found.unwrap_or_else(|| panic!("{ahead}: {:?}", snapshot.findings))
        };
        chain(&mut story, 1, 40.0, 20.0, ahead);
        let first = chains(&story.snapshot());
        assert_eq!(first.since, story.now - SignedDuration::from_secs(20), "{ahead}");
        story.board.acknowledge(Arc::new(vec![Acknowledgement {
            signal: first.signal,
            kind: first.subject.kind,
            id: first.subject.id.clone(),
            instance: first.subject.instance.to_string(),
            attention: Attention::Acknowledged,
            by: "ann@desk".to_owned(),
            why: "ending it".to_owned(),
            at: story.now,
            seen: None,
            cause: None,
            until: story.now + SignedDuration::from_secs(3_600),
        }]));
        story.pass(2);
        chain(&mut story, 1, 42.0, 22.0, ahead);
        assert!(chains(&story.snapshot()).acknowledged.is_some(), "{ahead}");
        // Its session is ended; what is over is still shown, and still known of.
        story.pass(1);
        story.sessions(vec![]);
        let over = chains(&story.snapshot());
        assert!(over.over_for.is_some() && over.acknowledged.is_some(), "{ahead}: {over:?}");
        story.pass(12);
        chain(&mut story, 2, 8.0, 7.0, ahead);
        let next = chains(&story.snapshot());
        assert_eq!((next.since, next.acknowledged), (story.now - SignedDuration::from_secs(7), None), "{ahead}");
    }
}

#[test]
fn a_chain_with_two_sessions_in_front_is_the_same_whichever_of_them_is_waited_for_longest() {
    let mut story = Story::begin();
    story.churn(0, &[("tenant_acme", 5), ("tenant_globex", 5)]);
    let ago = |story: &Story, seconds: i64| Some(story.now - SignedDuration::from_secs(seconds));
    // Pid, since when its transaction is open; and for how long somebody has waited for it.
    let look = |story: &mut Story, roots: &[(i32, Option<Timestamp>, i64)]| {
        let mut sessions = Vec::new();
        for &(pid, opened, waits) in roots {
            sessions.push(Session {
                state: SessionState::IdleInTransaction,
                transaction_started: opened,
                touched: vec![Arc::from("tenant_globex")],
                ..session(pid, "portarium_shared")
            });
            let since = ago(story, waits);
            let by = vec![pid];
            sessions.push(Session {
                blocking: Some(tierdeck::domain::session::Blocking { by, since, ..Default::default() }),
                wait: Some(Wait { kind: Arc::from("Lock"), event: Arc::from("relation") }),
                transaction_started: since,
                touched: vec![Arc::from("tenant_acme")],
                ..session(1_000 + pid, "portarium_shared")
            });
        }
        story.sessions(sessions);
        let snapshot = story.snapshot();
        snapshot.findings.into_iter().find(|finding| finding.signal == Signal::LockChain).unwrap()
    };
    let (first, second) = (ago(&story, 40), ago(&story, 30));
    let seen = look(&mut story, &[(1, first, 20), (2, second, 10)]);
    story.board.acknowledge(Arc::new(vec![Acknowledgement {
        signal: seen.signal,
        kind: seen.subject.kind,
        id: seen.subject.id.clone(),
        instance: seen.subject.instance.to_string(),
        attention: Attention::Acknowledged,
        by: "ann@desk".to_owned(),
        why: "ending them".to_owned(),
        at: story.now,
        seen: Some(story.now),
        cause: seen.onset.and_then(|onset| onset.cause),
        until: story.now + SignedDuration::from_secs(3_600),
    }]));
    // Both waiters gave up and wait anew, the other one in front.
    story.pass(30);
    let still = look(&mut story, &[(1, first, 6), (2, second, 8)]);
    assert!(still.summary.contains("pid 2") && still.acknowledged.is_some(), "{still:?}");
    // The one ended: what is left of it began later.
    story.pass(30);
    let another = look(&mut story, &[(2, second, 8)]);
    assert!(another.acknowledged.is_none(), "{another:?}");
}

#[test]
fn a_noisy_neighbour_that_stopped_is_one_no_more_and_one_that_pauses_still_is() {
    let mut story = Story::begin();
    story.churn(0, &[("tenant_acme", 0), ("tenant_globex", 0)]);
    let run = |story: &mut Story, seconds: u32, acme: i32, globex: i32| {
        for _ in 0..seconds {
            let of = |role: &'static str, pids: std::ops::Range<i32>| pids.map(move |pid| session(pid, role));
            story.sessions(of("role_acme", 1..1 + acme).chain(of("role_globex", 100..100 + globex)).collect());
            story.pass(1);
        }
    };
    let noisy = |story: &mut Story| {
        let snapshot = story.snapshot();
        let minute = snapshot.tenants.iter().find(|tenant| tenant.id.as_str() == "acme").unwrap().noise.active_time;
        assert!(minute.is_some_and(|share| share > 0.9), "the minute itself still says so: {minute:?}");
        snapshot.findings.iter().any(|it| it.signal.name() == "noisy-neighbour" && it.subject.id == "acme")
    };
    run(&mut story, 60, 40, 1);
    assert!(noisy(&mut story));
    run(&mut story, 3, 0, 3);
    assert!(noisy(&mut story), "three seconds are a pause");
    run(&mut story, 9, 0, 3);
    assert!(!noisy(&mut story), "nothing of it has run for twelve seconds");
}

#[test]
fn what_rarely_changes_is_judged_anew_when_it_does_and_when_it_is_not_seen_any_more() {
    let mut story = Story::begin();
    let schema = |name: &str| Schema {
        database: Foreign::from("portarium"),
        name: Foreign::from(name),
        owner: Foreign::from("somebody"),
        tables: 1,
        comment: None,
    };
    let role = |name: &str, limit: u32| Role {
        name: Foreign::from(name),
        can_login: true,
        connection_limit: Some(limit),
        superuser: false,
        settings: Arc::default(),
        in_databases: std::collections::BTreeMap::new(),
    };
    let catalog = |names: &[&str]| {
        let schemas = names.iter().map(|name| schema(name)).collect();
        Fragment::Catalog(Catalog { schemas, ..Catalog::default() })
    };
    let roles = |roles: Vec<Role>| Fragment::Roles(Roles { roles, ..Roles::default() });
    let wrong = |story: &mut Story| {
        let found = story.snapshot().findings.into_iter();
        let found =
            found.filter(|it| matches!(it.signal, Signal::Orphan | Signal::LimitDrift) && it.over_for.is_none());
        found.map(|it| format!("{} {}", it.signal, it.subject.id)).collect::<Vec<_>>()
    };
    story.sessions(Vec::new());
    story.deliver(roles(vec![role("role_acme", 40)]));
    story.deliver(catalog(&["tenant_acme", "tenant_globex"]));
    for _ in 0..2 {
        assert_eq!(wrong(&mut story), ["orphan globex"], "said again, without a second look");
    }
    story.deliver(roles(vec![role("role_acme", 40), role("role_globex", 40)]));
    assert!(wrong(&mut story).is_empty(), "a role came");
    story.deliver(roles(vec![role("role_acme", 90), role("role_globex", 40)]));
    assert_eq!(wrong(&mut story), ["limit-drift acme"]);
    // A limit of a login that its sessions do not use binds nobody: that is seen in the sessions alone.
    let mut on_account = session(7, "portarium_shared");
    on_account.touched = vec!["tenant_acme".into()];
    story.sessions(vec![on_account]);
    assert!(wrong(&mut story).is_empty(), "{:?}", wrong(&mut story));
    story.deliver(catalog(&["tenant_acme"]));
    assert_eq!(wrong(&mut story), ["orphan globex"], "a schema went");
    story.pass(60);
    story.sessions(Vec::new());
    let snapshot = story.snapshot();
    let doubted = |signal| snapshot.unknown.iter().any(|it| it.signal == signal);
    assert!(doubted(Signal::Orphan) && doubted(Signal::LimitDrift), "nobody has looked for a minute");
}

#[test]
fn an_orphan_is_none_while_its_instance_is_being_made_and_one_again_when_that_is_there() {
    let mut story = Story::begin();
    let role = Role {
        name: Foreign::from("role_acme"),
        can_login: true,
        connection_limit: Some(40),
        superuser: false,
        settings: Arc::default(),
        in_databases: std::collections::BTreeMap::new(),
    };
    let orphans = |story: &mut Story| {
        let found = story.snapshot().findings.into_iter();
        let found = found.filter(|it| it.signal == Signal::Orphan && it.over_for.is_none());
        found.map(|it| it.subject.id).collect::<Vec<_>>()
    };
    let described = |story: &mut Story, status: &str| {
        let tags = [("TenantId", "acme"), ("StorageTier", "dedicated")];
        let rds = Rds {
            status: Foreign::from(status),
            tags: tags.iter().map(|(key, value)| ((*key).to_owned(), Foreign::from(*value))).collect(),
            ..Rds::default()
        };
        let fragment = Fragment::Cloud(Box::new(CloudFragment::Rds(rds)));
        let news = News::Delivered { fragment, took: Duration::from_millis(2), every: Duration::from_secs(10) };
        story.board.take(story.now, 1, news);
    };
    story.sessions(Vec::new());
    story.deliver(Fragment::Roles(Roles { roles: vec![role], ..Roles::default() }));
    story.deliver(Fragment::Catalog(Catalog::default()));
    assert_eq!(orphans(&mut story), ["acme"], "a role without a schema");
    let found = Discovered {
        name: InstanceName::new("acme-prod"),
        tenant: TenantId::parse("acme").ok(),
        account: "production".into(),
        region: "eu-central-1".into(),
        identifier: "acme-prod".into(),
    };
    story.board.take(story.now, 1, News::Found(found));
    for (status, expected) in [("creating", [].as_slice()), ("available", &["acme"]), ("restoring", &[])] {
        described(&mut story, status);
        assert_eq!(orphans(&mut story), *expected, "{status}");
    }
}

/// A secret of acme's that opens globex's schema.
fn secrets() -> Secrets {
    let text = |text: &str| Some(Foreign::from(text));
    let pointing = Pointing {
        host: text("db"),
        port: Some(5432),
        database: text("portarium"),
        schema: text("tenant_globex"),
        username: text("portarium_shared"),
        has_password: false,
        odd: Vec::new(),
        leads: Leads::To(InstanceName::new("shared")),
    };
    let secret = TenantSecret {
        tenant: tierdeck::domain::TenantId::parse("acme").unwrap(),
        version: Some(SecretVersion { number: 2, written: None, ends: None }),
        custom: vec![(Foreign::from("owner"), Foreign::from("ann"))],
        kept: Some(0),
        content: Content::Points(Box::new(pointing)),
        hidden: None,
    };
    let (mount, path) = ("secret".to_owned(), "tenants/{id}/db".to_owned());
    Secrets { mount, path, secrets: vec![Arc::new(secret)], seen: 1, of: 1, strangers: 0 }
}

#[test]
fn what_is_of_the_estate_is_kept_with_its_age_and_told_again_as_it_came() {
    let minute = Duration::from_secs(60);
    let mut story = Story::begin();
    story.board = story.board.hearing(Source::Secrets, minute);
    story.sessions(Vec::new());
    story.churn(1, &[("tenant_acme", 1), ("tenant_globex", 1)]);
    let account = Role {
        name: Foreign::from("portarium_shared"),
        can_login: true,
        connection_limit: None,
        superuser: false,
        settings: Arc::default(),
        in_databases: std::collections::BTreeMap::new(),
    };
    story.deliver(Fragment::Roles(Roles { roles: vec![account], ..Roles::default() }));
    let about = |snapshot: &Snapshot| {
        let found = snapshot.findings.iter().filter(|it| it.signal == Signal::SecretMismatch);
        found.map(|it| it.summary.clone()).collect::<Vec<_>>()
    };
    let doubts = |snapshot: &Snapshot| {
        let doubts = snapshot.unknown.iter().filter(|it| it.signal == Signal::SecretMismatch);
        doubts.map(|it| (it.reason.clone(), it.known_at.is_some())).collect::<Vec<_>>()
    };
    let seen = story.snapshot();
    assert_eq!((about(&seen), doubts(&seen)), (Vec::new(), vec![("secrets: not seen yet".to_owned(), true)]));

    let news = News::Delivered { fragment: Fragment::Secrets(secrets()), took: Duration::ZERO, every: minute };
    story.board.take(story.now, Origin::Estate, news.clone());
    let wrong = "acme on shared: its secret names tenant_globex, the schema of globex";
    assert_eq!(about(&story.snapshot()), [wrong]);
    // The very same again is the same value.
    let first = story.snapshot().estate.secrets.unwrap().value.unwrap();
    story.pass(10);
    story.board.take(story.now, Origin::Estate, news);
    assert!(Arc::ptr_eq(&first, &story.snapshot().estate.secrets.unwrap().value.unwrap()));

    story.pass(1);
    let trouble = Trouble::new("Vault is sealed");
    story.board.take(story.now, Origin::Estate, News::Failed { source: Source::Secrets, trouble, every: minute });
    let seen = story.snapshot();
    let kept = seen.estate.secrets.as_ref().unwrap();
    assert_eq!((kept.age(story.now), kept.value.is_some()), (Some(Duration::from_secs(1)), true));
    assert_eq!(seen.estate.sources[0].error.as_ref().unwrap().message, "Vault is sealed");
    assert_eq!(about(&seen), [wrong], "for a while what was told is still so");

    // Told to another board, by way of a recording's lines.
    let mut other = Story::begin();
    other.board = other.board.hearing(Source::Secrets, minute);
    other.now = story.now;
    for (at, origin, news) in story.board.retell().1 {
        let line = serde_json::to_string(&(origin, &news)).unwrap();
        let (origin, news): (Origin, News) = serde_json::from_str(&line).unwrap();
        other.board.take(at.unwrap_or(story.now), origin, news);
    }
    let told = other.snapshot();
    assert_eq!(about(&told), [wrong]);
    assert_eq!(told.estate.sources[0].error.as_ref().unwrap().message, "Vault is sealed");
    // As recordings had it before there was anything of the estate.
    assert_eq!(serde_json::from_str::<Origin>("0").unwrap(), Origin::Instance(0));
    assert_eq!(serde_json::to_string(&Origin::Instance(3)).unwrap(), "3");

    other.pass(400);
    assert_eq!(doubts(&other.snapshot()).first().map(|it| it.0.as_str()), Some("secrets: Vault is sealed"));
}
