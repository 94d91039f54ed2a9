//! A tenant that writes to the operator's terminal: in its names, its `application_name` and its queries.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, Command, Stdio};

use super::support::console::{Console, PATIENCE};
use super::support::server::Server;
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
    fn start(port: u16, database: &str, statement: &[u8]) -> Self {
        let child = Command::new("psql")
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "role_acme", "-d", database, "-c"])
            .arg(OsStr::from_bytes(statement))
            .env("PGPASSWORD", SECRET)
            .env("PGCLIENTENCODING", "SQL_ASCII")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.expect("psql is installed"))
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
fn is_in_order(console: &Console) {
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

#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_is_shown_and_does_nothing() {
    let server = Server::start("track_activity_query_size = 1048576", HBA, |_| {});
    let port = server.port;
    world(port).await;
    let (schema, role, table) = (identifier("tenant_"), identifier("role_"), identifier("t"));
    let boss = session(port, "postgres", "postgres").await;
    boss.batch_execute("CREATE DATABASE raw ENCODING SQL_ASCII TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'").await.unwrap();
    let sql = format!(
        "CREATE ROLE {role} LOGIN PASSWORD '{SECRET}'; CREATE SCHEMA {schema} AUTHORIZATION {role};
         CREATE TABLE {schema}.{table} (id int PRIMARY KEY, {table} text);
         CREATE TABLE tenant_acme.{table} (id int PRIMARY KEY);
         ALTER TABLE tenant_acme.{table} OWNER TO role_acme;
         INSERT INTO tenant_acme.{table} SELECT generate_series(1, 5000); DELETE FROM tenant_acme.{table};
         GRANT ALL ON SCHEMA tenant_acme TO {role}; GRANT ALL ON tenant_acme.{table} TO {role};"
    );
    boss.batch_execute(&sql).await.unwrap();

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
    let _raw = [
        Psql::start(port, "raw", b"SELECT pg_sleep(300), '\xff\xfe\x80\x1b]0;pwned\x07 \xe2\x82'"),
        // Ends in the middle of what would be a character, with the text too long to be shown whole.
        Psql::start(port, "raw", &[&b"SELECT pg_sleep(300) -- "[..], &[0xc3; 6_000], b" \xf0\x9f"].concat()),
    ];
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND datname IS NOT NULL";
    let deadline = std::time::Instant::now() + PATIENCE;
    while boss.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) < 4 {
        assert!(std::time::Instant::now() < deadline, "the hostile sessions do not run");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    let watcher = Watcher::of(&[("shared", port)]);
    let mut consoles: Vec<Console> = [(80, 24), (200, 50), (320, 60)]
        .into_iter()
        .map(|(columns, rows)| watcher.console().size(columns, rows).open())
        .collect();
    for console in &mut consoles {
        console.until("tenants", PATIENCE, |screen| screen.contains("TENANTS 3") && screen.contains("● shared"));
        console.until("word of the lock", PATIENCE, |screen| screen.contains("waits") || screen.contains("wait"));
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
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["findings"],
        &["findings", "--json"],
        &["doctor"],
        &["doctor", "--json"],
    ] {
        let said = watcher.run(arguments);
        let what = arguments.join(" ");
        is_harmless(&what, &said.out);
        is_harmless(&format!("{what}: stderr"), &said.err);
        if arguments.contains(&"--json") {
            let document: serde_json::Value = serde_json::from_str(&said.out).unwrap();
            is_harmless(&what, &document.to_string());
        }
        if arguments == ["findings"] {
            assert!(said.out.contains("EVIL"), "nothing hostile was even shown:\n{}", said.out);
        }
    }
    for console in &mut consoles {
        console.keys("\x03");
        console.ends_with(0);
    }
}
