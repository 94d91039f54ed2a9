//! `tierdeck demo`, the real binary: what it says, what it serves, and that nothing of it is left whichever way it ends.
//!
//! Each test has a temp folder of its own, so "nothing is left" means: that folder is empty, and no process names it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::console::{Console, PATIENCE, tierdeck};
use support::skipped::skipped;
use tempfile::TempDir;

/// A temp folder for estates, which the server's user may enter.
struct Ground(TempDir);

impl Ground {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("tierdeck-ground-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Estates in it.
    fn estates(&self) -> Vec<PathBuf> {
        fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// Processes that name it: postmasters of estates in it.
    fn processes(&self) -> Vec<i32> {
        let named = |pid: &i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&*self.path().to_string_lossy())
        };
        let pids = fs::read_dir("/proc").unwrap().flatten();
        pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(named).collect()
    }

    #[track_caller]
    fn is_clean(&self) {
        let begun = Instant::now();
        loop {
            let (estates, processes) = (self.estates(), self.processes());
            if estates.is_empty() && processes.is_empty() {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "left behind: {estates:?}, processes {processes:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `tierdeck demo` without a console.
    fn headless(&self, arguments: &[&str]) -> Headless {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tierdeck"));
        command.args(["demo", "--headless", "--scenario", "calm"]).args(arguments).env("TMPDIR", self.path());
        if !arguments.contains(&"--dedicated") {
            command.args(["--dedicated", "0"]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Headless(command.spawn().unwrap())
    }

    /// `tierdeck demo` in a pty.
    fn console(&self) -> Console {
        let arguments = ["demo", "--tenants", "3", "--dedicated", "1", "--scenario", "calm"];
        tierdeck(&arguments).environment("TMPDIR", self.path()).open()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // A test that failed leaves no server on the machine.
        for pid in self.processes() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// A way to leave a console: its name, what to do, the exit code.
type Way = (&'static str, fn(&mut Console), u32);

struct Headless(Child);

impl Headless {
    /// The line that says that it is ready.
    #[track_caller]
    fn ready(&mut self) -> serde_json::Value {
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }

    /// Exit code and what it said on stdout (after the line) and stderr.
    fn ends(mut self) -> (Option<i32>, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.0.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (self.0.wait().unwrap().code(), out, err)
    }
}

impl Drop for Headless {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The estate's process beside a console: the console's only child.
fn estate_of(console: &Console) -> i32 {
    let pid = console.pid();
    // Children are listed by the thread that made them.
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let children = threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    let children: String = children.collect();
    children.split_whitespace().next().and_then(|pid| pid.parse().ok()).unwrap()
}

fn is_running(pid: i32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}

#[test]
fn headless_says_one_line_serves_and_leaves_nothing() {
    for (signal, tenants) in [(Signal::SIGINT, "1"), (Signal::SIGTERM, "5")] {
        let ground = Ground::new();
        let mut demo = ground.headless(&["--tenants", tenants]);
        let pid = demo.0.id();
        let begun = Instant::now();
        let ready = demo.ready();
        println!("ready after {:?}: {ready}", begun.elapsed());
        assert_eq!(ready["pid"], pid);
        assert_eq!(ready["instances"][0]["name"], "shared");
        assert!(ready["instances"][0]["url"].as_str().unwrap().starts_with("postgresql://tierdeck@127.0.0.1:"));
        // Not how many: a backend has its postmaster's name for a moment.
        assert!(!ground.processes().is_empty(), "a postmaster names its folder");

        let config = ready["config"].as_str().unwrap();
        let said = support::console::run(&["--config", config, "status", "--json"], ground.path());
        let status: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert_eq!(status["tenants"].as_array().unwrap().len().to_string(), tenants);
        assert_eq!(status["instances"][0]["reachable"], true);

        demo.signal(signal);
        let (code, more, _) = demo.ends();
        assert_eq!((code, more.as_str()), (Some(0), ""), "after {signal}");
        ground.is_clean();
    }
}

/// `bao` where everybody may run it, on a PATH of its own.
fn installed() -> Option<TempDir> {
    let program = support::bao::program()?;
    let folder = tempfile::Builder::new().prefix("tierdeck-bao-").tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let there = folder.path().join("bao");
    if fs::hard_link(&program, &there).is_err() {
        fs::copy(&program, &there).unwrap();
    }
    Some(folder)
}

fn status(config: &str, home: &Path) -> serde_json::Value {
    let said = support::console::run(&["--config", config, "status", "--json"], home);
    assert_eq!(said.code, Some(0), "{}", said.err);
    serde_json::from_str(&said.out).unwrap()
}

/// Findings about secrets, as severity and tenant.
fn about_secrets(status: &serde_json::Value) -> Vec<String> {
    let all = status["findings"].as_array().unwrap().iter();
    let about = all.filter(|it| it["signal"] == "secret-mismatch" || it["signal"] == "orphan");
    about.map(|it| format!("{} {} {}", it["severity"], it["signal"], it["subject"]["id"]).replace('"', "")).collect()
}

/// The stand-in where no Vault is on PATH, the real one where one is; with everybody's secret in it, and all of them right.
#[test]
fn secrets_are_kept_and_what_keeps_them_goes_with_the_estate() {
    let installed = installed();
    if installed.is_none() {
        skipped("a real Vault in the demo: no bao on PATH (make install-test fetches one)");
    }
    for (real, layout) in [(false, "database"), (false, "schema"), (true, "schema")] {
        let Some(path) = (if real { installed.as_ref().map(TempDir::path) } else { Some(Path::new("/nowhere")) })
        else {
            continue;
        };
        let paths = std::env::var_os("PATH").unwrap();
        let others = std::env::split_paths(&paths).filter(|it| !it.join("bao").exists() && !it.join("vault").exists());
        let paths = std::env::join_paths([path.to_owned()].into_iter().chain(others)).unwrap();
        let ground = Ground::new();
        let start = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tierdeck"));
            command.args(["demo", "--headless", "--scenario", "calm", "--tenants", "12", "--layout", layout]);
            command.args(["--dedicated", "0"]);
            command.env("TMPDIR", ground.path()).env("PATH", &paths).stdin(Stdio::null());
            Headless(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        };
        let mut demo = start();
        let ready = demo.ready();
        let config = ready["config"].as_str().unwrap();
        let seen = status(config, ground.path());
        assert_eq!(seen["estate"]["secrets"]["read"], 12, "{:#}", seen["estate"]);
        assert_eq!(about_secrets(&seen), [""; 0]);
        for tenant in seen["tenants"].as_array().unwrap() {
            let secret = &tenant["secret"];
            assert_eq!(secret["points_to"]["instance"], "shared", "{tenant:#}");
            assert_eq!(secret["custom_metadata"]["owner"], "platform", "{tenant:#}");
        }
        let home = Path::new(config).parent().unwrap();
        let token = fs::read_to_string(home.join("vault.token")).unwrap();
        let pid = fs::read_to_string(home.join("vault.pid"));
        let pid: Option<i32> = pid.ok().map(|text| text.lines().next().unwrap().parse().unwrap());
        assert_eq!(pid.is_some_and(is_running), real);
        if let Some(pid) = pid {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
            let line = String::from_utf8_lossy(&line).into_owned();
            assert!(line.contains("bao") && line.contains("127.0.0.1:") && !line.contains(&token), "{line}");
            let who = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let uid = who.lines().find(|line| line.starts_with("Uid:")).unwrap();
            assert!(!uid.split_whitespace().any(|id| id == "0"), "it runs as root: {uid}");
        }
        if real {
            // Killed, it takes nothing along; the next one that starts clears up after it.
            demo.signal(Signal::SIGKILL);
            demo.0.wait().unwrap();
            assert!(is_running(pid.unwrap()));
            demo = start();
            demo.ready();
            assert!(!is_running(pid.unwrap()), "nobody cleared up");
        }
        demo.signal(Signal::SIGTERM);
        assert_eq!(demo.ends().0, Some(0));
        ground.is_clean();
    }
}

#[test]
fn a_wrong_secret_is_told_by_the_scenario_that_makes_one() {
    let ground = Ground::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tierdeck"));
    command.args(["demo", "--headless", "--tenants", "12", "--dedicated", "0", "--scenario", "wrong-secret"]);
    command.env("TMPDIR", ground.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut demo = Headless(command.spawn().unwrap());
    let ready = demo.ready();
    let begun = Instant::now();
    loop {
        let found = about_secrets(&status(ready["config"].as_str().unwrap(), ground.path()));
        if let [one] = found.as_slice() {
            assert!(one.starts_with("critical secret-mismatch "), "{one}");
            break;
        }
        assert!(found.is_empty() && begun.elapsed() < PATIENCE, "{found:?}");
    }
    demo.signal(Signal::SIGTERM);
    assert_eq!(demo.ends().0, Some(0));
    ground.is_clean();
}

#[test]
fn a_public_snapshot_is_told_by_the_scenario_that_makes_one() {
    let ground = Ground::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tierdeck"));
    command.args(["demo", "--headless", "--tenants", "5", "--dedicated", "3", "--scenario", "public-snapshot"]);
    command.env("TMPDIR", ground.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut demo = Headless(command.spawn().unwrap());
    let ready = demo.ready();
    let begun = Instant::now();
    loop {
        let seen = status(ready["config"].as_str().unwrap(), ground.path());
        let all = seen["findings"].as_array().unwrap();
        // Beside it another is given to an account that nobody allowed: a warning by itself.
        let public = |it: &&serde_json::Value| it["signal"] == "snapshot-exposure" && it["severity"] == "critical";
        if let Some(found) = all.iter().find(public) {
            assert_eq!(found["subject"]["id"], "portarium-demo-fabrikam-energy-db", "{found:#}");
            assert!(found["summary"].as_str().unwrap().contains("the data of fabrikam-energy"), "{found:#}");
            assert!(found["advice"].as_str().unwrap().contains("--values-to-remove all --region"), "{found:#}");
            break;
        }
        assert!(begun.elapsed() < 6 * PATIENCE, "{:#}", seen["findings"]);
    }
    demo.signal(Signal::SIGTERM);
    assert_eq!(demo.ends().0, Some(0));
    ground.is_clean();
}

#[test]
fn a_scenario_that_needs_more_instances_says_how_many() {
    let ground = Ground::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tierdeck"));
    command.args(["demo", "--headless", "--tenants", "5", "--dedicated", "2", "--scenario", "public-snapshot"]);
    let said = command.env("TMPDIR", ground.path()).stdin(Stdio::null()).output().unwrap();
    let words = String::from_utf8(said.stderr).unwrap();
    assert!(said.status.code() == Some(2) && words.contains("--dedicated 3"), "{:?}: {words}", said.status);
    ground.is_clean();
}

#[test]
fn a_signal_while_it_starts_leaves_nothing() {
    // While nothing is there yet, while initdb runs, while the world is built.
    std::thread::scope(|scope| {
        for pause in [50, 400, 900, 1_500, 2_500] {
            scope.spawn(move || {
                let ground = Ground::new();
                let demo = ground.headless(&["--tenants", "300"]);
                std::thread::sleep(Duration::from_millis(pause));
                demo.signal(if pause % 200 == 0 { Signal::SIGINT } else { Signal::SIGTERM });
                let (code, out, err) = demo.ends();
                // Ready is the one that was quicker than the signal.
                let ready = out.contains("\"config\"");
                // Before it listens to signals there is nothing that it would have to remove, and it has said nothing.
                let unheard = code.is_none() && out.is_empty() && err.is_empty();
                assert!(unheard || code == Some(if ready { 0 } else { 130 }), "after {pause} ms: {code:?} {out}{err}");
                ground.is_clean();
            });
        }
    });
}

#[test]
fn an_estate_is_kept_where_it_was_asked_for() {
    let ground = Ground::new();
    let place = ground.path().join("mine");
    let dir = place.to_str().unwrap();
    let mut demo = ground.headless(&["--tenants", "3", "--dir", dir, "--keep"]);
    let ready = demo.ready();
    let home = place.canonicalize().unwrap();
    assert!(ready["config"].as_str().unwrap().starts_with(home.to_str().unwrap()), "{ready}");
    demo.signal(Signal::SIGTERM);
    assert_eq!(demo.ends().0, Some(0));
    assert!(place.join("tierdeck.toml").exists() && place.join("data/PG_VERSION").exists());
    assert_eq!(ground.estates(), std::slice::from_ref(&place), "nothing but what was asked for");
    assert_eq!(ground.processes(), [0; 0], "kept files, no server");

    let again = ground.headless(&["--dir", dir]).ends();
    assert_eq!(again.0, Some(2));
    assert!(again.1.is_empty() && again.2.contains("mine") && again.2.contains("not empty"), "{}", again.2);
    assert_eq!(again.2.lines().count(), 1, "before anything is begun, and in one line: {}", again.2);
    assert!(place.join("data/PG_VERSION").exists(), "what is there stays");

    // Made for the occasion and not kept: gone with the estate.
    let place = ground.path().join("other");
    let mut demo = ground.headless(&["--tenants", "3", "--dir", place.to_str().unwrap()]);
    let ready = demo.ready();
    // What a console on it remembers is the estate's.
    fs::create_dir_all(Path::new(ready["config"].as_str().unwrap()).with_file_name("state").join("deep")).unwrap();
    demo.signal(Signal::SIGINT);
    assert_eq!(demo.ends().0, Some(0));
    assert!(!place.exists());
}

#[test]
fn what_is_not_understood_is_refused_with_what_would_be() {
    let ground = Ground::new();
    let said = support::console::run(&["demo", "--headless", "--scenario", "nosy-neighbour"], ground.path());
    assert_eq!(said.code, Some(2), "{}", said.err);
    for scenario in ["calm", "noisy-neighbour", "connection-storm", "lock-pileup", "bloat", "mixed"] {
        assert!(said.err.contains(scenario), "{scenario}: {}", said.err);
    }
    for tenants in ["0", "999999", "many"] {
        let said = support::console::run(&["demo", "--headless", "--tenants", tenants], ground.path());
        assert_eq!(said.code, Some(2), "{}", said.err);
    }
    let said = support::console::run(&["demo"], ground.path());
    assert_eq!(said.code, Some(2), "no terminal: {}", said.err);
    assert!(said.err.contains("--headless"), "{}", said.err);
    ground.is_clean();
}

#[test]
fn the_console_takes_its_estate_with_it() {
    let ways: [Way; 3] = [
        ("q", |console| console.keys("q"), 0),
        ("SIGTERM", |console| console.signal(Signal::SIGTERM), 130),
        ("SIGINT", |console| console.signal(Signal::SIGINT), 130),
    ];
    for (name, leave, code) in ways {
        let ground = Ground::new();
        let mut console = ground.console();
        console.shows("TENANTS 4");
        println!("{name}: tenants after {:?}", console.begun.elapsed());
        assert_eq!(ground.estates().len(), 1);
        leave(&mut console);
        console.ends_with(code);
        // When the prompt is back, it is gone: nobody has to wait or wonder.
        assert_eq!((ground.estates(), ground.processes()), (vec![], vec![]), "after {name}");
    }
}

#[test]
fn leaving_before_the_console_opens_leaves_nothing() {
    for key in [true, false] {
        let ground = Ground::new();
        let mut console = ground.console();
        console.shows("starting PostgreSQL");
        // Ctrl-C in a terminal that is not raw yet is a signal to the group.
        if key {
            console.keys("\x03");
        } else {
            console.signal(Signal::SIGHUP);
        }
        let status = console.ends();
        assert_eq!((status.signal(), status.exit_code()), (None, 130), "{}", console.screen());
        ground.is_clean();
    }
}

/// Dedicated instances whose postmaster runs, as their data folders: a child that it has just forked still has its command line.
fn dedicated(ground: &Ground) -> BTreeSet<String> {
    let folder = |pid: i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let (_, folder) = line.split_once("postgres -D ")?;
        folder.contains("/aws/db-").then(|| folder.trim().to_owned())
    };
    ground.processes().into_iter().filter_map(folder).collect()
}

#[test]
fn dedicated_instances_come_up_and_go_with_a_killed_estate() {
    let ground = Ground::new();
    let mut estate = ground.headless(&["--tenants", "3", "--dedicated", "2"]);
    let config = PathBuf::from(estate.ready()["config"].as_str().unwrap());
    let text = fs::read_to_string(&config).unwrap();
    for line in ["[aws.demo]", "endpoint_url = \"http://127.0.0.1:", "[dedicated]", "rds = \"portarium-demo-shared\""] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let checked = support::console::run(&["config", "check", "--config", config.to_str().unwrap()], ground.path());
    assert_eq!(checked.code, Some(0), "{}", checked.err);
    let begun = Instant::now();
    while dedicated(&ground).len() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", ground.processes());
        std::thread::sleep(Duration::from_millis(100));
    }
    estate.signal(Signal::SIGKILL);
    estate.ends();
    assert!(dedicated(&ground).len() >= 2, "SIGKILL leaves the servers");
    let mut next = ground.headless(&["--tenants", "3", "--dedicated", "1"]);
    next.ready();
    assert!(ground.estates().iter().all(|home| !config.starts_with(home)), "the old one is swept");
    // In the middle of whatever its dedicated instance is at.
    next.signal(Signal::SIGTERM);
    assert_eq!(next.ends().0, Some(0));
    ground.is_clean();
}

#[test]
fn a_console_that_is_killed_takes_its_estate_with_it_too() {
    let ground = Ground::new();
    let mut console = ground.console();
    console.shows("TENANTS 4");
    let estate = estate_of(&console);
    console.signal(Signal::SIGKILL);
    console.ends();
    ground.is_clean();
    let begun = Instant::now();
    while is_running(estate) {
        assert!(begun.elapsed() < PATIENCE, "the estate's process stays");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_estate_that_is_told_to_go_goes_and_the_console_says_so() {
    let ground = Ground::new();
    let mut console = ground.console();
    console.shows("TENANTS 4");
    let estate = estate_of(&console);
    kill(Pid::from_raw(estate), Signal::SIGTERM).unwrap();
    console.until("word of it", PATIENCE, |screen| screen.contains("cannot be polled"));
    ground.is_clean();
    let begun = Instant::now();
    while is_running(estate) {
        assert!(begun.elapsed() < PATIENCE, "the estate's process stays");
        std::thread::sleep(Duration::from_millis(20));
    }
    console.keys("q");
    console.ends_with(0);
}

#[test]
fn what_a_killed_estate_left_the_next_start_sweeps() {
    let ground = Ground::new();
    let mut console = ground.console();
    console.shows("TENANTS 4");
    let estate = estate_of(&console);
    kill(Pid::from_raw(estate), Signal::SIGKILL).unwrap();
    console.signal(Signal::SIGKILL);
    console.ends();
    assert_eq!(ground.estates().len(), 1, "SIGKILL leaves the folder");
    assert!(!ground.processes().is_empty(), "and the server");

    let mut next = ground.headless(&["--tenants", "3"]);
    let ready = next.ready();
    let config = PathBuf::from(ready["config"].as_str().unwrap());
    assert_eq!(ground.estates(), [config.parent().unwrap()], "only the new one is there");
    next.signal(Signal::SIGTERM);
    assert_eq!(next.ends().0, Some(0));
    ground.is_clean();
}
