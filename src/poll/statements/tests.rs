use super::*;
use crate::domain::session::{Reason, Relation};
use crate::domain::{Attribution, Foreign, InstanceName, Layout, Naming, SessionKey, SessionState};

const SHARED: &str = "portarium_shared";

fn id(text: &str) -> TenantId {
    TenantId::parse(text).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn directory() -> Directory {
    let mut directory = Directory::new(Arc::new(Naming::default()), Layout::Schema, None);
    directory.set_known([id("acme"), id("globex"), id("initech")]);
    directory
}

/// A session of the shared account that works in a tenant's `orders`.
fn sighting(second: i64, tenant: &str, query: i64) -> Session {
    Session {
        instance: InstanceName::new("shared"),
        key: SessionKey { pid: 7, started: at(1) },
        attribution: Attribution::Tenant { tenant: id(tenant), reason: Reason::Locks },
        role: Foreign::from(SHARED),
        database: Foreign::from("portarium"),
        application: Foreign::from(""),
        client: None,
        state: SessionState::Active,
        wait: None,
        transaction_started: Some(at(second)),
        query_started: Some(at(second)),
        state_changed: Some(at(second)),
        query: Some(Foreign::from("insert into orders values ($1)")),
        blocking: None,
        workers: 0,
        touched: vec![format!("tenant_{tenant}").into()],
        relations: vec![Relation { schema: format!("tenant_{tenant}").into(), name: "orders".into() }],
        query_id: Some(query),
        usage: None,
        server_now: at(second),
    }
}

fn entry(role: &str, query: i64, wal_bytes: u64) -> Statement {
    Statement {
        key: StatementKey { role: role.len() as u32, database: 1, query },
        role: Foreign::from(role),
        database: Foreign::from("portarium"),
        text: None,
        grew: StatementCounters { calls: 10, milliseconds: 5.0, blocks_read: 3, wal_bytes, ..Default::default() },
    }
}

/// Ten seconds in which these entries grew, and the server wrote 1000 bytes of WAL.
fn answer(second: i64, entries: Vec<Statement>) -> Statements {
    let mut accounts: HashMap<Foreign, StatementCounters> = HashMap::new();
    for entry in &entries {
        accounts.entry(entry.role.clone()).or_default().add(&entry.grew);
    }
    let account = |(role, grew)| crate::domain::facts::Account { role, database: Foreign::from("portarium"), grew };
    Statements {
        server_now: at(second),
        before: Some(at(second - 10)),
        entries,
        accounts: accounts.into_iter().map(account).collect(),
        wal_bytes: Some(1_000),
        query_ids: true,
        ..Statements::default()
    }
}

struct Story {
    window: StatementWindow,
    directory: Directory,
    version: u32,
}

impl Story {
    fn begin(version: u32) -> Self {
        let mut story = Self { window: StatementWindow::default(), directory: directory(), version };
        story.window.sessions(&story.directory, version, &[]);
        story
    }

    fn see(&mut self, second: i64, tenant: &str, query: i64) {
        self.window.sessions(&self.directory, self.version, &[sighting(second, tenant, query)]);
    }

    fn answer(&mut self, second: i64, entries: Vec<Statement>) {
        self.take(answer(second, entries));
    }

    fn take(&mut self, answer: Statements) {
        self.window.take(&self.directory, Arc::new(answer));
    }

    fn share(&self, tenant: &str) -> Option<f64> {
        self.window.wal_share(self.window.tenants.get(&id(tenant)).map(|it| &**it), false)
    }
}

#[test]
fn an_own_login_is_complete_and_the_shared_accounts_statements_need_a_sighting() {
    let mut story = Story::begin(150_000);
    story.answer(110, vec![entry(SHARED, 1, 600), entry(SHARED, 2, 100), entry("role_initech", 3, 200)]);
    assert_eq!(story.share("initech"), Some(0.2));
    assert_eq!(story.share("acme"), None, "what is nobody's may be its own");
    story.see(114, "acme", 1);
    assert_eq!(story.share("acme"), Some(0.6));
    assert_eq!(story.share("globex"), None, "100 bytes are nobody's, and may be its own");
    assert_eq!(story.window.wal_share(None, true), Some(0.0), "unless it keeps to itself");
    let known = story.window.tenants.get(&id("acme")).unwrap();
    assert_eq!((known.top.len(), known.top[0].query, known.top[0].rank), (1, 1, Rank::Strong));
    assert!((known.top[0].wal_bytes - 60.0).abs() < 1e-9 && (known.top[0].mean_milliseconds - 0.5).abs() < 1e-9);
}

#[test]
fn two_tenants_with_one_statement_are_nobody() {
    let mut story = Story::begin(170_000);
    for (second, tenant) in [(100, "acme"), (101, "acme"), (102, "globex"), (103, "acme"), (104, "acme")] {
        story.see(second, tenant, 1);
    }
    story.answer(110, vec![entry(SHARED, 1, 600)]);
    assert_eq!((story.share("acme"), story.share("globex")), (None, None));
    assert!(!story.window.tenants.contains_key(&id("acme")));
}

#[test]
fn from_18_on_a_statement_of_the_shared_account_is_everybodys() {
    let mut story = Story::begin(180_000);
    for second in 100..110 {
        story.see(second, "acme", 1);
    }
    let mut claimed = entry(SHARED, 1, 600);
    claimed.text = Some(Foreign::from("insert into tenant_acme.orders values ($1)"));
    story.answer(110, vec![claimed, entry("role_initech", 3, 200)]);
    assert_eq!(story.share("acme"), None);
    assert!(!story.window.tenants.contains_key(&id("acme")), "not even a claim: the text is whoever's came first");
    assert_eq!(story.share("initech"), Some(0.2), "an own login still is its own");
}

#[test]
fn of_a_server_whose_version_is_not_known_nothing_is_assumed() {
    let mut story = Story::begin(0);
    story.see(100, "acme", 1);
    story.answer(110, vec![entry(SHARED, 1, 600)]);
    assert_eq!(story.share("acme"), None);
}

#[test]
fn a_text_that_names_a_schema_is_shown_and_counts_for_nothing() {
    let mut story = Story::begin(160_000);
    let mut claimed = entry(SHARED, 1, 600);
    claimed.text = Some(Foreign::from("insert into tenant_acme.orders values ($1)"));
    story.answer(110, vec![claimed]);
    let known = story.window.tenants.get(&id("acme")).unwrap();
    assert_eq!((known.top[0].rank, known.wal_bytes), (Rank::Claimed, 0.0));
    assert_eq!(story.share("acme"), None);
}

#[test]
fn distrust_makes_shares_unknown_until_it_is_a_minute_old() {
    let mut story = Story::begin(150_000);
    let mut lies = answer(110, vec![entry("role_initech", 3, 200)]);
    lies.distrusted = Some("entries were thrown out".into());
    story.take(lies);
    assert_eq!(story.share("initech"), None);
    assert!(story.window.tenants.get(&id("initech")).unwrap().distrusted.is_some(), "shown, with the doubt");
    for second in (120..=160).step_by(10) {
        story.answer(second, vec![entry("role_initech", 3, 200)]);
        assert_eq!(story.share("initech"), None, "{second}");
    }
    story.answer(170, vec![entry("role_initech", 3, 200)]);
    assert_eq!(story.share("initech"), Some(0.2));
}

#[test]
fn a_reset_of_the_servers_counter_is_a_gap_and_a_first_look_says_nothing() {
    let mut story = Story::begin(150_000);
    story.take(Statements { before: None, ..answer(100, vec![entry("role_initech", 3, 200)]) });
    assert_eq!(story.share("initech"), None);
    story.take(Statements { wal_bytes: None, ..answer(110, vec![entry("role_initech", 3, 200)]) });
    assert_eq!(story.share("initech"), None);
    story.window.clear();
    story.answer(200, vec![entry("role_initech", 3, 200)]);
    assert_eq!(story.share("initech"), Some(0.2));
}

#[test]
fn a_tenants_list_is_bounded() {
    let mut story = Story::begin(150_000);
    story.answer(110, (0..500).map(|query| entry("role_initech", query, query.unsigned_abs())).collect());
    let known = story.window.tenants.get(&id("initech")).unwrap();
    assert_eq!((known.top.len(), known.top[0].query), (TOP, 499));
    assert!((known.calls - 500.0).abs() < 1e-9, "the sums keep all");
}

#[test]
fn ten_thousand_logins_are_added_up_between_two_polls() {
    let mut story = Story::begin(150_000);
    let mut crowd = answer(110, Vec::new());
    for number in 0..10_000 {
        let role = format!("role_tenant_{number}");
        let database = Foreign::from("portarium");
        let grew = StatementCounters { wal_bytes: 1, ..StatementCounters::default() };
        crowd.accounts.push(crate::domain::facts::Account { role: Foreign::from(role), database, grew });
    }
    for second in (110..=170).step_by(10) {
        let began = std::time::Instant::now();
        let now = Statements { server_now: at(second), before: Some(at(second - 10)), ..crowd.clone() };
        story.take(now);
        // A debug build on a busy machine.
        assert!(began.elapsed().as_secs_f64() < 2.0, "{:?}", began.elapsed());
        println!("{second}: {:?}", began.elapsed());
    }
    assert_eq!(story.share("tenant-77"), Some(7.0 / 70_000.0));
}
