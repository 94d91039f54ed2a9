//! Instances that are found by their tags, as whoever works on them meets them: in the demo's estate, with the real binary.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use support::console::{Said, run, tierdeck};
use tempfile::TempDir;

/// How long a cluster may take to be made on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(180);
const TENANT: &str = "northwind-bank";
const INSTANCE: &str = "portarium-demo-northwind-bank-db";

/// The demo without a console, and somebody who works on it.
struct Estate {
    child: Child,
    config: String,
    ground: TempDir,
}

impl Estate {
    fn start(dedicated: &str) -> Self {
        let ground = tempfile::Builder::new().prefix("tierdeck-ground-").tempdir().unwrap();
        fs::set_permissions(ground.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tierdeck"));
        command.args(["demo", "--headless", "--scenario", "calm", "--tenants", "3", "--dedicated", dedicated]);
        command.env("TMPDIR", ground.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        let config = ready["config"].as_str().unwrap().to_owned();
        Self { child, config, ground }
    }

    fn run(&self, arguments: &[&str]) -> Said {
        run(&[&["--config", &self.config], arguments].concat(), self.ground.path())
    }

    #[track_caller]
    fn says(&self, line: &str, code: i32) -> (String, String) {
        let said = self.run(&line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(said.code, Some(code), "{line}\n{}\n{}", said.out, said.err);
        (said.out, said.err)
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.says("status --json", 0).0).unwrap()
    }

    /// Looks until it is as it should be.
    #[track_caller]
    fn until(&self, what: &str, told: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let status = self.status();
            if told(&status) {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "never {what}: {status:#}");
        }
    }

    /// A file in the estate's folder.
    fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(&self.config).with_file_name(name)
    }
}

impl Drop for Estate {
    fn drop(&mut self) {
        // It stops its servers when it is asked; nothing stays behind a test that failed.
        let _ = kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

fn instance<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    status["instances"].as_array().unwrap().iter().find(|it| it["name"] == name)
}

fn tenant<'a>(status: &'a Value, id: &str) -> Option<&'a Value> {
    status["tenants"].as_array().unwrap().iter().find(|it| it["id"] == id)
}

async fn login(port: u64, user: &str, password: &str, database: &str) -> tokio_postgres::Client {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(u16::try_from(port).unwrap()).user(user).password(password).dbname(database);
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_is_watched_and_acted_on_like_what_is_configured() {
    let estate = Estate::start("1");
    let status = estate.until("found, with figures and a secret that leads there", |status| {
        let figures = |it: &Value| {
            let source = it["sources"].as_array().unwrap().iter().find(|it| it["name"] == "cloudwatch");
            source.is_some_and(|it| it["age_seconds"].is_number() && it["error"].is_null())
        };
        let found = instance(status, INSTANCE).is_some_and(|it| it["reachable"] == true && figures(it));
        let secret = tenant(status, TENANT).is_some_and(|it| it["secret"]["points_to"]["instance"] == INSTANCE);
        found && secret
    });
    let row = tenant(&status, TENANT).unwrap();
    assert_eq!((&row["tier"], &row["instance"]), (&"dedicated".into(), &INSTANCE.into()), "{row:#}");
    assert_eq!(row["schema"], "tenant_northwind_bank", "{row:#}");
    let about = status["findings"].as_array().unwrap().iter();
    let about: Vec<_> = about.filter(|it| it["signal"] == "secret-mismatch" || it["signal"] == "orphan").collect();
    assert!(about.is_empty(), "secrets, tags and schemas agree: {about:#?}");

    // Acted on: by its tenant alone, and by its name.
    let (plan, _) = estate.says(&format!("act throttle {TENANT} --connections 7 --plan"), 0);
    assert!(plan.contains(INSTANCE) && plan.contains("CONNECTION LIMIT 7"), "{plan}");
    estate.says(&format!("--allow-actions act throttle {TENANT} --connections 7 --confirm {TENANT}"), 0);
    let port = row["secret"]["points_to"]["port"].as_u64().unwrap();
    let master = fs::read_to_string(estate.file("portarium.password")).unwrap();
    let master = login(port, "portarium", &master, "northwind_bank").await;
    let limit = "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'role_northwind_bank'";
    assert_eq!(master.query_one(limit, &[]).await.unwrap().get::<_, i32>(0), 7);
    estate.says(&format!("--allow-actions act unthrottle {TENANT} --confirm {TENANT}"), 0);
    assert_eq!(master.query_one(limit, &[]).await.unwrap().get::<_, i32>(0), -1);
    // A session of its application, as the server names it; another comes in its place.
    let session = "SELECT pid, to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')
                   FROM pg_stat_activity WHERE usename = 'role_northwind_bank' ORDER BY backend_start LIMIT 1";
    let row = master.query_one(session, &[]).await.unwrap();
    let (pid, started): (i32, String) = (row.get(0), row.get(1));
    let aimed = format!("act terminate --pid {pid} --started {started} --instance {INSTANCE}");
    let plan: Value = serde_json::from_str(&estate.says(&format!("{aimed} --plan --json"), 0).0).unwrap();
    assert!(plan["text"].as_str().unwrap().contains(TENANT), "whose it is: {plan:#}");
    let confirm = plan["plan"]["confirm"].as_str().unwrap();
    estate.says(&format!("--allow-actions {aimed} --confirm {confirm}"), 0);
    let gone = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2::text::timestamptz";
    assert_eq!(master.query_one(gone, &[&pid, &started]).await.unwrap().get::<_, i64>(0), 0);
    // Going on and going back find their way there too.
    let list: Value = serde_json::from_str(&estate.says("ops list --json", 0).0).unwrap();
    assert_eq!(list["operations"].as_array().unwrap().len(), 2, "{list:#}");
    let (_, said) = estate.says("act throttle nobody-here --instance nowhere --plan", 2);
    assert!(said.contains("no [[instance]] is called \"nowhere\", and none is found by its tags"), "{said}");
}

/// The console asks a found instance about one of its sessions, and makes a plan of an action on it.
#[tokio::test(flavor = "multi_thread")]
async fn the_console_looks_into_what_was_found() {
    let estate = Estate::start("1");
    estate.until("found", |status| tenant(status, TENANT).is_some_and(|it| it["instance"] == INSTANCE));
    let mut console = tierdeck(&["--config", &estate.config, "--allow-actions"])
        .environment("HOME", estate.ground.path())
        .size(160, 48)
        .open();
    console.shows(TENANT);
    console.keys("/northwind\r\r");
    console.shows("tenant_northwind_bank");
    // Its page of tables is asked of the server, over a connection of its own.
    console.keys("\t\t\t\t\t");
    console.shows("customers");
    // A plan is made where the tenant lives.
    console.keys("a");
    console.shows("throttle");
    console.keys("\x1b");
    console.hides("ACTIONS on");
    console.keys("q");
    console.ends_with(0);
}
