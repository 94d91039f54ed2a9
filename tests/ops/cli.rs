//! The commands as scripts meet them: the real binary, exit codes, what it prints, and what it leaves.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tierdeck::clients::vault::{Expected, Fields};

use super::tenancy::Town;
use super::world::{ADMIN, World, key_of};
use crate::support::bao::ROOT;
use crate::support::watcher::{SECRET, session};

pub struct Desk {
    pub home: TempDir,
}

impl Desk {
    pub fn new(world: &World) -> Self {
        let home = tempfile::tempdir().unwrap();
        let secret = home.path().join("secret");
        fs::write(&secret, SECRET).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let port = world.server.port;
        let text = format!(
            "environment = \"test\"\n\n[[instance]]\nname = \"shared\"\nurl = \"postgresql://tierdeck@127.0.0.1:{port}/portarium?sslmode=disable\"
password = {{ file = \"secret\" }}\nadmin = {{ user = \"{ADMIN}\", password = {{ file = \"secret\" }} }}\n"
        );
        fs::write(home.path().join("tierdeck.toml"), text).unwrap();
        Self { home }
    }

    /// Where its configuration is.
    pub fn config(&self) -> String {
        self.home.path().join("tierdeck.toml").display().to_string()
    }

    /// With a Vault, whose token lies in a file; the admin's password lies in Vault.
    fn with_vault(world: &World, address: &str) -> Self {
        let desk = Self::new(world);
        let token = desk.home.path().join(".vault-token");
        fs::write(&token, ROOT).unwrap();
        let path = desk.home.path().join("tierdeck.toml");
        let text = fs::read_to_string(&path).unwrap().replace(
            &format!("user = \"{ADMIN}\", password = {{ file = \"secret\" }}"),
            &format!("user = \"{ADMIN}\", password = {{ vault = \"tierdeck/shared#password\" }}"),
        );
        let more = format!(
            "\n[policy.shared]\nconnection_limit = 40\nstatement_timeout = \"30s\"\n\n[vault]\naddress = \"{address}\"\n"
        );
        fs::write(&path, text + &more).unwrap();
        desk
    }

    pub fn run(&self, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tierdeck"));
        command.args(line.split_whitespace()).env_clear().env("HOME", self.home.path()).current_dir(self.home.path());
        command.env("TIERDECK_STATE", self.home.path().join("state")).stdin(Stdio::null());
        command.output().unwrap()
    }

    #[track_caller]
    pub fn says(&self, line: &str, code: i32) -> (String, String) {
        let output = self.run(line);
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(code), "{line}\n{out}\n{err}");
        assert!(!out.contains(SECRET) && !err.contains(SECRET), "{line}");
        (out, err)
    }

    #[track_caller]
    fn document(&self, line: &str) -> Value {
        serde_json::from_str(&self.says(line, 0).0).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn throttle_list_show_roll_back_report_verify() {
    let world = World::start().await;
    let desk = Desk::new(&world);
    let start = world.settled().await;
    assert!(desk.says("ops list", 0).0.contains("there are no operations"));
    assert!(desk.says("audit verify", 0).0.contains("0 lines"));
    let (text, _) = desk.says("act throttle acme --connections 7 --plan", 0);
    assert!(text.contains("CONNECTION LIMIT 7;") && text.contains("type acme"), "{text}");
    let plan = desk.document("act throttle acme --connections 7 --plan --json");
    assert_eq!(plan["plan"]["confirm"], "acme");
    assert!(plan["text"].as_str().unwrap().ends_with(&format!("sha256      {}\n", plan["sha256"].as_str().unwrap())));
    // Read-only; not approved; wrongly approved; no such tenant; no such thing.
    assert!(desk.says("act throttle acme --confirm acme", 3).1.contains("--allow-actions"));
    assert!(desk.says("--allow-actions act throttle acme", 2).1.contains("--confirm acme"));
    assert!(desk.says("--allow-actions act throttle acme --confirm globex", 3).1.contains("nothing was done"));
    assert!(desk.says("--allow-actions act throttle initech --confirm initech", 3).1.contains("no login of its own"));
    assert!(desk.says("--allow-actions act throttle Acme --confirm Acme", 2).1.contains("lower-case"));
    assert!(desk.says("--allow-actions act unthrottle acme", 3).1.contains("no throttle of acme"));
    assert_eq!(world.settled().await, start);
    assert!(!desk.home.path().join("state/operations").exists());

    let (out, err) = desk.says("--allow-actions act throttle acme --connections 7 --confirm acme", 0);
    assert!(
        out.contains(" succeeded: throttle acme on shared") && out.contains("to undo it: tierdeck ops rollback"),
        "{out}"
    );
    assert!(err.contains("step 1 done, and verified"), "{err}");
    assert!(world.settled().await.contains("role_acme | t | 7 |"));
    let list = desk.document("ops list --json");
    let id = list["operations"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&list["operations"][0]["state"], &list["operations"][0]["can_roll_back"]),
        (&"succeeded".into(), &true.into())
    );
    assert!(desk.says(&format!("ops show {id}"), 0).0.contains("sha256"));
    assert_eq!(desk.document(&format!("ops report {id} --json"))["steps"][0]["before"]["connections"], 40);
    assert!(desk.says(&format!("ops report {id}"), 0).0.contains("## What happened"));
    assert_eq!(desk.says("ops show 261122-081033-aaaa", 2).0, "");
    desk.says("ops show nonsense", 2);
    assert!(desk.says(&format!("ops rollback {id}"), 3).1.contains("--allow-actions"));
    assert!(desk.says(&format!("--allow-actions ops abandon {id} --confirm x"), 3).1.contains("not approved"));
    // The plan of an undo is shown, and changes nothing; nor does what was not approved, or is meant for another instance.
    let (out, _) = desk.says("--allow-actions act unthrottle acme --plan", 0);
    assert!(out.contains("ALTER ROLE \"role_acme\" CONNECTION LIMIT 40;") && out.contains("type acme"), "{out}");
    assert_eq!(desk.document("act unthrottle acme --plan --json")["operation"], id.as_str());
    assert!(desk.says("--allow-actions act unthrottle acme", 2).1.contains("--confirm acme"));
    assert!(desk.says("--allow-actions act unthrottle acme --confirm globex", 3).1.contains("nothing was done"));
    assert!(
        desk.says("--allow-actions act unthrottle acme --confirm acme --instance other", 2).1.contains("\"other\"")
    );
    assert!(desk.says("act unthrottle acme --confirm acme", 3).1.contains("--allow-actions"));
    assert!(world.settled().await.contains("role_acme | t | 7 |"));
    let (out, _) = desk.says("--allow-actions act unthrottle acme --confirm acme", 0);
    assert!(out.contains("rolled back"), "{out}");
    assert_eq!(world.settled().await, start);
    assert!(desk.says(&format!("--allow-actions ops rollback {id}"), 3).1.contains("is over"));
    let (out, _) = desk.says("audit verify", 0);
    assert!(out.contains("4 lines") && out.contains("the control database knows the same"), "{out}");
    // Somebody cut the end off.
    let path = desk.home.path().join("state/audit.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    fs::write(&path, format!("{}\n{}\n", lines[0], lines[1])).unwrap();
    assert!(desk.says("audit verify", 1).1.contains("knows a line 3"));
    // Nor does writing on hide it: the next line is known as another one, and what cannot be trusted is not acted by.
    let (_, err) = desk.says("--allow-actions act throttle acme --connections 9 --confirm acme", 4);
    assert!(err.contains("line 3 of the audit log is not the one"), "{err}");
    assert_eq!(world.settled().await, start);
    let id = desk.document("ops list --json")["operations"][0]["id"].as_str().unwrap().to_owned();
    fs::write(&path, &text).unwrap();
    assert!(desk.says(&format!("--allow-actions ops rollback {id} --confirm acme"), 0).0.contains("rolled back"));
    // Taken away, it is missed.
    fs::remove_file(&path).unwrap();
    assert!(desk.says("audit verify", 1).1.contains("which is not here"));
    fs::write(&path, &text).unwrap();
    fs::write(&path, text.replacen("LIMIT 7", "LIMIT 8", 1)).unwrap();
    assert!(desk.says("audit verify --offline", 1).1.contains("line 1"));
    assert!(desk.says("--allow-actions act throttle acme --confirm acme", 4).1.contains("audit log"));
    assert_eq!(world.settled().await, start, "what cannot be written down is not done");
    // The password of the admin is nowhere: not in what was written here, not in what the server heard or keeps.
    let mut searched = 0;
    let mut folders = vec![desk.home.path().join("state")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                assert!(!fs::read_to_string(&path).unwrap().contains(SECRET), "{}", path.display());
                searched += 1;
            }
        }
    }
    assert!(searched >= 2);
    let kept = "SELECT count(*) FROM tierdeck.journal WHERE line LIKE '%' || $$a secret that$$ || '%'";
    assert_eq!(world.number(kept).await, 0);
}

/// A disk that is full, at whatever byte: what could not be written is not done, and the journal stays one that can be gone on with.
#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_cannot_be_written_is_gone_on_with_later() {
    let world = World::start().await;
    let desk = Desk::new(&world);
    let start = world.settled().await;
    let line = "--allow-actions act throttle acme --connections 7 --confirm acme";
    let newest = || desk.document("ops list --json")["operations"][0]["id"].as_str().map(str::to_owned);
    desk.says(line, 0);
    let id = newest().unwrap();
    let journal = fs::read_to_string(desk.home.path().join(format!("state/operations/{id}.jsonl"))).unwrap();
    desk.says(&format!("--allow-actions ops rollback {id} --confirm acme"), 0);
    let (header, whole) = (journal.find('\n').unwrap() + 1, journal.len());
    let (mut tried, mut stopped, mut refused) = (0, 0, 0);
    for limit in (header - 200..whole).step_by(111) {
        // Each time from the beginning: the audit log grows too.
        fs::remove_dir_all(desk.home.path().join("state")).unwrap();
        world.forget().await;
        // Past the limit a write fails, as on a full disk, half of it done.
        let script = format!("trap '' XFSZ; exec prlimit --fsize={limit} '{}' {line}", env!("CARGO_BIN_EXE_tierdeck"));
        let mut command = Command::new("bash");
        command.args(["-c", &script]).env_clear().env("HOME", desk.home.path()).env("PATH", "/usr/bin:/bin");
        command.env("TIERDECK_STATE", desk.home.path().join("state")).current_dir(desk.home.path());
        let output = command.stdin(Stdio::null()).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        tried += 1;
        match (output.status.code(), newest()) {
            (Some(3), None) => refused += 1,
            (Some(4), Some(id)) => {
                assert!(err.contains("cannot write"), "{limit}: {err}");
                desk.says(&format!("--allow-actions ops resume {id}"), 0);
                assert!(world.settled().await.contains("role_acme | t | 7 |"), "{limit}: {err}");
                desk.says(&format!("--allow-actions ops rollback {id} --confirm acme"), 0);
                world.nothing_is_held().await;
                stopped += 1;
            }
            other => panic!("{limit} of {whole}: {other:?}: {err}"),
        }
        assert_eq!(world.settled().await, start, "{limit}: {err}");
    }
    println!("full disks: {tried} tried, {refused} refused before anything, {stopped} stopped and gone on with");
    assert!(stopped > 3 && refused > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn terminate_from_a_script() {
    let world = World::start().await;
    let desk = Desk::new(&world);
    let victim = session(world.server.port, "role_acme", "portarium").await;
    let key = key_of(&victim).await;
    let aim = format!("act terminate --pid {} --started {} --tenant acme", key.pid, key.started);
    assert!(desk.says(&aim, 3).1.contains("read-only"));
    let wrong = format!("--allow-actions act terminate --pid {} --started 2020-01-01T00:00:00Z", key.pid);
    assert!(desk.says(&wrong, 3).1.contains("the pid is another's"));
    let (out, _) = desk.says(&format!("--allow-actions {aim} --confirm {}", key.pid), 0);
    assert!(out.contains("terminate 1 session on shared, of acme"), "{out}");
    assert!(victim.batch_execute("SELECT 1").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_comes_and_goes_by_the_command_line() {
    let town = Town::start().await;
    let home = tempfile::tempdir().unwrap();
    let desk = Desk::with_vault(&town.world, &town.stand.url());
    let vault = town.vault(home.path());
    // Not there yet: said as what it is, and nothing is done.
    assert!(desk.says("provision hooli --plan", 3).1.contains("there is no tierdeck/shared#password in Vault"));
    let fields = Fields::default().with("password", SECRET);
    vault.write("tierdeck/shared", &fields, Expected::Nothing).await.unwrap();
    let start = town.image(home.path()).await;
    for (line, code, words) in [
        ("provision Hooli --plan", 2, "lower-case letters"),
        ("provision ab --plan", 2, "3 to 63 characters"),
        ("provision a--b --plan", 3, "two hyphens in a row"),
        ("provision ../x --plan", 2, "cannot stand there"),
        ("provision acme --plan", 3, "there is a schema tenant_acme"),
        ("provision hooli --tier dedicated --plan", 2, "on the shared tier"),
        ("provision hooli --confirm hooli", 3, "--allow-actions"),
        ("--allow-actions provision hooli --confirm holi", 3, "nothing was done"),
        ("deprovision hooli --plan", 3, "has no schema tenant_hooli"),
    ] {
        let (_, err) = desk.says(line, code);
        assert!(err.contains(words), "{line}: {err}");
    }
    assert_eq!(town.image(home.path()).await, start);
    let plan = desk.document("provision hooli --login own --plan --json");
    assert!(plan["text"].as_str().unwrap().contains("SET statement_timeout = '30000ms'"));
    let (out, _) = desk.says("--allow-actions provision hooli --login own --confirm hooli", 0);
    assert!(out.contains("succeeded: provision hooli on shared, which works as role_hooli"), "{out}");
    let secret = vault.read("tenants/hooli/db").await.unwrap().unwrap();
    assert_eq!(secret.fields.text("host").as_deref(), Some("127.0.0.1"));
    let password = secret.fields.text("password").unwrap();
    let doctor: Value = serde_json::from_slice(&desk.run("doctor --json").stdout).unwrap();
    let component = |kind: &str| {
        doctor["components"]
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["kind"] == kind)
            .unwrap_or_else(|| panic!("{doctor:#}"))
    };
    let (known, admin) = (component("vault"), component("admin"));
    assert!(known["reachable"] == true && known["login"] == "root", "{known:#}");
    let verdicts: Vec<&Value> = admin["checks"].as_array().unwrap().iter().map(|check| &check["verdict"]).collect();
    assert!(verdicts.len() == 6 && verdicts.iter().all(|verdict| *verdict == "fine"), "{admin:#}");
    let gone = desk.document("deprovision hooli --plan --json");
    assert!(gone["text"].as_str().unwrap().contains("pg_dump"), "{gone:#}");
    let (out, err) = desk.says("--allow-actions deprovision hooli --confirm hooli", 0);
    assert!(out.contains("succeeded: deprovision hooli"), "{out}");
    assert!(!out.contains(&password) && !err.contains(&password));
    assert!(vault.read("tenants/hooli/db").await.unwrap().is_none());
    let refused = desk.says("provision hooli --plan", 3).1;
    assert!(refused.contains("(version 1, deleted)") && refused.contains("vault kv metadata delete"), "{refused}");
}
