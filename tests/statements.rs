//! Statements per tenant on every PostgreSQL that is found (`TIERDECK_PG_BINS` and the system's): a tenant that writes
//! much through the shared account is named by its share of the WAL, no statement is said to be a tenant's that is not,
//! and whatever makes the counters lie or hides them is said in words.

#![expect(clippy::unwrap_used, clippy::panic, clippy::explicit_write, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use tierdeck::clients::Environment;
use tierdeck::clients::postgres::Target;
use tierdeck::config;
use tierdeck::domain::facts::{Source, Statements};
use tierdeck::domain::session::Rank;
use tierdeck::domain::{Layout, Session, Snapshot, TenantId};
use tierdeck::lab::{Culprit, Lab, Scenario, Spec, Style};
use tierdeck::poll::Poller;
use tierdeck::signals::Evaluator;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_postgres::{Client, NoTls};

/// One estate at a time: each is made for a laptop of its own.
static TURN: Mutex<()> = Mutex::const_new(());

/// What is installed, by major version.
fn installed() -> BTreeMap<u32, PathBuf> {
    let given = std::env::var_os("TIERDECK_PG_BINS").unwrap_or_default();
    let given = std::env::split_paths(&given).filter(|path| !path.as_os_str().is_empty());
    let packaged = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let packaged = packaged.map(|entry| entry.path().join("bin"));
    let major = |folder: &Path| {
        let said = std::process::Command::new(folder.join("postgres")).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        text.split_whitespace().nth(2)?.split('.').next()?.parse().ok()
    };
    given.chain(packaged).filter_map(|folder| Some((major(&folder)?, folder))).collect()
}

/// The version that every machine has.
fn usual() -> PathBuf {
    let all = installed();
    all.get(&15).or_else(|| all.values().next()).cloned().unwrap()
}

/// The biggest tenant of those on the shared account writes without a pause.
fn a_writer_on_the_shared_account() -> Scenario {
    let mut scenario = Scenario::named("noisy-neighbour").unwrap();
    scenario.incidents[0].culprit = Culprit { style: Style::SearchPath, rank: 0 };
    scenario.incidents[0].intensity = 2;
    scenario
}

struct Stage {
    lab: Lab,
    poller: Poller,
    snapshot: Arc<Snapshot>,
    boss: Client,
    seen_at: Option<Timestamp>,
    /// Whose each statement of the shared account really was, whenever one was seen.
    truth: BTreeMap<i64, BTreeSet<TenantId>>,
}

impl Stage {
    async fn start(spec: Spec) -> Self {
        let lab = Lab::start(spec, |_| {}).await.unwrap_or_else(|error| panic!("{error}"));
        let mut config = config::load(lab.config_path()).unwrap();
        config.poll.insert(Source::Activity, Duration::from_millis(200));
        config.poll.insert(Source::Statements, Duration::from_secs(2));
        let target = Target::parse(&config.instances[0].url, &Environment::of([])).unwrap();
        let poller = Poller::start(&config, vec![target], Evaluator::immediate());
        let instance = &lab.instances()[0];
        let mut login = tokio_postgres::Config::new();
        login.host("127.0.0.1").port(instance.port).user("rdsadmin").dbname("portarium");
        login.password(instance.password("rdsadmin").unwrap().expose_secret());
        let (boss, connection) = login.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        let snapshot = poller.snapshots.borrow().clone();
        Self { lab, poller, snapshot, boss, seen_at: None, truth: BTreeMap::new() }
    }

    fn culprit(&self) -> TenantId {
        self.lab.cast()[0].1.clone()
    }

    /// Takes snapshots until one is as it should be.
    async fn until(&mut self, what: &str, told: impl Fn(&Snapshot) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let came = tokio::time::timeout_at(deadline, self.poller.snapshots.changed()).await;
            assert!(
                matches!(came, Ok(Ok(()))),
                "never {what}: {:#?}\n{:#?}",
                self.snapshot.instances[0].sources,
                self.snapshot.tenants.iter().map(|it| (&it.id, &it.noise, &it.statements)).collect::<Vec<_>>()
            );
            self.snapshot = self.poller.snapshots.borrow_and_update().clone();
            self.note_truth().await;
            if told(&self.snapshot) {
                return;
            }
        }
    }

    async fn note_truth(&mut self) {
        let now = self.snapshot.sessions.first().map(|session| session.server_now);
        if std::mem::replace(&mut self.seen_at, now) == now {
            return;
        }
        // The workers write down what they did when the server has answered them.
        tokio::time::sleep(Duration::from_millis(30)).await;
        for Session { key, transaction_started, query_id, .. } in &self.snapshot.sessions {
            let known = self.lab.truth().tenant_of(key.pid, key.started, *transaction_started);
            if let (Some(query), Some(known)) = (query_id, known)
                && known.style != Style::OwnLogin
            {
                self.truth.entry(*query).or_default().insert(known.tenant);
            }
        }
    }

    /// Statements of the shared account that are said to be somebody's on strong evidence.
    fn mapped(&self) -> BTreeSet<(i64, TenantId)> {
        let members = &self.lab.roster().members;
        let shared = |id: &TenantId| members.iter().any(|member| member.id == *id && member.style != Style::OwnLogin);
        let tenants = self.snapshot.tenants.iter().filter(|tenant| shared(&tenant.id));
        tenants
            .flat_map(|tenant| {
                let top = tenant.statements.iter().flat_map(|statements| &statements.top);
                top.filter(|it| it.rank == Rank::Strong).map(|it| (it.query, tenant.id.clone()))
            })
            .collect()
    }

    async fn run(&self, sql: &str) {
        self.boss.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
}

fn share(snapshot: &Snapshot, id: &TenantId) -> Option<f64> {
    snapshot.tenants.iter().find(|tenant| tenant.id == *id)?.noise.wal
}

fn facts(snapshot: &Snapshot) -> Option<&Arc<Statements>> {
    snapshot.instances[0].statements.value.as_ref()
}

/// What the source says of itself.
fn trouble(snapshot: &Snapshot) -> Option<&str> {
    let state = snapshot.instances[0].sources.iter().find(|state| state.source == Source::Statements)?;
    state.error.as_ref().map(|trouble| trouble.message.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_on_the_shared_account_is_named_by_its_wal_on_every_version() {
    let _turn = TURN.lock().await;
    let versions = installed();
    assert!(
        !versions.is_empty(),
        "no PostgreSQL found: apt-get install postgresql, or name folders in TIERDECK_PG_BINS"
    );
    for (major, folder) in &versions {
        let mut spec = Spec::new(a_writer_on_the_shared_account());
        (spec.tenants, spec.bin_dir) = (20, Some(folder.clone()));
        named_by_wal(*major, spec).await;
    }
}

async fn named_by_wal(major: u32, spec: Spec) {
    let mut stage = Stage::start(spec).await;
    let began = Instant::now();
    let culprit = stage.culprit();
    stage
        .until("named by its WAL", |snapshot| {
            let own = share(snapshot, &culprit);
            let most = snapshot.tenants.iter().filter_map(|tenant| tenant.noise.wal).fold(0.0, f64::max);
            own.is_some_and(|own| own > 0.4 && own >= most)
        })
        .await;
    let named_after = began.elapsed().as_secs_f64();
    let found = share(&stage.snapshot, &culprit).unwrap();
    let mut mapped = stage.mapped();
    let mut innocent: f64 = 0.0;
    let end = Instant::now() + Duration::from_secs(15);
    while Instant::now() < end {
        stage.until("another snapshot", |_| true).await;
        mapped.extend(stage.mapped());
        let others = stage.snapshot.tenants.iter().filter(|tenant| tenant.id != culprit);
        innocent = others.filter_map(|tenant| tenant.noise.wal).fold(innocent, f64::max);
    }
    let truth = |query: &i64| stage.truth.get(query);
    let wrong: Vec<_> = mapped
        .iter()
        .filter(|(query, tenant)| truth(query).is_some_and(|seen| seen.iter().any(|it| it != tenant)))
        .map(|(query, tenant)| format!("{query} is said to be {tenant}'s and was {:?}'s", truth(query)))
        .collect();
    let checked = mapped.iter().filter(|(query, _)| truth(query).is_some()).count();
    let shared = stage.truth.values().filter(|seen| seen.len() > 1).count();
    let cost = stage.snapshot.instances[0].sources.iter().find(|state| state.source == Source::Statements).unwrap();
    writeln!(
        std::io::stderr(),
        "statements, PostgreSQL {major}: {culprit} named with {:.0} % of the WAL after {named_after:.1} s, \
         nobody else with more than {:.0} %; {} statements of the \
         shared account seen, {shared} of those run by several tenants; {} mapped strongly, {checked} of those checked, {} \
         wrong; {} entries read in {:?}",
        found * 100.0,
        innocent * 100.0,
        stage.truth.len(),
        mapped.len(),
        wrong.len(),
        facts(&stage.snapshot).unwrap().known,
        cost.took.unwrap(),
    )
    .unwrap();
    assert!(wrong.is_empty(), "PostgreSQL {major}: {wrong:#?}");
    assert!(innocent < 0.25, "PostgreSQL {major}: an innocent tenant is said to write {innocent} of the WAL");
    if major >= 18 {
        assert!(mapped.is_empty(), "all tenants' statements are one there: {mapped:?}");
        assert!(shared >= 3, "then one statement is seen with several tenants: {:?}", stage.truth);
        let counted = stage.snapshot.sessions.iter().any(|session| session.usage.is_some());
        assert!(counted, "no session's own counters");
    } else {
        assert!(checked >= 10, "PostgreSQL {major}: only {checked} statements to judge by");
        let top =
            stage.snapshot.tenants.iter().find(|tenant| tenant.id == culprit).unwrap().statements.clone().unwrap();
        let import =
            top.top.iter().find(|it| it.text.as_ref().is_some_and(|text| text.raw().contains("generate_series")));
        let import = import.unwrap_or_else(|| panic!("PostgreSQL {major}: the import is not in {top:#?}"));
        assert!(import.calls > 0.0 && import.milliseconds > 0.0 && import.rank == Rank::Strong, "{import:#?}");
    }
    stage.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_its_own_makes_every_tenants_share_known() {
    let _turn = TURN.lock().await;
    let mut spec = Spec::new(Scenario::named("noisy-neighbour").unwrap());
    (spec.tenants, spec.bin_dir, spec.layout) = (10, Some(usual()), Layout::Database);
    let mut stage = Stage::start(spec).await;
    let culprit = stage.culprit();
    stage
        .until("every share is known, and the culprit's is the greatest", |snapshot| {
            let shares: Option<Vec<f64>> = snapshot.tenants.iter().map(|tenant| tenant.noise.wal).collect();
            let own = share(snapshot, &culprit);
            let all = |shares: &[f64]| shares.len() == 10 && shares.iter().sum::<f64>() <= 1.001;
            shares.is_some_and(|shares| all(&shares) && shares.iter().all(|it| own >= Some(*it))) && own > Some(0.4)
        })
        .await;
    let top = stage.snapshot.tenants.iter().find(|it| it.id == culprit).unwrap().statements.clone().unwrap();
    assert!(top.top.iter().all(|it| it.rank == Rank::Strong) && top.wal_bytes > 0.0, "{top:#?}");
    stage.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_the_counters_lie_is_said_and_makes_shares_unknown() {
    let _turn = TURN.lock().await;
    let mut spec = Spec::new(Scenario::named("calm").unwrap());
    (spec.tenants, spec.bin_dir) = (12, Some(usual()));
    spec.settings = vec![("pg_stat_statements.max".into(), "400".into())];
    let mut stage = Stage::start(spec).await;
    let known = |snapshot: &Snapshot| snapshot.tenants.iter().filter(|tenant| tenant.noise.wal.is_some()).count() >= 2;
    stage.until("shares are known", known).await;
    let told = |word: &'static str| {
        move |snapshot: &Snapshot| {
            let said = facts(snapshot).and_then(|statements| statements.distrusted.clone());
            let unknown = snapshot.tenants.iter().all(|tenant| tenant.noise.wal.is_none());
            said.is_some_and(|said| said.contains(word)) && unknown
        }
    };
    stage.run("SELECT pg_stat_statements_reset()").await;
    stage.until("the reset is told", told("reset")).await;
    // More statements than there is room for, each of its own kind.
    for number in 0..900 {
        // A statement's kind is its constants' types, not their values.
        let columns = (0..10).map(|bit| if number >> bit & 1 == 0 { "1" } else { "now()" }).collect::<Vec<_>>();
        stage.run(&format!("SELECT {}", columns.join(", "))).await;
    }
    stage.until("evictions are told", told("pg_stat_statements.max")).await;
    let doubts = |snapshot: &Snapshot| {
        let mut known = snapshot.tenants.iter().filter_map(|tenant| tenant.statements.as_ref());
        known.any(|statements| statements.distrusted.is_some())
    };
    stage.until("tenants' statements carry the doubt", doubts).await;
    stage.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hides_the_counters_is_said_with_what_helps() {
    let _turn = TURN.lock().await;
    let mut spec = Spec::new(Scenario::named("calm").unwrap());
    (spec.tenants, spec.bin_dir) = (8, Some(usual()));
    let mut stage = Stage::start(spec).await;
    let answers = |snapshot: &Snapshot| trouble(snapshot).is_none() && facts(snapshot).is_some();
    stage.until("statements answer", answers).await;
    for (done, told, undone) in [
        (
            "CREATE SCHEMA \"Odd schema\"; ALTER EXTENSION pg_stat_statements SET SCHEMA \"Odd schema\"",
            "GRANT USAGE ON SCHEMA",
            "GRANT USAGE ON SCHEMA \"Odd schema\" TO tierdeck",
        ),
        ("REVOKE pg_monitor FROM tierdeck", "GRANT pg_read_all_stats TO tierdeck", "GRANT pg_monitor TO tierdeck"),
        ("DROP EXTENSION pg_stat_statements", "CREATE EXTENSION pg_stat_statements", "SELECT 1"),
        (
            "CREATE EXTENSION pg_stat_statements VERSION '1.8'",
            "ALTER EXTENSION pg_stat_statements UPDATE",
            "ALTER EXTENSION pg_stat_statements UPDATE",
        ),
    ] {
        stage.run(done).await;
        stage.until(told, |snapshot| trouble(snapshot).is_some_and(|said| said.contains(told))).await;
        stage.run(undone).await;
        if done.starts_with("DROP") {
            continue;
        }
        stage.until("statements answer again", answers).await;
    }
    stage.lab.stop().await;
}
