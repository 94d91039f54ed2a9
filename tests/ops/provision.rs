//! A tenant's place is made, and removed: what is there afterwards, what is refused, what nobody ever reads.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tierdeck::clients::vault::{Expected, Fields};
use tierdeck::ops::act::Intent;
use tierdeck::ops::deprovision::Deprovisioning;
use tierdeck::ops::provision::Provisioning;
use tierdeck::ops::report::Report;
use tierdeck::ops::{Ended, Operations, OpsError, TakeOver, Way};
use tokio_postgres::{Client, Config, NoTls};

use super::tenancy::{Town, by_hand, deprovision, limits, promised, provision};
use super::world::{ADMIN, new_id, shared, tenant};
use crate::support::bao::ROOT;
use crate::support::watcher::{SECRET, session};

async fn refusal(operations: &Operations, intent: &Intent) -> String {
    match operations.plan(intent, new_id()).await {
        Err(error @ OpsError::Refused(_)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Logs in with what a secret says, as a pod does.
async fn pod(town: &Town, fields: &Fields) -> Result<Client, tokio_postgres::Error> {
    let text = |name: &str| fields.text(name).unwrap();
    let mut config = Config::new();
    let password = fields.text("password").unwrap_or_else(|| SECRET.to_owned());
    config.host("127.0.0.1").port(town.world.server.port).user(text("username")).password(password);
    config.dbname(text("database"));
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Everything that the children of this process show of themselves, until it is told to stop.
fn watch_processes(stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<BTreeSet<Vec<u8>>> {
    let stop = Arc::clone(stop);
    let own = std::process::id();
    std::thread::spawn(move || {
        let mut seen = BTreeSet::new();
        while !stop.load(Ordering::SeqCst) {
            for entry in fs::read_dir("/proc").unwrap().flatten() {
                let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
                let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
                let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse::<u32>().ok());
                if pid == own || parent == Some(own) {
                    for file in ["cmdline", "environ"] {
                        seen.extend(fs::read(entry.path().join(file)).ok());
                    }
                }
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        seen
    })
}

fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

fn has(text: &[u8], canary: &str) -> bool {
    text.windows(canary.len()).any(|window| window == canary.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_a_login_of_its_own_is_made_works_and_is_unmade() {
    let town = Town::start().await;
    let home = tempfile::tempdir().unwrap();
    let operations = town.machine(home.path(), "laptop").quiet();
    let start = town.image(home.path()).await;
    let plan = operations.plan(&provision("hooli", true), new_id()).await.unwrap();
    let text = plan.text();
    for words in [
        "provision hooli on shared, which works as role_hooli",
        "CREATE ROLE \"role_hooli\" NOLOGIN CONNECTION LIMIT 40;",
        "FOR ROLE \"role_hooli\" IN SCHEMA \"tenant_hooli\"",
        &format!("PASSWORD '<SCRAM verifier of secret/tierdeck/operations/{}#password>';", plan.id),
        "vault kv put -mount=secret -cas=0 tenants/hooli/db database=portarium host=db.internal password=<secret/tierdeck",
        "vault kv metadata put -mount=secret -custom-metadata=",
        "undone by",
        "type hooli",
    ] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    assert_eq!(town.image(home.path()).await, start, "a plan changes nothing");
    assert_eq!(operations.start(&plan, "hooli").await.unwrap(), Ended::Succeeded);

    // What the server was told is the plan's text, with a verifier where it says so.
    let told = town.world.logged(&plan.id.application_name());
    let promised: Vec<String> = promised(&plan).into_iter().filter(|line| !line.starts_with("vault ")).collect();
    let place = format!("'<SCRAM verifier of secret/tierdeck/operations/{}#password>'", plan.id);
    let told: Vec<String> = told
        .iter()
        .map(|sql| match sql.split_once("'SCRAM-SHA-256$") {
            Some((before, after)) => format!("{before}{place}{}", after.split_once('\'').unwrap().1),
            None => sql.clone(),
        })
        .collect();
    let sent: Vec<&String> = told.iter().filter(|sql| promised.contains(sql)).collect();
    assert_eq!(sent, promised.iter().collect::<Vec<_>>());
    let engine =
        ["BEGIN", "COMMIT", "SELECT current_setting(", "SELECT pg_try_advisory_lock", "SELECT 1 FROM tierdeck.op"];
    let other: Vec<&String> = told
        .iter()
        .filter(|sql| !promised.contains(sql) && !engine.iter().any(|begin| sql.starts_with(begin)))
        .collect();
    assert!(other.is_empty(), "{other:?}");

    // It works: as the pod reads it, and nobody else.
    let vault = town.vault(home.path());
    let secret = vault.read("tenants/hooli/db").await.unwrap().unwrap();
    assert_eq!(secret.version, 1);
    assert_eq!(secret.custom["tierdeck-operation"], plan.id.to_string());
    assert_eq!(vault.list("tierdeck/operations").await.unwrap(), [""; 0], "the passing secret is gone");
    let hooli = pod(&town, &secret.fields).await.unwrap();
    hooli
        .batch_execute("CREATE TABLE orders (id serial PRIMARY KEY, total int); INSERT INTO orders (total) VALUES (1)")
        .await
        .unwrap();
    let at: String = hooli
        .query_one("SELECT 'orders'::regclass::text || current_setting('statement_timeout')", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(at, "orders30s", "the search path is its own");
    let shared_account = session(town.world.server.port, "portarium_shared", "portarium").await;
    shared_account
        .batch_execute(
            "INSERT INTO tenant_hooli.orders (total) VALUES (2); DELETE FROM tenant_hooli.orders WHERE total = 1",
        )
        .await
        .unwrap();
    let admin = session(town.world.server.port, ADMIN, "portarium").await;
    admin.batch_execute("CREATE TABLE tenant_hooli.by_admin (id int)").await.unwrap();
    shared_account.batch_execute("INSERT INTO tenant_hooli.by_admin VALUES (1)").await.unwrap();
    let acme = session(town.world.server.port, "role_acme", "portarium").await;
    for sql in ["SELECT * FROM tenant_hooli.orders", "CREATE TABLE tenant_hooli.x ()"] {
        assert_eq!(acme.batch_execute(sql).await.unwrap_err().code().unwrap().code(), "42501", "{sql}");
    }
    assert!(hooli.batch_execute("SELECT * FROM tenant_acme.orders").await.is_err());
    // Made once more it is refused, and says by whom it was made.
    let again = refusal(&operations, &provision("hooli", true)).await;
    assert!(again.contains("there is a schema tenant_hooli (tenant hooli, made by tierdeck operation"), "{again}");
    assert!(again.contains("secret/tenants/hooli/db (version 1); it is never overwritten"), "{again}");
    // With something in it, it is not unmade.
    match operations.go_on(&plan.id, Way::Back, TakeOver::No).await {
        Err(error @ OpsError::InTheWay { .. }) => {
            assert!(error.to_string().contains("deprovision the tenant instead"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    town.world.boss.batch_execute("DROP TABLE tenant_hooli.orders, tenant_hooli.by_admin").await.unwrap();
    assert_eq!(operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
    drop((hooli, shared_account, admin, acme));
    town.world
        .until_zero("SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'role%' OR usename = 'portarium_shared'")
        .await;
    assert_eq!(town.image(home.path()).await, start);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_of_the_service_account_is_made_without_any_password() {
    let town = Town::start().await;
    let home = tempfile::tempdir().unwrap();
    let operations = town.machine(home.path(), "laptop").quiet();
    let plan = operations.plan(&provision("hooli", false), new_id()).await.unwrap();
    assert_eq!(plan.steps.len(), 4, "{}", plan.text());
    assert!(plan.text().contains("bind nobody until it has a login of its own"));
    assert_eq!(operations.start(&plan, "hooli").await.unwrap(), Ended::Succeeded);
    let secret = town.vault(home.path()).read("tenants/hooli/db").await.unwrap().unwrap();
    let names: Vec<&str> = secret.fields.names().collect();
    assert_eq!(names, ["database", "host", "port", "schema", "username"]);
    assert_eq!(secret.fields.text("username").as_deref(), Some("portarium_shared"));
    pod(&town, &secret.fields).await.unwrap();
    assert!(town.world.settled().await.contains("role_hooli | f | 40 |"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_or_is_in_the_way_is_refused_before_anything_is_touched() {
    let town = Town::start().await;
    let home = tempfile::tempdir().unwrap();
    let operations = town.machine(home.path(), "laptop").quiet();
    let boss = &town.world.boss;
    // Ids: what the id itself forbids never becomes an intent at all.
    for bad in
        ["Acme", "ab", "a;drop", "a'b", "../x", "a$(id)", "acme\u{2010}eu", "аcme", "-ab", "ab-", &"a".repeat(64)]
    {
        assert!(tierdeck::domain::TenantId::parse(bad).is_err(), "{bad}");
    }
    let long = "a".repeat(57);
    for (id, words) in [
        (long.as_str(), "would have 64 bytes"),
        (&"b".repeat(46), "RDS takes 63"),
        ("a--b", "two hyphens"),
        ("9lives", "begins with a digit"),
        ("tierdeck-x", "are ours"),
        ("acme", "there is a schema tenant_acme that does not bear our mark of role_acme"),
    ] {
        let said = refusal(&operations, &provision(id, true)).await;
        assert!(said.contains(words), "{id}: {said}");
    }
    assert!(operations.plan(&provision(&"b".repeat(45), true), new_id()).await.is_ok());
    boss.batch_execute("CREATE ROLE role_hooli").await.unwrap();
    assert!(
        refusal(&operations, &provision("hooli", true)).await.contains("a role role_hooli that does not bear our mark")
    );
    boss.batch_execute("DROP ROLE role_hooli; CREATE SCHEMA tenant_hooli").await.unwrap();
    assert!(refusal(&operations, &provision("hooli", true)).await.contains("that does not bear our mark of postgres"));
    boss.batch_execute("DROP SCHEMA tenant_hooli").await.unwrap();
    let vault = town.vault(home.path());
    vault.write("tenants/hooli/db", &by_hand("tenant_hooli"), Expected::Nothing).await.unwrap();
    assert!(refusal(&operations, &provision("hooli", true)).await.contains("(version 1); it is never overwritten"));
    vault.delete("tenants/hooli/db", 1).await.unwrap();
    let said = refusal(&operations, &provision("hooli", true)).await;
    assert!(said.contains("(version 1, deleted)") && said.contains("vault kv metadata delete"), "{said}");
    vault.remove("tenants/hooli/db").await.unwrap();
    // Not enough rights: with the words that help.
    boss.batch_execute(&format!("ALTER ROLE {ADMIN} NOCREATEROLE")).await.unwrap();
    assert!(refusal(&operations, &provision("hooli", true)).await.contains("ALTER ROLE portarium_admin CREATEROLE"));
    boss.batch_execute(&format!("ALTER ROLE {ADMIN} CREATEROLE; ALTER ROLE portarium_shared RENAME TO gone"))
        .await
        .unwrap();
    assert!(refusal(&operations, &provision("hooli", true)).await.contains("no service account portarium_shared"));
    boss.batch_execute("ALTER ROLE gone RENAME TO portarium_shared").await.unwrap();
    // It comes between plan and start: refused with what changed.
    let plan = operations.plan(&provision("hooli", true), new_id()).await.unwrap();
    boss.batch_execute("CREATE ROLE role_hooli").await.unwrap();
    let start = town.image(home.path()).await;
    let refused = operations.start(&plan, "hooli").await.unwrap_err();
    assert!(refused.is_refusal() && refused.to_string().contains("a role role_hooli"), "{refused}");
    assert_eq!(town.image(home.path()).await, start);
    boss.batch_execute("DROP ROLE role_hooli").await.unwrap();
    // Wrong id, read-only.
    let plan = operations.plan(&provision("hooli", true), new_id()).await.unwrap();
    assert!(matches!(operations.start(&plan, "holi").await, Err(OpsError::Shut(_))));
    let shut = town.machine(home.path(), "laptop").operations(false, |_| {});
    assert!(matches!(shut.start(&plan, "hooli").await, Err(OpsError::Shut(_))));
    // No Vault: said, and what can be done without.
    let without = town.world.machine(&home, "without").quiet();
    let error = without.plan(&provision("hooli", true), new_id()).await.unwrap_err();
    assert!(error.is_refusal() && error.to_string().contains("there is no Vault"), "{error}");
    let bare = Provisioning {
        tenant: tenant("hooli"),
        instance: shared(),
        own_login: false,
        limits: limits(),
        creators: Vec::new(),
        address: None,
    };
    assert!(
        without.plan(&Intent::Provision(bare.clone()), new_id()).await.unwrap().text().contains("no secret is written")
    );
    let odd = Provisioning { own_login: true, ..bare };
    assert!(refusal(&without, &Intent::Provision(odd)).await.contains("needs a secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_writes_the_secret_first_and_it_is_left_as_it_is() {
    let town = Town::start().await;
    let home = tempfile::tempdir().unwrap();
    let vault = town.vault(home.path());
    let start = town.image(home.path()).await;
    let machine = town.machine(home.path(), "laptop");
    let pausing = machine.quiet();
    pausing.pause.store(true, Ordering::SeqCst);
    let plan = pausing.plan(&provision("hooli", false), new_id()).await.unwrap();
    assert!(matches!(pausing.start(&plan, "hooli").await.unwrap(), Ended::Paused(_)));
    vault.write("tenants/hooli/db", &by_hand("tenant_hooli"), Expected::Nothing).await.unwrap();
    // Nothing was begun, so the plan is made again; it stands in the way.
    let refused = machine.quiet().go_on(&plan.id, Way::Forward, TakeOver::No).await.unwrap_err();
    assert!(refused.is_refusal() && refused.to_string().contains("never overwritten"), "{refused}");
    vault.remove("tenants/hooli/db").await.unwrap();
    assert_eq!(town.image(home.path()).await, start);
    // Between two steps.
    let (path, writer) = ("tenants/hooli/db", Arc::clone(&vault));
    let handle = tokio::runtime::Handle::current();
    let operations = machine.operations(true, move |it| {
        if matches!(it, tierdeck::ops::Progress::Effect { step: 1 }) {
            let writer = Arc::clone(&writer);
            tokio::task::block_in_place(|| {
                handle.block_on(writer.write(path, &by_hand("tenant_hooli"), Expected::Nothing)).unwrap();
            });
        }
    });
    let plan = operations.plan(&provision("hooli", false), new_id()).await.unwrap();
    match operations.start(&plan, "hooli").await {
        Ok(Ended::Paused(why)) => assert!(why.contains("that this operation did not write"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(vault.read(path).await.unwrap().unwrap().fields, by_hand("tenant_hooli"));
    assert_eq!(machine.quiet().go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
    assert_eq!(vault.read(path).await.unwrap().unwrap().fields, by_hand("tenant_hooli"), "somebody else's stays");
    vault.remove(path).await.unwrap();
    assert_eq!(town.image(home.path()).await, start);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_anywhere_but_in_vault() {
    let town = Town::start().await;
    let home = tempfile::tempdir().unwrap();
    let operations = town.machine(home.path(), "laptop").quiet();
    let stop = Arc::new(AtomicBool::new(false));
    let watching = watch_processes(&stop);
    let plan = operations.plan(&provision("hooli", true), new_id()).await.unwrap();
    let mut written = vec![("plan".to_owned(), plan.text().into_bytes())];
    assert_eq!(operations.start(&plan, "hooli").await.unwrap(), Ended::Succeeded);
    let secret = town.vault(home.path()).read("tenants/hooli/db").await.unwrap().unwrap();
    let password = secret.fields.text("password").unwrap();
    assert_eq!(password.len(), 32);
    let hooli = pod(&town, &secret.fields).await.unwrap();
    // Large enough for the export to be seen at work.
    hooli
        .batch_execute("CREATE TABLE large AS SELECT i, md5(i::text) FROM generate_series(1, 200000) i")
        .await
        .unwrap();
    drop(hooli);
    let gone = operations.plan(&deprovision("hooli"), new_id()).await.unwrap();
    assert_eq!(operations.start(&gone, "hooli").await.unwrap(), Ended::Succeeded);
    for id in [&plan.id, &gone.id] {
        let story = operations.story(id).await.unwrap();
        let report = Report::of(&story);
        written.push((format!("report {id}"), report.markdown().into_bytes()));
        written.push((format!("lines {id}"), story.lines().join("\n").into_bytes()));
        written.push((format!("debug {id}"), format!("{story:?}").into_bytes()));
    }
    stop.store(true, Ordering::SeqCst);
    let processes = watching.join().unwrap();
    let dumping = processes.iter().any(|shown| has(shown, "pg_dump") && has(shown, "--schema="));
    assert!(dumping, "the export was never seen at work: {} glances", processes.len());
    let environments = processes.iter().any(|shown| has(shown, "PGPASSFILE=/dev/stdin"));
    assert!(environments, "nor was its environment");
    written.extend(processes.into_iter().map(|shown| ("a process".to_owned(), shown)));
    files(home.path(), &mut written);
    let rows = town.world.boss.query("SELECT line FROM tierdeck.journal", &[]).await.unwrap();
    written.extend(rows.iter().map(|row| ("mirrored".to_owned(), row.get::<_, String>(0).into_bytes())));
    let log = town.world.server.log();
    assert!(log.contains("SCRAM-SHA-256$"), "the server did log what it was told");
    written.push(("the server's log".to_owned(), log.into_bytes()));
    let mut searched = 0;
    for (what, text) in &written {
        for canary in [password.as_str(), ROOT, SECRET] {
            // What made the world said it, before anybody looked.
            if canary == SECRET && what == "the server's log" {
                continue;
            }
            assert!(!has(text, canary), "{what} has a password");
        }
        searched += text.len();
    }
    assert!(written.iter().any(|(what, _)| what.ends_with("audit.jsonl")) && searched > 50_000, "{searched}");
    println!("canaries: 3 in {} places, {searched} bytes", written.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_exported_and_removed_and_its_export_brings_it_back() {
    let town = Town::start().await;
    let home = tempfile::tempdir().unwrap();
    let machine = town.machine(home.path(), "laptop");
    let operations = machine.quiet();
    town.settle(home.path()).await;
    let start = town.image(home.path()).await;
    // Whoever is in it: through the service account, and as itself.
    let port = town.world.server.port;
    let inside = session(port, "portarium_shared", "portarium").await;
    inside.batch_execute("BEGIN; UPDATE tenant_hooli.orders SET total = 0 WHERE id = 1").await.unwrap();
    let beside = session(port, "portarium_shared", "portarium").await;
    beside.batch_execute("BEGIN; UPDATE tenant_acme.orders SET total = 0 WHERE id = 1").await.unwrap();
    let plan = operations.plan(&deprovision("hooli"), new_id()).await.unwrap();
    let text = plan.text();
    for words in [
        "every write is refused while it is exported, reads go on",
        "REVOKE ",
        "GRANT INSERT, UPDATE, DELETE ON TABLE \"tenant_hooli\".\"large\", \"tenant_hooli\".\"orders\" TO \"portarium_shared\";",
        "--no-acl",
        "DROP SCHEMA \"tenant_hooli\" CASCADE;",
        "(no way back)",
        "vault kv delete -mount=secret -versions=1 tenants/hooli/db",
        "vault kv undelete",
        "PGPASSFILE=<the admin login's password>",
    ] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    assert!(!text.contains("--large-objects") && !text.contains(" -b "));
    // It pauses after the export, and goes back.
    let pausing = machine.quiet();
    let pause = Arc::clone(&pausing.pause);
    let listening = machine.operations(true, move |it| {
        if matches!(it, tierdeck::ops::Progress::Effect { step: 4 }) {
            pause.store(true, Ordering::SeqCst);
        }
    });
    let mut listening = listening;
    listening.pause = Arc::clone(&pausing.pause);
    assert!(matches!(listening.start(&plan, "hooli").await.unwrap(), Ended::Paused(_)));
    assert!(inside.batch_execute("SELECT 1").await.is_err(), "who was in it is gone");
    beside.batch_execute("COMMIT").await.expect("who was not in it stays");
    let fresh = session(port, "portarium_shared", "portarium").await;
    fresh.batch_execute("SELECT * FROM tenant_hooli.orders").await.expect("reads go on until the drop");
    let refused = fresh.batch_execute("DELETE FROM tenant_hooli.orders").await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "42501");
    let folder = home.path().join("laptop/work").join(plan.id.as_str());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&folder), mode(&folder.join("tenant_hooli.dump")), mode(&folder.join("manifest.json"))),
        (0o700, 0o600, 0o600)
    );
    // Elsewhere the export is not at hand: nothing is dropped there.
    let away = home.path().join("away");
    fs::rename(&folder, &away).unwrap();
    let bob = town.machine(home.path(), "bob").quiet();
    match bob.go_on(&plan.id, Way::Forward, TakeOver::No).await {
        Ok(Ended::Paused(why)) => assert!(why.contains("nothing is dropped whose export is not at hand"), "{why}"),
        other => panic!("{other:?}"),
    }
    fs::rename(&away, &folder).unwrap();
    assert_eq!(machine.quiet().go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(), Ended::RolledBack);
    drop((inside, beside, fresh));
    town.world.until_zero("SELECT count(*) FROM pg_stat_activity WHERE usename = 'portarium_shared'").await;
    assert_eq!(town.image(home.path()).await, start);
    assert!(!folder.exists(), "a customer's rows are not left behind");

    // For good, also for whoever reads in it.
    let plan = operations.plan(&deprovision("hooli"), new_id()).await.unwrap();
    let reader = session(port, "portarium_shared", "portarium").await;
    reader.batch_execute("BEGIN; SELECT * FROM tenant_hooli.orders").await.unwrap();
    assert_eq!(operations.start(&plan, "hooli").await.unwrap(), Ended::Succeeded);
    assert!(reader.batch_execute("SELECT 1").await.is_err(), "who read in it was ended");
    let boss = &town.world.boss;
    assert_eq!(town.world.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant_hooli'").await, 0);
    assert_eq!(town.world.number("SELECT count(*) FROM pg_roles WHERE rolname = 'role_hooli'").await, 0);
    assert_eq!(town.world.number("SELECT count(*) FROM tenant_acme.orders").await, 400, "the others are as they were");
    let vault = town.vault(home.path());
    assert!(vault.read("tenants/hooli/db").await.unwrap().is_none());
    vault.undelete("tenants/hooli/db", 1).await.unwrap();
    assert_eq!(
        vault.read("tenants/hooli/db").await.unwrap().unwrap().fields.text("schema").as_deref(),
        Some("tenant_hooli")
    );
    let back = operations.go_on(&plan.id, Way::Back, TakeOver::No).await;
    assert!(matches!(back, Err(OpsError::NoWayBack { step: 5 })), "{back:?}");
    // From its export: the role, then the dump.
    boss.batch_execute(&format!("CREATE ROLE role_hooli; GRANT role_hooli TO {ADMIN}")).await.unwrap();
    let dump = home.path().join("laptop/work").join(plan.id.as_str()).join("tenant_hooli.dump");
    let passfile = home.path().join("passfile");
    fs::write(&passfile, format!("*:*:*:*:{SECRET}\n")).unwrap();
    fs::set_permissions(&passfile, fs::Permissions::from_mode(0o600)).unwrap();
    let restored = std::process::Command::new("pg_restore")
        .args(["--exit-on-error", "--single-transaction", "-h", "127.0.0.1", "-U", ADMIN, "-d", "portarium", "-p"])
        .arg(port.to_string())
        .arg(&dump)
        // In a file: another test looks at what this process's children have in their environment.
        .env("PGPASSFILE", &passfile)
        .output()
        .unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    assert_eq!(town.world.number("SELECT count(*) FROM tenant_hooli.orders").await, 200);
    let owner = "SELECT count(*) FROM pg_class WHERE relname = 'large' AND pg_get_userbyid(relowner) = 'role_hooli'";
    assert_eq!(town.world.number(owner).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_drop_would_take_along_or_lose_is_refused() {
    let town = Town::start().await;
    let home = tempfile::tempdir().unwrap();
    let operations = town.machine(home.path(), "laptop").quiet();
    town.settle(home.path()).await;
    let boss = &town.world.boss;
    let start = town.image(home.path()).await;
    for (make, unmake, words) in [
        (
            "CREATE VIEW tenant_acme.spy AS SELECT total FROM tenant_hooli.orders",
            "DROP VIEW tenant_acme.spy",
            "tenant_acme.spy",
        ),
        (
            "CREATE TABLE tenant_acme.child (id int REFERENCES tenant_hooli.orders)",
            "DROP TABLE tenant_acme.child",
            "constraint child_id_fkey on table tenant_acme.child",
        ),
        (
            "CREATE DOMAIN tenant_hooli.word AS text; CREATE TABLE tenant_acme.words (w tenant_hooli.word)",
            "DROP TABLE tenant_acme.words; DROP DOMAIN tenant_hooli.word",
            "column w of table tenant_acme.words",
        ),
        ("CREATE PUBLICATION p FOR TABLE tenant_hooli.orders", "DROP PUBLICATION p", "publication"),
        (
            "ALTER TABLE tenant_hooli.orders ENABLE ROW LEVEL SECURITY; ALTER TABLE tenant_hooli.orders FORCE ROW LEVEL SECURITY",
            "ALTER TABLE tenant_hooli.orders NO FORCE ROW LEVEL SECURITY; ALTER TABLE tenant_hooli.orders DISABLE ROW LEVEL SECURITY",
            "FORCE ROW LEVEL SECURITY",
        ),
        (
            "GRANT SELECT ON tenant_acme.orders TO role_hooli",
            "REVOKE SELECT ON tenant_acme.orders FROM role_hooli",
            "has more than its schema: table tenant_acme.orders",
        ),
        ("CREATE TABLE tenant_hooli.closed (id int)", "DROP TABLE tenant_hooli.closed", "may not read closed"),
    ] {
        boss.batch_execute(make).await.unwrap();
        let said = refusal(&operations, &deprovision("hooli")).await;
        assert!(said.contains(words), "{words:?} is not in {said}");
        boss.batch_execute(unmake).await.unwrap();
    }
    // It comes after the export: the drop itself looks again, and stops.
    let machine = town.machine(home.path(), "between");
    let handle = tokio::runtime::Handle::current();
    let port = town.world.server.port;
    let spying = machine.operations(true, move |it| {
        if let tierdeck::ops::Progress::Journal(entry) = it
            && matches!(entry.event, tierdeck::ops::journal::Event::Started { step: 5, .. })
        {
            tokio::task::block_in_place(|| {
                handle.block_on(async {
                    let boss = session(port, "postgres", "portarium").await;
                    boss.batch_execute("CREATE VIEW tenant_acme.spy AS SELECT total FROM tenant_hooli.orders")
                        .await
                        .unwrap();
                });
            });
        }
    });
    let plan = spying.plan(&deprovision("hooli"), new_id()).await.unwrap();
    match spying.start(&plan, "hooli").await {
        Ok(Ended::Paused(why)) => assert!(why.contains("outside of the schema this depends on it"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(town.world.number("SELECT count(*) FROM tenant_hooli.orders").await, 200, "nothing was dropped");
    boss.batch_execute("DROP VIEW tenant_acme.spy").await.unwrap();
    assert_eq!(machine.quiet().go_on(&plan.id, Way::Forward, TakeOver::No).await.unwrap(), Ended::Succeeded);
    town.settle(home.path()).await;
    // A secret that points elsewhere: its home is another one.
    let vault = town.vault(home.path());
    vault.write("tenants/hooli/db", &by_hand("tenant_other"), Expected::Version(1)).await.unwrap();
    assert!(refusal(&operations, &deprovision("hooli")).await.contains("points elsewhere"));
    let keep = Deprovisioning { tenant: tenant("hooli"), instance: shared(), keep_secret: true };
    assert!(operations.plan(&Intent::Deprovision(keep), new_id()).await.unwrap().text().contains("the secret stays"));
    assert!(refusal(&operations, &deprovision("nobody")).await.contains("has no schema tenant_nobody"));
    town.settle(home.path()).await;
    assert_eq!(town.image(home.path()).await, start);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_every_version_found_as_an_admin_that_is_no_superuser() {
    let given = std::env::var_os("TIERDECK_PG_BINS").unwrap_or_default();
    let fetched = fs::read_dir("/var/cache/tierdeck/postgres").into_iter().flatten().flatten();
    let fetched = fetched.map(|entry| entry.path().join("bin")).filter(|path| path.join("postgres").exists());
    let folders: Vec<_> =
        std::env::split_paths(&given).filter(|it| !it.as_os_str().is_empty()).chain(fetched).collect();
    for programs in &folders {
        let town = Town::start_of(programs).await;
        let home = tempfile::tempdir().unwrap();
        let operations = town.machine(home.path(), "laptop").quiet();
        let start = town.image(home.path()).await;
        let plan = operations.plan(&provision("hooli", true), new_id()).await.unwrap();
        assert_eq!(operations.start(&plan, "hooli").await.unwrap(), Ended::Succeeded, "{programs:?}");
        assert_eq!(
            operations.go_on(&plan.id, Way::Back, TakeOver::No).await.unwrap(),
            Ended::RolledBack,
            "{programs:?}"
        );
        assert_eq!(town.image(home.path()).await, start, "{programs:?}");
        town.settle(home.path()).await;
        // Which dump programs there are decides: an older one refuses.
        match operations.plan(&deprovision("hooli"), new_id()).await {
            Ok(plan) => assert_eq!(operations.start(&plan, "hooli").await.unwrap(), Ended::Succeeded, "{programs:?}"),
            Err(error) => {
                assert!(error.to_string().contains("there is no pg_dump of version"), "{programs:?}: {error}");
            }
        }
        println!("provision on {}", programs.display());
    }
    println!("provision: {} further versions", folders.len());
}
