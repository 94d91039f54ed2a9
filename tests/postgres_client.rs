//! The way to PostgreSQL, on real servers: TLS as libpq means it, passwords from where libpq has them, and what the
//! operator is told when it does not work.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails at once")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use secrecy::SecretString;
use support::server::{PASSWORD, Server, Silent, free_port, hand_over};
use tempfile::TempDir;
use tierdeck::clients::Environment;
use tierdeck::clients::postgres::{ConnectError, Connection, QueryError, Stage, Target, Timeouts, connect};

const EVERYBODY: &str = "local all all scram-sha-256\nhost all all all scram-sha-256\n";

fn target(url: &str) -> Target {
    Target::parse(url, &Environment::of([])).unwrap()
}

fn password() -> SecretString {
    SecretString::from(PASSWORD)
}

async fn log_in(url: &str) -> Result<Connection, ConnectError> {
    connect(&target(url), Some(password()), &Timeouts::default()).await
}

async fn fails(url: &str) -> ConnectError {
    let error = log_in(url).await.expect_err("this must not connect");
    assert!(!error.to_string().contains(PASSWORD), "{error}");
    error
}

async fn shown(connection: &Connection, setting: &str) -> String {
    connection.query_one(&format!("SHOW {setting}"), &[]).await.unwrap().get(0)
}

/// Two authorities and a server's certificates, in a folder that goes with them.
struct Certificates(TempDir);

impl Certificates {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let openssl = |arguments: &str| {
            let made = Command::new("openssl").args(arguments.split(' ')).current_dir(folder.path()).output().unwrap();
            assert!(made.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&made.stderr));
        };
        for name in ["ca", "other"] {
            openssl(&format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {name}.key -out {name}.crt -days 30 -subj /CN={name}"
            ));
        }
        for (name, names) in [("server", "DNS:localhost,IP:127.0.0.1"), ("elsewhere", "DNS:db.example")] {
            fs::write(folder.path().join("extensions"), format!("subjectAltName={names}\n")).unwrap();
            openssl(&format!(
                "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
            ));
            openssl(&format!(
                "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out {name}.crt -days 30 -extfile extensions"
            ));
        }
        fs::write(folder.path().join("extensions"), "extendedKeyUsage=clientAuth\n").unwrap();
        openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout client.key -out client.csr -subj /CN=postgres",
        );
        openssl(
            "x509 -req -in client.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out client.crt -days 30 -extfile extensions",
        );
        openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout self.key -out self.crt -days 30 -subj /CN=self -addext subjectAltName=DNS:localhost",
        );
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `sslrootcert=` one of them.
    fn root(&self, name: &str) -> String {
        format!("sslrootcert={}", self.path(name).display())
    }
}

/// A server that shows this certificate and takes logins as this `pg_hba.conf` says.
fn server_with(certificates: &Certificates, certificate: &str, hba: &str) -> Server {
    Server::start("ssl = on\nssl_ca_file = 'ca.crt'", hba, |data| {
        for (from, to) in [
            (format!("{certificate}.crt"), "server.crt"),
            (format!("{certificate}.key"), "server.key"),
            ("ca.crt".to_owned(), "ca.crt"),
        ] {
            let to = data.join(to);
            fs::copy(certificates.path(&from), &to).unwrap();
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
            hand_over(&to);
        }
    })
}

fn plain_server(settings: &str) -> Server {
    Server::start(settings, EVERYBODY, |_: &Path| {})
}

#[tokio::test]
async fn every_sslmode_against_a_server_with_its_own_authority() {
    let certificates = Certificates::make();
    let server = server_with(&certificates, "server", EVERYBODY);
    for (parameters, encrypted) in [
        ("sslmode=disable".to_owned(), false),
        ("sslmode=allow".to_owned(), false),
        ("sslmode=prefer".to_owned(), true),
        (String::new(), true),
        ("sslmode=require".to_owned(), true),
        (format!("sslmode=require&{}", certificates.root("ca.crt")), true),
        (format!("sslmode=verify-ca&{}", certificates.root("ca.crt")), true),
        (format!("sslmode=verify-full&{}", certificates.root("ca.crt")), true),
        ("sslmode=require&channel_binding=require".to_owned(), true),
    ] {
        let connection = log_in(&server.url(&parameters)).await.unwrap_or_else(|error| panic!("{parameters}: {error}"));
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let ssl: bool = connection.query_one(sql, &[]).await.unwrap().get(0);
        assert_eq!((ssl, connection.is_encrypted()), (encrypted, encrypted), "{parameters}");
    }
    // The wrong authority: everything that verifies refuses; prefer goes on without TLS, as libpq does.
    for mode in ["require", "verify-ca", "verify-full"] {
        let error = fails(&server.url(&format!("sslmode={mode}&{}", certificates.root("other.crt")))).await;
        assert!(matches!(error, ConnectError::UntrustedCertificate { .. }), "{mode}: {error:?}");
        assert!(error.to_string().contains("sslrootcert="));
    }
    let fallen_back = log_in(&server.url(&format!("sslmode=prefer&{}", certificates.root("other.crt")))).await.unwrap();
    assert!(!fallen_back.is_encrypted());
    // The system does not know our authority; nor does libpq accept less than verify-full with it.
    let error = fails(&server.url("sslmode=verify-full&sslrootcert=system")).await;
    assert!(matches!(error, ConnectError::UntrustedCertificate { .. } | ConnectError::Tls { .. }), "{error:?}");
    let error = fails(&server.url("sslmode=verify-full")).await;
    assert!(!error.to_string().contains("needs the authority"), "{error}");
    // Files that are not there, and files that hold no certificate.
    for (parameters, part) in [
        ("sslmode=verify-ca".to_owned(), "sslrootcert="),
        ("sslmode=verify-full&sslrootcert=/nonexistent".to_owned(), "/nonexistent"),
        (format!("sslmode=require&{}", certificates.root("ca.key")), "no certificate"),
        (format!("sslcert={}", certificates.path("client.crt").display()), "private key"),
    ] {
        let error = fails(&server.url(&parameters)).await;
        assert!(matches!(error, ConnectError::TlsSetup { .. }), "{error:?}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn the_hosts_name_counts_only_with_verify_full() {
    let certificates = Certificates::make();
    let server = server_with(&certificates, "elsewhere", EVERYBODY);
    for mode in ["require", "verify-ca"] {
        log_in(&server.url(&format!("sslmode={mode}&{}", certificates.root("ca.crt")))).await.unwrap();
    }
    let error = fails(&server.url(&format!("sslmode=verify-full&{}", certificates.root("ca.crt")))).await;
    assert!(
        matches!(&error, ConnectError::WrongHost { presented, .. } if presented.contains("db.example")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_self_signed_certificate_that_is_itself_trusted() {
    let certificates = Certificates::make();
    let server = server_with(&certificates, "self", EVERYBODY);
    let url = format!("postgresql://postgres@localhost:{}/postgres?sslmode=verify-full", server.port);
    log_in(&format!("{url}&{}", certificates.root("self.crt"))).await.unwrap();
    let error = fails(&format!("{url}&{}", certificates.root("other.crt"))).await;
    assert!(matches!(error, ConnectError::UntrustedCertificate { .. } | ConnectError::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn the_server_decides_with_or_without_tls() {
    let certificates = Certificates::make();
    let insists = server_with(&certificates, "server", "hostssl all all all scram-sha-256\n");
    assert!(log_in(&insists.url("sslmode=allow")).await.unwrap().is_encrypted());
    let error = fails(&insists.url("sslmode=disable")).await;
    assert!(matches!(error, ConnectError::NotAllowed { .. }), "{error:?}");
    assert_eq!(error.code(), Some("28000"));

    let refuses = server_with(&certificates, "server", "hostnossl all all all scram-sha-256\n");
    assert!(!log_in(&refuses.url("sslmode=prefer")).await.unwrap().is_encrypted());
    assert!(matches!(fails(&refuses.url("sslmode=require")).await, ConnectError::NotAllowed { .. }));

    let certificate = server_with(&certificates, "server", "hostssl all all all cert\n");
    let pair = format!(
        "sslcert={}&sslkey={}",
        certificates.path("client.crt").display(),
        certificates.path("client.key").display()
    );
    let with = connect(&target(&certificate.url(&format!("sslmode=require&{pair}"))), None, &Timeouts::default()).await;
    assert!(with.unwrap().is_encrypted());
    assert!(matches!(fails(&certificate.url("sslmode=require")).await, ConnectError::NotAllowed { .. }));
}

#[tokio::test]
async fn without_tls_on_the_server() {
    let server = plain_server("");
    for mode in ["disable", "allow", "prefer"] {
        assert!(!log_in(&server.url(&format!("sslmode={mode}"))).await.unwrap().is_encrypted());
    }
    for mode in ["require", "verify-full"] {
        let error = fails(&server.url(&format!("sslmode={mode}"))).await;
        assert!(matches!(error, ConnectError::NoTls { .. }), "{error:?}");
    }
    // The other ways to the same server.
    let port = server.port;
    let folder = server.socket_folder().display().to_string();
    for url in [
        format!("postgresql://postgres@[::1]:{port}/postgres"),
        format!("postgresql://postgres@{}:{port}/postgres?sslmode=verify-ca", folder.replace('/', "%2F")),
        format!("postgresql://postgres@/postgres?host={folder}&port={port}"),
        format!("postgresql://postgres@127.0.0.1:{},127.0.0.1:{port}/postgres", free_port()),
    ] {
        log_in(&url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }
}

#[tokio::test]
async fn passwords_come_from_where_libpq_has_them() {
    let server = plain_server("");
    let folder = tempfile::tempdir().unwrap();
    let passfile = folder.path().join("pass");
    let write = |line: &str, mode: u32| {
        fs::write(&passfile, line).unwrap();
        fs::set_permissions(&passfile, fs::Permissions::from_mode(mode)).unwrap();
    };
    let from = |variables: &[(&str, &str)]| {
        let mut variables = variables.to_vec();
        let path = passfile.display().to_string();
        variables.push(("PGPASSFILE", &path));
        Target::parse(&server.url(""), &Environment::of(variables)).unwrap()
    };
    let ask = async |target: Target| connect(&target, None, &Timeouts::default()).await;

    let error = ask(from(&[])).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ConnectError::NoPassword { .. }), "{error:?}");
    assert!(text.contains("postgres") && text.contains("PGPASSWORD") && text.contains("/pass"), "{text}");

    write(&format!("127.0.0.1:{}:postgres:postgres:{PASSWORD}\n", server.port), 0o600);
    assert_eq!(ask(from(&[])).await.unwrap().warning(), None);
    // A variable goes before the file, and what is given before both.
    let error = ask(from(&[("PGPASSWORD", "wrong-one")])).await.unwrap_err();
    assert!(matches!(&error, ConnectError::WrongPassword { from, .. } if from == "PGPASSWORD"), "{error:?}");
    assert_eq!(error.trouble().code.as_deref(), Some("28P01"));
    assert!(!error.to_string().contains("wrong-one"));
    connect(&from(&[("PGPASSWORD", "wrong-one")]), Some(password()), &Timeouts::default()).await.unwrap();

    write(&format!("*:*:*:*:{PASSWORD}x\n"), 0o600);
    let error = ask(from(&[])).await.unwrap_err();
    assert!(matches!(&error, ConnectError::WrongPassword { from, .. } if from.ends_with("/pass")), "{error:?}");
    write(&format!("*:*:*:*:{PASSWORD}\n"), 0o644);
    let error = ask(from(&[])).await.unwrap_err();
    assert!(matches!(error, ConnectError::NoPassword { .. }) && error.to_string().contains("chmod 600"), "{error}");
}

#[tokio::test]
async fn sessions_behave_from_their_first_statement() {
    let server = plain_server("");
    // Spawned, as whoever polls will do: what connects must be able to move between threads.
    let url = server.url("application_name=somebody");
    let connection = tokio::spawn(async move { log_in(&url).await.unwrap() }).await.unwrap();
    for (setting, value) in [
        ("statement_timeout", "5s"),
        ("lock_timeout", "50ms"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("default_transaction_read_only", "on"),
        ("application_name", "tierdeck"),
        ("jit", "off"),
        ("search_path", "pg_catalog,pg_temp"),
        ("standard_conforming_strings", "on"),
    ] {
        assert_eq!(shown(&connection, setting).await, value, "{setting}");
    }
    assert!(connection.server_version().starts_with(|char: char| char.is_ascii_digit()));
    let error = connection.batch("CREATE TABLE t (a int)").await.unwrap_err();
    assert_eq!(error.code(), Some("25006"), "{error:?}");

    let writing = Timeouts { read_only: false, ..Timeouts::default() };
    let writer = connect(&target(&server.url("")), Some(password()), &writing).await.unwrap();
    writer.batch("CREATE TABLE public.locked (a int)").await.unwrap();
    writer.batch("BEGIN; LOCK TABLE public.locked").await.unwrap();
    let error = connection.query("SELECT * FROM public.locked", &[]).await.unwrap_err();
    assert!(matches!(error, QueryError::Locked { .. }) && error.code() == Some("55P03"), "{error:?}");

    writer.batch("ROLLBACK; CREATE ROLE weak LOGIN PASSWORD 'weak'").await.unwrap();
    let weak = server.url("").replace("postgres@", "weak@");
    let weak = connect(&target(&weak), Some(SecretString::from("weak")), &Timeouts::default()).await.unwrap();
    let error = weak.query("SELECT * FROM public.locked", &[]).await.unwrap_err();
    assert!(error.is_denied() && error.code() == Some("42501") && error.to_string().contains("locked"), "{error}");
    assert!(!error.is_lost() && !weak.is_closed());
    let error = weak.query("SELECT * FROM \"a\u{1b}[31m\nb\"", &[]).await.unwrap_err();
    assert!(!error.to_string().contains(['\u{1b}', '\n']) && error.code() == Some("42P01"), "{error:?}");
}

#[tokio::test]
async fn whoever_owns_the_database_or_the_role_puts_no_code_before_the_servers() {
    let server = plain_server("");
    let writing = Timeouts { read_only: false, ..Timeouts::default() };
    let writer = connect(&target(&server.url("")), Some(password()), &writing).await.unwrap();
    for sql in [
        "CREATE SCHEMA evil",
        "CREATE FUNCTION evil.pg_backend_pid() RETURNS int LANGUAGE sql AS 'SELECT 42'",
        "ALTER DATABASE postgres SET search_path = evil, pg_catalog",
        "ALTER ROLE postgres SET search_path = evil, pg_catalog",
        "ALTER DATABASE postgres SET standard_conforming_strings = off",
    ] {
        writer.batch(sql).await.unwrap();
    }
    // Without what we set at the beginning it would be run.
    let bare = writer.query_one("SELECT evil.pg_backend_pid()", &[]).await.unwrap();
    assert_eq!(bare.get::<_, i32>(0), 42);
    let connection = log_in(&server.url("")).await.unwrap();
    let row = connection.query_one("SELECT pg_backend_pid(), length('\\')", &[]).await.unwrap();
    assert_ne!(row.get::<_, i32>(0), 42);
    assert_eq!(row.get::<_, i32>(1), 1);
}

#[tokio::test]
async fn what_the_server_says_no_with() {
    let server = plain_server("max_connections = 4\nsuperuser_reserved_connections = 1\nlog_min_messages = debug1");
    let missing = format!("postgresql://postgres@127.0.0.1:{}/nowhere", server.port);
    let error = fails(&missing).await;
    assert!(matches!(error, ConnectError::NoDatabase { .. }) && error.code() == Some("3D000"), "{error:?}");
    let error = fails(&format!("postgresql://postgres@127.0.0.1:{}/postgres", free_port())).await;
    assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");
    let error = fails("postgresql://postgres@no-such-host.invalid/postgres").await;
    assert!(
        matches!(error, ConnectError::Resolve { .. } | ConnectError::Timeout { stage: Stage::Resolving, .. }),
        "{error:?}"
    );
    let error = fails("postgresql://postgres@%2Fnonexistent/postgres").await;
    assert!(matches!(error, ConnectError::NoSocket { .. }), "{error:?}");
    let mut held = Vec::new();
    let error = loop {
        assert!(held.len() < 10, "the server takes more than it has");
        match log_in(&server.url("")).await {
            Ok(connection) => held.push(connection),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ConnectError::Full { .. }) && error.code() == Some("53300"), "{error:?}");
    // Dropped connections end on the server too, and properly.
    drop(held);
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Err(error) = log_in(&server.url("")).await {
        assert!(Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!server.log().contains("EOF") && !server.log().contains("could not receive"), "{}", server.log());
}

#[tokio::test]
async fn our_own_limit_is_not_the_servers() {
    let server = plain_server("");
    let writing = Timeouts { read_only: false, ..Timeouts::default() };
    let writer = connect(&target(&server.url("")), Some(password()), &writing).await.unwrap();
    writer.batch("CREATE ROLE one LOGIN PASSWORD 'one' CONNECTION LIMIT 1").await.unwrap();
    writer.batch("CREATE ROLE shut PASSWORD 'shut'").await.unwrap();
    let one = target(&server.url("").replace("postgres@", "one@"));
    let _held = connect(&one, Some(SecretString::from("one")), &Timeouts::default()).await.unwrap();
    let error = connect(&one, Some(SecretString::from("one")), &Timeouts::default()).await.unwrap_err();
    assert!(matches!(error, ConnectError::OwnLimit { .. }) && error.code() == Some("53300"), "{error:?}");
    let shut = target(&server.url("").replace("postgres@", "shut@"));
    let error = connect(&shut, Some(SecretString::from("shut")), &Timeouts::default()).await.unwrap_err();
    assert!(matches!(&error, ConnectError::NotAllowed { .. }) && error.to_string().contains("LOGIN"), "{error}");
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing() {
    let silent = Silent::start();
    let timeouts = Timeouts { connect: Duration::from_millis(300), ..Timeouts::default() };
    for mode in ["disable", "prefer", "verify-full"] {
        let url = format!("postgresql://u@127.0.0.1:{}/d?sslmode={mode}", silent.port);
        let before = Instant::now();
        let error = connect(&target(&url), None, &timeouts).await.unwrap_err();
        assert!(matches!(error, ConnectError::Timeout { stage: Stage::Login, .. }), "{error:?}");
        assert!(error.to_string().contains("says nothing"), "{error}");
        assert!(before.elapsed() < Duration::from_secs(2));
    }
    // The next host still gets its turn.
    let server = plain_server("");
    let both = format!("postgresql://postgres@127.0.0.1:{},127.0.0.1:{}/postgres", silent.port, server.port);
    let patient = Timeouts { connect: Duration::from_secs(4), ..Timeouts::default() };
    connect(&target(&both), Some(password()), &patient).await.unwrap();
}

#[tokio::test]
async fn something_that_is_not_postgresql() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let web = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    for mode in ["disable", "require"] {
        let error = fails(&format!("postgresql://u@127.0.0.1:{port}/d?sslmode={mode}")).await;
        let said = matches!(error, ConnectError::Broken { .. } | ConnectError::NoTls { .. } | ConnectError::Tls { .. });
        assert!(said, "{error:?}");
    }
    web.abort();
}

#[tokio::test]
async fn slow_queries_are_stopped_and_silent_servers_left() {
    let server = plain_server("");
    let quick =
        Timeouts { statement: Duration::from_millis(200), grace: Duration::from_millis(1_300), ..Timeouts::default() };
    let connection = connect(&target(&server.url("")), Some(password()), &quick).await.unwrap();
    let error = connection.query("SELECT pg_sleep(30)", &[]).await.unwrap_err();
    assert!(matches!(error, QueryError::StatementTimeout { .. }) && error.code() == Some("57014"), "{error:?}");

    // The session lifted its own limit: we cancel, and the session stays.
    connection.batch("SET statement_timeout = 0").await.unwrap();
    let error = connection.query("SELECT pg_sleep(30)", &[]).await.unwrap_err();
    assert_eq!(error, QueryError::Silent { after: Duration::from_millis(1_500), lost: false });
    assert_eq!(connection.query_one("SELECT 7", &[]).await.unwrap().get::<_, i32>(0), 7);

    // The backend does not even react to that: the connection goes.
    let pid: i32 = connection.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    Server::signal(pid, Signal::SIGSTOP);
    let before = Instant::now();
    let error = connection.query("SELECT 1", &[]).await.unwrap_err();
    Server::signal(pid, Signal::SIGCONT);
    assert!(error.is_lost() && before.elapsed() < Duration::from_secs(8), "{error:?}");
    assert!(connection.is_closed() || connection.query("SELECT 1", &[]).await.is_err());
}

#[tokio::test]
async fn a_cancel_request_goes_the_encrypted_way_too() {
    let certificates = Certificates::make();
    let server = server_with(&certificates, "server", "hostssl all all all scram-sha-256\n");
    let quick = Timeouts { statement: Duration::from_millis(200), ..Timeouts::default() };
    let url = server.url(&format!("sslmode=verify-full&{}", certificates.root("ca.crt")));
    let connection = connect(&target(&url), Some(password()), &quick).await.unwrap();
    connection.batch("SET statement_timeout = 0").await.unwrap();
    let error = connection.query("SELECT pg_sleep(30)", &[]).await.unwrap_err();
    assert!(matches!(error, QueryError::Silent { lost: false, .. }), "{error:?}");
    connection.query("SELECT 1", &[]).await.unwrap();
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle() {
    let server = plain_server("");
    let connection = log_in(&server.url("")).await.unwrap();
    let other = log_in(&server.url("")).await.unwrap();
    let idle = log_in(&server.url("")).await.unwrap();
    let idle_pid: i32 = idle.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let pid: i32 = connection.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let (answer, ()) = tokio::join!(connection.query("SELECT pg_sleep(30)", &[]), async {
        other.query("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
    });
    let error = answer.unwrap_err();
    assert!(error.is_lost() && error.code() == Some("57P01"), "{error:?}");

    // Terminated while idle: the next question says why, not only that the connection is closed.
    other.query("SELECT pg_terminate_backend($1)", &[&idle_pid]).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !idle.is_closed() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let error = idle.query("SELECT 1", &[]).await.unwrap_err();
    assert!(error.is_lost() && error.to_string().contains("terminating connection"), "{error:?}");

    // Killed outright, with a query running.
    let watcher = log_in(&server.url("")).await.unwrap();
    let (answer, ()) = tokio::join!(other.query("SELECT pg_sleep(30)", &[]), async {
        let running = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        let deadline = Instant::now() + Duration::from_secs(4);
        while watcher.query(running, &[]).await.unwrap().is_empty() {
            assert!(Instant::now() < deadline);
        }
        nix::sys::signal::kill(server.pid(), Signal::SIGQUIT).unwrap();
    });
    let error = answer.unwrap_err();
    assert!(error.is_lost(), "{error:?}");
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let error = fails(&server.url("")).await;
        if matches!(error, ConnectError::Refused { .. }) {
            break;
        }
        assert!(Instant::now() < deadline, "{error:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
