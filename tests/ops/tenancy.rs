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
use tierdeck::ops::{Ended, OpsError, Way};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::ledger::{Tally, chosen};
use super::trial::Trial;
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

    /// With the leases on another server.
    pub async fn start_apart() -> Self {
        Self { world: World::start_apart().await, ..Self::start().await }
    }

    pub async fn start_of(programs: &Path) -> Self {
        Self {
            world: World::start_of(programs).await,
            stand: VaultStand::start(SecretString::from(ROOT)).await.unwrap(),
        }
    }

    pub fn machine(&self, folder: &Path, host: &str) -> Machine {
        Machine { vault: Some(self.stand.url()), ..self.world.machine_in(&folder.join(host), host) }
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
        self.world.control().boss.batch_execute("DROP SCHEMA tierdeck CASCADE").await.unwrap();
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

/// About how many calls a sample has of each fault.
const FEW: usize = 1;

/// Every call to Vault suffers everything.
pub async fn cut_off_from_vault(trial: &Trial, tally: &mut Tally) {
    let meddler = Meddler::to(&trial.town.stand.url()).await;
    let machine = |name: &str| Machine { vault: Some(meddler.url.clone()), ..trial.machine(name) };
    let whole = machine("meddled with by no Vault");
    let (plan, _) = trial.staged(&whole).await;
    meddler.set(0, Fault::Sealed);
    assert_eq!(whole.quiet().start(&plan, &plan.confirm).await.unwrap(), Ended::Succeeded);
    let calls = meddler.set(0, Fault::Sealed);
    assert!(calls > 4, "{calls}");
    for at in 1..=calls {
        for (number, fault) in FAULTS.into_iter().enumerate() {
            if !chosen(at + number, calls, FEW) {
                continue;
            }
            let way = if (at + number).is_multiple_of(2) { Way::Forward } else { Way::Back };
            let attempt = async {
                let machine = machine(&format!("Vault {at} {fault:?}"));
                let (plan, _) = trial.staged(&machine).await;
                meddler.set(at, fault);
                let first = machine.quiet().start(&plan, &plan.confirm).await;
                meddler.set(0, fault);
                let here = format!("{fault:?} at call {at} of {calls}: {first:?}");
                println!("{here}");
                said_as_what_it_is(fault, &first, &here);
                trial.ends(&machine, &plan, way).await;
            };
            tally.point("faults of Vault", format!("{fault:?} at call {at}, then {way:?}"), attempt).await;
        }
    }
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

/// Everything that a plan says it will run.
pub fn promised(plan: &Plan) -> Vec<String> {
    plan.steps.iter().flat_map(|step| step.forward.lines()).collect()
}

/// A tenant's secret, as it is written by hand.
pub fn by_hand(schema: &str) -> Fields {
    Fields::default().with("host", "elsewhere").with("port", 5432).with("database", "portarium").with("schema", schema)
}
