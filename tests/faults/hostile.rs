//! A tenant that writes to the operator's terminal: in its names, its `application_name` and its queries.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, Command, Stdio};

use super::support::console::{Console, PATIENCE};
use super::support::server::{PASSWORD, Server};
use super::support::watcher::{HBA, SECRET, Watcher, session, world};

/// Sets the window's title, rings, colours, goes to another line, turns the direction, hides, and is wide.
const EVIL: &str = "\x1b]0;pwned\x07\x1b[31mEVIL\r\n\t\u{9b}2J\u{202e}txt\u{200b}\u{7f}顧客データ";

/// As an identifier: cut where PostgreSQL would cut it.
fn identifier(prefix: &str) -> String {
    let mut name = format!("{prefix}{EVIL}");
    while name.len() > 63 {
        name.pop();
    }
    format!("\"{name}\"")
}

/// A client that sends bytes which are no text.
struct Psql(Child);

impl Psql {
    fn start(port: u16, user: &str, database: &str, statement: &[u8]) -> Self {
        let child = Command::new("psql")
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", user, "-d", database, "-c"])
            .arg(OsStr::from_bytes(statement))
            .env("PGPASSWORD", if user == "postgres" { PASSWORD } else { SECRET })
            .env("PGCLIENTENCODING", "SQL_ASCII")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.unwrap())
    }
}

impl Psql {
    /// What it complains of when it is done.
    fn says(mut self) -> String {
        let mut said = Vec::new();
        self.0.stderr.take().unwrap().read_to_end(&mut said).unwrap();
        String::from_utf8_lossy(&said).into_owned()
    }
}

impl Drop for Psql {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asserts that text is as harmless as text can be.
#[track_caller]
fn is_harmless(what: &str, text: &str) {
    let bad = |char: &char| char.is_control() && *char != '\n' || matches!(char, '\u{200b}' | '\u{202e}' | '\u{9b}');
    let found: Vec<char> = text.chars().filter(bad).collect();
    assert!(found.is_empty(), "{what} holds {found:?}:\n{text}");
}

/// Asserts that what went to the terminal is the console's own, and that every row ends with the frame.
#[track_caller]
pub fn is_in_order(console: &Console) {
    let bytes = console.bytes();
    for evil in [&b"\x1b]0;"[..], b"\x1b[31mEVIL", b"\x07", "\u{202e}".as_bytes(), "\u{200b}".as_bytes(), b"\xc2\x9b"] {
        assert!(!bytes.windows(evil.len()).any(|window| window == evil), "{evil:?} went to the terminal");
    }
    console.look(|screen| {
        let (rows, columns) = screen.size();
        let last = columns.get() - 1;
        for row in 0..rows.get() {
            let cell = screen.cell(row, last).map(|cell| cell.contents().to_owned()).unwrap_or_default();
            assert!("│┃╮╯┤".contains(&cell) && !cell.is_empty(), "row {row} ends in {cell:?}:\n{}", screen.contents());
        }
    });
}

/// Asserts that a command prints nothing that a terminal would obey.
#[track_caller]
fn says_nothing_harmful(watcher: &Watcher, arguments: &[&str]) {
    let said = watcher.run(arguments);
    let what = arguments.join(" ");
    is_harmless(&what, &said.out);
    is_harmless(&format!("{what}: stderr"), &said.err);
    if arguments.contains(&"--json") {
        let document: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        strings(&document, &mut |text| is_harmless(&what, text));
    }
    if arguments == ["status", "--json"] {
        let document: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        let sources = document["instances"][0]["sources"].as_array().unwrap();
        let broken: Vec<_> = sources.iter().filter(|source| !source["error"].is_null()).collect();
        assert!(broken.is_empty(), "hostile text costs a source: {broken:?}");
    }
    if arguments == ["findings"] {
        assert!(said.out.contains("EVIL"), "nothing hostile was even shown:\n{}", said.out);
    }
}

/// Every text in a document, as a program would read it.
fn strings(value: &serde_json::Value, each: &mut impl FnMut(&str)) {
    match value {
        serde_json::Value::String(text) => each(text),
        serde_json::Value::Array(values) => values.iter().for_each(|value| strings(value, each)),
        serde_json::Value::Object(values) => values.iter().for_each(|(key, value)| {
            each(key);
            strings(value, each);
        }),
        _ => {}
    }
}

/// A server with hostile sessions at work.
struct Attack {
    // The clients go before the server does.
    _raw: [Psql; 2],
    _holder: tokio_postgres::Client,
    server: Server,
}

/// Everything that a tenant can do to us by names and texts.
async fn attack() -> Attack {
    let server = Server::start(
        "track_activity_query_size = 1048576\nshared_preload_libraries = 'pg_stat_statements'",
        HBA,
        |_| {},
    );
    let port = server.port;
    world(port).await;
    let (schema, role, table) = (identifier("tenant_"), identifier("role_"), identifier("t"));
    let boss = session(port, "postgres", "postgres").await;
    boss.batch_execute("CREATE DATABASE raw ENCODING SQL_ASCII TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
        .await
        .unwrap();
    let sql = format!(
        "CREATE ROLE {role} LOGIN PASSWORD '{SECRET}'; CREATE SCHEMA {schema} AUTHORIZATION {role};
         CREATE TABLE {schema}.{table} (id int PRIMARY KEY, {table} text);
         CREATE TABLE tenant_acme.{table} (id int PRIMARY KEY);
         ALTER TABLE tenant_acme.{table} OWNER TO role_acme;
         INSERT INTO tenant_acme.{table} SELECT generate_series(1, 5000); DELETE FROM tenant_acme.{table};
         GRANT ALL ON SCHEMA tenant_acme TO {role}; GRANT ALL ON tenant_acme.{table} TO {role};"
    );
    boss.batch_execute(&sql).await.unwrap();

    // Shared catalogues take what a database without an encoding lets through.
    for (user, statement) in [
        ("role_acme", &b"ALTER ROLE role_acme SET application_name = '\xff\x1b[2J\xfe'"[..]),
        ("postgres", b"CREATE ROLE \"role_\xff\x1b[2J\xfe\" CONNECTION LIMIT 5"),
        (
            "postgres",
            b"CREATE DATABASE \"db_\xff\x1b[2J\xfe\" TEMPLATE template0 ENCODING SQL_ASCII LC_COLLATE 'C' LC_CTYPE 'C'",
        ),
    ] {
        let said = Psql::start(port, user, "raw", statement).says();
        assert_eq!(said, "", "{}", String::from_utf8_lossy(statement));
    }

    // One holds a lock on a table with a bad name, others wait for it with bad queries.
    let holder = session(port, "role_acme", "postgres").await;
    let hold = format!("BEGIN; LOCK TABLE tenant_acme.{table} /* {EVIL} */");
    holder.batch_execute(&hold).await.unwrap();
    let evil_role = role.trim_matches('"').to_owned();
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user(&evil_role).password(SECRET).dbname("postgres");
    config.application_name(EVIL);
    let (waiter, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let wait = format!("SELECT count(*) AS {table} FROM tenant_acme.{table} /* {EVIL} */");
    tokio::spawn(async move { waiter.batch_execute(&wait).await });
    let huge = session(port, "role_globex", "postgres").await;
    let long = format!("SELECT pg_sleep(300), '{}'", "顧\x1b[2J".repeat(1_040_000 / 7));
    tokio::spawn(async move { huge.batch_execute(&long).await });
    let raw = [
        Psql::start(port, "role_acme", "raw", b"SELECT pg_sleep(300), '\xff\xfe\x80\x1b]0;pwned\x07 \xe2\x82'"),
        // Ends in the middle of what would be a character, with the text too long to be shown whole.
        Psql::start(
            port,
            "role_acme",
            "raw",
            &[&b"SELECT pg_sleep(300) -- "[..], &[0xc3; 6_000], b" \xf0\x9f"].concat(),
        ),
    ];
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND datname IS NOT NULL";
    let deadline = std::time::Instant::now() + PATIENCE;
    while boss.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) < 4 {
        assert!(std::time::Instant::now() < deadline, "the hostile sessions do not run");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    Attack { _raw: raw, _holder: holder, server }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_is_shown_and_does_nothing() {
    let attack = attack().await;
    let watcher = Watcher::of(&[("shared", attack.server.port)]);
    let mut consoles: Vec<Console> = [(80, 24), (200, 50), (320, 60)]
        .into_iter()
        .map(|(columns, rows)| watcher.console().size(columns, rows).open())
        .collect();
    for console in &mut consoles {
        console.until("tenants", PATIENCE, |screen| screen.contains("TENANTS 3") && screen.contains("● shared"));
        is_in_order(console);
        console.keys("3");
        console.until("sessions", PATIENCE, |screen| screen.contains("SESSIONS ") && screen.contains("pg_sleep"));
        is_in_order(console);
        // Each session in turn, with its detail; then the page of one, to its end.
        for _ in 0..7 {
            console.keys("j");
            std::thread::sleep(std::time::Duration::from_millis(60));
            is_in_order(console);
        }
        console.keys("g\r");
        console.hides("SESSIONS ");
        console.keys("G");
        std::thread::sleep(std::time::Duration::from_millis(60));
        is_in_order(console);
        console.keys("1");
        console.shows("TENANTS ");
        console.keys("\t\r");
        std::thread::sleep(std::time::Duration::from_millis(60));
        is_in_order(console);
    }
    let widest = consoles.last_mut().unwrap();
    widest.keys("3");
    widest.shows("␛]0;pwned␇␛[31mEVIL");
    // The wait for the table with the bad name becomes a finding, here and in the commands.
    widest.keys("1");
    widest.until("the finding", PATIENCE, |screen| screen.contains("oldest wait") && screen.contains("EVIL"));
    is_in_order(widest);
    let commands = [
        &["status"][..],
        &["status", "--json"],
        &["findings"],
        &["findings", "--json"],
        &["doctor"],
        &["doctor", "--json"],
    ];
    std::thread::scope(|scope| {
        for arguments in commands {
            let watcher = &watcher;
            scope.spawn(move || says_nothing_harmful(watcher, arguments));
        }
    });
    for console in &mut consoles {
        console.keys("\x03");
        console.ends_with(0);
    }
}
