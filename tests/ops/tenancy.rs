//! Making and removing a tenant's place, killed and cut off at every point: a world with a Vault, the points at PostgreSQL
//! and at Vault, and what is compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use secrecy::SecretString;
use tierdeck::clients::vault::{Fields, Vault};
use tierdeck::lab::VaultStand;
use tierdeck::ops::act::Intent;
use tierdeck::ops::deprovision::Deprovisioning;
use tierdeck::ops::plan::Plan;
use tierdeck::ops::provision::{Provisioning, Reached, RoleLimits};
use tierdeck::ops::{Ended, OpsError, TakeOver, Way};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::faults::{Fault as Cut, Meddler as Between};
use super::matrix::{Work, points, run};
use super::world::{Machine, World, new_id, shared, tenant};
use crate::support::bao::ROOT;

/// A world with a Vault.
pub struct Town {
    pub world: World,
    pub stand: VaultStand,
}

impl Town {
    pub async fn start() -> Self {
        Self { world: World::start().await, stand: VaultStand::start(SecretString::from(ROOT)).await.unwrap() }
    }

    pub async fn start_of(programs: &Path) -> Self {
        Self {
            world: World::start_of(programs).await,
            stand: VaultStand::start(SecretString::from(ROOT)).await.unwrap(),
        }
    }

    pub fn machine(&self, folder: &Path, host: &str) -> Machine {
        Machine { vault: Some(self.stand.url()), ..Machine::at(self.world.server.port, folder.join(host), host) }
    }

    /// The Vault as somebody beside the operation sees it.
    pub fn vault(&self, folder: &Path) -> Arc<Vault> {
        self.machine(folder, "beside").vault().unwrap()
    }

    /// Everything that an operation could have changed or left behind, at the server and in Vault.
    pub async fn image(&self, folder: &Path) -> String {
        let mut image = self.world.settled().await;
        let vault = self.vault(folder);
        let mut folders = vec![String::new()];
        let mut secrets = Vec::new();
        // From the two places that anything of ours can be in.
        for root in ["tenants", "tierdeck"] {
            folders.push(root.to_owned());
        }
        while let Some(at) = folders.pop() {
            if at.is_empty() {
                continue;
            }
            for name in vault.list(&at).await.unwrap() {
                match name.strip_suffix('/') {
                    Some(below) => folders.push(format!("{at}/{below}")),
                    None => secrets.push(format!("{at}/{name}")),
                }
            }
        }
        secrets.sort();
        for path in secrets {
            let known = vault.metadata(&path).await.unwrap().unwrap();
            let newest = vault.read(&path).await.unwrap();
            let fields: BTreeMap<String, String> = newest
                .iter()
                .flat_map(|secret| {
                    secret.fields.names().map(|name| (name.to_owned(), secret.fields.text(name).unwrap()))
                })
                .collect();
            let custom: Vec<&String> = known.custom.keys().collect();
            // A password is another one each time.
            let fields = fields.into_iter().map(|(name, value)| {
                let value = if name == "password" { format!("{} characters", value.len()) } else { value };
                format!("{name}={value}")
            });
            writeln!(image, "{path}: {:?} {custom:?} {:?}", known.versions, fields.collect::<Vec<_>>()).unwrap();
        }
        // Which operation it was is told apart elsewhere.
        let mut same = String::new();
        for line in image.lines() {
            let cut = line.split_once("made by tierdeck operation ").map_or(line, |(before, _)| before);
            writeln!(same, "{cut}").unwrap();
        }
        same
    }

    /// As if nobody had ever asked for hooli.
    pub async fn forget(&self, folder: &Path) {
        self.world.forget().await;
        let sql = "DROP SCHEMA IF EXISTS tenant_hooli CASCADE;
                   DO $$ BEGIN IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'role_hooli') THEN DROP OWNED BY role_hooli; DROP ROLE role_hooli; END IF; END $$";
        self.world.boss.batch_execute(sql).await.unwrap();
        let vault = self.vault(folder);
        vault.remove("tenants/hooli/db").await.unwrap();
        for name in vault.list("tierdeck/operations").await.unwrap() {
            vault.remove(&format!("tierdeck/operations/{name}")).await.unwrap();
        }
    }

    /// A tenant that is to go: a schema of its own with tables, a secret.
    pub async fn settle(&self, folder: &Path) {
        self.forget(folder).await;
        let operations = self.machine(folder, "before").quiet();
        let plan = operations.plan(&provision("hooli", true), new_id()).await.unwrap();
        assert_eq!(operations.start(&plan, "hooli").await.unwrap(), Ended::Succeeded);
        let sql = "SET ROLE role_hooli;
                   CREATE TABLE tenant_hooli.orders (id int PRIMARY KEY, total numeric);
                   INSERT INTO tenant_hooli.orders SELECT i, i FROM generate_series(1, 200) i;
                   CREATE VIEW tenant_hooli.large AS SELECT * FROM tenant_hooli.orders WHERE total > 100;
                   RESET ROLE";
        self.world.boss.batch_execute(sql).await.unwrap();
        self.world.boss.batch_execute("DROP SCHEMA tierdeck CASCADE").await.unwrap();
    }
}

pub fn limits() -> RoleLimits {
    RoleLimits {
        connection_limit: Some(40),
        statement_timeout_ms: Some(30_000),
        lock_timeout_ms: Some(5_000),
        idle_in_transaction_ms: Some(60_000),
    }
}

pub fn provision(id: &str, own_login: bool) -> Intent {
    Intent::Provision(Provisioning {
        tenant: tenant(id),
        instance: shared(),
        own_login,
        limits: limits(),
        creators: vec![super::world::ADMIN.to_owned()],
        address: Some(Reached { host: "db.internal".to_owned(), port: 5432 }),
    })
}

pub fn deprovision(id: &str) -> Intent {
    Intent::Deprovision(Deprovisioning { tenant: tenant(id), instance: shared(), keep_secret: false })
}

/// What is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Provision,
    Deprovision,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Deprovision => "deprovision",
        }
    }

    fn intent(self) -> Intent {
        match self {
            Self::Provision => provision("hooli", true),
            Self::Deprovision => deprovision("hooli"),
        }
    }

    async fn stage(self, town: &Town, folder: &Path) {
        match self {
            Self::Provision => town.forget(folder).await,
            Self::Deprovision => town.settle(folder).await,
        }
    }
}

/// Everything, or a sample by the seed (`make matrix` and CI).
fn chosen(number: usize, of: usize) -> bool {
    let seed: usize = std::env::var("TIERDECK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    std::env::var_os("TIERDECK_MATRIX").is_some() || (number + seed).is_multiple_of(of)
}

/// Ends of a way that are as good as having gone it now.
fn is_over(way: Way, ended: &Result<Ended, OpsError>) -> bool {
    match (way, ended) {
        (Way::Forward, Ok(Ended::Succeeded)) | (Way::Back, Ok(Ended::RolledBack)) => true,
        (Way::Forward, Err(OpsError::Over(_, how))) => how == "succeeded",
        _ => false,
    }
}

async fn killed_everywhere(kind: Kind, every: usize) -> String {
    let town = Town::start().await;
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let machine = |name: String| town.machine(folder, &name);
    kind.stage(&town, folder).await;
    let start = town.image(folder).await;
    let first = machine("undisturbed".to_owned());
    let plan = first.quiet().plan(&kind.intent(), new_id()).await.unwrap();
    let all = points(&run(&first, Work::Start(Box::new(plan.clone())), 0));
    let done = town.image(folder).await;
    assert_ne!(start, done, "it does nothing");
    let (mut tried, mut held) = (0, 0);
    for at in 1..=all {
        for way in [Way::Forward, Way::Back] {
            if !chosen(2 * at + usize::from(way == Way::Back), every) {
                continue;
            }
            tried += 1;
            kind.stage(&town, folder).await;
            let machine = machine(format!("{at}-{way:?}"));
            let plan = machine.quiet().plan(&kind.intent(), new_id()).await.unwrap();
            run(&machine, Work::Start(Box::new(plan.clone())), at);
            let ended = machine.quiet().go_on(&plan.id, way, TakeOver::No).await;
            let here = format!("{}, killed at {at} of {all}, then {way:?}: {ended:?}", kind.name());
            let gone = match ended {
                Err(OpsError::NoWayBack { .. }) if kind == Kind::Deprovision && way == Way::Back => {
                    let ended = machine.quiet().go_on(&plan.id, Way::Forward, TakeOver::No).await;
                    assert!(is_over(Way::Forward, &ended), "{here}: {ended:?}");
                    Way::Forward
                }
                ended => {
                    assert!(is_over(way, &ended), "{here}");
                    way
                }
            };
            let wanted = if gone == Way::Forward { &done } else { &start };
            assert_eq!(&town.image(folder).await, wanted, "{here}");
            town.world.nothing_is_held().await;
            held += 1;
        }
    }
    // Provision alone goes back from its end; the rollback is killed as well.
    if kind == Kind::Provision {
        let (mut back, mut at) = (1, 0);
        while at <= back {
            if at > 0 && !chosen(at, every) {
                at += 1;
                continue;
            }
            kind.stage(&town, folder).await;
            let machine = machine(format!("back-{at}"));
            let plan = machine.quiet().plan(&kind.intent(), new_id()).await.unwrap();
            assert_eq!(machine.quiet().start(&plan, &plan.confirm).await.unwrap(), Ended::Succeeded);
            let output = run(&machine, Work::RollBack(plan.id.clone()), at);
            if at == 0 {
                back = points(&output);
            } else {
                let ended = machine.quiet().go_on(&plan.id, Way::Back, TakeOver::No).await;
                assert!(is_over(Way::Back, &ended), "rollback killed at {at} of {back}: {ended:?}");
                tried += 1;
                held += 1;
            }
            assert_eq!(town.image(folder).await, start, "rollback killed at {at} of {back}");
            town.world.nothing_is_held().await;
            at += 1;
        }
    }
    assert!(tried > 5 && tried == held);
    format!("crash matrix, {}: {all} points of a run, {tried} tried, {held} held", kind.name())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provision_killed_at_every_point_is_gone_on_with_and_rolled_back() {
    println!("{}", killed_everywhere(Kind::Provision, 5).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deprovision_killed_at_every_point_is_gone_on_with_and_rolled_back() {
    println!("{}", killed_everywhere(Kind::Deprovision, 7).await);
}

/// What happens to a call to Vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Sealed,
    Standby,
    Ended,
    Denied,
    /// The connection breaks before Vault hears of it.
    Before,
    /// Vault does it, and the connection breaks before anybody hears of that.
    After,
    Hang,
}

const FAULTS: [Fault; 7] =
    [Fault::Sealed, Fault::Standby, Fault::Ended, Fault::Denied, Fault::Before, Fault::After, Fault::Hang];

struct Meddling {
    calls: usize,
    at: usize,
    fault: Fault,
}

/// A way to Vault on which one call suffers.
pub struct Meddler {
    url: String,
    state: Arc<Mutex<Meddling>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Meddler {
    pub async fn to(url: &str) -> Self {
        let upstream = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(Meddling { calls: 0, at: 0, fault: Fault::Sealed }));
        let known = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (state, upstream) = (Arc::clone(&known), upstream.clone());
                tokio::spawn(async move {
                    let _ = meddle(near, &upstream, &state).await;
                });
            }
        });
        Self { url, state, serving }
    }

    /// From here on the call of this number suffers; 0: none does. Returns how many there were.
    pub fn set(&self, at: usize, fault: Fault) -> usize {
        let mut state = self.state.lock().unwrap();
        (state.at, state.fault) = (at, fault);
        std::mem::take(&mut state.calls)
    }
}

/// One connection: requests one after the other, each with its whole body.
async fn meddle(mut near: TcpStream, upstream: &str, state: &Mutex<Meddling>) -> std::io::Result<()> {
    let mut far = TcpStream::connect(upstream).await?;
    while let Some(request) = message(&mut near).await? {
        let suffers = {
            let mut state = state.lock().unwrap();
            state.calls += 1;
            (state.calls == state.at).then_some(state.fault)
        };
        let refuse = |status: &str, words: &str| {
            let body = format!("{{\"errors\":[\"{words}\"]}}");
            format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let answer = match suffers {
            Some(Fault::Sealed) => refuse("503 Service Unavailable", "Vault is sealed"),
            Some(Fault::Standby) => refuse("429 Too Many Requests", "standby"),
            Some(Fault::Ended) => refuse("403 Forbidden", "permission denied\",\"invalid token"),
            Some(Fault::Denied) => refuse("403 Forbidden", "permission denied"),
            Some(Fault::Before) => return Ok(()),
            Some(Fault::Hang) => {
                tokio::time::sleep(std::time::Duration::from_secs(60)).await;
                return Ok(());
            }
            Some(Fault::After) | None => String::new(),
        };
        if !answer.is_empty() {
            near.write_all(answer.as_bytes()).await?;
            continue;
        }
        far.write_all(&request).await?;
        let Some(answer) = message(&mut far).await? else { return Ok(()) };
        if suffers.is_some() {
            return Ok(());
        }
        near.write_all(&answer).await?;
    }
    Ok(())
}

/// A whole message of HTTP/1.1 with a length; `None`: the connection is over.
async fn message(from: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut whole = Vec::new();
    let mut buffer = [0; 8_192];
    loop {
        if let Some(head) = whole.windows(4).position(|four| four == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&whole[..head]).to_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if whole.len() >= head + 4 + length.unwrap_or(0_usize) {
                return Ok(Some(whole));
            }
        }
        match from.read(&mut buffer).await? {
            0 => return Ok(None),
            read => whole.extend_from_slice(&buffer[..read]),
        }
    }
}

async fn cut_off_everywhere(kind: Kind, every: usize) -> String {
    let town = Town::start().await;
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let meddler = Meddler::to(&town.stand.url()).await;
    let machine = |name: String| Machine { vault: Some(meddler.url.clone()), ..town.machine(folder, &name) };
    kind.stage(&town, folder).await;
    let start = town.image(folder).await;
    let first = machine("undisturbed".to_owned());
    let plan = first.quiet().plan(&kind.intent(), new_id()).await.unwrap();
    meddler.set(0, Fault::Sealed);
    assert_eq!(first.quiet().start(&plan, "hooli").await.unwrap(), Ended::Succeeded);
    let calls = meddler.set(0, Fault::Sealed);
    let done = town.image(folder).await;
    assert!(calls > 4 && done != start, "{calls}");
    let (mut tried, mut held) = (0, 0);
    for at in 1..=calls {
        for (number, fault) in FAULTS.into_iter().enumerate() {
            let way = if (at + number).is_multiple_of(2) { Way::Forward } else { Way::Back };
            if !chosen(at * FAULTS.len() + number, every) {
                continue;
            }
            tried += 1;
            kind.stage(&town, folder).await;
            let machine = machine(format!("{at}-{fault:?}"));
            let plan = machine.quiet().plan(&kind.intent(), new_id()).await.unwrap();
            meddler.set(at, fault);
            let ended = machine.quiet().start(&plan, "hooli").await;
            meddler.set(0, fault);
            let here = format!("{fault:?} at call {at} of {calls}: {ended:?}, then {way:?}");
            said_as_what_it_is(fault, &ended, &here);
            let ended = match machine.quiet().go_on(&plan.id, way, TakeOver::No).await {
                Err(OpsError::NoWayBack { .. }) if kind == Kind::Deprovision => {
                    let ended = machine.quiet().go_on(&plan.id, Way::Forward, TakeOver::No).await;
                    assert!(is_over(Way::Forward, &ended), "{here}: {ended:?}");
                    Way::Forward
                }
                // It was refused before anything was done: as if it had never been asked for.
                Err(OpsError::Over(_, how)) if how == "refused" => Way::Back,
                ended => {
                    assert!(is_over(way, &ended), "{here}: {ended:?}");
                    way
                }
            };
            let wanted = if ended == Way::Forward { &done } else { &start };
            assert_eq!(&town.image(folder).await, wanted, "{here}");
            town.world.nothing_is_held().await;
            held += 1;
        }
    }
    assert!(tried > 4 && tried == held);
    let faults = FAULTS.len();
    format!("faults of Vault, {}: {calls} calls, {faults} faults each, {tried} tried, {held} held", kind.name())
}

/// An error, a cut and a hang at calls to PostgreSQL; the export's own connection is among them.
async fn cut_off_from_postgres(kind: Kind, every: usize) -> String {
    let town = Town::start().await;
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let between = Between::to(town.world.server.port);
    let machine = |name: String| Machine { port: between.port, ..town.machine(folder, &name) };
    kind.stage(&town, folder).await;
    let start = town.image(folder).await;
    let first = machine("undisturbed".to_owned());
    let plan = first.quiet().plan(&kind.intent(), new_id()).await.unwrap();
    between.meddle(0, Cut::Error);
    assert_eq!(first.quiet().start(&plan, "hooli").await.unwrap(), Ended::Succeeded);
    let calls = between.meddle(0, Cut::Error);
    let done = town.image(folder).await;
    let (mut tried, mut held) = (0, 0);
    for at in 1..=calls {
        for (number, fault) in [Cut::Error, Cut::Before, Cut::After, Cut::Hang].into_iter().enumerate() {
            // One point alone, to look at it.
            if let Ok(only) = std::env::var("TIERDECK_POINT")
                && only != format!("{fault:?}-{at}")
            {
                continue;
            }
            // A hang takes its time.
            let every = if fault == Cut::Hang { 5 * every } else { every };
            if std::env::var_os("TIERDECK_POINT").is_none() && !chosen(at * 4 + number, every) {
                continue;
            }
            let way = if (at + number).is_multiple_of(2) { Way::Forward } else { Way::Back };
            tried += 1;
            kind.stage(&town, folder).await;
            let machine = machine(format!("{at}-{fault:?}"));
            let plan = machine.quiet().plan(&kind.intent(), new_id()).await.unwrap();
            between.meddle(at, fault);
            let first = machine.quiet().start(&plan, "hooli").await;
            between.meddle(0, fault);
            let here = format!("{}, {fault:?} at call {at} of {calls}: {first:?}, then {way:?}", kind.name());
            let gone = match (way, machine.quiet().go_on(&plan.id, way, TakeOver::No).await) {
                // It was cut off before anything was begun: nothing is there.
                (_, Err(OpsError::Unknown(_))) => Way::Back,
                (Way::Back, Err(OpsError::NoWayBack { .. })) if kind == Kind::Deprovision => {
                    let ended = machine.quiet().go_on(&plan.id, Way::Forward, TakeOver::No).await;
                    assert!(is_over(Way::Forward, &ended), "{here}: {ended:?}");
                    Way::Forward
                }
                (way, ended) => {
                    assert!(is_over(way, &ended), "{here}: {ended:?}");
                    way
                }
            };
            let wanted = if gone == Way::Forward { &done } else { &start };
            assert_eq!(&town.image(folder).await, wanted, "{here}");
            if town.world.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'tierdeck'").await > 0 {
                town.world.nothing_is_held().await;
            }
            held += 1;
        }
    }
    assert!(tried > 0 && tried == held);
    format!("faults of PostgreSQL, {}: {calls} calls, 4 faults each, {tried} tried, {held} held", kind.name())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provision_that_postgres_fails_at_any_call_is_gone_on_with_and_rolled_back() {
    println!("{}", cut_off_from_postgres(Kind::Provision, 13).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deprovision_that_postgres_fails_at_any_call_is_gone_on_with_and_rolled_back() {
    println!("{}", cut_off_from_postgres(Kind::Deprovision, 13).await);
}

/// Not "an error", but which.
fn said_as_what_it_is(fault: Fault, ended: &Result<Ended, OpsError>, here: &str) {
    let words = match ended {
        Ok(Ended::Paused(why)) => why.clone(),
        Err(error) => error.to_string(),
        // A look whose answer did not matter.
        Ok(_) => return,
    };
    let wanted = match fault {
        Fault::Sealed => "is sealed",
        Fault::Standby => "is a standby",
        Fault::Ended => "log in again",
        Fault::Denied => "does not allow us to",
        Fault::Before | Fault::After => "is not reached",
        Fault::Hang => "did not answer",
    };
    assert!(words.contains(wanted), "{here}: {wanted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provision_that_vault_fails_at_any_call_is_gone_on_with_and_rolled_back() {
    println!("{}", cut_off_everywhere(Kind::Provision, 4).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deprovision_that_vault_fails_at_any_call_is_gone_on_with_and_rolled_back() {
    println!("{}", cut_off_everywhere(Kind::Deprovision, 4).await);
}

/// Everything that a plan says it will run.
pub fn promised(plan: &Plan) -> Vec<String> {
    plan.steps.iter().flat_map(|step| step.forward.lines()).collect()
}

/// A tenant's secret, as it is written by hand.
pub fn by_hand(schema: &str) -> Fields {
    Fields::default().with("host", "elsewhere").with("port", 5432).with("database", "portarium").with("schema", schema)
}
