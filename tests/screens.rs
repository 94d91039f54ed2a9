//! What the console shows: each screen in each state at three sizes; no panic at any size, whatever is typed; and the loop
//! that ships, driven by a script.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as Waking, Poll, Waker};
use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use futures::Stream;
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use support::{estate, secrets};
use tierdeck::app::{Command, Context, Effect, Exit, Message, Model, Report, Settings, TenantTab, View, bindings};
use tierdeck::domain::snapshot::Reach;
use tierdeck::domain::{InstanceName, Observed, Snapshot};
use tierdeck::ui::event_loop::{Inputs, run};
use tierdeck::ui::{Depth, draw};
use tokio::sync::{mpsc, watch};

fn key(code: KeyCode) -> Message {
    Message::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

/// A console that has seen this picture.
fn model(snapshot: Snapshot) -> Model {
    let mut model = Model::new(estate::settings(), estate::now());
    model.update(Message::Snapshot(Arc::new(snapshot)));
    model
}

/// Types keys: `⏎`, `⇥`, `⎋`, `↓` are keys, all else are characters. Draws after each, as the loop does.
fn type_keys(model: &mut Model, keys: &str, size: (u16, u16)) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    frame(model, &mut terminal);
    for char in keys.chars() {
        let code = match char {
            '⏎' => KeyCode::Enter,
            '⇥' => KeyCode::Tab,
            '⎋' => KeyCode::Esc,
            '↓' => KeyCode::Down,
            char => KeyCode::Char(char),
        };
        effects.extend(model.update(key(code)));
        frame(model, &mut terminal);
    }
    effects
}

fn frame(model: &mut Model, terminal: &mut Terminal<TestBackend>) {
    let mut viewport = None;
    terminal.draw(|frame| viewport = Some(draw(frame, model, Depth::True))).unwrap();
    model.update(Message::Drawn(viewport.unwrap()));
}

fn screen(model: &mut Model, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    frame(model, &mut terminal);
    text(&terminal)
}

fn text(terminal: &Terminal<TestBackend>) -> String {
    let buffer = terminal.backend().buffer();
    let mut rows = Vec::new();
    for y in 0..buffer.area.height {
        let mut row = String::new();
        let mut skip = 0;
        for x in 0..buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                row.push_str(symbol);
                skip = unicode_width::UnicodeWidthStr::width(symbol).max(1);
            }
            skip -= 1;
        }
        rows.push(row.trim_end().to_owned());
    }
    rows.join("\n")
}

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

fn states() -> [(&'static str, Snapshot); 5] {
    [
        ("loading", estate::loading()),
        ("fine", estate::fine()),
        ("firing", estate::firing()),
        ("stale", estate::stale()),
        ("down", estate::down()),
    ]
}

fn shoot(name: &str, keys: &str) {
    for (state, snapshot) in states() {
        for size in SIZES {
            let mut model = model(snapshot.clone());
            type_keys(&mut model, keys, size);
            insta::assert_snapshot!(format!("{name}-{state}-{}x{}", size.0, size.1), screen(&mut model, size));
        }
    }
}

#[test]
fn the_fleet() {
    shoot("fleet", "");
}

#[test]
fn the_tenant() {
    shoot("tenant", "2");
}

/// Where a tenant's secret points, beside where it lives; and why that is not known.
#[test]
fn a_tenants_secret() {
    for state in secrets::STATES {
        let mut model = model(Snapshot { estate: secrets::estate(state), ..estate::fine() });
        type_keys(&mut model, "2", (120, 40));
        insta::assert_snapshot!(format!("secret-{state}-120x40"), screen(&mut model, (120, 40)));
    }
    let mut model = model(Snapshot { estate: secrets::estate("right"), ..estate::fine() });
    type_keys(&mut model, "2", (80, 60));
    insta::assert_snapshot!("secret-right-80x60", screen(&mut model, (80, 60)));
}

#[test]
fn the_sessions() {
    shoot("sessions", "3");
}

#[test]
fn pages_below_the_screens() {
    for (name, keys) in [
        ("finding", "⇥⏎"),
        ("session", "3⏎"),
        ("tenant-findings", "j⏎⇥"),
        ("tenant-sessions", "⏎⇥⇥"),
        ("tenant-tables", "jj⏎⇥⇥⇥⇥⇥"),
        ("help", "?"),
        ("palette", ":glo"),
        ("filter", "/noise>1 !wonka"),
        ("filter-wrong", "/nose>1"),
        ("paused", "p"),
    ] {
        let mut model = model(estate::firing());
        type_keys(&mut model, keys, (100, 30));
        insta::assert_snapshot!(format!("{name}-100x30"), screen(&mut model, (100, 30)));
    }
}

#[test]
fn the_first_screen_names_culprit_victims_and_next_step() {
    let shown = screen(&mut model(estate::firing()), (120, 40));
    for words in ["acme is a noisy neighbour", "hurts globex, hooli", "→ look at acme's 21", "→ end pid 4103"] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
}

#[test]
fn a_statement_is_shown_whole_and_copied_alone_and_never_offered_for_what_is_past() {
    let mut console = model(estate::firing());
    for size in [(80, 24), (100, 30), (120, 40)] {
        let shown = screen(&mut console, size);
        assert!(shown.contains("$ SELECT pg_cancel_backend(4100);"), "{size:?}\n{shown}");
    }
    let effects = type_keys(&mut console, "⇥yY⏎y", (80, 24));
    let statement = Effect::Copy("SELECT pg_cancel_backend(4100);".to_owned());
    assert_eq!((&effects[0], &effects[2]), (&statement, &statement));
    let Effect::Copy(whole) = &effects[1] else { panic!("{effects:?}") };
    for words in
        ["critical noisy-neighbour: acme is", "CPU pressure: 98% (threshold 70%)", "next step: look", "\nSELECT"]
    {
        assert!(whole.contains(words), "{words}\n{whole}");
    }
    let mut over = estate::firing();
    over.findings[0].over_for = Some(4.2);
    let mut console = model(over);
    let shown = screen(&mut console, (120, 40));
    assert!(shown.contains("✖ over 4s  acme") && !shown.contains("pg_cancel_backend(4100)"), "{shown}");
    assert!(!shown.contains("→ look at acme"), "{shown}");
    let shown = screen(&mut model(estate::stale()), (120, 40));
    assert!(shown.contains("✖ as last known  acme") && !shown.contains("$ ") && !shown.contains("→ "), "{shown}");
}

#[test]
fn one_session_that_blocks_and_idles_takes_one_row_and_stays_two_findings() {
    let mut snapshot = estate::firing();
    let mut idle = snapshot.findings[1].clone();
    idle.signal = tierdeck::domain::Signal::IdleInTransaction;
    idle.summary = "umbrella left a transaction open and idle for 48s on shared (pid 4103)".into();
    snapshot.findings.insert(2, idle.clone());
    let mut console = model(snapshot.clone());
    for size in [(80, 24), (120, 40)] {
        let shown = screen(&mut console, size);
        assert!(!shown.contains("left a transaction open") && shown.contains("✖ 3"), "{shown}");
        assert!(shown.contains("globex: orders holds 336k"), "what else is wrong has its row\n{shown}");
    }
    assert!(screen(&mut console, (120, 40)).contains("; also idle-in-transaction"));
    // A word about the row is about both.
    let effects = type_keys(&mut console, "⇥jxon it⏎", (120, 40));
    let told = effects.iter().filter(|effect| matches!(effect, Effect::Acknowledge(_)));
    assert_eq!(told.count(), 2, "{effects:?}");
    // On the tenant's page both are told; another session's is never folded.
    let mut console = model(snapshot.clone());
    type_keys(&mut console, ":umbrella⏎⇥", (120, 40));
    assert!(screen(&mut console, (120, 40)).contains("left a transaction open"));
    snapshot.findings[2].statement = Some("SELECT pg_terminate_backend(4999);".into());
    assert!(screen(&mut model(snapshot), (120, 40)).contains("left a transaction open"));
}

#[test]
fn limits_say_whose_they_are_and_what_is_unlimited() {
    let line = |snapshot: Snapshot, name: &str, title: &str| {
        let mut console = model(snapshot);
        type_keys(&mut console, &format!(":{name}⏎"), (120, 40));
        let shown = screen(&mut console, (120, 40));
        let line = shown.lines().find(|line| line.contains(title)).unwrap_or_else(|| panic!("{title}\n{shown}"));
        line.chars().take(58).collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line(estate::fine(), "acme", "│ connections"), "│ connections 2 40 40");
    assert_eq!(line(estate::fine(), "acme", "│ lock timeout"), "│ lock timeout 0s 5.0s 2.0s ≠");
    // Of a tenant without a login of its own: the shared account's use and limits, and it says so.
    assert_eq!(line(estate::fine(), "globex", "│ connections"), "│ connections 25 ∞");
    assert!(line(estate::fine(), "globex", "portarium_shared's").contains("the account that its sessions share"));
    let mut unset = estate::fine();
    unset.tenants.iter_mut().for_each(|tenant| tenant.limits.effective = tierdeck::domain::Limits::default());
    // Its sessions are on another login: that one's limits bind those.
    assert_eq!(line(unset.clone(), "acme", "│ statement timeout"), "│ statement timeout 0s none 30s ≠");
    assert!(line(unset.clone(), "acme", "set on role_acme").contains("more sessions on other logins"));
    let own = |session: &&mut tierdeck::domain::Session| {
        session.attribution.tenant().is_some_and(|tenant| tenant.as_str() == "acme")
    };
    unset
        .sessions
        .iter_mut()
        .filter(own)
        .for_each(|session| session.role = tierdeck::domain::Foreign::from("role_acme"));
    assert_eq!(line(unset.clone(), "acme", "│ statement timeout"), "│ statement timeout 3.0s none 30s ≠");
    unset.instances[0].roles = Observed::nothing(Duration::from_secs(30));
    assert_eq!(line(unset, "acme", "│ statement timeout"), "│ statement timeout 3.0s — 30s");
}

#[test]
fn numbers_on_the_tenants_page_are_those_of_now_and_no_peak_lies_below_them() {
    let mut snapshot = estate::fine();
    let acme = snapshot.tenants.iter_mut().find(|tenant| tenant.id.as_str() == "acme").unwrap();
    (acme.active, acme.connections, acme.bound, acme.waiting) = (Some(40), Some(35), Some(35), Some(4));
    let state = tierdeck::domain::SessionState::Active;
    // Those that wait for a lock are active, and do not run.
    snapshot.sessions = (0..40).map(|nth| estate::session(7_000 + nth, Some("acme"), state, "select 1")).collect();
    for session in &mut snapshot.sessions[33..] {
        session.wait = Some(tierdeck::domain::session::Wait { kind: "Lock".into(), event: "tuple".into() });
    }
    let mut console = model(snapshot);
    type_keys(&mut console, ":acme⏎", (120, 40));
    let shown = screen(&mut console, (120, 40));
    for words in
        ["running sessions 33 ", "15 min, peak 33", "connections 35 ", "15 min, peak 35", "waiting sessions 4 ", "−15m"]
    {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
}

#[test]
fn what_is_old_has_no_colour() {
    let mut console = model(estate::down());
    for keys in ["3", ":acme⏎"] {
        type_keys(&mut console, keys, (120, 40));
        let mut terminal = Terminal::new(TestBackend::new(120, 40)).unwrap();
        frame(&mut console, &mut terminal);
        let look = tierdeck::ui::Look::new(&tierdeck::app::Theme::default(), Depth::True);
        let alarming = [look.critical, look.second, look.good].map(|style| style.fg.unwrap());
        let buffer = terminal.backend().buffer();
        // Below the strip and the titles, above the footer.
        let coloured =
            (4..39).flat_map(|y| (1..119).map(move |x| (x, y))).find(|at| alarming.contains(&buffer[*at].fg));
        assert_eq!(coloured, None, "{keys}\n{}", text(&terminal));
    }
}

#[test]
fn nobody_is_hurt_only_where_that_is_known() {
    let calm = || {
        let mut snapshot = estate::firing();
        snapshot.unknown.clear();
        snapshot.findings.retain(|finding| finding.signal == tierdeck::domain::Signal::LimitMissing);
        snapshot.instances = estate::fine().instances;
        snapshot
    };
    let says = |snapshot| screen(&mut model(snapshot), (120, 40)).contains("nobody is hurt now");
    assert!(says(calm()));
    let mut unknown = calm();
    unknown.unknown = estate::firing().unknown;
    let mut old = calm();
    old.instances = estate::stale().instances;
    let mut live = calm();
    live.findings.push(estate::firing().findings[1].clone());
    assert!(!says(unknown) && !says(old) && !says(live));
}

#[test]
fn nothing_is_called_fine_before_it_was_looked_at_for_long_enough_or_while_sessions_queue() {
    let upkeep = |instance: fn(&mut tierdeck::domain::Instance)| {
        let mut snapshot = estate::fine();
        snapshot.findings = vec![estate::firing().findings.pop().unwrap()];
        instance(&mut snapshot.instances[0]);
        snapshot
    };
    let found = |snapshot: Snapshot| Snapshot { findings: Vec::new(), ..snapshot };
    let settings = Settings { look: Duration::from_secs(5), ..estate::settings() };
    let after = |snapshot: Snapshot, seconds: i64| {
        let mut console = Model::new(settings.clone(), estate::ago(seconds));
        let mut first = snapshot.clone();
        first.taken_at = estate::ago(seconds);
        first.instances[0].activity.at = Some(estate::ago(seconds));
        console.update(Message::Snapshot(Arc::new(first)));
        console.update(Message::Snapshot(Arc::new(snapshot)));
        screen(&mut console, (120, 40))
    };
    // Not before what is wrong would have been told.
    for quiet in [upkeep(|_| ()), found(upkeep(|_| ()))] {
        let shown = after(quiet.clone(), 2);
        assert!(!shown.contains('✔') && shown.contains("before it is told (3 s more)"), "{shown}");
        assert!(after(quiet, 5).contains('✔'));
    }
    // What is seen already is told, and when it is judged.
    for queue in [upkeep(|it| it.blocked = Some(10)), found(upkeep(|it| it.blocked = Some(10)))] {
        let mut snapshot = queue;
        let mut waits = estate::firing().sessions.into_iter().rfind(|session| session.blocking.is_some()).unwrap();
        waits.blocking.as_mut().unwrap().since = Some(estate::ago(2));
        snapshot.sessions.push(waits);
        let shown = after(snapshot, 60);
        assert!(shown.contains("10 sessions wait for a lock, the oldest for 2.0s: judged in 3 s"), "{shown}");
        assert!(!shown.contains('✔'), "{shown}");
    }
    for crowd in [upkeep(|it| it.active = Some(9)), found(upkeep(|it| it.active = Some(9)))] {
        let shown = after(crowd, 60);
        assert!(shown.contains("9 sessions run on ~4 vCPU of shared") && !shown.contains('✔'), "{shown}");
    }
    // Out of sight for a moment: looking begins anew.
    let mut console = Model::new(settings, estate::ago(60));
    for (seconds, reach) in [(60, Reach::Up), (30, estate::down().instances[0].reach.clone()), (1, Reach::Up)] {
        let mut snapshot = estate::fine();
        snapshot.taken_at = estate::ago(seconds);
        snapshot.instances[0].reach = reach;
        snapshot.instances[0].activity.at = Some(estate::ago(seconds));
        console.update(Message::Snapshot(Arc::new(snapshot)));
    }
    let shown = screen(&mut console, (120, 40));
    assert!(shown.contains("(5 s more)") && !shown.contains('✔'), "{shown}");
}

#[test]
fn nothing_is_called_fine_that_is_not_known() {
    for (name, snapshot) in states() {
        let shown = screen(&mut model(snapshot), (120, 40));
        assert_eq!(shown.contains("✔"), name == "fine", "{name}\n{shown}");
    }
    let mut unjudged = estate::fine();
    unjudged.unknown = estate::firing().unknown;
    let shown = screen(&mut model(unjudged), (120, 40));
    assert!(shown.contains("nothing found · 1 signal cannot be judged: wraparound"), "{shown}");
    // What only wants time is no reason to worry anybody: it is counted, and told where there is room.
    let mut waiting = estate::fine();
    waiting.unknown = vec![estate::waiting().into()];
    let shown = screen(&mut model(waiting), (120, 40));
    assert!(shown.contains("✔") && shown.contains("not known yet: tier-misfit by 2026-11-2"), "{shown}");
    let mut busy = estate::firing();
    busy.unknown = vec![estate::waiting().into()];
    let shown = screen(&mut model(busy), (80, 24));
    assert!(shown.contains(" 1 not known yet ") && !shown.contains("tier-misfit"), "{shown}");
    // What hurts somebody is told though it only wants time.
    let mut hidden = estate::fine();
    hidden.unknown = vec![
        tierdeck::domain::Unknown { signal: tierdeck::domain::Signal::AutovacuumDebt, ..estate::waiting() }.into(),
    ];
    let shown = screen(&mut model(hidden), (120, 40));
    assert!(!shown.contains("✔") && shown.contains("1 signal cannot be judged: autovacuum-debt"), "{shown}");
    // Just gone: the last sessions are fresh and no finding has been raised yet.
    let mut gone = estate::fine();
    gone.instances[0].reach = estate::down().instances[0].reach.clone();
    let shown = screen(&mut model(gone), (120, 40));
    assert!(!shown.contains("✔") && shown.contains("nothing can be said of now"), "{shown}");
    // The collector itself stops: the same picture, a minute later.
    let mut silent = model(estate::fine());
    silent.update(Message::Tick(estate::ago(-60)));
    let shown = screen(&mut silent, (120, 40));
    assert!(!shown.contains("✔") && shown.contains("1m 00s"), "{shown}");
}

#[test]
fn several_instances_stand_below_each_other_and_the_worst_first() {
    let mut snapshot = estate::firing();
    let mut down = estate::down().instances.remove(0);
    down.name = InstanceName::new("acme-dedicated");
    let mut fresh = estate::instance(estate::now());
    fresh.name = InstanceName::new("globex-dedicated");
    fresh.reach = Reach::Connecting;
    fresh.activity = Observed::nothing(Duration::from_secs(1));
    snapshot.instances.extend([down, fresh]);
    let settings = Settings {
        instances: vec!["shared".into(), "acme-dedicated".into(), "globex-dedicated".into()],
        ..estate::settings()
    };
    let mut console = Model::new(settings, estate::now());
    console.update(Message::Snapshot(Arc::new(snapshot)));
    let shown = screen(&mut console, (160, 40));
    let rows: Vec<&str> = shown.lines().skip(1).take(3).collect();
    assert!(rows[0].contains("✖ acme-dedicated"), "{shown}");
    assert!(rows[1].contains("connecting to globex-dedicated"), "{shown}");
    assert!(rows[2].contains("● shared"), "{shown}");
    assert!(shown.contains(" instance "), "{shown}");
    let narrow = screen(&mut console, (80, 24));
    assert!(narrow.contains("+2 more instances, 1 of them not reached"), "{narrow}");
}

#[test]
fn headings_of_a_server_that_is_gone_say_that_figures_are_old_or_not_known() {
    let heading = |snapshot: &Snapshot, keys: &str, name: &str| {
        let mut console = model(snapshot.clone());
        type_keys(&mut console, keys, (140, 40));
        let shown = screen(&mut console, (140, 40));
        shown.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}\n{shown}")).to_owned()
    };
    let old = " as last known: shared is not reached ";
    for (keys, name) in [("", "TENANTS 15"), ("3", "SESSIONS 29"), ("5", "TABLES 3"), ("⏎⇥⇥⇥⇥⇥", "TABLES ")]
    {
        assert!(heading(&estate::down(), keys, name).contains(old), "{name}");
        assert!(!heading(&estate::firing(), keys, name).contains("last known"), "{name}");
    }
    assert!(heading(&estate::down(), "5", "VACUUMS").contains("— not known: shared is not reached"));
    assert!(heading(&estate::firing(), "5", "VACUUMS").contains("none runs"));
    let mut unseen = estate::down();
    unseen.tenants.clear();
    assert!(heading(&unseen, "", "TENANTS").contains("TENANTS — "));
    let mut unread = estate::down();
    unread.instances[0].statements = Observed::nothing(Duration::from_secs(30));
    assert!(heading(&unread, "⏎⇥⇥⇥", "STATEMENTS").contains("STATEMENTS — "));
}

#[test]
fn a_small_terminal_is_told_so() {
    assert_eq!(screen(&mut model(estate::firing()), (34, 3)), "terminal too small (needs 60×15)\n\n");
    for size in [(59, 40), (120, 14)] {
        assert!(screen(&mut model(estate::firing()), size).contains("too small"));
    }
    assert!(screen(&mut model(estate::firing()), (60, 15)).contains("WHAT IS WRONG"));
}

#[test]
fn no_size_panics_and_no_escape_reaches_the_screen() {
    let views = ["", "⇥⏎", "⏎", "⏎⇥", "⏎⇥⇥", "⏎⇥⇥⇥", "⏎⇥⇥⇥⇥", "⏎⇥⇥⇥⇥⇥", "3", "3⏎", "?", ":x", "/x"];
    for (at, keys) in views.into_iter().enumerate() {
        let mut model = model(estate::firing());
        type_keys(&mut model, keys, (80, 24));
        for width in (1..=200).step_by(13).chain([59, 60, 61]) {
            for height in (1 + at as u16 % 3..=60).step_by(7).chain([14, 15, 16]) {
                let shown = screen(&mut model, (width, height));
                assert!(!shown.chars().any(|char| char.is_control() && char != '\n'), "{shown:?}");
            }
        }
    }
}

#[test]
fn the_cursor_stays_on_its_tenant_when_the_order_changes() {
    let mut console = model(estate::firing());
    type_keys(&mut console, "jj", (80, 24));
    let on = |model: &Model| model.fleet.tenants.list.selected().map(|at| model.shown.tenants[at].id.to_string());
    assert_eq!(on(&console).as_deref(), Some("globex"));
    console.update(Message::Snapshot(Arc::new(estate::fine())));
    assert_eq!(on(&console).as_deref(), Some("globex"), "sorted by name now, elsewhere in the list");
    // Untouched, the cursor shows whatever is first.
    let mut untouched = model(estate::fine());
    untouched.update(Message::Snapshot(Arc::new({
        let mut snapshot = estate::fine();
        let hooli = snapshot.tenants.iter_mut().find(|tenant| tenant.id.as_str() == "hooli").unwrap();
        hooli.severity = Some(tierdeck::domain::Severity::Critical);
        snapshot
    })));
    assert_eq!(on(&untouched).as_deref(), Some("hooli"));
}

#[test]
fn filters_find_exclude_compare_and_explain_themselves() {
    let matches = |text: &str| {
        let mut console = model(estate::firing());
        type_keys(&mut console, &format!("/{text}"), (120, 40));
        let error = match &console.mode {
            tierdeck::app::Mode::Filter(prompt) => prompt.error.clone(),
            _ => None,
        };
        let shown: Vec<String> =
            console.fleet.tenants.list.rows.iter().map(|&at| console.shown.tenants[at].id.to_string()).collect();
        error.map_or(Ok(shown), Err)
    };
    assert_eq!(matches("noisy-neighbour !suffers"), Ok(vec!["acme".to_owned()]));
    assert_eq!(matches("tenant:ACME"), Ok(vec!["acme".to_owned()]));
    assert_eq!(matches("noise>50"), Ok(vec!["acme".to_owned()]));
    assert_eq!(matches("rows>=4.1M"), Ok(vec!["acme".to_owned()]));
    assert_eq!(matches("oldest>=40s wait<1"), Ok(vec!["umbrella".to_owned()]));
    assert_eq!(matches("tier:dedicated"), Ok(Vec::new()));
    assert_eq!(matches("!tier:shared"), Ok(Vec::new()));
    // What the header says is a name, and per cent are per cent.
    assert_eq!(matches("rows/day>=4.1M conn/limit>1 limit>=40"), Ok(vec!["acme".to_owned()]));
    for text in ["dead>30%", "dead>30"] {
        assert_eq!(matches(text), Ok(vec!["globex".to_owned()]), "{text}");
    }
    assert_eq!(matches("tenant:umbrella size>1MB").map(|found| found.len()), Ok(1));
    assert_eq!(matches("tenant:umbrella size>9MiB").map(|found| found.len()), Ok(0));
    assert!(matches("nose>50").unwrap_err().contains("did you mean noise?"));
    assert!(matches("noise>loud").unwrap_err().contains("not a number"));
    assert!(matches("tenant>5").unwrap_err().contains("tenant:word"));
    assert!(matches("!").unwrap_err().contains("!word"));
}

#[test]
fn a_wrong_filter_is_shown_and_can_be_left() {
    let mut console = model(estate::firing());
    type_keys(&mut console, "/glo⏎", (120, 40));
    assert_eq!(
        (console.filter_text(), console.fleet.tenants.list.rows.len()),
        ("glo", 2 - 1 + usize::from(estate::longest().contains("glo")))
    );
    type_keys(&mut console, "/ nose>1⏎", (120, 40));
    let shown = screen(&mut console, (120, 40));
    assert!(
        shown.contains("did you mean noise") && shown.contains("rows as before"),
        "it stays to be corrected\n{shown}"
    );
    assert_eq!(console.fleet.tenants.list.rows.len(), 1, "the rows of the filter in force");
    type_keys(&mut console, "⎋", (120, 40));
    assert_eq!(console.filter_text(), "glo");
    type_keys(&mut console, "⎋", (120, 40));
    assert_eq!((console.filter_text(), console.fleet.tenants.list.rows.len()), ("", 15));
}

#[test]
fn what_is_not_on_the_screen_is_not_opened() {
    for keys in ["/nobody⏎⏎", "/nobody⏎2"] {
        let mut console = model(estate::firing());
        type_keys(&mut console, keys, (120, 40));
        assert_eq!(console.view, View::Fleet);
        assert!(screen(&mut console, (120, 40)).contains("nothing selected"));
    }
    let mut gone = estate::loading();
    gone.instances = estate::down().instances;
    let mut console = model(gone);
    type_keys(&mut console, "2", (120, 40));
    let shown = screen(&mut console, (120, 40));
    assert!(shown.contains("no tenant is known: shared is not reached"), "{shown}");
    type_keys(&mut console, "3", (120, 40));
    let shown = screen(&mut console, (120, 40));
    assert!(shown.contains("sessions unknown: shared is not reached") && shown.contains("SESSIONS —"), "{shown}");
}

#[test]
fn sessions_filter_by_what_their_headers_say() {
    let found = |text: &str| {
        let mut console = model(estate::firing());
        type_keys(&mut console, &format!("3/{text}⏎"), (120, 40));
        assert!(matches!(console.mode, tierdeck::app::Mode::Normal), "{text} is understood");
        console.sessions.list.rows.len()
    };
    assert_eq!((found("query>30s"), found("query:paid"), found("locks>0"), found("for>=3")), (4, 4, 4, 29));
    let mut console = model(estate::firing());
    let effects = type_keys(&mut console, "3/4103⏎y", (120, 40));
    let [Effect::Copy(row)] = &effects[..] else { panic!("{effects:?}") };
    assert!(row.starts_with("4103\t") && row.contains("\t12\t"), "exact: {row}");
}

#[test]
fn a_pause_within_a_transaction_is_no_trouble() {
    let marked = |seconds| {
        let mut snapshot = estate::fine();
        snapshot.sessions.truncate(4);
        let paused = snapshot.sessions.iter_mut().find(|session| session.state.is_idle_in_transaction()).unwrap();
        paused.state_changed = Some(estate::ago(seconds));
        let mut console = model(snapshot);
        type_keys(&mut console, "3", (120, 40));
        screen(&mut console, (120, 40)).lines().any(|line| line.contains("▲    4103"))
    };
    assert!(!marked(4) && marked(5));
}

#[test]
fn views_lead_on_and_back() {
    let mut console = model(estate::firing());
    type_keys(&mut console, "⇥⏎", (120, 40));
    assert!(matches!(console.view, View::Finding(_)));
    type_keys(&mut console, "⏎", (120, 40));
    assert!(matches!(&console.view, View::Tenant(key) if key.0.as_str() == "acme"));
    type_keys(&mut console, "3", (120, 40));
    assert_eq!(console.view, View::Sessions);
    type_keys(&mut console, "-", (120, 40));
    assert!(matches!(console.view, View::Tenant(_)));
    type_keys(&mut console, "⎋⎋⎋⎋", (120, 40));
    assert_eq!(console.view, View::Fleet);
    // Finding, tenant, its session, and the way it came, the tenant's page included.
    type_keys(&mut console, "⏎⏎⇥⇥⏎", (120, 40));
    assert!(matches!(console.view, View::Session(_)));
    type_keys(&mut console, "⏎⎋⎋", (120, 40));
    assert!(matches!(console.view, View::Tenant(_)) && console.page.tab == TenantTab::Sessions);
    type_keys(&mut console, "⎋", (120, 40));
    assert!(matches!(console.view, View::Finding(_)));
    type_keys(&mut console, "⎋", (120, 40));
    assert_eq!(console.view, View::Fleet);
    type_keys(&mut console, ":wonka⏎", (120, 40));
    assert!(matches!(&console.view, View::Tenant(key) if key.0.as_str() == "wonka"));
}

#[test]
fn what_is_looked_at_stays_when_it_goes() {
    let mut console = model(estate::firing());
    type_keys(&mut console, "⇥⏎", (120, 40));
    console.update(Message::Snapshot(Arc::new(estate::fine())));
    let shown = screen(&mut console, (120, 40));
    assert!(shown.contains("no longer so") && shown.contains("noisy-neighbour"), "{shown}");
}

#[test]
fn pause_freezes_the_screen_and_not_the_data() {
    let mut console = model(estate::fine());
    let before = screen(&mut console, (120, 40));
    type_keys(&mut console, "p", (120, 40));
    console.update(Message::Snapshot(Arc::new(estate::firing())));
    console.update(Message::Tick(estate::ago(-7)));
    let frozen = screen(&mut console, (120, 40));
    assert!(frozen.contains("PAUSED 7.0s"), "{frozen}");
    let body = |screen: &str| screen.lines().skip(2).take(20).collect::<Vec<_>>().join("\n");
    assert_eq!(body(&frozen), body(&before));
    type_keys(&mut console, "p", (120, 40));
    assert!(screen(&mut console, (120, 40)).contains("acme is a noisy neighbour"));
}

#[test]
fn what_is_copied_is_safe_to_paste() {
    let mut console = model(estate::firing());
    let effects = type_keys(&mut console, "3/5001⏎Yy", (120, 40));
    let copied: Vec<&String> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Copy(text) => Some(text),
            _ => None,
        })
        .collect();
    assert_eq!(copied.len(), 2, "{effects:?}");
    assert!(copied[0].starts_with("select '␛]52;c;") && copied[0].contains("-- a\n/* b */"), "{}", copied[0]);
    for text in copied {
        assert!(!text.chars().any(|char| char.is_control() && !matches!(char, '\n' | '\t')), "{text:?}");
    }
    let effects = type_keys(&mut model(estate::firing()), "jj2⇥⇥⇥⇥⇥jY", (120, 40));
    let is_copy = |effect: &Effect| matches!(effect, Effect::Copy(_));
    let vacuum = r#"VACUUM (VERBOSE, ANALYZE) "tenant_globex".U&"evil\001B[31m""table\202E";"#;
    let copied = effects.into_iter().filter(is_copy).collect::<Vec<_>>();
    assert_eq!(copied, [Effect::Copy(vacuum.to_owned())]);
}

#[test]
fn the_refresh_interval_goes_both_ways() {
    let mut console = model(estate::fine());
    let effects = type_keys(&mut console, "]][[[[", (120, 40));
    let asked: Vec<u128> = effects
        .iter()
        .filter(|effect| !matches!(effect, Effect::Keep(_)))
        .map(|effect| match effect {
            Effect::Refresh(every) => every.as_millis(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(asked, [2_000, 5_000, 2_000, 1_000, 500]);
}

#[test]
fn no_key_means_two_things_in_one_place_and_every_key_is_explained() {
    for binding in bindings() {
        assert!(!binding.help.is_empty() && !binding.label.is_empty());
        for key in binding.keys {
            let meanings =
                bindings().iter().filter(|other| other.context == binding.context && other.keys.contains(key));
            assert_eq!(meanings.count(), 1, "{key:?} in {:?}", binding.context);
        }
    }
    let mut console = model(estate::fine());
    type_keys(&mut console, "?", (200, 60));
    let mut help = String::new();
    for _ in 0..30 {
        help.push_str(&screen(&mut console, (200, 60)));
        type_keys(&mut console, "jjjjjjjj", (200, 60));
    }
    for binding in bindings().iter().filter(|binding| !matches!(binding.context, Context::Help | Context::Prompt)) {
        assert!(help.contains(binding.help), "{} is not in the help", binding.help);
    }
    assert!(bindings().iter().any(|binding| binding.command == Command::Quit));
}

#[test]
fn ten_thousand_tenants_answer_a_key_within_a_frame() {
    let snapshot = Arc::new(estate::crowd(10_000));
    let mut console = Model::new(estate::settings(), estate::now());
    console.update(Message::Snapshot(snapshot));
    let mut terminal = Terminal::new(TestBackend::new(200, 60)).unwrap();
    frame(&mut console, &mut terminal);
    let mut took: Vec<Duration> = Vec::new();
    for code in ['j', 'j', 'k', 'G', 'g', 'n', 'j', 'j', 'j'].map(KeyCode::Char) {
        let start = Instant::now();
        console.update(key(code));
        frame(&mut console, &mut terminal);
        took.push(start.elapsed());
    }
    took.sort();
    let median = took[took.len() / 2];
    let mut typed: Vec<Duration> = Vec::new();
    for char in "/tenant-0 noise>1".chars().chain("\n:tenant-0".chars()) {
        let start = Instant::now();
        console.update(key(if char == '\n' { KeyCode::Enter } else { KeyCode::Char(char) }));
        frame(&mut console, &mut terminal);
        typed.push(start.elapsed());
    }
    typed.sort();
    println!("a typed character: median {:?}, worst {:?}", typed[typed.len() / 2], typed[typed.len() - 1]);
    println!("a key with 10,000 tenants at 200x60: median {median:?}, worst {:?}", took[took.len() - 1]);
    assert!(median < Duration::from_millis(if cfg!(debug_assertions) { 64 } else { 16 }), "{took:?}");
}

#[test]
fn colours_fall_back() {
    let depth = |pairs: &[(&str, &str)]| {
        Depth::detect(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    };
    assert_eq!(depth(&[("COLORTERM", "truecolor"), ("TERM", "xterm")]), Depth::True);
    assert_eq!(depth(&[("TERM", "xterm-256color")]), Depth::Indexed);
    assert_eq!(depth(&[("TERM", "linux")]), Depth::Sixteen);
    assert_eq!(depth(&[("COLORTERM", "truecolor"), ("NO_COLOR", "1")]), Depth::None);
    let mut terminal = Terminal::new(TestBackend::new(120, 40)).unwrap();
    let console = model(estate::firing());
    terminal
        .draw(|frame| {
            draw(frame, &console, Depth::None);
        })
        .unwrap();
    let coloured = terminal
        .backend()
        .buffer()
        .content()
        .iter()
        .any(|cell| cell.fg != ratatui::style::Color::Reset || cell.bg != ratatui::style::Color::Reset);
    assert!(!coloured);
}

fn any_key() -> impl Strategy<Value = KeyEvent> {
    let code = prop_oneof![
        8 => proptest::sample::select("jkgGnNsSpyYPr?/:12345-[]q!<>=a0hl \u{1b}顧".chars().collect::<Vec<_>>()).prop_map(KeyCode::Char),
        4 => proptest::sample::select(vec![
            KeyCode::Enter, KeyCode::Tab, KeyCode::BackTab, KeyCode::Esc, KeyCode::Down, KeyCode::Up, KeyCode::PageDown,
            KeyCode::PageUp, KeyCode::Home, KeyCode::End, KeyCode::Left, KeyCode::Right, KeyCode::Backspace,
            KeyCode::Delete, KeyCode::F(1), KeyCode::F(5),
        ]),
    ];
    (code, proptest::bool::weighted(0.1)).prop_map(|(code, control)| {
        KeyEvent::new(code, if control { KeyModifiers::CONTROL } else { KeyModifiers::NONE })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_keys_panic(
        steps in proptest::collection::vec((any_key(), 0usize..8), 1..60),
        width in 1u16..200,
        height in 1u16..60,
    ) {
        let pictures: Vec<Arc<Snapshot>> = states().into_iter().map(|(_, snapshot)| Arc::new(snapshot)).collect();
        let mut console = model(estate::firing());
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        for (event, chance) in steps {
            if let Some(picture) = pictures.get(chance) {
                console.update(Message::Snapshot(Arc::clone(picture)));
            }
            console.update(Message::Key(event));
            frame(&mut console, &mut terminal);
        }
    }
}

/// Keys as crossterm's stream hands them out: it remembers whom to wake once, and does not ask again until it has woken
/// that one. A loop that polls it in passing would sleep through the next key.
#[derive(Clone, Default)]
struct Keyboard(Arc<Mutex<Pressed>>);

#[derive(Default)]
struct Pressed {
    keys: VecDeque<Event>,
    unplugged: bool,
    waker: Option<Waker>,
}

impl Keyboard {
    fn change(&self, change: impl FnOnce(&mut Pressed)) {
        let mut pressed = self.0.lock().unwrap();
        change(&mut pressed);
        if let Some(waker) = pressed.waker.take() {
            waker.wake();
        }
    }
}

impl Stream for Keyboard {
    type Item = io::Result<Event>;
    fn poll_next(self: Pin<&mut Self>, context: &mut Waking<'_>) -> Poll<Option<Self::Item>> {
        let mut pressed = self.0.lock().unwrap();
        match pressed.keys.pop_front() {
            Some(event) => Poll::Ready(Some(Ok(event))),
            None if pressed.unplugged => Poll::Ready(None),
            None => {
                pressed.waker.get_or_insert_with(|| context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// A running loop: what it is fed with, and what became of it.
struct Driven {
    keyboard: Keyboard,
    snapshots: watch::Sender<Arc<Snapshot>>,
    reports: mpsc::Sender<Report>,
    frames: mpsc::UnboundedReceiver<(Instant, String)>,
    end: tokio::task::JoinHandle<(Exit, Vec<Effect>)>,
}

/// A backend that tells of every frame that was drawn.
struct Watched {
    inner: TestBackend,
    frames: mpsc::UnboundedSender<(Instant, String)>,
}

impl ratatui::backend::Backend for Watched {
    type Error = std::convert::Infallible;
    fn draw<'a, I>(&mut self, content: I) -> Result<(), Self::Error>
    where
        I: Iterator<Item = (u16, u16, &'a ratatui::buffer::Cell)>,
    {
        self.inner.draw(content)
    }
    fn hide_cursor(&mut self) -> Result<(), Self::Error> {
        self.inner.hide_cursor()
    }
    fn show_cursor(&mut self) -> Result<(), Self::Error> {
        self.inner.show_cursor()
    }
    fn get_cursor_position(&mut self) -> Result<ratatui::layout::Position, Self::Error> {
        self.inner.get_cursor_position()
    }
    fn set_cursor_position<P: Into<ratatui::layout::Position>>(&mut self, at: P) -> Result<(), Self::Error> {
        self.inner.set_cursor_position(at)
    }
    fn clear(&mut self) -> Result<(), Self::Error> {
        self.inner.clear()
    }
    fn clear_region(&mut self, kind: ratatui::backend::ClearType) -> Result<(), Self::Error> {
        self.inner.clear_region(kind)
    }
    fn size(&self) -> Result<ratatui::layout::Size, Self::Error> {
        self.inner.size()
    }
    fn window_size(&mut self) -> Result<ratatui::backend::WindowSize, Self::Error> {
        self.inner.window_size()
    }
    fn flush(&mut self) -> Result<(), Self::Error> {
        let buffer = self.inner.buffer();
        let text: String = buffer.content().iter().map(ratatui::buffer::Cell::symbol).collect();
        let _ = self.frames.send((Instant::now(), text));
        Ok(())
    }
}

fn drive(first: Snapshot, stop: impl Future<Output = Exit> + Send + 'static) -> Driven {
    let keyboard = Keyboard::default();
    let events = keyboard.clone();
    let (snapshots, pictures) = watch::channel(Arc::new(first));
    let (reports, reported) = mpsc::channel(8);
    let (frame, frames) = mpsc::unbounded_channel();
    let end = tokio::spawn(async move {
        let mut terminal = Terminal::new(Watched { inner: TestBackend::new(120, 40), frames: frame }).unwrap();
        let mut model = Model::new(Settings { environment: "lab".into(), ..estate::settings() }, estate::now());
        let inputs = Inputs { events, snapshots: pictures, reports: reported, stop, clock: estate::now };
        let mut effects = Vec::new();
        let exit = run(&mut terminal, inputs, &mut model, Depth::True, |effect| effects.push(effect)).await;
        (exit.unwrap(), effects)
    });
    Driven { keyboard, snapshots, reports, frames, end }
}

impl Driven {
    fn press(&self, keys: &str) {
        for char in keys.chars() {
            let code = if char == '⏎' { KeyCode::Enter } else { KeyCode::Char(char) };
            let event = Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
            self.keyboard.change(|pressed| pressed.keys.push_back(event));
        }
    }

    /// Waits for a frame that shows these words.
    async fn shows(&mut self, words: &str) -> Instant {
        let mut last = VecDeque::new();
        let found = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let (at, text) = self.frames.recv().await.expect("the loop goes on");
                if text.contains(words) {
                    return at;
                }
                last.push_back(text);
                last.truncate(1);
            }
        });
        found.await.unwrap_or_else(|_| panic!("never showed {words:?}; last: {last:?}"))
    }

    async fn ends(self) -> (Exit, Vec<Effect>) {
        tokio::time::timeout(Duration::from_secs(20), self.end).await.expect("it ends").unwrap()
    }
}

#[tokio::test]
async fn the_loop_draws_before_there_is_data_and_leaves_on_q() {
    let mut console = drive(estate::loading(), std::future::pending());
    console.shows("connecting to shared").await;
    console.snapshots.send(Arc::new(estate::firing())).unwrap();
    console.shows("acme is a noisy neighbour").await;
    console.press("]");
    console.shows("sessions every 2.0s").await;
    console.reports.send(Report::Failed("the clipboard is gone".into())).await.unwrap();
    console.shows("the clipboard is gone").await;
    console.press("q");
    let (exit, effects) = console.ends().await;
    assert_eq!(exit, Exit::Quit);
    assert!(
        matches!(&effects[..], [Effect::Keep(_), Effect::Refresh(every)] if *every == Duration::from_secs(2)),
        "{effects:?}"
    );
}

#[tokio::test]
async fn a_key_does_not_wait_for_the_tick() {
    let mut console = drive(estate::fine(), std::future::pending());
    console.shows("nothing found").await;
    for (key, words) in [("?", "HELP"), ("?", "TENANTS"), ("3", "SESSIONS"), ("1", "TENANTS")] {
        // One at a time: the loop has gone to sleep when the next comes.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let pressed = Instant::now();
        console.press(key);
        let took = console.shows(words).await.duration_since(pressed);
        assert!(took < Duration::from_millis(400), "{key} took {took:?}");
    }
    console.press("q");
    assert_eq!(console.ends().await.0, Exit::Quit);
}

#[tokio::test]
async fn the_loop_ends_with_its_input_and_on_a_signal() {
    let mut console = drive(estate::fine(), std::future::pending());
    console.shows("nothing found").await;
    console.keyboard.change(|pressed| pressed.unplugged = true);
    assert_eq!(console.ends().await.0, Exit::InputClosed);
    let (send, stop) = tokio::sync::oneshot::channel();
    let mut console = drive(estate::fine(), async { stop.await.unwrap_or(Exit::Quit) });
    console.shows("nothing found").await;
    send.send(Exit::Signal(15)).unwrap();
    assert_eq!(console.ends().await.0, Exit::Signal(15));
}

#[tokio::test]
async fn colon_q_and_pause_work_in_the_loop() {
    let mut console = drive(estate::fine(), std::future::pending());
    console.shows("nothing found").await;
    console.press("p");
    console.shows("PAUSED").await;
    console.snapshots.send(Arc::new(estate::firing())).unwrap();
    console.press("?");
    console.shows("HELP").await;
    console.press("?");
    console.shows("nothing found").await;
    console.press("p");
    console.shows("acme is a noisy neighbour").await;
    console.press(":q⏎");
    assert_eq!(console.ends().await.0, Exit::Quit);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_snapshots_neither_floods_the_screen_nor_delays_a_key() {
    let mut console = drive(estate::fine(), std::future::pending());
    console.shows("nothing found").await;
    let (calm, storm) = (Arc::new(estate::fine()), Arc::new(estate::firing()));
    let snapshots = console.snapshots.clone();
    let flood = tokio::spawn(async move {
        loop {
            snapshots.send_replace(Arc::clone(&calm));
            tokio::task::yield_now().await;
            snapshots.send_replace(Arc::clone(&storm));
            tokio::task::yield_now().await;
        }
    });
    let start = Instant::now();
    let mut frames = 0_u32;
    while start.elapsed() < Duration::from_millis(700) {
        if tokio::time::timeout(Duration::from_millis(100), console.frames.recv()).await.is_ok() {
            frames += 1;
        }
    }
    let second = f64::from(frames) / start.elapsed().as_secs_f64();
    assert!(frames > 2 && second < 32.0, "{second} frames a second");
    let mut slowest = Duration::ZERO;
    for (key, words) in [("3", "SESSIONS"), ("1", "TENANTS"), ("?", "HELP"), ("?", "TENANTS")] {
        while console.frames.try_recv().is_ok() {}
        let pressed = Instant::now();
        console.press(key);
        slowest = slowest.max(console.shows(words).await.duration_since(pressed));
    }
    println!("slowest key under a flood: {slowest:?}, {second:.0} frames a second");
    // Generous, for a debug build on a busy machine; queueing behind the flood would take far longer.
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    flood.abort();
    console.press("q");
    assert_eq!(console.ends().await.0, Exit::Quit);
}
