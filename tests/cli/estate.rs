//! What looks at a server, on one estate whose job queue is locked: a critical finding is there all the time.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tierdeck::lab::{Lab, Scenario, Spec, Style};
use tokio_postgres::{Client, NoTls};

use super::schema::assert_valid;
use super::{command, document, ended, run, stderr, stdout};

/// What must be seen nowhere.
const CANARY: &str = "canary-Z7 quite/secret@";

#[tokio::test(flavor = "multi_thread")]
async fn against_the_estate() {
    let lab = Lab::start(Spec::new(Scenario::named("lock-pileup").unwrap()), |_| {}).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let place = Place { config: lab.config_path().to_str().unwrap().to_owned(), folder: folder.path().to_owned() };
    // Locks must have been waited for long enough before anybody judges by exit codes.
    tokio::task::block_in_place(|| place.until_critical());
    tokio::task::block_in_place(|| {
        the_status_is_the_contracts(&place, &lab);
        watching_is_a_document_a_line(&place);
        findings_decide_the_exit_code(&place, &lab);
        what_is_acknowledged_fails_nobody(&place);
        what_is_not_there_is_acknowledged_with_a_word(&place);
        what_stays_began_once(&place);
        a_reader_that_goes_is_no_trouble(&place);
    });
    let boss = superuser(&lab).await;
    the_doctor_prescribes_what_helps(&place, &lab, &boss).await;
    tokio::task::block_in_place(|| {
        secrets_stay_secret(&place, &lab);
        what_is_not_there_is_said(&place);
    });
    lab.stop().await;
}

struct Place {
    config: String,
    folder: PathBuf,
}

impl Place {
    fn run(&self, arguments: &[&str]) -> std::process::Output {
        run(&[&["--config", &self.config], arguments].concat(), &[], &self.folder)
    }

    /// A configuration beside the estate's own.
    fn with(&self, name: &str, text: &str) -> Self {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        Self { config: path.to_str().unwrap().to_owned(), folder: self.folder.clone() }
    }

    fn until_critical(&self) {
        let began = std::time::Instant::now();
        while self.run(&["findings", "--fail-on", "critical"]).status.code() != Some(1) {
            assert!(began.elapsed() < Duration::from_secs(40), "{:?}", self.run(&["findings"]));
        }
    }
}

async fn superuser(lab: &Lab) -> Client {
    let instance = &lab.instances()[0];
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(instance.port).user("rdsadmin").dbname("portarium");
    config.password(instance.password("rdsadmin").unwrap().expose_secret());
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Every key of the example is in the document, with a value of its kind or `null`.
fn has_shape(example: &Value, real: &Value, at: &str) {
    match (example, real) {
        (_, Value::Null) | (Value::Null, Value::String(_)) => {}
        (Value::Object(example), Value::Object(real)) => {
            for (key, below) in example {
                let value = real.get(key).unwrap_or_else(|| panic!("{at}.{key} is missing"));
                has_shape(below, value, &format!("{at}.{key}"));
            }
        }
        (Value::Array(example), Value::Array(real)) => {
            for (place, value) in real.iter().enumerate() {
                has_shape(&example[0], value, &format!("{at}[{place}]"));
            }
        }
        (example, real) => {
            let same = std::mem::discriminant(example) == std::mem::discriminant(real);
            assert!(same, "{at}: {real} where the contract has {example}");
        }
    }
}

/// Every finding that fails is acknowledged or muted, until none does: they are still told, and by whom they are known.
fn what_is_acknowledged_fails_nobody(place: &Place) {
    let began = std::time::Instant::now();
    let findings = loop {
        let output = place.run(&["findings", "--json", "--fail-on", "critical"]);
        let findings = document(&output)["findings"].as_array().unwrap().clone();
        if output.status.code() == Some(0) {
            break findings;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{findings:#?}");
        for finding in findings.iter().filter(|it| it["severity"] == "critical" && it["acknowledged"].is_null()) {
            let text = |at: &str| finding.pointer(at).unwrap().as_str().unwrap();
            let mut words = vec!["ack", text("/signal"), text("/subject/id"), "--kind", text("/subject/kind")];
            words.extend(["--instance", text("/subject/instance"), "--for", "10m", "--why", "known"]);
            words.extend((text("/signal") == "lock-chain").then_some("--mute"));
            let output = place.run(&words);
            assert_eq!(output.status.code(), Some(0), "{output:?}");
        }
    };
    let muted = findings.iter().find(|it| it["signal"] == "lock-chain" && it["severity"] == "critical").unwrap();
    assert_eq!(muted["acknowledged"]["attention"], "muted", "{muted}");
    assert_eq!(muted["acknowledged"]["why"], "known", "{muted}");
    let told = stdout(&place.run(&["findings"]));
    assert!(told.contains("muted (tierdeck ack list)"), "{told}");
    assert_eq!(place.run(&["ack", "clear", "--all"]).status.code(), Some(0));
    assert_eq!(place.run(&["findings", "--fail-on", "critical"]).status.code(), Some(1));
}

fn what_is_not_there_is_acknowledged_with_a_word(place: &Place) {
    let said = ["--instance", "shared", "--for", "1h", "--why", "x"];
    let output = place.run(&[&["ack", "lock-chain", "nobody-at-all"], &said[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(stderr(&output).contains("there is no tenant nobody-at-all on shared"), "{output:?}");
    assert_eq!(place.run(&["ack", "clear", "--all"]).status.code(), Some(0));
}

/// What is there all the time neither begins nor ends anew with each look: in the report's timeline, and in documents.
fn what_stays_began_once(place: &Place) {
    let output = place.run(&["report", "--for", "4s", "--out", "/dev/stdout"]);
    let report = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(report.contains("lock-chain"), "{report}");
    let over = report.lines().filter(|line| line.contains("lock-chain") && line.contains("was over")).count();
    let steady = report.lines().filter(|line| line.contains("audit-missing") && line.contains("was over")).count();
    assert_eq!((over, steady), (0, 0), "{report}");

    let mut watching = command(&["--config", &place.config, "status", "--watch", "--json"], &[], &place.folder);
    let mut child = watching.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut since: BTreeMap<String, String> = BTreeMap::new();
    let mut again = 0;
    for _ in 0..3 {
        let status: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        for finding in status["findings"].as_array().unwrap() {
            if !["audit-missing", "limit-missing", "limit-drift"].contains(&finding["signal"].as_str().unwrap()) {
                continue;
            }
            let now = finding["since"].to_string();
            let key = format!("{} {}", finding["signal"], finding["subject"]);
            again += usize::from(since.get(&key) == Some(&now));
            let first = since.entry(key).or_insert_with(|| now.clone());
            assert_eq!(*first, now, "{finding}");
        }
    }
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    ended(&mut child, Duration::from_secs(5));
    assert!(again >= 2, "nothing was seen twice: {since:?}");
}

fn the_status_is_the_contracts(place: &Place, lab: &Lab) {
    let output = place.run(&["status", "--json"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()), "{output:?}");
    let status = document(&output);
    assert_valid("status", &status);
    let contract: Value = serde_json::from_str(include_str!("contract.json")).unwrap();
    has_shape(&contract, &status, "$");
    assert_eq!((&status["schema"], &status["environment"]), (&json!(1), &json!("demo")));

    let instance = &status["instances"][0];
    assert_eq!(instance["reachable"], true);
    // Without CloudWatch nobody knows these: not 0, and not left out.
    assert_eq!((&instance["cpu_percent"], &instance["free_storage_bytes"]), (&Value::Null, &Value::Null));
    assert_eq!(status["cost"]["cloudwatch_usd_per_hour"], Value::Null);
    assert!(instance["connections"].as_u64().unwrap() > 10 && instance["max_connections"] == 120, "{instance}");
    let sources: Vec<&str> =
        instance["sources"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(
        sources,
        [
            "activity",
            "databases",
            "roles",
            "churn",
            "debt",
            "sizes",
            "freeze",
            "vacuums",
            "replication",
            "horizon",
            "operations",
            "statements",
            "catalog",
            "bloat"
        ]
    );
    assert_eq!(instance["pooler"], Value::Null, "none is configured");
    // It sampled twice: rates are there.
    assert!(instance["transactions_per_second"].is_number(), "{instance}");

    let tenants = status["tenants"].as_array().unwrap();
    assert_eq!(tenants.len(), lab.roster().members.len());
    let estimable = |tenant: &Value| tenant["estimated"].as_array().unwrap().clone();
    for tenant in tenants {
        let id = tenant["id"].as_str().unwrap();
        let member = lab.roster().members.iter().find(|member| member.id.as_str() == id).unwrap();
        for share in ["active_time", "connections", "rows_written", "wal", "blocks_read"] {
            let value = &tenant["noise"][share];
            assert!(value.is_null() || (0.0..=1.0).contains(&value.as_f64().unwrap()), "{id} {share}: {value}");
        }
        assert!(tenant["noise_score"].as_f64().is_none_or(|score| (0.0..=100.0).contains(&score)), "{tenant}");
        assert_eq!((&tenant["schema"], &tenant["role"]), (&json!(member.schema), &json!(member.role)));
        if member.style == Style::OwnLogin {
            assert_eq!(tenant["limit_scope"], "tenant", "{tenant}");
        } else {
            assert_eq!(
                (&tenant["limit_scope"], &tenant["connection_limit"]),
                (&json!("service_account"), &Value::Null)
            );
        }
        let counted = &tenant["attribution"];
        let sum = counted["strong"].as_u64().unwrap() + counted["claimed"].as_u64().unwrap();
        assert_eq!(tenant["connections"].as_u64(), Some(sum), "{tenant}");
        for name in estimable(tenant) {
            assert!(!tenant[name.as_str().unwrap()].is_null(), "{name} is estimated and not there: {tenant}");
        }
    }
    assert!(tenants.iter().any(|tenant| tenant["noise"]["wal"].is_number()), "nobody's share of the WAL is known");
    let limited = tenants.iter().filter(|tenant| tenant["connection_limit"] == 40).count();
    assert!(limited > 5, "{limited} own logins with their limit");
    assert!(tenants.iter().all(|tenant| estimable(tenant).contains(&json!("size_bytes"))));
    assert!(tenants.iter().any(|tenant| tenant["findings"].as_array().unwrap().contains(&json!("lock-chain"))));
    assert!(tenants.iter().any(|tenant| tenant["suffers"].as_array().unwrap().contains(&json!("lock-chain"))));

    // For people: the same, in words, and nothing that a terminal would obey.
    let words = place.run(&["status"]);
    assert_eq!((words.status.code(), stderr(&words)), (Some(0), String::new()));
    let words = stdout(&words);
    assert!(words.contains("✖ CRIT") && words.contains("pg_terminate_backend") && !words.contains('\u{1b}'), "{words}");
}

fn watching_is_a_document_a_line(place: &Place) {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut watching = command(&["--config", &place.config, "status", "--watch", "--json"], &[], &place.folder);
        let mut child = watching.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut moments = Vec::new();
        for _ in 0..3 {
            let status: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            assert_valid("status", &status);
            moments.push(status["taken_at"].as_str().unwrap().to_owned());
        }
        assert!(moments.is_sorted() && moments[0] < moments[2], "{moments:?}");
        kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        // What was being written is written to its end.
        for line in lines {
            serde_json::from_str::<Value>(&line.unwrap()).unwrap();
        }
        assert_eq!(ended(&mut child, Duration::from_secs(5)).code(), Some(130), "{signal}");
    }
}

fn findings_decide_the_exit_code(place: &Place, lab: &Lab) {
    let output = place.run(&["findings", "--json"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()), "{output:?}");
    let found = document(&output);
    assert_valid("findings", &found);
    let chain = found["findings"].as_array().unwrap().iter().find(|it| it["signal"] == "lock-chain").unwrap();
    let (_, culprit) = &lab.cast()[0];
    assert_eq!(chain["culprits"], json!([culprit.as_str()]));
    assert!(chain["victims"].as_array().unwrap().len() >= 5, "{chain}");
    // Since when it is so comes from the server's own clock, not from when we began to look.
    let at = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(at(&chain["since"]) < at(&found["taken_at"]), "{chain}");
    for (least, code) in [("info", 1), ("warning", 1), ("critical", 1)] {
        assert_eq!(place.run(&["findings", "--fail-on", least]).status.code(), Some(code), "{least}");
    }
    // The same estate in the eyes of somebody who minds nothing of this; its configuration ends in its thresholds.
    let text = fs::read_to_string(&place.config).unwrap();
    let lenient = "lock_wait_seconds = { warning = \"50m\", critical = \"2h\" }\nlock_victims = 1000.0\n";
    let lenient = place.with("lenient.toml", &format!("{text}\n{lenient}"));
    let output = lenient.run(&["findings", "--fail-on", "critical"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let began = std::time::Instant::now();
    let output = lenient.run(&["findings", "--json", "--for", "5s", "--fail-on", "warning"]);
    assert!(began.elapsed() >= Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(output.status.code(), Some(1), "the login without a limit: {output:?}");
    assert_valid("findings", &document(&output));
}

fn a_reader_that_goes_is_no_trouble(place: &Place) {
    for arguments in [&["status", "--json"][..], &["status", "--watch", "--json"], &["findings"], &["doctor"], &["man"]]
    {
        let all = [&["--config", &place.config], arguments].concat();
        let mut reader = command(&all, &[], &place.folder);
        let mut child = reader.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut byte = [0];
        let mut out = child.stdout.take().unwrap();
        if arguments.contains(&"--watch") {
            out.read_exact(&mut byte).unwrap();
        }
        drop(out);
        let status = ended(&mut child, Duration::from_secs(20));
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(said.is_empty() && status.code().is_some(), "{arguments:?}: {status} {said}");
    }
    // Where nothing can be written that is said: an empty file must not look like a result.
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut lost = command(&["--config", &place.config, "status", "--json"], &[], &place.folder);
    let lost = lost.stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    assert!(!lost.status.success() && !lost.stderr.is_empty(), "{lost:?}");
}

async fn the_doctor_prescribes_what_helps(place: &Place, lab: &Lab, boss: &Client) {
    let output = tokio::task::block_in_place(|| place.run(&["doctor", "--json"]));
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()), "{output:?}");
    let report = document(&output);
    assert_valid("doctor", &report);
    assert_eq!((&report["healthy"], &report["components"][0]["login"]), (&json!(true), &json!("tierdeck")));

    boss.batch_execute(&format!("CREATE ROLE \"Half-blind\" LOGIN PASSWORD '{CANARY}'")).await.unwrap();
    let port = lab.instances()[0].port;
    let secret = place.folder.join("secret");
    fs::write(&secret, format!("{CANARY}\n")).unwrap();
    let blind = place.with(
        "blind.toml",
        &format!(
            "[[instance]]\nname = \"shared\"\nurl = \"postgresql://Half-blind@127.0.0.1:{port}/portarium?sslmode=disable\"\n\
             password = {{ file = \"{}\" }}\n",
            secret.display()
        ),
    );
    let (examined, words, status) = tokio::task::block_in_place(|| {
        (blind.run(&["doctor", "--json"]), blind.run(&["doctor"]), blind.run(&["status", "--json"]))
    });
    assert_eq!((examined.status.code(), words.status.code()), (Some(1), Some(1)), "{examined:?}");
    let report = document(&examined);
    assert_valid("doctor", &report);
    let checks = report["components"][0]["checks"].as_array().unwrap();
    let missing: Vec<&Value> = checks.iter().filter(|check| check["verdict"] == "missing").collect();
    assert_eq!(missing.len(), 1, "{missing:#?}");
    assert!(missing[0]["leaves_out"].as_array().unwrap().contains(&json!("noisy-neighbour")), "{missing:#?}");
    let fix = missing[0]["fix"].as_str().unwrap();
    assert_eq!(fix, "GRANT pg_monitor TO \"Half-blind\";");
    assert!(stdout(&words).contains(fix), "{words:?}");
    // What it cannot see is null, and unknown; never 0, never fine.
    let status = document(&status);
    assert_valid("status", &status);
    for tenant in status["tenants"].as_array().unwrap() {
        assert_eq!((&tenant["active"], &tenant["noise"]["active_time"]), (&Value::Null, &Value::Null), "{tenant}");
    }
    let unknown: Vec<&str> =
        status["unknown"].as_array().unwrap().iter().map(|unknown| unknown["signal"].as_str().unwrap()).collect();
    for signal in ["noisy-neighbour", "lock-chain", "long-running-query", "idle-in-transaction"] {
        assert!(unknown.contains(&signal), "{signal}: {unknown:?}");
    }

    boss.batch_execute(fix).await.unwrap();
    let output = tokio::task::block_in_place(|| blind.run(&["doctor", "--json"]));
    assert_eq!((output.status.code(), &document(&output)["healthy"]), (Some(0), &json!(true)), "{output:?}");
    what_is_left_out_has_a_statement_too(&blind, boss).await;
}

/// What `pg_monitor` does not show, and what a setting of our own hides: each prescription is run, and helps.
async fn what_is_left_out_has_a_statement_too(blind: &Place, boss: &Client) {
    let check = |name: &str| {
        let report = document(&tokio::task::block_in_place(|| blind.run(&["doctor", "--json"])));
        assert_valid("doctor", &report);
        let checks = report["components"][0]["checks"].as_array().unwrap().clone();
        checks.into_iter().find(|check| check["name"] == name).unwrap()
    };
    // The estate's own sequences are so long that nobody asks how far they are.
    boss.batch_execute("CREATE SEQUENCE platform.short AS smallint").await.unwrap();
    boss.batch_execute("ALTER ROLE \"Half-blind\" SET statement_timeout = '3s'").await.unwrap();
    for (name, signal, fix) in [
        ("sequences", "sequence-exhaustion", "GRANT pg_read_all_data TO \"Half-blind\";"),
        ("settings", "limit-missing", "ALTER ROLE \"Half-blind\" RESET statement_timeout;"),
    ] {
        let ill = check(name);
        assert_eq!((&ill["verdict"], &ill["fix"]), (&json!("warning"), &json!(fix)), "{ill}");
        assert!(ill["leaves_out"].as_array().unwrap().contains(&json!(signal)), "{ill}");
        boss.batch_execute(fix).await.unwrap();
        let well = check(name);
        assert_eq!((&well["verdict"], &well["fix"]), (&json!("fine"), &Value::Null), "{well}");
    }
}

/// A password from a file, from the environment, from `PGPASSWORD`, and a wrong one: in no output, on no command line.
fn secrets_stay_secret(place: &Place, lab: &Lab) {
    let port = lab.instances()[0].port;
    let url = |user: &str| format!("postgresql://{user}@127.0.0.1:{port}/portarium?sslmode=disable");
    let entry =
        |user: &str, password: &str| format!("[[instance]]\nname = \"shared\"\nurl = \"{}\"\n{password}", url(user));
    let file = format!("password = {{ file = \"{}\" }}\n", place.folder.join("secret").display());
    let configs = [
        place.with("file.toml", &entry("Half-blind", &file)),
        place.with("env.toml", &entry("Half-blind", "password = { env = \"CANARY\" }\n")),
        place.with("libpq.toml", &entry("Half-blind", "")),
        place.with("refused.toml", &entry("tierdeck", "password = { env = \"CANARY\" }\n")),
        place.with("url.toml", &entry("tierdeck:canary-Z7%20quite%2Fsecret%40", "")),
    ];
    let commands: [&[&str]; 7] = [
        &["status", "--json"],
        &["status"],
        &["findings"],
        &["doctor"],
        &["doctor", "--json"],
        &["config", "show"],
        &["config", "check"],
    ];
    for config in &configs {
        let children = commands.map(|arguments| {
            let all = [&["--config", &config.config], arguments].concat();
            let mut child = command(&all, &[("CANARY", CANARY), ("PGPASSWORD", CANARY)], &config.folder);
            child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        });
        for child in children {
            let arguments = fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
            let output = child.wait_with_output().unwrap();
            for text in [&arguments, &output.stdout, &output.stderr] {
                let text = String::from_utf8_lossy(text);
                assert!(!text.contains("canary-Z7"), "{}: {text}", config.config);
            }
        }
    }
    // Where the password is right it was really used.
    for config in &configs[..3] {
        let all = ["--config", &config.config, "doctor"];
        let output = run(&all, &[("CANARY", CANARY), ("PGPASSWORD", CANARY)], &config.folder);
        assert_eq!(output.status.code(), Some(0), "{}: {output:?}", config.config);
    }
    // Neither does the estate show what it made up.
    let instance = &lab.instances()[0];
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        for login in ["rdsadmin", "portarium_admin", "portarium_shared", "tierdeck"] {
            assert!(!line.contains(instance.password(login).unwrap().expose_secret()), "{login}");
        }
    }
}

fn what_is_not_there_is_said(place: &Place) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgresql://tierdeck@127.0.0.1:{port}/portarium?sslmode=disable");
    let gone = place.with("gone.toml", &format!("[[instance]]\nname = \"shared\"\nurl = \"{url}\"\n"));
    let output = gone.run(&["status", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let status = document(&output);
    assert_valid("status", &status);
    let instance = &status["instances"][0];
    assert_eq!((&instance["reachable"], &instance["connections"]), (&json!(false), &Value::Null), "{instance}");
    assert_eq!(status["findings"][0]["signal"], "unreachable", "{status}");
    assert!(status["unknown"].as_array().unwrap().len() > 5, "{status}");
    assert_eq!(gone.run(&["findings", "--fail-on", "critical"]).status.code(), Some(1));
    let doctor = gone.run(&["doctor", "--json"]);
    assert_eq!(doctor.status.code(), Some(1), "{doctor:?}");
    assert_valid("doctor", &document(&doctor));
}
