//! `tierdeck serve` as Prometheus meets it: the real binary on a real PostgreSQL, both formats read by Prometheus' own parser.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail and to show what it saw")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::console::PATIENCE;
use support::skipped::skipped;
use support::watcher::{self, SECRET, Watcher};

struct Serving {
    child: Child,
    address: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(watcher: &Watcher, arguments: &[&str]) -> Serving {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tierdeck"));
    command.arg("--config").arg(watcher.home().join("tierdeck.toml")).args(["serve", "--listen", "127.0.0.1:0"]);
    command.args(arguments).env("HOME", watcher.home()).env_remove("TIERDECK_STATE").stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let address = line
        .strip_prefix("serving http://")
        .and_then(|rest| rest.strip_suffix("/metrics"))
        .unwrap_or_else(|| panic!("{line}"));
    let address = address.to_owned();
    std::thread::spawn(move || lines.for_each(drop));
    Serving { child, address }
}

impl Serving {
    /// Status, content type, body.
    fn get(&self, path: &str, accept: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let kind = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-type: ").map(str::to_owned));
        (status, kind.unwrap_or_default(), body.to_owned())
    }

    fn page_until(&self, what: &str, seen: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let (status, _, page) =
                self.get("/metrics", "application/openmetrics-text; version=1.0.0, text/plain;q=0.5");
            assert_eq!(status, 200);
            if seen(&page) {
                return page;
            }
            assert!(began.elapsed() < PATIENCE, "no {what}:\n{page}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Prometheus' own parser, in a virtual environment that is kept; `None`, loudly, where there is no Python or nowhere to get it from.
fn parser() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prometheus-parser");
    let python = folder.join("bin/python3");
    let ready = |python: &Path| {
        let output = Command::new(python).args(["-c", "import prometheus_client"]).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !ready(&python) {
        let made = Command::new("python3").args(["-m", "venv"]).arg(&folder).output();
        let _ =
            made.and_then(|_| Command::new(&python).args(["-m", "pip", "install", "-q", "prometheus_client"]).output());
    }
    if ready(&python) {
        return Some(python);
    }
    skipped("the metrics' page by another's parser: no python3 with prometheus_client");
    None
}

/// Reads a page with the parser of its format; says the names of the families and how many samples.
fn parse(python: &Path, module: &str, page: &str) -> String {
    let program = format!(
        "import sys\nfrom prometheus_client.{module} import text_string_to_metric_families as read\n\
         families = list(read(sys.stdin.read()))\n\
         for f in families:\n  for s in f.samples: print(f.name, f.type, s.name, s.value, sorted(s.labels.items()))"
    );
    let mut child = Command::new(python)
        .args(["-c", &program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{page}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_what_the_console_says() {
    let server = watcher::shared().await;
    let _client = watcher::session(server.port, "role_acme", "postgres").await;
    let watcher = Watcher::of(&[("shared", server.port), ("gone", 1)]);
    tokio::task::block_in_place(|| {
        let serving = serve(&watcher, &["--tenants-max", "2"]);
        let page = serving.page_until("tenants with figures", |page| {
            page.contains("tierdeck_tenant_connections{tenant=\"acme\"") && page.contains("tierdeck_findings{")
        });
        assert!(page.ends_with("# EOF\n") && !page.contains(SECRET), "{page}");
        for line in [
            "tierdeck_instance_up{instance_name=\"shared\"} 1",
            "tierdeck_instance_up{instance_name=\"gone\"} 0",
            "tierdeck_tenants{instance_name=\"shared\"} 3",
            "tierdeck_other_tenants{instance_name=\"shared\"} 1",
            "tierdeck_findings{signal=\"unreachable\",severity=\"critical\",instance_name=\"gone\"} 1",
            "tierdeck_source_up{instance_name=\"shared\",source=\"activity\"} 1",
        ] {
            assert!(page.contains(line), "{line}\n{page}");
        }
        // What is not known is not there, rather than 0.
        assert!(!page.contains("tierdeck_instance_connections{instance_name=\"gone\""), "{page}");
        assert_eq!(page.matches("tierdeck_tenant_connections{").count(), 2, "never more than were allowed");

        let (status, kind, _) = serving.get("/metrics", "application/openmetrics-text;version=1.0.0");
        assert_eq!((status, kind.as_str()), (200, "application/openmetrics-text; version=1.0.0; charset=utf-8"));
        let (_, kind, plain) = serving.get("/metrics", "*/*");
        assert!(kind.starts_with("text/plain; version=0.0.4") && !plain.contains("# EOF"), "{kind}");
        if let Some(python) = parser() {
            let read = parse(&python, "openmetrics.parser", &page);
            assert!(
                read.contains("tierdeck_database_transactions counter tierdeck_database_transactions_total"),
                "{read}"
            );
            assert!(read.contains("tierdeck_build info tierdeck_build_info"), "{read}");
            let read = parse(&python, "parser", &plain);
            assert!(read.contains("tierdeck_instance_up gauge"), "{read}");
            println!("{} samples read by prometheus_client", read.lines().count());
        }
        let (status, _, words) = serving.get("/healthz", "*/*");
        // We are alive, and say whom we do not reach.
        assert_eq!((status, words.as_str()), (200, "1 of 2 instances not reached: gone\n"));
        assert_eq!(serving.get("/nothing", "*/*").0, 404);

        // Asked to end, it ends, also while somebody holds a connection open.
        let _idle = TcpStream::connect(&serving.address).unwrap();
        let mut serving = serving;
        let began = Instant::now();
        kill(Pid::from_raw(i32::try_from(serving.child.id()).unwrap()), Signal::SIGTERM).unwrap();
        let status = loop {
            if let Some(status) = serving.child.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(status.code(), Some(0));
    });
}

#[test]
fn strangers_are_let_in_only_when_told_to() {
    let watcher = Watcher::of(&[("shared", 1)]);
    let said = watcher.run(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    for words in ["not a loopback address", "every tenant", "--public"] {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let said = watcher.run(&["serve", "--listen", &taken.local_addr().unwrap().to_string()]);
    assert!(said.code == Some(2) && said.err.contains("cannot listen on"), "{}", said.err);
    let serving = serve(&watcher, &[]);
    // Nothing answers: before that was found out it is not ready, and says why; then it is on the page.
    let page = serving
        .page_until("word of the instance", |page| page.contains("tierdeck_instance_up{instance_name=\"shared\"} 0"));
    assert!(page.contains("tierdeck_findings{signal=\"unreachable\""), "{page}");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn strangers_who_say_nothing_use_up_nothing() {
    let watcher = Watcher::of(&[("gone", 1)]);
    tokio::task::block_in_place(|| {
        let serving = serve(&watcher, &[]);
        let open = || std::fs::read_dir(format!("/proc/{}/fd", serving.child.id())).unwrap().count();
        assert_eq!(serving.get("/", "*/*").0, 200);
        let before = open();
        let silent: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(&serving.address).unwrap()).collect();
        // They are let in until no more are; from there on it stays so. The first one may not have been gone when we counted.
        let began = Instant::now();
        while open() < before + 25 {
            assert!(began.elapsed() < PATIENCE, "{} of {}", open(), before + 25);
            std::thread::sleep(Duration::from_millis(20));
        }
        for _ in 0..20 {
            assert!(open() <= before + 40, "{} are open, {before} were", open());
            std::thread::sleep(Duration::from_millis(10));
        }
        // When they go, the next is served at once.
        drop(silent);
        assert_eq!(serving.get("/", "*/*").0, 200);
    });
}
