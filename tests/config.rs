//! The configuration as an operator meets it: the contract's file loads, everything wrong is said at once, the example
//! file names every key.

#![expect(clippy::expect_used, reason = "a test fails at once")]

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use tierdeck::clients::Environment;
use tierdeck::config::{
    Config, ConfigErrors, Found, RdsPlace, Secret, VaultAuth, VaultConfig, check, check_file, example, parse, show,
};
use tierdeck::domain::facts::Source;
use tierdeck::domain::policy::{BackupPolicy, Ladder};
use tierdeck::domain::{InstanceName, Layout, Limits, TenantId, Thresholds, Tier};

const CONTRACT: &str = include_str!("config/contract.toml");
const EXAMPLE: &str = include_str!("../config.example.toml");
const SMALLEST: &str = "[[instance]]\nname = \"shared\"\nurl = \"postgresql://tierdeck@localhost/portarium\"\n";

fn read(text: &str) -> Result<Config, ConfigErrors> {
    parse(text, Path::new("x.toml"))
}

/// The problems of a text as they are printed.
fn problems(text: &str) -> Vec<String> {
    read(text).expect_err("the text is wrong").0.iter().map(ToString::to_string).collect()
}

/// Asserts that a text has exactly one thing wrong with it, and that the message has these parts.
fn one_problem(text: &str, parts: &[&str]) {
    let found = problems(text);
    assert_eq!(found.len(), 1, "{text}\n{found:#?}");
    for part in parts {
        assert!(found[0].contains(part), "{text}\n{part:?} is not in {}", found[0]);
    }
}

#[test]
fn the_smallest_file_has_every_default() {
    let config = read(SMALLEST).unwrap();
    assert_eq!((config.environment.as_str(), config.namespace.as_str()), ("prod", "portarium"));
    assert!(!config.allow_actions);
    assert_eq!(config.thresholds, Thresholds::default());
    let instance = &config.instances[0];
    assert_eq!((instance.tier, instance.layout, &instance.password), (Tier::Shared, Layout::Schema, &None));
    let every = |source| config.poll[&source].as_secs();
    assert_eq!(
        Source::ALL.map(every),
        [1, 5, 30, 10, 30, 300, 300, 5, 10, 10, 5, 10, 300, 21_600, 5, 60, 60, 60, 60, 60, 900, 300, 300]
    );
    assert_eq!(config.policy.shared, Limits::default());
}

#[test]
fn the_contracts_file_loads_and_all_of_it_is_in_effect() {
    let checked = check(CONTRACT, Path::new("tierdeck.toml")).unwrap();
    let config = &checked.config;
    assert_eq!(config.instances[0].password, Some(Secret::Env("TIERDECK_PG_PASSWORD".into())));
    let pooler = config.instances[0].pgbouncer.as_ref().unwrap();
    assert_eq!((pooler.url.as_str(), &pooler.password), ("postgresql://stats@host:6432/pgbouncer", &None));
    assert_eq!(config.policy.shared.statement_timeout, Some(Duration::from_secs(30)));
    let acme = TenantId::parse("acme").unwrap();
    assert_eq!(config.policy.wanted(&acme, Tier::Shared).connection_limit, Some(80));
    assert_eq!(config.policy.wanted(&acme, Tier::Shared).lock_timeout, Some(Duration::from_secs(5)));
    assert_eq!(checked.warnings, [], "everything of it is in effect");
    let aws = &config.aws[0];
    assert_eq!((aws.name(), &*aws.account.place().region, aws.discover), ("main", "eu-west-1", true));
    let rds = config.instances[0].rds.as_ref().unwrap();
    assert_eq!((&*rds.account, &*rds.identifier), ("main", "portarium-prod-shared"));
    assert_eq!(config.policy.backup, BackupPolicy::default());
    assert_eq!(["prod", "staging", "dev"].map(|name| config.policy.backup.retention(name)), [35, 14, 7].map(Some));
}

#[test]
fn a_secret_in_vault_is_a_path_a_field_and_a_vault() {
    let text = format!(
        "{SMALLEST}password = {{ vault = \"tierdeck/shared#password\" }}\nadmin = {{ user = \"a\", password = {{ vault = \"tierdeck/x#pw\" }} }}\n
[vault]\nauth = {{ approle = {{ role_id = \"r\", secret_id = {{ file = \"id\" }} }} }}\nnamespace = \"n\"\n"
    );
    let checked = check(&text, Path::new("/etc/x.toml")).unwrap();
    assert_eq!(checked.warnings, []);
    let instance = &checked.config.instances[0];
    assert_eq!(instance.password.as_ref().unwrap().place(), "vault tierdeck/shared#password");
    let vault = checked.config.vault.clone().unwrap();
    assert!(matches!(instance.password.as_ref().unwrap(), Secret::Vault { at, .. } if *at == vault));
    let Some(VaultAuth::AppRole { mount, secret_id, .. }) = &vault.auth else { panic!("{vault:?}") };
    assert_eq!((mount.as_str(), secret_id), ("approle", &Secret::File("/etc/id".into())));
    // What is left out comes from the variables of Vault's own client.
    let wrong = vault.client(&Environment::default()).unwrap_err();
    assert!(wrong.contains("VAULT_ADDR"), "{wrong}");
    let bare = VaultConfig::default();
    let environment =
        Environment::of([("VAULT_ADDR", "http://v:8200/"), ("VAULT_TOKEN", "t"), ("VAULT_NAMESPACE", "n")]);
    let client = bare.client(&environment).unwrap();
    assert_eq!((client.place().address.as_str(), client.place().namespace.as_deref()), ("http://v:8200", Some("n")));
    assert_eq!(client.place().mount, "secret");
    let wrong = bare.client(&Environment::of([("VAULT_ADDR", "http://v:8200")])).unwrap_err();
    assert!(wrong.contains(".vault-token") && wrong.contains("vault login"), "{wrong}");
    let again = show(&checked.config);
    assert_eq!(check(&again, Path::new("/elsewhere/y.toml")).unwrap().config, checked.config, "{again}");

    let with = |more: &str| format!("{SMALLEST}{more}");
    one_problem(
        &with("password = { vault = \"a/b#c\" }"),
        &["instance.password", "there is no [vault] with anything set"],
    );
    one_problem(&with("password = { vault = \"a/b\" }\n[vault]"), &["instance.password", "path#key"]);
    one_problem(
        &with("password = { vault = \"a/../b#c\" }\n[vault]"),
        &["instance.password", "not a path of a secret"],
    );
    one_problem(&with("[vault]\nauth = { token = { vault = \"a#b\" } }"), &["vault.auth.token", "it opens Vault"]);
    one_problem(
        &with("[vault]\nauth = { approle = { role_id = \"r\" } }"),
        &["vault.auth.approle", "needs role_id and secret_id"],
    );
    one_problem(&with("[vault]\nauth = { tokn = 1 }"), &["vault.auth.tokn", "did you mean \"token\""]);
}

const TWO: &str = "[aws.eu]\nregion = \"eu-west-1\"\n[aws.us]\nregion = \"us-east-1\"\n";

#[test]
fn an_iam_token_and_an_identifier_need_an_account_and_only_one() {
    let iam = "password = { iam = true }\n";
    one_problem(&format!("{SMALLEST}{iam}"), &["x.toml:4:12: instance.password", "there is no [aws.NAME]"]);
    one_problem(&format!("{SMALLEST}{iam}{TWO}"), &["instance.password", "rds = \"NAME/identifier\""]);
    let one = read(&format!("{SMALLEST}{iam}rds = \"Shared-1\"\n[aws.eu]\nregion = \"eu-west-1\"\n")).unwrap();
    assert_eq!(&*one.instances[0].rds.as_ref().unwrap().identifier, "shared-1", "RDS keeps them in lower case");
    let Some(Secret::Iam(login)) = &one.instances[0].password else { panic!("{:?}", one.instances[0].password) };
    assert_eq!(login.account.as_ref(), Some(&one.aws[0].account));

    one_problem(&format!("{SMALLEST}rds = \"x\"\n{TWO}"), &["instance.rds", "\"eu/x\" or \"us/x\""]);
    one_problem(&format!("{SMALLEST}rds = \"de/x\"\n{TWO}"), &["instance.rds", "\"eu/x\" or \"us/x\""]);
    one_problem(&format!("{SMALLEST}rds = \"a b\"\n{TWO}"), &["instance.rds", "letters, digits"]);
    let said = read(&format!("{SMALLEST}{iam}rds = \"us/x\"\n{TWO}")).unwrap();
    assert_eq!(&*said.instances[0].rds.as_ref().unwrap().account, "us");
    // The address of an RDS endpoint says which region.
    let there = SMALLEST.replace("localhost", "x.abc123.us-east-1.rds.amazonaws.com");
    let told = read(&format!("{there}{iam}rds = \"x\"\n{TWO}")).unwrap();
    assert_eq!(&*told.instances[0].rds.as_ref().unwrap().account, "us");
    assert_eq!(check(&show(&told), Path::new("y.toml")).unwrap().config, told);
    // Without any account there is nobody to ask.
    let checked = check(&format!("{SMALLEST}rds = \"x\"\n"), Path::new("x.toml")).unwrap();
    assert!(checked.warnings[0].to_string().contains("without an [aws.NAME]"), "{:?}", checked.warnings);
}

#[test]
fn how_one_logs_in_to_an_instance_that_was_found() {
    let dedicated = "[dedicated]\nurl = \"postgresql://t@{host}:{port}/{database}?sslmode=require\"\npassword = { iam = true }
admin = { user = \"boss\", password = { vault = \"tierdeck/{id}/admin#password\" } }\n[vault]\naddress = \"http://v\"\n";
    let config = read(&format!("{SMALLEST}{TWO}{dedicated}")).unwrap();
    assert_eq!(check(&show(&config), Path::new("y.toml")).unwrap().config, config);
    let found = |tenant: Option<&str>| Found {
        name: InstanceName::new("x-db"),
        tenant: tenant.map(|id| TenantId::parse(id).unwrap()),
        host: "x.example".to_owned(),
        port: 5433,
        database: None,
        rds: RdsPlace { account: "us".into(), identifier: "x-db".into() },
    };
    let instance = config.dedicated.instance(&found(Some("acme-eu")), &config.aws[1].account).unwrap();
    assert_eq!(instance.url, "postgresql://t@x.example:5433/acme%5Feu?sslmode=require");
    assert_eq!((instance.tier, instance.tenant.as_ref().map(TenantId::as_str)), (Tier::Dedicated, Some("acme-eu")));
    assert_eq!(instance.admin.unwrap().password.unwrap().place(), "vault tierdeck/acme-eu/admin#password");
    let Some(Secret::Iam(login)) = &instance.password else { panic!("{:?}", instance.password) };
    assert_eq!((login.account.as_ref(), &login.url), (Some(&config.aws[1].account), &instance.url));
    let nobody = config.dedicated.instance(&found(None), &config.aws[1].account).unwrap_err();
    assert!(nobody.contains("TenantId"), "{nobody}");
    // Where nothing says how to log in, that is said.
    let bare = read(&format!("{SMALLEST}{TWO}")).unwrap();
    let nowhere = bare.dedicated.instance(&found(Some("acme")), &bare.aws[0].account).unwrap_err();
    assert!(nowhere.contains("[dedicated]"), "{nowhere}");
    let with = |more: &str| format!("{SMALLEST}{more}");
    one_problem(&with("[dedicated]\nurl = \"http://{host}\""), &["dedicated.url", "postgresql://"]);
    one_problem(&with("[dedicated]\nurl = \"postgresql://t:pw@{host}/x\""), &["dedicated.url", "password"]);
}

#[test]
fn every_error_at_once_with_its_place() {
    let text = "\
enviroment = \"prod\"
allow_actions = \"yes\"

[naming]
tenant_schema = \"tenant\"

[[instance]]
name = \"one\"
tier = \"dedicatd\"
url = \"postgresql://tierdeck@localhost/x?sslmod=require\"

[[instance]]
name = \"one\"
tier = \"dedicated\"
vcpus = 0

[tenant.Acme]
connection_limit = 3

[poll]
activity = \"10ms\"
sizes = 5

[thresholds]
role_limt = { warning = 0.8 }
connections = { warning = 0.99, critical = 0.9 }
noisy_share = 1.5
";
    let found = problems(text);
    let expected = [
        ("x.toml:1:1: enviroment: ", "did you mean \"environment\"?"),
        ("x.toml:2:17: allow_actions: ", "must be true or false, not a text"),
        ("x.toml:5:17: naming.tenant_schema: ", "{id} exactly once"),
        ("x.toml:9:8: instance.tier: ", "did you mean \"dedicated\"?"),
        ("x.toml:10:7: instance.url: ", "did you mean \"sslmode\"?"),
        ("x.toml:12:1: instance.url: ", "is missing"),
        ("x.toml:12:1: instance.tenant: ", "tenant = \"ID\""),
        ("x.toml:13:8: instance.name: ", "1st instance already"),
        ("x.toml:15:9: instance.vcpus: ", "above 0"),
        ("x.toml:17:9: tenant.Acme: ", "'A' cannot stand there"),
        ("x.toml:21:12: poll.activity: ", "200ms"),
        ("x.toml:22:9: poll.sizes: ", "\"500ms\""),
        ("x.toml:25:1: thresholds.role_limt: ", "did you mean \"role_limit\"?"),
        ("x.toml:26:15: thresholds.connections: ", "must not be above critical"),
        ("x.toml:27:15: thresholds.noisy_share: ", "from 0 to 1"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, (place, message)) in found.iter().zip(expected) {
        assert!(found.starts_with(place) && found.contains(message), "{found}\nshould be {place} … {message}");
    }
}

#[test]
fn broken_toml_is_shown_with_its_line() {
    let found = problems("environment = \"prod\"\n[[instance]\n");
    assert!(
        found[0].starts_with("x.toml:2:12: ") && found[0].contains("\n  2 | [[instance]\n    |            ^"),
        "{}",
        found[0]
    );
    let found = problems("namespace = here\n\n[poll\nx = 1\nactivity = ]\n");
    assert!(found.len() >= 2, "{found:#?}");
    assert!(found[0].starts_with("x.toml:1:") && found[0].contains("1 | namespace = here"), "{}", found[0]);
    let found = problems("environment = \"a\"\nenvironment = \"b\"\n");
    assert!(found[0].starts_with("x.toml:2:1:") && found[0].contains("duplicate"), "{}", found[0]);
}

#[test]
fn no_message_repeats_a_secret() {
    for text in [
        "[[instance]]\nname = \"a\"\nurl = \"postgresql://u:hunter2@h/d\"\n",
        "[[instance]]\nname = \"a\"\nurl = \"postgresql://u@h/d?password=hunter2\"\n",
        &format!("{SMALLEST}password = \"hunter2\"\n"),
        &format!("{SMALLEST}password = {{ env = \"A\", value = \"hunter2\" }}\n"),
        &format!("{SMALLEST}password = {{ plain = \"hunter2\" }}\n"),
        &format!("{SMALLEST}password = \"hunter2\n"),
        &format!("{SMALLEST}pgbouncer = \"postgresql://u:hunter2@h/d\"\n"),
        &format!("{SMALLEST}admin = {{ user = \"a\", password = \"hunter2\" }}\n"),
        &format!("{SMALLEST}[dedicated]\nurl = \"postgresql://u:hunter2@{{host}}/d\"\n"),
    ] {
        let found = problems(text);
        assert!(!found.is_empty());
        assert!(!found.concat().contains("hunter2"), "{found:#?}");
    }
    one_problem(
        "[[instance]]\nname = \"a\"\nurl = \"postgresql://u:hunter2@h/d\"\n",
        &["x.toml:3:7: instance.url: ", "use password ="],
    );
}

#[test]
fn one_wrong_value_is_one_problem() {
    let with = |lines: &str| format!("{SMALLEST}{lines}\n");
    one_problem("", &["x.toml:1:1: instance: ", "at least one [[instance]]"]);
    assert_eq!(problems("frobnicate = 1\n").len(), 2);
    one_problem("instance = []\n", &["at least one [[instance]]"]);
    one_problem("instance = 3\n", &["must be [[instance]], not a number"]);
    one_problem(&with("layout = \"schemas\""), &["x.toml:4:10: instance.layout", "did you mean \"schema\"?"]);
    one_problem(&with("allow_actions = true"), &["x.toml:4:1: instance.allow_actions", "top of the file"]);
    one_problem(&SMALLEST.replace("shared", "sha\\u202ered"), &["instance.name", "invisible"]);
    one_problem(&with("tenant = \"acme\""), &["instance.tenant", "tier = \"dedicated\""]);
    one_problem(&with("tier = \"dedicated\"\ntenant = \"a\""), &["instance.tenant", "3 to 63"]);
    one_problem(&with("tier = \"dedicated\"\ntenant = 7"), &["instance.tenant", "must be a text"]);
    one_problem(&with("password = { envv = \"A\" }"), &["instance.password", "did you mean \"env\"?"]);
    one_problem(&with("password = { env = 3 }"), &["names the place"]);
    one_problem(&with("pgbouncer = \"http://h\""), &["x.toml:4:13: instance.pgbouncer", "postgresql://"]);
    one_problem(&with("pgbouncer_password = { env = \"A\" }"), &["instance.pgbouncer_password", "without pgbouncer"]);
    one_problem(&with("admin = { usr = \"a\" }"), &["instance.admin.usr", "did you mean \"user\"?"]);
    one_problem(&with("[aws.main]\nregion = 3"), &["x.toml:5:10: aws.main.region", "must be a text"]);
    one_problem(&with("[aws.main]\nregion = \"r\"\nmax_usd = 3"), &["did you mean \"max_usd_per_hour\"?"]);
    one_problem(&with("[history]\nkeep = \"long\""), &["history.keep", "14d"]);
    one_problem(&with("[policy.backup]\nrpo = { shared = 3 }"), &["policy.backup.rpo.shared", "duration"]);
    one_problem(&with("[vault]\nauth = { token = \"hvs.x\" }"), &["vault.auth.token", "does not belong"]);
    one_problem(&with("[policy.shard]\nlock_timeout = \"1s\""), &["policy.shard", "did you mean \"shared\"?"]);
    one_problem(&with("[policy.shared]\nlock_timeout = \"1 week\""), &["policy.shared.lock_timeout", "14d"]);
    one_problem(&with("[policy.shared]\nconnection_limit = -1"), &["policy.shared.connection_limit", "whole number"]);
    one_problem(&with("[thresholds]\nrole_limit = { warn = 0.1 }"), &["role_limit.warn", "did you mean \"warning\"?"]);
    one_problem(&with("[thresholds]\nhold_seconds = -1"), &["thresholds.hold_seconds", "below 0"]);
    one_problem(&with("[thresholds]\nlock_victims = nan"), &["thresholds.lock_victims"]);
    one_problem(&with("[thresholds]\nzzz = 1"), &["thresholds.zzz", "unknown key", "noisy_share"]);
    one_problem(&with("[naming]\ntenant_role = \"{id}{id}\""), &["naming.tenant_role", "exactly once"]);
    one_problem(&with("[naming]\nservice_account = \"\""), &["naming.service_account", "must not be empty"]);
    one_problem(&with("[poll]\nactivty = \"1s\""), &["poll.activty", "did you mean \"activity\"?"]);
    one_problem(&with("\"a\\u001b[31m\" = 1"), &["␛[31m"]);
    let long = "a".repeat(60);
    one_problem(&with(&format!("[tenant.{long}]\ncontact = \"x\"")), &["x.toml:4:9: tenant.aaa", "67 bytes", "63"]);
}

#[test]
fn values_are_taken_over() {
    let text = format!(
        "environment = \"staging\"\nallow_actions = true\n{SMALLEST}
        [[instance]]\nname = \"acme\"\ntier = \"dedicated\"\nlayout = \"database\"\ntenant = \"acme-eu\"
        url = \"postgresql://%2Frun/x\"\npassword = {{ file = \"secrets/pg\" }}\nvcpus = 2.5
        [tenant.acme-eu]\nconnection_limit = 7\ncontact = \"ann\"\nnotes = \"two\\nlines \\\"quoted\\\"\"
        [poll]\nactivity = \"500ms\"
        [policy.dedicated]\nidle_in_transaction_session_timeout = \"2h\"
        [thresholds]\nquery_seconds = {{ warning = \"90s\", critical = 600.5 }}\nrole_limit.warning = 0.7
        xid_age_info = 400_000_000\nhold_seconds = \"500ms\"\n"
    );
    let config = parse(&text, Path::new("/etc/tierdeck/x.toml")).unwrap();
    let acme = &config.instances[1];
    assert_eq!(acme.tenant, TenantId::parse("acme-eu").ok());
    assert_eq!(acme.password, Some(Secret::File("/etc/tierdeck/secrets/pg".into())));
    assert_eq!((acme.layout, acme.vcpus), (Layout::Database, Some(2.5)));
    assert_eq!(config.poll[&Source::Activity], Duration::from_millis(500));
    assert_eq!(config.thresholds.query_seconds, Ladder::new(90.0, 600.5));
    assert_eq!(config.thresholds.role_limit, Ladder::new(0.7, 1.0));
    assert!((config.thresholds.hold_seconds - 0.5).abs() < f64::EPSILON);
    assert_eq!(config.policy.tenants[&TenantId::parse("acme-eu").unwrap()].limits.connection_limit, Some(7));

    // What is shown reads as the same, wherever the text is then.
    let shown = show(&config);
    assert_eq!(parse(&shown, Path::new("/elsewhere/y.toml")).unwrap(), config, "{shown}");
    assert_eq!(show(&read(&shown).unwrap()), shown);
}

#[test]
fn what_is_shown_reads_back() {
    for text in [SMALLEST, CONTRACT, EXAMPLE] {
        let config = read(text).unwrap();
        let again = check(&show(&config), Path::new("x.toml")).unwrap();
        assert_eq!(again.config, config);
        // What is kept for a later version is said again.
        assert!(again.warnings.is_empty(), "{:?}", again.warnings);
    }
}

#[test]
fn the_example_is_what_the_program_knows() {
    assert_eq!(EXAMPLE, example(), "write it anew: UPDATE=1 cargo test --test config the_example_can_be_renewed");
}

#[test]
fn the_example_can_be_renewed() {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/config.example.toml"), example()).unwrap();
    }
}

#[test]
fn the_example_as_it_is_says_the_defaults() {
    let config = read(EXAMPLE).unwrap();
    let mut defaults = read(SMALLEST).unwrap();
    defaults.instances.clone_from(&config.instances);
    assert_eq!(config, defaults);
}

#[test]
fn the_example_with_every_key_in_effect_is_right() {
    let mut text = String::new();
    for line in EXAMPLE.lines() {
        // A key that is not set has no space behind its `#`; a sentence has one.
        let bare = line.strip_prefix('#').filter(|bare| !bare.starts_with(' ')).unwrap_or(line);
        let _ = writeln!(text, "{bare}");
    }
    // The one key that cannot stand beside the others of the sample.
    let text = text.replace("tier = \"shared\"", "tier = \"dedicated\"");
    let checked = check(&text, Path::new("example")).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
    let config = &checked.config;
    assert!(config.instances[0].password.is_some() && config.instances[0].vcpus.is_some());
    assert_eq!(config.policy.shared.connection_limit, Some(40));
    assert_eq!(config.policy.tenants.len(), 1);
    assert_eq!(checked.warnings, []);
    assert!(config.aws.len() == 1 && config.instances[0].rds.is_some() && config.dedicated.url.is_some());
    // And every key of the contract's file is among them.
    for line in CONTRACT.lines().filter(|line| !line.starts_with('#')) {
        let Some((key, _)) = line.split_once('=') else { continue };
        let key = key.trim();
        assert!(text.lines().any(|line| line.split(" =").next() == Some(key)), "{key}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = check_file(folder.path()).unwrap_err().to_string();
    assert!(error.contains("is a folder"), "{error}");
    let path = folder.path().join("x.toml");
    assert!(check_file(&path).unwrap_err().to_string().contains("cannot be read"));
    std::fs::write(&path, b"environment = \"\xff\"\n").unwrap();
    assert!(check_file(&path).unwrap_err().to_string().contains("not UTF-8"));
    std::fs::write(&path, format!("\u{feff}{}", SMALLEST.replace('\n', "\r\n"))).unwrap();
    check_file(&path).unwrap();
}

proptest::proptest! {
    #[test]
    fn nothing_makes_it_panic(text in "(?s).{0,200}", url in "(postgresql://)?[a-z0-9@:/?&=%,.\\[\\]\u{e9}]{0,60}") {
        let _ = check(&text, Path::new("x"));
        let quoted = toml::Value::String(url).to_string();
        let _ = check(&format!("[[instance]]\nname = 'x'\nurl = {quoted}"), Path::new("x"));
    }

    #[test]
    fn a_damaged_file_never_panics_and_what_is_wrong_has_a_place(from in 0..CONTRACT.len(), length in 0..40_usize) {
        let text: String = CONTRACT.chars().take(from).chain(CONTRACT.chars().skip(from + length)).collect();
        if let Err(ConfigErrors(problems)) = check(&text, Path::new("x")) {
            for problem in problems {
                proptest::prop_assert!(problem.line <= text.lines().count() + 1 && problem.line > 0 && problem.column > 0);
            }
        }
    }
}
