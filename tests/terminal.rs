//! The console as a person meets it: the real binary in a real pty on a real PostgreSQL; what keys and resizes do to it,
//! and what it leaves behind whichever way it ends.
#![expect(clippy::unwrap_used, reason = "a test's way to fail")]

mod support;

use std::time::Duration;

use nix::sys::signal::Signal;
use support::console::{Console, PATIENCE, program};
use support::watcher::{self, Watcher};

/// A way to leave: its name, what to do, the exit code.
type Way = (&'static str, fn(&mut Console), u32);

/// A console with its first data on the screen.
fn opened(watcher: &Watcher) -> Console {
    let mut console = watcher.console().open();
    console.until("first data", PATIENCE, is_live);
    console
}

/// Whether tenants and the instance's numbers are there.
fn is_live(screen: &str) -> bool {
    screen.contains("TENANTS 3") && screen.contains("acme") && screen.contains("● shared")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_frame_the_first_data_and_the_keys() {
    let server = watcher::shared().await;
    let _client = watcher::session(server.port, "role_acme", "postgres").await;
    let watcher = Watcher::of(&[("shared", server.port)]);
    let mut console = watcher.console().open();
    console.until("frame", PATIENCE, |screen| screen.contains("WHAT IS WRONG") && screen.contains("READ-ONLY"));
    let frame = console.begun.elapsed();
    console.until("sessions", PATIENCE, |screen| screen.contains("● shared"));
    let sessions = console.begun.elapsed();
    console.until("tenants", PATIENCE, is_live);
    println!("first frame {frame:?}, first sessions {sessions:?}, first tenants {:?}", console.begun.elapsed());
    assert!(console.is_raw(), "keys must come one by one");

    console.keys("/globex");
    console.until("filtered tenants", PATIENCE, |screen| screen.contains("globex") && !screen.contains("initech"));
    console.keys("\r");
    console.shows("1 match /globex");
    console.keys("\x1b");
    console.until("all tenants again", PATIENCE, |screen| screen.contains("initech"));

    console.keys(":");
    console.until("the palette", PATIENCE, |screen| screen.contains("do it") || screen.contains("close"));
    // Esc and the next key would be one key if they came at once.
    console.keys("\x1b");
    console.until("no palette", PATIENCE, |screen| screen.contains("q quit"));
    console.keys("/acme\r");
    console.until("one tenant", PATIENCE, |screen| !screen.contains("globex") && screen.contains("acme"));
    console.keys("2");
    console.until("the tenant's page", PATIENCE, |screen| screen.contains("role_acme"));
    console.keys("3");
    console.shows("SESSIONS ");
    console.until("acme's session", PATIENCE, |screen| screen.contains("role_acme"));

    console.keys("?");
    console.shows("Esc close");
    console.keys("\x1b");
    console.hides("Esc close");
    console.keys("1");
    console.shows("TENANTS");
    console.keys("p");
    console.shows("PAUSED");
    console.keys("p");
    console.hides("PAUSED");
    console.keys("q");
    console.ends_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_remembered_is_charted_after_a_restart_and_what_is_polled_is_recorded() {
    use std::os::unix::fs::PermissionsExt;
    let server = watcher::shared().await;
    let _client = watcher::session(server.port, "role_acme", "postgres").await;
    let watcher = Watcher::of(&[("shared", server.port)]);
    let state = watcher.home().join("state");
    let open = || {
        let mut console = watcher.console().environment("TIERDECK_STATE", &state).open();
        console.until("first data", PATIENCE, is_live);
        console.keys("/acme\r2");
        console.shows("THE LAST 15 MINUTES");
        console
    };
    let mut console = open();
    console.keys("R");
    console.shows("● REC");
    // Other tests may have a session of acme's at the same time.
    let charted = |screen: &str, stretch: &str| {
        let line = screen.lines().find(|line| line.contains("connections ") && line.contains(stretch));
        line.is_some_and(|line| !line.contains(&format!("{stretch}, peak 0 │")) && line.contains(", peak "))
    };
    console.until("figures", PATIENCE, |screen| charted(screen, "15 min"));
    console.keys("R");
    console.hides("● REC");
    console.keys("q");
    console.ends_with(0);
    let names: Vec<_> = std::fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path()).collect();
    let history = names.iter().find(|path| path.extension().is_some_and(|kind| kind == "redb")).unwrap();
    assert_eq!(std::fs::metadata(history).unwrap().permissions().mode() & 0o777, 0o600);
    let tapes: Vec<_> =
        std::fs::read_dir(state.join("recordings")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(tierdeck::recording::Film::open(&tapes[0]).is_ok());

    let mut console = open();
    // Another console beside it reads along, and says so.
    let mut beside = watcher.console().environment("TIERDECK_STATE", &state).open();
    beside.shows("reads along");
    beside.keys("q");
    beside.ends_with(0);
    console.keys(">");
    console.shows("THE LAST HOUR");
    console.until("the stored minute", PATIENCE, |screen| charted(screen, "1 h"));
    console.keys(">>");
    console.until("two weeks", PATIENCE, |screen| screen.contains("THE LAST 14 DAYS") && charted(screen, "14 d"));
    console.keys("<<<");
    console.shows("THE LAST 15 MINUTES");
    console.keys("q");
    console.ends_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_size_at_any_time() {
    use rand::{RngExt as _, SeedableRng as _};
    let seed = std::time::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_secs());
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let server = watcher::shared().await;
    let watcher = Watcher::of(&[("shared", server.port)]);
    let mut console = opened(&watcher);
    let keys = ["1", "2", "3", "?", "\x1b", "j", "k", "G", "g", "\t", "\r", "/a\r", ":", "s", "S", "-", "p"];
    for round in 0..150 {
        let (columns, rows) = match round {
            0 => (1, 1),
            1 => (400, 120),
            2 => (1, 120),
            3 => (400, 1),
            _ => (random.random_range(1..=400), random.random_range(1..=120)),
        };
        console.resize(columns, rows);
        console.keys(keys[random.random_range(0..keys.len())]);
        // Now and then it gets to draw a size before the next one comes.
        if round % 5 == 0 {
            std::thread::sleep(Duration::from_millis(random.random_range(0..60)));
        }
    }
    console.resize(40, 8);
    console.shows("terminal too small");
    console.resize(160, 48);
    console.until("console again", PATIENCE, |screen| screen.contains("tierdeck") && screen.contains("READ-ONLY"));
    // Wherever the random keys have led: an open prompt would eat the q.
    console.keys("\x03");
    console.ends_with(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_chosen_is_found_again_and_the_mouse_is_asked_for() {
    use vt100::MouseProtocolMode::{None as Off, PressRelease};
    let server = watcher::shared().await;
    let watcher = Watcher::of(&[("shared", server.port)]);
    let themes = watcher.home().join("config/tierdeck/themes");
    std::fs::create_dir_all(&themes).unwrap();
    std::fs::write(themes.join("mine.toml"), "acent = \"#ff00ff\"").unwrap();
    let mut console = watcher.console().open();
    console.shows("did you mean accent?");
    console.until("first data", PATIENCE, is_live);
    assert_eq!(console.look(vt100::Screen::mouse_protocol_mode), PressRelease);
    // A click on the title sorts, another turns the order round: column 4 of the titles' line, as SGR has it.
    let titles = console.rows().iter().position(|row| row.contains("conn/limit")).unwrap() + 1;
    let column = console.rows()[titles - 1].chars().take_while(|char| *char != 'c').count() + 2;
    console.keys(&format!("\x1b[<0;{column};{titles}M\x1b[<0;{column};{titles}m"));
    console.shows("sort: conn ↓");
    console.keys("m");
    console.shows("the mouse is the terminal's");
    assert_eq!(console.look(vt100::Screen::mouse_protocol_mode), Off);
    console.keys(":theme light\r");
    console.shows("theme light");
    console.keys("q");
    console.ends_with(0);
    let kept = std::fs::read_to_string(watcher.home().join("state/console.toml")).unwrap();
    for words in ["theme = \"light\"", "mouse = false", "[table.tenants]", "sort = \"conn\""] {
        assert!(kept.contains(words), "{words}\n{kept}");
    }
    std::fs::write(themes.join("mine.toml"), "base = \"light\"\naccent = \"#ff00ff\"").unwrap();
    let mut console = opened(&watcher);
    console.shows("sort: conn ↓");
    assert_eq!(console.look(vt100::Screen::mouse_protocol_mode), Off);
    let accent = |console: &Console| console.look(|screen| screen.cell(0, 3).map(vt100::Cell::fgcolor));
    assert_eq!(accent(&console), Some(vt100::Color::Rgb(0, 0x65, 0x9c)), "light is worn");
    console.keys(":theme mine\r");
    console.shows("theme mine");
    console.until("its colour", PATIENCE, |_| true);
    assert_eq!(accent(&console), Some(vt100::Color::Rgb(255, 0, 255)));
    std::fs::write(themes.join("mine.toml"), "base = \"light\"\naccent = \"#0000fe\" # changed").unwrap();
    let begun = std::time::Instant::now();
    while accent(&console) != Some(vt100::Color::Rgb(0, 0, 254)) {
        assert!(begun.elapsed() < PATIENCE, "the change never came");
        std::thread::sleep(Duration::from_millis(20));
    }
    console.signal(Signal::SIGTERM);
    console.ends_with(130);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_and_a_report_are_files_for_the_operator_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = watcher::shared().await;
    let watcher = Watcher::of(&[("shared", server.port)]);
    let mut console = opened(&watcher);
    let path = watcher.home().join("rows.csv");
    // Ctrl-U clears the name that is offered.
    console.keys("e");
    console.shows("EXPORT TENANTS");
    console.keys(&format!("\x15{}\r", path.display()));
    console.shows("wrote 3 rows to");
    let rows = std::fs::read_to_string(&path).unwrap();
    assert!(rows.starts_with("tenant,") || rows.contains(",tenant,"), "{rows}");
    assert_eq!(rows.lines().count(), 4, "{rows}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    console.keys("e");
    console.shows("EXPORT TENANTS");
    console.keys(&format!("\x15{}\r", path.display()));
    console.shows("FILE EXISTS");
    console.keys("\x1b");
    console.hides("FILE EXISTS");
    let report = watcher.home().join("incident.md");
    console.keys("E");
    console.shows("INCIDENT REPORT");
    console.keys(&format!("\x15{}\r", report.display()));
    console.shows("wrote the report to");
    assert!(std::fs::read_to_string(&report).unwrap().starts_with("# Incident report: test"));
    console.keys("q");
    console.ends_with(0);
    let said = watcher.run(&["report", "--out", &report.display().to_string()]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    let said = watcher.run(&["report"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("## What is wrong") && said.out.contains("## Timeline"), "{}", said.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_out_gives_the_terminal_back() {
    let server = watcher::shared().await;
    let ways: [Way; 6] = [
        ("q", |console| console.keys("q"), 0),
        (":q", |console| console.keys(":q\r"), 0),
        ("Ctrl-C", |console| console.keys("\x03"), 0),
        ("SIGINT", |console| console.signal(Signal::SIGINT), 130),
        ("SIGTERM", |console| console.signal(Signal::SIGTERM), 130),
        ("SIGHUP", |console| console.signal(Signal::SIGHUP), 130),
    ];
    std::thread::scope(|scope| {
        for (name, leave, code) in ways {
            let port = server.port;
            scope.spawn(move || {
                let watcher = Watcher::of(&[("shared", port)]);
                let mut console = opened(&watcher);
                println!("leaving by {name}");
                let mouse = console.look(vt100::Screen::mouse_protocol_mode);
                assert_eq!(mouse, vt100::MouseProtocolMode::PressRelease, "it is ours until then");
                leave(&mut console);
                console.ends_with(code);
            });
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_during_the_very_start_leaves_no_raw_terminal() {
    let server = watcher::shared().await;
    let watcher = Watcher::of(&[("shared", server.port)]);
    for pause in [0, 2, 5, 10, 20, 40, 80] {
        let mut console = watcher.console().open();
        std::thread::sleep(Duration::from_millis(pause));
        console.signal(Signal::SIGTERM);
        let status = console.ends();
        let ours = console.bytes().windows(8).any(|window| window == b"\x1b[?1049h");
        assert!(!console.is_raw(), "raw after {pause} ms and {status}");
        if ours {
            console.is_restored();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_goes_away_ends_it() {
    let server = watcher::shared().await;
    let watcher = Watcher::of(&[("shared", server.port)]);
    // Also while keys still come: whoever then reads what is left of the terminal reads for ever.
    for (borrowed, typed) in [(false, ""), (true, ""), (false, "jk"), (true, "jk")] {
        let start = watcher.console();
        let mut console = if borrowed { start.borrowed_terminal() } else { start }.open();
        console.until("first data", PATIENCE, is_live);
        console.keys(&typed.repeat(400));
        console.hang_up();
        let begun = std::time::Instant::now();
        let status = console.ends();
        println!("borrowed {borrowed}, typed {typed:?}: ended after {:?}", begun.elapsed());
        let what = format!("borrowed: {borrowed}, typed: {typed:?}");
        assert_eq!((status.signal(), status.exit_code()), (None, 130), "{what}");
    }
}

#[test]
fn without_a_terminal_it_says_what_to_do_instead() {
    let said = Watcher::of(&[("shared", 1)]).run(&[]);
    assert_eq!(said.code, Some(2));
    assert!(said.out.is_empty() && said.err.contains("tierdeck status"), "{}{}", said.out, said.err);
}

/// Not tests of their own: what runs in the pty of [`a_panic_gives_the_terminal_back_and_can_be_read`].
mod within {
    use tierdeck::ui::terminal::Guard;

    #[test]
    #[ignore = "runs in a pty, started by the test below"]
    fn a_panic_with_the_terminal_taken() {
        let mut guard = Guard::take().expect("there is a terminal");
        tierdeck::ui::terminal::mouse(true).expect("it takes sequences");
        guard.terminal.draw(|frame| frame.render_widget("a frame", frame.area())).expect("it can be drawn on");
        panic!("the ceiling fell");
    }

    #[test]
    #[ignore = "runs in a pty, started by the test below"]
    fn a_dead_terminal_is_asked_for_keys() {
        let guard = Guard::take().expect("there is a terminal");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut events = tierdeck::ui::terminal::events().expect("a reader");
            println!("ready to be left");
            tierdeck::ui::terminal::hung_up().await;
            // Whatever it says: that it says something at once is what everything else lives of.
            let _ = futures::poll!(futures::StreamExt::next(&mut events));
        });
        drop(guard);
        std::process::exit(7);
    }

    #[test]
    #[ignore = "runs in a pty, started by the test below"]
    fn a_panic_in_a_task_beside() {
        let mut guard = Guard::take().expect("there is a terminal");
        guard.terminal.draw(|frame| frame.render_widget("a frame", frame.area())).expect("it can be drawn on");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let stop = tierdeck::ui::terminal::stop().expect("signals can be caught");
            tokio::spawn(async { panic!("the ceiling fell") });
            stop.await;
        });
        drop(guard);
        println!("left in order");
    }
}

#[test]
fn whoever_reads_keys_from_a_dead_terminal_keeps_nobody_waiting() {
    let this = std::env::current_exe().expect("this test program");
    let arguments = ["--exact", "within::a_dead_terminal_is_asked_for_keys", "--ignored", "--nocapture"];
    // Not its session's own terminal: no SIGHUP helps it.
    let mut console = program(this, &arguments).borrowed_terminal().open();
    console.shows("ready to be left");
    console.hang_up();
    assert_eq!(console.ends().exit_code(), 7);
}

#[test]
fn a_panic_gives_the_terminal_back_and_can_be_read() {
    for (test, code) in [("within::a_panic_with_the_terminal_taken", 101), ("within::a_panic_in_a_task_beside", 0)] {
        let this = std::env::current_exe().expect("this test program");
        let mut console =
            program(this, &["--exact", test, "--ignored", "--nocapture"]).environment("RUST_BACKTRACE", "0").open();
        console.ends_with(code);
        let screen = console.screen();
        assert!(screen.contains("the ceiling fell") && screen.contains("terminal.rs"), "{test}:\n{screen}");
        assert!(code != 0 || screen.contains("left in order"), "{screen}");
    }
}
